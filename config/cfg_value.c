/* Values of a job file: numbers, texts, names, ranges. */
#include "config/cfg_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Above it, not every whole number is a double. */
#define VALUE_EXACT_MAX 9007199254740992.0

cfg_node *cfg_find(const cfg_node *table, const char *key)
{
    for (cfg_node *node = table->first; node != NULL; node = node->next)
        if (node->key != NULL && strcmp(node->key, key) == 0)
            return node;
    return NULL;
}

/* ---- numbers ---- */

/* A sign and digits and nothing else: exact also where a double is not. */
static bool digits_value(const char *text, cfg_number *out)
{
    bool negative = *text == '-';
    uint64_t size = 0;

    text += negative;
    if (*text == '\0')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(size, 10, &size) ||
            __builtin_add_overflow(size, (uint64_t)(*text - '0'), &size))
            return false;
    if (*text != '\0')
        return false;
    *out = (cfg_number){ .real = negative ? -(double)size : (double)size,
                         .exact = true,
                         .negative = negative && size > 0,
                         .size = size };
    return true;
}

static bool expression_value(const cfg_scope *scope, const cfg_node *node, const char *key,
                             cfg_number *out)
{
    cfg_expr_names names = cfg_param_names(scope->ctx);
    cfg_expr_fault fault;

    if (cfg_expr(node->text, &names, 0, &out->real, &fault))
        return true;
    if (fault.text[0] != '\0')
        cfg_error_inside(scope->ctx, node, fault.offset, "%s: %s: %s", scope->who, key, fault.text);
    return false;
}

bool cfg_get_number(const cfg_scope *scope, const cfg_node *node, const char *key, cfg_number *out)
{
    char shown[CFG_SHOWN_MAX];

    *out = (cfg_number){ 0 };
    if (node->type == CFG_WHOLE) {
        out->exact = true;
        out->negative = node->whole < 0;
        out->size = out->negative ? -(uint64_t)node->whole : (uint64_t)node->whole;
        out->real = (double)node->whole;
        return true;
    }
    if (node->type == CFG_REAL && isfinite(node->real)) {
        out->real = node->real;
        return true;
    }
    if (node->type == CFG_TEXT)
        return digits_value(node->text, out) || expression_value(scope, node, key, out);
    return cfg_error_value(scope->ctx, node, "%s: %s: expected a number, found %s", scope->who, key,
                           cfg_shown(node, shown));
}

static const char *number_shown(const cfg_number *number, char shown[CFG_SHOWN_MAX])
{
    if (number->exact)
        snprintf(shown, CFG_SHOWN_MAX, "%s%llu", number->negative ? "-" : "",
                 (unsigned long long)number->size);
    else
        snprintf(shown, CFG_SHOWN_MAX, "%.15g", number->real);
    return shown;
}

/* Make a number exact that is a whole one. */
static bool make_whole(const cfg_scope *scope, const cfg_node *node, const char *key,
                       cfg_number *number)
{
    char shown[CFG_SHOWN_MAX];

    if (number->exact)
        return true;
    if (number->real != floor(number->real))
        return cfg_error_value(scope->ctx, node, "%s: %s: must be a whole number, found %s",
                               scope->who, key, number_shown(number, shown));
    if (fabs(number->real) > VALUE_EXACT_MAX)
        return cfg_error_value(scope->ctx, node,
                               "%s: %s: a whole number above 2^53 must be written "
                               "in digits, found %s",
                               scope->who, key, number_shown(number, shown));
    number->exact = true;
    number->negative = number->real < 0;
    number->size = (uint64_t)fabs(number->real);
    return true;
}

/* The largest size of a whole number of a type, on each side of zero. */
static const struct {
    uint64_t below, above;
} value_limits[] = {
    [WEIR_I32] = { 1ull << 31, INT32_MAX }, [WEIR_I64] = { 1ull << 63, INT64_MAX },
    [WEIR_U32] = { 0, UINT32_MAX },         [WEIR_U64] = { 0, UINT64_MAX },
    [WEIR_U8] = { 0, UINT8_MAX },
};

