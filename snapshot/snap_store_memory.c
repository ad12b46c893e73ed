/* The store in memory: lists, searched from the front. */
#include "snapshot/snap_backend.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct memory_chunk {
    snap_place place;
    uint8_t *bytes;
    size_t size;
} memory_chunk;

typedef struct memory_file {
    snap_part_id id;
    bool ingested;
    uint32_t count;
    memory_chunk *chunks;
} memory_file;

typedef struct memory_record {
    uint64_t record;
    uint8_t *bytes;
    size_t size;
} memory_record;

struct snap_memory {
    size_t file_count, record_count;
    memory_file *files;
    memory_record *records; /* ascending */
    uint64_t calls, fail_call;
    bool fail_done;
};

typedef struct memory_part {
    snap_part part; /* first */
    snap_memory *memory;
    memory_file file;
    uint8_t room[SNAP_CHUNK_SIZE_MAX];
} memory_part;

typedef struct memory_backend {
    snap_backend backend; /* first */
    snap_memory *memory;
} memory_backend;

static df_status memory_full(df_error *err)
{
    return df_fail(err, DF_ENOMEM, "store in memory: out of memory");
}

/* Count a change. DF_OK or the failure that was asked for; *act says whether to do it. */
static df_status memory_enter(snap_memory *m, bool *act, df_error *err)
{
    m->calls++;
    *act = m->fail_call == 0 || m->calls < m->fail_call || (m->calls == m->fail_call && m->fail_done);
    if (m->fail_call == 0 || m->calls < m->fail_call)
        return DF_OK;
    return df_fail(err, DF_EIO, "store in memory: failed as told");
}

static void file_fini(memory_file *file)
{
    for (uint32_t i = 0; i < file->count; i++)
        free(file->chunks[i].bytes);
    free(file->chunks);
    *file = (memory_file){ 0 };
}

static memory_file *file_find(snap_memory *m, const snap_part_id *id)
{
    for (size_t i = 0; i < m->file_count; i++)
        if (snap_part_id_compare(&m->files[i].id, id) == 0)
            return &m->files[i];
    return NULL;
}

static void file_remove(snap_memory *m, memory_file *file)
{
    file_fini(file);
    *file = m->files[--m->file_count];
}

/* ---- parts ---- */

static uint8_t *memory_part_room(snap_part *part)
{
    return ((memory_part *)part)->room;
}

static df_status memory_part_put(snap_part *part, const snap_place *place, const uint8_t *bytes,
                                 size_t size, df_error *err)
{
    memory_file *file = &((memory_part *)part)->file;
    memory_chunk *chunks = realloc(file->chunks, (file->count + 1) * sizeof *chunks);
    uint8_t *copy = malloc(size);

    if (chunks != NULL)
        file->chunks = chunks;
    if (chunks == NULL || copy == NULL) {
        free(copy);
        return memory_full(err);
    }
    memcpy(copy, bytes, size);
    chunks[file->count++] = (memory_chunk){ *place, copy, size };
    return DF_OK;
}

static df_status memory_part_finish(snap_part *part, df_error *err)
{
    memory_part *p = (memory_part *)part;
    snap_memory *m = p->memory;
    bool act;
    df_status s = memory_enter(m, &act, err);
    memory_file *old = file_find(m, &p->file.id), *files;

    if (!act)
        return s;
    if (old != NULL)
        file_remove(m, old);
    files = realloc(m->files, (m->file_count + 1) * sizeof *files);
    if (files == NULL)
        return memory_full(err);
    m->files = files;
    files[m->file_count++] = p->file;
    p->file = (memory_file){ 0 };
    return s;
}

static df_status memory_part_read(snap_part *part, snap_part_each *each, void *user, df_error *err)
{
    memory_part *p = (memory_part *)part;
    const memory_file *file = file_find(p->memory, &part->info.id);

    if (file == NULL)
        return df_fail(err, DF_ECORRUPT, "store in memory: the part is missing");
    for (uint32_t i = 0; i < file->count; i++)
        each(user, &file->chunks[i].place, file->chunks[i].bytes, file->chunks[i].size);
    return DF_OK;
}

