#include "coordinator/proto_worker_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_PAUSE_US 5000u /* between two statuses of a few steps */

void worker_send(proto_worker *w, uint64_t to, proto_msg *msg, uint16_t type)
{
    msg->header.type = type;
    msg->header.job = w->config.job;
    msg->header.generation = w->generation;
    msg->header.incarnation = w->incarnation;
    msg->header.sender = w->config.self;
    w->env.send(w->env.user, to, msg);
}

void worker_reject(proto_worker *w, proto_reject reason)
{
    w->stats.rejected[reason]++;
}

static uint64_t worker_done(const proto_worker *w)
{
    return w->phase == WORKER_RUNNING ? w->calls->low(w) : w->install_step;
}

static uint64_t worker_worked(const proto_worker *w)
{
    return w->phase == WORKER_RUNNING ? w->calls->worked(w) : w->install_step;
}

static void worker_send_join(proto_worker *w)
{
    proto_msg msg = { .join = { .host = w->config.host, .process = w->config.process } };

    worker_send(w, 0, &msg, PROTO_TYPE_join);
}

static void worker_send_report(proto_worker *w)
{
    const capture *c = &w->capture;
    proto_msg msg = { .report = { .host = w->config.host, .process = w->config.process,
                                  .bound = w->bound, .applied = w->applied,
                                  .worked = worker_worked(w), .done = worker_done(w),
                                  .released = c->over ? c->attempt : w->released,
                                  .prepared = c->told && !c->failed ? c->attempt : 0,
                                  .installed = w->phase == WORKER_RUNNING } };

    worker_send(w, 0, &msg, PROTO_TYPE_report);
}

static void worker_send_status(proto_worker *w)
{
    proto_msg msg = { .status = { .bound = w->bound, .applied = w->applied,
                                  .worked = worker_worked(w), .done = worker_done(w), .released = w->released } };

    w->status_due = false;
    w->told_low = msg.status.done;
    w->told_worked = msg.status.worked;
    w->told_us = w->now_us;
    worker_send(w, 0, &msg, PROTO_TYPE_status);
}

static void worker_send_installed(proto_worker *w)
{
    proto_msg msg = { .installed = { .step = w->install_step } };

    worker_send(w, 0, &msg, PROTO_TYPE_installed);
}

void worker_send_failed(proto_worker *w)
{
    proto_msg msg = { .failed = w->failure };

    if (w->failed)
        worker_send(w, 0, &msg, PROTO_TYPE_failed);
}

void worker_flush(proto_worker *w)
{
    if (w->phase != WORKER_RUNNING)
        return;
    capture_advance(w);
    channel_pump(w);
    if (w->status_due)
        worker_send_status(w);
}

/* Of several the smallest (step, stage, key group, row) is told, whichever came first. */
static bool failure_before(const proto_failed *a, const proto_failed *b)
{
    if (a->step != b->step)
        return a->step < b->step;
    if (a->stage != b->stage)
        return a->stage < b->stage;
    return a->group != b->group ? a->group < b->group : a->row < b->row;
}

void worker_task_failed(proto_worker *w, const proto_failed *failure)
{
    uint32_t size = failure->text.size;
    bool ended = failure->ended || (w->failed && w->failure.ended);

    if (!w->failed || failure_before(failure, &w->failure)) {
        size = size < sizeof w->failure_text ? size : sizeof w->failure_text;
        memcpy(w->failure_text, failure->text.data, size);
        w->failure = *failure;
        w->failure.text = (proto_bytes){ w->failure_text, size };
    }
    w->failure.ended = ended;
    w->failed = true;
    worker_send_failed(w);
}

void proto_worker_task_failed(proto_worker *w, uint64_t now_us, const proto_failed *failure)
{
    w->now_us = now_us;
    if (w->phase == WORKER_RUNNING)
        worker_task_failed(w, failure);
    worker_flush(w);
}

void worker_send_locked(proto_worker *w, uint32_t group, uint64_t holder)
{
    proto_msg msg = { .locked = { .group = group, .holder = holder } };

    worker_send(w, 0, &msg, PROTO_TYPE_locked);
}

/* ---- a generation ends and begins ---- */

