/* What a task does: run the vertices of one stage for one key group at one tick back to back, and hand
 * the results to the edges that leave the stage (df_edge.c). How a vertex gets its inputs is in df_input.c, what
 * it may ask for while it runs in df_call.c. */
#include "dataflow/df_task_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- scratch ---- */

typedef struct scratch_extra {
    struct scratch_extra *next;
    char pad[56];
} scratch_extra;

void *graph_scratch_get(graph_thread *t, size_t size)
{
    graph_scratch *s = &t->scratch;
    scratch_extra *extra;
    size_t rounded = size == 0 ? 64 : (size + 63) & ~(size_t)63; /* null means that there is none */

    if (rounded < size)
        return NULL;
    s->wanted += rounded;
    if (s->size - s->used >= rounded) {
        s->used += rounded;
        return s->block + s->used - rounded;
    }
    extra = df_pool_get(t->memory.pool, t->index, rounded + sizeof *extra);
    if (extra == NULL)
        return NULL;
    extra->next = s->extra;
    s->extra = extra;
    return extra + 1;
}

/* After a task: one block that would have been enough. */
void graph_scratch_reset(graph_thread *t)
{
    graph_scratch *s = &t->scratch;

    while (s->extra != NULL) {
        scratch_extra *next = ((scratch_extra *)s->extra)->next;
        df_pool_unref(t->index, s->extra);
        s->extra = next;
    }
    if (s->wanted > s->size) {
        size_t size = s->wanted + s->wanted / 4;
        df_pool_unref(t->index, s->block);
        s->block = df_pool_get(t->memory.pool, t->index, size);
        s->size = s->block == NULL ? 0 : size;
    }
    s->used = s->wanted = 0;
}

/* ---- one vertex ---- */

static void load_carried(task_frame *f, const df_vertex *v, graph_vertex *gv)
{
    char *before = gv->carried + (size_t)f->task.key_group * gv->carried_size * 2;
    char *after = before + gv->carried_size;

    memcpy(after, before, gv->carried_size);
    f->carried = f->carry = (weir_batch){ .step = f->task.step, .key_group = f->task.key_group,
                                          .row_count = 1, .schema = v->carried };
    for (uint32_t c = 0; c < v->carried->column_count; c++) {
        f->carried.columns[c] = before + 8 * c;
        f->carry.columns[c] = after + 8 * c;
    }
    f->task.carried = &f->carried;
    f->task.carry = &f->carry;
}

static void store_carried(task_frame *f, graph_vertex *gv)
{
    char *before = gv->carried + (size_t)f->task.key_group * gv->carried_size * 2;

    memcpy(before, before + gv->carried_size, gv->carried_size);
}

static void drop_unions(task_frame *f)
{
    for (uint32_t q = 0; q < WEIR_PORTS_MAX; q++)
        df_batch_unref(f->memory, f->unions[q]);
}

static uint64_t rows_in(const task_frame *f)
{
    const weir_input *in = &f->inputs[0];
    uint64_t rows = 0;

    if (in->exchange == WEIR_HALO)
        return in->batches[WEIR_HALO_CENTRE]->row_count;
    for (uint32_t i = 0; i < in->batch_count; i++)
        rows += in->batches[i]->row_count;
    return rows;
}

/* A vertex has run; what follows begins now. Asking for the time costs as much as a small batch, so a task begins when
 * the one before has ended, if nothing lies between: its first vertex pays for what handing on took. */
static inline void count_call(graph_thread *t, graph_vertex_count *count)
{
    uint64_t now = nanoseconds();

    graph_count_span(&count->calls, now - t->clock);
    t->clock = now;
}

typedef enum task_end { TASK_DONE, TASK_FAILED, TASK_AGAIN } task_end;

