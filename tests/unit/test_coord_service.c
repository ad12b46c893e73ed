/* A service without its loop: the list of jobs on disk, and messages that make no sense. */
#include "coordinator/coord_service_private.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char over[] = "{\"job\":\"a\",\"phase\":\"done\",\"step\":3,\"steps\":3,\"fingerprint\":\"ab\"}";
static const proto_bytes nothing = { (const uint8_t *)"", 0 };
static df_error error;

typedef struct scene {
    char folder[64];
    coord_service s;
} scene;

static void open_at(scene *c)
{
    memset(&c->s, 0, sizeof c->s);
    c->s.config.jobs_max = 3;
    c->s.config.ended_max = 2;
    c->s.host = 7;
    df_disk_posix_init(&c->s.disk);
    snprintf(c->s.directory, sizeof c->s.directory, "%s", c->folder);
    snprintf(c->s.folder, sizeof c->s.folder, "%s/.weir", c->folder);
    c->s.workers = calloc(PROTO_WORKERS_MAX, sizeof *c->s.workers);
    assert_true(coord_wire_init(&c->s.wire));
}

static void open_net(scene *c)
{
    coord_children_options children = { .state = c->s.folder, .survive = true };
    char address[COORD_ADDRESS_MAX];
    coord_net_options net = { .self = SERVICE_SELF, .bind = address,
                              .frame_size_max = PROTO_FRAME_SIZE_MAX };

    snprintf(address, sizeof address, "ipc://%s/socket", c->folder);
    assert_int_equal(coord_net_open(&c->s.net, &net, &error), DF_OK);
    assert_int_equal(coord_children_new(&c->s.children, &children, &error), DF_OK);
}

static void close_it(scene *c)
{
    coord_children_free(&c->s.children);
    coord_net_close(&c->s.net);
    service_jobs_close(&c->s);
    coord_wire_fini(&c->s.wire);
    free(c->s.workers);
}

static scene *scene_new(void)
{
    scene *c = calloc(1, sizeof *c);

    strcpy(c->folder, "/tmp/test_coord_service.XXXXXX");
    assert_non_null(mkdtemp(c->folder));
    open_at(c);
    assert_int_equal(service_jobs_open(&c->s, &error), DF_OK);
    return c;
}

static void scene_again(scene *c)
{
    close_it(c);
    open_at(c);
}

static void scene_free(scene *c)
{
    char command[128];

    close_it(c);
    snprintf(command, sizeof command, "rm -rf %s", c->folder);
    assert_int_equal(system(command), 0);
    free(c);
}

static proto_bytes bytes_of(const char *text)
{
    return (proto_bytes){ (const uint8_t *)text, (uint32_t)strlen(text) };
}

static service_job *add(scene *c, const char *name)
{
    coord_ticket t = { .workers = 1, .client = 9, .question = 3, .file = "/a.toml" };
    service_job *job;

    snprintf(t.name, sizeof t.name, "%s", name);
    assert_int_equal(service_job_add(&c->s, &t, bytes_of("[job]\n"), nothing, &job, &error), DF_OK);
    return job;
}

static uint32_t folders(const scene *c)
{
    char path[128];
    struct dirent *e;
    uint32_t count = 0;
    DIR *d;

    snprintf(path, sizeof path, "%s/.weir/jobs", c->folder);
    d = opendir(path);
    while (d != NULL && (e = readdir(d)) != NULL)
        count += e->d_name[0] != '.';
    if (d != NULL)
        closedir(d);
    return count;
}

/* ---- the list ---- */

