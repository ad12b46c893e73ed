/* What workers count: of themselves, of operators, of channels. */
#include "coordinator/coord_metrics_private.h"

#include <stdlib.h>

#define OF(field) offsetof(coord_counts, field)
static const metrics_family worker_families[] = {
    { "weir_worker_row_steps_total", "Rows that entered steps, of all states.", COORD_COUNTER,
      METRICS_NUMBER, OF(row_steps) },
    { "weir_worker_tasks_total", "Tasks run: a stage, a key group, a step.", COORD_COUNTER,
      METRICS_NUMBER, OF(tasks) },
    { "weir_worker_steals_total", "Tasks that a thread took from another.", COORD_COUNTER,
      METRICS_NUMBER, OF(steals) },
    { "weir_worker_sleeps_total", "Times that a thread found nothing to do and slept.", COORD_COUNTER,
      METRICS_NUMBER, OF(sleeps) },
    { "weir_worker_allocations_total", "Times that the pool asked the system for memory.", COORD_COUNTER,
      METRICS_NUMBER, OF(allocations) },
    { "weir_worker_pool_bytes", "Memory of the pool of batches.", COORD_GAUGE, METRICS_NUMBER,
      OF(pool_bytes) },
    { "weir_worker_frames_parked_total", "Frames that came before their generation did.", COORD_COUNTER,
      METRICS_NUMBER, OF(frames_parked) },
    { "weir_worker_snapshot_raw_bytes_total", "Bytes of snapshots' parts before they were encoded.",
      COORD_COUNTER, METRICS_NUMBER, OF(part_bytes_raw) },
    { "weir_worker_snapshot_stored_bytes_total", "Bytes of snapshots' parts as they were written.",
      COORD_COUNTER, METRICS_NUMBER, OF(part_bytes_stored) },
    { "weir_worker_snapshot_kept_bytes_total",
      "Raw bytes that had not changed since the snapshot before and were not written.", COORD_COUNTER,
      METRICS_NUMBER, OF(part_bytes_kept) },
    { "weir_worker_snapshot_failures_total", "Parts of snapshots that could not be written.",
      COORD_COUNTER, METRICS_NUMBER, OF(parts_failed) },
    { "weir_worker_restore_failures_total", "Times that the state of a generation could not be loaded.",
      COORD_COUNTER, METRICS_NUMBER, OF(loads_failed) },
    { "weir_worker_snapshot_duration_seconds",
      "To write and sync a worker's part of a snapshot and its sinks' files.", COORD_HISTOGRAM,
      METRICS_HISTOGRAM, OF(parts) },
    { "weir_worker_restore_duration_seconds", "To load what a generation begins from.", COORD_HISTOGRAM,
      METRICS_HISTOGRAM, OF(loads) },
    { "weir_key_group_task_duration_seconds", "A task of a key group, of any but sinks.", COORD_HISTOGRAM,
      METRICS_SPANS, OF(group_tasks) },
};
#undef OF

#define OF(field) offsetof(coord_counts_operator, field)
static const metrics_family operator_families[] = {
    { "weir_operator_calls_total", "Key groups that an operator processed, or a state committed.",
      COORD_COUNTER, METRICS_CALLS, OF(calls) },
    { "weir_operator_rows_in_total", "Rows that an operator read of its first input.", COORD_COUNTER,
      METRICS_NUMBER, OF(rows_in) },
    { "weir_operator_rows_out_total", "Rows that an operator made.", COORD_COUNTER, METRICS_NUMBER,
      OF(rows_out) },
    { "weir_operator_bytes_in_total", "Bytes of the rows that it read.", COORD_COUNTER, METRICS_NUMBER,
      OF(bytes_in) },
    { "weir_operator_bytes_out_total", "Bytes of the rows that it made.", COORD_COUNTER, METRICS_NUMBER,
      OF(bytes_out) },
    { "weir_operator_duration_seconds", "A call of an operator: a key group at a step.", COORD_HISTOGRAM,
      METRICS_SPANS, OF(calls) },
};
#undef OF

