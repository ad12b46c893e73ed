/* Option tables: the rows of weir_option say how a key is read, what its default is, which values
 * it may have, and where the value goes. Operators and the reader's own sections work by them. */
#include "config/cfg_private.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- one reader per type; each stores into the field ---- */

static bool get_choice(const cfg_scope *scope, const cfg_node *node, const char *key,
                       const char *choices, uint32_t *out)
{
    const char *names[WEIR_COLUMNS_MAX], *text;
    char copy[512], list[512] = "", hint[CFG_HINT_MAX], *save = NULL;
    uint32_t count = 0;
    size_t len = 0;

    if (!cfg_get_text(scope, node, key, &text))
        return false;
    snprintf(copy, sizeof copy, "%s", choices);
    for (char *name = strtok_r(copy, "|", &save); name != NULL && count < WEIR_COLUMNS_MAX;
         name = strtok_r(NULL, "|", &save)) {
        if (strcmp(name, text) == 0) {
            *out = count;
            return true;
        }
        len += len < sizeof list ? (size_t)snprintf(list + len, sizeof list - len, "%s%s",
                                                    count > 0 ? ", " : "", name)
                                 : 0;
        names[count++] = name;
    }
    return cfg_error_value(scope->ctx, node, "%s: %s: \"%.64s\" is none of %s%s", scope->who, key,
                           text, list, cfg_hint(scope->ctx, hint, text, names, count));
}

static bool get_bool(const cfg_scope *scope, const cfg_node *node, const char *key, bool *out)
{
    char shown[CFG_SHOWN_MAX];

    if (node->type != CFG_BOOL)
        return cfg_error_value(scope->ctx, node, "%s: %s: expected true or false, found %s",
                               scope->who, key, cfg_shown(node, shown));
    *out = node->boolean;
    return true;
}

static bool get_number(const cfg_scope *scope, const cfg_node *node, const char *key,
                       const weir_option *option, void *field)
{
    cfg_number number;

    return cfg_get_number(scope, node, key, &number) &&
           cfg_check_range(scope, node, key, option->range, &number) &&
           cfg_store_number(scope, node, key, &number, (weir_type)option->type, field);
}

static bool get_range(const cfg_scope *scope, const cfg_node *node, const char *key,
                      const char *range, double out[2])
{
    char shown[CFG_SHOWN_MAX];
    const cfg_node *item = node->first;
    bool good = true;

    if (node->type != CFG_LIST || node->count != 2)
        return cfg_error_value(scope->ctx, node,
                               "%s: %s: expected a list of two numbers, "
                               "[least, most], found %s",
                               scope->who, key,
                               node->type == CFG_LIST ? "another list" : cfg_shown(node, shown));
    for (int i = 0; i < 2; i++, item = item->next) {
        cfg_number number;
        good = cfg_get_number(scope, item, key, &number) &&
               cfg_check_range(scope, item, key, range, &number) && good;
        out[i] = number.real;
    }
    if (good && out[0] > out[1])
        return cfg_error_value(scope->ctx, node,
                               "%s: %s: the first number, %.15g, is above the "
                               "second, %.15g",
                               scope->who, key, out[0], out[1]);
    return good;
}

static bool get_compute(const cfg_scope *scope, const cfg_node *node, const char *key,
                        weir_computes *out)
{
    char shown[CFG_SHOWN_MAX], path[2 * WEIR_NAME_MAX];
    weir_compute *items;
    bool good = true;
    uint32_t i = 0;

    if (node->type != CFG_TABLE || node->count == 0)
        return cfg_error_value(scope->ctx, node, "%s: %s: expected %s.NAME = \"...\", found %s",
                               scope->who, key, key,
                               node->type == CFG_TABLE ? "nothing" : cfg_shown(node, shown));
    if (node->count > WEIR_COLUMNS_MAX)
        return cfg_error_value(scope->ctx, node, "%s: %s: makes %u columns, at most %d are allowed",
                               scope->who, key, node->count, WEIR_COLUMNS_MAX);
    items = cfg_alloc(scope->ctx, node->count, sizeof *items);
    if (items == NULL)
        return false;
    for (const cfg_node *item = node->first; item != NULL; item = item->next, i++) {
        items[i].name = item->key;
        snprintf(path, sizeof path, "%.60s.%.60s", key, item->key);
        good = cfg_check_name(scope, item, key, CFG_NAME_COLUMN) &&
               cfg_get_text(scope, item, path, &items[i].text) && good;
        if (strcmp(item->key, "id") == 0)
            good = cfg_error_key(scope->ctx, item,
                                 "%s: %s: \"id\" is every row's key and cannot "
                                 "be computed",
                                 scope->who, key);
    }
    *out = (weir_computes){ .count = node->count, .items = items };
    return good;
}

