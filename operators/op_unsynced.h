/* Whole files that were written and are not durable yet, of a sink that makes many.
 *
 * A file's descriptor stays open until its sync: whoever opens it later may miss an error of its
 * disk. So there is a limit, OP_UNSYNCED_MAX; beyond it the oldest is synced at once.
 *
 * op_unsynced_add and op_unsynced_sync may run at the same time on two threads. */
#ifndef OP_UNSYNCED_H
#define OP_UNSYNCED_H

#include "dataflow/df_error.h"

#include <stdbool.h>

#define OP_UNSYNCED_MAX 16

typedef struct op_unsynced op_unsynced;

/* `path` is one in the folder of the files; errors name it. Null: out of memory. */
op_unsynced *op_unsynced_new(const char *path);
/* Takes the set; files in it are closed as they are. */
void op_unsynced_free(op_unsynced **files);
/* Takes a descriptor. With `replaces` the files before are gone: this one took their name. */
void op_unsynced_add(op_unsynced *files, int descriptor, bool replaces);
/* Make all files and their names durable. After a failure it fails for ever. */
df_status op_unsynced_sync(op_unsynced *files, df_error *err) DF_MUST_CHECK;
/* Why a sync failed, or DF_OK. */
df_status op_unsynced_check(const op_unsynced *files, df_error *err) DF_MUST_CHECK;

#endif
