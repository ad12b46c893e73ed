#include "tests/support/kinds_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- shared with the reference ---- */

uint32_t kind_hash(uint32_t tag, uint64_t step, uint32_t salt)
{
    uint64_t z = tag * 0x9e3779b97f4a7c15u + step * 0xd1b54a32d192ed03u + salt * 0x8cb92ba72f3d8dd7u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}

uint32_t kind_fold(uint32_t hash, uint32_t value)
{
    return (hash ^ value) * 16777619u + 1;
}

/* A place on an axis, in sixteenths: [0, size) if it is periodic, else [0, size]. */
static double any_place(uint32_t random, double size, bool periodic)
{
    return (random % (uint32_t)(size * 16 + (periodic ? 0 : 1))) / 16.0;
}

kind_row kind_made(const kind_options *o, uint32_t axis_count, const double *size,
                   const bool *periodic, uint64_t key)
{
    kind_row row = { .key = key, .tag = kind_hash((uint32_t)key, 0, o->p[3]) };

    row.a = row.tag % 1000;
    row.g = o->p[1] == KIND_RUNS ? (uint32_t)(key / o->p[2]) : row.tag / 1000 % 7;
    for (uint32_t i = 0; i < axis_count; i++)
        row.at[i] = o->p[1] == KIND_CORNER ? 0.0
                                           : any_place(kind_hash(row.tag, 1 + i, 5), size[i], periodic[i]);
    return row;
}

static double moved(double at, uint32_t random, uint32_t reach, double size, bool periodic)
{
    if (reach == KIND_TELEPORT)
        return any_place(random, size, periodic);
    at += ((int)(random % (2 * reach + 1)) - (int)reach) / 16.0;
    if (periodic)
        return at < 0 ? at + size : at >= size ? at - size : at;
    return at < 0 ? 0 : at > size ? size : at;
}

bool kind_drifted(const kind_options *o, uint32_t axis_count, const double *size,
                  const bool *periodic, uint64_t step, kind_row *row, bool *child, uint32_t *tag)
{
    uint32_t random = kind_hash(row->tag, step, o->p[3]);

    *child = o->p[2] != 0 && (random >> 8) % o->p[2] == 0;
    *tag = kind_hash(row->tag, step, 77);
    if (o->p[1] != 0 && random % o->p[1] == 0)
        return false;
    row->a = (row->a * 5 + random) & 0xfffff;
    row->g = o->p[0] == KIND_KEEP_G ? row->g : (row->g + (random >> 30)) % 7;
    for (uint32_t i = 0; i < axis_count; i++)
        row->at[i] = moved(row->at[i], kind_hash(random, i, 3), o->p[0], size[i], periodic[i]);
    return true;
}

/* ---- columns ---- */

void kind_find(const weir_schema *schema, const weir_space *space, kind_columns *c)
{
    *c = (kind_columns){ .at = { -1, -1, -1 },
                         .a = weir_schema_find(schema, "a"), .g = weir_schema_find(schema, "g"),
                         .tag = weir_schema_find(schema, "tag"), .h = weir_schema_find(schema, "h"),
                         .b = weir_schema_find(schema, "b"), .c = weir_schema_find(schema, "c"),
                         .d = weir_schema_find(schema, "d"), .e = weir_schema_find(schema, "e") };
    for (uint32_t i = 0; space != NULL && i < space->axis_count; i++)
        c->at[i] = weir_schema_find(schema, space->axes[i]);
}

uint32_t kind_get_u32(const weir_batch *batch, int column, uint32_t row)
{
    return column < 0 ? 0 : ((const uint32_t *)batch->columns[column])[row];
}

kind_row kind_get(const weir_batch *batch, const kind_columns *c, uint32_t row)
{
    kind_row r = { .key = batch->keys[row], .a = kind_get_u32(batch, c->a, row),
                   .g = kind_get_u32(batch, c->g, row), .tag = kind_get_u32(batch, c->tag, row),
                   .h = kind_get_u32(batch, c->h, row) };

    for (uint32_t i = 0; i < WEIR_AXES_MAX; i++)
        if (c->at[i] >= 0)
            r.at[i] = (double)((const float *)batch->columns[c->at[i]])[row];
    return r;
}

