/* A state's bytes, as they come to its new owner: each is copied once, to where it stays. They come piece by piece, so
 * where the next one goes follows from those before it; nothing of the graph is changed before all of them are there. */
#include "dataflow/df_bytes.h"
#include "dataflow/df_move_private.h"

#include <assert.h>
#include <string.h>

#define ARRIVAL_HEAD (MOVE_HEAD + 3 * sizeof(uint32_t)) /* of a state's bytes: what says the rest */

struct df_arrival { /* from the pool, or its caller's */
    graph_moved *moved;
    uint64_t tick;
    uint32_t unit, rows;
    size_t size, left;   /* bytes of all, and those that are to come */
    uint32_t keeps_left; /* of what kinds keep, so many are to come */
    uint32_t column;     /* comes next: 0: the keys; c + 1: c of df_state.stored */
    bool head_next;      /* what comes is `head` */
    uint8_t *to;         /* where the next bytes go; null: nowhere */
    size_t room;         /* so many of them */
    uint8_t head[MOVE_KEPT_HEAD]; /* of something that a kind keeps */
};

static const weir_schema *arrival_stored(const df_graph *g, const df_arrival *a)
{
    return g->plan->states[a->moved->state].stored;
}

/* Whether every byte that is still to come has its place. */
static bool arrival_placed(const df_graph *g, const df_arrival *a)
{
    return a->keeps_left == 0 && !a->head_next && a->column == 1 + arrival_stored(g, a)->column_count;
}

/* ---- where the next bytes go ---- */

/* A head has come. Without memory for what a kind keeps it is passed over: it will be made anew. */
static df_status place_kept(df_graph *g, df_arrival *a, df_error *err)
{
    const df_plan *p = g->plan;
    uint32_t vertex, port, size;
    df_cursor c;
    void *memory;

    df_cursor_init(&c, a->head, sizeof a->head);
    vertex = df_get_u32(&c);
    port = df_get_u32(&c);
    size = df_get_u32(&c);
    a->head_next = false;
    if (vertex >= p->vertex_count || port >= p->vertices[vertex].port_count || size > a->left ||
        p->vertices[vertex].ports[port].streams[0] != p->states[a->moved->state].stream)
        return graph_move_damaged(a->unit, err);
    memory = df_pool_get(g->pool, g->thread_count, size);
    if (memory != NULL)
        a->moved->kept[a->moved->kept_count++] = (moved_kept){ vertex, port, size, memory };
    a->to = memory;
    a->room = size;
    return DF_OK;
}

/* The rest are rows. */
static df_status place_rows(df_graph *g, df_arrival *a, df_error *err)
{
    const df_stream *stream = &g->plan->streams[g->plan->states[a->moved->state].stream];
    df_memory memory = df_graph_memory(g);
    df_batch *batch;

    if (a->left != graph_batch_size(arrival_stored(g, a), a->rows))
        return graph_move_damaged(a->unit, err);
    a->moved->batch = batch = df_batch_new(memory, &stream->schema, a->tick - 1, a->moved->key_group);
    if (batch == NULL || !df_batch_alloc_stored(memory, batch, arrival_stored(g, a), a->rows))
        return df_fail(err, DF_ENOMEM, "out of memory");
    return DF_OK;
}

static df_status place_next(df_graph *g, df_arrival *a, df_error *err)
{
    const weir_schema *stored = arrival_stored(g, a);
    df_status s = DF_OK;

    if (a->head_next)
        return place_kept(g, a, err);
    if (a->keeps_left > 0) {
        a->keeps_left--;
        a->head_next = true;
        a->to = a->head;
        a->room = sizeof a->head;
        return DF_OK;
    }
    if (a->column == 0)
        s = place_rows(g, a, err);
    if (s != DF_OK)
        return s;
    a->to = a->column == 0 ? (uint8_t *)a->moved->batch->view.keys
                           : df_batch_stored_column(a->moved->batch, a->column - 1);
    a->room = a->rows * (a->column == 0 ? sizeof(uint64_t) : weir_type_size(stored->columns[a->column - 1].type));
    a->column++;
    return DF_OK;
}

static df_status place_all(df_graph *g, df_arrival *a, df_error *err)
{
    df_status s = DF_OK;

    while (s == DF_OK && a->room == 0 && !arrival_placed(g, a))
        s = place_next(g, a, err);
    return s;
}

static df_status arrival_put(df_graph *g, df_arrival *a, size_t offset, const uint8_t *bytes, size_t size, df_error *err)
{
    if (offset != a->size - a->left || size > a->left)
        return graph_move_damaged(a->unit, err);
    while (size > 0) {
        size_t here = size < a->room ? size : a->room;
        df_status s;

        if (a->to != NULL) {
            memcpy(a->to, bytes, here);
            a->to += here;
        }
        bytes += here;
        size -= here;
        a->room -= here;
        a->left -= here;
        s = place_all(g, a, err);
        if (s != DF_OK)
            return s;
    }
    return DF_OK;
}

/* ---- from the first byte to the last ---- */

static bool is_state(const uint8_t *bytes, size_t size)
{
    df_cursor c;

    df_cursor_init(&c, bytes, size);
    return df_get_u32(&c) == MOVE_STATE && !c.failed;
}

