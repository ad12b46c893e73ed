/* Why the result of a kernel does not depend on how this file groups rows:
 *
 *  1. The pad holds the tile's cells and their rim, row-major by (z, y, x), and inside a cell the
 *     rows by key, because every tile does.
 *  2. A block's candidates are runs of the pad, taken by ascending z, then y, then x. So the list
 *     ascends in the pad, whatever the block's box is.
 *  3. All neighbours of each row are in the list: the box of cells is widened by one on every side,
 *     and the filter drops only rows that are farther than radius from the box of positions.
 *  4. Hence each lane meets its row's neighbours in the pad's order, which is the order by
 *     (dz, dy, dx), then key; and what else it meets changes nothing. */
#include "kernels/kern_cells.h"

#include "kernels/kern_lane.h"

#include <assert.h>
#include <string.h>

/* Rows of a run of cells (x, from the low to the high end of a block and one more on both sides)
 * above which testing candidates one vector at a time costs less than carrying them along. */
#define FILTER_ROWS_MIN 8.0f
/* Rows of a cell up to which sorting them along x pays. */
#define SORT_ROWS_MAX 256U

static uint32_t *cell_line(const kern_pad *pad, uint32_t y, uint32_t z)
{
    return pad->cell_rows + ((size_t)z * pad->cells[1] + y) * pad->cells[0];
}

/* Which of three tiles in a row a cell of the pad belongs to: 0, 1 or 2. */
static uint32_t tile_of(const kern_pad *pad, uint32_t axis, uint32_t cell)
{
    return cell == 0 ? 0 : cell + 1 == pad->cells[axis] ? 2 : 1;
}

/* A part of a line of cells along x that comes from one tile. */
typedef struct pad_part {
    const kern_tile *tile;
    uint32_t cell_count;
    const uint32_t *cell_rows; /* [cell_count + 1]; null: no such tile */
} pad_part;

static pad_part part_of_line(const kern_pad *pad, uint32_t tx, uint32_t y, uint32_t z)
{
    uint32_t ty = tile_of(pad, 1, y), tz = tile_of(pad, 2, z);
    const kern_tile *tile = &pad->halo->tiles[tz * 9 + ty * 3 + tx];
    pad_part part = { .tile = tile, .cell_count = tx == 1 ? pad->cells[0] - 2 : 1 };
    uint32_t cell;

    if (tile->cell_rows != NULL) {
        cell = tz == 0 ? tile->cells[2] - 1 : tz == 1 ? z - 1 : 0;
        cell = cell * tile->cells[1] + (ty == 0 ? tile->cells[1] - 1 : ty == 1 ? y - 1 : 0);
        cell = cell * tile->cells[0] + (tx == 0 ? tile->cells[0] - 1 : 0);
        part.cell_rows = tile->cell_rows + cell;
    }
    return part;
}

static uint32_t pad_fill_cells(kern_pad *pad)
{
    uint32_t place = 0;

    for (uint32_t z = 0; z < pad->cells[2]; z++) {
        for (uint32_t y = 0; y < pad->cells[1]; y++) {
            uint32_t *to = cell_line(pad, y, z);

            for (uint32_t tx = 0; tx < 3; tx++) {
                pad_part part = part_of_line(pad, tx, y, z);

                for (uint32_t i = 0; i < part.cell_count; i++)
                    to[i] = part.cell_rows == NULL
                                ? place
                                : place + (part.cell_rows[i] - part.cell_rows[0]);
                if (part.cell_rows != NULL)
                    place += part.cell_rows[part.cell_count] - part.cell_rows[0];
                to += part.cell_count;
            }
        }
    }
    *cell_line(pad, 0, pad->cells[2]) = place;
    return place;
}

/* May read and write up to a vector behind the last row. */
static void copy_rows(float *restrict to, const float *restrict from, uint32_t row_count)
{
    for (uint32_t i = 0; i < row_count; i += KERN_LANES)
        kern_store(to + i, kern_load(from + i));
}

