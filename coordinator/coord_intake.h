/* Parts that come through the network: a thread writes their pieces to where the commit finds parts, makes
 * each durable after its last piece, file and folder, and compares it with what its worker has offered.
 * Then it is looked at as a table, since RocksDB takes it in.
 *
 * What waits is bounded by who sends (proto_collect.c): a window for each of PROTO_STREAMS_MAX workers.
 * After a write or a sync that failed a file is broken for good: every later piece of it fails too. */
#ifndef COORD_INTAKE_H
#define COORD_INTAKE_H

#include "coordinator/proto_coord.h"
#include "dataflow/df_disk.h"

typedef struct coord_intake coord_intake;

/* `folder`: of the store, which is there. The disk is borrowed, and used by the thread alone. verify: read
 * each part back from the disk. `wake` is called from another thread when something has ended. On success
 * *out is owned by the caller. */
df_status coord_intake_new(coord_intake **out, df_disk *disk, const char *folder, bool verify,
                           void (*wake)(void *user), void *user, df_error *err) DF_MUST_CHECK;
/* Waits for the thread. Null is allowed. */
void coord_intake_free(coord_intake **intake);

/* Copies the piece. */
void coord_intake_put(coord_intake *intake, const proto_collect *piece);

typedef struct coord_intake_end {
    uint64_t worker, attempt;
    uint32_t size;        /* of the piece */
    df_status status;     /* not DF_OK: the part will not be whole */
    df_error error;
} coord_intake_end;

/* Take the end of a piece, in the order in which they were put: true once each. */
bool coord_intake_ended(coord_intake *intake, coord_intake_end *end);
/* Forget what belongs to attempts up to `last`: nothing of them is written, or open, when it returns true.
 * False: not while the thread works. */
bool coord_intake_clear(coord_intake *intake, uint64_t last);

#endif
