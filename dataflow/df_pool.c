#include "dataflow/df_pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define POOL_ALIGN       64u
#define POOL_SIZE_MIN    256u                /* of the smallest class, header included */
#define POOL_STEPS       8u                  /* classes per doubling */
#define POOL_STEP_SHIFT  5u                  /* of the smallest doubling: a step is 2^5 bytes */
#define POOL_CLASSES     (POOL_STEPS * 32)   /* up to 2^40 bytes */
#define POOL_CACHE_BYTES (256u << 10)        /* free bytes of a class that a thread keeps ... */
#define POOL_CACHE_MIN   4u                  /* ... but at least so many buffers */
#define POOL_CHUNK_MIN   (2u << 20)
#define POOL_CHUNK_MAX   (64u << 20)
#define POOL_TOUCH       (2u << 20)          /* of a chunk at a time: nobody waits long for it */
#define POOL_SIZE_MAX    ((size_t)1 << 38)   /* a larger request is out of memory */
#define POOL_PAGE        4096u
#define POOL_SPARE_MIN   (2 * POOL_PAGE)     /* a smaller buffer has hardly a page for itself */
#define POOL_LARGER_MAX  3u                  /* classes above its own that a request may use */

typedef struct pool_buffer {
    _Atomic uint32_t refs;
    uint32_t class_index;
    struct pool_buffer *next; /* while free */
    df_pool *pool;
    _Atomic uint64_t fact;
    _Atomic(void *) note;
    _Atomic uint64_t digest_of; /* so many bytes and one; 0: none is kept; or DIGEST_BUSY */
    _Atomic uint64_t digest[2];
} pool_buffer;

#define DIGEST_BUSY UINT64_MAX /* somebody is writing it */

_Static_assert(sizeof(pool_buffer) == POOL_ALIGN, "data follow the header at the alignment");

_Static_assert(POOL_SIZE_MIN == POOL_STEPS << POOL_STEP_SHIFT, "a doubling has POOL_STEPS steps");

typedef struct pool_list {
    pool_buffer *first;
    uint32_t count;
} pool_list;

typedef struct pool_shared {
    pthread_mutex_t lock;
    pool_list list;
    _Atomic uint32_t count; /* of the list; a hint read without the lock */
    pool_list cold;         /* whose pages were given back */
    _Atomic uint32_t spare; /* of those that become free, so many are to be given back */
} pool_shared;

typedef struct pool_cache { /* one thread's */
    _Alignas(128) pool_list lists[POOL_CLASSES];
} pool_cache;

typedef struct pool_chunk {
    struct pool_chunk *next;
    void *memory;
    size_t size;
} pool_chunk;

struct df_pool {
    uint32_t thread_count;
    bool alone;
    pool_cache *caches;
    pool_shared shared[POOL_CLASSES];
    pthread_mutex_t chunk_lock;
    pool_chunk *chunks;
    char *free_begin, *free_end; /* what is left of the newest chunk */
    char *touched;               /* of it, pages below have memory */
    size_t chunk_size;
    uint64_t carved; /* buffers that exist */
    _Atomic uint64_t allocations, bytes;
};

static size_t class_size(uint32_t index)
{
    uint32_t shift = index / POOL_STEPS, step = index % POOL_STEPS;
    size_t size = ((size_t)POOL_SIZE_MIN << shift) / POOL_STEPS * (POOL_STEPS + step);

    return (size + POOL_ALIGN - 1) & ~(size_t)(POOL_ALIGN - 1);
}

/* A class that holds `size` bytes: the smallest, but for the rounding to the alignment. */
static uint32_t class_of(size_t size)
{
    uint32_t shift, step_shift;
    size_t base;

    if (size <= POOL_SIZE_MIN)
        return 0;
    shift = (uint32_t)(63 - __builtin_clzll(size / POOL_SIZE_MIN));
    step_shift = shift + POOL_STEP_SHIFT;
    base = (size_t)POOL_SIZE_MIN << shift;
    return shift * POOL_STEPS + (uint32_t)((size - base + ((size_t)1 << step_shift) - 1) >> step_shift);
}

df_status df_pool_new(df_pool **out, uint32_t threads, df_error *err)
{
    df_pool *pool = calloc(1, sizeof *pool);

    *out = NULL;
    if (pool == NULL)
        return df_fail(err, DF_ENOMEM, "pool: out of memory");
    pool->caches = aligned_alloc(128, threads * sizeof *pool->caches);
    if (pool->caches == NULL) {
        free(pool);
        return df_fail(err, DF_ENOMEM, "pool: out of memory");
    }
    memset(pool->caches, 0, threads * sizeof *pool->caches);
    pool->thread_count = threads;
    pool->chunk_size = POOL_CHUNK_MIN;
    pthread_mutex_init(&pool->chunk_lock, NULL);
    for (uint32_t i = 0; i < POOL_CLASSES; i++)
        pthread_mutex_init(&pool->shared[i].lock, NULL);
    *out = pool;
    return DF_OK;
}

