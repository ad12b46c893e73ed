/* A worker and hostile or stale messages: every one is refused and counted, and changes nothing. */
#include "coordinator/proto_order.h"
#include "coordinator/proto_worker.h"
#include "coordinator/proto_worker_private.h"
#include "coordinator/sim_job.h"
#include "tests/support/idle_worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fake {
    sim_job job;
    proto_worker *worker;
    proto_flow_calls calls; /* the model's, watched */
    uint32_t loads, opens, runs, stops, sent[PROTO_TYPE_END];
    uint32_t moved; /* bytes of states as they should be: from moved_first on (0: nobody looks) */
    uint8_t moved_first;
    uint8_t room[64];       /* the transport's, for some frames of states */
    uint32_t room_every, rooms, in_room;
    uint64_t sent_to[8];    /* sequence of the last frame to each, by id */
    uint32_t places[8], place_count, pairs[8], pair_count;
    uint64_t owners_step;
    uint64_t now, far;
    uint64_t left[8];
    uint32_t left_count;
    proto_failed failed; /* as it was said last */
} fake;

static void fake_send(void *user, uint64_t to, const proto_msg *msg)
{
    fake *f = user;

    f->sent[msg->header.type]++;
    f->in_room += msg->header.type == PROTO_TYPE_state && msg->state.payload.data == f->room;
    for (uint32_t i = 0; f->moved_first != 0 && msg->header.type == PROTO_TYPE_state && i < msg->state.payload.size; i++)
        f->moved += msg->state.payload.data[i] == (uint8_t)(f->moved_first + (msg->state.offset + i) % 251);
    if (msg->header.type == PROTO_TYPE_failed)
        ((fake *)user)->failed = msg->failed;
    if (to < 8 && msg->header.sequence != 0)
        ((fake *)user)->sent_to[to] = msg->header.sequence;
}

static void fake_load(void *user, uint64_t generation, uint64_t snapshot, uint32_t group)
{
    (void)generation;
    (void)snapshot;
    (void)group;
    ((fake *)user)->loads++;
}

static void fake_run(void *user, proto_task *task)
{
    ((fake *)user)->runs++;
    proto_task_free(task);
}

static proto_batch *fake_boundary(void *user, uint32_t src, uint32_t dst, proto_batch *state)
{
    (void)user;
    (void)src;
    (void)dst;
    return sim_job_boundary(state);
}

static void fake_open(void *user, uint64_t generation, uint32_t group)
{
    (void)generation;
    (void)group;
    ((fake *)user)->opens++;
}

static void fake_stop(void *user, uint8_t reason)
{
    (void)reason;
    ((fake *)user)->stops++;
}

static void fake_left(void *user, uint64_t member)
{
    fake *f = user;

    assert_true(f->left_count < 8);
    f->left[f->left_count++] = member;
}

static fake *watched; /* flow calls get the worker alone */

static void fake_members(struct proto_worker *w, uint32_t place)
{
    (void)w;
    watched->places[watched->place_count++] = place;
}

static void fake_owners(struct proto_worker *w, uint64_t step, const uint32_t *pairs, uint32_t count)
{
    (void)w;
    watched->owners_step = step;
    watched->pair_count = count;
    memcpy(watched->pairs, pairs, (size_t)count * 8);
}

/* Where the transport has room, if it has. */
static uint8_t *fake_room(void *user, uint64_t to, const proto_msg *msg, uint32_t payload_size)
{
    fake *f = user;

    assert_int_equal(to, 3);
    assert_int_equal(msg->header.type, PROTO_TYPE_state);
    assert_int_equal(msg->state.payload.size, payload_size);
    assert_true(payload_size <= sizeof f->room);
    return f->room_every > 0 && ++f->rooms % f->room_every == 0 ? f->room : NULL;
}

