/* What the tests of errors and of endings share: a crowd in a space of tiles that is recorded, and a
 * kind that spoils rows. Include it in one .c of a test program. */
#ifndef CROWD_H
#define CROWD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataflow/df_graph.h"
#include "tests/support/job.h"
#include "tests/support/reference.h"

typedef enum spoil_mode {
    SPOIL_NAN_X,
    SPOIL_INFINITE_Y,
    SPOIL_NAN_REAL, /* the column c, f64 */
    SPOIL_BELOW,    /* x under 0 */
    SPOIL_ABOVE,    /* y above the size */
    SPOIL_FAR,      /* x to the other end */
    SPOIL_NOTHING,
} spoil_mode;

/* From a step on, spoil the rows whose key is `rest` modulo `modulus`. */
typedef struct spoil {
    uint32_t mode, step, modulus, rest;
    int x, y, c;
} spoil;

static weir_status spoil_plan(weir_plan *plan, void *options)
{
    spoil *o = options;

    weir_plan_pass(plan, 0, 0);
    o->x = weir_plan_add(plan, 0, "x", WEIR_F32);
    o->y = weir_plan_add(plan, 0, "y", WEIR_F32);
    o->c = weir_plan_add(plan, 0, "c", WEIR_F64);
    return WEIR_OK;
}

static void spoil_row(const spoil *o, weir_batch *out, uint32_t i)
{
    float *x = (float *)out->columns[o->x] + i, *y = (float *)out->columns[o->y] + i;

    if (o->mode == SPOIL_NAN_X)
        *x = NAN;
    else if (o->mode == SPOIL_INFINITE_Y)
        *y = -INFINITY;
    else if (o->mode == SPOIL_NAN_REAL)
        ((double *)out->columns[o->c])[i] = NAN;
    else if (o->mode == SPOIL_BELOW)
        *x = -0.25f;
    else if (o->mode == SPOIL_ABOVE)
        *y = 12.5f;
    else if (o->mode == SPOIL_FAR)
        *x = *x < 6 ? *x + 6 : *x - 6;
}

static weir_status spoil_process(weir_task *task)
{
    const spoil *o = task->options;
    const weir_batch *in = task->inputs[0].batches[0];
    weir_batch *out = weir_output_like(task, 0, 0);

    if (out == NULL)
        return WEIR_FAILED;
    memcpy(out->columns[o->x], in->columns[o->x], out->row_count * sizeof(float));
    memcpy(out->columns[o->y], in->columns[o->y], out->row_count * sizeof(float));
    memcpy(out->columns[o->c], in->columns[o->c], out->row_count * sizeof(double));
    for (uint32_t i = 0; i < out->row_count; i++)
        if (task->step >= o->step && out->keys[i] % o->modulus == o->rest)
            spoil_row(o, out, i);
    return WEIR_OK;
}

static const weir_option no_options[] = { { 0 } };

static const weir_operator spoil_kind = {
    .api_version = WEIR_API_VERSION, .name = "spoil", .help = "", .role = WEIR_PHASE,
    .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" }, .options = no_options,
    .options_size = sizeof(spoil), .plan = spoil_plan, .process = spoil_process,
};

enum { STEPS = 9, THREADS = 4, SEEDS = 5 };

static kind_log logs[3];

static __attribute__((unused)) void clear_logs(void)
{
    kind_log_fini(&logs[0]);
    kind_log_fini(&logs[1]);
    kind_log_fini(&logs[2]);
}

static __attribute__((unused)) df_graph *start(const df_plan *plan, uint32_t threads, uint64_t seed)
{
    df_graph_options options = { .threads = threads, .shuffle_seed = seed, .directory = "." };
    df_graph *graph;
    df_error err = { 0 };

    if (df_graph_new(&graph, plan, &options, &err) != DF_OK)
        fail_msg("%s", err.text);
    return graph;
}

#define COLUMNS "x:f32 y:f32 a:i32 g:u32 tag:u32 h:u32 c:f64"

/* Sixty rows in a space of 12 by 12 that is cut into 4 by 4 tiles or so; they are recorded. */
static __attribute__((unused)) df_draft *crowd(const char *next)
{
    kind_options make = { .p = { 60, KIND_PLACE, 1, 3 } }, record = { .log = &logs[0] };
    df_draft *draft = job_new("crowd", STEPS);

    draft->key_groups = 16;
    job_space(draft, "box", "xy", 12, false);
    job_state(draft, "crowd", "box", COLUMNS, "make", next);
    job_operator(draft, "make", kind_list[KIND_MAKE], &make, NULL);
    job_operator(draft, "log", kind_list[KIND_RECORD], &record, "in=crowd");
    return draft;
}

static __attribute__((unused)) void add_spoil(df_draft *draft, const char *name, const char *in, spoil o)
{
    char inputs[64];

    sprintf(inputs, "in=%s", in);
    job_operator(draft, name, &spoil_kind, &o, inputs);
}

/* see -> fail -> drift on a spatial state, and what fail reads is recorded. */
static __attribute__((unused)) void failing_model(model *m, uint32_t step, uint32_t modulus)
{
    model_stream state, at;

    *m = (model){ .axis_count = 2, .size = { 9, 9 }, .periodic = { true, false }, .key_groups = 20,
                  .window = 5, .steps = STEPS };
    state = model_add_state(m, true, false);
    m->states[0].first = model_add_op(m, KIND_MAKE, state, (uint32_t[4]){ 90, KIND_PLACE, 1, 0 });
    at = model_add_op(m, KIND_SEE, state, (uint32_t[4]){ 20 });
    model_add_op(m, KIND_RECORD, at, (uint32_t[4]){ 0 });
    m->ops[m->op_count - 1].log = &logs[0];
    at = model_add_op(m, KIND_FAIL, at, (uint32_t[4]){ step, modulus });
    at = model_add_op(m, KIND_DRIFT, at, (uint32_t[4]){ 20, 17, 9, 1 });
    m->states[0].next = (model_list){ .count = 1, .streams = { at } };
}

#endif
