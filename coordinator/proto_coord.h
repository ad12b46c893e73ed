/* The coordinator's half of the protocol, for one job, without I/O: an event in, actions out.
 *
 * Events are the functions proto_coord_* below; actions are calls of the table that the shell gives.
 * An action never calls back and never fails; what comes of it returns later as an event. One
 * thread. The rules are PROTOCOL.md in this folder. */
#ifndef PROTO_COORD_H
#define PROTO_COORD_H

#include "coordinator/proto_order.h"
#include "coordinator/proto_plan.h"
#include "coordinator/proto_stream.h"

typedef struct proto_coord proto_coord;

/* What the coordinator's own log holds. */
typedef enum proto_record_kind {
    PROTO_RECORD_INCARNATION = 1, /* number */
    PROTO_RECORD_CEILING,         /* number: no grant goes beyond it */
    PROTO_RECORD_GENERATION,      /* number, snapshot, step, floor, members (u64), owners (u32), size, rescale */
    PROTO_RECORD_ORDER,
    PROTO_RECORD_END,             /* number: a proto_end */
    PROTO_RECORD_PAUSE,           /* number: 1 paused, 0 not */
    PROTO_RECORD_DRAIN,           /* number: the step at which the job ends */
    PROTO_RECORD_RESCALE,         /* number, phase; of BEGIN: deadline_us, members (u64), moves */
    PROTO_RECORD_RESTORE,         /* number: 1 inputs are kept, 0 not; snapshot, step: what is returned to */
    PROTO_RECORD_SKIP,            /* number: so many orders follow that mean nothing any more */
    PROTO_RECORD_TABLES,          /* what the orders of members and owners up to `number` have led to, in this generation:
                                   * members (PROTO_TABLES_MEMBER), owners (PROTO_TABLES_RUN), step, changed, left, size,
                                   * rescale, phase: how that ended */
} proto_record_kind;

typedef enum proto_rescale_phase {
    PROTO_RESCALE_BEGIN = 1, /* members: who is there when it is done; moves: see PROTO_MOVE_SIZE */
    PROTO_RESCALE_ABORT,     /* from now on everything goes back */
    PROTO_RESCALE_LEAVE,     /* all has moved, and members leave: there is no way back */
    PROTO_RESCALE_END,
} proto_rescale_phase;

#define PROTO_MOVE_SIZE 12u /* u32 key group, u32 place of its new owner in `members`, u32 wave */

#define PROTO_TABLES_MEMBER 25u /* by place: u64 worker (0: vacant), u64 order that admitted it, u64 its step, u8 it has owned */
#define PROTO_TABLES_RUN    4u  /* u16 key groups, u16 place of who owns them; they follow each other */

typedef struct proto_record {
    proto_record_kind kind;
    uint64_t number, snapshot, step, floor;
    proto_bytes members, owners;
    uint32_t size;    /* members that generations have since the last rescale that changed it; 0: any */
    uint64_t rescale; /* the last one's number: those before a generation are over */
    uint64_t changed, left; /* the last order of members, and the last by which somebody left; 0: none */
    uint8_t phase; /* a proto_rescale_phase; of tables a proto_rescale_end */
    uint64_t deadline_us;
    proto_bytes moves;
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
    const uint64_t *members; /* that take part */
    const uint32_t *places;  /* theirs in the generation */
    uint32_t member_count;
} proto_commit;

/* A piece of a member's part, in turn. */
typedef struct proto_collect {
    uint64_t worker, generation, attempt;
    uint32_t place;          /* the worker's in the generation */
    uint64_t offset, total;
    uint64_t hash_high, hash_low; /* of the whole, chained over its pieces */
    proto_bytes bytes;
} proto_collect;