void df_pool_free(df_pool **pool)
{
    df_pool *p = *pool;

    if (p == NULL)
        return;
    while (p->chunks != NULL) {
        pool_chunk *chunk = p->chunks;
        p->chunks = chunk->next;
        munmap(chunk->memory, chunk->size);
        free(chunk);
    }
    for (uint32_t i = 0; i < POOL_CLASSES; i++)
        pthread_mutex_destroy(&p->shared[i].lock);
    pthread_mutex_destroy(&p->chunk_lock);
    free(p->caches);
    free(p);
    *pool = NULL;
}

static pool_buffer *list_pop(pool_list *list)
{
    pool_buffer *buffer = list->first;

    if (buffer != NULL) {
        list->first = buffer->next;
        list->count--;
    }
    return buffer;
}

static void list_push(pool_list *list, pool_buffer *buffer)
{
    buffer->next = list->first;
    list->first = buffer;
    list->count++;
}

static uint32_t cache_limit(uint32_t index)
{
    size_t count = POOL_CACHE_BYTES / class_size(index);

    return count < POOL_CACHE_MIN ? POOL_CACHE_MIN : (uint32_t)count;
}

/* Move up to half a cache's worth from the shared list. */
static pool_buffer *refill(df_pool *pool, pool_list *cache, uint32_t index)
{
    pool_shared *shared = &pool->shared[index];
    uint32_t want = cache_limit(index) / 2;
    pool_buffer *buffer;

    if (atomic_load_explicit(&shared->count, memory_order_relaxed) == 0)
        return NULL;
    pthread_mutex_lock(&shared->lock);
    while (cache->count < want && (buffer = list_pop(&shared->list)) != NULL)
        list_push(cache, buffer);
    atomic_store_explicit(&shared->count, shared->list.count, memory_order_relaxed);
    pthread_mutex_unlock(&shared->lock);
    return list_pop(cache);
}

static void spill(df_pool *pool, pool_list *cache, uint32_t index)
{
    pool_shared *shared = &pool->shared[index];
    uint32_t keep = cache_limit(index) / 2;

    pthread_mutex_lock(&shared->lock);
    while (cache->count > keep)
        list_push(&shared->list, list_pop(cache));
    atomic_store_explicit(&shared->count, shared->list.count, memory_order_relaxed);
    pthread_mutex_unlock(&shared->lock);
}

/* Have the kernel give memory to pages at once, which takes a fraction of what it takes fault by fault. Advice: an
 * old kernel is only slower. */
static void populate(void *pages, size_t size)
{
#ifdef MADV_POPULATE_WRITE
    (void)madvise(pages, size, MADV_POPULATE_WRITE);
#else
    (void)pages;
    (void)size;
#endif
}

/* ---- giving back ---- */

/* The pages that lie in a buffer whole, behind its header. */
static char *pages_of(pool_buffer *buffer, size_t *size)
{
    uintptr_t begin = (uintptr_t)(buffer + 1), end = (uintptr_t)buffer + class_size(buffer->class_index);

    begin = (begin + POOL_PAGE - 1) / POOL_PAGE * POOL_PAGE;
    *size = end / POOL_PAGE * POOL_PAGE - begin;
    return (char *)begin;
}

/* Whether a buffer of the class is one too many; then it is counted as given back. */
static bool take_spare(pool_shared *shared)
{
    uint32_t spare = atomic_load_explicit(&shared->spare, memory_order_relaxed);

    while (spare > 0 && !atomic_compare_exchange_weak_explicit(&shared->spare, &spare, spare - 1,
                                                               memory_order_relaxed, memory_order_relaxed))
        ;
    return spare > 0;
}

static void give_back(pool_shared *shared, pool_buffer *buffer)
{
    size_t size;
    char *pages = pages_of(buffer, &size);

    (void)madvise(pages, size, MADV_DONTNEED); /* if not, it is only cold in name */
    pthread_mutex_lock(&shared->lock);
    list_push(&shared->cold, buffer);
    pthread_mutex_unlock(&shared->lock);
}

