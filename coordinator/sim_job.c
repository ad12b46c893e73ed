#include "coordinator/sim_job.h"
#include "coordinator/sim_rng.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

uint64_t sim_bytes_hash(const uint8_t *bytes, uint32_t size)
{
    return XXH3_64bits(bytes, size);
}

static uint64_t join(uint64_t a, uint64_t b)
{
    return sim_mix(a * 0x9e3779b97f4a7c15u + b + 1);
}

void sim_job_init(sim_job *job, uint64_t seed, uint32_t groups, uint64_t steps, uint32_t filler_max)
{
    uint32_t at = 0;

    assert(groups >= 1 && groups <= SIM_GROUPS_MAX && steps <= SIM_STEPS_MAX);
    *job = (sim_job){ .seed = seed, .groups = groups, .filler_max = filler_max };
    job->stages[SIM_STAGE_MIX] = (proto_stage){ 0, groups, true, false, false };
    job->stages[SIM_STAGE_MERGE] = (proto_stage){ 0, groups, false, true, false };
    job->stages[SIM_STAGE_SINK] = (proto_stage){ groups, 1, true, true, true };
    job->edges[SIM_EDGE_HALO] = (proto_edge){ PROTO_STATE, SIM_STAGE_MIX, PROTO_HALO };
    job->edges[SIM_EDGE_FORWARD] = (proto_edge){ SIM_STAGE_MIX, SIM_STAGE_MERGE, PROTO_FORWARD };
    job->edges[SIM_EDGE_KEYED] = (proto_edge){ SIM_STAGE_MIX, SIM_STAGE_MERGE, PROTO_ALL };
    job->edges[SIM_EDGE_GATHER] = (proto_edge){ SIM_STAGE_MERGE, SIM_STAGE_SINK, PROTO_ALL };
    for (uint32_t g = 0; g < groups; g++) {
        job->near_first[g] = at;
        if (g > 0)
            job->near[at++] = g - 1;
        if (g + 1 < groups)
            job->near[at++] = g + 1;
    }
    job->near_first[groups] = job->near_first[groups + 1] = at;
    job->plan = (proto_plan){ .step_count = steps, .group_count = groups + 1, .stage_count = 3,
                              .edge_count = 4, .stages = job->stages, .edges = job->edges,
                              .near_first = job->near_first, .near = job->near };
}

void sim_job_make_sparse(sim_job *job)
{
    job->sparse = true;
    job->edges[SIM_EDGE_KEYED].exchange = PROTO_FORWARD;
}

/* A batch of a value: the value, then bytes that follow from it. */
static uint32_t batch_size(const sim_job *job, uint64_t value)
{
    return 16 + (job->filler_max == 0 ? 0 : (uint32_t)(value % (job->filler_max + 1)));
}

static proto_batch *batch_make(const sim_job *job, uint64_t value, uint32_t rows)
{
    proto_batch *b = proto_batch_new(batch_size(job, value), rows);

    memset(b->bytes, (int)(value >> 56), b->size);
    proto_put_u64(b->bytes, value);
    proto_put_u64(b->bytes + 8, rows);
    return b;
}

bool sim_job_intact(const sim_job *job, const proto_batch *state)
{
    uint64_t value = proto_get_u64(state->bytes);

    if (state->size != batch_size(job, value))
        return false;
    for (uint32_t i = 16; i < state->size; i++)
        if (state->bytes[i] != (uint8_t)(value >> 56))
            return false;
    return true;
}

static uint64_t batch_hash(const proto_batch *b)
{
    return sim_bytes_hash(b->bytes, b->size);
}

/* The same from the value alone, for the reference. */
static uint64_t value_hash(const sim_job *job, uint64_t value, uint32_t rows)
{
    uint8_t bytes[4096];
    uint32_t size = batch_size(job, value);

    assert(size <= sizeof bytes);
    memset(bytes, (int)(value >> 56), size);
    proto_put_u64(bytes, value);
    proto_put_u64(bytes + 8, rows);
    return sim_bytes_hash(bytes, size);
}

static uint64_t first_value(const sim_job *job, uint32_t group)
{
    return join(job->seed, group);
}

proto_batch *sim_job_first(const sim_job *job, uint32_t group)
{
    proto_batch *b;

    if (group < job->groups)
        return batch_make(job, first_value(job, group), 1);
    b = proto_batch_new(16, 0); /* a sink: the offset, a running hash */
    memset(b->bytes, 0, 16);
    return b;
}

proto_batch *sim_job_boundary(const proto_batch *state)
{
    proto_batch *b = proto_batch_new(8, state->rows);

    memcpy(b->bytes, state->bytes, 8);
    return b;
}

uint64_t sim_job_value(const proto_batch *state)
{
    return proto_get_u64(state->bytes);
}

