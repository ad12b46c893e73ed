/* The stored form of a manifest.
 *
 *   u64 magic "WEIRSNAP"   u16 version   u64 size of everything   fields   u128 XXH3-128
 *
 * The checksum is compared before a field is read, so what follows only has to be safe against bytes
 * whose writer knew how to make a checksum; but against those it is: every number is bounded before
 * it is used, and memory is got only for what the bytes left can hold. */
#include "snapshot/snap_manifest_private.h"

#include "dataflow/df_arena.h"

#include <inttypes.h>
#include <stdlib.h>

#define CODE_MAGIC     0x50414e5352494557u /* "WEIRSNAP" */
#define CODE_HEAD      18                  /* magic, version, size */
#define CODE_PART_SIZE (16 + 12 + 12 + 4 + 8)

/* ---- rules: what encode demands and decode accepts ---- */

static bool schema_is_right(const weir_schema *schema)
{
    if (schema->column_count > WEIR_COLUMNS_MAX)
        return false;
    for (uint32_t i = 0; i < schema->column_count; i++)
        if (schema->columns[i].name[0] == '\0' || !snap_type_is(schema->columns[i].type))
            return false;
    return true;
}

static bool refs_are_right(const snap_manifest *m, const snap_group *group)
{
    for (uint32_t i = 0; i < group->ref_count; i++) {
        const snap_ref *ref = &group->refs[i];

        if (ref->part >= m->part_count || ref->stored_size < SNAP_CHUNK_HEAD ||
            ref->stored_size > SNAP_CHUNK_SIZE_MAX)
            return false;
    }
    return true;
}

static bool table_is_right(const snap_manifest *m, const snap_table *table)
{
    if (table->name[0] == '\0' || !schema_is_right(&table->schema) || table->key_groups == 0 ||
        table->key_groups > DF_KEY_GROUPS_MAX)
        return false;
    for (uint32_t g = 0; g < table->key_groups; g++)
        if (table->groups[g].ref_count !=
                snap_table_refs(table, m->chunk_size, table->groups[g].rows) ||
            !refs_are_right(m, &table->groups[g]))
            return false;
    return true;
}

static bool parts_are_right(const snap_manifest *m)
{
    uint64_t *live = calloc(m->part_count + 1, sizeof *live);
    bool right = live != NULL;

    if (right)
        snap_manifest_live(m, live);
    for (uint32_t i = 0; right && i < m->part_count; i++) {
        const snap_part_info *part = &m->parts[i];

        right = part->id.snapshot != 0 && part->id.snapshot <= m->snapshot && part->chunk_count > 0 &&
                snap_place_compare(&part->first, &part->last) <= 0 && live[i] > 0 &&
                live[i] <= part->stored_size &&
                (i == 0 || snap_part_id_compare(&m->parts[i - 1].id, &part->id) < 0);
    }
    free(live);
    return right;
}

static bool owner_is_right(const snap_owner *owner)
{
    if (owner->kind < SNAP_CARRIED || owner->kind > SNAP_OFFSETS || owner->name[0] == '\0')
        return false;
    for (uint32_t i = 0; i < owner->item_count; i++)
        if (owner->items[i].size > SNAP_ITEM_SIZE_MAX ||
            owner->items[i].key_group >= DF_KEY_GROUPS_MAX ||
            (i > 0 && owner->items[i - 1].key_group >= owner->items[i].key_group))
            return false;
    return true;
}

static bool head_is_right(const snap_manifest *m)
{
    return m->job[0] != '\0' && m->engine[0] != '\0' && m->snapshot != 0 && m->parent < m->snapshot &&
           m->table_count <= DF_STATES_MAX && m->part_count <= SNAP_PARTS_MAX &&
           m->owner_count <= SNAP_OWNERS_MAX && m->chunk_size >= SNAP_CHUNK_SIZE_MIN &&
           m->chunk_size <= SNAP_CHUNK_RAW_MAX && (m->chunk_size & (m->chunk_size - 1)) == 0;
}

