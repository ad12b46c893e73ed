/* The rules for a state that does not settle at every step. Between two steps at which it does, its
 * rows keep their tile, their place in the batch and their key, so whatever makes its next rows must
 * hand on the rows that it read: none is born, dies, or moves to another place. All of that can be
 * seen in the plan, for a kind declares it (weir_plan_pass). */
#include "dataflow/df_plan_build.h"

#include <stdio.h>

/* The operator that breaks the chain of rows handed on from the state to the state, or null. */
static const df_vertex *breaks_chain(const df_plan *p, const df_state *state, uint32_t stream)
{
    while (stream != state->stream) {
        const df_stream *s = &p->streams[stream];
        const df_vertex *v = &p->vertices[s->vertex];
        const df_port *port = &v->ports[s->passed_port];

        if (!s->passes || port->stream_count != 1 ||
            (port->exchange != WEIR_FORWARD && port->exchange != WEIR_HALO))
            return v;
        stream = port->streams[0];
    }
    return NULL;
}

static void check_next(plan_build *b, const df_state *state, const df_draft_state *d)
{
    const df_port *next = &b->plan->vertices[state->vertex].ports[1];
    const df_vertex *v;

    if (next->stream_count > 1) {
        df_report_add(b->report, d->settle_place, "state \"%s\": with settle_every = %llu its rows keep "
                      "their places, so next must be one stream, not a list", state->name,
                      (unsigned long long)state->settle_every);
        return;
    }
    v = next->stream_count == 1 ? breaks_chain(b->plan, state, next->streams[0]) : NULL;
    if (v != NULL)
        df_report_add(b->report, d->settle_place, "state \"%s\": with settle_every = %llu its rows keep "
                      "their places, so all that leads to next \"%s\" must hand on the state's own rows, "
                      "and \"%s\" makes others: use settle_every = 1", state->name,
                      (unsigned long long)state->settle_every, d->next[0].text, v->name);
}

static void check_state(plan_build *b, const df_state *state, const df_draft_state *d)
{
    if (d->space.text == NULL)
        df_report_add(b->report, d->settle_place, "state \"%s\": only rows in a space settle, and it has "
                      "none", state->name);
    else if (state->moves_anywhere)
        df_report_add(b->report, d->settle_place, "state \"%s\": rows that move anywhere must settle at "
                      "every step", state->name);
    else if (!(state->skin > 0))
        df_report_add(b->report, d->settle_place, "state \"%s\": with settle_every = %llu it needs a "
                      "skin: a row moves at most half of it until rows settle again", state->name,
                      (unsigned long long)state->settle_every);
    else
        check_next(b, state, d);
}

/* The state's columns and, behind them, where each row was on each axis when it settled. */
static const weir_schema *stored_schema(plan_build *b, const df_state *state, const df_draft_state *d)
{
    const weir_schema *own = &b->plan->streams[state->stream].schema;
    uint32_t axes = state->space == DF_NONE ? 0 : b->plan->spaces[state->space].view.axis_count;
    weir_schema *stored;

    if (state->settle_every == 1)
        return own;
    if (own->column_count + axes > WEIR_COLUMNS_MAX) {
        df_report_add(b->report, d->settle_place, "state \"%s\": with settle_every it has at most %u "
                      "columns", state->name, WEIR_COLUMNS_MAX - axes);
        return own;
    }
    stored = plan_alloc(b, sizeof *stored);
    if (stored == NULL)
        return own;
    *stored = *own;
    for (uint32_t a = 0; a < axes; a++) {
        weir_column *column = &stored->columns[stored->column_count++];
        snprintf(column->name, sizeof column->name, "settled.%u", a);
        column->type = WEIR_F32;
    }
    return stored;
}

void plan_check_settling(plan_build *b)
{
    for (uint32_t i = 0; i < b->plan->state_count; i++) {
        df_state *state = &b->plan->states[i];
        const df_draft_state *d = &b->draft->states[i];

        if (state->settle_every > 1)
            check_state(b, state, d);
        state->stored = stored_schema(b, state, d);
    }
}