static void test_list(void **state)
{
    scene *c = scene_new(), other = { 0 };

    (void)state;
    add(c, "a");
    add(c, "b");
    strcpy(other.folder, c->folder);
    open_at(&other);
    assert_int_equal(service_jobs_open(&other.s, &error), DF_AGAIN);
    assert_non_null(strstr(error.text, "another service has it"));
    close_it(&other);
    assert_int_equal(service_job_end(&c->s, service_job_find(&c->s, "a"), over, &error), DF_OK);
    scene_again(c);
    assert_int_equal(service_jobs_open(&c->s, &error), DF_OK);
    assert_int_equal(c->s.job_count, 2);
    assert_int_equal(c->s.ticket_last, 2);
    assert_int_equal(service_job_find(&c->s, "a")->phase, SERVICE_ENDED);
    assert_string_equal(service_job_find(&c->s, "a")->end, over);
    assert_int_not_equal(service_job_find(&c->s, "a")->ended_ms, 0);
    assert_int_equal(service_job_find(&c->s, "b")->phase, SERVICE_DOWN);
    assert_int_equal(service_jobs_going(&c->s), 1);
    assert_ptr_equal(service_job_of(&c->s, 2), service_job_find(&c->s, "b"));
    assert_null(service_job_find(&c->s, "c"));
    /* Again under the name of one that has ended: that one is forgotten. */
    assert_int_equal(add(c, "a")->ticket.number, 3);
    assert_int_equal(c->s.job_count, 2);
    assert_int_equal(folders(c), 2);
    service_job_forget(&c->s, service_job_find(&c->s, "a"));
    assert_int_equal(folders(c), 1);
    scene_free(c);
}

/* Those that ended first go, when there are too many. */
static void test_trim(void **state)
{
    scene *c = scene_new();
    const char *const names[] = { "a", "b", "c" };

    (void)state;
    for (int i = 0; i < 3; i++)
        add(c, names[i]);
    for (int i = 2; i >= 0; i--) {
        uint64_t now_ms = service_now_ms();

        assert_int_equal(service_job_end(&c->s, service_job_find(&c->s, names[i]), over, &error), DF_OK);
        while (service_now_ms() == now_ms)
            continue; /* the order is that of milliseconds */
    }
    assert_null(service_job_find(&c->s, "c"));
    assert_int_equal(c->s.job_count, 2);
    scene_again(c);
    c->s.config.ended_max = 1;
    assert_int_equal(service_jobs_open(&c->s, &error), DF_OK);
    assert_int_equal(c->s.job_count, 1);
    assert_non_null(service_job_find(&c->s, "a"));
    scene_free(c);
}

static void make_folder(const scene *c, char path[DF_PATH_MAX], const char *name)
{
    assert_int_equal(coord_state_path(path, c->s.folder, name, &error), DF_OK);
    assert_int_equal(coord_state_make(path, &error), DF_OK);
}

static const char *state_of(scene *c, const char *name)
{
    static char state[DF_PATH_MAX];
    df_status s;

    snprintf(state, sizeof state, "%s/%s/state", c->folder, name);
    s = coord_state_make(state, &error);
    assert_int_equal(s, DF_OK);
    return state;
}

/* A list that has forgotten its last job, or was removed: its number is in the job's state, and a job of the same
 * name that got it again would be taken for the one that has ended. */
static void test_numbers(void **state)
{
    scene *c = scene_new();

    (void)state;
    assert_int_equal(add(c, "a")->ticket.number, 1);
    assert_int_equal(coord_ticket_mark_write(state_of(c, "a"), &(coord_ticket_mark){ 1, 99, 1 }, &error), DF_OK);
    assert_int_equal(service_job_end(&c->s, service_job_find(&c->s, "a"), over, &error), DF_OK);
    service_job_forget(&c->s, service_job_find(&c->s, "a"));
    scene_again(c);
    assert_int_equal(service_jobs_open(&c->s, &error), DF_OK);
    assert_int_equal(c->s.ticket_last, 0);
    assert_int_equal(add(c, "a")->ticket.number, 2);
    assert_int_equal(add(c, "b")->ticket.number, 3);
    assert_int_equal(coord_ticket_mark_write(state_of(c, "c"), &(coord_ticket_mark){ 2, 99, 1 }, &error), DF_OK); /* long ago */
    assert_int_equal(add(c, "c")->ticket.number, 4);
    assert_int_equal(coord_ticket_mark_write(state_of(c, "d"), &(coord_ticket_mark){ UINT64_MAX, 99, 1 }, &error), DF_OK); /* no number */
    assert_int_equal(add(c, "d")->ticket.number, 5);
    scene_free(c);
}

