/* The strict CSV reader: a window of the file, and one record at a time copied into `record`, where
 * every field ends with a zero byte. */
#include "operators/op_csv_read.h"
#include "operators/op_number.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CSV_WINDOW_SIZE 65536
#define CSV_FOUND_MAX 40 /* bytes of a wrong value that an error repeats */

struct op_csv {
    const char *name; /* in errors */
    int descriptor;   /* -1: memory */
    const char *next, *end; /* what is left of the window */
    bool failed;
    uint64_t line;       /* the next byte's */
    uint64_t first_line; /* the record's */
    uint32_t column_count;
    char *header; /* the names, a zero byte after each; owned */
    const char *names[OP_CSV_FIELDS_MAX];
    uint32_t field_count;
    size_t used; /* of record */
    uint32_t fields[OP_CSV_FIELDS_MAX]; /* offsets into record */
    char error[OP_CSV_ERROR_MAX];
    char record[OP_CSV_RECORD_MAX];
    char window[CSV_WINDOW_SIZE];
};

/* Fill the error once: the first one stays. */
__attribute__((format(printf, 3, 4))) static weir_status csv_fail(op_csv *csv, uint64_t line,
                                                                  const char *format, ...)
{
    va_list args;
    int n;

    if (csv->failed)
        return WEIR_FAILED;
    csv->failed = true;
    n = snprintf(csv->error, sizeof(csv->error), line > 0 ? "%s:%llu: " : "%s: ", csv->name,
                 (unsigned long long)line);
    va_start(args, format);
    if (n >= 0 && (size_t)n < sizeof(csv->error))
        (void)vsnprintf(csv->error + n, sizeof(csv->error) - (size_t)n, format, args);
    va_end(args);
    return WEIR_FAILED;
}

/* ---- bytes ---- */

/* Refill the window. False: the end, or an error. */
static bool csv_fill(op_csv *csv)
{
    ssize_t n = 0;

    if (csv->descriptor < 0 || csv->failed)
        return false;
    do
        n = read(csv->descriptor, csv->window, sizeof(csv->window));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        csv_fail(csv, 0, "%s", strerror(errno));
    csv->next = csv->window;
    csv->end = csv->window + (n > 0 ? n : 0);
    return n > 0;
}

/* The next byte, not taken; -1 at the end or after an error. */
static int csv_peek(op_csv *csv)
{
    if (csv->next == csv->end && !csv_fill(csv))
        return -1;
    return (unsigned char)*csv->next;
}

static int csv_take(op_csv *csv)
{
    int c = csv_peek(csv);

    if (c >= 0)
        csv->next++;
    if (c == '\n')
        csv->line++;
    return c;
}

static weir_status csv_store(op_csv *csv, int c)
{
    if (csv->used == OP_CSV_RECORD_MAX)
        return csv_fail(csv, csv->first_line, "a record of more than %d bytes (is a quote missing?)",
                        OP_CSV_RECORD_MAX);
    csv->record[csv->used++] = (char)c;
    return WEIR_OK;
}

/* ---- fields ---- */

static bool csv_is_blank(int c)
{
    return c == ' ' || c == '\t';
}

static void csv_skip_blanks(op_csv *csv)
{
    while (csv_is_blank(csv_peek(csv)))
        csv_take(csv);
}

static void csv_skip_line(op_csv *csv)
{
    int c;

    do
        c = csv_take(csv);
    while (c >= 0 && c != '\n');
}

/* What ends a field: ',' or '\n' (also for CRLF and the end of the file). Anything else is wrong. */
static weir_status csv_end_of_field(op_csv *csv, int *terminator)
{
    uint64_t line = csv->line;
    int c = csv_take(csv);

    *terminator = c < 0 ? '\n' : c;
    if (c == '\r') {
        if (csv_peek(csv) != '\n' && csv_peek(csv) >= 0)
            return csv_fail(csv, line, "a carriage return inside a line");
        csv_take(csv);
        *terminator = '\n';
    }
    if (*terminator != ',' && *terminator != '\n')
        return csv_fail(csv, line, "text after the closing quote of a field");
    return csv->failed ? WEIR_FAILED : csv_store(csv, '\0');
}

