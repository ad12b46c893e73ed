/* How a run ends before its last step: sinks that fail to open, write or close, a stop, an observer that
 * says no. Every sink ends whole, on any number of threads and in any order of stealing. */
#include "tests/support/crowd.h"

/* ---- a kind ---- */

/* A sink that fails when it opens, at a step, or when it closes. */
typedef struct bad_sink {
    uint64_t step;
    bool at_open, at_close;
    uint32_t *open_count; /* borrowed */
} bad_sink;

static weir_status bad_open(weir_sink *sink)
{
    const bad_sink *o = sink->options;

    if (o->at_open)
        return weir_sink_fail(sink, "cannot open %d", 7);
    ++*o->open_count;
    return WEIR_OK;
}

static weir_status bad_process(weir_task *task)
{
    const bad_sink *o = task->options;

    if (task->step >= o->step)
        return weir_fail(task, WEIR_NO_ROW, "the disk is full at step %llu",
                         (unsigned long long)task->step);
    return WEIR_OK;
}

static weir_status bad_close(weir_sink *sink)
{
    const bad_sink *o = sink->options;

    --*o->open_count;
    return o->at_close ? weir_sink_fail(sink, "cannot close %d", 8) : WEIR_OK;
}

static const weir_operator bad_kind = {
    .api_version = WEIR_API_VERSION, .name = "bad", .help = "", .role = WEIR_SINK,
    .inputs = { { "in", WEIR_GATHER, "" } }, .options = no_options,
    .options_size = sizeof(bad_sink), .process = bad_process, .open = bad_open, .close = bad_close,
};

/* ---- sinks ---- */

static df_plan *with_sink(bad_sink o)
{
    df_draft *draft = crowd("move");

    add_spoil(draft, "move", "crowd", (spoil){ .mode = SPOIL_NOTHING, .modulus = 1 });
    job_operator(draft, "bad", &bad_kind, &o, "in=move");
    return job_plan(&draft);
}

static void test_sink_fails(void **state)
{
    uint32_t open = 0;
    df_plan *plan = with_sink((bad_sink){ .step = 5, .open_count = &open });

    (void)state;
    for (uint32_t threads = 1; threads <= THREADS; threads++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            df_graph *graph = start(plan, threads, seed);
            df_error err = { 0 };

            assert_int_equal(df_graph_run(graph, STEPS, &err), DF_EINVAL);
            assert_string_equal(err.text,
                                "test.toml: step 5: sink \"bad\": the disk is full at step 5");
            assert_int_equal(df_graph_run(graph, STEPS, &err), DF_EINVAL);
            assert_int_equal(open, 1);
            df_graph_free(&graph); /* closes it */
            assert_int_equal(open, 0);
            assert_false(logs[0].open);
            assert_int_equal(logs[0].calls, 6); /* the other sink of step 5 has written it */
            clear_logs();
        }
    df_plan_free(&plan);
}

static void test_sink_does_not_open(void **state)
{
    uint32_t open = 0;
    df_plan *plan = with_sink((bad_sink){ .at_open = true, .open_count = &open });
    df_graph_options options = { .threads = 2, .directory = "." };
    df_graph *graph;
    df_error err = { 0 };

    (void)state;
    assert_int_equal(df_graph_new(&graph, plan, &options, &err), DF_EIO);
    assert_null(graph);
    assert_string_equal(err.text, "sink \"bad\": cannot open 7");
    assert_false(logs[0].open);
    assert_int_equal(df_graph_new(&graph, plan, &options, NULL), DF_EIO); /* the text is not wanted */
    df_plan_free(&plan);
}

static void test_sink_does_not_close(void **state)
{
    uint32_t open = 0;
    df_plan *plan = with_sink((bad_sink){ .step = 100, .at_close = true, .open_count = &open });
    df_graph *graph = start(plan, 2, 0);
    df_error err = { 0 };

    (void)state;
    assert_int_equal(df_graph_run(graph, STEPS, &err), DF_OK);
    assert_int_equal(df_graph_finish(graph, &err), DF_EIO);
    assert_string_equal(err.text, "sink \"bad\": cannot close 8");
    assert_false(logs[0].open);
    assert_int_equal(open, 0);
    assert_int_equal(df_graph_finish(graph, &err), DF_OK); /* there is nothing left to close */
    df_graph_free(&graph);
    assert_int_equal(open, 0);
    clear_logs();
    df_plan_free(&plan);
}

/* A directory cannot be made where a file is. */
static void test_directory_is_a_file(void **state)
{
    static const weir_option file_option[] = {
        { .name = "file", .help = "", .type = WEIR_FILE_OUT, .offset = 0 }, { 0 } };
    weir_operator kind = bad_kind;
    bad_sink o = { 0 };
    df_draft *draft = crowd("crowd");
    df_graph_options options = { .threads = 1, .directory = "/dev/null/runs" };
    df_plan *plan;
    df_graph *graph;
    df_error err = { 0 };

    (void)state;
    kind.options = file_option;
    job_operator(draft, "bad", &kind, &o, "in=crowd");
    plan = job_plan(&draft);
    assert_int_equal(df_graph_new(&graph, plan, &options, &err), DF_EIO);
    assert_string_equal(err.text, "sink \"bad\": /dev/null/runs: Not a directory");
    assert_int_equal(df_graph_new(&graph, plan, &options, NULL), DF_EIO);
    assert_null(graph);
    df_plan_free(&plan);
}

