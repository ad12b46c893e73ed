/* A coordinator's insides, shared by proto_coord.c (dispatch), proto_members.c (attach, installing,
 * heartbeats), proto_generation.c, proto_admit.c (members that come and go), proto_rescale.c, proto_tables.c,
 * proto_history.c (the log, orders, clients), proto_grants.c, proto_snapshots.c, proto_collect.c (streams from and to
 * workers) and proto_restore.c. */
#ifndef PROTO_COORD_PRIVATE_H
#define PROTO_COORD_PRIVATE_H

#include "coordinator/proto_coord.h"
#include "coordinator/proto_index.h"
#include "coordinator/proto_mutants.h"
#include "coordinator/proto_owner.h"

#define MUTANT(c, name) proto_mutant_on((c)->config.mutants, PROTO_MUTANT_##name)

typedef enum coord_phase {
    COORD_STARTING,   /* the incarnation is being synced; nothing is heard */
    COORD_ATTACHING,  /* members of the running generation report */
    COORD_FENCED,     /* the generation has ended, or none has begun: workers are waited for */
    COORD_SEALING,    /* the next generation is being synced */
    COORD_INSTALLING, /* its members load */
    COORD_RUNNING,
    COORD_ENDED,
} coord_phase;

/* A member's part that is fetched from it. */
typedef struct coord_collect {
    uint64_t attempt;       /* 0: none is */
    uint64_t hash_high, hash_low;
    proto_stream stream;
} coord_collect;

typedef struct coord_worker {
    uint64_t id, process;
    uint32_t host;
    uint64_t seen_us;
    bool gone, known; /* known: it has said its host */
    /* As a member of the generation: */
    bool reported, installed, prepared;
    bool failure_ended;   /* what can run of the step that failed has run there */
    bool loading;         /* it has said since the last heartbeat that it has the install, and loads */
    bool install_sent;    /* of the running generation, since the last heartbeat */
    uint64_t catch_up;    /* it counts when it has done the steps below this one */
    bool leaving, stop_told; /* it has left the running generation; it was told to end */
    uint64_t bound, applied, worked, done, released;
    uint64_t sent_bound, sent_complete, sent_order;
    coord_collect collect;
    uint32_t reads;         /* that were begun for it and have not ended */
    uint64_t served_us;     /* when the last one began; 0: never */
} coord_worker;

/* Inputs and commands of a client share one row of numbers, ascending. Commands are remembered only
 * while the coordinator lives; each does no harm when it is done again. */
typedef struct coord_client {
    uint64_t id, number, index, step; /* the newest input */
    uint64_t command;                 /* the newest command, and its answer */
    uint8_t command_status;
    uint64_t command_index, command_step;
    uint64_t answer_at;               /* the record that must be synced before; 0: answered */
} coord_client;

typedef struct coord_attempt {
    uint64_t index, step; /* index 0: none is open */
    uint64_t deadline_us;
    bool committing;
    bool final;
} coord_attempt;

typedef enum coord_restoring {
    COORD_RESTORING_NOT,
    COORD_RESTORING_ASKED,    /* its record is being synced */
    COORD_RESTORING_MADE,     /* the store's head is being moved */
    COORD_RESTORING_DONE,     /* the next generation begins from it */
} coord_restoring;

/* One key group of a rescale. Workers are known by their ids: places may be reused. */
typedef struct coord_move {
    uint32_t group, wave;
    uint64_t from, to;
} coord_move;

/* The rescale that runs. How far it is follows from the owner table, so it is the same after a restart:
 * a move is ordered when the newest owner is the wanted one, and done when that step is finished. */