#define OF(field) offsetof(coord_counts_peer, field)
static const metrics_family channel_families[] = {
    { "weir_channel_frames_sent_total", "Frames to a peer, those that were sent again among them.",
      COORD_COUNTER, METRICS_NUMBER, OF(frames_sent) },
    { "weir_channel_frames_resent_total", "Frames that were sent again.", COORD_COUNTER, METRICS_NUMBER,
      OF(frames_resent) },
    { "weir_channel_frames_received_total", "Frames from a peer, each counted once.", COORD_COUNTER,
      METRICS_NUMBER, OF(frames_received) },
    { "weir_channel_frames_parked_total", "Frames from a peer that came before one that was missing.",
      COORD_COUNTER, METRICS_NUMBER, OF(frames_early) },
    { "weir_channel_sent_bytes_total", "Bytes of rows and states to a peer, each once.", COORD_COUNTER,
      METRICS_NUMBER, OF(bytes_sent) },
    { "weir_channel_received_bytes_total", "Bytes of rows and states from a peer, each once.", COORD_COUNTER,
      METRICS_NUMBER, OF(bytes_received) },
    { "weir_channel_moved_bytes_total", "Bytes of key groups that moved to a peer, with what their kinds keep.",
      COORD_COUNTER, METRICS_NUMBER, OF(bytes_moved) },
    { "weir_channel_buffered_bytes", "Bytes from a peer that wait for their task.", COORD_GAUGE,
      METRICS_NUMBER, OF(buffered) },
    { "weir_channel_queued_frames", "Frames to a peer that wait for credit.", COORD_GAUGE, METRICS_NUMBER,
      OF(queued) },
    { "weir_channel_wait_seconds", "From when a frame was made until credit let it be sent.",
      COORD_HISTOGRAM, METRICS_SPANS, OF(waits) },
};
#undef OF

/* ---- workers ---- */

static void expose_worker_family(metrics_page *page, const metrics_family *f,
                                 const coord_counts *const *counts)
{
    coord_expose_family(&page->out, f->name, f->type, f->help);
    for (uint32_t i = 0; i < page->status->worker_count; i++) {
        const coord_label labels[] = { { "worker", page->labels[i] }, { 0 } };

        if (counts[i] != NULL)
            metrics_sample(page, f, labels, counts[i]);
    }
}

static void expose_worker_rejected(metrics_page *page, const coord_counts *const *counts)
{
    const char *name = "weir_worker_rejected_messages_total";

    coord_expose_family(&page->out, name, COORD_COUNTER, "Messages that a worker refused.");
    for (uint32_t i = 0; i < page->status->worker_count; i++)
        for (int r = PROTO_REJECT_ok + 1; counts[i] != NULL && r < PROTO_REJECT_COUNT; r++) {
            const coord_label labels[] = { { "worker", page->labels[i] },
                                           { "reason", proto_reject_name((proto_reject)r) }, { 0 } };

            coord_expose_count(&page->out, name, labels, counts[i]->rejected[r]);
        }
}

/* ---- operators ---- */

static void expose_operators_of(metrics_page *page, const metrics_family *f, const char *worker,
                                const coord_counts *c)
{
    static const char *const roles[] = { "operator", "state", "sink" };

    for (uint32_t i = 0; i < c->operator_count; i++) {
        const coord_counts_operator *o = &c->operators[i];
        const coord_label labels[] = { { "worker", worker }, { "operator", o->name },
                                       { "role", roles[o->role] }, { "kind", o->kind }, { 0 } };

        metrics_sample(page, f, labels, o);
    }
}

static void operator_add(coord_counts_operator *to, const coord_counts_operator *more)
{
    to->rows_in += more->rows_in;
    to->rows_out += more->rows_out;
    to->bytes_in += more->bytes_in;
    to->bytes_out += more->bytes_out;
    df_spans_add(&to->calls, &more->calls);
}

/* Those of all workers. They run one plan, so the first one's list is everybody's. False: out of memory. */
static bool operators_sum(const metrics_page *page, const coord_counts *const *counts, coord_counts *sum)
{
    for (uint32_t i = 0; i < page->status->worker_count; i++) {
        const coord_counts *c = counts[i];

        if (c == NULL)
            continue;
        if (sum->operators == NULL) {
            if (!coord_counts_init(sum, c->operator_count, 0))
                return false;
            memcpy(sum->operators, c->operators, c->operator_count * sizeof *c->operators);
            continue;
        }
        for (uint32_t k = 0; k < c->operator_count && k < sum->operator_count; k++)
            operator_add(&sum->operators[k], &c->operators[k]);
    }
    return true;
}

