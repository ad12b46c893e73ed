/* Chunks: the shuffle against its definition, values through every codec, the stored bytes field by
 * field, and hostile bytes: every bit flipped, every length cut. */
#include "snapshot/snap_chunk.h"
#include "snapshot/snap_shuffle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <lz4.h>

static df_error error;
static snap_coder *coder;
static uint8_t stored_bytes[SNAP_CHUNK_SIZE_MAX];

static uint64_t lot = 1;

static uint64_t draw(void)
{
    uint64_t z = lot += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void test_shuffle(void **state)
{
    (void)state;
    for (size_t size = 4; size <= 8; size += 4)
        for (size_t count = 0; count <= 100; count++) {
            uint8_t from[800], to[801], back[801];

            for (size_t i = 0; i < sizeof from; i++)
                from[i] = (uint8_t)draw();
            memset(to, 0x55, sizeof to);
            memset(back, 0x55, sizeof back);
            snap_shuffle(to, from, count, size);
            for (size_t i = 0; i < count; i++)
                for (size_t b = 0; b < size; b++)
                    assert_int_equal(to[b * count + i], from[i * size + b]);
            assert_int_equal(to[count * size], 0x55);
            snap_unshuffle(back, to, count, size);
            assert_memory_equal(back, from, count * size);
            assert_int_equal(back[count * size], 0x55);
        }
}

/* A column like those of a simulation: neighbours are near each other. */
static void fill(uint8_t *raw, weir_type type, uint32_t rows, bool random)
{
    size_t width = weir_type_size(type);

    for (uint32_t i = 0; i < rows; i++) {
        float f = 100.0f + (float)i / 64.0f + (float)(draw() % 1000) / 5000.0f;
        double d = (double)f;
        uint64_t u = random ? draw() : (uint64_t)i * 3;

        if (type == WEIR_F32 && !random)
            memcpy(raw + i * width, &f, width);
        else if (type == WEIR_F64 && !random)
            memcpy(raw + i * width, &d, width);
        else
            memcpy(raw + i * width, &u, width);
    }
}

static snap_slice slice_of(const void *raw, weir_type type, uint32_t rows)
{
    return (snap_slice){ type, rows, snap_hash(raw, rows * weir_type_size(type)) };
}

static void through(weir_type type, uint32_t rows, bool random, snap_codec codec)
{
    size_t size = rows * weir_type_size(type), stored;
    uint8_t *raw = malloc(size + 1), *back = malloc(size + 1);
    const uint8_t *bytes = stored_bytes;
    snap_slice slice;

    fill(raw, type, rows, random);
    slice = slice_of(raw, type, rows);
    assert_int_equal(snap_chunk_encode(coder, &slice, raw, codec, stored_bytes, &stored, &error), DF_OK);
    assert_true(stored <= SNAP_CHUNK_HEAD + size);
    if (rows >= 1000 && !random && codec != SNAP_NONE)
        assert_true(stored < size * 9 / 10);
    back[size] = 0x55;
    assert_int_equal(snap_chunk_decode(coder, &slice, bytes, stored, back, &error), DF_OK);
    assert_memory_equal(back, raw, size);
    assert_int_equal(back[size], 0x55);
    free(raw);
    free(back);
}

static void test_through(void **state)
{
    static const uint32_t rows[] = { 0, 1, 15, 16, 17, 1000, 1u << 17 };

    (void)state;
    for (weir_type type = WEIR_F32; type <= WEIR_U8; type++)
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
            for (int codec = 0; codec < SNAP_CODECS; codec++) {
                through(type, rows[r], false, (snap_codec)codec);
                through(type, rows[r], true, (snap_codec)codec);
            }
}

static void test_layout(void **state)
{
    static const uint8_t head[] = {
        'W', 'C', 'H', '1', 0, WEIR_U32, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0,
        8, 7, 6, 5, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
    };
    static const uint32_t values[2] = { 0x04030201, 0x08070605 };
    snap_slice slice = { WEIR_U32, 2, { 0x0102030405060708, 0x1112131415161718 } };
    const uint8_t *bytes = stored_bytes;
    size_t size;

    (void)state;
    assert_int_equal(snap_chunk_encode(coder, &slice, values, SNAP_ZSTD, stored_bytes, &size, &error), DF_OK);
    assert_int_equal(size, sizeof head + 8); /* eight bytes do not get smaller */
    assert_memory_equal(bytes, head, sizeof head);
    for (uint8_t i = 0; i < 8; i++)
        assert_int_equal(bytes[sizeof head + i], i + 1);
    assert_int_equal(snap_chunk_rows(SNAP_CHUNK_RAW_MAX, WEIR_F64), 131072);
    slice.rows = SNAP_CHUNK_RAW_MAX / 4 + 1;
    assert_int_equal(snap_chunk_encode(coder, &slice, values, SNAP_NONE, stored_bytes, &size, &error),
                     DF_ELIMIT);
}

/* Bytes that do not decode leave zeros; those that do (a bit that the codec does not look at) give
 * the right rows. */
static void refuse(const snap_slice *slice, const uint8_t *raw, const uint8_t *bytes, size_t size)
{
    size_t raw_size = slice->rows * weir_type_size(slice->type);
    uint8_t *exact = malloc(size + (size == 0)), *back = malloc(raw_size);
    df_status s;

    memcpy(exact, bytes, size);
    memset(back, 0x55, raw_size);
    s = snap_chunk_decode(coder, slice, exact, size, back, &error);
    if (s == DF_OK) {
        assert_memory_equal(back, raw, raw_size);
    } else {
        assert_int_equal(s, DF_ECORRUPT);
        for (size_t i = 0; i < raw_size; i++)
            assert_int_equal(back[i], 0);
    }
    free(exact);
    free(back);
}

static void hostile(weir_type type, uint32_t rows)
{
    static uint8_t raw[2048 * 4];

    for (int codec = 0; codec < SNAP_CODECS; codec++) {
        const uint8_t *bytes = stored_bytes;
        uint8_t *copy;
        snap_slice slice;
        size_t size;
        uint32_t accepted = 0;

        fill(raw, type, rows, false);
        slice = slice_of(raw, type, rows);
        assert_int_equal(snap_chunk_encode(coder, &slice, raw, (snap_codec)codec, stored_bytes, &size, &error),
                         DF_OK);
        copy = malloc(size + 16);
        memset(copy, 0, size + 16);
        memcpy(copy, bytes, size);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            refuse(&slice, raw, copy, size);
            accepted += snap_chunk_decode(coder, &slice, copy, size, raw + 0, &error) == DF_OK;
            memcpy(copy, bytes, size);
            assert_int_equal(snap_chunk_decode(coder, &slice, copy, size, raw, &error), DF_OK);
        }
        if (codec == SNAP_NONE)
            assert_int_equal(accepted, 0);
        for (size_t cut = 0; cut < size; cut++)
            refuse(&slice, raw, copy, cut);
        for (size_t more = 1; more <= 16; more++) {
            refuse(&slice, raw, copy, size + more);
            assert_int_equal(error.status, DF_ECORRUPT);
        }
        free(copy);
    }
}

