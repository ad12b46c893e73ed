/* Agents of one place, 64 at a time. The open ones are the bits of a word, which is empty or has one bit most of the
 * time: so the first of a word is taken without a branch. */
#include "kernels/kern_sir.h"

#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

enum {
    SIR_AGENTS = 64,
    SIR_AHEAD = 8 * SIR_AGENTS, /* columns come from the second cache */
};

/* Of rows [at, at + count), at most SIR_AGENTS: change them; the bits of those that are open. */
#if defined(__AVX512BW__)
static inline uint64_t sir_some(const kern_sir_columns *c, uint32_t at, uint32_t count, uint8_t infect,
                                uint8_t recover)
{
    __mmask64 rows = UINT64_MAX >> (SIR_AGENTS - count);
    __m512i ill = _mm512_maskz_loadu_epi8(rows, c->ill + at);
    __m512i immune = _mm512_maskz_loadu_epi8(rows, c->immune + at);
    __m512i bytes = _mm512_maskz_loadu_epi8(rows, c->bytes + at), one = _mm512_set1_epi8(1);
    __mmask64 was = _mm512_test_epi8_mask(ill, ill), safe = _mm512_test_epi8_mask(immune, immune);
    __mmask64 may = (was | ~safe) & rows;
    __m512i high = _mm512_mask_blend_epi8(was, _mm512_set1_epi8((char)infect), _mm512_set1_epi8((char)recover));
    __mmask64 happens = _mm512_mask_cmplt_epu8_mask(may, bytes, high);

    _mm512_mask_storeu_epi8(c->next_ill + at, rows, _mm512_maskz_mov_epi8(was ^ happens, one));
    _mm512_mask_storeu_epi8(c->next_immune + at, rows, _mm512_maskz_mov_epi8(safe | (was & happens), one));
    return _mm512_mask_cmpeq_epu8_mask(may, bytes, high);
}
#else
#if defined(__AVX2__)
static inline uint64_t sir_bits_half(const uint8_t *marks)
{
    __m256i m = _mm256_loadu_si256((const __m256i *)(const void *)marks);

    return (uint32_t)~_mm256_movemask_epi8(_mm256_cmpeq_epi8(m, _mm256_setzero_si256()));
}

static inline uint64_t sir_bits(const uint8_t *marks)
{
    return sir_bits_half(marks) | sir_bits_half(marks + 32) << 32;
}
#else
static inline uint64_t sir_bits(const uint8_t *marks)
{
    uint64_t bits = 0;

    for (uint32_t i = 0; i < SIR_AGENTS; i++)
        bits |= (uint64_t)(marks[i] != 0) << i;
    return bits;
}
#endif

static inline void sir_loop(const uint8_t *restrict ill, const uint8_t *restrict immune,
                            const uint8_t *restrict bytes, uint32_t count, uint8_t infect, uint8_t recover,
                            uint8_t *restrict next_ill, uint8_t *restrict next_immune,
                            uint8_t *restrict marks)
{
    for (uint32_t i = 0; i < count; i++) {
        kern_sir_agent next = kern_sir_decide(ill[i], immune[i], bytes[i], infect, recover);

        next_ill[i] = next.ill;
        next_immune[i] = next.immune;
        marks[i] = next.open;
    }
}

static inline uint64_t sir_some(const kern_sir_columns *c, uint32_t at, uint32_t count, uint8_t infect,
                                uint8_t recover)
{
    uint8_t marks[SIR_AGENTS];

    if (count == SIR_AGENTS) { /* a length that the compiler knows */
        sir_loop(c->ill + at, c->immune + at, c->bytes + at, SIR_AGENTS, infect, recover, c->next_ill + at,
                 c->next_immune + at, marks);
    } else {
        memset(marks, 0, sizeof marks);
        sir_loop(c->ill + at, c->immune + at, c->bytes + at, count, infect, recover, c->next_ill + at,
                 c->next_immune + at, marks);
    }
    return sir_bits(marks);
}
#endif

static inline uint32_t sir_list(uint64_t bits, uint32_t first, uint32_t *rows, uint32_t found)
{
    rows[found] = first + (bits != 0 ? (uint32_t)__builtin_ctzll(bits) : 0);
    found += bits != 0;
    for (bits &= bits - 1; bits != 0; bits &= bits - 1)
        rows[found++] = first + (uint32_t)__builtin_ctzll(bits);
    return found;
}

uint32_t kern_sir_change(const kern_sir_columns *columns, uint32_t count, uint8_t infect, uint8_t recover,
                         uint32_t first, uint32_t *open)
{
    kern_sir_columns c = *columns;
    uint32_t found = 0, i = 0;

    for (; count - i >= SIR_AGENTS; i += SIR_AGENTS) {
        __builtin_prefetch(c.ill + i + SIR_AHEAD);
        __builtin_prefetch(c.immune + i + SIR_AHEAD);
        __builtin_prefetch(c.next_ill + i + SIR_AHEAD, 1);
        __builtin_prefetch(c.next_immune + i + SIR_AHEAD, 1);
        found = sir_list(sir_some(&c, i, SIR_AGENTS, infect, recover), first + i, open, found);
    }
    if (i < count)
        found = sir_list(sir_some(&c, i, count - i, infect, recover), first + i, open, found);
    return found;
}
