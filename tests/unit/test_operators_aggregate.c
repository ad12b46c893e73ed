/* The kind aggregate against loops over plain arrays: groups that stand together or not, that live in one
 * key group or meet from several. Whole numbers, so that every result is exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tests/support/table.h"

enum { ROWS = 3000, GROUPS = 37 };

/* ---- a source of rows ---- */

typedef enum shape {
    TOGETHER,  /* the rows of a group stand together, in order */
    BACKWARDS, /* together, but groups descend */
    MIXED,
    SHAPES,
} shape;

typedef struct made {
    uint32_t group, a;
    int64_t b;
    uint8_t c;
} made;

static made made_row(uint32_t i, shape s)
{
    uint32_t h = (i + 1) * 2654435761u;
    made row = { .a = h >> 7, .b = (int64_t)(h % 2001) - 1000, .c = (uint8_t)(h >> 24) };

    row.group = s == TOGETHER ? i * GROUPS / ROWS : s == BACKWARDS ? (ROWS - 1 - i) * GROUPS / ROWS
                                                                   : h % GROUPS;
    return row;
}

static weir_status rows_plan(weir_plan *plan, void *options)
{
    (void)options;
    weir_plan_add(plan, 0, "group", WEIR_U32);
    weir_plan_add(plan, 0, "a", WEIR_U32);
    weir_plan_add(plan, 0, "b", WEIR_I64);
    weir_plan_add(plan, 0, "c", WEIR_U8);
    weir_plan_rows(plan, ROWS, 1);
    return WEIR_OK;
}

static weir_status rows_process(weir_task *task)
{
    uint32_t count = (uint32_t)(task->row_end - task->row_begin);
    weir_batch *out = weir_output(task, 0, count);

    for (uint32_t i = 0; out != NULL && i < count; i++) {
        uint32_t key = (uint32_t)task->row_begin + i;
        made row = made_row(key, *(const uint32_t *)task->options);
        out->keys[i] = key;
        ((uint32_t *)out->columns[0])[i] = row.group;
        ((uint32_t *)out->columns[1])[i] = row.a;
        ((int64_t *)out->columns[2])[i] = row.b;
        ((uint8_t *)out->columns[3])[i] = row.c;
    }
    return out == NULL ? WEIR_FAILED : WEIR_OK;
}

static const weir_option no_options[] = { { 0 } };

static const weir_operator rows_kind = {
    .api_version = WEIR_API_VERSION, .name = "rows", .help = "", .role = WEIR_SOURCE,
    .outputs = { "out" }, .options = no_options, .options_size = sizeof(uint32_t), .plan = rows_plan,
    .process = rows_process,
};

/* What a state of groups begins with: its next rows are the aggregate's. */
static weir_status nothing_plan(weir_plan *plan, void *options)
{
    const weir_schema *target = weir_plan_target(plan);

    (void)options;
    for (uint32_t c = 0; c < target->column_count; c++)
        weir_plan_add(plan, 0, target->columns[c].name, target->columns[c].type);
    return WEIR_OK;
}

static weir_status nothing_process(weir_task *task)
{
    return weir_output(task, 0, 0) == NULL ? WEIR_FAILED : WEIR_OK;
}

static const weir_operator nothing_kind = {
    .api_version = WEIR_API_VERSION, .name = "nothing", .help = "", .role = WEIR_SOURCE,
    .outputs = { "out" }, .options = no_options, .options_size = sizeof(uint32_t), .plan = nothing_plan,
    .process = nothing_process,
};

/* ---- jobs ---- */

static const weir_compute items[] = { { "n", "count()" },      { "sum_a", "sum(a)" },
                                      { "sum_b", "sum(b)" },   { "mean_b", "mean(b)" },
                                      { "min_b", "min(b)" },   { "max_a", "max(a)" },
                                      { "sum_c", "sum(c)" },   { "var_c", "var(c)" } };

static df_plan *job(shape s, uint32_t key_groups, bool by)
{
    static char options[256];
    uint32_t form = s, none = 0;
    df_draft *draft = job_new("aggregate", 3);

    draft->key_groups = key_groups;
    job_state(draft, "all", NULL, "group:u32 a:u32 b:i64 c:u8", "rows", "all");
    job_state(draft, "groups", NULL,
              "n:u64 sum_a:u64 sum_b:i64 mean_b:f64 min_b:i64 max_a:u32 sum_c:u64 var_c:f64", "none",
              "meet");
    job_operator(draft, "rows", &rows_kind, &form, NULL);
    job_operator(draft, "none", &nothing_kind, &none, NULL);
    memset(options, 0, sizeof options);
    job_defaults(job_kind("aggregate"), options);
    if (by)
        job_set_text(job_kind("aggregate"), options, "by", "group");
    job_set_compute(job_kind("aggregate"), options, "compute", items, 8);
    job_operator(draft, "meet", job_kind("aggregate"), options, "in=all");
    return job_plan(&draft);
}

/* ---- the same in loops ---- */

