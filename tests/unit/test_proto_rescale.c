/* The coordinator's half of a rescale, against workers that do at once what they are told: the order of
 * things, refusals, abort, deadline, a crash at every record, generations, and a thousand workers. */
#include "tests/support/fake_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void rounds(fake_cluster *c, int count)
{
    for (int i = 0; i < count; i++)
        fake_cluster_round(c);
}

static void run_until_ended(fake_cluster *c, uint64_t id)
{
    for (int i = 0; i < 2000 && fake_cluster_stats(c).rescale.last_id != id; i++)
        fake_cluster_round(c);
    assert_int_equal(fake_cluster_stats(c).rescale.last_id, id);
    assert_int_equal(fake_cluster_stats(c).rescale.id, 0);
}

static void owners_are(const fake_cluster *c, const uint64_t *wanted)
{
    uint64_t *owners = calloc(c->plan.group_count, sizeof *owners);

    assert_non_null(owners);
    proto_coord_owners_get(c->coord, owners);
    for (uint32_t g = 0; g < c->plan.group_count - 1; g++)
        assert_int_equal(owners[g], wanted[g]);
    free(owners);
}

static uint32_t orders_of(const fake_cluster *c, uint8_t kind)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < c->log_count; i++)
        count += c->log[i].kind == PROTO_RECORD_ORDER && c->log[i].order.kind == kind;
    return count;
}

static void run_until_ordered(fake_cluster *c, uint8_t kind, uint32_t count)
{
    while (orders_of(c, kind) < count)
        fake_cluster_round(c);
}

static proto_answer_status begin(fake_cluster *c, const proto_rescale *op)
{
    const char *why = NULL;
    proto_answer_status s = proto_coord_rescale(c->coord, c->now_us, op, &why);

    assert_true((s == PROTO_ANSWER_OK) == (why == NULL));
    return s;
}

/* Six key groups, members 1 and 2 (each owns three), 3 is spare: 3 comes, 2 goes. */
static const uint64_t three = 3, two = 2;
static const uint64_t six_before[] = { 1, 1, 1, 2, 2, 2 }, six_after[] = { 1, 1, 3, 3, 1, 3 };
static const proto_move six_moves[] = { { 2, 3, 0 }, { 3, 3, 1 }, { 4, 1, 1 }, { 5, 3, 2 } };

static proto_rescale six_op(uint64_t id)
{
    return (proto_rescale){ .id = id, .admit = &three, .admit_count = 1, .dismiss = &two,
                            .dismiss_count = 1, .moves = six_moves, .move_count = 4 };
}

/* ---- the order of things ---- */

static void test_in_order(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);
    proto_rescale op = six_op(1);

    (void)state;
    owners_are(c, six_before);
    c->members[2].deaf = true;
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    assert_false(fake_cluster_stats(c).rescale.kept);
    rounds(c, 20);
    assert_true(fake_cluster_stats(c).rescale.kept);
    assert_string_equal(fake_cluster_stats(c).rescale.phase, "admitting");
    assert_int_equal(orders_of(c, PROTO_ORDER_MEMBERS), 1);
    assert_int_equal(orders_of(c, PROTO_ORDER_OWNERS), 0); /* it has not installed */
    assert_int_equal(fake_cluster_stats(c).members, 3);
    c->members[2].deaf = false;
    c->members[0].deaf = true; /* so nothing is finished any more */
    rounds(c, 5);
    assert_int_equal(c->members[2].installs, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.admitted, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.waves, 3);
    assert_int_equal(fake_cluster_stats(c).rescale.waves_done, 0);
    assert_int_equal(orders_of(c, PROTO_ORDER_MEMBERS), 1); /* nobody leaves before all is done */
    assert_int_equal(c->members[1].stopped, 0);
    c->members[0].deaf = false;
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_DONE);
    assert_int_equal(fake_cluster_stats(c).members, 2);
    assert_int_equal(fake_cluster_stats(c).rescale.size, 0); /* as many as before */
    owners_are(c, six_after);
    fake_cluster_round(c);
    assert_int_equal(c->members[1].stopped, PROTO_STOP_DISMISSED + 1);
    assert_int_equal(fake_cluster_stats(c).generation, 1);
    fake_cluster_free(c);
}

