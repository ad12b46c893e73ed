/* The coordinator as a process has it, with real workers of the simulator's model job: sockets, the
 * log, the store. Whatever is killed, the sink's bytes and the last snapshot are those of an
 * interpreter that runs straight through. */
#include "coordinator/coord_server_private.h"
#include "tests/support/server_scene.h"

#include "coordinator/coord_client.h"
#include "coordinator/coord_state.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static df_error error;

/* ---- the tests ---- */

static void test_run(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server = server_scene_open(s), *other;

    (void)state;
    assert_int_equal(coord_server_open(&other, &s->options, &error), DF_AGAIN);
    server_scene_run_to_end(s, server);
    assert_true(s->status->snapshots_taken >= 2);
    assert_int_equal(s->status->generation, 1);
    assert_non_null(strstr(s->printed, "w1 has its job\n"));
    assert_non_null(strstr(s->printed, "w2 has its job\n"));
    server_scene_free(s);
}

static void test_again(void **state)
{
    server_scene *s = server_scene_new();

    (void)state;
    s->job.pace = 0;
    server_scene_run_to_end(s, server_scene_open(s));
    s->options.begin = COORD_BEGIN_RESUME; /* what has ended is not gone on with */
    coord_server *server;
    assert_int_equal(coord_server_open(&server, &s->options, &error), DF_EINVAL);
    assert_null(server);
    assert_non_null(strstr(error.text, " has ended; --fresh begins anew; it was done at step 58 of 58"));
    coord_state_remove(s->state, "ended");
    assert_int_equal(coord_server_open(&server, &s->options, &error), DF_EINVAL);
    assert_non_null(strstr(error.text, " has ended; --fresh begins anew"));
    s->options.begin = COORD_BEGIN_NEW;
    s->options.workers = 3;
    server_scene_run_to_end(s, server_scene_open(s));
    server_scene_free(s);
}

/* A worker that is killed: everything returns to the last snapshot, and the bits are the same. */
static void test_kill(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server = server_scene_open(s);

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(server_scene_turn_until(s, server, i == 0 ? server_scene_so_snapshot : server_scene_so_running), DF_OK);
        assert_int_equal(s->status->worker_count, 2);
        assert_int_equal(kill((pid_t)s->status->workers[i].pid, SIGKILL), 0);
        while (strcmp(s->status->phase, "running") == 0) {
            assert_int_equal(coord_server_turn(server, 100000, &error), DF_OK);
            coord_server_status(server, s->status);
        }
    }
    server_scene_run_to_end(s, server);
    assert_int_equal(s->status->generation, 3);
    assert_int_equal(s->status->restarts, 2);
    server_scene_free(s);
}

/* A worker that is stuck is silent, is killed, and another one takes its place. */
static void test_stuck(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server = server_scene_open(s);

    (void)state;
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_snapshot), DF_OK);
    assert_int_equal(kill((pid_t)s->status->workers[1].pid, SIGSTOP), 0);
    server_scene_run_to_end(s, server);
    assert_int_equal(s->status->restarts, 1);
    server_scene_free(s);
}

/* A coordinator that ends, and workers that outlive it: no generation is lost. */
static void test_workers_survive(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server;
    coord_endpoint endpoint;

    (void)state;
    s->options.workers_survive = true;
    s->options.print = NULL;
    s->job.pace = 60;
    server = server_scene_open(s);
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_snapshot), DF_OK);
    coord_server_close(&server);
    assert_int_equal(coord_state_endpoint(&endpoint, s->state, &error), DF_END);
    assert_int_equal(coord_server_open(&server, &s->options, &error), DF_EINVAL);
    assert_null(server);
    assert_non_null(strstr(error.text, "--resume"));
    s->options.begin = COORD_BEGIN_RESUME;
    server = server_scene_open(s);
    server_scene_run_to_end(s, server);
    assert_int_equal(s->status->incarnation, 2);
    assert_int_equal(s->status->generation, 1);
    assert_int_equal(s->status->restarts, 0);
    server_scene_free(s);
}

