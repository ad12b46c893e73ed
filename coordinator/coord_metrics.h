/* The numbers of a running job as a text that Prometheus reads (exposition format 0.0.4).
 *
 * A family is a name, a help text, a type and its samples; all samples of a family stand together. Units
 * are seconds and bytes; what ends in _total only grows while its process lives. The names are listed in
 * README.md in this folder.
 *
 * There are two pages: that of the job, whose size does not depend on the number of key groups and grows with
 * workers, operators and channels up to the bounds below, and that of the key groups. */
#ifndef COORD_METRICS_H
#define COORD_METRICS_H

#include "coordinator/coord_counts.h"
#include "coordinator/coord_status.h"
#include "coordinator/coord_workers.h"

#define COORD_METRICS_SIZE_MAX (64u << 20) /* of the text */
/* Workers times operators; with more, operators are shown as a sum of all workers: their numbers, the times of their
 * calls, which are a histogram of each. */
#define COORD_METRICS_OPERATORS_MAX 8192u
#define COORD_METRICS_CALLS_MAX     1024u
/* Workers; with more, channels are shown as a sum of each worker's: their numbers, how long frames waited. */
#define COORD_METRICS_PEERS_MAX 64u
#define COORD_METRICS_WAITS_MAX 16u

/* Of a snapshot, as its coordinator sees it: from its order until all workers have done the steps before its
 * own, until all parts are there, until it is committed. */
typedef enum coord_snapshot_phase {
    COORD_SNAPSHOT_REACH,
    COORD_SNAPSHOT_WRITE,
    COORD_SNAPSHOT_COMMIT,
    COORD_SNAPSHOT_PHASES
} coord_snapshot_phase;

/* What is shown; everything is borrowed. */
typedef struct coord_metrics {
    const coord_status *status;
    uint64_t bound, ceiling;          /* ticks */
    const snap_entry *last;           /* the newest snapshot; null: there is none */
    double last_seconds;              /* that it took; below 0: not known */
    double commit_seconds;            /* of these, since all parts were written */
    const coord_histogram *snapshots; /* seconds of those that this process has seen */
    const coord_histogram *phases;    /* [COORD_SNAPSHOT_PHASES]: of these */
    const coord_rescale_totals *rescales;
    const coord_counts *const *counts; /* [status->worker_count] of each worker; null: not told yet */
    const coord_workers_row *rows;     /* [row_count]: how workers stand */
    uint32_t row_count;
} coord_metrics;

/* A key group, by what its worker has told last. */
typedef struct coord_metrics_group {
    uint64_t worker; /* 0: nobody has told of it */
    uint64_t cost_ns, rows, bytes;
} coord_metrics_group;

/* The text, freed by the caller with free(). Null: out of memory, or it would be too long. */
char *coord_metrics_text(const coord_metrics *metrics, size_t *size);
/* The same of key groups; the status says whose they are. */
char *coord_metrics_groups_text(const coord_status *status, const coord_metrics_group *groups,
                                uint32_t group_count, size_t *size);

#endif
