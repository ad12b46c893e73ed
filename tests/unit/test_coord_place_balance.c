/* Balancing against searches of everything that could be done, on small cases; on larger ones against moves
 * that no plan can do without. */
#include "tests/support/place_scene.h"

#include <math.h>

/* The fewest changes of owner with which nobody has more than `bound`; UINT32_MAX: there are none. */
static uint32_t fewest_changes(uint32_t unit, const double *weight, double *load, uint32_t changed,
                               double bound, uint32_t best)
{
    uint32_t owner;

    if (changed >= best)
        return best;
    if (unit == s.in.unit_count) {
        for (uint32_t w = 0; w < s.in.worker_count; w++)
            if (load[w] > bound + 1e-9)
                return best;
        return changed;
    }
    owner = s.units[unit].owner;
    for (uint32_t w = 0; w < s.in.worker_count; w++) {
        load[w] += weight[unit];
        best = fewest_changes(unit + 1, weight, load, changed + (w != owner), bound, best);
        load[w] -= weight[unit];
    }
    return best;
}

/* Never fewer moves than a search of all finds (it would be wrong), mostly as many, and wherever units are
 * of one weight exactly as many. */
static void test_balance_small(void **state)
{
    uint32_t even = 0, possible = 0, fewest = 0;

    (void)state;
    srand(3);
    for (int round = 0; round < 3000; round++) {
        uint32_t n = 2 + random_below(2), units = n + random_below(6), oracle;
        bool same = round % 3 == 0;
        double weight[16], load[WORKERS_MAX] = { 0 }, total = 0;

        scene_init(n, units);
        for (uint32_t u = 0; u < units; u++) {
            s.units[u].owner = u < n ? u : random_below(n);
            s.units[u].cost_ns = same ? 100 : 10 + random_below(90);
            weight[u] = (double)s.units[u].cost_ns;
            total += weight[u];
        }
        balance();
        oracle = fewest_changes(0, weight, load, 0, 1.05 * total / n, UINT32_MAX);
        if (s.out.even)
            assert_true(oracle <= s.out.moved);
        if (same && oracle != UINT32_MAX)
            assert_int_equal(s.out.moved, oracle);
        possible += oracle != UINT32_MAX;
        even += s.out.even;
        fewest += s.out.even && s.out.moved == oracle;
        assert_true(s.out.after <= s.out.before + 1e-9);
    }
    print_message("balance: %u of 3000 can be even, %u are, %u by the fewest moves\n", possible, even, fewest);
    assert_true(even >= possible * 9 / 10);
    assert_true(fewest >= even * 9 / 10);
}

/* With many light units it is always reached, by as many moves as the excess needs at least. */
static void test_balance_large(void **state)
{
    (void)state;
    srand(4);
    for (int round = 0; round < 100; round++) {
        uint32_t n = 2 + random_below(20), units = 40 * n + random_below(1000), least = 0;
        double load[WORKERS_MAX] = { 0 }, total = 0, bound;
        uint64_t costs[UNITS_MAX];

        scene_init(n, units);
        for (uint32_t u = 0; u < units; u++) {
            double x = (double)u / units;

            s.units[u].owner = u * n / units;
            s.units[u].cost_ns = (uint64_t)(1000 * (1 + 3 * exp(-30 * x * x))) + random_below(500);
            load[s.units[u].owner] += (double)s.units[u].cost_ns;
            total += (double)s.units[u].cost_ns;
        }
        bound = 1.05 * total / n;
        balance();
        assert_true(s.out.even);
        assert_true(s.out.after <= 1.05 + 1e-9);
        /* Of each worker that has too much at least its heaviest units, until it has not. */
        for (uint32_t w = 0; w < n; w++) {
            double left = load[w];
            uint32_t count = 0;

            for (uint32_t u = 0; u < units; u++)
                if (s.units[u].owner == w)
                    costs[count++] = s.units[u].cost_ns;
            while (left > bound + 1e-6) {
                uint32_t most = 0;

                for (uint32_t i = 0; i < count; i++)
                    most = costs[i] > costs[most] ? i : most;
                left -= (double)costs[most];
                costs[most] = 0;
                least++;
            }
        }
        assert_int_equal(s.out.moved, least);
        adopt();
        balance(); /* and then it stands */
        assert_int_equal(s.out.moved, 0);
        assert_non_null(strstr(s.out.text, "no worker has much more"));
    }
}

