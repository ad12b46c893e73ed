/* The phase sir with the aggregate and the lookup that it needs: against the same epidemic written as one
 * loop over people, bit by bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "kernels/kern_math.h"
#include "kernels/kern_philox.h"
#include "tests/support/table.h"

enum { STEPS = 40 };

/* Many small places, and few with more people than are decided at a time. */
typedef struct town {
    uint32_t places, size;
} town;

static const town small = { 23, 31 }, large = { 3, 2501 };

static const double infection = 1.8, recovery = 0.45, dt = 0.25;

static df_draft *outbreak_draft(town in, uint32_t key_groups, const char *size_column,
                                const weir_compute *items, uint32_t count)
{
    static char population[256], aggregate[256], sir[256];
    df_draft *draft = job_new("outbreak", STEPS);

    job_defaults(job_kind("population"), population);
    job_set(job_kind("population"), population, "places", in.places);
    job_set(job_kind("population"), population, "size", in.size);
    job_set(job_kind("population"), population, "ill", 2);
    job_defaults(job_kind("aggregate"), aggregate);
    job_set_text(job_kind("aggregate"), aggregate, "by", "place");
    job_set_compute(job_kind("aggregate"), aggregate, "compute", items, count);
    job_defaults(job_kind("sir"), sir);
    job_set_text(job_kind("sir"), sir, "place", "place");
    job_set(job_kind("sir"), sir, "infection", infection);
    job_set(job_kind("sir"), sir, "recovery", recovery);
    job_set_text(job_kind("sir"), sir, "size", size_column);
    draft->key_groups = key_groups;
    draft->job.dt = dt;
    draft->job.seed = 5;
    job_state(draft, "people", NULL, "place:u32 ill:u8 immune:u8", "born", "meet");
    job_operator(draft, "born", job_kind("population"), population, NULL);
    job_operator(draft, "meet", job_kind("sir"), sir, "agents=people places=rooms");
    job_operator(draft, "rooms", job_kind("aggregate"), aggregate, "in=people");
    return draft;
}

static df_plan *outbreak(town in, uint32_t key_groups, const char *size_column, const weir_compute *items,
                         uint32_t count)
{
    df_draft *draft = outbreak_draft(in, key_groups, size_column, items, count);

    return job_plan(&draft);
}

/* ---- the same in one loop ---- */

typedef struct person {
    bool ill, immune;
} person;

static bool happens(double rate, uint32_t word)
{
    return (double)word < floor((1.0 - kern_exp(-rate)) * 0x1p32);
}

static uint32_t word_of(uint64_t random_key, uint64_t id, uint64_t step)
{
    return kern_philox_event(kern_philox_byte_row(random_key, id, (uint32_t)step, 0),
                             kern_philox_one_row(random_key, id, (uint32_t)step, 0));
}

static void one_step(town in, person *people, uint64_t step)
{
    uint64_t random_key = XXH3_64bits_withSeed("meet", 4, 5);

    for (uint32_t place = 0; place < in.places; place++) {
        person *here = people + place * in.size;
        uint32_t ill = 0;

        for (uint32_t i = 0; i < in.size; i++)
            ill += here[i].ill;
        for (uint32_t i = 0; i < in.size; i++) {
            uint32_t word = word_of(random_key, place * in.size + i, step);

            if (here[i].ill && happens(recovery * dt, word)) {
                here[i].ill = false;
                here[i].immune = true;
            } else if (!here[i].ill && !here[i].immune &&
                       happens(infection * ((double)ill / in.size) * dt, word)) {
                here[i].ill = true;
            }
        }
    }
}

static const weir_compute both[] = { { "ill", "sum(ill)" }, { "size", "count()" } };

static void compare_town(town in, uint32_t key_groups)
{
    df_plan *plan = outbreak(in, key_groups, NULL, both, 2);
    uint32_t immune = 0, count = in.places * in.size;
    person *people = calloc(count, sizeof *people);
    table t;

    assert_non_null(people);
    for (uint32_t i = 0; i < count; i++)
        people[i].ill = i % in.size < 2;
    for (uint64_t step = 0; step < STEPS; step++)
        one_step(in, people, step);
    table_run(&t, plan, STEPS, "people", 3);
    assert_int_equal(t.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(t.keys[i], i);
        assert_int_equal(table_get(&t, "ill", i), people[i].ill);
        assert_int_equal(table_get(&t, "immune", i), people[i].immune);
        assert_int_equal(table_get(&t, "place", i), i / in.size);
        immune += people[i].immune;
    }
    assert_true(immune > count / 5 && immune < count); /* it was an epidemic */
    free(people);
    table_fini(&t);
    df_plan_free(&plan);
}

