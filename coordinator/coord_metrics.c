#include "coordinator/coord_metrics_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the coordinator's own ---- */

static void one(metrics_page *page, const char *name, coord_family_type type, const char *help, uint64_t value)
{
    coord_expose_family(&page->out, name, type, help);
    coord_expose_count(&page->out, name, NULL, value);
}

static void expose_phase(metrics_page *page)
{
    static const char *const phases[] = { "waiting", "running", "paused", "done",
                                          "drained", "cancelled", "failed" };
    const char *name = "weir_phase";

    coord_expose_family(&page->out, name, COORD_GAUGE, "1 for the phase that the job is in.");
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        const coord_label labels[] = { { "phase", phases[i] }, { 0 } };

        coord_expose_count(&page->out, name, labels, strcmp(page->status->phase, phases[i]) == 0);
    }
}

/* Tick n + 1 is step n. */
static uint64_t step_of(uint64_t tick)
{
    return tick == 0 ? 0 : tick - 1;
}

static void expose_job(metrics_page *page, const coord_metrics *m)
{
    const coord_status *s = page->status;
    const coord_label labels[] = { { "name", s->job }, { 0 } };

    coord_expose_family(&page->out, "weir_info", COORD_GAUGE, "The job that runs; always 1.");
    coord_expose_count(&page->out, "weir_info", labels, 1);
    expose_phase(page);
    one(page, "weir_generation", COORD_GAUGE, "The job's generation, raised when workers are lost.",
        s->generation);
    one(page, "weir_incarnation", COORD_GAUGE, "How often a coordinator of this job was started.",
        s->incarnation);
    one(page, "weir_restarts_total", COORD_COUNTER, "Returns to a snapshot because workers were lost.",
        s->restarts);
    one(page, "weir_stalls_total", COORD_COUNTER, "Restarts because no step was done for too long.", s->stalls);
    one(page, "weir_restores_total", COORD_COUNTER, "Returns to a snapshot that somebody asked for.",
        s->restores);
    coord_expose_family(&page->out, "weir_step", COORD_GAUGE, "The last step that is complete.");
    if (s->begun)
        coord_expose_count(&page->out, "weir_step", NULL, s->step);
    one(page, "weir_late_steps_total", COORD_COUNTER,
        "Steps that were not done when the pace let the next one begin.", s->late_steps);
    one(page, "weir_steps", COORD_GAUGE, "The job's last step.", s->steps);
    one(page, "weir_bound", COORD_GAUGE, "Steps below it may start.", step_of(m->bound));
    one(page, "weir_ceiling", COORD_GAUGE, "No step from here on may start before the log was synced again.",
        step_of(m->ceiling));
    one(page, "weir_degraded", COORD_GAUGE, "1 while snapshots do not get through; the status says why.",
        s->degraded[0] != '\0');
    one(page, "weir_history_orders", COORD_GAUGE, "Orders in the history.", s->orders);
    one(page, "weir_history_full", COORD_GAUGE, "1 if the history takes no more orders, snapshots' among them.",
        s->history_full);
    one(page, "weir_history_left_bytes", COORD_GAUGE,
        "Bytes that orders may still take before the history is made shorter.",
        s->history_left);
}

static void expose_last_snapshot(metrics_page *page, const coord_metrics *m)
{
    const snap_entry *last = m->last;

    if (last == NULL)
        return;
    one(page, "weir_snapshot_last_id", COORD_GAUGE, "Number of the newest snapshot.", last->snapshot);
    one(page, "weir_snapshot_last_step", COORD_GAUGE, "Step that the newest snapshot enters.",
        page->status->snapshot_step);
    one(page, "weir_snapshot_last_size_bytes", COORD_GAUGE, "Stored size of the newest snapshot.", last->size);
    one(page, "weir_snapshot_last_written_bytes", COORD_GAUGE,
        "Of that, what it wrote itself; the rest is shared with older ones.", last->size_own);
    one(page, "weir_snapshot_last_rows", COORD_GAUGE, "Rows in the newest snapshot.", last->rows);
    coord_expose_family(&page->out, "weir_snapshot_last_timestamp_seconds", COORD_GAUGE,
                        "When the newest snapshot was taken, in Unix time.");
    coord_expose_nanoseconds(&page->out, "weir_snapshot_last_timestamp_seconds", NULL,
                             last->created_ms * 1000000);
    if (m->last_seconds < 0)
        return;
    coord_expose_family(&page->out, "weir_snapshot_last_duration_seconds", COORD_GAUGE,
                        "From the order to the commit of the newest snapshot.");
    coord_expose_real(&page->out, "weir_snapshot_last_duration_seconds", NULL, m->last_seconds);
    coord_expose_family(&page->out, "weir_snapshot_last_commit_seconds", COORD_GAUGE,
                        "From the last worker's part to the commit of the newest snapshot.");
    coord_expose_real(&page->out, "weir_snapshot_last_commit_seconds", NULL, m->commit_seconds);
}

