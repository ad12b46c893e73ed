/* Memory that runs out, at every place where it can: a clean status, nothing left behind, and the next
 * run is right. And memory that is not asked for: none between the steps of the steady state.
 *
 * The allocators of the C library and the pool's are replaced for the whole process; the replacements
 * count, and fail once when told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataflow/df_graph.h"
#include "dataflow/df_pool.h"
#include "tests/support/job.h"
#include "tests/support/reference.h"

/* ---- the replaced allocators ---- */

static _Atomic uint64_t system_calls, pool_calls; /* since the process began */
static _Atomic uint64_t system_fails_at, pool_fails_at;

/* ThreadSanitizer cannot live with it: there only the pool's is replaced. AddressSanitizer can, but does
 * not survive a thread that it has no memory for. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#elif __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
enum { SYSTEM_REPLACED = 0, SYSTEM_THREADS = 1, POOL_STRIDE = 50 };
#elif defined(__SANITIZE_ADDRESS__)
enum { SYSTEM_REPLACED = 1, SYSTEM_THREADS = 1, POOL_STRIDE = 7 };
#else
enum { SYSTEM_REPLACED = 1, SYSTEM_THREADS = 3, POOL_STRIDE = 7 };
#endif

#if !defined(__SANITIZE_THREAD__)

/* They run before a sanitizer has begun its work. */
#define EARLY __attribute__((no_sanitize("address"), no_sanitize("thread")))

/* A sanitizer's own allocators, where there is one. */
__attribute__((weak)) void *__interceptor_malloc(size_t size);
__attribute__((weak)) void *__interceptor_calloc(size_t count, size_t size);
__attribute__((weak)) void *__interceptor_realloc(void *memory, size_t size);
__attribute__((weak)) void *__interceptor_aligned_alloc(size_t alignment, size_t size);
/* The C library's, under the names that nobody replaces. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

EARLY static bool system_fails(void)
{
    return atomic_fetch_add(&system_calls, 1) + 1 == atomic_load(&system_fails_at);
}

EARLY void *malloc(size_t size)
{
    if (system_fails())
        return NULL;
    return __interceptor_malloc != NULL ? __interceptor_malloc(size) : __libc_malloc(size);
}

EARLY void *calloc(size_t count, size_t size)
{
    if (system_fails())
        return NULL;
    return __interceptor_calloc != NULL ? __interceptor_calloc(count, size) : __libc_calloc(count, size);
}

EARLY void *realloc(void *memory, size_t size)
{
    if (system_fails())
        return NULL;
    return __interceptor_realloc != NULL ? __interceptor_realloc(memory, size)
                                         : __libc_realloc(memory, size);
}

EARLY void *aligned_alloc(size_t alignment, size_t size)
{
    if (system_fails())
        return NULL;
    return __interceptor_aligned_alloc != NULL ? __interceptor_aligned_alloc(alignment, size)
                                               : __libc_memalign(alignment, size);
}

EARLY void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (system_fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

#endif

typedef void *pool_get_function(df_pool *, uint32_t, size_t);

static pool_get_function *real_pool_get;

void *df_pool_get(df_pool *pool, uint32_t thread, size_t size)
{
    if (atomic_fetch_add(&pool_calls, 1) + 1 == atomic_load(&pool_fails_at))
        return NULL;
    return real_pool_get(pool, thread, size);
}

/* Group setup, while there is one thread. ISO C has no cast from an object to a function. */
static int find_pool_get(void **state)
{
    void *next = dlsym(RTLD_NEXT, "df_pool_get");

    (void)state;
    memcpy(&real_pool_get, &next, sizeof next);
    return next == NULL;
}

/* ---- a job that uses everything ---- */

