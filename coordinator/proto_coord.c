#include "coordinator/proto_coord_private.h"

#include <stdlib.h>
#include <string.h>

void coord_send(proto_coord *c, uint64_t to, proto_msg *msg, uint16_t type)
{
    msg->header.type = type;
    msg->header.job = c->config.job;
    msg->header.generation = c->generation;
    msg->header.incarnation = c->incarnation;
    msg->header.sender = 0;
    c->env.send(c->env.user, to, msg);
}

void coord_reject(proto_coord *c, proto_reject reason)
{
    c->stats.rejected[reason]++;
}

void coord_enter(proto_coord *c, coord_phase phase)
{
    c->phase = phase;
    c->phase_since_us = c->now_us;
}

/* The end is synced before anybody is told. */
void coord_finish(proto_coord *c, proto_end end)
{
    proto_record record = { .kind = PROTO_RECORD_END, .number = end };

    if (c->phase == COORD_ENDED)
        return;
    c->end = end;
    c->end_at = coord_append(c, &record);
    coord_enter(c, COORD_ENDED);
}

static void coord_stop_worker(proto_coord *c, const coord_worker *w)
{
    bool dismissed = c->phase != COORD_ENDED && coord_is_dismissed(c, w->id);
    proto_msg msg = { .stop = { .reason = dismissed ? PROTO_STOP_DISMISSED : (uint8_t)c->end } };

    coord_send(c, w->id, &msg, PROTO_TYPE_stop);
}

/* Ask a worker for its report, the promise to obey this incarnation. */
void coord_call(proto_coord *c, uint64_t worker)
{
    proto_msg msg = { .attach = { 0 } };

    coord_send(c, worker, &msg, PROTO_TYPE_attach);
}

/* All are told once, at once; who has not heard it is told again when it says something. */
static void coord_tell_end(proto_coord *c)
{
    if (c->phase != COORD_ENDED || c->end_told || c->end_at > c->synced)
        return;
    c->end_told = true;
    for (uint32_t i = 0; i < c->worker_count; i++)
        if (!c->workers[i].gone)
            coord_stop_worker(c, &c->workers[i]);
}

/* What follows from all that was heard. Each look at all members is in here, so a thousand messages that came at
 * once cost one. */
static void coord_advance(proto_coord *c)
{
    c->heard = false;
    if (c->phase == COORD_STARTING && c->incarnation_at <= c->synced) {
        if (c->end != PROTO_END_NOT)
            coord_enter(c, COORD_ENDED);
        else if (c->generation == 0 || c->restoring != COORD_RESTORING_NOT)
            coord_enter(c, COORD_FENCED);
        else
            coord_attach_begin(c);
    }
    coord_members_advance(c);
    coord_rescale_advance(c); /* before the next snapshot begins: members leave between two of them */
    coord_tables_advance(c);
    coord_snapshots_advance(c);
    coord_collect_advance(c);
    coord_grants_advance(c);
    coord_orders_send(c);
    coord_admit_advance(c);
    coord_sync(c);
    coord_tell_end(c);
}

/* ---- messages ---- */

typedef struct coord_rule {
    void (*take)(proto_coord *c, coord_worker *w, const proto_msg *msg);
    bool generation;  /* of the running generation only */
    bool incarnation; /* of this incarnation only */
} coord_rule;

static const coord_rule coord_rules[PROTO_TYPE_END] = {
    [PROTO_TYPE_join] = { coord_take_join, false, false },
    [PROTO_TYPE_report] = { coord_take_report, false, true },
    [PROTO_TYPE_status] = { coord_take_status, true, true },
    [PROTO_TYPE_installed] = { coord_take_installed, true, true },
    [PROTO_TYPE_prepared] = { coord_take_prepared, true, true },
    [PROTO_TYPE_failed] = { coord_take_failed, true, true },
    [PROTO_TYPE_locked] = { coord_take_locked, true, true },
    [PROTO_TYPE_piece] = { coord_take_piece, true, true },
    [PROTO_TYPE_fetch] = { coord_take_fetch, true, true },
};

