/* The melt's kernel against a plain scalar program, bit for bit, and against published values. */
#include "kernels/kern_lj.h"
#include "tests/support/cell_scene.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct atom_sum {
    const kern_lj_params *p;
    float force[3], twelve, six;
} atom_sum;

static void meet(void *ctx, const scene *s, uint32_t i, uint32_t j, const float shift[3])
{
    atom_sum *a = ctx;
    float d[3], square, q, six, twelve, push;

    for (int axis = 0; axis < 3; axis++)
        d[axis] = s->rows[axis][i] - s->rows[axis][j] - shift[axis];
    square = fmaf(d[2], d[2], fmaf(d[1], d[1], d[0] * d[0]));
    if (square >= a->p->cutoff * a->p->cutoff)
        return;
    q = a->p->sigma * a->p->sigma / square;
    six = q * q * q;
    twelve = six * (six - 0.5f);
    push = q * twelve;
    for (int axis = 0; axis < 3; axis++)
        a->force[axis] = fmaf(push, d[axis], a->force[axis]);
    a->twelve += twelve;
    a->six += six;
}

/* Five columns by key. */
static float *oracle(const scene *s, const kern_lj_params *p)
{
    uint32_t n = s->options.row_count;
    float *result = scene_alloc(5 * n * sizeof *result);
    scene_cells lists = scene_list_cells(s);

    for (uint32_t i = 0; i < n; i++) {
        atom_sum a = { .p = p };

        scene_for_neighbours(s, &lists, i, meet, &a);
        for (uint32_t axis = 0; axis < 3; axis++)
            result[axis * n + i] =
                a.force[axis] * (48.0f * p->epsilon / (p->sigma * p->sigma)) + 0.0f;
        result[3 * n + i] = 2.0f * p->epsilon * fmaf(-0.5f, a.six, a.twelve);
        result[4 * n + i] = 24.0f * p->epsilon * a.twelve;
    }
    free(lists.starts);
    free(lists.keys);
    return result;
}

/* The kernel's five columns by key, tile by tile. */
static float *run_kernel(const scene *s, const kern_lj_params *p)
{
    uint32_t n = s->options.row_count;
    float *result = scene_alloc(5 * n * sizeof *result);

    for (uint32_t t = 0; t < s->tile_count; t++) {
        const scene_tile *tile = &s->tiles[t];
        kern_halo halo;
        float *out[5];
        void *scratch;

        scene_halo(s, t, &halo);
        scratch = scene_alloc(kern_lj_scratch_size(&halo));
        for (uint32_t c = 0; c < 5; c++)
            out[c] = scene_alloc(tile->tile.row_count * sizeof(float));
        kern_lj(p, &halo, out, scratch);
        for (uint32_t c = 0; c < 5; c++) {
            for (uint32_t i = 0; i < tile->tile.row_count; i++)
                result[c * n + tile->keys[i]] = out[c][i];
            free(out[c]);
        }
        free(scratch);
    }
    return result;
}

static void assert_same_bits(const float *expected, const float *got, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&expected[i], &got[i], sizeof *got) != 0)
            fail_msg("number %zu of %zu: %a, not %a", i, count, (double)got[i],
                     (double)expected[i]);
}

/* An fcc crystal with its atoms moved by up to `shake` of the lattice constant. */
static void crystal(scene *s, uint32_t lattice, float density, float cutoff, float shake)
{
    static const float basis[4][3] = {
        { 0.0f, 0.0f, 0.0f }, { 0.5f, 0.5f, 0.0f }, { 0.5f, 0.0f, 0.5f }, { 0.0f, 0.5f, 0.5f }
    };
    float constant = cbrtf(4.0f / density), size = constant * (float)lattice;
    uint32_t cells = (uint32_t)(size / (cutoff * 1.00002f)), key = 0;
    scene_options o = { .row_count = 4 * lattice * lattice * lattice,
                        .axis_count = 3,
                        .size = { size, size, size },
                        .periodic = { true, true, true },
                        .cells = { cells, cells, cells },
                        .tiles = { 1, 1, 1 } };
    uint64_t seed = lattice;

    scene_init(s, &o, 0);
    for (uint32_t c = 0; c < lattice * lattice * lattice; c++) {
        uint32_t at[3] = { c % lattice, c / lattice % lattice, c / lattice / lattice };

        for (int b = 0; b < 4; b++, key++) {
            for (int axis = 0; axis < 3; axis++) {
                float x = ((float)at[axis] + basis[b][axis] +
                           shake * (2.0f * scene_uniform(&seed) - 1.0f)) *
                          constant;

                s->rows[axis][key] = x < 0.0f ? x + size : x >= size ? x - size : x;
            }
        }
    }
}

