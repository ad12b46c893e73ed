/* The files of a history: reading both copies, repairing them, appending to one and then the other. */
#include "snapshot/snap_history_private.h"

#include "dataflow/df_failpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct snap_history {
    df_disk *disk;
    char folder[DF_PATH_MAX - 64];
    df_file *lock;
    df_file *files[2];
    history_image image;
    bool broken;
};

static const char *const history_names[2] = { "history.a", "history.b" };

static void history_path(char path[DF_PATH_MAX], const char *folder, const char *name)
{
    snprintf(path, DF_PATH_MAX, "%s/%s", folder, name);
}

/* ---- making copies ---- */

static const char *const history_fresh[2] = { "history.a.new", "history.b.new" };

/* What a failure has left takes no room: 16 MiB are much on a disk that is full. If that fails, too, it only stays. */
static void copy_drop(df_disk *disk, const char *folder, int copy)
{
    char fresh[DF_PATH_MAX];
    df_status s;

    history_path(fresh, folder, history_fresh[copy]);
    s = df_disk_remove(disk, fresh, NULL);
    (void)s;
}

/* Make a copy under another name, durable. */
static df_status copy_write(df_disk *disk, const char *folder, int copy, const uint8_t *bytes, uint64_t size,
                            df_error *err)
{
    char fresh[DF_PATH_MAX];
    df_file *file;
    df_status s;

    history_path(fresh, folder, history_fresh[copy]);
    s = df_disk_open(disk, &file, fresh, DF_OPEN_CREATE, err);
    if (s == DF_OK)
        s = df_file_allocate(file, size, err);
    if (s == DF_OK)
        s = df_file_write(file, bytes, size, 0, err);
    if (s == DF_OK)
        s = df_file_sync(file, err);
    df_file_close(&file);
    return s;
}

static df_status copy_name(df_disk *disk, const char *folder, int copy, df_error *err)
{
    char fresh[DF_PATH_MAX], path[DF_PATH_MAX];
    df_status s;

    history_path(fresh, folder, history_fresh[copy]);
    history_path(path, folder, history_names[copy]);
    s = df_disk_rename(disk, fresh, path, err);
    return s == DF_OK ? df_disk_sync_folder(disk, folder, err) : s;
}

static df_status copy_make(df_disk *disk, const char *folder, int copy, const uint8_t *bytes,
                           uint64_t size, df_error *err)
{
    df_status s = copy_write(disk, folder, copy, bytes, size, err);

    if (s == DF_OK)
        s = copy_name(disk, folder, copy, err);
    if (s != DF_OK)
        copy_drop(disk, folder, copy);
    return s;
}

/* DF_END: neither copy is there. */
static df_status copies_exist(df_disk *disk, const char *folder, df_error *err)
{
    for (int i = 0; i < 2; i++) {
        char path[DF_PATH_MAX];
        df_file *file;
        df_status s;

        history_path(path, folder, history_names[i]);
        s = df_disk_open(disk, &file, path, DF_OPEN_READ, err);
        df_file_close(&file);
        if (s != DF_END)
            return s;
    }
    return DF_END;
}

df_status snap_history_create(df_disk *disk, const char *folder, df_hash identity, uint64_t size,
                              const snap_marks *marks, df_error *err)
{
    history_image image = { 0 };
    df_status s = copies_exist(disk, folder, err);

    if (s == DF_OK)
        return df_fail(err, DF_EINVAL, "%s: there is a history already", folder);
    if (s != DF_END)
        return s;
    if (size < SNAP_HISTORY_SIZE_MIN || size > SNAP_HISTORY_SIZE_MAX || size % HISTORY_BLOCK != 0)
        return df_fail(err, DF_EINVAL, "%s: a history of %" PRIu64 " bytes", folder, size);
    s = history_image_new(&image, identity, size, marks, err);
    if (s == DF_OK)
        s = copy_make(disk, folder, 0, image.bytes, size, err);
    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_history_make, err);
    if (s == DF_OK)
        s = copy_make(disk, folder, 1, image.bytes, size, err);
    history_image_fini(&image);
    return s;
}

