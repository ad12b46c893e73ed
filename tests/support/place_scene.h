/* Workers and units for tests of placement, and the questions with what every answer must keep. */
#ifndef SUPPORT_PLACE_SCENE_H
#define SUPPORT_PLACE_SCENE_H

#include "coordinator/coord_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORKERS_MAX 64
#ifndef UNITS_MAX /* a test may need more */
#define UNITS_MAX 4096
#endif

static const df_placement no_hints = { .policy = DF_PLACE_LOCALITY };

typedef struct scene {
    coord_place_worker workers[WORKERS_MAX];
    coord_place_unit units[UNITS_MAX];
    uint32_t after[UNITS_MAX];
    char labels[WORKERS_MAX][16];
    df_placement hints;
    coord_place_input in;
    coord_place_outcome out;
} scene;

static scene s; /* too large for a stack */

static inline void scene_init(uint32_t workers, uint32_t units)
{
    memset(&s, 0, sizeof s);
    s.hints = no_hints;
    s.in = (coord_place_input){ s.workers, workers, s.units, units, &s.hints, 10000000, 1000000, NULL };
    for (uint32_t w = 0; w < workers; w++) {
        snprintf(s.labels[w], sizeof s.labels[w], "w%u", w + 1);
        s.workers[w] = (coord_place_worker){ .id = w + 1, .label = s.labels[w], .host = "here",
                                             .threads = 1, .sampled_us = 9900000 };
    }
    for (uint32_t u = 0; u < units; u++)
        s.units[u] = (coord_place_unit){ .owner = COORD_PLACE_NONE, .rows = 10, .bytes = 1000 };
}

static inline uint32_t random_below(uint32_t n)
{
    return (uint32_t)rand() % n;
}

static inline void fit(void)
{
    df_error err = { 0 };

    if (coord_place_fit(&s.in, s.after, &s.out, &err) != DF_OK)
        fail_msg("%s", err.text);
}

static inline void balance(void)
{
    df_error err = { 0 };

    if (coord_place_balance(&s.in, s.after, &s.out, &err) != DF_OK)
        fail_msg("%s", err.text);
}

static inline void adopt(void)
{
    for (uint32_t u = 0; u < s.in.unit_count; u++) {
        assert_true(s.after[u] < s.in.worker_count);
        s.units[u].owner = s.after[u];
    }
}

static inline void count_units(uint32_t *counts)
{
    memset(counts, 0, WORKERS_MAX * sizeof *counts);
    for (uint32_t u = 0; u < s.in.unit_count; u++) {
        assert_true(s.after[u] < s.in.worker_count);
        counts[s.after[u]]++;
    }
}

/* Places where the owner changes along the curve, and the end. */
static inline uint32_t count_runs(const uint32_t *owners, uint32_t owner)
{
    uint32_t runs = 0;

    for (uint32_t u = 0; u < s.in.unit_count; u++)
        runs += owners[u] == owner && (u == 0 || owners[u - 1] != owner);
    return runs;
}

#endif
