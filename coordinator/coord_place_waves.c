/* Moves cut into waves: in the order of how far along each is in what its source, and its target, has to
 * do, so that a wave is of all of them in proportion. */
#include "coordinator/coord_place.h"

#include <stdlib.h>

#define WAVES_PART 32u /* of all bytes may move at a step, if nobody says how much */
#define WAVES_LEAST (1u << 20)

uint32_t coord_place_steps(const coord_place_input *input, const uint32_t *after,
                           coord_place_step *steps)
{
    uint32_t count = 0;

    for (uint32_t u = 0; u < input->unit_count; u++) {
        const coord_place_unit *unit = &input->units[u];

        if (after[u] != unit->owner)
            steps[count++] = (coord_place_step){ u, unit->owner, after[u], unit->bytes, 0 };
    }
    return count;
}

uint64_t coord_place_budget(const coord_place_unit *units, uint32_t unit_count, uint64_t asked)
{
    uint64_t total = 0;

    if (asked > 0)
        return asked;
    for (uint32_t u = 0; u < unit_count; u++)
        total += units[u].bytes;
    return total / WAVES_PART > WAVES_LEAST ? total / WAVES_PART : WAVES_LEAST;
}

typedef struct waves_key {
    coord_place_step step;
    double along; /* 0 to 1: what its source and target have behind them when it is half done */
} waves_key;

static int by_pair(const void *a, const void *b)
{
    const coord_place_step *one = &((const waves_key *)a)->step, *two = &((const waves_key *)b)->step;

    if (one->from != two->from)
        return one->from < two->from ? -1 : 1;
    if (one->to != two->to)
        return one->to < two->to ? -1 : 1;
    return (one->unit > two->unit) - (one->unit < two->unit);
}

static int by_along(const void *a, const void *b)
{
    const waves_key *one = a, *two = b;

    if (one->along != two->along)
        return one->along < two->along ? -1 : 1;
    return (one->step.unit > two->step.unit) - (one->step.unit < two->step.unit);
}

static int by_wave(const void *a, const void *b)
{
    const coord_place_step *one = a, *two = b;

    if (one->wave != two->wave)
        return one->wave < two->wave ? -1 : 1;
    return (one->unit > two->unit) - (one->unit < two->unit);
}

/* What goes alone takes no part; what is empty does, so that it does not all go at one step. */
static double size_of(const coord_place_step *step, uint64_t budget)
{
    return step->bytes > budget ? 1 : (double)step->bytes + 1;
}

/* `keys` are sorted by source and target: each pair's moves are spread evenly over the whole. */
static void set_along(waves_key *keys, uint32_t count, uint64_t budget)
{
    for (uint32_t begin = 0, end; begin < count; begin = end) {
        double sum = 0, behind = 0;

        for (end = begin; end < count && keys[end].step.from == keys[begin].step.from &&
                          keys[end].step.to == keys[begin].step.to; end++)
            sum += size_of(&keys[end].step, budget);
        for (uint32_t i = begin; i < end; i++) {
            double size = size_of(&keys[i].step, budget);

            keys[i].along = (behind + size / 2) / sum;
            behind += size;
        }
    }
}

df_status coord_place_waves(coord_place_step *steps, uint32_t count, uint64_t budget,
                            uint32_t *waves, df_error *err)
{
    waves_key *keys = malloc(((size_t)count + 1) * sizeof *keys);
    uint64_t used = 0;
    uint32_t wave = 0;

    *waves = 0;
    if (keys == NULL)
        return df_fail(err, DF_ENOMEM, "placement: out of memory");
    for (uint32_t i = 0; i < count; i++)
        keys[i].step = steps[i];
    qsort(keys, count, sizeof *keys, by_pair);
    set_along(keys, count, budget);
    qsort(keys, count, sizeof *keys, by_along);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bytes = keys[i].step.bytes;

        if (used > 0 && (bytes > budget || used > budget - bytes)) {
            wave++;
            used = 0;
        }
        used += bytes;
        steps[i] = keys[i].step;
        steps[i].wave = wave;
    }
    qsort(steps, count, sizeof *steps, by_wave);
    *waves = count > 0 ? wave + 1 : 0;
    free(keys);
    return DF_OK;
}
