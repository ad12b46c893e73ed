/* Why a commit is one: manifest and head are one change of the backend, all or nothing. The parts
 * were durable before, so whoever sees the head finds every chunk; the guard is written after, so it
 * never runs ahead of what is durable. A crash
 *   before the change: the head is the old one, the parts are unknown to all manifests and go;
 *   between change and guard: the head is the new one, the guard one change behind, which is allowed;
 *   after both: the new one. */
#include "snapshot/snap_store_private.h"

#include "dataflow/df_failpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- small parts ---- */

static df_status store_memory(const snap_store *store, df_error *err)
{
    return df_fail(err, DF_ENOMEM, "%s: out of memory", store->folder);
}

store_snapshot *store_find(const snap_store *store, uint64_t snapshot)
{
    uint32_t low = 0, high = store->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (store->snapshots[middle].entry.snapshot < snapshot)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < store->count && store->snapshots[low].entry.snapshot == snapshot)
        return &store->snapshots[low];
    return NULL;
}

bool store_parts_add(store_parts *parts, const snap_part_id *id)
{
    if (parts->count == parts->capacity) {
        size_t capacity = parts->capacity == 0 ? 64 : 2 * parts->capacity;
        snap_part_id *ids = realloc(parts->ids, capacity * sizeof *ids);

        if (ids == NULL) {
            parts->failed = true;
            return false;
        }
        parts->ids = ids;
        parts->capacity = capacity;
    }
    parts->ids[parts->count++] = *id;
    return true;
}

bool store_has_part(const snap_store *store, const snap_part_id *id)
{
    for (size_t i = store->parts.count; i-- > 0;)
        if (snap_part_id_compare(&store->parts.ids[i], id) == 0)
            return true;
    return false;
}

df_status store_check_writable(const snap_store *store, df_error *err)
{
    if (store->readonly)
        return df_fail(err, DF_ENOTSUP, "%s: opened for reading", store->folder);
    if (store->broken)
        return df_fail(err, DF_EIO, "%s: an earlier change failed; what is durable is not known",
                       store->folder);
    return DF_OK;
}

/* ---- the list of snapshots ---- */

static void entry_fill(store_snapshot *s, const snap_manifest *m)
{
    snap_entry *e = &s->entry;

    e->parent = m->parent;
    e->step = m->step;
    e->generation = m->generation;
    e->created_ms = m->created_ms;
    memcpy(e->label, m->label, sizeof e->label);
    for (uint32_t t = 0; t < m->table_count; t++)
        for (uint32_t g = 0; g < m->tables[t].key_groups; g++) {
            const snap_group *group = &m->tables[t].groups[g];

            e->rows += group->rows;
            for (uint32_t r = 0; r < group->ref_count; r++) {
                e->size += group->refs[r].stored_size;
                if (m->parts[group->refs[r].part].id.snapshot == m->snapshot)
                    e->size_own += group->refs[r].stored_size;
            }
        }
}

/* Add a snapshot at the end; without a manifest, as damaged. */
static df_status store_add(snap_store *store, uint64_t snapshot, const snap_manifest *m, df_error *err)
{
    store_snapshot *list = realloc(store->snapshots, (store->count + 1) * sizeof *list), *added;

    if (list == NULL)
        return store_memory(store, err);
    assert(store->count == 0 || list[store->count - 1].entry.snapshot < snapshot);
    store->snapshots = list;
    added = &list[store->count];
    *added = (store_snapshot){ .entry = { .snapshot = snapshot, .damaged = m == NULL } };
    if (m != NULL) {
        added->parts = calloc(m->part_count + 1, sizeof *added->parts);
        if (added->parts == NULL)
            return store_memory(store, err);
        for (uint32_t i = 0; i < m->part_count; i++)
            added->parts[i] = m->parts[i].id;
        added->part_count = m->part_count;
        entry_fill(added, m);
    }
    store->count++;
    return DF_OK;
}

/* The stored manifest, checked against its own checksum and, for the head, against the head's. */
static df_status manifest_load(snap_store *store, uint64_t snapshot, snap_manifest **out,
                               df_hash *hash, df_error *err)
{
    snap_blob blob;
    df_status s = store->backend->calls->get_record(store->backend, snapshot, &blob, err);

    *out = NULL;
    if (s != DF_OK)
        return s;
    *hash = snap_hash(blob.bytes, blob.size);
    if (snapshot == store->head.snapshot && !snap_hash_equal(*hash, store->head.manifest))
        s = df_fail(err, DF_ECORRUPT, "it is not the manifest that was committed");
    else
        s = snap_manifest_decode(out, blob.bytes, blob.size, err);
    snap_blob_release(&blob);
    if (s == DF_OK && (*out)->snapshot != snapshot) {
        s = df_fail(err, DF_ECORRUPT, "it is the manifest of snapshot %" PRIu64, (*out)->snapshot);
        snap_manifest_free(out);
    }
    return s;
}

