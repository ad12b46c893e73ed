/* Who owns a key group at a step: a versioned table. A change takes effect at a step; the few newest
 * versions of each key group are kept, so that steps which still run are answered. */
#ifndef PROTO_OWNER_H
#define PROTO_OWNER_H

#include "coordinator/proto_plan.h"

typedef struct proto_owner_version {
    uint64_t step; /* from here on */
    uint32_t member;
} proto_owner_version;

typedef struct proto_owners {
    uint32_t group_count;
    proto_owner_version *versions; /* [group_count][PROTO_OWNER_VERSIONS], ascending by step */
    uint8_t *counts;
} proto_owners;

/* Owns its memory. Every group belongs to member 0 at first. */
void proto_owners_init(proto_owners *owners, uint32_t group_count);
void proto_owners_fini(proto_owners *owners);
/* From step 0 on, forgetting all changes. */
void proto_owners_set(proto_owners *owners, uint32_t group, uint32_t member);
/* From `step` on. Steps must not descend: a change at or below the newest version's step replaces
 * it. The oldest version is forgotten when there are too many. */
void proto_owners_change(proto_owners *owners, uint32_t group, uint64_t step, uint32_t member);
uint32_t proto_owner_at(const proto_owners *owners, uint32_t group, uint64_t step);
/* Whether `member` owns the group at `step` or at a later one. */
bool proto_owner_from(const proto_owners *owners, uint32_t group, uint64_t step, uint32_t member);
/* The step of the newest change; 0: none. */
uint64_t proto_owners_newest(const proto_owners *owners, uint32_t group);
/* Spread `count` groups over members: `before` (PROTO_NONE: none) is kept where its share allows, so the fewest move.
 * Shares differ by at most one. Who does not take (null: all do) gets nothing that it did not have, and what it has less
 * than its share is the others'; if nobody takes, each group must have an owner, and all stays as it is. */
void proto_owners_spread(uint32_t *after, const uint32_t *before, uint32_t count, uint32_t member_count, const bool *takes);
/* Lay `count` groups out over members at first: pieces of `order`, one for each, as heavy as each other but for half
 * a group at either end. weights by group, not all 0, twice their sum times the members below 2^64. */
void proto_owners_lay(uint32_t *after, const uint32_t *order, const uint64_t *weights, uint32_t count,
                      uint32_t member_count);

#endif
