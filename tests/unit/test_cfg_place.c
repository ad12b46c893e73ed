/* [placement], [scaling] and [worker.LABEL]: what comes out of a text, and the exact text of every error. */
#include "dataflow/df_limits.h"
#include "tests/support/cfg_text.h"

static void test_placement(void **state)
{
    df_draft *d = draft_of("[job]\nsteps = 1\n"
                           "[placement]\npolicy = \"least-loaded\"\nauto = true\n"
                           "min_compute_capability = 8.6\npriority = 2\n"
                           "label = [\"fast*\", \"left\"]\nsample_seconds = 1\n");
    const df_placement *p = &d->policy.placement;

    (void)state;
    assert_int_equal(p->policy, DF_PLACE_LEAST_LOADED);
    assert_true(p->automatic);
    assert_int_equal(p->min_compute_capability, 86);
    assert_int_equal(p->priority, 2);
    assert_int_equal(p->label_count, 2);
    assert_string_equal(p->labels[0].text, "fast*");
    assert_string_equal(p->labels[1].text, "left");
    assert_true(p->sample_seconds == 1);
    cfg_draft_free(&d);
    d = draft_of("[job]\nsteps = 1\n[placement]\nlabel = \"left\"\n");
    assert_int_equal(d->policy.placement.label_count, 1);
    assert_string_equal(d->policy.placement.labels[0].text, "left");
    cfg_draft_free(&d);
}

static void test_placement_errors(void **state)
{
    static const error_case cases[] = {
        { "[placement]\nmin_free_bytes = \"2 GB\"\n",
          "a.toml:4:18: [placement]: min_free_bytes: expected bytes, such as 1048576 or \"2GiB\", "
          "found \"2 GB\"\n" },
        { "[placement]\nmin_free_bytes = -1\n",
          "a.toml:4:18: [placement]: min_free_bytes: must be at least 0, found -1\n" },
        { "[placement]\nmin_compute_capability = 8.65\nlabel = [\"a\", \"\"]\n"
          "sample_seconds = 0\npolicy = \"locale\"\n",
          "a.toml:4:26: [placement]: min_compute_capability: expected a version such as 8.0, found "
          "8.65\n"
          "a.toml:5:9: [placement]: label: a label is not empty\n"
          "a.toml:6:18: [placement]: sample_seconds: must be in 0.01..60, found 0\n"
          "a.toml:7:10: [placement]: policy: \"locale\" is none of locality, least-loaded, "
          "round-robin\n" },
        { "[placement]\nlabel = 3\nauto = 1\n",
          "a.toml:4:9: [placement]: label: expected a text or a list of texts, found 3\n"
          "a.toml:5:8: [placement]: auto: expected true or false, found 1\n" },
        { "[scaling]\nx = 1\n", "a.toml:4:1: [scaling]: unknown key \"x\"\n" },
        { "[scaling]\nmin = 5\nmax = 4\n",
          "a.toml:5:7: [scaling]: max: must be at least min, 5, found 4\n" },
        { "[scaling]\nmin = 0\nmax = 1001\ntarget_utilisation = 1.5\n"
          "cool_down_seconds = -1\n[worker.a]\npriority = -1\n",
          "a.toml:4:7: [scaling]: min: must be in 1..1000, found 0\n"
          "a.toml:5:7: [scaling]: max: must be in 1..1000, found 1001\n"
          "a.toml:6:22: [scaling]: target_utilisation: must be > 0, <= 1, found 1.5\n"
          "a.toml:7:21: [scaling]: cool_down_seconds: must be in 0..86400, found -1\n"
          "a.toml:9:12: worker \"a\": priority: must be at least 0, found -1\n" },
    };

    (void)state;
    CHECK_CASES("[job]\nsteps = 1\n", cases);
}

/* Lengths and numbers beyond the limits. */
static void test_worker_limits(void **state)
{
    static char text[64 * (DF_WORKERS_MAX + 2)];
    size_t len = (size_t)snprintf(text, sizeof text, "[job]\nsteps = 1\n[worker.a]\nendpoint = \"");

    (void)state;
    memset(text + len, 'e', DF_ADDRESS_MAX);
    snprintf(text + len + DF_ADDRESS_MAX, 8, "\"\n");
    check_errors(text, "a.toml:4:12: worker \"a\": endpoint: has at most 255 bytes\n");
    len = (size_t)snprintf(text, sizeof text, "[job]\nsteps = 1\n");
    for (int i = 0; i <= DF_WORKERS_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "[worker.w%d]\n", i);
    check_errors(text, "a.toml:3:2: a job has at most 1024 workers, found 1025\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_placement),
        cmocka_unit_test(test_placement_errors),
        cmocka_unit_test(test_worker_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
