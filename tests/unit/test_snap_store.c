/* The store: one suite for memory and RocksDB; then, in memory, a failure at every change; and with
 * RocksDB, a process that dies at several places. */
#include "tests/support/fake_disk.h"
#include "tests/support/snap_scene.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static df_error error;

/* ---- the two worlds ---- */

typedef struct world {
    bool rocksdb;
    char folder[64];
    snap_memory *memory;
    fake_disk *fake;
    df_disk posix;
} world;

static void world_new(world *w, bool rocksdb)
{
    *w = (world){ .rocksdb = rocksdb };
    if (rocksdb) {
        strcpy(w->folder, "/tmp/test_snap_store.XXXXXX");
        assert_non_null(mkdtemp(w->folder));
        df_disk_posix_init(&w->posix);
    } else {
        strcpy(w->folder, "job");
        w->memory = snap_memory_new();
        w->fake = fake_disk_new();
        assert_int_equal(df_disk_make_folder(fake_disk_of(w->fake), "job", &error), DF_OK);
        assert_int_equal(df_disk_sync_folder(fake_disk_of(w->fake), ".", &error), DF_OK);
    }
}

static void world_free(world *w)
{
    char command[128];

    snap_memory_free(&w->memory);
    fake_disk_free(&w->fake);
    if (!w->rocksdb)
        return;
    snprintf(command, sizeof command, "rm -rf %s", w->folder);
    assert_int_equal(system(command), 0);
}

static df_status world_open_as(world *w, snap_store **store, snap_store_options options)
{
    snap_backend *backend;
    df_status s;

    if (w->rocksdb)
        return snap_store_open_rocksdb(store, &w->posix, w->folder, &options, &error);
    s = snap_memory_open(&backend, w->memory, &error);
    if (s != DF_OK)
        return s;
    return snap_store_open(store, &backend, fake_disk_of(w->fake), w->folder, &options, NULL, &error);
}

static snap_store *world_open(world *w)
{
    snap_store *store;
    df_status s = world_open_as(w, &store, (snap_store_options){ 0 });

    if (s != DF_OK)
        print_error("%s\n", error.text);
    assert_int_equal(s, DF_OK);
    return store;
}

static void commit(snap_store *store, const scene *s, uint64_t number, const char *label)
{
    df_status status = scene_commit(store, s, number, label, NULL, &error);

    if (status != DF_OK)
        print_error("%s\n", error.text);
    assert_int_equal(status, DF_OK);
}

static void check(snap_store *store, const scene *s, uint64_t number)
{
    df_status status = scene_check(store, s, number, &error);

    if (status != DF_OK)
        print_error("%s\n", error.text);
    assert_int_equal(status, DF_OK);
}

static uint32_t sst_count(const world *w)
{
    char path[128];
    uint32_t count = 0;
    struct dirent *entry;
    DIR *folder;

    snprintf(path, sizeof path, "%s/db", w->folder);
    folder = opendir(path);
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        count += strstr(entry->d_name, ".sst") != NULL;
    closedir(folder);
    return count;
}

/* ---- the suite ---- */

static void suite_life(world *w)
{
    snap_store *store = world_open(w);
    scene first = scene_new(), second = first;
    uint64_t written;
    const snap_entry *entry;

    assert_int_equal(snap_store_head(store), 0);
    assert_int_equal(snap_store_count(store), 0);
    commit(store, &first, 1, "");
    assert_int_equal(snap_store_head(store), 1);
    check(store, &first, 1);
    assert_int_equal(scene_commit(store, &first, 2, "same", &written, &error), DF_OK);
    assert_int_equal(written, 0); /* nothing has changed */
    second.versions[1] = 2;
    assert_int_equal(scene_commit(store, &second, 3, "", &written, &error), DF_OK);
    assert_int_equal(written, 3); /* one column, in three key groups with rows, a chunk each */
    snap_store_close(&store);
    store = world_open(w);
    assert_int_equal(snap_store_head(store), 3);
    assert_int_equal(snap_store_count(store), 3);
    check(store, &first, 1);
    check(store, &first, 2);
    check(store, &second, 3);
    entry = snap_store_entry(store, 2);
    assert_int_equal(entry->parent, 2);
    assert_int_equal(entry->step, 30);
    assert_int_equal(entry->rows, 743);
    assert_true(entry->size_own > 0 && entry->size_own < entry->size);
    assert_string_equal(snap_store_entry(store, 1)->label, "same");
    assert_int_equal(snap_store_entry(store, 1)->size_own, 0);
    assert_int_equal(scene_check(store, &first, 4, &error), DF_END);
    snap_store_close(&store);
    assert_null(store);
}

