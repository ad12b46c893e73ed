/* Snapshots for workers that do not see the folder: a thread reads what they fetch. The store is opened for
 * reading beside the one that commits, as a worker that sees the folder does, and closed when nobody loads.
 *
 * What is fetched of a table is the stored chunks of the key groups that were asked for, one behind the
 * other: by key group, column by column. So a range of it is found from the manifest alone, and nobody
 * remembers where somebody stands. */
#ifndef COORD_OUTLET_H
#define COORD_OUTLET_H

#include "coordinator/proto_coord.h"
#include "dataflow/df_error.h"
#include "snapshot/snap_store.h"

typedef struct coord_outlet coord_outlet;

/* `folder`: of the store. On success *out is owned by the caller. */
df_status coord_outlet_new(coord_outlet **out, const char *folder, void (*wake)(void *user), void *user,
                           df_error *err) DF_MUST_CHECK;
/* Waits for the thread. Null is allowed. */
void coord_outlet_free(coord_outlet **outlet);

/* Copies what is wanted. */
void coord_outlet_put(coord_outlet *outlet, uint64_t worker, const proto_fetch *what);
/* Take what was read, in the order in which it was put: true once each. The bytes are valid until the next
 * call. */
bool coord_outlet_ended(coord_outlet *outlet, proto_serve *out);
/* Nobody loads: close the store, when the thread has nothing to do. */
void coord_outlet_rest(coord_outlet *outlet);

/* Bytes [offset, offset + size), as far as there are, of those chunks, into `bytes`; *got says how many,
 * *total how many there are in all. DF_EINVAL: there is no such table or byte. For the thread, and tests. */
df_status coord_outlet_read(const snap_store *store, const snap_manifest *m, const proto_fetch *what,
                            uint8_t *bytes, uint32_t *got, uint64_t *total, df_error *err) DF_MUST_CHECK;

#endif
