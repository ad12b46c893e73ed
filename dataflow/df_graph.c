/* The life of a graph: making it from a plan, opening and closing the sinks, and what others may ask
 * of it. Who runs when is in df_sched.c, what a task does in df_task.c. */
#include "dataflow/df_failpoint.h"
#include "dataflow/df_graph_private.h"
#include "dataflow/df_space.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* The graph and its arena are one allocation to the outside. */
typedef struct graph_whole {
    df_graph graph; /* first */
    df_arena *arena;
} graph_whole;

static df_arena *arena_of(df_graph *g)
{
    return ((graph_whole *)(void *)g)->arena;
}

/* ---- making ---- */

static bool make_space(df_graph *g, uint32_t index)
{
    const df_space *space = &g->plan->spaces[index];
    graph_space *out = &g->spaces[index];
    uint32_t count = 0;

    out->first = df_arena_alloc(arena_of(g), (space->tile_count + 1) * sizeof(uint32_t));
    out->near = df_arena_alloc(arena_of(g), (size_t)space->tile_count * WEIR_HALO_SLOTS *
                                                sizeof(graph_near));
    if (out->first == NULL || out->near == NULL)
        return false;
    for (uint32_t t = 0; t < space->tile_count; t++) {
        out->first[t] = count;
        for (uint32_t s = 0; s < WEIR_HALO_SLOTS; s++) {
            uint32_t group = space->tiles[t].neighbours[s], i = out->first[t];
            if (group == WEIR_NO_ROW)
                continue;
            while (i < count && out->near[i].key_group != group)
                i++;
            if (i < count)
                continue;
            out->near[count++] = (graph_near){
                .key_group = group,
                .slot = df_space_slot(space, &space->tiles[group], space->tiles[t].position),
            };
        }
    }
    out->first[space->tile_count] = count;
    return true;
}

/* Most tiles of an uneven state are empty at each step: they need no table of their own, of many cells. */
static bool make_no_rows(df_graph *g)
{
    size_t most = 0, size;
    uint32_t *none;

    for (uint32_t i = 0; i < g->plan->space_count; i++)
        for (uint32_t t = 0; t < g->plan->spaces[i].tile_count; t++) {
            const uint32_t *n = g->plan->spaces[i].tiles[t].cells;
            size_t cells = (size_t)n[0] * n[1] * n[2];

            most = cells > most ? cells : most;
        }
    if (most == 0)
        return true;
    size = (most + 1) * sizeof *none;
    g->no_rows = none = df_pool_get(g->pool, g->thread_count, size);
    if (none == NULL)
        return false;
    memset(none, 0, size);
    return true;
}

static bool make_edge(df_graph *g, uint32_t index)
{
    const df_edge *e = &g->plan->edges[index];
    graph_edge *out = &g->edges[index];

    out->from_groups = g->plan->stages[e->from].partition.key_groups;
    out->to_groups = g->plan->stages[e->to].partition.key_groups;
    out->slots = df_arena_alloc(arena_of(g), (size_t)g->ring * out->from_groups * sizeof *out->slots);
    out->ticks = df_arena_alloc(arena_of(g), g->ring * sizeof *out->ticks);
    if (out->slots == NULL || out->ticks == NULL)
        return false;
    if (g->parted && !graph_rest_setup(g, index, arena_of(g)))
        return false;
    if (!e->routed || e->fan != DF_FAN_ALL || g->plan->vertices[e->vertex].role == DF_COMMIT)
        return true;
    out->mask_words = (out->from_groups + 63) / 64;
    out->masks = df_arena_alloc(arena_of(g), (size_t)g->ring * out->to_groups * out->mask_words *
                                                 sizeof *out->masks);
    return out->masks != NULL;
}

