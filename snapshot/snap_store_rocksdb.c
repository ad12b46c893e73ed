/* RocksDB: the only file that knows it.
 *
 * Chunks lie in a column family of their own, which is filled by ingesting whole files and emptied by
 * deleting whole files; nothing is ever compacted there (automatic compaction is off). Their keys are big-endian, so that the parts'
 * ranges are disjoint and every file goes to the lowest level:
 *
 *   u64 snapshot   u32 attempt   u32 part   u32 key group   u16 table   u16 column   u32 chunk
 *
 * Records lie in the default column family under their number, big-endian, and are written through
 * the log, synced. What RocksDB does to a damaged log - it silently forgets what comes after - is found
 * by the store's guard.
 *
 * RocksDB's own checksums are read too, but nothing relies on them. */
#include "snapshot/snap_backend.h"
#include "snapshot/snap_rocksdb_files.h"
#include "snapshot/snap_rocksdb_watch.h"
#include "snapshot/snap_table.h"
#include "snapshot/snap_table_write.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_SIZE        SNAP_TABLE_KEY_SIZE
#define RECORD_KEY_SIZE 8
#define BLOCK_SIZE      4096       /* bytes; so a chunk has a block of its own, and is read alone */
#define WRITE_BUFFER    (16u << 20)
#define CHECKSUM_XXH3   4          /* rocksdb::kXXH3 */
#define OPENING_THREADS 4          /* not 16, which are begun also for a handful of files */
#define AHEAD_PIECE     (128u << 10)
#define AHEAD_MAX       (1ull << 30) /* more might push out again what is read first */
#define FAMILIES        2          /* 0: records, "default"; 1: chunks */

typedef struct rocks_backend {
    snap_backend backend; /* first */
    char folder[DF_PATH_MAX - 128];
    rocksdb_t *db;
    rocksdb_options_t *options, *chunk_options;
    rocksdb_block_based_table_options_t *table;
    rocksdb_column_family_handle_t *families[FAMILIES];
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    snap_rocksdb_files *files;
} rocks_backend;

typedef struct rocks_part {
    snap_part part; /* first */
    char folder[DF_PATH_MAX - 128], path[DF_PATH_MAX];
    snap_part_file *file;
    snap_table_writer writer;
} rocks_part;

/* ---- errors, keys, options ---- */

/* Turn RocksDB's text into a status. Takes the text; null means success. */
static df_status rocks_result(char *text, const char *what, const char *where, df_error *err)
{
    df_status s = DF_EIO;

    if (text == NULL)
        return DF_OK;
    if (strncmp(text, "Corruption", 10) == 0)
        s = DF_ECORRUPT;
    else if (strstr(text, "No space left") != NULL || strstr(text, "quota exceeded") != NULL)
        s = DF_ELIMIT;
    s = df_fail(err, s, "%.200s: cannot %s: %.240s", where, what, text);
    rocksdb_free(text);
    return s;
}

static df_status rocks_memory(const char *where, df_error *err)
{
    return df_fail(err, DF_ENOMEM, "%.200s: out of memory", where);
}

static void put_big(char **to, uint64_t value, size_t size)
{
    for (size_t i = size; i-- > 0;)
        *(*to)++ = (char)(uint8_t)(value >> (8 * i));
}

static uint64_t get_big(const char **from, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value = value << 8 | (uint8_t)*(*from)++;
    return value;
}

static void key_put(char key[KEY_SIZE], const snap_part_id *id, const snap_place *place)
{
    char *to = key;

    put_big(&to, id->snapshot, 8);
    put_big(&to, id->attempt, 4);
    put_big(&to, id->part, 4);
    put_big(&to, place->key_group, 4);
    put_big(&to, place->table, 2);
    put_big(&to, place->column, 2);
    put_big(&to, place->chunk, 4);
    assert(to == key + KEY_SIZE);
}

