/* Who owns what when workers come and go, against plain counting: who keeps what, what the fewest moves are,
 * who is refused, and that the order of the lists is nothing. */
#include "tests/support/place_scene.h"

#include <math.h>

/* Each request for memory can be made to fail; not under the thread sanitizer, which asks itself. */
#if !defined(__SANITIZE_THREAD__)
#define FAILING 1
#define EARLY __attribute__((no_sanitize("address")))

__attribute__((weak)) void *__interceptor_malloc(size_t size);
__attribute__((weak)) void *__interceptor_calloc(size_t count, size_t size);
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

static uint32_t requests, request_fails; /* request_fails: its number, from 1; 0: none */

EARLY void *malloc(size_t size)
{
    if (++requests == request_fails)
        return NULL;
    return __interceptor_malloc != NULL ? __interceptor_malloc(size) : __libc_malloc(size);
}

EARLY void *calloc(size_t count, size_t size)
{
    if (++requests == request_fails)
        return NULL;
    return __interceptor_calloc != NULL ? __interceptor_calloc(count, size) : __libc_calloc(count, size);
}
#else
#define FAILING 0
static uint32_t requests, request_fails;
#endif

/* ---- fit ---- */

/* The fewest moves of units of one weight to any spread in which workers differ by at most one. */
static uint32_t fewest_moves(const uint32_t *had, const bool *stays, uint32_t workers, uint32_t units)
{
    uint32_t stay = 0, share, more, kept = 0, extra = 0;

    for (uint32_t w = 0; w < workers; w++)
        stay += stays[w];
    share = units / stay;
    more = units % stay;
    for (uint32_t w = 0; w < workers; w++) {
        if (!stays[w])
            continue;
        kept += had[w] < share ? had[w] : share;
        extra += had[w] > share;
    }
    return units - kept - (extra < more ? extra : more);
}

/* All a -> b workers, from an even spread: even afterwards, and the fewest moves. */
static void test_fit_sizes(void **state)
{
    static const uint32_t sizes[] = { 1, 2, 7, 30, 97, 256 };

    (void)state;
    for (uint32_t policy = 0; policy < 3; policy++)
        for (uint32_t i = 0; i < 6; i++)
            for (uint32_t a = 1; a <= 8; a++)
                for (uint32_t b = 1; b <= 8; b++) {
                    uint32_t had[WORKERS_MAX], has[WORKERS_MAX], least = UINT32_MAX, most = 0;
                    uint32_t n = a > b ? a : b;
                    bool stays[WORKERS_MAX] = { 0 };

                    scene_init(n, sizes[i]);
                    s.hints.policy = (df_placing)policy;
                    for (uint32_t w = 0; w < n; w++)
                        s.workers[w].leaving = w >= a;
                    fit();
                    adopt();
                    count_units(had);
                    for (uint32_t w = 0; w < n; w++) {
                        stays[w] = w < b;
                        s.workers[w].leaving = w >= b;
                    }
                    fit();
                    count_units(has);
                    for (uint32_t w = 0; w < n; w++) {
                        assert_true(stays[w] || has[w] == 0);
                        if (stays[w]) {
                            least = has[w] < least ? has[w] : least;
                            most = has[w] > most ? has[w] : most;
                        }
                    }
                    assert_true(most - least <= 1);
                    assert_int_equal(s.out.moved, fewest_moves(had, stays, n, sizes[i]));
                    if (a == b)
                        assert_non_null(strstr(s.out.text, "nothing moves"));
                }
}

