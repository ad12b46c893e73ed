/* compare: how far a stream is from data in a CSV file.
 *
 * Every row of the stream is joined with the line of the file whose `on` equals the row's (up to a
 * relative 1e-9: times are computed, data are written by hand), and `column` of both is compared.
 * The output is one row per step: the root mean square of all differences so far, how many there
 * were, and the newest. A row that no line matches counts for nothing; before the first match, and
 * in a step without one, there is no number to give: nan.
 *
 * `on` is a column of the stream, or "time" for the step's time where the stream has no column of
 * that name. The data are read while the plan is made, and live as long as it. */
#include "operators/op_csv_read.h"
#include "operators/op_number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COMPARE_ROWS_MAX (1u << 24)
#define COMPARE_TOLERANCE 1e-9 /* of the join, relative */

typedef struct compare_datum {
    double on, value;
    uint64_t line;
} compare_datum;

typedef struct compare_options {
    const char *file;
    const char *on;
    const char *column;
    /* filled by plan */
    compare_datum *data; /* ascending by `on` */
    uint32_t count;
    int on_index; /* in the stream; -1: the step's time */
    int column_index;
    int squares, matched; /* carried columns */
} compare_options;

enum { COMPARE_RMS, COMPARE_MATCHED, COMPARE_DIFFERENCE };

static const weir_option compare_option_list[] = {
    { .name = "file", .help = "a CSV file with the columns `on` and `column`", .type = WEIR_FILE_IN,
      .offset = offsetof(compare_options, file) },
    { .name = "on",
      .help = "the column that joins rows and lines; \"time\": the step's time, unless the stream "
              "has such a column",
      .type = WEIR_TEXT, .value = "time", .offset = offsetof(compare_options, on) },
    { .name = "column", .help = "the column to compare, in the stream and in the file",
      .type = WEIR_COLUMN, .offset = offsetof(compare_options, column) },
    { 0 },
};

/* ---- plan ---- */

static int compare_order(const void *a, const void *b)
{
    const compare_datum *x = a, *y = b;

    if (x->on != y->on)
        return x->on < y->on ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static weir_status compare_check_column(weir_plan *plan, const op_csv *csv,
                                        const compare_options *o, const char *option,
                                        const char *column, int *index)
{
    char list[160];

    *index = op_csv_column(csv, column);
    if (*index >= 0)
        return WEIR_OK;
    op_csv_column_list(csv, list, sizeof(list));
    return weir_plan_error(plan, option, "%s has no column %s; it has %s", o->file, column, list);
}

static weir_status compare_read_rows(weir_plan *plan, op_csv *csv, compare_options *o,
                                     uint64_t capacity)
{
    op_csv_result result;
    int on, column;

    if (compare_check_column(plan, csv, o, "on", o->on, &on) != WEIR_OK ||
        compare_check_column(plan, csv, o, "column", o->column, &column) != WEIR_OK)
        return WEIR_FAILED;
    while ((result = op_csv_next(csv)) == OP_CSV_ROW) {
        compare_datum *d = &o->data[o->count];
        if (o->count == capacity)
            return weir_plan_error(plan, "file", "%s: it grows while it is read", o->file);
        if (op_csv_value(csv, (uint32_t)on, WEIR_F64, &d->on) != WEIR_OK ||
            op_csv_value(csv, (uint32_t)column, WEIR_F64, &d->value) != WEIR_OK)
            return weir_plan_error(plan, "file", "%s", op_csv_error(csv));
        d->line = op_csv_line(csv);
        o->count++;
    }
    if (result == OP_CSV_ERROR)
        return weir_plan_error(plan, "file", "%s", op_csv_error(csv));
    return o->count > 0 ? WEIR_OK : weir_plan_error(plan, "file", "%s: no rows", o->file);
}

static weir_status compare_read(weir_plan *plan, compare_options *o)
{
    char error[OP_CSV_ERROR_MAX];
    weir_status status;
    uint64_t lines;
    op_csv *csv;

    o->count = 0;
    if (op_csv_line_count(o->file, &lines, error) != WEIR_OK)
        return weir_plan_error(plan, "file", "%s", error);
    if (lines > COMPARE_ROWS_MAX)
        return weir_plan_error(plan, "file", "%s: more than %u lines", o->file, COMPARE_ROWS_MAX);
    o->data = weir_plan_alloc(plan, lines * sizeof(*o->data));
    if (o->data == NULL)
        return weir_plan_error(plan, "file", "%s: out of memory", o->file);
    if (op_csv_open(&csv, o->file, error) != WEIR_OK)
        return weir_plan_error(plan, "file", "%s", error);
    status = compare_read_rows(plan, csv, o, lines);
    op_csv_close(&csv);
    return status;
}

static bool compare_same(double a, double b)
{
    double size = fabs(a) > fabs(b) ? fabs(a) : fabs(b);

    return fabs(a - b) <= COMPARE_TOLERANCE * size;
}

/* Sort by `on`; two lines that the same row would match are an error. */
static weir_status compare_sort(weir_plan *plan, compare_options *o)
{
    qsort(o->data, o->count, sizeof(*o->data), compare_order);
    for (uint32_t i = 1; i < o->count; i++) {
        if (compare_same(o->data[i - 1].on, o->data[i].on))
            return weir_plan_error(plan, "file", "%s:%llu: %s %.9g stands there twice", o->file,
                                   (unsigned long long)o->data[i].line, o->on, o->data[i].on);
    }
    return WEIR_OK;
}

static weir_status compare_plan(weir_plan *plan, void *options)
{
    compare_options *o = options;
    weir_status status;

    o->on_index = weir_schema_find(weir_plan_input(plan, 0), o->on);
    if (o->on_index < 0 && strcmp(o->on, "time") != 0)
        o->on_index = weir_plan_column(plan, 0, o->on, 0); /* reports */
    o->column_index = weir_plan_column(plan, 0, o->column, 0);
    status = compare_read(plan, o);
    if (status == WEIR_OK)
        status = compare_sort(plan, o);
    if ((o->on_index < 0 && strcmp(o->on, "time") != 0) || o->column_index < 0)
        status = WEIR_FAILED;
    weir_plan_add(plan, 0, "rms", WEIR_F64);
    weir_plan_add(plan, 0, "matched", WEIR_U64);
    weir_plan_add(plan, 0, "difference", WEIR_F64);
    o->squares = weir_plan_carry(plan, "squares", WEIR_F64);
    o->matched = weir_plan_carry(plan, "matched", WEIR_U64);
    return status;
}

/* ---- process ---- */

/* The line that matches, or null: the first whose `on` is not below, or the one before it. */
static const compare_datum *compare_find(const compare_options *o, double on)
{
    uint32_t low = 0, high = o->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (o->data[middle].on < on)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < o->count && compare_same(o->data[low].on, on))
        return &o->data[low];
    return low > 0 && compare_same(o->data[low - 1].on, on) ? &o->data[low - 1] : NULL;
}