static snap_part_id key_part(const char *key)
{
    snap_part_id id;

    id.snapshot = get_big(&key, 8);
    id.attempt = (uint32_t)get_big(&key, 4);
    id.part = (uint32_t)get_big(&key, 4);
    return id;
}

/* The least and the greatest key that a part can have. */
static void key_range(char first[KEY_SIZE], char last[KEY_SIZE], const snap_part_id *id)
{
    static const snap_place least, greatest = { UINT32_MAX, UINT16_MAX, UINT16_MAX, UINT32_MAX };

    key_put(first, id, &least);
    key_put(last, id, &greatest);
}

static rocksdb_block_based_table_options_t *rocks_table(void)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

    rocksdb_block_based_options_set_block_size(table, BLOCK_SIZE);
    rocksdb_block_based_options_set_checksum(table, CHECKSUM_XXH3);
    rocksdb_block_based_options_set_no_block_cache(table, 1);
    return table;
}

static rocksdb_options_t *rocks_options(rocksdb_block_based_table_options_t *table, bool chunks)
{
    rocksdb_options_t *options = rocksdb_options_create();

    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_create_missing_column_families(options, 1);
    rocksdb_options_set_paranoid_checks(options, 1);
    rocksdb_options_set_disable_auto_compactions(options, chunks);
    rocksdb_options_set_write_buffer_size(options, WRITE_BUFFER);
    rocksdb_options_set_max_file_opening_threads(options, OPENING_THREADS);
    return options;
}

/* ---- parts ---- */

void snap_rocksdb_part_path(char path[DF_PATH_MAX], const char *folder, const snap_part_id *id)
{
    snprintf(path, DF_PATH_MAX, "%s/incoming/%" PRIu64 "-%u-%u.sst", folder, id->snapshot, id->attempt,
             id->part);
}

static uint8_t *rocks_part_room(snap_part *part)
{
    return snap_table_room(&((rocks_part *)part)->writer);
}

static df_status rocks_part_put(snap_part *part, const snap_place *place, const uint8_t *bytes,
                                size_t size, df_error *err)
{
    rocks_part *p = (rocks_part *)part;
    char key[KEY_SIZE];

    key_put(key, &part->info.id, place);
    return snap_table_put(&p->writer, key, bytes, size, err);
}

static df_status rocks_part_finish(snap_part *part, df_error *err)
{
    rocks_part *p = (rocks_part *)part;
    char incoming[DF_PATH_MAX];
    df_disk disk;
    df_status s = snap_table_end(&p->writer, err);

    if (s == DF_OK)
        s = snap_part_file_sync(p->file, err);
    snap_part_file_close(&p->file);
    if (s != DF_OK)
        return s;
    df_disk_posix_init(&disk);
    snprintf(incoming, sizeof incoming, "%s/incoming", p->folder);
    return df_disk_sync_folder(&disk, incoming, err);
}

typedef struct rocks_reading {
    snap_part_each *each;
    void *user;
    const snap_part_id *id;
    bool wrong; /* a key is none of the part's */
} rocks_reading;

static void reading_key(void *user, const char *key, size_t key_size, const char *value, size_t value_size)
{
    rocks_reading *r = user;
    snap_place place;
    snap_part_id id;

    if (key_size != KEY_SIZE) {
        r->wrong = true;
        return;
    }
    id = key_part(key);
    r->wrong |= snap_part_id_compare(&id, r->id) != 0;
    key += KEY_SIZE - 12;
    place.key_group = (uint32_t)get_big(&key, 4);
    place.table = (uint16_t)get_big(&key, 2);
    place.column = (uint16_t)get_big(&key, 2);
    place.chunk = (uint32_t)get_big(&key, 4);
    r->each(r->user, &place, (const uint8_t *)value, value_size);
}

