#include "tests/support/table.h"
#include "operators/op_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

const weir_operator *job_kind(const char *name)
{
    for (uint32_t i = 0; i < op_kinds.count; i++)
        if (strcmp(op_kinds.list[i]->name, name) == 0)
            return op_kinds.list[i];
    fprintf(stderr, "no kind %s\n", name);
    abort();
}

static void set_number(int type, void *field, double value)
{
    if (type == WEIR_F32)
        *(float *)field = (float)value;
    else if (type == WEIR_F64)
        *(double *)field = value;
    else if (type == WEIR_I32)
        *(int32_t *)field = (int32_t)value;
    else if (type == WEIR_I64)
        *(int64_t *)field = (int64_t)value;
    else if (type == WEIR_U32)
        *(uint32_t *)field = (uint32_t)value;
    else if (type == WEIR_U64)
        *(uint64_t *)field = (uint64_t)value;
    else
        *(uint8_t *)field = (uint8_t)value;
}

/* Which of "a|b|c" a text is. */
static uint32_t choice_of(const char *choices, const char *text)
{
    uint32_t index = 0;
    size_t size = strlen(text);

    for (const char *at = choices;; at += strcspn(at, "|") + 1, index++) {
        if (strcspn(at, "|") == size && strncmp(at, text, size) == 0)
            return index;
        if (strchr(at, '|') == NULL)
            abort();
    }
}

