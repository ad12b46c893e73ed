/* [state.NAME] */
#include "config/cfg_private.h"

#include <stdio.h>
#include <string.h>

static weir_type type_of(const char *name)
{
    for (weir_type type = WEIR_F32; type <= WEIR_U8; type++)
        if (strcmp(weir_type_name(type), name) == 0)
            return type;
    return (weir_type)0;
}

static bool unknown_type(const cfg_scope *scope, const cfg_node *node)
{
    const char *names[WEIR_U8];
    char hint[CFG_HINT_MAX];

    for (weir_type type = WEIR_F32; type <= WEIR_U8; type++)
        names[type - WEIR_F32] = weir_type_name(type);
    return cfg_error_key(scope->ctx, node,
                         "%s: columns: unknown type \"%.64s\"%s: a column is f32, "
                         "f64, i32, i64, u32, u64 or u8",
                         scope->who, node->key,
                         cfg_hint(scope->ctx, hint, node->key, names, WEIR_U8));
}

static void add_column(const cfg_scope *scope, const cfg_node *node, const char *name,
                       weir_type type, weir_schema *schema)
{
    weir_column *column;

    if (strcmp(name, "id") == 0) {
        cfg_error_value(scope->ctx, node, "%s: \"id\" is every row's key and no column",
                        scope->who);
    } else if (weir_schema_find(schema, name) >= 0) {
        cfg_error_value(scope->ctx, node, "%s: column \"%s\" is there twice", scope->who, name);
    } else if (schema->column_count == WEIR_COLUMNS_MAX) {
        cfg_error_value(scope->ctx, node, "%s: a state has at most %d columns", scope->who,
                        WEIR_COLUMNS_MAX);
    } else {
        column = &schema->columns[schema->column_count++];
        snprintf(column->name, sizeof column->name, "%s", name);
        column->type = type;
    }
}

static void read_columns(const cfg_scope *scope, const cfg_node *columns, weir_schema *schema)
{
    char shown[CFG_SHOWN_MAX], path[32];

    if (columns->type != CFG_TABLE) {
        cfg_error_value(scope->ctx, columns,
                        "%s: columns: expected columns.TYPE = [names], such as "
                        "columns.f32, found %s",
                        scope->who, cfg_shown(columns, shown));
        return;
    }
    for (const cfg_node *node = columns->first; node != NULL; node = node->next) {
        weir_type type = type_of(node->key);
        const cfg_node *item = node->type == CFG_LIST ? node->first : node;
        weir_names names;

        if (type == 0) {
            unknown_type(scope, node);
            continue;
        }
        snprintf(path, sizeof path, "columns.%s", weir_type_name(type));
        if (!cfg_get_columns(scope, node, path, &names))
            continue;
        for (uint32_t i = 0; i < names.count; i++, item = item->next)
            add_column(scope, item, names.names[i], type, schema);
    }
}

static void read_streams(const cfg_scope *scope, const cfg_state *given, df_draft_state *state)
{
    if (given->space != NULL && cfg_get_text(scope, given->space, "space", &state->space.text))
        state->space.place = cfg_place(given->space);
    if (given->first != NULL && cfg_get_text(scope, given->first, "first", &state->first.text))
        state->first.place = cfg_place(given->first);
    if (given->next != NULL)
        cfg_get_texts(scope, given->next, "next", &state->next, &state->next_count);
}

static void read_state(cfg_ctx *ctx, const cfg_node *table, df_draft_state *state)
{
    cfg_scope scope = { .ctx = ctx, .noun = "key" };
    cfg_state given = { 0 };
    cfg_target target = { cfg_section_of("state")->options, &given };
    const cfg_node *moves = cfg_find(table, "moves");
    const cfg_node *settle = cfg_find(table, "settle_every");

    snprintf(scope.who, sizeof scope.who, "state \"%.64s\"", table->key);
    state->name = (df_text){ table->key, cfg_place(table) };
    cfg_fill(&scope, table, &target, 1);
    if (given.columns != NULL)
        read_columns(&scope, given.columns, &state->schema);
    read_streams(&scope, &given, state);
    state->moves_anywhere = given.moves == CFG_MOVES_ANYWHERE;
    state->moves_place = cfg_place(moves != NULL ? moves : table);
    state->settle_every = given.settle_every;
    state->skin = given.skin;
    state->settle_place = cfg_place(settle != NULL ? settle : table);
}

void cfg_read_states(cfg_ctx *ctx, const cfg_node *root)
{
    const cfg_node *table = cfg_section_table(root, "state");
    df_draft *draft = ctx->draft;

    if (table == NULL)
        return;
    if (table->count > DF_STATES_MAX) {
        cfg_error_key(ctx, table, "a job has at most %d states, found %u", DF_STATES_MAX,
                      table->count);
        return;
    }
    draft->states = cfg_alloc(ctx, table->count + 1, sizeof *draft->states);
    if (draft->states == NULL)
        return;
    for (const cfg_node *node = table->first; node != NULL; node = node->next)
        if (node->type == CFG_TABLE)
            read_state(ctx, node, &draft->states[draft->state_count++]);
}