static df_status part_file_read(const char *path, rocks_reading *r, df_error *err)
{
    rocksdb_block_based_table_options_t *table = rocks_table();
    rocksdb_options_t *options = rocks_options(table, true);
    df_disk disk;
    df_status s;

    df_disk_posix_init(&disk);
    s = snap_table_check(&disk, path, err);
    if (s == DF_OK)
        s = rocks_result(snap_rocksdb_read(options, path, reading_key, r), "read", path, err);
    if (s == DF_OK && r->wrong)
        s = df_fail(err, DF_ECORRUPT, "%s: it holds another part's chunks", path);
    rocksdb_options_destroy(options);
    rocksdb_block_based_options_destroy(table);
    return s;
}

/* What the system still has of it in memory would only say what was written. */
static df_status rocks_part_read(snap_part *part, snap_part_each *each, void *user, df_error *err)
{
    rocks_part *p = (rocks_part *)part;
    rocks_reading r = { each, user, &part->info.id, false };
    int fd = open(p->path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    return part_file_read(p->path, &r, err);
}

static void reading_nothing(void *user, const snap_place *place, const uint8_t *bytes, size_t size)
{
    (void)user;
    (void)place;
    (void)bytes;
    (void)size;
}

df_status snap_rocksdb_part_check(const char *folder, const snap_part_id *id, df_error *err)
{
    rocks_reading r = { reading_nothing, NULL, id, false };
    char path[DF_PATH_MAX];

    snap_rocksdb_part_path(path, folder, id);
    return part_file_read(path, &r, err);
}

static void rocks_part_free(snap_part *part, bool keep)
{
    rocks_part *p = (rocks_part *)part;

    snap_table_writer_fini(&p->writer);
    snap_part_file_close(&p->file);
    if (!keep)
        unlink(p->path);
    free(p);
}

static const snap_part_calls rocks_part_calls = { rocks_part_room, rocks_part_put, rocks_part_finish,
                                                  rocks_part_read, rocks_part_free };

df_status snap_rocksdb_part_open(snap_part **out, const char *folder, const snap_part_id *id,
                                 df_error *err)
{
    rocks_part *p = calloc(1, sizeof *p);
    df_status s;

    *out = NULL;
    if (p == NULL)
        return rocks_memory(folder, err);
    p->part = (snap_part){ .calls = &rocks_part_calls, .info = { .id = *id } };
    snprintf(p->folder, sizeof p->folder, "%s", folder);
    snap_rocksdb_part_path(p->path, p->folder, id);
    s = snap_part_file_open(&p->file, p->path, err);
    snap_table_writer_init(&p->writer, p->file);
    if (s == DF_OK)
        *out = &p->part;
    else
        rocks_part_free(&p->part, true);
    return s;
}

static df_status rocks_part_open(snap_backend *backend, snap_part **out, const snap_part_id *id,
                                 df_error *err)
{
    return snap_rocksdb_part_open(out, ((rocks_backend *)backend)->folder, id, err);
}

/* ---- the files of the chunks ---- */

/* Call `each` for every file of chunks. Keys of another length are none of ours and are passed over. */
static df_status rocks_each_file(rocks_backend *b, void (*each)(void *user, const char *name,
                                                               const char *first, const char *last),
                                 void *user, df_error *err)
{
    const rocksdb_livefiles_t *files = rocksdb_livefiles(b->db);

    if (files == NULL)
        return rocks_memory(b->folder, err);
    for (int i = 0; i < rocksdb_livefiles_count(files); i++) {
        size_t first_size, last_size;
        const char *first = rocksdb_livefiles_smallestkey(files, i, &first_size);
        const char *last = rocksdb_livefiles_largestkey(files, i, &last_size);

        if (strcmp(rocksdb_livefiles_column_family_name(files, i), "chunks") == 0 &&
            first_size == KEY_SIZE && last_size == KEY_SIZE)
            each(user, rocksdb_livefiles_name(files, i), first, last);
    }
    rocksdb_livefiles_destroy(files);
    return DF_OK;
}

typedef struct rocks_each {
    void (*each)(void *user, const snap_part_id *id);
    void *user;
} rocks_each;

static void each_part_file(void *user, const char *name, const char *first, const char *last)
{
    rocks_each *e = user;
    snap_part_id id = key_part(first);

    (void)name;
    (void)last;
    e->each(e->user, &id);
}

static df_status rocks_each_part(snap_backend *backend,
                                 void (*each)(void *user, const snap_part_id *id), void *user,
                                 df_error *err)
{
    rocks_each e = { each, user };

    return rocks_each_file((rocks_backend *)backend, each_part_file, &e, err);
}

typedef struct rocks_search {
    const char *key;
    char *path;
    const char *folder;
} rocks_search;

static void search_file(void *user, const char *name, const char *first, const char *last)
{
    rocks_search *s = user;

    if (memcmp(first, s->key, KEY_SIZE) <= 0 && memcmp(s->key, last, KEY_SIZE) <= 0)
        snprintf(s->path, DF_PATH_MAX, "%s/db%s", s->folder, name);
}

static void rocks_file_of(snap_backend *backend, const snap_part_id *id, const snap_place *place,
                          char path[DF_PATH_MAX])
{
    rocks_backend *b = (rocks_backend *)backend;
    char key[KEY_SIZE];
    rocks_search search = { key, path, b->folder };

    snprintf(path, DF_PATH_MAX, "%s/db", b->folder);
    key_put(key, id, place);
    if (rocks_each_file(b, search_file, &search, NULL) != DF_OK)
        return;
}

typedef struct rocks_ahead {
    const char *folder;
    const snap_part_info *parts; /* [count], ascending */
    uint32_t count;
    uint64_t left; /* bytes that may still be asked for */
} rocks_ahead;

static int ahead_compare(const void *id, const void *info)
{
    return snap_part_id_compare(id, &((const snap_part_info *)info)->id);
}

/* The system reads no more than a piece for each time that it is asked. */
static void ahead_file(void *user, const char *name, const char *first, const char *last)
{
    rocks_ahead *a = user;
    snap_part_id id = key_part(first);
    const snap_part_info *info = bsearch(&id, a->parts, a->count, sizeof *a->parts, ahead_compare);
    uint64_t size = info == NULL ? 0 : info->stored_size;
    char path[DF_PATH_MAX];
    int fd;

    (void)last;
    if (size == 0 || size > a->left || snprintf(path, sizeof path, "%s/db%s", a->folder, name) >= (int)sizeof path)
        return;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) /* who reads it will say why */
        return;
    a->left -= size;
    for (uint64_t at = 0; at < size; at += AHEAD_PIECE)
        posix_fadvise(fd, (off_t)at, AHEAD_PIECE, POSIX_FADV_WILLNEED);
    close(fd);
}

