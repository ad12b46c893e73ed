/* Random small jobs: the engine against the reference of tests/support/reference.h, row by row and
 * step by step, on several numbers of threads, windows, key groups and orders of stealing. A failure prints
 * the seed of the job; TEST_JOBS_SEED=n runs that one alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataflow/df_graph.h"
#include "tests/support/parts.h"
#include "tests/support/reference.h"

enum { JOBS_COUNT = 150 };

/* ---- random models ---- */

typedef struct dice {
    uint32_t seed, rolls;
    bool home; /* make what is grouped and looked up in its own key group likely */
} dice;

static uint32_t roll(dice *d, uint32_t below)
{
    return kind_hash(d->seed, d->rolls++, 1) % below;
}

/* True once in n. */
static bool chance(dice *d, uint32_t n)
{
    return roll(d, n) == 0;
}

static const model_stream no_stream;

static uint32_t any_rows(dice *d)
{
    static const uint32_t rows[] = { 0, 1, 7, 40, 40, 120 };

    return rows[roll(d, 6)];
}

static model_stream add_make(model *m, dice *d, bool spatial)
{
    uint32_t p[4] = { any_rows(d), KIND_PLACE, 1 + roll(d, 4), roll(d, 1000) };

    if (spatial && chance(d, 4))
        p[1] = KIND_CORNER;
    else if (chance(d, 4))
        p[1] = KIND_OWN_KEYS;
    if (chance(d, 8) || (d->home && !spatial))
        p[1] = KIND_RUNS;
    return model_add_op(m, KIND_MAKE, no_stream, p);
}

static model_list one(model_stream s)
{
    return (model_list){ .count = 1, .streams = { s } };
}

static model_stream add_tally(model *m, model_stream a, model_stream b, bool both)
{
    model_stream out = model_add_op(m, KIND_TALLY, a, (uint32_t[4]){ 0 });

    if (both)
        m->ops[out.index].in[0] = (model_list){ .count = 2, .streams = { a, b } };
    return out;
}

static model_stream add_second(model *m, kind_id kind, model_stream in, model_stream other)
{
    model_stream out = model_add_op(m, kind, in, (uint32_t[4]){ 0 });

    m->ops[out.index].in[1] = one(other);
    return out;
}

/* Rows that settle only every few steps, if that suits the space: none is born or dies, and none gets
 * farther than half of the skin. False: it does not. */
static bool add_settling(model *m, dice *d, model_stream state, model_stream from, uint32_t radius)
{
    uint32_t p[4] = { 1 + roll(d, 3), 0, 0, roll(d, 1000) };
    uint64_t every = 2 + roll(d, 4);
    double skin = 2.0 * (double)(every - 1) * p[0] / 16 * 1.7321;

    for (uint32_t a = 0; a < m->axis_count; a++)
        if (m->periodic[a] && m->size[a] < 2.001 * (radius / 16.0 + skin))
            return false;
    m->states[state.index].settle_every = every;
    m->states[state.index].skin = skin;
    m->states[state.index].next = one(model_add_op(m, KIND_DRIFT, from, p));
    return true;
}

/* Drift, and perhaps split: the next of a state. */
static void add_next(model *m, dice *d, model_stream state, model_stream from, uint32_t reach)
{
    uint32_t p[4] = { reach, chance(d, 2) ? 0 : 5 + roll(d, 20), chance(d, 2) ? 0 : 8 + roll(d, 20),
                      roll(d, 1000) };
    model_stream drift = model_add_op(m, KIND_DRIFT, from, p), odd;

    if (reach == KIND_KEEP_G && !chance(d, 8))
        m->ops[drift.index].p[2] = 0; /* a child has the number of a run, but not its key */
    if (chance(d, 2)) {
        m->states[state.index].next = one(drift);
        return;
    }
    drift = model_add_op(m, KIND_SPLIT, drift, (uint32_t[4]){ 0 });
    odd = drift;
    odd.out = 1;
    m->states[state.index].next = (model_list){ .count = 2, .streams = { odd, drift } };
}

static void add_records(model *m, dice *d)
{
    uint32_t ops = m->op_count;

    for (uint32_t i = 0; i < 3; i++) {
        model_stream of = { .state = chance(d, 2) };
        of.index = (uint8_t)roll(d, of.state ? m->state_count : ops);
        if (!of.state && m->ops[of.index].kind == KIND_MAKE)
            continue;
        of = model_add_op(m, KIND_RECORD, of, (uint32_t[4]){ 0 });
        m->ops[of.index].every_steps = chance(d, 2) ? 1 : 1 + roll(d, 4);
        m->ops[of.index].at_end = chance(d, 6);
    }
}

