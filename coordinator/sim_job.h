/* The simulator's model dataflow: a row of key groups with a state each. Values are hashes of all
 * inputs, so whatever is lost, repeated, torn or out of order changes them.
 *
 *   state -halo-> mix (takes the state) -forward, key_by-> merge (makes the state) -gather-> sink
 *
 * sim_reference is an interpreter of its own that shares only the hash with the tasks. */
#ifndef SIM_JOB_H
#define SIM_JOB_H

#include "coordinator/proto_worker.h"

#define SIM_GROUPS_MAX 1200u /* key groups, without the sink's */
#define SIM_STEPS_MAX  512u

typedef struct sim_job {
    uint64_t seed;
    uint32_t groups;     /* the sink's key group comes behind them */
    uint32_t filler_max; /* bytes behind a batch's value */
    bool sparse;         /* no rows go from any key group to any other: merge has a second forward input instead */
    proto_stage stages[3];
    proto_edge edges[4];
    uint32_t near_first[SIM_GROUPS_MAX + 2], near[2 * SIM_GROUPS_MAX];
    proto_plan plan;
} sim_job;

enum { SIM_EDGE_HALO, SIM_EDGE_FORWARD, SIM_EDGE_KEYED, SIM_EDGE_GATHER };
enum { SIM_STAGE_MIX, SIM_STAGE_MERGE, SIM_STAGE_SINK };

/* The job is a value: `job` must not move afterwards, its plan points into it. */
void sim_job_init(sim_job *job, uint64_t seed, uint32_t groups, uint64_t steps, uint32_t filler_max);
/* Before it runs: as many workers as key groups do not all speak to all. */
void sim_job_make_sparse(sim_job *job);

/* The state that enters step 0. One new reference. */
proto_batch *sim_job_first(const sim_job *job, uint32_t group);
/* What of a state a neighbour needs. One new reference. */
proto_batch *sim_job_boundary(const proto_batch *state);
/* The first half of a task: note what it may overwrite and what may move; returns its note. */
uint64_t sim_job_begin(const sim_job *job, proto_task *task);
/* The second half: read the inputs, fill the outputs. */
void sim_job_end(const sim_job *job, proto_task *task, uint64_t note);
/* The value of a state; for a sink's, the hash of what it wrote. */
uint64_t sim_job_value(const proto_batch *state);
/* Whether a state's bytes are those that its value makes. */
bool sim_job_intact(const sim_job *job, const proto_batch *state);

typedef struct sim_input {
    uint64_t step;
    uint64_t hash; /* of its bytes */
} sim_input;

uint64_t sim_bytes_hash(const uint8_t *bytes, uint32_t size);

/* Run all steps straight. values[(s * groups) + g]: what enters step s, s <= steps. The file has
 * groups * 16 bytes a step. Inputs in history order. */
void sim_reference(const sim_job *job, const sim_input *inputs, uint32_t input_count,
                   uint64_t *values, uint8_t *file);

#endif
