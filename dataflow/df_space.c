#include "dataflow/df_space.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A cell is larger than the radius by this share: the cell of a coordinate is computed in f64 and a
 * distance in f32, so two rows that are within the radius by the latter are never two cells apart. */
#define SPACE_MARGIN 1.2e-5

static uint32_t axis_cells(double size, double radius)
{
    double cells = floor(size / (radius * (1 + SPACE_MARGIN)));

    return cells < 1 ? 1 : cells > 1e9 ? 1000000000u : (uint32_t)cells;
}

/* The most cells per axis with cells^axes <= key_groups: a cell a tile. */
static uint32_t free_cells(uint32_t axes, uint32_t key_groups)
{
    uint32_t cells = 1;

    for (;;) {
        uint64_t next = cells + 1, total = 1;
        for (uint32_t a = 0; a < axes; a++)
            total *= next;
        if (total > key_groups)
            return cells;
        cells++;
    }
}

/* Of a periodic axis on which rows may leave their cells, two: what went round its edge is told from
 * what did not by the cell that it was in. */
static uint32_t cells_least(const df_space *space, uint32_t axis)
{
    return space->skin > 0 && space->view.periodic[axis] ? 2 : 1;
}

static double total_cells(const weir_space *view)
{
    return (double)view->cells[0] * view->cells[1] * view->cells[2];
}

static void choose_cells(df_space *space, uint32_t key_groups, uint64_t cells_max)
{
    weir_space *view = &space->view;

    for (uint32_t a = 0; a < WEIR_AXES_MAX; a++)
        view->cells[a] = a >= view->axis_count ? 1
                         : space->radius > 0   ? axis_cells(view->size[a], space->radius + space->skin)
                                               : free_cells(view->axis_count, key_groups);
    while (total_cells(view) > (double)cells_max)
        for (uint32_t a = 0; a < view->axis_count; a++) {
            uint32_t less = (view->cells[a] + 15) / 16;
            view->cells[a] -= view->cells[a] - less >= cells_least(space, a) ? less : 0;
        }
    for (uint32_t a = 0; a < WEIR_AXES_MAX; a++)
        space->cell_per_unit[a] = a < view->axis_count ? view->cells[a] / view->size[a] : 0;
}

static bool tiles_allowed(const weir_space *view, uint32_t axis, uint32_t tiles)
{
    return tiles <= view->cells[axis] && (!view->periodic[axis] || tiles == 1 || tiles >= 3);
}

/* The cells that all tiles hold with their rims: what a step of halo exchange touches. */
static double padded_volume(const weir_space *view, const uint32_t tiles[3])
{
    double volume = 1;

    for (uint32_t a = 0; a < WEIR_AXES_MAX; a++)
        volume *= (double)view->cells[a] + (view->cells[a] > 1 ? 2.0 * tiles[a] : 0);
    return volume;
}

typedef void tiling_visit(const weir_space *view, const uint32_t tiles[3], void *user);

static void visit_tilings(const weir_space *view, uint32_t key_groups, tiling_visit *visit,
                          void *user)
{
    uint32_t t[3];

    for (t[0] = 1; t[0] <= key_groups; t[0]++)
        for (t[1] = 1; tiles_allowed(view, 0, t[0]) && t[0] * t[1] <= key_groups; t[1]++)
            for (t[2] = 1; tiles_allowed(view, 1, t[1]) && t[0] * t[1] * t[2] <= key_groups; t[2]++)
                if (tiles_allowed(view, 2, t[2]))
                    visit(view, t, user);
}

static void visit_most(const weir_space *view, const uint32_t tiles[3], void *user)
{
    uint32_t *most = user, count = tiles[0] * tiles[1] * tiles[2];

    (void)view;
    if (count > *most)
        *most = count;
}

typedef struct tiling_best {
    uint32_t least; /* tiles wanted */
    double volume;
    uint32_t tiles[3];
} tiling_best;

static void visit_best(const weir_space *view, const uint32_t tiles[3], void *user)
{
    tiling_best *best = user;
    double volume = padded_volume(view, tiles);

    if (tiles[0] * tiles[1] * tiles[2] < best->least)
        return;
    if (best->volume > 0 && volume >= best->volume)
        return;
    best->volume = volume;
    memcpy(best->tiles, tiles, sizeof best->tiles);
}

/* Of the tilings with at least nine tenths of the most tiles that are possible, the one with the
 * least rim. */
static void choose_tiles(df_space *space, uint32_t key_groups)
{
    uint32_t most = 1;
    tiling_best best = { 0 };

    visit_tilings(&space->view, key_groups, visit_most, &most);
    best.least = most - most / 10;
    visit_tilings(&space->view, key_groups, visit_best, &best);
    memcpy(space->view.tiles, best.tiles, sizeof best.tiles);
    space->tile_count = best.tiles[0] * best.tiles[1] * best.tiles[2];
}

static df_status cut_axes(df_space *space, df_arena *arena)
{
    for (uint32_t a = 0; a < WEIR_AXES_MAX; a++) {
        uint64_t cells = space->view.cells[a], tiles = space->view.tiles[a];

        space->first_cell[a] = df_arena_alloc(arena, (tiles + 1) * sizeof(uint32_t));
        space->tile_of_cell[a] = df_arena_alloc(arena, cells * sizeof(uint32_t));
        if (space->first_cell[a] == NULL || space->tile_of_cell[a] == NULL)
            return DF_ENOMEM;
        for (uint32_t t = 0; t <= tiles; t++)
            space->first_cell[a][t] = (uint32_t)(t * cells / tiles);
        for (uint32_t t = 0; t < tiles; t++)
            for (uint32_t c = space->first_cell[a][t]; c < space->first_cell[a][t + 1]; c++)
                space->tile_of_cell[a][c] = t;
    }
    return DF_OK;
}

