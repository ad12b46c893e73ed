/* A server's insides, shared by coord_server.c (life, the loop), coord_server_peers.c (messages of
 * workers), coord_server_clients.c (questions, status), coord_server_metrics.c (numbers),
 * coord_server_state.c (opening a state), coord_server_listen.c (addresses, keys) and coord_server_disk.c (a full
 * disk). */
#ifndef COORD_SERVER_PRIVATE_H
#define COORD_SERVER_PRIVATE_H

#include "coordinator/coord_children.h"
#include "coordinator/coord_commit.h"
#include "coordinator/coord_http.h"
#include "coordinator/coord_intake.h"
#include "coordinator/coord_log.h"
#include "coordinator/coord_metrics.h"
#include "coordinator/coord_load.h"
#include "coordinator/coord_net.h"
#include "coordinator/coord_outlet.h"
#include "coordinator/coord_place.h"
#include "coordinator/coord_peers.h"
#include "coordinator/coord_rescales.h"
#include "coordinator/coord_scale.h"
#include "coordinator/coord_server.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_wire.h"
#include "coordinator/proto_index.h"

#define SERVER_SELF    1u /* who we are on the net; commands of our own come from here */
#define SERVER_SAMPLES 16u
#define SERVER_PEERS_MAX (PROTO_INDEX_SIZE / 2) /* workers known to the shell, those that have left for good too */
#define SERVER_ROSTER_SIZE (PROTO_MEMBERS_MAX * COORD_PEER_SIZE_MAX)
#define SERVER_SCALE_US 1000000u /* between two looks whether something is to be changed */
#define SERVER_AGAIN_US 10000000u /* after a change that came to nothing */

typedef struct server_peer {
    uint64_t id, process;
    uint32_t host;
    char label[WEIR_NAME_MAX];
    bool here; /* its connection is there */
    uint32_t cores;
    uint64_t memory;         /* of its host, in bytes */
    char address[PROTO_TEXT_SIZE_MAX + 1], key[PROTO_TEXT_SIZE_MAX + 1];
    coord_counts *counts;    /* as it told last; owned; null: it has not */
    coord_load load;         /* as it told last, without units */
    uint64_t load_us;        /* when; 0: it has not */
    uint64_t reserved_bytes; /* that decisions have given it since then */
    double reserved_load;
    char behind[PROTO_TEXT_SIZE_MAX]; /* what it waits for, as it told last, and whom, and when */
    uint64_t behind_worker, behind_us;
} server_peer;

/* What was told last of a unit. */
typedef struct server_unit {
    uint64_t from;           /* by whom; 0: nobody has */
    uint64_t told_us, cost_ns, rows, bytes;
} server_unit;

/* Workers and units as placement wants them; labels are borrowed from here. */
typedef struct server_view {
    coord_place_worker *workers; /* as s->workers of that moment */
    char (*labels)[WEIR_NAME_MAX];
    char (*more)[WEIR_NAME_MAX]; /* those of server_view_extend */
    coord_place_unit *units; /* their owners are whoever told of them last */
    coord_place_input input; /* of all this */
    uint32_t known;          /* workers that are there: the first ones */
} server_view;

/* A change of workers or owners: none if row.what is "". */
typedef struct server_change {
    coord_rescale_ask ask;
    coord_rescale_row row;    /* id 0: the state machine does not have it yet */
    uint32_t started;         /* places for local workers that were added for it */
    uint32_t refused;         /* spare workers that were there, and may have no key groups */
    uint32_t given_up;        /* places for local workers that were given up before it */
    bool starting;            /* workers are awaited, */
    uint64_t until_us;        /* so long */
    uint64_t begun_us;
    uint64_t low, low_us;     /* the lowest step, and since when */
    uint64_t late_steps;      /* before it, as the state machine counts them */
    uint64_t *leaving;        /* members that leave and whose places are vacated; owned */
    uint32_t leaving_count;
    bool looked;              /* for places that an earlier coordinator has vacated for nothing */
    coord_scale scale, balance; /* of what nobody asked for; they outlive a change */
    uint64_t look_us;
} server_change;