/* A member that comes while the bound runs on is met by a grant beyond any window, and holds nobody
 * back before. */
static void test_holds_nobody_back(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);
    proto_rescale op = six_op(1);
    uint64_t low;

    (void)state;
    c->members[2].deaf = true;
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    low = fake_cluster_stats(c).low;
    rounds(c, 30);
    assert_true(fake_cluster_stats(c).low > low + 4 * FAKE_CLUSTER_WINDOW);
    c->members[2].deaf = false;
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_DONE);
    fake_cluster_free(c);
}

/* Waves take effect at consecutive steps, each in one order, and no more are under way than there is
 * something left to stop. */
static void test_waves(void **state)
{
    enum { GROUPS = 100 };
    fake_cluster *c = fake_cluster_new(GROUPS, 2, 2);
    proto_move moves[50];
    proto_rescale op = { .id = 5, .moves = moves, .move_count = 50 };
    uint64_t step = 0;
    uint32_t waves = 0;

    (void)state;
    for (uint32_t i = 0; i < 50; i++)
        moves[i] = (proto_move){ i, 2, i / 2 };
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    assert_int_equal(orders_of(c, PROTO_ORDER_OWNERS), FAKE_CLUSTER_WINDOW + 2 + 2);
    run_until_ended(c, 5);
    for (uint32_t i = 0; i < c->log_count; i++) {
        const proto_order_record *o = &c->log[i].order;

        if (c->log[i].kind != PROTO_RECORD_ORDER || o->kind != PROTO_ORDER_OWNERS)
            continue;
        assert_int_equal(o->payload.size, 2 * PROTO_OWNERS_PAIR);
        assert_int_equal(proto_get_u32(o->payload.data), 2 * waves);
        assert_true(o->step > step);
        step = o->step;
        waves++;
    }
    assert_int_equal(waves, 25);
    fake_cluster_free(c);
}

/* ---- refusals ---- */

