/* What the host's variants of kern_lane.h share: vectors to and from memory. */
#ifndef KERN_LANE_MEMORY_H
#define KERN_LANE_MEMORY_H

#include "kernels/kern_base.h"

#if !defined(__CUDACC__)

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
typedef float kern_f32u __attribute__((vector_size(4 * KERN_LANES), aligned(4), may_alias));
typedef int32_t kern_i32u __attribute__((vector_size(4 * KERN_LANES), aligned(4), may_alias));

KERN_FN kern_real kern_lane_load(const float *from)
{
    return *(const kern_f32u *)from;
}

KERN_FN void kern_lane_store(float *to, kern_real a)
{
    *(kern_f32u *)to = a;
}

KERN_FN kern_i32v kern_lane_load_index(const uint32_t *from)
{
    return *(const kern_i32u *)from;
}

KERN_FN void kern_lane_store_index(uint32_t *to, kern_i32v a)
{
    *(kern_i32u *)to = a;
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

/* A bit for each of the first n lanes. */
KERN_FN uint32_t kern_lane_bits_below(uint32_t n)
{
    return n < KERN_LANES ? (1U << n) - 1 : (uint32_t)((UINT64_C(1) << KERN_LANES) - 1);
}

#endif
#endif
