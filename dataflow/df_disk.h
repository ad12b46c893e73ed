/* The environment table for files: what the parts that must survive a power loss ask of a disk.
 *
 * A disk is a table of functions: df_disk_posix() is the system's, tests and the simulator bring one
 * that loses power, fails and forgets. Nothing here is buffered. What is promised about durability
 * is what a careless file system gives and no more:
 *
 * - bytes are durable after df_file_sync of their file; before, any part of them, in units of 512
 *   bytes, may or may not be there after a power loss;
 * - a name (made, renamed or removed) is durable after df_disk_sync_folder of its folder;
 * - after a failed sync the bytes before it may be lost although later syncs succeed. So a file whose
 *   write or sync failed is broken: every later write, allocation or sync of it fails.
 *
 * Status: DF_END there is no such file (or folder), DF_AGAIN a lock is held by somebody else,
 * DF_ELIMIT the disk or a quota is full, DF_EIO everything else. Texts name the file. */
#ifndef DF_DISK_H
#define DF_DISK_H

#include "dataflow/df_error.h"

#include <stdbool.h>

#define DF_PATH_MAX 4096 /* bytes of a path, the final zero included */

typedef struct df_disk df_disk;
typedef struct df_file df_file;

typedef enum df_open_mode {
    DF_OPEN_READ = 1,
    DF_OPEN_WRITE,  /* read and write a file that is there */
    DF_OPEN_CREATE, /* read and write a new file; one that is there is emptied */
} df_open_mode;

/* What an implementation provides; callers use the functions below. Each gets whole requests: short
 * reads and writes are its own business. On failure disk->reason is set. */
typedef struct df_disk_calls {
    df_status (*open)(df_disk *disk, df_file **out, const char *path, df_open_mode mode);
    void (*close)(df_file *file);
    df_status (*size)(df_file *file, uint64_t *size);
    df_status (*read)(df_file *file, void *bytes, size_t size, uint64_t offset, size_t *got);
    df_status (*write)(df_file *file, const void *bytes, size_t size, uint64_t offset);
    df_status (*allocate)(df_file *file, uint64_t size);
    df_status (*sync)(df_file *file);
    df_status (*lock)(df_file *file);
    df_status (*sync_folder)(df_disk *disk, const char *path);
    df_status (*make_folder)(df_disk *disk, const char *path);
    df_status (*rename)(df_disk *disk, const char *from, const char *to);
    df_status (*remove)(df_disk *disk, const char *path);
    df_status (*list)(df_disk *disk, const char *path,
                      void (*each)(void *user, const char *name), void *user);
    df_status (*room)(df_disk *disk, const char *path, uint64_t *size);
} df_disk_calls;

/* An implementation's own disk begins with this; `reason` says what the last failed call met
 * ("No space left on device"). One thread at a time. */
struct df_disk {
    const df_disk_calls *calls;
    const char *reason;
};

/* An implementation's own file begins with this; the functions below fill it. */
struct df_file {
    df_disk *disk;
    char *path;
    bool broken;
};

/* The system's disk: plain calls, OFD locks. It has no state; init may be called again. */
void df_disk_posix_init(df_disk *disk);

/* On success *out is owned by the caller, else null. */
df_status df_disk_open(df_disk *disk, df_file **out, const char *path, df_open_mode mode,
                       df_error *err) DF_MUST_CHECK;
/* Close a file and its lock; null is allowed. Does not sync. */
void df_file_close(df_file **file);
df_status df_file_size(df_file *file, uint64_t *size, df_error *err) DF_MUST_CHECK;
/* Read up to `size` bytes; *got is less only at the file's end. */
df_status df_file_read(df_file *file, void *bytes, size_t size, uint64_t offset, size_t *got,
                       df_error *err) DF_MUST_CHECK;
/* Write all of them, or fail with any part of them written. */
df_status df_file_write(df_file *file, const void *bytes, size_t size, uint64_t offset,
                        df_error *err) DF_MUST_CHECK;
/* Make the file at least `size` bytes long, the new ones zero, and reserve their room. */
df_status df_file_allocate(df_file *file, uint64_t size, df_error *err) DF_MUST_CHECK;
/* Make the bytes and the size durable. */
df_status df_file_sync(df_file *file, df_error *err) DF_MUST_CHECK;
/* Take the file's lock, which ends with df_file_close or the process. DF_AGAIN: it is taken. */
df_status df_file_lock(df_file *file, df_error *err) DF_MUST_CHECK;

df_status df_disk_sync_folder(df_disk *disk, const char *path, df_error *err) DF_MUST_CHECK;
/* Make a folder; one that is there is no failure. Its parent is not synced. */
df_status df_disk_make_folder(df_disk *disk, const char *path, df_error *err) DF_MUST_CHECK;
/* Rename within a file system; replaces a file that is there. */
df_status df_disk_rename(df_disk *disk, const char *from, const char *to, df_error *err)
    DF_MUST_CHECK;
df_status df_disk_remove(df_disk *disk, const char *path, df_error *err) DF_MUST_CHECK;

/* Bytes that can still be written where the folder lies. */
df_status df_disk_room(df_disk *disk, const char *path, uint64_t *size, df_error *err) DF_MUST_CHECK;

/* The names in a folder, without "." and "..", ascending by byte. */
typedef struct df_names {
    size_t count;
    char **names;
} df_names;

df_status df_disk_list(df_disk *disk, df_names *names, const char *path, df_error *err)
    DF_MUST_CHECK;
void df_names_fini(df_names *names);

#endif
