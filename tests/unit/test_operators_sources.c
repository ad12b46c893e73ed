/* The sources uniform, lattice and population: their rows against what their headers promise, whatever the
 * number of key groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "kernels/kern_philox.h"
#include "tests/support/table.h"

typedef struct job {
    const char *axes, *columns;
    double size;
    uint32_t key_groups;
    uint64_t seed;
} job;

/* What a source makes for a state that never changes. */
static void make(table *out, const weir_operator *kind, const void *options, const job *j)
{
    df_draft *draft = job_new("source", 1);
    df_plan *plan;

    draft->key_groups = j->key_groups;
    draft->job.seed = j->seed;
    if (j->axes != NULL)
        job_space(draft, "box", j->axes, j->size, false);
    job_state(draft, "rows", j->axes != NULL ? "box" : NULL, j->columns, "make", "rows");
    job_operator(draft, "make", kind, options, NULL);
    plan = job_plan(&draft);
    table_run(out, plan, 0, "rows", 2);
    out->schema = memcpy(malloc(sizeof *out->schema), out->schema, sizeof *out->schema);
    df_plan_free(&plan);
}

static void drop(table *t)
{
    free((void *)(uintptr_t)t->schema);
    table_fini(t);
}

/* ---- uniform ---- */

#define COLUMNS_3D "vx:f32 vy:f32 vz:f32 z:f32 y:f32 x:f32"

static void uniform(table *out, double rows, double least, double most, const job *j)
{
    const weir_operator *kind = job_kind("uniform");
    char options[512];

    job_defaults(kind, options);
    job_set(kind, options, "rows", rows);
    job_set_range(kind, options, "speed", least, most);
    make(out, kind, options, j);
}

/* The mean of a column is within five standard errors of `mean`, its variance within five of `var`.
 * kurtosis: the fourth central moment over the square of the variance. */
static void check_moments(const table *t, const char *column, double mean, double var, double kurtosis)
{
    double sum = 0, squares = 0, n = t->count;

    for (uint32_t i = 0; i < t->count; i++)
        sum += table_get(t, column, i);
    for (uint32_t i = 0; i < t->count; i++)
        squares += (table_get(t, column, i) - mean) * (table_get(t, column, i) - mean);
    if (fabs(sum / n - mean) > 5 * sqrt(var / n))
        fail_msg("mean of %s is %g, not %g", column, sum / n, mean);
    if (fabs(squares / n - var) > 5 * var * sqrt((kurtosis - 1) / n))
        fail_msg("variance of %s is %g, not %g", column, squares / n, var);
}

static void test_uniform_spread(void **state)
{
    const job j = { "xyz", COLUMNS_3D " heading:f32", 3, 50, 4 };
    const char *const axes[] = { "x", "y", "z" }, *const velocities[] = { "vx", "vy", "vz" };
    double speed_mean = 0, n;
    table t;

    (void)state;
    uniform(&t, 20000, 0.5, 1.5, &j);
    assert_int_equal(t.count, 20000);
    n = t.count;
    for (uint32_t a = 0; a < 3; a++) {
        check_moments(&t, axes[a], 1.5, 9.0 / 12, 1.8);
        /* E v^2 = E s^2 / 3 and E v^4 = E s^4 / 5, for a speed s between 0.5 and 1.5. */
        check_moments(&t, velocities[a], 0, (1 + 1.0 / 12) / 3, 1.5125 / 5 / pow((1 + 1.0 / 12) / 3, 2));
    }
    check_moments(&t, "heading", M_PI, 4 * M_PI * M_PI / 12, 1.8);
    for (uint32_t i = 0; i < t.count; i++) {
        double v = sqrt(pow(table_get(&t, "vx", i), 2) + pow(table_get(&t, "vy", i), 2) +
                        pow(table_get(&t, "vz", i), 2));
        assert_int_equal(t.keys[i], i);
        assert_true(v > 0.5 - 1e-6 && v < 1.5 + 1e-6);
        speed_mean += v / n;
        for (uint32_t a = 0; a < 3; a++)
            assert_true(table_get(&t, axes[a], i) >= 0 && table_get(&t, axes[a], i) < 3);
        assert_true(table_get(&t, "heading", i) >= 0 && table_get(&t, "heading", i) < 2 * M_PI + 1e-6);
    }
    assert_true(fabs(speed_mean - 1) < 5 * sqrt(1 / 12.0 / n));
    drop(&t);
}

