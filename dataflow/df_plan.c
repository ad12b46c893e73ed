/* From a draft to a plan: a checklist, one named function per rule, each with its own error text.
 * Every rule that can still be checked after an error is, so that a person sees all errors at once. */
#include "dataflow/df_plan_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

void *plan_alloc(plan_build *build, size_t size)
{
    void *memory = df_arena_alloc(build->arena, size);

    if (memory == NULL)
        build->no_memory = true;
    return memory;
}

const df_draft_operator *plan_draft_of(const plan_build *build, uint32_t vertex)
{
    return &build->draft->operators[vertex - build->plan->state_count];
}

const df_state *plan_target(const df_plan *plan, uint32_t vertex)
{
    const df_vertex *v = &plan->vertices[vertex];

    for (uint32_t i = 0; i < v->reader_count; i++) {
        const df_vertex *reader = &plan->vertices[v->readers[i].vertex];
        if (reader->role == DF_COMMIT && v->readers[i].port == 0)
            return &plan->states[reader->state];
    }
    return NULL;
}

/* ---- vertices and streams ---- */

static bool alloc_tables(plan_build *b)
{
    const df_draft *d = b->draft;
    df_plan *p = b->plan;
    uint32_t streams = d->state_count;

    for (uint32_t i = 0; i < d->operator_count; i++)
        for (uint32_t o = 0; o < WEIR_PORTS_MAX && d->operators[i].kind->outputs[o]; o++)
            streams++;
    p->job = d->job;
    p->key_groups = d->key_groups;
    p->window = d->window;
    p->space_count = d->space_count;
    p->state_count = d->state_count;
    p->vertex_count = d->state_count + d->operator_count;
    p->spaces = plan_alloc(b, sizeof *p->spaces * (d->space_count + 1));
    p->states = plan_alloc(b, sizeof *p->states * (d->state_count + 1));
    p->vertices = plan_alloc(b, sizeof *p->vertices * (p->vertex_count + 1));
    p->streams = plan_alloc(b, sizeof *p->streams * (streams + 1));
    p->order = plan_alloc(b, sizeof *p->order * (p->vertex_count + 1));
    return !b->no_memory;
}

static void make_spaces(plan_build *b)
{
    for (uint32_t i = 0; i < b->draft->space_count; i++) {
        const df_draft_space *d = &b->draft->spaces[i];
        weir_space *view = &b->plan->spaces[i].view;

        snprintf(view->name, sizeof view->name, "%s", d->name.text);
        view->axis_count = d->axis_count;
        for (uint32_t a = 0; a < WEIR_AXES_MAX; a++) {
            bool there = a < d->axis_count;
            snprintf(view->axes[a], sizeof view->axes[a], "%s", there ? d->axes[a] : "");
            view->size[a] = there ? d->size[a] : 1;
            view->periodic[a] = there && d->periodic[a];
        }
    }
}

static uint32_t add_stream(plan_build *b, uint32_t vertex, const char *name, const char *out)
{
    df_plan *p = b->plan;
    df_vertex *v = &p->vertices[vertex];
    df_stream *s = &p->streams[p->stream_count];

    s->vertex = vertex;
    s->out = v->out_count;
    s->partition.space = DF_NONE;
    snprintf(s->name, sizeof s->name, "%s%s%s", name, out ? "." : "", out ? out : "");
    v->outs[v->out_count++] = p->stream_count;
    return p->stream_count++;
}

static void make_state(plan_build *b, uint32_t index)
{
    df_plan *p = b->plan;
    const df_draft_state *d = &b->draft->states[index];
    df_state *state = &p->states[index];
    df_vertex *v = &p->vertices[index];

    *v = (df_vertex){ .name = d->name.text, .role = DF_COMMIT, .state = index, .every_steps = 1,
                      .birth_number = DF_NONE, .rows = UINT64_MAX, .run_column = -1 };
    v->port_count = 2;
    v->ports[0] = (df_port){ .name = "first", .exchange = WEIR_FORWARD, .column = -1 };
    v->ports[1] = (df_port){ .name = "next", .exchange = WEIR_FORWARD, .column = -1 };
    state->name = d->name.text;
    state->vertex = index;
    state->space = DF_NONE;
    state->moves_anywhere = d->moves_anywhere;
    state->settle_every = d->settle_every > 1 ? d->settle_every : 1;
    state->skin = d->settle_every > 1 ? d->skin : 0;
    state->stream = add_stream(b, index, d->name.text, NULL);
    p->streams[state->stream].schema = d->schema;
}

