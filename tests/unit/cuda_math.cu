/* Compile check: every number function of kernels/ that serves CUDA, called from a kernel. */
#include "kernels/kern_math.h"
#include "kernels/kern_philox.h"
#include "kernels/kern_reduce.h"

__global__ void cuda_math_f32(const float *x, const float *y, float *out)
{
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;

    out[i] = kern_expf(x[i]) + kern_logf(x[i]) + kern_sinf(x[i]) + kern_cosf(x[i]) +
             kern_powf(x[i], y[i]) + kern_minf(x[i], y[i]) + kern_maxf(x[i], y[i]) +
             kern_floorf(x[i]) + kern_fmaf(x[i], y[i], kern_sqrtf(y[i]));
}

__global__ void cuda_math_f64(const double *x, const double *y, double *out)
{
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;

    out[i] = kern_exp(x[i]) + kern_log(x[i]) + kern_sin(x[i]) + kern_cos(x[i]) +
             kern_pow(x[i], y[i]) + kern_cbrt(x[i]) + kern_min(x[i], y[i]) + kern_max(x[i], y[i]) +
             kern_floor(x[i]) + kern_sqrt(y[i]);
}

__global__ void cuda_math_int(const double *x, long long *out, unsigned int *bad)
{
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    int32_t a = kern_to_i32(x[i], &bad[i]);
    int64_t b = kern_to_i64(x[i], &bad[i]);
    uint32_t c = kern_to_u32(x[i], &bad[i]);
    uint64_t d = kern_to_u64(x[i], &bad[i]) + kern_to_u8(x[i], &bad[i]);

    out[i] = kern_div_i32(a, 7) + kern_rem_i32(a, (int32_t)c) + kern_div_i64(b, 9) +
             kern_rem_i64(b, a) + (long long)kern_div_u32(c, 3) + (long long)kern_rem_u32(c, 3) +
             (long long)kern_div_u64(d, 5) + (long long)kern_rem_u64(d, 5) + kern_sar_i64(b, c) +
             kern_sar_i32(a, c) + (long long)kern_shl_u64(d, c) + (long long)kern_shr_u64(d, c) +
             (long long)kern_shl_u32(c, c) + (long long)kern_shr_u32(c, c);
}

__global__ void cuda_philox(const uint64_t *rows, float *f, double *d, uint32_t *one)
{
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    kern_words w = kern_philox_row(1, rows[i], 2, 3);
    kern_normalsf single = kern_normalf(w.w[0], w.w[1]);
    kern_normals pair = kern_normal(kern_join(w.w[0], w.w[1]), kern_join(w.w[2], w.w[3]));

    one[i] = kern_philox_one_row(1, rows[i], 2, 3);
    f[i] = single.first + single.second + kern_uniformf(w.w[0]) + kern_uniformf_positive(w.w[1]);
    d[i] = pair.first + pair.second + kern_uniform(rows[i]) + kern_uniform_positive(rows[i]);
}

__global__ void cuda_reduce(kern_total *totals, kern_moments *moments, kern_value *values,
                            kern_type type, double *out)
{
    totals[0] = kern_total_add(totals[0], totals[1]);
    moments[0] = kern_moments_add(moments[0], moments[1]);
    values[0] = kern_value_min(values[0], values[1], type);
    values[1] = kern_value_max(values[1], values[2], type);
    out[0] = kern_total_f64(totals[0], type);
}
