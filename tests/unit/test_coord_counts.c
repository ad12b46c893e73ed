/* How long things took, in buckets; and the bytes in which workers tell their numbers, hostile ones too. */
#include "tests/support/fake_counts.h"

#include <stdio.h>
#include <stdlib.h>

static df_error error;

/* ---- histograms ---- */

static void test_histogram(void **state)
{
    static const struct { double seconds; uint32_t bucket; } puts[] = {
        { -1, 0 }, { 0, 0 }, { 0.001, 0 }, { 0.0011, 1 }, { 0.003, 1 }, { 1, 6 }, { 300, 11 },
        { 300.5, 12 }, { 1e6, 12 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof puts / sizeof puts[0]; i++) {
        coord_histogram h = { { 0 }, 0 };

        coord_histogram_put(&h, puts[i].seconds);
        assert_int_equal(h.buckets[puts[i].bucket], 1);
        assert_int_equal(h.nanoseconds, puts[i].seconds < 0 ? 0 : (uint64_t)(puts[i].seconds * 1e9));
    }
}

/* A bucket has what took as long as its bound, and what is above goes into the next one. */
static void test_spans(void **state)
{
    df_spans sum = { 0 };

    (void)state;
    assert_int_equal(df_spans_bucket(0), 0);
    assert_int_equal(df_spans_bucket(1), 0);
    for (uint32_t i = 0; i + 1 < DF_SPANS_BUCKETS; i++) {
        df_spans one = { 0 };

        assert_int_equal(df_spans_bound(i), 1024ull << i);
        assert_int_equal(df_spans_bucket(1024ull << i), i);
        assert_int_equal(df_spans_bucket((1024ull << i) + 1), i + 1);
        df_spans_put(&one, 1024ull << i);
        df_spans_add(&sum, &one);
        assert_int_equal(sum.buckets[i], 1);
    }
    assert_int_equal(df_spans_bucket(UINT64_MAX), DF_SPANS_BUCKETS - 1);
    assert_int_equal(df_spans_count(&sum), DF_SPANS_BUCKETS - 1);
    assert_int_equal(sum.nanoseconds, 1024ull * ((1ull << (DF_SPANS_BUCKETS - 1)) - 1));
}

/* ---- the bytes ---- */

static void bytes_make(df_writer *b, const coord_counts *c)
{
    df_writer_init_growing(b, 1 << 20);
    coord_counts_encode(b, c);
    assert_true(df_writer_ok(b));
}

static df_status decode(const df_writer *b, size_t size)
{
    uint8_t *exact = malloc(size + 1); /* so that a read behind the end is found */
    coord_counts c;
    df_status s;

    memcpy(exact, b->data, size);
    s = coord_counts_decode(&c, exact, size, &error);
    free(exact);
    if (s != DF_OK)
        assert_true(c.operators == NULL && c.peers == NULL);
    coord_counts_fini(&c);
    return s;
}

static void test_bytes(void **state)
{
    coord_counts c, again;
    df_writer b, second;

    (void)state;
    fake_counts_fill(&c, 77);
    bytes_make(&b, &c);
    assert_int_equal(coord_counts_decode(&again, b.data, b.size, &error), DF_OK);
    assert_int_equal(again.operator_count, 3);
    assert_string_equal(again.operators[0].name, "birds");
    assert_int_equal(again.operators[0].role, COORD_COUNTS_STATE);
    assert_int_equal(again.operators[1].role, COORD_COUNTS_SINK);
    assert_int_equal(again.operators[2].calls.nanoseconds, 1500002049);
    assert_int_equal(df_spans_count(&again.operators[2].calls), 3);
    assert_int_equal(again.operators[2].bytes_out, 24 * 77);
    assert_int_equal(again.group_tasks.buckets[DF_SPANS_BUCKETS - 1], 1);
    assert_int_equal(again.peers[0].frames_received, 6);
    assert_int_equal(again.peers[1].bytes_received, 5);
    assert_int_equal(again.peers[1].bytes_moved, 7);
    assert_int_equal(again.peers[0].waits.nanoseconds, 3000);
    assert_int_equal(again.peers[0].id, 11);
    assert_int_equal(again.rejected[PROTO_REJECT_stale], 82);
    assert_int_equal(again.loads_failed, 81);
    assert_int_equal(again.parts.buckets[COORD_BUCKETS - 1], 1);
    bytes_make(&second, &again);
    assert_int_equal(b.size, second.size);
    assert_memory_equal(b.data, second.data, b.size);
    df_writer_fini(&b);
    df_writer_fini(&second);
    coord_counts_fini(&c);
    coord_counts_fini(&again);
}

static void spans_fill(df_spans *spans)
{
    for (uint32_t i = 0; i < DF_SPANS_BUCKETS; i++)
        spans->buckets[i] = 1 + i;
}

/* What the largest job can have fits into a message, with something in every bucket. */
static void test_bytes_most(void **state)
{
    coord_counts c, again;
    df_writer b;

    (void)state;
    assert_true(coord_counts_init(&c, COORD_COUNTS_OPERATORS_MAX, PROTO_MEMBERS_MAX));
    for (uint32_t i = 0; i < c.operator_count; i++) {
        snprintf(c.operators[i].name, WEIR_NAME_MAX, "%063u", i);
        snprintf(c.operators[i].kind, WEIR_NAME_MAX, "%063u", 0);
        spans_fill(&c.operators[i].calls);
    }
    for (uint32_t i = 0; i < c.peer_count; i++) {
        c.peers[i].id = i;
        spans_fill(&c.peers[i].waits);
    }
    bytes_make(&b, &c);
    assert_true(b.size <= PROTO_PAYLOAD_SIZE_MAX);
    assert_int_equal(coord_counts_decode(&again, b.data, b.size, &error), DF_OK);
    coord_counts_fini(&again);
    df_writer_fini(&b);
    assert_true(coord_counts_init(&again, COORD_COUNTS_OPERATORS_MAX + 1, 0));
    for (uint32_t i = 0; i < again.operator_count; i++) {
        snprintf(again.operators[i].name, WEIR_NAME_MAX, "%063u", i);
        strcpy(again.operators[i].kind, "k");
    }
    bytes_make(&b, &again);
    assert_int_equal(decode(&b, b.size), DF_ECORRUPT);
    df_writer_fini(&b);
    coord_counts_fini(&again);
    coord_counts_fini(&c);
}

static void test_bytes_cut(void **state)
{
    coord_counts c;
    df_writer b;

    (void)state;
    fake_counts_fill(&c, 77);
    bytes_make(&b, &c);
    for (size_t size = 0; size < b.size; size++)
        assert_int_equal(decode(&b, size), DF_ECORRUPT);
    df_put_u8(&b, 0);
    assert_int_equal(decode(&b, b.size), DF_ECORRUPT);
    df_writer_fini(&b);
    coord_counts_fini(&c);
}

/* A change of the right numbers that makes them wrong. */
static void wrong_version(df_writer *b)
{
    b->data[0]++;
}

static void wrong_reasons(df_writer *b)
{
    b->data[2 + 12 * 8]++;
}

static void wrong_bucket(df_writer *b)
{
    memset(b->data + 2 + 12 * 8 + 4 + 8 * PROTO_REJECT_COUNT, 0xff, 8);
}

/* Of the tasks: a mask with the last bucket's bit, what is in it, and the sum. */
#define SPANS_AT (2 + 12 * 8 + 4 + 8 * PROTO_REJECT_COUNT + 2 * 8 * (COORD_BUCKETS + 1))

static void wrong_mask(df_writer *b)
{
    b->data[SPANS_AT + 3] = 1;
}

static void wrong_empty(df_writer *b)
{
    memset(b->data + SPANS_AT + 4, 0, 8);
}

static void wrong_span(df_writer *b)
{
    memset(b->data + SPANS_AT + 4, 0xff, 8);
}

static void wrong_count(df_writer *b)
{
    memset(b->data + SPANS_AT + 4 + 8 + 8, 0xff, 4);
}

static void test_bytes_wrong(void **state)
{
    void (*const wrongs[])(df_writer *) = { wrong_version, wrong_reasons, wrong_bucket, wrong_mask,
                                            wrong_empty,   wrong_span,    wrong_count };
    coord_counts c;
    df_writer b;

    (void)state;
    fake_counts_fill(&c, 77);
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        bytes_make(&b, &c);
        wrongs[i](&b);
        assert_int_equal(decode(&b, b.size), DF_ECORRUPT);
        df_writer_fini(&b);
    }
    coord_counts_fini(&c);
}

static void operator_wrong(coord_counts *c, int what)
{
    coord_counts_operator *o = &c->operators[1];

    switch (what) {
    case 0:
        *o = c->operators[0]; /* twice */
        break;
    case 1:
        strcpy(o->name, "a"); /* out of order */
        break;
    case 2:
        strcpy(o->name, "bir\ndt");
        break;
    case 3:
        o->kind[0] = '\0';
        break;
    case 4:
        o->role = COORD_COUNTS_ROLES;
        break;
    case 5:
        c->peers[1].id = c->peers[0].id;
        break;
    default:
        strcpy(o->kind, "caf\xc3\xa9");
    }
}

static void test_bytes_lists(void **state)
{
    (void)state;
    for (int what = 0; what < 7; what++) {
        coord_counts c;
        df_writer b;

        fake_counts_fill(&c, 77);
        operator_wrong(&c, what);
        bytes_make(&b, &c);
        assert_int_equal(decode(&b, b.size), DF_ECORRUPT);
        df_writer_fini(&b);
        coord_counts_fini(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_bytes_most),
        cmocka_unit_test(test_bytes_cut),
        cmocka_unit_test(test_bytes_wrong),
        cmocka_unit_test(test_bytes_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
