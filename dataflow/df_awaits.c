/* What a part waits for from other members, and whether a parcel is of that.
 *
 * A bit for each edge (or fingerprint), tick and key group: nothing is awaited. It is set when what was awaited has come, and
 * from the beginning where the tick has no such edge. Owners say the rest, and those are the feeder's.
 *
 * Why the answer is right though the feeder asks while threads complete ticks. What is awaited keeps its tick from being
 * complete, so its bits are the feeder's alone until they are set. But a parcel that has come twice may be of a tick that
 * is completed just now: whoever does that moves `done` first, and then gives the tick's slot to a later one, of which
 * everything is awaited. A bit of that is written with release and read with acquire; so the feeder, who looks at `done`
 * once more behind it, sees that it has moved. Nothing else of a tick is read: all that is in its slot may be changing. */
#include "dataflow/df_graph_private.h"

/* ---- fingerprints ---- */

bool graph_print_is_state(const df_graph *g, uint32_t print)
{
    uint32_t vertex = g->plan->streams[g->prints[print].stream].vertex;

    return g->plan->vertices[vertex].role == DF_COMMIT;
}

/* A tick waits for the fingerprints of what entered it, and of what was made in it. */
static bool print_awaited(const df_graph *g, uint32_t print, uint64_t tick)
{
    const graph_tick *t = &g->ticks[graph_ring_slot(g, tick)];

    if (!g->parted || g->part.member != g->part.sink_member || !t->print_streams)
        return false;
    if (graph_print_is_state(g, print))
        return tick > 0;
    return t->vertices[g->plan->streams[g->prints[print].stream].vertex];
}

/* By whom they are made: what enters a tick, at the tick before. */
static const graph_owners *print_owners(const df_graph *g, uint32_t print, uint64_t tick)
{
    return graph_owners_at(g, graph_print_is_state(g, print) && tick > 0 ? tick - 1 : tick);
}

uint32_t graph_prints_awaited(const df_graph *g, uint64_t tick)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < g->print_count; i++) {
        uint32_t vertex = g->plan->streams[g->prints[i].stream].vertex;
        const graph_owners *owners = print_owners(g, i, tick);
        if (print_awaited(g, i, tick))
            count += g->prints[i].groups -
                     owners->stages[g->plan->vertices[vertex].stage].own_count;
    }
    return count;
}

/* ---- what has come ---- */

#define AWAITS_BITS 64u

static size_t words_of(uint32_t groups)
{
    return (groups + AWAITS_BITS - 1) / AWAITS_BITS;
}

static _Atomic uint64_t *bits_new(const df_graph *g, df_arena *arena, uint32_t groups)
{
    return df_arena_alloc(arena, g->ring * words_of(groups) * sizeof(_Atomic uint64_t));
}

/* The word that a key group's bit is in. */
static _Atomic uint64_t *word_of(_Atomic uint64_t *bits, uint32_t groups, uint32_t slot, uint32_t key_group)
{
    return bits + slot * words_of(groups) + key_group / AWAITS_BITS;
}

static void bits_begin(_Atomic uint64_t *bits, uint32_t groups, uint32_t slot, bool awaited)
{
    for (size_t i = 0; i < words_of(groups); i++)
        atomic_store_explicit(bits + slot * words_of(groups) + i, awaited ? 0 : UINT64_MAX, memory_order_release);
}

static bool bit_is_set(_Atomic uint64_t *bits, uint32_t groups, uint32_t slot, uint32_t key_group)
{
    uint64_t word = atomic_load_explicit(word_of(bits, groups, slot, key_group), memory_order_acquire);

    return word >> key_group % AWAITS_BITS & 1;
}

/* While something of the slot is awaited nobody else writes there. */
static void bit_set(_Atomic uint64_t *bits, uint32_t groups, uint32_t slot, uint32_t key_group)
{
    _Atomic uint64_t *word = word_of(bits, groups, slot, key_group);
    uint64_t set = atomic_load_explicit(word, memory_order_relaxed) | (uint64_t)1 << key_group % AWAITS_BITS;

    atomic_store_explicit(word, set, memory_order_relaxed);
}

