#include "dataflow/df_part.h"
#include "dataflow/df_graph_private.h"
#include "dataflow/df_space.h"

#include <assert.h>
#include <string.h>

uint32_t df_part_owner(const df_plan *plan, const df_part *part, uint32_t stage, uint32_t key_group)
{
    const df_stage *s = &plan->stages[stage];
    uint64_t unit = (uint64_t)key_group * plan->key_groups / s->partition.key_groups;

    return s->sink ? part->sink_member : part->owners[unit];
}

/* ---- who owns what ---- */

static bool setup_members(df_graph *g, graph_stage *stage, uint32_t number, df_arena *arena)
{
    uint32_t groups = g->plan->stages[number].partition.key_groups;
    uint8_t *runs = df_arena_alloc(arena, g->part.member_count);

    stage->members = df_arena_alloc(arena, g->part.member_count * sizeof *stage->members);
    if (runs == NULL || stage->members == NULL)
        return false;
    for (uint32_t k = 0; k < groups; k++)
        runs[df_part_owner(g->plan, &g->part, number, k)] = 1;
    for (uint32_t m = 0; m < g->part.member_count; m++)
        if (runs[m])
            stage->members[stage->member_count++] = m;
    return true;
}

bool graph_part_setup(df_graph *g, df_arena *arena)
{
    const df_plan *p = g->plan;

    if (g->parted) {
        uint32_t *owners = df_arena_alloc(arena, p->key_groups * sizeof *owners);
        if (owners == NULL)
            return false;
        memcpy(owners, g->part.owners, p->key_groups * sizeof *owners);
        g->part.owners = owners;
    }
    g->stages = df_arena_alloc(arena, (p->stage_count + 1) * sizeof *g->stages);
    for (uint32_t s = 0; g->stages != NULL && s < p->stage_count; s++) {
        graph_stage *stage = &g->stages[s];
        uint32_t groups = p->stages[s].partition.key_groups;

        stage->own = df_arena_alloc(arena, groups);
        if (stage->own == NULL || (g->parted && !setup_members(g, stage, s, arena)))
            return false;
        for (uint32_t k = 0; k < groups; k++) {
            stage->own[k] = !g->parted || df_part_owner(p, &g->part, s, k) == g->part.member;
            stage->own_count += stage->own[k];
        }
    }
    return g->stages != NULL;
}

uint32_t graph_own_readers(const df_graph *g, uint32_t edge, uint32_t key_group)
{
    const df_edge *e = &g->plan->edges[edge];
    const graph_stage *to = &g->stages[e->to];
    uint32_t count = 0;

    if (e->fan == DF_FAN_SAME)
        return to->own[key_group];
    if (e->fan == DF_FAN_ALL)
        return to->own_count;
    const graph_space *space = &g->spaces[g->plan->streams[e->stream].partition.space];
    for (uint32_t i = space->first[key_group]; i < space->first[key_group + 1]; i++)
        count += to->own[space->near[i].key_group];
    return count;
}

/* ---- restoring ---- */

df_memory df_graph_memory(df_graph *g)
{
    return g->threads[g->thread_count].memory;
}

/* What the commit of the tick before would have done. */
df_status df_graph_restore(df_graph *g, uint32_t state, uint32_t key_group, df_batch *batch,
                           df_error *err)
{
    const df_plan *p = g->plan;
    graph_thread *t = &g->threads[g->thread_count];
    uint32_t vertex = p->states[state].vertex, stream = p->states[state].stream;
    uint32_t slot = graph_ring_slot(g, g->first_tick);
    const df_stage *stage = &p->stages[p->vertices[vertex].stage];

    assert(g->parted && g->first_tick > 0 && !g->started);
    batch->view.step = g->first_tick - 1;
    batch->view.key_group = key_group;
    t->local[stream] = batch;
    if (g->ticks[slot].print_streams) {
        uint32_t before = graph_ring_slot(g, g->first_tick - 1);
        graph_print_batch(g, g->vertices[vertex].print, before, &batch->view);
        graph_send_print(t, g->vertices[vertex].print, key_group, before, g->first_tick);
    }
    graph_capture_state(t, state, key_group, graph_commit_tick(g, g->first_tick), batch);
    for (uint32_t i = 0; i < stage->out_count; i++) {
        uint32_t edge = stage->out_edges[i];
        if (p->edges[edge].stream != stream || !g->ticks[slot].edges[edge])
            continue;
        graph_publish(t, edge, key_group, slot);
        graph_arrived(g, edge, slot, key_group);
        graph_count_sent(g, edge, slot);
    }
    t->local[stream] = NULL;
    df_batch_unref(t->memory, batch);
    graph_scratch_reset(t);
    return atomic_load(&g->fail_tick) == NO_TICK
               ? DF_OK
               : df_fail(err, g->failure.error.status, "%s", g->failure.error.text);
}

df_status df_graph_restore_carried(df_graph *g, uint32_t vertex, uint32_t key_group,
                                   const void *bytes, size_t size, df_error *err)
{
    graph_vertex *v = &g->vertices[vertex];

    if (v->carried == NULL || size != v->carried_size)
        return df_fail(err, DF_ECORRUPT, "operator \"%s\" carries %u bytes, the snapshot holds %zu",
                       g->plan->vertices[vertex].name, v->carried == NULL ? 0 : v->carried_size, size);
    memcpy(v->carried + (size_t)key_group * v->carried_size * 2, bytes, size);
    return DF_OK;
}