static int set_up_frames(void **state, uint32_t frame_size, uint32_t move_frame)
{
    fake *f = calloc(1, sizeof *f);
    proto_worker_env env = { f, f == NULL ? NULL : &f->calls, fake_send, fake_load, fake_run, fake_boundary,
                             idle_part, fake_open, idle_write, idle_sync, fake_stop, NULL, NULL, fake_left,
                             fake_room, NULL, NULL };
    proto_worker_config config = { .job = 7, .self = 2, .process = 2, .credit_size = 1000,
                                   .move_size = 1000, .frame_size = frame_size, .move_frame = move_frame,
                                   .tries = 1, .beat_us = 1000, .resend_us = 2000 };

    assert_non_null(f);
    watched = f;
    f->room_every = 2;
    f->calls = proto_flow_model;
    f->calls.members = fake_members;
    f->calls.owners = fake_owners;
    sim_job_init(&f->job, 1, 4, 10, 0);
    f->worker = proto_worker_new(&f->job.plan, &config, &env);
    proto_worker_start(f->worker, 0);
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    return set_up_frames(state, 100, 0);
}

/* What it sends at step 0 are eight frames of a byte. */
static int set_up_small(void **state)
{
    return set_up_frames(state, 1, 0);
}

static int tear_down(void **state)
{
    fake *f = *state;

    proto_worker_free(&f->worker);
    free(f);
    return 0;
}

static proto_worker_stats stats(const fake *f)
{
    proto_worker_stats s;

    proto_worker_stats_get(f->worker, &s);
    return s;
}

static void say(fake *f, proto_msg msg, uint16_t type, uint64_t generation, uint64_t incarnation)
{
    msg.header.type = type;
    msg.header.job = msg.header.job == 0 ? 7 : msg.header.job;
    msg.header.generation = generation;
    msg.header.incarnation = incarnation;
    proto_worker_receive(f->worker, ++f->now, &msg);
}

/* Members 2 (this) and 3; groups 0 and 1 and the sink's (4) are ours. */
static void install(fake *f, uint64_t generation, uint64_t incarnation)
{
    uint8_t members[16], owners[20];
    proto_msg msg = { .install = { .window = 8, .members = { members, 16 },
                                   .owners = { owners, 20 } } };

    proto_put_u64(members, 2);
    proto_put_u64(members + 8, 3);
    for (uint32_t g = 0; g < 5; g++)
        proto_put_u32(owners + 4 * g, g == 2 || g == 3);
    say(f, msg, PROTO_TYPE_install, generation, incarnation);
}

static void finish_install(fake *f, uint64_t generation)
{
    for (uint32_t g = 0; g < 5; g++)
        if (g != 2 && g != 3)
            proto_worker_loaded(f->worker, ++f->now, generation, g, sim_job_first(&f->job, g));
    proto_worker_sink_opened(f->worker, ++f->now, generation, 4, 0);
}

static void installed(fake *f)
{
    install(f, 1, 1);
    finish_install(f, 1);
}

static void test_installs_and_runs(void **state)
{
    fake *f = *state;

    assert_int_equal(f->sent[PROTO_TYPE_join], 1);
    install(f, 1, 1);
    assert_int_equal(f->loads, 3);
    assert_int_equal(f->opens, 1);
    assert_int_equal(f->sent[PROTO_TYPE_installed], 0);
    finish_install(f, 1);
    assert_int_equal(f->sent[PROTO_TYPE_installed], 1);
    assert_int_equal(f->runs, 0); /* no grant yet */
    say(f, (proto_msg){ .grant = { .bound = 1 } }, PROTO_TYPE_grant, 1, 1);
    assert_int_equal(f->runs, 1); /* group 0 needs only group 1; group 1 waits for group 2 */
}

static void test_grant_waits_for_history(void **state)
{
    fake *f = *state;

    installed(f);
    say(f, (proto_msg){ .grant = { .bound = 1, .history = 1 } }, PROTO_TYPE_grant, 1, 1);
    assert_int_equal(stats(f).bound, 0);
    say(f, (proto_msg){ .order = { .index = 2, .made = 1, .kind = 1 } }, PROTO_TYPE_order, 1, 1);
    assert_int_equal(stats(f).applied, 0); /* out of turn */
    say(f, (proto_msg){ .order = { .index = 1, .made = 1, .kind = 1 } }, PROTO_TYPE_order, 1, 1);
    assert_int_equal(stats(f).applied, 1);
    assert_int_equal(stats(f).bound, 1);
}

