#include "config/cfg_expr.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataflow/df_error.h"
#include "dataflow/df_math.h"

#define EXPR_NAME_MAX 64
#define EXPR_NUMBER_MAX 64
#define EXPR_NEAR_MAX 64 /* names that a "did you mean" looks through, beside the params */

typedef struct expr {
    const char *text;
    const char *at;
    const cfg_expr_names *names;
    uint32_t depth;
    cfg_expr_fault *fault;
} expr;

static const struct {
    const char *name;
    double value;
} expr_constants[] = {
    { "pi", 3.14159265358979323846 },
    { "e", 2.71828182845904523536 },
};

#define EXPR_CONSTANT_COUNT (sizeof expr_constants / sizeof *expr_constants)

static bool expr_sum(expr *x, double *value);

static bool expr_fail(expr *x, const char *at, const char *format, ...) DF_PRINTF(3, 4);

static bool expr_fail(expr *x, const char *at, const char *format, ...)
{
    va_list args;

    x->fault->offset = (size_t)(at - x->text);
    va_start(args, format);
    vsnprintf(x->fault->text, sizeof x->fault->text, format, args);
    va_end(args);
    return false;
}

/* ---- characters: by hand, so that no locale has a say ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static char expr_peek(expr *x)
{
    while (*x->at == ' ' || *x->at == '\t' || *x->at == '\n' || *x->at == '\r')
        x->at++;
    return *x->at;
}

/* What stands at x->at, for an error: a name, a number or one character, whole. */
static const char *expr_seen(expr *x, char seen[EXPR_NAME_MAX])
{
    size_t len = 0;

    if (expr_peek(x) == '\0')
        return "the end";
    while (is_letter(x->at[len]) || is_digit(x->at[len]))
        len++;
    if (len == 0)
        do
            len++;
        while (((unsigned char)x->at[len] & 0xc0) == 0x80);
    snprintf(seen, EXPR_NAME_MAX, "\"%.*s\"", (int)(len < 40 ? len : 40), x->at);
    return seen;
}

static bool expr_expected(expr *x, const char *what)
{
    char seen[EXPR_NAME_MAX];

    expr_peek(x);
    return expr_fail(x, x->at, "expected %s, found %s", what, expr_seen(x, seen));
}

static bool expr_finite(expr *x, const char *at, double value)
{
    return isfinite(value) || expr_fail(x, at, "the result is not a finite number");
}

/* ---- numbers ---- */

/* Digits with single underscores between them, as TOML has them; copied without. */
static bool expr_digits(expr *x, char *number, size_t *len)
{
    bool any = false;

    while (is_digit(*x->at) || (any && *x->at == '_' && is_digit(x->at[1]))) {
        any = true;
        if (*x->at != '_' && *len < EXPR_NUMBER_MAX)
            number[(*len)++] = *x->at;
        x->at++;
    }
    return any;
}

static bool expr_number(expr *x, double *value)
{
    const char *begin = x->at;
    char number[EXPR_NUMBER_MAX + 8];
    size_t len = 0;
    bool any = expr_digits(x, number, &len);

    if (*x->at == '.') {
        number[len++] = *x->at++;
        any = expr_digits(x, number, &len) || any;
    }
    if (any && (*x->at == 'e' || *x->at == 'E')) {
        number[len++] = *x->at++;
        if (*x->at == '+' || *x->at == '-')
            number[len++] = *x->at++;
        any = expr_digits(x, number, &len);
    }
    if (!any || is_letter(*x->at) || *x->at == '.')
        return expr_fail(x, begin, "this is not a number");
    if (len >= EXPR_NUMBER_MAX)
        return expr_fail(x, begin, "a number has at most %d characters", EXPR_NUMBER_MAX - 1);
    number[len] = '\0';
    *value = strtod(number, NULL);
    return expr_finite(x, begin, *value);
}

/* ---- names ---- */

