/* kern_math.h and kern_trig.h at their edges: C99 Annex F line by line, arguments that are hard to
 * reduce, and results that the format holds exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kernels/kern_math.h"
#include "tests/support/ulp.h"

/* Bits, not values: they tell -0 from +0 and one NaN from another. */
static void same(double got, double want)
{
    if (kern_f64_bits(got) != kern_f64_bits(want))
        fail_msg("got %a, want %a", got, want);
}

/* pow and powf for values that both formats hold. */
static void power(double x, double y, double want)
{
    same(kern_pow(x, y), want);
    same((double)kern_powf((float)x, (float)y), want);
}

/* A NaN that no function of ours makes: negative, with a payload. */
static double odd_nan(void)
{
    return kern_f64_from_bits(UINT64_C(0xfff8000000001234));
}

static void test_special_exp_log(void **state)
{
    double inf = kern_inf(), nan = kern_nan();

    (void)state;
    same(kern_exp(0.0), 1.0);
    same(kern_exp(-0.0), 1.0);
    same(kern_exp(inf), inf);
    same(kern_exp(-inf), 0.0);
    same(kern_exp(odd_nan()), nan);
    same(kern_exp(709.79), inf);
    same(kern_exp(1e300), inf);
    same(kern_exp(-745.14), 0.0);
    same(kern_exp(-745.13), 0x1p-1074);
    same((double)kern_expf(-0.0f), 1.0);
    same((double)kern_expf((float)inf), inf);
    same((double)kern_expf((float)-inf), 0.0);
    same((double)kern_expf((float)odd_nan()), nan);
    same((double)kern_expf(88.73f), inf);
    same((double)kern_expf(-104.0f), 0.0);
    same((double)kern_expf(-103.9f), 0x1p-149);

    same(kern_log(1.0), 0.0);
    same(kern_log(0.0), -inf);
    same(kern_log(-0.0), -inf);
    same(kern_log(-1.0), nan);
    same(kern_log(-inf), nan);
    same(kern_log(inf), inf);
    same(kern_log(odd_nan()), nan);
    same(kern_log(0x1p-1074), -0x1.74385446d71c3p+9);
    same((double)kern_logf(1.0f), 0.0);
    same((double)kern_logf(0.0f), -inf);
    same((double)kern_logf(-0.0f), -inf);
    same((double)kern_logf(-0x1p-149f), nan);
    same((double)kern_logf((float)inf), inf);
    same((double)kern_logf((float)odd_nan()), nan);
}

/* Values from 3000-bit arithmetic; the first argument is the double that comes closest to a
 * multiple of pi/2 (Muller et al., "Handbook of Floating-Point Arithmetic"). */