/* Tasks fail in any order; the least is told (rule 21), and with each heartbeat, and that it has ended stays true. */
static void test_tells_the_least_failure(void **state)
{
    static const struct {
        proto_failed failure;
        uint64_t step;
        uint32_t stage, group;
        uint64_t row;
    } said[] = {
        { { .step = 7, .stage = 1, .group = 2, .row = 3 }, 7, 1, 2, 3 },
        { { .step = 8 }, 7, 1, 2, 3 },
        { { .step = 7, .stage = 1, .group = 2, .row = 4 }, 7, 1, 2, 3 },
        { { .step = 7, .stage = 1, .group = 1, .row = 9, .ended = 1 }, 7, 1, 1, 9 },
        { { .step = 7, .stage = 0, .group = 5, .row = 9 }, 7, 0, 5, 9 },
        { { .step = 6, .stage = 3, .group = 5, .row = 9 }, 6, 3, 5, 9 },
        { { .step = 7, .stage = 0, .group = 5, .row = 9 }, 6, 3, 5, 9 },
    };
    fake *f = *state;

    installed(f);
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        proto_worker_task_failed(f->worker, ++f->now, &said[i].failure);
        f->failed = (proto_failed){ 0 };
        proto_worker_tick(f->worker, f->now += 2000);
        assert_int_equal(f->failed.step, said[i].step);
        assert_int_equal(f->failed.stage, said[i].stage);
        assert_int_equal(f->failed.group, said[i].group);
        assert_int_equal(f->failed.row, said[i].row);
        assert_int_equal(f->failed.ended, i >= 3);
    }
}

static bool fake_is_writing;

static bool fake_writing(struct proto_worker *w)
{
    (void)w;
    return fake_is_writing;
}

/* A snapshot is given up while it is written here, which cannot end at once: the worker goes on, and says that
 * it has given back what it kept when that is so. */
static void test_given_up_while_written(void **state)
{
    fake *f = *state;
    proto_msg barrier = { .order = { .index = 1, .made = 1, .kind = PROTO_ORDER_BARRIER, .step = 1 } };

    f->calls.writing = fake_writing;
    fake_is_writing = true;
    installed(f);
    say(f, barrier, PROTO_TYPE_order, 1, 1);
    say(f, (proto_msg){ .decided = { .attempt = 1 } }, PROTO_TYPE_decided, 1, 1);
    say(f, (proto_msg){ .decided = { .attempt = 1 } }, PROTO_TYPE_decided, 1, 1);
    proto_worker_tick(f->worker, f->now += 2000);
    assert_int_equal(stats(f).released, 0);
    fake_is_writing = false;
    proto_worker_part_done(f->worker, ++f->now, 1, false);
    assert_int_equal(stats(f).released, 1);
    assert_int_equal(f->sent[PROTO_TYPE_prepared], 0);
    barrier.order.index = 2;
    say(f, barrier, PROTO_TYPE_order, 1, 1);
    say(f, (proto_msg){ .decided = { .attempt = 2 } }, PROTO_TYPE_decided, 1, 1);
    assert_int_equal(stats(f).released, 2);
}

static uint64_t fake_far(const struct proto_worker *w)
{
    (void)w;
    return watched->far;
}

/* A window ahead is granted, so a step need not be told at once; but it is shown when it was told, so after a
 * while it is, without a heartbeat. */
static void test_tells_slow_steps(void **state)
{
    fake *f = *state;
    uint32_t before;

    installed(f);
    say(f, (proto_msg){ .grant = { .bound = 3 } }, PROTO_TYPE_grant, 1, 1);
    f->calls.low = f->calls.worked = fake_far;
    f->far = 1;
    proto_worker_moved(f->worker, f->now += 10000);
    before = f->sent[PROTO_TYPE_status];
    assert_true(before > 0);
    f->far = 2;
    proto_worker_moved(f->worker, f->now += 4000);
    assert_int_equal(f->sent[PROTO_TYPE_status], before);
    proto_worker_moved(f->worker, f->now += 2000);
    assert_int_equal(f->sent[PROTO_TYPE_status], before + 1);
    proto_worker_moved(f->worker, f->now += 10000);
    assert_int_equal(f->sent[PROTO_TYPE_status], before + 1); /* nothing more has been done */
}

