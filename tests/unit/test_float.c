/* What the compiler may do with floating point, under the flags of this build: nothing. Each case is
 * one that a compiler, with flags that look harmless, gets wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#define APART __attribute__((noinline))

/* gcc 12 -O2: its SLP vectoriser leaves the rounding to f32 out. */
APART static void add_rounded(const double *from, double *to)
{
    double a = (double)(float)from[0], b = (double)(float)from[1];

    to[0] += a;
    to[1] += b;
}

/* Called through a pointer that may change, so that nothing is known of the arguments. */
static void (*volatile add_rounded_called)(const double *, double *) = add_rounded;

static void test_rounding_of_pairs(void **state)
{
    double from[2] = { 0.1, 1.1 }, to[2] = { 0 };

    (void)state;
    add_rounded_called(from, to);
    assert_true(to[0] == 0x1.99999ap-4);
    assert_true(to[1] == 0x1.19999ap+0);
}

APART static void round_many(const double *restrict from, double *restrict to, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = (double)(float)from[i];
}

static void test_rounding_in_loops(void **state)
{
    double from[37], to[37];

    (void)state;
    for (int i = 0; i < 37; i++)
        from[i] = 0.1 + i;
    round_many(from, to, 37);
    for (int i = 0; i < 37; i++) {
        volatile float rounded = (float)from[i];
        assert_true(to[i] == (double)rounded);
    }
}

/* gcc -std=gnu17 and clang contract a * b + c to an fma unless told not to. */
APART static void multiply_add(const float *restrict a, const float *restrict b,
                               const float *restrict c, float *restrict to, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = a[i] * b[i] + c[i];
}

static void test_no_contraction(void **state)
{
    float a[33], b[33], c[33], to[33];

    (void)state;
    for (int i = 0; i < 33; i++) {
        a[i] = b[i] = 1 + 0x1p-13f; /* a * b = 1 + 2^-12 + 2^-26, of which f32 keeps the first two */
        c[i] = -(1 + 0x1p-12f);
    }
    multiply_add(a, b, c, to, 33);
    for (int i = 0; i < 33; i++)
        assert_true(to[i] == 0);
}

/* -ffast-math, or a mode of the processor. */
APART static void halve(const float *restrict from, float *restrict to, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = from[i] * 0.5f;
}

static void test_denormals_kept(void **state)
{
    float from[17], to[17];

    (void)state;
    for (int i = 0; i < 17; i++)
        from[i] = 0x1p-126f;
    halve(from, to, 17);
    for (int i = 0; i < 17; i++)
        assert_true(to[i] == 0x1p-127f && to[i] > 0);
}

/* -fassociative-math: a sum has the order that is written. */
APART static float sum(const float *values, int count)
{
    float total = 0;

    for (int i = 0; i < count; i++)
        total += values[i];
    return total;
}

static void test_order_of_sums(void **state)
{
    float values[32];

    (void)state;
    for (int i = 0; i < 32; i++)
        values[i] = i % 4 == 0 ? 0x1p24f : i % 4 == 2 ? -0x1p24f : 1;
    /* 2^24 + 1 = 2^24; 2^24 - 2^24 + 1 = 1: one of two ones is lost in each four, but for the last of
     * each, which is added to the next 2^24. */
    assert_true(sum(values, 32) == 1);
}

/* -fno-signed-zeros, -ffinite-math-only. */
APART static float add_zero(float x)
{
    return x + 0.0f;
}
APART static int is_nan(float x)
{
    return x != x;
}

static void test_zeros_and_nans(void **state)
{
    uint32_t bits = 0x7fc00000;
    float zero = add_zero(-0.0f), nan;

    (void)state;
    memcpy(&nan, &bits, sizeof nan);
    memcpy(&bits, &zero, sizeof bits);
    assert_int_equal(bits, 0);
    assert_true(is_nan(nan));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounding_of_pairs), cmocka_unit_test(test_rounding_in_loops),
        cmocka_unit_test(test_no_contraction),    cmocka_unit_test(test_denormals_kept),
        cmocka_unit_test(test_order_of_sums),     cmocka_unit_test(test_zeros_and_nans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