df_status df_graph_restore_births(df_graph *g, uint32_t vertex, uint32_t key_group, uint64_t count,
                                  df_error *err)
{
    if (g->vertices[vertex].births == NULL)
        return df_fail(err, DF_ECORRUPT, "operator \"%s\" has no births, the snapshot has",
                       g->plan->vertices[vertex].name);
    g->vertices[vertex].births[key_group] = count;
    return DF_OK;
}

static df_status fail_order(const df_plan *plan, uint32_t state, const df_batch *batch, uint32_t row,
                            df_error *err)
{
    return df_fail(err, DF_ECORRUPT, "state \"%s\", key group %u: row %u is not where it belongs",
                   plan->states[state].name, batch->view.key_group, row);
}

/* The cell of each row from its coordinates, when it settled where it does not at every step; the
 * canonical order is by cell, then by key. */
df_status df_graph_index_cells(df_graph *g, uint32_t state, df_batch *batch, df_error *err)
{
    const df_plan *p = g->plan;
    const df_state *s = &p->states[state];
    weir_batch *view = &batch->view;
    uint32_t before = 0;
    double way;

    if (s->space == DF_NONE) {
        for (uint32_t i = 1; i < view->row_count; i++)
            if (view->keys[i] <= view->keys[i - 1])
                return fail_order(p, state, batch, i, err);
        return DF_OK;
    }
    const df_space *space = &p->spaces[s->space];
    const weir_tile *tile = &space->tiles[view->key_group];
    uint32_t cells = tile->cells[0] * tile->cells[1] * tile->cells[2];
    uint32_t *cell_rows = df_pool_get(g->pool, g->thread_count, (cells + 1) * sizeof *cell_rows);

    view->cell_rows = cell_rows;
    if (cell_rows == NULL)
        return df_fail(err, DF_ENOMEM, "restore: out of memory");
    memset(cell_rows, 0, (cells + 1) * sizeof *cell_rows);
    for (uint32_t i = 0; i < view->row_count; i++) {
        uint32_t cell = 0;
        for (uint32_t a = space->view.axis_count; a-- > 0;) {
            const float *column = batch->settled[a] != NULL ? batch->settled[a]
                                                            : view->columns[s->axis_columns[a]];
            float x = column[i];
            uint32_t at;
            if (!(x >= 0 && x <= (float)space->view.size[a]))
                return fail_order(p, state, batch, i, err);
            at = df_space_cell(space, a, x) - tile->origin[a];
            if (at >= tile->cells[a])
                return fail_order(p, state, batch, i, err);
            cell = cell * tile->cells[a] + at;
        }
        if (cell < before || (i > 0 && cell == before && view->keys[i] <= view->keys[i - 1]))
            return fail_order(p, state, batch, i, err);
        before = cell;
        cell_rows[cell + 1]++;
    }
    for (uint32_t c = 0; c < cells; c++)
        cell_rows[c + 1] += cell_rows[c];
    if (s->settle_every > 1 && !graph_settled_near(p, state, batch, &before, &way))
        return fail_order(p, state, batch, before, err);
    return DF_OK;
}

/* ---- running ---- */

df_status df_graph_start(df_graph *g, df_error *err)
{
    assert(g->parted && !g->started);
    return graph_threads_start(g, err);
}

void df_graph_halt(df_graph *g)
{
    graph_threads_stop(g);
}

void df_graph_grant(df_graph *g, uint64_t end)
{
    pthread_mutex_lock(&g->lock);
    graph_capture_granted(g, end);
    g->target = end;
    atomic_store_explicit(&g->bound, end, memory_order_release);
    pthread_mutex_unlock(&g->lock);
    graph_advance(g);
}

void df_graph_complete(df_graph *g, uint64_t end)
{
    bool more;

    pthread_mutex_lock(&g->lock);
    more = end > g->complete;
    if (more)
        g->complete = end;
    pthread_mutex_unlock(&g->lock);
    if (more)
        graph_advance(g);
}

/* The smallest failure of a task, else what the observer of steps said. */
static void progress_failure(df_graph *g, df_progress *p)
{
    const graph_failure *f = &g->failure;

    pthread_mutex_lock(&g->fail_lock);
    if (f->tick != NO_TICK) {
        const weir_operator *kind = g->plan->vertices[f->vertex].kind;
        bool sink = kind != NULL && kind->role == WEIR_SINK;
        p->failed = true;
        p->fatal = !sink && f->error.status == DF_EINVAL;
        p->fail_tick = f->tick;
        p->fail_vertex = f->vertex;
        p->fail_key_group = f->key_group;
        p->fail_row = f->row;
        p->error = f->error;
    }
    pthread_mutex_unlock(&g->fail_lock);
    if (!p->failed && g->step_error.status != DF_OK) {
        p->failed = p->fatal = true;
        p->fail_tick = p->done;
        p->error = g->step_error;
    }
}

void df_graph_progress(df_graph *g, df_progress *progress)
{
    graph_advance(g); /* sinks may have been let go on */
    pthread_mutex_lock(&g->lock);
    *progress = (df_progress){ .done = atomic_load(&g->done), .worked = g->worked,
                               .captured = g->capture.whole, .fail_tick = atomic_load(&g->fail_tick),
                               .ended = graph_failure_ended(g) };
    progress_failure(g, progress);
    pthread_mutex_unlock(&g->lock);
}
