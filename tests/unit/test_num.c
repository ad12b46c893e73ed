/* kern_num: the corners that C leaves undefined or to the machine, against tables and against wider
 * arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kernels/kern_num.h"
#include "tests/support/ulp.h"

static void same(double got, double want)
{
    if (kern_f64_bits(got) != kern_f64_bits(want))
        fail_msg("got %a, want %a", got, want);
}

static void test_min_max(void **state)
{
    const double inf = 1.0 / 0.0, bad = kern_f64_from_bits(UINT64_C(0xfff0000000000001));
    const double order[] = { -inf, -2.5, -0x1p-149, -0.0, 0.0, 0x1p-149, 1.0, 2.5, inf };
    const int count = (int)(sizeof order / sizeof *order);

    (void)state;
    for (int a = 0; a < count; a++) {
        for (int b = 0; b < count; b++) {
            float x = (float)order[a], y = (float)order[b];

            same(kern_min(order[a], order[b]), order[a < b ? a : b]);
            same(kern_max(order[a], order[b]), order[a > b ? a : b]);
            same((double)kern_minf(x, y), order[a < b ? a : b]);
            same((double)kern_maxf(x, y), order[a > b ? a : b]);
        }
        same(kern_min(order[a], bad), kern_nan());
        same(kern_min(bad, order[a]), kern_nan());
        same(kern_max(order[a], bad), kern_nan());
        same(kern_max(bad, order[a]), kern_nan());
        assert_int_equal(kern_f32_bits(kern_minf((float)order[a], (float)bad)), 0x7fc00000);
        assert_int_equal(kern_f32_bits(kern_maxf((float)bad, (float)order[a])), 0x7fc00000);
    }
    assert_true(kern_f64_bits(kern_canonical(bad)) == UINT64_C(0x7ff8000000000000));
    same(kern_canonical(-0.0), -0.0);
}

/* The C library's floor is exact, so it is an oracle; ours differs in NaN only. */
static void test_floor(void **state)
{
    const double ends[] = { 0.0,
                            -0.0,
                            0.5,
                            -0.5,
                            1.0,
                            -1.0,
                            1.5,
                            -1.5,
                            2.5,
                            -2.5,
                            0x1p-1074,
                            -0x1p-1074,
                            0x1.fffffffffffffp51,
                            -0x1.fffffffffffffp51,
                            0x1p52,
                            -0x1p52,
                            0x1.fffffffffffffp-1,
                            -0x1.fffffffffffffp-1,
                            1.0 / 0.0,
                            -1.0 / 0.0,
                            0x1.0000000000001p51,
                            -0x1.0000000000001p51 };
    uint64_t stream = 1;

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        same(kern_floor(ends[i]), floor(ends[i]));
        same((double)kern_floorf((float)ends[i]), (double)floorf((float)ends[i]));
    }
    for (int i = 0; i < 1000000; i++) {
        uint64_t u = ulp_next(&stream);
        double x = kern_f64_from_bits((u & UINT64_C(0x800fffffffffffff)) | (1000 + u % 80) << 52);
        float y =
            kern_f32_from_bits((uint32_t)(u >> 32 & 0x807fffff) | (uint32_t)(110 + u % 60) << 23);

        same(kern_floor(x), floor(x));
        same((double)kern_floorf(y), (double)floorf(y));
    }
    same(kern_floor(-kern_nan()), kern_nan());
    assert_int_equal(kern_f32_bits(kern_floorf(-kern_nanf())), 0x7fc00000);
}

/* Each type over the same list: want[] and whether it is out of range. */
static void test_to_signed(void **state)
{
    static const struct {
        double x;
        int32_t i32;
        int bad32;
        int64_t i64;
        int bad64;
    } rows[] = {
        { 0.0, 0, 0, 0, 0 },
        { -0.9, 0, 0, 0, 0 },
        { 7.9, 7, 0, 7, 0 },
        { -7.9, -7, 0, -7, 0 },
        { 2147483647.9, INT32_MAX, 0, 2147483647, 0 },
        { 2147483648.0, INT32_MAX, 1, INT64_C(2147483648), 0 },
        { -2147483648.9, INT32_MIN, 0, INT64_C(-2147483648), 0 },
        { -2147483649.0, INT32_MIN, 1, INT64_C(-2147483649), 0 },
        { 0x1.fffffffffffffp62, INT32_MAX, 1, INT64_C(0x7ffffffffffffc00), 0 },
        { 0x1p63, INT32_MAX, 1, INT64_MAX, 1 },
        { -0x1p63, INT32_MIN, 1, INT64_MIN, 0 },
        { -0x1.0000000000001p63, INT32_MIN, 1, INT64_MIN, 1 },
        { 1e300, INT32_MAX, 1, INT64_MAX, 1 },
        { -1e300, INT32_MIN, 1, INT64_MIN, 1 },
    };
    uint32_t bad = 0;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t bad32 = 0, bad64 = 0;

        assert_int_equal(kern_to_i32(rows[i].x, &bad32), rows[i].i32);
        assert_true(kern_to_i64(rows[i].x, &bad64) == rows[i].i64);
        assert_int_equal(bad32, rows[i].bad32);
        assert_int_equal(bad64, rows[i].bad64);
    }
    assert_int_equal(kern_to_i32(kern_nan(), &bad), 0);
    assert_int_equal(kern_to_i32(1.0, &bad), 1);
    assert_int_equal(bad, 1);
    bad = 0;
    assert_true(kern_to_i64(-kern_nan(), &bad) == 0);
    assert_int_equal(bad, 1);
    bad = 4;
    assert_true(kern_to_i64(-1.0 / 0.0, &bad) == INT64_MIN);
    assert_int_equal(bad, 5);
}

