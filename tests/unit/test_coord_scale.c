/* When to scale, over made-up times: with steps of a quarter of a second, as samples come. */
#include "coordinator/coord_scale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SAMPLE_US 250000u

static const df_scaling rules = { .on = true, .min = 1, .max = 8, .target_utilisation = 0.7,
                                  .cool_down_seconds = 10 };

typedef struct scene {
    coord_scale scale;
    coord_scale_sample sample;
    coord_scale_decision decision;
    df_scaling rules;
} scene;

static void scene_init(scene *s, uint32_t workers, double utilisation)
{
    memset(s, 0, sizeof *s);
    s->rules = rules;
    s->sample = (coord_scale_sample){ .now_us = 1000000, .workers = workers, .fresh = workers,
                                      .utilisation = utilisation };
}

static int32_t step(scene *s)
{
    s->sample.now_us += SAMPLE_US;
    coord_scale_step(&s->scale, &s->rules, &s->sample, &s->decision);
    return s->decision.change;
}

/* Steps until something is decided, at most `most`; returns how many. */
static uint32_t steps_until(scene *s, uint32_t most)
{
    uint32_t count = 1;

    while (step(s) == 0 && count < most)
        count++;
    return count;
}

static void expect(const scene *s, const char *text)
{
    assert_string_equal(s->decision.text, text);
}

static void test_more(void **state)
{
    scene s;

    (void)state;
    scene_init(&s, 3, 0.95);
    step(&s);
    expect(&s, "3 workers are 95 % busy, the target is 70 %: cooling down for 10 s");
    /* The first sample begins the cool-down; then four must agree. */
    assert_int_equal(steps_until(&s, 100), 40 + 3);
    assert_int_equal(s.decision.change, 2); /* 2.85 busy workers are 5 at 70 % */
    expect(&s, "3 workers are 95 % busy, the target is 70 %: 2 more");
    s.sample.workers = s.sample.fresh = 5;
    s.sample.utilisation = 0.57;
    assert_int_equal(steps_until(&s, 1000), 1000); /* it stands there */
    expect(&s, "5 workers are 57 % busy, the target is 70 %: as it is");
}

static void test_fewer(void **state)
{
    scene s;

    (void)state;
    scene_init(&s, 4, 0.3); /* 1.2 busy workers: 2 are 60 % busy, below 63 */
    steps_until(&s, 100);
    assert_int_equal(s.decision.change, -2);
    expect(&s, "4 workers are 30 % busy, the target is 70 %: 2 less");
    s.sample.workers = s.sample.fresh = 2;
    s.sample.utilisation = 0.6;
    assert_int_equal(steps_until(&s, 1000), 1000);
}

/* Whatever the work is, a change never calls for the opposite one, and it ends. */
static void test_no_swinging(void **state)
{
    (void)state;
    srand(8);
    for (int round = 0; round < 2000; round++) {
        double work = (double)(rand() % 10000) / 1000;
        uint32_t changes = 0;
        int32_t sign = 0;
        scene s;

        scene_init(&s, 1 + (uint32_t)rand() % 8, 0);
        s.rules.target_utilisation = 0.3 + 0.1 * (rand() % 7);
        for (int i = 0; i < 500; i++) {
            s.sample.utilisation = work < s.sample.workers ? work / s.sample.workers : 1;
            if (step(&s) == 0)
                continue;
            changes++;
            assert_true(sign == 0 || sign == (s.decision.change > 0 ? 1 : -1));
            sign = s.decision.change > 0 ? 1 : -1;
            s.sample.workers = s.sample.fresh = (uint32_t)((int32_t)s.sample.workers + s.decision.change);
            assert_in_range(s.sample.workers, 1, 8);
        }
        /* When all are busy all of the time, how much more there is to do is not seen at once. */
        assert_true(changes <= 7);
        if (work <= 8 * s.rules.target_utilisation)
            assert_true(work / s.sample.workers <= s.rules.target_utilisation * 1.1 + 1e-9);
        assert_true(s.sample.workers == 1 ||
                    work / (s.sample.workers - 1) > s.rules.target_utilisation * 0.9 - 1e-9);
    }
}

