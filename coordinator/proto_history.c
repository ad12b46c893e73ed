/* The history: a numbered list of orders, synced before they are sent (rule 2), and what clients put
 * into it (rule 4). */
#include "coordinator/proto_coord_private.h"
#include "coordinator/proto_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

uint64_t coord_append(proto_coord *c, const proto_record *record)
{
    c->env.append(c->env.user, record);
    coord_tables_count(c, record);
    return ++c->appended;
}

/* One sync at a time: what is appended meanwhile goes with the next one. */
void coord_sync(proto_coord *c)
{
    if (c->syncing || c->appended == c->synced)
        return;
    c->syncing = true;
    c->env.sync(c->env.user);
}

proto_order_record *coord_order_get(const proto_coord *c, uint32_t index)
{
    assert(index >= c->order_gone && index < c->order_count);
    return &c->orders[index - c->order_gone];
}

static uint64_t order_at(const proto_coord *c, uint32_t index)
{
    return c->order_at[index - c->order_gone];
}

static void order_keep(proto_coord *c, const proto_order_record *order, uint64_t at)
{
    proto_order_record *kept;
    uint8_t *payload = NULL;

    if (c->order_count - c->order_gone == c->order_room) {
        c->order_room = c->order_room * 2 + 64;
        c->orders = realloc(c->orders, c->order_room * sizeof *c->orders);
        c->order_at = realloc(c->order_at, c->order_room * sizeof *c->order_at);
        assert(c->orders != NULL && c->order_at != NULL);
    }
    kept = &c->orders[c->order_count - c->order_gone];
    c->order_at[c->order_count++ - c->order_gone] = at;
    *kept = *order;
    if (order->payload.size > 0) {
        payload = proto_zero(order->payload.size, 1);
        memcpy(payload, order->payload.data, order->payload.size);
    }
    kept->payload.data = payload;
}

static coord_client *client_find(proto_coord *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->client_count; i++)
        if (c->clients[i].id == id)
            return &c->clients[i];
    return NULL;
}

/* Whoever has been answered and has put nothing in may be forgotten: each command of a command line is a client
 * of its own. The one that came first is. */
static void client_forget(proto_coord *c)
{
    uint32_t i = 0;

    while (i < c->client_count && (c->clients[i].index != 0 || c->clients[i].answer_at != 0))
        i++;
    if (i == c->client_count)
        return;
    c->client_count--;
    memmove(&c->clients[i], &c->clients[i + 1], (c->client_count - i) * sizeof *c->clients);
}

/* The table holds the newest number of each client; when it is full of inputs no new client is heard. */
static coord_client *client_add(proto_coord *c, uint64_t id)
{
    coord_client *client = client_find(c, id);

    if (client == NULL && c->client_count == PROTO_CLIENTS_MAX)
        client_forget(c);
    if (client != NULL || c->client_count == PROTO_CLIENTS_MAX)
        return client;
    c->clients[c->client_count] = (coord_client){ .id = id };
    return &c->clients[c->client_count++];
}

static void order_note(proto_coord *c, const proto_order_record *order)
{
    coord_client *client;

    if (order->kind != PROTO_ORDER_INPUT)
        return;
    c->input_step = order->step;
    client = client_add(c, order->first);
    if (client == NULL)
        return;
    client->number = order->second;
    client->index = order->index;
    client->step = order->step;
}

uint64_t coord_order(proto_coord *c, const proto_order_record *order)
{
    proto_record record = { .kind = PROTO_RECORD_ORDER, .order = *order };

    record.order.index = c->order_count + 1u;
    record.order.made = c->generation;
    order_keep(c, &record.order, coord_append(c, &record));
    order_note(c, &record.order);
    return record.order.index;
}

void coord_order_recover(proto_coord *c, const proto_order_record *order)
{
    assert(order->index == c->order_count + 1u);
    order_keep(c, order, 0);
    order_note(c, order);
    if (order->kind == PROTO_ORDER_MEMBERS && order->made == c->generation)
        coord_apply_members(c, order);
    if (order->kind != PROTO_ORDER_OWNERS || order->made != c->generation)
        return;
    for (uint32_t i = 0; i < order->payload.size; i += 8)
        coord_owner_change(c, proto_get_u32(order->payload.data + i), order->step,
                           proto_get_u32(order->payload.data + i + 4));
}

