/* Weir's own exp, log, pow and cbrt, with sin and cos in kern_trig.h: one text for host and CUDA,
 * the same bits from every compiler, optimisation level, vector width and device. Include this
 * header for all of them.
 *
 * They use + - * /, explicit fma, integer operations, bit casts and comparisons, and nothing else.
 * An f32 function computes in f64, where its error vanishes, and rounds once at the end; so its
 * result is nearly always the correctly rounded one. An f64 function carries the few low bits that
 * matter as a second double. All functions in this header are branch-free: a loop over a column
 * vectorises.
 *
 * Domain: every input. Special values are those of C99 Annex F (round to nearest, no flags); a NaN
 * result is the canonical NaN of kern_num.h. Subnormals are exact inputs and correct outputs.
 *
 * Worst errors, in ulp of the result. f32: over all floats, against an f64 value (powf: over 2^32
 * pairs). f64: over 2^26 and more inputs of each kind, against the 64-bit mantissa of long double,
 * which leaves 0.001 of doubt. tests/unit/test_math.c measures a part of this at each run, and
 * all of it when WEIR_TEST_EXHAUSTIVE is set.
 *
 *     kern_expf 0.5008   kern_logf 0.5001   kern_powf 0.5008
 *     kern_exp  0.785    kern_log  0.687    kern_pow  0.766    kern_cbrt 0.501
 *
 * An f64 result that is subnormal is rounded a second time: exp's worst is one of those; 0.668 is
 * its worst among normal numbers near 1.
 *
 * The polynomials are minimax fits of our own (Remez exchange in 60 digits on the ranges stated,
 * relative error stated, coefficients rounded to the nearest double). */
#ifndef KERN_MATH_H
#define KERN_MATH_H

#include "kernels/kern_num.h"
#include "kernels/kern_trig.h"

/* ln 2 as the 42-bit head, whose product with an exponent is exact, and the rest; and as two full
 * doubles for use with fma. */
#define KERN_LN2_SHORT 0x1.62e42fefa3800p-1
#define KERN_LN2_REST 0x1.ef35793c76730p-45
#define KERN_LN2 0x1.62e42fefa39efp-1
#define KERN_LN2_LOW 0x1.abc9e3b39803fp-56
#define KERN_LOG2E 0x1.71547652b82fep+0
#define KERN_INF_BITS UINT64_C(0x7ff0000000000000)

KERN_FN double kern_inf(void)
{
    return kern_f64_from_bits(KERN_INF_BITS);
}

/* x held within [low, high]; NaN stays NaN. */
KERN_FN double kern_hold(double x, double low, double high)
{
    double above = x < low ? low : x;

    return above > high ? high : above;
}

/* ---- exp ---- */

/* 2^k for an integer k in [-1022, 1023], given as two's complement. */
KERN_FN double kern_exp2_int(uint64_t k)
{
    return kern_f64_from_bits((k + 1023) << 52);
}

/* y * 2^k for k in [-2044, 2046]: in two factors, so that a subnormal result is rounded once
 * and a large one becomes infinite. */
KERN_FN double kern_scale(double y, uint64_t k)
{
    uint64_t half = ((k + 2048) >> 1) - 1024;

    return y * kern_exp2_int(half) * kern_exp2_int(k - half);
}

/* e^x for x in [-105, 90], to 2^-34: what f32 needs. (e^r - 1 - r) / r^2 on |r| <= ln2 / 2,
 * error 2^-34.2. */
KERN_FN double kern_exp_short(double x)
{
    double shifted = x * KERN_LOG2E + KERN_ROUND;
    double r = kern_fma(-(shifted - KERN_ROUND), KERN_LN2, x);
    double p = 0x1.9f0895fdb8cf9p-13;

    p = kern_fma(p, r, 0x1.6d8d06cf4f480p-10);
    p = kern_fma(p, r, 0x1.111270b31caf3p-7);
    p = kern_fma(p, r, 0x1.55548dc49fdc5p-5);
    p = kern_fma(p, r, 0x1.555554433c06dp-3);
    p = kern_fma(p, r, 0x1.0000003a2371bp-1);
    p = kern_fma(p, r, 1.0);
    p = kern_fma(p, r, 1.0);
    return p * kern_exp2_int(kern_f64_bits(shifted) - kern_f64_bits(KERN_ROUND));
}

