/* Which worker owns which key group: what a rescale, a rebalance, an emptied worker and a move come to.
 *
 * Pure functions: no I/O, no clock (the time is an argument), nothing is remembered, and each asks for
 * memory once, before it changes anything. The same workers and units give the same answer, in
 * whatever order the workers are listed: ties go to the smaller id.
 *
 * A *unit* is a key group of the plan; in a space its number runs along a Morton curve, so units whose
 * numbers are close are mostly neighbours. Its *weight* is what it costs in a step if that was measured,
 * else its rows, else 1. A worker's *share* of all weight goes by its threads.
 *
 * All of them move the fewest units that do what was asked; the policy only says which of these, and
 * where to. Where it is `locality`, units that move do so in runs of neighbours where that needs no more
 * moves; to balance, where it is told what lies beside what, in pieces with little border. */
#ifndef COORD_PLACE_H
#define COORD_PLACE_H

#include "dataflow/df_draft.h"

#define COORD_PLACE_NONE UINT32_MAX
#define COORD_PLACE_SLACK 0.05 /* a worker that has at most so much more than its share is not busy */

typedef struct coord_place_worker {
    uint64_t id;                 /* unlike all others; never 0 */
    const char *label, *host;    /* borrowed; for people, and for the hint */
    uint32_t threads;            /* at least 1 */
    uint32_t priority;
    uint32_t compute_capability; /* ten times its device's; 0: a processor */
    bool leaving;                /* shall own nothing */
    /* As sampled: */
    uint64_t sampled_us;         /* when; 0: never */
    uint64_t free_bytes;         /* of its host's memory, or its device's */
    double load;                 /* of its processors: 0 idle, 1 all busy */
    /* What was given out since, which no sample shows yet (coord_place_reserve): */
    uint64_t reserved_bytes;
    double reserved_load;
} coord_place_worker;

typedef struct coord_place_unit {
    uint32_t owner;  /* its place in the list of workers; COORD_PLACE_NONE: nobody has it */
    uint64_t rows, bytes;
    uint64_t cost_ns; /* of a step; 0: not measured */
} coord_place_unit;

#define COORD_PLACE_FACES 6u /* of a tile */

/* The units across the faces of one's tile; COORD_PLACE_NONE: nothing lies there. */
typedef uint32_t coord_place_near[COORD_PLACE_FACES];

typedef struct coord_place_input {
    const coord_place_worker *workers;
    uint32_t worker_count;
    const coord_place_unit *units;
    uint32_t unit_count;
    const df_placement *hints; /* policy and filters */
    uint64_t now_us;
    uint64_t stale_us;         /* a sample older than this is not used */
    const coord_place_near *near; /* [unit_count]; null: nothing lies in a space */
} coord_place_input;

typedef struct coord_place_outcome {
    uint32_t moved;         /* units with another owner than before, those that had none too */
    uint64_t moved_rows, moved_bytes;
    double moved_share;     /* of all weight */
    double before, after;   /* the busiest worker's weight over its share, 1 is even; before: of the
                             * workers that do not leave */
    uint32_t stale;         /* workers whose sample was too old and not used */
    uint32_t heaviest;      /* a unit that alone is more than a share and its slack; NONE: none is */
    bool even;              /* nobody has more than its share and the slack */
    char text[256];         /* what was decided, in a sentence */
} coord_place_outcome;

/* ---- who owns what afterwards: after[unit_count], places in the list of workers ----
 *
 * On failure `after` is not defined. DF_EINVAL: no worker may have a unit that must move, and the text
 * gives the reason for each, as far as it has room (coord_place_refusal has them all). */

/* The workers that do not leave, and nobody else, own everything. A worker that owns nothing and does not
 * leave is a new one: it gets its share, from the busiest; whoever stays keeps the rest. So n to n + 1
 * workers move 1 / (n + 1), n + 1 to n what the one that leaves has, and n to n nothing. */
df_status coord_place_fit(const coord_place_input *input, uint32_t *after,
                          coord_place_outcome *outcome, df_error *err) DF_MUST_CHECK;
/* As fit, and the busiest worker has at most the slack more than its share afterwards, where units are
 * light enough for that. */
df_status coord_place_balance(const coord_place_input *input, uint32_t *after,
                              coord_place_outcome *outcome, df_error *err) DF_MUST_CHECK;
/* Units first to last go to a worker, if it may have them; nothing else changes. */
df_status coord_place_move(const coord_place_input *input, uint32_t first, uint32_t last, uint32_t to,
                           uint32_t *after, coord_place_outcome *outcome, df_error *err) DF_MUST_CHECK;

/* ---- choosing workers ---- */

/* The places of `count` workers that shall be the job's, ascending: those that have units first, then
 * spare ones by priority and load, then by id. Nobody who leaves, nobody whom a hint refuses. When
 * workers are too many, those that have least to move go. */
df_status coord_place_pick(const coord_place_input *input, uint32_t count, uint32_t *places,
                           df_error *err) DF_MUST_CHECK;
/* Why a worker gets nothing: "has 1.2 GiB free, 4 GiB are to stay free". False: it may get units. */
bool coord_place_refusal(const coord_place_input *input, uint32_t worker, char text[160]);
/* Note in the workers what a decision gave them, until their next sample is newer (the caller then sets
 * both back to 0): so decisions that are made before it do not all choose the same one. */
void coord_place_reserve(coord_place_worker *workers, const coord_place_input *input,
                         const uint32_t *after);

/* ---- waves ---- */

typedef struct coord_place_step {
    uint32_t unit, from, to; /* from: COORD_PLACE_NONE where it has no owner */
    uint64_t bytes;
    uint32_t wave;           /* set by coord_place_waves; from 0 */
} coord_place_step;

/* What differs between the units' owners and `after`: at most unit_count; returns how many. */
uint32_t coord_place_steps(const coord_place_input *input, const uint32_t *after,
                           coord_place_step *steps);
/* What may move at one step: `asked`, or a part of all bytes if that is 0. */
uint64_t coord_place_budget(const coord_place_unit *units, uint32_t unit_count, uint64_t asked);
/* Cut moves into waves of at most `budget` bytes, one step each, and sort them by wave and unit. A unit
 * that is larger goes alone. Every wave is of all sources and targets in proportion to what is theirs,
 * so that none carries a wave by itself where others could help. Returns the number of waves. */
df_status coord_place_waves(coord_place_step *steps, uint32_t count, uint64_t budget,
                            uint32_t *waves, df_error *err) DF_MUST_CHECK;

#endif
