/* The virtual disks: the coordinator's log, the store of snapshots, the sink's file. A crash loses
 * or keeps any prefix of what was not synced. */
#include "coordinator/proto_log.h"
#include "coordinator/sim_world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- the log ---- */

static proto_bytes bytes_copy(proto_bytes from)
{
    uint8_t *to = NULL;

    if (from.size > 0) {
        to = proto_zero(from.size, 1);
        memcpy(to, from.data, from.size);
    }
    return (proto_bytes){ to, from.size };
}

static void record_free(proto_record *r)
{
    free((void *)(uintptr_t)r->members.data);
    free((void *)(uintptr_t)r->owners.data);
    free((void *)(uintptr_t)r->moves.data);
    free((void *)(uintptr_t)r->order.payload.data);
}

void sim_log_append(sim_world *w, sim_process *p, const proto_record *record)
{
    proto_record *r;

    if (p->revoked)
        return;
    sim_rescale_append(w, p, record);
    sim_hints_append(w, record);
    w->result->folds += record->kind == PROTO_RECORD_TABLES;
    if (w->log_count == w->log_room) {
        w->log_room = w->log_room * 2 + 64;
        w->log = realloc(w->log, w->log_room * sizeof *w->log);
        assert(w->log != NULL);
    }
    r = &w->log[w->log_count++];
    *r = *record;
    r->members = bytes_copy(record->members);
    r->owners = bytes_copy(record->owners);
    r->moves = bytes_copy(record->moves);
    r->order.payload = bytes_copy(record->order.payload);
    if (record->kind == PROTO_RECORD_GENERATION)
        sim_check_generation(w, record);
}

/* The torn tail: records that were not synced are kept up to some point, and lost behind it. */
void sim_log_crash(sim_world *w)
{
    uint32_t keep = w->log_synced;

    if (sim_chance(&w->rng, 500000))
        keep = (uint32_t)sim_range(&w->rng, w->log_synced, w->log_count);
    while (w->log_count > keep)
        record_free(&w->log[--w->log_count]);
    w->log_synced = w->log_count;
}

/* What the coordinator's log keeps apart, in a place of its own. */
static bool is_mark(const proto_record *r)
{
    return r->kind == PROTO_RECORD_INCARNATION || r->kind == PROTO_RECORD_CEILING;
}

static void marks_mark(const proto_record *records, uint32_t count, bool *dead)
{
    uint32_t last[2] = { UINT32_MAX, UINT32_MAX };

    for (uint32_t i = count; i > 0; i--) {
        uint32_t *newest = &last[records[i - 1].kind == PROTO_RECORD_CEILING];

        if (!is_mark(&records[i - 1]))
            continue;
        dead[i - 1] = *newest != UINT32_MAX;
        *newest = *newest == UINT32_MAX ? i : *newest;
    }
}

/* The log on the disk is made shorter again and again; w->log keeps all that was ever in it, for the checkers. Bytes are
 * shared. Only what is synced is copied. */
static void log_shorten(sim_world *w)
{
    uint32_t count = w->short_count + w->log_synced - w->short_end;
    bool *dead = proto_zero(count + 1, sizeof *dead);
    proto_record *all = proto_zero(count + 1, sizeof *all), *kept = proto_zero(count + 1, sizeof *kept);

    if (w->short_count > 0)
        memcpy(all, w->shorter, w->short_count * sizeof *all);
    if (w->log_synced > w->short_end)
        memcpy(all + w->short_count, w->log + w->short_end, (w->log_synced - w->short_end) * sizeof *all);
    proto_log_mark(all, count, dead);
    marks_mark(all, count, dead);
    free(w->shorter);
    w->shorter = kept;
    w->short_count = proto_log_copy(all, count, dead, kept);
    w->short_end = w->log_synced;
    w->result->shortened++;
    free(all);
    free(dead);
}

static uint64_t log_cost(const proto_record *records, uint32_t count)
{
    uint64_t cost = 0;

    for (uint32_t i = 0; i < count; i++)
        cost += is_mark(&records[i]) ? 0 : proto_log_cost(&records[i]);
    return cost;
}

