#include "coordinator/proto_owner.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void proto_owners_init(proto_owners *o, uint32_t group_count)
{
    o->group_count = group_count;
    o->versions = proto_zero((size_t)group_count * PROTO_OWNER_VERSIONS, sizeof *o->versions);
    o->counts = proto_zero(group_count, 1);
    for (uint32_t g = 0; g < group_count; g++)
        proto_owners_set(o, g, 0);
}

void proto_owners_fini(proto_owners *o)
{
    free(o->versions);
    free(o->counts);
    *o = (proto_owners){ 0 };
}

void proto_owners_set(proto_owners *o, uint32_t group, uint32_t member)
{
    assert(group < o->group_count);
    o->versions[(size_t)group * PROTO_OWNER_VERSIONS] = (proto_owner_version){ 0, member };
    o->counts[group] = 1;
}

void proto_owners_change(proto_owners *o, uint32_t group, uint64_t step, uint32_t member)
{
    proto_owner_version *v = o->versions + (size_t)group * PROTO_OWNER_VERSIONS;
    uint32_t count = o->counts[group];

    while (count > 0 && v[count - 1].step >= step)
        count--;
    if (count == PROTO_OWNER_VERSIONS) {
        memmove(v, v + 1, (PROTO_OWNER_VERSIONS - 1) * sizeof *v);
        count--;
    }
    v[count] = (proto_owner_version){ step, member };
    o->counts[group] = (uint8_t)(count + 1);
}

uint32_t proto_owner_at(const proto_owners *o, uint32_t group, uint64_t step)
{
    const proto_owner_version *v = o->versions + (size_t)group * PROTO_OWNER_VERSIONS;
    uint32_t i = o->counts[group] - 1u;

    while (i > 0 && v[i].step > step)
        i--;
    return v[i].member;
}

bool proto_owner_from(const proto_owners *o, uint32_t group, uint64_t step, uint32_t member)
{
    const proto_owner_version *v = o->versions + (size_t)group * PROTO_OWNER_VERSIONS;
    uint32_t i = o->counts[group] - 1u;

    while (i > 0 && v[i].step > step && v[i].member != member)
        i--;
    return v[i].member == member;
}

uint64_t proto_owners_newest(const proto_owners *o, uint32_t group)
{
    return o->versions[(size_t)group * PROTO_OWNER_VERSIONS + o->counts[group] - 1].step;
}

/* A member that may take has a share of what is left, or one more than it while some are left over; the others have at most
 * what each would have if all took. */
typedef struct spread_shares {
    const bool *takes; /* null: all do */
    uint32_t have[PROTO_MEMBERS_MAX];
    uint32_t share, more; /* of who takes */
    uint32_t most;        /* of who does not */
} spread_shares;

static bool spread_takes(const spread_shares *s, uint32_t member)
{
    return s->takes == NULL || s->takes[member];
}

static bool spread_has_room(const spread_shares *s, uint32_t member)
{
    if (!spread_takes(s, member))
        return s->have[member] < s->most;
    return s->have[member] < s->share || (s->have[member] == s->share && s->more > 0);
}

static void spread_give(spread_shares *s, uint32_t member)
{
    s->more -= spread_takes(s, member) && s->have[member] == s->share;
    s->have[member]++;
}

static void spread_begin(spread_shares *s, const uint32_t *before, uint32_t count, uint32_t member_count, const bool *takes)
{
    uint32_t had[PROTO_MEMBERS_MAX] = { 0 }, takers = 0, rest = count;

    memset(s, 0, sizeof *s);
    s->takes = takes;
    for (uint32_t g = 0; g < count; g++)
        if (before[g] < member_count)
            had[before[g]]++;
    for (uint32_t m = 0; m < member_count; m++)
        takers += spread_takes(s, m);
    s->most = takers == 0 ? count : (count + member_count - 1) / member_count;
    for (uint32_t m = 0; m < member_count; m++)
        if (!spread_takes(s, m))
            rest -= had[m] < s->most ? had[m] : s->most;
    assert(takers > 0 || rest == 0);
    s->share = takers == 0 ? 0 : rest / takers;
    s->more = takers == 0 ? 0 : rest % takers;
}

void proto_owners_spread(uint32_t *after, const uint32_t *before, uint32_t count, uint32_t member_count, const bool *takes)
{
    spread_shares s;
    uint32_t next = 0;

    assert(member_count > 0 && member_count <= PROTO_MEMBERS_MAX);
    spread_begin(&s, before, count, member_count, takes);
    for (uint32_t g = 0; g < count; g++) {
        uint32_t m = before[g];

        after[g] = PROTO_NONE;
        if (m >= member_count || !spread_has_room(&s, m))
            continue;
        spread_give(&s, m);
        after[g] = m;
    }
    for (uint32_t g = 0; g < count; g++) {
        if (after[g] != PROTO_NONE)
            continue;
        while (!spread_takes(&s, next) || !spread_has_room(&s, next))
            next++;
        spread_give(&s, next);
        after[g] = next;
    }
}

void proto_owners_lay(uint32_t *after, const uint32_t *order, const uint64_t *weights, uint32_t count,
                      uint32_t member_count)
{
    uint64_t total = 0, before = 0;

    for (uint32_t g = 0; g < count; g++)
        total += weights[g];
    assert(total > 0 && total < UINT64_MAX / 2 / member_count);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t twice_middle = 2 * before + weights[order[i]]; /* of the group, on the scale of all of them */
        uint64_t member = twice_middle * member_count / (2 * total);

        after[order[i]] = member < member_count ? (uint32_t)member : member_count - 1; /* behind all weight */
        before += weights[order[i]];
    }
}
