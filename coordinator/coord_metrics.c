#include "coordinator/coord_metrics.h"

#include "coordinator/coord_expose.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A label, made different from those of other workers. */
typedef char unique_label[WEIR_NAME_MAX + 24];

typedef struct member_label {
    uint64_t id;
    const char *label;
} member_label;

typedef struct expose {
    const coord_metrics *from;
    const coord_status *status;
    df_writer out;
    unique_label *labels;  /* [worker_count] */
    member_label *members; /* [worker_count], ascending by id */
} expose;

/* ---- the coordinator's own ---- */

static void one(expose *e, const char *name, coord_family_type type, const char *help, uint64_t value)
{
    coord_expose_family(&e->out, name, type, help);
    coord_expose_count(&e->out, name, NULL, value);
}

static void expose_phase(expose *e)
{
    static const char *const phases[] = { "waiting", "running", "paused", "done",
                                          "drained", "cancelled", "failed" };
    const char *name = "weir_phase";

    coord_expose_family(&e->out, name, COORD_GAUGE, "1 for the phase that the job is in.");
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        const coord_label labels[] = { { "phase", phases[i] }, { 0 } };

        coord_expose_count(&e->out, name, labels, strcmp(e->status->phase, phases[i]) == 0);
    }
}

/* Tick n + 1 is step n. */
static uint64_t step_of(uint64_t tick)
{
    return tick == 0 ? 0 : tick - 1;
}

static void expose_job(expose *e)
{
    const coord_status *s = e->status;
    const coord_label labels[] = { { "name", s->job }, { 0 } };

    coord_expose_family(&e->out, "weir_info", COORD_GAUGE, "The job that runs; always 1.");
    coord_expose_count(&e->out, "weir_info", labels, 1);
    expose_phase(e);
    one(e, "weir_generation", COORD_GAUGE, "The job's generation, raised when workers are lost.",
        s->generation);
    one(e, "weir_incarnation", COORD_GAUGE, "How often a coordinator of this job was started.",
        s->incarnation);
    one(e, "weir_restarts_total", COORD_COUNTER, "Returns to a snapshot because workers were lost.",
        s->restarts);
    one(e, "weir_stalls_total", COORD_COUNTER, "Restarts because no step was done for too long.", s->stalls);
    one(e, "weir_restores_total", COORD_COUNTER, "Returns to a snapshot that somebody asked for.",
        s->restores);
    coord_expose_family(&e->out, "weir_step", COORD_GAUGE, "The last step that is complete.");
    if (s->begun)
        coord_expose_count(&e->out, "weir_step", NULL, s->step);
    one(e, "weir_steps", COORD_GAUGE, "The job's last step.", s->steps);
    one(e, "weir_bound", COORD_GAUGE, "Steps below it may start.", step_of(e->from->bound));
    one(e, "weir_ceiling", COORD_GAUGE, "No step from here on may start before the log was synced again.",
        step_of(e->from->ceiling));
    one(e, "weir_degraded", COORD_GAUGE, "1 while snapshots do not get through; the status says why.",
        s->degraded[0] != '\0');
    one(e, "weir_history_orders", COORD_GAUGE, "Orders in the history.", s->orders);
    one(e, "weir_history_full", COORD_GAUGE, "1 if the history takes no more orders, snapshots' among them.",
        s->history_full);
    one(e, "weir_history_left_bytes", COORD_GAUGE, "Bytes that orders may still take before the history is made shorter.",
        s->history_left);
}

