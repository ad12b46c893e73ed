/* Logs that are begun anew: which file, when, what is kept, and whose file is never touched. */
#include "coordinator/coord_rotate.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static int kept[2]; /* what standard output and error were */

static const char *in(const char *name)
{
    static char path[4][128];
    static int next;

    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

/* From here on standard error goes there. */
static void speak_to(const char *name, int flags)
{
    int fd = open(in(name), O_WRONLY | O_CREAT | flags, 0666);

    assert_true(fd >= 0);
    fflush(stderr);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
}

static void say(const char *text)
{
    assert_int_equal(write(STDERR_FILENO, text, strlen(text)), strlen(text));
}

static void holds(const char *name, const char *text)
{
    char bytes[64] = "";
    FILE *file = fopen(in(name), "r");

    if (text == NULL) {
        assert_null(file);
        return;
    }
    assert_non_null(file);
    bytes[fread(bytes, 1, sizeof bytes - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(bytes, text);
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test_coord_rotate.XXXXXX");
    kept[0] = dup(STDOUT_FILENO);
    kept[1] = dup(STDERR_FILENO);
    return mkdtemp(folder) == NULL || kept[1] < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    static const char *const names[] = { "worker-3.log", "worker-3.log.old", "log", "log.old", "mine.log" };

    (void)state;
    dup2(kept[0], STDOUT_FILENO);
    dup2(kept[1], STDERR_FILENO);
    close(kept[0]);
    close(kept[1]);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(in(names[i]));
    return rmdir(folder);
}

static void test_begun_anew(void **state)
{
    (void)state;
    speak_to("worker-3.log", O_APPEND);
    say("one ");
    coord_rotate(folder, 5);
    say("two ");
    holds("worker-3.log", "one two ");
    coord_rotate(folder, 5);
    say("three");
    holds("worker-3.log.old", "one two ");
    holds("worker-3.log", "three");
    coord_rotate(folder, 5); /* what was kept before goes */
    say("four");
    holds("worker-3.log.old", "three");
    holds("worker-3.log", "four");
}

/* A service's coordinator is known by what its standard output is. */
static void test_service(void **state)
{
    int fd = open(in("said"), O_WRONLY | O_CREAT, 0666);

    (void)state;
    speak_to("log", O_APPEND);
    say("one ");
    coord_rotate(NULL, 1);
    holds("log", "one ");
    fflush(stdout);
    assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    close(fd);
    coord_rotate(NULL, 1);
    say("two");
    dup2(kept[0], STDOUT_FILENO);
    unlink(in("said"));
    holds("log.old", "one ");
    holds("log", "two");
}

/* Both may go to one file. */
static void test_both(void **state)
{
    (void)state;
    speak_to("log", O_APPEND);
    fflush(stdout);
    assert_int_equal(dup2(STDERR_FILENO, STDOUT_FILENO), STDOUT_FILENO);
    say("error ");
    coord_rotate(folder, 1);
    assert_int_equal(write(STDOUT_FILENO, "output ", 7), 7);
    say("error");
    dup2(kept[0], STDOUT_FILENO);
    holds("log.old", "error ");
    holds("log", "output error");
}

/* Two processes may speak into one file: a worker that is being replaced, and its successor. */
static void test_another_has(void **state)
{
    (void)state;
    speak_to("worker-3.log", O_APPEND);
    say("old ");
    assert_int_equal(rename(in("worker-3.log"), in("worker-3.log.old")), 0);
    coord_rotate(folder, 1);
    say("new");
    holds("worker-3.log.old", "old ");
    holds("worker-3.log", "new");
}

static void test_not_ours(void **state)
{
    (void)state;
    speak_to("mine.log", O_APPEND);
    say("a user's");
    coord_rotate(folder, 1);
    holds("mine.log", "a user's");
    speak_to("worker-3.log", 0); /* not for appending: not made by us */
    say("a user's");
    coord_rotate(folder, 1);
    holds("worker-3.log", "a user's");
    holds("worker-3.log.old", NULL);
    speak_to("log", O_APPEND);
    say("a user's");
    coord_rotate("/tmp", 1); /* in another folder than ours are */
    coord_rotate("/tmp/none", 1);
    holds("log", "a user's");
    holds("log.old", NULL);
}

/* A name that is taken by a folder: it goes on as before. */
static void test_cannot(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in("worker-3.log.old"), 0777), 0);
    speak_to("worker-3.log", O_APPEND);
    say("one ");
    coord_rotate(folder, 1);
    say("two");
    assert_int_equal(rmdir(in("worker-3.log.old")), 0);
    holds("worker-3.log", "one two");
}

static void test_names(void **state)
{
    (void)state;
    assert_true(coord_rotate_is_worker("worker-1.log"));
    assert_true(coord_rotate_is_worker("worker-1000.log.old"));
    assert_false(coord_rotate_is_worker("worker-1.log.older"));
    assert_false(coord_rotate_is_worker("worker-.log"));
    assert_false(coord_rotate_is_worker("coordinator.log"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_begun_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_service, setup, teardown),
        cmocka_unit_test_setup_teardown(test_both, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_has, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cannot, setup, teardown),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
