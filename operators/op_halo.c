#include "operators/op_halo.h"

#include <string.h>

/* The cells of the tile at a slot: across an axis that it is not moved along, the centre's; along it,
 * its own. */
static bool halo_tile(kern_tile *tile, weir_task *task, uint32_t port, uint32_t slot, const int *columns,
                      uint32_t column_count)
{
    const weir_batch *batch = task->inputs[port].batches[slot];
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
    for (uint32_t a = 0; a < there->space->axis_count; a++) {
        tile->columns[a] = weir_unwrapped(task, port, slot, a);
        if (tile->columns[a] == NULL)
            return false;
    }
    return true;
}

weir_status op_halo_fill(kern_halo *halo, weir_task *task, uint32_t port, const int *columns,
                         uint32_t column_count)
{
    memset(halo, 0, sizeof *halo);
    for (uint32_t slot = 0; slot < WEIR_HALO_SLOTS; slot++)
        if (task->inputs[port].batches[slot] != NULL &&
            !halo_tile(&halo->tiles[slot], task, port, slot, columns, column_count))
            return WEIR_FAILED;
    return WEIR_OK;
}

/* A distance is computed from a few numbers of at most the size of the space, each off by at most 2^-24 of
 * that, now and when the list was made; 2^-19 covers them all, on three axes. */
op_reach op_halo_reach(const weir_plan *plan, uint32_t port, double radius)
{
    const weir_space *space = weir_plan_space(plan, port);
    double skin = weir_plan_skin(plan, port), size = 0;

    if (skin == 0)
        return (op_reach){ 0, 0 };
    for (uint32_t a = 0; a < space->axis_count; a++)
        size = space->size[a] > size ? space->size[a] : size;
    return (op_reach){
        .settled = (float)((radius + skin + 2 * size * 0x1p-19) * (1 + 0x1p-19)),
        .resting = (float)((radius + 2 * skin + 2 * size * 0x1p-19) * (1 + 0x1p-19)),
    };
}

/* Entries that the lists will about have: of 27 cells, a sphere of the reach holds 0.155, and rows crowd
 * together. */
static uint32_t list_room(const kern_tile *tile)
{
    double cells = (double)tile->cells[0] * tile->cells[1] * tile->cells[2];

    return (uint32_t)(tile->row_count * (8 + 27 * 0.25 * tile->row_count / cells)) + 1024;
}

/* The lists that were kept, made fit for where the halo's rows lie now; null: there are none. */
static const kern_near *near_kept(weir_task *task, uint32_t port, const kern_halo *halo)
{
    weir_memory kept;

    if (!weir_kept(task, port, &kept) || (kept.foreign && !kern_near_accept(kept.bytes, kept.size, halo)) ||
        !kern_near_find_ghosts(kept.bytes, halo, kept.moved))
        return NULL;
    return kept.bytes;
}

/* Where rows rest, lists of before may be gone: they were restored. Who is in a cell that is not adjacent was
 * too far off when they settled, and stays so. */
const kern_near *op_halo_near(weir_task *task, uint32_t port, const kern_halo *halo, op_reach reach)
{
    const kern_near *kept = near_kept(task, port, halo);
    float most = weir_settled(task, port) ? reach.settled : reach.resting;
    uint32_t room = list_room(&halo->tiles[KERN_HALO_SELF]);
    kern_near_draft draft;
    void *scratch, *memory;

    if (kept != NULL)
        return kept;
    do {
        scratch = weir_scratch(task, kern_near_scratch_size(halo, room));
        if (scratch == NULL)
            return NULL;
        room *= 2;
    } while (!kern_near_find(&draft, halo, most, room / 2, scratch));
    memory = weir_keep(task, port, kern_near_size(&draft.near));
    if (memory != NULL)
        kern_near_make(memory, &draft);
    return memory;
}