static void store_whole(uint64_t bits, weir_type type, void *field)
{
    switch (type) {
    case WEIR_I32:
        *(int32_t *)field = (int32_t)(int64_t)bits;
        break;
    case WEIR_I64:
        *(int64_t *)field = (int64_t)bits;
        break;
    case WEIR_U32:
        *(uint32_t *)field = (uint32_t)bits;
        break;
    case WEIR_U64:
        *(uint64_t *)field = bits;
        break;
    default:
        *(uint8_t *)field = (uint8_t)bits;
        break;
    }
}

bool cfg_store_number(const cfg_scope *scope, const cfg_node *node, const char *key,
                      const cfg_number *number, weir_type type, void *field)
{
    cfg_number whole = *number;
    char shown[CFG_SHOWN_MAX];
    uint64_t most;

    if (type == WEIR_F64) {
        *(double *)field = number->real;
        return true;
    }
    if (type == WEIR_F32) {
        *(float *)field = (float)number->real;
        return isfinite(*(float *)field) ||
               cfg_error_value(scope->ctx, node, "%s: %s: %s is too large for f32", scope->who, key,
                               number_shown(number, shown));
    }
    if (!make_whole(scope, node, key, &whole))
        return false;
    most = whole.negative ? value_limits[type].below : value_limits[type].above;
    if (whole.size > most)
        return cfg_error_value(scope->ctx, node, "%s: %s: must be at %s %s%llu, found %s",
                               scope->who, key, whole.negative ? "least" : "most",
                               whole.negative && most > 0 ? "-" : "", (unsigned long long)most,
                               number_shown(&whole, shown));
    store_whole(whole.negative ? -whole.size : whole.size, type, field);
    return true;
}

bool cfg_check_range(const cfg_scope *scope, const cfg_node *node, const char *key,
                     const char *range, const cfg_number *number)
{
    char shown[CFG_SHOWN_MAX];

    if (cfg_in_range(range, number->real))
        return true;
    return cfg_error_value(scope->ctx, node, "%s: %s: must be %s%s, found %s", scope->who, key,
                           strstr(range, "..") != NULL ? "in " : "", range,
                           number_shown(number, shown));
}

/* ---- ranges ---- */

/* One term: "> 0", ">= 1", "< 1", "<= 1", "0..1". *at moves behind it. */
static bool in_term(const char **at, double value)
{
    const char *text = *at + strspn(*at, " ");
    char op = *text == '<' || *text == '>' ? *text++ : '.';
    bool or_equal = *text == '=';
    char *end;
    double bound = strtod(text + or_equal, &end);
    bool good = op == '<' ? value < bound : value > bound;

    if (op != '.') {
        good = good || (or_equal && value == bound);
    } else {
        /* In "0..1", strtod takes "0." for the number. */
        double most = strtod(end + strspn(end, " ."), &end);
        good = value >= bound && value <= most;
    }
    *at = end;
    return good;
}

bool cfg_in_range(const char *range, double value)
{
    bool good = true;

    while (range != NULL && *range != '\0') {
        const char *begin = range;
        good = in_term(&range, value) && good;
        if (range == begin)
            return false;
        range += strspn(range, ", ");
    }
    return good;
}

/* ---- texts ---- */

bool cfg_get_text(const cfg_scope *scope, const cfg_node *node, const char *key, const char **out)
{
    char shown[CFG_SHOWN_MAX];

    if (node->type != CFG_TEXT)
        return cfg_error_value(scope->ctx, node, "%s: %s: expected a text, found %s", scope->who,
                               key, cfg_shown(node, shown));
    *out = node->text;
    return true;
}

