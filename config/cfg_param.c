/* [param]: names for numbers. A param's expression may use other params, whatever their order in
 * the file, so they are evaluated when first asked for; one that is asked for while it is being
 * evaluated is part of a cycle. */
#include "config/cfg_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(((const cfg_param *)a)->name, ((const cfg_param *)b)->name);
}

static cfg_param *param_of(const cfg_params *params, const char *name)
{
    cfg_param key = { .name = name };

    return params->count == 0 ? NULL
                              : bsearch(&key, params->list, params->count, sizeof key, by_name);
}

/* `"a" -> "b" -> "a" is a cycle`: the busy params from `first` on, in the order they were asked. */
static void cycle_text(const cfg_param *innermost, const cfg_param *first, char *text, size_t size)
{
    const cfg_param *chain[CFG_EXPR_DEPTH_MAX];
    uint32_t count = 0;
    size_t len = 0;

    for (const cfg_param *p = innermost; count < CFG_EXPR_DEPTH_MAX; p = p->asker) {
        chain[count++] = p;
        if (p == first)
            break;
    }
    while (count > 0 && len < size) {
        int more = snprintf(text + len, size - len, "\"%s\" -> ", chain[--count]->name);
        len += more > 0 ? (size_t)more : 0;
    }
    if (len < size)
        snprintf(text + len, size - len, "\"%s\" is a cycle", first->name);
}

static void param_expression(cfg_ctx *ctx, cfg_param *param, uint32_t depth)
{
    cfg_expr_names names = cfg_param_names(ctx);
    cfg_expr_fault fault;

    param->state = CFG_PARAM_BUSY;
    param->asker = ctx->params.busy;
    ctx->params.busy = param;
    if (cfg_expr(param->node->text, &names, depth, &param->value, &fault)) {
        param->state = CFG_PARAM_KNOWN;
    } else {
        param->state = CFG_PARAM_FAILED;
        if (fault.text[0] != '\0')
            cfg_error_inside(ctx, param->node, fault.offset, "param \"%s\": %s", param->name,
                             fault.text);
    }
    ctx->params.busy = param->asker;
}

static void param_value(cfg_ctx *ctx, cfg_param *param, uint32_t depth)
{
    const cfg_node *node = param->node;
    char shown[CFG_SHOWN_MAX];

    if (param->state != CFG_PARAM_NEW)
        return;
    param->state = CFG_PARAM_KNOWN;
    if (node->type == CFG_TEXT) {
        param_expression(ctx, param, depth);
    } else if (node->type == CFG_WHOLE) {
        param->value = (double)node->whole;
    } else if (node->type == CFG_REAL && isfinite(node->real)) {
        param->value = node->real;
    } else {
        param->state = CFG_PARAM_FAILED;
        cfg_error_value(ctx, node, "param \"%s\": expected a number, found %s", param->name,
                        cfg_shown(node, shown));
    }
}

static cfg_found param_find(void *user, const char *name, uint32_t depth, double *value,
                            cfg_expr_fault *fault)
{
    cfg_ctx *ctx = user;
    cfg_param *param = param_of(&ctx->params, name);

    if (param == NULL)
        return CFG_UNKNOWN;
    if (param->state == CFG_PARAM_BUSY) {
        cycle_text(ctx->params.busy, param, fault->text, sizeof fault->text);
        return CFG_FAILED;
    }
    param_value(ctx, param, depth);
    *value = param->value;
    return param->state == CFG_PARAM_KNOWN ? CFG_VALUE : CFG_FAILED;
}

cfg_expr_names cfg_param_names(cfg_ctx *ctx)
{
    /* As with cfg_hint: no hints for errors that are only counted. */
    bool hints = ctx->report->count < DF_REPORT_MAX;

    return (cfg_expr_names){ .find = param_find,
                             .count = hints ? ctx->params.count : 0,
                             .names = ctx->params.names,
                             .user = ctx };
}

static bool param_name_good(const cfg_scope *scope, const cfg_node *node)
{
    if (!cfg_check_name(scope, node, "param", CFG_NAME_COLUMN))
        return false;
    return !cfg_expr_reserved(node->key) ||
           cfg_error_key(scope->ctx, node, "%s: \"%s\" has a meaning of its own in expressions",
                         scope->who, node->key);
}

static bool params_alloc(cfg_ctx *ctx, uint32_t count)
{
    ctx->params.list = cfg_alloc(ctx, count + 1, sizeof *ctx->params.list);
    ctx->params.names = cfg_alloc(ctx, count + 1, sizeof *ctx->params.names);
    return !ctx->no_memory;
}

void cfg_read_params(cfg_ctx *ctx, const cfg_node *root)
{
    const cfg_node *table = cfg_section_table(root, "param");
    cfg_scope scope = { .ctx = ctx, .who = "[param]", .noun = "param" };
    cfg_params *params = &ctx->params;

    if (table == NULL || !params_alloc(ctx, table->count))
        return;
    if (table->count > CFG_PARAMS_MAX) {
        cfg_error_key(ctx, table, "[param]: holds %u params, at most %d are allowed", table->count,
                      CFG_PARAMS_MAX);
        return;
    }
    for (const cfg_node *node = table->first; node != NULL; node = node->next)
        if (param_name_good(&scope, node))
            params->list[params->count++] = (cfg_param){ .name = node->key, .node = node };
    qsort(params->list, params->count, sizeof *params->list, by_name);
    for (uint32_t i = 0; i < params->count; i++)
        params->names[i] = params->list[i].name;
    for (const cfg_node *node = table->first; node != NULL; node = node->next) {
        cfg_param *param = param_of(params, node->key);
        if (param != NULL)
            param_value(ctx, param, 0);
    }
}