static void expose_last_snapshot(expose *e)
{
    const snap_entry *last = e->from->last;

    if (last == NULL)
        return;
    one(e, "weir_snapshot_last_id", COORD_GAUGE, "Number of the newest snapshot.", last->snapshot);
    one(e, "weir_snapshot_last_step", COORD_GAUGE, "Step that the newest snapshot enters.",
        e->status->snapshot_step);
    one(e, "weir_snapshot_last_size_bytes", COORD_GAUGE, "Stored size of the newest snapshot.", last->size);
    one(e, "weir_snapshot_last_written_bytes", COORD_GAUGE,
        "Of that, what it wrote itself; the rest is shared with older ones.", last->size_own);
    one(e, "weir_snapshot_last_rows", COORD_GAUGE, "Rows in the newest snapshot.", last->rows);
    coord_expose_family(&e->out, "weir_snapshot_last_timestamp_seconds", COORD_GAUGE,
                        "When the newest snapshot was taken, in Unix time.");
    coord_expose_nanoseconds(&e->out, "weir_snapshot_last_timestamp_seconds", NULL,
                             last->created_ms * 1000000);
    if (e->from->last_seconds < 0)
        return;
    coord_expose_family(&e->out, "weir_snapshot_last_duration_seconds", COORD_GAUGE,
                        "From the order to the commit of the newest snapshot.");
    coord_expose_real(&e->out, "weir_snapshot_last_duration_seconds", NULL, e->from->last_seconds);
    coord_expose_family(&e->out, "weir_snapshot_last_commit_seconds", COORD_GAUGE,
                        "From the last worker's part to the commit of the newest snapshot.");
    coord_expose_real(&e->out, "weir_snapshot_last_commit_seconds", NULL, e->from->commit_seconds);
}

static void expose_snapshots(expose *e)
{
    const coord_status *s = e->status;

    one(e, "weir_snapshots_taken_total", COORD_COUNTER, "Snapshots that were committed.",
        s->snapshots_taken);
    one(e, "weir_snapshots_aborted_total", COORD_COUNTER, "Snapshots that were given up.",
        s->snapshots_aborted);
    one(e, "weir_snapshots_skipped_total", COORD_COUNTER,
        "Snapshots that were due while another one was being taken.", s->snapshots_skipped);
    one(e, "weir_snapshot_running", COORD_GAUGE, "1 while a snapshot is being taken.", s->snapshot_runs);
    expose_last_snapshot(e);
    coord_expose_family(&e->out, "weir_snapshot_duration_seconds", COORD_HISTOGRAM,
                        "From the order to the commit of a snapshot.");
    coord_expose_histogram(&e->out, "weir_snapshot_duration_seconds", NULL, e->from->snapshots);
}

static void expose_rescales(expose *e)
{
    const coord_rescale_totals *totals = e->from->rescales;
    const char *name = "weir_rescales_total";

    coord_expose_family(&e->out, name, COORD_COUNTER,
                        "Changes of workers or of who owns key groups, by how they ended.");
    for (uint32_t k = 0; k < COORD_RESCALE_KINDS; k++)
        for (uint32_t i = 0; i < COORD_RESCALE_ENDS; i++) {
            const coord_label labels[] = { { "what", coord_rescale_kinds[k] },
                                           { "end", coord_rescale_ends[i] }, { 0 } };

            coord_expose_count(&e->out, name, labels, totals->ended[k][i]);
        }
    one(e, "weir_rescale_running", COORD_GAUGE, "1 while workers or owners are being changed.",
        e->status->rescale.what[0] != '\0');
    one(e, "weir_rescale_key_groups_moved_total", COORD_COUNTER,
        "Key groups that changes which are done have moved.", totals->key_groups);
    one(e, "weir_rescale_bytes_moved_total", COORD_COUNTER,
        "Bytes of the states in them, as their workers told last before.", totals->bytes);
}

static void expose_rejected(expose *e)
{
    const char *name = "weir_rejected_messages_total";

    coord_expose_family(&e->out, name, COORD_COUNTER, "Messages that the coordinator refused.");
    for (int i = PROTO_REJECT_ok + 1; i < PROTO_REJECT_COUNT; i++) {
        const coord_label labels[] = { { "reason", proto_reject_name((proto_reject)i) }, { 0 } };

        coord_expose_count(&e->out, name, labels, e->status->rejected[i]);
    }
}

/* ---- what the coordinator knows of workers ---- */

