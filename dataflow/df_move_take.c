/* The new owner's half of a move: what comes is checked, kept here, and handed to this member's readers. The bytes may
 * be anybody's: nothing is changed before all of them have been looked at. */
#include "dataflow/df_bytes.h"
#include "dataflow/df_move_private.h"

#include <assert.h>
#include <string.h>

bool graph_move_awaits(const df_graph *g, uint64_t tick, uint32_t unit)
{
    return unit < g->plan->key_groups &&
           graph_move_unit_comes(g, graph_move_owners_before(g, tick), graph_owners_at(g, tick), unit);
}

df_status graph_move_damaged(uint32_t unit, df_error *err)
{
    return df_fail(err, DF_ECORRUPT, "what came of key group %u's move is damaged", unit);
}

bool graph_move_is_of_unit(const df_graph *g, uint32_t unit, uint32_t state, uint32_t key_group)
{
    return state < g->plan->state_count && key_group < graph_move_state_groups(g, state) &&
           graph_move_unit_of(g, g->plan->vertices[g->plan->states[state].vertex].stage, key_group) == unit;
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

/* ---- states ---- */

void graph_move_drop(df_graph *g, graph_moved **moved)
{
    graph_moved *m = *moved;

    *moved = NULL;
    if (m == NULL)
        return;
    for (uint32_t i = 0; i < m->kept_count; i++)
        df_pool_unref(g->thread_count, m->kept[i].memory);
    df_batch_unref(df_graph_memory(g), m->batch);
    df_pool_unref(g->thread_count, m);
}

df_status graph_move_finish(df_graph *g, uint64_t tick, uint32_t unit, graph_moved **moved, df_error *err)
{
    graph_moved *m = *moved;
    uint64_t settled = df_state_settled(&g->plan->states[m->state], tick - 1);

    assert(graph_move_awaits(g, tick, unit));
    if (g->adopted[m->state][m->key_group] >= tick) {
        graph_move_drop(g, moved);
        return graph_move_damaged(unit, err);
    }
    for (uint32_t i = 0; i < m->kept_count; i++)
        graph_kept_put(g, m->kept[i].vertex, m->kept[i].port, m->key_group, settled, &m->kept[i].memory,
                       m->kept[i].size);
    adopt(g, m->state, m->key_group, tick, m->batch);
    m->batch = NULL; /* its readers' */
    graph_move_drop(g, moved);
    return DF_OK;
}

static df_status take_failed(df_graph *g, uint64_t tick, uint32_t unit, df_cursor *c, uint32_t rows,
                             df_error *err)
{
    uint32_t state = df_get_u32(c), key_group = df_get_u32(c);

    if (c->failed || rows != 0 || df_get_left(c) != 0 || !graph_move_is_of_unit(g, unit, state, key_group) ||
        g->adopted[state][key_group] >= tick)
        return graph_move_damaged(unit, err);
    graph_tick_failed(g, tick);
    adopt(g, state, key_group, tick, NULL);
    return DF_OK;
}

/* ---- what is carried ---- */

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
        return graph_move_damaged(unit, err);
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
    graph_moved *moved;
    df_status s = graph_move_prepare(g, tick, unit, bytes, size, &moved, err);
    uint32_t form, count;
    df_cursor c;

    if (s != DF_OK)
        return s;
    if (moved != NULL)
        return graph_move_deliver(g, tick, unit, &moved, err);
    df_cursor_init(&c, bytes, size);
    form = df_get_u32(&c);
    count = df_get_u32(&c);
    if (!c.failed && form == MOVE_CARRIED)
        return take_carried(g, tick, unit, count, &c, err);
    if (!c.failed && form == MOVE_FAILED)
        return take_failed(g, tick, unit, &c, count, err);
    return graph_move_damaged(unit, err);
}