static void test_promise(void **state)
{
    fake *f = *state;

    installed(f);
    say(f, (proto_msg){ .attach = { 0 } }, PROTO_TYPE_attach, 1, 5);
    assert_int_equal(f->sent[PROTO_TYPE_report], 1);
    say(f, (proto_msg){ .grant = { .bound = 2 } }, PROTO_TYPE_grant, 1, 4);
    assert_int_equal(stats(f).bound, 0);
    assert_int_equal(stats(f).rejected[PROTO_REJECT_incarnation], 1);
    say(f, (proto_msg){ .grant = { .bound = 2 } }, PROTO_TYPE_grant, 2, 5);
    assert_int_equal(stats(f).rejected[PROTO_REJECT_stale], 1);
    say(f, (proto_msg){ .grant = { .bound = 99 } }, PROTO_TYPE_grant, 1, 5); /* beyond the window */
    assert_int_equal(stats(f).bound, 0);
    say(f, (proto_msg){ .stop = { 0 } }, PROTO_TYPE_stop, 1, 4);
    assert_int_equal(f->stops, 0);
    say(f, (proto_msg){ .stop = { 0 } }, PROTO_TYPE_stop, 1, 5);
    assert_int_equal(f->stops, 1);
}

/* Numbers at every edge in every field of what a peer may send. */
/* Rows of a later step: as many as the credit covers, whatever a peer sends. At the mark they always pass. */
static void test_credit_is_the_limit(void **state)
{
    static const uint8_t rows[600];
    fake *f = *state;
    proto_msg msg = { .header = { .sender = 3, .sequence = 1 },
                      .data = { .edge = SIM_EDGE_HALO, .step = 1, .src = 2, .dst = 1, .rows = 1,
                                .total = 600, .payload = { rows, 600 } } };

    installed(f);
    say(f, (proto_msg){ .grant = { .bound = 3 } }, PROTO_TYPE_grant, 1, 1);
    say(f, msg, PROTO_TYPE_data, 1, 1);
    assert_int_equal(stats(f).rejected[PROTO_REJECT_credit], 0);
    assert_int_equal(stats(f).buffered, 600);
    msg.header.sequence = 2;
    msg.data.step = 2;
    say(f, msg, PROTO_TYPE_data, 1, 1);
    assert_int_equal(stats(f).rejected[PROTO_REJECT_credit], 1);
    assert_int_equal(stats(f).buffered, 600);
    msg.header.sequence = 3;
    msg.data.step = 0;
    say(f, msg, PROTO_TYPE_data, 1, 1);
    assert_int_equal(stats(f).rejected[PROTO_REJECT_credit], 1);
    assert_int_equal(stats(f).buffered, 1200);
}

/* ---- what is lost ---- */

#define FRAMES 8u

static void send_frames(fake *f)
{
    installed(f);
    say(f, (proto_msg){ .grant = { .bound = 1 } }, PROTO_TYPE_grant, 1, 1);
    assert_int_equal(f->sent[PROTO_TYPE_data], FRAMES);
    assert_int_equal(f->sent_to[3], FRAMES);
}

/* The frames that an acknowledgement has sent again. */
static uint32_t again(fake *f, uint64_t received, uint8_t gap)
{
    uint32_t before = f->sent[PROTO_TYPE_data];

    say(f, (proto_msg){ .header = { .sender = 3 }, .ack = { .received = received, .gap = gap } }, PROTO_TYPE_ack, 1, 1);
    return f->sent[PROTO_TYPE_data] - before;
}

/* Nobody answers: the first frame is sent again, and each time it is waited twice as long, up to a bound. */
static void test_silence(void **state)
{
    static const uint64_t waits[] = { 2000, 4000, 8000, 16000, 32000, 32000, 32000 };
    fake *f = *state;
    uint64_t last;

    send_frames(f);
    last = f->now;
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        uint32_t before = f->sent[PROTO_TYPE_data];

        while (f->sent[PROTO_TYPE_data] == before)
            proto_worker_tick(f->worker, f->now += 100);
        assert_int_equal(f->sent[PROTO_TYPE_data], before + 1);
        assert_int_equal(f->sent_to[3], 1);
        assert_true(f->now - last >= waits[i] && f->now - last < waits[i] + 2000); /* with a heartbeat */
        last = f->now;
    }
    assert_int_equal(stats(f).frames_resent, 7);
}