/* ---- a coordinator that is killed ---- */

/* `coordinator FOLDER`: a process of its own. */
static int coordinator_main(const char *folder)
{
    server_scene *s = server_scene_at(folder);
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

static pid_t coordinator_start(const server_scene *s)
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
static void coordinator_wait(const server_scene *s, uint64_t step)
{
    uint64_t end = server_scene_now_us() + SCENE_LIMIT_US, reached = 0;

    while (reached < step) {
        coord_client *client;

        if (coord_client_open(&client, s->state, &error) == DF_OK)
            reached = coord_client_status(client)->step;
        coord_client_close(&client);
        assert_true(server_scene_now_us() < end);
    }
}

/* Its workers live on and keep their state; the next one takes them over, and no step is repeated. */
static void test_coordinator_killed(void **state)
{
    server_scene *s = server_scene_new();
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
    server_scene_check_file(s, SCENE_STEPS);
    server_scene_check_store(s, SCENE_STEPS);
    s->options.begin = COORD_BEGIN_RESUME;
    assert_int_equal(coord_server_open(&server, &s->options, &error), DF_EINVAL); /* it has ended */
    server_scene_free(s);
}

/* Everything ends: the next run goes on from the last snapshot. */
static void test_resume(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server = server_scene_open(s);
    uint64_t snapshot;

    (void)state;
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_snapshot), DF_OK);
    snapshot = s->status->snapshot;
    coord_server_close(&server);
    s->options.begin = COORD_BEGIN_RESUME;
    s->options.workers = 1;
    server = server_scene_open(s);
    coord_server_status(server, s->status);
    assert_true(s->status->snapshot >= snapshot);
    server_scene_run_to_end(s, server);
    server_scene_free(s);
}

static void test_fresh(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server = server_scene_open(s);

    (void)state;
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_snapshot), DF_OK);
    coord_server_close(&server);
    s->shape.plan.low++; /* another version of the job */
    s->options.begin = COORD_BEGIN_RESUME;
    assert_int_equal(coord_server_open(&server, &s->options, &error), DF_EINVAL);
    s->options.begin = COORD_BEGIN_FRESH;
    s->job.pace = 0;
    server_scene_run_to_end(s, server_scene_open(s));
    server_scene_free(s);
}

static void test_commands(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server = server_scene_open(s);

    (void)state;
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_running), DF_OK);
    coord_server_command(server, PROTO_VERB_PAUSE);
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_paused), DF_OK);
    coord_server_command(server, PROTO_VERB_RESUME);
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_running), DF_OK);
    coord_server_command(server, PROTO_VERB_DRAIN);
    assert_int_equal(server_scene_turn_until(s, server, NULL), DF_END);
    assert_string_equal(s->status->phase, "drained");
    assert_int_equal(s->status->snapshot_step, s->status->step + 1);
    coord_server_close(&server);
    server_scene_check_file(s, s->status->snapshot_step + 1);
    server_scene_check_store(s, s->status->snapshot_step + 1);
    server_scene_free(s);
}

static void test_cancel(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server = server_scene_open(s);

    (void)state;
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_running), DF_OK);
    coord_server_command(server, PROTO_VERB_CANCEL);
    assert_int_equal(server_scene_turn_until(s, server, NULL), DF_END);
    assert_string_equal(s->status->phase, "cancelled");
    coord_server_close(&server);
    server_scene_free(s);
}

/* ---- an end that is told again ---- */

/* A coordinator that is started on a state whose job has ended, as a service does that was killed before it had
 * heard the end; *status is what it says, and it ends again. */
static void told_again(server_scene *s, coord_status *status)
{
    coord_server *server;

    s->options.begin = COORD_BEGIN_TAKE;
    s->options.workers_survive = true;
    s->options.workers = 0;
    s->options.print = NULL;
    server = server_scene_open(s);
    assert_int_equal(server_scene_turn_until(s, server, NULL), DF_END);
    *status = *s->status;
    coord_server_close(&server);
}

