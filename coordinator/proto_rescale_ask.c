/* A rescale is asked for: is it right? And what people are told of it. */
#include "coordinator/proto_coord_private.h"
#include "coordinator/proto_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESCALE_DEADLINE_US 600000000u

/* ---- is it right? ---- */

typedef struct rescale_plan {
    uint64_t *target;
    uint32_t target_count;
    coord_move *moves;
    uint8_t *moved; /* [group] */
} rescale_plan;

static const char *refuse_state(const proto_coord *c, const proto_rescale *op)
{
    if (c->phase != COORD_RUNNING)
        return "the job is not running";
    if (c->room == PROTO_ROOM_NO_ORDERS)
        return "the history is full";
    if (c->ending != PROTO_END_NOT || coord_order_place(c) >= c->final_step)
        return "the job is ending";
    if (op->id <= c->rescale.last_id)
        return "its number was used before";
    if (op->admit_count + op->dismiss_count + op->move_count == 0)
        return "nothing is to be changed";
    if (op->move_count > c->plan->group_count)
        return "a key group is named twice";
    return NULL;
}

static const char *refuse_members(proto_coord *c, const proto_rescale *op, rescale_plan *plan)
{
    uint32_t count = coord_member_ids(c, plan->target);

    if (op->admit_count > PROTO_MEMBERS_MAX - count)
        return "there would be too many members";
    for (uint32_t i = 0; i < op->admit_count; i++) {
        const coord_worker *w = coord_worker_find(c, op->admit[i]);

        if (w == NULL || !coord_is_usable(c, w) || w->leaving || coord_is_dismissed(c, w->id))
            return "a worker that is to be admitted is not there";
        if (coord_refuses(c, w->id, false) && !MUTANT(c, refusedmove))
            return "a worker that is to be admitted may not have key groups";
        plan->target[count++] = op->admit[i];
    }
    qsort(plan->target, count, sizeof *plan->target, coord_id_compare);
    for (uint32_t i = 1; i < count; i++)
        if (plan->target[i] == plan->target[i - 1])
            return "a worker that is to be admitted is a member";
    for (uint32_t i = 0; i < op->dismiss_count; i++) {
        uint64_t *at = bsearch(&op->dismiss[i], plan->target, count, sizeof *at, coord_id_compare);

        if (at == NULL || !coord_is_member(c, op->dismiss[i]))
            return "a worker that is to leave is no member";
        memmove(at, at + 1, (size_t)(plan->target + --count - at) * sizeof *at);
    }
    plan->target_count = count;
    return NULL;
}

/* Each target is asked for once: there may be thousands of moves. */
static const char *refuse_targets(const proto_coord *c, const rescale_plan *plan, uint32_t move_count)
{
    uint8_t *gains = proto_zero(plan->target_count, 1);
    const char *why = NULL;

    for (uint32_t i = 0; i < move_count; i++) {
        const uint64_t *at = bsearch(&plan->moves[i].to, plan->target, plan->target_count, sizeof *at, coord_id_compare);

        gains[at - plan->target] = 1;
    }
    for (uint32_t i = 0; i < plan->target_count && why == NULL; i++)
        if (gains[i] && coord_refuses(c, plan->target[i], false) && !MUTANT(c, refusedmove))
            why = "a key group is to move to a worker that may not have more";
    free(gains);
    return why;
}

