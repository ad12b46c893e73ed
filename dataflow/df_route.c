/* Rows that change key group: who goes where.
 *
 * Keyed partial rows are few: they are put in order of destination. A state's rows mostly stay: the
 * batch is handed on as it is, with the cell of each row and a list of the rows that leave.
 *
 * Order: a destination reads its rows from each source in the source's row order; what it makes of
 * them is sorted by key (df_commit.c) or combined by source key group, so nothing depends on which
 * rows happened to travel. */
#include "dataflow/df_graph_private.h"
#include "dataflow/df_space.h"

#include <string.h>

/* The destinations of all rows counted into offsets[1 ..], then summed: offsets[d] is the first of
 * destination d. */
static void sum_offsets(uint32_t *offsets, uint32_t destinations)
{
    for (uint32_t d = 0; d < destinations; d++)
        offsets[d + 1] += offsets[d];
}

static void *get(df_memory memory, size_t size)
{
    return df_pool_get(memory.pool, memory.thread, size);
}

/* ---- by key, the rows themselves in order ---- */

static void gather_column(void *to, const void *from, const uint32_t *rows, uint32_t count,
                          size_t size)
{
    if (size == 8)
        for (uint32_t i = 0; i < count; i++)
            ((uint64_t *)to)[i] = ((const uint64_t *)from)[rows[i]];
    else if (size == 4)
        for (uint32_t i = 0; i < count; i++)
            ((uint32_t *)to)[i] = ((const uint32_t *)from)[rows[i]];
    else
        for (uint32_t i = 0; i < count; i++)
            ((uint8_t *)to)[i] = ((const uint8_t *)from)[rows[i]];
}

/* rows[i] for all i in order of destination; offsets[destinations + 1]. */
static void order_by_destination(const uint32_t *destination, uint32_t count, uint32_t destinations,
                                 uint32_t *offsets, uint32_t *rows)
{
    memset(offsets, 0, (destinations + 1) * sizeof *offsets);
    for (uint32_t i = 0; i < count; i++)
        offsets[destination[i] + 1]++;
    sum_offsets(offsets, destinations);
    for (uint32_t i = 0; i < count; i++)
        rows[offsets[destination[i]]++] = i;
    /* Each offset has moved to its destination's end: move them back by one place. */
    memmove(offsets + 1, offsets, destinations * sizeof *offsets);
    offsets[0] = 0;
}

static df_batch *route_keyed(graph_thread *t, uint32_t slot, const df_partition *part, df_batch *batch)
{
    df_memory memory = graph_memory(t, slot);
    const weir_batch *in = &batch->view;
    uint32_t n = in->row_count;
    df_batch *out = df_batch_new(memory, in->schema, in->step, in->key_group);
    uint32_t *destination = graph_scratch_get(t, (n + 1) * sizeof *destination);
    uint32_t *rows = graph_scratch_get(t, (n + 1) * sizeof *rows);

    if (out != NULL)
        out->offsets = get(memory, (part->key_groups + 1) * sizeof *out->offsets);
    if (destination == NULL || rows == NULL || out == NULL || out->offsets == NULL ||
        !df_batch_alloc(memory, out, n)) {
        df_batch_unref(memory, out);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++)
        destination[i] = df_partition_of(part, in->keys[i]);
    order_by_destination(destination, n, part->key_groups, out->offsets, rows);
    gather_column(out->view.keys, in->keys, rows, n, 8);
    for (uint32_t c = 0; c < in->schema->column_count; c++)
        gather_column(out->view.columns[c], in->columns[c], rows, n,
                      weir_type_size(in->schema->columns[c].type));
    return out;
}

/* ---- a state's rows ---- */

/* A batch that shares all columns of `batch`, to carry routes. */
static df_batch *share_all(df_memory memory, df_batch *batch)
{
    const weir_batch *in = &batch->view;
    df_batch *out = df_batch_new(memory, in->schema, in->step, in->key_group);

    if (out == NULL)
        return NULL;
    out->view.row_count = in->row_count;
    df_batch_share(out, DF_KEYS, in, 0);
    for (uint32_t c = 0; c < in->schema->column_count; c++)
        df_batch_share(out, c, in, c);
    return out;
}

