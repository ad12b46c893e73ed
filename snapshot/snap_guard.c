#include "snapshot/snap_guard.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD_MAGIC 0x4448534eu /* "NSHD" */
#define SLOT_SIZE  512

struct snap_guard {
    df_file *file;
};

void snap_head_put(df_writer *writer, const snap_head *head)
{
    size_t begin = writer->size;

    df_put_u32(writer, HEAD_MAGIC);
    df_put_u64(writer, head->sequence);
    df_put_u64(writer, head->snapshot);
    snap_put_hash(writer, head->manifest);
    df_put_u64(writer, 0);
    if (df_writer_ok(writer))
        snap_put_hash(writer, snap_hash(writer->data + begin, writer->size - begin));
}

df_status snap_head_decode(snap_head *head, const uint8_t *bytes, size_t size, df_error *err)
{
    df_cursor c;
    uint32_t magic;
    uint64_t zero;
    df_hash hash;

    df_cursor_init(&c, bytes, size);
    magic = df_get_u32(&c);
    head->sequence = df_get_u64(&c);
    head->snapshot = df_get_u64(&c);
    head->manifest = snap_get_hash(&c);
    zero = df_get_u64(&c);
    hash = snap_get_hash(&c);
    if (!df_get_end(&c) || magic != HEAD_MAGIC || zero != 0 || head->sequence == 0 ||
        !snap_hash_equal(hash, snap_hash(bytes, size - SNAP_HASH_SIZE)))
        return df_fail(err, DF_ECORRUPT, "the record of the current snapshot is damaged");
    return DF_OK;
}

static void guard_path(char path[DF_PATH_MAX], const char *folder, const char *name)
{
    snprintf(path, DF_PATH_MAX, "%s/%s", folder, name);
}

static df_status guard_read(df_file *file, const char *path, snap_head *head, df_error *err)
{
    uint8_t slots[2 * SLOT_SIZE];
    size_t got;
    bool found = false;
    df_status s = df_file_read(file, slots, sizeof slots, 0, &got, err);

    if (s != DF_OK)
        return s;
    for (size_t i = 0; i < 2 && got == sizeof slots; i++) {
        snap_head slot;

        if (snap_head_decode(&slot, slots + i * SLOT_SIZE, SNAP_HEAD_SIZE, NULL) != DF_OK ||
            (found && slot.sequence < head->sequence))
            continue;
        *head = slot;
        found = true;
    }
    return found ? DF_OK : df_fail(err, DF_ECORRUPT, "%s: it is damaged", path);
}

df_status snap_guard_open(snap_guard **out, snap_head *head, df_disk *disk, const char *folder,
                          bool readonly, df_error *err)
{
    char path[DF_PATH_MAX];
    snap_guard *guard = calloc(1, sizeof *guard);
    df_status s;

    *out = NULL;
    if (guard == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", folder);
    guard_path(path, folder, "guard");
    s = df_disk_open(disk, &guard->file, path, readonly ? DF_OPEN_READ : DF_OPEN_WRITE, err);
    if (s == DF_OK)
        s = guard_read(guard->file, path, head, err);
    if (s == DF_OK)
        *out = guard;
    else
        snap_guard_close(&guard);
    return s;
}

static df_status guard_write(df_file *file, const snap_head *head, uint64_t slot, df_error *err)
{
    uint8_t bytes[SLOT_SIZE] = { 0 };
    df_writer w;

    df_writer_init(&w, bytes, sizeof bytes);
    snap_head_put(&w, head);
    assert(df_writer_ok(&w) && w.size == SNAP_HEAD_SIZE);
    return df_file_write(file, bytes, sizeof bytes, slot * SLOT_SIZE, err);
}

static df_status guard_fill(df_disk *disk, const char *path, const snap_head *head, df_error *err)
{
    df_file *file;
    df_status s = df_disk_open(disk, &file, path, DF_OPEN_CREATE, err);

    for (uint64_t slot = 0; s == DF_OK && slot < 2; slot++)
        s = guard_write(file, head, slot, err);
    if (s == DF_OK)
        s = df_file_sync(file, err);
    df_file_close(&file);
    return s;
}

df_status snap_guard_create(snap_guard **out, const snap_head *head, df_disk *disk,
                            const char *folder, df_error *err)
{
    char path[DF_PATH_MAX], fresh[DF_PATH_MAX];
    snap_head back;
    df_status s;

    *out = NULL;
    guard_path(path, folder, "guard");
    guard_path(fresh, folder, "guard.new");
    s = guard_fill(disk, fresh, head, err);
    if (s == DF_OK)
        s = df_disk_rename(disk, fresh, path, err);
    if (s == DF_OK)
        s = df_disk_sync_folder(disk, folder, err);
    if (s == DF_OK)
        s = snap_guard_open(out, &back, disk, folder, false, err);
    return s;
}

df_status snap_guard_set(snap_guard *guard, const snap_head *head, df_error *err)
{
    df_status s = guard_write(guard->file, head, head->sequence % 2, err);

    return s == DF_OK ? df_file_sync(guard->file, err) : s;
}

void snap_guard_close(snap_guard **guard)
{
    snap_guard *g = *guard;

    if (g == NULL)
        return;
    *guard = NULL;
    df_file_close(&g->file);
    free(g);
}