static void refused(fake_cluster *c, proto_rescale op, const char *text)
{
    const char *why = NULL;
    uint32_t records = c->log_count;

    assert_int_equal(proto_coord_rescale(c->coord, c->now_us, &op, &why), PROTO_ANSWER_REFUSED);
    assert_non_null(why);
    if (strstr(why, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, text);
    assert_int_equal(c->log_count, records);
}

static void test_refused(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);
    static const uint64_t one = 1, nobody = 99;
    static const proto_move wrong_group = { 7, 1, 0 }, sink = { 6, 2, 0 }, stranger = { 0, 3, 0 },
                            late = { 0, 2, 1 }, same = { 0, 1, 0 };
    static const proto_move twice[] = { { 0, 2, 0 }, { 0, 1, 0 } }, gap[] = { { 0, 2, 0 }, { 1, 2, 2 } };
    static const proto_move back[] = { { 0, 2, 0 }, { 3, 1, 1 }, { 4, 1, 0 } };
    const char *why;
    proto_rescale op = six_op(3);

    (void)state;
    refused(c, (proto_rescale){ .id = 1 }, "nothing is to be changed");
    refused(c, (proto_rescale){ .id = 0, .admit = &three, .admit_count = 1 }, "used before");
    refused(c, (proto_rescale){ .id = 1, .admit = &nobody, .admit_count = 1 }, "is not there");
    refused(c, (proto_rescale){ .id = 1, .admit = &one, .admit_count = 1 }, "is a member");
    refused(c, (proto_rescale){ .id = 1, .dismiss = &three, .dismiss_count = 1 }, "is no member");
    refused(c, (proto_rescale){ .id = 1, .dismiss = &two, .dismiss_count = 1 }, "still own key groups");
    refused(c, (proto_rescale){ .id = 1, .moves = &wrong_group, .move_count = 1 }, "no such key group");
    refused(c, (proto_rescale){ .id = 1, .moves = &sink, .move_count = 1 }, "stays on its host");
    refused(c, (proto_rescale){ .id = 1, .moves = &stranger, .move_count = 1 }, "no member then");
    refused(c, (proto_rescale){ .id = 1, .moves = &late, .move_count = 1 }, "not in turn");
    refused(c, (proto_rescale){ .id = 1, .moves = &same, .move_count = 1 }, "there already");
    refused(c, (proto_rescale){ .id = 1, .moves = twice, .move_count = 2 }, "named twice");
    refused(c, (proto_rescale){ .id = 1, .moves = gap, .move_count = 2 }, "not in turn");
    refused(c, (proto_rescale){ .id = 1, .moves = back, .move_count = 3 }, "not in turn");
    c->members[2].full = true;
    refused(c, six_op(1), "admitted may not have key groups");
    c->members[2].full = false;
    c->members[0].full = true;
    refused(c, six_op(1), "a worker that may not have more");
    c->members[0].full = false;
    assert_int_equal(proto_coord_rescale_abort(c->coord, c->now_us, &why), PROTO_ANSWER_REFUSED);
    assert_string_equal(why, "no rescale runs");
    proto_coord_room(c->coord, PROTO_ROOM_NO_ORDERS, 0);
    refused(c, six_op(1), "history is full");
    proto_coord_room(c->coord, PROTO_ROOM_ALL, UINT64_MAX);
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    proto_coord_room(c->coord, PROTO_ROOM_NO_ORDERS, 0);
    rounds(c, 20);
    assert_int_equal(orders_of(c, PROTO_ORDER_OWNERS), 0);
    refused(c, six_op(4), "rescale 3 is waiting for room in the history: 0 of 3 waves are done");
    proto_coord_room(c->coord, PROTO_ROOM_ALL, UINT64_MAX);
    run_until_ended(c, 3);
    refused(c, six_op(3), "used before");
    assert_int_equal(fake_cluster_stats(c).rescale.next_id, 4);
    c->members[0].deaf = true; /* a generation ends */
    rounds(c, 60);
    refused(c, six_op(4), "not running");
    fake_cluster_free(c);
}

/* Who has the sink cannot leave, whatever moves. */
static void test_sink_stays(void **state)
{
    fake_cluster *c = fake_cluster_new(2, 2, 2);
    uint64_t owners[3], leave;
    proto_move move = { 0 };

    (void)state;
    proto_coord_owners_get(c->coord, owners);
    leave = owners[2];
    move.group = owners[0] == leave ? 0 : 1;
    move.to = 3 - leave;
    refused(c, (proto_rescale){ .id = 1, .dismiss = &leave, .dismiss_count = 1, .moves = &move,
                                .move_count = 1 }, "has a sink");
    fake_cluster_free(c);
}

/* ---- going back ---- */

static void test_abort(void **state)
{
    enum { GROUPS = 100 };
    fake_cluster *c = fake_cluster_new(GROUPS, 2, 3);
    uint64_t before[GROUPS + 1];
    proto_move moves[GROUPS];
    proto_rescale op = { .id = 1, .admit = &three, .admit_count = 1, .moves = moves,
                         .move_count = GROUPS };
    const char *why;
    uint32_t ordered;

    (void)state;
    proto_coord_owners_get(c->coord, before);
    for (uint32_t i = 0; i < GROUPS; i++)
        moves[i] = (proto_move){ i, 3, i };
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    while (fake_cluster_stats(c).rescale.waves_done < 10)
        fake_cluster_round(c);
    ordered = orders_of(c, PROTO_ORDER_OWNERS);
    assert_in_range(ordered, 10, 30); /* most of it was not ordered yet */
    assert_int_equal(proto_coord_rescale_abort(c->coord, c->now_us, &why), PROTO_ANSWER_OK);
    assert_int_equal(proto_coord_rescale_abort(c->coord, c->now_us, &why), PROTO_ANSWER_REFUSED);
    assert_string_equal(why, "it is being aborted already");
    assert_true(fake_cluster_stats(c).rescale.aborting);
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_ABORTED);
    assert_int_equal(orders_of(c, PROTO_ORDER_OWNERS), 2 * ordered); /* each was ordered back */
    owners_are(c, before);
    assert_int_equal(fake_cluster_stats(c).members, 2);
    fake_cluster_round(c);
    assert_int_equal(c->members[2].stopped, PROTO_STOP_DISMISSED + 1);
    assert_int_equal(fake_cluster_stats(c).generation, 1);
    fake_cluster_free(c);
}