/* The first rule that is broken, in words; null: none. */
static const char *manifest_wrong(const snap_manifest *m)
{
    if (!head_is_right(m))
        return "its head makes no sense";
    for (uint32_t i = 0; i < m->table_count; i++) {
        if (!table_is_right(m, &m->tables[i]))
            return "a state makes no sense";
        if (snap_manifest_table(m, m->tables[i].name) != (int)i)
            return "two states have one name";
    }
    if (!parts_are_right(m))
        return "its parts make no sense";
    for (uint32_t i = 0; i < m->owner_count; i++)
        if (!owner_is_right(&m->owners[i]) ||
            (i > 0 && snap_owner_compare(&m->owners[i - 1], &m->owners[i]) >= 0))
            return "what operators carry makes no sense";
    return NULL;
}

/* ---- encode ---- */

static void put_head(df_writer *w, const snap_manifest *m)
{
    snap_put_hash(w, m->plan);
    df_put_text(w, m->job);
    df_put_text(w, m->engine);
    df_put_text(w, m->label);
    df_put_u64(w, m->snapshot);
    df_put_u64(w, m->parent);
    df_put_u64(w, m->step);
    df_put_u64(w, m->history);
    df_put_u64(w, m->generation);
    df_put_u64(w, m->created_ms);
    df_put_u32(w, m->attempt);
    df_put_u32(w, m->chunk_size);
}

static void put_table(df_writer *w, const snap_table *table)
{
    df_put_text(w, table->name);
    df_put_u32(w, table->schema.column_count);
    for (uint32_t i = 0; i < table->schema.column_count; i++) {
        df_put_text(w, table->schema.columns[i].name);
        df_put_u8(w, (uint8_t)table->schema.columns[i].type);
    }
    df_put_u32(w, table->key_groups);
    for (uint32_t g = 0; g < table->key_groups; g++) {
        df_put_u32(w, table->groups[g].rows);
        for (uint32_t r = 0; r < table->groups[g].ref_count; r++) {
            df_put_u32(w, table->groups[g].refs[r].part);
            df_put_u32(w, table->groups[g].refs[r].stored_size);
            snap_put_hash(w, table->groups[g].refs[r].hash);
        }
    }
}

static void put_place(df_writer *w, const snap_place *place)
{
    df_put_u32(w, place->key_group);
    df_put_u16(w, place->table);
    df_put_u16(w, place->column);
    df_put_u32(w, place->chunk);
}

static void put_part(df_writer *w, const snap_part_info *part)
{
    df_put_u64(w, part->id.snapshot);
    df_put_u32(w, part->id.attempt);
    df_put_u32(w, part->id.part);
    put_place(w, &part->first);
    put_place(w, &part->last);
    df_put_u32(w, part->chunk_count);
    df_put_u64(w, part->stored_size);
}

static void put_owner(df_writer *w, const snap_owner *owner)
{
    df_put_u8(w, (uint8_t)owner->kind);
    df_put_text(w, owner->name);
    df_put_u32(w, owner->item_count);
    for (uint32_t i = 0; i < owner->item_count; i++) {
        df_put_u32(w, owner->items[i].key_group);
        df_put_blob(w, owner->items[i].bytes, owner->items[i].size);
    }
}

static void put_manifest(df_writer *w, const snap_manifest *m)
{
    put_head(w, m);
    df_put_u32(w, m->part_count);
    for (uint32_t i = 0; i < m->part_count; i++)
        put_part(w, &m->parts[i]);
    df_put_u32(w, m->table_count);
    for (uint32_t i = 0; i < m->table_count; i++)
        put_table(w, &m->tables[i]);
    df_put_u32(w, m->owner_count);
    for (uint32_t i = 0; i < m->owner_count; i++)
        put_owner(w, &m->owners[i]);
}

/* Write the size, known only at the end, into its place. */
static void put_size(df_writer *w)
{
    uint64_t size = w->size + SNAP_HASH_SIZE;
    df_writer field;

    if (!df_writer_ok(w))
        return;
    df_writer_init(&field, w->data + CODE_HEAD - 8, 8);
    df_put_u64(&field, size);
    snap_put_hash(w, snap_hash(w->data, w->size));
}

df_status snap_manifest_encode(const snap_manifest *m, uint8_t **out, size_t *size, df_error *err)
{
    const char *wrong = manifest_wrong(m);
    df_writer w;

    *out = NULL;
    *size = 0;
    if (wrong != NULL)
        return df_fail(err, DF_EINVAL, "manifest of snapshot %" PRIu64 ": %s", m->snapshot, wrong);
    df_writer_init_growing(&w, SNAP_MANIFEST_SIZE_MAX);
    df_put_u64(&w, CODE_MAGIC);
    df_put_u16(&w, SNAP_MANIFEST_VERSION);
    df_put_u64(&w, 0);
    put_manifest(&w, m);
    put_size(&w);
    *out = df_writer_take(&w, size);
    if (*out == NULL)
        return df_fail(err, DF_ELIMIT, "manifest of snapshot %" PRIu64 ": no room for it", m->snapshot);
    return DF_OK;
}

