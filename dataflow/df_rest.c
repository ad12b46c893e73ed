/* What a halo's parcels do not repeat while a state's rows rest: which rows they hold, in which cells, under which keys.
 *
 * A *whole* parcel tells all of that. The reader's side remembers it, and as long as the same rows are meant, later
 * parcels of the same key group on the same edge hold their columns only, and how many steps ago the whole one was. So
 * both sides know which one is meant, and the reader's batches share keys and cells.
 *
 * When a whole one is sent: the first time, after each settling, and when the key group's own tile or one around it has
 * another owner: then other cells may touch the reader's tiles, and there may be readers that have heard nothing. Where
 * none has, the readers and the cells are those of before. So a whole one goes to all readers of its tick or to none, and
 * a new owner begins with one: it has sent none since the key group was its.
 *
 * Why the whole one is there when a parcel refers to it: one member's parcels of a key group and edge come in the order
 * of their ticks (df_part.h), and both are of one member. What another member sends, who owned the key group before or
 * owns it after, may come in between; so several are remembered. One is dropped when a later one is of a tick that
 * is not after `done`: what is still to come is of such ticks, and refers to that one or a later one. */
#include "dataflow/df_graph_private.h"

#include <string.h>

/* Null: its rows never rest. */
static const df_state *resting_state(const df_graph *g, uint32_t edge)
{
    const df_edge *e = &g->plan->edges[edge];
    const df_vertex *from = &g->plan->vertices[g->plan->streams[e->stream].vertex];

    if (!g->parted || e->fan != DF_FAN_NEIGHBOURS || e->routed || from->role != DF_COMMIT ||
        g->plan->states[from->state].settle_every == 1)
        return NULL;
    return &g->plan->states[from->state];
}

bool graph_rest_setup(df_graph *g, uint32_t edge, df_arena *arena)
{
    graph_edge *ge = &g->edges[edge];

    if (resting_state(g, edge) == NULL)
        return true;
    ge->wholes = df_arena_alloc(arena, ge->from_groups * sizeof *ge->wholes);
    ge->heard = df_arena_alloc(arena, ge->from_groups * sizeof(*ge->heard));
    return ge->wholes != NULL && ge->heard != NULL;
}

/* Whether a key group's tile and those around it have the owners that they had at a tick. */
static bool same_owners(const df_graph *g, uint32_t edge, uint32_t key_group, const graph_owners *owners, uint64_t tick)
{
    const df_edge *e = &g->plan->edges[edge];
    const graph_space *space = &g->spaces[g->plan->streams[e->stream].partition.space];
    uint64_t since = 0;

    if (owners->from <= tick) /* that tick's table */
        return true;
    for (uint32_t i = space->first[key_group]; i < space->first[key_group + 1]; i++) {
        uint32_t unit = df_plan_unit(g->plan, space->near[i].key_group, g->edges[edge].from_groups);

        since = owners->since[unit] > since ? owners->since[unit] : since;
    }
    return since <= tick;
}

uint32_t graph_rest_age(df_graph *g, uint32_t edge, uint32_t key_group, uint64_t tick)
{
    const graph_owners *owners = g->ticks[graph_ring_slot(g, tick)].owners;
    const df_state *state = resting_state(g, edge);
    uint64_t *whole;

    if (state == NULL)
        return 0;
    whole = &g->edges[edge].wholes[key_group];
    if (*whole == 0 || df_state_settled(state, *whole - 1) != df_state_settled(state, tick - 1) ||
        !same_owners(g, edge, key_group, owners, *whole))
        *whole = tick;
    return (uint32_t)(tick - *whole);
}

static void drop(df_graph *g, graph_whole_heard *whole)
{
    df_pool_unref(g->thread_count, whole->keys);
    df_pool_unref(g->thread_count, (void *)(uintptr_t)whole->cell_rows);
    df_pool_unref(g->thread_count, whole);
}

/* Those that nothing refers to any more; the latest is first. */
static void forget(df_graph *g, graph_whole_heard *list)
{
    uint64_t done = atomic_load(&g->done);

    while (list != NULL && list->step + 1 > done)
        list = list->older;
    while (list != NULL && list->older != NULL) {
        graph_whole_heard *old = list->older;

        list->older = old->older;
        drop(g, old);
    }
}

/* Mostly the cells are those of the one before, for another of the readers: then its table is shared, and whoever kept
 * something about them (df_settle.c) sees at once that it is the same. */
static void share_cells(const df_graph *g, uint32_t edge, const graph_whole_heard *before, df_batch *batch)
{
    const df_space *space = &g->plan->spaces[g->plan->streams[g->plan->edges[edge].stream].partition.space];
    const uint32_t *n = space->tiles[batch->view.key_group].cells;
    size_t size = (n[0] * n[1] * n[2] + 1) * sizeof *batch->view.cell_rows;

    if (before == NULL || before->rows != batch->view.row_count ||
        memcmp(before->cell_rows, batch->view.cell_rows, size) != 0)
        return;
    df_pool_unref(g->thread_count, (void *)(uintptr_t)batch->view.cell_rows);
    batch->view.cell_rows = df_pool_ref((void *)(uintptr_t)before->cell_rows);
}

bool graph_rest_hear(df_graph *g, uint32_t edge, df_batch *batch)
{
    graph_whole_heard **at, *whole;

    if (resting_state(g, edge) == NULL)
        return true;
    whole = df_pool_get(g->pool, g->thread_count, sizeof *whole);
    if (whole == NULL)
        return false;
    at = &g->edges[edge].heard[batch->view.key_group];
    share_cells(g, edge, *at, batch);
    forget(g, *at);
    while (*at != NULL && (*at)->step > batch->view.step)
        at = &(*at)->older;
    *whole = (graph_whole_heard){ .older = *at, .step = batch->view.step, .rows = batch->view.row_count,
                                  .keys = df_pool_ref(batch->view.keys),
                                  .cell_rows = df_pool_ref((void *)(uintptr_t)batch->view.cell_rows) };
    *at = whole;
    return true;
}

bool graph_rest_share(const df_graph *g, uint32_t edge, uint32_t age, df_batch *batch)
{
    const df_state *state = resting_state(g, edge);
    const graph_whole_heard *whole;

    if (state == NULL || age == 0 || age > batch->view.step)
        return false;
    whole = g->edges[edge].heard[batch->view.key_group];
    while (whole != NULL && whole->step != batch->view.step - age)
        whole = whole->older;
    if (whole == NULL || whole->rows != batch->view.row_count ||
        df_state_settled(state, whole->step) != df_state_settled(state, batch->view.step))
        return false;
    batch->view.keys = df_pool_ref(whole->keys);
    batch->view.cell_rows = df_pool_ref((void *)(uintptr_t)whole->cell_rows);
    return true;
}