static bool coord_obeys(const proto_coord *c, const coord_rule *rule, const proto_header *h)
{
    if (MUTANT(c, stalepart) && h->type == PROTO_TYPE_prepared)
        return true;
    return (!rule->generation || h->generation == c->generation) &&
           (!rule->incarnation || h->incarnation == c->incarnation);
}

/* A worker of another generation that is no member now ends, and may come back as a spare one. */
static bool coord_is_stray(const proto_coord *c, const proto_msg *msg)
{
    if (c->phase == COORD_ENDED)
        return c->end_at <= c->synced;
    return msg->header.generation != 0 && msg->header.generation < c->generation &&
           !coord_is_member(c, msg->header.sender) && c->phase == COORD_RUNNING;
}

/* Of the running generation, and no member any more. It is told when nobody needs it. */
static bool coord_has_left(const proto_coord *c, const proto_msg *msg)
{
    return c->phase == COORD_RUNNING && msg->header.generation == c->generation &&
           msg->header.type != PROTO_TYPE_report && !coord_is_member(c, msg->header.sender);
}

static void coord_from_worker(proto_coord *c, const proto_msg *msg)
{
    const coord_rule *rule = &coord_rules[msg->header.type];
    coord_worker *w = rule->take == NULL ? NULL : coord_worker_add(c, msg->header.sender);

    if (w == NULL || w->gone) {
        coord_reject(c, rule->take == NULL ? PROTO_REJECT_type : PROTO_REJECT_sender);
        if (w != NULL) /* its connection was lost, and with it its place */
            coord_stop_worker(c, w);
        return;
    }
    w->seen_us = c->now_us;
    if (!w->known && msg->header.type != PROTO_TYPE_join && msg->header.type != PROTO_TYPE_report)
        coord_call(c, w->id);
    if (coord_is_stray(c, msg))
        coord_stop_worker(c, w);
    else if (coord_has_left(c, msg))
        coord_leave(c, w);
    else if (coord_obeys(c, rule, &msg->header))
        rule->take(c, w, msg);
    else
        coord_reject(c, PROTO_REJECT_stale);
}

void proto_coord_receive(proto_coord *c, uint64_t now_us, const proto_msg *msg)
{
    uint16_t type = msg->header.type;

    c->now_us = now_us;
    if (c->phase == COORD_STARTING)
        return;
    if (msg->header.job != c->config.job || type >= PROTO_TYPE_END || msg->header.sender == 0)
        coord_reject(c, PROTO_REJECT_job);
    else if (type == PROTO_TYPE_inject)
        coord_take_inject(c, msg);
    else if (type == PROTO_TYPE_command)
        coord_take_command(c, msg);
    else
        coord_from_worker(c, msg);
    c->heard = true;
}

/* ---- time and disk ---- */

void proto_coord_tick(proto_coord *c, uint64_t now_us)
{
    c->now_us = now_us;
    if (now_us >= c->beat_at_us) {
        c->beat_at_us = now_us + c->config.beat_us;
        coord_members_tick(c);
        coord_admit_tick(c);
        coord_grants_tick(c);
        coord_snapshots_tick(c);
        coord_stall_tick(c);
    }
    coord_advance(c);
}

uint64_t proto_coord_deadline(const proto_coord *c)
{
    uint64_t at = c->heard ? c->now_us : c->beat_at_us, grant = coord_grant_due(c);

    at = grant < at ? grant : at;
    if (c->phase == COORD_FENCED && c->fence_at_us > c->now_us && c->fence_at_us < at)
        at = c->fence_at_us;
    return at;
}

void proto_coord_synced(proto_coord *c, uint64_t now_us, uint64_t records, bool ok)
{
    c->now_us = now_us;
    if (!ok) {
        c->env.stop(c->env.user);
        return;
    }
    c->syncing = false;
    c->synced = records;
    coord_orders_synced(c);
    coord_clients_synced(c);
    coord_advance(c);
}

void proto_coord_declined(proto_coord *c, uint64_t now_us, uint64_t attempt)
{
    c->now_us = now_us;
    coord_commit_declined(c, attempt);
    coord_advance(c);
}

