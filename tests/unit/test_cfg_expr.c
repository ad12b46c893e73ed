/* Constant expressions: values, places of errors, and the depth limit. */
#include "config/cfg_expr.h"
#include "dataflow/df_math.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static cfg_found find(void *user, const char *name, uint32_t depth, double *value,
                      cfg_expr_fault *fault)
{
    (void)user;
    (void)depth;
    *value = 20;
    if (strcmp(name, "cells") == 0)
        return CFG_VALUE;
    if (strcmp(name, "silent") == 0)
        return CFG_FAILED;
    if (strcmp(name, "loud") == 0) {
        snprintf(fault->text, sizeof fault->text, "loud failed");
        return CFG_FAILED;
    }
    return CFG_UNKNOWN;
}

static const char *const names_list[] = { "cells", "silent", "loud" };
static const cfg_expr_names names = { find, 3, names_list, NULL };

static void test_values(void **state)
{
    /* The right column is worked out by hand, or by the compiler's own arithmetic. */
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        { "1", 1 },
        { " 1_000 ", 1000 },
        { "1.5e3", 1500 },
        { ".5", 0.5 },
        { "2.", 2 },
        { "1E-2", 0.01 },
        { "1/24", 1.0 / 24 },
        { "1 / 2.2", 1 / 2.2 },
        { "1+2*3", 7 },
        { "(1+2)*3", 9 },
        { "2-3-4", -5 },
        { "48/4/3", 4 },
        { "-2^2", -4 },
        { "(-2)^2", 4 },
        { "2^3^2", 512 },
        { "2^-1", 0.5 },
        { "--3", 3 },
        { "-+-3", 3 },
        { "2*-3", -6 },
        { "cells*cells", 400 },
        { "cells * 4/3", 20.0 * 4 / 3 },
        { "pi", 3.141592653589793 },
        { "e", 2.718281828459045 },
        { "sqrt(2)", 1.4142135623730951 },
        { "cbrt(27)", 3 },
        { "cbrt(-8)", -2 },
        { "pow(2, 10)", 1024 },
        { "pow(cells, 3)", 8000 },
        { "exp(0)", 1 },
        { "log(1)", 0 },
        { "sin(0)", 0 },
        { "cos(0)", 1 },
        { "min(3, 2)", 2 },
        { "max(3, 2)", 3 },
        { "abs(-3.5)", 3.5 },
        { "floor(-1.5)", -2 },
        { "ceil(-1.5)", -1 },
        { "round(2.5)", 3 },
        { "round(-2.5)", -3 },
        { "min ( 1 , max(2,3) )", 1 },
        { "\t1\n+\r\n1", 2 },
        { "1e-400", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cfg_expr_fault fault;
        double value;
        if (!cfg_expr(cases[i].text, &names, 0, &value, &fault))
            fail_msg("%s: %zu: %s", cases[i].text, fault.offset, fault.text);
        if (memcmp(&value, &cases[i].value, sizeof value) != 0)
            fail_msg("%s: %.17g, not %.17g", cases[i].text, value, cases[i].value);
    }
}

/* To 15 digits: values of Abramowitz and Stegun, Handbook of Mathematical Functions, tables 4.1,
 * 4.2, 4.4 and 4.6, and 1.1. */
static void test_functions(void **state)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        { "exp(1)", 2.718281828459045 },      { "log(2)", 0.693147180559945 },
        { "log(10)", 2.302585092994046 },     { "sin(1)", 0.841470984807897 },
        { "cos(1)", 0.540302305868140 },      { "cbrt(2)", 1.259921049894873 },
        { "pow(2, 0.5)", 1.414213562373095 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cfg_expr_fault fault;
        double value;
        assert_true(cfg_expr(cases[i].text, &names, 0, &value, &fault));
        assert_true(fabs(value - cases[i].value) < 2e-15);
    }
}

