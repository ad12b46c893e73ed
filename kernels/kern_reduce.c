/* Column reductions. Floating-point rows pass through a small block of f64 on the stack, so that
 * the lane sums are written once for all column types; a block is a multiple of 16 rows, and so a
 * row's lane is its place in the block mod 16. */
#include "kernels/kern_reduce.h"

#include <assert.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

enum {
    REDUCE_LANES = 16,
    REDUCE_BLOCK = 512,
    REDUCE_VECTOR = KERN_LANES / 2, /* f64 lanes of the hardware */
    REDUCE_VECTORS = REDUCE_LANES / REDUCE_VECTOR,
};

typedef double reduce_v __attribute__((vector_size(8 * REDUCE_VECTOR)));

_Static_assert(REDUCE_BLOCK % REDUCE_LANES == 0, "a row's lane must not depend on its block");

/* ---- sums in lanes ---- */

#define REDUCE_WIDEN(name, type)                                                                   \
    static void reduce_widen_##name(double *restrict to, const type *restrict from,                \
                                    uint32_t count)                                                \
    {                                                                                              \
        for (uint32_t i = 0; i < count; i++)                                                       \
            to[i] = (double)from[i];                                                               \
    }
REDUCE_WIDEN(f32, float)
REDUCE_WIDEN(f64, double)
REDUCE_WIDEN(i32, int32_t)
REDUCE_WIDEN(i64, int64_t)
REDUCE_WIDEN(u32, uint32_t)
REDUCE_WIDEN(u64, uint64_t)
REDUCE_WIDEN(u8, uint8_t)

/* Rows [begin, begin + count) of a column as f64. */
static void reduce_widen(double *to, const void *column, kern_type type, size_t begin,
                         uint32_t count)
{
    switch (type) {
    case KERN_F32:
        reduce_widen_f32(to, (const float *)column + begin, count);
        break;
    case KERN_F64:
        reduce_widen_f64(to, (const double *)column + begin, count);
        break;
    case KERN_I32:
        reduce_widen_i32(to, (const int32_t *)column + begin, count);
        break;
    case KERN_I64:
        reduce_widen_i64(to, (const int64_t *)column + begin, count);
        break;
    case KERN_U32:
        reduce_widen_u32(to, (const uint32_t *)column + begin, count);
        break;
    case KERN_U64:
        reduce_widen_u64(to, (const uint64_t *)column + begin, count);
        break;
    case KERN_U8:
        reduce_widen_u8(to, (const uint8_t *)column + begin, count);
        break;
    }
}

/* Adds the first `count` rows, a multiple of 16, to the lanes. */
static void reduce_add(double lanes[REDUCE_LANES], const double *rows, uint32_t count)
{
    reduce_v sum[REDUCE_VECTORS];
    reduce_v row;

    memcpy(sum, lanes, sizeof sum);
    for (uint32_t i = 0; i < count; i += REDUCE_LANES)
        for (uint32_t j = 0; j < REDUCE_VECTORS; j++) {
            memcpy(&row, rows + i + j * REDUCE_VECTOR, sizeof row);
            sum[j] += row;
        }
    memcpy(lanes, sum, sizeof sum);
}

/* The same with the squares of the deviations from the mean. */
static void reduce_add_squares(double lanes[REDUCE_LANES], const double *rows, uint32_t count,
                               double mean)
{
    reduce_v sum[REDUCE_VECTORS];
    reduce_v row;

    memcpy(sum, lanes, sizeof sum);
    for (uint32_t i = 0; i < count; i += REDUCE_LANES)
        for (uint32_t j = 0; j < REDUCE_VECTORS; j++) {
            memcpy(&row, rows + i + j * REDUCE_VECTOR, sizeof row);
            row -= mean;
            sum[j] += row * row;
        }
    memcpy(lanes, sum, sizeof sum);
}