void proto_coord_committed(proto_coord *c, uint64_t now_us, uint64_t attempt, bool ok)
{
    c->now_us = now_us;
    coord_commit_done(c, attempt, ok);
    coord_advance(c);
}

/* ---- life ---- */

proto_coord *proto_coord_new(const proto_plan *plan, const proto_coord_config *config,
                             const proto_coord_env *env)
{
    proto_coord *c = proto_zero(1, sizeof *c);

    c->plan = plan;
    c->config = *config;
    c->env = *env;
    c->final_step = plan->step_count;
    c->ceiling_span = config->ceiling_span;
    c->room_left = UINT64_MAX;
    c->workers = proto_zero(PROTO_WORKERS_MAX, sizeof *c->workers);
    c->clients = proto_zero(PROTO_CLIENTS_MAX, sizeof *c->clients);
    proto_owners_init(&c->owners, plan->group_count);
    return c;
}

void proto_coord_free(proto_coord **coord)
{
    proto_coord *c = *coord;

    *coord = NULL;
    if (c == NULL)
        return;
    for (uint32_t i = 0; i < c->order_count - c->order_gone; i++)
        free((void *)(uintptr_t)c->orders[i].payload.data);
    free(c->orders);
    free(c->order_at);
    free(c->workers);
    free(c->clients);
    coord_rescale_free(c);
    proto_owners_fini(&c->owners);
    free(c);
}

void proto_coord_recover(proto_coord *c, const proto_record *record)
{
    switch (record->kind) {
    case PROTO_RECORD_INCARNATION:
        c->incarnation = record->number;
        break;
    case PROTO_RECORD_CEILING:
        c->ceiling = c->ceiling_synced = record->number;
        break;
    case PROTO_RECORD_GENERATION:
        coord_recover_generation(c, record);
        break;
    case PROTO_RECORD_ORDER:
        coord_order_recover(c, &record->order);
        break;
    case PROTO_RECORD_PAUSE:
        c->paused = record->number != 0;
        break;
    case PROTO_RECORD_DRAIN:
        c->final_step = record->number;
        c->ending = PROTO_END_DRAINED;
        break;
    case PROTO_RECORD_RESCALE:
        coord_rescale_recover(c, record);
        break;
    case PROTO_RECORD_END:
        c->end = (proto_end)record->number;
        break;
    case PROTO_RECORD_SKIP:
        coord_orders_skip(c, record->number);
        break;
    case PROTO_RECORD_RESTORE:
        coord_restore_recover(c, record);
        break;
    case PROTO_RECORD_TABLES:
        coord_tables_recover(c, record);
        break;
    }
    coord_tables_count(c, record);
}

void proto_coord_start(proto_coord *c, uint64_t now_us, proto_head head)
{
    proto_record record = { .kind = PROTO_RECORD_INCARNATION };

    if (c->incarnation == 0 || !MUTANT(c, sameinc))
        c->incarnation++;
    record.number = c->incarnation;
    c->now_us = c->ticked_us = c->beat_at_us = now_us;
    c->head = head;
    c->rescale.begun_us = now_us;
    c->order_synced = c->order_count;
    c->incarnation_at = coord_append(c, &record);
    coord_enter(c, COORD_STARTING);
    coord_sync(c);
}

/* Members are chosen when one of them is where the sinks are. */
static const char *waiting_fenced(const proto_coord *c)
{
    bool any = false, host = false;

    if (c->roomless)
        return "a worker that may be given what a lost one had";
    for (uint32_t i = 0; i < c->worker_count; i++)
        if (coord_is_usable(c, &c->workers[i])) {
            any = true;
            host |= c->workers[i].host == c->config.sink_host;
        }
    return any && !host ? "a worker on the coordinator's host that sees its folder: sinks, and what is gathered, are there"
                        : "workers";
}

