/* The partial rows of a group meet, and what was asked for is read from them. */
#include "kernels/kern_sort.h"
#include "operators/op_aggregate.h"

/* *left becomes left combined with right (kern_combine). */
static void aggregate_add(void *left, const void *right, void *user)
{
    const aggregate *self = user;
    uint64_t *a = left;
    const uint64_t *b = right;

    a[0] += b[0];
    for (uint32_t i = 0; i < self->compute.count; i++) {
        uint64_t *x = a + 1 + 3 * i;
        const uint64_t *y = b + 1 + 3 * i;
        kern_type type = (kern_type)self->items[i].type;
        kern_value p = { .u64 = x[0] }, q = { .u64 = y[0] };

        switch (self->items[i].function) {
        case AGGREGATE_SUM:
        case AGGREGATE_MEAN:
            aggregate_put_total(x, kern_total_add(aggregate_total(x), aggregate_total(y)));
            break;
        case AGGREGATE_MIN:
            x[0] = kern_value_min(p, q, type).u64;
            break;
        case AGGREGATE_MAX:
            x[0] = kern_value_max(p, q, type).u64;
            break;
        case AGGREGATE_VAR:
            aggregate_put_moments(x, kern_moments_add(aggregate_moments(x), aggregate_moments(y)));
            break;
        default:
            break;
        }
    }
}

static void aggregate_store(void *column, weir_type type, uint32_t row, uint64_t bits)
{
    double real = aggregate_real(bits);

    switch (type) {
    case WEIR_F32:
        ((float *)column)[row] = (float)real;
        break;
    case WEIR_F64:
        ((double *)column)[row] = real;
        break;
    case WEIR_I32:
    case WEIR_U32:
        ((uint32_t *)column)[row] = (uint32_t)bits;
        break;
    case WEIR_U8:
        ((uint8_t *)column)[row] = (uint8_t)bits;
        break;
    default:
        ((uint64_t *)column)[row] = bits;
        break;
    }
}

/* Whether an integer total fits into 64 bits of its result's type. */
static bool aggregate_fits(kern_total t, weir_type type)
{
    if (type == WEIR_F64)
        return true;
    if (type == WEIR_U64)
        return t.whole.high == 0;
    return t.whole.high == 0 - (t.whole.low >> 63);
}

/* The combined rows of all groups, ascending: words[k][row]. */
typedef struct aggregate_rows {
    uint32_t count;
    const uint64_t *groups;
    const uint64_t *words[WEIR_COLUMNS_MAX];
} aggregate_rows;

/* The result of an item from its words. False: it does not fit. */
static bool aggregate_value(const aggregate_item *item, weir_type type, uint64_t count,
                            const uint64_t w[3], uint64_t *bits)
{
    *bits = w[0];
    if (item->function == AGGREGATE_COUNT)
        *bits = count;
    else if (item->function == AGGREGATE_MEAN)
        *bits = aggregate_bits(kern_total_f64(aggregate_total(w), (kern_type)item->type) / (double)count);
    else if (item->function == AGGREGATE_VAR)
        *bits = aggregate_bits(aggregate_moments(w).m2 / (double)count);
    else if (item->function == AGGREGATE_SUM && type != WEIR_F64)
        *bits = w[1];
    return item->function != AGGREGATE_SUM || aggregate_fits(aggregate_total(w), type);
}

static weir_status aggregate_finish_item(weir_task *task, const aggregate *self, uint32_t index,
                                         const aggregate_rows *rows, weir_batch *out)
{
    const aggregate_item *item = &self->items[index];
    const uint64_t *const *words = rows->words + 1 + 3 * (size_t)index;
    weir_type type = op_aggregate_result(item);

    for (uint32_t row = 0; row < rows->count; row++) {
        const uint64_t w[3] = { words[0][row], words[1][row], words[2][row] };
        uint64_t bits;
        if (!aggregate_value(item, type, rows->words[0][row], w, &bits))
            return weir_fail(task, row, "%s does not fit into %s", self->compute.items[index].name,
                             weir_type_name(type));
        aggregate_store(out->columns[item->out], type, row, bits);
    }
    return WEIR_OK;
}

/* Column by column. All items are tried: of what fails, the first row is reported. */
static weir_status aggregate_finish(weir_task *task, const aggregate *self,
                                    const aggregate_rows *rows, weir_batch *out)
{
    weir_status status = WEIR_OK;

    out->row_count = rows->count;
    memcpy(out->keys, rows->groups, rows->count * sizeof *out->keys);
    for (uint32_t row = 0; self->by_column >= 0 && row < rows->count; row++)
        aggregate_store(out->columns[self->by_out], self->by_type, row, rows->groups[row]);
    for (uint32_t i = 0; i < self->compute.count; i++)
        if (aggregate_finish_item(task, self, i, rows, out) != WEIR_OK)
            status = WEIR_FAILED;
    return status;
}

typedef struct aggregate_partial {
    uint64_t group;
    uint32_t batch, row;
} aggregate_partial;

