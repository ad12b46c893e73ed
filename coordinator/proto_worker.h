/* The worker's half of the protocol, without I/O: an event in, actions out.
 *
 * Events are the functions proto_worker_* below, each with the time; actions are calls of the tables
 * that the shell gives. An action never calls back and never fails; what comes of it returns later
 * as an event. One thread. The rules are PROTOCOL.md in this folder. */
#ifndef PROTO_WORKER_H
#define PROTO_WORKER_H

#include "coordinator/proto_flow.h"
#include "coordinator/proto_stream.h"

typedef struct proto_worker proto_worker;

/* One input order at a step, in history order. */
typedef struct proto_event {
    uint64_t index, step;
    proto_batch *payload;
} proto_event;

/* What a task reads on one edge from one key group. */
typedef struct proto_input {
    uint32_t edge, src;
    uint32_t member; /* over whose channel it came; PROTO_NONE: made here */
    proto_batch *batch;
} proto_input;

typedef struct proto_output {
    uint32_t edge, dst;
    proto_batch *batch; /* taken */
} proto_output;

/* A task under way; owned by the worker until `run`, then by the runner until it is handed back. */
typedef struct proto_task {
    uint64_t generation, step;
    uint32_t stage, group;
    uint32_t tries;
    bool in_place;              /* `state` is this task's alone and may be overwritten */
    proto_batch *state;         /* that enters the step; null if the stage has none */
    proto_input *inputs;        /* by (edge, src) */
    uint32_t input_count;
    const proto_event *events;  /* of this step; valid during `run` */
    uint32_t event_count;
    /* Filled by the runner. */
    proto_batch *made;          /* the next state, if the stage makes it */
    proto_batch *file;          /* bytes to append, if the stage is a sink */
    proto_output *outputs;      /* ascending by (edge, dst); malloc'ed, taken */
    uint32_t output_count;
    void *runner;               /* the runner's own */
} proto_task;

typedef struct proto_captured {
    uint32_t group;
    proto_batch *batch;
} proto_captured;

typedef struct proto_worker_env {
    void *user;
    const proto_flow_calls *flow; /* what runs; the functions marked (model) are only the model's */
    /* To a member of the generation, or (0) to the coordinator. */
    void (*send)(void *user, uint64_t to, const proto_msg *msg);
    /* (model) Read a group's state from a snapshot (0: the job's first state); ends in _loaded. */
    void (*load)(void *user, uint64_t generation, uint64_t snapshot, uint32_t group);
    /* (model) Run a task; ends in _task_done. */
    void (*run)(void *user, proto_task *task);
    /* (model) What of a state crosses to a neighbour. A pure function; returns a new reference. */
    proto_batch *(*boundary)(void *user, uint32_t src, uint32_t dst, proto_batch *state);
    /* Write the captured states as this worker's part, and sync it; ends in _part_done. What is
     * needed after this call is to be held. */
    void (*part)(void *user, uint64_t generation, uint64_t attempt, const proto_captured *captured,
                 uint32_t count);
    /* (model) Take the lock of a sink's file and open it; ends in _sink_opened. */
    void (*sink_open)(void *user, uint64_t generation, uint32_t group);
    /* (model) */
    void (*sink_write)(void *user, uint64_t generation, uint32_t group, uint64_t offset,
                       const proto_batch *bytes);
    /* Sync all of this worker's sinks, and their folders; ends in _sinks_synced. */
    void (*sink_sync)(void *user, uint64_t generation, uint64_t attempt);
    /* Nothing more is to be done: end the process. */
    void (*stop)(void *user, uint8_t reason);
    void *flow_user; /* of the flow's own */
    /* An attempt was decided; null is allowed. */
    void (*decided)(void *user, uint64_t attempt, bool committed);
    /* This one is no member any more, and nothing is sent to it; null is allowed. */
    void (*left)(void *user, uint64_t member);
    /* Where the payload of a message that is sent next may be put together, of so many bytes; null, the call too:
     * elsewhere. */
    uint8_t *(*room)(void *user, uint64_t to, const proto_msg *msg, uint32_t payload_size);
    /* The two below are only of a worker that does not see the coordinator's folder.
     * A question: bytes of the file that _part_file has told of. Null: it cannot be read. */
    proto_batch *(*read)(void *user, uint64_t attempt, uint64_t offset, uint32_t size);
    /* The next piece of what _fetch has asked for, or (status not 0) that it cannot be had, and why. */
    void (*fetched)(void *user, const proto_piece *piece);
} proto_worker_env;