/* A snapshot's time in its phases, which is all of it. */
static void expose_snapshot_phases(metrics_page *page, const coord_metrics *m)
{
    static const char *const phases[] = { [COORD_SNAPSHOT_REACH] = "reach", [COORD_SNAPSHOT_WRITE] = "write",
                                          [COORD_SNAPSHOT_COMMIT] = "commit" };
    const char *name = "weir_snapshot_phase_duration_seconds";

    coord_expose_family(&page->out, name, COORD_HISTOGRAM,
                        "Of a snapshot: until its step is reached, its parts are written, it is committed.");
    for (uint32_t i = 0; i < COORD_SNAPSHOT_PHASES; i++) {
        const coord_label labels[] = { { "phase", phases[i] }, { 0 } };

        coord_expose_histogram(&page->out, name, labels, &m->phases[i]);
    }
}

static void expose_snapshots(metrics_page *page, const coord_metrics *m)
{
    const coord_status *s = page->status;

    one(page, "weir_snapshots_taken_total", COORD_COUNTER, "Snapshots that were committed.",
        s->snapshots_taken);
    one(page, "weir_snapshots_aborted_total", COORD_COUNTER, "Snapshots that were given up.",
        s->snapshots_aborted);
    one(page, "weir_snapshots_skipped_total", COORD_COUNTER,
        "Snapshots that were due while another one was being taken.", s->snapshots_skipped);
    one(page, "weir_snapshot_running", COORD_GAUGE, "1 while a snapshot is being taken.", s->snapshot_runs);
    expose_last_snapshot(page, m);
    coord_expose_family(&page->out, "weir_snapshot_duration_seconds", COORD_HISTOGRAM,
                        "From the order to the commit of a snapshot.");
    coord_expose_histogram(&page->out, "weir_snapshot_duration_seconds", NULL, m->snapshots);
    expose_snapshot_phases(page, m);
}

static void expose_rescales(metrics_page *page, const coord_rescale_totals *totals)
{
    const char *name = "weir_rescales_total";

    coord_expose_family(&page->out, name, COORD_COUNTER,
                        "Changes of workers or of who owns key groups, by how they ended.");
    for (uint32_t k = 0; k < COORD_RESCALE_KINDS; k++)
        for (uint32_t i = 0; i < COORD_RESCALE_ENDS; i++) {
            const coord_label labels[] = { { "what", coord_rescale_kinds[k] },
                                           { "end", coord_rescale_ends[i] }, { 0 } };

            coord_expose_count(&page->out, name, labels, totals->ended[k][i]);
        }
    one(page, "weir_rescale_running", COORD_GAUGE, "1 while workers or owners are being changed.",
        page->status->rescale.what[0] != '\0');
    one(page, "weir_rescale_key_groups_moved_total", COORD_COUNTER,
        "Key groups that changes which are done have moved.", totals->key_groups);
    one(page, "weir_rescale_bytes_moved_total", COORD_COUNTER,
        "Bytes of the states in them, as their workers told last before.", totals->bytes);
}

static void expose_rejected(metrics_page *page)
{
    const char *name = "weir_rejected_messages_total";

    coord_expose_family(&page->out, name, COORD_COUNTER, "Messages that the coordinator refused.");
    for (int i = PROTO_REJECT_ok + 1; i < PROTO_REJECT_COUNT; i++) {
        const coord_label labels[] = { { "reason", proto_reject_name((proto_reject)i) }, { 0 } };

        coord_expose_count(&page->out, name, labels, page->status->rejected[i]);
    }
}

/* ---- what the coordinator knows of workers ---- */

static void expose_workers(metrics_page *page)
{
    static const char *const states[] = { "here", "missing", "spare" };
    uint64_t counts[3] = { 0 };

    for (uint32_t i = 0; i < page->status->worker_count; i++) {
        const coord_status_worker *w = &page->status->workers[i];

        counts[!w->member ? 2 : !w->here]++;
    }
    coord_expose_family(&page->out, "weir_workers", COORD_GAUGE,
                        "Workers: members that are here, members that are waited for, spare ones.");
    for (size_t i = 0; i < 3; i++) {
        const coord_label labels[] = { { "state", states[i] }, { 0 } };

        coord_expose_count(&page->out, "weir_workers", labels, counts[i]);
    }
}

