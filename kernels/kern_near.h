/* Lists of neighbours that are kept for several steps: for each row of a tile, everyone who was within
 * reach when the list was made, in the order in which the pad (kern_cells.h) would meet them. Whoever
 * walks a list while nobody has come farther than the reach allows, and leaves out those who are not
 * within the radius now, adds the same numbers in the same order as by the pad.
 *
 * A list points to records, KERN_RECORD_SIZE bytes for each row: first those of the tile, by row, then
 * those of the rim that are in any list, the *ghosts*, tile by tile of the halo. */
#ifndef KERN_NEAR_H
#define KERN_NEAR_H

#include "kernels/kern_cells.h"

enum {
    KERN_RECORD_SIZE = 32,
    KERN_NEAR_PAST = 8, /* entries that may be read behind a list */
    KERN_NEAR_BATCH = 16,
};

typedef struct kern_near {
    uint32_t row_count, ghost_count;
    uint32_t list_size; /* entries of all lists */
    uint32_t batch_list_max; /* of KERN_NEAR_BATCH rows that follow each other, from a multiple of it on */
    bool shifted;       /* some ghost is seen through a shift */
    uint32_t ghost_begin[KERN_HALO_TILES + 1]; /* each halo tile's first ghost */
    const uint32_t *first;      /* [row_count + 1] a row's list begins here */
    const uint32_t *list;       /* [list_size + KERN_NEAR_PAST] where a record is, in bytes */
    const uint32_t *ghost_ranks; /* [ghost_count] */
    uint32_t *ghost_rows;        /* [ghost_count] in their tiles */
} kern_near;

/* Bytes of scratch memory for lists of at most `room` entries in all. */
size_t kern_near_scratch_size(const kern_halo *halo, uint32_t room);
/* Makes the lists in scratch (64-byte aligned). No two rows that are not in the same or in adjacent cells
 * may be within reach. False: there is not enough room. */
bool kern_near_make(kern_near *near, const kern_halo *halo, float reach, uint32_t room, void *scratch);

/* Bytes of a copy, and making one in memory of that size (64-byte aligned); it begins with its kern_near. */
size_t kern_near_size(const kern_near *near);
void kern_near_copy(void *to, const kern_near *from);

/* The tiles around the middle hold other rows besides those that touch it: finds the ghosts in them anew. False:
 * there are fewer rows than ghosts are ranked; the lists cannot be used. */
bool kern_near_find_ghosts(kern_near *near, const kern_halo *halo);
/* Bytes that may be a copy of lists for this halo, made elsewhere: makes them usable here, or says that whoever
 * walked them would leave the halo. What the lists say of who is near is believed. Ghosts are to be found then. */
bool kern_near_accept(void *bytes, size_t size, const kern_halo *halo);

#endif
