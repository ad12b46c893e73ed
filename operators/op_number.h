/* Numbers as text, for files: the shortest decimal that reads back to the same bits, whatever the
 * locale. Written as a person would: 0.1, -3, 1e-7; nan, inf and -inf where a value is not finite.
 *
 * Each function writes at `out`, at most OP_NUMBER_MAX bytes and no final zero, and returns the
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

#endif
