/* [operator.NAME] and [sink.NAME]: the keys that every operator has, and those of its kind. */
#include "config/cfg_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- inputs ---- */

static void add_input(const cfg_scope *scope, const cfg_node *node, const char *port,
                      df_draft_operator *op)
{
    df_draft_input *input;
    char path[WEIR_NAME_MAX + 8];

    if (op->input_count == WEIR_PORTS_MAX) {
        cfg_error_key(scope->ctx, node, "%s: in: an operator has at most %d inputs", scope->who,
                      WEIR_PORTS_MAX);
        return;
    }
    snprintf(path, sizeof path, "in%s%.60s", port != NULL ? "." : "", port != NULL ? port : "");
    input = &op->inputs[op->input_count];
    input->port = (df_text){ port, cfg_place(node) };
    if (cfg_get_texts(scope, node, path, &input->streams, &input->stream_count))
        op->input_count++;
}

static void read_inputs(const cfg_scope *scope, const cfg_node *in, df_draft_operator *op)
{
    if (in->type != CFG_TABLE) {
        add_input(scope, in, NULL, op);
        return;
    }
    if (in->count == 0)
        cfg_error_value(scope->ctx, in, "%s: in: expected a stream, found an empty table",
                        scope->who);
    for (const cfg_node *node = in->first; node != NULL; node = node->next)
        add_input(scope, node, node->key, op);
}

/* ---- where each key stands, for the plan's errors ---- */

static const char *join_key(cfg_ctx *ctx, const char *key, const char *inner)
{
    size_t size = strlen(key) + strlen(inner) + 2;
    char *joined = cfg_alloc(ctx, size, 1);

    if (joined != NULL)
        snprintf(joined, size, "%s.%s", key, inner);
    return joined;
}

static void note_keys(cfg_ctx *ctx, const cfg_node *table, df_draft_operator *op)
{
    uint32_t count = table->count;

    for (const cfg_node *node = table->first; node != NULL; node = node->next)
        count += node->type == CFG_TABLE ? node->count : 0;
    op->keys = cfg_alloc(ctx, count + 1, sizeof *op->keys);
    if (op->keys == NULL)
        return;
    for (const cfg_node *node = table->first; node != NULL; node = node->next) {
        op->keys[op->key_count++] = (df_draft_key){ node->key, cfg_place(node) };
        if (node->type != CFG_TABLE)
            continue;
        for (const cfg_node *inner = node->first; inner != NULL; inner = inner->next) {
            const char *path = join_key(ctx, node->key, inner->key);
            if (path == NULL)
                return;
            op->keys[op->key_count++] = (df_draft_key){ path, cfg_place(inner) };
        }
    }
}

/* ---- one operator ---- */

static void read_time(const cfg_scope *scope, const cfg_node *table, const cfg_operator *given,
                      df_draft_operator *op)
{
    op->every_steps = given->every_steps;
    op->at_end = given->at == CFG_AT_END;
    if (op->at_end && op->every_steps != 1)
        cfg_error_key(scope->ctx, cfg_find(table, "at"),
                      "%s: at = \"end\" is the last step only, "
                      "so \"every_steps\" has no meaning beside it",
                      scope->who);
}

static void read_operator(cfg_ctx *ctx, const cfg_node *table, bool sink, df_draft_operator *op)
{
    cfg_scope scope = { .ctx = ctx, .noun = "parameter" };
    const cfg_node *kind = cfg_find(table, "kind");
    cfg_operator given = { .every_steps = 1 };
    cfg_target targets[2] = { { cfg_section_of("operator")->options, &given }, { 0 } };

    snprintf(scope.who, sizeof scope.who, "%s \"%.64s\"", sink ? "sink" : "operator", table->key);
    op->name = (df_text){ table->key, cfg_place(table) };
    op->sink = sink;
    op->kind_place = cfg_place(kind != NULL ? kind : table);
    op->kind = kind == NULL ? NULL : cfg_find_kind(&scope, kind, sink);
    if (op->kind != NULL) {
        op->options = cfg_alloc(ctx, 1, op->kind->options_size + 1);
        if (op->options == NULL)
            return;
        targets[1] = (cfg_target){ op->kind->options, op->options };
    }
    scope.any_key = op->kind == NULL;
    cfg_fill(&scope, table, targets, 2);
    if (given.in != NULL)
        read_inputs(&scope, given.in, op);
    read_time(&scope, table, &given, op);
    note_keys(ctx, table, op);
}