static void expose_workers(expose *e)
{
    static const char *const states[] = { "here", "missing", "spare" };
    uint64_t counts[3] = { 0 };

    for (uint32_t i = 0; i < e->status->worker_count; i++) {
        const coord_status_worker *w = &e->status->workers[i];

        counts[!w->member ? 2 : !w->here]++;
    }
    coord_expose_family(&e->out, "weir_workers", COORD_GAUGE,
                        "Workers: members that are here, members that are waited for, spare ones.");
    for (size_t i = 0; i < 3; i++) {
        const coord_label labels[] = { { "state", states[i] }, { 0 } };

        coord_expose_count(&e->out, "weir_workers", labels, counts[i]);
    }
}

static void expose_worker_steps(expose *e)
{
    coord_expose_family(&e->out, "weir_worker_step", COORD_GAUGE,
                        "The last step that is complete at a worker.");
    for (uint32_t i = 0; i < e->status->worker_count; i++) {
        const coord_label labels[] = { { "worker", e->labels[i] }, { 0 } };

        if (e->status->workers[i].member && e->status->workers[i].begun)
            coord_expose_count(&e->out, "weir_worker_step", labels, e->status->workers[i].step);
    }
    coord_expose_family(&e->out, "weir_worker_silent_seconds", COORD_GAUGE,
                        "Since a worker was heard last.");
    for (uint32_t i = 0; i < e->status->worker_count; i++) {
        const coord_label labels[] = { { "worker", e->labels[i] }, { 0 } };

        coord_expose_nanoseconds(&e->out, "weir_worker_silent_seconds", labels,
                                 e->status->workers[i].silent_us * 1000);
    }
    coord_expose_family(&e->out, "weir_worker_cores", COORD_GAUGE, "Processors of a worker's machine.");
    for (uint32_t i = 0; i < e->status->worker_count; i++) {
        const coord_label labels[] = { { "worker", e->labels[i] }, { 0 } };

        coord_expose_count(&e->out, "weir_worker_cores", labels, e->status->workers[i].cores);
    }
    coord_expose_family(&e->out, "weir_worker_memory_bytes", COORD_GAUGE, "Memory of a worker's machine.");
    for (uint32_t i = 0; i < e->status->worker_count; i++) {
        const coord_label labels[] = { { "worker", e->labels[i] }, { 0 } };

        coord_expose_count(&e->out, "weir_worker_memory_bytes", labels, e->status->workers[i].memory);
    }
    coord_expose_family(&e->out, "weir_worker_key_groups", COORD_GAUGE, "Key groups that a worker owns.");
    for (uint32_t i = 0; i < e->status->worker_count; i++) {
        const coord_label labels[] = { { "worker", e->labels[i] }, { 0 } };

        coord_expose_count(&e->out, "weir_worker_key_groups", labels, e->status->workers[i].key_groups);
    }
}

/* ---- what workers have told ---- */

/* A family whose samples are a number of each worker, or of each of its operators or peers. */
typedef struct told_family {
    const char *name, *help;
    coord_family_type type;
    bool nanoseconds;
    size_t offset; /* of the number: in coord_counts, coord_counts_operator or coord_counts_peer */
} told_family;

#define OF(field) offsetof(coord_counts, field)
static const told_family worker_families[] = {
    { "weir_worker_row_steps_total", "Rows that entered steps, of all states.", COORD_COUNTER, false,
      OF(row_steps) },
    { "weir_worker_tasks_total", "Tasks run: a stage, a key group, a step.", COORD_COUNTER, false,
      OF(tasks) },
    { "weir_worker_steals_total", "Tasks that a thread took from another.", COORD_COUNTER, false,
      OF(steals) },
    { "weir_worker_sleeps_total", "Times that a thread found nothing to do and slept.", COORD_COUNTER,
      false, OF(sleeps) },
    { "weir_worker_allocations_total", "Times that the pool asked the system for memory.", COORD_COUNTER,
      false, OF(allocations) },
    { "weir_worker_pool_bytes", "Memory of the pool of batches.", COORD_GAUGE, false, OF(pool_bytes) },
    { "weir_worker_frames_parked_total", "Frames that came before their generation did.", COORD_COUNTER,
      false, OF(frames_parked) },
    { "weir_worker_snapshot_raw_bytes_total", "Bytes of snapshots' parts before they were encoded.",
      COORD_COUNTER, false, OF(part_bytes_raw) },
    { "weir_worker_snapshot_stored_bytes_total", "Bytes of snapshots' parts as they were written.",
      COORD_COUNTER, false, OF(part_bytes_stored) },
    { "weir_worker_snapshot_kept_bytes_total",
      "Raw bytes that had not changed since the snapshot before and were not written.", COORD_COUNTER,
      false, OF(part_bytes_kept) },
    { "weir_worker_snapshot_failures_total", "Parts of snapshots that could not be written.",
      COORD_COUNTER, false, OF(parts_failed) },
    { "weir_worker_restore_failures_total", "Times that the state of a generation could not be loaded.",
      COORD_COUNTER, false, OF(loads_failed) },
};
static const told_family worker_histograms[] = {
    { "weir_worker_snapshot_duration_seconds",
      "To write and sync a worker's part of a snapshot and its sinks' files.", COORD_HISTOGRAM, false,
      OF(parts) },
    { "weir_worker_restore_duration_seconds", "To load what a generation begins from.", COORD_HISTOGRAM,
      false, OF(loads) },
};
#undef OF

