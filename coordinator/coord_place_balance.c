/* The fewest moves that leave nobody with much more than its share.
 *
 * A worker that is over the bound lets go its heaviest units, so the fewest, until one more ends it; that
 * one is the one that leaves both nearest to their shares. They go to one worker until it has its share, then to the
 * next lowest: so neighbours stay together. Among units that serve as well, the one is taken that lies beside most of
 * what the receiver has and least of what the donor keeps: so what moves grows from a corner, and every border is
 * paid for at each step, in rows that are sent. Where no unit fits into anybody's room, two are exchanged. */
#include "coordinator/coord_place_private.h"

#include <assert.h>
#include <stdlib.h>

#define BALANCE_LOOK 32u /* units that are looked at for how light one may be */
#define BALANCE_WORK (1u << 21) /* units that are looked at, at most, for two to be exchanged */
/* Units that are looked at for one with little border: so many for a move at most, and so many for a move times all units,
 * for that many may move. Among many units with hardly any look a corner is little. */
#define BALANCE_SEEN_MAX 256u
#define BALANCE_SEEN_MIN 1u
#define BALANCE_SEEN     (1u << 15)
#define BALANCE_COMPARED (1u << 16) /* pairs that are compared, at most, for less border */

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
    uint32_t look;         /* units that are looked at for each move */
    uint32_t compared;     /* pairs, for less border */
} balance;

/* The best of those that were looked at. */
typedef struct pick {
    uint32_t at;  /* in the list; the list's count: none */
    double gain;
    uint32_t looked;
} pick;

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

/* By how much less border there is if a unit of `from` goes to `to`: what lies beside it there and here, by weight, for a
 * heavy tile has many rows to send. */
static double gain_of(const place *p, uint32_t unit, uint32_t from, uint32_t to)
{
    double gain = 0;

    if (p->in->near == NULL)
        return (unit > 0 && p->owner[unit - 1] == to) || (unit + 1 < p->unit_count && p->owner[unit + 1] == to);
    for (uint32_t i = 0; i < COORD_PLACE_FACES; i++) {
        uint32_t beside = p->in->near[unit][i];
        double weight = beside < p->unit_count ? p->weight[unit] + p->weight[beside] : 0;

        if (beside < p->unit_count && p->owner[beside] == to)
            gain += weight;
        else if (beside < p->unit_count && p->owner[beside] == from)
            gain -= weight;
    }
    return gain;
}

static void consider(const balance *b, pick *best, uint32_t at)
{
    double gain;

    if (!place_may_take(b->p, b->units[at], b->receiver))
        return;
    if (best->looked++ == 0 && b->look == 1) {
        best->at = at;
        return;
    }
    gain = gain_of(b->p, b->units[at], b->donor, b->receiver);
    if (best->at == b->count || gain > best->gain) {
        best->at = at;
        best->gain = gain;
    }
    if (b->p->in->near == NULL && gain > 0)
        best->looked = b->look; /* along the curve one neighbour is as good as another */
}

/* How much lighter than the heaviest a unit may be, so that no more moves end the excess, and as many can bring the
 * donor to its share. */