/* Those before what is kept are not kept either; among them they are void. */
void coord_orders_skip(proto_coord *c, uint64_t count)
{
    proto_order_record order = { .kind = PROTO_ORDER_VOID };

    if (c->order_count == c->order_gone) {
        c->order_count += (uint32_t)count;
        c->order_gone = c->order_count;
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        order.index = c->order_count + 1u;
        order_keep(c, &order, 0);
    }
}

static bool order_may_go(const proto_coord *c, const proto_order_record *o)
{
    bool tables = o->kind == PROTO_ORDER_OWNERS || o->kind == PROTO_ORDER_MEMBERS;

    return o->kind != PROTO_ORDER_INPUT && (!tables || o->made < c->generation || o->index <= c->tables.folded);
}

/* What may go: applied by all members, and void, folded, or a barrier that is decided. Kept in memory are the last few
 * thousand, so that a job that takes snapshots for months does not grow. */
void coord_orders_trim(proto_coord *c)
{
    uint32_t end = c->order_synced, gone = 0, kept = c->config.orders_kept;

    if (c->order_count - c->order_gone <= 2 * kept)
        return;
    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = coord_member(c, i);

        if (w == NULL) /* a vacant place */
            continue;
        end = w->applied < end ? (uint32_t)w->applied : end;
    }
    end = end < c->order_count - kept ? end : c->order_count - kept;
    while (c->order_gone + gone < end && order_may_go(c, &c->orders[gone]))
        free((void *)(uintptr_t)c->orders[gone++].payload.data);
    c->order_gone += gone;
    memmove(c->orders, c->orders + gone, (c->order_count - c->order_gone) * sizeof *c->orders);
    memmove(c->order_at, c->order_at + gone, (c->order_count - c->order_gone) * sizeof *c->order_at);
}

void coord_orders_synced(proto_coord *c)
{
    while (c->order_synced < c->order_count && order_at(c, c->order_synced) <= c->synced) {
        const proto_order_record *o = coord_order_get(c, c->order_synced++);

        if (o->kind == PROTO_ORDER_INPUT && order_at(c, c->order_synced - 1) != 0)
            coord_answer(c, o->first, o->second, PROTO_ANSWER_OK, o->index, o->step);
    }
}

uint32_t coord_orders_sendable(const proto_coord *c)
{
    return MUTANT(c, sendfirst) ? c->order_count : c->order_synced;
}

uint64_t coord_orders_hold(const proto_coord *c)
{
    uint64_t hold = UINT64_MAX;

    for (uint32_t i = coord_orders_sendable(c); i < c->order_count; i++) {
        const proto_order_record *o = coord_order_get(c, i);

        if (o->step < hold && o->made == c->generation)
            hold = o->step;
    }
    return hold;
}

/* The longest part of the history's first `most` orders without an input for `step` or later. */
uint64_t coord_history_below(const proto_coord *c, uint64_t step, uint64_t most)
{
    uint64_t index = most;

    for (uint64_t i = most; i > c->order_gone; i--) {
        const proto_order_record *o = coord_order_get(c, (uint32_t)i - 1);

        if (o->kind == PROTO_ORDER_INPUT && o->step >= step)
            index = i - 1;
    }
    return index;
}

static void orders_send_to(proto_coord *c, coord_worker *w, uint32_t sendable)
{
    while (w->sent_order < sendable && w->sent_order < w->applied + PROTO_ORDERS_BURST) {
        proto_msg msg = { .order = { .index = w->sent_order + 1, .kind = PROTO_ORDER_VOID } };

        if (w->sent_order >= c->order_gone) {
            const proto_order_record *o = coord_order_get(c, (uint32_t)w->sent_order);

            msg.order = (proto_order){ o->index, o->made, o->kind, o->step, o->first, o->second,
                                       o->payload };
        }
        w->sent_order++;

        coord_send(c, w->id, &msg, PROTO_TYPE_order);
    }
}

