/* Who owns what, tick by tick.
 *
 * Ownership is a function of (unit, tick). A table holds from a tick on, and a newer one lies before it
 * in a list. A tick is given its table when it becomes *known*: no order for it can come any more. What is
 * counted by owners (readers, senders, tasks) is set then, so before that nothing of the tick may be
 * counted down by owners: what a commit makes for it is held, what others send for it is kept (df_move_hold.c).
 *
 * Why everybody uses the same table for a tick: changes come in the order of the job's history, and the
 * bound that makes a tick known names its place in that history. */
#include "dataflow/df_graph_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

uint32_t df_part_owner(const df_plan *plan, const df_part *part, uint32_t stage, uint32_t key_group)
{
    const df_stage *s = &plan->stages[stage];

    return s->sink ? part->sink_member
                   : part->owners[df_plan_unit(plan, key_group, s->partition.key_groups)];
}

uint32_t graph_owner(const df_graph *g, const graph_owners *owners, uint32_t stage, uint32_t key_group)
{
    df_part part = { .sink_member = g->part.sink_member, .owners = owners->units };

    return df_part_owner(g->plan, &part, stage, key_group);
}

/* ---- making a table ---- */

static size_t rounded(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

static void *cut(char **at, size_t size)
{
    void *piece = *at;

    *at += rounded(size);
    return piece;
}

static size_t table_size(const df_graph *g)
{
    const df_plan *p = g->plan;
    uint32_t members = g->parted ? g->part.member_count : 0;
    size_t size = rounded(sizeof(graph_owners)) + rounded(p->key_groups * sizeof(uint32_t)) +
                  rounded(p->key_groups * sizeof(uint64_t)) + rounded((p->stage_count + 1) * sizeof(graph_stage));

    for (uint32_t s = 0; s < p->stage_count; s++)
        size += rounded(p->stages[s].partition.key_groups) + rounded(members * sizeof(uint32_t));
    return size;
}

static void fill_stage(const df_graph *g, const graph_owners *owners, uint32_t stage, char **at,
                       uint8_t *runs)
{
    graph_stage *to = &owners->stages[stage];
    uint32_t groups = g->plan->stages[stage].partition.key_groups, members = g->part.member_count;

    to->own = cut(at, groups);
    if (!g->parted) {
        memset(to->own, 1, groups);
        to->own_count = groups;
        return;
    }
    to->members = cut(at, members * sizeof *to->members);
    memset(runs, 0, members);
    for (uint32_t k = 0; k < groups; k++) {
        uint32_t owner = graph_owner(g, owners, stage, k);

        runs[owner] = 1;
        to->own[k] = owner == g->part.member;
        to->own_count += to->own[k];
    }
    for (uint32_t m = 0; m < members; m++)
        if (runs[m])
            to->members[to->member_count++] = m;
}

/* Units that have another member than by the table before have it since this one's first tick. */
static void fill_since(const df_graph *g, graph_owners *owners, const graph_owners *before)
{
    for (uint32_t u = 0; u < g->plan->key_groups; u++)
        owners->since[u] = owners->units[u] == before->units[u] ? before->since[u] : owners->from;
}

/* `units`: null unless in a part; `before`: null for the first. Null: out of memory. */
static graph_owners *table_new(const df_graph *g, uint64_t from, const uint32_t *units, const graph_owners *before)
{
    char *block = calloc(1, table_size(g)), *at = block;
    uint8_t *runs = calloc(g->part.member_count + 1u, 1);
    graph_owners *owners = NULL;

    if (block != NULL && runs != NULL) {
        owners = cut(&at, sizeof *owners);
        owners->from = from;
        owners->units = cut(&at, g->plan->key_groups * sizeof *owners->units);
        owners->since = cut(&at, g->plan->key_groups * sizeof *owners->since);
        if (units != NULL)
            memcpy(owners->units, units, g->plan->key_groups * sizeof *units);
        if (before != NULL)
            fill_since(g, owners, before);
    }
    if (owners != NULL)
        owners->stages = cut(&at, (g->plan->stage_count + 1) * sizeof *owners->stages);
    for (uint32_t s = 0; owners != NULL && s < g->plan->stage_count; s++)
        fill_stage(g, owners, s, &at, runs);
    free(runs);
    if (owners == NULL)
        free(block);
    return owners;
}

/* It holds from tick 0 on: before the first tick nobody here has done anything. */
bool graph_owners_setup(df_graph *g)
{
    g->owners = table_new(g, 0, g->parted ? g->part.owners : NULL, NULL);
    return g->owners != NULL;
}

void graph_owners_begin(df_graph *g)
{
    bool any = false;

    for (uint32_t s = 0; s < g->plan->stage_count; s++)
        any |= g->owners->stages[s].own_count > 0;
    if (any)
        graph_owners_assign(g, g->first_tick + 1);
}

static void drop_behind(graph_owners *owners)
{
    while (owners->older != NULL) {
        graph_owners *old = owners->older;

        owners->older = old->older;
        free(old);
    }
}

void graph_owners_fini(df_graph *g)
{
    if (g->owners == NULL)
        return;
    drop_behind(g->owners);
    free(g->owners);
    g->owners = NULL;
}

const graph_owners *graph_owners_at(const df_graph *g, uint64_t tick)
{
    const graph_owners *owners = g->owners;

    while (owners->from > tick && owners->older != NULL)
        owners = owners->older;
    return owners;
}

/* ---- changing it ---- */

/* Drop the tables that nobody can ask for: those behind the one that held a ring of ticks ago. */
static void forget(df_graph *g)
{
    uint64_t done = atomic_load(&g->done);
    graph_owners *last = g->owners;

    while (last != NULL && last->from + g->ring > done)
        last = last->older;
    for (graph_owners *o = last == NULL ? NULL : last->older; o != NULL; o = o->older)
        if (o == g->capture.owners)
            return;
    if (last != NULL)
        drop_behind(last);
}

static bool change_fits(const df_graph *g, uint64_t tick, const uint32_t (*units)[2], uint32_t count)
{
    if (tick < atomic_load(&g->known) || tick < g->owners->from)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (units[i][0] >= g->plan->key_groups || units[i][1] >= g->part.member_count)
            return false;
    return true;
}

df_status df_graph_owners(df_graph *g, uint64_t tick, const uint32_t (*units)[2], uint32_t count,
                          df_error *err)
{
    graph_owners *owners;
    uint32_t *table;

    if (!change_fits(g, tick, units, count))
        return df_fail(err, DF_EINVAL, "owners cannot change at tick %llu: those of tick %llu hold",
                       (unsigned long long)tick, (unsigned long long)atomic_load(&g->known));
    if (tick > g->plan->job.steps)
        return DF_OK; /* behind the last step nothing is carried on */
    table = malloc(g->plan->key_groups * sizeof *table);
    if (table == NULL)
        return df_fail(err, DF_ENOMEM, "owners: out of memory");
    memcpy(table, g->owners->units, g->plan->key_groups * sizeof *table);
    for (uint32_t i = 0; i < count; i++)
        table[units[i][0]] = units[i][1];
    owners = table_new(g, tick, table, g->owners);
    free(table);
    if (owners == NULL)
        return df_fail(err, DF_ENOMEM, "owners: out of memory");
    pthread_mutex_lock(&g->lock);
    forget(g);
    owners->older = g->owners;
    if (g->owners->from == tick) { /* one table for all changes of a tick */
        owners->older = g->owners->older;
        free(g->owners);
    }
    g->owners = owners;
    pthread_mutex_unlock(&g->lock);
    return DF_OK;
}

void df_graph_members(df_graph *g, uint32_t member_count)
{
    g->part.member_count = member_count;
}

/* ---- giving a tick its owners ---- */

/* The table by which what feeds an edge for its readers at `tick` was or is made. */
static const graph_owners *owners_of_source(const df_graph *g, uint32_t edge, uint64_t tick)
{
    return graph_owners_at(g, tick == 0 ? 0 : tick - g->plan->edges[edge].ticks);
}

static void assign_edge(df_graph *g, uint32_t edge, const graph_tick *tick)
{
    const df_edge *e = &g->plan->edges[edge];
    graph_edge_tick *et = &g->edges[edge].ticks[graph_ring_slot(g, tick->tick)];

    atomic_store_explicit(&et->depart, tick->owners->stages[e->to].own_count, memory_order_relaxed);
    atomic_store_explicit(&et->unsent,
                          owners_of_source(g, edge, tick->tick)->stages[e->from].own_count,
                          memory_order_relaxed);
}

void graph_owners_give(df_graph *g, uint64_t number)
{
    const df_plan *p = g->plan;
    graph_tick *tick = &g->ticks[graph_ring_slot(g, number)];
    uint32_t work = 0, sink_work = 0;

    assert(tick->tick == number);
    tick->owners = graph_owners_at(g, number);
    for (uint32_t e = 0; e < p->edge_count; e++)
        assign_edge(g, e, tick);
    for (uint32_t s = 0; s < p->stage_count; s++)
        if (tick->stages[s])
            *(p->stages[s].sink ? &sink_work : &work) += tick->owners->stages[s].own_count;
    work += graph_prints_awaited(g, number);
    if (g->parted)
        work += graph_move_assign(g, number);
    atomic_store_explicit(&tick->work, work, memory_order_relaxed);
    atomic_store_explicit(&tick->sink_work, sink_work, memory_order_relaxed);
}

void graph_owners_assign(df_graph *g, uint64_t end)
{
    uint64_t known = atomic_load_explicit(&g->known, memory_order_relaxed);

    for (; known < end; known++)
        graph_owners_give(g, known);
    atomic_store_explicit(&g->known, known, memory_order_release);
}

/* ---- asking ---- */

uint32_t graph_own_readers(const df_graph *g, const graph_owners *owners, uint32_t edge, uint32_t key_group)
{
    const df_edge *e = &g->plan->edges[edge];
    const graph_stage *to = &owners->stages[e->to];
    uint32_t count = 0;

    if (e->fan == DF_FAN_SAME)
        return to->own[key_group];
    if (e->fan == DF_FAN_ALL)
        return to->own_count;
    const graph_space *space = &g->spaces[g->plan->streams[e->stream].partition.space];
    if (!g->parted)
        return space->first[key_group + 1] - space->first[key_group];
    for (uint32_t i = space->first[key_group]; i < space->first[key_group + 1]; i++)
        count += to->own[space->near[i].key_group];
    return count;
}

/* Not an edge to the neighbours: a tile is among them, so its owner reads. */
bool graph_member_reads(const df_graph *g, uint32_t edge, uint32_t key_group, uint32_t slot,
                        uint32_t member)
{
    const df_edge *e = &g->plan->edges[edge];
    const graph_owners *owners = g->ticks[slot].owners;
    const graph_stage *to = &owners->stages[e->to];

    if (e->fan != DF_FAN_ALL)
        return graph_owner(g, owners, e->to, key_group) == member;
    for (uint32_t i = 0; i < to->member_count; i++)
        if (to->members[i] == member)
            return true;
    return false;
}

bool graph_feeds(const df_graph *g, uint32_t edge, uint32_t key_group, uint64_t tick)
{
    return owners_of_source(g, edge, tick)->stages[g->plan->edges[edge].from].own[key_group] != 0;
}
