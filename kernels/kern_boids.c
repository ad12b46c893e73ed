#include "kernels/kern_boids.h"

static const kern_boids_sum sum_zero;

/* The candidates of one span; shift is read only where the span is shifted. */
KERN_FN void boids_span(const kern_boids_params *p, const kern_pad *pad, const kern_block *block,
                        uint32_t begin, const kern_span *span, bool shifted, bool own, const kern_real x[3],
                        kern_i32v self, kern_boids_sum *sum)
{
    float *const *columns = pad->columns;

    for (uint32_t k = begin; k < span->end; k++) {
        uint32_t j = block->candidates[k];
        kern_mask other = kern_lane_all();
        kern_real dx[3], velocity[3];

        if (own)
            other = kern_lane_differ(self, kern_lane_set_index(j));
        for (int axis = 0; axis < 3; axis++) {
            dx[axis] = x[axis] - kern_lane_set(columns[axis][j]);
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
    kern_i32v self = kern_lane_load_index(block->places);
    kern_boids_sum sum = sum_zero;
    kern_real row[6];
    uint32_t begin = 0;

    for (int c = 0; c < 6; c++)
        row[c] = kern_lane_gather(pad->columns[c], block->places);
    for (uint32_t i = 0; i < block->span_count; i++) {
        const kern_span *span = &block->spans[i];

        if (span->shifted)
            boids_span(&p, pad, block, begin, span, true, true, row, self, &sum);
        else if (span->own)
            boids_span(&p, pad, block, begin, span, false, true, row, self, &sum);
        else
            boids_span(&p, pad, block, begin, span, false, false, row, self, &sum);
        begin = span->end;
    }
    kern_boids_finish(&p, &sum, row, row + 3);
    for (int c = 0; c < 6; c++)
        if (out[c] != NULL)
            kern_lane_scatter(out[c], block->rows, row[c]);
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
