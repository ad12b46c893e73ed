#include "coordinator/proto_index.h"

#include "coordinator/proto_plan.h"

#include <string.h>

_Static_assert(PROTO_INDEX_SIZE >= 2 * PROTO_WORKERS_MAX, "half of the slots stay free");

void proto_index_clear(proto_index *index)
{
    memset(index->ids, 0, sizeof index->ids);
}

/* The slot of an id, or the free one where it belongs. Ids may be random or a row of small numbers. */
static uint32_t index_slot(const proto_index *index, uint64_t id)
{
    uint32_t slot = (uint32_t)((id * 0x9e3779b97f4a7c15u) >> 40) % PROTO_INDEX_SIZE;

    while (index->ids[slot] != 0 && index->ids[slot] != id)
        slot = (slot + 1) % PROTO_INDEX_SIZE;
    return slot;
}

void proto_index_put(proto_index *index, uint64_t id, uint32_t row)
{
    uint32_t slot = index_slot(index, id);

    index->ids[slot] = id;
    index->rows[slot] = row;
}

uint32_t proto_index_find(const proto_index *index, uint64_t id)
{
    uint32_t slot = index_slot(index, id);

    return id != 0 && index->ids[slot] == id ? index->rows[slot] : PROTO_NONE;
}
