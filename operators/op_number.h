/* Numbers as text, for files, and text as numbers. Writing gives the shortest decimal that reads back to the same bits, whatever the
 * locale. Written as a person would: 0.1, -3, 1e-7; nan, inf and -inf where a value is not finite.
 *
 * Each writing function writes at `out`, at most OP_NUMBER_MAX bytes and no final zero, and returns the
 * end of what it wrote. */
#ifndef OP_NUMBER_H
#define OP_NUMBER_H

#include "dataflow/weir/operator.h"

#define OP_NUMBER_MAX 32

char *op_number_u64(char *out, uint64_t value);
char *op_number_i64(char *out, int64_t value);
char *op_number_f32(char *out, float value);
char *op_number_f64(char *out, double value);
/* Row `row` of a column of that type. */
char *op_number_value(char *out, weir_type type, const void *column, uint32_t row);
/* The same as f64, for what is compared or drawn (an integer above 2^53 is rounded). */
double op_number_as_f64(weir_type type, const void *column, uint32_t row);

/* Read all of `text` as a value of that type, into *value. False: it is none, or out of range; nan
 * and infinities are refused. Integers are digits with a sign before them, reals may have a point
 * and an exponent; a real too small for its type becomes the nearest there is, as far as 0. */
bool op_number_read(const char *text, weir_type type, void *value);

#endif
