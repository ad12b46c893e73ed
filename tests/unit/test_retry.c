/* A call that fails for a reason that may pass is made again: the same bits as if it had not failed, on
 * any number of threads and in any order; other tasks run meanwhile; after so many times the job fails. */
#include "tests/support/crowd.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The system's clocks, but that of the wall may be wrong. */
static time_t wall_ahead;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, now);

    if (rc == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += wall_ahead;
    return rc;
}

/* How often a call has failed, by step and key group; and how often it is to. */
static _Atomic uint32_t failed_at[STEPS + 2][64], counts_failed_at[STEPS + 2][64],
    tallies_failed_at[STEPS + 2][64];
static uint32_t fails;
static _Atomic uint32_t total;
static _Atomic uint32_t calls, called_at[STEPS + 2][64]; /* how many others were made before */
static atomic_bool others;       /* while one waited, another call was made */
static uint64_t pause_ns = 1000;
static uint64_t counted;         /* calls that the graph of the last run has counted */

static bool is_shaky(const weir_task *task)
{
    return (task->step * 7 + task->key_group * 3) % 5 < 2;
}

/* All that a call can do is done before it fails: rows are made, counted, born. */
static weir_status shake(weir_task *task, weir_status status)
{
    _Atomic uint32_t *before = &called_at[task->step][task->key_group % 64];
    uint32_t call = atomic_fetch_add(&calls, 1) + 1;

    if (status != WEIR_OK || !is_shaky(task))
        return status;
    if (atomic_load(before) != 0 && call > atomic_load(before) + 1)
        atomic_store(&others, true);
    atomic_store(before, call);
    if (atomic_fetch_add(&failed_at[task->step][task->key_group % 64], 1) >= fails)
        return status;
    atomic_fetch_add(&total, 1);
    return weir_again(task, "shaky");
}

static weir_status drift_process(weir_task *task)
{
    return shake(task, kind_list[KIND_DRIFT]->process(task));
}

static weir_status shake_first(weir_task *task, kind_id kind, _Atomic uint32_t before[STEPS + 2][64])
{
    weir_status status = kind_list[kind]->process(task);

    if (status != WEIR_OK || !is_shaky(task) ||
        atomic_fetch_add(&before[task->step][task->key_group % 64], 1) >= fails)
        return status;
    atomic_fetch_add(&total, 1);
    return weir_again(task, "shaky");
}

static weir_status count_process(weir_task *task)
{
    return shake_first(task, KIND_COUNT, counts_failed_at);
}

static weir_status tally_process(weir_task *task)
{
    return shake_first(task, KIND_TALLY, tallies_failed_at);
}

static weir_operator drift_kind, count_kind, tally_kind, shaky_drift, shaky_count, shaky_tally;

/* A crowd that moves, dies and is born, whose key groups count their rows; and a tally of all of it, by
 * what its rows hold. */
static df_plan *shaky_plan(bool shaky)
{
    kind_options move = { .p = { 16, 9, 7, 3 } }, none = { 0 };
    kind_options record = { .log = &logs[1] }, record_tally = { .log = &logs[2] };
    df_draft *draft = crowd("move");

    drift_kind = *kind_list[KIND_DRIFT];
    count_kind = *kind_list[KIND_COUNT];
    shaky_drift = drift_kind;
    shaky_drift.process = drift_process;
    shaky_count = count_kind;
    shaky_count.process = count_process;
    tally_kind = *kind_list[KIND_TALLY];
    shaky_tally = tally_kind;
    shaky_tally.process = tally_process;
    job_operator(draft, "move", shaky ? &shaky_drift : &drift_kind, &move, "in=crowd");
    job_operator(draft, "count", shaky ? &shaky_count : &count_kind, &none, "in=crowd");
    job_operator(draft, "counts", kind_list[KIND_RECORD], &record, "in=count");
    job_operator(draft, "tally", shaky ? &shaky_tally : &tally_kind, &none, "in=crowd");
    job_operator(draft, "tallies", kind_list[KIND_RECORD], &record_tally, "in=tally");
    memset(failed_at, 0, sizeof failed_at);
    memset(counts_failed_at, 0, sizeof counts_failed_at);
    memset(tallies_failed_at, 0, sizeof tallies_failed_at);
    memset(called_at, 0, sizeof called_at);
    atomic_store(&total, 0);
    return job_plan(&draft);
}

static df_status run(df_plan *plan, uint32_t threads, uint64_t seed, uint32_t retries, df_hash *hash,
                     df_error *err)
{
    df_graph_options options = { .threads = threads, .directory = ".", .shuffle_seed = seed,
                                 .retries = retries, .retry_ns = pause_ns };
    df_graph *graph;
    uint64_t step;
    df_status s;

    assert_int_equal(df_graph_new(&graph, plan, &options, err), DF_OK);
    s = df_graph_run(graph, STEPS, err);
    if (s == DF_OK)
        assert_true(df_graph_fingerprint(graph, &step, hash));
    counted = 0;
    for (uint32_t v = 0; v < plan->vertex_count; v++) {
        df_vertex_stats stats;

        df_graph_vertex_stats_get(graph, v, &stats);
        counted += df_spans_count(&stats.calls);
    }
    df_graph_free(&graph);
    return s;
}

