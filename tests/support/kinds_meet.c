/* Kinds in which rows meet: aggregates, exchanges, and what a key group remembers. */
#include "tests/support/kinds_private.h"

/* ---- tally, total, sum ---- */

enum { PARTIAL_COUNT, PARTIAL_SUM, PARTIAL_FOLD };

static void plan_partial(weir_plan *plan, kind_options *o)
{
    o->partial[PARTIAL_COUNT] = weir_plan_partial(plan, "count", WEIR_U32);
    o->partial[PARTIAL_SUM] = weir_plan_partial(plan, "sum", WEIR_U64);
    o->partial[PARTIAL_FOLD] = weir_plan_partial(plan, "fold", WEIR_U32);
}

static weir_status tally_plan(weir_plan *plan, void *options)
{
    kind_options *o = options;

    kind_find(weir_plan_input(plan, 0), NULL, &o->in);
    kind_add_plain(plan, o);
    plan_partial(plan, o);
    weir_plan_exchange(plan, 0, WEIR_KEY_BY, weir_plan_column(plan, 0, "g", WEIR_U32));
    return WEIR_OK;
}

/* The partial row of the rows whose g is `group`, or of all (by == false), at out row `at`; false: none. */
static bool partial_row(const kind_options *o, const weir_batch *in, bool by, uint32_t group,
                        weir_batch *out, uint32_t at)
{
    uint32_t count = 0, fold = 0;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < in->row_count; i++) {
        kind_row row = kind_get(in, &o->in, i);
        if (by && row.g != group)
            continue;
        count++;
        sum += row.a;
        fold = kind_fold(fold, row.tag ^ (uint32_t)row.key);
    }
    if (count == 0)
        return false;
    out->keys[at] = group;
    ((uint32_t *)out->columns[o->partial[PARTIAL_COUNT]])[at] = count;
    ((uint64_t *)out->columns[o->partial[PARTIAL_SUM]])[at] = sum;
    ((uint32_t *)out->columns[o->partial[PARTIAL_FOLD]])[at] = fold;
    return true;
}

static weir_status tally_combine(weir_task *task)
{
    weir_batch *out = weir_output(task, 0, KIND_GROUPS_MAX);
    uint32_t rows = 0;

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t g = 0; g < KIND_GROUPS_MAX; g++)
        rows += partial_row(task->options, task->inputs[0].batches[0], true, g, out, rows);
    out->row_count = rows;
    return WEIR_OK;
}

static weir_status sum_combine(weir_task *task)
{
    weir_batch *out = weir_output(task, 0, 1);

    if (out == NULL)
        return WEIR_FAILED;
    out->row_count = partial_row(task->options, task->inputs[0].batches[0], false, 0, out, 0);
    return WEIR_OK;
}

/* The partial rows of `group`, in the order in which they come. False: none. */
static bool meet(const kind_options *o, const weir_input *in, uint32_t group, kind_row *row)
{
    bool found = false;

    *row = (kind_row){ .key = group, .g = group };
    for (uint32_t b = 0; b < in->batch_count; b++)
        for (uint32_t i = 0; i < in->batches[b]->row_count; i++) {
            const weir_batch *batch = in->batches[b];
            if (batch->keys[i] != group)
                continue;
            found = true;
            row->h += ((const uint32_t *)batch->columns[o->partial[PARTIAL_COUNT]])[i];
            row->a += (uint32_t)((const uint64_t *)batch->columns[o->partial[PARTIAL_SUM]])[i];
            row->tag = kind_fold(row->tag,
                                 ((const uint32_t *)batch->columns[o->partial[PARTIAL_FOLD]])[i]);
        }
    row->a &= 0xfffff;
    return found;
}

static weir_status tally_process(weir_task *task)
{
    const kind_options *o = task->options;
    weir_batch *out = weir_output(task, 0, KIND_GROUPS_MAX);
    uint32_t rows = 0;

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t b = 0; b < task->inputs[0].batch_count; b++)
        if (task->inputs[0].batches[b]->row_count == 0)
            return weir_fail(task, WEIR_NO_ROW, "key group %u has sent nothing, and is among those that have",
                             task->inputs[0].batches[b]->key_group);
    for (uint32_t g = 0; g < KIND_GROUPS_MAX; g++) {
        kind_row row;
        if (meet(o, &task->inputs[0], g, &row))
            kind_put_row(out, &o->out, rows++, &row);
    }
    out->row_count = rows;
    return WEIR_OK;
}

static weir_status sum_plan(weir_plan *plan, void *options)
{
    kind_options *o = options;

    kind_find(weir_plan_input(plan, 0), NULL, &o->in);
    kind_add_plain(plan, o);
    plan_partial(plan, o);
    return WEIR_OK;
}

static weir_status sum_process(weir_task *task)
{
    const kind_options *o = task->options;
    weir_batch *out = weir_output(task, 0, 1);
    kind_row row;

    if (out == NULL)
        return WEIR_FAILED;
    out->row_count = meet(o, &task->inputs[0], 0, &row);
    if (out->row_count > 0)
        kind_put_row(out, &o->out, 0, &row);
    return WEIR_OK;
}

static weir_status total_plan(weir_plan *plan, void *options)
{
    kind_options *o = options;

    kind_find(weir_plan_input(plan, 0), NULL, &o->in);
    kind_add_plain(plan, o);
    return WEIR_OK;
}

