/* A coordinator's state machine against workers that do at once what they are told. Time goes in rounds of a
 * millisecond: what was said is heard, what was appended is synced, whoever is there says so now and
 * then. Nothing is lost but by a crash. For tests; failures end the test. */
#ifndef TESTS_SUPPORT_FAKE_CLUSTER_H
#define TESTS_SUPPORT_FAKE_CLUSTER_H

#include "coordinator/proto_coord.h"

#define FAKE_CLUSTER_JOB      7u
#define FAKE_CLUSTER_WORKERS  1010u
#define FAKE_CLUSTER_WINDOW   4u
#define FAKE_CLUSTER_MESSAGES 400000u
#define FAKE_CLUSTER_PIECE    10u /* bytes of what is streamed; a window is four */

typedef struct fake_member {
    uint64_t id, generation, incarnation, applied, bound, released, attempt, attempt_step;
    uint32_t installs, orders, stopped; /* stopped: the reason + 1 */
    bool there, deaf, running;
    bool unfit, full;             /* hints refuse it: it may have no key groups; no more than it has */
    uint64_t file_size;           /* of the part that it offers to the coordinator; 0: it has none */
    uint64_t wanted, want_size;   /* what the coordinator asked for last */
    uint32_t wants;
} fake_member;

typedef struct fake_message {
    uint64_t to;
    uint16_t type;
    uint64_t generation, incarnation, number, second, third;
    uint8_t kind;
} fake_message;

typedef struct fake_cluster {
    proto_stage stages[2];
    proto_plan plan;
    proto_coord_config config;
    proto_coord *coord;
    fake_member members[FAKE_CLUSTER_WORKERS]; /* id i + 1 */
    fake_message *queue;          /* what the coordinator has said and nobody has heard */
    uint32_t queued;
    proto_record *log;
    uint32_t log_count, log_synced, base, crash_at; /* crash_at: records that are synced at most; 0: all */
    uint64_t now_us, commit_attempt, commit_members, commits;
    proto_head head;
    uint64_t restoring;           /* the snapshot that is made the head; 0: none is */
    bool hold_sync, syncing, hold_commit;
    uint32_t kills;
    proto_collect collected;      /* the last piece that was to be written, without its bytes */
    uint32_t collects, serves;
    proto_fetch served;           /* the last that was to be read, without its groups */
} fake_cluster;

/* `groups` key groups and a sink's; `members` run, and `workers` are there. */
fake_cluster *fake_cluster_new(uint32_t groups, uint32_t members, uint32_t workers);
void fake_cluster_free(fake_cluster *c);
/* A worker that has not been there before joins. */
void fake_cluster_add(fake_cluster *c, uint64_t id);
/* A worker says something; its header is filled in. */
/* Hear one message, and what follows from it. */
void fake_cluster_hear(fake_cluster *c, const proto_msg *msg);
void fake_cluster_say(fake_cluster *c, const fake_member *w, proto_msg msg, uint16_t type);
void fake_cluster_round(fake_cluster *c);
/* The coordinator ends where its log is synced, and starts again from it. */
void fake_cluster_crash(fake_cluster *c);
/* The same; its log is made shorter meanwhile. */
void fake_cluster_crash_shorter(fake_cluster *c);
/* Whether so much is synced as crash_at says: from then on nothing happens. */
bool fake_cluster_crashed(const fake_cluster *c);
proto_coord_stats fake_cluster_stats(const fake_cluster *c);

#endif