/* ---- decode ---- */

typedef struct decoding {
    df_cursor cursor;
    snap_manifest *m;
    bool no_memory;
} decoding;

/* Zeroed memory for things that the bytes left are known to hold. Null marks the failure. */
static void *get_memory(decoding *d, size_t count, size_t size)
{
    void *memory = df_arena_alloc(d->m->arena, count * size + 1);

    if (memory == NULL) {
        d->no_memory = true;
        df_get_refuse(&d->cursor);
    }
    return memory;
}

static void get_head(decoding *d)
{
    df_cursor *c = &d->cursor;
    snap_manifest *m = d->m;

    m->plan = snap_get_hash(c);
    df_get_text(c, m->job, sizeof m->job);
    df_get_text(c, m->engine, sizeof m->engine);
    df_get_text(c, m->label, sizeof m->label);
    m->snapshot = df_get_u64(c);
    m->parent = df_get_u64(c);
    m->step = df_get_u64(c);
    m->history = df_get_u64(c);
    m->generation = df_get_u64(c);
    m->created_ms = df_get_u64(c);
    m->attempt = df_get_u32(c);
    m->chunk_size = df_get_u32(c);
    if (!head_is_right(m)) /* sizes follow from it */
        df_get_refuse(c);
}

static snap_place get_place(df_cursor *c)
{
    snap_place place;

    place.key_group = df_get_u32(c);
    place.table = df_get_u16(c);
    place.column = df_get_u16(c);
    place.chunk = df_get_u32(c);
    return place;
}

static void get_parts(decoding *d)
{
    df_cursor *c = &d->cursor;
    uint32_t count = df_get_count(c, SNAP_PARTS_MAX, CODE_PART_SIZE);

    d->m->parts = get_memory(d, count, sizeof *d->m->parts);
    for (uint32_t i = 0; i < count && !c->failed; i++) {
        snap_part_info *part = &d->m->parts[i];

        part->id.snapshot = df_get_u64(c);
        part->id.attempt = df_get_u32(c);
        part->id.part = df_get_u32(c);
        part->first = get_place(c);
        part->last = get_place(c);
        part->chunk_count = df_get_u32(c);
        part->stored_size = df_get_u64(c);
    }
    d->m->part_count = count;
}

static void get_schema(df_cursor *c, weir_schema *schema)
{
    uint32_t count = df_get_count(c, WEIR_COLUMNS_MAX, 5);

    schema->column_count = count;
    for (uint32_t i = 0; i < count && !c->failed; i++) {
        unsigned type;

        df_get_text(c, schema->columns[i].name, sizeof schema->columns[i].name);
        type = df_get_u8(c);
        if (!snap_type_is(type))
            df_get_refuse(c);
        else
            schema->columns[i].type = (weir_type)type;
    }
}

static void get_group(decoding *d, const snap_table *table, snap_group *group)
{
    df_cursor *c = &d->cursor;
    uint64_t count;

    group->rows = df_get_u32(c);
    count = snap_table_refs(table, d->m->chunk_size, group->rows);
    if (count > df_get_left(c) / SNAP_REF_SIZE) {
        df_get_refuse(c);
        return;
    }
    group->refs = get_memory(d, count, sizeof *group->refs);
    for (uint32_t i = 0; i < count && !c->failed; i++) {
        group->refs[i].part = df_get_u32(c);
        group->refs[i].stored_size = df_get_u32(c);
        group->refs[i].hash = snap_get_hash(c);
    }
    group->ref_count = (uint32_t)count;
}

static void get_table(decoding *d, snap_table *table)
{
    df_cursor *c = &d->cursor;
    uint32_t key_groups;

    df_get_text(c, table->name, sizeof table->name);
    get_schema(c, &table->schema);
    key_groups = c->failed ? 0 : df_get_count(c, DF_KEY_GROUPS_MAX, 4);
    table->groups = get_memory(d, key_groups, sizeof *table->groups);
    for (uint32_t g = 0; g < key_groups && !c->failed; g++)
        get_group(d, table, &table->groups[g]);
    table->key_groups = key_groups;
}