#define OF(field) offsetof(coord_counts_operator, field)
static const told_family operator_families[] = {
    { "weir_operator_calls_total", "Key groups that an operator processed, or a state committed.",
      COORD_COUNTER, false, OF(calls) },
    { "weir_operator_rows_in_total", "Rows that an operator read.", COORD_COUNTER, false, OF(rows_in) },
    { "weir_operator_rows_out_total", "Rows that an operator made.", COORD_COUNTER, false, OF(rows_out) },
    { "weir_operator_seconds_total", "Time in an operator, summed over threads.", COORD_COUNTER, true,
      OF(nanoseconds) },
};
#undef OF

#define OF(field) offsetof(coord_counts_peer, field)
static const told_family channel_families[] = {
    { "weir_channel_frames_sent_total", "Frames to a peer, those that were sent again among them.",
      COORD_COUNTER, false, OF(frames_sent) },
    { "weir_channel_frames_resent_total", "Frames that were sent again.", COORD_COUNTER, false,
      OF(frames_resent) },
    { "weir_channel_frames_parked_total", "Frames from a peer that came before one that was missing.",
      COORD_COUNTER, false, OF(frames_early) },
    { "weir_channel_sent_bytes_total", "Bytes of rows and states to a peer, each counted once.", COORD_COUNTER, false,
      OF(bytes_sent) },
    { "weir_channel_moved_bytes_total", "Bytes of key groups that moved to a peer, with what their kinds keep.",
      COORD_COUNTER, false, OF(bytes_moved) },
    { "weir_channel_buffered_bytes", "Bytes from a peer that wait for their task.", COORD_GAUGE, false,
      OF(buffered) },
    { "weir_channel_queued_frames", "Frames to a peer that wait for credit.", COORD_GAUGE, false,
      OF(queued) },
};
#undef OF

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static void expose_number(expose *e, const told_family *f, const coord_label *labels, const void *from)
{
    uint64_t value = *(const uint64_t *)((const char *)from + f->offset);

    if (f->nanoseconds)
        coord_expose_nanoseconds(&e->out, f->name, labels, value);
    else
        coord_expose_count(&e->out, f->name, labels, value);
}

static void expose_worker_family(expose *e, const told_family *f)
{
    coord_expose_family(&e->out, f->name, f->type, f->help);
    for (uint32_t i = 0; i < e->status->worker_count; i++) {
        const coord_counts *c = e->from->counts[i];
        const coord_label labels[] = { { "worker", e->labels[i] }, { 0 } };

        if (c != NULL && f->type == COORD_HISTOGRAM)
            coord_expose_histogram(&e->out, f->name, labels,
                                   (const coord_histogram *)(const void *)((const char *)c + f->offset));
        else if (c != NULL)
            expose_number(e, f, labels, c);
    }
}

