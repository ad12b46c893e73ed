/* Members: who is there, attaching after a restart (rule 3), generations and their installation
 * (rules 4 and 5). */
#include "coordinator/proto_coord_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

coord_worker *coord_worker_find(proto_coord *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->worker_count; i++)
        if (c->workers[i].id == id)
            return &c->workers[i];
    return NULL;
}

bool coord_is_member(const proto_coord *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->member_count; i++)
        if (c->members[i] == id)
            return true;
    return false;
}

/* Forgets one that is gone when the table is full; null: all are alive. */
coord_worker *coord_worker_add(proto_coord *c, uint64_t id)
{
    coord_worker *w = coord_worker_find(c, id);

    if (w != NULL)
        return w;
    for (uint32_t i = 0; w == NULL && i < c->worker_count; i++)
        if (c->workers[i].gone && !coord_is_member(c, c->workers[i].id))
            w = &c->workers[i];
    if (w == NULL && c->worker_count < PROTO_WORKERS_MAX)
        w = &c->workers[c->worker_count++];
    if (w != NULL)
        *w = (coord_worker){ .id = id };
    return w;
}

/* ---- attaching ---- */

static void attach_send(proto_coord *c)
{
    for (uint32_t i = 0; i < c->member_count; i++)
        if (!coord_worker_find(c, c->members[i])->reported)
            coord_call(c, c->members[i]);
}

void coord_attach_begin(proto_coord *c)
{
    for (uint32_t i = 0; i < c->member_count; i++) {
        coord_worker *w = coord_worker_add(c, c->members[i]);

        assert(w != NULL);
        w->seen_us = c->now_us;
    }
    coord_enter(c, COORD_ATTACHING);
    for (uint32_t i = 0; i < c->member_count; i++)
        if (coord_worker_find(c, c->members[i])->gone) { /* known before anybody could report */
            c->stats.missing = c->members[i];
            coord_fence(c);
            return;
        }
    attach_send(c);
}

/* The largest of the reports: what any member may have obeyed (rule 3). */
static void attach_end(proto_coord *c)
{
    bool all = true;

    c->bound = c->complete = c->base_step;
    for (uint32_t i = 0; i < c->member_count; i++)
        all &= coord_worker_find(c, c->members[i])->installed;
    for (uint32_t i = 0; all && i < c->member_count; i++) {
        coord_worker *w = coord_worker_find(c, c->members[i]);

        if (MUTANT(c, minattach) ? i == 0 || w->bound < c->bound : w->bound > c->bound)
            c->bound = w->bound;
    }
    c->pace_since_us = c->now_us;
    c->pace_base = c->bound;
    for (uint32_t i = 0; i < c->member_count; i++) {
        coord_worker *w = coord_worker_find(c, c->members[i]);

        w->sent_bound = w->bound;
        w->sent_complete = 0;
        w->sent_order = w->applied;
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
    if (c->phase != COORD_ATTACHING || !coord_is_member(c, w->id))
        return;
    w->reported = true;
    w->installed = false;
    if (msg->header.generation != c->generation || !r->installed)
        return;
    w->installed = true;
    w->bound = r->bound;
    w->applied = r->applied;
    w->worked = r->worked;
    w->done = r->done;
    w->released = r->released;
}

/* ---- a generation begins ---- */

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
    for (uint32_t i = 0; i < c->member_count; i++)
        if (!coord_worker_find(c, c->members[i])->installed)
            coord_send(c, c->members[i], &msg, PROTO_TYPE_install);
    free(members);
    free(owners);
}

void coord_install_begin(proto_coord *c)
{
    c->bound = c->complete = c->base_step;
    coord_enter(c, COORD_INSTALLING);
    install_send(c);
}

void coord_take_installed(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    if (c->phase != COORD_INSTALLING || msg->header.generation != c->generation || w->installed)
        return;
    w->installed = true;
    w->bound = w->worked = w->done = c->base_step;
    w->applied = w->sent_order = c->base_history;
    w->sent_bound = w->sent_complete = c->base_step;
    w->released = 0;
    w->failure_ended = false;
}