/* All was lost: after the first answer more and more is sent again, and nothing twice. */
static void test_all_lost(void **state)
{
    fake *f = *state;
    uint32_t before;

    send_frames(f);
    for (before = f->sent[PROTO_TYPE_data]; f->sent[PROTO_TYPE_data] == before;)
        proto_worker_tick(f->worker, f->now += 100);
    assert_int_equal(again(f, 1, 0), 2);
    assert_int_equal(f->sent_to[3], 3);
    assert_int_equal(again(f, 1, 0), 0); /* nothing new */
    assert_int_equal(again(f, 3, 0), 4);
    assert_int_equal(f->sent_to[3], 7);
    assert_int_equal(again(f, 7, 0), 1);
    assert_int_equal(again(f, FRAMES, 0), 0);
    before = f->sent[PROTO_TYPE_data];
    for (int i = 0; i < 1000; i++)
        proto_worker_tick(f->worker, f->now += 100);
    assert_int_equal(f->sent[PROTO_TYPE_data], before);
    assert_int_equal(stats(f).frames_resent, FRAMES);
}

/* Single frames were lost: those that are missing are sent again and no other. */
static void test_gaps(void **state)
{
    fake *f = *state;

    send_frames(f);
    f->now += 1000; /* a gap is believed once in a while */
    assert_int_equal(again(f, 2, 1), 1);
    assert_int_equal(f->sent_to[3], 3);
    assert_int_equal(again(f, 4, 1), 1);
    assert_int_equal(f->sent_to[3], 5);
    assert_int_equal(again(f, FRAMES, 0), 0);
    assert_int_equal(stats(f).frames_resent, 2);
}

/* Progress is no silence, however long all of it takes. */
static void test_slow_link(void **state)
{
    fake *f = *state;

    send_frames(f);
    for (uint64_t n = 1; n <= FRAMES; n++) {
        for (int i = 0; i < 19; i++)
            proto_worker_tick(f->worker, f->now += 100);
        assert_int_equal(again(f, n, 0), 0);
    }
    assert_int_equal(stats(f).frames_resent, 0);
}

/* A connection that was made anew has lost all that was under way. */
static void test_linked_anew(void **state)
{
    fake *f = *state;

    send_frames(f);
    again(f, 2, 0);
    proto_worker_linked(f->worker, ++f->now, 3);
    assert_int_equal(f->sent[PROTO_TYPE_data], FRAMES + FRAMES - 2);
}

/* With a thousand members most speak to few: to those that nothing has crossed nothing is acknowledged. */
static void test_idle_channel(void **state)
{
    fake *f = *state;

    installed(f);
    for (int i = 0; i < 100; i++)
        proto_worker_tick(f->worker, f->now += 100);
    assert_int_equal(f->sent[PROTO_TYPE_ack], 0);
    say(f, (proto_msg){ .grant = { .bound = 1 } }, PROTO_TYPE_grant, 1, 1);
    for (int i = 0; i < 100; i++)
        proto_worker_tick(f->worker, f->now += 100);
    assert_true(f->sent[PROTO_TYPE_ack] >= 9);
}

static void test_hostile_peer(void **state)
{
    static const uint64_t edges[] = { 0, 1, 2, 3, 4, 5, 9, 10, 11, 64, 255, 1u << 20, UINT32_MAX,
                                      UINT64_MAX };
    fake *f = *state;
    const size_t count = sizeof edges / sizeof edges[0];
    uint64_t sequence = 0;
    uint8_t bytes[64] = { 0 };

    installed(f);
    srand(9);
    for (int i = 0; i < 200000; i++) {
        proto_msg m = { .header = { .sender = 3, .sequence = ++sequence } };
#define EDGE edges[(size_t)rand() % count]
        if (i % 4 == 0)
            m.data = (proto_data){ (uint32_t)EDGE, EDGE, (uint32_t)EDGE, (uint32_t)EDGE,
                                   (uint32_t)EDGE, (uint32_t)EDGE, (uint32_t)EDGE, 0,
                                   { bytes, (uint32_t)rand() % 64 } };
        else if (i % 4 == 1)
            m.mark = (proto_mark){ (uint32_t)EDGE, EDGE + 1, { bytes, (uint32_t)rand() % 64 } };
        else if (i % 4 == 2)
            m.state = (proto_state){ (uint32_t)EDGE, EDGE, (uint32_t)EDGE, (uint32_t)EDGE,
                                     (uint32_t)EDGE, { bytes, (uint32_t)rand() % 64 } };
        else
            m.ack = (proto_ack){ EDGE, EDGE, EDGE, EDGE, (uint32_t)EDGE, (uint8_t)EDGE };
        say(f, m, (uint16_t)(PROTO_TYPE_data + i % 4), 1, 1);
        if (i % 4 == 3)
            sequence--;
    }
    assert_int_equal(stats(f).bound, 0);
    assert_int_equal(f->runs, 0);
    assert_true(stats(f).rejected[PROTO_REJECT_range] > 1000);
}

