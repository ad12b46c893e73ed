/* What a kind calls from its plan function (the weir_plan_ functions of operator.h). */
#include "dataflow/df_plan_build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Of one key group: rows are numbered with 32 bits, of which the last number means none. */
#define STREAM_ROWS_MAX (UINT32_MAX - 1)

static df_vertex *vertex_of(const weir_plan *plan)
{
    return &plan->build->plan->vertices[plan->vertex];
}

static df_stream *out_stream(const weir_plan *plan, uint32_t out)
{
    return &plan->build->plan->streams[vertex_of(plan)->outs[out]];
}

static const df_stream *in_stream(const weir_plan *plan, uint32_t port)
{
    return &plan->build->plan->streams[vertex_of(plan)->ports[port].streams[0]];
}

const weir_job *weir_plan_job(const weir_plan *plan)
{
    return &plan->build->plan->job;
}

const weir_schema *weir_plan_input(const weir_plan *plan, uint32_t port)
{
    return &in_stream(plan, port)->schema;
}

static df_space *space_of(const weir_plan *plan, uint32_t port)
{
    df_plan *p = plan->build->plan;
    const df_state *target = plan_target(p, plan->vertex);
    uint32_t space = DF_NONE;

    if (port < vertex_of(plan)->port_count)
        space = in_stream(plan, port)->partition.space;
    else if (target != NULL)
        space = target->space;
    return space == DF_NONE ? NULL : &p->spaces[space];
}

const weir_space *weir_plan_space(const weir_plan *plan, uint32_t port)
{
    const df_space *space = space_of(plan, port);

    return space == NULL ? NULL : &space->view;
}

const weir_schema *weir_plan_target(const weir_plan *plan)
{
    const df_plan *p = plan->build->plan;
    const df_state *target = plan_target(p, plan->vertex);

    return target == NULL ? NULL : &p->streams[target->stream].schema;
}

static df_place key_place(const weir_plan *plan, const char *key)
{
    for (uint32_t i = 0; i < plan->draft->key_count; i++)
        if (strcmp(plan->draft->keys[i].path, key) == 0)
            return plan->draft->keys[i].place;
    return plan->draft->name.place;
}

weir_status weir_plan_error(weir_plan *plan, const char *key, const char *format, ...)
{
    char text[320];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    df_report_add(plan->build->report, key_place(plan, key), "%s \"%s\": %s%s%s",
                  plan->draft->sink ? "sink" : "operator", plan->draft->name.text, key,
                  key[0] == '\0' ? "" : ": ", text);
    plan->failed = true;
    return WEIR_FAILED;
}

int weir_plan_column(weir_plan *plan, uint32_t port, const char *name, int type)
{
    const df_stream *stream = in_stream(plan, port);
    int index = weir_schema_find(&stream->schema, name);

    if (index < 0) {
        const char *names[WEIR_COLUMNS_MAX], *near;
        for (uint32_t i = 0; i < stream->schema.column_count; i++)
            names[i] = stream->schema.columns[i].name;
        near = df_nearest(name, names, stream->schema.column_count);
        weir_plan_error(plan, "", "input \"%s\" lacks column %s%s%s%s%s%s%s", stream->name, name,
                        type != 0 ? " (" : "", type != 0 ? weir_type_name((weir_type)type) : "",
                        type != 0 ? ")" : "", near ? " (did you mean \"" : "", near ? near : "",
                        near ? "\"?)" : "");
        return -1;
    }
    if (type != 0 && (int)stream->schema.columns[index].type != type) {
        weir_plan_error(plan, "", "column %s of \"%s\" is %s, it must be %s", name, stream->name,
                        weir_type_name(stream->schema.columns[index].type),
                        weir_type_name((weir_type)type));
        return -1;
    }
    return index;
}

void weir_plan_pass(weir_plan *plan, uint32_t out, uint32_t port)
{
    df_stream *stream = out_stream(plan, out);

    stream->schema = in_stream(plan, port)->schema;
    stream->passed_port = port;
    stream->passes = true;
    for (uint32_t i = 0; i < stream->schema.column_count; i++)
        stream->passed[i] = (int16_t)i;
}

