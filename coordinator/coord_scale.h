/* When a job shall have more workers, or fewer, or its key groups spread anew: decided from samples, one
 * at a time. Pure functions; the state is the caller's, and all zero at first.
 *
 * Nothing is decided on one sample: what calls for a change must have called for it for a while, and
 * after each change nothing is decided for the cool-down. What adds a worker (above the target) and
 * what removes one (the others would be well below the target with its work) lie apart, so that a
 * change does not call for the opposite one. */
#ifndef COORD_SCALE_H
#define COORD_SCALE_H

#include "dataflow/df_draft.h"

#define COORD_SCALE_BAND    0.1 /* of the target: beyond it to add, below it to remove */
#define COORD_SCALE_SAMPLES 4u  /* that must agree, one after the other */

typedef struct coord_scale_sample {
    uint64_t now_us;
    uint32_t workers;      /* that the job has; at least 1 */
    uint32_t fresh;        /* of them, those whose sample is not stale */
    double utilisation;    /* their mean, 0 to 1 */
    bool busy;             /* a rescale, a recovery or the like is under way: nothing is decided */
} coord_scale_sample;

/* What is remembered from sample to sample. */
typedef struct coord_scale {
    bool begun;
    uint64_t changed_us;   /* the newest change; at first the first sample */
    int32_t wanted;        /* what the newest samples called for: 1, -1, 0 */
    uint32_t agreed;       /* how many of them, one after the other */
    double sum;            /* of what they showed */
} coord_scale;

typedef struct coord_scale_decision {
    int32_t change;        /* workers to add, or if below 0 to remove */
    char text[192];        /* why, or why not */
} coord_scale_decision;

/* A change that it decides counts as made. rules->max is not 0. */
void coord_scale_step(coord_scale *scale, const df_scaling *rules, const coord_scale_sample *sample,
                      coord_scale_decision *decision);
/* Somebody else made a change. */
void coord_scale_changed(coord_scale *scale, uint64_t now_us);

#define COORD_BALANCE_PAUSE_US 5000000u /* between two rebalances that nobody asked for */
#define COORD_BALANCE_START    0.15     /* so much more than its share is worth a change */

typedef struct coord_balance_sample {
    uint64_t now_us;
    double busiest, could_be; /* `before` and `after` of what coord_place_balance would do */
    bool busy;
} coord_balance_sample;

/* Whether to rebalance now, with [placement] auto = true: somebody has had much more than its share, and
 * it would help. A rebalance ends within COORD_PLACE_SLACK of the shares, well below where the next one
 * begins. `scale` is one of its own. */
bool coord_scale_balance(coord_scale *scale, const coord_balance_sample *sample, char text[192]);

#endif
