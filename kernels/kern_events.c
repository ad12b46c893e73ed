/* Events of few chances (kern_philox_events): only blocks of which a row is in a class are drawn. They are
 * closed up first, so that every vector is full, and what is found is spread over all rows at the end. */
#include "kernels/kern_philox_vector.h"

#include <stdbool.h>

/* ---- two vectors of blocks ---- */

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

/* ---- the list of blocks ---- */

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

/* ---- deciding ---- */

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
