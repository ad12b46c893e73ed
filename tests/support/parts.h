/* A job run as several parts in one process: a graph for each member, parcels carried between them in
 * a random order (but for what comes from one key group on one edge), grants and snapshots given as a coordinator would. */
#ifndef SUPPORT_PARTS_H
#define SUPPORT_PARTS_H

#include "dataflow/df_part.h"

typedef struct parts_options {
    uint32_t members, threads;
    uint64_t seed;             /* of owners, of the order of parcels, of when a barrier is told */
    uint64_t capture_tick;     /* 0: none */
    bool moves;                /* key groups change owner meanwhile */
    bool joins;                /* the last member comes later */
    bool fingerprint_steps;
    df_status (*on_step)(void *user, const df_step_print *print, df_error *err);
    void *user;
    /* A parcel is about to be delivered; null: not wanted. */
    void (*on_parcel)(void *user, df_graph *to, const df_parcel *parcel);
    /* Each member's graph when all has been run; null: not wanted. */
    void (*on_end)(void *user, const df_graph *graph, const df_part *part);
} parts_options;

/* What was captured, copied. */
typedef struct parts_snapshot parts_snapshot;

/* Run from the start, or from a snapshot (null: none), to the end; prints and aborts on failure. *taken
 * (null: not wanted) is what was captured, to be freed. Returns the last step's fingerprint. */
df_hash parts_run(const df_plan *plan, const parts_options *options, const parts_snapshot *from,
                  parts_snapshot **taken);
void parts_snapshot_free(parts_snapshot **snapshot);

#endif
