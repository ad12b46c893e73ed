/* The layout of a checked plan: spaces cut into tiles, streams spread over key groups, vertices
 * joined to stages, and the edges between stages.
 *
 * A vertex joins the stage of its producers when all of its inputs come from its own key group, at its own
 * tick from that one stage, or from commits of the tick before: then no task of this tick can make it
 * wait. Every other vertex begins a stage. So stages form no loop where vertices form none. */
#include "dataflow/df_plan_build.h"
#include "dataflow/df_space.h"

#include <string.h>
#include <xxhash.h>

/* Cells that a space may have when nobody knows how many rows will be in it, and per row when they
 * are known: with fewer rows than cells, larger cells cost less than empty ones. */
#define STAGE_CELLS_UNKNOWN  (1u << 24)
#define STAGE_CELLS_PER_ROW  4u
#define STAGE_CELLS_LEAST    (1u << 12)

static uint64_t cells_max(const df_plan *p, uint32_t space)
{
    uint64_t rows = 0;

    for (uint32_t i = 0; i < p->state_count; i++) {
        const df_port *first = &p->vertices[i].ports[0];
        uint64_t of_source = p->vertices[p->streams[first->streams[0]].vertex].rows;
        if (p->states[i].space != space)
            continue;
        if (of_source == UINT64_MAX)
            return STAGE_CELLS_UNKNOWN;
        rows += of_source;
    }
    rows *= STAGE_CELLS_PER_ROW;
    if (rows > DF_CELLS_MAX)
        return DF_CELLS_MAX;
    return rows < STAGE_CELLS_LEAST ? STAGE_CELLS_LEAST : rows;
}

static bool cut_spaces(plan_build *b)
{
    if ((uint64_t)b->plan->space_count * b->plan->key_groups > DF_TILES_MAX) {
        df_report_add(b->report, b->draft->spaces[0].name.place, "%u spaces of up to %u key groups "
                      "each: together at most %u are allowed", b->plan->space_count,
                      b->plan->key_groups, DF_TILES_MAX);
        return false;
    }
    for (uint32_t i = 0; i < b->plan->space_count; i++) {
        df_error err = { 0 };
        df_status status = df_space_cut(&b->plan->spaces[i], b->plan->key_groups,
                                        cells_max(b->plan, i), b->arena, &err);

        b->no_memory |= status == DF_ENOMEM;
        if (status == DF_EINVAL)
            df_report_add(b->report, b->draft->spaces[i].name.place, "space \"%s\": %s",
                          b->draft->spaces[i].name.text, err.text);
        if (status != DF_OK)
            return false;
    }
    return true;
}

static void spread_state(df_plan *p, df_state *state)
{
    df_partition *part = &p->streams[state->stream].partition;
    const df_vertex *source = &p->vertices[p->streams[p->vertices[state->vertex].ports[0].streams[0]].vertex];

    *part = (df_partition){ .kind = DF_PART_HASH, .key_groups = p->key_groups, .space = state->space };
    if (state->space != DF_NONE) {
        part->kind = DF_PART_SPACE;
        part->key_groups = p->spaces[state->space].tile_count;
    } else if (source->rows != UINT64_MAX && source->port_count == 0 && source->rows > 0) {
        uint64_t runs = (source->rows + source->run - 1) / source->run;
        part->kind = DF_PART_RANGE;
        part->rows = source->rows;
        part->run = source->run;
        part->key_groups = runs < p->key_groups ? (uint32_t)runs : p->key_groups;
    }
    p->vertices[state->vertex].partition = *part;
}

static df_partition source_partition(const df_plan *p, uint32_t vertex)
{
    const df_vertex *v = &p->vertices[vertex];
    const df_state *target = plan_target(p, vertex);
    df_partition part = { .kind = DF_PART_ONE, .key_groups = 1, .space = DF_NONE };
    uint64_t runs;

    if (v->rows == UINT64_MAX || v->rows == 0)
        return part;
    if (target != NULL && target->space == DF_NONE)
        return p->streams[target->stream].partition;
    runs = (v->rows + v->run - 1) / v->run;
    part.kind = DF_PART_RANGE;
    part.rows = v->rows;
    part.run = v->run;
    part.key_groups = runs < p->key_groups ? (uint32_t)runs : p->key_groups;
    return part;
}

bool plan_same_partition(const df_partition *a, const df_partition *b)
{
    return a->kind == b->kind && a->key_groups == b->key_groups && a->space == b->space &&
           a->rows == b->rows && a->run == b->run;
}

