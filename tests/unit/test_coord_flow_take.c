/* States that come in pieces: one of each member goes right to where it stays; a larger one, or one that begins before the
 * last is whole, is put together first. */
#include "tests/support/part_replay.h"

#include "coordinator/coord_flow_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* ---- a state with much in a key group ---- */

enum { COLUMNS = 12 };

static uint32_t plenty_rows;

static weir_status plenty_plan(weir_plan *plan, void *options)
{
    (void)options;
    for (int c = 0; c < COLUMNS; c++)
        weir_plan_add(plan, 0, (char[2]){ (char)('a' + c), '\0' }, WEIR_F64);
    weir_plan_rows(plan, plenty_rows, 1);
    return WEIR_OK;
}

static weir_status plenty_process(weir_task *task)
{
    uint32_t rows = (uint32_t)(task->row_end - task->row_begin);
    weir_batch *out = weir_output(task, 0, rows);

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < rows; i++) {
        out->keys[i] = task->row_begin + i;
        for (int c = 0; c < COLUMNS; c++)
            ((double *)out->columns[c])[i] = (double)out->keys[i] + c;
    }
    return WEIR_OK;
}

static weir_status hold_plan(weir_plan *plan, void *options)
{
    (void)options;
    weir_plan_pass(plan, 0, 0);
    return WEIR_OK;
}

static weir_status hold_process(weir_task *task)
{
    return weir_output_like(task, 0, 0) == NULL ? WEIR_FAILED : WEIR_OK;
}

static const weir_option no_options[] = { { 0 } };

static const weir_operator plenty = {
    .api_version = WEIR_API_VERSION, .name = "plenty", .help = "", .role = WEIR_SOURCE, .outputs = { "out" },
    .options = no_options, .plan = plenty_plan, .process = plenty_process,
};

static const weir_operator hold = {
    .api_version = WEIR_API_VERSION, .name = "hold", .help = "", .role = WEIR_PHASE,
    .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" }, .options = no_options, .plan = hold_plan,
    .process = hold_process,
};

static const weir_operator *load(void *user, const char *path, const char *symbol, char error[256])
{
    (void)user;
    (void)path;
    (void)error;
    return strcmp(symbol, "hold") == 0 ? &hold : &plenty;
}

/* Two units of four go to the first member at tick 2. */
static const replay_job job = {
    .text = "[job]\nname = \"plenty\"\nsteps = 3\ndt = 1\n[run]\nkey_groups = 4\n"
            "[state.all]\nfirst = \"make\"\nnext = \"hold\"\n"
            "columns.f64 = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\", \"j\", \"k\", \"l\"]\n"
            "[operator.make]\nkind = \"./it.so:plenty\"\n[operator.hold]\nkind = \"./it.so:hold\"\nin = \"all\"\n",
    .owners = { 0, 1, 1, 1 }, .load = load, .changes = { { 2, { { 1, 0 }, { 2, 0 } }, 2 } },
};

/* ---- pieces ---- */

typedef struct scene {
    replay recorded;
    replay_run run;
    coord_flow flow;
    flow_arrival arrivals[REPLAY_MEMBERS];
} scene;

static void begin(scene *s, uint32_t rows)
{
    memset(s, 0, sizeof *s);
    plenty_rows = rows;
    replay_record(&s->recorded, &job);
    replay_begin(&s->run, &s->recorded);
    s->flow.graph = s->run.member.graph;
    s->flow.arrivals = s->arrivals;
}

/* Two states of the second member's, and what comes before them is taken in. */
static void find_states(scene *s, const df_parcel *states[2])
{
    uint32_t found = 0;
    df_error err;

    for (const df_parcel *p; found < 2 && (p = replay_next(&s->run)) != NULL;) {
        if (p->edge == DF_PARCEL_MOVE)
            states[found++] = p;
        else
            replay_check(df_graph_deliver(s->flow.graph, p->edge, p->tick, p->key_group, p->bytes, p->size, &err), &err);
    }
    assert_int_equal(found, 2);
}

