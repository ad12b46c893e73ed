/* The state folder's small files: where a coordinator listens, and whether two processes mean the same
 * folder. */
#include "coordinator/coord_state.h"

#include "tests/support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static df_error error;

static void test_endpoint(void **state)
{
    coord_endpoint e = { .address = "tcp://10.0.0.1:7000" }, found;

    (void)state;
    assert_int_equal(coord_state_endpoint(&found, folder, &error), DF_END);
    assert_int_equal(coord_state_endpoint_write(&e, folder, &error), DF_OK);
    assert_int_equal(coord_state_endpoint(&found, folder, &error), DF_OK);
    assert_string_equal(found.address, e.address);
    assert_string_equal(found.key, "");
    memset(e.key, 'k', COORD_KEY_SIZE - 1);
    strcpy(e.keys, "/home/a/keys");
    assert_int_equal(coord_state_endpoint_write(&e, folder, &error), DF_OK);
    assert_int_equal(coord_state_endpoint(&found, folder, &error), DF_OK);
    assert_memory_equal(&found, &e, sizeof e);
    assert_int_equal(coord_state_write(folder, "endpoint", "\n", 1, &error), DF_OK);
    assert_int_equal(coord_state_endpoint(&found, folder, &error), DF_ECORRUPT);
    assert_int_equal(coord_state_write(folder, "endpoint", "a\nb", 3, &error), DF_OK);
    assert_int_equal(coord_state_endpoint(&found, folder, &error), DF_OK);
    assert_string_equal(found.address, "a");
    assert_string_equal(found.key, "");
    coord_state_remove(folder, "endpoint");
}

static void test_nonce(void **state)
{
    char first[COORD_NONCE_TEXT], second[COORD_NONCE_TEXT];

    (void)state;
    assert_int_equal(coord_state_nonce_check("", folder, &error), DF_ENOTSUP);
    assert_int_equal(coord_state_nonce_write(first, folder, &error), DF_OK);
    assert_int_equal(coord_state_nonce_check(first, folder, &error), DF_OK);
    assert_int_equal(coord_state_nonce_check("", folder, &error), DF_ENOTSUP);
    assert_int_equal(coord_state_nonce_write(second, folder, &error), DF_OK);
    assert_string_not_equal(first, second);
    assert_int_equal(coord_state_nonce_check(first, folder, &error), DF_ENOTSUP);
    assert_non_null(strstr(error.text, "not shared"));
    assert_int_equal(coord_state_nonce_check(second, folder, &error), DF_OK);
    assert_int_equal(coord_state_nonce_write(first, "/dev/null/nowhere", &error), DF_EIO);
    assert_int_equal(coord_state_clear(folder, &error), DF_OK);
    assert_int_equal(coord_state_nonce_check(second, folder, &error), DF_ENOTSUP);
}

/* What is left of a run that is over is not taken for the next one's. */
static void test_clear(void **state)
{
    static const char *const names[] = { "endpoint", "workers", "job.toml", "sets", "nonce", "ticket", "finished",
                                         "ended", "rescales", "marks", "worker-12.log" };
    char *text;
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(coord_state_write(folder, names[i], "x", 1, &error), DF_OK);
    assert_int_equal(coord_state_write(folder, "mine", "x", 1, &error), DF_OK);
    assert_int_equal(coord_state_clear(folder, &error), DF_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(coord_state_read(folder, names[i], &text, &size, &error), DF_END);
    assert_int_equal(coord_state_read(folder, "mine", &text, &size, &error), DF_OK);
    free(text);
    coord_state_remove(folder, "mine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoint),
        cmocka_unit_test(test_nonce),
        cmocka_unit_test(test_clear),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
