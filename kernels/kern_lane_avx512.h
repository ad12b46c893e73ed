/* kern_lane.h with AVX-512: a mask is a mask register, and what it leaves alone costs nothing. */
#ifndef KERN_LANE_AVX512_H
#define KERN_LANE_AVX512_H

#if defined(__AVX512F__) && !defined(__CUDACC__)

#include "kernels/kern_lane_memory.h"

#include <immintrin.h>
#include <stdbool.h>

typedef __mmask16 kern_mask;

KERN_FN kern_real kern_lane_sqrt(kern_real a)
{
    return _mm512_sqrt_ps(a);
}

KERN_FN kern_real kern_lane_max(kern_real a, kern_real b)
{
    return _mm512_max_ps(a, b);
}

KERN_FN kern_real kern_lane_min(kern_real a, kern_real b)
{
    return _mm512_min_ps(a, b);
}

KERN_FN kern_real kern_lane_fma(kern_real a, kern_real b, kern_real c)
{
    return _mm512_fmadd_ps(a, b, c);
}

KERN_FN kern_mask kern_lane_lt(kern_real a, kern_real b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

KERN_FN kern_mask kern_lane_lt_if(kern_mask m, kern_real a, kern_real b)
{
    return _mm512_mask_cmp_ps_mask(m, a, b, _CMP_LT_OQ);
}

KERN_FN kern_mask kern_lane_all(void)
{
    return (kern_mask)UINT32_MAX;
}

/* The lanes where two indices differ. */
KERN_FN kern_mask kern_lane_differ(kern_i32v a, kern_i32v b)
{
    return _mm512_cmpneq_epi32_mask((__m512i)a, (__m512i)b);
}

KERN_FN bool kern_lane_any(kern_mask m)
{
    return m != 0;
}

KERN_FN kern_real kern_lane_select(kern_mask m, kern_real yes, kern_real no)
{
    return _mm512_mask_blend_ps(m, no, yes);
}

KERN_FN kern_real kern_lane_add_if(kern_mask m, kern_real sum, kern_real a)
{
    return _mm512_mask_add_ps(sum, m, sum, a);
}

KERN_FN kern_real kern_lane_fma_if(kern_mask m, kern_real a, kern_real b, kern_real sum)
{
    return _mm512_mask3_fmadd_ps(a, b, sum, m);
}

KERN_FN kern_real kern_lane_sum_if(kern_mask m, kern_real sum, kern_real a)
{
    return kern_lane_add_if(m, sum, a);
}

KERN_FN kern_real kern_lane_sum_fma_if(kern_mask m, kern_real a, kern_real b, kern_real sum)
{
    return kern_lane_fma_if(m, a, b, sum);
}

/* Writes the elements of a that m names, in order, and up to a whole vector behind them; returns
 * how many of them are among the first n lanes. */
KERN_FN uint32_t kern_lane_compress_index(uint32_t *to, kern_mask m, kern_i32v a, uint32_t n)
{
    kern_lane_store_index(to, (kern_i32v)_mm512_maskz_compress_epi32(m, (__m512i)a));
    return (uint32_t)__builtin_popcount(m & kern_lane_bits_below(n));
}

/* Four numbers from each of 16 places, `stride` numbers apart: a vector of each of the four. */
KERN_FN void kern_lane_load_fours(const float *from, uint32_t stride, kern_real to[4])
{
    __m512 r[4], low[2], high[2];

    for (uint32_t i = 0; i < 4; i++) {
        r[i] = _mm512_castps128_ps512(_mm_loadu_ps(from + i * stride));
        r[i] = _mm512_insertf32x4(r[i], _mm_loadu_ps(from + (i + 4) * stride), 1);
        r[i] = _mm512_insertf32x4(r[i], _mm_loadu_ps(from + (i + 8) * stride), 2);
        r[i] = _mm512_insertf32x4(r[i], _mm_loadu_ps(from + (i + 12) * stride), 3);
    }
    for (int i = 0; i < 2; i++) {
        low[i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        high[i] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    to[0] = _mm512_shuffle_ps(low[0], low[1], 0x44);
    to[1] = _mm512_shuffle_ps(low[0], low[1], 0xee);
    to[2] = _mm512_shuffle_ps(high[0], high[1], 0x44);
    to[3] = _mm512_shuffle_ps(high[0], high[1], 0xee);
}

/* The least of all lanes. */
KERN_FN float kern_lane_least(kern_real a)
{
    return _mm512_reduce_min_ps(a);
}

#endif
#endif
