/* What a run says when something goes wrong, and what it leaves behind: always the smallest (step,
 * operator, key group, row), on any number of threads and in any order of stealing; every sink ends whole,
 * before the step that failed. */
#include "tests/support/crowd.h"

/* ---- kinds ---- */

/* Fails without saying why. */
static weir_status mute_plan(weir_plan *plan, void *options)
{
    (void)options;
    weir_plan_pass(plan, 0, 0);
    return WEIR_OK;
}

static weir_status mute_process(weir_task *task)
{
    return task->step == 2 && task->key_group == 1 ? WEIR_FAILED
           : weir_output_like(task, 0, 0) == NULL ? WEIR_FAILED
                                                  : WEIR_OK;
}

static const weir_operator mute_kind = {
    .api_version = WEIR_API_VERSION, .name = "mute", .help = "", .role = WEIR_PHASE,
    .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" }, .options = no_options,
    .options_size = sizeof(uint32_t), .plan = mute_plan, .process = mute_process,
};

/* Fails when it combines the rows of some key groups for a step: that is a step before, where the state is
 * made. */
static weir_status stumble_plan(weir_plan *plan, void *options)
{
    (void)options;
    weir_plan_partial(plan, "n", WEIR_U64);
    weir_plan_add(plan, 0, "n", WEIR_U64);
    return WEIR_OK;
}

static weir_status stumble_combine(weir_task *task)
{
    if (task->step == *(const uint32_t *)task->options && task->key_group % 3 == 2)
        return weir_fail(task, 1, "cannot combine key group %u", task->key_group);
    return WEIR_OK;
}

static weir_status stumble_process(weir_task *task)
{
    return weir_output(task, 0, 0) == NULL ? WEIR_FAILED : WEIR_OK;
}

static const weir_operator stumble_kind = {
    .api_version = WEIR_API_VERSION, .name = "stumble", .help = "", .role = WEIR_AGGREGATE,
    .inputs = { { "in", WEIR_GATHER, "" } }, .outputs = { "out" }, .options = no_options,
    .options_size = sizeof(uint32_t), .plan = stumble_plan, .combine = stumble_combine,
    .process = stumble_process,
};

/* ---- running ---- */

/* Runs on many threads in many orders; expects DF_EINVAL with this text, and a whole log of the steps
 * before `step`. */
static void expect(df_plan *plan, const char *text, uint64_t step)
{
    for (uint32_t threads = 1; threads <= THREADS; threads++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            df_graph *graph = start(plan, threads, seed);
            df_error err = { 0 };

            assert_int_equal(df_graph_run(graph, STEPS, &err), DF_EINVAL);
            assert_string_equal(err.text, text);
            assert_int_equal(err.status, DF_EINVAL);
            assert_int_equal(df_graph_run(graph, STEPS, &err), DF_EINVAL);
            assert_string_equal(err.text, "the job has failed and cannot go on");
            assert_int_equal(df_graph_finish(graph, &err), DF_OK);
            assert_false(logs[0].open);
            assert_false(logs[0].disordered);
            assert_int_equal(logs[0].calls, step);
            assert_true(step == 0 || logs[0].last_step == step - 1);
            df_graph_free(&graph);
            clear_logs();
        }
    df_plan_free(&plan);
}

/* ---- a kind that fails in several places at once ---- */

/* The first row that `o0` would refuse, from a run that refuses nothing: a recorded stream in order. */
static void first_wrong(const kind_log *log, uint32_t step, uint32_t modulus, kind_record *found,
                        uint32_t *row)
{
    uint32_t in_group = 0;

    for (uint32_t i = 0; i < log->count; i++) {
        in_group = i > 0 && log->rows[i].step == log->rows[i - 1].step &&
                           log->rows[i].key_group == log->rows[i - 1].key_group
                       ? in_group + 1 : 0;
        if (log->rows[i].step < step || log->rows[i].row.tag % modulus != 0)
            continue;
        *found = log->rows[i];
        *row = in_group;
        return;
    }
    fail_msg("no row is wrong");
}

