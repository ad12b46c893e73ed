/* Exchanges that need not leave their key group.
 *
 * A source of dense keys may say that a column holds the number of a row's run (key / run). Key groups are
 * cut at runs, so all rows of a run live in one; what is grouped by that column, or looked up by it in a
 * table that is cut the same way, is found where the rows are. Then no key group waits for another.
 *
 * The proof, for each stream: which column holds the number of the run, in all rows, if any does.
 * 1. A state's `first` rows come from such a source, and each of its `next` streams has the property in
 *    the same column. The rows of a state are spread over its key groups by key.
 * 2. An operator keeps it that passes the column of a forward input and gives no births: each of its rows
 *    has a key of the input, and what the input's row has in the column (weir_plan_pass).
 * A state's property is assumed at first and taken back when a `next` stream lacks it, until nothing
 * changes; so what is left holds by induction over the steps. A kind that breaks 2. fails the step when
 * its rows are exchanged: the engine looks whether keys are at home. */
#include "dataflow/df_plan_build.h"

#include <string.h>

static uint64_t runs_of(uint64_t rows, uint64_t run)
{
    return rows / run + (rows % run != 0);
}

/* Whether a column of this type can hold the numbers 0 .. count - 1. */
static bool holds_numbers(weir_type type, uint64_t count)
{
    switch (type) {
    case WEIR_U8:
        return count <= 1ull << 8;
    case WEIR_I32:
        return count <= 1ull << 31;
    case WEIR_U32:
        return count <= 1ull << 32;
    default:
        return type == WEIR_I64 || type == WEIR_U64;
    }
}

/* The column of a source's stream that holds the number of the run, or -1. */
static int16_t source_column(const df_plan *p, const df_vertex *v, const df_stream *s)
{
    if (v->run_column < 0 || s->out != 0 || v->rows == UINT64_MAX || v->rows == 0)
        return -1;
    return holds_numbers(p->streams[v->outs[0]].schema.columns[v->run_column].type,
                         runs_of(v->rows, v->run))
               ? v->run_column : -1;
}

/* The column of an operator's output that is passed from one with the property, or -1. */
static int16_t passed_column(const df_plan *p, const df_vertex *v, const df_stream *s)
{
    const df_port *port = &v->ports[s->passed_port];
    int16_t from;

    if (v->birth_number != DF_NONE || port->exchange != WEIR_FORWARD)
        return -1;
    from = p->streams[port->streams[0]].run_column;
    for (uint32_t k = 1; k < port->stream_count; k++)
        if (p->streams[port->streams[k]].run_column != from)
            return -1;
    for (uint32_t c = 0; from >= 0 && c < s->schema.column_count; c++)
        if (s->passed[c] == from)
            return (int16_t)c;
    return -1;
}

/* What a state gets from its source, as a column of the state. */
static int16_t first_column(const df_plan *p, const df_state *state)
{
    const df_stream *first = &p->streams[p->vertices[state->vertex].ports[0].streams[0]];
    const df_vertex *source = &p->vertices[first->vertex];
    int16_t column = source->port_count == 0 ? source_column(p, source, first) : -1;

    if (column < 0 || p->streams[state->stream].partition.kind != DF_PART_RANGE)
        return -1;
    return (int16_t)weir_schema_find(&p->streams[state->stream].schema,
                                     first->schema.columns[column].name);
}

/* Whether all next streams have it in the state's column. */
static bool next_has_it(const df_plan *p, const df_state *state)
{
    const df_port *next = &p->vertices[state->vertex].ports[1];
    const df_stream *own = &p->streams[state->stream];

    for (uint32_t k = 0; k < next->stream_count; k++) {
        const df_stream *s = &p->streams[next->streams[k]];
        if (s->run_column < 0 ||
            strcmp(s->schema.columns[s->run_column].name, own->schema.columns[own->run_column].name) != 0)
            return false;
    }
    return true;
}

void plan_find_run_columns(df_plan *p)
{
    bool changed = true;

    for (uint32_t i = 0; i < p->state_count; i++)
        p->streams[p->states[i].stream].run_column = first_column(p, &p->states[i]);
    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < p->vertex_count; i++) {
            const df_vertex *v = &p->vertices[p->order[i]];
            for (uint32_t o = 0; v->role == DF_OPERATOR && o < v->out_count; o++) {
                df_stream *s = &p->streams[v->outs[o]];
                s->run_column = v->port_count == 0 ? source_column(p, v, s) : passed_column(p, v, s);
            }
        }
        for (uint32_t i = 0; i < p->state_count; i++) {
            df_stream *s = &p->streams[p->states[i].stream];
            if (s->run_column >= 0 && !next_has_it(p, &p->states[i])) {
                s->run_column = -1;
                changed = true;
            }
        }
    }
}

/* Whether the column of an exchange holds the number of the run in all streams of port 0, which are
 * spread alike. */
static bool goes_by_run(const df_plan *p, const df_vertex *v, int column)
{
    const df_partition *part = &p->streams[v->ports[0].streams[0]].partition;

    if (part->kind != DF_PART_RANGE)
        return false;
    for (uint32_t k = 0; k < v->ports[0].stream_count; k++) {
        const df_stream *s = &p->streams[v->ports[0].streams[k]];
        if (s->run_column < 0 || s->run_column != column || !plan_same_partition(&s->partition, part))
            return false;
    }
    return true;
}

/* How the runs of a partition are spread: each with its rows. */
static df_partition partition_of_runs(const df_partition *part)
{
    return (df_partition){ .kind = DF_PART_RANGE, .key_groups = part->key_groups, .space = DF_NONE,
                           .rows = runs_of(part->rows, part->run), .run = 1 };
}

void plan_group_at_home(const df_plan *p, const df_vertex *v, df_partition *part)
{
    if (goes_by_run(p, v, v->ports[0].column))
        *part = partition_of_runs(&p->streams[v->ports[0].streams[0]].partition);
}

/* A lookup by the number of the run, in a table that is spread as the runs are. */
static bool looks_up_at_home(const df_plan *p, const df_vertex *v, const df_port *port)
{
    const df_stream *table = &p->streams[port->streams[0]];
    df_partition runs;

    if (v->ports[0].exchange != WEIR_FORWARD || !goes_by_run(p, v, port->column))
        return false;
    runs = partition_of_runs(&v->partition);
    return plan_same_partition(&table->partition, &runs);
}

bool plan_stays_home(const df_plan *p, const df_vertex *v, const df_port *port)
{
    if (port->exchange == WEIR_KEY_BY)
        return v->partition.kind == DF_PART_RANGE;
    return port->exchange == WEIR_LOOKUP ? looks_up_at_home(p, v, port) : port->exchange == WEIR_FORWARD;
}
