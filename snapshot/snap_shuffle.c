/* Two blocks of sixteen values at a time, in registers: one block in the lower halves of the vectors, the
 * other in the upper ones, as the machine's interleavings keep the halves apart. Number the bytes of a
 * block by their bits: value i (4 bits) above byte b (2 or 3 bits). The shuffle puts b above i, which is a
 * rotation of the number to the left by 4. Interleaving the halves of a block (a perfect shuffle of cards)
 * rotates it by one: the topmost bit, which half, becomes the lowest. So four interleavings shuffle, and
 * log2(size) more close the circle, which is the inverse. */
#include "snapshot/snap_shuffle.h"

#include <assert.h>
#include <string.h>

#define BLOCK 16 /* values */

typedef uint8_t shuffle_half __attribute__((vector_size(BLOCK)));
typedef uint8_t shuffle_lanes __attribute__((vector_size(2 * BLOCK)));

static inline __attribute__((always_inline)) shuffle_lanes load(const uint8_t *low, const uint8_t *high)
{
    shuffle_half a, b;

    memcpy(&a, low, sizeof a);
    memcpy(&b, high, sizeof b);
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                                   21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
}

static inline __attribute__((always_inline)) void store(uint8_t *low, uint8_t *high, shuffle_lanes v)
{
    memcpy(low, &v, BLOCK);
    memcpy(high, (const uint8_t *)&v + BLOCK, BLOCK);
}

/* Interleave the lower half of the vectors with the upper one, `rounds` times. */
static inline __attribute__((always_inline)) void interleave(shuffle_lanes *v, size_t count, int rounds)
{
    for (int r = 0; r < rounds; r++) {
        shuffle_lanes next[8];

        for (size_t i = 0; i < count / 2; i++) {
            shuffle_lanes a = v[i], b = v[i + count / 2];

            next[2 * i] = __builtin_shufflevector(a, b, 0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 16,
                                                  48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55);
            next[2 * i + 1] = __builtin_shufflevector(a, b, 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46,
                                                      15, 47, 24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30,
                                                      62, 31, 63);
        }
        for (size_t i = 0; i < count; i++)
            v[i] = next[i];
    }
}

static inline __attribute__((always_inline)) void shuffle_blocks(uint8_t *restrict to,
                                                                 const uint8_t *restrict from,
                                                                 size_t count, size_t size)
{
    for (size_t i = 0; i + 2 * BLOCK <= count; i += 2 * BLOCK) {
        shuffle_lanes v[8];

        for (size_t b = 0; b < size; b++)
            v[b] = load(from + i * size + b * BLOCK, from + (i + BLOCK) * size + b * BLOCK);
        interleave(v, size, 4);
        for (size_t b = 0; b < size; b++)
            memcpy(to + b * count + i, &v[b], sizeof v[b]);
    }
}

static inline __attribute__((always_inline)) void unshuffle_blocks(uint8_t *restrict to,
                                                                   const uint8_t *restrict from,
                                                                   size_t count, size_t size)
{
    for (size_t i = 0; i + 2 * BLOCK <= count; i += 2 * BLOCK) {
        shuffle_lanes v[8];

        for (size_t b = 0; b < size; b++)
            memcpy(&v[b], from + b * count + i, sizeof v[b]);
        interleave(v, size, size == 4 ? 2 : 3);
        for (size_t b = 0; b < size; b++)
            store(to + i * size + b * BLOCK, to + (i + BLOCK) * size + b * BLOCK, v[b]);
    }
}

void snap_shuffle(uint8_t *restrict to, const uint8_t *restrict from, size_t count, size_t size)
{
    assert(size == 4 || size == 8);
    if (size == 4)
        shuffle_blocks(to, from, count, 4);
    else
        shuffle_blocks(to, from, count, 8);
    for (size_t i = count - count % (2 * BLOCK); i < count; i++)
        for (size_t b = 0; b < size; b++)
            to[b * count + i] = from[i * size + b];
}

void snap_unshuffle(uint8_t *restrict to, const uint8_t *restrict from, size_t count, size_t size)
{
    assert(size == 4 || size == 8);
    if (size == 4)
        unshuffle_blocks(to, from, count, 4);
    else
        unshuffle_blocks(to, from, count, 8);
    for (size_t i = count - count % (2 * BLOCK); i < count; i++)
        for (size_t b = 0; b < size; b++)
            to[i * size + b] = from[b * count + i];
}
