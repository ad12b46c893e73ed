/* The tables of members and owners are folded into one record of the log: when nobody can ask for what goes, and so
 * that a coordinator that reads the shorter log goes on as if it had read all. A log stays as small as what holds. */
#include "coordinator/proto_log.h"
#include "tests/support/fake_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GROUPS 12u

static void rounds(fake_cluster *c, int count)
{
    for (int i = 0; i < count; i++)
        fake_cluster_round(c);
}

static uint32_t inputs_of(const fake_cluster *c)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < c->log_count; i++)
        count += c->log[i].kind == PROTO_RECORD_ORDER && c->log[i].order.kind == PROTO_ORDER_INPUT;
    return count;
}

static uint32_t records_of(const fake_cluster *c, proto_record_kind kind)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < c->log_count; i++)
        count += c->log[i].kind == kind;
    return count;
}

static const char *ask(fake_cluster *c, const proto_rescale *op)
{
    const char *why = NULL;
    proto_answer_status s = proto_coord_rescale(c->coord, c->now_us, op, &why);

    assert_true((s == PROTO_ANSWER_OK) == (why == NULL));
    return why;
}

static void run_until_ended(fake_cluster *c, uint64_t id)
{
    for (int i = 0; i < 2000 && fake_cluster_stats(c).rescale.last_id != id; i++)
        fake_cluster_round(c);
    assert_int_equal(fake_cluster_stats(c).rescale.last_id, id);
}

/* Move all key groups of one half to the other member, in two waves; `turn` says which way. */
static void move_half(fake_cluster *c, uint64_t id, int turn)
{
    proto_move moves[GROUPS / 2];
    proto_rescale op = { .id = id, .moves = moves, .move_count = GROUPS / 2 };

    for (uint32_t i = 0; i < GROUPS / 2; i++)
        moves[i] = (proto_move){ i, turn == 0 ? 2 : 1, i / (GROUPS / 4) };
    assert_null(ask(c, &op));
    run_until_ended(c, id);
}

static void owners_get(const fake_cluster *c, uint64_t owners[GROUPS + 1])
{
    proto_coord_owners_get(c->coord, owners);
}

/* ---- the record ---- */

/* One member comes, one goes, key groups move; then all of that is one record, and what it frees goes. */
static void test_folded(void **state)
{
    static const uint64_t three = 3, two = 2;
    fake_cluster *c = fake_cluster_new(GROUPS, 2, 3);
    proto_move moves[GROUPS / 2];
    proto_rescale op = { .id = 1, .admit = &three, .admit_count = 1, .dismiss = &two, .dismiss_count = 1,
                         .moves = moves, .move_count = GROUPS / 2 };
    uint64_t before[GROUPS + 1], after[GROUPS + 1], orders;
    proto_coord_stats stats;

    (void)state;
    for (uint32_t i = 0; i < GROUPS / 2; i++)
        moves[i] = (proto_move){ GROUPS / 2 + i, 3, i };
    assert_null(ask(c, &op));
    run_until_ended(c, 1);
    assert_int_equal(records_of(c, PROTO_RECORD_TABLES), 0); /* its last change is not a window behind */
    rounds(c, 20);
    assert_int_equal(records_of(c, PROTO_RECORD_TABLES), 1);
    rounds(c, 50);
    assert_int_equal(records_of(c, PROTO_RECORD_TABLES), 1); /* nothing has changed since */
    owners_get(c, before);
    orders = fake_cluster_stats(c).orders;

    fake_cluster_crash_shorter(c);
    assert_int_equal(records_of(c, PROTO_RECORD_RESCALE), 0);
    assert_int_equal(records_of(c, PROTO_RECORD_ORDER), 0);
    rounds(c, 100);
    stats = fake_cluster_stats(c);
    assert_true(stats.running);
    assert_int_equal(stats.generation, 1);
    assert_int_equal(stats.members, 2);
    assert_int_equal(stats.orders, orders);
    assert_int_equal(stats.rescale.last_id, 1);
    assert_int_equal(stats.rescale.last_end, PROTO_RESCALE_DONE);
    assert_int_equal(stats.rescale.next_id, 2);
    assert_true(proto_coord_has_member(c->coord, 3));
    assert_false(proto_coord_has_member(c->coord, 2));
    owners_get(c, after);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(c->members[0].installs, 1); /* nobody has begun anew */
    assert_int_equal(c->members[2].installs, 1);
    fake_cluster_free(c);
}

