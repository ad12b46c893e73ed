/* kern_philox: the published known answers, the array paths against the scalar ones, and the
 * conversions against their definitions and the C library's long double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "kernels/kern_philox.h"
#include "tests/support/ulp.h"

enum { ROWS_MAX = 300, GUARD = 8 };

/* Random123's kat_vectors, philox4x32 with 10 rounds. */
static void test_known_answers(void **state)
{
    static const struct {
        kern_words counter;
        uint64_t key;
        kern_words block;
    } rows[] = {
        { { { 0, 0, 0, 0 } }, 0, { { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } } },
        { { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff } },
          UINT64_C(0xffffffffffffffff),
          { { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } } },
        { { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 } },
          UINT64_C(0x299f31d0a4093822),
          { { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        kern_words got = kern_philox(rows[i].key, rows[i].counter);
        kern_words row =
            kern_philox_row(rows[i].key, kern_join(rows[i].counter.w[0], rows[i].counter.w[1]),
                            rows[i].counter.w[2], rows[i].counter.w[3]);

        assert_memory_equal(&got, &rows[i].block, sizeof got);
        assert_memory_equal(&row, &rows[i].block, sizeof row);
    }
}

/* A one-word draw by its definition. */
static void test_one_is_a_shared_block(void **state)
{
    const uint64_t key = UINT64_C(0x0123456789abcdef);

    (void)state;
    for (uint64_t row = UINT64_C(0x8000000300000000); row < UINT64_C(0x8000000300000020); row++) {
        kern_words counter = { { (uint32_t)(row / 4), (uint32_t)(row / 4 >> 32), 9, 0x80000005 } };

        assert_int_equal(kern_philox_one_row(key, row, 9, 5), kern_philox(key, counter).w[row % 4]);
    }
}

/* Row keys that the array paths see in practice, and those that could trip them. */
typedef enum key_shape {
    DENSE,
    DENSE_FROM_TOP, /* consecutive up to the last key and on from 0 */
    DENSE_OVER_32,  /* passes 2^32 in the low half of key / 4 */
    GAPS,
    BROKEN, /* a run whose middle is out of order */
    RANDOM,
    REPEATED,
    SHAPES,
} key_shape;

static void fill_keys(uint64_t *keys, uint32_t count, key_shape shape, uint64_t seed)
{
    uint64_t state = seed + shape;
    uint64_t first = ulp_next(&state) % 7;

    first += shape == DENSE_FROM_TOP ? UINT64_MAX - count / 2 : 0;
    first += shape == DENSE_OVER_32 ? (UINT64_C(4) << 32) - count / 2 : 0;
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = first + i;
        if (shape == GAPS)
            first += ulp_next(&state) % 50 == 0;
        if (shape == RANDOM)
            keys[i] = ulp_next(&state);
        if (shape == REPEATED)
            keys[i] = first + i / 5;
    }
    if (shape == BROKEN)
        for (uint32_t i = 13; i < count; i += 60) {
            keys[i - 1]++;
            keys[i]--;
        }
}

static void check_rows(const uint64_t *keys, uint32_t count, uint32_t seed)
{
    uint32_t w[4][ROWS_MAX + GUARD];
    uint64_t key = seed * UINT64_C(0x9e3779b97f4a7c15);

    memset(w, 0xaa, sizeof w);
    kern_philox_rows(key, keys, count, seed, seed / 2, w[0], seed & 1 ? w[1] : NULL,
                     seed & 2 ? w[2] : NULL, seed & 4 ? w[3] : NULL);
    for (uint32_t j = 0; j < 4; j++) {
        uint32_t wanted = j == 0 || seed >> (j - 1) & 1 ? count : 0;

        for (uint32_t i = 0; i < wanted; i++)
            assert_int_equal(w[j][i], kern_philox_row(key, keys[i], seed, seed / 2).w[j]);
        for (uint32_t i = wanted; i < wanted + GUARD; i++)
            assert_int_equal(w[j][i], 0xaaaaaaaa);
    }
}

static void check_one(const uint64_t *keys, uint32_t count, uint32_t seed)
{
    uint32_t w[ROWS_MAX + GUARD];
    uint64_t key = seed * UINT64_C(0x9e3779b97f4a7c15);

    memset(w, 0xaa, sizeof w);
    kern_philox_one(key, keys, count, seed, seed / 2, w);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(w[i], kern_philox_one_row(key, keys[i], seed, seed / 2));
    for (uint32_t i = count; i < count + GUARD; i++)
        assert_int_equal(w[i], 0xaaaaaaaa);
}

