/* One lane's arithmetic: the words in which a pair formula is written once and runs on the host and
 * under CUDA with the same bits.
 *
 * On the host a kern_real is a vector, one row of the simulation per lane, and a kern_mask says for
 * which lanes something holds; under nvcc they are a float and a bool. Every word below is one
 * correctly rounded IEEE operation per lane, or moves bits. A masked word leaves the lanes outside
 * its mask as they are, bit for bit: it never adds a zero, which would turn -0 into +0.
 *
 * The intrinsics of the pair kernels live here and nowhere else; the last branch needs none. */
#ifndef KERN_LANE_H
#define KERN_LANE_H

#include "kernels/kern_base.h"

#if defined(__CUDACC__)

typedef float kern_real;
typedef bool kern_mask;

KERN_FN kern_real kern_lane_set(float a)
{
    return a;
}

KERN_FN kern_real kern_lane_sqrt(kern_real a)
{
    return sqrtf(a);
}

KERN_FN kern_real kern_lane_fma(kern_real a, kern_real b, kern_real c)
{
    return fmaf(a, b, c);
}

KERN_FN kern_mask kern_lane_lt(kern_real a, kern_real b)
{
    return a < b;
}

KERN_FN kern_mask kern_lane_lt_if(kern_mask m, kern_real a, kern_real b)
{
    return m && a < b;
}

KERN_FN bool kern_lane_any(kern_mask m)
{
    return m;
}

KERN_FN kern_real kern_lane_select(kern_mask m, kern_real yes, kern_real no)
{
    return m ? yes : no;
}

KERN_FN kern_real kern_lane_add_if(kern_mask m, kern_real sum, kern_real a)
{
    return m ? sum + a : sum;
}

KERN_FN kern_real kern_lane_fma_if(kern_mask m, kern_real a, kern_real b, kern_real sum)
{
    return m ? fmaf(a, b, sum) : sum;
}

#else

#include <stdbool.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

typedef kern_f32v kern_real;

KERN_FN kern_real kern_lane_set(float a)
{
    return a - (kern_real){ 0 };
}

KERN_FN kern_i32v kern_lane_set_index(uint32_t a)
{
    return (int32_t)a + (kern_i32v){ 0 };
}

/* Vectors at any address of 4-byte numbers. */
KERN_FN kern_real kern_lane_load(const float *from)
{
    kern_real a;

    __builtin_memcpy(&a, from, sizeof a);
    return a;
}

KERN_FN void kern_lane_store(float *to, kern_real a)
{
    __builtin_memcpy(to, &a, sizeof a);
}

KERN_FN kern_i32v kern_lane_load_index(const uint32_t *from)
{
    kern_i32v a;

    __builtin_memcpy(&a, from, sizeof a);
    return a;
}

KERN_FN void kern_lane_store_index(uint32_t *to, kern_i32v a)
{
    __builtin_memcpy(to, &a, sizeof a);
}

