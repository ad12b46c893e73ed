/* From a draft to a plan: the errors, word for word; what the hash depends on; who works when; and that a
 * hostile job costs little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/job.h"
#include "tests/support/kinds.h"

#define SPATIAL "x:f32 y:f32 a:i32 g:u32 tag:u32 h:u32"
#define KEYED   "a:i32 g:u32 tag:u32 h:u32"

/* A row for options: p[0] .. p[3]. */
static const void *options(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    static kind_options o;

    o = (kind_options){ .p = { a, b, c, d } };
    return &o;
}

static df_draft_operator *add(df_draft *draft, const char *name, kind_id kind, const char *inputs)
{
    return job_operator(draft, name, kind_list[kind], options(16, 0, 0, 0), inputs);
}

static void add_make(df_draft *draft, const char *name)
{
    job_operator(draft, name, kind_list[KIND_MAKE], options(10, KIND_PLACE, 1, 0), NULL);
}

/* A state "birds" of a space "sky" with its source "hatch"; next: "fly". */
static df_draft *birds(void)
{
    df_draft *draft = job_new("birds", 10);

    job_space(draft, "sky", "xy", 8, false);
    job_state(draft, "birds", "sky", SPATIAL, "hatch", "fly");
    add_make(draft, "hatch");
    return draft;
}

static void expect(df_draft *draft, const char *errors)
{
    assert_string_equal(job_errors(&draft), errors);
    assert_null(draft);
}

/* ---- kinds that are made wrong, or declare what the others do not ---- */

static weir_status odd_plan(weir_plan *plan, void *o)
{
    (void)o;
    weir_plan_add(plan, 0, "a", WEIR_I32);
    weir_plan_add(plan, 0, "vx", WEIR_F64);
    return WEIR_OK;
}

static weir_status twice_plan(weir_plan *plan, void *o)
{
    (void)o;
    weir_plan_add(plan, 0, "a", WEIR_U8);
    weir_plan_add(plan, 0, "a", WEIR_U64);
    return WEIR_OK;
}

static weir_status bare_partial_plan(weir_plan *plan, void *o)
{
    (void)o;
    weir_plan_partial(plan, "n", WEIR_U64);
    weir_plan_add(plan, 0, "n", WEIR_U64);
    return WEIR_OK;
}

static weir_status by_real_plan(weir_plan *plan, void *o)
{
    (void)o;
    weir_plan_pass(plan, 0, 0);
    weir_plan_exchange(plan, 1, WEIR_LOOKUP, weir_plan_column(plan, 0, "x", WEIR_F32));
    return WEIR_OK;
}

static weir_status silent_plan(weir_plan *plan, void *o)
{
    (void)plan;
    (void)o;
    return WEIR_FAILED;
}

static weir_status rows_plan(weir_plan *plan, void *o)
{
    weir_plan_add(plan, 0, "a", WEIR_I32);
    weir_plan_rows(plan, 1ull << 33, *(const uint32_t *)o);
    return WEIR_OK;
}

static weir_status nothing(weir_task *task)
{
    (void)task;
    return WEIR_OK;
}

static const weir_option no_options[] = { { 0 } };

#define ODD(id, role_, plan_, ...)                                                                 \
    static const weir_operator id = { .api_version = WEIR_API_VERSION, .name = #id, .help = "",    \
                                      .role = role_, .options_size = sizeof(kind_options),         \
                                      .options = no_options, .plan = plan_, .process = nothing,    \
                                      __VA_ARGS__ }