/* No column follows from another: correlations of 20,000 rows are below 5 / sqrt(20000). */
static void test_uniform_independent(void **state)
{
    static const char *const names[] = { "x", "y", "z", "vx", "vy", "vz", "heading" };
    const job j = { "xyz", COLUMNS_3D " heading:f32", 1, 8, 9 };
    table t;

    (void)state;
    uniform(&t, 20000, 1, 1, &j);
    for (uint32_t a = 0; a < 7; a++)
        for (uint32_t b = 0; b < a; b++) {
            double sa = 0, sb = 0, aa = 0, bb = 0, ab = 0, n = t.count, r;
            for (uint32_t i = 0; i < t.count; i++) {
                double x = table_get(&t, names[a], i), y = table_get(&t, names[b], i);
                sa += x, sb += y, aa += x * x, bb += y * y, ab += x * y;
            }
            r = (ab / n - sa / n * sb / n) /
                sqrt((aa / n - sa / n * sa / n) * (bb / n - sb / n * sb / n));
            if (fabs(r) > 5 / sqrt(n))
                fail_msg("%s and %s: correlation %g", names[a], names[b], r);
        }
    drop(&t);
}

static void test_uniform_same_for_any_tiling(void **state)
{
    (void)state;
    for (uint32_t dimension = 1; dimension <= 3; dimension++) {
        static const char *const axes[] = { "x", "xy", "xyz" };
        static const char *const columns[] = { "x:f32 vx:f32", "x:f32 y:f32 vx:f32 vy:f32", COLUMNS_3D };
        job j = { axes[dimension - 1], columns[dimension - 1], 5, 1, 3 };
        table one, other;

        uniform(&one, 777, 2, 2, &j);
        for (uint32_t i = 0; i < one.count; i++) {
            double v = 0;
            for (uint32_t a = 0; a < dimension; a++)
                v += pow(table_get(&one, (const char *[]){ "vx", "vy", "vz" }[a], i), 2);
            assert_true(fabs(sqrt(v) - 2) < 1e-6);
        }
        j.key_groups = 61;
        uniform(&other, 777, 2, 2, &j);
        assert_true(table_same(&one, &other));
        drop(&other);
        j.seed = 4;
        uniform(&other, 777, 2, 2, &j);
        assert_false(table_same(&one, &other));
        drop(&other);
        drop(&one);
    }
}

/* The numbers that DESIGN.md section 9 promises: Philox of the operator's name and the row's key. */
static void test_uniform_numbers(void **state)
{
    const job j = { "xyz", COLUMNS_3D, 7, 30, 12 };
    uint64_t random_key = XXH3_64bits_withSeed("make", 4, 12);
    table t;

    (void)state;
    uniform(&t, 500, 0, 0, &j);
    for (uint32_t i = 0; i < t.count; i++) {
        kern_words w = kern_philox_row(random_key, i, 0, 0);
        assert_true(table_get(&t, "x", i) == (double)((float)(w.w[0] >> 8) * 0x1p-24f * 7));
        assert_true(table_get(&t, "z", i) == (double)((float)(w.w[2] >> 8) * 0x1p-24f * 7));
        assert_true(table_get(&t, "vy", i) == 0);
    }
    drop(&t);
    uniform(&t, 0, 0, 0, &j);
    assert_int_equal(t.count, 0);
    drop(&t);
}

