/* What the protocols know of a job's plan.
 *
 * Their step is the engine's tick: tick 0 fills the states, tick t is the job's step t - 1, and the
 * last is steps + 1. Key groups are the plan's units (df_part.h), and behind them each sink has one of
 * its own. Behind the plan's edges stand those on which fingerprints travel. */
#ifndef COORD_PLAN_H
#define COORD_PLAN_H

#include "coordinator/proto_plan.h"
#include "dataflow/df_plan.h"

/* On success *out is owned by the caller. DF_ELIMIT: the job is too large for the protocols. */
df_status coord_plan_make(proto_plan **out, const df_plan *plan, df_error *err) DF_MUST_CHECK;
void coord_plan_free(proto_plan **plan);

#endif