/* Not before the member that is behind has come a window further than the change. */
static void test_not_before_all_know(void **state)
{
    fake_cluster *c = fake_cluster_new(GROUPS, 2, 4);
    uint32_t folds;

    (void)state;
    for (uint64_t id = 1; id <= 3; id++)
        move_half(c, id, (int)(id % 2));
    folds = records_of(c, PROTO_RECORD_TABLES);
    c->members[1].deaf = true;
    rounds(c, 8);
    assert_int_equal(records_of(c, PROTO_RECORD_TABLES), folds);
    c->members[1].deaf = false;
    rounds(c, 40);
    assert_int_equal(records_of(c, PROTO_RECORD_TABLES), folds + 1);
    fake_cluster_free(c);
}

/* A coordinator may end at any record, with a log of any length, and whatever was folded. */
static void test_crash_anywhere(void **state)
{
    (void)state;
    for (uint32_t at = 4; at < 44; at++) {
        fake_cluster *c = fake_cluster_new(GROUPS, 2, 2);
        uint64_t id = 0, owners[GROUPS + 1];

        c->crash_at = at;
        for (int i = 0; i < 1500 && id < 6; i++) {
            proto_coord_stats s = fake_cluster_stats(c);
            proto_move moves[2] = { { 1, s.rescale.next_id % 2 + 1, 0 }, { 2, s.rescale.next_id % 2 + 1, 1 } };
            proto_rescale op = { .id = s.rescale.next_id, .moves = moves, .move_count = 2 };
            const char *why;

            if (fake_cluster_crashed(c)) {
                fake_cluster_crash_shorter(c);
                continue;
            }
            id = s.rescale.last_id;
            if (s.running && s.rescale.id == 0)
                (void)proto_coord_rescale(c->coord, c->now_us, &op, &why);
            fake_cluster_round(c);
        }
        assert_true(id >= 6);
        assert_int_equal(fake_cluster_stats(c).generation, 1);
        owners_get(c, owners);
        assert_int_equal(owners[0], 1);
        assert_int_equal(owners[GROUPS - 1], 2);
        fake_cluster_free(c);
    }
}

/* ---- how large a log gets ---- */

static uint64_t log_cost(const fake_cluster *c)
{
    uint64_t cost = 0;

    for (uint32_t i = 0; i < c->log_count; i++) /* the others have a place of their own in a real one */
        if (c->log[i].kind != PROTO_RECORD_CEILING && c->log[i].kind != PROTO_RECORD_INCARNATION)
            cost += proto_log_cost(&c->log[i]);
    return cost;
}

static void test_log_stays_small(void **state)
{
    fake_cluster *c = fake_cluster_new(GROUPS, 2, 2);
    uint64_t most = 0;

    (void)state;
    for (uint64_t id = 1; id <= 300; id++) {
        move_half(c, id, (int)(id % 2));
        rounds(c, 20);
        if (id % 10 != 0)
            continue;
        fake_cluster_crash_shorter(c);
        most = log_cost(c) > most ? log_cost(c) : most;
        rounds(c, 40);
        assert_true(fake_cluster_stats(c).running);
    }
    assert_true(most < 3000); /* a generation, tables, and less than as much again, and one rescale */
    assert_int_equal(fake_cluster_stats(c).rescale.last_id, 300);
    assert_int_equal(fake_cluster_stats(c).generation, 1);
    fake_cluster_free(c);
}

/* The largest job there can be: some 35 such changes once filled a log of 16 MiB. */
static void test_large_job(void **state)
{
    enum { LARGE = PROTO_GROUPS_MAX - 1, WAVES = 32 };
    fake_cluster *c = fake_cluster_new(LARGE, 2, 2);
    proto_move *moves = calloc(LARGE, sizeof *moves);
    proto_rescale op = { .moves = moves, .move_count = LARGE };
    uint64_t most = 0;

    (void)state;
    assert_non_null(moves);
    for (uint64_t id = 1; id <= 50; id++) {
        for (uint32_t g = 0; g < LARGE; g++)
            moves[g] = (proto_move){ g, id % 2 + 1, g / (LARGE / WAVES + 1) };
        op.id = id;
        assert_null(ask(c, &op));
        run_until_ended(c, id);
        rounds(c, 10);
        if (id % 5 != 0)
            continue;
        fake_cluster_crash_shorter(c);
        most = log_cost(c) > most ? log_cost(c) : most;
        rounds(c, 40);
        assert_true(fake_cluster_stats(c).running);
    }
    assert_in_range(most, 1, 1u << 20);
    free(moves);
    fake_cluster_free(c);
}

/* One change, which is cheaper than a fold, goes all the same when many barriers have passed it: they could not be
 * left out around it for ever. */