df_status snap_store_load(snap_store *store, uint64_t snapshot, snap_manifest **out, df_error *err)
{
    df_hash hash;
    df_status s;

    *out = NULL;
    if (store_find(store, snapshot) == NULL)
        return df_fail(err, DF_END, "%s: there is no snapshot %" PRIu64, store->folder, snapshot);
    s = manifest_load(store, snapshot, out, &hash, err);
    if (s == DF_END)
        s = DF_ECORRUPT; /* it was there when the store was opened */
    return s == DF_OK ? DF_OK : df_wrap(err, s, "%s: snapshot %" PRIu64, store->folder, snapshot);
}

typedef struct store_numbers {
    size_t count;
    uint64_t *numbers;
    bool failed;
} store_numbers;

static void numbers_add(void *user, uint64_t record)
{
    store_numbers *n = user;
    uint64_t *numbers;

    if (record == STORE_HEAD_RECORD || n->failed)
        return;
    numbers = realloc(n->numbers, (n->count + 1) * sizeof *numbers);
    n->failed = numbers == NULL;
    if (n->failed)
        return;
    n->numbers = numbers;
    numbers[n->count++] = record;
}

static df_status store_read_snapshots(snap_store *store, df_error *err)
{
    store_numbers n = { 0 };
    df_status s = store->backend->calls->each_record(store->backend, numbers_add, &n, err);

    if (s == DF_OK && n.failed)
        s = store_memory(store, err);
    for (size_t i = 0; s == DF_OK && i < n.count; i++) {
        snap_manifest *m;
        df_hash hash;

        s = manifest_load(store, n.numbers[i], &m, &hash, err);
        if (s == DF_OK || s == DF_ECORRUPT || s == DF_ENOTSUP)
            s = store_add(store, n.numbers[i], m, err);
        snap_manifest_free(&m);
    }
    free(n.numbers);
    return s;
}

static void parts_add(void *user, const snap_part_id *id)
{
    store_parts_add(user, id);
}

static df_status store_read_parts(snap_store *store, df_error *err)
{
    df_status s = store->backend->calls->each_part(store->backend, parts_add, &store->parts, err);

    return s == DF_OK && store->parts.failed ? store_memory(store, err) : s;
}

/* ---- head and guard ---- */

static df_status store_read_head(snap_store *store, df_error *err)
{
    snap_blob blob;
    df_status s = store->backend->calls->get_record(store->backend, STORE_HEAD_RECORD, &blob, err);

    if (s == DF_END) { /* a new store, or one that has lost everything: the guard knows */
        store->head = (snap_head){ 0 };
        return DF_OK;
    }
    if (s != DF_OK)
        return s;
    s = snap_head_decode(&store->head, blob.bytes, blob.size, err);
    snap_blob_release(&blob);
    return s == DF_OK ? DF_OK : df_wrap(err, s, "%s", store->folder);
}

/* Whether the guard, if any, agrees with the head. */
static df_status guard_check(const snap_store *store, df_status read, const snap_head *guard,
                             df_error *err)
{
    const snap_head *head = &store->head;

    if (read == DF_END && head->sequence <= 1)
        return DF_OK; /* made a moment ago, and nothing is in it */
    if (read == DF_END)
        return df_fail(err, DF_ECORRUPT, "%s/guard is missing: nobody can tell whether snapshot %"
                       PRIu64 " is the newest", store->folder, head->snapshot);
    if (read != DF_OK)
        return read;
    if (guard->sequence > head->sequence)
        return df_fail(err, DF_ECORRUPT, "%s: snapshot %" PRIu64 " was committed and is lost; the "
                       "newest that is left is %" PRIu64, store->folder, guard->snapshot,
                       head->snapshot);
    if (guard->sequence == head->sequence &&
        (guard->snapshot != head->snapshot || !snap_hash_equal(guard->manifest, head->manifest)))
        return df_fail(err, DF_ECORRUPT, "%s: database and guard do not belong together",
                       store->folder);
    return DF_OK;
}

/* The head's snapshot must be there; it may be damaged, which is told when it is loaded. */
static df_status head_check(const snap_store *store, df_error *err)
{
    if (store->head.snapshot != 0 && store_find(store, store->head.snapshot) == NULL)
        return df_fail(err, DF_ECORRUPT, "%s: the manifest of snapshot %" PRIu64
                       ", the current one, is lost", store->folder, store->head.snapshot);
    return DF_OK;
}