struct coord_server {
    coord_server_options options;
    coord_server_job job;
    uint64_t number;         /* of the job */
    coord_endpoint endpoint;
    char nonce[COORD_NONCE_TEXT];
    bool begun;              /* it has run since this process began */
    uint64_t stepped_us;     /* when its first step was seen to be done; 0: not yet */
    df_disk disk;
    coord_log *log;
    coord_commit *commit;
    df_disk intake_disk;     /* the intake's thread's */
    coord_intake *intake;
    coord_outlet *outlet;
    coord_net *net;
    coord_children *children;
    proto_coord *coord;
    coord_wire wire;
    proto_coord_worker *workers; /* [PROTO_WORKERS_MAX], of whoever asks */
    uint64_t rotate_us;      /* when to look how long our log is */
    uint64_t unstick_us;     /* when to look for workers that are stuck */
    server_peer *peers;
    uint32_t peer_count, peer_room;
    proto_index peer_rows;   /* of ids: where in `peers` */
    struct {
        uint8_t *bytes;      /* [SERVER_ROSTER_SIZE]: where members are reached */
        uint32_t size;
        bool whole;          /* it is what it was made for, all members, and nothing has changed since */
    } roster;
    server_change change;
    char scale_text[192];    /* why the number of workers is as it is; "": nobody decides it */
    coord_rescale_row rescales[COORD_RESCALES_KEPT]; /* that have ended, the newest last */
    uint32_t rescale_count;
    uint64_t operated, operated_by; /* the newest request that was taken, and its reply */
    coord_rescale_row operated_row;
    server_unit *units;      /* of each key group but the sinks'; null: nobody has told of any */
    uint64_t attempts_lost;  /* an earlier coordinator's; their parts were cleared away */
    uint64_t command_number; /* of our own */
    uint64_t skipped_told, skipped_us, stalls_told, late_told;
    bool full_told, limit_told;
    char degraded[PROTO_TEXT_SIZE_MAX]; /* why no snapshots get through; "": they do */
    uint64_t room_us;        /* when the disk's room was looked at */
    uint64_t given_up;       /* attempts and generations that were given up, as was seen last */
    uint64_t uncleared;      /* parts of attempts up to it lie about; 0: none */
    char failed[PROTO_TEXT_SIZE_MAX]; /* the smallest task error, in words */
    uint64_t failed_at[4];
    struct {
        uint64_t id;         /* of the worker that was lost last; 0: none was */
        char label[WEIR_NAME_MAX];
        uint32_t log;        /* its place, which names its log; 0: it is not ours */
    } lost;
    char fingerprint[64];
    bool fingerprint_kept;   /* it is in the state */
    uint64_t ended_us;       /* 0: not ended */
    coord_status *ended;     /* how it had ended before this process began; owned; null: it had not, or
                                nobody knows more than the log */
    bool told_to_leave;
    struct { bool is; uint64_t step, snapshot; } kept; /* what was written of our own end */
    struct { uint64_t us, low; } samples[SERVER_SAMPLES]; /* of the speed */
    uint32_t sample_count;
    coord_http *http;        /* null: nobody wants to see numbers */
    struct {
        uint64_t attempt, attempt_us; /* the newest that was under way, and since when */
        uint64_t reach_us;            /* when all workers were seen to have come to its step; 0: not yet */
        uint64_t commit_us;           /* when it began to be committed */
        double last_seconds;          /* of the newest snapshot; below 0: not known */
        double commit_seconds;        /* of these, since all parts were written */
        coord_histogram snapshots, phases[COORD_SNAPSHOT_PHASES];
        coord_rescale_totals rescales;
    } seen;
    df_status status;        /* not DF_OK: the log or the store failed */
    df_error error;
};

/* ---- coord_server.c ---- */
uint64_t server_now_us(void);
void server_send(coord_server *server, uint64_t to, const proto_msg *msg);

/* ---- coord_server_listen.c ---- */
/* Open the net, where the next coordinator of the same state will be found, too, and say so in the state. Who has
 * our own key is us: local workers, and whoever asks from another terminal. */
df_status server_listen(coord_server *server, df_error *err) DF_MUST_CHECK;

/* ---- coord_server_state.c ---- */
/* Log, store and state machine from the state folder, as the options say. */
df_status server_state_open(coord_server *server, const proto_coord_env *env, df_error *err)
    DF_MUST_CHECK;
/* The job ends, as its status says already: in words, before the end is in the log. So whoever opens the state
 * later tells the same, however soon the process is killed. */
void server_keep_end(coord_server *server);
/* Workers have left: a step or a snapshot that was under way when the job ended may have been done since then. */
void server_keep_end_again(coord_server *server);
/* How the job had ended means nothing any more, but for the last step's fingerprint, if that is not run again. */
void server_forget_end(coord_server *server, bool but_fingerprint);

/* ---- coord_server_peers.c ---- */
/* What a worker said; messages of the state machine go there. */
void server_take_worker(coord_server *server, const proto_msg *msg);
server_peer *server_peer_find(const coord_server *server, uint64_t id);
void server_peer_forget(coord_server *server, uint64_t id);
/* Its connection was lost. */
void server_peer_gone(coord_server *server, uint64_t id);
/* Whether anybody's is there. */
bool server_peers_are_here(const coord_server *server);
/* "step 7: ... waits for ... from w2", if it has said so lately; else "". */
void server_behind(const coord_server *server, uint64_t id, uint64_t now_us, char *text, size_t size);
/* Tell a worker where the others are; where those are that an order of members (its pairs) names. */
void server_tell_peers(coord_server *server, uint64_t to);
void server_tell_order(coord_server *server, uint64_t to, proto_bytes pairs);
/* Remember whose it was; place: of a local worker, from 1, which names its log; else 0. */
void server_peer_lost(coord_server *server, uint64_t id, uint32_t place);
/* "w2", or what the worker calls itself. */
void server_label(const coord_server *server, uint64_t id, char label[WEIR_NAME_MAX]);
/* That of the worker at a place for local ones, from 1. */
void server_place_label(const coord_server *server, uint32_t place, char label[WEIR_NAME_MAX]);
/* The same of one that may have been lost. */
void server_lost_label(const coord_server *server, uint64_t id, char label[WEIR_NAME_MAX]);

