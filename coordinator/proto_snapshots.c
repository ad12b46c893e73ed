/* Snapshots, the coordinator's half: one attempt at a time, named by the index of its order, which
 * is never used again. */
#include "coordinator/proto_coord_private.h"

#include <string.h>

static void attempt_tell(proto_coord *c, uint64_t worker, uint64_t attempt)
{
    proto_msg msg = { .decided = { .attempt = attempt, .committed = attempt == c->head.attempt } };

    coord_send(c, worker, &msg, PROTO_TYPE_decided);
}

/* Null: nobody, or one that became a member after the attempt was ordered. */
static coord_worker *taking_part(const proto_coord *c, uint32_t place, uint64_t attempt)
{
    return c->since[place] < attempt ? coord_member(c, place) : NULL;
}

/* A member that has not released the last attempt may not have heard that it was decided. */
void coord_snapshots_tick(proto_coord *c)
{
    for (uint32_t i = 0; c->attempt.index == 0 && c->phase == COORD_RUNNING && i < c->member_count;
         i++) {
        const coord_worker *w = taking_part(c, i, c->last_attempt);

        if (w != NULL && w->released < c->last_attempt)
            attempt_tell(c, w->id, c->last_attempt);
    }
}

static void attempt_decided(proto_coord *c)
{
    uint64_t attempt = c->attempt.index;

    c->attempt = (coord_attempt){ 0 };
    for (uint32_t i = 0; i < c->member_count; i++)
        if (taking_part(c, i, attempt) != NULL)
            attempt_tell(c, c->members[i], attempt);
}

void coord_attempt_abort(proto_coord *c)
{
    if (c->attempt.index == 0 || c->attempt.committing)
        return;
    c->stats.aborts++;
    c->retry_at_us = c->now_us + (c->config.retry_us << (c->aborted < 4 ? c->aborted : 4));
    c->aborted++;
    attempt_decided(c);
}

void coord_snapshots_wind(proto_coord *c, uint64_t step)
{
    c->due_step = step + c->config.snapshot_every;
    c->due_us = c->now_us + c->config.snapshot_every_us;
}

static void attempt_open(proto_coord *c, uint64_t index, uint64_t step, bool final)
{
    c->attempt = (coord_attempt){ .index = index, .step = step, .final = final,
                                  .deadline_us = c->now_us + c->config.attempt_us };
    c->last_attempt = index;
    c->snapshot_step = step;
    coord_snapshots_wind(c, step);
    for (uint32_t i = 0; i < c->member_count; i++)
        if (c->members[i] != 0)
            coord_member(c, i)->prepared = false;
}

/* After a restart the last barrier of this generation is open again, unless it is the head, or a
 * member was already told that it was aborted. */
void coord_snapshots_recover(proto_coord *c)
{
    const proto_order_record *last = NULL;

    for (uint32_t i = c->order_count; i > c->order_gone && last == NULL; i--) {
        const proto_order_record *o = coord_order_get(c, i - 1);

        if (o->kind == PROTO_ORDER_BARRIER && o->made == c->generation)
            last = o;
    }
    if (last == NULL)
        return;
    c->last_attempt = last->index;
    c->snapshot_step = last->step;
    coord_snapshots_wind(c, last->step);
    if (last->second != 0) {
        c->final_step = last->step;
        c->ending = last->step == c->plan->step_count ? PROTO_END_DONE : PROTO_END_DRAINED;
    }
    if (last->index <= c->head.attempt || last->index < c->leave_index)
        return; /* nobody leaves before it is decided, or who leaves had no part in it: it is aborted */
    attempt_open(c, last->index, last->step, last->second != 0);
    for (uint32_t i = 0; i < c->member_count && c->attempt.index != 0; i++) {
        const coord_worker *w = taking_part(c, i, last->index);

        if (w != NULL && w->released >= last->index)
            coord_attempt_abort(c);
    }
}

bool coord_attempt_released(const proto_coord *c)
{
    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = taking_part(c, i, c->last_attempt);

        if (w != NULL && w->released < c->last_attempt && !MUTANT(c, norelease))
            return false;
    }
    return true;
}

static void barrier_order(proto_coord *c, uint64_t step, bool final)
{
    proto_order_record order = { .kind = PROTO_ORDER_BARRIER, .step = step,
                                 .first = c->head.attempt, .second = final };

    attempt_open(c, coord_order(c, &order), step, final);
}

static bool barrier_due(const proto_coord *c, uint64_t step)
{
    if (c->config.snapshot_every > 0)
        return step >= c->due_step;
    return c->config.snapshot_every_us > 0 && c->now_us >= c->due_us && !c->paused;
}

