#include "coordinator/coord_part_file.h"

#include "dataflow/df_failpoint.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

df_status coord_part_is_of(const snap_manifest *m, const df_plan *plan, const char *where, df_error *err)
{
    if (m->plan.high == plan->hash[0] && m->plan.low == plan->hash[1])
        return DF_OK;
    return df_fail(err, DF_EINVAL, "%s: snapshot %llu is of another plan", where,
                   (unsigned long long)m->snapshot);
}

static df_status store_column(void *user, const snap_manifest *m, uint32_t table, uint32_t key_group,
                              uint32_t column, snap_coder *coder, void *raw, df_error *err)
{
    return snap_store_read_column(user, m, table, key_group, column, coder, raw, err);
}

coord_part_source coord_part_store_source(snap_store *store)
{
    return (coord_part_source){ store, NULL, store_column };
}

df_status coord_part_open(snap_store **store, snap_manifest **out, const char *folder,
                          uint64_t snapshot, const df_plan *plan, df_error *err)
{
    static df_disk disk; /* a table of functions */
    snap_store_options options = { .readonly = true };
    df_status s;

    *store = NULL;
    *out = NULL;
    df_disk_posix_init(&disk);
    s = snap_store_open_rocksdb(store, &disk, folder, &options, err);
    if (s == DF_OK)
        s = snap_store_load(*store, snapshot, out, err);
    if (s == DF_END)
        s = df_fail(err, DF_ECORRUPT, "%s: snapshot %llu is not there", folder,
                    (unsigned long long)snapshot);
    if (s == DF_OK)
        s = coord_part_is_of(*out, plan, folder, err);
    if (s == DF_OK) {
        snap_store_read_ahead(*store, *out);
    } else {
        snap_manifest_free(out);
        snap_store_close(store);
    }
    return s;
}

df_status coord_part_marks(weir_mark *marks, const snap_manifest *m, const df_plan *plan, df_error *err)
{
    for (uint32_t v = 0; v < plan->vertex_count; v++) {
        const snap_owner *owner = snap_manifest_owner(m, SNAP_OFFSETS, plan->vertices[v].name);
        const snap_item *item = owner == NULL ? NULL : snap_owner_item(owner, 0);

        marks[v].size = 0;
        if (item == NULL)
            continue;
        if (item->size > WEIR_MARK_MAX)
            return df_fail(err, DF_ECORRUPT, "the mark of sink \"%s\" has %u bytes",
                           plan->vertices[v].name, item->size);
        marks[v].size = item->size;
        memcpy(marks[v].bytes, item->bytes, item->size);
    }
    return DF_OK;
}

static bool owns(const df_plan *plan, const df_part *part, uint32_t vertex, uint32_t key_group)
{
    return df_part_owner(plan, part, plan->vertices[vertex].stage, key_group) == part->member;
}

static df_status restore_group(df_graph *graph, const df_plan *plan, uint32_t state, uint32_t k,
                               const coord_part_source *source, const snap_manifest *m, uint32_t table,
                               snap_coder *coder, df_error *err)
{
    const weir_schema *schema = &plan->streams[plan->states[state].stream].schema;
    const weir_schema *stored = plan->states[state].stored;
    df_memory memory = df_graph_memory(graph);
    df_batch *batch = df_batch_new(memory, schema, 0, k);
    df_status s = DF_OK;

    if (batch == NULL ||
        !df_batch_alloc_stored(memory, batch, stored, m->tables[table].groups[k].rows))
        s = df_fail(err, DF_ENOMEM, "restore: out of memory");
    if (s == DF_OK)
        s = source->column(source->user, m, table, k, 0, coder, batch->view.keys, err);
    for (uint32_t c = 0; s == DF_OK && c < stored->column_count; c++)
        s = source->column(source->user, m, table, k, c + 1, coder, df_batch_stored_column(batch, c), err);
    if (s == DF_OK)
        s = df_graph_index_cells(graph, state, batch, err);
    if (s != DF_OK) {
        df_batch_unref(memory, batch);
        return s;
    }
    s = df_graph_restore(graph, state, k, batch, err);
    return s == DF_OK ? df_failpoint(DF_FAILPOINT_install_restore, err) : s;
}

