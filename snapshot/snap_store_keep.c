/* Retention and collection. Manifests go first, in one change, and parts after: a crash in between
 * leaves parts that no manifest refers to, which are removed when the store is opened. The other way
 * round it would leave manifests without chunks. Nobody has to wait for the parts, whose files may take
 * long to remove. */
#include "snapshot/snap_store_private.h"

#include "dataflow/df_failpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* ---- parts ---- */

static int keep_compare(const void *a, const void *b)
{
    return snap_part_id_compare(a, b);
}

/* All parts that manifests refer to, ascending, with repeats. */
static bool keep_parts(const snap_store *store, store_parts *kept)
{
    for (uint32_t i = 0; i < store->count; i++)
        for (uint32_t p = 0; p < store->snapshots[i].part_count; p++)
            if (!store_parts_add(kept, &store->snapshots[i].parts[p]))
                return false;
    if (kept->count > 0)
        qsort(kept->ids, kept->count, sizeof *kept->ids, keep_compare);
    return true;
}

static bool is_damaged(const snap_store *store)
{
    for (uint32_t i = 0; i < store->count; i++)
        if (store->snapshots[i].entry.damaged)
            return true;
    return false;
}

df_status store_collect(snap_store *store, uint64_t last, df_error *err)
{
    store_parts kept = { 0 };
    size_t left = 0;
    df_status s = DF_OK;

    if (is_damaged(store)) /* nobody knows which parts it refers to */
        return DF_OK;
    if (!keep_parts(store, &kept)) {
        free(kept.ids);
        return df_fail(err, DF_ENOMEM, "%s: out of memory", store->folder);
    }
    for (size_t i = 0; i < store->parts.count; i++) {
        snap_part_id id = store->parts.ids[i];
        bool keep = s != DF_OK || id.snapshot > last ||
                    (kept.count > 0 &&
                     bsearch(&id, kept.ids, kept.count, sizeof id, keep_compare) != NULL);

        if (!keep)
            s = store->backend->calls->drop(store->backend, &id, err);
        if (keep || s != DF_OK)
            store->parts.ids[left++] = id;
    }
    store->parts.count = left;
    if (s != DF_OK)
        store->broken = true;
    free(kept.ids);
    return s;
}

df_status snap_store_discard(snap_store *store, const snap_part_id *ids, uint32_t count, df_error *err)
{
    df_status s = store_check_writable(store, err);

    for (uint32_t i = 0; s == DF_OK && i < count; i++) {
        for (uint32_t n = 0; n < store->count; n++)
            for (uint32_t p = 0; p < store->snapshots[n].part_count; p++)
                if (snap_part_id_compare(&store->snapshots[n].parts[p], &ids[i]) == 0)
                    return df_fail(err, DF_EINVAL, "%s: a part of a snapshot cannot be discarded",
                                   store->folder);
        s = store->backend->calls->drop(store->backend, &ids[i], err);
        for (size_t p = store->parts.count; s == DF_OK && p-- > 0;)
            if (snap_part_id_compare(&store->parts.ids[p], &ids[i]) == 0)
                store->parts.ids[p] = store->parts.ids[--store->parts.count];
    }
    return s;
}

df_status snap_store_clear(snap_store *store, uint64_t last, df_error *err)
{
    df_status s = store_check_writable(store, err);

    return s == DF_OK ? store->backend->calls->clear_incoming(store->backend, last, err) : s;
}

df_status snap_store_has_room(snap_store *store, uint64_t manifest_size, df_error *err)
{
    uint64_t need = SNAP_STORE_MARGIN + 4 * manifest_size, room;
    df_status s = df_disk_room(store->disk, store->folder, &room, err);

    if (s != DF_OK || room >= need)
        return s;
    return df_fail(err, DF_ELIMIT, "%.200s: %" PRIu64 " MiB are free, a commit needs %" PRIu64, store->folder,
                   room >> 20, (need >> 20) + 1);
}

/* ---- snapshots ---- */

/* Mark the newest `retain` of the head's line. False: its line is not known to its end. */
static bool mark_line(const snap_store *store, uint32_t retain, bool *keep)
{
    uint64_t number = store->head.snapshot;

    for (uint32_t i = 0; i < retain && number != 0; i++) {
        const store_snapshot *s = store_find(store, number);

        if (s == NULL) /* its turn has come before */
            break;
        if (s->entry.damaged)
            return false;
        keep[s - store->snapshots] = true;
        number = s->entry.parent;
    }
    return true;
}

/* Remove from the list what is not kept. */
static void keep_only(snap_store *store, const bool *keep)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < store->count; i++)
        if (keep[i])
            store->snapshots[left++] = store->snapshots[i];
        else
            free(store->snapshots[i].parts);
    store->count = left;
}

df_status snap_store_forget(snap_store *store, uint32_t retain, df_error *err)
{
    bool *keep = calloc(store->count + 1, sizeof *keep);
    snap_change *changes = calloc(store->count + 1, sizeof *changes);
    uint32_t count = 0;
    df_status s = store_check_writable(store, err);

    if (retain < SNAP_RETAIN_MIN)
        retain = SNAP_RETAIN_MIN;
    if (s == DF_OK && (keep == NULL || changes == NULL))
        s = df_fail(err, DF_ENOMEM, "%s: out of memory", store->folder);
    if (s != DF_OK || !mark_line(store, retain, keep))
        goto out;
    for (uint32_t i = 0; i < store->count; i++) {
        const store_snapshot *snapshot = &store->snapshots[i];

        keep[i] |= snapshot->entry.label[0] != '\0' || snapshot->pins > 0;
        if (!keep[i])
            changes[count++] = (snap_change){ .record = snapshot->entry.snapshot };
    }
    if (count > 0)
        s = store_change(store, changes, count, NULL, err);
    if (s != DF_OK)
        goto out;
    keep_only(store, keep);
out:
    free(keep);
    free(changes);
    return s;
}

df_status snap_store_collect(snap_store *store, df_error *err)
{
    df_status s = store_check_writable(store, err);

    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_retain_collect, err);
    return s == DF_OK ? store_collect(store, store->head.snapshot, err) : s;
}