bool graph_awaits_setup(df_graph *g, df_arena *arena)
{
    bool ok = true;

    for (uint32_t e = 0; ok && g->parted && e < g->plan->edge_count; e++) {
        g->edges[e].arrived = bits_new(g, arena, g->edges[e].from_groups);
        ok = g->edges[e].arrived != NULL;
    }
    for (uint32_t i = 0; ok && g->parted && i < g->print_count; i++) {
        g->prints[i].arrived = bits_new(g, arena, g->prints[i].groups);
        ok = g->prints[i].arrived != NULL;
    }
    return ok;
}

void graph_awaits_prepare(df_graph *g, const graph_tick *tick)
{
    uint32_t slot = graph_ring_slot(g, tick->tick);

    for (uint32_t e = 0; e < g->plan->edge_count; e++)
        bits_begin(g->edges[e].arrived, g->edges[e].from_groups, slot, tick->edges[e]);
    for (uint32_t i = 0; i < g->print_count; i++)
        bits_begin(g->prints[i].arrived, g->prints[i].groups, slot, print_awaited(g, i, tick->tick));
}

void graph_awaits_came(df_graph *g, uint32_t edge, uint32_t slot, uint32_t key_group)
{
    bit_set(g->edges[edge].arrived, g->edges[edge].from_groups, slot, key_group);
}

void graph_awaits_print_came(df_graph *g, uint32_t print, uint32_t slot, uint32_t key_group)
{
    bit_set(g->prints[print].arrived, g->prints[print].groups, slot, key_group);
}

/* ---- parcels ---- */

static bool print_awaits(const df_graph *g, uint32_t print, uint64_t tick, uint32_t key_group)
{
    const graph_print *p = &g->prints[print];
    uint32_t vertex = g->plan->streams[p->stream].vertex;

    return key_group < p->groups &&
           !print_owners(g, print, tick)->stages[g->plan->vertices[vertex].stage].own[key_group] &&
           !bit_is_set(p->arrived, p->groups, graph_ring_slot(g, tick), key_group);
}

/* A state whose key group is this member's from this tick on comes whole, and on no edge. */
static bool is_adopted(const df_graph *g, uint32_t edge, uint64_t tick, uint32_t key_group)
{
    const df_edge *e = &g->plan->edges[edge];

    return e->ticks == 1 && graph_owners_at(g, tick)->stages[e->from].own[key_group] != 0;
}

static bool edge_awaits(const df_graph *g, uint32_t edge, uint64_t tick, uint32_t key_group)
{
    const graph_edge *e = &g->edges[edge];

    return key_group < e->from_groups && !graph_feeds(g, edge, key_group, tick) &&
           !is_adopted(g, edge, tick, key_group) &&
           !bit_is_set(e->arrived, e->from_groups, graph_ring_slot(g, tick), key_group) &&
           graph_own_readers(g, graph_owners_at(g, tick), edge, key_group) > 0;
}

/* Whether there can be such a parcel at any tick. */
static bool is_parcel(const df_graph *g, uint32_t edge, uint32_t key_group)
{
    if (edge == DF_PARCEL_MOVE)
        return key_group < g->plan->key_groups;
    if (edge >= g->plan->edge_count)
        return edge - g->plan->edge_count < g->print_count &&
               key_group < g->prints[edge - g->plan->edge_count].groups;
    return key_group < g->edges[edge].from_groups;
}

/* All but `done`. */
static bool table_awaits(const df_graph *g, uint32_t edge, uint64_t tick, uint32_t key_group)
{
    if (tick >= atomic_load_explicit(&g->known, memory_order_relaxed))
        return is_parcel(g, edge, key_group);
    if (edge == DF_PARCEL_MOVE)
        return graph_move_awaits(g, tick, key_group);
    if (edge < g->plan->edge_count)
        return edge_awaits(g, edge, tick, key_group);
    return edge - g->plan->edge_count < g->print_count && print_awaits(g, edge - g->plan->edge_count, tick, key_group);
}

bool df_graph_awaits(const df_graph *g, uint32_t edge, uint64_t tick, uint32_t key_group)
{
    uint64_t done = atomic_load(&g->done);

    return tick >= done && tick <= done + g->plan->window + 1 && tick <= g->plan->job.steps + 1 &&
           table_awaits(g, edge, tick, key_group) && tick >= atomic_load(&g->done);
}