/* Add a column to a schema; the index of the one that is there under that name, if there is. */
static int add_column(weir_plan *plan, weir_schema *schema, const char *name, weir_type type)
{
    int index = weir_schema_find(schema, name);

    if (strlen(name) >= WEIR_NAME_MAX || (index < 0 && schema->column_count == WEIR_COLUMNS_MAX)) {
        weir_plan_error(plan, "", "column %.64s: a stream has at most %d columns with names of at "
                        "most %d bytes", name, WEIR_COLUMNS_MAX, WEIR_NAME_MAX - 1);
        return 0;
    }
    if (index < 0) {
        index = (int)schema->column_count++;
        strcpy(schema->columns[index].name, name);
    }
    schema->columns[index].type = type;
    return index;
}

int weir_plan_add(weir_plan *plan, uint32_t out, const char *name, weir_type type)
{
    df_stream *stream = out_stream(plan, out);
    int there = weir_schema_find(&stream->schema, name);
    int index = add_column(plan, &stream->schema, name, type);

    /* Two writers of one column: by its first type there may be no room for the second. */
    if (there >= 0 && stream->passed[there] < 0)
        weir_plan_error(plan, "", "column %.64s is made twice", name);
    stream->passed[index] = -1;
    return index;
}

void weir_plan_exchange(weir_plan *plan, uint32_t port, weir_exchange exchange, int column)
{
    vertex_of(plan)->ports[port].exchange = exchange;
    vertex_of(plan)->ports[port].column = column;
}

void weir_plan_radius(weir_plan *plan, uint32_t port, double radius)
{
    df_space *space = space_of(plan, port);

    if (space == NULL)
        weir_plan_error(plan, "", "input \"%s\" has no space, so its rows have no neighbours",
                        in_stream(plan, port)->name);
    else if (radius > space->radius)
        space->radius = radius;
}

double weir_plan_skin(const weir_plan *plan, uint32_t port)
{
    const df_plan *p = plan->build->plan;
    const df_vertex *from = &p->vertices[in_stream(plan, port)->vertex];

    return from->role == DF_COMMIT ? p->states[from->state].skin : 0;
}

void weir_plan_rows(weir_plan *plan, uint64_t rows, uint64_t run)
{
    uint32_t groups = plan->build->plan->key_groups;
    uint64_t runs, runs_max;

    run = run == 0 ? 1 : run;
    runs = rows / run + (rows % run != 0);
    runs_max = runs / groups + (runs % groups != 0); /* of one key group */
    if (runs_max > STREAM_ROWS_MAX / run)
        weir_plan_error(plan, "", "%llu rows are too many for key_groups = %u: a key group holds at "
                        "most %u rows", (unsigned long long)rows, groups, STREAM_ROWS_MAX);
    vertex_of(plan)->rows = rows;
    vertex_of(plan)->run = run;
}

void weir_plan_run_column(weir_plan *plan, int column)
{
    vertex_of(plan)->run_column = (int16_t)column;
}

static int add_private(weir_plan *plan, weir_schema **schema, const char *name, weir_type type)
{
    if (*schema == NULL)
        *schema = plan_alloc(plan->build, sizeof **schema);
    return *schema == NULL ? 0 : add_column(plan, *schema, name, type);
}

int weir_plan_partial(weir_plan *plan, const char *name, weir_type type)
{
    return add_private(plan, &vertex_of(plan)->partial, name, type);
}

int weir_plan_carry(weir_plan *plan, const char *name, weir_type type)
{
    return add_private(plan, &vertex_of(plan)->carried, name, type);
}

void weir_plan_births(weir_plan *plan)
{
    if (plan->build->birth_operators == DF_BIRTH_OPERATORS_MAX) {
        weir_plan_error(plan, "", "at most %d operators can give birth", DF_BIRTH_OPERATORS_MAX);
        return;
    }
    vertex_of(plan)->birth_number = plan->build->birth_operators++;
}