/* ---- coord_server_metrics.c ---- */
df_status server_metrics_open(coord_server *server, df_error *err) DF_MUST_CHECK;
/* Which attempt is under way, and whether all workers have come to its step; which one is committed; which one was. */
void server_metrics_watch(coord_server *server, uint64_t now_us, uint64_t attempt, bool reached);
void server_metrics_commits(coord_server *server, uint64_t now_us, uint64_t attempt);
void server_metrics_committed(coord_server *server, uint64_t now_us, uint64_t attempt);
void server_take_metrics(coord_server *server, const proto_msg *msg);
void server_peer_uncount(server_peer *peer);
/* Show the numbers of the job, and those of its key groups, to whoever waits for them. */
void server_metrics_turn(coord_server *server);

/* ---- coord_server_load.c ---- */
void server_take_load(coord_server *server, const proto_msg *msg);
/* What was told of each key group, freed by the caller; null: out of memory. */
coord_metrics_group *server_groups(const coord_server *server, uint32_t *count);
/* False: out of memory, or no worker is known. */
bool server_view_make(coord_server *server, server_view *view);
void server_view_free(server_view *view);
/* Note what a decision on a view gives to workers, until they have told their next load. */
void server_view_reserve(coord_server *server, server_view *view, const uint32_t *after);
/* The place of a worker; COORD_PLACE_NONE: it is not there. */
uint32_t server_view_place(const server_view *view, uint64_t id);
/* So many idle workers more, as the coordinator would start them. False: out of memory; the view stays. */
bool server_view_extend(const coord_server *server, server_view *view, uint32_t more);
/* Whether all key groups have been told of since the job's first step was done; before, they are empty. */
bool server_units_known(const coord_server *server);
/* A load that is older is not used. */
uint64_t server_stale_us(const coord_server *server);
/* Whether the hints of [placement] keep key groups from a worker, and why. */
bool server_refuses(const coord_server *server, uint64_t id, bool member, char text[160]);
/* How many local workers are here, and may have none. */
uint32_t server_local_refused(const coord_server *server);
/* How each worker stands, for people: rows[PROTO_WORKERS_MAX]; returns how many. */
uint32_t server_workers(coord_server *server, coord_workers_row *rows);
/* What a rebalance would come to, in a sentence; "" if that cannot be said. */
void server_balance_text(coord_server *server, char text[256]);
/* How busy the members are; a change under way is the caller's to note. False: there are none. */
bool server_scale_sample(coord_server *server, coord_scale_sample *sample);

/* ---- coord_server_rescale.c ---- */
void server_rescales_read(coord_server *server);
void server_take_operate(coord_server *server, const proto_msg *msg);
/* The one that runs and those that have ended, in JSON; null: out of memory. */
char *server_rescales(const coord_server *server);
void server_rescale_turn(coord_server *server, uint64_t now_us, const proto_coord_stats *stats);
df_status server_change_begin(coord_server *server, const coord_rescale_ask *ask, const char *why,
                              df_error *err) DF_MUST_CHECK;
/* As many workers as the job is to have, or as are there for it; false: it has them. */
bool server_could_refill(const coord_server *server, uint32_t *workers);
/* The busiest worker over its share, as it is and as a rebalance would make it. False: not known. */
bool server_could_balance(coord_server *server, double *busiest, double *could_be);

/* ---- coord_server_plan.c ---- */
/* What a change comes to. The lists of ids are of the state machine's words. */
typedef struct server_plan {
    server_view view;        /* s->workers is of the same moment */
    uint64_t *owners;        /* [key groups of the plan, sinks' too]: ids */
    uint32_t *after;         /* [unit] */
    coord_place_step *steps;
    uint64_t *admit, *dismiss;
    proto_move *moves;
    uint32_t step_count, admit_count, dismiss_count, waves, to;
    uint64_t bytes;
    coord_place_outcome outcome;
} server_plan;

bool server_ask_is(const coord_rescale_ask *ask, const char *what);
/* `more`: workers that are not there yet, and are shown as idle ones. It is freed in any case. */
df_status server_plan_make(server_plan *plan, coord_server *server, const coord_rescale_ask *ask, uint32_t more,
                           df_error *err) DF_MUST_CHECK;
void server_plan_free(server_plan *plan);

/* ---- coord_server_scale.c ---- */
void server_scale_turn(coord_server *server, uint64_t now_us, const proto_coord_stats *stats);

/* ---- coord_server_disk.c ---- */
/* Streams with workers that do not see the folder: what was written and read goes to the state machine. */
void server_streams_take(coord_server *server);
/* Snapshots do not get through, and why; one was made. */
void server_degrade(coord_server *server, const char *why);
void server_committed(coord_server *server, uint64_t attempt);
/* Look whether there is room, and clear away what was given up. */
void server_disk_turn(coord_server *server, uint64_t now_us, const proto_coord_stats *stats);

/* ---- coord_server_clients.c ---- */
void server_take_query(coord_server *server, const proto_msg *msg);

#endif
