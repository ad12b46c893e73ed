/* Tasks: when the last input of (stage, key group, step) has arrived, it runs.
 *
 * Why no result depends on the order of arrival:
 * 1. inputs are counted by (edge, step, source key group), a constant of the job, never by worker;
 * 2. a task sees them sorted by (edge, source key group);
 * 3. counters exist for every key group, owned or not, so what arrives before its owner change is
 *    known here simply waits;
 * 4. a step's slot is used again only when all own tasks of the step are done, and nothing is sent
 *    beyond lowest unfinished step + window, so two steps never share a slot. */
#include "coordinator/proto_worker_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint16_t flow_count_need(const proto_plan *plan, uint32_t stage, uint32_t group)
{
    uint32_t need = 1;

    for (uint32_t e = 0; e < plan->edge_count; e++) {
        if (plan->edges[e].to != stage)
            continue;
        need += plan->edges[e].exchange == PROTO_HALO
                    ? plan->near_first[group + 1] - plan->near_first[group]
                    : 1;
    }
    return (uint16_t)need;
}

static void flow_init(proto_worker *w)
{
    const proto_plan *p = w->plan;
    flow *f = &w->flow;

    *f = (flow){ .ring = w->window + 1, .final_step = p->step_count };
    f->slots = proto_zero(f->ring, sizeof *f->slots);
    f->groups = proto_zero(p->group_count, sizeof *f->groups);
    f->need = proto_zero((size_t)p->stage_count * p->group_count, sizeof *f->need);
    f->stages_of = proto_zero(p->group_count, sizeof *f->stages_of);
    f->sink_open = proto_zero(p->group_count, 1);
    f->low = w->install_step;
    for (uint32_t i = 0; i < f->ring; i++) {
        flow_slot *s = f->slots + i;

        s->have = proto_zero((size_t)p->stage_count * p->group_count, sizeof *s->have);
        s->arrived = proto_zero((size_t)p->edge_count * p->group_count, 1);
        s->all_count = proto_zero(p->edge_count, sizeof *s->all_count);
        s->inputs = proto_zero((size_t)p->edge_count * p->group_count, sizeof *s->inputs);
        s->left = proto_zero(p->stage_count, sizeof *s->left);
    }
    for (uint32_t stage = 0; stage < p->stage_count; stage++)
        for (uint32_t g = 0; g < p->group_count; g++)
            if (proto_stage_has(&p->stages[stage], g)) {
                f->need[stage * p->group_count + g] = flow_count_need(p, stage, g);
                f->stages_of[g]++;
            }
}

static void flow_slot_clear(proto_worker *w, flow_slot *s)
{
    const proto_plan *p = w->plan;
    size_t cells = (size_t)p->edge_count * p->group_count;

    for (size_t i = 0; i < cells; i++)
        for (flow_input *in; (in = s->inputs[i]) != NULL;) {
            s->inputs[i] = in->next;
            flow_consumed(w, &in->input);
            proto_batch_drop(&in->input.batch);
            in->next = w->flow.spare;
            w->flow.spare = in;
        }
    memset(s->have, 0, (size_t)p->stage_count * p->group_count * sizeof *s->have);
    memset(s->arrived, 0, cells);
    memset(s->all_count, 0, p->edge_count * sizeof *s->all_count);
}

static void flow_fini(proto_worker *w)
{
    flow *f = &w->flow;

    for (uint32_t i = 0; f->slots != NULL && i < f->ring; i++) {
        flow_slot *s = f->slots + i;

        flow_slot_clear(w, s);
        free(s->have);
        free(s->arrived);
        free(s->all_count);
        free(s->inputs);
        free(s->left);
    }
    for (uint32_t g = 0; f->groups != NULL && g < w->plan->group_count; g++) {
        proto_batch_drop(&f->groups[g].state);
        proto_batch_drop(&f->groups[g].next);
        proto_batch_drop(&f->groups[g].arriving);
    }
    for (flow_input *in; (in = f->spare) != NULL;) {
        f->spare = in->next;
        free(in);
    }
    free(f->slots);
    free(f->groups);
    free(f->need);
    free(f->stages_of);
    free(f->sink_open);
    *f = (flow){ 0 };
}

flow_slot *flow_slot_of(proto_worker *w, uint64_t step)
{
    return w->flow.slots + step % w->flow.ring;
}