static void expose_worker_rejected(expose *e)
{
    const char *name = "weir_worker_rejected_messages_total";

    coord_expose_family(&e->out, name, COORD_COUNTER, "Messages that a worker refused.");
    for (uint32_t i = 0; i < e->status->worker_count; i++)
        for (int r = PROTO_REJECT_ok + 1; e->from->counts[i] != NULL && r < PROTO_REJECT_COUNT; r++) {
            const coord_label labels[] = { { "worker", e->labels[i] },
                                           { "reason", proto_reject_name((proto_reject)r) }, { 0 } };

            coord_expose_count(&e->out, name, labels, e->from->counts[i]->rejected[r]);
        }
}

static void expose_operator_family(expose *e, const told_family *f)
{
    static const char *const roles[] = { "operator", "state", "sink" };

    coord_expose_family(&e->out, f->name, f->type, f->help);
    for (uint32_t i = 0; i < e->status->worker_count; i++) {
        const coord_counts *c = e->from->counts[i];

        for (uint32_t k = 0; c != NULL && k < c->operator_count; k++) {
            const coord_label labels[] = { { "worker", e->labels[i] },
                                           { "operator", c->operators[k].name },
                                           { "role", roles[c->operators[k].role] },
                                           { "kind", c->operators[k].kind }, { 0 } };

            expose_number(e, f, labels, &c->operators[k]);
        }
    }
}

static int member_compare(const void *a, const void *b)
{
    uint64_t x = ((const member_label *)a)->id, y = ((const member_label *)b)->id;

    return (x > y) - (x < y);
}

/* A peer that is not known any more has no label: null. */
static const char *peer_label(const expose *e, uint64_t id)
{
    const member_label key = { .id = id };
    const member_label *found = bsearch(&key, e->members, e->status->worker_count, sizeof key,
                                        member_compare);

    return found == NULL ? NULL : found->label;
}

/* All of a worker's channels: with many workers each pair would be too much to show. */
static coord_counts_peer peers_sum(const coord_counts *c)
{
    coord_counts_peer sum = { 0 };

    for (uint32_t k = 0; k < c->peer_count; k++) {
        const coord_counts_peer *p = &c->peers[k];

        sum.frames_sent += p->frames_sent;
        sum.frames_resent += p->frames_resent;
        sum.frames_early += p->frames_early;
        sum.bytes_sent += p->bytes_sent;
        sum.bytes_moved += p->bytes_moved;
        sum.buffered += p->buffered;
        sum.queued += p->queued;
    }
    return sum;
}

static void expose_channel_sums(expose *e, const told_family *f)
{
    for (uint32_t i = 0; i < e->status->worker_count; i++) {
        const coord_label labels[] = { { "worker", e->labels[i] }, { "peer", "all" }, { 0 } };
        coord_counts_peer sum;

        if (e->from->counts[i] == NULL)
            continue;
        sum = peers_sum(e->from->counts[i]);
        expose_number(e, f, labels, &sum);
    }
}

static void expose_channel_family(expose *e, const told_family *f)
{
    coord_expose_family(&e->out, f->name, f->type, f->help);
    if (e->status->worker_count > COORD_METRICS_PEERS_MAX) {
        expose_channel_sums(e, f);
        return;
    }
    for (uint32_t i = 0; i < e->status->worker_count; i++) {
        const coord_counts *c = e->from->counts[i];

        for (uint32_t k = 0; c != NULL && k < c->peer_count; k++) {
            const char *peer = peer_label(e, c->peers[k].id);
            const coord_label labels[] = { { "worker", e->labels[i] }, { "peer", peer }, { 0 } };

            if (peer != NULL)
                expose_number(e, f, labels, &c->peers[k]);
        }
    }
}

/* ---- how busy workers are ---- */

/* A family of a number of each row; those of units are shown when they were told. */
typedef struct row_family {
    const char *name, *help;
    enum { ROW_COUNT, ROW_REAL, ROW_NANOSECONDS } form;
    bool units;
    size_t offset;
} row_family;

