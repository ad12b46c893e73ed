/* Key groups that change owner while the job runs: what is known of it beforehand, and what operators carry
 * (df_move_send.c is the old owner's half of the rest, df_move_take.c the new one's, df_move_hold.c what waits until a
 * tick's owners are known).
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
#include "dataflow/df_move_private.h"

#include <string.h>

/* ---- tables ---- */

bool graph_move_vertex_carries(const df_graph *g, uint32_t vertex)
{
    return g->vertices[vertex].carried != NULL || g->vertices[vertex].births != NULL;
}

static bool stage_carries(const df_graph *g, uint32_t stage)
{
    const df_stage *s = &g->plan->stages[stage];
    bool carries = false;

    for (uint32_t i = 0; i < s->vertex_count; i++)
        carries |= graph_move_vertex_carries(g, s->vertices[i]);
    return carries && !s->sink;
}

uint32_t graph_move_state_groups(const df_graph *g, uint32_t state)
{
    return g->plan->vertices[g->plan->states[state].vertex].partition.key_groups;
}

static bool setup_states(df_graph *g, df_arena *arena)
{
    g->held = df_arena_alloc(arena, (g->plan->state_count + 1) * sizeof(*g->held));
    g->adopted = df_arena_alloc(arena, (g->plan->state_count + 1) * sizeof(*g->adopted));
    for (uint32_t s = 0; g->held != NULL && g->adopted != NULL && s < g->plan->state_count; s++) {
        g->held[s] = df_arena_alloc(arena, graph_move_state_groups(g, s) * sizeof **g->held);
        g->adopted[s] = df_arena_alloc(arena, graph_move_state_groups(g, s) * sizeof **g->adopted);
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
bool graph_move_unit_comes(const df_graph *g, const graph_owners *before, const graph_owners *after,
                           uint32_t unit)
{
    return before->units[unit] != g->part.member && after->units[unit] == g->part.member;
}

uint32_t graph_move_unit_of(const df_graph *g, uint32_t stage, uint32_t key_group)
{
    return (uint32_t)((uint64_t)key_group * g->plan->key_groups /
                      g->plan->stages[stage].partition.key_groups);
}

const graph_owners *graph_move_owners_before(const df_graph *g, uint64_t tick)
{
    return graph_owners_at(g, tick > 0 ? tick - 1 : 0);
}

/* ---- what is carried ---- */

static uint8_t *put_u32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

uint32_t graph_move_first_group(const df_graph *g, uint32_t stage, uint32_t unit)
{
    uint64_t groups = g->plan->stages[stage].partition.key_groups, units = g->plan->key_groups;

    return (uint32_t)((unit * groups + units - 1) / units);
}

/* What operators carry in a unit as bytes; null: only how many. */
size_t graph_move_put_carried(const df_graph *g, uint32_t unit, uint8_t *to, uint32_t *entries)
{
    size_t size = 0;

    *entries = 0;
    for (uint32_t v = 0; v < g->plan->vertex_count; v++) {
        const graph_vertex *gv = &g->vertices[v];
        uint32_t stage = g->plan->vertices[v].stage;
        uint32_t end = graph_move_first_group(g, stage, unit + 1);

        if (!graph_move_vertex_carries(g, v) || g->plan->stages[stage].sink)
            continue;
        for (uint32_t k = graph_move_first_group(g, stage, unit); k < end; k++) {
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

void graph_move_no_memory(df_graph *g, const df_parcel *parcel, uint32_t vertex)
{
    graph_fail(g, parcel->tick, vertex, parcel->key_group, WEIR_NO_ROW, DF_ENOMEM,
               "out of memory, or more than %u bytes to move", DF_PARCEL_SIZE_MAX);
}

static void send_carried(graph_thread *t, uint32_t unit, uint64_t tick, uint32_t member)
{
    df_graph *g = t->graph;
    df_parcel parcel = { .edge = DF_PARCEL_MOVE, .member = member, .tick = tick, .key_group = unit };
    uint32_t entries;
    size_t size = MOVE_HEAD + graph_move_put_carried(g, unit, NULL, &entries);

    parcel.size = (uint32_t)size;
    parcel.bytes = size > DF_PARCEL_SIZE_MAX ? NULL : df_pool_get(g->pool, t->index, size);
    if (parcel.bytes == NULL) {
        graph_move_no_memory(g, &parcel, 0);
        return;
    }
    graph_move_put_carried(g, unit, put_u32(put_u32(parcel.bytes, MOVE_CARRIED), entries), &entries);
    g->part.send(g->part.user, &parcel);
    graph_left(g);
}

void graph_move_worked(graph_thread *t)
{
    df_graph *g = t->graph;

    while (g->carries && g->handed < g->worked &&
           g->handed + 1 < atomic_load_explicit(&g->known, memory_order_relaxed)) {
        uint64_t tick = ++g->handed;
        const graph_owners *before = graph_move_owners_before(g, tick), *after = graph_owners_at(g, tick);

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
    const graph_owners *before = graph_move_owners_before(g, number);
    uint32_t parcels = 0;

    if (!g->carries)
        return 0;
    for (uint32_t u = 0; before != tick->owners && u < g->plan->key_groups; u++)
        parcels += graph_move_unit_comes(g, before, tick->owners, u);
    for (uint32_t s = 0; s < g->plan->stage_count; s++) {
        if (g->gains[s] == NULL)
            continue;
        for (uint32_t k = 0; parcels > 0 && k < g->plan->stages[s].partition.key_groups; k++)
            if (graph_move_unit_comes(g, before, tick->owners, graph_move_unit_of(g, s, k))) {
                g->gains_open += !g->gains[s][k].open;
                g->gains[s][k] = (graph_gain){ .first = NO_TICK, .open = true };
            }
        if (tick->stages[s] && g->gains_open > 0)
            await_carried(g, s, tick);
    }
    return parcels;
}