static void worker_clear(proto_worker *w)
{
    capture_drop(w);
    carry_drop(w);
    free(w->capture.captured);
    w->capture = (capture){ 0 };
    if (w->member_count > 0)
        w->calls->close(w);
    channel_fini(w);
    free(w->members);
    w->members = NULL;
    w->member_count = 0;
    proto_owners_fini(&w->owners);
    for (uint32_t i = 0; i < w->event_count; i++)
        proto_batch_drop(&w->events[i].payload);
    w->event_count = 0;
    w->failed = false;
    w->bound = w->complete = w->applied = w->pending_bound = w->pending_history = w->released = 0;
}

/* A place that is filled; of a generation that runs already, another's. */
static bool worker_owner_fits(const proto_install *in, uint32_t place, uint64_t self)
{
    uint64_t owner = place < in->members.size / 8 ? proto_get_u64(in->members.data + 8 * place) : 0;

    return owner != 0 && (in->tables == 0 || owner != self);
}

static bool worker_install_fits(const proto_worker *w, const proto_install *in)
{
    uint32_t count = in->members.size / 8;
    bool self = false;

    if (in->members.size % 8 != 0 || count == 0 || in->owners.size != 4 * w->plan->group_count ||
        in->window == 0 || in->window > PROTO_WINDOW_MAX || in->step > w->plan->step_count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        self |= proto_get_u64(in->members.data + 8 * i) == w->config.self;
    for (uint32_t g = 0; g < w->plan->group_count; g++)
        if (!worker_owner_fits(in, proto_get_u32(in->owners.data + 4 * g), w->config.self))
            return false;
    return self;
}

static void worker_install_tables(proto_worker *w, const proto_install *in)
{
    w->member_count = in->members.size / 8;
    w->members = proto_zero(w->member_count, sizeof *w->members);
    for (uint32_t i = 0; i < w->member_count; i++) {
        w->members[i] = proto_get_u64(in->members.data + 8 * i);
        if (w->members[i] == w->config.self)
            w->self = i;
    }
    proto_owners_init(&w->owners, w->plan->group_count);
    for (uint32_t g = 0; g < w->plan->group_count; g++)
        proto_owners_set(&w->owners, g, proto_get_u32(in->owners.data + 4 * g));
    w->capture.captured = proto_zero(w->plan->group_count, sizeof *w->capture.captured);
}

void worker_installed(proto_worker *w)
{
    parked_frame *frame = w->parked;

    w->phase = WORKER_RUNNING;
    worker_send_installed(w);
    w->parked = NULL;
    w->parked_last = &w->parked;
    w->parked_count = 0;
    while (frame != NULL) {
        parked_frame *next = frame->next;
        proto_msg msg;

        if (proto_decode(&msg, frame->bytes, frame->size) == PROTO_REJECT_ok)
            proto_worker_receive(w, w->now_us, &msg);
        free(frame);
        frame = next;
    }
}

/* Members of the generation before that are none of this one. */
static void worker_tell_left(const proto_worker *w, const uint64_t *before, uint32_t count)
{
    for (uint32_t i = 0; w->env.left != NULL && i < count; i++) {
        bool stays = before[i] == 0;

        for (uint32_t m = 0; m < w->member_count && !stays; m++)
            stays = w->members[m] == before[i];
        if (!stays)
            w->env.left(w->env.user, before[i]);
    }
}

static void worker_begin(proto_worker *w, const proto_msg *msg)
{
    const proto_install *in = &msg->install;
    uint32_t count = w->member_count;
    uint64_t *before = proto_zero(count, sizeof *before);

    if (count > 0)
        memcpy(before, w->members, count * sizeof *before);
    worker_clear(w);
    w->generation = msg->header.generation;
    w->phase = WORKER_INSTALLING;
    w->window = in->window;
    w->applied = in->history;
    w->tables = in->tables;
    w->install_snapshot = in->snapshot;
    w->install_step = w->bound = w->told_low = w->told_worked = in->step;
    worker_install_tables(w, in);
    worker_tell_left(w, before, count);
    free(before);
    channel_init(w);
    w->calls->open(w);
}

static void worker_take_install(proto_worker *w, const proto_msg *msg)
{
    if (msg->header.generation == w->generation && w->phase == WORKER_RUNNING)
        worker_send_installed(w);
    if (msg->header.generation <= w->generation) {
        worker_reject(w, PROTO_REJECT_stale);
        return;
    }
    if (worker_install_fits(w, &msg->install))
        worker_begin(w, msg);
    else
        worker_reject(w, PROTO_REJECT_range);
}

void proto_worker_ready(proto_worker *w, uint64_t now_us)
{
    w->now_us = now_us;
    if (w->phase == WORKER_INSTALLING)
        worker_installed(w);
    worker_flush(w);
}

void proto_worker_moved(proto_worker *w, uint64_t now_us)
{
    uint64_t low = w->calls->low(w), worked = w->calls->worked(w), most = w->window / 4;
    bool slow = now_us - w->told_us >= STATUS_PAUSE_US && (low > w->told_low || worked > w->told_worked);

    /* The bound runs a window ahead of what was told last, so a part of one need not be told: unless
     * nothing is left to do here. But steps are shown when all have told them, so slow ones are told each. */
    w->now_us = now_us;
    w->status_due |= slow || low - w->told_low > most || worked - w->told_worked > most ||
                     worked >= w->bound || worked >= w->plan->step_count;
    worker_flush(w);
}

/* ---- what else the coordinator says ---- */

static void worker_take_attach(proto_worker *w, const proto_msg *msg)
{
    if (msg->header.incarnation > w->incarnation) {
        w->incarnation = msg->header.incarnation; /* the promise */
        w->pending_bound = w->bound;
        w->pending_history = 0;
    }
    worker_send_report(w);
    capture_tell(w);
}

static void worker_take_decided(proto_worker *w, const proto_msg *msg)
{
    if (w->capture.attempt == msg->decided.attempt && w->env.decided != NULL)
        w->env.decided(w->env.user, msg->decided.attempt, msg->decided.committed);
    capture_decided(w, msg->decided.attempt);
}

static void worker_take_stop(proto_worker *w, const proto_msg *msg)
{
    worker_clear(w);
    w->phase = WORKER_STOPPED;
    w->env.stop(w->env.user, msg->stop.reason);
}

/* ---- dispatch ---- */

/* In which phases, and under which conditions, a message of the coordinator is obeyed. */
typedef struct worker_rule {
    void (*take)(proto_worker *w, const proto_msg *msg);
    bool promise;    /* may raise the promised incarnation; others must match it */
    bool generation; /* must be of the running generation */
    bool installing; /* also while that is installed */
} worker_rule;

static const worker_rule worker_rules[PROTO_TYPE_END] = {
    [PROTO_TYPE_attach] = { worker_take_attach, true, false, false },
    [PROTO_TYPE_install] = { worker_take_install, true, false, false },
    [PROTO_TYPE_stop] = { worker_take_stop, true, false, false },
    [PROTO_TYPE_order] = { worker_take_order, false, true, false },
    [PROTO_TYPE_grant] = { worker_take_grant, false, true, false },
    [PROTO_TYPE_decided] = { worker_take_decided, false, true, false },
    [PROTO_TYPE_want] = { worker_take_want, false, true, false },
    [PROTO_TYPE_piece] = { worker_take_piece, false, true, true },
};

static bool worker_phase_fits(const proto_worker *w, const worker_rule *rule)
{
    return w->phase == WORKER_RUNNING || (rule->installing && w->phase == WORKER_INSTALLING);
}

static void worker_control(proto_worker *w, const proto_msg *msg)
{
    const worker_rule *rule = &worker_rules[msg->header.type];
    const proto_header *h = &msg->header;

    if (rule->take == NULL) {
        worker_reject(w, PROTO_REJECT_type);
    } else if ((h->incarnation < w->incarnation ||
                (h->incarnation > w->incarnation && !rule->promise)) &&
               !MUTANT(w, nopromise)) {
        worker_reject(w, PROTO_REJECT_incarnation);
    } else if (rule->generation && (h->generation != w->generation || !worker_phase_fits(w, rule)) &&
               !(MUTANT(w, stalegrant) && w->phase == WORKER_RUNNING)) {
        worker_reject(w, PROTO_REJECT_stale);
    } else {
        if (rule->promise && h->incarnation > w->incarnation && h->type != PROTO_TYPE_attach)
            w->incarnation = h->incarnation;
        rule->take(w, msg);
    }
}

parked_frame *worker_copy(const proto_msg *msg)
{
    size_t size = proto_encoded_size(msg);
    parked_frame *frame = proto_zero(1, sizeof *frame + size);

    frame->sequence = msg->header.sequence;
    frame->size = proto_encode(msg, frame->bytes, size);
    return frame;
}

/* Kept until its generation is installed here. */
static void worker_park(proto_worker *w, const proto_msg *msg)
{
    parked_frame *frame;

    if (w->parked_count == PROTO_PARKED_MAX) { /* its sender sends it again */
        worker_reject(w, PROTO_REJECT_full);
        return;
    }
    frame = worker_copy(msg);
    *w->parked_last = frame;
    w->parked_last = &frame->next;
    w->parked_count++;
    w->stats.frames_parked++;
}

static void worker_peer(proto_worker *w, const proto_msg *msg)
{
    uint64_t generation = msg->header.generation;
    uint32_t member = 0;

    if (generation < w->generation && !MUTANT(w, nogendata)) {
        worker_reject(w, PROTO_REJECT_stale);
        return;
    }
    if (generation > w->generation || w->phase != WORKER_RUNNING) {
        if (msg->header.type == PROTO_TYPE_ack)
            return;
        worker_park(w, msg);
        return;
    }
    while (member < w->member_count && w->members[member] != msg->header.sender)
        member++;
    if (member == w->member_count || member == w->self || msg->header.sender == 0)
        worker_reject(w, PROTO_REJECT_sender);
    else if (msg->header.type == PROTO_TYPE_ack)
        channel_receive_ack(w, member, msg);
    else
        channel_receive(w, member, msg);
}

void proto_worker_receive(proto_worker *w, uint64_t now_us, const proto_msg *msg)
{
    uint16_t type = msg->header.type;

    w->now_us = now_us;
    if (w->phase == WORKER_STOPPED)
        return;
    if (msg->header.job != w->config.job || type >= PROTO_TYPE_END)
        worker_reject(w, PROTO_REJECT_job);
    else if (type >= PROTO_TYPE_data && type <= PROTO_TYPE_ack)
        worker_peer(w, msg);
    else
        worker_control(w, msg);
    worker_flush(w);
}

/* ---- time ---- */

static void worker_beat(proto_worker *w)
{
    w->beat_at_us = w->now_us + w->config.beat_us;
    if (w->phase == WORKER_JOINING || w->phase == WORKER_INSTALLING)
        worker_send_join(w);
    if (w->phase == WORKER_INSTALLING)
        w->calls->open_again(w);
    carry_advance(w);
    if (w->phase == WORKER_RUNNING) {
        w->status_due = true;
        worker_send_failed(w);
        capture_tell(w);
        channel_tick(w);
    }
}

void proto_worker_tick(proto_worker *w, uint64_t now_us)
{
    w->now_us = now_us;
    if (w->phase == WORKER_STOPPED || now_us < w->beat_at_us)
        return;
    worker_beat(w);
    worker_flush(w);
}

uint64_t proto_worker_deadline(const proto_worker *w)
{
    return w->phase == WORKER_STOPPED ? UINT64_MAX : w->beat_at_us;
}

void proto_worker_linked(proto_worker *w, uint64_t now_us, uint64_t peer)
{
    w->now_us = now_us;
    if (peer == 0) {
        proto_stream_rewind(&w->carry.stream);
        carry_advance(w);
        return;
    }
    for (uint32_t m = 0; w->phase == WORKER_RUNNING && m < w->member_count; m++)
        if (m != w->self && w->members[m] == peer)
            channel_resend(w, m);
    worker_flush(w);
}

void proto_worker_start(proto_worker *w, uint64_t now_us)
{
    w->now_us = now_us;
    worker_beat(w);
}

proto_worker *proto_worker_new(const proto_plan *plan, const proto_worker_config *config,
                               const proto_worker_env *env)
{
    proto_worker *w = proto_zero(1, sizeof *w);

    w->plan = plan;
    w->config = *config;
    w->env = *env;
    w->calls = env->flow;
    w->parked_last = &w->parked;
    return w;
}

void proto_worker_free(proto_worker **worker)
{
    proto_worker *w = *worker;

    *worker = NULL;
    if (w == NULL)
        return;
    worker_clear(w);
    for (parked_frame *f; (f = w->parked) != NULL;) {
        w->parked = f->next;
        free(f);
    }
    free(w->events);
    free(w->gathered);
    free(w);
}

uint64_t proto_worker_member(const proto_worker *w, uint32_t place)
{
    return w->phase == WORKER_RUNNING && place < w->member_count ? w->members[place] : 0;
}

void proto_worker_stats_get(const proto_worker *w, proto_worker_stats *stats)
{
    *stats = w->stats;
    stats->generation = w->generation;
    stats->incarnation = w->incarnation;
    stats->bound = w->bound;
    stats->applied = w->applied;
    stats->done = worker_done(w);
    stats->released = w->released;
    channel_buffered(w, stats);
    stats->running = w->phase == WORKER_RUNNING;
}
