/* Sorting that asks nobody for memory, for rows that are often in order already: a merge of the ascending
 * runs that are there. */
#ifndef KERN_SORT_H
#define KERN_SORT_H

#include <stdint.h>

typedef struct kern_pair {
    uint64_t key;
    uint32_t value;
} kern_pair;

/* Bring pairs into ascending order of key; equal keys keep their order. scratch: room for `count` more.
 * With r runs among n pairs it costs n log2(r) moves. */
void kern_sort_pairs(kern_pair *pairs, kern_pair *scratch, uint32_t count);

#endif
