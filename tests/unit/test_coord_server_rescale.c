/* Changes of workers and owners as a server plans, refuses, awaits and gives up: with real worker processes of
 * the simulator's model job, which tell nothing of their load, so the tests say what is known of it. */
#include "coordinator/coord_server_private.h"
#include "tests/support/server_scene.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CLIENT 99u

static df_error error;

static coord_server *open_paced(server_scene *s, double pace)
{
    coord_server *server;

    s->job.pace = pace;
    server = server_scene_open(s);
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_running), DF_OK);
    return server;
}

static coord_server *open_running(server_scene *s)
{
    return open_paced(s, 30); /* two seconds in all */
}

/* As a client asks; the reply's row. A number that the server took before does nothing. */
static coord_rescale_row operate_text(coord_server *server, uint64_t number, const char *text)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_operate, .job = server->number, .sender = CLIENT } };

    msg.operate.number = number;
    msg.operate.text = (proto_bytes){ (const uint8_t *)text, (uint32_t)strlen(text) };
    server_take_operate(server, &msg);
    return server->operated == number ? server->operated_row : (coord_rescale_row){ 0 };
}

static coord_rescale_row operate(coord_server *server, uint64_t number, const coord_rescale_ask *ask)
{
    char *text = coord_json_rescale_ask(ask);
    coord_rescale_row row = operate_text(server, number, text);

    free(text);
    return row;
}

/* Every unit costs and holds the same, and both workers have told just now. */
static void know(coord_server *server)
{
    uint64_t owners[SCENE_GROUPS + 1], now = server_now_us();

    proto_coord_owners_get(server->coord, owners);
    if (server->units == NULL)
        server->units = calloc(SCENE_GROUPS + 1, sizeof *server->units);
    assert_non_null(server->units);
    for (uint32_t u = 0; u < SCENE_GROUPS; u++)
        server->units[u] = (server_unit){ owners[u], now, 1000, 10, 100 };
    for (uint32_t i = 0; i < server->peer_count; i++) {
        server->peers[i].load_us = now;
        server->peers[i].load.threads = 1;
    }
}

static bool so_three(const coord_status *s)
{
    return s->worker_count == 3;
}

static bool so_two(const coord_status *s)
{
    return s->worker_count == 2;
}

/* ---- refusals ---- */

static void refused(coord_server *server, coord_rescale_ask ask, const char *text)
{
    assert_int_not_equal(server_change_begin(server, &ask, "", &error), DF_OK);
    if (strstr(error.text, text) == NULL)
        fail_msg("%s", error.text);
    assert_string_equal(server->change.row.what, "");
    assert_int_equal(coord_children_places(server->children), 2);
}

static void test_refused(void **state)
{
    server_scene *s = server_scene_new();
    coord_server *server = server_scene_open(s);

    (void)state;
    refused(server, (coord_rescale_ask){ .what = "rescale", .workers = 3 }, "the job is not running: it waits for");
    coord_server_close(&server);
    server_scene_free(s);
    s = server_scene_new();
    server = open_running(s);
    know(server);
    refused(server, (coord_rescale_ask){ .what = "abort" }, "the request is not known");
    refused(server, (coord_rescale_ask){ .what = "rescale" }, "0 workers: 1 to ");
    refused(server, (coord_rescale_ask){ .what = "rescale", .workers = UINT32_MAX }, "4294967295 workers: 1 to ");
    refused(server, (coord_rescale_ask){ .what = "rescale", .workers = 1000 },
            "on one machine there may be 64 workers");
    refused(server, (coord_rescale_ask){ .what = "drain-worker", .worker = "w7" }, "there is no worker \"w7\"");
    refused(server, (coord_rescale_ask){ .what = "move", .worker = "w7" }, "there is no worker \"w7\"");
    refused(server, (coord_rescale_ask){ .what = "move", .worker = "w1", .last = SCENE_GROUPS },
            "key groups 0 to 5: the job has 0 to 4");
    refused(server, (coord_rescale_ask){ .what = "move", .worker = "w1", .first = 2, .last = 1 }, "key groups 2 to 1");
    assert_string_equal(operate_text(server, 7, "no JSON").what, "");
    assert_string_equal(operate_text(server, 8, "{\"what\":\"abort\"}").what, "");
    assert_int_equal(server->operated, 0);
    server_scene_run_to_end(s, server);
    server_scene_free(s);
}

