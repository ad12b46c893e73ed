/* What clients and workers say to a coordinator's state machine, and what it makes of it; rescales are in
 * test_proto_rescale.c. */
#include "tests/support/fake_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT 900u /* a number that no worker of these tests has, and whose answers are kept */

static void command(fake_cluster *c, uint64_t client, uint64_t number, proto_verb verb)
{
    const fake_member who = { .id = client };
    proto_msg msg = { .command = { .number = number, .verb = (uint8_t)verb } };

    fake_cluster_say(c, &who, msg, PROTO_TYPE_command);
    proto_coord_tick(c->coord, c->now_us);
}

/* What CLIENT has been answered to a command in the last round; -1: nothing. */
static int answer_to(const fake_cluster *c, uint64_t number)
{
    for (uint32_t i = 0; i < c->queued; i++)
        if (c->queue[i].to == CLIENT && c->queue[i].type == PROTO_TYPE_answer && c->queue[i].number == number)
            return (int)c->queue[i].second;
    return -1;
}

/* Each call of the command line is a client that nobody has heard of before, for months. */
static void test_many_clients(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 2);

    (void)state;
    for (uint64_t i = 0; i < PROTO_CLIENTS_MAX + 10u; i++) {
        command(c, 5000 + i, 1, i % 2 == 0 ? PROTO_VERB_PAUSE : PROTO_VERB_RESUME);
        fake_cluster_round(c);
        fake_cluster_round(c);
    }
    assert_false(fake_cluster_stats(c).paused);
    command(c, CLIENT, 1, PROTO_VERB_PAUSE);
    fake_cluster_round(c);
    assert_int_equal(answer_to(c, 1), PROTO_ANSWER_OK);
    assert_true(fake_cluster_stats(c).paused);
    fake_cluster_free(c);
}

/* A client that waits for its answer is remembered however many come meanwhile. */
static void test_waiting_client(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 2);

    (void)state;
    c->hold_sync = true;
    for (uint64_t i = 0; i < PROTO_CLIENTS_MAX; i++)
        command(c, i == 0 ? CLIENT : 5000 + i, 1, PROTO_VERB_PAUSE);
    command(c, 5000 + PROTO_CLIENTS_MAX, 1, PROTO_VERB_RESUME); /* refused: all others wait */
    assert_true(fake_cluster_stats(c).paused);
    c->hold_sync = false;
    fake_cluster_round(c);
    assert_int_equal(answer_to(c, 1), PROTO_ANSWER_OK);
    fake_cluster_free(c);
}

/* A job that is about to fail is taken back to its snapshot; that it fails is said again by who has not heard
 * of it yet, and is no news any more. */
static void test_restored_while_failing(void **state)
{
    static const uint8_t text[] = "no";
    fake_cluster *c = fake_cluster_new(6, 2, 2);
    const proto_msg failed = { .failed = { .step = 3, .fatal = 1, .ended = 1, .text = { text, 2 } } };
    uint64_t generation = fake_cluster_stats(c).generation;

    (void)state;
    command(c, CLIENT, 1, PROTO_VERB_SNAPSHOT);
    for (int i = 0; i < 100 && c->commits == 0; i++)
        fake_cluster_round(c);
    assert_true(c->commits > 0);
    fake_cluster_round(c);
    command(c, CLIENT, 2, PROTO_VERB_RESTORE);
    fake_cluster_say(c, &c->members[0], failed, PROTO_TYPE_failed);
    for (int i = 0; i < 50 && !fake_cluster_stats(c).running; i++)
        fake_cluster_round(c);
    assert_true(fake_cluster_stats(c).running);
    assert_int_equal(fake_cluster_stats(c).end, PROTO_END_NOT);
    assert_int_equal(fake_cluster_stats(c).restores, 1);
    assert_int_equal(fake_cluster_stats(c).generation, generation + 1);
    assert_false(fake_cluster_stats(c).failed);
    fake_cluster_say(c, &c->members[0], failed, PROTO_TYPE_failed); /* in the new generation it counts */
    fake_cluster_say(c, &c->members[1], failed, PROTO_TYPE_failed);
    for (int i = 0; i < 50; i++)
        fake_cluster_round(c);
    assert_int_equal(fake_cluster_stats(c).end, PROTO_END_FAILED);
    fake_cluster_free(c);
}

