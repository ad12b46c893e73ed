/* A process's number: the same as long as it lives, another for another, and a signal that meets only
 * the one that was meant. */
#include "coordinator/coord_process.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static df_error error;

static pid_t child_start(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static void test_self(void **state)
{
    (void)state;
    assert_int_not_equal(coord_process_self(), 0);
    assert_int_equal(coord_process_self(), coord_process_of(getpid()));
    assert_int_equal(coord_process_pid(coord_process_self()), getpid());
    assert_true(coord_process_alive(coord_process_self()));
    assert_int_equal(coord_process_host(), coord_process_host());
}

static void test_none(void **state)
{
    (void)state;
    assert_int_equal(coord_process_of(0), 0);
    assert_int_equal(coord_process_of(-1), 0);
    assert_false(coord_process_alive(0));
    assert_int_equal(coord_process_signal(0, SIGKILL, &error), DF_END);
}

static void test_signal(void **state)
{
    pid_t pid = child_start();
    uint64_t process = coord_process_of(pid);
    int status;

    (void)state;
    assert_true(coord_process_alive(process));
    assert_true(coord_process_is_like_us(process));
    assert_false(coord_process_is_like_us(process ^ (1ull << 40)));
    /* The same process number, begun at another time, is another process. */
    assert_false(coord_process_alive(process ^ (1ull << 40)));
    assert_int_equal(coord_process_signal(process ^ (1ull << 40), SIGKILL, &error), DF_END);
    assert_true(coord_process_alive(process));
    assert_int_equal(coord_process_signal(process, SIGKILL, &error), DF_OK);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_false(coord_process_alive(process));
    assert_int_equal(coord_process_signal(process, SIGKILL, &error), DF_END);
}

/* One that has ended and was not waited for yet has ended. */
static void test_zombie(void **state)
{
    pid_t pid = child_start();
    uint64_t process = coord_process_of(pid);
    siginfo_t info;

    (void)state;
    assert_int_equal(coord_process_signal(process, SIGKILL, &error), DF_OK);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_false(coord_process_alive(process));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self), cmocka_unit_test(test_none), cmocka_unit_test(test_signal),
        cmocka_unit_test(test_zombie),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
