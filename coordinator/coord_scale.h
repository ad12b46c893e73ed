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
    uint32_t workers;      /* that the job has */
    double utilisation;    /* their mean, 0 to 1 */
    uint32_t fresh;        /* workers whose sample is not stale */
    bool busy;             /* a rescale, a recovery or the like is under way: nothing is decided */
} coord_scale_sample;

/* What is remembered from sample to sample. */
typedef struct coord_scale {
    uint64_t changed_us;   /* the newest change, or the first sample */
    bool begun;
    int32_t wanted;        /* what the newest samples called for: 1, -1, 0 */
    uint32_t agreed;       /* how many of them, one after the other */
    double sum;            /* of the utilisation in these */
} coord_scale;

typedef struct coord_scale_decision {
    int32_t change;        /* workers to add, or if below 0 to remove */
    char text[192];        /* why, or why not */
} coord_scale_decision;

/* A change that was decided counts as made; call coord_scale_changed when a person made one. */
void coord_scale_step(coord_scale *scale, const df_scaling *rules, const coord_scale_sample *sample,
                      coord_scale_decision *decision);
void coord_scale_changed(coord_scale *scale, uint64_t now_us);

#define COORD_BALANCE_PAUSE_US 5000000ull /* between two rebalances that nobody asked for */
#define COORD_BALANCE_START    0.15 /* the busiest has so much more than its share: worth a change */

typedef struct coord_balance_sample {
    uint64_t now_us;
    double busiest;        /* coord_place_outcome's `before` */
    double could_be;       /* ... and its `after`, of coord_place_balance */
    bool busy;
} coord_balance_sample;

/* Whether to rebalance now ([placement] auto = true): the busiest worker has been well beyond its share,
 * and a change would help. It ends within COORD_PLACE_SLACK, well below where the next begins. */
bool coord_balance_step(coord_scale *scale, const coord_balance_sample *sample, char text[192]);

#endif
