/* Each file has two images of its bytes: `now`, what a reader sees, and `medium`, what is left after a
 * power loss, and a list of sectors that were written since the last sync. A sync copies those to the
 * medium; one that fails forgets them, so what it dropped stays lost until it is written again. */
#include "tests/support/fake_disk.h"

#include <stdlib.h>
#include <string.h>

typedef struct fake_image {
    uint8_t *bytes;
    uint64_t size;
} fake_image;

typedef struct fake_node {
    bool folder;
    struct fake_handle *lock; /* whose it is */
    fake_image now, medium;
    bool emptied;    /* since the last sync */
    bool resized;
    size_t sectors;
    bool *dirty;     /* [sectors] */
} fake_node;

typedef struct fake_entry {
    char *path;
    fake_node *node;
} fake_entry;

typedef struct fake_entries {
    size_t count;
    fake_entry *items;
} fake_entries;

/* A change of names that is not synced: `path` refers to the node, or, without one, to nothing. */
typedef struct fake_change {
    char *path;
    fake_node *node;
    char *from; /* of a rename: this path no longer refers to the node */
} fake_change;

typedef struct fake_handle {
    df_file file; /* first */
    fake_node *node;
    bool readonly;
    uint64_t epoch;
} fake_handle;

struct fake_disk {
    df_disk disk; /* first */
    fake_entries now, medium;
    size_t change_count;
    fake_change *changes;
    size_t node_count;
    fake_node **nodes; /* all there ever were */
    uint64_t calls, fail_call, epoch;
    fake_fault fault;
    bool for_good, dead;
    uint64_t lot;
    uint64_t room; /* what is free, as it is told */
};

/* ---- memory ---- */

static void *fake_grow(void *items, size_t size)
{
    void *grown = realloc(items, size == 0 ? 1 : size);

    if (grown == NULL)
        abort();
    return grown;
}

static char *fake_text(const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL)
        abort();
    return copy;
}

static void image_resize(fake_image *image, uint64_t size)
{
    image->bytes = fake_grow(image->bytes, size);
    if (size > image->size)
        memset(image->bytes + image->size, 0, size - image->size);
    image->size = size;
}

static void image_copy(fake_image *to, const fake_image *from)
{
    image_resize(to, from->size);
    if (from->size > 0)
        memcpy(to->bytes, from->bytes, from->size);
}

static void sector_copy(fake_image *to, const fake_image *from, uint64_t offset)
{
    uint64_t size = from->size - offset < FAKE_SECTOR ? from->size - offset : FAKE_SECTOR;

    if (to->size < offset + size)
        image_resize(to, offset + size);
    memcpy(to->bytes + offset, from->bytes + offset, size);
}

static void node_touch(fake_node *node, uint64_t offset, uint64_t size)
{
    size_t end = (size_t)((offset + size + FAKE_SECTOR - 1) / FAKE_SECTOR);

    if (end > node->sectors) {
        node->dirty = fake_grow(node->dirty, end);
        memset(node->dirty + node->sectors, 0, end - node->sectors);
        node->sectors = end;
    }
    for (size_t i = (size_t)(offset / FAKE_SECTOR); i < end; i++)
        node->dirty[i] = true;
}

static void node_resize(fake_node *node, uint64_t size)
{
    node->resized |= size != node->now.size;
    image_resize(&node->now, size);
}

static bool is_dirty(const fake_node *node, uint64_t offset)
{
    return offset / FAKE_SECTOR < node->sectors && node->dirty[offset / FAKE_SECTOR];
}

static void node_clean(fake_node *node)
{
    node->emptied = node->resized = false;
    if (node->sectors > 0)
        memset(node->dirty, 0, node->sectors);
}

static void node_empty(fake_node *node)
{
    node_resize(node, 0);
    node_clean(node); /* what was written before is gone */
    node->emptied = true;
}

static fake_node *node_new(fake_disk *d, bool folder)
{
    fake_node *node = calloc(1, sizeof *node);

    if (node == NULL)
        abort();
    node->folder = folder;
    d->nodes = fake_grow(d->nodes, (d->node_count + 1) * sizeof(fake_node *));
    d->nodes[d->node_count++] = node;
    return node;
}

