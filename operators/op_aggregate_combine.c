/* The rows of one key group become one partial row for each group that they are of. */
#include "kernels/kern_sort.h"
#include "operators/op_aggregate.h"

/* One item over `count` >= 1 values that stand together. */
static void aggregate_reduce(const aggregate_item *item, const void *values, uint32_t count,
                             uint64_t *w)
{
    kern_type type = (kern_type)item->type;

    switch (item->function) {
    case AGGREGATE_SUM:
    case AGGREGATE_MEAN:
        aggregate_put_total(w, kern_column_sum(values, type, count));
        break;
    case AGGREGATE_MIN:
        w[0] = kern_column_min(values, type, count).u64;
        break;
    case AGGREGATE_MAX:
        w[0] = kern_column_max(values, type, count).u64;
        break;
    case AGGREGATE_VAR:
        aggregate_put_moments(w, kern_column_moments(values, type, count));
        break;
    default:
        break;
    }
}

static uint64_t aggregate_group(const aggregate *self, const weir_batch *in, uint32_t row)
{
    const void *values = in->columns[self->by_column];

    switch (self->by_type) {
    case WEIR_U8:
        return ((const uint8_t *)values)[row];
    case WEIR_U32:
        return ((const uint32_t *)values)[row];
    case WEIR_I32:
        return (uint64_t)(int64_t)((const int32_t *)values)[row];
    default:
        return ((const uint64_t *)values)[row];
    }
}

/* The rows of one group, which stand together: [begin, end). */
typedef struct aggregate_span {
    uint64_t group;
    uint32_t begin, end;
} aggregate_span;

typedef struct aggregate_spans {
    uint32_t count;
    aggregate_span *list;     /* by group */
    const uint32_t *order;    /* the rows in order of group; null: as they are */
} aggregate_spans;

/* One span per run of equal groups. */
static bool aggregate_runs(weir_task *task, const aggregate *self, const weir_batch *in,
                           aggregate_spans *spans, bool *sorted)
{
    weir_runs runs;

    if (!weir_column_runs(task, 0, (uint32_t)self->by_column, &runs))
        return false;
    spans->list = weir_scratch(task, (runs.count + 1) * sizeof *spans->list);
    if (spans->list == NULL)
        return false;
    for (uint32_t r = 0; r < runs.count; r++)
        spans->list[r] = (aggregate_span){ .group = aggregate_group(self, in, runs.begins[r]),
                                           .begin = runs.begins[r], .end = runs.begins[r + 1] };
    spans->count = runs.count;
    *sorted = runs.ascending;
    return true;
}

/* One span per group, over the rows sorted by group; rows of one group keep their order. */
static bool aggregate_sort(weir_task *task, const aggregate *self, const weir_batch *in,
                           aggregate_spans *spans)
{
    uint32_t n = in->row_count;
    kern_pair *rows = weir_scratch(task, 2ull * n * sizeof *rows);
    uint32_t *order = weir_scratch(task, n * sizeof *order);

    if (rows == NULL || order == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++)
        rows[i] = (kern_pair){ .key = aggregate_group(self, in, i), .value = i };
    kern_sort_pairs(rows, rows + n, n);
    spans->count = 0;
    for (uint32_t i = 0; i < n; i++) {
        order[i] = rows[i].value;
        if (i == 0 || rows[i].key != rows[i - 1].key)
            spans->list[spans->count++] = (aggregate_span){ .group = rows[i].key, .begin = i };
        spans->list[spans->count - 1].end = i + 1;
    }
    spans->order = order;
    return true;
}

/* The groups of a key group's rows; rows that stand together by group are not touched. */
static bool aggregate_find(weir_task *task, const aggregate *self, const weir_batch *in,
                           aggregate_spans *spans)
{
    bool sorted = true;

    *spans = (aggregate_spans){ 0 };
    if (self->by_column >= 0)
        return aggregate_runs(task, self, in, spans, &sorted) &&
               (sorted || aggregate_sort(task, self, in, spans));
    spans->list = weir_scratch(task, sizeof *spans->list);
    if (spans->list == NULL)
        return false;
    spans->count = in->row_count > 0;
    spans->list[0] = (aggregate_span){ .group = 0, .begin = 0, .end = in->row_count };
    return true;
}

/* Write one item of all groups. */
static weir_status aggregate_combine_item(weir_task *task, const aggregate *self, uint32_t item,
                                          const aggregate_spans *spans, weir_batch *out)
{
    const weir_batch *in = task->inputs[0].batches[0];
    const aggregate_item *it = &self->items[item];
    size_t size = it->column < 0 ? 0 : weir_type_size(it->type);
    const char *values = it->column < 0 ? NULL : in->columns[it->column];

    if (it->column >= 0 && spans->order != NULL) {
        char *copy = weir_scratch(task, in->row_count * size);
        if (copy == NULL)
            return WEIR_FAILED;
        for (uint32_t i = 0; i < in->row_count; i++)
            memcpy(copy + i * size, values + spans->order[i] * size, size);
        values = copy;
    }
    for (uint32_t s = 0; s < spans->count; s++) {
        const aggregate_span *span = &spans->list[s];
        uint64_t w[3] = { 0 };
        if (it->column >= 0)
            aggregate_reduce(it, values + span->begin * size, span->end - span->begin, w);
        for (uint32_t k = 0; k < 3; k++)
            ((uint64_t *)out->columns[1 + 3 * item + k])[s] = w[k];
    }
    return WEIR_OK;
}

weir_status op_aggregate_combine(weir_task *task)
{
    const aggregate *self = task->options;
    aggregate_spans spans;
    weir_batch *out;

    if (!aggregate_find(task, self, task->inputs[0].batches[0], &spans))
        return WEIR_FAILED;
    out = weir_output(task, 0, spans.count);
    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t s = 0; s < spans.count; s++) {
        out->keys[s] = spans.list[s].group;
        ((uint64_t *)out->columns[0])[s] = spans.list[s].end - spans.list[s].begin;
    }
    for (uint32_t i = 0; i < self->compute.count; i++)
        if (aggregate_combine_item(task, self, i, &spans, out) != WEIR_OK)
            return WEIR_FAILED;
    return WEIR_OK;
}
