/* The manifest of a snapshot, made of what its workers say of their parts. */
#ifndef COORD_MANIFEST_H
#define COORD_MANIFEST_H

#include "coordinator/coord_part.h"
#include "dataflow/df_plan.h"

/* What a snapshot of a job consists of; table i is state i of the plan. Borrows everything. */
typedef struct coord_shape {
    const char *job;
    df_hash plan;
    uint32_t table_count;
    struct coord_shape_table {
        const char *name;
        const weir_schema *schema;
        uint32_t key_groups;
    } tables[DF_STATES_MAX];
} coord_shape;

void coord_shape_of(coord_shape *shape, const df_plan *plan);

/* What the coordinator itself knows of a snapshot. */
typedef struct coord_snapshot_head {
    uint64_t snapshot, parent, step, generation, created_ms;
    const char *label; /* "": none */
} coord_snapshot_head;

/* Every key group of every table must be in exactly one part, with the chunks that its rows need, and
 * these in a part of this snapshot or of `base` (null: none); else DF_ECORRUPT, and the text says what.
 * The manifest is sealed. On success *out is owned by the caller. */
df_status coord_manifest_make(snap_manifest **out, const coord_shape *shape,
                              const coord_snapshot_head *head, const snap_manifest *base,
                              coord_part *const *parts, uint32_t part_count, df_error *err)
    DF_MUST_CHECK;

#endif
