/* What a worker counts, and its bytes: a worker tells its numbers in a `metrics` message about once a
 * second, and the coordinator shows the newest of each (coord_metrics.h).
 *
 *   u16 version
 *   u64 each: the numbers of coord_counts in the order of the struct, up to `rejected`
 *   u32 count, then u64 each: rejected messages by reason
 *   two histograms (parts, loads): COORD_BUCKETS times u64, u64 nanoseconds
 *   spans (tasks)
 *   u32 count, then each operator: text name, u8 role, text kind, 4 u64, spans; (name, role) ascends
 *   u32 count, then each peer: 9 u64, spans; numbers ascend
 *
 * Spans (df_spans.h): u32 mask of the buckets that are not empty, u64 each of those, u64 nanoseconds. Mostly a
 * few are not.
 *
 * Everything but what is said to be of now is a counter: it begins at 0 with the worker's process and
 * only grows, through all generations. */
#ifndef COORD_COUNTS_H
#define COORD_COUNTS_H

#include "coordinator/proto_msg.h"
#include "dataflow/df_bytes.h"
#include "dataflow/df_limits.h"
#include "dataflow/df_spans.h"
#include "dataflow/weir/operator.h"

#define COORD_COUNTS_VERSION       2u
#define COORD_COUNTS_OPERATORS_MAX (DF_OPERATORS_MAX + DF_STATES_MAX)

/* Bounds of the buckets, in seconds; a last bucket has what took longer. */
#define COORD_BUCKETS 13u
extern const double coord_bucket_bounds[COORD_BUCKETS - 1];

typedef struct coord_histogram {
    uint64_t buckets[COORD_BUCKETS]; /* each what is in it, not in those below */
    uint64_t nanoseconds;            /* the sum */
} coord_histogram;

void coord_histogram_put(coord_histogram *histogram, double seconds);

/* Operators and states have each a name of its own; a sink may be called like one of them. */
typedef enum coord_counts_role {
    COORD_COUNTS_OPERATOR,
    COORD_COUNTS_STATE,
    COORD_COUNTS_SINK,
    COORD_COUNTS_ROLES
} coord_counts_role;

typedef struct coord_counts_operator {
    coord_counts_role role;
    char name[WEIR_NAME_MAX], kind[WEIR_NAME_MAX]; /* printable ASCII, not empty */
    uint64_t rows_in, rows_out, bytes_in, bytes_out;
    df_spans calls;
} coord_counts_operator;

/* The channel to and from another member of the generation. */
typedef struct coord_counts_peer {
    uint64_t id;
    uint64_t frames_sent, frames_resent; /* sent: those that were sent again, too */
    uint64_t frames_early;               /* arrived before one that was missing */
    uint64_t frames_received;            /* in their turn: each once */
    uint64_t bytes_sent, bytes_received; /* rows and states, each once */
    uint64_t bytes_moved;                /* of those sent: key groups that moved to it, with what their kinds keep */
    uint64_t buffered, queued;           /* now: bytes that wait for their task, frames that wait for credit */
    df_spans waits;                      /* of frames for their credit, until each was sent first */
} coord_counts_peer;

typedef struct coord_counts {
    uint64_t row_steps, tasks, steals, sleeps, allocations;
    uint64_t pool_bytes;                 /* now */
    uint64_t frames_parked;              /* came before their generation */
    uint64_t part_bytes_raw, part_bytes_stored, part_bytes_kept; /* of snapshots' parts, written well */
    uint64_t parts_failed, loads_failed;
    uint64_t rejected[PROTO_REJECT_COUNT];
    coord_histogram parts, loads;        /* seconds of those that ended well */
    df_spans group_tasks;                /* of one key group each, sinks' not counted */
    uint32_t operator_count, peer_count;
    coord_counts_operator *operators;    /* owned; ascending by name and role */
    coord_counts_peer *peers;            /* owned; ascending by id */
} coord_counts;

/* Zero, with room for as many; false: out of memory, and *counts is empty. */
bool coord_counts_init(coord_counts *counts, uint32_t operators, uint32_t peers);
void coord_counts_fini(coord_counts *counts);
/* Sort operators and peers as they are to be told. */
void coord_counts_sort(coord_counts *counts);

void coord_counts_encode(df_writer *writer, const coord_counts *counts);
/* Bytes from outside. On success *counts is the caller's, to be finished; on failure it is empty.
 * DF_ECORRUPT: they are no such message. */
df_status coord_counts_decode(coord_counts *counts, const uint8_t *bytes, size_t size, df_error *err)
    DF_MUST_CHECK;

#endif
