#include "snapshot/snap_hash.h"

#include <xxhash.h>

df_hash snap_hash(const void *bytes, size_t size)
{
    XXH128_hash_t h = XXH3_128bits(bytes, size);

    return (df_hash){ h.high64, h.low64 };
}

df_hash snap_hash_chain(df_hash before, const void *bytes, size_t size)
{
    uint8_t link[2 * SNAP_HASH_SIZE];
    df_writer writer;

    df_writer_init(&writer, link, sizeof link);
    snap_put_hash(&writer, before);
    snap_put_hash(&writer, snap_hash(bytes, size));
    return snap_hash(link, sizeof link);
}
