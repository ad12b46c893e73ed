/* What a graph counts of each unit against a run of everything in one graph that keeps its states. */
#include "config/cfg.h"
#include "dataflow/df_graph_private.h"
#include "operators/op_list.h"
#include "tests/support/parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Two states, one of them without a space. */
static const char job_text[] =
    "[job]\nname = \"units\"\nsteps = 12\n"
    "[space.sky]\naxes = [\"x\", \"y\"]\nsize = 8\n"
    "[state.birds]\nspace = \"sky\"\ncolumns.f32 = [\"x\", \"y\", \"vx\", \"vy\"]\n"
    "first = \"hatch\"\nnext = \"fly\"\n"
    "[state.boys]\ncolumns.u32 = [\"school\"]\ncolumns.u8 = [\"ill\", \"immune\"]\n"
    "first = \"term\"\nnext = \"catch\"\n"
    "[operator.hatch]\nkind = \"uniform\"\nrows = 700\nspeed = [0.5, 1.0]\n"
    "[operator.fly]\nkind = \"boids\"\nin = \"birds\"\nradius = 1.0\nseparation_radius = 0.1\n"
    "scale = 0.15\nsteer = 0.055\ncollision = 10\nmatch = 0.015\nspeed = [0.5, 1.0]\n"
    "[operator.term]\nkind = \"population\"\nplaces = 3\nsize = 100\nplace = \"school\"\nill = 3\n"
    "[operator.mix]\nkind = \"aggregate\"\nin = \"boys\"\nby = \"school\"\n"
    "compute.boys = \"count()\"\ncompute.ill = \"sum(ill)\"\n"
    "[operator.catch]\nkind = \"sir\"\nin.agents = \"boys\"\nin.places = \"mix\"\n"
    "place = \"school\"\ninfection = 1.8\nrecovery = 0.5\n"
    "[run]\nkey_groups = 64\n";

static const uint64_t row_size[] = { 8 + 4 * 4, 8 + 4 + 1 + 1 }; /* of the states */

typedef struct expected {
    const df_plan *plan;
    const df_graph *whole;
    uint32_t units_seen;
    uint64_t rows, all;
} expected;

static df_plan *read_plan(void)
{
    cfg_options options = { .kinds = &op_kinds };
    df_report report;
    df_draft *draft;
    df_plan *plan = NULL;

    df_report_init(&report, "units.toml");
    if (cfg_read(&draft, "units.toml", ".", job_text, strlen(job_text), &options, &report) != DF_OK ||
        df_plan_new(&plan, &draft, &report) != DF_OK) {
        df_report_print(&report, stderr);
        fail();
    }
    return plan;
}

static uint32_t unit_of(const df_plan *plan, uint32_t state, uint32_t key_group)
{
    uint64_t groups = plan->vertices[plan->states[state].vertex].partition.key_groups;

    return (uint32_t)((uint64_t)key_group * plan->key_groups / groups);
}

/* Rows and bytes of a unit as the kept states have them. */
static void held(const expected *e, uint32_t unit, uint64_t *rows, uint64_t *bytes)
{
    *rows = *bytes = 0;
    for (uint32_t s = 0; s < e->plan->state_count; s++) {
        uint32_t groups = e->plan->vertices[e->plan->states[s].vertex].partition.key_groups;

        for (uint32_t k = 0; k < groups; k++)
            if (unit_of(e->plan, s, k) == unit) {
                *rows += df_graph_state(e->whole, s, k)->row_count;
                *bytes += df_graph_state(e->whole, s, k)->row_count * row_size[s];
            }
    }
}

/* A bird is as large wherever it is; what is read is counted of the first input. */
static void check_bytes(const df_vertex *v, const df_vertex_stats *s)
{
    if (v->role == DF_COMMIT)
        assert_int_equal(s->bytes_out, s->rows_out * row_size[v->state]);
    else if (strcmp(v->name, "fly") == 0)
        assert_int_equal(s->bytes_in + s->bytes_out, (s->rows_in + s->rows_out) * row_size[0]);
    else if (strcmp(v->name, "catch") == 0)
        assert_int_equal(s->bytes_in, s->rows_in * row_size[1]);
    else if (v->port_count == 0)
        assert_true(s->rows_in == 0 && s->bytes_in == 0);
}

