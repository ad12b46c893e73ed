/* Balancing against the same rules written plainly: every question is answered by looking at all units and all workers,
 * nothing is sorted beforehand, remembered or skipped. The two must agree on every single unit, for what is asked must
 * not depend on how fast the answer is found. */
#define UNITS_MAX 20000
#include "tests/support/place_scene.h"

#define NONE COORD_PLACE_NONE
#define SEEN (1u << 15) /* the bounds of coord_place_balance.c */
#define PAIRS (1u << 16)
#define TRIES (1u << 21)

/* All workers own something at first and none leaves or is refused, so nothing is placed before. */
static struct plain {
    uint32_t owner[UNITS_MAX];
    double weight[UNITS_MAX], load[WORKERS_MAX], share[WORKERS_MAX], quantum;
    uint64_t taken[WORKERS_MAX]; /* bytes of what it did not have before */
    bool open[WORKERS_MAX];  /* a receiver, as far as is known */
    double key[WORKERS_MAX]; /* its level when it was last looked at */
    bool gone[UNITS_MAX];    /* of what the donor had, given away */
    uint32_t sorted[UNITS_MAX], count; /* what it had, heaviest first */
    uint32_t donor, receiver, last, look, tried, compared;
    bool dropped;
} q;

static double level(uint32_t w)
{
    return q.load[w] / q.share[w];
}

static double bound(uint32_t w)
{
    return q.share[w] * (1 + COORD_PLACE_SLACK);
}

static bool may_take(uint32_t u, uint32_t w)
{
    uint64_t least = s.hints.min_free_bytes;

    return s.units[u].owner == w || least == 0 ||
           (s.workers[w].free_bytes >= least && q.taken[w] + s.units[u].bytes <= s.workers[w].free_bytes - least);
}

static void give(uint32_t u, uint32_t to)
{
    uint32_t from = q.owner[u];

    q.taken[from] -= s.units[u].owner == from ? 0 : s.units[u].bytes;
    q.taken[to] += s.units[u].owner == to ? 0 : s.units[u].bytes;
    q.load[from] -= q.weight[u];
    q.load[to] += q.weight[u];
    q.owner[u] = to;
}

static double gain(uint32_t u, uint32_t from, uint32_t to)
{
    double sum = 0;

    if (s.in.near == NULL)
        return (u > 0 && q.owner[u - 1] == to) || (u + 1 < s.in.unit_count && q.owner[u + 1] == to);
    for (uint32_t i = 0; i < COORD_PLACE_FACES; i++) {
        uint32_t v = s.in.near[u][i];

        if (v != NONE && q.owner[v] == to)
            sum += q.weight[u] + q.weight[v];
        else if (v != NONE && q.owner[v] == from)
            sum -= q.weight[u] + q.weight[v];
    }
    return sum;
}

/* ---- what is chosen ---- */

typedef struct chosen {
    uint32_t at, looked;
    double gain;
} chosen;

static void look_at(chosen *c, uint32_t at)
{
    double more;

    if (!may_take(q.sorted[at], q.receiver))
        return;
    if (c->looked++ == 0 && q.look == 1) {
        c->at = at;
        return;
    }
    more = gain(q.sorted[at], q.donor, q.receiver);
    if (c->at == NONE || more > c->gain) {
        c->at = at;
        c->gain = more;
    }
    if (s.in.near == NULL && more > 0)
        c->looked = q.look;
}

/* What is beside the last, then all from `at` on, of `least` or more. */
static uint32_t choose_any(uint32_t at, double least)
{
    chosen c = { .at = NONE };
    uint32_t along[2] = { q.last + 1, q.last - 1 }, faces = s.in.near != NULL ? COORD_PLACE_FACES : 2;
    double most = q.weight[q.sorted[at]];

    for (uint32_t i = 0; q.last != NONE && q.owner[q.last] == q.receiver && i < faces; i++)
        for (uint32_t k = 0; k < q.count; k++)
            if (q.sorted[k] == (s.in.near != NULL ? s.in.near[q.last][i] : along[i]) && !q.gone[k] &&
                q.weight[q.sorted[k]] >= least && q.weight[q.sorted[k]] <= most)
                look_at(&c, k);
    if (c.at != NONE && q.look < 32)
        return c.at;
    for (; at < q.count && c.looked < q.look && q.weight[q.sorted[at]] >= least; at++)
        if (!q.gone[at])
            look_at(&c, at);
    return c.at;
}

