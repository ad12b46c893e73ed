/* The new owner's half of a move: what comes is checked, kept here, and handed to this member's readers. The bytes may
 * be anybody's: nothing is changed before all of them have been looked at. */
#include "dataflow/df_bytes.h"
#include "dataflow/df_move_private.h"

#include <string.h>

bool graph_move_awaits(const df_graph *g, uint64_t tick, uint32_t unit)
{
    return unit < g->plan->key_groups &&
           graph_move_unit_comes(g, graph_move_owners_before(g, tick), graph_owners_at(g, tick), unit);
}

static df_status damaged(uint32_t unit, df_error *err)
{
    return df_fail(err, DF_ECORRUPT, "what came of key group %u's move is damaged", unit);
}

static bool may_adopt(const df_graph *g, uint64_t tick, uint32_t unit, uint32_t state, uint32_t key_group)
{
    return state < g->plan->state_count && key_group < graph_move_state_groups(g, state) &&
           graph_move_unit_of(g, g->plan->vertices[g->plan->states[state].vertex].stage, key_group) == unit &&
           g->adopted[state][key_group] < tick;
}

/* Hand a state to this member's readers, as if it had been made here. Null: its commit failed. */
static void adopt(df_graph *g, uint32_t state, uint32_t key_group, uint64_t tick, df_batch *batch)
{
    graph_thread *t = &g->threads[g->thread_count];
    uint32_t stream = g->plan->states[state].stream, slot = graph_ring_slot(g, tick);
    const df_stage *s = &g->plan->stages[g->plan->vertices[g->plan->states[state].vertex].stage];

    g->adopted[state][key_group] = tick;
    if (batch != NULL)
        graph_unit_holds(g, state, key_group, batch->view.row_count);
    t->local[stream] = batch;
    for (uint32_t i = 0; i < s->out_count; i++) {
        uint32_t edge = s->out_edges[i];

        if (g->plan->edges[edge].stream != stream || !g->ticks[slot].edges[edge])
            continue;
        graph_publish_here(t, edge, key_group, slot);
        graph_arrived(g, edge, slot, key_group);
    }
    t->local[stream] = NULL;
    df_batch_unref(t->memory, batch);
    graph_scratch_reset(t);
}

/* What kinds keep about a state's rows in a key group. Looks at each; with `put` it is kept here. */
static bool keeps_read(df_graph *g, df_cursor *c, uint32_t state, uint32_t key_group, uint64_t tick, bool put)
{
    const df_plan *p = g->plan;

    for (uint32_t count = df_get_u32(c); !c->failed && count > 0; count--) {
        uint32_t vertex = df_get_u32(c), port = df_get_u32(c), size = df_get_u32(c);
        const uint8_t *bytes = df_get_bytes(c, size);

        if (c->failed || vertex >= p->vertex_count || port >= p->vertices[vertex].port_count ||
            p->vertices[vertex].ports[port].streams[0] != p->states[state].stream)
            return false;
        if (put)
            graph_kept_put(g, vertex, port, key_group, df_state_settled(&p->states[state], tick - 1), bytes,
                           size);
    }
    return !c->failed;
}

static df_status take_state(df_graph *g, uint64_t tick, uint32_t unit, df_cursor *c, uint32_t rows,
                            df_error *err)
{
    uint32_t state = df_get_u32(c), key_group = df_get_u32(c);
    df_cursor keeps = *c;
    const df_state *s;
    const uint8_t *bytes;
    df_batch *batch;
    df_status status;
    size_t left;

    if (!may_adopt(g, tick, unit, state, key_group) || !keeps_read(g, c, state, key_group, tick, false))
        return damaged(unit, err);
    s = &g->plan->states[state];
    left = df_get_left(c);
    bytes = df_get_bytes(c, left);
    batch = graph_batch_take(g, &g->plan->streams[s->stream].schema, s->stored, rows, bytes, left);
    if (batch == NULL)
        return damaged(unit, err);
    batch->view.step = tick - 1;
    batch->view.key_group = key_group;
    status = df_graph_index_cells(g, state, batch, err);
    if (status != DF_OK) {
        df_batch_unref(df_graph_memory(g), batch);
        return status;
    }
    keeps_read(g, &keeps, state, key_group, tick, true);
    adopt(g, state, key_group, tick, batch);
    return DF_OK;
}

