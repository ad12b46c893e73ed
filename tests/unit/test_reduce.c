/* kern_reduce: every column type against a plain reading of the rule (lanes, halving), exact
 * integers against 128-bit arithmetic, extremes against brute force, and the tree against its
 * recursive definition. Results are compared by their bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kern_reduce.h"
#include "tests/support/ulp.h"

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

enum { ROWS_MAX = 2100 };

typedef union column {
    float f32[ROWS_MAX];
    double f64[ROWS_MAX];
    int32_t i32[ROWS_MAX];
    int64_t i64[ROWS_MAX];
    uint32_t u32[ROWS_MAX];
    uint64_t u64[ROWS_MAX];
    uint8_t u8[ROWS_MAX];
} column;

static int is_real(kern_type type)
{
    return type == KERN_F32 || type == KERN_F64;
}

static int is_signed(kern_type type)
{
    return type == KERN_I32 || type == KERN_I64;
}

static void put(column *c, kern_type type, uint32_t i, uint64_t u)
{
    double real = ((double)(u >> 11) * 0x1p-52 - 1.0) * kern_f64_from_bits((1000 + u % 40) << 52);

    switch (type) {
    case KERN_F32:
        c->f32[i] = (float)real;
        break;
    case KERN_F64:
        c->f64[i] = real;
        break;
    case KERN_I32:
    case KERN_U32:
        c->u32[i] = (uint32_t)u;
        break;
    case KERN_I64:
    case KERN_U64:
        c->u64[i] = u;
        break;
    case KERN_U8:
        c->u8[i] = (uint8_t)u;
        break;
    }
}

static int128 get_whole(const column *c, kern_type type, uint32_t i)
{
    switch (type) {
    case KERN_I32:
        return c->i32[i];
    case KERN_I64:
        return c->i64[i];
    case KERN_U32:
        return c->u32[i];
    case KERN_U64:
        return c->u64[i];
    default:
        return c->u8[i];
    }
}

static double get_real(const column *c, kern_type type, uint32_t i)
{
    if (type == KERN_F32)
        return (double)c->f32[i];
    return type == KERN_F64 ? c->f64[i] : (double)get_whole(c, type, i);
}

/* Random rows; for integers every fourth is an end of the type. */
static void fill(column *c, kern_type type, uint32_t count, uint64_t seed)
{
    uint64_t state = seed * 8 + type;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t u = ulp_next(&state);

        if (!is_real(type) && u % 4 == 0)
            u = is_signed(type)
                    ? (u & 8 ? UINT64_C(0x8000000080000000) : UINT64_C(0x7fffffff7fffffff))
                    : 0 - (u >> 3 & 1);
        put(c, type, i, u);
    }
}

/* The rule as DESIGN.md words it, one lane after the other. */
static double by_rule(const double *rows, uint32_t count)
{
    double lane[16];

    for (uint32_t j = 0; j < 16; j++) {
        lane[j] = 0.0;
        for (uint32_t i = j; i < count; i += 16)
            lane[j] = lane[j] + rows[i];
    }
    for (int j = 0; j < 8; j++)
        lane[j] = lane[j] + lane[j + 8];
    for (int j = 0; j < 4; j++)
        lane[j] = lane[j] + lane[j + 4];
    return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

static void same(double got, double want)
{
    if (kern_f64_bits(got) != kern_f64_bits(want))
        fail_msg("got %a, want %a", got, want);
}

static void check_sum(const column *c, kern_type type, uint32_t count)
{
    static double rows[ROWS_MAX], squares[ROWS_MAX];
    kern_total total = kern_column_sum(c, type, count);
    kern_moments moments = kern_column_moments(c, type, count);
    int128 whole = 0;

    for (uint32_t i = 0; i < count; i++) {
        rows[i] = get_real(c, type, i);
        whole += is_real(type) ? 0 : get_whole(c, type, i);
    }
    if (is_real(type))
        same(total.real, by_rule(rows, count));
    assert_int_equal(total.whole.low, (uint64_t)whole);
    assert_int_equal(total.whole.high, (uint64_t)(whole >> 64));
    same(kern_total_f64(total, type), is_real(type) ? total.real : (double)whole);
    assert_int_equal(moments.count, count);
    if (count == 0)
        return;
    same(moments.mean, kern_total_f64(total, type) / count);
    for (uint32_t i = 0; i < count; i++)
        squares[i] = (rows[i] - moments.mean) * (rows[i] - moments.mean);
    same(moments.m2, by_rule(squares, count));
}

static void test_sums(void **state)
{
    static column c;

    (void)state;
    for (kern_type type = KERN_F32; type <= KERN_U8; type++)
        for (uint32_t count = 0; count <= ROWS_MAX; count += count < 70 || count > 2030 ? 1 : 37) {
            fill(&c, type, count, count);
            check_sum(&c, type, count);
        }
}

static void test_sum_ends(void **state)
{
    const double inf = 1.0 / 0.0;
    const double zeros[3] = { -0.0, -0.0, -0.0 };
    const double both[3] = { inf, 1.0, -inf };
    uint8_t *many = malloc((1 << 25) + 5);

    (void)state;
    assert_non_null(many);
    same(kern_column_sum(zeros, KERN_F64, 3).real, 0.0);
    same(kern_column_sum(both, KERN_F64, 1).real, inf);
    same(kern_column_sum(both, KERN_F64, 3).real, kern_nan());
    same(kern_column_moments(both, KERN_F64, 3).mean, kern_nan());
    same(kern_column_moments(both, KERN_F64, 3).m2, kern_nan());
    memset(many, 255, (1 << 25) + 5);
    assert_int_equal(kern_column_sum(many, KERN_U8, (1 << 25) + 5).whole.low,
                     255 * ((UINT64_C(1) << 25) + 5));
    free(many);
}

/* Rounding of 128-bit totals, near ties and at every length. */
static void test_int128_rounding(void **state)
{
    uint64_t stream = 3;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t high = ulp_next(&stream), low = ulp_next(&stream);
        int128 whole = (int128)((uint128)high << 64 | low) >> (i % 128);
        kern_int128 ours;

        if (i % 3 == 0) /* few bits at the top, then a tie or next to one */
            whole = (whole >> 70) * ((int128)1 << 70) + (i % 9 == 0 ? (int128)(i % 5) - 2 : 0);
        ours = (kern_int128){ .low = (uint64_t)whole, .high = (uint64_t)(whole >> 64) };
        same(kern_int128_f64(ours), (double)whole);
    }
}