#define OF(field) offsetof(coord_workers_row, field)
static const row_family row_families[] = {
    { "weir_worker_busy_ratio", "Of a worker's threads' time, what its process used.", ROW_REAL, false,
      OF(busy) },
    { "weir_worker_host_load_ratio", "Of its machine's processors' time, what all programs used.",
      ROW_REAL, false, OF(host_load) },
    { "weir_worker_host_free_bytes", "Memory that is left on its machine.", ROW_COUNT, false,
      OF(free_bytes) },
    { "weir_worker_process_bytes", "Memory of its process.", ROW_COUNT, false, OF(process_bytes) },
    { "weir_worker_state_rows", "Rows of the states in its key groups.", ROW_COUNT, true, OF(rows) },
    { "weir_worker_state_bytes", "Bytes of the states in its key groups.", ROW_COUNT, true, OF(bytes) },
    { "weir_worker_step_cost_seconds", "What a step of its key groups costs, summed over threads.",
      ROW_NANOSECONDS, true, OF(cost_ns) },
};
#undef OF

static void expose_row_family(expose *e, const row_family *f)
{
    coord_expose_family(&e->out, f->name, COORD_GAUGE, f->help);
    for (uint32_t i = 0; i < e->from->row_count; i++) {
        const coord_workers_row *row = &e->from->rows[i];
        const coord_label labels[] = { { "worker", peer_label(e, row->id) }, { 0 } };
        const void *value = (const char *)row + f->offset;

        if (labels[0].value == NULL || !row->told || (f->units && row->units_age_us == UINT64_MAX))
            continue;
        if (f->form == ROW_REAL)
            coord_expose_real(&e->out, f->name, labels, *(const double *)value);
        else if (f->form == ROW_NANOSECONDS)
            coord_expose_nanoseconds(&e->out, f->name, labels, *(const uint64_t *)value);
        else
            coord_expose_count(&e->out, f->name, labels, *(const uint64_t *)value);
    }
}

static void expose_told(expose *e)
{
    for (size_t i = 0; i < COUNT_OF(worker_families); i++)
        expose_worker_family(e, &worker_families[i]);
    for (size_t i = 0; i < COUNT_OF(worker_histograms); i++)
        expose_worker_family(e, &worker_histograms[i]);
    expose_worker_rejected(e);
    for (size_t i = 0; i < COUNT_OF(operator_families); i++)
        expose_operator_family(e, &operator_families[i]);
    for (size_t i = 0; i < COUNT_OF(channel_families); i++)
        expose_channel_family(e, &channel_families[i]);
}

/* ---- the whole ---- */

/* Two workers may call themselves the same, but no two samples may: then their numbers are added, as
 * they are to a label that could pass for such a one. */
static bool label_workers(expose *e)
{
    uint32_t count = e->status->worker_count;

    e->labels = calloc((size_t)count + 1, sizeof *e->labels);
    e->members = calloc((size_t)count + 1, sizeof *e->members);
    if (e->labels == NULL || e->members == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const coord_status_worker *w = &e->status->workers[i];
        bool taken = strchr(w->label, '(') != NULL;

        for (uint32_t k = 0; k < count && !taken; k++)
            taken = k != i && strcmp(e->status->workers[k].label, w->label) == 0;
        if (taken)
            snprintf(e->labels[i], sizeof e->labels[i], "%s (%" PRIx64 ")", w->label, w->id);
        else
            snprintf(e->labels[i], sizeof e->labels[i], "%s", w->label);
        e->members[i] = (member_label){ w->id, e->labels[i] };
    }
    qsort(e->members, count, sizeof *e->members, member_compare);
    return true;
}

char *coord_metrics_text(const coord_metrics *metrics, size_t *size)
{
    expose e = { .from = metrics, .status = metrics->status };
    char *text = NULL;

    df_writer_init_growing(&e.out, COORD_METRICS_SIZE_MAX);
    if (label_workers(&e)) {
        expose_job(&e);
        expose_snapshots(&e);
        expose_rescales(&e);
        expose_rejected(&e);
        expose_workers(&e);
        expose_worker_steps(&e);
        for (size_t f = 0; f < COUNT_OF(row_families); f++)
            expose_row_family(&e, &row_families[f]);
        expose_told(&e);
        text = (char *)df_writer_take(&e.out, size);
    }
    df_writer_fini(&e.out);
    free(e.labels);
    free(e.members);
    return text;
}