static weir_status total_process(weir_task *task)
{
    const kind_options *o = task->options;
    const weir_input *in = &task->inputs[0];
    weir_batch *out = weir_output(task, 0, 1);
    kind_row row = { 0 };

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t b = 0; b < in->batch_count; b++)
        for (uint32_t i = 0; i < in->batches[b]->row_count; i++) {
            kind_row one = kind_get(in->batches[b], &o->in, i);
            row.h++;
            row.a = (row.a + one.a) & 0xfffff;
            row.tag = kind_fold(row.tag, one.tag ^ (uint32_t)one.key);
        }
    kind_put_row(out, &o->out, 0, &row);
    return WEIR_OK;
}

/* ---- ask, hear, count, fail ---- */

static weir_status ask_plan(weir_plan *plan, void *options)
{
    kind_options *o = options;

    kind_pass_but_a(plan, o);
    kind_find(weir_plan_input(plan, 1), NULL, &o->other);
    weir_plan_exchange(plan, 1, WEIR_LOOKUP, o->in.g);
    return WEIR_OK;
}

static weir_status ask_process(weir_task *task)
{
    const kind_options *o = task->options;
    const weir_batch *in = task->inputs[0].batches[0], *table = task->inputs[1].batches[0];
    weir_batch *out = weir_output_like(task, 0, 0);

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < in->row_count; i++) {
        uint32_t row = task->inputs[1].rows[i], a = kind_get_u32(in, o->in.a, i);
        if (row == WEIR_NO_ROW)
            a += 3;
        else
            a += kind_get_u32(table, o->other.a, row) + kind_get_u32(table, o->other.tag, row);
        kind_put_a(out, &o->out, i, a & 0xfffff);
        kind_put_u32(out, o->out.h, i, kind_get_u32(in, o->in.h, i));
    }
    return WEIR_OK;
}

static weir_status hear_plan(weir_plan *plan, void *options)
{
    kind_options *o = options;

    kind_pass_but_a(plan, o);
    kind_find(weir_plan_input(plan, 1), NULL, &o->other);
    return WEIR_OK;
}

static weir_status hear_process(weir_task *task)
{
    const kind_options *o = task->options;
    const weir_batch *in = task->inputs[0].batches[0];
    const weir_input *news = &task->inputs[1];
    weir_batch *out = weir_output_like(task, 0, 0);
    uint32_t fold = 0;

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t b = 0; b < news->batch_count; b++)
        for (uint32_t i = 0; i < news->batches[b]->row_count; i++)
            fold = kind_fold(fold, kind_get_u32(news->batches[b], o->other.tag, i));
    for (uint32_t i = 0; i < in->row_count; i++) {
        kind_put_a(out, &o->out, i, (kind_get_u32(in, o->in.a, i) + fold) & 0xfffff);
        kind_put_u32(out, o->out.h, i, kind_get_u32(in, o->in.h, i));
    }
    return WEIR_OK;
}

static weir_status count_plan(weir_plan *plan, void *options)
{
    kind_options *o = options;

    kind_pass_but_a(plan, o);
    o->seen = weir_plan_carry(plan, "seen", WEIR_U64);
    return WEIR_OK;
}

static weir_status count_process(weir_task *task)
{
    const kind_options *o = task->options;
    const weir_batch *in = task->inputs[0].batches[0];
    weir_batch *out = weir_output_like(task, 0, 0);
    uint64_t seen = *(const uint64_t *)task->carried->columns[o->seen];

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < in->row_count; i++) {
        kind_put_a(out, &o->out, i, (kind_get_u32(in, o->in.a, i) + (uint32_t)seen) & 0xfffff);
        kind_put_u32(out, o->out.h, i, kind_get_u32(in, o->in.h, i));
    }
    *(uint64_t *)task->carry->columns[o->seen] = seen + in->row_count;
    return WEIR_OK;
}

static weir_status fail_plan(weir_plan *plan, void *options)
{
    kind_options *o = options;

    kind_find(weir_plan_input(plan, 0), weir_plan_space(plan, 0), &o->in);
    weir_plan_pass(plan, 0, 0);
    return WEIR_OK;
}

static weir_status fail_process(weir_task *task)
{
    const kind_options *o = task->options;
    weir_batch *out = weir_output_like(task, 0, 0);

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t i = 0; task->step >= o->p[0] && i < out->row_count; i++)
        if (kind_get_u32(out, o->in.tag, i) % o->p[1] == 0)
            return weir_fail(task, i, "id %llu of key group %u, row %u, has a wrong tag",
                             (unsigned long long)out->keys[i], task->key_group, i);
    return WEIR_OK;
}

/* ---- descriptors ---- */

KIND(tally, WEIR_AGGREGATE, .inputs = { { "in", WEIR_KEY_BY, "" } }, .outputs = { "out" },
     .combine = tally_combine);
KIND(total, WEIR_AGGREGATE, .inputs = { { "in", WEIR_GATHER, "" } }, .outputs = { "out" });
KIND(sum, WEIR_AGGREGATE, .inputs = { { "in", WEIR_GATHER, "" } }, .outputs = { "out" },
     .combine = sum_combine);
KIND(ask, WEIR_PHASE, .inputs = { { "in", WEIR_FORWARD, "" }, { "table", WEIR_LOOKUP, "" } },
     .outputs = { "out" });
KIND(hear, WEIR_PHASE, .inputs = { { "in", WEIR_FORWARD, "" }, { "news", WEIR_BROADCAST, "" } },
     .outputs = { "out" });
KIND(count, WEIR_PHASE, .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" });
KIND(fail, WEIR_PHASE, .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" });