/* `tries`: how often it has failed before. */
static task_end run_operator(graph_thread *t, uint32_t vertex, uint32_t key_group, uint32_t slot,
                             uint32_t tries)
{
    df_graph *g = t->graph;
    const df_vertex *v = &g->plan->vertices[vertex];
    graph_vertex *gv = &g->vertices[vertex];
    graph_vertex_count *count = &t->vertices[vertex];
    task_frame f;
    uint64_t births = gv->births == NULL ? 0 : gv->births[key_group];
    bool ok;

    task_start(&f, t, vertex, key_group, slot);
    ok = task_read_inputs(&f);
    if (!ok)
        task_fail_memory(&f); /* nothing else can be wrong with inputs that have arrived */
    if (ok) {
        /* Acquire: where a snapshot is over, what it has read was read before it is written anew here. */
        if (g->ticks[slot].tick >= atomic_load_explicit(&g->capture_tick, memory_order_acquire) &&
            (v->carried != NULL || gv->births != NULL))
            graph_capture_carried(g, vertex, key_group, g->ticks[slot].tick);
        if (v->carried != NULL)
            load_carried(&f, v, gv);
        ok = v->kind->process(&f.task) == WEIR_OK && !f.failed && task_complete_outputs(&f, v->out_count);
        if (ok && v->carried != NULL)
            store_carried(&f, gv);
        graph_count(&count->rows_in, rows_in(&f));
    }
    graph_kept_release(&f, ok);
    drop_unions(&f);
    if (!ok) {
        task_drop_outputs(&f);
        if (gv->births != NULL)
            gv->births[key_group] = births;
        count_call(t, count);
        if (f.again && tries < g->options.retries)
            return TASK_AGAIN;
        task_fail_finally(&f, tries + 1);
        return TASK_FAILED;
    }
    for (uint32_t o = 0; o < v->out_count; o++) {
        graph_count(&count->rows_out[o], f.outputs[o]->view.row_count);
        if (gv->print != DF_NONE && g->ticks[slot].print_streams) {
            graph_print_batch(g, gv->print + o, slot, &f.outputs[o]->view);
            if (g->parted)
                graph_send_print(t, gv->print + o, key_group, slot, g->ticks[slot].tick);
        }
        t->local[v->outs[o]] = f.outputs[o];
    }
    count_call(t, count);
    return TASK_DONE;
}

/* Keep the newest batch. A state whose next rows do not come from itself may commit a later step
 * first. */
static void keep(graph_thread *t, df_batch **kept, df_batch *batch)
{
    df_batch *old = df_batch_ref(batch);

    pthread_mutex_lock(&t->graph->kept_lock);
    if (*kept == NULL || (*kept)->view.step < batch->view.step) {
        df_batch *newest = old;
        old = *kept;
        *kept = newest;
    }
    pthread_mutex_unlock(&t->graph->kept_lock);
    df_batch_unref(t->memory, old);
}

/* What a tick's commits make is needed when the next tick is complete. */
static void graph_print_state(graph_thread *t, uint32_t vertex, uint32_t key_group, uint32_t slot,
                              const df_batch *batch)
{
    df_graph *g = t->graph;

    graph_print_batch(g, g->vertices[vertex].print, slot, &batch->view);
    if (g->parted)
        graph_send_print(t, g->vertices[vertex].print, key_group, slot, g->ticks[slot].tick + 1);
}

static bool run_commit(graph_thread *t, uint32_t vertex, uint32_t key_group, uint32_t slot)
{
    df_graph *g = t->graph;
    const df_vertex *v = &g->plan->vertices[vertex];
    graph_vertex_count *count = &t->vertices[vertex];
    df_batch *batch = graph_commit(t, vertex, key_group, slot);

    if (batch == NULL)
        return false;
    if (g->vertices[vertex].print != DF_NONE && g->ticks[slot].print_states)
        graph_print_state(t, vertex, key_group, slot, batch);
    if (g->parted) {
        graph_capture_state(t, v->state, key_group, g->ticks[slot].tick, batch);
        graph_unit_holds(g, v->state, key_group, batch->view.row_count);
    }
    if (g->kept != NULL)
        keep(t, &g->kept[v->state][key_group], batch);
    t->local[v->outs[0]] = batch;
    graph_count(&t->rows, batch->view.row_count);
    graph_count(&count->rows_out[0], batch->view.row_count);
    count_call(t, count);
    return true;
}

