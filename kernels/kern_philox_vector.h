/* Vectors of Philox blocks, for kern_philox.c. Private.
 *
 * A lane is a block. Each 32-bit word stands in the low half of a 64-bit lane, because the machine's
 * widening multiply (vpmuludq) reads low halves and ignores what the high halves hold: so a round is two
 * multiplies, two shifts and four exclusive ors per vector, with nothing to mask or to shuffle. */
#ifndef KERN_PHILOX_VECTOR_H
#define KERN_PHILOX_VECTOR_H

#include "kernels/kern_philox.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

enum {
    PHILOX_LANES = KERN_LANES / 2,
    PHILOX_RUN = 4 * PHILOX_LANES, /* rows that one vector of shared blocks serves */
};

typedef uint64_t philox_v __attribute__((vector_size(8 * PHILOX_LANES)));
typedef uint32_t philox_half __attribute__((vector_size(4 * PHILOX_LANES)));

/* What does not change from vector to vector. */
typedef struct philox_plan {
    uint64_t k0[KERN_PHILOX_ROUNDS];
    uint64_t k1[KERN_PHILOX_ROUNDS];
    uint32_t step;
    uint32_t block;
} philox_plan;

typedef struct philox_block {
    philox_v w[4]; /* high halves: anything */
} philox_block;

/* The places that need the machine's own names. philox_mul is the product of the low halves:
 * gcc does not find the instruction in (a & mask) * b and emits three multiplies (v3) or the slow
 * 64-bit one (v4). philox_join is the upper half of p, changed by b and k, with the lower half of p above
 * it: two words of a block after the last round. */
#if defined(__AVX512F__)
static inline philox_v philox_mul(philox_v a, uint32_t b)
{
    return (philox_v)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64((long long)b));
}

static inline philox_v philox_join(philox_v p, philox_v b, uint64_t k)
{
    __m512i turned = _mm512_ror_epi64((__m512i)p, 32);

    return (philox_v)_mm512_mask_ternarylogic_epi32(turned, 0x5555, (__m512i)b,
                                                    _mm512_set1_epi64((long long)k), 0x96);
}

static inline int philox_is_zero(philox_v a)
{
    return _mm512_test_epi64_mask((__m512i)a, (__m512i)a) == 0;
}
#else
static inline philox_v philox_join(philox_v p, philox_v b, uint64_t k)
{
    return (((p >> 32) ^ b ^ k) & UINT32_MAX) | p << 32;
}

#if defined(__AVX2__)
static inline philox_v philox_mul(philox_v a, uint32_t b)
{
    return (philox_v)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x((long long)b));
}

static inline int philox_is_zero(philox_v a)
{
    return _mm256_testz_si256((__m256i)a, (__m256i)a);
}
#else
static inline philox_v philox_mul(philox_v a, uint32_t b)
{
    return (a & UINT32_MAX) * (uint64_t)b;
}

static inline int philox_is_zero(philox_v a)
{
    uint64_t any = 0;

    for (int i = 0; i < PHILOX_LANES; i++)
        any |= a[i];
    return any == 0;
}
#endif
#endif

/* Not returned by value: gcc would copy it in vectors wider than those it was just written in, and wait for that. */
static inline void philox_prepare(philox_plan *plan, uint64_t key, uint32_t step, uint32_t block)
{
    uint32_t k0 = (uint32_t)key;
    uint32_t k1 = (uint32_t)(key >> 32);

    plan->step = step;
    plan->block = block;
    for (int round = 0; round < KERN_PHILOX_ROUNDS; round++) {
        plan->k0[round] = k0;
        plan->k1[round] = k1;
        k0 += KERN_PHILOX_W0;
        k1 += KERN_PHILOX_W1;
    }
}

/* The blocks of PHILOX_LANES 64-bit row numbers. */
static inline philox_block philox_lanes(const philox_plan *plan, philox_v row)
{
    philox_v a = row;
    philox_v b = row >> 32;
    philox_v c = (philox_v){ 0 } + plan->step;
    philox_v d = (philox_v){ 0 } + plan->block;

    for (int round = 0; round < KERN_PHILOX_ROUNDS; round++) {
        philox_v p0 = philox_mul(a, KERN_PHILOX_M0);
        philox_v p1 = philox_mul(c, KERN_PHILOX_M1);

        a = (p1 >> 32) ^ b ^ plan->k0[round];
        b = p1;
        c = (p0 >> 32) ^ d ^ plan->k1[round];
        d = p0;
    }
    return (philox_block){ { a, b, c, d } };
}

/* Puts the lanes of a and b side by side: a0 b0 a1 b1 ... */
#if KERN_LANES == 16
static inline void philox_store_pairs(uint32_t *w, philox_v a, philox_v b)
{
    philox_v first = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    philox_v second = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);

    memcpy(w, &first, sizeof first);
    memcpy(w + PHILOX_RUN / 2, &second, sizeof second);
}
#else
static inline void philox_store_pairs(uint32_t *w, philox_v a, philox_v b)
{
    philox_v first = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    philox_v second = __builtin_shufflevector(a, b, 2, 6, 3, 7);

    memcpy(w, &first, sizeof first);
    memcpy(w + PHILOX_RUN / 2, &second, sizeof second);
}
#endif

#endif
