#include "coordinator/proto_log.h"

uint64_t proto_log_cost(const proto_record *r)
{
    return PROTO_LOG_COST + (uint64_t)r->members.size + r->owners.size + r->moves.size + r->order.payload.size;
}

/* Where in a log what holds now begins; UINT32_MAX: nowhere. */
typedef struct log_marks {
    uint32_t generation, barrier, tables, pause; /* the last ones; tables of the last generation */
    uint64_t number;                      /* that generation's */
} log_marks;

static log_marks marks_find(const proto_record *records, uint32_t count)
{
    log_marks m = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, 0 };

    for (uint32_t i = 0; i < count; i++) {
        const proto_record *r = &records[i];

        if (r->kind == PROTO_RECORD_GENERATION)
            m = (log_marks){ i, m.barrier, UINT32_MAX, m.pause, r->number };
        else if (r->kind == PROTO_RECORD_PAUSE)
            m.pause = i;
        else if (r->kind == PROTO_RECORD_TABLES)
            m.tables = i;
        else if (r->kind == PROTO_RECORD_ORDER && r->order.kind == PROTO_ORDER_BARRIER)
            m.barrier = i;
    }
    return m;
}

static bool before(uint32_t i, uint32_t mark)
{
    return mark != UINT32_MAX && i < mark;
}

static bool order_dead(const proto_order_record *o, uint32_t i, const log_marks *m)
{
    if (o->kind == PROTO_ORDER_INPUT)
        return false;
    if (o->made < m->number || (o->kind == PROTO_ORDER_BARRIER && i != m->barrier))
        return true;
    return o->kind != PROTO_ORDER_BARRIER && before(i, m->tables);
}

static bool record_dead(const proto_record *r, uint32_t i, const log_marks *m)
{
    switch (r->kind) {
    case PROTO_RECORD_SKIP:
        return true;
    case PROTO_RECORD_GENERATION:
        return i != m->generation;
    case PROTO_RECORD_TABLES:
        return i != m->tables;
    case PROTO_RECORD_PAUSE:
        return i != m->pause;
    case PROTO_RECORD_RESCALE:
        return before(i, m->generation) || before(i, m->tables);
    case PROTO_RECORD_ORDER:
        return order_dead(&r->order, i, m);
    default:
        return false;
    }
}

void proto_log_mark(const proto_record *records, uint32_t count, bool *dead)
{
    log_marks marks = marks_find(records, count);

    for (uint32_t i = 0; i < count; i++)
        dead[i] = record_dead(&records[i], i, &marks);
    /* An order stands behind the generation that made it. */
    for (uint32_t i = count, live = 0; i > 0; i--) {
        const proto_record *r = &records[i - 1];

        live = r->kind == PROTO_RECORD_ORDER && !dead[i - 1] ? 1 : live;
        dead[i - 1] &= r->kind != PROTO_RECORD_GENERATION || live == 0;
        live = r->kind == PROTO_RECORD_GENERATION ? 0 : live;
    }
}

uint32_t proto_log_copy(const proto_record *records, uint32_t count, const bool *dead, proto_record *out)
{
    proto_record skip = { .kind = PROTO_RECORD_SKIP };
    uint64_t voids = 0;
    uint32_t kept = 0;
    bool order = false;

    for (uint32_t i = 0; i < count; i++) {
        if (dead[i]) {
            voids += !order ? 0 : records[i].kind == PROTO_RECORD_SKIP ? records[i].number
                                  : records[i].kind == PROTO_RECORD_ORDER;
            skip.number += records[i].kind == PROTO_RECORD_SKIP    ? records[i].number
                           : records[i].kind == PROTO_RECORD_ORDER ? 1
                                                                   : 0;
            continue;
        }
        if ((records[i].kind == PROTO_RECORD_ORDER || records[i].kind == PROTO_RECORD_TABLES) && skip.number > 0) {
            out[kept++] = skip;
            skip.number = 0;
        }
        order |= records[i].kind == PROTO_RECORD_ORDER;
        out[kept++] = records[i];
    }
    if (skip.number > 0)
        out[kept++] = skip;
    return voids > PROTO_VOID_MAX ? 0 : kept;
}
