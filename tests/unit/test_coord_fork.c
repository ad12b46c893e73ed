/* A state that begins where a snapshot of another one is: the snapshot, row by row; a log that a coordinator begins
 * with; and what is refused, with nothing that could be taken for a state. */
#include "coordinator/coord_fork.h"
#include "coordinator/coord_log.h"
#include "coordinator/coord_state.h"
#include "tests/support/fake_disk.h"
#include "tests/support/snap_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const weir_operator sink_kind = { .name = "log", .role = WEIR_SINK };
static df_vertex vertices[1] = { { .name = "log" } };
static df_plan plan = { .hash = { 0x1234, 0x5678 }, .key_groups = 4, .vertices = vertices, .vertex_count = 1 };

/* The other state's store, of snapshots 3 and 7. */
typedef struct source {
    scene scene;
    snap_memory *memory;
    fake_disk *disk;
    snap_store *store;
    char folder[64]; /* of the new state */
    df_error error;
} source;

static int source_make(void **state)
{
    const snap_store_options options = { .readonly = false };
    source *s = calloc(1, sizeof *s);
    snap_backend *backend;

    assert_non_null(s);
    *state = s;
    s->scene = scene_new();
    s->memory = snap_memory_new();
    s->disk = fake_disk_new();
    strcpy(s->folder, "/tmp/test_coord_fork_XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    assert_int_equal(df_disk_make_folder(fake_disk_of(s->disk), "job", &s->error), DF_OK);
    assert_int_equal(df_disk_sync_folder(fake_disk_of(s->disk), ".", &s->error), DF_OK);
    assert_int_equal(snap_memory_open(&backend, s->memory, &s->error), DF_OK);
    assert_int_equal(snap_store_open(&s->store, &backend, fake_disk_of(s->disk), "job", &options, NULL, &s->error), DF_OK);
    assert_int_equal(scene_commit(s->store, &s->scene, 3, "", NULL, &s->error), DF_OK);
    s->scene.versions[1] = 2; /* so 7 refers to parts of 3 */
    assert_int_equal(scene_commit(s->store, &s->scene, 7, "a label", NULL, &s->error), DF_OK);
    return 0;
}

static int source_free(void **state)
{
    source *s = *state;

    assert_int_equal(coord_state_clear_folder(s->folder, 3, &s->error), DF_OK);
    snap_store_close(&s->store);
    snap_memory_free(&s->memory);
    fake_disk_free(&s->disk);
    free(s);
    return 0;
}

static snap_store *forked(source *s)
{
    static df_disk disk;
    const snap_store_options options = { .readonly = true };
    char folder[128];
    snap_store *store;

    df_disk_posix_init(&disk);
    snprintf(folder, sizeof folder, "%s/store", s->folder);
    assert_int_equal(snap_store_open_rocksdb(&store, &disk, folder, &options, &s->error), DF_OK);
    return store;
}

static void wake(void *user)
{
    (void)user;
}

static void test_snapshot(void **state)
{
    source *s = *state;
    snap_verified verified;
    snap_store *store;

    assert_int_equal(coord_fork_make(s->folder, s->store, 7, &plan, &s->error), DF_OK);
    store = forked(s);
    assert_int_equal(snap_store_head(store), 7);
    assert_int_equal(snap_store_count(store), 1);
    assert_int_equal(snap_store_entry(store, 0)->parent, 0);
    assert_int_equal(scene_check(store, &s->scene, 7, &s->error), DF_OK);
    assert_int_equal(snap_store_verify(store, NULL, NULL, &verified, &s->error), DF_OK);
    assert_int_equal(verified.damaged, 0);
    assert_true(verified.chunks > 0);
    snap_store_close(&store);
}

/* The one before the head is as good. */
static void test_older(void **state)
{
    source *s = *state;
    snap_store *store;

    s->scene.versions[1] = 1;
    assert_int_equal(coord_fork_make(s->folder, s->store, 3, &plan, &s->error), DF_OK);
    store = forked(s);
    assert_int_equal(scene_check(store, &s->scene, 3, &s->error), DF_OK);
    snap_store_close(&store);
}

/* Where a sink stood says nothing about files that it has not written. */
static void test_sinks(void **state)
{
    source *s = *state;
    snap_manifest *m;
    snap_store *store;

    vertices[0].kind = &sink_kind;
    assert_int_equal(coord_fork_make(s->folder, s->store, 7, &plan, &s->error), DF_OK);
    vertices[0].kind = NULL;
    store = forked(s);
    assert_int_equal(snap_store_load(store, 7, &m, &s->error), DF_OK);
    assert_null(snap_manifest_owner(m, SNAP_OFFSETS, "log"));
    snap_manifest_free(&m);
    snap_store_close(&store);
}

/* A log of the same plan in which nothing has begun, and of another job. */
static void test_log(void **state)
{
    source *s = *state;
    coord_record_job job = { 77, { 1, 2 }, 3 };
    proto_end end;
    coord_log *log;
    df_disk disk;
    bool begun;

    assert_int_equal(coord_fork_make(s->folder, s->store, 7, &plan, &s->error), DF_OK);
    df_disk_posix_init(&disk);
    assert_int_equal(coord_log_open(&log, &disk, s->folder, &job, wake, NULL, &s->error), DF_OK);
    assert_true(job.plan.high == 0x1234 && job.plan.low == 0x5678);
    assert_int_equal(job.group_count, 4);
    assert_true(job.job != 0 && job.job != 77);
    assert_int_equal(coord_log_recover(log, NULL, &end, &begun, &s->error), DF_OK);
    assert_int_equal(end, PROTO_END_NOT);
    assert_false(begun);
    coord_log_close(&log);
}

static void test_beginning(void **state)
{
    source *s = *state;
    char path[128];

    assert_int_equal(coord_fork_make(s->folder, NULL, 0, &plan, &s->error), DF_OK);
    snprintf(path, sizeof path, "%s/history.a", s->folder);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_refused(void **state)
{
    const snap_part_id id = { 7, 107, 0 };
    const snap_place place = { .key_group = 0, .column = 1 };
    source *s = *state;
    uint8_t *bytes;
    char path[128];
    size_t size;

    assert_int_equal(coord_fork_make(s->folder, s->store, 8, &plan, &s->error), DF_END);
    assert_string_equal(s->error.text, "job: there is no snapshot 8");
    plan.hash[1]++;
    assert_int_equal(coord_fork_make(s->folder, s->store, 7, &plan, &s->error), DF_EINVAL);
    plan.hash[1]--;
    assert_string_equal(s->error.text, "snapshot 7 is of another version of the job");
    assert_int_equal(coord_fork_make("/dev/null", s->store, 7, &plan, &s->error), DF_EIO);
    bytes = snap_memory_chunk(s->memory, &id, &place, &size);
    assert_non_null(bytes);
    bytes[size / 2] ^= 1;
    assert_int_equal(coord_fork_make(s->folder, s->store, 7, &plan, &s->error), DF_ECORRUPT);
    assert_non_null(strstr(s->error.text, "snapshot 7"));
    snprintf(path, sizeof path, "%s/history.a", s->folder);
    assert_int_not_equal(access(path, F_OK), 0); /* the log comes last */
}

int main(void)
{
#define FORK_TEST(name) cmocka_unit_test_setup_teardown(name, source_make, source_free)
    const struct CMUnitTest tests[] = {
        FORK_TEST(test_snapshot), FORK_TEST(test_older),     FORK_TEST(test_sinks),
        FORK_TEST(test_log),      FORK_TEST(test_beginning), FORK_TEST(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
