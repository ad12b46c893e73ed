/* The byte shuffle: the first bytes of all values, then the second bytes, and so on. Values of a
 * column differ little in sign, exponent and leading digits, so the planes compress where the values
 * do not. A plane begins where the one before it ends: byte b of value i goes to b * count + i. */
#ifndef SNAP_SHUFFLE_H
#define SNAP_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

/* `size` is that of a value: 4 or 8. `from` and `to` hold count * size bytes and do not overlap. */
void snap_shuffle(uint8_t *restrict to, const uint8_t *restrict from, size_t count, size_t size);
void snap_unshuffle(uint8_t *restrict to, const uint8_t *restrict from, size_t count, size_t size);

#endif