static const char *refuse_moves(const proto_coord *c, const proto_rescale *op, rescale_plan *plan)
{
    uint32_t wave = 0;

    for (uint32_t i = 0; i < op->move_count; i++) {
        const proto_move *m = &op->moves[i];

        if (m->group >= c->plan->group_count)
            return "there is no such key group";
        if (plan->moved[m->group])
            return "a key group is named twice";
        if (coord_is_pinned(c, m->group))
            return "a sink's key group stays on its host";
        if (!coord_id_in(plan->target, plan->target_count, m->to))
            return "a key group is to move to a worker that is no member then";
        if (m->wave != wave && (m->wave != wave + 1 || i == 0))
            return "the waves are not in turn";
        if (op->admit_count + op->dismiss_count == 0 && op->move_count == 1 &&
            coord_owner_newest(c, m->group) == m->to)
            return "it is there already";
        wave = m->wave;
        plan->moved[m->group] = 1;
        plan->moves[i] = (coord_move){ .group = m->group, .wave = wave, .to = m->to };
    }
    for (uint32_t g = 0; g < c->plan->group_count; g++)
        if (!plan->moved[g] && !coord_id_in(plan->target, plan->target_count, coord_owner_newest(c, g)))
            return coord_is_pinned(c, g) ? "a worker that is to leave has a sink, which stays"
                                         : "a worker that is to leave would still own key groups";
    return NULL;
}

/* Its records, its orders and those of the way back, each as if it stood alone. */
uint64_t coord_rescale_need(const proto_coord *c, uint32_t target_count, const coord_move *moves, uint32_t move_count)
{
    uint64_t waves = move_count == 0 ? 0 : moves[move_count - 1].wave + 1u + move_count / COORD_PAIRS_MAX;
    uint64_t members = PROTO_LOG_COST + (uint64_t)PROTO_MEMBERS_PAIR * (target_count + c->member_count);
    uint64_t begin = PROTO_LOG_COST + 8u * target_count + (uint64_t)PROTO_MOVE_SIZE * move_count;

    return begin + 3 * PROTO_LOG_COST + 4 * members +
           2 * (waves * PROTO_LOG_COST + (uint64_t)PROTO_OWNERS_PAIR * move_count);
}

uint64_t coord_rescale_rest(const proto_coord *c)
{
    const coord_rescale *r = &c->rescale;
    uint64_t spent = c->tables.cost > r->spent_before ? c->tables.cost - r->spent_before : 0;

    return r->id == 0 || spent >= r->need ? 0 : r->need - spent;
}

/* One that has begun can end, and so can its abort. */
static const char *refuse_room(proto_coord *c, const rescale_plan *plan, uint32_t move_count)
{
    uint64_t need = coord_rescale_need(c, plan->target_count, plan->moves, move_count);

    if (need <= c->room_left)
        return NULL;
    snprintf(c->why, sizeof c->why,
             "the history has no room for it: it may need %llu bytes of it, and %llu are left; try fewer key "
             "groups or waves", (unsigned long long)need, (unsigned long long)c->room_left);
    return c->why;
}

static const char *rescale_running(proto_coord *c)
{
    const coord_rescale *r = &c->rescale;
    proto_rescale_stats s;

    coord_rescale_stats(c, &s);
    snprintf(c->why, sizeof c->why, "rescale %llu is %s: %u of %u waves are done",
             (unsigned long long)r->id, s.phase, s.waves_done, s.waves);
    return c->why;
}

static void rescale_begin_note(proto_coord *c)
{
    coord_rescale *r = &c->rescale;
    uint8_t *members = proto_zero(r->target_count, 8);
    uint8_t *moves = proto_zero(r->move_count, PROTO_MOVE_SIZE);
    proto_record record = { .kind = PROTO_RECORD_RESCALE, .number = r->id,
                            .phase = PROTO_RESCALE_BEGIN, .deadline_us = r->deadline_us,
                            .members = { members, 8 * r->target_count },
                            .moves = { moves, PROTO_MOVE_SIZE * r->move_count } };

    for (uint32_t i = 0; i < r->target_count; i++)
        proto_put_u64(members + 8 * i, r->target[i]);
    for (uint32_t i = 0; i < r->move_count; i++) {
        const uint64_t *place = bsearch(&r->moves[i].to, r->target, r->target_count,
                                        sizeof *r->target, coord_id_compare);
        uint8_t *move = moves + PROTO_MOVE_SIZE * i;

        proto_put_u32(move, r->moves[i].group);
        proto_put_u32(move + 4, (uint32_t)(place - r->target));
        proto_put_u32(move + 8, r->moves[i].wave);
    }
    r->record_at = coord_append(c, &record);
    free(members);
    free(moves);
}

