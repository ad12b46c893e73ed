/* What is said of a state that settles only every few steps, when that cannot be: by the plan, by a run and
 * by a restore; and what goes to other members while its rows rest. That its rows are right is shown by test_jobs and test_boids. */
#include "tests/support/crowd.h"

#include "dataflow/df_graph_private.h"
#include "tests/support/fake_part.h"
#include "tests/support/parts.h"

/* ---- the plan ---- */

static void settle(df_draft *draft, uint64_t every, double skin)
{
    draft->states[0].settle_every = every;
    draft->states[0].skin = skin;
}

static df_draft *settling_crowd(const char *next, uint64_t every, double skin)
{
    df_draft *draft = crowd(next);

    settle(draft, every, skin);
    return draft;
}

static void test_needs_a_skin(void **state)
{
    df_draft *draft = settling_crowd("crowd", 3, 0);

    (void)state;
    assert_string_equal(job_errors(&draft),
                        "state \"crowd\": with settle_every = 3 it needs a skin: a row moves at most "
                        "half of it until rows settle again\n");
}

static void test_needs_a_space(void **state)
{
    df_draft *draft = settling_crowd("crowd", 3, 1);

    (void)state;
    draft->states[0].space.text = NULL;
    assert_string_equal(job_errors(&draft),
                        "state \"crowd\": only rows in a space settle, and it has none\n");
}

static void test_not_anywhere(void **state)
{
    df_draft *draft = settling_crowd("crowd", 3, 1);

    (void)state;
    draft->states[0].moves_anywhere = true;
    assert_string_equal(job_errors(&draft), "state \"crowd\": rows that move anywhere must settle at "
                                            "every step\n");
}

static void test_one_next(void **state)
{
    kind_options none = { 0 };
    df_draft *draft = settling_crowd("split.even split.odd", 2, 1);

    (void)state;
    job_operator(draft, "split", kind_list[KIND_SPLIT], &none, "in=crowd");
    assert_string_equal(job_errors(&draft), "state \"crowd\": with settle_every = 2 its rows keep "
                                            "their places, so next must be one stream, not a list\n");
}

static void test_rows_must_be_handed_on(void **state)
{
    kind_options die = { .p = { 1, 9, 0, 0 } }, stay = { .p = { 1, 0, 0, 0 } };
    df_draft *draft = settling_crowd("late", 2, 1);

    (void)state;
    job_operator(draft, "die", kind_list[KIND_DRIFT], &die, "in=crowd");
    job_operator(draft, "late", kind_list[KIND_DRIFT], &stay, "in=die");
    assert_string_equal(job_errors(&draft),
                        "state \"crowd\": with settle_every = 2 its rows keep their places, so all that "
                        "leads to next \"late\" must hand on the state's own rows, and \"die\" makes others: "
                        "use settle_every = 1\n");
}

static void test_room_for_columns(void **state)
{
    df_draft *draft = settling_crowd("crowd", 2, 1);
    weir_schema *schema = &draft->states[0].schema;

    (void)state;
    while (schema->column_count < WEIR_COLUMNS_MAX - 1) {
        weir_column *column = &schema->columns[schema->column_count];
        sprintf(column->name, "more%u", schema->column_count++);
        column->type = WEIR_U8;
    }
    assert_string_equal(job_errors(&draft), "state \"crowd\": with settle_every it has at most 62 "
                                            "columns\n");
}

static void test_long_enough(void **state)
{
    kind_options see = { .p = { 32 } };
    df_draft *draft = settling_crowd("see", 2, 4.5);

    (void)state;
    draft->spaces[0].periodic[1] = true;
    job_operator(draft, "see", kind_list[KIND_SEE], &see, "in=crowd");
    assert_non_null(strstr(job_errors(&draft), "space \"box\": periodic axis y is 12 long, it must be longer "
                                               "than twice the radius 2 and the skin 4.5 together"));
}