/* ---- members come and go ---- */

static void order(fake *f, uint64_t index, uint8_t kind, uint64_t step, const void *payload, uint32_t size)
{
    proto_msg msg = { .order = { .index = index, .made = 1, .kind = kind, .step = step,
                                 .payload = { payload, size } } };

    say(f, msg, PROTO_TYPE_order, 1, 1);
    assert_int_equal(stats(f).applied, index);
}

static void order_place(fake *f, uint64_t index, uint32_t place, uint64_t id)
{
    uint8_t pair[PROTO_MEMBERS_PAIR];

    proto_put_u32(pair, place);
    proto_put_u64(pair + 4, id);
    order(f, index, PROTO_ORDER_MEMBERS, 1, pair, sizeof pair);
}

static void order_owner(fake *f, uint64_t index, uint64_t step, uint32_t group, uint32_t place)
{
    uint8_t pair[PROTO_OWNERS_PAIR];

    proto_put_u32(pair, group);
    proto_put_u32(pair + 4, place);
    order(f, index, PROTO_ORDER_OWNERS, step, pair, sizeof pair);
}

/* A place is appended, and key groups go there; a place that is filled again has a new channel. */
static void test_places(void **state)
{
    fake *f = *state;
    uint64_t refused;

    installed(f);
    order_place(f, 1, 2, 5);
    assert_int_equal(f->place_count, 1);
    assert_int_equal(f->places[0], 2);
    order_owner(f, 2, 0, 0, 2); /* before any grant: its state goes there at once */
    assert_int_equal(f->pair_count, 1);
    assert_int_equal(f->pairs[0], 0);
    assert_int_equal(f->pairs[1], 2);
    assert_int_equal(f->owners_step, 0);
    say(f, (proto_msg){ .grant = { .bound = 1, .history = 2 } }, PROTO_TYPE_grant, 1, 1);
    assert_int_equal(f->sent[PROTO_TYPE_state], 1);
    assert_true(f->sent_to[5] >= 1);
    say(f, (proto_msg){ .header = { .sender = 5, .sequence = 1 } }, PROTO_TYPE_mark, 1, 1);
    assert_int_equal(f->left_count, 0);
    order_place(f, 3, 2, 0); /* vacant */
    assert_int_equal(f->left_count, 1);
    assert_int_equal(f->left[0], 5);
    refused = stats(f).rejected[PROTO_REJECT_sender];
    say(f, (proto_msg){ .header = { .sender = 5, .sequence = 2 } }, PROTO_TYPE_mark, 1, 1);
    assert_int_equal(stats(f).rejected[PROTO_REJECT_sender], refused + 1);
    order_place(f, 4, 2, 6);
    f->sent_to[5] = 0;
    order_owner(f, 5, 1, 1, 2);
    say(f, (proto_msg){ .header = { .sender = 6, .sequence = 1 } }, PROTO_TYPE_mark, 1, 1);
    assert_int_equal(stats(f).rejected[PROTO_REJECT_repeat], 0); /* sequences begin anew */
    proto_worker_tick(f->worker, f->now += 100000);
    assert_int_equal(f->sent_to[5], 0); /* what was not acknowledged there is gone with its channel */
    assert_int_equal(f->place_count, 3);
    install(f, 2, 1); /* without 6 */
    assert_int_equal(f->left_count, 2);
    assert_int_equal(f->left[1], 6);
}