/* e^(x + low) for x in [-1100, 1100] and |low| < 2^-30.
 * x - k ln2 is exact with fma: it is a multiple of 2^-54 below 0.35. What ln2 lacks and low go
 * into a second double, and so does what is lost when r is added to 1. The same fit as above
 * with four more terms, error 2^-57.9. */
KERN_FN double kern_exp_pair(double x, double low)
{
    double shifted = x * KERN_LOG2E + KERN_ROUND;
    double k = shifted - KERN_ROUND;
    double head = kern_fma(-k, KERN_LN2, x);
    double rest = kern_fma(-k, KERN_LN2_LOW, low);
    double r = head + rest;
    double r_low = (head - r) + rest;
    double one = 1.0 + r;
    double p = 0x1.ad7f6bf641bcap-26;

    p = kern_fma(p, r, 0x1.28ad72d2ab018p-22);
    p = kern_fma(p, r, 0x1.71df255414f9ep-19);
    p = kern_fma(p, r, 0x1.a0199a0c60527p-16);
    p = kern_fma(p, r, 0x1.a01a012a56eaep-13);
    p = kern_fma(p, r, 0x1.6c16c1842a146p-10);
    p = kern_fma(p, r, 0x1.1111111127be7p-7);
    p = kern_fma(p, r, 0x1.555555555087cp-5);
    p = kern_fma(p, r, 0x1.55555555554fap-3);
    p = kern_fma(p, r, 0x1.000000000000ap-1);
    p = kern_fma(r * r, p, kern_fma(r_low, r, r_low));
    return kern_scale(one + ((r - (one - 1.0)) + p),
                      kern_f64_bits(shifted) - kern_f64_bits(KERN_ROUND));
}

KERN_FN float kern_expf(float x)
{
    return kern_canonicalf((float)kern_exp_short(kern_hold((double)x, -105.0, 90.0)));
}

KERN_FN double kern_exp(double x)
{
    return kern_canonical(kern_exp_pair(kern_hold(x, -746.0, 710.0), 0.0));
}

/* ---- log ---- */

/* A positive normal x as mantissa * 2^exponent, mantissa in [sqrt(1/2), sqrt(2)). */
typedef struct kern_parts {
    double mantissa;
    double exponent;
} kern_parts;

KERN_FN kern_parts kern_split(double x)
{
    const uint64_t root_half = UINT64_C(0x3fe6a09e667f3bcd);
    uint64_t u = kern_f64_bits(x) + (UINT64_C(0x3ff0000000000000) - root_half);
    kern_parts parts;

    parts.mantissa = kern_f64_from_bits((u & UINT64_C(0x000fffffffffffff)) + root_half);
    parts.exponent =
        kern_f64_from_bits((u >> 52) | UINT64_C(0x4330000000000000)) - (0x1p52 + 1023.0);
    return parts;
}

/* The same for any positive finite x: a subnormal is scaled up first. */
KERN_FN kern_parts kern_split_any(double x)
{
    double normal = x < 0x1p-1022 ? x * 0x1p54 : x;
    kern_parts parts = kern_split(normal);

    parts.exponent -= x < 0x1p-1022 ? 54.0 : 0.0;
    return parts;
}

/* The logarithm of a non-negative x, given its value for finite positive x; others get theirs. */
KERN_FN double kern_log_ends(double x, double value)
{
    double at_ends = x == 0.0 ? -kern_inf() : x;

    value = x > 0.0 && x < kern_inf() ? value : at_ends;
    return x < 0.0 ? kern_nan() : value;
}

/* ln x for a positive normal x, to 2^-44: what f32 needs. With s = (m - 1) / (m + 1), z = s^2:
 * ln m = 2 s + s z R(z), R on z <= 0.0295, error 2^-44.9. */
KERN_FN double kern_log_short(double x)
{
    kern_parts parts = kern_split(x);
    double s = (parts.mantissa - 1.0) / (parts.mantissa + 1.0);
    double z = s * s;
    double p = 0x1.9115a0762a6a5p-3;

    p = kern_fma(p, z, 0x1.c62b135f58ec6p-3);
    p = kern_fma(p, z, 0x1.249411f23f45fp-2);
    p = kern_fma(p, z, 0x1.999996a9402a9p-2);
    p = kern_fma(p, z, 0x1.555555561e472p-1);
    return kern_fma(parts.exponent, KERN_LN2, kern_fma(s * z, p, 2.0 * s));
}

KERN_FN float kern_logf(float x)
{
    double wide = (double)x;

    return kern_canonicalf((float)kern_log_ends(wide, kern_log_short(wide)));
}

