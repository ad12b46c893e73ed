/* Why the result of a kernel does not depend on how this file groups rows:
 *
 *  1. The pad's cells are row-major by (z, y, x), and inside a cell the rows are by key.
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
#define FILTER_ROWS_MIN 5.0f
/* Rows of a cell up to which sorting them along x pays. */
#define SORT_ROWS_MAX 256U
/* Cells across x, on each axis, of the columns that blocks are cut from, at most. */
#define COLUMN_CELLS_MAX 8U

static uint32_t *cell_line(const kern_pad *pad, uint32_t y, uint32_t z)
{
    return pad->cell_rows + ((size_t)z * pad->cells[1] + y) * pad->cells[0];
}

/* A line of the tile's cells along x. */
typedef struct column_line {
    const uint32_t *cell_rows; /* of the tile, by the pad's x */
    uint32_t to_place;         /* what leads from a row of the tile to its place in the pad */
} column_line;

/* A box of cells, as long as the tile along x. */
typedef struct cell_column {
    kern_cell_box box;
    bool descending; /* walked from high to low x */
    uint32_t line_count;
    column_line lines[COLUMN_CELLS_MAX * COLUMN_CELLS_MAX];
} cell_column;

static void column_init(cell_column *column, const kern_pad *pad, const kern_cell_box *box,
                        bool descending)
{
    const kern_tile *tile = &pad->halo->tiles[KERN_HALO_SELF];

    column->box = *box;
    column->descending = descending;
    column->line_count = 0;
    for (uint32_t z = box->low[2]; z <= box->high[2]; z++) {
        for (uint32_t y = box->low[1]; y <= box->high[1]; y++) {
            column_line *line = &column->lines[column->line_count++];
            size_t cell = ((size_t)(z - 1) * tile->cells[1] + (y - 1)) * tile->cells[0];

            line->cell_rows = tile->cell_rows + cell - 1;
            line->to_place = cell_line(pad, y, z)[1] - tile->cell_rows[cell];
        }
    }
}

/* Where the rows of the tile are being put in the order of their blocks. */
typedef struct block_cursor {
    uint32_t row_count; /* put so far */
    uint32_t first;     /* of them, in blocks that are full */
    kern_cell_box box;  /* of the block that is not */
} block_cursor;

static const kern_cell_box box_empty = { { UINT32_MAX, UINT32_MAX, UINT32_MAX }, { 0, 0, 0 } };

static void box_widen(kern_cell_box *box, const kern_cell_box *by)
{
    for (uint32_t axis = 0; axis < 3; axis++) {
        box->low[axis] = by->low[axis] < box->low[axis] ? by->low[axis] : box->low[axis];
        box->high[axis] = by->high[axis] > box->high[axis] ? by->high[axis] : box->high[axis];
    }
}

/* Four numbers at once: most cells hold fewer rows where cells are put together in columns. */
typedef uint32_t four __attribute__((vector_size(16)));

static void put_count_up(uint32_t *to, uint32_t from)
{
    four numbers = from + (four){ 0, 1, 2, 3 };

    memcpy(to, &numbers, sizeof numbers);
}

static void put_rows(kern_pad *pad, uint32_t at, uint32_t row, uint32_t place, uint32_t n)
{
    uint32_t i = 0;

    do {
        put_count_up(pad->rows + at + i, row + i);
        put_count_up(pad->places + at + i, place + i);
        i += 4;
    } while (i < n);
}

/* Puts one cell's rows in the order of x, or against it: a row's rank is the number of rows before
 * it. The low bits of a position make way for the row's number, so that no two are equal; it is
 * only a grouping. */
static void put_rows_sorted(kern_pad *pad, uint32_t at, uint32_t row, uint32_t place, uint32_t n,
                            bool descending)
{
    const float *x = pad->columns[0] + place;
    uint32_t rank[KERN_LANES];
    int32_t key[SORT_ROWS_MAX + KERN_LANES];

    for (uint32_t i = 0; i < n; i += KERN_LANES) {
        kern_i32v bits = (kern_i32v)kern_lane_load(x + i) & ~(int32_t)(SORT_ROWS_MAX - 1);

        bits |= kern_lane_set_index(i) + kern_lane_index();
        bits = descending ? -bits : bits;
        memcpy(key + i, &bits, sizeof bits);
    }
    for (uint32_t i = 0; i < n; i += KERN_LANES) {
        kern_i32v mine, before = { 0 };

        memcpy(&mine, key + i, sizeof mine);
        for (uint32_t j = 0; j < n; j++)
            before -= (kern_i32v)(key[j] < mine);
        kern_lane_store_index(rank, before);
        for (uint32_t j = i; j < n && j < i + KERN_LANES; j++) {
            pad->rows[at + rank[j - i]] = row + j;
            pad->places[at + rank[j - i]] = place + j;
        }
    }
}