/* One more takes what it needs and no other changes hands; one less gives what it has and no more. */
static void test_fit_moves_only_what_it_must(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 400; round++) {
        uint32_t n = 2 + random_below(12), units = 200 + random_below(1500), gone = random_below(n);
        double total = 0, mine[WORKERS_MAX] = { 0 };

        scene_init(n + 1, units);
        s.hints.policy = (df_placing)random_below(2);
        for (uint32_t u = 0; u < units; u++) {
            s.units[u].cost_ns = 1000 + random_below(1000);
            total += (double)s.units[u].cost_ns;
        }
        s.workers[n].leaving = true;
        fit();
        adopt();
        for (uint32_t u = 0; u < units; u++)
            mine[s.after[u]] += (double)s.units[u].cost_ns;
        for (uint32_t w = 0; w < n; w++) /* the first spread is even within a unit or two */
            assert_true(fabs(mine[w] - total / n) < 4000);
        s.workers[n].leaving = false;
        fit();
        assert_true(fabs(s.out.moved_share - 1.0 / (n + 1)) < 2 * 2000 / total);
        for (uint32_t u = 0; u < units; u++)
            assert_true(s.after[u] == s.units[u].owner || s.after[u] == n);
        adopt();
        s.workers[gone].leaving = true;
        fit();
        for (uint32_t u = 0; u < units; u++)
            assert_true(s.units[u].owner == gone ? s.after[u] != gone
                                                 : s.after[u] == s.units[u].owner);
    }
}

/* What a new worker gets are runs: one of two neighbours' ends each. */
static void test_fit_keeps_neighbours(void **state)
{
    (void)state;
    scene_init(9, 4096);
    for (uint32_t w = 1; w < 9; w++)
        s.workers[w].leaving = true;
    for (uint32_t w = 1; w < 9; w++) {
        fit();
        for (uint32_t i = 0; i < w; i++)
            assert_true(count_runs(s.after, i) <= 1 + i / 2 + (w > 4 ? 2 : 0));
        adopt();
        s.workers[w].leaving = false;
    }
    /* From nothing: a run each. */
    for (uint32_t u = 0; u < 4096; u++)
        s.units[u].owner = COORD_PLACE_NONE;
    fit();
    for (uint32_t w = 0; w < 9; w++)
        assert_int_equal(count_runs(s.after, w), 1);
    adopt();
    /* One that leaves: its two neighbours first. */
    s.workers[4].leaving = true;
    fit();
    assert_int_equal(count_runs(s.after, 3), 1);
    assert_int_equal(count_runs(s.after, 5), 1);
}

static void test_fit_threads(void **state)
{
    uint32_t counts[WORKERS_MAX];

    (void)state;
    scene_init(3, 120);
    s.workers[1].threads = 4;
    fit();
    count_units(counts);
    assert_int_equal(counts[0], 20);
    assert_int_equal(counts[1], 80);
    assert_int_equal(counts[2], 20);
    assert_true(s.out.even);
}

static void test_fit_by_load(void **state)
{
    uint32_t counts[WORKERS_MAX];

    (void)state;
    scene_init(3, 90); /* the third leaves; one of the others has little time */
    s.hints.policy = DF_PLACE_LEAST_LOADED;
    for (uint32_t u = 0; u < 90; u++)
        s.units[u].owner = u / 30;
    s.workers[0].load = 0.9;
    s.workers[1].load = 0.4;
    s.workers[2].leaving = true;
    fit();
    count_units(counts);
    /* 45 is a share: 0.9 of it are 40.5, and 30 units are more than 0.4 of it. */
    assert_true(counts[0] > 30 && counts[1] > counts[0]);
    assert_int_equal(counts[2], 0);
    s.workers[0].sampled_us = 1; /* stale: counted by what it has */
    fit();
    count_units(counts);
    assert_int_equal(counts[0], 45);
    assert_int_equal(s.out.stale, 1);
    assert_non_null(strstr(s.out.text, "too old"));
}

static void test_fit_of_nothing(void **state)
{
    df_error err = { 0 };

    (void)state;
    scene_init(2, 0);
    fit();
    assert_int_equal(s.out.moved, 0);
    scene_init(0, 3);
    assert_int_equal(coord_place_fit(&s.in, s.after, &s.out, &err), DF_EINVAL);
    assert_string_equal(err.text, "no worker may have it: there is none");
    scene_init(2, 5); /* no rows, no costs */
    for (uint32_t u = 0; u < 5; u++)
        s.units[u].rows = 0;
    fit();
    assert_true(s.out.after < 1.3);
}

