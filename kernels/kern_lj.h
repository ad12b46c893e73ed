/* The 12-6 potential of Lennard-Jones (1924), cut off, as LAMMPS' lj/cut:
 *
 *   u(r) = 4 epsilon ((sigma/r)^12 - (sigma/r)^6) - u0  for r < cutoff, else 0
 *
 * u0 is 0, or, shifted, what makes u continuous at the cutoff: the force is the same, and the total
 * energy is conserved, while without a shift it moves with the number of pairs within the cutoff.
 *
 *   f_i  = sum over j of 24 epsilon (2 (sigma/r)^12 - (sigma/r)^6) / r^2 * (x_i - x_j)
 *
 * A row's potential is half the sum of u, its virial half the sum of f_ij . (x_i - x_j); so their
 * sums over all rows are the system's, and 3 V P = sum m v^2 + sum virial.
 *
 * With q = (sigma/r)^2 and s = q^3 the loop sums q s (s - 1/2) (x_i - x_j), s (s - 1/2) and s;
 * constants are applied once, at the end. */
#ifndef KERN_LJ_H
#define KERN_LJ_H

#include <stdbool.h>

#include "kernels/kern_lane.h"

typedef struct kern_lj_params {
    float epsilon; /* depth of the potential, energy */
    float sigma;   /* distance where it is 0, length */
    float cutoff;  /* length */
    float level;   /* 2 (sc^2 - sc), sc = (sigma / cutoff)^6, for a shifted potential; else 0 */
} kern_lj_params;

/* All zero before the first neighbour. */
typedef struct kern_lj_sum {
    kern_real force[3]; /* in units of 48 epsilon / sigma^2 */
    kern_real twelve;   /* s (s - 1/2) */
    kern_real six;      /* s, plus the level */
} kern_lj_sum;

/* Adds what neighbour j does to row i, where other holds; dx = x_i - x_j, less the shift. level is a
 * constant of each call: whether the potential is shifted. */
KERN_FN void kern_lj_pair(const kern_lj_params *p, const kern_real dx[3], kern_mask other, bool level,
                          kern_lj_sum *sum)
{
    kern_real square = kern_lane_fma(dx[2], dx[2], kern_lane_fma(dx[1], dx[1], dx[0] * dx[0]));
    kern_mask near = kern_lane_lt_if(other, square, kern_lane_set(p->cutoff * p->cutoff));
    kern_real q = kern_lane_set(p->sigma * p->sigma) / square;
    kern_real s = q * q * q;
    kern_real twelve = s * (s - kern_lane_set(0.5f));
    kern_real push = q * twelve;

    for (int axis = 0; axis < 3; axis++)
        sum->force[axis] = kern_lane_sum_fma_if(near, push, dx[axis], sum->force[axis]);
    sum->twelve = kern_lane_sum_if(near, sum->twelve, twelve);
    sum->six = kern_lane_sum_if(near, sum->six, level ? s + kern_lane_set(p->level) : s);
}

/* The row's own numbers, when the last neighbour has been met. */
KERN_FN void kern_lj_finish(const kern_lj_params *p, const kern_lj_sum *sum, kern_real force[3],
                            kern_real *potential, kern_real *virial)
{
    kern_real unit = kern_lane_set(48.0f * p->epsilon / (p->sigma * p->sigma));

    for (int axis = 0; axis < 3; axis++)
        force[axis] = sum->force[axis] * unit + kern_lane_set(0.0f);
    *potential = kern_lane_set(2.0f * p->epsilon) *
                 kern_lane_fma(kern_lane_set(-0.5f), sum->six, sum->twelve);
    *virial = kern_lane_set(24.0f * p->epsilon) * sum->twelve;
}

#if !defined(__CUDACC__)

#include "kernels/kern_cells.h"

/* Bytes of scratch memory for one call of kern_lj. */
size_t kern_lj_scratch_size(const kern_halo *halo);

/* The force on, the potential and the virial of every row of the middle tile. Columns of the halo:
 * x, y, z. To out, in the tile's row order, 64-byte aligned: fx, fy, fz, potential, virial; a force
 * along an axis that the tile does not have is not written. No cell is narrower than p->cutoff,
 * with a margin of 1e-5 for rounding. scratch is 64-byte aligned. */
void kern_lj(const kern_lj_params *p, const kern_halo *halo, float *const out[5], void *scratch);

#endif
#endif
