#include "kernels/kern_lj.h"

static const kern_lj_sum sum_zero;

/* The candidates of one span; shift is read only where the span is shifted. */
KERN_FN void lj_span(const kern_lj_params *p, const kern_pad *pad, const kern_block *block,
                     uint32_t begin, const kern_span *span, bool shifted, bool own, const kern_real x[3],
                     kern_i32v self, kern_lj_sum *sum)
{
    float *const *columns = pad->columns;

    for (uint32_t k = begin; k < span->end; k++) {
        uint32_t j = block->candidates[k];
        kern_mask other = kern_lane_all();
        kern_real dx[3];

        if (own)
            other = kern_lane_differ(self, kern_lane_set_index(j));
        for (int axis = 0; axis < 3; axis++) {
            dx[axis] = x[axis] - kern_lane_set(columns[axis][j]);
            if (shifted)
                dx[axis] -= kern_lane_set(span->shift[axis]);
        }
        kern_lj_pair(p, dx, other, sum);
    }
}

static void lj_block(const kern_lj_params *params, const kern_pad *pad, const kern_block *block,
                     float *const out[5])
{
    const kern_lj_params p = *params;
    kern_i32v self = kern_lane_load_index(block->places);
    kern_lj_sum sum = sum_zero;
    kern_real x[3], result[5];
    uint32_t begin = 0;

    for (int axis = 0; axis < 3; axis++)
        x[axis] = kern_lane_gather(pad->columns[axis], block->places);
    for (uint32_t i = 0; i < block->span_count; i++) {
        const kern_span *span = &block->spans[i];

        if (span->shifted)
            lj_span(&p, pad, block, begin, span, true, true, x, self, &sum);
        else if (span->own)
            lj_span(&p, pad, block, begin, span, false, true, x, self, &sum);
        else
            lj_span(&p, pad, block, begin, span, false, false, x, self, &sum);
        begin = span->end;
    }
    kern_lj_finish(&p, &sum, result, &result[3], &result[4]);
    for (int c = 0; c < 5; c++)
        if (out[c] != NULL)
            kern_lane_scatter(out[c], block->rows, result[c]);
}

size_t kern_lj_scratch_size(const kern_halo *halo)
{
    return kern_pad_size(halo, 3);
}

void kern_lj(const kern_lj_params *p, const kern_halo *halo, float *const out[5], void *scratch)
{
    kern_pad pad;
    kern_block block;

    kern_pad_init(&pad, halo, 3, p->cutoff, scratch);
    for (uint32_t i = 0; i < pad.block_count; i++) {
        kern_pad_block(&pad, i, &block);
        lj_block(p, &pad, &block, out);
    }
}