typedef struct coord_rescale {
    uint64_t id;            /* 0: none runs */
    uint64_t record_at;     /* its beginning's record; 0: recovered */
    uint64_t begun_us, deadline_us; /* deadline: how long it may take */
    bool aborting, leaving; /* leaving: members do, so it cannot be aborted */
    uint64_t *before, *target; /* members then and afterwards, ascending */
    uint32_t before_count, target_count;
    coord_move *moves;
    uint32_t move_count;    /* what is to be ordered; when aborting, what is to be ordered back */
    uint32_t ordered, done; /* so many, from the first on */
    uint64_t need;          /* bytes of the log that it takes at most, with an abort */
    uint64_t spent_before;  /* the tables' `cost` when it began */
    uint64_t wave_step;     /* of the newest wave */
    uint64_t lost;          /* the first of its workers that was lost meanwhile; 0: none was */
    /* of the last one */
    uint64_t last_id, last_lost;
    proto_rescale_end last_end;
    uint32_t size;          /* members that generations have since; 0: as configured */
} coord_rescale;

/* What the orders of members and owners of this generation are in the log, since they were folded last. */
typedef struct coord_tables {
    uint64_t index;  /* of the newest; 0: none */
    uint64_t step;   /* the highest of one */
    uint64_t folded; /* those up to this one are in a record of tables */
    uint64_t cost;   /* bytes of them and of rescales that a fold makes void */
    uint64_t size;   /* bytes of such a record; 0: not known yet */
} coord_tables;

#define COORD_PAIRS_MAX (PROTO_INPUT_SIZE_MAX / PROTO_OWNERS_PAIR) /* key groups in one order of owners */
#define COORD_DISMISSED_MAX 256u
#define COORD_ASKED_MAX 16 /* clients that wait for a snapshot */
typedef struct coord_asked {
    uint64_t client, number, after; /* committed attempts above `after` answer it */
} coord_asked;

struct proto_coord {
    const proto_plan *plan;
    proto_coord_config config;
    proto_coord_env env;
    uint64_t now_us, beat_at_us, ticked_us;
    bool heard;             /* messages came, and nothing has followed from them yet */
    coord_phase phase;
    bool roomless; /* as of the last look at who could be the next generation's */
    uint64_t phase_since_us, fence_at_us;
    bool end_told;
    proto_end end, ending; /* ending: what `end` becomes with the final commit */
    uint64_t incarnation, generation;
    /* workers, and the generation's members as ids, by place */
    coord_worker *workers;
    uint32_t worker_count;
    proto_index worker_rows;             /* of ids: where in `workers` */
    proto_index member_places;           /* of members' ids */
    uint64_t members[PROTO_MEMBERS_MAX]; /* 0: the place is vacant */
    uint64_t since[PROTO_MEMBERS_MAX];   /* the order that admitted it; 0: it began the generation */
    uint64_t since_step[PROTO_MEMBERS_MAX]; /* that order's */
    uint16_t rows[PROTO_MEMBERS_MAX];    /* where in `workers` it is, probably */
    uint32_t member_count;               /* places, vacant ones too */
    uint64_t members_index; /* the last order of members in this generation; 0: none */
    uint64_t gatherer;      /* the member that sinks and fingerprints are with, as long as the generation lasts */
    uint64_t members_step;  /* the highest step of one */
    uint64_t leave_index;   /* the last one by which somebody left */
    bool owned[PROTO_MEMBERS_MAX]; /* it has owned a key group in this generation */
    uint64_t dismissed[COORD_DISMISSED_MAX]; /* who was, lately: they are told so, whenever they speak */
    uint32_t dismissed_count;
    coord_rescale rescale;
    coord_tables tables;
    char why[160];
    proto_owners owners;
    uint64_t base_snapshot, base_step, base_history;
    /* the log */
    uint64_t appended, synced;  /* records of this process */
    bool syncing;
    uint64_t incarnation_at, generation_at, end_at, ceiling_at; /* their record's number */
    uint64_t ceiling, ceiling_synced, floor;
    uint64_t ceiling_us;        /* when the last one was asked for */
    uint32_t ceiling_span;
    /* Orders 1 .. order_count; those up to order_gone mean nothing any more and are not kept. */
    proto_order_record *orders; /* [order_count - order_gone], by coord_order_get; payloads owned */
    uint64_t *order_at;         /* the record's number; 0: recovered */
    uint32_t order_count, order_gone, order_room, order_synced;
    uint64_t input_step;        /* of the last input */
    coord_client *clients;
    uint32_t client_count;
    /* time */
    uint64_t bound, final_step;
    uint64_t complete;          /* steps below it are computed everywhere */
    bool paused;
    uint64_t moved_us;          /* when somebody got on last, or had nothing to do */
    uint64_t pace_since_us, pace_base; /* bound and time where the pace was begun */
    uint64_t pace_low; /* steps below are done, or began before the pace */
    bool pace_begun;   /* the generation has done a step */
    /* snapshots */
    proto_head head;
    coord_restoring restoring;
    proto_head restore_to;
    uint64_t restore_at;        /* its record's number; 0: recovered */
    coord_attempt attempt;
    uint64_t last_attempt;      /* of this generation; open or decided */
    uint64_t snapshot_step;     /* of the last barrier */
    uint64_t due_step, due_us;  /* when the next one is due */
    coord_asked asked[COORD_ASKED_MAX];
    uint32_t asked_count;
    proto_room room;
    uint64_t room_left;
    bool hold;
    uint32_t aborted;           /* attempts, one after the other */
    uint64_t retry_at_us;       /* no barrier before */
    bool lost;                  /* the generation has ended with a member, and the next one has not begun */
    uint32_t restarts;
    uint64_t failing_us;        /* since when the job is failing; 0: it is not */
    proto_coord_stats stats;
};

