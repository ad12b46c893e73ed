/* Writing a column of a key group into a snapshot: the work of a worker. A chunk whose bytes are those
 * of the base snapshot is only referred to; everything else is encoded into the part. */
#ifndef SNAP_WRITE_H
#define SNAP_WRITE_H

#include "snapshot/snap_backend.h"

/* Where a chunk is: what the coordinator needs of it for the manifest. */
typedef struct snap_written {
    snap_part_id part;
    uint32_t stored_size;
    df_hash hash;
} snap_written;

typedef struct snap_writer {
    snap_part *part;           /* borrowed */
    snap_coder *coder;         /* borrowed; of this thread */
    snap_codec codec;
    uint32_t chunk_size;
    const snap_manifest *base; /* borrowed; null: none. The snapshot that the order names */
    uint64_t *live;            /* [base->part_count] of its parts */
    uint64_t kept, written;    /* chunks */
    uint64_t bytes_kept, bytes_raw, bytes_stored; /* raw bytes kept and written, and what they became */
} snap_writer;

/* A base with another chunk size is of no use and is passed over. */
df_status snap_writer_init(snap_writer *writer, snap_part *part, snap_coder *coder, snap_codec codec,
                           uint32_t chunk_size, const snap_manifest *base, df_error *err)
    DF_MUST_CHECK;
void snap_writer_fini(snap_writer *writer);

typedef struct snap_source {
    const char *state;     /* its table is found in the base by name */
    uint16_t table;        /* in the snapshot that is being made */
    uint16_t column;       /* 0: the keys */
    const char *name;      /* of the column; the base's must have it at the same place */
    weir_type type;
    uint32_t key_group;
    uint32_t rows;
    const void *values;    /* [rows] */
} snap_source;

/* Write a column; columns come in the order of places. `out` [snap_chunk_count]. */
df_status snap_write_column(snap_writer *writer, const snap_source *source, snap_written *out,
                            df_error *err) DF_MUST_CHECK;

#endif
