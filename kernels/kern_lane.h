/* One lane's arithmetic: the words in which a pair formula is written once and runs on the host and
 * under CUDA with the same bits.
 *
 * On the host a kern_real is a vector, one row of the simulation per lane, and a kern_mask says for
 * which lanes something holds; under nvcc they are a float and a bool. Every word is one correctly
 * rounded IEEE operation per lane, or moves bits:
 *
 *   set(a)                     a in every lane
 *   sqrt(a)  fma(a, b, c)      a * b + c, rounded once
 *   lt(a, b)  lt_if(m, a, b)   a < b; and m
 *   any(m)                     whether it holds anywhere
 *   select(m, yes, no)
 *   add_if(m, sum, a)          sum + a where m, else sum to the bit: -0 stays -0
 *   fma_if(m, a, b, sum)       the same of a * b + sum
 *   sum_if(m, sum, a)          add_if for a sum that began at +0
 *   sum_fma_if(m, a, b, sum)   fma_if for such a sum
 *
 * The last two may add +0 where m does not hold, which is cheaper without mask registers and
 * changes no number but -0. Adding never turns a sum that began at +0 into -0; adding a product
 * can, if it underflows. So a sum of such products gets +0 added at its end, after which no zero in
 * it is -0. */
#ifndef KERN_LANE_H
#define KERN_LANE_H

#if defined(__CUDACC__)
#include "kernels/kern_lane_cuda.h"
#elif defined(__AVX512F__)
#include "kernels/kern_lane_avx512.h"
#else
#include "kernels/kern_lane_vector.h"
#endif

#endif
