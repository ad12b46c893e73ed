/* The coordinator as a process has it, with real workers of the simulator's model job: sockets, the
 * log, the store. Whatever is killed, the sink's bytes and the last snapshot are those of an
 * interpreter that runs straight through. */
#include "tests/support/fake_worker.h"

#include "coordinator/coord_client.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_verb.h"

#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define GROUPS   5u
#define STEPS    60u
#define SEED     4711u
#define LIMIT_US 60000000u

static df_error error;

/* ---- a place and a job ---- */

typedef struct scene {
    char folder[64], state[96], text[64], printed[4096];
    sim_job model;
    coord_shape shape;
    df_policy policy;
    coord_server_job job;
    coord_server_options options;
    coord_status *status;
} scene;

static void scene_print(void *user, const char *text, size_t size)
{
    scene *s = user;
    size_t used = strlen(s->printed);

    snprintf(s->printed + used, sizeof s->printed - used, "%.*s", (int)size, text);
}

static scene *scene_at(const char *folder)
{
    scene *s = calloc(1, sizeof *s);

    snprintf(s->folder, sizeof s->folder, "%s", folder);
    snprintf(s->state, sizeof s->state, "%s/state", s->folder);
    fake_worker_text(s->text, SEED, GROUPS, STEPS);
    fake_worker_job(&s->model, s->text, strlen(s->text));
    fake_worker_shape(&s->shape);
    s->policy = (df_policy){ .snapshot = true, .snapshot_every_steps = 7, .snapshot_retain = 2,
                             .fault_max_restarts = 20, .fault_backoff_seconds = 0.01 };
    s->job = (coord_server_job){ .name = "model", .file = "model.toml", .directory = s->folder,
                                 .text = s->text, .sets = "", .plan = &s->model.plan,
                                 .shape = &s->shape, .policy = &s->policy, .window = 4, .pace = 300 };
    s->options = (coord_server_options){ .job = &s->job, .state = s->state, .workers = 2, .threads = 1,
                                         .print = scene_print, .user = s };
    s->status = calloc(1, sizeof *s->status);
    return s;
}

