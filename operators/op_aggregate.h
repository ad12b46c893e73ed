/* What the files of the kind "aggregate" share: op_aggregate.c plans, op_aggregate_combine.c makes partial rows,
 * op_aggregate_meet.c brings them together. */
#ifndef OP_AGGREGATE_H
#define OP_AGGREGATE_H

#include "dataflow/weir/operator.h"
#include "kernels/kern_reduce.h"

#include <string.h>

typedef enum aggregate_function {
    AGGREGATE_COUNT,
    AGGREGATE_SUM,
    AGGREGATE_MEAN,
    AGGREGATE_MIN,
    AGGREGATE_MAX,
    AGGREGATE_VAR,
    AGGREGATE_FUNCTIONS,
} aggregate_function;

typedef struct aggregate_item {
    aggregate_function function;
    int column;        /* of the input; -1: count() */
    weir_type type;    /* of that column */
    int out;
} aggregate_item;

typedef struct aggregate {
    const char *by;
    weir_computes compute;
    /* from the plan */
    int by_column, by_out;
    weir_type by_type;
    aggregate_item *items;
    uint32_t words; /* of a partial row: the count, then three per item */
} aggregate;

/* The type of what an item computes. */
weir_type op_aggregate_result(const aggregate_item *item);
weir_status op_aggregate_combine(weir_task *task);
weir_status op_aggregate_process(weir_task *task);

/* Words of a partial row: an item's three. */

static inline uint64_t aggregate_bits(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double aggregate_real(uint64_t bits)
{
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline kern_total aggregate_total(const uint64_t *w)
{
    return (kern_total){ .real = aggregate_real(w[0]), .whole = { .low = w[1], .high = w[2] } };
}

static inline kern_moments aggregate_moments(const uint64_t *w)
{
    return (kern_moments){ .count = w[0], .mean = aggregate_real(w[1]), .m2 = aggregate_real(w[2]) };
}

static inline void aggregate_put_total(uint64_t *w, kern_total t)
{
    w[0] = aggregate_bits(t.real);
    w[1] = t.whole.low;
    w[2] = t.whole.high;
}

static inline void aggregate_put_moments(uint64_t *w, kern_moments m)
{
    w[0] = m.count;
    w[1] = aggregate_bits(m.mean);
    w[2] = aggregate_bits(m.m2);
}

#endif