static void test_special_sin_cos(void **state)
{
    static const double rows[][3] = {
        { 6381956970095103.0 * 0x1p797, 0x1.0p+0, -0x1.14ae72e6ba22fp-61 },
        { 0x1.0f0cf064dd592p+73, -0x1.b453ab76bf397p-1, 0x1.0be2cef01c8f4p-1 },
        { 0x1p+1023, 0x1.205248cbdb760p-1, -0x1.a719f26c232bfp-1 },
        { 0x1.fffffffffffffp+1023, 0x1.452fc98b34e97p-8, -0x1.fffe62ecfab75p-1 },
        { 0x1p+40, -0x1.9f7122716d5d9p-2, -0x1.d3f8577b3aa88p-1 },
        { 0x1.fffffffffffffp+39, -0x1.9f53e2b808bd9p-2, -0x1.d3fed505451e1p-1 },
        { 0x1.7e43c8800759cp+996, -0x1.a2c16b010e385p-1, -0x1.2699022adc4c1p-1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(ulp_f64(kern_sin(rows[i][0]), (long double)rows[i][1]) <= 1.0);
        assert_true(ulp_f64(kern_cos(rows[i][0]), (long double)rows[i][2]) <= 1.0);
        same(kern_sin(-rows[i][0]), -kern_sin(rows[i][0]));
        same(kern_cos(-rows[i][0]), kern_cos(rows[i][0]));
    }
    same((double)kern_cosf(16367173.0f * 0x1p72f), (double)-1.6147697982476211876e-9f);
    same(kern_sin(-0.0), -0.0);
    same(kern_sin(0x1p-1074), 0x1p-1074);
    same(kern_cos(-0.0), 1.0);
    same(kern_sin(kern_inf()), kern_nan());
    same(kern_cos(-kern_inf()), kern_nan());
    same(kern_sin(odd_nan()), kern_nan());
    same(kern_cos(odd_nan()), kern_nan());
    same((double)kern_sinf(-0.0f), -0.0);
    same((double)kern_sinf(0x1p-149f), 0x1p-149);
    same((double)kern_cosf(-0.0f), 1.0);
    same((double)kern_sinf((float)kern_inf()), kern_nan());
    same((double)kern_cosf((float)-kern_inf()), kern_nan());
    same((double)kern_sinf((float)odd_nan()), kern_nan());
}

/* C99 F.9.4.4, line by line. */
static void test_special_pow(void **state)
{
    double inf = kern_inf(), nan = kern_nan(), bad = odd_nan();

    (void)state;
    power(0.0, -3.0, inf);
    power(-0.0, -3.0, -inf);
    power(0.0, -2.5, inf);
    power(-0.0, -2.5, inf);
    power(-0.0, -2.0, inf);
    power(0.0, -inf, inf);
    power(-0.0, -inf, inf);
    power(0.0, 3.0, 0.0);
    power(-0.0, 3.0, -0.0);
    power(-0.0, 2.0, 0.0);
    power(-0.0, 0.5, 0.0);
    power(-1.0, inf, 1.0);
    power(-1.0, -inf, 1.0);
    power(1.0, bad, 1.0);
    power(1.0, inf, 1.0);
    power(bad, 0.0, 1.0);
    power(bad, -0.0, 1.0);
    power(0.0, -0.0, 1.0);
    power(-inf, 0.0, 1.0);
    power(-2.0, 0.5, nan);
    power(-2.0, -0x1.8p20, 0.0);
    power(0.5, -inf, inf);
    power(-0.5, -inf, inf);
    power(1.5, -inf, 0.0);
    power(0.5, inf, 0.0);
    power(-1.5, inf, inf);
    power(-inf, -3.0, -0.0);
    power(-inf, -2.0, 0.0);
    power(-inf, -0.5, 0.0);
    power(-inf, 3.0, -inf);
    power(-inf, 2.0, inf);
    power(-inf, 0.5, inf);
    power(inf, -1.0, 0.0);
    power(inf, 0.5, inf);
    power(bad, 2.0, nan);
    power(2.0, bad, nan);
    power(bad, bad, nan);
    power(-2.0, 3.0, -8.0);
    power(-2.0, 4.0, 16.0);
    power(-1.0, 16777215.0, -1.0);
    power(-1.0, 16777216.0, 1.0);
    same(kern_pow(-1.0, 0x1.fffffffffffffp52), -1.0);
    same(kern_pow(-1.0, 0x1.fffffffffffffp53), 1.0);
    same(kern_pow(-1.0, 0x1.0000000000001p52), -1.0);
    same(kern_pow(0x1.595afc2d452adp+0, -0x1.1df88721d1629p+11), 0x1.c60aa6b871316p-989);
    same(kern_pow(2.0, -1074.0), 0x1p-1074);
    same(kern_pow(2.0, 1024.0), inf);
    same((double)kern_powf(2.0f, -149.0f), 0x1p-149);
}

/* Powers and cubes that the format holds come out exact. */
static void test_exact_results(void **state)
{
    (void)state;
    for (int base = 2; base < 2000; base++) {
        double power_of = 1.0;

        for (int n = 0; power_of < 0x1p53; n++, power_of *= base) {
            same(kern_pow((double)base, (double)n), power_of);
            if (power_of < 0x1p24)
                same((double)kern_powf((float)base, (float)n), power_of);
        }
    }
    for (double n = 1.0; n < 208064.0; n += 1.0)
        same(kern_cbrt(-n * n * n), -n);
    same(kern_cbrt(0x1p-1074), 0x1p-358);
    same(kern_cbrt(-0.0), -0.0);
    same(kern_cbrt(0.0), 0.0);
    same(kern_cbrt(-kern_inf()), -kern_inf());
    same(kern_cbrt(odd_nan()), kern_nan());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_special_exp_log),
        cmocka_unit_test(test_special_sin_cos),
        cmocka_unit_test(test_special_pow),
        cmocka_unit_test(test_exact_results),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
