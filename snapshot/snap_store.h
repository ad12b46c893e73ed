/* The store of a job's snapshots: commit, restore, retention, verification.
 *
 * Life of a snapshot: workers write parts (snap_part_*), each durable when it is finished; the store
 * ingests them; snap_store_commit writes manifest and head together, which is the commit and the only
 * one. What is not named by a manifest when the store is opened was never committed and is removed.
 *
 * The head names the current snapshot; a snapshot's parent is the one before it in its line. After a
 * return to an older snapshot the line goes on from there; what lies beside it goes at the next
 * retention.
 *
 * No row is used before its chunk was compared with the manifest's hash of it, and no manifest before
 * its own checksum. After a failed commit, retention or change of head it is not known what is
 * durable: the store refuses everything that changes it, and the process ends.
 *
 * One thread changes a store; any may call snap_store_read and snap_part_put meanwhile, each with a
 * coder of its own. */
#ifndef SNAP_STORE_H
#define SNAP_STORE_H

#include "snapshot/snap_backend.h"
#include "snapshot/snap_guard.h"

#define SNAP_RETAIN_MIN 2
/* What the database may write besides manifests: a full write buffer, and small things. */
#define SNAP_STORE_MARGIN (24ull << 20)

typedef struct snap_store snap_store;

typedef struct snap_store_options {
    bool readonly;    /* change nothing, not even what has to be cleared away */
    bool accept_loss; /* open a store although it is known to have lost its newest snapshots */
} snap_store_options;

/* Takes *backend, also on failure. `disk` and `folder` (where the guard lies) are kept until
 * snap_store_close; the folder exists. DF_ECORRUPT: the store has lost what it held, the text says
 * what. Damaged manifests do not keep a store from opening (see snap_entry). `seen`: what the guard said
 * before the backend was opened, or zeros, if another process may be writing; null: nobody is. */
df_status snap_store_open(snap_store **out, snap_backend **backend, df_disk *disk, const char *folder,
                          const snap_store_options *options, const snap_head *seen, df_error *err) DF_MUST_CHECK;
/* The same for RocksDB in a folder, which is made (its parent is not). The store is looked at before
 * anything in it is changed. Readonly, it is as it was at one time, whoever writes meanwhile, and stays so. */
df_status snap_store_open_rocksdb(snap_store **out, df_disk *disk, const char *folder,
                                  const snap_store_options *options, df_error *err) DF_MUST_CHECK;
void snap_store_close(snap_store **store);

/* ---- what is there ---- */

typedef struct snap_entry {
    uint64_t snapshot, parent, step, generation, created_ms;
    uint64_t rows;
    uint64_t size;         /* stored bytes of all its chunks */
    uint64_t size_own;     /* of those that it wrote itself */
    bool damaged;          /* its manifest cannot be read: nothing but the number is known */
    char label[WEIR_NAME_MAX];
} snap_entry;

/* The current snapshot; 0: none. */
uint64_t snap_store_head(const snap_store *store);
/* The committed snapshots, ascending by number. */
uint32_t snap_store_count(const snap_store *store);
const snap_entry *snap_store_entry(const snap_store *store, uint32_t index);
/* The manifest of a snapshot. DF_END: there is no such snapshot. *out is owned by the caller. */
df_status snap_store_load(snap_store *store, uint64_t snapshot, snap_manifest **out, df_error *err)
    DF_MUST_CHECK;
/* All of a snapshot is read soon, by this process or another: the disk may begin. */
void snap_store_read_ahead(const snap_store *store, const snap_manifest *m);
/* The rows of the chunk at a place, which must exist in the manifest, into `raw`. Failures name file,
 * snapshot, state, key group and column, and leave `raw` zero. */
df_status snap_store_read(const snap_store *store, const snap_manifest *m, const snap_place *place,
                          snap_coder *coder, void *raw, df_error *err) DF_MUST_CHECK;