static void get_owner(decoding *d, snap_owner *owner)
{
    df_cursor *c = &d->cursor;
    uint32_t count;

    owner->kind = (snap_owner_kind)df_get_u8(c);
    df_get_text(c, owner->name, sizeof owner->name);
    count = df_get_count(c, DF_KEY_GROUPS_MAX, 8);
    owner->items = get_memory(d, count, sizeof *owner->items);
    for (uint32_t i = 0; i < count && !c->failed; i++) {
        snap_item *item = &owner->items[i];
        const uint8_t *bytes;
        size_t size;

        item->key_group = df_get_u32(c);
        bytes = df_get_blob(c, SNAP_ITEM_SIZE_MAX, &size);
        item->size = (uint32_t)size;
        item->bytes = get_memory(d, size, 1);
        if (item->bytes != NULL && size > 0)
            memcpy(item->bytes, bytes, size);
    }
    owner->item_count = c->failed ? 0 : count;
}

static void get_manifest(decoding *d)
{
    uint32_t count;

    get_head(d);
    if (!d->cursor.failed)
        get_parts(d);
    count = df_get_count(&d->cursor, DF_STATES_MAX, 12);
    d->m->tables = get_memory(d, count, sizeof *d->m->tables);
    for (uint32_t i = 0; i < count && !d->cursor.failed; i++)
        get_table(d, &d->m->tables[i]);
    d->m->table_count = count;
    count = df_get_count(&d->cursor, SNAP_OWNERS_MAX, 9);
    d->m->owners = get_memory(d, count, sizeof *d->m->owners);
    for (uint32_t i = 0; i < count && !d->cursor.failed; i++)
        get_owner(d, &d->m->owners[i]);
    d->m->owner_count = count;
}

/* Head and checksum; the cursor then holds the fields alone. */
static df_status check_frame(df_cursor *fields, const uint8_t *bytes, size_t size, df_error *err)
{
    df_cursor c;
    uint64_t magic, stated;
    uint16_t version;

    df_cursor_init(&c, bytes, size);
    magic = df_get_u64(&c);
    version = df_get_u16(&c);
    stated = df_get_u64(&c);
    if (c.failed || magic != CODE_MAGIC)
        return df_fail(err, DF_ECORRUPT, "%zu bytes are no manifest", size);
    if (stated != size || size < CODE_HEAD + SNAP_HASH_SIZE || size > SNAP_MANIFEST_SIZE_MAX)
        return df_fail(err, DF_ECORRUPT, "a manifest of %zu bytes that says it has %" PRIu64, size,
                       stated);
    size -= SNAP_HASH_SIZE;
    df_cursor_init(&c, bytes + size, SNAP_HASH_SIZE);
    if (!snap_hash_equal(snap_get_hash(&c), snap_hash(bytes, size)))
        return df_fail(err, DF_ECORRUPT, "the manifest's checksum is wrong");
    if (version != SNAP_MANIFEST_VERSION)
        return df_fail(err, DF_ENOTSUP, "a manifest of version %u; this program reads %u", version,
                       SNAP_MANIFEST_VERSION);
    df_cursor_init(fields, bytes + CODE_HEAD, size - CODE_HEAD);
    return DF_OK;
}

df_status snap_manifest_decode(snap_manifest **out, const uint8_t *bytes, size_t size, df_error *err)
{
    decoding d = { 0 };
    const char *wrong = "its fields do not fit its size";
    df_status s = check_frame(&d.cursor, bytes, size, err);

    *out = NULL;
    if (s != DF_OK)
        return s;
    d.m = snap_manifest_new();
    if (d.m == NULL)
        return df_fail(err, DF_ENOMEM, "manifest: out of memory");
    get_manifest(&d);
    if (df_get_end(&d.cursor))
        wrong = manifest_wrong(d.m);
    if (wrong == NULL) {
        *out = d.m;
        return DF_OK;
    }
    snap_manifest_free(&d.m);
    if (d.no_memory)
        return df_fail(err, DF_ENOMEM, "manifest: out of memory");
    return df_fail(err, DF_ECORRUPT, "manifest: %s", wrong);
}
