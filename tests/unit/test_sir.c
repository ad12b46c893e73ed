/* An epidemic's step over columns against the sentences that say what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "kernels/kern_sir.h"
#include "tests/support/ulp.h"

enum { ROWS_MAX = 300, GUARD = 80, MARK = 0xaa };

typedef struct agents {
    uint8_t ill[ROWS_MAX + GUARD], immune[ROWS_MAX + GUARD], bytes[ROWS_MAX + GUARD];
    uint8_t next_ill[ROWS_MAX + GUARD], next_immune[ROWS_MAX + GUARD];
    uint32_t open[ROWS_MAX + GUARD];
} agents;

/* What happens to one, in the words of the header. */
static void check_agent(const agents *a, uint32_t i, uint8_t infect, uint8_t recover, uint32_t *open)
{
    int ill = a->ill[i] != 0, immune = a->immune[i] != 0, limit = ill ? recover : infect;

    if ((ill || !immune) && a->bytes[i] < limit) {
        assert_int_equal(a->next_ill[i], !ill);
        assert_int_equal(a->next_immune[i], ill || immune);
    } else {
        assert_int_equal(a->next_ill[i], ill);
        assert_int_equal(a->next_immune[i], immune);
    }
    if ((ill || !immune) && a->bytes[i] == limit)
        assert_int_equal(a->open[(*open)++], 1000 + i);
}

/* Rows [begin, begin + count); nothing beside them is written. */
static void check(agents *a, uint32_t begin, uint32_t count, uint8_t infect, uint8_t recover)
{
    const kern_sir_columns c = { a->ill + begin, a->immune + begin, a->bytes + begin, a->next_ill + begin,
                                 a->next_immune + begin };
    uint32_t found, open = 0;

    memset(a->next_ill, MARK, sizeof a->next_ill);
    memset(a->next_immune, MARK, sizeof a->next_immune);
    memset(a->open, MARK, sizeof a->open);
    found = kern_sir_change(&c, count, infect, recover, 1000 + begin, a->open);
    for (uint32_t i = 0; i < ROWS_MAX + GUARD; i++) {
        if (i >= begin && i < begin + count) {
            check_agent(a, i, infect, recover, &open);
            continue;
        }
        assert_int_equal(a->next_ill[i], MARK);
        assert_int_equal(a->next_immune[i], MARK);
    }
    assert_int_equal(found, open);
    for (uint32_t i = count + 1; i < ROWS_MAX + GUARD; i++)
        assert_int_equal(a->open[i], MARK * 0x01010101u);
}

/* Any true value, any mix of states, limits from never to always, all lengths at any alignment. */
static void test_as_the_words(void **state)
{
    static const uint8_t limits[] = { 0, 1, 2, 100, 254, 255 };
    agents a;
    uint64_t lot = 1;

    (void)state;
    for (uint32_t infect = 0; infect < 6; infect++)
        for (uint32_t count = 0; count <= ROWS_MAX; count++) {
            uint8_t recover = limits[ulp_next(&lot) % 6];

            for (uint32_t i = 0; i < ROWS_MAX + GUARD; i++) {
                a.ill[i] = ulp_next(&lot) % 2 == 0 ? (uint8_t)(ulp_next(&lot) >> 20) : 0;
                a.immune[i] = ulp_next(&lot) % 2 == 0 ? (uint8_t)(ulp_next(&lot) >> 20) : 0;
                a.bytes[i] = limits[ulp_next(&lot) % 6];
            }
            check(&a, count % 67, count, limits[infect], recover);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_as_the_words) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
