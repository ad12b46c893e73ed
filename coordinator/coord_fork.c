#include "coordinator/coord_fork.h"

#include "coordinator/coord_plan.h"
#include "coordinator/coord_record.h"
#include "coordinator/coord_state.h"
#include "snapshot/snap_write.h"

#include <stdlib.h>
#include <sys/random.h>

/* ---- the snapshot ---- */

typedef struct forking {
    snap_store *from;
    const snap_manifest *old;
    snap_manifest *m;
    snap_writer writer;
    snap_coder *coder;
    void *raw;             /* one column of a key group */
    size_t raw_size;
    snap_written *written; /* its chunks */
    size_t written_size;
    uint32_t part;         /* the one of m that all chunks are in */
} forking;

static df_status grow(void **memory, size_t *size, size_t wanted, df_error *err)
{
    void *grown = wanted <= *size ? *memory : realloc(*memory, wanted);

    if (grown == NULL)
        return df_fail(err, DF_ENOMEM, "replay: out of memory");
    *memory = grown;
    *size = wanted <= *size ? *size : wanted;
    return DF_OK;
}

static df_status fork_column(forking *f, uint32_t t, uint32_t k, uint32_t column, snap_ref *refs, uint32_t *used,
                             df_error *err)
{
    const snap_table *table = &f->old->tables[t];
    snap_source source = { .state = table->name, .table = (uint16_t)t, .column = (uint16_t)column,
                           .name = snap_column_name(table, column), .type = snap_column_type(table, column),
                           .key_group = k, .rows = table->groups[k].rows };
    uint32_t count = snap_chunk_count(f->old->chunk_size, source.type, source.rows);
    void *written = f->written;
    df_status s = grow(&f->raw, &f->raw_size, source.rows * weir_type_size(source.type) + 1, err);

    if (s == DF_OK)
        s = grow(&written, &f->written_size, (count + 1) * sizeof *f->written, err);
    f->written = written;
    if (s == DF_OK)
        s = snap_store_read_column(f->from, f->old, t, k, column, f->coder, f->raw, err);
    source.values = f->raw;
    if (s == DF_OK)
        s = snap_write_column(&f->writer, &source, f->written, err);
    for (uint32_t i = 0; s == DF_OK && i < count; i++)
        refs[(*used)++] = (snap_ref){ .part = f->part, .stored_size = f->written[i].stored_size,
                                      .hash = f->written[i].hash };
    return s;
}

/* In the order of places: by key group, then by table. */
static df_status fork_tables(forking *f, df_error *err)
{
    uint32_t most = 0;
    df_status s = DF_OK;

    for (uint32_t t = 0; s == DF_OK && t < f->old->table_count; t++) {
        const snap_table *table = &f->old->tables[t];
        uint32_t index;

        most = table->key_groups > most ? table->key_groups : most;
        s = snap_manifest_add_table(f->m, table->name, &table->schema, table->key_groups, &index, err);
    }
    for (uint32_t k = 0; s == DF_OK && k < most; k++)
        for (uint32_t t = 0; s == DF_OK && t < f->old->table_count; t++) {
            const snap_table *table = &f->old->tables[t];
            uint32_t used = 0;

            if (k >= table->key_groups)
                continue;
            s = snap_manifest_set_rows(f->m, t, k, table->groups[k].rows, err);
            for (uint32_t c = 0; s == DF_OK && c <= table->schema.column_count; c++)
                s = fork_column(f, t, k, c, f->m->tables[t].groups[k].refs, &used, err);
        }
    return s;
}

static bool is_sink(const df_plan *plan, const char *name)
{
    for (uint32_t v = 0; v < plan->vertex_count; v++)
        if (plan->vertices[v].kind != NULL && plan->vertices[v].kind->role == WEIR_SINK &&
            strcmp(plan->vertices[v].name, name) == 0)
            return true;
    return false;
}

static df_status fork_items(forking *f, const df_plan *plan, df_error *err)
{
    df_status s = DF_OK;

    for (uint32_t o = 0; s == DF_OK && o < f->old->owner_count; o++) {
        const snap_owner *owner = &f->old->owners[o];

        if (owner->kind == SNAP_OFFSETS && is_sink(plan, owner->name))
            continue;
        for (uint32_t i = 0; s == DF_OK && i < owner->item_count; i++)
            s = snap_manifest_add_item(f->m, owner->kind, owner->name, owner->items[i].key_group,
                                       owner->items[i].bytes, owner->items[i].size, err);
    }
    return s;
}

static void fork_head(forking *f)
{
    snap_manifest *m = f->m;
    struct df_arena *arena = m->arena;

    *m = (snap_manifest){ .plan = f->old->plan, .snapshot = f->old->snapshot, .step = f->old->step,
                          .history = f->old->history, .generation = f->old->generation,
                          .created_ms = f->old->created_ms, .attempt = f->old->attempt,
                          .chunk_size = f->old->chunk_size, .arena = arena };
    memcpy(m->job, f->old->job, sizeof m->job);
    memcpy(m->engine, f->old->engine, sizeof m->engine);
}

/* A snapshot without a row has no part. */
static df_status fork_finish(forking *f, snap_part **part, snap_store *to, df_error *err)
{
    snap_part_info info;
    df_status s = snap_part_finish(part, &info, err);

    if (s != DF_OK)
        return s == DF_END ? DF_OK : s;
    f->m->parts[f->part] = info;
    return snap_store_ingest(to, &info.id, 1, err);
}

