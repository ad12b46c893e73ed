/* The files that RocksDB writes, on a disk that gets full.
 *
 * A write that finds no room has not happened, unlike a sync that fails: it may be made again, at the same
 * place, and then nothing was wrong. RocksDB itself cannot go on after one. It would stop taking writes, and a MANIFEST that
 * it had half written would name files that it has removed. So it is not told: the thread that writes waits here until
 * there is room. Making, naming and linking a file wait in the same way; each happens or does not.
 *
 * A sync that fails, and every other error, is RocksDB's to hear, and the process ends (snap_rocksdb_watch.h). */
#ifndef SNAP_ROCKSDB_FILES_H
#define SNAP_ROCKSDB_FILES_H

#include <stdbool.h>

typedef struct rocksdb_options_t rocksdb_options_t; /* rocksdb/c.h */

#ifdef __cplusplus
extern "C" {
#endif

typedef struct snap_rocksdb_files snap_rocksdb_files;

/* A database that is opened with these options writes through it. It is impatient. Owned by the caller; freed after the
 * database is closed. Null: memory is out. */
snap_rocksdb_files *snap_rocksdb_files_new(rocksdb_options_t *options);
void snap_rocksdb_files_free(snap_rocksdb_files **files);
/* Whether who finds no room waits, or fails; who waits when it becomes impatient fails. Any thread. */
void snap_rocksdb_files_patient(snap_rocksdb_files *files, bool patient);
/* Whether somebody waits. Any thread. */
bool snap_rocksdb_files_waiting(const snap_rocksdb_files *files);

#ifdef __cplusplus
}
#endif

#endif
