/* Fingerprints of a run with workers: recorded, and compared with a recording, by the worker that
 * gathers them. A generation that begins again at an earlier step goes on there: what was recorded in a file from
 * that step on is recorded anew, and compared with the job's own record if it has one. */
#ifndef COORD_RECORDER_H
#define COORD_RECORDER_H

#include "coordinator/coord_trail.h"
#include "coordinator/coord_verify.h"

typedef struct coord_recorder {
    const df_plan *plan;
    const char *fingerprints, *against; /* "" for none; borrowed */
    const char *against_name;           /* what messages call `against` */
    bool streams;                       /* every operator's, too */
    const char *state;                  /* the folder beside which the job's record is kept; null: none is */
    coord_prints_writer *writer;
    coord_verify *verify;
    coord_trail *trail;
} coord_recorder;

static inline bool coord_recorder_wanted(const coord_recorder *recorder)
{
    return recorder->fingerprints[0] != '\0' || recorder->against[0] != '\0' || recorder->state != NULL;
}

/* The next step that is told is `step`. */
df_status coord_recorder_begin(coord_recorder *recorder, uint64_t step, df_error *err) DF_MUST_CHECK;
df_status coord_recorder_step(coord_recorder *recorder, const df_step_print *print, df_error *err)
    DF_MUST_CHECK;
/* What was recorded beside the state is durable, or it has a hole, which is told. */
void coord_recorder_sync(coord_recorder *recorder);
void coord_recorder_end(coord_recorder *recorder);

#endif