/* Something was synced: a small log is made shorter. The others are when a coordinator starts. */
void sim_log_turn(sim_world *w, sim_process *p)
{
    uint64_t size = w->config.log_size, reserve = size / 16, used, left;

    if (size == 0 || p->revoked)
        return;
    log_shorten(w);
    used = log_cost(w->shorter, w->short_count) + log_cost(w->log + w->short_end, w->log_count - w->short_end);
    left = used + reserve < size ? size - used - reserve : 0;
    proto_coord_room(p->coord, left > size / 8 ? PROTO_ROOM_ALL : left > 0 ? PROTO_ROOM_NO_INPUT : PROTO_ROOM_NO_ORDERS,
                     left);
}

void sim_log_recover(sim_world *w, sim_process *p)
{
    if (w->log_count % 3 == 0)
        log_shorten(w);
    p->log_base = w->log_count;
    for (uint32_t i = 0; i < w->short_count; i++)
        proto_coord_recover(p->coord, &w->shorter[i]);
    for (uint32_t i = w->short_end; i < w->log_count; i++)
        proto_coord_recover(p->coord, &w->log[i]);
}

void sim_log_compare(sim_world *w, const sim_process *p, proto_coord *whole)
{
    uint64_t owners[2][SIM_GROUPS_MAX + 1] = { { 0 } };
    proto_coord_stats a, b;

    for (uint32_t i = 0; i < w->log_count; i++)
        proto_coord_recover(whole, &w->log[i]);
    proto_coord_stats_get(p->coord, &a);
    proto_coord_stats_get(whole, &b);
    proto_coord_owners_get(p->coord, owners[0]);
    proto_coord_owners_get(whole, owners[1]);
    for (uint32_t id = 1; id <= w->process_count; id++)
        if (proto_coord_has_member(p->coord, id) != proto_coord_has_member(whole, id))
            sim_violate(w, "by the shorter log worker %u is another one's member", id);
    if (memcmp(owners[0], owners[1], sizeof owners[0]) != 0)
        sim_violate(w, "by the shorter log key groups have other owners");
    if (a.generation != b.generation || a.orders != b.orders || a.paused != b.paused || a.members != b.members ||
        a.gatherer != b.gatherer || a.rescale.id != b.rescale.id || a.rescale.next_id != b.rescale.next_id ||
        a.rescale.moves != b.rescale.moves || a.rescale.moves_ordered != b.rescale.moves_ordered ||
        a.rescale.aborting != b.rescale.aborting || a.rescale.size != b.rescale.size)
        sim_violate(w, "by the shorter log generation %" PRIu64 ", orders %" PRIu64 " and rescale %" PRIu64
                    " are otherwise", a.generation, a.orders, a.rescale.id);
}

/* ---- the store ---- */

sim_part *sim_part_find(sim_world *w, uint64_t attempt, uint64_t member)
{
    uint32_t i = member > w->process_count ? 0 : w->processes[member - 1].part;

    while (i > 0 && w->parts[i - 1].attempt != attempt)
        i = w->parts[i - 1].before;
    return i == 0 ? NULL : &w->parts[i - 1];
}

void sim_part_begin(sim_world *w, sim_process *p, uint64_t generation, uint64_t attempt,
                    const proto_captured *captured, uint32_t count)
{
    sim_part *part;

    if (w->part_count == w->part_room) {
        w->part_room = w->part_room * 2 + 64;
        w->parts = realloc(w->parts, w->part_room * sizeof *w->parts);
        assert(w->parts != NULL);
    }
    part = &w->parts[w->part_count++];
    *part = (sim_part){ .attempt = attempt, .generation = generation, .member = p->id,
                        .before = p->part, .count = count, .apart = p->apart.is };
    p->part = w->part_count;
    part->captured = proto_zero(count, sizeof *part->captured);
    for (uint32_t i = 0; i < count; i++)
        part->captured[i] =
            (proto_captured){ captured[i].group, proto_batch_hold(captured[i].batch) };
}

