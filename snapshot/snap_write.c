#include "snapshot/snap_write.h"

#include <stdlib.h>

df_status snap_writer_init(snap_writer *writer, snap_part *part, snap_coder *coder, snap_codec codec,
                           uint32_t chunk_size, const snap_manifest *base, df_error *err)
{
    *writer = (snap_writer){ .part = part, .coder = coder, .codec = codec, .chunk_size = chunk_size };
    if (base == NULL || base->chunk_size != chunk_size)
        return DF_OK;
    writer->live = calloc(base->part_count + 1, sizeof *writer->live);
    if (writer->live == NULL)
        return df_fail(err, DF_ENOMEM, "snapshot: out of memory");
    snap_manifest_live(base, writer->live);
    writer->base = base;
    return DF_OK;
}

void snap_writer_fini(snap_writer *writer)
{
    free(writer->live);
    writer->live = NULL;
    writer->base = NULL;
}

/* The base's refs of the same column, or null. A chunk's place in its part has the table's and the
 * column's number in it, so those must be the same too. */
static const snap_ref *base_refs(const snap_writer *w, const snap_source *source, uint32_t *count)
{
    const snap_table *table;

    *count = 0;
    if (w->base == NULL || source->table >= w->base->table_count)
        return NULL;
    table = &w->base->tables[source->table];
    if (strcmp(table->name, source->state) != 0 || source->key_group >= table->key_groups ||
        source->column > table->schema.column_count ||
        snap_column_type(table, source->column) != source->type ||
        strcmp(snap_column_name(table, source->column), source->name) != 0)
        return NULL;
    return snap_manifest_refs(w->base, source->table, source->key_group, source->column, count);
}

/* Whether a base's chunk can stand for this slice. One that lies in a thin part is written anew. The
 * hash does not say how many rows it is of, but the length of what was hashed goes into it. */
static bool base_holds(const snap_writer *w, const snap_ref *ref, df_hash hash)
{
    return snap_hash_equal(ref->hash, hash) &&
           !snap_part_is_thin(&w->base->parts[ref->part], w->live[ref->part]);
}

static df_status write_chunk(snap_writer *w, const snap_place *place, const snap_slice *slice,
                             const uint8_t *raw, snap_written *out, df_error *err)
{
    uint8_t *bytes = snap_part_room(w->part);
    size_t size;
    df_status s = snap_chunk_encode(w->coder, slice, raw, w->codec, bytes, &size, err);

    if (s == DF_OK)
        s = snap_part_put(w->part, place, bytes, size, err);
    if (s != DF_OK)
        return s;
    *out = (snap_written){ w->part->info.id, (uint32_t)size, slice->hash };
    w->written++;
    w->bytes_raw += slice->rows * weir_type_size(slice->type);
    w->bytes_stored += size;
    return DF_OK;
}

df_status snap_write_column(snap_writer *writer, const snap_source *source, snap_written *out,
                            df_error *err)
{
    size_t width = weir_type_size(source->type);
    uint32_t each = snap_chunk_rows(writer->chunk_size, source->type), base_count;
    uint32_t count = snap_chunk_count(writer->chunk_size, source->type, source->rows);
    const snap_ref *refs = base_refs(writer, source, &base_count);
    df_status s = DF_OK;

    for (uint32_t i = 0; s == DF_OK && i < count; i++) {
        const uint8_t *raw = (const uint8_t *)source->values + (size_t)i * each * width;
        uint32_t left = source->rows - i * each;
        snap_slice slice = { source->type, left < each ? left : each, { 0 } };
        snap_place place = { source->key_group, source->table, source->column, i };

        slice.hash = snap_hash(raw, slice.rows * width);
        if (i < base_count && base_holds(writer, &refs[i], slice.hash)) {
            out[i] = (snap_written){ writer->base->parts[refs[i].part].id, refs[i].stored_size,
                                     slice.hash };
            writer->kept++;
            writer->bytes_kept += slice.rows * width;
        } else {
            s = write_chunk(writer, &place, &slice, raw, &out[i], err);
        }
    }
    return s;
}