static void make_operator(plan_build *b, uint32_t vertex)
{
    df_vertex *v = &b->plan->vertices[vertex];
    const df_draft_operator *d = plan_draft_of(b, vertex);

    *v = (df_vertex){ .name = d->name.text, .role = DF_OPERATOR, .kind = d->kind,
                      .options = d->options, .every_steps = d->every_steps, .at_end = d->at_end,
                      .birth_number = DF_NONE, .rows = UINT64_MAX, .run_column = -1,
                      .state = DF_NONE };
    for (uint32_t o = 0; o < WEIR_PORTS_MAX && d->kind->outputs[o] != NULL; o++)
        add_stream(b, vertex, d->name.text,
                   strcmp(d->kind->outputs[o], "out") == 0 ? NULL : d->kind->outputs[o]);
    for (uint32_t i = 0; i < WEIR_PORTS_MAX && d->kind->inputs[i].name != NULL; i++)
        v->ports[v->port_count++] = (df_port){ .name = d->kind->inputs[i].name,
                                               .exchange = d->kind->inputs[i].exchange,
                                               .column = -1 };
}

/* ---- names ---- */

static void link_spaces(plan_build *b)
{
    df_plan *p = b->plan;

    for (uint32_t i = 0; i < p->state_count; i++) {
        const df_draft_state *d = &b->draft->states[i];
        df_state *state = &p->states[i];
        const char *names[DF_SPACES_MAX], *near;

        for (uint32_t s = 0; s < p->space_count; s++) {
            names[s] = p->spaces[s].view.name;
            if (d->space.text != NULL && strcmp(names[s], d->space.text) == 0)
                state->space = s;
        }
        p->streams[state->stream].partition.space = state->space;
        if (state->space != DF_NONE && state->skin > p->spaces[state->space].skin)
            p->spaces[state->space].skin = state->skin;
        if (d->space.text == NULL || state->space != DF_NONE)
            continue;
        near = df_nearest(d->space.text, names, p->space_count);
        df_report_add(b->report, d->space.place, "state \"%s\": unknown space \"%s\"%s%s%s",
                      d->name.text, d->space.text, near ? " (did you mean \"" : "",
                      near ? near : "", near ? "\"?)" : "");
    }
}

static void check_axis_columns(plan_build *b)
{
    for (uint32_t i = 0; i < b->plan->state_count; i++) {
        df_state *state = &b->plan->states[i];
        const df_draft_state *d = &b->draft->states[i];

        if (state->space == DF_NONE)
            continue;
        for (uint32_t a = 0; a < b->plan->spaces[state->space].view.axis_count; a++) {
            const char *axis = b->plan->spaces[state->space].view.axes[a];
            int c = weir_schema_find(&d->schema, axis);
            state->axis_columns[a] = c;
            if (c < 0 || d->schema.columns[c].type != WEIR_F32)
                df_report_add(b->report, d->name.place,
                              "state \"%s\": space \"%s\" has the axis %s, so the state needs the "
                              "column %s (f32)", d->name.text, d->space.text, axis, axis);
        }
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const df_stream *const *)a)->name, (*(const df_stream *const *)b)->name);
}

/* The streams by name, for find_stream: a hostile job names thousands, many times. */
static void sort_streams(plan_build *b)
{
    df_plan *p = b->plan;

    b->by_name = plan_alloc(b, sizeof(*b->by_name) * (p->stream_count + 1));
    for (uint32_t i = 0; b->by_name != NULL && i < p->stream_count; i++)
        b->by_name[i] = &p->streams[i];
    if (b->by_name != NULL)
        qsort(b->by_name, p->stream_count, sizeof(*b->by_name), compare_names);
}

static const char *nearest_stream(plan_build *b, const char *name)
{
    const df_plan *p = b->plan;
    const char **names;

    if (b->report->count >= DF_REPORT_MAX)
        return NULL; /* nobody will read it */
    names = plan_alloc(b, sizeof *names * (p->stream_count + 1));
    for (uint32_t i = 0; names != NULL && i < p->stream_count; i++)
        names[i] = p->streams[i].name;
    return names == NULL ? NULL : df_nearest(name, names, p->stream_count);
}

