/* The pool: alignment, capacity, reuse, counting; and many threads that pass buffers to each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dataflow/df_batch.h"

static df_pool *new_pool(uint32_t threads)
{
    df_pool *pool;
    df_error err;

    assert_int_equal(df_pool_new(&pool, threads, &err), DF_OK);
    return pool;
}

static void test_alignment_and_room(void **state)
{
    df_pool *pool = new_pool(1);

    (void)state;
    for (size_t size = 0; size < 70000; size += 1 + size / 7) {
        unsigned char *data = df_pool_get(pool, 0, size);

        assert_non_null(data);
        assert_int_equal((uintptr_t)data % 64, 0);
        assert_true(df_pool_capacity(data) >= size);
        assert_true(df_pool_capacity(data) <= size + size / 4 + 512); /* not much is wasted */
        memset(data, 0xab, df_pool_capacity(data) + 64); /* 64 bytes more may be touched */
        df_pool_unref(0, data);
    }
    df_pool_free(&pool);
    assert_null(pool);
    df_pool_free(&pool);
}

static void test_absurd_sizes(void **state)
{
    df_pool *pool = new_pool(1);

    (void)state;
    assert_null(df_pool_get(pool, 0, SIZE_MAX));
    assert_null(df_pool_get(pool, 0, SIZE_MAX / 2 + 1));
    assert_null(df_pool_get(pool, 0, (size_t)1 << 60));
    df_pool_free(&pool);
}

/* Live buffers do not overlap, and what was dropped is used again: the system is asked once. */
static void test_reuse(void **state)
{
    enum { BUFFERS = 200 };
    df_pool *pool = new_pool(1);
    uint64_t allocations = 0;

    (void)state;
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t *data[BUFFERS];
        for (uint32_t i = 0; i < BUFFERS; i++) {
            data[i] = df_pool_get(pool, 0, 100 + 37 * (i % 50));
            assert_non_null(data[i]);
            for (uint32_t k = 0; k < 25; k++)
                data[i][k] = i;
        }
        for (uint32_t i = 0; i < BUFFERS; i++) {
            for (uint32_t k = 0; k < 25; k++)
                assert_int_equal(data[i][k], i);
            df_pool_unref(0, data[i]);
        }
        if (round == 0)
            allocations = df_pool_allocations(pool);
    }
    assert_int_equal(df_pool_allocations(pool), allocations);
    assert_true(df_pool_bytes(pool) >= allocations * 4096);
    df_pool_free(&pool);
}

/* Of two buffers that become free one is spare: its pages are new when it is had again, the other's are not. */
static void test_spare(void **state)
{
    enum { SIZE = 1 << 20, SMALL = 1000 };
    df_pool *pool = new_pool(1);
    unsigned char *a = df_pool_get(pool, 0, SIZE), *b = df_pool_get(pool, 0, SIZE);
    unsigned char *small = df_pool_get(pool, 0, SMALL);
    uint64_t allocations = df_pool_allocations(pool);

    (void)state;
    memset(a, 1, SIZE);
    memset(b, 2, SIZE);
    memset(small, 3, SMALL);
    df_pool_spare(NULL, 1);
    df_pool_spare(a, 1);
    df_pool_spare(small, 1); /* hardly a page */
    df_pool_unref(0, a);
    df_pool_unref(0, b);
    df_pool_unref(0, small);
    assert_true(df_pool_idle(pool));
    assert_ptr_equal(df_pool_get(pool, 0, SIZE), b);
    assert_int_equal(b[SIZE / 2], 2);
    assert_ptr_equal(df_pool_get(pool, 0, SIZE), a);
    assert_int_equal(a[SIZE / 2], 0);
    assert_ptr_equal(df_pool_get(pool, 0, SMALL), small);
    assert_int_equal(small[SMALL / 2], 3);
    df_pool_unref(0, a);
    assert_ptr_equal(df_pool_get(pool, 0, SIZE), a);
    assert_int_equal(df_pool_allocations(pool), allocations);
    df_pool_free(&pool);
}

static void check_references(bool alone)
{
    df_pool *pool = new_pool(2);
    char *data, *other;

    if (alone)
        df_pool_alone(pool);
    data = df_pool_get(pool, 0, 1000);
    assert_int_equal(df_pool_refs(data), 1);
    assert_ptr_equal(df_pool_ref(data), data);
    assert_int_equal(df_pool_refs(data), 2);
    df_pool_unref(1, data);
    assert_int_equal(df_pool_refs(data), 1);
    other = df_pool_get(pool, 1, 1000);
    assert_ptr_not_equal(other, data);
    assert_true(df_pool_drop(data));
    df_pool_recycle(1, data);
    assert_ptr_equal(df_pool_get(pool, 1, 1000), data); /* from the cache of who dropped it last */
    df_pool_unref(0, NULL);
    df_pool_free(&pool);
}

static void test_references(void **state)
{
    (void)state;
    check_references(false);
    check_references(true);
}

