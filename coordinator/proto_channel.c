/* The channel between two workers: sequenced, acknowledged, credited, of one generation.
 *
 * Why it cannot deadlock (rule 8): receivers take whatever arrives. A frame that is an input of the
 * receiver's lowest unfinished (step, stage) needs no credit, and queues are ordered by (step,
 * stage), so such a frame is at a queue's head or behind others of its kind. Hence the inputs of
 * the globally lowest unfinished task always get through, and their task gives credit back.
 * Memory per channel: the credit, one step's input, and one reserve for states that move.
 *
 * What is lost is found by a gap that the receiver tells, or by silence. Then the first frame that is not
 * acknowledged is sent again and nothing else: on a link that is slow, not lossy, the rest is under way, and to send
 * it again would keep it slow. As acknowledgements come, more is: twice as much each time, one where a gap is told.
 * Silence is borne twice as long each time, up to a bound. A connection that was made anew has lost all.
 *
 * A worker has a channel to each of a thousand members and speaks to few of them: only channels at which something
 * has happened are looked at, and only those that are used are kept up with each heartbeat. */
#include "coordinator/proto_worker_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHANNEL_WAITS_MAX 16u /* times the first wait, at most */
#define CHANNEL_AGAIN_MAX 64u /* frames that are sent again at a time */

void channel_init(proto_worker *w)
{
    w->channels = proto_zero(w->member_count, sizeof *w->channels);
    w->stirred = proto_zero(w->member_count, sizeof *w->stirred);
    w->channel_count = w->member_count;
    w->stirred_count = 0;
    for (uint32_t m = 0; m < w->member_count; m++)
        w->channels[m].next = 1;
}

/* Something may be to be sent: rows, or an acknowledgement. */
static void channel_stir(proto_worker *w, uint32_t member)
{
    channel *c = w->channels + member;

    if (c->stirred)
        return;
    c->stirred = true;
    w->stirred[w->stirred_count++] = member;
}

static void queue_clear(channel_queue *queue)
{
    for (channel_frame *f; (f = queue->first) != NULL;) {
        queue->first = f->next;
        proto_batch_drop(&f->batch);
        free(f);
    }
    queue->last = NULL;
}

static void channel_clear(channel *c)
{
    queue_clear(&c->waiting);
    queue_clear(&c->moving);
    queue_clear(&c->unacked);
    for (parked_frame *f; (f = c->ahead) != NULL;) {
        c->ahead = f->next;
        free(f);
    }
}

void channel_fini(proto_worker *w)
{
    for (uint32_t m = 0; w->channels != NULL && m < w->member_count; m++)
        channel_clear(&w->channels[m]);
    free(w->channels);
    free(w->stirred);
    w->channels = NULL;
    w->stirred = NULL;
}

/* w->member_count counts the place already. */
void channel_place(proto_worker *w, uint32_t member)
{
    channel *c;

    if (w->channel_count < w->member_count) {
        w->channels = realloc(w->channels, w->member_count * sizeof *w->channels);
        w->stirred = realloc(w->stirred, w->member_count * sizeof *w->stirred);
        assert(w->channels != NULL && w->stirred != NULL);
        w->channel_count = w->member_count;
        w->channels[member] = (channel){ 0 };
    }
    c = w->channels + member;
    channel_clear(c);
    if (!MUTANT(w, oldchannel) || c->next == 0)
        *c = (channel){ .next = 1, .stirred = c->stirred };
}

/* ---- sending ---- */

static bool frame_before(const channel_frame *a, const channel_frame *b)
{
    return a->step != b->step ? a->step < b->step : a->stage < b->stage;
}

/* Behind the frames of the same (step, stage): so marks stay behind their rows. */
static void queue_insert(channel_queue *queue, channel_frame *frame, bool first_of_kind)
{
    channel_frame **at = &queue->first;

    if (!first_of_kind && queue->last != NULL && !frame_before(frame, queue->last))
        at = &queue->last->next;
    else
        while (*at != NULL && (first_of_kind ? frame_before(*at, frame) : !frame_before(frame, *at)))
            at = &(*at)->next;
    frame->next = *at;
    *at = frame;
    if (frame->next == NULL)
        queue->last = frame;
}

