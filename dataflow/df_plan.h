/* The plan: the checked, immutable graph of a job, the same on every machine, with a hash.
 *
 * A job's operators and states become vertices; a state's vertex is its commit, which merges the
 * rows of its `first` or `next` streams into the batches that enter the next step. Vertices that
 * are joined by forward inputs form a stage, whose vertices run back to back in one task; every
 * other input is an edge between stages.
 *
 * Time in the plan is counted in ticks. Tick 0 fills the states from their `first` streams; tick
 * t >= 1 is step t - 1. The last tick, steps + 1, runs only what feeds sinks: no state advances.
 *
 * Everything is laid out in arrays in the order of the job file, so that a listing, a hash and an
 * error do not depend on addresses. The plan owns the draft it was made of. */
#ifndef DF_PLAN_H
#define DF_PLAN_H

#include "dataflow/df_draft.h"
#include "dataflow/df_limits.h"

#define DF_NONE UINT32_MAX

/* The key of a row that was born while the job ran: the born bit, the key group it was born in,
 * the number of the operator among those with births, and that operator's counter there. */
#define DF_KEY_BORN           (1ull << 63)
#define DF_KEY_GROUP_SHIFT    47
#define DF_KEY_OPERATOR_SHIFT 40
#define DF_BIRTH_OPERATORS_MAX 128

/* How the rows of a stream are spread over key groups. */
typedef enum df_partition_kind {
    DF_PART_ONE = 1, /* a single key group, 0 */
    DF_PART_SPACE,   /* a tile of a space; key groups are tiles along a Morton curve */
    DF_PART_RANGE,   /* dense keys 0 .. rows-1 in equal runs; other keys by hash */
    DF_PART_HASH,    /* ranges of hashed keys */
} df_partition_kind;

typedef struct df_partition {
    df_partition_kind kind;
    uint32_t key_groups;
    uint32_t space;      /* DF_PART_SPACE: index into the plan's spaces */
    uint64_t rows, run;  /* DF_PART_RANGE */
} df_partition;

/* Bytes of a row, its key included. */
size_t df_schema_row_size(const weir_schema *schema);

/* The key group that a key belongs to (not for DF_PART_SPACE). */
uint32_t df_partition_of(const df_partition *partition, uint64_t key);
/* The first key of a key group's dense range; key_groups gives the end (DF_PART_RANGE). */
uint64_t df_partition_begin(const df_partition *partition, uint32_t key_group);

typedef struct df_space {
    weir_space view;
    double radius;                             /* the largest halo that reads it */
    double skin;                               /* the largest of its states */
    double cell_per_unit[WEIR_AXES_MAX];       /* cell of x = floor(x * cell_per_unit) */
    uint32_t tile_count;
    weir_tile *tiles;                          /* [tile_count], by key group */
    uint32_t *tile_of_position;                /* [tiles z][y][x] -> key group */
    uint32_t *first_cell[WEIR_AXES_MAX];       /* [tiles + 1] of an axis: its tiles' first cells */
    uint32_t *tile_of_cell[WEIR_AXES_MAX];     /* [cells] of an axis: the tile position */
} df_space;

typedef struct df_stream {
    char name[2 * WEIR_NAME_MAX];
    uint32_t vertex, out;
    weir_schema schema;
    df_partition partition;
    /* For each column, whether it is shared from an input of the vertex (weir_plan_pass): the
     * column's index there, else -1. */
    int16_t passed[WEIR_COLUMNS_MAX];
    uint32_t passed_port;
    int16_t run_column;      /* holds key / partition.run in all rows (df_plan_align.c); -1: none */
    bool passes;             /* weir_plan_pass was called: its rows are that port's */
} df_stream;

typedef struct df_port {
    const char *name;
    weir_exchange exchange;
    int column;              /* WEIR_KEY_BY, WEIR_LOOKUP; -1 else */
    uint32_t stream_count;
    uint32_t streams[DF_UNION_MAX];
} df_port;

typedef struct df_reader {
    uint32_t vertex, port;
} df_reader;

typedef enum df_vertex_role { DF_OPERATOR = 1, DF_COMMIT } df_vertex_role;