static void test_no_way_back(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);
    proto_rescale op = six_op(1);
    const char *why;

    (void)state;
    op.deadline_us = 60000;
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    run_until_ordered(c, PROTO_ORDER_MEMBERS, 2);
    assert_int_equal(proto_coord_rescale_abort(c->coord, c->now_us, &why), PROTO_ANSWER_REFUSED);
    assert_non_null(strstr(why, "begun to leave"));
    c->now_us += 30000; /* the deadline goes by as well */
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_DONE);
    owners_are(c, six_after);
    fake_cluster_free(c);
}

static void test_deadline(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);
    proto_rescale op = six_op(1);

    (void)state;
    op.deadline_us = 30000;
    c->members[2].deaf = true;
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_ABORTED);
    assert_int_equal(orders_of(c, PROTO_ORDER_OWNERS), 0);
    owners_are(c, six_before);
    assert_int_equal(fake_cluster_stats(c).members, 2);
    fake_cluster_free(c);
}

/* ---- losses ---- */

/* One that is lost before it has owned anything costs nobody a step; its place is used again. */
static void test_lost_while_it_comes(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 4);
    proto_rescale op = six_op(1);
    static const uint64_t four = 4;
    static const proto_move moves[] = { { 2, 4, 0 } };

    (void)state;
    c->members[2].deaf = true;
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    rounds(c, 5);
    assert_int_equal(fake_cluster_stats(c).members, 3);
    c->members[2].there = false;
    proto_coord_gone(c->coord, c->now_us, 3);
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_ABORTED);
    assert_int_equal(fake_cluster_stats(c).rescale.last_lost, 3);
    assert_int_equal(fake_cluster_stats(c).generation, 1);
    owners_are(c, six_before);
    op = (proto_rescale){ .id = 2, .admit = &four, .admit_count = 1, .moves = moves, .move_count = 1 };
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    run_until_ended(c, 2);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_DONE);
    assert_int_equal(fake_cluster_stats(c).rescale.last_lost, 0);
    assert_int_equal(fake_cluster_stats(c).members, 3);
    assert_int_equal(fake_cluster_stats(c).rescale.size, 3);
    for (uint32_t i = 0; i < c->log_count; i++) /* always place 2, the lowest that is vacant */
        if (c->log[i].kind == PROTO_RECORD_ORDER && c->log[i].order.kind == PROTO_ORDER_MEMBERS)
            assert_int_equal(proto_get_u32(c->log[i].order.payload.data), 2);
    fake_cluster_free(c);
}

/* One that cannot open the job is sent away; the job does not fail with it. */
static void test_fails_while_it_comes(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);
    proto_rescale op = six_op(1);

    (void)state;
    c->members[2].deaf = true;
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    rounds(c, 5);
    c->members[2].generation = c->members[2].incarnation = 1;
    fake_cluster_say(c, &c->members[2], (proto_msg){ .failed = { .fatal = 1, .ended = 1 } }, PROTO_TYPE_failed);
    c->members[2].deaf = false;
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_ABORTED);
    rounds(c, 20);
    assert_int_equal(c->members[2].stopped, PROTO_STOP_DISMISSED + 1);
    assert_int_equal(fake_cluster_stats(c).generation, 1);
    assert_true(fake_cluster_stats(c).running);
    assert_false(fake_cluster_stats(c).failed);
    fake_cluster_free(c);
}

