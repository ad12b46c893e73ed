/* What another member says on its channel: rows, marks of key groups without rows, states that move, acknowledgements, in
 * any order, repeated, ahead of their turn or of their generation. Whatever comes, the dataflow is asked only for what is in
 * range, a word of a mark each, and frames are taken in their turn; what is sent stays within the credit.
 *
 * An input is a list of: u8 what, u8 which frame, and the fields. 0 to 3 mod 8 come from the member (data, mark, state,
 * ack), 4 and 5 are sent to it (rows, a state), 6 is time, 7 is what another process says. */
#include "coordinator/proto_worker_private.h"
#include "coordinator/sim_job.h"
#include "dataflow/df_bytes.h"
#include "tests/support/idle_worker.h"

#include <stdlib.h>

enum { CREDIT = 1000, FRAME = 100, PEER = 3, SELF = 2, GENERATION = 1 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    uint32_t words;  /* of a mark that fits, that have not been told yet */
    bool last;       /* rows that fit say that their key group has sent all */
    uint64_t low;
    uint64_t rows;   /* bytes handed on that were not given back */
    bool refuses;    /* what the dataflow says */
} flow_seen;

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* ---- the dataflow ---- */

static void seen_open(proto_worker *w)
{
    (void)w;
}

static void seen_raised(proto_worker *w, uint64_t before)
{
    require(before <= w->bound);
}

static uint64_t seen_low(const proto_worker *w)
{
    (void)w;
    return flow_seen.low;
}

static uint32_t seen_low_stage(const proto_worker *w)
{
    (void)w;
    return 1;
}

static bool seen_fits(const proto_worker *w, const proto_data *d)
{
    require(d->edge < w->plan->edge_count && d->payload.size <= d->total && d->offset <= d->total - d->payload.size);
    require(flow_seen.words == 0);
    flow_seen.last = d->last && !flow_seen.refuses;
    return !flow_seen.refuses;
}

static bool seen_fits_mark(const proto_worker *w, const proto_mark *m)
{
    require(m->edge < w->plan->edge_count && m->groups.size % 4 == 0);
    require(flow_seen.words == 0);
    flow_seen.words = flow_seen.refuses ? 0 : m->groups.size / 4;
    flow_seen.last = false;
    return !flow_seen.refuses;
}

static void seen_arrive(proto_worker *w, uint32_t edge, uint64_t step, uint32_t src)
{
    (void)step;
    (void)src;
    require(edge < w->plan->edge_count && (flow_seen.words > 0 || flow_seen.last));
    flow_seen.words -= flow_seen.words > 0;
    flow_seen.last = false;
}

static bool seen_rows(proto_worker *w, uint32_t member, const proto_data *d)
{
    require(member != w->self && w->members[member] == PEER && d->payload.size > 0);
    flow_seen.rows += d->payload.size;
    return true;
}

static bool seen_state(proto_worker *w, uint32_t member, const proto_state *s)
{
    require(member != w->self && s->group < w->plan->group_count && s->payload.size <= s->total &&
            s->offset <= s->total - s->payload.size);
    return !flow_seen.refuses;
}

static void seen_capture(proto_worker *w)
{
    (void)w;
}

static bool seen_captured(const proto_worker *w)
{
    (void)w;
    return false;
}

static uint64_t seen_above_mark(const proto_worker *w, uint32_t member)
{
    (void)w;
    (void)member;
    return flow_seen.rows;
}

static const proto_flow_calls seen_calls = {
    .open = seen_open, .open_again = seen_open, .close = channel_fini, .raised = seen_raised, .completed = seen_open,
    .low = seen_low, .worked = seen_low, .low_stage = seen_low_stage, .fits = seen_fits, .fits_mark = seen_fits_mark,
    .rows = seen_rows, .arrive = seen_arrive, .state = seen_state, .capture = seen_capture, .captured = seen_captured,
    .capture_drop = seen_open, .above_mark = seen_above_mark,
};

static void seen_send(void *user, uint64_t to, const proto_msg *msg)
{
    (void)user;
    require(to == 0 || to == PEER);
    require(msg->header.type != PROTO_TYPE_data || msg->data.payload.size <= FRAME);
    require(msg->header.type != PROTO_TYPE_state || msg->state.payload.size <= FRAME);
}

/* ---- what is said ---- */

static uint64_t number(df_cursor *c, bool wide)
{
    return wide ? df_get_u64(c) : df_get_u8(c);
}

static proto_bytes payload(df_cursor *c, uint8_t **copy)
{
    uint32_t size = df_get_u8(c);
    const uint8_t *bytes = df_get_bytes(c, size);

    size = bytes == NULL ? 0 : size;
    *copy = malloc(size + (size == 0)); /* of its own, so that a read beyond it is seen */
    require(*copy != NULL);
    if (size > 0)
        memcpy(*copy, bytes, size);
    return (proto_bytes){ *copy, size };
}

/* u8 frame: 0 to 15 from the one whose turn it is on; 255: the greatest; others themselves. */
static uint64_t sequence(const proto_worker *w, uint8_t frame)
{
    uint64_t turn = w->channels == NULL ? 1 : w->channels[0].received + 1;

    return frame < 16 ? turn + frame : frame == UINT8_MAX ? UINT64_MAX : frame - 15u;
}