/* A cold one, with memory again, as much as is needed for the smallest class that holds what is wanted. */
static pool_buffer *warm(pool_shared *shared, size_t wanted)
{
    pool_buffer *buffer;
    size_t size;
    char *pages;

    pthread_mutex_lock(&shared->lock);
    buffer = list_pop(&shared->cold);
    pthread_mutex_unlock(&shared->lock);
    if (buffer == NULL)
        return NULL;
    pages = pages_of(buffer, &size);
    populate(pages, size < wanted ? size : wanted / POOL_PAGE * POOL_PAGE);
    return buffer;
}

void df_pool_spare(const void *data, uint32_t count)
{
    const pool_buffer *buffer = (const pool_buffer *)data - 1;

    if (data != NULL && class_size(buffer->class_index) >= POOL_SPARE_MIN)
        atomic_fetch_add_explicit(&buffer->pool->shared[buffer->class_index].spare, count,
                                  memory_order_relaxed);
}

/* Map a chunk of at least `size` bytes. Called with chunk_lock held. */
static bool map_chunk(df_pool *pool, size_t size)
{
    size_t bytes = pool->chunk_size;
    pool_chunk *chunk = malloc(sizeof *chunk);
    void *memory;

    while (bytes < size)
        bytes *= 2;
    if (chunk == NULL)
        return false;
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        free(chunk);
        return false;
    }
    /* Advice: without huge pages the pool is only slower. */
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    *chunk = (pool_chunk){ .next = pool->chunks, .memory = memory, .size = bytes };
    pool->chunks = chunk;
    pool->free_begin = pool->touched = memory;
    pool->free_end = (char *)memory + bytes;
    if (pool->chunk_size < POOL_CHUNK_MAX)
        pool->chunk_size *= 2;
    atomic_fetch_add_explicit(&pool->allocations, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->bytes, bytes, memory_order_relaxed);
    return true;
}

/* Have the pages up to `end` there. Little more than is carved: what a task, or a step that takes over a key group,
 * has to wait for is in proportion to what it asks. Called with chunk_lock held. */
static void touch(df_pool *pool, const char *end)
{
    size_t size;

    if (end <= pool->touched)
        return;
    size = ((size_t)(end - pool->touched) + POOL_TOUCH - 1) / POOL_TOUCH * POOL_TOUCH;
    if (size > (size_t)(pool->free_end - pool->touched))
        size = (size_t)(pool->free_end - pool->touched);
    populate(pool->touched, size);
    pool->touched += size;
}

static pool_buffer *carve(df_pool *pool, uint32_t index)
{
    size_t size = class_size(index);
    pool_buffer *buffer = NULL;

    pthread_mutex_lock(&pool->chunk_lock);
    if ((size_t)(pool->free_end - pool->free_begin) >= size || map_chunk(pool, size)) {
        buffer = (pool_buffer *)(void *)pool->free_begin;
        pool->free_begin += size;
        touch(pool, pool->free_begin);
        buffer->class_index = index;
        buffer->pool = pool;
        atomic_init(&buffer->fact, 0);
        atomic_init(&buffer->note, NULL);
        atomic_init(&buffer->digest_of, 0);
        pool->carved++;
    }
    pthread_mutex_unlock(&pool->chunk_lock);
    return buffer;
}

void *df_pool_get(df_pool *pool, uint32_t thread, size_t size)
{
    pool_list *lists = pool->caches[thread].lists;
    pool_buffer *buffer = NULL;
    uint32_t index;

    assert(thread < pool->thread_count);
    if (size > POOL_SIZE_MAX)
        return NULL;
    index = class_of(size + sizeof(pool_buffer) + POOL_ALIGN);
    for (uint32_t i = index; buffer == NULL && i <= index + POOL_LARGER_MAX; i++) {
        buffer = list_pop(&lists[i]);
        if (buffer == NULL)
            buffer = refill(pool, &lists[i], i);
    }
    for (uint32_t i = index; buffer == NULL && i <= index + POOL_LARGER_MAX; i++)
        buffer = warm(&pool->shared[i], class_size(index));
    if (buffer == NULL)
        buffer = carve(pool, index);
    if (buffer == NULL)
        return NULL;
    atomic_store_explicit(&buffer->refs, 1, memory_order_relaxed);
    return buffer + 1;
}

static pool_buffer *buffer_of(const void *data)
{
    return (pool_buffer *)(uintptr_t)data - 1;
}

size_t df_pool_capacity(const void *buffer)
{
    return class_size(buffer_of(buffer)->class_index) - sizeof(pool_buffer) - POOL_ALIGN;
}

void df_pool_alone(df_pool *pool)
{
    pool->alone = true;
}

