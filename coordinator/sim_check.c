/* The checkers: what must hold at every moment, and at the end against the reference. */
#include "coordinator/sim_world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_STAGES 3u
#define CHECK_EDGES  4u

/* The first violation is kept. */
void sim_violate(sim_world *w, const char *format, ...)
{
    va_list args;

    if (w->result->violated)
        return;
    w->result->violated = true;
    va_start(args, format);
    vsnprintf(w->result->text, sizeof w->result->text, format, args);
    va_end(args);
}

void sim_check_init(sim_world *w)
{
    uint64_t steps = w->job.plan.step_count + 1;
    uint32_t groups = w->job.groups + 1;

    w->seen[w->line_count++] = proto_zero(steps * groups, sizeof *w->seen[0]);
    w->ran = proto_zero(SIM_GENERATIONS_MAX * steps * CHECK_STAGES * groups, 1);
    w->rows_out = proto_zero(SIM_GENERATIONS_MAX * steps * CHECK_EDGES, sizeof *w->rows_out);
    w->rows_in = proto_zero(SIM_GENERATIONS_MAX * steps * CHECK_EDGES, sizeof *w->rows_in);
}

void sim_check_fini(sim_world *w)
{
    for (uint32_t i = 0; i < w->line_count; i++)
        free(w->seen[i]);
    free(w->ran);
    free(w->rows_out);
    free(w->rows_in);
}

/* ---- lines ---- */

uint64_t *sim_check_line(sim_world *w, uint64_t generation)
{
    return w->seen[generation < SIM_GENERATIONS_MAX ? w->line_of[generation] : 0];
}

/* A line of its own begins with what the last one had up to a step. */
static void line_begin(sim_world *w, const proto_record *generation, uint64_t step)
{
    uint64_t steps = w->job.plan.step_count + 1;
    uint32_t groups = w->job.groups + 1, line = w->line_count;
    const uint64_t *old = w->seen[w->line_of[generation->number]];

    if (line == SIM_LINES_MAX) {
        sim_violate(w, "too many returns");
        return;
    }
    w->seen[w->line_count++] = proto_zero(steps * groups, sizeof *w->seen[0]);
    for (uint64_t i = 0; i < (step + 1) * w->job.groups; i++)
        w->seen[line][i] = old[i];
    w->line_of[generation->number] = line;
    w->cut_generation = generation->number;
    w->cut_size = step * 16 * w->job.groups;
}

/* Rule 16: it begins from what was returned to last, or from what was committed after that; and that is the store's head, so
 * that a coordinator that starts finds it. */
void sim_check_generation(sim_world *w, const proto_record *record)
{
    const proto_record *restore = NULL;
    uint64_t orders = 0, newest = 0, generation = 0, dropped = UINT64_MAX; /* dropped: from this step on */

    for (uint32_t i = 0; i + 1 < w->log_count; i++) {
        const proto_record *r = &w->log[i];

        orders += r->kind == PROTO_RECORD_ORDER ? 1 : r->kind == PROTO_RECORD_SKIP ? r->number : 0;
        if (r->kind == PROTO_RECORD_RESTORE) {
            restore = r;
            newest = orders;
            if (r->number == 0 && r->step < dropped)
                dropped = r->step;
        } else if (r->kind == PROTO_RECORD_GENERATION) {
            generation = r->number;
            dropped = UINT64_MAX;
        }
    }
    if (record->number >= SIM_GENERATIONS_MAX)
        return;
    w->line_of[record->number] = w->line_of[generation];
    if (restore != NULL && record->snapshot != restore->snapshot && record->snapshot <= newest)
        sim_violate(w, "generation %" PRIu64 " begins from snapshot %" PRIu64 ", which the return to %"
                    PRIu64 " has dropped", record->number, record->snapshot, restore->snapshot);
    else if (record->snapshot != w->head.attempt)
        sim_violate(w, "generation %" PRIu64 " begins from snapshot %" PRIu64 ", the store's head is %" PRIu64,
                    record->number, record->snapshot, w->head.attempt);
    else if (dropped != UINT64_MAX)
        line_begin(w, record, dropped);
}

/* ---- tasks ---- */