/* What sinks may show is what all members have computed, and not what most have. */
static void test_complete_is_of_all(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 3, 3);
    uint64_t shown = 0, behind;

    (void)state;
    c->members[1].deaf = true; /* and says nothing more */
    fake_cluster_round(c);
    behind = c->members[1].bound;
    for (int i = 0; i < 20; i++) {
        for (uint32_t m = 0; m < c->queued; m++)
            if (c->queue[m].type == PROTO_TYPE_grant && c->queue[m].third > shown)
                shown = c->queue[m].third;
        fake_cluster_round(c);
    }
    assert_true(c->members[0].bound > behind);
    assert_true(shown > 0);
    assert_true(shown <= behind);
    fake_cluster_free(c);
}

/* However many messages come before a tick, what follows from them is done once: grants go out together. */
static void test_one_advance(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 2);
    uint32_t queued;

    (void)state;
    fake_cluster_round(c);
    queued = c->queued;
    for (uint32_t i = 0; i < 2; i++) {
        fake_member w = c->members[i];

        w.bound += 1;
        fake_cluster_say(c, &w, (proto_msg){ .status = { w.bound, w.applied, w.bound, w.bound, w.released } },
                         PROTO_TYPE_status);
    }
    assert_int_equal(c->queued, queued);
    assert_true(proto_coord_deadline(c->coord) <= c->now_us); /* there is something to do now */
    proto_coord_tick(c->coord, c->now_us);
    assert_true(c->queued > queued);
    assert_true(proto_coord_deadline(c->coord) > c->now_us);
    fake_cluster_free(c);
}

static fake_cluster *paced_cluster(double steps_per_second)
{
    fake_cluster *c = fake_cluster_new(6, 2, 2);

    c->config.steps_per_second = steps_per_second;
    fake_cluster_crash(c);
    for (int i = 0; i < 20; i++)
        fake_cluster_round(c);
    assert_true(fake_cluster_stats(c).running);
    return c;
}

/* Nothing happens until the next step is granted. */
static void next_grant(fake_cluster *c)
{
    uint64_t bound = fake_cluster_stats(c).bound;

    while (fake_cluster_stats(c).bound == bound) {
        uint64_t at = proto_coord_deadline(c->coord);

        c->now_us = at > c->now_us ? at : c->now_us;
        proto_coord_tick(c->coord, c->now_us);
    }
    assert_int_equal(fake_cluster_stats(c).bound, bound + 1);
}

/* With a pace steps are granted when they are due, and not when something else happens. */
static void test_pace(void **state)
{
    fake_cluster *c = paced_cluster(300);
    uint64_t begun = 0;

    (void)state;
    for (uint64_t i = 0; i < 20; i++) {
        fake_cluster_round(c); /* the members do what was granted, and a millisecond is gone */
        next_grant(c);
        begun = begun == 0 ? c->now_us : begun;
        assert_in_range(c->now_us - begun, i * 10000 / 3, i * 10000 / 3 + 2);
    }
    assert_int_equal(fake_cluster_stats(c).late_steps, 0);
    assert_in_range(fake_cluster_stats(c).step_us, 1, 1100);
    fake_cluster_free(c);
}

/* A step that takes longer than the pace is late, and so is what is behind it until that is made up for. A pause is
 * nobody's delay. */