/* Where the streams of each port come from: an edge, or the same task. */
static bool make_sources(df_graph *g, uint32_t vertex)
{
    const df_plan *p = g->plan;
    const df_vertex *v = &p->vertices[vertex];

    for (uint32_t q = 0; q < v->port_count; q++) {
        graph_source *sources = df_arena_alloc(arena_of(g), (v->ports[q].stream_count + 1) *
                                                                sizeof *sources);
        if (sources == NULL)
            return false;
        for (uint32_t k = 0; k < v->ports[q].stream_count; k++) {
            sources[k] = (graph_source){ .stream = v->ports[q].streams[k], .edge = DF_NONE };
            for (uint32_t e = 0; e < p->edge_count; e++)
                if (p->edges[e].vertex == vertex && p->edges[e].port == q &&
                    p->edges[e].stream == sources[k].stream)
                    sources[k].edge = e;
        }
        g->vertices[vertex].sources[q] = sources;
    }
    return true;
}

static bool make_vertex(df_graph *g, uint32_t vertex)
{
    const df_vertex *v = &g->plan->vertices[vertex];
    graph_vertex *out = &g->vertices[vertex];
    uint32_t groups = v->partition.key_groups;

    out->random_name = XXH3_64bits_withSeed(v->name, strlen(v->name), g->plan->job.seed);
    if (v->carried != NULL) {
        out->carried_size = 8 * v->carried->column_count;
        out->carried = df_arena_alloc(arena_of(g), (size_t)groups * out->carried_size * 2);
        if (out->carried == NULL)
            return false;
    }
    if (v->birth_number != DF_NONE) {
        out->births = df_arena_alloc(arena_of(g), groups * sizeof *out->births);
        if (out->births == NULL)
            return false;
    }
    return graph_kept_setup(g, vertex, arena_of(g)) && make_sources(g, vertex);
}

static bool make_tables(df_graph *g)
{
    const df_plan *p = g->plan;
    df_arena *arena = arena_of(g);

    g->spaces = df_arena_alloc(arena, (p->space_count + 1) * sizeof *g->spaces);
    g->edges = df_arena_alloc(arena, (p->edge_count + 1) * sizeof *g->edges);
    g->missing = df_arena_alloc(arena, (p->stage_count + 1) * sizeof(*g->missing));
    g->vertices = df_arena_alloc(arena, (p->vertex_count + 1) * sizeof *g->vertices);
    g->ticks = df_arena_alloc(arena, g->ring * sizeof *g->ticks);
    if (g->spaces == NULL || g->edges == NULL || g->missing == NULL || g->vertices == NULL ||
        g->ticks == NULL)
        return false;
    for (uint32_t i = 0; i < p->space_count; i++)
        if (!make_space(g, i))
            return false;
    if (!make_no_rows(g))
        return false;
    for (uint32_t i = 0; i < p->edge_count; i++)
        if (!make_edge(g, i))
            return false;
    for (uint32_t i = 0; i < p->vertex_count; i++)
        if (!make_vertex(g, i))
            return false;
    for (uint32_t i = 0; i < p->stage_count; i++) {
        g->missing[i] = df_arena_alloc(arena, (size_t)g->ring * p->stages[i].partition.key_groups *
                                                  sizeof(uint32_t));
        if (g->missing[i] == NULL)
            return false;
    }
    for (uint32_t i = 0; i < g->ring; i++) {
        g->ticks[i].vertices = df_arena_alloc(arena, p->vertex_count + 1);
        g->ticks[i].stages = df_arena_alloc(arena, p->stage_count + 1);
        g->ticks[i].edges = df_arena_alloc(arena, p->edge_count + 1);
        g->ticks[i].before = df_arena_alloc(arena, (p->stage_count + 1) * sizeof(uint64_t));
        if (g->ticks[i].vertices == NULL || g->ticks[i].stages == NULL ||
            g->ticks[i].edges == NULL || g->ticks[i].before == NULL)
            return false;
    }
    return graph_print_setup(g, arena) && graph_owners_setup(g) && graph_move_setup(g, arena) &&
           graph_capture_setup(g, arena) && graph_awaits_setup(g, arena);
}