static void check_rows(sim_world *w, const proto_task *t)
{
    uint64_t at = (t->generation * (w->job.plan.step_count + 1) + t->step) * CHECK_EDGES;

    for (uint32_t i = 0; i < t->output_count; i++)
        w->rows_out[at + t->outputs[i].edge] += t->outputs[i].batch->rows;
    for (uint32_t i = 0; i < t->input_count; i++)
        if (t->inputs[i].edge != SIM_EDGE_HALO)
            w->rows_in[at + t->inputs[i].edge] += t->inputs[i].batch->rows;
}

/* A task has made its outputs: it ran once in its generation, and its values are those that every
 * generation has made. */
void sim_check_task(sim_world *w, const sim_process *p, const proto_task *t)
{
    uint64_t steps = w->job.plan.step_count + 1;
    uint32_t groups = w->job.groups + 1;
    uint64_t *seen = &sim_check_line(w, t->generation)[(t->step + 1) * w->job.groups + t->group];
    uint8_t *ran;

    if (t->generation >= SIM_GENERATIONS_MAX) {
        sim_violate(w, "generation %" PRIu64 ": too many", t->generation);
        return;
    }
    ran = &w->ran[((t->generation * steps + t->step) * CHECK_STAGES + t->stage) * groups + t->group];
    if (*ran != 0)
        sim_violate(w, "generation %" PRIu64 ": stage %u of key group %u ran twice at step %" PRIu64,
                    t->generation, t->stage, t->group, t->step);
    *ran = 1;
    if (sim_owner(w, t->generation, t->group, t->step) != p->id)
        sim_violate(w, "generation %" PRIu64 ": worker %" PRIu64 " ran key group %u at step %" PRIu64
                    ", which is not its", t->generation, p->id, t->group, t->step);
    check_rows(w, t);
    if (t->stage != SIM_STAGE_MERGE)
        return;
    if (*seen == 0)
        *seen = sim_job_value(t->made);
    else if (*seen != sim_job_value(t->made))
        sim_violate(w, "generation %" PRIu64 ": key group %u has another value after step %" PRIu64,
                    t->generation, t->group, t->step);
}

static bool owns_any(const sim_world *w, uint64_t id, uint64_t generation, uint64_t step)
{
    for (uint32_t g = 0; g <= w->job.groups; g++)
        if (sim_owner(w, generation, g, step) == id)
            return true;
    return false;
}

/* The bound never falls within a generation, and nobody but the coordinator raises it: else an order would meet a step that
 * somebody has begun. Who owns nothing there may be granted what it likes. */
static void check_bound(sim_world *w, const sim_process *p, uint64_t generation, uint64_t bound)
{
    if (p->running == generation && p->bound > bound && owns_any(w, p->id, generation, bound))
        sim_violate(w, "generation %" PRIu64 ": worker %" PRIu64 " may start the steps below %" PRIu64
                    ", the coordinator's bound is %" PRIu64, generation, p->id, p->bound, bound);
}

/* A coordinator's bound against its workers'. */
void sim_check_bounds(sim_world *w, const proto_coord_stats *s)
{
    for (uint32_t i = 0; i < w->config.workers && s->running; i++)
        if (w->worker_of[i] != PROTO_NONE)
            check_bound(w, &w->processes[w->worker_of[i]], s->generation, s->bound);
}

static void check_raised(sim_world *w, const sim_process *p)
{
    proto_coord_stats s;

    if (w->coord_now == PROTO_NONE)
        return;
    proto_coord_stats_get(w->processes[w->coord_now].coord, &s);
    if (s.running)
        check_bound(w, p, s.generation, s.bound);
}

/* What waits above the low-water mark was all sent under credit, since the mark only rises. */
void sim_check_worker(sim_world *w, sim_process *p)
{
    uint64_t bound = p->bound;
    proto_worker_stats s;

    proto_worker_stats_get(p->worker, &s);
    p->running = s.running ? s.generation : 0;
    p->bound = s.bound;
    if (p->running != 0 && p->bound > bound)
        check_raised(w, p);
    if (s.above_mark > p->credit_size)
        sim_violate(w, "worker %" PRIu64 " holds %" PRIu64 " bytes above its mark, credit is %" PRIu64,
                    p->id, s.above_mark, p->credit_size);
}

