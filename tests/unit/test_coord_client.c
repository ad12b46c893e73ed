/* Another terminal: a client finds a coordinator, asks and commands it, and is told when nobody is
 * there. */
#include "tests/support/server_scene.h"

#include "coordinator/coord_client.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_verb.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static df_error error;
static const coord_reach here;

typedef struct terminal {
    server_scene *s;
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
              coord_client_command(client, &command, SCENE_LIMIT_US, &answer, &err) == DF_OK &&
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
    if (coord_client_snapshot(t->s->folder, &here, "by hand", false) != COORD_DONE)
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
    server_scene *s = server_scene_new();
    coord_server *server;
    terminal t = { .s = s };
    pthread_t thread;

    (void)state;
    s->policy.snapshot = false;
    fake_worker_text(s->text, SCENE_SEED, SCENE_GROUPS, SIM_STEPS_MAX); /* it is drained, however long that takes */
    fake_worker_job(&s->model, s->text, strlen(s->text));
    s->job.pace = 20;
    server = server_scene_open(s);
    assert_int_equal(server_scene_turn_until(s, server, server_scene_so_running), DF_OK);
    assert_int_equal(pthread_create(&thread, NULL, terminal_main, &t), 0);
    while (!t.done)
        assert_int_equal(coord_server_turn(server, 10000, &error), DF_OK);
    pthread_join(thread, NULL);
    if (t.code != 0)
        print_error("at %d: %s\n", t.code, t.text);
    assert_int_equal(t.code, 0);
    assert_int_equal(server_scene_turn_until(s, server, NULL), DF_END);
    assert_string_equal(s->status->phase, "drained");
    coord_server_close(&server);
    assert_int_equal(coord_client_snapshot(s->folder, &here, NULL, false), COORD_FAILED); /* nobody is there */
    assert_int_equal(coord_client_snapshot("/nowhere", &here, NULL, false), COORD_USAGE);
    server_scene_free(s);
}

/* Nobody answers: the state says where somebody listened once. */
static void test_nobody(void **state)
{
    server_scene *s = server_scene_new();
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
    server_scene_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_nobody),
    };

    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return fake_worker_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
