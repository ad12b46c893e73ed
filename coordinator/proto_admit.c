/* Members that come and go while a generation runs. An order of members names them, at a step from which
 * on they are there, or are not needed any more.
 *
 * Who comes is sent an install of what runs: the lists as of that order, so what was ordered later is
 * sent to it as to any member. It owns nothing, so it holds nobody back until it has caught up, and
 * nothing moves to it before. Who goes owns nothing either: all steps in which it did are finished
 * everywhere, so all that it sent has arrived, and its states too; and the last snapshot is released. */
#include "coordinator/proto_coord_private.h"

#include <assert.h>
#include <stdlib.h>

void coord_places_note(proto_coord *c)
{
    proto_index_clear(&c->member_places);
    for (uint32_t i = 0; i < c->member_count; i++)
        if (c->members[i] != 0)
            proto_index_put(&c->member_places, c->members[i], i);
}

uint32_t coord_place_of(const proto_coord *c, uint64_t id)
{
    return proto_index_find(&c->member_places, id);
}

uint32_t coord_members_here(const proto_coord *c)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < c->member_count; i++)
        count += c->members[i] != 0;
    return count;
}

bool coord_counts(const proto_coord *c, uint32_t place)
{
    const coord_worker *w = coord_member(c, place);

    return w != NULL && (c->since[place] == 0 || (w->installed && w->done >= w->catch_up));
}

bool coord_members_known(const proto_coord *c)
{
    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = coord_member(c, i);

        if (w != NULL && w->applied < c->members_index)
            return false;
    }
    return true;
}

bool coord_admitted(const proto_coord *c)
{
    for (uint32_t i = 0; i < c->member_count; i++)
        if (c->members[i] != 0 && !coord_counts(c, i))
            return false;
    return coord_members_known(c);
}

void coord_owner_change(proto_coord *c, uint32_t group, uint64_t step, uint32_t place)
{
    proto_owners_change(&c->owners, group, step, place);
    c->owned[place] = true;
}

/* The oldest is forgotten; it is then told what any stranger is told. */
void coord_dismissed_note(proto_coord *c, uint64_t id)
{
    c->dismissed[c->dismissed_count++ % COORD_DISMISSED_MAX] = id;
}

void coord_dismissed_forget(proto_coord *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->dismissed_count && i < COORD_DISMISSED_MAX; i++)
        if (c->dismissed[i] == id)
            c->dismissed[i] = 0;
}

bool coord_is_dismissed(const proto_coord *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->dismissed_count && i < COORD_DISMISSED_MAX; i++)
        if (c->dismissed[i] == id)
            return true;
    return false;
}

/* ---- orders ---- */

void coord_apply_members(proto_coord *c, const proto_order_record *order)
{
    for (uint32_t i = 0; i < order->payload.size; i += PROTO_MEMBERS_PAIR) {
        uint32_t place = proto_get_u32(order->payload.data + i);

        uint64_t id = proto_get_u64(order->payload.data + i + 4);

        if (place == c->member_count)
            c->member_count++;
        if (id == 0) {
            coord_dismissed_note(c, c->members[place]);
            c->leave_index = order->index;
        } else {
            coord_dismissed_forget(c, id);
        }
        c->members[place] = id;
        c->since[place] = order->index;
        c->since_step[place] = order->step;
        c->owned[place] = false;
    }
    coord_places_note(c);
    c->members_index = order->index;
    if (order->step > c->members_step)
        c->members_step = order->step;
}

/* Pairs of place and id; ids null: the places become vacant. */
static void members_order(proto_coord *c, const uint32_t *places, const uint64_t *ids, uint32_t count)
{
    uint8_t *pairs = proto_zero(count, PROTO_MEMBERS_PAIR);
    proto_order_record order = { .kind = PROTO_ORDER_MEMBERS, .step = coord_order_place(c),
                                 .payload = { pairs, count * PROTO_MEMBERS_PAIR } };

    for (uint32_t i = 0; i < count; i++) {
        proto_put_u32(pairs + PROTO_MEMBERS_PAIR * i, places[i]);
        proto_put_u64(pairs + PROTO_MEMBERS_PAIR * i + 4, ids == NULL ? 0 : ids[i]);
    }
    order.index = coord_order(c, &order);
    coord_apply_members(c, &order);
    free(pairs);
}

void coord_admit(proto_coord *c, const uint64_t *ids, uint32_t count)
{
    uint32_t *places = proto_zero(count, sizeof *places), place = 0;

    for (uint32_t i = 0; i < count; i++) {
        coord_worker *w = coord_worker_find(c, ids[i]);

        while (place < c->member_count && c->members[place] != 0)
            place++;
        assert(w != NULL && place < PROTO_MEMBERS_MAX);
        places[i] = place++;
        w->installed = w->prepared = w->install_sent = w->failure_ended = false;
        w->bound = w->applied = w->worked = w->done = w->released = 0;
        w->seen_us = c->now_us;
    }
    members_order(c, places, ids, count);
    free(places);
}

