/* Files that are not durable yet: a sync that fails is told, now and from then on, also one that was made because
 * there were too many of them. */
#include "operators/op_unsynced.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/test_op_unsynced.XXXXXX";
static df_error error;

/* A descriptor that cannot be synced, but written and closed. */
static int broken_file(void)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    return ends[1];
}

static int good_file(void)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(file >= 0);
    return file;
}

static void stays_broken(op_unsynced *files)
{
    assert_int_not_equal(op_unsynced_check(files, &error), DF_OK);
    op_unsynced_add(files, good_file(), false);
    assert_int_not_equal(op_unsynced_sync(files, &error), DF_OK);
    op_unsynced_free(&files);
}

static void test_sync_fails(void **state)
{
    op_unsynced *files = op_unsynced_new(path);

    (void)state;
    op_unsynced_add(files, good_file(), false);
    assert_int_equal(op_unsynced_sync(files, &error), DF_OK);
    op_unsynced_add(files, good_file(), false);
    op_unsynced_add(files, broken_file(), false);
    op_unsynced_add(files, good_file(), false);
    assert_int_equal(op_unsynced_check(files, &error), DF_OK);
    assert_int_not_equal(op_unsynced_sync(files, &error), DF_OK);
    stays_broken(files);
}

static void test_too_many(void **state)
{
    op_unsynced *files = op_unsynced_new(path);

    (void)state;
    op_unsynced_add(files, broken_file(), false);
    for (uint32_t i = 1; i < OP_UNSYNCED_MAX; i++)
        op_unsynced_add(files, good_file(), false);
    assert_int_equal(op_unsynced_check(files, &error), DF_OK);
    op_unsynced_add(files, good_file(), false);
    stays_broken(files);
}

/* What has been replaced need not be durable any more. */
static void test_replaced(void **state)
{
    op_unsynced *files = op_unsynced_new(path);

    (void)state;
    op_unsynced_add(files, broken_file(), false);
    op_unsynced_add(files, good_file(), true);
    assert_int_equal(op_unsynced_sync(files, &error), DF_OK);
    op_unsynced_free(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sync_fails),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_replaced),
    };
    int failed, file = mkstemp(path);

    if (file < 0)
        return 1;
    close(file);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
