/* How far a computed number is from the exact one, in units in the last place of the exact one, and
 * a stream of random bits to make inputs from.
 *
 * The exact value comes in a wider type (double for f32, long double for f64), from a library that
 * is not ours. A result of infinity counts as the first number that the format cannot hold; so
 * does an exact value beyond it. NaN against a number is an error of 1e30. */
#ifndef TESTS_SUPPORT_ULP_H
#define TESTS_SUPPORT_ULP_H

#include <math.h>
#include <stdint.h>

#define ULP_NEVER 1e30

static inline double ulp_distance(long double got, long double exact, int digits, int exponent_min,
                                  int exponent_max)
{
    long double end = ldexpl(1.0L, exponent_max);
    int exponent;

    if (isnan(got) || isnan(exact))
        return isnan(got) && isnan(exact) ? 0.0 : ULP_NEVER;
    got = got > end ? end : got < -end ? -end : got;
    exact = exact > end ? end : exact < -end ? -end : exact;
    (void)frexpl(exact, &exponent);
    if (exponent > exponent_max)
        exponent = exponent_max;
    if (exact == 0.0L || exponent < exponent_min)
        exponent = exponent_min;
    return (double)ldexpl(fabsl(got - exact), digits - exponent);
}

static inline double ulp_f32(float got, double exact)
{
    return ulp_distance((long double)got, (long double)exact, 24, -125, 128);
}

static inline double ulp_f64(double got, long double exact)
{
    return ulp_distance((long double)got, exact, 53, -1021, 1024);
}

/* A stream of 64-bit numbers (Steele, Lea, Flood 2014: SplitMix64). */
static inline uint64_t ulp_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in [low, high). */
static inline double ulp_uniform(uint64_t *state, double low, double high)
{
    return low + (high - low) * ((double)(ulp_next(state) >> 11) * 0x1p-53);
}

#endif
