#include "coordinator/proto_log.h"

void proto_log_mark(const proto_record *records, uint32_t count, bool *dead)
{
    uint32_t generation = UINT32_MAX, barrier = UINT32_MAX;
    uint64_t number;

    for (uint32_t i = 0; i < count; i++)
        if (records[i].kind == PROTO_RECORD_GENERATION)
            generation = i;
    number = generation == UINT32_MAX ? 0 : records[generation].number;
    for (uint32_t i = 0; i < count; i++)
        if (records[i].kind == PROTO_RECORD_ORDER && records[i].order.kind == PROTO_ORDER_BARRIER)
            barrier = i;
    for (uint32_t i = 0; i < count; i++) {
        const proto_record *r = &records[i];
        bool input = r->order.kind == PROTO_ORDER_INPUT;
        bool passed = r->order.kind == PROTO_ORDER_BARRIER && i != barrier;

        dead[i] = r->kind == PROTO_RECORD_SKIP || (r->kind == PROTO_RECORD_GENERATION && i != generation) ||
                  (r->kind == PROTO_RECORD_RESCALE && generation != UINT32_MAX && i < generation) ||
                  (r->kind == PROTO_RECORD_ORDER && !input && (r->order.made < number || passed));
    }
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
        if (records[i].kind == PROTO_RECORD_ORDER && skip.number > 0) {
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