/* ---- ending early ---- */

typedef struct observer {
    df_graph *graph;
    uint64_t stop_at, fail_at, next_step;
    bool disordered;
} observer;

static df_status observe(void *user, const df_step_print *print, df_error *err)
{
    observer *o = user;

    o->disordered |= print->step != o->next_step++;
    if (print->step == o->fail_at)
        return df_fail(err, DF_ECORRUPT, "step %llu differs", (unsigned long long)print->step);
    if (print->step == o->stop_at)
        df_graph_stop(o->graph);
    return DF_OK;
}

static df_graph *observed(const df_plan *plan, uint32_t threads, uint64_t seed, observer *o)
{
    df_graph_options options = { .threads = threads, .shuffle_seed = seed, .directory = ".",
                                 .fingerprint_steps = true, .on_step = observe, .user = o };
    df_error err;

    assert_int_equal(df_graph_new(&o->graph, plan, &options, &err), DF_OK);
    return o->graph;
}

static void test_stop(void **state)
{
    model m;
    df_plan *plan;

    (void)state;
    failing_model(&m, UINT32_MAX, 1);
    m.steps = 60;
    plan = model_plan(&m, false);
    for (uint32_t threads = 1; threads <= THREADS; threads++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            observer o = { .stop_at = 3 + seed, .fail_at = UINT64_MAX };
            df_graph *graph = observed(plan, threads, seed, &o);
            df_graph_stats stats;
            df_error err = { 0 };

            assert_int_equal(df_graph_run(graph, m.steps, &err), DF_END);
            df_graph_stats_get(graph, &stats);
            assert_true(stats.begun);
            assert_true(stats.step >= o.stop_at && stats.step <= o.stop_at + m.window + 1);
            assert_false(o.disordered);
            assert_int_equal(o.next_step, stats.step + 1);
            assert_int_equal(df_graph_run(graph, m.steps, &err), DF_END); /* it stays stopped */
            assert_int_equal(df_graph_finish(graph, &err), DF_OK);
            assert_false(logs[0].open);
            assert_false(logs[0].disordered);
            assert_int_equal(logs[0].calls, stats.step + 1);
            df_graph_free(&graph);
            clear_logs();
        }
    df_plan_free(&plan);
}

static void test_observer_fails(void **state)
{
    model m;
    df_plan *plan;

    (void)state;
    failing_model(&m, UINT32_MAX, 1);
    m.steps = 60;
    plan = model_plan(&m, false);
    for (uint32_t threads = 1; threads <= THREADS; threads++) {
        observer o = { .stop_at = UINT64_MAX, .fail_at = 7 };
        df_graph *graph = observed(plan, threads, threads, &o);
        df_error err = { 0 };

        assert_int_equal(df_graph_run(graph, m.steps, &err), DF_ECORRUPT);
        assert_string_equal(err.text, "step 7 differs");
        assert_int_equal(o.next_step, 8); /* nobody asks again */
        assert_false(o.disordered);
        assert_int_equal(logs[0].calls, 8); /* and nothing is written that was not shown */
        assert_int_equal(df_graph_run(graph, m.steps, &err), DF_ECORRUPT);
        assert_int_equal(df_graph_finish(graph, &err), DF_OK);
        df_graph_free(&graph);
        clear_logs();
    }
    df_plan_free(&plan);
}

/* A run to a step that has been reached has nothing to do. */
static void test_run_to_the_past(void **state)
{
    model m;
    df_plan *plan;
    df_graph *graph;
    df_error err = { 0 };

    (void)state;
    failing_model(&m, UINT32_MAX, 1);
    plan = model_plan(&m, false);
    graph = start(plan, 2, 0);
    assert_int_equal(df_graph_run(graph, 5, &err), DF_OK);
    assert_int_equal(df_graph_run(graph, 5, &err), DF_OK);
    assert_int_equal(df_graph_run(graph, 3, &err), DF_OK);
    assert_int_equal(logs[0].calls, 6);
    assert_int_equal(df_graph_run(graph, 1000, &err), DF_OK);
    assert_int_equal(logs[0].calls, STEPS + 1);
    df_graph_free(&graph);
    clear_logs();
    df_plan_free(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sink_fails),
        cmocka_unit_test(test_sink_does_not_open),
        cmocka_unit_test(test_sink_does_not_close),
        cmocka_unit_test(test_directory_is_a_file),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_observer_fails),
        cmocka_unit_test(test_run_to_the_past),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
