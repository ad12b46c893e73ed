/* What travels between the graphs of a job, as bytes.
 *
 *   u32 form   u32 rows   then, by form,
 *   PLAIN      keys, columns
 *   CELLS      u32 n, n x (u32 cell, u32 rows), keys, columns: the rows of some cells of a tile, those
 *              that the reader's tiles touch; the other cells are empty there
 *   RESTS      u32 age, columns: the rows that the same key group's cells held `age` ticks before, which rest
 *   LISTS      u32 n, n x (u32 destination, u32 rows), [u32 cell of each row], keys, columns
 *   FAILED     nothing: the task that should have made it failed
 *   PRINT      16 bytes for each column: the hashes of a key group's batch
 *
 * Little-endian, as every machine that this engine runs on is. Of no rows there are no bytes: such key groups
 * are named in lists, and the reader has an empty batch of each.
 *
 * Why the reader makes the same bits of it: a halo's kind looks only at cells that touch its tile, and
 * finds in them the same rows in the same order; lists keep the order of the source's rows. */
#include "dataflow/df_graph_private.h"

#include <assert.h>
#include <string.h>

#define PARCEL_HEAD 8u

typedef enum parcel_form {
    PARCEL_PLAIN = 1,
    PARCEL_CELLS,
    PARCEL_LISTS,
    PARCEL_FAILED,
    PARCEL_PRINT,
    PARCEL_RESTS,
} parcel_form;

void df_parcel_release(df_graph *g, uint8_t *bytes)
{
    df_pool_unref(g->thread_count, bytes);
}

static const weir_schema *edge_schema(const df_graph *g, uint32_t edge)
{
    const df_edge *e = &g->plan->edges[edge];
    const df_vertex *v = &g->plan->vertices[e->vertex];

    return v->partial != NULL && e->port == 0 ? v->partial : &g->plan->streams[e->stream].schema;
}

static bool edge_is_halo(const df_graph *g, uint32_t edge)
{
    const df_edge *e = &g->plan->edges[edge];

    return e->fan == DF_FAN_NEIGHBOURS && !e->routed;
}

/* Whether rows are listed by leaving_rows, as a state's are, and not simply in order. */
static bool edge_lists_rows(const df_graph *g, uint32_t edge)
{
    return g->plan->vertices[g->plan->edges[edge].vertex].role == DF_COMMIT;
}

static bool edge_has_cells(const df_graph *g, uint32_t edge)
{
    const df_vertex *v = &g->plan->vertices[g->plan->edges[edge].vertex];

    return v->role == DF_COMMIT && g->plan->states[v->state].space != DF_NONE;
}

static uint32_t edge_destinations(const df_graph *g, uint32_t edge)
{
    return g->plan->edges[edge].fan == DF_FAN_NEIGHBOURS ? WEIR_HALO_SLOTS
                                                         : g->edges[edge].to_groups;
}

/* The key group behind a destination of an edge's lists; DF_NONE: there is none. */
static uint32_t destination_group(const df_graph *g, uint32_t edge, uint32_t key_group,
                                  uint32_t destination)
{
    const df_edge *e = &g->plan->edges[edge];

    if (e->fan != DF_FAN_NEIGHBOURS)
        return destination;
    const df_space *space = &g->plan->spaces[g->plan->streams[e->stream].partition.space];
    uint32_t group = space->tiles[key_group].neighbours[destination];
    return group == WEIR_NO_ROW ? DF_NONE : group;
}

/* ---- sending ---- */

/* What a parcel is made of: rows of a batch, in order, and how they are counted. */
typedef struct parcel_plan {
    parcel_form form;
    uint32_t age;        /* PARCEL_RESTS */
    uint32_t pair_count, row_count, run_count;
    uint32_t (*pairs)[2];
    uint32_t (*runs)[2]; /* (first row, rows), or */
    uint32_t *rows;      /* row by row; both null: all of the batch */
    uint32_t *cells;     /* of each row; null: none */
} parcel_plan;

