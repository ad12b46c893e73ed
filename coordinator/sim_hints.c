/* Hints of placement in the simulator: workers that may not have key groups, from some moment on, and
 * workers that may not have more for a while. The state machine asks; a checker reads the log. */
#include "coordinator/sim_world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* In a quarter of the schedules. The first worker may have some in the end, so that the job can. */
void sim_hints_draw(sim_world *w)
{
    sim_rng r = { .state = w->options.seed ^ 0x41177 };

    for (uint32_t i = 0; i < SIM_WORKERS_DRAWN; i++)
        w->hints.never_from_us[i] = UINT64_MAX;
    w->hints.are = sim_chance(&r, 250000) && !w->options.sizes;
    for (uint32_t i = 0; w->hints.are && i < SIM_WORKERS_DRAWN; i++) {
        if (i > 0 && sim_chance(&r, 250000))
            w->hints.never_from_us[i] = sim_chance(&r, 500000) ? 0 : sim_range(&r, 0, 60000);
        if (!sim_chance(&r, 500000))
            continue;
        w->hints.full_from_us[i] = sim_chance(&r, 500000) ? 0 : sim_range(&r, 0, 60000);
        w->hints.full_until_us[i] = w->hints.full_from_us[i] + sim_range(&r, 1000, 100000);
    }
}

bool sim_refuses(const sim_world *w, uint64_t worker, bool member)
{
    uint32_t slot = w->processes[worker - 1].slot;

    if (!w->hints.are)
        return false;
    return w->now_us >= w->hints.never_from_us[slot] ||
           (!member && w->now_us >= w->hints.full_from_us[slot] && w->now_us < w->hints.full_until_us[slot]);
}

/* ---- the log's word ---- */

/* By place; 0: vacant. */
static void members_get(const sim_world *w, uint64_t members[SIM_MEMBERS_MAX])
{
    memset(members, 0, SIM_MEMBERS_MAX * sizeof *members);
    for (uint32_t i = 0; i < w->log_count; i++) {
        const proto_record *r = &w->log[i];
        const proto_bytes *pairs = &r->order.payload;

        if (r->kind == PROTO_RECORD_GENERATION)
            memset(members, 0, SIM_MEMBERS_MAX * sizeof *members);
        for (uint32_t k = 0; r->kind == PROTO_RECORD_GENERATION && k < r->members.size / 8; k++)
            members[k] = proto_get_u64(r->members.data + 8 * k);
        if (r->kind != PROTO_RECORD_ORDER || r->order.kind != PROTO_ORDER_MEMBERS)
            continue;
        for (uint32_t k = 0; k < pairs->size; k += PROTO_MEMBERS_PAIR)
            members[proto_get_u32(pairs->data + k)] = proto_get_u64(pairs->data + k + 4);
    }
}

static bool is_in(const uint64_t members[SIM_MEMBERS_MAX], uint64_t id)
{
    for (uint32_t i = 0; i < SIM_MEMBERS_MAX; i++)
        if (members[i] == id)
            return true;
    return false;
}

/* Whether a worker has a key group in the newest generation of the log, or a rescale of it gives it to it. */
static bool had_group(const sim_world *w, uint64_t id, uint32_t group)
{
    bool had = false;

    for (uint32_t i = w->log_count; i > 0 && !had; i--) {
        const proto_record *r = &w->log[i - 1];

        for (uint32_t k = 0; r->kind == PROTO_RECORD_RESCALE && r->phase == PROTO_RESCALE_BEGIN && k < r->moves.size;
             k += PROTO_MOVE_SIZE)
            had |= proto_get_u32(r->moves.data + k) == group &&
                   proto_get_u64(r->members.data + 8 * proto_get_u32(r->moves.data + k + 4)) == id;
        if (r->kind != PROTO_RECORD_GENERATION)
            continue;
        return had || proto_get_u64(r->members.data + 8 * proto_get_u32(r->owners.data + 4 * group)) == id;
    }
    return had;
}

/* What a lost worker had goes to who may have more. A sink, which is small, stays on its host. */
static void check_heirs(sim_world *w, const proto_record *record)
{
    for (uint32_t g = 0; g < w->job.groups; g++) {
        uint64_t id = proto_get_u64(record->members.data + 8 * proto_get_u32(record->owners.data + 4 * g));

        if (sim_refuses(w, id, false) && !had_group(w, id, g))
            sim_violate(w, "generation %" PRIu64 " gives key group %u to worker %" PRIu64 ", which may not have more",
                        record->number, g, id);
    }
}

/* Members of before keep what they have, also who may not have more. */
static void check_generation(sim_world *w, const proto_record *record, const uint64_t *members)
{
    for (uint32_t i = 0; i < record->members.size / 8; i++) {
        uint64_t id = proto_get_u64(record->members.data + 8 * i);

        if (sim_refuses(w, id, is_in(members, id)))
            sim_violate(w, "generation %" PRIu64 " gives key groups to worker %" PRIu64 ", which hints refuse",
                        record->number, id);
    }
}

static void check_rescale(sim_world *w, const proto_record *record, const uint64_t *members)
{
    for (uint32_t i = 0; i < record->members.size / 8; i++) {
        uint64_t id = proto_get_u64(record->members.data + 8 * i);

        if (!is_in(members, id) && sim_refuses(w, id, false))
            sim_violate(w, "rescale %" PRIu64 " admits worker %" PRIu64 ", which hints refuse", record->number, id);
    }
    for (uint32_t i = 0; i < record->moves.size; i += PROTO_MOVE_SIZE) {
        uint64_t to = proto_get_u64(record->members.data + 8 * proto_get_u32(record->moves.data + i + 4));

        if (sim_refuses(w, to, false))
            sim_violate(w, "rescale %" PRIu64 " moves key group %u to worker %" PRIu64
                        ", which may not have more", record->number, proto_get_u32(record->moves.data + i), to);
    }
}

void sim_hints_append(sim_world *w, const proto_record *record)
{
    uint64_t members[SIM_MEMBERS_MAX];

    if (!w->hints.are)
        return;
    if (record->kind == PROTO_RECORD_GENERATION) {
        members_get(w, members);
        check_generation(w, record, members);
        check_heirs(w, record);
    } else if (record->kind == PROTO_RECORD_RESCALE && record->phase == PROTO_RESCALE_BEGIN) {
        members_get(w, members);
        check_rescale(w, record, members);
    }
}
