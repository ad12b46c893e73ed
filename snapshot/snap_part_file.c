#include "snapshot/snap_part_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGNMENT 4096u                        /* of memory, place and size; no disk asks for more */
#define PIECE     (1u << 19)                   /* bytes of one write, at least */
#define BUFFER    (PIECE + SNAP_PART_ROOM_MAX) /* one page of the large kind: the disk's driver looks at each page */
_Static_assert(BUFFER == 1u << 21, "a buffer is a large page");

struct snap_part_file {
    char *path;
    int fd;
    bool direct;      /* the thread's, while there is one; so is fd */
    uint8_t *memory;  /* both buffers */
    uint8_t *filled;  /* [BUFFER] */
    size_t used;      /* of filled; less than PIECE after a put */
    bool threaded;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    uint8_t *written; /* [BUFFER] */
    size_t handed;    /* of written; 0: it is written */
    bool ending;
    int lost;         /* errno of the write that failed */
};

static df_status file_fail(const snap_part_file *f, const char *what, int code, df_error *err)
{
    return df_fail(err, code == ENOSPC || code == EDQUOT ? DF_ELIMIT : DF_EIO, "%.300s: cannot %s: %s", f->path, what,
                   strerrordesc_np(code));
}

/* ---- writing ---- */

static bool go_indirect(snap_part_file *f)
{
    int flags = fcntl(f->fd, F_GETFL);

    if (flags < 0 || fcntl(f->fd, F_SETFL, flags & ~O_DIRECT) != 0)
        return false;
    f->direct = false;
    return true;
}

/* 0, or what went wrong. A file system may refuse only now what it has allowed when the file was made. */
static int write_piece(snap_part_file *f, const uint8_t *bytes, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = write(f->fd, bytes + done, size - done);

        if (n > 0)
            done += (size_t)n;
        else if (n == 0)
            return ENOSPC;
        else if (errno != EINTR && !(errno == EINVAL && f->direct && go_indirect(f)))
            return errno;
    }
    return 0;
}

static void *thread_main(void *user)
{
    snap_part_file *f = user;

    pthread_mutex_lock(&f->lock);
    for (;;) {
        size_t size;
        int code;

        while (f->handed == 0 && !f->ending)
            pthread_cond_wait(&f->changed, &f->lock);
        size = f->handed;
        if (size == 0 || f->lost != 0)
            break;
        pthread_mutex_unlock(&f->lock);
        code = write_piece(f, f->written, size);
        pthread_mutex_lock(&f->lock);
        f->handed = 0;
        f->lost = code;
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static void end_thread(snap_part_file *f)
{
    if (!f->threaded)
        return;
    pthread_mutex_lock(&f->lock);
    f->ending = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    f->threaded = false;
}

/* Whole pages of what is filled go to the thread, once the piece before is written; the rest begins the next piece. */
static int hand_over(snap_part_file *f)
{
    size_t whole = f->used / ALIGNMENT * ALIGNMENT, rest = f->used - whole;
    uint8_t *filled = f->filled;

    pthread_mutex_lock(&f->lock);
    while (f->handed != 0)
        pthread_cond_wait(&f->changed, &f->lock);
    if (f->lost == 0 && !f->threaded)
        f->lost = write_piece(f, filled, whole);
    if (f->lost == 0) {
        memcpy(f->written, filled + whole, rest);
        f->filled = f->written;
        f->written = filled;
        f->used = rest;
        f->handed = f->threaded ? whole : 0;
        pthread_cond_broadcast(&f->changed);
    } else {
        f->used = 0;
    }
    pthread_mutex_unlock(&f->lock);
    return f->lost;
}

uint8_t *snap_part_file_room(snap_part_file *file)
{
    return file->filled + file->used;
}

df_status snap_part_file_put(snap_part_file *file, size_t size, df_error *err)
{
    int code;

    assert(size <= SNAP_PART_ROOM_MAX && file->used < PIECE);
    file->used += size;
    if (file->used < PIECE)
        return DF_OK;
    code = hand_over(file);
    return code == 0 ? DF_OK : file_fail(file, "write", code, err);
}

/* The end of a file is not aligned. */
df_status snap_part_file_sync(snap_part_file *file, df_error *err)
{
    end_thread(file);
    if (file->lost == 0 && file->direct && !go_indirect(file))
        file->lost = errno;
    if (file->lost == 0)
        file->lost = write_piece(file, file->filled, file->used);
    if (file->lost != 0)
        return file_fail(file, "write", file->lost, err);
    return fdatasync(file->fd) == 0 ? DF_OK : file_fail(file, "sync", errno, err);
}

/* ---- life ---- */

static int file_make(const char *path, int how)
{
    int fd;

    do
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | how, 0644);
    while (fd < 0 && errno == EINTR);
    return fd;
}

df_status snap_part_file_open(snap_part_file **out, const char *path, df_error *err)
{
    snap_part_file *f = calloc(1, sizeof *f);
    df_status s = DF_OK;

    *out = NULL;
    if (f == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    f->fd = -1;
    f->path = strdup(path);
    f->memory = aligned_alloc(BUFFER, 2 * BUFFER);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    if (f->path == NULL || f->memory == NULL) {
        snap_part_file_close(&f);
        return df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    }
    (void)madvise(f->memory, 2 * BUFFER, MADV_HUGEPAGE); /* small pages do as well, only slower */
    f->filled = f->memory;
    f->written = f->memory + BUFFER;
    f->direct = true;
    f->fd = file_make(path, O_DIRECT);
    if (f->fd < 0 && errno == EINVAL) {
        f->direct = false;
        f->fd = file_make(path, 0);
    }
    if (f->fd < 0)
        s = file_fail(f, "create", errno, err);
    if (s == DF_OK) {
        f->threaded = pthread_create(&f->thread, NULL, thread_main, f) == 0;
        *out = f;
    } else {
        snap_part_file_close(&f);
    }
    return s;
}

void snap_part_file_close(snap_part_file **file)
{
    snap_part_file *f = *file;

    *file = NULL;
    if (f == NULL)
        return;
    end_thread(f);
    if (f->fd >= 0)
        close(f->fd);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f->memory);
    free(f->path);
    free(f);
}
