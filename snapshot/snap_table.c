/* The layout (format versions 2 to 5): blocks, then the block that lists the meta blocks, then
 *
 *   footer   u8 checksum type   handle of the list   handle of the index   zeros   u32 version
 *            u64 magic; 53 bytes in all
 *   handle   varint offset   varint size, of a block without its trailer (u8 compression, u32 sum)
 *   block    entries: varint shared, varint own, varint value size, own bytes of key, value;
 *            then u32 for each restart point, u32 their count; bit 31 of it is not of the count
 *
 * The keys in the list of meta blocks share nothing, as it has a restart point for each. */
#include "snapshot/snap_table.h"

#include "dataflow/df_bytes.h"

#include <stdlib.h>

#define FOOTER_SIZE 53
#define FOOTER_MAGIC 0x88e241b785f4cff7u
#define LIST_SIZE_MAX 65536
#define RESTARTS_SIZE 4
#define HASH_INDEX_BIT (1u << 31)

typedef struct table_block {
    uint64_t offset, size;
} table_block;

static uint64_t get_varint(df_cursor *c)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = df_get_u8(c);

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    df_get_refuse(c);
    return 0;
}

static table_block get_handle(df_cursor *c)
{
    table_block block;

    block.offset = get_varint(c);
    block.size = get_varint(c);
    return block;
}

/* A block that lies in the file and has a count of restart points. */
static bool block_good(const table_block *block, uint64_t file_size)
{
    return block->size >= RESTARTS_SIZE && block->size <= file_size &&
           block->offset <= file_size - block->size;
}

/* Find the block of the properties in the list of meta blocks. False: it is not there. */
static bool find_properties(const uint8_t *list, size_t size, table_block *found)
{
    static const char name[] = "rocksdb.properties";
    df_cursor c;

    df_cursor_init(&c, list, size - RESTARTS_SIZE);
    while (df_get_left(&c) > 0) {
        uint64_t shared = get_varint(&c), own = get_varint(&c), value_size = get_varint(&c);
        const uint8_t *key, *value;
        df_cursor handle;

        if (shared != 0 || own > df_get_left(&c) || value_size > df_get_left(&c) - own)
            return false;
        key = df_get_bytes(&c, own);
        value = df_get_bytes(&c, value_size);
        if (key == NULL || value == NULL)
            return false;
        if (own != sizeof name - 1 || memcmp(key, name, own) != 0)
            continue;
        df_cursor_init(&handle, value, value_size);
        *found = get_handle(&handle);
        return df_get_end(&handle);
    }
    return false;
}

/* The block of the properties, by way of footer and list. False: RocksDB will not find it either.
 */
static bool seek_properties(df_file *file, uint64_t size, table_block *found, df_status *s,
                            df_error *err)
{
    uint8_t footer[FOOTER_SIZE], *list;
    table_block block = { 0 };
    df_cursor c;
    size_t got = 0;
    bool known = false;

    *s = size < FOOTER_SIZE
             ? DF_OK
             : df_file_read(file, footer, sizeof footer, size - FOOTER_SIZE, &got, err);
    if (*s != DF_OK || got < FOOTER_SIZE)
        return false;
    df_cursor_init(&c, footer + FOOTER_SIZE - 8, 8);
    if (df_get_u64(&c) != FOOTER_MAGIC)
        return false;
    df_cursor_init(&c, footer + 1, FOOTER_SIZE - 1);
    block = get_handle(&c);
    if (!block_good(&block, size) || block.size > LIST_SIZE_MAX)
        return false;
    list = malloc(block.size);
    if (list == NULL) {
        *s = df_fail(err, DF_ENOMEM, "%s: out of memory", file->path);
        return false;
    }
    *s = df_file_read(file, list, block.size, block.offset, &got, err);
    if (*s == DF_OK && got == block.size)
        known = find_properties(list, block.size, found) && block_good(found, size);
    free(list);
    return known;
}

static df_status check_properties(df_file *file, df_error *err)
{
    uint8_t count[RESTARTS_SIZE];
    table_block block;
    uint64_t size;
    size_t got;
    df_cursor c;
    df_status s = df_file_size(file, &size, err);

    if (s != DF_OK || !seek_properties(file, size, &block, &s, err))
        return s;
    s = df_file_read(file, count, sizeof count, block.offset + block.size - sizeof count, &got,
                     err);
    if (s != DF_OK || got < sizeof count)
        return s;
    df_cursor_init(&c, count, sizeof count);
    if ((df_get_u32(&c) & HASH_INDEX_BIT) == 0)
        return DF_OK;
    return df_fail(err, DF_ECORRUPT, "%s: the properties of the table are damaged", file->path);
}

df_status snap_table_check(df_disk *disk, const char *path, df_error *err)
{
    df_file *file;
    df_status s = df_disk_open(disk, &file, path, DF_OPEN_READ, err);

    if (s == DF_OK)
        s = check_properties(file, err);
    df_file_close(&file);
    return s;
}