static channel_frame *queue_take(channel_queue *queue)
{
    channel_frame *frame = queue->first;

    queue->first = frame->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return frame;
}

static channel_frame *frame_new(proto_batch *batch, uint16_t type, uint64_t step, uint32_t stage)
{
    channel_frame *frame = proto_zero(1, sizeof *frame);

    frame->msg.header.type = type;
    frame->batch = batch == NULL ? NULL : proto_batch_hold(batch);
    frame->step = step;
    frame->stage = stage;
    return frame;
}

static void channel_put(proto_worker *w, uint32_t member, channel_queue *queue, channel_frame *frame)
{
    channel *c = w->channels + member;

    c->used = true;
    channel_stir(w, member);
    frame->put_us = w->now_us;
    queue_insert(queue, frame, MUTANT(w, markfirst) && frame->msg.header.type == PROTO_TYPE_mark);
    if (++c->waiting_count > w->stats.queued_max)
        w->stats.queued_max = c->waiting_count;
}

void channel_send_rows(proto_worker *w, uint32_t member, uint32_t edge, uint64_t step, uint32_t src,
                       uint32_t dst, proto_batch *batch, bool last)
{
    uint32_t total = batch == NULL ? 0 : batch->size, offset = 0;

    do {
        channel_frame *f = frame_new(batch, PROTO_TYPE_data, step, w->plan->edges[edge].to);
        uint32_t size = total - offset;

        if (size > w->config.frame_size)
            size = w->config.frame_size;
        f->cost = size;
        f->msg.data = (proto_data){ .edge = edge, .step = step, .src = src, .dst = dst,
                                    .rows = batch == NULL ? 0 : batch->rows, .offset = offset,
                                    .total = total, .last = last && offset + size == total };
        f->msg.data.payload = (proto_bytes){ size == 0 ? NULL : batch->bytes + offset, size };
        channel_put(w, member, &w->channels[member].waiting, f);
        offset += size;
    } while (offset < total);
}

void channel_send_mark(proto_worker *w, uint32_t member, uint32_t edge, uint64_t step,
                       const uint32_t *groups, uint32_t count)
{
    proto_batch *list = proto_batch_new(4 * count, 0);
    channel_frame *f = frame_new(list, PROTO_TYPE_mark, step, w->plan->edges[edge].to);

    for (uint32_t i = 0; i < count; i++)
        proto_put_u32(list->bytes + 4 * i, groups[i]);
    f->msg.mark = (proto_mark){ .edge = edge, .step = step, .groups = { list->bytes, 4 * count } };
    channel_put(w, member, &w->channels[member].waiting, f);
    proto_batch_drop(&list);
}

static uint32_t channel_move_frame(const proto_worker *w)
{
    uint32_t most = w->config.move_frame, size = w->config.frame_size;

    return most != 0 && most < size ? most : size;
}

void channel_send_state(proto_worker *w, uint32_t member, uint32_t group, uint64_t step,
                        proto_batch *state)
{
    uint32_t offset = 0, most = channel_move_frame(w);

    do {
        channel_frame *f = frame_new(state, PROTO_TYPE_state, step, 0);
        uint32_t size = state->size - offset;

        if (size > most)
            size = most;
        f->cost = size;
        f->msg.state = (proto_state){ .group = group, .step = step, .rows = state->rows,
                                      .offset = offset, .total = state->size, .payload = { .size = size } };
        if (state->copy == NULL)
            f->msg.state.payload.data = state->bytes + offset;
        channel_put(w, member, &w->channels[member].moving, f);
        offset += size;
    } while (offset < state->size);
    proto_batch_drop(&state);
}

static bool channel_at_mark(const channel *c, const channel_frame *f)
{
    return f->step != c->peer_step ? f->step < c->peer_step : f->stage <= c->peer_stage;
}

