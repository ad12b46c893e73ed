/* A page of metrics that is being made: shared by coord_metrics.c (the coordinator's own, and the whole),
 * coord_metrics_counts.c (what workers count) and coord_metrics_load.c (their loads, and key groups). */
#ifndef COORD_METRICS_PRIVATE_H
#define COORD_METRICS_PRIVATE_H

#include "coordinator/coord_expose.h"
#include "coordinator/coord_metrics.h"

#define METRICS_COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* A label, made different from those of other workers. */
typedef char metrics_label[WEIR_NAME_MAX + 24];

typedef struct metrics_member {
    uint64_t id;
    const char *label;
} metrics_member;

typedef struct metrics_page {
    const coord_status *status;
    df_writer out;
    metrics_label *labels;   /* [worker_count] */
    metrics_member *members; /* [worker_count], ascending by id */
} metrics_page;

/* What a family shows of each of its things. */
typedef enum metrics_form {
    METRICS_NUMBER,      /* u64 */
    METRICS_REAL,        /* double */
    METRICS_NANOSECONDS, /* u64, shown in seconds */
    METRICS_CALLS,       /* how many a df_spans has */
    METRICS_SPANS,       /* a df_spans, as a histogram */
    METRICS_HISTOGRAM,   /* a coord_histogram */
} metrics_form;

typedef struct metrics_family {
    const char *name, *help;
    coord_family_type type;
    metrics_form form;
    size_t offset; /* in the thing */
} metrics_family;

/* A sample of a family: of this thing. */
void metrics_sample(metrics_page *page, const metrics_family *family, const coord_label *labels, const void *thing);

/* False: out of memory. The page is to be ended in either case. */
bool metrics_begin(metrics_page *page, const coord_status *status);
/* The text, if it is wanted and there was no failure; the page is empty afterwards. */
char *metrics_end(metrics_page *page, bool wanted, size_t *size);
/* A worker that is not known any more has no label: null. */
const char *metrics_worker(const metrics_page *page, uint64_t id);

/* ---- coord_metrics_counts.c ---- */
/* counts[worker_count]; false: out of memory. */
bool metrics_counts(metrics_page *page, const coord_counts *const *counts);

/* ---- coord_metrics_load.c ---- */
void metrics_loads(metrics_page *page, const coord_workers_row *rows, uint32_t row_count);

#endif
