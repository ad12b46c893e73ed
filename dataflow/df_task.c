/* What a task does: run the vertices of one stage for one key group at one tick back to back, and hand
 * the results to the edges that leave the stage. How a vertex gets its inputs is in df_input.c. */
#include "dataflow/df_task_private.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
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

/* ---- failure ---- */

static bool failure_before(const graph_failure *f, uint64_t tick, uint32_t vertex, uint32_t key_group,
                           uint32_t row)
{
    if (f->tick != tick)
        return f->tick < tick;
    if (f->vertex != vertex)
        return f->vertex < vertex;
    if (f->key_group != key_group)
        return f->key_group < key_group;
    return f->row <= row;
}

void graph_fail(df_graph *g, uint64_t tick, uint32_t vertex, uint32_t key_group, uint32_t row,
                df_status status, const char *format, ...)
{
    va_list args;
    int used;

    pthread_mutex_lock(&g->fail_lock);
    if (!failure_before(&g->failure, tick, vertex, key_group, row)) {
        const df_vertex *v = &g->plan->vertices[vertex];
        df_error *e = &g->failure.error;

        g->failure.tick = tick;
        g->failure.vertex = vertex;
        g->failure.key_group = key_group;
        g->failure.row = row;
        e->status = status;
        used = snprintf(e->text, sizeof e->text, "%s: step %llu: %s \"%s\": ", g->plan->draft->file,
                        (unsigned long long)(tick > 0 ? tick - 1 : 0),
                        v->role == DF_COMMIT             ? "state"
                        : v->kind->role == WEIR_SINK ? "sink"
                                                     : "operator",
                        v->name);
        va_start(args, format);
        if (used > 0 && (size_t)used < sizeof e->text)
            vsnprintf(e->text + used, sizeof e->text - (size_t)used, format, args);
        va_end(args);
        if (atomic_load(&g->fail_tick) > tick)
            atomic_store(&g->fail_tick, tick);
    }
    pthread_mutex_unlock(&g->fail_lock);
    if (g->parted)
        g->part.wake(g->part.user);
}

static uint64_t tick_of(const task_frame *f)
{
    return f->thread->graph->ticks[f->slot].tick;
}

weir_status weir_fail(weir_task *task, uint32_t row, const char *format, ...)
{
    task_frame *f = (task_frame *)(void *)task;
    char text[320];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    graph_fail(f->thread->graph, tick_of(f), f->vertex, task->key_group, row, DF_EINVAL, "%s", text);
    f->failed = true;
    return WEIR_FAILED;
}

/* What is wrong is told when it is known that it is not tried again. */
void task_fail_memory(task_frame *f)
{
    if (!f->failed) {
        f->again = true;
        f->status = DF_ENOMEM;
        strcpy(f->text, "out of memory");
    }
    f->failed = true;
}

weir_status weir_again(weir_task *task, const char *format, ...)
{
    task_frame *f = (task_frame *)(void *)task;
    va_list args;

    if (f->failed)
        return WEIR_FAILED;
    f->failed = f->again = true;
    f->status = DF_EIO;
    va_start(args, format);
    vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
    return WEIR_AGAIN;
}

/* A failure whose reason did not pass in `tries` calls. */
static void fail_finally(task_frame *f, uint32_t tries)
{
    df_graph *g = f->thread->graph;

    if (f->again && tries > 1)
        graph_fail(g, tick_of(f), f->vertex, f->task.key_group, WEIR_NO_ROW, f->status, "%s (tried %u times)",
                   f->text, tries);
    else if (f->again)
        graph_fail(g, tick_of(f), f->vertex, f->task.key_group, WEIR_NO_ROW, f->status, "%s", f->text);
    else if (!f->failed)
        weir_fail(&f->task, WEIR_NO_ROW, "kind \"%s\" failed without a reason",
                  g->plan->vertices[f->vertex].kind->name);
}

weir_status weir_sink_fail(weir_sink *sink, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(sink->error, sizeof sink->error, format, args);
    va_end(args);
    return WEIR_FAILED;
}

/* ---- what a kind calls ---- */

