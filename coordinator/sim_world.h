/* The simulator: coordinators, workers and clients in one process, on a virtual network, disk and
 * clock, with faults. All is drawn from one 64-bit seed; the same seed gives the same trace.
 *
 * The real state machines and the real codec's bytes run in it. Its network loses, repeats, delays
 * and reorders; its disks lose or tear what was not synced. Checkers watch every step (sim_check.c). */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "coordinator/proto_coord.h"
#include "coordinator/proto_mutants.h"
#include "coordinator/sim_job.h"
#include "coordinator/sim_rng.h"

#define SIM_WORKERS_MAX     1000u
#define SIM_WORKERS_DRAWN   5u   /* of a schedule of faults, */
#define SIM_GROUPS_DRAWN    6u   /* key groups */
#define SIM_STEPS_DRAWN     60u
#define SIM_SIZES           8u   /* numbers of workers, with `sizes` */
#define SIM_CLIENTS_MAX     2u
#define SIM_PROCESSES_MAX   2048u /* of one schedule, the dead ones too */
#define SIM_GENERATIONS_MAX 128u
#define SIM_MEMBERS_MAX     1000u /* of one commit; who died may still be counted */
#define SIM_LINES_MAX       128u
#define SIM_TEXT_MAX        256u

typedef struct sim_options {
    uint64_t seed;
    uint64_t mutants;
    bool faults;   /* false: a kind world */
    uint32_t crowd; /* so many workers go through a play instead (sim_crowd.c); 0: a schedule of faults */
    bool stall;    /* a generation that stands still is ended: what a mutant breaks may heal */
    bool sizes;    /* clients want each number of workers after each other one */
    void *log;     /* FILE * for every event; null: none */
} sim_options;

typedef struct sim_result {
    uint64_t seed, trace, events, time_us;
    uint64_t rescales, rescales_ended[4]; /* begun; by proto_rescale_end */
    uint64_t generations, incarnations, commits, frames, frame_bytes, faults, rejected;
    uint64_t steps;
    uint64_t sizes;            /* bit SIM_SIZES * (a - 1) + b - 1: a rescale from a to b workers is done */
    uint64_t refused;          /* times that hints have refused a worker */
    uint64_t folds, shortened; /* records of tables; times that the log was made shorter */
    uint64_t installs, install_bytes; /* messages that begin generations, or admit members, and their bytes */
    uint64_t coord_ns, coord_frames; /* what coordinators took, their checks too; frames that they heard */
    bool violated;
    char text[SIM_TEXT_MAX]; /* the violation */
} sim_result;

/* Run one schedule. Returns true if nothing was violated. */
bool sim_run(const sim_options *options, sim_result *result);

typedef enum sim_kind {
    SIM_FRAME,      /* bytes arrive */
    SIM_TICK,
    SIM_TASK,       /* a task ends */
    SIM_LOADED,
    SIM_PART,
    SIM_SINK_OPEN,
    SIM_SINK_SYNC,
    SIM_SYNC,       /* the coordinator's log */
    SIM_COMMIT,
    SIM_RESTORE,    /* the store's head is moved */
    SIM_COLLECT,    /* a piece of a part was written */
    SIM_SERVE,      /* what a worker fetches was read */
    SIM_FETCH,      /* a worker begins to fetch the next key group that it has to load */
    SIM_KILLED,
    SIM_GONE,       /* the coordinator hears of a dead worker */
    SIM_LINKED,
    SIM_START_WORKER,
    SIM_START_COORD,
    SIM_RESCALE,    /* a: a sim_wish */
    SIM_CLIENT,     /* a client's next deed */
    SIM_CROWD,      /* the play's next look */
} sim_kind;

typedef struct sim_event {
    uint64_t time_us, order;
    sim_kind kind;
    uint32_t process;  /* to whom; a slot of a supervisor, or a client, for the last three */
    uint32_t from;
    uint32_t epoch;    /* of the link */
    uint64_t a, b;
    void *data;        /* owned */
    uint32_t size;
} sim_event;

typedef enum sim_role {
    SIM_WORKER = 1,
    SIM_COORD,
} sim_role;

typedef struct sim_world sim_world;

/* What a worker that does not see the store has to load, and what has come of it. */
typedef struct sim_apart {
    bool is;               /* it is one */
    uint64_t generation, snapshot;
    bool wanted[SIM_GROUPS_MAX + 1];
    uint32_t group;        /* that is fetched; PROTO_NONE: none */
    uint32_t serial;       /* of the fetch: what was handed over in an earlier one means nothing */
    uint8_t *bytes;        /* [total] */
    uint64_t total, have, used;
} sim_apart;

