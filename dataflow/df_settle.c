/* States that do not settle at every step: rows that stay where they were put, and what kinds keep
 * about them meanwhile.
 *
 * At a step at which a state settles, its rows go to their tiles and take their places by cell and key.
 * Up to the next such step they stay there, in that order, wherever they move to: at most half of the
 * skin from where they settled, which every commit checks row by row. So two rows that are within the
 * radius now were within the radius and the skin then, which is what a cell is as wide as; and who is
 * visited in which order is decided by the last settling alone.
 *
 * Why what a kind keeps changes no bit. It is found again only for the same settling, and between two
 * settlings no cell gains or loses a row. A batch that came from another member holds each cell whole or
 * not at all, and those that touch a tile here whole. So in the cells that touch the tile there are the same
 * rows in the same order, wherever the tile and its neighbours have been run; only which row of its batch
 * each is may differ, and if it does, the kind is told. It is told, too, that another member's kind made it:
 * such bytes are not to be trusted. Whoever finds nothing computes the same without. */
#include "dataflow/df_space.h"
#include "dataflow/df_task_private.h"

#include <math.h>
#include <string.h>

enum { SETTLE_ROWS = 512 }; /* checked at a time */

/* ---- how far rows went ---- */

/* Adds the square of the way that each row went along one axis, the shorter way round a periodic one. */
static void add_squares(const float *restrict at, const float *restrict settled, uint32_t n, float size,
                        bool periodic, float *restrict squares)
{
    float half = size / 2, round = periodic ? size : 0;

    for (uint32_t i = 0; i < n; i++) {
        bool inside = (at[i] >= 0) & (at[i] <= size);
        float way = at[i] - settled[i];

        way = way > half ? way - round : way;
        way = way < -half ? way + round : way;
        squares[i] += inside ? way * way : 3e38f; /* outside of the space is too far, whatever the skin */
    }
}

/* The first row that is farther than `most` from where it settled, or WEIR_NO_ROW; *way is how far. */
static uint32_t find_far(const df_batch *batch, const df_state *state, const weir_space *space,
                         double most, double *way)
{
    float squares[SETTLE_ROWS], limit = (float)most * (float)most;
    uint32_t rows = batch->view.row_count;

    for (uint32_t first = 0; first < rows; first += SETTLE_ROWS) {
        uint32_t n = rows - first < SETTLE_ROWS ? rows - first : SETTLE_ROWS, far = 0;

        memset(squares, 0, sizeof squares);
        for (uint32_t a = 0; a < space->axis_count; a++)
            add_squares((const float *)batch->view.columns[state->axis_columns[a]] + first,
                        batch->settled[a] + first, n, (float)space->size[a], space->periodic[a],
                        squares);
        for (uint32_t i = 0; i < n; i++)
            far |= squares[i] <= limit ? 0u : 1u;
        for (uint32_t i = 0; far > 0 && i < n; i++)
            if (!(squares[i] <= limit)) {
                *way = sqrt((double)squares[i]);
                return first + i;
            }
    }
    return WEIR_NO_ROW;
}

bool graph_settled_near(const df_plan *p, uint32_t state, const df_batch *batch, uint32_t *row,
                        double *way)
{
    const df_state *s = &p->states[state];

    *row = find_far(batch, s, &p->spaces[s->space].view, s->skin / 2, way);
    return *row == WEIR_NO_ROW;
}

static void fail_outside(graph_thread *t, uint32_t vertex, uint32_t slot, const df_batch *batch,
                         uint32_t row, uint32_t axis)
{
    const df_plan *p = t->graph->plan;
    const df_state *s = &p->states[p->vertices[vertex].state];
    const weir_space *space = &p->spaces[s->space].view;

    graph_fail(t->graph, t->graph->ticks[slot].tick, vertex, batch->view.key_group, row, DF_EINVAL,
               "id %llu is outside space \"%s\": %s is %g, not in 0 to %g: is dt too large?",
               (unsigned long long)batch->view.keys[row], space->name, space->axes[axis],
               (double)((const float *)batch->view.columns[s->axis_columns[axis]])[row],
               (double)(float)space->size[axis]);
}

bool graph_check_way(graph_thread *t, uint32_t vertex, uint32_t slot, const df_batch *batch)
{
    const df_plan *p = t->graph->plan;
    const df_state *s = &p->states[p->vertices[vertex].state];
    const weir_space *space = &p->spaces[s->space].view;
    uint64_t tick = t->graph->ticks[slot].tick;
    uint32_t row;
    double way = 0;

    if (graph_settled_near(p, p->vertices[vertex].state, batch, &row, &way))
        return true;
    for (uint32_t a = 0; a < space->axis_count; a++) {
        float x = ((const float *)batch->view.columns[s->axis_columns[a]])[row];
        if (x >= 0 && x <= (float)space->size[a])
            continue;
        fail_outside(t, vertex, slot, batch, row, a);
        return false;
    }
    graph_fail(t->graph, tick, vertex, batch->view.key_group, row, DF_EINVAL,
               "id %llu is %.4g from where it settled at step %llu, and skin = %.4g allows %.4g: use a "
               "larger skin or a smaller settle_every", (unsigned long long)batch->view.keys[row], way,
               (unsigned long long)df_state_settled(s, tick), s->skin, s->skin / 2);
    return false;
}