/* Puts the rows of a column's cells at one x; returns how many there are. */
static uint32_t put_layer(kern_pad *pad, const cell_column *column, uint32_t x, uint32_t at)
{
    uint32_t before = at;

    for (uint32_t i = 0; i < column->line_count; i++) {
        const column_line *line = &column->lines[i];
        uint32_t row = line->cell_rows[x], n = line->cell_rows[x + 1] - row;
        uint32_t place = row + line->to_place;

        if (column->line_count == 1 && n <= SORT_ROWS_MAX)
            put_rows_sorted(pad, at, row, place, n, column->descending);
        else
            put_rows(pad, at, row, place, n);
        at += n;
    }
    return at - before;
}

/* Closes the blocks that are full when a layer's rows have been put. */
static void close_blocks(kern_pad *pad, block_cursor *cursor, const kern_cell_box *layer)
{
    box_widen(&cursor->box, layer);
    while (cursor->row_count - cursor->first >= KERN_LANES) {
        pad->boxes[pad->block_count++] = cursor->box;
        cursor->first += KERN_LANES;
        cursor->box = cursor->row_count > cursor->first ? *layer : box_empty;
    }
}

static void put_column(kern_pad *pad, const cell_column *column, block_cursor *cursor)
{
    kern_cell_box layer = column->box;
    uint32_t count = column->box.high[0] - column->box.low[0] + 1, rows;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t x = column->descending ? column->box.high[0] - i : column->box.low[0] + i;

        rows = put_layer(pad, column, x, cursor->row_count);
        if (rows > 0) {
            cursor->row_count += rows;
            layer.low[0] = layer.high[0] = x;
            close_blocks(pad, cursor, &layer);
        }
    }
}

/* Closes the last block; its free lanes repeat the last row. */
static void close_last_block(kern_pad *pad, const block_cursor *cursor)
{
    uint32_t last = cursor->row_count - 1;

    if (cursor->row_count > cursor->first)
        pad->boxes[pad->block_count++] = cursor->box;
    for (uint32_t i = cursor->row_count; i < pad->block_count * KERN_LANES; i++) {
        pad->rows[i] = pad->rows[last];
        pad->places[i] = pad->places[last];
    }
}

/* How many cells wide, across x, the columns of cells are along which blocks are cut: as many as
 * make the box of a block and its neighbours smallest. A block's rows begin and end anywhere in a
 * cell, so it touches 0.8 cells more than it is long. */
