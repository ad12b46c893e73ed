#include "coordinator/coord_record.h"

#include <inttypes.h>

static void put_list(df_writer *w, const proto_bytes *list)
{
    df_put_blob(w, list->data, list->size);
}

static proto_bytes get_list(df_cursor *c, size_t size_max)
{
    size_t size;
    const uint8_t *data = df_get_blob(c, size_max, &size);

    return (proto_bytes){ data, (uint32_t)size };
}

/* ---- writing ---- */

void coord_record_put_job(df_writer *writer, const coord_record_job *job)
{
    df_put_u16(writer, COORD_RECORD_VERSION);
    df_put_u64(writer, job->job);
    snap_put_hash(writer, job->plan);
    df_put_u32(writer, job->group_count);
}

static void put_order(df_writer *w, const proto_order_record *order)
{
    df_put_u64(w, order->index);
    df_put_u64(w, order->made);
    df_put_u8(w, order->kind);
    df_put_u64(w, order->step);
    df_put_u64(w, order->first);
    df_put_u64(w, order->second);
    put_list(w, &order->payload);
}

static void put_rescale(df_writer *w, const proto_record *record)
{
    df_put_u8(w, record->phase);
    if (record->phase != PROTO_RESCALE_BEGIN)
        return;
    df_put_u64(w, record->deadline_us);
    put_list(w, &record->members);
    put_list(w, &record->moves);
}

static void put_generation(df_writer *w, const proto_record *record)
{
    df_put_u64(w, record->snapshot);
    df_put_u64(w, record->step);
    df_put_u64(w, record->floor);
    put_list(w, &record->members);
    put_list(w, &record->owners);
    df_put_u32(w, record->size);
    df_put_u64(w, record->rescale);
}

static void put_tables(df_writer *w, const proto_record *record)
{
    df_put_u64(w, record->step);
    df_put_u64(w, record->changed);
    df_put_u64(w, record->left);
    df_put_u64(w, record->rescale);
    df_put_u32(w, record->size);
    df_put_u8(w, record->phase);
    put_list(w, &record->members);
    put_list(w, &record->owners);
}

void coord_record_put(df_writer *writer, const proto_record *record)
{
    if (record->kind == PROTO_RECORD_ORDER) {
        put_order(writer, &record->order);
        return;
    }
    df_put_u64(writer, record->number);
    if (record->kind == PROTO_RECORD_RESCALE) {
        put_rescale(writer, record);
    } else if (record->kind == PROTO_RECORD_GENERATION) {
        put_generation(writer, record);
    } else if (record->kind == PROTO_RECORD_TABLES) {
        put_tables(writer, record);
    } else if (record->kind == PROTO_RECORD_RESTORE) {
        df_put_u64(writer, record->snapshot);
        df_put_u64(writer, record->step);
    }
}

/* ---- reading ---- */

static void get_job(coord_record_reader *r, df_cursor *c)
{
    if (r->begun || df_get_u16(c) != COORD_RECORD_VERSION)
        df_get_refuse(c);
    r->job.job = df_get_u64(c);
    r->job.plan = snap_get_hash(c);
    r->job.group_count = df_get_u32(c);
    if (r->job.job == 0 || r->job.group_count == 0 || r->job.group_count > PROTO_GROUPS_MAX)
        df_get_refuse(c);
    r->begun = !c->failed;
}

static void get_generation(coord_record_reader *r, df_cursor *c, proto_record *record)
{
    uint32_t count;

    record->number = df_get_u64(c);
    record->snapshot = df_get_u64(c);
    record->step = df_get_u64(c);
    record->floor = df_get_u64(c);
    record->members = get_list(c, 8 * PROTO_MEMBERS_MAX);
    record->owners = get_list(c, 4 * PROTO_GROUPS_MAX);
    record->size = df_get_u32(c);
    record->rescale = df_get_u64(c);
    count = record->members.size / 8;
    if (record->members.size % 8 != 0 || count == 0 || record->number <= r->generation ||
        record->owners.size != 4 * r->job.group_count || record->size > PROTO_MEMBERS_MAX ||
        record->rescale < r->rescale)
        df_get_refuse(c);
    for (uint32_t g = 0; !c->failed && g < r->job.group_count; g++)
        if (proto_get_u32(record->owners.data + 4 * g) >= count)
            df_get_refuse(c);
    r->generation = record->number;
    r->rescale = record->rescale;
    r->member_count = c->failed ? 0 : count;
    for (uint32_t i = 0; i < r->member_count; i++) {
        r->members[i] = proto_get_u64(record->members.data + 8 * i);
        if (r->members[i] == 0)
            df_get_refuse(c);
    }
}

