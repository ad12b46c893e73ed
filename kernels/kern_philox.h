/* Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011), shared by host and CUDA.
 *
 * A number is a pure function of (key, row, step, block); there is no state. Weir's convention:
 *
 *     key      64 bits, hashed by the engine from (seed, operator name, step >> 32)
 *     counter  row key low, row key high, low 32 bits of the step, draw block
 *
 * A block is four words of 32 bits, sixteen bytes in little-endian order. Three ways to draw, whose
 * counters never meet:
 *
 *     rows  row k, block b < 2^31: all four words of the block (k, step, b)
 *     one   row k, draw d < 2^30: word k mod 4 of the block (k / 4, step, d with bit 31 set), so
 *           that four rows with neighbouring keys share one block and its cost
 *     event row k, draw d < 2^30: a word whose upper byte is byte k mod 16 of the block (k / 16, step,
 *           d with bits 31 and 30 set) and whose lower three bytes are the upper three of the one word.
 *           An event of the chance c / 2^32 happens where this word is below c. The upper byte alone
 *           decides it but for one row in 256, so that sixteen rows share one block.
 *
 * kern_philox.c has both for arrays of rows, with the same bits. */
#ifndef KERN_PHILOX_H
#define KERN_PHILOX_H

#include <stddef.h>

#include "kernels/kern_math.h"

/* Set in the block number of every one-word draw, and of every draw of a byte. */
#define KERN_PHILOX_ONE UINT32_C(0x80000000)
#define KERN_PHILOX_BYTE UINT32_C(0xc0000000)

/* The multipliers and key increments of Philox4x32. */
#define KERN_PHILOX_M0 UINT32_C(0xd2511f53)
#define KERN_PHILOX_M1 UINT32_C(0xcd9e8d57)
#define KERN_PHILOX_W0 UINT32_C(0x9e3779b9)
#define KERN_PHILOX_W1 UINT32_C(0xbb67ae85)
#define KERN_PHILOX_ROUNDS 10

typedef struct kern_words {
    uint32_t w[4];
} kern_words;

/* The block function: counter in, block out. */
KERN_FN kern_words kern_philox(uint64_t key, kern_words c)
{
    uint32_t k0 = (uint32_t)key;
    uint32_t k1 = (uint32_t)(key >> 32);

    for (int round = 0; round < KERN_PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)KERN_PHILOX_M0 * c.w[0];
        uint64_t p1 = (uint64_t)KERN_PHILOX_M1 * c.w[2];

        c.w[0] = (uint32_t)(p1 >> 32) ^ c.w[1] ^ k0;
        c.w[1] = (uint32_t)p1;
        c.w[2] = (uint32_t)(p0 >> 32) ^ c.w[3] ^ k1;
        c.w[3] = (uint32_t)p0;
        k0 += KERN_PHILOX_W0;
        k1 += KERN_PHILOX_W1;
    }
    return c;
}

/* The four words of one row. */
KERN_FN kern_words kern_philox_row(uint64_t key, uint64_t row_key, uint32_t step, uint32_t block)
{
    kern_words counter = { { (uint32_t)row_key, (uint32_t)(row_key >> 32), step, block } };

    return kern_philox(key, counter);
}

/* The one word of one row. */
KERN_FN uint32_t kern_philox_one_row(uint64_t key, uint64_t row_key, uint32_t step, uint32_t draw)
{
    return kern_philox_row(key, row_key >> 2, step, draw | KERN_PHILOX_ONE).w[row_key & 3];
}

/* The one byte of one row: of its event, the upper one. */
KERN_FN uint8_t kern_philox_byte_row(uint64_t key, uint64_t row_key, uint32_t step, uint32_t draw)
{
    kern_words block = kern_philox_row(key, row_key >> 4, step, draw | KERN_PHILOX_BYTE);

    return (uint8_t)(block.w[row_key >> 2 & 3] >> 8 * (row_key & 3));
}

/* The event word, given its byte and the row's one word. */
KERN_FN uint32_t kern_philox_event(uint8_t byte, uint32_t one)
{
    return (uint32_t)byte << 24 | one >> 8;
}

/* ---- words to numbers ---- */

