/* The owner table against a plain list of changes, and the fewest moves when it is spread anew. */
#include "coordinator/proto_owner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_versions(void **state)
{
    proto_owners owners;

    (void)state;
    proto_owners_init(&owners, 3);
    proto_owners_set(&owners, 1, 7);
    assert_int_equal(proto_owner_at(&owners, 1, 0), 7);
    assert_int_equal(proto_owners_newest(&owners, 1), 0);
    proto_owners_change(&owners, 1, 10, 8);
    proto_owners_change(&owners, 1, 20, 9);
    assert_int_equal(proto_owner_at(&owners, 1, 9), 7);
    assert_int_equal(proto_owner_at(&owners, 1, 10), 8);
    assert_int_equal(proto_owner_at(&owners, 1, 19), 8);
    assert_int_equal(proto_owner_at(&owners, 1, UINT64_MAX), 9);
    proto_owners_change(&owners, 1, 20, 5); /* the same step: replaced */
    assert_int_equal(proto_owner_at(&owners, 1, 20), 5);
    assert_int_equal(proto_owner_at(&owners, 1, 19), 8);
    assert_int_equal(proto_owner_at(&owners, 0, 100), 0);
    assert_true(proto_owner_from(&owners, 1, 9, 7)); /* 7 to step 9, 8 to 19, then 5 */
    assert_false(proto_owner_from(&owners, 1, 10, 7));
    assert_true(proto_owner_from(&owners, 1, 0, 5));
    assert_true(proto_owner_from(&owners, 1, 19, 8));
    assert_false(proto_owner_from(&owners, 1, 20, 8));
    assert_false(proto_owner_from(&owners, 1, 0, 9));
    for (uint64_t step = 30; step < 60; step++) /* the oldest is forgotten, the newest are right */
        proto_owners_change(&owners, 1, step, (uint32_t)step);
    for (uint64_t step = 60 - PROTO_OWNER_VERSIONS; step < 60; step++)
        assert_int_equal(proto_owner_at(&owners, 1, step), step);
    proto_owners_fini(&owners);
}

/* Shares differ by at most one, and what moves is what must: a group stays unless its owner is gone
 * or holds more than its share. */
/* Some may not be given more: they keep what they have as far as it is no more than a share, and get nothing; the others
 * have what is left, evenly. If nobody may, all stays. */
static void test_spread_takers(void **state)
{
    uint32_t before[97], after[97];

    (void)state;
    srand(6);
    for (int round = 0; round < 500; round++) {
        uint32_t groups = 1 + (uint32_t)rand() % 97, members = 1 + (uint32_t)rand() % 8, takers = 0;
        uint32_t had[8] = { 0 }, count[8] = { 0 }, low = UINT32_MAX, high = 0, share = (groups + members - 1) / members;
        bool takes[8];

        for (uint32_t m = 0; m < members; m++)
            takers += takes[m] = rand() % 2 == 0;
        for (uint32_t g = 0; g < groups; g++) {
            before[g] = (uint32_t)rand() % (takers == 0 ? members : members + 2);
            if (before[g] >= members)
                before[g] = PROTO_NONE;
            else
                had[before[g]]++;
        }
        proto_owners_spread(after, before, groups, members, takes);
        if (takers == 0)
            assert_memory_equal(after, before, groups * sizeof *after);
        for (uint32_t g = 0; g < groups; g++) {
            assert_true(after[g] < members);
            assert_true(takes[after[g]] || after[g] == before[g]);
            count[after[g]]++;
        }
        for (uint32_t m = 0; m < members && takers > 0; m++) {
            if (!takes[m])
                assert_int_equal(count[m], had[m] < share ? had[m] : share);
            low = takes[m] && count[m] < low ? count[m] : low;
            high = takes[m] && count[m] > high ? count[m] : high;
        }
        assert_true(takers == 0 || high - low <= 1);
    }
}

static void test_spread(void **state)
{
    uint32_t before[97], after[97], count[8], kept, most;

    (void)state;
    srand(5);
    for (int round = 0; round < 500; round++) {
        uint32_t groups = 1 + (uint32_t)rand() % 97, members = 1 + (uint32_t)rand() % 8;
        uint32_t had[8] = { 0 }, low = UINT32_MAX, high = 0, more = groups % members;

        for (uint32_t g = 0; g < groups; g++) {
            before[g] = (uint32_t)rand() % 10;
            if (before[g] >= members)
                before[g] = PROTO_NONE;
            else
                had[before[g]]++;
        }
        proto_owners_spread(after, before, groups, members, NULL);
        for (uint32_t m = 0; m < members; m++)
            count[m] = 0;
        kept = most = 0;
        for (uint32_t g = 0; g < groups; g++) {
            assert_true(after[g] < members);
            count[after[g]]++;
            kept += after[g] == before[g];
        }
        for (uint32_t m = 0; m < members; m++) {
            uint32_t share = groups / members;

            low = count[m] < low ? count[m] : low;
            high = count[m] > high ? count[m] : high;
            most += had[m] <= share ? had[m] : share;
            if (had[m] > share && more > 0) {
                most++;
                more--;
            }
        }
        assert_true(high - low <= 1);
        assert_int_equal(kept, most);
    }
}

/* Pieces of the order, nobody's heavier or lighter than its share but for a group. */
static void test_lay(void **state)
{
    uint32_t order[97], after[97];
    uint64_t weights[97];

    (void)state;
    srand(6);
    for (int round = 0; round < 500; round++) {
        uint32_t groups = 1 + (uint32_t)rand() % 97, members = 1 + (uint32_t)rand() % 8, last = 0;
        uint64_t had[8] = { 0 }, all = 0, most = 0;

        for (uint32_t g = 0; g < groups; g++) {
            uint32_t other = (uint32_t)rand() % (g + 1);

            order[g] = order[other];
            order[other] = g;
            weights[g] = rand() % 3 == 0 ? 0 : (uint64_t)rand() % 1000;
            weights[0] += g == 0;
            all += weights[g];
            most = weights[g] > most ? weights[g] : most;
        }
        proto_owners_lay(after, order, weights, groups, members);
        for (uint32_t i = 0; i < groups; i++) {
            assert_true(after[order[i]] >= last && after[order[i]] < members);
            last = after[order[i]];
            had[last] += weights[order[i]];
        }
        for (uint32_t m = 0; m < members; m++)
            assert_true(had[m] * members <= all + most * members && (had[m] + most) * members >= all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_spread_takers),
        cmocka_unit_test(test_lay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
