/* Flocking birds: Reynolds' three rules (SIGGRAPH 1987) with the walls and speed limits of FLAME
 * GPU 2's boids example, so that figures can be compared. One step of one row:
 *
 *   for each neighbour j nearer than radius, d its distance
 *       if d < separation_radius:
 *           change += collision * (1 - d / separation_radius)^2 * (x_i - x_j)
 *   if there is one
 *       change += steer * (mean of x_j - x_i) + match * (mean of v_j) - v_i
 *   v += scale * change, its length brought to speed_min .. speed_max
 *   v += wall_steer within wall_distance of a closed edge's low end, -= at its high end
 *   x += dt * v, then clamped to a closed edge or wrapped around a periodic one
 *
 * A row without speed that needs one gets it along +x. */
#ifndef KERN_BOIDS_H
#define KERN_BOIDS_H

#include "kernels/kern_lane.h"

typedef enum kern_edge {
    KERN_EDGE_NONE, /* there is no such axis */
    KERN_EDGE_CLOSED,
    KERN_EDGE_PERIODIC,
} kern_edge;

typedef struct kern_boids_params {
    float radius, separation_radius;
    float scale, steer, collision, match;
    float speed_min, speed_max;
    float wall_distance, wall_steer;
    float dt;
    float size[3];
    kern_edge edge[3];
} kern_boids_params;

/* What a row has gathered from its neighbours; all zero before the first. */
typedef struct kern_boids_sum {
    kern_real count;
    kern_real away[3];     /* x_i - x_j */
    kern_real velocity[3]; /* v_j */
    kern_real separate[3]; /* the first rule */
} kern_boids_sum;

/* Adds what neighbour j does to row i, where other holds; dx = x_i - x_j, less the shift. */
KERN_FN void kern_boids_pair(const kern_boids_params *p, const kern_real dx[3],
                             const kern_real velocity[3], kern_mask other, kern_boids_sum *sum)
{
    kern_real one = kern_lane_set(1.0f);
    kern_real square = kern_lane_fma(dx[2], dx[2], kern_lane_fma(dx[1], dx[1], dx[0] * dx[0]));
    kern_mask near = kern_lane_lt_if(other, square, kern_lane_set(p->radius * p->radius));
    kern_mask close =
        kern_lane_lt_if(near, square, kern_lane_set(p->separation_radius * p->separation_radius));

    /* Half of the sums are multiplied by one and added, which rounds the same: a processor has as
     * many multipliers as adders, and nothing else here would use them. */
    sum->count = kern_lane_sum_if(near, sum->count, one);
    for (int axis = 0; axis < 3; axis++) {
        sum->away[axis] = kern_lane_sum_if(near, sum->away[axis], dx[axis]);
        sum->velocity[axis] = kern_lane_sum_fma_if(near, velocity[axis], one, sum->velocity[axis]);
    }
    if (kern_lane_any(close)) {
        kern_real share = kern_lane_sqrt(square) / kern_lane_set(p->separation_radius);
        kern_real room = one - share;
        kern_real push = kern_lane_set(p->collision) * (room * room);

        for (int axis = 0; axis < 3; axis++)
            sum->separate[axis] = kern_lane_fma_if(close, push, dx[axis], sum->separate[axis]);
    }
}

/* All three rules: v becomes what the neighbours make of it. */
KERN_FN void kern_boids_steer(const kern_boids_params *p, const kern_boids_sum *sum, kern_real v[3])
{
    kern_mask some = kern_lane_lt(kern_lane_set(0.0f), sum->count);
    kern_real share = kern_lane_set(1.0f) / sum->count;

    for (int axis = 0; axis < 3; axis++) {
        kern_real centre = -(sum->away[axis] * share) * kern_lane_set(p->steer);
        kern_real match = sum->velocity[axis] * share * kern_lane_set(p->match) - v[axis];
        kern_real change = kern_lane_add_if(some, sum->separate[axis], centre);

        change = kern_lane_add_if(some, change, match);
        v[axis] = kern_lane_fma(kern_lane_set(p->scale), change, v[axis]);
    }
}

/* Brings the length of v to speed_min .. speed_max. */
KERN_FN void kern_boids_limit(const kern_boids_params *p, kern_real v[3])
{
    kern_real square = kern_lane_fma(v[2], v[2], kern_lane_fma(v[1], v[1], v[0] * v[0]));
    kern_real least = kern_lane_set(p->speed_min), most = kern_lane_set(p->speed_max);
    kern_real speed = kern_lane_sqrt(square);
    kern_mask resting = kern_lane_lt(speed, kern_lane_set(1e-30f));
    kern_real bound = kern_lane_select(kern_lane_lt(most, speed), most, speed);
    kern_real factor;

    bound = kern_lane_select(kern_lane_lt(speed, least), least, bound);
    factor = kern_lane_select(resting, kern_lane_set(0.0f), bound / speed);
    for (int axis = 0; axis < 3; axis++)
        v[axis] = v[axis] * factor;
    v[0] = kern_lane_select(resting, least, v[0]);
}

/* One axis of the walls and the move; x and v become the new ones. */
KERN_FN void kern_boids_move(const kern_boids_params *p, int axis, kern_real *x, kern_real *v)
{
    kern_real size = kern_lane_set(p->size[axis]), wall = kern_lane_set(p->wall_distance);
    kern_real zero = kern_lane_set(0.0f), to;

    if (p->edge[axis] == KERN_EDGE_CLOSED) {
        *v = kern_lane_add_if(kern_lane_lt(*x, wall), *v, kern_lane_set(p->wall_steer));
        *v = kern_lane_add_if(kern_lane_lt(size - *x, wall), *v, kern_lane_set(-p->wall_steer));
    }
    to = kern_lane_fma(*v, kern_lane_set(p->dt), *x);
    if (p->edge[axis] == KERN_EDGE_CLOSED) {
        to = kern_lane_select(kern_lane_lt(to, zero), zero, to);
        to = kern_lane_select(kern_lane_lt(size, to), size, to);
    } else if (p->edge[axis] == KERN_EDGE_PERIODIC) {
        to = kern_lane_add_if(kern_lane_lt(to, zero), to, size);
        to = kern_lane_select(kern_lane_lt(to, size), to, to - size);
    }
    *x = to;
}

/* All that follows when the last neighbour has been met. */
KERN_FN void kern_boids_finish(const kern_boids_params *p, const kern_boids_sum *sum,
                               kern_real x[3], kern_real v[3])
{
    kern_boids_steer(p, sum, v);
    kern_boids_limit(p, v);
    for (int axis = 0; axis < 3; axis++)
        kern_boids_move(p, axis, &x[axis], &v[axis]);
}

#if !defined(__CUDACC__)

#include "kernels/kern_near.h"

/* Bytes of scratch memory for one call of kern_boids. */
size_t kern_boids_scratch_size(const kern_halo *halo);

/* One step of every row of the middle tile. Columns of the halo: x, y, z, vx, vy, vz. The same six
 * go to out, in the tile's row order, 64-byte aligned; a column that is null in the tile is not
 * written. No cell is narrower than p->radius, with a margin of 1e-5 for rounding. scratch is
 * 64-byte aligned. */
void kern_boids(const kern_boids_params *p, const kern_halo *halo, float *const out[6],
                void *scratch);

/* The same, to the bit, by lists that were made of the same rows in the same cells, while whoever is
 * within the radius is in them. */
size_t kern_boids_near_scratch_size(const kern_near *near);
void kern_boids_near(const kern_boids_params *p, const kern_halo *halo, const kern_near *near,
                     float *const out[6], void *scratch);

#endif
#endif
