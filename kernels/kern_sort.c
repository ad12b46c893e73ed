#include "kernels/kern_sort.h"

#include <string.h>

static uint32_t sort_run_end(const kern_pair *pairs, uint32_t begin, uint32_t count)
{
    uint32_t end = begin + 1;

    while (end < count && pairs[end].key >= pairs[end - 1].key)
        end++;
    return end < count ? end : count;
}

/* The runs [begin, middle) and [middle, end) of `from` as one in `to`. */
static void sort_merge(const kern_pair *restrict from, uint32_t begin, uint32_t middle, uint32_t end,
                       kern_pair *restrict to)
{
    uint32_t left = begin, right = middle, at = begin;

    while (left < middle && right < end)
        to[at++] = from[right].key < from[left].key ? from[right++] : from[left++];
    memcpy(to + at, from + left, (middle - left) * sizeof *to);
    memcpy(to + at + (middle - left), from + right, (end - right) * sizeof *to);
}

/* Merge each run with the next; returns how many there were. */
static uint32_t sort_pass(const kern_pair *from, kern_pair *to, uint32_t count)
{
    uint32_t runs = 0, end;

    for (uint32_t begin = 0; begin < count; begin = end) {
        uint32_t middle = sort_run_end(from, begin, count);
        end = middle < count ? sort_run_end(from, middle, count) : count;
        runs += middle < count ? 2 : 1;
        sort_merge(from, begin, middle, end, to);
    }
    return runs;
}

void kern_sort_pairs(kern_pair *pairs, kern_pair *scratch, uint32_t count)
{
    kern_pair *from = pairs, *to = scratch;
    uint32_t runs = count > 1 && sort_run_end(pairs, 0, count) < count ? UINT32_MAX : 1;

    while (runs > 2) { /* after a pass over two, everything is one */
        kern_pair *sorted = to;

        runs = sort_pass(from, to, count);
        to = from;
        from = sorted;
    }
    if (from != pairs)
        memcpy(pairs, from, count * sizeof *pairs);
}
