/* The record of a job's steps, kept beside its state: a fingerprint for each step, exactly once, whatever was killed.
 *
 *   STATE/record/00000000000000004000.fp   a recording (coord_prints.h) of the steps from 4000 on, each line with its
 *                                          sum, up to the first step of the next such file: a piece
 *   STATE/record/lock                      of whoever writes
 *
 * The worker that gathers fingerprints writes it. A generation that goes back to a snapshot finds the lines that
 * were written behind it: the steps that run again are compared with them, as sinks do with their files, and a
 * difference fails the job; what is missing or damaged behind them is written anew. A snapshot's part is told only when
 * the lines before it are durable.
 *
 * A disk that takes no more makes a hole, which is told, and fails nothing: from the next snapshot on lines are
 * written again.
 *
 * The coordinator drops pieces that no kept snapshot can be replayed with. Who replays takes a copy. */
#ifndef COORD_TRAIL_H
#define COORD_TRAIL_H

#include "coordinator/coord_prints.h"
#include "dataflow/df_disk.h"

#define COORD_TRAIL_FOLDER     "record"
#define COORD_TRAIL_PIECE_SIZE (1u << 20) /* bytes; then the next piece begins */

/* ---- writing ---- */

typedef struct coord_trail coord_trail;

typedef struct coord_trail_options {
    const char *state;   /* the coordinator's folder; copied */
    const df_plan *plan; /* borrowed until close */
    bool streams;        /* every operator's, too */
    uint32_t piece_size; /* 0: COORD_TRAIL_PIECE_SIZE */
} coord_trail_options;

/* The next step that is told is `step`. DF_AGAIN: another process writes it still. On success *out is owned by the
 * caller. */
df_status coord_trail_open(coord_trail **out, const coord_trail_options *options, uint64_t step, df_error *err)
    DF_MUST_CHECK;
/* DF_ECORRUPT: an earlier run of this step had other bits; the text says where. One thread at a time. */
df_status coord_trail_step(coord_trail *trail, const df_step_print *print, df_error *err) DF_MUST_CHECK;
/* Make all that was written durable. Another thread than that of the steps may. */
void coord_trail_sync(coord_trail *trail);
/* Null is allowed. */
void coord_trail_close(coord_trail **trail);

/* ---- keeping ---- */

/* Remove the pieces whose steps are all below `step`. */
void coord_trail_drop(const char *state, uint64_t step);

/* ---- reading ---- */

/* The steps from `from` on, up to `to`, that are recorded without a gap: *end is behind the last of them, or `from`.
 * With `path` they are copied to a new file, as one recording. The record may be written meanwhile. DF_END: nothing
 * is recorded at all. */
df_status coord_trail_read(const char *state, uint64_t from, uint64_t to, const char *path, uint64_t *end,
                           df_error *err) DF_MUST_CHECK;

#endif
