/* What is kept for a snapshot.
 *
 * A snapshot at tick s holds what enters s: the batches that the commits of tick s - 1 made (after the
 * last step nothing advances: then those of the last step), what operators carry and have counted
 * after all ticks below s, and where the sinks stand there.
 *
 * Why the states are complete. The capture is announced before the bound passes s, perhaps after the
 * commits of s - 1. So a commit at tick t holds its batch while a snapshot at t + 1 may still be
 * announced, that is while the bound is t + 1; when the bound rises, the held batches become the
 * capture's or are dropped. A commit that sees a higher bound sees the announcement too, for it was
 * made before the bound rose.
 *
 * Why what is carried is that of s. Tasks of a key group run in the order of ticks. The first one at or
 * behind s copies what is there before it changes it; what no such task has touched when all ticks
 * below s are done is copied then. */
#include "dataflow/df_graph_private.h"

#include <string.h>

uint64_t graph_commit_tick(const df_graph *g, uint64_t tick)
{
    return tick - 1 < g->plan->job.steps ? tick - 1 : g->plan->job.steps;
}

static df_batch ***make_table(const df_graph *g, df_arena *arena)
{
    df_batch ***table = df_arena_alloc(arena, (g->plan->state_count + 1) * sizeof(*table));

    for (uint32_t s = 0; table != NULL && s < g->plan->state_count; s++) {
        const df_vertex *v = &g->plan->vertices[g->plan->states[s].vertex];
        table[s] = df_arena_alloc(arena, v->partition.key_groups * sizeof(*table[s]));
        if (table[s] == NULL)
            return NULL;
    }
    return table;
}

static bool setup_vertex(df_graph *g, uint32_t vertex, df_arena *arena)
{
    const graph_vertex *v = &g->vertices[vertex];
    uint32_t groups = g->plan->vertices[vertex].partition.key_groups;
    graph_capture *c = &g->capture;

    if (v->carried != NULL)
        c->view.carried[vertex] = df_arena_alloc(arena, (size_t)groups * v->carried_size);
    if (v->births != NULL)
        c->view.births[vertex] = df_arena_alloc(arena, groups * sizeof(uint64_t));
    c->carried_kept[vertex] = df_arena_alloc(arena, groups);
    return (v->carried == NULL || c->view.carried[vertex] != NULL) &&
           (v->births == NULL || c->view.births[vertex] != NULL) && c->carried_kept[vertex] != NULL;
}

bool graph_capture_setup(df_graph *g, df_arena *arena)
{
    graph_capture *c = &g->capture;
    uint32_t vertices = g->plan->vertex_count + 1;

    c->view.tick = c->held_tick = NO_TICK;
    atomic_store(&g->capture_tick, NO_TICK);
    if (!g->parted)
        return true;
    c->view.states = make_table(g, arena);
    c->view.own = df_arena_alloc(arena, vertices * sizeof(*c->view.own));
    c->held = make_table(g, arena);
    c->view.carried = df_arena_alloc(arena, vertices * sizeof(*c->view.carried));
    c->view.births = df_arena_alloc(arena, vertices * sizeof(*c->view.births));
    c->view.marks = df_arena_alloc(arena, vertices * sizeof *c->view.marks);
    c->carried_kept = df_arena_alloc(arena, vertices * sizeof(*c->carried_kept));
    if (c->view.states == NULL || c->view.own == NULL || c->held == NULL || c->view.carried == NULL ||
        c->view.births == NULL || c->view.marks == NULL || c->carried_kept == NULL)
        return false;
    for (uint32_t v = 0; v < g->plan->vertex_count; v++)
        if (!setup_vertex(g, v, arena))
            return false;
    return true;
}

/* ---- states ---- */

static void drop_table(df_graph *g, df_memory memory, df_batch ***table)
{
    for (uint32_t s = 0; s < g->plan->state_count; s++) {
        uint32_t groups = g->plan->vertices[g->plan->states[s].vertex].partition.key_groups;
        for (uint32_t k = 0; k < groups; k++) {
            df_batch_unref(memory, table[s][k]);
            table[s][k] = NULL;
        }
    }
}

