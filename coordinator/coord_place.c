#include "coordinator/coord_place_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A unit counts as at least such a part of the mean one: without rows it has tasks all the same, and
 * who has many of them may be given rows later. */
#define PLACE_LEAST (1.0 / 1024)

/* ---- weights ---- */

place_scale place_scale_of(const coord_place_unit *units, uint32_t count)
{
    double cost = 0, rows_measured = 0, rows = 0, total;
    place_scale scale = { 0, 0, 1 };

    for (uint32_t u = 0; u < count; u++) {
        cost += (double)units[u].cost_ns;
        rows += (double)units[u].rows;
        if (units[u].cost_ns > 0)
            rows_measured += (double)units[u].rows;
    }
    if (cost > 0) {
        scale.by_cost = 1;
        scale.by_rows = rows_measured > 0 ? cost / rows_measured : 0;
    } else if (rows > 0) {
        scale.by_rows = 1;
    } else {
        return scale;
    }
    scale.least = 0;
    total = 0;
    for (uint32_t u = 0; u < count; u++)
        total += place_weight(&scale, &units[u]);
    scale.least = PLACE_LEAST * total / count;
    return scale;
}

double place_weight(const place_scale *scale, const coord_place_unit *unit)
{
    double weight = unit->cost_ns > 0 && scale->by_cost > 0 ? (double)unit->cost_ns * scale->by_cost
                                                            : (double)unit->rows * scale->by_rows;

    return weight > scale->least ? weight : scale->least;
}

static void weigh(place *p)
{
    place_scale scale = place_scale_of(p->in->units, p->unit_count);

    if (p->policy == DF_PLACE_ROUND_ROBIN)
        scale = (place_scale){ 0, 0, 1 };
    for (uint32_t u = 0; u < p->unit_count; u++) {
        p->weight[u] = place_weight(&scale, &p->in->units[u]);
        p->total += p->weight[u];
    }
    p->quantum = p->unit_count > 0 ? p->total / p->unit_count : 1;
}

/* ---- workers in the order of their ids ---- */

static int worker_compare(const void *a, const void *b)
{
    uint64_t one = ((const place_worker *)a)->given->id, two = ((const place_worker *)b)->given->id;

    return (one > two) - (one < two);
}

static void rank_workers(place *p)
{
    uint32_t *rank = p->ranks;

    for (uint32_t i = 0; i < p->worker_count; i++)
        p->workers[i] = (place_worker){ .given = &p->in->workers[i], .place = i,
                                        .first = COORD_PLACE_NONE };
    qsort(p->workers, p->worker_count, sizeof *p->workers, worker_compare);
    for (uint32_t r = 0; r < p->worker_count; r++) {
        assert(p->workers[r].given->threads > 0);
        assert(r == 0 || p->workers[r].given->id != p->workers[r - 1].given->id);
        rank[p->workers[r].place] = r;
    }
    for (uint32_t u = 0; u < p->unit_count; u++) {
        uint32_t owner = p->in->units[u].owner;

        assert(owner == COORD_PLACE_NONE || owner < p->worker_count);
        p->owner[u] = COORD_PLACE_NONE;
        if (owner != COORD_PLACE_NONE)
            place_give(p, u, rank[owner]);
        p->before[u] = p->owner[u];
    }
    for (uint32_t r = 0; r < p->worker_count; r++)
        p->workers[r].was = p->workers[r].load;
}

/* Shares are of those who stay and have units or may be given some. */
static void share_out(place *p)
{
    double threads = 0;

    for (uint32_t r = 0; r < p->worker_count; r++) {
        const place_worker *w = &p->workers[r];

        if (w->stays && (w->count > 0 || w->takes))
            threads += w->given->threads;
    }
    for (uint32_t r = 0; r < p->worker_count; r++) {
        place_worker *w = &p->workers[r];

        if (w->stays && (w->count > 0 || w->takes))
            w->share = p->total * w->given->threads / threads;
    }
}

df_status place_new(place **out, const coord_place_input *in, df_error *err)
{
    size_t workers = in->worker_count, units = in->unit_count;
    size_t size = sizeof(place) + workers * (sizeof(place_worker) + 2 * sizeof(place_key)) +
                  units * sizeof(double) + (5 * units + 1 + 2 * workers) * sizeof(uint32_t);
    place *p = calloc(1, size);
    char *at = (char *)(p + 1);

    *out = NULL;
    if (p == NULL)
        return df_fail(err, DF_ENOMEM, "placement: out of memory");
    p->in = in;
    p->policy = in->hints->policy;
    p->worker_count = in->worker_count;
    p->unit_count = in->unit_count;
    p->workers = (place_worker *)(void *)at;
    at += workers * sizeof(place_worker);
    p->heap = (place_key *)(void *)at;
    p->heap_other = p->heap + workers;
    at += 2 * workers * sizeof(place_key);
    p->weight = (double *)(void *)at;
    at += units * sizeof(double);
    p->owner = (uint32_t *)(void *)at;
    p->before = p->owner + units;
    p->list = p->before + units;
    p->next = p->list + units;
    p->spot = p->next + units + 1;
    p->ranks = p->spot + units;
    p->start = p->ranks + workers;
    weigh(p);
    rank_workers(p);
    place_judge(p);
    share_out(p);
    *out = p;
    return DF_OK;
}

