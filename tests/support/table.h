/* What a state holds after a run, as one table by key; and jobs of the built-in kinds, with options set by
 * their tables. */
#ifndef SUPPORT_TABLE_H
#define SUPPORT_TABLE_H

#include "tests/support/job.h"

typedef struct table {
    uint32_t count;
    uint64_t *keys;                    /* ascending */
    uint64_t *bits[WEIR_COLUMNS_MAX];  /* each value's own bits, zero-extended */
    const weir_schema *schema;         /* the plan's */
} table;

/* A built-in kind; aborts if there is none. */
const weir_operator *job_kind(const char *name);
/* Fill a kind's options struct with the defaults of its table. Options without one stay 0. */
void job_defaults(const weir_operator *kind, void *options);
/* Set an option of any numeric type, or both ends of a range; aborts if there is none. */
void job_set(const weir_operator *kind, void *options, const char *name, double value);
void job_set_range(const weir_operator *kind, void *options, const char *name, double least,
                   double most);
/* A text, a column or a choice. The text is borrowed. */
void job_set_text(const weir_operator *kind, void *options, const char *name, const char *text);
/* WEIR_COMPUTE: items are borrowed. */
void job_set_compute(const weir_operator *kind, void *options, const char *name,
                     const weir_compute *items, uint32_t count);

/* Run a plan to `step` and read a state: what enters step + 1 (or, after the last step, what entered it).
 * Prints and aborts on failure. */
void table_run(table *out, const df_plan *plan, uint64_t step, const char *state, uint32_t threads);
void table_fini(table *t);
/* The index of a column; aborts if there is none. */
uint32_t table_column(const table *t, const char *name);
/* A value as a double: of f32 or f64, or a whole number. */
double table_get(const table *t, const char *column, uint32_t row);
bool table_same(const table *a, const table *b);

#endif
