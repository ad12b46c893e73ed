#include "coordinator/coord_part.h"

#include <stdlib.h>

#define PART_MAGIC        0x54524157u /* "WART" */
#define PART_VERSION      1u
#define PART_GROUP_SIZE   16u
#define PART_WRITTEN_SIZE 36u
#define PART_ITEM_SIZE    13u

/* ---- saying ---- */

void coord_part_begin(coord_part_writer *writer)
{
    *writer = (coord_part_writer){ 0 };
    df_writer_init_growing(&writer->groups, COORD_PART_SIZE_MAX);
    df_writer_init_growing(&writer->items, COORD_PART_SIZE_MAX);
}

void coord_part_abort(coord_part_writer *writer)
{
    df_writer_fini(&writer->groups);
    df_writer_fini(&writer->items);
}

static void put_id(df_writer *w, const snap_part_id *id)
{
    df_put_u64(w, id->snapshot);
    df_put_u32(w, id->attempt);
    df_put_u32(w, id->part);
}

static void put_place(df_writer *w, const snap_place *place)
{
    df_put_u32(w, place->key_group);
    df_put_u16(w, place->table);
    df_put_u16(w, place->column);
    df_put_u32(w, place->chunk);
}

void coord_part_put_group(coord_part_writer *writer, uint32_t table, uint32_t key_group, uint32_t rows,
                          const snap_written *written, uint32_t count)
{
    df_writer *w = &writer->groups;

    df_put_u32(w, table);
    df_put_u32(w, key_group);
    df_put_u32(w, rows);
    df_put_u32(w, count);
    for (uint32_t i = 0; i < count; i++) {
        put_id(w, &written[i].part);
        df_put_u32(w, written[i].stored_size);
        snap_put_hash(w, written[i].hash);
    }
    writer->group_count++;
}

void coord_part_put_item(coord_part_writer *writer, snap_owner_kind kind, const char *name,
                         uint32_t key_group, const void *bytes, size_t size)
{
    df_writer *w = &writer->items;

    df_put_u8(w, (uint8_t)kind);
    df_put_text(w, name);
    df_put_u32(w, key_group);
    df_put_blob(w, bytes, size);
    writer->item_count++;
}

static void put_info(df_writer *w, const snap_part_info *info)
{
    put_id(w, &info->id);
    put_place(w, &info->first);
    put_place(w, &info->last);
    df_put_u32(w, info->chunk_count);
    df_put_u64(w, info->stored_size);
}

df_status coord_part_end(coord_part_writer *writer, const snap_part_info *info, uint8_t **out,
                         size_t *size, df_error *err)
{
    bool whole = df_writer_ok(&writer->groups) && df_writer_ok(&writer->items);
    df_writer w;

    df_writer_init_growing(&w, COORD_PART_SIZE_MAX);
    df_put_u32(&w, PART_MAGIC);
    df_put_u16(&w, PART_VERSION);
    df_put_u8(&w, info != NULL);
    if (info != NULL)
        put_info(&w, info);
    df_put_u32(&w, writer->group_count);
    df_put_bytes(&w, writer->groups.data, writer->groups.size);
    df_put_u32(&w, writer->item_count);
    df_put_bytes(&w, writer->items.data, writer->items.size);
    coord_part_abort(writer);
    *out = NULL;
    *size = 0;
    if (whole)
        *out = df_writer_take(&w, size);
    df_writer_fini(&w);
    if (*out == NULL)
        return df_fail(err, DF_ELIMIT, "snapshot: what a worker has to say of its part is too long");
    return DF_OK;
}

uint32_t coord_part_messages(size_t size)
{
    return size == 0 ? 1 : (uint32_t)((size - 1) / PROTO_PAYLOAD_SIZE_MAX) + 1;
}

size_t coord_part_cut(size_t size, uint32_t index, size_t *offset)
{
    size_t left;

    *offset = (size_t)index * PROTO_PAYLOAD_SIZE_MAX;
    left = *offset < size ? size - *offset : 0;
    return left < PROTO_PAYLOAD_SIZE_MAX ? left : PROTO_PAYLOAD_SIZE_MAX;
}

/* ---- hearing ---- */

