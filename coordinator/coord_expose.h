/* Writing Prometheus' text format: families and samples onto a cursor, whose failure sticks. */
#ifndef COORD_EXPOSE_H
#define COORD_EXPOSE_H

#include "coordinator/coord_counts.h"

/* A list of labels ends with a name that is null. Values are any text, UTF-8; they are escaped. */
typedef struct coord_label {
    const char *name, *value;
} coord_label;

typedef enum coord_family_type { COORD_COUNTER, COORD_GAUGE, COORD_HISTOGRAM } coord_family_type;

/* Names are the caller's constants: letters and '_'; a help text is one line. */
void coord_expose_family(df_writer *out, const char *name, coord_family_type type, const char *help);
void coord_expose_count(df_writer *out, const char *name, const coord_label *labels, uint64_t value);
void coord_expose_real(df_writer *out, const char *name, const coord_label *labels, double value);
/* A number of nanoseconds, in seconds, exactly. */
void coord_expose_nanoseconds(df_writer *out, const char *name, const coord_label *labels,
                              uint64_t value);
/* A number as a label's value: a place in `text`. */
#define COORD_DIGITS 21
const char *coord_expose_digits(char text[COORD_DIGITS], uint64_t value);
/* The samples of a histogram: its buckets, sum and count. At most COORD_LABELS_MAX labels. */
#define COORD_LABELS_MAX 4
void coord_expose_histogram(df_writer *out, const char *name, const coord_label *labels,
                            const coord_histogram *histogram);
void coord_expose_spans(df_writer *out, const char *name, const coord_label *labels,
                        const df_spans *spans);

#endif
