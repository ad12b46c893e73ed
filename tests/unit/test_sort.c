/* The sort, against insertion: order, stability, and the shapes that a merge of runs may stumble over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "kernels/kern_sort.h"

enum { COUNT_MAX = 300 };

static uint64_t random_state = 1;

static uint32_t roll(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static void check(const kern_pair *in, uint32_t count)
{
    static kern_pair expected[COUNT_MAX], sorted[COUNT_MAX], scratch[COUNT_MAX];

    memcpy(sorted, in, count * sizeof *in);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        for (; at > 0 && expected[at - 1].key > in[i].key; at--)
            expected[at] = expected[at - 1];
        expected[at] = in[i];
    }
    kern_sort_pairs(sorted, scratch, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(sorted[i].key, expected[i].key);
        assert_int_equal(sorted[i].value, expected[i].value);
    }
}

/* Few keys, so that many are equal; then all of them. */
static void test_random(void **state)
{
    kern_pair pairs[COUNT_MAX];

    (void)state;
    for (uint32_t round = 0; round < 3000; round++) {
        uint32_t count = roll(round % 7 == 0 ? COUNT_MAX : 20), keys = 1 + roll(50);
        for (uint32_t i = 0; i < count; i++)
            pairs[i] = (kern_pair){ .key = round % 2 == 0 ? roll(keys) : random_state + roll(9),
                                    .value = i };
        check(pairs, count);
    }
}

static void test_shapes(void **state)
{
    kern_pair up[COUNT_MAX], down[COUNT_MAX], same[COUNT_MAX], saw[COUNT_MAX];

    (void)state;
    for (uint32_t i = 0; i < COUNT_MAX; i++) {
        up[i] = (kern_pair){ .key = i, .value = i };
        down[i] = (kern_pair){ .key = UINT64_MAX - i, .value = i };
        same[i] = (kern_pair){ .key = 7, .value = i };
        saw[i] = (kern_pair){ .key = i % 17, .value = i };
    }
    for (uint32_t count = 0; count <= COUNT_MAX; count++) {
        check(up, count);
        check(down, count);
        check(same, count);
        check(saw, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_random), cmocka_unit_test(test_shapes) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
