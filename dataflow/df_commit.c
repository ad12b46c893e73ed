/* The commit of a state: the rows of its next streams become the batch that enters the next step.
 *
 * The batch is in canonical order, by cell and then by key (keyed states: by key). Keys are unique,
 * so the order, and with it every bit, is a function of the set of rows alone, not of where they came
 * from. Rows that did not move are nearly in order already; the sort is a counting sort by cell that
 * keeps the order of arrival, and a repair of the few places where keys are not ascending. */
#include "dataflow/df_graph_private.h"
#include "dataflow/df_space.h"
#include "kernels/kern_sort.h"

#include <string.h>

/* Rows of a cell that are inserted one by one; more are merged. */
#define COMMIT_INSERT_MAX 8u

/* Rows of one batch that come here: all that stay (`cells`), or a list. */
typedef struct merge_source {
    const weir_batch *batch;
    const uint32_t *rows;  /* null: all rows whose cell is not DF_LEAVES */
    const uint32_t *cells; /* of each row, or of each listed row; null: keyed */
    uint32_t count;        /* rows, or listed rows */
} merge_source;

typedef struct merge {
    graph_thread *thread;
    uint32_t vertex, key_group, slot;
    const weir_schema *schema;
    /* The first source is the large one; the others' rows are listed one by one. */
    merge_source large;
    uint32_t small_count, small_max;
    const weir_batch **small_batch;
    uint32_t *small_row, *small_cell;
    uint32_t row_count;
    uint32_t *order;    /* [row_count]: a row of large, or large.count + a small one */
    uint32_t *cell_of;  /* [row_count], spatial */
    df_batch *out;
} merge;

static bool alloc_failed(const merge *m)
{
    graph_fail(m->thread->graph, m->thread->graph->ticks[m->slot].tick, m->vertex, m->key_group,
               WEIR_NO_ROW, DF_ENOMEM, "out of memory");
    return false;
}

/* ---- collecting ---- */

static uint32_t count_rows(const merge_source *s)
{
    uint32_t count = 0;

    if (s->rows != NULL || s->cells == NULL)
        return s->count;
    for (uint32_t i = 0; i < s->count; i++)
        count += s->cells[i] != DF_LEAVES;
    return count;
}

static bool add_small(merge *m, const merge_source *s)
{
    uint32_t count = count_rows(s);

    if (m->small_count + count > m->small_max) {
        uint32_t max = (m->small_count + count) * 2 + 64;
        const weir_batch **batches = graph_scratch_get(m->thread, max * sizeof(*batches));
        uint32_t *rows = graph_scratch_get(m->thread, max * sizeof *rows);
        uint32_t *cells = graph_scratch_get(m->thread, max * sizeof *cells);

        if (batches == NULL || rows == NULL || cells == NULL)
            return alloc_failed(m);
        if (m->small_count > 0) {
            memcpy(batches, m->small_batch, m->small_count * sizeof(*batches));
            memcpy(rows, m->small_row, m->small_count * sizeof *rows);
            memcpy(cells, m->small_cell, m->small_count * sizeof *cells);
        }
        m->small_batch = batches;
        m->small_row = rows;
        m->small_cell = cells;
        m->small_max = max;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t cell = s->cells == NULL ? 0 : s->cells[i];
        if (cell == DF_LEAVES)
            continue;
        m->small_batch[m->small_count] = s->batch;
        m->small_row[m->small_count] = s->rows == NULL ? i : s->rows[i];
        m->small_cell[m->small_count++] = cell;
    }
    return true;
}

static bool add_source(merge *m, const merge_source *s)
{
    if (s->rows == NULL && m->large.batch == NULL) {
        m->large = *s;
        return true;
    }
    return add_small(m, s);
}

static merge_source listed(const df_batch *batch, uint32_t destination)
{
    uint32_t begin = batch->offsets[destination], end = batch->offsets[destination + 1];

    if (begin == end)
        return (merge_source){ 0 }; /* of another member that sent nothing there are no lists */
    return (merge_source){ .batch = &batch->view, .rows = batch->leaving_rows + begin,
                           .cells = batch->leaving_cells == NULL ? NULL : batch->leaving_cells + begin,
                           .count = end - begin };
}

