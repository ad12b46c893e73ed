/* An independent meaning of a job of the kinds of tests/support/kinds.h: plain arrays of rows, one step
 * after the other, one operator after the other, every neighbour by trying all pairs. No batches, no
 * threads, no tasks. Of the plan it uses only what is a contract: the numbers of cells and tiles of a
 * space and the kinds of partitions. */
#ifndef SUPPORT_REFERENCE_H
#define SUPPORT_REFERENCE_H

#include "tests/support/kinds.h"
#include "dataflow/df_plan.h"

enum { MODEL_STATES_MAX = 4, MODEL_OPS_MAX = 24, MODEL_UNION_MAX = 3 };

/* A stream: state `index`, or output `out` of operator `index`. */
typedef struct model_stream {
    bool state;
    uint8_t index, out;
} model_stream;

typedef struct model_list {
    uint8_t count;
    model_stream streams[MODEL_UNION_MAX];
} model_list;

typedef struct model_state {
    bool spatial, anywhere;
    uint64_t settle_every; /* 0: 1 */
    double skin;
    model_stream first;
    model_list next;
} model_state;

typedef struct model_op {
    kind_id kind;
    uint32_t p[4];
    model_list in[2];
    uint64_t every_steps; /* 0: 1 */
    bool at_end;
    kind_log *log;        /* KIND_RECORD */
} model_op;

typedef struct model {
    uint32_t axis_count;
    double size[WEIR_AXES_MAX]; /* in whole units */
    bool periodic[WEIR_AXES_MAX];
    uint32_t key_groups, window;
    uint64_t steps;
    uint32_t state_count, op_count;
    model_state states[MODEL_STATES_MAX];
    model_op ops[MODEL_OPS_MAX]; /* producers before readers */
} model;

/* Add to a model; returns the stream (of output 0). */
model_stream model_add_state(model *m, bool spatial, bool anywhere);
model_stream model_add_op(model *m, kind_id kind, model_stream in, const uint32_t p[4]);

/* The plan of a model. backwards: the operators stand in the job file in the opposite order. Prints and
 * aborts if it is wrong. */
df_plan *model_plan(const model *m, bool backwards);

typedef struct ref_row {
    uint32_t key_group, cell; /* cell of its tile: where it settled */
    double settled[WEIR_AXES_MAX];
    kind_row row;
} ref_row;

typedef struct ref_rows {
    uint32_t count, max;
    ref_row *rows; /* by key group; a state's in canonical order */
} ref_rows;

typedef struct reference {
    const model *model;
    const df_plan *plan;
    /* [steps + 1]: what enters each step */
    ref_rows *states[MODEL_STATES_MAX];
    kind_log logs[MODEL_OPS_MAX]; /* of KIND_RECORD operators, in the engine's order */
} reference;

/* Run the model; aborts when there is no memory. */
void reference_run(reference *ref, const model *m, const df_plan *plan);
void reference_fini(reference *ref);

#endif