/* The values that a text or a list of texts holds, and how many; null: it is neither, or empty. */
static const cfg_node *texts_begin(const cfg_scope *scope, const cfg_node *node, const char *key,
                                   uint32_t *count)
{
    char shown[CFG_SHOWN_MAX];

    *count = 1;
    if (node->type == CFG_TEXT)
        return node;
    *count = node->count;
    if (node->type == CFG_LIST && node->count > 0)
        return node->first;
    cfg_error_value(scope->ctx, node, "%s: %s: expected a text or a list of texts, found %s",
                    scope->who, key,
                    node->type == CFG_LIST ? "an empty list" : cfg_shown(node, shown));
    return NULL;
}

bool cfg_get_texts(const cfg_scope *scope, const cfg_node *node, const char *key, df_text **out,
                   uint32_t *count)
{
    const cfg_node *item = texts_begin(scope, node, key, count);
    df_text *texts = item == NULL ? NULL : cfg_alloc(scope->ctx, *count, sizeof *texts);
    bool good = texts != NULL;

    for (uint32_t i = 0; i < *count && texts != NULL; i++, item = item->next) {
        good = cfg_get_text(scope, item, key, &texts[i].text) && good;
        texts[i].place = cfg_place(item);
    }
    *out = texts;
    if (!good)
        *count = 0;
    return good;
}

/* ---- names ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool cfg_name_good(const char *name, cfg_name_kind kind, const char **why)
{
    size_t len = 0;

    *why = kind == CFG_NAME_COLUMN
               ? "a name has letters, digits and \"_\", and begins with no digit"
               : "a name has letters, digits, \"_\" and \"-\", and begins with a letter or \"_\"";
    if (!is_letter(name[0]))
        return false;
    while (is_letter(name[len]) || (name[len] >= '0' && name[len] <= '9') ||
           (name[len] == '-' && kind == CFG_NAME_THING))
        len++;
    if (name[len] != '\0')
        return false;
    *why = "a name has at most 63 characters";
    return len < WEIR_NAME_MAX;
}

_Static_assert(WEIR_NAME_MAX == 64, "the text above names the limit");

bool cfg_check_name(const cfg_scope *scope, const cfg_node *node, const char *what,
                    cfg_name_kind kind)
{
    const char *why;

    return cfg_name_good(node->key, kind, &why) ||
           cfg_error_key(scope->ctx, node, "%s: %s \"%.64s\": %s", scope->who, what, node->key,
                         why);
}

bool cfg_get_column(const cfg_scope *scope, const cfg_node *node, const char *key, const char **out)
{
    const char *why;

    if (!cfg_get_text(scope, node, key, out))
        return false;
    return cfg_name_good(*out, CFG_NAME_COLUMN, &why) ||
           cfg_error_value(scope->ctx, node, "%s: %s: \"%.64s\" names no column: %s", scope->who,
                           key, *out, why);
}

bool cfg_get_columns(const cfg_scope *scope, const cfg_node *node, const char *key, weir_names *out)
{
    uint32_t count;
    const cfg_node *item = texts_begin(scope, node, key, &count);
    const char **names;
    bool good = true;

    if (item == NULL)
        return false;
    if (count > WEIR_COLUMNS_MAX)
        return cfg_error_value(scope->ctx, node, "%s: %s: lists %u columns, at most %d are allowed",
                               scope->who, key, count, WEIR_COLUMNS_MAX);
    names = cfg_alloc(scope->ctx, count, sizeof *names);
    if (names == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++, item = item->next) {
        names[i] = "";
        good = cfg_get_column(scope, item, key, &names[i]) && good;
        for (uint32_t k = 0; k < i; k++)
            if (good && strcmp(names[k], names[i]) == 0)
                good = cfg_error_value(scope->ctx, item, "%s: %s: \"%s\" is listed twice",
                                       scope->who, key, names[i]);
    }
    *out = (weir_names){ .count = count, .names = names };
    return good;
}
