/* The model dataflow: how a generation is loaded, what arrives from other workers, and what is kept
 * for a snapshot. */
#include "coordinator/proto_worker_private.h"

#include <string.h>

/* ---- loading ---- */

static bool flow_is_sink(const proto_worker *w, uint32_t group)
{
    for (uint32_t i = 0; i < w->plan->stage_count; i++)
        if (w->plan->stages[i].sink && proto_stage_has(&w->plan->stages[i], group))
            return true;
    return false;
}

static bool flow_owns_first(const proto_worker *w, uint32_t group)
{
    return proto_owner_at(&w->owners, group, w->install_step) == w->self;
}

static void flow_opened(proto_worker *w)
{
    if (w->flow.loads_left == 0 && w->flow.sinks_left == 0)
        worker_installed(w);
}

void flow_open(proto_worker *w)
{
    flow *f = &w->flow;

    for (uint32_t g = 0; g < w->plan->group_count; g++)
        if (flow_owns_first(w, g)) {
            f->loads_left++;
            f->sinks_left += flow_is_sink(w, g);
        }
    for (uint32_t g = 0; g < w->plan->group_count; g++)
        if (flow_owns_first(w, g))
            w->env.load(w->env.user, w->generation, w->install_snapshot, g);
    flow_open_sinks(w);
    flow_opened(w);
}

/* Those that are not open yet. */
void flow_open_sinks(proto_worker *w)
{
    for (uint32_t g = 0; g < w->plan->group_count; g++)
        if (flow_owns_first(w, g) && flow_is_sink(w, g) && !w->flow.sink_open[g])
            w->env.sink_open(w->env.user, w->generation, g);
}

void proto_worker_loaded(proto_worker *w, uint64_t now_us, uint64_t generation, uint32_t group,
                         proto_batch *batch)
{
    w->now_us = now_us;
    if (generation != w->generation || w->phase != WORKER_INSTALLING || batch == NULL) {
        if (batch == NULL && generation == w->generation && w->phase == WORKER_INSTALLING)
            w->env.load(w->env.user, generation, w->install_snapshot, group);
        proto_batch_drop(&batch);
        return;
    }
    w->flow.groups[group].state = batch;
    w->flow.groups[group].step = w->install_step;
    w->flow.loads_left--;
    flow_opened(w);
    worker_flush(w);
}

void proto_worker_sink_opened(proto_worker *w, uint64_t now_us, uint64_t generation,
                              uint32_t group, uint64_t holder)
{
    w->now_us = now_us;
    if (generation != w->generation || w->phase != WORKER_INSTALLING || w->flow.sink_open[group])
        return;
    if (holder != 0) { /* asked again with the next heartbeat */
        worker_send_locked(w, group, holder);
        return;
    }
    w->flow.sink_open[group] = 1;
    w->flow.sinks_left--;
    flow_opened(w);
    worker_flush(w);
}

/* ---- arrivals ---- */

/* Whether data for `step` may come: not before what runs here, not beyond the window. */
static bool flow_step_known(const proto_worker *w, uint64_t step)
{
    return step >= w->flow.low && step - w->flow.low < w->flow.ring && step < w->plan->step_count;
}

bool flow_rows_fit(const proto_worker *w, const proto_data *d)
{
    const proto_plan *p = w->plan;
    const proto_edge *e = p->edges + d->edge;

    return d->src < p->group_count && d->dst < p->group_count && flow_step_known(w, d->step) &&
           d->total <= PROTO_FRAME_SIZE_MAX && proto_stage_has(&p->stages[e->to], d->dst);
}

bool flow_mark_fits(const proto_worker *w, const proto_mark *m)
{
    const proto_edge *e = w->plan->edges + m->edge;

    if (e->exchange != PROTO_ALL || !flow_step_known(w, m->step))
        return false;
    for (uint32_t i = 0; i < m->groups.size; i += 4)
        if (!proto_stage_has(&w->plan->stages[e->from], proto_get_u32(m->groups.data + i)))
            return false;
    return true;
}