/* The stream of a name, or DF_NONE with an error: `who` needs it as `what`. */
static uint32_t find_stream(plan_build *b, const df_text *name, const char *who_is, const char *who,
                            const char *what)
{
    uint32_t low = 0, high = b->plan->stream_count;
    const char *near;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(b->by_name[middle]->name, name->text);
        if (order == 0)
            return (uint32_t)(b->by_name[middle] - b->plan->streams);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    near = nearest_stream(b, name->text);
    df_report_add(b->report, name->place, "%s \"%s\": %s \"%s\" is no stream%s%s%s", who_is, who, what,
                  name->text, near ? " (did you mean \"" : "", near ? near : "",
                  near ? "\"?)" : "");
    return DF_NONE;
}

static void link_port(plan_build *b, uint32_t vertex, uint32_t port, const df_text *names,
                      uint32_t count, const char *who_is, const char *what)
{
    df_vertex *v = &b->plan->vertices[vertex];

    if (count > DF_UNION_MAX) {
        df_report_add(b->report, names[0].place, "%s \"%s\": %s lists %u streams, at most %d are "
                      "allowed", who_is, v->name, what, count, DF_UNION_MAX);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t stream = find_stream(b, &names[i], who_is, v->name, what);
        if (stream != DF_NONE)
            v->ports[port].streams[v->ports[port].stream_count++] = stream;
    }
}

static void link_states(plan_build *b)
{
    for (uint32_t i = 0; i < b->plan->state_count; i++) {
        const df_draft_state *d = &b->draft->states[i];

        if (d->first.text == NULL)
            df_report_add(b->report, d->name.place, "state \"%s\": \"first\" is missing: the stream "
                          "that holds its rows at step 0", d->name.text);
        else
            link_port(b, i, 0, &d->first, 1, "state", "first");
        if (d->next_count == 0)
            df_report_add(b->report, d->name.place, "state \"%s\": \"next\" is missing: the stream "
                          "that holds its rows at the next step", d->name.text);
        else
            link_port(b, i, 1, d->next, d->next_count, "state", "next");
    }
}

static void link_operator(plan_build *b, uint32_t vertex)
{
    const df_draft_operator *d = plan_draft_of(b, vertex);
    const char *who_is = d->sink ? "sink" : "operator";
    df_vertex *v = &b->plan->vertices[vertex];
    bool given[WEIR_PORTS_MAX] = { false };

    for (uint32_t i = 0; i < d->input_count; i++) {
        const df_draft_input *in = &d->inputs[i];
        uint32_t port = 0;

        while (port < v->port_count && in->port.text != NULL &&
               strcmp(v->ports[port].name, in->port.text) != 0)
            port++;
        if (port == v->port_count)
            df_report_add(b->report, in->port.place, "%s \"%s\": kind \"%s\" has no input%s%s%s",
                          who_is, v->name, d->kind->name, in->port.text ? " \"" : "",
                          in->port.text ? in->port.text : "", in->port.text ? "\"" : "");
        else
            link_port(b, vertex, port, in->streams, in->stream_count, who_is, "in");
        if (port < v->port_count)
            given[port] = true;
    }
    for (uint32_t port = 0; port < v->port_count; port++)
        if (!given[port])
            df_report_add(b->report, d->name.place, "%s \"%s\": input \"in%s%s\" is missing", who_is,
                          v->name, port > 0 ? "." : "", port > 0 ? v->ports[port].name : "");
}

static void check_roles(plan_build *b)
{
    for (uint32_t i = 0; i < b->draft->operator_count; i++) {
        const df_draft_operator *d = &b->draft->operators[i];

        if (d->sink != (d->kind->role == WEIR_SINK))
            df_report_add(b->report, d->kind_place, "%s \"%s\": kind \"%s\" is %s: write [%s.%s]",
                          d->sink ? "sink" : "operator", d->name.text, d->kind->name,
                          d->sink ? "no sink" : "a sink", d->sink ? "operator" : "sink",
                          d->name.text);
    }
}

/* Who reads the streams of each vertex. */
static void make_readers(plan_build *b)
{
    df_plan *p = b->plan;

    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < p->vertex_count && pass == 1; i++) {
            p->vertices[i].readers = plan_alloc(b, sizeof(df_reader) * p->vertices[i].reader_count);
            if (p->vertices[i].readers == NULL)
                return;
            p->vertices[i].reader_count = 0;
        }
        for (uint32_t i = 0; i < p->vertex_count; i++)
            for (uint32_t q = 0; q < p->vertices[i].port_count; q++)
                for (uint32_t k = 0; k < p->vertices[i].ports[q].stream_count; k++) {
                    df_vertex *from = &p->vertices[p->streams[p->vertices[i].ports[q].streams[k]].vertex];
                    if (pass == 1)
                        from->readers[from->reader_count] = (df_reader){ i, q };
                    from->reader_count++;
                }
    }
}