static void pad_fill_columns(kern_pad *pad)
{
    uint32_t place = 0, row_count, row;

    for (uint32_t z = 0; z < pad->cells[2]; z++) {
        for (uint32_t y = 0; y < pad->cells[1]; y++) {
            for (uint32_t tx = 0; tx < 3; tx++) {
                pad_part part = part_of_line(pad, tx, y, z);

                if (part.cell_rows == NULL)
                    continue;
                row = part.cell_rows[0];
                row_count = part.cell_rows[part.cell_count] - row;
                for (uint32_t c = 0; c < pad->column_count; c++)
                    if (part.tile->columns[c] != NULL)
                        copy_rows(pad->columns[c] + place, part.tile->columns[c] + row, row_count);
                place += row_count;
            }
        }
    }
    assert(place == pad->row_count);
    for (uint32_t c = 0; c < pad->column_count; c++)
        if (pad->halo->tiles[KERN_HALO_SELF].columns[c] == NULL)
            memset(pad->columns[c], 0, (pad->row_count + KERN_LANES) * sizeof(float));
}

/* Where the rows of the tile are being put in the order of their blocks. */
typedef struct block_cursor {
    uint32_t row_count;   /* put so far */
    uint32_t first;       /* of them, in blocks that are full */
    kern_cell_box box;    /* of the block that is not */
} block_cursor;

static const kern_cell_box box_empty = { { UINT32_MAX, UINT32_MAX, UINT32_MAX }, { 0, 0, 0 } };

static void box_widen(kern_cell_box *box, const kern_cell_box *by)
{
    for (uint32_t axis = 0; axis < 3; axis++) {
        box->low[axis] = by->low[axis] < box->low[axis] ? by->low[axis] : box->low[axis];
        box->high[axis] = by->high[axis] > box->high[axis] ? by->high[axis] : box->high[axis];
    }
}

static void put_rows(kern_pad *pad, block_cursor *cursor, uint32_t row, uint32_t place, uint32_t n)
{
    uint32_t at = cursor->row_count;

    kern_store_index(pad->rows + at, kern_set_index(row) + kern_lane_index());
    kern_store_index(pad->places + at, kern_set_index(place) + kern_lane_index());
    for (uint32_t i = KERN_LANES; i < n; i += KERN_LANES) {
        kern_store_index(pad->rows + at + i, kern_set_index(row + i) + kern_lane_index());
        kern_store_index(pad->places + at + i, kern_set_index(place + i) + kern_lane_index());
    }
    cursor->row_count += n;
}

/* Puts one cell's rows in the order of x, or against it: a row's rank is the number of rows before
 * it. The low bits of a position make way for the row's number, so that no two are equal; it is
 * only a grouping. */
static void put_rows_sorted(kern_pad *pad, block_cursor *cursor, uint32_t row, uint32_t place,
                            uint32_t n, bool descending)
{
    const float *x = pad->columns[0] + place;
    uint32_t at = cursor->row_count, rank[KERN_LANES];
    int32_t key[SORT_ROWS_MAX + KERN_LANES];

    for (uint32_t i = 0; i < n; i += KERN_LANES) {
        kern_i32v bits = (kern_i32v)kern_load(x + i) & ~(int32_t)(SORT_ROWS_MAX - 1);

        bits |= kern_set_index(i) + kern_lane_index();
        bits = descending ? -bits : bits;
        memcpy(key + i, &bits, sizeof bits);
    }
    for (uint32_t i = 0; i < n; i += KERN_LANES) {
        kern_i32v mine, before = { 0 };

        memcpy(&mine, key + i, sizeof mine);
        for (uint32_t j = 0; j < n; j++)
            before -= (kern_i32v)(key[j] < mine);
        kern_store_index(rank, before);
        for (uint32_t j = i; j < n && j < i + KERN_LANES; j++) {
            pad->rows[at + rank[j - i]] = row + j;
            pad->places[at + rank[j - i]] = place + j;
        }
    }
    cursor->row_count += n;
}

/* Puts the rows of a flat layer of cells, one cell thick in x, and closes the blocks that it
 * fills. */
static void put_layer(kern_pad *pad, block_cursor *cursor, const kern_cell_box *layer,
                      bool descending)
{
    const kern_tile *tile = &pad->halo->tiles[KERN_HALO_SELF];
    uint32_t before = cursor->row_count, x = layer->low[0];
    bool single = layer->low[1] == layer->high[1] && layer->low[2] == layer->high[2];

    for (uint32_t z = layer->low[2]; z <= layer->high[2]; z++) {
        for (uint32_t y = layer->low[1]; y <= layer->high[1]; y++) {
            const uint32_t *rows = tile->cell_rows +
                                   ((size_t)(z - 1) * tile->cells[1] + (y - 1)) * tile->cells[0] +
                                   (x - 1);
            uint32_t n = rows[1] - rows[0], place = cell_line(pad, y, z)[x];

            if (single && n > 1 && n <= SORT_ROWS_MAX)
                put_rows_sorted(pad, cursor, rows[0], place, n, descending);
            else
                put_rows(pad, cursor, rows[0], place, n);
        }
    }
    if (cursor->row_count == before)
        return;
    box_widen(&cursor->box, layer);
    while (cursor->row_count - cursor->first >= KERN_LANES) {
        pad->boxes[pad->block_count++] = cursor->box;
        cursor->first += KERN_LANES;
        cursor->box = cursor->row_count > cursor->first ? *layer : box_empty;
    }
}