/* ---- files ---- */

static bool get_path(const cfg_scope *scope, const cfg_node *node, const char *key,
                     const char **out)
{
    if (!cfg_get_text(scope, node, key, out))
        return false;
    if ((*out)[0] == '\0')
        return cfg_error_value(scope->ctx, node, "%s: %s: a file's name is empty", scope->who, key);
    return strlen(*out) < CFG_PATH_MAX ||
           cfg_error_value(scope->ctx, node, "%s: %s: a file's name has at most %d bytes",
                           scope->who, key, CFG_PATH_MAX - 1);
}

const char *cfg_join_path(cfg_ctx *ctx, const char *path)
{
    size_t size = strlen(ctx->directory) + strlen(path) + 2;
    char *joined;

    if (path[0] == '/' || strcmp(ctx->directory, ".") == 0)
        return path;
    joined = cfg_alloc(ctx, size, 1);
    if (joined == NULL)
        return NULL;
    snprintf(joined, size, "%s/%s", ctx->directory, path);
    return joined;
}

static bool get_file_in(const cfg_scope *scope, const cfg_node *node, const char *key,
                        const char **out)
{
    struct stat status;
    const char *path;
    int failed = 0;

    if (!get_path(scope, node, key, &path))
        return false;
    *out = cfg_join_path(scope->ctx, path);
    if (*out == NULL)
        return false;
    if (stat(*out, &status) != 0 || access(*out, R_OK) != 0)
        failed = errno;
    else if (S_ISDIR(status.st_mode))
        failed = EISDIR;
    return failed == 0 || cfg_error_value(scope->ctx, node, "%s: %s: %.200s: %s", scope->who, key,
                                          *out, strerror(failed));
}

/* A name below the folder of the run: no job writes anywhere else. */
static bool get_file_out(const cfg_scope *scope, const cfg_node *node, const char *key,
                         const char **out)
{
    size_t len;

    if (!get_path(scope, node, key, out))
        return false;
    for (const char *part = *out;; part += len + 1) {
        len = strcspn(part, "/");
        if (len == 0 || (len <= 2 && strncmp(part, "..", len) == 0))
            return cfg_error_value(scope->ctx, node,
                                   "%s: %s: \"%.64s\" must be a name below the "
                                   "folder of the run",
                                   scope->who, key, *out);
        if (part[len] == '\0')
            return true;
    }
}

/* ---- the reader's own types ---- */

static bool get_bytes(const cfg_scope *scope, const cfg_node *node, const char *key, uint64_t *out)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = { { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 }, { "TiB", 40 } };
    cfg_number number;
    char *end;

    if (node->type != CFG_TEXT)
        return cfg_get_number(scope, node, key, &number) &&
               cfg_store_number(scope, node, key, &number, WEIR_U64, out);
    if (node->text[0] >= '0' && node->text[0] <= '9') {
        double size = strtod(node->text, &end);
        end += strspn(end, " ");
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            if (strcmp(end, units[i].unit) == 0 && size < 1048576) {
                *out = (uint64_t)ldexp(size, (int)units[i].shift);
                return true;
            }
    }
    return cfg_error_value(scope->ctx, node,
                           "%s: %s: expected bytes, such as 1048576 or \"2GiB\", "
                           "found \"%.64s\"",
                           scope->who, key, node->text);
}

static bool get_pace(const cfg_scope *scope, const cfg_node *node, const char *key, double *out)
{
    cfg_number number;

    *out = 0;
    if (node->type == CFG_TEXT && strcmp(node->text, "unlimited") == 0)
        return true;
    if (!cfg_get_number(scope, node, key, &number) ||
        !cfg_check_range(scope, node, key, "> 0", &number))
        return false;
    *out = number.real;
    return true;
}

/* ---- one value ---- */

