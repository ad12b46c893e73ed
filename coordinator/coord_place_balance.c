/* The fewest moves that leave nobody with much more than its share.
 *
 * A worker that is over the bound lets go its heaviest units, so the fewest, until one more ends it; that
 * one is the lightest that does. They go to one worker until it has its share, then to the next lowest: so
 * runs of neighbours stay together. Among units that serve as well, one is taken whose neighbour the
 * receiver has. Where no unit fits into anybody's room, two are exchanged. */
#include "coordinator/coord_place_private.h"

#include <assert.h>
#include <stdlib.h>

#define BALANCE_LOOK 32u /* units that are looked at for one with a neighbour there */
#define BALANCE_WORK (1u << 21) /* units that are looked at, at most, for two to be exchanged */

typedef struct balance {
    place *p;
    const uint32_t *units; /* the donor's, heaviest first, then by number */
    uint32_t *next;        /* [count + 1]: the first at or after i that it still has, compressed */
    uint32_t count;
    uint32_t donor, receiver;
    place_heap low;        /* receivers: below their shares, as far as nothing was noted since */
    bool dropped;          /* one is not in it that might help the next donor */
    uint32_t tried;        /* exchanges */
    uint32_t *spot;        /* [units]: where the donor's are in the list */
    uint32_t last;         /* what moved last; COORD_PLACE_NONE: nothing yet */
} balance;

static double bound_of(const place_worker *w)
{
    return w->share * (1 + COORD_PLACE_SLACK);
}

static double level_of(const place_worker *w)
{
    return w->load / w->share;
}

double place_busiest(const place *p)
{
    double most = 0;

    for (uint32_t r = 0; r < p->worker_count; r++)
        if (p->workers[r].share > 0 && level_of(&p->workers[r]) > most)
            most = level_of(&p->workers[r]);
    return most;
}

/* ---- the donor's list ---- */

static uint32_t first_left(balance *b, uint32_t i)
{
    uint32_t end = i;

    while (b->next[end] != end)
        end = b->next[end];
    while (b->next[i] != end) {
        uint32_t step = b->next[i];
        b->next[i] = end;
        i = step;
    }
    return end;
}