/* Chunks are read one by one, and parts were written past the system's memory: without this the disk would be waited for
 * at each, six times as long as for all. */
static void rocks_read_ahead(snap_backend *backend, const snap_part_info *parts, uint32_t count)
{
    rocks_backend *b = (rocks_backend *)backend;
    rocks_ahead ahead = { b->folder, parts, count, AHEAD_MAX };

    if (count > 0 && rocks_each_file(b, ahead_file, &ahead, NULL) != DF_OK)
        return;
}

static df_status rocks_drop(snap_backend *backend, const snap_part_id *id, df_error *err)
{
    rocks_backend *b = (rocks_backend *)backend;
    char first[KEY_SIZE], last[KEY_SIZE], *text = NULL;

    key_range(first, last, id);
    rocksdb_delete_file_in_range_cf(b->db, b->families[1], first, sizeof first, last, sizeof last,
                                    &text);
    return rocks_result(text, "delete a part", b->folder, err);
}

/* A file that overlaps nothing needs no new sequence number; one that would, is refused, because it
 * must be a part that was taken in before. */
static df_status rocks_ingest(snap_backend *backend, const snap_part_id *ids, uint32_t count,
                              df_error *err)
{
    rocks_backend *b = (rocks_backend *)backend;
    char (*paths)[DF_PATH_MAX] = calloc(count, sizeof *paths), *text = NULL;
    const char **list = calloc(count, sizeof *list);
    rocksdb_ingestexternalfileoptions_t *options;

    if (paths == NULL || list == NULL) {
        free(paths);
        free(list);
        return rocks_memory(b->folder, err);
    }
    for (uint32_t i = 0; i < count; i++) {
        snap_rocksdb_part_path(paths[i], b->folder, &ids[i]);
        list[i] = paths[i];
    }
    options = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(options, 1);
    rocksdb_ingestexternalfileoptions_set_allow_global_seqno(options, 0);
    rocksdb_ingest_external_file_cf(b->db, b->families[1], list, count, options, &text);
    rocksdb_ingestexternalfileoptions_destroy(options);
    free(paths);
    free(list);
    return rocks_result(text, "take in parts", b->folder, err);
}