static bool alloc_leaving(df_memory memory, df_batch *out, uint32_t count, uint32_t destinations,
                          bool cells)
{
    out->offsets = get(memory, (destinations + 1) * sizeof(uint32_t));
    out->leaving_rows = get(memory, count * sizeof(uint32_t));
    if (cells)
        out->leaving_cells = get(memory, count * sizeof(uint32_t));
    return out->offsets != NULL && out->leaving_rows != NULL && (!cells || out->leaving_cells != NULL);
}

/* All rows of a keyed stream, listed by destination. */
static df_batch *route_rows_by_key(graph_thread *t, uint32_t slot, const df_partition *part,
                                   df_batch *batch)
{
    df_memory memory = graph_memory(t, slot);
    uint32_t n = batch->view.row_count;
    uint32_t *destination = graph_scratch_get(t, (n + 1) * sizeof *destination);
    df_batch *out = share_all(memory, batch);

    if (destination == NULL || out == NULL || !alloc_leaving(memory, out, n, part->key_groups, false)) {
        df_batch_unref(memory, out);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++)
        destination[i] = df_partition_of(part, batch->view.keys[i]);
    order_by_destination(destination, n, part->key_groups, out->offsets, out->leaving_rows);
    return out;
}

typedef struct spatial_route {
    const df_space *space;
    const float *axes[WEIR_AXES_MAX];
    uint32_t axis_count;
} spatial_route;

/* The edge as the columns hold it: a row that was clamped to it is inside. Then
 * the cell of row i in the whole space; false: it lies outside, or is not a number. */
static bool cell_of_row(const spatial_route *r, uint32_t i, uint32_t cell[3])
{
    bool inside = true;

    cell[1] = cell[2] = 0;
    for (uint32_t a = 0; a < r->axis_count; a++) {
        float x = r->axes[a][i];
        inside &= x >= 0 && x <= (float)r->space->view.size[a];
        cell[a] = inside ? df_space_cell(r->space, a, x) : 0;
    }
    return inside;
}

static uint32_t tile_cell(const spatial_route *r, const uint32_t cell[3], uint32_t tile[3])
{
    uint32_t index = 0;

    for (uint32_t a = 3; a-- > 0;) {
        const uint32_t *first = r->space->first_cell[a];
        tile[a] = r->space->tile_of_cell[a][cell[a]];
        index = index * (first[tile[a] + 1] - first[tile[a]]) + cell[a] - first[tile[a]];
    }
    return index;
}

static void fail_outside(graph_thread *t, const df_edge *e, uint32_t slot, const df_batch *batch,
                         const spatial_route *r, uint32_t row)
{
    for (uint32_t a = 0; a < r->axis_count; a++) {
        double x = (double)r->axes[a][row], size = (double)(float)r->space->view.size[a];
        if (x >= 0 && x <= size)
            continue;
        if (x - x != 0)
            graph_fail(t->graph, t->graph->ticks[slot].tick, e->vertex, batch->view.key_group, row,
                       DF_EINVAL, "id %llu: column %s is not finite",
                       (unsigned long long)batch->view.keys[row], r->space->view.axes[a]);
        else
            graph_fail(t->graph, t->graph->ticks[slot].tick, e->vertex, batch->view.key_group, row,
                       DF_EINVAL, "id %llu is outside space \"%s\": %s is %g, not in 0 to %g: is dt too large?",
                       (unsigned long long)batch->view.keys[row], r->space->view.name,
                       r->space->view.axes[a], x, size);
        return;
    }
}

/* The state's batch that the failing task itself read, for where a row was before; null: it read none. */
static const weir_batch *rows_before(const df_graph *g, const df_edge *e, uint32_t slot,
                                     uint32_t key_group)
{
    uint32_t stream = g->plan->states[g->plan->vertices[e->vertex].state].stream;

    for (uint32_t i = 0; i < g->plan->edge_count; i++) {
        const df_edge *in = &g->plan->edges[i];
        if (in->to == e->from && in->stream == stream && !in->routed) {
            const df_batch *batch = graph_slot_at(g, i, slot, key_group)->batch;
            return batch == NULL ? NULL : &batch->view;
        }
    }
    return NULL;
}

/* How far a row went along an axis, the shorter way round a periodic one; from the middle of its tile
 * where nobody knows where it was. */