static void suite_refusals(world *w)
{
    snap_store *store = world_open(w);
    snap_manifest *m;
    scene s = scene_new();

    commit(store, &s, 4, "");
    assert_int_equal(scene_commit(store, &s, 4, "", NULL, &error), DF_EINVAL);
    assert_int_equal(scene_commit(store, &s, 3, "", NULL, &error), DF_EINVAL);
    assert_int_equal(snap_store_load(store, 4, &m, &error), DF_OK);
    m->snapshot = 6;
    m->parent = 3;
    assert_int_equal(snap_store_commit(store, m, &error), DF_EINVAL);
    assert_non_null(strstr(error.text, "follows 3"));
    m->parent = 4;
    m->parts[m->part_count - 1].id.part += 7;
    assert_int_equal(snap_store_commit(store, m, &error), DF_EINVAL);
    assert_non_null(strstr(error.text, "not in the store"));
    snap_manifest_free(&m);
    check(store, &s, 4);
    assert_int_equal(snap_store_set_head(store, 77, &error), DF_END);
    snap_store_close(&store);
}

static df_status retain(snap_store *store, uint32_t count, df_error *err)
{
    df_status s = snap_store_forget(store, count, err);

    return s == DF_OK ? snap_store_collect(store, err) : s;
}

/* Two snapshots beside the line, one labelled, one pinned, and the retention of all of them. */
static void suite_retention(world *w)
{
    snap_store *store = world_open(w);
    scene s[20];
    uint64_t base = 10;

    assert_int_equal(retain(store, 2, &error), DF_OK);
    for (uint64_t i = 0; i < 6; i++) { /* 10 .. 15 */
        s[i] = scene_new();
        s[i].versions[0] = s[i].versions[1] = s[i].versions[2] = s[i].versions[3] = 100 + i;
        commit(store, &s[i], base + i, i == 1 ? "kept" : "");
    }
    assert_int_equal(snap_store_set_head(store, 13, &error), DF_OK);
    s[6] = s[3];
    s[6].versions[2] = 200;
    commit(store, &s[6], 16, "");
    snap_store_close(&store);
    store = world_open(w);
    assert_int_equal(snap_store_head(store), 16);
    snap_store_pin(store, 10);
    assert_int_equal(retain(store, 1, &error), DF_OK); /* as if 2: 16 and 13 */
    for (uint64_t i = 0; i < 7; i++) {
        bool kept = i == 0 || i == 1 || i == 3 || i == 6;

        if (kept)
            check(store, &s[i], base + i);
        else
            assert_int_equal(scene_check(store, &s[i], base + i, &error), DF_END);
    }
    snap_store_unpin(store, 10);
    assert_int_equal(retain(store, 2, &error), DF_OK);
    assert_int_equal(scene_check(store, &s[0], 10, &error), DF_END);
    check(store, &s[1], 11);
    snap_store_close(&store);
    store = world_open(w);
    check(store, &s[1], 11);
    check(store, &s[3], 13);
    check(store, &s[6], 16);
    if (w->rocksdb) /* of 2 parts each: 11, 13, 16; and "same" of the first suite with what it refers to */
        assert_true(sst_count(w) <= 10 + 4);
    snap_store_close(&store);
}

