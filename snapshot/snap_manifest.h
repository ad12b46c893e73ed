/* The manifest of a snapshot: what it consists of and where each chunk lies. A snapshot is there when
 * its manifest is committed, and only then.
 *
 * A snapshot holds tables (states, with their schema), each in key groups, each of them in columns,
 * each cut into chunks of chunk_size raw bytes (the last may be shorter). Column 0 is the key, column
 * c + 1 the schema's column c. A chunk is named by its *part* - one file of one worker's attempt - and
 * its *place*: key group, table, column, chunk index. A chunk that did not change keeps the part that
 * it was written in; so a manifest names parts of older snapshots too.
 *
 * What is small and not columnar lies in the manifest itself, as items of bytes per owner and key
 * group: columns that operators carry, birth counters, offsets of sinks and sources.
 *
 * Stored: magic, version, size, the fields in the order of the structs below, and the XXH3-128 of all
 * of it. A manifest has one stored form; decoding accepts no other. */
#ifndef SNAP_MANIFEST_H
#define SNAP_MANIFEST_H

#include "dataflow/df_limits.h"
#include "snapshot/snap_chunk.h"

#define SNAP_MANIFEST_VERSION  1
#define SNAP_MANIFEST_SIZE_MAX (1u << 30)
#define SNAP_PARTS_MAX         65536
#define SNAP_OWNERS_MAX        (4 * DF_OPERATORS_MAX)
#define SNAP_ITEM_SIZE_MAX     (1u << 20)
#define SNAP_CHUNK_SIZE_MIN    4096   /* of chunk_size, a power of two up to SNAP_CHUNK_RAW_MAX */

/* A part: one file of chunks, written by one worker in one attempt at one snapshot. */
typedef struct snap_part_id {
    uint64_t snapshot;
    uint32_t attempt;
    uint32_t part;
} snap_part_id;

/* Where in a part; ordered as the fields stand. */
typedef struct snap_place {
    uint32_t key_group;
    uint16_t table, column;
    uint32_t chunk;
} snap_place;

typedef struct snap_part_info {
    snap_part_id id;
    snap_place first, last; /* the exact ends of what it holds */
    uint32_t chunk_count;   /* at least 1 */
    uint64_t stored_size;   /* bytes of its chunks, heads included */
} snap_part_info;

typedef struct snap_ref {
    uint32_t part;        /* index into the manifest's parts */
    uint32_t stored_size; /* bytes of the chunk, head included */
    df_hash hash;         /* of the raw bytes */
} snap_ref;

typedef struct snap_group {
    uint32_t rows;
    uint32_t ref_count; /* follows from rows, schema and chunk_size */
    snap_ref *refs;     /* column by column, chunk by chunk */
} snap_group;

typedef struct snap_table {
    char name[WEIR_NAME_MAX];
    weir_schema schema;
    uint32_t key_groups;
    snap_group *groups;
} snap_table;

typedef enum snap_owner_kind {
    SNAP_CARRIED = 1, /* an operator's carried columns */
    SNAP_BIRTHS,      /* an operator's birth counters */
    SNAP_OFFSETS,     /* of a sink or source */
} snap_owner_kind;

typedef struct snap_item {
    uint32_t key_group; /* strictly ascending within an owner */
    uint32_t size;
    uint8_t *bytes;
} snap_item;

typedef struct snap_owner {
    snap_owner_kind kind;
    char name[WEIR_NAME_MAX];
    uint32_t item_count;
    snap_item *items;
} snap_owner;

