/* `weir replay` without its command line: which steps are run again from where, in which folder, and what comes of it. */
#ifndef COORD_REPLAY_H
#define COORD_REPLAY_H

#include "coordinator/coord_args.h"
#include "dataflow/df_disk.h"
#include "dataflow/df_plan.h"

/* What a run has left of its job in its state. */
typedef struct coord_replay_job {
    char state[DF_PATH_MAX];
    char file[DF_PATH_MAX], directory[DF_PATH_MAX]; /* of the job, of its output; "" if that is not known */
    char *text, *sets;
    size_t text_size;
    df_plan *plan;
} coord_replay_job;

/* Read the job of a run that is named as for `weir status`. If it is named by its file, that must be the same job still.
 * coord_replay_job_fini also after a failure. */
df_status coord_replay_job_read(coord_replay_job *job, const char *name, df_error *err) DF_MUST_CHECK;
void coord_replay_job_fini(coord_replay_job *job);

/* Which steps; numbers that were not given are to be chosen. */
typedef struct coord_replay_span {
    coord_number from, to, snapshot; /* as the user wants it */
    uint64_t first, last, begin;     /* the steps that are run, and the snapshot that holds what enters the first; 0: none,
                                      * it is the job's beginning */
} coord_replay_span;

/* How it went. Borrows everything. */
typedef struct coord_replay_result {
    const char *name;  /* as the user named the job */
    const df_plan *plan;
    const coord_replay_span *span;
    uint32_t workers, threads;
    int code;          /* a coord_exit */
    uint64_t step;     /* the last that was done */
    char error[512];   /* why it failed; "": it has not */
} coord_replay_result;

/* Choose, and copy what is needed into `folder`: FOLDER/state, which a coordinator can begin with, and FOLDER/record, with
 * what each step was. The job may run meanwhile. DF_EINVAL: there are no such steps, the text says why. */
df_status coord_replay_take(coord_replay_span *span, const coord_replay_job *job, const char *folder, df_error *err)
    DF_MUST_CHECK;

/* A folder STATE/replays/... of our own, and a lock in it; those of replays that were killed are removed. */
df_status coord_replay_folder(char folder[DF_PATH_MAX], df_file **lock, const char *state, df_error *err)
    DF_MUST_CHECK;
/* Takes the lock; null is allowed. */
void coord_replay_folder_remove(const char *folder, df_file **lock);

#endif
