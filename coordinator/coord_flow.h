/* The engine as a worker's dataflow: proto_flow_calls over a df_graph.
 *
 * The graph's threads run tasks; the worker's one thread is the graph's feeder. What the threads want to
 * say lies in an outbox until that thread looks (coord_flow_poll). A generation is loaded, and a
 * snapshot's part written, by a thread of its own each, so that neither keeps the worker from
 * answering. */
#ifndef COORD_FLOW_H
#define COORD_FLOW_H

#include "coordinator/coord_counts.h"
#include "coordinator/coord_load.h"
#include "coordinator/proto_worker.h"
#include "dataflow/df_part.h"
#include "snapshot/snap_chunk.h"

typedef struct coord_flow coord_flow;

typedef struct coord_flow_options {
    const df_plan *plan;
    const char *directory;     /* of output files */
    const char *state;         /* the coordinator's folder, and that of the store in it: shared */
    const char *store;         /* with `remote`: a folder of this worker's own, for its parts */
    struct coord_remote *remote; /* null: the folders are shared; else how snapshots are read */
    uint32_t threads;
    void *console;             /* FILE *, or null */
    snap_codec codec;
    bool verify;          /* read parts back */
    uint32_t retries;     /* see df_graph_options */
    uint64_t retry_ns;
    bool fingerprint_steps, fingerprint_streams;
    /* See df_graph_options; on the sinks' worker only, by a thread of the graph. */
    df_status (*on_step)(void *user, const df_step_print *print, df_error *err);
    /* Before the first of them of a generation; the loading thread. */
    df_status (*on_begin)(void *user, uint64_t step, df_error *err);
    /* A generation is over, and none of them comes any more until the next begins, perhaps with another worker; null: nothing. */
    void (*on_end)(void *user);
    /* A snapshot is to be told of: what was made of those before it is to be durable. The writing thread; null: nothing. */
    void (*on_sync)(void *user);
    /* Any thread: there is something to poll. */
    void (*wake)(void *user);
    void *user;
} coord_flow_options;

extern const proto_flow_calls coord_flow_calls;

/* Everything in options is borrowed. Null: out of memory. */
coord_flow *coord_flow_new(const coord_flow_options *options);
/* After the worker was freed. */
void coord_flow_free(coord_flow **flow);

/* Carry on what the threads have left: send, load, tell. After every event of the worker. */
void coord_flow_poll(coord_flow *flow, proto_worker *worker, uint64_t now_us);
/* Before the worker sleeps: see df_graph_busy. */
bool coord_flow_busy(coord_flow *flow, const proto_worker *worker);

/* The worker's actions that concern snapshots; see proto_worker_env. */
void coord_flow_part(coord_flow *flow, uint64_t generation, uint64_t attempt);
/* What is to be said before `prepared`: the description of the part. Null: there is none. */
/* What its lowest unfinished step waits for, in words. False: nothing is granted, or it has got on in the last second.
 * *member: whom it waits for; UINT32_MAX: itself. */
bool coord_flow_behind(coord_flow *flow, const proto_worker *worker, uint64_t now_us, uint64_t *step,
                       uint32_t *member, char text[PROTO_TEXT_SIZE_MAX]);
/* Why the last part was not written; "": it was. */
const char *coord_flow_failure(const coord_flow *flow);
const uint8_t *coord_flow_said(const coord_flow *flow, uint64_t attempt, size_t *size);
/* Bytes of the file with the part of an attempt, where the coordinator cannot read it; null: they cannot be read. */
proto_batch *coord_flow_read(coord_flow *flow, uint64_t attempt, uint64_t offset, uint32_t size);
/* An attempt was decided. */
void coord_flow_decided(coord_flow *flow, uint64_t attempt, bool committed);

/* The fingerprint of the last step, if this worker has it: 32 hexadecimal digits. */
bool coord_flow_fingerprint(coord_flow *flow, char text[33]);

/* What this process has counted, over all generations. False: out of memory; else *counts is the
 * caller's, to be finished. */
bool coord_flow_counts(const coord_flow *flow, const proto_worker *worker, coord_counts *counts);
/* The worker's units, with what they have cost since the last call and hold now. False: out of memory; else
 * they are added to *load, which owns them. */
bool coord_flow_units(coord_flow *flow, const proto_worker *worker, coord_load *load);

#endif
