/* The coordinator's numbers over HTTP, and what workers tell of theirs: hostile ones, too. There is no
 * worker process; a socket of the test's own speaks for one, and the server is turned in between. */
#include "tests/support/fake_worker.h"

#include "coordinator/coord_server_private.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SPEAKER 77u
#define LIMIT_S 60

static df_error error;

typedef struct scene {
    char folder[64], state[96], text[64];
    sim_job model;
    coord_shape shape;
    df_policy policy;
    coord_server_job job;
    coord_server *server;
    coord_status *status;
    coord_net *net;
    time_t end;
    char page[1 << 16];
    df_draft_worker labelled;
    coord_workers_row rows[PROTO_WORKERS_MAX];
} scene;

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

static scene *scene_new(void)
{
    scene *s = calloc(1, sizeof *s);
    coord_server_options options = { .job = &s->job, .state = s->state, .metrics = "0" };
    coord_net_options net = { .self = SPEAKER, .frame_size_max = PROTO_FRAME_SIZE_MAX };

    strcpy(s->folder, "/tmp/test_coord_metrics.XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->state, sizeof s->state, "%s/state", s->folder);
    fake_worker_text(s->text, 1, 5, 60);
    fake_worker_job(&s->model, s->text, strlen(s->text));
    fake_worker_shape(&s->shape);
    s->job = (coord_server_job){ .name = "model", .file = "model.toml", .directory = s->folder,
                                 .text = s->text, .sets = "", .plan = &s->model.plan,
                                 .shape = &s->shape, .policy = &s->policy, .window = 4 };
    s->status = calloc(1, sizeof *s->status);
    s->labelled = (df_draft_worker){ .label = { .text = "speaker" }, .priority = 1 };
    s->job.workers = &s->labelled;
    s->job.worker_count = 1;
    s->policy.placement.priority = 2;
    s->end = time(NULL) + LIMIT_S;
    assert_int_equal(coord_server_open(&s->server, &options, &error), DF_OK);
    assert_int_equal(coord_net_open(&s->net, &net, &error), DF_OK);
    assert_int_equal(coord_net_connect(s->net, 0, coord_server_address(s->server), NULL, &error), DF_OK);
    return s;
}

static void scene_free(scene *s)
{
    coord_net_close(&s->net);
    coord_server_close(&s->server);
    nftw(s->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(s->status);
    free(s);
}

static void turn(scene *s)
{
    coord_net_event event;
    uint64_t ready;
    df_status waited = coord_net_wait(s->net, 0, NULL, 0, &ready);

    assert_true(waited == DF_OK || waited == DF_AGAIN);
    while (coord_net_next(s->net, &event))
        continue;
    assert_int_equal(coord_server_turn(s->server, 2000, &error), DF_OK);
    coord_server_status(s->server, s->status);
    assert_true(time(NULL) < s->end);
}

/* ---- speaking ---- */

static void say(scene *s, const proto_msg *msg)
{
    static uint8_t bytes[PROTO_FRAME_SIZE_MAX];
    coord_net_frame frame = { .head = bytes, .head_size = proto_encode(msg, bytes, sizeof bytes) };

    assert_true(frame.head_size > 0);
    while (coord_net_send(s->net, 0, &frame, &error) == DF_AGAIN)
        turn(s);
}

static void say_metrics(scene *s, uint64_t job, const void *bytes, size_t size)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_metrics, .job = job, .sender = SPEAKER } };

    msg.metrics.payload = (proto_bytes){ bytes, (uint32_t)size };
    say(s, &msg);
}

/* Until a message was rejected for this reason. */
static void await_rejected(scene *s, proto_reject reason, uint64_t count)
{
    do
        turn(s);
    while (s->status->rejected[reason] < count);
    assert_int_equal(s->status->rejected[reason], count);
}

/* A worker says who it is again and again; one that is silent for long is forgotten. */
static void say_join(scene *s)
{
    static const char label[] = "speaker";
    proto_msg msg = { .header = { .type = PROTO_TYPE_join, .job = s->status->number,
                                  .sender = SPEAKER } };

    msg.join.label = (proto_bytes){ (const uint8_t *)label, sizeof label - 1 };
    do {
        say(s, &msg);
        turn(s);
    } while (s->status->worker_count == 0);
}