/* list by group; rows of one group keep their order, which is that of their batches. */
static aggregate_partial *aggregate_sort_partial(weir_task *task, const aggregate_partial *list,
                                                 uint32_t count)
{
    kern_pair *pairs = weir_scratch(task, 2ull * count * sizeof *pairs);
    aggregate_partial *sorted = weir_scratch(task, count * sizeof *sorted);

    if (pairs == NULL || sorted == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        pairs[i] = (kern_pair){ .key = list[i].group, .value = i };
    kern_sort_pairs(pairs, pairs + count, count);
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = list[pairs[i].value];
    return sorted;
}

/* All partial rows by group, then by batch. Null: out of memory. */
static aggregate_partial *aggregate_list(weir_task *task, uint32_t *count)
{
    const weir_input *in = &task->inputs[0];
    aggregate_partial *list;
    uint32_t n = 0, at = 0;
    bool sorted = true;

    for (uint32_t b = 0; b < in->batch_count; b++)
        n += in->batches[b]->row_count;
    list = weir_scratch(task, n * sizeof *list);
    for (uint32_t b = 0; list != NULL && b < in->batch_count; b++)
        for (uint32_t r = 0; r < in->batches[b]->row_count; r++, at++) {
            list[at] = (aggregate_partial){ in->batches[b]->keys[r], b, r };
            sorted &= at == 0 || list[at - 1].group <= list[at].group;
        }
    *count = n;
    return list == NULL || sorted ? list : aggregate_sort_partial(task, list, n);
}

static void aggregate_read(const aggregate *self, const weir_batch *in, uint32_t row, uint64_t *w)
{
    for (uint32_t k = 0; k < self->words; k++)
        w[k] = ((const uint64_t *)in->columns[k])[row];
}

/* Combine the partial rows list[begin, end) of one group: same key group first, then the tree. */
static const uint64_t *aggregate_meet(weir_task *task, const aggregate *self,
                                      const aggregate_partial *list, uint32_t begin, uint32_t end,
                                      uint64_t *values)
{
    const weir_batch *const *batches = task->inputs[0].batches;
    uint64_t *sum = values + KERN_TREE_DEPTH * self->words, *more = sum + self->words;
    kern_tree tree;

    kern_tree_init(&tree, values, self->words * sizeof *values, aggregate_add,
                   (void *)(uintptr_t)self);
    for (uint32_t i = begin; i < end;) {
        uint32_t group = batches[list[i].batch]->key_group;
        aggregate_read(self, batches[list[i].batch], list[i].row, sum);
        for (i++; i < end && batches[list[i].batch]->key_group == group; i++) {
            aggregate_read(self, batches[list[i].batch], list[i].row, more);
            aggregate_add(sum, more, (void *)(uintptr_t)self);
        }
        kern_tree_put(&tree, group, sum);
    }
    return kern_tree_end(&tree);
}

/* The partial rows of one key group are the groups already, if nobody else has any. */
static bool aggregate_alone(const weir_input *in, aggregate_rows *rows)
{
    const weir_batch *only = in->batch_count == 1 ? in->batches[0] : NULL;

    for (uint32_t i = 1; only != NULL && i < only->row_count; i++)
        if (only->keys[i] <= only->keys[i - 1])
            return false;
    if (only == NULL)
        return false;
    rows->count = only->row_count;
    rows->groups = only->keys;
    for (uint32_t k = 0; k < only->schema->column_count; k++)
        rows->words[k] = only->columns[k];
    return true;
}

/* Combine the partial rows of each group. False: out of memory. */
static bool aggregate_meet_all(weir_task *task, const aggregate *self, aggregate_rows *rows)
{
    uint32_t count = 0;
    aggregate_partial *list = aggregate_list(task, &count);
    uint64_t *values = weir_scratch(task, (KERN_TREE_DEPTH + 2) * self->words * sizeof *values);
    uint64_t *groups = weir_scratch(task, count * sizeof *groups), *words[WEIR_COLUMNS_MAX];

    for (uint32_t k = 0; k < self->words; k++) {
        rows->words[k] = words[k] = weir_scratch(task, count * sizeof *words[k]);
        if (words[k] == NULL)
            return false;
    }
    if (list == NULL || values == NULL || groups == NULL)
        return false;
    rows->count = 0;
    rows->groups = groups;
    for (uint32_t begin = 0, end; begin < count; begin = end, rows->count++) {
        const uint64_t *sum;
        for (end = begin + 1; end < count && list[end].group == list[begin].group; end++)
            ;
        sum = aggregate_meet(task, self, list, begin, end, values);
        groups[rows->count] = list[begin].group;
        for (uint32_t k = 0; k < self->words; k++)
            words[k][rows->count] = sum[k];
    }
    return true;
}

/* Whether "no rows at all" has an answer: a count and a sum are 0, a mean is nothing. */
static bool aggregate_zero_is_answer(const aggregate *self)
{
    for (uint32_t i = 0; i < self->compute.count; i++)
        if (self->items[i].function != AGGREGATE_COUNT && self->items[i].function != AGGREGATE_SUM)
            return false;
    return self->by_column < 0;
}

weir_status op_aggregate_process(weir_task *task)
{
    static const uint64_t zero;
    const aggregate *self = task->options;
    aggregate_rows rows;
    weir_batch *out;

    if (!aggregate_alone(&task->inputs[0], &rows) && !aggregate_meet_all(task, self, &rows))
        return WEIR_FAILED;
    if (rows.count == 0 && aggregate_zero_is_answer(self)) {
        rows.count = 1;
        rows.groups = &zero;
        for (uint32_t k = 0; k < self->words; k++)
            rows.words[k] = &zero;
    }
    out = weir_output(task, 0, rows.count);
    return out == NULL ? WEIR_FAILED : aggregate_finish(task, self, &rows, out);
}
