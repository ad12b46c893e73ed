/* Members: who is there, attaching after a restart (rule 3), the installation of a generation (rule 5), and
 * who is lost. */
#include "coordinator/proto_coord_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

coord_worker *coord_worker_find(proto_coord *c, uint64_t id)
{
    uint32_t row = proto_index_find(&c->worker_rows, id);

    return row == PROTO_NONE ? NULL : &c->workers[row];
}

static void workers_note(proto_coord *c)
{
    proto_index_clear(&c->worker_rows);
    for (uint32_t i = 0; i < c->worker_count; i++)
        proto_index_put(&c->worker_rows, c->workers[i].id, i);
}

coord_worker *coord_member(const proto_coord *c, uint32_t place)
{
    proto_coord *open = (proto_coord *)(uintptr_t)c; /* to remember where it was found */
    uint64_t id = place < c->member_count ? c->members[place] : 0;
    coord_worker *w = &c->workers[c->rows[place]];

    if (id == 0)
        return NULL;
    if (w->id != id)
        w = coord_worker_find(open, id);
    if (w != NULL)
        open->rows[place] = (uint16_t)(w - c->workers);
    return w;
}

bool coord_is_member(const proto_coord *c, uint64_t id)
{
    return coord_place_of(c, id) != PROTO_NONE;
}

/* Nobody hears of it any more, and it has no place. */
static bool worker_forgotten(const proto_coord *c, const coord_worker *w)
{
    return (w->gone || c->now_us - w->seen_us >= 4 * c->config.silence_us) && !coord_is_member(c, w->id);
}

/* Forgets one when the table is full; null: all are alive. */
coord_worker *coord_worker_add(proto_coord *c, uint64_t id)
{
    coord_worker *w = coord_worker_find(c, id);

    if (w != NULL)
        return w;
    for (uint32_t i = 0; w == NULL && i < c->worker_count; i++)
        if (worker_forgotten(c, &c->workers[i]))
            w = &c->workers[i];
    if (w == NULL && c->worker_count < PROTO_WORKERS_MAX)
        w = &c->workers[c->worker_count++];
    if (w == NULL)
        return NULL;
    *w = (coord_worker){ .id = id };
    workers_note(c);
    return w;
}

/* ---- attaching ---- */

static void attach_send(proto_coord *c)
{
    for (uint32_t i = 0; i < c->member_count; i++)
        if (c->members[i] != 0 && !coord_member(c, i)->reported)
            coord_call(c, c->members[i]);
}

void coord_attach_begin(proto_coord *c)
{
    for (uint32_t i = 0; i < c->member_count; i++) {
        coord_worker *w = c->members[i] == 0 ? NULL : coord_worker_add(c, c->members[i]);

        assert(w != NULL || c->members[i] == 0);
        if (w != NULL)
            w->seen_us = c->now_us;
    }
    coord_enter(c, COORD_ATTACHING);
    for (uint32_t i = 0; i < c->member_count; i++)
        if (c->members[i] != 0 && coord_member(c, i)->gone && c->owned[i]) { /* before it reported */
            c->stats.missing = c->members[i];
            coord_rescale_lost(c, c->members[i]);
            coord_fence(c);
            return;
        }
    attach_send(c);
}

/* The largest of the reports: what any member may have obeyed (rule 3). One that was admitted begins where
 * nothing was granted yet. */
static void attach_bound(proto_coord *c)
{
    bool first = true;

    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = coord_member(c, i);

        if (w == NULL || !w->installed ||
            (c->since[i] != 0 && w->bound <= c->since_step[i]))
            continue;
        if (MUTANT(c, minattach) ? first || w->bound < c->bound : w->bound > c->bound)
            c->bound = w->bound;
        first = false;
    }
}

/* One that was admitted may still install, or catch up: then nothing has moved to it, and the generation
 * runs. One that began it and has not installed says that nothing ran yet. */
static void attach_end(proto_coord *c)
{
    bool all = true;

    c->bound = c->complete = c->base_step;
    for (uint32_t i = 0; i < c->member_count; i++)
        all &= c->members[i] == 0 || c->since[i] != 0 || coord_member(c, i)->installed;
    if (all)
        attach_bound(c);
    c->pace_begun = false;
    for (uint32_t i = 0; i < c->member_count; i++) {
        coord_worker *w = coord_member(c, i);

        if (w == NULL)
            continue;
        w->sent_bound = w->bound;
        w->sent_complete = 0;
        w->sent_order = w->applied;
        w->catch_up = w->done + c->config.window < c->bound ? c->bound : 0;
    }
    if (!all) {
        coord_install_begin(c);
        return;
    }
    coord_enter(c, COORD_RUNNING);
    coord_snapshots_wind(c, c->base_step);
    coord_snapshots_recover(c);
}

