/* kern_lane.h with vectors of eight and no mask registers: a mask is a vector of all ones or zeros.
 * AVX2's instructions are used where the compiler has them; the rest runs anywhere. */
#ifndef KERN_LANE_VECTOR_H
#define KERN_LANE_VECTOR_H

#if !defined(__AVX512F__) && !defined(__CUDACC__)

#include "kernels/kern_eight.h"
#include "kernels/kern_lane_memory.h"

#include <stdbool.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

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

KERN_FN kern_real kern_lane_sum_if(kern_mask m, kern_real sum, kern_real a)
{
    return sum + (kern_real)(m & (kern_i32v)a);
}

KERN_FN kern_real kern_lane_sum_fma_if(kern_mask m, kern_real a, kern_real b, kern_real sum)
{
    return kern_lane_fma((kern_real)(m & (kern_i32v)a), b, sum);
}

#if defined(__AVX2__)

/* Half a vector at a time; row m of the table moves the elements that m names to the front. */
KERN_FN uint32_t kern_lane_compress_index(uint32_t *to, kern_mask m, kern_i32v a, uint32_t n)
{
    static const int32_t front[16][4] = {
        { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 1, 0, 0, 0 }, { 0, 1, 0, 0 },
        { 2, 0, 0, 0 }, { 0, 2, 0, 0 }, { 1, 2, 0, 0 }, { 0, 1, 2, 0 },
        { 3, 0, 0, 0 }, { 0, 3, 0, 0 }, { 1, 3, 0, 0 }, { 0, 1, 3, 0 },
        { 2, 3, 0, 0 }, { 0, 2, 3, 0 }, { 1, 2, 3, 0 }, { 0, 1, 2, 3 },
    };
    uint32_t bits = kern_lane_mask_bits(m), low = bits & 15, high = bits >> 4;
    __m128 low_half = _mm256_castps256_ps128((__m256)a);
    __m128 high_half = _mm256_extractf128_ps((__m256)a, 1);
    __m128i low_front = _mm_loadu_si128((const __m128i *)front[low]);
    __m128i high_front = _mm_loadu_si128((const __m128i *)front[high]);

    _mm_storeu_ps((float *)to, _mm_permutevar_ps(low_half, low_front));
    to += __builtin_popcount(low);
    _mm_storeu_ps((float *)to, _mm_permutevar_ps(high_half, high_front));
    return (uint32_t)__builtin_popcount(bits & kern_lane_bits_below(n));
}

#else

KERN_FN uint32_t kern_lane_compress_index(uint32_t *to, kern_mask m, kern_i32v a, uint32_t n)
{
    uint32_t bits = kern_lane_mask_bits(m) & kern_lane_bits_below(n), count = 0;

    for (int i = 0; i < KERN_LANES; i++) {
        to[count] = (uint32_t)a[i];
        count += bits >> i & 1U;
    }
    return count;
}

#endif

/* Four numbers from each of eight places, `stride` numbers apart: a vector of each of the four. */
KERN_FN void kern_lane_load_fours(const float *from, uint32_t stride, kern_real to[4])
{
    kern_eight r[4];

    for (uint32_t i = 0; i < 4; i++)
        r[i] = kern_eight_load_halves(from + i * stride, from + (i + 4) * stride);
    kern_eight_transpose_four(r, to);
}

/* The least of all lanes. */
KERN_FN float kern_lane_least(kern_real a)
{
    a = kern_lane_min(a, __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3));
    a = kern_lane_min(a, __builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5));
    return a[0] < a[1] ? a[0] : a[1];
}

#endif
#endif