static snap_part_id get_id(df_cursor *c)
{
    snap_part_id id;

    id.snapshot = df_get_u64(c);
    id.attempt = df_get_u32(c);
    id.part = df_get_u32(c);
    return id;
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

static void get_head(coord_part *p, df_cursor *c)
{
    uint8_t file;

    if (df_get_u32(c) != PART_MAGIC || df_get_u16(c) != PART_VERSION)
        df_get_refuse(c);
    file = df_get_u8(c);
    if (file > 1)
        df_get_refuse(c);
    p->file = file == 1 && !c->failed;
    if (!p->file)
        return;
    p->info.id = get_id(c);
    p->info.first = get_place(c);
    p->info.last = get_place(c);
    p->info.chunk_count = df_get_u32(c);
    p->info.stored_size = df_get_u64(c);
    if (p->info.chunk_count == 0 || snap_place_compare(&p->info.first, &p->info.last) > 0)
        df_get_refuse(c);
}

static void get_written(snap_written *written, df_cursor *c)
{
    written->part = get_id(c);
    written->stored_size = df_get_u32(c);
    written->hash = snap_get_hash(c);
    if (written->stored_size < SNAP_CHUNK_HEAD || written->stored_size > SNAP_CHUNK_SIZE_MAX)
        df_get_refuse(c);
}

static bool group_follows(const coord_part_group *a, const coord_part_group *b)
{
    return a->key_group != b->key_group ? a->key_group < b->key_group : a->table < b->table;
}

/* The chunks of all groups lie in one array, which is as long as the bytes left can hold. */
static bool get_groups(coord_part *p, df_cursor *c)
{
    uint32_t count = df_get_count(c, COORD_PART_GROUPS_MAX, PART_GROUP_SIZE);
    size_t room = df_get_left(c) / PART_WRITTEN_SIZE, used = 0;

    p->groups = calloc(count + 1, sizeof *p->groups);
    p->written = calloc(room + 1, sizeof *p->written);
    if (p->groups == NULL || p->written == NULL)
        return false;
    p->group_count = count;
    for (uint32_t i = 0; i < count && !c->failed; i++) {
        coord_part_group *group = &p->groups[i];

        group->table = df_get_u32(c);
        group->key_group = df_get_u32(c);
        group->rows = df_get_u32(c);
        group->count = df_get_count(c, UINT32_MAX, PART_WRITTEN_SIZE);
        group->written = p->written + used;
        if (group->table >= DF_STATES_MAX || group->key_group >= DF_KEY_GROUPS_MAX ||
            (i > 0 && !group_follows(group - 1, group)))
            df_get_refuse(c);
        for (uint32_t k = 0; k < group->count && !c->failed; k++)
            get_written(&p->written[used++], c);
    }
    return true;
}

static bool get_items(coord_part *p, df_cursor *c)
{
    uint32_t count = df_get_count(c, COORD_PART_ITEMS_MAX, PART_ITEM_SIZE);

    p->items = calloc(count + 1, sizeof *p->items);
    if (p->items == NULL)
        return false;
    p->item_count = count;
    for (uint32_t i = 0; i < count && !c->failed; i++) {
        coord_part_item *item = &p->items[i];
        unsigned kind = df_get_u8(c);
        size_t size;

        if (kind < SNAP_CARRIED || kind > SNAP_OFFSETS)
            df_get_refuse(c);
        item->kind = (snap_owner_kind)kind;
        df_get_text(c, item->name, sizeof item->name);
        item->key_group = df_get_u32(c);
        item->bytes = df_get_blob(c, SNAP_ITEM_SIZE_MAX, &size);
        item->size = (uint32_t)size;
        if (item->name[0] == '\0' || item->key_group >= DF_KEY_GROUPS_MAX)
            df_get_refuse(c);
    }
    return true;
}

df_status coord_part_decode(coord_part **out, uint8_t **bytes, size_t size, df_error *err)
{
    coord_part *p = calloc(1, sizeof *p);
    df_status s = DF_OK;
    df_cursor c;

    *out = NULL;
    if (p == NULL) {
        free(*bytes);
        *bytes = NULL;
        return df_fail(err, DF_ENOMEM, "a worker's part: out of memory");
    }
    p->bytes = *bytes;
    *bytes = NULL;
    df_cursor_init(&c, p->bytes, size);
    get_head(p, &c);
    if (!get_groups(p, &c) || !get_items(p, &c))
        s = df_fail(err, DF_ENOMEM, "a worker's part: out of memory");
    else if (size > COORD_PART_SIZE_MAX || !df_get_end(&c))
        s = df_fail(err, DF_ECORRUPT, "a worker's part makes no sense at byte %zu", c.offset);
    if (s == DF_OK)
        *out = p;
    else
        coord_part_free(&p);
    return s;
}

void coord_part_free(coord_part **part)
{
    coord_part *p = *part;

    *part = NULL;
    if (p == NULL)
        return;
    free(p->groups);
    free(p->items);
    free(p->written);
    free(p->bytes);
    free(p);
}