/* Everything that one edge brings to this key group. */
static bool collect_edge(merge *m, uint32_t edge)
{
    df_graph *g = m->thread->graph;
    const df_edge *e = &g->plan->edges[edge];
    uint32_t here = m->key_group;
    merge_source s;

    if (e->fan == DF_FAN_SAME) {
        const df_batch *batch = graph_slot_at(g, edge, m->slot, here)->batch;
        s = (merge_source){ .batch = &batch->view, .count = batch->view.row_count };
        return add_source(m, &s);
    }
    if (e->fan == DF_FAN_ALL) {
        for (uint32_t from = 0; from < g->edges[edge].from_groups; from++) {
            s = listed(graph_slot_at(g, edge, m->slot, from)->batch, here);
            if (s.count > 0 && !add_small(m, &s))
                return false;
        }
        return true;
    }
    const graph_space *space = &g->spaces[g->plan->streams[e->stream].partition.space];
    const df_batch *own = graph_slot_at(g, edge, m->slot, here)->batch;
    s = (merge_source){ .batch = &own->view, .cells = own->cells, .count = own->view.row_count };
    if (!add_source(m, &s))
        return false;
    for (uint32_t i = space->first[here]; i < space->first[here + 1]; i++) {
        uint32_t from = space->near[i].key_group;
        if (from == here)
            continue;
        s = listed(graph_slot_at(g, edge, m->slot, from)->batch, space->near[i].slot);
        if (s.count > 0 && !add_small(m, &s))
            return false;
    }
    return true;
}

static bool collect(merge *m, uint32_t port)
{
    df_graph *g = m->thread->graph;
    const graph_source *sources = g->vertices[m->vertex].sources[port];
    uint32_t count = g->plan->vertices[m->vertex].ports[port].stream_count;

    for (uint32_t k = 0; k < count; k++) {
        if (sources[k].edge == DF_NONE) {
            const df_batch *batch = m->thread->local[sources[k].stream];
            merge_source s = { .batch = &batch->view, .count = batch->view.row_count };
            if (!add_source(m, &s))
                return false;
        } else if (!collect_edge(m, sources[k].edge)) {
            return false;
        }
    }
    m->row_count = m->small_count + (m->large.batch == NULL ? 0 : count_rows(&m->large));
    return true;
}

/* ---- one row per key ---- */

static bool fail_twice(const merge *m, uint64_t key)
{
    graph_fail(m->thread->graph, m->thread->graph->ticks[m->slot].tick, m->vertex, m->key_group,
               WEIR_NO_ROW, DF_EINVAL, "id %llu is in two rows of the next streams",
               (unsigned long long)key);
    return false;
}

/* The place of a key in an open-addressing table of `mask` + 1 keys, or of the empty entry where it
 * would stand. Keys are stored plus one: 0 is empty, and no row has the last key. */
static uint64_t *key_place(uint64_t *table, uint32_t mask, uint64_t key)
{
    uint32_t i = (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32) & mask;

    while (table[i] != 0 && table[i] != key + 1)
        i = (i + 1) & mask;
    return &table[i];
}

/* What this key group itself made for one of several next streams, with the rows that leave; null:
 * the stream comes from elsewhere. */
static const weir_batch *own_rows(const merge *m, const graph_source *source)
{
    const df_graph *g = m->thread->graph;
    const df_batch *batch = NULL;

    if (source->edge == DF_NONE)
        batch = m->thread->local[source->stream];
    else if (m->key_group < g->edges[source->edge].from_groups)
        batch = graph_slot_at(g, source->edge, m->slot, m->key_group)->batch;
    return batch == NULL ? NULL : &batch->view;
}

/* A key that is in two next streams is an error. Its rows may be bound for different tiles, but both
 * were made by the key group that the row was in: so look at what each made, before it is spread. The
 * rows of all streams but the largest go into a table, where the largest's are looked up. */
