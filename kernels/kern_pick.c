/* 64 marks at a time become a word of bits, which is empty or has one bit most of the time: so the first of a
 * word is taken without a branch. */
#include "kernels/kern_pick.h"

#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

enum { PICK_MARKS = 64 };

#if defined(__AVX512BW__)
static inline uint64_t pick_bits(const uint8_t *marks)
{
    __m512i m = _mm512_loadu_si512(marks);

    return _mm512_test_epi8_mask(m, m);
}
#elif defined(__AVX2__)
static inline uint64_t pick_bits_half(const uint8_t *marks)
{
    __m256i m = _mm256_loadu_si256((const __m256i *)(const void *)marks);

    return (uint32_t)~_mm256_movemask_epi8(_mm256_cmpeq_epi8(m, _mm256_setzero_si256()));
}

static inline uint64_t pick_bits(const uint8_t *marks)
{
    return pick_bits_half(marks) | pick_bits_half(marks + 32) << 32;
}
#else
static inline uint64_t pick_bits(const uint8_t *marks)
{
    uint64_t bits = 0;

    for (uint32_t i = 0; i < PICK_MARKS; i++)
        bits |= (uint64_t)(marks[i] != 0) << i;
    return bits;
}
#endif

static inline uint32_t pick_word(uint64_t bits, uint32_t first, uint32_t *rows, uint32_t found)
{
    rows[found] = first + (bits != 0 ? (uint32_t)__builtin_ctzll(bits) : 0);
    found += bits != 0;
    for (bits &= bits - 1; bits != 0; bits &= bits - 1)
        rows[found++] = first + (uint32_t)__builtin_ctzll(bits);
    return found;
}

uint32_t kern_pick(const uint8_t *marks, uint32_t count, uint32_t first, uint32_t *rows)
{
    uint32_t found = 0, i = 0;

    for (; count - i >= PICK_MARKS; i += PICK_MARKS)
        found = pick_word(pick_bits(marks + i), first + i, rows, found);
    if (i < count) {
        uint8_t some[PICK_MARKS] = { 0 };
        memcpy(some, marks + i, count - i);
        found = pick_word(pick_bits(some), first + i, rows, found);
    }
    return found;
}