static bool plan_pairs(graph_thread *t, parcel_plan *plan, uint32_t pairs)
{
    plan->pairs = graph_scratch_get(t, (pairs + 1) * sizeof *plan->pairs);
    return plan->pairs != NULL;
}

static bool plan_rows(graph_thread *t, parcel_plan *plan, uint32_t rows, bool cells)
{
    plan->rows = graph_scratch_get(t, (rows + 1) * sizeof *plan->rows);
    if (cells)
        plan->cells = graph_scratch_get(t, (rows + 1) * sizeof *plan->cells);
    return plan->rows != NULL && (!cells || plan->cells != NULL);
}

/* What of a line of cells along the first axis a tile beside it touches. */
enum { TOUCH_BEGIN = 1, TOUCH_END = 2, TOUCH_ALL = 4 };

/* The range of cells along an axis that a tile at `offset` (-1, 0, 1, counted from 0) touches. */
static void touched(uint32_t cells, uint32_t offset, uint32_t *begin, uint32_t *end)
{
    *begin = offset == 2 ? cells - 1 : 0;
    *end = offset == 0 ? 1 : cells;
}

static void mark_touched(const weir_tile *tile, uint32_t slot, uint8_t *lines)
{
    static const uint8_t along[3] = { TOUCH_BEGIN, TOUCH_ALL, TOUCH_END };
    const uint32_t *n = tile->cells;
    uint8_t how = n[0] == 1 ? TOUCH_ALL : along[slot % 3];
    uint32_t y_begin, y_end, z_begin, z_end;

    touched(n[1], slot / 3 % 3, &y_begin, &y_end);
    touched(n[2], slot / 9, &z_begin, &z_end);
    for (uint32_t z = z_begin; z < z_end; z++)
        for (uint32_t y = y_begin; y < y_end; y++)
            lines[z * n[1] + y] |= how;
}

/* The rows of cells that follow each other. */
static void plan_run(parcel_plan *plan, const uint32_t *first, uint32_t begin, uint32_t end)
{
    uint32_t *last = plan->runs[plan->run_count - 1], count = first[end] - first[begin];

    for (uint32_t c = begin; plan->pairs != NULL && count > 0 && c < end; c++)
        if (first[c + 1] > first[c]) {
            plan->pairs[plan->pair_count][0] = c;
            plan->pairs[plan->pair_count++][1] = first[c + 1] - first[c];
        }
    if (count > 0 && last[0] + last[1] != first[begin]) {
        last = plan->runs[plan->run_count++];
        last[0] = first[begin];
        last[1] = 0;
    }
    last[1] += count;
    plan->row_count += count;
}

/* The cells that touch a tile of `member`, line by line. */
static bool plan_cells(graph_thread *t, const df_parcel *parcel, const df_batch *batch,
                       parcel_plan *plan)
{
    const df_graph *g = t->graph;
    const df_edge *e = &g->plan->edges[parcel->edge];
    const graph_owners *owners = g->ticks[graph_ring_slot(g, parcel->tick)].owners;
    uint32_t member = parcel->member;
    const df_space *space = &g->plan->spaces[g->plan->streams[e->stream].partition.space];
    const weir_tile *tile = &space->tiles[batch->view.key_group];
    const uint32_t *first = batch->view.cell_rows;
    uint32_t width = tile->cells[0], line_count = tile->cells[1] * tile->cells[2];
    uint8_t *lines = graph_scratch_get(t, line_count);

    plan->runs = graph_scratch_get(t, (2 * line_count + 1) * sizeof *plan->runs);
    if (lines == NULL || plan->runs == NULL ||
        (plan->form == PARCEL_CELLS && !plan_pairs(t, plan, width * line_count)))
        return false;
    memset(lines, 0, line_count);
    plan->runs[0][0] = plan->runs[0][1] = 0; /* to be made longer, if the first row goes */
    plan->run_count = 1;
    for (uint32_t s = 0; s < WEIR_HALO_SLOTS; s++)
        if (tile->neighbours[s] != WEIR_NO_ROW && tile->neighbours[s] != batch->view.key_group &&
            graph_owner(g, owners, e->to, tile->neighbours[s]) == member)
            mark_touched(tile, s, lines);
    for (uint32_t l = 0; l < line_count; l++) {
        if ((lines[l] & TOUCH_ALL) != 0) {
            plan_run(plan, first, l * width, (l + 1) * width);
            continue;
        }
        if ((lines[l] & TOUCH_BEGIN) != 0)
            plan_run(plan, first, l * width, l * width + 1);
        if ((lines[l] & TOUCH_END) != 0)
            plan_run(plan, first, (l + 1) * width - 1, (l + 1) * width);
    }
    return true;
}