static bool worker_usable(const proto_coord *c, const coord_worker *w)
{
    return !w->gone && w->known && c->now_us - w->seen_us < c->config.silence_us;
}

static int member_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Usable workers, members of before first, then by id; at least one on the sinks' host. Returns how
 * many. */
static uint32_t members_choose(proto_coord *c, uint64_t *chosen)
{
    uint32_t count = 0;
    bool host = false;

    for (int old = 1; old >= 0; old--)
        for (int pinned = 1; pinned >= 0; pinned--)
            for (uint32_t i = 0; i < c->worker_count && count < c->config.member_max; i++) {
                const coord_worker *w = &c->workers[i];

                if (!worker_usable(c, w) || coord_is_member(c, w->id) != (old == 1) ||
                    (w->host == c->config.sink_host) != (pinned == 1) ||
                    (!host && !pinned && count + 1 == c->config.member_max))
                    continue;
                host |= pinned == 1;
                chosen[count++] = w->id;
            }
    qsort(chosen, count, sizeof *chosen, member_compare);
    return host && count >= c->config.member_min ? count : 0;
}

static uint32_t member_on_host(proto_coord *c, uint32_t host)
{
    for (uint32_t i = 0; i < c->member_count; i++)
        if (coord_worker_find(c, c->members[i])->host == host)
            return i;
    return 0;
}

/* As few key groups as possible change hands; sinks stay on their host. */
static void owners_place(proto_coord *c, const uint64_t *old_members, uint32_t old_count)
{
    uint32_t groups = c->plan->group_count, sinks = 0;
    uint32_t *before = proto_zero(groups, sizeof *before), *after = proto_zero(groups, sizeof *after);

    for (uint32_t i = 0; i < c->plan->stage_count; i++)
        sinks += c->plan->stages[i].sink ? c->plan->stages[i].group_count : 0;
    for (uint32_t g = 0; g < groups; g++) {
        uint32_t m = old_count == 0 ? PROTO_NONE : proto_owner_at(&c->owners, g, UINT64_MAX);

        before[g] = PROTO_NONE;
        for (uint32_t i = 0; m < old_count && i < c->member_count; i++)
            if (c->members[i] == old_members[m])
                before[g] = i;
    }
    proto_owners_spread(after, before, 0, groups - sinks, c->member_count);
    for (uint32_t g = 0; g < groups; g++) {
        if (g >= groups - sinks)
            after[g] = member_on_host(c, c->config.sink_host);
        proto_owners_set(&c->owners, g, after[g]);
    }
    free(before);
    free(after);
}

static void generation_append(proto_coord *c)
{
    uint8_t *members = proto_zero(c->member_count, 8);
    uint8_t *owners = proto_zero(c->plan->group_count, 4);
    proto_record record = { .kind = PROTO_RECORD_GENERATION, .number = c->generation,
                            .snapshot = c->base_snapshot, .step = c->base_step, .floor = c->floor,
                            .members = { members, 8 * c->member_count },
                            .owners = { owners, 4 * c->plan->group_count } };

    for (uint32_t i = 0; i < c->member_count; i++)
        proto_put_u64(members + 8 * i, c->members[i]);
    for (uint32_t g = 0; g < c->plan->group_count; g++)
        proto_put_u32(owners + 4 * g, proto_owner_at(&c->owners, g, 0));
    c->generation_at = coord_append(c, &record);
    free(members);
    free(owners);
}

static void generation_begin(proto_coord *c, uint64_t *chosen, uint32_t count)
{
    uint64_t *old = c->members;
    uint32_t old_count = c->member_count;

    c->members = chosen;
    c->member_count = count;
    owners_place(c, old, old_count);
    free(old);
    c->generation++;
    c->restoring = COORD_RESTORING_NOT;
    c->base_snapshot = c->head.attempt;
    c->base_step = c->head.step;
    c->base_history = coord_history_below(c, c->base_step);
    c->floor = c->ceiling > c->floor ? c->ceiling : c->floor;
    c->bound = c->snapshot_step = c->base_step;
    coord_snapshots_wind(c, c->base_step);
    c->pace_since_us = c->now_us;
    c->pace_base = c->bound;
    c->attempt = (coord_attempt){ 0 };
    c->last_attempt = 0;
    for (uint32_t i = 0; i < c->worker_count; i++)
        c->workers[i].installed = c->workers[i].prepared = false;
    generation_append(c);
    coord_enter(c, COORD_SEALING);
}