static const df_math_function *function_of(const char *name)
{
    size_t count;
    const df_math_function *functions = df_math_functions(&count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    return NULL;
}

static bool constant_of(const char *name, double *value)
{
    for (size_t i = 0; i < EXPR_CONSTANT_COUNT; i++)
        if (strcmp(expr_constants[i].name, name) == 0) {
            *value = expr_constants[i].value;
            return true;
        }
    return false;
}

bool cfg_expr_reserved(const char *name)
{
    double value;

    return constant_of(name, &value) || function_of(name) != NULL;
}

static bool unknown_function(expr *x, const char *at, const char *name)
{
    size_t count;
    const df_math_function *functions = df_math_functions(&count);
    const char *names[EXPR_NEAR_MAX], *near;

    for (size_t i = 0; i < count && i < EXPR_NEAR_MAX; i++)
        names[i] = functions[i].name;
    near = df_nearest(name, names, count < EXPR_NEAR_MAX ? count : EXPR_NEAR_MAX);
    return expr_fail(x, at, "unknown function \"%s\"%s%s%s", name, near ? " (did you mean \"" : "",
                     near ? near : "", near ? "\"?)" : "");
}

static bool unknown_name(expr *x, const char *at, const char *name)
{
    const char *constants[EXPR_CONSTANT_COUNT], *near;

    if (function_of(name) != NULL)
        return expr_fail(x, at, "\"%s\" is a function: write %s(...)", name, name);
    for (size_t i = 0; i < EXPR_CONSTANT_COUNT; i++)
        constants[i] = expr_constants[i].name;
    near = df_nearest(name, x->names->names, x->names->count);
    if (near == NULL)
        near = df_nearest(name, constants, EXPR_CONSTANT_COUNT);
    return expr_fail(x, at, "unknown name \"%s\"%s%s%s", name, near ? " (did you mean \"" : "",
                     near ? near : "", near ? "\"?)" : "");
}

/* x->at stands behind the opening bracket. */
static bool expr_call(expr *x, const char *at, const char *name, double *value)
{
    const df_math_function *function = function_of(name);
    double arguments[DF_MATH_ARGUMENTS_MAX] = { 0 };
    unsigned count = 0;

    if (function == NULL)
        return unknown_function(x, at, name);
    do {
        double argument;
        if (!expr_sum(x, &argument))
            return false;
        if (count < DF_MATH_ARGUMENTS_MAX)
            arguments[count] = argument;
        count++;
    } while (expr_peek(x) == ',' && x->at++);
    if (*x->at != ')')
        return expr_expected(x, "\")\"");
    x->at++;
    if (count != function->argument_count)
        return expr_fail(x, at, "%s takes %u value%s, found %u", name, function->argument_count,
                         function->argument_count > 1 ? "s" : "", count);
    *value = function->call(arguments[0], arguments[1]);
    return expr_finite(x, at, *value);
}

static bool expr_name(expr *x, double *value)
{
    const char *begin = x->at;
    char name[EXPR_NAME_MAX];
    size_t len = 0;

    while (is_letter(x->at[len]) || is_digit(x->at[len]))
        len++;
    if (len >= sizeof name)
        return expr_fail(x, begin, "a name has at most %d characters", EXPR_NAME_MAX - 1);
    memcpy(name, x->at, len);
    name[len] = '\0';
    x->at += len;
    if (expr_peek(x) == '(') {
        x->at++;
        return expr_call(x, begin, name, value);
    }
    if (constant_of(name, value))
        return true;
    x->fault->offset = (size_t)(begin - x->text);
    switch (x->names->find(x->names->user, name, x->depth, value, x->fault)) {
    case CFG_VALUE:
        return true;
    case CFG_FAILED:
        return false;
    case CFG_UNKNOWN:
        break;
    }
    return unknown_name(x, begin, name);
}

/* ---- operations ---- */

static bool expr_primary(expr *x, double *value)
{
    char c = expr_peek(x);

    if (is_digit(c) || c == '.')
        return expr_number(x, value);
    if (is_letter(c))
        return expr_name(x, value);
    if (c != '(')
        return expr_expected(x, "a number, a name or \"(\"");
    x->at++;
    if (!expr_sum(x, value))
        return false;
    if (expr_peek(x) != ')')
        return expr_expected(x, "\")\"");
    x->at++;
    return true;
}

static bool expr_unary(expr *x, double *value)
{
    char c = expr_peek(x);
    const char *at = x->at;
    bool good;

    if (x->depth >= CFG_EXPR_DEPTH_MAX)
        return expr_fail(x, at, "nested more than %d deep", CFG_EXPR_DEPTH_MAX);
    x->depth++;
    if (c == '-' || c == '+') {
        x->at++;
        good = expr_unary(x, value);
        if (c == '-')
            *value = -*value;
    } else {
        good = expr_primary(x, value);
        if (good && expr_peek(x) == '^') {
            double exponent;
            at = x->at++;
            good = expr_unary(x, &exponent);
            if (good) {
                *value = df_math_pow(*value, exponent);
                good = expr_finite(x, at, *value);
            }
        }
    }
    x->depth--;
    return good;
}

static bool expr_product(expr *x, double *value)
{
    char c;

    if (!expr_unary(x, value))
        return false;
    while (c = expr_peek(x), c == '*' || c == '/') {
        const char *at = x->at++;
        double right;
        if (!expr_unary(x, &right))
            return false;
        if (c == '/' && right == 0)
            return expr_fail(x, at, "division by zero");
        *value = c == '*' ? *value * right : *value / right;
        if (!expr_finite(x, at, *value))
            return false;
    }
    return true;
}

static bool expr_sum(expr *x, double *value)
{
    char c;

    if (!expr_product(x, value))
        return false;
    while (c = expr_peek(x), c == '+' || c == '-') {
        const char *at = x->at++;
        double right;
        if (!expr_product(x, &right))
            return false;
        *value = c == '+' ? *value + right : *value - right;
        if (!expr_finite(x, at, *value))
            return false;
    }
    return true;
}

bool cfg_expr(const char *text, const cfg_expr_names *names, uint32_t depth, double *value,
              cfg_expr_fault *fault)
{
    expr x = { text, text, names, depth, fault };

    *value = 0;
    *fault = (cfg_expr_fault){ 0 };
    if (!expr_sum(&x, value))
        return false;
    return expr_peek(&x) == '\0' || expr_expected(&x, "an operator");
}