/* ---- planning ---- */

static void test_dry_run(void **state)
{
    coord_rescale_ask ask = { .what = "rescale", .workers = 3, .dry_run = true };
    server_scene *s = server_scene_new();
    coord_server *server = open_running(s);
    coord_rescale_row row;

    (void)state;
    assert_string_equal(operate(server, 1, &ask).what, ""); /* what key groups hold is not known */
    know(server);
    row = operate(server, 2, &ask);
    assert_string_equal(row.what, "rescale");
    assert_true(row.from == 2 && row.to == 3 && row.key_groups == 1 && row.waves == 1 && row.bytes == 100);
    ask.workers = 1;
    ask.budget = 1;
    row = operate(server, 3, &ask);
    assert_true(row.from == 2 && row.to == 1 && row.key_groups >= 2 && row.key_groups <= 3);
    assert_int_equal(row.bytes, 100 * row.key_groups);
    assert_int_equal(row.waves, row.key_groups);
    ask.budget = 1000;
    assert_int_equal(operate(server, 4, &ask).waves, 1);
    ask.workers = 2;
    row = operate(server, 5, &ask);
    assert_true(row.to == 2 && row.key_groups == 0);
    for (uint32_t i = 1; i <= 2; i++) { /* of two workers one may go */
        proto_coord_stats stats;
        char label[WEIR_NAME_MAX];

        ask = (coord_rescale_ask){ .what = "drain-worker", .dry_run = true };
        snprintf(ask.worker, sizeof ask.worker, "w%u", i);
        proto_coord_stats_get(server->coord, &stats);
        server_label(server, stats.gatherer, label);
        row = operate(server, 10 + i, &ask);
        assert_string_equal(row.what, strcmp(label, ask.worker) == 0 ? "" : "drain-worker");
    }
    ask = (coord_rescale_ask){ .what = "move", .worker = "w1", .last = SCENE_GROUPS - 1, .dry_run = true };
    row = operate(server, 6, &ask);
    assert_true(row.from == 2 && row.to == 2 && row.key_groups >= 2 && row.key_groups <= 3);
    assert_string_equal(server->change.row.what, "");
    assert_int_equal(coord_children_places(server->children), 2);
    server_scene_run_to_end(s, server);
    server_scene_free(s);
}

/* ---- workers that are awaited ---- */

/* The third one tells nothing, so it is awaited; aborted, it is not started again. */
static void test_awaited(void **state)
{
    coord_rescale_ask ask = { .what = "rescale", .workers = 3 };
    server_scene *s = server_scene_new();
    coord_server *server = open_running(s);

    (void)state;
    know(server);
    assert_string_equal(operate(server, 1, &ask).phase, "waiting for 1 worker");
    assert_string_equal(operate(server, 1, &ask).phase, "waiting for 1 worker"); /* said again */
    assert_int_equal(server_scene_turn_until(s, server, so_three), DF_OK);
    assert_string_equal(s->status->rescale.what, "rescale");
    assert_int_equal(server_change_begin(server, &ask, "", &error), DF_EINVAL);
    assert_non_null(strstr(error.text, "a rescale runs since 0 s: waiting for 1 worker; --abort ends it"));
    ask = (coord_rescale_ask){ .what = "abort" };
    assert_string_equal(operate(server, 2, &ask).what, "rescale");
    assert_int_equal(server->rescale_count, 1);
    assert_string_equal(server->rescales[0].end, "aborted");
    assert_int_equal(server->seen.rescales.ended[0][1], 1);
    assert_int_equal(server_scene_turn_until(s, server, so_two), DF_OK);
    assert_int_equal(coord_children_places(server->children), 2);
    assert_string_equal(s->status->rescale.what, "");
    server_scene_run_to_end(s, server);
    server_scene_free(s);
}

static bool so_no_change(const coord_status *s)
{
    return s->rescale.what[0] == '\0';
}

