/* `weir run JOB --workers N` and `weir coordinator JOB`: the coordinator of one job in this process, and
 * workers on this machine, until the job has ended. */
#ifndef COORD_CLUSTER_H
#define COORD_CLUSTER_H

#include "coordinator/coord_args.h"
#include "coordinator/coord_server.h"

#include <signal.h>

typedef struct coord_cluster_options {
    const char *file, *directory; /* of the job, of its output; as the user named them */
    const char *state;            /* null: DIRECTORY/state */
    const char *text;             /* where the job's text is read from; null: `file`, which need not be there else */
    uint64_t ticket;              /* a service's number of the job (coord_ticket.h); 0: it is run by hand */
    const df_plan *plan;          /* of the job with its overrides */
    const coord_texts *sets;
    uint32_t workers, threads;    /* threads: of each */
    bool threads_all;             /* whatever the job says of some */
    uint32_t expect;              /* workers to wait for at first, joined ones too */
    const char *fingerprints, *verify; /* null: none */
    bool streams;
    const char *verify_name;      /* what messages call it; null: by its path */
    const char *metrics;          /* where to show numbers over HTTP; null: nowhere */
    coord_server_begin begin;
    uint64_t snapshot;            /* to return to first; 0: none */
    bool json, quiet;
    /* `weir coordinator`: workers outlive this process, which may end and be started again. */
    bool survive;
    const char *bind, *keys;      /* null: a local socket; no keys */
    bool insecure;
    const volatile sig_atomic_t *signals; /* how often the user wanted it to stop */
    /* What comes of it is told by this and not by us; null: by us. `error` may be "". */
    void (*tell)(void *user, const coord_status *status, int code, const char *error);
    void *user;
} coord_cluster_options;

/* Prints what there is to print. Returns a coord_exit. */
int coord_cluster_run(const coord_cluster_options *options);

#endif
