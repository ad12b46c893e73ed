/* The pad: a tile and the rim of its neighbours, copied into one block of memory. Its cells are
 * row-major by (z, y, x), and inside a cell the rows are by key, because every tile's are. */
#include "kernels/kern_cells.h"

#include "kernels/kern_lane.h"

#include <assert.h>
#include <string.h>

/* How many lines ahead of copying a line its rows are fetched: the rim's rows lie scattered, one or
 * two to a cache line, and would be waited for one by one. */
#define PREFETCH_LINES 4U

/* Takes size bytes of scratch memory; with a null scratch it only counts. */
static void *take(void *scratch, size_t *used, size_t size)
{
    void *at = scratch == NULL ? NULL : (char *)scratch + *used;

    *used += (size + 63) / 64 * 64;
    return at;
}

/* Vectors are written at any place, so everything has room for one more. */
static size_t pad_layout(kern_pad *pad, void *scratch)
{
    size_t rows = pad->halo->tiles[KERN_HALO_SELF].row_count;
    size_t blocks = (rows + KERN_LANES - 1) / KERN_LANES;
    size_t lines = (size_t)pad->cells[1] * pad->cells[2];
    size_t row_size = (pad->row_count + KERN_LANES) * sizeof(float);
    size_t used = 0;

    pad->cell_rows = take(scratch, &used, (lines * pad->cells[0] + 1) * sizeof(uint32_t));
    for (uint32_t c = 0; c < pad->column_count; c++)
        pad->columns[c] = take(scratch, &used, row_size);
    pad->rows = take(scratch, &used, (rows + 2 * KERN_LANES) * sizeof(uint32_t));
    pad->places = take(scratch, &used, (rows + 2 * KERN_LANES) * sizeof(uint32_t));
    pad->boxes = take(scratch, &used, blocks * sizeof *pad->boxes);
    pad->candidates = take(scratch, &used, row_size);
    pad->spans = take(scratch, &used, lines * 3 * sizeof *pad->spans);
    return used;
}

void kern_rim_range(const kern_tile *tile, int offset, uint32_t axis, uint32_t range[2])
{
    range[0] = offset < 0 ? tile->cells[axis] - 1 : 0;
    range[1] = offset > 0 ? 1 : tile->cells[axis];
}

/* How many rows the pad takes from a tile of the halo. Lines that follow each other whole are
 * counted at once. */
static uint32_t rim_rows(const kern_tile *tile, int index)
{
    uint32_t x[2], y[2], z[2], count = 0;

    if (tile->cell_rows == NULL)
        return 0;
    kern_rim_range(tile, index % 3 - 1, 0, x);
    kern_rim_range(tile, index / 3 % 3 - 1, 1, y);
    kern_rim_range(tile, index / 9 - 1, 2, z);
    for (uint32_t iz = z[0]; iz < z[1]; iz++) {
        const uint32_t *plane = tile->cell_rows + (size_t)iz * tile->cells[1] * tile->cells[0];

        if (x[1] - x[0] == tile->cells[0]) {
            count += plane[y[1] * tile->cells[0]] - plane[y[0] * tile->cells[0]];
            continue;
        }
        for (uint32_t iy = y[0]; iy < y[1]; iy++)
            count += plane[iy * tile->cells[0] + x[1]] - plane[iy * tile->cells[0] + x[0]];
    }
    return count;
}

static void pad_measure(kern_pad *pad, const kern_halo *halo)
{
    pad->halo = halo;
    pad->row_count = 0;
    for (uint32_t axis = 0; axis < 3; axis++)
        pad->cells[axis] = halo->tiles[KERN_HALO_SELF].cells[axis] + 2;
    for (int t = 0; t < KERN_HALO_TILES; t++)
        pad->row_count += rim_rows(&halo->tiles[t], t);
}

/* One tile's share of the pad's lines at one z: a few cells of each. */
typedef struct line_source {
    const kern_tile *tile;
    const uint32_t *cell_rows; /* of the first line; null: no such tile */
    uint32_t stride;           /* cells from line to line */
    uint32_t cell_count;       /* taken from each */
    uint32_t line_count;
} line_source;

static line_source source_of(const kern_pad *pad, uint32_t tx, uint32_t ty, uint32_t z)
{
    uint32_t tz = z == 0 ? 0 : z + 1 == pad->cells[2] ? 2 : 1;
    const kern_tile *tile = &pad->halo->tiles[tz * 9 + ty * 3 + tx];
    line_source source = {
        .tile = tile,
        .stride = tile->cells[0],
        .cell_count = tx == 1 ? pad->cells[0] - 2 : 1,
        .line_count = ty == 1 ? pad->cells[1] - 2 : 1,
    };
    size_t cell;

    if (tile->cell_rows != NULL) {
        cell = tz == 0 ? tile->cells[2] - 1 : tz == 1 ? z - 1 : 0;
        cell = cell * tile->cells[1] + (ty == 0 ? tile->cells[1] - 1 : 0);
        cell = cell * tile->cells[0] + (tx == 0 ? tile->cells[0] - 1 : 0);
        source.cell_rows = tile->cell_rows + cell;
    }
    return source;
}

