/* How a space is cut: into cells at least as large as the largest halo radius and the largest skin of
 * its states together, so that whoever comes near before rows settle again is in an adjacent cell, and
 * into tiles of cells, which are its key groups, numbered along a Morton curve.
 *
 * The cut is a function of the plan alone, so it is the same on every machine. */
#ifndef DF_SPACE_H
#define DF_SPACE_H

#include "dataflow/df_plan.h"

/* Cut `space` (its view's name, axes, size and edges, its radius and skin are set; radius 0: nobody looks
 * at neighbours) into at most `key_groups` tiles. `cells_max` bounds the number of cells. Memory
 * comes from the arena. DF_EINVAL: a periodic axis is too short for the radius and the skin. */
df_status df_space_cut(df_space *space, uint32_t key_groups, uint64_t cells_max, df_arena *arena,
                       df_error *err) DF_MUST_CHECK;

/* The cell of a coordinate on an axis; the coordinate is within [0, size]. */
static inline uint32_t df_space_cell(const df_space *space, uint32_t axis, float x)
{
    uint32_t cell = (uint32_t)((double)x * space->cell_per_unit[axis]);

    return cell < space->view.cells[axis] ? cell : space->view.cells[axis] - 1;
}

/* The slot (0..26) at which the tile at `to` lies from the tile `from`, or DF_NONE if it is not
 * adjacent. Periodic axes wrap; on an axis of one tile the offset is 0. */
uint32_t df_space_slot(const df_space *space, const weir_tile *from, const uint32_t to[3]);

#endif
