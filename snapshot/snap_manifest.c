/* Building and reading manifests in memory; snap_manifest_code.c has the stored form. */
#include "snapshot/snap_manifest_private.h"

#include "dataflow/df_arena.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

snap_manifest *snap_manifest_new(void)
{
    snap_manifest *m = calloc(1, sizeof *m);

    if (m == NULL)
        return NULL;
    m->arena = df_arena_new();
    if (m->arena == NULL)
        snap_manifest_free(&m);
    return m;
}

void snap_manifest_free(snap_manifest **manifest)
{
    snap_manifest *m = *manifest;

    if (m == NULL)
        return;
    *manifest = NULL;
    df_arena_free(&m->arena);
    free(m);
}

int snap_part_id_compare(const snap_part_id *a, const snap_part_id *b)
{
    if (a->snapshot != b->snapshot)
        return a->snapshot < b->snapshot ? -1 : 1;
    if (a->attempt != b->attempt)
        return a->attempt < b->attempt ? -1 : 1;
    return (a->part > b->part) - (a->part < b->part);
}

int snap_place_compare(const snap_place *a, const snap_place *b)
{
    if (a->key_group != b->key_group)
        return a->key_group < b->key_group ? -1 : 1;
    if (a->table != b->table)
        return a->table < b->table ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return (a->chunk > b->chunk) - (a->chunk < b->chunk);
}

weir_type snap_column_type(const snap_table *table, uint32_t column)
{
    return column == 0 ? WEIR_U64 : table->schema.columns[column - 1].type;
}

const char *snap_column_name(const snap_table *table, uint32_t column)
{
    return column == 0 ? "id" : table->schema.columns[column - 1].name;
}

/* ---- sizes ---- */

uint64_t snap_table_refs(const snap_table *table, uint32_t chunk_size, uint32_t rows)
{
    uint64_t count = 0;

    for (uint32_t c = 0; c <= table->schema.column_count; c++)
        count += snap_chunk_count(chunk_size, snap_column_type(table, c), rows);
    return count;
}

/* ---- building ---- */

static df_status out_of_memory(df_error *err)
{
    return df_fail(err, DF_ENOMEM, "snapshot manifest: out of memory");
}

/* An array that holds `count` things, with room for one more: grown at powers of two, and copied, as
 * an arena does. Null: out of memory. */
static void *array_grow(snap_manifest *m, void *items, uint32_t count, size_t size)
{
    void *grown;

    if (count != 0 && (count & (count - 1)) != 0)
        return items;
    grown = df_arena_alloc(m->arena, (count == 0 ? 1 : 2 * (size_t)count) * size);
    if (grown != NULL && count > 0)
        memcpy(grown, items, count * size);
    return grown;
}

static bool name_copy(char to[WEIR_NAME_MAX], const char *name)
{
    size_t length = strnlen(name, WEIR_NAME_MAX);

    if (length == 0 || length == WEIR_NAME_MAX)
        return false;
    memcpy(to, name, length + 1);
    return true;
}

df_status snap_manifest_add_table(snap_manifest *m, const char *name, const weir_schema *schema,
                                  uint32_t key_groups, uint32_t *out, df_error *err)
{
    snap_table *tables, *table;

    assert(m->chunk_size >= SNAP_CHUNK_SIZE_MIN && m->chunk_size <= SNAP_CHUNK_RAW_MAX);
    if (m->table_count == DF_STATES_MAX || key_groups > DF_KEY_GROUPS_MAX)
        return df_fail(err, DF_ELIMIT, "snapshot: too many states or key groups");
    tables = array_grow(m, m->tables, m->table_count, sizeof *tables);
    if (tables == NULL)
        return out_of_memory(err);
    m->tables = tables;
    table = &tables[m->table_count];
    *table = (snap_table){ .schema = *schema, .key_groups = key_groups };
    table->groups = df_arena_alloc(m->arena, key_groups * sizeof *table->groups);
    if (table->groups == NULL)
        return out_of_memory(err);
    if (!name_copy(table->name, name))
        return df_fail(err, DF_EINVAL, "snapshot: \"%.80s\" is no name", name);
    *out = m->table_count++;
    return DF_OK;
}