/* ---- all of them ---- */

typedef struct operator_entry {
    const cfg_node *node;
    bool sink;
} operator_entry;

static int by_place(const void *a, const void *b)
{
    df_place x = ((const operator_entry *)a)->node->key_place;
    df_place y = ((const operator_entry *)b)->node->key_place;

    if (x.line != y.line)
        return x.line < y.line ? -1 : 1;
    return x.column < y.column ? -1 : x.column > y.column;
}

static uint32_t add_entries(const cfg_node *table, bool sink, operator_entry *entries)
{
    uint32_t count = 0;

    for (const cfg_node *node = table != NULL ? table->first : NULL; node != NULL;
         node = node->next)
        if (node->type == CFG_TABLE)
            entries[count++] = (operator_entry){ node, sink };
    return count;
}

static void check_namespace(cfg_ctx *ctx, const cfg_node *node)
{
    for (uint32_t i = 0; i < ctx->draft->state_count; i++)
        if (strcmp(ctx->draft->states[i].name.text, node->key) == 0)
            cfg_error_key(ctx, node,
                          "operator \"%.64s\": a state has this name, and a stream is "
                          "named after its operator or state",
                          node->key);
}

typedef struct written_file {
    const char *path;
    const df_draft_operator *op;
} written_file;

static bool writes(const weir_option *option, const df_draft_operator *op, const char **path)
{
    *path = option->type != WEIR_FILE_OUT ? NULL
                                          : *(const char **)((char *)op->options + option->offset);
    return *path != NULL;
}

/* Note a file that is written, unless it is so already. */
static uint32_t add_file(cfg_ctx *ctx, written_file *files, uint32_t count, written_file file)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(files[i].path, file.path) == 0) {
            df_report_add(ctx->report, file.op->name.place,
                          "%s \"%.64s\": file \"%.64s\" is "
                          "written by \"%.64s\", too",
                          file.op->sink ? "sink" : "operator", file.op->name.text, file.path,
                          files[i].op->name.text);
            return count;
        }
    files[count] = file;
    return count + 1;
}

/* No two sinks may write one file. */
static void check_files(cfg_ctx *ctx)
{
    const df_draft *draft = ctx->draft;
    written_file *files = NULL;
    uint32_t count = 0;
    const char *path;

    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < draft->operator_count; i++) {
            const df_draft_operator *op = &draft->operators[i];
            const weir_option *o = op->options != NULL ? op->kind->options : NULL;
            for (; o != NULL && o->name != NULL; o++)
                if (writes(o, op, &path))
                    count = pass == 0 ? count + 1
                                      : add_file(ctx, files, count, (written_file){ path, op });
        }
        if (pass == 0)
            files = cfg_alloc(ctx, (size_t)count + 1, sizeof *files);
        if (files == NULL)
            return;
        count = pass == 0 ? 0 : count;
    }
}

void cfg_read_operators(cfg_ctx *ctx, const cfg_node *root)
{
    const cfg_node *operators = cfg_section_table(root, "operator");
    const cfg_node *sinks = cfg_section_table(root, "sink");
    size_t most = (size_t)(operators ? operators->count : 0) + (sinks ? sinks->count : 0);
    operator_entry *entries;
    df_draft *draft = ctx->draft;
    uint32_t count;

    if (most > DF_OPERATORS_MAX) {
        cfg_error_key(ctx, operators != NULL ? operators : sinks,
                      "a job has at most %d operators "
                      "and sinks, found %zu",
                      DF_OPERATORS_MAX, most);
        return;
    }
    entries = cfg_alloc(ctx, most + 1, sizeof *entries);
    draft->operators = cfg_alloc(ctx, most + 1, sizeof *draft->operators);
    if (ctx->no_memory)
        return;
    count = add_entries(operators, false, entries);
    for (uint32_t i = 0; i < count; i++)
        check_namespace(ctx, entries[i].node);
    count += add_entries(sinks, true, entries + count);
    qsort(entries, count, sizeof *entries, by_place);
    for (uint32_t i = 0; i < count && !ctx->no_memory; i++)
        read_operator(ctx, entries[i].node, entries[i].sink,
                      &draft->operators[draft->operator_count++]);
    check_files(ctx);
}