/* The rows that go to key groups of `member`. */
static bool plan_lists(graph_thread *t, const df_parcel *parcel, const df_batch *batch,
                       parcel_plan *plan)
{
    const df_graph *g = t->graph;
    uint32_t edge = parcel->edge, member = parcel->member;
    const df_edge *e = &g->plan->edges[edge];
    const graph_owners *owners = g->ticks[graph_ring_slot(g, parcel->tick)].owners;
    uint32_t destinations = edge_destinations(g, edge);
    bool listed = edge_lists_rows(g, edge);

    if (!plan_pairs(t, plan, destinations) ||
        !plan_rows(t, plan, batch->offsets == NULL ? 0 : batch->offsets[destinations],
                   edge_has_cells(g, edge)))
        return false;
    if (batch->offsets == NULL)
        return true; /* rows that keep their places */
    for (uint32_t d = 0; d < destinations; d++) {
        uint32_t begin = batch->offsets[d], end = batch->offsets[d + 1];
        uint32_t group = destination_group(g, edge, batch->view.key_group, d);
        if (begin == end || group == DF_NONE ||
            graph_owner(g, owners, e->to, group) != member)
            continue;
        plan->pairs[plan->pair_count][0] = d;
        plan->pairs[plan->pair_count++][1] = end - begin;
        for (uint32_t i = begin; i < end; i++) {
            if (plan->cells != NULL)
                plan->cells[plan->row_count] = batch->leaving_cells[i];
            plan->rows[plan->row_count++] = listed ? batch->leaving_rows[i] : i;
        }
    }
    return true;
}

static uint8_t *put(uint8_t *to, const void *from, size_t size)
{
    if (size > 0)
        memcpy(to, from, size);
    return to + size;
}

static uint8_t *put_u32(uint8_t *to, uint32_t value)
{
    return put(to, &value, sizeof value);
}

static uint8_t *put_column(uint8_t *to, const void *from, const parcel_plan *plan, size_t size)
{
    for (uint32_t i = 0; i < plan->run_count; i++)
        to = put(to, (const uint8_t *)from + plan->runs[i][0] * size, plan->runs[i][1] * size);
    if (plan->runs != NULL)
        return to;
    if (plan->rows == NULL)
        return put(to, from, plan->row_count * size);
    if (size == 8)
        for (uint32_t i = 0; i < plan->row_count; i++)
            memcpy(to + 8 * (size_t)i, (const uint64_t *)from + plan->rows[i], 8);
    else if (size == 4)
        for (uint32_t i = 0; i < plan->row_count; i++)
            memcpy(to + 4 * (size_t)i, (const uint32_t *)from + plan->rows[i], 4);
    else
        for (uint32_t i = 0; i < plan->row_count; i++)
            to[i] = ((const uint8_t *)from)[plan->rows[i]];
    return to + plan->row_count * size;
}