static void check_tilings(scene *s, const kern_lj_params *p, const uint32_t (*tilings)[3],
                          size_t count)
{
    float *expected = oracle(s, p);

    for (size_t i = 0; i < count; i++) {
        float *got;

        memcpy(s->options.tiles, tilings[i], sizeof s->options.tiles);
        scene_cut(s);
        got = run_kernel(s, p);
        assert_same_bits(expected, got, 5 * s->options.row_count);
        free(got);
        scene_fini_tiles(s);
    }
    free(expected);
}

static void same_bits_in_a_crystal(void **state)
{
    static const uint32_t tilings[][3] = { { 1, 1, 1 }, { 3, 1, 1 }, { 3, 4, 1 }, { 4, 3, 3 } };
    kern_lj_params p = { .epsilon = 1.0f, .sigma = 1.0f, .cutoff = 2.5f };
    scene s;

    (void)state;
    crystal(&s, 7, 0.8442f, p.cutoff, 0.12f);
    check_tilings(&s, &p, tilings, 4);
    scene_fini(&s);
}

/* Thin, soft, in cells far wider than the cutoff, and closed along one axis. */
static void same_bits_in_a_gas(void **state)
{
    static const uint32_t tilings[][3] = { { 1, 1, 1 }, { 3, 2, 4 }, { 1, 5, 1 }, { 6, 5, 4 } };
    kern_lj_params p = { .epsilon = 0.7f, .sigma = 0.3f, .cutoff = 1.1f };
    scene_options o = { .row_count = 500,
                        .axis_count = 3,
                        .size = { 9.0f, 7.5f, 6.0f },
                        .periodic = { true, false, true },
                        .cells = { 6, 5, 4 } };
    scene s;

    (void)state;
    scene_init(&s, &o, 12);
    check_tilings(&s, &p, tilings, 4);
    scene_fini(&s);
}

static void same_bits_in_a_plane(void **state)
{
    static const uint32_t tilings[][3] = { { 1, 1, 1 }, { 3, 4, 1 }, { 8, 6, 1 } };
    kern_lj_params p = { .epsilon = 1.0f, .sigma = 0.4f, .cutoff = 1.2f };
    scene_options o = { .row_count = 700,
                        .axis_count = 2,
                        .size = { 10.0f, 8.0f, 1.0f },
                        .periodic = { true, true, false },
                        .cells = { 8, 6, 1 } };
    scene s;

    (void)state;
    scene_init(&s, &o, 13);
    check_tilings(&s, &p, tilings, 3);
    scene_fini(&s);
}

static double column_sum(const float *column, uint32_t count)
{
    double sum = 0.0;

    for (uint32_t i = 0; i < count; i++)
        sum += (double)column[i];
    return sum;
}

/* LAMMPS' bench/in.lj, log of step 0: 32,000 atoms, T = 1.44, potential -6.7733681 per atom,
 * pressure -5.0197073; its temperature counts 3 N - 3 degrees of freedom. */
static void published_energy_and_pressure(void **state)
{
    kern_lj_params p = { .epsilon = 1.0f, .sigma = 1.0f, .cutoff = 2.5f };
    scene s;
    float *got;
    double n, volume, potential, pressure;

    (void)state;
    crystal(&s, 20, 0.8442f, p.cutoff, 0.0f);
    scene_cut(&s);
    got = run_kernel(&s, &p);
    n = s.options.row_count;
    volume = n / 0.8442;
    potential = column_sum(got + 3 * s.options.row_count, s.options.row_count) / n;
    pressure =
        ((n - 1.0) * 1.44 + column_sum(got + 4 * s.options.row_count, s.options.row_count) / 3.0) /
        volume;
    assert_true(fabs(potential + 6.7733681) < 2e-6);
    assert_true(fabs(pressure + 5.0197073) < 2e-5);
    free(got);
    scene_fini_tiles(&s);
    scene_fini(&s);
}

