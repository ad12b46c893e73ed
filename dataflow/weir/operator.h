/* The interface of an operator kind: the one header that a kind includes, built-in or a user's own.
 *
 * A kind is one constant, `const weir_operator`, in one file. The engine reads its options from the
 * job file by the option table, calls `plan` once, and then `process` once per key group and step,
 * when all inputs for that step are complete. A kind keeps no memory of its own between steps: what
 * it must remember it declares as carried columns, and the engine snapshots, moves and restores
 * them. It never reads a clock, an environment variable, an address or a thread number; what it
 * computes depends on its inputs, its options and (seed, step, key group, operator name) only.
 *
 * Life of a kind in a job:   options filled -> plan -> [open] -> process ... process -> [close]
 * `open` and `close` are for sinks, the only kinds that reach outside the process. Between two
 * steps a sink may be asked for a mark, from which a later process can go on (see weir_mark).
 *
 * Ownership: everything that a callback receives is borrowed until it returns. Output columns
 * belong to the engine, also when the callback fails; a kind has nothing to clean up. */
#ifndef WEIR_OPERATOR_H
#define WEIR_OPERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_API_VERSION 1
#define WEIR_NAME_MAX    64  /* bytes of a name, the final zero included */
#define WEIR_PORTS_MAX   8   /* inputs of a kind, outputs of a kind */
#define WEIR_COLUMNS_MAX 64  /* columns of a stream, the key not counted */
#define WEIR_AXES_MAX    3
#define WEIR_HALO_SLOTS  27  /* a tile and its neighbours: [(dz+1)*9 + (dy+1)*3 + (dx+1)] */
#define WEIR_HALO_CENTRE 13
#define WEIR_NO_ROW      UINT32_MAX
#define WEIR_MARK_MAX    256 /* bytes of a sink's mark */

typedef enum weir_status {
    WEIR_OK = 0,
    WEIR_FAILED = 1,
    WEIR_AGAIN = 2, /* of process only, after weir_again: it may succeed when it is tried again */
} weir_status;

/* ---- columns, streams, batches ---- */

typedef enum weir_type {
    WEIR_F32 = 1,
    WEIR_F64,
    WEIR_I32,
    WEIR_I64,
    WEIR_U32,
    WEIR_U64,
    WEIR_U8,
} weir_type;

/* Size in bytes of one value, and the name as a job file writes it ("f32"). */
size_t weir_type_size(weir_type type);
const char *weir_type_name(weir_type type);

typedef struct weir_column {
    char name[WEIR_NAME_MAX];
    weir_type type;
} weir_column;

/* The columns of a stream beside its key. "id" names the key and is no column. */
typedef struct weir_schema {
    uint32_t column_count;
    weir_column columns[WEIR_COLUMNS_MAX];
} weir_schema;

/* The index of a column, or -1. */
int weir_schema_find(const weir_schema *schema, const char *name);

/* Rows of one key group at one step, in columns. Columns are 64-byte aligned, and 64 bytes past
 * their last value may be read (not used). A batch that a kind receives is immutable. */
typedef struct weir_batch {
    uint64_t step;
    uint32_t key_group;
    uint32_t row_count;
    uint64_t *keys;              /* [row_count] */
    void *columns[WEIR_COLUMNS_MAX];
    const uint32_t *cell_rows;   /* spatial state: first row of each cell of the tile (z, y, x; x
                                    fastest), one entry past the last; else null */
    const weir_schema *schema;
} weir_batch;

/* ---- space ---- */

typedef struct weir_space {
    char name[WEIR_NAME_MAX];
    uint32_t axis_count;                    /* 1..3; a missing axis has one cell and one tile */
    char axes[WEIR_AXES_MAX][WEIR_NAME_MAX];
    double size[WEIR_AXES_MAX];             /* coordinates run from 0 to size */
    bool periodic[WEIR_AXES_MAX];
    uint32_t cells[WEIR_AXES_MAX];          /* of the whole space */
    uint32_t tiles[WEIR_AXES_MAX];
} weir_space;

/* The tile of one key group. */
typedef struct weir_tile {
    const weir_space *space;
    uint32_t position[WEIR_AXES_MAX];       /* in tiles */
    uint32_t origin[WEIR_AXES_MAX];         /* its first cell, in cells of the space */
    uint32_t cells[WEIR_AXES_MAX];
    uint32_t neighbours[WEIR_HALO_SLOTS];   /* key groups; WEIR_NO_ROW beyond a closed edge */
    float shift[WEIR_HALO_SLOTS][WEIR_AXES_MAX]; /* unwraps a neighbour's coordinates: 0, +-size */
} weir_tile;

/* ---- the job, as a kind sees it ---- */