/* With settle_every = 1 a skin changes nothing: not even the plan's hash. */
static void test_every_step_is_as_ever(void **state)
{
    df_draft *plain = crowd("crowd"), *given = settling_crowd("crowd", 1, 0.5);
    df_plan *a = job_plan(&plain), *b = job_plan(&given);

    (void)state;
    assert_memory_equal(a->hash, b->hash, sizeof a->hash);
    assert_memory_equal(a->spaces[0].view.cells, b->spaces[0].view.cells, sizeof a->spaces[0].view.cells);
    df_plan_free(&a);
    df_plan_free(&b);
}

/* ---- a run ---- */

static void expect(df_draft *draft, const char *text)
{
    df_plan *plan = job_plan(&draft);

    for (uint32_t threads = 1; threads <= THREADS; threads++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            df_graph *graph = start(plan, threads, seed);
            df_error err = { 0 };

            assert_int_equal(df_graph_run(graph, STEPS, &err), DF_EINVAL);
            assert_string_equal(err.text, text);
            df_graph_free(&graph);
            clear_logs();
        }
    df_plan_free(&plan);
}

/* Rows settle at steps 0, 4 and 8; a row is spoiled in step 5. */
static df_draft *spoiled(spoil_mode mode)
{
    df_draft *draft = settling_crowd("move", 4, 0.5);

    add_spoil(draft, "move", "crowd", (spoil){ .mode = mode, .step = 5, .modulus = 60, .rest = 17 });
    return draft;
}

static void test_too_far(void **state)
{
    (void)state;
    expect(spoiled(SPOIL_FAR),
           "test.toml: step 5: state \"crowd\": id 17 is 6 from where it settled at step 4, and skin = 0.5 "
           "allows 0.25: use a larger skin or a smaller settle_every");
}

static void test_outside(void **state)
{
    (void)state;
    expect(spoiled(SPOIL_BELOW), "test.toml: step 5: state \"crowd\": id 17 is outside space \"box\": x is "
                                 "-0.25, not in 0 to 12: is dt too large?");
    expect(spoiled(SPOIL_ABOVE), "test.toml: step 5: state \"crowd\": id 17 is outside space \"box\": y is "
                                 "12.5, not in 0 to 12: is dt too large?");
}

static void test_not_finite(void **state)
{
    (void)state;
    expect(spoiled(SPOIL_NAN_X), "test.toml: step 5: state \"crowd\": id 17: column x is not finite");
    expect(spoiled(SPOIL_NAN_REAL), "test.toml: step 5: state \"crowd\": id 17: column c is not finite");
}

/* Says that it hands on the rows that it reads, and makes its own; half of them, or all. */
static weir_status liar_plan(weir_plan *plan, void *options)
{
    (void)options;
    weir_plan_pass(plan, 0, 0);
    return WEIR_OK;
}

static weir_status liar_process(weir_task *task)
{
    const weir_batch *in = task->inputs[0].batches[0];
    bool own = task->step == 5 && *(const uint32_t *)task->options == 0;
    weir_batch *out = own ? weir_output(task, 0, in->row_count) : weir_output_like(task, 0, 0);

    if (out == NULL)
        return WEIR_FAILED;
    if (task->step == 5 && !own)
        out->row_count /= 2;
    for (uint32_t c = 0; own && c < in->schema->column_count; c++)
        memcpy(out->columns[c], in->columns[c], in->row_count * weir_type_size(in->schema->columns[c].type));
    if (own)
        memcpy(out->keys, in->keys, in->row_count * sizeof *in->keys);
    return WEIR_OK;
}

static const weir_operator liar_kind = {
    .api_version = WEIR_API_VERSION, .name = "liar", .help = "", .role = WEIR_PHASE,
    .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" }, .options = no_options,
    .options_size = sizeof(uint32_t), .plan = liar_plan, .process = liar_process,
};

static void test_other_rows(void **state)
{
    (void)state;
    for (uint32_t mode = 0; mode < 2; mode++) {
        df_draft *draft = settling_crowd("liar", 4, 0.5);

        job_operator(draft, "liar", &liar_kind, &mode, "in=crowd");
        expect(draft, "test.toml: step 5: state \"crowd\": \"liar\" does not hold the rows that were read, "
                      "and with settle_every they keep their places");
    }
}

/* ---- a restore ---- */

