/* Where a worker that does not see the coordinator's folder writes its parts, until the coordinator has
 * fetched them: a folder of its own,
 *
 *   BASE/weir-scratch-HOST-PROCESS/incoming/
 *
 * which is removed when the process ends; what one that was killed has left is removed by the next one on its
 * host. BASE is what the user says, else $TMPDIR, else /var/tmp. */
#ifndef COORD_SCRATCH_H
#define COORD_SCRATCH_H

#include "dataflow/df_disk.h"
#include "dataflow/df_graph.h"
#include "snapshot/snap_backend.h"

/* Make this process's folder; `path` names it. base null: as above. What dead processes of this host have left in
 * BASE is removed first. */
df_status coord_scratch_make(char path[DF_PATH_MAX], const char *base, df_error *err) DF_MUST_CHECK;
/* Remove it, with what is in it. One that is not there, or "", is no failure. */
void coord_scratch_remove(const char *path);

/* The size of a part's file, and its hash as it is chained over pieces of PROTO_PIECE_SIZE. */
df_status coord_scratch_sum(const char *folder, const snap_part_id *id, uint64_t *size, df_hash *hash,
                            df_error *err) DF_MUST_CHECK;
/* Bytes of it, all of them. False: they cannot be read. */
bool coord_scratch_read(const char *folder, const snap_part_id *id, uint64_t offset, void *bytes, size_t size);
/* One that is not there is no failure. */
void coord_scratch_drop(const char *folder, const snap_part_id *id);

#endif
