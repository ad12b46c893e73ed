/* What a worker of the protocol asks for and a test does not look at, and how it comes to a stream. */
#ifndef IDLE_WORKER_H
#define IDLE_WORKER_H

#include "coordinator/proto_order.h"
#include "coordinator/proto_worker.h"

static inline void idle_load(void *user, uint64_t generation, uint64_t snapshot, uint32_t group)
{
    (void)user;
    (void)generation;
    (void)snapshot;
    (void)group;
}

static inline void idle_part(void *user, uint64_t generation, uint64_t attempt, const proto_captured *captured,
                             uint32_t count)
{
    (void)user;
    (void)generation;
    (void)attempt;
    (void)captured;
    (void)count;
}

static inline void idle_write(void *user, uint64_t generation, uint32_t group, uint64_t offset,
                              const proto_batch *bytes)
{
    (void)user;
    (void)generation;
    (void)group;
    (void)offset;
    (void)bytes;
}

static inline void idle_sync(void *user, uint64_t generation, uint64_t attempt)
{
    (void)user;
    (void)generation;
    (void)attempt;
}

/* Worker 2 and another, from snapshot 5: the other has all five key groups, or (loads) this one has one and is
 * loading it. Borrows the arrays. */
static inline proto_msg install_of_two(uint8_t members[16], uint8_t owners[20], bool loads)
{
    proto_msg msg = { .install = { .window = 8, .snapshot = 5, .members = { members, 16 },
                                   .owners = { owners, 20 } } };

    proto_put_u64(members, 3);
    proto_put_u64(members + 8, 2);
    proto_put_u32(owners, loads);
    return msg;
}

#endif
