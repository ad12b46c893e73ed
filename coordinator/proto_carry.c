/* Of a worker that does not see the coordinator's folder: its parts are fetched from it, and it fetches what it
 * loads (rule 15). `prepared` offers the file of a part; that is all there is to say, and it is said again
 * as ever. A want is answered at once, and nothing of it is remembered. */
#include "coordinator/proto_worker_private.h"

#include <string.h>

/* ---- parts ---- */

void proto_worker_part_file(proto_worker *w, uint64_t attempt, uint64_t size, uint64_t hash_high,
                            uint64_t hash_low)
{
    capture *c = &w->capture;

    if (c->attempt != attempt || attempt == 0)
        return;
    c->file_size = size;
    c->hash_high = hash_high;
    c->hash_low = hash_low;
}

/* False: it cannot be read. */
static bool part_send(proto_worker *w, uint64_t offset, uint32_t size)
{
    capture *c = &w->capture;
    proto_batch *bytes = w->env.read(w->env.user, c->attempt, offset, size);
    proto_msg msg = { .piece = { .number = c->attempt, .total = c->file_size, .offset = offset } };

    if (bytes == NULL)
        return false;
    msg.piece.payload = (proto_bytes){ bytes->bytes, size };
    worker_send(w, 0, &msg, PROTO_TYPE_piece);
    proto_batch_drop(&bytes);
    return true;
}

/* What is said of a part whose file cannot be read any more is that it is not prepared. */
void worker_take_want(proto_worker *w, const proto_msg *msg)
{
    const proto_want *want = &msg->want;
    const proto_stream_limits *l = &w->config.stream;
    capture *c = &w->capture;
    uint64_t at = want->offset, end;

    if (want->attempt != c->attempt || !c->told || c->failed) {
        worker_reject(w, PROTO_REJECT_stale);
        return;
    }
    if (!proto_stream_may(l, c->file_size, at, want->size)) {
        worker_reject(w, PROTO_REJECT_range);
        return;
    }
    end = want->size < c->file_size - at ? at + want->size : c->file_size;
    for (uint32_t size; at < end && !c->failed; at += size) {
        size = proto_stream_cut(l, c->file_size, at);
        c->failed = !part_send(w, at, size);
    }
    if (c->failed)
        capture_tell(w);
}

/* ---- what is loaded ---- */

void carry_drop(proto_worker *w)
{
    w->carry.open = false;
}

void carry_advance(proto_worker *w)
{
    carry *c = &w->carry;
    proto_msg msg = { .fetch = { .number = c->number, .snapshot = c->snapshot, .table = c->table,
                                 .groups = { c->groups, c->groups_size } } };

    if (c->open && w->phase == WORKER_INSTALLING && !proto_stream_whole(&c->stream) &&
        proto_stream_ask(&c->stream, &w->config.stream, w->now_us, &msg.fetch.offset, &msg.fetch.size))
        worker_send(w, 0, &msg, PROTO_TYPE_fetch);
}

void proto_worker_fetch(proto_worker *w, uint64_t now_us, const proto_fetch *what)
{
    carry *c = &w->carry;

    w->now_us = now_us;
    if (w->phase != WORKER_INSTALLING || what->groups.size > sizeof c->groups)
        return;
    c->open = true;
    c->number++;
    c->snapshot = what->snapshot;
    c->table = what->table;
    c->groups_size = what->groups.size;
    if (what->groups.size > 0)
        memcpy(c->groups, what->groups.data, what->groups.size);
    proto_stream_begin(&c->stream, PROTO_STREAM_UNKNOWN);
    carry_advance(w);
}

void proto_worker_fetch_used(proto_worker *w, uint64_t now_us, uint64_t size)
{
    w->now_us = now_us;
    if (!w->carry.open)
        return;
    proto_stream_take(&w->carry.stream, size);
    carry_advance(w);
}

static proto_reject carry_put(proto_worker *w, const proto_piece *p)
{
    carry *c = &w->carry;
    proto_piece_end end;

    if (!c->open || p->number != c->number)
        return PROTO_REJECT_stale;
    if (p->status != 0) {
        c->open = false;
        w->env.fetched(w->env.user, p);
        return PROTO_REJECT_ok;
    }
    end = proto_stream_put(&c->stream, &w->config.stream, w->now_us, p->total, p->offset, p->payload.size);
    if (end != PROTO_PIECE_NEXT)
        return end == PROTO_PIECE_REPEAT ? PROTO_REJECT_repeat
               : end == PROTO_PIECE_GAP  ? PROTO_REJECT_gap
                                         : PROTO_REJECT_range;
    w->env.fetched(w->env.user, p);
    return PROTO_REJECT_ok;
}

void worker_take_piece(proto_worker *w, const proto_msg *msg)
{
    proto_reject reject = carry_put(w, &msg->piece);

    if (reject != PROTO_REJECT_ok)
        worker_reject(w, reject);
}
