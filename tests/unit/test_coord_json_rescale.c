/* What is asked of a rescale and told of one: it is read as it was written, and bad bytes are errors. */
#include "coordinator/coord_rescales.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static df_error error;

static const coord_rescale_row full = {
    .id = 7, .what = "drain-worker", .phase = "going back: moving", .end = "aborted",
    .why = "a \"quoted\" reason\n\xc3\xa4", .begun_ms = 1764154481123, .from = 3, .to = 2, .key_groups = 80,
    .key_groups_done = 12, .waves = 40, .waves_done = 6, .bytes = 1ull << 40, .seconds = 2.5,
    .longest_ms = 12.25, .late_steps = 3,
};

static void assert_row(const coord_rescale_row *a, const coord_rescale_row *b)
{
    assert_true(a->id == b->id && a->begun_ms == b->begun_ms && a->bytes == b->bytes);
    assert_string_equal(a->what, b->what);
    assert_string_equal(a->phase, b->phase);
    assert_string_equal(a->end, b->end);
    assert_string_equal(a->why, b->why);
    assert_true(a->from == b->from && a->to == b->to);
    assert_true(a->key_groups == b->key_groups && a->key_groups_done == b->key_groups_done);
    assert_true(a->waves == b->waves && a->waves_done == b->waves_done);
    assert_true(a->seconds == b->seconds && a->longest_ms == b->longest_ms);
    assert_true(a->late_steps == b->late_steps);
}

static bool read_ask(coord_rescale_ask *ask, const char *text)
{
    return coord_json_rescale_ask_read(ask, text, strlen(text));
}

static void test_ask(void **state)
{
    const coord_rescale_ask ask = { .what = "move", .worker = "w\"2", .workers = 5, .first = 12, .last = 40,
                                    .budget = 1ull << 33, .dry_run = true };
    char *text = coord_json_rescale_ask(&ask);
    coord_rescale_ask found;

    (void)state;
    assert_non_null(text);
    assert_true(read_ask(&found, text));
    assert_string_equal(found.what, ask.what);
    assert_string_equal(found.worker, ask.worker);
    assert_true(found.workers == 5 && found.first == 12 && found.last == 40);
    assert_true(found.budget == 1ull << 33 && found.dry_run);
    free(text);
}

/* Numbers that do not fit are never taken for small ones; texts that do not are refused. */
static void test_ask_hostile(void **state)
{
    static const char *const bad[] = { "", "[]", "3", "{", "{\"what\":\"rescale\"", "{\"what\":1,\"what\":2}",
                                       "{\"what\":\"a-word-too-long-for-it\"}", "\xff" };
    char longer[WEIR_NAME_MAX + 40] = "{\"worker\":\"", name[WEIR_NAME_MAX + 1];
    coord_rescale_ask ask;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(read_ask(&ask, bad[i]));
    memset(name, 'w', WEIR_NAME_MAX);
    name[WEIR_NAME_MAX] = '\0';
    strcat(strcat(longer, name), "\"}");
    assert_false(read_ask(&ask, longer));
    assert_true(read_ask(&ask, "{}"));
    assert_true(ask.what[0] == '\0' && ask.workers == 0 && !ask.dry_run);
    assert_true(read_ask(&ask, "{\"workers\":-1,\"first\":4294967297,\"last\":1.5,\"budget\":\"9\","
                               "\"dry_run\":1}"));
    assert_true(ask.workers == 0 && ask.first == UINT32_MAX && ask.last == 0);
    assert_true(ask.budget == 0 && !ask.dry_run);
}

static void test_row(void **state)
{
    coord_rescale_row found;
    char *text = coord_json_rescale(&full);

    (void)state;
    assert_non_null(text);
    assert_true(coord_json_rescale_read(&found, text, strlen(text), &error));
    assert_row(&found, &full);
    free(text);
}

static void test_rows(void **state)
{
    coord_rescale_row rows[3] = { full, full, full }, running, found[2];
    uint32_t count;
    char *text;

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        rows[i].id = i + 1;
    text = coord_json_rescales(&full, rows, 3);
    assert_true(coord_json_rescales_read(&running, found, 2, &count, text, strlen(text), &error));
    assert_row(&running, &full);
    assert_int_equal(count, 2); /* the newest */
    assert_row(&found[0], &rows[1]);
    assert_row(&found[1], &rows[2]);
    free(text);
    text = coord_json_rescales(NULL, NULL, 0);
    assert_string_equal(text, "{\"running\":null,\"rescales\":[]}");
    assert_true(coord_json_rescales_read(&running, found, 2, &count, text, strlen(text), &error));
    assert_true(count == 0 && running.id == 0 && running.what[0] == '\0');
    free(text);
}

static void test_hostile(void **state)
{
    static const char *const bad[] = { "", "[]", "{}", "{\"rescale\":", "{\"error\":\"no\",\"rescale\":{},"
                                       "\"rescales\":[]}" };
    static const char odd[] = "{\"rescales\":[3,null,\"x\",{\"what\":[]}],\"running\":7}";
    coord_rescale_row row, rows[2];
    uint32_t count;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(coord_json_rescale_read(&row, bad[i], strlen(bad[i]), &error));
        assert_false(coord_json_rescales_read(&row, rows, 2, &count, bad[i], strlen(bad[i]), &error));
        assert_int_equal(count, 0);
    }
    assert_string_equal(error.text, "no");
    assert_true(coord_json_rescales_read(&row, rows, 2, &count, odd, strlen(odd), &error));
    assert_true(count == 2 && rows[1].what[0] == '\0' && row.what[0] == '\0');
}

static void test_totals(void **state)
{
    coord_rescale_totals totals = { 0 };
    coord_rescale_row row = full;

    (void)state;
    coord_rescale_totals_put(&totals, &row);
    assert_true(totals.ended[2][1] == 1 && totals.key_groups == 0 && totals.bytes == 0);
    strcpy(row.end, "done");
    coord_rescale_totals_put(&totals, &row);
    assert_true(totals.ended[2][0] == 1 && totals.key_groups == 80 && totals.bytes == 1ull << 40);
    strcpy(row.end, "");
    coord_rescale_totals_put(&totals, &row);
    assert_int_equal(totals.key_groups, 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ask),  cmocka_unit_test(test_ask_hostile), cmocka_unit_test(test_row),
        cmocka_unit_test(test_rows), cmocka_unit_test(test_hostile),     cmocka_unit_test(test_totals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