typedef struct df_vertex {
    const char *name;
    df_vertex_role role;
    const weir_operator *kind; /* null for a commit */
    void *options;
    uint32_t state;            /* DF_COMMIT: index of the state */
    uint32_t port_count;
    df_port ports[WEIR_PORTS_MAX]; /* commit: 0 is `first`, 1 is `next` */
    uint32_t out_count;
    uint32_t outs[WEIR_PORTS_MAX]; /* streams */
    df_partition partition;
    weir_schema *partial;      /* of the rows that `combine` makes; null: no combine */
    weir_schema *carried;      /* null: nothing is carried */
    uint32_t birth_number;     /* DF_NONE: no births */
    uint64_t every_steps;
    bool at_end;
    uint32_t reader_count;     /* ports that read its streams */
    struct df_reader *readers;
    uint32_t stage;
    uint64_t rows, run;        /* a source's, if it told; else rows is UINT64_MAX */
    int16_t run_column;        /* of a source's first output: holds key / run; -1: none does */
} df_vertex;

/* An input that crosses stages. */
typedef enum df_fan {
    DF_FAN_SAME = 1,   /* key group g feeds key group g: forward, and what stays at home by its key */
    DF_FAN_NEIGHBOURS, /* a tile feeds itself and its neighbours */
    DF_FAN_ALL,        /* every key group feeds every key group */
} df_fan;

typedef struct df_edge {
    uint32_t stream;          /* what travels */
    uint32_t vertex, port;    /* who reads it */
    uint32_t from, to;        /* stages */
    df_fan fan;
    bool routed;              /* rows are sent by destination: KEY_BY and commits that move rows */
    uint32_t ticks;           /* 1: read at the tick after it was written (a state); else 0 */
} df_edge;

typedef struct df_stage {
    uint32_t vertex_count;
    uint32_t *vertices;       /* in the order they run */
    df_partition partition;
    uint32_t in_count, out_count;
    uint32_t *in_edges, *out_edges;
    bool serial;              /* one tick after the other: sinks, and what carries columns */
    bool sink;                /* holds sinks only: runs when its step is complete everywhere */
} df_stage;

typedef struct df_state {
    const char *name;
    uint32_t vertex;          /* its commit */
    uint32_t stream;
    uint32_t space;           /* DF_NONE: keyed */
    bool moves_anywhere;
    int axis_columns[WEIR_AXES_MAX];
    uint64_t settle_every;    /* 1: at every step */
    double skin;              /* 0 if it settles at every step */
    /* What a snapshot holds of it: the columns, and where each row was when it settled. */
    const weir_schema *stored;
} df_state;

/* The last step, up to `step`, at which the state's rows took their places: a function of the step. */
static inline uint64_t df_state_settled(const df_state *state, uint64_t step)
{
    return step - step % state->settle_every;
}

struct df_plan {
    df_draft *draft;
    weir_job job;
    uint32_t key_groups;      /* of the job; a stream's partition may have fewer */
    uint32_t window;
    uint32_t space_count, state_count, vertex_count, stream_count, stage_count, edge_count;
    df_space *spaces;
    df_state *states;
    df_vertex *vertices;
    df_stream *streams;
    df_stage *stages;
    df_edge *edges;
    uint32_t *order;          /* [vertex_count]: vertices, producers before readers */
    uint64_t hash[2];         /* XXH3-128 of everything that decides the results */
};
typedef struct df_plan df_plan;

/* Check the whole graph and lay it out. Takes *draft, also on failure; every error goes to the
 * report. On success *out is owned by the caller. */
df_status df_plan_new(df_plan **out, df_draft **draft, df_report *report) DF_MUST_CHECK;
void df_plan_free(df_plan **plan);

/* The unit of key group k of n: what changes owner together (df_part.h). */
static inline uint32_t df_plan_unit(const df_plan *plan, uint32_t key_group, uint32_t key_groups)
{
    return (uint32_t)((uint64_t)key_group * plan->key_groups / key_groups);
}

/* Which vertices have work at a tick: active[vertex_count] is filled. A pure function of the plan. */
void df_plan_activity(const df_plan *plan, uint64_t tick, bool *active);
/* Whether an edge carries something at its reader's tick, given that tick's activity. */
bool df_plan_edge_active(const df_plan *plan, uint32_t edge, uint64_t tick, const bool *active);

/* Pictures of the graph for people, to `out` (FILE *): Graphviz DOT, and text. */
void df_plan_print_dot(const df_plan *plan, void *out);
void df_plan_print_text(const df_plan *plan, void *out);
/* The tiling of each space and the partition of each stream: what `weir check` shows. */
void df_plan_print_layout(const df_plan *plan, void *out);

#endif
