/* A small job's state for tests of snapshots, and its way into a store and back: two states, several
 * key groups, two workers that write a part each. What a snapshot must hold follows from a scene
 * alone, not from the code under test. */
#ifndef SUPPORT_SNAP_SCENE_H
#define SUPPORT_SNAP_SCENE_H

#include "snapshot/snap_store.h"
#include "snapshot/snap_write.h"

#define SCENE_GROUPS_MAX  8
#define SCENE_COLUMNS_MAX 4 /* the keys among them */

typedef struct scene {
    uint32_t rows[SCENE_GROUPS_MAX];            /* of state "birds" */
    uint32_t groups;
    uint64_t versions[SCENE_COLUMNS_MAX];       /* another version, other values */
    snap_codec codec;
    uint32_t workers;                           /* parts, 1 or 2 */
    bool abandon;                               /* ingest the parts, but do not commit */
} scene;

/* Four key groups, the last of them empty, for two workers; version 1. */
scene scene_new(void);
/* What is in column c of a key group: values [rows * size], freed by the caller. Aborts without
 * memory. */
void *scene_column(const scene *s, uint32_t key_group, uint32_t column);
weir_type scene_type(uint32_t column);
uint32_t scene_columns(void);

/* Write the scene as snapshot `number`, on top of the head. `written` counts its new chunks; null: not
 * wanted. */
df_status scene_commit(snap_store *store, const scene *s, uint64_t number, const char *label,
                       uint64_t *written, df_error *err) DF_MUST_CHECK;
/* Read a snapshot whole. DF_OK only if it is exactly the scene; DF_EINVAL: rows came out wrong, which
 * must never be; else what the store says. */
df_status scene_check(snap_store *store, const scene *s, uint64_t number, df_error *err) DF_MUST_CHECK;

#endif
