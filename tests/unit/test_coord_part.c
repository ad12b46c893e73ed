/* What a worker says of its part: it comes back as it went, cut into messages or not, and bytes that
 * are cut short or changed are refused or mean something, but never harm. */
#include "coordinator/coord_part.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static df_error error;

static const snap_part_info info = { { 7, 3, 1 }, { 0, 0, 0, 0 }, { 5, 1, 2, 9 }, 12, 3456 };
static const snap_written written[3] = {
    { { 7, 3, 1 }, 100, { 1, 2 } }, { { 4, 2, 0 }, 200, { 3, 4 } }, { { 7, 3, 1 }, 300, { 5, 6 } },
};

static uint8_t *example(size_t *size, bool file)
{
    coord_part_writer w;
    uint8_t *bytes;

    coord_part_begin(&w);
    coord_part_put_group(&w, 0, 2, 10, written, 2);
    coord_part_put_group(&w, 1, 2, 0, NULL, 0);
    coord_part_put_group(&w, 0, 5, 20, written + 2, 1);
    coord_part_put_item(&w, SNAP_OFFSETS, "file", 0, "12345678", 8);
    coord_part_put_item(&w, SNAP_CARRIED, "count", 5, NULL, 0);
    assert_int_equal(coord_part_end(&w, file ? &info : NULL, &bytes, size, &error), DF_OK);
    return bytes;
}

static coord_part *decode(uint8_t *bytes, size_t size, df_status *status)
{
    coord_part *p;

    *status = coord_part_decode(&p, &bytes, size, &error);
    assert_null(bytes);
    return p;
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int file = 0; file < 2; file++) {
        size_t size;
        uint8_t *bytes = example(&size, file == 1);
        df_status s;
        coord_part *p = decode(bytes, size, &s);

        assert_int_equal(s, DF_OK);
        assert_int_equal(p->file, file == 1);
        if (file == 1)
            assert_memory_equal(&p->info, &info, sizeof info);
        assert_int_equal(p->group_count, 3);
        assert_int_equal(p->groups[0].count, 2);
        assert_memory_equal(p->groups[0].written, written, 2 * sizeof *written);
        assert_int_equal(p->groups[1].table, 1);
        assert_int_equal(p->groups[2].rows, 20);
        assert_memory_equal(p->groups[2].written, written + 2, sizeof *written);
        assert_int_equal(p->item_count, 2);
        assert_string_equal(p->items[0].name, "file");
        assert_memory_equal(p->items[0].bytes, "12345678", 8);
        assert_int_equal(p->items[1].key_group, 5);
        coord_part_free(&p);
    }
}

static void test_every_end(void **state)
{
    size_t size;
    uint8_t *whole = example(&size, true);

    (void)state;
    for (size_t end = 0; end < size; end++) {
        uint8_t *bytes = malloc(end + 1);
        df_status s;

        memcpy(bytes, whole, end);
        assert_null(decode(bytes, end, &s));
        assert_int_equal(s, DF_ECORRUPT);
    }
    free(whole);
}

/* Every byte changed: refused, or a part all the same; the sanitizers watch. */
static void test_every_byte(void **state)
{
    size_t size;
    uint8_t *whole = example(&size, true);

    (void)state;
    for (size_t at = 0; at < size; at++)
        for (unsigned change = 1; change < 256; change += 127) {
            uint8_t *bytes = malloc(size);
            coord_part *p;
            df_status s;

            memcpy(bytes, whole, size);
            bytes[at] = (uint8_t)(bytes[at] ^ change);
            p = decode(bytes, size, &s);
            assert_true((s == DF_OK) == (p != NULL));
            coord_part_free(&p);
        }
    free(whole);
}

static void refused(void (*put)(coord_part_writer *w))
{
    coord_part_writer w;
    uint8_t *bytes;
    size_t size;
    df_status s;

    coord_part_begin(&w);
    put(&w);
    assert_int_equal(coord_part_end(&w, NULL, &bytes, &size, &error), DF_OK);
    assert_null(decode(bytes, size, &s));
    assert_int_equal(s, DF_ECORRUPT);
}

static void put_twice(coord_part_writer *w)
{
    coord_part_put_group(w, 1, 1, 0, NULL, 0);
    coord_part_put_group(w, 1, 1, 0, NULL, 0);
}

static void put_descending(coord_part_writer *w)
{
    coord_part_put_group(w, 0, 2, 0, NULL, 0);
    coord_part_put_group(w, 5, 1, 0, NULL, 0);
}

static void put_table(coord_part_writer *w)
{
    coord_part_put_group(w, DF_STATES_MAX, 2, 0, NULL, 0);
}

static void put_kind(coord_part_writer *w)
{
    coord_part_put_item(w, (snap_owner_kind)9, "x", 0, NULL, 0);
}

static void put_nameless(coord_part_writer *w)
{
    coord_part_put_item(w, SNAP_BIRTHS, "", 0, NULL, 0);
}

static void test_refused(void **state)
{
    (void)state;
    refused(put_twice);
    refused(put_descending);
    refused(put_table);
    refused(put_kind);
    refused(put_nameless);
}

static void test_cut(void **state)
{
    const size_t sizes[] = { 0, 1, PROTO_PAYLOAD_SIZE_MAX, PROTO_PAYLOAD_SIZE_MAX + 1,
                             3 * (size_t)PROTO_PAYLOAD_SIZE_MAX };
    const uint32_t counts[] = { 1, 1, 1, 2, 3 };

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t sum = 0, offset;

        assert_int_equal(coord_part_messages(sizes[i]), counts[i]);
        for (uint32_t m = 0; m < counts[i]; m++) {
            size_t length = coord_part_cut(sizes[i], m, &offset);

            assert_int_equal(offset, sum);
            sum += length;
        }
        assert_int_equal(sum, sizes[i]);
        assert_int_equal(coord_part_cut(sizes[i], counts[i], &offset), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_every_end),
        cmocka_unit_test(test_every_byte), cmocka_unit_test(test_refused), cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
