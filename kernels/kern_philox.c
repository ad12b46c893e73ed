/* Philox over arrays of rows. A lane is a row, or, for runs of one-word draws, a block of four
 * rows. Each 32-bit word stands in the low half of a 64-bit lane, because the machine's widening
 * multiply (vpmuludq) reads low halves and ignores what the high halves hold: so a round is two
 * multiplies, two shifts and four exclusive ors per vector, with nothing to mask or to shuffle. */
#include "kernels/kern_philox.h"

#include <stdbool.h>

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

/* The places that need the machine's own names. philox_mul is the product of the low halves:
 * gcc does not find the instruction in (a & mask) * b and emits three multiplies (v3) or the slow
 * 64-bit one (v4). philox_join is the upper half of p, changed by b and k, with the lower half of p above
 * it: two words of a block after the last round. philox_widen is one instruction where gcc emits four. */
#if defined(__AVX512F__)
static inline philox_v philox_mul(philox_v a, uint32_t b)
{
    return (philox_v)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64((long long)b));
}

static inline philox_v philox_join(philox_v p, philox_v b, uint64_t k)
{
    __m512i turned = _mm512_ror_epi64((__m512i)p, 32);

    return (philox_v)_mm512_mask_ternarylogic_epi32(turned, 0x5555, (__m512i)b,
                                                    _mm512_set1_epi64((long long)k), 0x96);
}

static inline philox_v philox_widen(philox_half a)
{
    return (philox_v)_mm512_cvtepu32_epi64((__m256i)a);
}

static inline int philox_is_zero(philox_v a)
{
    return _mm512_test_epi64_mask((__m512i)a, (__m512i)a) == 0;
}
#else
static inline philox_v philox_join(philox_v p, philox_v b, uint64_t k)
{
    return (((p >> 32) ^ b ^ k) & UINT32_MAX) | p << 32;
}

static inline philox_v philox_widen(philox_half a)
{
    return __builtin_convertvector(a, philox_v);
}

#if defined(__AVX2__)
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

/* The counters of two vectors of blocks, between rounds. A round waits for its multiplication, so two go
 * side by side. */
typedef struct philox_twice {
    philox_v a[2], b[2], c[2], d[2];
} philox_twice;

/* Blocks as pairs of words: 0 and 1, 2 and 3, little-endian. */
typedef struct philox_pairs {
    philox_v low, high;
} philox_pairs;

static inline void philox_rounds(const philox_plan *plan, int first, philox_twice *t,
                                 philox_pairs out[2])
{
    const int last = KERN_PHILOX_ROUNDS - 1;

    for (int round = first; round < last; round++)
        for (int i = 0; i < 2; i++) {
            philox_v p0 = philox_mul(t->a[i], KERN_PHILOX_M0);
            philox_v p1 = philox_mul(t->c[i], KERN_PHILOX_M1);

            t->a[i] = (p1 >> 32) ^ t->b[i] ^ plan->k0[round];
            t->b[i] = p1;
            t->c[i] = (p0 >> 32) ^ t->d[i] ^ plan->k1[round];
            t->d[i] = p0;
        }
    for (int i = 0; i < 2; i++) {
        philox_v p0 = philox_mul(t->a[i], KERN_PHILOX_M0);
        philox_v p1 = philox_mul(t->c[i], KERN_PHILOX_M1);

        out[i].low = philox_join(p1, t->b[i], plan->k0[last]);
        out[i].high = philox_join(p0, t->d[i], plan->k1[last]);
    }
}

static inline void philox_lanes_twice(const philox_plan *plan, const philox_v row[2],
                                      philox_pairs out[2])
{
    philox_twice t;

    for (int i = 0; i < 2; i++) {
        t.a[i] = row[i];
        t.b[i] = row[i] >> 32;
        t.c[i] = (philox_v){ 0 } + plan->step;
        t.d[i] = (philox_v){ 0 } + plan->block;
    }
    philox_rounds(plan, 0, &t, out);
}

/* What two rounds make of the parts of a counter that all rows share: the step, the block and the upper
 * half of the row number. Words a and b after the first round and half of the second depend on nothing
 * else. */
typedef struct philox_start {
    uint64_t c1, a2, c2, d2;
} philox_start;

