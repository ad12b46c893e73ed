/* What a store of snapshots stands on: a table of functions with two implementations, memory (tests,
 * the simulator) and RocksDB. All rules about snapshots are above it, in snap_store.c; here are only
 * parts, which are written once and read by place, and records, which are few, are found by number
 * and change together.
 *
 * Durability: a finished part, an ingested part and a written change survive a power loss. After a
 * failed change nobody knows whether it was made: the process ends and opens the store again. */
#ifndef SNAP_BACKEND_H
#define SNAP_BACKEND_H

#include "dataflow/df_disk.h"
#include "snapshot/snap_manifest.h"

#include <sys/types.h>

/* ---- writing a part ---- */

typedef struct snap_part snap_part;

typedef void snap_part_each(void *user, const snap_place *place, const uint8_t *bytes, size_t size);

typedef struct snap_part_calls {
    /* Where the next chunk may be made, to be put without being copied: SNAP_CHUNK_SIZE_MAX bytes, borrowed until the next
     * call. */
    uint8_t *(*room)(snap_part *part);
    df_status (*put)(snap_part *part, const snap_place *place, const uint8_t *bytes, size_t size,
                     df_error *err);
    df_status (*finish)(snap_part *part, df_error *err); /* make it durable */
    /* The chunks of a finished part, in order, read from where they were made durable. */
    df_status (*read)(snap_part *part, snap_part_each *each, void *user, df_error *err);
    void (*free)(snap_part *part, bool keep);            /* not kept: leave nothing behind */
} snap_part_calls;

/* An implementation's own part begins with this. */
struct snap_part {
    const snap_part_calls *calls;
    snap_part_info info;
    bool verify;
    df_hash sum; /* of places and chunks, if it is verified */
};

/* Where the next chunk may be made: SNAP_CHUNK_SIZE_MAX bytes, borrowed until it is put. */
uint8_t *snap_part_room(snap_part *part);
/* Add a chunk, which may lie in that room; places ascend strictly, else DF_EINVAL. */
df_status snap_part_put(snap_part *part, const snap_place *place, const uint8_t *bytes, size_t size,
                        df_error *err) DF_MUST_CHECK;
/* Before the first chunk: when it is finished, read it back and compare. */
void snap_part_verify(snap_part *part);
/* Make the part durable, its folder too, and say what it holds. DF_END: no chunk was put, and there
 * is no part. DF_ECORRUPT: what was read back is something else. Takes the part, also on failure, and then
 * nothing is left of it. */
df_status snap_part_finish(snap_part **part, snap_part_info *info, df_error *err) DF_MUST_CHECK;
/* Leave nothing behind. Null is allowed. */
void snap_part_abort(snap_part **part);

/* The part of a worker that shares the store's file system, in a process of its own: it is written to
 * FOLDER/incoming, where the store finds it. */
df_status snap_rocksdb_part_open(snap_part **out, const char *folder, const snap_part_id *id,
                                 df_error *err) DF_MUST_CHECK;
/* The file of such a part, below FOLDER: for one that came through the network. */
void snap_rocksdb_part_path(char path[DF_PATH_MAX], const char *folder, const snap_part_id *id);

/* Whether that file is a part of this name: a whole table, with chunks of the part and nothing else. Damage
 * that RocksDB would take in without a word, or not survive, is DF_ECORRUPT. */
df_status snap_rocksdb_part_check(const char *folder, const snap_part_id *id, df_error *err) DF_MUST_CHECK;

/* ---- the table ---- */

typedef struct snap_backend snap_backend;

/* Bytes that somebody owns; snap_blob_release gives them back. */
typedef struct snap_blob {
    const uint8_t *bytes;
    size_t size;
    void *owner;
    void (*release)(void *owner);
} snap_blob;

void snap_blob_release(snap_blob *blob);

typedef struct snap_change {
    uint64_t record;
    const uint8_t *bytes; /* null: remove it */
    size_t size;
} snap_change;

