/* What a snapshot keeps of what operators carry, when a task is late to ask. What it keeps of a run is shown by
 * test_jobs. */
#include "tests/support/crowd.h"

#include "dataflow/df_graph_private.h"

static void part_send(void *user, const df_parcel *parcel)
{
    (void)user;
    (void)parcel;
}

static void part_sent(void *user, uint32_t edge, uint64_t tick)
{
    (void)user;
    (void)edge;
    (void)tick;
}

static void part_wake(void *user)
{
    (void)user;
}

static uint32_t vertex_named(const df_plan *plan, const char *name)
{
    uint32_t v = 0;

    while (strcmp(plan->vertices[v].name, name) != 0)
        v++;
    return v;
}

static void carry(df_graph *g, uint32_t vertex, uint32_t key_group, uint8_t value)
{
    const graph_vertex *v = &g->vertices[vertex];

    memset(v->carried + (size_t)key_group * v->carried_size * 2, value, v->carried_size);
}

/* A task of tick 3 sees that a snapshot is taken, of tick 2, and before it comes to ask, that one is over and the
 * next one is announced, of tick 5. */
static void test_late(void **state)
{
    kind_options none = { 0 };
    df_draft *draft = crowd("crowd");
    uint32_t owners[16] = { 0 }, vertex;
    df_part part = { .member_count = 1, .owners = owners, .send = part_send, .sent = part_sent,
                     .wake = part_wake };
    df_graph_options options = { .threads = 1, .directory = ".", .part = &part };
    df_error err = { 0 };
    df_graph *g;
    df_plan *plan;

    (void)state;
    job_operator(draft, "count", kind_list[KIND_COUNT], &none, "in=crowd");
    plan = job_plan(&draft);
    assert_true(plan->key_groups <= 16);
    vertex = vertex_named(plan, "count");
    assert_int_equal(df_graph_new(&g, plan, &options, &err), DF_OK);
    df_graph_capture(g, 2);
    df_graph_capture_drop(g);
    df_graph_capture(g, 5);
    carry(g, vertex, 0, 3);
    graph_capture_carried(g, vertex, 0, 3);
    carry(g, vertex, 0, 5);
    graph_capture_carried(g, vertex, 0, 5);
    carry(g, vertex, 0, 6);
    graph_capture_carried(g, vertex, 0, 6);
    for (uint32_t i = 0; i < g->vertices[vertex].carried_size; i++)
        assert_int_equal(g->capture.view.carried[vertex][i], 5);
    df_graph_free(&g);
    df_plan_free(&plan);
    clear_logs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
