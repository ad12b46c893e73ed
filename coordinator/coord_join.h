/* How a worker, or a client, gets to a coordinator: over which address, with which keys. */
#ifndef COORD_JOIN_H
#define COORD_JOIN_H

#include "coordinator/coord_net.h"

typedef struct coord_join {
    const char *address;    /* of the coordinator */
    bool listens;           /* others connect to us, too */
    const char *bind;       /* where, over tcp; null: at the interface that leads to the coordinator */
    const char *keys;       /* folder, for tcp; null: the user's */
    const char *server_key; /* the coordinator's public key, or a file that holds it; null: not given */
    bool insecure;          /* tcp without keys */
} coord_join;

/* Open a net of ours, numbered `self`, that connects to the coordinator as peer COORD_WIRE_COORDINATOR.
 * DF_EINVAL: what is given does not fit together, or a key is not there. On success *out is owned by
 * the caller. */
df_status coord_join_open(coord_net **out, const coord_join *join, uint64_t self,
                          df_error *err) DF_MUST_CHECK;

#endif
