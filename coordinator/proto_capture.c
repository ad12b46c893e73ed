/* Snapshots, the worker's half: at a barrier a reference to every state is kept; in the background
 * they are written and synced, and `prepared` is said again until it is answered (rule 11). */
#include "coordinator/proto_worker_private.h"

#include <string.h>

void capture_drop(proto_worker *w)
{
    capture *c = &w->capture;

    if (c->attempt != 0)
        w->calls->capture_drop(w);
    for (uint32_t i = 0; i < c->count; i++)
        proto_batch_drop(&c->captured[i].batch);
    *c = (capture){ .captured = c->captured };
}

void capture_begin(proto_worker *w, const proto_order_record *order)
{
    capture *c = &w->capture;

    capture_drop(w);
    c->attempt = order->index;
    c->step = order->step;
    c->final = order->second != 0;
    w->calls->capture(w);
}

void capture_tell(proto_worker *w)
{
    capture *c = &w->capture;
    proto_msg msg = { .prepared = { .attempt = c->attempt, .ok = !c->failed, .size = c->file_size,
                                    .hash_high = c->hash_high, .hash_low = c->hash_low } };

    if (c->attempt == 0 || c->over || !((c->written && c->synced) || c->failed))
        return;
    if (c->told && MUTANT(w, once))
        return;
    c->told = true;
    worker_send(w, 0, &msg, PROTO_TYPE_prepared);
}

/* A disk may take long to say that something is durable, and heartbeats must not wait for it. */
static void capture_release(proto_worker *w)
{
    uint64_t attempt = w->capture.attempt;

    if (w->calls->writing != NULL && w->calls->writing(w))
        return;
    capture_drop(w);
    w->released = attempt;
    w->status_due = true;
}

void capture_advance(proto_worker *w)
{
    capture *c = &w->capture;

    if (c->over) {
        capture_release(w);
        return;
    }
    if (c->attempt == 0 || c->writing || w->bound <= c->step || !w->calls->captured(w))
        return;
    c->writing = c->syncing = true;
    c->written = MUTANT(w, partsync);
    c->synced = MUTANT(w, sinksync);
    w->env.part(w->env.user, w->generation, c->attempt, c->captured, c->count);
    if (!c->synced)
        w->env.sink_sync(w->env.user, w->generation, c->attempt);
    capture_tell(w);
}

void proto_worker_part_done(proto_worker *w, uint64_t now_us, uint64_t attempt, bool ok)
{
    capture *c = &w->capture;

    w->now_us = now_us;
    if (c->attempt == attempt && attempt != 0) {
        c->written = true;
        c->failed |= !ok && !MUTANT(w, partsync);
        capture_tell(w);
    }
    worker_flush(w);
}

void proto_worker_sinks_synced(proto_worker *w, uint64_t now_us, uint64_t attempt, bool ok)
{
    capture *c = &w->capture;

    w->now_us = now_us;
    if (c->attempt == attempt && attempt != 0) {
        c->synced = true;
        c->failed |= !ok;
        capture_tell(w);
    }
    worker_flush(w);
}

void capture_decided(proto_worker *w, uint64_t attempt)
{
    if (w->capture.attempt != attempt || attempt == 0)
        return;
    w->capture.over = true;
    capture_release(w);
}