/* One that ends the excess: those whose weight is nearest to the ideal, one after the other, the lighter one first. */
static uint32_t choose_end(double room, double excess)
{
    double gives = q.load[q.donor] - q.share[q.donor], gets = q.share[q.receiver] - q.load[q.receiver];
    double ideal = gives < gets ? gives : gets, near;
    uint32_t low = 0, high;
    chosen c = { .at = NONE };

    near = COORD_PLACE_SLACK / 4 *
           (q.share[q.receiver] < q.share[q.donor] ? q.share[q.receiver] : q.share[q.donor]);
    while (low < q.count && q.weight[q.sorted[low]] > ideal)
        low++;
    high = low;
    while (c.looked < q.look) {
        bool is_low = low < q.count && q.weight[q.sorted[low]] >= excess;
        bool is_high = high > 0 && q.weight[q.sorted[high - 1]] <= room;
        double below = is_low ? ideal - q.weight[q.sorted[low]] : 0;
        double above = is_high ? q.weight[q.sorted[high - 1]] - ideal : 0;
        uint32_t at;

        is_low = is_low && (!is_high || below <= above);
        if ((!is_low && !is_high) || (c.at != NONE && (is_low ? below : above) > near))
            break;
        at = is_low ? low++ : --high;
        if (!q.gone[at] && q.weight[q.sorted[at]] >= excess && q.weight[q.sorted[at]] <= room)
            look_at(&c, at);
    }
    return c.at;
}

/* How much lighter than the heaviest the next may be, with no more moves in all. */
static double spare(uint32_t at, double excess)
{
    double sum = 0, wanted = q.load[q.donor] - q.share[q.donor];

    if (excess > 32 * q.weight[q.sorted[at]])
        return 0;
    for (uint32_t n = 0; n < 32 && at < q.count; at++) {
        if (q.gone[at])
            continue;
        sum += q.weight[q.sorted[at]];
        if (sum >= excess)
            return sum > wanted ? sum - wanted : 0;
        n++;
    }
    return 0;
}

static uint32_t choose(void)
{
    double least = q.quantum * 1e-9;
    double room = bound(q.receiver) - q.load[q.receiver] + least, excess = q.load[q.donor] - bound(q.donor) - least;
    uint32_t at = 0;

    while (at < q.count && (q.gone[at] || q.weight[q.sorted[at]] > room))
        at++;
    if (at == q.count || q.weight[q.sorted[at]] >= excess)
        return choose_end(room, excess);
    return choose_any(at, q.weight[q.sorted[at]] - spare(at, excess) - least);
}

/* ---- exchanges ---- */

static bool exchange(void)
{
    double room = bound(q.receiver) - q.load[q.receiver], excess = q.load[q.donor] - bound(q.donor), best = 0;
    uint32_t out = NONE, in = NONE;

    if (q.tried > TRIES / s.in.unit_count)
        return false;
    q.tried++;
    for (uint32_t u = 0; u < s.in.unit_count; u++) {
        uint32_t at = 0;

        if (q.owner[u] != q.receiver || q.weight[u] + room <= 0 || !may_take(u, q.donor))
            continue;
        while (at < q.count && (q.gone[at] || q.weight[q.sorted[at]] > q.weight[u] + room))
            at++;
        if (at < q.count && may_take(q.sorted[at], q.receiver) &&
            q.weight[q.sorted[at]] - q.weight[u] > best + q.quantum * 1e-9) {
            best = q.weight[q.sorted[at]] - q.weight[u];
            out = at;
            in = u;
        }
    }
    if (best <= excess / 4)
        return false;
    q.gone[out] = true;
    give(q.sorted[out], q.receiver);
    give(in, q.donor);
    return true;
}