static model everything(uint64_t steps, uint32_t rows, uint32_t mortality)
{
    model m = { .axis_count = 2, .size = { 7, 9 }, .periodic = { true, false }, .key_groups = 8,
                .window = 3, .steps = steps };
    model_stream space = model_add_state(&m, true, false), keyed = model_add_state(&m, false, false);
    model_stream at, tally, total;

    m.states[0].first = model_add_op(&m, KIND_MAKE, space, (uint32_t[4]){ rows, KIND_PLACE, 1, 0 });
    m.states[1].first = model_add_op(&m, KIND_MAKE, space, (uint32_t[4]){ 4 * rows, KIND_OWN_KEYS, 1, 0 });
    tally = model_add_op(&m, KIND_TALLY, space, (uint32_t[4]){ 0 });
    total = model_add_op(&m, KIND_SUM, space, (uint32_t[4]){ 0 });
    at = model_add_op(&m, KIND_SEE, space, (uint32_t[4]){ 20 });
    at = model_add_op(&m, KIND_ASK, at, (uint32_t[4]){ 0 });
    m.ops[at.index].in[1] = (model_list){ .count = 1, .streams = { tally } };
    at = model_add_op(&m, KIND_COUNT, at, (uint32_t[4]){ 0 });
    at = model_add_op(&m, KIND_DRIFT, at, (uint32_t[4]){ 16, mortality, mortality, 3 });
    at = model_add_op(&m, KIND_SPLIT, at, (uint32_t[4]){ 0 });
    m.states[0].next = (model_list){ .count = 2, .streams = { at, at } };
    m.states[0].next.streams[1].out = 1;
    at = model_add_op(&m, KIND_HEAR, keyed, (uint32_t[4]){ 0 });
    m.ops[at.index].in[1] = (model_list){ .count = 1, .streams = { total } };
    at = model_add_op(&m, KIND_DRIFT, at, (uint32_t[4]){ 0, mortality, mortality, 4 });
    m.states[1].next = (model_list){ .count = 1, .streams = { at } };
    return m;
}

/* ---- the n-th request fails ---- */

typedef struct outcome {
    df_status status;
    df_error err;
    df_hash hash;
} outcome;

static void run(const df_plan *plan, uint32_t threads, outcome *out)
{
    df_graph_options options = { .threads = threads, .directory = ".", .keep_states = true,
                                 .fingerprint_steps = true };
    df_graph *graph = NULL;
    uint64_t step;

    out->err.text[0] = '\0';
    out->status = df_graph_new(&graph, plan, &options, &out->err);
    if (out->status == DF_OK)
        out->status = df_graph_run(graph, plan->job.steps, &out->err);
    if (out->status == DF_OK && !df_graph_fingerprint(graph, &step, &out->hash))
        out->status = DF_ECORRUPT;
    df_graph_free(&graph);
}

/* Make the 1st, 2nd, ... request fail, each in a run of its own, until a run has fewer; after the first 64
 * only each `stride`-th. */
static void fail_each(_Atomic uint64_t *calls, _Atomic uint64_t *fails_at, uint32_t threads,
                      uint64_t stride)
{
    model m = everything(3, 60, 7);
    df_plan *plan = model_plan(&m, false);
    outcome right, now;
    uint64_t failures = 0;

    run(plan, threads, &right);
    assert_int_equal(right.status, DF_OK);
    for (uint64_t n = 1;; n += n < 64 ? 1 : stride) {
        uint64_t before = atomic_load(calls);

        atomic_store(fails_at, before + n);
        run(plan, threads, &now);
        atomic_store(fails_at, 0);
        if (atomic_load(calls) < before + n)
            break;
        if (now.status == DF_OK)
            continue; /* advice: a larger scratch block that can wait */
        failures++;
        assert_true(now.status == DF_ENOMEM ||
                    (now.status == DF_EIO && strstr(now.err.text, "cannot start thread") != NULL));
        if (now.status == DF_ENOMEM)
            assert_non_null(strstr(now.err.text, "out of memory"));
        run(plan, threads, &now);
        assert_int_equal(now.status, DF_OK);
        assert_int_equal(now.hash.high, right.hash.high);
        assert_int_equal(now.hash.low, right.hash.low);
    }
    assert_true(failures > 10);
    df_plan_free(&plan);
}

static void test_system_memory_ends(void **state)
{
    (void)state;
    if (!SYSTEM_REPLACED)
        skip();
    for (uint32_t threads = 1; threads <= SYSTEM_THREADS; threads += 2)
        fail_each(&system_calls, &system_fails_at, threads, 1);
}

static void test_pool_memory_ends(void **state)
{
    (void)state;
    fail_each(&pool_calls, &pool_fails_at, 1, POOL_STRIDE);
    fail_each(&pool_calls, &pool_fails_at, 3, 4 * POOL_STRIDE + 1);
}

