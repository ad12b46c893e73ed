/* Trying again. A task that failed for a reason that may pass is parked, with what the vertices before the one
 * that failed have made, and goes on with that one when its time has come. Nobody waits for it: threads run
 * other tasks, or sleep until the first parked one is due. Results do not depend on it, for what the failed call has
 * made, carried and born is undone. */
#include "dataflow/df_graph_private.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_DOUBLED_MAX 6

uint64_t graph_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void parked_note_due(df_graph *g)
{
    atomic_store(&g->parked_due, g->parked == NULL ? NO_TICK : g->parked->due_ns);
}

bool graph_park(graph_thread *t, uint32_t stage, uint32_t key_group, uint32_t slot, uint32_t at,
                uint32_t tries)
{
    df_graph *g = t->graph;
    uint32_t streams = g->plan->stream_count, doubled = tries - 1;
    graph_parked *p = malloc(sizeof *p + streams * sizeof(df_batch *)), **to = &g->parked;

    if (p == NULL)
        return false;
    doubled = doubled < RETRY_DOUBLED_MAX ? doubled : RETRY_DOUBLED_MAX;
    *p = (graph_parked){ .due_ns = graph_now_ns() + (g->options.retry_ns << doubled), .stage = stage,
                         .key_group = key_group, .slot = slot, .at = at, .tries = tries };
    memcpy(p->local, t->local, streams * sizeof(df_batch *));
    memset(t->local, 0, streams * sizeof(df_batch *));
    pthread_mutex_lock(&g->sleep_lock);
    while (*to != NULL && (*to)->due_ns <= p->due_ns)
        to = &(*to)->next;
    p->next = *to;
    *to = p;
    parked_note_due(g);
    g->wakes++;
    pthread_cond_signal(&g->sleep_cond);
    pthread_mutex_unlock(&g->sleep_lock);
    return true;
}

graph_parked *graph_unpark(df_graph *g)
{
    graph_parked *p = NULL;
    uint64_t now;

    if (atomic_load_explicit(&g->parked_due, memory_order_relaxed) == NO_TICK)
        return NULL;
    now = graph_now_ns();
    pthread_mutex_lock(&g->sleep_lock);
    if (g->parked != NULL && g->parked->due_ns <= now) {
        p = g->parked;
        g->parked = p->next;
        parked_note_due(g);
    }
    pthread_mutex_unlock(&g->sleep_lock);
    return p;
}

bool graph_parked_until(const df_graph *g, struct timespec *until)
{
    uint64_t due = atomic_load(&g->parked_due);

    if (due == NO_TICK)
        return false;
    *until = (struct timespec){ .tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u) };
    return true;
}

/* Batches lie in the pool, which goes as a whole. */
void graph_parked_free(df_graph *g)
{
    while (g->parked != NULL) {
        graph_parked *p = g->parked;

        g->parked = p->next;
        free(p);
    }
}
