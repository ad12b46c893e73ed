/* Short-range neighbours of one spatial tile: who is near whom, in a fixed order.
 *
 * A space has one to three axes and is cut into cells that are at least as wide as the interaction
 * radius; a tile is a box of cells. A kernel sees its tile and the up to 26 around it (a halo),
 * copies the tile and a rim one cell thick into a pad, and walks the pad block by block. A block is
 * up to KERN_LANES rows of the tile that lie close together, with the list of every row that may be
 * near one of them. The kernel's loop is then: for each candidate, all lanes at once.
 *
 *        pad, one z          the order of candidates is the pad's own: by z, y, x of the cell,
 *      o . . . . . o         then by key. Restricted to the neighbours of one row it is the order
 *      . +-------+ .         by cell offset (dz, dy, dx), then by key, whatever the tile, the
 *      . | tile  | .         block or the number of lanes; a candidate that is no neighbour of a
 *      . +-------+ .         lane's row changes no bit there (kern_lane.h). So neither tiling nor
 *      o . . . . . o         blocks can change a result.
 *
 * The distance to a candidate across a periodic edge is (x_i - x_j) - shift, in this order: exactly
 * antisymmetric, and without a shift the subtraction of 0 that is left out changes no bit. */
#ifndef KERN_CELLS_H
#define KERN_CELLS_H

#include "kernels/kern_base.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    KERN_COLUMNS_MAX = 8,
    KERN_HALO_TILES = 27,
    KERN_HALO_SELF = 13, /* the tile itself, in the middle of its halo */
};

/* One tile's rows, in canonical order: by cell, x fastest, then y, then z; inside a cell by key.
 * Columns are 64-byte aligned, readable for 64 bytes past their end, and finite. Columns 0, 1, 2
 * are x, y, z; a column that is null (there is no such axis) is read as 0. Borrowed by every
 * function below. */
typedef struct kern_tile {
    uint32_t row_count;
    uint32_t cells[3];         /* x, y, z; 1 where there is no such axis */
    const uint32_t *cell_rows; /* [cells + 1] first row of each cell; null: no tile here */
    const float *columns[KERN_COLUMNS_MAX];
    float shift[3]; /* what unwraps its positions as seen from the middle: -size, 0 or size */
} kern_tile;

/* [(dz + 1) * 9 + (dy + 1) * 3 + (dx + 1)]. Tiles on one line share the cell counts across it. A
 * periodic axis has one tile, then its own neighbour on both sides, or at least three. */
typedef struct kern_halo {
    kern_tile tiles[KERN_HALO_TILES];
} kern_halo;

/* A stretch of the candidate list whose rows are seen through the same shift. */
typedef struct kern_span {
    uint32_t begin, end; /* places in the list */
    bool shifted;        /* false: all of shift is 0 */
    bool own;            /* may hold rows of the block itself */
    float shift[3];
} kern_span;

/* Lanes from row_count on repeat the last row: what they compute is its result again. */
typedef struct kern_block {
    uint32_t row_count;         /* 1 .. KERN_LANES */
    const uint32_t *rows;       /* [KERN_LANES] in the tile */
    const uint32_t *places;     /* [KERN_LANES] the same rows in the pad */
    const uint32_t *candidates; /* places in the pad, ascending */
    uint32_t span_count;
    const kern_span *spans;
} kern_block;

typedef struct kern_cell_box {
    uint32_t low[3], high[3]; /* cells of the pad, both ends included */
} kern_cell_box;

/* Lives as long as the scratch memory and the halo that it was made from. */
typedef struct kern_pad {
    const kern_halo *halo;
    uint32_t column_count;
    uint32_t lane_count; /* KERN_LANES of the library's build */
    uint32_t cells[3];   /* the tile's and two more on each axis */
    uint32_t row_count;
    uint32_t *cell_rows; /* [cells + 1] first row of each cell of the pad */
    float *columns[KERN_COLUMNS_MAX];
    uint32_t block_count;
    uint32_t *rows, *places; /* [block_count * KERN_LANES] the tile's rows, block after block */
    kern_cell_box *boxes;    /* [block_count] the cells that a block's rows lie in */
    uint8_t seen_as[KERN_HALO_TILES]; /* the tile itself if it is shifted, else KERN_HALO_SELF */
    bool shifted_sides[3][2];         /* whether a tile beyond either end of an axis is */
    bool filtered;                    /* candidates are tested against the block's box */
    float radius;
    float shift_max;
    uint32_t *candidates; /* of the block that was asked for last */
    kern_span *spans;
} kern_pad;

/* Bytes of scratch memory that kern_pad_init needs for this halo and the first column_count columns
 * of its tiles. */
size_t kern_pad_size(const kern_halo *halo, uint32_t column_count);

/* Copies the tile and its rim into scratch (64-byte aligned) and forms the blocks. No two rows that
 * are not in the same or in adjacent cells may be within radius. */
void kern_pad_init(kern_pad *pad, const kern_halo *halo, uint32_t column_count, float radius,
                   void *scratch);

/* The two halves of it: the copy alone; then rows, places and boxes. */
void kern_pad_init_rows(kern_pad *pad, const kern_halo *halo, uint32_t column_count, float radius,
                        void *scratch);
void kern_pad_form_blocks(kern_pad *pad);

/* Which cells of a tile the pad takes along one axis, if it lies before (-1), on (0) or behind (1) the
 * middle there: its last, all, or its first. */
void kern_rim_range(const kern_tile *tile, int offset, uint32_t axis, uint32_t range[2]);

/* Describes block index < block_count; valid until the next call. Candidates hold every row within
 * radius of a row of the block, the block's own rows, and others. */
void kern_pad_block(const kern_pad *pad, uint32_t index, kern_block *block);

#endif
