/* The disk: one suite for the system's and the fake one, then what only the fake one does: lose
 * power, tear, fail, forget. */
#include "tests/support/fake_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static df_error error;
static char folder[128]; /* an empty one, on the disk under test */

static const char *at(const char *name)
{
    static char paths[4][192];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static df_file *open_as(df_disk *disk, const char *name, df_open_mode mode)
{
    df_file *file;

    assert_int_equal(df_disk_open(disk, &file, at(name), mode, &error), DF_OK);
    return file;
}

static void holds(df_disk *disk, const char *name, const char *text)
{
    df_file *file = open_as(disk, name, DF_OPEN_READ);
    char bytes[64];
    size_t got;

    assert_int_equal(df_file_read(file, bytes, sizeof bytes, 0, &got, &error), DF_OK);
    assert_int_equal(got, strlen(text));
    assert_memory_equal(bytes, text, got);
    df_file_close(&file);
}

static void put(df_disk *disk, const char *name, const char *text, bool sync)
{
    df_file *file = open_as(disk, name, DF_OPEN_CREATE);

    assert_int_equal(df_file_write(file, text, strlen(text), 0, &error), DF_OK);
    if (sync) {
        assert_int_equal(df_file_sync(file, &error), DF_OK);
        assert_int_equal(df_disk_sync_folder(disk, folder, &error), DF_OK);
    }
    df_file_close(&file);
}

static bool is_there(df_disk *disk, const char *name)
{
    df_file *file;
    df_status s = df_disk_open(disk, &file, at(name), DF_OPEN_READ, &error);

    df_file_close(&file);
    assert_true(s == DF_OK || s == DF_END);
    return s == DF_OK;
}

/* ---- what every disk does ---- */

static void suite_files(df_disk *disk)
{
    df_file *file;
    char bytes[8];
    uint64_t size;
    size_t got;

    assert_int_equal(df_disk_open(disk, &file, at("a"), DF_OPEN_WRITE, &error), DF_END);
    assert_null(file);
    assert_non_null(strstr(error.text, at("a")));
    put(disk, "a", "hello", true);
    holds(disk, "a", "hello");
    file = open_as(disk, "a", DF_OPEN_WRITE);
    assert_int_equal(df_file_write(file, "J", 1, 0, &error), DF_OK);
    assert_int_equal(df_file_write(file, "!", 1, 6, &error), DF_OK);
    assert_int_equal(df_file_read(file, bytes, 8, 3, &got, &error), DF_OK);
    assert_int_equal(got, 4);
    assert_memory_equal(bytes, "lo\0!", 4);
    assert_int_equal(df_file_read(file, bytes, 8, 100, &got, &error), DF_OK);
    assert_int_equal(got, 0);
    assert_int_equal(df_file_allocate(file, 4000, &error), DF_OK);
    assert_int_equal(df_file_size(file, &size, &error), DF_OK);
    assert_int_equal(size, 4000);
    assert_int_equal(df_file_allocate(file, 100, &error), DF_OK);
    assert_int_equal(df_file_size(file, &size, &error), DF_OK);
    assert_int_equal(size, 4000);
    assert_int_equal(df_file_read(file, bytes, 8, 3996, &got, &error), DF_OK);
    assert_int_equal(got, 4);
    assert_memory_equal(bytes, "\0\0\0\0", 4);
    df_file_close(&file);
    put(disk, "a", "new", false);
    holds(disk, "a", "new");
}

static void suite_names(df_disk *disk)
{
    df_names names;

    put(disk, "b", "two", true);
    assert_int_equal(df_disk_make_folder(disk, at("sub"), &error), DF_OK);
    assert_int_equal(df_disk_make_folder(disk, at("sub"), &error), DF_OK);
    assert_int_equal(df_disk_make_folder(disk, at("b"), &error), DF_EIO);
    assert_int_equal(df_disk_make_folder(disk, at("none/sub"), &error), DF_END);
    assert_int_equal(df_disk_rename(disk, at("b"), at("sub/c"), &error), DF_OK);
    holds(disk, "sub/c", "two");
    assert_false(is_there(disk, "b"));
    put(disk, "a", "one", true);
    put(disk, "Z", "", true);
    assert_int_equal(df_disk_rename(disk, at("a"), at("sub/c"), &error), DF_OK);
    holds(disk, "sub/c", "one");
    assert_int_equal(df_disk_list(disk, &names, folder, &error), DF_OK);
    assert_int_equal(names.count, 2);
    assert_string_equal(names.names[0], "Z");
    assert_string_equal(names.names[1], "sub");
    df_names_fini(&names);
    assert_int_equal(df_disk_remove(disk, at("Z"), &error), DF_OK);
    assert_int_equal(df_disk_remove(disk, at("Z"), &error), DF_END);
    assert_int_equal(df_disk_rename(disk, at("Z"), at("Y"), &error), DF_END);
    assert_int_equal(df_disk_list(disk, &names, at("none"), &error), DF_END);
    assert_int_equal(names.count, 0);
}

static void suite_locks(df_disk *disk)
{
    df_file *first, *second;

    put(disk, "lock", "", true);
    first = open_as(disk, "lock", DF_OPEN_WRITE);
    second = open_as(disk, "lock", DF_OPEN_WRITE);
    assert_int_equal(df_file_lock(first, &error), DF_OK);
    assert_int_equal(df_file_lock(first, &error), DF_OK);
    assert_int_equal(df_file_lock(second, &error), DF_AGAIN);
    df_file_close(&first);
    assert_int_equal(df_file_lock(second, &error), DF_OK);
    df_file_close(&second);
}

static void suite(df_disk *disk)
{
    suite_files(disk);
    suite_names(disk);
    suite_locks(disk);
}

static void test_posix(void **state)
{
    df_disk disk;
    df_file *full;

    (void)state;
    df_disk_posix_init(&disk);
    strcpy(folder, "/tmp/test_df_disk.XXXXXX");
    assert_non_null(mkdtemp(folder));
    suite(&disk);
    assert_int_equal(df_disk_remove(&disk, at("sub/c"), &error), DF_OK);
    assert_int_equal(df_disk_remove(&disk, at("lock"), &error), DF_OK);
    rmdir(at("sub"));
    assert_int_equal(rmdir(folder), 0);
    strcpy(folder, "/dev");
    full = open_as(&disk, "full", DF_OPEN_WRITE); /* the system's own full disk */
    assert_int_equal(df_file_write(full, "x", 1, 0, &error), DF_ELIMIT);
    assert_non_null(strstr(error.text, "/dev/full: cannot write: No space left"));
    assert_int_equal(df_file_write(full, "x", 1, 0, &error), DF_EIO);
    df_file_close(&full);
}

static fake_disk *fake_in_folder(void)
{
    fake_disk *fake = fake_disk_new();

    strcpy(folder, "job");
    assert_int_equal(df_disk_make_folder(fake_disk_of(fake), folder, &error), DF_OK);
    assert_int_equal(df_disk_sync_folder(fake_disk_of(fake), ".", &error), DF_OK);
    return fake;
}

static void test_fake(void **state)
{
    fake_disk *fake = fake_in_folder();

    (void)state;
    suite(fake_disk_of(fake));
    fake_disk_free(&fake);
}

/* ---- what only the fake one does ---- */

static void test_power(void **state)
{
    (void)state;
    for (fake_loss loss = FAKE_LOSE; loss <= FAKE_KEEP; loss++) {
        fake_disk *fake = fake_in_folder();
        df_disk *disk = fake_disk_of(fake);
        bool keeps = loss == FAKE_KEEP;
        df_file *file;

        put(disk, "synced", "safe", true);
        put(disk, "named", "", true);
        put(disk, "old", "1", true);
        put(disk, "new", "2", true);
        put(disk, "named", "bytes", false);
        put(disk, "unnamed", "bytes", false);
        assert_int_equal(df_disk_rename(disk, at("new"), at("old"), &error), DF_OK);
        file = open_as(disk, "synced", DF_OPEN_WRITE);
        assert_int_equal(df_file_lock(file, &error), DF_OK);
        fake_disk_restart(fake, loss, 1);
        assert_int_equal(df_file_write(file, "X", 1, 0, &error), DF_EIO);
        df_file_close(&file);
        file = open_as(disk, "synced", DF_OPEN_WRITE);
        assert_int_equal(df_file_lock(file, &error), DF_OK);
        df_file_close(&file);
        holds(disk, "synced", "safe");
        holds(disk, "named", keeps ? "bytes" : "");
        holds(disk, "old", keeps ? "2" : "1");
        assert_int_equal(is_there(disk, "new"), !keeps);
        assert_int_equal(is_there(disk, "unnamed"), keeps);
        fake_disk_free(&fake);
    }
}

/* By lot, every combination of three sectors is seen, and nothing but old and new sectors. */
static void test_tear(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        fake_disk *fake = fake_in_folder();
        df_disk *disk = fake_disk_of(fake);
        uint8_t bytes[3 * FAKE_SECTOR];
        df_file *file = open_as(disk, "a", DF_OPEN_CREATE);
        unsigned kept = 0;
        size_t got;

        memset(bytes, 1, sizeof bytes);
        assert_int_equal(df_file_write(file, bytes, sizeof bytes, 0, &error), DF_OK);
        assert_int_equal(df_file_sync(file, &error), DF_OK);
        assert_int_equal(df_disk_sync_folder(disk, folder, &error), DF_OK);
        memset(bytes, 2, sizeof bytes);
        assert_int_equal(df_file_write(file, bytes, sizeof bytes, 0, &error), DF_OK);
        df_file_close(&file);
        fake_disk_restart(fake, FAKE_TEAR, seed);
        file = open_as(disk, "a", DF_OPEN_READ);
        assert_int_equal(df_file_read(file, bytes, sizeof bytes, 0, &got, &error), DF_OK);
        assert_int_equal(got, sizeof bytes);
        df_file_close(&file);
        for (unsigned i = 0; i < 3; i++) {
            uint8_t first = bytes[i * FAKE_SECTOR];

            assert_true(first == 1 || first == 2);
            for (unsigned b = 0; b < FAKE_SECTOR; b++)
                assert_int_equal(bytes[i * FAKE_SECTOR + b], first);
            kept |= (first == 2 ? 1u : 0u) << i;
        }
        seen |= 1u << kept;
        fake_disk_free(&fake);
    }
    assert_int_equal(seen, 0xff);
}