static void test_late(void **state)
{
    fake_cluster *c = paced_cluster(100);

    (void)state;
    fake_cluster_round(c);
    next_grant(c);
    c->now_us += 25000; /* the members do it, and this is heard so late; then two more are due */
    fake_cluster_round(c);
    assert_int_equal(fake_cluster_stats(c).late_steps, 1);
    assert_in_range(fake_cluster_stats(c).step_us, 25000, 26100);
    fake_cluster_round(c);
    assert_int_equal(fake_cluster_stats(c).late_steps, 2);
    next_grant(c);
    fake_cluster_round(c);
    assert_int_equal(fake_cluster_stats(c).late_steps, 2);
    assert_in_range(fake_cluster_stats(c).step_us, 1, 1100);
    command(c, CLIENT, 1, PROTO_VERB_PAUSE);
    for (int i = 0; i < 100; i++)
        fake_cluster_round(c);
    command(c, CLIENT, 2, PROTO_VERB_RESUME);
    for (int i = 0; i < 100; i++)
        fake_cluster_round(c);
    assert_int_equal(fake_cluster_stats(c).late_steps, 2);
    fake_cluster_free(c);
}

/* The least of all errors is told (rule 21), whoever says it first, and of a member that has not ended the step it
 * is awaited. */
static void test_least_failure(void **state)
{
    static const uint8_t text[] = "no";
    fake_cluster *c = fake_cluster_new(6, 2, 2);
    uint64_t step = fake_cluster_stats(c).bound + 1;
    proto_msg failed = { .failed = { .step = step, .stage = 1, .group = 4, .fatal = 1, .ended = 1, .text = { text, 2 } } };

    (void)state;
    fake_cluster_say(c, &c->members[0], failed, PROTO_TYPE_failed);
    assert_true(fake_cluster_stats(c).running); /* the other one may have a lesser error */
    failed.failed.stage = 0;
    failed.failed.ended = 0;
    fake_cluster_say(c, &c->members[1], failed, PROTO_TYPE_failed);
    assert_true(fake_cluster_stats(c).running);
    failed.failed.ended = 1;
    fake_cluster_say(c, &c->members[1], failed, PROTO_TYPE_failed);
    assert_false(fake_cluster_stats(c).running);
    proto_coord_tick(c->coord, c->now_us);
    fake_cluster_round(c);
    assert_int_equal(fake_cluster_stats(c).end, PROTO_END_FAILED);
    assert_int_equal(fake_cluster_stats(c).failed_step, step);
    assert_int_equal(fake_cluster_stats(c).failed_stage, 0);
    fake_cluster_free(c);
}

/* A member is lost while a commit is being made, which nobody can take back: the next generation waits for it, and
 * begins from it. */
static void lost_while_committing(fake_cluster *c)
{
    uint64_t generation = fake_cluster_stats(c).generation, attempt, base = 0;

    c->hold_commit = true;
    command(c, CLIENT, 1, PROTO_VERB_SNAPSHOT);
    for (int i = 0; i < 100 && c->commit_attempt == 0; i++)
        fake_cluster_round(c);
    attempt = c->commit_attempt;
    assert_true(attempt > 0);
    c->members[1].there = false;
    proto_coord_gone(c->coord, c->now_us, 2);
    for (int i = 0; i < 20; i++)
        fake_cluster_round(c);
    assert_int_equal(fake_cluster_stats(c).generation, generation);
    assert_int_equal(fake_cluster_stats(c).restarts, 0); /* or whoever looks would tell what it was before */
    c->hold_commit = false;
    for (int i = 0; i < 50 && !fake_cluster_stats(c).running; i++)
        fake_cluster_round(c);
    assert_true(fake_cluster_stats(c).running);
    assert_int_equal(fake_cluster_stats(c).generation, generation + 1);
    assert_int_equal(fake_cluster_stats(c).head.attempt, attempt);
    assert_int_equal(fake_cluster_stats(c).restarts, 1);
    assert_int_equal(fake_cluster_stats(c).base.attempt, attempt);
    for (uint32_t i = 0; i < c->log_count; i++)
        base = c->log[i].kind == PROTO_RECORD_GENERATION ? c->log[i].snapshot : base;
    assert_int_equal(base, attempt);
    fake_cluster_free(c);
}