typedef struct sim_process {
    sim_world *world;
    sim_role role;
    uint64_t id;           /* place in the table + 1: what the protocol calls it */
    uint32_t slot, host;
    bool alive, revoked;   /* revoked: another coordinator has the disk */
    uint64_t frozen_until_us, skew_us, tick_at_us;
    proto_worker *worker;
    proto_coord *coord;
    uint64_t credit_size;  /* a worker's */
    uint64_t running, bound; /* a worker's, after its last event: the generation that runs there (0: none), what is granted */
    uint64_t log_base;     /* records in the log when this process began */
    uint64_t ended_op;     /* a coordinator's: the last rescale whose end was looked at */
    uint32_t window;
    uint32_t part;         /* a worker's newest one: its place in the table + 1; 0: none */
    sim_apart apart;
} sim_process;

typedef struct sim_part {
    uint64_t attempt, generation, member;
    uint32_t before; /* the member's one before, as in sim_process */
    bool synced;
    uint32_t count;
    proto_captured *captured; /* batches held until they are written, then copies */
    bool copied;
    /* Of a worker that does not see the store: its file, and what has come of that into the store. */
    bool apart;
    uint8_t *file, *landed;
    uint64_t file_size, landed_size, hash;
    bool landed_whole; /* durable, and compared with the hash */
} sim_part;

typedef struct sim_snapshot {
    uint64_t attempt, step, member_count;
    uint64_t generation, parent;
    uint64_t members[SIM_MEMBERS_MAX];
} sim_snapshot;

typedef struct sim_client {
    uint64_t id, number;
    uint32_t left;         /* deeds still to do */
    bool waiting;
    proto_msg msg;         /* what it says until it is answered */
    uint8_t payload[64];
    bool paused;
} sim_client;

typedef struct sim_acked {
    uint64_t client, number, index, hash;
} sim_acked;

/* What a schedule dwells on; the rare interleavings need more than luck. */
typedef enum sim_theme {
    SIM_THEME_MIXED,
    SIM_THEME_ZOMBIES,     /* coordinators that are replaced at once and live on; long links */
    SIM_THEME_GENERATIONS, /* workers that die; frames that arrive a generation late */
    SIM_THEME_RESCALES,    /* members come and go all the time */
} sim_theme;

/* What a client may want of the members. */
typedef enum sim_wish {
    SIM_WISH_SIZE, /* another number of workers */
    SIM_WISH_EMPTY, /* one of them with nothing left to do */
    SIM_WISH_ABORT,
} sim_wish;

typedef struct sim_config {
    sim_theme theme;
    uint32_t order_ahead;
    uint32_t workers, member_min, member_max, clients;
    uint32_t delay_us, jitter_us;          /* of frames */
    uint32_t drop, repeat, corrupt, late;  /* of a million frames */
    uint32_t task_us, disk_us, client_us;
    uint32_t turn_us;                      /* a coordinator hears frames for so long before it acts on them */
    uint32_t step_us;                      /* the job's pace: time of a step; 0: it has none */
    uint32_t slow;                         /* heartbeats and deadlines are so many times as long */
    uint32_t disk_fails, task_fails;       /* of a million */
    uint32_t fault_count;
    uint64_t fault_events;                 /* events between two faults, on average */
    uint64_t log_size;                     /* bytes; 0: it has room for all, and is made shorter only when a coordinator starts */
} sim_config;

