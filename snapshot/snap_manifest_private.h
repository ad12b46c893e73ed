/* What snap_manifest.c and snap_manifest_code.c share. */
#ifndef SNAP_MANIFEST_PRIVATE_H
#define SNAP_MANIFEST_PRIVATE_H

#include "snapshot/snap_manifest.h"

#define SNAP_REF_SIZE (4 + 4 + SNAP_HASH_SIZE) /* stored bytes of a ref */

/* The refs of a key group with that many rows. */
uint64_t snap_table_refs(const snap_table *table, uint32_t chunk_size, uint32_t rows);
int snap_owner_compare(const snap_owner *a, const snap_owner *b);

#endif
