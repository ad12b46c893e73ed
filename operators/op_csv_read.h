/* A strict reader of CSV files: what RFC 4180 describes, plus comments.
 *
 * - The first record is the header: names, none empty, none twice. Every record has as many fields.
 * - Fields are separated by commas; lines end with LF or CRLF, the last one may lack it.
 * - A field in double quotes may hold commas, line ends and quotes (doubled).
 * - Blanks (spaces, tabs) around a field are dropped, unless they are in quotes.
 * - A line that starts with '#' is a comment; a line of blanks is skipped. A UTF-8 mark at the start
 *   of the file is skipped.
 * - Everything else is an error that names the file and the line, counted from 1.
 *
 * Numbers are decimal and use a point, whatever the locale; nan and infinities are refused. */
#ifndef OP_CSV_READ_H
#define OP_CSV_READ_H

#include "dataflow/weir/operator.h"

#define OP_CSV_FIELDS_MAX 1024
#define OP_CSV_RECORD_MAX 65536 /* bytes of one record */
#define OP_CSV_ERROR_MAX 256

typedef enum op_csv_result { OP_CSV_ROW, OP_CSV_END, OP_CSV_ERROR } op_csv_result;

typedef struct op_csv op_csv;

/* Open a file, or bytes in memory (borrowed until op_csv_close) under a name for the errors, and
 * read the header. On success *out is owned by the caller; on failure it is null and `error`
 * (OP_CSV_ERROR_MAX bytes) says why. */
weir_status op_csv_open(op_csv **out, const char *path, char *error);
weir_status op_csv_open_memory(op_csv **out, const char *name, const void *bytes, size_t size,
                               char *error);
void op_csv_close(op_csv **csv);

uint32_t op_csv_column_count(const op_csv *csv);
const char *op_csv_column_name(const op_csv *csv, uint32_t column);
/* The index of a column, or -1. */
int op_csv_column(const op_csv *csv, const char *name);
/* Write "a, b, c" for an error: the columns there are; ends with "..." where they do not fit. */
void op_csv_column_list(const op_csv *csv, char *text, size_t size);

/* Read the next record. After OP_CSV_ERROR, op_csv_error says why and reading is over. */
op_csv_result op_csv_next(op_csv *csv);
/* The text of a field of the record that op_csv_next read; until the next call. */
const char *op_csv_text(const op_csv *csv, uint32_t column);
/* The line that the record started on. */
uint64_t op_csv_line(const op_csv *csv);
/* The field as a number of that type. WEIR_FAILED: it is none, or out of range; see op_csv_error. */
weir_status op_csv_value(op_csv *csv, uint32_t column, weir_type type, void *value);
const char *op_csv_error(const op_csv *csv);

/* An upper bound of the number of records: the lines of the file. */
weir_status op_csv_line_count(const char *path, uint64_t *lines, char *error);

#endif