static bool flow_owns(const proto_worker *w, uint32_t group, uint64_t step)
{
    return proto_owner_at(&w->owners, group, step) == w->self;
}

uint32_t flow_low_stage(const proto_worker *w)
{
    const flow_slot *s = w->flow.slots + w->flow.low % w->flow.ring;
    uint32_t stage = 0;

    if (w->flow.low >= w->bound)
        return 0;
    while (stage < w->plan->stage_count && s->left[stage] == 0)
        stage++;
    return stage == w->plan->stage_count ? 0 : stage;
}

static bool flow_step_done(const proto_worker *w, uint64_t step)
{
    const flow_slot *s = w->flow.slots + step % w->flow.ring;

    for (uint32_t i = 0; i < w->plan->stage_count; i++)
        if (s->left[i] != 0)
            return false;
    return true;
}

static void flow_advance(proto_worker *w)
{
    flow *f = &w->flow;
    uint64_t end = w->bound < f->final_step ? w->bound : f->final_step;

    while (f->low < end && flow_step_done(w, f->low)) {
        flow_slot_clear(w, flow_slot_of(w, f->low));
        f->low++;
        w->status_due = true;
    }
}

static void flow_bound_raised(proto_worker *w, uint64_t before)
{
    uint64_t end = w->bound < w->plan->step_count ? w->bound : w->plan->step_count;

    for (uint64_t step = before; step < end; step++) {
        flow_slot *s = flow_slot_of(w, step);

        for (uint32_t i = 0; i < w->plan->stage_count; i++) {
            const proto_stage *stage = &w->plan->stages[i];

            s->left[i] = 0;
            for (uint32_t g = stage->group_first; g < stage->group_first + stage->group_count; g++)
                s->left[i] += flow_owns(w, g, step);
        }
    }
    flow_try_all(w);
    flow_advance(w);
}

void flow_try_all(proto_worker *w)
{
    for (uint32_t g = 0; g < w->plan->group_count; g++)
        flow_try(w, g);
}

/* ---- inputs ---- */

flow_input *flow_input_find(proto_worker *w, uint64_t step, uint32_t edge, uint32_t dst,
                            uint32_t src, uint32_t member)
{
    flow_input *in = flow_slot_of(w, step)->inputs[edge * w->plan->group_count + dst];

    while (in != NULL && (in->input.src != src || in->input.member != member))
        in = in->next;
    return in;
}

void flow_input_put(proto_worker *w, uint64_t step, uint32_t dst, const proto_input *input)
{
    flow_input **list = &flow_slot_of(w, step)->inputs[input->edge * w->plan->group_count + dst];
    flow_input *in = w->flow.spare;

    if (in != NULL)
        w->flow.spare = in->next;
    else
        in = proto_zero(1, sizeof *in);
    in->input = *input;
    while (*list != NULL && (*list)->input.src < input->src)
        list = &(*list)->next;
    in->next = *list;
    *list = in;
}

/* Move a task's inputs out of its slot, in the order (edge, source): each list is sorted. */
static void flow_collect(proto_worker *w, proto_task *task)
{
    const proto_plan *p = w->plan;
    flow_slot *s = flow_slot_of(w, task->step);
    uint32_t count = 0;

    for (uint32_t e = 0; e < p->edge_count; e++)
        if (p->edges[e].to == task->stage)
            for (flow_input *in = s->inputs[e * p->group_count + task->group]; in; in = in->next)
                count++;
    task->inputs = proto_zero(count, sizeof *task->inputs);
    for (uint32_t e = 0; e < p->edge_count; e++) {
        flow_input **list = &s->inputs[e * p->group_count + task->group];

        if (p->edges[e].to != task->stage)
            continue;
        for (flow_input *in; (in = *list) != NULL;) {
            *list = in->next;
            task->inputs[task->input_count++] = in->input;
            in->next = w->flow.spare;
            w->flow.spare = in;
        }
    }
}

static void flow_events(const proto_worker *w, proto_task *task)
{
    uint32_t i = 0;

    while (i < w->event_count && w->events[i].step < task->step)
        i++;
    task->events = w->events == NULL ? NULL : w->events + i;
    task->event_count = 0;
    while (i < w->event_count && w->events[i].step == task->step) {
        i++;
        task->event_count++;
    }
}

