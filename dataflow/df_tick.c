/* A tick before it is opened: who works in it, and what each task waits for. When its ring slot may be set is
 * argued in df_sched.c. */
#include "dataflow/df_graph_private.h"

static bool stage_active_at(const df_graph *g, uint32_t stage, uint64_t tick)
{
    return g->ticks[graph_ring_slot(g, tick)].stages[stage];
}

uint64_t graph_serial_partner(const df_graph *g, uint32_t stage, uint64_t tick, int direction)
{
    for (uint64_t i = 1; i <= g->plan->window; i++) {
        if (direction < 0 && tick < g->first_tick + i)
            return NO_TICK;
        uint64_t other = direction < 0 ? tick - i : tick + i;
        if (stage_active_at(g, stage, other))
            return other;
    }
    return NO_TICK;
}

static void prepare_activity(df_graph *g, graph_tick *tick)
{
    const df_plan *p = g->plan;

    df_plan_activity(p, tick->tick, tick->vertices);
    for (uint32_t s = 0; s < p->stage_count; s++) {
        tick->stages[s] = false;
        for (uint32_t i = 0; i < p->stages[s].vertex_count; i++)
            tick->stages[s] |= tick->vertices[p->stages[s].vertices[i]];
    }
    for (uint32_t e = 0; e < p->edge_count; e++)
        tick->edges[e] = df_plan_edge_active(p, e, tick->tick, tick->vertices);
}

static void prepare_edge(df_graph *g, uint32_t edge, uint32_t slot)
{
    graph_edge *ge = &g->edges[edge];

    atomic_store_explicit(&ge->ticks[slot].arrive, ge->from_groups, memory_order_relaxed);
    atomic_store_explicit(&ge->ticks[slot].failed, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < ge->from_groups; i++)
        ge->slots[(size_t)slot * ge->from_groups + i].batch = NULL;
}

static void prepare_stage(df_graph *g, uint32_t stage, graph_tick *tick)
{
    const df_stage *s = &g->plan->stages[stage];
    uint32_t slot = graph_ring_slot(g, tick->tick);
    uint32_t common = 1;

    tick->before[stage] = s->serial ? graph_serial_partner(g, stage, tick->tick, -1) : NO_TICK;
    common += tick->before[stage] != NO_TICK;
    for (uint32_t i = 0; i < s->in_count; i++)
        common += tick->edges[s->in_edges[i]] &&
                  g->plan->edges[s->in_edges[i]].fan != DF_FAN_NEIGHBOURS;
    for (uint32_t group = 0; group < s->partition.key_groups; group++) {
        uint32_t missing = common;
        for (uint32_t i = 0; i < s->in_count; i++) {
            const df_edge *e = &g->plan->edges[s->in_edges[i]];
            if (tick->edges[s->in_edges[i]] && e->fan == DF_FAN_NEIGHBOURS) {
                const graph_space *space = &g->spaces[g->plan->streams[e->stream].partition.space];
                missing += space->first[group + 1] - space->first[group];
            }
        }
        atomic_store_explicit(graph_missing_of(g, stage, slot, group), missing, memory_order_relaxed);
    }
}

static void prepare_tick(df_graph *g, uint64_t number)
{
    const df_plan *p = g->plan;
    graph_tick *tick = &g->ticks[graph_ring_slot(g, number)];

    tick->tick = number;
    tick->owners = NULL;
    tick->print_states = g->options.fingerprint_steps || number == p->job.steps;
    tick->print_streams = g->options.fingerprint_steps || number == p->job.steps + 1;
    prepare_activity(g, tick);
    for (uint32_t e = 0; e < p->edge_count; e++)
        prepare_edge(g, e, graph_ring_slot(g, number));
    for (uint32_t s = 0; s < p->stage_count; s++)
        if (tick->stages[s])
            prepare_stage(g, s, tick);
    if (g->parted)
        graph_awaits_prepare(g, tick);
    else
        graph_owners_give(g, number);
}

void graph_prepare_up_to(df_graph *g, uint64_t end)
{
    for (; g->prepared < end; g->prepared++)
        prepare_tick(g, g->prepared);
}

void graph_prepare(df_graph *g)
{
    g->prepared = g->first_tick;
    graph_prepare_up_to(g, g->first_tick + g->ring);
}