void coord_take_report(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    const proto_report *r = &msg->report;

    w->known = true;
    w->host = r->host;
    w->process = r->process;
    if (!coord_is_member(c, w->id) && c->generation > 0 &&
        msg->header.generation == c->generation && r->installed)
        coord_leave(c, w);
    if (c->phase != COORD_ATTACHING || !coord_is_member(c, w->id))
        return;
    w->reported = true;
    w->installed = w->install_sent = false;
    if (msg->header.generation != c->generation || !r->installed)
        return;
    w->installed = true;
    w->bound = r->bound;
    w->applied = r->applied;
    w->worked = r->worked;
    w->done = r->done;
    w->released = r->released;
}

/* ---- a generation is installed ---- */

/* Who says that it loads has it: with a thousand members, and tens of thousands of key groups, it is not short. */
static void install_send(proto_coord *c)
{
    uint8_t *members = proto_zero(c->member_count, 8);
    uint8_t *owners = proto_zero(c->plan->group_count, 4);
    proto_msg msg = { .install = { .snapshot = c->base_snapshot, .step = c->base_step,
                                   .history = c->base_history, .window = c->config.window,
                                   .members = { members, 8 * c->member_count },
                                   .owners = { owners, 4 * c->plan->group_count } } };

    for (uint32_t i = 0; i < c->member_count; i++)
        proto_put_u64(members + 8 * i, c->members[i]);
    for (uint32_t g = 0; g < c->plan->group_count; g++)
        proto_put_u32(owners + 4 * g, proto_owner_at(&c->owners, g, 0));
    for (uint32_t i = 0; i < c->member_count; i++) {
        coord_worker *w = coord_member(c, i);

        if (w != NULL && !w->installed && !w->loading)
            coord_send(c, c->members[i], &msg, PROTO_TYPE_install);
        if (w != NULL)
            w->loading = false;
    }
    free(members);
    free(owners);
}

void coord_install_begin(proto_coord *c)
{
    c->bound = c->complete = c->base_step;
    coord_enter(c, COORD_INSTALLING);
    for (uint32_t i = 0; i < c->member_count; i++)
        if (c->members[i] != 0)
            coord_member(c, i)->loading = false;
    install_send(c);
}

void coord_take_installed(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    if (c->phase == COORD_RUNNING)
        coord_admit_installed(c, w, msg->installed.step);
    if (c->phase != COORD_INSTALLING || msg->header.generation != c->generation || w->installed)
        return;
    w->installed = true;
    w->bound = w->worked = w->done = c->base_step;
    w->applied = w->sent_order = c->base_history;
    w->sent_bound = w->sent_complete = c->base_step;
    w->released = 0;
    w->failure_ended = false;
}

/* One that has never owned anything is not waited for as long. */
static bool attach_without(const proto_coord *c, uint32_t place)
{
    return !c->owned[place] && (coord_member(c, place)->gone ||
                                c->now_us - c->phase_since_us >= c->config.silence_us);
}

void coord_members_advance(proto_coord *c)
{
    bool all = true;

    coord_generation_try(c);
    if (c->phase == COORD_SEALING && c->generation_at <= c->synced)
        coord_install_begin(c);
    if (c->phase != COORD_ATTACHING && c->phase != COORD_INSTALLING)
        return;
    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = coord_member(c, i);

        all &= w == NULL || (c->phase == COORD_ATTACHING ? w->reported || attach_without(c, i)
                                                         : w->installed || MUTANT(c, noackwait));
    }
    if (all && c->phase == COORD_ATTACHING)
        attach_end(c);
    else if (all)
        coord_enter(c, COORD_RUNNING);
}

/* ---- what workers say ---- */

void coord_take_join(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    w->loading = c->generation > 0 && msg->header.generation == c->generation;
    w->known = true;
    w->host = msg->join.host;
    w->process = msg->join.process;
}

void coord_take_status(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    const proto_status *s = &msg->status;

    uint32_t place = coord_place_of(c, w->id);

    if (c->phase != COORD_RUNNING || place == PROTO_NONE || (c->since[place] != 0 && !w->installed))
        return;
    if (s->worked > w->worked || s->done > w->done)
        c->moved_us = c->now_us;
    w->bound = s->bound > w->bound ? s->bound : w->bound;
    w->applied = s->applied > w->applied ? s->applied : w->applied;
    w->worked = s->worked > w->worked ? s->worked : w->worked;
    w->done = s->done > w->done ? s->done : w->done;
    w->released = s->released > w->released ? s->released : w->released;
    coord_failure_advance(c);
}

static bool failure_before(const proto_failed *f, const proto_coord_stats *s)
{
    if (f->step != s->failed_step)
        return f->step < s->failed_step;
    if (f->stage != s->failed_stage)
        return f->stage < s->failed_stage;
    if (f->group != s->failed_group)
        return f->group < s->failed_group;
    return f->row < s->failed_row;
}