typedef struct snap_backend_calls {
    void (*close)(snap_backend *backend);
    df_status (*part_open)(snap_backend *backend, snap_part **out, const snap_part_id *id,
                           df_error *err);
    /* Take finished parts into the store, all or (after a failure) any of them. */
    df_status (*ingest)(snap_backend *backend, const snap_part_id *ids, uint32_t count, df_error *err);
    /* Remove an ingested part and its chunks. One that is not there is no failure. */
    df_status (*drop)(snap_backend *backend, const snap_part_id *id, df_error *err);
    /* The ingested parts, in any order. */
    df_status (*each_part)(snap_backend *backend, void (*each)(void *user, const snap_part_id *id),
                           void *user, df_error *err);
    /* Remove finished parts that were never ingested, of snapshots up to `last`. */
    df_status (*clear_incoming)(snap_backend *backend, uint64_t last, df_error *err);
    /* DF_END: it is not there. Threads may read at the same time. */
    df_status (*get_chunk)(snap_backend *backend, const snap_part_id *id, const snap_place *place,
                           snap_blob *out, df_error *err);
    df_status (*get_record)(snap_backend *backend, uint64_t record, snap_blob *out, df_error *err);
    /* All records' numbers, ascending. */
    df_status (*each_record)(snap_backend *backend, void (*each)(void *user, uint64_t record),
                             void *user, df_error *err);
    /* Make all changes durable, or none. */
    df_status (*change)(snap_backend *backend, const snap_change *changes, uint32_t count,
                        df_error *err);
    /* The file that holds a chunk, for messages. */
    void (*file_of)(snap_backend *backend, const snap_part_id *id, const snap_place *place,
                    char path[DF_PATH_MAX]);
    /* These parts are read soon, by this process or another. Null: it makes no difference. */
    void (*read_ahead)(snap_backend *backend, const snap_part_info *parts, uint32_t count);
    /* Whether a change that finds the disk full waits, or fails; whether one waits. Any thread. Null: it never does. */
    void (*patient)(snap_backend *backend, bool patient);
    bool (*waiting)(const snap_backend *backend);
} snap_backend_calls;

/* An implementation's own backend begins with this. */
struct snap_backend {
    const snap_backend_calls *calls;
};

void snap_backend_close(snap_backend **backend);

/* RocksDB in FOLDER/db, parts in FOLDER/incoming; the folders are made. Readonly changes nothing, not
 * even a log file, and fails with DF_END if there is no store. */
df_status snap_rocksdb_open(snap_backend **out, const char *folder, bool readonly, df_error *err)
    DF_MUST_CHECK;

/* The database's newest list of files, and how long that is: it grows before a file of the list goes, and before a record
 * speaks of what is in a new one. */
typedef struct snap_rocksdb_place {
    char list[64];
    off_t size; /* -1: there is none */
} snap_rocksdb_place;

void snap_rocksdb_look(snap_rocksdb_place *place, const char *folder);

/* ---- memory ---- */

/* What is durable in a store in memory; backends are opened on it one after the other. */
typedef struct snap_memory snap_memory;

snap_memory *snap_memory_new(void);
void snap_memory_free(snap_memory **memory);
df_status snap_memory_open(snap_backend **out, snap_memory *memory, df_error *err) DF_MUST_CHECK;
/* Calls that change something since the start: finish, ingest, drop, change. */
uint64_t snap_memory_calls(const snap_memory *memory);
/* Let the call number `call` (from 1) fail; with `done` it does its work all the same, as when a
 * process dies after a write and before it hears of it. All later calls fail too. 0: none. */
void snap_memory_fail(snap_memory *memory, uint64_t call, bool done);
/* A chunk's bytes, to be damaged. Null: it is not there. */
uint8_t *snap_memory_chunk(snap_memory *memory, const snap_part_id *id, const snap_place *place,
                           size_t *size);

#endif
