/* What a service and its clients say to each other: it is read as it was written, and bad bytes are errors. */
#include "coordinator/coord_json_service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static df_error error;

static void test_listing(void **state)
{
    coord_listed jobs[2] = {
        { .ticket = { .number = 3, .name = "a", .file = "/a \"b\".toml", .workers = 2,
                      .submitted_ms = 1764154481123 },
          .placed = 1, .endpoint = { .address = "ipc:///tmp/x" }, .trouble = "none" },
        { .ticket = { .number = 4, .name = "b", .file = "/b", .workers = 1, .submitted_ms = 1 },
          .ended_ms = 2, .phase = "failed", .error = "step 3: x", .begun = true, .step = 3, .steps = 9,
          .snapshot = 7, .snapshot_step = 2, .fingerprint = "ab" },
    };
    const coord_listing listing = { .pool_free = 1, .pool_count = 4, .more = true, .count = 2, .jobs = jobs };
    char *text = coord_json_listing(&listing);
    coord_listing found;

    (void)state;
    assert_non_null(text);
    assert_true(coord_json_listing_read(&found, text, strlen(text), &error));
    assert_int_equal(found.pool_free, 1);
    assert_int_equal(found.pool_count, 4);
    assert_true(found.more);
    assert_int_equal(found.count, 2);
    assert_memory_equal(found.jobs, jobs, sizeof jobs);
    free(found.jobs);
    free(text);
}

static void test_bad_listings(void **state)
{
    static const char *const texts[] = {
        "", "[]", "{}", "{\"jobs\":3}", "{\"jobs\":[3]}", "{\"jobs\":[{}]}",
        "{\"jobs\":[{\"job\":\"a/b\",\"ticket\":1}]}", "{\"jobs\":[{\"job\":\"a\",\"ticket\":0}]}",
        "{\"jobs\":[]", "{\"error\":\"no\"}",
    };
    char many[16 * (COORD_LISTED_MAX + 2)] = "{\"jobs\":[3";
    coord_listing found;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(coord_json_listing_read(&found, texts[i], strlen(texts[i]), &error));
        assert_null(found.jobs);
    }
    assert_string_equal(error.text, "no");
    for (int i = 0; i < COORD_LISTED_MAX; i++)
        strcat(many, ",3");
    strcat(many, "]}");
    assert_false(coord_json_listing_read(&found, many, strlen(many), &error));
}

static void test_submitted(void **state)
{
    char *text = coord_json_submitted("a", 12, 3), *lines;
    uint64_t ticket;
    uint32_t pool;

    (void)state;
    assert_true(coord_json_submitted_read(&ticket, &pool, text, strlen(text), &error));
    assert_int_equal(ticket, 12);
    assert_int_equal(pool, 3);
    assert_false(coord_json_is_taken(text, strlen(text)));
    assert_null(coord_json_refused_read(text, strlen(text)));
    free(text);
    text = coord_json_refused("a:1:2: x\n");
    assert_false(coord_json_submitted_read(&ticket, &pool, text, strlen(text), &error));
    lines = coord_json_refused_read(text, strlen(text));
    assert_string_equal(lines, "a:1:2: x\n");
    free(lines);
    free(text);
    text = coord_json_taken("it runs");
    assert_true(coord_json_is_taken(text, strlen(text)));
    assert_false(coord_json_submitted_read(&ticket, &pool, text, strlen(text), &error));
    assert_string_equal(error.text, "it runs");
    free(text);
    assert_false(coord_json_submitted_read(&ticket, &pool, "{}", 2, &error));
    assert_string_equal(error.text, "the reply makes no sense");
}

static void test_logs(void **state)
{
    char names[COORD_LOGS_MAX][COORD_LOG_NAME] = { "coordinator.log", "worker-1.log" };
    char found[COORD_LOGS_MAX][COORD_LOG_NAME], *text = coord_json_logs(names, 2), *bytes;
    uint32_t count;
    uint64_t next;

    (void)state;
    assert_true(coord_json_logs_read(found, &count, text, strlen(text), &error));
    assert_int_equal(count, 2);
    assert_string_equal(found[1], "worker-1.log");
    free(text);
    text = coord_json_log("a\n\"b\"", 5, 17);
    assert_true(coord_json_log_read(&bytes, &next, text, strlen(text), &error));
    assert_string_equal(bytes, "a\n\"b\"");
    assert_int_equal(next, 17);
    free(bytes);
    free(text);
    assert_false(coord_json_log_read(&bytes, &next, "{\"next\":3}", 10, &error));
    assert_null(bytes);
    assert_false(coord_json_logs_read(found, &count, "x", 1, &error));
}

/* What a coordinator says of itself, and what the service knows; without a coordinator only that. */
static void test_listed(void **state)
{
    static const char status[] = "{\"job\":\"a\",\"phase\":\"running\",\"step\":3}";
    coord_listed listed = { .ticket = { .number = 3, .name = "a", .workers = 2 } };
    char *text = coord_json_listed(&listed, status, strlen(status));

    (void)state;
    assert_non_null(strstr(text, "{\"job\":\"a\",\"phase\":\"running\",\"step\":3,\"ticket\":3,"));
    free(text);
    text = coord_json_listed(&listed, NULL, 0);
    assert_non_null(strstr(text, "\"phase\":\"starting\""));
    free(text);
    text = coord_json_listed(&listed, "x", 1);
    assert_non_null(strstr(text, "\"phase\":\"starting\""));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listing), cmocka_unit_test(test_bad_listings),
        cmocka_unit_test(test_submitted), cmocka_unit_test(test_logs), cmocka_unit_test(test_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
