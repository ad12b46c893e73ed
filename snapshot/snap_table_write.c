/* The layout (snap_table.c has its frame), format version 2:
 *
 *   data blocks   one key each: varint 0, varint 36, varint size of the value, key, trailer of the key, value;
 *                 u32 0, u32 1: one restart point, at 0
 *   index block   for each data block, with a restart point: varint 0, varint 36, varint size of the handle, the block's key
 *                 and trailer, its handle
 *   properties    names and values, ascending by name; one restart point
 *   meta blocks   "rocksdb.properties" and its handle
 *   footer
 *
 *   trailer of a key     u64: sequence number 0, kind 1 (a value): what a table has that is taken in from outside
 *   trailer of a block   u8 compression, none   u32 the lower half of XXH3-64 of the block
 *
 * Which properties RocksDB 7.8 needs: those of a table from outside (version 2, a sequence number of 0, which it
 * finds by its place), the counts, and those that say how the index is written. */
#include "snapshot/snap_table_write.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#define KEY_TRAILER    8
#define INTERNAL       (SNAP_TABLE_KEY_SIZE + KEY_TRAILER)
#define VARINT_MAX     10
#define HEAD_MAX       (2 + 3 + INTERNAL) /* of a data block; 3 bytes hold every size of a chunk */
#define RESTARTS       8                  /* one, and the count */
#define BLOCK_TRAILER  5
#define CHECKSUM_XXH3  4
#define FORMAT_VERSION 2
#define FOOTER_MAGIC   0x88e241b785f4cff7u
#define FOOTER_HANDLES 40
#define INDEX_SIZE_MAX (1u << 30)
#define SMALL_MAX      4096 /* bytes of the properties, of the list of meta blocks */
_Static_assert(HEAD_MAX + SNAP_CHUNK_SIZE_MAX + RESTARTS + BLOCK_TRAILER <= SNAP_PART_ROOM_MAX, "a block has room");
_Static_assert(SNAP_CHUNK_SIZE_MAX < 1u << 21, "three bytes of a varint");

typedef struct table_handle {
    uint64_t offset, size; /* without the block's trailer */
} table_handle;

static void put_varint(df_writer *w, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        df_put_u8(w, (uint8_t)(value | 0x80));
    df_put_u8(w, (uint8_t)value);
}

static void put_handle(df_writer *w, table_handle handle)
{
    put_varint(w, handle.offset);
    put_varint(w, handle.size);
}

/* What comes before a value; keys share nothing with the ones before. */
static void put_entry(df_writer *w, const void *key, size_t key_size, size_t value_size)
{
    put_varint(w, 0);
    put_varint(w, key_size);
    put_varint(w, value_size);
    df_put_bytes(w, key, key_size);
}

static void internal_key(uint8_t to[INTERNAL], const char key[SNAP_TABLE_KEY_SIZE])
{
    memcpy(to, key, SNAP_TABLE_KEY_SIZE);
    memset(to + SNAP_TABLE_KEY_SIZE, 0, KEY_TRAILER);
    to[SNAP_TABLE_KEY_SIZE] = 1;
}

static void put_block_trailer(df_writer *w, const uint8_t *block, size_t size)
{
    uint32_t sum = (uint32_t)XXH3_64bits(block, size); /* first: what grows moves, and the block with it */

    df_put_u8(w, 0);
    df_put_u32(w, sum);
}

/* ---- data ---- */

void snap_table_writer_init(snap_table_writer *writer, snap_part_file *file)
{
    *writer = (snap_table_writer){ .file = file };
    df_writer_init_growing(&writer->index, INDEX_SIZE_MAX);
    df_writer_init_growing(&writer->places, INDEX_SIZE_MAX);
}

void snap_table_writer_fini(snap_table_writer *writer)
{
    df_writer_fini(&writer->index);
    df_writer_fini(&writer->places);
}

uint8_t *snap_table_room(snap_table_writer *writer)
{
    return snap_part_file_room(writer->file) + HEAD_MAX;
}

static void index_add(snap_table_writer *t, const uint8_t key[INTERNAL], table_handle block)
{
    uint8_t bytes[2 * VARINT_MAX];
    df_writer handle;

    df_writer_init(&handle, bytes, sizeof bytes);
    put_handle(&handle, block);
    df_put_u32(&t->places, (uint32_t)t->index.size);
    put_entry(&t->index, key, INTERNAL, handle.size);
    df_put_bytes(&t->index, bytes, handle.size);
}

/* The head may be a little shorter than its room: then the value moves down to it. */
df_status snap_table_put(snap_table_writer *writer, const char key[SNAP_TABLE_KEY_SIZE], const uint8_t *value,
                         size_t size, df_error *err)
{
    uint8_t *block = snap_part_file_room(writer->file), internal[INTERNAL];
    table_handle handle = { writer->offset, 0 };
    df_writer w;

    assert(size <= SNAP_CHUNK_SIZE_MAX);
    internal_key(internal, key);
    df_writer_init(&w, block, HEAD_MAX);
    put_entry(&w, internal, INTERNAL, size);
    assert(df_writer_ok(&w));
    memmove(block + w.size, value, size);
    handle.size = w.size + size + RESTARTS;
    df_writer_init(&w, block + w.size + size, RESTARTS + BLOCK_TRAILER);
    df_put_u32(&w, 0);
    df_put_u32(&w, 1);
    put_block_trailer(&w, block, handle.size);
    index_add(writer, internal, handle);
    writer->offset += handle.size + BLOCK_TRAILER;
    writer->count++;
    writer->values_size += size;
    return snap_part_file_put(writer->file, handle.size + BLOCK_TRAILER, err);
}

/* ---- the end ---- */

