/* A worker's half of snapshots, without the protocol: read what a generation begins from, and write
 * what a graph has captured. Each works on a thread of its own. */
#ifndef COORD_PART_FILE_H
#define COORD_PART_FILE_H

#include "coordinator/coord_part.h"
#include "dataflow/df_part.h"
#include "snapshot/snap_store.h"

#include <stdatomic.h>

/* What a worker knows of a snapshot: chunks that did not change are referred to. Owned by the caller,
 * released with snap_manifest_free. */

/* Where chunks are read: the store, or the coordinator (coord_remote.h). Each that is given has been compared
 * with the manifest's hash of it. */
typedef struct coord_part_source {
    void *user;
    /* (null is allowed) The key groups of a table whose bit is set in `groups` are read next: ascending, each column by
     * column, all of them. */
    df_status (*table)(void *user, const snap_manifest *m, uint32_t table, const uint8_t *groups, df_error *err);
    df_status (*column)(void *user, const snap_manifest *m, uint32_t table, uint32_t key_group, uint32_t column,
                        snap_coder *coder, void *raw, df_error *err);
} coord_part_source;

/* Borrows the store. */
coord_part_source coord_part_store_source(snap_store *store);

/* The manifest of a committed snapshot, which must be of this plan. *store stays open for reading. */
df_status coord_part_open(snap_store **store, snap_manifest **out, const char *folder,
                          uint64_t snapshot, const df_plan *plan, df_error *err) DF_MUST_CHECK;
/* DF_EINVAL: a manifest is of another plan. `where`: for the text. */
df_status coord_part_is_of(const snap_manifest *m, const df_plan *plan, const char *where, df_error *err)
    DF_MUST_CHECK;
/* The marks of the sinks: marks[vertex_count], size 0 where there is none. */
df_status coord_part_marks(weir_mark *marks, const snap_manifest *m, const df_plan *plan, df_error *err)
    DF_MUST_CHECK;
/* Restore the key groups that are this member's. */
df_status coord_part_restore(df_graph *graph, const df_part *part, const df_plan *plan,
                             const coord_part_source *source, const snap_manifest *m, const _Atomic bool *stop,
                             df_error *err) DF_MUST_CHECK;

typedef struct coord_part_job {
    const df_plan *plan;
    const df_part *part;          /* who owns what */
    const df_captured *captured;
    const char *folder;           /* of the store */
    snap_part_id id;
    snap_codec codec;
    bool verify;                  /* read it back */
    const snap_manifest *base;    /* null: none */
    const _Atomic bool *stop;     /* give up */
} coord_part_job;

typedef struct coord_part_result {
    uint8_t *bytes;               /* the description, to be said; freed by the caller */
    size_t size;
    snap_manifest *base;          /* for the next snapshot, once this one is committed */
    bool file;                    /* chunks were written: there is a file */
    uint64_t bytes_raw, bytes_stored, bytes_kept;
} coord_part_result;

df_status coord_part_write(const coord_part_job *job, coord_part_result *out, df_error *err)
    DF_MUST_CHECK;
void coord_part_result_fini(coord_part_result *result);

#endif
