/* How the workers of a job stand, in figures that each has told a moment ago: what `weir workers` and the
 * metrics show. */
#ifndef COORD_WORKERS_H
#define COORD_WORKERS_H

#include "coordinator/coord_load.h"

typedef struct coord_workers_row {
    char label[WEIR_NAME_MAX];
    uint64_t id;
    int64_t pid;            /* on its host */
    bool member;            /* else spare */
    uint32_t key_groups;    /* that it owns, by the coordinator's table */
    bool told;              /* the rest is known */
    char host[WEIR_NAME_MAX], backend[WEIR_NAME_MAX];
    uint32_t threads, compute_capability, priority;
    double busy, host_load; /* 0 to 1: of its threads' time; of its machine's */
    uint64_t free_bytes, total_bytes, process_bytes;
    uint64_t age_us;        /* of these */
    uint64_t rows, bytes;   /* of its key groups' states */
    uint64_t cost_ns;       /* of its key groups in a step, summed over threads */
    uint64_t units_age_us;  /* of these; UINT64_MAX: not told */
    char refused[160];      /* why it is given no key groups; "": it is */
} coord_workers_row;

#endif
