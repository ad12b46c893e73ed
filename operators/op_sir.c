/* Phase "sir": a stochastic SIR epidemic of agents who meet in places (Kermack and McKendrick 1927,
 * as a chain-binomial model). In a step of dt, a susceptible agent of a place with I ill among N is
 * infected with probability 1 - exp(-infection * I / N * dt), and an ill one becomes immune with
 * probability 1 - exp(-recovery * dt). All agents see the place as it was before the step.
 *
 * One event word (kern_philox.h) decides about an agent: it is either susceptible or ill. Words of agents
 * to whom nothing can happen are not drawn where all agents beside them are the same. */
#include "dataflow/weir/operator.h"
#include "kernels/kern_philox.h"
#include "kernels/kern_sir.h"

#include <string.h>

typedef struct sir {
    const char *place, *ill_name, *size_name;
    double infection, recovery;
    /* from the plan */
    int place_column, ill, immune, out_ill, out_immune;
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

    self->place_column = place;
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

#define SIR_WIDEN(type)                                                                            \
    for (uint32_t i = 0; i < count; i++)                                                           \
        to[i] = (double)((const type *)values)[i]

/* A column's values as doubles. */
static void sir_numbers(const void *values, weir_type type, uint32_t count, double *to)
{
    switch (type) {
    case WEIR_F32:
        SIR_WIDEN(float);
        break;
    case WEIR_F64:
        SIR_WIDEN(double);
        break;
    case WEIR_I32:
        SIR_WIDEN(int32_t);
        break;
    case WEIR_I64:
        SIR_WIDEN(int64_t);
        break;
    case WEIR_U32:
        SIR_WIDEN(uint32_t);
        break;
    case WEIR_U64:
        SIR_WIDEN(uint64_t);
        break;
    default:
        SIR_WIDEN(uint8_t);
        break;
    }
}

/* An event of this probability happens where its word < limit; limit is at most 2^32. */
static void sir_limits(const double *restrict rates, uint32_t count, int64_t *restrict limits)
{
    for (uint32_t i = 0; i < count; i++)
        limits[i] = (int64_t)((1.0 - kern_exp(-rates[i])) * 0x1p32);
}

/* A limit as its upper byte and the three below: a word whose upper byte is `high` has to be seen whole.
 * Certain, 2^32, is one more than three bytes hold. */
typedef struct sir_chance {
    uint8_t high;
    uint32_t low; /* 0 .. 2^24 */
} sir_chance;

static sir_chance sir_chance_of(int64_t limit)
{
    uint32_t high = limit >> 24 > UINT8_MAX ? UINT8_MAX : (uint32_t)(limit >> 24);

    return (sir_chance){ .high = (uint8_t)high, .low = (uint32_t)(limit - ((int64_t)high << 24)) };
}

static bool sir_can(sir_chance c)
{
    return c.high != 0 || c.low != 0;
}

/* The rows [begin, end) of one place. */
typedef struct sir_part {
    uint32_t begin, end;
    sir_chance catch;
} sir_part;

/* What all places of a task have in common. */
typedef struct sir_step {
    uint64_t random_key;
    uint32_t step;
    sir_chance recover;
    const uint64_t *keys; /* of the row 0 */
    bool dense;           /* keys count up by one */
    const uint8_t *ill, *immune;
    uint8_t *next_ill, *next_immune;
} sir_step;

/* Rows that are decided at a time, so that they stay in the first cache. */
enum {
    SIR_ROWS = 2048,
    SIR_BLOCK = 16,                      /* rows that share a block of bytes */
    SIR_ROOM = SIR_ROWS + 2 * SIR_BLOCK,
    SIR_WAIT = 32,                       /* open rows that are worth a call, while they are in that cache */
    SIR_OPEN = SIR_ROWS + SIR_WAIT,
};

/* Rows that a byte did not decide, ascending; the part of the first, or one before it. */
typedef struct sir_list {
    const sir_part *part;
    uint32_t count;
    uint32_t rows[SIR_OPEN + 1];
} sir_list;

/* A row's key, if possible without a look at memory. */
static uint64_t sir_key(const sir_step *s, uint32_t row)
{
    return s->dense ? s->keys[0] + row : s->keys[row];
}

/* The bytes of the rows [begin, end); where they begin in the room. */
static const uint8_t *sir_draw(const sir_step *s, uint32_t begin, uint32_t end, uint8_t room[SIR_ROOM])
{
    uint32_t before = (uint32_t)sir_key(s, begin) % SIR_BLOCK;

    if (!s->dense) {
        kern_philox_bytes_of(s->random_key, s->keys + begin, end - begin, s->step, 0, room);
        return room;
    }
    kern_philox_bytes(s->random_key, sir_key(s, begin) / SIR_BLOCK,
                      (before + (end - begin) + SIR_BLOCK - 1) / SIR_BLOCK, s->step, 0, room);
    return room + before;
}

static bool sir_any(const uint8_t *column, uint32_t count)
{
    uint8_t any = 0;

    for (uint32_t i = 0; i < count; i++)
        any |= column[i];
    return any != 0;
}

/* Rows to which nothing can happen. */
static void sir_keep(const uint8_t *restrict ill, const uint8_t *restrict immune, uint32_t count,
                     uint8_t *restrict next_ill, uint8_t *restrict next_immune)
{
    for (uint32_t i = 0; i < count; i++) {
        next_ill[i] = ill[i] != 0;
        next_immune[i] = immune[i] != 0;
    }
}

/* Decide the open rows by the rest of their words. */
static void sir_close(const sir_step *s, sir_list *open)
{
    uint64_t keys[SIR_OPEN];
    uint32_t words[SIR_OPEN];

    for (uint32_t i = 0; i < open->count; i++)
        keys[i] = sir_key(s, open->rows[i]);
    kern_philox_one(s->random_key, keys, open->count, s->step, 0, words);
    for (uint32_t i = 0; i < open->count; i++) {
        uint32_t row = open->rows[i];
        uint32_t was = s->ill[row] != 0, low, happens;

        while (open->part->end <= row)
            open->part++;
        /* A lot decides: so no branch. */
        low = (s->recover.low & (0 - was)) | (open->part->catch.low & (was - 1));
        happens = words[i] >> 8 < low;
        s->next_ill[row] = (uint8_t)(was ^ happens);
        s->next_immune[row] |= (uint8_t)(was & happens);
    }
    open->count = 0;
}

/* Whether anything can happen to the rows [begin, end) of these parts. */
static bool sir_can_change(const sir_step *s, const sir_part *parts, uint32_t begin, uint32_t end)
{
    for (const sir_part *p = parts; p->begin < end; p++)
        if (sir_can(p->catch))
            return true;
    return sir_can(s->recover) && sir_any(s->ill + begin, end - begin);
}

/* The rows [begin, end), at most SIR_ROWS, of which the first is in the first part; but for open ones. */
static void sir_decide(const sir_step *s, const sir_part *parts, uint32_t begin, uint32_t end,
                       sir_list *open)
{
    _Alignas(64) uint8_t room[SIR_ROOM];
    const uint8_t *bytes;

    if (!sir_can_change(s, parts, begin, end)) {
        sir_keep(s->ill + begin, s->immune + begin, end - begin, s->next_ill + begin,
                 s->next_immune + begin);
        return;
    }
    bytes = sir_draw(s, begin, end, room);
    for (const sir_part *p = parts; p->begin < end; p++) {
        uint32_t from = p->begin > begin ? p->begin : begin, to = p->end < end ? p->end : end;
        const kern_sir_columns rows = { s->ill + from, s->immune + from, bytes + (from - begin),
                                        s->next_ill + from, s->next_immune + from };

        open->count += kern_sir_change(&rows, to - from, p->catch.high, s->recover.high, from,
                                       open->rows + open->count);
    }
}

/* Of parts that end with an empty one behind all rows. A window ends where a block of bytes does. */
static void sir_decide_all(const sir_step *s, const sir_part *parts, uint32_t row_count)
{
    sir_list open;

    open.part = parts;
    open.count = 0;
    for (uint32_t begin = 0, end; begin < row_count; begin = end) {
        end = begin + SIR_ROWS - (s->dense ? (uint32_t)sir_key(s, begin) % SIR_BLOCK : 0);
        end = end < row_count ? end : row_count;
        while (parts->end <= begin)
            parts++;
        if (open.count >= SIR_WAIT)
            sir_close(s, &open);
        sir_decide(s, parts, begin, end, &open);
    }
    sir_close(s, &open);
}

/* Of each place: how many are ill, how many there are, the rate and the chance to fall ill. */
typedef struct sir_places {
    double *ill, *size, *rate;
    int64_t *limit;
} sir_places;

static bool sir_read_places(weir_task *task, sir_places *p)
{
    const sir *self = task->options;
    const weir_batch *places = task->inputs[1].batches[0];
    uint32_t n = places->row_count;

    p->ill = weir_scratch(task, n * sizeof *p->ill);
    p->size = weir_scratch(task, n * sizeof *p->size);
    p->rate = weir_scratch(task, n * sizeof *p->rate);
    p->limit = weir_scratch(task, n * sizeof *p->limit);
    if (p->ill == NULL || p->size == NULL || p->rate == NULL || p->limit == NULL)
        return false;
    sir_numbers(places->columns[self->place_ill], self->ill_type, n, p->ill);
    sir_numbers(places->columns[self->place_size], self->size_type, n, p->size);
    for (uint32_t i = 0; i < n; i++) {
        double rate = self->infection * (p->ill[i] / p->size[i]) * task->job->dt;
        p->rate[i] = rate >= 0 ? rate : 0; /* a place that makes no sense is an error if somebody is in it */
    }
    sir_limits(p->rate, n, p->limit);
    return true;
}

/* The rows of each place, and the chance to fall ill there, then an empty one. Null after a failure. */
static sir_part *sir_parts(weir_task *task, const weir_runs *runs)
{
    const weir_batch *in = task->inputs[0].batches[0];
    sir_part *parts = weir_scratch(task, (runs->count + 1) * sizeof *parts);
    sir_places p;

    if (parts == NULL || !sir_read_places(task, &p))
        return NULL;
    for (uint32_t r = 0; r < runs->count; r++) {
        uint32_t begin = runs->begins[r], place = task->inputs[1].rows[begin];

        if (place == WEIR_NO_ROW) {
            weir_fail(task, begin, "id %llu: its place is not among the places",
                      (unsigned long long)in->keys[begin]);
            return NULL;
        }
        if (!(p.ill[place] / p.size[place] >= 0)) { /* NaN, too */
            weir_fail(task, begin, "id %llu: %g of the %g agents of its place are ill",
                      (unsigned long long)in->keys[begin], p.ill[place], p.size[place]);
            return NULL;
        }
        parts[r] = (sir_part){ .begin = begin, .end = runs->begins[r + 1],
                               .catch = sir_chance_of(p.limit[place]) };
    }
    parts[runs->count] = (sir_part){ .begin = in->row_count, .end = in->row_count };
    return parts;
}

static weir_status sir_process(weir_task *task)
{
    const sir *self = task->options;
    const weir_batch *in = task->inputs[0].batches[0];
    weir_batch *out = weir_output_like(task, 0, 0);
    weir_runs runs;
    double recovery = self->recovery * task->job->dt;
    int64_t recovers;
    sir_part *parts;
    sir_step s;

    if (out == NULL || !weir_column_runs(task, 0, (uint32_t)self->place_column, &runs))
        return WEIR_FAILED;
    parts = sir_parts(task, &runs);
    if (parts == NULL)
        return WEIR_FAILED;
    sir_limits(&recovery, 1, &recovers);
    s = (sir_step){ .random_key = task->random_key, .step = (uint32_t)task->step,
                    .recover = sir_chance_of(recovers),
                    .keys = in->keys, .dense = weir_keys_dense(task, 0),
                    .ill = in->columns[self->ill], .immune = in->columns[self->immune],
                    .next_ill = out->columns[self->out_ill],
                    .next_immune = out->columns[self->out_immune] };
    sir_decide_all(&s, parts, in->row_count);
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