static void memory_part_free(snap_part *part, bool keep)
{
    (void)keep;
    file_fini(&((memory_part *)part)->file);
    free(part);
}

static const snap_part_calls memory_part_calls = { memory_part_room, memory_part_put, memory_part_finish,
                                                   memory_part_read, memory_part_free };

/* ---- the table ---- */

static snap_memory *memory_of(snap_backend *backend)
{
    return ((memory_backend *)backend)->memory;
}

static void memory_close(snap_backend *backend)
{
    free(backend);
}

static df_status memory_part_open(snap_backend *backend, snap_part **out, const snap_part_id *id,
                                  df_error *err)
{
    memory_part *p = calloc(1, sizeof *p);

    *out = NULL;
    if (p == NULL)
        return memory_full(err);
    p->part = (snap_part){ .calls = &memory_part_calls, .info = { .id = *id } };
    p->memory = memory_of(backend);
    p->file.id = *id;
    *out = &p->part;
    return DF_OK;
}

static df_status memory_ingest(snap_backend *backend, const snap_part_id *ids, uint32_t count,
                               df_error *err)
{
    snap_memory *m = memory_of(backend);
    bool act;
    df_status s = memory_enter(m, &act, err);

    for (uint32_t i = 0; act && i < count; i++) {
        memory_file *file = file_find(m, &ids[i]);

        if (file == NULL || file->ingested)
            return df_fail(err, DF_EIO, "store in memory: there is no such part");
        file->ingested = true;
    }
    return s;
}

static df_status memory_drop(snap_backend *backend, const snap_part_id *id, df_error *err)
{
    snap_memory *m = memory_of(backend);
    memory_file *file = file_find(m, id);
    bool act;
    df_status s = memory_enter(m, &act, err);

    if (act && file != NULL)
        file_remove(m, file);
    return s;
}

static df_status memory_each_part(snap_backend *backend,
                                  void (*each)(void *user, const snap_part_id *id), void *user,
                                  df_error *err)
{
    snap_memory *m = memory_of(backend);

    (void)err;
    for (size_t i = 0; i < m->file_count; i++)
        if (m->files[i].ingested)
            each(user, &m->files[i].id);
    return DF_OK;
}

static df_status memory_clear_incoming(snap_backend *backend, uint64_t last, df_error *err)
{
    snap_memory *m = memory_of(backend);

    (void)err;
    for (size_t i = m->file_count; i-- > 0;)
        if (!m->files[i].ingested && m->files[i].id.snapshot <= last)
            file_remove(m, &m->files[i]);
    return DF_OK;
}

static df_status memory_get_chunk(snap_backend *backend, const snap_part_id *id,
                                  const snap_place *place, snap_blob *out, df_error *err)
{
    memory_file *file = file_find(memory_of(backend), id);
    size_t size;
    uint8_t *bytes = file == NULL || !file->ingested
                         ? NULL : snap_memory_chunk(memory_of(backend), id, place, &size);

    *out = (snap_blob){ 0 };
    if (bytes == NULL)
        return df_fail(err, DF_END, "store in memory: there is no such chunk");
    *out = (snap_blob){ .bytes = bytes, .size = size };
    return DF_OK;
}

static memory_record *record_find(snap_memory *m, uint64_t record)
{
    for (size_t i = 0; i < m->record_count; i++)
        if (m->records[i].record == record)
            return &m->records[i];
    return NULL;
}

static df_status memory_get_record(snap_backend *backend, uint64_t record, snap_blob *out,
                                   df_error *err)
{
    memory_record *found = record_find(memory_of(backend), record);
    uint8_t *copy;

    *out = (snap_blob){ 0 };
    if (found == NULL)
        return df_fail(err, DF_END, "store in memory: there is no such record");
    copy = malloc(found->size + 1);
    if (copy == NULL)
        return memory_full(err);
    memcpy(copy, found->bytes, found->size);
    *out = (snap_blob){ copy, found->size, copy, free };
    return DF_OK;
}

