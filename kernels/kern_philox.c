/* Philox over arrays of rows. A lane is a row, or a block that several rows share. */
#include "kernels/kern_philox_vector.h"

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
    philox_plan plan;
    philox_out out = { { w0, w1, w2, w3 } };
    uint32_t i = 0;

    philox_prepare(&plan, key, step, block);
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

/* Two words as one little-endian 64-bit lane. */
static inline philox_v philox_pair(philox_v low, philox_v high)
{
    return (low & UINT32_MAX) | high << 32;
}

/* One vector of blocks for PHILOX_RUN rows. */
static inline void philox_one_run(const philox_plan *plan, uint64_t first_key, uint32_t *w)
{
    philox_block block = philox_lanes(plan, philox_count_up(first_key >> 2));

    philox_store_pairs(w, philox_pair(block.w[0], block.w[1]), philox_pair(block.w[2], block.w[3]));
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
    philox_plan plan;
    uint32_t taken;

    philox_prepare(&plan, key, step, draw | KERN_PHILOX_ONE);
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

/* ---- one byte a row ---- */

enum {
    PHILOX_SIDE = KERN_LANES / 4,              /* vectors side by side: their words fill the registers */
    PHILOX_DRAWN = PHILOX_SIDE * PHILOX_LANES, /* blocks that are drawn at a time */
    PHILOX_BLOCK = 16,                         /* bytes of one */
};

/* Blocks as pairs of words: 0 and 1, 2 and 3, little-endian. */
typedef struct philox_pairs {
    philox_v low, high;
} philox_pairs;

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

/* Vectors of row numbers whose upper halves are all that of `start`. A round waits for its multiplications, so
 * several go side by side. */
static inline void philox_lanes_beside(const philox_plan *plan, const philox_start *start,
                                      const philox_v row[PHILOX_SIDE], philox_pairs out[PHILOX_SIDE])
{
    const int last = KERN_PHILOX_ROUNDS - 1;
    philox_v a[PHILOX_SIDE], b[PHILOX_SIDE], c[PHILOX_SIDE], d[PHILOX_SIDE];

    for (int i = 0; i < PHILOX_SIDE; i++) {
        philox_v p0 = philox_mul(row[i], KERN_PHILOX_M0);
        philox_v p1 = philox_mul((p0 >> 32) ^ start->c1, KERN_PHILOX_M1);

        a[i] = (p1 >> 32) ^ start->a2;
        b[i] = p1;
        c[i] = p0 ^ start->c2;
        d[i] = (philox_v){ 0 } + start->d2;
    }
    for (int round = 2; round < last; round++)
        for (int i = 0; i < PHILOX_SIDE; i++) {
            philox_v p0 = philox_mul(a[i], KERN_PHILOX_M0);
            philox_v p1 = philox_mul(c[i], KERN_PHILOX_M1);

            a[i] = (p1 >> 32) ^ b[i] ^ plan->k0[round];
            b[i] = p1;
            c[i] = (p0 >> 32) ^ d[i] ^ plan->k1[round];
            d[i] = p0;
        }
    for (int i = 0; i < PHILOX_SIDE; i++) {
        philox_v p0 = philox_mul(a[i], KERN_PHILOX_M0);
        philox_v p1 = philox_mul(c[i], KERN_PHILOX_M1);

        out[i].low = philox_join(p1, b[i], plan->k0[last]);
        out[i].high = philox_join(p0, d[i], plan->k1[last]);
    }
}

/* PHILOX_DRAWN blocks from a row number on that count up without a carry into their upper half. */
static inline void philox_bytes_beside(const philox_plan *plan, const philox_start *start,
                                      uint64_t row, uint8_t *bytes)
{
    philox_v rows[PHILOX_SIDE];
    philox_pairs blocks[PHILOX_SIDE];

    for (int i = 0; i < PHILOX_SIDE; i++)
        rows[i] = philox_count_up(row + (uint64_t)i * PHILOX_LANES);
    philox_lanes_beside(plan, start, rows, blocks);
    for (int i = 0; i < PHILOX_SIDE; i++) {
        uint32_t words[PHILOX_RUN];

        philox_store_pairs(words, blocks[i].low, blocks[i].high);
        memcpy(bytes + i * (int)sizeof words, words, sizeof words);
    }
}

void kern_philox_bytes(uint64_t key, uint64_t first_block, uint32_t block_count, uint32_t step,
                       uint32_t draw, uint8_t *bytes)
{
    philox_plan plan;
    uint32_t taken;

    philox_prepare(&plan, key, step, draw | KERN_PHILOX_BYTE);
    for (uint32_t i = 0; i < block_count; i += taken) {
        uint64_t row = first_block + i, until_carry = (UINT64_C(1) << 32) - (row & UINT32_MAX);
        philox_start start = philox_begin(&plan, (uint32_t)(row >> 32));
        uint32_t left = block_count - i;
        uint8_t some[PHILOX_DRAWN * PHILOX_BLOCK];

        taken = until_carry < left ? (uint32_t)until_carry : left;
        for (left = taken; left >= PHILOX_DRAWN; left -= PHILOX_DRAWN, row += PHILOX_DRAWN)
            philox_bytes_beside(&plan, &start, row,
                               bytes + PHILOX_BLOCK * (size_t)(row - first_block));
        if (left == 0)
            continue;
        philox_bytes_beside(&plan, &start, row, some);
        memcpy(bytes + PHILOX_BLOCK * (size_t)(row - first_block), some, PHILOX_BLOCK * left);
    }
}

void kern_philox_bytes_of(uint64_t key, const uint64_t *row_keys, uint32_t count, uint32_t step,
                          uint32_t draw, uint8_t *bytes)
{
    philox_plan plan;

    philox_prepare(&plan, key, step, draw | KERN_PHILOX_BYTE);
    for (uint32_t i = 0, listed, end; i < count; i = end) {
        uint64_t blocks[PHILOX_LANES] = { row_keys[i] >> 4 };
        uint32_t words[PHILOX_RUN];
        philox_block drawn;

        /* the rows that the next few blocks serve */
        for (end = i + 1, listed = 1; end < count; end++) {
            uint64_t block = row_keys[end] >> 4;
            if (block == blocks[listed - 1])
                continue;
            if (listed == PHILOX_LANES)
                break;
            blocks[listed++] = block;
        }
        drawn = philox_lanes(&plan, philox_load(blocks));
        philox_store_pairs(words, philox_pair(drawn.w[0], drawn.w[1]), philox_pair(drawn.w[2], drawn.w[3]));
        for (uint32_t row = i, at = 0; row < end; row++) {
            at += row_keys[row] >> 4 != blocks[at];
            bytes[row] = ((const uint8_t *)words)[PHILOX_BLOCK * at + (row_keys[row] & 15)];
        }
    }
}
