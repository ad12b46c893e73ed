/* How a job stands: what a coordinator tells whoever asks, and what a client reads from the answer.
 * Steps are people's here: step n is tick n + 1 of the protocol. */
#ifndef COORD_STATUS_H
#define COORD_STATUS_H

#include "coordinator/coord_rescales.h"
#include "coordinator/proto_coord.h"
#include "snapshot/snap_store.h"

typedef struct coord_status_worker {
    char label[WEIR_NAME_MAX];
    uint64_t id;
    int64_t pid;           /* on its host */
    uint32_t host;
    bool member, here;     /* here: of a member, that it is not waited for */
    uint32_t key_groups, cores;
    uint64_t memory;       /* of its host, in bytes */
    uint64_t step, silent_us;
    bool begun;            /* step 0 is done there */
    char behind[256];      /* what it waits for, if it has not got on for a second; else "" */
} coord_status_worker;

typedef struct coord_status {
    char job[WEIR_NAME_MAX];
    uint64_t number;       /* of the job, in every message */
    char phase[64];        /* "running", "waiting", "paused", "done", "drained", "cancelled", "failed" */
    char waiting[512];     /* for what, who is missing, and who may have no key groups and why; "": for nothing */
    char error[512];       /* why it failed; "": it has not */
    char fingerprint[64];  /* of the last step; "": not known yet */
    char metrics[32];      /* where numbers are shown over HTTP, "127.0.0.1:9464"; "": nowhere */
    uint64_t generation, incarnation, restarts;
    uint64_t stalls;       /* restarts because nobody got on */
    uint64_t restores;     /* returns to a snapshot that somebody asked for */
    bool begun;            /* step 0 is done */
    uint64_t step, steps;
    double steps_per_second;
    uint64_t late_steps;   /* that took longer than the job's pace, since the coordinator began */
    uint64_t snapshot, snapshot_step; /* the newest; 0: none */
    uint64_t base, base_step; /* the one that the generation has begun from; 0: none */
    bool snapshot_runs;
    uint64_t snapshots_taken, snapshots_aborted, snapshots_skipped;
    char degraded[512];    /* why no snapshots get through; "": they do */
    char scaling[192];     /* why there are as many workers as there are; "": nobody decides it */
    coord_rescale_row rescale; /* the change of workers or owners that runs; what is "": none */
    coord_rescale_row rescaled; /* the newest that has ended; what is "": none has */
    uint64_t rescales;     /* that have ended since the coordinator began */
    uint64_t orders;       /* in the history */
    bool history_full;
    uint64_t history_left; /* bytes that orders may still take in it before it is made shorter */
    uint64_t rejected[PROTO_REJECT_COUNT];
    uint32_t worker_count;
    coord_status_worker workers[PROTO_WORKERS_MAX];
} coord_status;

/* Whether the job has ended. */
bool coord_status_is_over(const coord_status *status);

#endif