static df_status take_failed(df_graph *g, uint64_t tick, uint32_t unit, df_cursor *c, uint32_t rows,
                             df_error *err)
{
    uint32_t state = df_get_u32(c), key_group = df_get_u32(c);

    if (c->failed || rows != 0 || df_get_left(c) != 0 || !may_adopt(g, tick, unit, state, key_group))
        return damaged(unit, err);
    graph_tick_failed(g, tick);
    adopt(g, state, key_group, tick, NULL);
    return DF_OK;
}

/* Whether the bytes are those of a unit: each entry once, in order. */
static bool carried_fit(const df_graph *g, uint32_t unit, uint32_t entries, df_cursor c)
{
    uint32_t wanted;
    size_t size = graph_move_put_carried(g, unit, NULL, &wanted);

    if (entries != wanted || df_get_left(&c) != size)
        return false;
    for (uint32_t v = 0; v < g->plan->vertex_count; v++) {
        uint32_t stage = g->plan->vertices[v].stage, end = graph_move_first_group(g, stage, unit + 1);

        if (!graph_move_vertex_carries(g, v) || g->plan->stages[stage].sink)
            continue;
        for (uint32_t k = graph_move_first_group(g, stage, unit); k < end; k++) {
            if (df_get_u32(&c) != v || df_get_u32(&c) != k)
                return false;
            df_get_u64(&c);
            df_get_bytes(&c, g->vertices[v].carried_size);
        }
    }
    return !c.failed;
}

static void carried_arrived(df_graph *g, uint32_t unit)
{
    for (uint32_t s = 0; s < g->plan->stage_count; s++) {
        uint32_t end = graph_move_first_group(g, s, unit + 1);

        if (g->gains[s] == NULL)
            continue;
        for (uint32_t k = graph_move_first_group(g, s, unit); k < end; k++) {
            graph_gain *gain = &g->gains[s][k];

            gain->arrived = true;
            if (gain->first == NO_TICK)
                continue;
            gain->open = false;
            g->gains_open--;
            graph_carried_arrived(g, s, graph_ring_slot(g, gain->first), k);
        }
    }
}

static df_status take_carried(df_graph *g, uint64_t tick, uint32_t unit, uint32_t entries, df_cursor *c,
                              df_error *err)
{
    if (!g->carries || g->carried_at[unit] >= tick || !carried_fit(g, unit, entries, *c))
        return damaged(unit, err);
    g->carried_at[unit] = tick;
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t v = df_get_u32(c), k = df_get_u32(c);
        graph_vertex *gv = &g->vertices[v];
        uint64_t births = df_get_u64(c);
        const uint8_t *bytes = df_get_bytes(c, gv->carried_size);

        if (gv->births != NULL)
            gv->births[k] = births;
        if (gv->carried != NULL)
            memcpy(gv->carried + (size_t)k * gv->carried_size * 2, bytes, gv->carried_size);
    }
    carried_arrived(g, unit);
    graph_work_arrived(g, graph_ring_slot(g, tick));
    return DF_OK;
}

df_status graph_move_take(df_graph *g, uint64_t tick, uint32_t unit, const uint8_t *bytes, size_t size,
                          df_error *err)
{
    df_cursor c;
    uint32_t form, count;

    df_cursor_init(&c, bytes, size);
    form = df_get_u32(&c);
    count = df_get_u32(&c);
    if (c.failed || form < MOVE_STATE || form > MOVE_CARRIED)
        return damaged(unit, err);
    if (form == MOVE_CARRIED)
        return take_carried(g, tick, unit, count, &c, err);
    if (form == MOVE_FAILED)
        return take_failed(g, tick, unit, &c, count, err);
    return take_state(g, tick, unit, &c, count, err);
}
