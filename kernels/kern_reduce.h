/* Reductions whose result does not depend on how the work was divided.
 *
 * Within a column slice (the rows of one key group, from its row 0): row i belongs to lane i mod
 * 16; a lane adds its rows in order, in f64; then the lanes are halved: lane j takes lane j + 8,
 * then j + 4, j + 2, j + 1. Integers are added exactly, and minimum and maximum do not depend on
 * any order by their definition (kern_min, kern_max of kern_num.h: a NaN among the rows gives the
 * canonical NaN, -0 is below +0).
 *
 * Between slices: a fixed binary tree over key-group numbers, kern_tree below. */
#ifndef KERN_REDUCE_H
#define KERN_REDUCE_H

#include <stddef.h>

#include "kernels/kern_num.h"

typedef enum kern_type {
    KERN_F32 = 1,
    KERN_F64,
    KERN_I32,
    KERN_I64,
    KERN_U32,
    KERN_U64,
    KERN_U8,
} kern_type;

/* ---- totals ---- */

/* Two's complement. Holds any sum of 2^63 rows of any integer column. */
typedef struct kern_int128 {
    uint64_t low;
    uint64_t high;
} kern_int128;

/* The sum of a column: `real` for f32 and f64, `whole` for integers; the other is 0. */
typedef struct kern_total {
    double real;
    kern_int128 whole;
} kern_total;

KERN_FN kern_int128 kern_int128_add(kern_int128 a, kern_int128 b)
{
    kern_int128 sum;

    sum.low = a.low + b.low;
    sum.high = a.high + b.high + (sum.low < a.low);
    return sum;
}

/* The nearest double, ties to even. Beyond 64 bits the lost ones are gathered into the last bit of
 * the upper 64, so that the one conversion rounds right. */
KERN_FN double kern_int128_f64(kern_int128 a)
{
    uint64_t sign = 0 - (a.high >> 63);
    uint64_t low = (a.low ^ sign) - sign;
    uint64_t high = (a.high ^ sign) + (low == 0 ? sign & 1 : 0);
    double scale = sign != 0 ? -0x1p64 : 0x1p64;

    if (high == 0)
        return sign != 0 ? -(double)low : (double)low;
    while (high >> 63 == 0) {
        high = high << 1 | low >> 63;
        low <<= 1;
        scale *= 0.5;
    }
    return (double)(high | (low != 0)) * scale;
}

/* The sum of two slices; exact for integers. */
KERN_FN kern_total kern_total_add(kern_total a, kern_total b)
{
    kern_total sum;

    sum.real = kern_canonical(a.real + b.real);
    sum.whole = kern_int128_add(a.whole, b.whole);
    return sum;
}

/* The sum as one number: an integer total is rounded here, once. */
KERN_FN double kern_total_f64(kern_total total, kern_type type)
{
    return type == KERN_F32 || type == KERN_F64 ? total.real : kern_int128_f64(total.whole);
}

/* ---- extremes ---- */

/* One value of a column, widened: f64 for f32 and f64, i64 for i32 and i64, u64 for the others. */
typedef union kern_value {
    double f64;
    int64_t i64;
    uint64_t u64;
} kern_value;

KERN_FN kern_value kern_value_min(kern_value a, kern_value b, kern_type type)
{
    kern_value least;

    if (type == KERN_F32 || type == KERN_F64)
        least.f64 = kern_min(a.f64, b.f64);
    else if (type == KERN_I32 || type == KERN_I64)
        least.i64 = b.i64 < a.i64 ? b.i64 : a.i64;
    else
        least.u64 = b.u64 < a.u64 ? b.u64 : a.u64;
    return least;
}

KERN_FN kern_value kern_value_max(kern_value a, kern_value b, kern_type type)
{
    kern_value greatest;

    if (type == KERN_F32 || type == KERN_F64)
        greatest.f64 = kern_max(a.f64, b.f64);
    else if (type == KERN_I32 || type == KERN_I64)
        greatest.i64 = b.i64 > a.i64 ? b.i64 : a.i64;
    else
        greatest.u64 = b.u64 > a.u64 ? b.u64 : a.u64;
    return greatest;
}

/* ---- mean and variance ---- */

/* The variance of a population is m2 / count, a sample's m2 / (count - 1). */
typedef struct kern_moments {
    uint64_t count;
    double mean;
    double m2; /* sum of squared deviations from the mean */
} kern_moments;

/* The moments of two slices together (Chan, Golub, LeVeque 1979); an empty one changes nothing. */
KERN_FN kern_moments kern_moments_add(kern_moments a, kern_moments b)
{
    double count = (double)(a.count + b.count);
    double share = (double)b.count / count;
    double delta = b.mean - a.mean;
    kern_moments both;

    if (a.count == 0 || b.count == 0)
        return a.count == 0 ? b : a;
    both.count = a.count + b.count;
    both.mean = kern_canonical(a.mean + delta * share);
    both.m2 = kern_canonical(a.m2 + b.m2 + delta * delta * ((double)a.count * share));
    return both;
}

/* ---- columns (host) ---- */

#if !defined(__CUDACC__)

/* All of them borrow a column slice of `count` rows of `type`, aligned as that type asks. */

/* An empty slice, and one of nothing but -0, has the sum +0. */
kern_total kern_column_sum(const void *column, kern_type type, uint32_t count);

/* Of at least one row. */
kern_value kern_column_min(const void *column, kern_type type, uint32_t count);
kern_value kern_column_max(const void *column, kern_type type, uint32_t count);

/* In two passes: the mean is the sum divided by the count; m2 is summed in the same lanes. */
kern_moments kern_column_moments(const void *column, kern_type type, uint32_t count);

/* ---- the tree over key groups ---- */

/* Combines partial results, put in ascending order of their key-group numbers, as the binary tree
 * over [0, 2^k) does: a node's halves are combined, left with right; where one half has no partial
 * result the node is the other half. The result is a function of the numbers and values, not of k
 * or of who computed what. A stack of one value per level suffices: a node is complete when a
 * number outside of it arrives. */
enum { KERN_TREE_DEPTH = 33 };

/* *left becomes the combination of left with right. */
typedef void (*kern_combine)(void *left, const void *right, void *user);

typedef struct kern_tree {
    kern_combine combine;
    void *user;
    unsigned char *values; /* borrowed until the end */
    size_t size;           /* bytes of a value */
    uint32_t count;
    uint32_t numbers[KERN_TREE_DEPTH];
} kern_tree;

/* values: room for KERN_TREE_DEPTH values of `size` bytes. */
void kern_tree_init(kern_tree *tree, void *values, size_t size, kern_combine combine, void *user);

/* Copies the value; number must be above all that were put before. */
void kern_tree_put(kern_tree *tree, uint32_t number, const void *value);

/* The result, in the caller's values; null if nothing was put. The tree is empty afterwards. */
void *kern_tree_end(kern_tree *tree);

#endif

#endif