static void put_columns(uint8_t *to, const parcel_plan *plan, const weir_batch *batch)
{
    if (plan->form != PARCEL_RESTS)
        to = put_column(to, batch->keys, plan, sizeof(uint64_t));
    for (uint32_t c = 0; c < batch->schema->column_count; c++)
        to = put_column(to, batch->columns[c], plan, weir_type_size(batch->schema->columns[c].type));
}

static void put_batch(uint8_t *to, const parcel_plan *plan, const weir_batch *batch)
{
    to = put_u32(to, plan->form);
    to = put_u32(to, plan->row_count);
    if (plan->form == PARCEL_RESTS)
        to = put_u32(to, plan->age);
    if (plan->pairs != NULL) {
        to = put_u32(to, plan->pair_count);
        to = put(to, plan->pairs, plan->pair_count * sizeof *plan->pairs);
    }
    if (plan->cells != NULL)
        to = put(to, plan->cells, plan->row_count * sizeof(uint32_t));
    put_columns(to, plan, batch);
}

static uint8_t *get_bytes(graph_thread *t, df_parcel *parcel, size_t size)
{
    parcel->size = (uint32_t)size;
    parcel->bytes = size > DF_PARCEL_SIZE_MAX ? NULL : df_pool_get(t->graph->pool, t->index, size);
    return parcel->bytes;
}

static size_t rows_size(const weir_schema *schema, uint32_t form, uint32_t rows)
{
    return rows * (df_schema_row_size(schema) - (form == PARCEL_RESTS ? sizeof(uint64_t) : 0));
}

static bool fill_parcel(graph_thread *t, df_parcel *parcel, const df_batch *batch)
{
    const df_graph *g = t->graph;
    const df_edge *e = &g->plan->edges[parcel->edge];
    parcel_plan plan = { .form = PARCEL_PLAIN, .row_count = batch->view.row_count };
    bool ok = true;
    size_t size;

    if (plan.row_count == 0)
        return true;
    if (edge_is_halo(g, parcel->edge)) {
        plan = (parcel_plan){ .age = graph_rest_age(t->graph, parcel->edge, parcel->key_group, parcel->tick) };
        plan.form = plan.age > 0 ? PARCEL_RESTS : PARCEL_CELLS;
        ok = plan_cells(t, parcel, batch, &plan);
    } else if (e->routed) {
        plan = (parcel_plan){ .form = PARCEL_LISTS };
        ok = plan_lists(t, parcel, batch, &plan);
    }
    parcel->rows = plan.row_count;
    if (!ok || plan.row_count == 0)
        return ok;
    size = PARCEL_HEAD + rows_size(batch->view.schema, plan.form, plan.row_count) + (plan.age > 0 ? sizeof(uint32_t) : 0);
    size += plan.pairs == NULL ? 0 : sizeof(uint32_t) + plan.pair_count * sizeof *plan.pairs;
    size += plan.cells == NULL ? 0 : plan.row_count * sizeof(uint32_t);
    if (get_bytes(t, parcel, size) == NULL)
        return false;
    put_batch(parcel->bytes, &plan, &batch->view);
    return true;
}

static void send_to(graph_thread *t, df_parcel *parcel, const df_batch *payload)
{
    df_graph *g = t->graph;
    bool ok = true;

    if (parcel->member == g->part.member)
        return;
    parcel->bytes = NULL;
    parcel->size = parcel->rows = 0;
    if (payload != NULL)
        ok = fill_parcel(t, parcel, payload);
    else if ((ok = get_bytes(t, parcel, PARCEL_HEAD) != NULL))
        put_u32(put_u32(parcel->bytes, PARCEL_FAILED), 0);
    if (ok) {
        g->part.send(g->part.user, parcel);
        graph_left(g);
    } else {
        graph_fail(g, parcel->tick, g->plan->edges[parcel->edge].vertex, parcel->key_group,
                   WEIR_NO_ROW, DF_ENOMEM, "out of memory, or more than %u bytes for one reader",
                   DF_PARCEL_SIZE_MAX);
    }
}

