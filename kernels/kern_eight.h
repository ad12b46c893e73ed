/* Vectors of eight floats, for work that goes along one row's neighbours or a record's members, not
 * across rows: they are never added to each other. Every word is one correctly rounded IEEE operation
 * per element, or moves bits. Host only. */
#ifndef KERN_EIGHT_H
#define KERN_EIGHT_H

#include "kernels/kern_base.h"

#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

typedef float kern_eight __attribute__((vector_size(32)));
typedef int32_t kern_eight_bits __attribute__((vector_size(32)));
typedef float kern_four __attribute__((vector_size(16)));

KERN_FN kern_eight kern_eight_load(const void *from)
{
    kern_eight a;

    memcpy(&a, from, sizeof a);
    return a;
}

KERN_FN void kern_eight_store(void *to, kern_eight a)
{
    memcpy(to, &a, sizeof a);
}

/* Four floats from each of two places. */
KERN_FN kern_eight kern_eight_load_halves(const void *low, const void *high)
{
    kern_four a, b;

    memcpy(&a, low, sizeof a);
    memcpy(&b, high, sizeof b);
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
}

KERN_FN kern_eight kern_eight_set(float a)
{
    return (kern_eight){ a, a, a, a, a, a, a, a };
}

#if defined(__AVX2__) && defined(__FMA__)

KERN_FN kern_eight kern_eight_fma(kern_eight a, kern_eight b, kern_eight c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* A bit for each element of a mask (all ones or zeros). */
KERN_FN uint32_t kern_eight_mask_bits(kern_eight_bits m)
{
    return (uint32_t)_mm256_movemask_ps((__m256)m);
}

#else

KERN_FN kern_eight kern_eight_fma(kern_eight a, kern_eight b, kern_eight c)
{
    for (int i = 0; i < 8; i++)
        a[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return a;
}

KERN_FN uint32_t kern_eight_mask_bits(kern_eight_bits m)
{
    uint32_t bits = 0;

    for (int i = 0; i < 8; i++)
        bits |= ((uint32_t)m[i] & 1U) << i;
    return bits;
}

#endif

/* Eight rows of eight become the columns, or the other way round. */
KERN_FN void kern_eight_transpose(kern_eight r[8])
{
    kern_eight p[8], q[8];

    for (int k = 0; k < 8; k += 2) {
        p[k] = __builtin_shufflevector(r[k], r[k + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        p[k + 1] = __builtin_shufflevector(r[k], r[k + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int k = 0; k < 8; k += 4) {
        q[k] = __builtin_shufflevector(p[k], p[k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        q[k + 1] = __builtin_shufflevector(p[k], p[k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        q[k + 2] = __builtin_shufflevector(p[k + 1], p[k + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        q[k + 3] = __builtin_shufflevector(p[k + 1], p[k + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (int k = 0; k < 4; k++) {
        r[k] = __builtin_shufflevector(q[k], q[k + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        r[k + 4] = __builtin_shufflevector(q[k], q[k + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

#endif