static df_batch *new_output(task_frame *f, uint32_t out)
{
    const df_plan *p = f->thread->graph->plan;
    const df_vertex *v = &p->vertices[f->vertex];
    const weir_schema *schema = f->combining ? v->partial : &p->streams[v->outs[out]].schema;
    df_batch *batch;

    assert(f->combining ? out == 0 : out < v->out_count);
    assert(f->outputs[out] == NULL);
    batch = df_batch_new(f->memory, schema, f->task.step, f->task.key_group);
    f->outputs[out] = batch;
    return batch;
}

weir_batch *weir_output(weir_task *task, uint32_t out, uint32_t row_count)
{
    task_frame *f = (task_frame *)(void *)task;
    df_batch *batch = new_output(f, out);

    if (batch == NULL || !df_batch_alloc(f->memory, batch, row_count)) {
        task_fail_memory(f);
        return NULL;
    }
    return &batch->view;
}

weir_batch *weir_output_like(weir_task *task, uint32_t out, uint32_t port)
{
    task_frame *f = (task_frame *)(void *)task;
    const df_plan *p = f->thread->graph->plan;
    const df_stream *stream = &p->streams[p->vertices[f->vertex].outs[out]];
    const weir_input *in = &task->inputs[port];
    const weir_batch *from = in->batches[in->exchange == WEIR_HALO ? WEIR_HALO_CENTRE : 0];
    df_batch *batch = new_output(f, out);

    if (batch == NULL) {
        task_fail_memory(f);
        return NULL;
    }
    batch->view.row_count = from->row_count;
    df_batch_share(batch, DF_KEYS, from, 0);
    if (in->exchange == WEIR_HALO || in->exchange == WEIR_FORWARD)
        df_batch_share_settled(batch, (const df_batch *)(const void *)from); /* an edge's, whole */
    for (uint32_t c = 0; c < stream->schema.column_count; c++) {
        if (stream->passed[c] >= 0 && stream->passed_port == port)
            df_batch_share(batch, c, from, (uint32_t)stream->passed[c]);
        else if (!df_batch_alloc_column(f->memory, batch, c)) {
            task_fail_memory(f);
            return NULL;
        }
    }
    return &batch->view;
}

weir_status weir_new_keys(weir_task *task, uint32_t count, uint64_t *keys)
{
    task_frame *f = (task_frame *)(void *)task;
    const df_vertex *v = &f->thread->graph->plan->vertices[f->vertex];
    uint64_t *births = f->thread->graph->vertices[f->vertex].births;
    uint64_t next, limit = 1ull << DF_KEY_OPERATOR_SHIFT;

    if (births == NULL)
        return weir_fail(task, WEIR_NO_ROW, "kind \"%s\" did not declare births", v->kind->name);
    next = births[task->key_group];
    if (count > limit - next)
        return weir_fail(task, WEIR_NO_ROW, "key group %u has used up its keys", task->key_group);
    for (uint32_t i = 0; i < count; i++)
        keys[i] = DF_KEY_BORN | (uint64_t)task->key_group << DF_KEY_GROUP_SHIFT |
                  (uint64_t)v->birth_number << DF_KEY_OPERATOR_SHIFT | (next + i);
    births[task->key_group] = next + count;
    return WEIR_OK;
}

void *weir_scratch(weir_task *task, size_t size)
{
    task_frame *f = (task_frame *)(void *)task;
    void *memory = graph_scratch_get(f->thread, size);

    if (memory == NULL)
        task_fail_memory(f);
    return memory;
}

/* ---- one vertex ---- */

