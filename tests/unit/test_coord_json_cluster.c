/* How a job and its workers stand, as JSON: what is told is read, and what is not known is told as null. */
#include "coordinator/coord_json_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static df_error error;

/* What the other side reads of a status; freed by the caller. */
static coord_status *heard(const coord_status *told)
{
    coord_status *status = malloc(sizeof *status);
    char *text = coord_json_status(told);

    assert_non_null(text);
    assert_non_null(status);
    assert_true(coord_json_status_read(status, text, strlen(text), &error));
    free(text);
    return status;
}

static void test_changes(void **state)
{
    const coord_rescale_row row = { .id = 3, .what = "rescale", .phase = "moving", .from = 2, .to = 3,
                                    .key_groups = 80, .key_groups_done = 12, .waves = 33, .waves_done = 5,
                                    .bytes = 1 << 20, .seconds = 1.5, .longest_ms = 52.5, .late_steps = 2, .begun_ms = 7 };
    coord_status *told = calloc(1, sizeof *told), *s = heard(told);

    (void)state;
    assert_string_equal(s->rescale.what, "");
    assert_string_equal(s->rescaled.what, "");
    assert_int_equal(s->rescales, 0);
    free(s);
    told->rescale = told->rescaled = row;
    told->rescaled.id = 2;
    snprintf(told->rescaled.end, sizeof told->rescaled.end, "aborted");
    told->rescales = 4;
    told->late_steps = 5;
    s = heard(told);
    assert_memory_equal(&s->rescale, &told->rescale, sizeof row);
    assert_memory_equal(&s->rescaled, &told->rescaled, sizeof row);
    assert_int_equal(s->rescales, 4);
    assert_int_equal(s->late_steps, 5);
    free(s);
    free(told);
}

/* A reply that says an error is none; a job's status has an error of its own. */
static void test_errors(void **state)
{
    coord_status *told = calloc(1, sizeof *told), *s;
    char *text = coord_json_error("not now");

    (void)state;
    snprintf(told->phase, sizeof told->phase, "failed");
    snprintf(told->error, sizeof told->error, "a task failed");
    s = heard(told);
    assert_string_equal(s->error, "a task failed");
    assert_false(coord_json_status_read(s, text, strlen(text), &error));
    assert_string_equal(error.text, "not now");
    assert_false(coord_json_status_read(s, "[]", 2, &error));
    assert_string_equal(error.text, "the reply makes no sense");
    free(text);
    free(s);
    free(told);
}

/* The part of a text behind a key, up to the next member. */
static const char *member_of(const char *text, const char *key)
{
    static char value[64];
    const char *at = strstr(text, key);

    assert_non_null(at);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, ","), at);
    return value;
}

/* A worker that has just come has told of its rows, and not yet what they cost. */
static void test_costs(void **state)
{
    coord_workers_row row = { .label = "w3", .told = true, .member = true, .key_groups = 9, .rows = 100,
                              .units_age_us = 5000 };
    char *text = coord_json_workers("flock", "", &row, 1);

    (void)state;
    assert_string_equal(member_of(text, "\"rows\":"), "\"rows\":100");
    assert_string_equal(member_of(text, "\"cost_ns\":"), "\"cost_ns\":null");
    free(text);
    row.cost_ns = 1200;
    text = coord_json_workers("flock", "", &row, 1);
    assert_string_equal(member_of(text, "\"cost_ns\":"), "\"cost_ns\":1200");
    free(text);
    row.key_groups = 0; /* it costs nothing, which is known */
    row.cost_ns = 0;
    text = coord_json_workers("flock", "", &row, 1);
    assert_string_equal(member_of(text, "\"cost_ns\":"), "\"cost_ns\":0");
    free(text);
    row.units_age_us = UINT64_MAX;
    text = coord_json_workers("flock", "", &row, 1);
    assert_string_equal(member_of(text, "\"cost_ns\":"), "\"cost_ns\":null");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_costs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