/* How many cells wide, across x, the columns of cells are along which blocks are cut: as many as
 * make the box of a block and its neighbours smallest. */
static void column_width(const uint32_t cells[3], float cell_rows_mean, uint32_t width[2])
{
    float best = 0.0f;

    width[0] = width[1] = 0;
    for (uint32_t w = 1; w <= 8; w++) {
        uint32_t wy = w < cells[1] ? w : cells[1], wz = w < cells[2] ? w : cells[2];
        float length = KERN_LANES / (cell_rows_mean * (float)(wy * wz));
        float box = (float)((wy + 2) * (wz + 2)) * (length + 2.8f);

        if (width[0] == 0 || box < best) {
            best = box;
            width[0] = wy;
            width[1] = wz;
        }
    }
}

/* Walks the tile's cells there and back again, so that a block which ends one column and begins the
 * next is compact too. */
static void pad_form_blocks(kern_pad *pad)
{
    const kern_tile *tile = &pad->halo->tiles[KERN_HALO_SELF];
    const uint32_t *cells = tile->cells;
    float mean = (float)tile->row_count / ((float)cells[0] * (float)cells[1] * (float)cells[2]);
    block_cursor cursor = { .box = box_empty };
    uint32_t width[2], count_y, count_z, column = 0;

    if (tile->row_count == 0)
        return;
    column_width(cells, mean, width);
    count_y = (cells[1] + width[0] - 1) / width[0];
    count_z = (cells[2] + width[1] - 1) / width[1];
    for (uint32_t iz = 0; iz < count_z; iz++) {
        for (uint32_t jy = 0; jy < count_y; jy++) {
            uint32_t iy = iz % 2 == 0 ? jy : count_y - 1 - jy;
            bool back = column++ % 2 == 1;
            kern_cell_box layer = {
                .low = { 0, 1 + iy * cells[1] / count_y, 1 + iz * cells[2] / count_z },
                .high = { 0, (iy + 1) * cells[1] / count_y, (iz + 1) * cells[2] / count_z },
            };

            for (uint32_t jx = 0; jx < cells[0]; jx++) {
                layer.low[0] = layer.high[0] = back ? cells[0] - jx : 1 + jx;
                put_layer(pad, &cursor, &layer, back);
            }
        }
    }
    assert(cursor.row_count == tile->row_count);
    if (cursor.row_count > cursor.first)
        pad->boxes[pad->block_count++] = cursor.box;
    for (uint32_t i = cursor.row_count; i < pad->block_count * KERN_LANES; i++) {
        pad->rows[i] = pad->rows[cursor.row_count - 1];
        pad->places[i] = pad->places[cursor.row_count - 1];
    }
    mean *= 2.8f + KERN_LANES / (mean * (float)(width[0] * width[1]));
    pad->filtered = mean >= FILTER_ROWS_MIN;
}

/* Takes size bytes of scratch memory; with a null scratch it only counts. */
static void *take(void *scratch, size_t *used, size_t size)
{
    void *at = scratch == NULL ? NULL : (char *)scratch + *used;

    *used += (size + 63) / 64 * 64;
    return at;
}

static size_t pad_layout_cells(kern_pad *pad, const kern_halo *halo, void *scratch)
{
    size_t used = 0, cell_count = 1;

    pad->halo = halo;
    for (uint32_t axis = 0; axis < 3; axis++) {
        pad->cells[axis] = halo->tiles[KERN_HALO_SELF].cells[axis] + 2;
        cell_count *= pad->cells[axis];
    }
    pad->cell_rows = take(scratch, &used, (cell_count + 1) * sizeof(uint32_t));
    return used;
}

