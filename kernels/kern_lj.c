#include "kernels/kern_lj.h"

static const kern_lj_sum sum_zero;

/* A block's own rows, one per lane. */
typedef struct lj_lanes {
    kern_i32v self; /* places in the pad */
    kern_real row[3];
} lj_lanes;

/* The candidates of one span; shifted, own and level are constants of each call. */
KERN_FN void lj_span(const kern_lj_params *p, const kern_pad *pad, const uint32_t *candidates,
                     const kern_span *span, bool shifted, bool own, bool level,
                     const lj_lanes *lanes, kern_lj_sum *sum)
{
    float *const *columns = pad->columns;

    for (uint32_t k = span->begin; k < span->end; k++) {
        uint32_t j = candidates[k];
        kern_mask other = kern_lane_all();
        kern_real dx[3];

        if (own)
            other = kern_lane_differ(lanes->self, kern_lane_set_index(j));
        for (int axis = 0; axis < 3; axis++) {
            dx[axis] = lanes->row[axis] - kern_lane_set(columns[axis][j]);
            if (shifted)
                dx[axis] -= kern_lane_set(span->shift[axis]);
        }
        kern_lj_pair(p, dx, other, level, sum);
    }
}

KERN_FN void lj_block(const kern_lj_params *params, const kern_pad *pad, const kern_block *block,
                      bool level, float *const out[5])
{
    const kern_lj_params p = *params;
    lj_lanes lanes = { .self = kern_lane_load_index(block->places) };
    kern_lj_sum sum = sum_zero;
    kern_real result[5];

    for (int axis = 0; axis < 3; axis++)
        lanes.row[axis] = kern_lane_gather(pad->columns[axis], block->places);
    for (uint32_t i = 0; i < block->span_count; i++) {
        const kern_span *span = &block->spans[i];

        if (span->shifted)
            lj_span(&p, pad, block->candidates, span, true, true, level, &lanes, &sum);
        else if (span->own)
            lj_span(&p, pad, block->candidates, span, false, true, level, &lanes, &sum);
        else
            lj_span(&p, pad, block->candidates, span, false, false, level, &lanes, &sum);
    }
    kern_lj_finish(&p, &sum, result, &result[3], &result[4]);
    for (int c = 0; c < 5; c++)
        if (out[c] != NULL)
            kern_lane_scatter(out[c], block->rows, result[c]);
}

static void lj_block_plain(const kern_lj_params *p, const kern_pad *pad, const kern_block *block,
                           float *const out[5])
{
    lj_block(p, pad, block, false, out);
}

static void lj_block_shifted(const kern_lj_params *p, const kern_pad *pad, const kern_block *block,
                             float *const out[5])
{
    lj_block(p, pad, block, true, out);
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
        (p->level == 0 ? lj_block_plain : lj_block_shifted)(p, &pad, &block, out);
    }
}