static void check_whole(df_graph *g)
{
    graph_capture *c = &g->capture;

    c->whole = c->view.tick != NO_TICK && c->states_left == 0 &&
               atomic_load(&g->done) >= c->view.tick;
}

/* Under the lock: keep a reference where the tick is one that a snapshot asks for or may ask for. */
static void keep_state(graph_thread *t, uint32_t state, uint32_t key_group, uint64_t tick,
                       df_batch *batch)
{
    df_graph *g = t->graph;
    graph_capture *c = &g->capture;

    if (c->view.tick != NO_TICK && tick == graph_commit_tick(g, c->view.tick) &&
        c->view.states[state][key_group] == NULL) {
        c->view.states[state][key_group] = df_batch_ref(batch);
        c->states_left--;
        check_whole(g);
    }
    if (tick + 1 == atomic_load_explicit(&g->bound, memory_order_relaxed) ||
        tick == g->plan->job.steps) {
        c->held_tick = tick;
        df_batch_unref(t->memory, c->held[state][key_group]);
        c->held[state][key_group] = df_batch_ref(batch);
    }
}

void graph_capture_state(graph_thread *t, uint32_t state, uint32_t key_group, uint64_t tick,
                         df_batch *batch)
{
    df_graph *g = t->graph;
    bool whole;

    if (tick + 1 < atomic_load_explicit(&g->bound, memory_order_acquire) &&
        tick + 1 != atomic_load_explicit(&g->capture_tick, memory_order_acquire) &&
        tick != g->plan->job.steps)
        return;
    pthread_mutex_lock(&g->lock);
    keep_state(t, state, key_group, tick, batch);
    whole = g->capture.whole;
    pthread_mutex_unlock(&g->lock);
    if (whole)
        g->part.wake(g->part.user);
}

/* The held batches of `tick` become the capture's. */
static void take_held(df_graph *g)
{
    graph_capture *c = &g->capture;

    if (c->held_tick == NO_TICK || c->held_tick != graph_commit_tick(g, c->view.tick))
        return;
    for (uint32_t s = 0; s < g->plan->state_count; s++) {
        uint32_t groups = g->plan->vertices[g->plan->states[s].vertex].partition.key_groups;
        for (uint32_t k = 0; k < groups; k++)
            if (c->held[s][k] != NULL && c->view.states[s][k] == NULL) {
                c->view.states[s][k] = df_batch_ref(c->held[s][k]);
                c->states_left--;
            }
    }
}

void graph_capture_granted(df_graph *g, uint64_t end)
{
    graph_capture *c = &g->capture;

    if (c->held_tick == NO_TICK || c->held_tick == g->plan->job.steps || c->held_tick + 1 >= end)
        return;
    drop_table(g, df_graph_memory(g), c->held);
    c->held_tick = NO_TICK;
}

/* ---- what operators carry ---- */

static void keep_carried(df_graph *g, uint32_t vertex, uint32_t k)
{
    const graph_vertex *v = &g->vertices[vertex];
    graph_capture *c = &g->capture;

    if (c->carried_kept[vertex][k])
        return;
    c->carried_kept[vertex][k] = 1;
    if (v->carried != NULL)
        memcpy(c->view.carried[vertex] + (size_t)k * v->carried_size,
               v->carried + (size_t)k * v->carried_size * 2, v->carried_size);
    if (v->births != NULL)
        c->view.births[vertex][k] = v->births[k];
}

/* Whoever calls has compared its tick with a snapshot's that may be over by now, and the next one, at a later
 * tick, may have been asked for. */
void graph_capture_carried(df_graph *g, uint32_t vertex, uint32_t key_group, uint64_t tick)
{
    pthread_mutex_lock(&g->lock);
    if (tick >= g->capture.view.tick)
        keep_carried(g, vertex, key_group);
    pthread_mutex_unlock(&g->lock);
}