static void test_against_one_loop(void **state)
{
    static const uint32_t key_groups[] = { 1, 4, 23, 64 };

    (void)state;
    for (uint32_t k = 0; k < 4; k++) {
        compare_town(small, key_groups[k]);
        compare_town(large, key_groups[k]);
    }
}

/* ---- people whose ids have gaps, and who stand among those of other places ---- */

enum { SCATTERED = 2600, SCATTERED_PLACES = 9 };

static uint64_t scattered_key(uint32_t i)
{
    return 3 * (uint64_t)i + 1;
}

static uint32_t scattered_place(uint32_t i)
{
    return i % 11 == 0 ? 8 : i < 1500 ? 1 : i / 200 % 8;
}

static weir_status scattered_plan(weir_plan *plan, void *options)
{
    (void)options;
    weir_plan_add(plan, 0, "place", WEIR_U32);
    weir_plan_add(plan, 0, "ill", WEIR_U8);
    weir_plan_add(plan, 0, "immune", WEIR_U8);
    return WEIR_OK;
}

static weir_status scattered_process(weir_task *task)
{
    weir_batch *out = weir_output(task, 0, SCATTERED);

    for (uint32_t i = 0; out != NULL && i < SCATTERED; i++) {
        out->keys[i] = scattered_key(i);
        ((uint32_t *)out->columns[0])[i] = scattered_place(i);
        ((uint8_t *)out->columns[1])[i] = i % 50 == 3;
        ((uint8_t *)out->columns[2])[i] = 0;
    }
    return out == NULL ? WEIR_FAILED : WEIR_OK;
}

static const weir_option no_options[] = { { 0 } };

static const weir_operator scattered = {
    .api_version = WEIR_API_VERSION, .name = "scattered", .help = "", .role = WEIR_SOURCE,
    .outputs = { "out" }, .options = no_options, .options_size = sizeof(int), .plan = scattered_plan,
    .process = scattered_process,
};

static void scattered_step(person *people, uint64_t step)
{
    uint64_t random_key = XXH3_64bits_withSeed("meet", 4, 5);
    uint32_t ill[SCATTERED_PLACES] = { 0 }, size[SCATTERED_PLACES] = { 0 };

    for (uint32_t i = 0; i < SCATTERED; i++) {
        ill[scattered_place(i)] += people[i].ill;
        size[scattered_place(i)]++;
    }
    for (uint32_t i = 0; i < SCATTERED; i++) {
        uint32_t place = scattered_place(i);
        uint32_t word = word_of(random_key, scattered_key(i), step);

        if (people[i].ill && happens(recovery * dt, word)) {
            people[i].ill = false;
            people[i].immune = true;
        } else if (!people[i].ill && !people[i].immune &&
                   happens(infection * ((double)ill[place] / size[place]) * dt, word)) {
            people[i].ill = true;
        }
    }
}

static void test_scattered(void **state)
{
    static person people[SCATTERED];

    (void)state;
    for (uint32_t key_groups = 1; key_groups < 4; key_groups++) {
        df_draft *draft = outbreak_draft(small, key_groups, NULL, both, 2);
        df_plan *plan;
        table t;

        draft->operators[0].kind = &scattered;
        plan = job_plan(&draft);
        for (uint32_t i = 0; i < SCATTERED; i++)
            people[i] = (person){ .ill = i % 50 == 3 };
        for (uint64_t step = 0; step < STEPS; step++)
            scattered_step(people, step);
        table_run(&t, plan, STEPS, "people", 3);
        assert_int_equal(t.count, SCATTERED);
        for (uint32_t i = 0; i < SCATTERED; i++) {
            assert_int_equal(t.keys[i], scattered_key(i));
            assert_int_equal(table_get(&t, "ill", i), people[i].ill);
            assert_int_equal(table_get(&t, "immune", i), people[i].immune);
        }
        table_fini(&t);
        df_plan_free(&plan);
    }
}