static bool piece(scene *s, const df_parcel *p, uint32_t offset, uint32_t size)
{
    proto_data d = { .edge = p->edge, .step = p->tick, .src = p->key_group, .offset = offset, .total = p->size };

    size = p->size - offset < size ? p->size - offset : size;
    d.payload = (proto_bytes){ p->bytes + offset, size };
    return flow_take(&s->flow, 1, &d);
}

static void rest(scene *s, const df_parcel *p, uint32_t offset, uint32_t size)
{
    for (; offset < p->size; offset += size)
        assert_true(piece(s, p, offset, size));
}

static void end(scene *s)
{
    df_error err;

    for (const df_parcel *p; (p = replay_next(&s->run)) != NULL;)
        replay_check(df_graph_deliver(s->flow.graph, p->edge, p->tick, p->key_group, p->bytes, p->size, &err), &err);
    replay_finish(&s->run);
    assert_true(replay_same(&s->run));
    assert_null(s->arrivals[1].arrival);
    assert_null(s->flow.pieces.first);
    coord_pieces_free(&s->flow.pieces);
    replay_end(&s->run);
    replay_free(&s->recorded);
}

static void test_one_after_the_other(void **state)
{
    const df_parcel *states[2];
    scene s;

    (void)state;
    begin(&s, 400);
    find_states(&s, states);
    for (int i = 0; i < 2; i++) {
        assert_true(piece(&s, states[i], 0, 1000));
        assert_non_null(s.arrivals[1].arrival);
        assert_null(s.flow.pieces.first);
        rest(&s, states[i], 1000, 1000);
        assert_null(s.arrivals[1].arrival);
    }
    end(&s);
}

/* The second one begins before the first is whole. */
static void test_two_at_a_time(void **state)
{
    const df_parcel *states[2];
    scene s;

    (void)state;
    begin(&s, 400);
    find_states(&s, states);
    assert_true(piece(&s, states[0], 0, 1000));
    assert_true(piece(&s, states[1], 0, 1000));
    assert_non_null(s.arrivals[1].arrival);
    assert_non_null(s.flow.pieces.first);
    rest(&s, states[1], 1000, 3000);
    rest(&s, states[0], 1000, 1000);
    end(&s);
}

/* One of more than 16 MiB: memory for it is got as its bytes come. */
static void test_large(void **state)
{
    const uint32_t size = 1u << 20;
    const df_parcel *states[2];
    scene s;

    (void)state;
    begin(&s, 4 * (FLOW_ARRIVAL_MAX / (COLUMNS + 1) / 8 + 1000));
    find_states(&s, states);
    for (int i = 0; i < 2; i++) {
        assert_true(states[i]->size > FLOW_ARRIVAL_MAX);
        assert_true(piece(&s, states[i], 0, size));
        assert_null(s.arrivals[1].arrival);
        assert_int_equal(s.flow.pieces.first->have, size);
        assert_true(s.flow.pieces.first->room <= 2 * size || i == 1); /* the first one's memory is used again */
        assert_false(piece(&s, states[i], 2 * size, size)); /* not its turn */
        rest(&s, states[i], size, size);
        assert_null(s.flow.pieces.first);
    }
    end(&s);
}

/* What is given up is begun anew, and comes in the end. */
static void test_given_up(void **state)
{
    const df_parcel *states[2];
    scene s;

    (void)state;
    begin(&s, 400);
    find_states(&s, states);
    assert_true(piece(&s, states[0], 0, 1000));
    assert_false(piece(&s, states[0], 2000, 1000)); /* one is missing: it is dropped */
    assert_null(s.arrivals[1].arrival);
    assert_false(piece(&s, states[0], 1000, 1000)); /* and does not go on */
    assert_true(piece(&s, states[0], 0, 500));
    flow_take_drop(&s.flow, 1);
    assert_null(s.arrivals[1].arrival);
    for (int i = 0; i < 2; i++)
        rest(&s, states[i], 0, 1000);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_after_the_other),
        cmocka_unit_test(test_two_at_a_time),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
