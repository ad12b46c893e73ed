/* A process that begins when it may, and not at all when nobody can say so any more. */
#include "coordinator/coord_spawn.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* One that says "begun", into out[1]. */
static pid_t start(const int out[2], int gate)
{
    static char program[] = "/bin/sh", option[] = "-c", words[] = "echo begun";
    char *const argv[] = { program, option, words, NULL };
    const coord_spawn_options options = { .argv = argv, .out = out[1], .err = 2, .gate = gate };
    pid_t pid = coord_spawn(&options);

    assert_true(pid > 0);
    return pid;
}

/* What all of them have said, when they have ended; closes out. */
static void says(int out[2], const char *text)
{
    char found[64] = "";
    size_t size = 0;
    ssize_t got;

    close(out[1]);
    while ((got = read(out[0], found + size, sizeof found - 1 - size)) > 0)
        size += (size_t)got;
    close(out[0]);
    assert_string_equal(found, text);
}

static int code_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_at_once(void **state)
{
    int out[2];

    (void)state;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(code_of(start(out, 0)), 0);
    says(out, "begun\n");
}

static void test_gate(void **state)
{
    int out[2], gate[2];
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    pid = start(out, gate[0]);
    close(gate[0]);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    assert_int_equal(write(gate[1], "", 1), 1);
    close(gate[1]);
    assert_int_equal(code_of(pid), 0);
    says(out, "begun\n");
}

/* As if we were killed: the other ends are closed, though each process was started with all of them open. */
static void test_closed(void **state)
{
    int out[2], gates[3][2];
    pid_t pids[3];

    (void)state;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pipe2(gates[i], O_CLOEXEC), 0);
    for (int i = 0; i < 3; i++)
        pids[i] = start(out, gates[i][0]);
    for (int i = 0; i < 3; i++) {
        close(gates[i][0]);
        close(gates[i][1]);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(code_of(pids[i]), 1);
    says(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
