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

static df_plan *flock(uint64_t rows, double size, uint64_t steps)
{
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
    job_space(draft, "sky", "xyz", size, false);
    job_state(draft, "birds", "sky", "x:f32 y:f32 z:f32 vx:f32 vy:f32 vz:f32", "hatch", "fly");
    job_operator(draft, "hatch", kind("uniform"), uniform, NULL);
    job_operator(draft, "fly", kind("boids"), boids, "in=birds");
    return job_plan(&draft);
}

static void test_flock_any_threads(void **state)
{
    df_plan *plan = flock(5000, 0.7, 30);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flock_any_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