static double spare_weight(balance *b, uint32_t at, double excess)
{
    const place_worker *from = &b->p->workers[b->donor];
    double sum = 0, wanted = from->load - from->share;

    if (excess > BALANCE_LOOK * b->p->weight[b->units[at]])
        return 0;
    for (uint32_t n = 0; n < BALANCE_LOOK && at < b->count; n++) {
        sum += b->p->weight[b->units[at]];
        if (sum >= excess)
            return sum > wanted ? sum - wanted : 0;
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

/* Bits of those of `count` units whose weight serves. Whether one is light enough, or heavy enough, is a toss, and that it
 * is both is rare: so no branch before all are known. */
static uint32_t which_serve(const place *p, const uint32_t *units, uint32_t count, double least, double most)
{
    uint32_t bits = 0;

    for (uint32_t i = 0; i < count; i++) {
        double weight = p->weight[units[i] < p->unit_count ? units[i] : 0];
        uint32_t light = weight <= most, heavy = weight >= least, known = units[i] < p->unit_count;

        bits |= (light & heavy & known) << i;
    }
    return bits;
}

/* What lies beside the last one that moved, if it is of a weight that serves: the first in a run along the curve, or
 * the best across a face. */
static void consider_next(const balance *b, pick *best, double least, double most)
{
    const place *p = b->p;
    const uint32_t along[2] = { b->last + 1, b->last - 1 }, *beside = along;
    uint32_t count = 2, bits;

    if (b->last == COORD_PLACE_NONE || p->owner[b->last] != b->receiver)
        return;
    if (p->in->near != NULL) {
        beside = p->in->near[b->last];
        count = COORD_PLACE_FACES;
    }
    bits = which_serve(p, beside, count, least, most);
    for (uint32_t i = 0; bits >> i != 0; i++)
        if ((bits >> i & 1) != 0 && is_left(b, beside[i]))
            consider(b, best, b->spot[beside[i]]);
}

/* From `at` on one that the receiver may have and that is no lighter than `least`. b->count: none. */
static uint32_t choose_from(balance *b, uint32_t at, double least)
{
    pick best = { .at = b->count };

    consider_next(b, &best, least, b->p->weight[b->units[at]]);
    if (best.at < b->count && b->look < BALANCE_LOOK)
        return best.at; /* of so many units it need not be the best */
    while (at < b->count && best.looked < b->look && b->p->weight[b->units[at]] >= least) {
        consider(b, &best, at);
        at = first_left(b, at + 1);
    }
    return best.at;
}

/* One that ends the excess, and leaves both as near to their shares as any, or nearly so and with less border. */
static uint32_t choose_last(const balance *b, double room, double excess)
{
    const place *p = b->p;
    const place_worker *to = &p->workers[b->receiver], *from = &p->workers[b->donor];
    double give = from->load - from->share, get = to->share - to->load, ideal = give < get ? give : get;
    double near = COORD_PLACE_SLACK / 4 * (to->share < from->share ? to->share : from->share);
    uint32_t lighter = first_below(b, ideal), heavier = lighter;
    pick best = { .at = b->count };

    while (best.looked < b->look) {
        bool low = lighter < b->count && p->weight[b->units[lighter]] >= excess;
        bool high = heavier > 0 && p->weight[b->units[heavier - 1]] <= room;
        double below = low ? ideal - p->weight[b->units[lighter]] : 0;
        double above = high ? p->weight[b->units[heavier - 1]] - ideal : 0;
        uint32_t at;

        low = low && (!high || below <= above);
        if ((!low && !high) || (best.at < b->count && (low ? below : above) > near))
            break;
        at = low ? lighter++ : --heavier;
        if (b->next[at] == at && p->weight[b->units[at]] >= excess && p->weight[b->units[at]] <= room)
            consider(b, &best, at);
    }
    return best.at;
}

/* The place in the list of what moves next; b->count: nothing fits. */
static uint32_t choose(balance *b)
{
    const place *p = b->p;
    const place_worker *to = &p->workers[b->receiver], *from = &p->workers[b->donor];
    double least = p->quantum * 1e-9;
    double room = bound_of(to) - to->load + least, excess = from->load - bound_of(from) - least;
    uint32_t at = first_left(b, 0);
    double heaviest;

    if (at < b->count && p->weight[b->units[at]] > room)
        at = first_left(b, first_below(b, room));
    heaviest = at == b->count ? 0 : p->weight[b->units[at]];
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

/* ---- less border ---- */

/* Whether two workers are as even as before, or even enough, when one has got `more` of the other. */
static bool stays_even(const place_worker *to, const place_worker *from, double more)
{
    const place_worker *w = more > 0 ? to : from;
    double grows = more > 0 ? more : -more;

    return w->load + grows <= w->share * (1 + COORD_PLACE_SLACK / 2);
}

/* By how much less border there is if `gone`, which the donor has given away, comes back for `kept`. Where the two lie
 * beside each other, they do so afterwards, too. */
static double swap_gain(const balance *b, uint32_t gone, uint32_t kept)
{
    const place *p = b->p;
    uint32_t to = p->owner[gone];
    double gain = gain_of(p, kept, b->donor, to) + gain_of(p, gone, to, b->donor);

    for (uint32_t i = 0; i < COORD_PLACE_FACES; i++)
        if (p->in->near[gone][i] == kept)
            gain -= 2 * (p->weight[gone] + p->weight[kept]);
    return gain;
}

/* Whether one that the donor keeps was given away in the place of `gone`. */
static bool swap(balance *b, uint32_t gone)
{
    place *p = b->p;
    uint32_t to = p->owner[gone];
    const place_worker *workers = p->workers;

    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t kept = b->units[i];
        double more = p->weight[kept] - p->weight[gone];

        if (p->owner[kept] != b->donor || p->before[kept] != b->donor ||
            !stays_even(&workers[to], &workers[b->donor], more) || !place_may_take(p, kept, to) ||
            swap_gain(b, gone, kept) <= p->quantum * 1e-9)
            continue;
        place_give(p, gone, b->donor);
        place_give(p, kept, to);
        return true;
    }
    return false;
}

/* What was chosen one by one leaves corners: change what is given away for what is kept as long as that makes the border
 * less. As many move. */
static void smooth(balance *b)
{
    const place *p = b->p;
    bool better = p->in->near != NULL && b->look >= BALANCE_LOOK;

    while (better) {
        better = false;
        for (uint32_t i = 0; i < b->count; i++) {
            uint32_t unit = b->units[i];

            if (p->owner[unit] == b->donor || p->before[unit] != b->donor)
                continue;
            if (b->compared + b->count > BALANCE_COMPARED)
                return;
            b->compared += b->count;
            better |= swap(b, unit);
        }
    }
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
    smooth(b);
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

    b.look = BALANCE_SEEN / (p->unit_count + 1);
    b.look = b.look > BALANCE_SEEN_MAX ? BALANCE_SEEN_MAX : b.look < BALANCE_SEEN_MIN ? BALANCE_SEEN_MIN : b.look;

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