static void column_width(const uint32_t cells[3], float cell_rows_mean, uint32_t width[2])
{
    float best = 0.0f;

    width[0] = width[1] = 0;
    for (uint32_t w = 1; w <= COLUMN_CELLS_MAX; w++) {
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

/* Columns are walked there and back again, so that a block which ends one and begins the next is
 * compact too. */
void kern_pad_form_blocks(kern_pad *pad)
{
    const kern_tile *tile = &pad->halo->tiles[KERN_HALO_SELF];
    const uint32_t *cells = tile->cells;
    float mean = (float)tile->row_count / ((float)cells[0] * (float)cells[1] * (float)cells[2]);
    block_cursor cursor = { .box = box_empty };
    uint32_t width[2], count_y, count_z, turn = 0;
    cell_column column;

    pad->block_count = 0;
    if (tile->row_count == 0)
        return;
    column_width(cells, mean, width);
    count_y = (cells[1] + width[0] - 1) / width[0];
    count_z = (cells[2] + width[1] - 1) / width[1];
    for (uint32_t iz = 0; iz < count_z; iz++) {
        for (uint32_t jy = 0; jy < count_y; jy++) {
            uint32_t iy = iz % 2 == 0 ? jy : count_y - 1 - jy;
            kern_cell_box box = {
                .low = { 1, 1 + iy * cells[1] / count_y, 1 + iz * cells[2] / count_z },
                .high = { cells[0], (iy + 1) * cells[1] / count_y, (iz + 1) * cells[2] / count_z },
            };

            column_init(&column, pad, &box, turn++ % 2 == 1);
            put_column(pad, &column, &cursor);
        }
    }
    assert(cursor.row_count == tile->row_count);
    close_last_block(pad, &cursor);
    mean *= 2.8f + KERN_LANES / (mean * (float)(width[0] * width[1]));
    pad->filtered = mean >= FILTER_ROWS_MIN;
}

/* The box of a block's positions, and how far from it a neighbour can be. */
typedef struct position_box {
    float low[3], high[3];
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
        kern_real at = kern_lane_gather(pad->columns[axis], block->places);

        box.low[axis] = kern_lane_least(at);
        box.high[axis] = -kern_lane_least(-at);
        size = box.high[axis] > size ? box.high[axis] : size;
    }
    size += pad->radius + pad->shift_max;
    reach = (pad->radius + size * 0x1p-19f) * (1.0f + 0x1p-19f);
    box.distance_max_squared = reach * reach;
    return box;
}

/* The box as rows see it whose positions are unwrapped by shift. */
static position_box box_shifted(const position_box *box, const float shift[3])
{
    position_box moved = *box;

    for (uint32_t axis = 0; axis < 3; axis++) {
        moved.low[axis] -= shift[axis];
        moved.high[axis] -= shift[axis];
    }
    return moved;
}

/* How far positions are outside of the box along one axis, and on which side. */
KERN_FN kern_real beyond(const float *column, float low, float high)
{
    kern_real at = kern_lane_load(column);

    return at - kern_lane_min(kern_lane_max(at, kern_lane_set(low)), kern_lane_set(high));
}

/* Appends the rows of [begin, end) that are near the box; returns the new length of the list. */
KERN_FN uint32_t list_near(const kern_pad *pad, uint32_t begin, uint32_t end,
                           const position_box *box, uint32_t length)
{
    const float *x = pad->columns[0], *y = pad->columns[1], *z = pad->columns[2];
    const position_box near = *box;
    kern_i32v places = kern_lane_set_index(begin) + kern_lane_index();
    uint32_t *candidates = pad->candidates + length;

    for (uint32_t i = begin; i < end; i += KERN_LANES) {
        kern_real dx = beyond(x + i, near.low[0], near.high[0]);
        kern_real dy = beyond(y + i, near.low[1], near.high[1]);
        kern_real dz = beyond(z + i, near.low[2], near.high[2]);
        kern_real square = kern_lane_fma(dz, dz, kern_lane_fma(dy, dy, dx * dx));
        kern_mask kept = kern_lane_lt(square, kern_lane_set(near.distance_max_squared));

        candidates += kern_lane_compress_index(candidates, kept, places, end - i);
        places += KERN_LANES;
    }
    return (uint32_t)(candidates - pad->candidates);
}

KERN_FN uint32_t list_all(const kern_pad *pad, uint32_t begin, uint32_t end, uint32_t length)
{
    uint32_t *candidates = pad->candidates + length, i = 0;

    do {
        kern_lane_store_index(candidates + i, kern_lane_set_index(begin + i) + kern_lane_index());
        i += KERN_LANES;
    } while (i < end - begin);
    return length + (end - begin);
}

/* The list of a block that sees nothing through a shift. Its own rows are between those of its
 * first and of its last line. */
static void list_plain(const kern_pad *pad, kern_block *block, const kern_cell_box *box,
                       const position_box *near)
{
    uint32_t begin = box->low[0] - 1, end = box->high[0] + 2;
    uint32_t length = 0, own_begin = 0, own_end = 0;

    for (uint32_t z = box->low[2] - 1; z <= box->high[2] + 1; z++) {
        const uint32_t *line = cell_line(pad, box->low[1] - 1, z);

        for (uint32_t y = box->low[1] - 1; y <= box->high[1] + 1; y++) {
            if (y == box->low[1] && z == box->low[2])
                own_begin = length;
            length = near == NULL ? list_all(pad, line[begin], line[end], length)
                                  : list_near(pad, line[begin], line[end], near, length);
            if (y == box->high[1] && z == box->high[2])
                own_end = length;
            line += pad->cells[0];
        }
    }
    pad->spans[0] = (kern_span){ .end = own_begin };
    pad->spans[1] = (kern_span){ .begin = own_begin, .end = own_end, .own = true };
    pad->spans[2] = (kern_span){ .begin = own_end, .end = length };
    block->span_count = 3;
}

/* Appends a run of the pad that is seen through the shift of one tile. */
static void list_run(const kern_pad *pad, kern_block *block, const position_box *near, bool own,
                     const uint32_t ends[2], uint32_t tile)
{
    const float *shift = pad->halo->tiles[tile].shift;
    kern_span *span = pad->spans + block->span_count;
    uint32_t begin = block->span_count == 0 ? 0 : span[-1].end, end;
    position_box moved;

    if (near == NULL) {
        end = list_all(pad, ends[0], ends[1], begin);
    } else {
        moved = box_shifted(near, shift);
        end = list_near(pad, ends[0], ends[1], &moved, begin);
    }
    if (block->span_count > 0 && span[-1].own == own &&
        memcmp(span[-1].shift, shift, sizeof span->shift) == 0) {
        span[-1].end = end;
        return;
    }
    *span = (kern_span){
        .begin = begin,
        .end = end,
        .shifted = tile != KERN_HALO_SELF,
        .own = own,
        .shift = { shift[0], shift[1], shift[2] },
    };
    block->span_count++;
}

/* Which of three tiles in a row a cell of the pad belongs to: 0, 1 or 2. */
static uint32_t tile_of(const kern_pad *pad, uint32_t axis, uint32_t cell)
{
    return cell == 0 ? 0 : cell + 1 == pad->cells[axis] ? 2 : 1;
}

/* The runs of one line: up to three, where the pad's rim is seen through another shift. */
static void list_line(const kern_pad *pad, kern_block *block, const kern_cell_box *box,
                      const position_box *near, uint32_t y, uint32_t z)
{
    const uint32_t *line = cell_line(pad, y, z);
    const uint8_t *seen_as = pad->seen_as + tile_of(pad, 2, z) * 9 + tile_of(pad, 1, y) * 3;
    uint32_t low = box->low[0] - 1, high = box->high[0] + 2, number = z * pad->cells[1] + y;
    uint32_t inner_low = low == 0 && seen_as[0] != seen_as[1] ? 1 : low;
    uint32_t inner_high = high == pad->cells[0] && seen_as[2] != seen_as[1] ? high - 1 : high;
    bool own = number >= box->low[2] * pad->cells[1] + box->low[1] &&
               number <= box->high[2] * pad->cells[1] + box->high[1];

    if (low < inner_low)
        list_run(pad, block, near, own, (uint32_t[]){ line[low], line[inner_low] }, seen_as[0]);
    list_run(pad, block, near, own, (uint32_t[]){ line[inner_low], line[inner_high] }, seen_as[1]);
    if (inner_high < high)
        list_run(pad, block, near, own, (uint32_t[]){ line[inner_high], line[high] }, seen_as[2]);
}

/* Whether any cell next to the box's is seen through a shift. */
static bool box_sees_shifts(const kern_pad *pad, const kern_cell_box *box)
{
    bool sees = false;

    for (uint32_t axis = 0; axis < 3; axis++) {
        sees |= box->low[axis] == 1 && pad->shifted_sides[axis][0];
        sees |= box->high[axis] + 2 == pad->cells[axis] && pad->shifted_sides[axis][1];
    }
    return sees;
}

void kern_pad_block(const kern_pad *pad, uint32_t index, kern_block *block)
{
    const kern_cell_box *box = &pad->boxes[index];
    uint32_t first = index * KERN_LANES;
    uint32_t left = pad->halo->tiles[KERN_HALO_SELF].row_count - first;
    position_box around, *near = NULL;

    assert(index < pad->block_count);
    *block = (kern_block){
        .row_count = left < KERN_LANES ? left : KERN_LANES,
        .rows = pad->rows + first,
        .places = pad->places + first,
        .candidates = pad->candidates,
        .spans = pad->spans,
    };
    if (pad->filtered) {
        around = block_position_box(pad, block);
        near = &around;
    }
    if (!box_sees_shifts(pad, box)) {
        list_plain(pad, block, box, near);
        return;
    }
    for (uint32_t z = box->low[2] - 1; z <= box->high[2] + 1; z++)
        for (uint32_t y = box->low[1] - 1; y <= box->high[1] + 1; y++)
            list_line(pad, block, box, near, y, z);
}