/* ---- names ---- */

static fake_entry *entry_find(const fake_entries *entries, const char *path)
{
    for (size_t i = 0; i < entries->count; i++)
        if (strcmp(entries->items[i].path, path) == 0)
            return &entries->items[i];
    return NULL;
}

static void entry_drop(fake_entries *entries, const char *path)
{
    fake_entry *entry = entry_find(entries, path);

    if (entry == NULL)
        return;
    free(entry->path);
    *entry = entries->items[--entries->count];
}

static void entry_set(fake_entries *entries, const char *path, fake_node *node)
{
    fake_entry *entry = entry_find(entries, path);

    if (entry == NULL) {
        entries->items = fake_grow(entries->items, (entries->count + 1) * sizeof *entries->items);
        entry = &entries->items[entries->count++];
        entry->path = fake_text(path);
    }
    entry->node = node;
}

static void entries_fini(fake_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        free(entries->items[i].path);
    free(entries->items);
    *entries = (fake_entries){ 0 };
}

static void change_apply(fake_entries *entries, const fake_change *change)
{
    fake_entry *from = change->from == NULL ? NULL : entry_find(entries, change->from);

    if (from != NULL && from->node == change->node)
        entry_drop(entries, change->from);
    if (change->node == NULL)
        entry_drop(entries, change->path);
    else
        entry_set(entries, change->path, change->node);
}

static void change_free(fake_change *change)
{
    free(change->path);
    free(change->from);
}

static void change_add(fake_disk *d, const char *path, fake_node *node, const char *from)
{
    fake_change change = { fake_text(path), node, from == NULL ? NULL : fake_text(from) };

    change_apply(&d->now, &change);
    d->changes = fake_grow(d->changes, (d->change_count + 1) * sizeof *d->changes);
    d->changes[d->change_count++] = change;
}

/* Whether a path lies directly in a folder. "." holds the paths without a slash. */
static bool is_in(const char *path, const char *folder)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);

    if (slash == NULL)
        return strcmp(folder, ".") == 0;
    return strlen(folder) == length && memcmp(path, folder, length) == 0;
}

static bool has_folder(const fake_entries *entries, const char *path)
{
    if (strchr(path, '/') == NULL)
        return true;
    for (size_t i = 0; i < entries->count; i++)
        if (entries->items[i].node->folder && is_in(path, entries->items[i].path))
            return true;
    return false;
}

/* ---- faults ---- */

static df_status fake_fail(fake_disk *d, df_status status, const char *reason)
{
    d->disk.reason = reason;
    return status;
}

/* Count a call. Returns what goes wrong with it, 0 for nothing. */
static int fake_call(fake_disk *d)
{
    bool hit;

    d->calls++;
    if (d->dead)
        return FAKE_EIO;
    hit = d->fail_call != 0 &&
          (d->for_good ? d->calls >= d->fail_call : d->calls == d->fail_call);
    if (!hit)
        return 0;
    if (d->fault == FAKE_POWER)
        d->dead = true;
    return (int)d->fault;
}

/* For a call without a half-way: whether it does what it is for. A lost power is told afterwards. */
static df_status fake_enter(fake_disk *d, bool needs_room, bool *act)
{
    int fault = fake_call(d);

    *act = fault == FAKE_POWER && needs_room;
    switch (fault) {
    case 0:
        *act = true;
        return DF_OK;
    case FAKE_FULL:
        if (needs_room)
            return fake_fail(d, DF_ELIMIT, "the fake disk is full");
        *act = true;
        return DF_OK;
    default:
        return fake_fail(d, DF_EIO, "the fake disk failed");
    }
}

static bool is_stale(const df_file *file)
{
    const fake_handle *handle = (const fake_handle *)file;

    return handle->epoch != ((const fake_disk *)file->disk)->epoch;
}

/* The same for a call on an open file. */
static df_status fake_enter_file(df_file *file, bool needs_room, bool *act)
{
    fake_disk *d = (fake_disk *)file->disk;
    df_status s = fake_enter(d, needs_room, act);

    if (!is_stale(file))
        return s;
    *act = false;
    return fake_fail(d, DF_EIO, "the file was opened before the power was lost");
}