/* The part is in the manifest before it is known what it holds. */
static df_status fork_write(forking *f, snap_store *to, const df_plan *plan, df_error *err)
{
    snap_part_info info = { .id = { f->old->snapshot, f->old->attempt, 0 } };
    snap_part *part = NULL;
    df_status s = snap_store_part_open(to, &part, &info.id, err);

    if (s == DF_OK)
        s = snap_writer_init(&f->writer, part, f->coder, SNAP_LZ4, f->old->chunk_size, NULL, err);
    if (s == DF_OK)
        s = snap_manifest_add_part(f->m, &info, &f->part, err);
    if (s == DF_OK)
        s = fork_tables(f, err);
    if (s == DF_OK)
        s = fork_items(f, plan, err);
    if (s == DF_OK)
        s = fork_finish(f, &part, to, err);
    if (s == DF_OK)
        s = snap_manifest_seal(f->m, err);
    if (s == DF_OK)
        s = snap_store_commit(to, f->m, err);
    snap_part_abort(&part);
    snap_writer_fini(&f->writer);
    return s;
}

static df_status fork_snapshot(const char *state, snap_store *from, uint64_t snapshot, const df_plan *plan,
                               df_error *err)
{
    static df_disk disk; /* a table of functions */
    const snap_store_options options = { .readonly = false };
    forking f = { .from = from, .coder = snap_coder_new(), .m = snap_manifest_new() };
    snap_manifest *old = NULL;
    snap_store *to = NULL;
    char folder[DF_PATH_MAX];
    df_status s = coord_state_path(folder, state, "store", err);

    df_disk_posix_init(&disk);
    if (s == DF_OK && (f.coder == NULL || f.m == NULL))
        s = df_fail(err, DF_ENOMEM, "replay: out of memory");
    if (s == DF_OK)
        s = snap_store_load(from, snapshot, &old, err);
    if (s == DF_OK && (old->plan.high != plan->hash[0] || old->plan.low != plan->hash[1]))
        s = df_fail(err, DF_EINVAL, "snapshot %llu is of another version of the job", (unsigned long long)snapshot);
    if (s == DF_OK)
        s = snap_store_open_rocksdb(&to, &disk, folder, &options, err);
    if (s == DF_OK) {
        f.old = old;
        fork_head(&f);
        s = fork_write(&f, to, plan, err);
    }
    snap_store_close(&to);
    snap_manifest_free(&f.m);
    snap_manifest_free(&old);
    snap_coder_free(&f.coder);
    free(f.raw);
    free(f.written);
    return s;
}

/* ---- the log ---- */

/* Whose it is; and that orders up to the snapshot's, whose number it has, mean nothing any more. */
static df_status fork_log(const char *state, uint64_t snapshot, const df_plan *plan, df_error *err)
{
    coord_record_job job = { .plan = { plan->hash[0], plan->hash[1] } };
    proto_record skip = { .kind = PROTO_RECORD_SKIP, .number = snapshot };
    snap_record records[2] = { { .type = COORD_RECORD_JOB }, { .type = PROTO_RECORD_SKIP } };
    const snap_marks marks = { 0 };
    snap_recovery recovery;
    snap_history *history = NULL;
    proto_plan *proto = NULL;
    df_hash identity;
    df_disk disk;
    df_writer bytes[2];
    df_status s = coord_plan_make(&proto, plan, err);

    df_disk_posix_init(&disk);
    for (int i = 0; i < 2; i++)
        df_writer_init_growing(&bytes[i], COORD_RECORD_SIZE_MAX);
    if (s == DF_OK && (getrandom(&identity, sizeof identity, 0) != (ssize_t)sizeof identity ||
                       getrandom(&job.job, sizeof job.job, 0) != (ssize_t)sizeof job.job))
        s = df_fail(err, DF_EIO, "%s: no random bytes", state);
    if (s == DF_OK) {
        job.job = job.job >> 2 | 1; /* it goes through JSON, whose numbers have a sign */
        job.group_count = proto->group_count;
        coord_record_put_job(&bytes[0], &job);
        coord_record_put(&bytes[1], &skip);
        for (int i = 0; i < 2; i++) {
            records[i].bytes = bytes[i].data;
            records[i].size = (uint32_t)bytes[i].size;
        }
        s = df_writer_ok(&bytes[0]) && df_writer_ok(&bytes[1])
                ? snap_history_create(&disk, state, identity, SNAP_HISTORY_SIZE, &marks, err)
                : df_fail(err, DF_ENOMEM, "replay: out of memory");
    }
    if (s == DF_OK)
        s = snap_history_open(&history, &disk, state, &recovery, err);
    if (s == DF_OK)
        s = snap_history_append(history, records, 2, SNAP_ROOM_ORDER, err);
    snap_history_close(&history);
    for (int i = 0; i < 2; i++)
        df_writer_fini(&bytes[i]);
    coord_plan_free(&proto);
    return s;
}

df_status coord_fork_make(const char *state, snap_store *from, uint64_t snapshot, const df_plan *plan, df_error *err)
{
    df_status s;

    if (snapshot == 0)
        return DF_OK;
    s = fork_snapshot(state, from, snapshot, plan, err);
    return s == DF_OK ? fork_log(state, snapshot, plan, err) : s;
}
