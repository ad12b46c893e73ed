/* Source "population": people in places; those of place k have the ids size*k, size*k + 1, ... */
#include "dataflow/weir/operator.h"

typedef struct population {
    uint32_t places, size, ill;
    const char *place;
    /* from the plan */
    int place_column, ill_column, immune_column;
} population;

static const weir_option population_options[] = {
    { .name = "places", .help = "how many places", .type = WEIR_U32, .unit = "1", .range = ">= 1",
      .offset = offsetof(population, places) },
    { .name = "size", .help = "people in each", .type = WEIR_U32, .unit = "1", .range = ">= 1",
      .offset = offsetof(population, size) },
    { .name = "place", .help = "the column that gets the number of the place", .type = WEIR_TEXT,
      .value = "\"place\"", .offset = offsetof(population, place) },
    { .name = "ill", .help = "how many are ill at first in each place: the lowest ids",
      .type = WEIR_U32, .unit = "1", .value = "0", .offset = offsetof(population, ill) },
    { 0 },
};

static weir_status population_plan(weir_plan *plan, void *options)
{
    population *self = options;

    if (self->ill > self->size)
        return weir_plan_error(plan, "ill", "%u ill in a place of %u people", self->ill, self->size);
    self->place_column = weir_plan_add(plan, 0, self->place, WEIR_U32);
    self->ill_column = weir_plan_add(plan, 0, "ill", WEIR_U8);
    self->immune_column = weir_plan_add(plan, 0, "immune", WEIR_U8);
    weir_plan_rows(plan, (uint64_t)self->places * self->size, self->size);
    weir_plan_run_column(plan, self->place_column);
    return WEIR_OK;
}

static weir_status population_process(weir_task *task)
{
    const population *self = task->options;
    uint32_t count = (uint32_t)(task->row_end - task->row_begin);
    weir_batch *out = weir_output(task, 0, count);

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t key = task->row_begin + i;
        out->keys[i] = key;
        ((uint32_t *)out->columns[self->place_column])[i] = (uint32_t)(key / self->size);
        ((uint8_t *)out->columns[self->ill_column])[i] = key % self->size < self->ill;
        ((uint8_t *)out->columns[self->immune_column])[i] = 0;
    }
    return WEIR_OK;
}

const weir_operator op_population = {
    .api_version = WEIR_API_VERSION,
    .name = "population",
    .help = "people in places, some of them ill",
    .role = WEIR_SOURCE,
    .outputs = { "out" },
    .options_size = sizeof(population),
    .options = population_options,
    .plan = population_plan,
    .process = population_process,
};
