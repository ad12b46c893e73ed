/* Writing a table file that RocksDB takes in (snap_table_write.c has the layout).
 *
 * RocksDB's own writer copies each value three times and sums it up without the machine's vectors, which took more of the
 * processor than all that is done to make the chunks. Here a chunk is made where it is written from, in a block of its own.
 * RocksDB reads every table that was made so before anybody relies on it: when it is taken in, and chunk by chunk. */
#ifndef SNAP_TABLE_WRITE_H
#define SNAP_TABLE_WRITE_H

#include "snapshot/snap_chunk.h"
#include "snapshot/snap_part_file.h"

#define SNAP_TABLE_KEY_SIZE 28

typedef struct snap_table_writer {
    snap_part_file *file; /* borrowed */
    uint64_t offset;      /* of the next block */
    uint64_t count, values_size;
    df_writer index;      /* entries of the index block, and where each begins in it */
    df_writer places;
} snap_table_writer;

void snap_table_writer_init(snap_table_writer *writer, snap_part_file *file);
void snap_table_writer_fini(snap_table_writer *writer);

/* Where the next value may be made, SNAP_CHUNK_SIZE_MAX bytes; borrowed until snap_table_put. */
uint8_t *snap_table_room(snap_table_writer *writer);
/* Add a key and its value, which may lie in that room. Keys ascend. */
df_status snap_table_put(snap_table_writer *writer, const char key[SNAP_TABLE_KEY_SIZE], const uint8_t *value,
                         size_t size, df_error *err) DF_MUST_CHECK;
/* The end of the table. It is not yet durable: snap_part_file_sync. */
df_status snap_table_end(snap_table_writer *writer, df_error *err) DF_MUST_CHECK;

#endif
