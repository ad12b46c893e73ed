/* What a worker's units cost in a step, from what its graph counts: a graph counts from 0 with each
 * generation, and a unit goes on costing what it did.
 *
 * The graph counts by the wall's clock. Where other programs want the processors, too, a thread waits in
 * the middle of a task; so all costs are scaled to the time that the graph's threads really had. Not to that of
 * the process: a worker that has little to compute and much to send would seem to have had all its time. */
#include "coordinator/coord_flow_private.h"

#include <stdlib.h>
#include <string.h>

bool flow_units_init(coord_flow *f)
{
    size_t units = f->options.plan->key_groups;

    f->units = calloc(units + 1, sizeof *f->units);
    f->units_now = calloc(units + 1, sizeof *f->units_now);
    f->unit_costs = calloc(units + 1, sizeof *f->unit_costs);
    return f->units != NULL && f->units_now != NULL && f->unit_costs != NULL;
}

void flow_units_fini(coord_flow *f)
{
    free(f->units);
    free(f->units_now);
    free(f->unit_costs);
}

void flow_units_begin(coord_flow *f)
{
    memset(f->units, 0, f->options.plan->key_groups * sizeof *f->units);
    f->units_tasks_ns = f->units_had_ns = 0;
}

/* The part of the tasks' time since the last look that the threads had; 1 where they also did other things. */
static double part_had(coord_flow *f)
{
    uint64_t tasks_was = f->units_tasks_ns, had_was = f->units_had_ns, tasks, had;

    df_graph_had(f->graph, &f->units_tasks_ns, &f->units_had_ns);
    tasks = f->units_tasks_ns - tasks_was;
    had = f->units_had_ns - had_was;
    if (tasks_was == 0 || tasks <= had)
        return 1;
    return (double)had / (double)tasks;
}

/* Half of what was known and half of what is new, so that a single slow task says little. */
static void measure(coord_flow *f, uint32_t unit, double part)
{
    const df_unit_cost *was = &f->units[unit], *now = &f->units_now[unit];
    uint64_t cost;

    if (was->tick == 0) { /* the first look: from here on */
        f->units[unit] = *now;
        return;
    }
    if (now->tick <= was->tick)
        return;
    cost = (uint64_t)(part * (double)((now->nanoseconds - was->nanoseconds) / (now->tick - was->tick)));
    f->unit_costs[unit] = f->unit_costs[unit] == 0 ? cost : (f->unit_costs[unit] + cost) / 2;
    f->units[unit] = *now;
}

bool coord_flow_units(coord_flow *f, const proto_worker *w, coord_load *load)
{
    uint32_t units = f->options.plan->key_groups;
    double part;

    load->units_told = false;
    if (f->load.running || f->graph == NULL) /* a graph that is being loaded is its thread's */
        return true;
    load->units = calloc((size_t)units + 1, sizeof *load->units);
    if (load->units == NULL)
        return false;
    df_graph_unit_costs(f->graph, f->units_now);
    part = part_had(f);
    for (uint32_t u = 0; u < units; u++) {
        if (proto_owner_at(&w->owners, u, f->seen.worked) != w->self) {
            f->units[u].tick = 0;
            continue;
        }
        measure(f, u, part);
        load->units[load->unit_count++] = (coord_load_unit){ u, f->unit_costs[u], f->units_now[u].rows,
                                                             f->units_now[u].bytes };
    }
    load->units_told = true;
    return true;
}