/* The same while the coordinator is away: it is not waited for, and the others go on where they were. */
static void test_lost_meanwhile(void **state)
{
    (void)state;
    for (int told = 0; told <= 1; told++) {
        fake_cluster *c = fake_cluster_new(6, 2, 3);
        proto_rescale op = six_op(1);

        c->members[2].deaf = true;
        assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
        rounds(c, 5);
        c->members[2].there = false;
        fake_cluster_crash(c);
        if (told == 1)
            proto_coord_gone(c->coord, c->now_us, 3);
        run_until_ended(c, 1);
        assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_ABORTED);
        assert_int_equal(fake_cluster_stats(c).generation, 1);
        assert_int_equal(fake_cluster_stats(c).members, 2);
        owners_are(c, six_before);
        fake_cluster_free(c);
    }
}

/* All who are wanted live on through a generation: it begins with the new owners. */
static void test_generation_new(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);
    proto_rescale op = six_op(1);

    (void)state;
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    run_until_ordered(c, PROTO_ORDER_OWNERS, 1);
    fake_cluster_say(c, &c->members[0], (proto_msg){ .failed = { .step = 3 } }, PROTO_TYPE_failed);
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_DONE);
    rounds(c, 20);
    assert_int_equal(fake_cluster_stats(c).generation, 2);
    assert_true(fake_cluster_stats(c).running);
    owners_are(c, six_after);
    assert_int_equal(c->members[1].stopped, PROTO_STOP_DISMISSED + 1);
    fake_cluster_free(c);
}

/* One of them is lost: the old owners, and as many as before. */
static void test_generation_old(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);
    proto_rescale op = six_op(1);

    (void)state;
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    run_until_ordered(c, PROTO_ORDER_OWNERS, 1);
    c->members[2].there = false;
    proto_coord_gone(c->coord, c->now_us, 3);
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_VOIDED);
    assert_int_equal(fake_cluster_stats(c).rescale.last_lost, 3);
    rounds(c, 20);
    assert_int_equal(fake_cluster_stats(c).generation, 2);
    owners_are(c, six_before);
    fake_cluster_free(c);
}

/* The newcomer is refused, and then a generation begins. admitted: it was a member by then; else a coordinator
 * that starts again finds only the rescale's beginning in its log. */
static void unfit(bool admitted, bool for_good, proto_rescale_end end)
{
    fake_cluster *c = fake_cluster_new(6, 2, 4);
    proto_rescale op = six_op(1);

    c->crash_at = admitted ? 0 : c->log_count + 1;
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    if (admitted)
        run_until_ordered(c, PROTO_ORDER_OWNERS, 1);
    while (!admitted && !fake_cluster_crashed(c))
        fake_cluster_round(c);
    if (!admitted)
        fake_cluster_crash(c);
    c->members[2].unfit = for_good;
    c->members[2].full = true;
    c->members[1].there = false;
    proto_coord_gone(c->coord, c->now_us, 2);
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, end);
    rounds(c, 20);
    assert_int_equal(fake_cluster_stats(c).generation, 2);
    assert_true(proto_coord_has_member(c->coord, 3) == (end == PROTO_RESCALE_DONE));
    fake_cluster_free(c);
}

/* Who is to come may have nothing any more: the old owners, as far as they are there. Once it is a member it
 * keeps what it has, unless it may not have that either. */
static void test_generation_unfit(void **state)
{
    (void)state;
    unfit(false, false, PROTO_RESCALE_VOIDED);
    unfit(false, true, PROTO_RESCALE_VOIDED);
    unfit(true, false, PROTO_RESCALE_DONE);
    unfit(true, true, PROTO_RESCALE_VOIDED);
}

/* Nobody is left who may have key groups: the job waits, and goes on when somebody may again. */
static void test_nobody_is_fit(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);

    (void)state;
    for (int i = 0; i < 3; i++)
        c->members[i].unfit = true;
    fake_cluster_say(c, &c->members[0], (proto_msg){ .failed = { .step = 3 } }, PROTO_TYPE_failed);
    rounds(c, 200);
    assert_int_equal(fake_cluster_stats(c).generation, 1);
    assert_false(fake_cluster_stats(c).running);
    assert_string_equal(fake_cluster_stats(c).waiting, "workers");
    c->members[0].unfit = c->members[2].unfit = false;
    rounds(c, 20);
    assert_true(fake_cluster_stats(c).running);
    assert_true(proto_coord_has_member(c->coord, 3) && !proto_coord_has_member(c->coord, 2));
    fake_cluster_free(c);
}

