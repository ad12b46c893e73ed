#include "tests/support/reference.h"
#include "tests/support/job.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- models ---- */

model_stream model_add_state(model *m, bool spatial, bool anywhere)
{
    m->states[m->state_count] = (model_state){ .spatial = spatial, .anywhere = anywhere };
    return (model_stream){ .state = true, .index = (uint8_t)m->state_count++ };
}

model_stream model_add_op(model *m, kind_id kind, model_stream in, const uint32_t p[4])
{
    model_op *op = &m->ops[m->op_count];

    *op = (model_op){ .kind = kind };
    memcpy(op->p, p, sizeof op->p);
    if (kind != KIND_MAKE)
        op->in[0] = (model_list){ .count = 1, .streams = { in } };
    return (model_stream){ .index = (uint8_t)m->op_count++ };
}

static void stream_name(const model *m, model_stream s, char *name)
{
    if (s.state)
        sprintf(name, "s%u", s.index);
    else if (m->ops[s.index].kind == KIND_SPLIT)
        sprintf(name, "o%u.%s", s.index, s.out == 0 ? "even" : "odd");
    else
        sprintf(name, "o%u", s.index);
}

static void list_names(const model *m, const model_list *list, const char *prefix, char *text)
{
    for (uint32_t i = 0; i < list->count; i++) {
        strcat(text, text[0] == '\0' ? "" : " ");
        strcat(text, prefix);
        stream_name(m, list->streams[i], text + strlen(text));
    }
}

static void draft_op(const model *m, uint32_t index, df_draft *draft)
{
    static const char *const second[KIND_IDS] = { [KIND_ASK] = "table=", [KIND_HEAR] = "news=" };
    const model_op *op = &m->ops[index];
    kind_options options = { .log = op->log };
    char name[16], inputs[256] = "";
    df_draft_operator *d;

    memcpy(options.p, op->p, sizeof options.p);
    sprintf(name, "o%u", index);
    list_names(m, &op->in[0], "in=", inputs);
    if (op->in[1].count > 0)
        list_names(m, &op->in[1], second[op->kind], inputs);
    d = job_operator(draft, name, kind_list[op->kind], &options, inputs);
    d->every_steps = op->every_steps == 0 ? 1 : op->every_steps;
    d->at_end = op->at_end;
}

df_plan *model_plan(const model *m, bool backwards)
{
    df_draft *draft = job_new("model", m->steps);
    static const char *const axes[] = { "", "x", "xy", "xyz" };
    static const char *const columns[] = {
        "a:i32 g:u32 tag:u32 h:u32", "x:f32 a:i32 g:u32 tag:u32 h:u32 b:u8 c:f64 d:i64 e:u64",
        "x:f32 y:f32 a:i32 g:u32 tag:u32 h:u32 b:u8 c:f64 d:i64 e:u64",
        "x:f32 y:f32 z:f32 a:i32 g:u32 tag:u32 h:u32 b:u8 c:f64 d:i64 e:u64",
    };

    draft->key_groups = m->key_groups;
    draft->window = m->window;
    if (m->axis_count > 0) {
        job_space(draft, "box", axes[m->axis_count], 1, false);
        memcpy(draft->spaces[0].size, m->size, sizeof m->size);
        memcpy(draft->spaces[0].periodic, m->periodic, sizeof m->periodic);
    }
    for (uint32_t i = 0; i < m->state_count; i++) {
        const model_state *s = &m->states[i];
        char name[16], first[32], next[128] = "";

        sprintf(name, "s%u", i);
        stream_name(m, s->first, first);
        list_names(m, &s->next, "", next);
        df_draft_state *d = job_state(draft, name, s->spatial ? "box" : NULL,
                                      columns[s->spatial ? m->axis_count : 0], first, next);
        d->moves_anywhere = s->anywhere;
        d->settle_every = s->settle_every;
        d->skin = s->skin;
    }
    for (uint32_t i = 0; i < m->op_count; i++)
        draft_op(m, backwards ? m->op_count - 1 - i : i, draft);
    return job_plan(&draft);
}