static df_status rocks_clear_incoming(snap_backend *backend, uint64_t last, df_error *err)
{
    rocks_backend *b = (rocks_backend *)backend;
    char incoming[DF_PATH_MAX], path[DF_PATH_MAX];
    df_disk disk;
    df_names names;
    df_status s;

    df_disk_posix_init(&disk);
    snprintf(incoming, sizeof incoming, "%s/incoming", b->folder);
    s = df_disk_list(&disk, &names, incoming, err);
    for (size_t i = 0; s == DF_OK && i < names.count; i++) {
        int length = snprintf(path, sizeof path, "%s/incoming/%s", b->folder, names.names[i]);

        if (strtoull(names.names[i], NULL, 10) > last)
            continue;
        if (length > 0 && (size_t)length < sizeof path)
            s = df_disk_remove(&disk, path, err);
        if (s == DF_END) /* its worker was faster */
            s = DF_OK;
    }
    df_names_fini(&names);
    return s;
}

/* ---- reading ---- */

static void blob_destroy(void *owner)
{
    rocksdb_pinnableslice_destroy(owner);
}

static df_status rocks_get(rocks_backend *b, int family, const char *key, size_t key_size,
                           snap_blob *out, df_error *err)
{
    char *text = NULL;
    rocksdb_pinnableslice_t *slice = rocksdb_get_pinned_cf(b->db, b->read, b->families[family], key,
                                                           key_size, &text);

    *out = (snap_blob){ 0 };
    if (text != NULL)
        return rocks_result(text, "read", b->folder, err);
    if (slice == NULL)
        return df_fail(err, DF_END, "%s: it is not there", b->folder);
    out->bytes = (const uint8_t *)rocksdb_pinnableslice_value(slice, &out->size);
    out->owner = slice;
    out->release = blob_destroy;
    return DF_OK;
}

static df_status rocks_get_chunk(snap_backend *backend, const snap_part_id *id,
                                 const snap_place *place, snap_blob *out, df_error *err)
{
    char key[KEY_SIZE];

    key_put(key, id, place);
    return rocks_get((rocks_backend *)backend, 1, key, sizeof key, out, err);
}

static df_status rocks_get_record(snap_backend *backend, uint64_t record, snap_blob *out,
                                  df_error *err)
{
    char key[RECORD_KEY_SIZE], *to = key;

    put_big(&to, record, sizeof key);
    return rocks_get((rocks_backend *)backend, 0, key, sizeof key, out, err);
}

static df_status rocks_each_record(snap_backend *backend, void (*each)(void *user, uint64_t record),
                                   void *user, df_error *err)
{
    rocks_backend *b = (rocks_backend *)backend;
    rocksdb_iterator_t *at = rocksdb_create_iterator_cf(b->db, b->read, b->families[0]);
    char *text = NULL;

    for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at); rocksdb_iter_next(at)) {
        size_t size;
        const char *key = rocksdb_iter_key(at, &size);

        if (size == RECORD_KEY_SIZE)
            each(user, get_big(&key, size));
    }
    rocksdb_iter_get_error(at, &text);
    rocksdb_iter_destroy(at);
    return rocks_result(text, "list snapshots", b->folder, err);
}

