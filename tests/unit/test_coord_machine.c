/* Which machines are refused, and with which sentence. */
#include "coordinator/coord_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static void test_whole(void **state)
{
    char why[COORD_MACHINE_TEXT] = "untouched";

    (void)state;
    assert_true(coord_machine_check(COORD_FEATURES_ALL, false, why, sizeof why));
    assert_string_equal(why, "untouched");
}

/* Each single feature matters, and is named. */
static void test_each(void **state)
{
    static const char *const names[] = { " avx;",  " avx2;", " bmi1;",  " bmi2;",   " f16c;",
                                         " fma;",  " lzcnt;", " movbe;", " sse4.2;", " popcnt;" };
    (void)state;

    assert_int_equal(COORD_FEATURES_ALL, (1 << (sizeof names / sizeof names[0])) - 1);
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        char why[COORD_MACHINE_TEXT];

        assert_false(coord_machine_check(COORD_FEATURES_ALL & ~(1u << i), false, why, sizeof why));
        assert_non_null(strstr(why, names[i]));
        assert_non_null(strstr(why, "x86-64-v3"));
    }
}

static void test_none(void **state)
{
    char why[COORD_MACHINE_TEXT];

    (void)state;
    assert_false(coord_machine_check(0, false, why, sizeof why));
    assert_non_null(strstr(why, "lacks avx avx2 bmi1 bmi2 f16c fma lzcnt movbe sse4.2 popcnt;"));
    assert_non_null(strstr(why, "10 to 150 times as long")); /* the whole sentence fits */
}

/* The mode is read from the processor: set it, ask, set it back. */
static void test_flushes(void **state)
{
    char why[COORD_MACHINE_TEXT];
    unsigned before = __builtin_ia32_stmxcsr();

    (void)state;
    assert_false(coord_machine_flushes());
    __builtin_ia32_ldmxcsr(before | 1u << 6);
    assert_true(coord_machine_flushes());
    __builtin_ia32_ldmxcsr(before | 1u << 15);
    assert_true(coord_machine_flushes());
    __builtin_ia32_ldmxcsr(before);
    assert_false(coord_machine_flushes());
    assert_false(coord_machine_check(COORD_FEATURES_ALL, true, why, sizeof why));
    assert_non_null(strstr(why, "denormal"));
}

/* The tests themselves were built for x86-64-v3, so this machine has it. */
static void test_here(void **state)
{
    char why[COORD_MACHINE_TEXT];
    double before = coord_machine_seconds();

    (void)state;
    assert_int_equal(coord_machine_features(), COORD_FEATURES_ALL);
    assert_true(coord_machine_fits(why, sizeof why));
    assert_true(coord_machine_threads() >= 1);
    assert_true(coord_machine_seconds() >= before);
}

/* What a shell has set may be raised by the process itself, up to what it may. */
static void test_descriptors(void **state)
{
    struct rlimit before, after;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    after = (struct rlimit){ before.rlim_max / 2, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &after), 0);
    assert_int_equal(coord_machine_descriptors(), before.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_int_equal(after.rlim_cur, before.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),   cmocka_unit_test(test_each), cmocka_unit_test(test_none),
        cmocka_unit_test(test_flushes), cmocka_unit_test(test_here),
        cmocka_unit_test(test_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
