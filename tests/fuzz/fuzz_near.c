/* Lists of neighbours that came with a key group: any bytes are refused, or can be walked. The bytes are
 * changes of good lists: u16 where, u8 what, a few times. */
#include "kernels/kern_boids.h"

#include <stdlib.h>
#include <string.h>

enum { EDGE = 3, ROWS = 6, CHANGES = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void *memory(size_t size)
{
    void *at = aligned_alloc(64, (size + 63) / 64 * 64);

    if (at == NULL)
        abort();
    memset(at, 0, (size + 63) / 64 * 64);
    return at;
}

/* 27 tiles alike of EDGE cells along each axis, some rows in each cell. */
static void make_halo(kern_halo *halo, kern_tile *tile)
{
    uint32_t cells = EDGE * EDGE * EDGE, *cell_rows = memory((cells + 1) * sizeof *cell_rows);
    uint32_t count = 0;
    float *columns[6];

    for (int c = 0; c < 6; c++)
        columns[c] = memory((cells * ROWS + 16) * sizeof(float));
    for (uint32_t cell = 0; cell < cells; cell++) {
        uint32_t at[3] = { cell % EDGE, cell / EDGE % EDGE, cell / EDGE / EDGE };

        cell_rows[cell] = count;
        for (uint32_t i = 0; i < cell % ROWS; i++, count++)
            for (uint32_t c = 0; c < 6; c++)
                columns[c][count] = c < 3 ? (float)at[c] + (float)((i * (c + 3) + cell) % 7) / 7.0f : 0.5f;
    }
    cell_rows[cells] = count;
    *tile = (kern_tile){ .row_count = count, .cells = { EDGE, EDGE, EDGE }, .cell_rows = cell_rows };
    for (int c = 0; c < 6; c++)
        tile->columns[c] = columns[c];
    for (uint32_t t = 0; t < KERN_HALO_TILES; t++) {
        uint32_t side[3] = { t % 3, t / 3 % 3, t / 9 };

        halo->tiles[t] = *tile;
        for (int axis = 0; axis < 3; axis++)
            halo->tiles[t].shift[axis] = ((float)side[axis] - 1) * EDGE;
    }
}

static void walk(const kern_halo *halo, const kern_near *near)
{
    kern_boids_params p = { .radius = 0.8f, .separation_radius = 0.3f, .scale = 0.1f, .collision = 1,
                            .speed_max = 1, .size = { EDGE, EDGE, EDGE }, .dt = 0.1f };
    float *out[6];
    void *scratch = memory(kern_boids_near_scratch_size(near));

    for (int c = 0; c < 6; c++)
        out[c] = memory((near->row_count + 1) * sizeof(float));
    kern_boids_near(&p, halo, near, out, scratch);
    for (int c = 0; c < 6; c++)
        free(out[c]);
    free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static kern_halo halo;
    static kern_tile tile;
    static kern_near_draft draft;
    uint8_t *copy;
    size_t room;

    if (tile.row_count == 0) {
        make_halo(&halo, &tile);
        if (!kern_near_find(&draft, &halo, 0.9f, 1u << 16, memory(kern_near_scratch_size(&halo, 1u << 16))))
            abort();
    }
    room = kern_near_size(&draft.near);
    copy = memory(room);
    kern_near_make(copy, &draft);
    for (size_t i = 0; i + 3 <= size && i < 3 * CHANGES; i += 3)
        copy[(size_t)(bytes[i] << 8 | bytes[i + 1]) % room] = bytes[i + 2];
    if (kern_near_accept(copy, room, &halo) && kern_near_find_ghosts((kern_near *)(void *)copy, &halo, UINT32_MAX))
        walk(&halo, (const kern_near *)(const void *)copy);
    free(copy);
    return 0;
}
