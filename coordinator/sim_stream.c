/* Workers that do not see the store: their parts are files of their own, which the coordinator fetches, and what
 * they load is read for them. A file holds, for each key group: u32 group, u32 rows, u32 size, the bytes; what is
 * fetched of a key group is u32 rows and the bytes. */
#include "coordinator/sim_world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_HEAD 12u

/* In a third of the schedules: of the workers that are not on the sinks' host, some or all. */
void sim_stream_draw(sim_world *w)
{
    sim_rng r = { .state = w->options.seed ^ 0x57e4a3 };
    bool some = sim_chance(&r, 333333);
    uint32_t pieces;

    w->stream.piece_size = (uint32_t)sim_range(&r, 30, 400);
    pieces = (uint32_t)sim_range(&r, 1, 4);
    w->stream.window = pieces * w->stream.piece_size;
    w->stream.again_us = 8000;
    for (uint32_t i = 0; i < SIM_WORKERS_DRAWN; i++) {
        w->worker_apart[i] = some && w->worker_host[i] != 0 && sim_chance(&r, 700000);
        w->apart |= w->worker_apart[i];
    }
}

static uint64_t disk_delay(sim_world *w)
{
    return sim_range(&w->rng, w->config.disk_us / 4 + 1, w->config.disk_us);
}

/* ---- a worker's part ---- */

void sim_stream_part(sim_world *w, sim_process *p, sim_part *part)
{
    uint8_t *at;

    (void)w;
    for (uint32_t i = 0; i < part->count; i++)
        part->file_size += STREAM_HEAD + part->captured[i].batch->size;
    at = part->file = proto_zero(part->file_size, 1);
    for (uint32_t i = 0; i < part->count; i++) {
        const proto_batch *b = part->captured[i].batch;

        proto_put_u32(at, part->captured[i].group);
        proto_put_u32(at + 4, b->rows);
        proto_put_u32(at + 8, b->size);
        memcpy(at + STREAM_HEAD, b->bytes, b->size);
        at += STREAM_HEAD + b->size;
    }
    part->hash = sim_bytes_hash(part->file, (uint32_t)part->file_size);
    part->landed = proto_zero(part->file_size, 1);
    if (part->file_size > 0)
        proto_worker_part_file(p->worker, part->attempt, part->file_size, part->hash, 0);
    else
        part->landed_whole = true; /* it owns nothing: there is no file */
}

proto_batch *sim_stream_read(sim_process *p, uint64_t attempt, uint64_t offset, uint32_t size)
{
    const sim_part *part = sim_part_find(p->world, attempt, p->id);
    proto_batch *b;

    if (part == NULL || part->file == NULL || offset + size > part->file_size) {
        sim_violate(p->world, "worker %" PRIu64 " reads %u bytes at %" PRIu64 " of its part %" PRIu64, p->id,
                    size, offset, attempt);
        return NULL;
    }
    if (sim_chance(&p->world->rng, p->world->config.disk_fails / 4))
        return NULL;
    b = proto_batch_new(size, 0);
    memcpy(b->bytes, part->file + offset, size);
    return b;
}

/* ---- the coordinator takes it ---- */

/* Written at once, as far as the system's memory goes; it is durable, and compared, when the event comes. */
void sim_stream_collect(sim_process *p, const proto_collect *piece)
{
    sim_world *w = p->world;
    sim_part *part = sim_part_find(w, piece->attempt, piece->worker);
    sim_event e = { .kind = SIM_COLLECT, .process = (uint32_t)(p->id - 1), .a = piece->attempt,
                    .b = piece->worker, .size = piece->bytes.size };

    if (part == NULL || part->generation != piece->generation || part->file_size != piece->total) {
        sim_violate(w, "a part %" PRIu64 " is collected that worker %" PRIu64 " has not written",
                    piece->attempt, piece->worker);
        return;
    }
    if (!p->revoked && piece->offset == 0) {
        part->landed_size = 0;
        part->landed_whole = false;
    }
    if (!p->revoked && piece->offset <= part->landed_size) {
        memcpy(part->landed + piece->offset, piece->bytes.data, piece->bytes.size);
        part->landed_size = piece->offset + piece->bytes.size;
    }
    e.from = piece->offset + piece->bytes.size == piece->total; /* the last: it is synced */
    sim_push(w, &e, e.from != 0 ? disk_delay(w) : sim_range(&w->rng, 1, 20));
}

static void collect_end(sim_world *w, sim_process *p, const sim_event *e)
{
    sim_part *part = sim_part_find(w, e->a, e->b);
    bool ok = !p->revoked && !sim_chance(&w->rng, w->config.disk_fails);

    if (ok && e->from != 0) {
        ok = part->landed_size == part->file_size &&
             sim_bytes_hash(part->landed, (uint32_t)part->landed_size) == part->hash;
        part->landed_whole = ok;
        if (!ok)
            sim_violate(w, "the part of worker %" PRIu64 " came as another one", e->b);
    }
    proto_coord_collected(p->coord, sim_local(p), e->b, e->a, e->size, ok);
}

/* ---- what a worker loads ---- */

