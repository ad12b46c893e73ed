/* Which exchanges stay in their key group, and that a kind which breaks what this rests on fails the step.
 * That the results are right is shown by test_jobs.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/support/job.h"
#include "tests/support/kinds.h"
#include "tests/support/table.h"

#define COLUMNS "a:i32 g:u32 tag:u32 h:u32"

enum { ROWS = 40, RUN = 4, GROUPS = 7 };

static df_draft_operator *add(df_draft *draft, const char *name, kind_id kind, uint32_t a, uint32_t b,
                              uint32_t c, const char *inputs)
{
    kind_options o = { .p = { a, b, c, 5 } };

    return job_operator(draft, name, kind_list[kind], &o, inputs);
}

/* State "people" of `rows` rows; "next" makes its next rows. */
static void add_people(df_draft *draft, const char *state, const char *source, const char *next,
                       uint32_t rows, uint32_t run, kind_id kind, const uint32_t drift[3])
{
    char inputs[32] = "in=";

    strcat(inputs, state);
    job_state(draft, state, NULL, COLUMNS, source, next);
    add(draft, source, KIND_MAKE, rows, KIND_RUNS, run, NULL);
    add(draft, next, kind, drift[0], drift[1], drift[2], inputs);
}

static df_draft *people(const uint32_t drift[3])
{
    df_draft *draft = job_new("people", 6);

    draft->key_groups = GROUPS;
    add_people(draft, "people", "born", "go", ROWS, RUN, KIND_DRIFT, drift);
    return draft;
}

static const df_vertex *vertex(const df_plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->vertex_count; i++)
        if (strcmp(plan->vertices[i].name, name) == 0)
            return &plan->vertices[i];
    fail_msg("no vertex %s", name);
    return NULL;
}

/* How far what a vertex reads at a port comes; 0: it is made in the same task. */
static int fan(const df_plan *plan, const char *name, uint32_t port)
{
    const df_vertex *v = vertex(plan, name);

    for (uint32_t e = 0; e < plan->edge_count; e++)
        if (&plan->vertices[plan->edges[e].vertex] == v && plan->edges[e].port == port) {
            assert_true(plan->edges[e].fan != DF_FAN_SAME || !plan->edges[e].routed);
            return (int)plan->edges[e].fan;
        }
    return 0;
}

static const uint32_t keep[3] = { KIND_KEEP_G, 0, 0 };

/* ---- what stays at home ---- */

static void test_one_task(void **state)
{
    df_draft *draft = people(keep);
    df_plan *plan;

    (void)state;
    add(draft, "rooms", KIND_TALLY, 0, 0, 0, "in=people");
    add(draft, "ask", KIND_ASK, 0, 0, 0, "in=people table=rooms");
    draft->operators[1].inputs[0].streams[0].text = "ask"; /* go reads it */
    plan = job_plan(&draft);
    assert_int_equal(fan(plan, "rooms", 0), DF_FAN_SAME);
    assert_int_equal(fan(plan, "ask", 0), DF_FAN_SAME);
    assert_int_equal(fan(plan, "ask", 1), 0);
    assert_int_equal(vertex(plan, "rooms")->stage, vertex(plan, "people")->stage);
    assert_int_equal(vertex(plan, "ask")->stage, vertex(plan, "people")->stage);
    assert_int_equal(vertex(plan, "rooms")->partition.key_groups, GROUPS);
    assert_int_equal(vertex(plan, "rooms")->partition.rows, ROWS / RUN);
    df_plan_free(&plan);
}

static int fan_of_drift(uint32_t reach, uint32_t deaths, uint32_t births)
{
    df_draft *draft = people((uint32_t[]){ reach, deaths, births });
    df_plan *plan;
    int result;

    add(draft, "rooms", KIND_TALLY, 0, 0, 0, "in=people");
    plan = job_plan(&draft);
    result = fan(plan, "rooms", 0);
    df_plan_free(&plan);
    return result;
}