bool kind_derived_ok(const weir_batch *batch, const kind_columns *c, uint32_t row)
{
    uint32_t a = kind_get_u32(batch, c->a, row);

    return (c->b < 0 || ((const uint8_t *)batch->columns[c->b])[row] == (uint8_t)a) &&
           (c->c < 0 || ((const double *)batch->columns[c->c])[row] == a * 0.5) &&
           (c->d < 0 || ((const int64_t *)batch->columns[c->d])[row] == -(int64_t)a) &&
           (c->e < 0 || ((const uint64_t *)batch->columns[c->e])[row] == (uint64_t)a << 20);
}

void kind_put_u32(weir_batch *batch, int column, uint32_t row, uint32_t value)
{
    if (column >= 0)
        ((uint32_t *)batch->columns[column])[row] = value;
}

/* Everything that is a function of a. */
void kind_put_a(weir_batch *batch, const kind_columns *c, uint32_t row, uint32_t a)
{
    kind_put_u32(batch, c->a, row, a);
    if (c->b >= 0)
        ((uint8_t *)batch->columns[c->b])[row] = (uint8_t)a;
    if (c->c >= 0)
        ((double *)batch->columns[c->c])[row] = a * 0.5;
    if (c->d >= 0)
        ((int64_t *)batch->columns[c->d])[row] = -(int64_t)a;
    if (c->e >= 0)
        ((uint64_t *)batch->columns[c->e])[row] = (uint64_t)a << 20;
}

static void put_place(weir_batch *batch, const kind_columns *c, uint32_t row, const double *at)
{
    for (uint32_t i = 0; i < WEIR_AXES_MAX; i++)
        if (c->at[i] >= 0)
            ((float *)batch->columns[c->at[i]])[row] = (float)at[i];
}

void kind_put_row(weir_batch *batch, const kind_columns *c, uint32_t row, const kind_row *r)
{
    batch->keys[row] = r->key;
    put_place(batch, c, row, r->at);
    kind_put_a(batch, c, row, r->a);
    kind_put_u32(batch, c->g, row, r->g);
    kind_put_u32(batch, c->tag, row, r->tag);
    kind_put_u32(batch, c->h, row, r->h);
}

/* Declare all columns of a schema as made by output `out`. */
static void add_all(weir_plan *plan, uint32_t out, const weir_schema *schema)
{
    for (uint32_t i = 0; i < schema->column_count; i++)
        weir_plan_add(plan, out, schema->columns[i].name, schema->columns[i].type);
}

void kind_add_plain(weir_plan *plan, kind_options *o)
{
    o->out = (kind_columns){ .at = { -1, -1, -1 }, .b = -1, .c = -1, .d = -1, .e = -1 };
    o->out.a = weir_plan_add(plan, 0, "a", WEIR_I32);
    o->out.g = weir_plan_add(plan, 0, "g", WEIR_U32);
    o->out.tag = weir_plan_add(plan, 0, "tag", WEIR_U32);
    o->out.h = weir_plan_add(plan, 0, "h", WEIR_U32);
}

/* Pass everything of port 0 and write a, what depends on it, and h anew. */
void kind_pass_but_a(weir_plan *plan, kind_options *o)
{
    static const char *const names[] = { "a", "h", "b", "c", "d", "e" };
    const weir_schema *in = weir_plan_input(plan, 0);

    o->space = weir_plan_space(plan, 0);
    kind_find(in, o->space, &o->in);
    weir_plan_pass(plan, 0, 0);
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int column = weir_schema_find(in, names[i]);
        if (column >= 0)
            weir_plan_add(plan, 0, names[i], in->columns[column].type);
    }
    o->out = o->in;
}

/* ---- make ---- */