/* ---- hints ---- */

static void expect_refusal(uint32_t worker, const char *part)
{
    char text[160];

    assert_true(coord_place_refusal(&s.in, worker, text));
    if (strstr(text, part) == NULL)
        fail_msg("%s", text);
}

static void test_hints(void **state)
{
    static const df_text labels[] = { { .text = "gpu-*" }, { .text = "w2" } };
    df_error err = { 0 };
    char text[160];

    (void)state;
    scene_init(3, 8);
    s.hints.labels = labels;
    s.hints.label_count = 2;
    expect_refusal(0, "its label is none of those");
    assert_false(coord_place_refusal(&s.in, 1, text));
    s.workers[0].label = "gpu-";
    assert_false(coord_place_refusal(&s.in, 0, text));
    s.workers[0].label = "gpu";
    expect_refusal(0, "label");
    s.hints.priority = 3;
    s.workers[1].priority = 2;
    expect_refusal(1, "its priority is 2, at least 3 is asked for");
    s.workers[1].priority = 3;
    s.hints.min_compute_capability = 80;
    expect_refusal(1, "no CUDA device, compute capability 8.0");
    s.workers[1].compute_capability = 75;
    expect_refusal(1, "its compute capability is 7.5, at least 8.0");
    s.workers[1].compute_capability = 90;
    s.hints.min_free_bytes = 1ull << 30;
    s.workers[1].sampled_us = 0;
    expect_refusal(1, "not told its free memory");
    s.workers[1].sampled_us = 7000000;
    expect_refusal(1, "3.0 s ago");
    s.workers[1].sampled_us = 9000000;
    s.workers[1].free_bytes = 1ull << 29;
    expect_refusal(1, "512 MiB free, 1.0 GiB are to stay free");
    s.workers[1].free_bytes = 1ull << 31;
    assert_false(coord_place_refusal(&s.in, 1, text));
    s.workers[1].reserved_bytes = 3ull << 29;
    expect_refusal(1, "of which 1.5 GiB are promised");
    s.workers[2].leaving = true;
    expect_refusal(2, "leaves");
    assert_int_equal(coord_place_fit(&s.in, s.after, &s.out, &err), DF_EINVAL);
    for (uint32_t w = 0; w < 3; w++) {
        char named[32];

        snprintf(named, sizeof named, "%s: ", s.workers[w].label);
        assert_non_null(strstr(err.text, named));
    }
    /* Too many for the text: it says how many more. */
    scene_init(40, 8);
    s.hints.priority = 1;
    assert_int_equal(coord_place_fit(&s.in, s.after, &s.out, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "; and 3"));
}

/* Memory is kept free also of what one decision gives; what somebody has it may keep. */
static void test_room(void **state)
{
    uint32_t counts[WORKERS_MAX];
    df_error err = { 0 };

    (void)state;
    scene_init(3, 30);
    s.hints.min_free_bytes = 5000;
    s.workers[0].free_bytes = 9000; /* for 4 units */
    s.workers[1].free_bytes = 100000;
    s.workers[2].free_bytes = 100000;
    fit();
    count_units(counts);
    assert_int_equal(counts[0], 4);
    assert_int_equal(counts[1] + counts[2], 26);
    adopt();
    s.workers[0].free_bytes = 0;
    balance();
    count_units(counts);
    assert_int_equal(counts[0], 4);
    s.workers[1].free_bytes = s.workers[2].free_bytes = 6000;
    s.workers[2].leaving = true;
    assert_int_equal(coord_place_fit(&s.in, s.after, &s.out, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "w2: it can take"));
    assert_non_null(strstr(err.text, "w1: it has 0 B free"));
}