/* The first in the list that is not heavier than `weight`. */
static uint32_t first_below(const balance *b, double weight)
{
    uint32_t low = 0, high = b->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (b->p->weight[b->units[middle]] > weight)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_neighbour(const balance *b, uint32_t unit)
{
    const place *p = b->p;

    return (unit > 0 && p->owner[unit - 1] == b->receiver) ||
           (unit + 1 < p->unit_count && p->owner[unit + 1] == b->receiver);
}

/* How much lighter than the heaviest a unit may be, so that no more moves are needed for it. */
static double spare_weight(balance *b, uint32_t at, double excess)
{
    double sum = 0;

    if (excess > BALANCE_LOOK * b->p->weight[b->units[at]])
        return 0;
    for (uint32_t n = 0; n < BALANCE_LOOK && at < b->count; n++) {
        sum += b->p->weight[b->units[at]];
        if (sum >= excess)
            return sum - excess;
        at = first_left(b, at + 1);
    }
    return 0;
}

/* Whether a unit is in the donor's list, and there still. */
static bool is_left(const balance *b, uint32_t unit)
{
    uint32_t at = b->spot[unit];

    return at < b->count && b->units[at] == unit && b->next[at] == at;
}

/* What lies beside the last one that moved, if it is of a weight that serves; b->count: nothing does. */
static uint32_t choose_next(const balance *b, double least, double most)
{
    const place *p = b->p;

    for (uint32_t side = 0; side < 2 && b->last != COORD_PLACE_NONE; side++) {
        uint32_t unit = side == 0 ? b->last + 1 : b->last - 1;

        if (unit < p->unit_count && is_left(b, unit) && p->owner[b->last] == b->receiver &&
            p->weight[unit] >= least && p->weight[unit] <= most && place_may_take(p, unit, b->receiver))
            return b->spot[unit];
    }
    return b->count;
}

/* From `at` on the first that the receiver may have and that is no lighter than `least`; better one with a
 * neighbour there. b->count: none. */
static uint32_t choose_from(balance *b, uint32_t at, double least)
{
    uint32_t best = choose_next(b, least, b->p->weight[b->units[at]]);

    if (best < b->count)
        return best;
    for (uint32_t n = 0; n < BALANCE_LOOK && at < b->count; n++) {
        uint32_t unit = b->units[at];

        if (b->p->weight[unit] < least)
            break;
        if (place_may_take(b->p, unit, b->receiver)) {
            if (has_neighbour(b, unit))
                return at;
            best = best == b->count ? at : best;
        }
        at = first_left(b, at + 1);
    }
    return best;
}

/* The lightest that ends the excess, or one of the next with a neighbour there. */
static uint32_t choose_last(const balance *b, double room, double excess)
{
    const place *p = b->p;
    uint32_t best = choose_next(b, excess, room), looked = 0;

    if (best < b->count)
        return best;
    for (uint32_t i = first_below(b, excess); i > 0 && looked < BALANCE_LOOK; i--) {
        uint32_t unit = b->units[i - 1];

        if (p->weight[unit] > room)
            break;
        if (b->next[i - 1] != i - 1 || !place_may_take(p, unit, b->receiver))
            continue;
        looked++;
        if (has_neighbour(b, unit))
            return i - 1;
        best = best == b->count ? i - 1 : best;
    }
    return best;
}

/* The place in the list of what moves next; b->count: nothing fits. */
static uint32_t choose(balance *b)
{
    const place *p = b->p;
    const place_worker *to = &p->workers[b->receiver], *from = &p->workers[b->donor];
    double least = p->quantum * 1e-9;
    double room = bound_of(to) - to->load + least, excess = from->load - bound_of(from) - least;
    uint32_t at = first_left(b, first_below(b, room));
    double heaviest = at == b->count ? 0 : p->weight[b->units[at]];

    if (at == b->count || heaviest >= excess)
        return choose_last(b, room, excess);
    return choose_from(b, at, heaviest - spare_weight(b, at, excess) - least);
}

/* ---- receivers ---- */

static void list_receivers(balance *b)
{
    b->low.count = 0;
    b->dropped = false;
    for (uint32_t r = 0; r < b->p->worker_count; r++) {
        const place_worker *w = &b->p->workers[r];

        if (w->takes && w->share > 0 && level_of(w) < 1)
            place_heap_push(&b->low, r, level_of(w));
    }
}

/* The lowest that may be given something; COORD_PLACE_NONE: all have their share. Only who stands first
 * can have been given anything since. */
static uint32_t lowest(balance *b)
{
    while (b->low.count > 0) {
        double level = level_of(&b->p->workers[b->low.items[0].worker]);

        if (level >= 1)
            place_heap_pop(&b->low);
        else if (level != b->low.items[0].key)
            place_heap_sink(&b->low, level);
        else
            return b->low.items[0].worker;
    }
    return COORD_PLACE_NONE;
}

/* ---- an exchange ---- */

/* The donor's unit `give` for the receiver's `take`, whose difference ends the excess or, if none does, is
 * the most that the receiver has room for. False: nothing helps. */
static bool find_exchange(balance *b, uint32_t *give, uint32_t *take)
{
    const place *p = b->p;
    const place_worker *to = &p->workers[b->receiver], *from = &p->workers[b->donor];
    double room = bound_of(to) - to->load, excess = from->load - bound_of(from), best = 0;

    for (uint32_t u = 0; u < p->unit_count; u++) {
        double wanted = p->owner[u] == b->receiver ? p->weight[u] + room : 0;
        uint32_t at;

        if (wanted <= 0 || !place_may_take(p, u, b->donor))
            continue;
        at = first_left(b, first_below(b, wanted));
        if (at == b->count || !place_may_take(p, b->units[at], b->receiver))
            continue;
        if (p->weight[b->units[at]] - p->weight[u] > best + p->quantum * 1e-9) {
            best = p->weight[b->units[at]] - p->weight[u];
            *give = at;
            *take = u;
        }
    }
    /* Two moves for little of the excess are not worth it. */
    return best > excess / 4;
}

/* Whether an exchange was made. */
static bool exchange(balance *b)
{
    uint32_t give = b->count, take = 0;

    if (b->tried > BALANCE_WORK / b->p->unit_count)
        return false;
    b->tried++;
    if (!find_exchange(b, &give, &take))
        return false;
    b->next[give] = give + 1;
    place_give(b->p, b->units[give], b->receiver);
    place_give(b->p, take, b->donor);
    return true;
}

/* ---- donors ---- */

static bool is_over(const balance *b)
{
    const place_worker *w = &b->p->workers[b->donor];

    return w->load > bound_of(w) + b->p->quantum * 1e-9;
}

static void relieve(balance *b)
{
    place *p = b->p;

    for (uint32_t i = 0; i <= b->count; i++)
        b->next[i] = i;
    for (uint32_t i = 0; i < b->count; i++)
        b->spot[b->units[i]] = i;
    b->last = COORD_PLACE_NONE;
    b->receiver = lowest(b);
    while (is_over(b) && b->receiver != COORD_PLACE_NONE) {
        uint32_t at = choose(b), low;

        if (at < b->count) {
            b->next[at] = at + 1;
            b->last = b->units[at];
            place_give(p, b->last, b->receiver);
            if (level_of(&p->workers[b->receiver]) >= 1)
                b->receiver = lowest(b);
            continue;
        }
        low = lowest(b);
        if (b->receiver == low && !exchange(b)) {
            place_heap_pop(&b->low); /* nothing of this donor fits there */
            b->dropped = true;
        }
        b->receiver = lowest(b);
    }
}

static int donor_compare(const void *a, const void *b, void *user)
{
    const place *p = user;
    uint32_t one = *(const uint32_t *)a, two = *(const uint32_t *)b;
    double one_level = level_of(&p->workers[one]), two_level = level_of(&p->workers[two]);

    if (one_level != two_level)
        return one_level > two_level ? -1 : 1;
    return (one > two) - (one < two);
}

void place_balance(place *p)
{
    balance b = { .p = p, .next = p->next, .spot = p->spot, .low = { p->heap, 0 } };
    uint32_t *donors = p->ranks, *start = p->start;
    uint32_t count = 0;

    for (uint32_t r = 0; r < p->worker_count; r++)
        if (p->workers[r].share > 0 && p->workers[r].load > bound_of(&p->workers[r]))
            donors[count++] = r;
    qsort_r(donors, count, sizeof *donors, donor_compare, p);
    place_list_units(p, start);
    list_receivers(&b);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *units = p->list + start[donors[i]];

        b.donor = donors[i];
        b.units = units;
        b.count = p->workers[donors[i]].count;
        place_sort(p, units, b.count);
        if (b.dropped)
            list_receivers(&b);
        relieve(&b);
        if (p->workers[donors[i]].takes && level_of(&p->workers[donors[i]]) < 1)
            place_heap_push(&b.low, donors[i], level_of(&p->workers[donors[i]]));
    }
}