static weir_status make_plan(weir_plan *plan, void *options)
{
    kind_options *o = options;

    o->space = weir_plan_space(plan, 0);
    if (weir_plan_target(plan) != NULL) {
        add_all(plan, 0, weir_plan_target(plan));
        kind_find(weir_plan_target(plan), o->space, &o->out);
    } else {
        kind_add_plain(plan, o);
    }
    if (o->p[1] != KIND_OWN_KEYS)
        weir_plan_rows(plan, o->p[0], o->p[2]);
    if (o->p[1] == KIND_RUNS)
        weir_plan_run_column(plan, o->out.g);
    return WEIR_OK;
}

static weir_status make_process(weir_task *task)
{
    static const double none[WEIR_AXES_MAX];
    static const bool closed[WEIR_AXES_MAX];
    const kind_options *o = task->options;
    bool own = o->p[1] == KIND_OWN_KEYS;
    uint64_t begin = own ? 0 : task->row_begin, end = own ? o->p[0] : task->row_end;
    weir_batch *out = weir_output(task, 0, (uint32_t)(end - begin));

    if (out == NULL)
        return WEIR_FAILED;
    for (uint64_t i = begin; i < end; i++) {
        uint64_t key = own ? 5 + 3 * (end - i) : i; /* its own keys come in descending order */
        kind_row row = kind_made(o, o->space ? o->space->axis_count : 0,
                                 o->space ? o->space->size : none,
                                 o->space ? o->space->periodic : closed, key);
        kind_put_row(out, &o->out, (uint32_t)(i - begin), &row);
    }
    return WEIR_OK;
}

/* ---- see ---- */

static weir_status see_plan(weir_plan *plan, void *options)
{
    kind_options *o = options;

    kind_pass_but_a(plan, o);
    weir_plan_radius(plan, 0, o->p[0] / 16.0);
    return WEIR_OK;
}

typedef struct see_row {
    uint64_t key;
    uint32_t tag;
    int64_t cell[3]; /* unwrapped, as seen from the middle tile; of the whole space */
    double at[3];
} see_row;

/* All rows of a slot, unwrapped. */
static uint32_t see_slot(weir_task *task, uint32_t slot, see_row *rows)
{
    const kind_options *o = task->options;
    const weir_batch *batch = task->inputs[0].batches[slot];
    const float *at[3] = { NULL };
    const weir_tile *tile;
    uint32_t count = 0;

    if (batch == NULL)
        return 0;
    for (uint32_t a = 0; a < o->space->axis_count; a++) {
        at[a] = weir_unwrapped(task, 0, slot, a);
        if (at[a] == NULL)
            return 0; /* the task has failed */
    }
    tile = task->tile + ((int64_t)task->tile->neighbours[slot] - (int64_t)task->key_group);
    for (uint32_t c = 0; c < tile->cells[0] * tile->cells[1] * tile->cells[2]; c++)
        for (uint32_t i = batch->cell_rows[c]; i < batch->cell_rows[c + 1]; i++, count++) {
            uint32_t local[3] = { c % tile->cells[0], c / tile->cells[0] % tile->cells[1],
                                  c / tile->cells[0] / tile->cells[1] };
            kind_row row = kind_get(batch, &o->in, i);

            rows[count] = (see_row){ .key = row.key, .tag = row.tag };
            for (uint32_t a = 0; a < 3; a++) {
                float shift = task->tile->shift[slot][a];
                int wraps = shift > 0 ? 1 : shift < 0 ? -1 : 0;
                rows[count].cell[a] = (int64_t)tile->origin[a] + local[a] +
                                      wraps * (int64_t)o->space->cells[a];
                rows[count].at[a] = (at[a] == NULL ? 0 : (double)at[a][i]) + (double)shift;
            }
        }
    return count;
}

