#include "operators/op_halo.h"

#include <string.h>

/* The cells of the tile at a slot: across an axis that it is not moved along, the centre's; along it,
 * its own. */
static void halo_tile(kern_tile *tile, const weir_task *task, uint32_t slot, const weir_batch *batch,
                      const int *columns, uint32_t column_count)
{
    const weir_tile *centre = task->tile;
    const weir_tile *there = centre + ((int64_t)centre->neighbours[slot] - (int64_t)task->key_group);

    tile->row_count = batch->row_count;
    tile->cell_rows = batch->cell_rows;
    for (uint32_t a = 0; a < 3; a++) {
        tile->cells[a] = there->cells[a];
        tile->shift[a] = centre->shift[slot][a];
    }
    for (uint32_t c = 0; c < column_count; c++)
        tile->columns[c] = columns[c] < 0 ? NULL : batch->columns[columns[c]];
}

void op_halo_fill(kern_halo *halo, const weir_task *task, uint32_t port, const int *columns,
                  uint32_t column_count)
{
    memset(halo, 0, sizeof *halo);
    for (uint32_t slot = 0; slot < WEIR_HALO_SLOTS; slot++)
        if (task->inputs[port].batches[slot] != NULL)
            halo_tile(&halo->tiles[slot], task, slot, task->inputs[port].batches[slot], columns,
                      column_count);
}
