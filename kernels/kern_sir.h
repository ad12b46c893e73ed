/* One step of an epidemic for agents of one place: who falls ill and who becomes immune, by a random byte each.
 *
 * An event of probability p happens to an agent if a word drawn for it is below the limit p * 2^32. `byte` is the
 * upper byte of that word, `infect` and `recover` are those of the limits. Where byte and limit are equal the byte
 * does not decide: the agent is open, and until somebody looks at the rest of the word nothing happens to it. */
#ifndef KERN_SIR_H
#define KERN_SIR_H

#include "kernels/kern_base.h"

typedef struct kern_sir_agent {
    uint8_t ill, immune; /* 0 or 1 */
    uint8_t open;
} kern_sir_agent;

/* `ill` and `immune`: 0, or anything else for true. An ill agent may be immune as well; it recovers all the same. */
KERN_FN kern_sir_agent kern_sir_decide(uint8_t ill, uint8_t immune, uint8_t byte, uint8_t infect,
                                       uint8_t recover)
{
    uint8_t was = ill != 0, safe = immune != 0, may = was | !safe;
    uint8_t high = was ? recover : infect;
    uint8_t happens = may & (byte < high);
    kern_sir_agent next;

    next.ill = was ^ happens;
    next.immune = safe | (was & happens);
    next.open = may & (byte == high);
    return next;
}

#if !defined(__CUDACC__)
typedef struct kern_sir_columns {
    const uint8_t *ill, *immune, *bytes;
    uint8_t *next_ill, *next_immune;
} kern_sir_columns;

/* The first `count` rows. first + i of each row i that is open goes into `open`, ascending, which has room for
 * count + 1 numbers: one behind those that are found is written, too. Returns how many are found. */
uint32_t kern_sir_change(const kern_sir_columns *columns, uint32_t count, uint8_t infect, uint8_t recover,
                         uint32_t first, uint32_t *open);
#endif

#endif