/* ---- proto_coord.c ---- */
void coord_send(proto_coord *c, uint64_t to, proto_msg *msg, uint16_t type);
void coord_call(proto_coord *c, uint64_t worker);
void coord_enter(proto_coord *c, coord_phase phase);
void coord_reject(proto_coord *c, proto_reject reason);
void coord_finish(proto_coord *c, proto_end end);

/* ---- proto_members.c ---- */
coord_worker *coord_worker_find(proto_coord *c, uint64_t id);
/* Of a place; null: it is vacant. */
coord_worker *coord_member(const proto_coord *c, uint32_t place);
coord_worker *coord_worker_add(proto_coord *c, uint64_t id);
bool coord_is_member(const proto_coord *c, uint64_t id);
void coord_fence(proto_coord *c);          /* end the generation, for a failure */
void coord_fence_until(proto_coord *c, uint64_t at_us); /* end it; the next one begins then at the earliest */
void coord_attach_begin(proto_coord *c);
void coord_members_advance(proto_coord *c);
void coord_members_tick(proto_coord *c);
void coord_install_begin(proto_coord *c);
void coord_take_join(proto_coord *c, coord_worker *w, const proto_msg *msg);
void coord_take_report(proto_coord *c, coord_worker *w, const proto_msg *msg);
void coord_take_status(proto_coord *c, coord_worker *w, const proto_msg *msg);
void coord_take_installed(proto_coord *c, coord_worker *w, const proto_msg *msg);
void coord_failure_advance(proto_coord *c);
void coord_take_failed(proto_coord *c, coord_worker *w, const proto_msg *msg);
void coord_take_locked(proto_coord *c, coord_worker *w, const proto_msg *msg);

/* ---- proto_generation.c ---- */
bool coord_is_usable(const proto_coord *c, const coord_worker *w);
/* By the hints: it may have no key groups; member: not even keep those that it has. */
bool coord_refuses(const proto_coord *c, uint64_t worker, bool member);
void coord_recover_generation(proto_coord *c, const proto_record *record);
/* Begin the next one, if its workers are there. */
void coord_generation_try(proto_coord *c);