/* The tasks that can be ready at once: those of all open ticks. */
static size_t tasks_max(const df_graph *g)
{
    size_t tasks = 0, capacity = 64;

    for (uint32_t i = 0; i < g->plan->stage_count; i++)
        tasks += g->plan->stages[i].partition.key_groups;
    while (capacity < tasks * (g->plan->window + 2))
        capacity *= 2;
    return capacity;
}

static bool make_threads(df_graph *g)
{
    size_t capacity = tasks_max(g);

    g->threads = aligned_alloc(128, (g->thread_count + 1) * sizeof *g->threads);
    if (g->threads == NULL)
        return false;
    memset(g->threads, 0, (g->thread_count + 1) * sizeof *g->threads);
    for (uint32_t i = 0; i <= g->thread_count; i++) {
        graph_thread *t = &g->threads[i];
        t->graph = g;
        t->index = i;
        t->memory = (df_memory){ .pool = g->pool, .thread = i };
        t->random = g->options.shuffle_seed + i;
        t->deque.mask = (int64_t)capacity - 1;
        t->deque.items = df_arena_alloc(arena_of(g), capacity * sizeof *t->deque.items);
        t->local = df_arena_alloc(arena_of(g), (g->plan->stream_count + 1) * sizeof(*t->local));
        t->vertices = df_arena_alloc(arena_of(g), (g->plan->vertex_count + 1) * sizeof *t->vertices);
        if (t->deque.items == NULL || t->local == NULL || t->vertices == NULL)
            return false;
    }
    return graph_unit_setup(g, arena_of(g));
}

static bool make_kept(df_graph *g)
{
    if (!g->options.keep_states)
        return true;
    g->kept = df_arena_alloc(arena_of(g), (g->plan->state_count + 1) * sizeof(*g->kept));
    for (uint32_t s = 0; g->kept != NULL && s < g->plan->state_count; s++) {
        uint32_t groups = g->plan->vertices[s].partition.key_groups;
        g->kept[s] = df_arena_alloc(arena_of(g), groups * sizeof(*g->kept[s]));
        if (g->kept[s] == NULL)
            return false;
    }
    return g->kept != NULL;
}

/* ---- sinks ---- */

static bool writes_files(const weir_operator *kind)
{
    for (const weir_option *o = kind->options; o != NULL && o->name != NULL; o++)
        if (o->type == WEIR_FILE_OUT)
            return true;
    return false;
}

static df_status make_directory(const char *path, df_error *err)
{
    char part[4096];
    size_t size = strlen(path);

    if (size >= sizeof part)
        return df_fail(err, DF_ELIMIT, "%s: path too long", path);
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return df_fail(err, DF_EIO, "%s: %s", part, strerror(errno));
    }
    return DF_OK;
}

static df_status open_sink(df_graph *g, uint32_t vertex, df_error *err)
{
    const df_plan *p = g->plan;
    const df_vertex *v = &p->vertices[vertex];
    const df_stream *in = &p->streams[v->ports[0].streams[0]];
    weir_sink *sink = &g->vertices[vertex].sink;
    df_status status = DF_OK;

    *sink = (weir_sink){ .options = v->options, .job = &p->job, .schema = &in->schema,
                         .space = in->partition.space == DF_NONE
                                      ? NULL : &p->spaces[in->partition.space].view,
                         .directory = g->options.directory, .console = g->options.console };
    if (g->parted && g->part.marks != NULL && g->part.marks[vertex].size > 0)
        sink->resume = &g->part.marks[vertex];
    if (writes_files(v->kind))
        status = make_directory(g->options.directory, err);
    if (status != DF_OK)
        return df_wrap(err, status, "sink \"%s\"", v->name);
    if (v->kind->open != NULL && v->kind->open(sink) != WEIR_OK)
        return df_fail(err, DF_EIO, "sink \"%s\": %s", v->name, sink->error);
    sink->resume = NULL;
    g->vertices[vertex].sink_open = true;
    return df_failpoint(DF_FAILPOINT_sink_open, err);
}

