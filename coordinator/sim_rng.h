/* The simulator's numbers: splitmix64. A schedule is a pure function of its seed. */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sim_rng {
    uint64_t state;
} sim_rng;

static inline uint64_t sim_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static inline uint64_t sim_random(sim_rng *rng)
{
    return sim_mix(rng->state += 0x9e3779b97f4a7c15u);
}

/* From least to most, both included. */
static inline uint64_t sim_range(sim_rng *rng, uint64_t least, uint64_t most)
{
    return least + sim_random(rng) % (most - least + 1);
}

/* True `of` times in a million. */
static inline bool sim_chance(sim_rng *rng, uint32_t of)
{
    return sim_random(rng) % 1000000u < of;
}

#endif