/* When members have begun to leave there is no way back by a loss either: the new size and the new owners,
 * as far as they are there. */
static void test_generation_while_leaving(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 3, 4);
    static const proto_move moves[] = { { 4, 1, 0 }, { 5, 2, 0 } };
    proto_rescale op = { .id = 1, .dismiss = &three, .dismiss_count = 1, .moves = moves,
                         .move_count = 2 };

    (void)state;
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    run_until_ordered(c, PROTO_ORDER_MEMBERS, 1);
    c->members[1].there = false;
    proto_coord_gone(c->coord, c->now_us, 2);
    run_until_ended(c, 1);
    rounds(c, 20);
    assert_int_equal(fake_cluster_stats(c).generation, 2);
    assert_int_equal(fake_cluster_stats(c).members, 2);
    assert_int_equal(fake_cluster_stats(c).rescale.size, 2);
    fake_cluster_free(c);
}

/* After a change of size generations have the new one. */
static void test_size_is_kept(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 4);
    static const proto_move move = { 2, 3, 0 };
    proto_rescale op = { .id = 1, .admit = &three, .admit_count = 1, .moves = &move, .move_count = 1 };

    (void)state;
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    run_until_ended(c, 1);
    fake_cluster_round(c);
    fake_cluster_crash(c);
    rounds(c, 20);
    assert_int_equal(fake_cluster_stats(c).rescale.size, 3);
    c->members[2].there = false;
    proto_coord_gone(c->coord, c->now_us, 3);
    rounds(c, 30);
    assert_int_equal(fake_cluster_stats(c).generation, 2);
    assert_int_equal(fake_cluster_stats(c).members, 3); /* worker 4 has taken its place */
    proto_coord_expect(c->coord, 9);       /* never more than there are to be */
    fake_cluster_say(c, &c->members[0], (proto_msg){ .failed = { .step = 3 } }, PROTO_TYPE_failed);
    rounds(c, 30);
    assert_int_equal(fake_cluster_stats(c).generation, 3);
    assert_int_equal(fake_cluster_stats(c).members, 3);
    fake_cluster_free(c);
}

/* ---- snapshots ---- */

static void ask_snapshot(fake_cluster *c, uint64_t number)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_command, .job = FAKE_CLUSTER_JOB, .sender = 5000 },
                      .command = { .number = number, .verb = PROTO_VERB_SNAPSHOT } };

    fake_cluster_hear(c, &msg);
}

/* A snapshot that was ordered before a member came is committed without it; nobody leaves while one is
 * being taken. */
static void test_snapshots(void **state)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);
    proto_rescale op = six_op(1);

    (void)state;
    c->members[0].deaf = true;
    ask_snapshot(c, 1);
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    rounds(c, 10);
    assert_int_equal(fake_cluster_stats(c).members, 3);
    assert_int_not_equal(fake_cluster_stats(c).attempt, 0);
    assert_int_equal(c->members[2].attempt, 0);
    c->members[0].deaf = false;
    while (c->commits == 0)
        fake_cluster_round(c);
    assert_int_equal(c->commit_members, 2);
    ask_snapshot(c, 2);
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_DONE);
    while (c->commits == 1)
        fake_cluster_round(c);
    owners_are(c, six_after);
    fake_cluster_free(c);
}

/* ---- a crash at every record ---- */

/* How many records an undisturbed rescale makes. */
static uint32_t records_of(bool abort, uint32_t *first)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);
    proto_rescale op = six_op(1);
    const char *why;
    uint32_t count;

    *first = c->log_count;
    begin(c, &op);
    while (abort && orders_of(c, PROTO_ORDER_OWNERS) == 0)
        fake_cluster_round(c);
    if (abort)
        proto_coord_rescale_abort(c->coord, c->now_us, &why);
    run_until_ended(c, 1);
    count = c->log_count;
    fake_cluster_free(c);
    return count;
}