/* Inputs of a step meet the key groups by their hash. */
static uint64_t input_value(uint64_t value, uint64_t input_hash, uint32_t group, uint32_t groups)
{
    return input_hash % groups == group ? join(value, input_hash) : value;
}

uint64_t sim_job_begin(const sim_job *job, proto_task *task)
{
    uint64_t note = 0;

    if (task->stage != SIM_STAGE_MIX)
        return 0;
    note = batch_hash(task->state);
    for (uint32_t i = 0; i < task->event_count; i++)
        note = input_value(note,
                           sim_bytes_hash(task->events[i].payload->bytes,
                                          task->events[i].payload->size),
                           task->group, job->groups);
    if (task->in_place) /* what was there is gone from now on */
        memset(task->state->bytes, 0xee, task->state->size);
    return note;
}

static bool keyed_goes(uint64_t value, uint32_t dst)
{
    return join(value, dst) % 3 == 0;
}

static uint32_t keyed_rows(uint64_t value, uint32_t dst)
{
    return 1 + (uint32_t)(join(value, dst) >> 32) % 5;
}

static void end_mix(const sim_job *job, proto_task *task, uint64_t value)
{
    for (uint32_t i = 0; i < task->input_count; i++)
        value = join(join(value, task->inputs[i].src),
                     proto_get_u64(task->inputs[i].batch->bytes));
    proto_task_put(task, SIM_EDGE_FORWARD, task->group, batch_make(job, value, 1));
    for (uint32_t dst = 0; dst < job->groups && !job->sparse; dst++)
        if (keyed_goes(value, dst))
            proto_task_put(task, SIM_EDGE_KEYED, dst,
                           batch_make(job, join(value, dst), keyed_rows(value, dst)));
}

static void end_merge(const sim_job *job, proto_task *task)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < task->input_count; i++)
        value = join(join(value, task->inputs[i].src), batch_hash(task->inputs[i].batch));
    task->made = batch_make(job, value, 1);
    proto_task_put(task, SIM_EDGE_GATHER, job->groups, batch_make(job, join(value, 7), 1));
}

static void end_sink(proto_task *task)
{
    proto_batch *file = proto_batch_new(16 * task->input_count, task->input_count);
    uint64_t offset = proto_get_u64(task->state->bytes);

    for (uint32_t i = 0; i < task->input_count; i++) {
        proto_put_u64(file->bytes + 16 * i, task->step << 8 | task->inputs[i].src);
        proto_put_u64(file->bytes + 16 * i + 8, proto_get_u64(task->inputs[i].batch->bytes));
    }
    task->made = proto_batch_new(16, 0);
    proto_put_u64(task->made->bytes, offset + file->size);
    proto_put_u64(task->made->bytes + 8,
                  join(proto_get_u64(task->state->bytes + 8), batch_hash(file)));
    task->file = file;
}

void sim_job_end(const sim_job *job, proto_task *task, uint64_t note)
{
    if (task->stage == SIM_STAGE_MIX)
        end_mix(job, task, note);
    else if (task->stage == SIM_STAGE_MERGE)
        end_merge(job, task);
    else
        end_sink(task);
}

/* ---- the reference ---- */

static void reference_step(const sim_job *job, uint64_t step, const uint64_t *now, uint64_t *next,
                           const sim_input *inputs, uint32_t input_count, uint8_t *file)
{
    uint64_t mixed[SIM_GROUPS_MAX];

    for (uint32_t g = 0; g < job->groups; g++) {
        mixed[g] = value_hash(job, now[g], 1);
        for (uint32_t i = 0; i < input_count; i++)
            if (inputs[i].step == step)
                mixed[g] = input_value(mixed[g], inputs[i].hash, g, job->groups);
        if (g > 0)
            mixed[g] = join(join(mixed[g], g - 1), now[g - 1]);
        if (g + 1 < job->groups)
            mixed[g] = join(join(mixed[g], g + 1), now[g + 1]);
    }
    for (uint32_t g = 0; g < job->groups; g++) {
        next[g] = join(join(0, g), value_hash(job, mixed[g], 1));
        for (uint32_t src = 0; src < job->groups && !job->sparse; src++)
            if (keyed_goes(mixed[src], g))
                next[g] = join(join(next[g], src),
                               value_hash(job, join(mixed[src], g), keyed_rows(mixed[src], g)));
        proto_put_u64(file + 16 * g, step << 8 | g);
        proto_put_u64(file + 16 * g + 8, join(next[g], 7));
    }
}

void sim_reference(const sim_job *job, const sim_input *inputs, uint32_t input_count,
                   uint64_t *values, uint8_t *file)
{
    for (uint32_t g = 0; g < job->groups; g++)
        values[g] = first_value(job, g);
    for (uint64_t s = 0; s < job->plan.step_count; s++)
        reference_step(job, s, values + s * job->groups, values + (s + 1) * job->groups, inputs,
                       input_count, file + s * 16 * job->groups);
}