/* The same numbers, in a corner. */
static void test_uniform_part(void **state)
{
    const job j = { "xyz", COLUMNS_3D, 8, 30, 12 };
    const weir_operator *kind = job_kind("uniform");
    char options[512];
    table whole, corner;

    (void)state;
    uniform(&whole, 500, 0, 0, &j);
    job_defaults(kind, options);
    job_set(kind, options, "rows", 500);
    job_set_range(kind, options, "speed", 0, 0);
    job_set(kind, options, "part", 0.25);
    make(&corner, kind, options, &j);
    assert_int_equal(corner.count, 500);
    for (uint32_t i = 0; i < corner.count; i++)
        for (const char *const *axis = (const char *const[]){ "x", "y", "z", NULL }; *axis != NULL; axis++)
            assert_true(table_get(&corner, *axis, i) == table_get(&whole, *axis, i) / 4);
    drop(&corner);
    drop(&whole);
}

/* ---- lattice ---- */

static void lattice(table *out, const char *shape, double cells, double temperature, uint32_t key_groups)
{
    const weir_operator *kind = job_kind("lattice");
    const job j = { "xyz", "x:f32 y:f32 z:f32 vx:f32 vy:f32 vz:f32", cells * 1.5, key_groups, 1 };
    char options[512];

    job_defaults(kind, options);
    job_set_text(kind, options, "lattice", shape);
    job_set(kind, options, "cells", cells);
    job_set(kind, options, "temperature", temperature);
    make(out, kind, options, &j);
}

/* Every place of the crystal is taken once: marked on a grid of half cells. */
static void check_places(const char *shape, uint32_t n, uint32_t per_cell, const char *mask)
{
    char *taken = calloc(8u * n * n * n, 1);
    table t;

    lattice(&t, shape, n, 0, 5);
    assert_int_equal(t.count, n * n * n * per_cell);
    for (uint32_t i = 0; i < t.count; i++) {
        double half[3] = { table_get(&t, "x", i) / 0.75, table_get(&t, "y", i) / 0.75,
                           table_get(&t, "z", i) / 0.75 };
        uint32_t at[3];
        for (uint32_t a = 0; a < 3; a++) {
            at[a] = (uint32_t)lround(half[a]);
            assert_true(fabs(half[a] - at[a]) < 1e-4 && at[a] < 2 * n);
        }
        assert_int_equal(mask[(at[2] % 2) * 4 + (at[1] % 2) * 2 + at[0] % 2], '1');
        assert_int_equal(taken[(at[2] * 2 * n + at[1]) * 2 * n + at[0]]++, 0);
        assert_true(table_get(&t, "vx", i) == 0);
    }
    drop(&t);
    free(taken);
}

static void test_lattice_places(void **state)
{
    (void)state;
    /* Which corners of a half cell are taken: index z y x. */
    check_places("fcc", 4, 4, "10010110");
    check_places("bcc", 5, 2, "10000001");
    check_places("sc", 7, 1, "10000000");
    check_places("sc", 1, 1, "10000000");
}

static void test_lattice_velocities(void **state)
{
    double n, square = 0, sum[3] = { 0 };
    static const char *const names[] = { "vx", "vy", "vz" };
    table t, other;

    (void)state;
    lattice(&t, "fcc", 10, 1.44, 64);
    n = t.count;
    for (uint32_t a = 0; a < 3; a++) {
        check_moments(&t, names[a], 0, 1.44, 3);
        for (uint32_t i = 0; i < t.count; i++) {
            sum[a] += table_get(&t, names[a], i);
            square += pow(table_get(&t, names[a], i), 2);
        }
    }
    assert_true(fabs(square / (3 * n - 3) - 1.44) < 1e-7);
    for (uint32_t a = 0; a < 3; a++)
        assert_true(fabs(sum[a]) < 1e-4);
    lattice(&other, "fcc", 10, 1.44, 1);
    assert_true(table_same(&t, &other));
    drop(&other);
    drop(&t);
    lattice(&t, "sc", 1, 1.44, 1); /* one row cannot move and have no momentum */
    assert_true(table_get(&t, "vx", 0) == 0);
    drop(&t);
}

