/* The coordinator's half of the protocol, for one job, without I/O: an event in, actions out.
 *
 * Events are the functions proto_coord_* below; actions are calls of the table that the shell gives.
 * An action never calls back and never fails; what comes of it returns later as an event. One
 * thread. The rules are PROTOCOL.md in this folder. */
#ifndef PROTO_COORD_H
#define PROTO_COORD_H

#include "coordinator/proto_order.h"
#include "coordinator/proto_plan.h"

typedef struct proto_coord proto_coord;

/* What the coordinator's own log holds. */
typedef enum proto_record_kind {
    PROTO_RECORD_INCARNATION = 1, /* number */
    PROTO_RECORD_CEILING,         /* number: no grant goes beyond it */
    PROTO_RECORD_GENERATION,      /* number, snapshot, step, floor, members (u64), owners (u32) */
    PROTO_RECORD_ORDER,
    PROTO_RECORD_END,             /* number: a proto_end */
    PROTO_RECORD_PAUSE,           /* number: 1 paused, 0 not */
    PROTO_RECORD_DRAIN,         /* number: the step at which the job ends */
    PROTO_RECORD_RESTORE,       /* number: 1 inputs are kept, 0 not; snapshot, step: what is returned to */
    PROTO_RECORD_SKIP,          /* number: so many orders follow that mean nothing any more */
} proto_record_kind;

typedef struct proto_record {
    proto_record_kind kind;
    uint64_t number, snapshot, step, floor;
    proto_bytes members, owners;
    proto_order_record order;
} proto_record;

typedef enum proto_end {
    PROTO_END_NOT, /* the job goes on */
    PROTO_END_DONE,
    PROTO_END_DRAINED,
    PROTO_END_CANCELLED,
    PROTO_END_FAILED,
} proto_end;

/* The commit: makes `attempt` the head. Parts are those of the members, one each. */
typedef struct proto_commit {
    uint64_t attempt, generation, step;
    const uint64_t *members;
    uint32_t member_count;
} proto_commit;

/* The newest committed snapshot; attempt 0: none, the job's first state at step 0. */
typedef struct proto_head {
    uint64_t attempt, step;
} proto_head;

typedef enum proto_verb {
    PROTO_VERB_SNAPSHOT = 1, /* answered when one that began later is committed */
    PROTO_VERB_PAUSE,
    PROTO_VERB_RESUME,
    PROTO_VERB_DRAIN,        /* a barrier, a commit, the end */
    PROTO_VERB_CANCEL,
    PROTO_VERB_MOVE,         /* first: key group, second: place of its new owner */
    PROTO_VERB_RESTORE,      /* first: a snapshot, 0 the newest; second: 1 inputs behind it are kept */
} proto_verb;

typedef enum proto_answer_status {
    PROTO_ANSWER_OK,
    PROTO_ANSWER_LATE,    /* no step is left that the input could enter */
    PROTO_ANSWER_REFUSED, /* not now, or not this */
    PROTO_ANSWER_ENDED,   /* index: a proto_end */
} proto_answer_status;

typedef struct proto_coord_env {
    void *user;
    void (*send)(void *user, uint64_t to, const proto_msg *msg); /* to a worker or a client */
    void (*append)(void *user, const proto_record *record);      /* to the log, not synced */
    void (*sync)(void *user);  /* all that was appended; ends in _synced */
    void (*commit)(void *user, const proto_commit *commit);      /* ends in _committed */
    /* A question: a committed snapshot that can be returned to; 0: the newest. No commit is under way. */
    bool (*find)(void *user, uint64_t snapshot, proto_head *head);
    void (*restore)(void *user, uint64_t snapshot); /* make it the head; ends in _restored */
    void (*kill)(void *user, uint64_t process);
    void (*stop)(void *user);  /* a sync failed: end the process, recover from the log */
} proto_coord_env;

typedef enum proto_mode {
    PROTO_MODE_SNAPSHOT, /* fence, return to the last commit, go on */
    PROTO_MODE_NONE,     /* the job fails */
    PROTO_MODE_RETRY,    /* tasks were tried again by their worker; then the job fails */
} proto_mode;

