/* What all backends have in common. */
#include "snapshot/snap_backend.h"

#include <inttypes.h>

df_status snap_part_put(snap_part *part, const snap_place *place, const uint8_t *bytes, size_t size,
                        df_error *err)
{
    snap_part_info *info = &part->info;
    df_status s;

    if (size < SNAP_CHUNK_HEAD || size > SNAP_CHUNK_SIZE_MAX)
        return df_fail(err, DF_EINVAL, "part %" PRIu64 "-%u-%u: a chunk of %zu bytes",
                       info->id.snapshot, info->id.attempt, info->id.part, size);
    if (info->chunk_count > 0 && snap_place_compare(&info->last, place) >= 0)
        return df_fail(err, DF_EINVAL, "part %" PRIu64 "-%u-%u: chunks are not in order",
                       info->id.snapshot, info->id.attempt, info->id.part);
    s = part->calls->put(part, place, bytes, size, err);
    if (s != DF_OK)
        return s;
    if (info->chunk_count == 0)
        info->first = *place;
    info->last = *place;
    info->chunk_count++;
    info->stored_size += size;
    return DF_OK;
}

df_status snap_part_finish(snap_part **part, snap_part_info *info, df_error *err)
{
    snap_part *p = *part;
    df_status s = DF_END;

    *part = NULL;
    *info = p->info;
    if (p->info.chunk_count > 0)
        s = p->calls->finish(p, err);
    p->calls->free(p, s == DF_OK);
    return s;
}

void snap_part_abort(snap_part **part)
{
    snap_part *p = *part;

    *part = NULL;
    if (p != NULL)
        p->calls->free(p, false);
}

void snap_blob_release(snap_blob *blob)
{
    if (blob->release != NULL)
        blob->release(blob->owner);
    *blob = (snap_blob){ 0 };
}

void snap_backend_close(snap_backend **backend)
{
    snap_backend *b = *backend;

    *backend = NULL;
    if (b != NULL)
        b->calls->close(b);
}
