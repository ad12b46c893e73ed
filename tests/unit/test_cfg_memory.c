/* Every request for memory of the draft's arena fails once: each time the job is refused cleanly,
 * and nothing is left behind (the address sanitizer's build looks for that). */
#include "config/cfg.h"
#include "tests/support/cfg_arena.h"
#include "tests/support/cfg_kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char job[] = "[job]\n"
                          "steps = 3\n"
                          "[param]\n"
                          "n = 5\n"
                          "m = \"2 * n\"\n"
                          "[space.sky]\n"
                          "axes = [\"x\", \"y\"]\n"
                          "size = \"m\"\n"
                          "[state.s]\n"
                          "space = \"sky\"\n"
                          "columns.f32 = [\"x\", \"y\"]\n"
                          "first = \"p\"\n"
                          "next = [\"p\", \"q\"]\n"
                          "[operator.p]\n"
                          "kind = \"probe\"\n"
                          "in.agents = [\"s\", \"q\"]\n"
                          "columns = [\"x\", \"y\"]\n"
                          "set.b = \"x + 1\"\n"
                          "[operator.q]\n"
                          "kind = \"./a.so:b\"\n"
                          "[sink.a]\n"
                          "kind = \"csv\"\n"
                          "in = \"s\"\n"
                          "file = \"a.csv\"\n"
                          "[worker.a]\n"
                          "threads = 2\n"
                          "[placement]\n"
                          "label = [\"a\", \"b*\"]\n"
                          "[scaling]\n";

static const weir_operator *load(void *user, const char *path, const char *symbol, char error[256])
{
    (void)user;
    (void)path;
    (void)symbol;
    (void)error;
    return &kind_boids;
}

static const char *const sets[] = { "n=7",
                                    "operator.q.radius=1",
                                    "operator.q.separation_radius=1",
                                    "operator.q.steer=n / 2",
                                    "run.pace=unlimited",
                                    "worker.b.threads=3" };

static void test_every_allocation(void **state)
{
    static df_report report;
    cfg_options options = {
        .kinds = &test_kinds, .sets = sets, .set_count = sizeof sets / sizeof *sets, .load = load
    };
    df_draft *draft = NULL;
    df_status status;
    size_t failures = 0;

    (void)state;
    for (;; failures++) {
        cfg_arena_fails = failures;
        cfg_arena_requests = 0;
        df_report_init(&report, "a.toml");
        status = cfg_read(&draft, "a.toml", "jobs", job, sizeof job - 1, &options, &report);
        if (status == DF_OK)
            break;
        if (status != DF_ENOMEM)
            fail_msg("request %zu: status %d: %s", failures, status, report.entries[0].text);
        assert_null(draft);
        assert_true(report.count >= 1);
        assert_string_equal(report.entries[report.count - 1].text, "out of memory");
    }
    assert_int_equal(report.count, 0);
    assert_non_null(draft);
    assert_true(failures > 100); /* it is the small arena that was used */
    assert_int_equal(cfg_arena_requests, failures);
    assert_true(((kinds_boids *)draft->operators[1].options)->steer == 3.5);
    cfg_draft_free(&draft);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_allocation) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