/* A service sends what is wanted: nobody is started here. What the last rescale has left is wanted from then on. */
static void test_pool(void **state)
{
    coord_rescale_ask ask = { .what = "rescale", .workers = 3 };
    server_scene *s = server_scene_new();
    coord_server *server = open_running(s);

    (void)state;
    server->options.pool = true;
    server->options.expect = 2;
    know(server);
    assert_int_equal(coord_server_wanted(server), 2);
    assert_string_equal(operate(server, 1, &ask).phase, "waiting for 1 worker of the service's pool");
    assert_int_equal(coord_server_wanted(server), 3);
    assert_int_equal(coord_children_places(server->children), 2);
    ask = (coord_rescale_ask){ .what = "abort" };
    assert_string_equal(operate(server, 2, &ask).what, "rescale");
    assert_int_equal(coord_server_wanted(server), 2);
    ask = (coord_rescale_ask){ .what = "rescale", .workers = 4 };
    assert_string_equal(operate(server, 3, &ask).phase, "waiting for 2 workers of the service's pool");
    server->change.until_us = 1; /* long ago */
    assert_int_equal(server_scene_turn_until(s, server, so_no_change), DF_OK);
    assert_string_equal(server->rescales[1].end, "failed");
    assert_string_equal(server->rescales[1].why, "2 of 4 workers have come: the service has no more that are free");
    know(server);
    ask.workers = 1;
    assert_string_equal(operate(server, 4, &ask).what, "rescale");
    assert_int_equal(coord_server_wanted(server), 2); /* until it is done */
    assert_int_equal(server_scene_turn_until(s, server, so_no_change), DF_OK);
    assert_string_equal(server->rescales[2].end, "done");
    assert_int_equal(coord_server_wanted(server), 1);
    server_scene_run_to_end(s, server);
    server_scene_free(s);
}

static bool so_four(const coord_status *s)
{
    return s->worker_count == 4;
}

/* A spare one that hints refuse is none that has come: another one is started, awaited and taken. If that is refused,
 * too, the change fails at once, and says why of each. */
static void test_refused_spare(void **state)
{
    const df_text labels[] = { { .text = "w1" }, { .text = "w2" }, { .text = "w4" } };
    coord_rescale_ask ask = { .what = "rescale", .workers = 3 };
    server_scene *s = server_scene_new();
    coord_server *server = open_paced(s, 5);

    (void)state;
    assert_int_equal(coord_children_more(server->children, 1), 1);
    assert_int_equal(server_scene_turn_until(s, server, so_three), DF_OK);
    s->policy.placement = (df_placement){ .labels = labels, .label_count = 2, .sample_seconds = 60 };
    know(server);
    assert_string_equal(operate(server, 1, &ask).phase, "waiting for 1 worker");
    assert_int_equal(server_scene_turn_until(s, server, so_four), DF_OK);
    know(server);
    assert_int_equal(server_scene_turn_until(s, server, so_three), DF_OK);
    assert_string_equal(server->rescales[0].end, "failed");
    assert_non_null(strstr(server->rescales[0].why, "3 workers are asked for, 2 may have key groups: w3: its label"));
    assert_non_null(strstr(server->rescales[0].why, "; w4: its label"));
    s->policy.placement.label_count = 3;
    assert_string_equal(operate(server, 2, &ask).phase, "waiting for 1 worker");
    assert_int_equal(server_scene_turn_until(s, server, so_four), DF_OK);
    know(server);
    assert_int_equal(server_scene_turn_until(s, server, so_no_change), DF_OK);
    assert_string_equal(server->rescales[1].end, "done");
    for (uint32_t i = 0; i < s->status->worker_count; i++)
        assert_true(s->status->workers[i].member == (strcmp(s->status->workers[i].label, "w3") != 0));
    coord_server_close(&server);
    server_scene_free(s);
}

/* ---- workers that are lost ---- */

static bool so_begun(const coord_status *s)
{
    return s->rescale.id != 0;
}

