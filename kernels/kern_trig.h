/* Weir's own sin and cos; see kern_math.h, through which this is included.
 *
 * The argument is divided by pi/2: x = (n + g) pi/2 with g in about [-1/2, 1/2], n mod 4 chooses
 * between the sine and the cosine of g pi/2 and gives the sign. All of the difficulty is g near 0,
 * where the leading bits cancel: an f32 comes within 2^-30 of a multiple of pi/2 and an f64 within
 * 2^-62, so 2/pi is used to as many bits as the exponent of x asks for (after Payne and Hanek,
 * "Radian reduction for trigonometric functions", 1983).
 *
 * f32: branch-free over the whole range, so loops vectorise. f64: a branch-free path for
 * |x| < 2^40, and integer arithmetic behind a branch for larger ones.
 *
 * Worst errors in ulp, measured as stated in kern_math.h (f64: over all exponents alike, and
 * separately among the doubles next to multiples of pi/2):
 *
 *     kern_sinf 0.5004   kern_cosf 0.5005   kern_sin 0.767   kern_cos 0.757 */
#ifndef KERN_TRIG_H
#define KERN_TRIG_H

#include "kernels/kern_num.h"

/* pi/2 in three doubles. */
#define KERN_HALF_PI 0x1.921fb54442d18p+0
#define KERN_HALF_PI_LOW 0x1.1a62633145c07p-54
#define KERN_HALF_PI_LOWEST -0x1.f1976b7ed8fbcp-110
#define KERN_TWO_OVER_PI 0x1.45f306dc9c883p-1

/* An argument in quarter turns: (quarter mod 4) + angle / (pi/2), angle within about pi/4. */
typedef struct kern_angle {
    double angle;
    double low; /* what the angle lacks; 0 in the f32 path */
    uint64_t quarter;
} kern_angle;

/* value with its sign turned if bit 1 of quarter is set. */
KERN_FN double kern_turn_sign(double value, uint64_t quarter)
{
    return kern_f64_from_bits(kern_f64_bits(value) ^ ((quarter & 2) << 62));
}

/* ---- f32 ---- */

/* x = |an f32|, times the bits of 2/pi that matter at its exponent. In each range of 26 exponents
 * the leading bits, whose products are multiples of 4 for all of its floats, are left out; the next
 * 29 and 27 bits have exact products with a float, and the last 53 end far below what g can
 * resolve. Infinity and NaN give NaN. */
KERN_FN kern_angle kern_reducef(double x)
{
    double a = 0x1.45f306d000000p-1, b = 0x1.9391054000000p-30, c = 0x1.4fe13abe8fa9ap-59;
    double product, shifted, g, again;
    kern_angle out;

    a = x < 0x1p26 ? a : 0x1.17cc1b6000000p-3;
    b = x < 0x1p26 ? b : 0x1.27220a8000000p-31;
    a = x < 0x1p52 ? a : 0x1.c9c882a000000p-29;
    b = x < 0x1p52 ? b : 0x1.4fe13a0000000p-59;
    c = x < 0x1p52 ? c : 0x1.7d1f534ddc0dbp-84;
    a = x < 0x1p78 ? a : 0x1.4a7f09d000000p-54;
    b = x < 0x1p78 ? b : 0x1.7d1f530000000p-84;
    c = x < 0x1p78 ? c : 0x1.377036d8a5665p-110;
    a = x < 0x1p104 ? a : 0x1.57d1f53000000p-80;
    b = x < 0x1p104 ? b : 0x1.3770368000000p-110;
    c = x < 0x1p104 ? c : 0x1.6295993c43904p-136;
    product = x * a;
    shifted = product + KERN_ROUND;
    g = kern_fma(x, b, product - (shifted - KERN_ROUND));
    again = g + KERN_ROUND;
    g = kern_fma(x, c, g - (again - KERN_ROUND));
    out.angle = g * KERN_HALF_PI;
    out.low = 0.0;
    out.quarter = kern_f64_bits(shifted) + kern_f64_bits(again);
    return out;
}

/* sin for an even quarter and cos for an odd one, to 2^-37: (sin r - r) / r^3 and
 * (cos r - 1 + r^2 / 2) / r^4 as polynomials in z = r^2 <= (pi/4)^2, errors 2^-37.6, 2^-43.2. */