typedef struct weir_job {
    char name[WEIR_NAME_MAX];
    char time_unit[WEIR_NAME_MAX];
    uint64_t seed;
    uint64_t steps;         /* the last step */
    double dt;              /* simulated time per step, in time_unit */
    double time_start;      /* the time at step 0 */
    const char *directory;  /* of the job file; input files are relative to it */
} weir_job;

/* ---- options ---- */

typedef enum weir_option_type {
    /* 1..7: a number of that weir_type; in the job file a number or a constant expression */
    WEIR_TEXT = 16,  /* const char * */
    WEIR_CHOICE,     /* uint32_t, index into `choices` ("one|two|three") */
    WEIR_BOOL,       /* bool */
    WEIR_RANGE,      /* double[2]: [least, most], least <= most */
    WEIR_COLUMN,     /* const char *: a column's name; `plan` resolves it */
    WEIR_COLUMNS,    /* weir_names: several */
    WEIR_COMPUTE,    /* weir_computes: `compute.NAME = "function(column)"` */
    WEIR_FILE_IN,    /* const char *: a path that can be opened, job directory prepended */
    WEIR_FILE_OUT,   /* const char *: a name below runs/NAME/ */
} weir_option_type;

typedef struct weir_names {
    uint32_t count;
    const char *const *names;
} weir_names;

typedef struct weir_compute {
    const char *name;
    const char *text;
} weir_compute;

typedef struct weir_computes { /* in the order of the job file */
    uint32_t count;
    const weir_compute *items;
} weir_computes;

typedef struct weir_option {
    const char *name;
    const char *help;
    int type;             /* weir_type or weir_option_type */
    const char *unit;     /* "1" for a pure number, "length", "time", ...; null where none fits */
    const char *value;    /* the default, as a job file would write it; null: required;
                             "" for an optional text, column or list: null or empty */
    const char *range;    /* "> 0", ">= 1", "0..1"; null: any finite number */
    const char *choices;  /* WEIR_CHOICE */
    size_t offset;        /* of the field in the kind's options struct */
} weir_option;

/* ---- plan ---- */

/* How an input is partitioned and brought together. Users do not write it: the kind declares it. */
typedef enum weir_exchange {
    WEIR_FORWARD = 1, /* the same key group's batch; batches[0] */
    WEIR_HALO,        /* a tile and its neighbours: 27 slots, null beyond a closed edge */
    WEIR_KEY_BY,      /* rows by the value of a column; needs `combine` */
    WEIR_LOOKUP,      /* rows of another stream by the value of a column of port 0 */
    WEIR_BROADCAST,   /* every key group of the stream, ascending */
    WEIR_GATHER,      /* every key group of the stream, ascending, to one key group */
} weir_exchange;

typedef enum weir_role { WEIR_SOURCE = 1, WEIR_PHASE, WEIR_AGGREGATE, WEIR_SINK } weir_role;

typedef struct weir_plan weir_plan;

const weir_job *weir_plan_job(const weir_plan *plan);
/* The schema of what arrives at an input port. */
const weir_schema *weir_plan_input(const weir_plan *plan, uint32_t port);
/* The space of an input port's stream, or of the state that a source fills; null: none. */
const weir_space *weir_plan_space(const weir_plan *plan, uint32_t port);
/* The state that a source fills; null: it fills none. */
const weir_schema *weir_plan_target(const weir_plan *plan);
/* The index of a column that must be there with that type (0: any type), else an error is
 * reported and -1 is returned. */
int weir_plan_column(weir_plan *plan, uint32_t port, const char *name, int type);
/* Declare output `out`: every column of input `port`, whose values are shared and not copied
 * (see weir_output_like). Each row keeps in them what the input's row of the same key has; a row whose key
 * the input has not is a birth. Rows may be left out. */
void weir_plan_pass(weir_plan *plan, uint32_t out, uint32_t port);
/* Declare one more column of output `out`, or, where the column was passed, that this kind writes
 * it anew. Returns its index. */
int weir_plan_add(weir_plan *plan, uint32_t out, const char *name, weir_type type);
/* Choose the exchange of a port where it depends on the options; `column` is the index in port 0's
 * schema for WEIR_KEY_BY and WEIR_LOOKUP, else -1. */
void weir_plan_exchange(weir_plan *plan, uint32_t port, weir_exchange exchange, int column);
/* How far WEIR_HALO sees, in units of the space. */
void weir_plan_radius(weir_plan *plan, uint32_t port, double radius);
/* The skin of the state that an input port reads: until they settle again (weir_settled), its rows move
 * at most half of it from where they settled. 0: they settle at every step, or it is no state. */
double weir_plan_skin(const weir_plan *plan, uint32_t port);
/* For a source: how many rows it makes in all, with keys 0 .. rows-1, and how many consecutive keys
 * belong together (a school's boys). It is then asked for ranges of them, in parallel. A source
 * that does not call this is asked once, for everything, and makes its own keys. */