static bool has_member(const coord_record_reader *r, uint32_t place)
{
    return place < r->member_count && r->members[place] != 0;
}

/* Changes of owners that an older generation has made are void and are not looked at. */
static bool owners_are_right(const coord_record_reader *r, const proto_order_record *o)
{
    if (o->payload.size % 8 != 0)
        return false;
    for (uint32_t i = 0; o->made == r->generation && i < o->payload.size; i += 8)
        if (proto_get_u32(o->payload.data + i) >= r->job.group_count ||
            !has_member(r, proto_get_u32(o->payload.data + i + 4)))
            return false;
    return true;
}

/* The same of changes of members. A place that is filled is vacant before, and the other way round. */
static bool members_are_right(coord_record_reader *r, const proto_order_record *o)
{
    if (o->payload.size == 0 || o->payload.size % PROTO_MEMBERS_PAIR != 0)
        return false;
    for (uint32_t i = 0; o->made == r->generation && i < o->payload.size; i += PROTO_MEMBERS_PAIR) {
        uint32_t place = proto_get_u32(o->payload.data + i);
        uint64_t id = proto_get_u64(o->payload.data + i + 4);

        if (place > r->member_count || place >= PROTO_MEMBERS_MAX || (id == 0) != has_member(r, place))
            return false;
        r->member_count += place == r->member_count;
        r->members[place] = id;
    }
    return true;
}

static void get_order(coord_record_reader *r, df_cursor *c, proto_order_record *o)
{
    o->index = df_get_u64(c);
    o->made = df_get_u64(c);
    o->kind = df_get_u8(c);
    o->step = df_get_u64(c);
    o->first = df_get_u64(c);
    o->second = df_get_u64(c);
    o->payload = get_list(c, PROTO_INPUT_SIZE_MAX);
    if (c->failed || o->index != ++r->orders || o->made > r->generation || o->kind == 0 ||
        o->kind > PROTO_ORDER_MEMBERS || (o->kind == PROTO_ORDER_OWNERS && !owners_are_right(r, o)) ||
        (o->kind == PROTO_ORDER_MEMBERS && !members_are_right(r, o)))
        df_get_refuse(c);
    r->kept = true;
}

/* Ids ascend, so a list of them can be searched; key groups are there, and move to one of them. */
static bool rescale_is_right(const coord_record_reader *r, const proto_record *record)
{
    uint32_t count = record->members.size / 8;

    if (record->members.size % 8 != 0 || count == 0 || record->moves.size % PROTO_MOVE_SIZE != 0 ||
        r->generation == 0)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (proto_get_u64(record->members.data + 8 * i) <=
            (i == 0 ? 0 : proto_get_u64(record->members.data + 8 * (i - 1))))
            return false;
    for (uint32_t i = 0; i < record->moves.size; i += PROTO_MOVE_SIZE)
        if (proto_get_u32(record->moves.data + i) >= r->job.group_count ||
            proto_get_u32(record->moves.data + i + 4) >= count ||
            proto_get_u32(record->moves.data + i + 8) > i / PROTO_MOVE_SIZE)
            return false;
    return true;
}

static void get_rescale(coord_record_reader *r, df_cursor *c, proto_record *record)
{
    record->number = df_get_u64(c);
    record->phase = df_get_u8(c);
    if (record->phase != PROTO_RESCALE_BEGIN) {
        if (record->phase == 0 || record->phase > PROTO_RESCALE_END || record->number != r->rescale)
            df_get_refuse(c);
        return;
    }
    record->deadline_us = df_get_u64(c);
    record->members = get_list(c, 8 * PROTO_MEMBERS_MAX);
    record->moves = get_list(c, (size_t)PROTO_MOVE_SIZE * PROTO_GROUPS_MAX);
    if (c->failed || record->number <= r->rescale || !rescale_is_right(r, record))
        df_get_refuse(c);
    r->rescale = record->number;
}