static bool check_union(const merge *m, uint32_t port)
{
    const df_graph *g = m->thread->graph;
    const graph_source *sources = g->vertices[m->vertex].sources[port];
    uint32_t streams = g->plan->vertices[m->vertex].ports[port].stream_count;
    uint32_t total = 0, largest = 0, most = 0, mask = 63;
    uint64_t *table;

    for (uint32_t k = 0; k < streams; k++) {
        const weir_batch *rows = own_rows(m, &sources[k]);
        total += rows == NULL ? 0 : rows->row_count;
        if (rows != NULL && rows->row_count > most) {
            most = rows->row_count;
            largest = k;
        }
    }
    while (mask < 2 * (total - most))
        mask = mask * 2 + 1;
    table = graph_scratch_get(m->thread, (mask + 1ull) * sizeof *table);
    if (table == NULL)
        return alloc_failed(m);
    memset(table, 0, (mask + 1ull) * sizeof *table);
    for (uint32_t k = 0; k <= streams; k++) {
        const weir_batch *rows = k == largest ? NULL : own_rows(m, &sources[k < streams ? k : largest]);
        for (uint32_t i = 0; rows != NULL && i < rows->row_count; i++) {
            uint64_t *place = key_place(table, mask, rows->keys[i]);
            if (*place != 0)
                return fail_twice(m, rows->keys[i]);
            if (k < streams)
                *place = rows->keys[i] + 1;
        }
    }
    return true;
}

/* ---- ordering ---- */

static uint64_t key_of(const merge *m, uint32_t ref)
{
    if (ref < m->large.count)
        return m->large.batch->keys[ref];
    ref -= m->large.count;
    return m->small_batch[ref]->keys[m->small_row[ref]];
}

/* Counting sort by cell, keeping the order of arrival; cell_rows becomes the first row of each. */
static void sort_by_cell(merge *m, uint32_t *cell_rows, uint32_t cells)
{
    uint32_t total = 0;

    memset(cell_rows, 0, (cells + 1) * sizeof *cell_rows);
    for (uint32_t i = 0; i < m->large.count; i++)
        if (m->large.cells[i] != DF_LEAVES)
            cell_rows[m->large.cells[i]]++;
    for (uint32_t i = 0; i < m->small_count; i++)
        cell_rows[m->small_cell[i]]++;
    for (uint32_t c = 0; c < cells; c++) {
        total += cell_rows[c];
        cell_rows[c] = total; /* its end; the loops below lower it to its begin */
    }
    cell_rows[cells] = total;
    for (uint32_t i = m->small_count; i-- > 0;) {
        uint32_t at = --cell_rows[m->small_cell[i]];
        m->order[at] = m->large.count + i;
        m->cell_of[at] = m->small_cell[i];
    }
    for (uint32_t i = m->large.count; i-- > 0;) {
        if (m->large.cells[i] == DF_LEAVES)
            continue;
        uint32_t at = --cell_rows[m->large.cells[i]];
        m->order[at] = i;
        m->cell_of[at] = m->large.cells[i];
    }
}

/* Move row i forward to its place among the rows [begin, i), which are in order. */
static void insert_row(merge *m, uint32_t begin, uint32_t i)
{
    uint64_t *keys = m->out->view.keys, key = keys[i];
    uint32_t ref = m->order[i], j = i;

    for (; j > begin && keys[j - 1] > key; j--) {
        keys[j] = keys[j - 1];
        m->order[j] = m->order[j - 1];
    }
    keys[j] = key;
    m->order[j] = ref;
}

/* Sort keys[begin ..] and order[begin ..] by key. `pairs` has room for 2 * count. */
static void sort_rows(merge *m, uint32_t begin, uint32_t count, kern_pair *pairs)
{
    uint64_t *keys = m->out->view.keys + begin;
    uint32_t *order = m->order + begin;

    for (uint32_t i = 0; i < count; i++)
        pairs[i] = (kern_pair){ .key = keys[i], .value = order[i] };
    kern_sort_pairs(pairs, pairs + count, count);
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = pairs[i].key;
        order[i] = pairs[i].value;
    }
}

/* Sort the rows [begin, end) of a cell of which `first` is the first out of order: a few are inserted,
 * many are merged, or a cell of many rows would cost their square. */
static bool sort_cell(merge *m, uint32_t begin, uint32_t first, uint32_t end)
{
    kern_pair *pairs;

    if (end - first <= COMMIT_INSERT_MAX) {
        for (uint32_t i = first; i < end; i++)
            insert_row(m, begin, i);
        return true;
    }
    pairs = graph_scratch_get(m->thread, 2ull * (end - begin) * sizeof *pairs);
    if (pairs == NULL)
        return alloc_failed(m);
    sort_rows(m, begin, end - begin, pairs);
    return true;
}

