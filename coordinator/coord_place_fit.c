/* Who owns what when workers come and go: how much each shall have (goals), what those that shall have
 * less let go (releases), who gets what is nobody's (deals).
 *
 * Goals are made of quanta, mean units: the units that are nobody's are poured to the lowest, then new
 * workers are filled up to their share, a quantum at a time, from the highest, as long as that makes the
 * two more even. With units of one weight this is the least that can move, and the result differs by at
 * most one unit between workers that it touched. */
#include "coordinator/coord_place_private.h"

#include <math.h>
#include <stdlib.h>

static double level_with(const place_worker *w, double extra)
{
    return (w->height + extra) / w->given->threads;
}

/* The policy `least-loaded` compares what was sampled, in shares, which shows other programs, too. */
static void set_heights(place *p)
{
    for (uint32_t r = 0; r < p->worker_count; r++) {
        place_worker *w = &p->workers[r];
        double load = w->given->load + w->given->reserved_load;

        w->height = w->load;
        if (p->policy == DF_PLACE_LEAST_LOADED && place_sample_is_fresh(p, r))
            w->height = load * w->share > w->load ? load * w->share : w->load;
    }
}

/* ---- goals ---- */

/* What the workers that take some hold above what they have, filled up to a level like water. */
static double water(const place *p, double level)
{
    double sum = 0;

    for (uint32_t r = 0; r < p->worker_count; r++) {
        const place_worker *w = &p->workers[r];
        double more = level * w->given->threads - w->height;

        sum += w->takes && more > 0 ? more : 0;
    }
    return sum;
}

/* Whole quanta below the level that so much weight comes to: each of them would be poured before the last
 * one, so nothing need be compared. Returns how many they were. */
static uint32_t pour_most(place *p, double weight, double q)
{
    double low = 0, high = 1;
    uint32_t poured = 0;

    while (water(p, high) < weight && high < 1e300)
        high *= 2;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;

        if (water(p, middle) <= weight)
            low = middle;
        else
            high = middle;
    }
    for (uint32_t r = 0; r < p->worker_count; r++) {
        place_worker *w = &p->workers[r];
        double quanta = floor((low * w->given->threads - w->height) / q - 1e-6);

        if (!w->takes || quanta < 1)
            continue;
        w->goal += quanta * q;
        w->height += quanta * q;
        poured += (uint32_t)quanta;
    }
    return poured;
}

/* Each homeless unit's worth to the lowest of those that take some. */
static void pour(place *p, double weight, uint32_t count)
{
    double q = weight / count;
    place_heap low = { p->heap, 0 };
    uint32_t poured = pour_most(p, weight, q);

    for (uint32_t r = 0; r < p->worker_count; r++)
        if (p->workers[r].takes)
            place_heap_push(&low, r, level_with(&p->workers[r], q));
    for (uint32_t i = poured; i < count && low.count > 0; i++) {
        place_worker *w = &p->workers[low.items[0].worker];

        w->goal += q;
        w->height += q;
        place_heap_sink(&low, level_with(w, q));
    }
}

/* New workers up to their shares, from the highest of the others. */
static void fill(place *p)
{
    double q = p->quantum, least = 1e-9 * q;
    place_heap low = { p->heap, 0 }, high = { p->heap_other, 0 };

    for (uint32_t r = 0; r < p->worker_count; r++) {
        const place_worker *w = &p->workers[r];

        if (w->count > 0 && w->stays)
            place_heap_push(&high, r, -level_with(w, 0));
        else if (w->count == 0 && w->takes)
            place_heap_push(&low, r, level_with(w, q));
    }
    while (low.count > 0 && high.count > 0) {
        place_worker *to = &p->workers[low.items[0].worker];
        place_worker *from = &p->workers[high.items[0].worker];

        if (to->goal >= to->share - least) {
            place_heap_pop(&low);
            continue;
        }
        if (level_with(to, q) >= level_with(from, 0) - least)
            break;
        to->goal += q;
        to->height += q;
        from->goal -= q;
        from->height -= q;
        place_heap_sink(&low, level_with(to, q));
        place_heap_sink(&high, -level_with(from, 0));
    }
}

/* ---- releases ---- */

void place_list_units(place *p, uint32_t *start)
{
    uint32_t sum = 0;

    for (uint32_t r = 0; r < p->worker_count; r++) {
        start[r] = sum;
        sum += p->workers[r].count;
    }
    for (uint32_t u = 0; u < p->unit_count; u++)
        if (p->owner[u] != COORD_PLACE_NONE)
            p->list[start[p->owner[u]]++] = u;
    for (uint32_t r = 0; r < p->worker_count; r++)
        start[r] -= p->workers[r].count;
}