/* With accept_loss: go on with the head, if its manifest is there, else with the newest snapshot that
 * can be read. */
static void head_fall_back(snap_store *store, const snap_head *guard)
{
    snap_head *head = &store->head;
    bool known = head->sequence != 0 &&
                 (head->snapshot == 0 || store_find(store, head->snapshot) != NULL);

    head->sequence = (guard->sequence > head->sequence ? guard->sequence : head->sequence) + 1;
    if (known)
        return;
    head->snapshot = 0;
    for (uint32_t i = 0; i < store->count; i++)
        if (!store->snapshots[i].entry.damaged)
            head->snapshot = store->snapshots[i].entry.snapshot;
}

/* *behind: a crash has kept the guard from knowing the newest change. */
static df_status store_check(snap_store *store, bool accept_loss, const snap_head *seen, bool *fallen, bool *behind,
                             df_error *err)
{
    snap_head guard = { 0 };
    df_status s, read;

    s = store_read_head(store, err);
    *fallen = s == DF_ECORRUPT && accept_loss;
    if (*fallen) {
        store->head = (snap_head){ 0 };
        s = DF_OK;
    }
    if (s == DF_OK)
        s = store_read_snapshots(store, err);
    if (s == DF_OK)
        s = store_read_parts(store, err);
    if (s != DF_OK)
        return s;
    read = snap_guard_open(&store->guard, &guard, store->disk, store->folder, store->readonly, err);
    if (seen != NULL)
        guard = *seen;
    *behind = read == DF_OK && guard.sequence < store->head.sequence;
    s = guard_check(store, read, &guard, err);
    if (s == DF_OK)
        s = head_check(store, err);
    *fallen |= s == DF_ECORRUPT && accept_loss;
    if (!*fallen)
        return s;
    head_fall_back(store, &guard);
    return DF_OK;
}

df_status store_change(snap_store *store, snap_change *changes, uint32_t count, const snap_head *head,
                       df_error *err)
{
    uint8_t bytes[SNAP_HEAD_SIZE];
    df_writer w;
    df_status s;

    if (head != NULL) {
        df_writer_init(&w, bytes, sizeof bytes);
        snap_head_put(&w, head);
        assert(df_writer_ok(&w) && w.size == sizeof bytes);
        changes[count++] = (snap_change){ STORE_HEAD_RECORD, bytes, sizeof bytes };
    }
    s = df_failpoint(DF_FAILPOINT_store_change, err);
    if (s == DF_OK)
        s = store->backend->calls->change(store->backend, changes, count, err);
    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_store_changed, err);
    if (s == DF_OK && head != NULL && store->guard != NULL)
        s = snap_guard_set(store->guard, head, err);
    if (s != DF_OK)
        store->broken = true;
    else if (head != NULL)
        store->head = *head;
    return s;
}

/* ---- life ---- */

/* Write head and guard anew, after a start from nothing or a fall back. */
static df_status store_adopt(snap_store *store, df_error *err)
{
    snap_blob blob = { 0 };
    snap_change change;
    df_status s = DF_OK;

    snap_guard_close(&store->guard);
    store->head.manifest = (df_hash){ 0 };
    if (store->head.snapshot != 0)
        s = store->backend->calls->get_record(store->backend, store->head.snapshot, &blob, err);
    if (s == DF_OK && store->head.snapshot != 0)
        store->head.manifest = snap_hash(blob.bytes, blob.size);
    snap_blob_release(&blob);
    if (s == DF_OK)
        s = store_change(store, &change, 0, &store->head, err);
    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_store_adopt, err);
    if (s == DF_OK)
        s = snap_guard_create(&store->guard, &store->head, store->disk, store->folder, err);
    return s;
}

/* What a writable store needs beyond a readable one. From here on the head is told to be safe, so the guard must
 * know it. */
static df_status store_begin(snap_store *store, bool fallen, bool behind, df_error *err)
{
    bool fresh = store->head.sequence == 0;
    df_status s = DF_OK;

    store->head.sequence += fresh;
    if (fresh || fallen || store->guard == NULL)
        s = store_adopt(store, err);
    else if (behind)
        s = snap_guard_set(store->guard, &store->head, err);
    if (s == DF_OK)
        s = store->backend->calls->clear_incoming(store->backend, UINT64_MAX, err);
    if (s == DF_OK)
        s = store_collect(store, UINT64_MAX, err);
    return s;
}

