/* Sixteen values at a time, in registers. Number the bytes of the block by their bits: value i (4
 * bits) above byte b (2 or 3 bits). The shuffle puts b above i, which is a rotation of the number to
 * the left by 4. Interleaving the halves of a block (a perfect shuffle of cards) rotates it by one:
 * the topmost bit, which half, becomes the lowest. So four interleavings shuffle, and log2(size)
 * more close the circle, which is the inverse. */
#include "snapshot/snap_shuffle.h"

#include <assert.h>
#include <string.h>

#define BLOCK 16 /* values */

typedef uint8_t shuffle_lanes __attribute__((vector_size(16)));

/* Interleave the lower half of the vectors with the upper one, `rounds` times. */
static inline __attribute__((always_inline)) void interleave(shuffle_lanes *v, size_t count, int rounds)
{
    shuffle_lanes next[8];

    for (int r = 0; r < rounds; r++) {
        for (size_t i = 0; i < count / 2; i++) {
            shuffle_lanes a = v[i], b = v[i + count / 2];

            next[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6,
                                                  22, 7, 23);
            next[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                                      29, 14, 30, 15, 31);
        }
        memcpy(v, next, count * sizeof *v);
    }
}

static inline __attribute__((always_inline)) void shuffle_blocks(uint8_t *restrict to,
                                                                 const uint8_t *restrict from,
                                                                 size_t count, size_t size)
{
    shuffle_lanes v[8];

    for (size_t i = 0; i + BLOCK <= count; i += BLOCK) {
        memcpy(v, from + i * size, BLOCK * size);
        interleave(v, size, 4);
        for (size_t b = 0; b < size; b++)
            memcpy(to + b * count + i, &v[b], BLOCK);
    }
}

static inline __attribute__((always_inline)) void unshuffle_blocks(uint8_t *restrict to,
                                                                   const uint8_t *restrict from,
                                                                   size_t count, size_t size)
{
    shuffle_lanes v[8];

    for (size_t i = 0; i + BLOCK <= count; i += BLOCK) {
        for (size_t b = 0; b < size; b++)
            memcpy(&v[b], from + b * count + i, BLOCK);
        interleave(v, size, size == 4 ? 2 : 3);
        memcpy(to + i * size, v, BLOCK * size);
    }
}

void snap_shuffle(uint8_t *restrict to, const uint8_t *restrict from, size_t count, size_t size)
{
    assert(size == 4 || size == 8);
    if (size == 4)
        shuffle_blocks(to, from, count, 4);
    else
        shuffle_blocks(to, from, count, 8);
    for (size_t i = count - count % BLOCK; i < count; i++)
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
    for (size_t i = count - count % BLOCK; i < count; i++)
        for (size_t b = 0; b < size; b++)
            to[i * size + b] = from[b * count + i];
}
