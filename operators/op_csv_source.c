/* csv, as a source: the rows of a file, once, at the start.
 *
 * Which columns are read: those of the state that the source fills, with its types; where it fills
 * none, every column of the file, as f64. A row's key is the column that `key` names, else the
 * row's number in the file, from 0. The plan checks that the file can be opened and what its header
 * says; the rows are checked as they are read, because a file may be too large to be read twice. */
#include "operators/op_csv_read.h"

#include <stdio.h>
#include <string.h>

/* Keys above belong to rows that are born while the job runs. */
#define CSV_KEY_MAX INT64_MAX

typedef struct csv_source {
    const char *file;
    const char *key;
} csv_source;

static const weir_option csv_option_list[] = {
    { .name = "file", .help = "the file to read", .type = WEIR_FILE_IN,
      .offset = offsetof(csv_source, file) },
    { .name = "key", .help = "the column that holds the rows' keys (default: the row's number)",
      .type = WEIR_TEXT, .value = "", .offset = offsetof(csv_source, key) },
    { 0 },
};

static bool csv_has_key(const csv_source *o)
{
    return o->key != NULL && o->key[0] != '\0';
}

static weir_status csv_lacks(weir_plan *plan, const op_csv *csv, const csv_source *o,
                             const char *option, const char *column)
{
    char list[160];

    op_csv_column_list(csv, list, sizeof(list));
    return weir_plan_error(plan, option, "%s has no column %s; it has %s", o->file, column, list);
}

/* A name that a job file can write: what follows would have no way to ask for another. */
static bool csv_is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char more[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

    return strspn(name, letters) > 0 && name[strspn(name, more)] == '\0' &&
           strlen(name) < WEIR_NAME_MAX;
}

/* The columns of the state that is filled. */
static weir_status csv_plan_target(weir_plan *plan, const op_csv *csv, const csv_source *o)
{
    const weir_schema *target = weir_plan_target(plan);
    weir_status status = WEIR_OK;

    for (uint32_t i = 0; i < target->column_count; i++) {
        if (op_csv_column(csv, target->columns[i].name) < 0)
            status = csv_lacks(plan, csv, o, "file", target->columns[i].name);
        weir_plan_add(plan, 0, target->columns[i].name, target->columns[i].type);
    }
    return status;
}

/* The columns of the file. */
static weir_status csv_plan_header(weir_plan *plan, const op_csv *csv, const csv_source *o)
{
    uint32_t key = csv_has_key(o) && op_csv_column(csv, o->key) >= 0;

    if (op_csv_column_count(csv) - key > WEIR_COLUMNS_MAX)
        return weir_plan_error(plan, "file", "%s has %u columns, a stream has at most %d", o->file,
                               op_csv_column_count(csv), WEIR_COLUMNS_MAX);
    for (uint32_t i = 0; i < op_csv_column_count(csv); i++) {
        const char *name = op_csv_column_name(csv, i);
        if (key && strcmp(name, o->key) == 0)
            continue;
        if (!csv_is_name(name) || strcmp(name, "id") == 0)
            return weir_plan_error(plan, "file", "%s: \"%.64s\" cannot be the name of a column",
                                   o->file, name);
        weir_plan_add(plan, 0, name, WEIR_F64);
    }
    return WEIR_OK;
}

static weir_status csv_plan(weir_plan *plan, void *options)
{
    const csv_source *o = options;
    char error[OP_CSV_ERROR_MAX];
    weir_status status;
    op_csv *csv;

    if (op_csv_open(&csv, o->file, error) != WEIR_OK)
        return weir_plan_error(plan, "file", "%s", error);
    status = weir_plan_target(plan) != NULL ? csv_plan_target(plan, csv, o)
                                            : csv_plan_header(plan, csv, o);
    if (csv_has_key(o) && op_csv_column(csv, o->key) < 0)
        status = csv_lacks(plan, csv, o, "key", o->key);
    op_csv_close(&csv);
    return status;
}

