#include "snapshot/snap_chunk.h"

#include "snapshot/snap_shuffle.h"

#include <assert.h>
#include <lz4.h>
#include <stdlib.h>
#include <zstd.h>

#define CHUNK_MAGIC 0x31484357u /* "WCH1" */
#define ZSTD_LEVEL  1           /* levels 2 and 3 cost twice the time for 2 % of the size */
/* How fast it gives up on bytes that do not compress, as half of a float's are. Of a state of f32, 64
 * makes 0.73 to 0.77 of it at 4.5 to 5.2 GB/s, where 1 makes 0.66 to 0.74 at 0.9 to 1.3; of integers and
 * flags, which compress well, both make the same at the same speed. */
#define LZ4_HURRY   64
/* A plane is worth compressing if so many bytes of it get to less than three quarters, in less of a hurry, as they
 * are few. Of a float's planes mostly the uppermost is, or none. */
#define SAMPLE       512u
#define SAMPLE_HURRY 8

struct snap_coder {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *expand;
    void *lz4;         /* LZ4_sizeofState() */
    uint8_t *shuffled; /* [SNAP_CHUNK_RAW_MAX]; when it encodes, what it compresses into */
};

typedef struct chunk_head {
    uint32_t magic, rows, raw_size, stored_size;
    uint8_t codec, type, plain, zero;
    df_hash hash;
} chunk_head;

const char *snap_codec_name(snap_codec codec)
{
    static const char *const names[SNAP_CODECS] = { "none", "lz4", "zstd" };

    return names[codec];
}

bool snap_type_is(unsigned number)
{
    return number >= WEIR_F32 && number <= WEIR_U8;
}

uint32_t snap_chunk_rows(uint32_t chunk_size, weir_type type)
{
    return chunk_size / (uint32_t)weir_type_size(type);
}

uint32_t snap_chunk_count(uint32_t chunk_size, weir_type type, uint32_t rows)
{
    uint32_t each = snap_chunk_rows(chunk_size, type);

    return (uint32_t)(((uint64_t)rows + each - 1) / each);
}

snap_coder *snap_coder_new(void)
{
    snap_coder *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->compress = ZSTD_createCCtx();
    c->expand = ZSTD_createDCtx();
    c->lz4 = malloc((size_t)LZ4_sizeofState());
    c->shuffled = malloc(SNAP_CHUNK_RAW_MAX);
    if (c->compress == NULL || c->expand == NULL || c->lz4 == NULL || c->shuffled == NULL)
        snap_coder_free(&c);
    return c;
}

void snap_coder_free(snap_coder **coder)
{
    snap_coder *c = *coder;

    if (c == NULL)
        return;
    *coder = NULL;
    ZSTD_freeCCtx(c->compress);
    ZSTD_freeDCtx(c->expand);
    free(c->lz4);
    free(c->shuffled);
    free(c);
}

/* ---- encode ---- */

/* Compress into less than `size` bytes at `to`; 0: it did not get smaller. */
static size_t chunk_compress(snap_coder *c, snap_codec codec, uint8_t *to, const uint8_t *from,
                             size_t size)
{
    size_t stored;

    if (size < 2)
        return 0;
    if (codec == SNAP_LZ4)
        return (size_t)LZ4_compress_fast_extState(c->lz4, (const char *)from, (char *)to, (int)size,
                                                  (int)size - 1, LZ4_HURRY);
    stored = ZSTD_compressCCtx(c->compress, to, size - 1, from, size, ZSTD_LEVEL);
    return ZSTD_isError(stored) ? 0 : stored;
}

static bool sample_pays(snap_coder *c, const uint8_t sample[SAMPLE])
{
    enum { ENOUGH = SAMPLE - SAMPLE / 4 };
    char out[ENOUGH];

    if (memcmp(sample, sample + 1, SAMPLE - 1) == 0) /* all the same */
        return true;
    return LZ4_compress_fast_extState(c->lz4, (const char *)sample, out, SAMPLE, ENOUGH, SAMPLE_HURRY) > 0;
}

/* How many of the lower planes of bytes are not worth compressing: those up to the uppermost whose sample, out of the
 * middle, says so. LZ4 alone is asked: to look at what does not compress is most of its time, and of zstd's little. */
static size_t plain_planes(snap_coder *c, snap_codec codec, const uint8_t *raw, uint32_t rows, size_t width)
{
    uint8_t planes[SAMPLE * sizeof(uint64_t)];
    size_t plane = width;

    if (codec != SNAP_LZ4 || width == 1 || rows < 2 * SAMPLE)
        return 0;
    snap_shuffle(planes, raw + (rows - SAMPLE) / 2 * width, SAMPLE, width);
    while (plane > 0 && sample_pays(c, planes + (plane - 1) * SAMPLE))
        plane--;
    return plane;
}

/* The payload, the lower `plain` planes as they are, and then the others compressed; 0: it did not get smaller. */
static size_t payload_make(snap_coder *c, snap_codec codec, uint8_t *to, const uint8_t *raw, uint32_t rows,
                           size_t width, size_t plain)
{
    size_t size = rows * width, begin = plain * rows, stored;

    if (plain == width)
        return 0;
    if (width == 1)
        return chunk_compress(c, codec, to, raw, size);
    snap_shuffle(to, raw, rows, width);
    stored = chunk_compress(c, codec, c->shuffled, to + begin, size - begin);
    memcpy(to + begin, c->shuffled, stored);
    return stored == 0 ? 0 : begin + stored;
}

