/* Moves cut into waves: each once, within the budget, from everybody. */
#include "tests/support/place_scene.h"

static void test_waves(void **state)
{
    static coord_place_step steps[UNITS_MAX];
    uint32_t count, waves;
    df_error err = { 0 };

    (void)state;
    srand(7);
    for (int round = 0; round < 200; round++) {
        uint32_t n = 3 + random_below(4), units = 100 + random_below(900);
        uint64_t budget = 20000 + random_below(40000), sum = 0, most = 0;
        uint64_t per_wave = 0, from[WORKERS_MAX] = { 0 };
        bool seen[UNITS_MAX] = { 0 };

        scene_init(n, units);
        for (uint32_t u = 0; u < units; u++) {
            s.units[u].owner = u * (n - 1) / units; /* the last one is new: all others are sources */
            s.units[u].bytes = random_below(2000);
            s.after[u] = random_below(3) == 0 ? n - 1 : s.units[u].owner;
        }
        if (round % 4 == 0)
            s.units[7].bytes = 100000;
        s.after[7] = n - 1;
        count = coord_place_steps(&s.in, s.after, steps);
        assert_int_equal(coord_place_waves(steps, count, budget, &waves, &err), DF_OK);
        for (uint32_t i = 0; i < count; i++) {
            const coord_place_step *step = &steps[i];

            assert_true(step->wave < waves);
            assert_true(i == 0 || step->wave > step[-1].wave ||
                        (step->wave == step[-1].wave && step->unit > step[-1].unit));
            assert_false(seen[step->unit]);
            seen[step->unit] = true;
            assert_int_equal(step->from, s.units[step->unit].owner);
            assert_int_equal(step->to, s.after[step->unit]);
            assert_int_equal(step->bytes, s.units[step->unit].bytes);
            if (i > 0 && step->wave != step[-1].wave) {
                per_wave = 0;
                memset(from, 0, sizeof from);
            }
            per_wave += step->bytes;
            from[step->from] += step->bytes;
            sum += step->bytes;
            most = step->bytes > most ? step->bytes : most;
            if (step->bytes > budget) {
                assert_true(i == 0 || step[-1].wave < step->wave || step[-1].bytes == 0);
                assert_true(i + 1 == count || step[1].wave > step->wave);
            } else {
                assert_true(per_wave <= budget);
            }
            /* A whole wave is never one source's. */
            if (step->wave + 1 < waves && (i + 1 == count || step[1].wave > step->wave) && step->bytes <= budget)
                for (uint32_t w = 0; w < n; w++)
                    assert_true(from[w] < per_wave || per_wave < budget / 2);
        }
        for (uint32_t u = 0; u < units; u++)
            assert_int_equal(seen[u], s.after[u] != s.units[u].owner);
        /* Neighbouring waves do not both have room for what is in one of them. */
        assert_true(waves <= 2 * (sum / budget) + 3);
    }
    assert_int_equal(coord_place_waves(steps, 0, 1, &waves, &err), DF_OK);
    assert_int_equal(waves, 0);
}

static void test_budget(void **state)
{
    (void)state;
    scene_init(1, 64);
    for (uint32_t u = 0; u < 64; u++)
        s.units[u].bytes = 1u << 20;
    assert_int_equal(coord_place_budget(s.units, 64, 0), 2u << 20);
    assert_int_equal(coord_place_budget(s.units, 64, 77), 77);
    assert_int_equal(coord_place_budget(s.units, 1, 0), 1u << 20); /* not too small to be worth it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waves),
        cmocka_unit_test(test_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