/* Bytes of a snapshot for a worker that cannot read it. */
typedef struct proto_serve {
    uint64_t worker, number; /* number: the worker's, of what it fetches */
    uint8_t status;          /* a df_status; not 0: there are no bytes, and `bytes` says why */
    uint64_t total, offset;
    proto_bytes bytes;
} proto_serve;

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
    PROTO_VERB_MOVE,         /* first: key group, second: place of its new owner: a rescale of one move */
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
    /* Write a piece of a part where the commit will find it, the one at offset 0 into a new file; after the
     * last one make it durable, and compare it with its hash. Ends in _collected, for each piece. */
    void (*collect)(void *user, const proto_collect *piece);
    /* Read what a worker fetches; ends in _served. */
    void (*serve)(void *user, uint64_t worker, const proto_fetch *what);
    /* A question: it may have no key groups (member: not even keep them). Null: nobody is refused. */
    bool (*refuses)(void *user, uint64_t worker, bool member);
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
    proto_stream_limits stream; /* of parts that are collected; the same as the workers' but for the time */
    uint64_t retry_us;        /* after an attempt that was aborted; doubled up to 16 times */
    double steps_per_second;  /* pace; 0: none */
    proto_mode mode;
    uint64_t mutants;
} proto_coord_config;

/* ---- a change of members and owners while the job runs ---- */

typedef struct proto_move {
    uint32_t group;
    uint64_t to;   /* a worker's id */
    uint32_t wave; /* the key groups of a wave change their owner at one step */
} proto_move;

typedef struct proto_rescale {
    uint64_t id;          /* above all before: the stats' next_id, or more */
    uint64_t deadline_us; /* then it is aborted; 0: a default */
    const uint64_t *admit; /* workers that become members before anything moves */
    uint32_t admit_count;
    const uint64_t *dismiss; /* members that leave when all has moved; they own nothing then */
    uint32_t dismiss_count;
    const proto_move *moves; /* by wave; waves are counted from 0. A key group moves once */
    uint32_t move_count;
} proto_rescale;

typedef enum proto_rescale_end {
    PROTO_RESCALE_NONE,
    PROTO_RESCALE_DONE,    /* all its members and owners are the new ones */
    PROTO_RESCALE_ABORTED, /* the old ones */
    PROTO_RESCALE_VOIDED,  /* a new generation has begun with others */
} proto_rescale_end;

typedef struct proto_rescale_stats {
    uint64_t id;              /* of the one that runs; 0: none */
    uint64_t next_id;
    const char *phase;        /* in words; static */
    bool kept;                /* its beginning is synced: it survives a crash */
    bool aborting;
    uint64_t since_us;        /* it has run for so long, or since this coordinator started */
    uint32_t admit, admitted; /* workers that are to be admitted; that were */
    uint32_t dismiss, dismissed;
    uint32_t waves, waves_ordered, waves_done; /* of the way back if it is aborting */
    uint32_t moves, moves_ordered, moves_done;
    uint64_t last_id;         /* the last that ended; 0: none */
    proto_rescale_end last_end;
    uint64_t last_lost;       /* the first of its workers that was lost meanwhile, if it was not done; 0: none */
    uint32_t size;            /* members of the last that was done; 0: none changed their number */
} proto_rescale_stats;

typedef struct proto_coord_stats {
    uint64_t generation, incarnation, bound, low, ceiling, orders;
    uint64_t commits, aborts;
    uint64_t restarts;        /* generations that were begun because members were lost */
    uint64_t restarts_in_a_row; /* without a commit between them */
    uint64_t stalls;          /* generations that were ended because nobody got on */
    uint64_t restores;        /* those that were begun from a snapshot that somebody asked for */
    uint64_t late, late_worker; /* attempts that had no more time, and who had not prepared the last of them */
    uint64_t late_steps;      /* steps that took longer than the pace, since it let them begin */
    uint64_t step_us;         /* how long the last one took; without a pace 0 */
    uint64_t skipped;         /* snapshots that were due while another one ran */
    proto_head head, base;    /* base: what the generation has begun from */
    uint64_t attempt, attempt_step; /* the snapshot that runs; 0: none */
    uint64_t final_step;      /* nothing runs from it on */
    proto_end end;
    bool running, paused;
    uint32_t members;
    uint64_t gatherer;        /* the member that runs the sinks, or without any gathers fingerprints; 0: none yet */
    proto_rescale_stats rescale;
    uint64_t rejected[PROTO_REJECT_COUNT];
    const char *waiting;      /* what it waits for, in words; static */
    bool roomless;            /* it waits for one that may be given what a lost worker had */
    uint64_t missing;         /* the worker that it waits for; 0: none */
    /* The smallest task error (step, stage, key group, row), if failed. */
    bool failed;
    uint64_t failed_step, failed_row;
    uint32_t failed_stage, failed_group;
} proto_coord_stats;