/* ---- extremes ---- */

static int128 whole_of(kern_value v, kern_type type)
{
    return is_signed(type) ? (int128)v.i64 : (int128)v.u64;
}

static void test_integer_extremes(void **state)
{
    static column c;

    (void)state;
    for (kern_type type = KERN_I32; type <= KERN_U8; type++)
        for (uint32_t count = 1; count < 200; count++) {
            int128 least, greatest;

            fill(&c, type, count, count + 77);
            least = greatest = get_whole(&c, type, 0);
            for (uint32_t i = 1; i < count; i++) {
                int128 row = get_whole(&c, type, i);

                least = row < least ? row : least;
                greatest = row > greatest ? row : greatest;
            }
            assert_true(whole_of(kern_column_min(&c, type, count), type) == least);
            assert_true(whole_of(kern_column_max(&c, type, count), type) == greatest);
        }
}

/* Few distinct values, so that both zeros, infinities and NaN meet in small columns. */
static double pick_real(uint64_t u)
{
    const double values[] = { 0.0, -0.0, 1.5, -1.5, 0x1p-140, -0x1p-140, 3.0, -3.0 };

    if (u % 300 == 0)
        return kern_f64_from_bits(UINT64_C(0xfff8000000000000) | u);
    if (u % 31 == 0)
        return u & 32 ? 1.0 / 0.0 : -1.0 / 0.0;
    return values[u >> 9 & (u & 256 ? 1 : 7)];
}

static void test_real_extremes(void **state)
{
    static column c;
    uint64_t stream = 9;
    int nans = 0;

    (void)state;
    for (kern_type type = KERN_F32; type <= KERN_F64; type++)
        for (uint32_t n = 0; n < 4000; n++) {
            uint32_t count = 1 + n % 70;
            double least = 0.0, greatest = 0.0;

            for (uint32_t i = 0; i < count; i++) {
                double row = pick_real(ulp_next(&stream));

                if (type == KERN_F32)
                    c.f32[i] = (float)row;
                else
                    c.f64[i] = row;
                least = i == 0 ? kern_min(row, row) : kern_min(least, row);
                greatest = i == 0 ? kern_max(row, row) : kern_max(greatest, row);
            }
            nans += isnan(least);
            same(kern_column_min(&c, type, count).f64, least);
            same(kern_column_max(&c, type, count).f64, greatest);
        }
    assert_in_range(nans, 100, 4000);
}

/* ---- combining slices ---- */

