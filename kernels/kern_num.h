/* The arithmetic that C leaves undefined or to the machine, defined once for host and CUDA:
 * bit casts, the one NaN, minimum and maximum, floor, checked conversions to integers, integer
 * division and shifts.
 *
 * Everything here is branch-free where that matters, so that a loop over a column vectorises.
 * A function that reports trouble ORs 1 into a caller's word and still returns the stated value;
 * so a loop checks once, at its end, and the caller decides whether the step fails. */
#ifndef KERN_NUM_H
#define KERN_NUM_H

#include <stdint.h>
#include <string.h>

#include "kernels/kern_base.h"

/* Adding and subtracting this rounds a double of at most 2^51 to the nearest integer (ties to
 * even); between the two operations the integer stands in the low mantissa bits. */
#define KERN_ROUND 0x1.8p52

#define KERN_NAN_BITS UINT64_C(0x7ff8000000000000)
#define KERN_NANF_BITS UINT32_C(0x7fc00000)
#define KERN_SIGN_BIT UINT64_C(0x8000000000000000)
#define KERN_SIGNF_BIT UINT32_C(0x80000000)

/* ---- bits ---- */

KERN_FN uint64_t kern_f64_bits(double x)
{
    uint64_t u;

    memcpy(&u, &x, sizeof u);
    return u;
}

KERN_FN double kern_f64_from_bits(uint64_t u)
{
    double x;

    memcpy(&x, &u, sizeof x);
    return x;
}

KERN_FN uint32_t kern_f32_bits(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    return u;
}

KERN_FN float kern_f32_from_bits(uint32_t u)
{
    float x;

    memcpy(&x, &u, sizeof x);
    return x;
}

/* The canonical quiet NaN: positive, payload zero. Hardware NaNs differ in sign and payload from
 * machine to machine, so every function of ours that makes or passes one returns this one. */
KERN_FN double kern_nan(void)
{
    return kern_f64_from_bits(KERN_NAN_BITS);
}

KERN_FN float kern_nanf(void)
{
    return kern_f32_from_bits(KERN_NANF_BITS);
}

/* x, or the canonical NaN in place of any NaN. */
KERN_FN double kern_canonical(double x)
{
    return x == x ? x : kern_nan();
}

KERN_FN float kern_canonicalf(float x)
{
    return x == x ? x : kern_nanf();
}

KERN_FN double kern_abs(double x)
{
    return kern_f64_from_bits(kern_f64_bits(x) & ~KERN_SIGN_BIT);
}

KERN_FN float kern_absf(float x)
{
    return kern_f32_from_bits(kern_f32_bits(x) & ~KERN_SIGNF_BIT);
}

/* a * b + c, rounded once. */
KERN_FN double kern_fma(double a, double b, double c)
{
#if defined(__CUDACC__)
    return fma(a, b, c);
#else
    return __builtin_fma(a, b, c);
#endif
}

KERN_FN float kern_fmaf(float a, float b, float c)
{
#if defined(__CUDACC__)
    return fmaf(a, b, c);
#else
    return __builtin_fmaf(a, b, c);
#endif
}

KERN_FN double kern_sqrt(double x)
{
#if defined(__CUDACC__)
    return sqrt(x);
#else
    return __builtin_sqrt(x);
#endif
}

KERN_FN float kern_sqrtf(float x)
{
#if defined(__CUDACC__)
    return sqrtf(x);
#else
    return __builtin_sqrtf(x);
#endif
}

/* ---- minimum, maximum, floor ---- */

/* Minimum and maximum as IEEE 754-2019 defines them: NaN (the canonical one) if either is NaN,
 * and -0 is less than +0. So both are commutative and associative to the bit. Where the two are
 * equal, their bits differ in the sign of zero at most: OR gives -0, AND gives +0. */
KERN_FN double kern_min(double a, double b)
{
    double equal = kern_f64_from_bits(kern_f64_bits(a) | kern_f64_bits(b));
    double least = a < b ? a : b < a ? b : equal;

    return a == a && b == b ? least : kern_nan();
}

KERN_FN double kern_max(double a, double b)
{
    double equal = kern_f64_from_bits(kern_f64_bits(a) & kern_f64_bits(b));
    double greatest = a > b ? a : b > a ? b : equal;

    return a == a && b == b ? greatest : kern_nan();
}

KERN_FN float kern_minf(float a, float b)
{
    float equal = kern_f32_from_bits(kern_f32_bits(a) | kern_f32_bits(b));
    float least = a < b ? a : b < a ? b : equal;

    return a == a && b == b ? least : kern_nanf();
}

KERN_FN float kern_maxf(float a, float b)
{
    float equal = kern_f32_from_bits(kern_f32_bits(a) & kern_f32_bits(b));
    float greatest = a > b ? a : b > a ? b : equal;

    return a == a && b == b ? greatest : kern_nanf();
}

/* The largest integer not above x; -0, infinities and the sign of zero are kept. Any double of
 * 2^52 and more is an integer already. */
KERN_FN double kern_floor(double x)
{
    double size = kern_abs(x);
    double near = (size + 0x1p52) - 0x1p52;
    double whole = kern_f64_from_bits(kern_f64_bits(near) | (kern_f64_bits(x) & KERN_SIGN_BIT));
    double below = whole - (whole > x ? 1.0 : 0.0);

    return kern_canonical(size < 0x1p52 ? below : x);
}