static uint64_t channel_move_near(const proto_worker *w)
{
    return w->config.move_near == 0 ? w->config.move_size : w->config.move_near;
}

/* A state's credit comes back as soon as its bytes are taken, whatever the receiver computes, so it needs no exemption
 * at the mark; and with one, all of a large move would be under way at once. */
static bool channel_admits_state(const proto_worker *w, const channel *c, const channel_frame *f)
{
    uint64_t under_way = c->moved - c->peer_moved, most = c->near ? channel_move_near(w) : w->config.move_size;

    return under_way == 0 || under_way + f->cost <= most || MUTANT(w, nocredit);
}

static bool channel_admits(const proto_worker *w, const channel *c, const channel_frame *f)
{
    if (f->msg.header.type == PROTO_TYPE_state)
        return channel_admits_state(w, c, f);
    if (f->cost == 0 || c->sent - c->peer_consumed + f->cost <= w->config.credit_size || MUTANT(w, nocredit))
        return true;
    return channel_at_mark(c, f) && !MUTANT(w, noexempt);
}

/* What lies in several places is put together as it leaves, so that a state that waits takes no memory of its own. */
static void channel_gather(proto_worker *w, uint32_t member, channel_frame *f)
{
    uint8_t *to = w->env.room == NULL ? NULL : w->env.room(w->env.user, w->members[member], &f->msg, f->cost);

    w->channels[member].near = to != NULL;
    if (to == NULL && w->gathered == NULL)
        w->gathered = proto_zero(channel_move_frame(w), 1);
    if (to == NULL)
        to = w->gathered;
    f->batch->copy(f->batch->bytes, f->msg.state.offset, to, f->cost);
    f->msg.state.payload.data = to;
}

static void channel_transmit(proto_worker *w, uint32_t member, channel_frame *f)
{
    w->stats.frames_sent++;
    w->channels[member].frames_sent++;
    if (f->msg.header.type == PROTO_TYPE_state && f->batch->copy != NULL)
        channel_gather(w, member, f);
    worker_send(w, w->members[member], &f->msg, f->msg.header.type);
}

static void channel_pump_queue(proto_worker *w, uint32_t member, channel_queue *queue)
{
    channel *c = w->channels + member;

    while (queue->first != NULL && channel_admits(w, c, queue->first)) {
        channel_frame *f = queue_take(queue);

        c->waiting_count--;
        if (queue == &c->moving)
            c->moved += f->cost;
        else
            c->sent += f->cost;
        df_spans_put(&c->waits, 1000 * (w->now_us - f->put_us));
        f->msg.header.sequence = c->next++;
        f->next = NULL;
        if (c->unacked.last == NULL) {
            c->unacked.first = f;
            c->progress_us = w->now_us;
        } else
            c->unacked.last->next = f;
        c->unacked.last = f;
        channel_transmit(w, member, f);
    }
}

static void channel_again(proto_worker *w, uint32_t member, channel_frame *f)
{
    w->stats.frames_resent++;
    w->channels[member].frames_resent++;
    w->channels[member].again_at = f->msg.header.sequence;
    channel_transmit(w, member, f);
}

/* The next ones of those that may be lost. */
static void channel_again_some(proto_worker *w, uint32_t member)
{
    channel *c = w->channels + member;
    uint32_t count = 0;

    if (MUTANT(w, noresend))
        return;
    c->resent_us = w->now_us;
    for (channel_frame *f = c->unacked.first; f != NULL && f->msg.header.sequence <= c->again_end; f = f->next) {
        if (f->msg.header.sequence <= c->again_at)
            continue;
        if (count++ == c->again_count)
            return;
        channel_again(w, member, f);
    }
}

/* The first one may be lost, and all that was sent behind it. */
static void channel_again_begin(proto_worker *w, uint32_t member)
{
    channel *c = w->channels + member;

    c->again_end = c->next - 1;
    c->again_at = 0;
    c->again_count = 1;
    channel_again_some(w, member);
}