static bool sort_cells_by_key(merge *m, const uint32_t *cell_rows)
{
    uint64_t *keys = m->out->view.keys;

    for (uint32_t i = 0; i < m->row_count; i++)
        keys[i] = key_of(m, m->order[i]);
    for (uint32_t i = 1; i < m->row_count; i++) {
        uint32_t cell = m->cell_of[i];
        if (__builtin_expect(keys[i] > keys[i - 1] || cell != m->cell_of[i - 1], 1))
            continue;
        if (!sort_cell(m, cell_rows[cell], i, cell_rows[cell + 1]))
            return false;
        i = cell_rows[cell + 1] - 1;
        for (uint32_t k = cell_rows[cell] + 1; k <= i; k++)
            if (keys[k] == keys[k - 1])
                return fail_twice(m, keys[k]);
    }
    return true;
}

static bool sort_by_key(merge *m)
{
    uint64_t *keys = m->out->view.keys;
    bool sorted = true;

    for (uint32_t i = 0; i < m->row_count; i++) {
        m->order[i] = i;
        keys[i] = key_of(m, i);
        sorted &= i == 0 || keys[i] > keys[i - 1];
    }
    if (sorted)
        return true;
    kern_pair *pairs = graph_scratch_get(m->thread, 2ull * m->row_count * sizeof *pairs);
    if (pairs == NULL)
        return alloc_failed(m);
    sort_rows(m, 0, m->row_count, pairs);
    for (uint32_t i = 1; i < m->row_count; i++)
        if (keys[i] == keys[i - 1])
            return fail_twice(m, keys[i]);
    return true;
}

/* ---- copying ---- */

static void copy_large_4(uint32_t *restrict to, const uint32_t *restrict from,
                         const uint32_t *restrict order, uint32_t count, uint32_t last)
{
    for (uint32_t i = 0; i < count; i++)
        to[i] = from[order[i] < last ? order[i] : last];
}

static void copy_large(void *to, const void *from, const uint32_t *order, uint32_t count,
                       uint32_t last, size_t size)
{
    if (size == 4)
        copy_large_4(to, from, order, count, last);
    else if (size == 8)
        for (uint32_t i = 0; i < count; i++)
            ((uint64_t *)to)[i] = ((const uint64_t *)from)[order[i] < last ? order[i] : last];
    else
        for (uint32_t i = 0; i < count; i++)
            ((uint8_t *)to)[i] = ((const uint8_t *)from)[order[i] < last ? order[i] : last];
}

/* The places in the output that small rows go to, `places` and their small rows `refs`. */
static uint32_t find_small(const merge *m, uint32_t *places)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < m->row_count; i++)
        if (m->order[i] >= m->large.count)
            places[count++] = i;
    return count;
}

/* The column of a source under the name that the state's column has: the sources' schemas may hold
 * more columns, in another order. */
static int source_column(const merge *m, const weir_batch *from, uint32_t column)
{
    const char *name = m->schema->columns[column].name;

    if (column < from->schema->column_count && strcmp(from->schema->columns[column].name, name) == 0)
        return (int)column; /* mostly */
    return weir_schema_find(from->schema, name);
}

static void copy_small(const merge *m, uint32_t column, const uint32_t *places, uint32_t count)
{
    size_t size = weir_type_size(m->schema->columns[column].type);
    char *to = m->out->view.columns[column];
    const weir_schema *schema = NULL;
    int from = -1;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t ref = m->order[places[i]] - m->large.count;
        const weir_batch *batch = m->small_batch[ref];
        if (batch->schema != schema) {
            schema = batch->schema;
            from = source_column(m, batch, column);
        }
        memcpy(to + places[i] * size, (const char *)batch->columns[from] + m->small_row[ref] * size,
               size);
    }
}

static bool copy_columns(merge *m)
{
    uint32_t *places = graph_scratch_get(m->thread, (m->row_count + 1) * sizeof *places);
    uint32_t small;

    if (places == NULL)
        return alloc_failed(m);
    small = find_small(m, places);
    for (uint32_t c = 0; c < m->schema->column_count; c++) {
        size_t size = weir_type_size(m->schema->columns[c].type);
        if (m->large.batch != NULL && m->large.count > 0)
            copy_large(m->out->view.columns[c],
                       m->large.batch->columns[source_column(m, m->large.batch, c)], m->order,
                       m->row_count, m->large.count - 1, size);
        copy_small(m, c, places, small);
    }
    return true;
}