/* ---- proto_admit.c ---- */
/* The list of members was changed. */
void coord_places_note(proto_coord *c);
/* PROTO_NONE: none. */
uint32_t coord_place_of(const proto_coord *c, uint64_t id);
uint32_t coord_members_here(const proto_coord *c);
/* Whether the member's progress counts: not before one that was admitted has caught up. */
bool coord_counts(const proto_coord *c, uint32_t place);
/* All that were admitted have installed, have caught up, and are known to all. */
bool coord_admitted(const proto_coord *c);
/* All members have applied the last order of members. */
bool coord_members_known(const proto_coord *c);
/* Order that these become members, or are none any more. */
void coord_admit(proto_coord *c, const uint64_t *ids, uint32_t count);
void coord_dismiss(proto_coord *c, const uint64_t *ids, uint32_t count);
void coord_apply_members(proto_coord *c, const proto_order_record *order);
void coord_admit_installed(proto_coord *c, coord_worker *w, uint64_t step);
/* It is of the running generation and no member: so it has left. */
void coord_leave(proto_coord *c, coord_worker *w);
void coord_dismissed_note(proto_coord *c, uint64_t id);
void coord_dismissed_forget(proto_coord *c, uint64_t id);
bool coord_is_dismissed(const proto_coord *c, uint64_t id);
/* A member is lost. True: it has never owned anything, so the generation goes on without it. */
bool coord_drop(proto_coord *c, uint64_t id);
/* From `step` on. */
void coord_owner_change(proto_coord *c, uint32_t group, uint64_t step, uint32_t place);
void coord_admit_advance(proto_coord *c);
void coord_admit_tick(proto_coord *c);

/* ---- proto_rescale.c, proto_rescale_ask.c ---- */
proto_answer_status coord_rescale_begin(proto_coord *c, const proto_rescale *op, const char **why);
void coord_rescale_advance(proto_coord *c);
/* A worker is lost; if one runs that has to do with it, that is remembered. */
void coord_rescale_lost(proto_coord *c, uint64_t worker);
/* Takes `target`, ascending, and `moves`, whose `from` is filled in. */
void coord_rescale_open(proto_coord *c, uint64_t id, uint64_t deadline_us, uint64_t *target,
                        uint32_t target_count, coord_move *moves, uint32_t move_count);
/* The members' ids, ascending; returns how many. */
uint32_t coord_member_ids(const proto_coord *c, uint64_t *ids);
int coord_id_compare(const void *a, const void *b);
bool coord_id_in(const uint64_t *ids, uint32_t count, uint64_t id);
/* The id of who owns a key group after its newest change. */
uint64_t coord_owner_newest(const proto_coord *c, uint32_t group);
/* How many waves the first moves make up, the last one if it is whole. */
uint32_t coord_wave_count(const coord_rescale *r, uint32_t moves);
void coord_rescale_recover(proto_coord *c, const proto_record *record);
/* Who is to be in the next generation: all whom the rescale that runs wants, if they are usable; returns
 * how many, 0: the old ones. */
uint32_t coord_rescale_choose(proto_coord *c, uint64_t *chosen);
/* How many members the next generation may have. */
uint32_t coord_rescale_size(const proto_coord *c);
/* Who is to own what in the next generation with these members, as ids. True: that is what the rescale
 * wants; false: what was before it (when members leave: what is), as far as its owners are there. */
bool coord_rescale_owners(const proto_coord *c, const uint64_t *chosen, uint32_t count, uint64_t *owners);
/* A generation was begun or recovered: the rescale that ran has ended with it. */
void coord_rescale_generation(proto_coord *c);
void coord_rescale_last(proto_coord *c, uint64_t id, proto_rescale_end end, uint32_t size);
/* Bytes of the log that such a rescale takes at most, and of those the rest that the one that runs may still take. */
uint64_t coord_rescale_need(const proto_coord *c, uint32_t target_count, const coord_move *moves, uint32_t move_count);
uint64_t coord_rescale_rest(const proto_coord *c);
void coord_rescale_stats(const proto_coord *c, proto_rescale_stats *stats);
void coord_rescale_free(proto_coord *c);