static void say_counts(scene *s, uint64_t tasks)
{
    coord_counts c;
    df_writer w;

    assert_true(coord_counts_init(&c, 1, 0));
    c.tasks = tasks;
    strcpy(c.operators[0].name, "cells");
    strcpy(c.operators[0].kind, "model");
    df_writer_init_growing(&w, 1 << 16);
    coord_counts_encode(&w, &c);
    say_metrics(s, s->status->number, w.data, w.size);
    df_writer_fini(&w);
    coord_counts_fini(&c);
}

static void say_load(scene *s, uint64_t job, const coord_load *load)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_load, .job = job, .sender = SPEAKER } };
    df_writer w;

    df_writer_init_growing(&w, 1 << 16);
    coord_load_encode(&w, load);
    msg.load.payload = (proto_bytes){ w.data, (uint32_t)w.size };
    say(s, &msg);
    df_writer_fini(&w);
}

/* ---- looking ---- */

static void fetch_path(scene *s, const char *path)
{
    char request[96];
    const char *address = coord_server_metrics(s->server);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t used = 0;
    ssize_t got = -1;

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: here\r\n\r\n", path);
    to.sin_port = htons((uint16_t)strtoul(strchr(address, ':') + 1, NULL, 10));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    while (got != 0 && used < sizeof s->page - 1) {
        turn(s);
        got = recv(fd, s->page + used, sizeof s->page - 1 - used, MSG_DONTWAIT);
        used += got > 0 ? (size_t)got : 0;
    }
    s->page[used] = '\0';
    close(fd);
    assert_int_equal(strncmp(s->page, "HTTP/1.1 200 ", 13), 0);
}

static void fetch(scene *s)
{
    fetch_path(s, "/metrics");
}

/* Tell so many tasks until they are shown, as a worker does every second. */
static void tell_until(scene *s, uint64_t tasks, const char *text)
{
    do {
        say_join(s);
        say_counts(s, tasks);
        fetch(s);
    } while (strstr(s->page, text) == NULL);
}

/* ---- the tests ---- */

static void test_page(void **state)
{
    scene *s = scene_new();

    (void)state;
    fetch(s);
    assert_string_equal(s->status->metrics, coord_server_metrics(s->server));
    assert_non_null(strstr(s->page, "\nweir_info{name=\"model\"} 1\n"));
    assert_non_null(strstr(s->page, "\nweir_phase{phase=\"waiting\"} 1\n"));
    assert_non_null(strstr(s->page, "\nweir_workers{state=\"here\"} 0\n"));
    assert_null(strstr(s->page, "\nweir_snapshot_last_id"));
    scene_free(s);
}

static void test_told(void **state)
{
    scene *s = scene_new();

    (void)state;
    turn(s);
    say_metrics(s, s->status->number, "x", 1); /* of nobody who is known */
    await_rejected(s, PROTO_REJECT_sender, 1);
    say_join(s);
    fetch(s);
    assert_non_null(strstr(s->page, "\nweir_worker_silent_seconds{worker=\"speaker\"} "));
    assert_null(strstr(s->page, "\nweir_worker_tasks_total{"));
    say_join(s);
    say_metrics(s, s->status->number, "x", 1);
    await_rejected(s, PROTO_REJECT_field, 1);
    say_metrics(s, s->status->number + 1, "x", 1);
    await_rejected(s, PROTO_REJECT_job, 1);
    tell_until(s, 5, "\nweir_worker_tasks_total{worker=\"speaker\"} 5\n");
    tell_until(s, 6, "\nweir_worker_tasks_total{worker=\"speaker\"} 6\n"); /* the newest counts */
    assert_non_null(strstr(s->page, "\nweir_operator_calls_total{worker=\"speaker\",operator=\"cells\","
                                    "role=\"operator\",kind=\"model\"} 0\n"));
    say_join(s);
    say_metrics(s, s->status->number, "x", 1); /* what is damaged changes nothing */
    await_rejected(s, PROTO_REJECT_field, 2);
    tell_until(s, 6, "\nweir_rejected_messages_total{reason=\"field\"} 2\n");
    assert_non_null(strstr(s->page, "\nweir_worker_tasks_total{worker=\"speaker\"} 6\n"));
    scene_free(s);
}