df_status snap_store_open(snap_store **out, snap_backend **backend, df_disk *disk, const char *folder,
                          const snap_store_options *options, const snap_head *seen, df_error *err)
{
    snap_store *store = calloc(1, sizeof *store);
    bool fallen = false, behind = false;
    df_status s;

    *out = NULL;
    if (store == NULL || (store->folder = strdup(folder)) == NULL) {
        free(store);
        snap_backend_close(backend);
        return df_fail(err, DF_ENOMEM, "%s: out of memory", folder);
    }
    store->backend = *backend;
    *backend = NULL;
    store->disk = disk;
    store->readonly = options->readonly;
    s = store_check(store, options->accept_loss, seen, &fallen, &behind, err);
    if (s == DF_OK && !store->readonly)
        s = store_begin(store, fallen, behind, err);
    if (s == DF_OK)
        *out = store;
    else
        snap_store_close(&store);
    return s;
}

void snap_store_close(snap_store **store)
{
    snap_store *s = *store;

    if (s == NULL)
        return;
    *store = NULL;
    snap_backend_close(&s->backend);
    snap_guard_close(&s->guard);
    for (uint32_t i = 0; i < s->count; i++)
        free(s->snapshots[i].parts);
    free(s->snapshots);
    free(s->parts.ids);
    free(s->folder);
    free(s);
}

/* ---- what is there ---- */

uint64_t snap_store_head(const snap_store *store)
{
    return store->head.snapshot;
}

uint32_t snap_store_count(const snap_store *store)
{
    return store->count;
}

const snap_entry *snap_store_entry(const snap_store *store, uint32_t index)
{
    assert(index < store->count);
    return &store->snapshots[index].entry;
}

df_status store_wrap_place(const snap_store *store, const snap_manifest *m, const snap_place *place,
                           df_status status, df_error *err)
{
    const snap_table *table = &m->tables[place->table];
    uint32_t count;
    const snap_ref *refs = snap_manifest_refs(m, place->table, place->key_group, place->column, &count);
    char path[DF_PATH_MAX];

    store->backend->calls->file_of(store->backend, &m->parts[refs[place->chunk].part].id, place, path);
    return df_wrap(err, status, "%.200s: snapshot %" PRIu64 ", state \"%s\", key group %u, column %s, "
                   "chunk %u", path, m->snapshot, table->name, place->key_group,
                   snap_column_name(table, place->column), place->chunk);
}

void snap_store_read_ahead(const snap_store *store, const snap_manifest *m)
{
    if (store->backend->calls->read_ahead != NULL)
        store->backend->calls->read_ahead(store->backend, m->parts, m->part_count);
}

df_status snap_store_read(const snap_store *store, const snap_manifest *m, const snap_place *place,
                          snap_coder *coder, void *raw, df_error *err)
{
    snap_slice slice = snap_manifest_slice(m, place);
    uint32_t count;
    const snap_ref *refs = snap_manifest_refs(m, place->table, place->key_group, place->column, &count);
    snap_blob blob;
    df_status s = store->backend->calls->get_chunk(store->backend,
                                                   &m->parts[refs[place->chunk].part].id, place, &blob,
                                                   err);

    if (s == DF_OK)
        s = snap_chunk_decode(coder, &slice, blob.bytes, blob.size, raw, err);
    else
        memset(raw, 0, slice.rows * weir_type_size(slice.type));
    snap_blob_release(&blob);
    if (s == DF_END)
        s = df_fail(err, DF_ECORRUPT, "it is missing");
    return s == DF_OK ? DF_OK : store_wrap_place(store, m, place, s, err);
}

df_status snap_store_get(const snap_store *store, const snap_manifest *m, const snap_place *place,
                         snap_blob *out, df_error *err)
{
    uint32_t count;
    const snap_ref *ref = snap_manifest_refs(m, place->table, place->key_group, place->column, &count) +
                          place->chunk;
    df_status s = store->backend->calls->get_chunk(store->backend, &m->parts[ref->part].id, place, out, err);

    if (s == DF_END)
        s = df_fail(err, DF_ECORRUPT, "it is missing");
    if (s == DF_OK && out->size != ref->stored_size) {
        s = df_fail(err, DF_ECORRUPT, "it has %zu bytes instead of %u", out->size, ref->stored_size);
        snap_blob_release(out);
    }
    return s == DF_OK ? DF_OK : store_wrap_place(store, m, place, s, err);
}