/* A coordinator's bytes are checked like anybody's: nothing of these changes a place. */
static void test_hostile_places(void **state)
{
    static const struct {
        uint32_t place;
        uint64_t id;
    } wrong[] = { { 0, 9 }, { 0, 0 }, { 1, 9 }, { 3, 9 }, { 2, 0 }, { 2, 2 }, { PROTO_MEMBERS_MAX, 9 },
                  { UINT32_MAX, 9 } };
    fake *f = *state;
    uint64_t index = 0;

    installed(f);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        order_place(f, ++index, wrong[i].place, wrong[i].id);
        assert_int_equal(stats(f).rejected[PROTO_REJECT_range], i + 1);
    }
    order(f, ++index, PROTO_ORDER_MEMBERS, 1, "12345678901", 11);
    order_owner(f, ++index, 1, 0, 2);
    assert_int_equal(stats(f).rejected[PROTO_REJECT_range], index);
    order_place(f, ++index, 2, 9);
    order_place(f, ++index, 1, 0);
    order_owner(f, ++index, 1, 0, 1); /* nobody is there any more */
    assert_int_equal(stats(f).rejected[PROTO_REJECT_range], index - 2);
    assert_int_equal(f->pair_count, 0);
    assert_int_equal(f->place_count, 2);
}

static proto_msg late_install(uint8_t *members, uint8_t *owners)
{
    proto_put_u64(members, 3);
    proto_put_u64(members + 8, 0);
    proto_put_u64(members + 16, 2);
    memset(owners, 0, 20);
    return (proto_msg){ .install = { .window = 3, .step = 4, .history = 1, .tables = 3,
                                     .members = { members, 24 }, .owners = { owners, 20 } } };
}

/* It comes while a generation runs: it loads nothing, applies no order that its lists have already, is met
 * by a grant beyond its window, and by none such once it owns something. */
static void test_comes_late(void **state)
{
    fake *f = *state;
    uint8_t members[24], owners[20];

    say(f, late_install(members, owners), PROTO_TYPE_install, 1, 1);
    assert_int_equal(f->loads + f->opens, 0);
    assert_int_equal(f->sent[PROTO_TYPE_installed], 1);
    assert_int_equal(stats(f).bound, 4);
    order_owner(f, 2, 2, 0, 2);
    order_place(f, 3, 1, 9);
    assert_int_equal(f->pair_count + f->place_count, 0);
    say(f, (proto_msg){ .grant = { .bound = 9, .history = 3 } }, PROTO_TYPE_grant, 1, 1);
    assert_int_equal(stats(f).bound, 9);
    assert_int_equal(stats(f).done, 9);
    order_place(f, 4, 1, 9);
    assert_int_equal(f->place_count, 1);
    order_owner(f, 5, 9, 0, 2);
    assert_int_equal(f->pair_count, 1);
    say(f, (proto_msg){ .grant = { .bound = 13, .history = 5 } }, PROTO_TYPE_grant, 1, 1);
    assert_int_equal(stats(f).bound, 9);
    assert_int_equal(stats(f).rejected[PROTO_REJECT_range], 1);
}

/* Lists by which it would own something, or that name a vacant place, are refused. */
static void test_late_lists(void **state)
{
    fake *f = *state;
    uint8_t members[24], owners[20];
    proto_msg msg = late_install(members, owners);

    for (uint32_t place = 1; place <= 3; place++) {
        proto_put_u32(owners + 8, place);
        say(f, msg, PROTO_TYPE_install, 1, 1);
        assert_int_equal(stats(f).rejected[PROTO_REJECT_range], place);
        assert_int_equal(f->sent[PROTO_TYPE_installed], 0);
    }
}

/* No more of a move is under way than its credit, wherever the receiver is; and each part of it that is taken gives
 * some back, without a heartbeat. */
static void test_move_is_credited(void **state)
{
    fake *f = *state;
    proto_msg ack = { .header = { .sender = 3 }, .ack = { .received = 10, .step = 9 } };
    const df_spans *waits;

    installed(f);
    channel_send_state(f->worker, 1, 0, 3, proto_batch_new(3000, 1));
    channel_pump(f->worker);
    assert_int_equal(f->sent[PROTO_TYPE_state], 10); /* of 100 bytes each; the credit is 1,000 */
    waits = &f->worker->channels[1].waits;
    assert_int_equal(df_spans_count(waits), 10);
    assert_int_equal(waits->nanoseconds, 0); /* those have not waited */
    f->now += 50;
    say(f, ack, PROTO_TYPE_ack, 1, 1); /* past the step that it enters, and nothing taken */
    assert_int_equal(f->sent[PROTO_TYPE_state], 10);
    ack.ack.moved = 300;
    say(f, ack, PROTO_TYPE_ack, 1, 1);
    assert_int_equal(f->sent[PROTO_TYPE_state], 13);
    assert_int_equal(df_spans_count(waits), 13);
    assert_int_equal(waits->nanoseconds, 3 * 52000); /* two messages have come meanwhile, a microsecond each */
    assert_int_equal(waits->buckets[df_spans_bucket(52000)], 3);
}