/* Written and synced: from now on it is bytes of its own. */
void sim_part_end(sim_world *w, sim_process *p, uint64_t attempt)
{
    sim_part *part = sim_part_find(w, attempt, p->id);

    if (part == NULL || part->synced)
        return;
    for (uint32_t i = 0; i < part->count; i++) {
        proto_batch *from = part->captured[i].batch;
        proto_batch *to = proto_batch_new(from->size, from->rows);

        memcpy(to->bytes, from->bytes, from->size);
        part->captured[i].batch = to;
        proto_batch_drop(&from);
    }
    part->synced = true;
    if (part->apart)
        sim_stream_part(w, p, part);
}

static const sim_snapshot *snapshot_find(const sim_world *w, uint64_t attempt)
{
    for (uint32_t i = w->snapshot_count; i > 0; i--)
        if (w->snapshots[i - 1].attempt == attempt)
            return &w->snapshots[i - 1];
    return NULL;
}

static proto_batch *snapshot_group(sim_world *w, const sim_snapshot *s, uint32_t group)
{
    for (uint32_t m = 0; m < s->member_count; m++) {
        const sim_part *part = sim_part_find(w, s->attempt, s->members[m]);

        if (part != NULL && part->apart && !part->landed_whole) {
            sim_violate(w, "snapshot %" PRIu64 " was committed before the part of worker %" PRIu64 " was there",
                        s->attempt, s->members[m]);
            return NULL;
        }
        for (uint32_t i = 0; part != NULL && part->synced && i < part->count; i++)
            if (part->captured[i].group == group)
                return part->captured[i].batch;
    }
    return NULL;
}

proto_batch *sim_store_load(sim_world *w, uint64_t snapshot, uint32_t group)
{
    const sim_snapshot *s = snapshot_find(w, snapshot);
    proto_batch *from = s == NULL ? NULL : snapshot_group(w, s, group), *to;

    if (snapshot == 0)
        return sim_job_first(&w->job, group);
    if (from == NULL) {
        sim_violate(w, "snapshot %" PRIu64 " lacks key group %u", snapshot, group);
        return sim_job_first(&w->job, group);
    }
    to = proto_batch_new(from->size, from->rows);
    memcpy(to->bytes, from->bytes, from->size);
    return to;
}

/* Whatever is committed must be whole, durable, and what the step was seen to have. */
static void commit_check(sim_world *w, const sim_snapshot *s)
{
    for (uint32_t g = 0; g <= w->job.groups; g++) {
        const proto_batch *b = snapshot_group(w, s, g);

        if (b == NULL)
            sim_violate(w, "snapshot %" PRIu64 " was committed without key group %u", s->attempt, g);
        else if (g == w->job.groups && proto_get_u64(b->bytes) > w->file_synced)
            sim_violate(w, "snapshot %" PRIu64 " was committed before its sink was synced",
                        s->attempt);
        else if (g == w->job.groups && proto_get_u64(b->bytes) != s->step * 16 * w->job.groups)
            sim_violate(w, "snapshot %" PRIu64 " has its sink at another step", s->attempt);
        else if (g < w->job.groups && s->step > 0 &&
                 (!sim_job_intact(&w->job, b) ||
                  sim_check_line(w, s->generation)[s->step * w->job.groups + g] != sim_job_value(b)))
            sim_violate(w, "snapshot %" PRIu64 ": key group %u is not what entered step %" PRIu64,
                        s->attempt, g, s->step);
    }
}

void sim_commit_land(sim_world *w, const sim_snapshot *snapshot)
{
    commit_check(w, snapshot);
    if (w->snapshot_count == w->snapshot_room) {
        w->snapshot_room = w->snapshot_room * 2 + 16;
        w->snapshots = realloc(w->snapshots, w->snapshot_room * sizeof *w->snapshots);
        assert(w->snapshots != NULL);
    }
    w->snapshots[w->snapshot_count] = *snapshot;
    w->snapshots[w->snapshot_count].parent = w->head.attempt;
    if (w->snapshot_count > 0 && snapshot->attempt <= w->snapshots[w->snapshot_count - 1].attempt)
        sim_violate(w, "commit %" PRIu64 " after %" PRIu64, snapshot->attempt, w->head.attempt);
    w->snapshot_count++;
    w->head = (proto_head){ snapshot->attempt, snapshot->step };
}

