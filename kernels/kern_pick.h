/* Which rows of a column of marks are chosen: a list of their numbers, ascending. */
#ifndef KERN_PICK_H
#define KERN_PICK_H

#include <stdint.h>

/* first + i of each i < count with marks[i] != 0, into rows, which has room for count + 1 numbers: one behind
 * those that are found is written, too. Returns how many are found. Made for few marks. */
uint32_t kern_pick(const uint8_t *marks, uint32_t count, uint32_t first, uint32_t *rows);

#endif