static void start_frame(task_frame *f, graph_thread *t, uint32_t vertex, uint32_t key_group,
                        uint32_t slot)
{
    const df_graph *g = t->graph;
    const df_plan *p = g->plan;
    const df_vertex *v = &p->vertices[vertex];
    uint64_t tick = g->ticks[slot].tick, step = tick > 0 ? tick - 1 : 0;

    memset(f, 0, offsetof(task_frame, carried));
    f->thread = t;
    f->memory = graph_memory(t, slot);
    f->vertex = vertex;
    f->slot = slot;
    f->task = (weir_task){
        .options = v->options,
        .job = &p->job,
        .step = step,
        .time = p->job.time_start + (double)step * p->job.dt,
        .key_group = key_group,
        .input_count = v->port_count,
        .inputs = f->inputs,
        .handle = g->vertices[vertex].sink.handle,
        .random_key = g->vertices[vertex].random_name ^ ((step >> 32) * 0x9e3779b97f4a7c15u),
    };
    if (v->partition.kind == DF_PART_SPACE)
        f->task.tile = &p->spaces[v->partition.space].tiles[key_group];
    if (v->partition.kind == DF_PART_RANGE && v->port_count == 0) {
        f->task.row_begin = df_partition_begin(&v->partition, key_group);
        f->task.row_end = df_partition_begin(&v->partition, key_group + 1);
    } else if (v->rows != UINT64_MAX) {
        f->task.row_end = v->rows;
    }
}

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

static void drop_outputs(task_frame *f)
{
    for (uint32_t o = 0; o < WEIR_PORTS_MAX; o++) {
        df_batch_unref(f->memory, f->outputs[o]);
        f->outputs[o] = NULL;
    }
}