df_status snap_manifest_add_part(snap_manifest *m, const snap_part_info *part, uint32_t *out,
                                 df_error *err)
{
    snap_part_info *parts;

    for (uint32_t i = 0; i < m->part_count; i++)
        if (snap_part_id_compare(&m->parts[i].id, &part->id) == 0) {
            *out = i;
            return DF_OK;
        }
    if (m->part_count == SNAP_PARTS_MAX)
        return df_fail(err, DF_ELIMIT, "snapshot %" PRIu64 ": more than %u parts", m->snapshot,
                       SNAP_PARTS_MAX);
    parts = array_grow(m, m->parts, m->part_count, sizeof *parts);
    if (parts == NULL)
        return out_of_memory(err);
    m->parts = parts;
    parts[m->part_count] = *part;
    *out = m->part_count++;
    return DF_OK;
}

df_status snap_manifest_set_rows(snap_manifest *m, uint32_t table, uint32_t key_group, uint32_t rows,
                                 df_error *err)
{
    snap_table *t = &m->tables[table];
    uint64_t count = snap_table_refs(t, m->chunk_size, rows);
    snap_group *group = &t->groups[key_group];

    assert(table < m->table_count && key_group < t->key_groups);
    if (count > SNAP_MANIFEST_SIZE_MAX / SNAP_REF_SIZE)
        return df_fail(err, DF_ELIMIT, "snapshot: state \"%s\", key group %u: %u rows are too many",
                       t->name, key_group, rows);
    group->rows = rows;
    group->ref_count = (uint32_t)count;
    group->refs = df_arena_alloc(m->arena, (size_t)count * sizeof *group->refs);
    return group->refs == NULL ? out_of_memory(err) : DF_OK;
}

static df_status owner_add(snap_manifest *m, snap_owner **out, snap_owner_kind kind, const char *name,
                           df_error *err)
{
    snap_owner *owners;

    if (m->owner_count == SNAP_OWNERS_MAX)
        return df_fail(err, DF_ELIMIT, "snapshot: too many operators");
    owners = array_grow(m, m->owners, m->owner_count, sizeof *owners);
    if (owners == NULL)
        return out_of_memory(err);
    m->owners = owners;
    owners[m->owner_count] = (snap_owner){ .kind = kind };
    if (!name_copy(owners[m->owner_count].name, name))
        return df_fail(err, DF_EINVAL, "snapshot: \"%.80s\" is no name", name);
    *out = &owners[m->owner_count++];
    return DF_OK;
}

df_status snap_manifest_add_item(snap_manifest *m, snap_owner_kind kind, const char *name,
                                 uint32_t key_group, const void *bytes, size_t size, df_error *err)
{
    snap_owner *owner = (snap_owner *)(uintptr_t)snap_manifest_owner(m, kind, name);
    snap_item *items;
    df_status s = DF_OK;

    if (size > SNAP_ITEM_SIZE_MAX || key_group >= DF_KEY_GROUPS_MAX)
        return df_fail(err, DF_ELIMIT, "snapshot: operator \"%.80s\" carries %zu bytes; the limit is %u",
                       name, size, SNAP_ITEM_SIZE_MAX);
    if (owner == NULL)
        s = owner_add(m, &owner, kind, name, err);
    if (s != DF_OK)
        return s;
    if (owner->item_count > 0 && owner->items[owner->item_count - 1].key_group >= key_group)
        return df_fail(err, DF_EINVAL, "snapshot: operator \"%s\": key group %u out of order",
                       owner->name, key_group);
    items = array_grow(m, owner->items, owner->item_count, sizeof *items);
    if (items == NULL)
        return out_of_memory(err);
    owner->items = items;
    items += owner->item_count;
    *items = (snap_item){ key_group, (uint32_t)size, df_arena_alloc(m->arena, size + 1) };
    if (items->bytes == NULL)
        return out_of_memory(err);
    if (size > 0)
        memcpy(items->bytes, bytes, size);
    owner->item_count++;
    return DF_OK;
}

/* ---- sealing ---- */

typedef struct seal_part {
    snap_part_info info;
    uint32_t index; /* before */
} seal_part;

static int seal_compare_parts(const void *a, const void *b)
{
    return snap_part_id_compare(&((const seal_part *)a)->info.id, &((const seal_part *)b)->info.id);
}

