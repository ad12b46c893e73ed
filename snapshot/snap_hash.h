/* The hash of everything that is kept: XXH3-128, which the fingerprints use too. It finds damage; it
 * is no defence against somebody who wants to deceive. */
#ifndef SNAP_HASH_H
#define SNAP_HASH_H

#include "dataflow/df_bytes.h"
#include "dataflow/df_graph.h"

#define SNAP_HASH_SIZE 16 /* bytes of a stored hash */

df_hash snap_hash(const void *bytes, size_t size);
/* The hash of bytes that follow others, whose hash is `before`. */
df_hash snap_hash_chain(df_hash before, const void *bytes, size_t size);

static inline bool snap_hash_equal(df_hash a, df_hash b)
{
    return a.high == b.high && a.low == b.low;
}

static inline void snap_put_hash(df_writer *writer, df_hash hash)
{
    df_put_u64(writer, hash.high);
    df_put_u64(writer, hash.low);
}

static inline df_hash snap_get_hash(df_cursor *cursor)
{
    df_hash hash;

    hash.high = df_get_u64(cursor);
    hash.low = df_get_u64(cursor);
    return hash;
}

#endif
