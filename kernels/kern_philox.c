/* Philox over arrays of rows. A lane is a row, or, for runs of one-word draws, a block of four
 * rows. Each 32-bit word stands in the low half of a 64-bit lane, because the machine's widening
 * multiply (vpmuludq) reads low halves and ignores what the high halves hold: so a round is two
 * multiplies, two shifts and four exclusive ors per vector, with nothing to mask or to shuffle. */
#include "kernels/kern_philox.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

enum {
    PHILOX_LANES = KERN_LANES / 2,
    PHILOX_RUN = 4 * PHILOX_LANES, /* rows that one vector of shared blocks serves */
};

typedef uint64_t philox_v __attribute__((vector_size(8 * PHILOX_LANES)));
typedef uint32_t philox_half __attribute__((vector_size(4 * PHILOX_LANES)));

/* What does not change from vector to vector. */
typedef struct philox_plan {
    uint64_t k0[KERN_PHILOX_ROUNDS];
    uint64_t k1[KERN_PHILOX_ROUNDS];
    uint32_t step;
    uint32_t block;
} philox_plan;

typedef struct philox_block {
    philox_v w[4]; /* high halves: anything */
} philox_block;

/* The three places that need the machine's own names. philox_mul is the product of the low halves:
 * gcc does not find the instruction in (a & mask) * b and emits three multiplies (v3) or the slow
 * 64-bit one (v4). */
#if defined(__AVX512F__)
static inline philox_v philox_mul(philox_v a, uint32_t b)
{
    return (philox_v)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64((long long)b));
}

static inline int philox_is_zero(philox_v a)
{
    return _mm512_test_epi64_mask((__m512i)a, (__m512i)a) == 0;
}
#elif defined(__AVX2__)
static inline philox_v philox_mul(philox_v a, uint32_t b)
{
    return (philox_v)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x((long long)b));
}

static inline int philox_is_zero(philox_v a)
{
    return _mm256_testz_si256((__m256i)a, (__m256i)a);
}
#else
static inline philox_v philox_mul(philox_v a, uint32_t b)
{
    return (a & UINT32_MAX) * (uint64_t)b;
}

static inline int philox_is_zero(philox_v a)
{
    uint64_t any = 0;

    for (int i = 0; i < PHILOX_LANES; i++)
        any |= a[i];
    return any == 0;
}
#endif

static philox_plan philox_prepare(uint64_t key, uint32_t step, uint32_t block)
{
    philox_plan plan = { .step = step, .block = block };
    uint32_t k0 = (uint32_t)key;
    uint32_t k1 = (uint32_t)(key >> 32);

    for (int round = 0; round < KERN_PHILOX_ROUNDS; round++) {
        plan.k0[round] = k0;
        plan.k1[round] = k1;
        k0 += KERN_PHILOX_W0;
        k1 += KERN_PHILOX_W1;
    }
    return plan;
}

/* The blocks of PHILOX_LANES 64-bit row numbers. */
static inline philox_block philox_lanes(const philox_plan *plan, philox_v row)
{
    philox_v a = row;
    philox_v b = row >> 32;
    philox_v c = (philox_v){ 0 } + plan->step;
    philox_v d = (philox_v){ 0 } + plan->block;

    for (int round = 0; round < KERN_PHILOX_ROUNDS; round++) {
        philox_v p0 = philox_mul(a, KERN_PHILOX_M0);
        philox_v p1 = philox_mul(c, KERN_PHILOX_M1);

        a = (p1 >> 32) ^ b ^ plan->k0[round];
        b = p1;
        c = (p0 >> 32) ^ d ^ plan->k1[round];
        d = p0;
    }
    return (philox_block){ { a, b, c, d } };
}

static inline philox_v philox_load(const uint64_t *from)
{
    philox_v v;

    memcpy(&v, from, sizeof v);
    return v;
}

static inline void philox_store(uint32_t *to, philox_v v)
{
    philox_half low = __builtin_convertvector(v, philox_half);

    memcpy(to, &low, sizeof low);
}

/* ---- four words a row ---- */

typedef struct philox_out {
    uint32_t *w[4];
} philox_out;

static inline void philox_rows_at(const philox_plan *plan, const uint64_t *row_keys, philox_out out,
                                  size_t at)
{
    philox_block block = philox_lanes(plan, philox_load(row_keys));

    for (int j = 0; j < 4; j++)
        if (out.w[j] != NULL)
            philox_store(out.w[j] + at, block.w[j]);
}