static void test_errors(void **state)
{
    static const struct {
        const char *text;
        size_t offset;
        const char *error;
    } cases[] = {
        { "", 0, "expected a number, a name or \"(\", found the end" },
        { "   ", 3, "expected a number, a name or \"(\", found the end" },
        { "1 +", 3, "expected a number, a name or \"(\", found the end" },
        { "1 2", 2, "expected an operator, found \"2\"" },
        { "1 cells", 2, "expected an operator, found \"cells\"" },
        { "(1 + 2", 6, "expected \")\", found the end" },
        { "1)", 1, "expected an operator, found \")\"" },
        { "2 * )", 4, "expected a number, a name or \"(\", found \")\"" },
        { "2 ** 3", 3, "expected a number, a name or \"(\", found \"*\"" },
        { "2 \xc3\xa9", 2, "expected an operator, found \"\xc3\xa9\"" },
        { "1.2.3", 0, "this is not a number" },
        { "1..2", 0, "this is not a number" },
        { ".", 0, "this is not a number" },
        { "1e", 0, "this is not a number" },
        { "1e+", 0, "this is not a number" },
        { "2 + 3x", 4, "this is not a number" },
        { "1__0", 0, "this is not a number" },
        { "0x10", 0, "this is not a number" },
        { "1e999", 0, "the result is not a finite number" },
        { "11111111111111111111111111111111111111111111111111111111111111111", 0,
          "a number has at most 63 characters" },
        { "2 + cell", 4, "unknown name \"cell\" (did you mean \"cells\"?)" },
        { "nothing", 0, "unknown name \"nothing\"" },
        { "inf", 0, "unknown name \"inf\"" },
        { "nan", 0, "unknown name \"nan\"" },
        { "a123456789a123456789a123456789a123456789a123456789a123456789abcd", 0,
          "a name has at most 63 characters" },
        { "1 + sqrt", 4, "\"sqrt\" is a function: write sqrt(...)" },
        { "1 + squrt(2)", 4, "unknown function \"squrt\" (did you mean \"sqrt\"?)" },
        { "cells(2)", 0, "unknown function \"cells\"" },
        { "sqrt()", 5, "expected a number, a name or \"(\", found \")\"" },
        { "sqrt(1", 6, "expected \")\", found the end" },
        { "sqrt(1, 2)", 0, "sqrt takes 1 value, found 2" },
        { "1 + pow(2)", 4, "pow takes 2 values, found 1" },
        { "min(1, 2, 3)", 0, "min takes 2 values, found 3" },
        { "1 + 2 / 0", 6, "division by zero" },
        { "2 / (1 - 1)", 2, "division by zero" },
        { "1 + sqrt(-1)", 4, "the result is not a finite number" },
        { "log(0)", 0, "the result is not a finite number" },
        { "1e200 * 1e200", 6, "the result is not a finite number" },
        { "1e308 + 1e308", 6, "the result is not a finite number" },
        { "-1e308 - 1e308", 7, "the result is not a finite number" },
        { "10 ^ 400", 3, "the result is not a finite number" },
        { "1e300 / 1e-300", 6, "the result is not a finite number" },
        { "1 + loud", 4, "loud failed" },
        { "1 + silent", 4, "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cfg_expr_fault fault;
        double value;
        if (cfg_expr(cases[i].text, &names, 0, &value, &fault))
            fail_msg("\"%s\" has a value: %g", cases[i].text, value);
        if (strcmp(fault.text, cases[i].error) != 0 || fault.offset != cases[i].offset)
            fail_msg("\"%s\": %zu: %s", cases[i].text, fault.offset, fault.text);
    }
}

static void check_depth(const char *open, const char *close, unsigned deepest)
{
    for (unsigned depth = deepest; depth <= deepest + 1; depth++) {
        char text[4096] = "";
        cfg_expr_fault fault;
        double value;
        for (unsigned i = 0; i < depth; i++)
            strcat(text, open);
        strcat(text, "1");
        for (unsigned i = 0; i < depth; i++)
            strcat(text, close);
        assert_int_equal(cfg_expr(text, &names, 0, &value, &fault), depth == deepest);
        if (depth > deepest)
            assert_string_equal(fault.text, "nested more than 200 deep");
        else
            assert_true(value == 1);
    }
}

static void test_depth(void **state)
{
    cfg_expr_fault fault;
    double value;

    (void)state;
    check_depth("(", ")", CFG_EXPR_DEPTH_MAX - 1);
    check_depth("+", "", CFG_EXPR_DEPTH_MAX - 1);
    check_depth("abs(", ")", CFG_EXPR_DEPTH_MAX - 1);
    check_depth("1^", "", CFG_EXPR_DEPTH_MAX - 1);
    assert_true(cfg_expr("1", &names, CFG_EXPR_DEPTH_MAX - 1, &value, &fault));
    assert_false(cfg_expr("1", &names, CFG_EXPR_DEPTH_MAX, &value, &fault));
}

static void test_reserved(void **state)
{
    size_t count;
    const df_math_function *functions = df_math_functions(&count);

    (void)state;
    assert_int_equal(count, 13);
    for (size_t i = 0; i < count; i++)
        assert_true(cfg_expr_reserved(functions[i].name));
    assert_true(cfg_expr_reserved("pi"));
    assert_true(cfg_expr_reserved("e"));
    assert_false(cfg_expr_reserved("cells"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),   cmocka_unit_test(test_functions),
        cmocka_unit_test(test_errors),   cmocka_unit_test(test_depth),
        cmocka_unit_test(test_reserved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