typedef struct proto_worker_config {
    uint64_t job, self;    /* self: a number that no other process has */
    uint64_t process;      /* who is to be killed to be rid of it: on its host */
    uint32_t host;
    uint64_t credit_size;  /* bytes under way to one peer, above its low-water mark */
    uint64_t move_size;    /* bytes under way to one peer of states that move, at most */
    uint64_t move_near;    /* the same to one that reads them where they are put together (room); 0: no other */
    uint32_t frame_size;   /* payload of one frame at most */
    uint32_t move_frame;   /* the same of a state that moves, if it is less; 0: it is not */
    uint32_t tries;        /* of a task that fails: 1 is none */
    uint64_t beat_us;      /* between two heartbeats */
    uint64_t resend_us;    /* a frame that is not acknowledged is sent again */
    proto_stream_limits stream;
    uint64_t mutants;
} proto_worker_config;

typedef struct proto_worker_stats {
    uint64_t generation, incarnation, bound, applied, done, released;
    uint64_t frames_sent, frames_resent, frames_parked;
    uint64_t buffered_max;      /* bytes of one channel that waited here for their task, at most */
    uint64_t buffered;          /* now, of the fullest channel */
    uint64_t above_mark;        /* of those: above the low-water mark; at most credit_size (rule 8) */
    uint64_t queued_max;        /* frames that wait for credit, at most */
    uint64_t rejected[PROTO_REJECT_COUNT];
    bool running;
} proto_worker_stats;

/* Borrows plan and env's user. */
proto_worker *proto_worker_new(const proto_plan *plan, const proto_worker_config *config,
                               const proto_worker_env *env);
void proto_worker_free(proto_worker **worker);

void proto_worker_start(proto_worker *worker, uint64_t now_us);
/* A decoded message. Every field is checked again here; what does not fit is counted. */
void proto_worker_receive(proto_worker *worker, uint64_t now_us, const proto_msg *msg);
/* Time has passed: to be called at proto_worker_deadline or a little later. */
void proto_worker_tick(proto_worker *worker, uint64_t now_us);
uint64_t proto_worker_deadline(const proto_worker *worker);
/* The connection to a peer (0: the coordinator) was made anew: what was under way may be lost. */
void proto_worker_linked(proto_worker *worker, uint64_t now_us, uint64_t peer);
/* What proto_flow_calls.open began has ended well. */
void proto_worker_ready(proto_worker *worker, uint64_t now_us);
/* A task of the engine failed for good: the coordinator is told, and again until the generation ends.
 * Of several the smallest counts. The text is copied. */
void proto_worker_task_failed(proto_worker *worker, uint64_t now_us, const proto_failed *failure);
/* The engine has got on: its numbers are asked for, and told. */
void proto_worker_moved(proto_worker *worker, uint64_t now_us);
/* Takes the task. ok false: it failed and may be tried again; outputs are then not read. */
void proto_worker_task_done(proto_worker *worker, uint64_t now_us, proto_task *task, bool ok);
/* Takes the batch; null: it could not be read. */
void proto_worker_loaded(proto_worker *worker, uint64_t now_us, uint64_t generation, uint32_t group,
                         proto_batch *batch);
void proto_worker_part_done(proto_worker *worker, uint64_t now_us, uint64_t attempt, bool ok);
/* Before _part_done: the part is a file here, of so many bytes, and the coordinator is to fetch it. The hash is
 * chained over its pieces. */
void proto_worker_part_file(proto_worker *worker, uint64_t attempt, uint64_t size, uint64_t hash_high,
                            uint64_t hash_low);
/* While a generation is installed: fetch this of the snapshot that it begins from; what was fetched before is
 * forgotten. Number, offset and size are not read; groups are copied. */
void proto_worker_fetch(proto_worker *worker, uint64_t now_us, const proto_fetch *what);
/* So many bytes more of what was handed to `fetched` are used. */
void proto_worker_fetch_used(proto_worker *worker, uint64_t now_us, uint64_t size);
/* holder: who has the lock; 0: this process. */
void proto_worker_sink_opened(proto_worker *worker, uint64_t now_us, uint64_t generation,
                              uint32_t group, uint64_t holder);
void proto_worker_sinks_synced(proto_worker *worker, uint64_t now_us, uint64_t attempt, bool ok);

/* The member at a place; 0: there is none. */
uint64_t proto_worker_member(const proto_worker *worker, uint32_t place);
void proto_worker_stats_get(const proto_worker *worker, proto_worker_stats *stats);
/* Put one more output into a task that runs. Takes the batch. */
void proto_task_put(proto_task *task, uint32_t edge, uint32_t dst, proto_batch *batch);
/* Release a task and all that it holds (a runner that is torn down). */
void proto_task_free(proto_task *task);

#endif