/* Fewer rows than lanes: through a full vector on the stack. */
static void philox_rows_tail(const philox_plan *plan, const uint64_t *row_keys, uint32_t count,
                             philox_out out, size_t at)
{
    uint64_t keys[PHILOX_LANES] = { 0 };
    uint32_t words[4][PHILOX_LANES];
    philox_out all = { { words[0], words[1], words[2], words[3] } };

    memcpy(keys, row_keys, count * sizeof *keys);
    philox_rows_at(plan, keys, all, 0);
    for (int j = 0; j < 4; j++)
        if (out.w[j] != NULL)
            memcpy(out.w[j] + at, words[j], count * sizeof *words[j]);
}

void kern_philox_rows(uint64_t key, const uint64_t *row_keys, uint32_t count, uint32_t step,
                      uint32_t block, uint32_t *w0, uint32_t *w1, uint32_t *w2, uint32_t *w3)
{
    philox_plan plan = philox_prepare(key, step, block);
    philox_out out = { { w0, w1, w2, w3 } };
    uint32_t i = 0;

    for (; count - i >= PHILOX_LANES; i += PHILOX_LANES)
        philox_rows_at(&plan, row_keys + i, out, i);
    if (i < count)
        philox_rows_tail(&plan, row_keys + i, count - i, out, i);
}

/* ---- one word a row ---- */

/* Each lane's word: bits 0 and 1 of its row key choose. */
static inline philox_v philox_choose(philox_block block, philox_v row_key)
{
    philox_v odd = -(row_key & 1);
    philox_v upper = -(row_key >> 1 & 1);
    philox_v low = (block.w[0] & ~odd) | (block.w[1] & odd);
    philox_v high = (block.w[2] & ~odd) | (block.w[3] & odd);

    return (low & ~upper) | (high & upper);
}

static inline void philox_one_at(const philox_plan *plan, const uint64_t *row_keys, uint32_t *w)
{
    philox_v keys = philox_load(row_keys);

    philox_store(w, philox_choose(philox_lanes(plan, keys >> 2), keys));
}

static void philox_one_tail(const philox_plan *plan, const uint64_t *row_keys, uint32_t count,
                            uint32_t *w)
{
    uint64_t keys[PHILOX_LANES] = { 0 };
    uint32_t words[PHILOX_LANES];

    memcpy(keys, row_keys, count * sizeof *keys);
    philox_one_at(plan, keys, words);
    memcpy(w, words, count * sizeof *w);
}

static inline philox_v philox_count_up(uint64_t from)
{
    static const uint64_t lanes[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };

    return philox_load(lanes) + from;
}

/* Do PHILOX_RUN rows start here, with keys that count up by one from a multiple of four? A run must
 * not pass 2^64, where the row keys would wrap but the block numbers not. */
static inline int philox_is_run(const uint64_t *row_keys, uint32_t count)
{
    philox_v differ = { 0 };

    if (count < PHILOX_RUN || (row_keys[0] & 3) != 0 || row_keys[0] > UINT64_MAX - PHILOX_RUN)
        return 0;
    for (uint32_t i = 0; i < PHILOX_RUN; i += PHILOX_LANES)
        differ |= philox_load(row_keys + i) ^ philox_count_up(row_keys[0] + i);
    return philox_is_zero(differ);
}

/* Puts the lanes of a and b side by side: a0 b0 a1 b1 ... */
#if KERN_LANES == 16
static inline void philox_store_pairs(uint32_t *w, philox_v a, philox_v b)
{
    philox_v first = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    philox_v second = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);

    memcpy(w, &first, sizeof first);
    memcpy(w + PHILOX_RUN / 2, &second, sizeof second);
}
#else
static inline void philox_store_pairs(uint32_t *w, philox_v a, philox_v b)
{
    philox_v first = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    philox_v second = __builtin_shufflevector(a, b, 2, 6, 3, 7);

    memcpy(w, &first, sizeof first);
    memcpy(w + PHILOX_RUN / 2, &second, sizeof second);
}
#endif

/* One vector of blocks for PHILOX_RUN rows. Words 0 and 1 of a block become one little-endian
 * 64-bit lane, words 2 and 3 another. */
static inline void philox_one_run(const philox_plan *plan, uint64_t first_key, uint32_t *w)
{
    philox_block block = philox_lanes(plan, philox_count_up(first_key >> 2));

    philox_store_pairs(w, (block.w[0] & UINT32_MAX) | block.w[1] << 32,
                       (block.w[2] & UINT32_MAX) | block.w[3] << 32);
}

/* How many rows to take one by one: up to the next run's start if one is at most three rows ahead,
 * else a vector of them. */
static inline uint32_t philox_single_rows(const uint64_t *row_keys, uint32_t count)
{
    uint32_t ahead = (uint32_t)(0 - row_keys[0]) & 3;

    if (ahead != 0 && ahead < count && philox_is_run(row_keys + ahead, count - ahead))
        return ahead;
    return count < PHILOX_LANES ? count : PHILOX_LANES;
}

