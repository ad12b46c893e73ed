/* What a worker says about its part of a snapshot: which rows each key group has, where their chunks
 * lie, and the small bytes that operators carry. The coordinator makes the manifest of it.
 *
 *   u32 magic   u16 version   u8 whether there is a file   its snap_part_info (56 bytes), if so
 *   u32 groups  each: u32 table  u32 key group  u32 rows  u32 count
 *                     count times: u64 snapshot  u32 attempt  u32 part  u32 stored size  u128 hash
 *   u32 items   each: u8 kind  text name  u32 key group  blob
 *
 * The chunks of a group are those of all its columns, the key first, as snap_write_column gives them:
 * column by column. A part without a file refers only to chunks of the base. It travels in `part`
 * messages, cut by coord_part_cut, before `prepared` is said, and again whenever that is said again. */
#ifndef COORD_PART_H
#define COORD_PART_H

#include "coordinator/proto_limits.h"
#include "snapshot/snap_write.h"

#define COORD_CHUNK_SIZE         (256u << 10) /* raw bytes of a chunk, of every snapshot */
#define COORD_PART_SIZE_MAX      (256u << 20)
#define COORD_PART_GROUPS_MAX    (DF_STATES_MAX * DF_KEY_GROUPS_MAX)
#define COORD_PART_ITEMS_MAX     (1u << 22)
#define COORD_PART_MESSAGES_MAX  (COORD_PART_SIZE_MAX / PROTO_PAYLOAD_SIZE_MAX + 1)

/* The number of the snapshot is the attempt's, the attempt's number is the generation, and the part's
 * is the member's place in the generation. So no two are ever the same. */
static inline snap_part_id coord_part_id(uint64_t attempt, uint64_t generation, uint32_t member)
{
    return (snap_part_id){ attempt, (uint32_t)generation, member };
}

/* ---- saying ---- */

typedef struct coord_part_writer {
    df_writer groups, items;
    uint32_t group_count, item_count;
} coord_part_writer;

void coord_part_begin(coord_part_writer *writer);
void coord_part_abort(coord_part_writer *writer);
/* A key group of a table; (key group, table) ascend, which is the order in which columns are written. */
void coord_part_put_group(coord_part_writer *writer, uint32_t table, uint32_t key_group, uint32_t rows,
                          const snap_written *written, uint32_t count);
/* Bytes of an operator, sink or source, in any order, each (kind, name, key group) once. */
void coord_part_put_item(coord_part_writer *writer, snap_owner_kind kind, const char *name,
                         uint32_t key_group, const void *bytes, size_t size);
/* Ends the writer. `info`: what snap_part_finish said; null: it said that there is no file. *out is
 * freed by the caller with free(). */
df_status coord_part_end(coord_part_writer *writer, const snap_part_info *info, uint8_t **out,
                         size_t *size, df_error *err) DF_MUST_CHECK;

/* Messages that so many bytes take, at least 1; and which bytes the one with an index holds. */
uint32_t coord_part_messages(size_t size);
size_t coord_part_cut(size_t size, uint32_t index, size_t *offset);

/* ---- hearing ---- */

typedef struct coord_part_group {
    uint32_t table, key_group, rows, count;
    const snap_written *written; /* [count] */
} coord_part_group;

typedef struct coord_part_item {
    snap_owner_kind kind;
    char name[WEIR_NAME_MAX];
    uint32_t key_group, size;
    const uint8_t *bytes;
} coord_part_item;

typedef struct coord_part {
    bool file;
    snap_part_info info;
    uint32_t group_count, item_count;
    coord_part_group *groups; /* ascending by (key group, table) */
    coord_part_item *items;
    snap_written *written;    /* of all groups */
    uint8_t *bytes;
} coord_part;

/* Takes *bytes (from malloc), also on failure. DF_ECORRUPT: they are no part. On success *out is owned
 * by the caller. What they refer to is not looked at. */
df_status coord_part_decode(coord_part **out, uint8_t **bytes, size_t size, df_error *err) DF_MUST_CHECK;
void coord_part_free(coord_part **part);

#endif