df_status graph_open_sinks(df_graph *g, df_error *err)
{
    df_status status = DF_OK;

    if (g->parted && g->part.member != g->part.sink_member)
        return DF_OK;
    for (uint32_t i = 0; status == DF_OK && i < g->plan->vertex_count; i++)
        if (g->plan->vertices[i].kind != NULL && g->plan->vertices[i].kind->role == WEIR_SINK)
            status = open_sink(g, i, err);
    return status;
}

df_status df_graph_finish(df_graph *g, df_error *err)
{
    df_status status = DF_OK;

    for (uint32_t i = 0; i < g->plan->vertex_count; i++) {
        const df_vertex *v = &g->plan->vertices[i];
        graph_vertex *gv = &g->vertices[i];
        if (!gv->sink_open)
            continue;
        gv->sink_open = false;
        if (v->kind->close != NULL && v->kind->close(&gv->sink) != WEIR_OK && status == DF_OK)
            status = df_fail(err, DF_EIO, "sink \"%s\": %s", v->name, gv->sink.error);
    }
    return status;
}

/* ---- life ---- */

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

df_status df_graph_new(df_graph **out, const df_plan *plan, const df_graph_options *options,
                       df_error *err)
{
    graph_whole *whole = aligned_alloc(128, (sizeof *whole + 127) / 128 * 128);
    df_graph *g;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    df_status status;

    *out = NULL;
    if (whole == NULL)
        return df_fail(err, DF_ENOMEM, "graph: out of memory");
    memset(whole, 0, sizeof *whole);
    g = &whole->graph;
    g->plan = plan;
    g->options = *options;
    g->ring = 2 * plan->window + 2;
    g->thread_count = options->threads != 0 ? options->threads : cores > 0 ? (uint32_t)cores : 1;
    g->parted = options->part != NULL;
    g->alone = g->thread_count == 1 && !g->parted;
    if (g->parted)
        g->part = *options->part;
    g->first_tick = g->parted ? g->part.first_tick : 0;
    g->open = g->worked = g->observed = g->first_tick;
    atomic_store(&g->done, g->first_tick);
    g->target = g->parted ? g->first_tick : 0;
    g->complete = g->parted && g->part.member == g->part.sink_member ? g->first_tick : NO_TICK;
    atomic_store(&g->bound, g->parted ? g->first_tick : NO_TICK);
    atomic_store(&g->known, g->parted ? g->first_tick : NO_TICK);
    g->failure.tick = UINT64_MAX;
    atomic_store(&g->fail_tick, UINT64_MAX);
    pthread_mutex_init(&g->lock, NULL);
    pthread_mutex_init(&g->fail_lock, NULL);
    pthread_mutex_init(&g->kept_lock, NULL);
    pthread_mutex_init(&g->sleep_lock, NULL);
    atomic_store(&g->parked_due, NO_TICK);
    init_condition(&g->sleep_cond);
    whole->arena = df_arena_new();
    status = whole->arena == NULL ? df_fail(err, DF_ENOMEM, "graph: out of memory")
                                  : df_pool_new(&g->pool, g->thread_count + 1, err);
    if (status == DF_OK)
        status = df_pool_new(&g->sources, g->thread_count + 1, err);
    if (status == DF_OK && g->alone) {
        df_pool_alone(g->pool);
        df_pool_alone(g->sources);
    }
    if (status == DF_OK && (!make_tables(g) || !make_threads(g) || !make_kept(g)))
        status = df_fail(err, DF_ENOMEM, "graph: out of memory");
    if (status == DF_OK) {
        graph_prepare(g);
        if (g->parted)
            graph_owners_begin(g);
    }
    if (status == DF_OK)
        status = graph_open_sinks(g, err);
    if (status != DF_OK)
        df_graph_free(&g);
    *out = g;
    return status;
}

