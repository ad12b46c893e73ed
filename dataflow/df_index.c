/* The cells of a spatial batch that was not made here: of a snapshot, or of a key group that moved. Its order is
 * checked on the way, for the bytes may be anybody's. A step waits for it, so it goes across rows, a block at a time,
 * in loops that vectorise, and looks for the row that is wrong only when one is. */
#include "dataflow/df_graph_private.h"
#include "dataflow/df_part.h"
#include "dataflow/df_space.h"

#include <string.h>

enum { INDEX_ROWS = 512 }; /* in a block */

static df_status fail_order(const df_plan *plan, uint32_t state, const df_batch *batch, uint32_t row,
                            df_error *err)
{
    return df_fail(err, DF_ECORRUPT, "state \"%s\", key group %u: row %u is not where it belongs",
                   plan->states[state].name, batch->view.key_group, row);
}

/* One axis of a tile. */
typedef struct index_axis {
    const float *settled;
    float size;
    double per_unit, last; /* the axis's last cell */
    int32_t origin, cells; /* of the tile */
} index_axis;

/* cells[i] = cells[i] * axis cells + the place on the axis, as df_space_cell; wrong[i] is set where a row is not in
 * the tile. Not inlined: in its caller's loop gcc makes no vectors of it. */
__attribute__((noinline)) static void add_axis(const float *restrict x, uint32_t n, const index_axis *axis, int32_t *restrict cells,
                     int32_t *restrict wrong)
{
    const index_axis a = *axis;

    for (uint32_t i = 0; i < n; i++) {
        int32_t outside = !(x[i] >= 0 && x[i] <= a.size);
        double at = (double)(outside ? 0 : x[i]) * a.per_unit;
        int32_t place = (int32_t)(at < a.last ? at : a.last) - a.origin;

        outside |= (place < 0) | (place >= a.cells);
        cells[i] = cells[i] * a.cells + (outside ? 0 : place); /* a cell of the tile in any case */
        wrong[i] |= outside;
    }
}

/* wrong[i] is set where a row does not follow the one before it in its block; not 0: one is wrong. */
static int32_t out_of_order(const int32_t *restrict cells, const uint64_t *restrict keys, uint32_t n,
                            int32_t *restrict wrong)
{
    int32_t sum = wrong[0];

    for (uint32_t i = 1; i < n; i++) {
        wrong[i] |= (cells[i] < cells[i - 1]) | ((cells[i] == cells[i - 1]) & (keys[i] <= keys[i - 1]));
        sum |= wrong[i];
    }
    return sum;
}

static df_status fail_first(const df_plan *p, uint32_t state, const df_batch *batch, const int32_t *wrong,
                            uint32_t first, df_error *err)
{
    uint32_t i = 0;

    while (wrong[i] == 0)
        i++;
    return fail_order(p, state, batch, first + i, err);
}

/* Counts the rows of each cell in cell_rows[cell + 1]. */
static df_status count_rows(const df_plan *p, uint32_t state, const df_batch *batch, const index_axis *axes,
                            uint32_t axis_count, uint32_t *cell_rows, df_error *err)
{
    const uint64_t *keys = batch->view.keys;
    uint32_t rows = batch->view.row_count;
    int32_t cells[INDEX_ROWS], wrong[INDEX_ROWS], before = 0;

    for (uint32_t first = 0, n; first < rows; first += n) {
        n = rows - first < INDEX_ROWS ? rows - first : INDEX_ROWS;
        memset(cells, 0, n * sizeof *cells);
        memset(wrong, 0, n * sizeof *wrong);
        for (uint32_t a = axis_count; a-- > 0;)
            add_axis(axes[a].settled + first, n, &axes[a], cells, wrong);
        wrong[0] |= first > 0 && (cells[0] < before || (cells[0] == before && keys[first] <= keys[first - 1]));
        if (out_of_order(cells, keys + first, n, wrong) != 0)
            return fail_first(p, state, batch, wrong, first, err);
        before = cells[n - 1];
        for (uint32_t i = 0; i < n; i++)
            cell_rows[cells[i] + 1]++;
    }
    return DF_OK;
}

static df_status check_keys(const df_plan *p, uint32_t state, const df_batch *batch, df_error *err)
{
    for (uint32_t i = 1; i < batch->view.row_count; i++)
        if (batch->view.keys[i] <= batch->view.keys[i - 1])
            return fail_order(p, state, batch, i, err);
    return DF_OK;
}

/* The cell of each row from its coordinates, when it settled where it does not at every step; the
 * canonical order is by cell, then by key. */
df_status df_graph_index_cells(df_graph *g, uint32_t state, df_batch *batch, df_error *err)
{
    const df_plan *p = g->plan;
    const df_state *s = &p->states[state];
    index_axis axes[WEIR_AXES_MAX];
    uint32_t cells = 1, row;
    uint32_t *cell_rows;
    df_status status;
    double way;

    if (s->space == DF_NONE)
        return check_keys(p, state, batch, err);
    const df_space *space = &p->spaces[s->space];
    const weir_tile *tile = &space->tiles[batch->view.key_group];
    for (uint32_t a = 0; a < space->view.axis_count; a++) {
        axes[a] = (index_axis){ batch->settled[a] != NULL ? batch->settled[a]
                                                          : batch->view.columns[s->axis_columns[a]],
                                (float)space->view.size[a], space->cell_per_unit[a],
                                (double)space->view.cells[a] - 1, (int32_t)tile->origin[a],
                                (int32_t)tile->cells[a] };
        cells *= tile->cells[a];
    }
    batch->view.cell_rows = cell_rows = df_pool_get(g->pool, g->thread_count, (cells + 1) * sizeof *cell_rows);
    if (cell_rows == NULL)
        return df_fail(err, DF_ENOMEM, "restore: out of memory");
    memset(cell_rows, 0, (cells + 1) * sizeof *cell_rows);
    status = count_rows(p, state, batch, axes, space->view.axis_count, cell_rows, err);
    if (status != DF_OK)
        return status;
    for (uint32_t c = 0; c < cells; c++)
        cell_rows[c + 1] += cell_rows[c];
    if (s->settle_every > 1 && !graph_settled_near(p, state, batch, &row, &way))
        return fail_order(p, state, batch, row, err);
    return DF_OK;
}