static bool check_forward(plan_build *b, uint32_t vertex)
{
    const df_plan *p = b->plan;
    const df_vertex *v = &p->vertices[vertex];

    for (uint32_t q = 0; q < v->port_count; q++)
        for (uint32_t k = 0; k < v->ports[q].stream_count; k++) {
            const df_stream *s = &p->streams[v->ports[q].streams[k]];
            if (v->ports[q].exchange != WEIR_FORWARD && v->ports[q].exchange != WEIR_HALO)
                continue;
            if (!plan_same_partition(&s->partition, &v->partition)) {
                df_report_add(b->report, plan_draft_of(b, vertex)->name.place,
                              "operator \"%s\": the rows of \"%s\" and \"%s\" live in different key "
                              "groups and cannot be joined row by row", v->name, s->name,
                              p->streams[v->ports[0].streams[0]].name);
                return false;
            }
            if (v->ports[q].exchange == WEIR_HALO && p->vertices[s->vertex].role != DF_COMMIT) {
                df_report_add(b->report, plan_draft_of(b, vertex)->name.place,
                              "operator \"%s\": only a state's rows have neighbours, and \"%s\" is "
                              "not a state", v->name, s->name);
                return false;
            }
        }
    return true;
}

static df_partition vertex_partition(const df_plan *p, uint32_t vertex)
{
    const df_vertex *v = &p->vertices[vertex];
    df_partition part = { .kind = DF_PART_HASH, .key_groups = p->key_groups, .space = DF_NONE };

    if (v->port_count == 0)
        return source_partition(p, vertex);
    if (v->ports[0].exchange == WEIR_GATHER)
        return (df_partition){ .kind = DF_PART_ONE, .key_groups = 1, .space = DF_NONE };
    if (v->ports[0].exchange != WEIR_KEY_BY)
        return p->streams[v->ports[0].streams[0]].partition;
    plan_group_at_home(p, v, &part);
    return part;
}

static bool spread(plan_build *b)
{
    df_plan *p = b->plan;

    for (uint32_t i = 0; i < p->state_count; i++)
        spread_state(p, &p->states[i]);
    plan_find_run_columns(p);
    for (uint32_t i = 0; i < p->vertex_count; i++) {
        uint32_t vertex = p->order[i];
        df_vertex *v = &p->vertices[vertex];

        if (v->role == DF_COMMIT)
            continue;
        v->partition = vertex_partition(p, vertex);
        for (uint32_t o = 0; o < v->out_count; o++)
            p->streams[v->outs[o]].partition = v->partition;
        if (!check_forward(b, vertex))
            return false;
    }
    return true;
}

/* ---- stages ---- */

/* Whether the rows of one input reach the vertex within the task that makes them. */
static bool stays_in_task(const df_plan *p, const df_vertex *v, const df_port *port,
                          const df_stream *s)
{
    if (p->vertices[s->vertex].role == DF_COMMIT)
        return false;
    if (v->role == DF_OPERATOR)
        return port->exchange != WEIR_KEY_BY && plan_stays_home(p, v, port);
    return
           (v->partition.kind != DF_PART_SPACE && plan_same_partition(&s->partition, &v->partition));
}

/* Whether one input comes from this key group's commits of the tick before: it is there when the task of
 * the stage that the vertex joins may begin, or that task waits for it. */
static bool from_own_past(const df_plan *p, const df_vertex *v, const df_port *port, const df_stream *s)
{
    return v->role == DF_OPERATOR && p->vertices[s->vertex].role == DF_COMMIT &&
           plan_stays_home(p, v, port);
}

/* The stage that a vertex can join, or DF_NONE. A commit's `first` is filled once, by a stage of its
 * own, and does not count. */
static uint32_t stage_to_join(const df_plan *p, const df_vertex *v)
{
    uint32_t stage = DF_NONE;

    if (v->kind != NULL && v->kind->role == WEIR_SINK)
        return DF_NONE;
    for (uint32_t q = v->role == DF_COMMIT ? 1 : 0; q < v->port_count; q++)
        for (uint32_t k = 0; k < v->ports[q].stream_count; k++) {
            const df_stream *s = &p->streams[v->ports[q].streams[k]];
            uint32_t of = p->vertices[s->vertex].stage;

            if (from_own_past(p, v, &v->ports[q], s))
                continue;
            if (!stays_in_task(p, v, &v->ports[q], s) || (stage != DF_NONE && stage != of))
                return DF_NONE;
            stage = of;
        }
    return stage;
}

