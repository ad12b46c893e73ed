/* A file that grows by appending, and goes on after a restart exactly once.
 *
 *      begin anew                      go on at a mark
 *   0 ........ position = end       0 .... mark ~~~~~~~~~~ end
 *                                            ^ position: what is written up to `end` is compared
 *                                              with what is there; behind it the file grows
 *
 * The writer holds the file's lock from before it reads or changes a byte until the close.
 *
 * Behind a mark stands what the killed process wrote after it, and readers may have seen it. So it
 * is kept, compared with what is written again, and written again as it is: its sync may have
 * failed before this process began, and then the bytes can be read and will never reach the disk
 * unless they are written once more. A last record that was torn is completed. A difference is an
 * error: then this is not the output of the same run. Only when the machine was started anew since
 * the mark, a power loss may have left anything behind it, and nobody has it before his eyes: from
 * the first difference on the bytes are replaced.
 *
 * A write that fails (a full disk) leaves part of a record; op_append_undo takes it back. Before
 * the first mark the file is cut; afterwards it is not, for the job will go on and complete it.
 *
 * What is not a regular file (a pipe, /dev/full) can be written, but has no lock and no marks.
 *
 * One thread at a time, but for op_append_sync, which may run beside op_append_write. All errors
 * name the file. */
#ifndef OP_APPEND_H
#define OP_APPEND_H

#include "dataflow/df_error.h"
#include "dataflow/weir/operator.h"

typedef struct op_append op_append;

/* Open the file at `path`, made if it is not there. Without `resume` it is emptied. DF_AGAIN:
 * another writer has it; DF_ECORRUPT: it cannot be the file of this mark. On failure *out is
 * null. */
df_status op_append_open(op_append **out, const char *path, const weir_mark *resume, df_error *err)
    DF_MUST_CHECK;
/* Write all of the bytes, or fail with any part of them written. DF_ECORRUPT: other bytes are
 * there. */
df_status op_append_write(op_append *file, const void *bytes, size_t size, df_error *err)
    DF_MUST_CHECK;
/* Everything written so far is whole records. */
void op_append_whole(op_append *file);
/* Go back to the last whole record, after a failure. */
void op_append_undo(op_append *file);
/* The end of the last whole record. */
df_status op_append_mark(op_append *file, weir_mark *mark, df_error *err) DF_MUST_CHECK;
/* Make what was written, and the file's name, durable. After a failure everything else fails
 * too. */
df_status op_append_sync(op_append *file, df_error *err) DF_MUST_CHECK;
/* Takes the file, which is closed also when it fails; null is allowed. Does not sync. */
df_status op_append_close(op_append **file, df_error *err) DF_MUST_CHECK;

#endif