void proto_coord_stats_get(const proto_coord *c, proto_coord_stats *stats)
{
    static const char *const waiting[] = {
        [COORD_STARTING] = "its own log",   [COORD_ATTACHING] = "members that report",
        [COORD_FENCED] = NULL,              [COORD_SEALING] = "the generation's record",
        [COORD_INSTALLING] = "members that load", [COORD_RUNNING] = "",
        [COORD_ENDED] = "",
    };

    *stats = c->stats;
    stats->generation = c->generation;
    stats->incarnation = c->incarnation;
    stats->restarts_in_a_row = c->restarts;
    stats->bound = c->bound;
    stats->low = coord_low(c);
    stats->ceiling = c->ceiling_synced;
    stats->orders = c->order_count;
    stats->head = c->head;
    stats->base = (proto_head){ c->base_snapshot, c->base_step };
    stats->end = c->end_at <= c->synced ? c->end : PROTO_END_NOT;
    stats->running = c->phase == COORD_RUNNING;
    stats->paused = c->paused;
    stats->gatherer = c->gatherer;
    stats->members = coord_members_here(c);
    coord_rescale_stats(c, &stats->rescale);
    stats->attempt = c->attempt.index;
    stats->attempt_step = c->attempt.step;
    stats->final_step = c->final_step;
    stats->roomless = c->phase == COORD_FENCED && c->roomless;
    stats->waiting = c->phase == COORD_FENCED ? waiting_fenced(c) : waiting[c->phase];
}

void proto_coord_now_get(const proto_coord *c, proto_coord_now *now)
{
    *now = (proto_coord_now){ c->generation, c->attempt.index, c->head };
}

bool proto_coord_has_member(const proto_coord *c, uint64_t worker)
{
    return coord_is_member(c, worker);
}

static bool worker_here(const proto_coord *c, const coord_worker *w)
{
    if (c->phase == COORD_ATTACHING)
        return w->reported;
    return c->phase == COORD_INSTALLING ? w->installed : true;
}

/* How many key groups each member owns, by its place. */
static uint32_t *groups_count(const proto_coord *c)
{
    uint32_t *counts = proto_zero(c->member_count, sizeof *counts);

    for (uint32_t g = 0; g < c->plan->group_count; g++) {
        uint32_t member = proto_owner_at(&c->owners, g, c->bound);

        if (member < c->member_count)
            counts[member]++;
    }
    return counts;
}

uint32_t proto_coord_workers_get(const proto_coord *c, proto_coord_worker *workers, uint32_t capacity)
{
    uint32_t *counts = groups_count(c), count = 0;

    for (uint32_t i = 0; i < c->worker_count && count < capacity; i++) {
        const coord_worker *w = &c->workers[i];
        proto_coord_worker *out = &workers[count];

        if (w->gone || (!w->known && !coord_is_member(c, w->id)))
            continue;
        *out = (proto_coord_worker){ .id = w->id, .process = w->process, .host = w->host,
                                     .member = coord_is_member(c, w->id), .here = worker_here(c, w),
                                     .worked = w->worked, .done = w->done, .leaving = w->leaving,
                                     .silent_us = c->now_us - w->seen_us };
        if (out->member)
            out->groups = counts[coord_place_of(c, w->id)];
        count++;
    }
    free(counts);
    return count;
}

void proto_coord_expect(proto_coord *c, uint32_t member_min)
{
    c->config.member_min = member_min;
    if (c->rescale.size > 0 && c->rescale.size < member_min)
        c->config.member_min = c->rescale.size;
}

void proto_coord_owners_get(const proto_coord *c, uint64_t *owner_ids)
{
    for (uint32_t g = 0; g < c->plan->group_count; g++)
        owner_ids[g] = c->member_count == 0 ? 0
                                            : c->members[proto_owner_at(&c->owners, g, UINT64_MAX)];
}

void proto_coord_size(proto_coord *c, uint32_t member_min, uint32_t member_max)
{
    c->rescale.size = 0;
    c->config.member_min = member_min;
    c->config.member_max = member_max;
}

void proto_coord_room(proto_coord *c, proto_room room, uint64_t left)
{
    c->room = room;
    c->room_left = left;
}

void proto_coord_hold(proto_coord *c, bool hold)
{
    c->hold = hold;
}