/* Two never overlap: one that is due while another runs is skipped, one that was asked for waits. */
static void barrier_advance(proto_coord *c)
{
    uint64_t step = coord_order_place(c);
    bool due = barrier_due(c, step);

    if ((c->attempt.index != 0 && !MUTANT(c, norelease)) || !coord_attempt_released(c) ||
        (c->attempt.index != 0 && c->attempt.committing)) {
        if (due && step < c->final_step && !c->attempt.final) {
            c->stats.skipped++;
            coord_snapshots_wind(c, step);
        }
        return;
    }
    if (c->hold || c->now_us < c->retry_at_us)
        return;
    due = (due || c->asked_count > 0) && c->room != PROTO_ROOM_NO_ORDERS;
    if (c->bound >= c->final_step)
        barrier_order(c, c->final_step, true);
    else if (due && step < c->final_step && step > c->snapshot_step)
        barrier_order(c, step, false);
}

static void commit_advance(proto_coord *c)
{
    uint64_t members[PROTO_MEMBERS_MAX];
    uint32_t places[PROTO_MEMBERS_MAX], missing = 0;
    proto_commit commit = { .attempt = c->attempt.index, .generation = c->generation,
                            .step = c->attempt.step, .members = members, .places = places };

    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = taking_part(c, i, c->attempt.index);

        if (w != NULL) {
            places[commit.member_count] = i;
            members[commit.member_count++] = w->id;
        }
        missing += w != NULL && !w->prepared;
    }
    if (MUTANT(c, earlycommit) && missing == 1)
        missing = 0;
    if (c->attempt.index == 0 || c->attempt.committing || missing > 0)
        return;
    c->attempt.committing = true;
    c->env.commit(c->env.user, &commit);
}

static void attempt_late(proto_coord *c)
{
    c->stats.late++;
    for (uint32_t i = c->member_count; i > 0; i--) {
        const coord_worker *w = taking_part(c, i - 1, c->attempt.index);

        if (w != NULL && !w->prepared)
            c->stats.late_worker = w->id;
    }
    coord_attempt_abort(c);
}

void coord_snapshots_advance(proto_coord *c)
{
    if (c->phase != COORD_RUNNING)
        return;
    commit_advance(c);
    if (c->attempt.index != 0 && c->bound <= c->attempt.step) /* not yet where the barrier is */
        c->attempt.deadline_us = c->now_us + c->config.attempt_us;
    if (c->attempt.index != 0 && c->now_us >= c->attempt.deadline_us && !c->attempt.committing)
        attempt_late(c);
    barrier_advance(c);
}

void coord_take_prepared(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    uint64_t attempt = msg->prepared.attempt;

    if (c->phase != COORD_RUNNING) /* what is open is not known before all have reported */
        return;
    if (attempt != c->attempt.index || c->attempt.index == 0) {
        if (attempt <= c->order_count && !(MUTANT(c, stalepart) && c->attempt.index != 0))
            attempt_tell(c, w->id, attempt);
        if (MUTANT(c, stalepart) && msg->prepared.ok)
            w->prepared = true;
        return;
    }
    if (!msg->prepared.ok)
        coord_attempt_abort(c);
    else if (msg->prepared.size > 0 && !w->prepared)
        coord_collect_offered(c, w, &msg->prepared);
    else
        w->prepared = true;
}

void coord_snapshot_ask(proto_coord *c, uint64_t client, uint64_t number)
{
    for (uint32_t i = 0; i < c->asked_count; i++)
        if (c->asked[i].client == client && c->asked[i].number == number)
            return;
    if (c->asked_count == COORD_ASKED_MAX || c->room == PROTO_ROOM_NO_ORDERS) {
        coord_answer(c, client, number, PROTO_ANSWER_REFUSED, 0, 0);
        return;
    }
    c->asked[c->asked_count++] = (coord_asked){ client, number, c->order_count };
}

static void asked_answer(proto_coord *c)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < c->asked_count; i++) {
        coord_asked *a = &c->asked[i];

        if (a->after < c->head.attempt)
            coord_answer(c, a->client, a->number, PROTO_ANSWER_OK, c->head.attempt, c->head.step);
        else
            c->asked[left++] = *a;
    }
    c->asked_count = left;
}

/* A generation that has ended meanwhile has waited for it. */
void coord_commit_declined(proto_coord *c, uint64_t attempt)
{
    if (attempt != c->attempt.index || !c->attempt.committing)
        return;
    c->attempt.committing = false;
    if (c->phase == COORD_RUNNING)
        coord_attempt_abort(c);
    else
        c->attempt = (coord_attempt){ 0 };
}

/* A commit that failed may have been made: the process ends, and the head is read again. */
void coord_commit_done(proto_coord *c, uint64_t attempt, bool ok)
{
    bool final = c->attempt.final;

    if (attempt != c->attempt.index || !c->attempt.committing)
        return;
    if (!ok) {
        c->env.stop(c->env.user);
        return;
    }
    c->head = (proto_head){ attempt, c->attempt.step };
    c->stats.commits++;
    c->aborted = 0;
    c->restarts = 0;
    attempt_decided(c);
    asked_answer(c);
    coord_orders_trim(c);
    if (final)
        coord_finish(c, c->ending == PROTO_END_NOT ? PROTO_END_DONE : c->ending);
}