/* Whether what is still wanted is nearer to nothing with a unit of this weight, and by not much beyond. */
static bool fits(const place *p, double weight, double wanted)
{
    double half = (weight < p->quantum ? weight : p->quantum) / 2;

    return weight <= wanted + half * (1 - 1e-9);
}

/* Let units go from one end of a worker's list. Returns what was wanted and not let go (below 0: too
 * much was). */
static double release_from(place *p, const uint32_t *units, uint32_t count, double wanted, bool tail)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t u = units[tail ? count - 1 - i : i];
        double weight = p->weight[u];

        if (wanted <= 1e-9 * p->quantum)
            break;
        if (!fits(p, weight, wanted)) {
            if (wanted <= p->quantum / 2)
                break;
            continue;
        }
        /* What weighs next to nothing moves for nothing. */
        if (weight <= p->quantum / 512)
            continue;
        place_give(p, u, COORD_PLACE_NONE);
        wanted -= weight;
    }
    return wanted;
}

static int first_compare(const void *a, const void *b, void *user)
{
    const place_worker *workers = user;
    uint32_t one = *(const uint32_t *)a, two = *(const uint32_t *)b;
    uint32_t one_first = workers[one].first, two_first = workers[two].first;

    return one_first != two_first ? (one_first > two_first) - (one_first < two_first)
                                  : (one > two) - (one < two);
}

/* Workers along the curve, by their first unit; those that have none at the end. */
static void sort_along(const place *p, uint32_t *ranks, uint32_t count)
{
    qsort_r(ranks, count, sizeof *ranks, first_compare, p->workers);
}

/* Along the curve one lets its last units go and the next its first, so that the two runs are one. What
 * one lets go too much, or too little, is asked of the next. */
static void release(place *p)
{
    uint32_t *start = p->start, *donors = p->ranks;
    uint32_t count = 0;
    double carry = 0;
    bool tail = true;

    for (uint32_t r = 0; r < p->worker_count; r++)
        if (p->workers[r].load - p->workers[r].goal > p->quantum * 1e-9 && p->workers[r].count > 0)
            donors[count++] = r;
    place_list_units(p, start);
    sort_along(p, donors, count);
    for (uint32_t i = 0; i < count; i++) {
        const place_worker *w = &p->workers[donors[i]];
        double wanted = w->load - w->goal;

        carry = release_from(p, p->list + start[donors[i]], w->count, wanted + carry, tail);
        tail = !tail;
    }
}

/* ---- deals ---- */

static bool wants(const place *p, uint32_t unit, uint32_t worker)
{
    const place_worker *w = &p->workers[worker];

    return w->gains && fits(p, p->weight[unit], w->goal - w->load) && place_may_take(p, unit, worker);
}

/* Runs of homeless units grow what the workers at their two ends have. */
static void deal_to_neighbours(place *p)
{
    for (uint32_t u = 1; u < p->unit_count; u++) {
        uint32_t left = p->owner[u - 1];

        if (p->owner[u] == COORD_PLACE_NONE && left != COORD_PLACE_NONE && wants(p, u, left))
            place_give(p, u, left);
    }
    for (uint32_t u = p->unit_count - 1; u-- > 0;) {
        uint32_t right = p->owner[u + 1];

        if (p->owner[u] == COORD_PLACE_NONE && right != COORD_PLACE_NONE && wants(p, u, right))
            place_give(p, u, right);
    }
}

/* The workers that want some, along the curve. */
static uint32_t list_receivers(const place *p, uint32_t *receivers)
{
    uint32_t count = 0;

    for (uint32_t r = 0; r < p->worker_count; r++)
        if (p->workers[r].gains && p->workers[r].goal > p->workers[r].load)
            receivers[count++] = r;
    sort_along(p, receivers, count);
    return count;
}

/* What is left goes to one after the other. What one gets too little, or too much, is passed on to the
 * next. A unit too heavy for who has room is left out. */
static void deal_along(place *p)
{
    uint32_t count = list_receivers(p, p->ranks), at = 0;

    for (uint32_t u = 0; u < p->unit_count && count > 0; u++) {
        if (p->owner[u] != COORD_PLACE_NONE)
            continue;
        while (at + 1 < count && !wants(p, u, p->ranks[at])) {
            const place_worker *w = &p->workers[p->ranks[at]];

            if (w->goal - w->load > p->quantum / 2)
                break;
            p->workers[p->ranks[++at]].goal += w->goal - w->load;
        }
        if (wants(p, u, p->ranks[at]))
            place_give(p, u, p->ranks[at]);
    }
}