/* Vectors are written at any place, so everything has room for one more. */
static size_t pad_layout_rows(kern_pad *pad, void *scratch, size_t used)
{
    size_t rows = pad->halo->tiles[KERN_HALO_SELF].row_count;
    size_t blocks = (rows + KERN_LANES - 1) / KERN_LANES;
    size_t parts = (size_t)pad->cells[1] * pad->cells[2] * 3;
    size_t row_size = (pad->row_count + KERN_LANES) * sizeof(float);

    for (uint32_t c = 0; c < pad->column_count; c++)
        pad->columns[c] = take(scratch, &used, row_size);
    pad->rows = take(scratch, &used, (rows + 2 * KERN_LANES) * sizeof(uint32_t));
    pad->places = take(scratch, &used, (rows + 2 * KERN_LANES) * sizeof(uint32_t));
    pad->boxes = take(scratch, &used, blocks * sizeof *pad->boxes);
    pad->candidates = take(scratch, &used, row_size);
    pad->spans = take(scratch, &used, parts * sizeof *pad->spans);
    return used;
}

static uint32_t pad_count_rows(const kern_pad *pad)
{
    uint32_t row_count = 0;

    for (uint32_t z = 0; z < pad->cells[2]; z++) {
        for (uint32_t y = 0; y < pad->cells[1]; y++) {
            for (uint32_t tx = 0; tx < 3; tx++) {
                pad_part part = part_of_line(pad, tx, y, z);

                if (part.cell_rows != NULL)
                    row_count += part.cell_rows[part.cell_count] - part.cell_rows[0];
            }
        }
    }
    return row_count;
}

size_t kern_pad_size(const kern_halo *halo, uint32_t column_count)
{
    kern_pad pad = { .column_count = column_count };
    size_t used = pad_layout_cells(&pad, halo, NULL);

    pad.row_count = pad_count_rows(&pad);
    return pad_layout_rows(&pad, NULL, used);
}

void kern_pad_init(kern_pad *pad, const kern_halo *halo, uint32_t column_count, float radius,
                   void *scratch)
{
    size_t used;

    assert(halo->tiles[KERN_HALO_SELF].cell_rows != NULL && column_count <= KERN_COLUMNS_MAX);
    *pad = (kern_pad){
        .column_count = column_count,
        .lane_count = KERN_LANES,
        .radius = radius,
    };
    used = pad_layout_cells(pad, halo, scratch);
    pad->row_count = pad_fill_cells(pad);
    assert(pad->row_count < INT32_MAX - KERN_LANES);
    pad_layout_rows(pad, scratch, used);
    pad_fill_columns(pad);
    for (uint32_t t = 0; t < KERN_HALO_TILES; t++) {
        const float *shift = halo->tiles[t].shift;
        bool shifted = shift[0] != 0.0f || shift[1] != 0.0f || shift[2] != 0.0f;

        pad->seen_as[t] = (uint8_t)(shifted ? t : KERN_HALO_SELF);
        pad->shifted |= shifted && halo->tiles[t].cell_rows != NULL;
        for (uint32_t axis = 0; axis < 3; axis++)
            if (shift[axis] > pad->shift_max)
                pad->shift_max = shift[axis];
    }
    pad_form_blocks(pad);
}

/* The box of a block's positions, as middle and half width, and the greatest distance from it. */
typedef struct position_box {
    float middle[3], half[3];
    float distance_max_squared;
} position_box;

/* The filter may keep a row too many, never drop one too many. Both it and the kernel compute a
 * distance along an axis in a few operations on numbers of at most `size` (positions, shifted
 * positions and their differences), each of which is off by at most 2^-24 of that; 2^-19 covers
 * them all, on three axes, and the factor covers the squares. */
static position_box block_position_box(const kern_pad *pad, const kern_block *block)
{
    position_box box;
    float size = 0.0f, reach;

    for (uint32_t axis = 0; axis < 3; axis++) {
        const float *column = pad->columns[axis];
        float low = column[block->places[0]], high = low;

        for (uint32_t i = 1; i < KERN_LANES; i++) {
            float at = column[block->places[i]];

            low = at < low ? at : low;
            high = at > high ? at : high;
        }
        box.middle[axis] = 0.5f * (low + high);
        box.half[axis] = high - box.middle[axis] > box.middle[axis] - low
                             ? high - box.middle[axis]
                             : box.middle[axis] - low;
        size = high > size ? high : size;
    }
    size += pad->radius + pad->shift_max;
    reach = (pad->radius + size * 0x1p-19f) * (1.0f + 0x1p-19f);
    box.distance_max_squared = reach * reach;
    return box;
}

