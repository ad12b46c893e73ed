/* The old owner's half of a move: the states that enter the tick of the change go to the new owner.
 *
 * Nothing is copied for it. What is sent lies where the commit and the kinds have put it, in many places: a *spread*
 * holds it there, and says what comes after what. A batch does not change any more, and what a kind keeps is taken
 * from it; so both can be read until the last byte is acknowledged, and given back then. */
#include "dataflow/df_move_private.h"

#include <assert.h>
#include <string.h>

/* Bytes that are sent one after the other. */
typedef struct move_span {
    const uint8_t *bytes;
    size_t size;
} move_span;

/* From the pool. Behind it its spans, then the numbers that are sent, which some spans are of. */
typedef struct move_spread {
    df_batch *batch;  /* null: its commit failed */
    void **kept;      /* [kept_count], references; behind the numbers */
    uint32_t kept_count, span_count;
    uint8_t *numbers; /* the next one is put there */
    move_span spans[];
} move_spread;

/* What a kind keeps about the rows of a port; the bytes are a reference. */
typedef struct move_kept {
    uint32_t vertex, port;
    size_t size;
    void *bytes;
} move_kept;

typedef struct move_keeps {
    move_kept *list; /* scratch */
    uint32_t count;
    size_t size;     /* as it is sent */
} move_keeps;

/* ---- a spread ---- */

static move_spread *spread_new(graph_thread *t, df_batch *batch, const move_keeps *keeps, uint32_t columns)
{
    size_t spans = 2 * (size_t)keeps->count + 2 + columns;
    size_t numbers = MOVE_HEAD + 3 * sizeof(uint32_t) + keeps->count * MOVE_KEPT_HEAD;
    size_t kept_at = (sizeof(move_spread) + spans * sizeof(move_span) + numbers + 7) / 8 * 8;
    move_spread *s = df_pool_get(t->graph->pool, t->index, kept_at + keeps->count * sizeof(void *));

    if (s == NULL)
        return NULL;
    *s = (move_spread){ .batch = batch == NULL ? NULL : df_batch_ref(batch), .kept_count = keeps->count,
                        .kept = (void **)(void *)((uint8_t *)s + kept_at),
                        .numbers = (uint8_t *)&s->spans[spans] };
    for (uint32_t i = 0; i < keeps->count; i++)
        s->kept[i] = df_pool_ref(keeps->list[i].bytes);
    return s;
}

static void spread_put(move_spread *s, const void *bytes, size_t size)
{
    if (size > 0)
        s->spans[s->span_count++] = (move_span){ bytes, size };
}

static void spread_numbers(move_spread *s, const uint32_t *numbers, uint32_t count)
{
    memcpy(s->numbers, numbers, count * sizeof *numbers);
    spread_put(s, s->numbers, count * sizeof *numbers);
    s->numbers += count * sizeof *numbers;
}

static void spread_keeps(move_spread *s, const move_keeps *keeps)
{
    for (uint32_t i = 0; i < keeps->count; i++) {
        const move_kept *kept = &keeps->list[i];

        spread_numbers(s, (uint32_t[]){ kept->vertex, kept->port, (uint32_t)kept->size }, 3);
        spread_put(s, kept->bytes, kept->size);
    }
}

static void spread_rows(move_spread *s, const weir_schema *stored)
{
    uint32_t rows = s->batch->view.row_count;

    spread_put(s, s->batch->view.keys, rows * sizeof(uint64_t));
    for (uint32_t c = 0; c < stored->column_count; c++)
        spread_put(s, df_batch_stored_column(s->batch, c), rows * weir_type_size(stored->columns[c].type));
}

void df_spread_copy(const uint8_t *spread, uint32_t offset, uint8_t *to, uint32_t size)
{
    const move_spread *s = (const move_spread *)(const void *)spread;
    size_t skip = offset, left = size;

    for (uint32_t i = 0; left > 0; i++) {
        const move_span *span = &s->spans[i];
        size_t here;

        assert(i < s->span_count);
        if (skip >= span->size) {
            skip -= span->size;
            continue;
        }
        here = span->size - skip < left ? span->size - skip : left;
        memcpy(to, span->bytes + skip, here);
        to += here;
        left -= here;
        skip = 0;
    }
}

void df_spread_release(df_graph *g, uint8_t *spread)
{
    move_spread *s = (move_spread *)(void *)spread;

    for (uint32_t i = 0; i < s->kept_count; i++)
        df_pool_unref(g->thread_count, s->kept[i]);
    df_batch_unref(df_graph_memory(g), s->batch);
    df_pool_unref(g->thread_count, s);
}

/* ---- sending ---- */

static bool state_is_read(const df_graph *g, uint32_t stage, uint32_t stream, uint32_t key_group,
                          uint32_t slot, uint32_t member)
{
    const df_stage *s = &g->plan->stages[stage];

    for (uint32_t i = 0; i < s->out_count; i++)
        if (g->plan->edges[s->out_edges[i]].stream == stream &&
            g->ticks[slot].edges[s->out_edges[i]] &&
            graph_member_reads(g, s->out_edges[i], key_group, slot, member))
            return true;
    return false;
}

/* Takes what is kept about a state's rows in a key group that leaves. Dropped where memory is out, or the parcel
 * would be larger than `most`: it is not needed. */
