/* The coordinator's half of the streams with workers that do not see its folder (rule 15).
 *
 * A part that `prepared` offers is fetched from its worker; it counts as prepared when all of it is durable and
 * is what was offered. Until then the attempt is open as with a worker that still writes, and ends like it: by an
 * abort, a deadline, a generation. Nothing of it outlives the attempt.
 *
 * What a worker loads is read for it, only of the snapshot that its generation begins from. At most
 * PROTO_STREAMS_MAX are fetched from, and served, at a time; who is one too many says it again. */
#include "coordinator/proto_coord_private.h"

#define SERVE_READS_MAX 2u /* ranges of one worker that are being read: half a window each */

/* ---- parts ---- */

/* Whether what is collected of a worker is of the attempt that is open. */
static bool collect_open(const proto_coord *c, const coord_worker *w)
{
    return w->collect.attempt != 0 && w->collect.attempt == c->attempt.index && c->phase == COORD_RUNNING &&
           !c->attempt.committing && coord_is_member(c, w->id);
}

void coord_collect_offered(proto_coord *c, coord_worker *w, const proto_prepared *p)
{
    uint32_t open = 0;

    if (collect_open(c, w))
        return; /* it is said again */
    if (c->config.stream.piece_size == 0 || p->size == PROTO_STREAM_UNKNOWN) {
        coord_reject(c, PROTO_REJECT_range);
        return;
    }
    for (uint32_t i = 0; i < c->worker_count; i++)
        open += collect_open(c, &c->workers[i]) && !c->workers[i].prepared;
    if (open >= PROTO_STREAMS_MAX)
        return;
    w->collect = (coord_collect){ .attempt = p->attempt, .hash_high = p->hash_high, .hash_low = p->hash_low };
    proto_stream_begin(&w->collect.stream, p->size);
}

void coord_collect_advance(proto_coord *c)
{
    proto_stream_limits limits = c->config.stream;

    if (MUTANT(c, noagain))
        limits.again_us = UINT64_MAX >> 8;
    if (c->phase != COORD_RUNNING || c->attempt.index == 0)
        return;
    for (uint32_t i = 0; i < c->worker_count; i++) {
        coord_worker *w = &c->workers[i];
        proto_msg msg = { .want = { .attempt = w->collect.attempt } };

        if (collect_open(c, w) && !proto_stream_whole(&w->collect.stream) &&
            proto_stream_ask(&w->collect.stream, &limits, c->now_us, &msg.want.offset, &msg.want.size))
            coord_send(c, w->id, &msg, PROTO_TYPE_want);
    }
}

static proto_reject collect_put(proto_coord *c, coord_worker *w, const proto_piece *p)
{
    proto_stream *s = &w->collect.stream;
    proto_piece_end end;

    if (!collect_open(c, w) || p->number != w->collect.attempt)
        return PROTO_REJECT_stale;
    if (p->status != 0 || p->total != s->size)
        return PROTO_REJECT_range;
    end = proto_stream_put(s, &c->config.stream, c->now_us, p->total, p->offset, p->payload.size);
    return end == PROTO_PIECE_NEXT     ? PROTO_REJECT_ok
           : end == PROTO_PIECE_REPEAT ? PROTO_REJECT_repeat
           : end == PROTO_PIECE_GAP    ? PROTO_REJECT_gap
                                       : PROTO_REJECT_range;
}

void coord_take_piece(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    const proto_piece *p = &msg->piece;
    const coord_collect *k = &w->collect;
    proto_reject reject = collect_put(c, w, p);
    proto_collect piece = { .worker = w->id, .generation = c->generation, .attempt = k->attempt,
                            .place = coord_place_of(c, w->id), .offset = p->offset, .total = p->total,
                            .hash_high = k->hash_high, .hash_low = k->hash_low, .bytes = p->payload };

    if (reject != PROTO_REJECT_ok) {
        coord_reject(c, reject);
        return;
    }
    c->env.collect(c->env.user, &piece);
    w->prepared |= MUTANT(c, halfpart) && proto_stream_whole(&k->stream);
}

void proto_coord_collected(proto_coord *c, uint64_t now_us, uint64_t worker, uint64_t attempt, uint32_t size,
                           bool ok)
{
    coord_worker *w = coord_worker_find(c, worker);

    c->now_us = now_us;
    if (w == NULL || w->collect.attempt != attempt || !collect_open(c, w))
        return;
    if (ok) {
        proto_stream_take(&w->collect.stream, size);
        w->prepared |= w->collect.stream.taken == w->collect.stream.size;
        c->attempt.deadline_us = c->now_us + c->config.attempt_us; /* as long as the network needs */
    } else {
        coord_attempt_abort(c);
    }
    proto_coord_tick(c, now_us);
}

/* ---- what workers load ---- */

static bool serve_has_room(const proto_coord *c, const coord_worker *w)
{
    uint32_t served = 0;

    for (uint32_t i = 0; i < c->worker_count; i++) {
        const coord_worker *other = &c->workers[i];

        served += other != w && (other->reads > 0 || (other->served_us != 0 && !other->gone && !other->installed &&
                                                      c->now_us - other->served_us < c->config.silence_us));
    }
    return served < PROTO_STREAMS_MAX && w->reads < SERVE_READS_MAX;
}

void coord_take_fetch(proto_coord *c, coord_worker *w, const proto_msg *msg)
{
    const proto_fetch *f = &msg->fetch;
    const proto_stream_limits *l = &c->config.stream;

    if (!coord_is_member(c, w->id) || c->phase != COORD_INSTALLING || w->installed ||
        f->snapshot != c->base_snapshot || f->snapshot == 0)
        coord_reject(c, PROTO_REJECT_stale);
    else if (!proto_stream_may(l, PROTO_STREAM_UNKNOWN, f->offset, f->size))
        coord_reject(c, PROTO_REJECT_range);
    else if (!serve_has_room(c, w))
        coord_reject(c, PROTO_REJECT_full);
    else {
        w->reads++;
        w->served_us = c->now_us;
        c->env.serve(c->env.user, w->id, f);
    }
}

void proto_coord_served(proto_coord *c, uint64_t now_us, const proto_serve *s)
{
    coord_worker *w = coord_worker_find(c, s->worker);
    uint32_t sent = 0;

    c->now_us = now_us;
    if (w == NULL || w->reads == 0)
        return;
    w->reads--;
    do {
        proto_msg msg = { .piece = { s->number, s->status, s->total, s->offset + sent, s->bytes } };

        if (sent > 0)
            msg.piece.payload.data += sent;
        if (s->status == 0)
            msg.piece.payload.size = proto_stream_cut(&c->config.stream, s->total, msg.piece.offset);
        if (msg.piece.payload.size > s->bytes.size - sent)
            break;
        coord_send(c, w->id, &msg, PROTO_TYPE_piece);
        sent += msg.piece.payload.size;
    } while (sent < s->bytes.size);
}