void sim_stream_serve(sim_process *p, uint64_t worker, const proto_fetch *what)
{
    sim_event e = { .kind = SIM_SERVE, .process = (uint32_t)(p->id - 1), .a = worker, .size = sizeof *what };

    assert(what->groups.size == 0);
    e.data = proto_zero(1, sizeof *what);
    memcpy(e.data, what, sizeof *what);
    sim_push(p->world, &e, sim_range(&p->world->rng, 1, 100));
}

static void serve_end(sim_world *w, sim_process *p, sim_event *e)
{
    proto_fetch f;
    proto_batch *b;
    uint8_t bytes[8192];
    proto_serve s = { .worker = e->a };

    memcpy(&f, e->data, sizeof f);
    free(e->data);
    e->data = NULL;
    b = sim_store_load(w, f.snapshot, f.table);
    assert(4 + b->size <= sizeof bytes);
    proto_put_u32(bytes, b->rows);
    memcpy(bytes + 4, b->bytes, b->size);
    s.number = f.number;
    s.total = 4 + b->size;
    s.offset = f.offset;
    s.status = sim_chance(&w->rng, w->config.disk_fails) || f.offset >= s.total;
    if (s.status == 0)
        s.bytes = (proto_bytes){ bytes + f.offset, (uint32_t)(f.size < s.total - f.offset ? f.size
                                                                                          : s.total - f.offset) };
    proto_batch_drop(&b);
    proto_coord_served(p->coord, sim_local(p), &s);
}

static void fetch_later(sim_process *p, uint64_t delay_us)
{
    sim_push(p->world, &(sim_event){ .kind = SIM_FETCH, .process = (uint32_t)(p->id - 1) }, delay_us);
}

void sim_stream_load(sim_process *p, uint64_t generation, uint64_t snapshot, uint32_t group)
{
    sim_apart *a = &p->apart;

    if (a->generation != generation) {
        free(a->bytes);
        *a = (sim_apart){ .is = true, .generation = generation, .snapshot = snapshot, .group = PROTO_NONE,
                          .serial = a->serial };
    }
    a->wanted[group] = true;
    fetch_later(p, 1);
}

static void fetch_next(sim_process *p)
{
    sim_apart *a = &p->apart;
    uint32_t group = 0;

    if (a->group != PROTO_NONE)
        return;
    while (group <= SIM_GROUPS_MAX && !a->wanted[group])
        group++;
    if (group > SIM_GROUPS_MAX)
        return;
    a->group = group;
    a->serial++;
    a->have = a->total = a->used = 0;
    proto_worker_fetch(p->worker, sim_local(p), &(proto_fetch){ .snapshot = a->snapshot, .table = group });
}

static void fetch_whole(sim_world *w, sim_process *p)
{
    sim_apart *a = &p->apart;
    proto_batch *expected = sim_store_load(w, a->snapshot, a->group);
    proto_batch *b = proto_batch_new((uint32_t)a->total - 4, proto_get_u32(a->bytes));
    uint32_t group = a->group;

    memcpy(b->bytes, a->bytes + 4, b->size);
    if (b->size != expected->size || b->rows != expected->rows ||
        memcmp(b->bytes, expected->bytes, b->size) != 0)
        sim_violate(w, "worker %" PRIu64 " fetched another key group %u", p->id, group);
    proto_batch_drop(&expected);
    a->wanted[group] = false;
    a->group = PROTO_NONE;
    fetch_later(p, 1);
    proto_worker_loaded(p->worker, sim_local(p), a->generation, group, b);
}

void sim_stream_fetched(sim_process *p, const proto_piece *piece)
{
    sim_apart *a = &p->apart;

    if (a->group == PROTO_NONE)
        return;
    if (piece->status != 0) {
        a->group = PROTO_NONE; /* tried again */
        fetch_later(p, 1000);
        return;
    }
    if (a->have == 0) {
        free(a->bytes);
        a->total = piece->total;
        a->bytes = proto_zero(a->total, 1);
    }
    if (piece->offset != a->have || piece->total != a->total)
        sim_violate(p->world, "worker %" PRIu64 " was handed a piece out of its turn", p->id);
    else
        memcpy(a->bytes + a->have, piece->payload.data, piece->payload.size);
    a->have += piece->payload.size;
    sim_push(p->world, &(sim_event){ .kind = SIM_FETCH, .process = (uint32_t)(p->id - 1), .a = a->serial,
                                     .b = piece->payload.size },
             sim_range(&p->world->rng, 1, 50));
}

/* b: bytes that were used; 0: whatever is to be done next. */
static void fetch_event(sim_world *w, sim_process *p, const sim_event *e)
{
    sim_apart *a = &p->apart;

    if (e->b == 0) {
        fetch_next(p);
        return;
    }
    if (e->a != a->serial || a->group == PROTO_NONE)
        return;
    a->used += e->b;
    proto_worker_fetch_used(p->worker, sim_local(p), e->b);
    if (a->used == a->total)
        fetch_whole(w, p);
}

void sim_stream_event(sim_world *w, sim_process *p, sim_event *e)
{
    if (e->kind == SIM_COLLECT)
        collect_end(w, p, e);
    else if (e->kind == SIM_SERVE)
        serve_end(w, p, e);
    else
        fetch_event(w, p, e);
}