static double reduce_halve(double lanes[REDUCE_LANES])
{
    for (int half = REDUCE_LANES / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            lanes[j] += lanes[j + half];
    return kern_canonical(lanes[0]);
}

static double reduce_sum(const void *column, kern_type type, uint32_t count)
{
    double rows[REDUCE_BLOCK];
    double lanes[REDUCE_LANES] = { 0 };

    for (size_t begin = 0; begin < count; begin += REDUCE_BLOCK) {
        uint32_t here = count - begin < REDUCE_BLOCK ? (uint32_t)(count - begin) : REDUCE_BLOCK;
        uint32_t whole = here / REDUCE_LANES * REDUCE_LANES;

        reduce_widen(rows, column, type, begin, here);
        reduce_add(lanes, rows, whole);
        for (uint32_t i = whole; i < here; i++)
            lanes[i - whole] += rows[i];
    }
    return reduce_halve(lanes);
}

static double reduce_squares(const void *column, kern_type type, uint32_t count, double mean)
{
    double rows[REDUCE_BLOCK];
    double lanes[REDUCE_LANES] = { 0 };

    for (size_t begin = 0; begin < count; begin += REDUCE_BLOCK) {
        uint32_t here = count - begin < REDUCE_BLOCK ? (uint32_t)(count - begin) : REDUCE_BLOCK;
        uint32_t whole = here / REDUCE_LANES * REDUCE_LANES;

        reduce_widen(rows, column, type, begin, here);
        reduce_add_squares(lanes, rows, whole, mean);
        for (uint32_t i = whole; i < here; i++)
            lanes[i - whole] += (rows[i] - mean) * (rows[i] - mean);
    }
    return reduce_halve(lanes);
}

/* ---- exact integer sums ---- */

static uint64_t reduce_sum_i32(const int32_t *rows, uint32_t count)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < count; i++)
        sum += rows[i];
    return (uint64_t)sum;
}

static uint64_t reduce_sum_u32(const uint32_t *rows, uint32_t count)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < count; i++)
        sum += rows[i];
    return sum;
}

/* Bytes that the machine adds up in one instruction, to 64-bit lanes. */
#if defined(__AVX512BW__)
enum { REDUCE_BYTES = 64 };
typedef __m512i reduce_bytes;

static inline reduce_bytes reduce_add_bytes(reduce_bytes sum, const uint8_t *rows, uint32_t count)
{
    __m512i some = _mm512_maskz_loadu_epi8(UINT64_MAX >> (REDUCE_BYTES - count), rows);

    return _mm512_add_epi64(sum, _mm512_sad_epu8(some, _mm512_setzero_si512()));
}
#elif defined(__AVX2__)
enum { REDUCE_BYTES = 32 };
typedef __m256i reduce_bytes;

static inline reduce_bytes reduce_add_bytes(reduce_bytes sum, const uint8_t *rows, uint32_t count)
{
    uint8_t whole[REDUCE_BYTES];
    __m256i some;

    if (count < REDUCE_BYTES) {
        memset(whole, 0, sizeof whole);
        memcpy(whole, rows, count);
        rows = whole;
    }
    some = _mm256_loadu_si256((const __m256i *)(const void *)rows);
    return _mm256_add_epi64(sum, _mm256_sad_epu8(some, _mm256_setzero_si256()));
}
#else
enum { REDUCE_BYTES = 8 };
typedef uint64_t reduce_bytes;

static inline reduce_bytes reduce_add_bytes(reduce_bytes sum, const uint8_t *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        sum += rows[i];
    return sum;
}
#endif

static uint64_t reduce_sum_u8(const uint8_t *rows, uint32_t count)
{
    reduce_bytes sums = { 0 };
    uint64_t lanes[sizeof sums / sizeof(uint64_t)], sum = 0;
    uint32_t i = 0;

    for (; count - i >= REDUCE_BYTES; i += REDUCE_BYTES)
        sums = reduce_add_bytes(sums, rows + i, REDUCE_BYTES);
    if (i < count)
        sums = reduce_add_bytes(sums, rows + i, count - i);
    memcpy(lanes, &sums, sizeof sums);
    for (uint32_t lane = 0; lane < sizeof sums / sizeof(uint64_t); lane++)
        sum += lanes[lane];
    return sum;
}

/* Halves of 32 bits are summed apart: 2^32 of them fit in 64 bits. `flip` is the sign bit for
 * signed rows, which adds 2^63 to each; the caller takes it off. */
static kern_int128 reduce_sum_64(const uint64_t *rows, uint32_t count, uint64_t flip)
{
    uint64_t low = 0, high = 0;
    kern_int128 lower, upper;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t row = rows[i] ^ flip;

        low += row & UINT32_MAX;
        high += row >> 32;
    }
    lower = (kern_int128){ .low = low, .high = 0 };
    upper = (kern_int128){ .low = high << 32, .high = high >> 32 };
    return kern_int128_add(lower, upper);
}

