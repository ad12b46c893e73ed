/* The inputs of one call of a kind: batches of this task, of edges, and looked-up rows.
 *
 * Order: batches of several key groups reach a kind in ascending (key group, stream) order, whatever
 * order they arrived in; a looked-up table is in ascending key order. */
#include "dataflow/df_task_private.h"
#include "kernels/kern_sort.h"

#include <string.h>

/* The batch of one stream for this key group, made in this task or waiting on an edge. */
static df_batch *own_batch(const task_frame *f, const graph_source *source, uint32_t key_group)
{
    if (source->edge == DF_NONE)
        return f->thread->local[source->stream];
    return graph_slot_at(f->thread->graph, source->edge, f->slot, key_group)->batch;
}

/* The rows of several streams in one batch. */
static df_batch *concatenate(task_frame *f, const weir_batch *const *parts, uint32_t count)
{
    df_batch *out = df_batch_new(f->memory, parts[0]->schema, f->task.step, f->task.key_group);
    uint32_t rows = 0, at = 0;

    for (uint32_t i = 0; i < count; i++)
        rows += parts[i]->row_count;
    if (out == NULL || !df_batch_alloc(f->memory, out, rows)) {
        df_batch_unref(f->memory, out);
        task_fail_memory(f);
        return NULL;
    }
    for (uint32_t i = 0; i < count; at += parts[i++]->row_count) {
        memcpy(out->view.keys + at, parts[i]->keys, parts[i]->row_count * sizeof(uint64_t));
        for (uint32_t c = 0; c < out->view.schema->column_count; c++) {
            size_t size = weir_type_size(out->view.schema->columns[c].type);
            memcpy((char *)out->view.columns[c] + at * size, parts[i]->columns[c],
                   parts[i]->row_count * size);
        }
    }
    return out;
}

static bool read_forward(task_frame *f, uint32_t port, const df_port *p, const graph_source *sources)
{
    const weir_batch **list = graph_scratch_get(f->thread, sizeof *list * p->stream_count);

    if (list == NULL)
        return false;
    for (uint32_t k = 0; k < p->stream_count; k++) {
        df_batch *batch = own_batch(f, &sources[k], f->task.key_group);
        if (batch == NULL)
            return false;
        list[k] = &batch->view;
    }
    if (p->stream_count > 1) {
        f->unions[port] = concatenate(f, list, p->stream_count);
        if (f->unions[port] == NULL)
            return false;
        list[0] = &f->unions[port]->view;
    }
    f->inputs[port].batches = list;
    f->inputs[port].batch_count = 1;
    return true;
}

static bool read_halo(task_frame *f, uint32_t port, const graph_source *source)
{
    const weir_batch **list = graph_scratch_get(f->thread, sizeof *list * WEIR_HALO_SLOTS);

    if (list == NULL)
        return false;
    for (uint32_t s = 0; s < WEIR_HALO_SLOTS; s++) {
        uint32_t group = f->task.tile->neighbours[s];
        df_batch *batch = NULL;
        if (group != WEIR_NO_ROW) {
            batch = own_batch(f, source, group);
            if (batch == NULL)
                return false;
        }
        list[s] = batch == NULL ? NULL : &batch->view;
    }
    f->inputs[port].batches = list;
    f->inputs[port].batch_count = WEIR_HALO_SLOTS;
    return true;
}

/* Every key group's batch, ascending; of one key group, in the order of the streams. */
static bool read_all(task_frame *f, uint32_t port, const df_port *p, const graph_source *sources)
{
    const df_graph *g = f->thread->graph;
    uint32_t groups = 0, total = 0, count = 0;
    const weir_batch **list;

    for (uint32_t k = 0; k < p->stream_count; k++) {
        uint32_t n = g->edges[sources[k].edge].from_groups;
        groups = n > groups ? n : groups;
        total += n;
    }
    list = graph_scratch_get(f->thread, sizeof *list * (total + 1));
    if (list == NULL)
        return false;
    for (uint32_t group = 0; group < groups; group++)
        for (uint32_t k = 0; k < p->stream_count; k++)
            if (group < g->edges[sources[k].edge].from_groups) {
                df_batch *batch = own_batch(f, &sources[k], group);
                if (batch == NULL)
                    return false;
                list[count++] = &batch->view;
            }
    f->inputs[port].batches = list;
    f->inputs[port].batch_count = count;
    return true;
}