/* Rule 10: the state is this task's alone when nobody else refers to it: no halo reader, no
 * snapshot. With retries it is kept, so that a second try reads what the first one read. */
static bool flow_may_take(const proto_worker *w, const proto_batch *state)
{
    uint32_t others = state->refs - 1;

    if (MUTANT(w, takeover) && w->capture.attempt != 0)
        others = 0;
    return others == 0 && w->config.tries <= 1;
}

static void flow_start(proto_worker *w, uint32_t stage, uint32_t group)
{
    flow_group *g = w->flow.groups + group;
    proto_task *task = proto_zero(1, sizeof *task);

    task->generation = w->generation;
    task->step = g->step;
    task->stage = stage;
    task->group = group;
    flow_collect(w, task);
    flow_events(w, task);
    if (w->plan->stages[stage].takes_state) {
        task->in_place = flow_may_take(w, g->state);
        task->state = proto_batch_hold(g->state);
    }
    w->flow.running++;
    w->env.run(w->env.user, task);
}

static void flow_have(proto_worker *w, uint32_t stage, uint64_t step, uint32_t group)
{
    size_t at = (size_t)stage * w->plan->group_count + group;
    uint16_t have = ++flow_slot_of(w, step)->have[at];

    if (have == w->flow.need[at] && w->flow.groups[group].open)
        flow_start(w, stage, group);
}

static void flow_arrive_all(proto_worker *w, uint32_t edge, uint64_t step)
{
    const proto_edge *e = w->plan->edges + edge;
    const proto_stage *to = w->plan->stages + e->to;
    const proto_stage *from = w->plan->stages + e->from;
    uint32_t *count = &flow_slot_of(w, step)->all_count[edge];
    uint32_t wanted = MUTANT(w, markworker) ? w->member_count : from->group_count;

    if (++*count != wanted)
        return;
    for (uint32_t g = to->group_first; g < to->group_first + to->group_count; g++)
        flow_have(w, e->to, step, g);
}

void flow_arrive(proto_worker *w, uint32_t edge, uint64_t step, uint32_t src)
{
    const proto_edge *e = w->plan->edges + edge;
    uint8_t *arrived = &flow_slot_of(w, step)->arrived[edge * w->plan->group_count + src];

    if (*arrived && !MUTANT(w, norepeat)) {
        worker_reject(w, PROTO_REJECT_repeat);
        return;
    }
    *arrived = 1;
    if (e->exchange == PROTO_ALL) {
        flow_arrive_all(w, edge, step);
        return;
    }
    for (uint32_t i = w->plan->near_first[src]; i < w->plan->near_first[src + 1]; i++)
        flow_have(w, e->to, step, w->plan->near[i]);
}

/* ---- outputs ---- */

/* To every neighbour of src; the last frame to each worker says that src has arrived there. */
static void flow_send_halo(proto_worker *w, uint32_t edge, uint64_t step, uint32_t src,
                           proto_task *task)
{
    const uint32_t *near = w->plan->near + w->plan->near_first[src];
    uint32_t count = w->plan->near_first[src + 1] - w->plan->near_first[src];

    for (uint32_t i = 0; i < count; i++) {
        uint32_t owner = proto_owner_at(&w->owners, near[i], step);
        proto_batch *batch = NULL;
        bool last = true;

        for (uint32_t j = i + 1; j < count && last; j++)
            last = proto_owner_at(&w->owners, near[j], step) != owner;
        for (uint32_t o = 0; task != NULL && o < task->output_count; o++)
            if (task->outputs[o].edge == edge && task->outputs[o].dst == near[i])
                batch = proto_batch_hold(task->outputs[o].batch);
        if (task == NULL && owner == w->self)
            batch = proto_batch_hold(w->flow.groups[src].state);
        else if (task == NULL)
            batch = w->env.boundary(w->env.user, src, near[i], w->flow.groups[src].state);
        if (owner != w->self)
            channel_send_rows(w, owner, edge, step, src, near[i], batch, last);
        else if (batch != NULL)
            flow_input_put(w, step, near[i], &(proto_input){ edge, src, PROTO_NONE, batch });
        if (owner != w->self)
            proto_batch_drop(&batch);
    }
    flow_arrive(w, edge, step, src);
}

