/* A disk that fails, for LD_PRELOAD: the N-th call that changes a file below a folder fails.
 *
 *   SHIM_DISK_FOLDER   the folder, as the system names it; elsewhere nothing is counted or fails
 *   SHIM_DISK_COUNTS   a file where all processes of a run count together; it must be there
 *   SHIM_DISK_FAIL     N; 0 or nothing: calls are only counted
 *   SHIM_DISK_ERROR    ENOSPC, else EIO
 *   SHIM_DISK_ONWARD   set: all later calls fail, too
 *   SHIM_DISK_TIMES    so many calls fail, from the N-th on; 1
 *   SHIM_DISK_FILE     only writes to files of this name are counted and fail
 *   SHIM_DISK_CALL     with it, another call than write: fallocate, fsync ...
 *   SHIM_DISK_FLIP     a text: the first write of 512 bytes and more to a file whose path holds it writes
 *                      one byte wrong, and succeeds; it counts as the failure
 *
 *   SHIM_DISK_INDIRECT open or write: what goes past the system's memory (O_DIRECT) is refused there, with EINVAL; each
 *                      time counts as a failure
 *   SHIM_DISK_ROOM     N: the N-th time that somebody asks what is free, nothing is; it counts as the failure
 *
 * Counted are write, pwrite, fwrite, fclose (of what stdio holds back), fsync, fdatasync,
 * ftruncate, fallocate, rename and link. Of a write that fails the first half may be there (for every
 * other N).
 *
 * Beside it the shim watches a rule: a descriptor whose sync has failed is not synced again, because
 * that would succeed although bytes are lost. The file of counts is
 *
 *   u64 calls   u64 failures   u64 syncs that were tried again   text: the first call that failed
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

#define SHIM_FDS_MAX 4096

typedef struct shim_counts {
    _Atomic uint64_t calls, failures, retried;
    char first[224]; /* what failed first: "write PATH" */
    _Atomic uint64_t rooms;
} shim_counts;
_Static_assert(sizeof(shim_counts) == 256, "the layout that the test reads");

static shim_counts *shim_shared;
static char shim_folder[PATH_MAX];
static size_t shim_folder_size;
static uint64_t shim_fail_at;
static int shim_error;
static bool shim_onward;
static uint64_t shim_times = 1;
static const char *shim_file, *shim_call;
static const char *shim_flip;
static uint64_t shim_room_at;
static const char *shim_indirect;
static _Atomic bool shim_direct[SHIM_FDS_MAX]; /* as if it were: the file system cannot, and its first write is refused */
static _Atomic bool shim_sync_failed[SHIM_FDS_MAX];