static void test_smallest_failure(void **state)
{
    static const uint32_t cases[][2] = { { 0, 7 }, { 3, 5 }, { 4, 31 }, { STEPS - 1, 3 } };

    (void)state;
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        model m;
        df_plan *plan;
        df_graph *graph;
        kind_record found = { 0 };
        uint32_t row = 0;
        char text[200];
        df_error err;

        failing_model(&m, UINT32_MAX, 1);
        plan = model_plan(&m, false);
        graph = start(plan, 1, 0);
        assert_int_equal(df_graph_run(graph, STEPS, &err), DF_OK);
        df_graph_free(&graph);
        df_plan_free(&plan);
        first_wrong(&logs[0], cases[i][0], cases[i][1], &found, &row);
        clear_logs();
        failing_model(&m, cases[i][0], cases[i][1]);
        snprintf(text, sizeof text, "test.toml: step %u: operator \"o3\": id %llu of key group %u, row %u, "
                 "has a wrong tag", (uint32_t)found.step, (unsigned long long)found.row.key,
                 found.key_group, row);
        expect(model_plan(&m, false), text, found.step);
    }
}

/* Two operators fail at one step: the first of the job file is named, though it works later. */
static void test_smallest_operator(void **state)
{
    kind_options late = { .p = { 4, 1 } }, early = { .p = { 4, 1 } };
    df_draft *draft = crowd("move");

    (void)state;
    add_spoil(draft, "move", "crowd", (spoil){ .mode = SPOIL_NOTHING, .modulus = 1 });
    job_operator(draft, "late", kind_list[KIND_FAIL], &late, "in=total");
    job_operator(draft, "total", kind_list[KIND_TOTAL], &early, "in=tally");
    job_operator(draft, "early", kind_list[KIND_FAIL], &early, "in=crowd");
    job_operator(draft, "tally", kind_list[KIND_TALLY], &early, "in=crowd");
    job_operator(draft, "log1", kind_list[KIND_RECORD], &(kind_options){ .log = &logs[1] }, "in=late");
    job_operator(draft, "log2", kind_list[KIND_RECORD], &(kind_options){ .log = &logs[2] }, "in=early");
    {
        df_plan *plan = job_plan(&draft);
        df_error err = { 0 };
        df_graph *graph = start(plan, 1, 0);
        char *text;

        /* "late" sees one row: its tag is nobody's business but must be refused, too. */
        assert_int_equal(df_graph_run(graph, STEPS, &err), DF_EINVAL);
        text = strdup(err.text);
        df_graph_free(&graph);
        clear_logs();
        assert_non_null(strstr(text, "step 4: operator \"late\": id 0 of key group 0, row 0, "));
        expect(plan, text, 4);
        free(text);
    }
}

static void test_no_reason(void **state)
{
    df_draft *draft = crowd("mute");

    (void)state;
    job_operator(draft, "mute", &mute_kind, NULL, "in=crowd");
    expect(job_plan(&draft),
           "test.toml: step 2: operator \"mute\": kind \"mute\" failed without a reason", 2);
}

static df_plan *stumbling(uint32_t step)
{
    df_draft *draft = crowd("crowd");
    kind_options record = { .log = &logs[1] };

    job_operator(draft, "stumble", &stumble_kind, &step, "in=crowd");
    job_operator(draft, "sums", kind_list[KIND_RECORD], &record, "in=stumble");
    return job_plan(&draft);
}

static void test_combining_fails(void **state)
{
    (void)state;
    for (uint32_t step = 0; step <= STEPS; step += 3) {
        char text[100];

        sprintf(text, "test.toml: step %u: operator \"stumble\": cannot combine key group 2", step);
        expect(stumbling(step), text, step);
    }
}