/* Places are as many as before, or more; who has one was admitted by an order that is folded. */
static bool tables_members_right(coord_record_reader *r, const proto_record *record)
{
    uint32_t count = record->members.size / PROTO_TABLES_MEMBER;

    if (record->members.size % PROTO_TABLES_MEMBER != 0 || count == 0 || count < r->member_count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = record->members.data + (size_t)PROTO_TABLES_MEMBER * i;

        if (proto_get_u64(at + 8) > record->number || at[24] > 1)
            return false;
        r->members[i] = proto_get_u64(at);
    }
    r->member_count = count;
    return true;
}

/* Runs follow each other, up to the last key group, and each is somebody's. */
static bool tables_owners_right(const coord_record_reader *r, const proto_bytes *runs)
{
    uint32_t group = 0;

    if (runs->size % PROTO_TABLES_RUN != 0)
        return false;
    for (uint32_t i = 0; i < runs->size; i += PROTO_TABLES_RUN) {
        uint32_t run = proto_get_u32(runs->data + i), length = run & 0xffff;

        if (length == 0 || length > r->job.group_count - group || !has_member(r, run >> 16))
            return false;
        group += length;
    }
    return group == r->job.group_count;
}

static void get_tables(coord_record_reader *r, df_cursor *c, proto_record *record)
{
    record->number = df_get_u64(c);
    record->step = df_get_u64(c);
    record->changed = df_get_u64(c);
    record->left = df_get_u64(c);
    record->rescale = df_get_u64(c);
    record->size = df_get_u32(c);
    record->phase = df_get_u8(c);
    record->members = get_list(c, (size_t)PROTO_TABLES_MEMBER * PROTO_MEMBERS_MAX);
    record->owners = get_list(c, (size_t)PROTO_TABLES_RUN * PROTO_GROUPS_MAX);
    if (c->failed || r->generation == 0 || record->number > r->orders || record->changed > record->number ||
        record->left > record->changed || record->rescale < r->rescale || record->size > PROTO_MEMBERS_MAX ||
        record->phase > PROTO_RESCALE_VOIDED || !tables_members_right(r, record) ||
        !tables_owners_right(r, &record->owners))
        df_get_refuse(c);
    r->rescale = record->rescale;
}

/* Those at the beginning take no memory. */
static void get_skip(coord_record_reader *r, df_cursor *c, uint64_t n)
{
    if (n == 0 || n > PROTO_ORDERS_MAX - r->orders || (r->kept && n > PROTO_VOID_MAX - r->voids)) {
        df_get_refuse(c);
        return;
    }
    r->orders += n;
    r->voids += r->kept ? n : 0;
}

static void get_number(coord_record_reader *r, df_cursor *c, proto_record *record)
{
    uint64_t n = record->number = df_get_u64(c);

    if ((record->kind == PROTO_RECORD_END && (n == 0 || n > PROTO_END_FAILED)) ||
        ((record->kind == PROTO_RECORD_PAUSE || record->kind == PROTO_RECORD_RESTORE) && n > 1))
        df_get_refuse(c);
    if (record->kind == PROTO_RECORD_SKIP)
        get_skip(r, c, n);
    if (record->kind != PROTO_RECORD_RESTORE)
        return;
    record->snapshot = df_get_u64(c);
    record->step = df_get_u64(c);
}

df_status coord_record_get(coord_record_reader *reader, const snap_record *from, proto_record *record,
                           df_error *err)
{
    df_cursor c;

    df_cursor_init(&c, from->bytes, from->size);
    *record = (proto_record){ 0 };
    if (from->type == COORD_RECORD_JOB)
        get_job(reader, &c);
    else if (!reader->begun || from->type < PROTO_RECORD_INCARNATION || from->type > PROTO_RECORD_TABLES)
        df_get_refuse(&c);
    else
        record->kind = (proto_record_kind)from->type;
    if (record->kind == PROTO_RECORD_GENERATION)
        get_generation(reader, &c, record);
    else if (record->kind == PROTO_RECORD_RESCALE)
        get_rescale(reader, &c, record);
    else if (record->kind == PROTO_RECORD_TABLES)
        get_tables(reader, &c, record);
    else if (record->kind == PROTO_RECORD_ORDER)
        get_order(reader, &c, &record->order);
    else if (record->kind != 0)
        get_number(reader, &c, record);
    if (!df_get_end(&c))
        return df_fail(err, DF_ECORRUPT, "history: record %" PRIu64 " (type %u) makes no sense at byte %zu",
                       from->index, from->type, c.offset);
    return from->type == COORD_RECORD_JOB ? DF_END : DF_OK;
}
