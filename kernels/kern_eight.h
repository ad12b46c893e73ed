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
typedef uint32_t kern_four_bits __attribute__((vector_size(16)));

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
#if defined(__AVX2__)

KERN_FN kern_eight kern_eight_load_halves(const void *low, const void *high)
{
    __m256 a = _mm256_castps128_ps256(_mm_loadu_ps(low));

    return _mm256_insertf128_ps(a, _mm_loadu_ps(high), 1);
}

#else

KERN_FN kern_eight kern_eight_load_halves(const void *low, const void *high)
{
    kern_four a, b;

    memcpy(&a, low, sizeof a);
    memcpy(&b, high, sizeof b);
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
}

#endif

KERN_FN kern_eight kern_eight_set(float a)
{
    return (kern_eight){ a, a, a, a, a, a, a, a };
}

#if defined(__AVX2__) && defined(__FMA__)

KERN_FN kern_eight kern_eight_fma(kern_eight a, kern_eight b, kern_eight c)
{
    return _mm256_fmadd_ps(a, b, c);
}

#else

KERN_FN kern_eight kern_eight_fma(kern_eight a, kern_eight b, kern_eight c)
{
    for (int i = 0; i < 8; i++)
        a[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return a;
}

#endif

/* Masks: a bit for each element. kern_eight_lt_if is a < b where m holds. kern_eight_compress writes
 * those of eight numbers that m names, in order, and up to eight in all; it returns their end. */
#if defined(__AVX512VL__)

KERN_FN uint32_t kern_eight_lt_if(uint32_t m, kern_eight a, kern_eight b)
{
    return _mm256_mask_cmp_ps_mask((__mmask8)m, a, b, _CMP_LT_OQ);
}

KERN_FN uint32_t *kern_eight_compress(uint32_t *to, uint32_t m, const uint32_t *from)
{
    __m256i all = _mm256_loadu_si256((const __m256i *)(const void *)from);

    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_maskz_compress_epi32((__mmask8)m, all));
    return to + __builtin_popcount(m);
}

#else

KERN_FN uint32_t kern_eight_lt_if(uint32_t m, kern_eight a, kern_eight b)
{
#if defined(__AVX2__)
    return m & (uint32_t)_mm256_movemask_ps((__m256)(a < b));
#else
    uint32_t bits = 0;

    for (int i = 0; i < 8; i++)
        bits |= (uint32_t)(a[i] < b[i]) << i;
    return m & bits;
#endif
}

KERN_FN uint32_t *kern_eight_compress(uint32_t *to, uint32_t m, const uint32_t *from)
{
    for (int i = 0; i < 8; i++) {
        *to = from[i];
        to += m >> i & 1;
    }
    return to;
}

#endif

/* Four by four of both halves: the first three members of eight become vectors. */
KERN_FN void kern_eight_transpose_three(const kern_eight r[4], kern_eight to[3])
{
    kern_eight a = __builtin_shufflevector(r[0], r[1], 0, 8, 1, 9, 4, 12, 5, 13);
    kern_eight b = __builtin_shufflevector(r[0], r[1], 2, 10, 3, 11, 6, 14, 7, 15);
    kern_eight c = __builtin_shufflevector(r[2], r[3], 0, 8, 1, 9, 4, 12, 5, 13);
    kern_eight d = __builtin_shufflevector(r[2], r[3], 2, 10, 3, 11, 6, 14, 7, 15);

    to[0] = __builtin_shufflevector(a, c, 0, 1, 8, 9, 4, 5, 12, 13);
    to[1] = __builtin_shufflevector(a, c, 2, 3, 10, 11, 6, 7, 14, 15);
    to[2] = __builtin_shufflevector(b, d, 0, 1, 8, 9, 4, 5, 12, 13);
}

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