void *df_pool_ref(void *data)
{
    pool_buffer *buffer = buffer_of(data);

    if (buffer->pool->alone)
        atomic_store_explicit(&buffer->refs, atomic_load_explicit(&buffer->refs, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    else
        atomic_fetch_add_explicit(&buffer->refs, 1, memory_order_relaxed);
    return data;
}

uint32_t df_pool_refs(const void *buffer)
{
    return atomic_load_explicit(&buffer_of(buffer)->refs, memory_order_acquire);
}

bool df_pool_drop(void *data)
{
    pool_buffer *buffer = buffer_of(data);
    uint32_t refs = df_pool_refs(data);

    assert(refs > 0);
    if (refs == 1) /* the only holder need not pay for an atomic subtraction */
        return true;
    if (!buffer->pool->alone)
        return atomic_fetch_sub_explicit(&buffer->refs, 1, memory_order_acq_rel) == 1;
    atomic_store_explicit(&buffer->refs, refs - 1, memory_order_relaxed);
    return false;
}

uint64_t df_pool_fact(const void *data)
{
    return atomic_load_explicit(&buffer_of(data)->fact, memory_order_relaxed);
}

void df_pool_set_fact(void *data, uint64_t fact)
{
    atomic_store_explicit(&buffer_of(data)->fact, fact, memory_order_relaxed);
}

void *df_pool_note(const void *data)
{
    return atomic_load_explicit(&buffer_of(data)->note, memory_order_acquire);
}

void df_pool_set_note(uint32_t thread, void *data, void **note)
{
    void *none = NULL;

    if (!atomic_compare_exchange_strong_explicit(&buffer_of(data)->note, &none, *note,
                                                 memory_order_acq_rel, memory_order_acquire))
        df_pool_unref(thread, *note);
    *note = NULL;
}

bool df_pool_digest(const void *data, size_t size, uint64_t digest[2])
{
    pool_buffer *buffer = buffer_of(data);

    if (atomic_load_explicit(&buffer->digest_of, memory_order_acquire) != size + 1)
        return false;
    for (int i = 0; i < 2; i++)
        digest[i] = atomic_load_explicit(&buffer->digest[i], memory_order_relaxed);
    return true;
}

void df_pool_set_digest(void *data, size_t size, const uint64_t digest[2])
{
    pool_buffer *buffer = buffer_of(data);
    uint64_t none = 0;

    if (!atomic_compare_exchange_strong_explicit(&buffer->digest_of, &none, DIGEST_BUSY,
                                                 memory_order_relaxed, memory_order_relaxed))
        return;
    for (int i = 0; i < 2; i++)
        atomic_store_explicit(&buffer->digest[i], digest[i], memory_order_relaxed);
    atomic_store_explicit(&buffer->digest_of, size + 1, memory_order_release);
}

/* Nobody holds the buffer any more. */
static void forget(uint32_t thread, pool_buffer *buffer)
{
    void *note = atomic_load_explicit(&buffer->note, memory_order_relaxed);

    atomic_store_explicit(&buffer->fact, 0, memory_order_relaxed);
    atomic_store_explicit(&buffer->digest_of, 0, memory_order_relaxed);
    if (note == NULL)
        return;
    atomic_store_explicit(&buffer->note, NULL, memory_order_relaxed);
    df_pool_unref(thread, note);
}

void df_pool_recycle(uint32_t thread, void *data)
{
    pool_buffer *buffer = buffer_of(data);
    df_pool *pool = buffer->pool;
    pool_list *cache = &pool->caches[thread].lists[buffer->class_index];

    forget(thread, buffer);
    if (take_spare(&pool->shared[buffer->class_index])) {
        give_back(&pool->shared[buffer->class_index], buffer);
        return;
    }
    list_push(cache, buffer);
    if (cache->count > cache_limit(buffer->class_index))
        spill(pool, cache, buffer->class_index);
}

void df_pool_unref(uint32_t thread, void *data)
{
    if (data != NULL && df_pool_drop(data))
        df_pool_recycle(thread, data);
}

bool df_pool_idle(const df_pool *pool)
{
    uint64_t used = pool->carved;

    for (uint32_t i = 0; i < POOL_CLASSES; i++) {
        used -= pool->shared[i].list.count + pool->shared[i].cold.count;
        for (uint32_t t = 0; t < pool->thread_count; t++)
            used -= pool->caches[t].lists[i].count;
    }
    return used == 0;
}

uint64_t df_pool_allocations(const df_pool *pool)
{
    return atomic_load_explicit(&pool->allocations, memory_order_relaxed);
}

uint64_t df_pool_bytes(const df_pool *pool)
{
    return atomic_load_explicit(&pool->bytes, memory_order_relaxed);
}
