/* A graph as a part of a job, watched from inside: what a snapshot keeps of what operators carry when a task is late
 * to ask, how long it is known whose it was, how much memory it takes, and when sinks may show a step. What parts come to together is shown
 * by test_jobs. */
#include "tests/support/crowd.h"

#include "dataflow/df_graph_private.h"
#include "tests/support/fake_part.h"

#include <semaphore.h>

static sem_t woken;

static void part_wake(void *user)
{
    sem_post(user);
}

/* The first of so many members, which owns all. */
static df_part crowd_part(uint32_t members)
{
    static const uint32_t owners[16];

    return (df_part){ .member_count = members, .owners = owners, .send = part_send, .sent = part_sent,
                      .wake = part_wake, .user = &woken };
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
    uint32_t vertex;
    df_part part = crowd_part(1);
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

/* Other members may still fail in a step that is computed here: nothing of it is shown before all have it. */
static void test_sinks_wait_for_all(void **state)
{
    enum { GRANTED = 4, EVERYWHERE = 2 };
    df_draft *draft = crowd("crowd");
    df_part part = crowd_part(1);
    df_graph_options options = { .threads = 1, .directory = ".", .part = &part };
    df_error err = { 0 };
    df_progress now;
    df_graph *g;
    df_plan *plan = job_plan(&draft);

    (void)state;
    assert_int_equal(df_graph_new(&g, plan, &options, &err), DF_OK);
    assert_int_equal(df_graph_start(g, &err), DF_OK);
    for (uint64_t complete = 0; complete <= EVERYWHERE; complete++) {
        df_graph_complete(g, complete);
        do {
            df_graph_grant(g, GRANTED);
            df_graph_help(g);
            df_graph_progress(g, &now);
        } while ((now.done < complete || now.worked < 1) && sem_wait(&woken) == 0);
        assert_int_equal(now.done, complete);
        assert_int_equal(g->observed, complete);
    }
    df_graph_free(&g);
    df_plan_free(&plan);
    clear_logs();
}

/* The feeder may sleep while much is ready, and is woken before it is all done. */
static void test_nap(void **state)
{
    df_draft *draft = crowd("crowd");
    df_part part = crowd_part(1);
    df_graph_options options = { .threads = 1, .directory = ".", .part = &part };
    df_error err = { 0 };
    df_graph *g;
    df_plan *plan = job_plan(&draft);

    (void)state;
    assert_int_equal(df_graph_new(&g, plan, &options, &err), DF_OK);
    assert_false(df_graph_busy(g));
    assert_false(atomic_load(&g->naps));
    df_graph_grant(g, 2); /* the first tick's tasks are ready, and nobody runs them yet */
    assert_false(df_graph_busy(g)); /* they are thought to take no time */
    atomic_store(&g->task_ns, 1000000);
    assert_true(df_graph_busy(g));
    assert_int_equal(df_graph_start(g, &err), DF_OK);
    while (atomic_load(&g->naps))
        sem_wait(&woken);
    df_graph_free(&g);
    df_plan_free(&plan);
    clear_logs();
}

/* Nobody is woken by what the feeder does itself. */
static void run_to(df_graph *g, uint64_t tick)
{
    df_progress now, then;

    for (df_graph_progress(g, &now); now.done < tick; now = then) {
        assert_false(now.failed);
        df_graph_complete(g, now.worked);
        df_graph_grant(g, now.done + g->plan->window < tick ? now.done + g->plan->window : tick);
        df_graph_help(g);
        df_graph_progress(g, &then);
        if (then.done == now.done && then.worked == now.worked) {
            sem_wait(&woken);
            df_graph_progress(g, &then);
        }
    }
}

/* While a snapshot is written, which may last, owners change again and again; by whom its key groups were owned
 * is known as long as it is there. */
static void test_owners_of_a_long_snapshot(void **state)
{
    enum { LONG = 60, BEGIN = 3 };
    df_draft *draft = crowd("crowd");
    df_part part = crowd_part(2);
    df_graph_options options = { .threads = 1, .directory = ".", .part = &part };
    const graph_owners *captured;
    df_error err = { 0 };
    df_graph *g;
    df_plan *plan;

    (void)state;
    draft->job.steps = LONG;
    plan = job_plan(&draft);
    assert_int_equal(df_graph_new(&g, plan, &options, &err), DF_OK);
    assert_int_equal(df_graph_start(g, &err), DF_OK);
    run_to(g, BEGIN);
    df_graph_capture(g, BEGIN);
    while (df_graph_captured(g) == NULL)
        sem_wait(&woken);
    captured = g->capture.owners;
    assert_int_equal(df_graph_capture_marks(g, &err), DF_OK);
    for (uint64_t tick = BEGIN + 1; tick <= LONG; tick++) {
        const uint32_t same[1][2] = { { (uint32_t)tick % plan->key_groups, 0 } };
        const graph_owners *kept;

        assert_int_equal(df_graph_owners(g, tick, same, 1, &err), DF_OK);
        run_to(g, tick);
        for (kept = g->owners; kept != NULL && kept != captured;)
            kept = kept->older;
        assert_ptr_equal(kept, captured);
    }
    df_graph_capture_drop(g);
    run_to(g, LONG + 1);
    assert_int_equal(df_graph_owners(g, LONG, NULL, 0, &err), DF_EINVAL);
    df_graph_free(&g);
    df_plan_free(&plan);
    clear_logs();
}

static uint64_t pool_of(const df_graph *g)
{
    df_graph_stats stats;

    df_graph_stats_get(g, &stats);
    return stats.pool_bytes;
}

/* However long a snapshot is written, what it holds is the state as it was, once: steps go on in as much memory as
 * before. */
static void test_memory_of_a_long_snapshot(void **state)
{
    enum { BEGIN = 30, SETTLED = 60, LONG = 3000 };
    static const kind_options none = { 0 };
    df_draft *draft = crowd("stay");
    df_part part = crowd_part(1);
    df_graph_options options = { .threads = 1, .directory = ".", .part = &part };
    uint64_t before, held;
    df_error err = { 0 };
    df_graph *g;
    df_plan *plan;

    (void)state;
    draft->job.steps = 2 * LONG;
    job_operator(draft, "stay", kind_list[KIND_DRIFT], &none, "in=crowd");
    plan = job_plan(&draft);
    assert_int_equal(df_graph_new(&g, plan, &options, &err), DF_OK);
    assert_int_equal(df_graph_start(g, &err), DF_OK);
    run_to(g, BEGIN);
    before = pool_of(g);
    for (uint64_t begin = BEGIN; begin < 2 * LONG - 1; begin += LONG - SETTLED) {
        df_graph_capture(g, begin);
        while (df_graph_captured(g) == NULL)
            sem_wait(&woken);
        assert_int_equal(df_graph_capture_marks(g, &err), DF_OK);
        run_to(g, begin + SETTLED);
        held = pool_of(g);
        assert_true(held <= 2 * before);
        run_to(g, begin + LONG - SETTLED);
        assert_int_equal(pool_of(g), held);
        df_graph_capture_drop(g);
    }
    df_graph_free(&g);
    df_plan_free(&plan);
    clear_logs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_sinks_wait_for_all),
        cmocka_unit_test(test_nap),
        cmocka_unit_test(test_owners_of_a_long_snapshot),
        cmocka_unit_test(test_memory_of_a_long_snapshot),
    };

    sem_init(&woken, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