static void test_what_next_does(void **state)
{
    (void)state;
    assert_int_equal(fan_of_drift(KIND_KEEP_G, 0, 0), DF_FAN_SAME);
    assert_int_equal(fan_of_drift(KIND_KEEP_G, 3, 0), DF_FAN_SAME); /* some die */
    assert_int_equal(fan_of_drift(KIND_KEEP_G, 0, 3), DF_FAN_ALL);  /* children have other keys */
    assert_int_equal(fan_of_drift(0, 0, 0), DF_FAN_ALL);            /* g is written anew */
    assert_int_equal(fan_of_drift(0, 3, 0), DF_FAN_ALL);
}

/* A property that is lost at the end of a chain of states is lost by all of them. */
static void test_lost_through_states(void **state)
{
    df_draft *draft = job_new("chain", 3);
    df_plan *plan;

    (void)state;
    draft->key_groups = GROUPS;
    job_state(draft, "one", NULL, COLUMNS, "born", "from_two");
    job_state(draft, "two", NULL, COLUMNS, "born", "change");
    add(draft, "born", KIND_MAKE, ROWS, KIND_RUNS, RUN, NULL);
    add(draft, "from_two", KIND_DRIFT, KIND_KEEP_G, 0, 0, "in=two");
    add(draft, "change", KIND_DRIFT, 0, 0, 0, "in=one");
    add(draft, "rooms", KIND_TALLY, 0, 0, 0, "in=one");
    plan = job_plan(&draft);
    assert_int_equal(fan(plan, "rooms", 0), DF_FAN_ALL);
    df_plan_free(&plan);
}

static void test_two_states(void **state)
{
    static const uint32_t shapes[][3] = { /* rows, run of the second; whether they are spread alike */
        { ROWS, RUN, 1 }, { ROWS + 1, RUN, 0 }, { ROWS, RUN + 1, 0 } };

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        df_draft *draft = people(keep);
        df_plan *plan;

        add_people(draft, "others", "made", "stay", shapes[i][0], shapes[i][1], KIND_DRIFT, keep);
        add(draft, "both", KIND_TALLY, 0, 0, 0, "in=people in=others");
        add(draft, "theirs", KIND_TALLY, 0, 0, 0, "in=others");
        add(draft, "ask", KIND_ASK, 0, 0, 0, "in=people table=theirs");
        add(draft, "see", KIND_RECORD, 0, 0, 0, "in=ask");
        plan = job_plan(&draft);
        assert_int_equal(fan(plan, "both", 0), shapes[i][2] ? DF_FAN_SAME : DF_FAN_ALL);
        assert_int_equal(fan(plan, "theirs", 0), DF_FAN_SAME);
        assert_int_equal(fan(plan, "ask", 1), shapes[i][2] ? 0 : DF_FAN_ALL);
        df_plan_free(&plan);
    }
}

/* ---- what a column can hold ---- */

static weir_status bytes_plan(weir_plan *plan, void *options)
{
    weir_plan_rows(plan, *(const uint32_t *)options, 1);
    weir_plan_run_column(plan, weir_plan_add(plan, 0, "g", WEIR_U8));
    return WEIR_OK;
}

static weir_status bytes_process(weir_task *task)
{
    uint32_t count = (uint32_t)(task->row_end - task->row_begin);
    weir_batch *out = weir_output(task, 0, count);

    for (uint32_t i = 0; out != NULL && i < count; i++) {
        out->keys[i] = task->row_begin + i;
        ((uint8_t *)out->columns[0])[i] = (uint8_t)out->keys[i];
    }
    return out == NULL ? WEIR_FAILED : WEIR_OK;
}

static const weir_option no_options[] = { { 0 } };

static const weir_operator bytes_kind = {
    .api_version = WEIR_API_VERSION, .name = "bytes", .help = "", .role = WEIR_SOURCE,
    .outputs = { "out" }, .options = no_options, .options_size = sizeof(uint32_t), .plan = bytes_plan,
    .process = bytes_process,
};