/* A coordinator has told the end, and the service was killed, or its disk was full, before that was durable:
 * nobody is started to tell it again. */
static void test_said(void **state)
{
    scene *c = scene_new();
    service_job *job;
    char path[DF_PATH_MAX], line[sizeof over + 1];

    (void)state;
    job = add(c, "a");
    snprintf(path, sizeof path, "%s", job->folder);
    snprintf(line, sizeof line, "%s\n", over);
    assert_int_equal(coord_state_write(path, "said", line, strlen(line), &error), DF_OK);
    scene_again(c);
    assert_int_equal(service_jobs_open(&c->s, &error), DF_OK);
    open_net(c);
    job = service_job_find(&c->s, "a");
    assert_int_equal(job->phase, SERVICE_DOWN);
    assert_int_equal(mkdir(strcat(path, "/end.new"), 0700), 0); /* it cannot be written yet */
    service_starts_turn(&c->s, service_now_us());
    assert_int_equal(job->phase, SERVICE_DOWN);
    assert_non_null(strstr(job->trouble, "end.new"));
    assert_int_equal(rmdir(path), 0);
    service_starts_turn(&c->s, job->due_us);
    assert_int_equal(job->phase, SERVICE_ENDED);
    assert_string_equal(job->end, over);
    assert_int_equal(c->s.counts.restarts, 0);
    scene_again(c);
    assert_int_equal(service_jobs_open(&c->s, &error), DF_OK);
    assert_int_equal(service_job_find(&c->s, "a")->phase, SERVICE_ENDED);
    scene_free(c);
}

/* What a kill can leave: half a submission, two of one name. */
static void test_left(void **state)
{
    scene *c = scene_new();
    char path[DF_PATH_MAX], record[COORD_TICKET_SIZE_MAX];
    coord_ticket t = { .number = 8, .name = "a", .file = "/b.toml", .workers = 2 };

    (void)state;
    add(c, "a");
    make_folder(c, path, "jobs/7");
    assert_int_equal(coord_state_write(path, "job.toml", "x", 1, &error), DF_OK);
    make_folder(c, path, "jobs/8");
    assert_int_equal(coord_state_write(path, "record", record, coord_ticket_print(&t, record), &error),
                     DF_OK);
    scene_again(c);
    assert_int_equal(service_jobs_open(&c->s, &error), DF_OK);
    assert_int_equal(c->s.job_count, 1);
    assert_int_equal(service_job_find(&c->s, "a")->ticket.number, 8);
    assert_int_equal(c->s.ticket_last, 8);
    assert_int_equal(folders(c), 1);
    scene_free(c);
}

static void refuses(scene *c, const char *text)
{
    scene_again(c);
    assert_int_equal(service_jobs_open(&c->s, &error), DF_ECORRUPT);
    assert_non_null(strstr(error.text, text));
}

static void test_damaged(void **state)
{
    scene *c = scene_new();
    char path[DF_PATH_MAX], record[COORD_TICKET_SIZE_MAX];
    coord_ticket t = { .number = 2, .name = "b", .file = "/b.toml", .workers = 2 };

    (void)state;
    snprintf(path, sizeof path, "%s", add(c, "a")->folder);
    assert_int_equal(coord_state_write(path, "end", "5\n{}x", 5, &error), DF_OK);
    refuses(c, "jobs/1/end: damaged");
    assert_int_equal(coord_state_write(path, "end", "x", 1, &error), DF_OK);
    refuses(c, "jobs/1/end: damaged");
    coord_state_remove(path, "end");
    assert_int_equal(coord_state_write(path, "record", record, coord_ticket_print(&t, record), &error),
                     DF_OK);
    refuses(c, "jobs/1/record: it is of another job");
    assert_int_equal(coord_state_write(path, "record", "x", 1, &error), DF_OK);
    refuses(c, "jobs/1/record: it is no record of a job, or damaged");
    make_folder(c, path, "jobs/01");
    refuses(c, "this is no job's");
    scene_free(c);
}

