/* What the two files behind op_hdf5.h share: op_hdf5.c makes, opens and closes files,
 * op_hdf5_rows.c writes and compares rows. They alone know the library: its handles are plain
 * numbers here. Every function is called between op_hdf5_enter and op_hdf5_leave. */
#ifndef OP_HDF5_PRIVATE_H
#define OP_HDF5_PRIVATE_H

#include "operators/op_hdf5.h"

typedef int64_t op_hdf5_id; /* hid_t */

#define OP_HDF5_CHUNK 16384u /* rows */
#define OP_HDF5_DATASETS_MAX (OP_SINK_COLUMNS_MAX + 2)
#define OP_HDF5_REASON_MAX 200
#define OP_HDF5_SOURCE_STEP (-1) /* beside indices into op_columns */
#define OP_HDF5_SOURCE_TIME (-2)

typedef struct op_hdf5_index {
    uint64_t step;
    double time;
    uint64_t first_row, row_count;
} op_hdf5_index;

typedef struct op_hdf5_dataset {
    op_hdf5_id id;
    weir_type type;
    int source; /* OP_HDF5_SOURCE_..., or which of the chosen columns */
} op_hdf5_dataset;

struct op_hdf5_file {
    op_hdf5_id id;
    op_hdf5_id index, index_type;
    bool readable_only;
    const op_hdf5_about *about;
    uint32_t dataset_count;
    op_hdf5_dataset datasets[OP_HDF5_DATASETS_MAX];
    uint64_t rows, steps; /* in complete steps */
    bool differs;         /* of a comparison: the bytes do, HDF5 has not failed */
    bool full;            /* there was no room for a step, and nothing of it was written */
    char reason[OP_HDF5_REASON_MAX];
    char path[OP_SINK_PATH_MAX];
    char name[OP_SINK_PATH_MAX];               /* as people know it */
    _Alignas(8) char stage[OP_HDF5_CHUNK * 8]; /* one chunk, gathered from the batches */
    _Alignas(8) char found[OP_HDF5_CHUNK * 8]; /* one chunk, as the file holds it */
};

/* Note why the HDF5 call that just failed did, unless an earlier reason stands. */
weir_status op_hdf5_failed(op_hdf5_file *file);
/* The file's name and the reason into err. */
df_status op_hdf5_report(const op_hdf5_file *file, df_error *err);
op_hdf5_id op_hdf5_type(weir_type type);
df_status op_hdf5_room(const char *path, const char *name, df_error *err) DF_MUST_CHECK;
df_status op_hdf5_append(op_hdf5_file *file, const weir_task *task, df_error *err) DF_MUST_CHECK;
df_status op_hdf5_compare(op_hdf5_file *file, uint64_t index, const weir_task *task, df_error *err) DF_MUST_CHECK;
void op_hdf5_enter(void);
void op_hdf5_leave(void);

#endif