static void test_hostile(void **state)
{
    (void)state;
    hostile(WEIR_F64, 200);
    hostile(WEIR_F32, 1100); /* with planes as they are */
    assert_true(stored_bytes[4] == SNAP_ZSTD);
}

/* Planes that do not compress stand first, as they are; which they are, a sample of the middle says. */
static void test_planes(void **state)
{
    enum { ROWS = 5000 };
    static uint32_t raw[ROWS], back[ROWS];
    static uint8_t planes[ROWS * 4];

    (void)state;
    for (unsigned plain = 0; plain <= 4; plain++) {
        uint32_t random = plain == 0 ? 0 : UINT32_MAX >> (32 - 8 * plain);
        snap_slice slice;
        size_t size;

        for (uint32_t i = 0; i < ROWS; i++)
            raw[i] = ((uint32_t)draw() & random) | (0x01020304u * (i / 100) & ~random);
        slice = slice_of(raw, WEIR_U32, ROWS);
        assert_int_equal(snap_chunk_encode(coder, &slice, raw, SNAP_LZ4, stored_bytes, &size, &error), DF_OK);
        assert_int_equal(stored_bytes[4], plain == 4 ? SNAP_NONE : SNAP_LZ4);
        assert_int_equal(stored_bytes[6], plain % 4);
        assert_int_equal(stored_bytes[7], 0);
        assert_true(size <= SNAP_CHUNK_HEAD + plain * ROWS + (4 - plain) * ROWS / 8);
        snap_shuffle(planes, (const uint8_t *)raw, ROWS, 4);
        if (plain < 4)
            assert_memory_equal(stored_bytes + SNAP_CHUNK_HEAD, planes, plain * ROWS);
        assert_int_equal(snap_chunk_decode(coder, &slice, stored_bytes, size, back, &error), DF_OK);
        assert_memory_equal(back, raw, sizeof raw);
    }
}

