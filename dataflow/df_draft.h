/* A draft: what a job file says, names not yet resolved between its parts, every value with its
 * place. config/ fills it from TOML (options already parsed by the operators' own tables); df_plan
 * checks it as a whole and makes the plan of it. Plain data; all of it lives in the draft's arena. */
#ifndef DF_DRAFT_H
#define DF_DRAFT_H

#include "dataflow/df_arena.h"
#include "dataflow/df_error.h"
#include "dataflow/weir/operator.h"

typedef struct df_text {
    const char *text; /* null: not given */
    df_place place;
} df_text;

typedef struct df_draft_space {
    df_text name;
    uint32_t axis_count;
    const char *axes[WEIR_AXES_MAX];
    double size[WEIR_AXES_MAX];
    bool periodic[WEIR_AXES_MAX];
} df_draft_space;

typedef struct df_draft_state {
    df_text name;
    df_text space;      /* text null: keyed by id */
    weir_schema schema; /* its columns, in the order of the job file */
    df_text first;      /* the stream that holds its rows at step 0 */
    uint32_t next_count;
    df_text *next;      /* the streams whose union it is at the next step */
    bool moves_anywhere;
    df_place moves_place;
    uint64_t settle_every; /* 0 and 1: at every step */
    double skin;           /* counts if rows do not settle at every step */
    df_place settle_place;
} df_draft_state;

typedef struct df_draft_input {
    df_text port; /* text null: plain `in` */
    uint32_t stream_count;
    df_text *streams;
} df_draft_input;

/* Where an option stands in the file, for errors that are found later: path "speed" or
 * "compute.vx". */
typedef struct df_draft_key {
    const char *path;
    df_place place;
} df_draft_key;

typedef struct df_draft_operator {
    df_text name;
    bool sink; /* [sink.NAME]; else [operator.NAME] */
    const weir_operator *kind;
    df_place kind_place;
    void *options; /* kind->options_size bytes, filled; text lives in the arena */
    uint32_t input_count;
    df_draft_input inputs[WEIR_PORTS_MAX];
    uint32_t key_count;
    df_draft_key *keys;
    uint64_t every_steps; /* 1: every step */
    bool at_end;          /* at = "end": the last step only */
} df_draft_operator;

/* ---- policies: what is done around the steps, without a trace in any result ---- */

typedef enum df_compression {
    DF_COMPRESS_NONE = 0,
    DF_COMPRESS_LZ4,
    DF_COMPRESS_ZSTD,
} df_compression;

/* What follows the loss of a worker. */
typedef enum df_fault_mode {
    DF_FAULT_SNAPSHOT = 0, /* everything returns to the last committed snapshot */
    DF_FAULT_RETRY,        /* a task is run again elsewhere; if that cannot be, as above */
    DF_FAULT_NONE,         /* the job fails */
} df_fault_mode;

/* Which worker a key group goes to, of those that may have it. */
typedef enum df_placing {
    DF_PLACE_LOCALITY = 0, /* neighbours stay together */
    DF_PLACE_LEAST_LOADED,
    DF_PLACE_ROUND_ROBIN,
} df_placing;

/* [placement] */
typedef struct df_placement {
    df_placing policy;
    bool automatic;          /* rebalance without being asked */
    uint64_t min_free_bytes; /* what a worker's host keeps free */
    uint32_t min_compute_capability; /* ten times it, 80 is 8.0; 0: processors too */
    uint32_t priority;       /* the least that a worker must have */
    uint32_t label_count;    /* 0: any worker */
    const df_text *labels;   /* of workers; one that ends in * is a beginning */
    double sample_seconds;   /* between two of a worker's loads; 0.01 .. 60 */
} df_placement;

/* [scaling] */
typedef struct df_scaling {
    bool on;                 /* the job has the section */
    uint32_t min, max;       /* workers; max 0: one per processor of the coordinator's machine */
    double target_utilisation; /* above 0, at most 1 */
    double cool_down_seconds;
} df_scaling;

/* All fields hold their defaults where the job says nothing. */
typedef struct df_policy {
    bool snapshot;                 /* the job has a [snapshot] section */
    double snapshot_every_seconds; /* above 0, at most 1e9; counts if snapshot_every_steps is 0 */
    uint64_t snapshot_every_steps; /* 0: by seconds */
    uint32_t snapshot_retain;      /* at least 2 */
    df_compression snapshot_compression;
    bool snapshot_verify;          /* read back and compare what was written, before the commit */
    df_fault_mode fault_mode;
    uint32_t fault_max_restarts;
    double fault_backoff_seconds;  /* 0 .. 3600 */
    uint32_t fault_retries;        /* 1 .. 100 */
    bool replay_record;            /* fingerprints are recorded beside the state */
    bool replay_streams;           /* ... of every operator, too */
    bool replay_keep_all;          /* ... and are kept when no snapshot needs them any more */
    df_placement placement;
    df_scaling scaling;
    double fault_stall_seconds;    /* 0 .. 86400; 0: never */
} df_policy;

typedef struct df_draft_worker {
    df_text label;
    df_text backend;  /* "cpu", or "cuda:N" with N of up to three digits */
    uint32_t threads; /* 0: one per core */
    df_text endpoint; /* text null: the worker chooses */
    uint32_t priority;
} df_draft_worker;

typedef struct df_draft {
    df_arena *arena;  /* owned; goes to the plan */
    const char *file; /* as the user named it */
    weir_job job;
    uint32_t key_groups; /* [run] key_groups */
    uint32_t window;     /* [run] window */
    double pace;         /* [run] pace: steps per second of wall time; 0: unlimited */
    uint32_t space_count;
    df_draft_space *spaces; /* all lists in the order of the job file */
    uint32_t state_count;
    df_draft_state *states;
    uint32_t operator_count; /* operators and sinks */
    df_draft_operator *operators;
    df_policy policy; /* like run.window, no part of the plan's hash */
    uint32_t worker_count;
    df_draft_worker *workers; /* in the order of the job file */
} df_draft;

/* The kinds that a job may name. find returns null for an unknown name. */
typedef struct df_kinds {
    uint32_t count;
    const weir_operator *const *list;
} df_kinds;

#endif