static void test_arrays_equal_rows(void **state)
{
    uint64_t keys[ROWS_MAX];

    (void)state;
    for (key_shape shape = 0; shape < SHAPES; shape++)
        for (uint32_t count = 0; count <= ROWS_MAX; count++) {
            fill_keys(keys, count, shape, count);
            check_rows(keys, count, count);
            check_one(keys, count, count);
        }
}

/* Sixteen rows share a block, whose bytes are those of its words, the lowest first. */
static void test_byte_row(void **state)
{
    const uint64_t key = UINT64_C(0x0123456789abcdef), first = (UINT64_C(0xabc) << 32) - 48;

    (void)state;
    for (uint64_t row = first; row < first + 96; row++) {
        kern_words counter = { { (uint32_t)(row / 16), (uint32_t)(row / 16 >> 32), 9, 0xc0000005 } };
        uint32_t word = kern_philox(key, counter).w[row % 16 / 4];

        assert_int_equal(kern_philox_byte_row(key, row, 9, 5), word >> 8 * (row % 4) & 255);
    }
    assert_int_equal(kern_philox_event(0xab, 0x12345678), 0xab123456);
}

static void check_bytes(uint64_t key, uint64_t first, uint32_t blocks)
{
    enum { BLOCKS_MAX = 100 };
    uint8_t bytes[16 * BLOCKS_MAX + GUARD];

    assert_true(blocks <= BLOCKS_MAX);
    memset(bytes, 0xaa, sizeof bytes);
    kern_philox_bytes(key, first, blocks, 9, blocks, bytes);
    for (uint32_t i = 0; i < 16 * blocks; i++)
        assert_int_equal(bytes[i], kern_philox_byte_row(key, 16 * first + i, 9, blocks));
    for (uint32_t i = 16 * blocks; i < 16 * blocks + GUARD; i++)
        assert_int_equal(bytes[i], 0xaa);
}

/* Whole and broken vectors, and a carry into the upper half of the block's number. */
static void test_bytes(void **state)
{
    const uint64_t carry = UINT64_C(1) << 32;

    (void)state;
    for (uint32_t blocks = 0; blocks <= 100; blocks++) {
        check_bytes(UINT64_C(0x0123456789abcdef), 7, blocks);
        check_bytes(UINT64_C(0xfedcba9876543210), carry - 33, blocks);
        check_bytes(blocks, carry - 1, blocks);
    }
}

static void test_bytes_of(void **state)
{
    uint8_t bytes[ROWS_MAX + GUARD];
    uint64_t keys[ROWS_MAX];

    (void)state;
    for (key_shape shape = 0; shape < SHAPES; shape++)
        for (uint32_t count = 0; count <= ROWS_MAX; count++) {
            fill_keys(keys, count, shape, count);
            memset(bytes, 0xaa, sizeof bytes);
            kern_philox_bytes_of(count, keys, count, 4, 1, bytes);
            for (uint32_t i = 0; i < count; i++)
                assert_int_equal(bytes[i], kern_philox_byte_row(count, keys[i], 4, 1));
            for (uint32_t i = count; i < count + GUARD; i++)
                assert_int_equal(bytes[i], 0xaa);
        }
}

static void test_uniforms(void **state)
{
    (void)state;
    assert_true(kern_uniformf(0) == 0.0f);
    assert_true(kern_uniformf(255) == 0.0f);
    assert_true(kern_uniformf(256) == 0x1p-24f);
    assert_true(kern_uniformf(UINT32_MAX) == 0x1.fffffep-1f);
    assert_true(kern_uniformf_positive(0) == 0x1p-24f);
    assert_true(kern_uniformf_positive(UINT32_MAX) == 1.0f);
    assert_true(kern_uniform(0x7ff) == 0.0);
    assert_true(kern_uniform(0x800) == 0x1p-53);
    assert_true(kern_uniform(UINT64_MAX) == 0x1.fffffffffffffp-1);
    assert_true(kern_uniform_positive(0) == 0x1p-53);
    assert_true(kern_uniform_positive(UINT64_MAX) == 1.0);
    assert_true(kern_join(1, 2) == UINT64_C(0x200000001));
}

/* sin of `quarters` quarter turns, an exact double: reduced exactly before pi enters. */
static long double sin_quarters(double quarters)
{
    double n = nearbyint(quarters);
    long double angle = (long double)(quarters - n) * 1.57079632679489661923132169163975144L;
    int quarter = (int)n & 3;
    long double value = quarter & 1 ? cosl(angle) : sinl(angle);

    return quarter & 2 ? -value : value;
}