static void expose_worker_steps(metrics_page *page)
{
    coord_expose_family(&page->out, "weir_worker_step", COORD_GAUGE,
                        "The last step that is complete at a worker.");
    for (uint32_t i = 0; i < page->status->worker_count; i++) {
        const coord_label labels[] = { { "worker", page->labels[i] }, { 0 } };

        if (page->status->workers[i].member && page->status->workers[i].begun)
            coord_expose_count(&page->out, "weir_worker_step", labels, page->status->workers[i].step);
    }
    coord_expose_family(&page->out, "weir_worker_silent_seconds", COORD_GAUGE,
                        "Since a worker was heard last.");
    for (uint32_t i = 0; i < page->status->worker_count; i++) {
        const coord_label labels[] = { { "worker", page->labels[i] }, { 0 } };

        coord_expose_nanoseconds(&page->out, "weir_worker_silent_seconds", labels,
                                 page->status->workers[i].silent_us * 1000);
    }
    coord_expose_family(&page->out, "weir_worker_cores", COORD_GAUGE, "Processors of a worker's machine.");
    for (uint32_t i = 0; i < page->status->worker_count; i++) {
        const coord_label labels[] = { { "worker", page->labels[i] }, { 0 } };

        coord_expose_count(&page->out, "weir_worker_cores", labels, page->status->workers[i].cores);
    }
    coord_expose_family(&page->out, "weir_worker_memory_bytes", COORD_GAUGE, "Memory of a worker's machine.");
    for (uint32_t i = 0; i < page->status->worker_count; i++) {
        const coord_label labels[] = { { "worker", page->labels[i] }, { 0 } };

        coord_expose_count(&page->out, "weir_worker_memory_bytes", labels, page->status->workers[i].memory);
    }
    coord_expose_family(&page->out, "weir_worker_key_groups", COORD_GAUGE, "Key groups that a worker owns.");
    for (uint32_t i = 0; i < page->status->worker_count; i++) {
        const coord_label labels[] = { { "worker", page->labels[i] }, { 0 } };

        coord_expose_count(&page->out, "weir_worker_key_groups", labels, page->status->workers[i].key_groups);
    }
}

/* ---- the whole ---- */

static int member_compare(const void *a, const void *b)
{
    uint64_t x = ((const metrics_member *)a)->id, y = ((const metrics_member *)b)->id;

    return (x > y) - (x < y);
}

void metrics_sample(metrics_page *page, const metrics_family *f, const coord_label *labels, const void *thing)
{
    const void *value = (const char *)thing + f->offset;

    switch (f->form) {
    case METRICS_NUMBER:
        coord_expose_count(&page->out, f->name, labels, *(const uint64_t *)value);
        break;
    case METRICS_REAL:
        coord_expose_real(&page->out, f->name, labels, *(const double *)value);
        break;
    case METRICS_NANOSECONDS:
        coord_expose_nanoseconds(&page->out, f->name, labels, *(const uint64_t *)value);
        break;
    case METRICS_CALLS:
        coord_expose_count(&page->out, f->name, labels, df_spans_count(value));
        break;
    case METRICS_SPANS:
        coord_expose_spans(&page->out, f->name, labels, value);
        break;
    case METRICS_HISTOGRAM:
        coord_expose_histogram(&page->out, f->name, labels, value);
        break;
    }
}

const char *metrics_worker(const metrics_page *page, uint64_t id)
{
    const metrics_member key = { .id = id };
    const metrics_member *found = bsearch(&key, page->members, page->status->worker_count, sizeof key,
                                          member_compare);

    return found == NULL ? NULL : found->label;
}

/* Two workers may call themselves the same, but no two samples may: then their numbers are added, as
 * they are to a label that could pass for such a one. */
static bool label_workers(metrics_page *page)
{
    uint32_t count = page->status->worker_count;

    page->labels = calloc((size_t)count + 1, sizeof *page->labels);
    page->members = calloc((size_t)count + 1, sizeof *page->members);
    if (page->labels == NULL || page->members == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const coord_status_worker *w = &page->status->workers[i];
        bool taken = strchr(w->label, '(') != NULL;

        for (uint32_t k = 0; k < count && !taken; k++)
            taken = k != i && strcmp(page->status->workers[k].label, w->label) == 0;
        if (taken)
            snprintf(page->labels[i], sizeof page->labels[i], "%s (%" PRIx64 ")", w->label, w->id);
        else
            snprintf(page->labels[i], sizeof page->labels[i], "%s", w->label);
        page->members[i] = (metrics_member){ w->id, page->labels[i] };
    }
    qsort(page->members, count, sizeof *page->members, member_compare);
    return true;
}

bool metrics_begin(metrics_page *page, const coord_status *status)
{
    *page = (metrics_page){ .status = status };
    df_writer_init_growing(&page->out, COORD_METRICS_SIZE_MAX);
    return label_workers(page);
}

char *metrics_end(metrics_page *page, bool wanted, size_t *size)
{
    char *text = wanted ? (char *)df_writer_take(&page->out, size) : NULL;

    df_writer_fini(&page->out);
    free(page->labels);
    free(page->members);
    return text;
}

char *coord_metrics_text(const coord_metrics *metrics, size_t *size)
{
    metrics_page page;
    bool ok = metrics_begin(&page, metrics->status);

    if (ok) {
        expose_job(&page, metrics);
        expose_snapshots(&page, metrics);
        expose_rescales(&page, metrics->rescales);
        expose_rejected(&page);
        expose_workers(&page);
        expose_worker_steps(&page);
        metrics_loads(&page, metrics->rows, metrics->row_count);
        ok = metrics_counts(&page, metrics->counts);
    }
    return metrics_end(&page, ok, size);
}