/* The stored form of earlier versions: all planes compressed. */
static void test_all_planes(void **state)
{
    enum { ROWS = 3000 };
    static uint32_t raw[ROWS], back[ROWS];
    static uint8_t planes[ROWS * 4], bytes[SNAP_CHUNK_HEAD + ROWS * 4];
    snap_slice slice;
    df_writer w;
    int size;

    (void)state;
    for (uint32_t i = 0; i < ROWS; i++)
        raw[i] = (uint32_t)(draw() & 0xffff) | i << 20;
    slice = slice_of(raw, WEIR_U32, ROWS);
    snap_shuffle(planes, (const uint8_t *)raw, ROWS, 4);
    size = LZ4_compress_default((const char *)planes, (char *)bytes + SNAP_CHUNK_HEAD, sizeof planes, sizeof planes - 1);
    assert_true(size > 0);
    df_writer_init(&w, bytes, SNAP_CHUNK_HEAD);
    df_put_bytes(&w, "WCH1", 4);
    df_put_u8(&w, SNAP_LZ4);
    df_put_u8(&w, WEIR_U32);
    df_put_u16(&w, 0);
    df_put_u32(&w, ROWS);
    df_put_u32(&w, sizeof raw);
    df_put_u32(&w, (uint32_t)size);
    snap_put_hash(&w, slice.hash);
    assert_int_equal(snap_chunk_decode(coder, &slice, bytes, SNAP_CHUNK_HEAD + (size_t)size, back, &error), DF_OK);
    assert_memory_equal(back, raw, sizeof raw);
}

/* A right chunk in the wrong place. */
static void test_other(void **state)
{
    uint32_t raw[64], back[64];
    snap_slice slice, other;
    const uint8_t *bytes = stored_bytes;
    size_t size;

    (void)state;
    fill((uint8_t *)raw, WEIR_U32, 64, false);
    slice = slice_of(raw, WEIR_U32, 64);
    assert_int_equal(snap_chunk_encode(coder, &slice, raw, SNAP_LZ4, stored_bytes, &size, &error), DF_OK);
    other = slice;
    other.type = WEIR_F32;
    assert_int_equal(snap_chunk_decode(coder, &other, bytes, size, back, &error), DF_ECORRUPT);
    other = slice;
    other.rows = 63;
    assert_int_equal(snap_chunk_decode(coder, &other, bytes, size, back, &error), DF_ECORRUPT);
    other = slice;
    other.hash.low ^= 1;
    assert_int_equal(snap_chunk_decode(coder, &other, bytes, size, back, &error), DF_ECORRUPT);
    assert_non_null(strstr(error.text, "another chunk"));
}

static int set_up(void **state)
{
    (void)state;
    coder = snap_coder_new();
    return coder == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    snap_coder_free(&coder);
    return coder != NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shuffle), cmocka_unit_test(test_through), cmocka_unit_test(test_layout),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_planes),  cmocka_unit_test(test_all_planes),
        cmocka_unit_test(test_other),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