static void say_data(proto_data *d, df_cursor *c, bool wide, uint8_t **bytes)
{
    d->edge = df_get_u8(c);
    d->step = number(c, wide);
    d->src = df_get_u8(c);
    d->dst = df_get_u8(c);
    d->rows = df_get_u8(c);
    d->offset = (uint32_t)number(c, wide);
    d->total = (uint32_t)number(c, wide);
    d->payload = payload(c, bytes);
}

static void say_state(proto_state *s, df_cursor *c, bool wide, uint8_t **bytes)
{
    s->group = df_get_u8(c);
    s->step = number(c, wide);
    s->offset = (uint32_t)number(c, wide);
    s->total = (uint32_t)number(c, wide);
    s->payload = payload(c, bytes);
}

static void say_ack(proto_ack *a, df_cursor *c, bool wide)
{
    a->received = number(c, wide);
    a->consumed = number(c, wide);
    a->moved = number(c, wide);
    a->step = number(c, wide);
    a->stage = df_get_u8(c);
}

/* The higher bits of what: 8 wide numbers, 16 a later generation, 32 last (or a gap), 64 the dataflow refuses. */
static void say(proto_worker *w, uint64_t now, df_cursor *c, uint8_t what)
{
    static const uint16_t types[4] = { PROTO_TYPE_data, PROTO_TYPE_mark, PROTO_TYPE_state, PROTO_TYPE_ack };
    proto_msg msg = { .header = { .type = types[what % 4], .job = 7, .incarnation = 1, .sender = PEER,
                                  .generation = what & 16 ? GENERATION + 1 : GENERATION,
                                  .sequence = sequence(w, df_get_u8(c)) } };
    uint8_t *bytes = NULL;
    bool wide = what & 8;

    if (what % 8 == 7) {
        msg.header.type = PROTO_TYPE_data;
        msg.header.sender = df_get_u8(c);
    }
    if (msg.header.type == PROTO_TYPE_data) {
        say_data(&msg.data, c, wide, &bytes);
        msg.data.last = what & 32 ? 1 : 0;
    } else if (msg.header.type == PROTO_TYPE_mark) {
        msg.mark.edge = df_get_u8(c);
        msg.mark.step = number(c, wide);
        msg.mark.groups = payload(c, &bytes);
    } else if (msg.header.type == PROTO_TYPE_state) {
        say_state(&msg.state, c, wide, &bytes);
    } else {
        msg.header.sequence = 0;
        say_ack(&msg.ack, c, wide);
        msg.ack.gap = what & 32 ? 1 : 0;
    }
    flow_seen.refuses = what & 64;
    proto_worker_receive(w, now, &msg);
    free(bytes);
}

static void send(proto_worker *w, uint64_t now, df_cursor *c, bool state)
{
    uint32_t group = df_get_u8(c) % w->plan->group_count, size = df_get_u8(c);
    proto_batch *batch = proto_batch_new(size, 1);

    w->now_us = now;
    if (state) {
        channel_send_state(w, 0, group, flow_seen.low + 1, batch);
    } else {
        channel_send_rows(w, 0, group % w->plan->edge_count, flow_seen.low + group % 4, group, group, batch, size % 2);
        proto_batch_drop(&batch);
    }
    worker_flush(w);
}

/* What lies here is given back, and the lowest step rises. */
static void time_passes(proto_worker *w, uint64_t *now, df_cursor *c)
{
    uint8_t much = df_get_u8(c);

    if (flow_seen.rows > 0)
        channel_consumed(w, 0, flow_seen.rows);
    flow_seen.rows = 0;
    flow_seen.low += much % 2;
    proto_worker_tick(w, *now += much);
    if (much == UINT8_MAX)
        proto_worker_linked(w, *now, PEER);
}

static proto_worker *begin(sim_job *job)
{
    static uint8_t members[16], owners[20];
    proto_worker_env env = { .flow = &seen_calls, .send = seen_send, .load = idle_load, .part = idle_part,
                             .sink_sync = idle_sync };
    proto_worker_config config = { .job = 7, .self = SELF, .process = 2, .credit_size = CREDIT, .move_size = CREDIT,
                                   .frame_size = FRAME, .tries = 1, .beat_us = 50, .resend_us = 20 };
    proto_msg msg = install_of_two(members, owners, true);
    proto_worker *w;

    sim_job_init(job, 1, 4, 500, 0);
    w = proto_worker_new(&job->plan, &config, &env);
    proto_worker_start(w, 0);
    msg.header = (proto_header){ .type = PROTO_TYPE_install, .job = 7, .generation = GENERATION, .incarnation = 1 };
    proto_worker_receive(w, 1, &msg);
    return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sim_job job;
    uint64_t now = 1;
    proto_worker *w;
    df_cursor c;

    memset(&flow_seen, 0, sizeof flow_seen);
    w = begin(&job);
    df_cursor_init(&c, data, size < 4096 ? size : 4096);
    if (df_get_u8(&c) % 2 == 0) /* else what comes first comes before it is ready */
        proto_worker_ready(w, ++now);
    while (df_get_left(&c) > 0 && !c.failed) {
        uint8_t what = df_get_u8(&c);

        if (what % 8 < 4 || what % 8 == 7)
            say(w, ++now, &c, what);
        else if (w->phase != WORKER_RUNNING)
            proto_worker_ready(w, ++now);
        else if (what % 8 == 6)
            time_passes(w, &now, &c);
        else
            send(w, ++now, &c, what % 8 == 5);
        require(flow_seen.words == 0);
    }
    proto_worker_free(&w);
    return 0;
}