static void flow_send_rows(proto_worker *w, uint32_t edge, proto_task *task)
{
    for (uint32_t o = 0; o < task->output_count; o++) {
        proto_output *out = task->outputs + o;
        uint32_t owner = proto_owner_at(&w->owners, out->dst, task->step);

        if (out->edge != edge)
            continue;
        if (owner != w->self)
            channel_send_rows(w, owner, edge, task->step, task->group, out->dst, out->batch, false);
        else
            flow_input_put(w, task->step, out->dst,
                           &(proto_input){ edge, task->group, PROTO_NONE,
                                           proto_batch_hold(out->batch) });
    }
}

/* Rule 7: one frame per worker that owns a target, once all own sources of the step are done. */
static void flow_send_marks(proto_worker *w, uint32_t edge, uint64_t step)
{
    const proto_stage *from = w->plan->stages + w->plan->edges[edge].from;
    const proto_stage *to = w->plan->stages + w->plan->edges[edge].to;
    uint32_t *groups = proto_zero(from->group_count, sizeof *groups);
    uint8_t *wanted = proto_zero(w->member_count, 1);
    uint32_t count = 0;

    for (uint32_t g = from->group_first; g < from->group_first + from->group_count; g++)
        if (flow_owns(w, g, step))
            groups[count++] = g;
    for (uint32_t g = to->group_first; g < to->group_first + to->group_count; g++)
        wanted[proto_owner_at(&w->owners, g, step)] = 1;
    for (uint32_t m = 0; m < w->member_count; m++)
        if (m != w->self && wanted[m] && (!MUTANT(w, markrows) || w->channels[m].sent > 0))
            channel_send_mark(w, m, edge, step, groups, count);
    free(groups);
    free(wanted);
}

static void flow_publish(proto_worker *w, proto_task *task)
{
    const proto_plan *p = w->plan;
    uint32_t left = flow_slot_of(w, task->step)->left[task->stage];

    for (uint32_t e = 0; e < p->edge_count; e++) {
        if (p->edges[e].from != task->stage)
            continue;
        if (p->edges[e].exchange == PROTO_HALO) {
            flow_send_halo(w, e, task->step, task->group, task);
            continue;
        }
        flow_send_rows(w, e, task);
        if (p->edges[e].exchange == PROTO_FORWARD) {
            flow_have(w, p->edges[e].to, task->step, task->group);
            continue;
        }
        flow_arrive(w, e, task->step, task->group);
        if (left == 0)
            flow_send_marks(w, e, task->step);
    }
}

/* ---- a step of a key group ---- */

static void flow_send_state(proto_worker *w, uint32_t group)
{
    const proto_plan *p = w->plan;
    flow_group *g = w->flow.groups + group;

    for (uint32_t e = 0; e < p->edge_count && !g->sent; e++)
        if (p->edges[e].from == PROTO_STATE && proto_stage_has(&p->stages[p->edges[e].to], group))
            flow_send_halo(w, e, g->step, group, NULL);
    g->sent = true;
}

static void flow_begin(proto_worker *w, uint32_t group)
{
    const proto_plan *p = w->plan;
    flow_group *g = w->flow.groups + group;

    g->open = true;
    g->left = w->flow.stages_of[group];
    flow_send_state(w, group);
    for (uint32_t i = 0; i < p->stage_count; i++)
        if (proto_stage_has(&p->stages[i], group))
            flow_have(w, i, g->step, group);
}

/* Rule 1: nothing of a step is addressed before the grant reaches it. */
void flow_try(proto_worker *w, uint32_t group)
{
    flow_group *g = w->flow.groups + group;
    uint32_t owner;

    if (w->phase != WORKER_RUNNING || g->state == NULL || g->open)
        return;
    if (MUTANT(w, early) && !g->sent && g->step - w->flow.low < w->flow.ring &&
        g->step < w->plan->step_count && flow_owns(w, group, g->step))
        flow_send_state(w, group);
    if (g->step >= w->bound)
        return;
    owner = proto_owner_at(&w->owners, group, g->step);
    if (owner != w->self) {
        proto_batch *state = g->state;

        if (MUTANT(w, bothparts))
            flow_capture_state(w, group);
        g->state = NULL;
        channel_send_state(w, owner, group, g->step, state);
        return;
    }
    flow_capture_state(w, group);
    if (g->step < w->flow.final_step)
        flow_begin(w, group);
}