/* What a spatial state goes through, in the order of the roll. */
static void add_spatial(model *m, dice *d, model_stream state, model_stream table, model_stream news)
{
    uint32_t radius = 16 + roll(d, 20);
    bool see = !chance(d, 4);
    model_stream at = state;

    if (see)
        at = model_add_op(m, KIND_SEE, at, (uint32_t[4]){ radius });
    else
        m->states[state.index].anywhere = true;
    if (chance(d, 3))
        m->states[state.index].anywhere = true;
    if (chance(d, 2))
        at = add_second(m, KIND_ASK, at, table);
    if (chance(d, 3))
        at = add_second(m, KIND_HEAR, at, news);
    if (chance(d, 3))
        at = model_add_op(m, KIND_COUNT, at, (uint32_t[4]){ 0 });
    if (chance(d, 10))
        m->states[state.index].next = one(state); /* nothing ever changes */
    else if (m->states[state.index].anywhere || chance(d, 2) || !add_settling(m, d, state, at, radius))
        add_next(m, d, state, at,
                 !m->states[state.index].anywhere ? roll(d, radius) : chance(d, 2) ? KIND_TELEPORT : 60);
}

/* A state whose g holds the number of the run may keep it: then it is grouped and looked up at home. */
static uint32_t keyed_reach(const model *m, dice *d, model_stream first)
{
    return m->ops[first.index].p[1] == KIND_RUNS && !chance(d, d->home ? 8 : 3) ? KIND_KEEP_G : 0;
}

static void add_keyed(model *m, dice *d, model_stream state, model_stream table, model_stream news)
{
    model_stream at = state, *first = &m->states[state.index].first;
    uint32_t reach = keyed_reach(m, d, *first);

    if (chance(d, d->home ? 16 : 4)) /* what fills it remembers, too, and goes on afterwards */
        *first = model_add_op(m, KIND_COUNT, *first, (uint32_t[4]){ 0 });
    if (chance(d, 2))
        at = add_second(m, KIND_ASK, at, table);
    if (chance(d, 2))
        at = model_add_op(m, KIND_COUNT, at, (uint32_t[4]){ 0 });
    if (chance(d, 2))
        at = add_second(m, KIND_HEAR, at, news);
    if (chance(d, 6))
        m->states[state.index].next = one(m->states[state.index].first);
    else
        add_next(m, d, state, at, reach);
}

/* One spatial state (or none), one keyed state, perhaps a second of each; tallies and totals of them. */
static void random_model(model *m, uint32_t seed)
{
    dice d = { .seed = seed };
    model_stream space, keyed, tally, total, groups;
    bool spatial;

    *m = (model){ .axis_count = roll(&d, 4), .key_groups = 1 + roll(&d, chance(&d, 2) ? 64 : 12),
                  .window = 1 + roll(&d, 8), .steps = roll(&d, 10) };
    m->steps += chance(&d, 3) ? 20 : 0;
    for (uint32_t a = 0; a < m->axis_count; a++) {
        m->size[a] = 5 + roll(&d, 6);
        m->periodic[a] = chance(&d, 2);
    }
    spatial = m->axis_count > 0;
    d.home = chance(&d, 3);
    space = model_add_state(m, spatial, false);
    keyed = model_add_state(m, false, false);
    m->states[space.index].first = add_make(m, &d, spatial);
    m->states[keyed.index].first = add_make(m, &d, false);
    if (!spatial && chance(&d, 2))
        tally = add_tally(m, space, keyed, true);
    else
        tally = add_tally(m, d.home || chance(&d, 2) ? keyed : space, keyed, false);
    total = chance(&d, 2) ? model_add_op(m, KIND_TOTAL, space, (uint32_t[4]){ 0 })
                          : model_add_op(m, KIND_SUM, keyed, (uint32_t[4]){ 0 });
    if (chance(&d, 2)) { /* a state that is made of an aggregate */
        groups = model_add_state(m, false, false);
        m->states[groups.index].first = add_make(m, &d, false);
        m->states[groups.index].next = one(add_tally(m, space, space, false));
        tally = !d.home && chance(&d, 2) ? groups : tally;
    }
    if (spatial)
        add_spatial(m, &d, space, chance(&d, 2) ? tally : keyed, total);
    else
        add_keyed(m, &d, space, chance(&d, 2) ? tally : keyed, total);
    add_keyed(m, &d, keyed, tally, chance(&d, 2) ? total : space);
    add_records(m, &d);
}

/* ---- comparing ---- */

static uint32_t failing_seed;

static void differ(const char *what, uint64_t step, uint32_t group, uint32_t row)
{
    fail_msg("seed %u: %s, step %llu, key group %u, row %u", failing_seed, what,
             (unsigned long long)step, group, row);
}

