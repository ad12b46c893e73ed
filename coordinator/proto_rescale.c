/* A rescale: members are admitted, key groups move in waves, members leave. One at a time.
 *
 * Its beginning is in the log with all that it wants; its abort and its end are too. Everything between
 * follows from the members and the owner table, so a coordinator that starts again goes on where the
 * last one was. An abort changes what is wanted: the way back is the same way, with members and owners
 * as they were (rule 20). A generation writes one whole table, the new or the old, and ends it. */
#include "coordinator/proto_coord_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is wanted ---- */

static uint64_t move_goal(const coord_rescale *r, uint32_t i)
{
    return r->aborting ? r->moves[i].from : r->moves[i].to;
}

uint64_t coord_owner_newest(const proto_coord *c, uint32_t group)
{
    return c->members[proto_owner_at(&c->owners, group, UINT64_MAX)];
}

int coord_id_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

bool coord_id_in(const uint64_t *ids, uint32_t count, uint64_t id)
{
    return count > 0 && bsearch(&id, ids, count, sizeof *ids, coord_id_compare) != NULL;
}

uint32_t coord_member_ids(const proto_coord *c, uint64_t *ids)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < c->member_count; i++)
        if (c->members[i] != 0)
            ids[count++] = c->members[i];
    qsort(ids, count, sizeof *ids, coord_id_compare);
    return count;
}

/* Those in `ids` that are not in `others`. */
static uint32_t ids_without(uint64_t *out, const uint64_t *ids, uint32_t count, const uint64_t *others,
                            uint32_t other_count)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < count; i++)
        if (!coord_id_in(others, other_count, ids[i]))
            out[left++] = ids[i];
    return left;
}

/* How far the moves are. Steps ascend by wave, and so do the moves. */
static void moves_count(proto_coord *c)
{
    coord_rescale *r = &c->rescale;
    uint64_t low = coord_low(c);

    while (r->ordered < r->move_count &&
           coord_owner_newest(c, r->moves[r->ordered].group) == move_goal(r, r->ordered)) {
        uint64_t step = proto_owners_newest(&c->owners, r->moves[r->ordered++].group);

        r->wave_step = step > r->wave_step ? step : r->wave_step;
    }
    while (r->done < r->ordered && proto_owners_newest(&c->owners, r->moves[r->done].group) < low)
        r->done++;
}

uint32_t coord_wave_count(const coord_rescale *r, uint32_t moves)
{
    return moves == 0 ? 0 : r->moves[moves - 1].wave + (moves == r->move_count ||
                                                        r->moves[moves].wave != r->moves[moves - 1].wave);
}

/* ---- it begins, turns back, ends ---- */

static void rescale_clear(coord_rescale *r)
{
    free(r->before);
    free(r->target);
    free(r->moves);
    *r = (coord_rescale){ .last_id = r->last_id, .last_lost = r->last_lost, .last_end = r->last_end,
                          .size = r->size };
}

void coord_rescale_free(proto_coord *c)
{
    rescale_clear(&c->rescale);
}

/* Takes `target` and `moves`, whose `from` is filled in. */
void coord_rescale_open(proto_coord *c, uint64_t id, uint64_t deadline_us, uint64_t *target,
                        uint32_t target_count, coord_move *moves, uint32_t move_count)
{
    coord_rescale *r = &c->rescale;

    rescale_clear(r);
    r->id = id;
    r->deadline_us = deadline_us;
    r->begun_us = c->now_us;
    r->before = proto_zero(PROTO_MEMBERS_MAX, sizeof *r->before);
    r->before_count = coord_member_ids(c, r->before);
    r->target = target;
    r->target_count = target_count;
    r->moves = moves;
    r->move_count = move_count;
    r->need = coord_rescale_need(c, target_count, moves, move_count);
    r->spent_before = c->tables.cost;
    for (uint32_t i = 0; i < move_count; i++)
        moves[i].from = coord_owner_newest(c, moves[i].group);
}

/* Only what was ordered is ordered back. */
static void rescale_turn(proto_coord *c)
{
    coord_rescale *r = &c->rescale;

    moves_count(c);
    r->move_count = r->ordered;
    r->aborting = true;
    r->ordered = r->done = 0;
}

/* Generations have at most so many members from now on. How many they wait for is the shell's business, who
 * knows which of them may come back; it is not more than that. */
static void size_set(proto_coord *c, uint32_t size)
{
    c->rescale.size = c->config.member_max = size;
    if (c->config.member_min > size)
        c->config.member_min = size;
}

