/* Verification: everything is read as a restore reads it. */
#include "snapshot/snap_store_private.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct verifying {
    snap_store *store;
    snap_coder *coder;
    uint8_t *raw; /* [SNAP_CHUNK_RAW_MAX] */
    void (*tell)(void *user, const snap_damage *damage);
    void *user;
    snap_verified *verified;
} verifying;

static void verify_tell(const verifying *v, const snap_damage *damage)
{
    v->verified->damaged++;
    if (v->tell != NULL)
        v->tell(v->user, damage);
}

/* The text of a failure begins with the place, which the damage has in fields of its own. */
static df_status verify_chunk(const verifying *v, const snap_manifest *m, const snap_place *place,
                              const snap_ref *ref, df_error *err)
{
    const snap_table *table = &m->tables[place->table];
    snap_slice slice = snap_manifest_slice(m, place);
    const snap_part_id *id = &m->parts[ref->part].id;
    snap_backend *backend = v->store->backend;
    char path[DF_PATH_MAX];
    df_error why = { 0 };
    snap_blob blob;
    df_status s = backend->calls->get_chunk(backend, id, place, &blob, &why);

    if (s == DF_OK && blob.size != ref->stored_size)
        s = df_fail(&why, DF_ECORRUPT, "%zu bytes, the manifest says %u", blob.size, ref->stored_size);
    if (s == DF_OK)
        s = snap_chunk_decode(v->coder, &slice, blob.bytes, blob.size, v->raw, &why);
    v->verified->chunks++;
    v->verified->bytes += blob.size;
    snap_blob_release(&blob);
    if (s == DF_ENOMEM)
        return df_fail(err, s, "%s", why.text);
    if (s == DF_OK)
        return DF_OK;
    backend->calls->file_of(backend, id, place, path);
    verify_tell(v, &(snap_damage){ .snapshot = m->snapshot, .file = path, .state = table->name,
                                   .column = snap_column_name(table, place->column),
                                   .key_group = place->key_group, .chunk = place->chunk,
                                   .text = s == DF_END ? "it is missing" : why.text });
    return DF_OK;
}

static df_status verify_group(const verifying *v, const snap_manifest *m, uint32_t table,
                              uint32_t key_group, df_error *err)
{
    df_status s = DF_OK;

    for (uint32_t c = 0; c <= m->tables[table].schema.column_count; c++) {
        uint32_t count;
        const snap_ref *refs = snap_manifest_refs(m, table, key_group, c, &count);

        for (uint32_t i = 0; s == DF_OK && i < count; i++) {
            snap_place place = { key_group, (uint16_t)table, (uint16_t)c, i };

            s = verify_chunk(v, m, &place, &refs[i], err);
        }
    }
    return s;
}

static df_status verify_snapshot(const verifying *v, uint64_t snapshot, df_error *err)
{
    snap_manifest *m;
    df_error why = { 0 };
    df_status s = snap_store_load(v->store, snapshot, &m, &why);

    if (s == DF_ENOMEM)
        return df_fail(err, s, "%s", why.text);
    v->verified->snapshots++;
    if (s != DF_OK) {
        verify_tell(v, &(snap_damage){ .snapshot = snapshot, .file = v->store->folder,
                                       .text = why.text });
        return DF_OK;
    }
    for (uint32_t t = 0; t < m->table_count; t++)
        for (uint32_t g = 0; s == DF_OK && g < m->tables[t].key_groups; g++)
            s = verify_group(v, m, t, g, err);
    snap_manifest_free(&m);
    return s;
}

df_status snap_store_verify(snap_store *store, void (*tell)(void *user, const snap_damage *damage),
                            void *user, snap_verified *verified, df_error *err)
{
    verifying v = { store, snap_coder_new(), malloc(SNAP_CHUNK_RAW_MAX), tell, user, verified };
    df_status s = DF_OK;

    *verified = (snap_verified){ 0 };
    if (v.coder == NULL || v.raw == NULL)
        s = df_fail(err, DF_ENOMEM, "%s: out of memory", store->folder);
    for (uint32_t i = 0; s == DF_OK && i < store->count; i++)
        s = verify_snapshot(&v, store->snapshots[i].entry.snapshot, err);
    snap_coder_free(&v.coder);
    free(v.raw);
    return s;
}
