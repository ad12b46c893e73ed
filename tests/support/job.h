/* Jobs made by hand for tests: a draft, filled without a job file. Every function aborts when there is
 * no memory; a test wants no other answer. */
#ifndef SUPPORT_JOB_H
#define SUPPORT_JOB_H

#include "dataflow/df_graph.h"

/* A job of `steps` steps with no parts. */
df_draft *job_new(const char *name, uint64_t steps);
/* A space of `axes` ("xy") with one size for all. */
void job_space(df_draft *draft, const char *name, const char *axes, double size, bool periodic);
/* columns: "x:f32 y:f32 school:u32"; next: "fly" or "stay born". space: null for none. */
df_draft_state *job_state(df_draft *draft, const char *name, const char *space, const char *columns,
                          const char *first, const char *next);
/* inputs: "in=birds" or "agents=boys places=mix", null for none. The options struct is copied. */
df_draft_operator *job_operator(df_draft *draft, const char *name, const weir_operator *kind,
                                const void *options, const char *inputs);

/* The plan of a draft that must be right; prints the report and aborts otherwise. */
df_plan *job_plan(df_draft **draft);
/* The errors of a draft that must be wrong, one per line, in the order found; aborts if it has none. Valid
 * until the next call. */
const char *job_errors(df_draft **draft);
/* Run a plan to its end on some threads; returns the fingerprint of the last step. Prints and aborts
 * on failure. */
df_hash job_run(const df_plan *plan, uint32_t threads, uint64_t shuffle_seed);

#endif