struct sim_world {
    sim_options options;
    sim_config config;
    sim_rng rng;
    sim_job job;
    sim_result *result;
    uint64_t now_us, order, trace;
    sim_event *heap;
    uint32_t heap_count, heap_room;
    sim_process processes[SIM_PROCESSES_MAX];
    uint32_t process_count;
    uint32_t worker_of[SIM_WORKERS_MAX];   /* the living process of a slot, or PROTO_NONE */
    uint32_t coord_now;                    /* the newest coordinator, or PROTO_NONE */
    uint32_t coord_old;                    /* a zombie, or PROTO_NONE */
    uint32_t worker_host[SIM_WORKERS_MAX];
    bool worker_apart[SIM_WORKERS_MAX];    /* those of this slot do not see the store */
    bool apart;                            /* there are such slots */
    proto_stream_limits stream;
    struct {
        bool are;
        uint64_t never_from_us[SIM_WORKERS_DRAWN]; /* by slot: it may not have key groups from then on */
        uint64_t full_from_us[SIM_WORKERS_DRAWN], full_until_us[SIM_WORKERS_DRAWN]; /* nor more than it has */
    } hints;
    /* the network: links between places (slots; coordinators are one place, clients another) */
    uint32_t epoch[SIM_WORKERS_MAX + 2][SIM_WORKERS_MAX + 2];
    uint64_t cut_until_us[SIM_WORKERS_MAX + 2][SIM_WORKERS_MAX + 2];
    /* disks */
    proto_record *log;
    uint32_t log_count, log_room, log_synced;
    proto_record *shorter;                 /* what is left on the disk of the log up to short_end; then log */
    uint32_t short_count, short_end;
    sim_part *parts;
    uint32_t part_count, part_room;
    sim_snapshot *snapshots;
    uint32_t snapshot_count, snapshot_room;
    proto_head head;
    uint8_t *file;
    uint64_t file_size, file_synced, file_seen;
    uint64_t file_holder, file_generation; /* the lock; the newest generation that opened it */
    uint64_t cut_generation, cut_size;     /* the first sink of that generation cuts the file; 0: none */
    bool power_lost;
    /* faults */
    uint32_t faults_left;
    uint64_t next_fault_event, faults_end_us;
    sim_client clients[SIM_CLIENTS_MAX];
    struct {
        uint32_t turn, from, to;           /* of all pairs; of the last such rescale that has begun */
        uint64_t id;
    } size;
    sim_acked *acked;
    uint32_t acked_count, acked_room;
    /* checkers */
    /* A return that drops inputs begins a line of values of its own. */
    uint64_t *seen[SIM_LINES_MAX]; /* [(step) * groups + group]: the first value; 0: none */
    uint32_t line_count;
    uint32_t line_of[SIM_GENERATIONS_MAX];
    uint8_t *ran;          /* [generation][step][stage][group] */
    uint32_t *rows_out, *rows_in; /* [generation][step][edge] */
    struct {
        uint32_t act;          /* of the play */
        uint64_t low, generation, incarnation, rescale; /* as they were when it began */
    } crowd;
    bool done;
};

/* ---- sim_world.c ---- */
void sim_push(sim_world *w, const sim_event *event, uint64_t delay_us);
uint64_t sim_local(const sim_process *p);
sim_process *sim_process_new(sim_world *w, sim_role role, uint32_t slot, uint32_t host);
void sim_process_end(sim_world *w, sim_process *p);
void sim_note(sim_world *w, uint64_t a, uint64_t b);

/* ---- sim_shell.c: the tables of the state machines ---- */
void sim_worker_start(sim_world *w, uint32_t slot);
void sim_coord_start(sim_world *w);
void sim_shell_event(sim_world *w, sim_process *p, sim_event *e);
void sim_shell_tick(sim_world *w, sim_process *p);

/* ---- sim_net.c ---- */
/* Encode, and deliver, lose, repeat, delay or corrupt. */
void sim_send(sim_world *w, const sim_process *from, uint64_t to, const proto_msg *msg);
void sim_client_send(sim_world *w, sim_client *client);
bool sim_net_carries(const sim_world *w, const sim_event *e);
void sim_net_cut(sim_world *w, uint32_t a, uint32_t b, uint64_t until_us);
void sim_net_reconnect(sim_world *w, uint32_t a, uint32_t b);
uint32_t sim_place(const sim_process *p);

/* ---- sim_disk.c ---- */
void sim_log_append(sim_world *w, sim_process *p, const proto_record *record);
void sim_log_crash(sim_world *w);
void sim_log_recover(sim_world *w, sim_process *p);
void sim_log_turn(sim_world *w, sim_process *p);
/* A coordinator that has read the shorter log knows what one does that reads all that was ever in it. */
void sim_log_compare(sim_world *w, const sim_process *p, proto_coord *whole);
void sim_part_begin(sim_world *w, sim_process *p, uint64_t generation, uint64_t attempt,
                    const proto_captured *captured, uint32_t count);
void sim_part_end(sim_world *w, sim_process *p, uint64_t attempt);
sim_part *sim_part_find(sim_world *w, uint64_t attempt, uint64_t member);
proto_batch *sim_store_load(sim_world *w, uint64_t snapshot, uint32_t group);