static void test_failed_sync(void **state)
{
    fake_disk *fake = fake_in_folder();
    df_disk *disk = fake_disk_of(fake);
    df_file *file, *again;

    (void)state;
    put(disk, "a", "old", true);
    file = open_as(disk, "a", DF_OPEN_WRITE);
    assert_int_equal(df_file_write(file, "new", 3, 0, &error), DF_OK);
    fake_disk_fail(fake, fake_disk_calls(fake) + 1, FAKE_EIO, false);
    assert_int_equal(df_file_sync(file, &error), DF_EIO);
    assert_int_equal(df_file_sync(file, &error), DF_EIO);
    assert_int_equal(df_file_write(file, "x", 1, 0, &error), DF_EIO);
    assert_non_null(strstr(error.text, "earlier"));
    df_file_close(&file);
    again = open_as(disk, "a", DF_OPEN_WRITE);
    assert_int_equal(df_file_sync(again, &error), DF_OK); /* and yet nothing is written */
    df_file_close(&again);
    holds(disk, "a", "new");
    fake_disk_restart(fake, FAKE_KEEP, 1);
    holds(disk, "a", "old");
    fake_disk_free(&fake);
}

static void test_faults(void **state)
{
    fake_disk *fake = fake_in_folder();
    df_disk *disk = fake_disk_of(fake);
    df_file *file = open_as(disk, "a", DF_OPEN_CREATE);

    (void)state;
    fake_disk_fail(fake, fake_disk_calls(fake) + 1, FAKE_SHORT, false);
    assert_int_equal(df_file_write(file, "abcdef", 6, 0, &error), DF_EIO);
    df_file_close(&file);
    holds(disk, "a", "abc");
    fake_disk_fail(fake, fake_disk_calls(fake) + 1, FAKE_FULL, true);
    holds(disk, "a", "abc");
    assert_int_equal(df_disk_open(disk, &file, at("b"), DF_OPEN_CREATE, &error), DF_ELIMIT);
    assert_int_equal(df_disk_remove(disk, at("a"), &error), DF_OK);
    fake_disk_fail(fake, fake_disk_calls(fake) + 1, FAKE_POWER, false);
    assert_int_equal(df_disk_open(disk, &file, at("b"), DF_OPEN_CREATE, &error), DF_EIO);
    assert_int_equal(df_disk_sync_folder(disk, folder, &error), DF_EIO);
    fake_disk_restart(fake, FAKE_KEEP, 1);
    assert_true(is_there(disk, "b"));
    assert_false(is_there(disk, "a"));
    fake_disk_free(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posix), cmocka_unit_test(test_fake),        cmocka_unit_test(test_power),
        cmocka_unit_test(test_tear),  cmocka_unit_test(test_failed_sync), cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
