/* History and grants, the worker's half: orders are applied in turn, each once; a grant counts when the
 * history that it names is applied (rule 2). */
#include "coordinator/proto_worker_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void worker_apply_input(proto_worker *w, const proto_order_record *order)
{
    proto_batch *payload = proto_batch_new(order->payload.size, 0);
    uint32_t old = 0;

    if (order->payload.size > 0)
        memcpy(payload->bytes, order->payload.data, order->payload.size);
    while (old < w->event_count && w->events[old].step < w->calls->low(w))
        proto_batch_drop(&w->events[old++].payload);
    if (old > 0) {
        w->event_count -= old;
        memmove(w->events, w->events + old, w->event_count * sizeof *w->events);
    }
    if (w->event_count == w->event_room) {
        w->event_room = w->event_room * 2 + 16;
        w->events = realloc(w->events, w->event_room * sizeof *w->events);
        assert(w->events != NULL);
    }
    w->events[w->event_count++] = (proto_event){ order->index, order->step, payload };
}

static bool worker_has_member(const proto_worker *w, uint32_t place)
{
    return place < w->member_count && w->members[place] != 0;
}

static bool worker_owners_fit(const proto_worker *w, const proto_order_record *order)
{
    if (order->payload.size % 8 != 0)
        return false;
    for (uint32_t i = 0; i < order->payload.size; i += 8)
        if (proto_get_u32(order->payload.data + i) >= w->plan->group_count ||
            !worker_has_member(w, proto_get_u32(order->payload.data + i + 4)))
            return false;
    return true;
}

static void worker_tell_owners(proto_worker *w, const proto_order_record *order)
{
    uint32_t *pairs;

    if (w->calls->owners == NULL)
        return;
    pairs = proto_zero(order->payload.size / 4, sizeof *pairs);
    for (uint32_t i = 0; i < order->payload.size / 4; i++)
        pairs[i] = proto_get_u32(order->payload.data + 4 * i);
    w->calls->owners(w, order->step, pairs, order->payload.size / PROTO_OWNERS_PAIR);
    free(pairs);
}

static void worker_apply_owners(proto_worker *w, const proto_order_record *order)
{
    if (!worker_owners_fit(w, order)) {
        worker_reject(w, PROTO_REJECT_range);
        return;
    }
    for (uint32_t i = 0; i < order->payload.size; i += 8)
        proto_owners_change(&w->owners, proto_get_u32(order->payload.data + i), order->step,
                            proto_get_u32(order->payload.data + i + 4));
    worker_tell_owners(w, order);
}

/* A vacant place is filled, or one that is filled becomes vacant; never this worker's own. */
static bool worker_place_fits(const proto_worker *w, uint32_t place, uint64_t id)
{
    if (place == w->self || id == w->config.self || place >= PROTO_MEMBERS_MAX)
        return false;
    return id == 0 ? worker_has_member(w, place)
                   : place <= w->member_count && !worker_has_member(w, place);
}

static void worker_apply_place(proto_worker *w, uint32_t place, uint64_t id)
{
    uint64_t before = place < w->member_count ? w->members[place] : 0;

    if (!worker_place_fits(w, place, id)) {
        worker_reject(w, PROTO_REJECT_range);
        return;
    }
    if (place == w->member_count) {
        w->members = realloc(w->members, ++w->member_count * sizeof *w->members);
        assert(w->members != NULL);
    }
    w->members[place] = id;
    channel_place(w, place);
    if (w->calls->members != NULL)
        w->calls->members(w, place);
    if (before != 0 && w->env.left != NULL)
        w->env.left(w->env.user, before);
}

static void worker_apply_members(proto_worker *w, const proto_order_record *order)
{
    const uint8_t *pairs = order->payload.data;

    if (order->payload.size % PROTO_MEMBERS_PAIR != 0)
        worker_reject(w, PROTO_REJECT_range);
    else
        for (uint32_t i = 0; i < order->payload.size; i += PROTO_MEMBERS_PAIR)
            worker_apply_place(w, proto_get_u32(pairs + i), proto_get_u64(pairs + i + 4));
}

static void worker_apply(proto_worker *w, const proto_order_record *order)
{
    bool void_order = order->made != w->generation || order->index <= w->tables;

    if (order->kind == PROTO_ORDER_INPUT) {
        if (!void_order || !MUTANT(w, voidinput))
            worker_apply_input(w, order);
    } else if (order->kind == PROTO_ORDER_OWNERS) {
        if (!void_order)
            worker_apply_owners(w, order);
    } else if (order->kind == PROTO_ORDER_MEMBERS) {
        if (!void_order)
            worker_apply_members(w, order);
    } else if (order->kind == PROTO_ORDER_BARRIER && !void_order) {
        capture_begin(w, order);
    }
}

/* A grant is applied once the history that it names is (rule 2). */
static void worker_apply_grant(proto_worker *w)
{
    uint64_t before = w->bound;

    if (w->pending_bound <= w->bound ||
        (w->applied < w->pending_history && !MUTANT(w, nogate)))
        return;
    w->bound = w->pending_bound;
    w->calls->raised(w, before);
}

void worker_take_order(proto_worker *w, const proto_msg *msg)
{
    const proto_order *o = &msg->order;
    proto_order_record record = { o->index, o->made, o->kind, o->step, o->first, o->second,
                                  o->payload };

    w->status_due = true;
    if (o->index != w->applied + 1) {
        worker_reject(w, o->index <= w->applied ? PROTO_REJECT_repeat : PROTO_REJECT_gap);
        return;
    }
    w->applied++;
    worker_apply(w, &record);
    worker_apply_grant(w);
}

/* From here on, as far as is known. Who owns nothing meets a generation that ran on while it came. */
static bool worker_owns_any(const proto_worker *w)
{
    for (uint32_t g = 0; g < w->plan->group_count; g++)
        if (proto_owner_from(&w->owners, g, w->calls->low(w), w->self))
            return true;
    return false;
}

void worker_take_grant(proto_worker *w, const proto_msg *msg)
{
    const proto_grant *g = &msg->grant;

    if (g->bound > w->calls->low(w) + w->window && worker_owns_any(w)) {
        worker_reject(w, PROTO_REJECT_range);
        return;
    }
    if (g->complete > w->complete) {
        w->complete = g->complete;
        w->calls->completed(w);
    }
    if (g->bound <= w->pending_bound)
        return;
    w->pending_bound = g->bound;
    w->pending_history = g->history;
    worker_apply_grant(w);
}