/* ---- what a halo reads ---- */

/* The state whose rows an input port of the running task reads, or null. */
static const df_state *state_of(const task_frame *f, uint32_t port)
{
    const df_plan *p = f->thread->graph->plan;
    const df_port *q = &p->vertices[f->vertex].ports[port];
    const df_vertex *from = &p->vertices[p->streams[q->streams[0]].vertex];

    return from->role == DF_COMMIT ? &p->states[from->state] : NULL;
}

static const weir_tile *tile_at(const task_frame *f, uint32_t slot)
{
    const weir_tile *centre = f->task.tile;

    return centre + ((int64_t)centre->neighbours[slot] - (int64_t)f->task.key_group);
}

bool weir_settled(const weir_task *task, uint32_t port)
{
    const df_state *state = state_of((const task_frame *)(const void *)task, port);

    return state == NULL || df_state_settled(state, task->step) == task->step;
}

/* Rows of a line or plane of cells at the low or the high end of a periodic axis, as their cells see
 * them. */
static void unwrap_cells(float *at, const uint32_t *cell_rows, const weir_tile *tile, uint32_t axis,
                         uint32_t local)
{
    const weir_space *space = tile->space;
    float size = (float)space->size[axis];
    float middle = (float)((tile->origin[axis] + local + 0.5) * space->size[axis] / space->cells[axis]);
    uint32_t from[3] = { 0 }, to[3] = { tile->cells[0], tile->cells[1], tile->cells[2] };

    from[axis] = local;
    to[axis] = local + 1;
    for (uint32_t z = from[2]; z < to[2]; z++)
        for (uint32_t y = from[1]; y < to[1]; y++) {
            const uint32_t *line = cell_rows + ((size_t)z * tile->cells[1] + y) * tile->cells[0];
            for (uint32_t i = line[from[0]]; i < line[to[0]]; i++) {
                at[i] = at[i] - middle > size / 2 ? at[i] - size : at[i];
                at[i] = at[i] - middle < -size / 2 ? at[i] + size : at[i];
            }
        }
}

const float *weir_unwrapped(weir_task *task, uint32_t port, uint32_t slot, uint32_t axis)
{
    task_frame *f = (task_frame *)(void *)task;
    const df_state *state = state_of(f, port);
    const weir_batch *batch = task->inputs[port].batches[slot];
    const weir_tile *tile = tile_at(f, slot);
    const float *column = batch->columns[state->axis_columns[axis]];
    uint32_t cells = tile->cells[axis];
    bool low = tile->position[axis] == 0, high = tile->position[axis] + 1 == tile->space->tiles[axis];
    float *at;

    if (!tile->space->periodic[axis] || weir_settled(task, port) || (!low && !high))
        return column;
    at = weir_scratch(task, (batch->row_count + 16) * sizeof *at);
    if (at == NULL)
        return NULL;
    memcpy(at, column, batch->row_count * sizeof *at);
    if (low)
        unwrap_cells(at, batch->cell_rows, tile, axis, 0);
    if (high)
        unwrap_cells(at, batch->cell_rows, tile, axis, cells - 1);
    return at;
}

/* ---- what a kind keeps ---- */

bool graph_kept_setup(df_graph *g, uint32_t vertex, df_arena *arena)
{
    const df_vertex *v = &g->plan->vertices[vertex];

    for (uint32_t q = 0; q < v->port_count; q++) {
        const df_vertex *from = &g->plan->vertices[g->plan->streams[v->ports[q].streams[0]].vertex];
        if (g->options.keep_nothing || v->ports[q].exchange != WEIR_HALO || from->role != DF_COMMIT ||
            g->plan->states[from->state].settle_every == 1)
            continue;
        g->vertices[vertex].kept[q] = df_arena_alloc(arena, v->partition.key_groups *
                                                                sizeof(graph_kept));
        if (g->vertices[vertex].kept[q] == NULL)
            return false;
    }
    return true;
}

/* Two ticks of one vertex may run at a time where no state lies between them: the second goes without. */
static graph_kept *kept_of(task_frame *f, uint32_t port)
{
    graph_kept *all = f->thread->graph->vertices[f->vertex].kept[port], *kept;

    if (all == NULL)
        return NULL;
    kept = &all[f->task.key_group];
    if ((f->kept_ports >> port & 1) != 0)
        return kept;
    if (atomic_exchange_explicit(&kept->busy, 1, memory_order_acquire) != 0)
        return NULL;
    f->kept_ports |= 1u << port;
    return kept;
}