KERN_FN double kern_sin_short(double r, uint64_t quarter)
{
    double z = r * r;
    double s = 0x1.6cd73347fdf69p-19;
    double c = -0x1.2429fc2c3c219p-22;

    s = kern_fma(s, z, -0x1.a00f98e6b01d6p-13);
    s = kern_fma(s, z, 0x1.1111089078c36p-7);
    s = kern_fma(s, z, -0x1.5555554cb2056p-3);
    s = kern_fma(r * z, s, r);
    c = kern_fma(c, z, 0x1.a0111c16b51ffp-16);
    c = kern_fma(c, z, -0x1.6c16b892ba150p-10);
    c = kern_fma(c, z, 0x1.5555554f48bd9p-5);
    c = kern_fma(c, z, -0.5);
    c = kern_fma(c, z, 1.0);
    return kern_turn_sign((quarter & 1) != 0 ? c : s, quarter);
}

KERN_FN float kern_sinf(float x)
{
    kern_angle a = kern_reducef((double)kern_absf(x));
    float value = (float)kern_sin_short(a.angle, a.quarter);

    return kern_canonicalf(
        kern_f32_from_bits(kern_f32_bits(value) ^ (kern_f32_bits(x) & KERN_SIGNF_BIT)));
}

KERN_FN float kern_cosf(float x)
{
    kern_angle a = kern_reducef((double)kern_absf(x));

    return kern_canonicalf((float)kern_sin_short(a.angle, a.quarter + 1));
}

/* ---- f64 ---- */

/* For 0 <= x < 2^40. x - n pi/2 is exact with fma for the first double of pi/2: a multiple of
 * 2^-53 below 1. The second double's product is subtracted as a pair. */
KERN_FN kern_angle kern_reduce_near(double x)
{
    double shifted = x * KERN_TWO_OVER_PI + KERN_ROUND;
    double n = shifted - KERN_ROUND;
    double head = kern_fma(-n, KERN_HALF_PI, x);
    double tail = n * KERN_HALF_PI_LOW;
    double back;
    kern_angle out;

    out.angle = head - tail;
    back = out.angle - head;
    out.low = (head - (out.angle - back)) - (tail + back);
    out.low -= kern_fma(n, KERN_HALF_PI_LOWEST, kern_fma(n, KERN_HALF_PI_LOW, -tail));
    out.quarter = kern_f64_bits(shifted);
    return out;
}

/* The high half of a 64 x 64 bit product. */
KERN_FN uint64_t kern_mul_high(uint64_t a, uint64_t b)
{
    uint64_t a_low = a & UINT32_MAX, a_high = a >> 32;
    uint64_t b_low = b & UINT32_MAX, b_high = b >> 32;
    uint64_t middle = a_high * b_low + (a_low * b_low >> 32);
    uint64_t other = a_low * b_high + (middle & UINT32_MAX);

    return a_high * b_high + (middle >> 32) + (other >> 32);
}

/* 64 bits of 2/pi, of which the first has weight 2^(63 - position). */
KERN_FN uint64_t kern_two_over_pi(uint32_t position)
{
    static const uint64_t words[20] = {
        0,
        UINT64_C(0xa2f9836e4e441529),
        UINT64_C(0xfc2757d1f534ddc0),
        UINT64_C(0xdb6295993c439041),
        UINT64_C(0xfe5163abdebbc561),
        UINT64_C(0xb7246e3a424dd2e0),
        UINT64_C(0x06492eea09d1921c),
        UINT64_C(0xfe1deb1cb129a73e),
        UINT64_C(0xe88235f52ebb4484),
        UINT64_C(0xe99c7026b45f7e41),
        UINT64_C(0x3991d639835339f4),
        UINT64_C(0x9c845f8bbdf9283b),
        UINT64_C(0x1ff897ffde05980f),
        UINT64_C(0xef2f118b5a0a6d1f),
        UINT64_C(0x6d367ecf27cb09b7),
        UINT64_C(0x4f463f669e5fea2d),
        UINT64_C(0x7527bac7ebe5f17b),
        UINT64_C(0x3d0739f78a5292ea),
        UINT64_C(0x6bfb5fb11f8d5d08),
        UINT64_C(0x56033046fc7b6bab),
    };
    uint32_t word = position / 64, bit = position % 64;

    return words[word] << bit | words[word + 1] >> 1 >> (63 - bit);
}

/* For finite x >= 2^40: x = M 2^E, M an integer of 53 bits, E in [-12, 971]. The 192 bits of 2/pi
 * that start with weight 2^(1 - E) times M, modulo 2^192, hold n mod 4 in their first two
 * bits and g behind them; what is cut off changes g by less than 2^-137. */