void kern_philox_one(uint64_t key, const uint64_t *row_keys, uint32_t count, uint32_t step,
                     uint32_t draw, uint32_t *w)
{
    philox_plan plan = philox_prepare(key, step, draw | KERN_PHILOX_ONE);
    uint32_t taken;

    for (uint32_t i = 0; i < count; i += taken) {
        if (philox_is_run(row_keys + i, count - i)) {
            philox_one_run(&plan, row_keys[i], w + i);
            taken = PHILOX_RUN;
            continue;
        }
        taken = philox_single_rows(row_keys + i, count - i);
        if (taken == PHILOX_LANES)
            philox_one_at(&plan, row_keys + i, w + i);
        else
            philox_one_tail(&plan, row_keys + i, taken, w + i);
    }
}

/* ---- one word a row, where it is wanted ---- */

enum {
    PHILOX_LIST = 256,                       /* blocks that are listed at a time */
    PHILOX_LIST_ROOM = PHILOX_LIST + 16,     /* whole vectors are stored and read */
};

/* The numbers of the blocks, first .. end - 1, of which a row is wanted, into list; how many. */
#if defined(__AVX512F__)
static uint32_t philox_list(const uint8_t *wanted, uint32_t first, uint32_t end, uint32_t *list)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint32_t count = 0;

    for (uint32_t b = first; b < end; b += 16) {
        __mmask16 inside = end - b < 16 ? (__mmask16)((1u << (end - b)) - 1) : 0xffff;
        __m512i rows = _mm512_maskz_loadu_epi32(inside, wanted + 4 * (size_t)b);
        __mmask16 any = _mm512_test_epi32_mask(rows, rows);
        __m512i numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)b));

        _mm512_storeu_si512(list + count, _mm512_maskz_compress_epi32(any, numbers));
        count += (uint32_t)__builtin_popcount(any);
    }
    return count;
}
#else
static uint32_t philox_list(const uint8_t *wanted, uint32_t first, uint32_t end, uint32_t *list)
{
    uint32_t count = 0;

    for (uint32_t b = first; b < end; b++) {
        uint32_t rows;
        memcpy(&rows, wanted + 4 * (size_t)b, sizeof rows);
        list[count] = b;
        count += rows != 0;
    }
    return count;
}
#endif

/* The words of PHILOX_LANES listed blocks, each to its place; `adjoin`: the blocks follow one another. */
static inline void philox_store_listed(const philox_block *block, const uint32_t *list, int adjoin,
                                       uint32_t *w)
{
    uint32_t words[4 * PHILOX_LANES];
    philox_v low = (block->w[0] & UINT32_MAX) | block->w[1] << 32;
    philox_v high = (block->w[2] & UINT32_MAX) | block->w[3] << 32;

    if (adjoin) {
        philox_store_pairs(w + 4 * (size_t)list[0], low, high);
        return;
    }
    philox_store_pairs(words, low, high);
    for (uint32_t i = 0; i < PHILOX_LANES; i++)
        memcpy(w + 4 * (size_t)list[i], words + 4 * i, 16);
}

static inline philox_v philox_load_half(const uint32_t *from)
{
    philox_half v;

    memcpy(&v, from, sizeof v);
    return __builtin_convertvector(v, philox_v);
}

static void philox_draw_listed(const philox_plan *plan, uint64_t first_block, uint32_t *list,
                               uint32_t count, uint32_t *w)
{
    for (uint32_t i = count; i < count + PHILOX_LANES; i++)
        list[i] = list[count - 1]; /* the last vector draws it again */
    for (uint32_t i = 0; i < count; i += PHILOX_LANES) {
        philox_block block = philox_lanes(plan, philox_load_half(list + i) + first_block);
        int adjoin = i + PHILOX_LANES <= count &&
                     list[i + PHILOX_LANES - 1] - list[i] == PHILOX_LANES - 1;

        philox_store_listed(&block, list + i, adjoin, w);
    }
}

void kern_philox_one_wanted(uint64_t key, uint64_t first_block, const uint8_t *wanted,
                            uint32_t block_count, uint32_t step, uint32_t draw, uint32_t *w)
{
    philox_plan plan = philox_prepare(key, step, draw | KERN_PHILOX_ONE);
    uint32_t list[PHILOX_LIST_ROOM];

    for (uint32_t first = 0; first < block_count; first += PHILOX_LIST) {
        uint32_t end = block_count - first < PHILOX_LIST ? block_count : first + PHILOX_LIST;
        uint32_t count = philox_list(wanted, first, end, list);

        if (count > 0)
            philox_draw_listed(&plan, first_block, list, count, w);
    }
}