/* ---- population ---- */

static void test_population(void **state)
{
    const weir_operator *kind = job_kind("population");
    char options[512];

    (void)state;
    job_defaults(kind, options);
    job_set(kind, options, "places", 37);
    job_set(kind, options, "size", 11);
    job_set(kind, options, "ill", 3);
    job_set_text(kind, options, "place", "school");
    for (uint32_t key_groups = 1; key_groups < 100; key_groups += 13) {
        const job j = { NULL, "school:u32 immune:u8 ill:u8", 0, key_groups, 1 };
        table t;

        make(&t, kind, options, &j);
        assert_int_equal(t.count, 37 * 11);
        for (uint32_t i = 0; i < t.count; i++) {
            assert_int_equal(t.keys[i], i);
            assert_int_equal(table_get(&t, "school", i), i / 11);
            assert_int_equal(table_get(&t, "ill", i), i % 11 < 3);
            assert_int_equal(table_get(&t, "immune", i), 0);
        }
        drop(&t);
    }
}

/* ---- options that make no sense ---- */

static void refused(const weir_operator *kind, const void *options, const char *axes, const char *columns,
                    const char *text)
{
    df_draft *draft = job_new("source", 1);

    draft->key_groups = 1;
    if (axes != NULL)
        job_space(draft, "box", axes, 3, false);
    job_state(draft, "rows", axes != NULL ? "box" : NULL, columns, "make", "rows");
    job_operator(draft, "make", kind, options, NULL);
    assert_string_equal(job_errors(&draft), text);
}

static void test_refused(void **state)
{
    const weir_operator *kind = job_kind("population");
    char options[512];

    (void)state;
    job_defaults(kind, options);
    job_set(kind, options, "places", 2);
    job_set(kind, options, "size", 5);
    job_set(kind, options, "ill", 6);
    refused(kind, options, NULL, "ill:u8", "operator \"make\": ill: 6 ill in a place of 5 people\n");
    job_set(kind, options, "ill", 5);
    job_set_text(kind, options, "place", "ill");
    refused(kind, options, NULL, "ill:u8", "operator \"make\": column ill is made twice\n");
    job_set_text(kind, options, "place", "place");
    job_set(kind, options, "places", 4294967295.0);
    job_set(kind, options, "size", 4294967295.0);
    refused(kind, options, NULL, "ill:u8", "operator \"make\": 18446744065119617025 rows are too many for "
            "key_groups = 1: a key group holds at most 4294967294 rows\n");
    kind = job_kind("uniform");
    job_defaults(kind, options);
    job_set(kind, options, "rows", 1e10);
    refused(kind, options, "x", "x:f32", "operator \"make\": 10000000000 rows are too many for key_groups = "
            "1: a key group holds at most 4294967294 rows\n");
    refused(kind, options, NULL, "x:f32", "operator \"make\": it fills a space: it must be the \"first\" of a "
            "state that has one\n");
    kind = job_kind("lattice");
    job_defaults(kind, options);
    job_set(kind, options, "cells", 2000);
    refused(kind, options, "xyz", "x:f32 y:f32 z:f32", "operator \"make\": cells: 32000000000 atoms, at most "
            "4294967295 can be made\n");
    refused(kind, options, "xy", "x:f32 y:f32", "operator \"make\": it fills a space with three axes: it must "
            "be the \"first\" of a state that has one\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uniform_spread),
        cmocka_unit_test(test_uniform_independent),
        cmocka_unit_test(test_uniform_same_for_any_tiling),
        cmocka_unit_test(test_uniform_numbers),
        cmocka_unit_test(test_uniform_part),
        cmocka_unit_test(test_lattice_places),
        cmocka_unit_test(test_lattice_velocities),
        cmocka_unit_test(test_population),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