df_status snap_chunk_encode(snap_coder *coder, const snap_slice *slice, const void *raw,
                            snap_codec codec, uint8_t *to, size_t *size, df_error *err)
{
    size_t width = weir_type_size(slice->type), raw_size = slice->rows * width, stored = 0, plain = 0;
    uint8_t *payload = to + SNAP_CHUNK_HEAD;
    df_writer w;

    if (raw_size > SNAP_CHUNK_RAW_MAX)
        return df_fail(err, DF_ELIMIT, "a chunk of %zu bytes; the limit is %u", raw_size,
                       SNAP_CHUNK_RAW_MAX);
    if (codec != SNAP_NONE) {
        plain = plain_planes(coder, codec, raw, slice->rows, width);
        stored = payload_make(coder, codec, payload, raw, slice->rows, width, plain);
    }
    if (stored == 0) {
        codec = SNAP_NONE;
        stored = raw_size;
        plain = 0;
        if (raw_size > 0)
            memcpy(payload, raw, raw_size);
    }
    df_writer_init(&w, to, SNAP_CHUNK_HEAD);
    df_put_u32(&w, CHUNK_MAGIC);
    df_put_u8(&w, (uint8_t)codec);
    df_put_u8(&w, (uint8_t)slice->type);
    df_put_u8(&w, (uint8_t)plain);
    df_put_u8(&w, 0);
    df_put_u32(&w, slice->rows);
    df_put_u32(&w, (uint32_t)raw_size);
    df_put_u32(&w, (uint32_t)stored);
    snap_put_hash(&w, slice->hash);
    assert(df_writer_ok(&w) && w.size == SNAP_CHUNK_HEAD);
    *size = SNAP_CHUNK_HEAD + stored;
    return DF_OK;
}

/* ---- decode ---- */

static void head_get(df_cursor *c, chunk_head *head)
{
    head->magic = df_get_u32(c);
    head->codec = df_get_u8(c);
    head->type = df_get_u8(c);
    head->plain = df_get_u8(c);
    head->zero = df_get_u8(c);
    head->rows = df_get_u32(c);
    head->raw_size = df_get_u32(c);
    head->stored_size = df_get_u32(c);
    head->hash = snap_get_hash(c);
}

static df_status head_check(const chunk_head *head, const snap_slice *slice, size_t raw_size,
                            size_t left, df_error *err)
{
    if (head->magic != CHUNK_MAGIC || head->zero != 0 || head->codec >= SNAP_CODECS)
        return df_fail(err, DF_ECORRUPT, "no chunk head");
    if (head->type != (uint8_t)slice->type || head->rows != slice->rows ||
        head->raw_size != raw_size || raw_size > SNAP_CHUNK_RAW_MAX)
        return df_fail(err, DF_ECORRUPT, "%u rows of type %u, not %u rows of %s", head->rows,
                       head->type, slice->rows, weir_type_name(slice->type));
    if (head->stored_size != left || (head->codec == SNAP_NONE && left != raw_size))
        return df_fail(err, DF_ECORRUPT, "%zu bytes, the head says %u", left, head->stored_size);
    if (head->plain != 0 && (head->codec != SNAP_LZ4 || head->plain >= weir_type_size(slice->type) ||
                             (size_t)head->plain * head->rows > left))
        return df_fail(err, DF_ECORRUPT, "%u planes of bytes as they are", head->plain);
    if (!snap_hash_equal(head->hash, slice->hash))
        return df_fail(err, DF_ECORRUPT, "another chunk than the manifest names");
    return DF_OK;
}

/* False: it does not expand to exactly `size` bytes. */
static bool chunk_expand(snap_coder *c, snap_codec codec, uint8_t *to, size_t size, const uint8_t *from,
                         size_t stored)
{
    if (codec == SNAP_LZ4)
        return LZ4_decompress_safe((const char *)from, (char *)to, (int)stored, (int)size) == (int)size;
    return ZSTD_decompressDCtx(c->expand, to, size, from, stored) == size;
}

static df_status payload_get(snap_coder *coder, const chunk_head *head, size_t width,
                             const uint8_t *payload, uint8_t *raw, df_error *err)
{
    size_t begin = (size_t)head->plain * head->rows;
    uint8_t *to = width > 1 ? coder->shuffled : raw;

    if (head->codec == SNAP_NONE) {
        if (head->raw_size > 0)
            memcpy(raw, payload, head->raw_size);
        return DF_OK;
    }
    if (begin > 0)
        memcpy(to, payload, begin);
    if (!chunk_expand(coder, (snap_codec)head->codec, to + begin, head->raw_size - begin, payload + begin,
                      head->stored_size - begin))
        return df_fail(err, DF_ECORRUPT, "its %s bytes are damaged",
                       snap_codec_name((snap_codec)head->codec));
    if (width > 1)
        snap_unshuffle(raw, coder->shuffled, head->rows, width);
    return DF_OK;
}

df_status snap_chunk_decode(snap_coder *coder, const snap_slice *slice, const uint8_t *bytes,
                            size_t size, void *raw, df_error *err)
{
    size_t width = weir_type_size(slice->type), raw_size = slice->rows * width;
    chunk_head head;
    df_cursor c;
    df_status s;

    df_cursor_init(&c, bytes, size);
    head_get(&c, &head);
    if (c.failed)
        s = df_fail(err, DF_ECORRUPT, "%zu bytes are no chunk", size);
    else
        s = head_check(&head, slice, raw_size, df_get_left(&c), err);
    if (s == DF_OK)
        s = payload_get(coder, &head, width, bytes + SNAP_CHUNK_HEAD, raw, err);
    if (s == DF_OK && !snap_hash_equal(snap_hash(raw, raw_size), slice->hash))
        s = df_fail(err, DF_ECORRUPT, "its rows do not have the hash that the manifest names");
    if (s != DF_OK && raw_size > 0)
        memset(raw, 0, raw_size);
    return s;
}