int snap_owner_compare(const snap_owner *a, const snap_owner *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int seal_compare_owners(const void *a, const void *b)
{
    return snap_owner_compare(a, b);
}

static void seal_refs(snap_manifest *m, const uint32_t *index)
{
    for (uint32_t t = 0; t < m->table_count; t++)
        for (uint32_t g = 0; g < m->tables[t].key_groups; g++)
            for (uint32_t r = 0; r < m->tables[t].groups[g].ref_count; r++) {
                snap_ref *ref = &m->tables[t].groups[g].refs[r];

                assert(ref->part < m->part_count);
                ref->part = index[ref->part];
            }
}

df_status snap_manifest_seal(snap_manifest *m, df_error *err)
{
    uint32_t count = 0;
    seal_part *sorted = calloc(m->part_count + 1, sizeof *sorted);
    uint32_t *index = calloc(m->part_count + 1, sizeof *index);
    uint64_t *live = calloc(m->part_count + 1, sizeof *live);

    if (sorted == NULL || index == NULL || live == NULL) {
        free(sorted);
        free(index);
        free(live);
        return out_of_memory(err);
    }
    snap_manifest_live(m, live);
    for (uint32_t i = 0; i < m->part_count; i++)
        if (live[i] > 0)
            sorted[count++] = (seal_part){ m->parts[i], i };
    qsort(sorted, count, sizeof *sorted, seal_compare_parts);
    for (uint32_t i = 0; i < count; i++)
        index[sorted[i].index] = i;
    seal_refs(m, index);
    for (uint32_t i = 0; i < count; i++)
        m->parts[i] = sorted[i].info;
    m->part_count = count;
    if (m->owner_count > 0)
        qsort(m->owners, m->owner_count, sizeof *m->owners, seal_compare_owners);
    free(sorted);
    free(index);
    free(live);
    return DF_OK;
}

/* ---- reading ---- */

const snap_ref *snap_manifest_refs(const snap_manifest *m, uint32_t table, uint32_t key_group,
                                   uint32_t column, uint32_t *count)
{
    const snap_table *t = &m->tables[table];
    const snap_group *group = &t->groups[key_group];
    uint32_t first = 0;

    assert(table < m->table_count && key_group < t->key_groups && column <= t->schema.column_count);
    for (uint32_t c = 0; c < column; c++)
        first += snap_chunk_count(m->chunk_size, snap_column_type(t, c), group->rows);
    *count = snap_chunk_count(m->chunk_size, snap_column_type(t, column), group->rows);
    assert(first + *count <= group->ref_count);
    return group->refs + first;
}

snap_slice snap_manifest_slice(const snap_manifest *m, const snap_place *place)
{
    const snap_table *t = &m->tables[place->table];
    weir_type type = snap_column_type(t, place->column);
    uint32_t each = snap_chunk_rows(m->chunk_size, type), count;
    const snap_ref *refs = snap_manifest_refs(m, place->table, place->key_group, place->column, &count);
    uint32_t left = t->groups[place->key_group].rows - place->chunk * each;

    assert(place->chunk < count);
    return (snap_slice){ type, left < each ? left : each, refs[place->chunk].hash };
}

int snap_manifest_table(const snap_manifest *m, const char *name)
{
    for (uint32_t i = 0; i < m->table_count; i++)
        if (strcmp(m->tables[i].name, name) == 0)
            return (int)i;
    return -1;
}

const snap_owner *snap_manifest_owner(const snap_manifest *m, snap_owner_kind kind, const char *name)
{
    for (uint32_t i = 0; i < m->owner_count; i++)
        if (m->owners[i].kind == kind && strcmp(m->owners[i].name, name) == 0)
            return &m->owners[i];
    return NULL;
}

const snap_item *snap_owner_item(const snap_owner *owner, uint32_t key_group)
{
    uint32_t low = 0, high = owner->item_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (owner->items[middle].key_group < key_group)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < owner->item_count && owner->items[low].key_group == key_group)
        return &owner->items[low];
    return NULL;
}

void snap_manifest_live(const snap_manifest *m, uint64_t *live)
{
    if (m->part_count > 0)
        memset(live, 0, m->part_count * sizeof *live);
    for (uint32_t t = 0; t < m->table_count; t++)
        for (uint32_t g = 0; g < m->tables[t].key_groups; g++)
            for (uint32_t r = 0; r < m->tables[t].groups[g].ref_count; r++)
                live[m->tables[t].groups[g].refs[r].part] +=
                    m->tables[t].groups[g].refs[r].stored_size;
}

bool snap_part_is_thin(const snap_part_info *part, uint64_t live)
{
    return live < part->stored_size - live;
}