typedef struct proto_coord_config {
    uint64_t job;
    uint32_t member_min;      /* workers that a generation needs */
    uint32_t member_max;      /* that it takes; others are spare */
    uint32_t window;          /* steps between the lowest unfinished one and the bound */
    uint32_t order_ahead;     /* D: steps between the bound and a new order */
    uint32_t ceiling_span;    /* steps that a synced ceiling runs ahead of the bound, at first */
    uint32_t ceiling_span_max; /* it is doubled up to here while it lasts less than half a second */
    uint32_t snapshot_every;  /* steps; 0: by time, or only when asked */
    uint64_t snapshot_every_us; /* counts if snapshot_every is 0; 0: only when asked */
    uint32_t orders_kept;     /* in memory at least, when those that mean nothing any more are let go */
    uint32_t restarts_max;
    uint32_t sink_host;       /* where sinks are pinned */
    uint64_t backoff_us;      /* before the next generation; doubled up to 64 times */
    uint64_t beat_us, silence_us; /* a member that is silent for so long is lost */
    uint64_t attach_us, install_us, attempt_us; /* deadlines */
    uint64_t stall_us;        /* a generation in which nobody gets on for so long, although it might, ends; 0: never */
    uint64_t retry_us;        /* after an attempt that was aborted; doubled up to 16 times */
    double steps_per_second;  /* pace; 0: none */
    proto_mode mode;
    uint64_t mutants;
} proto_coord_config;

typedef struct proto_coord_stats {
    uint64_t generation, incarnation, bound, low, ceiling, orders;
    uint64_t commits, aborts, restarts;
    uint64_t restarts_in_a_row; /* without a commit between them */
    uint64_t stalls;          /* generations that were ended because nobody got on */
    uint64_t restores;        /* returns to a snapshot that somebody asked for */
    uint64_t late, late_worker; /* attempts that had no more time, and who had not prepared the last of them */
    uint64_t skipped;         /* snapshots that were due while another one ran */
    proto_head head;
    uint64_t attempt, attempt_step; /* the snapshot that runs; 0: none */
    uint64_t final_step;      /* nothing runs from it on */
    proto_end end;
    bool running, paused;
    uint32_t members;
    uint64_t rejected[PROTO_REJECT_COUNT];
    const char *waiting;      /* what it waits for, in words; static */
    uint64_t missing;         /* the worker that it waits for; 0: none */
    /* The smallest task error (step, stage, key group, row), if failed. */
    bool failed;
    uint64_t failed_step, failed_row;
    uint32_t failed_stage, failed_group;
} proto_coord_stats;

/* What is known of a worker. */
typedef struct proto_coord_worker {
    uint64_t id, process;
    uint32_t host;
    bool member, here;        /* here: of a member, that it has done what is waited for */
    uint64_t worked, done;    /* as it told last */
    uint64_t silent_us;       /* since it was heard */
    uint32_t groups;          /* that it owns */
} proto_coord_worker;

/* What the log still takes. */
typedef enum proto_room {
    PROTO_ROOM_ALL,
    PROTO_ROOM_NO_INPUT,      /* inputs are refused */
    PROTO_ROOM_NO_ORDERS,     /* and so are snapshots and moves; the job goes on and can end */
} proto_room;

/* Borrows plan and env's user. */
proto_coord *proto_coord_new(const proto_plan *plan, const proto_coord_config *config,
                             const proto_coord_env *env);
void proto_coord_free(proto_coord **coord);
/* Each record of the log, in order, before start. */
void proto_coord_recover(proto_coord *coord, const proto_record *record);
/* Between the log and start: return to this snapshot first, even if the job has ended. */
void proto_coord_return(proto_coord *coord, proto_head to, bool keep_inputs);
void proto_coord_start(proto_coord *coord, uint64_t now_us, proto_head head);

void proto_coord_receive(proto_coord *coord, uint64_t now_us, const proto_msg *msg);
void proto_coord_tick(proto_coord *coord, uint64_t now_us);
uint64_t proto_coord_deadline(const proto_coord *coord);
/* `records`: appended by this process and now synced. ok false: the sync failed. */
void proto_coord_synced(proto_coord *coord, uint64_t now_us, uint64_t records, bool ok);
void proto_coord_committed(proto_coord *coord, uint64_t now_us, uint64_t attempt, bool ok);
/* The commit was not begun, and nothing is changed: the attempt is aborted, and tried again. */
void proto_coord_declined(proto_coord *coord, uint64_t now_us, uint64_t attempt);
void proto_coord_restored(proto_coord *coord, uint64_t now_us, uint64_t snapshot, bool ok);
/* A worker's process ended, or its connection closed. */
void proto_coord_gone(proto_coord *coord, uint64_t now_us, uint64_t worker);

void proto_coord_stats_get(const proto_coord *coord, proto_coord_stats *stats);
bool proto_coord_has_member(const proto_coord *coord, uint64_t worker);
/* The workers that are alive, as far as is known; returns how many were written, up to `capacity`. */
uint32_t proto_coord_workers_get(const proto_coord *coord, proto_coord_worker *workers,
                                 uint32_t capacity);
/* A generation needs so many from now on, instead of the configuration's. */
void proto_coord_expect(proto_coord *coord, uint32_t member_min);
/* Holds until it is said again; ALL at the start. */
void proto_coord_room(proto_coord *coord, proto_room room);
/* As long as it holds no snapshot is begun: they are due, and wait. */
void proto_coord_hold(proto_coord *coord, bool hold);

#endif
