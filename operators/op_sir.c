/* Phase "sir": a stochastic SIR epidemic of agents who meet in places (Kermack and McKendrick 1927,
 * as a chain-binomial model). In a step of dt, a susceptible agent of a place with I ill among N is
 * infected with probability 1 - exp(-infection * I / N * dt), and an ill one becomes immune with
 * probability 1 - exp(-recovery * dt). All agents see the place as it was before the step.
 *
 * One word of random bits decides about an agent: it is either susceptible or ill. */
#include "dataflow/weir/operator.h"
#include "kernels/kern_philox.h"
#include "kernels/kern_runs.h"

#include <string.h>

typedef struct sir {
    const char *place, *ill_name, *size_name;
    double infection, recovery;
    /* from the plan */
    int ill, immune, out_ill, out_immune;
    int place_ill, place_size;
    weir_type ill_type, size_type;
} sir;

static const weir_option sir_options[] = {
    { .name = "place", .help = "the agents' column that holds the id of their place",
      .type = WEIR_COLUMN, .offset = offsetof(sir, place) },
    { .name = "infection", .help = "infections by one ill agent among the susceptible",
      .type = WEIR_F64, .unit = "1/time", .range = ">= 0", .offset = offsetof(sir, infection) },
    { .name = "recovery", .help = "1 / how long an agent is ill", .type = WEIR_F64,
      .unit = "1/time", .range = ">= 0", .offset = offsetof(sir, recovery) },
    { .name = "ill", .help = "the places' column with the number of ill agents",
      .type = WEIR_COLUMN, .value = "\"ill\"", .offset = offsetof(sir, ill_name) },
    { .name = "size", .help = "the places' column with the number of agents", .type = WEIR_COLUMN,
      .value = "", .offset = offsetof(sir, size_name) },
    { 0 },
};

/* The places' column of agents: as named, or the only other u64 column: what count() makes. */
static const char *sir_size_column(const weir_schema *places, const sir *self)
{
    if (self->size_name != NULL)
        return self->size_name;
    for (uint32_t i = 0; i < places->column_count; i++)
        if (places->columns[i].type == WEIR_U64 && strcmp(places->columns[i].name, self->ill_name) != 0)
            return places->columns[i].name;
    return "size";
}

static weir_status sir_plan(weir_plan *plan, void *options)
{
    sir *self = options;
    const weir_schema *places = weir_plan_input(plan, 1);
    int place = weir_plan_column(plan, 0, self->place, 0);

    self->ill = weir_plan_column(plan, 0, "ill", WEIR_U8);
    self->immune = weir_plan_column(plan, 0, "immune", WEIR_U8);
    self->place_ill = weir_plan_column(plan, 1, self->ill_name, 0);
    self->place_size = weir_plan_column(plan, 1, sir_size_column(places, self), 0);
    if (place < 0 || self->ill < 0 || self->immune < 0 || self->place_ill < 0 || self->place_size < 0)
        return WEIR_FAILED;
    self->ill_type = places->columns[self->place_ill].type;
    self->size_type = places->columns[self->place_size].type;
    weir_plan_exchange(plan, 1, WEIR_LOOKUP, place);
    weir_plan_pass(plan, 0, 0);
    self->out_ill = weir_plan_add(plan, 0, "ill", WEIR_U8);
    self->out_immune = weir_plan_add(plan, 0, "immune", WEIR_U8);
    return WEIR_OK;
}

static double sir_number(const weir_batch *batch, int column, weir_type type, uint32_t row)
{
    const void *values = batch->columns[column];

    switch (type) {
    case WEIR_F32:
        return (double)((const float *)values)[row];
    case WEIR_F64:
        return ((const double *)values)[row];
    case WEIR_I32:
        return (double)((const int32_t *)values)[row];
    case WEIR_I64:
        return (double)((const int64_t *)values)[row];
    case WEIR_U32:
        return (double)((const uint32_t *)values)[row];
    case WEIR_U64:
        return (double)((const uint64_t *)values)[row];
    default:
        return (double)((const uint8_t *)values)[row];
    }
}