void weir_plan_rows(weir_plan *plan, uint64_t rows, uint64_t run);
/* For such a source: this column of its first output holds the number of the row's run, key / run.
 * Rows that are grouped or looked up by it need not leave their key group. */
void weir_plan_run_column(weir_plan *plan, int column);
/* For a kind with `combine`: a column of the partial rows that travel. */
int weir_plan_partial(weir_plan *plan, const char *name, weir_type type);
/* A column that the engine carries from step to step, one row per key group, zero at first. */
int weir_plan_carry(weir_plan *plan, const char *name, weir_type type);
/* Declare that this phase will call weir_new_keys. */
void weir_plan_births(weir_plan *plan);
/* Memory that lives as long as the plan, zeroed. Null when there is none. */
void *weir_plan_alloc(weir_plan *plan, size_t size);
/* Report an error at option `key` ("" for the operator itself). Returns WEIR_FAILED. */
weir_status weir_plan_error(weir_plan *plan, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- process ---- */

typedef struct weir_input {
    weir_exchange exchange;
    uint32_t batch_count;
    const weir_batch *const *batches;
    /* WEIR_LOOKUP: batches[0] holds the distinct rows that were found, ascending by key; rows[i] is
     * the one of port 0's row i, or WEIR_NO_ROW. */
    const uint32_t *rows;
} weir_input;

typedef struct weir_task weir_task;

struct weir_task {
    const void *options;
    const weir_job *job;
    uint64_t step;
    double time;                /* time_start + step * dt */
    uint32_t key_group;
    uint32_t input_count;
    const weir_input *inputs;
    const weir_tile *tile;      /* of a spatial stream's key group; else null */
    uint64_t random_key;        /* Philox key of (seed, operator name, step >> 32) */
    uint64_t row_begin;         /* a source makes rows [row_begin, row_end) */
    uint64_t row_end;
    const weir_batch *carried;  /* one row; null where nothing is carried */
    weir_batch *carry;          /* the same for the next step; starts as a copy */
    void *handle;               /* a sink's */
};

/* A new output batch of `row_count` rows, all columns and keys to be written by the kind. Lowering
 * row_count afterwards is allowed. Null: out of memory, return WEIR_FAILED. */
weir_batch *weir_output(weir_task *task, uint32_t out, uint32_t row_count);
/* A new output batch with the rows of the batch of forward (or halo) input `port`: keys and passed
 * columns are shared, the added ones are to be written. */
weir_batch *weir_output_like(weir_task *task, uint32_t out, uint32_t port);
/* For a spatial phase: `count` keys for rows that are born in this task. */
weir_status weir_new_keys(weir_task *task, uint32_t count, uint64_t *keys);
/* Rows of equal values that stand together: run r is the rows [begins[r], begins[r + 1]). */
typedef struct weir_runs {
    uint32_t count;
    bool ascending;         /* strictly, by run: no value has two runs */
    const uint32_t *begins; /* [count + 1] */
} weir_runs;
/* The runs of a column of whole numbers of a forward (or halo) input. For a column that does not
 * change they are found once, not at each step. False: out of memory, return WEIR_FAILED. */
bool weir_column_runs(weir_task *task, uint32_t port, uint32_t column, weir_runs *runs);
/* Whether the keys of a forward (or halo) input count up by one. Costs nothing if keys do not change. */
bool weir_keys_dense(const weir_task *task, uint32_t port);

/* ---- halo inputs of states that do not settle at every step ----
 *
 * Such a state's rows keep their key group, their row and their cell (cell_rows) between two steps at
 * which it settles, wherever they move meanwhile: at most half of the skin. Two rows that are now
 * within the radius lie in the same or in adjacent cells all the same. */

/* Whether the rows of a halo input are where they settled. */
bool weir_settled(const weir_task *task, uint32_t port);
/* The column of an axis of a halo input's batch, unwrapped as the rows' cells say: between two
 * settlings a row may have gone round a periodic edge, and is then as far from its cell as can be.
 * Mostly the batch's own column. Null: out of memory, return WEIR_FAILED. */
const float *weir_unwrapped(weir_task *task, uint32_t port, uint32_t slot, uint32_t axis);
/* What this kind kept about a halo input's rows in this key group since they settled: who is near whom, for
 * example. It goes with the key group to another worker, as bytes, so nothing in it may be an address that is
 * used there. */
typedef struct weir_memory {
    void *bytes;    /* 64-byte aligned; the task may write there */
    size_t size;    /* as it was asked for */
    uint32_t moved; /* bit s: rows of the halo's batch at slot s lie elsewhere in it than at the call before: what
                     * another worker sends leaves out the cells that touch no tile here */
    bool foreign;   /* another worker made it: check it as any bytes from outside. Then all have moved, too */
} weir_memory;
/* False: there is nothing, and never may a result depend on whether there is: the engine drops it when it likes.
 * The cells that touch the tile have the same rows in the same order as when it was made. What has moved and
 * what is foreign is said once. */
bool weir_kept(weir_task *task, uint32_t port, weir_memory *kept);
/* Memory to be kept so, 64-byte aligned, not zeroed; what was kept is gone. A call that fails keeps nothing.
 * Null: nothing can be kept. */
void *weir_keep(weir_task *task, uint32_t port, size_t size);

/* Memory until `process` returns, 64-byte aligned, not zeroed. Null: out of memory. */
void *weir_scratch(weir_task *task, size_t size);
/* Fail the step. `row` is the row at fault, WEIR_NO_ROW for none. Returns WEIR_FAILED. */
weir_status weir_fail(weir_task *task, uint32_t row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fail for a reason that may pass: a full disk, a server that does not answer. A job with mode = "retry" calls
 * `process` again with the same inputs, after a pause in which other tasks run: what it has made, carried and born
 * is forgotten, so it must leave nothing else behind. Returns WEIR_AGAIN. Memory that is out is such a reason, too. */
weir_status weir_again(weir_task *task, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- sinks ---- */

/* Where a sink stands between two steps: bytes that only its kind can read. They are kept in
 * snapshots, so they are written field by field, with a version, and come back as hostile as any.
 *
 * A job may be killed at any moment. It is started again from a snapshot, with the sink's mark of
 * that step; the steps behind it are run again and give the same rows. In the end every file must
 * hold what it would hold had nothing happened, and whoever reads it meanwhile never sees a byte
 * change or go away (but by a power loss). */
typedef struct weir_mark {
    uint32_t size;
    uint8_t bytes[WEIR_MARK_MAX];
} weir_mark;

typedef struct weir_sink {
    const void *options;
    const weir_job *job;
    const weir_schema *schema;  /* of input 0 */
    const weir_space *space;    /* of input 0, or null */
    const char *directory;      /* where its files go; exists */
    void *console;              /* FILE * for people; null: nothing may be printed */
    const weir_mark *resume;    /* during open only. Null: begin anew, what is there is replaced;
                                   else go on behind it */
    void *handle;               /* the kind's own; becomes weir_task.handle */
    char error[256];
} weir_sink;

/* Fill `error`. Returns WEIR_FAILED. */
weir_status weir_sink_fail(weir_sink *sink, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- devices ---- */

/* The tasks of one stage on one device, all key groups of one step: columns are device memory. */
typedef struct weir_launch {
    weir_task *tasks;
    uint32_t task_count;
    void *queue; /* the device's own: a cudaStream_t */
} weir_launch;

/* ---- the descriptor ---- */

typedef struct weir_port {
    const char *name; /* `in.NAME`; the first port may also be written `in` */
    weir_exchange exchange;
    const char *help;
} weir_port;

typedef struct weir_operator {
    uint32_t api_version; /* WEIR_API_VERSION */
    const char *name;
    const char *help; /* one line */
    weir_role role;
    weir_port inputs[WEIR_PORTS_MAX];
    const char *outputs[WEIR_PORTS_MAX]; /* "out" alone: the stream has the operator's name */
    size_t options_size;
    const weir_option *options; /* ends with a null name */
    /* Check the inputs, declare the outputs. Runs once; may write into its options. */
    weir_status (*plan)(weir_plan *plan, void *options);
    /* WEIR_KEY_BY and WEIR_GATHER aggregates: reduce one key group's batch (inputs[0], forward) to
     * partial rows, ascending by key, one per group; the partial rows travel, not the rows. */
    weir_status (*combine)(weir_task *task);
    weir_status (*process)(weir_task *task);
    /* Optional: the same as process for many key groups on a device. Null: cpu only. */
    weir_status (*launch)(const weir_launch *launch);
    weir_status (*open)(weir_sink *sink);
    weir_status (*close)(weir_sink *sink);
    /* Both or neither; a sink with neither begins anew after a restart, promises nothing, and says
     * so in `help`. Errors go to weir_sink_fail.
     *
     * mark: where the sink stands after all steps that were handed to it. Called between two
     * steps. A format that cannot be continued by offset ends its segment here. */
    weir_status (*mark)(weir_sink *sink, weir_mark *mark);
    /* Make everything up to the last mark durable, and the folders of its files. May run on another
     * thread while `process` runs, but not beside mark, close or another sync. A failed sync is
     * final: the sink must report failure from then on, since a sync that is tried again succeeds
     * with the bytes lost. */
    weir_status (*sync)(weir_sink *sink);
} weir_operator;

#ifdef __cplusplus
}
#endif
#endif
