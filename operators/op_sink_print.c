/* print: an aligned table for people, on the console.
 *
 * The header stands once, above the first row. Numbers are right-aligned, f32 and f64 rounded to
 * eight significant digits: what single precision can carry. Whoever needs every bit takes csv,
 * and so does who needs each row once: a console cannot be read back, so this sink does not know
 * after a restart what it has shown. */
#include "operators/op_number.h"
#include "operators/op_sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRINT_STEP_WIDTH 8
#define PRINT_INTEGER_WIDTH 10
#define PRINT_REAL_WIDTH 14 /* -1.2345678e-12 */
#define PRINT_TIME_WIDTH 12

typedef struct print_options {
    weir_names columns;
    uint32_t rows;
    op_columns chosen;
} print_options;

typedef struct print_table {
    FILE *console; /* borrowed */
    bool header_shown;
    char time_name[WEIR_NAME_MAX + 8]; /* "time (day)" */
    int time_width;
    int widths[OP_SINK_COLUMNS_MAX];
} print_table;

static const weir_option print_option_list[] = {
    { .name = "columns",
      .help = "columns to show after step and time; \"id\" is the row's key (default: all but id)",
      .type = WEIR_COLUMNS, .value = "", .offset = offsetof(print_options, columns) },
    { .name = "rows", .help = "most rows to show of one step", .type = WEIR_U32, .unit = "1",
      .value = "20", .range = ">= 1", .offset = offsetof(print_options, rows) },
    { 0 },
};

static weir_status print_plan(weir_plan *plan, void *options)
{
    print_options *o = options;

    return op_sink_columns(plan, &o->columns, &o->chosen);
}

static bool print_is_real(weir_type type)
{
    return type == WEIR_F32 || type == WEIR_F64;
}

/* As wide as the name or, where that is wider, as a usual value. */
static int print_width(const char *name, int least)
{
    int n = (int)strlen(name);

    return n > least ? n : least;
}

static weir_status print_open(weir_sink *sink)
{
    const print_options *o = sink->options;
    const char *unit = sink->job->time_unit;
    print_table *table = calloc(1, sizeof(*table));

    if (table == NULL)
        return weir_sink_fail(sink, "out of memory");
    table->console = sink->console;
    (void)snprintf(table->time_name, sizeof(table->time_name), unit[0] ? "time (%s)" : "time", unit);
    table->time_width = print_width(table->time_name, PRINT_TIME_WIDTH);
    for (uint32_t i = 0; i < o->chosen.count; i++) {
        bool real = print_is_real(op_sink_column_type(&o->chosen, i, sink->schema));
        table->widths[i] = print_width(op_sink_column_name(&o->chosen, i, sink->schema),
                                       real ? PRINT_REAL_WIDTH : PRINT_INTEGER_WIDTH);
    }
    sink->handle = table;
    return WEIR_OK;
}

static weir_status print_close(weir_sink *sink)
{
    free(sink->handle);
    sink->handle = NULL;
    return WEIR_OK;
}

static void print_header(const print_table *table, const op_columns *chosen,
                         const weir_schema *schema)
{
    fprintf(table->console, "%*s  %*s", PRINT_STEP_WIDTH, "step", table->time_width,
            table->time_name);
    for (uint32_t i = 0; i < chosen->count; i++)
        fprintf(table->console, "  %*s", table->widths[i], op_sink_column_name(chosen, i, schema));
    fputc('\n', table->console);
}

static void print_value(const print_table *table, uint32_t i, weir_type type, const void *column,
                        uint32_t row)
{
    char text[OP_NUMBER_MAX + 1];

    if (print_is_real(type)) {
        fprintf(table->console, "  %*.8g", table->widths[i], op_number_as_f64(type, column, row));
        return;
    }
    *op_number_value(text, type, column, row) = '\0';
    fprintf(table->console, "  %*s", table->widths[i], text);
}

static void print_row(const print_table *table, const op_columns *chosen, const weir_task *task,
                      const weir_batch *batch, uint32_t row)
{
    fprintf(table->console, "%*llu  %*.8g", PRINT_STEP_WIDTH, (unsigned long long)task->step,
            table->time_width, task->time);
    for (uint32_t i = 0; i < chosen->count; i++)
        print_value(table, i, op_sink_column_type(chosen, i, batch->schema),
                    op_sink_column_data(chosen, i, batch), row);
    fputc('\n', table->console);
}

static void print_step(print_table *table, const print_options *o, const weir_task *task)
{
    uint64_t rows = op_sink_rows(task);
    uint32_t shown = 0;

    for (uint32_t b = 0; b < task->inputs[0].batch_count; b++) {
        const weir_batch *batch = task->inputs[0].batches[b];
        for (uint32_t row = 0; row < batch->row_count && shown < o->rows; row++, shown++) {
            if (!table->header_shown)
                print_header(table, &o->chosen, batch->schema);
            table->header_shown = true;
            print_row(table, &o->chosen, task, batch, row);
        }
    }
    if (rows > shown)
        fprintf(table->console, "%*s  and %llu rows more\n", PRINT_STEP_WIDTH, "...",
                (unsigned long long)(rows - shown));
}

static weir_status print_process(weir_task *task)
{
    print_table *table = task->handle;

    if (table->console == NULL)
        return WEIR_OK;
    errno = 0;
    print_step(table, task->options, task);
    if (fflush(table->console) != 0 || ferror(table->console))
        return weir_fail(task, WEIR_NO_ROW, "cannot print: %s",
                         errno != 0 ? strerror(errno) : "the console is closed");
    return WEIR_OK;
}

const weir_operator op_print = {
    .api_version = WEIR_API_VERSION,
    .name = "print",
    .help = "show the rows as a table on the console; after a restart some may come twice",
    .role = WEIR_SINK,
    .inputs = { { "in", WEIR_GATHER, "any stream" } },
    .options_size = sizeof(print_options),
    .options = print_option_list,
    .plan = print_plan,
    .process = print_process,
    .open = print_open,
    .close = print_close,
};
