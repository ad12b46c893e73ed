/* A generation begins and ends: who is in it, who owns what, its record in the log (rule 4). */
#include "coordinator/proto_coord_private.h"

#include <stdlib.h>
#include <string.h>

bool coord_is_usable(const proto_coord *c, const coord_worker *w)
{
    return !w->gone && w->known && c->now_us - w->seen_us < c->config.silence_us && !w->stop_told;
}

bool coord_refuses(const proto_coord *c, uint64_t worker, bool member)
{
    return c->env.refuses != NULL && c->env.refuses(c->env.user, worker, member);
}

static int member_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Whom a rescale that runs wants; else usable workers that may have key groups, members of before first, then by
 * id; at least one on the sinks' host. Returns how many. */
static uint32_t members_choose(proto_coord *c, uint64_t *chosen)
{
    uint32_t count = coord_rescale_choose(c, chosen), most = coord_rescale_size(c);
    bool host = false;

    if (count > 0)
        return count;
    for (int old = 1; old >= 0; old--)
        for (int pinned = 1; pinned >= 0; pinned--)
            for (uint32_t i = 0; i < c->worker_count && count < most; i++) {
                const coord_worker *w = &c->workers[i];

                if (!coord_is_usable(c, w) || coord_is_member(c, w->id) != (old == 1) ||
                    (coord_refuses(c, w->id, old == 1) && !MUTANT(c, refusedspare)) ||
                    (w->host == c->config.sink_host) != (pinned == 1) ||
                    (!host && !pinned && count + 1 == most))
                    continue;
                host |= pinned == 1;
                chosen[count++] = w->id;
            }
    qsort(chosen, count, sizeof *chosen, member_compare);
    return host && count >= c->config.member_min ? count : 0;
}

/* `before`, if it is one; else the first. */
static uint32_t member_on_host(const proto_coord *c, uint32_t host, uint32_t before)
{
    if (before != PROTO_NONE && coord_member(c, before)->host == host)
        return before;
    for (uint32_t i = 0; i < c->member_count; i++)
        if (coord_member(c, i)->host == host)
            return i;
    return 0;
}

/* takes[place]: it may be given more than it has. Returns whether all may. */
static bool members_take(const proto_coord *c, const uint64_t *ids, uint32_t count, bool *takes)
{
    bool all = true;

    for (uint32_t i = 0; i < count; i++) {
        takes[i] = !coord_refuses(c, ids[i], false) || MUTANT(c, refusedheir);
        all &= takes[i];
    }
    return all;
}

/* What nobody of them has must go to one that may be given more; else the generation waits for that, too. */
static bool members_have_room(proto_coord *c, const uint64_t *ids, uint32_t count)
{
    uint64_t *owners = proto_zero(c->plan->group_count, sizeof *owners);
    bool takes[PROTO_MEMBERS_MAX] = { false };
    bool room = coord_rescale_owners(c, ids, count, owners) || members_take(c, ids, count, takes);

    for (uint32_t i = 0; i < count && !room; i++)
        room = takes[i];
    if (!room) {
        room = true;
        for (uint32_t g = 0; g < c->plan->group_count; g++)
            room &= coord_is_pinned(c, g) || coord_id_in(ids, count, owners[g]);
    }
    free(owners);
    return room;
}

static bool nobody_owns(const uint32_t *before, uint32_t count)
{
    while (count > 0 && before[count - 1] == PROTO_NONE)
        count--;
    return count == 0;
}

/* As few key groups as possible change hands, none to who may not have more; sinks stay on their host. owners: ids, or 0; whole: every
 * one of them is a member now, and stays what it is. */
static void owners_place(proto_coord *c, const uint64_t *owners, bool whole)
{
    uint32_t groups = c->plan->group_count, sinks = 0;
    uint32_t *before = proto_zero(groups, sizeof *before), *after = proto_zero(groups, sizeof *after);
    bool takes[PROTO_MEMBERS_MAX], all = members_take(c, c->members, c->member_count, takes);

    for (uint32_t i = 0; i < c->plan->stage_count; i++)
        sinks += c->plan->stages[i].sink ? c->plan->stages[i].group_count : 0;
    for (uint32_t g = 0; g < groups; g++)
        before[g] = coord_place_of(c, owners[g]);
    if (whole)
        memcpy(after, before, (groups - sinks) * sizeof *after);
    else if (c->plan->order != NULL && all && nobody_owns(before, groups - sinks))
        proto_owners_lay(after, c->plan->order, c->plan->weights, groups - sinks, c->member_count);
    else
        proto_owners_spread(after, before, groups - sinks, c->member_count, takes);
    for (uint32_t g = 0; g < groups; g++) {
        if (g >= groups - sinks)
            after[g] = member_on_host(c, c->config.sink_host, before[g]);
        proto_owners_set(&c->owners, g, after[g]);
    }
    free(before);
    free(after);
}

/* Once the lists of members and owners are a generation's. The engine's part of it: coord_flow.c. */
static void gatherer_note(proto_coord *c)
{
    uint32_t sinks = 0, groups = c->plan->group_count;

    for (uint32_t i = 0; i < c->plan->stage_count; i++)
        sinks += c->plan->stages[i].sink ? c->plan->stages[i].group_count : 0;
    c->gatherer = c->members[proto_owner_at(&c->owners, sinks > 0 ? groups - sinks : 0, 0)];
}