/* The peer has told of more than before. */
static void channel_progress(proto_worker *w, uint32_t member, bool gap)
{
    channel *c = w->channels + member;

    c->progress_us = w->now_us;
    c->wait_us = w->config.resend_us;
    if (c->again_end == 0)
        return;
    if (c->unacked.first == NULL || c->unacked.first->msg.header.sequence > c->again_end) {
        c->again_end = 0;
        return;
    }
    c->again_count = gap ? 1 : 2 * c->again_count;
    if (c->again_count > CHANNEL_AGAIN_MAX)
        c->again_count = CHANNEL_AGAIN_MAX;
    channel_again_some(w, member);
}

void channel_resend(proto_worker *w, uint32_t member)
{
    channel *c = w->channels + member;

    if (MUTANT(w, noresend))
        return;
    c->resent_us = c->progress_us = w->now_us;
    c->wait_us = w->config.resend_us;
    c->again_end = 0;
    for (channel_frame *f = c->unacked.first; f != NULL; f = f->next)
        channel_again(w, member, f);
}

/* ---- receiving ---- */

/* Give back the credit of rows that have been read. */
void channel_consumed(proto_worker *w, uint32_t member, uint64_t size)
{
    channel *c = w->channels + member;

    if (!MUTANT(w, earlycredit))
        c->consumed += size;
    c->buffered -= size;
    channel_stir(w, member);
}

static void channel_buffer(proto_worker *w, uint32_t member, uint64_t size)
{
    channel *c = w->channels + member;

    c->buffered += size;
    if (c->buffered > w->stats.buffered_max)
        w->stats.buffered_max = c->buffered;
    if (MUTANT(w, earlycredit))
        c->consumed += size;
}

/* More than the credit above the low-water mark: a sender that keeps to the rules never comes to that, for the mark
 * that it was told is not above ours. So memory per channel is bounded whatever a peer sends. */
static bool channel_exceeds(const proto_worker *w, uint32_t member, const proto_data *d)
{
    uint64_t low = w->calls->low(w);

    if (w->channels[member].buffered + d->payload.size <= w->config.credit_size || d->step < low)
        return false;
    if (d->step == low && w->plan->edges[d->edge].to <= w->calls->low_stage(w))
        return false;
    return w->calls->above_mark(w, member) + d->payload.size > w->config.credit_size;
}

static void channel_take_data(proto_worker *w, uint32_t member, const proto_msg *msg)
{
    const proto_data *d = &msg->data;

    if (d->edge >= w->plan->edge_count || d->payload.size > d->total ||
        d->total > PROTO_BATCH_SIZE_MAX || d->offset > d->total - d->payload.size ||
        !w->calls->fits(w, d)) {
        worker_reject(w, PROTO_REJECT_range);
        return;
    }
    if (channel_exceeds(w, member, d) && !MUTANT(w, nocredit)) {
        worker_reject(w, PROTO_REJECT_credit);
        return;
    }
    if (MUTANT(w, reject) && proto_owner_at(&w->owners, d->dst, d->step) != w->self)
        return;
    if (d->payload.size > 0) {
        if (!w->calls->rows(w, member, d)) {
            worker_reject(w, PROTO_REJECT_range);
            return;
        }
        channel_buffer(w, member, d->payload.size);
    }
    if (d->last)
        w->calls->arrive(w, d->edge, d->step, d->src);
}

static void channel_take_mark(proto_worker *w, uint32_t member, const proto_msg *msg)
{
    const proto_mark *m = &msg->mark;

    (void)member;
    if (m->edge >= w->plan->edge_count || m->groups.size % 4 != 0 ||
        !w->calls->fits_mark(w, m)) {
        worker_reject(w, PROTO_REJECT_range);
        return;
    }
    for (uint32_t i = 0; i < m->groups.size; i += 4) {
        uint32_t group = proto_get_u32(m->groups.data + i);

        w->calls->arrive(w, m->edge, m->step, group);
        if (MUTANT(w, markworker))
            break;
    }
}

