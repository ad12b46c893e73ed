/* Time per row of the pair kernels alone, one thread, one line per case. Not a test.
 *
 *   bench_kernels [seconds per case [name of the only case]] */
#include "kernels/kern_boids.h"
#include "kernels/kern_lj.h"
#include "tests/support/cell_scene.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static const char *only;

typedef void bench_call(const void *params, const kern_halo *halo, float *const *out,
                        void *scratch);

static void call_boids(const void *params, const kern_halo *halo, float *const *out, void *scratch)
{
    kern_boids(params, halo, out, scratch);
}

static void call_lj(const void *params, const kern_halo *halo, float *const *out, void *scratch)
{
    kern_lj(params, halo, out, scratch);
}

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The median over passes through all tiles. */
static void measure(const char *name, const scene *s, bench_call *call, const void *params,
                    size_t (*scratch_size)(const kern_halo *), double seconds)
{
    enum { PASSES_MAX = 1000 };
    double ns[PASSES_MAX], start = now_ns();
    float *out[6];
    void *scratch;
    size_t size_max = 0, rows_max = 0;
    int passes = 0;
    kern_halo *halos = malloc(s->tile_count * sizeof *halos);

    for (uint32_t t = 0; t < s->tile_count; t++) {
        scene_halo(s, t, &halos[t]);
        size_max = scratch_size(&halos[t]) > size_max ? scratch_size(&halos[t]) : size_max;
        rows_max =
            halos[t].tiles[13].row_count > rows_max ? halos[t].tiles[13].row_count : rows_max;
    }
    scratch = scene_alloc(size_max);
    for (int c = 0; c < 6; c++)
        out[c] = scene_alloc(rows_max * sizeof(float));
    do {
        double begin = now_ns();

        for (uint32_t t = 0; t < s->tile_count; t++)
            call(params, &halos[t], out, scratch);
        ns[passes++] = (now_ns() - begin) / s->options.row_count;
    } while (passes < 3 || (passes < PASSES_MAX && now_ns() - start < seconds * 1e9));
    qsort(ns, (size_t)passes, sizeof *ns, compare_doubles);
    printf("{\"bench\": \"%s\", \"rows\": %u, \"tiles\": %u, \"lanes\": %d, \"ns_per_row\": %.2f, "
           "\"min\": %.2f}\n",
           name, s->options.row_count, s->tile_count, KERN_LANES, ns[passes / 2], ns[0]);
    for (int c = 0; c < 6; c++)
        free(out[c]);
    free(scratch);
    free(halos);
}

static void bench_boids(const char *name, uint32_t rows, float neighbours, bool periodic,
                        uint32_t tiles, double seconds)
{
    float radius = 0.05f;
    float edge =
        cbrtf((float)rows * 4.0f / 3.0f * 3.14159265f * radius * radius * radius / neighbours);
    uint32_t cells = (uint32_t)(edge / (radius * 1.00001f));
    kern_boids_params p = {
        .radius = radius,
        .separation_radius = 0.01f,
        .scale = 0.15f,
        .steer = 0.055f,
        .collision = 10.0f,
        .match = 0.015f,
        .speed_min = 0.5f,
        .speed_max = 1.0f,
        .wall_distance = 0.1f,
        .wall_steer = 0.05f,
        .dt = 0.0005f,
        .size = { edge, edge, edge },
    };
    scene_options o = { .row_count = rows,
                        .axis_count = 3,
                        .size = { edge, edge, edge },
                        .periodic = { periodic, periodic, periodic },
                        .cells = { cells, cells, cells },
                        .tiles = { tiles, tiles, tiles } };
    scene s;

    if (only != NULL && strcmp(only, name) != 0)
        return;
    for (int axis = 0; axis < 3; axis++)
        p.edge[axis] = periodic ? KERN_EDGE_PERIODIC : KERN_EDGE_CLOSED;
    scene_init(&s, &o, 1);
    scene_cut(&s);
    measure(name, &s, call_boids, &p, kern_boids_scratch_size, seconds);
    scene_fini(&s);
}

/* The melt's lattice, shaken enough to look like its liquid. */
static void bench_lj(const char *name, uint32_t lattice, uint32_t tiles, double seconds)
{
    float constant = cbrtf(4.0f / 0.8442f), edge = constant * (float)lattice;
    uint32_t cells = (uint32_t)(edge / 2.50003f), key = 0;
    kern_lj_params p = { .epsilon = 1.0f, .sigma = 1.0f, .cutoff = 2.5f };
    scene_options o = { .row_count = 4 * lattice * lattice * lattice,
                        .axis_count = 3,
                        .size = { edge, edge, edge },
                        .periodic = { true, true, true },
                        .cells = { cells, cells, cells },
                        .tiles = { tiles, tiles, tiles } };
    static const float basis[4][3] = {
        { 0, 0, 0 }, { .5f, .5f, 0 }, { .5f, 0, .5f }, { 0, .5f, .5f }
    };
    uint64_t seed = 7;
    scene s;

    if (only != NULL && strcmp(only, name) != 0)
        return;
    scene_init(&s, &o, 1);
    for (uint32_t c = 0; c < lattice * lattice * lattice; c++) {
        uint32_t at[3] = { c % lattice, c / lattice % lattice, c / lattice / lattice };

        for (int b = 0; b < 4; b++, key++)
            for (int axis = 0; axis < 3; axis++) {
                float x =
                    ((float)at[axis] + basis[b][axis] + 0.2f * (scene_uniform(&seed) - 0.5f)) *
                    constant;

                s.rows[axis][key] = x < 0 ? x + edge : x >= edge ? x - edge : x;
            }
    }
    scene_cut(&s);
    measure(name, &s, call_lj, &p, kern_lj_scratch_size, seconds);
    scene_fini(&s);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1.0;

    only = argc > 2 ? argv[2] : NULL;
    bench_boids("boids.sparse", 1000000, 2.1f, false, 6, seconds);
    bench_boids("boids.sparse.periodic", 200000, 2.1f, true, 4, seconds);
    bench_boids("boids.dense", 1000000, 30.0f, false, 6, seconds);
    bench_lj("lj.256k", 40, 6, seconds);
    bench_lj("lj.32k", 20, 4, seconds);
    return 0;
}
