/* When a vertex works: what is due at a step, what is made from what is due, and what is wanted.
 * Every pass walks the vertices once in their order, so a long chain costs its length. */
#include "dataflow/df_plan_build.h"

static uint32_t input_vertex(const df_plan *p, const df_port *port, uint32_t k)
{
    return p->streams[port->streams[k]].vertex;
}

/* flags[v] |= flags of everything that v reads at its own tick. */
static void spread_down(const df_plan *p, bool *flags)
{
    for (uint32_t i = 0; i < p->vertex_count; i++) {
        const df_vertex *v = &p->vertices[p->order[i]];
        for (uint32_t q = 0; v->role != DF_COMMIT && q < v->port_count; q++)
            for (uint32_t k = 0; k < v->ports[q].stream_count; k++)
                flags[p->order[i]] |= flags[input_vertex(p, &v->ports[q], k)];
    }
}

void plan_check_time(plan_build *b)
{
    const df_plan *p = b->plan;
    bool *from_state = plan_alloc(b, p->vertex_count + 1);
    bool *rare = plan_alloc(b, p->vertex_count + 1);

    if (b->no_memory)
        return;
    for (uint32_t i = 0; i < p->vertex_count; i++) {
        from_state[i] = p->vertices[i].role == DF_COMMIT;
        rare[i] = p->vertices[i].every_steps != 1 || p->vertices[i].at_end;
    }
    spread_down(p, from_state);
    spread_down(p, rare);
    for (uint32_t i = 0; i < p->state_count; i++) {
        const df_vertex *v = &p->vertices[i];
        const df_draft_state *d = &b->draft->states[i];

        for (uint32_t k = 0; k < v->ports[0].stream_count; k++)
            if (from_state[input_vertex(p, &v->ports[0], k)])
                df_report_add(b->report, d->first.place, "state \"%s\": first \"%s\" is made from a "
                              "state, and before step 0 there is none: it must come from sources",
                              d->name.text, d->first.text);
        for (uint32_t k = 0; k < v->ports[1].stream_count; k++)
            if (rare[input_vertex(p, &v->ports[1], k)])
                df_report_add(b->report, d->next[k].place, "state \"%s\": next \"%s\" is not there "
                              "at every step (every_steps, at)", d->name.text, d->next[k].text);
    }
}

static bool due(const df_plan *p, const df_vertex *v, uint64_t tick)
{
    uint64_t step = tick - 1;

    return tick == 0 || (step % v->every_steps == 0 && (!v->at_end || step == p->job.steps));
}

static bool made(const df_plan *p, const df_vertex *v, uint64_t tick, const bool *active)
{
    if (!due(p, v, tick))
        return false;
    for (uint32_t q = 0; q < v->port_count; q++)
        for (uint32_t k = 0; k < v->ports[q].stream_count; k++) {
            uint32_t from = input_vertex(p, &v->ports[q], k);
            if (p->vertices[from].role == DF_COMMIT ? tick == 0 : !active[from])
                return false;
        }
    return true;
}

static bool wanted(const df_plan *p, const df_vertex *v, uint64_t tick, const bool *active)
{
    bool in_step = tick > 0 && tick <= p->job.steps + 1;

    if (v->kind->role == WEIR_SINK)
        return in_step;
    /* Whoever remembers must see every row, wanted now or later: or what it makes would depend on who
     * looks. At tick 0 it works like any other, if a state is filled by it. */
    if (in_step && (v->carried != NULL || v->birth_number != DF_NONE))
        return true;
    for (uint32_t i = 0; i < v->reader_count; i++) {
        df_reader r = v->readers[i];
        if (p->vertices[r.vertex].role == DF_COMMIT ? (r.port == 0) == (tick == 0) &&
                                                          tick <= p->job.steps
                                                    : active[r.vertex])
            return true;
    }
    return false;
}

void df_plan_activity(const df_plan *plan, uint64_t tick, bool *active)
{
    for (uint32_t i = 0; i < plan->vertex_count; i++) {
        uint32_t v = plan->order[i];
        active[v] = plan->vertices[v].role == DF_COMMIT ? tick <= plan->job.steps
                                                        : made(plan, &plan->vertices[v], tick, active);
    }
    for (uint32_t i = plan->vertex_count; i-- > 0;) {
        uint32_t v = plan->order[i];
        if (plan->vertices[v].role == DF_OPERATOR)
            active[v] = active[v] && wanted(plan, &plan->vertices[v], tick, active);
    }
}

bool df_plan_edge_active(const df_plan *plan, uint32_t edge, uint64_t tick, const bool *active)
{
    const df_edge *e = &plan->edges[edge];

    if (plan->vertices[e->vertex].role == DF_COMMIT && (e->port == 0) != (tick == 0))
        return false;
    return active[e->vertex];
}