/* Make sure that every declared output is there, an empty one where the kind made none. */
static bool complete_outputs(task_frame *f, uint32_t count)
{
    for (uint32_t o = 0; o < count; o++)
        if (f->outputs[o] == NULL && weir_output(&f->task, o, 0) == NULL)
            return false;
    return true;
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

/* A vertex has run; what follows in the task begins now. Asking for the time costs as much as a small batch. */
static void count_time(graph_thread *t, graph_vertex_count *count)
{
    uint64_t now = nanoseconds();

    graph_count(&count->nanoseconds, now - t->clock);
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

    start_frame(&f, t, vertex, key_group, slot);
    ok = task_read_inputs(&f);
    if (!ok)
        task_fail_memory(&f); /* nothing else can be wrong with inputs that have arrived */
    if (ok) {
        if (g->ticks[slot].tick >= atomic_load_explicit(&g->capture_tick, memory_order_relaxed) &&
            (v->carried != NULL || gv->births != NULL))
            graph_capture_carried(g, vertex, key_group, g->ticks[slot].tick);
        if (v->carried != NULL)
            load_carried(&f, v, gv);
        ok = v->kind->process(&f.task) == WEIR_OK && !f.failed && complete_outputs(&f, v->out_count);
        if (ok && v->carried != NULL)
            store_carried(&f, gv);
        graph_count(&count->calls, 1);
        graph_count(&count->rows_in, rows_in(&f));
    }
    graph_kept_release(&f, ok);
    drop_unions(&f);
    if (!ok) {
        drop_outputs(&f);
        if (gv->births != NULL)
            gv->births[key_group] = births;
        if (f.again && tries < g->options.retries)
            return TASK_AGAIN;
        fail_finally(&f, tries + 1);
        return TASK_FAILED;
    }
    for (uint32_t o = 0; o < v->out_count; o++) {
        graph_count(&count->rows_out, f.outputs[o]->view.row_count);
        if (gv->print != DF_NONE && g->ticks[slot].print_streams) {
            graph_print_batch(g, gv->print + o, slot, &f.outputs[o]->view);
            if (g->parted)
                graph_send_print(t, gv->print + o, key_group, slot, g->ticks[slot].tick);
        }
        t->local[v->outs[o]] = f.outputs[o];
    }
    count_time(t, count);
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
    graph_count(&count->calls, 1);
    graph_count(&count->rows_out, batch->view.row_count);
    count_time(t, count);
    return true;
}

/* ---- edges ---- */

/* The partial rows of one key group, for an aggregate that is `edge`'s reader. Null: failed. */
static df_batch *combine(graph_thread *t, const df_edge *e, uint32_t key_group, uint32_t slot,
                         df_batch *batch)
{
    const df_vertex *v = &t->graph->plan->vertices[e->vertex];
    const weir_batch *list[1] = { &batch->view };
    task_frame f;
    bool ok;

    start_frame(&f, t, e->vertex, key_group, slot);
    f.combining = true;
    f.task.input_count = 1;
    f.inputs[0] = (weir_input){ .exchange = WEIR_FORWARD, .batch_count = 1, .batches = list };
    ok = v->kind->combine(&f.task) == WEIR_OK && !f.failed && complete_outputs(&f, 1);
    if (!ok) {
        fail_finally(&f, 1);
        drop_outputs(&f);
    }
    return f.outputs[0];
}

/* Whether partial rows that are not routed are all this key group's own, as the plan has proved. */
static bool check_partial(df_graph *g, const df_edge *e, uint32_t slot, const df_batch *partial)
{
    const df_vertex *v = &g->plan->vertices[e->vertex];
    const weir_batch *rows = &partial->view;
    uint32_t stranger;

    if (v->ports[e->port].exchange != WEIR_KEY_BY)
        return true;
    stranger = graph_find_stranger(&v->partition, rows->key_group, rows->keys, rows->row_count);
    if (stranger < rows->row_count)
        graph_fail(g, g->ticks[slot].tick, e->vertex, rows->key_group, WEIR_NO_ROW, DF_EINVAL,
                   GRAPH_NOT_AT_HOME, (unsigned long long)rows->keys[stranger]);
    return stranger == rows->row_count;
}

/* What travels to an aggregate with partial rows. */
static df_batch *make_partial(graph_thread *t, const df_edge *e, uint32_t key_group, uint32_t slot,
                              df_batch *batch)
{
    df_batch *partial = combine(t, e, key_group, slot, batch), *payload = partial;

    if (partial != NULL && e->routed)
        payload = graph_route(t, e, slot, partial);
    else if (partial != NULL && !check_partial(t->graph, e, slot, partial))
        payload = NULL;
    if (payload != partial)
        df_batch_unref(t->memory, partial);
    return payload;
}

/* Own key groups only: nobody here would clear those of others, and they may become own ones. */
static void set_masks(df_graph *g, uint32_t edge, uint32_t slot, uint32_t from,
                      const df_batch *payload)
{
    graph_edge *ge = &g->edges[edge];
    const uint8_t *own = g->ticks[slot].owners->stages[g->plan->edges[edge].to].own;

    for (uint32_t to = 0; to < ge->to_groups && ge->mask_words > 0; to++)
        if (own[to] && payload->offsets[to] != payload->offsets[to + 1])
            atomic_fetch_or_explicit(
                &ge->masks[((size_t)slot * ge->to_groups + to) * ge->mask_words + from / 64],
                1ull << (from % 64), memory_order_relaxed);
}

void graph_put(df_graph *g, uint32_t edge, uint32_t key_group, uint32_t slot, df_batch *payload)
{
    graph_slot *to = graph_slot_at(g, edge, slot, key_group);
    const df_edge *e = &g->plan->edges[edge];

    if (payload == NULL)
        atomic_fetch_add_explicit(&g->edges[edge].ticks[slot].failed, 1, memory_order_relaxed);
    else if (e->routed)
        set_masks(g, edge, slot, key_group, payload);
    to->batch = payload;
    if (e->fan == DF_FAN_NEIGHBOURS)
        atomic_store_explicit(&to->readers, graph_own_readers(g, edge, key_group, slot),
                              memory_order_relaxed);
}

/* What travels of a stream's batch on an edge; null: failed. */
static df_batch *payload_of(graph_thread *t, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    const df_edge *e = &t->graph->plan->edges[edge];
    const df_vertex *reader = &t->graph->plan->vertices[e->vertex];
    df_batch *batch = t->local[e->stream], *payload = batch;

    if (batch != NULL && reader->partial != NULL && e->port == 0)
        payload = make_partial(t, e, key_group, slot, batch);
    else if (batch != NULL)
        payload = e->routed && !graph_edge_rests(t->graph, edge, slot) ? graph_route(t, e, slot, batch)
                                                                        : df_batch_ref(batch);
    return payload;
}

/* Takes the payload. */
static void put_here(graph_thread *t, uint32_t edge, uint32_t key_group, uint32_t slot,
                     df_batch *payload)
{
    if (t->graph->parted && graph_own_readers(t->graph, edge, key_group, slot) == 0)
        df_batch_unref(t->memory, payload);
    else
        graph_put(t->graph, edge, key_group, slot, payload);
}

void graph_publish(graph_thread *t, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    df_batch *payload = payload_of(t, edge, key_group, slot);

    if (t->graph->parted)
        graph_send(t, edge, key_group, slot, payload);
    put_here(t, edge, key_group, slot, payload);
}

void graph_publish_here(graph_thread *t, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    put_here(t, edge, key_group, slot, payload_of(t, edge, key_group, slot));
}

static void drop_slot(graph_thread *t, graph_slot *slot)
{
    df_batch_unref(t->memory, slot->batch);
    slot->batch = NULL;
}

/* Who had rows for this key group, until the ring's slot is used again. */
static void clear_mask(const df_graph *g, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    const graph_edge *e = &g->edges[edge];
    size_t row = ((size_t)slot * e->to_groups + key_group) * e->mask_words;

    for (uint32_t w = 0; w < e->mask_words; w++)
        atomic_store_explicit(&e->masks[row + w], 0, memory_order_relaxed);
}

/* This key group has read an edge: drop what nobody else will read. */
static void release(graph_thread *t, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    df_graph *g = t->graph;
    const df_edge *e = &g->plan->edges[edge];

    if (e->fan == DF_FAN_SAME) {
        drop_slot(t, graph_slot_at(g, edge, slot, key_group));
    } else if (e->fan == DF_FAN_ALL) {
        clear_mask(g, edge, key_group, slot);
        if (graph_last(g, &g->edges[edge].ticks[slot].depart))
            for (uint32_t i = 0; i < g->edges[edge].from_groups; i++)
                drop_slot(t, graph_slot_at(g, edge, slot, i));
    } else {
        const graph_space *space = &g->spaces[g->plan->streams[e->stream].partition.space];
        for (uint32_t i = space->first[key_group]; i < space->first[key_group + 1]; i++) {
            graph_slot *from = graph_slot_at(g, edge, slot, space->near[i].key_group);
            if (graph_last(g, &from->readers))
                drop_slot(t, from);
        }
    }
}

/* Whether something that this task reads was not made, because its maker failed. */
static bool input_failed(const df_graph *g, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    const df_edge *e = &g->plan->edges[edge];

    if (atomic_load_explicit(&g->edges[edge].ticks[slot].failed, memory_order_relaxed) == 0)
        return false; /* mostly: not one of them is looked at */
    if (e->fan == DF_FAN_ALL)
        return true;
    if (e->fan == DF_FAN_SAME)
        return graph_slot_at(g, edge, slot, key_group)->batch == NULL;
    const graph_space *space = &g->spaces[g->plan->streams[e->stream].partition.space];
    for (uint32_t i = space->first[key_group]; i < space->first[key_group + 1]; i++)
        if (graph_slot_at(g, edge, slot, space->near[i].key_group)->batch == NULL)
            return true;
    return false;
}

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
    uint64_t begin = nanoseconds();
    bool ok = parked != NULL || tick->tick <= atomic_load_explicit(&g->fail_tick, memory_order_relaxed);

    t->clock = begin;
    for (uint32_t i = 0; ok && parked == NULL && i < s->in_count; i++)
        ok = !tick->edges[s->in_edges[i]] || !input_failed(g, s->in_edges[i], key_group, slot);
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
            release(t, s->in_edges[i], key_group, slot);
    for (uint32_t i = 0; i < s->vertex_count; i++) {
        const df_vertex *v = &g->plan->vertices[s->vertices[i]];
        for (uint32_t o = 0; o < v->out_count; o++) {
            df_batch_unref(t->memory, t->local[v->outs[o]]);
            t->local[v->outs[o]] = NULL;
        }
    }
    graph_scratch_reset(t);
    if (g->parted) {
        uint64_t spent = nanoseconds() - begin;

        note_time(g, spent);
        graph_unit_ran(t, stage, key_group, tick->tick, spent);
    }
    return true;
}