void graph_capture_rest(df_graph *g)
{
    for (uint32_t v = 0; v < g->plan->vertex_count; v++) {
        uint32_t groups = g->plan->vertices[v].partition.key_groups;
        for (uint32_t k = 0; k < groups; k++)
            if (g->capture.view.own[v][k])
                keep_carried(g, v, k);
    }
    check_whole(g);
}

/* ---- the snapshot's side ---- */

/* Who keeps what: by the table of the tick that makes it. */
static void set_owners(df_graph *g, uint64_t made)
{
    graph_capture *c = &g->capture;

    c->owners = graph_owners_at(g, made);
    for (uint32_t v = 0; v < g->plan->vertex_count; v++)
        c->view.own[v] = c->owners->stages[g->plan->vertices[v].stage].own;
}

void df_graph_capture(df_graph *g, uint64_t tick)
{
    graph_capture *c = &g->capture;

    pthread_mutex_lock(&g->lock);
    c->view.tick = tick;
    c->whole = c->marked = false;
    c->states_left = 0;
    set_owners(g, graph_commit_tick(g, tick));
    for (uint32_t s = 0; s < g->plan->state_count; s++)
        c->states_left +=
            c->owners->stages[g->plan->vertices[g->plan->states[s].vertex].stage].own_count;
    for (uint32_t v = 0; v < g->plan->vertex_count; v++) {
        memset(c->carried_kept[v], 0, g->plan->vertices[v].partition.key_groups);
        c->view.marks[v].size = 0;
    }
    take_held(g);
    atomic_store_explicit(&g->capture_tick, tick, memory_order_release);
    if (atomic_load(&g->done) >= tick)
        graph_capture_rest(g);
    pthread_mutex_unlock(&g->lock);
    g->part.wake(g->part.user);
}

const df_captured *df_graph_captured(df_graph *g)
{
    const df_captured *view;

    pthread_mutex_lock(&g->lock);
    view = g->capture.whole ? &g->capture.view : NULL;
    pthread_mutex_unlock(&g->lock);
    return view;
}

df_status df_graph_marks(df_graph *g, weir_mark *marks, df_error *err)
{
    df_status status = DF_OK;

    for (uint32_t v = 0; status == DF_OK && v < g->plan->vertex_count; v++) {
        const weir_operator *kind = g->plan->vertices[v].kind;
        graph_vertex *gv = &g->vertices[v];
        if (!gv->sink_open || kind->mark == NULL)
            continue;
        if (kind->mark(&gv->sink, &marks[v]) != WEIR_OK)
            status = df_fail(err, DF_EIO, "sink \"%s\": %s", g->plan->vertices[v].name,
                             gv->sink.error);
    }
    return status;
}

df_status df_graph_capture_marks(df_graph *g, df_error *err)
{
    df_status status = df_graph_marks(g, g->capture.view.marks, err);

    pthread_mutex_lock(&g->lock);
    g->capture.marked = true;
    pthread_mutex_unlock(&g->lock);
    g->part.wake(g->part.user);
    return status;
}

df_status df_graph_sync_sinks(df_graph *g, df_error *err)
{
    for (uint32_t v = 0; v < g->plan->vertex_count; v++) {
        const weir_operator *kind = g->plan->vertices[v].kind;
        graph_vertex *gv = &g->vertices[v];
        if (gv->sink_open && kind->sync != NULL && kind->sync(&gv->sink) != WEIR_OK)
            return df_fail(err, DF_EIO, "sink \"%s\": %s", g->plan->vertices[v].name, gv->sink.error);
    }
    return DF_OK;
}

void df_graph_capture_drop(df_graph *g)
{
    pthread_mutex_lock(&g->lock);
    g->capture.view.tick = NO_TICK;
    g->capture.owners = NULL;
    g->capture.whole = false;
    atomic_store_explicit(&g->capture_tick, NO_TICK, memory_order_release);
    drop_table(g, df_graph_memory(g), g->capture.view.states);
    pthread_mutex_unlock(&g->lock);
    graph_advance(g);
}
