/* The coordinator of one job as a process has it: the state machine bound to the transport, the log,
 * the store, local workers and the clock.
 *
 * A worker says `hello` when its connection is made, and made anew: without a job to be given one, with
 * one so that its address is known; after that the state machine's messages, `part` before `prepared`,
 * and `finished` with the fingerprint before it says `prepared` of the final barrier.
 *
 * One thread calls these functions and is the only one that touches the state machine; a sync and a
 * commit are done by two others. Whoever owns a server calls coord_server_turn in a loop. */
#ifndef COORD_SERVER_H
#define COORD_SERVER_H

#include "coordinator/coord_manifest.h"
#include "coordinator/coord_status.h"

typedef struct coord_server coord_server;

/* The job, as a server needs it. Everything is borrowed until the server is closed. */
typedef struct coord_server_job {
    const char *name;
    const char *file, *directory; /* of the job, of its output; as workers are to open them */
    const char *text, *sets;      /* the job's file, whole; its overrides, a line each */
    const proto_plan *plan;
    const coord_shape *shape;
    const df_policy *policy;
    const df_draft_worker *workers; /* [worker_count]: the job's [worker.LABEL]s; local ones take them in order */
    uint32_t worker_count;
    const char *fingerprints, *verify; /* recordings of every step, as workers are to open them; null: none */
    const char *verify_name;      /* what messages call it; null: by its path */
    bool streams;
    const char *inputs;           /* the hash of what it reads (coord_job.h); "": it reads nothing */
    uint32_t window;
    double pace;                  /* steps per second; 0: none */
} coord_server_job;

/* What becomes of a state that is there already. */
typedef enum coord_server_begin {
    COORD_BEGIN_NEW,    /* refuse one that has not ended */
    COORD_BEGIN_RESUME, /* go on with it; new if there is none */
    COORD_BEGIN_FRESH,  /* remove it */
    COORD_BEGIN_TAKE,   /* go on with it; one that has ended tells how, and ends again */
} coord_server_begin;

typedef struct coord_server_options {
    const coord_server_job *job;
    const char *state;       /* folder; it is made */
    coord_server_begin begin;
    uint64_t snapshot;       /* with COORD_BEGIN_RESUME: return to this one first, ended or not; 0: go on */
    const char *bind;        /* null: a local socket */
    const char *keys;        /* for tcp; null: the user's */
    bool insecure;
    uint32_t workers;        /* local ones to start, up to COORD_CHILDREN_MAX */
    uint32_t threads;        /* of each */
    bool threads_all;        /* also of those for which the job says something else */
    uint32_t expect;         /* workers that are waited for before it begins; fewer than `workers`: those */
    bool pool;               /* others come from a service, as many as coord_server_wanted says */
    bool workers_survive;    /* they outlive the coordinator */
    const char *program;     /* of the workers; null: this one */
    const char *metrics;     /* where GET /metrics is answered (coord_http.h); null: nowhere */
    /* What sinks print; null: they may not. */
    void (*print)(void *user, const char *text, size_t size);
    void *user;
} coord_server_options;

/* Lock the state, read it, listen, begin. DF_AGAIN: another coordinator has it. DF_EINVAL: there is a
 * state that may not be used; the text says what to do. On success *out is owned by the caller. */
df_status coord_server_open(coord_server **out, const coord_server_options *options, df_error *err)
    DF_MUST_CHECK;
/* Null is allowed. Local workers that do not outlive it are killed if they are still there. */
void coord_server_close(coord_server **server);

/* Do what there is to do, waiting at most so long for something. DF_END: the job has ended and the
 * local workers have left. Any other failure: the log or the store failed, and the process must end. */
df_status coord_server_turn(coord_server *server, uint64_t wait_us, df_error *err) DF_MUST_CHECK;
/* How many workers the job is to have, whether they are there or not: as many as it began with, or as the last change
 * left it; more while a change to more waits for them. */
uint32_t coord_server_wanted(const coord_server *server);
/* Another thread, or a signal handler's helper: end a wait. */
void coord_server_wake(coord_server *server);

const char *coord_server_address(const coord_server *server);
/* Where numbers are shown, "127.0.0.1:9464"; null: nowhere. */
const char *coord_server_metrics(const coord_server *server);
/* The public key that others must know; "": none. */
const char *coord_server_key(const coord_server *server);
/* A command of this process itself; its answer is not waited for. */
void coord_server_command(coord_server *server, proto_verb verb);
/* How it stands; `status` is large and the caller's. */
void coord_server_status(coord_server *server, coord_status *status);
/* How the job ended; PROTO_END_NOT: it has not. */
proto_end coord_server_end(const coord_server *server);

#endif
