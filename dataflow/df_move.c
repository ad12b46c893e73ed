/* Key groups that change owner while the job runs, and what has to wait until a tick's owners are known.
 *
 * At a change at tick T the old owner runs the key group's tasks of the ticks before T, the new one those
 * from T on; nobody else notices. What the new owner needs:
 *
 * 1. the states that enter T. The old owner's commit at T - 1 makes such a batch and hands it to its
 *    readers as ever, except that the new owner gets the whole batch, once, and hands it to its own
 *    readers itself (adopt). So each edge and key group still arrives once at every member. With it goes
 *    what kinds keep about rows that rest (df_settle.c): to make that anew takes longer than the whole move.
 * 2. what operators carry, and their counts of births, after all ticks before T: sent when those are
 *    worked. The new owner's first task of such a key group waits for it, and so does the end of tick T,
 *    or a snapshot could be taken without it.
 *
 * A unit changes at most once in window + 1 ticks, so no task of the time before a loss can still be waited
 * for when the unit comes back.
 *
 *   STATE    u32 form   u32 rows   u32 state   u32 key group   u32 n   n x (u32 operator, u32 port, u32 size,
 *            what it keeps)   keys, the columns of df_state.stored
 *   FAILED   u32 form   u32 0      u32 state   u32 key group
 *   CARRIED  u32 form   u32 n   n x (u32 operator, u32 key group, u64 births, what is carried) */
#include "dataflow/df_bytes.h"
#include "dataflow/df_graph_private.h"

#include <assert.h>
#include <string.h>

#define MOVE_HEAD      8u
#define MOVE_KEPT_HEAD 12u

typedef enum move_form {
    MOVE_STATE = 1,
    MOVE_FAILED,
    MOVE_CARRIED,
} move_form;

/* ---- tables ---- */

static bool vertex_carries(const df_graph *g, uint32_t vertex)
{
    return g->vertices[vertex].carried != NULL || g->vertices[vertex].births != NULL;
}

static bool stage_carries(const df_graph *g, uint32_t stage)
{
    const df_stage *s = &g->plan->stages[stage];
    bool carries = false;

    for (uint32_t i = 0; i < s->vertex_count; i++)
        carries |= vertex_carries(g, s->vertices[i]);
    return carries && !s->sink;
}

static uint32_t state_groups(const df_graph *g, uint32_t state)
{
    return g->plan->vertices[g->plan->states[state].vertex].partition.key_groups;
}

static bool setup_states(df_graph *g, df_arena *arena)
{
    g->held = df_arena_alloc(arena, (g->plan->state_count + 1) * sizeof(*g->held));
    g->adopted = df_arena_alloc(arena, (g->plan->state_count + 1) * sizeof(*g->adopted));
    for (uint32_t s = 0; g->held != NULL && g->adopted != NULL && s < g->plan->state_count; s++) {
        g->held[s] = df_arena_alloc(arena, state_groups(g, s) * sizeof **g->held);
        g->adopted[s] = df_arena_alloc(arena, state_groups(g, s) * sizeof **g->adopted);
        if (g->held[s] == NULL || g->adopted[s] == NULL)
            return false;
    }
    return g->held != NULL && g->adopted != NULL;
}

bool graph_move_setup(df_graph *g, df_arena *arena)
{
    g->handed = g->first_tick; /* who owns nothing before it has nothing to hand over */
    if (!g->parted)
        return true;
    g->gains = df_arena_alloc(arena, (g->plan->stage_count + 1) * sizeof(*g->gains));
    g->carried_at = df_arena_alloc(arena, g->plan->key_groups * sizeof *g->carried_at);
    if (g->gains == NULL || g->carried_at == NULL)
        return false;
    for (uint32_t s = 0; s < g->plan->stage_count; s++) {
        if (!stage_carries(g, s))
            continue;
        g->carries = true;
        g->gains[s] = df_arena_alloc(arena, g->plan->stages[s].partition.key_groups *
                                                sizeof **g->gains);
        if (g->gains[s] == NULL)
            return false;
    }
    return setup_states(g, arena);
}

