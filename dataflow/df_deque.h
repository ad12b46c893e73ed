/* A work-stealing deque of 64-bit items: its owner pushes and pops at one end, any thread steals
 * from the other. No locks. After D. Chase and Y. Lev, "Dynamic circular work-stealing deque"
 * (SPAA 2005), with the memory orders of Le, Pop, Cohen and Zappa Nardelli (PPoPP 2013), but of a
 * fixed capacity: the number of tasks that can be ready at once is known from the plan. */
#ifndef DF_DEQUE_H
#define DF_DEQUE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct df_deque {
    _Alignas(128) _Atomic int64_t top; /* thieves */
    _Alignas(128) _Atomic int64_t bottom; /* the owner */
    _Atomic uint64_t *items;           /* [mask + 1] */
    int64_t mask;
} df_deque;

/* Only the owner. There is room: the capacity is a bound, not a limit to run into. */
static inline void df_deque_push(df_deque *d, uint64_t item)
{
    int64_t b = atomic_load_explicit(&d->bottom, memory_order_relaxed);

    assert(b - atomic_load_explicit(&d->top, memory_order_relaxed) <= d->mask);
    atomic_store_explicit(&d->items[b & d->mask], item, memory_order_relaxed);
    atomic_store_explicit(&d->bottom, b + 1, memory_order_release);
}

/* Only the owner: the newest item. */
static inline bool df_deque_pop(df_deque *d, uint64_t *item)
{
    int64_t b = atomic_load_explicit(&d->bottom, memory_order_relaxed) - 1;
    int64_t t;
    bool got = true;

    atomic_store_explicit(&d->bottom, b, memory_order_seq_cst);
    t = atomic_load_explicit(&d->top, memory_order_seq_cst);
    if (t > b) {
        atomic_store_explicit(&d->bottom, b + 1, memory_order_relaxed);
        return false;
    }
    *item = atomic_load_explicit(&d->items[b & d->mask], memory_order_relaxed);
    if (t == b) { /* the last one: a thief may be at it */
        got = atomic_compare_exchange_strong_explicit(&d->top, &t, t + 1, memory_order_seq_cst,
                                                      memory_order_relaxed);
        atomic_store_explicit(&d->bottom, b + 1, memory_order_relaxed);
    }
    return got;
}

/* Any thread: the oldest item. False: empty, or another thread was faster. */
static inline bool df_deque_steal(df_deque *d, uint64_t *item)
{
    int64_t t = atomic_load_explicit(&d->top, memory_order_seq_cst);
    int64_t b = atomic_load_explicit(&d->bottom, memory_order_seq_cst);

    if (t >= b)
        return false;
    *item = atomic_load_explicit(&d->items[t & d->mask], memory_order_relaxed);
    return atomic_compare_exchange_strong_explicit(&d->top, &t, t + 1, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

/* Any thread: a hint. */
static inline int64_t df_deque_count(const df_deque *d)
{
    return atomic_load_explicit(&d->bottom, memory_order_seq_cst) -
           atomic_load_explicit(&d->top, memory_order_seq_cst);
}

#endif
