/* One member of a job of two, and what the other one sends to it: recorded once, and then given to it alone as often as
 * wanted, with anything else in between. Key groups move to it and away meanwhile. Trouble aborts.
 *
 * replay_all has every form of parcel: birds that rest (halos, and lists of cells in them), a herd of which some cross tiles
 * and some are born, with what its kind carries, and boys who are looked up and counted. */
#ifndef PART_REPLAY_H
#define PART_REPLAY_H

#include "dataflow/df_part.h"

#include <pthread.h>

typedef struct replay_change {
    uint64_t tick;
    uint32_t units[4][2]; /* each, and its member from then on */
    uint32_t count;
} replay_change;

typedef struct replay_job {
    const char *text;
    uint32_t owners[8];        /* of units, at first */
    replay_change changes[2];
    const weir_operator *(*load)(void *user, const char *path, const char *symbol, char error[256]);
} replay_job;

enum { REPLAY_MEMBERS = 2, REPLAY_CHANGES = 2 };

typedef struct replay {
    const replay_job *job;
    df_plan *plan;
    df_parcel *parcels; /* to the first member, in the order in which they were sent; bytes are malloc's */
    size_t count;
    df_hash expected;   /* of the last step */
} replay;

extern const replay_job replay_all;

typedef struct replay_member {
    df_graph *graph;
    df_progress progress;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
    replay *keeps; /* what it sends is put there; null: it is dropped */
} replay_member;

typedef struct replay_run {
    const replay *replay;
    replay_member member;
    size_t given;         /* of what was recorded */
    uint32_t patience_ms; /* without an event for so long nothing more comes of it; 0: it goes on to its end */
    bool stuck;
} replay_run;

/* Prints the error and aborts, if it is one. */
void replay_check(df_status status, const df_error *err);

/* Both members run in turn; what the second one sends stays in replay->parcels. */
void replay_record(replay *replay, const replay_job *job);
void replay_free(replay *replay);

/* The first member, alone. Borrows what was recorded. */
void replay_begin(replay_run *run, const replay *recorded);
/* As far as it goes with what has come. */
void replay_go_on(replay_run *run);
/* The next recorded parcel, as soon as its tick is under way. Null: the run is over, or there is none. */
const df_parcel *replay_next(replay_run *run);
/* All has come. */
void replay_finish(replay_run *run);
bool replay_over(const replay_run *run);
/* Whether it came to the end with the recorded bits. */
bool replay_same(const replay_run *run);
void replay_end(replay_run *run);

#endif
