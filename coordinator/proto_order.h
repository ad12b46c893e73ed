/* An order: one entry of a job's history. Orders are numbered from 1, synced before they are sent,
 * and applied in their order by every worker. Steps never descend along the history for inputs.
 *
 * Barriers, owners and members are void in later generations than the one that made them. */
#ifndef PROTO_ORDER_H
#define PROTO_ORDER_H

#include "coordinator/proto_msg.h"

typedef enum proto_order_kind {
    PROTO_ORDER_INPUT = 1, /* first: client, second: its number; payload: what enters the step */
    PROTO_ORDER_BARRIER,   /* first: the base snapshot; second: 1 if nothing runs from `step` on */
    PROTO_ORDER_OWNERS,    /* payload: pairs of u32 (key group, member) */
    PROTO_ORDER_MEMBERS,   /* payload: pairs of u32 place, u64 worker; 0: the place becomes vacant */
    PROTO_ORDER_VOID,      /* an input that a return to an older snapshot has dropped; never in a log */
} proto_order_kind;

#define PROTO_OWNERS_PAIR  8u  /* bytes in the payload */
#define PROTO_MEMBERS_PAIR 12u

typedef struct proto_order_record {
    uint64_t index;
    uint64_t made;   /* the generation that made it; only inputs hold in later ones */
    uint8_t kind;
    uint64_t step;
    uint64_t first, second;
    proto_bytes payload;
} proto_order_record;

#endif
