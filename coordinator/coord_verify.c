/* What differs is named by the first stream in the order of computation: states, which enter the
 * step, then operators, producers before readers. So with all streams recorded it is the operator
 * where the difference began. */
#include "coordinator/coord_verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define VERIFY_NAMES_MAX 8 /* key groups or columns that a message lists */

struct coord_verify {
    const char *path;
    const df_plan *plan;
    coord_prints_reader *reader;
    uint32_t order_count;
    uint32_t *order;    /* plan streams that both sides fingerprint, in order of computation */
    uint32_t *recorded; /* [plan streams] -> the recording's stream, or DF_NONE */
    const df_stream_print **found; /* [plan streams]: scratch of one step */
    uint64_t count;
};

/* Text that grows in a fixed buffer and is cut at its end. */
typedef struct verify_text {
    size_t length;
    char text[440];
} verify_text;

static void text_add(verify_text *t, const char *format, ...) DF_PRINTF(2, 3);
static void text_add(verify_text *t, const char *format, ...)
{
    va_list list;
    int added;

    va_start(list, format);
    added = vsnprintf(t->text + t->length, sizeof t->text - t->length, format, list);
    va_end(list);
    t->length += added < 0 ? 0 : (size_t)added;
    if (t->length >= sizeof t->text)
        t->length = sizeof t->text - 1;
}

/* ---- does the recording belong to the job? ---- */

static df_status other_job(const coord_verify *v, const verify_text *what, df_error *err)
{
    return df_fail(err, DF_EINVAL, "%s belongs to another job: %s", v->path, what->text);
}

/* A stream that both have, with other columns or key groups: say so in `what`. */
static bool streams_differ(const coord_prints_head *theirs, const coord_prints_head *ours,
                           verify_text *what)
{
    for (uint32_t i = 0; i < ours->stream_count; i++) {
        const coord_prints_stream *our = &ours->streams[i], *their;
        uint32_t k = coord_prints_find(theirs, our->name);

        if (k == DF_NONE)
            continue;
        their = &theirs->streams[k];
        if (strcmp(their->columns, our->columns) != 0)
            text_add(what, "its \"%s\" has columns %.120s, here they are %.120s", our->name,
                     their->columns, our->columns);
        else if (their->key_groups != our->key_groups)
            text_add(what, "its \"%s\" has %u key groups, here it has %u", our->name,
                     their->key_groups, our->key_groups);
        else
            continue;
        return true;
    }
    return false;
}

static df_status check_job(const coord_verify *v, const coord_prints_head *ours, df_error *err)
{
    const coord_prints_head *theirs = coord_prints_head_of(v->reader);
    verify_text what = { 0 };

    if (strcmp(theirs->job, ours->job) != 0)
        text_add(&what, "it is of job \"%s\", this is \"%s\"", theirs->job, ours->job);
    else if (theirs->seed != ours->seed)
        text_add(&what, "its seed is %" PRIu64 ", here it is %" PRIu64, theirs->seed, ours->seed);
    else if (streams_differ(theirs, ours, &what))
        return other_job(v, &what, err);
    else if (theirs->plan.high != ours->plan.high || theirs->plan.low != ours->plan.low)
        text_add(&what, "its plan is %016" PRIx64 "%016" PRIx64 ", here it is %016" PRIx64
                 "%016" PRIx64 " (an operator or a parameter differs)", theirs->plan.high,
                 theirs->plan.low, ours->plan.high, ours->plan.low);
    return what.length == 0 ? DF_OK : other_job(v, &what, err);
}

/* ---- the streams of both, in order of computation ---- */

static void order_add(coord_verify *v, const coord_prints_head *ours, uint32_t stream)
{
    uint32_t recorded = coord_prints_find(coord_prints_head_of(v->reader),
                                          v->plan->streams[stream].name);

    if (recorded == DF_NONE || v->recorded[stream] != DF_NONE ||
        coord_prints_find(ours, v->plan->streams[stream].name) == DF_NONE)
        return;
    v->recorded[stream] = recorded;
    v->order[v->order_count++] = stream;
}