/* ---- proto_tables.c ---- */
/* A record is in the log. */
void coord_tables_count(proto_coord *c, const proto_record *record);
void coord_tables_recover(proto_coord *c, const proto_record *record);
/* Fold the orders of members and owners, when they lie behind everybody and it is worth it. */
void coord_tables_advance(proto_coord *c);

/* ---- proto_history.c ---- */
/* The order after the first `index`, which must be kept. */
proto_order_record *coord_order_get(const proto_coord *c, uint32_t index);
/* So many that mean nothing follow in the log. */
void coord_orders_skip(proto_coord *c, uint64_t count);
uint64_t coord_append(proto_coord *c, const proto_record *record);
void coord_sync(proto_coord *c);
/* Returns the index. Copies the payload. */
uint64_t coord_order(proto_coord *c, const proto_order_record *order);
void coord_order_recover(proto_coord *c, const proto_order_record *order);
void coord_orders_synced(proto_coord *c);
void coord_orders_trim(proto_coord *c);
void coord_orders_send(proto_coord *c);
/* Orders that may be sent: all synced ones. */
uint32_t coord_orders_sendable(const proto_coord *c);
/* Where the next order goes. */
uint64_t coord_order_place(const proto_coord *c);
/* The lowest step of an order that is not synced; UINT64_MAX: none. */
uint64_t coord_orders_hold(const proto_coord *c);
uint64_t coord_history_below(const proto_coord *c, uint64_t step, uint64_t most);
/* Whether a sink's: it stays on its host. */
bool coord_is_pinned(const proto_coord *c, uint32_t group);
void coord_take_inject(proto_coord *c, const proto_msg *msg);
void coord_clients_synced(proto_coord *c);
void coord_take_command(proto_coord *c, const proto_msg *msg);
void coord_answer(proto_coord *c, uint64_t client, uint64_t number, uint8_t status, uint64_t index,
                  uint64_t step);

/* ---- proto_grants.c ---- */
uint64_t coord_low(const proto_coord *c);
void coord_grants_advance(proto_coord *c);
void coord_pace_anew(proto_coord *c);
/* When the pace lets the next step be granted; UINT64_MAX: something else holds it back. */
uint64_t coord_grant_due(const proto_coord *c);
void coord_grants_tick(proto_coord *c);
/* A generation in which nobody gets on is ended. */
void coord_stall_tick(proto_coord *c);

/* ---- proto_snapshots.c ---- */
/* All who took part in the last attempt have given back what they held for it. */
bool coord_attempt_released(const proto_coord *c);
void coord_snapshots_recover(proto_coord *c);
/* Count from here to the next snapshot that is due. */
void coord_snapshots_wind(proto_coord *c, uint64_t step);
void coord_snapshots_tick(proto_coord *c);
void coord_snapshots_advance(proto_coord *c);
void coord_take_prepared(proto_coord *c, coord_worker *w, const proto_msg *msg);
void coord_attempt_abort(proto_coord *c);
void coord_commit_declined(proto_coord *c, uint64_t attempt);
void coord_commit_done(proto_coord *c, uint64_t attempt, bool ok);
void coord_snapshot_ask(proto_coord *c, uint64_t client, uint64_t number);

/* ---- proto_collect.c ---- */
/* `prepared` of the open attempt, with a file that is to be fetched. */
void coord_collect_offered(proto_coord *c, coord_worker *w, const proto_prepared *p);
/* Ask for what is to be asked for now. */
void coord_collect_advance(proto_coord *c);
void coord_take_piece(proto_coord *c, coord_worker *w, const proto_msg *msg);
void coord_take_fetch(proto_coord *c, coord_worker *w, const proto_msg *msg);

/* ---- proto_restore.c ---- */
void coord_restore_recover(proto_coord *c, const proto_record *record);
/* Whether a command to restore must be said again later. */
bool coord_restore_waits(const proto_coord *c);
uint8_t coord_restore(proto_coord *c, const proto_command *command, proto_head *to);
/* Goes on with one that was asked for. True: the next generation may begin from the head. */
bool coord_restore_advance(proto_coord *c);

#endif