/* A part of which little is left is written anew, and then goes. */
static void suite_thin(world *w)
{
    snap_store *store = world_open(w);
    scene s = scene_new();
    uint64_t written;

    commit(store, &s, 30, "");
    s.versions[0] = 7; /* ids and mass are most of the bytes */
    s.versions[2] = 7;
    assert_int_equal(scene_commit(store, &s, 31, "", &written, &error), DF_OK);
    assert_int_equal(written, 2 * (2 + 1 + 1)); /* 700 values of 8 bytes are two chunks */
    assert_int_equal(scene_commit(store, &s, 32, "", &written, &error), DF_OK);
    assert_true(written > 0); /* x and alive, from the thin parts of 30 */
    assert_int_equal(scene_commit(store, &s, 33, "", &written, &error), DF_OK);
    assert_int_equal(written, 0);
    check(store, &s, 33);
    assert_int_equal(retain(store, 2, &error), DF_OK);
    check(store, &s, 32);
    check(store, &s, 33);
    snap_store_close(&store);
}

static void suite_orphans(world *w)
{
    snap_store *store = world_open(w);
    scene s = scene_new(), lost = s;
    uint64_t head = snap_store_head(store);
    snap_part *part;
    snap_part_id id = { 41, 141, 5 };
    snap_part_info info;
    uint8_t bytes[SNAP_CHUNK_HEAD] = { 0 };

    commit(store, &s, 40, "");
    lost.versions[0] = 99;
    lost.abandon = true;
    commit(store, &lost, 41, ""); /* ingested, not committed */
    assert_int_equal(retain(store, 3, &error), DF_OK); /* its attempt may be under way */
    assert_int_equal(snap_store_part_open(store, &part, &id, &error), DF_OK);
    assert_int_equal(snap_part_put(part, &(snap_place){ 0, 0, 0, 0 }, bytes, sizeof bytes, &error),
                     DF_OK);
    assert_int_equal(snap_part_put(part, &(snap_place){ 0, 0, 0, 0 }, bytes, sizeof bytes, &error),
                     DF_EINVAL);
    assert_int_equal(snap_part_put(part, &(snap_place){ 0, 0, 0, 1 }, bytes, 1, &error), DF_EINVAL);
    assert_int_equal(snap_part_finish(&part, &info, &error), DF_OK); /* finished, not ingested */
    assert_int_equal(info.chunk_count, 1);
    assert_int_equal(info.stored_size, sizeof bytes);
    id.part = 6;
    assert_int_equal(snap_store_part_open(store, &part, &id, &error), DF_OK);
    assert_int_equal(snap_part_finish(&part, &info, &error), DF_END);
    assert_null(part);
    assert_int_equal(snap_store_part_open(store, &part, &id, &error), DF_OK);
    assert_int_equal(snap_part_put(part, &(snap_place){ 0, 0, 0, 0 }, bytes, sizeof bytes, &error),
                     DF_OK);
    snap_part_abort(&part);
    snap_store_close(&store);
    store = world_open(w);
    assert_int_equal(snap_store_head(store), 40);
    check(store, &s, 40);
    lost.abandon = false;
    commit(store, &lost, 41, ""); /* the same number and attempt, nothing in the way */
    check(store, &lost, 41);
    assert_true(head < 40);
    snap_store_close(&store);
}

static void suite_verify(world *w)
{
    snap_store *store = world_open(w);
    snap_verified verified;

    assert_int_equal(snap_store_verify(store, NULL, NULL, &verified, &error), DF_OK);
    assert_int_equal(verified.snapshots, snap_store_count(store));
    assert_int_equal(verified.damaged, 0);
    assert_int_equal(verified.chunks, (6 + 4 + 4 + 1) * verified.snapshots);
    assert_true(verified.bytes > 10000);
    snap_store_close(&store);
}

static void suite_readonly(world *w)
{
    snap_store *store;
    scene s = scene_new();

    assert_int_equal(world_open_as(w, &store, (snap_store_options){ .readonly = true }), DF_OK);
    assert_true(snap_store_head(store) > 0);
    assert_int_equal(scene_commit(store, &s, 1000, "", NULL, &error), DF_ENOTSUP);
    assert_int_equal(retain(store, 2, &error), DF_ENOTSUP);
    snap_store_close(&store);
}