static void same_end(const coord_status *a, const coord_status *b)
{
    assert_string_equal(a->phase, b->phase);
    assert_string_equal(a->error, b->error);
    assert_string_equal(a->fingerprint, b->fingerprint);
    assert_true(a->begun == b->begun);
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->steps, b->steps);
    assert_int_equal(a->snapshot, b->snapshot);
    assert_int_equal(a->snapshot_step, b->snapshot_step);
    assert_int_equal(a->restarts, b->restarts);
}

/* Back to a snapshot before the last step, whose fingerprint is told again (these workers tell none); and to the one behind it,
 * after which nobody computes it again. */
static void test_back_from_the_end(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server;

    (void)state;
    s->job.pace = 30;
    s->policy.snapshot_retain = 100;
    server = server_scene_open(s);
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_snapshot), DF_OK);
    s->options.snapshot = s->status->snapshot;
    assert_int_equal(server_scene_turn_until(s, server, NULL), DF_END);
    coord_server_close(&server);
    s->options.begin = COORD_BEGIN_RESUME;
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(coord_state_write(s->state, "finished", "0123abcd", 8, &error), DF_OK);
        server = server_scene_open(s);
        assert_int_equal(server_scene_turn_until(s, server, NULL), DF_END);
        coord_server_close(&server);
        assert_string_equal(s->status->phase, "done");
        assert_string_equal(s->status->fingerprint, turn == 0 ? "" : "0123abcd");
        s->options.snapshot = s->status->snapshot;
    }
    server_scene_free(s);
}

static void test_done_again(void **state)
{
    server_scene *s = server_scene_new();
    coord_status *first = malloc(sizeof *first), *again = malloc(sizeof *again);

    (void)state;
    s->job.pace = 0;
    server_scene_run_to_end(s, server_scene_open(s));
    *first = *s->status;
    assert_int_equal(first->step, first->steps);
    told_again(s, again);
    same_end(first, again);
    assert_int_equal(again->incarnation, first->incarnation + 1);
    /* Without the words, as of a version that wrote none, log and snapshot tell the same. */
    coord_state_remove(s->state, "ended");
    told_again(s, again);
    same_end(first, again);
    for (int i = 0; i < 3; i++) {
        static const char *const wrong[] = { "{", "{}", "{\"phase\":\"running\"}" };

        assert_int_equal(coord_state_write(s->state, "ended", wrong[i], strlen(wrong[i]), &error), DF_OK);
        told_again(s, again);
        same_end(first, again);
    }
    free(first);
    free(again);
    server_scene_free(s);
}

/* It ends without its words, and no others are taken for them. */
static void test_done_unwritten(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server = server_scene_open(s);
    coord_status *first = malloc(sizeof *first), *again = malloc(sizeof *again);
    char path[128], *text;
    size_t size;

    (void)state;
    assert_int_equal(coord_state_write(s->state, "ended", "{\"phase\":\"failed\"}", 18, &error), DF_OK);
    snprintf(path, sizeof path, "%s/ended.new", s->state);
    assert_int_equal(mkdir(path, 0700), 0);
    server_scene_run_to_end(s, server);
    *first = *s->status;
    assert_int_equal(coord_state_read(s->state, "ended", &text, &size, &error), DF_END);
    told_again(s, again);
    same_end(first, again);
    free(first);
    free(again);
    server_scene_free(s);
}

static void test_cancelled_again(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server = server_scene_open(s);
    coord_status *first = malloc(sizeof *first), *again = malloc(sizeof *again);

    (void)state;
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_snapshot), DF_OK);
    coord_server_command(server, PROTO_VERB_CANCEL);
    assert_int_equal(server_scene_turn_until(s, server, NULL), DF_END);
    coord_server_close(&server);
    *first = *s->status;
    assert_string_equal(first->phase, "cancelled");
    told_again(s, again);
    same_end(first, again);
    free(first);
    free(again);
    server_scene_free(s);
}