/* The fewest moves that a worker with these units needs, of those that fit anywhere. */
static uint32_t moves_needed(uint32_t worker, double load, double bound, double room)
{
    bool moved[UNITS_MAX] = { false };
    uint32_t count = 0;

    while (load > bound + 1e-6) {
        uint32_t most = COORD_PLACE_NONE;

        for (uint32_t u = 0; u < s.in.unit_count; u++)
            if (s.units[u].owner == worker && !moved[u] && (double)s.units[u].cost_ns <= room &&
                (most == COORD_PLACE_NONE || s.units[u].cost_ns > s.units[most].cost_ns))
                most = u;
        if (most == COORD_PLACE_NONE)
            break;
        moved[most] = true;
        load -= (double)s.units[most].cost_ns;
        count++;
    }
    return count;
}

/* A few units weigh as much as many others together: nearly always even, by hardly more moves than no
 * plan can do without. */
static void test_balance_heavy(void **state)
{
    uint32_t cases = 0, even = 0, moved = 0, needed = 0;

    (void)state;
    srand(5);
    for (int round = 0; round < 1000; round++) {
        uint32_t n = 2 + random_below(7), units = 10 * n + random_below(200);
        double load[WORKERS_MAX] = { 0 }, total = 0, least = 1e300, heaviest = 0;

        scene_init(n, units);
        for (uint32_t u = 0; u < units; u++) {
            double cost = floor(1000 / pow((1.0 + random_below(1000000)) / 1000000, 0.7));

            s.units[u].owner = u * n / units;
            s.units[u].cost_ns = (uint64_t)cost;
            load[s.units[u].owner] += cost;
            total += cost;
            heaviest = cost > heaviest ? cost : heaviest;
        }
        if (heaviest > total / n)
            continue;
        for (uint32_t w = 0; w < n; w++)
            least = load[w] < least ? load[w] : least;
        balance();
        cases++;
        if (!s.out.even)
            continue;
        even++;
        moved += s.out.moved;
        for (uint32_t w = 0; w < n; w++)
            needed += moves_needed(w, load[w], 1.05 * total / n, 1.05 * total / n - least);
    }
    print_message("balance: %u of %u even, by %u moves; at least %u are needed\n", even, cases, moved,
                  needed);
    assert_true(even >= cases * 95 / 100);
    assert_true(moved >= needed && moved <= needed * 11 / 10);
}

/* Units of one weight, all at one worker: the others get runs. */
static void test_balance_keeps_neighbours(void **state)
{
    uint32_t counts[WORKERS_MAX];

    (void)state;
    scene_init(4, 400);
    for (uint32_t u = 0; u < 400; u++)
        s.units[u].owner = u < 397 ? 0 : u - 396;
    balance();
    count_units(counts);
    assert_true(s.out.even);
    for (uint32_t w = 1; w < 4; w++)
        assert_true(count_runs(s.after, w) <= 2);
}

/* ---- borders ---- */

static coord_place_near faces[UNITS_MAX];

/* Tiles of a box, all but the last at the first worker, and what lies beside what. */
static void scene_box(uint32_t workers, const uint32_t n[3])
{
    uint32_t strides[3] = { 1, n[0], n[0] * n[1] };

    scene_init(workers, n[0] * n[1] * n[2]);
    for (uint32_t u = 0; u < s.in.unit_count; u++) {
        s.units[u].owner = u + 1 == s.in.unit_count;
        for (uint32_t a = 0; a < 3; a++) {
            uint32_t place = u / strides[a] % n[a];

            faces[u][2 * a] = place > 0 ? u - strides[a] : COORD_PLACE_NONE;
            faces[u][2 * a + 1] = place + 1 < n[a] ? u + strides[a] : COORD_PLACE_NONE;
        }
    }
    s.in.near = (const coord_place_near *)faces;
}

/* What all faces between two owners weigh. */
static double border_of(const uint32_t *owners)
{
    double border = 0;

    for (uint32_t u = 0; u < s.in.unit_count; u++)
        for (uint32_t i = 0; i < COORD_PLACE_FACES; i++)
            if (faces[u][i] != COORD_PLACE_NONE && owners[faces[u][i]] != owners[u])
                border += (double)s.units[faces[u][i]].cost_ns;
    return border;
}

/* The least border that any choice of so many units of one weight, and the last, has. */
static double least_border(uint32_t count)
{
    uint32_t owners[16];
    double least = 1e300;

    for (uint32_t set = 0; set < 1u << s.in.unit_count; set++) {
        double border;

        if ((uint32_t)__builtin_popcount(set) != count + 1 || set >> (s.in.unit_count - 1) == 0)
            continue;
        for (uint32_t u = 0; u < s.in.unit_count; u++)
            owners[u] = set >> u & 1;
        border = border_of(owners);
        least = border < least ? border : least;
    }
    return least;
}

