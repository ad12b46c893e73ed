#include "kernels/kern_boids.h"

static const kern_boids_sum sum_zero;

/* A block's own rows, one per lane. */
typedef struct boids_lanes {
    kern_i32v self; /* places in the pad */
    kern_real row[6];
} boids_lanes;

/* The candidates of one span; shifted and own are constants of each call. */
KERN_FN void boids_span(const kern_boids_params *p, const kern_pad *pad, const uint32_t *candidates,
                        const kern_span *span, bool shifted, bool own, const boids_lanes *lanes,
                        kern_boids_sum *sum)
{
    float *const *columns = pad->columns;

    for (uint32_t k = span->begin; k < span->end; k++) {
        uint32_t j = candidates[k];
        kern_mask other = kern_lane_all();
        kern_real dx[3], velocity[3];

        if (own)
            other = kern_lane_differ(lanes->self, kern_lane_set_index(j));
        for (int axis = 0; axis < 3; axis++) {
            dx[axis] = lanes->row[axis] - kern_lane_set(columns[axis][j]);
            if (shifted)
                dx[axis] -= kern_lane_set(span->shift[axis]);
            velocity[axis] = kern_lane_set(columns[3 + axis][j]);
        }
        kern_boids_pair(p, dx, velocity, other, sum);
    }
}

static void boids_block(const kern_boids_params *params, const kern_pad *pad,
                        const kern_block *block, float *const out[6])
{
    const kern_boids_params p = *params;
    boids_lanes lanes = { .self = kern_lane_load_index(block->places) };
    kern_boids_sum sum = sum_zero;

    for (int c = 0; c < 6; c++)
        lanes.row[c] = kern_lane_gather(pad->columns[c], block->places);
    for (uint32_t i = 0; i < block->span_count; i++) {
        const kern_span *span = &block->spans[i];

        if (span->shifted)
            boids_span(&p, pad, block->candidates, span, true, true, &lanes, &sum);
        else if (span->own)
            boids_span(&p, pad, block->candidates, span, false, true, &lanes, &sum);
        else
            boids_span(&p, pad, block->candidates, span, false, false, &lanes, &sum);
    }
    kern_boids_finish(&p, &sum, lanes.row, lanes.row + 3);
    for (int c = 0; c < 6; c++)
        if (out[c] != NULL)
            kern_lane_scatter(out[c], block->rows, lanes.row[c]);
}

size_t kern_boids_scratch_size(const kern_halo *halo)
{
    return kern_pad_size(halo, 6);
}

void kern_boids(const kern_boids_params *p, const kern_halo *halo, float *const out[6],
                void *scratch)
{
    kern_pad pad;
    kern_block block;

    kern_pad_init(&pad, halo, 6, p->radius, scratch);
    for (uint32_t i = 0; i < pad.block_count; i++) {
        kern_pad_block(&pad, i, &block);
        boids_block(p, &pad, &block, out);
    }
}