void coord_orders_send(proto_coord *c)
{
    uint32_t sendable = coord_orders_sendable(c);

    for (uint32_t i = 0; c->phase == COORD_RUNNING && i < c->member_count; i++) {
        coord_worker *w = coord_member(c, i);

        if (w != NULL && (c->since[i] == 0 || w->installed))
            orders_send_to(c, w, sendable);
    }
}

/* ---- clients ---- */

void coord_answer(proto_coord *c, uint64_t client, uint64_t number, uint8_t status, uint64_t index,
                  uint64_t step)
{
    proto_msg msg = { .answer = { number, status, index, step } };

    coord_send(c, client, &msg, PROTO_TYPE_answer);
}

/* Rule 6: beyond what was granted; what is granted meanwhile ends there until it is synced. */
uint64_t coord_order_place(const proto_coord *c)
{
    if (MUTANT(c, orderlate) && c->bound > 0)
        return c->bound - 1;
    return c->bound + c->config.order_ahead;
}

static uint64_t input_place(const proto_coord *c)
{
    uint64_t step = coord_order_place(c);

    if (step < c->floor && !MUTANT(c, nofloor))
        step = c->floor;
    return step < c->input_step ? c->input_step : step;
}

/* A rescale that runs finds the room with which it began. */
static bool input_fits(const proto_coord *c, uint32_t size)
{
    return c->room == PROTO_ROOM_ALL && c->room_left >= coord_rescale_rest(c) + PROTO_LOG_COST + size;
}

/* A repeat is answered and not applied: clients send again until they are answered. */
void coord_take_inject(proto_coord *c, const proto_msg *msg)
{
    uint64_t client_id = msg->header.sender, number = msg->inject.number;
    coord_client *client = client_add(c, client_id);
    proto_order_record order = { .kind = PROTO_ORDER_INPUT, .step = input_place(c),
                                 .first = client_id, .second = number,
                                 .payload = msg->inject.payload };

    if (client == NULL) {
        coord_answer(c, client_id, number, PROTO_ANSWER_REFUSED, 0, 0);
    } else if (number <= client->number && !MUTANT(c, noclient)) {
        if (number == client->number && client->index <= c->order_synced)
            coord_answer(c, client_id, number, PROTO_ANSWER_OK, client->index, client->step);
    } else if (c->phase == COORD_ENDED && c->end_at > c->synced) {
        return;
    } else if (c->phase == COORD_ENDED) {
        coord_answer(c, client_id, number, PROTO_ANSWER_ENDED, c->end, 0);
    } else if (!input_fits(c, order.payload.size)) {
        coord_answer(c, client_id, number, PROTO_ANSWER_REFUSED, 0, 0);
    } else if (c->phase == COORD_RUNNING && order.step < c->final_step &&
               c->order_count < PROTO_ORDERS_MAX) {
        uint64_t index = coord_order(c, &order);

        if (MUTANT(c, logsync))
            coord_answer(c, client_id, number, PROTO_ANSWER_OK, index, order.step);
    } else if (c->phase == COORD_RUNNING) {
        coord_answer(c, client_id, number, PROTO_ANSWER_LATE, 0, 0);
    } /* else: the client asks again when a generation runs */
}

bool coord_is_pinned(const proto_coord *c, uint32_t group)
{
    for (uint32_t i = 0; i < c->plan->stage_count; i++)
        if (c->plan->stages[i].sink && proto_stage_has(&c->plan->stages[i], group))
            return true;
    return false;
}

static uint8_t command_move(proto_coord *c, uint64_t group, uint64_t place)
{
    proto_rescale_stats stats;
    proto_move move = { .group = (uint32_t)group };
    proto_rescale op = { .moves = &move, .move_count = 1 };
    const char *why;

    if (group >= c->plan->group_count || place >= c->member_count || c->members[place] == 0)
        return PROTO_ANSWER_REFUSED;
    move.to = c->members[place];
    coord_rescale_stats(c, &stats);
    op.id = stats.next_id;
    return (uint8_t)coord_rescale_begin(c, &op, &why);
}

