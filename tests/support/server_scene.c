#include "tests/support/server_scene.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static df_error error;

/* ---- a place and a job ---- */

static void server_scene_print(void *user, const char *text, size_t size)
{
    server_scene *s = user;
    size_t used = strlen(s->printed);

    snprintf(s->printed + used, sizeof s->printed - used, "%.*s", (int)size, text);
}

server_scene *server_scene_at(const char *folder)
{
    server_scene *s = calloc(1, sizeof *s);

    snprintf(s->folder, sizeof s->folder, "%s", folder);
    snprintf(s->state, sizeof s->state, "%s/state", s->folder);
    fake_worker_text(s->text, SCENE_SEED, SCENE_GROUPS, SCENE_STEPS);
    fake_worker_job(&s->model, s->text, strlen(s->text));
    fake_worker_shape(&s->shape);
    s->policy = (df_policy){ .snapshot = true, .snapshot_every_steps = 7, .snapshot_retain = 2,
                             .fault_max_restarts = 20, .fault_backoff_seconds = 0.01 };
    s->job = (coord_server_job){ .name = "model", .file = "model.toml", .directory = s->folder,
                                 .text = s->text, .sets = "", .plan = &s->model.plan,
                                 .shape = &s->shape, .policy = &s->policy, .window = 4, .pace = 300 };
    s->options = (coord_server_options){ .job = &s->job, .state = s->state, .workers = 2, .threads = 1,
                                         .print = server_scene_print, .user = s };
    s->status = calloc(1, sizeof *s->status);
    return s;
}

server_scene *server_scene_new(void)
{
    char folder[] = "/tmp/test_coord_server.XXXXXX";

    assert_non_null(mkdtemp(folder));
    return server_scene_at(folder);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

void server_scene_free(server_scene *s)
{
    nftw(s->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(s->status);
    free(s);
}

coord_server *server_scene_open(server_scene *s)
{
    coord_server *server;
    df_status status = coord_server_open(&server, &s->options, &error);

    if (status != DF_OK)
        print_error("%s\n", error.text);
    assert_int_equal(status, DF_OK);
    return server;
}

uint64_t server_scene_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Turn until something is so; returns the status of the last turn. */
df_status server_scene_turn_until(server_scene *s, coord_server *server, bool (*so)(const coord_status *status))
{
    uint64_t end = server_scene_now_us() + SCENE_LIMIT_US;
    df_status status = DF_OK;

    while (status == DF_OK) {
        coord_server_status(server, s->status);
        if (so != NULL && so(s->status))
            return DF_OK;
        if (server_scene_now_us() > end)
            fail_msg("phase %s, waiting for %s, step %d", s->status->phase, s->status->waiting,
                     (int)s->status->step);
        status = coord_server_turn(server, 100000, &error);
    }
    coord_server_status(server, s->status);
    if (status != DF_END)
        print_error("%s\n", error.text);
    return status;
}

bool server_scene_so_running(const coord_status *s)
{
    return strcmp(s->phase, "running") == 0 && s->step >= 3;
}

bool server_scene_so_snapshot(const coord_status *s)
{
    return s->snapshot != 0 && s->step >= 10;
}

bool server_scene_so_paused(const coord_status *s)
{
    return strcmp(s->phase, "paused") == 0;
}

/* ---- what must have come of it ---- */

void server_scene_check_file(const server_scene *s, uint64_t steps)
{
    uint64_t *values = calloc((SCENE_STEPS + 1) * SCENE_GROUPS, sizeof *values);
    size_t size = 16u * SCENE_GROUPS * SCENE_STEPS;
    uint8_t *expected = malloc(size), *found = malloc(size + 1);
    char path[DF_PATH_MAX];
    FILE *file;

    sim_reference(&s->model, NULL, 0, values, expected);
    snprintf(path, sizeof path, "%s/out.bin", s->folder);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fread(found, 1, size + 1, file), 16u * SCENE_GROUPS * steps);
    assert_memory_equal(found, expected, 16u * SCENE_GROUPS * steps);
    fclose(file);
    free(values);
    free(expected);
    free(found);
}

/* The newest snapshot holds what enters the step behind the last. */
void server_scene_check_store(const server_scene *s, uint64_t ticks)
{
    uint64_t *values = calloc((SCENE_STEPS + 1) * SCENE_GROUPS, sizeof *values), value;
    uint8_t *file = malloc(16u * SCENE_GROUPS * SCENE_STEPS);
    const snap_store_options options = { .readonly = true };
    char path[DF_PATH_MAX];
    snap_store *store;
    df_disk disk;

    df_disk_posix_init(&disk);
    sim_reference(&s->model, NULL, 0, values, file);
    snprintf(path, sizeof path, "%s/store", s->state);
    assert_int_equal(snap_store_open_rocksdb(&store, &disk, path, &options, &error), DF_OK);
    assert_true(snap_store_count(store) <= 2);
    for (uint32_t g = 0; g < SCENE_GROUPS; g++) {
        assert_true(fake_worker_value(store, snap_store_head(store), g, &value));
        assert_int_equal(value, values[ticks * SCENE_GROUPS + g]);
    }
    snap_store_close(&store);
    free(values);
    free(file);
}

void server_scene_run_to_end(server_scene *s, coord_server *server)
{
    assert_int_equal(server_scene_turn_until(s, server, NULL), DF_END);
    assert_string_equal(s->status->phase, "done");
    assert_int_equal(coord_server_end(server), PROTO_END_DONE);
    coord_server_close(&server);
    server_scene_check_file(s, SCENE_STEPS);
    server_scene_check_store(s, SCENE_STEPS);
}
