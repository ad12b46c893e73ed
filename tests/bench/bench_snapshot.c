/* Writing a snapshot, one thread, beside write() and fdatasync() of the same bytes: in turns,
 * medians, a JSON line for each figure. And what an unchanged state writes.
 *
 *   bench_snapshot FOLDER [MIB [RUNS]]     256 MiB of columns, 5 runs; FOLDER is made and removed
 */
#include "snapshot/snap_store.h"
#include "snapshot/snap_write.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROWS 131072u /* of a key group: 4 MiB in 7 columns, the keys among them */
#define COLUMNS 7u
#define GROUP_MIB 4u
#define CHUNK (1u << 20)
#define RUNS_MAX 99

static const weir_schema schema = { COLUMNS - 1,
                                    { { "x", WEIR_F32 },
                                      { "y", WEIR_F32 },
                                      { "z", WEIR_F32 },
                                      { "vx", WEIR_F32 },
                                      { "vy", WEIR_F32 },
                                      { "vz", WEIR_F32 } } };

typedef struct bench {
    const char *folder;
    snap_store *store;
    snap_coder *coder;
    uint64_t number; /* of the last snapshot */
    uint32_t groups;
    uint8_t **columns; /* [groups * COLUMNS] */
} bench;

static void need(df_status s, const df_error *err)
{
    if (s == DF_OK)
        return;
    fprintf(stderr, "bench_snapshot: %s\n", err->text);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t column_size(uint32_t column)
{
    return ROWS * (size_t)(column == 0 ? 8 : 4);
}

/* Keys that ascend, and numbers from 0 to 1 with all their bits: hardly compressible. */
static void fill(bench *b)
{
    uint64_t lot = 1;

    for (uint32_t i = 0; i < b->groups * COLUMNS; i++) {
        b->columns[i] = malloc(column_size(i % COLUMNS));
        if (b->columns[i] == NULL)
            need(DF_ENOMEM, &(df_error){ .text = "out of memory" });
        for (uint32_t r = 0; r < ROWS; r++) {
            uint64_t key = (uint64_t)(i / COLUMNS) * ROWS + r;
            float value;

            lot = lot * 6364136223846793005u + 1442695040888963407u;
            value = (float)(lot >> 40) * 0x1p-24f;
            if (i % COLUMNS == 0)
                memcpy(b->columns[i] + r * sizeof key, &key, sizeof key);
            else
                memcpy(b->columns[i] + r * sizeof value, &value, sizeof value);
        }
    }
}

/* ---- the two ---- */

static void write_column(bench *b, snap_manifest *m, snap_writer *writer, uint32_t g, uint32_t c)
{
    snap_source source = { "rows",
                           0,
                           (uint16_t)c,
                           snap_column_name(&m->tables[0], c),
                           snap_column_type(&m->tables[0], c),
                           g,
                           ROWS,
                           b->columns[g * COLUMNS + c] };
    snap_written written;
    df_error err = { 0 };
    uint32_t count;
    snap_ref *ref = (snap_ref *)(uintptr_t)snap_manifest_refs(m, 0, g, c, &count);
    snap_part_info part = { 0 };

    if (count != 1)
        abort();
    need(snap_write_column(writer, &source, &written, &err), &err);
    part.id = written.part;
    need(snap_manifest_add_part(m, &part, &ref->part, &err), &err);
    ref->stored_size = written.stored_size;
    ref->hash = written.hash;
}

static void set_part(snap_manifest *m, const snap_part_info *info)
{
    for (uint32_t i = 0; i < m->part_count; i++)
        if (snap_part_id_compare(&m->parts[i].id, &info->id) == 0)
            m->parts[i] = *info;
}

static void finish(bench *b, snap_manifest *m, const snap_manifest *base, snap_part **part)
{
    snap_part_info info;
    df_error err = { 0 };
    df_status s = snap_part_finish(part, &info, &err);

    for (uint32_t i = 0; base != NULL && i < base->part_count; i++)
        set_part(m, &base->parts[i]);
    if (s == DF_OK) {
        set_part(m, &info);
        s = snap_store_ingest(b->store, &info.id, 1, &err);
    }
    need(s == DF_END ? DF_OK : s, &err); /* nothing changed: no part */
    need(snap_manifest_seal(m, &err), &err);
    need(snap_store_commit(b->store, m, &err), &err);
}

/* Write everything as the next snapshot; with a base, only what differs from it. Seconds; *bytes is
 * what was written of chunks. */
static double snapshot(bench *b, snap_codec codec, const snap_manifest *base, uint64_t *bytes)
{
    double begin = now();
    snap_manifest *m = snap_manifest_new();
    snap_part_id id = { ++b->number, 1, 0 };
    snap_writer writer;
    snap_part *part;
    df_error err = { 0 };
    uint32_t table;

    if (m == NULL)
        need(DF_ENOMEM, &(df_error){ .text = "out of memory" });
    strcpy(m->job, "bench");
    strcpy(m->engine, "bench");
    m->snapshot = b->number;
    m->parent = snap_store_head(b->store);
    m->generation = 1;
    m->attempt = 1;
    m->chunk_size = CHUNK;
    need(snap_manifest_add_table(m, "rows", &schema, b->groups, &table, &err), &err);
    need(snap_store_part_open(b->store, &part, &id, &err), &err);
    need(snap_writer_init(&writer, part, b->coder, codec, CHUNK, base, &err), &err);
    for (uint32_t g = 0; g < b->groups; g++) {
        need(snap_manifest_set_rows(m, 0, g, ROWS, &err), &err);
        for (uint32_t c = 0; c < COLUMNS; c++)
            write_column(b, m, &writer, g, c);
    }
    *bytes = writer.bytes_stored;
    snap_writer_fini(&writer);
    finish(b, m, base, &part);
    snap_manifest_free(&m);
    return now() - begin;
}

static double plain(const bench *b)
{
    double begin, seconds;
    char path[512];
    int fd;

    snprintf(path, sizeof path, "%s/plain", b->folder);
    begin = now();
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (uint32_t i = 0; i < b->groups * COLUMNS; i++)
        if (write(fd, b->columns[i], column_size(i % COLUMNS)) != (ssize_t)column_size(i % COLUMNS))
            need(DF_EIO, &(df_error){ .text = "cannot write a plain file" });
    if (fdatasync(fd) != 0)
        need(DF_EIO, &(df_error){ .text = "cannot sync a plain file" });
    seconds = now() - begin;
    close(fd);
    unlink(path);
    return seconds;
}

/* ---- figures ---- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void measure_write(bench *b, const char *name, snap_codec codec, double target, int runs)
{
    double ours[RUNS_MAX], theirs[RUNS_MAX], mb = b->groups * (double)GROUP_MIB * 1.048576, ratio;
    uint64_t bytes = 0;
    df_error err = { 0 };

    for (int i = 0; i < runs; i++) {
        theirs[i] = mb / plain(b);
        ours[i] = mb / snapshot(b, codec, NULL, &bytes);
        need(snap_store_forget(b->store, SNAP_RETAIN_MIN, &err), &err);
        need(snap_store_collect(b->store, &err), &err);
    }
    ratio = median(ours, runs) / median(theirs, runs);
    printf("{\"bench\": \"%s\", \"value\": %.4g, \"unit\": \"of write and fdatasync\", \"target\": "
           "%g, "
           "\"pass\": %s, \"weir\": %.4g, \"other\": %.4g, \"stored\": %.3f, \"runs\": %d}\n",
           name, ratio, target, ratio >= target ? "true" : "false", median(ours, runs),
           median(theirs, runs), (double)bytes / (mb * 1e6), runs);
    fflush(stdout);
}

/* Bytes of chunks that a snapshot of an unchanged state writes; and how fast it is looked through.
 */
static void measure_unchanged(bench *b, int runs)
{
    double seconds[RUNS_MAX], mb = b->groups * (double)GROUP_MIB * 1.048576;
    uint64_t bytes = 0, all = 0;
    df_error err = { 0 };

    for (int i = 0; i < runs; i++) {
        snap_manifest *base;

        need(snap_store_load(b->store, snap_store_head(b->store), &base, &err), &err);
        seconds[i] = snapshot(b, SNAP_NONE, base, &bytes);
        snap_manifest_free(&base);
        all += bytes;
    }
    printf("{\"bench\": \"snapshot.unchanged\", \"value\": %llu, \"unit\": \"bytes of chunks\", "
           "\"target\": 0, \"pass\": %s, \"MB_per_s\": %.4g, \"runs\": %d}\n",
           (unsigned long long)all, all == 0 ? "true" : "false", mb / median(seconds, runs), runs);
}

int main(int argc, char **argv)
{
    bench b = { .folder = argc > 1 ? argv[1] : "", .coder = snap_coder_new() };
    int mib = argc > 2 ? atoi(argv[2]) : 256, runs = argc > 3 ? atoi(argv[3]) : 5;
    snap_store_options options = { 0 };
    char store[512], command[600];
    df_error err = { 0 };
    df_disk disk;

    if (argc < 2 || mib < (int)GROUP_MIB || runs < 1 || runs > RUNS_MAX || b.coder == NULL) {
        fputs("usage: bench_snapshot FOLDER [MIB [RUNS]]\n", stderr);
        return 2;
    }
    b.groups = (uint32_t)mib / GROUP_MIB;
    b.columns = calloc(b.groups * COLUMNS, sizeof *b.columns);
    if (b.columns == NULL)
        return 1;
    fill(&b);
    df_disk_posix_init(&disk);
    snprintf(store, sizeof store, "%s/store", b.folder);
    need(df_disk_make_folder(&disk, b.folder, &err), &err);
    need(snap_store_open_rocksdb(&b.store, &disk, store, &options, &err), &err);
    measure_write(&b, "snapshot.write", SNAP_NONE, 0.8, runs);
    measure_write(&b, "snapshot.write.lz4", SNAP_LZ4, 0.5, runs);
    measure_unchanged(&b, runs);
    snap_store_close(&b.store);
    snap_coder_free(&b.coder);
    for (uint32_t i = 0; i < b.groups * COLUMNS; i++)
        free(b.columns[i]);
    free(b.columns);
    snprintf(command, sizeof command, "rm -rf '%s'", b.folder);
    return system(command) == 0 ? 0 : 1;
}