static kern_int128 reduce_sum_i64(const int64_t *rows, uint32_t count)
{
    kern_int128 flipped = reduce_sum_64((const uint64_t *)rows, count, KERN_SIGN_BIT);
    kern_int128 excess; /* -count * 2^63 */

    excess.low = (uint64_t)count << 63;
    excess.high = 0 - ((uint64_t)count >> 1) - (count & 1);
    return kern_int128_add(flipped, excess);
}

static kern_int128 reduce_whole(uint64_t sum, int is_signed)
{
    return (kern_int128){ .low = sum, .high = is_signed ? 0 - (sum >> 63) : 0 };
}

kern_total kern_column_sum(const void *column, kern_type type, uint32_t count)
{
    kern_total total = { 0 };

    switch (type) {
    case KERN_F32:
    case KERN_F64:
        total.real = reduce_sum(column, type, count);
        break;
    case KERN_I32:
        total.whole = reduce_whole(reduce_sum_i32(column, count), 1);
        break;
    case KERN_I64:
        total.whole = reduce_sum_i64(column, count);
        break;
    case KERN_U32:
        total.whole = reduce_whole(reduce_sum_u32(column, count), 0);
        break;
    case KERN_U64:
        total.whole = reduce_sum_64(column, count, 0);
        break;
    case KERN_U8:
        total.whole = reduce_whole(reduce_sum_u8(column, count), 0);
        break;
    }
    return total;
}

kern_moments kern_column_moments(const void *column, kern_type type, uint32_t count)
{
    kern_moments moments = { .count = count };

    if (count == 0)
        return moments;
    moments.mean = kern_total_f64(kern_column_sum(column, type, count), type) / (double)count;
    moments.mean = kern_canonical(moments.mean);
    moments.m2 = reduce_squares(column, type, count, moments.mean);
    return moments;
}

/* ---- extremes ---- */

#define REDUCE_EXTREMES(name, type)                                                                \
    static type reduce_min_##name(const type *rows, uint32_t count)                                \
    {                                                                                              \
        type least = rows[0];                                                                      \
                                                                                                   \
        for (uint32_t i = 0; i < count; i++)                                                       \
            least = rows[i] < least ? rows[i] : least;                                             \
        return least;                                                                              \
    }                                                                                              \
                                                                                                   \
    static type reduce_max_##name(const type *rows, uint32_t count)                                \
    {                                                                                              \
        type greatest = rows[0];                                                                   \
                                                                                                   \
        for (uint32_t i = 0; i < count; i++)                                                       \
            greatest = rows[i] > greatest ? rows[i] : greatest;                                    \
        return greatest;                                                                           \
    }
REDUCE_EXTREMES(i32, int32_t)
REDUCE_EXTREMES(i64, int64_t)
REDUCE_EXTREMES(u32, uint32_t)
REDUCE_EXTREMES(u64, uint64_t)
REDUCE_EXTREMES(u8, uint8_t)

/* A float's bits as an integer of the same order: the size bits of negative numbers are turned
 * over. It is its own inverse. -0 comes just below +0, so integer extremes are kern_min's. */
static inline int32_t reduce_order_f32(uint32_t bits)
{
    return (int32_t)(bits ^ ((0 - (bits >> 31)) >> 1));
}

static inline int64_t reduce_order_f64(uint64_t bits)
{
    return (int64_t)(bits ^ ((0 - (bits >> 63)) >> 1));
}

/* `turn`: 0 for the minimum; all ones turn the order over, for the maximum. */
static double reduce_extreme_f32(const float *rows, uint32_t count, int32_t turn)
{
    int32_t least = INT32_MAX;
    uint32_t is_nan = 0;

    for (uint32_t i = 0; i < count; i++) {
        int32_t order = reduce_order_f32(kern_f32_bits(rows[i])) ^ turn;

        least = order < least ? order : least;
        is_nan |= rows[i] != rows[i];
    }
    if (is_nan)
        return kern_nan();
    return (double)kern_f32_from_bits((uint32_t)reduce_order_f32((uint32_t)(least ^ turn)));
}