static philox_start philox_begin(const philox_plan *plan, uint32_t upper)
{
    uint64_t p1 = (uint64_t)plan->step * KERN_PHILOX_M1;
    uint64_t a1 = (p1 >> 32) ^ upper ^ plan->k0[0];
    uint64_t p0 = (a1 & UINT32_MAX) * KERN_PHILOX_M0;

    return (philox_start){ .c1 = plan->block ^ plan->k1[0], .a2 = (p1 & UINT32_MAX) ^ plan->k0[1],
                           .c2 = (p0 >> 32) ^ plan->k1[1], .d2 = p0 & UINT32_MAX };
}

/* philox_lanes_twice for rows with that upper half: two rounds for the price of one. */
static inline void philox_near_twice(const philox_plan *plan, const philox_start *start,
                                     const philox_v row[2], philox_pairs out[2])
{
    philox_twice t;

    for (int i = 0; i < 2; i++) {
        philox_v p0 = philox_mul(row[i], KERN_PHILOX_M0);
        philox_v p1 = philox_mul((p0 >> 32) ^ start->c1, KERN_PHILOX_M1);

        t.a[i] = (p1 >> 32) ^ start->a2;
        t.b[i] = p1;
        t.c[i] = p0 ^ start->c2;
        t.d[i] = (philox_v){ 0 } + start->d2;
    }
    philox_rounds(plan, 2, &t, out);
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

/* ---- events ---- */

typedef uint32_t philox_word __attribute__((vector_size(8 * PHILOX_LANES))); /* of half the rows */
typedef uint8_t philox_byte __attribute__((vector_size(2 * PHILOX_LANES)));

enum {
    PHILOX_PAIR = 2 * PHILOX_LANES,        /* blocks that are drawn at a time */
    PHILOX_LIST = 256,                     /* blocks that are listed at a time */
    PHILOX_LIST_ROOM = PHILOX_LIST + 16,   /* whole vectors are stored and read behind its end */
};

/* The blocks of which a row is in a class, closed up: their numbers, these rows' classes, and what is
 * found for them. */
typedef struct philox_list {
    uint32_t count;
    uint32_t numbers[PHILOX_LIST_ROOM];
    uint32_t classes[PHILOX_LIST_ROOM];
    uint32_t happens[PHILOX_LIST_ROOM];
} philox_list;

/* The list of the blocks first .. end - 1; and what was found for it, spread over all of them again. */
#if defined(__AVX512F__)
static inline __mmask16 philox_inside(uint32_t blocks)
{
    return blocks < 16 ? (__mmask16)((1u << blocks) - 1) : 0xffff;
}

static void philox_close_up(const uint8_t *classes, uint32_t first, uint32_t end, philox_list *list)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint32_t count = 0;

    for (uint32_t b = first; b < end; b += 16) {
        __m512i rows = _mm512_maskz_loadu_epi32(philox_inside(end - b), classes + 4 * (size_t)b);
        __mmask16 any = _mm512_test_epi32_mask(rows, rows);
        __m512i numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)b));

        _mm512_storeu_si512(list->numbers + count, _mm512_maskz_compress_epi32(any, numbers));
        _mm512_storeu_si512(list->classes + count, _mm512_maskz_compress_epi32(any, rows));
        count += (uint32_t)__builtin_popcount(any);
    }
    list->count = count;
}

static void philox_spread(const uint8_t *classes, uint32_t first, uint32_t end,
                          const philox_list *list, uint8_t *happens)
{
    uint32_t count = 0;

    for (uint32_t b = first; b < end; b += 16) {
        __mmask16 inside = philox_inside(end - b);
        __m512i rows = _mm512_maskz_loadu_epi32(inside, classes + 4 * (size_t)b);
        __mmask16 any = _mm512_test_epi32_mask(rows, rows);
        __m512i found = _mm512_loadu_si512(list->happens + count);

        _mm512_mask_storeu_epi32(happens + 4 * (size_t)b, inside,
                                 _mm512_maskz_expand_epi32(any, found));
        count += (uint32_t)__builtin_popcount(any);
    }
}
#else
static void philox_close_up_each(const uint8_t *classes, uint32_t first, uint32_t end,
                                 philox_list *list)
{
    uint32_t count = list->count;

    for (uint32_t b = first; b < end; b++) {
        uint32_t rows;
        memcpy(&rows, classes + 4 * (size_t)b, sizeof rows);
        list->numbers[count] = b;
        list->classes[count] = rows;
        count += rows != 0;
    }
    list->count = count;
}