static void test_reserve(void **state)
{
    uint32_t places[2];
    df_error err = { 0 };

    (void)state;
    scene_init(5, 10);
    for (uint32_t u = 0; u < 10; u++)
        s.units[u].owner = 0;
    /* Three decisions before anything is sampled: each chooses another spare worker. */
    for (uint32_t i = 1; i < 4; i++) {
        assert_int_equal(coord_place_pick(&s.in, 2, places, &err), DF_OK);
        assert_int_equal(places[0], 0);
        assert_int_equal(places[1], i);
        for (uint32_t u = 0; u < 10; u++)
            s.after[u] = u < 5 ? 0 : i;
        coord_place_reserve(s.workers, &s.in, s.after);
        assert_int_equal(s.workers[i].reserved_bytes, 5000);
        assert_true(fabs(s.workers[i].reserved_load - 2.5) < 1e-9); /* half of five workers' */
    }
}

static void test_pick(void **state)
{
    uint32_t places[4];
    df_error err = { 0 };

    (void)state;
    scene_init(6, 10);
    for (uint32_t u = 0; u < 10; u++)
        s.units[u].owner = u < 7 ? 4 : 2;
    s.workers[5].priority = 1;
    s.workers[1].load = 0.5;
    s.workers[0].load = 0.6;
    s.workers[3].sampled_us = 1; /* stale */
    assert_int_equal(coord_place_pick(&s.in, 1, places, &err), DF_OK);
    assert_int_equal(places[0], 4);
    assert_int_equal(coord_place_pick(&s.in, 4, places, &err), DF_OK);
    assert_int_equal(places[0], 1);
    assert_int_equal(places[1], 2);
    assert_int_equal(places[2], 4);
    assert_int_equal(places[3], 5);
    assert_int_equal(coord_place_pick(&s.in, 7, places, &err), DF_EINVAL);
    assert_string_equal(err.text, "7 workers are asked for, 6 are there");
    s.hints.priority = 1;
    assert_int_equal(coord_place_pick(&s.in, 2, places, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "2 workers are asked for, 1 may have key groups: w1: its priority"));
}

/* ---- moves, weights ---- */

static void test_move(void **state)
{
    df_error err = { 0 };

    (void)state;
    scene_init(3, 20);
    for (uint32_t u = 0; u < 20; u++)
        s.units[u].owner = u % 2;
    assert_int_equal(coord_place_move(&s.in, 5, 9, 2, s.after, &s.out, &err), DF_OK);
    for (uint32_t u = 0; u < 20; u++)
        assert_int_equal(s.after[u], u >= 5 && u <= 9 ? 2 : u % 2);
    assert_int_equal(s.out.moved, 5);
    assert_int_equal(s.out.moved_bytes, 5000);
    assert_int_equal(s.out.moved_rows, 50);
    adopt();
    assert_int_equal(coord_place_move(&s.in, 5, 9, 2, s.after, &s.out, &err), DF_OK);
    assert_string_equal(s.out.text, "nothing moves: the worker has them already");
    assert_int_equal(coord_place_move(&s.in, 9, 20, 2, s.after, &s.out, &err), DF_EINVAL);
    assert_string_equal(err.text, "key groups 9-20: the job has 0-19");
    assert_int_equal(coord_place_move(&s.in, 9, 8, 2, s.after, &s.out, &err), DF_EINVAL);
    s.workers[2].leaving = true;
    assert_int_equal(coord_place_move(&s.in, 0, 1, 2, s.after, &s.out, &err), DF_EINVAL);
    assert_string_equal(err.text, "w3: it leaves");
    s.workers[1].free_bytes = 2500;
    s.hints.min_free_bytes = 1;
    assert_int_equal(coord_place_move(&s.in, 0, 8, 1, s.after, &s.out, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "w2: it can take"));
}

/* A unit whose cost is not known yet counts by its rows, at what a row costs elsewhere. */
static void test_weights(void **state)
{
    uint32_t counts[WORKERS_MAX];

    (void)state;
    scene_init(2, 40);
    for (uint32_t u = 0; u < 40; u++) {
        s.units[u].cost_ns = u < 20 ? 1000 : 0;
        s.units[u].rows = u < 20 ? 10 : 30;
    }
    fit();
    count_units(counts);
    assert_int_equal(counts[0], 27); /* 20 of weight 1 and 7 of weight 3: 41 of 80 */
}