/* What is known of a buffer goes with it, and so does what is known of that; the next user finds nothing. */
static void test_facts_and_notes(void **state)
{
    df_pool *pool = new_pool(2);
    void *data = df_pool_get(pool, 0, 1000), *note = df_pool_get(pool, 1, 2000);
    void *late = df_pool_get(pool, 1, 2000), *inner = df_pool_get(pool, 1, 4000);
    void *first = note, *second = late, *gift = inner;

    (void)state;
    assert_true(df_pool_fact(data) == 0);
    assert_null(df_pool_note(data));
    df_pool_set_fact(data, UINT64_MAX);
    assert_true(df_pool_fact(data) == UINT64_MAX);
    df_pool_set_note(1, data, &first);
    assert_null(first);
    df_pool_set_note(1, data, &second); /* too late: the pool has it back */
    assert_null(second);
    assert_ptr_equal(df_pool_note(data), note);
    assert_ptr_equal(df_pool_get(pool, 1, 2000), late);
    df_pool_set_note(1, note, &gift);
    df_pool_unref(1, late);
    assert_false(df_pool_idle(pool));
    df_pool_unref(0, data);
    assert_true(df_pool_idle(pool)); /* with both notes */
    assert_ptr_equal(df_pool_get(pool, 0, 1000), data);
    assert_true(df_pool_fact(data) == 0);
    assert_null(df_pool_note(data));
    df_pool_free(&pool);
}

/* A digest is of so many bytes; the first that is told stays until the buffer has another user. */
static void test_digest(void **state)
{
    df_pool *pool = new_pool(1);
    void *data = df_pool_get(pool, 0, 1000);
    const uint64_t first[2] = { 0, UINT64_MAX }, second[2] = { 7, 8 };
    uint64_t digest[2];

    (void)state;
    assert_false(df_pool_digest(data, 0, digest));
    assert_false(df_pool_digest(data, 800, digest));
    df_pool_set_digest(data, 800, first);
    df_pool_set_digest(data, 400, second);
    assert_false(df_pool_digest(data, 400, digest));
    assert_true(df_pool_digest(data, 800, digest));
    assert_true(digest[0] == 0 && digest[1] == UINT64_MAX);
    df_pool_unref(0, data);
    assert_ptr_equal(df_pool_get(pool, 0, 1000), data);
    assert_false(df_pool_digest(data, 800, digest));
    df_pool_set_digest(data, 0, second); /* of no bytes is one, too */
    assert_true(df_pool_digest(data, 0, digest));
    assert_true(digest[0] == 7 && digest[1] == 8);
    df_pool_free(&pool);
}

/* ---- batches ---- */

static void test_batches_share(void **state)
{
    const weir_schema schema = { 3, { { "a", WEIR_U8 }, { "b", WEIR_F64 }, { "c", WEIR_I32 } } };
    df_pool *pool = new_pool(1);
    df_memory memory = { pool, 0 };
    df_batch *one = df_batch_new(memory, &schema, 7, 3), *two = df_batch_new(memory, &schema, 8, 3);

    (void)state;
    assert_true(df_batch_alloc(memory, one, 10));
    assert_int_equal(one->view.row_count, 10);
    assert_int_equal(one->view.step, 7);
    two->view.row_count = 10;
    df_batch_share(two, DF_KEYS, &one->view, 0);
    df_batch_share(two, 1, &one->view, 1);
    assert_true(df_batch_alloc_column(memory, two, 0));
    assert_ptr_equal(two->view.columns[1], one->view.columns[1]);
    assert_int_equal(df_pool_refs(one->view.columns[1]), 2);
    assert_int_equal(df_pool_refs(one->view.columns[0]), 1);
    ((double *)one->view.columns[1])[9] = 5;
    df_batch_unref(memory, df_batch_ref(one)); /* not the last */
    df_batch_unref(memory, one);
    assert_int_equal(df_pool_refs(two->view.columns[1]), 1);
    assert_true(((double *)two->view.columns[1])[9] == 5);
    df_batch_unref(memory, two); /* one of its columns was never made */
    df_batch_unref(memory, NULL);
    assert_true(df_pool_idle(pool));
    df_pool_free(&pool);
}