static df_status memory_each_record(snap_backend *backend, void (*each)(void *user, uint64_t record),
                                    void *user, df_error *err)
{
    snap_memory *m = memory_of(backend);

    (void)err;
    for (size_t i = 0; i < m->record_count; i++)
        each(user, m->records[i].record);
    return DF_OK;
}

static int record_compare(const void *a, const void *b)
{
    uint64_t x = ((const memory_record *)a)->record, y = ((const memory_record *)b)->record;

    return (x > y) - (x < y);
}

/* Out of memory in the middle would leave half a change, so all is got before anything is done. */
static df_status memory_change(snap_backend *backend, const snap_change *changes, uint32_t count,
                               df_error *err)
{
    snap_memory *m = memory_of(backend);
    bool act;
    df_status s = memory_enter(m, &act, err);
    memory_record *records = act ? calloc(m->record_count + count, sizeof *records) : NULL;
    size_t left = 0;

    if (!act)
        return s;
    if (records == NULL)
        return memory_full(err);
    for (uint32_t i = 0; i < count; i++) {
        if (changes[i].bytes == NULL)
            continue;
        records[left] = (memory_record){ changes[i].record, malloc(changes[i].size + 1),
                                         changes[i].size };
        if (records[left].bytes == NULL) {
            while (left > 0)
                free(records[--left].bytes);
            free(records);
            return memory_full(err);
        }
        memcpy(records[left++].bytes, changes[i].bytes, changes[i].size);
    }
    for (size_t r = 0; r < m->record_count; r++) {
        bool changed = false;

        for (uint32_t i = 0; i < count; i++)
            changed |= changes[i].record == m->records[r].record;
        if (changed)
            free(m->records[r].bytes);
        else
            records[left++] = m->records[r];
    }
    free(m->records);
    m->records = records;
    m->record_count = left;
    qsort(records, left, sizeof *records, record_compare);
    return s;
}

static void memory_file_of(snap_backend *backend, const snap_part_id *id, const snap_place *place,
                           char path[DF_PATH_MAX])
{
    (void)backend;
    (void)place;
    snprintf(path, DF_PATH_MAX, "memory/%llu-%u-%u", (unsigned long long)id->snapshot, id->attempt,
             id->part);
}

static const snap_backend_calls memory_calls = {
    .close = memory_close,
    .part_open = memory_part_open,
    .ingest = memory_ingest,
    .drop = memory_drop,
    .each_part = memory_each_part,
    .clear_incoming = memory_clear_incoming,
    .get_chunk = memory_get_chunk,
    .get_record = memory_get_record,
    .each_record = memory_each_record,
    .change = memory_change,
    .file_of = memory_file_of,
};

/* ---- life ---- */

snap_memory *snap_memory_new(void)
{
    return calloc(1, sizeof(snap_memory));
}

void snap_memory_free(snap_memory **memory)
{
    snap_memory *m = *memory;

    if (m == NULL)
        return;
    *memory = NULL;
    for (size_t i = 0; i < m->file_count; i++)
        file_fini(&m->files[i]);
    for (size_t i = 0; i < m->record_count; i++)
        free(m->records[i].bytes);
    free(m->files);
    free(m->records);
    free(m);
}

df_status snap_memory_open(snap_backend **out, snap_memory *memory, df_error *err)
{
    memory_backend *b = calloc(1, sizeof *b);

    *out = NULL;
    if (b == NULL)
        return memory_full(err);
    b->backend.calls = &memory_calls;
    b->memory = memory;
    *out = &b->backend;
    return DF_OK;
}

uint64_t snap_memory_calls(const snap_memory *memory)
{
    return memory->calls;
}

void snap_memory_fail(snap_memory *memory, uint64_t call, bool done)
{
    memory->calls = 0;
    memory->fail_call = call;
    memory->fail_done = done;
}

uint8_t *snap_memory_chunk(snap_memory *memory, const snap_part_id *id, const snap_place *place,
                           size_t *size)
{
    memory_file *file = file_find(memory, id);

    *size = 0;
    for (uint32_t i = 0; file != NULL && i < file->count; i++)
        if (snap_place_compare(&file->chunks[i].place, place) == 0) {
            *size = file->chunks[i].size;
            return file->chunks[i].bytes;
        }
    return NULL;
}