bool cfg_get_option(const cfg_scope *scope, const cfg_node *node, const char *key,
                    const weir_option *option, void *base)
{
    void *field = (char *)base + option->offset;

    switch (option->type) {
    case WEIR_TEXT:
        return cfg_get_text(scope, node, key, field);
    case WEIR_CHOICE:
        return get_choice(scope, node, key, option->choices, field);
    case WEIR_BOOL:
        return get_bool(scope, node, key, field);
    case WEIR_RANGE:
        return get_range(scope, node, key, option->range, field);
    case WEIR_COLUMN:
        return cfg_get_column(scope, node, key, field);
    case WEIR_COLUMNS:
        return cfg_get_columns(scope, node, key, field);
    case WEIR_COMPUTE:
        return get_compute(scope, node, key, field);
    case WEIR_FILE_IN:
        return get_file_in(scope, node, key, field);
    case WEIR_FILE_OUT:
        return get_file_out(scope, node, key, field);
    case CFG_OPTION_NODE:
        *(const cfg_node **)field = node;
        return true;
    case CFG_OPTION_BYTES:
        return get_bytes(scope, node, key, field);
    case CFG_OPTION_PACE:
        return get_pace(scope, node, key, field);
    default:
        return get_number(scope, node, key, option, field);
    }
}

/* ---- a whole table ---- */

static const weir_option *target_find(const cfg_target *target, const char *name)
{
    for (const weir_option *o = target->options; o != NULL && o->name != NULL; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

#define OPTION_NAMES_MAX 128

static bool unknown_key(const cfg_scope *scope, const cfg_node *node, const cfg_target *targets,
                        uint32_t target_count)
{
    const char *names[OPTION_NAMES_MAX];
    char hint[CFG_HINT_MAX];
    uint32_t count = 0;

    if (scope->any_key)
        return true;
    for (uint32_t t = 0; t < target_count; t++)
        for (const weir_option *o = targets[t].options; o != NULL && o->name != NULL; o++)
            if (count < OPTION_NAMES_MAX)
                names[count++] = o->name;
    return cfg_error_key(scope->ctx, node, "%s: unknown %s \"%.64s\"%s", scope->who, scope->noun,
                         node->key, cfg_hint(scope->ctx, hint, node->key, names, count));
}

static bool fill_key(const cfg_scope *scope, const cfg_node *node, const cfg_target *targets,
                     uint32_t target_count)
{
    for (uint32_t t = 0; t < target_count; t++) {
        const weir_option *option = target_find(&targets[t], node->key);
        if (option != NULL)
            return cfg_get_option(scope, node, option->name, option, targets[t].base);
    }
    return unknown_key(scope, node, targets, target_count);
}

/* A number's default is read as an expression, without a detour over TOML. */
static const cfg_node *default_node(cfg_ctx *ctx, const cfg_node *table, const weir_option *option,
                                    cfg_node *number)
{
    *number = (cfg_node){ .type = CFG_TEXT, .text = option->value, .place = table->key_place };
    if (option->type <= (int)WEIR_U8)
        return number;
    return cfg_parse_value(ctx, option->value, NULL, table->key_place);
}

/* Whether a key that is unknown was reported with this option as the one that was meant. */
static bool misspelt(const cfg_scope *scope, const cfg_node *table, const cfg_target *targets,
                     uint32_t target_count, const weir_option *option)
{
    for (const cfg_node *node = table->first; node != NULL; node = node->next) {
        const weir_option *known = NULL;
        if (scope->any_key || df_nearest(node->key, &option->name, 1) == NULL)
            continue;
        for (uint32_t t = 0; t < target_count && known == NULL; t++)
            known = target_find(&targets[t], node->key);
        if (known == NULL)
            return true;
    }
    return false;
}

static bool fill_absent(const cfg_scope *scope, const cfg_node *table, const cfg_target *targets,
                        uint32_t target_count, const weir_option *option, void *base)
{
    cfg_node number;
    const cfg_node *value;

    if (option->value == NULL)
        return !misspelt(scope, table, targets, target_count, option) &&
               cfg_error_key(scope->ctx, table, "%s: %s \"%s\" is missing: %s", scope->who,
                             scope->noun, option->name, option->help);
    if (option->value[0] == '\0')
        return true; /* the field stays zero */
    value = default_node(scope->ctx, table, option, &number);
    return value != NULL && cfg_get_option(scope, value, option->name, option, base);
}

bool cfg_fill(const cfg_scope *scope, const cfg_node *table, const cfg_target *targets,
              uint32_t target_count)
{
    bool good = true;

    for (const cfg_node *node = table->first; node != NULL; node = node->next)
        good = fill_key(scope, node, targets, target_count) && good;
    for (uint32_t t = 0; t < target_count; t++)
        for (const weir_option *o = targets[t].options; o != NULL && o->name != NULL; o++)
            if (cfg_find(table, o->name) == NULL)
                good = fill_absent(scope, table, targets, target_count, o, targets[t].base) && good;
    return good;
}