static void test_normals_accuracy(void **state)
{
    uint64_t stream = 1;
    double worst[2] = { 0.0, 0.0 };

    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t a = ulp_next(&stream), b = ulp_next(&stream);
        uint32_t short_a = (uint32_t)(a >> (32 + i % 32)), short_b = (uint32_t)b;
        kern_normalsf f = kern_normalf(short_a, short_b);
        kern_normals d = kern_normal(a, b);
        long double radius = sqrtl(-2.0L * logl(((long double)short_a + 1) * 0x1p-32L));
        double quarters = (double)short_b * 0x1p-30;
        double error[4];

        error[0] = ulp_f32(f.first, (double)(radius * sin_quarters(quarters + 1.0)));
        error[1] = ulp_f32(f.second, (double)(radius * sin_quarters(quarters)));
        radius = sqrtl(-2.0L * logl(((long double)(a >> 11) + 1) * 0x1p-53L));
        quarters = (double)(b >> 11) * 0x1p-51;
        error[2] = ulp_f64(d.second, radius * sin_quarters(quarters));
        error[3] = ulp_f64(d.first,
                           radius * sin_quarters(quarters < 2.0 ? quarters + 1.0 : quarters - 3.0));
        for (int k = 0; k < 4; k++)
            worst[k / 2] = error[k] > worst[k / 2] ? error[k] : worst[k / 2];
    }
    print_message("  kern_normalf %.4f ulp, kern_normal %.4f ulp\n", worst[0], worst[1]);
    assert_true(worst[0] < 0.501);
    assert_true(worst[1] < 2.5);
}

/* The distribution: moments of 2^20 draws within five standard errors, and the ends. */
static void test_normals_shape(void **state)
{
    const int pairs = 1 << 19;
    double sum[4] = { 0.0 }, product = 0.0, n = 2.0 * pairs;
    kern_normalsf ends = kern_normalf(UINT32_MAX, 0);

    (void)state;
    assert_true(ends.first == 0.0f && ends.second == 0.0f);
    ends = kern_normalf(0, 0);
    assert_true(ends.first > 6.66f && ends.first < 6.67f && ends.second == 0.0f);
    for (int i = 0; i < pairs; i++) {
        kern_words w = kern_philox_row(42, (uint64_t)i, 0, 0);
        kern_normalsf f = kern_normalf(w.w[0], w.w[1]);
        double x[2] = { (double)f.first, (double)f.second };

        product += x[0] * x[1];
        for (int k = 0; k < 2; k++) {
            sum[0] += x[k];
            sum[1] += x[k] * x[k];
            sum[2] += x[k] * x[k] * x[k];
            sum[3] += x[k] * x[k] * x[k] * x[k];
        }
    }
    assert_true(fabs(sum[0] / n) < 5.0 * sqrt(1.0 / n));
    assert_true(fabs(sum[1] / n - 1.0) < 5.0 * sqrt(2.0 / n));
    assert_true(fabs(sum[2] / n) < 5.0 * sqrt(15.0 / n));
    assert_true(fabs(sum[3] / n - 3.0) < 5.0 * sqrt(96.0 / n));
    assert_true(fabs(product / pairs) < 5.0 * sqrt(1.0 / pairs));
}

/* The constant was made by gcc 12 -O3 for x86-64-v3. */
static void test_normals_same_bits(void **state)
{
    enum { BLOCK = 4096 };
    static float f[2][BLOCK];
    static double d[2][BLOCK];
    XXH3_state_t hash;
    XXH128_hash_t digest;
    char text[33];

    (void)state;
    XXH3_128bits_reset(&hash);
    for (uint64_t block = 0; block < 64; block++) {
        for (uint64_t i = 0; i < BLOCK; i++) {
            kern_words w = kern_philox_row(7, block * BLOCK + i, 1, 2);
            kern_normalsf single = kern_normalf(w.w[0], w.w[1]);
            kern_normals pair = kern_normal(kern_join(w.w[0], w.w[1]), kern_join(w.w[2], w.w[3]));

            f[0][i] = single.first;
            f[1][i] = single.second;
            d[0][i] = pair.first;
            d[1][i] = pair.second;
        }
        XXH3_128bits_update(&hash, f, sizeof f);
        XXH3_128bits_update(&hash, d, sizeof d);
    }
    digest = XXH3_128bits_digest(&hash);
    (void)snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)digest.high64,
                   (unsigned long long)digest.low64);
    assert_string_equal(text, "34349811dd6d3163e5862bf5083d2ac2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),     cmocka_unit_test(test_one_is_a_shared_block),
        cmocka_unit_test(test_arrays_equal_rows), cmocka_unit_test(test_byte_row), cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_bytes_of),
        cmocka_unit_test(test_uniforms),
        cmocka_unit_test(test_normals_accuracy),  cmocka_unit_test(test_normals_shape),
        cmocka_unit_test(test_normals_same_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