/* 0, 1, 2, ...: a lane's own number. */
KERN_FN kern_i32v kern_lane_index(void)
{
#if KERN_LANES == 16
    return (kern_i32v){ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
#else
    return (kern_i32v){ 0, 1, 2, 3, 4, 5, 6, 7 };
#endif
}

/* Scattered numbers to lanes and back. */
KERN_FN kern_real kern_lane_gather(const float *from, const uint32_t at[KERN_LANES])
{
#if KERN_LANES == 16
    return (kern_real){ from[at[0]],  from[at[1]],  from[at[2]],  from[at[3]],
                        from[at[4]],  from[at[5]],  from[at[6]],  from[at[7]],
                        from[at[8]],  from[at[9]],  from[at[10]], from[at[11]],
                        from[at[12]], from[at[13]], from[at[14]], from[at[15]] };
#else
    return (kern_real){ from[at[0]], from[at[1]], from[at[2]], from[at[3]],
                        from[at[4]], from[at[5]], from[at[6]], from[at[7]] };
#endif
}

KERN_FN void kern_lane_scatter(float *to, const uint32_t at[KERN_LANES], kern_real a)
{
    float lane[KERN_LANES];

    kern_lane_store(lane, a);
    for (int i = 0; i < KERN_LANES; i++)
        to[at[i]] = lane[i];
}

KERN_FN kern_real kern_lane_abs(kern_real a)
{
    return (kern_real)((kern_i32v)a & 0x7fffffff);
}

#if defined(__AVX512F__) && defined(__AVX512VL__)

#if KERN_LANES == 16
typedef __mmask16 kern_mask;
typedef __m512i kern_bits;
#define KERN_MM(name) _mm512_##name
#else
typedef __mmask8 kern_mask;
typedef __m256i kern_bits;
#define KERN_MM(name) _mm256_##name
#endif

KERN_FN kern_real kern_lane_sqrt(kern_real a)
{
    return KERN_MM(sqrt_ps)(a);
}

KERN_FN kern_real kern_lane_max(kern_real a, kern_real b)
{
    return KERN_MM(max_ps)(a, b);
}

KERN_FN kern_real kern_lane_min(kern_real a, kern_real b)
{
    return KERN_MM(min_ps)(a, b);
}

KERN_FN kern_real kern_lane_fma(kern_real a, kern_real b, kern_real c)
{
    return KERN_MM(fmadd_ps)(a, b, c);
}

KERN_FN kern_mask kern_lane_lt(kern_real a, kern_real b)
{
    return KERN_MM(cmp_ps_mask)(a, b, _CMP_LT_OQ);
}

KERN_FN kern_mask kern_lane_lt_if(kern_mask m, kern_real a, kern_real b)
{
    return KERN_MM(mask_cmp_ps_mask)(m, a, b, _CMP_LT_OQ);
}

/* The lanes below n. */
KERN_FN kern_mask kern_lane_first(uint32_t n)
{
    return (kern_mask)(n >= KERN_LANES ? UINT32_MAX : (1U << n) - 1);
}

KERN_FN kern_mask kern_lane_all(void)
{
    return (kern_mask)UINT32_MAX;
}

/* The lanes where two indices differ. */
KERN_FN kern_mask kern_lane_differ(kern_i32v a, kern_i32v b)
{
    return KERN_MM(cmpneq_epi32_mask)((kern_bits)a, (kern_bits)b);
}

KERN_FN bool kern_lane_any(kern_mask m)
{
    return m != 0;
}

KERN_FN kern_real kern_lane_select(kern_mask m, kern_real yes, kern_real no)
{
    return KERN_MM(mask_blend_ps)(m, no, yes);
}

KERN_FN kern_real kern_lane_add_if(kern_mask m, kern_real sum, kern_real a)
{
    return KERN_MM(mask_add_ps)(sum, m, sum, a);
}

KERN_FN kern_real kern_lane_fma_if(kern_mask m, kern_real a, kern_real b, kern_real sum)
{
    return KERN_MM(mask3_fmadd_ps)(a, b, sum, m);
}

/* Writes the elements of a that m names, in order, and up to a whole vector behind them; returns
 * how many were named. */
KERN_FN uint32_t kern_lane_compress_index(uint32_t *to, kern_mask m, kern_i32v a)
{
    kern_lane_store_index(to, (kern_i32v)KERN_MM(maskz_compress_epi32)(m, (kern_bits)a));
    return (uint32_t)__builtin_popcount(m);
}

#else

typedef kern_i32v kern_mask;

#if defined(__AVX2__) && defined(__FMA__)

KERN_FN kern_real kern_lane_sqrt(kern_real a)
{
    return _mm256_sqrt_ps(a);
}

KERN_FN kern_real kern_lane_fma(kern_real a, kern_real b, kern_real c)
{
    return _mm256_fmadd_ps(a, b, c);
}

KERN_FN kern_real kern_lane_select(kern_mask m, kern_real yes, kern_real no)
{
    return _mm256_blendv_ps(no, yes, (__m256)m);
}

KERN_FN uint32_t kern_lane_mask_bits(kern_mask m)
{
    return (uint32_t)_mm256_movemask_ps((__m256)m);
}

#else

KERN_FN kern_real kern_lane_sqrt(kern_real a)
{
    for (int i = 0; i < KERN_LANES; i++)
        a[i] = __builtin_sqrtf(a[i]);
    return a;
}

KERN_FN kern_real kern_lane_fma(kern_real a, kern_real b, kern_real c)
{
    for (int i = 0; i < KERN_LANES; i++)
        a[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return a;
}

KERN_FN kern_real kern_lane_select(kern_mask m, kern_real yes, kern_real no)
{
    return (kern_real)((m & (kern_i32v)yes) | (~m & (kern_i32v)no));
}

KERN_FN uint32_t kern_lane_mask_bits(kern_mask m)
{
    uint32_t bits = 0;

    for (int i = 0; i < KERN_LANES; i++)
        bits |= ((uint32_t)m[i] & 1U) << i;
    return bits;
}

#endif

KERN_FN kern_real kern_lane_max(kern_real a, kern_real b)
{
    return kern_lane_select(a < b, b, a);
}

KERN_FN kern_real kern_lane_min(kern_real a, kern_real b)
{
    return kern_lane_select(a < b, a, b);
}

KERN_FN kern_mask kern_lane_lt(kern_real a, kern_real b)
{
    return a < b;
}

KERN_FN kern_mask kern_lane_lt_if(kern_mask m, kern_real a, kern_real b)
{
    return m & (a < b);
}

KERN_FN kern_mask kern_lane_first(uint32_t n)
{
    return kern_lane_index() < kern_lane_set_index(n);
}

KERN_FN kern_mask kern_lane_all(void)
{
    return ~(kern_mask){ 0 };
}

KERN_FN kern_mask kern_lane_differ(kern_i32v a, kern_i32v b)
{
    return a != b;
}

KERN_FN bool kern_lane_any(kern_mask m)
{
    return kern_lane_mask_bits(m) != 0;
}

KERN_FN kern_real kern_lane_add_if(kern_mask m, kern_real sum, kern_real a)
{
    return kern_lane_select(m, sum + a, sum);
}

KERN_FN kern_real kern_lane_fma_if(kern_mask m, kern_real a, kern_real b, kern_real sum)
{
    return kern_lane_select(m, kern_lane_fma(a, b, sum), sum);
}

KERN_FN uint32_t kern_lane_compress_index(uint32_t *to, kern_mask m, kern_i32v a)
{
    uint32_t bits = kern_lane_mask_bits(m), n = 0;

    for (int i = 0; i < KERN_LANES; i++) {
        to[n] = (uint32_t)a[i];
        n += bits >> i & 1U;
    }
    return n;
}

#endif

/* The least of all lanes. */
KERN_FN float kern_lane_least(kern_real a)
{
#if KERN_LANES == 16
    a = kern_lane_min(a, __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4,
                                                 5, 6, 7));
    a = kern_lane_min(a, __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8,
                                                 9, 10, 11));
    a = kern_lane_min(a, __builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14,
                                                 15, 12, 13));
#else
    a = kern_lane_min(a, __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3));
    a = kern_lane_min(a, __builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5));
#endif
    return a[0] < a[1] ? a[0] : a[1];
}

#endif
#endif
