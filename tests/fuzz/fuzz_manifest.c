/* Manifests are bytes from outside. What is accepted has one stored form, and can be walked to its
 * end. The checksum and the stated size are made right first, or no input would get past them. */
#include "snapshot/snap_manifest.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const snap_manifest *m)
{
    uint64_t *live = malloc((m->part_count + 1) * sizeof *live);

    if (live != NULL)
        snap_manifest_live(m, live);
    free(live);
    for (uint32_t t = 0; t < m->table_count; t++)
        for (uint32_t g = 0; g < m->tables[t].key_groups; g++)
            for (uint32_t c = 0; c <= m->tables[t].schema.column_count; c++) {
                uint32_t count;

                snap_manifest_refs(m, t, g, c, &count);
                for (uint32_t i = 0; i < count; i++)
                    if (snap_manifest_slice(m, &(snap_place){ g, (uint16_t)t, (uint16_t)c, i }).rows == 0)
                        abort();
            }
}

static void decode(const uint8_t *bytes, size_t size)
{
    snap_manifest *m;
    df_error err;
    uint8_t *again;
    size_t again_size;

    if (snap_manifest_decode(&m, bytes, size, &err) != DF_OK)
        return;
    walk(m);
    if (snap_manifest_encode(m, &again, &again_size, &err) != DF_OK || again_size != size ||
        memcmp(again, bytes, size) != 0)
        abort();
    free(again);
    snap_manifest_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    df_writer w;

    if (bytes == NULL)
        return 0;
    memcpy(bytes, data, size);
    decode(bytes, size);
    if (size >= 18 + SNAP_HASH_SIZE) {
        df_writer_init(&w, bytes + 10, 8);
        df_put_u64(&w, size);
        df_writer_init(&w, bytes + size - SNAP_HASH_SIZE, SNAP_HASH_SIZE);
        snap_put_hash(&w, snap_hash(bytes, size - SNAP_HASH_SIZE));
        decode(bytes, size);
    }
    free(bytes);
    return 0;
}