static void generation_append(proto_coord *c)
{
    uint8_t *members = proto_zero(c->member_count, 8);
    uint8_t *owners = proto_zero(c->plan->group_count, 4);
    proto_record record = { .kind = PROTO_RECORD_GENERATION, .number = c->generation,
                            .snapshot = c->base_snapshot, .step = c->base_step, .floor = c->floor,
                            .members = { members, 8 * c->member_count },
                            .owners = { owners, 4 * c->plan->group_count },
                            .size = c->rescale.size, .rescale = c->rescale.last_id };

    for (uint32_t i = 0; i < c->member_count; i++)
        proto_put_u64(members + 8 * i, c->members[i]);
    for (uint32_t g = 0; g < c->plan->group_count; g++)
        proto_put_u32(owners + 4 * g, proto_owner_at(&c->owners, g, 0));
    c->generation_at = coord_append(c, &record);
    free(members);
    free(owners);
}

static void members_set(proto_coord *c, const uint64_t *ids, uint32_t count)
{
    memset(c->members, 0, sizeof c->members);
    memset(c->since, 0, sizeof c->since);
    memset(c->since_step, 0, sizeof c->since_step);
    memcpy(c->members, ids, count * sizeof *ids);
    for (uint32_t i = 0; i < count; i++)
        coord_dismissed_forget(c, ids[i]);
    c->member_count = count;
    coord_places_note(c);
    memset(c->owned, 1, sizeof c->owned);
    c->members_index = c->members_step = c->leave_index = 0;
    c->tables = (coord_tables){ 0 };
}

static void generation_begin(proto_coord *c, const uint64_t *chosen, uint32_t count)
{
    uint64_t *owners = proto_zero(c->plan->group_count, sizeof *owners);
    bool whole = coord_rescale_owners(c, chosen, count, owners);

    members_set(c, chosen, count);
    owners_place(c, owners, whole);
    gatherer_note(c);
    free(owners);
    c->generation++;
    c->stats.restarts += c->lost; /* here, and not when it was fenced: what it goes back to is known with it */
    c->stats.restores += c->restoring == COORD_RESTORING_DONE;
    c->lost = false;
    c->restoring = COORD_RESTORING_NOT;
    c->base_snapshot = c->head.attempt;
    c->base_step = c->head.step;
    c->base_history = coord_history_below(c, c->base_step, c->order_count);
    c->floor = c->ceiling > c->floor ? c->ceiling : c->floor;
    c->bound = c->snapshot_step = c->base_step;
    coord_snapshots_wind(c, c->base_step);
    c->pace_begun = false;
    c->attempt = (coord_attempt){ 0 };
    c->last_attempt = 0;
    for (uint32_t i = 0; i < c->worker_count; i++)
        c->workers[i].installed = c->workers[i].prepared = false;
    for (uint32_t i = 0; i < count; i++)
        coord_member(c, i)->leaving = false;
    coord_rescale_generation(c);
    generation_append(c);
    coord_enter(c, COORD_SEALING);
}

void coord_recover_generation(proto_coord *c, const proto_record *r)
{
    uint64_t ids[PROTO_MEMBERS_MAX];

    for (uint32_t i = 0; i < r->members.size / 8; i++)
        ids[i] = proto_get_u64(r->members.data + 8 * i);
    members_set(c, ids, r->members.size / 8);
    for (uint32_t g = 0; g < c->plan->group_count; g++)
        proto_owners_set(&c->owners, g, proto_get_u32(r->owners.data + 4 * g));
    gatherer_note(c);
    c->generation = r->number;
    c->base_snapshot = r->snapshot;
    c->base_step = r->step;
    c->base_history = coord_history_below(c, r->step, c->order_count);
    c->floor = r->floor;
    c->restoring = COORD_RESTORING_NOT;
    coord_rescale_generation(c);
    coord_rescale_last(c, r->rescale, c->rescale.last_end, r->size);
}

/* Nothing of the generation is granted, ordered or committed any more. A commit that is being made is
 * waited for, because the next generation begins from it. */
void coord_fence_until(proto_coord *c, uint64_t at_us)
{
    c->fence_at_us = at_us;
    if (!c->attempt.committing)
        c->attempt = (coord_attempt){ 0 };
    coord_enter(c, COORD_FENCED);
}

void coord_fence(proto_coord *c)
{
    uint32_t doubled = c->restarts < 7 ? c->restarts : 7;

    if (c->phase == COORD_FENCED || c->phase == COORD_ENDED || c->phase == COORD_STARTING)
        return;
    if (c->generation > 0 && (c->config.mode == PROTO_MODE_NONE || /* a snapshot that is being committed is a new one */
                              (c->restarts >= c->config.restarts_max && !c->attempt.committing))) {
        coord_finish(c, PROTO_END_FAILED);
        return;
    }
    c->restarts++;
    c->lost = true;
    if (doubled == 0)
        coord_fence_until(c, c->now_us); /* the first time at once */
    else
        coord_fence_until(c, c->now_us + (c->config.backoff_us << doubled) / 2);
}

void coord_generation_try(proto_coord *c)
{
    uint64_t chosen[PROTO_MEMBERS_MAX];
    uint32_t count;

    if (c->phase != COORD_FENCED || c->now_us < c->fence_at_us || c->attempt.committing ||
        !coord_restore_advance(c))
        return;
    count = members_choose(c, chosen);
    c->roomless = count > 0 && !members_have_room(c, chosen, count);
    if (count > 0 && !c->roomless)
        generation_begin(c, chosen, count);
}
