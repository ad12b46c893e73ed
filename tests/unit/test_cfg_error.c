/* The error report, "did you mean", and the arena. */
#include "dataflow/df_arena.h"
#include "dataflow/df_error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *printed(const df_report *report)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    assert_non_null(file);
    df_report_print(report, file);
    fclose(file);
    return text;
}

static void test_fail_and_wrap(void **state)
{
    df_error err;
    char longer[700];

    (void)state;
    assert_int_equal(df_fail(&err, DF_EIO, "disk %d is full", 7), DF_EIO);
    assert_int_equal(err.status, DF_EIO);
    assert_string_equal(err.text, "disk 7 is full");
    assert_int_equal(df_wrap(&err, DF_EINVAL, "%s:%d", "a.toml", 3), DF_EINVAL);
    assert_int_equal(err.status, DF_EINVAL);
    assert_string_equal(err.text, "a.toml:3: disk 7 is full");
    assert_int_equal(df_fail(NULL, DF_ENOMEM, "unwanted"), DF_ENOMEM);
    assert_int_equal(df_wrap(NULL, DF_ENOMEM, "unwanted"), DF_ENOMEM);

    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(df_wrap(&err, DF_EINVAL, "%s", longer), DF_EINVAL);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_string_equal(err.text + sizeof err.text - 5, "x...");
}

/* What a hostile file put into a name reaches no terminal, and what is cut is cut between
 * characters. */
static void test_clean_text(void **state)
{
    df_error err;
    char text[sizeof err.text * 2];
    size_t len = 0;

    (void)state;
    assert_int_equal(df_fail(&err, DF_EINVAL, "a\x1b[31m\nb\x7f"), DF_EINVAL);
    assert_string_equal(err.text, "a?[31m?b?");
    while (len + 4 < sizeof text) { /* of three bytes each */
        memcpy(text + len, "\xe2\x82\xac", 3);
        len += 3;
    }
    text[len] = '\0';
    for (int shift = 0; shift < 3; shift++) {
        assert_int_equal(df_fail(&err, DF_EINVAL, "%.*s%s", shift, "ab", text), DF_EINVAL);
        len = strlen(err.text);
        assert_string_equal(err.text + len - 3, "...");
        assert_true(len > sizeof err.text - 5);
        assert_int_equal((len - 3 - (size_t)shift) % 3, 0);
    }
}

static void test_report_order(void **state)
{
    df_report report;
    char *text;

    (void)state;
    df_report_init(&report, "a.toml");
    assert_int_equal(df_report_add(&report, (df_place){ 9, 2 }, "late"), DF_EINVAL);
    assert_int_equal(df_report_add(&report, (df_place){ 3, 7 }, "second of the line"), DF_EINVAL);
    assert_int_equal(df_report_add(&report, (df_place){ 3, 2 }, "first, %s", "a"), DF_EINVAL);
    assert_int_equal(df_report_add(&report, (df_place){ 3, 2 }, "first, b"), DF_EINVAL);
    assert_int_equal(df_report_add(&report, (df_place){ 9, 2 }, "late"), DF_EINVAL);
    assert_int_equal(df_report_add(&report, (df_place){ 0, 0 }, "of the file"), DF_EINVAL);
    assert_int_equal(report.count, 5);
    text = printed(&report);
    assert_string_equal(text, "a.toml: of the file\n"
                              "a.toml:3:2: first, a\n"
                              "a.toml:3:2: first, b\n"
                              "a.toml:3:7: second of the line\n"
                              "a.toml:9:2: late\n");
    free(text);
}

static void test_report_full(void **state)
{
    df_report report;
    char *text, *last;

    (void)state;
    df_report_init(&report, "a.toml");
    for (uint32_t i = 0; i < DF_REPORT_MAX + 7; i++)
        df_report_add(&report, (df_place){ 1000 - i, 1 }, "error %u", i);
    assert_int_equal(report.count, DF_REPORT_MAX + 7);
    text = printed(&report);
    last = strstr(text, "a.toml: and");
    assert_non_null(last);
    assert_string_equal(last, "a.toml: and 7 more errors\n");
    assert_memory_equal(text, "a.toml:951:1: error 49\n", 23);
    free(text);
}