static const weir_option *find_option(const weir_operator *kind, const char *name)
{
    for (const weir_option *o = kind->options; o->name != NULL; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    fprintf(stderr, "kind %s has no option %s\n", kind->name, name);
    abort();
}

static void default_text(const weir_operator *kind, void *options, const weir_option *o)
{
    static char texts[64][WEIR_NAME_MAX]; /* one process makes few */
    static uint32_t used;
    char *text = texts[used++ % 64];

    snprintf(text, WEIR_NAME_MAX, "%s", o->value + 1);
    text[strlen(text) - 1] = '\0'; /* the quotes */
    if (text[0] != '\0')
        job_set_text(kind, options, o->name, text);
}

void job_defaults(const weir_operator *kind, void *options)
{
    memset(options, 0, kind->options_size);
    for (const weir_option *o = kind->options; o->name != NULL; o++) {
        double least, most;
        if (o->value == NULL || o->value[0] == '\0')
            continue;
        if (o->type < WEIR_TEXT)
            job_set(kind, options, o->name, strtod(o->value, NULL));
        else if (o->type == WEIR_BOOL)
            *(bool *)((char *)options + o->offset) = o->value[0] == 't';
        else if (o->type == WEIR_RANGE && sscanf(o->value, "[%lf, %lf]", &least, &most) == 2)
            job_set_range(kind, options, o->name, least, most);
        else if (o->value[0] == '"')
            default_text(kind, options, o);
    }
}

void job_set(const weir_operator *kind, void *options, const char *name, double value)
{
    const weir_option *o = find_option(kind, name);

    if (o->type == WEIR_RANGE)
        job_set_range(kind, options, name, value, value);
    else
        set_number(o->type, (char *)options + o->offset, value);
}

void job_set_range(const weir_operator *kind, void *options, const char *name, double least, double most)
{
    double *field = (double *)(void *)((char *)options + find_option(kind, name)->offset);

    field[0] = least;
    field[1] = most;
}

void job_set_text(const weir_operator *kind, void *options, const char *name, const char *text)
{
    const weir_option *o = find_option(kind, name);
    void *field = (char *)options + o->offset;

    if (o->type == WEIR_CHOICE)
        *(uint32_t *)field = choice_of(o->choices, text);
    else
        *(const char **)field = text;
}

void job_set_compute(const weir_operator *kind, void *options, const char *name,
                     const weir_compute *items, uint32_t count)
{
    weir_computes *field = (weir_computes *)(void *)((char *)options + find_option(kind, name)->offset);

    *field = (weir_computes){ .count = count, .items = items };
}

/* ---- tables ---- */

static void *checked(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

typedef struct table_row {
    uint64_t key;
    const weir_batch *batch;
    uint32_t row;
} table_row;

static int compare_rows(const void *a, const void *b)
{
    const table_row *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

static uint32_t state_index(const df_plan *plan, const char *state)
{
    for (uint32_t i = 0; i < plan->state_count; i++)
        if (strcmp(plan->states[i].name, state) == 0)
            return i;
    abort();
}

static void read_state(table *out, const df_graph *graph, const df_plan *plan, uint32_t state)
{
    uint32_t groups = plan->vertices[state].partition.key_groups, at = 0;
    table_row *rows;

    *out = (table){ .schema = &plan->streams[plan->states[state].stream].schema };
    for (uint32_t g = 0; g < groups; g++)
        out->count += df_graph_state(graph, state, g)->row_count;
    rows = checked(calloc(out->count + 1, sizeof *rows));
    for (uint32_t g = 0; g < groups; g++) {
        const weir_batch *batch = df_graph_state(graph, state, g);
        for (uint32_t i = 0; i < batch->row_count; i++)
            rows[at++] = (table_row){ .key = batch->keys[i], .batch = batch, .row = i };
    }
    qsort(rows, out->count, sizeof *rows, compare_rows);
    out->keys = checked(calloc(out->count + 1, sizeof *out->keys));
    for (uint32_t i = 0; i < out->count; i++)
        out->keys[i] = rows[i].key;
    for (uint32_t c = 0; c < out->schema->column_count; c++) {
        size_t size = weir_type_size(out->schema->columns[c].type);
        out->bits[c] = checked(calloc(out->count + 1, sizeof *out->bits[c]));
        for (uint32_t i = 0; i < out->count; i++)
            memcpy(&out->bits[c][i], (const char *)rows[i].batch->columns[c] + rows[i].row * size, size);
    }
    free(rows);
}

void table_run(table *out, const df_plan *plan, uint64_t step, const char *state, uint32_t threads)
{
    df_graph_options options = { .threads = threads, .directory = ".", .keep_states = true };
    df_graph *graph;
    df_error err;

    if (df_graph_new(&graph, plan, &options, &err) != DF_OK ||
        df_graph_run(graph, step, &err) != DF_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    read_state(out, graph, plan, state_index(plan, state));
    df_graph_free(&graph);
}

void table_fini(table *t)
{
    free(t->keys);
    for (uint32_t c = 0; c < WEIR_COLUMNS_MAX; c++)
        free(t->bits[c]);
    *t = (table){ 0 };
}

uint32_t table_column(const table *t, const char *name)
{
    int index = weir_schema_find(t->schema, name);

    if (index < 0) {
        fprintf(stderr, "no column %s\n", name);
        abort();
    }
    return (uint32_t)index;
}

double table_get(const table *t, const char *column, uint32_t row)
{
    uint32_t c = table_column(t, column);
    float f32;
    double f64;

    memcpy(&f32, &t->bits[c][row], sizeof f32);
    memcpy(&f64, &t->bits[c][row], sizeof f64);
    switch (t->schema->columns[c].type) {
    case WEIR_F32:
        return (double)f32;
    case WEIR_F64:
        return f64;
    case WEIR_I32:
        return (int32_t)t->bits[c][row];
    case WEIR_I64:
        return (double)(int64_t)t->bits[c][row];
    default:
        return (double)t->bits[c][row];
    }
}

bool table_same(const table *a, const table *b)
{
    bool same = a->count == b->count && a->schema->column_count == b->schema->column_count &&
                memcmp(a->keys, b->keys, a->count * sizeof *a->keys) == 0;

    for (uint32_t c = 0; same && c < a->schema->column_count; c++)
        same = memcmp(a->bits[c], b->bits[c], a->count * sizeof *a->bits[c]) == 0;
    return same;
}