/* There is no way back any more. */
static void rescale_settle(proto_coord *c)
{
    if (c->rescale.target_count != c->rescale.before_count)
        size_set(c, c->rescale.target_count);
}

static void rescale_leave(proto_coord *c)
{
    c->rescale.leaving = true;
    rescale_settle(c);
}

static void rescale_close(proto_coord *c, proto_rescale_end end)
{
    coord_rescale *r = &c->rescale;

    if (end == PROTO_RESCALE_DONE)
        rescale_settle(c);
    r->last_id = r->id;
    r->last_lost = end == PROTO_RESCALE_DONE ? 0 : r->lost;
    r->last_end = end;
    rescale_clear(r);
}

void coord_rescale_lost(proto_coord *c, uint64_t worker)
{
    coord_rescale *r = &c->rescale;

    if (r->id != 0 && r->lost == 0 &&
        (coord_id_in(r->before, r->before_count, worker) || coord_id_in(r->target, r->target_count, worker)))
        r->lost = worker;
}

static void rescale_note(proto_coord *c, proto_rescale_phase phase)
{
    proto_record record = { .kind = PROTO_RECORD_RESCALE, .number = c->rescale.id,
                            .phase = (uint8_t)phase };

    coord_append(c, &record);
}

/* (mutant) As if nothing had been ordered. */
static void rescale_withdraw(proto_coord *c)
{
    for (uint32_t i = 0; i < c->rescale.ordered; i++) {
        const coord_move *m = &c->rescale.moves[i];

        proto_owners_change(&c->owners, m->group, proto_owners_newest(&c->owners, m->group),
                            coord_place_of(c, m->from));
    }
}

static void rescale_abort(proto_coord *c)
{
    if (MUTANT(c, withdraw))
        rescale_withdraw(c);
    rescale_note(c, PROTO_RESCALE_ABORT);
    rescale_turn(c);
}

void coord_rescale_recover(proto_coord *c, const proto_record *record)
{
    coord_rescale *r = &c->rescale;
    uint32_t target_count = record->members.size / 8, count = record->moves.size / PROTO_MOVE_SIZE;
    uint64_t *target;
    coord_move *moves;

    if (record->phase == PROTO_RESCALE_ABORT && r->id == record->number)
        rescale_turn(c);
    else if (record->phase == PROTO_RESCALE_LEAVE && r->id == record->number)
        rescale_leave(c);
    else if (record->phase == PROTO_RESCALE_END && r->id == record->number)
        rescale_close(c, r->aborting ? PROTO_RESCALE_ABORTED : PROTO_RESCALE_DONE);
    if (record->phase != PROTO_RESCALE_BEGIN || MUTANT(c, forget))
        return;
    target = proto_zero(target_count, sizeof *target);
    moves = proto_zero(count, sizeof *moves);
    for (uint32_t i = 0; i < target_count; i++)
        target[i] = proto_get_u64(record->members.data + 8 * i);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *move = record->moves.data + PROTO_MOVE_SIZE * i;

        moves[i] = (coord_move){ .group = proto_get_u32(move), .wave = proto_get_u32(move + 8),
                                 .to = target[proto_get_u32(move + 4)] };
    }
    coord_rescale_open(c, record->number, record->deadline_us, target, target_count, moves, count);
}

/* ---- the phases ---- */

/* An order of members or owners may be made now. */
static bool may_order(const proto_coord *c, uint64_t step)
{
    return c->room != PROTO_ROOM_NO_ORDERS && c->order_count < PROTO_ORDERS_MAX &&
           step < c->final_step;
}

static bool owners_settled(const proto_coord *c)
{
    uint64_t low = coord_low(c);

    for (uint32_t g = 0; g < c->plan->group_count; g++)
        if (proto_owners_newest(&c->owners, g) > low)
            return false;
    return true;
}

/* True: all who are wanted are members, and have caught up. */
static bool rescale_admit(proto_coord *c)
{
    const coord_rescale *r = &c->rescale;
    uint64_t members[PROTO_MEMBERS_MAX], wanted[PROTO_MEMBERS_MAX];
    uint32_t count = coord_member_ids(c, members);

    count = ids_without(wanted, r->target, r->target_count, members, count);
    for (uint32_t i = 0; i < count; i++) {
        const coord_worker *w = coord_worker_find(c, wanted[i]);

        if (w != NULL && coord_is_usable(c, w) && !coord_is_dismissed(c, w->id))
            continue;
        if ((w == NULL || !(w->gone || coord_is_dismissed(c, w->id))) &&
            c->now_us - r->begun_us < c->config.silence_us)
            return false; /* it may still join a coordinator that has just started */
        coord_rescale_lost(c, wanted[i]);
        rescale_abort(c);
        return false;
    }
    if (count > 0 && owners_settled(c) && may_order(c, coord_order_place(c)))
        coord_admit(c, wanted, count);
    return count == 0 && (coord_admitted(c) || MUTANT(c, noadmit));
}

