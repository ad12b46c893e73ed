/* How long things took that are short and many: a histogram whose buckets are powers of two, so that to count
 * one takes a few instructions.
 *
 * Bucket i has what took at most 1024 << i nanoseconds and more than the bucket below it: 1.024 us, 2.048 us, ...,
 * 4.29 s. The last one has what took longer. */
#ifndef DF_SPANS_H
#define DF_SPANS_H

#include <stdint.h>

#define DF_SPANS_BUCKETS 24u
#define DF_SPANS_FIRST   10u /* the first bucket's bound is 2 to the power of it */

typedef struct df_spans {
    uint64_t nanoseconds; /* the sum */
    uint64_t buckets[DF_SPANS_BUCKETS];
} df_spans;

/* How many bits there are above the first bucket's bound, without a branch: one bit more is kept, and set. */
static inline uint32_t df_spans_bucket(uint64_t nanoseconds)
{
    uint64_t above = (nanoseconds - (nanoseconds > 0)) >> (DF_SPANS_FIRST - 1) | 1;
    uint32_t bucket = 63 - (uint32_t)__builtin_clzll(above);

    return bucket < DF_SPANS_BUCKETS ? bucket : DF_SPANS_BUCKETS - 1;
}

/* Of any bucket but the last. */
static inline uint64_t df_spans_bound(uint32_t bucket)
{
    return 1ull << (DF_SPANS_FIRST + bucket);
}

static inline void df_spans_put(df_spans *spans, uint64_t nanoseconds)
{
    spans->buckets[df_spans_bucket(nanoseconds)]++;
    spans->nanoseconds += nanoseconds;
}

static inline void df_spans_add(df_spans *to, const df_spans *more)
{
    to->nanoseconds += more->nanoseconds;
    for (uint32_t i = 0; i < DF_SPANS_BUCKETS; i++)
        to->buckets[i] += more->buckets[i];
}

/* How many there were. */
static inline uint64_t df_spans_count(const df_spans *spans)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < DF_SPANS_BUCKETS; i++)
        count += spans->buckets[i];
    return count;
}

#endif