/* `bytes`: the first ARRIVAL_HEAD of `size`. What there is of it is in any case the caller's. */
static df_status arrival_init(df_graph *g, df_arrival *a, uint64_t tick, uint32_t unit, const uint8_t *bytes,
                              size_t size, df_error *err)
{
    uint32_t rows, state, key_group, count;
    df_cursor c;

    df_cursor_init(&c, bytes + sizeof(uint32_t), ARRIVAL_HEAD - sizeof(uint32_t));
    rows = df_get_u32(&c);
    state = df_get_u32(&c);
    key_group = df_get_u32(&c);
    count = df_get_u32(&c);
    *a = (df_arrival){ .tick = tick, .unit = unit, .rows = rows, .keeps_left = count,
                       .size = size, .left = size - ARRIVAL_HEAD };
    if (!graph_move_is_of_unit(g, unit, state, key_group) || count > g->plan->vertex_count * WEIR_PORTS_MAX)
        return graph_move_damaged(unit, err);
    a->moved = df_pool_get(g->pool, g->thread_count, sizeof *a->moved + count * sizeof a->moved->kept[0]);
    if (a->moved == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    *a->moved = (graph_moved){ .state = state, .key_group = key_group };
    return place_all(g, a, err);
}

/* All bytes are there, as it seems. Takes what came of them. */
static df_status arrival_end(df_graph *g, df_arrival *a, graph_moved **out, df_error *err)
{
    df_status s = DF_OK;

    if (!df_arrival_whole(a) || a->room > 0)
        s = graph_move_damaged(a->unit, err);
    else
        s = df_graph_index_cells(g, a->moved->state, a->moved->batch, err);
    if (s != DF_OK)
        graph_move_drop(g, &a->moved);
    *out = a->moved;
    a->moved = NULL;
    return s;
}

df_status graph_move_prepare(df_graph *g, uint64_t tick, uint32_t unit, const uint8_t *bytes, size_t size,
                             graph_moved **out, df_error *err)
{
    df_arrival a;
    df_status s;

    *out = NULL;
    if (!is_state(bytes, size))
        return DF_OK;
    if (size < ARRIVAL_HEAD)
        return graph_move_damaged(unit, err);
    s = arrival_init(g, &a, tick, unit, bytes, size, err);
    if (s == DF_OK)
        s = arrival_put(g, &a, ARRIVAL_HEAD, bytes + ARRIVAL_HEAD, size - ARRIVAL_HEAD, err);
    if (s == DF_OK)
        s = arrival_end(g, &a, out, err);
    graph_move_drop(g, &a.moved);
    return s;
}

static df_status arrival_begin(df_graph *g, uint64_t tick, uint32_t unit, size_t size, const uint8_t *first,
                               size_t first_size, df_arrival **out, df_error *err)
{
    df_arrival *a;
    df_status s;

    *out = NULL;
    if (!df_graph_awaits(g, DF_PARCEL_MOVE, tick, unit) || first_size > size)
        return graph_move_damaged(unit, err);
    if (first_size < ARRIVAL_HEAD || !is_state(first, first_size))
        return DF_OK;
    a = df_pool_get(g->pool, g->thread_count, sizeof *a);
    if (a == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    s = arrival_init(g, a, tick, unit, first, size, err);
    if (s == DF_OK)
        s = arrival_put(g, a, ARRIVAL_HEAD, first + ARRIVAL_HEAD, first_size - ARRIVAL_HEAD, err);
    *out = a;
    if (s != DF_OK)
        df_arrival_drop(g, out);
    return s;
}

/* Without memory the tick fails; a state that is refused changes nothing. */
static df_status arrival_result(df_graph *g, uint64_t tick, uint32_t unit, df_status s)
{
    if (s == DF_ENOMEM)
        graph_deliver_no_memory(g, DF_PARCEL_MOVE, tick, unit);
    return s;
}

df_status df_arrival_begin(df_graph *g, uint64_t tick, uint32_t unit, size_t size, const uint8_t *first,
                           size_t first_size, df_arrival **out, df_error *err)
{
    return arrival_result(g, tick, unit, arrival_begin(g, tick, unit, size, first, first_size, out, err));
}

df_status df_arrival_put(df_graph *g, df_arrival *a, size_t offset, const uint8_t *bytes, size_t size, df_error *err)
{
    return arrival_result(g, a->tick, a->unit, arrival_put(g, a, offset, bytes, size, err));
}

bool df_arrival_whole(const df_arrival *a)
{
    return a->left == 0;
}

df_status df_arrival_end(df_graph *g, df_arrival **arrival, df_error *err)
{
    uint64_t tick = (*arrival)->tick;
    uint32_t unit = (*arrival)->unit;
    graph_moved *moved;
    df_status s = arrival_end(g, *arrival, &moved, err);

    df_arrival_drop(g, arrival);
    if (s == DF_OK)
        s = graph_move_deliver(g, tick, unit, &moved, err);
    return arrival_result(g, tick, unit, s);
}

void df_arrival_drop(df_graph *g, df_arrival **arrival)
{
    df_arrival *a = *arrival;

    *arrival = NULL;
    if (a == NULL)
        return;
    graph_move_drop(g, &a->moved);
    df_pool_unref(g->thread_count, a);
}