/* The list says whose loss has ended a change. */
static void test_lost(void **state)
{
    coord_rescale_ask ask = { .what = "rescale", .workers = 3 };
    server_scene *s = server_scene_new();
    coord_server *server = open_paced(s, 5);
    char wanted[96];
    siginfo_t info;

    (void)state;
    know(server);
    assert_string_equal(operate(server, 1, &ask).phase, "waiting for 1 worker");
    assert_int_equal(server_scene_turn_until(s, server, so_three), DF_OK);
    know(server);
    assert_int_equal(server_scene_turn_until(s, server, so_begun), DF_OK);
    snprintf(wanted, sizeof wanted, "worker %s was lost; ", s->status->workers[1].label);
    assert_int_equal(kill((pid_t)s->status->workers[1].pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)s->status->workers[1].pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(server_scene_turn_until(s, server, so_no_change), DF_OK);
    assert_string_equal(server->rescales[0].end, "voided");
    assert_int_equal(strncmp(server->rescales[0].why, wanted, strlen(wanted)), 0);
    assert_true(strlen(server->rescales[0].why) > strlen(wanted));
    coord_server_close(&server);
    server_scene_free(s);
}

/* ---- members that leave ---- */

/* A change that was taken back: the place of a worker that was to leave is filled again when it ends, also if it
 * ended before; and one that an earlier coordinator vacated for nothing is, too. */
static void test_stays(void **state)
{
    coord_rescale_ask ask = { .what = "rescale", .workers = 1 };
    server_scene *s = server_scene_new();
    coord_server *server = open_running(s);
    uint64_t leaves;

    (void)state;
    know(server);
    assert_string_equal(operate(server, 1, &ask).what, "rescale");
    assert_int_equal(server->change.leaving_count, 1);
    leaves = server->change.leaving[0];
    assert_true(coord_children_is_vacated(server->children, leaves));
    assert_int_equal(coord_children_places(server->children), 1);
    ask = (coord_rescale_ask){ .what = "abort" };
    assert_string_equal(operate(server, 2, &ask).what, "rescale");
    assert_int_equal(server_scene_turn_until(s, server, so_no_change), DF_OK);
    assert_string_equal(server->rescales[0].end, "aborted");
    assert_false(coord_children_is_vacated(server->children, leaves));
    assert_int_equal(coord_children_places(server->children), 2);
    coord_children_vacate(server->children, leaves, true);
    server->change.looked = false;
    assert_int_equal(coord_server_turn(server, 0, &error), DF_OK);
    assert_int_equal(coord_children_places(server->children), 2);
    server_scene_run_to_end(s, server);
    server_scene_free(s);
}

/* One that waits longer than it may has failed, and says so. */
static void test_too_late(void **state)
{
    coord_rescale_ask ask = { .what = "rescale", .workers = 3 };
    server_scene *s = server_scene_new();
    coord_server *server = open_running(s);

    (void)state;
    assert_string_equal(operate(server, 1, &ask).what, "rescale");
    server->change.until_us = 0;
    assert_int_equal(server_scene_turn_until(s, server, so_two), DF_OK);
    assert_int_equal(coord_server_turn(server, 0, &error), DF_OK);
    assert_int_equal(server->rescale_count, 1);
    assert_string_equal(server->rescales[0].end, "failed");
    assert_non_null(strstr(server->rescales[0].why, " of 3 workers have come; "));
    assert_int_equal(coord_children_places(server->children), 2);
    ask = (coord_rescale_ask){ .what = "rebalance" };
    assert_string_equal(operate(server, 2, &ask).phase, "waiting to hear what key groups hold");
    server->change.until_us = 0;
    assert_int_equal(coord_server_turn(server, 0, &error), DF_OK);
    assert_string_equal(server->rescales[1].end, "failed");
    assert_string_equal(server->rescales[1].why, "workers do not tell what their key groups hold");
    server_scene_run_to_end(s, server);
    server_scene_free(s);
}

/* ---- the list of them ---- */

static void test_list(void **state)
{
    const coord_rescale_row row = { .id = 3, .what = "move", .end = "done", .key_groups = 4 };
    server_scene *s = server_scene_new();
    coord_server *server = server_scene_open(s);
    char *text = coord_json_rescales(NULL, &row, 1);

    (void)state;
    assert_int_equal(coord_state_write(s->state, "rescales", text, strlen(text), &error), DF_OK);
    server_rescales_read(server);
    assert_int_equal(server->rescale_count, 1);
    assert_int_equal(server->rescales[0].key_groups, 4);
    free(text);
    assert_int_equal(coord_state_write(s->state, "rescales", "{\"resca", 7, &error), DF_OK);
    server_rescales_read(server);
    assert_int_equal(server->rescale_count, 0);
    coord_server_close(&server);
    server_scene_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_dry_run), cmocka_unit_test(test_awaited),
        cmocka_unit_test(test_pool), cmocka_unit_test(test_refused_spare), cmocka_unit_test(test_lost),
        cmocka_unit_test(test_stays),    cmocka_unit_test(test_too_late), cmocka_unit_test(test_list),
    };

    if (argc > 1)
        return fake_worker_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
