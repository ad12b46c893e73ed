/* Gathering the parts of workers that come and go for weeks, in one generation. That commits are right is shown by
 * test_coord_server and by what runs the program. */
#include "coordinator/coord_commit.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Workers that leave after each attempt that was given up: together more than any table has places. */
enum { VISITORS = 500, ATTEMPTS = 6 };

static void wake(void *user)
{
    sem_post(user);
}

static void say_part(coord_commit *commit, uint64_t worker, uint64_t attempt)
{
    static const uint8_t bytes[] = "x";
    proto_msg msg = { .header = { .type = PROTO_TYPE_part, .generation = 1, .sender = worker } };

    msg.part = (proto_part){ .attempt = attempt, .count = 1, .payload = { bytes, 1 } };
    assert_true(coord_commit_take(commit, &msg));
    assert_true(coord_commit_has(commit, worker, 1, attempt));
}

/* A store of its own, of a job without states. */
typedef struct commit_scene {
    char folder[32];
    df_disk disk;
    sem_t ended;
    coord_commit *commit;
} commit_scene;

static void scene_open(commit_scene *s)
{
    static const coord_commit_options options = { .retain = 2 };
    static const coord_shape shape = { .job = "job" };
    df_error err;

    strcpy(s->folder, "/tmp/test_coord_commit.XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    df_disk_posix_init(&s->disk);
    sem_init(&s->ended, 0, 0);
    assert_int_equal(coord_commit_open(&s->commit, &s->disk, s->folder, &shape, &options, wake, &s->ended, &err),
                     DF_OK);
}

static void scene_close(commit_scene *s)
{
    char command[64];

    coord_commit_close(&s->commit);
    sem_destroy(&s->ended);
    snprintf(command, sizeof command, "rm -rf %s", s->folder);
    assert_int_equal(system(command), 0);
}

static void test_workers_come_and_go(void **state)
{
    const uint64_t stays = 7;
    const uint32_t place = 0;
    uint64_t number;
    commit_scene s;
    coord_commit *commit;
    coord_commit_end end;
    df_error err;

    (void)state;
    scene_open(&s);
    commit = s.commit;
    for (uint64_t attempt = 2; attempt <= 2 * ATTEMPTS; attempt += 2) {
        proto_commit what = { .attempt = attempt, .generation = 1, .members = &stays, .places = &place,
                              .member_count = 1 };

        for (uint32_t i = 0; i < VISITORS; i++)
            say_part(commit, attempt * 10000 + i, attempt - 1);
        say_part(commit, stays, attempt);
        coord_commit_begin(commit, &what);
        do
            sem_wait(&s.ended);
        while (!coord_commit_ended(commit, &number, &end, &err));
        assert_int_equal(number, attempt);
        assert_int_equal(end, COORD_COMMIT_FAILED); /* these parts say nothing */
    }
    scene_close(&s);
}

/* A part of a job without states: whole, and nothing is in it. */
static void say_whole_part(coord_commit *commit, uint64_t worker, uint64_t attempt)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_part, .generation = 1, .sender = worker } };
    coord_part_writer said;
    uint8_t *bytes;
    size_t size;
    df_error err;

    coord_part_begin(&said);
    assert_int_equal(coord_part_end(&said, NULL, &bytes, &size, &err), DF_OK);
    msg.part = (proto_part){ .attempt = attempt, .count = 1, .payload = { bytes, (uint32_t)size } };
    assert_true(coord_commit_take(commit, &msg));
    free(bytes);
}

/* The next commit, or a return, may be asked for while what the last one left is still being removed. */
static void test_one_after_another(void **state)
{
    const uint64_t worker = 7;
    const uint32_t place = 0;
    uint64_t number;
    commit_scene s;
    coord_commit *commit;
    coord_commit_end end;
    uint32_t count;
    bool made;
    df_error err;

    (void)state;
    scene_open(&s);
    commit = s.commit;
    for (uint64_t attempt = 1; attempt <= 20; attempt++) {
        proto_commit what = { .attempt = attempt, .generation = 1, .members = &worker, .places = &place,
                              .member_count = 1 };

        say_whole_part(commit, worker, attempt);
        coord_commit_begin(commit, &what);
        while (!coord_commit_ended(commit, &number, &end, &err))
            sem_wait(&s.ended);
        assert_int_equal(number, attempt);
        assert_int_equal(end, COORD_COMMIT_MADE);
        assert_int_equal(coord_commit_head(commit).attempt, attempt);
        coord_commit_entries(commit, &count);
        assert_int_equal(count, attempt < 2 ? 1 : 2);
    }
    coord_commit_restore(commit, 19);
    while (!coord_commit_restored(commit, &number, &made, &err))
        sem_wait(&s.ended);
    assert_true(made);
    assert_int_equal(coord_commit_head(commit).attempt, 19);
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_come_and_go),
        cmocka_unit_test(test_one_after_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
