#include "tests/support/fake_cluster.h"

#include "coordinator/proto_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what the coordinator does ---- */

static void cluster_send(void *user, uint64_t to, const proto_msg *msg)
{
    fake_cluster *c = user;
    fake_message m = { .to = to, .type = msg->header.type, .generation = msg->header.generation,
                       .incarnation = msg->header.incarnation };

    if (to == 0 || to > FAKE_CLUSTER_WORKERS)
        return;
    if (m.type == PROTO_TYPE_install) {
        m.number = msg->install.history;
        m.second = msg->install.step;
        m.third = msg->install.tables;
    } else if (m.type == PROTO_TYPE_order) {
        m.number = msg->order.index;
        m.second = msg->order.step;
        m.kind = msg->order.kind;
    } else if (m.type == PROTO_TYPE_grant) {
        m.number = msg->grant.bound;
        m.second = msg->grant.history;
        m.third = msg->grant.complete;
    } else if (m.type == PROTO_TYPE_decided) {
        m.number = msg->decided.attempt;
    } else if (m.type == PROTO_TYPE_want) {
        m.number = msg->want.attempt;
        m.second = msg->want.offset;
        m.third = msg->want.size;
    } else if (m.type == PROTO_TYPE_stop) {
        m.number = msg->stop.reason;
    } else if (m.type == PROTO_TYPE_answer) {
        m.number = msg->answer.number;
        m.second = msg->answer.status;
    }
    assert_true(c->queued < FAKE_CLUSTER_MESSAGES);
    c->queue[c->queued++] = m;
}

static proto_bytes copy(proto_bytes from)
{
    uint8_t *to = malloc(from.size + 1u);

    assert_non_null(to);
    if (from.size > 0)
        memcpy(to, from.data, from.size);
    return (proto_bytes){ to, from.size };
}

static void record_free(proto_record *r)
{
    free((void *)(uintptr_t)r->members.data);
    free((void *)(uintptr_t)r->owners.data);
    free((void *)(uintptr_t)r->moves.data);
    free((void *)(uintptr_t)r->order.payload.data);
}

static void cluster_append(void *user, const proto_record *record)
{
    fake_cluster *c = user;
    proto_record *r;

    c->log = realloc(c->log, (c->log_count + 1u) * sizeof *c->log);
    assert_non_null(c->log);
    r = &c->log[c->log_count++];
    *r = *record;
    r->members = copy(record->members);
    r->owners = copy(record->owners);
    r->moves = copy(record->moves);
    r->order.payload = copy(record->order.payload);
}

static void cluster_sync(void *user)
{
    ((fake_cluster *)user)->syncing = true;
}

static void cluster_commit(void *user, const proto_commit *commit)
{
    fake_cluster *c = user;

    c->commit_attempt = commit->attempt;
    c->commit_members = commit->member_count;
    c->head = (proto_head){ commit->attempt, commit->step };
}

/* The newest is the only one that is kept. */
static bool cluster_find(void *user, uint64_t snapshot, proto_head *head)
{
    const fake_cluster *c = user;

    *head = c->head;
    return c->head.attempt != 0 && (snapshot == 0 || snapshot == c->head.attempt);
}

static void cluster_restore(void *user, uint64_t snapshot)
{
    ((fake_cluster *)user)->restoring = snapshot;
}

static void cluster_kill(void *user, uint64_t process)
{
    (void)process;
    ((fake_cluster *)user)->kills++;
}

static void cluster_collect(void *user, const proto_collect *piece)
{
    fake_cluster *c = user;

    c->collected = *piece;
    c->collected.bytes.data = NULL;
    c->collects++;
}

static void cluster_serve(void *user, uint64_t worker, const proto_fetch *what)
{
    fake_cluster *c = user;

    (void)worker;
    c->served = *what;
    c->served.groups.data = NULL;
    c->serves++;
}

static bool cluster_refuses(void *user, uint64_t worker, bool member)
{
    const fake_member *w = &((const fake_cluster *)user)->members[worker - 1];

    return w->unfit || (w->full && !member);
}

static void cluster_stop(void *user)
{
    (void)user;
    fail_msg("%s", "the coordinator gave up");
}

void fake_cluster_hear(fake_cluster *c, const proto_msg *msg)
{
    proto_coord_receive(c->coord, c->now_us, msg);
    proto_coord_tick(c->coord, c->now_us);
}

/* ---- what workers do ---- */

void fake_cluster_say(fake_cluster *c, const fake_member *w, proto_msg msg, uint16_t type)
{
    msg.header = (proto_header){ .type = type, .job = FAKE_CLUSTER_JOB, .generation = w->generation,
                                 .incarnation = w->incarnation, .sender = w->id };
    proto_coord_receive(c->coord, c->now_us, &msg);
}