bool flow_take_rows(proto_worker *w, uint32_t member, const proto_data *d)
{
    flow_input *in = flow_input_find(w, d->step, d->edge, d->dst, d->src, member);
    proto_batch *batch;

    if (d->offset == 0) {
        batch = proto_batch_new(d->total, d->rows);
        batch->have = 0;
        flow_input_put(w, d->step, d->dst, &(proto_input){ d->edge, d->src, member, batch });
    } else if (in == NULL || in->input.batch->have != d->offset ||
               in->input.batch->size != d->total) {
        return false;
    } else {
        batch = in->input.batch;
    }
    memcpy(batch->bytes + d->offset, d->payload.data, d->payload.size);
    batch->have += d->payload.size;
    return true;
}

bool flow_take_state(proto_worker *w, uint32_t member, const proto_state *s)
{
    flow_group *g = w->flow.groups + s->group;

    if (s->total > PROTO_FRAME_SIZE_MAX)
        return false;
    if (s->offset == 0) {
        proto_batch_drop(&g->arriving);
        g->arriving = proto_batch_new(s->total, s->rows);
        g->arriving->have = 0;
        g->arriving_step = s->step;
        g->arriving_from = member;
    }
    if (g->arriving == NULL || g->arriving->have != s->offset || g->arriving->size != s->total ||
        g->arriving_step != s->step || g->arriving_from != member)
        return false;
    if (s->payload.size > 0)
        memcpy(g->arriving->bytes + s->offset, s->payload.data, s->payload.size);
    g->arriving->have += s->payload.size;
    if (g->arriving->have == g->arriving->size) {
        proto_batch *state = g->arriving;

        g->arriving = NULL;
        flow_adopt(w, s->group, s->step, state);
    }
    return true;
}

void flow_consumed(proto_worker *w, const proto_input *input)
{
    if (input->member != PROTO_NONE && input->batch != NULL)
        channel_consumed(w, input->member, input->batch->have);
}

uint64_t flow_above_mark(const proto_worker *w, uint32_t member)
{
    const proto_plan *p = w->plan;
    uint64_t low = w->flow.low, sum = 0;
    uint32_t stage = flow_low_stage(w);

    for (uint64_t step = low; step < low + w->flow.ring; step++)
        for (uint32_t e = 0; e < p->edge_count; e++)
            for (uint32_t g = 0; g < p->group_count && (step > low || p->edges[e].to > stage); g++) {
                const flow_input *in =
                    w->flow.slots[step % w->flow.ring].inputs[e * p->group_count + g];

                for (; in != NULL; in = in->next)
                    if (in->input.member == member)
                        sum += in->input.batch->have;
            }
    return sum;
}

/* ---- snapshots ---- */

void flow_capture(proto_worker *w)
{
    if (w->capture.final)
        w->flow.final_step = w->capture.step;
    flow_try_all(w);
}

void flow_capture_state(proto_worker *w, uint32_t group)
{
    const flow_group *g = w->flow.groups + group;
    capture *c = &w->capture;

    if (c->attempt == 0 || c->step != g->step || g->step >= w->bound)
        return;
    for (uint32_t i = 0; i < c->count; i++)
        if (c->captured[i].group == group)
            return;
    c->captured[c->count++] = (proto_captured){ group, proto_batch_hold(g->state) };
}

/* A barrier at s belongs to owner(g, s) (rule 12). A later order may still change that; once the
 * grant has passed s, all orders for s are known. */
bool flow_captured(const proto_worker *w)
{
    uint32_t wanted = 0;

    for (uint32_t g = 0; g < w->plan->group_count; g++)
        wanted += proto_owner_at(&w->owners, g, w->capture.step) == w->self;
    return w->capture.count == wanted;
}