static double compare_value(const weir_batch *batch, int column, uint32_t row)
{
    return op_number_as_f64(batch->schema->columns[column].type, batch->columns[column], row);
}

static weir_status compare_process(weir_task *task)
{
    const compare_options *o = task->options;
    const weir_input *in = &task->inputs[0];
    double squares = *(const double *)task->carried->columns[o->squares];
    uint64_t matched = *(const uint64_t *)task->carried->columns[o->matched];
    double difference = NAN;
    weir_batch *out = weir_output(task, 0, 1);

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t b = 0; b < in->batch_count; b++) {
        const weir_batch *batch = in->batches[b];
        for (uint32_t row = 0; row < batch->row_count; row++) {
            double on = o->on_index < 0 ? task->time : compare_value(batch, o->on_index, row);
            const compare_datum *datum = compare_find(o, on);
            if (datum == NULL)
                continue;
            difference = compare_value(batch, o->column_index, row) - datum->value;
            squares += difference * difference;
            matched++;
        }
    }
    *(double *)task->carry->columns[o->squares] = squares;
    *(uint64_t *)task->carry->columns[o->matched] = matched;
    out->keys[0] = 0;
    ((double *)out->columns[COMPARE_RMS])[0] = matched > 0 ? sqrt(squares / (double)matched) : NAN;
    ((uint64_t *)out->columns[COMPARE_MATCHED])[0] = matched;
    ((double *)out->columns[COMPARE_DIFFERENCE])[0] = difference;
    return WEIR_OK;
}

const weir_operator op_compare = {
    .api_version = WEIR_API_VERSION,
    .name = "compare",
    .help = "the root mean square distance of a stream from data in a CSV file",
    .role = WEIR_AGGREGATE,
    .inputs = { { "in", WEIR_GATHER, "rows with `column`" } },
    .outputs = { "out" },
    .options_size = sizeof(compare_options),
    .options = compare_option_list,
    .plan = compare_plan,
    .process = compare_process,
};
