/* What the protocols know of a plan: stages, edges and key groups, and the tables under them.
 *
 * A key group g has at most one state; stages run in ascending order within (g, step). Key groups
 * [0, n) are the job's, and behind them each sink has one of its own, whose state begins with the
 * offset (u64) of its file. */
#ifndef PROTO_PLAN_H
#define PROTO_PLAN_H

#include "coordinator/proto_limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTO_STATE UINT32_MAX /* as an edge's `from`: the state that enters the step */
#define PROTO_NONE  UINT32_MAX
#define PROTO_FACES 6u

typedef enum proto_exchange {
    PROTO_FORWARD = 1, /* from a stage, within the key group */
    PROTO_HALO,        /* to the neighbours */
    PROTO_ALL,         /* any to any: key_by, lookup, broadcast, gather */
} proto_exchange;

typedef struct proto_stage {
    uint32_t group_first, group_count; /* that run it */
    bool takes_state; /* may take the entering state over */
    bool makes_state; /* one stage of a key group does */
    bool sink;        /* what it makes is appended to its file */
} proto_stage;

typedef struct proto_edge {
    uint32_t from, to; /* stages, from < to; or from is PROTO_STATE */
    proto_exchange exchange;
} proto_edge;

typedef struct proto_plan {
    uint64_t step_count; /* steps 0 to step_count - 1 run */
    uint32_t group_count, stage_count, edge_count;
    const proto_stage *stages;
    const proto_edge *edges;
    const uint32_t *near_first; /* [group_count + 1]: places in `near` */
    const uint32_t *near;       /* the neighbours of each key group; symmetric */
    /* How key groups other than the sinks' are laid out over members at first: in pieces of this order, as heavy as
     * each other. Null: as they are numbered, in equal numbers. */
    const uint32_t *order;
    const uint64_t *weights;    /* by key group; some is not 0 */
    /* The job's key groups across the faces of each one's tile; PROTO_NONE: nothing lies there. Null: nothing lies in a
     * space. No protocol asks for it; who balances does. */
    const uint32_t (*faces)[PROTO_FACES];
} proto_plan;

/* A block of rows. References are counted; one thread. */
typedef struct proto_batch {
    uint32_t refs, rows;
    uint32_t size, have; /* have: bytes that have arrived */
    uint8_t *bytes;      /* its own, behind it, or lent */
    void (*release)(void *user, uint8_t *bytes); /* of lent ones; else null */
    void *user;
    /* Not null: what `bytes` leads to lies in several places, and is only read so. */
    void (*copy)(const uint8_t *bytes, uint32_t offset, uint8_t *to, uint32_t size);
} proto_batch;

/* One reference, bytes not set. Aborts when memory is out: a worker cannot go on without it. */
proto_batch *proto_batch_new(uint32_t size, uint32_t rows);
/* The same of bytes that are lent until `release` gives them back, with the last reference. */
proto_batch *proto_batch_lend(uint8_t *bytes, uint32_t size, uint32_t rows,
                              void (*release)(void *user, uint8_t *bytes), void *user);
proto_batch *proto_batch_hold(proto_batch *batch);
/* Takes one reference; null is allowed. */
void proto_batch_drop(proto_batch **batch);

/* Whether stage s runs for key group g. */
static inline bool proto_stage_has(const proto_stage *stage, uint32_t group)
{
    return group - stage->group_first < stage->group_count;
}

/* calloc that ends the process when memory is out. */
void *proto_zero(size_t count, size_t size);

#endif