static void show(const char *who, const kind_row *r)
{
    print_message("%s: key %llx at %g %g %g a %u g %u tag %u h %u\n", who, (unsigned long long)r->key,
                  r->at[0], r->at[1], r->at[2], r->a, r->g, r->tag, r->h);
}

static bool same_row(const kind_row *a, const kind_row *b)
{
    bool same = a->key == b->key && memcmp(a->at, b->at, sizeof a->at) == 0 && a->a == b->a &&
                a->g == b->g && a->tag == b->tag && a->h == b->h;

    if (!same) {
        show("engine", a);
        show("reference", b);
    }
    return same;
}

static uint32_t state_number(const df_plan *plan, uint32_t state)
{
    char name[16];

    sprintf(name, "s%u", state);
    for (uint32_t i = 0; i < plan->state_count; i++)
        if (strcmp(plan->states[i].name, name) == 0)
            return i;
    fail_msg("no state %s", name);
    return 0;
}

static void compare_cells(const weir_batch *batch, const ref_row *rows, uint64_t step)
{
    for (uint32_t i = 0; i < batch->row_count; i++)
        if (i < batch->cell_rows[rows[i].cell] || i >= batch->cell_rows[rows[i].cell + 1])
            differ("a row is not in its cell", step, batch->key_group, i);
}

static void compare_state(const df_graph *graph, const reference *ref, uint32_t state, uint64_t step)
{
    const df_plan *plan = ref->plan;
    uint32_t number = state_number(plan, state), at = 0;
    const ref_rows *expected = &ref->states[state][step];

    for (uint32_t g = 0; g < plan->vertices[number].partition.key_groups; g++) {
        const weir_batch *batch = df_graph_state(graph, number, g);
        uint32_t first = at, of_step = (uint32_t)(step & UINT32_MAX);
        kind_columns columns;

        if (batch == NULL || batch->step != of_step || batch->key_group != g)
            differ("a state's batch has a wrong step or key group", step, g, 0);
        kind_find(batch->schema,
                  plan->states[number].space == DF_NONE ? NULL : &plan->spaces[0].view, &columns);
        for (uint32_t i = 0; i < batch->row_count; i++, at++) {
            kind_row row = kind_get(batch, &columns, i);
            if (at == expected->count || expected->rows[at].key_group != g ||
                !same_row(&row, &expected->rows[at].row) || !kind_derived_ok(batch, &columns, i))
                differ("a state's row", step, g, i);
        }
        if (batch->cell_rows != NULL)
            compare_cells(batch, expected->rows + first, step);
    }
    if (at != expected->count)
        differ("a state lacks rows", step, 0, at);
}

static void compare_logs(const reference *ref, const model *m)
{
    for (uint32_t i = 0; i < m->op_count; i++) {
        const kind_log *log = m->ops[i].log, *expected = &ref->logs[i];

        if (log == NULL)
            continue;
        if (log->disordered || log->open || log->calls != expected->calls)
            differ("a sink's steps", log->last_step, i, log->calls);
        for (uint32_t r = 0; r < log->count && r < expected->count; r++)
            if (log->rows[r].step != expected->rows[r].step ||
                log->rows[r].key_group != expected->rows[r].key_group ||
                !same_row(&log->rows[r].row, &expected->rows[r].row))
                differ("a sink's row", log->rows[r].step, log->rows[r].key_group, r);
        if (log->count != expected->count)
            differ("a sink's number of rows", 0, i, log->count);
    }
}

/* ---- running ---- */

typedef struct way {
    uint32_t threads;
    uint64_t shuffle;
    bool pieces; /* in several calls */
    bool keep_nothing;
} way;

static void run_to(df_graph *graph, const reference *ref, const model *m, uint64_t step)
{
    df_error err = { 0 };

    if (df_graph_run(graph, step, &err) != DF_OK)
        fail_msg("seed %u: %s", failing_seed, err.text);
    for (uint32_t s = 0; s < m->state_count; s++)
        compare_state(graph, ref, s, step < m->steps ? step + 1 : step);
}

static df_hash run_way(const reference *ref, const model *m, const way *w)
{
    df_graph_options options = { .threads = w->threads, .directory = ".", .keep_states = true,
                                 .shuffle_seed = w->shuffle, .keep_nothing = w->keep_nothing };
    df_graph *graph;
    df_error err;
    df_hash hash;
    uint64_t step;

    assert_int_equal(df_graph_new(&graph, ref->plan, &options, &err), DF_OK);
    for (step = 0; w->pieces && step < m->steps; step += 1 + step)
        run_to(graph, ref, m, step);
    run_to(graph, ref, m, m->steps);
    assert_int_equal(df_graph_finish(graph, &err), DF_OK);
    assert_true(df_graph_fingerprint(graph, &step, &hash));
    assert_int_equal(step, m->steps);
    df_graph_free(&graph);
    compare_logs(ref, m);
    return hash;
}

