/* Tables and their files: what was put is read back by RocksDB itself, whatever the sizes and wherever the
 * pieces of the file are cut; a full disk is told, at whichever put it shows. */
#include "snapshot/snap_rocksdb_watch.h"
#include "snapshot/snap_table.h"
#include "snapshot/snap_table_write.h"

#include <rocksdb/c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define VALUES_MAX 40000

static df_error error;
static char folder[] = "/tmp/weir-table-XXXXXX", path[64];
static uint32_t sizes[VALUES_MAX], value_count;

static void key_of(char key[SNAP_TABLE_KEY_SIZE], uint32_t number)
{
    memset(key, 'k', SNAP_TABLE_KEY_SIZE);
    for (int i = 0; i < 4; i++)
        key[SNAP_TABLE_KEY_SIZE - 4 + i] = (char)(uint8_t)(number >> (24 - 8 * i));
}

static uint8_t byte_of(uint32_t number, uint32_t place)
{
    return (uint8_t)((number * 2654435761u + place * 40503u) >> 7);
}

static void value_of(uint8_t *to, uint32_t number)
{
    for (uint32_t i = 0; i < sizes[number]; i++)
        to[i] = byte_of(number, i);
}

/* Every other value is made in the room, the others come from elsewhere. */
static df_status write_table(void)
{
    snap_part_file *file;
    snap_table_writer writer;
    uint8_t *elsewhere = malloc(SNAP_CHUNK_SIZE_MAX);
    df_status s = snap_part_file_open(&file, path, &error);

    assert_int_equal(s, DF_OK);
    assert_non_null(elsewhere);
    snap_table_writer_init(&writer, file);
    for (uint32_t i = 0; s == DF_OK && i < value_count; i++) {
        uint8_t *to = i % 2 == 0 ? snap_table_room(&writer) : elsewhere;
        char key[SNAP_TABLE_KEY_SIZE];

        key_of(key, i);
        value_of(to, i);
        s = snap_table_put(&writer, key, to, sizes[i], &error);
    }
    if (s == DF_OK)
        s = snap_table_end(&writer, &error);
    if (s == DF_OK)
        s = snap_part_file_sync(file, &error);
    snap_table_writer_fini(&writer);
    snap_part_file_close(&file);
    assert_null(file);
    free(elsewhere);
    return s;
}

static void read_value(void *user, const char *key, size_t key_size, const char *value, size_t value_size)
{
    uint32_t *count = user;
    char expected[SNAP_TABLE_KEY_SIZE];

    key_of(expected, *count);
    assert_true(*count < value_count);
    assert_int_equal(key_size, sizeof expected);
    assert_memory_equal(key, expected, sizeof expected);
    assert_int_equal(value_size, sizes[*count]);
    for (uint32_t i = 0; i < value_size; i++)
        if ((uint8_t)value[i] != byte_of(*count, i))
            fail_msg("value %u, byte %u", *count, i);
    ++*count;
}

static char *read_table(uint32_t *count)
{
    rocksdb_options_t *options = rocksdb_options_create();
    char *text;

    *count = 0;
    text = snap_rocksdb_read(options, path, read_value, count);
    rocksdb_options_destroy(options);
    return text;
}

static void through(void)
{
    uint32_t count;
    df_disk disk;

    df_disk_posix_init(&disk);
    assert_int_equal(write_table(), DF_OK);
    assert_int_equal(snap_table_check(&disk, path, &error), DF_OK);
    assert_null(read_table(&count));
    assert_int_equal(count, value_count);
}

/* Sizes around those where the head of a block gets longer; the largest; the smallest. */
static void test_sizes(void **state)
{
    static const uint32_t all[] = { 0, 1, 36, 127, 128, 129, 4095, 4096, 16383, 16384, 16385, 262144,
                                    SNAP_CHUNK_SIZE_MAX };

    (void)state;
    for (uint32_t shift = 0; shift < 2; shift++) { /* each in the room and from elsewhere */
        value_count = sizeof all / sizeof all[0];
        for (uint32_t i = 0; i < value_count; i++)
            sizes[i] = all[(i + shift) % value_count];
        through();
    }
    value_count = 1;
    sizes[0] = 1000;
    through();
}

/* Files of every length around a page's and a piece's end. */
static void test_lengths(void **state)
{
    (void)state;
    value_count = 2;
    for (uint32_t i = 0; i < 300; i++) {
        sizes[0] = i % 2 == 0 ? (1u << 19) - 200 + i : 2000 + 17 * i;
        sizes[1] = 100 + i;
        through();
    }
}

/* An index that is longer than what may be asked for at once. */
static void test_many(void **state)
{
    (void)state;
    value_count = VALUES_MAX;
    for (uint32_t i = 0; i < value_count; i++)
        sizes[i] = 20 + (i * 7919u) % 300;
    through();
}

static void test_damage(void **state)
{
    FILE *file;
    uint32_t count;
    char *text;

    (void)state;
    value_count = 3;
    sizes[0] = sizes[1] = sizes[2] = 5000;
    through();
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 6000, SEEK_SET), 0);
    assert_int_not_equal(fputc(byte_of(1, 3) ^ 0x40, file), EOF);
    fclose(file);
    text = read_table(&count);
    assert_non_null(text);
    assert_non_null(strstr(text, "checksum mismatch"));
    assert_int_equal(count, 1);
    free(text);
}

/* The disk is full from the first byte on: it is told by the put after the one that found it, or at the end. */
static void test_full(void **state)
{
    (void)state;
    strcpy(path, "/dev/full");
    for (value_count = 1; value_count <= 41; value_count += 20) {
        for (uint32_t i = 0; i < value_count; i++)
            sizes[i] = 200000;
        assert_int_equal(write_table(), DF_ELIMIT);
        assert_string_equal(error.text, "/dev/full: cannot write: No space left on device");
    }
}

static void test_nowhere(void **state)
{
    snap_part_file *file;

    (void)state;
    assert_int_equal(snap_part_file_open(&file, "/nowhere/part.sst", &error), DF_EIO);
    assert_null(file);
    assert_string_equal(error.text, "/nowhere/part.sst: cannot create: No such file or directory");
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/part.sst", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/part.sst", folder);
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),  cmocka_unit_test(test_lengths), cmocka_unit_test(test_many),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_nowhere), cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