/* Not below what any generation may have put out: files would go on behind the end. While a generation is being
 * begun it is not known where that will be: refused, as a drain that was taken and did nothing would be waited for. */
static uint8_t command_drain(proto_coord *c)
{
    uint64_t step = coord_order_place(c);
    proto_record record = { .kind = PROTO_RECORD_DRAIN };

    step = step < c->floor ? c->floor : step;
    step += step == c->attempt.step && c->attempt.index != 0; /* that one does not end anything */
    if (c->ending != PROTO_END_NOT)
        return PROTO_ANSWER_OK;
    if (c->phase != COORD_RUNNING)
        return PROTO_ANSWER_REFUSED;
    if (step >= c->final_step)
        return PROTO_ANSWER_OK; /* it ends there anyway */
    c->final_step = record.number = step;
    c->ending = PROTO_END_DRAINED;
    coord_append(c, &record);
    return PROTO_ANSWER_OK;
}

static void command_pause(proto_coord *c, bool paused)
{
    proto_record record = { .kind = PROTO_RECORD_PAUSE, .number = paused };

    c->paused = paused;
    coord_pace_anew(c);
    coord_append(c, &record);
}

/* *at: what the answer says. */
static uint8_t command_do(proto_coord *c, const proto_command *command, proto_head *at)
{
    switch (command->verb) {
    case PROTO_VERB_PAUSE:
    case PROTO_VERB_RESUME:
        command_pause(c, command->verb == PROTO_VERB_PAUSE);
        return PROTO_ANSWER_OK;
    case PROTO_VERB_DRAIN:
        return command_drain(c);
    case PROTO_VERB_CANCEL:
        coord_finish(c, PROTO_END_CANCELLED);
        return PROTO_ANSWER_OK;
    case PROTO_VERB_MOVE:
        return command_move(c, command->first, command->second);
    case PROTO_VERB_RESTORE:
        return coord_restore(c, command, at);
    default:
        return PROTO_ANSWER_REFUSED;
    }
}

/* What a command has written is synced before it is answered; so a coordinator that has lost its
 * disk to another one, and does not know, answers nobody. */
void coord_clients_synced(proto_coord *c)
{
    for (uint32_t i = 0; i < c->client_count; i++) {
        coord_client *client = &c->clients[i];

        if (client->answer_at == 0 || client->answer_at > c->synced)
            continue;
        client->answer_at = 0;
        coord_answer(c, client->id, client->command, client->command_status, client->command_index,
                     client->command_step);
    }
}

static void command_take(proto_coord *c, coord_client *client, const proto_command *command)
{
    proto_head at = { 0, c->bound };

    client->command_status = command_do(c, command, &at);
    client->command_index = at.attempt;
    client->command_step = at.step;
    client->command = command->number;
    client->answer_at = c->appended;
    if (client->command_status != PROTO_ANSWER_OK || c->appended == 0)
        client->answer_at = 1; /* refused: the first sync was long ago */
    coord_clients_synced(c);
}

/* A command that arrives late, after its client's next one, does nothing; a repeat is answered. */
void coord_take_command(proto_coord *c, const proto_msg *msg)
{
    const proto_command *command = &msg->command;
    uint64_t id = msg->header.sender, number = command->number;
    coord_client *client = client_add(c, id);

    if (c->phase == COORD_ENDED) {
        if (c->end_at <= c->synced)
            coord_answer(c, id, number, PROTO_ANSWER_ENDED, c->end, 0);
    } else if (client == NULL) {
        coord_answer(c, id, number, PROTO_ANSWER_REFUSED, 0, 0);
    } else if (number < client->number || number < client->command) {
        return;
    } else if (command->verb == PROTO_VERB_SNAPSHOT) {
        client->command = number;
        coord_snapshot_ask(c, id, number);
    } else if (number == client->command) {
        if (client->answer_at == 0)
            coord_answer(c, id, number, client->command_status, client->command_index,
                         client->command_step);
    } else if (command->verb != PROTO_VERB_RESTORE || !coord_restore_waits(c)) {
        command_take(c, client, command);
    }
}
