/* Aggregate: count, sum, mean, min, max and variance of columns, over all rows or by group.
 *
 * Two phases. Each key group reduces its own rows to one partial row per group (a combiner), which
 * travels; then the partial rows of a group meet.
 *
 * Order: within a key group, the rows of one group are taken in row order, the i-th in lane i mod 16
 * (kern_reduce.h); partial rows meet in the fixed tree over key-group numbers. Several streams of one
 * list count as one key group each, in the list's order, before that tree. */
#include "operators/op_aggregate.h"

#include <ctype.h>

static const char *const aggregate_names[] = { "count", "sum", "mean", "min", "max", "var" };

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

weir_type op_aggregate_result(const aggregate_item *item)
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
    item->out = weir_plan_add(plan, 0, compute->name, op_aggregate_result(item));
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
    .combine = op_aggregate_combine,
    .process = op_aggregate_process,
};
