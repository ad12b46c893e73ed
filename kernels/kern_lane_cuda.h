/* kern_lane.h under nvcc: a lane is a thread. */
#ifndef KERN_LANE_CUDA_H
#define KERN_LANE_CUDA_H

#if defined(__CUDACC__)

#include "kernels/kern_base.h"

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

KERN_FN kern_real kern_lane_sum_if(kern_mask m, kern_real sum, kern_real a)
{
    return m ? sum + a : sum;
}

KERN_FN kern_real kern_lane_sum_fma_if(kern_mask m, kern_real a, kern_real b, kern_real sum)
{
    return m ? fmaf(a, b, sum) : sum;
}

#endif
#endif