static void test_to_unsigned(void **state)
{
    static const struct {
        double x;
        uint64_t u64;
        int bad8, bad32, bad64;
    } rows[] = {
        { 0.0, 0, 0, 0, 0 },
        { -0.0, 0, 0, 0, 0 },
        { -0.999, 0, 0, 0, 0 },
        { -1.0, 0, 1, 1, 1 },
        { -1e300, 0, 1, 1, 1 },
        { 1.99, 1, 0, 0, 0 },
        { 255.9, 255, 0, 0, 0 },
        { 256.0, 256, 1, 0, 0 },
        { 4294967295.9, UINT32_MAX, 1, 0, 0 },
        { 4294967296.0, UINT64_C(4294967296), 1, 1, 0 },
        { 0x1p63, UINT64_C(1) << 63, 1, 1, 0 },
        { 0x1.fffffffffffffp63, UINT64_C(0xfffffffffffff800), 1, 1, 0 },
        { 0x1p64, UINT64_MAX, 1, 1, 1 },
        { 1.0 / 0.0, UINT64_MAX, 1, 1, 1 },
    };
    uint32_t bad = 0;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t bad8 = 0, bad32 = 0, bad64 = 0;
        uint64_t want = rows[i].u64;

        assert_int_equal(kern_to_u8(rows[i].x, &bad8), want > UINT8_MAX ? UINT8_MAX : want);
        assert_int_equal(kern_to_u32(rows[i].x, &bad32), want > UINT32_MAX ? UINT32_MAX : want);
        assert_true(kern_to_u64(rows[i].x, &bad64) == want);
        assert_int_equal(bad8, rows[i].bad8);
        assert_int_equal(bad32, rows[i].bad32);
        assert_int_equal(bad64, rows[i].bad64);
    }
    assert_int_equal(kern_to_u8(kern_nan(), &bad), 0);
    assert_int_equal(bad, 1);
    bad = 0;
    assert_int_equal(kern_to_u32(kern_nan(), &bad), 0);
    assert_int_equal(bad, 1);
    bad = 0;
    assert_true(kern_to_u64(kern_nan(), &bad) == 0);
    assert_int_equal(bad, 1);
}

/* 32-bit division against 64-bit arithmetic, which cannot overflow; 64-bit against 32-bit values
 * and the stated corners. */
static void test_division(void **state)
{
    static const int32_t ends[] = { 0, 1, -1, 2, -2, 7, -7, INT32_MAX, INT32_MIN, INT32_MIN + 1 };
    const int count = (int)(sizeof ends / sizeof *ends);

    (void)state;
    for (int i = 0; i < count * count; i++) {
        int32_t a = ends[i / count], b = ends[i % count];
        uint32_t ua = (uint32_t)a, ub = (uint32_t)b;
        int64_t quotient = b == 0 ? 0 : (int64_t)a / b;
        int64_t remainder = b == 0 ? a : (int64_t)a % b;

        assert_int_equal(kern_div_i32(a, b), (int32_t)quotient);
        assert_int_equal(kern_rem_i32(a, b), (int32_t)remainder);
        assert_true(kern_div_i64(a, b) == quotient);
        assert_true(kern_rem_i64(a, b) == remainder);
        assert_true(kern_div_u32(ua, ub) == (ub == 0 ? 0 : (uint64_t)ua / ub));
        assert_true(kern_rem_u32(ua, ub) == (ub == 0 ? ua : (uint64_t)ua % ub));
        assert_true(kern_div_u64(ua, ub) == (ub == 0 ? 0 : (uint64_t)ua / ub));
        assert_true(kern_rem_u64(ua, ub) == (ub == 0 ? ua : (uint64_t)ua % ub));
    }
    assert_true(kern_div_i64(INT64_MIN, -1) == INT64_MIN);
    assert_true(kern_rem_i64(INT64_MIN, -1) == 0);
    assert_true(kern_div_i64(INT64_MIN, 0) == 0);
    assert_true(kern_rem_i64(INT64_MIN, 0) == INT64_MIN);
    assert_true(kern_div_u64(UINT64_MAX, 3) == UINT64_C(0x5555555555555555));
    assert_true(kern_rem_u64(UINT64_MAX, 0) == UINT64_MAX);
}

static void test_shifts(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 200; n++) {
        int in32 = n < 32, in64 = n < 64;

        assert_int_equal(kern_shl_u32(0x80000001, n), in32 ? (uint32_t)(0x80000001ull << n) : 0);
        assert_int_equal(kern_shr_u32(0x80000001, n), in32 ? 0x80000001ull >> n : 0);
        assert_true(kern_shl_u64(3, n) == (in64 ? UINT64_C(3) << n : 0));
        assert_true(kern_shr_u64(UINT64_MAX, n) == (in64 ? UINT64_MAX >> n : 0));
        assert_int_equal(kern_sar_i32(INT32_MIN, n), in32 ? -(INT64_C(1) << 31 >> n) : -1);
        assert_int_equal(kern_sar_i32(INT32_MAX, n), in32 ? INT32_MAX >> n : 0);
        assert_true(kern_sar_i64(-1, n) == -1);
        assert_true(kern_sar_i64(INT64_MAX, n) == (in64 ? INT64_MAX >> n : 0));
    }
    assert_int_equal(kern_shl_u32(1, UINT32_MAX), 0);
    assert_int_equal(kern_sar_i32(-5, UINT32_MAX), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_min_max),   cmocka_unit_test(test_floor),
        cmocka_unit_test(test_to_signed), cmocka_unit_test(test_to_unsigned),
        cmocka_unit_test(test_division),  cmocka_unit_test(test_shifts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