static df_status make_order(coord_verify *v, const coord_prints_head *ours, df_error *err)
{
    const df_plan *p = v->plan;

    v->order = calloc(p->stream_count + 1, sizeof *v->order);
    v->recorded = calloc(p->stream_count + 1, sizeof *v->recorded);
    v->found = calloc(p->stream_count + 1, sizeof *v->found);
    if (v->order == NULL || v->recorded == NULL || v->found == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < p->stream_count; i++)
        v->recorded[i] = DF_NONE;
    for (uint32_t i = 0; i < p->state_count; i++)
        order_add(v, ours, p->states[i].stream);
    for (uint32_t i = 0; i < p->vertex_count; i++)
        for (uint32_t o = 0; o < p->vertices[p->order[i]].out_count; o++)
            order_add(v, ours, p->vertices[p->order[i]].outs[o]);
    if (v->order_count == 0)
        return df_fail(err, DF_EINVAL, "%s holds no stream of this run", v->path);
    return DF_OK;
}

df_status coord_verify_open(coord_verify **out, FILE *file, const char *name, const df_plan *plan,
                            bool all, df_error *err)
{
    coord_prints_head ours = { 0 };
    coord_verify *v = calloc(1, sizeof *v);
    df_status s;

    *out = NULL;
    if (v == NULL) {
        fclose(file);
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    v->path = name;
    v->plan = plan;
    s = coord_prints_open(&v->reader, file, name, err);
    if (s == DF_OK)
        s = coord_prints_head_init(&ours, plan, all, err);
    if (s == DF_OK)
        s = check_job(v, &ours, err);
    if (s == DF_OK)
        s = make_order(v, &ours, err);
    coord_prints_head_fini(&ours);
    if (s == DF_OK)
        *out = v;
    else
        coord_verify_close(&v);
    return s;
}

/* ---- a step ---- */

/* The differing key groups, a few by number. */
static void name_groups(verify_text *t, const coord_prints_stream *stream, const char *field,
                        const df_stream_print *print)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < print->key_groups; i++)
        count += coord_prints_group(stream, field, i) != coord_prints_of_group(print->groups[i]);
    text_add(t, ", key group%s", count == 1 ? "" : "s");
    for (uint32_t i = 0, named = 0; i < print->key_groups && named < VERIFY_NAMES_MAX; i++)
        if (coord_prints_group(stream, field, i) != coord_prints_of_group(print->groups[i])) {
            text_add(t, " %u", i);
            named++;
        }
    text_add(t, "%s (%u of %u)", count > VERIFY_NAMES_MAX ? " ..." : "", count, print->key_groups);
}

static void name_columns(verify_text *t, const df_stream *stream, const char *field,
                         const df_stream_print *print)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < print->column_count; i++)
        count += coord_prints_column(field, i) != coord_prints_of_column(print->columns[i]);
    text_add(t, ", column%s", count == 1 ? "" : "s");
    for (uint32_t i = 0, named = 0; i < print->column_count && named < VERIFY_NAMES_MAX; i++)
        if (coord_prints_column(field, i) != coord_prints_of_column(print->columns[i])) {
            text_add(t, " %s", i == 0 ? "id" : stream->schema.columns[i - 1].name);
            named++;
        }
    text_add(t, "%s", count > VERIFY_NAMES_MAX ? " ..." : "");
}

static bool print_is(const coord_prints_stream *stream, const char *field,
                     const df_stream_print *print)
{
    if (field == NULL || print == NULL)
        return field == NULL && print == NULL;
    for (uint32_t i = 0; i < print->column_count; i++)
        if (coord_prints_column(field, i) != coord_prints_of_column(print->columns[i]))
            return false;
    for (uint32_t i = 0; i < print->key_groups; i++)
        if (coord_prints_group(stream, field, i) != coord_prints_of_group(print->groups[i]))
            return false;
    return true;
}