/* A view of the rows [begin, end) of a batch. */
static void slice(weir_batch *view, const weir_batch *from, uint32_t begin, uint32_t end)
{
    *view = *from;
    view->row_count = end - begin;
    view->keys = from->keys + begin;
    for (uint32_t c = 0; c < from->schema->column_count; c++)
        view->columns[c] = (char *)from->columns[c] +
                           begin * weir_type_size(from->schema->columns[c].type);
}

/* What source key group `group` sent here on an edge. Null: out of memory. */
static const weir_batch *sent_here(const task_frame *f, const graph_source *source, uint32_t group)
{
    uint32_t here = f->task.key_group;
    const df_batch *batch = own_batch(f, source, group);
    weir_batch *view = graph_scratch_get(f->thread, sizeof *view);

    if (batch == NULL || view == NULL)
        return NULL;
    slice(view, &batch->view, batch->offsets[here], batch->offsets[here + 1]);
    return view;
}

/* The word `w` of the mask of who has rows for us. It stays: a call that is made again reads it again. */
static uint64_t mask_word(const task_frame *f, const graph_source *source, uint32_t w)
{
    const graph_edge *e = &f->thread->graph->edges[source->edge];
    size_t row = (size_t)f->slot * e->to_groups + f->task.key_group;

    if (w >= e->mask_words)
        return 0;
    return atomic_load_explicit(&e->masks[row * e->mask_words + w], memory_order_relaxed);
}

static bool comes_from_home(const task_frame *f, const graph_source *source)
{
    return source->edge == DF_NONE ||
           f->thread->graph->plan->edges[source->edge].fan == DF_FAN_SAME;
}

/* This key group's own partial rows, in the order of the streams; as below, only of who has any. */
static bool read_keyed_at_home(task_frame *f, uint32_t port, const df_port *p,
                               const graph_source *sources)
{
    const weir_batch **list = graph_scratch_get(f->thread, sizeof *list * p->stream_count);
    uint32_t count = 0;

    if (list == NULL)
        return false;
    for (uint32_t k = 0; k < p->stream_count; k++) {
        const df_batch *batch = own_batch(f, &sources[k], f->task.key_group);
        if (batch->view.row_count > 0)
            list[count++] = &batch->view;
    }
    f->inputs[port].batches = list;
    f->inputs[port].batch_count = count;
    return true;
}

/* The rows that were sent here, by ascending (source key group, stream): only sources whose bit is
 * set. */
static bool read_keyed(task_frame *f, uint32_t port, const df_port *p, const graph_source *sources)
{
    const df_graph *g = f->thread->graph;
    uint32_t count = 0, total = 0, words = 0;
    uint64_t bits[DF_UNION_MAX];
    const weir_batch **list;

    if (comes_from_home(f, &sources[0]))
        return read_keyed_at_home(f, port, p, sources);
    for (uint32_t k = 0; k < p->stream_count; k++) {
        const graph_edge *e = &g->edges[sources[k].edge];
        total += e->from_groups;
        words = e->mask_words > words ? e->mask_words : words;
    }
    list = graph_scratch_get(f->thread, sizeof *list * (total + 1));
    if (list == NULL)
        return false;
    for (uint32_t w = 0; w < words; w++) {
        uint64_t any = 0;
        for (uint32_t k = 0; k < p->stream_count; k++)
            any |= bits[k] = mask_word(f, &sources[k], w);
        for (; any != 0; any &= any - 1)
            for (uint32_t k = 0; k < p->stream_count; k++) {
                uint32_t bit = (uint32_t)__builtin_ctzll(any);
                if ((bits[k] >> bit & 1) == 0)
                    continue;
                list[count] = sent_here(f, &sources[k], w * 64 + bit);
                if (list[count++] == NULL)
                    return false;
            }
    }
    f->inputs[port].batches = list;
    f->inputs[port].batch_count = count;
    return true;
}

