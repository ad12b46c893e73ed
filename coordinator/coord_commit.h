/* Committing snapshots: workers' parts are gathered from their messages, and a thread takes their
 * files into the store, writes the manifest, and removes what is no longer retained. */
#ifndef COORD_COMMIT_H
#define COORD_COMMIT_H

#include "coordinator/coord_manifest.h"
#include "coordinator/proto_coord.h"
#include "snapshot/snap_store.h"

typedef struct coord_commit coord_commit;

typedef struct coord_commit_options {
    uint32_t retain;
    const char *record; /* the state whose record is of no use without a snapshot (coord_trail.h); null: none. Borrowed until close */
    bool accept_loss; /* the newest snapshot may be damaged, or lost: an older one will be returned to */
} coord_commit_options;

/* Opens the store in `folder`, which is made; its parent is not. Parts that were never committed are
 * removed, those of an attempt that an earlier coordinator began among them. `shape` is copied, what it
 * points to is borrowed until close. `wake` is called from another thread when a commit has ended. On
 * success *out is owned by the caller. */
df_status coord_commit_open(coord_commit **out, df_disk *disk, const char *folder,
                            const coord_shape *shape, const coord_commit_options *options,
                            void (*wake)(void *user), void *user, df_error *err) DF_MUST_CHECK;
/* Waits for a commit under way. Null is allowed. */
void coord_commit_close(coord_commit **commit);

/* The head of the store, when no commit is under way. */
proto_head coord_commit_head(const coord_commit *commit);
/* What was committed, ascending; valid until the next end of a commit is taken. */
const snap_entry *coord_commit_entries(const coord_commit *commit, uint32_t *count);

/* Take a `part` message. False: it makes no sense. */
bool coord_commit_take(coord_commit *commit, const proto_msg *msg);
/* Whether a worker's part of an attempt is here, whole. */
bool coord_commit_has(const coord_commit *commit, uint64_t worker, uint64_t generation,
                      uint64_t attempt);
/* The label of the first snapshot above `after` that is committed. */
void coord_commit_label(coord_commit *commit, const char *label, uint64_t after);

/* Begin; coord_commit_has must be true for every member. */
void coord_commit_begin(coord_commit *commit, const proto_commit *what);
typedef enum coord_commit_end {
    COORD_COMMIT_MADE,
    COORD_COMMIT_DECLINED, /* the disk is too full: nothing was changed */
    COORD_COMMIT_FAILED,   /* what is durable is not known, and the process must end */
} coord_commit_end;

/* Take the end of a commit: true once. *err says why it was not made. */
bool coord_commit_ended(coord_commit *commit, uint64_t *attempt, coord_commit_end *end, df_error *err);

/* Whether the disk has room for another snapshot like the newest one, its parts and its commit. DF_ELIMIT: no,
 * the text says what is missing. While a commit is under way nobody can say, and it is DF_OK. */
df_status coord_commit_has_room(coord_commit *commit, df_error *err) DF_MUST_CHECK;
/* Whether a commit, or what follows it, waits for room on the disk. */
bool coord_commit_waiting(const coord_commit *commit);
/* Remove parts of attempts up to `last` that were given up. False: not while a commit is under way. */
bool coord_commit_clear(coord_commit *commit, uint64_t last);

/* A snapshot that can be read; 0: the newest. Not while a commit is under way. */
bool coord_commit_find(const coord_commit *commit, uint64_t snapshot, proto_head *head);
/* Begin to make it the head, when nothing else is under way; take the end of that, as of a commit. */
void coord_commit_restore(coord_commit *commit, uint64_t snapshot);
bool coord_commit_restored(coord_commit *commit, uint64_t *snapshot, bool *ok, df_error *err);

#endif
