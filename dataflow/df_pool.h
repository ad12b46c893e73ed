/* The pool that all columns and batches of a process come from.
 *
 * Buffers have size classes, eight per doubling; each thread keeps a few free ones of its own, the
 * rest wait in shared lists. Memory is mapped in growing chunks (huge pages, touched before it is used) and
 * not given back in the steady state, which asks the system for nothing: a counter of the chunks shows
 * it. What a key group has used that moves to another process is given back (df_pool_spare).
 *
 * A buffer has a header of 64 bytes in front of its data with a reference count; the data are
 * aligned to 64 bytes, and 64 bytes past the size that was asked for may be read. */
#ifndef DF_POOL_H
#define DF_POOL_H

#include "dataflow/df_error.h"

#include <stdbool.h>

typedef struct df_pool df_pool;

df_status df_pool_new(df_pool **out, uint32_t threads, df_error *err) DF_MUST_CHECK;
/* From now on one thread uses the pool, and all that comes from it: references are counted without locked
 * instructions, of which a task without work has more than of anything else. */
void df_pool_alone(df_pool *pool);
/* All buffers end with it, whoever holds them. */
void df_pool_free(df_pool **pool);

/* A buffer with one reference; null: out of memory. `thread` is the caller's number, below the
 * count given at the start; two callers with one number must not run at the same time. */
void *df_pool_get(df_pool *pool, uint32_t thread, size_t size);
/* The bytes that a buffer can hold: at least what was asked for. */
size_t df_pool_capacity(const void *buffer);
void *df_pool_ref(void *buffer);
uint32_t df_pool_refs(const void *buffer);
/* Drop a reference; the last one returns the buffer to the pool that it came from. Null is allowed. */
void df_pool_unref(uint32_t thread, void *buffer);
/* The two halves of it, for a buffer that holds references itself: true means that the last one was
 * dropped, and the caller recycles the buffer when it has dropped what is in it. */
bool df_pool_drop(void *buffer) DF_MUST_CHECK;
void df_pool_recycle(uint32_t thread, void *buffer);

/* `count` buffers like this one (null: none) are needed no longer: of those of its size that become free from now
 * on, so many give their pages back to the system. They can be had again. Any thread. */
void df_pool_spare(const void *buffer, uint32_t count);

/* What somebody has found out about the contents of a buffer that will not change any more, kept with it
 * until it is recycled. Any thread may ask and tell at any time; all find the same.
 * A fact is a number; 0: none was told. */
uint64_t df_pool_fact(const void *buffer);
void df_pool_set_fact(void *buffer, uint64_t fact);
/* A note is another buffer; null: there is none. Whoever sets it gives it away (*note becomes null): if
 * another thread was faster, that thread's note stays. */
void *df_pool_note(const void *buffer);
void df_pool_set_note(uint32_t thread, void *buffer, void **note);
/* A digest is of the first `size` bytes. False: none of so many was told. The first that is told stays. */
bool df_pool_digest(const void *buffer, size_t size, uint64_t digest[2]) DF_MUST_CHECK;
void df_pool_set_digest(void *buffer, size_t size, const uint64_t digest[2]);

/* Whether no buffer is in use. Nobody may use the pool meanwhile. */
bool df_pool_idle(const df_pool *pool);

uint64_t df_pool_allocations(const df_pool *pool);
uint64_t df_pool_bytes(const df_pool *pool);

#endif