static df_status append(snap_table_writer *t, const uint8_t *bytes, size_t size, df_error *err)
{
    df_status s = DF_OK;

    t->offset += size;
    while (s == DF_OK && size > 0) {
        size_t piece = size < SNAP_PART_ROOM_MAX ? size : SNAP_PART_ROOM_MAX;

        memcpy(snap_part_file_room(t->file), bytes, piece);
        s = snap_part_file_put(t->file, piece, err);
        bytes += piece;
        size -= piece;
    }
    return s;
}

/* Write a block, whose restart points are there; its trailer is added. */
static df_status append_block(snap_table_writer *t, df_writer *block, table_handle *handle, df_error *err)
{
    *handle = (table_handle){ t->offset, block->size };
    put_block_trailer(block, block->data, handle->size);
    if (!df_writer_ok(block))
        return df_fail(err, DF_ELIMIT, "a part with %llu chunks has no room for its index",
                       (unsigned long long)t->count);
    return append(t, block->data, block->size, err);
}

static df_status end_index(snap_table_writer *t, table_handle *handle, df_error *err)
{
    if (df_writer_ok(&t->places))
        df_put_bytes(&t->index, t->places.data, t->places.size);
    else
        t->index.failed = true;
    df_put_u32(&t->index, (uint32_t)t->count);
    return append_block(t, &t->index, handle, err);
}

static void put_text(df_writer *w, const char *name, const char *value)
{
    put_entry(w, name, strlen(name), strlen(value));
    df_put_bytes(w, value, strlen(value));
}

static void put_number(df_writer *w, const char *name, uint64_t value)
{
    uint8_t bytes[VARINT_MAX];
    df_writer number;

    df_writer_init(&number, bytes, sizeof bytes);
    put_varint(&number, value);
    put_entry(w, name, strlen(name), number.size);
    df_put_bytes(w, bytes, number.size);
}

static void put_fixed(df_writer *w, const char *name, uint64_t value, size_t size)
{
    put_entry(w, name, strlen(name), size);
    df_put_le(w, value, size);
}

static void put_properties(df_writer *w, const snap_table_writer *t, uint64_t data_size, uint64_t index_size)
{
    put_fixed(w, "rocksdb.block.based.table.index.type", 0, 4); /* binary search */
    put_text(w, "rocksdb.block.based.table.prefix.filtering", "0");
    put_text(w, "rocksdb.block.based.table.whole.key.filtering", "1");
    put_number(w, "rocksdb.column.family.id", INT32_MAX); /* of no family yet */
    put_text(w, "rocksdb.comparator", "leveldb.BytewiseComparator");
    put_text(w, "rocksdb.compression", "NoCompression");
    put_number(w, "rocksdb.data.size", data_size);
    put_number(w, "rocksdb.deleted.keys", 0);
    put_fixed(w, "rocksdb.external_sst_file.global_seqno", 0, 8);
    put_fixed(w, "rocksdb.external_sst_file.version", 2, 4);
    put_number(w, "rocksdb.filter.size", 0);
    put_number(w, "rocksdb.fixed.key.length", 0);
    put_number(w, "rocksdb.format.version", 0);
    put_number(w, "rocksdb.index.key.is.user.key", 0);
    put_number(w, "rocksdb.index.size", index_size);
    put_number(w, "rocksdb.index.value.is.delta.encoded", 0);
    put_number(w, "rocksdb.merge.operands", 0);
    put_text(w, "rocksdb.merge.operator", "nullptr");
    put_number(w, "rocksdb.num.data.blocks", t->count);
    put_number(w, "rocksdb.num.entries", t->count);
    put_number(w, "rocksdb.num.range-deletions", 0);
    put_number(w, "rocksdb.raw.key.size", t->count * INTERNAL);
    put_number(w, "rocksdb.raw.value.size", t->values_size);
    df_put_u32(w, 0);
    df_put_u32(w, 1);
}

static df_status end_footer(snap_table_writer *t, table_handle list, table_handle index, df_error *err)
{
    uint8_t bytes[1 + FOOTER_HANDLES + 4 + 8] = { 0 };
    df_writer w;

    df_writer_init(&w, bytes, 1 + FOOTER_HANDLES);
    df_put_u8(&w, CHECKSUM_XXH3);
    put_handle(&w, list);
    put_handle(&w, index);
    assert(df_writer_ok(&w));
    df_writer_init(&w, bytes + 1 + FOOTER_HANDLES, 4 + 8);
    df_put_u32(&w, FORMAT_VERSION);
    df_put_u64(&w, FOOTER_MAGIC);
    return append(t, bytes, sizeof bytes, err);
}

df_status snap_table_end(snap_table_writer *writer, df_error *err)
{
    static const char name[] = "rocksdb.properties";
    uint8_t bytes[SMALL_MAX], place[2 * VARINT_MAX];
    uint64_t data_size = writer->offset;
    table_handle index, properties = { 0 }, list = { 0 };
    df_writer w, handle;
    df_status s = end_index(writer, &index, err);

    df_writer_init(&w, bytes, sizeof bytes);
    put_properties(&w, writer, data_size, index.size);
    if (s == DF_OK)
        s = append_block(writer, &w, &properties, err);
    df_writer_init(&handle, place, sizeof place);
    put_handle(&handle, properties);
    df_writer_init(&w, bytes, sizeof bytes);
    put_entry(&w, name, sizeof name - 1, handle.size);
    df_put_bytes(&w, place, handle.size);
    df_put_u32(&w, 0);
    df_put_u32(&w, 1);
    if (s == DF_OK)
        s = append_block(writer, &w, &list, err);
    return s == DF_OK ? end_footer(writer, list, index, err) : s;
}
