/* csv, as a sink: one line per row.
 *
 * Numbers are written in the shortest form that reads back to the same bits, so the file holds
 * what the state held. Lines go through one buffer; at the end of each step it is written out, so
 * that another program sees complete lines only. When a write fails (a full disk), the file is cut
 * back to its last complete step before the step fails; in a job that can go on after a restart it
 * is not, for somebody may follow the file: the step's lines are completed then (see
 * op_append.h). */
#include "operators/op_append.h"
#include "operators/op_number.h"
#include "operators/op_sink.h"

#include <stdlib.h>
#include <string.h>

#define CSV_BUFFER_SIZE (256u * 1024)
/* The longest line: every number with its comma, and the newline. */
#define CSV_LINE_MAX ((OP_SINK_COLUMNS_MAX + 2) * (OP_NUMBER_MAX + 1) + 1)
/* The longest header: every character of a name doubled, and quotes. */
#define CSV_HEADER_MAX ((OP_SINK_COLUMNS_MAX + 2) * (2 * WEIR_NAME_MAX + 3))

_Static_assert(CSV_LINE_MAX < CSV_BUFFER_SIZE / 8, "a line is small beside the buffer");
_Static_assert(CSV_HEADER_MAX < CSV_BUFFER_SIZE, "the header fits the buffer");

typedef struct csv_options {
    const char *file;
    weir_names columns;
    op_columns chosen;
} csv_options;

typedef struct csv_file {
    op_append *out;
    size_t used;
    char buffer[CSV_BUFFER_SIZE];
} csv_file;

static const weir_option csv_option_list[] = {
    { .name = "file", .help = "the file to write", .type = WEIR_FILE_OUT,
      .offset = offsetof(csv_options, file) },
    { .name = "columns",
      .help = "columns to write after step and time; \"id\" is the row's key (default: all but id)",
      .type = WEIR_COLUMNS, .value = "", .offset = offsetof(csv_options, columns) },
    { 0 },
};

static df_status csv_flush(csv_file *file, df_error *err)
{
    df_status status = op_append_write(file->out, file->buffer, file->used, err);

    file->used = 0;
    return status;
}

static void csv_put_name(csv_file *file, const char *name)
{
    bool quoted = strpbrk(name, ",\"\r\n") != NULL;

    if (quoted)
        file->buffer[file->used++] = '"';
    for (; *name != '\0'; name++) {
        if (*name == '"')
            file->buffer[file->used++] = '"';
        file->buffer[file->used++] = *name;
    }
    if (quoted)
        file->buffer[file->used++] = '"';
}

static void csv_put_header(csv_file *file, const op_columns *chosen, const weir_schema *schema)
{
    csv_put_name(file, "step");
    file->buffer[file->used++] = ',';
    csv_put_name(file, "time");
    for (uint32_t i = 0; i < chosen->count; i++) {
        file->buffer[file->used++] = ',';
        csv_put_name(file, op_sink_column_name(chosen, i, schema));
    }
    file->buffer[file->used++] = '\n';
}

static weir_status csv_plan(weir_plan *plan, void *options)
{
    csv_options *o = options;

    return op_sink_columns(plan, &o->columns, &o->chosen);
}

static weir_status csv_close(weir_sink *sink)
{
    csv_file *file = sink->handle;
    df_error err;
    df_status status;

    if (file == NULL)
        return WEIR_OK;
    status = op_append_close(&file->out, &err);
    free(file);
    sink->handle = NULL;
    return status == DF_OK ? WEIR_OK : weir_sink_fail(sink, "%s", err.text);
}

/* The header stands before the first mark. */
static df_status csv_start(csv_file *file, const weir_sink *sink, const char *path, df_error *err)
{
    const csv_options *o = sink->options;
    df_status status = op_append_open(&file->out, path, sink->resume, err);

    if (status != DF_OK || sink->resume != NULL)
        return status;
    csv_put_header(file, &o->chosen, sink->schema);
    status = csv_flush(file, err);
    op_append_whole(file->out);
    return status;
}

