/* What all disks have in common: broken files, texts, and lists in order. */
#include "dataflow/df_disk.h"

#include <stdlib.h>
#include <string.h>

/* The failure of a call on a path. `what` is the verb for people: "sync". */
static df_status disk_fail(df_disk *disk, df_status status, const char *what, const char *path,
                           df_error *err)
{
    return df_fail(err, status, "%s: cannot %s: %s", path, what,
                   disk->reason == NULL ? "unknown reason" : disk->reason);
}

static df_status disk_result(df_disk *disk, df_status status, const char *what, const char *path,
                             df_error *err)
{
    return status == DF_OK ? DF_OK : disk_fail(disk, status, what, path, err);
}

df_status df_disk_open(df_disk *disk, df_file **out, const char *path, df_open_mode mode,
                       df_error *err)
{
    df_file *file = NULL;
    char *copy = strdup(path);
    df_status s;

    *out = NULL;
    if (copy == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    s = disk->calls->open(disk, &file, path, mode);
    if (s != DF_OK) {
        free(copy);
        return disk_fail(disk, s, mode == DF_OPEN_CREATE ? "create" : "open", path, err);
    }
    file->disk = disk;
    file->path = copy;
    file->broken = false;
    *out = file;
    return DF_OK;
}

void df_file_close(df_file **file)
{
    df_file *f = *file;

    if (f == NULL)
        return;
    *file = NULL;
    free(f->path);
    f->disk->calls->close(f);
}

df_status df_file_size(df_file *file, uint64_t *size, df_error *err)
{
    *size = 0;
    return disk_result(file->disk, file->disk->calls->size(file, size), "measure", file->path, err);
}

df_status df_file_read(df_file *file, void *bytes, size_t size, uint64_t offset, size_t *got,
                       df_error *err)
{
    *got = 0;
    return disk_result(file->disk, file->disk->calls->read(file, bytes, size, offset, got), "read",
                       file->path, err);
}

/* The result of a call that changes the file: a failure breaks it. */
static df_status file_changed(df_file *file, df_status status, const char *what, df_error *err)
{
    if (status != DF_OK)
        file->broken = true;
    return disk_result(file->disk, status, what, file->path, err);
}

static df_status file_check(const df_file *file, df_error *err)
{
    if (file->broken)
        return df_fail(err, DF_EIO, "%s: an earlier write or sync failed; what it holds is not known",
                       file->path);
    return DF_OK;
}

df_status df_file_write(df_file *file, const void *bytes, size_t size, uint64_t offset, df_error *err)
{
    df_status s = file_check(file, err);

    if (s != DF_OK)
        return s;
    return file_changed(file, file->disk->calls->write(file, bytes, size, offset), "write", err);
}

df_status df_file_allocate(df_file *file, uint64_t size, df_error *err)
{
    df_status s = file_check(file, err);

    if (s != DF_OK)
        return s;
    return file_changed(file, file->disk->calls->allocate(file, size), "reserve room", err);
}

df_status df_file_sync(df_file *file, df_error *err)
{
    df_status s = file_check(file, err);

    if (s != DF_OK)
        return s;
    return file_changed(file, file->disk->calls->sync(file), "sync", err);
}

df_status df_file_lock(df_file *file, df_error *err)
{
    return disk_result(file->disk, file->disk->calls->lock(file), "lock", file->path, err);
}

df_status df_disk_sync_folder(df_disk *disk, const char *path, df_error *err)
{
    return disk_result(disk, disk->calls->sync_folder(disk, path), "sync folder", path, err);
}

df_status df_disk_make_folder(df_disk *disk, const char *path, df_error *err)
{
    return disk_result(disk, disk->calls->make_folder(disk, path), "make folder", path, err);
}

df_status df_disk_rename(df_disk *disk, const char *from, const char *to, df_error *err)
{
    return disk_result(disk, disk->calls->rename(disk, from, to), "rename", from, err);
}

df_status df_disk_room(df_disk *disk, const char *path, uint64_t *size, df_error *err)
{
    return disk_result(disk, disk->calls->room(disk, path, size), "measure the room of", path, err);
}

df_status df_disk_remove(df_disk *disk, const char *path, df_error *err)
{
    return disk_result(disk, disk->calls->remove(disk, path), "remove", path, err);
}

/* ---- lists ---- */

typedef struct disk_list {
    df_names *names;
    size_t capacity;
    bool failed;
} disk_list;

static void list_add(void *user, const char *name)
{
    disk_list *l = user;
    char *copy;

    if (l->failed)
        return;
    if (l->names->count == l->capacity) {
        size_t capacity = l->capacity == 0 ? 16 : 2 * l->capacity;
        char **names = realloc(l->names->names, capacity * sizeof *names);

        l->failed = names == NULL;
        if (l->failed)
            return;
        l->names->names = names;
        l->capacity = capacity;
    }
    copy = strdup(name);
    l->failed = copy == NULL;
    if (copy != NULL)
        l->names->names[l->names->count++] = copy;
}

static int list_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

df_status df_disk_list(df_disk *disk, df_names *names, const char *path, df_error *err)
{
    disk_list list = { .names = names };
    df_status s;

    *names = (df_names){ 0 };
    s = disk_result(disk, disk->calls->list(disk, path, list_add, &list), "list", path, err);
    if (s == DF_OK && list.failed)
        s = df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    if (s != DF_OK)
        df_names_fini(names);
    else if (names->count > 0)
        qsort(names->names, names->count, sizeof *names->names, list_compare);
    return s;
}

void df_names_fini(df_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (df_names){ 0 };
}
