/* The JSON that verbs print: one object on one line. Who knows the JSON library:
 * coord_json_private.h, which only coord_json*.c include. */
#ifndef COORD_JSON_H
#define COORD_JSON_H

#include "coordinator/coord_keys.h"
#include "coordinator/coord_replay.h"
#include "coordinator/coord_run.h"
#include "snapshot/snap_store.h"

#include <stdio.h>

/* Each prints to `out`; false: out of memory, or it could not be written. */
bool coord_json_run(FILE *out, const coord_run_result *result);
/* A job that was read: its errors, or (plan not null) what it is. */
/* warnings: null if the job is wrong. */
bool coord_json_check(FILE *out, const df_plan *plan, const df_report *report, const df_report *warnings);
bool coord_json_replay(FILE *out, const coord_replay_result *result);
bool coord_json_version(FILE *out, const char *version, const char *commit);
bool coord_json_graph(FILE *out, const df_plan *plan);
/* The failpoints, and how often each was passed by those who count. */
bool coord_json_failpoints(FILE *out);
bool coord_json_kinds(FILE *out, const weir_operator *const *kinds, uint32_t count);
/* The verification of a store, an object in three parts, as there may be much to tell: the folder
 * (and the head, if there is a store), damage by damage, and how it ended. */
bool coord_json_verify_begin(FILE *out, const char *folder, const snap_store *store);
bool coord_json_verify_damage(FILE *out, bool first, const snap_damage *damage);
bool coord_json_verify_end(FILE *out, const snap_verified *verified, df_status status,
                           const df_error *err);
/* One key, and where; or a folder's keys and who is allowed. */
bool coord_json_key(FILE *out, const char *folder, const coord_key *key);
bool coord_json_keys(FILE *out, const char *folder, const coord_key_list *keys,
                     const coord_key_list *allowed);

#endif
