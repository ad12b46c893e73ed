/* A look at a table file of RocksDB before RocksDB has it.
 *
 * RocksDB compares a block's checksum before it uses the block - except the one of the table's
 * properties, which it takes apart first: there, a set bit in the count of restart points is an
 * assertion that fails, and ends the process. So this is looked for before. Everything else,
 * RocksDB finds itself and says so. */
#ifndef SNAP_TABLE_H
#define SNAP_TABLE_H

#include "dataflow/df_disk.h"

/* DF_ECORRUPT: RocksDB would not survive this file. DF_OK says only that it would. */
df_status snap_table_check(df_disk *disk, const char *path, df_error *err) DF_MUST_CHECK;

#endif