/* Where each column of the batch stands in the file; the key's place comes last. */
typedef struct csv_places {
    int columns[WEIR_COLUMNS_MAX];
    int key; /* -1: the row's number */
} csv_places;

static weir_status csv_find_places(weir_task *task, const op_csv *csv, const weir_schema *schema,
                                   csv_places *places)
{
    const csv_source *o = task->options;

    places->key = csv_has_key(o) ? op_csv_column(csv, o->key) : -1;
    if (csv_has_key(o) && places->key < 0)
        return weir_fail(task, WEIR_NO_ROW, "%s: its columns have changed", o->file);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        places->columns[i] = op_csv_column(csv, schema->columns[i].name);
        if (places->columns[i] < 0)
            return weir_fail(task, WEIR_NO_ROW, "%s: its columns have changed", o->file);
    }
    return WEIR_OK;
}

/* One record into row `row`. */
static weir_status csv_row(op_csv *csv, const csv_places *places, weir_batch *batch, uint32_t row)
{
    const weir_schema *schema = batch->schema;

    batch->keys[row] = row;
    if (places->key >= 0 &&
        op_csv_value(csv, (uint32_t)places->key, WEIR_U64, &batch->keys[row]) != WEIR_OK)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        weir_type type = schema->columns[i].type;
        char *value = (char *)batch->columns[i] + weir_type_size(type) * row;
        if (op_csv_value(csv, (uint32_t)places->columns[i], type, value) != WEIR_OK)
            return WEIR_FAILED;
    }
    return WEIR_OK;
}

static weir_status csv_rows(weir_task *task, op_csv *csv, const csv_places *places,
                            weir_batch *batch, uint32_t capacity)
{
    const csv_source *o = task->options;
    op_csv_result result;
    uint32_t row = 0;

    while ((result = op_csv_next(csv)) == OP_CSV_ROW) {
        if (row == capacity)
            return weir_fail(task, WEIR_NO_ROW, "%s: it grows while it is read", o->file);
        if (csv_row(csv, places, batch, row) != WEIR_OK)
            return weir_fail(task, row, "%s", op_csv_error(csv));
        if (batch->keys[row] > CSV_KEY_MAX)
            return weir_fail(task, row, "%s:%llu: column %s: a key is at most %lld", o->file,
                             (unsigned long long)op_csv_line(csv), o->key, (long long)CSV_KEY_MAX);
        row++;
    }
    if (result == OP_CSV_ERROR)
        return weir_fail(task, WEIR_NO_ROW, "%s", op_csv_error(csv));
    batch->row_count = row;
    return WEIR_OK;
}

static weir_status csv_process(weir_task *task)
{
    const csv_source *o = task->options;
    char error[OP_CSV_ERROR_MAX];
    weir_status status = WEIR_FAILED;
    csv_places places;
    weir_batch *batch;
    uint64_t lines;
    op_csv *csv;

    if (op_csv_line_count(o->file, &lines, error) != WEIR_OK)
        return weir_fail(task, WEIR_NO_ROW, "%s", error);
    if (lines >= WEIR_NO_ROW)
        return weir_fail(task, WEIR_NO_ROW, "%s: %llu lines, at most %u can be read", o->file,
                         (unsigned long long)lines, WEIR_NO_ROW - 1);
    if (op_csv_open(&csv, o->file, error) != WEIR_OK)
        return weir_fail(task, WEIR_NO_ROW, "%s", error);
    batch = weir_output(task, 0, (uint32_t)lines);
    if (batch != NULL && csv_find_places(task, csv, batch->schema, &places) == WEIR_OK)
        status = csv_rows(task, csv, &places, batch, (uint32_t)lines);
    op_csv_close(&csv);
    return status;
}

const weir_operator op_csv_source = {
    .api_version = WEIR_API_VERSION,
    .name = "csv",
    .help = "the rows of a CSV file",
    .role = WEIR_SOURCE,
    .outputs = { "out" },
    .options_size = sizeof(csv_source),
    .options = csv_option_list,
    .plan = csv_plan,
    .process = csv_process,
};