#define SHIM_REAL(type, name, ...)                                                                 \
    static type (*real_##name)(__VA_ARGS__)

SHIM_REAL(ssize_t, write, int, const void *, size_t);
SHIM_REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
SHIM_REAL(size_t, fwrite, const void *, size_t, size_t, FILE *);
SHIM_REAL(int, fclose, FILE *);
SHIM_REAL(int, close, int);
SHIM_REAL(int, open, const char *, int, ...);
SHIM_REAL(int, fsync, int);
SHIM_REAL(int, fdatasync, int);
SHIM_REAL(int, ftruncate, int, off_t);
SHIM_REAL(int, fallocate, int, int, off_t, off_t);
SHIM_REAL(int, posix_fallocate, int, off_t, off_t);
SHIM_REAL(int, rename, const char *, const char *);
SHIM_REAL(int, link, const char *, const char *);
SHIM_REAL(int, statvfs, const char *, struct statvfs *);

#define SHIM_FIND(name) (*(void **)&real_##name = dlsym(RTLD_NEXT, #name))

/* Other constructors may call before ours; then nothing is counted yet. */
static void shim_find(void)
{
    SHIM_FIND(write);
    SHIM_FIND(pwrite);
    SHIM_FIND(fwrite);
    SHIM_FIND(fclose);
    SHIM_FIND(close);
    SHIM_FIND(open);
    SHIM_FIND(fsync);
    SHIM_FIND(fdatasync);
    SHIM_FIND(ftruncate);
    SHIM_FIND(fallocate);
    SHIM_FIND(posix_fallocate);
    SHIM_FIND(rename);
    SHIM_FIND(link);
    SHIM_FIND(statvfs);
}

__attribute__((constructor)) static void shim_start(void)
{
    const char *folder = getenv("SHIM_DISK_FOLDER"), *counts = getenv("SHIM_DISK_COUNTS");
    const char *fail = getenv("SHIM_DISK_FAIL"), *error = getenv("SHIM_DISK_ERROR");
    const char *room = getenv("SHIM_DISK_ROOM"), *times = getenv("SHIM_DISK_TIMES");
    void *at = MAP_FAILED;
    int fd;

    shim_find();
    if (folder == NULL || counts == NULL || strlen(folder) >= sizeof shim_folder)
        return;
    fd = open(counts, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && real_ftruncate(fd, sizeof *shim_shared) == 0)
        at = mmap(NULL, sizeof *shim_shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        dprintf(STDERR_FILENO, "shim_disk: %s: %s\n", counts, strerror(errno));
        _exit(99);
    }
    real_close(fd);
    strcpy(shim_folder, folder);
    shim_folder_size = strlen(folder);
    shim_fail_at = fail == NULL ? 0 : strtoull(fail, NULL, 10);
    shim_error = error != NULL && strcmp(error, "ENOSPC") == 0 ? ENOSPC : EIO;
    shim_onward = getenv("SHIM_DISK_ONWARD") != NULL;
    shim_flip = getenv("SHIM_DISK_FLIP");
    shim_indirect = getenv("SHIM_DISK_INDIRECT");
    shim_file = getenv("SHIM_DISK_FILE");
    shim_call = getenv("SHIM_DISK_CALL");
    if (times != NULL)
        shim_times = strtoull(times, NULL, 10);
    shim_room_at = room == NULL ? 0 : strtoull(room, NULL, 10);
    shim_shared = at;
}

/* ---- what is counted ---- */

static bool is_chosen(const char *path)
{
    return shim_file == NULL || strcmp(strrchr(path, '/') + 1, shim_file) == 0;
}

/* Logs are no part of what is promised. */
static bool path_counts(const char *path)
{
    return shim_shared != NULL && strncmp(path, shim_folder, shim_folder_size) == 0 &&
           path[shim_folder_size] == '/' && strstr(path, "/worker-") == NULL && is_chosen(path);
}

static bool fd_counts(int fd, char path[PATH_MAX])
{
    char name[64];
    ssize_t size;

    if (shim_shared == NULL || fd < 0)
        return false;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    size = readlink(name, path, PATH_MAX - 1);
    if (size <= 0)
        return false;
    path[size] = '\0';
    return path_counts(path);
}

/* Count a call; whether it has to fail. */
static bool shim_fails(const char *what, const char *path)
{
    uint64_t call;

    if (shim_file != NULL && strcmp(what, shim_call == NULL ? "write" : shim_call) != 0)
        return false;
    call = atomic_fetch_add(&shim_shared->calls, 1) + 1;
    if (shim_fail_at == 0 || call < shim_fail_at || (call >= shim_fail_at + shim_times && !shim_onward))
        return false;
    if (atomic_fetch_add(&shim_shared->failures, 1) == 0)
        snprintf(shim_shared->first, sizeof shim_shared->first, "%s %.200s", what,
                 path + shim_folder_size + 1);
    errno = shim_error;
    return true;
}

static bool shim_fd_fails(const char *what, int fd)
{
    char path[PATH_MAX];
    int saved = errno;
    bool counts = fd_counts(fd, path);

    errno = saved;
    return counts && shim_fails(what, path);
}

static bool shim_path_fails(const char *what, const char *path)
{
    char absolute[PATH_MAX];
    int saved = errno;

    if (path[0] != '/' && getcwd(absolute, sizeof absolute) != NULL) {
        size_t used = strlen(absolute);

        snprintf(absolute + used, sizeof absolute - used, "/%s", path);
        path = absolute;
    }
    errno = saved;
    return path_counts(path) && shim_fails(what, path);
}

/* How much of a write that fails is there nevertheless. */
static size_t torn(size_t size)
{
    return shim_fail_at % 2 == 0 ? size / 2 : 0;
}

/* Whether it is this write's turn to be wrong. */
static bool shim_flips(int fd, size_t size)
{
    char path[PATH_MAX];
    int saved = errno;
    uint64_t none = 0;
    bool flips = shim_flip != NULL && size >= 512 && fd_counts(fd, path) &&
                 strstr(path, shim_flip) != NULL &&
                 atomic_compare_exchange_strong(&shim_shared->failures, &none, 1);

    errno = saved;
    return flips;
}

/* Aligned, as the descriptor may be one for O_DIRECT. */
static ssize_t write_flipped(int fd, const uint8_t *bytes, size_t size)
{
    uint8_t *wrong = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    ssize_t written;

    if (wrong == NULL)
        return -1;
    memcpy(wrong, bytes, size);
    wrong[size / 3] ^= 0x10;
    written = real_write(fd, wrong, size);
    free(wrong);
    return written;
}

/* ---- past the system's memory ---- */

static int open_direct(const char *path, int flags, mode_t mode)
{
    char absolute[PATH_MAX];
    int fd;

    if (path[0] != '/' && getcwd(absolute, sizeof absolute - strlen(path) - 1) != NULL)
        path = strcat(strcat(absolute, "/"), path);
    if (shim_indirect == NULL || !path_counts(path))
        return real_open(path, flags, mode);
    if (strcmp(shim_indirect, "open") == 0) {
        atomic_fetch_add(&shim_shared->failures, 1);
        errno = EINVAL;
        return -1;
    }
    fd = real_open(path, flags, mode);
    if (fd < 0 && errno == EINVAL) {
        fd = real_open(path, flags & ~O_DIRECT, mode);
        if (fd >= 0 && fd < SHIM_FDS_MAX)
            atomic_store(&shim_direct[fd], true);
    }
    return fd;
}

static bool write_refused(int fd)
{
    int flags, saved = errno;
    char path[PATH_MAX];
    bool pretended;

    if (shim_indirect == NULL || strcmp(shim_indirect, "write") != 0 || fd < 0 || fd >= SHIM_FDS_MAX)
        return false;
    flags = fcntl(fd, F_GETFL);
    pretended = atomic_exchange(&shim_direct[fd], false);
    errno = saved;
    if (!pretended && (flags < 0 || (flags & O_DIRECT) == 0 || !fd_counts(fd, path)))
        return false;
    atomic_fetch_add(&shim_shared->failures, 1);
    errno = EINVAL;
    return true;
}

/* ---- the calls ---- */

int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (real_open == NULL)
        shim_find();
    return (flags & O_DIRECT) != 0 ? open_direct(path, flags, mode) : real_open(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open(path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    if (real_write == NULL)
        shim_find();
    if (write_refused(fd))
        return -1;
    if (shim_flips(fd, size))
        return write_flipped(fd, bytes, size);
    if (!shim_fd_fails("write", fd))
        return real_write(fd, bytes, size);
    if (torn(size) > 0 && real_write(fd, bytes, torn(size)) < 0)
        return -1;
    errno = shim_error;
    return -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (!shim_fd_fails("pwrite", fd))
        return real_pwrite(fd, bytes, size, offset);
    if (torn(size) > 0 && real_pwrite(fd, bytes, torn(size), offset) < 0)
        return -1;
    errno = shim_error;
    return -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    return pwrite(fd, bytes, size, offset);
}

size_t fwrite(const void *bytes, size_t size, size_t count, FILE *file)
{
    if (real_fwrite == NULL)
        shim_find();
    return shim_fd_fails("fwrite", fileno(file)) ? 0 : real_fwrite(bytes, size, count, file);
}

int fclose(FILE *file)
{
    bool fails = shim_fd_fails("fclose", fileno(file));
    int result = real_fclose(file);

    if (!fails)
        return result;
    errno = shim_error;
    return EOF;
}

int close(int fd)
{
    if (real_close == NULL)
        shim_find();
    if (fd >= 0 && fd < SHIM_FDS_MAX)
        shim_sync_failed[fd] = shim_direct[fd] = false;
    return real_close(fd);
}

static int sync_with(int (*real)(int), const char *what, int fd)
{
    bool known = fd >= 0 && fd < SHIM_FDS_MAX;

    if (known && atomic_load(&shim_sync_failed[fd]))
        atomic_fetch_add(&shim_shared->retried, 1);
    if (!shim_fd_fails(what, fd))
        return real(fd);
    if (known)
        atomic_store(&shim_sync_failed[fd], true);
    return -1;
}

int fsync(int fd)
{
    return sync_with(real_fsync, "fsync", fd);
}

int fdatasync(int fd)
{
    return sync_with(real_fdatasync, "fdatasync", fd);
}

int ftruncate(int fd, off_t size)
{
    return shim_fd_fails("ftruncate", fd) ? -1 : real_ftruncate(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    return shim_fd_fails("fallocate", fd) ? -1 : real_fallocate(fd, mode, offset, size);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t size)
{
    return fallocate(fd, mode, offset, size);
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
    return shim_fd_fails("posix_fallocate", fd) ? shim_error
                                                : real_posix_fallocate(fd, offset, size);
}

int posix_fallocate64(int fd, off64_t offset, off64_t size)
{
    return posix_fallocate(fd, offset, size);
}

int rename(const char *from, const char *to)
{
    return shim_path_fails("rename", to) ? -1 : real_rename(from, to);
}

int link(const char *from, const char *to)
{
    return shim_path_fails("link", to) ? -1 : real_link(from, to);
}

int statvfs(const char *path, struct statvfs *out)
{
    int result = real_statvfs(path, out);

    if (result != 0 || shim_room_at == 0 || !path_counts(path) ||
        atomic_fetch_add(&shim_shared->rooms, 1) + 1 != shim_room_at)
        return result;
    atomic_fetch_add(&shim_shared->failures, 1);
    out->f_bavail = 0;
    return 0;
}
