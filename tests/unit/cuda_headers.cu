// The pair kernels' headers as nvcc sees them: compiled, not run, where nvcc is found.
#include "kernels/kern_boids.h"
#include "kernels/kern_lj.h"
#include "kernels/kern_sir.h"

__global__ void boids_rows(kern_boids_params p, const float *x, const float *v, int count,
                           float *out)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    kern_boids_sum sum = {};

    if (i >= count)
        return;
    float at[3] = { x[i], x[count + i], x[2 * count + i] };
    float velocity[3] = { v[i], v[count + i], v[2 * count + i] };
    for (int j = 0; j < count; j++) {
        float dx[3] = { at[0] - x[j], at[1] - x[count + j], at[2] - x[2 * count + j] };
        float other[3] = { v[j], v[count + j], v[2 * count + j] };

        kern_boids_pair(&p, dx, other, j != i, &sum);
    }
    kern_boids_finish(&p, &sum, at, velocity);
    for (int axis = 0; axis < 3; axis++) {
        out[axis * count + i] = at[axis];
        out[(3 + axis) * count + i] = velocity[axis];
    }
}

__global__ void lj_rows(kern_lj_params p, const float *x, int count, float *out)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    kern_lj_sum sum = {};
    float force[3], potential, virial;

    if (i >= count)
        return;
    for (int j = 0; j < count; j++) {
        float dx[3] = { x[i] - x[j], x[count + i] - x[count + j],
                        x[2 * count + i] - x[2 * count + j] };

        kern_lj_pair(&p, dx, j != i, false, &sum);
    }
    kern_lj_finish(&p, &sum, force, &potential, &virial);
    for (int axis = 0; axis < 3; axis++)
        out[axis * count + i] = force[axis];
    out[3 * count + i] = potential;
    out[4 * count + i] = virial;
}
