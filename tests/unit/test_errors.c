/* What a run says when something goes wrong, and what it leaves behind: always the smallest (step,
 * operator, key group, row), on any number of threads and in any order of stealing; every sink ends whole,
 * before the step that failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataflow/df_graph.h"
#include "tests/support/job.h"
#include "tests/support/reference.h"

/* ---- kinds ---- */

typedef enum spoil_mode {
    SPOIL_NAN_X,
    SPOIL_INFINITE_Y,
    SPOIL_NAN_REAL, /* the column c, f64 */
    SPOIL_BELOW,    /* x under 0 */
    SPOIL_ABOVE,    /* y above the size */
    SPOIL_FAR,      /* x to the other end */
    SPOIL_NOTHING,
} spoil_mode;

/* From a step on, spoil the rows whose key is `rest` modulo `modulus`. */
typedef struct spoil {
    uint32_t mode, step, modulus, rest;
    int x, y, c;
} spoil;

static weir_status spoil_plan(weir_plan *plan, void *options)
{
    spoil *o = options;

    weir_plan_pass(plan, 0, 0);
    o->x = weir_plan_add(plan, 0, "x", WEIR_F32);
    o->y = weir_plan_add(plan, 0, "y", WEIR_F32);
    o->c = weir_plan_add(plan, 0, "c", WEIR_F64);
    return WEIR_OK;
}

static void spoil_row(const spoil *o, weir_batch *out, uint32_t i)
{
    float *x = (float *)out->columns[o->x] + i, *y = (float *)out->columns[o->y] + i;

    if (o->mode == SPOIL_NAN_X)
        *x = NAN;
    else if (o->mode == SPOIL_INFINITE_Y)
        *y = -INFINITY;
    else if (o->mode == SPOIL_NAN_REAL)
        ((double *)out->columns[o->c])[i] = NAN;
    else if (o->mode == SPOIL_BELOW)
        *x = -0.25f;
    else if (o->mode == SPOIL_ABOVE)
        *y = 12.5f;
    else if (o->mode == SPOIL_FAR)
        *x = *x < 6 ? *x + 6 : *x - 6;
}

static weir_status spoil_process(weir_task *task)
{
    const spoil *o = task->options;
    const weir_batch *in = task->inputs[0].batches[0];
    weir_batch *out = weir_output_like(task, 0, 0);

    if (out == NULL)
        return WEIR_FAILED;
    memcpy(out->columns[o->x], in->columns[o->x], out->row_count * sizeof(float));
    memcpy(out->columns[o->y], in->columns[o->y], out->row_count * sizeof(float));
    memcpy(out->columns[o->c], in->columns[o->c], out->row_count * sizeof(double));
    for (uint32_t i = 0; i < out->row_count; i++)
        if (task->step >= o->step && out->keys[i] % o->modulus == o->rest)
            spoil_row(o, out, i);
    return WEIR_OK;
}

static const weir_option no_options[] = { { 0 } };

static const weir_operator spoil_kind = {
    .api_version = WEIR_API_VERSION, .name = "spoil", .help = "", .role = WEIR_PHASE,
    .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" }, .options = no_options,
    .options_size = sizeof(spoil), .plan = spoil_plan, .process = spoil_process,
};

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
    .options_size = sizeof(bad_sink), .plan = mute_plan, .process = mute_process,
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

enum { STEPS = 9, THREADS = 4, SEEDS = 5 };

static kind_log logs[3];

static void clear_logs(void)
{
    kind_log_fini(&logs[0]);
    kind_log_fini(&logs[1]);
    kind_log_fini(&logs[2]);
}

static df_graph *start(const df_plan *plan, uint32_t threads, uint64_t seed)
{
    df_graph_options options = { .threads = threads, .shuffle_seed = seed, .directory = "." };
    df_graph *graph;
    df_error err = { 0 };

    if (df_graph_new(&graph, plan, &options, &err) != DF_OK)
        fail_msg("%s", err.text);
    return graph;
}

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

#define COLUMNS "x:f32 y:f32 a:i32 g:u32 tag:u32 h:u32 c:f64"

/* Sixty rows in a space of 12 by 12 that is cut into 4 by 4 tiles or so; they are recorded. */
static df_draft *crowd(const char *next)
{
    kind_options make = { .p = { 60, KIND_PLACE, 1, 3 } }, record = { .log = &logs[0] };
    df_draft *draft = job_new("crowd", STEPS);

    draft->key_groups = 16;
    job_space(draft, "box", "xy", 12, false);
    job_state(draft, "crowd", "box", COLUMNS, "make", next);
    job_operator(draft, "make", kind_list[KIND_MAKE], &make, NULL);
    job_operator(draft, "log", kind_list[KIND_RECORD], &record, "in=crowd");
    return draft;
}

static void add_spoil(df_draft *draft, const char *name, const char *in, spoil o)
{
    char inputs[64];

    sprintf(inputs, "in=%s", in);
    job_operator(draft, name, &spoil_kind, &o, inputs);
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

/* see -> fail -> drift on a spatial state, and what fail reads is recorded. */
static void failing_model(model *m, uint32_t step, uint32_t modulus)
{
    model_stream state, at;

    *m = (model){ .axis_count = 2, .size = { 9, 9 }, .periodic = { true, false }, .key_groups = 20,
                  .window = 5, .steps = STEPS };
    state = model_add_state(m, true, false);
    m->states[0].first = model_add_op(m, KIND_MAKE, state, (uint32_t[4]){ 90, KIND_PLACE, 1, 0 });
    at = model_add_op(m, KIND_SEE, state, (uint32_t[4]){ 20 });
    model_add_op(m, KIND_RECORD, at, (uint32_t[4]){ 0 });
    m->ops[m->op_count - 1].log = &logs[0];
    at = model_add_op(m, KIND_FAIL, at, (uint32_t[4]){ step, modulus });
    at = model_add_op(m, KIND_DRIFT, at, (uint32_t[4]){ 20, 17, 9, 1 });
    m->states[0].next = (model_list){ .count = 1, .streams = { at } };
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
