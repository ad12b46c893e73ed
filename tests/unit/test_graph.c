/* The engine as a whole: plans made by hand, run on several threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <stdio.h>

#include "operators/op_list.h"
#include "tests/support/job.h"

static const weir_operator *kind(const char *name)
{
    for (uint32_t i = 0; i < op_kinds.count; i++)
        if (strcmp(op_kinds.list[i]->name, name) == 0)
            return op_kinds.list[i];
    fail_msg("no kind %s", name);
    return NULL;
}

/* Set one option of a kind's options struct by the kind's own table. */
static void set(const weir_operator *k, void *options, const char *name, double value)
{
    for (const weir_option *o = k->options; o->name != NULL; o++) {
        char *field = (char *)options + o->offset;
        if (strcmp(o->name, name) != 0)
            continue;
        if (o->type == WEIR_F32)
            *(float *)(void *)field = (float)value;
        else if (o->type == WEIR_F64)
            *(double *)(void *)field = value;
        else if (o->type == WEIR_U32)
            *(uint32_t *)(void *)field = (uint32_t)value;
        else if (o->type == WEIR_U64)
            *(uint64_t *)(void *)field = (uint64_t)value;
        else if (o->type == WEIR_RANGE)
            ((double *)(void *)field)[0] = value, ((double *)(void *)field)[1] = 2 * value;
        return;
    }
    fail_msg("no option %s", name);
}

/* settle_every 1: at every step. In each, a bird flies less than 0.011. */
static df_plan *flock(uint64_t rows, double size, uint64_t steps, bool periodic, uint64_t settle_every)
{
    df_draft_state *birds;
    df_draft *draft = job_new("flock", steps);
    char uniform[512] = { 0 }, boids[512] = { 0 };

    draft->job.dt = 0.01;
    set(kind("uniform"), uniform, "rows", (double)rows);
    set(kind("uniform"), uniform, "speed", 0.5);
    set(kind("boids"), boids, "radius", 0.05);
    set(kind("boids"), boids, "separation_radius", 0.01);
    set(kind("boids"), boids, "scale", 0.15);
    set(kind("boids"), boids, "steer", 0.055);
    set(kind("boids"), boids, "collision", 10);
    set(kind("boids"), boids, "match", 0.015);
    set(kind("boids"), boids, "speed", 0.5);
    set(kind("boids"), boids, "wall_distance", 0.1);
    set(kind("boids"), boids, "wall_steer", 0.05);
    job_space(draft, "sky", "xyz", size, periodic);
    birds = job_state(draft, "birds", "sky", "x:f32 y:f32 z:f32 vx:f32 vy:f32 vz:f32", "hatch", "fly");
    birds->settle_every = settle_every;
    birds->skin = 2 * 0.011 * (double)settle_every;
    job_operator(draft, "hatch", kind("uniform"), uniform, NULL);
    job_operator(draft, "fly", kind("boids"), boids, "in=birds");
    return job_plan(&draft);
}

static void test_flock_any_threads(void **state)
{
    df_plan *plan = flock(5000, 0.7, 30, false, 1);
    df_hash expected = job_run(plan, 1, 0);

    (void)state;
    for (uint32_t threads = 1; threads <= 4; threads++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            df_hash hash = job_run(plan, threads, seed);
            assert_int_equal(hash.high, expected.high);
            assert_int_equal(hash.low, expected.low);
        }
    df_plan_free(&plan);
}

static df_hash run_flock(const df_plan *plan, bool keep_nothing, uint32_t threads)
{
    df_graph_options options = { .threads = threads, .directory = ".", .keep_nothing = keep_nothing,
                                 .shuffle_seed = threads };
    df_error err = { 0 };
    df_graph *graph;
    df_hash hash = { 0 };
    uint64_t step;

    assert_int_equal(df_graph_new(&graph, plan, &options, &err), DF_OK);
    if (df_graph_run(graph, plan->job.steps, &err) != DF_OK)
        fail_msg("%s", err.text);
    assert_true(df_graph_fingerprint(graph, &step, &hash));
    df_graph_free(&graph);
    return hash;
}

/* Birds that settle every four steps, by lists that are kept and without: they cross edges meanwhile. */
static void test_kept_lists_change_no_bit(void **state)
{
    (void)state;
    for (int periodic = 0; periodic < 2; periodic++) {
        df_plan *plan = flock(3000, 0.7, 30, periodic == 1, 4);
        df_hash expected = run_flock(plan, true, 1);

        for (uint32_t threads = 1; threads <= 3; threads++) {
            df_hash hash = run_flock(plan, false, threads);
            assert_int_equal(hash.high, expected.high);
            assert_int_equal(hash.low, expected.low);
        }
        df_plan_free(&plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flock_any_threads),
        cmocka_unit_test(test_kept_lists_change_no_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