/* ---- the table ---- */

static df_status fake_open(df_disk *disk, df_file **out, const char *path, df_open_mode mode)
{
    fake_disk *d = (fake_disk *)disk;
    fake_entry *entry = entry_find(&d->now, path);
    fake_handle *handle;
    bool act;
    df_status s = fake_enter(d, mode == DF_OPEN_CREATE, &act);

    if (act && mode == DF_OPEN_CREATE && has_folder(&d->now, path)) {
        if (entry == NULL)
            change_add(d, path, node_new(d, false), NULL);
        else
            node_empty(entry->node);
        entry = entry_find(&d->now, path);
    }
    if (s != DF_OK)
        return s;
    if (entry == NULL)
        return fake_fail(d, DF_END, "there is no such file");
    if (entry->node->folder)
        return fake_fail(d, DF_EIO, "it is a folder");
    handle = fake_grow(NULL, sizeof *handle);
    *handle = (fake_handle){ .node = entry->node, .readonly = mode == DF_OPEN_READ, .epoch = d->epoch };
    *out = &handle->file;
    return DF_OK;
}

static void fake_close(df_file *file)
{
    fake_handle *handle = (fake_handle *)file;

    if (!is_stale(file) && handle->node->lock == handle)
        handle->node->lock = NULL;
    free(handle);
}

static df_status fake_size(df_file *file, uint64_t *size)
{
    bool act;
    df_status s = fake_enter_file(file, false, &act);

    if (act)
        *size = ((fake_handle *)file)->node->now.size;
    return s;
}

static df_status fake_read(df_file *file, void *bytes, size_t size, uint64_t offset, size_t *got)
{
    const fake_image *now = &((fake_handle *)file)->node->now;
    bool act;
    df_status s = fake_enter_file(file, false, &act);

    if (act && offset < now->size) {
        *got = now->size - offset < size ? (size_t)(now->size - offset) : size;
        memcpy(bytes, now->bytes + offset, *got);
    }
    return s;
}

static df_status fake_write(df_file *file, const void *bytes, size_t size, uint64_t offset)
{
    fake_disk *d = (fake_disk *)file->disk;
    fake_handle *handle = (fake_handle *)file;
    fake_node *node = handle->node;
    bool half = d->fault == FAKE_SHORT && d->fail_call == d->calls + 1 && !d->dead, act;
    df_status s = fake_enter_file(file, true, &act);

    if (handle->readonly)
        return fake_fail(d, DF_EIO, "it was opened for reading");
    size = half ? size / 2 : size;
    if ((act || (half && !is_stale(file))) && size > 0) {
        if (node->now.size < offset + size)
            node_resize(node, offset + size);
        memcpy(node->now.bytes + offset, bytes, size);
        node_touch(node, offset, size);
    }
    return s;
}

static df_status fake_allocate(df_file *file, uint64_t size)
{
    fake_node *node = ((fake_handle *)file)->node;
    bool act;
    df_status s = fake_enter_file(file, true, &act);

    if (act && node->now.size < size)
        node_resize(node, size);
    return s;
}

static df_status fake_sync(df_file *file)
{
    fake_node *node = ((fake_handle *)file)->node;
    bool act;
    df_status s = fake_enter_file(file, false, &act);

    if (s == DF_OK && act) {
        if (node->emptied)
            image_resize(&node->medium, 0);
        image_resize(&node->medium, node->now.size);
        for (uint64_t at = 0; at < node->now.size; at += FAKE_SECTOR)
            if (is_dirty(node, at))
                sector_copy(&node->medium, &node->now, at);
    }
    if (!((fake_disk *)file->disk)->dead && !is_stale(file))
        node_clean(node);
    return s;
}

static df_status fake_lock(df_file *file)
{
    fake_handle *handle = (fake_handle *)file;
    bool act;
    df_status s = fake_enter_file(file, false, &act);

    if (s != DF_OK)
        return s;
    if (handle->node->lock != NULL && handle->node->lock != handle)
        return fake_fail((fake_disk *)file->disk, DF_AGAIN, "somebody else holds it");
    handle->node->lock = handle;
    return DF_OK;
}

