/* Where something with a number stands in a table: a worker among a thousand is found in one step. Numbers are not 0;
 * what is not there any more goes when the table is filled anew. */
#ifndef PROTO_INDEX_H
#define PROTO_INDEX_H

#include "coordinator/proto_limits.h"

#include <stdint.h>

#define PROTO_INDEX_SIZE 4096u /* slots; a power of two, and at least twice what is ever put in */

typedef struct proto_index {
    uint64_t ids[PROTO_INDEX_SIZE]; /* 0: free */
    uint32_t rows[PROTO_INDEX_SIZE];
} proto_index;

void proto_index_clear(proto_index *index);
/* The row of an id; another one that it had is forgotten. */
void proto_index_put(proto_index *index, uint64_t id, uint32_t row);
/* PROTO_NONE: it is not there. */
uint32_t proto_index_find(const proto_index *index, uint64_t id);

#endif