void place_free(place **p)
{
    free(*p);
    *p = NULL;
}

void place_give(place *p, uint32_t unit, uint32_t to)
{
    uint32_t from = p->owner[unit];
    double weight = p->weight[unit];

    p->owner[unit] = to;
    if (from != COORD_PLACE_NONE) {
        place_worker *w = &p->workers[from];

        w->count--;
        w->load -= weight;
        w->height -= weight;
        if (p->before[unit] != from)
            w->room += w->room == UINT64_MAX ? 0 : p->in->units[unit].bytes;
    }
    if (to != COORD_PLACE_NONE) {
        place_worker *w = &p->workers[to];

        w->count++;
        w->load += weight;
        w->height += weight;
        w->first = unit < w->first ? unit : w->first;
        if (p->before[unit] != to)
            w->room -= w->room == UINT64_MAX ? 0 : p->in->units[unit].bytes;
    }
}

bool place_may_take(const place *p, uint32_t unit, uint32_t worker)
{
    const place_worker *w = &p->workers[worker];

    if (w->stays && p->before[unit] == worker)
        return true;
    /* Where room is no matter, what the unit holds is not fetched: among many units that is half of the time it takes. */
    return w->takes && (w->room == UINT64_MAX || p->in->units[unit].bytes <= w->room);
}

/* ---- sorting by weight ---- */

#define SORT_FEW 256u /* from so many on a sort by digits is faster */

static int heavier_first(const void *a, const void *b, void *user)
{
    const place *p = user;
    uint32_t one = *(const uint32_t *)a, two = *(const uint32_t *)b;

    if (p->weight[one] != p->weight[two])
        return p->weight[one] > p->weight[two] ? -1 : 1;
    return (one > two) - (one < two);
}

/* A digit of a weight, greater ones first: doubles that are not below 0 are in the order of their bits. */
static uint32_t digit_of(const place *p, uint32_t unit, uint32_t shift)
{
    uint64_t bits;

    memcpy(&bits, &p->weight[unit], sizeof bits);
    return 255 - (uint32_t)(bits >> shift & 255);
}

/* One digit, keeping the order of what has the same. False: all have the same, and nothing was done. */
static bool sort_digit(const place *p, uint32_t *to, const uint32_t *from, uint32_t count, uint32_t shift)
{
    uint32_t starts[257] = { 0 };

    for (uint32_t i = 0; i < count; i++)
        starts[digit_of(p, from[i], shift) + 1]++;
    if (starts[digit_of(p, from[0], shift) + 1] == count)
        return false;
    for (uint32_t d = 0; d < 256; d++)
        starts[d + 1] += starts[d];
    for (uint32_t i = 0; i < count; i++)
        to[starts[digit_of(p, from[i], shift)]++] = from[i];
    return true;
}

/* Weights are mostly small whole numbers, so that many digits are the same for all. */
void place_sort(place *p, uint32_t *units, uint32_t count)
{
    uint32_t *from = units, *to = p->next;

    if (count < SORT_FEW) {
        qsort_r(units, count, sizeof *units, heavier_first, p);
        return;
    }
    for (uint32_t shift = 0; shift < 64; shift += 8)
        if (sort_digit(p, to, from, count, shift)) {
            uint32_t *sorted = to;

            to = from;
            from = sorted;
        }
    if (from != units)
        memcpy(units, from, count * sizeof *units);
}

/* ---- heap ---- */

/* Without a branch: which of two is less is a toss. */
static bool key_less(place_key a, place_key b)
{
    return (a.key < b.key) | ((a.key == b.key) & (a.worker < b.worker));
}

static void heap_rise(place_heap *h, uint32_t i, place_key item)
{
    for (; i > 0 && key_less(item, h->items[(i - 1) / 2]); i = (i - 1) / 2)
        h->items[i] = h->items[(i - 1) / 2];
    h->items[i] = item;
}

/* The item that goes to the first place is mostly one of the greatest: a hole sinks to the end, along the lesser
 * children, and the item rises from there, hardly ever far. */
static void heap_put_first(place_heap *h, place_key item)
{
    uint32_t i = 0, child;

    while ((child = 2 * i + 1) + 1 < h->count) {
        child += key_less(h->items[child + 1], h->items[child]);
        h->items[i] = h->items[child];
        i = child;
    }
    if (child < h->count) {
        h->items[i] = h->items[child];
        i = child;
    }
    heap_rise(h, i, item);
}

void place_heap_push(place_heap *h, uint32_t worker, double key)
{
    heap_rise(h, h->count++, (place_key){ key, worker });
}

void place_heap_sink(place_heap *h, double key)
{
    heap_put_first(h, (place_key){ key, h->items[0].worker });
}

void place_heap_pop(place_heap *h)
{
    place_key last = h->items[--h->count];

    if (h->count > 0)
        heap_put_first(h, last);
}