static void philox_spread_each(const uint8_t *classes, uint32_t first, uint32_t end,
                               const uint32_t *found, uint8_t *happens)
{
    for (uint32_t b = first; b < end; b++) {
        uint32_t rows, here;
        memcpy(&rows, classes + 4 * (size_t)b, sizeof rows);
        here = rows != 0 ? *found++ : 0;
        memcpy(happens + 4 * (size_t)b, &here, sizeof here);
    }
}

#if defined(__AVX2__)
/* Eight blocks at a time, without an instruction that closes up or spreads lanes: their numbers, a byte
 * each, are moved in a general register and then choose the lanes. */
static const uint64_t philox_lane_bytes = 0x0706050403020100;

/* A byte of ones for each of eight blocks of which a row is in a class. */
static inline uint64_t philox_any(__m256i rows)
{
    __m256i none = _mm256_cmpeq_epi32(rows, _mm256_setzero_si256());
    uint32_t any = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(none)) ^ 0xff;

    return _pdep_u64(any, 0x0101010101010101) * 0xff;
}

static inline __m256i philox_choose_lanes(__m256i from, uint64_t lane_bytes)
{
    __m256i lanes = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)lane_bytes));

    return _mm256_permutevar8x32_epi32(from, lanes);
}

static void philox_close_up(const uint8_t *classes, uint32_t first, uint32_t end, philox_list *list)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    uint32_t b = first, count = 0;

    for (; end - b >= 8; b += 8) {
        __m256i rows = _mm256_loadu_si256((const __m256i *)(classes + 4 * (size_t)b));
        __m256i numbers = _mm256_add_epi32(lanes, _mm256_set1_epi32((int)b));
        uint64_t any = philox_any(rows), chosen = _pext_u64(philox_lane_bytes, any);

        _mm256_storeu_si256((__m256i *)(list->numbers + count), philox_choose_lanes(numbers, chosen));
        _mm256_storeu_si256((__m256i *)(list->classes + count), philox_choose_lanes(rows, chosen));
        count += (uint32_t)__builtin_popcountll(any) / 8;
    }
    list->count = count;
    philox_close_up_each(classes, b, end, list);
}

static void philox_spread(const uint8_t *classes, uint32_t first, uint32_t end,
                          const philox_list *list, uint8_t *happens)
{
    uint32_t b = first, count = 0;

    for (; end - b >= 8; b += 8) {
        __m256i rows = _mm256_loadu_si256((const __m256i *)(classes + 4 * (size_t)b));
        __m256i found = _mm256_loadu_si256((const __m256i *)(list->happens + count));
        __m256i none = _mm256_cmpeq_epi32(rows, _mm256_setzero_si256());
        uint64_t any = philox_any(rows);

        found = philox_choose_lanes(found, _pdep_u64(philox_lane_bytes, any));
        _mm256_storeu_si256((__m256i *)(happens + 4 * (size_t)b), _mm256_andnot_si256(none, found));
        count += (uint32_t)__builtin_popcountll(any) / 8;
    }
    philox_spread_each(classes, b, end, list->happens + count, happens);
}
#else
static void philox_close_up(const uint8_t *classes, uint32_t first, uint32_t end, philox_list *list)
{
    list->count = 0;
    philox_close_up_each(classes, first, end, list);
}

static void philox_spread(const uint8_t *classes, uint32_t first, uint32_t end,
                          const philox_list *list, uint8_t *happens)
{
    philox_spread_each(classes, first, end, list->happens, happens);
}
#endif
#endif

/* What fills the last vectors: rows in no class. */
static void philox_pad(philox_list *list)
{
    memset(list->numbers + list->count, 0, PHILOX_PAIR * sizeof *list->numbers);
    memset(list->classes + list->count, 0, PHILOX_PAIR * sizeof *list->classes);
}

static inline philox_v philox_load_half(const uint32_t *from)
{
    philox_half v;

    memcpy(&v, from, sizeof v);
    return philox_widen(v);
}

/* 1 for each row, of those whose words and classes are given, to which it happens. gcc takes apart what
 * widens or narrows four times, as from classes to words, so this needs the machine's own names, too. */
