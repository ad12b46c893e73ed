/* What every kernel header starts from: the marker that makes one inline function serve the host
 * and CUDA, and the vector types that host loops are written in.
 *
 * The lane count is a constant of each build of the library: 16 lanes of 32 bits where the
 * compiler may use AVX-512 (x86-64-v4), 8 elsewhere (x86-64-v3). It decides how fast a loop runs
 * and never what it computes: a lane is a row, and lanes are never added to each other. */
#ifndef KERN_BASE_H
#define KERN_BASE_H

#include <stdint.h>

#if defined(__CUDACC__)
#define KERN_FN static __host__ __device__ __forceinline__
#else
#define KERN_FN static inline __attribute__((always_inline, unused))
#endif

#if !defined(__CUDACC__)
#if defined(__AVX512F__)
#define KERN_LANES 16
#else
#define KERN_LANES 8
#endif

typedef float kern_f32v __attribute__((vector_size(4 * KERN_LANES)));
typedef int32_t kern_i32v __attribute__((vector_size(4 * KERN_LANES)));
typedef uint32_t kern_u32v __attribute__((vector_size(4 * KERN_LANES)));
#endif

#endif