static void run_suite(bool rocksdb)
{
    world w;

    world_new(&w, rocksdb);
    suite_life(&w);
    suite_refusals(&w);
    suite_retention(&w);
    world_free(&w);
    world_new(&w, rocksdb);
    suite_thin(&w);
    suite_orphans(&w);
    suite_verify(&w);
    suite_readonly(&w);
    world_free(&w);
}

static void test_memory(void **state)
{
    (void)state;
    run_suite(false);
}

static void test_rocksdb(void **state)
{
    (void)state;
    run_suite(true);
}

/* ---- failures ---- */

/* Two snapshots, then a third with a failure of the store at its n-th change, done or not done, and a
 * failure of the disk of the guard; then a start from what is durable. What was acknowledged is
 * there; the third is there whole or not at all, and if its commit was acknowledged, it is there. */
static void after_failure(world *w, bool acknowledged, const scene *s)
{
    snap_store *store;
    uint64_t head;

    snap_memory_fail(w->memory, 0, false);
    fake_disk_restart(w->fake, FAKE_LOSE, 1);
    store = world_open(w);
    head = snap_store_head(store);
    assert_true(head == 3 || (head == 2 && !acknowledged));
    check(store, &s[1], 2);
    if (head == 3)
        check(store, &s[2], 3);
    commit(store, &s[2], 4, "");
    check(store, &s[2], 4);
    assert_int_equal(retain(store, 2, &error), DF_OK);
    assert_int_equal(snap_store_count(store), 2);
    snap_store_close(&store);
}

static bool fail_once(uint64_t call, bool done, uint64_t disk_call, fake_fault fault)
{
    world w;
    snap_store *store;
    scene s[3] = { scene_new(), scene_new(), scene_new() };
    df_status status;
    bool reached;

    world_new(&w, false);
    store = world_open(&w);
    s[1].versions[1] = 2;
    s[2].versions[3] = 3;
    commit(store, &s[0], 1, "");
    commit(store, &s[1], 2, "");
    snap_memory_fail(w.memory, call, done);
    if (disk_call != 0)
        fake_disk_fail(w.fake, fake_disk_calls(w.fake) + disk_call, fault, false);
    status = scene_commit(store, &s[2], 3, "", NULL, &error);
    if (status == DF_OK)
        status = retain(store, 2, &error) == DF_OK ? DF_OK : DF_AGAIN;
    reached = status != DF_OK;
    snap_store_close(&store);
    after_failure(&w, status == DF_OK || status == DF_AGAIN, s);
    world_free(&w);
    return reached;
}

static void test_failures(void **state)
{
    uint64_t call = 1, disk_call = 1;

    (void)state;
    while (fail_once(call, false, 0, 0)) {
        assert_true(fail_once(call, true, 0, 0));
        call++;
    }
    assert_true(call > 4); /* two parts, ingest, commit, retention */
    while (fail_once(0, false, disk_call, FAKE_EIO)) {
        assert_true(fail_once(0, false, disk_call, FAKE_POWER));
        assert_true(fail_once(0, false, disk_call, FAKE_SHORT));
        disk_call++;
    }
    assert_int_equal(disk_call, 3); /* the guard: write, sync */
}

/* The record that names the newest snapshot. */
typedef struct head_bytes {
    uint8_t bytes[SNAP_CHUNK_HEAD * 4];
    uint32_t size;
} head_bytes;

static head_bytes head_of(snap_backend *backend)
{
    head_bytes kept;
    snap_blob head;

    assert_int_equal(backend->calls->get_record(backend, 0, &head, &error), DF_OK);
    assert_true(head.size <= sizeof kept.bytes);
    kept.size = (uint32_t)head.size;
    memcpy(kept.bytes, head.bytes, kept.size);
    snap_blob_release(&head);
    return kept;
}

/* The database is as it was before snapshot 2, and that is noticed. */
static void lose_second(world *w, snap_backend *backend, const head_bytes *before)
{
    snap_change changes[2] = { { 0, before->bytes, before->size }, { .record = 2 } };
    snap_store *store;

    assert_int_equal(backend->calls->change(backend, changes, 2, &error), DF_OK);
    assert_int_equal(world_open_as(w, &store, (snap_store_options){ 0 }), DF_ECORRUPT);
    assert_non_null(strstr(error.text, "snapshot 2 was committed and is lost"));
}

