/* Runs of equal values in a column: rows of one group mostly stand together, so what is done per group
 * should cost per run and not per row. */
#ifndef KERN_RUNS_H
#define KERN_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The end of the run that begins at row `begin` < count: the first later row whose value, `size` (1, 4
 * or 8) bytes, differs, or count. The column is aligned to its size. */
uint32_t kern_run_end(const void *column, size_t size, uint32_t begin, uint32_t count);

/* Whether keys are strictly ascending. */
bool kern_ascending(const uint64_t *keys, uint32_t count);

#endif
