/* What every sink that keeps files asks of the system: one writer per file, and names that last. */
#ifndef OP_FILE_H
#define OP_FILE_H

#include "dataflow/df_error.h"

#include <stdbool.h>

#define OP_FILE_BOOT_SIZE 36 /* of a boot id, as text */

/* Take the write lock of an open file (of its open file description: it ends with the last close).
 * DF_AGAIN: somebody else holds it; the text names the process where the system tells. */
df_status op_file_lock(int descriptor, const char *path, df_error *err) DF_MUST_CHECK;

/* The same where the file itself is replaced again and again: lock FOLDER/.NAME.lock, which is
 * made, and removed by the unlock. On failure *descriptor is -1, which may be unlocked. */
df_status op_file_lock_beside(const char *path, int *descriptor, df_error *err) DF_MUST_CHECK;
void op_file_unlock_beside(const char *path, int *descriptor);

/* Make a file's name durable: sync its folder and every one above. It is not known which of them
 * are new: they may have been made by a process that was killed before it could sync them. */
df_status op_file_sync_name(const char *path, df_error *err) DF_MUST_CHECK;

/* Which start of this machine it is, not zero-terminated. Where the system does not tell, it is
 * always the same: whoever compares two then believes that the machine has kept running. */
void op_file_boot(char boot[OP_FILE_BOOT_SIZE]);

/* Fill err from an errno: "path: what it means". A full disk is DF_ELIMIT. */
df_status op_file_fail(df_error *err, const char *path, int code);
/* The same of a file whose sync has failed: DF_END, for nothing is promised of it any more, and trying
 * again would succeed with the data lost. */
df_status op_file_broken(df_error *err, const char *path, int code);

#endif