/* One wave: all of its key groups change their owner at one step. */
static void wave_order(proto_coord *c, uint32_t first, uint32_t last, uint64_t step)
{
    coord_rescale *r = &c->rescale;
    uint8_t *pairs = proto_zero(COORD_PAIRS_MAX, PROTO_OWNERS_PAIR);
    proto_order_record order = { .kind = PROTO_ORDER_OWNERS, .step = step, .payload = { pairs, 0 } };

    for (uint32_t i = first; i < last; i++) {
        uint32_t place = coord_place_of(c, move_goal(r, i)), group = r->moves[i].group;

        assert(place != PROTO_NONE); /* a member that owns something is never dropped */
        if (proto_owner_at(&c->owners, group, UINT64_MAX) == place)
            continue;
        proto_put_u32(pairs + order.payload.size, group);
        proto_put_u32(pairs + order.payload.size + 4, place);
        order.payload.size += PROTO_OWNERS_PAIR;
        coord_owner_change(c, group, step, place);
        if (order.payload.size < COORD_PAIRS_MAX * PROTO_OWNERS_PAIR)
            continue;
        coord_order(c, &order);
        order.payload.size = 0;
    }
    if (order.payload.size > 0)
        coord_order(c, &order);
    free(pairs);
}

/* A key group's last change lies behind every step that may run when the next one takes effect, so a
 * few versions are enough to answer for all of them. */
static bool wave_waits(const proto_coord *c, uint32_t first, uint32_t last, uint64_t step)
{
    for (uint32_t i = first; i < last; i++) {
        uint64_t newest = proto_owners_newest(&c->owners, c->rescale.moves[i].group);

        if (newest != 0 && newest + c->config.window + 1 > step && !MUTANT(c, twopending))
            return true;
    }
    return false;
}

/* Waves ascend. A member begins at the step of its order, whatever bound an earlier coordinator knew of. A
 * barrier belongs to who owns its step, so nothing moves there to one that has no part in it. */
static uint64_t wave_place(const proto_coord *c)
{
    uint64_t step = coord_order_place(c);

    if (step <= c->rescale.wave_step)
        step = c->rescale.wave_step + 1;
    if (step < c->members_step)
        step = c->members_step;
    if (step <= c->snapshot_step && c->members_index > c->last_attempt && !MUTANT(c, partless))
        step = c->snapshot_step + 1;
    return step;
}

/* So many are under way at most that one can begin at every step; an abort stops the others. */
static void rescale_move(proto_coord *c)
{
    coord_rescale *r = &c->rescale;
    uint32_t most = c->config.window + c->config.order_ahead + 2;

    while (r->ordered < r->move_count) {
        uint64_t step = wave_place(c);
        uint32_t first = r->ordered, last = first;

        while (last < r->move_count && r->moves[last].wave == r->moves[first].wave)
            last++;
        if (coord_wave_count(r, first) - coord_wave_count(r, r->done) >= most || !may_order(c, step) ||
            wave_waits(c, first, last, step))
            return;
        wave_order(c, first, last, step);
        moves_count(c);
    }
}

/* True: nobody is left who is not wanted, and all know it. */
static bool rescale_dismiss(proto_coord *c)
{
    const coord_rescale *r = &c->rescale;
    const uint64_t *stay = r->aborting ? r->before : r->target;
    uint64_t members[PROTO_MEMBERS_MAX], leave[PROTO_MEMBERS_MAX];
    uint32_t count = coord_member_ids(c, members);

    count = ids_without(leave, members, count, stay, r->aborting ? r->before_count : r->target_count);
    if (count == 0)
        return coord_members_known(c) && coord_low(c) > c->members_step;
    if (!((c->attempt.index == 0 && coord_attempt_released(c)) || MUTANT(c, keeppart)) ||
        !may_order(c, coord_order_place(c)))
        return false;
    if (!r->aborting && !r->leaving) {
        rescale_leave(c);
        rescale_note(c, PROTO_RESCALE_LEAVE);
    }
    coord_dismiss(c, leave, count);
    return false;
}

