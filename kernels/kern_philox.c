/* Philox over arrays of rows. A lane is a row, or, for runs of one-word draws, a block of four rows. */
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