static kern_real beyond(const float *column, float middle, float half)
{
    kern_real from_middle = kern_load(column) - kern_set(middle);
    kern_real gap = kern_max(from_middle, -from_middle) - kern_set(half);

    return kern_max(gap, kern_set(0.0f));
}

/* Appends the rows of [begin, end) that are near the box; returns the new length of the list. */
static uint32_t list_near(const kern_pad *pad, uint32_t begin, uint32_t end,
                          const position_box *box, uint32_t length)
{
    for (uint32_t i = begin; i < end; i += KERN_LANES) {
        kern_real dx = beyond(pad->columns[0] + i, box->middle[0], box->half[0]);
        kern_real dy = beyond(pad->columns[1] + i, box->middle[1], box->half[1]);
        kern_real dz = beyond(pad->columns[2] + i, box->middle[2], box->half[2]);
        kern_real square = kern_fma(dz, dz, kern_fma(dy, dy, dx * dx));
        kern_mask near = kern_lt_if(kern_first_lanes(end - i), square,
                                    kern_set(box->distance_max_squared));

        length += kern_compress_index(pad->candidates + length, near,
                                      kern_set_index(i) + kern_lane_index());
    }
    return length;
}

static uint32_t list_all(const kern_pad *pad, uint32_t begin, uint32_t end, uint32_t length)
{
    for (uint32_t i = begin; i < end; i += KERN_LANES)
        kern_store_index(pad->candidates + length + (i - begin),
                         kern_set_index(i) + kern_lane_index());
    return length + (end - begin);
}

/* Appends a run of the pad that is seen through the shift of one tile. */
static void list_run(kern_pad *pad, kern_block *block, const position_box *box, uint32_t begin,
                     uint32_t end, uint32_t tile)
{
    const float *shift = pad->halo->tiles[tile].shift;
    kern_span *span = pad->spans + block->span_count;
    uint32_t length = block->span_count == 0 ? 0 : span[-1].end;
    position_box moved;

    if (!pad->filtered) {
        length = list_all(pad, begin, end, length);
    } else if (tile == KERN_HALO_SELF) {
        length = list_near(pad, begin, end, box, length);
    } else {
        moved = *box;
        for (uint32_t axis = 0; axis < 3; axis++)
            moved.middle[axis] -= shift[axis];
        length = list_near(pad, begin, end, &moved, length);
    }
    if (block->span_count > 0 && memcmp(span[-1].shift, shift, sizeof span->shift) == 0)
        span--;
    else
        block->span_count++;
    span->end = length;
    span->shifted = tile != KERN_HALO_SELF;
    memcpy(span->shift, shift, sizeof span->shift);
}

static void list_line(kern_pad *pad, kern_block *block, const position_box *near,
                      const kern_cell_box *box, uint32_t y, uint32_t z)
{
    const uint32_t *line = cell_line(pad, y, z);
    const uint8_t *tiles = pad->seen_as + tile_of(pad, 2, z) * 9 + tile_of(pad, 1, y) * 3;
    uint32_t begin = box->low[0] - 1, end = box->high[0] + 2, inner = end;

    if (!pad->shifted) {
        list_run(pad, block, near, line[begin], line[end], KERN_HALO_SELF);
        return;
    }
    if (begin == 0) {
        list_run(pad, block, near, line[0], line[1], tiles[0]);
        begin = 1;
    }
    if (end == pad->cells[0])
        inner--;
    list_run(pad, block, near, line[begin], line[inner], tiles[1]);
    if (inner < end)
        list_run(pad, block, near, line[inner], line[end], tiles[2]);
}

void kern_pad_block(kern_pad *pad, uint32_t index, kern_block *block)
{
    const kern_cell_box *box = &pad->boxes[index];
    uint32_t first = index * KERN_LANES;
    uint32_t left = pad->halo->tiles[KERN_HALO_SELF].row_count - first;
    position_box near = { .distance_max_squared = 0.0f };

    assert(index < pad->block_count);
    *block = (kern_block){
        .row_count = left < KERN_LANES ? left : KERN_LANES,
        .rows = pad->rows + first,
        .places = pad->places + first,
        .candidates = pad->candidates,
        .spans = pad->spans,
    };
    if (pad->filtered)
        near = block_position_box(pad, block);
    for (uint32_t z = box->low[2] - 1; z <= box->high[2] + 1; z++)
        for (uint32_t y = box->low[1] - 1; y <= box->high[1] + 1; y++)
            list_line(pad, block, &near, box, y, z);
}