static df_status rocks_change(snap_backend *backend, const snap_change *changes, uint32_t count,
                              df_error *err)
{
    rocks_backend *b = (rocks_backend *)backend;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    char *text = NULL;

    for (uint32_t i = 0; i < count; i++) {
        char key[RECORD_KEY_SIZE], *to = key;

        put_big(&to, changes[i].record, sizeof key);
        if (changes[i].bytes == NULL)
            rocksdb_writebatch_delete_cf(batch, b->families[0], key, sizeof key);
        else
            rocksdb_writebatch_put_cf(batch, b->families[0], key, sizeof key,
                                      (const char *)changes[i].bytes, changes[i].size);
    }
    rocksdb_write(b->db, b->write, batch, &text);
    rocksdb_writebatch_destroy(batch);
    return rocks_result(text, "commit", b->folder, err);
}

/* ---- life ---- */

static void rocks_patient(snap_backend *backend, bool patient)
{
    snap_rocksdb_files_patient(((rocks_backend *)backend)->files, patient);
}

static bool rocks_waiting(const snap_backend *backend)
{
    return snap_rocksdb_files_waiting(((const rocks_backend *)backend)->files);
}

/* Column families must be given back before the database, or RocksDB aborts. */
static void rocks_close(snap_backend *backend)
{
    rocks_backend *b = (rocks_backend *)backend;

    for (int i = 0; i < FAMILIES; i++)
        if (b->families[i] != NULL)
            rocksdb_column_family_handle_destroy(b->families[i]);
    if (b->db != NULL)
        rocksdb_close(b->db);
    if (b->read != NULL)
        rocksdb_readoptions_destroy(b->read);
    if (b->write != NULL)
        rocksdb_writeoptions_destroy(b->write);
    rocksdb_options_destroy(b->options);
    rocksdb_options_destroy(b->chunk_options);
    rocksdb_block_based_options_destroy(b->table);
    snap_rocksdb_files_free(&b->files);
    free(b);
}

static const snap_backend_calls rocks_calls = {
    .close = rocks_close,
    .part_open = rocks_part_open,
    .ingest = rocks_ingest,
    .drop = rocks_drop,
    .each_part = rocks_each_part,
    .clear_incoming = rocks_clear_incoming,
    .get_chunk = rocks_get_chunk,
    .get_record = rocks_get_record,
    .each_record = rocks_each_record,
    .change = rocks_change,
    .file_of = rocks_file_of,
    .read_ahead = rocks_read_ahead,
    .patient = rocks_patient,
    .waiting = rocks_waiting,
};

/* Look at the tables that RocksDB will open; one may go while a job works on the store. */
static df_status rocks_check_tables(const char *db, df_error *err)
{
    char path[DF_PATH_MAX];
    df_names names;
    df_disk disk;
    df_status s;

    df_disk_posix_init(&disk);
    s = df_disk_list(&disk, &names, db, err);
    for (size_t i = 0; s == DF_OK && i < names.count; i++) {
        const char *end = strrchr(names.names[i], '.');
        int length = snprintf(path, sizeof path, "%s/%s", db, names.names[i]);

        if (end == NULL || strcmp(end, ".sst") != 0 || (size_t)length >= sizeof path)
            continue;
        s = snap_table_check(&disk, path, err);
        if (s == DF_END)
            s = DF_OK;
    }
    df_names_fini(&names);
    return s;
}

/* A database is made in two steps, and a process that ends in between leaves one without chunks, which
 * is none yet: DF_END. */
static df_status rocks_check_families(rocks_backend *b, const char *path, df_error *err)
{
    char *text = NULL, **names;
    size_t count = 0;

    names = rocksdb_list_column_families(b->options, path, &count, &text);
    if (text != NULL)
        return rocks_result(text, "open", path, err);
    rocksdb_list_column_families_destroy(names, count);
    return count < FAMILIES ? df_fail(err, DF_END, "%s: it was not finished", path) : DF_OK;
}

