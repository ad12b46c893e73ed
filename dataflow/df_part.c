#include "dataflow/df_part.h"
#include "dataflow/df_graph_private.h"

#include <assert.h>
#include <string.h>

/* ---- restoring ---- */

df_memory df_graph_memory(df_graph *g)
{
    return g->threads[g->thread_count].memory;
}

/* What the commit of the tick before would have done. */
df_status df_graph_restore(df_graph *g, uint32_t state, uint32_t key_group, df_batch *batch,
                           df_error *err)
{
    const df_plan *p = g->plan;
    graph_thread *t = &g->threads[g->thread_count];
    uint32_t vertex = p->states[state].vertex, stream = p->states[state].stream;
    uint32_t slot = graph_ring_slot(g, g->first_tick);
    const df_stage *stage = &p->stages[p->vertices[vertex].stage];

    assert(g->parted && g->first_tick > 0 && !g->started);
    batch->view.step = g->first_tick - 1;
    batch->view.key_group = key_group;
    t->local[stream] = batch;
    if (g->ticks[slot].print_streams) {
        uint32_t before = graph_ring_slot(g, g->first_tick - 1);
        graph_print_batch(g, g->vertices[vertex].print, before, &batch->view);
        graph_send_print(t, g->vertices[vertex].print, key_group, before, g->first_tick);
    }
    graph_capture_state(t, state, key_group, graph_commit_tick(g, g->first_tick), batch);
    graph_unit_holds(g, state, key_group, batch->view.row_count);
    for (uint32_t i = 0; i < stage->out_count; i++) {
        uint32_t edge = stage->out_edges[i];
        if (p->edges[edge].stream != stream || !g->ticks[slot].edges[edge])
            continue;
        graph_publish(t, edge, key_group, slot);
        graph_arrived(g, edge, slot, key_group);
        graph_count_sent(g, edge, slot);
    }
    t->local[stream] = NULL;
    df_batch_unref(t->memory, batch);
    graph_scratch_reset(t);
    return atomic_load(&g->fail_tick) == NO_TICK
               ? DF_OK
               : df_fail(err, g->failure.error.status, "%s", g->failure.error.text);
}

df_status df_graph_restore_carried(df_graph *g, uint32_t vertex, uint32_t key_group,
                                   const void *bytes, size_t size, df_error *err)
{
    graph_vertex *v = &g->vertices[vertex];

    if (v->carried == NULL || size != v->carried_size)
        return df_fail(err, DF_ECORRUPT, "operator \"%s\" carries %u bytes, the snapshot holds %zu",
                       g->plan->vertices[vertex].name, v->carried == NULL ? 0 : v->carried_size, size);
    memcpy(v->carried + (size_t)key_group * v->carried_size * 2, bytes, size);
    return DF_OK;
}

df_status df_graph_restore_births(df_graph *g, uint32_t vertex, uint32_t key_group, uint64_t count,
                                  df_error *err)
{
    if (g->vertices[vertex].births == NULL)
        return df_fail(err, DF_ECORRUPT, "operator \"%s\" has no births, the snapshot has",
                       g->plan->vertices[vertex].name);
    g->vertices[vertex].births[key_group] = count;
    return DF_OK;
}

/* ---- running ---- */

df_status df_graph_start(df_graph *g, df_error *err)
{
    assert(g->parted && !g->started);
    return graph_threads_start(g, err);
}

void df_graph_halt(df_graph *g)
{
    graph_threads_stop(g);
}

/* At most a window beyond what is done. */
static void grant(df_graph *g, uint64_t end)
{
    /* What was held for a tick is handed on before the tick can open, and hold something itself. */
    pthread_mutex_lock(&g->lock);
    graph_capture_granted(g, end);
    graph_owners_assign(g, end);
    atomic_store_explicit(&g->bound, end, memory_order_release);
    pthread_mutex_unlock(&g->lock);
    graph_move_known(g);
    pthread_mutex_lock(&g->lock);
    g->target = end;
    pthread_mutex_unlock(&g->lock);
    graph_advance(g);
}

/* A member that comes while the others run on owns nothing at the ticks that it has missed: they are over
 * as soon as they are granted. */
void df_graph_grant(df_graph *g, uint64_t end)
{
    uint64_t before, most;

    do {
        before = atomic_load(&g->done);
        most = before + g->plan->window + 1;
        grant(g, end < most ? end : most);
    } while (end > most && atomic_load(&g->done) > before);
}

void df_graph_complete(df_graph *g, uint64_t end)
{
    bool more;

    pthread_mutex_lock(&g->lock);
    more = end > g->complete;
    if (more)
        g->complete = end;
    pthread_mutex_unlock(&g->lock);
    if (more)
        graph_advance(g);
}

/* The smallest failure of a task, else what the observer of steps said. */
static void progress_failure(df_graph *g, df_progress *p)
{
    const graph_failure *f = &g->failure;

    pthread_mutex_lock(&g->fail_lock);
    if (f->tick != NO_TICK) {
        const weir_operator *kind = g->plan->vertices[f->vertex].kind;
        bool sink = kind != NULL && kind->role == WEIR_SINK;
        p->failed = true;
        p->fatal = !sink && f->error.status == DF_EINVAL;
        p->fail_tick = f->tick;
        p->fail_vertex = f->vertex;
        p->fail_key_group = f->key_group;
        p->fail_row = f->row;
        p->error = f->error;
    }
    pthread_mutex_unlock(&g->fail_lock);
    if (!p->failed && g->step_error.status != DF_OK) {
        p->failed = p->fatal = true;
        p->fail_tick = p->done;
        p->error = g->step_error;
    }
}

void df_graph_progress(df_graph *g, df_progress *progress)
{
    graph_advance(g); /* sinks may have been let go on */
    pthread_mutex_lock(&g->lock);
    *progress = (df_progress){ .done = atomic_load(&g->done), .worked = g->worked,
                               .captured = g->capture.whole, .refused = g->refused, .fail_tick = atomic_load(&g->fail_tick),
                               .ended = graph_failure_ended(g) };
    progress_failure(g, progress);
    pthread_mutex_unlock(&g->lock);
}

void df_graph_waits(const df_graph *g, df_waits *w)
{
    const df_plan *p = g->plan;

    *w = (df_waits){ .tick = atomic_load(&g->done) };
    for (uint32_t e = 0; e < p->edge_count; e++) {
        if (w->remote && p->edges[e].to >= p->edges[w->edge].to)
            continue;
        for (uint32_t k = 0; k < g->edges[e].from_groups; k++)
            if (df_graph_awaits(g, e, w->tick, k)) {
                w->remote = true;
                w->edge = e;
                w->key_group = k;
                w->member = df_part_owner(p, &g->part, p->edges[e].from, k);
                break;
            }
    }
}
