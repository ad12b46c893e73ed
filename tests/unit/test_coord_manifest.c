/* The manifest of a snapshot is made of what workers say: all key groups once, with the chunks that
 * their rows need, in parts that are there. Whatever else they say is refused. */
#include "coordinator/coord_manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static df_error error;

static const weir_schema one_column = { 1, { { "x", WEIR_F32 } } };
static const coord_snapshot_head head = { .snapshot = 9, .step = 5, .generation = 2, .label = "" };

static coord_shape shape_new(void)
{
    coord_shape shape = { .job = "job", .plan = { 1, 2 }, .table_count = 1 };

    shape.tables[0].name = "birds";
    shape.tables[0].schema = &one_column;
    shape.tables[0].key_groups = 2;
    return shape;
}

/* A worker's part: its key groups, each with a row in two chunks, and what a sink carries. */
typedef struct saying {
    uint32_t member;
    uint32_t group_count, groups[2];
    uint32_t table, chunks;
    snap_part_id other; /* that its chunks are said to lie in; snapshot 0: its own */
    uint32_t item;      /* key group of what is carried; UINT32_MAX: nothing */
} saying;

static coord_part *say(const saying *w)
{
    snap_part_id id = coord_part_id(head.snapshot, head.generation, w->member);
    snap_part_info info = { .id = id, .last = { 9, 9, 9, 9 }, .chunk_count = 9, .stored_size = 9000 };
    snap_part_id in = w->other.snapshot == 0 ? id : w->other;
    snap_written written[3] = { { in, 100, { 1, 1 } }, { in, 50, { 2, 2 } }, { in, 50, { 3, 3 } } };
    coord_part_writer writer;
    coord_part *part;
    uint8_t *bytes;
    size_t size;

    coord_part_begin(&writer);
    for (uint32_t i = 0; i < w->group_count; i++)
        coord_part_put_group(&writer, w->table, w->groups[i], 1, written, w->chunks);
    if (w->item != UINT32_MAX)
        coord_part_put_item(&writer, SNAP_OFFSETS, "file", w->item, "12345678", 8);
    assert_int_equal(coord_part_end(&writer, &info, &bytes, &size, &error), DF_OK);
    assert_int_equal(coord_part_decode(&part, &bytes, size, &error), DF_OK);
    return part;
}

static df_status make(const saying *first, const saying *second, const snap_manifest *base,
                      snap_manifest **out)
{
    coord_part *parts[2] = { say(first), say(second) };
    coord_shape shape = shape_new();
    df_status s = coord_manifest_make(out, &shape, &head, base, parts, 2, &error);

    coord_part_free(&parts[0]);
    coord_part_free(&parts[1]);
    assert_true((s == DF_OK) == (*out != NULL));
    return s;
}

static saying one(uint32_t member)
{
    return (saying){ .member = member, .group_count = 1, .groups = { member }, .chunks = 2,
                     .item = member };
}

static void test_whole(void **state)
{
    saying a = one(0), b = one(1);
    const snap_owner *owner;
    snap_manifest *m, *again;
    uint8_t *bytes;
    size_t size;

    (void)state;
    assert_int_equal(make(&a, &b, NULL, &m), DF_OK);
    assert_int_equal(m->snapshot, 9);
    assert_int_equal(m->part_count, 2);
    owner = snap_manifest_owner(m, SNAP_OFFSETS, "file");
    assert_non_null(owner);
    assert_int_equal(owner->item_count, 2);
    assert_int_equal(snap_manifest_encode(m, &bytes, &size, &error), DF_OK); /* it keeps all rules */
    free(bytes);
    /* A later snapshot may refer to its parts, and to no others. */
    b.other = coord_part_id(9, 2, 0);
    a.other = coord_part_id(9, 2, 1);
    assert_int_equal(make(&a, &b, m, &again), DF_OK);
    snap_manifest_free(&again);
    b.other.snapshot = 8;
    assert_int_equal(make(&a, &b, m, &again), DF_ECORRUPT);
    snap_manifest_free(&m);
}

static void refused(saying a, saying b, const char *text)
{
    snap_manifest *m;

    assert_int_equal(make(&a, &b, NULL, &m), DF_ECORRUPT);
    if (strstr(error.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, text);
}

static void test_refused(void **state)
{
    saying a = one(0), b = one(1), c;

    (void)state;
    c = b;
    c.group_count = 0;
    refused(a, c, "no worker has written state \"birds\", key group 1");
    c = b;
    c.groups[0] = 0;
    refused(a, c, "two workers have written state \"birds\", key group 0");
    c = b;
    c.groups[0] = 2;
    refused(a, c, "which there is not");
    c = b;
    c.table = 1;
    refused(a, c, "which there is not");
    c = b;
    c.chunks = 3;
    refused(a, c, "3 chunks instead of 2");
    c = b;
    c.other = coord_part_id(3, 1, 0);
    refused(a, c, "a part that is not there");
    c = b;
    c.item = 0;
    refused(a, c, "two workers have written what \"file\" carries in key group 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