/* ---- order ---- */

/* Whether everything that a vertex reads at its own tick is placed. */
static bool inputs_placed(const df_plan *p, uint32_t vertex, const bool *placed)
{
    const df_vertex *v = &p->vertices[vertex];

    for (uint32_t q = 0; q < v->port_count; q++)
        for (uint32_t k = 0; k < v->ports[q].stream_count; k++) {
            uint32_t from = p->streams[v->ports[q].streams[k]].vertex;
            if (p->vertices[from].role != DF_COMMIT && !placed[from])
                return false;
        }
    return true;
}

static uint32_t unplaced_input(const df_plan *p, uint32_t vertex, const bool *placed)
{
    const df_vertex *v = &p->vertices[vertex];

    for (uint32_t q = 0; q < v->port_count; q++)
        for (uint32_t k = 0; k < v->ports[q].stream_count; k++) {
            uint32_t from = p->streams[v->ports[q].streams[k]].vertex;
            if (p->vertices[from].role != DF_COMMIT && !placed[from])
                return from;
        }
    return DF_NONE;
}

/* Walk back from an unplaced vertex until one repeats: that is a loop. */
static void report_loop(plan_build *b, uint32_t vertex, const bool *placed)
{
    df_plan *p = b->plan;
    uint32_t path[DF_OPERATORS_MAX + 1], count = 0, start = 0;
    char text[300] = "";
    size_t used = 0;

    for (;;) {
        for (start = 0; start < count && path[start] != vertex; start++)
            ;
        if (start < count)
            break;
        path[count++] = vertex;
        vertex = unplaced_input(p, vertex, placed);
    }
    /* path runs against the arrows: print it from its end, and begin with the first in the file. */
    uint32_t length = count - start, first = 0;
    for (uint32_t i = 0; i < length; i++)
        if (path[start + i] < path[start + first])
            first = i;
    for (uint32_t i = 0; i <= length && used < sizeof text - 80; i++) {
        uint32_t at = start + (first + length * 2 - i) % length;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%s\"", i > 0 ? " -> " : "",
                                 p->vertices[path[at]].name);
    }
    df_report_add(b->report, plan_draft_of(b, path[start + first])->name.place,
                  "operators %s form a loop: a loop goes through a state's \"next\"", text);
}

/* Producers before readers; ties in the order of the job file; commits when their inputs are. */
static bool order_vertices(plan_build *b)
{
    df_plan *p = b->plan;
    bool *placed = plan_alloc(b, p->vertex_count + 1);
    uint32_t count = 0, before;

    if (placed == NULL)
        return false;
    do {
        before = count;
        for (uint32_t i = 0; i < p->vertex_count; i++)
            if (!placed[i] && inputs_placed(p, i, placed)) {
                placed[i] = true;
                p->order[count++] = i;
            }
    } while (count > before);
    for (uint32_t i = p->state_count; i < p->vertex_count; i++)
        if (!placed[i]) {
            report_loop(b, i, placed);
            return false;
        }
    return true;
}

/* ---- schemas ---- */

/* The streams of one port hold the same columns in the same order. */
static void check_union(plan_build *b, uint32_t vertex, uint32_t port)
{
    const df_plan *p = b->plan;
    const df_port *q = &p->vertices[vertex].ports[port];
    const df_stream *first = &p->streams[q->streams[0]];

    for (uint32_t k = 1; k < q->stream_count; k++) {
        const df_stream *other = &p->streams[q->streams[k]];
        bool same = other->schema.column_count == first->schema.column_count;
        for (uint32_t c = 0; same && c < first->schema.column_count; c++)
            same = first->schema.columns[c].type == other->schema.columns[c].type &&
                   strcmp(first->schema.columns[c].name, other->schema.columns[c].name) == 0;
        if (!same)
            df_report_add(b->report, plan_draft_of(b, vertex)->name.place,
                          "operator \"%s\": the streams \"%s\" and \"%s\" of one list have "
                          "different columns", p->vertices[vertex].name, first->name, other->name);
    }
}

