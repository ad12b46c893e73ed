/* Failpoints: what arms them, what is refused, and that the pass that was asked for is the one. */
#include "dataflow/df_failpoint.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static df_error error;

static void refused(const char *words, const char *text)
{
    assert_int_equal(df_failpoint_start(words, NULL, &error), DF_EINVAL);
    assert_string_equal(error.text, text);
    assert_false(df_failpoint_armed);
    assert_int_equal(df_failpoint(DF_FAILPOINT_part_finish, &error), DF_OK);
}

static void test_words(void **state)
{
    static const char *const wrong[] = { "",      "kil",    "kill@",    "kill@0",  "kill@x",
                                         "kill@1x", "kill+", "kill@1++", "kill@-1",
                                         "kill@99999999999999999999", NULL };

    (void)state;
    refused("part_finsh=kill", "unknown failpoint \"part_finsh\" (did you mean \"part_finish\"?)");
    refused("zzzzzzzzzzzz=kill", "unknown failpoint \"zzzzzzzzzzzz\"; weir failpoints lists them");
    refused("part_finish", "\"part_finish\": expected NAME=kill, stop or error, and @N");
    refused("part_finish=error,", "\"\": expected NAME=kill, stop or error, and @N");
    refused("part_finish=error,barrier=error",
            "\"barrier=error\": this place cannot fail; it has kill and stop");
    for (const char *const *w = wrong; *w != NULL; w++) {
        char words[64], text[128];

        snprintf(words, sizeof words, "part_finish=%s", *w);
        snprintf(text, sizeof text, "\"%s\": expected kill, stop or error, and @N or @N+", words);
        refused(words, text);
    }
}

/* Which of five passes fail, as bits. */
static unsigned failing(const char *words)
{
    unsigned bits = 0;

    assert_int_equal(df_failpoint_start(words, NULL, &error), DF_OK);
    for (unsigned i = 0; i < 5; i++) {
        bits |= (unsigned)(df_failpoint(DF_FAILPOINT_part_finish, &error) == DF_EIO) << i;
        df_failpoint_pass(DF_FAILPOINT_barrier);
    }
    return bits;
}

static void test_passes(void **state)
{
    (void)state;
    assert_int_equal(failing(NULL), 0);
    assert_false(df_failpoint_armed);
    assert_int_equal(df_failpoint_passes(DF_FAILPOINT_barrier), 0);
    assert_int_equal(failing("part_finish=error"), 1);
    assert_string_equal(error.text, "failpoint part_finish, pass 1: failed, as was asked for");
    assert_int_equal(df_failpoint_passes(DF_FAILPOINT_barrier), 5);
    assert_int_equal(failing("part_finish=error@3"), 4);
    assert_int_equal(failing("part_group=error,part_finish=error@4+"), 0x18);
}

/* Processes that name one file count together; the second of four passes is the one. */
static void test_together(void **state)
{
    char path[] = "/tmp/weir-failpoint-XXXXXX";
    int fd = mkstemp(path), status, killed = 0;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    for (int i = 0; i < 4; i++) {
        pid_t child = fork();

        if (child == 0) {
            if (df_failpoint_start("barrier=kill@2", path, NULL) != DF_OK)
                _exit(1);
            df_failpoint_pass(DF_FAILPOINT_barrier);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
            killed |= 1 << i;
        else
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(killed, 2);
    assert_int_equal(df_failpoint_start(NULL, path, &error), DF_OK);
    assert_true(df_failpoint_armed);
    assert_int_equal(df_failpoint_passes(DF_FAILPOINT_barrier), 4);
    assert_int_equal(df_failpoint_start(NULL, "/nowhere/at/all", &error), DF_EINVAL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(df_failpoint_start(NULL, "", &error), DF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