/* The same job as several parts, once through, and from a snapshot in the middle on other members. */
static void run_parts(const reference *ref, const model *m, kind_log *logs, uint32_t seed,
                      df_hash expected)
{
    parts_options o = { .members = 1 + seed % 5, .threads = 1 + seed / 5 % 3, .seed = seed };
    parts_snapshot *snapshot = NULL;
    df_hash hash;

    o.capture_tick = seed % 4 == 0 ? 0 : 1 + seed / 4 % (m->steps + 2);
    o.moves = seed % 3 != 0;
    o.joins = seed % 7 < 3;
    hash = parts_run(ref->plan, &o, NULL, &snapshot);
    compare_logs(ref, m);
    if (hash.high != expected.high || hash.low != expected.low)
        differ("the fingerprint of parts", m->steps, o.members, 0);
    for (uint32_t k = 0; k < m->op_count; k++)
        kind_log_fini(&logs[k]);
    if (snapshot == NULL)
        return;
    if (o.capture_tick < m->steps + 2) {
        o.capture_tick = 0;
        o.members = 1 + seed / 7 % 4;
        o.seed = seed + 1;
        o.moves = seed % 5 < 3;
        o.joins = seed % 7 > 3;
        hash = parts_run(ref->plan, &o, snapshot, NULL);
        if (hash.high != expected.high || hash.low != expected.low)
            differ("the fingerprint of what was restored", m->steps, o.members, 0);
        for (uint32_t k = 0; k < m->op_count; k++)
            kind_log_fini(&logs[k]);
    }
    parts_snapshot_free(&snapshot);
}

/* Exchanges that stay in their key group, by kind, of all jobs. */
static uint32_t at_home[WEIR_GATHER + 1];

static void count_at_home(const df_plan *plan)
{
    for (uint32_t e = 0; e < plan->edge_count; e++) {
        const df_vertex *v = &plan->vertices[plan->edges[e].vertex];
        at_home[v->ports[plan->edges[e].port].exchange] += plan->edges[e].fan == DF_FAN_SAME;
    }
    for (uint32_t i = 0; i < plan->vertex_count; i++) { /* within a task */
        const df_vertex *v = &plan->vertices[i];
        for (uint32_t q = 1; q < v->port_count; q++)
            if (v->ports[q].exchange == WEIR_LOOKUP)
                at_home[WEIR_LOOKUP] +=
                    plan->vertices[plan->streams[v->ports[q].streams[0]].vertex].stage == v->stage;
    }
}

static void run_job(uint32_t seed)
{
    static const uint32_t threads[] = { 2, 3, 8 };
    model m;
    kind_log logs[MODEL_OPS_MAX] = { { 0 } };
    reference ref;
    df_plan *plan;
    df_hash first = { 0 };

    failing_seed = seed;
    random_model(&m, seed);
    for (uint32_t i = 0; i < m.op_count; i++)
        m.ops[i].log = m.ops[i].kind == KIND_RECORD ? &logs[i] : NULL;
    plan = model_plan(&m, seed % 3 == 0);
    if (getenv("TEST_JOBS_SHOW") != NULL)
        df_plan_print_text(plan, stdout);
    count_at_home(plan);
    reference_run(&ref, &m, plan);
    for (uint32_t i = 0; i < 4; i++) {
        way w = { .threads = i == 0 ? 1 : threads[(i + seed) % 3], .shuffle = i < 2 ? 0 : seed + i,
                  .pieces = i == 2, .keep_nothing = i == 3 };
        df_hash hash = run_way(&ref, &m, &w);

        if (i == 0)
            first = hash;
        if (hash.high != first.high || hash.low != first.low)
            differ("the fingerprint", m.steps, i, 0);
        for (uint32_t k = 0; k < m.op_count; k++)
            kind_log_fini(&logs[k]);
    }
    run_parts(&ref, &m, logs, seed, first);
    reference_fini(&ref);
    df_plan_free(&plan);
}

static void test_random_jobs(void **state)
{
    const char *only = getenv("TEST_JOBS_SEED"), *count = getenv("TEST_JOBS_COUNT");
    uint32_t jobs = count == NULL ? JOBS_COUNT : (uint32_t)strtoul(count, NULL, 10);

    (void)state;
    if (only != NULL) {
        run_job((uint32_t)strtoul(only, NULL, 10));
        return;
    }
    for (uint32_t seed = 1; seed <= jobs; seed++)
        run_job(seed);
    /* Or the dice are loaded against them. */
    assert_true(at_home[WEIR_KEY_BY] * 5 >= jobs && at_home[WEIR_LOOKUP] * 10 >= jobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_jobs) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