/* ---- messages ---- */

static void submit(scene *c, proto_submit m)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_submit, .sender = 77 }, .submit = m };

    service_take_submit(&c->s, &msg);
}

static void test_bad_submissions(void **state)
{
    const proto_submit right = { .number = 1, .workers = 1, .name = bytes_of("a"), .file = bytes_of("/a"),
                                 .sets = nothing, .text = nothing };
    static const char *const names[] = { "", "../a", ".", "a b", "a\nb", "-x",
                                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    static const char *const files[] = { "", "a", "/a\nb", "/\x7f" };
    scene *c = scene_new();
    proto_submit m = right;
    uint64_t refused = 0;
    char lines[2 * COORD_TEXTS_MAX + 4];

    (void)state;
    open_net(c);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++, refused++) {
        m.name = bytes_of(names[i]);
        submit(c, m);
    }
    m.name = (proto_bytes){ (const uint8_t *)"a\0b", 3 };
    submit(c, m);
    refused++;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++, refused++) {
        m = right;
        m.file = bytes_of(files[i]);
        submit(c, m);
    }
    m = right;
    m.workers = 0;
    submit(c, m);
    m.workers = PROTO_MEMBERS_MAX + 1;
    submit(c, m);
    m = right;
    m.sets = bytes_of("a=1"); /* no line */
    submit(c, m);
    m.sets = (proto_bytes){ (const uint8_t *)"a\0\n", 3 };
    submit(c, m);
    for (int i = 0; i <= COORD_TEXTS_MAX; i++)
        memcpy(lines + 2 * i, "x\n", 3);
    m.sets = bytes_of(lines);
    submit(c, m);
    assert_int_equal(c->s.counts.refused, refused + 5);
    assert_int_equal(c->s.counts.submitted, 0);
    assert_int_equal(c->s.job_count, 0);
    assert_int_equal(folders(c), 0);
    scene_free(c);
}

static void test_submissions(void **state)
{
    proto_submit m = { .number = 1, .workers = 1, .name = bytes_of("a"), .file = bytes_of("/a"),
                       .sets = nothing, .text = bytes_of("[job]\n") };
    scene *c = scene_new();

    (void)state;
    open_net(c);
    submit(c, m);
    submit(c, m); /* the same message again */
    assert_int_equal(c->s.counts.submitted, 1);
    assert_int_equal(c->s.counts.refused, 0);
    assert_true(c->s.jobs[0]->asked);
    m.number = 2;
    submit(c, m);
    assert_int_equal(c->s.counts.refused, 1);
    m.name = bytes_of("b");
    submit(c, m);
    m.number = 3;
    m.name = bytes_of("c");
    submit(c, m);
    m.number = 4;
    m.name = bytes_of("d");
    submit(c, m);
    assert_int_equal(c->s.counts.submitted, 3);
    assert_int_equal(c->s.counts.refused, 2); /* three are allowed */
    /* Said again to the next service it is no second job, nor refused for its name. */
    scene_again(c);
    assert_int_equal(service_jobs_open(&c->s, &error), DF_OK);
    open_net(c);
    m.number = 1;
    m.name = bytes_of("a");
    submit(c, m);
    assert_int_equal(c->s.job_count, 3);
    assert_int_equal(c->s.counts.refused, 0);
    assert_false(service_job_find(&c->s, "a")->asked); /* a coordinator may be there that has not yet said so */
    scene_free(c);
}

static void query(scene *c, const char *text, coord_role role)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_query, .sender = 77 },
                      .query = { .number = 1, .text = bytes_of(text) } };

    service_take_query(&c->s, &msg, role);
}

