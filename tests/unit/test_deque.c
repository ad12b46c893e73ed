/* The work-stealing deque: its ends, its bound, and that under many thieves every item is taken once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "dataflow/df_deque.h"

enum { CAPACITY = 64, THIEVES = 3, ITEMS = 60000 };

static _Atomic uint64_t items[CAPACITY];

static void init(df_deque *d)
{
    memset(d, 0, sizeof *d);
    d->items = items;
    d->mask = CAPACITY - 1;
}

static void test_ends(void **state)
{
    df_deque d;
    uint64_t item;

    (void)state;
    init(&d);
    assert_false(df_deque_pop(&d, &item));
    assert_false(df_deque_steal(&d, &item));
    for (uint64_t i = 1; i <= 5; i++)
        df_deque_push(&d, i);
    assert_int_equal(df_deque_count(&d), 5);
    assert_true(df_deque_pop(&d, &item));
    assert_int_equal(item, 5); /* the newest */
    assert_true(df_deque_steal(&d, &item));
    assert_int_equal(item, 1); /* the oldest */
    assert_true(df_deque_steal(&d, &item));
    assert_true(df_deque_pop(&d, &item));
    assert_int_equal(item, 4);
    assert_true(df_deque_pop(&d, &item));
    assert_int_equal(item, 3); /* the last one */
    assert_false(df_deque_pop(&d, &item));
    assert_false(df_deque_steal(&d, &item));
    assert_int_equal(df_deque_count(&d), 0);
}

/* Indices run past the capacity many times; a full deque holds as many as it may. */
static void test_wraps(void **state)
{
    df_deque d;
    uint64_t next = 0, item;

    (void)state;
    init(&d);
    for (uint32_t round = 0; round < 1000; round++) {
        for (uint64_t i = 0; i < CAPACITY; i++)
            df_deque_push(&d, next + i);
        for (uint64_t i = 0; i < CAPACITY; i++) {
            assert_true(df_deque_steal(&d, &item));
            assert_int_equal(item, next + i);
        }
        next += CAPACITY;
    }
}

/* ---- thieves ---- */

typedef struct theft {
    df_deque deque;
    _Atomic bool closed;
    _Atomic uint32_t taken[ITEMS];
    _Atomic uint64_t count;
} theft;

static theft *all;

static void take(uint64_t item)
{
    atomic_fetch_add_explicit(&all->taken[item], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&all->count, 1, memory_order_relaxed);
}

static void *thief_main(void *argument)
{
    uint64_t item;

    (void)argument;
    while (!atomic_load(&all->closed) || df_deque_count(&all->deque) > 0)
        if (df_deque_steal(&all->deque, &item))
            take(item);
        else
            sched_yield();
    return NULL;
}

static void test_every_item_once(void **state)
{
    pthread_t thieves[THIEVES];
    uint64_t pushed = 0, item, random = 1;

    (void)state;
    all = aligned_alloc(128, (sizeof *all + 127) / 128 * 128);
    assert_non_null(all);
    memset(all, 0, sizeof *all);
    init(&all->deque);
    for (uint32_t i = 0; i < THIEVES; i++)
        assert_int_equal(pthread_create(&thieves[i], NULL, thief_main, NULL), 0);
    while (pushed < ITEMS) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        for (uint64_t n = (random >> 40) % 8; n > 0 && pushed < ITEMS; n--)
            if (df_deque_count(&all->deque) < CAPACITY)
                df_deque_push(&all->deque, pushed++);
        for (uint64_t n = (random >> 50) % 8; n > 0; n--) /* mostly down to the last: the race */
            if (df_deque_pop(&all->deque, &item))
                take(item);
    }
    while (df_deque_pop(&all->deque, &item))
        take(item);
    atomic_store(&all->closed, true);
    for (uint32_t i = 0; i < THIEVES; i++)
        pthread_join(thieves[i], NULL);
    assert_int_equal(atomic_load(&all->count), ITEMS);
    for (uint32_t i = 0; i < ITEMS; i++)
        assert_int_equal(atomic_load(&all->taken[i]), 1);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_wraps),
        cmocka_unit_test(test_every_item_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
