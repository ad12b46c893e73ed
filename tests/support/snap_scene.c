#include "tests/support/snap_scene.h"

#include <stdlib.h>

#define SCENE_CHUNK 4096

static const weir_schema scene_birds = { 3, { { "x", WEIR_F32 }, { "mass", WEIR_F64 },
                                              { "alive", WEIR_U8 } } };
static const weir_schema scene_nests = { 0 };

scene scene_new(void)
{
    return (scene){ .rows = { 700, 11, 30, 0 }, .groups = 4, .versions = { 1, 1, 1, 1 },
                    .codec = SNAP_LZ4, .workers = 2 };
}

uint32_t scene_columns(void)
{
    return scene_birds.column_count + 1;
}

weir_type scene_type(uint32_t column)
{
    return column == 0 ? WEIR_U64 : scene_birds.columns[column - 1].type;
}

void *scene_column(const scene *s, uint32_t key_group, uint32_t column)
{
    weir_type type = scene_type(column);
    size_t width = weir_type_size(type);
    uint8_t *values = malloc(s->rows[key_group] * width + 1);

    if (values == NULL)
        abort();
    for (uint32_t i = 0; i < s->rows[key_group]; i++) {
        uint64_t seed = i * 7u + key_group * 100000u + s->versions[column] * 31u;
        float f = (float)seed / 16.0f;
        double d = (double)seed * 0.001;
        uint8_t b = (uint8_t)(seed % 3);

        if (type == WEIR_U64)
            memcpy(values + i * width, &seed, width);
        else if (type == WEIR_F32)
            memcpy(values + i * width, &f, width);
        else if (type == WEIR_F64)
            memcpy(values + i * width, &d, width);
        else
            memcpy(values + i * width, &b, width);
    }
    return values;
}

/* ---- writing ---- */

typedef struct scene_worker {
    snap_part *part;
    snap_coder *coder;
    snap_writer writer;
    snap_part_info info;
} scene_worker;

static df_status manifest_start(snap_manifest **out, snap_store *store, uint64_t number,
                                const scene *s, const char *label, df_error *err)
{
    snap_manifest *m = snap_manifest_new();
    uint32_t table;
    df_status status;

    if (m == NULL)
        abort();
    *out = m;
    m->plan = (df_hash){ 0x1234, 0x5678 };
    strcpy(m->job, "scene");
    strcpy(m->engine, "test");
    strcpy(m->label, label);
    m->snapshot = number;
    m->parent = snap_store_head(store);
    m->step = number * 10;
    m->generation = 1;
    m->attempt = (uint32_t)number + 100;
    m->chunk_size = SCENE_CHUNK;
    status = snap_manifest_add_table(m, "birds", &scene_birds, s->groups, &table, err);
    if (status == DF_OK)
        status = snap_manifest_add_table(m, "nests", &scene_nests, 1, &table, err);
    return status;
}

/* One column into the manifest: what the worker says and what the coordinator makes of it. */
static df_status write_column(snap_manifest *m, scene_worker *w, uint32_t table, uint32_t key_group,
                              uint32_t column, const void *values, uint32_t rows, df_error *err)
{
    const snap_table *t = &m->tables[table];
    snap_source source = { t->name, (uint16_t)table, (uint16_t)column, snap_column_name(t, column),
                           snap_column_type(t, column), key_group, rows, values };
    snap_written written[64];
    uint32_t count;
    snap_ref *refs = (snap_ref *)(uintptr_t)snap_manifest_refs(m, table, key_group, column, &count);
    df_status s;

    if (count > 64)
        abort();
    s = snap_write_column(&w->writer, &source, written, err);
    for (uint32_t i = 0; s == DF_OK && i < count; i++) {
        snap_part_info part = { .id = written[i].part };

        s = snap_manifest_add_part(m, &part, &refs[i].part, err);
        refs[i].stored_size = written[i].stored_size;
        refs[i].hash = written[i].hash;
    }
    return s;
}

static df_status write_groups(snap_manifest *m, const scene *s, scene_worker *workers, df_error *err)
{
    static const uint64_t nests[2] = { 5, 6 };
    df_status status = DF_OK;

    for (uint32_t g = 0; status == DF_OK && g < s->groups; g++) {
        status = snap_manifest_set_rows(m, 0, g, s->rows[g], err);
        for (uint32_t c = 0; status == DF_OK && c < scene_columns(); c++) {
            void *values = scene_column(s, g, c);

            status = write_column(m, &workers[g % s->workers], 0, g, c, values, s->rows[g], err);
            free(values);
        }
        if (status == DF_OK && g == 0) {
            status = snap_manifest_set_rows(m, 1, 0, 2, err);
            if (status == DF_OK)
                status = write_column(m, &workers[0], 1, 0, 0, nests, 2, err);
        }
    }
    return status;
}

/* A part's info is known when it is finished; parts of older snapshots have theirs in the base. */
static void manifest_set_part(snap_manifest *m, const snap_part_info *info)
{
    for (uint32_t i = 0; i < m->part_count; i++)
        if (snap_part_id_compare(&m->parts[i].id, &info->id) == 0)
            m->parts[i] = *info;
}