/* With f = m - 1 and h = f^2 / 2: ln m = f - (h - s (h + z R(z))), where the subtraction from f
 * is the only large rounding; it is kept exactly, in two doubles. R as above with two more terms,
 * error 2^-59.5. */
KERN_FN double kern_log_value(double x)
{
    kern_parts parts = kern_split_any(x);
    double f = parts.mantissa - 1.0;
    double s = f / (parts.mantissa + 1.0);
    double z = s * s;
    double h = 0.5 * f * f;
    double head = f - h;
    double base = parts.exponent * KERN_LN2_SHORT;
    double sum = base + head;
    double low = ((f - head) - h) - kern_fma(0.5 * f, f, -h);
    double p = 0x1.2f0634870610cp-3;

    p = kern_fma(p, z, 0x1.39a1a6f734e61p-3);
    p = kern_fma(p, z, 0x1.74663fa22502cp-3);
    p = kern_fma(p, z, 0x1.c71c520608041p-3);
    p = kern_fma(p, z, 0x1.24924941f4fb5p-2);
    p = kern_fma(p, z, 0x1.999999997fd77p-2);
    p = kern_fma(p, z, 0x1.5555555555592p-1);
    low += kern_fma(s, kern_fma(z, p, h), (base - sum) + head);
    return sum + kern_fma(parts.exponent, KERN_LN2_REST, low);
}

KERN_FN double kern_log(double x)
{
    return kern_canonical(kern_log_ends(x, kern_log_value(x)));
}

/* ---- pow ---- */

/* An unevaluated sum, low much the smaller. */
typedef struct kern_pair {
    double high;
    double low;
} kern_pair;

/* a + b, |a| >= |b|, to about 2^-100. */
KERN_FN kern_pair kern_pair_add(kern_pair a, kern_pair b)
{
    kern_pair sum;

    sum.high = a.high + b.high;
    sum.low = ((a.high - sum.high) + b.high) + (a.low + b.low);
    return sum;
}

/* a * b, to about 2^-100. */
KERN_FN kern_pair kern_pair_mul(kern_pair a, kern_pair b)
{
    kern_pair product;

    product.high = a.high * b.high;
    product.low = kern_fma(a.high, b.high, -product.high) + kern_fma(a.high, b.low, a.low * b.high);
    return product;
}

/* ln x for a finite positive x as a pair, to 2^-67: what pow needs, as |y ln x| reaches 745.
 * ln m = 2 s (1 + z / 3 + z^2 / 5 + z^3 T(z)); T on z <= 0.0295 has error 2^-72.9 of the whole, and
 * one double holds it, because z^3 T < 2^-18. The rest is done in pairs. */
KERN_FN kern_pair kern_log_pair(double x)
{
    const kern_pair third = { 0x1.5555555555555p-2, 0x1.5555555555555p-56 };
    const kern_pair fifth = { 0x1.999999999999ap-3, -0x1.999999999999ap-57 };
    kern_parts parts = kern_split_any(x);
    double f = parts.mantissa - 1.0;
    double sum = parts.mantissa + 1.0;
    double inverse = 1.0 / sum;
    double p = 0x1.e7de8316764b8p-5;
    kern_pair s, z, t, log;

    s.high = f * inverse;
    s.low = kern_fma(-s.high, parts.mantissa - (sum - 1.0), kern_fma(-s.high, sum, f)) * inverse;
    z = kern_pair_mul(s, s);
    p = kern_fma(p, z.high, 0x1.de9eaaf182992p-5);
    p = kern_fma(p, z.high, 0x1.111dcd8d1e53bp-4);
    p = kern_fma(p, z.high, 0x1.3b137839564b7p-4);
    p = kern_fma(p, z.high, 0x1.745d17d7527acp-4);
    p = kern_fma(p, z.high, 0x1.c71c71c65a264p-4);
    p = kern_fma(p, z.high, 0x1.24924924927cdp-3);
    t.high = p * z.high;
    t.low = 0.0;
    t = kern_pair_mul(kern_pair_add(fifth, t), z);
    t = kern_pair_mul(kern_pair_add(third, t), z);
    t = kern_pair_add(s, kern_pair_mul(s, t));
    t.high *= 2.0;
    t.low *= 2.0;
    log.high = parts.exponent * KERN_LN2_SHORT;
    log.low = parts.exponent * KERN_LN2_REST;
    return kern_pair_add(log, t);
}

