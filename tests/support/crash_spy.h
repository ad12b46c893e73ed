/* Kills a test's child process at the n-th call that changes a file, and never really syncs.
 *
 * Include it in one .c of a test program: its definitions win over libc's, also for the library and
 * for libhdf5. A write that is killed leaves its first half. What C's own streams write is not
 * seen. */
#ifndef CRASH_SPY_H
#define CRASH_SPY_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CRASH_EXIT 9

static _Atomic long crash_after = LONG_MAX; /* calls; then the process is gone */
static _Atomic int crash_sync_error;        /* errno of every sync; 0: they succeed */
static _Atomic long crash_time = 1000000;   /* of day: never the same twice */

static bool crash_now(void)
{
    return crash_after-- <= 0;
}

ssize_t write(int descriptor, const void *bytes, size_t size)
{
    bool now = crash_now();
    ssize_t n = (ssize_t)syscall(SYS_write, descriptor, bytes, now ? size / 2 : size);

    if (now)
        _exit(CRASH_EXIT);
    return n;
}

static ssize_t crash_pwrite(int descriptor, const void *bytes, size_t size, off_t offset)
{
    bool now = crash_now();
    ssize_t n = (ssize_t)syscall(SYS_pwrite64, descriptor, bytes, now ? size / 2 : size, offset);

    if (now)
        _exit(CRASH_EXIT);
    return n;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset)
{
    return crash_pwrite(descriptor, bytes, size, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t offset)
{
    return crash_pwrite(descriptor, bytes, size, offset);
}

static int crash_sync(void)
{
    if (crash_now())
        _exit(CRASH_EXIT);
    errno = crash_sync_error;
    return crash_sync_error == 0 ? 0 : -1;
}

int fdatasync(int descriptor)
{
    (void)descriptor;
    return crash_sync();
}

int fsync(int descriptor)
{
    (void)descriptor;
    return crash_sync();
}

int rename(const char *from, const char *to)
{
    if (crash_now())
        _exit(CRASH_EXIT);
    return (int)syscall(SYS_rename, from, to);
}

int unlink(const char *path)
{
    if (crash_now())
        _exit(CRASH_EXIT);
    return (int)syscall(SYS_unlink, path);
}

int ftruncate(int descriptor, off_t size)
{
    if (crash_now())
        _exit(CRASH_EXIT);
    return (int)syscall(SYS_ftruncate, descriptor, size);
}

time_t time(time_t *out)
{
    crash_time += 1000;
    if (out != NULL)
        *out = crash_time;
    return crash_time;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    (void)zone;
    *out = (struct timeval){ .tv_sec = time(NULL), .tv_usec = 0 };
    return 0;
}

#endif