/* Whether a batch's rows lie where they did. What is compared from now on is this batch. */
static bool same_cells(const task_frame *f, uint32_t port, graph_kept *kept, uint32_t slot)
{
    const weir_batch *batch = f->inputs[port].batches[slot];
    const uint32_t *now = batch == NULL ? NULL : batch->cell_rows, *before = kept->cell_rows[slot], *n;
    bool same = now == before;

    if (!same && now != NULL && before != NULL) {
        n = tile_at(f, slot)->cells;
        same = memcmp(now, before, (n[0] * n[1] * n[2] + 1) * sizeof *before) == 0;
    }
    if (!same) {
        df_pool_unref(f->thread->index, (void *)(uintptr_t)before);
        kept->cell_rows[slot] = now == NULL ? NULL : df_pool_ref((void *)(uintptr_t)now);
    }
    return same;
}

static void drop(graph_thread *t, graph_kept *kept)
{
    for (uint32_t s = 0; s < WEIR_HALO_SLOTS; s++) {
        df_pool_unref(t->index, (void *)(uintptr_t)kept->cell_rows[s]);
        kept->cell_rows[s] = NULL;
    }
    df_pool_unref(t->index, kept->memory);
    kept->memory = NULL;
}

void graph_kept_release(task_frame *f, bool ok)
{
    for (uint32_t q = 0; f->kept_ports >> q != 0; q++) {
        graph_kept *kept = &f->thread->graph->vertices[f->vertex].kept[q][f->task.key_group];

        if ((f->kept_ports >> q & 1) == 0)
            continue;
        if (!ok)
            drop(f->thread, kept);
        atomic_store_explicit(&kept->busy, 0, memory_order_release);
    }
    f->kept_ports = 0;
}

bool weir_kept(weir_task *task, uint32_t port, weir_memory *out)
{
    task_frame *f = (task_frame *)(void *)task;
    graph_kept *kept = kept_of(f, port);

    if (kept == NULL || kept->memory == NULL)
        return false;
    if (kept->settled != df_state_settled(state_of(f, port), task->step)) {
        drop(f->thread, kept);
        return false;
    }
    *out = (weir_memory){ .bytes = kept->memory, .size = kept->size, .foreign = kept->foreign };
    for (uint32_t s = 0; s < WEIR_HALO_SLOTS; s++)
        out->moved |= same_cells(f, port, kept, s) && !kept->foreign ? 0 : 1u << s;
    kept->foreign = false;
    return true;
}

void *weir_keep(weir_task *task, uint32_t port, size_t size)
{
    task_frame *f = (task_frame *)(void *)task;
    graph_kept *kept = kept_of(f, port);

    if (kept == NULL)
        return NULL;
    drop(f->thread, kept);
    kept->memory = df_pool_get(f->memory.pool, f->memory.thread, size);
    if (kept->memory == NULL)
        return NULL;
    kept->size = size;
    kept->foreign = false;
    kept->settled = df_state_settled(state_of(f, port), task->step);
    for (uint32_t s = 0; s < WEIR_HALO_SLOTS; s++) {
        const weir_batch *batch = f->inputs[port].batches[s];
        if (batch != NULL)
            kept->cell_rows[s] = df_pool_ref((void *)(uintptr_t)batch->cell_rows);
    }
    return kept->memory;
}

/* ---- when a key group moves ---- */

/* Null: nothing can be kept, or a task looks at it. */
static graph_kept *claim(df_graph *g, uint32_t vertex, uint32_t port, uint32_t key_group)
{
    graph_kept *all = g->vertices[vertex].kept[port];

    return all == NULL ||
                   atomic_exchange_explicit(&all[key_group].busy, 1, memory_order_acquire) != 0
               ? NULL : &all[key_group];
}

void *graph_kept_take(graph_thread *t, uint32_t vertex, uint32_t port, uint32_t key_group,
                      uint64_t settled, size_t *size)
{
    graph_kept *kept = claim(t->graph, vertex, port, key_group);
    void *memory = NULL;

    if (kept == NULL)
        return NULL;
    if (kept->memory != NULL && kept->settled == settled) {
        memory = df_pool_ref(kept->memory);
        *size = kept->size;
    }
    drop(t, kept);
    atomic_store_explicit(&kept->busy, 0, memory_order_release);
    return memory;
}

void graph_kept_put(df_graph *g, uint32_t vertex, uint32_t port, uint32_t key_group, uint64_t settled,
                    void **memory, size_t size)
{
    graph_kept *kept = claim(g, vertex, port, key_group);

    if (kept == NULL)
        return;
    if (kept->memory == NULL || kept->settled != settled) { /* else its own task was faster */
        drop(&g->threads[g->thread_count], kept);
        kept->memory = *memory;
        kept->size = size;
        kept->settled = settled;
        kept->foreign = true;
        *memory = NULL;
    }
    atomic_store_explicit(&kept->busy, 0, memory_order_release);
}