/* It is a failure of its step, not of the one before, which may be all that was asked for. */
static void test_combining_fails_later(void **state)
{
    df_plan *plan = stumbling(4);

    (void)state;
    for (uint32_t threads = 1; threads <= THREADS; threads++) {
        df_graph *graph = start(plan, threads, threads);
        df_error err = { 0 };

        assert_int_equal(df_graph_run(graph, 3, &err), DF_OK);
        assert_int_equal(logs[0].calls, 4);
        assert_int_equal(df_graph_run(graph, STEPS, &err), DF_EINVAL);
        assert_string_equal(err.text,
                            "test.toml: step 4: operator \"stumble\": cannot combine key group 2");
        assert_int_equal(logs[0].calls, 4);
        df_graph_free(&graph);
        clear_logs();
    }
    df_plan_free(&plan);
}

/* ---- what may not enter a state ---- */

static void spoiled(spoil o, const char *text, uint64_t step)
{
    df_draft *draft = crowd("move");

    add_spoil(draft, "move", "crowd", o);
    expect(job_plan(&draft), text, step);
}

static void test_not_finite(void **state)
{
    (void)state;
    spoiled((spoil){ SPOIL_NAN_X, 3, 100, 41, 0, 0, 0 },
            "test.toml: step 3: state \"crowd\": id 41: column x is not finite", 3);
    spoiled((spoil){ SPOIL_INFINITE_Y, 0, 100, 7, 0, 0, 0 },
            "test.toml: step 0: state \"crowd\": id 7: column y is not finite", 0);
    spoiled((spoil){ SPOIL_NAN_REAL, 8, 100, 12, 0, 0, 0 },
            "test.toml: step 8: state \"crowd\": id 12: column c is not finite", 8);
}

static void test_outside(void **state)
{
    (void)state;
    spoiled((spoil){ SPOIL_BELOW, 2, 100, 30, 0, 0, 0 },
            "test.toml: step 2: state \"crowd\": id 30 is outside space \"box\": x is -0.25, not in 0 to "
            "12: is dt too large?", 2);
    spoiled((spoil){ SPOIL_ABOVE, 5, 100, 59, 0, 0, 0 },
            "test.toml: step 5: state \"crowd\": id 59 is outside space \"box\": y is 12.5, not in 0 to "
            "12: is dt too large?", 5);
}

static void test_moved_too_far(void **state)
{
    (void)state;
    spoiled((spoil){ SPOIL_FAR, 6, 100, 33, 0, 0, 0 },
            "test.toml: step 6: state \"crowd\": id 33 moved 6 in one step, a tile is 3: is dt too large?",
            6);
}

/* The last step's rows enter no state: what is wrong with them is nobody's business. */
static void test_last_step_enters_nothing(void **state)
{
    df_draft *draft = crowd("move");
    df_plan *plan;
    df_graph *graph;
    df_error err;

    (void)state;
    add_spoil(draft, "move", "crowd", (spoil){ SPOIL_NAN_X, STEPS, 1, 0, 0, 0, 0 });
    plan = job_plan(&draft);
    graph = start(plan, 2, 1);
    assert_int_equal(df_graph_run(graph, STEPS, &err), DF_OK);
    assert_int_equal(df_graph_finish(graph, &err), DF_OK);
    assert_int_equal(logs[0].calls, STEPS + 1);
    df_graph_free(&graph);
    df_plan_free(&plan);
    clear_logs();
}

/* The sources may be wrong, too. */
static weir_status wrong_plan(weir_plan *plan, void *options)
{
    (void)options;
    for (uint32_t i = 0; i < weir_plan_target(plan)->column_count; i++)
        weir_plan_add(plan, 0, weir_plan_target(plan)->columns[i].name,
                      weir_plan_target(plan)->columns[i].type);
    return WEIR_OK;
}

static weir_status wrong_process(weir_task *task)
{
    weir_batch *out = weir_output(task, 0, 3);

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < 3; i++) {
        out->keys[i] = *(const uint32_t *)task->options == 0 ? i : i / 2;
        for (uint32_t c = 0; c < out->schema->column_count; c++)
            memset(out->columns[c], 0, 3 * weir_type_size(out->schema->columns[c].type));
        ((float *)out->columns[0])[2] = *(const uint32_t *)task->options == 0 ? 13.0f : 0.0f;
    }
    return WEIR_OK;
}