static void crash_at(uint32_t record, bool abort)
{
    fake_cluster *c = fake_cluster_new(6, 2, 3);
    proto_rescale op = six_op(1);
    const char *why;
    bool asked = false;

    c->crash_at = record;
    begin(c, &op);
    for (int i = 0; i < 200 && !fake_cluster_crashed(c); i++) {
        if (abort && !asked && orders_of(c, PROTO_ORDER_OWNERS) > 0)
            asked = proto_coord_rescale_abort(c->coord, c->now_us, &why) == PROTO_ANSWER_OK;
        fake_cluster_round(c);
    }
    assert_true(fake_cluster_crashed(c));
    fake_cluster_crash(c);
    for (int i = 0; i < 400 && (fake_cluster_stats(c).rescale.id != 0 || !fake_cluster_stats(c).running); i++)
        fake_cluster_round(c);
    rounds(c, 20);
    assert_int_equal(fake_cluster_stats(c).rescale.id, 0);
    assert_int_equal(fake_cluster_stats(c).generation, 1); /* nobody went back to a snapshot */
    assert_int_equal(fake_cluster_stats(c).members, 2);
    if (fake_cluster_stats(c).rescale.last_end == PROTO_RESCALE_DONE) {
        owners_are(c, six_after);
        assert_int_equal(c->members[1].stopped, PROTO_STOP_DISMISSED + 1);
    } else {
        owners_are(c, six_before);
    }
    assert_true(fake_cluster_stats(c).rescale.last_end != PROTO_RESCALE_VOIDED);
    fake_cluster_free(c);
}

static void test_crashes(void **state)
{
    (void)state;
    for (int abort = 0; abort <= 1; abort++) {
        uint32_t first, count = records_of(abort == 1, &first);

        assert_true(count > first + 4);
        for (uint32_t record = first + 1; record <= count; record++)
            crash_at(record, abort == 1);
    }
}

/* ---- sizes ---- */

typedef struct crew {
    uint64_t ids[8], next;
    uint32_t count;
} crew;

static void crew_leave(fake_cluster *c, const uint64_t *ids, uint32_t count)
{
    fake_cluster_round(c);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(c->members[ids[i] - 1].stopped, PROTO_STOP_DISMISSED + 1);
        proto_coord_gone(c->coord, c->now_us, ids[i]);
    }
}

/* Key group g goes to member g modulo `wanted`, one in a wave. */
static void resize(fake_cluster *c, crew *m, uint64_t id, uint32_t wanted)
{
    uint32_t groups = c->plan.group_count - 1, old = m->count;
    uint64_t owners[100], admit[8];
    proto_move moves[100];
    proto_rescale op = { .id = id, .admit = admit, .moves = moves };

    for (; m->count < wanted; m->count++) {
        admit[op.admit_count++] = m->ids[m->count] = m->next;
        fake_cluster_add(c, m->next++);
    }
    op.dismiss = m->ids + wanted;
    op.dismiss_count = m->count - wanted;
    m->count = wanted;
    proto_coord_owners_get(c->coord, owners);
    for (uint32_t g = 0; g < groups; g++) {
        uint64_t to = m->ids[g % wanted];

        if (owners[g] != to)
            moves[op.move_count] = (proto_move){ g, to, op.move_count };
        op.move_count += owners[g] != to;
        owners[g] = to;
    }
    if (op.admit_count + op.dismiss_count + op.move_count == 0)
        return;
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    run_until_ended(c, id);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_DONE);
    assert_int_equal(fake_cluster_stats(c).members, wanted);
    owners_are(c, owners);
    crew_leave(c, op.dismiss, old > wanted ? old - wanted : 0);
}