static void test_failed_again(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server;
    coord_status *first = malloc(sizeof *first), *again = malloc(sizeof *again);

    (void)state;
    s->policy.fault_mode = DF_FAULT_NONE;
    s->job.pace = 20; /* it is not done when the worker is killed, however late this process gets to it */
    server = server_scene_open(s);
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_snapshot), DF_OK);
    assert_int_equal(kill((pid_t)s->status->workers[0].pid, SIGKILL), 0);
    assert_int_equal(server_scene_turn_until(s, server, NULL), DF_END);
    coord_server_close(&server);
    *first = *s->status;
    assert_string_equal(first->phase, "failed");
    assert_non_null(strstr(first->error, " was lost: the job has mode = \"none\""));
    told_again(s, again);
    same_end(first, again);
    coord_state_remove(s->state, "ended");
    told_again(s, again);
    assert_string_equal(again->phase, "failed");
    assert_string_equal(again->error, "it had failed; its workers' logs may say why");
    free(first);
    free(again);
    server_scene_free(s);
}

static bool so_failed(const coord_status *s)
{
    return strcmp(s->phase, "failed") == 0;
}

/* What was under way when the job failed, and was done before all had left, is told later, too. */
static void test_failed_later(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server;
    coord_status *first = malloc(sizeof *first), *again = malloc(sizeof *again);

    (void)state;
    s->policy.fault_mode = DF_FAULT_NONE;
    s->job.pace = 20;
    server = server_scene_open(s);
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_snapshot), DF_OK);
    assert_int_equal(kill((pid_t)s->status->workers[0].pid, SIGKILL), 0);
    assert_int_equal(server_scene_turn_until(s, server, so_failed), DF_OK);
    coord_state_remove(s->state, "ended"); /* as if it had been written a snapshot earlier */
    server->kept.snapshot--;
    assert_int_equal(server_scene_turn_until(s, server, NULL), DF_END);
    coord_server_close(&server);
    *first = *s->status;
    told_again(s, again);
    same_end(first, again);
    free(first);
    free(again);
    server_scene_free(s);
}

/* Workers that never come to anything are given up, and it is said where to look, and what stands there. */
static void no_worker(const char *program, const char *said)
{
    server_scene *s = server_scene_new();
    coord_server *server;

    s->options.program = program;
    server = server_scene_open(s);
    assert_int_equal(server_scene_turn_until(s, server, NULL), DF_EIO);
    assert_non_null(strstr(s->status->error, "no worker could be started; "));
    assert_non_null(strstr(s->status->error, said));
    coord_server_close(&server);
    server_scene_free(s);
}

static void test_no_worker(void **state)
{
    char program[] = "/tmp/test_no_worker.XXXXXX";
    int file = mkstemp(program);
    FILE *script = file < 0 ? NULL : fdopen(file, "w");

    (void)state;
    no_worker("/bin/false", ".log says why");
    assert_non_null(script);
    fprintf(script, "#!/bin/sh\necho 'weir: a line before' >&2\necho 'weir: there is no memory' >&2\nexit 1\n");
    assert_int_equal(fclose(script), 0);
    assert_int_equal(chmod(program, 0700), 0);
    no_worker(program, ".log says why: there is no memory");
    assert_int_equal(remove(program), 0);
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
        cmocka_unit_test(test_no_worker),
        cmocka_unit_test(test_back_from_the_end),
        cmocka_unit_test(test_done_again), cmocka_unit_test(test_cancelled_again),
        cmocka_unit_test(test_failed_again), cmocka_unit_test(test_failed_later),
        cmocka_unit_test(test_done_unwritten),
    };

    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return fake_worker_main(argc, argv);
    if (argc == 3 && strcmp(argv[1], "coordinator") == 0)
        return coordinator_main(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