static void keeps_take(graph_thread *t, move_keeps *keeps, uint32_t state, uint32_t key_group, uint64_t tick,
                       size_t most)
{
    const df_plan *p = t->graph->plan;
    uint64_t settled = df_state_settled(&p->states[state], tick - 1);

    keeps->list = graph_scratch_get(t, (size_t)p->vertex_count * WEIR_PORTS_MAX * sizeof *keeps->list);
    for (uint32_t v = 0; keeps->list != NULL && v < p->vertex_count; v++)
        for (uint32_t q = 0; q < p->vertices[v].port_count; q++) {
            move_kept kept = { .vertex = v, .port = q };

            if (p->vertices[v].ports[q].streams[0] == p->states[state].stream)
                kept.bytes = graph_kept_take(t, v, q, key_group, settled, &kept.size);
            if (kept.bytes != NULL && keeps->size + MOVE_KEPT_HEAD + kept.size <= most) {
                keeps->list[keeps->count++] = kept;
                keeps->size += MOVE_KEPT_HEAD + kept.size;
            } else {
                df_pool_unref(t->index, kept.bytes);
            }
        }
}

static void keeps_drop(graph_thread *t, move_keeps *keeps)
{
    for (uint32_t i = 0; i < keeps->count; i++) {
        df_pool_spare(keeps->list[i].bytes, 1);
        df_pool_unref(t->index, keeps->list[i].bytes);
    }
}

/* The batches of a key group that leaves are made here no more: of what changes at each step there are two at a
 * time, of what rests one. */
static void spare_batch(const df_graph *g, uint32_t state, const df_batch *batch)
{
    const df_state *s = &g->plan->states[state];
    uint32_t rests = s->settle_every > 1 ? 1 : 2;

    df_pool_spare(batch->view.keys, rests);
    if (batch->view.row_count > 0) /* else it is everybody's */
        df_pool_spare(batch->view.cell_rows, rests);
    for (uint32_t c = 0; c < s->stored->column_count; c++)
        df_pool_spare(df_batch_stored_column(batch, c), c < batch->view.schema->column_count ? 2 : 1);
}

/* Null: out of memory, or it would be too large. */
static move_spread *spread_state(graph_thread *t, uint32_t state, uint32_t key_group, uint64_t tick, df_batch *batch,
                                 size_t *size)
{
    const weir_schema *stored = t->graph->plan->states[state].stored;
    uint32_t rows = batch == NULL ? 0 : batch->view.row_count;
    move_keeps keeps = { 0 };
    move_spread *s;

    *size = MOVE_HEAD + 2 * sizeof(uint32_t);
    if (batch != NULL)
        *size += sizeof(uint32_t) + graph_batch_size(stored, rows);
    if (*size > DF_PARCEL_SIZE_MAX)
        return NULL;
    if (batch != NULL)
        keeps_take(t, &keeps, state, key_group, tick, DF_PARCEL_SIZE_MAX - *size);
    s = spread_new(t, batch, &keeps, stored->column_count);
    if (s != NULL)
        spread_numbers(s, (uint32_t[]){ batch == NULL ? MOVE_FAILED : MOVE_STATE, rows, state, key_group, keeps.count },
                       batch == NULL ? 4 : 5);
    if (s != NULL && batch != NULL) {
        spread_keeps(s, &keeps);
        spread_rows(s, stored);
    }
    keeps_drop(t, &keeps);
    *size += keeps.size;
    return s;
}

/* Out of memory fails the tick, which is then the same for all. */
static void send_state(graph_thread *t, uint32_t vertex, uint32_t key_group, uint64_t tick, uint32_t member)
{
    df_graph *g = t->graph;
    const df_vertex *v = &g->plan->vertices[vertex];
    df_batch *batch = t->local[v->outs[0]];
    df_parcel parcel = { .edge = DF_PARCEL_MOVE, .member = member, .tick = tick, .spread = true,
                         .rows = batch == NULL ? 0 : batch->view.row_count,
                         .key_group = graph_move_unit_of(g, v->stage, key_group) };
    size_t size;

    parcel.bytes = (uint8_t *)spread_state(t, v->state, key_group, tick, batch, &size);
    if (parcel.bytes == NULL) {
        graph_move_no_memory(g, &parcel, vertex);
    } else {
        parcel.size = (uint32_t)size;
        g->part.send(g->part.user, &parcel);
        graph_left(g);
    }
    if (batch != NULL)
        spare_batch(g, v->state, batch);
}

void graph_hand_over(graph_thread *t, uint32_t stage, uint32_t key_group, uint64_t tick)
{
    const df_graph *g = t->graph;
    const df_stage *s = &g->plan->stages[stage];
    uint32_t slot = graph_ring_slot(g, tick + 1), to;

    if (s->sink || tick + 1 >= atomic_load_explicit(&g->known, memory_order_acquire))
        return;
    to = graph_owner(g, g->ticks[slot].owners, stage, key_group);
    for (uint32_t i = 0; to != g->part.member && i < s->vertex_count; i++) {
        const df_vertex *v = &g->plan->vertices[s->vertices[i]];

        if (v->role == DF_COMMIT && state_is_read(g, stage, v->outs[0], key_group, slot, to))
            send_state(t, s->vertices[i], key_group, tick + 1, to);
    }
}
