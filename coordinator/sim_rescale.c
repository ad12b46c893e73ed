/* Rescales in the simulator: what clients wish for, who owns what according to the log, and whether a
 * rescale that has ended has left what it says. */
#include "coordinator/sim_world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- the log's word ---- */

/* Who had a place when record `at` was written: the newest change before it, or the generation's list. */
static uint64_t member_before(const sim_world *w, uint32_t at, uint64_t generation, uint32_t place)
{
    for (uint32_t i = at; i > 0; i--) {
        const proto_record *r = &w->log[i - 1];
        const proto_bytes *pairs = &r->order.payload;

        if (r->kind == PROTO_RECORD_GENERATION && r->number == generation)
            return place < r->members.size / 8 ? proto_get_u64(r->members.data + 8 * place) : 0;
        if (r->kind != PROTO_RECORD_ORDER || r->order.kind != PROTO_ORDER_MEMBERS ||
            r->order.made != generation)
            continue;
        for (uint32_t k = 0; k < pairs->size; k += PROTO_MEMBERS_PAIR)
            if (proto_get_u32(pairs->data + k) == place)
                return proto_get_u64(pairs->data + k + 4);
    }
    return 0;
}

/* Who owns a key group at a step, by the first `end` records. */
static uint64_t owner_before(const sim_world *w, uint32_t end, uint64_t generation, uint32_t group,
                             uint64_t step)
{
    for (uint32_t i = end; i > 0; i--) {
        const proto_record *r = &w->log[i - 1];
        const proto_bytes *pairs = &r->order.payload;

        if (r->kind == PROTO_RECORD_GENERATION && r->number == generation)
            return member_before(w, i, generation, proto_get_u32(r->owners.data + 4 * group));
        if (r->kind != PROTO_RECORD_ORDER || r->order.kind != PROTO_ORDER_OWNERS ||
            r->order.made != generation || r->order.step > step)
            continue;
        for (uint32_t k = 0; k < pairs->size; k += PROTO_OWNERS_PAIR)
            if (proto_get_u32(pairs->data + k) == group)
                return member_before(w, i, generation, proto_get_u32(pairs->data + k + 4));
    }
    return 0;
}

uint64_t sim_owner(const sim_world *w, uint64_t generation, uint32_t group, uint64_t step)
{
    return owner_before(w, w->log_count, generation, group, step);
}

/* ---- wishes ---- */

/* What is planned: members and owners, and what leads there. */
typedef struct wish_plan {
    uint64_t owners[SIM_GROUPS_MAX + 1];
    uint64_t from[SIM_MEMBERS_MAX], to[SIM_MEMBERS_MAX], admit[SIM_MEMBERS_MAX],
        dismiss[SIM_MEMBERS_MAX];
    uint32_t from_count, to_count, admit_count, dismiss_count, move_count;
    bool careful; /* nobody is wanted whom hints refuse */
    proto_move moves[SIM_GROUPS_MAX];
} wish_plan;

static void plan_read(const sim_world *w, const proto_coord *c, wish_plan *p, uint64_t *spare,
                      uint32_t *spare_count)
{
    proto_coord_worker list[SIM_PROCESSES_MAX];
    uint32_t count = proto_coord_workers_get(c, list, SIM_PROCESSES_MAX);

    *spare_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].member && p->from_count < SIM_MEMBERS_MAX)
            p->from[p->from_count++] = list[i].id;
        else if (!list[i].member && !list[i].leaving && *spare_count < SIM_MEMBERS_MAX / 2 &&
                 !(p->careful && sim_refuses(w, list[i].id, false)))
            spare[(*spare_count)++] = list[i].id;
    }
    proto_coord_owners_get(c, p->owners);
}

/* Of all pairs of sizes, one after the other: its first, then its second. */
static uint32_t size_next(const sim_world *w)
{
    uint32_t pair = w->size.turn / 2 % (SIM_SIZES * SIM_SIZES);

    return 1 + (w->size.turn % 2 == 0 ? pair / SIM_SIZES : pair % SIM_SIZES);
}