ODD(odd, WEIR_PHASE, odd_plan, .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" });
ODD(twice, WEIR_PHASE, twice_plan, .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" });
ODD(bare, WEIR_AGGREGATE, bare_partial_plan, .inputs = { { "in", WEIR_GATHER, "" } },
    .outputs = { "out" });
ODD(by_real, WEIR_PHASE, by_real_plan,
    .inputs = { { "in", WEIR_FORWARD, "" }, { "table", WEIR_LOOKUP, "" } }, .outputs = { "out" });
ODD(silent, WEIR_PHASE, silent_plan, .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" });
ODD(wide, WEIR_SOURCE, rows_plan, .outputs = { "out" });
ODD(alone, WEIR_SINK, NULL, .inputs = { { "in", WEIR_FORWARD, "" } });

/* ---- names ---- */

static void test_unknown_names(void **state)
{
    df_draft *draft = birds();

    (void)state;
    add(draft, "fly", KIND_DRIFT, "in=brids");
    expect(draft, "operator \"fly\": in \"brids\" is no stream (did you mean \"birds\"?)\n");

    draft = birds();
    add(draft, "fly", KIND_DRIFT, "in=birds");
    draft->states[0].first.text = "hach";
    draft->states[0].next[0].text = "flyy";
    draft->states[0].space.text = "skies";
    expect(draft, "state \"birds\": unknown space \"skies\"\n"
                  "state \"birds\": first \"hach\" is no stream (did you mean \"hatch\"?)\n"
                  "state \"birds\": next \"flyy\" is no stream (did you mean \"fly\"?)\n");

    draft = birds();
    add(draft, "fly", KIND_SPLIT, "in=birds");
    expect(draft, "state \"birds\": next \"fly\" is no stream\n");
}

static void test_missing_parts(void **state)
{
    df_draft *draft = birds();

    (void)state;
    add(draft, "fly", KIND_DRIFT, NULL);
    expect(draft, "operator \"fly\": input \"in\" is missing\n");

    draft = birds();
    add(draft, "fly", KIND_ASK, "in=birds");
    expect(draft, "operator \"fly\": input \"in.table\" is missing\n");

    draft = birds(); /* the first is missing though the second is there */
    add(draft, "fly", KIND_ASK, "table=birds");
    expect(draft, "operator \"fly\": input \"in\" is missing\n");

    draft = birds();
    add(draft, "fly", KIND_DRIFT, "in=birds into=birds");
    expect(draft, "operator \"fly\": kind \"test_drift\" has no input \"into\"\n");

    draft = birds();
    add(draft, "fly", KIND_DRIFT, "in=birds");
    draft->states[0].first.text = NULL;
    draft->states[0].next_count = 0;
    expect(draft, "state \"birds\": \"first\" is missing: the stream that holds its rows at step 0\n"
                  "state \"birds\": \"next\" is missing: the stream that holds its rows at the next "
                  "step\n");
}

static void test_roles(void **state)
{
    df_draft *draft = birds();

    (void)state;
    add(draft, "fly", KIND_DRIFT, "in=birds");
    add(draft, "log", KIND_RECORD, "in=birds")->sink = false;
    add(draft, "more", KIND_TOTAL, "in=birds")->sink = true;
    expect(draft, "operator \"log\": kind \"test_record\" is a sink: write [sink.log]\n"
                  "sink \"more\": kind \"test_total\" is no sink: write [operator.more]\n");
}

static void test_axis_columns(void **state)
{
    df_draft *draft = job_new("birds", 10);

    (void)state;
    job_space(draft, "sky", "xyz", 8, false);
    job_state(draft, "birds", "sky", "x:f32 y:f64 a:i32 g:u32 tag:u32 h:u32", "hatch", "hatch");
    add_make(draft, "hatch");
    expect(draft, "state \"birds\": space \"sky\" has the axis y, so the state needs the column y (f32)\n"
                  "state \"birds\": space \"sky\" has the axis z, so the state needs the column z (f32)\n");
}

/* ---- loops ---- */

static void test_loops(void **state)
{
    df_draft *draft = birds();

    (void)state;
    add(draft, "fly", KIND_DRIFT, "in=birds");
    add(draft, "a", KIND_DRIFT, "in=b");
    add(draft, "b", KIND_DRIFT, "in=a");
    expect(draft,
           "operators \"a\" -> \"b\" -> \"a\" form a loop: a loop goes through a state's \"next\"\n");

    draft = birds();
    add(draft, "fly", KIND_DRIFT, "in=birds");
    add(draft, "a", KIND_DRIFT, "in=a");
    expect(draft, "operators \"a\" -> \"a\" form a loop: a loop goes through a state's \"next\"\n");

    draft = birds(); /* found from its end, through a vertex that only follows */
    add(draft, "fly", KIND_DRIFT, "in=c");
    add(draft, "c", KIND_ASK, "in=birds table=b");
    add(draft, "b", KIND_TALLY, "in=a");
    add(draft, "a", KIND_DRIFT, "in=c");
    expect(draft, "operators \"c\" -> \"a\" -> \"b\" -> \"c\" form a loop: a loop goes through a "
                  "state's \"next\"\n");
}

/* ---- columns ---- */

static void test_state_columns(void **state)
{
    df_draft *draft = job_new("birds", 10);

    (void)state;
    job_state(draft, "birds", NULL, "a:i32 g:u32 vx:f32 vz:f32", "hatch", "fly");
    add_make(draft, "hatch");
    job_operator(draft, "fly", &odd, options(0, 0, 0, 0), "in=birds");
    expect(draft, "state \"birds\": next \"fly\" lacks column g (u32)\n"
                  "state \"birds\": next \"fly\" has column vx as f64, the state has it as f32\n"
                  "state \"birds\": next \"fly\" lacks column vz (f32)\n");
}

static void test_unions(void **state)
{
    df_draft *draft = birds();
    char inputs[18 * 9 + 1] = "";

    (void)state;
    add(draft, "fly", KIND_DRIFT, "in=birds");
    add(draft, "mix", KIND_TALLY, "in=birds in=hatch in=sum");
    add(draft, "sum", KIND_TOTAL, "in=birds");
    expect(draft, "operator \"mix\": the streams \"birds\" and \"sum\" of one list have different "
                  "columns\n");

    draft = birds();
    add(draft, "fly", KIND_DRIFT, "in=birds");
    for (int i = 0; i < 17; i++)
        strcat(inputs, "in=birds ");
    add(draft, "mix", KIND_TALLY, inputs);
    expect(draft, "operator \"mix\": in lists 17 streams, at most 16 are allowed\n");

    draft = birds(); /* only what is taken row by row or gathered can be a list */
    job_state(draft, "more", "sky", SPATIAL, "hatch", "more");
    add(draft, "fly", KIND_SEE, "in=birds in=more");
    expect(draft, "operator \"fly\": input \"in\" is read with its neighbours: it is one stream, not a "
                  "list\n");

    draft = birds();
    add(draft, "fly", KIND_ASK, "in=birds table=mix table=mox");
    add(draft, "mix", KIND_TALLY, "in=birds");
    add(draft, "mox", KIND_TALLY, "in=birds");
    expect(draft, "operator \"fly\": input \"in.table\" is looked up: it is one stream, not a list\n");
}

/* ---- what can be joined ---- */

static void test_joins(void **state)
{
    df_draft *draft = birds();

    (void)state;
    add(draft, "fly", KIND_DRIFT, "in=birds in=sum");
    add(draft, "sum", KIND_DRIFT, "in=other");
    job_state(draft, "other", NULL, SPATIAL, "lay", "other");
    add_make(draft, "lay");
    expect(draft, "operator \"fly\": the rows of \"sum\" and \"birds\" live in different key groups and "
                  "cannot be joined row by row\n");

    draft = birds();
    add(draft, "glide", KIND_DRIFT, "in=birds");
    add(draft, "fly", KIND_SEE, "in=glide");
    expect(draft, "operator \"fly\": only a state's rows have neighbours, and \"glide\" is not a "
                  "state\n");

    draft = job_new("birds", 10);
    job_state(draft, "birds", NULL, KEYED, "hatch", "fly");
    add_make(draft, "hatch");
    add(draft, "fly", KIND_SEE, "in=birds");
    expect(draft, "operator \"fly\": input \"birds\" has no space, so its rows have no neighbours\n");

    draft = birds(); /* a row of a space is found by its place, not by its key */
    job_state(draft, "places", NULL, KEYED, "lay", "visit");
    add_make(draft, "lay");
    add(draft, "fly", KIND_DRIFT, "in=birds");
    add(draft, "visit", KIND_ASK, "in=places table=birds");
    expect(draft, "operator \"visit\": the rows of \"birds\" are spread over space and cannot be looked "
                  "up by key\n");

    draft = birds();
    job_operator(draft, "fly", &by_real, options(0, 0, 0, 0), "in=birds table=mix");
    add(draft, "mix", KIND_TALLY, "in=birds");
    expect(draft, "operator \"fly\": column x is f32: keys are whole numbers\n");
}

static void test_kinds_made_wrong(void **state)
{
    df_draft *draft = birds();

    (void)state;
    job_operator(draft, "fly", &twice, options(0, 0, 0, 0), "in=birds");
    expect(draft, "operator \"fly\": column a is made twice\n");

    draft = birds();
    add(draft, "fly", KIND_DRIFT, "in=birds");
    job_operator(draft, "sum", &bare, options(0, 0, 0, 0), "in=birds");
    expect(draft, "operator \"sum\": kind \"bare\" declares partial rows and has nothing that makes "
                  "them\n");

    draft = birds();
    job_operator(draft, "fly", &silent, options(0, 0, 0, 0), "in=birds");
    expect(draft, "operator \"fly\": kind \"silent\" refused without a reason\n");

    draft = birds();
    add(draft, "fly", KIND_DRIFT, "in=birds");
    job_operator(draft, "log", &alone, options(0, 0, 0, 0), "in=birds");
    expect(draft, "sink \"log\": kind \"alone\" is a sink and must gather its input\n");

    draft = job_new("birds", 10);
    job_state(draft, "birds", NULL, "a:i32", "hatch", "birds");
    job_operator(draft, "hatch", &wide, options(1u << 31, 0, 0, 0), NULL);
    draft->key_groups = 1;
    expect(draft, "operator \"hatch\": 8589934592 rows are too many for key_groups = 1: a key group "
                  "holds at most 4294967294 rows\n");
}

/* ---- time ---- */

static void test_time(void **state)
{
    df_draft *draft = birds();

    (void)state;
    add(draft, "fly", KIND_DRIFT, "in=birds");
    job_state(draft, "again", NULL, KEYED, "sum", "sum");
    add(draft, "sum", KIND_TOTAL, "in=fly");
    expect(draft, "state \"again\": first \"sum\" is made from a state, and before step 0 there is none: "
                  "it must come from sources\n");

    draft = birds();
    add(draft, "fly", KIND_DRIFT, "in=glide");
    add(draft, "glide", KIND_DRIFT, "in=birds")->every_steps = 2;
    expect(draft, "state \"birds\": next \"fly\" is not there at every step (every_steps, at)\n");

    draft = birds();
    add(draft, "fly", KIND_DRIFT, "in=birds")->at_end = true;
    expect(draft, "state \"birds\": next \"fly\" is not there at every step (every_steps, at)\n");
}

/* ---- the hash ---- */

static df_draft *hashed(void)
{
    df_draft *draft = birds();

    add(draft, "fly", KIND_ASK, "in=see table=mix");
    add(draft, "see", KIND_SEE, "in=birds");
    add(draft, "mix", KIND_TALLY, "in=birds");
    return draft;
}

static bool same_hash(df_draft *a, df_draft *b)
{
    df_plan *p = job_plan(&a), *q = job_plan(&b);
    bool same = memcmp(p->hash, q->hash, sizeof p->hash) == 0;

    df_plan_free(&p);
    df_plan_free(&q);
    return same;
}

static void test_hash_is_blind(void **state)
{
    df_draft *draft = hashed();
    df_draft_worker worker = { .label.text = "left", .backend.text = "cpu", .threads = 2 };

    (void)state;
    assert_true(same_hash(hashed(), draft));
    draft = hashed();
    draft->job.steps = 99;
    draft->window = 7;
    draft->file = "other.toml";
    draft->pace = 5;
    draft->policy = (df_policy){ .snapshot = true, .snapshot_every_steps = 9, .fault_retries = 7 };
    draft->worker_count = 1;
    draft->workers = &worker;
    draft->job.directory = "/elsewhere";
    assert_true(same_hash(hashed(), draft));
    draft = hashed();
    add(draft, "log", KIND_RECORD, "in=birds")->every_steps = 3;
    assert_true(same_hash(hashed(), draft));
}

static void rename_source(df_draft *draft)
{
    draft->operators[0].name.text = draft->states[0].first.text = "lay";
}

static void add_constant_state(df_draft *draft)
{
    job_state(draft, "more", NULL, KEYED, "lay", "more");
    add_make(draft, "lay");
}

static void test_hash_sees(void **state)
{
    df_draft *d;

    (void)state;
#define DIFFERS(change) (d = hashed(), (change), assert_false(same_hash(hashed(), d)))
    DIFFERS(d->job.seed = 2);
    DIFFERS(d->job.dt = 0.5);
    DIFFERS(d->job.time_start = 0.5);
    DIFFERS(strcpy(d->job.name, "bards"));
    DIFFERS(d->key_groups = 33);
    DIFFERS(d->spaces[0].size[0] = 8.5);
    DIFFERS(d->spaces[0].periodic[1] = true);
    DIFFERS(rename_source(d));
    DIFFERS(d->operators[1].inputs[0].streams[0].text = "birds");
    DIFFERS(((kind_options *)d->operators[2].options)->p[0] = 32);
    DIFFERS(add_constant_state(d));
#undef DIFFERS
}

/* Every value of every type of option is in the hash. */
typedef struct all_options {
    float f32;
    double f64;
    int32_t i32;
    int64_t i64;
    uint32_t u32;
    uint64_t u64;
    uint8_t u8;
    const char *text;
    uint32_t choice;
    bool flag;
    double range[2];
    weir_names names;
    weir_computes computes;
    const char *file;
} all_options;

#define OPTION(field, type_) { .name = #field, .help = "", .type = type_, .offset = offsetof(all_options, field) }

static const weir_option all_table[] = {
    OPTION(f32, WEIR_F32), OPTION(f64, WEIR_F64), OPTION(i32, WEIR_I32), OPTION(i64, WEIR_I64),
    OPTION(u32, WEIR_U32), OPTION(u64, WEIR_U64), OPTION(u8, WEIR_U8), OPTION(text, WEIR_TEXT),
    OPTION(choice, WEIR_CHOICE), OPTION(flag, WEIR_BOOL), OPTION(range, WEIR_RANGE),
    OPTION(names, WEIR_COLUMNS), OPTION(computes, WEIR_COMPUTE), OPTION(file, WEIR_FILE_IN), { 0 },
};

static const weir_operator all_kind = {
    .api_version = WEIR_API_VERSION, .name = "all", .help = "", .role = WEIR_PHASE,
    .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" }, .options = all_table,
    .options_size = sizeof(all_options), .plan = odd_plan, .process = nothing,
};

static df_draft *with_options(const all_options *o)
{
    df_draft *draft = birds();

    add(draft, "fly", KIND_DRIFT, "in=birds");
    job_operator(draft, "all", &all_kind, o, "in=birds");
    return draft;
}

static void test_hash_of_options(void **state)
{
    static const char *const columns[] = { "x", "y", "z" };
    static const weir_compute items[] = { { "n", "count()" }, { "m", "count()" }, { "n", "sum(a)" } };
    const all_options base = { .text = "a", .names = { 2, columns }, .computes = { 1, items },
                               .file = "a" };
    all_options o;

    (void)state;
#define DIFFERS(change) (o = base, (change), assert_false(same_hash(with_options(&base), with_options(&o))))
    DIFFERS(o.f32 = 1e-30f);
    DIFFERS(o.f64 = 1e-300);
    DIFFERS(o.i32 = -1);
    DIFFERS(o.i64 = 1ll << 40);
    DIFFERS(o.u32 = 1);
    DIFFERS(o.u64 = 1ull << 40);
    DIFFERS(o.u8 = 1);
    DIFFERS(o.text = "b");
    DIFFERS(o.choice = 1);
    DIFFERS(o.flag = true);
    DIFFERS(o.range[1] = 2);
    DIFFERS(o.names.count = 1);
    DIFFERS(o.names.names = columns + 1);
    DIFFERS(o.computes.items = items + 1);
    DIFFERS(o.computes.items = items + 2);
    DIFFERS(o.computes.count = 2);
#undef DIFFERS
    o = base;
    o.file = "b"; /* what is in it decides, not where it lies; sources hash their rows */
    assert_true(same_hash(with_options(&base), with_options(&o)));
}

/* ---- who works when ---- */

/* The definition, by recursion and without memory. Due: every_steps, at. */
static bool is_due(const df_plan *p, const df_vertex *v, uint64_t tick)
{
    return tick == 0 || ((tick - 1) % v->every_steps == 0 && (!v->at_end || tick - 1 == p->job.steps));
}

static bool can(const df_plan *p, uint32_t vertex, uint64_t tick)
{
    const df_vertex *v = &p->vertices[vertex];

    if (v->role == DF_COMMIT)
        return tick > 0; /* as something to read: it was made a tick before */
    if (!is_due(p, v, tick))
        return false;
    for (uint32_t q = 0; q < v->port_count; q++)
        for (uint32_t k = 0; k < v->ports[q].stream_count; k++)
            if (!can(p, p->streams[v->ports[q].streams[k]].vertex, tick))
                return false;
    return true;
}

static bool works(const df_plan *p, uint32_t vertex, uint64_t tick)
{
    const df_vertex *v = &p->vertices[vertex];
    bool in_step = tick > 0 && tick <= p->job.steps + 1;

    if (v->role == DF_COMMIT)
        return tick <= p->job.steps;
    if (!can(p, vertex, tick))
        return false;
    if (v->kind->role == WEIR_SINK)
        return in_step;
    if (in_step && (v->carried != NULL || v->birth_number != DF_NONE))
        return true;
    for (uint32_t i = 0; i < v->reader_count; i++) {
        const df_vertex *r = &p->vertices[v->readers[i].vertex];
        if (r->role == DF_COMMIT ? (v->readers[i].port == (tick > 0)) && tick <= p->job.steps
                                 : works(p, v->readers[i].vertex, tick))
            return true;
    }
    return false;
}

/* A stream by number: the states and the source, then what was added before. */
static void stream_name(uint32_t number, char *name)
{
    static const char *const first[] = { "s", "t", "make" };

    if (number < 3)
        sprintf(name, "%s", first[number]);
    else
        sprintf(name, "o%u", number - 3);
}

static df_plan *random_graph(uint32_t seed)
{
    df_draft *draft = job_new("random", 12);
    uint32_t rolls = 0;

    job_state(draft, "s", NULL, KEYED, "make", "next");
    job_state(draft, "t", NULL, KEYED, "make", "t");
    add_make(draft, "make");
    job_operator(draft, "next", kind_list[KIND_DRIFT], options(0, 0, seed % 2 * 9, 0), "in=s");
    for (uint32_t i = 0; i < 9; i++) {
        char name[8], a[8], b[8], inputs[64];
        df_draft_operator *op;

        stream_name(kind_hash(seed, rolls++, 0) % (i + 3), a);
        stream_name(kind_hash(seed, rolls++, 0) % (i + 3), b);
        sprintf(inputs, "in=%s in=%s", a, b);
        sprintf(name, "o%u", i);
        op = add(draft, name, KIND_TALLY, inputs);
        op->every_steps = 1 + kind_hash(seed, rolls++, 0) % 4;
        op->at_end = kind_hash(seed, rolls++, 0) % 5 == 0;
        if (kind_hash(seed, rolls++, 0) % 3 != 0)
            continue;
        sprintf(inputs, "in=%s", name);
        sprintf(name, "r%u", i);
        add(draft, name, KIND_RECORD, inputs)->every_steps = 1 + kind_hash(seed, rolls++, 0) % 4;
    }
    return job_plan(&draft);
}

static void test_activity(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 100; seed++) {
        df_plan *plan = random_graph(seed);
        bool active[64];

        for (uint64_t tick = 0; tick <= 16; tick++) {
            df_plan_activity(plan, tick, active);
            for (uint32_t v = 0; v < plan->vertex_count; v++)
                if (active[v] != works(plan, v, tick))
                    fail_msg("seed %u, tick %u, vertex %s", seed, (uint32_t)tick, plan->vertices[v].name);
        }
        df_plan_free(&plan);
    }
}

/* ---- hostile jobs ---- */

/* A ladder in which every rung reads both of the rung before: 2^500 paths. */
static void test_deep_diamonds(void **state)
{
    df_draft *draft = birds();
    df_plan *plan;
    char name[16], inputs[64];
    bool active[DF_OPERATORS_MAX + 1];
    uint32_t working = 0;

    (void)state;
    for (uint32_t i = 500; i-- > 0;)
        for (uint32_t side = 0; side < 2; side++) { /* the last first: the worst order for the checks */
            sprintf(name, "o%u_%u", i, side);
            if (i == 0)
                sprintf(inputs, "in=birds in=birds");
            else
                sprintf(inputs, "in=o%u_0 in=o%u_1", i - 1, i - 1);
            add(draft, name, KIND_DRIFT, inputs);
        }
    add(draft, "fly", KIND_DRIFT, "in=birds");
    add(draft, "log", KIND_RECORD, "in=o499_0")->every_steps = 2;
    plan = job_plan(&draft);
    df_plan_activity(plan, 1, active);
    for (uint32_t v = 0; v < plan->vertex_count; v++)
        working += active[v];
    assert_int_equal(working, 1 + 499 * 2 + 1 + 1 + 1); /* state, ladder, its end, fly, log */
    df_plan_free(&plan);
}

/* A thousand operators, each with sixteen names that are nearly right: the errors cost little memory. */
static void test_many_unknown_names(void **state)
{
    df_draft *draft = birds();
    char name[80], inputs[17 * 80];
    size_t before;
    df_report report;
    df_plan *plan;

    (void)state;
    for (uint32_t i = 0; i < DF_OPERATORS_MAX - 2; i++) {
        inputs[0] = '\0';
        for (uint32_t k = 0; k < 16; k++)
            sprintf(inputs + strlen(inputs), "in=a_name_of_an_operator_that_is_as_long_as_it_may_%u_%u ", i, k);
        sprintf(name, "a_name_of_an_operator_that_is_as_long_as_it_may_be_%u", i);
        add(draft, name, KIND_TALLY, inputs);
    }
    before = mallinfo2().arena + mallinfo2().hblkhd; /* of the heap, in use or not */
    df_report_init(&report, "test.toml");
    assert_int_equal(df_plan_new(&plan, &draft, &report), DF_EINVAL);
    assert_true(report.count >= DF_REPORT_MAX);
    assert_true(mallinfo2().arena + mallinfo2().hblkhd < before + (16u << 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_names),      cmocka_unit_test(test_missing_parts),
        cmocka_unit_test(test_roles),              cmocka_unit_test(test_axis_columns),
        cmocka_unit_test(test_loops),              cmocka_unit_test(test_state_columns),
        cmocka_unit_test(test_unions),             cmocka_unit_test(test_joins),
        cmocka_unit_test(test_kinds_made_wrong),   cmocka_unit_test(test_time),
        cmocka_unit_test(test_hash_is_blind),      cmocka_unit_test(test_hash_sees),
        cmocka_unit_test(test_hash_of_options),    cmocka_unit_test(test_activity),
        cmocka_unit_test(test_deep_diamonds),      cmocka_unit_test(test_many_unknown_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
