/* The system's disk. */
#include "dataflow/df_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define POSIX_REQUEST_MAX (1u << 30) /* one system call's; Linux takes no more than 2^31 - 4096 */

typedef struct posix_file {
    df_file file; /* first */
    int fd;
} posix_file;

/* Turn errno into a status and the disk's reason. */
static df_status posix_fail(df_disk *disk)
{
    int code = errno;
    const char *text = strerrordesc_np(code);

    disk->reason = text == NULL ? "unknown error" : text;
    switch (code) {
    case ENOENT:
        return DF_END;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return DF_ELIMIT;
    case ENOMEM:
        return DF_ENOMEM;
    default:
        return DF_EIO;
    }
}

static int posix_fd(const df_file *file)
{
    return ((const posix_file *)file)->fd;
}

static df_status posix_open(df_disk *disk, df_file **out, const char *path, df_open_mode mode)
{
    int flags = mode == DF_OPEN_READ ? O_RDONLY : O_RDWR;
    posix_file *file = calloc(1, sizeof *file);

    if (file == NULL) {
        disk->reason = "out of memory";
        return DF_ENOMEM;
    }
    if (mode == DF_OPEN_CREATE)
        flags |= O_CREAT | O_TRUNC;
    file->fd = open(path, flags | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        df_status s = posix_fail(disk);

        free(file);
        return s;
    }
    *out = &file->file;
    return DF_OK;
}

static void posix_close(df_file *file)
{
    close(posix_fd(file));
    free(file);
}

static df_status posix_size(df_file *file, uint64_t *size)
{
    struct stat info;

    if (fstat(posix_fd(file), &info) != 0)
        return posix_fail(file->disk);
    *size = (uint64_t)info.st_size;
    return DF_OK;
}

static df_status posix_read(df_file *file, void *bytes, size_t size, uint64_t offset, size_t *got)
{
    char *to = bytes;

    while (*got < size) {
        size_t wanted = size - *got < POSIX_REQUEST_MAX ? size - *got : POSIX_REQUEST_MAX;
        ssize_t n = pread(posix_fd(file), to + *got, wanted, (off_t)(offset + *got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return posix_fail(file->disk);
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return DF_OK;
}

static df_status posix_write(df_file *file, const void *bytes, size_t size, uint64_t offset)
{
    const char *from = bytes;
    size_t done = 0;

    while (done < size) {
        size_t wanted = size - done < POSIX_REQUEST_MAX ? size - done : POSIX_REQUEST_MAX;
        ssize_t n = pwrite(posix_fd(file), from + done, wanted, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return posix_fail(file->disk);
        done += (size_t)n;
    }
    return DF_OK;
}

static df_status posix_allocate(df_file *file, uint64_t size)
{
    int code;

    do
        code = posix_fallocate(posix_fd(file), 0, (off_t)size);
    while (code == EINTR);
    if (code == 0)
        return DF_OK;
    errno = code;
    return posix_fail(file->disk);
}

/* fdatasync writes a changed size too, since the bytes could not be read without it. */
static df_status posix_sync(df_file *file)
{
    return fdatasync(posix_fd(file)) == 0 ? DF_OK : posix_fail(file->disk);
}

/* A lock of the open file description: unlike a process's, another thread's close does not end it. */
static df_status posix_lock(df_file *file)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(posix_fd(file), F_OFD_SETLK, &whole) == 0)
        return DF_OK;
    if (errno == EAGAIN || errno == EACCES) {
        file->disk->reason = "another process holds it";
        return DF_AGAIN;
    }
    return posix_fail(file->disk);
}

static df_status posix_sync_folder(df_disk *disk, const char *path)
{
    df_status s = DF_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return posix_fail(disk);
    if (fsync(fd) != 0)
        s = posix_fail(disk);
    close(fd);
    return s;
}

static df_status posix_make_folder(df_disk *disk, const char *path)
{
    struct stat info;

    if (mkdir(path, 0700) == 0)
        return DF_OK;
    if (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return DF_OK;
    return posix_fail(disk);
}

static df_status posix_rename(df_disk *disk, const char *from, const char *to)
{
    return rename(from, to) == 0 ? DF_OK : posix_fail(disk);
}

static df_status posix_remove(df_disk *disk, const char *path)
{
    return unlink(path) == 0 ? DF_OK : posix_fail(disk);
}

static df_status posix_list(df_disk *disk, const char *path,
                            void (*each)(void *user, const char *name), void *user)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    df_status s = DF_OK;

    if (folder == NULL)
        return posix_fail(disk);
    for (;;) {
        errno = 0;
        entry = readdir(folder);
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(user, entry->d_name);
    }
    if (errno != 0)
        s = posix_fail(disk);
    closedir(folder);
    return s;
}

static df_status posix_room(df_disk *disk, const char *path, uint64_t *size)
{
    struct statvfs info;

    if (statvfs(path, &info) != 0)
        return posix_fail(disk);
    *size = (uint64_t)info.f_bavail * info.f_frsize;
    return DF_OK;
}

static const df_disk_calls posix_calls = {
    .open = posix_open,
    .close = posix_close,
    .size = posix_size,
    .read = posix_read,
    .write = posix_write,
    .allocate = posix_allocate,
    .sync = posix_sync,
    .lock = posix_lock,
    .sync_folder = posix_sync_folder,
    .make_folder = posix_make_folder,
    .rename = posix_rename,
    .remove = posix_remove,
    .list = posix_list,
    .room = posix_room,
};

void df_disk_posix_init(df_disk *disk)
{
    *disk = (df_disk){ .calls = &posix_calls };
}