/* The order in which workers are listed is nothing. */
static void test_order(void **state)
{
    static coord_place_worker workers[WORKERS_MAX];
    static uint32_t owners[UNITS_MAX], labels[WORKERS_MAX];

    (void)state;
    srand(6);
    for (int round = 0; round < 200; round++) {
        uint32_t n = 2 + random_below(20), units = 1 + random_below(600);

        scene_init(n, units);
        s.hints.policy = (df_placing)random_below(3);
        for (uint32_t w = 0; w < n; w++) {
            s.workers[w].load = random_below(3) / 2.0;
            s.workers[w].threads = 1 + random_below(2);
            s.workers[w].leaving = w > 0 && random_below(4) == 0;
            labels[w] = w;
        }
        for (uint32_t u = 0; u < units; u++) {
            s.units[u].owner = random_below(n + 1) == 0 ? COORD_PLACE_NONE : random_below(n / 2 + 1);
            s.units[u].cost_ns = 100 * random_below(3);
        }
        if (round % 2 == 0)
            fit();
        else
            balance();
        memcpy(owners, s.after, sizeof owners);
        memcpy(workers, s.workers, sizeof workers);
        for (uint32_t w = n; w-- > 1;) {
            uint32_t other = random_below(w + 1), keep = labels[w];

            labels[w] = labels[other];
            labels[other] = keep;
        }
        /* labels[place] is who stands there now. */
        for (uint32_t w = 0; w < n; w++)
            s.workers[w] = workers[labels[w]];
        for (uint32_t u = 0; u < units; u++)
            for (uint32_t w = 0; w < n; w++)
                if (s.units[u].owner != COORD_PLACE_NONE && labels[w] == s.units[u].owner) {
                    s.units[u].owner = w;
                    break;
                }
        if (round % 2 == 0)
            fit();
        else
            balance();
        for (uint32_t u = 0; u < units; u++)
            assert_int_equal(labels[s.after[u]], owners[u]);
    }
}

/* ---- no memory ---- */

static df_status everything(df_error *err)
{
    static coord_place_step steps[UNITS_MAX];
    uint32_t places[2], waves;
    df_status status = coord_place_fit(&s.in, s.after, &s.out, err);

    if (status == DF_OK)
        status = coord_place_waves(steps, coord_place_steps(&s.in, s.after, steps), 5000, &waves, err);
    if (status == DF_OK)
        status = coord_place_balance(&s.in, s.after, &s.out, err);
    if (status == DF_OK)
        status = coord_place_move(&s.in, 0, 3, 1, s.after, &s.out, err);
    if (status == DF_OK)
        status = coord_place_pick(&s.in, 2, places, err);
    return status;
}

static void test_no_memory(void **state)
{
    uint32_t failures = 0, n = 1;

    (void)state;
    for (; FAILING && n < 1000; n++) {
        df_error err = { 0 };
        df_status status;

        scene_init(4, 64);
        requests = 0;
        request_fails = n;
        status = everything(&err);
        request_fails = 0;
        if (requests < n)
            break; /* all have failed once */
        /* The library's own sort does without, if it has to. */
        failures += status != DF_OK;
        assert_true(status == DF_OK || status == DF_ENOMEM);
        assert_string_equal(err.text, status == DF_OK ? "" : "placement: out of memory");
    }
    assert_true(!FAILING || (failures == 6 && n < 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fit_sizes),
        cmocka_unit_test(test_fit_moves_only_what_it_must),
        cmocka_unit_test(test_fit_keeps_neighbours),
        cmocka_unit_test(test_fit_threads),
        cmocka_unit_test(test_fit_by_load),
        cmocka_unit_test(test_fit_of_nothing),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_pick),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