/* The same chunk as it is stored, for somebody else who decodes and checks it; released by the caller. */
df_status snap_store_get(const snap_store *store, const snap_manifest *m, const snap_place *place,
                         snap_blob *out, df_error *err) DF_MUST_CHECK;
/* All rows of one column of a key group, [rows * size of the type]. */
df_status snap_store_read_column(const snap_store *store, const snap_manifest *m, uint32_t table,
                                 uint32_t key_group, uint32_t column, snap_coder *coder, void *raw,
                                 df_error *err) DF_MUST_CHECK;

/* ---- changing it ---- */

/* A part of this process. The numbers of snapshot, attempt and part are the caller's, never used
 * before together. */
df_status snap_store_part_open(snap_store *store, snap_part **out, const snap_part_id *id,
                               df_error *err) DF_MUST_CHECK;
/* Take finished parts in. They are removed again when the store is opened, unless committed. */
df_status snap_store_ingest(snap_store *store, const snap_part_id *ids, uint32_t count, df_error *err)
    DF_MUST_CHECK;
/* Remove finished parts of attempts up to `last` that were never taken in. */
df_status snap_store_clear(snap_store *store, uint64_t last, df_error *err) DF_MUST_CHECK;
/* Whether a commit with a manifest of about so many bytes may begin. After a write that failed the process
 * has to end, so what a commit may write must be free before. DF_ELIMIT: it is not, the text says what is missing. */
df_status snap_store_has_room(snap_store *store, uint64_t manifest_size, df_error *err) DF_MUST_CHECK;
/* From now on a change that finds the disk full waits until there is room, and goes on; false: one that waits fails, which ends
 * the process. Any thread. */
void snap_store_patient(snap_store *store, bool patient);
/* Whether one waits. Any thread. */
bool snap_store_waiting(const snap_store *store);
/* Remove parts of an attempt that was given up; ones that are not there are no failure. */
df_status snap_store_discard(snap_store *store, const snap_part_id *ids, uint32_t count, df_error *err)
    DF_MUST_CHECK;
/* Make a sealed manifest the current snapshot. DF_EINVAL, and nothing is changed: its number is not
 * above all others, its parent is not the head, or one of its parts was not ingested. */
df_status snap_store_commit(snap_store *store, const snap_manifest *m, df_error *err) DF_MUST_CHECK;
/* Return to an older snapshot (0: to none). */
df_status snap_store_set_head(snap_store *store, uint64_t snapshot, df_error *err) DF_MUST_CHECK;

/* Keep a snapshot from collection while somebody reads it or builds on it. Counted. */
void snap_store_pin(snap_store *store, uint64_t snapshot);
void snap_store_unpin(snap_store *store, uint64_t snapshot);
/* Remove all snapshots but the newest `retain` (at least SNAP_RETAIN_MIN) of the head's line, those
 * with a label and those that are pinned. While a damaged snapshot stands in the head's line nothing is
 * removed: nobody knows what it refers to. */
df_status snap_store_forget(snap_store *store, uint32_t retain, df_error *err) DF_MUST_CHECK;
/* Remove all parts that no snapshot refers to and that are not of a snapshot above the head, whose attempt may
 * be under way; none while a snapshot is damaged. */
df_status snap_store_collect(snap_store *store, df_error *err) DF_MUST_CHECK;

/* ---- verification ---- */

typedef struct snap_damage {
    uint64_t snapshot;
    const char *file;
    const char *state;  /* null: the snapshot's manifest itself; then the next three mean nothing */
    const char *column;
    uint32_t key_group, chunk;
    const char *text;   /* what is wrong */
} snap_damage;

typedef struct snap_verified {
    uint64_t snapshots, chunks, bytes; /* read, bytes as stored */
    uint64_t damaged;
} snap_verified;

/* Read every chunk of every snapshot and tell each damage, in order. DF_OK also if there is damage;
 * anything else: the work could not be finished. */
df_status snap_store_verify(snap_store *store, void (*tell)(void *user, const snap_damage *damage),
                            void *user, snap_verified *verified, df_error *err) DF_MUST_CHECK;

#endif
