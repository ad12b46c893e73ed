/* csv, as a sink: one line per row.
 *
 * Numbers are written in the shortest form that reads back to the same bits, so the file holds
 * what the state held. Lines go through one buffer; at the end of each step it is written out, so
 * that another program sees complete lines only. When a write fails (a full disk), the file is cut
 * back to its last complete step before the step fails. */
#include "operators/op_number.h"
#include "operators/op_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    int descriptor;
    off_t written; /* bytes that the file holds */
    off_t whole;   /* of those, up to the end of the last complete step */
    size_t used;
    char path[OP_SINK_PATH_MAX];
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

/* Write the buffer out. Returns 0 or an errno. */
static int csv_flush(csv_file *file)
{
    size_t done = 0;

    while (done < file->used) {
        ssize_t n = write(file->descriptor, file->buffer + done, file->used - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        done += (size_t)n;
        file->written += n;
    }
    file->used = 0;
    return 0;
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
    weir_status status = WEIR_OK;

    if (file == NULL)
        return WEIR_OK;
    if (close(file->descriptor) != 0)
        status = weir_sink_fail(sink, "%s: %s", file->path, strerror(errno));
    free(file);
    sink->handle = NULL;
    return status;
}

static weir_status csv_open(weir_sink *sink)
{
    const csv_options *o = sink->options;
    csv_file *file = malloc(sizeof(*file));
    int error;

    if (file == NULL)
        return weir_sink_fail(sink, "%s: out of memory", o->file);
    file->used = 0;
    file->written = 0;
    if (op_sink_path(sink, o->file, file->path) != WEIR_OK)
        goto failed;
    file->descriptor = open(file->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file->descriptor < 0) {
        weir_sink_fail(sink, "%s: %s", file->path, strerror(errno));
        goto failed;
    }
    csv_put_header(file, &o->chosen, sink->schema);
    error = csv_flush(file);
    if (error != 0) {
        weir_sink_fail(sink, "%s: %s", file->path, strerror(error));
        close(file->descriptor);
        goto failed;
    }
    file->whole = file->written;
    sink->handle = file;
    return WEIR_OK;
failed:
    free(file);
    return WEIR_FAILED;
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

/* All rows of the step. Returns 0 or an errno. */
static int csv_write_step(csv_file *file, const op_columns *chosen, const weir_task *task)
{
    char start[2 * OP_NUMBER_MAX + 1];
    char *end = op_number_u64(start, task->step);

    *end++ = ',';
    end = op_number_f64(end, task->time);
    for (uint32_t b = 0; b < task->inputs[0].batch_count; b++) {
        const weir_batch *batch = task->inputs[0].batches[b];
        for (uint32_t row = 0; row < batch->row_count; row++) {
            char *line = file->buffer + file->used;
            line = csv_line(line, start, (size_t)(end - start), chosen, batch, row);
            file->used = (size_t)(line - file->buffer);
            int error = file->used > CSV_BUFFER_SIZE - CSV_LINE_MAX ? csv_flush(file) : 0;
            if (error != 0)
                return error;
        }
    }
    return csv_flush(file);
}

static weir_status csv_process(weir_task *task)
{
    const csv_options *o = task->options;
    csv_file *file = task->handle;
    int error = csv_write_step(file, &o->chosen, task);

    if (error == 0) {
        file->whole = file->written;
        return WEIR_OK;
    }
    file->used = 0;
    /* What is not a regular file cannot be cut, and holds no incomplete line either. */
    if (ftruncate(file->descriptor, file->whole) == 0)
        file->written = lseek(file->descriptor, file->whole, SEEK_SET);
    return weir_fail(task, WEIR_NO_ROW, "%s: %s", file->path, strerror(error));
}

const weir_operator op_csv_sink = {
    .api_version = WEIR_API_VERSION,
    .name = "csv",
    .help = "write the rows to a CSV file",
    .role = WEIR_SINK,
    .inputs = { { "in", WEIR_GATHER, "any stream" } },
    .options_size = sizeof(csv_options),
    .options = csv_option_list,
    .plan = csv_plan,
    .process = csv_process,
    .open = csv_open,
    .close = csv_close,
};
