/* What leaves a worker: parcels of the graph's threads, and end-of-step marks.
 *
 * A key group that sends nothing to a member is remembered, and a mark names several of them. On an edge from all to
 * all it names them all when all own key groups of the edge and tick have sent (rule 7): the note of that end lies
 * behind their parcels in the outbox, and marks stay behind their rows in the channel. On other edges it names those
 * that were found together: in a state with many empty tiles they are most of what crosses. */
#include "coordinator/coord_flow_private.h"

#include "dataflow/df_failpoint.h"

#include <stdlib.h>

static void notes_put(flow_notes *notes, const flow_note *note)
{
    if (notes->count == notes->room) {
        size_t room = notes->room * 2 + 64;
        flow_note *grown = realloc(notes->list, room * sizeof *grown);

        if (grown == NULL)
            abort(); /* a worker cannot go on without what its tasks have made */
        notes->list = grown;
        notes->room = room;
    }
    notes->list[notes->count++] = *note;
}

void flow_notes_fini(flow_notes *notes)
{
    free(notes->list);
    *notes = (flow_notes){ 0 };
}

static void leave(coord_flow *f, const flow_note *note)
{
    pthread_mutex_lock(&f->lock);
    notes_put(&f->notes, note);
    pthread_mutex_unlock(&f->lock);
}

void flow_note_parcel(void *user, const df_parcel *parcel)
{
    leave(user, &(flow_note){ .parcel = *parcel });
}

void flow_note_sent(void *user, uint32_t edge, uint64_t tick)
{
    leave(user, &(flow_note){ .parcel = { .edge = edge, .tick = tick }, .sent = true });
}

void flow_note_wake(void *user)
{
    coord_flow *f = user;

    f->options.wake(f->options.user);
}

static void release_parcel(void *graph, uint8_t *bytes)
{
    df_parcel_release(graph, bytes);
}

static void release_spread(void *graph, uint8_t *bytes)
{
    df_spread_release(graph, bytes);
}

/* The channel sends the graph's own bytes, and again where that is needed, until they are acknowledged. */
static void send_parcel(coord_flow *f, proto_worker *w, const df_parcel *p)
{
    proto_batch *batch = proto_batch_lend(p->bytes, p->size, p->rows, p->spread ? release_spread : release_parcel,
                                          f->graph);

    if (p->spread)
        batch->copy = df_spread_copy;
    if (p->edge == DF_PARCEL_MOVE) {
        channel_send_state(w, p->member, p->key_group, p->tick, batch);
        return;
    }
    channel_send_rows(w, p->member, p->edge, p->tick, p->key_group, 0, batch, false);
    proto_batch_drop(&batch);
}

/* One mark, of all that sent the same member nothing on the same edge at the same tick. */
static void send_mark(coord_flow *f, proto_worker *w, df_parcel like)
{
    uint32_t *groups = proto_zero(f->empty.count, sizeof *groups), count = 0;
    size_t kept = 0;

    for (size_t i = 0; i < f->empty.count; i++) {
        const df_parcel *p = &f->empty.list[i].parcel;

        if (p->edge == like.edge && p->tick == like.tick && p->member == like.member)
            groups[count++] = p->key_group;
        else
            f->empty.list[kept++] = f->empty.list[i];
    }
    f->empty.count = kept;
    channel_send_mark(w, like.member, like.edge, like.tick, groups, count);
    free(groups);
}

static void send_marks(coord_flow *f, proto_worker *w, uint32_t edge, uint64_t tick)
{
    df_failpoint_pass(DF_FAILPOINT_worker_marks);
    for (size_t i = 0; i < f->empty.count;)
        if (f->empty.list[i].parcel.edge == edge && f->empty.list[i].parcel.tick == tick)
            send_mark(f, w, f->empty.list[i].parcel);
        else
            i++;
}

static bool is_from_all(const coord_flow *f, uint32_t edge)
{
    return f->options.plan->edges[edge].fan == DF_FAN_ALL;
}

/* Those of other edges do not wait for anybody. */
static void send_near_marks(coord_flow *f, proto_worker *w)
{
    for (size_t i = 0; i < f->empty.count;)
        if (is_from_all(f, f->empty.list[i].parcel.edge))
            i++;
        else
            send_mark(f, w, f->empty.list[i].parcel);
}

bool flow_send_notes(coord_flow *f, proto_worker *w)
{
    flow_notes taken;
    bool near = false;

    pthread_mutex_lock(&f->lock);
    taken = f->notes;
    f->notes = f->taken;
    pthread_mutex_unlock(&f->lock);
    for (size_t i = 0; i < taken.count; i++) {
        const flow_note *note = &taken.list[i];

        if (note->sent) {
            send_marks(f, w, note->parcel.edge, note->parcel.tick);
        } else if (note->parcel.size == 0) {
            notes_put(&f->empty, note);
            near |= !is_from_all(f, note->parcel.edge);
        } else {
            send_parcel(f, w, &note->parcel);
        }
    }
    if (near)
        send_near_marks(f, w);
    f->taken = taken;
    f->taken.count = 0;
    return taken.count > 0;
}
