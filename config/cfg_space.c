/* [space.NAME] */
#include "config/cfg_private.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

static bool read_axes(const cfg_scope *scope, const cfg_node *node, const weir_names *axes,
                      df_draft_space *space)
{
    if (axes->count > WEIR_AXES_MAX)
        return cfg_error_value(scope->ctx, node, "%s: axes: lists %u axes, at most %d are allowed",
                               scope->who, axes->count, WEIR_AXES_MAX);
    space->axis_count = axes->count;
    for (uint32_t i = 0; i < axes->count; i++) {
        space->axes[i] = axes->names[i];
        if (strcmp(axes->names[i], "id") == 0)
            return cfg_error_value(scope->ctx, node,
                                   "%s: axes: \"id\" is every row's key and "
                                   "cannot be an axis",
                                   scope->who);
    }
    return true;
}

static void read_length(const cfg_scope *scope, const cfg_node *node, double *out)
{
    cfg_number number;

    /* Coordinates are f32, and so must be their bounds. */
    if (cfg_get_number(scope, node, "size", &number) &&
        cfg_check_range(scope, node, "size", "> 0", &number)) {
        *out = number.real;
        if (number.real > FLT_MAX || number.real < FLT_MIN)
            cfg_error_value(scope->ctx, node,
                            "%s: size: %.15g is beyond f32, which coordinates are", scope->who,
                            number.real);
    }
}

static void read_edge(const cfg_scope *scope, const cfg_node *node, bool *periodic)
{
    static const char *const names[] = { "closed", "periodic" };
    char hint[CFG_HINT_MAX];
    const char *text;

    if (!cfg_get_text(scope, node, "edges", &text))
        return;
    *periodic = strcmp(text, "periodic") == 0;
    if (!*periodic && strcmp(text, "closed") != 0)
        cfg_error_value(scope->ctx, node, "%s: edges: \"%.64s\" is neither closed nor periodic%s",
                        scope->who, text, cfg_hint(scope->ctx, hint, text, names, 2));
}

/* The value of axis `axis`: one for all axes, or a list of one for each. Null: reported. */
static const cfg_node *axis_value(const cfg_scope *scope, const cfg_node *node, const char *key,
                                  uint32_t axis_count, uint32_t axis)
{
    const cfg_node *item = node->first;

    if (node->type != CFG_LIST)
        return node;
    if (node->count != axis_count) {
        cfg_error_value(scope->ctx, node, "%s: %s: lists %u values for %u axes", scope->who, key,
                        node->count, axis_count);
        return NULL;
    }
    for (uint32_t i = 0; i < axis; i++)
        item = item->next;
    return item;
}

static void read_space(cfg_ctx *ctx, const cfg_node *table, df_draft_space *space)
{
    cfg_scope scope = { .ctx = ctx, .noun = "key" };
    cfg_space given = { 0 };
    cfg_target target = { cfg_section_of("space")->options, &given };

    snprintf(scope.who, sizeof scope.who, "space \"%.64s\"", table->key);
    space->name = (df_text){ table->key, cfg_place(table) };
    cfg_fill(&scope, table, &target, 1);
    if (given.axes.count == 0 || !read_axes(&scope, cfg_find(table, "axes"), &given.axes, space))
        return; /* how many axes there are is not known */
    for (uint32_t i = 0; i < space->axis_count; i++) {
        const cfg_node *size =
            given.size ? axis_value(&scope, given.size, "size", space->axis_count, i) : NULL;
        const cfg_node *edge =
            given.edges ? axis_value(&scope, given.edges, "edges", space->axis_count, i) : NULL;
        if (size != NULL)
            read_length(&scope, size, &space->size[i]);
        if (edge != NULL)
            read_edge(&scope, edge, &space->periodic[i]);
    }
}

void cfg_read_spaces(cfg_ctx *ctx, const cfg_node *root)
{
    const cfg_node *table = cfg_section_table(root, "space");
    df_draft *draft = ctx->draft;

    if (table == NULL)
        return;
    if (table->count > DF_SPACES_MAX) {
        cfg_error_key(ctx, table, "a job has at most %d spaces, found %u", DF_SPACES_MAX,
                      table->count);
        return;
    }
    draft->spaces = cfg_alloc(ctx, table->count + 1, sizeof *draft->spaces);
    if (draft->spaces == NULL)
        return;
    for (const cfg_node *node = table->first; node != NULL; node = node->next)
        if (node->type == CFG_TABLE)
            read_space(ctx, node, &draft->spaces[draft->space_count++]);
}
