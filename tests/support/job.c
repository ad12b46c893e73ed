#include "tests/support/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *alloc(df_draft *draft, size_t size)
{
    void *memory = df_arena_alloc(draft->arena, size);

    if (memory == NULL)
        abort();
    return memory;
}

static df_text text(df_draft *draft, const char *from, size_t size)
{
    char *copy = alloc(draft, size + 1);

    memcpy(copy, from, size);
    return (df_text){ .text = copy, .place = { 1, 1 } };
}

/* The next word of a list; *list moves behind it. False: there is none. */
static bool word(df_draft *draft, const char **list, df_text *out)
{
    size_t size;

    *list += strspn(*list, " ");
    size = strcspn(*list, " ");
    if (size == 0)
        return false;
    *out = text(draft, *list, size);
    *list += size;
    return true;
}

df_draft *job_new(const char *name, uint64_t steps)
{
    df_arena *arena = df_arena_new();
    df_draft *draft;

    if (arena == NULL)
        abort();
    draft = df_arena_alloc(arena, sizeof *draft);
    if (draft == NULL)
        abort();
    draft->arena = arena;
    draft->file = "test.toml";
    snprintf(draft->job.name, sizeof draft->job.name, "%s", name);
    draft->job.steps = steps;
    draft->job.seed = 1;
    draft->job.dt = 1;
    draft->job.directory = ".";
    draft->key_groups = 32;
    draft->window = 4;
    draft->spaces = alloc(draft, 8 * sizeof *draft->spaces);
    draft->states = alloc(draft, 8 * sizeof *draft->states);
    draft->operators = alloc(draft, DF_OPERATORS_MAX * sizeof *draft->operators);
    return draft;
}

void job_space(df_draft *draft, const char *name, const char *axes, double size, bool periodic)
{
    df_draft_space *space = &draft->spaces[draft->space_count++];

    space->name = text(draft, name, strlen(name));
    for (; axes[space->axis_count] != '\0'; space->axis_count++) {
        space->axes[space->axis_count] = text(draft, axes + space->axis_count, 1).text;
        space->size[space->axis_count] = size;
        space->periodic[space->axis_count] = periodic;
    }
}

static void add_column(weir_schema *schema, const char *declared)
{
    static const weir_type types[] = { WEIR_F32, WEIR_F64, WEIR_I32, WEIR_I64,
                                       WEIR_U32, WEIR_U64, WEIR_U8 };
    const char *colon = strchr(declared, ':');
    weir_column *column = &schema->columns[schema->column_count++];

    memcpy(column->name, declared, (size_t)(colon - declared));
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(weir_type_name(types[i]), colon + 1) == 0)
            column->type = types[i];
}

df_draft_state *job_state(df_draft *draft, const char *name, const char *space, const char *columns,
                          const char *first, const char *next)
{
    df_draft_state *state = &draft->states[draft->state_count++];
    df_text column;

    state->name = text(draft, name, strlen(name));
    if (space != NULL)
        state->space = text(draft, space, strlen(space));
    while (word(draft, &columns, &column))
        add_column(&state->schema, column.text);
    state->first = text(draft, first, strlen(first));
    state->next = alloc(draft, 8 * sizeof *state->next);
    while (word(draft, &next, &state->next[state->next_count]))
        state->next_count++;
    return state;
}

static void add_input(df_draft *draft, df_draft_operator *op, df_text declared)
{
    const char *equals = strchr(declared.text, '=');
    df_draft_input *input = NULL;
    df_text port = text(draft, declared.text, (size_t)(equals - declared.text));

    for (uint32_t i = 0; i < op->input_count; i++)
        if (strcmp(op->inputs[i].port.text, port.text) == 0)
            input = &op->inputs[i];
    if (input == NULL) {
        input = &op->inputs[op->input_count++];
        input->port = port;
        input->streams = alloc(draft, 32 * sizeof *input->streams);
    }
    input->streams[input->stream_count++] = text(draft, equals + 1, strlen(equals + 1));
}

df_draft_operator *job_operator(df_draft *draft, const char *name, const weir_operator *kind,
                                const void *options, const char *inputs)
{
    df_draft_operator *op = &draft->operators[draft->operator_count++];
    df_text declared;

    op->name = text(draft, name, strlen(name));
    op->sink = kind->role == WEIR_SINK;
    op->kind = kind;
    op->every_steps = 1;
    op->options = alloc(draft, kind->options_size + 1);
    if (options != NULL)
        memcpy(op->options, options, kind->options_size);
    while (inputs != NULL && word(draft, &inputs, &declared))
        add_input(draft, op, declared);
    return op;
}

df_plan *job_plan(df_draft **draft)
{
    static df_report report;
    df_plan *plan;

    df_report_init(&report, "test.toml");
    if (df_plan_new(&plan, draft, &report) != DF_OK) {
        df_report_print(&report, stderr);
        abort();
    }
    return plan;
}

const char *job_errors(df_draft **draft)
{
    static df_report report;
    static char lines[DF_REPORT_MAX * (sizeof report.entries[0].text + 1) + 1];
    df_plan *plan;
    size_t used = 0;

    df_report_init(&report, "test.toml");
    if (df_plan_new(&plan, draft, &report) == DF_OK || report.count == 0)
        abort();
    for (uint32_t i = 0; i < report.count && i < DF_REPORT_MAX; i++)
        used += (size_t)sprintf(lines + used, "%s\n", report.entries[i].text);
    return lines;
}

df_hash job_run(const df_plan *plan, uint32_t threads, uint64_t shuffle_seed)
{
    df_graph_options options = { .threads = threads, .directory = ".", .shuffle_seed = shuffle_seed };
    df_graph *graph;
    df_error err;
    df_hash hash;
    uint64_t step;

    if (df_graph_new(&graph, plan, &options, &err) != DF_OK ||
        df_graph_run(graph, plan->job.steps, &err) != DF_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    if (!df_graph_fingerprint(graph, &step, &hash) || step != plan->job.steps)
        abort();
    df_graph_free(&graph);
    return hash;
}