static void deal_in_turn(place *p)
{
    uint32_t count = list_receivers(p, p->ranks), at = 0;

    for (uint32_t u = 0; u < p->unit_count; u++) {
        uint32_t tried = 0;

        if (p->owner[u] != COORD_PLACE_NONE)
            continue;
        while (tried < count && !wants(p, u, p->ranks[at])) {
            at = (at + 1) % count;
            tried++;
        }
        if (tried == count)
            return;
        place_give(p, u, p->ranks[at]);
        at = (at + 1) % count;
    }
}

/* Give a unit to the lowest that may have it. Those that may not are set aside meanwhile. */
static df_status deal_one(place *p, place_heap *low, uint32_t unit, df_error *err)
{
    uint32_t aside = 0;
    df_status s = DF_OK;

    while (low->count > 0 && !place_may_take(p, unit, low->items[0].worker)) {
        p->heap_other[aside++] = low->items[0];
        place_heap_pop(low);
    }
    if (low->count > 0) {
        uint32_t to = low->items[0].worker;

        place_give(p, unit, to);
        place_heap_sink(low, level_with(&p->workers[to], 0));
    } else {
        s = place_nobody(p, unit, err);
    }
    for (; aside > 0; aside--)
        place_heap_push(low, p->heap_other[aside - 1].worker, p->heap_other[aside - 1].key);
    return s;
}

/* Units that are nobody's, the heaviest first: those that were let go, or the others. */
static uint32_t list_homeless(place *p, bool released)
{
    uint32_t count = 0;

    for (uint32_t u = 0; u < p->unit_count; u++) {
        uint32_t home = p->before[u];

        if (p->owner[u] == COORD_PLACE_NONE &&
            released == (home != COORD_PLACE_NONE && p->workers[home].stays))
            p->list[count++] = u;
    }
    place_sort(p, p->list, count);
    return count;
}

static df_status deal_by_weight(place *p, df_error *err)
{
    place_heap low = { p->heap, 0 };
    uint32_t count = list_homeless(p, false);
    df_status s = DF_OK;

    for (uint32_t r = 0; r < p->worker_count && count > 0; r++)
        if (p->workers[r].stays)
            place_heap_push(&low, r, level_with(&p->workers[r], 0));
    for (uint32_t i = 0; s == DF_OK && i < count; i++)
        s = deal_one(p, &low, p->list[i], err);
    return s;
}

/* What was let go goes to those it was let go for, the lowest first, or home again. */
static void deal_released(place *p)
{
    place_heap low = { p->heap, 0 };
    uint32_t count = list_homeless(p, true);

    for (uint32_t r = 0; r < p->worker_count && count > 0; r++)
        if (p->workers[r].gains)
            place_heap_push(&low, r, level_with(&p->workers[r], 0));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t unit = p->list[i], to = low.count > 0 ? low.items[0].worker : COORD_PLACE_NONE;

        if (to != COORD_PLACE_NONE && wants(p, unit, to)) {
            place_give(p, unit, to);
            place_heap_sink(&low, level_with(&p->workers[to], 0));
        } else {
            place_give(p, unit, p->before[unit]);
        }
    }
}

df_status place_fit(place *p, df_error *err)
{
    uint32_t homeless = 0;
    double weight = 0;
    df_status s;

    if (p->unit_count == 0)
        return DF_OK;
    for (uint32_t u = 0; u < p->unit_count; u++) {
        if (p->owner[u] != COORD_PLACE_NONE && !p->workers[p->owner[u]].stays)
            place_give(p, u, COORD_PLACE_NONE);
        if (p->owner[u] == COORD_PLACE_NONE) {
            homeless++;
            weight += p->weight[u];
        }
    }
    for (uint32_t r = 0; r < p->worker_count; r++)
        p->workers[r].goal = p->workers[r].load;
    set_heights(p);
    if (homeless > 0)
        pour(p, weight, homeless);
    fill(p);
    for (uint32_t r = 0; r < p->worker_count; r++)
        p->workers[r].gains = p->workers[r].goal - p->workers[r].load > p->quantum * 1e-9;
    release(p);
    set_heights(p);
    if (p->policy == DF_PLACE_LOCALITY) {
        deal_to_neighbours(p);
        deal_along(p);
    } else if (p->policy == DF_PLACE_ROUND_ROBIN) {
        deal_in_turn(p);
    }
    s = deal_by_weight(p, err);
    if (s == DF_OK)
        deal_released(p);
    return s;
}
