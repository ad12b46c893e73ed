/* What the files that build a plan share: df_plan.c (the checklist), df_plan_kind.c (what a kind
 * calls from its plan function), df_plan_stage.c (partitions, stages, edges). Private. */
#ifndef DF_PLAN_BUILD_H
#define DF_PLAN_BUILD_H

#include "dataflow/df_plan.h"

typedef struct plan_build {
    df_plan *plan;
    df_draft *draft;
    df_arena *arena;
    df_report *report;
    const df_stream **by_name; /* the streams */
    uint32_t birth_operators;
    bool no_memory;
} plan_build;

/* The handle that a kind holds while its plan function runs. */
struct weir_plan {
    plan_build *build;
    uint32_t vertex;
    const df_draft_operator *draft;
    bool failed;
};

/* Zeroed memory of the plan; notes it when there is none. */
void *plan_alloc(plan_build *build, size_t size);
/* The draft of an operator's vertex. */
const df_draft_operator *plan_draft_of(const plan_build *build, uint32_t vertex);
/* The state that a source's stream is `first` of, or null. */
const df_state *plan_target(const df_plan *plan, uint32_t vertex);

/* Call the kind's plan function and check what it declared. */
void plan_call_kind(plan_build *build, uint32_t vertex);

/* What a state needs of time: `first` from sources, `next` at every step. */
void plan_check_time(plan_build *build);

/* Find for each stream the column that holds the number of its rows' runs. The states are spread. */
void plan_find_run_columns(df_plan *plan);
/* Where a vertex groups by such a column, *part becomes how its groups are spread: with their rows. */
void plan_group_at_home(const df_plan *plan, const df_vertex *vertex, df_partition *part);
/* Whether what a spread vertex reads at a port comes from its own key group only. A commit's ports are
 * another matter. */
bool plan_stays_home(const df_plan *plan, const df_vertex *vertex, const df_port *port);
bool plan_same_partition(const df_partition *a, const df_partition *b);
/* What a state needs that does not settle at every step; fills what its snapshots hold. */
void plan_check_settling(plan_build *build);

/* Cut the spaces, spread every stream over key groups, and join vertices to stages. False: an error
 * was reported. */
bool plan_lay_out(plan_build *build);

/* The XXH3-128 of everything in the plan that decides its results. */
void plan_hash(df_plan *plan);

#endif
