/* The store's head and its guard. The head says which snapshot is current; it is a record of the
 * backend, changed together with the manifests. The guard is a copy in a small file of our own: a
 * database that has lost its newest records without noticing (a damaged log) shows an older head
 * than the guard, and is not believed.
 *
 * FOLDER/guard holds two slots of 512 bytes, written in turn and synced, so that a power loss can
 * spoil only the one that is being written. */
#ifndef SNAP_GUARD_H
#define SNAP_GUARD_H

#include "dataflow/df_disk.h"
#include "snapshot/snap_hash.h"

typedef struct snap_head {
    uint64_t sequence; /* of changes of the head; from 1 */
    uint64_t snapshot; /* the current one; 0: none */
    df_hash manifest;  /* of its stored form */
} snap_head;

#define SNAP_HEAD_SIZE 60 /* bytes of the stored form */

void snap_head_put(df_writer *writer, const snap_head *head);
/* DF_ECORRUPT: these are not the bytes of a head. */
df_status snap_head_decode(snap_head *head, const uint8_t *bytes, size_t size, df_error *err)
    DF_MUST_CHECK;

typedef struct snap_guard snap_guard;

/* Open the guard and read the newest head in it. DF_END: there is no such file. DF_ECORRUPT: both
 * slots are spoilt, and *out is null. */
df_status snap_guard_open(snap_guard **out, snap_head *head, df_disk *disk, const char *folder,
                          bool readonly, df_error *err) DF_MUST_CHECK;
/* Make a new guard that holds this head, replacing one that is there. */
df_status snap_guard_create(snap_guard **out, const snap_head *head, df_disk *disk,
                            const char *folder, df_error *err) DF_MUST_CHECK;
/* Make a newer head durable in the guard. */
df_status snap_guard_set(snap_guard *guard, const snap_head *head, df_error *err) DF_MUST_CHECK;
void snap_guard_close(snap_guard **guard);

#endif