/* ---- what makes no sense ---- */

static void fails(const char *size_column, const weir_compute *items, const char *text)
{
    df_plan *plan = outbreak(small, 1, size_column, items, 2);
    df_graph_options options = { .threads = 1, .directory = "." };
    df_graph *graph;
    df_error err = { 0 };

    assert_int_equal(df_graph_new(&graph, plan, &options, &err), DF_OK);
    assert_int_equal(df_graph_run(graph, STEPS, &err), DF_EINVAL);
    assert_string_equal(err.text, text);
    df_graph_free(&graph);
    df_plan_free(&plan);
}

static void test_senseless_places(void **state)
{
    static const weir_compute none[] = { { "ill", "sum(ill)" }, { "size", "sum(immune)" } };
    static const weir_compute nan[] = { { "ill", "min(immune)" }, { "size", "max(immune)" } };

    (void)state;
    /* 2 of 0 are ill: more than all, so whoever can falls ill at once; in words, infinity is a rate */
    {
        df_plan *plan = outbreak(small, 1, "size", none, 2);
        table t;

        table_run(&t, plan, 0, "people", 1);
        for (uint32_t i = 0; i < small.places * small.size; i++)
            assert_true(i % small.size < 2 || table_get(&t, "ill", i) == 1);
        table_fini(&t);
        df_plan_free(&plan);
    }
    fails("size", nan, "test.toml: step 0: operator \"meet\": id 0: 0 of the 0 agents of its place are ill");
}

/* Nobody is in a place that is not there. */
static weir_status nowhere_plan(weir_plan *plan, void *options)
{
    *(int *)options = weir_plan_add(plan, 0, "ill", WEIR_U64);
    weir_plan_add(plan, 0, "size", WEIR_U64);
    weir_plan_rows(plan, 5, 1);
    return WEIR_OK;
}

static weir_status nowhere_process(weir_task *task)
{
    uint32_t count = (uint32_t)(task->row_end - task->row_begin);
    weir_batch *out = weir_output(task, 0, count);

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < count; i++) {
        out->keys[i] = task->row_begin + i;
        ((uint64_t *)out->columns[0])[i] = 1;
        ((uint64_t *)out->columns[1])[i] = 2;
    }
    return WEIR_OK;
}

static const weir_operator nowhere = {
    .api_version = WEIR_API_VERSION, .name = "nowhere", .help = "", .role = WEIR_SOURCE,
    .outputs = { "out" }, .options = no_options, .options_size = sizeof(int), .plan = nowhere_plan,
    .process = nowhere_process,
};

static void test_unknown_place(void **state)
{
    df_draft *draft = job_new("outbreak", STEPS);
    char population[256], sir[256];
    df_plan *plan;
    df_graph_options options = { .threads = 2, .directory = "." };
    df_graph *graph;
    df_error err = { 0 };

    (void)state;
    job_defaults(job_kind("population"), population);
    job_set(job_kind("population"), population, "places", 7);
    job_set(job_kind("population"), population, "size", 10);
    job_defaults(job_kind("sir"), sir);
    job_set_text(job_kind("sir"), sir, "place", "place");
    draft->key_groups = 3;
    job_state(draft, "people", NULL, "place:u32 ill:u8 immune:u8", "born", "meet");
    job_operator(draft, "born", job_kind("population"), population, NULL);
    job_operator(draft, "meet", job_kind("sir"), sir, "agents=people places=rooms");
    job_operator(draft, "rooms", &nowhere, NULL, NULL);
    plan = job_plan(&draft);
    assert_int_equal(df_graph_new(&graph, plan, &options, &err), DF_OK);
    assert_int_equal(df_graph_run(graph, STEPS, &err), DF_EINVAL);
    assert_string_equal(err.text, "test.toml: step 0: operator \"meet\": id 50: its place is not among the "
                                  "places");
    df_graph_free(&graph);
    df_plan_free(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_one_loop), cmocka_unit_test(test_scattered),
        cmocka_unit_test(test_senseless_places),
        cmocka_unit_test(test_unknown_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