static void test_small_columns(void **state)
{
    static const weir_compute count[] = { { "n", "count()" } };

    (void)state;
    for (uint32_t rows = 255; rows < 259; rows++) {
        static char options[256];
        df_draft *draft = job_new("bytes", 3);
        df_plan *plan;

        job_state(draft, "s", NULL, "g:u8", "make", "s");
        job_operator(draft, "make", &bytes_kind, &rows, NULL);
        job_defaults(job_kind("aggregate"), options);
        job_set_text(job_kind("aggregate"), options, "by", "g");
        job_set_compute(job_kind("aggregate"), options, "compute", count, 1);
        job_operator(draft, "groups", job_kind("aggregate"), options, "in=s");
        plan = job_plan(&draft);
        assert_int_equal(fan(plan, "groups", 0), rows <= 256 ? DF_FAN_SAME : DF_FAN_ALL);
        df_plan_free(&plan);
    }
}

/* ---- who does not keep his word ---- */

static weir_status liar_plan(weir_plan *plan, void *options)
{
    (void)options;
    weir_plan_pass(plan, 0, 0);
    return WEIR_OK;
}

/* From step 2 on it makes rows of its own, with another g. */
static weir_status liar_process(weir_task *task)
{
    const weir_batch *in = task->inputs[0].batches[0];
    weir_batch *out;

    if (task->step < 2)
        return weir_output_like(task, 0, 0) == NULL ? WEIR_FAILED : WEIR_OK;
    out = weir_output(task, 0, in->row_count);
    if (out == NULL)
        return WEIR_FAILED;
    memcpy(out->keys, in->keys, in->row_count * sizeof *in->keys);
    for (uint32_t c = 0; c < in->schema->column_count; c++)
        memcpy(out->columns[c], in->columns[c], in->row_count * sizeof(uint32_t));
    for (uint32_t i = 0; i < in->row_count; i++)
        ((uint32_t *)out->columns[1])[i] = 9 - ((const uint32_t *)in->columns[1])[i];
    return WEIR_OK;
}

static const weir_operator liar_kind = {
    .api_version = WEIR_API_VERSION, .name = "liar", .help = "", .role = WEIR_PHASE,
    .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" }, .options = no_options,
    .options_size = sizeof(uint32_t), .plan = liar_plan, .process = liar_process,
};

static void expect_failure(df_draft *draft, const char *start_of_text)
{
    df_plan *plan = job_plan(&draft);
    df_graph_options options = { .threads = 2, .directory = "." };
    df_graph *graph;
    df_error err = { 0 };

    assert_int_equal(df_graph_new(&graph, plan, &options, &err), DF_OK);
    assert_int_equal(df_graph_run(graph, 6, &err), DF_EINVAL);
    if (strncmp(err.text, start_of_text, strlen(start_of_text)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", err.text, start_of_text);
    df_graph_free(&graph);
    df_plan_free(&plan);
}

static df_draft *people_who_lie(void)
{
    uint32_t none = 0;
    df_draft *draft = people(keep);

    job_operator(draft, "lie", &liar_kind, &none, "in=people");
    add(draft, "rooms", KIND_TALLY, 0, 0, 0, "in=people");
    return draft;
}

static void test_liars(void **state)
{
    static char options[64];
    df_draft *draft = people_who_lie();

    (void)state;
    add(draft, "lies", KIND_TALLY, 0, 0, 0, "in=lie");
    job_operator(draft, "see", job_kind("null"), options, "in=lies");
    expect_failure(draft, "test.toml: step 2: operator \"lies\": 8 is not the number of a run here");
    draft = people_who_lie();
    add(draft, "ask", KIND_ASK, 0, 0, 0, "in=lie table=rooms");
    job_operator(draft, "see", job_kind("null"), options, "in=ask");
    expect_failure(draft, "test.toml: step 2: operator \"ask\": 8 is not the number of a run here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_task),      cmocka_unit_test(test_what_next_does),
        cmocka_unit_test(test_lost_through_states), cmocka_unit_test(test_two_states),
        cmocka_unit_test(test_small_columns), cmocka_unit_test(test_liars),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