static int see_compare(const void *a, const void *b)
{
    const see_row *x = a, *y = b;

    for (int i = 2; i >= 0; i--)
        if (x->cell[i] != y->cell[i])
            return x->cell[i] < y->cell[i] ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

/* The neighbours of a row among `count` rows, in their order; by insertion, which needs no memory. */
static uint32_t see_near(const see_row *own, const see_row *rows, uint32_t count, double radius,
                         see_row *near)
{
    uint32_t found = 0;

    for (uint32_t j = 0; j < count; j++) {
        double square = 0;
        uint32_t at = found;
        for (uint32_t a = 0; a < 3; a++)
            square += (own->at[a] - rows[j].at[a]) * (own->at[a] - rows[j].at[a]);
        if (square >= radius * radius || see_compare(own, &rows[j]) == 0)
            continue;
        for (found++; at > 0 && see_compare(&near[at - 1], &rows[j]) > 0; at--)
            near[at] = near[at - 1];
        near[at] = rows[j];
    }
    return found;
}

_Atomic uint64_t kind_kept_moved, kind_kept_foreign;

/* The cells of a slot's tile along an axis that touch the middle tile. */
static void see_rim(const weir_tile *tile, uint32_t slot, uint32_t axis, uint32_t range[2])
{
    uint32_t side = (axis == 0 ? slot : axis == 1 ? slot / 3 : slot / 9) % 3;

    range[0] = side == 0 ? tile->cells[axis] - 1 : 0;
    range[1] = side == 2 ? 1 : tile->cells[axis];
}

/* A row that touches: its key, and where it is. */
typedef struct see_kept {
    uint64_t key;
    uint32_t row, slot;
} see_kept;

/* Those of a slot, cell by cell, into `kept`; null: only how many. */
static uint32_t see_touching(const weir_task *task, uint32_t slot, see_kept *kept)
{
    const weir_batch *batch = task->inputs[0].batches[slot];
    const weir_tile *tile;
    uint32_t range[3][2], count = 0;

    if (batch == NULL)
        return 0;
    tile = task->tile + ((int64_t)task->tile->neighbours[slot] - (int64_t)task->key_group);
    for (uint32_t a = 0; a < 3; a++)
        see_rim(tile, slot, a, range[a]);
    for (uint32_t z = range[2][0]; z < range[2][1]; z++)
        for (uint32_t y = range[1][0]; y < range[1][1]; y++)
            for (uint32_t x = range[0][0]; x < range[0][1]; x++) {
                const uint32_t *cell = batch->cell_rows + (z * tile->cells[1] + y) * tile->cells[0] + x;
                for (uint32_t i = cell[0]; i < cell[1]; i++, count++)
                    if (kept != NULL)
                        kept[count] = (see_kept){ batch->keys[i], i, slot };
            }
    return count;
}

/* The rows that touch must be found again, and elsewhere only where that is said. */
static bool see_keeps(weir_task *task)
{
    uint32_t total = 0, count = 0;
    weir_memory kept;
    see_kept *now;

    for (uint32_t s = 0; s < WEIR_HALO_SLOTS; s++)
        total += see_touching(task, s, NULL);
    now = weir_scratch(task, (total + 1) * sizeof *now);
    if (now == NULL)
        return false;
    for (uint32_t s = 0; s < WEIR_HALO_SLOTS; s++)
        count += see_touching(task, s, now + count);
    if (!weir_kept(task, 0, &kept)) {
        kept.bytes = weir_keep(task, 0, total * sizeof *now);
        if (kept.bytes != NULL && total > 0)
            memcpy(kept.bytes, now, total * sizeof *now);
        return true;
    }
    kind_kept_moved += kept.moved != 0;
    kind_kept_foreign += kept.foreign;
    if (kept.size != total * sizeof *now || (kept.foreign && !kept.moved))
        return weir_fail(task, WEIR_NO_ROW, "what was kept is of other rows") == WEIR_OK;
    for (see_kept *was = kept.bytes, *end = was + total; was < end; was++, now++) {
        if (was->key != now->key || (was->row != now->row && (kept.moved >> now->slot & 1) == 0))
            return weir_fail(task, WEIR_NO_ROW, "what was kept is of other rows") == WEIR_OK;
        *was = *now;
    }
    return true;
}

static weir_status see_process(weir_task *task)
{
    const kind_options *o = task->options;
    const weir_batch *in = task->inputs[0].batches[WEIR_HALO_CENTRE];
    weir_batch *out = weir_output_like(task, 0, 0);
    uint32_t total = 0, count = 0;
    see_row *rows, *own, *near;

    for (uint32_t s = 0; s < WEIR_HALO_SLOTS; s++)
        total += task->inputs[0].batches[s] == NULL ? 0 : task->inputs[0].batches[s]->row_count;
    rows = weir_scratch(task, total * sizeof *rows);
    near = weir_scratch(task, total * sizeof *near);
    own = weir_scratch(task, in->row_count * sizeof *own);
    if (out == NULL || rows == NULL || own == NULL || near == NULL || !see_keeps(task))
        return WEIR_FAILED;
    for (uint32_t s = 0; s < WEIR_HALO_SLOTS; s++)
        count += see_slot(task, s, rows + count);
    see_slot(task, WEIR_HALO_CENTRE, own);
    for (uint32_t i = 0; i < in->row_count; i++) {
        uint32_t found = see_near(&own[i], rows, count, o->p[0] / 16.0, near), fold = 0;
        for (uint32_t j = 0; j < found; j++)
            fold = kind_fold(fold, near[j].tag);
        kind_put_a(out, &o->out, i, (kind_get_u32(in, o->in.a, i) + found) & 0xfffff);
        kind_put_u32(out, o->out.h, i, fold);
    }
    return WEIR_OK;
}

/* ---- drift ---- */

static weir_status drift_plan(weir_plan *plan, void *options)
{
    kind_options *o = options;
    const weir_schema *in = weir_plan_input(plan, 0);

    o->space = weir_plan_space(plan, 0);
    kind_find(in, o->space, &o->in);
    o->out = o->in;
    if (o->p[0] != KIND_KEEP_G && (o->p[1] != 0 || o->p[2] != 0)) {
        add_all(plan, 0, in);
    } else {
        kind_pass_but_a(plan, o);
        if (o->p[0] != KIND_KEEP_G)
            weir_plan_add(plan, 0, "g", WEIR_U32);
        for (uint32_t i = 0; o->space != NULL && i < o->space->axis_count; i++)
            weir_plan_add(plan, 0, o->space->axes[i], WEIR_F32);
    }
    if (o->p[2] != 0)
        weir_plan_births(plan);
    return WEIR_OK;
}

static bool drift_row(const weir_task *task, uint32_t i, kind_row *row, bool *child, uint32_t *tag)
{
    static const double none[WEIR_AXES_MAX];
    static const bool closed[WEIR_AXES_MAX];
    const kind_options *o = task->options;

    *row = kind_get(task->inputs[0].batches[0], &o->in, i);
    return kind_drifted(o, o->space ? o->space->axis_count : 0, o->space ? o->space->size : none,
                        o->space ? o->space->periodic : closed, task->step, row, child, tag);
}

static weir_status drift_all_stay(weir_task *task)
{
    const kind_options *o = task->options;
    weir_batch *out = weir_output_like(task, 0, 0);

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < out->row_count; i++) {
        kind_row row;
        uint32_t tag;
        bool child;

        drift_row(task, i, &row, &child, &tag);
        put_place(out, &o->out, i, row.at);
        kind_put_a(out, &o->out, i, row.a);
        if (o->p[0] != KIND_KEEP_G)
            kind_put_u32(out, o->out.g, i, row.g);
        kind_put_u32(out, o->out.h, i, row.h);
    }
    return WEIR_OK;
}