/* A pair's forces are opposite to the bit, also across an edge; and a closed box, where the whole
 * sum is made of such pairs, keeps its momentum but for the rounding of each row's sum. */
static void third_law(void **state)
{
    kern_lj_params p = { .epsilon = 1.0f, .sigma = 1.0f, .cutoff = 2.5f };
    scene_options o = { .row_count = 2,
                        .axis_count = 3,
                        .size = { 10.0f, 10.0f, 10.0f },
                        .periodic = { true, true, true },
                        .cells = { 3, 3, 3 },
                        .tiles = { 3, 3, 3 } };
    uint64_t seed = 1;
    scene s;
    float *got;

    (void)state;
    for (int turn = 0; turn < 50; turn++) {
        scene_init(&s, &o, 0);
        for (int axis = 0; axis < 3; axis++) {
            s.rows[axis][0] = scene_uniform(&seed) * 10.0f;
            s.rows[axis][1] = s.rows[axis][0] + 0.4f + scene_uniform(&seed);
            if (s.rows[axis][1] >= 10.0f)
                s.rows[axis][1] -= 10.0f;
        }
        scene_cut(&s);
        got = run_kernel(&s, &p);
        for (int axis = 0; axis < 3; axis++)
            assert_true(got[axis * 2] == -got[axis * 2 + 1] && got[axis * 2] != 0.0f);
        assert_memory_equal(&got[6], &got[7], sizeof(float));
        assert_memory_equal(&got[8], &got[9], sizeof(float));
        free(got);
        scene_fini_tiles(&s);
        scene_fini(&s);
    }
    crystal(&s, 6, 0.8442f, p.cutoff, 0.1f);
    scene_cut(&s);
    got = run_kernel(&s, &p);
    for (uint32_t axis = 0; axis < 3; axis++) {
        double largest = 0.0;

        for (uint32_t i = 0; i < s.options.row_count; i++)
            largest = fmax(largest, fabs((double)got[axis * s.options.row_count + i]));
        assert_true(largest > 10.0);
        assert_true(fabs(column_sum(got + axis * s.options.row_count, s.options.row_count)) <
                    largest * 1e-6 * sqrt(s.options.row_count));
    }
    free(got);
    scene_fini_tiles(&s);
    scene_fini(&s);
}

/* The minimum of the potential is at 2^(1/6) sigma, where a pair has energy -epsilon. */
static void pair_at_its_minimum(void **state)
{
    kern_lj_params p = { .epsilon = 1.5f, .sigma = 2.0f, .cutoff = 5.0f };
    scene_options o = { .row_count = 2,
                        .axis_count = 1,
                        .size = { 30.0f, 1.0f, 1.0f },
                        .cells = { 5, 1, 1 },
                        .tiles = { 2, 1, 1 } };
    scene s;
    float *got;

    (void)state;
    scene_init(&s, &o, 0);
    s.rows[0][0] = 10.0f;
    s.rows[0][1] = 10.0f + 2.0f * powf(2.0f, 1.0f / 6.0f);
    scene_cut(&s);
    got = run_kernel(&s, &p);
    assert_float_equal(got[0], 0.0f, 1e-4f);
    assert_float_equal(got[3 * 2] + got[3 * 2 + 1], -1.5f, 1e-6f);
    assert_float_equal(got[4 * 2], 0.0f, 1e-4f);
    free(got);
    scene_fini_tiles(&s);
    scene_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_in_a_crystal),
        cmocka_unit_test(same_bits_in_a_gas),
        cmocka_unit_test(same_bits_in_a_plane),
        cmocka_unit_test(published_energy_and_pressure),
        cmocka_unit_test(third_law),
        cmocka_unit_test(pair_at_its_minimum),
    };

    return cmocka_run_group_tests_name("lj", tests, NULL, NULL);
}