/* ---- checking ---- */

static bool all_finite_f32(const uint32_t *bits, uint32_t count)
{
    uint32_t bad = 0;

    for (uint32_t i = 0; i < count; i++)
        bad |= (bits[i] & 0x7f800000u) == 0x7f800000u;
    return bad == 0;
}

static bool all_finite_f64(const uint64_t *bits, uint32_t count)
{
    uint64_t bad = 0;

    for (uint32_t i = 0; i < count; i++)
        bad |= (bits[i] & 0x7ff0000000000000u) == 0x7ff0000000000000u;
    return bad == 0;
}

static bool fail_not_finite(const merge *m, uint32_t column)
{
    const weir_batch *out = &m->out->view;
    bool wide = m->schema->columns[column].type == WEIR_F64;

    for (uint32_t i = 0; i < out->row_count; i++) {
        double x = wide ? ((const double *)out->columns[column])[i]
                        : (double)((const float *)out->columns[column])[i];
        if (x - x != 0) {
            graph_fail(m->thread->graph, m->thread->graph->ticks[m->slot].tick, m->vertex,
                       m->key_group, i, DF_EINVAL, "id %llu: column %s is not finite",
                       (unsigned long long)out->keys[i], m->schema->columns[column].name);
            break;
        }
    }
    return false;
}

static bool is_axis(const merge *m, const df_state *state, uint32_t column)
{
    uint32_t axes = m->thread->graph->plan->spaces[state->space].view.axis_count;
    bool is = false;

    for (uint32_t a = 0; a < axes; a++)
        is |= state->axis_columns[a] == (int)column;
    return is;
}

/* `but` a state's axes, if it is given. */
static bool check_finite(const merge *m, const df_state *but)
{
    const weir_batch *out = &m->out->view;

    for (uint32_t c = 0; c < m->schema->column_count; c++) {
        if (but != NULL && is_axis(m, but, c))
            continue;
        weir_type type = m->schema->columns[c].type;
        if ((type == WEIR_F32 && !all_finite_f32(out->columns[c], out->row_count)) ||
            (type == WEIR_F64 && !all_finite_f64(out->columns[c], out->row_count)))
            return fail_not_finite(m, c);
    }
    return true;
}

/* ---- the two kinds of state ---- */

/* The state's batch is this one, with its own order of columns: nothing is copied. */
static void take_over(merge *m, df_batch *from)
{
    uint32_t columns[WEIR_COLUMNS_MAX];
    bool whole = from->view.schema->column_count == m->schema->column_count;

    for (uint32_t c = 0; c < m->schema->column_count; c++)
        columns[c] = (uint32_t)source_column(m, &from->view, c);
    if (whole) {
        df_batch_borrow(m->out, from, columns);
        return;
    }
    m->out->view.row_count = from->view.row_count;
    df_batch_share(m->out, DF_KEYS, &from->view, 0);
    df_batch_share_settled(m->out, from);
    for (uint32_t c = 0; c < m->schema->column_count; c++)
        df_batch_share(m->out, c, &from->view, columns[c]);
}

/* A keyed state whose rows all come from one batch in order: its columns are shared. */
static bool share_whole(merge *m)
{
    const weir_batch *from = m->large.batch;

    if (from == NULL || m->small_count > 0 || m->large.cells != NULL ||
        !graph_keys_ascending(from))
        return false;
    take_over(m, (df_batch *)(uintptr_t)from); /* an edge's, or this task's: whole */
    return true;
}

