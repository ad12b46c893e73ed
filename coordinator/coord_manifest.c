#include "coordinator/coord_manifest.h"

#include "weir_version.h" /* made by the Makefile: WEIR_VERSION */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void coord_shape_of(coord_shape *shape, const df_plan *plan)
{
    *shape = (coord_shape){ .job = plan->job.name, .plan = { plan->hash[0], plan->hash[1] },
                            .table_count = plan->state_count };
    for (uint32_t i = 0; i < plan->state_count; i++) {
        const df_stream *stream = &plan->streams[plan->states[i].stream];

        shape->tables[i].name = plan->states[i].name;
        shape->tables[i].schema = plan->states[i].stored;
        shape->tables[i].key_groups = stream->partition.key_groups;
    }
}

typedef struct making {
    const coord_shape *shape;
    snap_manifest *m;
    const snap_manifest *base;
    coord_part *const *parts;
    uint32_t part_count;
    uint32_t *base_index; /* [base->part_count], own_index [part_count]: in m, DF_NONE: not yet */
    uint32_t *own_index;
    bool *seen;           /* [table][key group] */
    const coord_part_item **items;
} making;

static df_status out_of_memory(df_error *err)
{
    return df_fail(err, DF_ENOMEM, "snapshot: out of memory");
}

static size_t seen_place(const coord_shape *shape, uint32_t table, uint32_t key_group)
{
    size_t place = key_group;

    for (uint32_t t = 0; t < table; t++)
        place += shape->tables[t].key_groups;
    return place;
}

/* ---- chunks ---- */

static df_status part_add(making *k, uint32_t *index, const snap_part_info *info, uint32_t *out,
                          df_error *err)
{
    df_status s = DF_OK;

    if (*index == DF_NONE)
        s = snap_manifest_add_part(k->m, info, index, err);
    *out = *index;
    return s;
}