void df_graph_free(df_graph **graph)
{
    df_graph *g = *graph;

    if (g == NULL)
        return;
    graph_threads_stop(g);
    graph_parked_free(g);
    /* Who wants to know whether the files are whole has called it before. */
    if (g->vertices != NULL && df_graph_finish(g, NULL) != DF_OK)
        g->have_fingerprint = false;
    df_pool_free(&g->sources);
    df_pool_free(&g->pool); /* with every batch that a failed run left behind */
    pthread_mutex_destroy(&g->lock);
    pthread_mutex_destroy(&g->fail_lock);
    pthread_mutex_destroy(&g->kept_lock);
    pthread_mutex_destroy(&g->sleep_lock);
    pthread_cond_destroy(&g->sleep_cond);
    free(g->threads);
    graph_owners_fini(g);
    df_arena_free(&((graph_whole *)(void *)g)->arena);
    free(g);
    *graph = NULL;
}

/* ---- what others may ask ---- */

static void add_spans(df_spans *to, const graph_spans *more)
{
    to->nanoseconds += atomic_load_explicit(&more->nanoseconds, memory_order_relaxed);
    for (uint32_t i = 0; i < DF_SPANS_BUCKETS; i++)
        to->buckets[i] += atomic_load_explicit(&more->buckets[i], memory_order_relaxed);
}

void df_graph_stats_get(const df_graph *g, df_graph_stats *stats)
{
    uint64_t done = atomic_load(&g->done);

    *stats = (df_graph_stats){ .step = done > 1 ? done - 2 : 0, .begun = done > 1,
                               .allocations = df_pool_allocations(g->pool),
                               .pool_bytes = df_pool_bytes(g->pool) };
    for (uint32_t i = 0; i <= g->thread_count; i++) { /* the feeder runs tasks, too */
        const graph_thread *t = &g->threads[i];
        stats->rows += atomic_load_explicit(&t->rows, memory_order_relaxed);
        stats->tasks += atomic_load_explicit(&t->tasks, memory_order_relaxed);
        stats->steals += atomic_load_explicit(&t->steals, memory_order_relaxed);
        stats->sleeps += atomic_load_explicit(&t->sleeps, memory_order_relaxed);
        add_spans(&stats->task_spans, &t->task_spans);
    }
}

/* What one row of a vertex's first input takes. */
static uint64_t row_size_in(const df_plan *p, const df_vertex *v)
{
    if (v->port_count == 0)
        return 0;
    return df_schema_row_size(v->partial != NULL ? v->partial : &p->streams[v->ports[0].streams[0]].schema);
}

/* What a commit makes has, beside its stream's columns, where each row was when it settled. */
static uint64_t row_size_out(const df_plan *p, const df_vertex *v, uint32_t out)
{
    return df_schema_row_size(v->role == DF_COMMIT ? p->states[v->state].stored
                                                   : &p->streams[v->outs[out]].schema);
}

void df_graph_vertex_stats_get(const df_graph *g, uint32_t vertex, df_vertex_stats *stats)
{
    const df_vertex *v = &g->plan->vertices[vertex];

    *stats = (df_vertex_stats){ 0 };
    for (uint32_t i = 0; i <= g->thread_count; i++) { /* the feeder runs tasks, too */
        const graph_vertex_count *c = &g->threads[i].vertices[vertex];
        stats->rows_in += atomic_load_explicit(&c->rows_in, memory_order_relaxed);
        for (uint32_t o = 0; o < v->out_count; o++) {
            uint64_t rows = atomic_load_explicit(&c->rows_out[o], memory_order_relaxed);
            stats->rows_out += rows;
            stats->bytes_out += rows * row_size_out(g->plan, v, o);
        }
        add_spans(&stats->calls, &c->calls);
    }
    stats->bytes_in = stats->rows_in * row_size_in(g->plan, v);
}

bool df_graph_fingerprint(const df_graph *g, uint64_t *step, df_hash *total)
{
    *step = g->fingerprint_step;
    *total = g->fingerprint;
    return g->have_fingerprint;
}

const weir_batch *df_graph_state(const df_graph *g, uint32_t state, uint32_t key_group)
{
    if (g->kept == NULL || g->kept[state][key_group] == NULL)
        return NULL;
    return &g->kept[state][key_group]->view;
}