/* The member that is given the whole of a state, and needs no parcel of it; else this one. */
static uint32_t next_owner(const df_graph *g, const df_edge *e, uint32_t key_group, uint32_t slot)
{
    return e->ticks == 0 ? g->part.member
                         : graph_owner(g, g->ticks[slot].owners, e->from, key_group);
}

void graph_send(graph_thread *t, uint32_t edge, uint32_t key_group, uint32_t slot,
                const df_batch *payload)
{
    const df_graph *g = t->graph;
    const df_edge *e = &g->plan->edges[edge];
    df_parcel parcel = { .edge = edge, .key_group = key_group, .tick = g->ticks[slot].tick,
                         .stage = e->to };
    const graph_owners *owners = g->ticks[slot].owners;
    uint32_t next = next_owner(g, e, key_group, slot);
    uint32_t members[WEIR_HALO_SLOTS + 1] = { next }, count = 1;

    if (e->fan == DF_FAN_ALL) {
        const graph_stage *to = &owners->stages[e->to];
        for (uint32_t i = 0; i < to->member_count; i++) {
            parcel.member = to->members[i];
            if (parcel.member != next)
                send_to(t, &parcel, payload);
        }
        return;
    }
    if (e->fan == DF_FAN_SAME) {
        parcel.member = graph_owner(g, owners, e->to, key_group);
        if (parcel.member != next)
            send_to(t, &parcel, payload);
        return;
    }
    const graph_space *space = &g->spaces[g->plan->streams[e->stream].partition.space];
    for (uint32_t i = space->first[key_group]; i < space->first[key_group + 1]; i++) {
        uint32_t near = space->near[i].key_group, k = 0;
        if (owners->stages[e->to].own[near])
            continue;
        parcel.member = graph_owner(g, owners, e->to, near);
        while (k < count && members[k] != parcel.member)
            k++;
        if (k < count)
            continue;
        members[count++] = parcel.member;
        send_to(t, &parcel, payload);
    }
}

/* ---- fingerprints ---- */

static df_hash *print_at(const df_graph *g, uint32_t print, uint32_t slot, uint32_t key_group)
{
    const graph_print *p = &g->prints[print];

    return p->hashes + ((size_t)slot * p->groups + key_group) * p->columns;
}

void graph_send_print(graph_thread *t, uint32_t print, uint32_t key_group, uint32_t slot,
                      uint64_t tick)
{
    df_graph *g = t->graph;
    size_t size = g->prints[print].columns * sizeof(df_hash);
    df_parcel parcel = { .edge = g->plan->edge_count + print, .member = g->part.sink_member,
                         .key_group = key_group, .tick = tick,
                         .stage = g->plan->stage_count };
    uint8_t *to;

    if (g->part.member == g->part.sink_member)
        return;
    to = get_bytes(t, &parcel, PARCEL_HEAD + size);
    if (to == NULL) {
        graph_fail(g, tick, g->plan->streams[g->prints[print].stream].vertex, key_group, WEIR_NO_ROW,
                   DF_ENOMEM, "out of memory");
        return;
    }
    to = put_u32(put_u32(to, PARCEL_PRINT), g->prints[print].columns);
    put(to, print_at(g, print, slot, key_group), size);
    g->part.send(g->part.user, &parcel);
    graph_left(g);
}

static df_status take_print(df_graph *g, uint32_t print, uint64_t tick, uint32_t key_group,
                            const uint8_t *bytes, size_t size, df_error *err)
{
    const graph_print *p = &g->prints[print];
    uint32_t form, columns, slot = graph_ring_slot(g, tick);

    if (size != PARCEL_HEAD + p->columns * sizeof(df_hash))
        return df_fail(err, DF_ECORRUPT, "a fingerprint of %zu bytes", size);
    memcpy(&form, bytes, 4);
    memcpy(&columns, bytes + 4, 4);
    if (form != PARCEL_PRINT || columns != p->columns)
        return df_fail(err, DF_ECORRUPT, "a fingerprint of %u columns", columns);
    memcpy(print_at(g, print, graph_print_is_state(g, print) ? graph_ring_slot(g, tick - 1) : slot,
                    key_group),
           bytes + PARCEL_HEAD, size - PARCEL_HEAD);
    graph_awaits_print_came(g, print, slot, key_group);
    graph_work_arrived(g, slot);
    return DF_OK;
}