static double reduce_extreme_f64(const double *rows, uint32_t count, int64_t turn)
{
    int64_t least = INT64_MAX;
    uint64_t is_nan = 0;

    for (uint32_t i = 0; i < count; i++) {
        int64_t order = reduce_order_f64(kern_f64_bits(rows[i])) ^ turn;

        least = order < least ? order : least;
        is_nan |= rows[i] != rows[i];
    }
    if (is_nan)
        return kern_nan();
    return kern_f64_from_bits((uint64_t)reduce_order_f64((uint64_t)(least ^ turn)));
}

kern_value kern_column_min(const void *column, kern_type type, uint32_t count)
{
    assert(count > 0);
    switch (type) {
    case KERN_F32:
        return (kern_value){ .f64 = reduce_extreme_f32(column, count, 0) };
    case KERN_F64:
        return (kern_value){ .f64 = reduce_extreme_f64(column, count, 0) };
    case KERN_I32:
        return (kern_value){ .i64 = reduce_min_i32(column, count) };
    case KERN_I64:
        return (kern_value){ .i64 = reduce_min_i64(column, count) };
    case KERN_U32:
        return (kern_value){ .u64 = reduce_min_u32(column, count) };
    case KERN_U64:
        return (kern_value){ .u64 = reduce_min_u64(column, count) };
    case KERN_U8:
        return (kern_value){ .u64 = reduce_min_u8(column, count) };
    }
    return (kern_value){ 0 };
}

kern_value kern_column_max(const void *column, kern_type type, uint32_t count)
{
    assert(count > 0);
    switch (type) {
    case KERN_F32:
        return (kern_value){ .f64 = reduce_extreme_f32(column, count, -1) };
    case KERN_F64:
        return (kern_value){ .f64 = reduce_extreme_f64(column, count, -1) };
    case KERN_I32:
        return (kern_value){ .i64 = reduce_max_i32(column, count) };
    case KERN_I64:
        return (kern_value){ .i64 = reduce_max_i64(column, count) };
    case KERN_U32:
        return (kern_value){ .u64 = reduce_max_u32(column, count) };
    case KERN_U64:
        return (kern_value){ .u64 = reduce_max_u64(column, count) };
    case KERN_U8:
        return (kern_value){ .u64 = reduce_max_u8(column, count) };
    }
    return (kern_value){ 0 };
}

/* ---- the tree ---- */

/* Why the stack gives the tree: two neighbours on it, a < b, meet in the smallest node that holds
 * both, and its size is the power of two above a ^ b. When c > b arrives, every meeting in a node
 * smaller than that of b and c is complete, because that node ends before c. Meetings on the stack
 * shrink toward its top, so those are the uppermost ones, and they are combined top first. */

static unsigned char *tree_value(const kern_tree *tree, uint32_t index)
{
    return tree->values + index * tree->size;
}

static void tree_combine_top(kern_tree *tree)
{
    tree->count--;
    tree->combine(tree_value(tree, tree->count - 1), tree_value(tree, tree->count), tree->user);
}

/* Is the smallest node that holds the first pair smaller than that of the second? The highest set
 * bits of two exclusive ors are compared: that of y is above that of x if x < y and x < (x ^ y). */
static int tree_meets_below(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t x = a ^ b, y = b ^ c;

    return x < y && x < (x ^ y);
}

void kern_tree_init(kern_tree *tree, void *values, size_t size, kern_combine combine, void *user)
{
    *tree = (kern_tree){ .combine = combine, .user = user, .values = values, .size = size };
}

void kern_tree_put(kern_tree *tree, uint32_t number, const void *value)
{
    assert(tree->count == 0 || number > tree->numbers[tree->count - 1]);
    while (tree->count >= 2 &&
           tree_meets_below(tree->numbers[tree->count - 2], tree->numbers[tree->count - 1], number))
        tree_combine_top(tree);
    assert(tree->count < KERN_TREE_DEPTH);
    tree->numbers[tree->count] = number;
    memcpy(tree_value(tree, tree->count), value, tree->size);
    tree->count++;
}

void *kern_tree_end(kern_tree *tree)
{
    if (tree->count == 0)
        return NULL;
    while (tree->count >= 2)
        tree_combine_top(tree);
    tree->count = 0;
    return tree->values;
}