/* 0: y is not an integer, 1: odd, 2: even (infinities and all doubles from 2^53 are even). */
KERN_FN uint64_t kern_parity(double y)
{
    double size = kern_abs(y);
    double shifted = size + 0x1p52;
    uint64_t small = shifted - 0x1p52 == size ? 2 - (kern_f64_bits(shifted) & 1) : 0;
    uint64_t large = size < 0x1p53 ? 2 - (kern_f64_bits(size) & 1) : 2;

    return size < 0x1p52 ? small : large;
}

/* |x|^y, finished into x^y: sign and the special cases of C99 F.9.4.4. */
KERN_FN double kern_pow_ends(double x, double y, double size)
{
    uint64_t parity = kern_parity(y);
    uint64_t negative = kern_f64_bits(x) & (parity & 1) << 63;
    double value = kern_f64_from_bits(kern_f64_bits(size) | negative);
    double to_infinity = x == -1.0 ? 1.0 : value;

    value = kern_abs(y) == kern_inf() ? to_infinity : value;
    value = x < 0.0 && x > -kern_inf() && parity == 0 ? kern_nan() : value;
    return y == 0.0 || x == 1.0 ? 1.0 : value;
}

KERN_FN float kern_powf(float x, float y)
{
    double wide = (double)y;
    double size = kern_abs((double)x);
    double log = kern_log_ends(size, kern_log_short(size));
    double value = kern_exp_short(kern_hold(wide * log, -105.0, 90.0));

    return kern_canonicalf((float)kern_pow_ends((double)x, wide, value));
}

KERN_FN double kern_pow(double x, double y)
{
    double size = kern_abs(x);
    kern_pair log = kern_log_pair(size);
    double high = kern_log_ends(size, log.high);
    double product = y * high;
    double low = kern_fma(y, log.low, kern_fma(y, high, -product));
    int inside = kern_abs(product) < 1000.0;
    double value = kern_exp_pair(kern_hold(product, -1000.0, 1000.0), inside ? low : 0.0);

    return kern_canonical(kern_pow_ends(x, y, value));
}

/* ---- cbrt ---- */

/* |x| = m 2^(3 q + j), m in [1, 2): a quartic for m^(1/3) (error 2^-16.7), one step of Halley to
 * a = m 2^j (2^-50), and one of Newton whose residual y^3 - a is taken in two doubles. Its divisor
 * 3 y^2 need not be exact: 1 / 3a from the first step serves. */
KERN_FN double kern_cbrt(double x)
{
    double size = kern_abs(x);
    double normal = size < 0x1p-1022 ? size * 0x1p54 : size;
    uint64_t u = kern_f64_bits(normal);
    double e = kern_f64_from_bits((u >> 52) | UINT64_C(0x4330000000000000)) - (0x1p52 + 1023.0);
    double m =
        kern_f64_from_bits((u & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000));
    double shifted = (e - 1.0) * (1.0 / 3.0) + KERN_ROUND;
    double j = e - 3.0 * (shifted - KERN_ROUND);
    double a = m * (j == 0.0 ? 1.0 : j == 1.0 ? 2.0 : 4.0);
    double y = -0x1.5b77f08bfbf5bp-7;
    double cube, inverse, square, low;

    y = kern_fma(y, m, 0x1.60a153727215fp-4);
    y = kern_fma(y, m, -0x1.33d38506e2d6fp-2);
    y = kern_fma(y, m, 0x1.6fb1dfe02678ap-1);
    y = kern_fma(y, m, 0x1.0392ccec6fd3cp-1);
    y *= j == 0.0 ? 1.0 : j == 1.0 ? 0x1.428a2f98d728bp+0 : 0x1.965fea53d6e3dp+0;
    cube = y * y * y;
    inverse = 1.0 / kern_fma(2.0, cube, a);
    y = kern_fma(-y * (cube - a), inverse, y);
    square = y * y;
    cube = square * y;
    low = kern_fma(square, y, -cube) + kern_fma(y, y, -square) * y;
    y = kern_fma(-y * ((cube - a) + low), inverse, y);
    y *= kern_exp2_int(kern_f64_bits(shifted) - kern_f64_bits(KERN_ROUND));
    y *= size < 0x1p-1022 ? 0x1p-18 : 1.0;
    y = kern_f64_from_bits(kern_f64_bits(y) | (kern_f64_bits(x) & KERN_SIGN_BIT));
    return kern_canonical(size > 0.0 && size < kern_inf() ? y : x);
}

#endif