static const weir_operator wrong_kind = {
    .api_version = WEIR_API_VERSION, .name = "wrong", .help = "", .role = WEIR_SOURCE,
    .outputs = { "out" }, .options = no_options, .options_size = sizeof(uint32_t), .plan = wrong_plan,
    .process = wrong_process,
};

static void wrong_source(uint32_t mode, const char *space, const char *text)
{
    df_draft *draft = job_new("wrong", STEPS);
    kind_options record = { .log = &logs[0] };

    job_space(draft, "box", "xy", 12, false);
    job_state(draft, "crowd", space, COLUMNS, "make", "crowd");
    job_operator(draft, "make", &wrong_kind, &mode, NULL);
    job_operator(draft, "log", kind_list[KIND_RECORD], &record, "in=crowd");
    expect(job_plan(&draft), text, 0);
}

static void test_wrong_source(void **state)
{
    (void)state;
    wrong_source(0, "box", "test.toml: step 0: state \"crowd\": id 2 is outside space \"box\": x is 13, not "
                           "in 0 to 12: is dt too large?");
    wrong_source(1, "box", "test.toml: step 0: state \"crowd\": id 0 is in two rows of the next streams");
    wrong_source(1, NULL, "test.toml: step 0: state \"crowd\": id 0 is in two rows of the next streams");
}

/* A row in two next streams, there at different places. */
static void test_two_rows_of_a_key(void **state)
{
    kind_options none = { .p = { 0, 0, 0, 0 } };

    (void)state;
    for (uint32_t spatial = 0; spatial < 2; spatial++) {
        df_draft *draft = job_new("twins", STEPS);
        kind_options make = { .p = { 1, KIND_CORNER, 1, 3 } }, record = { .log = &logs[0] };

        job_space(draft, "box", "xy", 12, false);
        job_state(draft, "crowd", spatial ? "box" : NULL, COLUMNS, "make", "stay move");
        job_operator(draft, "make", kind_list[KIND_MAKE], &make, NULL);
        job_operator(draft, "log", kind_list[KIND_RECORD], &record, "in=crowd");
        job_operator(draft, "stay", kind_list[KIND_DRIFT], &none, "in=crowd");
        add_spoil(draft, "move", "crowd", (spoil){ .mode = SPOIL_NOTHING, .modulus = 1 });
        expect(job_plan(&draft),
               "test.toml: step 0: state \"crowd\": id 0 is in two rows of the next streams", 0);
    }
}

static void test_split_that_overlaps(void **state)
{
    df_draft *draft = crowd("far.even near");
    kind_options none = { .p = { 0, 0, 0, 0 } };
    df_plan *plan;
    df_graph *graph;
    df_error err = { 0 };
    char *text;

    (void)state; /* the even rows come twice, once moved by 2: into another cell or tile */
    job_operator(draft, "near", kind_list[KIND_DRIFT], &none, "in=crowd");
    job_operator(draft, "moved", kind_list[KIND_DRIFT], &(kind_options){ .p = { 32, 0, 0, 9 } },
                 "in=crowd");
    job_operator(draft, "far", kind_list[KIND_SPLIT], &none, "in=moved");
    plan = job_plan(&draft);
    graph = start(plan, 1, 0);
    assert_int_equal(df_graph_run(graph, STEPS, &err), DF_EINVAL);
    text = strdup(err.text);
    df_graph_free(&graph);
    clear_logs();
    assert_non_null(strstr(text, "test.toml: step 0: state \"crowd\": id "));
    assert_non_null(strstr(text, " is in two rows of the next streams"));
    expect(plan, text, 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smallest_failure),
        cmocka_unit_test(test_smallest_operator),
        cmocka_unit_test(test_no_reason),
        cmocka_unit_test(test_combining_fails),
        cmocka_unit_test(test_combining_fails_later),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_moved_too_far),
        cmocka_unit_test(test_last_step_enters_nothing),
        cmocka_unit_test(test_wrong_source),
        cmocka_unit_test(test_two_rows_of_a_key),
        cmocka_unit_test(test_split_that_overlaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
