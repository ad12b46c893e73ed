/* The rows of steps in one HDF5 file: written, or compared with what a file holds.
 *
 *   /step /time        of every row                one dataset per column, one dimension, all of
 *   /id /COLUMN ...    as `columns` chooses        the same length: rows are appended
 *   /index             (step, time, first_row, row_count) of every step that was written
 *
 * So f["x"][first_row : first_row + row_count] is one step. The root's attributes tell the job. A
 * dataset grows in chunks of rows, shuffled and deflated unless compress = 0. The same rows give
 * the same bytes: nothing in the file is a time of day.
 *
 * The file stays readable when the disk is full: space for a step is reserved before HDF5 writes a
 * byte of it, so a step fails before it has begun, and the file is flushed after each.
 *
 * Any thread, one at a time per file. Errors name the file. */
#ifndef OP_HDF5_H
#define OP_HDF5_H

#include "dataflow/df_error.h"
#include "operators/op_sink.h"

#define OP_HDF5_LIBRARY "libweir_hdf5.so"
#define OP_HDF5_FILE_ROOM 262144 /* bytes of a file's own tables */

typedef struct op_hdf5_file op_hdf5_file;

/* What stands in every file of a sink; borrowed until it is closed. */
typedef struct op_hdf5_about {
    const weir_job *job;
    const weir_schema *schema;
    const weir_space *space; /* or null */
    const op_columns *chosen;
    uint32_t compress; /* 0..9 */
} op_hdf5_about;

/* What libweir_hdf5.so can do: its symbol `op_hdf5_module`. It is a shared object of its own, which the sink loads when it
 * opens: libhdf5 brings thirty more libraries, and to load them takes half of a process' start. */
typedef struct op_hdf5_calls {
    /* A new file at `path`, replacing one that is there; errors call it `name`. On failure *out is
     * null. */
    df_status (*create)(op_hdf5_file **out, const char *path, const char *name,
                        const op_hdf5_about *about, df_error *err);
    /* A whole file, to compare with. */
    df_status (*open)(op_hdf5_file **out, const char *path, const op_hdf5_about *about, df_error *err);
    /* The steps that it holds. */
    uint64_t (*steps)(const op_hdf5_file *file);
    /* Whether a new file at `path`, which is there and empty, would have room for what HDF5 writes into it before the first step.
     * DF_ELIMIT: it would not. */
    df_status (*room)(const char *path, const char *name, df_error *err);
    /* Write a step behind the others. After a failure the file still holds the steps before. DF_ELIMIT: there is no room for it
     * on the disk; nothing of it was written, and it may be tried again. */
    df_status (*append)(op_hdf5_file *file, const weir_task *task, df_error *err);
    /* DF_ECORRUPT: step number `index` of an opened file is not this one, bit by bit. */
    df_status (*compare)(op_hdf5_file *file, uint64_t index, const weir_task *task, df_error *err);
    /* Takes the file, also when it fails; null is allowed. Does not sync. */
    df_status (*close)(op_hdf5_file **file, df_error *err);
} op_hdf5_calls;

#endif