static df_status restore_items(df_graph *graph, const df_plan *plan, const df_part *part, uint32_t vertex,
                               const snap_manifest *m, df_error *err)
{
    const char *name = plan->vertices[vertex].name;
    const snap_owner *carried = snap_manifest_owner(m, SNAP_CARRIED, name);
    const snap_owner *births = snap_manifest_owner(m, SNAP_BIRTHS, name);
    df_status s = DF_OK;

    for (uint32_t k = 0; s == DF_OK && k < plan->vertices[vertex].partition.key_groups; k++) {
        const snap_item *item;
        uint64_t count;

        if (!owns(plan, part, vertex, k))
            continue;
        item = carried == NULL ? NULL : snap_owner_item(carried, k);
        if (item != NULL)
            s = df_graph_restore_carried(graph, vertex, k, item->bytes, item->size, err);
        item = births == NULL ? NULL : snap_owner_item(births, k);
        if (s != DF_OK || item == NULL)
            continue;
        if (item->size != sizeof count)
            return df_fail(err, DF_ECORRUPT, "births of operator \"%s\": %u bytes", name, item->size);
        memcpy(&count, item->bytes, sizeof count);
        s = df_graph_restore_births(graph, vertex, k, count, err);
    }
    return s;
}

/* Which key groups of a table are this member's, for who reads them. */
static df_status restore_announce(const df_plan *plan, const df_part *part, uint32_t vertex,
                                  const coord_part_source *source, const snap_manifest *m, uint32_t table,
                                  df_error *err)
{
    uint8_t groups[DF_KEY_GROUPS_MAX / 8] = { 0 };
    uint32_t count = m->tables[table].key_groups;

    if (count != plan->vertices[vertex].partition.key_groups)
        return df_fail(err, DF_ECORRUPT, "the snapshot has %u key groups of state \"%s\"", count,
                       m->tables[table].name);
    for (uint32_t k = 0; k < count; k++)
        groups[k / 8] |= (uint8_t)(owns(plan, part, vertex, k) << k % 8);
    return source->table == NULL ? DF_OK : source->table(source->user, m, table, groups, err);
}

df_status coord_part_restore(df_graph *graph, const df_part *part, const df_plan *plan,
                             const coord_part_source *source, const snap_manifest *m, const _Atomic bool *stop,
                             df_error *err)
{
    snap_coder *coder = snap_coder_new();
    df_status s = coder == NULL ? df_fail(err, DF_ENOMEM, "restore: out of memory") : DF_OK;

    /* What operators carry is there before anything of the first tick can run. */
    for (uint32_t v = 0; s == DF_OK && v < plan->vertex_count; v++)
        s = restore_items(graph, plan, part, v, m, err);
    for (uint32_t i = 0; s == DF_OK && i < plan->state_count; i++) {
        int table = snap_manifest_table(m, plan->states[i].name);

        if (table < 0)
            s = df_fail(err, DF_ECORRUPT, "the snapshot has no state \"%s\"", plan->states[i].name);
        else
            s = restore_announce(plan, part, plan->states[i].vertex, source, m, (uint32_t)table, err);
        for (uint32_t k = 0; s == DF_OK && k < m->tables[table].key_groups; k++) {
            if (atomic_load(stop))
                s = df_fail(err, DF_END, "given up");
            else if (owns(plan, part, plan->states[i].vertex, k))
                s = restore_group(graph, plan, i, k, source, m, (uint32_t)table, coder, err);
        }
    }
    snap_coder_free(&coder);
    return s;
}

/* ---- writing ---- */

typedef struct part_writing {
    const coord_part_job *job;
    snap_writer writer;
    coord_part_writer said;
    snap_written *written; /* of one key group */
    uint32_t written_room;
    /* What becomes the next base. */
    snap_manifest *base;
    uint32_t *base_part; /* [job->base->part_count]: in `base`; DF_NONE: not yet */
    uint32_t own_part;
    snap_part_info own_info; /* until it is finished: only its id counts */
} part_writing;

static df_status out_of_memory(df_error *err)
{
    return df_fail(err, DF_ENOMEM, "snapshot: out of memory");
}