/* ---- what came of it ---- */

static void count_moves(const place *p, uint32_t *after, coord_place_outcome *out)
{
    double moved = 0;

    for (uint32_t u = 0; u < p->unit_count; u++) {
        after[u] = p->owner[u] == COORD_PLACE_NONE ? COORD_PLACE_NONE : p->workers[p->owner[u]].place;
        if (p->owner[u] == p->before[u])
            continue;
        out->moved++;
        out->moved_rows += p->in->units[u].rows;
        out->moved_bytes += p->in->units[u].bytes;
        moved += p->weight[u];
    }
    out->moved_share = p->total > 0 ? moved / p->total : 0;
}

/* The busiest of those who stay, before and now. */
static void measure(const place *p, coord_place_outcome *out)
{
    double share = 0;

    for (uint32_t r = 0; r < p->worker_count; r++) {
        const place_worker *w = &p->workers[r];
        double was = w->share > 0 ? w->was / w->share : 0;
        double now = w->share > 0 ? w->load / w->share : 0;

        out->before = was > out->before ? was : out->before;
        out->after = now > out->after ? now : out->after;
        share = w->share > share ? w->share : share;
        out->stale += w->given->sampled_us != 0 && !place_sample_is_fresh(p, r);
    }
    out->heaviest = COORD_PLACE_NONE;
    for (uint32_t u = 0; u < p->unit_count; u++)
        if (p->weight[u] > share * (1 + COORD_PLACE_SLACK) &&
            (out->heaviest == COORD_PLACE_NONE || p->weight[u] > p->weight[out->heaviest]))
            out->heaviest = u;
    out->even = out->after <= 1 + COORD_PLACE_SLACK + 1e-9;
}

/* `idle`: why nothing moves, if nothing does. */
static void finish(const place *p, const char *idle, uint32_t *after, coord_place_outcome *out)
{
    char stale[64] = "", heavy[96] = "", bytes[32];

    *out = (coord_place_outcome){ 0 };
    count_moves(p, after, out);
    measure(p, out);
    if (out->stale > 0)
        snprintf(stale, sizeof stale, "; %u sample%s too old to be used", out->stale,
                 out->stale == 1 ? " was" : "s were");
    if (out->heaviest != COORD_PLACE_NONE && !out->even)
        snprintf(heavy, sizeof heavy, "; key group %u alone is more than a worker's share",
                 out->heaviest);
    if (out->moved == 0)
        snprintf(out->text, sizeof out->text, "nothing moves: %s%s%s", idle, heavy, stale);
    else
        snprintf(out->text, sizeof out->text,
                 "%u of %u key groups move, %.1f %% of the load, %s; the busiest worker then has %.2f "
                 "times its share%s%s",
                 out->moved, p->unit_count, 100 * out->moved_share,
                 place_bytes_text(out->moved_bytes, bytes), out->after, heavy, stale);
}

df_status coord_place_fit(const coord_place_input *input, uint32_t *after,
                          coord_place_outcome *outcome, df_error *err)
{
    place *p;
    df_status s = place_new(&p, input, err);

    if (s != DF_OK)
        return s;
    s = place_fit(p, err);
    if (s == DF_OK)
        finish(p, "the workers that stay own everything already", after, outcome);
    place_free(&p);
    return s;
}

df_status coord_place_balance(const coord_place_input *input, uint32_t *after,
                              coord_place_outcome *outcome, df_error *err)
{
    place *p;
    df_status s = place_new(&p, input, err);

    if (s != DF_OK)
        return s;
    s = place_fit(p, err);
    if (s == DF_OK)
        place_balance(p);
    if (s == DF_OK)
        finish(p, place_busiest(p) <= 1 + COORD_PLACE_SLACK
                      ? "no worker has much more than its share"
                      : "no move would make it more even", after, outcome);
    place_free(&p);
    return s;
}

df_status coord_place_move(const coord_place_input *input, uint32_t first, uint32_t last, uint32_t to,
                           uint32_t *after, coord_place_outcome *outcome, df_error *err)
{
    char why[160];
    uint32_t rank = 0;
    place *p;
    df_status s;

    if (first > last || last >= input->unit_count)
        return df_fail(err, DF_EINVAL, "key groups %u-%u: the job has 0-%u", first, last,
                       input->unit_count - 1);
    assert(to < input->worker_count);
    if (coord_place_refusal(input, to, why))
        return df_fail(err, DF_EINVAL, "%s: %s", input->workers[to].label, why);
    s = place_new(&p, input, err);
    if (s != DF_OK)
        return s;
    while (p->workers[rank].place != to)
        rank++;
    for (uint32_t u = first; s == DF_OK && u <= last; u++) {
        if (p->owner[u] == rank)
            continue;
        if (place_may_take(p, u, rank))
            place_give(p, u, rank);
        else
            s = place_nobody(p, u, err);
    }
    if (s == DF_OK)
        finish(p, "the worker has them already", after, outcome);
    place_free(&p);
    return s;
}
