/* A disk that loses power, for LD_PRELOAD: what was not synced is not there afterwards.
 *
 * Each sync of a file below a folder copies the file to a store, by the number of its inode, and
 * each sync of a folder writes down its names; nothing else is durable. At the N-th sync the power is
 * lost: it is not done, and its process and every other one that syncs after it is killed. What is
 * left is then built from the store (tests/integration/power.sh).
 *
 *   SHIM_POWER_FOLDER   the folder, as the system names it
 *   SHIM_POWER_STORE    another folder: a file INODE for each file, dINODE for each folder, whose
 *                       lines are "f INODE NAME" or "d INODE NAME"; `counts`, which must be there,
 *                       holds u64 syncs   u64 whether the power is lost
 *   SHIM_POWER_AT       N; 0 or nothing: never
 *   SHIM_POWER_BOOT     a file that is read instead of the machine's boot id
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOOT_ID  "/proc/sys/kernel/random/boot_id"
#define KEY_SIZE 64

typedef struct power_counts {
    _Atomic uint64_t syncs, lost;
} power_counts;

static power_counts *power_shared;
static char power_folder[PATH_MAX], power_store[PATH_MAX];
static uint64_t power_at;
static pthread_mutex_t power_lock = PTHREAD_MUTEX_INITIALIZER; /* of the store, in this process */
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static FILE *(*real_fopen)(const char *, const char *);

_Noreturn static void power_fail(const char *what)
{
    dprintf(STDERR_FILENO, "shim_power: %s: %s\n", what, strerror(errno));
    _exit(99);
}

__attribute__((constructor)) static void power_start(void)
{
    const char *folder = getenv("SHIM_POWER_FOLDER"), *store = getenv("SHIM_POWER_STORE");
    const char *at = getenv("SHIM_POWER_AT");
    char path[PATH_MAX + 16];
    int fd;

    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **)&real_fopen = dlsym(RTLD_NEXT, "fopen");
    if (folder == NULL || store == NULL)
        return;
    snprintf(power_folder, sizeof power_folder, "%s", folder);
    snprintf(power_store, sizeof power_store, "%s", store);
    power_at = at == NULL ? 0 : strtoull(at, NULL, 10);
    snprintf(path, sizeof path, "%s/counts", power_store);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof *power_shared) != 0)
        power_fail(path);
    power_shared = mmap(NULL, sizeof *power_shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                        0);
    if (power_shared == MAP_FAILED)
        power_fail(path);
    close(fd);
}

/* ---- the store ---- */

/* Numbers of inodes are used again, with another time of birth. */
static bool key_of(int folder, const char *name, char key[KEY_SIZE], bool *is_folder)
{
    struct statx about;

    if (statx(folder, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_TYPE | STATX_BTIME,
              &about) != 0)
        return false;
    snprintf(key, KEY_SIZE, "%llu-%lld.%u", (unsigned long long)about.stx_ino,
             (long long)about.stx_btime.tv_sec, about.stx_btime.tv_nsec);
    *is_folder = S_ISDIR(about.stx_mode);
    return S_ISDIR(about.stx_mode) || S_ISREG(about.stx_mode);
}

/* Written under another name first: a process may be killed at any time. */
static int store_begin(char fresh[PATH_MAX + KEY_SIZE])
{
    int fd;

    snprintf(fresh, PATH_MAX + KEY_SIZE, "%s/new-%d", power_store, (int)getpid());
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        power_fail(fresh);
    return fd;
}

static void store_end(int fd, const char *fresh, const char *prefix, const char *key)
{
    char path[PATH_MAX + KEY_SIZE + 16];

    close(fd);
    snprintf(path, sizeof path, "%s/%s%s", power_store, prefix, key);
    if (rename(fresh, path) != 0)
        power_fail(path);
}

/* A descriptor may be for writing only, so the file is opened anew. */
static void store_file(int fd, const char *key)
{
    char name[64], fresh[PATH_MAX + KEY_SIZE];
    int from, to;
    off_t in = 0, out = 0;

    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    from = open(name, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        power_fail(name);
    to = store_begin(fresh);
    while (copy_file_range(from, &in, to, &out, 1u << 30, 0) > 0)
        continue;
    close(from);
    store_end(to, fresh, "", key);
}

static void store_folder(const char *path, const char *key)
{
    char fresh[PATH_MAX + KEY_SIZE], inner[KEY_SIZE];
    int to = store_begin(fresh);
    DIR *folder = opendir(path);
    struct dirent *entry;
    bool is_folder;

    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            key_of(dirfd(folder), entry->d_name, inner, &is_folder))
            dprintf(to, "%c %s %s\n", is_folder ? 'd' : 'f', inner, entry->d_name);
    if (folder != NULL)
        closedir(folder);
    store_end(to, fresh, "d", key);
}

static bool fd_counts(int fd, char path[PATH_MAX])
{
    size_t length = strlen(power_folder);
    char name[64];
    ssize_t size;

    if (power_shared == NULL)
        return false;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    size = readlink(name, path, PATH_MAX - 1);
    if (size <= 0)
        return false;
    path[size] = '\0';
    return strncmp(path, power_folder, length) == 0 &&
           (path[length] == '/' || path[length] == '\0');
}

static int sync_with(int (*real)(int), int fd)
{
    char path[PATH_MAX], key[KEY_SIZE];
    bool is_folder;

    if (!fd_counts(fd, path))
        return real(fd);
    pthread_mutex_lock(&power_lock);
    if (atomic_fetch_add(&power_shared->syncs, 1) + 1 == power_at)
        atomic_store(&power_shared->lost, 1);
    if (atomic_load(&power_shared->lost))
        kill(getpid(), SIGKILL);
    if (key_of(fd, "", key, &is_folder)) {
        if (is_folder)
            store_folder(path, key);
        else
            store_file(fd, key);
    }
    pthread_mutex_unlock(&power_lock);
    return 0;
}

/* ---- the calls ---- */

int fsync(int fd)
{
    return sync_with(real_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_with(real_fdatasync, fd);
}

FILE *fopen(const char *path, const char *mode)
{
    const char *boot = getenv("SHIM_POWER_BOOT");

    if (real_fopen == NULL)
        *(void **)&real_fopen = dlsym(RTLD_NEXT, "fopen");
    return real_fopen(boot != NULL && strcmp(path, BOOT_ID) == 0 ? boot : path, mode);
}