static bool swap(uint32_t gone)
{
    uint32_t to = q.owner[gone];

    for (uint32_t i = 0; i < q.count; i++) {
        uint32_t kept = q.sorted[i], grows;
        double more = q.weight[kept] - q.weight[gone], better;

        if (q.owner[kept] != q.donor || s.units[kept].owner != q.donor)
            continue;
        grows = more > 0 ? to : q.donor;
        if (q.load[grows] + (more > 0 ? more : -more) > q.share[grows] * (1 + COORD_PLACE_SLACK / 2) ||
            !may_take(kept, to))
            continue;
        better = gain(kept, q.donor, to) + gain(gone, to, q.donor);
        for (uint32_t f = 0; f < COORD_PLACE_FACES; f++)
            better -= s.in.near[gone][f] == kept ? 2 * (q.weight[gone] + q.weight[kept]) : 0;
        if (better <= q.quantum * 1e-9)
            continue;
        give(gone, q.donor);
        give(kept, to);
        return true;
    }
    return false;
}

static void smooth(void)
{
    for (bool better = s.in.near != NULL && q.look >= 32; better;) {
        better = false;
        for (uint32_t i = 0; i < q.count; i++) {
            uint32_t u = q.sorted[i];

            if (q.owner[u] == q.donor || s.units[u].owner != q.donor)
                continue;
            if (q.compared + q.count > PAIRS)
                return;
            q.compared += q.count;
            better |= swap(u);
        }
    }
}

/* ---- who gives, who gets ---- */

static uint32_t lowest(void)
{
    for (;;) {
        uint32_t best = NONE;

        for (uint32_t w = 0; w < s.in.worker_count; w++)
            if (q.open[w] && (best == NONE || q.key[w] < q.key[best]))
                best = w;
        if (best == NONE || (q.key[best] == level(best) && level(best) < 1))
            return best;
        q.open[best] = level(best) < 1;
        q.key[best] = level(best);
    }
}

static void open_all(void)
{
    q.dropped = false;
    for (uint32_t w = 0; w < s.in.worker_count; w++) {
        q.open[w] = level(w) < 1;
        q.key[w] = level(w);
    }
}

static void relieve(void)
{
    q.last = NONE;
    q.receiver = lowest();
    while (q.load[q.donor] > bound(q.donor) + q.quantum * 1e-9 && q.receiver != NONE) {
        uint32_t at = choose(), low;

        if (at != NONE) {
            q.gone[at] = true;
            q.last = q.sorted[at];
            give(q.last, q.receiver);
            if (level(q.receiver) >= 1)
                q.receiver = lowest();
            continue;
        }
        low = lowest();
        if (q.receiver == low && !exchange()) {
            q.open[low] = false;
            q.dropped = true;
        }
        q.receiver = lowest();
    }
    smooth();
}

static int heavier(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a, two = *(const uint32_t *)b;

    if (q.weight[one] != q.weight[two])
        return q.weight[one] > q.weight[two] ? -1 : 1;
    return one < two ? -1 : 1;
}

static void list_units(void)
{
    q.count = 0;
    for (uint32_t u = 0; u < s.in.unit_count; u++)
        if (q.owner[u] == q.donor)
            q.sorted[q.count++] = u;
    qsort(q.sorted, q.count, sizeof *q.sorted, heavier);
    memset(q.gone, 0, sizeof q.gone);
}

static void plain_init(void)
{
    double total = 0, threads = 0, least;

    memset(&q, 0, sizeof q);
    for (uint32_t u = 0; u < s.in.unit_count; u++)
        total += (double)s.units[u].cost_ns;
    least = total / s.in.unit_count / 1024;
    total = 0;
    for (uint32_t u = 0; u < s.in.unit_count; u++) {
        double cost = (double)s.units[u].cost_ns;

        q.weight[u] = cost > least ? cost : least;
        q.owner[u] = s.units[u].owner;
        q.load[q.owner[u]] += q.weight[u];
        total += q.weight[u];
    }
    q.quantum = total / s.in.unit_count;
    for (uint32_t w = 0; w < s.in.worker_count; w++)
        threads += s.workers[w].threads;
    for (uint32_t w = 0; w < s.in.worker_count; w++)
        q.share[w] = total * s.workers[w].threads / threads;
    q.look = SEEN / (s.in.unit_count + 1);
    q.look = q.look > 256 ? 256 : q.look < 1 ? 1 : q.look;
}

