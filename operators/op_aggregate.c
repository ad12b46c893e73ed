/* Aggregate: count, sum, mean, min, max and variance of columns, over all rows or by group.
 *
 * Two phases. Each key group reduces its own rows to one partial row per group (a combiner), which
 * travels; then the partial rows of a group meet.
 *
 * Order: within a key group, the rows of one group are taken in row order, the i-th in lane i mod 16
 * (kern_reduce.h); partial rows meet in the fixed tree over key-group numbers. Several streams of one
 * list count as one key group each, in the list's order, before that tree. */
#include "dataflow/weir/operator.h"
#include "kernels/kern_reduce.h"
#include "kernels/kern_sort.h"

#include <ctype.h>
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

static const char *const aggregate_names[] = { "count", "sum", "mean", "min", "max", "var" };

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

static const weir_option aggregate_options[] = {
    { .name = "by", .help = "the column of whole numbers to group by; without it, all rows",
      .type = WEIR_COLUMN, .value = "", .offset = offsetof(aggregate, by) },
    { .name = "compute", .help = "compute.NAME = \"count()\", or sum, mean, min, max, var (of the "
      "population) of a column", .type = WEIR_COMPUTE, .offset = offsetof(aggregate, compute) },
    { 0 },
};

/* ---- plan ---- */

/* Cut "name(argument)" in two; spaces are allowed around both. */
static bool aggregate_parse(const char *text, char name[WEIR_NAME_MAX], char argument[WEIR_NAME_MAX])
{
    char *to = name;
    size_t used = 0;

    for (; *text != '\0'; text++) {
        if (isspace((unsigned char)*text))
            continue;
        if (*text == '(' && to == name) {
            name[used] = '\0';
            to = argument;
            used = 0;
        } else if (*text == ')' && to == argument) {
            argument[used] = '\0';
            for (text++; isspace((unsigned char)*text); text++)
                ;
            return *text == '\0';
        } else if (used + 1 < WEIR_NAME_MAX) {
            to[used++] = *text;
        } else {
            return false;
        }
    }
    return false;
}

static weir_type aggregate_result(const aggregate_item *item)
{
    switch (item->function) {
    case AGGREGATE_COUNT:
        return WEIR_U64;
    case AGGREGATE_SUM:
        return item->type == WEIR_F32 || item->type == WEIR_F64   ? WEIR_F64
               : item->type == WEIR_I32 || item->type == WEIR_I64 ? WEIR_I64
                                                                  : WEIR_U64;
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
        return item->type;
    default:
        return WEIR_F64;
    }
}

static weir_status aggregate_plan_item(weir_plan *plan, const weir_compute *compute,
                                       aggregate_item *item)
{
    char name[WEIR_NAME_MAX], argument[WEIR_NAME_MAX], key[WEIR_NAME_MAX + 16] = "compute.";
    uint32_t f = 0;

    strncat(key, compute->name, WEIR_NAME_MAX);
    if (!aggregate_parse(compute->text, name, argument))
        return weir_plan_error(plan, key, "\"%s\" must be count(), or sum, mean, min, max or var of "
                               "one column, as in \"mean(vx)\"", compute->text);
    while (f < AGGREGATE_FUNCTIONS && strcmp(aggregate_names[f], name) != 0)
        f++;
    if (f == AGGREGATE_FUNCTIONS)
        return weir_plan_error(plan, key, "unknown function \"%s\": there are count, sum, mean, min, "
                               "max, var", name);
    item->function = (aggregate_function)f;
    item->column = -1;
    if ((f == AGGREGATE_COUNT) != (argument[0] == '\0'))
        return weir_plan_error(plan, key, f == AGGREGATE_COUNT ? "count() takes no column"
                                                               : "%s needs a column", name);
    if (f != AGGREGATE_COUNT) {
        item->column = weir_plan_column(plan, 0, argument, 0);
        if (item->column < 0)
            return WEIR_FAILED;
        item->type = weir_plan_input(plan, 0)->columns[item->column].type;
    }
    item->out = weir_plan_add(plan, 0, compute->name, aggregate_result(item));
    return WEIR_OK;
}

static weir_status aggregate_plan_by(weir_plan *plan, aggregate *self)
{
    self->by_column = weir_plan_column(plan, 0, self->by, 0);
    if (self->by_column < 0)
        return WEIR_FAILED;
    self->by_type = weir_plan_input(plan, 0)->columns[self->by_column].type;
    if (self->by_type == WEIR_F32 || self->by_type == WEIR_F64)
        return weir_plan_error(plan, "by", "column %s is %s: rows are grouped by whole numbers",
                               self->by, weir_type_name(self->by_type));
    self->by_out = weir_plan_add(plan, 0, self->by, self->by_type);
    weir_plan_exchange(plan, 0, WEIR_KEY_BY, self->by_column);
    return WEIR_OK;
}

static weir_status aggregate_plan(weir_plan *plan, void *options)
{
    aggregate *self = options;
    weir_status status = WEIR_OK;

    self->by_column = -1;
    if (self->by != NULL)
        status = aggregate_plan_by(plan, self);
    self->items = weir_plan_alloc(plan, (self->compute.count + 1) * sizeof *self->items);
    if (self->items == NULL)
        return weir_plan_error(plan, "", "out of memory");
    for (uint32_t i = 0; i < self->compute.count; i++)
        if (aggregate_plan_item(plan, &self->compute.items[i], &self->items[i]) != WEIR_OK)
            status = WEIR_FAILED;
    self->words = 1 + 3 * self->compute.count;
    if (self->words > WEIR_COLUMNS_MAX)
        return weir_plan_error(plan, "compute", "at most %d values can be computed at once",
                               (WEIR_COLUMNS_MAX - 1) / 3);
    for (uint32_t w = 0; w < self->words; w++) {
        char name[16] = { 'p', (char)('0' + w / 10), (char)('0' + w % 10), '\0' };
        weir_plan_partial(plan, name, WEIR_U64);
    }
    return status;
}

/* ---- words of a partial row ---- */

static uint64_t aggregate_bits(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double aggregate_real(uint64_t bits)
{
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static kern_total aggregate_total(const uint64_t *w)
{
    return (kern_total){ .real = aggregate_real(w[0]), .whole = { .low = w[1], .high = w[2] } };
}

static kern_moments aggregate_moments(const uint64_t *w)
{
    return (kern_moments){ .count = w[0], .mean = aggregate_real(w[1]), .m2 = aggregate_real(w[2]) };
}

static void aggregate_put_total(uint64_t *w, kern_total t)
{
    w[0] = aggregate_bits(t.real);
    w[1] = t.whole.low;
    w[2] = t.whole.high;
}

static void aggregate_put_moments(uint64_t *w, kern_moments m)
{
    w[0] = m.count;
    w[1] = aggregate_bits(m.mean);
    w[2] = aggregate_bits(m.m2);
}

/* ---- combine: the rows of one key group ---- */

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

static weir_status aggregate_combine(weir_task *task)
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

/* ---- process: the partial rows of each group ---- */

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
    weir_type type = aggregate_result(item);

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

static weir_status aggregate_process(weir_task *task)
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

const weir_operator op_aggregate = {
    .api_version = WEIR_API_VERSION,
    .name = "aggregate",
    .help = "count, sum, mean, min, max, var of columns, over all rows or by group",
    .role = WEIR_AGGREGATE,
    .inputs = { { "in", WEIR_GATHER, "any rows" } },
    .outputs = { "out" },
    .options_size = sizeof(aggregate),
    .options = aggregate_options,
    .plan = aggregate_plan,
    .combine = aggregate_combine,
    .process = aggregate_process,
};