static df_status fake_sync_folder(df_disk *disk, const char *path)
{
    fake_disk *d = (fake_disk *)disk;
    size_t left = 0;
    bool act;
    df_status s = fake_enter(d, false, &act);

    if (s != DF_OK)
        return s;
    for (size_t i = 0; i < d->change_count; i++) {
        if (is_in(d->changes[i].path, path)) {
            change_apply(&d->medium, &d->changes[i]);
            change_free(&d->changes[i]);
        } else {
            d->changes[left++] = d->changes[i];
        }
    }
    d->change_count = left;
    return DF_OK;
}

static df_status fake_make_folder(df_disk *disk, const char *path)
{
    fake_disk *d = (fake_disk *)disk;
    fake_entry *entry = entry_find(&d->now, path);
    bool act;
    df_status s = fake_enter(d, true, &act);

    if (s == DF_OK && entry != NULL && !entry->node->folder)
        return fake_fail(d, DF_EIO, "it is a file");
    if (s == DF_OK && !has_folder(&d->now, path))
        return fake_fail(d, DF_END, "its folder is not there");
    if (act && entry == NULL && has_folder(&d->now, path))
        change_add(d, path, node_new(d, true), NULL);
    return s;
}

static df_status fake_rename(df_disk *disk, const char *from, const char *to)
{
    fake_disk *d = (fake_disk *)disk;
    fake_entry *entry = entry_find(&d->now, from);
    bool act;
    df_status s = fake_enter(d, true, &act);

    if (s == DF_OK && entry == NULL)
        return fake_fail(d, DF_END, "there is no such file");
    if (act && entry != NULL)
        change_add(d, to, entry->node, from);
    return s;
}

static df_status fake_remove(df_disk *disk, const char *path)
{
    fake_disk *d = (fake_disk *)disk;
    bool act;
    df_status s = fake_enter(d, false, &act);

    if (s == DF_OK && entry_find(&d->now, path) == NULL)
        return fake_fail(d, DF_END, "there is no such file");
    if (act)
        change_add(d, path, NULL, NULL);
    return s;
}

static df_status fake_list(df_disk *disk, const char *path,
                           void (*each)(void *user, const char *name), void *user)
{
    fake_disk *d = (fake_disk *)disk;
    bool act;
    df_status s = fake_enter(d, false, &act);

    if (s != DF_OK)
        return s;
    if (strcmp(path, ".") != 0 && entry_find(&d->now, path) == NULL)
        return fake_fail(d, DF_END, "there is no such folder");
    for (size_t i = 0; i < d->now.count; i++)
        if (is_in(d->now.items[i].path, path)) {
            const char *slash = strrchr(d->now.items[i].path, '/');

            each(user, slash == NULL ? d->now.items[i].path : slash + 1);
        }
    return DF_OK;
}

static df_status fake_room(df_disk *disk, const char *path, uint64_t *size)
{
    (void)path;
    *size = ((fake_disk *)disk)->room;
    return DF_OK;
}

static const df_disk_calls fake_calls = {
    .open = fake_open,
    .close = fake_close,
    .size = fake_size,
    .read = fake_read,
    .write = fake_write,
    .allocate = fake_allocate,
    .sync = fake_sync,
    .lock = fake_lock,
    .sync_folder = fake_sync_folder,
    .make_folder = fake_make_folder,
    .rename = fake_rename,
    .remove = fake_remove,
    .list = fake_list,
    .room = fake_room,
};

/* ---- life, faults, power ---- */

fake_disk *fake_disk_new(void)
{
    fake_disk *d = calloc(1, sizeof *d);

    if (d == NULL)
        abort();
    d->disk.calls = &fake_calls;
    d->room = UINT64_MAX;
    return d;
}

void fake_disk_free(fake_disk **disk)
{
    fake_disk *d = *disk;

    if (d == NULL)
        return;
    *disk = NULL;
    entries_fini(&d->now);
    entries_fini(&d->medium);
    for (size_t i = 0; i < d->change_count; i++)
        change_free(&d->changes[i]);
    for (size_t i = 0; i < d->node_count; i++) {
        free(d->nodes[i]->now.bytes);
        free(d->nodes[i]->dirty);
        free(d->nodes[i]->medium.bytes);
        free(d->nodes[i]);
    }
    free(d->changes);
    free(d->nodes);
    free(d);
}