typedef struct snap_manifest {
    df_hash plan;
    char job[WEIR_NAME_MAX];
    char engine[WEIR_NAME_MAX]; /* the version that wrote it */
    char label[WEIR_NAME_MAX];  /* "": none */
    uint64_t snapshot;          /* its number, from 1; never used twice */
    uint64_t parent;            /* the one before it in its line; 0: none */
    uint64_t step;              /* it holds what enters this step */
    uint64_t history;           /* index of the last history record that is in it */
    uint64_t generation;
    uint64_t created_ms;        /* wall clock, Unix time; for people */
    uint32_t attempt;
    uint32_t chunk_size;
    uint32_t table_count;
    snap_table *tables;
    uint32_t part_count;
    snap_part_info *parts;      /* ascending by id, each with at least one chunk that is referred to */
    uint32_t owner_count;
    snap_owner *owners;         /* ascending by (kind, name) */
    struct df_arena *arena;     /* owns all of it */
} snap_manifest;

/* An empty manifest, all zero but for its arena. Null: out of memory. */
snap_manifest *snap_manifest_new(void);
void snap_manifest_free(snap_manifest **manifest);

/* ---- building ---- */

/* Add a table without rows; *out is its index. chunk_size must have been set. */
df_status snap_manifest_add_table(snap_manifest *m, const char *name, const weir_schema *schema,
                                  uint32_t key_groups, uint32_t *out, df_error *err) DF_MUST_CHECK;
/* Add a part that chunks will be in, or find it; *out is its index until snap_manifest_seal. */
df_status snap_manifest_add_part(snap_manifest *m, const snap_part_info *part, uint32_t *out,
                                 df_error *err) DF_MUST_CHECK;
/* Give a key group its rows and room for its refs, which the caller then fills. */
df_status snap_manifest_set_rows(snap_manifest *m, uint32_t table, uint32_t key_group, uint32_t rows,
                                 df_error *err) DF_MUST_CHECK;
/* Add bytes of an owner; the items of one owner come in ascending order of key group. */
df_status snap_manifest_add_item(snap_manifest *m, snap_owner_kind kind, const char *name,
                                 uint32_t key_group, const void *bytes, size_t size, df_error *err)
    DF_MUST_CHECK;
/* Put parts and owners in order and drop parts that no chunk is in. */
df_status snap_manifest_seal(snap_manifest *m, df_error *err) DF_MUST_CHECK;

/* ---- stored form ---- */

/* *out is freed by the caller with free(). The manifest must be sealed and whole, else DF_EINVAL. */
df_status snap_manifest_encode(const snap_manifest *m, uint8_t **out, size_t *size, df_error *err)
    DF_MUST_CHECK;
/* Hostile bytes: DF_ECORRUPT, or DF_ENOTSUP for a version that this program cannot read. Memory is at
 * most a small multiple of `size`. *out is owned by the caller. */
df_status snap_manifest_decode(snap_manifest **out, const uint8_t *bytes, size_t size, df_error *err)
    DF_MUST_CHECK;

/* ---- reading ---- */

/* Type and name of a column of a table, the key ("id") included. */
weir_type snap_column_type(const snap_table *table, uint32_t column);
const char *snap_column_name(const snap_table *table, uint32_t column);
/* The refs of one column of a key group; *count is their number. */
const snap_ref *snap_manifest_refs(const snap_manifest *m, uint32_t table, uint32_t key_group,
                                   uint32_t column, uint32_t *count);
/* What the chunk at a place must be. The place must exist. */
snap_slice snap_manifest_slice(const snap_manifest *m, const snap_place *place);
/* The index of a table, or -1; an owner, or null; an owner's item, or null. */
int snap_manifest_table(const snap_manifest *m, const char *name);
const snap_owner *snap_manifest_owner(const snap_manifest *m, snap_owner_kind kind, const char *name);
const snap_item *snap_owner_item(const snap_owner *owner, uint32_t key_group);
/* The bytes of each part that this snapshot refers to: live[part_count]. */
void snap_manifest_live(const snap_manifest *m, uint64_t *live);
/* Whether less than half of a part is live: its chunks are then written again, not referred to, by
 * the next snapshot, so that the part can go. */
bool snap_part_is_thin(const snap_part_info *part, uint64_t live);

int snap_part_id_compare(const snap_part_id *a, const snap_part_id *b);
int snap_place_compare(const snap_place *a, const snap_place *b);

#endif