static weir_status csv_quoted_field(op_csv *csv)
{
    uint64_t line = csv->line;

    csv_take(csv);
    for (;;) {
        int c = csv_take(csv);
        if (c < 0)
            return csv_fail(csv, line, "a quote is not closed");
        if (c == 0)
            return csv_fail(csv, line, "a zero byte: not a text file");
        if (c == '"' && csv_peek(csv) != '"')
            break;
        if (c == '"')
            csv_take(csv);
        if (csv_store(csv, c) != WEIR_OK)
            return WEIR_FAILED;
    }
    csv_skip_blanks(csv);
    return WEIR_OK;
}

static weir_status csv_plain_field(op_csv *csv)
{
    size_t start = csv->used;

    for (;;) {
        int c = csv_peek(csv);
        if (c < 0 || c == ',' || c == '\n' || c == '\r')
            break;
        if (c == '"')
            return csv_fail(csv, csv->line, "a quote inside a field that does not start with one");
        if (c == 0)
            return csv_fail(csv, csv->line, "a zero byte: not a text file");
        if (csv_store(csv, csv_take(csv)) != WEIR_OK)
            return WEIR_FAILED;
    }
    while (csv->used > start && csv_is_blank(csv->record[csv->used - 1]))
        csv->used--;
    return WEIR_OK;
}

/* All fields of the record that starts here. */
static weir_status csv_fields(op_csv *csv)
{
    int terminator = ',';

    csv->first_line = csv->line;
    csv->used = 0;
    csv->field_count = 0;
    while (terminator == ',') {
        weir_status status;
        if (csv->field_count == OP_CSV_FIELDS_MAX)
            return csv_fail(csv, csv->first_line, "more than %d fields", OP_CSV_FIELDS_MAX);
        csv->fields[csv->field_count++] = (uint32_t)csv->used;
        csv_skip_blanks(csv);
        status = csv_peek(csv) == '"' ? csv_quoted_field(csv) : csv_plain_field(csv);
        if (status != WEIR_OK || csv_end_of_field(csv, &terminator) != WEIR_OK)
            return WEIR_FAILED;
    }
    return WEIR_OK;
}

/* The next record that is no comment and not blank, whatever its number of fields. */
static op_csv_result csv_record(op_csv *csv)
{
    while (!csv->failed) {
        int c = csv_peek(csv);
        if (c < 0)
            break;
        if (c == '#') {
            csv_skip_line(csv);
            continue;
        }
        bool quoted = c == '"';
        if (csv_fields(csv) != WEIR_OK)
            break;
        if (csv->field_count > 1 || csv->record[0] != '\0' || quoted)
            return OP_CSV_ROW;
    }
    return csv->failed ? OP_CSV_ERROR : OP_CSV_END;
}

op_csv_result op_csv_next(op_csv *csv)
{
    op_csv_result result = csv_record(csv);

    if (result == OP_CSV_ROW && csv->field_count != csv->column_count) {
        csv_fail(csv, csv->first_line, "%u field%s, the header has %u", csv->field_count,
                 csv->field_count == 1 ? "" : "s", csv->column_count);
        result = OP_CSV_ERROR;
    }
    return result;
}

/* ---- header, open, close ---- */

static weir_status csv_read_header(op_csv *csv)
{
    op_csv_result result = csv_record(csv);

    if (result == OP_CSV_END)
        return csv_fail(csv, 0, "no header: the file is empty");
    if (result == OP_CSV_ERROR)
        return WEIR_FAILED;
    csv->header = malloc(csv->used);
    if (csv->header == NULL)
        return csv_fail(csv, 0, "out of memory");
    memcpy(csv->header, csv->record, csv->used);
    for (uint32_t i = 0; i < csv->field_count; i++) {
        csv->names[i] = csv->header + csv->fields[i];
        if (csv->names[i][0] == '\0')
            return csv_fail(csv, csv->first_line, "column %u has no name", i + 1);
        if (op_csv_column(csv, csv->names[i]) >= 0)
            return csv_fail(csv, csv->first_line, "two columns \"%.64s\"", csv->names[i]);
        csv->column_count = i + 1;
    }
    return WEIR_OK;
}

/* The mark with which some programs start UTF-8 files. */
static void csv_skip_mark(op_csv *csv)
{
    if (csv_peek(csv) == 0xef && csv->end - csv->next >= 3 &&
        memcmp(csv->next, "\xef\xbb\xbf", 3) == 0)
        csv->next += 3;
}

/* Read the header and hand the reader over, or close it. Takes *csv. */
static weir_status csv_start(op_csv **out, op_csv *csv, char *error)
{
    csv->line = 1;
    csv_skip_mark(csv);
    if (csv_read_header(csv) == WEIR_OK) {
        *out = csv;
        return WEIR_OK;
    }
    memcpy(error, csv->error, OP_CSV_ERROR_MAX);
    op_csv_close(&csv);
    return WEIR_FAILED;
}