static void plan_operator(plan_build *b, uint32_t vertex)
{
    df_plan *p = b->plan;
    df_vertex *v = &p->vertices[vertex];
    uint32_t errors = b->report->count;

    for (uint32_t q = 0; q < v->port_count; q++) {
        if (v->ports[q].stream_count == 0)
            return; /* reported when it was linked */
        for (uint32_t k = 0; k < v->ports[q].stream_count; k++)
            if (p->streams[v->ports[q].streams[k]].schema.column_count == 0 &&
                b->report->count > 0)
                return; /* its producer failed; what follows would be noise */
        check_union(b, vertex, q);
    }
    plan_call_kind(b, vertex);
    if (b->report->count > errors)
        for (uint32_t o = 0; o < v->out_count; o++)
            p->streams[v->outs[o]].schema.column_count = 0;
    if (v->port_count > 0 && (v->ports[0].exchange == WEIR_FORWARD || v->ports[0].exchange == WEIR_HALO))
        for (uint32_t o = 0; o < v->out_count; o++)
            p->streams[v->outs[o]].partition.space = p->streams[v->ports[0].streams[0]].partition.space;
}

static void check_state_stream(plan_build *b, const df_state *state, const df_stream *stream,
                               const char *what, df_place place)
{
    const weir_schema *schema = &b->plan->streams[state->stream].schema;

    if (stream->schema.column_count == 0 && b->report->count > 0)
        return;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        const weir_column *want = &schema->columns[c];
        int index = weir_schema_find(&stream->schema, want->name);
        if (index < 0)
            df_report_add(b->report, place, "state \"%s\": %s \"%s\" lacks column %s (%s)",
                          state->name, what, stream->name, want->name, weir_type_name(want->type));
        else if (stream->schema.columns[index].type != want->type)
            df_report_add(b->report, place, "state \"%s\": %s \"%s\" has column %s as %s, the state "
                          "has it as %s", state->name, what, stream->name, want->name,
                          weir_type_name(stream->schema.columns[index].type),
                          weir_type_name(want->type));
    }
}

static void check_states(plan_build *b)
{
    for (uint32_t i = 0; i < b->plan->state_count; i++) {
        const df_draft_state *d = &b->draft->states[i];
        const df_vertex *v = &b->plan->vertices[i];

        for (uint32_t q = 0; q < 2; q++)
            for (uint32_t k = 0; k < v->ports[q].stream_count; k++)
                check_state_stream(b, &b->plan->states[i], &b->plan->streams[v->ports[q].streams[k]],
                                   v->ports[q].name, q == 0 ? d->first.place : d->next[k].place);
    }
}

/* ---- the checklist ---- */

static df_status build_plan(plan_build *b)
{
    if (!alloc_tables(b))
        return DF_ENOMEM;
    make_spaces(b);
    for (uint32_t i = 0; i < b->plan->state_count; i++)
        make_state(b, i);
    for (uint32_t i = b->plan->state_count; i < b->plan->vertex_count; i++)
        make_operator(b, i);
    sort_streams(b);
    if (b->no_memory)
        return DF_ENOMEM;
    check_roles(b);
    link_spaces(b);
    check_axis_columns(b);
    link_states(b);
    for (uint32_t i = b->plan->state_count; i < b->plan->vertex_count; i++)
        link_operator(b, i);
    make_readers(b);
    if (b->no_memory)
        return DF_ENOMEM;
    if (!order_vertices(b))
        return DF_EINVAL;
    for (uint32_t i = 0; i < b->plan->vertex_count; i++)
        if (b->plan->vertices[b->plan->order[i]].role == DF_OPERATOR)
            plan_operator(b, b->plan->order[i]);
    check_states(b);
    plan_check_time(b);
    plan_check_settling(b);
    if (b->report->count > 0)
        return DF_EINVAL;
    if (b->no_memory || !plan_lay_out(b))
        return b->no_memory ? DF_ENOMEM : DF_EINVAL;
    plan_hash(b->plan);
    return DF_OK;
}

df_status df_plan_new(df_plan **out, df_draft **draft, df_report *report)
{
    plan_build build = { .draft = *draft, .arena = (*draft)->arena, .report = report };
    df_status status = DF_ENOMEM;

    *out = NULL;
    *draft = NULL;
    build.plan = plan_alloc(&build, sizeof *build.plan);
    if (build.plan != NULL) {
        build.plan->draft = build.draft;
        status = build_plan(&build);
    }
    if (status == DF_ENOMEM)
        df_report_add(report, (df_place){ 0, 0 }, "out of memory");
    if (status == DF_OK)
        *out = build.plan;
    else
        df_arena_free(&build.arena);
    return status;
}

void df_plan_free(df_plan **plan)
{
    df_arena *arena;

    if (*plan == NULL)
        return;
    arena = (*plan)->draft->arena; /* holds the plan, too */
    *plan = NULL;
    df_arena_free(&arena);
}