/* Another number of members, up or down; who has the sink stays. */
static void plan_size(sim_world *w, wish_plan *p, const uint64_t *spare, uint32_t spare_count)
{
    uint32_t now = p->from_count, most = now + spare_count;
    uint32_t wanted = (uint32_t)sim_range(&w->rng, 1, most > 5 ? 5 : most), leave = 0;
    uint64_t sink = p->owners[w->job.groups];

    if (w->options.sizes) {
        wanted = size_next(w);
    } else if (sim_chance(&w->rng, 150000) && spare_count > 0) { /* one for one */
        wanted = now;
        p->admit[p->admit_count++] = spare[0];
        leave = 1;
    }
    for (uint32_t i = 0; now < wanted && i < wanted - now && i < spare_count; i++)
        p->admit[p->admit_count++] = spare[i];
    leave += now > wanted ? now - wanted : 0;
    for (uint32_t i = 0; i < now; i++) {
        uint64_t id = p->from[(i + w->result->events) % now];

        if (p->dismiss_count < leave && id != sink)
            p->dismiss[p->dismiss_count++] = id;
        else
            p->to[p->to_count++] = id;
    }
    for (uint32_t i = 0; i < p->admit_count && p->to_count < SIM_MEMBERS_MAX; i++)
        p->to[p->to_count++] = p->admit[i];
}

