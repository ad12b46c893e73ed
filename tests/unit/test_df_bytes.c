/* The cursor of bytes: layouts against hand-written bytes, and every way to run out of them. */
#include "dataflow/df_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <xxhash.h>

static const uint8_t layout[] = {
    0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08,
    0x02, 0x00, 0x00, 0x00, 'h', 'i', 0x03, 0x00, 0x00, 0x00, 0xff, 0x00, 0xfe, 0x7f,
};

static void put_all(df_writer *w)
{
    df_put_u8(w, 0x01);
    df_put_u16(w, 0x0203);
    df_put_u32(w, 0x04050607);
    df_put_u64(w, 0x08090a0b0c0d0e0f);
    df_put_text(w, "hi");
    df_put_blob(w, "\xff\x00\xfe", 3);
    df_put_bytes(w, "\x7f", 1);
}

static void test_layout(void **state)
{
    uint8_t memory[64];
    df_writer w;

    (void)state;
    df_writer_init(&w, memory, sizeof memory);
    put_all(&w);
    assert_true(df_writer_ok(&w));
    assert_int_equal(w.size, sizeof layout);
    assert_memory_equal(memory, layout, sizeof layout);
    df_writer_fini(&w);
}

/* Every capacity that is too small fails, writes nothing beyond it, and stays failed. */
static void test_full(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity < sizeof layout; capacity++) {
        uint8_t memory[sizeof layout + 1];
        df_writer w;

        memset(memory, 0xaa, sizeof memory);
        df_writer_init(&w, memory, capacity);
        put_all(&w);
        assert_false(df_writer_ok(&w));
        assert_true(w.size <= capacity);
        assert_memory_equal(memory, layout, w.size);
        for (size_t i = capacity; i < sizeof memory; i++)
            assert_int_equal(memory[i], 0xaa);
        df_put_bytes(&w, "", 0);
        assert_false(df_writer_ok(&w));
    }
}

static void test_growing(void **state)
{
    df_writer w;
    size_t size;
    uint8_t *bytes;

    (void)state;
    df_writer_init_growing(&w, 100000);
    for (uint32_t i = 0; i < 25000; i++)
        df_put_u32(&w, i * 2654435761u);
    assert_true(df_writer_ok(&w));
    bytes = df_writer_take(&w, &size);
    assert_int_equal(size, 100000);
    for (uint32_t i = 0; i < 25000; i++)
        for (uint32_t b = 0; b < 4; b++)
            assert_int_equal(bytes[4 * i + b], (uint8_t)((i * 2654435761u) >> (8 * b)));
    free(bytes);
    for (uint32_t i = 0; i < 25001; i++)
        df_put_u32(&w, i);
    assert_false(df_writer_ok(&w));
    assert_null(df_writer_take(&w, &size));
    assert_int_equal(size, 0);
    df_writer_fini(&w);
}

static bool get_all(df_cursor *c)
{
    char text[8];
    const uint8_t *blob, *byte;
    size_t size;
    bool same = df_get_u8(c) == 0x01;

    same &= df_get_u16(c) == 0x0203;
    same &= df_get_u32(c) == 0x04050607;
    same &= df_get_u64(c) == 0x08090a0b0c0d0e0f;
    df_get_text(c, text, sizeof text);
    same &= strcmp(text, "hi") == 0;
    blob = df_get_blob(c, 3, &size);
    same &= blob != NULL && size == 3 && memcmp(blob, "\xff\x00\xfe", 3) == 0;
    byte = df_get_bytes(c, 1);
    same &= byte != NULL && *byte == 0x7f;
    return same;
}

/* Whole, cut at every byte (from an exact allocation, so that a sanitizer sees a read past it), and
 * with a byte too many. */
static void test_get(void **state)
{
    df_cursor c;

    (void)state;
    df_cursor_init(&c, layout, sizeof layout);
    assert_true(get_all(&c));
    assert_true(df_get_end(&c));
    for (size_t size = 0; size < sizeof layout; size++) {
        uint8_t *cut = malloc(size + (size == 0));

        memcpy(cut, layout, size);
        df_cursor_init(&c, cut, size);
        assert_false(get_all(&c));
        assert_false(df_get_end(&c));
        assert_int_equal(df_get_left(&c), 0);
        assert_int_equal(df_get_u64(&c), 0);
        free(cut);
    }
    df_cursor_init(&c, layout, sizeof layout);
    df_get_u8(&c);
    assert_false(df_get_end(&c));
    assert_int_equal(df_get_left(&c), sizeof layout - 1);
    df_get_refuse(&c);
    assert_int_equal(df_get_u8(&c), 0);
}

static void test_text(void **state)
{
    static const uint8_t fits[] = { 3, 0, 0, 0, 'a', 'b', 'c' };
    static const uint8_t zero[] = { 3, 0, 0, 0, 'a', 0, 'c' };
    char text[4];
    df_cursor c;

    (void)state;
    df_cursor_init(&c, fits, sizeof fits);
    df_get_text(&c, text, sizeof text);
    assert_string_equal(text, "abc");
    assert_true(df_get_end(&c));
    df_cursor_init(&c, fits, sizeof fits);
    df_get_text(&c, text, 3);
    assert_string_equal(text, "");
    assert_false(df_get_end(&c));
    df_cursor_init(&c, zero, sizeof zero);
    df_get_text(&c, text, sizeof text);
    assert_string_equal(text, "");
    assert_false(df_get_end(&c));
}

static void test_count(void **state)
{
    static const uint8_t two[] = { 2, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7 };
    static const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff, 1, 2, 3 };
    df_cursor c;

    (void)state;
    df_cursor_init(&c, two, sizeof two);
    assert_int_equal(df_get_count(&c, 2, 3), 2);
    df_cursor_init(&c, two, sizeof two);
    assert_int_equal(df_get_count(&c, 2, 4), 0);
    assert_false(df_get_end(&c));
    df_cursor_init(&c, two, sizeof two);
    assert_int_equal(df_get_count(&c, 1, 1), 0);
    df_cursor_init(&c, huge, sizeof huge);
    assert_int_equal(df_get_count(&c, UINT32_MAX, 1), 0);
    df_cursor_init(&c, NULL, 0);
    assert_true(df_get_end(&c));
    assert_non_null(df_get_bytes(&c, 0));
    assert_null(df_get_bytes(&c, 1));
}

/* Cut anywhere, of any size: what the header makes of the whole, without this library's vectors. */
static void test_checksum(void **state)
{
    static uint8_t bytes[3000];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * i >> 3);
    for (size_t size = 0; size <= sizeof bytes; size += 1 + size / 3)
        for (size_t cut = 0; cut <= size; cut += 1 + size / 7)
            for (uint64_t seed = 0; seed < 3; seed++)
                assert_true(df_checksum(seed, bytes, cut, bytes + cut, size - cut) ==
                            XXH3_64bits_withSeed(bytes, size, seed));
    assert_true(df_checksum(7, NULL, 0, NULL, 0) == XXH3_64bits_withSeed(bytes, 0, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout), cmocka_unit_test(test_full), cmocka_unit_test(test_growing),
        cmocka_unit_test(test_get),    cmocka_unit_test(test_text), cmocka_unit_test(test_count),
        cmocka_unit_test(test_checksum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
