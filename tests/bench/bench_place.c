/* Planning 32,768 key groups over 1,000 workers: a JSON line for each question, the slowest policy, the
 * median of some runs. The time is the thread's own, so that other programs are not in it.
 *
 *   bench_place [RUNS]     21 runs
 */
#include "coordinator/coord_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS 1000u
#define UNITS   32768u
#define SIDE     32u /* tiles of each axis: UNITS are a cube */
#define RUNS_MAX 99

typedef struct bench {
    coord_place_worker workers[WORKERS];
    char labels[WORKERS][16];
    coord_place_unit units[UNITS];
    uint32_t after[UNITS];
    coord_place_step steps[UNITS];
    coord_place_near near[UNITS];
    df_placement hints;
    coord_place_input in;
} bench;

static bench b; /* too large for a stack */

static void need(df_status s, const df_error *err)
{
    if (s == DF_OK)
        return;
    fprintf(stderr, "bench_place: %s\n", err->text);
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static uint32_t spread_bits(uint32_t x)
{
    uint32_t spread = 0;

    for (uint32_t bit = 0; bit < 5; bit++)
        spread |= (x >> bit & 1) << 3 * bit;
    return spread;
}

static uint32_t unit_at(const uint32_t at[3])
{
    return spread_bits(at[0]) | spread_bits(at[1]) << 1 | spread_bits(at[2]) << 2;
}

/* The tiles of a cube, numbered along a Morton curve. */
static void lay_tiles(void)
{
    for (uint32_t i = 0; i < UNITS; i++) {
        uint32_t at[3] = { i % SIDE, i / SIDE % SIDE, i / SIDE / SIDE };
        uint32_t unit = unit_at(at);

        for (uint32_t a = 0; a < 3; a++)
            for (uint32_t side = 0; side < 2; side++) {
                uint32_t to[3] = { at[0], at[1], at[2] };

                to[a] += side == 0 ? UINT32_MAX : 1; /* below 0 it is no tile either */
                b.near[unit][2 * a + side] = to[a] < SIDE ? unit_at(to) : COORD_PLACE_NONE;
            }
    }
}

/* Weights that differ, some a lot; workers that all have told. */
static void reset(uint32_t owners)
{
    b.in = (coord_place_input){ b.workers, WORKERS, b.units, UNITS, &b.hints, 2000000, 1000000,
                                (const coord_place_near *)b.near };
    srand(1);
    for (uint32_t w = 0; w < WORKERS; w++) {
        snprintf(b.labels[w], sizeof b.labels[w], "w%u", w + 1);
        b.workers[w] = (coord_place_worker){ .id = w + 1, .label = b.labels[w], .host = "here",
                                             .threads = 1, .sampled_us = 1900000,
                                             .free_bytes = 1ull << 40, .load = 0.5 };
    }
    for (uint32_t u = 0; u < UNITS; u++)
        b.units[u] = (coord_place_unit){ .owner = owners == 0 ? COORD_PLACE_NONE
                                                              : (uint32_t)((uint64_t)u * owners / UNITS),
                                         .rows = 1000, .bytes = 32000 + (uint64_t)(rand() % 1000),
                                         .cost_ns = 10000 + (uint64_t)(rand() % 5000) };
}

static void fit(void)
{
    coord_place_outcome out;
    df_error err = { 0 };

    need(coord_place_fit(&b.in, b.after, &out, &err), &err);
}

static void balance(void)
{
    coord_place_outcome out;
    df_error err = { 0 };

    need(coord_place_balance(&b.in, b.after, &out, &err), &err);
}

static void waves(void)
{
    uint32_t count = coord_place_steps(&b.in, b.after, b.steps), waves;
    df_error err = { 0 };

    need(coord_place_waves(b.steps, count, coord_place_budget(b.units, UNITS, 0), &waves, &err), &err);
}

static int compare(const void *x, const void *y)
{
    double a = *(const double *)x, c = *(const double *)y;

    return (a > c) - (a < c);
}

static double median(void (*run)(void), uint32_t runs)
{
    double times[RUNS_MAX];

    for (uint32_t i = 0; i < runs; i++) {
        double begin = now_ms();

        run();
        times[i] = now_ms() - begin;
    }
    qsort(times, runs, sizeof *times, compare);
    return times[runs / 2];
}

static void tell(const char *name, double ms)
{
    printf("{\"bench\": \"rescale.plan.%s\", \"value\": %.3g, \"unit\": \"ms\", \"target\": 10, "
           "\"pass\": %s}\n", name, ms, ms <= 10 ? "true" : "false");
}

/* Each policy: the slowest. */
static double fit_all(uint32_t runs)
{
    double most = 0;

    for (uint32_t policy = 0; policy < 3; policy++) {
        double ms;

        b.hints.policy = (df_placing)policy;
        ms = median(fit, runs);
        most = ms > most ? ms : most;
    }
    b.hints.policy = DF_PLACE_LOCALITY;
    return most;
}

int main(int argc, char **argv)
{
    uint32_t runs = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 21;

    if (runs == 0 || runs > RUNS_MAX)
        return 2;
    lay_tiles();
    reset(0);
    tell("first", fit_all(runs));
    reset(500);
    tell("double", fit_all(runs));
    tell("waves", median(waves, runs));
    reset(999);
    tell("one_more", fit_all(runs));
    reset(1000);
    for (uint32_t w = 500; w < 1000; w++)
        b.workers[w].leaving = true;
    tell("half", fit_all(runs));
    reset(1000);
    for (uint32_t u = 0; u < UNITS; u++) /* a corner is ten times as busy */
        b.units[u].cost_ns *= u < UNITS / 8 ? 10 : 1;
    tell("balance", median(balance, runs));
    reset(1);
    for (uint32_t u = 0; u < WORKERS; u++) /* one has nearly all */
        b.units[UNITS - 1 - u].owner = u;
    tell("balance_one", median(balance, runs));
    return 0;
}