static void compare_group(const table *t, uint32_t row, shape s, bool by, uint32_t group)
{
    uint64_t n = 0, sum_a = 0, max_a = 0, sum_c = 0;
    int64_t sum_b = 0, min_b = INT64_MAX;
    double squares = 0;

    for (uint32_t i = 0; i < ROWS; i++) {
        made m = made_row(i, s);
        if (by && m.group != group)
            continue;
        n++;
        sum_a += m.a;
        sum_b += m.b;
        sum_c += m.c;
        max_a = m.a > max_a ? m.a : max_a;
        min_b = m.b < min_b ? m.b : min_b;
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        made m = made_row(i, s);
        double d = m.c - (double)sum_c / (double)n;
        squares += by && m.group != group ? 0 : d * d;
    }
    assert_true(n > 0);
    assert_true(table_get(t, "n", row) == (double)n);
    assert_true(table_get(t, "sum_a", row) == (double)sum_a);
    assert_true(table_get(t, "sum_b", row) == (double)sum_b);
    assert_true(table_get(t, "mean_b", row) == (double)sum_b / (double)n);
    assert_true(table_get(t, "min_b", row) == (double)min_b);
    assert_true(table_get(t, "max_a", row) == (double)max_a);
    assert_true(table_get(t, "sum_c", row) == (double)sum_c);
    assert_true(fabs(table_get(t, "var_c", row) - squares / (double)n) < 1e-9 * squares / (double)n);
}

static void test_against_loops(void **state)
{
    static const uint32_t key_groups[] = { 1, 5, 64 };

    (void)state;
    for (shape s = 0; s < SHAPES; s++)
        for (uint32_t k = 0; k < 3; k++)
            for (int by = 0; by < 2; by++) {
                df_plan *plan = job(s, key_groups[k], by != 0);
                table t;

                table_run(&t, plan, 2, "groups", 2);
                assert_int_equal(t.count, by ? GROUPS : 1);
                for (uint32_t g = 0; g < t.count; g++) {
                    assert_int_equal(t.keys[g], g);
                    compare_group(&t, g, s, by != 0, g);
                }
                table_fini(&t);
                df_plan_free(&plan);
            }
}

/* ---- sums that do not fit ---- */

static weir_status huge_plan(weir_plan *plan, void *options)
{
    (void)options;
    weir_plan_run_column(plan, weir_plan_add(plan, 0, "group", WEIR_U32));
    weir_plan_add(plan, 0, "b", WEIR_I64);
    weir_plan_add(plan, 0, "u", WEIR_U64);
    weir_plan_rows(plan, 40, 4);
    return WEIR_OK;
}

/* Groups 5 and 7 have a u whose sum does not fit, group 6 a b. */
static weir_status huge_process(weir_task *task)
{
    uint32_t count = (uint32_t)(task->row_end - task->row_begin);
    weir_batch *out = weir_output(task, 0, count);

    for (uint32_t i = 0; out != NULL && i < count; i++) {
        uint32_t group = (uint32_t)(task->row_begin + i) / 4;
        out->keys[i] = task->row_begin + i;
        ((uint32_t *)out->columns[0])[i] = group;
        ((int64_t *)out->columns[1])[i] = group == 6 ? INT64_MIN / 3 : -1;
        ((uint64_t *)out->columns[2])[i] = group == 5 || group == 7 ? UINT64_MAX / 3 : 1;
    }
    return out == NULL ? WEIR_FAILED : WEIR_OK;
}

static const weir_operator huge_kind = {
    .api_version = WEIR_API_VERSION, .name = "huge", .help = "", .role = WEIR_SOURCE,
    .outputs = { "out" }, .options = no_options, .options_size = sizeof(uint32_t), .plan = huge_plan,
    .process = huge_process,
};

/* The first row is reported, whichever value of it was computed last. */
static void test_does_not_fit(void **state)
{
    static const weir_compute sums[] = { { "b", "sum(b)" }, { "u", "sum(u)" } };
    static char options[256];
    uint32_t none = 0;

    (void)state;
    for (uint32_t key_groups = 1; key_groups < 11; key_groups += 9) {
        df_draft *draft = job_new("huge", 3);
        df_graph_options how = { .threads = 2, .directory = "." };
        df_plan *plan;
        df_graph *graph;
        df_error err = { 0 };

        draft->key_groups = key_groups;
        job_state(draft, "all", NULL, "group:u32 b:i64 u:u64", "rows", "all");
        job_operator(draft, "rows", &huge_kind, &none, NULL);
        job_defaults(job_kind("aggregate"), options);
        job_set_text(job_kind("aggregate"), options, "by", "group");
        job_set_compute(job_kind("aggregate"), options, "compute", sums, 2);
        job_operator(draft, "meet", job_kind("aggregate"), options, "in=all");
        memset(options, 0, sizeof options);
        job_operator(draft, "see", job_kind("null"), options, "in=meet");
        plan = job_plan(&draft);
        assert_int_equal(df_graph_new(&graph, plan, &how, &err), DF_OK);
        assert_int_equal(df_graph_run(graph, 3, &err), DF_EINVAL);
        assert_string_equal(err.text, "test.toml: step 0: operator \"meet\": u does not fit into u64");
        df_graph_free(&graph);
        df_plan_free(&plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_against_loops),
                                        cmocka_unit_test(test_does_not_fit) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