static weir_status csv_open(weir_sink *sink)
{
    const csv_options *o = sink->options;
    char path[OP_SINK_PATH_MAX];
    csv_file *file;
    df_error err;

    if (op_sink_path(sink, o->file, path) != WEIR_OK)
        return WEIR_FAILED;
    file = malloc(sizeof(*file));
    if (file == NULL)
        return weir_sink_fail(sink, "%s: out of memory", path);
    file->used = 0;
    if (csv_start(file, sink, path, &err) == DF_OK) {
        sink->handle = file;
        return WEIR_OK;
    }
    weir_sink_fail(sink, "%s", err.text);
    /* The first error is the one to tell. */
    if (op_append_close(&file->out, NULL) != DF_OK)
        file->out = NULL;
    free(file);
    return WEIR_FAILED;
}

static weir_status csv_mark(weir_sink *sink, weir_mark *mark)
{
    csv_file *file = sink->handle;
    df_error err;

    return op_append_mark(file->out, mark, &err) == DF_OK ? WEIR_OK
                                                          : weir_sink_fail(sink, "%s", err.text);
}

static weir_status csv_sync(weir_sink *sink)
{
    csv_file *file = sink->handle;
    df_error err;

    return op_append_sync(file->out, &err) == DF_OK ? WEIR_OK
                                                    : weir_sink_fail(sink, "%s", err.text);
}

/* One line at `out`; `start` holds the step's "step,time". Returns its end. */
static char *csv_line(char *out, const char *start, size_t start_size, const op_columns *chosen,
                      const weir_batch *batch, uint32_t row)
{
    memcpy(out, start, start_size);
    out += start_size;
    for (uint32_t i = 0; i < chosen->count; i++) {
        *out++ = ',';
        out = op_number_value(out, op_sink_column_type(chosen, i, batch->schema),
                              op_sink_column_data(chosen, i, batch), row);
    }
    *out++ = '\n';
    return out;
}

/* All rows of the step. */
static df_status csv_write_step(csv_file *file, const op_columns *chosen, const weir_task *task,
                                df_error *err)
{
    char start[2 * OP_NUMBER_MAX + 1];
    char *end = op_number_u64(start, task->step);

    *end++ = ',';
    end = op_number_f64(end, task->time);
    for (uint32_t b = 0; b < task->inputs[0].batch_count; b++) {
        const weir_batch *batch = task->inputs[0].batches[b];
        for (uint32_t row = 0; row < batch->row_count; row++) {
            char *line = file->buffer + file->used;
            df_status status = DF_OK;
            line = csv_line(line, start, (size_t)(end - start), chosen, batch, row);
            file->used = (size_t)(line - file->buffer);
            if (file->used > CSV_BUFFER_SIZE - CSV_LINE_MAX)
                status = csv_flush(file, err);
            if (status != DF_OK)
                return status;
        }
    }
    return csv_flush(file, err);
}

static weir_status csv_process(weir_task *task)
{
    const csv_options *o = task->options;
    csv_file *file = task->handle;
    df_error err;

    if (csv_write_step(file, &o->chosen, task, &err) == DF_OK) {
        op_append_whole(file->out);
        return WEIR_OK;
    }
    op_append_undo(file->out);
    file->used = 0;
    return op_sink_failed(task, &err);
}

const weir_operator op_csv_sink = {
    .api_version = WEIR_API_VERSION,
    .name = "csv",
    .help = "write the rows to a CSV file, each once, also after a restart",
    .role = WEIR_SINK,
    .inputs = { { "in", WEIR_GATHER, "any stream" } },
    .options_size = sizeof(csv_options),
    .options = csv_option_list,
    .plan = csv_plan,
    .process = csv_process,
    .open = csv_open,
    .close = csv_close,
    .mark = csv_mark,
    .sync = csv_sync,
};