static double moved_along(const spatial_route *r, uint32_t axis, double to, const weir_batch *before,
                          uint64_t key, const weir_tile *tile)
{
    double unit = 1 / r->space->cell_per_unit[axis], size = r->space->view.size[axis];
    double from = (tile->origin[axis] + 0.5 * tile->cells[axis]) * unit, moved;

    for (uint32_t i = 0; before != NULL && i < before->row_count; i++)
        if (before->keys[i] == key) {
            int column = weir_schema_find(before->schema, r->space->view.axes[axis]);
            from = (double)((const float *)before->columns[column])[i];
        }
    moved = to > from ? to - from : from - to;
    return r->space->view.periodic[axis] && moved > size / 2 ? size - moved : moved;
}

static void fail_too_far(graph_thread *t, const df_edge *e, uint32_t slot, const df_batch *batch,
                         const spatial_route *r, uint32_t row)
{
    const weir_tile *tile = &r->space->tiles[batch->view.key_group];
    const weir_batch *before = rows_before(t->graph, e, slot, batch->view.key_group);
    uint64_t key = batch->view.keys[row];
    double most = 0, tile_size = 0;

    for (uint32_t a = 0; a < r->axis_count; a++) {
        double moved = moved_along(r, a, (double)r->axes[a][row], before, key, tile);
        if (moved > most) {
            most = moved;
            tile_size = tile->cells[a] / r->space->cell_per_unit[a];
        }
    }
    graph_fail(t->graph, t->graph->ticks[slot].tick, e->vertex, batch->view.key_group, row, DF_EINVAL,
               "id %llu moved %.3g in one step, a tile is %.3g: is dt too large?",
               (unsigned long long)key, most, tile_size);
}

static void init_route(spatial_route *r, const df_plan *p, const df_edge *e, const df_batch *batch)
{
    const df_state *state = &p->states[p->vertices[e->vertex].state];

    r->space = &p->spaces[state->space];
    r->axis_count = r->space->view.axis_count;
    for (uint32_t a = 0; a < r->axis_count; a++) {
        int column = weir_schema_find(batch->view.schema, r->space->view.axes[a]);
        r->axes[a] = batch->view.columns[column];
    }
}

/* Rows that may go to any tile: all are listed. */
static df_batch *route_anywhere(graph_thread *t, const df_edge *e, uint32_t slot, df_batch *batch)
{
    df_memory memory = graph_memory(t, slot);
    spatial_route r;
    uint32_t n = batch->view.row_count, cell[3], tile[3];
    uint32_t *destination = graph_scratch_get(t, (n + 1) * sizeof *destination);
    uint32_t *cells = graph_scratch_get(t, (n + 1) * sizeof *cells);
    df_batch *out = share_all(memory, batch);

    init_route(&r, t->graph->plan, e, batch);
    if (destination == NULL || cells == NULL || out == NULL ||
        !alloc_leaving(memory, out, n, r.space->tile_count, true)) {
        df_batch_unref(memory, out);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!cell_of_row(&r, i, cell)) {
            fail_outside(t, e, slot, batch, &r, i);
            df_batch_unref(memory, out);
            return NULL;
        }
        cells[i] = tile_cell(&r, cell, tile);
        destination[i] = r.space->tile_of_position[(tile[2] * r.space->view.tiles[1] + tile[1]) *
                                                       r.space->view.tiles[0] + tile[0]];
    }
    order_by_destination(destination, n, r.space->tile_count, out->offsets, out->leaving_rows);
    gather_column(out->leaving_cells, cells, out->leaving_rows, n, 4);
    return out;
}

/* One axis of find_stayers: index[i] = index[i] * cells + the cell counted from the tile's first, and
 * leaves[i] becomes 1 where that is not in the tile. A coordinate outside the space, or one that is not
 * a number, is taken as 0 and leaves. */
static void add_axis(const float *restrict x, uint32_t n, const df_space *space, uint32_t axis,
                     const weir_tile *tile, uint32_t *restrict index, uint32_t *restrict leaves)
{
    double per_unit = space->cell_per_unit[axis];
    float size = (float)space->view.size[axis];
    int32_t most = (int32_t)space->view.cells[axis] - 1, first = (int32_t)tile->origin[axis];
    uint32_t cells = tile->cells[axis];

    for (uint32_t i = 0; i < n; i++) {
        uint32_t inside = (x[i] >= 0) & (x[i] <= size);
        float held = inside != 0 ? x[i] : 0.0f;
        int32_t cell = (int32_t)((double)held * per_unit);
        uint32_t local = (uint32_t)((cell < most ? cell : most) - first);

        index[i] = index[i] * cells + local;
        leaves[i] |= (inside ^ 1) | (local >= cells);
    }
}