KERN_FN float kern_floorf(float x)
{
    float size = kern_absf(x);
    float near = (size + 0x1p23f) - 0x1p23f;
    float whole = kern_f32_from_bits(kern_f32_bits(near) | (kern_f32_bits(x) & KERN_SIGNF_BIT));
    float below = whole - (whole > x ? 1.0f : 0.0f);

    return kern_canonicalf(size < 0x1p23f ? below : x);
}

/* ---- conversion to integers ---- */

/* Toward zero. A value whose integer part the type cannot hold gives the nearest end of the type,
 * NaN gives 0, and both OR 1 into *bad, which is never cleared. An f32 is widened first: exact. */
KERN_FN int32_t kern_to_i32(double x, uint32_t *bad)
{
    double low = x < -0x1p31 ? -0x1p31 : x;
    double held = low > 0x1.fffffffcp30 ? 0x1.fffffffcp30 : low;

    *bad |= (uint32_t) !(x > -0x1.00000002p31 && x < 0x1p31);
    return (int32_t)(x == x ? held : 0.0);
}

KERN_FN int64_t kern_to_i64(double x, uint32_t *bad)
{
    int fits = x >= -0x1p63 && x < 0x1p63;
    int64_t end = x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : 0;
    int64_t whole = (int64_t)(fits ? x : 0.0);

    *bad |= (uint32_t)!fits;
    return fits ? whole : end;
}

KERN_FN uint32_t kern_to_u32(double x, uint32_t *bad)
{
    double low = x > 0.0 ? x : 0.0;
    double held = low > 0x1.fffffffep31 ? 0x1.fffffffep31 : low;

    *bad |= (uint32_t) !(x > -1.0 && x < 0x1p32);
    return (uint32_t)held;
}

KERN_FN uint64_t kern_to_u64(double x, uint32_t *bad)
{
    int fits = x > -1.0 && x < 0x1p64;
    uint64_t end = x >= 0x1p64 ? UINT64_MAX : 0;
    uint64_t whole = (uint64_t)(fits && x > 0.0 ? x : 0.0);

    *bad |= (uint32_t)!fits;
    return fits ? whole : end;
}

KERN_FN uint8_t kern_to_u8(double x, uint32_t *bad)
{
    double low = x > 0.0 ? x : 0.0;
    double held = low > 255.0 ? 255.0 : low;

    *bad |= (uint32_t) !(x > -1.0 && x < 256.0);
    return (uint8_t)held;
}

/* ---- integer division and shifts, defined for all inputs ---- */

/* Division rounds toward zero. By zero: quotient 0, remainder a, so that a == q * b + r always
 * holds. The one signed quotient that does not fit, INT_MIN / -1, wraps to INT_MIN, remainder 0. */
KERN_FN uint32_t kern_div_u32(uint32_t a, uint32_t b)
{
    return b == 0 ? 0 : a / b;
}

KERN_FN uint32_t kern_rem_u32(uint32_t a, uint32_t b)
{
    return a - kern_div_u32(a, b) * b;
}

KERN_FN uint64_t kern_div_u64(uint64_t a, uint64_t b)
{
    return b == 0 ? 0 : a / b;
}

KERN_FN uint64_t kern_rem_u64(uint64_t a, uint64_t b)
{
    return a - kern_div_u64(a, b) * b;
}

KERN_FN int32_t kern_div_i32(int32_t a, int32_t b)
{
    int32_t wrapped = (int32_t)(0 - (uint32_t)a);

    return b == 0 ? 0 : b == -1 ? wrapped : a / b;
}

KERN_FN int32_t kern_rem_i32(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a - (uint32_t)kern_div_i32(a, b) * (uint32_t)b);
}

KERN_FN int64_t kern_div_i64(int64_t a, int64_t b)
{
    int64_t wrapped = (int64_t)(0 - (uint64_t)a);

    return b == 0 ? 0 : b == -1 ? wrapped : a / b;
}

KERN_FN int64_t kern_rem_i64(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)kern_div_i64(a, b) * (uint64_t)b);
}

/* Shifts by the width and more push every bit out: 0, or the sign for an arithmetic shift. */
KERN_FN uint32_t kern_shl_u32(uint32_t a, uint32_t count)
{
    return count < 32 ? a << (count & 31) : 0;
}

KERN_FN uint32_t kern_shr_u32(uint32_t a, uint32_t count)
{
    return count < 32 ? a >> (count & 31) : 0;
}

KERN_FN int32_t kern_sar_i32(int32_t a, uint32_t count)
{
    return a >> (count < 32 ? count : 31);
}

KERN_FN uint64_t kern_shl_u64(uint64_t a, uint32_t count)
{
    return count < 64 ? a << (count & 63) : 0;
}

KERN_FN uint64_t kern_shr_u64(uint64_t a, uint32_t count)
{
    return count < 64 ? a >> (count & 63) : 0;
}

KERN_FN int64_t kern_sar_i64(int64_t a, uint32_t count)
{
    return a >> (count < 64 ? count : 63);
}

#endif
