/* What sinks share. */
#include "operators/op_sink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static weir_status sink_all_columns(weir_plan *plan, op_columns *out)
{
    const weir_schema *schema = weir_plan_input(plan, 0);

    for (uint32_t i = 0; i < schema->column_count; i++)
        out->index[out->count++] = (int16_t)i;
    return WEIR_OK;
}

static weir_status sink_add_column(weir_plan *plan, const char *name, op_columns *out)
{
    int index = strcmp(name, "id") == 0 ? OP_SINK_ID : weir_plan_column(plan, 0, name, 0);

    if (index < 0 && strcmp(name, "id") != 0)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < out->count; i++)
        if (out->index[i] == index)
            return weir_plan_error(plan, "columns", "column %s is listed twice", name);
    out->index[out->count++] = (int16_t)index;
    return WEIR_OK;
}

/* A reader of the file finds a column by its name, so no name may stand there twice. */
static weir_status sink_check_names(weir_plan *plan, const op_columns *chosen)
{
    const weir_schema *schema = weir_plan_input(plan, 0);

    for (uint32_t i = 0; i < chosen->count; i++) {
        const char *name = op_sink_column_name(chosen, i, schema);
        if (strcmp(name, "step") == 0 || strcmp(name, "time") == 0)
            return weir_plan_error(plan, "columns",
                                   "every row starts with its step and time: there would be two "
                                   "columns \"%s\"; choose others with columns", name);
    }
    return WEIR_OK;
}

weir_status op_sink_columns(weir_plan *plan, const weir_names *names, op_columns *out)
{
    weir_status status = WEIR_OK;

    out->count = 0;
    if (names->count == 0)
        status = sink_all_columns(plan, out);
    for (uint32_t i = 0; i < names->count; i++)
        if (sink_add_column(plan, names->names[i], out) != WEIR_OK)
            status = WEIR_FAILED;
    return status == WEIR_OK ? sink_check_names(plan, out) : status;
}

/* A disk may have room again; a file that is not ours will not become it, and one whose sync has failed is
 * given up. */
weir_status op_sink_failed(weir_task *task, const df_error *err)
{
    bool final = err->status == DF_ECORRUPT || err->status == DF_END;

    return final ? weir_fail(task, WEIR_NO_ROW, "%s", err->text) : weir_again(task, "%s", err->text);
}

const char *op_sink_column_name(const op_columns *chosen, uint32_t i, const weir_schema *schema)
{
    return chosen->index[i] == OP_SINK_ID ? "id" : schema->columns[chosen->index[i]].name;
}

weir_type op_sink_column_type(const op_columns *chosen, uint32_t i, const weir_schema *schema)
{
    return chosen->index[i] == OP_SINK_ID ? WEIR_U64 : schema->columns[chosen->index[i]].type;
}

const void *op_sink_column_data(const op_columns *chosen, uint32_t i, const weir_batch *batch)
{
    return chosen->index[i] == OP_SINK_ID ? batch->keys : batch->columns[chosen->index[i]];
}

weir_status op_sink_path(weir_sink *sink, const char *file, char *path)
{
    int n = snprintf(path, OP_SINK_PATH_MAX, "%s/%s", sink->directory, file);

    if (n < 0 || n >= OP_SINK_PATH_MAX)
        return weir_sink_fail(sink, "%s: the path is too long", file);
    for (char *slash = path + strlen(sink->directory) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return weir_sink_fail(sink, "%s: %s", path, strerror(errno));
        *slash = '/';
    }
    return WEIR_OK;
}

uint64_t op_sink_rows(const weir_task *task)
{
    uint64_t rows = 0;

    for (uint32_t b = 0; b < task->inputs[0].batch_count; b++)
        rows += task->inputs[0].batches[b]->row_count;
    return rows;
}