static weir_status drift_process(weir_task *task)
{
    const kind_options *o = task->options;
    uint32_t n = task->inputs[0].batches[0]->row_count, alive = 0, born = 0;
    kind_row *children;
    uint64_t *keys;
    weir_batch *out;

    if (o->p[1] == 0 && o->p[2] == 0)
        return drift_all_stay(task);
    children = weir_scratch(task, (n + 1) * sizeof *children);
    keys = weir_scratch(task, (n + 1) * sizeof *keys);
    out = weir_output(task, 0, 2 * n);
    if (out == NULL || children == NULL || keys == NULL)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < n; i++) {
        kind_row row;
        uint32_t tag;
        bool child;

        if (!drift_row(task, i, &row, &child, &tag))
            continue;
        kind_put_row(out, &o->out, alive++, &row);
        if (child) {
            children[born] = row;
            children[born++].tag = tag;
        }
    }
    if (born > 0 && weir_new_keys(task, born, keys) != WEIR_OK)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < born; i++) {
        children[i].key = keys[i];
        kind_put_row(out, &o->out, alive + i, &children[i]);
    }
    out->row_count = alive + born;
    return WEIR_OK;
}

/* ---- split ---- */

static weir_status split_plan(weir_plan *plan, void *options)
{
    kind_options *o = options;

    kind_find(weir_plan_input(plan, 0), weir_plan_space(plan, 0), &o->in);
    weir_plan_pass(plan, 0, 0);
    weir_plan_pass(plan, 1, 0);
    return WEIR_OK;
}

