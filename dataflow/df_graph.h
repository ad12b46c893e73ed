/* The graph: everything of a job that changes while it runs, in one process. It runs the plan's
 * tasks (stage, key group, tick) on threads that steal work from each other.
 *
 * A task is ready when its last input has arrived: each has a counter of what is missing. There is
 * no barrier between steps; a key group may be up to `window` steps ahead of a distant one. What
 * may start at all is decided by the grant, the highest step that was allowed. */
#ifndef DF_GRAPH_H
#define DF_GRAPH_H

#include "dataflow/df_plan.h"
#include "dataflow/df_spans.h"

typedef struct df_graph df_graph;

/* XXH3-128 as two words, high first. */
typedef struct df_hash {
    uint64_t high, low;
} df_hash;

/* The fingerprint of a step is that of the states that enter it; the streams are those made in it.
 *
 * The fingerprint of one state (or, with fingerprint_streams, one stream) at one step. */
typedef struct df_stream_print {
    uint32_t stream;
    uint32_t key_groups, column_count; /* column 0 is the key, then the schema's */
    df_hash total;
    const df_hash *columns;            /* [column_count]: all key groups of a column */
    const df_hash *groups;             /* [key_groups]: all columns of a key group */
} df_stream_print;

typedef struct df_step_print {
    uint64_t step;
    df_hash total;
    uint32_t stream_count;
    const df_stream_print *streams;
} df_step_print;

typedef struct df_part df_part; /* df_part.h */

typedef struct df_graph_options {
    uint32_t threads;          /* 0: as many as the machine has */
    const char *directory;     /* of output files; made when a sink needs it */
    void *console;             /* FILE * that sinks may print to; null: none */
    bool fingerprint_steps;    /* of every step; else only of the last */
    bool fingerprint_streams;  /* of every operator's streams too */
    bool keep_states;          /* for df_graph_state: one more copy of every state */
    uint32_t retries;          /* of a call that failed for a reason that may pass */
    uint64_t retry_ns;         /* before the first of them; doubled up to 64 times */
    bool keep_nothing;         /* kinds find nothing kept between steps: slower, the same bits (tests) */
    uint64_t shuffle_seed;     /* not 0: steal and run in a random order (for tests) */
    /* Called in step order, by one thread at a time, as soon as a step is complete, if it was
     * fingerprinted. Anything but DF_OK ends the run with that status and err. */
    df_status (*on_step)(void *user, const df_step_print *print, df_error *err);
    void *user;
    const df_part *part;       /* null: all of the job is run here */
} df_graph_options;

typedef struct df_graph_stats {
    bool begun;                /* step 0 is complete everywhere */
    uint64_t step;             /* the last that is, if begun */
    uint64_t rows;             /* row-steps: rows that entered steps, all states */
    uint64_t tasks;            /* tasks run */
    uint64_t allocations;      /* times that the pool had to ask the system for memory */
    uint64_t pool_bytes;       /* mapped by the pool */
    uint64_t steals, sleeps;
    df_spans task_spans;       /* of each task, sinks' not counted; only in a part */
} df_graph_stats;

typedef struct df_vertex_stats {
    uint64_t rows_in, bytes_in;   /* of its first input */
    uint64_t rows_out, bytes_out; /* of all its streams; bytes are those of columns and keys */
    df_spans calls;               /* each key group at each step; a call that failed and is made again counts, too */
} df_vertex_stats;

/* Borrows the plan for its whole life. Opens the sinks. */
df_status df_graph_new(df_graph **out, const df_plan *plan, const df_graph_options *options,
                       df_error *err) DF_MUST_CHECK;
/* Closes the sinks if df_graph_finish did not. */
void df_graph_free(df_graph **graph);

/* Run until step `step` is complete (steps and their sinks), or to the first error. May be called
 * again with a later step. Blocks; other threads may call df_graph_stats and df_graph_stop. */
df_status df_graph_run(df_graph *graph, uint64_t step, df_error *err) DF_MUST_CHECK;
/* Ask a run to end early: steps that have begun are finished, then run returns DF_END. May be
 * called from a signal handler. */
void df_graph_stop(df_graph *graph);
/* Close all sinks; files are whole afterwards. */
df_status df_graph_finish(df_graph *graph, df_error *err) DF_MUST_CHECK;

void df_graph_stats_get(const df_graph *graph, df_graph_stats *stats);
void df_graph_vertex_stats_get(const df_graph *graph, uint32_t vertex, df_vertex_stats *stats);
/* The fingerprint of the last complete step that was fingerprinted; false: none yet. */
bool df_graph_fingerprint(const df_graph *graph, uint64_t *step, df_hash *total);
/* With options.keep_states: a key group's newest batch of a state; borrowed until the next run. After
 * a run to step n < steps it is what enters step n + 1; after the last, what entered it. */
const weir_batch *df_graph_state(const df_graph *graph, uint32_t state, uint32_t key_group);

#endif
