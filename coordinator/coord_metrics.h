/* The numbers of a running job as a text that Prometheus reads (exposition format 0.0.4).
 *
 * A family is a name, a help text, a type and its samples; all samples of a family stand together. Units
 * are seconds and bytes; what ends in _total only grows while its process lives. The names are listed in
 * README.md in this folder. */
#ifndef COORD_METRICS_H
#define COORD_METRICS_H

#include "coordinator/coord_counts.h"
#include "coordinator/coord_status.h"
#include "coordinator/coord_workers.h"

#define COORD_METRICS_SIZE_MAX (64u << 20) /* of the text */
#define COORD_METRICS_PEERS_MAX 64u /* workers; with more, channels are shown as a sum of each worker's */

/* What is shown; everything is borrowed. */
typedef struct coord_metrics {
    const coord_status *status;
    uint64_t bound, ceiling;          /* ticks */
    const snap_entry *last;           /* the newest snapshot; null: there is none */
    double last_seconds;              /* that it took; below 0: not known */
    double commit_seconds;            /* of these, since all parts were written */
    const coord_histogram *snapshots; /* seconds of those that this process has seen */
    const coord_rescale_totals *rescales;
    const coord_counts *const *counts; /* [status->worker_count] of each worker; null: not told yet */
    const coord_workers_row *rows;     /* [row_count]: how workers stand */
    uint32_t row_count;
} coord_metrics;

/* The text, freed by the caller with free(). Null: out of memory, or it would be too long. */
char *coord_metrics_text(const coord_metrics *metrics, size_t *size);

#endif