/* Whatever is asked, nothing changes; and only an admin's word does. */
static void test_questions(void **state)
{
    static const char *const texts[] = {
        "", "x", "[]", "{}", "{\"what\":3}", "{\"what\":\"nonsense\"}", "{\"what\":\"list\",\"after\":-1}",
        "{\"what\":\"status\",\"job\":\"a\"}", "{\"what\":\"status\",\"job\":\"..\"}",
        "{\"what\":\"log\",\"job\":\"a\",\"file\":\"../../../../etc/passwd\"}",
        "{\"what\":\"log\",\"job\":\"a\",\"file\":\"worker-1.log/../history.a\"}",
        "{\"what\":\"log\",\"job\":\"a\",\"file\":\"coordinator.log\",\"after\":9223372036854775807}",
        "{\"what\":\"logs\",\"job\":\"a\"}", "{\"what\":\"where\",\"job\":\"a\"}",
        "{\"what\":\"forget\",\"job\":\"nobody\"}", "{\"what\":\"forget\",\"job\":\"b\"}",
    };
    scene *c = scene_new();

    (void)state;
    open_net(c);
    add(c, "a");
    add(c, "b");
    assert_int_equal(service_job_end(&c->s, service_job_find(&c->s, "a"), over, &error), DF_OK);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        query(c, texts[i], COORD_ROLE_ADMIN);
    query(c, "{\"what\":\"forget\",\"job\":\"a\"}", COORD_ROLE_READ_ONLY);
    query(c, "{\"what\":\"cancel\",\"job\":\"b\"}", COORD_ROLE_WORKER);
    assert_int_equal(c->s.job_count, 2);
    assert_int_equal(service_job_find(&c->s, "b")->phase, SERVICE_DOWN);
    query(c, "{\"what\":\"forget\",\"job\":\"a\"}", COORD_ROLE_ADMIN);
    query(c, "{\"what\":\"cancel\",\"job\":\"b\"}", COORD_ROLE_ADMIN);
    assert_int_equal(c->s.job_count, 1);
    assert_int_equal(service_job_find(&c->s, "b")->phase, SERVICE_ENDED);
    assert_non_null(strstr(service_job_find(&c->s, "b")->end, "\"phase\":\"cancelled\""));
    scene_free(c);
}

static void test_workers(void **state)
{
    scene *c = scene_new();
    proto_msg hello = { .header = { .type = PROTO_TYPE_hello, .sender = 5 },
                        .hello = { .host = 7, .label = bytes_of("a\n\"b\x80") } };
    proto_msg pooled = { .header = { .type = PROTO_TYPE_pooled, .sender = 6, .job = 99 },
                         .pooled = { .order = 4, .doing = COORD_DOING_WORK, .host = 7, .label = nothing } };

    (void)state;
    open_net(c);
    service_take_hello(&c->s, &hello);
    assert_int_equal(c->s.worker_count, 1);
    assert_string_equal(c->s.workers[0].label, "a?\"b?");
    service_take_pooled(&c->s, &pooled); /* it works for a job that nobody knows: it is called back */
    assert_int_equal(c->s.worker_count, 2);
    assert_int_equal(c->s.workers[1].ticket, 0);
    assert_int_equal(c->s.workers[1].order, 5);
    pooled.pooled.doing = COORD_DOING_COUNT;
    service_take_pooled(&c->s, &pooled);
    assert_int_equal(c->s.wire.rejected[PROTO_REJECT_field], 1);
    service_worker_gone(&c->s, 5);
    service_worker_gone(&c->s, 5);
    assert_int_equal(c->s.worker_count, 1);
    for (uint64_t i = 0; i < 2 * PROTO_WORKERS_MAX; i++) {
        hello.header.sender = 100 + i;
        service_take_hello(&c->s, &hello);
    }
    assert_int_equal(c->s.worker_count, PROTO_WORKERS_MAX); /* and no more */
    scene_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),      cmocka_unit_test(test_trim),
        cmocka_unit_test(test_left),      cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_numbers),   cmocka_unit_test(test_said),
        cmocka_unit_test(test_bad_submissions), cmocka_unit_test(test_submissions),
        cmocka_unit_test(test_questions), cmocka_unit_test(test_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