void coord_dismiss(proto_coord *c, const uint64_t *ids, uint32_t count)
{
    uint32_t *places = proto_zero(count, sizeof *places);

    for (uint32_t i = 0; i < count; i++) {
        places[i] = coord_place_of(c, ids[i]);
        coord_member(c, places[i])->leaving = true;
    }
    members_order(c, places, NULL, count);
    free(places);
}

/* ---- who comes ---- */

/* Inputs of the steps that may run there are not in any list. */
static uint64_t admitting_history(const proto_coord *c, uint32_t place)
{
    return coord_history_below(c, c->since_step[place], c->since[place]);
}

/* No key group has changed its owner since the order, or does later: nothing moves meanwhile. */
static void admitting_send(proto_coord *c, uint32_t place)
{
    uint8_t *members = proto_zero(c->member_count, 8);
    uint8_t *owners = proto_zero(c->plan->group_count, 4);
    proto_msg msg = { .install = { .step = c->since_step[place],
                                   .history = admitting_history(c, place),
                                   .tables = c->since[place], .window = c->config.window,
                                   .members = { members, 8 * c->member_count },
                                   .owners = { owners, 4 * c->plan->group_count } } };

    for (uint32_t i = 0; i < c->member_count; i++)
        proto_put_u64(members + 8 * i, c->members[i]);
    for (uint32_t g = 0; g < c->plan->group_count; g++)
        proto_put_u32(owners + 4 * g, proto_owner_at(&c->owners, g, UINT64_MAX));
    coord_member(c, place)->install_sent = true;
    coord_send(c, c->members[place], &msg, PROTO_TYPE_install);
    free(members);
    free(owners);
}

void coord_admit_installed(proto_coord *c, coord_worker *w, uint64_t step)
{
    uint32_t place = coord_place_of(c, w->id);

    if (place == PROTO_NONE || c->since[place] == 0 || w->installed ||
        step != c->since_step[place])
        return;
    w->installed = true;
    w->bound = w->worked = w->done = step;
    w->applied = w->sent_order = admitting_history(c, place);
    w->sent_bound = w->sent_complete = 0;
    w->released = 0;
    w->catch_up = c->bound;
}

/* ---- who goes ---- */

bool coord_drop(proto_coord *c, uint64_t id)
{
    uint32_t place = coord_place_of(c, id);

    if (place == PROTO_NONE)
        return false;
    if (c->phase == COORD_ATTACHING && !c->owned[place])
        return true; /* nobody waits for it; it is dropped when the generation runs */
    if (c->phase != COORD_RUNNING || c->owned[place] || c->room == PROTO_ROOM_NO_ORDERS ||
        coord_order_place(c) >= c->final_step)
        return false;
    coord_dismiss(c, &id, 1);
    return true;
}

void coord_leave(proto_coord *c, coord_worker *w)
{
    (void)c;
    w->leaving = true;
    w->stop_told = false; /* it speaks, so it has not heard it */
}

void proto_coord_release(proto_coord *c, uint64_t worker)
{
    coord_worker *w = coord_worker_find(c, worker);

    if (w == NULL || w->gone || coord_is_member(c, worker))
        return;
    coord_dismissed_note(c, worker);
    coord_leave(c, w);
    c->heard = true;
}

static void leaving_stop(proto_coord *c)
{
    for (uint32_t i = 0; i < c->worker_count; i++) {
        coord_worker *w = &c->workers[i];
        proto_msg msg = { .stop = { .reason = PROTO_STOP_DISMISSED } };

        if (!w->leaving || w->stop_told || w->gone || coord_is_member(c, w->id))
            continue;
        w->stop_told = true;
        coord_send(c, w->id, &msg, PROTO_TYPE_stop);
    }
}

/* ---- events ---- */

void coord_admit_advance(proto_coord *c)
{
    if (c->phase != COORD_RUNNING)
        return;
    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = coord_member(c, i);

        if (w != NULL && c->since[i] != 0 && c->since[i] <= coord_orders_sendable(c) &&
            !w->installed && !w->install_sent)
            admitting_send(c, i);
    }
    if (coord_low(c) > c->members_step && coord_members_known(c) &&
        c->members_index <= c->order_synced)
        leaving_stop(c);
}

void coord_admit_tick(proto_coord *c)
{
    for (uint32_t i = 0; c->phase == COORD_RUNNING && i < c->member_count; i++)
        if (c->members[i] != 0)
            coord_member(c, i)->install_sent = false;
}
