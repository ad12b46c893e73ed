/* The inside of a store, shared by snap_store.c and snap_store_keep.c, _open.c and _verify.c. */
#ifndef SNAP_STORE_PRIVATE_H
#define SNAP_STORE_PRIVATE_H

#include "snapshot/snap_guard.h"
#include "snapshot/snap_store.h"

#define STORE_HEAD_RECORD 0 /* the record of the head; a snapshot's number is that of its manifest */

typedef struct store_snapshot {
    snap_entry entry;
    uint32_t part_count;
    snap_part_id *parts; /* that it refers to, ascending */
    uint32_t pins;
} store_snapshot;

typedef struct store_parts {
    size_t count, capacity;
    snap_part_id *ids;
    bool failed; /* out of memory */
} store_parts;

struct snap_store {
    snap_backend *backend;
    df_disk *disk;
    char *folder;
    bool readonly, broken;
    snap_head head;
    snap_guard *guard;       /* null: readonly */
    uint32_t count;
    store_snapshot *snapshots; /* ascending by number */
    store_parts parts;         /* ingested, in any order */
};

store_snapshot *store_find(const snap_store *store, uint64_t snapshot);
bool store_has_part(const snap_store *store, const snap_part_id *id);
bool store_parts_add(store_parts *parts, const snap_part_id *id);
/* Write changes, the last of which may be a new head, then the guard. A failure breaks the store. */
df_status store_change(snap_store *store, snap_change *changes, uint32_t count, const snap_head *head,
                       df_error *err);
/* DF_OK, or why nothing may be changed. */
df_status store_check_writable(const snap_store *store, df_error *err);
/* Remove parts that no manifest refers to, of snapshots up to `last`. */
df_status store_collect(snap_store *store, uint64_t last, df_error *err);
/* Say where a chunk is, in front of the text that is there. */
df_status store_wrap_place(const snap_store *store, const snap_manifest *m, const snap_place *place,
                           df_status status, df_error *err);

#endif
