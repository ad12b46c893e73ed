/* Lists of neighbours that are kept for several steps: for each row of a tile, everyone who was within
 * reach when the list was made, in the order in which the pad (kern_cells.h) would meet them. Whoever
 * walks a list while nobody has come farther than the reach allows, and leaves out those who are not
 * within the radius now, adds the same numbers in the same order as by the pad.
 *
 * A list points to records, KERN_RECORD_SIZE bytes for each row: first those of the tile, by row, then
 * those of the rim that are in any list, the *ghosts*, in runs of rows that follow each other, tile by tile
 * of the halo; then the record of *nobody*, who is too far from everyone and fills lists up. A run lies in one
 * line of cells of the rim (along x), and is ranked by the rows of the rim before it, so that it can be found
 * where the tile's other cells hold other rows.
 *
 *   list   | 8 of row 0 | 8 of row 1 | 8 of row 0 | 8 of row 1 | 8 of row 2 | 8 of row 3 | ...
 *          first[0]                                            first[1]                  first[2]
 *
 * Two rows have their lists together, eight by eight and filled up to the same length, so that one is summed
 * while the other's sums wait for each other. Behind an odd number of rows comes one that sees nobody. */
#ifndef KERN_NEAR_H
#define KERN_NEAR_H

#include "kernels/kern_cells.h"

enum {
    KERN_RECORD_SIZE = 32,
    KERN_NEAR_UNIT = 8, /* bytes: what an entry of a list counts, for x86 multiplies by 8 as it loads */
    KERN_NEAR_EIGHT = 8, /* entries of a row's list that stand together */
    KERN_NEAR_PAIR = 2,  /* rows whose lists stand together */
    KERN_NEAR_BATCH = 64, /* rows that are taken together: enough for the divisions of some to wait under others' */
};

/* Rows of one tile whose records follow each other. */
typedef struct kern_near_run {
    uint32_t row, count;
    uint32_t rank; /* of the first, among the rows of the tile's share of the rim, line by line */
} kern_near_run;

typedef struct kern_near {
    uint32_t row_count, ghost_count;
    uint32_t list_size; /* entries of all lists, filled up */
    uint32_t batch_list_max; /* of KERN_NEAR_BATCH rows that follow each other, from a multiple of it on */
    bool shifted;       /* some ghost is seen through a shift */
    bool wide;          /* entries are uint32_t, else uint16_t: lists are read at each step, so small is fast */
    uint32_t run_begin[KERN_HALO_TILES + 1]; /* each halo tile's first run */
    const uint32_t *first;     /* [pairs + 1] a pair's lists begin here */
    const void *list;          /* [list_size] where a record is, in units */
    kern_near_run *runs;       /* of the ghosts */
} kern_near;

/* Lists before it is known how much memory they take: everyone who was found, row by row. */
typedef struct kern_near_draft {
    kern_near near;          /* but for its list */
    uint32_t nobody;         /* where that record is, in units */
    const uint32_t *first;   /* [row_count + 1] */
    const uint32_t *found;   /* [first[row_count] + KERN_NEAR_EIGHT] places of the pad */
    const uint32_t *records; /* of each place: where the record is, in units */
} kern_near_draft;

/* Bytes of scratch memory for finding at most `room` entries in all. */
size_t kern_near_scratch_size(const kern_halo *halo, uint32_t room);
/* Finds everyone within reach, in scratch (64-byte aligned), where the draft lies. No two rows that are
 * not in the same or in adjacent cells may be within reach. False: there is not enough room. */
bool kern_near_find(kern_near_draft *draft, const kern_halo *halo, float reach, uint32_t room,
                    void *scratch);

/* Bytes that the lists take (a draft's, too), and making them in memory of that size; it begins with its
 * kern_near. */
size_t kern_near_size(const kern_near *near);
void kern_near_make(void *to, const kern_near_draft *draft);

/* Some tiles around the middle (bit t: the tile at t) hold other rows besides those that touch it: finds the ghosts in
 * them anew. False: there are other rows than those that are ranked; the lists cannot be used. */
bool kern_near_find_ghosts(kern_near *near, const kern_halo *halo, uint32_t tiles);
/* Bytes that may be lists for this halo, made elsewhere: makes them usable here, or says that whoever walked
 * them would leave the halo. What the lists say of who is near is believed. All ghosts are to be found then. */
bool kern_near_accept(void *bytes, size_t size, const kern_halo *halo);

#endif