/* Of all boxes of up to 16 tiles of one weight: hardly more border than the best of all choices has. */
static void test_balance_border(void **state)
{
    double border = 0, least = 0;

    (void)state;
    for (uint32_t z = 1; z <= 4; z++)
        for (uint32_t y = z; y <= 4; y++)
            for (uint32_t x = y; x * y * z <= 16; x++) {
                if (x * y * z < 2)
                    continue;
                scene_box(2, (const uint32_t[]){ x, y, z });
                for (uint32_t u = 0; u < s.in.unit_count; u++)
                    s.units[u].cost_ns = 100;
                balance();
                assert_true(s.out.even || s.in.unit_count % 2 != 0);
                border += border_of(s.after);
                least += least_border(s.out.moved);
            }
    print_message("balance: a border of %.0f faces, at least %.0f\n", border / 100, least / 100);
    assert_true(border <= 1.15 * least);
}

/* A flock in the corner of its room, whose tiles along one axis are half full: with hardly more of a border than half
 * that of a choice that knows nothing of what lies beside what, by as many moves. */
static void test_balance_corner(void **state)
{
    double blind, border;
    uint32_t moved;

    (void)state;
    srand(6);
    scene_box(2, (uint32_t[]){ 5, 6, 8 });
    for (uint32_t u = 0; u < s.in.unit_count; u++) {
        uint32_t x = u % 5, y = u / 5 % 6, z = u / 30;

        s.units[u].owner = z >= 4;
        s.units[u].cost_ns = 10 + (x <= 2 && y < 3 && z < 4 ? x < 2 ? 4000u : 2000u : 0u) + random_below(10);
    }
    s.in.near = NULL;
    balance();
    blind = border_of(s.after);
    moved = s.out.moved;
    s.in.near = (const coord_place_near *)faces;
    balance();
    border = border_of(s.after);
    print_message("balance: %u moves, a border of %.0f, and of %.0f where no neighbours are known; the busiest %.3f\n",
                  s.out.moved, border, blind, s.out.after);
    assert_int_equal(s.out.moved, moved);
    assert_true(border < 0.75 * blind);
}

/* The last move is one that leaves both as even as they can be, not one that is only enough. */
static void test_balance_last(void **state)
{
    static const uint64_t costs[] = { 400, 400, 110, 50, 90, 140, 100, 210 };

    (void)state;
    scene_init(2, 8);
    for (uint32_t u = 0; u < 8; u++)
        s.units[u] = (coord_place_unit){ .owner = u > 6, .cost_ns = costs[u], .rows = 1 };
    balance();
    assert_int_equal(s.out.moved, 2);
    assert_int_equal(s.after[5], 1);
    assert_true(s.out.after < 1 + 1e-9);
}

static void test_balance_hot_unit(void **state)
{
    (void)state;
    scene_init(2, 10);
    for (uint32_t u = 0; u < 10; u++) {
        s.units[u].owner = u / 5;
        s.units[u].cost_ns = u == 2 ? 1000 : 10;
    }
    balance();
    assert_false(s.out.even);
    assert_int_equal(s.out.heaviest, 2);
    assert_int_equal(s.after[2], 0); /* it is no better anywhere else */
    assert_non_null(strstr(s.out.text, "key group 2 alone is more than a worker's share"));
    adopt();
    balance();
    assert_int_equal(s.out.moved, 0);
    assert_non_null(strstr(s.out.text, "no move would make it more even"));
}

/* Where no single unit fits, two are exchanged: {5, 3, 3} and {4, 3} become {3, 3, 3} and {5, 4}. */
static void test_balance_exchange(void **state)
{
    static const uint64_t costs[] = { 500, 300, 300, 400, 300 };

    (void)state;
    scene_init(2, 5);
    for (uint32_t u = 0; u < 5; u++)
        s.units[u] = (coord_place_unit){ .owner = u / 3, .cost_ns = costs[u], .rows = 1 };
    balance();
    assert_true(s.out.even);
    assert_int_equal(s.out.moved, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_balance_small),
        cmocka_unit_test(test_balance_large),
        cmocka_unit_test(test_balance_heavy),
        cmocka_unit_test(test_balance_keeps_neighbours),
        cmocka_unit_test(test_balance_border),
        cmocka_unit_test(test_balance_corner),
        cmocka_unit_test(test_balance_last),
        cmocka_unit_test(test_balance_hot_unit),
        cmocka_unit_test(test_balance_exchange),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