static df_status scene_finish(snap_store *store, snap_manifest *m, const snap_manifest *base,
                              const scene *s, scene_worker *workers, df_error *err)
{
    snap_part_id ids[2];
    uint32_t count = 0;
    df_status status = DF_OK;

    for (uint32_t i = 0; base != NULL && i < base->part_count; i++)
        manifest_set_part(m, &base->parts[i]);
    for (uint32_t w = 0; status == DF_OK && w < s->workers; w++) {
        status = snap_part_finish(&workers[w].part, &workers[w].info, err);
        if (status == DF_OK) {
            manifest_set_part(m, &workers[w].info);
            ids[count++] = workers[w].info.id;
        } else if (status == DF_END) {
            status = DF_OK; /* nothing has changed */
        }
    }
    if (status == DF_OK)
        status = snap_store_ingest(store, ids, count, err);
    if (status == DF_OK)
        status = snap_manifest_add_item(m, SNAP_OFFSETS, "log", 0, &m->step, 8, err);
    if (status == DF_OK)
        status = snap_manifest_seal(m, err);
    if (status == DF_OK && !s->abandon)
        status = snap_store_commit(store, m, err);
    return status;
}

df_status scene_commit(snap_store *store, const scene *s, uint64_t number, const char *label,
                       uint64_t *written, df_error *err)
{
    scene_worker workers[2] = { 0 };
    snap_manifest *m = NULL, *base = NULL;
    uint64_t head = snap_store_head(store), chunks = 0;
    df_status status = head == 0 ? DF_OK : snap_store_load(store, head, &base, err);

    if (status == DF_OK)
        status = manifest_start(&m, store, number, s, label, err);
    for (uint32_t w = 0; status == DF_OK && w < s->workers; w++) {
        snap_part_id id = { number, (uint32_t)number + 100, w };

        workers[w].coder = snap_coder_new();
        if (workers[w].coder == NULL)
            abort();
        status = snap_store_part_open(store, &workers[w].part, &id, err);
        if (status == DF_OK)
            snap_part_verify(workers[w].part);
        if (status == DF_OK)
            status = snap_writer_init(&workers[w].writer, workers[w].part, workers[w].coder, s->codec,
                                      SCENE_CHUNK, base, err);
    }
    if (status == DF_OK)
        status = write_groups(m, s, workers, err);
    if (status == DF_OK)
        status = scene_finish(store, m, base, s, workers, err);
    for (uint32_t w = 0; w < s->workers; w++) {
        chunks += workers[w].writer.written;
        snap_writer_fini(&workers[w].writer);
        snap_part_abort(&workers[w].part);
        snap_coder_free(&workers[w].coder);
    }
    if (written != NULL)
        *written = chunks;
    snap_manifest_free(&m);
    snap_manifest_free(&base);
    return status;
}

/* ---- reading ---- */

static df_status check_column(snap_store *store, const snap_manifest *m, const scene *s,
                              uint32_t key_group, uint32_t column, snap_coder *coder, df_error *err)
{
    size_t size = s->rows[key_group] * weir_type_size(scene_type(column));
    void *wanted = scene_column(s, key_group, column), *got = malloc(size + 1);
    df_status status;

    if (got == NULL)
        abort();
    status = snap_store_read_column(store, m, 0, key_group, column, coder, got, err);
    if (status == DF_OK && memcmp(wanted, got, size) != 0)
        status = df_fail(err, DF_EINVAL, "key group %u, column %u: WRONG ROWS", key_group, column);
    free(wanted);
    free(got);
    return status;
}

static df_status check_head(const snap_manifest *m, const scene *s, uint64_t number, df_error *err)
{
    const snap_owner *owner = snap_manifest_owner(m, SNAP_OFFSETS, "log");

    if (m->snapshot != number || m->step != number * 10 || m->table_count != 2 ||
        m->tables[0].key_groups != s->groups || owner == NULL || owner->item_count != 1)
        return df_fail(err, DF_EINVAL, "WRONG MANIFEST");
    for (uint32_t g = 0; g < s->groups; g++)
        if (m->tables[0].groups[g].rows != s->rows[g])
            return df_fail(err, DF_EINVAL, "key group %u: WRONG ROWS", g);
    return DF_OK;
}

df_status scene_check(snap_store *store, const scene *s, uint64_t number, df_error *err)
{
    snap_coder *coder = snap_coder_new();
    snap_manifest *m = NULL;
    uint64_t nests[2];
    df_status status = snap_store_load(store, number, &m, err);

    if (coder == NULL)
        abort();
    if (status == DF_OK)
        snap_store_read_ahead(store, m);
    if (status == DF_OK)
        status = check_head(m, s, number, err);
    for (uint32_t g = 0; status == DF_OK && g < s->groups; g++)
        for (uint32_t c = 0; status == DF_OK && c < scene_columns(); c++)
            status = check_column(store, m, s, g, c, coder, err);
    if (status == DF_OK)
        status = snap_store_read_column(store, m, 1, 0, 0, coder, nests, err);
    if (status == DF_OK && (nests[0] != 5 || nests[1] != 6))
        status = df_fail(err, DF_EINVAL, "nests: WRONG ROWS");
    snap_manifest_free(&m);
    snap_coder_free(&coder);
    return status;
}