/* Rule 21: the smallest error is told. All members that may have a smaller one have ended the step, or
 * are beyond it, or have had their time. */
void coord_failure_advance(proto_coord *c)
{
    bool all = true;

    if (c->failing_us == 0 || c->phase != COORD_RUNNING)
        return;
    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = coord_member(c, i);

        all &= !coord_counts(c, i) || w->failure_ended || w->worked > c->stats.failed_step;
    }
    if (all || c->now_us - c->failing_us >= c->config.silence_us)
        coord_finish(c, PROTO_END_FAILED);
}

void coord_take_failed(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    const proto_failed *f = &msg->failed;
    proto_coord_stats *s = &c->stats;

    if (c->restoring != COORD_RESTORING_NOT) /* of what is left behind */
        return;
    if (c->phase == COORD_RUNNING && coord_drop(c, w->id)) /* it could not be opened there */
        return;
    w->failure_ended |= f->ended;
    if (f->stage != PROTO_NONE && (!s->failed || failure_before(f, s))) {
        s->failed = true;
        s->failed_step = f->step;
        s->failed_stage = f->stage;
        s->failed_group = f->group;
        s->failed_row = f->row;
    }
    if (f->stage == PROTO_NONE || f->fatal || c->config.mode != PROTO_MODE_SNAPSHOT) {
        if (f->stage != PROTO_NONE && c->failing_us == 0)
            c->failing_us = c->now_us;
    } else if (c->failing_us == 0) {
        coord_fence(c);
    }
    if (c->phase != COORD_RUNNING && c->failing_us != 0)
        coord_finish(c, PROTO_END_FAILED); /* it failed while it was loaded */
    coord_failure_advance(c);
}

/* Rule 18: the lock's holder is killed, unless it is who should hold it. */
void coord_take_locked(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    if (c->phase == COORD_INSTALLING && coord_is_member(c, w->id) &&
        msg->locked.holder != w->process)
        c->env.kill(c->env.user, msg->locked.holder);
}

void proto_coord_gone(proto_coord *c, uint64_t now_us, uint64_t worker)
{
    coord_worker *w = coord_worker_find(c, worker);

    c->now_us = now_us;
    if (w == NULL && coord_is_member(c, worker))
        w = coord_worker_add(c, worker);
    if (w == NULL || w->gone)
        return;
    w->gone = true;
    coord_rescale_lost(c, worker);
    if (coord_is_member(c, worker) && c->generation > 0 && c->phase != COORD_ENDED &&
        !coord_drop(c, worker)) {
        c->stats.missing = worker;
        coord_fence(c);
    }
    proto_coord_tick(c, now_us);
}

/* A pause of our own is no silence of theirs. */
static void members_forgive(proto_coord *c)
{
    if (c->now_us - c->ticked_us > c->config.silence_us / 2)
        for (uint32_t i = 0; i < c->worker_count; i++)
            c->workers[i].seen_us = c->now_us;
    c->ticked_us = c->now_us;
}

/* It may be frozen and hold what its successor needs: a shell that can end it, does. */
static void member_lost(proto_coord *c, const coord_worker *w)
{
    c->stats.missing = w->id;
    coord_rescale_lost(c, w->id);
    if (w->process != 0)
        c->env.kill(c->env.user, w->process);
}

/* Who loads through the network takes as long as the network needs: time counts from the last range that was read for
 * somebody. */
static uint64_t members_since(const proto_coord *c)
{
    uint64_t since = c->phase_since_us;

    for (uint32_t i = 0; i < c->member_count && c->phase == COORD_INSTALLING; i++) {
        const coord_worker *w = coord_member(c, i);

        if (w != NULL && !w->installed && w->served_us > since)
            since = w->served_us;
    }
    return since;
}

static void members_deadline(proto_coord *c)
{
    uint64_t most = c->phase == COORD_ATTACHING ? c->config.attach_us : c->config.install_us;

    if (c->now_us - members_since(c) < most)
        return;
    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = coord_member(c, i);

        if (w != NULL && !(c->phase == COORD_ATTACHING ? w->reported : w->installed))
            member_lost(c, w);
    }
    coord_fence(c);
}

void coord_members_tick(proto_coord *c)
{
    members_forgive(c);
    coord_failure_advance(c);
    if (c->phase == COORD_ATTACHING)
        attach_send(c);
    if (c->phase == COORD_INSTALLING)
        install_send(c);
    if (c->phase == COORD_ATTACHING || c->phase == COORD_INSTALLING)
        members_deadline(c);
    for (uint32_t i = 0; i < c->member_count && c->phase == COORD_RUNNING; i++) {
        const coord_worker *w = coord_member(c, i);

        if (w != NULL && (w->gone || c->now_us - w->seen_us >= c->config.silence_us)) {
            member_lost(c, w);
            if (!coord_drop(c, w->id))
                coord_fence(c);
        }
    }
}