static void test_nearest(void **state)
{
    static const char *const names[] = { "radius", "separation_radius", "scale",
                                         "steer",  "collision",         "vx",
                                         "dt" };
    static const struct {
        const char *name, *nearest;
    } cases[] = {
        { "raduis", "radius" },
        { "radius_", "radius" },
        { "adius", "radius" },
        { "rdiuss", "radius" },
        { "STEER", "steer" },
        { "sterr", "steer" },
        { "seperation_raduis", "separation_radius" },
        { "colision", "collision" },
        { "vy", NULL },
        { "DT", "dt" },
        { "something", NULL },
        { "", NULL },
        { "rxyzus", NULL },
        { "scalar", "scale" },
    };
    char longer[300];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *nearest = df_nearest(cases[i].name, names, sizeof names / sizeof *names);
        if (cases[i].nearest == NULL)
            assert_null(nearest);
        else
            assert_string_equal(nearest, cases[i].nearest);
    }
    assert_null(df_nearest("radius", names, 0));
    memset(longer, 'r', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_null(df_nearest(longer, names, sizeof names / sizeof *names));
    assert_null(df_nearest("radius", (const char *const[]){ longer }, 1));
}

/* The recursive definition of the optimal string alignment distance. */
static size_t distance_brute(const char *a, size_t i, const char *b, size_t j)
{
    size_t best, other;

    if (i == 0 || j == 0)
        return i + j;
    best = distance_brute(a, i - 1, b, j - 1) + (a[i - 1] != b[j - 1]);
    other = distance_brute(a, i - 1, b, j) + 1;
    best = other < best ? other : best;
    other = distance_brute(a, i, b, j - 1) + 1;
    best = other < best ? other : best;
    if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        other = distance_brute(a, i - 2, b, j - 2) + 1;
        best = other < best ? other : best;
    }
    return best;
}

/* All pairs of words of up to six letters of two, and longer random ones of four. */
static void test_nearest_brute(void **state)
{
    uint64_t random = 88172645463325252u;

    (void)state;
    for (int round = 0; round < 4000; round++) {
        char words[2][10];
        size_t len[2], limit;
        for (int w = 0; w < 2; w++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            len[w] = 3 + random % 6;
            for (size_t i = 0; i < len[w]; i++)
                words[w][i] = (char)('a' + (random >> (8 + 2 * i)) % 4);
            words[w][len[w]] = '\0';
        }
        limit = (len[0] > len[1] ? len[0] : len[1]) / 3;
        limit = limit < 3 ? limit : 3;
        assert_int_equal(df_nearest(words[0], (const char *const[]){ words[1] }, 1) != NULL,
                         distance_brute(words[0], len[0], words[1], len[1]) <= limit);
    }
}

static void test_arena(void **state)
{
    df_arena *arena = df_arena_new();
    unsigned char *pieces[400];

    (void)state;
    assert_non_null(arena);
    for (size_t i = 0; i < 400; i++) {
        size_t size = i * i;
        pieces[i] = df_arena_alloc(arena, size);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)(i & 0xff), size);
    }
    for (size_t i = 0; i < 400; i++) /* no two of them overlap */
        for (size_t k = 0; k < i * i; k++)
            assert_int_equal(pieces[i][k], i & 0xff);
    assert_string_equal(df_arena_text(arena, "text"), "text");
    assert_null(df_arena_alloc(arena, SIZE_MAX));
    assert_null(df_arena_alloc(arena, SIZE_MAX - 100));
    df_arena_free(&arena);
    assert_null(arena);
    df_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_and_wrap), cmocka_unit_test(test_clean_text),
        cmocka_unit_test(test_report_order),  cmocka_unit_test(test_report_full),
        cmocka_unit_test(test_nearest),       cmocka_unit_test(test_nearest_brute),
        cmocka_unit_test(test_arena),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
