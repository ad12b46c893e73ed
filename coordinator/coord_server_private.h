/* A server's insides, shared by coord_server.c (life, the loop), coord_server_peers.c (messages of
 * workers), coord_server_clients.c (questions, status), coord_server_metrics.c (numbers),
 * coord_server_state.c (opening a state) and coord_server_disk.c (a full disk). */
#ifndef COORD_SERVER_PRIVATE_H
#define COORD_SERVER_PRIVATE_H

#include "coordinator/coord_children.h"
#include "coordinator/coord_commit.h"
#include "coordinator/coord_counts.h"
#include "coordinator/coord_http.h"
#include "coordinator/coord_log.h"
#include "coordinator/coord_net.h"
#include "coordinator/coord_server.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_wire.h"

#define SERVER_SELF    1u /* who we are on the net; commands of our own come from here */
#define SERVER_SAMPLES 16u

typedef struct server_peer {
    uint64_t id, process;
    uint32_t host;
    char label[WEIR_NAME_MAX];
    bool here; /* its connection is there */
    uint32_t cores;
    uint64_t memory;         /* of its host, in bytes */
    char address[PROTO_TEXT_SIZE_MAX + 1], key[PROTO_TEXT_SIZE_MAX + 1];
    coord_counts *counts;    /* as it told last; owned; null: it has not */
    char behind[PROTO_TEXT_SIZE_MAX]; /* what it waits for, as it told last, and whom, and when */
    uint64_t behind_worker, behind_us;
} server_peer;

struct coord_server {
    coord_server_options options;
    coord_server_job job;
    uint64_t number;         /* of the job */
    coord_endpoint endpoint;
    char nonce[COORD_NONCE_TEXT];
    bool begun;              /* it has run since this process began */
    df_disk disk;
    coord_log *log;
    coord_commit *commit;
    coord_net *net;
    coord_children *children;
    proto_coord *coord;
    coord_wire wire;
    proto_coord_worker *workers; /* [PROTO_WORKERS_MAX], of whoever asks */
    uint64_t unstick_us;     /* when to look for workers that are stuck */
    server_peer *peers;
    uint32_t peer_count, peer_room;
    uint64_t attempts_lost;  /* an earlier coordinator's; their parts were cleared away */
    uint64_t command_number; /* of our own */
    uint64_t skipped_told, skipped_us, stalls_told, late_told;
    bool full_told;
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
    uint64_t ended_us;       /* 0: not ended */
    bool told_to_leave;
    struct { uint64_t us, low; } samples[SERVER_SAMPLES]; /* of the speed */
    uint32_t sample_count;
    coord_http *http;        /* null: nobody wants to see numbers */
    struct {
        uint64_t attempt, attempt_us; /* the newest that was under way, and since when */
        double last_seconds;          /* of the newest snapshot; below 0: not known */
        coord_histogram snapshots;
    } seen;
    df_status status;        /* not DF_OK: the log or the store failed */
    df_error error;
};

/* ---- coord_server.c ---- */
uint64_t server_now_us(void);
void server_send(coord_server *server, uint64_t to, const proto_msg *msg);

/* ---- coord_server_state.c ---- */
/* Log, store and state machine from the state folder, as the options say. */
df_status server_state_open(coord_server *server, const proto_coord_env *env, df_error *err)
    DF_MUST_CHECK;
/* How the job had ended means nothing any more. */
void server_forget_end(coord_server *server);

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
/* Tell a worker where the others are. */
void server_tell_peers(coord_server *server, uint64_t to);
/* Remember whose it was; place: of a local worker, from 1, which names its log; else 0. */
void server_peer_lost(coord_server *server, uint64_t id, uint32_t place);
/* "w2", or what the worker calls itself. */
void server_label(const coord_server *server, uint64_t id, char label[WEIR_NAME_MAX]);

/* ---- coord_server_metrics.c ---- */
df_status server_metrics_open(coord_server *server, df_error *err) DF_MUST_CHECK;
/* Which attempt is under way; which one was committed. */
void server_metrics_watch(coord_server *server, uint64_t now_us, uint64_t attempt);
void server_metrics_committed(coord_server *server, uint64_t now_us, uint64_t attempt);
void server_take_metrics(coord_server *server, const proto_msg *msg);
void server_peer_uncount(server_peer *peer);
/* Show the numbers to whoever waits for them. */
void server_metrics_turn(coord_server *server);

/* ---- coord_server_disk.c ---- */
/* Snapshots do not get through, and why; one was made. */
void server_degrade(coord_server *server, const char *why);
void server_committed(coord_server *server, uint64_t attempt);
/* Look whether there is room, and clear away what was given up. */
void server_disk_turn(coord_server *server, uint64_t now_us, const proto_coord_stats *stats);

/* ---- coord_server_clients.c ---- */
void server_take_query(coord_server *server, const proto_msg *msg);

#endif