/* An event of this probability happens where word < limit; limit is at most 2^32. */
static uint64_t sir_limit(double rate)
{
    return (uint64_t)((1.0 - kern_exp(-rate)) * 0x1p32);
}

/* Limits as 32-bit words: `may` is 0 where nothing can happen, else word <= last decides. */
typedef struct sir_chance {
    uint32_t last;
    uint32_t may;
} sir_chance;

static sir_chance sir_chance_of(double rate)
{
    uint64_t limit = sir_limit(rate);

    return (sir_chance){ .last = limit > 0 ? (uint32_t)(limit - 1) : 0, .may = limit > 0 };
}

/* The next state of rows that share one place. */
static void sir_rows(const uint8_t *restrict ill, const uint8_t *restrict immune,
                     const uint32_t *restrict words, uint32_t count, sir_chance catch,
                     sir_chance recover, uint8_t *restrict next_ill, uint8_t *restrict next_immune)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t catches = (words[i] <= catch.last) & catch.may;
        uint32_t recovers = (words[i] <= recover.last) & recover.may;
        uint32_t was = ill[i] != 0, safe = immune[i] != 0;

        next_ill[i] = (uint8_t)((was & (recovers ^ 1)) | ((was ^ 1) & (safe ^ 1) & catches));
        next_immune[i] = (uint8_t)(safe | (was & recovers));
    }
}

static weir_status sir_process(weir_task *task)
{
    const sir *self = task->options;
    const weir_batch *in = task->inputs[0].batches[0], *places = task->inputs[1].batches[0];
    const uint32_t *place_of = task->inputs[1].rows;
    weir_batch *out = weir_output_like(task, 0, 0);
    uint32_t *words = weir_scratch(task, (in->row_count + 1) * sizeof *words);
    sir_chance recover = sir_chance_of(self->recovery * task->job->dt);

    if (out == NULL || words == NULL)
        return WEIR_FAILED;
    kern_philox_one(task->random_key, in->keys, in->row_count, (uint32_t)task->step, 0, words);
    for (uint32_t begin = 0, end; begin < in->row_count; begin = end) {
        uint32_t place = place_of[begin];
        double share = 0;
        sir_chance catch;
        const uint8_t *ill = (const uint8_t *)in->columns[self->ill] + begin;

        end = kern_run_end(place_of, sizeof *place_of, begin, in->row_count);
        if (place == WEIR_NO_ROW)
            return weir_fail(task, begin, "id %llu: its place is not among the places",
                             (unsigned long long)in->keys[begin]);
        share = sir_number(places, self->place_ill, self->ill_type, place) /
                sir_number(places, self->place_size, self->size_type, place);
        if (!(share >= 0)) /* NaN, too */
            return weir_fail(task, begin, "id %llu: %g of the %g agents of its place are ill",
                             (unsigned long long)in->keys[begin],
                             sir_number(places, self->place_ill, self->ill_type, place),
                             sir_number(places, self->place_size, self->size_type, place));
        catch = sir_chance_of(self->infection * share * task->job->dt);
        sir_rows(ill, (const uint8_t *)in->columns[self->immune] + begin, words + begin, end - begin, catch,
                 recover, (uint8_t *)out->columns[self->out_ill] + begin,
                 (uint8_t *)out->columns[self->out_immune] + begin);
    }
    return WEIR_OK;
}

const weir_operator op_sir = {
    .api_version = WEIR_API_VERSION,
    .name = "sir",
    .help = "agents who meet in places catch an illness and become immune",
    .role = WEIR_PHASE,
    .inputs = { { "agents", WEIR_FORWARD, "columns ill and immune (u8, 0 or 1) and their place" },
                { "places", WEIR_LOOKUP, "one row per place: how many agents, how many ill" } },
    .outputs = { "out" },
    .options_size = sizeof(sir),
    .options = sir_options,
    .plan = sir_plan,
    .process = sir_process,
};
