/* What has to wait until a tick's owners are known: what a commit has made for it is held, what others have sent for
 * it is kept. */
#include "dataflow/df_move_private.h"

#include <assert.h>
#include <string.h>

/* ---- holding back ---- */

/* Anything that the stage hands to the next tick. */
static bool feeds_next(const df_graph *g, uint32_t stage, uint64_t tick)
{
    const df_stage *s = &g->plan->stages[stage];
    const graph_tick *next = &g->ticks[graph_ring_slot(g, tick + 1)];

    for (uint32_t i = 0; i < s->out_count; i++)
        if (g->plan->edges[s->out_edges[i]].ticks == 1 && next->edges[s->out_edges[i]])
            return true;
    return false;
}

static void hold(graph_thread *t, uint32_t stage, uint32_t key_group, uint64_t tick)
{
    df_graph *g = t->graph;
    const df_stage *s = &g->plan->stages[stage];

    g->any_held = true;
    g->held_tick = tick + 1;
    for (uint32_t i = 0; i < s->vertex_count; i++) {
        const df_vertex *v = &g->plan->vertices[s->vertices[i]];

        if (v->role != DF_COMMIT)
            continue;
        df_batch *batch = t->local[v->outs[0]];
        assert(!g->held[v->state][key_group].here);
        g->held[v->state][key_group] =
            (graph_held){ .batch = batch == NULL ? NULL : df_batch_ref(batch), .here = true };
    }
}

bool graph_hold(graph_thread *t, uint32_t stage, uint32_t key_group, uint64_t tick)
{
    df_graph *g = t->graph;
    bool held;

    if (tick + 1 < atomic_load_explicit(&g->known, memory_order_acquire) ||
        !feeds_next(g, stage, tick))
        return false;
    pthread_mutex_lock(&g->lock);
    held = tick + 1 >= atomic_load_explicit(&g->known, memory_order_relaxed);
    if (held)
        hold(t, stage, key_group, tick);
    pthread_mutex_unlock(&g->lock);
    return held;
}

/* What a task hands on to the next tick, now that its owners are known. */
static void hand_on(graph_thread *t, uint32_t vertex, uint32_t key_group, uint64_t tick)
{
    df_graph *g = t->graph;
    const df_vertex *v = &g->plan->vertices[vertex];
    const df_stage *s = &g->plan->stages[v->stage];
    uint32_t slot = graph_ring_slot(g, tick);

    for (uint32_t i = 0; i < s->out_count; i++) {
        uint32_t edge = s->out_edges[i];

        if (g->plan->edges[edge].stream != v->outs[0] || !g->ticks[slot].edges[edge])
            continue;
        graph_publish(t, edge, key_group, slot);
        graph_arrived(g, edge, slot, key_group);
        graph_count_sent(g, edge, slot);
    }
    graph_hand_over(t, v->stage, key_group, tick - 1);
}

static void hand_on_held(graph_thread *t, uint64_t tick)
{
    df_graph *g = t->graph;

    for (uint32_t s = 0; s < g->plan->state_count; s++) {
        uint32_t vertex = g->plan->states[s].vertex, stream = g->plan->states[s].stream;

        for (uint32_t k = 0; k < graph_move_state_groups(g, s); k++) {
            graph_held held = g->held[s][k];

            if (!held.here)
                continue;
            g->held[s][k] = (graph_held){ 0 };
            t->local[stream] = held.batch;
            hand_on(t, vertex, k, tick);
            t->local[stream] = NULL;
            df_batch_unref(t->memory, held.batch);
            graph_scratch_reset(t);
        }
    }
}

/* ---- what came early ---- */

static df_status keep_early(df_graph *g, const graph_early *what, const uint8_t *bytes, df_error *err)
{
    graph_early *e;

    if (what->size > DF_PARCEL_SIZE_MAX) /* nobody sends such a one */
        return df_fail(err, DF_ECORRUPT, "a parcel of %zu bytes", what->size);
    e = df_pool_get(g->pool, g->thread_count, sizeof *e + what->size);
    if (e == NULL)
        return df_fail(err, DF_ENOMEM, "a parcel of %zu bytes: out of memory", what->size);
    *e = *what;
    e->next = g->early;
    if (bytes != NULL)
        memcpy(e + 1, bytes, e->size);
    g->early = e;
    return DF_OK;
}

/* A state is made a batch at once: to keep its bytes would take as much memory, and as long as to copy them again. */
df_status graph_move_early(df_graph *g, uint32_t edge, uint64_t tick, uint32_t key_group,
                           const uint8_t *bytes, size_t size, df_error *err)
{
    graph_moved *moved = NULL;
    df_status s = edge == DF_PARCEL_MOVE ? graph_move_prepare(g, tick, key_group, bytes, size, &moved, err) : DF_OK;

    if (s != DF_OK)
        return s;
    if (moved != NULL)
        return graph_move_deliver(g, tick, key_group, &moved, err);
    return keep_early(g, &(graph_early){ .tick = tick, .edge = edge, .key_group = key_group, .size = size }, bytes,
                      err);
}

df_status graph_move_deliver(df_graph *g, uint64_t tick, uint32_t unit, graph_moved **moved, df_error *err)
{
    graph_early early = { .tick = tick, .edge = DF_PARCEL_MOVE, .key_group = unit, .moved = *moved };
    df_status s;

    if (!df_graph_awaits(g, DF_PARCEL_MOVE, tick, unit))
        s = df_fail(err, DF_ECORRUPT, "key group %u does not move here", unit);
    else if (tick < atomic_load_explicit(&g->known, memory_order_relaxed))
        return graph_move_finish(g, tick, unit, moved, err);
    else
        s = keep_early(g, &early, NULL, err);
    if (s == DF_OK)
        *moved = NULL;
    graph_move_drop(g, moved);
    return s;
}

/* The newest lies first. */
static graph_early *in_order(graph_early *list)
{
    graph_early *first = NULL, *e;

    while ((e = list) != NULL) {
        list = e->next;
        e->next = first;
        first = e;
    }
    return first;
}

/* In the order in which it came: what rests refers to what came before (df_rest.c). */
static void deliver_early(df_graph *g)
{
    uint64_t known = atomic_load_explicit(&g->known, memory_order_relaxed);
    graph_early *list = in_order(g->early), *e;
    df_error err;
    df_status s;

    g->early = NULL;
    while ((e = list) != NULL) {
        list = e->next;
        if (e->tick >= known) {
            e->next = g->early;
            g->early = e;
            continue;
        }
        if (e->moved != NULL)
            s = graph_move_deliver(g, e->tick, e->key_group, &e->moved, &err);
        else
            s = df_graph_deliver(g, e->edge, e->tick, e->key_group,
                                 e->size == 0 ? NULL : (const uint8_t *)(e + 1), e->size, &err);
        g->refused += s != DF_OK;
        df_pool_unref(g->thread_count, e);
    }
}

void graph_move_known(df_graph *g)
{
    uint64_t known = atomic_load_explicit(&g->known, memory_order_relaxed);
    bool any;

    pthread_mutex_lock(&g->lock);
    any = g->any_held && known > g->held_tick;
    g->any_held &= !any;
    pthread_mutex_unlock(&g->lock);
    if (any)
        hand_on_held(&g->threads[g->thread_count], g->held_tick);
    deliver_early(g);
}