static int csv_open_descriptor(const char *path, char *error)
{
    struct stat about;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (descriptor >= 0 && fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode))
        return descriptor;
    (void)snprintf(error, OP_CSV_ERROR_MAX, "%s: %s", path,
                   descriptor < 0 ? strerror(errno) : "not a regular file");
    if (descriptor >= 0)
        close(descriptor);
    return -1;
}

weir_status op_csv_open(op_csv **out, const char *path, char *error)
{
    int descriptor = csv_open_descriptor(path, error);
    op_csv *csv;

    *out = NULL;
    if (descriptor < 0)
        return WEIR_FAILED;
    csv = calloc(1, sizeof(*csv));
    if (csv == NULL) {
        (void)snprintf(error, OP_CSV_ERROR_MAX, "%s: out of memory", path);
        close(descriptor);
        return WEIR_FAILED;
    }
    csv->name = path;
    csv->descriptor = descriptor;
    return csv_start(out, csv, error);
}

weir_status op_csv_open_memory(op_csv **out, const char *name, const void *bytes, size_t size,
                               char *error)
{
    op_csv *csv = calloc(1, sizeof(*csv));

    *out = NULL;
    if (csv == NULL) {
        (void)snprintf(error, OP_CSV_ERROR_MAX, "%s: out of memory", name);
        return WEIR_FAILED;
    }
    csv->name = name;
    csv->descriptor = -1;
    csv->next = bytes;
    csv->end = csv->next + size;
    return csv_start(out, csv, error);
}

void op_csv_close(op_csv **csv)
{
    if (*csv == NULL)
        return;
    if ((*csv)->descriptor >= 0)
        close((*csv)->descriptor);
    free((*csv)->header);
    free(*csv);
    *csv = NULL;
}

/* ---- what others ask ---- */

uint32_t op_csv_column_count(const op_csv *csv)
{
    return csv->column_count;
}

const char *op_csv_column_name(const op_csv *csv, uint32_t column)
{
    return csv->names[column];
}

int op_csv_column(const op_csv *csv, const char *name)
{
    for (uint32_t i = 0; i < csv->column_count; i++)
        if (strcmp(csv->names[i], name) == 0)
            return (int)i;
    return -1;
}

void op_csv_column_list(const op_csv *csv, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < csv->column_count; i++) {
        size_t n = strlen(csv->names[i]) + 2;
        if (used + n + 4 > size) {
            (void)snprintf(text + used, size - used, "...");
            return;
        }
        (void)snprintf(text + used, size - used, "%s%s", csv->names[i],
                       i + 1 < csv->column_count ? ", " : "");
        used += strlen(text + used);
    }
}

const char *op_csv_text(const op_csv *csv, uint32_t column)
{
    return csv->record + csv->fields[column];
}

uint64_t op_csv_line(const op_csv *csv)
{
    return csv->first_line;
}

const char *op_csv_error(const op_csv *csv)
{
    return csv->error;
}

weir_status op_csv_line_count(const char *path, uint64_t *lines, char *error)
{
    char window[CSV_WINDOW_SIZE];
    int descriptor = csv_open_descriptor(path, error);
    ssize_t n;

    *lines = 1; /* the last one may lack its end */
    if (descriptor < 0)
        return WEIR_FAILED;
    while ((n = read(descriptor, window, sizeof(window))) > 0 || (n < 0 && errno == EINTR))
        for (ssize_t i = 0; i < n; i++)
            *lines += window[i] == '\n';
    if (n < 0)
        (void)snprintf(error, OP_CSV_ERROR_MAX, "%s: %s", path, strerror(errno));
    close(descriptor);
    return n < 0 ? WEIR_FAILED : WEIR_OK;
}

weir_status op_csv_value(op_csv *csv, uint32_t column, weir_type type, void *value)
{
    const char *text = op_csv_text(csv, column);
    char found[CSV_FOUND_MAX + 1];
    size_t n = 0;

    if (op_number_read(text, type, value))
        return WEIR_OK;
    for (; n < CSV_FOUND_MAX && text[n] != '\0'; n++)
        found[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
    found[n] = '\0';
    return csv_fail(csv, csv->first_line, "column %.64s: expected %s, found \"%s%s\"",
                    csv->names[column], weir_type_name(type), found, text[n] != '\0' ? "..." : "");
}