/* ---- at the end ---- */

static uint32_t end_inputs(sim_world *w, sim_input *inputs)
{
    uint32_t count = 0, left;

    for (uint32_t i = 0; i < w->log_synced; i++) {
        const proto_order_record *o = &w->log[i].order;

        left = 0;
        for (uint32_t k = 0; w->log[i].kind == PROTO_RECORD_RESTORE && k < count; k++)
            if (w->log[i].number != 0 || inputs[k].step < w->log[i].step)
                inputs[left++] = inputs[k];
        if (w->log[i].kind == PROTO_RECORD_RESTORE)
            count = left;

        if (w->log[i].kind == PROTO_RECORD_ORDER && o->kind == PROTO_ORDER_INPUT)
            inputs[count++] =
                (sim_input){ o->step, sim_bytes_hash(o->payload.data, o->payload.size) };
    }
    return count;
}

static void end_acked(sim_world *w)
{
    for (uint32_t a = 0; a < w->acked_count; a++) {
        const sim_acked *ack = &w->acked[a];
        uint32_t found = 0;

        for (uint32_t i = 0; i < w->log_synced; i++) {
            const proto_order_record *o = &w->log[i].order;

            if (w->log[i].kind == PROTO_RECORD_ORDER && o->kind == PROTO_ORDER_INPUT &&
                o->first == ack->client && o->second == ack->number &&
                sim_bytes_hash(o->payload.data, o->payload.size) == ack->hash)
                found += o->index == ack->index ? 1 : 2;
        }
        if (found != 1)
            sim_violate(w, "input %" PRIu64 " of client %" PRIu64 " was acknowledged and is %s",
                        ack->number, ack->client, found == 0 ? "lost" : "there twice");
    }
}

static void end_rows(sim_world *w, uint64_t steps)
{
    uint64_t last = w->result->generations;

    for (uint64_t s = 0; s < steps && last < SIM_GENERATIONS_MAX; s++)
        for (uint32_t e = 0; e < CHECK_EDGES; e++) {
            uint64_t at = (last * (w->job.plan.step_count + 1) + s) * CHECK_EDGES + e;

            if (w->rows_out[at] != w->rows_in[at])
                sim_violate(w, "edge %u lost or gained rows at step %" PRIu64 ": %u in, %u out", e, s,
                            w->rows_out[at], w->rows_in[at]);
        }
}

static void end_compare(sim_world *w, uint64_t steps, const uint64_t *values, const uint8_t *file)
{
    uint64_t size = steps * 16 * w->job.groups;

    for (uint64_t s = 1; s <= steps; s++)
        for (uint32_t g = 0; g < w->job.groups; g++)
            if (sim_check_line(w, w->result->generations)[s * w->job.groups + g] !=
                values[s * w->job.groups + g])
                sim_violate(w, "key group %u at step %" PRIu64 " differs from the reference", g, s);
    if (w->file_size < size || memcmp(w->file, file, size) != 0)
        sim_violate(w, "the sink's file differs from the reference");
    if (w->file_size > size)
        sim_violate(w, "the sink's file goes on behind the last step");
}

void sim_check_end(sim_world *w)
{
    uint64_t steps = w->job.plan.step_count;
    sim_input *inputs = proto_zero(w->log_count, sizeof *inputs);
    uint64_t *values = proto_zero((steps + 1) * w->job.groups, sizeof *values);
    uint8_t *file = proto_zero(steps * 16 * w->job.groups, 1);
    uint64_t end = PROTO_END_NOT;

    for (uint32_t i = 0; i < w->log_synced; i++)
        if (w->log[i].kind == PROTO_RECORD_END)
            end = w->log[i].number;
    if (end == PROTO_END_DONE && w->head.step != steps)
        sim_violate(w, "the job is done, but the last commit is of step %" PRIu64, w->head.step);
    if (end != PROTO_END_DONE && end != PROTO_END_DRAINED)
        sim_violate(w, "the job ended as %" PRIu64, end);
    sim_reference(&w->job, inputs, end_inputs(w, inputs), values, file);
    end_compare(w, w->head.step, values, file);
    end_rows(w, w->head.step);
    end_acked(w);
    free(inputs);
    free(values);
    free(file);
}
