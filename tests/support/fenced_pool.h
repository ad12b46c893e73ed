/* df_pool again, with memory of its own for each buffer: a sanitizer sees every byte that is read too far beyond one, and
 * every one that is used after it was given back; a byte that is written behind one is found when it is given back. A test
 * that includes this header uses it in place of the engine's, as the program's own symbols go before a library's. */
#ifndef FENCED_POOL_H
#define FENCED_POOL_H

#include "dataflow/df_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define FENCED_BEYOND 64u   /* may be read */
#define FENCED_FILL   0xa5u /* what lies there */

typedef struct fenced_buffer {
    _Alignas(64) _Atomic uint32_t refs;
    df_pool *pool;
    size_t size;
    struct fenced_buffer *next, *previous; /* under the pool's lock */
    _Atomic uint64_t fact;
    _Atomic(void *) note;
} fenced_buffer;

struct df_pool {
    pthread_mutex_t lock;
    fenced_buffer buffers; /* a ring of those in use */
};

/* The number of the request that fails, counted from 0; SIZE_MAX: none does. Of any thread, and of this one. */
static _Atomic size_t fenced_pool_fails = SIZE_MAX;
static _Atomic size_t fenced_pool_requests;
static _Thread_local size_t fenced_pool_own_fails = SIZE_MAX;
static _Thread_local size_t fenced_pool_own_requests;

static inline fenced_buffer *fenced_of(const void *data)
{
    return (fenced_buffer *)(uintptr_t)data - 1;
}

df_status df_pool_new(df_pool **out, uint32_t threads, df_error *err)
{
    df_pool *pool = calloc(1, sizeof *pool);

    (void)threads;
    *out = pool;
    if (pool == NULL)
        return df_fail(err, DF_ENOMEM, "pool: out of memory");
    pthread_mutex_init(&pool->lock, NULL);
    pool->buffers.next = pool->buffers.previous = &pool->buffers;
    return DF_OK;
}

void df_pool_alone(df_pool *pool)
{
    (void)pool;
}

static void fenced_free(fenced_buffer *b)
{
    static const uint8_t fill[] = { FENCED_FILL, FENCED_FILL, FENCED_FILL, FENCED_FILL };
    const uint8_t *beyond = (const uint8_t *)(b + 1) + b->size;

    if (memcmp(beyond, fill, sizeof fill) != 0 || memcmp(beyond, beyond + sizeof fill, FENCED_BEYOND - sizeof fill) != 0)
        abort(); /* written */
    b->next->previous = b->previous;
    b->previous->next = b->next;
    free(b);
}

void df_pool_free(df_pool **pool)
{
    df_pool *p = *pool;

    *pool = NULL;
    if (p == NULL)
        return;
    while (p->buffers.next != &p->buffers)
        fenced_free(p->buffers.next);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void *df_pool_get(df_pool *pool, uint32_t thread, size_t size)
{
    fenced_buffer *b;

    (void)thread;
    if (atomic_fetch_add(&fenced_pool_requests, 1) == fenced_pool_fails ||
        fenced_pool_own_requests++ == fenced_pool_own_fails || size > (size_t)1 << 38)
        return NULL;
    b = aligned_alloc(64, (sizeof *b + size + FENCED_BEYOND + 63) / 64 * 64);
    if (b == NULL)
        return NULL;
    *b = (fenced_buffer){ .refs = 1, .pool = pool, .size = size };
    memset((uint8_t *)(b + 1) + size, FENCED_FILL, FENCED_BEYOND);
    pthread_mutex_lock(&pool->lock);
    b->previous = &pool->buffers;
    b->next = pool->buffers.next;
    b->next->previous = pool->buffers.next = b;
    pthread_mutex_unlock(&pool->lock);
    return b + 1;
}

size_t df_pool_capacity(const void *buffer)
{
    return fenced_of(buffer)->size;
}

void *df_pool_ref(void *buffer)
{
    atomic_fetch_add(&fenced_of(buffer)->refs, 1);
    return buffer;
}

uint32_t df_pool_refs(const void *buffer)
{
    return atomic_load(&fenced_of(buffer)->refs);
}

bool df_pool_drop(void *buffer)
{
    uint32_t refs = atomic_fetch_sub(&fenced_of(buffer)->refs, 1);

    if (refs == 0)
        abort();
    return refs == 1;
}

void df_pool_recycle(uint32_t thread, void *buffer)
{
    fenced_buffer *b = fenced_of(buffer);
    df_pool *pool = b->pool;

    df_pool_unref(thread, atomic_load(&b->note));
    pthread_mutex_lock(&pool->lock);
    fenced_free(b);
    pthread_mutex_unlock(&pool->lock);
}

void df_pool_unref(uint32_t thread, void *buffer)
{
    if (buffer != NULL && df_pool_drop(buffer))
        df_pool_recycle(thread, buffer);
}

void df_pool_spare(const void *buffer, uint32_t count)
{
    (void)buffer;
    (void)count;
}

uint64_t df_pool_fact(const void *buffer)
{
    return atomic_load(&fenced_of(buffer)->fact);
}

void df_pool_set_fact(void *buffer, uint64_t fact)
{
    atomic_store(&fenced_of(buffer)->fact, fact);
}

void *df_pool_note(const void *buffer)
{
    return atomic_load(&fenced_of(buffer)->note);
}

void df_pool_set_note(uint32_t thread, void *buffer, void **note)
{
    void *none = NULL, *given = *note;

    *note = NULL;
    if (!atomic_compare_exchange_strong(&fenced_of(buffer)->note, &none, given))
        df_pool_unref(thread, given);
}

/* None is remembered: it is computed again. */
bool df_pool_digest(const void *buffer, size_t size, uint64_t digest[2])
{
    (void)buffer;
    (void)size;
    (void)digest;
    return false;
}

void df_pool_set_digest(void *buffer, size_t size, const uint64_t digest[2])
{
    (void)buffer;
    (void)size;
    (void)digest;
}

bool df_pool_idle(const df_pool *pool)
{
    return pool->buffers.next == &pool->buffers;
}

uint64_t df_pool_allocations(const df_pool *pool)
{
    (void)pool;
    return 0;
}

uint64_t df_pool_bytes(const df_pool *pool)
{
    (void)pool;
    return 0;
}

#endif
