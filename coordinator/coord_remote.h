/* A snapshot that a worker reads through the network: the loading thread asks for what it needs and sleeps until it
 * comes; the main thread carries it. What has come and is not read yet is at most a window of the stream.
 *
 * Everything that is read is checked as if it came from a disk: the manifest by its own hash, each chunk by the
 * manifest's hash of it. */
#ifndef COORD_REMOTE_H
#define COORD_REMOTE_H

#include "coordinator/coord_part_file.h"
#include "coordinator/proto_worker.h"

typedef struct coord_remote coord_remote;

/* `wake`: the main thread has something to poll. Null: out of memory. */
coord_remote *coord_remote_new(void (*wake)(void *user), void *user);
/* Null is allowed. The loading thread has ended. */
void coord_remote_free(coord_remote **remote);

/* ---- the main thread ---- */

/* Before the loading thread begins; nothing of an earlier one is left. */
void coord_remote_begin(coord_remote *remote);
/* Whoever sleeps wakes up and gives up. */
void coord_remote_stop(coord_remote *remote);
/* Ask for what the loading thread wants, and say what it has read. */
void coord_remote_poll(coord_remote *remote, proto_worker *worker, uint64_t now_us);
/* proto_worker_env.fetched */
void coord_remote_piece(coord_remote *remote, const proto_piece *piece);

/* ---- the loading thread ---- */

/* On success *out is owned by the caller. DF_END: given up. */
df_status coord_remote_manifest(coord_remote *remote, uint64_t snapshot, snap_manifest **out, df_error *err)
    DF_MUST_CHECK;
/* Chunks of that snapshot; valid as long as the remote. */
coord_part_source coord_remote_source(coord_remote *remote);

#endif
