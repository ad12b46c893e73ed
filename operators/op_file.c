/* What every sink that keeps files asks of the system. */
#include "operators/op_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_PATH_MAX 4096

df_status op_file_fail(df_error *err, const char *path, int code)
{
    const char *text = strerrordesc_np(code);
    bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;

    return df_fail(err, full ? DF_ELIMIT : DF_EIO, "%s: %s", path,
                   text == NULL ? "unknown error" : text);
}

df_status op_file_broken(df_error *err, const char *path, int code)
{
    const char *text = strerrordesc_np(code);

    return df_fail(err, DF_END, "%s: %s", path, text == NULL ? "unknown error" : text);
}

/* ---- the lock, and who holds it ---- */

/* Whether descriptor `name` of process `pid` is the file `wanted` and holds its lock. */
static bool file_is_held_by(const char *pid, const char *name, const struct stat *wanted)
{
    char path[600], line[256];
    struct stat found;
    bool held = false;
    FILE *about;

    (void)snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, name);
    if (stat(path, &found) != 0 || found.st_dev != wanted->st_dev || found.st_ino != wanted->st_ino)
        return false;
    (void)snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, name);
    about = fopen(path, "re");
    if (about == NULL)
        return false;
    while (!held && fgets(line, sizeof(line), about) != NULL)
        held = strncmp(line, "lock:", 5) == 0 && strstr(line, "WRITE") != NULL;
    (void)fclose(about);
    return held;
}

/* The process that holds the lock: the system does not tell for this kind of lock, so look at what
 * each process has open. 0: none that we may look at. */
static long file_holder(const struct stat *wanted)
{
    DIR *processes = opendir("/proc");
    struct dirent *process, *one;
    long holder = 0;

    while (processes != NULL && holder == 0 && (process = readdir(processes)) != NULL) {
        char path[300];
        DIR *open_files;
        if (process->d_name[0] < '0' || process->d_name[0] > '9')
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%s/fd", process->d_name);
        open_files = opendir(path);
        while (open_files != NULL && holder == 0 && (one = readdir(open_files)) != NULL)
            if (one->d_name[0] != '.' && file_is_held_by(process->d_name, one->d_name, wanted))
                holder = strtol(process->d_name, NULL, 10);
        if (open_files != NULL)
            closedir(open_files);
    }
    if (processes != NULL)
        closedir(processes);
    return holder;
}

df_status op_file_lock(int descriptor, const char *path, df_error *err)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    struct stat about;
    long holder = 0;

    if (fcntl(descriptor, F_OFD_SETLK, &lock) == 0)
        return DF_OK;
    if (errno != EAGAIN && errno != EACCES)
        return op_file_fail(err, path, errno);
    if (fstat(descriptor, &about) == 0)
        holder = file_holder(&about);
    if (holder == getpid())
        return df_fail(err, DF_AGAIN, "%s: another sink of this process is writing it", path);
    if (holder != 0)
        return df_fail(err, DF_AGAIN, "%s: process %ld is writing it", path, holder);
    return df_fail(err, DF_AGAIN, "%s: another process is writing it", path);
}

static void file_beside(const char *path, char *lock)
{
    const char *base = strrchr(path, '/');

    base = base == NULL ? path : base + 1;
    (void)snprintf(lock, FILE_PATH_MAX, "%.*s.%s.lock", (int)(base - path), path, base);
}

/* Open and lock. DF_END: the file was removed meanwhile by the holder before, so try again. */
static df_status file_try_lock(const char *path, const char *lock, int *descriptor, df_error *err)
{
    struct stat held, there;
    df_status status;

    *descriptor = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*descriptor < 0)
        return op_file_fail(err, path, errno);
    status = op_file_lock(*descriptor, path, err);
    if (status == DF_OK && (fstat(*descriptor, &held) != 0 || stat(lock, &there) != 0 ||
                            held.st_dev != there.st_dev || held.st_ino != there.st_ino))
        status = DF_END;
    if (status != DF_OK) {
        close(*descriptor);
        *descriptor = -1;
    }
    return status;
}

df_status op_file_lock_beside(const char *path, int *descriptor, df_error *err)
{
    char lock[FILE_PATH_MAX];
    df_status status;

    file_beside(path, lock);
    do
        status = file_try_lock(path, lock, descriptor, err);
    while (status == DF_END);
    return status;
}

void op_file_unlock_beside(const char *path, int *descriptor)
{
    char lock[FILE_PATH_MAX];

    if (*descriptor < 0)
        return;
    file_beside(path, lock);
    (void)unlink(lock); /* while it is held, so that it is ours */
    close(*descriptor);
    *descriptor = -1;
}

/* ---- names ---- */

static df_status file_sync_folder(const char *folder, df_error *err)
{
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    df_status status = DF_OK;

    if (descriptor < 0)
        return op_file_fail(err, folder, errno);
    if (fsync(descriptor) != 0 && errno != EINVAL) /* a file system that has nothing to sync there */
        status = op_file_fail(err, folder, errno);
    close(descriptor);
    return status;
}

df_status op_file_sync_name(const char *path, df_error *err)
{
    char folder[FILE_PATH_MAX];
    char *slash;

    if ((size_t)snprintf(folder, sizeof(folder), "%s", path) >= sizeof(folder))
        return df_fail(err, DF_ELIMIT, "%s: the path is too long", path);
    for (bool own = true; (slash = strrchr(folder, '/')) != NULL; own = false) {
        bool root = slash == folder;
        df_status status;
        slash[root] = '\0';
        if (!own && access(folder, R_OK) != 0)
            return DF_OK; /* a folder of somebody else's, who made what is in it */
        status = file_sync_folder(folder, err);
        if (status != DF_OK || root)
            return status;
    }
    return file_sync_folder(".", err);
}

void op_file_boot(char boot[OP_FILE_BOOT_SIZE])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    memset(boot, '0', OP_FILE_BOOT_SIZE);
    if (file == NULL)
        return;
    if (fread(boot, 1, OP_FILE_BOOT_SIZE, file) != OP_FILE_BOOT_SIZE)
        memset(boot, '0', OP_FILE_BOOT_SIZE);
    (void)fclose(file);
}