static void plain_balance(void)
{
    double was[WORKERS_MAX];
    bool done[WORKERS_MAX] = { false };

    plain_init();
    for (uint32_t w = 0; w < s.in.worker_count; w++)
        was[w] = q.load[w] > bound(w) ? level(w) : 0;
    open_all();
    for (;;) {
        uint32_t next = NONE;

        for (uint32_t w = 0; w < s.in.worker_count; w++)
            if (!done[w] && was[w] > 0 && (next == NONE || was[w] > was[next]))
                next = w;
        if (next == NONE)
            return;
        done[next] = true;
        q.donor = next;
        list_units();
        if (q.dropped)
            open_all();
        relieve();
        if (level(q.donor) < 1) {
            q.open[q.donor] = true;
            q.key[q.donor] = level(q.donor);
        }
    }
}

/* ---- scenes ---- */

static coord_place_near faces[UNITS_MAX];

/* Tiles of a box in no space order: what lies beside what is all that is known of them. */
static void scene_box(uint32_t workers, const uint32_t n[3])
{
    uint32_t strides[3] = { 1, n[0], n[0] * n[1] };

    scene_init(workers, n[0] * n[1] * n[2]);
    for (uint32_t u = 0; u < s.in.unit_count; u++)
        for (uint32_t a = 0; a < 3; a++) {
            uint32_t place = u / strides[a] % n[a];

            faces[u][2 * a] = place > 0 ? u - strides[a] : NONE;
            faces[u][2 * a + 1] = place + 1 < n[a] ? u + strides[a] : NONE;
        }
    s.in.near = random_below(4) > 0 ? (const coord_place_near *)faces : NULL;
}

/* Each worker has something. Weights of so many kinds, some of a region much heavier; owners in runs, or nearly all one's. */
static void scene_fill(uint32_t kinds)
{
    uint32_t units = s.in.unit_count, n = s.in.worker_count, mostly = random_below(n);
    uint32_t hot = random_below(units), factor = 1 + random_below(20), how = random_below(3);

    for (uint32_t u = 0; u < units; u++) {
        uint32_t owner = how == 0 ? random_below(n) : how == 1 ? u * n / units : mostly;

        s.units[u].owner = u < n ? u : owner;
        s.units[u].bytes = 500 + random_below(1000);
        s.units[u].cost_ns = (1000 + random_below(kinds)) * (u >= hot && u < hot + units / 8 ? factor : 1);
    }
    for (uint32_t w = 0; w < n; w++) {
        s.workers[w].threads = random_below(3) == 0 ? 2 : 1;
        s.workers[w].free_bytes = 1000 + random_below(200000);
    }
    s.hints.min_free_bytes = random_below(3) == 0 ? 1000 : 0;
}

static uint32_t compare(void)
{
    uint32_t moved = 0;

    balance();
    plain_balance();
    for (uint32_t u = 0; u < s.in.unit_count; u++) {
        assert_int_equal(s.after[u], q.owner[u]);
        moved += q.owner[u] != s.units[u].owner;
    }
    return moved;
}

static void test_few(void **state)
{
    uint32_t moved = 0;

    (void)state;
    srand(7);
    for (uint32_t round = 0; round < 2000; round++) {
        scene_box(2 + random_below(4), (const uint32_t[]){ 2 + random_below(4), 2 + random_below(4), 2 + random_below(4) });
        scene_fill(1 + random_below(3) * 400);
        moved += compare();
    }
    assert_true(moved > 2000);
}

static void test_some(void **state)
{
    uint32_t moved = 0;

    (void)state;
    srand(8);
    for (uint32_t round = 0; round < 60; round++) {
        scene_box(2 + random_below(30), (const uint32_t[]){ 8 + random_below(6), 8 + random_below(6), 6 + random_below(6) });
        scene_fill(1 + random_below(3) * 400);
        moved += compare();
    }
    assert_true(moved > 2000);
}

/* So many that hardly any are looked at for their border. */
static void test_many(void **state)
{
    uint32_t moved = 0;

    (void)state;
    srand(9);
    for (uint32_t round = 0; round < 4; round++) {
        scene_box(40, (const uint32_t[]){ 20 + 5 * (round & 1), 25, 32 });
        scene_fill(1 + round * 300);
        moved += compare();
    }
    assert_true(moved > 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few),
        cmocka_unit_test(test_some),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