static void check_member(void *user, const df_graph *graph, const df_part *part)
{
    static df_unit_cost costs[DF_KEY_GROUPS_MAX];
    expected *e = user;
    uint64_t sum = 0, vertices = 0, tasks_ns, had_ns;
    df_graph_stats all;

    df_graph_unit_costs(graph, costs);
    for (uint32_t u = 0; u < e->plan->key_groups; u++) {
        uint64_t rows, bytes;

        held(e, u, &rows, &bytes);
        sum += costs[u].nanoseconds;
        if (part->owners[u] != part->member) {
            assert_int_equal(costs[u].nanoseconds, 0);
            assert_int_equal(costs[u].rows, 0);
            assert_int_equal(costs[u].tick, 0);
            continue;
        }
        e->units_seen++;
        e->rows += rows;
        assert_int_equal(costs[u].rows, rows);
        assert_int_equal(costs[u].bytes, bytes);
        if (rows > 0) {
            assert_true(costs[u].nanoseconds > 0);
            assert_true(costs[u].tick >= e->plan->job.steps); /* at the last step not every stage runs */
        }
    }
    /* What its next task may take is no more than all of its tasks took. */
    for (uint32_t st = 0; st < e->plan->stage_count; st++)
        for (uint32_t k = 0; k < e->plan->stages[st].partition.key_groups; k++) {
            uint32_t unit = df_plan_unit(e->plan, k, e->plan->stages[st].partition.key_groups);

            assert_true(graph_unit_task_ns(graph, st, k) <= costs[unit].nanoseconds);
            assert_int_equal(graph_unit_task_ns(graph, st, k) > 0, costs[unit].nanoseconds > 0);
        }
    /* A task's time holds that of its vertices; every vertex here is in a task that counts. */
    for (uint32_t v = 0; v < e->plan->vertex_count; v++) {
        df_vertex_stats stats;

        df_graph_vertex_stats_get(graph, v, &stats);
        vertices += stats.calls.nanoseconds;
        check_bytes(&e->plan->vertices[v], &stats);
    }
    assert_true(sum >= vertices);
    /* The same tasks one by one; this job has no sinks, whose tasks would not count. */
    df_graph_stats_get(graph, &all);
    assert_int_equal(all.task_spans.nanoseconds, sum);
    assert_int_equal(df_spans_count(&all.task_spans), all.tasks);
    /* Threads run nothing but tasks, and what is between them; the feeder runs the rest. */
    df_graph_had(graph, &tasks_ns, &had_ns);
    assert_true(tasks_ns <= sum);
    assert_true(tasks_ns == 0 || had_ns > 0);
}

static void test_units(void **state)
{
    df_plan *plan = read_plan();
    expected e = { .plan = plan };
    df_graph_options options = { .threads = 1, .keep_states = true };
    df_graph *whole;
    df_error err;

    (void)state;
    assert_int_equal(df_graph_new(&whole, plan, &options, &err), DF_OK);
    assert_int_equal(df_graph_run(whole, plan->job.steps, &err), DF_OK);
    e.whole = whole;
    for (uint32_t seed = 0; seed < 12; seed++) {
        parts_options o = { .members = 1 + seed % 4, .threads = 1 + seed / 4, .seed = seed,
                            .user = &e, .on_end = check_member };
        parts_snapshot *snapshot = NULL;

        e.units_seen = 0;
        e.rows = 0;
        o.capture_tick = seed % 2 == 0 ? 0 : 6;
        parts_run(plan, &o, NULL, &snapshot);
        assert_int_equal(e.units_seen, plan->key_groups);
        assert_int_equal(e.rows, 1000);
        if (snapshot == NULL)
            continue;
        o.capture_tick = 0;
        e.units_seen = 0;
        parts_run(plan, &o, snapshot, NULL); /* restored ones are known, too */
        assert_int_equal(e.units_seen, plan->key_groups);
        parts_snapshot_free(&snapshot);
    }
    df_graph_free(&whole);
    df_plan_free(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