static scene *scene_new(void)
{
    char folder[] = "/tmp/test_coord_server.XXXXXX";

    assert_non_null(mkdtemp(folder));
    return scene_at(folder);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

static void scene_free(scene *s)
{
    nftw(s->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(s->status);
    free(s);
}

static coord_server *scene_open(scene *s)
{
    coord_server *server;
    df_status status = coord_server_open(&server, &s->options, &error);

    if (status != DF_OK)
        print_error("%s\n", error.text);
    assert_int_equal(status, DF_OK);
    return server;
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Turn until something is so; returns the status of the last turn. */
static df_status turn_until(scene *s, coord_server *server, bool (*so)(const coord_status *status))
{
    uint64_t end = now_us() + LIMIT_US;
    df_status status = DF_OK;

    while (status == DF_OK) {
        coord_server_status(server, s->status);
        if (so != NULL && so(s->status))
            return DF_OK;
        if (now_us() > end)
            fail_msg("phase %s, waiting for %s, step %d", s->status->phase, s->status->waiting,
                     (int)s->status->step);
        status = coord_server_turn(server, 100000, &error);
    }
    coord_server_status(server, s->status);
    if (status != DF_END)
        print_error("%s\n", error.text);
    return status;
}

static bool so_running(const coord_status *s)
{
    return strcmp(s->phase, "running") == 0 && s->step >= 3;
}

static bool so_snapshot(const coord_status *s)
{
    return s->snapshot != 0 && s->step >= 10;
}

static bool so_paused(const coord_status *s)
{
    return strcmp(s->phase, "paused") == 0;
}

/* ---- what must have come of it ---- */

static void file_check(const scene *s, uint64_t steps)
{
    uint64_t *values = calloc((STEPS + 1) * GROUPS, sizeof *values);
    size_t size = 16u * GROUPS * STEPS;
    uint8_t *expected = malloc(size), *found = malloc(size + 1);
    char path[DF_PATH_MAX];
    FILE *file;

    sim_reference(&s->model, NULL, 0, values, expected);
    snprintf(path, sizeof path, "%s/out.bin", s->folder);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fread(found, 1, size + 1, file), 16u * GROUPS * steps);
    assert_memory_equal(found, expected, 16u * GROUPS * steps);
    fclose(file);
    free(values);
    free(expected);
    free(found);
}

/* The newest snapshot holds what enters the step behind the last. */
static void store_check(const scene *s, uint64_t ticks)
{
    uint64_t *values = calloc((STEPS + 1) * GROUPS, sizeof *values), value;
    uint8_t *file = malloc(16u * GROUPS * STEPS);
    const snap_store_options options = { .readonly = true };
    char path[DF_PATH_MAX];
    snap_store *store;
    df_disk disk;

    df_disk_posix_init(&disk);
    sim_reference(&s->model, NULL, 0, values, file);
    snprintf(path, sizeof path, "%s/store", s->state);
    assert_int_equal(snap_store_open_rocksdb(&store, &disk, path, &options, &error), DF_OK);
    assert_true(snap_store_count(store) <= 2);
    for (uint32_t g = 0; g < GROUPS; g++) {
        assert_true(fake_worker_value(store, snap_store_head(store), g, &value));
        assert_int_equal(value, values[ticks * GROUPS + g]);
    }
    snap_store_close(&store);
    free(values);
    free(file);
}

static void run_to_end(scene *s, coord_server *server)
{
    assert_int_equal(turn_until(s, server, NULL), DF_END);
    assert_string_equal(s->status->phase, "done");
    assert_int_equal(coord_server_end(server), PROTO_END_DONE);
    coord_server_close(&server);
    file_check(s, STEPS);
    store_check(s, STEPS);
}

/* ---- the tests ---- */

static void test_run(void **state)
{
    scene *s = scene_new();
    coord_server *server = scene_open(s), *other;

    (void)state;
    assert_int_equal(coord_server_open(&other, &s->options, &error), DF_AGAIN);
    run_to_end(s, server);
    assert_true(s->status->snapshots_taken >= 2);
    assert_int_equal(s->status->generation, 1);
    assert_non_null(strstr(s->printed, "w1 has its job\n"));
    assert_non_null(strstr(s->printed, "w2 has its job\n"));
    scene_free(s);
}

static void test_again(void **state)
{
    scene *s = scene_new();

    (void)state;
    s->job.pace = 0;
    run_to_end(s, scene_open(s));
    s->options.begin = COORD_BEGIN_RESUME; /* what has ended is not gone on with */
    coord_server *server;
    assert_int_equal(coord_server_open(&server, &s->options, &error), DF_EINVAL);
    assert_null(server);
    s->options.begin = COORD_BEGIN_NEW;
    s->options.workers = 3;
    run_to_end(s, scene_open(s));
    scene_free(s);
}

/* A worker that is killed: everything returns to the last snapshot, and the bits are the same. */
static void test_kill(void **state)
{
    scene *s = scene_new();
    coord_server *server = scene_open(s);

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(turn_until(s, server, i == 0 ? so_snapshot : so_running), DF_OK);
        assert_int_equal(s->status->worker_count, 2);
        assert_int_equal(kill((pid_t)s->status->workers[i].pid, SIGKILL), 0);
        while (strcmp(s->status->phase, "running") == 0) {
            assert_int_equal(coord_server_turn(server, 100000, &error), DF_OK);
            coord_server_status(server, s->status);
        }
    }
    run_to_end(s, server);
    assert_int_equal(s->status->generation, 3);
    assert_int_equal(s->status->restarts, 2);
    scene_free(s);
}

/* A worker that is stuck is silent, is killed, and another one takes its place. */
static void test_stuck(void **state)
{
    scene *s = scene_new();
    coord_server *server = scene_open(s);

    (void)state;
    assert_int_equal(turn_until(s, server, so_snapshot), DF_OK);
    assert_int_equal(kill((pid_t)s->status->workers[1].pid, SIGSTOP), 0);
    run_to_end(s, server);
    assert_int_equal(s->status->restarts, 1);
    scene_free(s);
}

/* A coordinator that ends, and workers that outlive it: no generation is lost. */
static void test_workers_survive(void **state)
{
    scene *s = scene_new();
    coord_server *server;
    char text[COORD_ADDRESS_MAX];

    (void)state;
    s->options.workers_survive = true;
    s->options.print = NULL;
    s->job.pace = 60;
    server = scene_open(s);
    assert_int_equal(turn_until(s, server, so_snapshot), DF_OK);
    coord_server_close(&server);
    assert_int_equal(coord_state_endpoint(text, s->state, &error), DF_END);
    assert_int_equal(coord_server_open(&server, &s->options, &error), DF_EINVAL);
    assert_null(server);
    assert_non_null(strstr(error.text, "--resume"));
    s->options.begin = COORD_BEGIN_RESUME;
    server = scene_open(s);
    run_to_end(s, server);
    assert_int_equal(s->status->incarnation, 2);
    assert_int_equal(s->status->generation, 1);
    assert_int_equal(s->status->restarts, 0);
    scene_free(s);
}

/* ---- a coordinator that is killed ---- */

/* `coordinator FOLDER`: a process of its own. */
static int coordinator_main(const char *folder)
{
    scene *s = scene_at(folder);
    coord_server *server;
    df_status status;

    s->options.workers_survive = true;
    s->options.print = NULL;
    s->options.begin = COORD_BEGIN_RESUME;
    s->job.pace = 40;
    status = coord_server_open(&server, &s->options, &error);
    while (status == DF_OK)
        status = coord_server_turn(server, 100000, &error);
    if (status != DF_END)
        fprintf(stderr, "coordinator: %s\n", error.text);
    coord_server_close(&server);
    free(s->status);
    free(s);
    return status == DF_END ? 0 : 1;
}

static pid_t coordinator_start(const scene *s)
{
    pid_t pid = fork();

    if (pid == 0) {
        execl("/proc/self/exe", "test", "coordinator", s->folder, (char *)NULL);
        _exit(1);
    }
    assert_true(pid > 0);
    return pid;
}

/* Wait until the job runs and has come to a step. */
static void coordinator_wait(const scene *s, uint64_t step)
{
    uint64_t end = now_us() + LIMIT_US, reached = 0;

    while (reached < step) {
        coord_client *client;

        if (coord_client_open(&client, s->state, &error) == DF_OK)
            reached = coord_client_status(client)->step;
        coord_client_close(&client);
        assert_true(now_us() < end);
    }
}

/* Its workers live on and keep their state; the next one takes them over, and no step is repeated. */
static void test_coordinator_killed(void **state)
{
    scene *s = scene_new();
    pid_t pid = coordinator_start(s);
    coord_server *server;
    int status;

    (void)state;
    for (uint64_t i = 1; i <= 3; i++) {
        coordinator_wait(s, 12 * i);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        pid = coordinator_start(s);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    file_check(s, STEPS);
    store_check(s, STEPS);
    s->options.begin = COORD_BEGIN_RESUME;
    assert_int_equal(coord_server_open(&server, &s->options, &error), DF_EINVAL); /* it has ended */
    scene_free(s);
}

/* Everything ends: the next run goes on from the last snapshot. */
static void test_resume(void **state)
{
    scene *s = scene_new();
    coord_server *server = scene_open(s);
    uint64_t snapshot;

    (void)state;
    assert_int_equal(turn_until(s, server, so_snapshot), DF_OK);
    snapshot = s->status->snapshot;
    coord_server_close(&server);
    s->options.begin = COORD_BEGIN_RESUME;
    s->options.workers = 1;
    server = scene_open(s);
    coord_server_status(server, s->status);
    assert_true(s->status->snapshot >= snapshot);
    run_to_end(s, server);
    scene_free(s);
}

static void test_fresh(void **state)
{
    scene *s = scene_new();
    coord_server *server = scene_open(s);

    (void)state;
    assert_int_equal(turn_until(s, server, so_snapshot), DF_OK);
    coord_server_close(&server);
    s->shape.plan.low++; /* another version of the job */
    s->options.begin = COORD_BEGIN_RESUME;
    assert_int_equal(coord_server_open(&server, &s->options, &error), DF_EINVAL);
    s->options.begin = COORD_BEGIN_FRESH;
    s->job.pace = 0;
    run_to_end(s, scene_open(s));
    scene_free(s);
}

static void test_commands(void **state)
{
    scene *s = scene_new();
    coord_server *server = scene_open(s);

    (void)state;
    assert_int_equal(turn_until(s, server, so_running), DF_OK);
    coord_server_command(server, PROTO_VERB_PAUSE);
    assert_int_equal(turn_until(s, server, so_paused), DF_OK);
    coord_server_command(server, PROTO_VERB_RESUME);
    assert_int_equal(turn_until(s, server, so_running), DF_OK);
    coord_server_command(server, PROTO_VERB_DRAIN);
    assert_int_equal(turn_until(s, server, NULL), DF_END);
    assert_string_equal(s->status->phase, "drained");
    assert_int_equal(s->status->snapshot_step, s->status->step + 1);
    coord_server_close(&server);
    file_check(s, s->status->snapshot_step + 1);
    store_check(s, s->status->snapshot_step + 1);
    scene_free(s);
}

static void test_cancel(void **state)
{
    scene *s = scene_new();
    coord_server *server = scene_open(s);

    (void)state;
    assert_int_equal(turn_until(s, server, so_running), DF_OK);
    coord_server_command(server, PROTO_VERB_CANCEL);
    assert_int_equal(turn_until(s, server, NULL), DF_END);
    assert_string_equal(s->status->phase, "cancelled");
    coord_server_close(&server);
    scene_free(s);
}

/* ---- another terminal ---- */

typedef struct terminal {
    scene *s;
    int code;
    char text[20000];
    _Atomic bool done;
} terminal;

static bool asks(terminal *t, const char *what)
{
    coord_question question = { 0 };
    coord_client *client;
    const char *reply = NULL;
    df_error err;
    size_t size = 0;
    bool ok;

    snprintf(question.what, sizeof question.what, "%s", what);
    ok = coord_client_open(&client, t->s->state, &err) == DF_OK &&
         coord_client_ask(client, &question, &reply, &size, &err) == DF_OK;
    snprintf(t->text, sizeof t->text, "%.*s", (int)size, ok ? reply : "");
    coord_client_close(&client);
    return ok;
}

static bool commands(terminal *t, uint8_t verb, uint8_t status)
{
    const proto_command command = { .verb = verb, .first = 1, .second = 99 };
    proto_answer answer = { 0 };
    coord_client *client;
    df_error err;
    bool ok = coord_client_open(&client, t->s->state, &err) == DF_OK &&
              coord_client_command(client, &command, LIMIT_US, &answer, &err) == DF_OK &&
              answer.status == status;

    coord_client_close(&client);
    return ok;
}

/* Stops where something is not as it should be; `code` says where. */
static void *terminal_main(void *user)
{
    terminal *t = user;

    t->code = 1;
    if (!asks(t, "status") || strstr(t->text, "\"phase\":\"running\"") == NULL)
        goto out;
    t->code = 2;
    if (coord_client_snapshot(t->s->folder, "by hand", false) != COORD_DONE)
        goto out;
    t->code = 3;
    if (!asks(t, "snapshots") || strstr(t->text, "\"label\":\"by hand\"") == NULL)
        goto out;
    t->code = 4;
    if (!asks(t, "nonsense") || strstr(t->text, "\"error\":") == NULL)
        goto out;
    t->code = 5;
    if (!commands(t, PROTO_VERB_MOVE, PROTO_ANSWER_REFUSED) || !commands(t, 77, PROTO_ANSWER_REFUSED))
        goto out;
    t->code = 6;
    if (!commands(t, PROTO_VERB_PAUSE, PROTO_ANSWER_OK) || !asks(t, "status") ||
        strstr(t->text, "\"phase\":\"paused\"") == NULL || !commands(t, PROTO_VERB_RESUME, PROTO_ANSWER_OK))
        goto out;
    t->code = 7;
    if (!commands(t, PROTO_VERB_DRAIN, PROTO_ANSWER_OK))
        goto out;
    t->code = 0;
out:
    t->done = true;
    return NULL;
}

static void test_terminal(void **state)
{
    scene *s = scene_new();
    coord_server *server;
    terminal t = { .s = s };
    pthread_t thread;

    (void)state;
    s->policy.snapshot = false;
    s->job.pace = 20;
    server = scene_open(s);
    assert_int_equal(turn_until(s, server, so_running), DF_OK);
    assert_int_equal(pthread_create(&thread, NULL, terminal_main, &t), 0);
    while (!t.done)
        assert_int_equal(coord_server_turn(server, 10000, &error), DF_OK);
    pthread_join(thread, NULL);
    if (t.code != 0)
        print_error("at %d: %s\n", t.code, t.text);
    assert_int_equal(t.code, 0);
    assert_int_equal(turn_until(s, server, NULL), DF_END);
    assert_string_equal(s->status->phase, "drained");
    coord_server_close(&server);
    assert_int_equal(coord_client_snapshot(s->folder, NULL, false), COORD_FAILED); /* nobody is there */
    assert_int_equal(coord_client_snapshot("/nowhere", NULL, false), COORD_USAGE);
    scene_free(s);
}

/* Nobody answers: the state says where somebody listened once. */
static void test_nobody(void **state)
{
    scene *s = scene_new();
    coord_client *client;
    char address[COORD_ADDRESS_MAX];

    (void)state;
    assert_int_equal(coord_state_make(s->state, &error), DF_OK);
    assert_int_equal(coord_client_open(&client, s->state, &error), DF_END);
    assert_int_equal(coord_state_socket(address, 0x123456789, &error), DF_OK);
    assert_int_equal(coord_state_write(s->state, "endpoint", address, strlen(address), &error), DF_OK);
    assert_int_equal(coord_client_open(&client, s->state, &error), DF_END);
    assert_non_null(strstr(error.text, "answers"));
    assert_null(client);
    scene_free(s);
}

/* Workers that never come to anything are given up, and it is said where to look. */
static void test_no_worker(void **state)
{
    scene *s = scene_new();
    coord_server *server;

    (void)state;
    s->options.program = "/bin/false";
    server = scene_open(s);
    assert_int_equal(turn_until(s, server, NULL), DF_EIO);
    assert_non_null(strstr(error.text, "worker-1.log"));
    coord_server_close(&server);
    scene_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),     cmocka_unit_test(test_again),
        cmocka_unit_test(test_kill),    cmocka_unit_test(test_stuck),
        cmocka_unit_test(test_workers_survive),
        cmocka_unit_test(test_coordinator_killed),
        cmocka_unit_test(test_resume),  cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_commands), cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_no_worker), cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_nobody),
    };

    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return fake_worker_main(argc, argv);
    if (argc == 3 && strcmp(argv[1], "coordinator") == 0)
        return coordinator_main(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
