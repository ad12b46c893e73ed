/* Files that are not durable yet. */
#include "operators/op_unsynced.h"
#include "operators/op_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct op_unsynced {
    pthread_mutex_t mutex; /* of count and descriptors */
    uint32_t count;
    int descriptors[OP_UNSYNCED_MAX]; /* the oldest first */
    atomic_int broken;                /* the errno of a failed sync */
    char *path;
};

op_unsynced *op_unsynced_new(const char *path)
{
    op_unsynced *files = calloc(1, sizeof(*files));

    if (files == NULL)
        return NULL;
    files->path = strdup(path);
    if (files->path != NULL && pthread_mutex_init(&files->mutex, NULL) == 0)
        return files;
    free(files->path);
    free(files);
    return NULL;
}

/* Take all files out. Returns how many. */
static uint32_t unsynced_take(op_unsynced *files, int descriptors[OP_UNSYNCED_MAX])
{
    uint32_t count;

    pthread_mutex_lock(&files->mutex);
    count = files->count;
    memcpy(descriptors, files->descriptors, count * sizeof(*descriptors));
    files->count = 0;
    pthread_mutex_unlock(&files->mutex);
    return count;
}

static void unsynced_close_all(op_unsynced *files)
{
    int descriptors[OP_UNSYNCED_MAX];
    uint32_t count = unsynced_take(files, descriptors);

    for (uint32_t i = 0; i < count; i++)
        close(descriptors[i]);
}

void op_unsynced_free(op_unsynced **files)
{
    op_unsynced *f = *files;

    if (f == NULL)
        return;
    unsynced_close_all(f);
    pthread_mutex_destroy(&f->mutex);
    free(f->path);
    free(f);
    *files = NULL;
}

/* Sync and close. The first failure stays. */
static void unsynced_sync_one(op_unsynced *files, int descriptor)
{
    int fine = 0;

    if (fdatasync(descriptor) != 0)
        (void)atomic_compare_exchange_strong(&files->broken, &fine, errno);
    close(descriptor);
}

void op_unsynced_add(op_unsynced *files, int descriptor, bool replaces)
{
    int oldest = -1;

    if (replaces)
        unsynced_close_all(files);
    pthread_mutex_lock(&files->mutex);
    if (files->count == OP_UNSYNCED_MAX) {
        oldest = files->descriptors[0];
        files->count--;
        memmove(files->descriptors, files->descriptors + 1,
                files->count * sizeof(files->descriptors[0]));
    }
    files->descriptors[files->count++] = descriptor;
    pthread_mutex_unlock(&files->mutex);
    if (oldest >= 0)
        unsynced_sync_one(files, oldest);
}

df_status op_unsynced_sync(op_unsynced *files, df_error *err)
{
    int descriptors[OP_UNSYNCED_MAX], fine = 0;
    uint32_t count = unsynced_take(files, descriptors);
    df_status status;

    for (uint32_t i = 0; i < count; i++)
        unsynced_sync_one(files, descriptors[i]);
    status = op_unsynced_check(files, err);
    if (status != DF_OK)
        return status;
    status = op_file_sync_name(files->path, err);
    if (status != DF_OK)
        (void)atomic_compare_exchange_strong(&files->broken, &fine, EIO);
    return status;
}

df_status op_unsynced_check(const op_unsynced *files, df_error *err)
{
    int code = atomic_load(&files->broken);

    return code == 0 ? DF_OK : op_file_broken(err, files->path, code);
}