/* Some of it, without a look at all members: for what is asked with each message. */
typedef struct proto_coord_now {
    uint64_t generation, attempt; /* attempt: of the snapshot under way; 0: none is */
    proto_head head;
} proto_coord_now;

/* What is known of a worker. */
typedef struct proto_coord_worker {
    uint64_t id, process;
    uint32_t host;
    bool member, here;        /* here: of a member, that it has done what is waited for */
    bool leaving;             /* it was dismissed, and is told so when nobody needs it any more */
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

/* What follows from messages follows with the next tick, or any other event: the deadline is now. So whoever has many
 * to hand over hands them over first. */
void proto_coord_receive(proto_coord *coord, uint64_t now_us, const proto_msg *msg);
void proto_coord_tick(proto_coord *coord, uint64_t now_us);
uint64_t proto_coord_deadline(const proto_coord *coord);
/* `records`: appended by this process and now synced. ok false: the sync failed. */
void proto_coord_synced(proto_coord *coord, uint64_t now_us, uint64_t records, bool ok);
void proto_coord_committed(proto_coord *coord, uint64_t now_us, uint64_t attempt, bool ok);
/* The commit was not begun, and nothing is changed: the attempt is aborted, and tried again. */
void proto_coord_declined(proto_coord *coord, uint64_t now_us, uint64_t attempt);
void proto_coord_restored(proto_coord *coord, uint64_t now_us, uint64_t snapshot, bool ok);
/* A piece of so many bytes was written, and if it was the last one the part is durable and right. ok false: it
 * could not be written, or is wrong; the attempt is aborted. */
void proto_coord_collected(proto_coord *coord, uint64_t now_us, uint64_t worker, uint64_t attempt,
                           uint32_t size, bool ok);
void proto_coord_served(proto_coord *coord, uint64_t now_us, const proto_serve *what);
/* A worker's process ended, or its connection closed. */
void proto_coord_gone(proto_coord *coord, uint64_t now_us, uint64_t worker);

void proto_coord_stats_get(const proto_coord *coord, proto_coord_stats *stats);
void proto_coord_now_get(const proto_coord *coord, proto_coord_now *now);
bool proto_coord_has_member(const proto_coord *coord, uint64_t worker);
/* The workers that are alive, as far as is known; returns how many were written, up to `capacity`. */
uint32_t proto_coord_workers_get(const proto_coord *coord, proto_coord_worker *workers,
                                 uint32_t capacity);
/* Begin a rescale. Refused while another one runs, or if it makes no sense; *why says so then, and is
 * valid until the next call. It is lost if the coordinator ends before the stats say `kept`. */
proto_answer_status proto_coord_rescale(proto_coord *coord, uint64_t now_us, const proto_rescale *op,
                                        const char **why);
/* What has been ordered is ordered back; refused when members have begun to leave. */
proto_answer_status proto_coord_rescale_abort(proto_coord *coord, uint64_t now_us, const char **why);
/* A spare worker is to leave, and to know that it does well to: the next tick tells it. Members are not touched. */
void proto_coord_release(proto_coord *coord, uint64_t worker);
/* owner_ids[key group]: the workers' ids, by the newest change. Zero before the first generation. */
void proto_coord_owners_get(const proto_coord *coord, uint64_t *owner_ids);
/* A generation needs so many from now on, instead of the configuration's; but not more than the last
 * rescale has left. */
void proto_coord_expect(proto_coord *coord, uint32_t member_min);
/* Before start: the processes are others than the log knows, so the number that a rescale has left there does
 * not hold for them, but these do. */
void proto_coord_size(proto_coord *coord, uint32_t member_min, uint32_t member_max);
/* Holds until it is said again; ALL at the start. `left`: bytes that orders may still take, by proto_log_cost. */
void proto_coord_room(proto_coord *coord, proto_room room, uint64_t left);
/* As long as it holds no snapshot is begun: they are due, and wait. */
void proto_coord_hold(proto_coord *coord, bool hold);

#endif