static weir_status split_process(weir_task *task)
{
    const kind_options *o = task->options;
    const weir_batch *in = task->inputs[0].batches[0];
    weir_batch *out[2] = { weir_output(task, 0, in->row_count), weir_output(task, 1, in->row_count) };
    uint32_t count[2] = { 0, 0 };

    if (out[0] == NULL || out[1] == NULL)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < in->row_count; i++) {
        kind_row row = kind_get(in, &o->in, i);
        kind_put_row(out[row.tag % 2], &o->in, count[row.tag % 2]++, &row);
    }
    out[0]->row_count = count[0];
    out[1]->row_count = count[1];
    return WEIR_OK;
}

/* ---- record ---- */

static weir_status record_plan(weir_plan *plan, void *options)
{
    kind_options *o = options;

    kind_find(weir_plan_input(plan, 0), weir_plan_space(plan, 0), &o->in);
    return WEIR_OK;
}

static weir_status record_open(weir_sink *sink)
{
    kind_log *log = ((const kind_options *)sink->options)->log;

    *log = (kind_log){ .open = true };
    sink->handle = log;
    return WEIR_OK;
}

static weir_status record_close(weir_sink *sink)
{
    ((kind_log *)sink->handle)->open = false;
    return WEIR_OK;
}

static bool record_grow(kind_log *log)
{
    uint32_t max = log->max == 0 ? 256 : log->max * 2;
    kind_record *rows = realloc(log->rows, max * sizeof *rows);

    if (rows == NULL)
        return false;
    log->rows = rows;
    log->max = max;
    return true;
}

static weir_status record_process(weir_task *task)
{
    const kind_options *o = task->options;
    const weir_input *in = &task->inputs[0];
    kind_log *log = task->handle;

    log->disordered |= !log->open || (log->calls > 0 && task->step <= log->last_step);
    log->calls++;
    log->last_step = task->step;
    for (uint32_t b = 0; b < in->batch_count; b++) {
        const weir_batch *batch = in->batches[b];
        log->disordered |= b > 0 && batch->key_group < in->batches[b - 1]->key_group;
        log->disordered |= batch->step != task->step;
        for (uint32_t i = 0; i < batch->row_count; i++) {
            if (log->count == log->max && !record_grow(log))
                return weir_fail(task, WEIR_NO_ROW, "out of memory");
            log->rows[log->count++] = (kind_record){ .step = task->step, .key_group = batch->key_group,
                                                     .row = kind_get(batch, &o->in, i) };
            log->disordered |= !kind_derived_ok(batch, &o->in, i);
        }
    }
    return WEIR_OK;
}

void kind_log_fini(kind_log *log)
{
    free(log->rows);
    *log = (kind_log){ 0 };
}

/* ---- descriptors ---- */

const weir_option kind_no_options[] = { { 0 } };

static KIND(make, WEIR_SOURCE, .outputs = { "out" });
static KIND(see, WEIR_PHASE, .inputs = { { "in", WEIR_HALO, "" } }, .outputs = { "out" });
static KIND(drift, WEIR_PHASE, .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" });
static KIND(split, WEIR_PHASE, .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "even", "odd" });
static KIND(record, WEIR_SINK, .inputs = { { "in", WEIR_GATHER, "" } }, .open = record_open,
     .close = record_close);

const weir_operator *const kind_list[KIND_IDS] = {
    &make_kind, &see_kind, &drift_kind, &split_kind, &tally_kind, &total_kind,
    &sum_kind,  &ask_kind, &hear_kind,  &count_kind, &fail_kind,  &record_kind,
};