/* ---- a task ---- */

/* A moving average; who writes last wins, which is good enough for a guess. */
static void note_time(df_graph *g, uint64_t nanoseconds)
{
    uint32_t old = atomic_load_explicit(&g->task_ns, memory_order_relaxed);
    uint32_t now = nanoseconds < 1000000 ? (uint32_t)nanoseconds : 1000000;

    atomic_store_explicit(&g->task_ns, old - old / 8 + now / 8, memory_order_relaxed);
}

/* Run the vertices, or the rest of them. False: the task was parked. */
static bool run_vertices(graph_thread *t, uint32_t stage, uint32_t key_group, uint32_t slot,
                         graph_parked *parked)
{
    const df_graph *g = t->graph;
    const df_stage *s = &g->plan->stages[stage];
    const graph_tick *tick = &g->ticks[slot];
    uint32_t i = parked == NULL ? 0 : parked->at, tries = parked == NULL ? 0 : parked->tries;
    task_end end = TASK_DONE;

    if (parked != NULL)
        memcpy(t->local, parked->local, g->plan->stream_count * sizeof(df_batch *));
    free(parked);
    for (; end == TASK_DONE && i < s->vertex_count; i++) {
        uint32_t v = s->vertices[i];

        if (!tick->vertices[v])
            continue;
        if (g->plan->vertices[v].role == DF_COMMIT)
            end = run_commit(t, v, key_group, slot) ? TASK_DONE : TASK_FAILED;
        else
            end = run_operator(t, v, key_group, slot, tries);
        if (end == TASK_AGAIN && graph_park(t, stage, key_group, slot, i, tries + 1))
            return false;
        if (end == TASK_AGAIN)
            graph_fail(t->graph, tick->tick, v, key_group, WEIR_NO_ROW, DF_ENOMEM, "out of memory");
        tries = 0;
    }
    return true;
}

bool graph_task_run(graph_thread *t, uint32_t stage, uint32_t key_group, uint32_t slot, graph_parked *parked)
{
    df_graph *g = t->graph;
    const df_stage *s = &g->plan->stages[stage];
    const graph_tick *tick = &g->ticks[slot];
    uint64_t begin = t->clock != 0 ? t->clock : nanoseconds();
    bool ok = parked != NULL || tick->tick <= atomic_load_explicit(&g->fail_tick, memory_order_relaxed);

    t->clock = begin;
    for (uint32_t i = 0; ok && parked == NULL && i < s->in_count; i++)
        ok = !tick->edges[s->in_edges[i]] || !graph_input_failed(g, s->in_edges[i], key_group, slot);
    if (ok && !run_vertices(t, stage, key_group, slot, parked)) {
        graph_scratch_reset(t);
        return false;
    }
    t->held = g->parted && graph_hold(t, stage, key_group, tick->tick);
    for (uint32_t i = 0; i < s->out_count; i++) {
        uint32_t edge = s->out_edges[i], ticks = g->plan->edges[edge].ticks;
        uint32_t at = graph_ring_slot(g, tick->tick + ticks);
        if (g->ticks[at].edges[edge] && !(t->held && ticks == 1))
            graph_publish(t, edge, key_group, at);
    }
    if (g->parted && !t->held)
        graph_hand_over(t, stage, key_group, tick->tick);
    for (uint32_t i = 0; i < s->in_count; i++)
        if (tick->edges[s->in_edges[i]])
            graph_release(t, s->in_edges[i], key_group, slot);
    for (uint32_t i = 0; i < s->vertex_count; i++) {
        const df_vertex *v = &g->plan->vertices[s->vertices[i]];
        for (uint32_t o = 0; o < v->out_count; o++) {
            df_batch_unref(t->memory, t->local[v->outs[o]]);
            t->local[v->outs[o]] = NULL;
        }
    }
    graph_scratch_reset(t);
    if (g->parted) {
        t->clock = nanoseconds();
        t->last_ns = t->clock - begin;
        note_time(g, t->last_ns);
        graph_unit_ran(t, stage, key_group, tick->tick, t->last_ns);
    }
    return true;
}