static void say_status(fake_cluster *c, const fake_member *w)
{
    fake_cluster_say(c, w, (proto_msg){ .status = { w->bound, w->applied, w->bound, w->bound, w->released } },
        PROTO_TYPE_status);
}

static void worker_prepare(fake_cluster *c, fake_member *w)
{
    if (w->attempt != 0 && w->bound > w->attempt_step)
        fake_cluster_say(c, w, (proto_msg){ .prepared = { .attempt = w->attempt, .ok = 1, .size = w->file_size,
                                                          .hash_low = w->id } }, PROTO_TYPE_prepared);
}

static void worker_install(fake_cluster *c, fake_member *w, const fake_message *m)
{
    if (m->generation > w->generation) {
        w->generation = m->generation;
        w->applied = m->number;
        w->bound = m->second;
        w->released = w->attempt = 0;
        w->running = true;
        w->installs++;
    }
    w->incarnation = m->incarnation > w->incarnation ? m->incarnation : w->incarnation;
    fake_cluster_say(c, w, (proto_msg){ .installed = { m->second } }, PROTO_TYPE_installed);
}

static void worker_hears(fake_cluster *c, fake_member *w, const fake_message *m)
{
    if (m->type == PROTO_TYPE_install) {
        worker_install(c, w, m);
    } else if (m->type == PROTO_TYPE_attach) {
        w->incarnation = m->incarnation;
        fake_cluster_say(c, w, (proto_msg){ .report = { 0, w->id, w->bound, w->applied, w->bound, w->bound,
                                           w->released, 0, w->running } }, PROTO_TYPE_report);
        worker_prepare(c, w);
    } else if (m->type == PROTO_TYPE_order && m->number == w->applied + 1) {
        w->applied++;
        w->orders++;
        if (m->kind == PROTO_ORDER_BARRIER) {
            w->attempt = m->number;
            w->attempt_step = m->second;
        }
        say_status(c, w);
    } else if (m->type == PROTO_TYPE_grant && m->second <= w->applied && m->number > w->bound) {
        w->bound = m->number;
        say_status(c, w);
        worker_prepare(c, w);
    } else if (m->type == PROTO_TYPE_decided && m->number == w->attempt) {
        w->released = w->attempt;
        w->attempt = 0;
        say_status(c, w);
    } else if (m->type == PROTO_TYPE_want && m->number == w->attempt) {
        w->wanted = m->second;
        w->want_size = m->third;
        w->wants++;
    } else if (m->type == PROTO_TYPE_stop) {
        w->stopped = (uint32_t)m->number + 1;
        w->there = false;
    }
}

/* ---- time ---- */

bool fake_cluster_crashed(const fake_cluster *c)
{
    return c->crash_at != 0 && c->log_synced >= c->crash_at;
}

static void disk_ends(fake_cluster *c)
{
    if (c->syncing && !c->hold_sync) {
        c->syncing = false;
        c->log_synced = c->log_count;
        if (c->crash_at != 0 && c->log_synced > c->crash_at)
            c->log_synced = c->crash_at;
        if (!fake_cluster_crashed(c))
            proto_coord_synced(c->coord, c->now_us, c->log_synced - c->base, true);
    }
    if (c->commit_attempt != 0 && !c->hold_commit) {
        uint64_t attempt = c->commit_attempt;

        c->commit_attempt = 0;
        c->commits++;
        proto_coord_committed(c->coord, c->now_us, attempt, true);
    }
    if (c->restoring != 0 && !c->hold_sync) {
        uint64_t snapshot = c->restoring;

        c->restoring = 0;
        proto_coord_restored(c->coord, c->now_us, snapshot, true);
    }
}

/* A millisecond: all that was said is heard, what was to be synced is, and time passes. */
void fake_cluster_round(fake_cluster *c)
{
    uint32_t count = c->queued;
    fake_message *heard = malloc((count + 1u) * sizeof *heard);

    assert_non_null(heard);
    memcpy(heard, c->queue, count * sizeof *heard);
    c->queued = 0;
    for (uint32_t i = 0; i < count && !fake_cluster_crashed(c); i++) {
        fake_member *w = &c->members[heard[i].to - 1];

        if (w->there && !w->deaf)
            worker_hears(c, w, &heard[i]);
    }
    free(heard);
    disk_ends(c);
    c->now_us += 1000;
    for (uint32_t i = 0; i < FAKE_CLUSTER_WORKERS && !fake_cluster_crashed(c); i++)
        if (c->members[i].there && !c->members[i].deaf && c->now_us % 8000 == 0) {
            if (c->members[i].running)
                say_status(c, &c->members[i]);
            else
                fake_cluster_say(c, &c->members[i], (proto_msg){ .join = { .process = i + 1u } }, PROTO_TYPE_join);
        }
    if (!fake_cluster_crashed(c))
        proto_coord_tick(c->coord, c->now_us);
}