static df_status note_chunk(part_writing *w, snap_ref *ref, const snap_written *written, df_error *err)
{
    const snap_manifest *old = w->job->base;
    uint32_t *index = NULL;
    const snap_part_info *info = &w->own_info;
    df_status s = DF_OK;

    if (snap_part_id_compare(&written->part, &w->job->id) == 0)
        index = &w->own_part;
    for (uint32_t i = 0; index == NULL && old != NULL && i < old->part_count; i++)
        if (snap_part_id_compare(&written->part, &old->parts[i].id) == 0) {
            index = &w->base_part[i];
            info = &old->parts[i];
        }
    if (index == NULL)
        return df_fail(err, DF_EINVAL, "snapshot: a chunk of an unknown part");
    if (*index == DF_NONE)
        s = snap_manifest_add_part(w->base, info, index, err);
    *ref = (snap_ref){ .part = *index, .stored_size = written->stored_size, .hash = written->hash };
    return s;
}

static df_status write_column(part_writing *w, const snap_source *source, uint32_t *count, df_error *err)
{
    uint32_t chunks = snap_chunk_count(COORD_CHUNK_SIZE, source->type, source->rows);
    snap_written *grown;
    df_status s;

    if (*count + chunks >= w->written_room) { /* also where the first column has no chunks */
        grown = realloc(w->written, (*count + chunks + 1) * 2 * sizeof *grown);
        if (grown == NULL)
            return out_of_memory(err);
        w->written = grown;
        w->written_room = (*count + chunks + 1) * 2;
    }
    s = snap_write_column(&w->writer, source, w->written + *count, err);
    *count += chunks;
    return s;
}

static df_status write_group(part_writing *w, uint32_t table, uint32_t k, df_error *err)
{
    const df_plan *plan = w->job->plan;
    const df_batch *kept = w->job->captured->states[table][k];
    const weir_batch *batch = &kept->view;
    const weir_schema *stored = plan->states[table].stored;
    snap_source source = { .state = plan->states[table].name, .table = (uint16_t)table, .key_group = k,
                           .rows = batch->row_count, .name = "id", .type = WEIR_U64,
                           .values = batch->keys };
    uint32_t count = 0;
    df_status s = write_column(w, &source, &count, err);

    for (uint32_t c = 0; s == DF_OK && c < stored->column_count; c++) {
        source.column = (uint16_t)(c + 1);
        source.name = stored->columns[c].name;
        source.type = stored->columns[c].type;
        source.values = df_batch_stored_column(kept, c);
        s = write_column(w, &source, &count, err);
    }
    if (s == DF_OK)
        s = snap_manifest_set_rows(w->base, table, k, batch->row_count, err);
    for (uint32_t i = 0; s == DF_OK && i < count; i++)
        s = note_chunk(w, &w->base->tables[table].groups[k].refs[i], &w->written[i], err);
    if (s == DF_OK)
        coord_part_put_group(&w->said, table, k, batch->row_count, w->written, count);
    return s == DF_OK ? df_failpoint(DF_FAILPOINT_part_group, err) : s;
}

/* In the order of places: by key group, then by table. */
static df_status write_groups(part_writing *w, df_error *err)
{
    const df_plan *plan = w->job->plan;
    uint32_t most = 0;
    df_status s = DF_OK;

    for (uint32_t t = 0; t < plan->state_count; t++)
        if (plan->vertices[plan->states[t].vertex].partition.key_groups > most)
            most = plan->vertices[plan->states[t].vertex].partition.key_groups;
    for (uint32_t k = 0; s == DF_OK && k < most; k++)
        for (uint32_t t = 0; s == DF_OK && t < plan->state_count; t++) {
            if (atomic_load(w->job->stop))
                return df_fail(err, DF_END, "given up");
            if (k < plan->vertices[plan->states[t].vertex].partition.key_groups &&
                w->job->captured->states[t][k] != NULL)
                s = write_group(w, t, k, err);
        }
    return s;
}