static void same_rows(const kind_log *a, const kind_log *b)
{
    assert_false(a->disordered);
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        const kind_record *x = &a->rows[i], *y = &b->rows[i];

        assert_int_equal(x->step, y->step);
        assert_int_equal(x->key_group, y->key_group);
        assert_int_equal(x->row.key, y->row.key);
        assert_int_equal(x->row.a, y->row.a);
        assert_int_equal(x->row.tag, y->row.tag);
        assert_int_equal(x->row.h, y->row.h);
    }
}

static void test_same_bits(void **state)
{
    kind_log wanted_logs[3];
    df_hash wanted, hash;
    df_error err = { 0 };
    df_plan *plan = shaky_plan(false);
    uint64_t calls_wanted;

    (void)state;
    assert_int_equal(run(plan, 1, 0, 0, &wanted, &err), DF_OK);
    calls_wanted = counted;
    memcpy(wanted_logs, logs, sizeof logs);
    memset(logs, 0, sizeof logs);
    assert_true(wanted_logs[1].count > 0 && wanted_logs[2].count > 0);
    df_plan_free(&plan);
    for (fails = 1; fails <= 3; fails++)
        for (uint32_t threads = 1; threads <= THREADS; threads++)
            for (uint64_t seed = 0; seed < SEEDS; seed++) {
                plan = shaky_plan(true);
                assert_int_equal(run(plan, threads, seed, 3, &hash, &err), DF_OK);
                assert_true(atomic_load(&total) > 0);
                assert_int_equal(hash.high, wanted.high);
                assert_int_equal(hash.low, wanted.low);
                assert_int_equal(counted, calls_wanted + atomic_load(&total)); /* those that failed are calls, too */
                for (int i = 0; i < 3; i++)
                    same_rows(&logs[i], &wanted_logs[i]);
                df_plan_free(&plan);
                clear_logs();
            }
    for (int i = 0; i < 3; i++)
        kind_log_fini(&wanted_logs[i]);
}

/* Memory to be kept is got, and the call fails before it has filled it. */
static weir_status keep_process(weir_task *task)
{
    enum { KEPT_SIZE = 1 << 16 }; /* more than is read of it */
    void *keep = NULL;

    if (is_shaky(task) && atomic_fetch_add(&failed_at[task->step][task->key_group % 64], 1) < fails)
        keep = weir_keep(task, 0, KEPT_SIZE);
    if (keep == NULL)
        return kind_list[KIND_SEE]->process(task);
    memset(keep, 0xff, KEPT_SIZE);
    atomic_fetch_add(&total, 1);
    return weir_again(task, "shaky");
}

static void test_keeps_nothing(void **state)
{
    kind_options see = { .p = { 16 } };
    weir_operator kind = *kind_list[KIND_SEE];
    df_error err = { 0 };
    df_hash hash;

    (void)state;
    kind.process = keep_process;
    fails = 1;
    for (uint32_t threads = 1; threads <= THREADS; threads++) {
        df_draft *draft = crowd("see");
        df_plan *plan;

        draft->states[0].settle_every = 3;
        draft->states[0].skin = 1;
        job_operator(draft, "see", &kind, &see, "in=crowd");
        memset(failed_at, 0, sizeof failed_at);
        atomic_store(&total, 0);
        plan = job_plan(&draft);
        if (run(plan, threads, threads, 1, &hash, &err) != DF_OK)
            fail_msg("%s", err.text);
        assert_true(atomic_load(&total) > 0);
        df_plan_free(&plan);
        clear_logs();
    }
}

/* The smallest of all that fail too often is told, and how often it was tried. */
static void test_too_often(void **state)
{
    df_hash hash;
    df_error err = { 0 };

    (void)state;
    fails = 1000;
    for (uint32_t threads = 1; threads <= THREADS; threads++) {
        df_plan *plan = shaky_plan(true);

        assert_int_equal(run(plan, threads, threads, 2, &hash, &err), DF_EIO);
        assert_string_equal(err.text, "test.toml: step 0: operator \"move\": shaky (tried 3 times)");
        df_plan_free(&plan);
        clear_logs();
        plan = shaky_plan(true);
        assert_int_equal(run(plan, threads, threads, 0, &hash, &err), DF_EIO);
        assert_string_equal(err.text, "test.toml: step 0: operator \"move\": shaky");
        df_plan_free(&plan);
        clear_logs();
    }
}

/* One thread is enough for others to run while one waits. */
static void test_nobody_waits(void **state)
{
    df_plan *plan = shaky_plan(true);
    df_hash hash;
    df_error err = { 0 };

    (void)state;
    fails = 1;
    pause_ns = 20000000;
    atomic_store(&others, false);
    assert_int_equal(run(plan, 1, 0, 1, &hash, &err), DF_OK);
    assert_true(atomic_load(&others));
    pause_ns = 1000;
    df_plan_free(&plan);
    clear_logs();
}

/* Somebody has set the clock, or it is set while a thread sleeps until a call is due. */
static void test_wrong_clock(void **state)
{
    df_plan *plan = shaky_plan(true);
    df_hash hash;
    df_error err = { 0 };

    (void)state;
    fails = 1;
    wall_ahead = 100000;
    alarm(60); /* and not a day */
    assert_int_equal(run(plan, 1, 0, 1, &hash, &err), DF_OK);
    alarm(0);
    wall_ahead = 0;
    df_plan_free(&plan);
    clear_logs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_keeps_nothing),
        cmocka_unit_test(test_too_often),
        cmocka_unit_test(test_nobody_waits),
        cmocka_unit_test(test_wrong_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