/* The database lost its newest snapshot: the guard knows. */
static void test_guard(void **state)
{
    world w;
    snap_store *store;
    snap_backend *backend;
    head_bytes before;
    scene s = scene_new();
    snap_change shorter;

    (void)state;
    world_new(&w, false);
    store = world_open(&w);
    commit(store, &s, 1, "");
    assert_int_equal(snap_memory_open(&backend, w.memory, &error), DF_OK);
    before = head_of(backend);
    commit(store, &s, 2, "");
    snap_store_close(&store);
    lose_second(&w, backend, &before);
    assert_int_equal(world_open_as(&w, &store, (snap_store_options){ .accept_loss = true }), DF_OK);
    assert_int_equal(snap_store_head(store), 1);
    check(store, &s, 1);
    commit(store, &s, 3, "");
    snap_store_close(&store);
    store = world_open(&w); /* and now it is at peace */
    snap_store_close(&store);
    fake_disk_vanish(w.fake, "job/guard");
    assert_int_equal(world_open_as(&w, &store, (snap_store_options){ 0 }), DF_ECORRUPT);
    assert_non_null(strstr(error.text, "job/guard is missing"));
    shorter = (snap_change){ 0, before.bytes, before.size - 1 };
    assert_int_equal(backend->calls->change(backend, &shorter, 1, &error), DF_OK);
    assert_int_equal(world_open_as(&w, &store, (snap_store_options){ 0 }), DF_ECORRUPT);
    assert_int_equal(world_open_as(&w, &store, (snap_store_options){ .accept_loss = true }), DF_OK);
    assert_int_equal(snap_store_head(store), 3);
    snap_store_close(&store);
    snap_backend_close(&backend);
    world_free(&w);
}

/* A crash between a commit and its guard; the next start finds the snapshot and tells that it is safe. So it must
 * be missed when the database loses it after that. */
static void test_guard_behind(void **state)
{
    world w;
    snap_store *store;
    snap_backend *backend;
    head_bytes before;
    scene s = scene_new();

    (void)state;
    world_new(&w, false);
    store = world_open(&w);
    commit(store, &s, 1, "");
    assert_int_equal(snap_memory_open(&backend, w.memory, &error), DF_OK);
    before = head_of(backend);
    fake_disk_fail(w.fake, fake_disk_calls(w.fake) + 1, FAKE_POWER, false);
    assert_int_not_equal(scene_commit(store, &s, 2, "", NULL, &error), DF_OK);
    snap_store_close(&store);
    fake_disk_restart(w.fake, FAKE_LOSE, 1);
    store = world_open(&w);
    assert_int_equal(snap_store_head(store), 2);
    snap_store_close(&store);
    lose_second(&w, backend, &before);
    snap_backend_close(&backend);
    world_free(&w);
}

/* A damaged chunk, a missing one: named, zero, and found by verification in each snapshot that has
 * it; a damaged manifest keeps everything else from being collected. */
static uint32_t told;

static void tell(void *user, const snap_damage *damage)
{
    (void)user;
    told++;
    assert_string_equal(damage->state, "birds");
    assert_string_equal(damage->column, "x");
    assert_int_equal(damage->key_group, 2);
    assert_int_equal(damage->chunk, 0);
    assert_string_equal(damage->file, "memory/1-101-0");
}

static void test_damage(void **state)
{
    world w;
    snap_store *store;
    scene s = scene_new();
    snap_part_id id = { 1, 101, 0 };
    snap_place place = { 2, 0, 1, 0 };
    snap_manifest *m;
    snap_coder *coder = snap_coder_new();
    snap_verified verified;
    uint8_t *bytes;
    float rows[30];
    size_t size;

    (void)state;
    world_new(&w, false);
    store = world_open(&w);
    commit(store, &s, 1, "");
    commit(store, &s, 2, "");
    bytes = snap_memory_chunk(w.memory, &id, &place, &size);
    assert_non_null(bytes);
    bytes[size - 1] ^= 1;
    assert_int_equal(snap_store_load(store, 2, &m, &error), DF_OK);
    memset(rows, 1, sizeof rows);
    assert_int_equal(snap_store_read(store, m, &place, coder, rows, &error), DF_ECORRUPT);
    assert_non_null(strstr(error.text, "memory/1-101-0: snapshot 2, state \"birds\", key group 2, "
                                       "column x, chunk 0: "));
    for (size_t i = 0; i < 30; i++)
        assert_true(rows[i] == 0);
    assert_int_equal(snap_store_verify(store, tell, NULL, &verified, &error), DF_OK);
    assert_int_equal(verified.damaged, 2);
    assert_int_equal(told, 2);
    snap_manifest_free(&m);
    snap_store_close(&store);
    snap_coder_free(&coder);
    world_free(&w);
}

