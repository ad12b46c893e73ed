/* The protocols' view of a plan. The protocol's step is the engine's tick: tick 0 fills the states from
 * their sources, tick t is step t - 1, and ticks 0 to steps + 1 run. */
#ifndef COORD_PLAN_H
#define COORD_PLAN_H

#include "coordinator/proto_plan.h"
#include "dataflow/df_plan.h"

/* Key groups are the job's, and behind them one for each sink. On success *out is owned by the caller;
 * it does not refer to the plan. */
df_status coord_plan_make(proto_plan **out, const df_plan *plan, df_error *err) DF_MUST_CHECK;
void coord_plan_free(proto_plan **plan);

#endif