void coord_recover_generation(proto_coord *c, const proto_record *r)
{
    free(c->members);
    c->member_count = r->members.size / 8;
    c->members = proto_zero(c->member_count, sizeof *c->members);
    for (uint32_t i = 0; i < c->member_count; i++)
        c->members[i] = proto_get_u64(r->members.data + 8 * i);
    for (uint32_t g = 0; g < c->plan->group_count; g++)
        proto_owners_set(&c->owners, g, proto_get_u32(r->owners.data + 4 * g));
    c->generation = r->number;
    c->base_snapshot = r->snapshot;
    c->base_step = r->step;
    c->base_history = coord_history_below(c, r->step);
    c->floor = r->floor;
    c->restoring = COORD_RESTORING_NOT;
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
    if (c->generation > 0 && (c->config.mode == PROTO_MODE_NONE ||
                              c->restarts >= c->config.restarts_max)) {
        coord_finish(c, PROTO_END_FAILED);
        return;
    }
    c->restarts++;
    c->stats.restarts++;
    if (doubled == 0)
        coord_fence_until(c, c->now_us); /* the first time at once */
    else
        coord_fence_until(c, c->now_us + (c->config.backoff_us << doubled) / 2);
}

void coord_members_advance(proto_coord *c)
{
    bool all = true;

    if (c->phase == COORD_FENCED && c->now_us >= c->fence_at_us && !c->attempt.committing &&
        coord_restore_advance(c)) {
        uint64_t *chosen = proto_zero(PROTO_WORKERS_MAX, sizeof *chosen);
        uint32_t count = members_choose(c, chosen);

        if (count > 0)
            generation_begin(c, chosen, count);
        else
            free(chosen);
    }
    if (c->phase == COORD_SEALING && c->generation_at <= c->synced)
        coord_install_begin(c);
    if (c->phase != COORD_ATTACHING && c->phase != COORD_INSTALLING)
        return;
    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = coord_worker_find(c, c->members[i]);

        all &= c->phase == COORD_ATTACHING ? w->reported : w->installed || MUTANT(c, noackwait);
    }
    if (all && c->phase == COORD_ATTACHING)
        attach_end(c);
    else if (all)
        coord_enter(c, COORD_RUNNING);
}

/* ---- what workers say ---- */

void coord_take_join(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    (void)c;
    w->known = true;
    w->host = msg->join.host;
    w->process = msg->join.process;
}

void coord_take_status(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    const proto_status *s = &msg->status;

    if (c->phase != COORD_RUNNING)
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
        const coord_worker *w = coord_worker_find(c, c->members[i]);

        all &= w->failure_ended || w->worked > c->stats.failed_step;
    }
    if (all || c->now_us - c->failing_us >= c->config.silence_us)
        coord_finish(c, PROTO_END_FAILED);
}

void coord_take_failed(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    const proto_failed *f = &msg->failed;
    proto_coord_stats *s = &c->stats;

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
    if (coord_is_member(c, worker) && c->generation > 0 && c->phase != COORD_ENDED) {
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
    if (w->process != 0)
        c->env.kill(c->env.user, w->process);
}

static void members_deadline(proto_coord *c)
{
    uint64_t most = c->phase == COORD_ATTACHING ? c->config.attach_us : c->config.install_us;

    if (c->now_us - c->phase_since_us < most)
        return;
    for (uint32_t i = 0; i < c->member_count; i++) {
        coord_worker *w = coord_worker_find(c, c->members[i]);
        bool here = c->phase == COORD_ATTACHING ? w->reported : w->installed;

        if (!here)
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
        coord_worker *w = coord_worker_find(c, c->members[i]);

        if (c->now_us - w->seen_us >= c->config.silence_us) {
            member_lost(c, w);
            coord_fence(c);
        }
    }
}
