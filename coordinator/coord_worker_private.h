/* A worker's insides, shared by coord_worker.c (the verb, the loop, what arrives), coord_worker_say.c (what it tells) and
 * coord_worker_job.c (its job, and what the protocol's half asks for it). */
#ifndef COORD_WORKER_PRIVATE_H
#define COORD_WORKER_PRIVATE_H

#include "coordinator/coord_flow.h"
#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_net.h"
#include "coordinator/coord_recorder.h"
#include "coordinator/coord_remote.h"
#include "coordinator/coord_usage.h"
#include "coordinator/coord_verb.h"
#include "coordinator/coord_wire.h"
#include "coordinator/proto_index.h"

#define WORKER_BEAT_US 200000u

typedef struct worker_options {
    const char *join, *label, *bind, *keys, *server_key, *scratch;
    bool insecure;
    coord_number id, threads, patience;
} worker_options;

typedef struct worker {
    const worker_options *options;
    uint64_t id, hello_at_us, metrics_at_us, load_at_us, units_at_us;
    coord_usage usage; /* at the load before */
    coord_net *net;
    coord_wire wire;
    uint64_t job;
    df_plan *plan;
    proto_plan *proto_plan;
    char directory[PROTO_TEXT_SIZE_MAX + 1], store[DF_PATH_MAX];
    coord_remote *remote;  /* null: the coordinator's folder is seen */
    uint64_t wanted;       /* the attempt whose file the coordinator fetches: it has heard all of its part */
    char scratch[DF_PATH_MAX]; /* then ""; else `store` is the same */
    coord_worker_options told;
    coord_flow *flow;
    coord_recorder recorder;
    proto_worker *proto;
    bool stopped, refused; /* refused: told that the coordinator does not let us in */
    uint64_t alone_us;     /* since when there is no connection to the coordinator; 0: there is one */
    proto_index told_of;   /* whose addresses were told since the last install */
    uint32_t told_count;
    bool pooled;           /* it is a service that answered */
    uint64_t first_order;  /* what it said then */
    int code;
} worker;

/* ---- coord_worker_say.c ---- */
uint64_t worker_now_us(void);
/* Null is an empty one. */
proto_bytes worker_bytes(const char *text);
/* What cannot be sent now is lost: the protocol says it again. */
void worker_say(worker *w, uint64_t to, const proto_msg *msg);
void worker_say_hello(worker *w);
/* The two are said when they are due. */
void worker_say_metrics(worker *w, uint64_t now);
void worker_say_load(worker *w, uint64_t now);
uint32_t worker_threads(const worker *w);
/* Before `prepared`: the last fingerprint, if there is one; what the part holds. */
void worker_say_finished(worker *w, const proto_header *header);
void worker_say_part(worker *w, const proto_header *header, uint64_t attempt);
/* Not prepared, and why. */
void worker_say_unprepared(worker *w, const proto_msg *msg);

/* ---- coord_worker_job.c ---- */
/* A text of its own, which the caller frees; null: out of memory. */
char *worker_text(proto_bytes bytes);
/* Read the job, and begin; what is wrong with it is said, and ends the worker. */
void worker_take_assign(worker *w, const proto_assign *assign);

#endif
