/* What the programs share that read when a job's lines come. */
#ifndef BENCH_LINES_H
#define BENCH_LINES_H

#include <time.h>

/* Seconds. */
static inline double bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* For qsort, of doubles. */
static inline int bench_by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

#endif