#if defined(__AVX512F__)
static inline philox_byte philox_below(philox_word words, const uint8_t *classes, philox_word last)
{
    __m512i class = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)classes));
    __m512i most = _mm512_permutexvar_epi32(class, (__m512i)last);
    __mmask16 below = _mm512_mask_cmple_epu32_mask(_mm512_test_epi32_mask(class, class),
                                                   (__m512i)words, most);

    return (philox_byte)_mm_maskz_set1_epi8(below, 1);
}
#elif defined(__AVX2__)
static inline philox_byte philox_below(philox_word words, const uint8_t *classes, philox_word last)
{
    __m256i class = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)classes));
    __m256i most = _mm256_permutevar8x32_epi32((__m256i)last, class);
    __m256i none = _mm256_cmpeq_epi32(class, _mm256_setzero_si256());
    __m256i least = _mm256_min_epu32((__m256i)words, most);
    __m256i below = _mm256_andnot_si256(none, _mm256_cmpeq_epi32(least, (__m256i)words));
    __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(below), _mm256_extracti128_si256(below, 1));
    __m128i bytes = _mm_and_si128(_mm_packs_epi16(half, half), _mm_set1_epi8(1));
    philox_byte out;

    memcpy(&out, &bytes, sizeof out);
    return out;
}
#else
static inline philox_byte philox_below(philox_word words, const uint8_t *classes, philox_word last)
{
    philox_byte out;

    for (int i = 0; i < 2 * PHILOX_LANES; i++)
        out[i] = classes[i] != 0 && words[i] <= last[classes[i]];
    return out;
}
#endif

/* The rows of PHILOX_LANES blocks from the list's block `at` on. What stands behind the list's end is
 * drawn and decided, too, and read by nobody. */
static inline void philox_decide(const philox_pairs *blocks, philox_list *list, uint32_t at,
                                 philox_word last)
{
    const uint8_t *classes = (const uint8_t *)(list->classes + at);
    uint8_t *happens = (uint8_t *)(list->happens + at);
    philox_word words[2];

    philox_store_pairs((uint32_t *)words, blocks->low, blocks->high);
    for (uint32_t half = 0; half < 2; half++) {
        philox_byte found = philox_below(words[half], classes + half * sizeof found, last);
        memcpy(happens + half * sizeof found, &found, sizeof found);
    }
}

static inline void philox_decide_listed(const philox_plan *plan, const philox_start *start,
                                        uint64_t first_block, philox_list *list, philox_word last)
{
    for (uint32_t i = 0; i < list->count; i += PHILOX_PAIR) {
        philox_v row[2];
        philox_pairs block[2];

        for (uint32_t k = 0; k < 2; k++)
            row[k] = philox_load_half(list->numbers + i + k * PHILOX_LANES) + first_block;
        if (start != NULL)
            philox_near_twice(plan, start, row, block);
        else
            philox_lanes_twice(plan, row, block);
        for (uint32_t k = 0; k < 2; k++)
            philox_decide(&block[k], list, i + k * PHILOX_LANES, last);
    }
}

void kern_philox_events(uint64_t key, uint64_t first_block, const uint8_t *classes,
                        uint32_t block_count, uint32_t step, uint32_t draw,
                        const uint32_t last[KERN_PHILOX_CLASSES], uint8_t *happens)
{
    philox_plan plan = philox_prepare(key, step, draw | KERN_PHILOX_ONE);
    philox_start start = philox_begin(&plan, (uint32_t)(first_block >> 32));
    bool near = (first_block + block_count) >> 32 == first_block >> 32;
    philox_word lasts = { 0 };
    philox_list list;

    memcpy(&lasts, last, KERN_PHILOX_CLASSES * sizeof *last);
    for (uint32_t first = 0; first < block_count; first += PHILOX_LIST) {
        uint32_t end = block_count - first < PHILOX_LIST ? block_count : first + PHILOX_LIST;

        philox_close_up(classes, first, end, &list);
        philox_pad(&list);
        if (near)
            philox_decide_listed(&plan, &start, first_block, &list, lasts);
        else
            philox_decide_listed(&plan, NULL, first_block, &list, lasts);
        philox_spread(classes, first, end, &list, happens);
    }
}