void *weir_plan_alloc(weir_plan *plan, size_t size)
{
    return plan_alloc(plan->build, size);
}

/* The rules of one input. */
static void check_port(weir_plan *plan, uint32_t port)
{
    const df_vertex *v = vertex_of(plan);
    const df_port *p = &v->ports[port];
    const df_stream *stream = in_stream(plan, port), *first = in_stream(plan, 0);
    bool by_column = p->exchange == WEIR_KEY_BY || p->exchange == WEIR_LOOKUP;

    if (by_column && p->column < 0)
        weir_plan_error(plan, "", "kind \"%s\" names no column for its exchange", v->kind->name);
    else if (by_column && (first->schema.columns[p->column].type == WEIR_F32 ||
                           first->schema.columns[p->column].type == WEIR_F64))
        weir_plan_error(plan, "", "column %s is %s: keys are whole numbers",
                        first->schema.columns[p->column].name,
                        weir_type_name(first->schema.columns[p->column].type));
    if (port > 0 && (p->exchange == WEIR_KEY_BY || p->exchange == WEIR_GATHER))
        weir_plan_error(plan, "", "kind \"%s\": only its first input can be gathered", v->kind->name);
    if (p->exchange == WEIR_HALO && stream->partition.space == DF_NONE)
        weir_plan_error(plan, "", "input \"%s\" has no space, so its rows have no neighbours",
                        stream->name);
    if (p->exchange == WEIR_LOOKUP && stream->partition.space != DF_NONE)
        weir_plan_error(plan, "", "the rows of \"%s\" are spread over space and cannot be looked up by "
                        "key", stream->name);
    if (p->stream_count > 1 && (p->exchange == WEIR_HALO || p->exchange == WEIR_LOOKUP))
        weir_plan_error(plan, "", "input \"in%s%s\" is %s: it is one stream, not a list",
                        port > 0 ? "." : "", port > 0 ? p->name : "",
                        p->exchange == WEIR_HALO ? "read with its neighbours" : "looked up");
}

/* What the engine relies on after a kind's plan function. */
static void check_declared(weir_plan *plan)
{
    const df_vertex *v = vertex_of(plan);
    weir_exchange first = v->port_count > 0 ? v->ports[0].exchange : 0;

    for (uint32_t p = 0; p < v->port_count; p++)
        check_port(plan, p);
    if (first == WEIR_LOOKUP || first == WEIR_BROADCAST)
        weir_plan_error(plan, "", "kind \"%s\": its first input cannot be a lookup or a broadcast",
                        v->kind->name);
    if (first == WEIR_KEY_BY && v->partial == NULL)
        weir_plan_error(plan, "", "kind \"%s\" groups by a key and declares no partial rows",
                        v->kind->name);
    if (v->partial != NULL && v->kind->combine == NULL)
        weir_plan_error(plan, "", "kind \"%s\" declares partial rows and has nothing that makes them",
                        v->kind->name);
    if (v->kind->role == WEIR_SINK && first != WEIR_GATHER)
        weir_plan_error(plan, "", "kind \"%s\" is a sink and must gather its input", v->kind->name);
}

void plan_call_kind(plan_build *build, uint32_t vertex)
{
    df_vertex *v = &build->plan->vertices[vertex];
    weir_plan plan = { .build = build, .vertex = vertex, .draft = plan_draft_of(build, vertex) };

    for (uint32_t o = 0; o < v->out_count; o++)
        memset(build->plan->streams[v->outs[o]].passed, 0xff, sizeof(int16_t) * WEIR_COLUMNS_MAX);
    if (v->kind->plan != NULL && v->kind->plan(&plan, v->options) != WEIR_OK && !plan.failed)
        weir_plan_error(&plan, "", "kind \"%s\" refused without a reason", v->kind->name);
    if (!plan.failed)
        check_declared(&plan);
}