/* ---- sim_stream.c: workers that do not see the store ---- */
/* Which slots, and the sizes of pieces; drawn beside the seed's other numbers, which stay what they are. */
void sim_stream_draw(sim_world *w);
/* Its part becomes a file, which is told to the protocol. */
void sim_stream_part(sim_world *w, sim_process *p, sim_part *part);
proto_batch *sim_stream_read(sim_process *p, uint64_t attempt, uint64_t offset, uint32_t size);
void sim_stream_fetched(sim_process *p, const proto_piece *piece);
/* A key group is to be loaded. */
void sim_stream_load(sim_process *p, uint64_t generation, uint64_t snapshot, uint32_t group);
void sim_stream_collect(sim_process *p, const proto_collect *piece);
void sim_stream_serve(sim_process *p, uint64_t worker, const proto_fetch *what);
/* SIM_COLLECT, SIM_SERVE, SIM_FETCH */
void sim_stream_event(sim_world *w, sim_process *p, sim_event *e);
/* A commit under way when its process dies, or loses the disk, was made or was not. */
void sim_commit_settle(sim_world *w, uint32_t process);
void sim_commit_land(sim_world *w, const sim_snapshot *snapshot);
/* A snapshot of the head's line; 0: the head. */
bool sim_snapshot_find(const sim_world *w, uint64_t attempt, proto_head *head);
void sim_file_write(sim_world *w, const sim_process *p, uint64_t generation, uint64_t offset,
                    const proto_batch *bytes);
uint64_t sim_file_open(sim_world *w, const sim_process *p, uint64_t generation);
void sim_file_power_loss(sim_world *w);
void sim_disk_fini(sim_world *w);

/* ---- sim_hints.c: workers that may not have key groups ---- */
void sim_hints_draw(sim_world *w);
/* What the state machine asks. member: whether it may keep what it has. */
bool sim_refuses(const sim_world *w, uint64_t worker, bool member);
/* Before a record is in the log: nobody is given anything who may not have it now. */
void sim_hints_append(sim_world *w, const proto_record *record);

/* ---- sim_fault.c ---- */
void sim_config_draw(sim_world *w);
void sim_fault(sim_world *w);
void sim_client_deed(sim_world *w, uint32_t client);
void sim_client_answer(sim_world *w, uint32_t client, const proto_msg *msg);

/* ---- sim_crowd.c: a thousand workers ---- */
void sim_crowd_draw(sim_world *w);
/* What coordinators of a crowd are configured to. */
void sim_crowd_config(proto_coord_config *config);
/* SIM_CROWD */
void sim_crowd_turn(sim_world *w);
/* The job has ended: that the play had, too. */
void sim_crowd_end(sim_world *w);

/* ---- sim_rescale.c ---- */
/* A client's wish reaches a coordinator: it plans, and begins. */
void sim_rescale_wish(sim_world *w, sim_process *p, sim_wish wish);
/* The id of who owns a key group at a step, read from the log alone; 0: nobody. */
uint64_t sim_owner(const sim_world *w, uint64_t generation, uint32_t group, uint64_t step);
/* The number of the last that has ended, as far as a coordinator knows. */
uint64_t sim_rescale_last(const sim_process *p);
/* A coordinator that has read the log goes on with the rescale that it says is running. */
void sim_rescale_recovered(sim_world *w, const sim_process *p);
/* What it appends keeps a key group's changes a window apart. */
void sim_rescale_append(sim_world *w, const sim_process *p, const proto_record *record);
/* A rescale that has ended has left what it says. */
void sim_rescale_check(sim_world *w, sim_process *p, const proto_coord_stats *stats);

/* ---- sim_check.c ---- */
__attribute__((format(printf, 2, 3))) void sim_violate(sim_world *w, const char *format, ...);
void sim_check_init(sim_world *w);
void sim_check_fini(sim_world *w);
void sim_check_task(sim_world *w, const sim_process *p, const proto_task *task);
/* What the values of a generation are compared with. */
uint64_t *sim_check_line(sim_world *w, uint64_t generation);
/* A generation is in the log: that it begins in the line of the last return; its line of values. */
void sim_check_generation(sim_world *w, const proto_record *record);
void sim_check_worker(sim_world *w, sim_process *p);
void sim_check_bounds(sim_world *w, const proto_coord_stats *s);
/* At the end: everything against the reference. */
void sim_check_end(sim_world *w);

#endif