static void part_wake(void *user)
{
    (void)user;
}

/* Two rows of key group 0 as a snapshot might have them; returns what indexing them says. */
static df_status index_two(df_graph *graph, const df_plan *plan, const float now[2][2],
                           const float settled[2][2], df_error *err)
{
    const weir_schema *schema = &plan->streams[plan->states[0].stream].schema;
    df_memory memory = df_graph_memory(graph);
    df_batch *batch = df_batch_new(memory, schema, 0, 0);
    df_status status;

    assert_non_null(batch);
    assert_true(df_batch_alloc_stored(memory, batch, plan->states[0].stored, 2));
    for (uint32_t c = 0; c < plan->states[0].stored->column_count; c++)
        memset(df_batch_stored_column(batch, c), 0,
               2 * weir_type_size(plan->states[0].stored->columns[c].type));
    for (uint32_t i = 0; i < 2; i++) {
        batch->view.keys[i] = 4 + i;
        for (uint32_t a = 0; a < 2; a++) {
            ((float *)batch->view.columns[plan->states[0].axis_columns[a]])[i] = now[a][i];
            batch->settled[a][i] = settled[a][i];
        }
    }
    status = df_graph_index_cells(graph, 0, batch, err);
    df_batch_unref(memory, batch);
    return status;
}

/* The graph of a job of settling rows that begins at tick 6, from what is put into it. */
static df_graph *restored(df_plan **plan)
{
    static uint32_t owners[16];
    df_part part = { .member_count = 1, .owners = owners, .first_tick = 6, .send = part_send,
                     .sent = part_sent, .wake = part_wake };
    df_graph_options options = { .threads = 1, .directory = ".", .part = &part };
    df_draft *draft = settling_crowd("crowd", 4, 0.5);
    df_error err = { 0 };
    df_graph *graph;

    *plan = job_plan(&draft);
    assert_int_equal(df_graph_new(&graph, *plan, &options, &err), DF_OK);
    return graph;
}

static void test_restore(void **state)
{
    static const float first[2][2] = { { 0.5f, 0.5f }, { 0.25f, 0.5f } };
    static const float gone[2][2] = { { 0.5f, 0.5f }, { 0.25f, 0.8f } };
    static const float elsewhere[2][2] = { { 0.5f, 11.5f }, { 0.25f, 0.5f } };
    df_plan *plan;
    df_error err = { 0 };
    df_graph *graph = restored(&plan);

    (void)state;
    assert_int_equal(plan->states[0].stored->column_count, 9);
    assert_int_equal(index_two(graph, plan, first, first, &err), DF_OK);
    assert_int_equal(index_two(graph, plan, gone, first, &err), DF_ECORRUPT); /* 0.3 is too far */
    assert_string_equal(err.text, "state \"crowd\", key group 0: row 1 is not where it belongs");
    assert_int_equal(index_two(graph, plan, first, elsewhere, &err), DF_ECORRUPT); /* another tile */
    assert_string_equal(err.text, "state \"crowd\", key group 0: row 1 is not where it belongs");
    df_graph_free(&graph);
    df_plan_free(&plan);
    clear_logs();
}

#define MANY 1300u /* more than two blocks of what is checked at a time */

/* Rows of one cell in order, but for one, of which one axis or the key is another. */
static df_status index_many(df_graph *graph, const df_plan *plan, uint32_t wrong, float x, bool repeated,
                            df_error *err)
{
    const weir_schema *schema = &plan->streams[plan->states[0].stream].schema;
    df_memory memory = df_graph_memory(graph);
    df_batch *batch = df_batch_new(memory, schema, 0, 0);
    df_status status;

    assert_non_null(batch);
    assert_true(df_batch_alloc_stored(memory, batch, plan->states[0].stored, MANY));
    for (uint32_t c = 0; c < plan->states[0].stored->column_count; c++)
        memset(df_batch_stored_column(batch, c), 0,
               MANY * weir_type_size(plan->states[0].stored->columns[c].type));
    for (uint32_t i = 0; i < MANY; i++) {
        batch->view.keys[i] = 4 + i - (repeated && i == wrong);
        for (uint32_t a = 0; a < 2; a++) {
            float at = i == wrong && a == 0 ? x : 0.25f;

            ((float *)batch->view.columns[plan->states[0].axis_columns[a]])[i] = at;
            batch->settled[a][i] = at;
        }
    }
    status = df_graph_index_cells(graph, 0, batch, err);
    if (status == DF_OK) {
        assert_int_equal(batch->view.cell_rows[0], 0);
        assert_int_equal(batch->view.cell_rows[1], MANY);
    }
    df_batch_unref(memory, batch);
    return status;
}