/* However many restarts there may be without a new snapshot: this is one. */
static void test_lost_while_committing(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);

    (void)state;
    lost_while_committing(c);
    c = fake_cluster_new(6, 2, 3);
    c->config.restarts_max = 0;
    fake_cluster_crash(c);
    for (int i = 0; i < 20; i++)
        fake_cluster_round(c);
    assert_true(fake_cluster_stats(c).running);
    lost_while_committing(c);
}

static void lose(fake_cluster *c, uint64_t id)
{
    c->members[id - 1].there = false;
    proto_coord_gone(c->coord, c->now_us, id);
    for (int i = 0; i < 50; i++)
        fake_cluster_round(c);
}

/* What a lost worker had goes to who may be given more; while nobody may, the job waits, and says so. */
static void test_lost_to_who_has_room(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 3, 3);
    uint64_t before[7], after[7];

    (void)state;
    c->config.member_min = 1;
    fake_cluster_crash(c);
    for (int i = 0; i < 50; i++)
        fake_cluster_round(c);
    proto_coord_owners_get(c->coord, before);
    c->members[0].full = true;
    lose(c, 2);
    assert_true(fake_cluster_stats(c).running);
    proto_coord_owners_get(c->coord, after);
    for (uint32_t g = 0; g < 6; g++)
        assert_int_equal(after[g], before[g] == 2 ? 3 : before[g]);
    lose(c, 3);
    assert_false(fake_cluster_stats(c).running);
    assert_true(fake_cluster_stats(c).roomless);
    assert_string_equal(fake_cluster_stats(c).waiting, "a worker that may be given what a lost one had");
    c->members[0].full = false;
    for (int i = 0; i < 50; i++)
        fake_cluster_round(c);
    assert_true(fake_cluster_stats(c).running);
    assert_false(fake_cluster_stats(c).roomless);
    proto_coord_owners_get(c->coord, after);
    for (uint32_t g = 0; g < 6; g++)
        assert_int_equal(after[g], 1);
    fake_cluster_free(c);
}

/* A spare one that is not needed leaves, and knows that it is no fault; a member does not. */
static void test_release(void **state)
{
    static const uint64_t three = 3;
    fake_cluster *c = fake_cluster_new(6, 2, 3);
    proto_rescale op = { .id = 1, .admit = &three, .admit_count = 1 };
    const char *why = NULL;

    (void)state;
    for (int i = 0; i < 3; i++)
        fake_cluster_round(c);
    proto_coord_release(c->coord, 1);
    proto_coord_release(c->coord, 99);
    for (int i = 0; i < 5; i++)
        fake_cluster_round(c);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(c->members[i].stopped, 0);
    proto_coord_release(c->coord, 3);
    assert_int_equal(proto_coord_rescale(c->coord, c->now_us, &op, &why), PROTO_ANSWER_REFUSED); /* it is not to be had */
    for (int i = 0; i < 5; i++)
        fake_cluster_round(c);
    assert_int_equal(c->members[2].stopped, PROTO_STOP_DISMISSED + 1);
    assert_int_equal(c->members[0].stopped + c->members[1].stopped, 0);
    assert_int_equal(fake_cluster_stats(c).members, 2);
    assert_int_equal(fake_cluster_stats(c).generation, 1);
    fake_cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_many_clients),
        cmocka_unit_test(test_waiting_client),
        cmocka_unit_test(test_restored_while_failing),
        cmocka_unit_test(test_complete_is_of_all),
        cmocka_unit_test(test_one_advance),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_least_failure),
        cmocka_unit_test(test_lost_while_committing),
        cmocka_unit_test(test_lost_to_who_has_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