/* One batch stands for another's columns, in another order; they end with the last of both. */
static void test_batches_borrow(void **state)
{
    const weir_schema from = { 2, { { "a", WEIR_U8 }, { "b", WEIR_F64 } } };
    const weir_schema to = { 2, { { "b", WEIR_F64 }, { "a", WEIR_U8 } } };
    df_pool *pool = new_pool(1);
    df_memory memory = { pool, 0 };
    df_batch *one = df_batch_new(memory, &from, 7, 3), *two = df_batch_new(memory, &to, 8, 3), *three;

    (void)state;
    assert_true(df_batch_alloc(memory, one, 10));
    one->settled[1] = df_pool_get(pool, 0, 40);
    df_batch_borrow(two, one, (const uint32_t[2]){ 1, 0 });
    assert_int_equal(two->view.row_count, 10);
    assert_int_equal(two->view.step, 8);
    assert_ptr_equal(two->view.keys, one->view.keys);
    assert_ptr_equal(two->view.columns[0], one->view.columns[1]);
    assert_ptr_equal(two->view.columns[1], one->view.columns[0]);
    assert_ptr_equal(two->settled[1], one->settled[1]);
    assert_int_equal(df_pool_refs(one->view.keys), 1);
    df_batch_unref(memory, one);
    three = df_batch_new(memory, &to, 9, 3);
    df_batch_borrow(three, two, (const uint32_t[2]){ 0, 1 }); /* of one that borrows */
    assert_ptr_equal(three->lender, two->lender);
    df_batch_unref(memory, two);
    assert_int_equal(df_pool_refs(three->view.columns[0]), 1);
    ((double *)three->view.columns[0])[9] = 5;
    df_batch_unref(memory, three);
    assert_true(df_pool_idle(pool));
    df_pool_free(&pool);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 4000, SLOTS = 64 };

/* Buffers in flight: any thread puts one in and drops the one that was there. */
typedef struct exchange {
    df_pool *pool;
    _Atomic(uint64_t *) slots[SLOTS];
    _Atomic uint32_t errors;
} exchange;

typedef struct worker {
    exchange *all;
    uint32_t thread;
    pthread_t handle;
} worker;

static void check_and_drop(exchange *all, uint32_t thread, uint64_t *data)
{
    if (data == NULL)
        return;
    for (uint64_t k = 1; k < data[0]; k++)
        if (data[k] != data[0] * 31 + k)
            atomic_fetch_add(&all->errors, 1);
    df_pool_unref(thread, data);
}

static void *worker_main(void *argument)
{
    worker *w = argument;
    uint64_t random = w->thread + 1;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint64_t words, *data;

        random = random * 6364136223846793005u + 1442695040888963407u;
        words = 2 + (random >> 40) % 300;
        data = df_pool_get(w->all->pool, w->thread, words * sizeof *data);
        data[0] = words;
        for (uint64_t k = 1; k < words; k++)
            data[k] = words * 31 + k;
        if (i % 3 == 0) { /* two holders in two slots */
            df_pool_ref(data);
            check_and_drop(w->all, w->thread,
                           atomic_exchange(&w->all->slots[(random >> 20) % SLOTS], data));
        }
        check_and_drop(w->all, w->thread, atomic_exchange(&w->all->slots[(random >> 34) % SLOTS], data));
    }
    return NULL;
}

/* Of no rows there is one buffer, whatever the columns; each holds a reference of its own. */
static void test_batches_without_rows(void **state)
{
    const weir_schema schema = { .column_count = 3, .columns = { { .name = "a", .type = WEIR_F32 },
                                                                 { .name = "b", .type = WEIR_U8 },
                                                                 { .name = "c", .type = WEIR_F64 } } };
    df_pool *pool = new_pool(1);
    df_memory memory = { .pool = pool, .thread = 0 };
    df_batch *batch = df_batch_new(memory, &schema, 0, 0), *other;

    (void)state;
    assert_non_null(batch);
    assert_true(df_batch_alloc(memory, batch, 0));
    assert_int_equal(df_pool_refs(batch->view.keys), 4);
    other = df_batch_new(memory, &schema, 0, 0);
    assert_non_null(other);
    df_batch_share(other, DF_KEYS, &batch->view, 0);
    df_batch_share(other, 0, &batch->view, 0);
    assert_true(df_batch_alloc_column(memory, other, 1));
    df_batch_unref(memory, batch);
    assert_int_equal(df_pool_refs(other->view.keys), 3);
    df_batch_unref(memory, other);
    assert_true(df_pool_idle(pool));
    df_pool_free(&pool);
}

static void test_threads_pass_buffers(void **state)
{
    static exchange all;
    worker workers[THREADS];

    (void)state;
    all.pool = new_pool(THREADS);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){ .all = &all, .thread = i };
        assert_int_equal(pthread_create(&workers[i].handle, NULL, worker_main, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(workers[i].handle, NULL);
    for (uint32_t i = 0; i < SLOTS; i++)
        check_and_drop(&all, 0, atomic_load(&all.slots[i]));
    assert_int_equal(atomic_load(&all.errors), 0);
    assert_true(df_pool_idle(all.pool));
    df_pool_free(&all.pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment_and_room), cmocka_unit_test(test_absurd_sizes),
        cmocka_unit_test(test_reuse),              cmocka_unit_test(test_references),
        cmocka_unit_test(test_facts_and_notes),    cmocka_unit_test(test_digest),
        cmocka_unit_test(test_spare),              cmocka_unit_test(test_batches_share),
        cmocka_unit_test(test_batches_borrow),     cmocka_unit_test(test_batches_without_rows),
        cmocka_unit_test(test_threads_pass_buffers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
