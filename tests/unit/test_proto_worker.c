/* A worker and hostile or stale messages: every one is refused and counted, and changes nothing. */
#include "coordinator/proto_worker.h"
#include "coordinator/sim_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fake {
    sim_job job;
    proto_worker *worker;
    uint32_t loads, opens, runs, stops, sent[PROTO_TYPE_END];
    uint64_t now;
} fake;

static void fake_send(void *user, uint64_t to, const proto_msg *msg)
{
    (void)to;
    ((fake *)user)->sent[msg->header.type]++;
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

static void fake_part(void *user, uint64_t generation, uint64_t attempt,
                      const proto_captured *captured, uint32_t count)
{
    (void)user;
    (void)generation;
    (void)attempt;
    (void)captured;
    (void)count;
}

static void fake_open(void *user, uint64_t generation, uint32_t group)
{
    (void)generation;
    (void)group;
    ((fake *)user)->opens++;
}

static void fake_write(void *user, uint64_t generation, uint32_t group, uint64_t offset,
                       const proto_batch *bytes)
{
    (void)user;
    (void)generation;
    (void)group;
    (void)offset;
    (void)bytes;
}

static void fake_sync(void *user, uint64_t generation, uint64_t attempt)
{
    (void)user;
    (void)generation;
    (void)attempt;
}

static void fake_stop(void *user, uint8_t reason)
{
    (void)reason;
    ((fake *)user)->stops++;
}

static int set_up(void **state)
{
    fake *f = calloc(1, sizeof *f);
    proto_worker_env env = { f, &proto_flow_model, fake_send, fake_load, fake_run, fake_boundary,
                             fake_part, fake_open, fake_write, fake_sync, fake_stop, NULL, NULL };
    proto_worker_config config = { .job = 7, .self = 2, .process = 2, .credit_size = 1000,
                                   .move_size = 1000, .frame_size = 100, .tries = 1,
                                   .beat_us = 1000, .resend_us = 2000 };

    assert_non_null(f);
    sim_job_init(&f->job, 1, 4, 10, 0);
    f->worker = proto_worker_new(&f->job.plan, &config, &env);
    proto_worker_start(f->worker, 0);
    *state = f;
    return 0;
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
    proto_msg msg = { .install = { .window = 3, .members = { members, 16 },
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

    install(f, 1, 1);
    finish_install(f, 1);
    say(f, (proto_msg){ .grant = { .bound = 1, .history = 1 } }, PROTO_TYPE_grant, 1, 1);
    assert_int_equal(stats(f).bound, 0);
    say(f, (proto_msg){ .order = { .index = 2, .made = 1, .kind = 1 } }, PROTO_TYPE_order, 1, 1);
    assert_int_equal(stats(f).applied, 0); /* out of turn */
    say(f, (proto_msg){ .order = { .index = 1, .made = 1, .kind = 1 } }, PROTO_TYPE_order, 1, 1);
    assert_int_equal(stats(f).applied, 1);
    assert_int_equal(stats(f).bound, 1);
}

static void test_promise(void **state)
{
    fake *f = *state;

    install(f, 1, 1);
    finish_install(f, 1);
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

    install(f, 1, 1);
    finish_install(f, 1);
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

static void test_hostile_peer(void **state)
{
    static const uint64_t edges[] = { 0, 1, 2, 3, 4, 5, 9, 10, 11, 64, 255, 1u << 20, UINT32_MAX,
                                      UINT64_MAX };
    fake *f = *state;
    const size_t count = sizeof edges / sizeof edges[0];
    uint64_t sequence = 0;
    uint8_t bytes[64] = { 0 };

    install(f, 1, 1);
    finish_install(f, 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_installs_and_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grant_waits_for_history, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_promise, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_credit_is_the_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_peer, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