/* The part that a chunk lies in: one of this snapshot, or one of the base. */
static df_status part_find(making *k, const snap_part_id *id, uint32_t *out, df_error *err)
{
    uint32_t low = 0, high = k->base == NULL ? 0 : k->base->part_count;

    for (uint32_t i = 0; i < k->part_count; i++)
        if (k->parts[i]->file && snap_part_id_compare(&k->parts[i]->info.id, id) == 0)
            return part_add(k, &k->own_index[i], &k->parts[i]->info, out, err);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (snap_part_id_compare(&k->base->parts[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (k->base != NULL && low < k->base->part_count &&
        snap_part_id_compare(&k->base->parts[low].id, id) == 0)
        return part_add(k, &k->base_index[low], &k->base->parts[low], out, err);
    return df_fail(err, DF_ECORRUPT, "snapshot %" PRIu64 ": a worker refers to a part that is not there",
                   k->m->snapshot);
}

static df_status make_group(making *k, const coord_part_group *from, df_error *err)
{
    snap_group *group;
    bool *seen;
    df_status s;

    if (from->table >= k->shape->table_count ||
        from->key_group >= k->shape->tables[from->table].key_groups)
        return df_fail(err, DF_ECORRUPT, "snapshot %" PRIu64 ": a worker has written state %u, key group "
                       "%u, which there is not", k->m->snapshot, from->table, from->key_group);
    seen = &k->seen[seen_place(k->shape, from->table, from->key_group)];
    if (*seen)
        return df_fail(err, DF_ECORRUPT, "snapshot %" PRIu64 ": two workers have written state \"%s\", "
                       "key group %u", k->m->snapshot, k->shape->tables[from->table].name,
                       from->key_group);
    *seen = true;
    s = snap_manifest_set_rows(k->m, from->table, from->key_group, from->rows, err);
    if (s != DF_OK)
        return s;
    group = &k->m->tables[from->table].groups[from->key_group];
    if (group->ref_count != from->count)
        return df_fail(err, DF_ECORRUPT, "snapshot %" PRIu64 ": state \"%s\", key group %u: %u chunks "
                       "instead of %u", k->m->snapshot, k->shape->tables[from->table].name,
                       from->key_group, from->count, group->ref_count);
    for (uint32_t i = 0; s == DF_OK && i < from->count; i++) {
        s = part_find(k, &from->written[i].part, &group->refs[i].part, err);
        group->refs[i].stored_size = from->written[i].stored_size;
        group->refs[i].hash = from->written[i].hash;
    }
    return s;
}

static df_status make_tables(making *k, df_error *err)
{
    df_status s = DF_OK;
    uint32_t index;

    for (uint32_t t = 0; s == DF_OK && t < k->shape->table_count; t++)
        s = snap_manifest_add_table(k->m, k->shape->tables[t].name, k->shape->tables[t].schema,
                                    k->shape->tables[t].key_groups, &index, err);
    for (uint32_t i = 0; i < k->part_count; i++)
        for (uint32_t g = 0; s == DF_OK && g < k->parts[i]->group_count; g++)
            s = make_group(k, &k->parts[i]->groups[g], err);
    for (uint32_t t = 0; s == DF_OK && t < k->shape->table_count; t++)
        for (uint32_t g = 0; s == DF_OK && g < k->shape->tables[t].key_groups; g++)
            if (!k->seen[seen_place(k->shape, t, g)])
                s = df_fail(err, DF_ECORRUPT, "snapshot %" PRIu64 ": no worker has written state \"%s\", "
                            "key group %u", k->m->snapshot, k->shape->tables[t].name, g);
    return s;
}

/* ---- items ---- */

static int item_compare(const void *a, const void *b)
{
    const coord_part_item *x = *(const coord_part_item *const *)a;
    const coord_part_item *y = *(const coord_part_item *const *)b;
    int names;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    names = strcmp(x->name, y->name);
    if (names != 0)
        return names;
    return (x->key_group > y->key_group) - (x->key_group < y->key_group);
}

/* The items of one owner come from several workers and must ascend by key group. */
static df_status make_items(making *k, df_error *err)
{
    size_t count = 0;
    df_status s = DF_OK;

    for (uint32_t i = 0; i < k->part_count; i++)
        count += k->parts[i]->item_count;
    k->items = calloc(count + 1, sizeof *k->items);
    if (k->items == NULL)
        return out_of_memory(err);
    count = 0;
    for (uint32_t i = 0; i < k->part_count; i++)
        for (uint32_t n = 0; n < k->parts[i]->item_count; n++)
            k->items[count++] = &k->parts[i]->items[n];
    qsort(k->items, count, sizeof *k->items, item_compare);
    for (size_t i = 0; s == DF_OK && i < count; i++) {
        const coord_part_item *item = k->items[i];

        if (i > 0 && item_compare(&k->items[i - 1], &k->items[i]) == 0)
            s = df_fail(err, DF_ECORRUPT, "snapshot %" PRIu64 ": two workers have written what \"%s\" "
                        "carries in key group %u", k->m->snapshot, item->name, item->key_group);
        else
            s = snap_manifest_add_item(k->m, item->kind, item->name, item->key_group, item->bytes,
                                       item->size, err);
    }
    return s;
}

/* ---- the whole ---- */

static void make_head(snap_manifest *m, const coord_shape *shape, const coord_snapshot_head *head)
{
    m->plan = shape->plan;
    snprintf(m->job, sizeof m->job, "%s", shape->job);
    snprintf(m->engine, sizeof m->engine, "%s", WEIR_VERSION);
    snprintf(m->label, sizeof m->label, "%s", head->label);
    m->snapshot = m->history = head->snapshot; /* its order's index in the history */
    m->parent = head->parent;
    m->step = head->step;
    m->generation = head->generation;
    m->created_ms = head->created_ms;
    m->attempt = (uint32_t)head->generation;
    m->chunk_size = COORD_CHUNK_SIZE;
}

static df_status making_init(making *k, df_error *err)
{
    size_t groups = seen_place(k->shape, k->shape->table_count, 0);
    size_t base_count = k->base == NULL ? 0 : k->base->part_count;

    k->m = snap_manifest_new();
    k->base_index = calloc(base_count + 1, sizeof *k->base_index);
    k->own_index = calloc((size_t)k->part_count + 1, sizeof *k->own_index);
    k->seen = calloc(groups + 1, sizeof *k->seen);
    if (k->m == NULL || k->base_index == NULL || k->own_index == NULL || k->seen == NULL)
        return out_of_memory(err);
    for (size_t i = 0; i < base_count; i++)
        k->base_index[i] = DF_NONE;
    for (uint32_t i = 0; i < k->part_count; i++)
        k->own_index[i] = DF_NONE;
    return DF_OK;
}

df_status coord_manifest_make(snap_manifest **out, const coord_shape *shape,
                              const coord_snapshot_head *head, const snap_manifest *base,
                              coord_part *const *parts, uint32_t part_count, df_error *err)
{
    making k = { .shape = shape, .base = base, .parts = parts, .part_count = part_count };
    df_status s = making_init(&k, err);

    *out = NULL;
    if (s == DF_OK) {
        make_head(k.m, shape, head);
        s = make_tables(&k, err);
    }
    if (s == DF_OK)
        s = make_items(&k, err);
    if (s == DF_OK)
        s = snap_manifest_seal(k.m, err);
    if (s == DF_OK) {
        *out = k.m;
        k.m = NULL;
    }
    snap_manifest_free(&k.m);
    free(k.base_index);
    free(k.own_index);
    free(k.seen);
    free(k.items);
    return s;
}