static void channel_take_state(proto_worker *w, uint32_t member, const proto_msg *msg)
{
    const proto_state *s = &msg->state;

    if (s->group >= w->plan->group_count || s->payload.size > s->total ||
        s->total > PROTO_BATCH_SIZE_MAX || s->offset > s->total - s->payload.size ||
        s->step > w->plan->step_count) {
        worker_reject(w, PROTO_REJECT_range);
        return;
    }
    w->channels[member].taken += s->payload.size;
    if (MUTANT(w, reject) && proto_owner_at(&w->owners, s->group, s->step) != w->self)
        return;
    if (!w->calls->state(w, member, s))
        worker_reject(w, PROTO_REJECT_range);
}

static void channel_take(proto_worker *w, uint32_t member, const proto_msg *msg)
{
    if (msg->header.type == PROTO_TYPE_data)
        channel_take_data(w, member, msg);
    else if (msg->header.type == PROTO_TYPE_mark)
        channel_take_mark(w, member, msg);
    else
        channel_take_state(w, member, msg);
}

/* Frames are taken in order. One that is ahead of its turn waits; its sender's credit bounds how
 * many do, and what does not fit is sent again. */
static void channel_keep_ahead(proto_worker *w, channel *c, const proto_msg *msg)
{
    parked_frame **at = &c->ahead, *frame;

    c->tell = c->gap = true;
    while (*at != NULL && (*at)->sequence < msg->header.sequence)
        at = &(*at)->next;
    if ((*at != NULL && (*at)->sequence == msg->header.sequence) ||
        c->ahead_count == PROTO_PARKED_MAX) {
        worker_reject(w, *at != NULL ? PROTO_REJECT_repeat : PROTO_REJECT_gap);
        return;
    }
    frame = worker_copy(msg);
    frame->next = *at;
    *at = frame;
    c->ahead_count++;
    c->frames_early++;
}

static void channel_take_ahead(proto_worker *w, uint32_t member)
{
    channel *c = w->channels + member;
    parked_frame *frame;
    proto_msg msg;

    while ((frame = c->ahead) != NULL && frame->sequence <= c->received + 1) {
        c->ahead = frame->next;
        c->ahead_count--;
        if (frame->sequence == c->received + 1 &&
            proto_decode(&msg, frame->bytes, frame->size) == PROTO_REJECT_ok) {
            c->received++;
            channel_take(w, member, &msg);
        }
        free(frame);
    }
}

/* A sequenced frame of this generation. */
void channel_receive(proto_worker *w, uint32_t member, const proto_msg *msg)
{
    channel *c = w->channels + member;
    uint64_t sequence = msg->header.sequence;

    c->used = true;
    channel_stir(w, member);
    if (sequence > c->received + 1) {
        channel_keep_ahead(w, c, msg);
        return;
    }
    if (sequence <= c->received) {
        c->tell = true;
        worker_reject(w, PROTO_REJECT_repeat);
        if (MUTANT(w, norepeat))
            channel_take(w, member, msg);
        return;
    }
    c->received = sequence;
    c->quiet++;
    channel_take(w, member, msg);
    channel_take_ahead(w, member);
}

/* Numbers only grow, so acknowledgements that arrive out of order do no harm. */
void channel_receive_ack(proto_worker *w, uint32_t member, const proto_msg *msg)
{
    channel *c = w->channels + member;
    const proto_ack *a = &msg->ack;
    bool more = false;

    c->used = true;
    channel_stir(w, member);
    if (a->received >= c->next || a->consumed > c->sent || a->moved > c->moved) {
        worker_reject(w, PROTO_REJECT_range);
        return;
    }
    while (c->unacked.first != NULL && c->unacked.first->msg.header.sequence <= a->received) {
        channel_frame *f = queue_take(&c->unacked);

        more = true;
        proto_batch_drop(&f->batch);
        free(f);
    }
    if (a->consumed > c->peer_consumed)
        c->peer_consumed = a->consumed;
    if (a->moved > c->peer_moved)
        c->peer_moved = a->moved;
    if (a->step > c->peer_step || (a->step == c->peer_step && a->stage > c->peer_stage)) {
        c->peer_step = a->step;
        c->peer_stage = a->stage;
    }
    if (more)
        channel_progress(w, member, a->gap);
    if (a->gap && c->again_end == 0 && c->unacked.first != NULL &&
        w->now_us - c->resent_us >= w->config.resend_us / 4)
        channel_again_begin(w, member);
}