static bool expose_operators(metrics_page *page, const coord_counts *const *counts)
{
    coord_counts sum = { 0 };
    uint64_t count = 0;

    for (uint32_t i = 0; i < page->status->worker_count; i++)
        count += counts[i] == NULL ? 0 : counts[i]->operator_count;
    if (count > COORD_METRICS_CALLS_MAX && !operators_sum(page, counts, &sum))
        return false;
    for (size_t k = 0; k < METRICS_COUNT_OF(operator_families); k++) {
        const metrics_family *f = &operator_families[k];
        bool many = count > (f->form == METRICS_SPANS ? COORD_METRICS_CALLS_MAX : COORD_METRICS_OPERATORS_MAX);

        coord_expose_family(&page->out, f->name, f->type, f->help);
        if (many)
            expose_operators_of(page, f, "all", &sum);
        for (uint32_t i = 0; !many && i < page->status->worker_count; i++)
            if (counts[i] != NULL)
                expose_operators_of(page, f, page->labels[i], counts[i]);
    }
    coord_counts_fini(&sum);
    return true;
}

/* ---- channels ---- */

/* All of a worker's channels: with many workers each pair would be too much to show. */
static coord_counts_peer peers_sum(const coord_counts *c)
{
    coord_counts_peer sum = { 0 };

    for (uint32_t k = 0; k < c->peer_count; k++) {
        const coord_counts_peer *p = &c->peers[k];

        sum.frames_sent += p->frames_sent;
        sum.frames_resent += p->frames_resent;
        sum.frames_early += p->frames_early;
        sum.frames_received += p->frames_received;
        sum.bytes_sent += p->bytes_sent;
        sum.bytes_received += p->bytes_received;
        sum.bytes_moved += p->bytes_moved;
        sum.buffered += p->buffered;
        sum.queued += p->queued;
        df_spans_add(&sum.waits, &p->waits);
    }
    return sum;
}

static void expose_channel_sum(metrics_page *page, const metrics_family *f, const char *worker,
                               const coord_counts *c)
{
    const coord_label labels[] = { { "worker", worker }, { "peer", "all" }, { 0 } };
    const coord_counts_peer sum = peers_sum(c);

    metrics_sample(page, f, labels, &sum);
}

static void expose_channels_of(metrics_page *page, const metrics_family *f, const char *worker,
                               const coord_counts *c)
{
    for (uint32_t k = 0; k < c->peer_count; k++) {
        const coord_label labels[] = { { "worker", worker },
                                       { "peer", metrics_worker(page, c->peers[k].id) }, { 0 } };

        if (labels[1].value != NULL)
            metrics_sample(page, f, labels, &c->peers[k]);
    }
}

static void expose_channel_family(metrics_page *page, const metrics_family *f,
                                  const coord_counts *const *counts)
{
    uint32_t most = f->form == METRICS_SPANS ? COORD_METRICS_WAITS_MAX : COORD_METRICS_PEERS_MAX;

    coord_expose_family(&page->out, f->name, f->type, f->help);
    for (uint32_t i = 0; i < page->status->worker_count; i++) {
        if (counts[i] == NULL)
            continue;
        if (page->status->worker_count > most)
            expose_channel_sum(page, f, page->labels[i], counts[i]);
        else
            expose_channels_of(page, f, page->labels[i], counts[i]);
    }
}

bool metrics_counts(metrics_page *page, const coord_counts *const *counts)
{
    for (size_t f = 0; f < METRICS_COUNT_OF(worker_families); f++)
        expose_worker_family(page, &worker_families[f], counts);
    expose_worker_rejected(page, counts);
    if (!expose_operators(page, counts))
        return false;
    for (size_t f = 0; f < METRICS_COUNT_OF(channel_families); f++)
        expose_channel_family(page, &channel_families[f], counts);
    return true;
}