static bool make_rows(merge *m, const df_space *space)
{
    df_memory memory = m->thread->memory;

    if (space == NULL && share_whole(m))
        return check_finite(m, NULL);
    if (space != NULL && m->row_count == 0) {
        m->out->view.cell_rows = graph_no_rows(m->thread->graph);
        return df_batch_alloc(memory, m->out, 0) || alloc_failed(m);
    }
    m->order = graph_scratch_get(m->thread, (m->row_count + 1) * sizeof *m->order);
    if (m->order == NULL || !df_batch_alloc(memory, m->out, m->row_count))
        return alloc_failed(m);
    if (space != NULL) {
        const uint32_t *n = space->tiles[m->key_group].cells;
        uint32_t cells = n[0] * n[1] * n[2];
        uint32_t *cell_rows = df_pool_get(memory.pool, memory.thread, (cells + 1) * sizeof(uint32_t));

        m->cell_of = graph_scratch_get(m->thread, (m->row_count + 1) * sizeof *m->cell_of);
        m->out->view.cell_rows = cell_rows;
        if (cell_rows == NULL || m->cell_of == NULL)
            return alloc_failed(m);
        sort_by_cell(m, cell_rows, cells);
        if (!sort_cells_by_key(m, cell_rows))
            return false;
    } else if (!sort_by_key(m)) {
        return false;
    }
    return copy_columns(m) && check_finite(m, NULL);
}

/* The batch that this key group itself made for the state's only next stream. */
static df_batch *only_next(const merge *m)
{
    const df_graph *g = m->thread->graph;
    const graph_source *source = &g->vertices[m->vertex].sources[1][0];

    return source->edge == DF_NONE ? m->thread->local[source->stream]
                                   : graph_slot_at(g, source->edge, m->slot, m->key_group)->batch;
}

/* A row that is near to where it settled has finite coordinates, too. */
static bool check_kept(const merge *m)
{
    const df_plan *p = m->thread->graph->plan;
    const df_state *state = &p->states[p->vertices[m->vertex].state];
    uint32_t row;
    double way;

    if (graph_settled_near(p, p->vertices[m->vertex].state, m->out, &row, &way))
        return check_finite(m, state);
    return check_finite(m, NULL) && graph_check_way(m->thread, m->vertex, m->slot, m->out);
}

/* Between two settlings rows keep their places: the batch that the operator made is taken over. */
static bool keep_places(merge *m, const df_space *space)
{
    df_batch *from = only_next(m);
    const uint32_t *n = space->tiles[m->key_group].cells;
    const df_stream *stream;

    if (from->settled[0] == NULL || from->view.row_count != from->view.cell_rows[n[0] * n[1] * n[2]]) {
        stream = &m->thread->graph->plan->streams[m->thread->graph->plan->vertices[m->vertex].ports[1].streams[0]];
        graph_fail(m->thread->graph, m->thread->graph->ticks[m->slot].tick, m->vertex, m->key_group,
                   WEIR_NO_ROW, DF_EINVAL, "\"%s\" does not hold the rows that were read, and with "
                   "settle_every they keep their places", stream->name);
        return false;
    }
    take_over(m, from);
    return check_kept(m);
}

/* From here on rows are where they settled. */
static void note_settled(merge *m, const df_state *state)
{
    for (uint32_t a = 0; a < m->thread->graph->plan->spaces[state->space].view.axis_count; a++)
        m->out->settled[a] = df_pool_ref(m->out->view.columns[state->axis_columns[a]]);
}

static void drop(merge *m)
{
    df_batch_unref(m->thread->memory, m->out);
    m->out = NULL;
}

df_batch *graph_commit(graph_thread *t, uint32_t vertex, uint32_t key_group, uint32_t slot)
{
    const df_plan *p = t->graph->plan;
    const df_state *state = &p->states[p->vertices[vertex].state];
    uint64_t tick = t->graph->ticks[slot].tick;
    uint32_t port = tick == 0 ? 0 : 1;
    merge m = { .thread = t, .vertex = vertex, .key_group = key_group, .slot = slot,
                .schema = &p->streams[state->stream].schema };

    m.out = df_batch_new(t->memory, m.schema, tick, key_group);
    if (m.out == NULL) {
        alloc_failed(&m);
        return NULL;
    }
    if (df_state_settled(state, tick) != tick) {
        if (!keep_places(&m, &p->spaces[state->space]))
            drop(&m);
        return m.out;
    }
    if (!collect(&m, port) || (p->vertices[vertex].ports[port].stream_count > 1 && !check_union(&m, port)) ||
        !make_rows(&m, state->space == DF_NONE ? NULL : &p->spaces[state->space]))
        drop(&m);
    else if (state->settle_every > 1)
        note_settled(&m, state);
    return m.out;
}