static void channel_tell(proto_worker *w, uint32_t member)
{
    channel *c = w->channels + member;
    proto_msg msg = { .ack = { .received = c->received, .consumed = c->consumed,
                               .moved = c->taken, .step = w->calls->low(w),
                               .stage = w->calls->low_stage(w), .gap = c->gap } };

    c->consumed_told = c->consumed;
    c->taken_told = c->taken;
    c->step_told = msg.ack.step;
    c->quiet = 0;
    c->tell = c->gap = false;
    worker_send(w, w->members[member], &msg, PROTO_TYPE_ack);
}

/* A sender that waits for credit must hear of the low-water mark when it moves. It waits only when what
 * lies here, is under way, or was consumed and not told fills the credit; what is under way arrives, so
 * more than a quarter of it lies here then, or more than a quarter was consumed and is told. */
static bool channel_mark_matters(const proto_worker *w, const channel *c)
{
    return c->step_told != w->calls->low(w) && c->buffered > w->config.credit_size / 4;
}

/* A sender waits for credit only when what is under way, or was taken and not told, leaves no room for a frame.
 * What is under way arrives; so it is told often enough that a few frames are always under way. */
static bool channel_should_tell(const proto_worker *w, const channel *c)
{
    return c->tell || c->quiet >= 8 || c->consumed - c->consumed_told > w->config.credit_size / 4 ||
           c->taken - c->taken_told > channel_move_near(w) / 4 || channel_mark_matters(w, c);
}

/* Send what may be sent; acknowledge when it is worth a frame. */
static void channel_pump_one(proto_worker *w, uint32_t m)
{
    channel *c = w->channels + m;

    c->stirred = false;
    if (m == w->self || w->members[m] == 0)
        return;
    channel_pump_queue(w, m, &c->moving);
    channel_pump_queue(w, m, &c->waiting);
    if (channel_should_tell(w, c))
        channel_tell(w, m);
}

void channel_pump(proto_worker *w)
{
    uint64_t low = w->calls->low(w);

    for (uint32_t m = 0; low != w->pumped_low && m < w->member_count; m++)
        if (channel_mark_matters(w, &w->channels[m]))
            channel_stir(w, m);
    w->pumped_low = low;
    for (uint32_t i = 0; i < w->stirred_count; i++)
        channel_pump_one(w, w->stirred[i]);
    w->stirred_count = 0;
}

static void channel_tick_one(proto_worker *w, uint32_t m)
{
    channel *c = w->channels + m;
    uint64_t wait = c->wait_us > w->config.resend_us ? c->wait_us : w->config.resend_us, since = c->progress_us;

    c->tell = true;
    channel_stir(w, m);
    since = c->resent_us > since ? c->resent_us : since;
    if (c->unacked.first == NULL || w->now_us - since < wait)
        return;
    c->wait_us = 2 * wait > CHANNEL_WAITS_MAX * w->config.resend_us ? wait : 2 * wait;
    channel_again_begin(w, m);
}

void channel_tick(proto_worker *w)
{
    for (uint32_t m = 0; m < w->member_count; m++)
        if (m != w->self && w->members[m] != 0 && w->channels[m].used)
            channel_tick_one(w, m);
}

/* The sum is made only where it could exceed the credit. */
void channel_buffered(const proto_worker *w, proto_worker_stats *stats)
{
    for (uint32_t m = 0; w->phase == WORKER_RUNNING && m < w->member_count; m++) {
        uint64_t above = 0;

        if (w->channels[m].buffered > w->config.credit_size)
            above = w->calls->above_mark(w, m);
        if (w->channels[m].buffered > stats->buffered)
            stats->buffered = w->channels[m].buffered;
        if (above > stats->above_mark)
            stats->above_mark = above;
    }
}