static void rescale_end(proto_coord *c)
{
    rescale_note(c, PROTO_RESCALE_END);
    rescale_close(c, c->rescale.aborting ? PROTO_RESCALE_ABORTED : PROTO_RESCALE_DONE);
}

void coord_rescale_advance(proto_coord *c)
{
    coord_rescale *r = &c->rescale;

    if (r->id == 0 || c->phase != COORD_RUNNING)
        return;
    if (!r->aborting && !r->leaving && c->now_us - r->begun_us >= r->deadline_us)
        rescale_abort(c);
    if (!r->aborting && !r->leaving && !rescale_admit(c))
        return;
    moves_count(c);
    rescale_move(c);
    if (r->done < r->move_count && !(MUTANT(c, earlyleave) && r->ordered == r->move_count))
        return;
    if (rescale_dismiss(c))
        rescale_end(c);
}

/* ---- a generation ends it ---- */

static bool rescale_is_target(const coord_rescale *r, const uint64_t *ids, uint32_t count)
{
    return r->id != 0 && !r->aborting && count == r->target_count &&
           memcmp(ids, r->target, count * sizeof *ids) == 0;
}

uint32_t coord_rescale_choose(proto_coord *c, uint64_t *chosen)
{
    const coord_rescale *r = &c->rescale;

    for (uint32_t i = 0; i < r->target_count; i++) {
        const coord_worker *w = coord_worker_find(c, r->target[i]);

        if (w == NULL || !coord_is_usable(c, w) ||
            (coord_refuses(c, w->id, coord_is_member(c, w->id)) && !MUTANT(c, refusedtarget)))
            return 0;
        chosen[i] = r->target[i];
    }
    return r->id == 0 || r->aborting ? 0 : r->target_count;
}

uint32_t coord_rescale_size(const proto_coord *c)
{
    const coord_rescale *r = &c->rescale;
    uint32_t most = c->config.member_max;

    if (r->id != 0 && !r->leaving && r->before_count < most)
        most = r->before_count;
    return most < c->config.member_min ? c->config.member_min : most;
}

bool coord_rescale_owners(const proto_coord *c, const uint64_t *chosen, uint32_t count, uint64_t *owners)
{
    const coord_rescale *r = &c->rescale;
    bool target = rescale_is_target(r, chosen, count);

    proto_coord_owners_get(c, owners);
    for (uint32_t i = 0; r->id != 0 && !r->leaving && i < r->move_count; i++)
        owners[r->moves[i].group] = target ? r->moves[i].to : r->moves[i].from;
    return target;
}

/* The lists of the generation are there already. */
void coord_rescale_generation(proto_coord *c)
{
    const coord_rescale *r = &c->rescale;
    uint64_t members[PROTO_MEMBERS_MAX];
    bool done = rescale_is_target(r, members, coord_member_ids(c, members));

    if (r->id == 0)
        return;
    for (uint32_t i = 0; done && i < r->move_count; i++)
        done = coord_owner_newest(c, r->moves[i].group) == r->moves[i].to;
    for (uint32_t i = 0; done && i < r->before_count; i++)
        if (!coord_is_member(c, r->before[i]))
            coord_dismissed_note(c, r->before[i]);
    rescale_close(c, done ? PROTO_RESCALE_DONE : PROTO_RESCALE_VOIDED);
}

/* What a record says of those before it, which may have gone from the log. */
void coord_rescale_last(proto_coord *c, uint64_t id, proto_rescale_end end, uint32_t size)
{
    rescale_clear(&c->rescale);
    c->rescale.last_id = id;
    c->rescale.last_end = end;
    c->rescale.size = 0;
    if (size > 0)
        size_set(c, size);
}

/* ---- the command ---- */

proto_answer_status proto_coord_rescale_abort(proto_coord *c, uint64_t now_us, const char **why)
{
    c->now_us = now_us;
    *why = NULL;
    if (c->rescale.id == 0)
        *why = "no rescale runs";
    else if (c->rescale.aborting)
        *why = "it is being aborted already";
    else if (c->rescale.leaving)
        *why = "its members have begun to leave: it ends as it was wanted";
    if (*why != NULL)
        return PROTO_ANSWER_REFUSED;
    rescale_abort(c);
    proto_coord_tick(c, now_us);
    return PROTO_ANSWER_OK;
}