static void test_damaged_manifest(void **state)
{
    world w;
    snap_store *store;
    snap_backend *backend;
    snap_manifest *m;
    snap_change change = { 2, (const uint8_t *)"damaged", 7 };
    snap_verified verified;
    scene s = scene_new();

    (void)state;
    world_new(&w, false);
    store = world_open(&w);
    for (uint64_t i = 1; i <= 4; i++) {
        s.versions[0] = i;
        commit(store, &s, i, "");
    }
    snap_store_close(&store);
    assert_int_equal(snap_memory_open(&backend, w.memory, &error), DF_OK);
    assert_int_equal(backend->calls->change(backend, &change, 1, &error), DF_OK);
    snap_backend_close(&backend);
    store = world_open(&w);
    assert_int_equal(snap_store_count(store), 4);
    assert_true(snap_store_entry(store, 1)->damaged);
    assert_int_equal(snap_store_load(store, 2, &m, &error), DF_ECORRUPT);
    assert_int_equal(retain(store, 3, &error), DF_OK); /* 2 is the third of the line */
    assert_int_equal(snap_store_count(store), 4);
    assert_int_equal(snap_store_verify(store, NULL, NULL, &verified, &error), DF_OK);
    assert_int_equal(verified.damaged, 1);
    assert_int_equal(retain(store, 2, &error), DF_OK);
    assert_int_equal(snap_store_count(store), 2);
    check(store, &s, 4);
    snap_store_close(&store);
    world_free(&w);
}

/* ---- a process that dies ---- */

/* In a child: up to `stage`, then it ends as by kill -9, nothing closed. */
static void die_at(const world *w, int stage, const scene *s)
{
    world child = *w;
    snap_store *store = world_open(&child);
    scene third = s[2];

    if (stage == 0)
        _exit(0);
    if (stage == 1) {
        snap_part_id id = { 3, 103, 0 };
        snap_part *part;

        if (snap_store_part_open(store, &part, &id, &error) != DF_OK)
            _exit(1);
        _exit(0); /* a part that is not finished */
    }
    third.abandon = stage == 2;
    _exit(scene_commit(store, &third, 3, "", NULL, &error) != DF_OK);
}

static void test_kill(void **state)
{
    (void)state;
    for (int stage = 0; stage < 4; stage++) {
        world w;
        snap_store *store;
        scene s[3] = { scene_new(), scene_new(), scene_new() };
        pid_t child;
        int status;

        s[1].versions[1] = 2;
        s[2].versions[0] = 3;
        world_new(&w, true);
        store = world_open(&w);
        commit(store, &s[0], 1, "");
        commit(store, &s[1], 2, "");
        snap_store_close(&store);
        child = fork();
        if (child == 0)
            die_at(&w, stage, s);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        store = world_open(&w);
        assert_int_equal(snap_store_head(store), stage == 3 ? 3 : 2);
        check(store, &s[1], 2);
        if (stage == 3)
            check(store, &s[2], 3);
        else
            commit(store, &s[2], 3, "");
        check(store, &s[2], 3);
        assert_int_equal(sst_count(&w) >= 6, 1);
        snap_store_close(&store);
        world_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory), cmocka_unit_test(test_rocksdb), cmocka_unit_test(test_failures),
        cmocka_unit_test(test_guard),  cmocka_unit_test(test_guard_behind), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_damaged_manifest), cmocka_unit_test(test_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