static bool make_stages(plan_build *b)
{
    df_plan *p = b->plan;

    p->stages = plan_alloc(b, sizeof *p->stages * (p->vertex_count + 1));
    if (p->stages == NULL)
        return false;
    for (uint32_t i = 0; i < p->vertex_count; i++) {
        df_vertex *v = &p->vertices[p->order[i]];
        uint32_t stage = stage_to_join(p, v);
        df_stage *s;

        if (stage == DF_NONE) {
            stage = p->stage_count++;
            p->stages[stage].vertices = plan_alloc(b, sizeof(uint32_t) * p->vertex_count);
            p->stages[stage].partition = v->partition;
            if (b->no_memory)
                return false;
        }
        s = &p->stages[stage];
        v->stage = stage;
        s->vertices[s->vertex_count++] = p->order[i];
        s->sink = v->kind != NULL && v->kind->role == WEIR_SINK;
        s->serial = s->serial || s->sink || v->carried != NULL || v->birth_number != DF_NONE;
    }
    return true;
}

/* ---- edges ---- */

static void describe_edge(const df_plan *p, df_edge *e)
{
    const df_vertex *v = &p->vertices[e->vertex];
    const df_stream *s = &p->streams[e->stream];
    const df_port *port = &v->ports[e->port];
    bool home;

    e->from = p->vertices[s->vertex].stage;
    e->to = v->stage;
    e->ticks = p->vertices[s->vertex].role == DF_COMMIT ? 1 : 0;
    if (v->role == DF_COMMIT) {
        const df_state *state = &p->states[v->state];
        bool same = plan_same_partition(&s->partition, &v->partition);

        e->routed = state->space != DF_NONE || !same;
        e->fan = !e->routed ? DF_FAN_SAME
                 : same && !state->moves_anywhere ? DF_FAN_NEIGHBOURS
                                                  : DF_FAN_ALL;
        return;
    }
    home = plan_stays_home(p, v, port);
    e->routed = port->exchange == WEIR_KEY_BY && !home;
    e->fan = home                          ? DF_FAN_SAME
             : port->exchange == WEIR_HALO ? DF_FAN_NEIGHBOURS
                                           : DF_FAN_ALL;
}

static void visit_inputs(df_plan *p, uint32_t vertex, df_edge *edges)
{
    const df_vertex *v = &p->vertices[vertex];

    for (uint32_t q = 0; q < v->port_count; q++)
        for (uint32_t k = 0; k < v->ports[q].stream_count; k++) {
            const df_vertex *from = &p->vertices[p->streams[v->ports[q].streams[k]].vertex];
            if (from->stage == v->stage && from->role == DF_OPERATOR)
                continue;
            if (edges != NULL) {
                df_edge *e = &edges[p->edge_count];
                *e = (df_edge){ .stream = v->ports[q].streams[k], .vertex = vertex, .port = q };
                describe_edge(p, e);
            }
            p->edge_count++;
        }
}

static bool make_edges(plan_build *b)
{
    df_plan *p = b->plan;

    for (uint32_t i = 0; i < p->vertex_count; i++)
        visit_inputs(p, i, NULL);
    p->edges = plan_alloc(b, sizeof *p->edges * (p->edge_count + 1));
    if (p->edges == NULL)
        return false;
    p->edge_count = 0;
    for (uint32_t i = 0; i < p->vertex_count; i++)
        visit_inputs(p, i, p->edges);
    for (uint32_t s = 0; s < p->stage_count; s++) {
        df_stage *stage = &p->stages[s];
        stage->in_edges = plan_alloc(b, sizeof(uint32_t) * (p->edge_count + 1));
        stage->out_edges = plan_alloc(b, sizeof(uint32_t) * (p->edge_count + 1));
        if (b->no_memory)
            return false;
        for (uint32_t e = 0; e < p->edge_count; e++) {
            if (p->edges[e].to == s)
                stage->in_edges[stage->in_count++] = e;
            if (p->edges[e].from == s)
                stage->out_edges[stage->out_count++] = e;
        }
    }
    return true;
}

bool plan_lay_out(plan_build *b)
{
    return cut_spaces(b) && spread(b) && make_stages(b) && make_edges(b);
}

/* ---- hash ---- */

static void put(XXH3_state_t *state, const void *bytes, size_t size)
{
    XXH3_128bits_update(state, bytes, size);
}

static void put_u64(XXH3_state_t *state, uint64_t value)
{
    unsigned char bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    put(state, bytes, sizeof bytes);
}

