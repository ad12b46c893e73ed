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
    /* Of the measured steps, those after the warm-up: */
    double seconds;
    uint64_t steps, row_steps, allocations;
} coord_run_result;

#endif