static void test_needs_agreement(void **state)
{
    scene s;

    (void)state;
    scene_init(&s, 2, 0.9);
    s.rules.cool_down_seconds = 0;
    for (int i = 0; i < 400; i++) { /* every fourth sample is quiet */
        s.sample.utilisation = i % 4 == 3 ? 0.7 : 0.9;
        assert_int_equal(step(&s), 0);
    }
    s.sample.utilisation = 0.9;
    assert_int_equal(steps_until(&s, 10), COORD_SCALE_SAMPLES);
    assert_int_equal(s.decision.change, 1);
}

static void test_cool_down(void **state)
{
    scene s;

    (void)state;
    scene_init(&s, 2, 0.95);
    steps_until(&s, 100);
    assert_int_equal(s.decision.change, 1);
    assert_int_equal(steps_until(&s, 1000), 40 + 3);
    coord_scale_changed(&s.scale, s.sample.now_us); /* somebody did it by hand */
    assert_int_equal(steps_until(&s, 1000), 40 + 3);
}

static void test_bounds(void **state)
{
    scene s;

    (void)state;
    scene_init(&s, 2, 0.7);
    s.rules.min = 4; /* too few: at once */
    assert_int_equal(step(&s), 2);
    expect(&s, "2 workers, 4 to 8 are allowed: 2 more");
    scene_init(&s, 9, 0.99);
    assert_int_equal(step(&s), -1);
    expect(&s, "9 workers, 1 to 8 are allowed: 1 less");
    scene_init(&s, 8, 0.99);
    assert_int_equal(steps_until(&s, 200), 200);
    expect(&s, "8 workers are 99 % busy, the target is 70 %: as it is, max = 8");
    scene_init(&s, 1, 0.0);
    assert_int_equal(steps_until(&s, 200), 200);
    expect(&s, "1 worker is 0 % busy, the target is 70 %: as it is");
}

static void test_not_now(void **state)
{
    scene s;

    (void)state;
    scene_init(&s, 3, 0.95);
    s.rules.cool_down_seconds = 0;
    s.sample.fresh = 1;
    assert_int_equal(steps_until(&s, 50), 50);
    expect(&s, "the load of 2 of 3 workers is not known");
    s.sample.fresh = 3;
    step(&s);
    expect(&s, "3 workers are 95 % busy, the target is 70 %: waiting whether it lasts");
    s.sample.busy = true;
    assert_int_equal(steps_until(&s, 50), 50);
    expect(&s, "a change is under way");
    s.sample.busy = false;
    assert_int_equal(steps_until(&s, 50), COORD_SCALE_SAMPLES); /* what was seen before does not count */
}

static void test_balance(void **state)
{
    coord_scale scale = { 0 };
    coord_balance_sample sample = { .now_us = 1000000, .busiest = 1.8, .could_be = 1.04 };
    char text[192];
    uint32_t count = 0;

    (void)state;
    for (; count < 100 && !coord_scale_balance(&scale, &sample, text); count++)
        sample.now_us += SAMPLE_US;
    assert_int_equal(count, 20 + 3); /* five seconds, and four that agree */
    assert_string_equal(text, "the busiest worker has 1.80 times its share, it could be 1.04: rebalancing");
    sample.busiest = 1.1; /* more than where a rebalance ends, less than where the next begins */
    for (count = 0; count < 100; count++, sample.now_us += SAMPLE_US)
        assert_false(coord_scale_balance(&scale, &sample, text));
    assert_non_null(strstr(text, "even enough"));
    sample.busiest = sample.could_be = 1.6; /* a unit too heavy */
    for (count = 0; count < 100; count++, sample.now_us += SAMPLE_US)
        assert_false(coord_scale_balance(&scale, &sample, text));
    assert_non_null(strstr(text, "no move would help"));
    sample.could_be = 1;
    sample.busy = true;
    for (count = 0; count < 100; count++, sample.now_us += SAMPLE_US)
        assert_false(coord_scale_balance(&scale, &sample, text));
    sample.busy = false;
    for (count = 1; !coord_scale_balance(&scale, &sample, text); count++)
        sample.now_us += SAMPLE_US;
    assert_int_equal(count, COORD_SCALE_SAMPLES);
    assert_false(coord_scale_balance(&scale, &sample, text));
    assert_non_null(strstr(text, "not again so soon"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more),      cmocka_unit_test(test_fewer),
        cmocka_unit_test(test_no_swinging), cmocka_unit_test(test_needs_agreement),
        cmocka_unit_test(test_cool_down), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_not_now),   cmocka_unit_test(test_balance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