KERN_FN kern_angle kern_reduce_far(double x)
{
    uint64_t u = kern_f64_bits(x);
    uint64_t m = (u & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x0010000000000000);
    uint32_t position = (uint32_t)(u >> 52) + 61 - 1074;
    uint64_t a = kern_two_over_pi(position + 128);
    uint64_t b = kern_two_over_pi(position + 64);
    uint64_t high = kern_two_over_pi(position) * m + kern_mul_high(b, m);
    uint64_t carry = kern_mul_high(a, m);
    uint64_t middle = b * m + carry;
    uint64_t low = a * m;
    uint64_t sign;
    double g, rest;
    kern_angle out;

    high += middle < carry;
    out.quarter = (high >> 62) + (high >> 61 & 1);
    high = high << 2 | middle >> 62;
    middle = middle << 2 | low >> 62;
    sign = 0 - (high >> 63); /* g < 0: negate the 128 bits */
    middle = (middle ^ sign) - sign;
    high = (high ^ sign) + (middle == 0 ? sign & 1 : 0);
    g = (double)(high >> 32) * 0x1p-32;
    rest = (double)(high & UINT32_MAX) * 0x1p-64;
    low = middle;
    out.angle = g + rest;
    out.low = (g - out.angle) + rest;
    out.low += (double)(low >> 32) * 0x1p-96 + (double)(low & UINT32_MAX) * 0x1p-128;
    g = out.angle + out.low;
    rest = (out.angle - g) + out.low;
    g = kern_f64_from_bits(kern_f64_bits(g) ^ (sign & KERN_SIGN_BIT));
    rest = kern_f64_from_bits(kern_f64_bits(rest) ^ (sign & KERN_SIGN_BIT));
    out.angle = g * KERN_HALF_PI;
    out.low =
        kern_fma(g, KERN_HALF_PI, -out.angle) + kern_fma(g, KERN_HALF_PI_LOW, rest * KERN_HALF_PI);
    return out;
}

/* sin for an even quarter, cos for an odd one. The fits of kern_sin_short with two more terms each,
 * errors 2^-58 and 2^-64; 1 - r^2 / 2 is kept as a pair. */
KERN_FN double kern_sin_pair(kern_angle a, uint64_t quarter)
{
    double r = a.angle;
    double z = r * r;
    double one = kern_fma(-0.5, z, 1.0);
    double lost = kern_fma(-0.5, z, 1.0 - one) - 0.5 * kern_fma(r, r, -z);
    double s = 0x1.5d9246d32d6c8p-33;
    double c = -0x1.8fadd074c39ebp-37;

    s = kern_fma(s, z, -0x1.ae5e63cd9a110p-26);
    s = kern_fma(s, z, 0x1.71de3574ba730p-19);
    s = kern_fma(s, z, -0x1.a01a019c0e4c2p-13);
    s = kern_fma(s, z, 0x1.111111110f861p-7);
    s = kern_fma(s, z, -0x1.5555555555549p-3);
    s = r + kern_fma(r * z, s, kern_fma(-0.5 * z, a.low, a.low));
    c = kern_fma(c, z, 0x1.1ee9ea6ccb716p-29);
    c = kern_fma(c, z, -0x1.27e4f807d631cp-22);
    c = kern_fma(c, z, 0x1.a01a019caef38p-16);
    c = kern_fma(c, z, -0x1.6c16c16c15162p-10);
    c = kern_fma(c, z, 0x1.555555555554cp-5);
    c = one + kern_fma(z * z, c, kern_fma(-r, a.low, lost));
    return kern_turn_sign((quarter & 1) != 0 ? c : s, quarter);
}

/* The angle of a non-negative x; infinity and NaN give some angle, and kern_trig_ends its NaN. */
KERN_FN kern_angle kern_reduce(double x)
{
    return x < 0x1p40 ? kern_reduce_near(x) : kern_reduce_far(x);
}

KERN_FN double kern_trig_ends(double size, double value)
{
    return size <= 0x1.fffffffffffffp1023 ? value : kern_nan();
}

KERN_FN double kern_sin(double x)
{
    double size = kern_abs(x);
    kern_angle a = kern_reduce(size);
    double value = kern_sin_pair(a, a.quarter);

    value = kern_f64_from_bits(kern_f64_bits(value) ^ (kern_f64_bits(x) & KERN_SIGN_BIT));
    return kern_trig_ends(size, value);
}

KERN_FN double kern_cos(double x)
{
    double size = kern_abs(x);
    kern_angle a = kern_reduce(size);

    return kern_trig_ends(size, kern_sin_pair(a, a.quarter + 1));
}

#endif