static void write_items(part_writing *w)
{
    const df_plan *plan = w->job->plan;
    const df_captured *c = w->job->captured;

    for (uint32_t v = 0; v < plan->vertex_count; v++) {
        const df_vertex *vertex = &plan->vertices[v];
        size_t size = vertex->carried == NULL ? 0 : 8 * vertex->carried->column_count;

        for (uint32_t k = 0; k < vertex->partition.key_groups; k++) {
            if (!c->own[v][k])
                continue;
            if (size > 0)
                coord_part_put_item(&w->said, SNAP_CARRIED, vertex->name, k, c->carried[v] + k * size,
                                    size);
            if (c->births[v] != NULL)
                coord_part_put_item(&w->said, SNAP_BIRTHS, vertex->name, k, &c->births[v][k],
                                    sizeof(uint64_t));
        }
        if (c->marks[v].size > 0)
            coord_part_put_item(&w->said, SNAP_OFFSETS, vertex->name, 0, c->marks[v].bytes,
                                c->marks[v].size);
    }
}

static df_status begin_base(part_writing *w, df_error *err)
{
    const df_plan *plan = w->job->plan;
    uint32_t parts = w->job->base == NULL ? 0 : w->job->base->part_count, index;
    df_status s = DF_OK;

    w->base = snap_manifest_new();
    w->base_part = malloc((parts + 1) * sizeof *w->base_part);
    if (w->base == NULL || w->base_part == NULL)
        return out_of_memory(err);
    for (uint32_t i = 0; i < parts; i++)
        w->base_part[i] = DF_NONE;
    w->own_part = DF_NONE;
    w->own_info = (snap_part_info){ .id = w->job->id };
    w->base->chunk_size = COORD_CHUNK_SIZE;
    for (uint32_t t = 0; s == DF_OK && t < plan->state_count; t++) {
        const df_stream *stream = &plan->streams[plan->states[t].stream];
        s = snap_manifest_add_table(w->base, plan->states[t].name, plan->states[t].stored,
                                    stream->partition.key_groups, &index, err);
    }
    return s;
}

/* The base refers to the part by its place in the list, whose entry was made before it was finished. */
static void end_base(part_writing *w, const snap_part_info *info)
{
    if (w->own_part != DF_NONE && info != NULL)
        w->base->parts[w->own_part] = *info;
}

static df_status write_all(part_writing *w, snap_part **part, coord_part_result *out, df_error *err)
{
    snap_part_info info;
    df_status s = write_groups(w, err);

    if (s != DF_OK)
        return s;
    write_items(w);
    out->bytes_kept = w->writer.bytes_kept;
    out->bytes_raw = w->writer.bytes_raw;
    out->bytes_stored = w->writer.bytes_stored;
    s = df_failpoint(DF_FAILPOINT_part_finish, err);
    if (s != DF_OK)
        return s;
    s = snap_part_finish(part, &info, err);
    if (s != DF_OK && s != DF_END)
        return s;
    out->file = s == DF_OK;
    end_base(w, s == DF_OK ? &info : NULL);
    s = coord_part_end(&w->said, s == DF_OK ? &info : NULL, &out->bytes, &out->size, err);
    return s == DF_OK ? df_failpoint(DF_FAILPOINT_part_finished, err) : s;
}

df_status coord_part_write(const coord_part_job *job, coord_part_result *out, df_error *err)
{
    part_writing w = { .job = job };
    snap_coder *coder = snap_coder_new();
    snap_part *part = NULL;
    bool writing = false;
    df_status s = coder == NULL ? out_of_memory(err) : begin_base(&w, err);

    *out = (coord_part_result){ 0 };
    coord_part_begin(&w.said);
    if (s == DF_OK)
        s = snap_rocksdb_part_open(&part, job->folder, &job->id, err);
    if (s == DF_OK && job->verify)
        snap_part_verify(part);
    if (s == DF_OK) {
        s = snap_writer_init(&w.writer, part, coder, job->codec, COORD_CHUNK_SIZE, job->base, err);
        writing = s == DF_OK;
    }
    if (s == DF_OK)
        s = write_all(&w, &part, out, err);
    if (writing)
        snap_writer_fini(&w.writer);
    if (s == DF_OK) {
        out->base = w.base;
        w.base = NULL;
    } else {
        coord_part_abort(&w.said);
    }
    snap_part_abort(&part);
    snap_manifest_free(&w.base);
    snap_coder_free(&coder);
    free(w.base_part);
    free(w.written);
    return s;
}

void coord_part_result_fini(coord_part_result *result)
{
    free(result->bytes);
    snap_manifest_free(&result->base);
    *result = (coord_part_result){ 0 };
}