/* Copies at least one short vector, which costs less than asking whether there is anything to copy;
 * reads and writes up to a vector behind the last row. */
static void copy_rows(float *restrict to, const float *restrict from, uint32_t row_count)
{
    if (row_count <= 4) {
        memcpy(to, from, 4 * sizeof *to);
        return;
    }
    for (uint32_t i = 0; i < row_count; i += KERN_LANES)
        kern_lane_store(to + i, kern_lane_load(from + i));
}

/* Copies a source's part of one line to the pad at place; returns the place behind it. */
static uint32_t fill_part(kern_pad *pad, const line_source *source, uint32_t line,
                          uint32_t *restrict cell_rows, uint32_t place)
{
    const uint32_t *restrict rows;
    uint32_t row, row_count;

    if (source->cell_rows == NULL) {
        for (uint32_t i = 0; i < source->cell_count; i++)
            cell_rows[i] = place;
        return place;
    }
    rows = source->cell_rows + (size_t)line * source->stride;
    if (line + PREFETCH_LINES < source->line_count) {
        uint32_t soon = rows[PREFETCH_LINES * source->stride];

        for (uint32_t c = 0; c < pad->column_count; c++)
            if (source->tile->columns[c] != NULL)
                __builtin_prefetch(source->tile->columns[c] + soon);
    }
    row = rows[0];
    row_count = rows[source->cell_count] - row;
    for (uint32_t i = 0; i < source->cell_count; i++)
        cell_rows[i] = place + (rows[i] - row);
    for (uint32_t c = 0; c < pad->column_count; c++)
        if (source->tile->columns[c] != NULL)
            copy_rows(pad->columns[c] + place, source->tile->columns[c] + row, row_count);
    return place + row_count;
}

static void pad_fill(kern_pad *pad)
{
    uint32_t *cell_rows = pad->cell_rows, place = 0;

    for (uint32_t z = 0; z < pad->cells[2]; z++) {
        for (uint32_t ty = 0; ty < 3; ty++) {
            line_source source[3] = { source_of(pad, 0, ty, z), source_of(pad, 1, ty, z),
                                      source_of(pad, 2, ty, z) };

            for (uint32_t line = 0; line < source[1].line_count; line++) {
                for (uint32_t tx = 0; tx < 3; tx++) {
                    place = fill_part(pad, &source[tx], line, cell_rows, place);
                    cell_rows += source[tx].cell_count;
                }
            }
        }
    }
    *cell_rows = place;
    assert(place == pad->row_count);
    for (uint32_t c = 0; c < pad->column_count; c++)
        if (pad->halo->tiles[KERN_HALO_SELF].columns[c] == NULL)
            memset(pad->columns[c], 0, (pad->row_count + KERN_LANES) * sizeof(float));
}

static void pad_note_shifts(kern_pad *pad)
{
    for (uint32_t t = 0; t < KERN_HALO_TILES; t++) {
        const kern_tile *tile = &pad->halo->tiles[t];
        uint32_t side[3] = { t % 3, t / 3 % 3, t / 9 };
        bool shifted = false;

        for (uint32_t axis = 0; axis < 3; axis++) {
            shifted |= tile->shift[axis] != 0.0f;
            if (tile->shift[axis] > pad->shift_max)
                pad->shift_max = tile->shift[axis];
        }
        pad->seen_as[t] = (uint8_t)(shifted ? t : KERN_HALO_SELF);
        for (uint32_t axis = 0; axis < 3; axis++)
            if (shifted && side[axis] != 1)
                pad->shifted_sides[axis][side[axis] / 2] = true;
    }
}

size_t kern_pad_size(const kern_halo *halo, uint32_t column_count)
{
    kern_pad pad = { .column_count = column_count };

    pad_measure(&pad, halo);
    return pad_layout(&pad, NULL);
}

void kern_pad_init_rows(kern_pad *pad, const kern_halo *halo, uint32_t column_count, float radius,
                        void *scratch)
{
    assert(halo->tiles[KERN_HALO_SELF].cell_rows != NULL && column_count <= KERN_COLUMNS_MAX);
    *pad = (kern_pad){
        .column_count = column_count,
        .lane_count = KERN_LANES,
        .radius = radius,
    };
    pad_measure(pad, halo);
    assert(pad->row_count < INT32_MAX - KERN_LANES);
    pad_layout(pad, scratch);
    pad_fill(pad);
    pad_note_shifts(pad);
}

void kern_pad_init(kern_pad *pad, const kern_halo *halo, uint32_t column_count, float radius,
                   void *scratch)
{
    kern_pad_init_rows(pad, halo, column_count, radius, scratch);
    kern_pad_form_blocks(pad);
}