/* ---- receiving ---- */

/* A cursor of what is left; and whether there was memory for what has been read. */
typedef struct parcel_reader {
    const uint8_t *at;
    size_t left;
    bool bad, no_memory;
} parcel_reader;

static const uint8_t *take(parcel_reader *r, size_t size)
{
    const uint8_t *at = r->at;

    if (r->bad || size > r->left) {
        r->bad = true;
        return NULL;
    }
    r->at += size;
    r->left -= size;
    return at;
}

static uint32_t take_u32(parcel_reader *r)
{
    const uint8_t *at = take(r, 4);
    uint32_t value = 0;

    if (at != NULL)
        memcpy(&value, at, 4);
    return value;
}

static void *take_room(df_graph *g, parcel_reader *r, size_t size)
{
    void *room = df_pool_get(g->pool, g->thread_count, size);

    r->no_memory |= room == NULL;
    return room;
}

/* The pairs (number, count), ascending, whose counts add up to the rows: as running sums into
 * first[numbers + 1]. */
static bool take_pairs(parcel_reader *r, uint32_t rows, uint32_t numbers, uint32_t *first)
{
    uint32_t count = take_u32(r), next = 0, pair[2];
    const uint8_t *pairs = take(r, (size_t)count * sizeof pair);
    uint64_t total = 0;

    for (uint32_t i = 0; pairs != NULL && i < count; i++) {
        memcpy(pair, pairs + i * sizeof pair, sizeof pair);
        if (pair[0] < next || pair[0] >= numbers)
            return false;
        for (; next <= pair[0]; next++)
            first[next] = (uint32_t)total;
        total += pair[1];
        if (total > rows)
            return false;
    }
    for (; next <= numbers; next++)
        first[next] = (uint32_t)total;
    return !r->bad && total == rows;
}

static bool take_cell_rows(df_graph *g, uint32_t edge, parcel_reader *r, df_batch *out)
{
    const df_edge *e = &g->plan->edges[edge];
    const df_space *space = &g->plan->spaces[g->plan->streams[e->stream].partition.space];
    const uint32_t *n = space->tiles[out->view.key_group].cells;
    uint32_t cells = n[0] * n[1] * n[2];
    uint32_t *first = take_room(g, r, (cells + 1) * sizeof *first);

    out->view.cell_rows = first;
    return first != NULL && take_pairs(r, out->view.row_count, cells, first);
}

/* Each row's cell in the tile that it goes to. */
static bool take_leaving_cells(df_graph *g, uint32_t edge, parcel_reader *r, df_batch *out)
{
    const df_vertex *v = &g->plan->vertices[g->plan->edges[edge].vertex];
    const df_space *space = &g->plan->spaces[g->plan->states[v->state].space];
    uint32_t rows = out->view.row_count, destinations = edge_destinations(g, edge);
    const uint8_t *cells = take(r, rows * sizeof(uint32_t));

    if (cells == NULL)
        return false;
    memcpy(out->leaving_cells, cells, rows * sizeof(uint32_t));
    for (uint32_t d = 0; d < destinations; d++) {
        uint32_t group = destination_group(g, edge, out->view.key_group, d), most = 0;
        if (group != DF_NONE)
            most = space->tiles[group].cells[0] * space->tiles[group].cells[1] *
                   space->tiles[group].cells[2];
        for (uint32_t i = out->offsets[d]; i < out->offsets[d + 1]; i++)
            if (out->leaving_cells[i] >= most)
                return false;
    }
    return true;
}