static bool plan_has(const uint64_t *ids, uint32_t count, uint64_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* Key groups go where they must, and some where they may. `empty`: it is left with nothing; 0: nobody. */
static void plan_moves(sim_world *w, wish_plan *p, uint64_t empty)
{
    uint32_t wave = 0, first = (uint32_t)sim_range(&w->rng, 0, w->job.groups - 1);
    uint32_t more = sim_chance(&w->rng, 500000) ? 200000 : 700000;

    for (uint32_t i = 0; i < w->job.groups; i++) {
        uint32_t g = (first + i) % w->job.groups;
        uint64_t to = p->to[sim_range(&w->rng, 0, p->to_count - 1)];
        bool must = p->owners[g] == empty || !plan_has(p->to, p->to_count, p->owners[g]);

        if (to == empty || (!must && !sim_chance(&w->rng, more)) || (p->careful && sim_refuses(w, to, false)))
            continue;
        if (p->move_count > 0 && sim_chance(&w->rng, 600000))
            wave++;
        p->moves[p->move_count++] = (proto_move){ g, to, wave };
    }
}

static void wish_begin(sim_world *w, sim_process *process, wish_plan *p, sim_wish wish)
{
    proto_coord_stats s;
    proto_rescale op = { .admit = p->admit, .admit_count = p->admit_count, .dismiss = p->dismiss,
                         .dismiss_count = p->dismiss_count, .moves = p->moves,
                         .move_count = p->move_count,
                         .deadline_us = sim_chance(&w->rng, w->options.sizes ? 50000 : 200000)
                                            ? sim_range(&w->rng, 1, 40000)
                                            : 0 };
    const char *why = "";

    proto_coord_stats_get(process->coord, &s);
    op.id = s.rescale.next_id;
    sim_note(w, 91, op.move_count);
    if (proto_coord_rescale(process->coord, sim_local(process), &op, &why) != PROTO_ANSWER_OK)
        return;
    w->result->rescales++;
    if (w->options.sizes && wish == SIM_WISH_SIZE) {
        w->size.id = op.id;
        w->size.from = p->from_count;
        w->size.to = p->to_count;
    }
    if (w->faults_left > 0 && sim_chance(&w->rng, 400000)) /* faults meet every phase of it */
        w->next_fault_event = w->result->events + sim_range(&w->rng, 1, 200);
}

/* As when a change that waited for workers was given up: the spare ones leave. */
static void wish_release(sim_world *w, sim_process *process)
{
    wish_plan p = { 0 };
    uint64_t spare[SIM_MEMBERS_MAX];
    uint32_t count;

    plan_read(w, process->coord, &p, spare, &count);
    for (uint32_t i = 0; i < count; i++)
        proto_coord_release(process->coord, spare[i]);
}

void sim_rescale_wish(sim_world *w, sim_process *process, sim_wish wish)
{
    wish_plan p = { 0 };
    uint64_t spare[SIM_MEMBERS_MAX], empty = 0;
    const char *why;
    uint32_t spare_count;

    if (wish == SIM_WISH_ABORT) {
        if (proto_coord_rescale_abort(process->coord, sim_local(process), &why) != PROTO_ANSWER_OK)
            wish_release(w, process);
        return;
    }
    p.careful = w->hints.are && sim_chance(&w->rng, 700000);
    plan_read(w, process->coord, &p, spare, &spare_count);
    if (p.from_count == 0 || p.owners[0] == 0)
        return;
    if (wish == SIM_WISH_SIZE) {
        plan_size(w, &p, spare, spare_count);
    } else {
        memcpy(p.to, p.from, sizeof p.to);
        p.to_count = p.from_count;
        empty = p.from[sim_range(&w->rng, 0, p.from_count - 1)];
    }
    plan_moves(w, &p, empty);
    wish_begin(w, process, &p, wish);
}

/* ---- what it has left ---- */

/* Where the rescale begins in the log. */
static uint32_t begin_find(const sim_world *w, uint64_t id, uint64_t *generation)
{
    uint32_t at = w->log_count;

    *generation = 0;
    while (at > 0 && (w->log[at - 1].kind != PROTO_RECORD_RESCALE || w->log[at - 1].number != id ||
                      w->log[at - 1].phase != PROTO_RESCALE_BEGIN))
        at--;
    for (uint32_t i = 0; i < at; i++)
        if (w->log[i].kind == PROTO_RECORD_GENERATION)
            *generation = w->log[i].number;
    return at;
}

static uint64_t owner_wanted(const sim_world *w, const proto_record *begin, uint64_t before, uint32_t group)
{
    (void)w;
    for (uint32_t i = 0; i < begin->moves.size; i += PROTO_MOVE_SIZE)
        if (proto_get_u32(begin->moves.data + i) == group)
            return proto_get_u64(begin->members.data + 8 * proto_get_u32(begin->moves.data + i + 4));
    return before;
}

/* When all was done, the new owners; when it was aborted, the old ones; never some of both. */
static void check_owners(sim_world *w, const proto_coord_stats *s, const uint64_t *owners)
{
    uint64_t generation, id = s->rescale.last_id;
    uint32_t at = begin_find(w, id, &generation);
    bool done = s->rescale.last_end == PROTO_RESCALE_DONE;

    if (at == 0) {
        sim_violate(w, "rescale %" PRIu64 " has ended, and its beginning is not in the log", id);
        return;
    }
    for (uint32_t g = 0; g <= w->job.groups; g++) {
        uint64_t before = owner_before(w, at, generation, g, UINT64_MAX);

        if (owners[g] != sim_owner(w, s->generation, g, UINT64_MAX))
            sim_violate(w, "rescale %" PRIu64 " has ended, and who owns key group %u is not in the log",
                        id, g);
        if (s->rescale.last_end != PROTO_RESCALE_VOIDED &&
            owners[g] != (done ? owner_wanted(w, &w->log[at - 1], before, g) : before))
            sim_violate(w, "rescale %" PRIu64 " is %s, and key group %u has another owner", id,
                        done ? "done" : "aborted", g);
    }
}

/* It was lost meanwhile, and had nothing. */
static bool dropped_since(const sim_world *w, uint32_t at, uint64_t member)
{
    uint64_t generation = w->result->generations;

    for (uint32_t i = at; i < w->log_count; i++) {
        const proto_order_record *o = &w->log[i].order;

        for (uint32_t k = 0; w->log[i].kind == PROTO_RECORD_ORDER && o->made == generation &&
                             o->kind == PROTO_ORDER_MEMBERS && k < o->payload.size;
             k += PROTO_MEMBERS_PAIR)
            if (proto_get_u64(o->payload.data + k + 4) == 0 &&
                member_before(w, i, generation, proto_get_u32(o->payload.data + k)) == member)
                return true;
    }
    return false;
}

static void check_members(sim_world *w, const sim_process *p, const proto_coord_stats *s)
{
    uint64_t generation, id = s->rescale.last_id;
    uint32_t at = begin_find(w, id, &generation), members = 0, wanted = 0;
    bool done = s->rescale.last_end == PROTO_RESCALE_DONE;

    if (s->rescale.last_end == PROTO_RESCALE_VOIDED || at == 0)
        return;
    for (uint32_t place = 0; place < SIM_MEMBERS_MAX; place++) {
        uint64_t member = done ? 0 : member_before(w, at, generation, place);

        if (done && place < w->log[at - 1].members.size / 8)
            member = proto_get_u64(w->log[at - 1].members.data + 8 * place);
        wanted += member != 0 && !dropped_since(w, at, member);
        members += member != 0 && proto_coord_has_member(p->coord, member);
    }
    if (members != wanted || wanted != s->members)
        sim_violate(w, "rescale %" PRIu64 " is %s, and has %u members, %u of %u that it should have", id,
                    done ? "done" : "aborted", s->members, members, wanted);
}

uint64_t sim_rescale_last(const sim_process *p)
{
    proto_coord_stats s;

    proto_coord_stats_get(p->coord, &s);
    return s.rescale.last_id;
}

void sim_rescale_recovered(sim_world *w, const sim_process *p)
{
    uint64_t running = 0;
    proto_coord_stats s;

    for (uint32_t i = 0; i < w->log_count; i++) {
        if (w->log[i].kind == PROTO_RECORD_RESCALE && w->log[i].phase == PROTO_RESCALE_BEGIN)
            running = w->log[i].number;
        else if (w->log[i].kind == PROTO_RECORD_GENERATION ||
                 (w->log[i].kind == PROTO_RECORD_RESCALE && w->log[i].phase == PROTO_RESCALE_END))
            running = 0;
    }
    proto_coord_stats_get(p->coord, &s);
    if (s.rescale.id != running)
        sim_violate(w, "the log says that rescale %" PRIu64 " runs, the coordinator %" PRIu64, running,
                    s.rescale.id);
}

/* The newest change of a key group in the log of this generation; 0: none. */
static uint64_t change_newest(const sim_world *w, uint64_t generation, uint32_t group)
{
    for (uint32_t i = w->log_count; i > 0; i--) {
        const proto_order_record *o = &w->log[i - 1].order;

        if (w->log[i - 1].kind != PROTO_RECORD_ORDER || o->kind != PROTO_ORDER_OWNERS ||
            o->made != generation)
            continue;
        for (uint32_t k = 0; k < o->payload.size; k += PROTO_OWNERS_PAIR)
            if (proto_get_u32(o->payload.data + k) == group)
                return o->step;
    }
    return 0;
}

void sim_rescale_append(sim_world *w, const sim_process *p, const proto_record *record)
{
    const proto_order_record *o = &record->order;

    if (record->kind != PROTO_RECORD_ORDER || o->kind != PROTO_ORDER_OWNERS)
        return;
    for (uint32_t k = 0; k < o->payload.size; k += PROTO_OWNERS_PAIR) {
        uint32_t group = proto_get_u32(o->payload.data + k);
        uint64_t newest = change_newest(w, o->made, group);

        if (newest != 0 && newest + p->window >= o->step)
            sim_violate(w, "key group %u changes its owner at step %" PRIu64 " and at %" PRIu64
                        ", with a window of %u", group, newest, o->step, p->window);
    }
}

/* The next one is wanted when it is done, so one that is aborted is tried again. */
static void size_done(sim_world *w)
{
    if (w->size.from > 0 && w->size.from <= SIM_SIZES && w->size.to <= SIM_SIZES)
        w->result->sizes |= 1ull << (SIM_SIZES * (w->size.from - 1) + w->size.to - 1);
    w->size.turn++;
    w->size.id = 0;
}

void sim_rescale_check(sim_world *w, sim_process *p, const proto_coord_stats *s)
{
    uint64_t owners[SIM_GROUPS_MAX + 1];

    if (s->rescale.last_id == p->ended_op)
        return;
    p->ended_op = s->rescale.last_id;
    w->result->rescales_ended[s->rescale.last_end]++;
    if (s->rescale.last_id == w->size.id && s->rescale.last_end == PROTO_RESCALE_DONE)
        size_done(w);
    proto_coord_owners_get(p->coord, owners);
    check_owners(w, s, owners);
    check_members(w, p, s);
}
