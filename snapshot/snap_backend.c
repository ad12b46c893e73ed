/* What all backends have in common. */
#include "snapshot/snap_backend.h"

#include <inttypes.h>

static df_hash part_sum(df_hash before, const snap_place *place, const uint8_t *bytes, size_t size)
{
    uint8_t head[32];
    df_writer w;

    df_writer_init(&w, head, sizeof head);
    df_put_u32(&w, place->key_group);
    df_put_u16(&w, place->table);
    df_put_u16(&w, place->column);
    df_put_u32(&w, place->chunk);
    df_put_u64(&w, size);
    return snap_hash_chain(snap_hash_chain(before, head, w.size), bytes, size);
}

void snap_part_verify(snap_part *part)
{
    part->verify = true;
}

uint8_t *snap_part_room(snap_part *part)
{
    return part->calls->room(part);
}

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
    if (part->verify) /* before: what lay in the room is gone afterwards */
        part->sum = part_sum(part->sum, place, bytes, size);
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

typedef struct part_reading {
    df_hash sum;
    uint32_t count;
} part_reading;

static void reading_add(void *user, const snap_place *place, const uint8_t *bytes, size_t size)
{
    part_reading *r = user;

    r->sum = part_sum(r->sum, place, bytes, size);
    r->count++;
}

static df_status part_read_back(snap_part *p, df_error *err)
{
    const snap_part_id *id = &p->info.id;
    part_reading r = { 0 };
    df_status s = p->calls->read(p, reading_add, &r, err);

    if (s == DF_OK && (r.count != p->info.chunk_count || !snap_hash_equal(r.sum, p->sum)))
        s = df_fail(err, DF_ECORRUPT, "other bytes than were written");
    return s == DF_OK ? DF_OK : df_wrap(err, s, "part %" PRIu64 "-%u-%u, read back", id->snapshot,
                                        id->attempt, id->part);
}

df_status snap_part_finish(snap_part **part, snap_part_info *info, df_error *err)
{
    snap_part *p = *part;
    df_status s = DF_END;

    *part = NULL;
    *info = p->info;
    if (p->info.chunk_count > 0)
        s = p->calls->finish(p, err);
    if (s == DF_OK && p->verify)
        s = part_read_back(p, err);
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