/* The plan, too: a draft goes with it whether it is made or not. */
static void test_plan_memory_ends(void **state)
{
    bool made = false;

    (void)state;
    if (!SYSTEM_REPLACED)
        skip();
    for (uint64_t n = 1; !made; n++) {
        df_draft *draft = job_new("plan", 3);
        kind_options make = { .p = { 100, KIND_PLACE, 1, 3 } }, see = { .p = { 2, 0, 0, 0 } };
        df_report report;
        df_plan *plan;
        df_status status;

        draft->key_groups = 4096;
        job_space(draft, "box", "xyz", 12, false);
        job_state(draft, "rows", "box", "x:f32 y:f32 z:f32 a:i32 g:u32 tag:u32 h:u32", "make", "see");
        job_operator(draft, "make", kind_list[KIND_MAKE], &make, NULL);
        job_operator(draft, "see", kind_list[KIND_SEE], &see, "in=rows");
        job_operator(draft, "tally", kind_list[KIND_TALLY], &see, "in=rows");
        df_report_init(&report, "test.toml");
        atomic_store(&system_fails_at, atomic_load(&system_calls) + n);
        status = df_plan_new(&plan, &draft, &report);
        atomic_store(&system_fails_at, 0);
        assert_null(draft);
        made = status == DF_OK;
        if (made) {
            df_plan_free(&plan);
            continue;
        }
        assert_int_equal(status, DF_ENOMEM);
        assert_null(plan);
        assert_int_equal(report.count, 1);
        assert_string_equal(report.entries[0].text, "out of memory");
    }
}

/* ---- the steady state ---- */

enum { STEADY_STEPS = 120, WARM_STEPS = 40 };

typedef struct meter {
    df_graph *graph;
    uint64_t system_at[STEADY_STEPS + 1], pool_at[STEADY_STEPS + 1];
} meter;

static df_status measure(void *user, const df_step_print *print, df_error *err)
{
    meter *m = user;
    df_graph_stats stats;

    (void)err;
    df_graph_stats_get(m->graph, &stats);
    m->system_at[print->step] = atomic_load(&system_calls);
    m->pool_at[print->step] = stats.allocations;
    return DF_OK;
}

/* Rows move anywhere, are looked up and counted; and they are a keyed state, too, where they come in from
 * every tile and must be sorted. None is born and none dies. */
static model restless(void)
{
    model m = { .axis_count = 2, .size = { 7, 9 }, .periodic = { true, false }, .key_groups = 8,
                .window = 3, .steps = STEADY_STEPS };
    model_stream space = model_add_state(&m, true, true), keyed = model_add_state(&m, false, false);
    model_stream at, tally;

    m.states[0].first = model_add_op(&m, KIND_MAKE, space, (uint32_t[4]){ 3000, KIND_PLACE, 1, 0 });
    m.states[1].first = model_add_op(&m, KIND_MAKE, space, (uint32_t[4]){ 3000, KIND_PLACE, 1, 0 });
    tally = model_add_op(&m, KIND_TALLY, keyed, (uint32_t[4]){ 0 });
    at = model_add_op(&m, KIND_ASK, space, (uint32_t[4]){ 0 });
    m.ops[at.index].in[1] = (model_list){ .count = 1, .streams = { tally } };
    at = model_add_op(&m, KIND_DRIFT, at, (uint32_t[4]){ KIND_TELEPORT, 0, 0, 3 });
    m.states[0].next = m.states[1].next = (model_list){ .count = 1, .streams = { at } };
    return m;
}

static void test_steady_state(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        static meter m;
        model job = restless();
        df_plan *plan = model_plan(&job, false);
        df_graph_options options = { .threads = threads, .directory = ".", .fingerprint_steps = true,
                                     .on_step = measure, .user = &m };
        df_error err;
        uint64_t chunks;

        assert_int_equal(df_graph_new(&m.graph, plan, &options, &err), DF_OK);
        assert_int_equal(df_graph_run(m.graph, STEADY_STEPS, &err), DF_OK);
        chunks = m.pool_at[STEADY_STEPS] - m.pool_at[WARM_STEPS];
        if (threads == 1)
            assert_int_equal(chunks, 0);
        /* How many batches are alive at once depends on who runs when, so on several threads the pool may
         * still find that it was too small: with a list entry and a mapping for each chunk. */
        assert_true(chunks <= 2);
        if (SYSTEM_REPLACED)
            assert_int_equal(m.system_at[STEADY_STEPS] - m.system_at[WARM_STEPS], 2 * chunks);
        df_graph_free(&m.graph);
        df_plan_free(&plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system_memory_ends),
        cmocka_unit_test(test_pool_memory_ends),
        cmocka_unit_test(test_plan_memory_ends),
        cmocka_unit_test(test_steady_state),
    };

    return cmocka_run_group_tests(tests, find_pool_get, NULL);
}
