/* A new state that begins where a snapshot of another one is: what `weir replay` runs in.
 *
 * It holds a copy of the snapshot, under the same number, and a log in which no generation has begun and no order is
 * left; so a coordinator that opens it begins there. Where sinks stood is left out: they begin anew. */
#ifndef COORD_FORK_H
#define COORD_FORK_H

#include "dataflow/df_plan.h"
#include "snapshot/snap_store.h"

/* Make it in `state`, an empty folder. `snapshot` is one of `from`, whose files stay open and so stay there, whatever
 * is removed from its folder meanwhile. 0: the beginning of the job; then nothing is made. */
df_status coord_fork_make(const char *state, snap_store *from, uint64_t snapshot, const df_plan *plan, df_error *err)
    DF_MUST_CHECK;

#endif