proto_answer_status coord_rescale_begin(proto_coord *c, const proto_rescale *op, const char **why)
{
    rescale_plan plan = { .target = proto_zero(2 * PROTO_MEMBERS_MAX, sizeof *plan.target),
                          .moves = proto_zero(op->move_count, sizeof *plan.moves),
                          .moved = proto_zero(c->plan->group_count, 1) };

    *why = c->rescale.id != 0 ? rescale_running(c) : refuse_state(c, op);
    if (*why == NULL)
        *why = refuse_members(c, op, &plan);
    if (*why == NULL)
        *why = refuse_moves(c, op, &plan);
    if (*why == NULL)
        *why = refuse_targets(c, &plan, op->move_count);
    if (*why == NULL)
        *why = refuse_room(c, &plan, op->move_count);
    free(plan.moved);
    if (*why != NULL) {
        free(plan.target);
        free(plan.moves);
        return PROTO_ANSWER_REFUSED;
    }
    coord_rescale_open(c, op->id, op->deadline_us == 0 ? RESCALE_DEADLINE_US : op->deadline_us, plan.target,
                 plan.target_count, plan.moves, op->move_count);
    rescale_begin_note(c);
    return PROTO_ANSWER_OK;
}

proto_answer_status proto_coord_rescale(proto_coord *c, uint64_t now_us, const proto_rescale *op,
                                        const char **why)
{
    proto_answer_status status;

    c->now_us = now_us;
    status = coord_rescale_begin(c, op, why);
    proto_coord_tick(c, now_us);
    return status;
}

/* ---- for people ---- */

static const char *rescale_phase(const proto_coord *c)
{
    const coord_rescale *r = &c->rescale;

    if (c->phase != COORD_RUNNING)
        return "waiting for the job to run";
    if (c->room == PROTO_ROOM_NO_ORDERS)
        return "waiting for room in the history";
    if (r->done < r->move_count)
        return r->ordered < r->move_count ? "moving" : "settling";
    return "dismissing";
}

static void stats_members(const proto_coord *c, proto_rescale_stats *s)
{
    const coord_rescale *r = &c->rescale;

    for (uint32_t i = 0; i < r->target_count; i++)
        s->admit += !coord_id_in(r->before, r->before_count, r->target[i]);
    for (uint32_t i = 0; i < r->before_count; i++)
        s->dismiss += !coord_id_in(r->target, r->target_count, r->before[i]);
    s->dismissed = s->dismiss;
    for (uint32_t i = 0; i < c->member_count; i++) {
        bool before = coord_id_in(r->before, r->before_count, c->members[i]);
        bool after = coord_id_in(r->target, r->target_count, c->members[i]);

        s->admitted += after && !before && coord_counts(c, i);
        s->dismissed -= before && !after;
    }
    if (s->admitted < s->admit && !s->aborting && !r->leaving)
        s->phase = "admitting";
}

void coord_rescale_stats(const proto_coord *c, proto_rescale_stats *s)
{
    const coord_rescale *r = &c->rescale;

    *s = (proto_rescale_stats){ .id = r->id, .phase = "", .last_id = r->last_id,
                                .last_end = r->last_end, .last_lost = r->last_lost, .size = r->size,
                                .next_id = (r->id > r->last_id ? r->id : r->last_id) + 1 };
    if (r->id == 0)
        return;
    s->phase = rescale_phase(c);
    s->kept = r->record_at <= c->synced;
    s->aborting = r->aborting;
    s->since_us = c->now_us - r->begun_us;
    stats_members(c, s);
    s->moves = r->move_count;
    s->moves_ordered = r->ordered;
    s->moves_done = r->done;
    s->waves = coord_wave_count(r, r->move_count);
    s->waves_ordered = coord_wave_count(r, r->ordered);
    s->waves_done = coord_wave_count(r, r->done);
}
