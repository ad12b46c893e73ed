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

/* Numbers at eight indices. */
#if defined(__AVX2__)

KERN_FN kern_eight_bits kern_eight_gather(const uint32_t *from, kern_eight_bits at)
{
    return (kern_eight_bits)_mm256_i32gather_epi32((const int *)from, (__m256i)at, 4);
}

#else

KERN_FN kern_eight_bits kern_eight_gather(const uint32_t *from, kern_eight_bits at)
{
    for (int i = 0; i < 8; i++)
        at[i] = (int32_t)from[at[i]];
    return at;
}

#endif

/* The first halves of two. */
KERN_FN kern_eight kern_eight_first_halves(kern_eight a, kern_eight b)
{
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
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

#else

KERN_FN kern_eight kern_eight_fma(kern_eight a, kern_eight b, kern_eight c)
{
    for (int i = 0; i < 8; i++)
        a[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return a;
}

#endif

/* lt: a bit for each element that is less. one_if_lt: 1 where it is less, else 0. */
#if defined(__AVX512VL__)

KERN_FN uint32_t kern_eight_lt(kern_eight a, kern_eight b)
{
    return _mm256_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

KERN_FN kern_eight kern_eight_one_if_lt(kern_eight a, kern_eight b)
{
    return _mm256_maskz_mov_ps(_mm256_cmp_ps_mask(a, b, _CMP_LT_OQ), kern_eight_set(1));
}

#else

KERN_FN uint32_t kern_eight_lt(kern_eight a, kern_eight b)
{
#if defined(__AVX2__)
    return (uint32_t)_mm256_movemask_ps((__m256)(a < b));
#else
    uint32_t bits = 0;

    for (int i = 0; i < 8; i++)
        bits |= (uint32_t)(a[i] < b[i]) << i;
    return bits;
#endif
}

KERN_FN kern_eight kern_eight_one_if_lt(kern_eight a, kern_eight b)
{
    return (kern_eight)((a < b) & (kern_eight_bits)kern_eight_set(1));
}

#endif

/* Writes a where each element can be read by itself: to take one from memory costs nothing, to take it
 * from a vector a shuffle, which is what a compiler prefers that knows what it has just written. */
KERN_FN void kern_eight_lay(float to[8], kern_eight a)
{
    memcpy(to, &a, sizeof a);
    __asm__("" : "+m"(*(float(*)[8])to));
}

/* Four by four of both halves: the first four of eight rows become vectors, rows 0 to 3 in r's first halves. */
KERN_FN void kern_eight_transpose_four(const kern_eight r[4], kern_eight to[4])
{
    kern_eight a = __builtin_shufflevector(r[0], r[1], 0, 8, 1, 9, 4, 12, 5, 13);
    kern_eight b = __builtin_shufflevector(r[0], r[1], 2, 10, 3, 11, 6, 14, 7, 15);
    kern_eight c = __builtin_shufflevector(r[2], r[3], 0, 8, 1, 9, 4, 12, 5, 13);
    kern_eight d = __builtin_shufflevector(r[2], r[3], 2, 10, 3, 11, 6, 14, 7, 15);

    to[0] = __builtin_shufflevector(a, c, 0, 1, 8, 9, 4, 5, 12, 13);
    to[1] = __builtin_shufflevector(a, c, 2, 3, 10, 11, 6, 7, 14, 15);
    to[2] = __builtin_shufflevector(b, d, 0, 1, 8, 9, 4, 5, 12, 13);
    to[3] = __builtin_shufflevector(b, d, 2, 3, 10, 11, 6, 7, 14, 15);
}

#endif