/* Whether a unit is this member's at one of two ticks and not at the other. */
static bool unit_comes(const df_graph *g, const graph_owners *before, const graph_owners *after,
                       uint32_t unit)
{
    return before->units[unit] != g->part.member && after->units[unit] == g->part.member;
}

static uint32_t unit_of(const df_graph *g, uint32_t stage, uint32_t key_group)
{
    return (uint32_t)((uint64_t)key_group * g->plan->key_groups /
                      g->plan->stages[stage].partition.key_groups);
}

static const graph_owners *owners_before(const df_graph *g, uint64_t tick)
{
    return graph_owners_at(g, tick > 0 ? tick - 1 : 0);
}

/* ---- sending ---- */

static uint8_t *put_u32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

/* Out of memory fails the tick, which is then the same for all. */
static uint8_t *parcel_bytes(graph_thread *t, df_parcel *parcel, size_t size, uint32_t vertex)
{
    parcel->size = (uint32_t)size;
    parcel->bytes = size > DF_PARCEL_SIZE_MAX ? NULL : df_pool_get(t->graph->pool, t->index, size);
    if (parcel->bytes == NULL)
        graph_fail(t->graph, parcel->tick, vertex, parcel->key_group, WEIR_NO_ROW, DF_ENOMEM,
                   "out of memory, or more than %u bytes to move", DF_PARCEL_SIZE_MAX);
    return parcel->bytes;
}

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

static uint8_t *keeps_put(uint8_t *to, const move_keeps *keeps)
{
    to = put_u32(to, keeps->count);
    for (uint32_t i = 0; i < keeps->count; i++) {
        const move_kept *kept = &keeps->list[i];

        to = put_u32(put_u32(put_u32(to, kept->vertex), kept->port), (uint32_t)kept->size);
        memcpy(to, kept->bytes, kept->size);
        to += kept->size;
    }
    return to;
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
    df_pool_spare(batch->view.cell_rows, rests);
    for (uint32_t c = 0; c < s->stored->column_count; c++)
        df_pool_spare(df_batch_stored_column(batch, c), c < batch->view.schema->column_count ? 2 : 1);
}