proto_coord_stats fake_cluster_stats(const fake_cluster *c)
{
    proto_coord_stats s;

    proto_coord_stats_get(c->coord, &s);
    return s;
}

static void coord_begin(fake_cluster *c)
{
    proto_coord_env env = { .user = c, .send = cluster_send, .append = cluster_append,
                            .sync = cluster_sync, .commit = cluster_commit, .find = cluster_find,
                            .restore = cluster_restore, .kill = cluster_kill, .stop = cluster_stop,
                            .collect = cluster_collect, .serve = cluster_serve,
                            .refuses = cluster_refuses };

    c->coord = proto_coord_new(&c->plan, &c->config, &env);
    c->base = c->log_count;
    for (uint32_t i = 0; i < c->log_count; i++)
        proto_coord_recover(c->coord, &c->log[i]);
    proto_coord_start(c->coord, c->now_us, c->head);
}

/* What was not synced is gone, and what was said and not heard. */
static void coord_end(fake_cluster *c)
{
    proto_coord_free(&c->coord);
    while (c->log_count > c->log_synced)
        record_free(&c->log[--c->log_count]);
    c->queued = c->crash_at = 0;
    c->syncing = false;
    c->commit_attempt = c->restoring = 0;
}

void fake_cluster_crash(fake_cluster *c)
{
    coord_end(c);
    coord_begin(c);
}

static void log_shorten(fake_cluster *c)
{
    bool *dead = calloc(c->log_count + 1u, sizeof *dead);
    proto_record *kept = calloc(c->log_count + 1u, sizeof *kept);
    uint32_t count;

    assert_non_null(dead);
    assert_non_null(kept);
    proto_log_mark(c->log, c->log_count, dead);
    count = proto_log_copy(c->log, c->log_count, dead, kept);
    assert_true(count > 0);
    for (uint32_t i = 0; i < c->log_count; i++)
        if (dead[i])
            record_free(&c->log[i]);
    free(dead);
    free(c->log);
    c->log = kept;
    c->log_count = c->log_synced = count;
}

void fake_cluster_crash_shorter(fake_cluster *c)
{
    coord_end(c);
    log_shorten(c);
    coord_begin(c);
}

void fake_cluster_add(fake_cluster *c, uint64_t id)
{
    c->members[id - 1] = (fake_member){ .id = id, .there = true };
    fake_cluster_say(c, &c->members[id - 1], (proto_msg){ .join = { .process = id } }, PROTO_TYPE_join);
}

/* `groups` key groups and a sink's; `members` run, and as many as `workers` are there. */
fake_cluster *fake_cluster_new(uint32_t groups, uint32_t members, uint32_t workers)
{
    fake_cluster *c = calloc(1, sizeof *c);

    assert_non_null(c);
    c->queue = calloc(FAKE_CLUSTER_MESSAGES, sizeof *c->queue);
    assert_non_null(c->queue);
    c->stages[0] = (proto_stage){ .group_count = groups, .makes_state = true };
    c->stages[1] = (proto_stage){ .group_first = groups, .group_count = 1, .sink = true };
    c->plan = (proto_plan){ .step_count = 1u << 30, .group_count = groups + 1, .stage_count = 2,
                            .stages = c->stages };
    c->config = (proto_coord_config){
        .job = FAKE_CLUSTER_JOB, .member_min = members, .member_max = members, .window = FAKE_CLUSTER_WINDOW, .order_ahead = 2,
        .ceiling_span = 1000, .ceiling_span_max = 1000, .restarts_max = 100, .backoff_us = 1000,
        .beat_us = 4000, .silence_us = 40000, .attach_us = 60000, .install_us = 60000,
        .attempt_us = 1000000, .stream = { FAKE_CLUSTER_PIECE, 4 * FAKE_CLUSTER_PIECE, 8000 },
    };
    c->now_us = 1000;
    coord_begin(c);
    fake_cluster_round(c);
    for (uint64_t id = 1; id <= workers; id++)
        fake_cluster_add(c, id);
    for (int i = 0; i < 20; i++)
        fake_cluster_round(c);
    assert_true(fake_cluster_stats(c).running);
    assert_int_equal(fake_cluster_stats(c).members, members);
    return c;
}

void fake_cluster_free(fake_cluster *c)
{
    proto_coord_free(&c->coord);
    for (uint32_t i = 0; i < c->log_count; i++)
        record_free(&c->log[i]);
    free(c->log);
    free(c->queue);
    free(c);
}
