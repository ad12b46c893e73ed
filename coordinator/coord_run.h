/* What is known of a run when it has ended, however it ended. */
#ifndef COORD_RUN_H
#define COORD_RUN_H

#include "dataflow/df_graph.h"

#define COORD_PATH_MAX 4096

typedef struct coord_run_result {
    const df_plan *plan;
    const df_graph *graph;  /* null: it was never made */
    const char *directory;  /* of output files */
    uint32_t threads;
    const char *status;     /* "done", "interrupted", "failed" */
    const df_error *error;  /* null: none */
    bool have_fingerprint;  /* of the last step */
    df_hash fingerprint;
    uint64_t steps_verified;
    double seconds_setup;   /* until the first measured step */
    /* Of the measured time, from the end of the warm-up's last step to the end. row_steps are the rows
     * that were made in it: steps - 1 times, for the warm-up has made the first, and the last step
     * makes no next state. */
    double seconds;
    uint64_t steps, row_steps, allocations;
    uint64_t late_steps; /* of a job with a pace: not done when the pace let the next one begin */
} coord_run_result;

#endif