/* ---- opening ---- */

/* The bytes of a copy; a missing file is no failure and gives null. One that is longer than any
 * history is read as far as a history goes. */
static df_status copy_read(df_disk *disk, const char *folder, int copy, df_file **file,
                           uint8_t **bytes, size_t *size, df_error *err)
{
    char path[DF_PATH_MAX];
    uint64_t file_size;
    df_status s;

    *bytes = NULL;
    *size = 0;
    history_path(path, folder, history_names[copy]);
    s = df_disk_open(disk, file, path, DF_OPEN_WRITE, err);
    if (s == DF_END)
        return DF_OK;
    if (s == DF_OK)
        s = df_file_size(*file, &file_size, err);
    if (s != DF_OK)
        return s;
    if (file_size > SNAP_HISTORY_SIZE_MAX)
        file_size = SNAP_HISTORY_SIZE_MAX;
    *bytes = history_memory(file_size + 1);
    if (*bytes == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    return df_file_read(*file, *bytes, file_size, 0, size, err);
}

/* Bring a copy to what it should be: the blocks that differ, and in any case those that the last
 * change wrote. Their sync may have failed before this process began, and then they are not on the
 * medium although they can be read. */
static df_status copy_repair(snap_history *h, int copy, const uint8_t *bytes, size_t size,
                             df_error *err)
{
    const history_image *image = &h->image;
    uint64_t last = image->last_frame == 0 ? HISTORY_FRAMES : image->last_frame;
    uint64_t end = history_compared(image, copy);
    df_status s = size < image->size ? df_file_allocate(h->files[copy], image->size, err) : DF_OK;

    for (uint64_t at = 0; s == DF_OK && at < end; at += HISTORY_BLOCK) {
        bool same = at + HISTORY_BLOCK <= size &&
                    memcmp(bytes + at, image->bytes + at, HISTORY_BLOCK) == 0;
        bool recent = at < HISTORY_FRAMES || (at + HISTORY_BLOCK > last && at < image->end);

        if (!same || recent)
            s = df_file_write(h->files[copy], image->bytes + at, HISTORY_BLOCK, at, err);
    }
    return s == DF_OK ? df_file_sync(h->files[copy], err) : s;
}

static df_status copy_rebuild(snap_history *h, int copy, df_error *err)
{
    char path[DF_PATH_MAX];
    df_status s;

    df_file_close(&h->files[copy]);
    s = copy_make(h->disk, h->folder, copy, h->image.bytes, h->image.size, err);

    history_path(path, h->folder, history_names[copy]);
    return s == DF_OK ? df_disk_open(h->disk, &h->files[copy], path, DF_OPEN_WRITE, err) : s;
}

static df_status history_recover(snap_history *h, snap_recovery *recovery, df_error *err)
{
    uint8_t *bytes[2] = { NULL, NULL };
    size_t sizes[2] = { 0, 0 };
    df_status s = DF_OK;

    for (int i = 0; s == DF_OK && i < 2; i++)
        s = copy_read(h->disk, h->folder, i, &h->files[i], &bytes[i], &sizes[i], err);
    if (s == DF_OK && bytes[0] == NULL && bytes[1] == NULL)
        s = df_fail(err, DF_END, "%s: there is no history", h->folder);
    if (s == DF_OK) {
        s = history_image_recover(&h->image, (const uint8_t *const *)bytes, sizes, recovery, err);
        if (s != DF_OK)
            s = df_wrap(err, s, "%s/history.a and history.b", h->folder);
    }
    for (int i = 0; s == DF_OK && i < 2; i++)
        s = recovery->rebuilt[i] ? copy_rebuild(h, i, err) : copy_repair(h, i, bytes[i], sizes[i], err);
    free(bytes[0]);
    free(bytes[1]);
    return s;
}

static df_status history_lock(snap_history *h, df_error *err)
{
    char path[DF_PATH_MAX];
    df_status s;

    history_path(path, h->folder, "lock");
    s = df_disk_open(h->disk, &h->lock, path, DF_OPEN_CREATE, err);
    return s == DF_OK ? df_file_lock(h->lock, err) : s;
}

df_status snap_history_open(snap_history **out, df_disk *disk, const char *folder,
                            snap_recovery *recovery, df_error *err)
{
    snap_history *h = calloc(1, sizeof *h);
    df_status s;

    *out = NULL;
    *recovery = (snap_recovery){ 0 };
    if (h == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", folder);
    h->disk = disk;
    if (snprintf(h->folder, sizeof h->folder, "%s", folder) >= (int)sizeof h->folder)
        s = df_fail(err, DF_EINVAL, "%.200s...: the path is too long", folder);
    else
        s = copies_exist(disk, folder, err);
    if (s == DF_OK)
        s = history_lock(h, err);
    if (s == DF_OK)
        s = history_recover(h, recovery, err);
    if (s == DF_OK)
        *out = h;
    else
        snap_history_close(&h);
    return s;
}

void snap_history_close(snap_history **history)
{
    snap_history *h = *history;

    if (h == NULL)
        return;
    *history = NULL;
    df_file_close(&h->files[0]);
    df_file_close(&h->files[1]);
    df_file_close(&h->lock);
    history_image_fini(&h->image);
    free(h);
}

/* ---- reading ---- */

uint64_t snap_history_capacity(const snap_history *history)
{
    return history->image.size - HISTORY_FRAMES;
}

uint64_t snap_history_count(const snap_history *history)
{
    return history->image.count;
}

snap_record snap_history_get(const snap_history *history, uint64_t index)
{
    assert(index >= 1 && index <= history->image.count);
    return history_record_at(&history->image, index);
}

snap_marks snap_history_marks(const snap_history *history)
{
    return history->image.marks;
}

static uint64_t history_left(const snap_history *h, snap_room room)
{
    uint64_t limit = h->image.size;

    if (room == SNAP_ROOM_INPUT)
        limit -= SNAP_HISTORY_RESERVE(h->image.size);
    return h->image.end < limit ? limit - h->image.end : 0;
}

uint64_t snap_history_room(const snap_history *history)
{
    return history_left(history, SNAP_ROOM_INPUT);
}

uint64_t snap_history_room_order(const snap_history *history)
{
    return history_left(history, SNAP_ROOM_ORDER);
}

/* ---- appending ---- */

static df_status history_check(const snap_history *h, df_error *err)
{
    if (h->broken)
        return df_fail(err, DF_EIO, "%s: an earlier change failed; what is durable is not known",
                       h->folder);
    return DF_OK;
}

/* The image's bytes to one copy, durable, then to the other. */
static df_status history_write(snap_history *h, uint64_t offset, uint64_t size, df_error *err)
{
    df_status s = DF_OK;

    for (int i = 0; s == DF_OK && i < 2; i++) {
        s = df_file_write(h->files[i], h->image.bytes + offset, size, offset, err);
        if (s == DF_OK)
            s = df_file_sync(h->files[i], err);
        if (s == DF_OK && i == 0)
            s = df_failpoint(DF_FAILPOINT_history_copy, err);
    }
    if (s != DF_OK)
        h->broken = true;
    return s;
}

df_status snap_history_append(snap_history *history, snap_record *records, uint32_t count,
                              snap_room room, df_error *err)
{
    uint64_t begin = history->image.end, size;
    df_status s = history_check(history, err);

    if (s != DF_OK)
        return s;
    assert(count > 0);
    for (uint32_t i = 0; i < count; i++)
        if (records[i].size > SNAP_RECORD_SIZE_MAX || count > SNAP_FRAME_RECORDS_MAX)
            return df_fail(err, DF_ELIMIT, "%s: a record of %u bytes among %u; the limits are %u and %u",
                           history->folder, records[i].size, count, SNAP_RECORD_SIZE_MAX,
                           SNAP_FRAME_RECORDS_MAX);
    size = history_frame_size(records, count, history_left(history, room));
    if (size == 0)
        return df_fail(err, DF_ELIMIT, "%s: the history is full", history->folder);
    if (!history_frame_add(&history->image, records, count, size)) {
        memset(history->image.bytes + begin, 0, size);
        return df_fail(err, DF_ENOMEM, "%s: out of memory", history->folder);
    }
    for (uint32_t i = 0; i < count; i++)
        records[i].index = history->image.count - count + 1 + i;
    return history_write(history, begin, size, err);
}

/* The image that replaces the history's. */
static df_status replace_image(const snap_history *h, history_image *image, const snap_record *records,
                               uint32_t count, df_error *err)
{
    df_status s = history_image_new(image, history_identity_next(h->image.identity), h->image.size,
                                    &h->image.marks, err);
    uint64_t size = s != DF_OK ? 0 : history_frame_size(records, count, image->size - image->end);

    if (s == DF_OK && size == 0)
        s = df_fail(err, DF_ELIMIT, "%s: the records do not fit into a new history", h->folder);
    if (s == DF_OK && !history_frame_add(image, records, count, size))
        s = df_fail(err, DF_ENOMEM, "%s: out of memory", h->folder);
    return s;
}

/* Both under the names that count, and open. */
static df_status replace_names(snap_history *h, df_error *err)
{
    char path[DF_PATH_MAX];
    df_status s = DF_OK;

    for (int i = 0; s == DF_OK && i < 2; i++) {
        s = copy_name(h->disk, h->folder, i, err);
        if (s == DF_OK && i == 0)
            s = df_failpoint(DF_FAILPOINT_history_replace, err);
    }
    for (int i = 0; s == DF_OK && i < 2; i++) {
        df_file_close(&h->files[i]);
        history_path(path, h->folder, history_names[i]);
        s = df_disk_open(h->disk, &h->files[i], path, DF_OPEN_WRITE, err);
    }
    return s;
}

df_status snap_history_replace(snap_history *history, const snap_record *records, uint32_t count, bool *begun,
                               df_error *err)
{
    history_image image = { 0 };
    df_status s = history_check(history, err);

    assert(count > 0);
    *begun = false;
    if (s == DF_OK && count > SNAP_FRAME_RECORDS_MAX)
        s = df_fail(err, DF_ELIMIT, "%s: %u records for a new history", history->folder, count);
    if (s == DF_OK)
        s = replace_image(history, &image, records, count, err);
    for (int i = 0; s == DF_OK && i < 2; i++)
        s = copy_write(history->disk, history->folder, i, image.bytes, image.size, err);
    if (s == DF_OK) {
        *begun = true;
        s = replace_names(history, err);
        history->broken = s != DF_OK;
    }
    if (s == DF_OK) {
        history_image_fini(&history->image);
        history->image = image;
    } else {
        history_image_fini(&image);
        for (int i = 0; i < 2; i++)
            copy_drop(history->disk, history->folder, i);
    }
    return s;
}

df_status snap_history_mark(snap_history *history, const snap_marks *marks, df_error *err)
{
    const snap_marks *before = &history->image.marks;
    df_status s = history_check(history, err);
    uint32_t block;

    if (s != DF_OK)
        return s;
    assert(marks->ceiling >= before->ceiling && marks->floor >= before->floor &&
           marks->generation >= before->generation && marks->incarnation >= before->incarnation);
    block = history_marks_add(&history->image, marks);
    return history_write(history, block * HISTORY_BLOCK, HISTORY_BLOCK, err);
}
