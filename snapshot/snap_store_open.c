/* Opening a store in RocksDB. One that is only read may be written meanwhile, by the job's coordinator, and what is read
 * is to be as it was at one time. RocksDB reads first its list of files, opens these, and reads last the log, where records
 * are. In between
 *   a file may go that the list has named: it cannot be opened;
 *   a snapshot may be committed: its record is found, and the list does not know its files;
 *   the log may be begun anew, when a file has what was in it: what it said is missing.
 * In each case the list has grown by then, for it is told first. So what looks damaged is looked at again if the list has
 * changed meanwhile, and what does then is really damaged. The guard is written last and read first: else a
 * commit in between would look like a lost one. Files that are open stay readable when they are removed. */
#include "snapshot/snap_store_private.h"

#include <inttypes.h>
#include <string.h>

#define LOOKS_MAX 20u /* beside a job with a snapshot at each step one in ten has to be repeated */

/* No database: none was made yet (DF_END), or it is lost, which the guard knows. RocksDB would make a
 * new one over the files of the old. */
static df_status store_absent(df_disk *disk, const char *folder, df_error *err)
{
    snap_head head = { 0 };
    snap_guard *guard;
    df_status s = snap_guard_open(&guard, &head, disk, folder, true, err);

    snap_guard_close(&guard);
    if (s == DF_OK && head.sequence > 1)
        return df_fail(err, DF_ECORRUPT, "%s/db: the database is lost, and the current snapshot "
                       "was %" PRIu64, folder, head.snapshot);
    if (s == DF_OK || s == DF_END)
        return df_fail(err, DF_END, "%s: there is no store of snapshots", folder);
    return s;
}

/* What is wrong with the guard is told when the store has been read. */
static df_status store_look_once(snap_store **out, df_disk *disk, const char *folder, const snap_store_options *options,
                                 df_error *err)
{
    snap_head seen = { 0 };
    snap_backend *backend;
    snap_guard *guard;
    df_status s;

    if (snap_guard_open(&guard, &seen, disk, folder, true, err) != DF_OK)
        seen = (snap_head){ 0 };
    snap_guard_close(&guard);
    s = snap_rocksdb_open(&backend, folder, true, err);
    if (s == DF_END)
        return store_absent(disk, folder, err);
    return s == DF_OK ? snap_store_open(out, &backend, disk, folder, options, &seen, err) : s;
}

/* The list of files has all that manifests refer to. */
static bool store_is_whole(const snap_store *store)
{
    for (uint32_t i = 0; i < store->count; i++)
        for (uint32_t p = 0; p < store->snapshots[i].part_count; p++)
            if (!store_has_part(store, &store->snapshots[i].parts[p]))
                return false;
    return true;
}

static df_status store_look(snap_store **out, df_disk *disk, const char *folder, const snap_store_options *options,
                            df_error *err)
{
    snap_rocksdb_place before, now;
    uint32_t looks = 0;
    df_status s;

    snap_rocksdb_look(&now, folder);
    do {
        snap_store_close(out);
        before = now;
        s = store_look_once(out, disk, folder, options, err);
        snap_rocksdb_look(&now, folder);
    } while ((s != DF_OK || !store_is_whole(*out)) && ++looks < LOOKS_MAX &&
             (now.size != before.size || strcmp(now.list, before.list) != 0));
    return s;
}

/* RocksDB throws away what it cannot read when it opens a database for writing: so that is looked at first. */
df_status snap_store_open_rocksdb(snap_store **out, df_disk *disk, const char *folder,
                                  const snap_store_options *options, df_error *err)
{
    snap_store_options look = { .readonly = true, .accept_loss = options->accept_loss };
    snap_backend *backend;
    df_status s;

    *out = NULL;
    if (options->readonly)
        return store_look(out, disk, folder, options, err);
    s = df_disk_make_folder(disk, folder, err);
    if (s != DF_OK)
        return s;
    s = store_look(out, disk, folder, &look, err);
    snap_store_close(out);
    if (s != DF_OK && s != DF_END)
        return s;
    s = snap_rocksdb_open(&backend, folder, false, err);
    return s == DF_OK ? snap_store_open(out, &backend, disk, folder, options, NULL, err) : s;
}
