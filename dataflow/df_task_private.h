/* One call of a kind, shared by who makes it (df_task.c, df_edge.c), what it is given (df_input.c, df_facts.c,
 * df_settle.c) and what it asks for (df_call.c). */
#ifndef DF_TASK_PRIVATE_H
#define DF_TASK_PRIVATE_H

#include "dataflow/df_graph_private.h"

/* A weir_task with what the engine needs behind it. */
typedef struct task_frame {
    weir_task task; /* first: a kind sees only this */
    graph_thread *thread;
    df_memory memory;
    uint32_t vertex, slot;
    bool combining;
    bool failed;
    bool again;  /* ... for a reason that may pass, which is `status` and `text` */
    uint32_t kept_ports; /* bits: what is kept for them is this task's until it ends */
    df_batch *outputs[WEIR_PORTS_MAX];
    weir_input inputs[WEIR_PORTS_MAX];
    df_batch *unions[WEIR_PORTS_MAX]; /* made for this call */
    weir_batch carried, carry;
    df_status status;
    char text[320];
} task_frame;

/* ---- df_input.c ---- */
/* Fill the inputs of every port. False: an error was noted. */
bool task_read_inputs(task_frame *f);

/* ---- df_call.c ---- */
void task_start(task_frame *f, graph_thread *t, uint32_t vertex, uint32_t key_group, uint32_t slot);
void task_fail_memory(task_frame *f);
/* Note a failure whose reason did not pass in `tries` calls. */
void task_fail_finally(task_frame *f, uint32_t tries);
/* Make sure that every declared output is there, an empty one where the kind made none. */
bool task_complete_outputs(task_frame *f, uint32_t count);
void task_drop_outputs(task_frame *f);
/* df_settle.c: the task no longer looks at what its vertex keeps. Of a call that failed nothing is kept: it
 * may have ended before the memory was filled. */
void graph_kept_release(task_frame *f, bool ok);

#endif