/* Until the server has heard a load that keeps so many bytes free. */
static void await_load(scene *s, const coord_load *load, coord_workers_row *row)
{
    do {
        say_join(s);
        say_load(s, s->status->number, load);
        turn(s);
        assert_int_equal(server_workers(s->server, s->rows), 1);
        *row = s->rows[0];
    } while (!row->told || row->free_bytes != load->free_bytes);
}

/* The two that were told of, and not what was refused; on their own page. */
static void check_groups(scene *s)
{
    assert_null(strstr(s->page, "key_group="));
    fetch_path(s, "/metrics/key-groups");
    assert_non_null(strstr(s->page, "\nweir_key_group_rows{key_group=\"1\",worker=\"speaker\"} 20\n"));
    assert_non_null(strstr(s->page, "\nweir_key_group_bytes{key_group=\"4\",worker=\"speaker\"} 2\n"));
    assert_non_null(strstr(s->page, "\nweir_key_group_step_cost_seconds{key_group=\"1\",worker=\"speaker\"} 0.000001000\n"));
    assert_null(strstr(s->page, "{key_group=\"0\""));
    assert_null(strstr(s->page, "{key_group=\"5\""));
}

static void test_load(void **state)
{
    scene *s = scene_new();
    coord_load_unit units[] = { { 1, 1000, 20, 300 }, { 4, 500, 1, 2 } };
    coord_load load = { .host = "node7", .backend = "cpu", .threads = 3, .busy = 500000,
                        .host_load = 250000, .free_bytes = 1000, .total_bytes = 2000,
                        .process_bytes = 10 };
    coord_workers_row row;
    coord_scale_sample sample;
    server_view view;
    char text[256];

    (void)state;
    turn(s);
    say_load(s, s->status->number, &load); /* of nobody who is known */
    await_rejected(s, PROTO_REJECT_sender, 1);
    say_join(s);
    assert_int_equal(server_workers(s->server, s->rows), 1);
    assert_false(s->rows[0].told);
    assert_string_equal(s->rows[0].refused, "its priority is 1, at least 2 is asked for");
    say_load(s, s->status->number + 1, &load);
    await_rejected(s, PROTO_REJECT_job, 1);
    await_load(s, &load, &row);
    assert_string_equal(row.label, "speaker");
    assert_string_equal(row.host, "node7");
    assert_int_equal(row.threads, 3);
    assert_true(row.busy == 0.5 && row.host_load == 0.25);
    assert_false(server_scale_sample(s->server, &sample)); /* a member would count */
    assert_int_equal(row.units_age_us, UINT64_MAX);
    load.units_told = true;
    load.unit_count = 2;
    load.units = units;
    load.free_bytes = 1001;
    await_load(s, &load, &row);
    assert_int_equal(row.rows, 21);
    assert_int_equal(row.bytes, 302);
    assert_int_equal(row.cost_ns, 1500);
    server_balance_text(s->server, text); /* three have not been told of */
    assert_string_equal(text, "");
    units[1].unit = 5; /* the job has five, and the sink's own behind them */
    load.free_bytes = 1002;
    say_join(s);
    say_load(s, s->status->number, &load);
    await_rejected(s, PROTO_REJECT_field, 1);
    assert_int_equal(server_workers(s->server, s->rows), 1);
    assert_int_equal(s->rows[0].free_bytes, 1001);
    fetch(s);
    assert_non_null(strstr(s->page, "\nweir_worker_step_cost_seconds{worker=\"speaker\"} 0.0000015"));
    assert_non_null(strstr(s->page, "\nweir_worker_host_load_ratio{worker=\"speaker\"} 0.25\n"));
    check_groups(s);

    /* What a decision gives is remembered until the next load. */
    assert_true(server_view_make(s->server, &view));
    assert_int_equal(view.input.unit_count, 5);
    assert_int_equal(view.units[1].owner, 0);
    assert_int_equal(view.units[0].owner, COORD_PLACE_NONE);
    server_view_reserve(s->server, &view, (uint32_t[]){ 0, 0, 0, 0, 0 });
    server_view_free(&view);
    assert_true(server_view_make(s->server, &view));
    assert_true(view.workers[0].reserved_load > 0);
    server_view_free(&view);
    units[1].unit = 4;
    load.free_bytes = 1003;
    await_load(s, &load, &row);
    assert_true(server_view_make(s->server, &view));
    assert_true(view.workers[0].reserved_load == 0);
    server_view_free(&view);
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_page), cmocka_unit_test(test_told),
                                        cmocka_unit_test(test_load) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