/* ---- lookup ---- */

/* The place of a key in an ascending list, or WEIR_NO_ROW. */
static uint32_t find_key(const uint64_t *keys, uint32_t count, uint64_t key)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (keys[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && keys[low] == key ? low : WEIR_NO_ROW;
}

/* The distinct keys of the runs, ascending, into keys, and how many. False: out of memory. */
static bool distinct_keys(task_frame *f, const weir_batch *asking, uint32_t column,
                          const weir_runs *runs, uint64_t *keys, uint32_t *distinct)
{
    uint32_t count = runs->count;

    for (uint32_t r = 0; r < count; r++)
        keys[r] = graph_key_at(asking, column, runs->begins[r]);
    *distinct = count;
    if (runs->ascending)
        return true;
    kern_pair *pairs = graph_scratch_get(f->thread, 2ull * count * sizeof *pairs);
    if (pairs == NULL)
        return false;
    for (uint32_t r = 0; r < count; r++)
        pairs[r] = (kern_pair){ .key = keys[r] };
    kern_sort_pairs(pairs, pairs + count, count);
    *distinct = 0;
    for (uint32_t r = 0; r < count; r++)
        if (r == 0 || pairs[r].key != pairs[r - 1].key)
            keys[(*distinct)++] = pairs[r].key;
    return true;
}

/* Whether all keys of rows that never left belong to this key group, as the plan has proved. */
static bool check_at_home(task_frame *f, const df_partition *part, const uint64_t *keys, uint32_t count)
{
    uint32_t stranger = graph_find_stranger(part, f->task.key_group, keys, count);

    if (stranger < count)
        weir_fail(&f->task, WEIR_NO_ROW, GRAPH_NOT_AT_HOME, (unsigned long long)keys[stranger]);
    return stranger == count;
}

/* Copy the rows of the keys that exist into a batch; rows_of[i] is key i's row there. */
static df_batch *fetch_rows(task_frame *f, const graph_source *source, const uint64_t *keys,
                            uint32_t count, uint32_t *rows_of)
{
    const df_graph *g = f->thread->graph;
    const df_stream *stream = &g->plan->streams[source->stream];
    bool home = comes_from_home(f, source);
    df_batch *out;
    uint32_t found = 0;

    if (home && !check_at_home(f, &stream->partition, keys, count))
        return NULL;
    out = df_batch_new(f->memory, &stream->schema, f->task.step, f->task.key_group);
    if (out == NULL || !df_batch_alloc(f->memory, out, count)) {
        df_batch_unref(f->memory, out);
        task_fail_memory(f);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        const df_batch *from = own_batch(f, source, home ? f->task.key_group
                                                         : df_partition_of(&stream->partition, keys[i]));
        uint32_t row = from == NULL ? WEIR_NO_ROW : find_key(from->view.keys, from->view.row_count, keys[i]);

        rows_of[i] = row == WEIR_NO_ROW ? WEIR_NO_ROW : found;
        if (row == WEIR_NO_ROW)
            continue;
        out->view.keys[found] = keys[i];
        for (uint32_t c = 0; c < stream->schema.column_count; c++) {
            size_t size = weir_type_size(stream->schema.columns[c].type);
            memcpy((char *)out->view.columns[c] + found * size,
                   (const char *)from->view.columns[c] + row * size, size);
        }
        found++;
    }
    out->view.row_count = found;
    return out;
}

/* For each asking row its row among those that were fetched. Where every key is there, once and in order,
 * that is the number of its run, which is remembered with the asking column. Null: out of memory. */
static const uint32_t *rows_of_runs(task_frame *f, const weir_batch *asking, uint32_t column,
                                    const weir_runs *runs, const uint64_t *keys, uint32_t count,
                                    const uint32_t *rows_of)
{
    const uint32_t *numbers = NULL;
    bool in_order = runs->ascending;
    uint32_t *row_of_run, *rows;

    for (uint32_t i = 0; i < count; i++)
        in_order &= rows_of[i] == i;
    if (in_order)
        numbers = graph_run_numbers(f->thread, asking, column);
    if (numbers != NULL)
        return numbers;
    row_of_run = graph_scratch_get(f->thread, (runs->count + 1ull) * sizeof *row_of_run);
    rows = graph_scratch_get(f->thread, (asking->row_count + 1ull) * sizeof *rows);
    if (row_of_run == NULL || rows == NULL)
        return NULL;
    for (uint32_t r = 0; r < runs->count; r++)
        row_of_run[r] = rows_of[find_key(keys, count, graph_key_at(asking, column, runs->begins[r]))];
    graph_spread_runs(runs, row_of_run, rows);
    return rows;
}

/* The table of this key group, if it holds the keys that are asked for and no others: it need not be copied. */
static df_batch *whole_table(task_frame *f, const graph_source *source, const uint64_t *keys,
                             uint32_t count)
{
    df_batch *table = comes_from_home(f, source) ? own_batch(f, source, f->task.key_group) : NULL;

    if (table == NULL || table->view.row_count != count ||
        memcmp(table->view.keys, keys, count * sizeof *keys) != 0)
        return NULL;
    return df_batch_ref(table);
}

static bool read_lookup(task_frame *f, uint32_t port, const df_port *p, const graph_source *source)
{
    const weir_input *first = &f->inputs[0];
    const weir_batch *asking = first->batches[first->exchange == WEIR_HALO ? WEIR_HALO_CENTRE : 0];
    uint32_t column = (uint32_t)p->column, count;
    const weir_batch **list = graph_scratch_get(f->thread, sizeof *list);
    weir_runs runs;
    uint64_t *keys;
    uint32_t *rows_of;

    if (list == NULL || !graph_column_runs(f->thread, asking, column, &runs))
        return false;
    keys = graph_scratch_get(f->thread, (runs.count + 1ull) * sizeof *keys);
    rows_of = graph_scratch_get(f->thread, (runs.count + 1ull) * sizeof *rows_of);
    if (keys == NULL || rows_of == NULL || !distinct_keys(f, asking, column, &runs, keys, &count))
        return false;
    f->unions[port] = whole_table(f, source, keys, count);
    for (uint32_t i = 0; f->unions[port] != NULL && i < count; i++)
        rows_of[i] = i;
    if (f->unions[port] == NULL)
        f->unions[port] = fetch_rows(f, source, keys, count, rows_of);
    if (f->unions[port] == NULL)
        return false;
    list[0] = &f->unions[port]->view;
    f->inputs[port].batches = list;
    f->inputs[port].batch_count = 1;
    f->inputs[port].rows = rows_of_runs(f, asking, column, &runs, keys, count, rows_of);
    return f->inputs[port].rows != NULL;
}

bool task_read_inputs(task_frame *f)
{
    const df_vertex *v = &f->thread->graph->plan->vertices[f->vertex];
    const graph_vertex *gv = &f->thread->graph->vertices[f->vertex];

    for (uint32_t q = 0; q < v->port_count; q++) {
        const df_port *p = &v->ports[q];
        bool ok;

        f->inputs[q] = (weir_input){ .exchange = p->exchange };
        if (p->exchange == WEIR_FORWARD)
            ok = read_forward(f, q, p, gv->sources[q]);
        else if (p->exchange == WEIR_HALO)
            ok = read_halo(f, q, gv->sources[q]);
        else if (p->exchange == WEIR_LOOKUP)
            ok = read_lookup(f, q, p, gv->sources[q]);
        else if (p->exchange == WEIR_KEY_BY)
            ok = read_keyed(f, q, p, gv->sources[q]);
        else
            ok = read_all(f, q, p, gv->sources[q]);
        if (!ok)
            return false;
    }
    return true;
}
