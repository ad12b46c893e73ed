/* What sinks share: the choice of columns, the path of a file, a walk over the rows of a step, and
 * the descriptor parts that read alike.
 *
 * Which columns a sink writes: the step and the time of the row always come first, under the names
 * "step" and "time"; then the columns that `columns` lists, in its order; without `columns` every
 * column of the stream. The row's key is written where `columns` lists "id", and only there. */
#ifndef OP_SINK_H
#define OP_SINK_H

#include "dataflow/df_error.h"
#include "dataflow/weir/operator.h"

#define OP_SINK_COLUMNS_MAX (WEIR_COLUMNS_MAX + 1) /* and "id" */
#define OP_SINK_PATH_MAX 1024
#define OP_SINK_ID (-1)

typedef struct op_columns {
    uint32_t count;
    int16_t index[OP_SINK_COLUMNS_MAX]; /* into the stream's schema, or OP_SINK_ID */
} op_columns;

/* Resolve `names` (may be empty: all) against input 0. Errors go to the plan, at "columns". */
weir_status op_sink_columns(weir_plan *plan, const weir_names *names, op_columns *out);
const char *op_sink_column_name(const op_columns *chosen, uint32_t i, const weir_schema *schema);
weir_type op_sink_column_type(const op_columns *chosen, uint32_t i, const weir_schema *schema);
/* The values of chosen column i in a batch. */
const void *op_sink_column_data(const op_columns *chosen, uint32_t i, const weir_batch *batch);

/* directory/file into path[OP_SINK_PATH_MAX]; folders that `file` names are made. Fails the sink. */
weir_status op_sink_path(weir_sink *sink, const char *file, char *path);

/* Fail the step because of its file: trying again may help, unless the file is damaged. */
weir_status op_sink_failed(weir_task *task, const df_error *err);

/* The rows of a step, over all key groups. */
uint64_t op_sink_rows(const weir_task *task);

#endif
