/* What RocksDB's C interface does not give.
 *
 * To be told at once that a write or a sync has failed.
 *
 * When the sync of its MANIFEST fails, RocksDB reports an error, but before that it removes the files
 * that the MANIFEST may name by now; the database then cannot be opened any more, with all of its
 * snapshots. When the sync of its log fails it may try again, which succeeds with bytes lost. So a
 * process whose database meets such a failure says which file, and ends.
 *
 * To read a table that is in no database.
 *
 * To do without the file LOG: where a write to it has failed, the next one is a failed assertion
 * (Debian's library has them). */
#ifndef SNAP_ROCKSDB_WATCH_H
#define SNAP_ROCKSDB_WATCH_H

#include <stddef.h>

typedef struct rocksdb_options_t rocksdb_options_t; /* rocksdb/c.h */

#ifdef __cplusplus
extern "C" {
#endif

/* A database that is opened with these options ends the process, with 1, on the first failure of a
 * write, a sync or a cut of one of its files; and it keeps no LOG. */
void snap_rocksdb_watch(rocksdb_options_t *options);

/* Call `each` for every key of a table, in order; checksums are checked. Returns null, or RocksDB's text,
 * which is freed with rocksdb_free (or free). */
char *snap_rocksdb_read(const rocksdb_options_t *options, const char *path,
                        void (*each)(void *user, const char *key, size_t key_size, const char *value,
                                     size_t value_size),
                        void *user);

#ifdef __cplusplus
}
#endif

#endif