static void test_all_sizes(void **state)
{
    fake_cluster *c = fake_cluster_new(24, 1, 1);
    crew m = { .ids = { 1 }, .next = 2, .count = 1 };
    uint64_t id = 0;

    (void)state;
    for (uint32_t from = 1; from <= 8; from++)
        for (uint32_t to = 1; to <= 8; to++) {
            resize(c, &m, ++id, from);
            resize(c, &m, ++id, to);
        }
    assert_int_equal(fake_cluster_stats(c).generation, 1);
    for (uint32_t i = 0; i < c->log_count; i++) /* places are used again: never more than eight */
        if (c->log[i].kind == PROTO_RECORD_ORDER && c->log[i].order.kind == PROTO_ORDER_MEMBERS)
            assert_true(proto_get_u32(c->log[i].order.payload.data) < 8);
    fake_cluster_free(c);
}

/* A thousand workers: the last one comes, and takes every thousandth key group and a bit. */
static void test_thousand(void **state)
{
    enum { GROUPS = PROTO_GROUPS_MAX - 1, MEMBERS = PROTO_MEMBERS_MAX };
    fake_cluster *c = fake_cluster_new(GROUPS, MEMBERS - 1, MEMBERS);
    static uint64_t wanted[GROUPS + 1];
    static proto_move moves[GROUPS];
    static const uint64_t last = MEMBERS;
    proto_rescale op = { .id = 1, .admit = &last, .admit_count = 1, .moves = moves };

    (void)state;
    proto_coord_owners_get(c->coord, wanted);
    for (uint32_t g = 0; g < GROUPS; g++)
        if (g % 4 == 0) { /* and one in four of all, so that orders are large */
            wanted[g] = g % 1000 == 0 ? last : 1 + (wanted[g] + 7) % (MEMBERS - 1);
            moves[op.move_count] = (proto_move){ g, wanted[g], op.move_count / 1000 };
            op.move_count++;
        }
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_DONE);
    assert_int_equal(fake_cluster_stats(c).members, MEMBERS);
    owners_are(c, wanted);
    fake_cluster_round(c);
    fake_cluster_crash(c); /* and all of it is read back */
    owners_are(c, wanted);
    fake_cluster_free(c);
}

/* A wave that is too large for one order takes effect at one step all the same. */
static void test_large_wave(void **state)
{
    enum { GROUPS = 20000 };
    fake_cluster *c = fake_cluster_new(GROUPS, 2, 2);
    static proto_move moves[GROUPS];
    static uint64_t wanted[GROUPS + 1];
    proto_rescale op = { .id = 1, .moves = moves, .move_count = GROUPS };
    uint64_t step = 0;

    (void)state;
    proto_coord_owners_get(c->coord, wanted);
    for (uint32_t g = 0; g < GROUPS; g++) {
        wanted[g] = 3 - wanted[g];
        moves[g] = (proto_move){ g, wanted[g], 0 };
    }
    assert_int_equal(begin(c, &op), PROTO_ANSWER_OK);
    run_until_ended(c, 1);
    owners_are(c, wanted);
    assert_int_equal(orders_of(c, PROTO_ORDER_OWNERS), 3);
    for (uint32_t i = 0; i < c->log_count; i++)
        if (c->log[i].kind == PROTO_RECORD_ORDER && c->log[i].order.kind == PROTO_ORDER_OWNERS) {
            assert_true(step == 0 || step == c->log[i].order.step);
            step = c->log[i].order.step;
        }
    fake_cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),       cmocka_unit_test(test_holds_nobody_back),
        cmocka_unit_test(test_waves),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sink_stays),     cmocka_unit_test(test_abort),
        cmocka_unit_test(test_no_way_back),    cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_lost_while_it_comes), cmocka_unit_test(test_lost_meanwhile),
        cmocka_unit_test(test_fails_while_it_comes), cmocka_unit_test(test_generation_new),
        cmocka_unit_test(test_generation_old), cmocka_unit_test(test_size_is_kept),
        cmocka_unit_test(test_generation_while_leaving),
        cmocka_unit_test(test_snapshots),      cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_all_sizes),      cmocka_unit_test(test_thousand),
        cmocka_unit_test(test_large_wave),
        cmocka_unit_test(test_generation_unfit), cmocka_unit_test(test_nobody_is_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