/* The first row that is wrong is named, at whatever place in a block it is. */
static void test_restore_checks_each_row(void **state)
{
    static const uint32_t rows[] = { 1, 511, 512, 513, 1023, 1024, MANY - 1 };
    static const float places[] = { -1, 11.5f, 1e30f, NAN };
    df_plan *plan;
    df_error err = { 0 };
    df_graph *graph = restored(&plan);
    char text[96];

    (void)state;
    assert_int_equal(index_many(graph, plan, MANY, 0, false, &err), DF_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(text, sizeof text, "state \"crowd\", key group 0: row %u is not where it belongs", rows[i]);
        assert_int_equal(index_many(graph, plan, rows[i], 0.25f, true, &err), DF_ECORRUPT);
        assert_string_equal(err.text, text);
        for (size_t k = 0; k < sizeof places / sizeof places[0]; k++) {
            assert_int_equal(index_many(graph, plan, rows[i], places[k], false, &err), DF_ECORRUPT);
            assert_string_equal(err.text, text);
        }
    }
    df_graph_free(&graph);
    df_plan_free(&plan);
    clear_logs();
}

/* ---- what is kept ---- */

/* Tiles of four cells along each axis, of which others than the neighbours' owner see one row of cells. */
static void test_keeps_move(void **state)
{
    kind_options see = { .p = { 8 } };
    df_draft *draft = settling_crowd("see", 5, 0.25);
    df_plan *plan;
    df_hash expected = { 0 };

    (void)state;
    job_operator(draft, "see", kind_list[KIND_SEE], &see, "in=crowd");
    plan = job_plan(&draft);
    for (uint32_t seed = 0; seed < 40; seed++) {
        parts_options o = { .members = 1 + seed % 4, .threads = 1 + seed / 4 % 3, .seed = seed,
                            .moves = true };
        df_hash hash = parts_run(plan, &o, NULL, NULL);

        expected = seed == 0 ? hash : expected;
        assert_memory_equal(&hash, &expected, sizeof hash);
        clear_logs();
    }
    /* It goes with a key group, and stays beside one that goes. */
    assert_true(kind_kept_foreign > 0);
    assert_true(kind_kept_moved > kind_kept_foreign);
    df_plan_free(&plan);
}

/* ---- what goes to other members ---- */

#define SETTLE_EVERY 5u

/* The halos' parcels of a run. */
typedef struct halos {
    const df_plan *plan;
    uint32_t wholes, wholes_resting, rests;
} halos;

static void refuse(df_graph *to, const df_parcel *parcel, uint32_t rows, uint32_t age)
{
    const df_edge *e = &to->plan->edges[parcel->edge];
    size_t row = df_schema_row_size(&to->plan->streams[e->stream].schema) - sizeof(uint64_t);
    uint32_t words[3] = { 6, rows, age }, size = (uint32_t)(sizeof words + rows * row);
    uint8_t *bytes = calloc(1, size);
    df_error err;

    assert_non_null(bytes);
    memcpy(bytes, words, sizeof words);
    assert_int_equal(df_graph_deliver(to, parcel->edge, parcel->tick, parcel->key_group, bytes, size, &err), DF_ECORRUPT);
    free(bytes);
}