static void send_state(graph_thread *t, uint32_t vertex, uint32_t key_group, uint64_t tick,
                       uint32_t member)
{
    df_graph *g = t->graph;
    const df_vertex *v = &g->plan->vertices[vertex];
    const weir_schema *stored = g->plan->states[v->state].stored;
    df_batch *batch = t->local[v->outs[0]];
    uint32_t rows = batch == NULL ? 0 : batch->view.row_count;
    size_t size = MOVE_HEAD + 2 * sizeof(uint32_t);
    df_parcel parcel = { .edge = DF_PARCEL_MOVE, .member = member, .tick = tick, .rows = rows,
                         .key_group = unit_of(g, v->stage, key_group) };
    move_keeps keeps = { 0 };
    uint8_t *to;

    if (batch != NULL) {
        size += sizeof(uint32_t) + graph_batch_size(stored, rows);
        if (size < DF_PARCEL_SIZE_MAX)
            keeps_take(t, &keeps, v->state, key_group, tick, DF_PARCEL_SIZE_MAX - size);
    }
    to = parcel_bytes(t, &parcel, size + keeps.size, vertex);
    if (to != NULL) {
        to = put_u32(put_u32(to, batch == NULL ? MOVE_FAILED : MOVE_STATE), rows);
        to = put_u32(put_u32(to, v->state), key_group);
        if (batch != NULL)
            graph_batch_put(keeps_put(to, &keeps), batch, stored);
        g->part.send(g->part.user, &parcel);
        graph_left(g);
    }
    if (batch != NULL)
        spare_batch(g, v->state, batch);
    keeps_drop(t, &keeps);
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

/* ---- what is carried ---- */

static uint32_t first_group(const df_graph *g, uint32_t stage, uint32_t unit)
{
    uint64_t groups = g->plan->stages[stage].partition.key_groups, units = g->plan->key_groups;

    return (uint32_t)((unit * groups + units - 1) / units);
}

/* What operators carry in a unit as bytes; null: only how many. */
static size_t put_carried(const df_graph *g, uint32_t unit, uint8_t *to, uint32_t *entries)
{
    size_t size = 0;

    *entries = 0;
    for (uint32_t v = 0; v < g->plan->vertex_count; v++) {
        const graph_vertex *gv = &g->vertices[v];
        uint32_t stage = g->plan->vertices[v].stage;
        uint32_t end = first_group(g, stage, unit + 1);

        if (!vertex_carries(g, v) || g->plan->stages[stage].sink)
            continue;
        for (uint32_t k = first_group(g, stage, unit); k < end; k++) {
            uint64_t births = gv->births == NULL ? 0 : gv->births[k];

            if (to != NULL) {
                put_u32(put_u32(to + size, v), k);
                memcpy(to + size + 8, &births, sizeof births);
                if (gv->carried != NULL)
                    memcpy(to + size + 16, gv->carried + (size_t)k * gv->carried_size * 2,
                           gv->carried_size);
            }
            size += 16 + gv->carried_size;
            (*entries)++;
        }
    }
    return size;
}

static void send_carried(graph_thread *t, uint32_t unit, uint64_t tick, uint32_t member)
{
    df_graph *g = t->graph;
    df_parcel parcel = { .edge = DF_PARCEL_MOVE, .member = member, .tick = tick, .key_group = unit };
    uint32_t entries;
    uint8_t *to = parcel_bytes(t, &parcel, MOVE_HEAD + put_carried(g, unit, NULL, &entries), 0);

    if (to == NULL)
        return;
    put_carried(g, unit, put_u32(put_u32(to, MOVE_CARRIED), entries), &entries);
    g->part.send(g->part.user, &parcel);
    graph_left(g);
}

void graph_move_worked(graph_thread *t)
{
    df_graph *g = t->graph;

    while (g->carries && g->handed < g->worked &&
           g->handed + 1 < atomic_load_explicit(&g->known, memory_order_relaxed)) {
        uint64_t tick = ++g->handed;
        const graph_owners *before = owners_before(g, tick), *after = graph_owners_at(g, tick);

        for (uint32_t u = 0; before != after && u < g->plan->key_groups; u++)
            if (before->units[u] == g->part.member && after->units[u] != g->part.member)
                send_carried(t, u, tick, after->units[u]);
    }
}

/* The first own task of each of a serial stage's key groups that came waits for what is carried, be it in
 * place of the task before it, which ran elsewhere. */
static void await_carried(df_graph *g, uint32_t stage, const graph_tick *tick)
{
    uint32_t slot = graph_ring_slot(g, tick->tick);

    for (uint32_t k = 0; k < g->plan->stages[stage].partition.key_groups; k++) {
        graph_gain *gain = &g->gains[stage][k];

        if (!gain->open || gain->first != NO_TICK || !tick->owners->stages[stage].own[k])
            continue;
        gain->first = tick->tick;
        if (gain->arrived && tick->before[stage] != NO_TICK)
            graph_await(g, stage, slot, k, false);
        if (!gain->arrived && tick->before[stage] == NO_TICK)
            graph_await(g, stage, slot, k, true);
        gain->open = !gain->arrived;
        g->gains_open -= gain->arrived;
    }
}

uint32_t graph_move_assign(df_graph *g, uint64_t number)
{
    const graph_tick *tick = &g->ticks[graph_ring_slot(g, number)];
    const graph_owners *before = owners_before(g, number);
    uint32_t parcels = 0;

    if (!g->carries)
        return 0;
    for (uint32_t u = 0; before != tick->owners && u < g->plan->key_groups; u++)
        parcels += unit_comes(g, before, tick->owners, u);
    for (uint32_t s = 0; s < g->plan->stage_count; s++) {
        if (g->gains[s] == NULL)
            continue;
        for (uint32_t k = 0; parcels > 0 && k < g->plan->stages[s].partition.key_groups; k++)
            if (unit_comes(g, before, tick->owners, unit_of(g, s, k))) {
                g->gains_open += !g->gains[s][k].open;
                g->gains[s][k] = (graph_gain){ .first = NO_TICK, .open = true };
            }
        if (tick->stages[s] && g->gains_open > 0)
            await_carried(g, s, tick);
    }
    return parcels;
}

/* ---- holding back ---- */

/* Anything that the stage hands to the next tick. */
static bool feeds_next(const df_graph *g, uint32_t stage, uint64_t tick)
{
    const df_stage *s = &g->plan->stages[stage];
    const graph_tick *next = &g->ticks[graph_ring_slot(g, tick + 1)];

    for (uint32_t i = 0; i < s->out_count; i++)
        if (g->plan->edges[s->out_edges[i]].ticks == 1 && next->edges[s->out_edges[i]])
            return true;
    return false;
}

static void hold(graph_thread *t, uint32_t stage, uint32_t key_group, uint64_t tick)
{
    df_graph *g = t->graph;
    const df_stage *s = &g->plan->stages[stage];

    g->any_held = true;
    g->held_tick = tick + 1;
    for (uint32_t i = 0; i < s->vertex_count; i++) {
        const df_vertex *v = &g->plan->vertices[s->vertices[i]];

        if (v->role != DF_COMMIT)
            continue;
        df_batch *batch = t->local[v->outs[0]];
        assert(!g->held[v->state][key_group].here);
        g->held[v->state][key_group] =
            (graph_held){ .batch = batch == NULL ? NULL : df_batch_ref(batch), .here = true };
    }
}

bool graph_hold(graph_thread *t, uint32_t stage, uint32_t key_group, uint64_t tick)
{
    df_graph *g = t->graph;
    bool held;

    if (tick + 1 < atomic_load_explicit(&g->known, memory_order_acquire) ||
        !feeds_next(g, stage, tick))
        return false;
    pthread_mutex_lock(&g->lock);
    held = tick + 1 >= atomic_load_explicit(&g->known, memory_order_relaxed);
    if (held)
        hold(t, stage, key_group, tick);
    pthread_mutex_unlock(&g->lock);
    return held;
}

/* What a task hands on to the next tick, now that its owners are known. */
static void hand_on(graph_thread *t, uint32_t vertex, uint32_t key_group, uint64_t tick)
{
    df_graph *g = t->graph;
    const df_vertex *v = &g->plan->vertices[vertex];
    const df_stage *s = &g->plan->stages[v->stage];
    uint32_t slot = graph_ring_slot(g, tick);

    for (uint32_t i = 0; i < s->out_count; i++) {
        uint32_t edge = s->out_edges[i];

        if (g->plan->edges[edge].stream != v->outs[0] || !g->ticks[slot].edges[edge])
            continue;
        graph_publish(t, edge, key_group, slot);
        graph_arrived(g, edge, slot, key_group);
        graph_count_sent(g, edge, slot);
    }
    graph_hand_over(t, v->stage, key_group, tick - 1);
}

static void hand_on_held(graph_thread *t, uint64_t tick)
{
    df_graph *g = t->graph;

    for (uint32_t s = 0; s < g->plan->state_count; s++) {
        uint32_t vertex = g->plan->states[s].vertex, stream = g->plan->states[s].stream;

        for (uint32_t k = 0; k < state_groups(g, s); k++) {
            graph_held held = g->held[s][k];

            if (!held.here)
                continue;
            g->held[s][k] = (graph_held){ 0 };
            t->local[stream] = held.batch;
            hand_on(t, vertex, k, tick);
            t->local[stream] = NULL;
            df_batch_unref(t->memory, held.batch);
            graph_scratch_reset(t);
        }
    }
}

/* ---- arriving ---- */

df_status graph_move_early(df_graph *g, uint32_t edge, uint64_t tick, uint32_t key_group,
                           const uint8_t *bytes, size_t size, df_error *err)
{
    graph_early *e = size > DF_PARCEL_SIZE_MAX
                         ? NULL : df_pool_get(g->pool, g->thread_count, sizeof *e + size);

    if (e == NULL)
        return df_fail(err, DF_ENOMEM, "a parcel of %zu bytes: out of memory", size);
    *e = (graph_early){ .next = g->early, .tick = tick, .edge = edge, .key_group = key_group,
                        .size = size };
    if (size > 0)
        memcpy(e + 1, bytes, size);
    g->early = e;
    return DF_OK;
}

static void deliver_early(df_graph *g)
{
    uint64_t known = atomic_load_explicit(&g->known, memory_order_relaxed);
    graph_early **at = &g->early, *e;
    df_error err;

    while ((e = *at) != NULL) {
        if (e->tick >= known) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        if (df_graph_deliver(g, e->edge, e->tick, e->key_group,
                             e->size == 0 ? NULL : (const uint8_t *)(e + 1), e->size, &err) != DF_OK)
            g->refused++;
        df_pool_unref(g->thread_count, e);
    }
}

void graph_move_known(df_graph *g)
{
    uint64_t known = atomic_load_explicit(&g->known, memory_order_relaxed);
    bool any;

    pthread_mutex_lock(&g->lock);
    any = g->any_held && known > g->held_tick;
    g->any_held &= !any;
    pthread_mutex_unlock(&g->lock);
    if (any)
        hand_on_held(&g->threads[g->thread_count], g->held_tick);
    deliver_early(g);
}

bool graph_move_awaits(const df_graph *g, uint64_t tick, uint32_t unit)
{
    return unit < g->plan->key_groups &&
           unit_comes(g, owners_before(g, tick), graph_owners_at(g, tick), unit);
}

static df_status damaged(uint32_t unit, df_error *err)
{
    return df_fail(err, DF_ECORRUPT, "what came of key group %u's move is damaged", unit);
}

static bool may_adopt(const df_graph *g, uint64_t tick, uint32_t unit, uint32_t state, uint32_t key_group)
{
    return state < g->plan->state_count && key_group < state_groups(g, state) &&
           unit_of(g, g->plan->vertices[g->plan->states[state].vertex].stage, key_group) == unit &&
           g->adopted[state][key_group] < tick;
}

/* Hand a state to this member's readers, as if it had been made here. Null: its commit failed. */
static void adopt(df_graph *g, uint32_t state, uint32_t key_group, uint64_t tick, df_batch *batch)
{
    graph_thread *t = &g->threads[g->thread_count];
    uint32_t stream = g->plan->states[state].stream, slot = graph_ring_slot(g, tick);
    const df_stage *s = &g->plan->stages[g->plan->vertices[g->plan->states[state].vertex].stage];

    g->adopted[state][key_group] = tick;
    if (batch != NULL)
        graph_unit_holds(g, state, key_group, batch->view.row_count);
    t->local[stream] = batch;
    for (uint32_t i = 0; i < s->out_count; i++) {
        uint32_t edge = s->out_edges[i];

        if (g->plan->edges[edge].stream != stream || !g->ticks[slot].edges[edge])
            continue;
        graph_publish_here(t, edge, key_group, slot);
        graph_arrived(g, edge, slot, key_group);
    }
    t->local[stream] = NULL;
    df_batch_unref(t->memory, batch);
    graph_scratch_reset(t);
}

/* What kinds keep about a state's rows in a key group. Looks at each; with `put` it is kept here. */
static bool keeps_read(df_graph *g, df_cursor *c, uint32_t state, uint32_t key_group, uint64_t tick, bool put)
{
    const df_plan *p = g->plan;

    for (uint32_t count = df_get_u32(c); !c->failed && count > 0; count--) {
        uint32_t vertex = df_get_u32(c), port = df_get_u32(c), size = df_get_u32(c);
        const uint8_t *bytes = df_get_bytes(c, size);

        if (c->failed || vertex >= p->vertex_count || port >= p->vertices[vertex].port_count ||
            p->vertices[vertex].ports[port].streams[0] != p->states[state].stream)
            return false;
        if (put)
            graph_kept_put(g, vertex, port, key_group, df_state_settled(&p->states[state], tick - 1), bytes,
                           size);
    }
    return !c->failed;
}

static df_status take_state(df_graph *g, uint64_t tick, uint32_t unit, df_cursor *c, uint32_t rows,
                            df_error *err)
{
    uint32_t state = df_get_u32(c), key_group = df_get_u32(c);
    df_cursor keeps = *c;
    const df_state *s;
    const uint8_t *bytes;
    df_batch *batch;
    df_status status;
    size_t left;

    if (!may_adopt(g, tick, unit, state, key_group) || !keeps_read(g, c, state, key_group, tick, false))
        return damaged(unit, err);
    s = &g->plan->states[state];
    left = df_get_left(c);
    bytes = df_get_bytes(c, left);
    batch = graph_batch_take(g, &g->plan->streams[s->stream].schema, s->stored, rows, bytes, left);
    if (batch == NULL)
        return damaged(unit, err);
    batch->view.step = tick - 1;
    batch->view.key_group = key_group;
    status = df_graph_index_cells(g, state, batch, err);
    if (status != DF_OK) {
        df_batch_unref(df_graph_memory(g), batch);
        return status;
    }
    keeps_read(g, &keeps, state, key_group, tick, true);
    adopt(g, state, key_group, tick, batch);
    return DF_OK;
}

static df_status take_failed(df_graph *g, uint64_t tick, uint32_t unit, df_cursor *c, uint32_t rows,
                             df_error *err)
{
    uint32_t state = df_get_u32(c), key_group = df_get_u32(c);

    if (c->failed || rows != 0 || df_get_left(c) != 0 || !may_adopt(g, tick, unit, state, key_group))
        return damaged(unit, err);
    graph_tick_failed(g, tick);
    adopt(g, state, key_group, tick, NULL);
    return DF_OK;
}

/* Whether the bytes are those of a unit: each entry once, in order. */
static bool carried_fit(const df_graph *g, uint32_t unit, uint32_t entries, df_cursor c)
{
    uint32_t wanted;
    size_t size = put_carried(g, unit, NULL, &wanted);

    if (entries != wanted || df_get_left(&c) != size)
        return false;
    for (uint32_t v = 0; v < g->plan->vertex_count; v++) {
        uint32_t stage = g->plan->vertices[v].stage, end = first_group(g, stage, unit + 1);

        if (!vertex_carries(g, v) || g->plan->stages[stage].sink)
            continue;
        for (uint32_t k = first_group(g, stage, unit); k < end; k++) {
            if (df_get_u32(&c) != v || df_get_u32(&c) != k)
                return false;
            df_get_u64(&c);
            df_get_bytes(&c, g->vertices[v].carried_size);
        }
    }
    return !c.failed;
}

static void carried_arrived(df_graph *g, uint32_t unit)
{
    for (uint32_t s = 0; s < g->plan->stage_count; s++) {
        uint32_t end = first_group(g, s, unit + 1);

        if (g->gains[s] == NULL)
            continue;
        for (uint32_t k = first_group(g, s, unit); k < end; k++) {
            graph_gain *gain = &g->gains[s][k];

            gain->arrived = true;
            if (gain->first == NO_TICK)
                continue;
            gain->open = false;
            g->gains_open--;
            graph_carried_arrived(g, s, graph_ring_slot(g, gain->first), k);
        }
    }
}

static df_status take_carried(df_graph *g, uint64_t tick, uint32_t unit, uint32_t entries, df_cursor *c,
                              df_error *err)
{
    if (!g->carries || g->carried_at[unit] >= tick || !carried_fit(g, unit, entries, *c))
        return damaged(unit, err);
    g->carried_at[unit] = tick;
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t v = df_get_u32(c), k = df_get_u32(c);
        graph_vertex *gv = &g->vertices[v];
        uint64_t births = df_get_u64(c);
        const uint8_t *bytes = df_get_bytes(c, gv->carried_size);

        if (gv->births != NULL)
            gv->births[k] = births;
        if (gv->carried != NULL)
            memcpy(gv->carried + (size_t)k * gv->carried_size * 2, bytes, gv->carried_size);
    }
    carried_arrived(g, unit);
    graph_work_arrived(g, graph_ring_slot(g, tick));
    return DF_OK;
}

df_status graph_move_take(df_graph *g, uint64_t tick, uint32_t unit, const uint8_t *bytes, size_t size,
                          df_error *err)
{
    df_cursor c;
    uint32_t form, count;

    df_cursor_init(&c, bytes, size);
    form = df_get_u32(&c);
    count = df_get_u32(&c);
    if (c.failed || form < MOVE_STATE || form > MOVE_CARRIED)
        return damaged(unit, err);
    if (form == MOVE_CARRIED)
        return take_carried(g, tick, unit, count, &c, err);
    if (form == MOVE_FAILED)
        return take_failed(g, tick, unit, &c, count, err);
    return take_state(g, tick, unit, &c, count, err);
}
