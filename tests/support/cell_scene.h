/* A space full of rows, cut into cells and tiles, for tests and benchmarks of the pair kernels.
 * Built the plain way, by one sort, and independent of the engine's own exchange. */
#ifndef CELL_SCENE_H
#define CELL_SCENE_H

#include "kernels/kern_cells.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SCENE_COLUMNS = 6 };

typedef struct scene_options {
    uint32_t row_count;
    uint32_t axis_count;
    float size[3];
    bool periodic[3];
    uint32_t cells[3]; /* of the space; 1 on a missing axis */
    uint32_t tiles[3];
} scene_options;

/* One tile of the space. */
typedef struct scene_tile {
    kern_tile tile;
    uint32_t *keys; /* [row_count] */
} scene_tile;

typedef struct scene {
    scene_options options;
    float *rows[SCENE_COLUMNS]; /* [row_count] by key; positions first */
    uint32_t tile_count;
    scene_tile *tiles; /* x fastest */
} scene;

static inline uint64_t scene_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* In [0, 1). */
static inline float scene_uniform(uint64_t *state)
{
    return (float)(scene_random(state) >> 40) * 0x1p-24f;
}

static inline void *scene_alloc(size_t size)
{
    void *at = aligned_alloc(64, (size + 64 + 63) / 64 * 64);

    assert(at != NULL);
    memset(at, 0, (size + 64 + 63) / 64 * 64);
    return at;
}

/* Rows at random, with random velocities in [-1, 1); the caller may overwrite them before
 * scene_cut. */
static inline void scene_init(scene *s, const scene_options *options, uint64_t seed)
{
    *s = (scene){ .options = *options };
    for (uint32_t c = 0; c < SCENE_COLUMNS; c++) {
        s->rows[c] = scene_alloc(options->row_count * sizeof(float));
        if (c % 3 >= options->axis_count)
            continue;
        for (uint32_t i = 0; i < options->row_count; i++)
            s->rows[c][i] = c < 3 ? scene_uniform(&seed) * options->size[c]
                                  : scene_uniform(&seed) * 2.0f - 1.0f;
    }
}

static inline uint32_t scene_cell(const scene *s, uint32_t axis, uint32_t key)
{
    uint32_t count = s->options.cells[axis];
    float at = s->rows[axis][key] / s->options.size[axis] * (float)count;

    if (axis >= s->options.axis_count)
        return 0;
    return (uint32_t)at < count ? (uint32_t)at : count - 1;
}

/* First cell of a tile along an axis. */
static inline uint32_t scene_first_cell(const scene *s, uint32_t axis, uint32_t tile)
{
    return tile * s->options.cells[axis] / s->options.tiles[axis];
}

static inline uint32_t scene_tile_of_cell(const scene *s, uint32_t axis, uint32_t cell)
{
    uint32_t tile = 0;

    while (scene_first_cell(s, axis, tile + 1) <= cell)
        tile++;
    return tile;
}

static inline void scene_fill_tile(const scene *s, scene_tile *to, const uint32_t *cell_of,
                                   const uint32_t *keys, uint32_t count)
{
    uint32_t cells = to->tile.cells[0] * to->tile.cells[1] * to->tile.cells[2];
    uint32_t *starts = scene_alloc((cells + 1) * sizeof *starts), *next;

    for (uint32_t i = 0; i < count; i++)
        starts[cell_of[keys[i]] + 1]++;
    for (uint32_t c = 0; c < cells; c++)
        starts[c + 1] += starts[c];
    next = scene_alloc((cells + 1) * sizeof *next);
    memcpy(next, starts, (cells + 1) * sizeof *next);
    to->keys = scene_alloc(count * sizeof *to->keys);
    for (uint32_t i = 0; i < count; i++)
        to->keys[next[cell_of[keys[i]]]++] = keys[i];
    free(next);
    to->tile.row_count = count;
    to->tile.cell_rows = starts;
    for (uint32_t c = 0; c < SCENE_COLUMNS; c++) {
        float *column;

        if (c % 3 >= s->options.axis_count)
            continue;
        column = scene_alloc(count * sizeof *column);
        for (uint32_t i = 0; i < count; i++)
            column[i] = s->rows[c][to->keys[i]];
        to->tile.columns[c] = column;
    }
}

/* Sorts the rows into tiles and cells. */
static inline void scene_cut(scene *s)
{
    const scene_options *o = &s->options;
    uint32_t *tile_of = scene_alloc(o->row_count * sizeof *tile_of);
    uint32_t *cell_of = scene_alloc(o->row_count * sizeof *cell_of);
    uint32_t *keys = scene_alloc(o->row_count * sizeof *keys);
    uint32_t *starts;

    s->tile_count = o->tiles[0] * o->tiles[1] * o->tiles[2];
    s->tiles = calloc(s->tile_count, sizeof *s->tiles);
    starts = scene_alloc((s->tile_count + 2) * sizeof *starts);
    assert(s->tiles != NULL);
    for (uint32_t i = 0; i < o->row_count; i++) {
        for (uint32_t axis = 3; axis-- > 0;) {
            uint32_t cell = scene_cell(s, axis, i), tile = scene_tile_of_cell(s, axis, cell);
            uint32_t first = scene_first_cell(s, axis, tile);

            tile_of[i] = tile_of[i] * o->tiles[axis] + tile;
            cell_of[i] = cell_of[i] * (scene_first_cell(s, axis, tile + 1) - first) + cell - first;
        }
        starts[tile_of[i] + 2]++;
    }
    for (uint32_t t = 0; t < s->tile_count; t++)
        starts[t + 2] += starts[t + 1];
    for (uint32_t i = 0; i < o->row_count; i++)
        keys[starts[tile_of[i] + 1]++] = i;
    for (uint32_t t = 0; t < s->tile_count; t++) {
        uint32_t at[3] = { t % o->tiles[0], t / o->tiles[0] % o->tiles[1],
                           t / o->tiles[0] / o->tiles[1] };

        for (uint32_t axis = 0; axis < 3; axis++)
            s->tiles[t].tile.cells[axis] =
                scene_first_cell(s, axis, at[axis] + 1) - scene_first_cell(s, axis, at[axis]);
        scene_fill_tile(s, &s->tiles[t], cell_of, keys + starts[t], starts[t + 1] - starts[t]);
    }
    free(tile_of);
    free(cell_of);
    free(keys);
    free(starts);
}