static bool take_lists(df_graph *g, uint32_t edge, parcel_reader *r, df_batch *out)
{
    uint32_t rows = out->view.row_count, destinations = edge_destinations(g, edge);
    bool cells = edge_has_cells(g, edge);

    out->offsets = take_room(g, r, (destinations + 1) * sizeof(uint32_t));
    if (edge_lists_rows(g, edge))
        out->leaving_rows = take_room(g, r, rows * sizeof(uint32_t));
    if (cells)
        out->leaving_cells = take_room(g, r, rows * sizeof(uint32_t));
    if (r->no_memory || !take_pairs(r, rows, destinations, out->offsets))
        return false;
    for (uint32_t i = 0; out->leaving_rows != NULL && i < rows; i++)
        out->leaving_rows[i] = i;
    return !cells || take_leaving_cells(g, edge, r, out);
}

static bool take_columns(df_graph *g, parcel_reader *r, df_batch *out)
{
    uint32_t rows = out->view.row_count;
    const uint8_t *from;

    for (uint32_t c = 0; c < out->view.schema->column_count; c++) {
        size_t size = rows * weir_type_size(out->view.schema->columns[c].type);
        from = take(r, size);
        r->no_memory |= !df_batch_alloc_column(df_graph_memory(g), out, c);
        if (r->no_memory)
            return false;
        if (from != NULL && size > 0)
            memcpy(out->view.columns[c], from, size);
    }
    return !r->bad && r->left == 0;
}

static bool take_rows(df_graph *g, parcel_reader *r, df_batch *out)
{
    uint32_t rows = out->view.row_count;
    const uint8_t *from = take(r, rows * sizeof(uint64_t));

    out->view.keys = take_room(g, r, rows * sizeof(uint64_t));
    if (out->view.keys == NULL)
        return false;
    if (from != NULL && rows > 0)
        memcpy(out->view.keys, from, rows * sizeof(uint64_t));
    return take_columns(g, r, out);
}

size_t graph_batch_size(const weir_schema *stored, uint32_t rows)
{
    return rows * df_schema_row_size(stored);
}

static bool fill_batch(df_graph *g, uint32_t edge, uint32_t form, parcel_reader *r, df_batch *out)
{
    if (form == PARCEL_RESTS)
        return graph_rest_share(g, edge, take_u32(r), out) && take_columns(g, r, out);
    if (form == PARCEL_CELLS) {
        bool ok = take_cell_rows(g, edge, r, out) && take_rows(g, r, out);

        r->no_memory |= ok && !graph_rest_hear(g, edge, out);
        return ok && !r->no_memory;
    }
    return (form != PARCEL_LISTS || take_lists(g, edge, r, out)) && take_rows(g, r, out);
}

static df_batch *take_batch(df_graph *g, uint32_t edge, uint64_t step, uint32_t key_group,
                            parcel_reader *r)
{
    const weir_schema *schema = edge_schema(g, edge);
    uint32_t form = take_u32(r), rows = take_u32(r);
    uint32_t wanted = edge_is_halo(g, edge) ? PARCEL_CELLS : g->plan->edges[edge].routed ? PARCEL_LISTS : PARCEL_PLAIN;
    bool ok = (form == wanted || (form == PARCEL_RESTS && wanted == PARCEL_CELLS)) &&
              rows <= r->left / rows_size(schema, form, 1);
    df_batch *out = ok ? df_batch_new(df_graph_memory(g), schema, step, key_group) : NULL;

    r->no_memory |= ok && out == NULL;
    if (out == NULL)
        return NULL;
    out->view.row_count = rows;
    if (!fill_batch(g, edge, form, r, out)) {
        df_batch_unref(df_graph_memory(g), out);
        return NULL;
    }
    return out;
}

