/* A store that is written, by who has it open for that, in the middle of being opened for reading. */
#include "tests/support/snap_scene.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static df_error error;

/* ---- the writer, who acts when a certain file is opened by the reader ---- */

typedef struct writer {
    char folder[64];
    df_disk disk;
    snap_store *store;
    scene scene;
    uint64_t number;  /* of the newest snapshot */
    df_status status; /* of what it did last */
} writer;

static writer the_writer;

static const char *spy_file; /* what its path holds */
static atomic_int spy_left;  /* openings until the writer acts */
static void (*spy_act)(writer *w);

/* Wins over libc's, also for RocksDB. */
int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list more;

    if ((flags & O_CREAT) != 0) {
        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
    }
    if (spy_left > 0 && (flags & O_ACCMODE) == O_RDONLY && strstr(path, spy_file) != NULL &&
        atomic_fetch_sub(&spy_left, 1) == 1)
        spy_act(&the_writer);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static void writer_commit(writer *w)
{
    w->scene.versions[0] = w->scene.versions[1] = w->scene.versions[2] = w->scene.versions[3] = ++w->number;
    w->status = scene_commit(w->store, &w->scene, w->number, "", NULL, &error);
}

/* As a coordinator does: then older ones go. */
static void writer_commit_retain(writer *w)
{
    writer_commit(w);
    if (w->status == DF_OK)
        w->status = snap_store_forget(w->store, 2, &error);
    if (w->status == DF_OK)
        w->status = snap_store_collect(w->store, &error);
}

static void writer_open(writer *w)
{
    const snap_store_options options = { 0 };

    w->status = snap_store_open_rocksdb(&w->store, &w->disk, w->folder, &options, &error);
}

/* As when a coordinator is started again; what was in the log is in a file then, and the log goes. */
static void writer_again(writer *w)
{
    snap_store_close(&w->store);
    writer_open(w);
}

static writer *writer_new(void)
{
    writer *w = &the_writer;

    *w = (writer){ .folder = "/tmp/test_snap_store_open.XXXXXX", .scene = scene_new() };
    assert_non_null(mkdtemp(w->folder));
    df_disk_posix_init(&w->disk);
    writer_open(w);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(w->status, DF_OK);
        writer_commit(w);
    }
    assert_int_equal(w->status, DF_OK);
    return w;
}

static void writer_free(writer *w)
{
    char command[128];

    snap_store_close(&w->store);
    snprintf(command, sizeof command, "rm -rf %s", w->folder);
    assert_int_equal(system(command), 0);
}

/* ---- the reader ---- */

static df_status reader_open(snap_store **out, writer *w)
{
    const snap_store_options options = { .readonly = true };

    return snap_store_open_rocksdb(out, &w->disk, w->folder, &options, &error);
}

static void assert_whole(snap_store *store, uint32_t snapshots)
{
    snap_verified verified;

    assert_int_equal(snap_store_count(store), snapshots);
    assert_int_equal(snap_store_verify(store, NULL, NULL, &verified, &error), DF_OK);
    assert_int_equal(verified.snapshots, snapshots);
    assert_int_equal(verified.damaged, 0);
}

/* How often such a file is opened by a look at a store that nobody writes. */
static int openings(writer *w, const char *file)
{
    snap_store *store;

    spy_file = file;
    spy_left = 1000000;
    assert_int_equal(reader_open(&store, w), DF_OK);
    snap_store_close(&store);
    return 1000000 - atomic_exchange(&spy_left, 0);
}

/* At the last time that a look opens such a file the writer acts; the reader sees `snapshots`, all whole. */
static void acts_at(const char *file, void (*act)(writer *w), uint32_t snapshots)
{
    writer *w = writer_new();
    int last = openings(w, file);
    snap_store *store;

    assert_true(last > 0);
    spy_act = act;
    spy_left = last;
    if (reader_open(&store, w) != DF_OK)
        fail_msg("%s: %s", file, error.text);
    assert_true(spy_left <= 0);
    spy_left = 0;
    assert_int_equal(w->status, DF_OK);
    assert_whole(store, snapshots);
    for (int i = 0; i < 3; i++) { /* none that it has seen is left in the store */
        writer_commit_retain(w);
        assert_int_equal(w->status, DF_OK);
    }
    assert_whole(store, snapshots);
    snap_store_close(&store);
    writer_free(w);
}

static void test_log(void **state)
{
    (void)state;
    acts_at(".log", writer_commit, 4);
}

static void test_tables(void **state)
{
    (void)state;
    acts_at(".sst", writer_commit_retain, 2);
}

static void test_log_anew(void **state)
{
    (void)state;
    acts_at(".sst", writer_again, 3);
}

static void test_guard(void **state)
{
    (void)state;
    acts_at("/guard", writer_commit, 3); /* the last thing that is looked at */
}

/* ---- what is really damaged ---- */

/* An older guard is nothing; one that knows of a later commit is, whoever writes. */
static void test_lost(void **state)
{
    writer *w = writer_new();
    snap_store *store;
    char command[512];

    (void)state;
    snap_store_close(&w->store);
    snprintf(command, sizeof command, "cp -r %s/db %s/kept", w->folder, w->folder);
    assert_int_equal(system(command), 0);
    writer_open(w);
    writer_commit(w);
    assert_int_equal(w->status, DF_OK);
    snap_store_close(&w->store);
    snprintf(command, sizeof command, "rm -r %s/db && mv %s/kept %s/db", w->folder, w->folder, w->folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(reader_open(&store, w), DF_ECORRUPT);
    assert_null(store);
    assert_non_null(strstr(error.text, "snapshot 4 was committed and is lost; the newest that is left is 3"));
    writer_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log),   cmocka_unit_test(test_tables), cmocka_unit_test(test_log_anew),
        cmocka_unit_test(test_guard), cmocka_unit_test(test_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
