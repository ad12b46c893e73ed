/* Lists of marked rows against the loop that says what they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "kernels/kern_pick.h"
#include "tests/support/ulp.h"

enum { MARKS_MAX = 300, GUARD = 8 };

static void check(const uint8_t *marks, uint32_t count)
{
    uint32_t rows[MARKS_MAX + GUARD], found = 0;

    memset(rows, 0xaa, sizeof rows);
    found = kern_pick(marks, count, 1000, rows);
    for (uint32_t i = 0, at = 0; i <= count; i++) {
        if (i == count)
            assert_int_equal(at, found);
        else if (marks[i] != 0)
            assert_int_equal(rows[at++], 1000 + i);
    }
    for (uint32_t i = count + 1; i < count + GUARD; i++)
        assert_int_equal(rows[i], 0xaaaaaaaa);
}

/* From no mark to all of them, of any value but 0, at any alignment and with marks behind the end. */
static void test_as_the_loop(void **state)
{
    static const uint64_t one_in[] = { 1, 2, 30, 200, UINT64_MAX };
    uint8_t marks[MARKS_MAX + 2];
    uint64_t lot = 1;

    (void)state;
    for (uint32_t k = 0; k < 5; k++)
        for (uint32_t count = 0; count <= MARKS_MAX; count++) {
            for (uint32_t i = 0; i < sizeof marks; i++)
                marks[i] = ulp_next(&lot) % one_in[k] == 0 ? (uint8_t)(1 + ulp_next(&lot) % 255) : 0;
            check(marks + count % 2, count);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_as_the_loop) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