/* For each row its cell in its own tile, or DF_LEAVES; the number of those is returned. Axis by axis,
 * without a branch, so that the loops vectorise. `leaves` is scratch. */
static uint32_t find_stayers(const spatial_route *r, const weir_tile *tile, uint32_t n,
                             uint32_t *restrict cells, uint32_t *restrict leaves)
{
    uint32_t leaving = 0;

    memset(cells, 0, n * sizeof *cells);
    memset(leaves, 0, n * sizeof *leaves);
    for (uint32_t a = r->axis_count; a-- > 0;)
        add_axis(r->axes[a], n, r->space, a, tile, cells, leaves);
    for (uint32_t i = 0; i < n; i++) {
        cells[i] = leaves[i] != 0 ? DF_LEAVES : cells[i];
        leaving += leaves[i];
    }
    return leaving;
}

/* Rows that stay or go to an adjacent tile. */
static df_batch *route_near(graph_thread *t, const df_edge *e, uint32_t slot, df_batch *batch)
{
    df_memory memory = graph_memory(t, slot);
    spatial_route r;
    uint32_t n = batch->view.row_count, leaving = 0, found = 0, cell[3], tile[3];
    const weir_tile *here;
    df_batch *out = share_all(memory, batch);
    uint32_t *rows, *slots, *cells, *order;
    uint32_t *leaves = graph_scratch_get(t, (n + 1) * sizeof *leaves);

    init_route(&r, t->graph->plan, e, batch);
    here = &r.space->tiles[batch->view.key_group];
    if (out != NULL)
        out->cells = get(memory, n * sizeof(uint32_t));
    if (out == NULL || out->cells == NULL || leaves == NULL) {
        df_batch_unref(memory, out);
        return NULL;
    }
    leaving = find_stayers(&r, here, n, out->cells, leaves);
    rows = graph_scratch_get(t, (leaving + 1) * sizeof *rows);
    slots = graph_scratch_get(t, (leaving + 1) * sizeof *slots);
    cells = graph_scratch_get(t, (leaving + 1) * sizeof *cells);
    order = graph_scratch_get(t, (leaving + 1) * sizeof *order);
    if (rows == NULL || slots == NULL || cells == NULL || order == NULL ||
        !alloc_leaving(memory, out, leaving, WEIR_HALO_SLOTS, true)) {
        df_batch_unref(memory, out);
        return NULL;
    }
    for (uint32_t i = 0; i < n && found < leaving; i++) {
        bool inside;
        if (out->cells[i] != DF_LEAVES)
            continue;
        inside = cell_of_row(&r, i, cell);
        cells[found] = inside ? tile_cell(&r, cell, tile) : 0;
        slots[found] = inside ? df_space_slot(r.space, here, tile) : DF_NONE;
        rows[found] = i;
        if (slots[found++] != DF_NONE)
            continue;
        if (inside)
            fail_too_far(t, e, slot, batch, &r, i);
        else
            fail_outside(t, e, slot, batch, &r, i);
        df_batch_unref(memory, out);
        return NULL;
    }
    order_by_destination(slots, leaving, WEIR_HALO_SLOTS, out->offsets, order);
    gather_column(out->leaving_rows, rows, order, leaving, 4);
    gather_column(out->leaving_cells, cells, order, leaving, 4);
    return out;
}

df_batch *graph_route(graph_thread *t, const df_edge *e, uint32_t slot, df_batch *batch)
{
    df_graph *g = t->graph;
    const df_vertex *v = &g->plan->vertices[e->vertex];
    df_batch *out;

    if (v->role == DF_OPERATOR)
        out = route_keyed(t, slot, &v->partition, batch);
    else if (g->plan->states[v->state].space == DF_NONE)
        out = route_rows_by_key(t, slot, &v->partition, batch);
    else if (e->fan == DF_FAN_ALL)
        out = route_anywhere(t, e, slot, batch);
    else
        out = route_near(t, e, slot, batch);
    if (out == NULL && atomic_load(&g->fail_tick) > g->ticks[slot].tick)
        graph_fail(g, g->ticks[slot].tick, e->vertex, batch->view.key_group, WEIR_NO_ROW, DF_ENOMEM,
                   "out of memory");
    return out;
}
