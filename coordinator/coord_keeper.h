/* A worker in the pool of a service: it keeps the process that works for one job after the other.
 *
 * `weir worker --join ADDRESS` becomes one when a service answers there. For each order it starts
 * `weir worker --join` with the address of a job's coordinator, tells when that process has ended, and
 * waits for the next order. So nothing of one job reaches the next, whatever became of it. */
#ifndef COORD_KEEPER_H
#define COORD_KEEPER_H

#include "coordinator/coord_wire.h"

typedef struct coord_keeper_options {
    coord_net *net;        /* connected to the service as COORD_WIRE_COORDINATOR; borrowed */
    coord_wire *wire;      /* borrowed */
    uint64_t id;           /* ours on the net */
    /* As on our own command line; null or 0: not given. */
    const char *label, *bind, *keys, *scratch;
    bool insecure;
    uint32_t threads;
} coord_keeper_options;

/* `order`: in the service's answer to hello. Until it is asked to end (SIGTERM, Ctrl-C). Returns a
 * coord_exit. */
int coord_keeper_run(const coord_keeper_options *options, uint64_t order);

#endif