bool sim_snapshot_find(const sim_world *w, uint64_t attempt, proto_head *head)
{
    const sim_snapshot *s = snapshot_find(w, w->head.attempt);

    while (s != NULL && attempt != 0 && s->attempt != attempt)
        s = snapshot_find(w, s->parent);
    if (s != NULL)
        *head = (proto_head){ s->attempt, s->step };
    return s != NULL;
}

void sim_commit_settle(sim_world *w, uint32_t process)
{
    for (uint32_t i = 0; i < w->heap_count; i++) {
        sim_event *e = &w->heap[i];

        if (e->kind == SIM_COMMIT && e->process == process && !w->processes[process].revoked &&
            sim_chance(&w->rng, 500000))
            sim_commit_land(w, e->data);
    }
}

/* ---- the sink's file ---- */

/* Without the inputs that were dropped other bytes follow. */
static void file_cut(sim_world *w)
{
    w->file_size = w->file_size < w->cut_size ? w->file_size : w->cut_size;
    w->file_synced = w->file_synced < w->cut_size ? w->file_synced : w->cut_size;
    w->cut_generation = 0;
}

uint64_t sim_file_open(sim_world *w, const sim_process *p, uint64_t generation)
{
    if (w->file_holder != 0 && w->file_holder != p->id &&
        !proto_mutant_on(w->options.mutants, PROTO_MUTANT_nolock))
        return w->file_holder;
    w->file_holder = p->id;
    if (w->cut_generation != 0 && generation >= w->cut_generation)
        file_cut(w);
    if (generation > w->file_generation)
        w->file_generation = generation;
    return 0;
}

/* What is there already is compared and kept, so a reader never sees the file shrink or change. */
void sim_file_write(sim_world *w, const sim_process *p, uint64_t generation, uint64_t offset,
                    const proto_batch *bytes)
{
    uint64_t room = w->job.plan.step_count * 16 * w->job.groups;
    uint64_t end = offset + bytes->size;
    uint64_t have = w->file_size > offset ? w->file_size - offset : 0;

    if (generation < w->file_generation || w->file_holder != p->id)
        sim_violate(w, "generation %" PRIu64 " wrote to the sink of generation %" PRIu64, generation,
                    w->file_generation);
    else if (offset > w->file_size || end > room)
        sim_violate(w, "the sink was written at %" PRIu64 " of %" PRIu64, offset, w->file_size);
    else if (have > 0 && !w->power_lost &&
             memcmp(w->file + offset, bytes->bytes, have < bytes->size ? have : bytes->size) != 0)
        sim_violate(w, "the sink's bytes changed at %" PRIu64, offset);
    if (w->result->violated)
        return;
    memcpy(w->file + offset, bytes->bytes, bytes->size);
    if (end > w->file_size)
        w->file_size = end;
}

/* Bytes that were not synced are lost, or something else is there. */
void sim_file_power_loss(sim_world *w)
{
    uint64_t keep = sim_range(&w->rng, w->file_synced, w->file_size);

    w->power_lost = true;
    w->file_size = keep;
    for (uint64_t at = w->file_synced; at < keep; at++)
        if (sim_chance(&w->rng, 100000))
            w->file[at] = 0;
}

void sim_disk_fini(sim_world *w)
{
    for (uint32_t i = 0; i < w->log_count; i++)
        record_free(&w->log[i]);
    for (uint32_t i = 0; i < w->part_count; i++) {
        for (uint32_t k = 0; k < w->parts[i].count; k++)
            proto_batch_drop(&w->parts[i].captured[k].batch);
        free(w->parts[i].captured);
        free(w->parts[i].file);
        free(w->parts[i].landed);
    }
    free(w->log);
    free(w->shorter);
    free(w->parts);
    free(w->snapshots);
    free(w->file);
}
