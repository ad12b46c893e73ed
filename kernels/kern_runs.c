#include "kernels/kern_runs.h"

#include <string.h>

/* A stretch is one run if it equals itself moved by one value; the C library compares bytes as fast as
 * the machine can. So: long stretches, then short ones, then value by value. */
static size_t skip_stretches(const unsigned char *bytes, size_t size, size_t at, size_t end,
                             size_t stretch)
{
    while (at + size + stretch <= end && memcmp(bytes + at, bytes + at + size, stretch) == 0)
        at += stretch;
    return at;
}

uint32_t kern_run_end(const void *column, size_t size, uint32_t begin, uint32_t count)
{
    const unsigned char *bytes = column;
    size_t at = begin * size, end = count * size;

    at = skip_stretches(bytes, size, at, end, 1024);
    at = skip_stretches(bytes, size, at, end, 64);
    at += size;
    while (at < end && memcmp(bytes + at, bytes + at - size, size) == 0)
        at += size;
    return (uint32_t)(at / size);
}

bool kern_ascending(const uint64_t *keys, uint32_t count)
{
    uint64_t wrong = 0;

    for (uint32_t i = 1; i < count; i++)
        wrong |= keys[i] <= keys[i - 1];
    return wrong == 0;
}
