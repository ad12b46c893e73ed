/* Stands between a test program and the system's syncs: counts them, and makes them fail on demand.
 *
 * Include it in one .c of a test program: its definitions win over libc's, also for the library. */
#ifndef SYNC_SPY_H
#define SYNC_SPY_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sync_file_error;    /* errno of every fdatasync; 0: as the system does it */
static int sync_folder_error;  /* the same of every fsync */
static unsigned sync_file_count, sync_folder_count;
static char sync_folders[4096]; /* "path\n" for each fsync */

int fdatasync(int descriptor)
{
    sync_file_count++;
    if (sync_file_error != 0) {
        errno = sync_file_error;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, descriptor);
}

int fsync(int descriptor)
{
    char link[64], path[512];
    size_t used = strlen(sync_folders);
    ssize_t n;

    sync_folder_count++;
    if (sync_folder_error != 0) {
        errno = sync_folder_error;
        return -1;
    }
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
    n = readlink(link, path, sizeof(path) - 1);
    if (n > 0 && used + (size_t)n + 2 < sizeof(sync_folders))
        (void)snprintf(sync_folders + used, sizeof(sync_folders) - used, "%.*s\n", (int)n, path);
    return (int)syscall(SYS_fsync, descriptor);
}

static inline void sync_spy_reset(void)
{
    sync_file_error = sync_folder_error = 0;
    sync_file_count = sync_folder_count = 0;
    sync_folders[0] = '\0';
}

#endif