static df_status step_differs(const coord_verify *v, uint64_t step, uint32_t stream,
                              const char *field, df_error *err)
{
    const df_plan *p = v->plan;
    const df_stream *s = &p->streams[stream];
    const df_stream_print *print = v->found[stream];
    verify_text t = { 0 };

    text_add(&t, "step %" PRIu64 " differs from %.100s: %s \"%s\"", step, v->path,
             p->vertices[s->vertex].role == DF_COMMIT ? "state" : "operator", s->name);
    if (field == NULL) {
        text_add(&t, " has nothing there");
    } else if (print == NULL) {
        text_add(&t, " has nothing here");
    } else {
        name_groups(&t, &coord_prints_head_of(v->reader)->streams[v->recorded[stream]], field, print);
        name_columns(&t, s, field, print);
    }
    return df_fail(err, DF_ECORRUPT, "%s", t.text);
}

/* At the last step nothing advances, so an operator without sinks has nothing there although the
 * recording of a longer run has: no difference. */
static bool at_end_only(const coord_verify *v, const df_step_print *print, const char *field,
                        uint32_t stream)
{
    return (field == NULL) != (v->found[stream] == NULL) && print->step == v->plan->job.steps &&
           v->plan->vertices[v->plan->streams[stream].vertex].role != DF_COMMIT;
}

static df_status compare(const coord_verify *v, const coord_prints_step *step,
                         const df_step_print *print, df_error *err)
{
    const coord_prints_head *head = coord_prints_head_of(v->reader);

    for (uint32_t i = 0; i < v->order_count; i++) {
        uint32_t stream = v->order[i];
        const char *field = step->fields[v->recorded[stream]];

        if (!at_end_only(v, print, field, stream) &&
            !print_is(&head->streams[v->recorded[stream]], field, v->found[stream]))
            return step_differs(v, print->step, stream, field, err);
    }
    if (step->total.high != print->total.high || step->total.low != print->total.low)
        return df_fail(err, DF_ECORRUPT, "step %" PRIu64 " differs from %s: the states' total, though "
                       "no recorded part of it", print->step, v->path);
    return DF_OK;
}

df_status coord_verify_step(coord_verify *v, const df_step_print *print, df_error *err)
{
    coord_prints_step step;
    df_status s = coord_prints_next(v->reader, &step, err);

    if (s == DF_END && v->count == 0)
        return df_fail(err, DF_ECORRUPT, "%s holds no steps", v->path);
    if (s == DF_END)
        return df_fail(err, DF_ECORRUPT, "%s: the recording ends at step %" PRIu64 ", before the run",
                       v->path, print->step - 1);
    if (s != DF_OK)
        return s;
    if (step.step != print->step)
        return df_fail(err, DF_ECORRUPT, "%s: the recording begins at step %" PRIu64
                       ", the run at step %" PRIu64, v->path, step.step, print->step);
    for (uint32_t i = 0; i < v->plan->stream_count; i++)
        v->found[i] = NULL;
    for (uint32_t i = 0; i < print->stream_count; i++)
        v->found[print->streams[i].stream] = &print->streams[i];
    s = compare(v, &step, print, err);
    v->count += s == DF_OK;
    return s;
}

df_status coord_verify_seek(coord_verify *v, uint64_t step, df_error *err)
{
    df_status s = coord_prints_seek(v->reader, step, err);

    if (s == DF_END && step > 0)
        return df_fail(err, DF_ECORRUPT, "%s: the recording ends before step %" PRIu64, v->path, step);
    v->count = step;
    return s == DF_END ? DF_OK : s;
}

uint64_t coord_verify_count(const coord_verify *verify)
{
    return verify->count;
}

void coord_verify_close(coord_verify **verify)
{
    coord_verify *v = *verify;

    if (v == NULL)
        return;
    *verify = NULL;
    coord_prints_free(&v->reader);
    free(v->order);
    free(v->recorded);
    free(v->found);
    free(v);
}
