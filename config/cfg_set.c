/* --set NAME=VALUE: a bare name is a [param], a dotted one the TOML path. The value is put into the
 * tree before anything reads it, and what it gives is checked like the rest of the file; only its
 * errors name the --set, as it has no place in the file. */
#include "config/cfg_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SET_PARTS_MAX 8

typedef struct set_path {
    char text[CFG_SET_MAX]; /* the path, its parts ended by zeros */
    const char *parts[SET_PARTS_MAX];
    uint32_t count;
} set_path;

/* ---- the value ---- */

static void mark(cfg_node *node, const char *set, df_place place)
{
    node->set = set;
    node->place = place;
    node->plain = false;
    if (set != NULL || node->key == NULL)
        node->key_place = place;
    for (cfg_node *child = node->first; child != NULL; child = child->next)
        mark(child, set, place);
}

cfg_node *cfg_parse_value(cfg_ctx *ctx, const char *text, const char *set, df_place place)
{
    char document[CFG_SET_MAX + 8];
    cfg_node *root, *node;
    cfg_fault fault;
    int size = snprintf(document, sizeof document, "v = %s\n", text);
    df_status status = size >= (int)sizeof document
                           ? DF_EINVAL
                           : cfg_toml_parse(&root, ctx->arena, document, (size_t)size, &fault);

    if (status == DF_ENOMEM) {
        ctx->no_memory = true;
        return NULL;
    }
    if (status == DF_OK && root->count == 1 && root->first->type != CFG_DATE) {
        node = root->first;
        node->key = NULL;
    } else {
        node = cfg_alloc(ctx, 1, sizeof *node);
        if (node == NULL)
            return NULL;
        node->type = CFG_TEXT;
        node->text = cfg_copy(ctx, text);
    }
    mark(node, set, place);
    return node->type == CFG_TEXT && node->text == NULL ? NULL : node;
}

/* ---- the path ---- */

static bool set_error(cfg_ctx *ctx, const char *set, const char *format, ...) DF_PRINTF(3, 4);

static bool set_error(cfg_ctx *ctx, const char *set, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    df_report_add(ctx->report, (df_place){ 0, 0 }, "--set %.100s: %s", set, text);
    return false;
}

static bool split_path(cfg_ctx *ctx, const char *set, size_t len, set_path *path)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-";
    char *at = path->text;

    while (len > 0 && set[len - 1] == ' ')
        len--;
    memcpy(path->text, set, len);
    path->text[len] = '\0';
    path->count = 0;
    for (;;) {
        size_t part = strspn(at, letters);
        if (part == 0 || (at[part] != '.' && at[part] != '\0') || path->count == SET_PARTS_MAX)
            return set_error(ctx, set,
                             "write NAME=VALUE, NAME a param or a path such as "
                             "operator.fly.steer");
        path->parts[path->count++] = at;
        if (at[part] == '\0')
            return true;
        at[part] = '\0';
        at += part + 1;
    }
}

/* A bare name: a param of the file; the keys of [job] are near misses. */
static bool check_param(cfg_ctx *ctx, const char *set, const cfg_node *root, const char *name)
{
    const cfg_node *table = cfg_section_table(root, "param");
    const char *names[CFG_PARAMS_MAX];
    char hint[CFG_HINT_MAX];
    uint32_t count = 0;

    for (const cfg_node *node = table != NULL ? table->first : NULL;
         node != NULL && count < CFG_PARAMS_MAX; node = node->next) {
        if (strcmp(node->key, name) == 0)
            return true;
        names[count++] = node->key;
    }
    for (const weir_option *o = cfg_section_of("job")->options; o->name != NULL; o++)
        if (strcmp(o->name, name) == 0)
            return set_error(ctx, set, "unknown param \"%.64s\" (did you mean \"job.%s\"?)", name,
                             name);
    return set_error(ctx, set, "unknown param \"%.64s\"%s", name,
                     cfg_hint(ctx, hint, name, names, count));
}

/* The NAME of [section.NAME] must be in the file; only a policy's (a worker's) may be new. */
static bool check_named(cfg_ctx *ctx, const char *set, const cfg_node *table, const char *section,
                        const char *name)
{
    const char *names[DF_OPERATORS_MAX];
    char hint[CFG_HINT_MAX];
    uint32_t count = 0;

    for (const cfg_node *node = table != NULL ? table->first : NULL;
         node != NULL && count < DF_OPERATORS_MAX; node = node->next) {
        if (strcmp(node->key, name) == 0)
            return true;
        names[count++] = node->key;
    }
    return set_error(ctx, set, "there is no %s \"%.64s\"%s", section, name,
                     cfg_hint(ctx, hint, name, names, count));
}

static bool check_path(cfg_ctx *ctx, const char *set, const cfg_node *root, set_path *path)
{
    const char *name = path->parts[0];
    const cfg_section *section = cfg_section_of(name);
    char hint[CFG_HINT_MAX];

    if (path->count == 1) {
        path->parts[1] = name;
        path->parts[0] = "param";
        path->count = 2;
        return check_param(ctx, set, root, name);
    }
    if (section == NULL)
        return set_error(ctx, set, "unknown section \"%.64s\"%s", name,
                         cfg_section_hint(ctx, hint, name));
    if (section->options == NULL)
        return check_param(ctx, set, root, path->parts[1]);
    if (section->named && !section->policy)
        return check_named(ctx, set, cfg_section_table(root, name), name, path->parts[1]);
    return true;
}

/* ---- the tree ---- */

static cfg_node *add_table(cfg_ctx *ctx, cfg_node *table, const char *key, const char *set)
{
    cfg_node *node = cfg_alloc(ctx, 1, sizeof *node), **link = &table->first;

    if (node == NULL)
        return NULL;
    *node = (cfg_node){ .type = CFG_TABLE, .key = cfg_copy(ctx, key), .set = set };
    if (node->key == NULL)
        return NULL;
    while (*link != NULL)
        link = &(*link)->next;
    *link = node;
    table->count++;
    return node;
}

static void apply_set(cfg_ctx *ctx, cfg_node *root, const char *set)
{
    const char *equals = strchr(set, '=');
    cfg_node *node = root, *value;
    set_path path;

    if (equals == NULL || equals - set >= CFG_SET_MAX) {
        set_error(ctx, set, "write NAME=VALUE");
        return;
    }
    if (!split_path(ctx, set, (size_t)(equals - set), &path) || !check_path(ctx, set, root, &path))
        return;
    for (uint32_t i = 0; i < path.count; i++) {
        cfg_node *child;
        if (node->type != CFG_TABLE) {
            set_error(ctx, set, "\"%.64s\" holds no keys", path.parts[i - 1]);
            return;
        }
        child = cfg_find(node, path.parts[i]);
        node = child != NULL ? child : add_table(ctx, node, path.parts[i], set);
        if (node == NULL)
            return;
    }
    value = cfg_parse_value(ctx, equals + 1 + strspn(equals + 1, " "), set, (df_place){ 0, 0 });
    if (value == NULL)
        return;
    /* The node keeps its key and its place among the others. */
    value->key = node->key;
    value->key_place = node->key_place;
    value->next = node->next;
    *node = *value;
}

void cfg_apply_sets(cfg_ctx *ctx, cfg_node *root)
{
    for (uint32_t i = 0; i < ctx->options->set_count; i++)
        apply_set(ctx, root, ctx->options->sets[i]);
}