/* ---- rows ---- */

static void *checked(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static void add_row(ref_rows *rows, const ref_row *row)
{
    if (rows->count == rows->max) {
        rows->max = rows->max == 0 ? 64 : 2 * rows->max;
        rows->rows = checked(realloc(rows->rows, rows->max * sizeof *rows->rows));
    }
    rows->rows[rows->count++] = *row;
}

/* ---- where a row lives ---- */

typedef struct world {
    reference *ref;
    uint64_t step;
    bool filling; /* the step before step 0: sources fill the states */
    ref_rows outs[MODEL_OPS_MAX][2], states[MODEL_STATES_MAX];
    bool made[MODEL_OPS_MAX];
    uint64_t births[MODEL_OPS_MAX][1024];
    uint64_t seen[MODEL_OPS_MAX][1024];
} world;

static const df_space *the_space(const world *w)
{
    return &w->ref->plan->spaces[0];
}

static uint32_t cell_on_axis(const df_space *s, uint32_t axis, double at)
{
    double cell = floor(at * (s->view.cells[axis] / s->view.size[axis]));

    return cell >= s->view.cells[axis] ? s->view.cells[axis] - 1 : (uint32_t)cell;
}

static void place_spatial(const world *w, ref_row *r)
{
    const df_space *s = the_space(w);
    uint32_t cell[3] = { 0 };

    for (uint32_t a = 0; a < s->view.axis_count; a++)
        cell[a] = cell_on_axis(s, a, r->row.at[a]);
    for (uint32_t g = 0; g < s->tile_count; g++) {
        const weir_tile *t = &s->tiles[g];
        bool here = true;
        for (uint32_t a = 0; a < 3; a++)
            here &= cell[a] >= t->origin[a] && cell[a] < t->origin[a] + t->cells[a];
        if (!here)
            continue;
        r->key_group = g;
        r->cell = ((cell[2] - t->origin[2]) * t->cells[1] + cell[1] - t->origin[1]) * t->cells[0] +
                  cell[0] - t->origin[0];
        return;
    }
    abort();
}

static uint32_t group_of_key(const df_partition *p, uint64_t key)
{
    uint64_t runs = p->run > 0 ? (p->rows + p->run - 1) / p->run : 0, h = key;

    if (p->kind == DF_PART_ONE)
        return 0;
    if (key >> 63)
        return (uint32_t)((key >> DF_KEY_GROUP_SHIFT) & 0xffff) % p->key_groups;
    if (p->kind == DF_PART_RANGE && key < p->rows)
        return (uint32_t)(key / p->run * p->key_groups / runs);
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    h ^= h >> 31;
    /* floor(h * groups / 2^64), in two halves */
    return (uint32_t)(((h >> 32) * p->key_groups + ((h & 0xffffffffu) * p->key_groups >> 32)) >> 32);
}

/* ---- streams of the model in the plan ---- */

static uint32_t vertex_of(const world *w, const char *name)
{
    for (uint32_t i = 0; i < w->ref->plan->vertex_count; i++)
        if (strcmp(w->ref->plan->vertices[i].name, name) == 0)
            return i;
    abort();
}

static const df_vertex *plan_vertex(const world *w, bool state, uint32_t index)
{
    char name[16];

    sprintf(name, "%c%u", state ? 's' : 'o', index);
    return &w->ref->plan->vertices[vertex_of(w, name)];
}

static const ref_rows *stream_rows(const world *w, model_stream s)
{
    return s.state ? &w->states[s.index] : &w->outs[s.index][s.out];
}

static bool stream_spatial(const world *w, model_stream s)
{
    const model *m = w->ref->model;

    while (!s.state) {
        kind_id kind = m->ops[s.index].kind;
        if (kind == KIND_TALLY || kind == KIND_TOTAL || kind == KIND_SUM || kind == KIND_MAKE)
            return false;
        s = m->ops[s.index].in[0].streams[0];
    }
    return m->states[s.index].spatial;
}

static int compare_group(const void *a, const void *b)
{
    const ref_row *x = a, *y = b;

    return x->key_group < y->key_group ? -1 : x->key_group > y->key_group;
}

/* Several streams as one: by (key group, stream). The rows of each are by key group already. */
static ref_rows unite(const world *w, const model_list *list)
{
    ref_rows all = { 0 };

    for (uint32_t g = 0; g <= w->ref->plan->key_groups; g++)
        for (uint32_t k = 0; k < list->count; k++) {
            const ref_rows *rows = stream_rows(w, list->streams[k]);
            for (uint32_t i = 0; i < rows->count; i++)
                if (rows->rows[i].key_group == g)
                    add_row(&all, &rows->rows[i]);
        }
    return all;
}

/* ---- the kinds ---- */

static kind_options options_of(const model_op *op)
{
    kind_options o = { 0 };

    memcpy(o.p, op->p, sizeof o.p);
    return o;
}

/* A source is spatial if the state that it fills is. */
static bool fills_space(const model *m, uint32_t index)
{
    for (uint32_t i = 0; i < m->state_count; i++)
        if (m->states[i].first.index == index)
            return m->states[i].spatial;
    return false;
}

static void run_make(world *w, uint32_t index)
{
    const model *m = w->ref->model;
    kind_options o = options_of(&m->ops[index]);
    const df_partition *part = &plan_vertex(w, false, index)->partition;
    bool spatial = fills_space(m, index);

    for (uint64_t i = 0; i < o.p[0]; i++) {
        uint64_t key = o.p[1] == KIND_OWN_KEYS ? 5 + 3 * (o.p[0] - i) : i;
        ref_row r = { .row = kind_made(&o, spatial ? m->axis_count : 0, m->size, m->periodic, key) };
        if (part->kind == DF_PART_RANGE)
            r.key_group = group_of_key(part, key);
        add_row(&w->outs[index][0], &r);
    }
}

typedef struct near_row {
    int64_t offset[3];
    uint64_t key;
    uint32_t tag;
} near_row;

static int compare_near(const void *a, const void *b)
{
    const near_row *x = a, *y = b;

    for (int i = 2; i >= 0; i--)
        if (x->offset[i] != y->offset[i])
            return x->offset[i] < y->offset[i] ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

/* Where a row is on an axis, as seen from where it settled: it may have gone round the edge since. */
static double unwrapped(const df_space *s, uint32_t axis, const ref_row *r)
{
    double at = r->row.at[axis], size = s->view.size[axis];

    if (!s->view.periodic[axis])
        return at;
    if (at - r->settled[axis] > size / 2)
        return at - size;
    return at - r->settled[axis] < -size / 2 ? at + size : at;
}

/* Whether row j, moved by whole sizes, is within the radius of row i; fills where it is. */
static bool is_near(const world *w, const ref_row *ri, const ref_row *rj, const int wraps[3],
                    double radius, near_row *near)
{
    const kind_row *i = &ri->row, *j = &rj->row;
    const df_space *s = the_space(w);
    double square = 0;

    for (uint32_t a = 0; a < 3; a++) {
        double d;
        bool there = a < s->view.axis_count;
        if (wraps[a] != 0 && (!there || !s->view.periodic[a]))
            return false;
        if (!there) {
            near->offset[a] = 0;
            continue;
        }
        d = unwrapped(s, a, rj) + wraps[a] * s->view.size[a] - unwrapped(s, a, ri);
        square += d * d;
        near->offset[a] = (int64_t)cell_on_axis(s, a, rj->settled[a]) -
                          (int64_t)cell_on_axis(s, a, ri->settled[a]) +
                          wraps[a] * (int64_t)s->view.cells[a];
    }
    near->key = j->key;
    near->tag = j->tag;
    return square < radius * radius &&
           !(i->key == j->key && wraps[0] == 0 && wraps[1] == 0 && wraps[2] == 0);
}

static void run_see(world *w, uint32_t index, const ref_rows *in)
{
    double radius = w->ref->model->ops[index].p[0] / 16.0;
    near_row *near = checked(calloc(27 * in->count + 1, sizeof *near));

    for (uint32_t i = 0; i < in->count; i++) {
        ref_row r = in->rows[i];
        uint32_t count = 0;
        for (uint32_t j = 0; j < in->count; j++)
            for (int image = 0; image < 27; image++) {
                int wraps[3] = { image % 3 - 1, image / 3 % 3 - 1, image / 9 - 1 };
                count += is_near(w, &in->rows[i], &in->rows[j], wraps, radius, &near[count]);
            }
        qsort(near, count, sizeof *near, compare_near);
        r.row.a = (r.row.a + count) & 0xfffff;
        r.row.h = 0;
        for (uint32_t k = 0; k < count; k++)
            r.row.h = kind_fold(r.row.h, near[k].tag);
        add_row(&w->outs[index][0], &r);
    }
    free(near);
}

static void run_drift(world *w, uint32_t index, const ref_rows *in)
{
    const model *m = w->ref->model;
    kind_options o = options_of(&m->ops[index]);
    uint32_t number = plan_vertex(w, false, index)->birth_number;
    uint32_t axes = stream_spatial(w, m->ops[index].in[0].streams[0]) ? m->axis_count : 0;
    ref_rows born = { 0 };

    for (uint32_t i = 0; i < in->count; i++) {
        ref_row r = in->rows[i], c;
        uint32_t tag, g = r.key_group;
        bool child;

        if (!kind_drifted(&o, axes, m->size, m->periodic, w->step, &r.row, &child, &tag))
            continue;
        add_row(&w->outs[index][0], &r);
        if (!child)
            continue;
        c = r;
        c.row.tag = tag;
        c.row.key = 1ull << 63 | (uint64_t)g << 47 | (uint64_t)number << 40 | w->births[index][g]++;
        add_row(&born, &c);
    }
    for (uint32_t i = 0; i < born.count; i++)
        add_row(&w->outs[index][0], &born.rows[i]);
    free(born.rows);
    /* A key group's children follow its other rows. qsort is not stable; merging by group is. */
    ref_rows *out = &w->outs[index][0], sorted = { 0 };
    for (uint32_t g = 0; g <= w->ref->plan->key_groups; g++)
        for (uint32_t i = 0; i < out->count; i++)
            if (out->rows[i].key_group == g)
                add_row(&sorted, &out->rows[i]);
    free(out->rows);
    *out = sorted;
}

static void run_split(world *w, uint32_t index, const ref_rows *in)
{
    for (uint32_t i = 0; i < in->count; i++)
        add_row(&w->outs[index][in->rows[i].row.tag % 2], &in->rows[i]);
}

/* The fold of folds: of each stream of each key group. by: rows with g == group only. */
static bool fold_groups(const world *w, const model_list *list, bool by, uint32_t group, kind_row *out)
{
    bool found = false;

    *out = (kind_row){ .key = group, .g = group };
    for (uint32_t g = 0; g <= w->ref->plan->key_groups; g++)
        for (uint32_t k = 0; k < list->count; k++) {
            const ref_rows *rows = stream_rows(w, list->streams[k]);
            uint32_t count = 0, fold = 0;
            for (uint32_t i = 0; i < rows->count; i++) {
                const kind_row *r = &rows->rows[i].row;
                if (rows->rows[i].key_group != g || (by && r->g != group))
                    continue;
                count++;
                out->a += r->a;
                fold = kind_fold(fold, r->tag ^ (uint32_t)r->key);
            }
            out->h += count;
            if (count > 0)
                out->tag = kind_fold(out->tag, fold);
            found |= count > 0;
        }
    out->a &= 0xfffff;
    return found;
}

static void run_tally(world *w, uint32_t index)
{
    const df_partition *part = &plan_vertex(w, false, index)->partition;

    for (uint32_t group = 0; group < part->key_groups; group++)
        for (uint32_t g = 0; g < KIND_GROUPS_MAX; g++) {
            ref_row r = { .key_group = group };
            if (group_of_key(part, g) == group &&
                fold_groups(w, &w->ref->model->ops[index].in[0], true, g, &r.row))
                add_row(&w->outs[index][0], &r);
        }
}

static void run_sum(world *w, uint32_t index)
{
    ref_row r = { 0 };

    if (fold_groups(w, &w->ref->model->ops[index].in[0], false, 0, &r.row))
        add_row(&w->outs[index][0], &r);
}

static void run_total(world *w, uint32_t index, const ref_rows *in)
{
    ref_row r = { 0 };

    for (uint32_t i = 0; i < in->count; i++) {
        r.row.h++;
        r.row.a = (r.row.a + in->rows[i].row.a) & 0xfffff;
        r.row.tag = kind_fold(r.row.tag, in->rows[i].row.tag ^ (uint32_t)in->rows[i].row.key);
    }
    add_row(&w->outs[index][0], &r);
}

static void run_ask(world *w, uint32_t index, const ref_rows *in)
{
    const ref_rows *table = stream_rows(w, w->ref->model->ops[index].in[1].streams[0]);

    for (uint32_t i = 0; i < in->count; i++) {
        ref_row r = in->rows[i];
        uint32_t add = 3;
        for (uint32_t k = 0; k < table->count; k++)
            if (table->rows[k].row.key == r.row.g)
                add = table->rows[k].row.a + table->rows[k].row.tag;
        r.row.a = (r.row.a + add) & 0xfffff;
        add_row(&w->outs[index][0], &r);
    }
}

static void run_hear(world *w, uint32_t index, const ref_rows *in)
{
    ref_rows news = unite(w, &w->ref->model->ops[index].in[1]);
    uint32_t fold = 0;

    for (uint32_t i = 0; i < news.count; i++)
        fold = kind_fold(fold, news.rows[i].row.tag);
    for (uint32_t i = 0; i < in->count; i++) {
        ref_row r = in->rows[i];
        r.row.a = (r.row.a + fold) & 0xfffff;
        add_row(&w->outs[index][0], &r);
    }
    free(news.rows);
}

static void run_count(world *w, uint32_t index, const ref_rows *in)
{
    uint64_t *seen = w->seen[index];

    for (uint32_t i = 0; i < in->count; i++) {
        ref_row r = in->rows[i];
        r.row.a = (r.row.a + (uint32_t)seen[r.key_group]) & 0xfffff;
        add_row(&w->outs[index][0], &r);
    }
    for (uint32_t i = 0; i < in->count; i++)
        seen[in->rows[i].key_group]++;
}

static void run_record(world *w, uint32_t index, const ref_rows *in)
{
    kind_log *log = &w->ref->logs[index];

    log->calls++;
    log->last_step = w->step;
    for (uint32_t i = 0; i < in->count; i++) {
        if (log->count == log->max) {
            log->max = log->max == 0 ? 256 : 2 * log->max;
            log->rows = checked(realloc(log->rows, log->max * sizeof *log->rows));
        }
        log->rows[log->count++] = (kind_record){ .step = w->step, .row = in->rows[i].row,
                                                 .key_group = in->rows[i].key_group };
    }
}

static void run_op(world *w, uint32_t index)
{
    const model_op *op = &w->ref->model->ops[index];
    ref_rows in = unite(w, &op->in[0]);

    if (op->kind == KIND_MAKE)
        run_make(w, index);
    else if (op->kind == KIND_SEE)
        run_see(w, index, &in);
    else if (op->kind == KIND_DRIFT)
        run_drift(w, index, &in);
    else if (op->kind == KIND_SPLIT)
        run_split(w, index, &in);
    else if (op->kind == KIND_TALLY)
        run_tally(w, index);
    else if (op->kind == KIND_TOTAL)
        run_total(w, index, &in);
    else if (op->kind == KIND_SUM)
        run_sum(w, index);
    else if (op->kind == KIND_ASK)
        run_ask(w, index, &in);
    else if (op->kind == KIND_HEAR)
        run_hear(w, index, &in);
    else if (op->kind == KIND_COUNT)
        run_count(w, index, &in);
    else if (op->kind == KIND_RECORD)
        run_record(w, index, &in);
    else
        abort();
    free(in.rows);
}

/* ---- steps ---- */

static bool inputs_made(const world *w, const model_op *op)
{
    for (uint32_t q = 0; q < 2; q++)
        for (uint32_t k = 0; k < op->in[q].count; k++) {
            model_stream s = op->in[q].streams[k];
            if (s.state ? w->filling : !w->made[s.index])
                return false;
        }
    return true;
}

/* Whether an operator's results reach a state's next, or a sink, at this step. Only those that remember
 * something are asked: for the others it changes nothing. */
static bool has_due(const world *w, const model_op *op)
{
    uint64_t every = op->every_steps == 0 ? 1 : op->every_steps;

    return w->filling || (w->step % every == 0 && (!op->at_end || w->step == w->ref->model->steps));
}

static void run_ops(world *w)
{
    const model *m = w->ref->model;

    for (uint32_t i = 0; i < m->op_count; i++) {
        w->outs[i][0].count = w->outs[i][1].count = 0;
        w->made[i] = has_due(w, &m->ops[i]) && inputs_made(w, &m->ops[i]) &&
                     !(w->filling && m->ops[i].kind == KIND_RECORD);
        if (w->made[i])
            run_op(w, i);
    }
}

static int compare_canonical(const void *a, const void *b)
{
    const ref_row *x = a, *y = b;
    int by_group = compare_group(a, b);

    if (by_group != 0)
        return by_group;
    if (x->cell != y->cell)
        return x->cell < y->cell ? -1 : 1;
    return x->row.key < y->row.key ? -1 : x->row.key > y->row.key;
}

static ref_rows commit(world *w, uint32_t state)
{
    const model_state *s = &w->ref->model->states[state];
    model_list first = { .count = 1, .streams = { s->first } };
    ref_rows rows = unite(w, w->filling ? &first : &s->next);
    const df_partition *part = &plan_vertex(w, true, state)->partition;
    bool settles = w->filling || s->settle_every <= 1 || (w->step + 1) % s->settle_every == 0;

    for (uint32_t i = 0; i < rows.count && settles; i++) {
        rows.rows[i].cell = 0;
        memcpy(rows.rows[i].settled, rows.rows[i].row.at, sizeof rows.rows[i].settled);
        if (s->spatial)
            place_spatial(w, &rows.rows[i]);
        else
            rows.rows[i].key_group = group_of_key(part, rows.rows[i].row.key);
    }
    if (rows.count > 0)
        qsort(rows.rows, rows.count, sizeof *rows.rows, compare_canonical);
    return rows;
}

void reference_run(reference *ref, const model *m, const df_plan *plan)
{
    world *w = checked(calloc(1, sizeof *w));
    ref_rows next[MODEL_STATES_MAX];

    *ref = (reference){ .model = m, .plan = plan };
    w->ref = ref;
    for (uint32_t s = 0; s < m->state_count; s++)
        ref->states[s] = checked(calloc(m->steps + 1, sizeof *ref->states[s]));
    w->filling = true;
    for (uint64_t step = 0; step <= m->steps + 1; step++) {
        w->step = step > 0 ? step - 1 : 0;
        run_ops(w);
        if (step > m->steps)
            break;
        for (uint32_t s = 0; s < m->state_count; s++)
            next[s] = commit(w, s);
        for (uint32_t s = 0; s < m->state_count; s++)
            w->states[s] = ref->states[s][step] = next[s];
        w->filling = false;
    }
    for (uint32_t i = 0; i < m->op_count; i++) {
        free(w->outs[i][0].rows);
        free(w->outs[i][1].rows);
    }
    free(w);
}

void reference_fini(reference *ref)
{
    for (uint32_t s = 0; s < ref->model->state_count; s++) {
        for (uint64_t i = 0; i <= ref->model->steps; i++)
            free(ref->states[s][i].rows);
        free(ref->states[s]);
    }
    for (uint32_t i = 0; i < MODEL_OPS_MAX; i++)
        kind_log_fini(&ref->logs[i]);
}