df_disk *fake_disk_of(fake_disk *disk)
{
    return &disk->disk;
}

uint64_t fake_disk_calls(const fake_disk *disk)
{
    return disk->calls;
}

void fake_disk_fail(fake_disk *disk, uint64_t call, fake_fault fault, bool for_good)
{
    disk->fail_call = call;
    disk->fault = fault;
    disk->for_good = for_good;
}

/* SplitMix64's step; only a source of lots. */
static bool lot_keeps(fake_disk *d, fake_loss loss)
{
    uint64_t z = d->lot += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return loss == FAKE_KEEP || (loss == FAKE_TEAR && ((z >> 40) & 1) != 0);
}

/* What the medium holds of a file after the power was lost. */
static void node_lose(fake_disk *d, fake_node *node, fake_loss loss)
{
    if (node->emptied && lot_keeps(d, loss))
        image_resize(&node->medium, 0);
    if (node->resized && lot_keeps(d, loss))
        image_resize(&node->medium, node->now.size);
    for (uint64_t at = 0; at < node->now.size && at < node->medium.size; at += FAKE_SECTOR)
        if (is_dirty(node, at) && lot_keeps(d, loss)) {
            uint64_t size = node->medium.size;

            sector_copy(&node->medium, &node->now, at);
            image_resize(&node->medium, size);
        }
    image_copy(&node->now, &node->medium);
    node_clean(node);
    node->lock = NULL;
}

void fake_disk_restart(fake_disk *disk, fake_loss loss, uint64_t seed)
{
    disk->lot = seed;
    for (size_t i = 0; i < disk->node_count; i++)
        node_lose(disk, disk->nodes[i], loss);
    for (size_t i = 0; i < disk->change_count; i++) {
        if (lot_keeps(disk, loss))
            change_apply(&disk->medium, &disk->changes[i]);
        change_free(&disk->changes[i]);
    }
    disk->change_count = 0;
    for (size_t i = disk->medium.count; i-- > 0;) /* what lies in a lost folder is lost */
        if (!has_folder(&disk->medium, disk->medium.items[i].path))
            entry_drop(&disk->medium, disk->medium.items[i].path);
    entries_fini(&disk->now);
    for (size_t i = 0; i < disk->medium.count; i++)
        entry_set(&disk->now, disk->medium.items[i].path, disk->medium.items[i].node);
    disk->epoch++;
    disk->calls = disk->fail_call = 0;
    disk->dead = false;
}

const uint8_t *fake_disk_bytes(fake_disk *disk, const char *path, uint64_t *size)
{
    fake_entry *entry = entry_find(&disk->now, path);

    *size = entry == NULL ? 0 : entry->node->now.size;
    return entry == NULL ? NULL : entry->node->now.bytes;
}

void fake_disk_flip(fake_disk *disk, const char *path, uint64_t offset, uint8_t mask)
{
    fake_entry *entry = entry_find(&disk->now, path);
    fake_image *images[2];

    if (entry == NULL)
        abort();
    images[0] = &entry->node->now;
    images[1] = &entry->node->medium;
    for (int i = 0; i < 2; i++)
        if (offset < images[i]->size)
            images[i]->bytes[offset] ^= mask;
}

void fake_disk_vanish(fake_disk *disk, const char *path)
{
    entry_drop(&disk->now, path);
    entry_drop(&disk->medium, path);
}

fake_disk *fake_disk_copy(const fake_disk *disk)
{
    fake_disk *copy = fake_disk_new();

    for (size_t i = 0; i < disk->now.count; i++) {
        const fake_node *from = disk->now.items[i].node;
        fake_node *node = node_new(copy, from->folder);

        image_copy(&node->now, &from->now);
        image_copy(&node->medium, &from->now);
        entry_set(&copy->now, disk->now.items[i].path, node);
        entry_set(&copy->medium, disk->now.items[i].path, node);
    }
    return copy;
}