static void test_old_change(void **state)
{
    fake_cluster *c = fake_cluster_new(400, 2, 2);
    proto_move move = { 1, 2, 0 };
    proto_rescale op = { .id = 1, .moves = &move, .move_count = 1 };

    (void)state;
    for (uint32_t g = 0; g < 200; g += 2) { /* so that a fold is dear */
        proto_move odd = { g, 2, 0 };

        op = (proto_rescale){ .id = g + 1, .moves = &odd, .move_count = 1 };
        assert_null(ask(c, &op));
        run_until_ended(c, g + 1);
    }
    rounds(c, 30);
    fake_cluster_crash_shorter(c);
    rounds(c, 60);
    op = (proto_rescale){ .id = 1000, .moves = &move, .move_count = 1 };
    assert_null(ask(c, &op));
    run_until_ended(c, 1000);
    rounds(c, 30);
    fake_cluster_crash_shorter(c);
    rounds(c, 30);
    assert_int_equal(records_of(c, PROTO_RECORD_RESCALE), 2); /* its begin and its end are not worth it yet */
    for (int i = 0; i < 40000 && records_of(c, PROTO_RECORD_RESCALE) > 0; i++) {
        proto_msg msg = { .command = { .number = (uint64_t)i + 1, .verb = PROTO_VERB_SNAPSHOT } };

        msg.header = (proto_header){ .type = PROTO_TYPE_command, .job = FAKE_CLUSTER_JOB, .sender = 5000 };
        fake_cluster_hear(c, &msg);
        fake_cluster_round(c);
        if (i % 10000 == 9999)
            fake_cluster_crash_shorter(c);
    }
    assert_int_equal(records_of(c, PROTO_RECORD_RESCALE), 0);
    fake_cluster_free(c);
}

/* ---- a log that has no room ---- */

static void test_no_room(void **state)
{
    fake_cluster *c = fake_cluster_new(GROUPS, 2, 2);
    proto_move moves[3] = { { 0, 2, 0 }, { 1, 2, 1 }, { 2, 2, 2 } };
    proto_rescale op = { .id = 1, .moves = moves, .move_count = 3 };
    uint64_t need = 1, before;
    const char *why;

    (void)state;
    proto_coord_room(c->coord, PROTO_ROOM_ALL, 100);
    why = ask(c, &op);
    assert_non_null(why);
    assert_non_null(strstr(why, "the history has no room for it"));
    while (need < 100000) { /* the least with which it begins */
        proto_coord_room(c->coord, PROTO_ROOM_ALL, need);
        if (proto_coord_rescale(c->coord, c->now_us, &op, &why) == PROTO_ANSWER_OK)
            break;
        need++;
    }
    assert_in_range(need, 500, 10000);
    before = log_cost(c);
    rounds(c, 2);
    assert_int_equal(fake_cluster_stats(c).rescale.waves_ordered, 3);
    assert_int_equal(proto_coord_rescale_abort(c->coord, c->now_us, &why), PROTO_ANSWER_OK);
    run_until_ended(c, 1);
    assert_int_equal(fake_cluster_stats(c).rescale.last_end, PROTO_RESCALE_ABORTED);
    assert_true(log_cost(c) - before <= need); /* also with its abort it has not taken more */
    fake_cluster_free(c);
}

/* Inputs do not take the room of the rescale that runs. */
static void test_inputs_leave_room(void **state)
{
    fake_cluster *c = fake_cluster_new(GROUPS, 2, 2);
    proto_move moves[3] = { { 0, 2, 0 }, { 1, 2, 1 }, { 2, 2, 2 } };
    proto_rescale op = { .id = 1, .moves = moves, .move_count = 3 };
    uint8_t bytes[100] = { 0 };
    proto_msg msg = { .inject = { .number = 1, .payload = { bytes, sizeof bytes } } };

    (void)state;
    msg.header = (proto_header){ .type = PROTO_TYPE_inject, .job = FAKE_CLUSTER_JOB, .sender = 5000 };
    proto_coord_room(c->coord, PROTO_ROOM_ALL, 100000);
    assert_null(ask(c, &op));
    proto_coord_room(c->coord, PROTO_ROOM_ALL, 300);
    fake_cluster_hear(c, &msg);
    rounds(c, 1);
    assert_int_equal(inputs_of(c), 0);
    run_until_ended(c, 1);
    msg.inject.number = 2;
    fake_cluster_hear(c, &msg);
    rounds(c, 1);
    assert_int_equal(inputs_of(c), 1);
    fake_cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folded),          cmocka_unit_test(test_not_before_all_know),
        cmocka_unit_test(test_crash_anywhere),  cmocka_unit_test(test_log_stays_small),
        cmocka_unit_test(test_large_job),       cmocka_unit_test(test_old_change),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_inputs_leave_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