/* [0, 1): the upper 24 bits times 2^-24. */
KERN_FN float kern_uniformf(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

/* (0, 1]: the same, one step up; safe under a logarithm. */
KERN_FN float kern_uniformf_positive(uint32_t word)
{
    return (float)((word >> 8) + 1) * 0x1p-24f;
}

/* [0, 1): the upper 53 of 64 bits times 2^-53. */
KERN_FN double kern_uniform(uint64_t word)
{
    return (double)(word >> 11) * 0x1p-53;
}

/* (0, 1]. */
KERN_FN double kern_uniform_positive(uint64_t word)
{
    return (double)((word >> 11) + 1) * 0x1p-53;
}

/* Two words as the 64 bits that the f64 conversions take. */
KERN_FN uint64_t kern_join(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

typedef struct kern_normalsf {
    float first;
    float second;
} kern_normalsf;

typedef struct kern_normals {
    double first;
    double second;
} kern_normals;

/* Two independent standard normals (Box and Muller 1958): radius sqrt(-2 ln u), u = (a + 1) / 2^32,
 * and the angle b / 2^32 of a turn, whose quarter and remainder are exact. All 32 bits are used, so
 * the tails reach 6.66. Computed in f64 and rounded once: error below 0.501 ulp. */
KERN_FN kern_normalsf kern_normalf(uint32_t a, uint32_t b)
{
    double radius = kern_sqrt(0.0 - 2.0 * kern_log_short(((double)a + 1.0) * 0x1p-32));
    double turn = (double)b * 0x1p-30 + KERN_ROUND;
    double angle = ((double)b * 0x1p-30 - (turn - KERN_ROUND)) * KERN_HALF_PI;
    uint64_t quarter = kern_f64_bits(turn);
    kern_normalsf out;

    out.first = (float)(radius * kern_sin_short(angle, quarter + 1));
    out.second = (float)(radius * kern_sin_short(angle, quarter));
    return out;
}

/* The same in f64, of 53-bit uniforms; tails to 8.57; error below 2.5 ulp (measured: 2.3), from
 * four roundings. */
KERN_FN kern_normals kern_normal(uint64_t a, uint64_t b)
{
    double radius = kern_sqrt(0.0 - 2.0 * kern_log(kern_uniform_positive(a)));
    double quarters = 4.0 * kern_uniform(b);
    double turn = quarters + KERN_ROUND;
    double g = quarters - (turn - KERN_ROUND);
    kern_angle angle;
    kern_normals out;

    angle.quarter = kern_f64_bits(turn);
    angle.angle = g * KERN_HALF_PI;
    angle.low = kern_fma(g, KERN_HALF_PI, -angle.angle) + g * KERN_HALF_PI_LOW;
    out.first = radius * kern_sin_pair(angle, angle.quarter + 1);
    out.second = radius * kern_sin_pair(angle, angle.quarter);
    return out;
}

/* ---- arrays of rows (host) ---- */

#if !defined(__CUDACC__)

/* Word j of row i's block into wj[i]. w1, w2, w3 may be null: that word is not wanted. */
void kern_philox_rows(uint64_t key, const uint64_t *row_keys, uint32_t count, uint32_t step,
                      uint32_t block, uint32_t *w0, uint32_t *w1, uint32_t *w2, uint32_t *w3);

/* Row i's one word into w[i]. Any row keys give the right bits; runs of consecutive ones (sorted
 * dense ids) take a quarter of the time. */
void kern_philox_one(uint64_t key, const uint64_t *row_keys, uint32_t count, uint32_t step,
                     uint32_t draw, uint32_t *w);

/* The bytes of the rows with the keys 16 * first_block + i, i < 16 * block_count, in bytes[i]. */
void kern_philox_bytes(uint64_t key, uint64_t first_block, uint32_t block_count, uint32_t step,
                       uint32_t draw, uint8_t *bytes);
/* Row i's byte in bytes[i]. Any row keys; neighbours of one block draw it once. */
void kern_philox_bytes_of(uint64_t key, const uint64_t *row_keys, uint32_t count, uint32_t step,
                          uint32_t draw, uint8_t *bytes);

#endif

#endif