static void test_combining(void **state)
{
    static column c;

    (void)state;
    for (kern_type type = KERN_F32; type <= KERN_U8; type++) {
        const uint32_t part = 400, size[] = { 0, 4, 8, 4, 8, 4, 8, 1 };
        const char *bytes = (const char *)&c;
        const void *rest = bytes + (size_t)part * size[type];
        kern_moments empty = { 0 }, whole, both;
        kern_total total;

        fill(&c, type, 1000, type);
        total = kern_total_add(kern_column_sum(&c, type, part), kern_column_sum(rest, type, 600));
        whole = kern_column_moments(&c, type, 1000);
        both = kern_moments_add(kern_column_moments(&c, type, part),
                                kern_column_moments(rest, type, 600));
        if (!is_real(type))
            same(kern_total_f64(total, type),
                 kern_total_f64(kern_column_sum(&c, type, 1000), type));
        assert_int_equal(both.count, 1000);
        assert_true(fabs(both.mean - whole.mean) <= 1e-12 * sqrt(whole.m2 / 1000));
        assert_true(fabs(both.m2 - whole.m2) <= 1e-12 * whole.m2);
        both = kern_moments_add(empty, kern_moments_add(whole, empty));
        assert_memory_equal(&both, &whole, sizeof both);
        assert_true(whole_of(kern_value_min(kern_column_min(&c, type, part),
                                            kern_column_min(rest, type, 600), type),
                             type) == whole_of(kern_column_min(&c, type, 1000), type));
        assert_true(whole_of(kern_value_max(kern_column_max(&c, type, part),
                                            kern_column_max(rest, type, 600), type),
                             type) == whole_of(kern_column_max(&c, type, 1000), type));
    }
}

/* ---- the tree: values are texts, so that a result shows how it was put together ---- */

typedef struct text {
    char s[1024];
} text;

static void combine_texts(void *left, const void *right, void *user)
{
    text *l = left;
    text joined;

    *(int *)user += 1;
    (void)snprintf(joined.s, sizeof joined.s, "(%.500s %.500s)", l->s, ((const text *)right)->s);
    *l = joined;
}

/* The definition: the node over [begin, begin + 2^level). */
static text node(const uint32_t *numbers, int count, uint64_t begin, int level)
{
    uint64_t end = begin + (UINT64_C(1) << level);
    text left = { "" }, right = { "" }, whole;
    int inside = 0;

    for (int i = 0; i < count; i++)
        if (numbers[i] >= begin && numbers[i] < end) {
            (void)snprintf(left.s, sizeof left.s, "%x", numbers[i]);
            inside++;
        }
    if (inside <= 1)
        return left;
    left = node(numbers, count, begin, level - 1);
    right = node(numbers, count, begin + (UINT64_C(1) << (level - 1)), level - 1);
    if (left.s[0] == '\0' || right.s[0] == '\0')
        return left.s[0] != '\0' ? left : right;
    (void)snprintf(whole.s, sizeof whole.s, "(%.500s %.500s)", left.s, right.s);
    return whole;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Up to `wanted` distinct numbers below 2^bits, ascending. */
static int choose_numbers(uint32_t *numbers, int wanted, int bits, uint64_t *stream)
{
    int count = 0;

    for (int i = 0; i < wanted; i++)
        numbers[i] = (uint32_t)(ulp_next(stream) >> (64 - bits));
    qsort(numbers, (size_t)wanted, sizeof *numbers, ascending);
    for (int i = 0; i < wanted; i++)
        if (i == 0 || numbers[i] != numbers[i - 1])
            numbers[count++] = numbers[i];
    return count;
}

static void check_tree(const uint32_t *numbers, int count, int bits)
{
    static text values[KERN_TREE_DEPTH];
    int combined = 0;
    kern_tree tree;
    const text *got;

    kern_tree_init(&tree, values, sizeof *values, combine_texts, &combined);
    for (int i = 0; i < count; i++) {
        text value = { "" };

        (void)snprintf(value.s, sizeof value.s, "%x", numbers[i]);
        kern_tree_put(&tree, numbers[i], &value);
    }
    got = kern_tree_end(&tree);
    assert_null(kern_tree_end(&tree));
    if (count == 0) {
        assert_null(got);
        return;
    }
    assert_int_equal(combined, count - 1);
    assert_string_equal(got->s, node(numbers, count, 0, bits).s);
    assert_string_equal(got->s, node(numbers, count, 0, 32).s);
}

static void test_tree(void **state)
{
    uint64_t stream = 5;
    uint32_t numbers[48];

    (void)state;
    for (int bits = 1; bits <= 32; bits++)
        for (int wanted = 0; wanted <= 48; wanted++)
            check_tree(numbers, choose_numbers(numbers, wanted, bits, &stream), bits);
}

/* The numbers 0, 1, 3, 7, ... in reverse bits keep every level open: the deepest stack. */
static void test_tree_deepest(void **state)
{
    uint32_t numbers[33];

    (void)state;
    for (int i = 0; i < 33; i++)
        numbers[i] = i == 0 ? 0 : UINT32_MAX << (32 - i);
    check_tree(numbers, 33, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_sum_ends),
        cmocka_unit_test(test_int128_rounding),
        cmocka_unit_test(test_integer_extremes),
        cmocka_unit_test(test_real_extremes),
        cmocka_unit_test(test_combining),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_tree_deepest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
