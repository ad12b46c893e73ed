/* A stored chunk is bytes from outside. Behind a head that fits, whatever its codec, type and planes, a payload gives the
 * values that the manifest's hash names, or none; so does a chunk that was stored whole, and whose head was changed.
 *
 * An input is the head's free bytes and a payload:
 *
 *   0  u8  type of the values - 1    2  u8   planes as they are    5  payload
 *   1  u8  codec                     3  u16  rows, big-endian */
#include "snapshot/snap_chunk.h"

#include <stdlib.h>
#include <string.h>

#define FREE_BYTES 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static snap_coder *coder;
static uint8_t whole[SNAP_CHUNK_SIZE_MAX];

static void head_put(uint8_t *to, const uint8_t *data, const snap_slice *slice, size_t stored)
{
    df_writer w;

    df_writer_init(&w, to, SNAP_CHUNK_HEAD);
    df_put_u32(&w, 0x31484357u);
    df_put_u8(&w, data[1]);
    df_put_u8(&w, (uint8_t)slice->type);
    df_put_u8(&w, data[2]);
    df_put_u8(&w, 0);
    df_put_u32(&w, slice->rows);
    df_put_u32(&w, (uint32_t)(slice->rows * weir_type_size(slice->type)));
    df_put_u32(&w, (uint32_t)stored);
    snap_put_hash(&w, slice->hash);
    if (!df_writer_ok(&w) || w.size != SNAP_CHUNK_HEAD)
        abort();
}

/* True: the values are there, and have the slice's hash; else none is. */
static bool decode(const snap_slice *slice, const uint8_t *bytes, size_t size, uint8_t *raw)
{
    size_t raw_size = slice->rows * weir_type_size(slice->type);
    df_status s;

    memset(raw, 0xee, raw_size);
    s = snap_chunk_decode(coder, slice, bytes, size, raw, NULL);
    if (s != DF_OK && s != DF_ECORRUPT)
        abort();
    if (s == DF_OK && !snap_hash_equal(snap_hash(raw, raw_size), slice->hash))
        abort();
    for (size_t i = 0; s != DF_OK && i < raw_size; i++)
        if (raw[i] != 0)
            abort();
    return s == DF_OK;
}

/* A head that fits, before any payload. Stored as it is, it is what the hash says. */
static void any_payload(const uint8_t *data, size_t size, weir_type type)
{
    size_t stored = size - FREE_BYTES;
    snap_slice slice = { .type = type, .rows = (uint32_t)data[3] << 8 | data[4],
                         .hash = snap_hash(data + FREE_BYTES, stored) };
    size_t raw_size = slice.rows * weir_type_size(type);
    uint8_t *bytes = malloc(SNAP_CHUNK_HEAD + stored), *raw = malloc(raw_size + (raw_size == 0));

    if (bytes == NULL || raw == NULL)
        abort();
    head_put(bytes, data, &slice, stored);
    memcpy(bytes + SNAP_CHUNK_HEAD, data + FREE_BYTES, stored);
    if (!decode(&slice, bytes, SNAP_CHUNK_HEAD + stored, raw) && data[1] == SNAP_NONE && data[2] == 0 &&
        stored == raw_size)
        abort();
    free(bytes);
    free(raw);
}

/* The payload's values are stored, and then the head's codec and planes are others. */
static void other_head(const uint8_t *data, size_t size, weir_type type)
{
    snap_slice slice = { .type = type, .rows = (uint32_t)((size - FREE_BYTES) / weir_type_size(type)) };
    size_t raw_size = slice.rows * weir_type_size(type), stored;
    uint8_t *bytes, *raw = malloc(raw_size + (raw_size == 0));

    slice.hash = snap_hash(data + FREE_BYTES, raw_size);
    if (snap_chunk_encode(coder, &slice, data + FREE_BYTES, (snap_codec)(data[3] % SNAP_CODECS), whole, &stored, NULL) != DF_OK)
        abort();
    bytes = malloc(stored);
    if (bytes == NULL || raw == NULL)
        abort();
    memcpy(bytes, whole, stored);
    if (!decode(&slice, bytes, stored, raw))
        abort();
    bytes[4] = data[1];
    bytes[6] = data[2];
    if (decode(&slice, bytes, stored, raw) && memcmp(raw, data + FREE_BYTES, raw_size) != 0)
        abort();
    free(bytes);
    free(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned number = size < FREE_BYTES ? 0 : data[0] + 1u;

    if (!snap_type_is(number))
        return 0;
    if (coder == NULL)
        coder = snap_coder_new();
    if (coder == NULL)
        abort();
    any_payload(data, size, (weir_type)number);
    other_head(data, size, (weir_type)number);
    return 0;
}