/* Whether a key group's tile or one around it was given another owner, from one tick to another. */
static bool owners_changed(const df_graph *g, const df_stream *stream, uint32_t key_group, uint64_t from, uint64_t to)
{
    const weir_tile *tile = &g->plan->spaces[stream->partition.space].tiles[key_group];

    for (const graph_owners *o = g->owners; o->older != NULL && o->from >= from; o = o->older)
        for (uint32_t slot = 0; o->from <= to && slot < WEIR_HALO_SLOTS; slot++)
            if (tile->neighbours[slot] != WEIR_NO_ROW) {
                uint32_t unit = df_plan_unit(g->plan, tile->neighbours[slot], stream->partition.key_groups);

                if (o->units[unit] != o->older->units[unit])
                    return true;
            }
    return false;
}

/* One that rests holds the columns alone. What it refers to is one parcel, of as many rows, of the same settling. */
static void watch_halo(void *user, df_graph *to, const df_parcel *parcel)
{
    halos *h = user;
    const df_edge *e = &h->plan->edges[parcel->edge];
    uint64_t step = parcel->tick - 1;
    uint32_t words[3];

    if (parcel->edge >= h->plan->edge_count || e->fan != DF_FAN_NEIGHBOURS || e->routed || parcel->size == 0)
        return; /* without rows there are no bytes */
    memcpy(words, parcel->bytes, sizeof words);
    assert_int_equal(words[1], parcel->rows);
    if (words[0] != 6) {
        h->wholes++;
        if (step % SETTLE_EVERY == 0)
            return;
        h->wholes_resting++;
        assert_true(owners_changed(to, &h->plan->streams[e->stream], parcel->key_group,
                                   parcel->tick - step % SETTLE_EVERY, parcel->tick));
        return;
    }
    h->rests++;
    assert_true(words[2] <= step % SETTLE_EVERY);
    assert_int_equal(parcel->size, sizeof words + parcel->rows * (df_schema_row_size(&h->plan->streams[e->stream].schema) -
                                                                   sizeof(uint64_t)));
    if (parcel->tick >= atomic_load(&to->known))
        return; /* it would be kept, and refused later */
    refuse(to, parcel, parcel->rows, 0);
    refuse(to, parcel, parcel->rows, (uint32_t)step + 1);
    refuse(to, parcel, parcel->rows, UINT32_MAX);
    refuse(to, parcel, parcel->rows, words[2] + SETTLE_EVERY); /* the settling before */
    refuse(to, parcel, parcel->rows + 1, words[2]);
}

/* Keys and cells go once, after each settling, and when owners have changed where they come from or go to. */
static void test_halos_rest(void **state)
{
    kind_options see = { .p = { 8 } };
    df_draft *draft = settling_crowd("see", SETTLE_EVERY, 0.25);
    df_hash expected = { 0 };
    halos still = { 0 }, moving = { 0 };
    df_plan *plan;

    (void)state;
    job_operator(draft, "see", kind_list[KIND_SEE], &see, "in=crowd");
    still.plan = moving.plan = plan = job_plan(&draft);
    for (uint32_t seed = 0; seed < 10; seed++) {
        bool moves = seed % 2 == 1;
        parts_options o = { .members = 2 + seed % 3, .threads = 1, .seed = seed, .moves = moves,
                            .on_parcel = watch_halo, .user = moves ? &moving : &still };
        df_hash hash = parts_run(plan, &o, NULL, NULL);

        expected = seed == 0 ? hash : expected;
        assert_memory_equal(&hash, &expected, sizeof hash);
        clear_logs();
    }
    assert_true(still.wholes > 0 && still.wholes_resting == 0);
    assert_true(still.rests > 3 * still.wholes);
    assert_true(moving.wholes_resting > 0 && moving.rests > 0);
    df_plan_free(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_needs_a_skin),      cmocka_unit_test(test_needs_a_space),
        cmocka_unit_test(test_not_anywhere),      cmocka_unit_test(test_one_next),
        cmocka_unit_test(test_rows_must_be_handed_on), cmocka_unit_test(test_room_for_columns),
        cmocka_unit_test(test_long_enough),       cmocka_unit_test(test_every_step_is_as_ever),
        cmocka_unit_test(test_too_far),           cmocka_unit_test(test_outside),
        cmocka_unit_test(test_not_finite),        cmocka_unit_test(test_other_rows),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_restore_checks_each_row),
        cmocka_unit_test(test_keeps_move),
        cmocka_unit_test(test_halos_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