/* A batch without rows. */
static df_batch *make_empty(df_graph *g, uint32_t edge, uint64_t step, uint32_t key_group)
{
    df_memory memory = df_graph_memory(g);
    uint32_t destinations = edge_destinations(g, edge);
    df_batch *out = df_batch_new(memory, edge_schema(g, edge), step, key_group);
    bool ok = out != NULL && df_batch_alloc(memory, out, 0);

    if (ok && g->plan->edges[edge].routed) {
        size_t size = (destinations + 1) * sizeof(uint32_t);
        out->offsets = df_pool_get(g->pool, g->thread_count, size);
        if (out->offsets != NULL)
            memset(out->offsets, 0, size);
        ok = out->offsets != NULL;
    }
    if (ok && edge_is_halo(g, edge))
        out->view.cell_rows = graph_no_rows(g);
    if (!ok) {
        df_batch_unref(memory, out);
        return NULL;
    }
    return out;
}

void graph_tick_failed(df_graph *g, uint64_t tick)
{
    pthread_mutex_lock(&g->fail_lock);
    if (atomic_load(&g->fail_tick) > tick)
        atomic_store(&g->fail_tick, tick);
    pthread_mutex_unlock(&g->fail_lock);
}

void graph_deliver_no_memory(df_graph *g, uint32_t edge, uint64_t tick, uint32_t key_group)
{
    uint32_t vertex = edge < g->plan->edge_count ? g->plan->edges[edge].vertex : 0;

    graph_fail(g, tick, vertex, key_group, WEIR_NO_ROW, DF_ENOMEM, "out of memory for what comes from other workers");
}

/* A parcel of an edge, whose tick's owners are known. */
static df_status deliver_rows(df_graph *g, uint32_t edge, uint64_t tick, uint32_t key_group, const uint8_t *bytes,
                              size_t size, df_error *err)
{
    parcel_reader r = { bytes, size, false, false };
    uint32_t slot = graph_ring_slot(g, tick), form = 0;
    uint64_t step = tick > 0 ? tick - 1 : 0;
    df_batch *batch = NULL;
    bool failed;

    if (size >= PARCEL_HEAD)
        memcpy(&form, bytes, 4);
    failed = form == PARCEL_FAILED && size == PARCEL_HEAD;
    if (failed)
        graph_tick_failed(g, tick);
    else if (size > 0)
        batch = take_batch(g, edge, step, key_group, &r);
    else
        batch = make_empty(g, edge, step, key_group);
    if (batch == NULL && (r.no_memory || size == 0))
        return df_fail(err, DF_ENOMEM, "a parcel of %zu bytes: out of memory", size);
    if (batch == NULL && !failed)
        return df_fail(err, DF_ECORRUPT, "what came from key group %u on edge %u is damaged",
                       key_group, edge);
    graph_awaits_came(g, edge, slot, key_group);
    graph_put(g, edge, key_group, slot, batch);
    graph_arrived(g, edge, slot, key_group);
    return DF_OK;
}

df_status df_graph_deliver(df_graph *g, uint32_t edge, uint64_t tick, uint32_t key_group,
                           const uint8_t *bytes, size_t size, df_error *err)
{
    df_status s;

    if (!df_graph_awaits(g, edge, tick, key_group))
        return df_fail(err, DF_ECORRUPT, "nothing is awaited from key group %u on edge %u at tick %llu",
                       key_group, edge, (unsigned long long)tick);
    if (tick >= atomic_load_explicit(&g->known, memory_order_relaxed))
        s = graph_move_early(g, edge, tick, key_group, bytes, size, err);
    else if (edge == DF_PARCEL_MOVE)
        s = graph_move_take(g, tick, key_group, bytes, size, err);
    else if (edge >= g->plan->edge_count)
        s = take_print(g, edge - g->plan->edge_count, tick, key_group, bytes, size, err);
    else
        s = deliver_rows(g, edge, tick, key_group, bytes, size, err);
    if (s == DF_ENOMEM)
        graph_deliver_no_memory(g, edge, tick, key_group);
    return s;
}