static void put_f64(XXH3_state_t *state, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    put_u64(state, bits);
}

static void put_text(XXH3_state_t *state, const char *text)
{
    put_u64(state, text == NULL ? 0 : strlen(text));
    if (text != NULL)
        put(state, text, strlen(text));
}

static void put_option(XXH3_state_t *state, const weir_option *option, const char *options)
{
    const char *field = options + option->offset;

    put_text(state, option->name);
    if (option->type < WEIR_TEXT) {
        put(state, field, weir_type_size((weir_type)option->type));
    } else if (option->type == WEIR_CHOICE) {
        put_u64(state, *(const uint32_t *)(const void *)field);
    } else if (option->type == WEIR_BOOL) {
        put_u64(state, *(const bool *)field);
    } else if (option->type == WEIR_RANGE) {
        put_f64(state, ((const double *)(const void *)field)[0]);
        put_f64(state, ((const double *)(const void *)field)[1]);
    } else if (option->type == WEIR_COLUMNS) {
        const weir_names *names = (const weir_names *)(const void *)field;
        put_u64(state, names->count);
        for (uint32_t i = 0; i < names->count; i++)
            put_text(state, names->names[i]);
    } else if (option->type == WEIR_COMPUTE) {
        const weir_computes *items = (const weir_computes *)(const void *)field;
        put_u64(state, items->count);
        for (uint32_t i = 0; i < items->count; i++) {
            put_text(state, items->items[i].name);
            put_text(state, items->items[i].text);
        }
    } else if (option->type != WEIR_FILE_IN && option->type != WEIR_FILE_OUT) {
        put_text(state, *(const char *const *)(const void *)field);
    }
}

static void put_vertex(XXH3_state_t *state, const df_plan *p, const df_vertex *v)
{
    put_text(state, v->name);
    put_text(state, v->kind == NULL ? "" : v->kind->name);
    put_u64(state, v->every_steps);
    put_u64(state, v->at_end);
    for (uint32_t q = 0; q < v->port_count; q++) {
        put_u64(state, v->ports[q].stream_count);
        for (uint32_t k = 0; k < v->ports[q].stream_count; k++)
            put_text(state, p->streams[v->ports[q].streams[k]].name);
    }
    for (uint32_t o = 0; o < v->out_count; o++) {
        const weir_schema *schema = &p->streams[v->outs[o]].schema;
        put_u64(state, schema->column_count);
        for (uint32_t c = 0; c < schema->column_count; c++) {
            put_text(state, schema->columns[c].name);
            put_u64(state, schema->columns[c].type);
        }
    }
    for (const weir_option *option = v->kind ? v->kind->options : NULL;
         option != NULL && option->name != NULL; option++)
        put_option(state, option, v->options);
}

static void put_space(XXH3_state_t *state, const df_space *space)
{
    put_text(state, space->view.name);
    put_u64(state, space->view.axis_count);
    for (uint32_t a = 0; a < space->view.axis_count; a++) {
        put_text(state, space->view.axes[a]);
        put_f64(state, space->view.size[a]);
        put_u64(state, space->view.periodic[a]);
        put_u64(state, space->view.cells[a]);
        put_u64(state, space->view.tiles[a]);
    }
}

/* Sinks, the number of steps, the window and file names decide no state, so they are left out: a run
 * can be verified against a recording that wrote other files or went on for longer. */
void plan_hash(df_plan *p)
{
    XXH3_state_t state;
    XXH128_hash_t hash;

    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    put_text(&state, p->job.name);
    put_u64(&state, p->job.seed);
    put_f64(&state, p->job.dt);
    put_f64(&state, p->job.time_start);
    put_u64(&state, p->key_groups);
    for (uint32_t i = 0; i < p->space_count; i++)
        put_space(&state, &p->spaces[i]);
    for (uint32_t i = 0; i < p->state_count; i++)
        put_u64(&state, p->states[i].space);
    for (uint32_t i = 0; i < p->state_count; i++) {
        if (p->states[i].settle_every == 1)
            continue; /* hashed as before there was settling */
        put_u64(&state, i);
        put_u64(&state, p->states[i].settle_every);
        put_f64(&state, p->states[i].skin);
    }
    for (uint32_t i = 0; i < p->vertex_count; i++)
        if (p->vertices[i].kind == NULL || p->vertices[i].kind->role != WEIR_SINK)
            put_vertex(&state, p, &p->vertices[i]);
    hash = XXH3_128bits_digest(&state);
    p->hash[0] = hash.high64;
    p->hash[1] = hash.low64;
}
