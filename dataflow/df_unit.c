/* What each unit (df_part.h) costs and holds, counted while it runs, in a part.
 *
 * The time is what graph_task_run reads for its own purposes; each thread adds it to a table of its own.
 * Rows and ticks are stored in the unit's own cache lines, which only the thread that runs the unit
 * writes, mostly always the same. */
#include "dataflow/df_graph_private.h"

#include <time.h>

#define UNIT_LINE 64u

typedef struct graph_unit {
    _Atomic uint64_t tick;   /* of the newest task */
    _Atomic uint32_t ns;     /* of the longest of the last tasks; who writes last wins */
    _Atomic uint32_t rows[]; /* [state_count] */
} graph_unit;

static size_t unit_size(const df_plan *plan)
{
    size_t size = sizeof(graph_unit) + plan->state_count * sizeof(uint32_t);

    return (size + UNIT_LINE - 1) / UNIT_LINE * UNIT_LINE;
}

static graph_unit *unit_at(const df_graph *g, uint32_t unit)
{
    return (graph_unit *)(void *)(g->units + unit * unit_size(g->plan));
}

/* Its tasks are of several stages. */
static void note_longest(graph_unit *unit, uint64_t nanoseconds)
{
    uint32_t old = atomic_load_explicit(&unit->ns, memory_order_relaxed), now = old - old / 8;

    if (nanoseconds > now)
        now = nanoseconds < UINT32_MAX ? (uint32_t)nanoseconds : UINT32_MAX;
    atomic_store_explicit(&unit->ns, now, memory_order_relaxed);
}

bool graph_unit_setup(df_graph *g, df_arena *arena)
{
    uint32_t units = g->plan->key_groups;
    char *memory;

    if (!g->parted)
        return true;
    memory = df_arena_alloc(arena, units * unit_size(g->plan) + UNIT_LINE);
    if (memory == NULL)
        return false;
    g->units = memory + (UNIT_LINE - (uintptr_t)memory % UNIT_LINE) % UNIT_LINE;
    for (uint32_t i = 0; i <= g->thread_count; i++) {
        /* A line of nobody's between two threads' tables. */
        g->threads[i].unit_ns = df_arena_alloc(arena, units * sizeof(uint64_t) + UNIT_LINE);
        if (g->threads[i].unit_ns == NULL)
            return false;
    }
    return true;
}

void graph_unit_ran(graph_thread *t, uint32_t stage, uint32_t key_group, uint64_t tick,
                    uint64_t nanoseconds)
{
    const df_graph *g = t->graph;
    const df_stage *s = &g->plan->stages[stage];
    uint32_t unit;

    if (s->sink) /* stays where it is, whoever owns the unit */
        return;
    unit = df_plan_unit(g->plan, key_group, s->partition.key_groups);
    graph_count(&t->unit_ns[unit], nanoseconds);
    graph_count_span(&t->task_spans, nanoseconds);
    atomic_store_explicit(&unit_at(g, unit)->tick, tick, memory_order_relaxed);
    note_longest(unit_at(g, unit), nanoseconds);
}

uint64_t graph_unit_task_ns(const df_graph *g, uint32_t stage, uint32_t key_group)
{
    const df_stage *s = &g->plan->stages[stage];

    if (s->sink)
        return atomic_load_explicit(&g->task_ns, memory_order_relaxed);
    return atomic_load_explicit(&unit_at(g, df_plan_unit(g->plan, key_group, s->partition.key_groups))->ns,
                                memory_order_relaxed);
}

void graph_unit_holds(df_graph *g, uint32_t state, uint32_t key_group, uint32_t rows)
{
    const df_vertex *v = &g->plan->vertices[g->plan->states[state].vertex];
    uint32_t unit = df_plan_unit(g->plan, key_group, v->partition.key_groups);

    atomic_store_explicit(&unit_at(g, unit)->rows[state], rows, memory_order_relaxed);
}

void df_graph_unit_costs(const df_graph *g, df_unit_cost *units)
{
    const df_plan *p = g->plan;

    for (uint32_t u = 0; u < p->key_groups; u++) {
        const graph_unit *unit = unit_at(g, u);

        units[u] = (df_unit_cost){ .tick = atomic_load_explicit(&unit->tick, memory_order_relaxed) };
        for (uint32_t i = 0; i <= g->thread_count; i++)
            units[u].nanoseconds +=
                atomic_load_explicit(&g->threads[i].unit_ns[u], memory_order_relaxed);
    }
    for (uint32_t s = 0; s < p->state_count; s++) {
        uint64_t size = df_schema_row_size(p->states[s].stored);

        for (uint32_t u = 0; u < p->key_groups; u++) {
            uint64_t rows = atomic_load_explicit(&unit_at(g, u)->rows[s], memory_order_relaxed);

            units[u].rows += rows;
            units[u].bytes += rows * size;
        }
    }
}

void df_graph_had(const df_graph *g, uint64_t *tasks_ns, uint64_t *had_ns)
{
    *tasks_ns = *had_ns = 0;
    for (uint32_t i = 0; g->started && i < g->thread_count; i++) {
        struct timespec had;
        clockid_t clock;

        if (pthread_getcpuclockid(g->threads[i].handle, &clock) == 0 && clock_gettime(clock, &had) == 0)
            *had_ns += (uint64_t)had.tv_sec * 1000000000u + (uint64_t)had.tv_nsec;
        for (uint32_t u = 0; u < g->plan->key_groups; u++)
            *tasks_ns += atomic_load_explicit(&g->threads[i].unit_ns[u], memory_order_relaxed);
    }
}