void flow_adopt(proto_worker *w, uint32_t group, uint64_t step, proto_batch *state)
{
    flow_group *g = w->flow.groups + group;

    if (g->state != NULL) {
        worker_reject(w, PROTO_REJECT_repeat);
        proto_batch_drop(&state);
        return;
    }
    g->state = state;
    g->step = step;
    g->open = g->sent = false;
    flow_try(w, group);
}

static void flow_step_end(proto_worker *w, uint32_t group)
{
    flow_group *g = w->flow.groups + group;

    proto_batch_drop(&g->state);
    g->state = g->next;
    g->next = NULL;
    g->step++;
    g->open = g->sent = false;
    flow_try(w, group);
}

static void flow_task_end(proto_worker *w, proto_task *task)
{
    flow_group *g = w->flow.groups + task->group;
    const proto_stage *stage = w->plan->stages + task->stage;

    assert(g->open && g->step == task->step);
    flow_slot_of(w, task->step)->left[task->stage]--;
    if (stage->sink && task->file != NULL)
        w->env.sink_write(w->env.user, w->generation, task->group,
                          proto_get_u64(task->state->bytes), task->file);
    if (stage->makes_state) {
        g->next = task->made;
        task->made = NULL;
    }
    for (uint32_t i = 0; i < task->input_count; i++)
        flow_consumed(w, &task->inputs[i]);
    flow_publish(w, task);
    if (--g->left == 0)
        flow_step_end(w, task->group);
    flow_advance(w);
}

void proto_worker_task_done(proto_worker *w, uint64_t now_us, proto_task *task, bool ok)
{
    static const char text[] = "the task failed";

    w->now_us = now_us;
    if (task->generation == w->generation && w->phase == WORKER_RUNNING) {
        if (!ok && ++task->tries < w->config.tries) {
            flow_events(w, task);
            w->env.run(w->env.user, task);
            return;
        }
        w->flow.running--;
        if (ok)
            flow_task_end(w, task);
        else
            worker_task_failed(w, &(proto_failed){ .step = task->step, .stage = task->stage,
                                                   .group = task->group, .ended = 1,
                                                   .text = { (const uint8_t *)text,
                                                             sizeof text - 1 } });
    }
    proto_task_free(task);
    worker_flush(w);
}

void proto_task_put(proto_task *task, uint32_t edge, uint32_t dst, proto_batch *batch)
{
    proto_output *more;

    if ((task->output_count & (task->output_count - 1)) == 0) {
        more = realloc(task->outputs, (task->output_count * 2u + 1u) * sizeof *more);
        if (more == NULL)
            abort();
        task->outputs = more;
    }
    task->outputs[task->output_count++] = (proto_output){ edge, dst, batch };
}

void proto_task_free(proto_task *task)
{
    for (uint32_t i = 0; i < task->input_count; i++)
        proto_batch_drop(&task->inputs[i].batch);
    for (uint32_t i = 0; i < task->output_count; i++)
        proto_batch_drop(&task->outputs[i].batch);
    proto_batch_drop(&task->state);
    proto_batch_drop(&task->made);
    proto_batch_drop(&task->file);
    free(task->inputs);
    free(task->outputs);
    free(task);
}

/* ---- the table ---- */

static void flow_open_all(proto_worker *w)
{
    flow_init(w);
    flow_open(w);
}

static void flow_completed(proto_worker *w)
{
    (void)w; /* the model's sinks do not wait for other workers */
}

static uint64_t flow_low(const proto_worker *w)
{
    return w->flow.low;
}

static void flow_capture_drop(proto_worker *w)
{
    (void)w; /* the worker drops the batches that it lists */
}

const proto_flow_calls proto_flow_model = {
    .open = flow_open_all,
    .open_again = flow_open_sinks,
    .close = flow_fini,
    .raised = flow_bound_raised,
    .completed = flow_completed,
    .low = flow_low,
    .worked = flow_low,
    .low_stage = flow_low_stage,
    .fits = flow_rows_fit,
    .fits_mark = flow_mark_fits,
    .rows = flow_take_rows,
    .arrive = flow_arrive,
    .state = flow_take_state,
    .capture = flow_capture,
    .captured = flow_captured,
    .capture_drop = flow_capture_drop,
    .above_mark = flow_above_mark,
};