static uint64_t morton(const uint32_t position[3])
{
    uint64_t code = 0;

    for (uint32_t bit = 0; bit < 20; bit++)
        for (uint32_t a = 0; a < 3; a++)
            code |= (uint64_t)((position[a] >> bit) & 1) << (3 * bit + a);
    return code;
}

static int compare_tiles(const void *a, const void *b)
{
    uint64_t x = morton(((const weir_tile *)a)->position);
    uint64_t y = morton(((const weir_tile *)b)->position);

    return x < y ? -1 : x > y;
}

static uint32_t position_index(const df_space *space, const uint32_t p[3])
{
    return (p[2] * space->view.tiles[1] + p[1]) * space->view.tiles[0] + p[0];
}

/* The tile at an offset of -1, 0 or +1 per axis, and the shift that unwraps it. */
static void set_neighbour(df_space *space, weir_tile *tile, uint32_t slot)
{
    int offset[3] = { (int)(slot % 3) - 1, (int)(slot / 3 % 3) - 1, (int)(slot / 9) - 1 };
    uint32_t position[3];

    tile->neighbours[slot] = WEIR_NO_ROW;
    for (uint32_t a = 0; a < 3; a++) {
        int tiles = (int)space->view.tiles[a], p = (int)tile->position[a] + offset[a];
        int wraps = p < 0 ? -1 : p >= tiles ? 1 : 0;

        if (wraps != 0 && (a >= space->view.axis_count || !space->view.periodic[a]))
            return;
        position[a] = (uint32_t)(p - wraps * tiles);
        tile->shift[slot][a] = wraps == 0 ? 0.0f : (float)(wraps * space->view.size[a]);
    }
    tile->neighbours[slot] = space->tile_of_position[position_index(space, position)];
}

static df_status number_tiles(df_space *space, df_arena *arena)
{
    const uint32_t *tiles = space->view.tiles;
    uint32_t g = 0, p[3];

    space->tiles = df_arena_alloc(arena, space->tile_count * sizeof *space->tiles);
    space->tile_of_position = df_arena_alloc(arena, space->tile_count * sizeof(uint32_t));
    if (space->tiles == NULL || space->tile_of_position == NULL)
        return DF_ENOMEM;
    for (p[2] = 0; p[2] < tiles[2]; p[2]++)
        for (p[1] = 0; p[1] < tiles[1]; p[1]++)
            for (p[0] = 0; p[0] < tiles[0]; p[0]++)
                memcpy(space->tiles[g++].position, p, sizeof p);
    qsort(space->tiles, space->tile_count, sizeof *space->tiles, compare_tiles);
    for (g = 0; g < space->tile_count; g++) {
        weir_tile *tile = &space->tiles[g];

        tile->space = &space->view;
        space->tile_of_position[position_index(space, tile->position)] = g;
        for (uint32_t a = 0; a < 3; a++) {
            const uint32_t *first = &space->first_cell[a][tile->position[a]];
            tile->origin[a] = first[0];
            tile->cells[a] = first[1] - first[0];
        }
    }
    for (g = 0; g < space->tile_count; g++)
        for (uint32_t slot = 0; slot < WEIR_HALO_SLOTS; slot++)
            set_neighbour(space, &space->tiles[g], slot);
    return DF_OK;
}

df_status df_space_cut(df_space *space, uint32_t key_groups, uint64_t cells_max, df_arena *arena,
                       df_error *err)
{
    const weir_space *view = &space->view;

    for (uint32_t a = 0; a < view->axis_count; a++)
        if (view->periodic[a] && view->size[a] < 2 * space->radius)
            return df_fail(err, DF_EINVAL,
                           "periodic axis %s is %g long, it must be at least twice the radius %g, "
                           "or a row would see another twice",
                           view->axes[a], view->size[a], space->radius);
    for (uint32_t a = 0; a < view->axis_count; a++)
        if (space->skin > 0 && view->periodic[a] &&
            axis_cells(view->size[a], space->radius + space->skin) < cells_least(space, a))
            return df_fail(err, DF_EINVAL,
                           "periodic axis %s is %g long, it must be longer than twice the radius %g and "
                           "the skin %g together", view->axes[a], view->size[a], space->radius,
                           space->skin);
    choose_cells(space, key_groups, cells_max);
    choose_tiles(space, key_groups);
    if (cut_axes(space, arena) != DF_OK || number_tiles(space, arena) != DF_OK)
        return df_fail(err, DF_ENOMEM, "space %s: out of memory", view->name);
    return DF_OK;
}

uint32_t df_space_slot(const df_space *space, const weir_tile *from, const uint32_t to[3])
{
    int slot = 0, weight = 1;

    for (uint32_t a = 0; a < 3; a++) {
        int tiles = (int)space->view.tiles[a], offset = (int)to[a] - (int)from->position[a];

        if (a < space->view.axis_count && space->view.periodic[a] && tiles > 1) {
            if (offset == tiles - 1)
                offset = -1;
            else if (offset == 1 - tiles)
                offset = 1;
        }
        if (offset < -1 || offset > 1)
            return DF_NONE;
        slot += (offset + 1) * weight;
        weight *= 3;
    }
    return (uint32_t)slot;
}