static df_status rocks_open_db(rocks_backend *b, const char *path, bool readonly, df_error *err)
{
    static const char *const names[FAMILIES] = { "default", "chunks" };
    const rocksdb_options_t *options[FAMILIES] = { b->options, b->chunk_options };
    char *text = NULL;

    if (readonly)
        b->db = rocksdb_open_for_read_only_column_families(b->options, path, FAMILIES, names, options,
                                                           b->families, 0, &text);
    else
        b->db = rocksdb_open_column_families(b->options, path, FAMILIES, names, options, b->families,
                                             &text);
    return rocks_result(text, "open", path, err);
}

void snap_rocksdb_look(snap_rocksdb_place *place, const char *folder)
{
    char path[DF_PATH_MAX + 128];
    struct stat about;
    FILE *current;

    *place = (snap_rocksdb_place){ .size = -1 };
    snprintf(path, sizeof path, "%s/db/CURRENT", folder);
    current = fopen(path, "re");
    if (current == NULL)
        return;
    if (fgets(place->list, sizeof place->list, current) != NULL)
        place->list[strcspn(place->list, "\n")] = '\0';
    fclose(current);
    snprintf(path, sizeof path, "%s/db/%s", folder, place->list);
    if (stat(path, &about) == 0)
        place->size = about.st_size;
}

/* FOLDER/db and FOLDER/incoming, their names and FOLDER's durable. RocksDB syncs no folder above its own. */
static df_status rocks_make_folders(const char *folder, const char *db, df_error *err)
{
    char incoming[DF_PATH_MAX], above[DF_PATH_MAX];
    df_disk disk;
    df_status s;

    df_disk_posix_init(&disk);
    snprintf(incoming, sizeof incoming, "%s/incoming", folder);
    s = df_disk_make_folder(&disk, db, err);
    if (s == DF_OK)
        s = df_disk_make_folder(&disk, incoming, err);
    if (s == DF_OK)
        s = df_disk_sync_folder(&disk, folder, err);
    snprintf(above, sizeof above, "%s/..", folder);
    return s == DF_OK ? df_disk_sync_folder(&disk, above, err) : s;
}

df_status snap_rocksdb_open(snap_backend **out, const char *folder, bool readonly, df_error *err)
{
    rocks_backend *b = calloc(1, sizeof *b);
    char db[DF_PATH_MAX], current[DF_PATH_MAX + 16];
    df_status s = DF_OK;

    *out = NULL;
    if (b == NULL)
        return rocks_memory(folder, err);
    b->backend.calls = &rocks_calls;
    b->table = rocks_table();
    b->options = rocks_options(b->table, false);
    b->chunk_options = rocks_options(b->table, true);
    snap_rocksdb_watch(b->options);
    b->files = snap_rocksdb_files_new(b->options);
    b->read = rocksdb_readoptions_create();
    b->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(b->write, 1);
    snprintf(b->folder, sizeof b->folder, "%s", folder);
    snprintf(db, sizeof db, "%s/db", b->folder);
    snprintf(current, sizeof current, "%s/CURRENT", db);
    if (b->files == NULL)
        s = rocks_memory(folder, err);
    else if (strlen(folder) >= sizeof b->folder)
        s = df_fail(err, DF_EINVAL, "%.200s...: the path is too long", folder);
    else if (readonly && access(current, F_OK) != 0)
        s = df_fail(err, DF_END, "%s: there is no store of snapshots", folder);
    else if (!readonly)
        s = rocks_make_folders(folder, db, err);
    if (s == DF_OK && readonly)
        s = rocks_check_families(b, db, err);
    if (s == DF_OK)
        s = rocks_check_tables(db, err);
    if (s == DF_OK)
        s = rocks_open_db(b, db, readonly, err);
    if (s == DF_OK)
        *out = &b->backend;
    else
        rocks_close(&b->backend);
    return s;
}