df_status snap_store_read_column(const snap_store *store, const snap_manifest *m, uint32_t table,
                                 uint32_t key_group, uint32_t column, snap_coder *coder, void *raw,
                                 df_error *err)
{
    weir_type type = snap_column_type(&m->tables[table], column);
    size_t each = snap_chunk_rows(m->chunk_size, type) * weir_type_size(type);
    uint32_t count;
    df_status s = DF_OK;

    snap_manifest_refs(m, table, key_group, column, &count);
    for (uint32_t i = 0; s == DF_OK && i < count; i++) {
        snap_place place = { key_group, (uint16_t)table, (uint16_t)column, i };

        s = snap_store_read(store, m, &place, coder, (uint8_t *)raw + i * each, err);
    }
    return s;
}

/* ---- changing it ---- */

df_status snap_store_part_open(snap_store *store, snap_part **out, const snap_part_id *id,
                               df_error *err)
{
    df_status s = store_check_writable(store, err);

    *out = NULL;
    return s == DF_OK ? store->backend->calls->part_open(store->backend, out, id, err) : s;
}

df_status snap_store_ingest(snap_store *store, const snap_part_id *ids, uint32_t count, df_error *err)
{
    df_status s = store_check_writable(store, err);

    for (uint32_t i = 0; s == DF_OK && i < count; i++)
        if (!store_parts_add(&store->parts, &ids[i]))
            s = store_memory(store, err);
    if (s == DF_OK && count > 0)
        s = store->backend->calls->ingest(store->backend, ids, count, err);
    if (s != DF_OK)
        store->broken = true;
    return s;
}

static df_status commit_check(const snap_store *store, const snap_manifest *m, df_error *err)
{
    if (m->snapshot == 0 ||
        (store->count > 0 && m->snapshot <= store->snapshots[store->count - 1].entry.snapshot))
        return df_fail(err, DF_EINVAL, "%s: snapshot %" PRIu64 " is not newer than all that are there",
                       store->folder, m->snapshot);
    if (m->parent != store->head.snapshot)
        return df_fail(err, DF_EINVAL, "%s: snapshot %" PRIu64 " follows %" PRIu64
                       ", the current one is %" PRIu64, store->folder, m->snapshot, m->parent,
                       store->head.snapshot);
    for (uint32_t i = 0; i < m->part_count; i++)
        if (!store_has_part(store, &m->parts[i].id))
            return df_fail(err, DF_EINVAL, "%s: snapshot %" PRIu64 " refers to part %" PRIu64
                           "-%u-%u, which is not in the store", store->folder, m->snapshot,
                           m->parts[i].id.snapshot, m->parts[i].id.attempt, m->parts[i].id.part);
    return DF_OK;
}

df_status snap_store_commit(snap_store *store, const snap_manifest *m, df_error *err)
{
    snap_change changes[2];
    snap_head head;
    uint8_t *bytes = NULL;
    size_t size;
    df_status s = store_check_writable(store, err);

    if (s == DF_OK)
        s = commit_check(store, m, err);
    if (s == DF_OK)
        s = snap_manifest_encode(m, &bytes, &size, err);
    if (s == DF_OK)
        s = store_add(store, m->snapshot, m, err); /* before: afterwards it could not fail cleanly */
    if (s != DF_OK)
        goto out;
    head = (snap_head){ store->head.sequence + 1, m->snapshot, snap_hash(bytes, size) };
    changes[0] = (snap_change){ m->snapshot, bytes, size };
    s = store_change(store, changes, 1, &head, err);
out:
    free(bytes);
    return s;
}

df_status snap_store_set_head(snap_store *store, uint64_t snapshot, df_error *err)
{
    snap_head head = { store->head.sequence + 1, snapshot, { 0 } };
    snap_manifest *m = NULL;
    snap_change change;
    df_status s = store_check_writable(store, err);

    if (s == DF_OK && snapshot != 0 && store_find(store, snapshot) == NULL)
        s = df_fail(err, DF_END, "%s: there is no snapshot %" PRIu64, store->folder, snapshot);
    if (s == DF_OK && snapshot != 0)
        s = manifest_load(store, snapshot, &m, &head.manifest, err);
    snap_manifest_free(&m);
    return s == DF_OK ? store_change(store, &change, 0, &head, err) : s;
}

void snap_store_patient(snap_store *store, bool patient)
{
    if (store->backend->calls->patient != NULL)
        store->backend->calls->patient(store->backend, patient);
}

bool snap_store_waiting(const snap_store *store)
{
    return store->backend->calls->waiting != NULL && store->backend->calls->waiting(store->backend);
}

void snap_store_pin(snap_store *store, uint64_t snapshot)
{
    store_snapshot *s = store_find(store, snapshot);

    assert(s != NULL);
    s->pins++;
}

void snap_store_unpin(snap_store *store, uint64_t snapshot)
{
    store_snapshot *s = store_find(store, snapshot);

    assert(s != NULL && s->pins > 0);
    s->pins--;
}
