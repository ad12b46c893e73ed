/* One call of a kind: what it is given, what it may ask for, and how it fails. */
#include "dataflow/df_task_private.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

void task_fail_finally(task_frame *f, uint32_t tries)
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

/* ---- its begin and its end ---- */

void task_start(task_frame *f, graph_thread *t, uint32_t vertex, uint32_t key_group, uint32_t slot)
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

void task_drop_outputs(task_frame *f)
{
    for (uint32_t o = 0; o < WEIR_PORTS_MAX; o++) {
        df_batch_unref(f->memory, f->outputs[o]);
        f->outputs[o] = NULL;
    }
}

bool task_complete_outputs(task_frame *f, uint32_t count)
{
    for (uint32_t o = 0; o < count; o++)
        if (f->outputs[o] == NULL && weir_output(&f->task, o, 0) == NULL)
            return false;
    return true;
}