static int set_up_moves(void **state)
{
    return set_up_frames(state, 100, 60);
}

static void put_numbers(const uint8_t *bytes, uint32_t offset, uint8_t *to, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        to[i] = (uint8_t)(bytes[0] + (offset + i) % 251);
}

static void send_numbers(fake *f, uint32_t size)
{
    static uint8_t first = 3;
    proto_batch *batch = proto_batch_lend(&first, size, 1, NULL, NULL);

    batch->copy = put_numbers;
    f->moved_first = first;
    channel_send_state(f->worker, 1, 0, 3, batch);
    channel_pump(f->worker);
}

/* A state that lies in several places is put together frame by frame, in frames of its own size, and again when they
 * are sent again: where the transport sends from, if it has room. */
static void test_move_is_gathered(void **state)
{
    fake *f = *state;

    installed(f);
    send_numbers(f, 610);
    assert_int_equal(f->sent[PROTO_TYPE_state], 11);
    assert_int_equal(f->moved, 610);
    assert_int_equal(f->in_room, 5);
    proto_worker_linked(f->worker, 1, 3);
    assert_int_equal(f->sent[PROTO_TYPE_state], 22);
    assert_int_equal(f->moved, 2 * 610);
    assert_int_equal(f->in_room, 11);
}

/* Less is under way to who reads it where it is put together. */
static void test_move_is_near(void **state)
{
    fake *f = *state;
    proto_msg ack = { .header = { .sender = 3 }, .ack = { .received = 3, .moved = 180 } };

    installed(f);
    f->worker->config.move_near = 180;
    f->room_every = 1;
    send_numbers(f, 1200);
    assert_int_equal(f->sent[PROTO_TYPE_state], 3); /* of 60 bytes each */
    f->room_every = 0;
    say(f, ack, PROTO_TYPE_ack, 1, 1);
    assert_int_equal(f->sent[PROTO_TYPE_state], 3 + 16); /* 1,000 under way, and one that had room before it */
}

static bool fake_state(struct proto_worker *w, uint32_t member, const proto_state *s)
{
    return (void)w, (void)member, (void)s, true;
}

static void test_move_is_acknowledged(void **state)
{
    static uint8_t bytes[100];
    fake *f = *state;

    f->calls.state = fake_state;
    installed(f);
    for (uint64_t i = 1; i <= 6; i++) { /* told at more than 250 bytes: every third, not every eighth */
        proto_msg msg = { .header = { .sender = 3, .sequence = i },
                          .state = { .group = 2, .step = 3, .offset = 100 * (uint32_t)(i - 1), .total = 3000,
                                     .payload = { bytes, 100 } } };

        say(f, msg, PROTO_TYPE_state, 1, 1);
        assert_int_equal(f->sent[PROTO_TYPE_ack], i / 3);
    }
}

#define WITH(set, test) cmocka_unit_test_setup_teardown(test, set, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(set_up, test_move_is_credited), WITH(set_up_moves, test_move_is_gathered),
        WITH(set_up_moves, test_move_is_near), WITH(set_up, test_move_is_acknowledged),
        WITH(set_up, test_installs_and_runs), WITH(set_up, test_grant_waits_for_history),
        WITH(set_up, test_tells_slow_steps), WITH(set_up, test_promise), WITH(set_up, test_credit_is_the_limit),
        WITH(set_up_small, test_silence), WITH(set_up_small, test_all_lost), WITH(set_up_small, test_gaps),
        WITH(set_up_small, test_slow_link), WITH(set_up_small, test_linked_anew), WITH(set_up, test_idle_channel),
        WITH(set_up, test_hostile_peer), WITH(set_up, test_tells_the_least_failure),
        WITH(set_up, test_given_up_while_written), WITH(set_up, test_places), WITH(set_up, test_hostile_places),
        WITH(set_up, test_comes_late), WITH(set_up, test_late_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