/* What a tile sees around it. */
static inline void scene_halo(const scene *s, uint32_t tile, kern_halo *halo)
{
    const scene_options *o = &s->options;
    uint32_t at[3] = { tile % o->tiles[0], tile / o->tiles[0] % o->tiles[1],
                       tile / o->tiles[0] / o->tiles[1] };

    *halo = (kern_halo){ 0 };
    for (int t = 0; t < KERN_HALO_TILES; t++) {
        int offset[3] = { t % 3 - 1, t / 3 % 3 - 1, t / 9 - 1 };
        uint32_t index = 0;
        float shift[3] = { 0 };
        bool missing = false;

        for (uint32_t axis = 3; axis-- > 0;) {
            int count = (int)o->tiles[axis], to = (int)at[axis] + offset[axis];

            if (to < 0 || to >= count) {
                missing |= axis >= o->axis_count || !o->periodic[axis];
                shift[axis] = to < 0 ? -o->size[axis] : o->size[axis];
                to = (to + count) % count;
            }
            index = index * (uint32_t)count + (uint32_t)to;
        }
        if (missing)
            continue;
        halo->tiles[t] = s->tiles[index].tile;
        memcpy(halo->tiles[t].shift, shift, sizeof shift);
    }
}

static inline void scene_fini_tiles(scene *s)
{
    for (uint32_t t = 0; t < s->tile_count; t++) {
        free((void *)(uintptr_t)s->tiles[t].tile.cell_rows);
        free(s->tiles[t].keys);
        for (uint32_t c = 0; c < SCENE_COLUMNS; c++)
            free((void *)(uintptr_t)s->tiles[t].tile.columns[c]);
    }
    free(s->tiles);
    s->tiles = NULL;
    s->tile_count = 0;
}

static inline void scene_fini(scene *s)
{
    scene_fini_tiles(s);
    for (uint32_t c = 0; c < SCENE_COLUMNS; c++)
        free(s->rows[c]);
}

/* Calls visit for every neighbour candidate of row `key` in the order that the kernels promise:
 * by unwrapped cell offset (dz, dy, dx), then by key. cell_keys is from scene_cell_lists. */
typedef struct scene_cells {
    uint32_t *starts; /* [cells + 1] */
    uint32_t *keys;   /* [row_count] by cell, then key */
} scene_cells;

static inline scene_cells scene_list_cells(const scene *s)
{
    const uint32_t *n = s->options.cells;
    uint32_t cells = n[0] * n[1] * n[2], at = 0;
    scene_cells lists = { scene_alloc((cells + 1) * sizeof(uint32_t)),
                          scene_alloc(s->options.row_count * sizeof(uint32_t)) };

    for (uint32_t c = 0; c < cells; c++) {
        lists.starts[c] = at;
        for (uint32_t i = 0; i < s->options.row_count; i++)
            if ((scene_cell(s, 2, i) * n[1] + scene_cell(s, 1, i)) * n[0] + scene_cell(s, 0, i) ==
                c)
                lists.keys[at++] = i;
    }
    lists.starts[cells] = at;
    return lists;
}

typedef void scene_visit(void *ctx, const scene *s, uint32_t i, uint32_t j, const float shift[3]);

static inline void scene_for_neighbours(const scene *s, const scene_cells *lists, uint32_t i,
                                        scene_visit *visit, void *ctx)
{
    const scene_options *o = &s->options;

    for (int offset = 0; offset < 27; offset++) {
        int d[3] = { offset % 3 - 1, offset / 3 % 3 - 1, offset / 9 - 1 };
        float shift[3] = { 0 };
        uint32_t cell = 0;
        bool outside = false, home = true;

        for (uint32_t axis = 3; axis-- > 0;) {
            int count = (int)o->cells[axis], at = (int)scene_cell(s, axis, i) + d[axis];

            if (at < 0 || at >= count) {
                outside |= axis >= o->axis_count || !o->periodic[axis];
                shift[axis] = at < 0 ? -o->size[axis] : o->size[axis];
                home = false;
                at = (at + count) % count;
            }
            cell = cell * (uint32_t)count + (uint32_t)at;
        }
        for (uint32_t k = lists->starts[cell]; !outside && k < lists->starts[cell + 1]; k++)
            if (!home || lists->keys[k] != i)
                visit(ctx, s, i, lists->keys[k], shift);
    }
}

#endif
