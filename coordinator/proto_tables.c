/* The tables of members and owners, folded: what the orders of them have led to is one record of the log, and they
 * and the rescales that made them mean nothing any more (proto_log.c). So a log does not grow with the number of changes.
 *
 * A fold is right when nobody can ask for what goes:
 *
 *   no rescale runs            so none has to know where it began;
 *   all members have applied   the newest of the orders, so none is sent again; who comes later has it in its lists;
 *   the last change lies more than a window behind the lowest step that is not finished,
 *                              so no step asks who owned something before it, and the next change waits for none.
 *
 * It is made when it takes no more bytes than it frees, or when what it frees is old: then it would be kept, among
 * barriers that go. A worker that reports an older index is sent orders that are void; it has none that it needs. */
#include "coordinator/proto_coord_private.h"
#include "coordinator/proto_log.h"

#include <stdlib.h>

#define TABLES_AGE 4096u /* orders behind the newest one of tables */

static bool is_tables(const proto_coord *c, const proto_record *r)
{
    return r->kind == PROTO_RECORD_ORDER && r->order.made == c->generation &&
           (r->order.kind == PROTO_ORDER_OWNERS || r->order.kind == PROTO_ORDER_MEMBERS);
}

void coord_tables_count(proto_coord *c, const proto_record *record)
{
    coord_tables *t = &c->tables;

    if (record->kind == PROTO_RECORD_TABLES) {
        *t = (coord_tables){ .index = t->index, .step = t->step, .folded = record->number };
    } else if (is_tables(c, record) || record->kind == PROTO_RECORD_RESCALE) {
        t->cost += proto_log_cost(record);
        t->size = 0;
    }
    if (is_tables(c, record)) {
        t->index = record->order.index;
        t->step = record->order.step > t->step ? record->order.step : t->step;
    }
}

/* ---- the record ---- */

static uint32_t owner_newest(const proto_coord *c, uint32_t group)
{
    return proto_owner_at(&c->owners, group, UINT64_MAX);
}

/* How many key groups from this one on have one owner. */
static uint32_t run_length(const proto_coord *c, uint32_t group)
{
    uint32_t place = owner_newest(c, group), end = group + 1;

    while (end < c->plan->group_count && owner_newest(c, end) == place)
        end++;
    return end - group;
}

static uint32_t run_count(const proto_coord *c)
{
    uint32_t count = 0;

    for (uint32_t g = 0; g < c->plan->group_count; g += run_length(c, g))
        count++;
    return count;
}

static void put_members(const proto_coord *c, uint8_t *at)
{
    for (uint32_t i = 0; i < c->member_count; i++, at += PROTO_TABLES_MEMBER) {
        proto_put_u64(at, c->members[i]);
        proto_put_u64(at + 8, c->since[i]);
        proto_put_u64(at + 16, c->since_step[i]);
        at[24] = c->owned[i];
    }
}

static void put_owners(const proto_coord *c, uint8_t *at)
{
    _Static_assert(PROTO_GROUPS_MAX <= UINT16_MAX && PROTO_MEMBERS_MAX <= UINT16_MAX, "a run has two u16");

    for (uint32_t g = 0; g < c->plan->group_count; at += PROTO_TABLES_RUN) {
        uint32_t length = run_length(c, g);

        proto_put_u32(at, length | owner_newest(c, g) << 16);
        g += length;
    }
}

static void tables_append(proto_coord *c)
{
    uint32_t runs = run_count(c);
    uint8_t *members = proto_zero(c->member_count, PROTO_TABLES_MEMBER);
    uint8_t *owners = proto_zero(runs, PROTO_TABLES_RUN);
    proto_record record = { .kind = PROTO_RECORD_TABLES, .number = c->tables.index, .step = c->members_step,
                            .changed = c->members_index, .left = c->leave_index, .size = c->rescale.size,
                            .rescale = c->rescale.last_id, .phase = (uint8_t)c->rescale.last_end,
                            .members = { members, PROTO_TABLES_MEMBER * c->member_count },
                            .owners = { owners, PROTO_TABLES_RUN * runs } };

    put_members(c, members);
    put_owners(c, owners);
    coord_append(c, &record);
    free(members);
    free(owners);
}

void coord_tables_recover(proto_coord *c, const proto_record *r)
{
    const uint8_t *at = r->members.data;
    uint32_t group = 0;

    c->member_count = r->members.size / PROTO_TABLES_MEMBER;
    for (uint32_t i = 0; i < c->member_count; i++, at += PROTO_TABLES_MEMBER) {
        c->members[i] = proto_get_u64(at);
        c->since[i] = proto_get_u64(at + 8);
        c->since_step[i] = proto_get_u64(at + 16);
        c->owned[i] = at[24] != 0;
    }
    coord_places_note(c);
    for (uint32_t i = 0; i < r->owners.size; i += PROTO_TABLES_RUN) {
        uint32_t run = proto_get_u32(r->owners.data + i), end = group + (run & 0xffff);

        for (; group < end; group++)
            proto_owners_set(&c->owners, group, run >> 16);
    }
    c->members_index = r->changed;
    c->members_step = r->step;
    c->leave_index = r->left;
    c->tables.index = r->number;
    coord_rescale_last(c, r->rescale, (proto_rescale_end)r->phase, r->size);
}

/* ---- when ---- */

static bool tables_behind(const proto_coord *c)
{
    if (c->rescale.id != 0 || c->tables.step + c->config.window >= coord_low(c))
        return false;
    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = coord_member(c, i);

        if (w != NULL && w->applied < c->tables.index)
            return false;
    }
    return true;
}

static bool tables_worth(proto_coord *c)
{
    coord_tables *t = &c->tables;

    if (t->index > t->folded && c->order_count - t->index >= TABLES_AGE)
        return true;
    if (t->cost == 0)
        return false;
    if (t->size == 0)
        t->size = PROTO_LOG_COST + PROTO_TABLES_MEMBER * c->member_count + PROTO_TABLES_RUN * run_count(c);
    return t->cost >= t->size;
}

void coord_tables_advance(proto_coord *c)
{
    bool early = MUTANT(c, foldearly) && c->tables.index > c->tables.folded;

    if (c->phase == COORD_RUNNING && (early || (tables_worth(c) && tables_behind(c))))
        tables_append(c);
}
