/* What clients ask: how the job stands, in JSON. */
#include "coordinator/coord_server_private.h"

#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Step n is tick n + 1; with `low` ticks done, the last one is low - 1. */
static bool step_of(uint64_t low, uint64_t *step)
{
    *step = low >= 2 ? low - 2 : 0;
    return low >= 2;
}

/* ---- the speed ---- */

static double status_speed(const coord_server *s)
{
    uint32_t last, first;
    double seconds;

    if (s->sample_count < 2)
        return 0;
    last = (s->sample_count - 1) % SERVER_SAMPLES;
    first = s->sample_count <= SERVER_SAMPLES ? 0 : s->sample_count % SERVER_SAMPLES;
    seconds = 1e-6 * (double)(s->samples[last].us - s->samples[first].us);
    if (seconds <= 0 || s->samples[last].low < s->samples[first].low)
        return 0;
    return (double)(s->samples[last].low - s->samples[first].low) / seconds;
}

/* ---- status ---- */

static const char *status_phase(const coord_server *s, const proto_coord_stats *stats)
{
    static const char *const ends[] = {
        [PROTO_END_DONE] = "done", [PROTO_END_DRAINED] = "drained",
        [PROTO_END_CANCELLED] = "cancelled", [PROTO_END_FAILED] = "failed",
    };

    (void)s;
    if (stats->end != PROTO_END_NOT)
        return ends[stats->end];
    if (!stats->running)
        return "waiting";
    return stats->paused ? "paused" : "running";
}

/* For what it waits, and for whom. */
static void status_waiting(const coord_server *s, const proto_coord_stats *stats, coord_status *status)
{
    size_t used = (size_t)snprintf(status->waiting, sizeof status->waiting, "%s", stats->waiting);
    const char *before = ": ";

    if (stats->running || stats->end != PROTO_END_NOT)
        return;
    for (uint32_t i = 0; i < status->worker_count && used < sizeof status->waiting; i++)
        if (status->workers[i].member && !status->workers[i].here) {
            used += (size_t)snprintf(status->waiting + used, sizeof status->waiting - used, "%s%s",
                                     before, status->workers[i].label);
            before = ", ";
        }
    for (uint32_t i = 0; i < status->worker_count && used < sizeof status->waiting; i++) {
        char why[160];

        if ((status->workers[i].member && !stats->roomless) || !server_refuses(s, status->workers[i].id, false, why))
            continue;
        used += (size_t)snprintf(status->waiting + used, sizeof status->waiting - used, "%s%s: %s", before,
                                 status->workers[i].label, why);
        before = "; ";
    }
    if (used < sizeof status->waiting && before[0] == ':' && s->options.workers > 0 &&
        status->worker_count < s->options.workers)
        snprintf(status->waiting + used, sizeof status->waiting - used, ": %u of %u are here",
                 status->worker_count, s->options.workers);
}

/* "w2" before "w10" */
static int by_label(const void *a, const void *b)
{
    const coord_status_worker *x = a, *y = b;

    return strverscmp(x->label, y->label);
}

static void status_workers(coord_server *s, coord_status *status)
{
    const proto_coord_worker *list = s->workers;
    uint32_t count = proto_coord_workers_get(s->coord, s->workers, PROTO_WORKERS_MAX);

    for (uint32_t i = 0; i < count; i++) {
        coord_status_worker *w = &status->workers[i];
        const server_peer *peer = server_peer_find(s, list[i].id);

        server_label(s, list[i].id, w->label);
        w->id = list[i].id;
        w->pid = coord_process_pid(list[i].process);
        w->host = list[i].host;
        w->member = list[i].member;
        w->here = list[i].here;
        w->key_groups = list[i].groups;
        w->begun = step_of(list[i].done, &w->step);
        w->silent_us = list[i].silent_us;
        w->cores = peer == NULL ? 0 : peer->cores;
        w->memory = peer == NULL ? 0 : peer->memory;
        server_behind(s, list[i].id, server_now_us(), w->behind, sizeof w->behind);
    }
    status->worker_count = count;
    qsort(status->workers, count, sizeof *status->workers, by_label);
}

/* "worker w2 was lost", and where to look. */
static void status_lost(const coord_server *s, const proto_coord_stats *stats, coord_status *status)
{
    const df_policy *p = s->job.policy;
    char label[WEIR_NAME_MAX], why[96] = "", where[DF_PATH_MAX] = "";
    uint32_t log = s->lost.log, slot;

    server_lost_label(s, stats->missing, label);
    if (stats->missing != s->lost.id)
        log = coord_children_has(s->children, stats->missing, &slot) ? slot + 1 : 0;
    if (p->fault_mode == DF_FAULT_NONE)
        snprintf(why, sizeof why, "the job has mode = \"none\"");
    else
        snprintf(why, sizeof why, "after %llu restarts without a new snapshot, and max_restarts is %u",
                 (unsigned long long)stats->restarts_in_a_row, p->fault_max_restarts);
    if (log != 0)
        snprintf(where, sizeof where, "; %.200s/worker-%u.log says more", s->options.state, log);
    snprintf(status->error, sizeof status->error, "worker %s was lost: %s%.240s", label, why, where);
}

static void status_error(const coord_server *s, const proto_coord_stats *stats, coord_status *status)
{
    if (s->status != DF_OK)
        snprintf(status->error, sizeof status->error, "%s", s->error.text);
    else if (stats->end == PROTO_END_FAILED && s->failed[0] != '\0')
        snprintf(status->error, sizeof status->error, "%s", s->failed);
    else if (stats->end == PROTO_END_FAILED && stats->failed)
        snprintf(status->error, sizeof status->error, "a task failed at step %llu",
                 (unsigned long long)(stats->failed_step == 0 ? 0 : stats->failed_step - 1));
    else if (stats->end == PROTO_END_FAILED && stats->missing == 0)
        snprintf(status->error, sizeof status->error, "it had failed; its workers' logs may say why");
    else if (stats->end == PROTO_END_FAILED)
        status_lost(s, stats, status);
}

static void status_rescales(const coord_server *s, coord_status *status)
{
    status->rescale = s->change.row;
    if (s->rescale_count > 0)
        status->rescaled = s->rescales[s->rescale_count - 1];
    for (uint32_t kind = 0; kind < COORD_RESCALE_KINDS; kind++)
        for (uint32_t end = 0; end < COORD_RESCALE_ENDS; end++)
            status->rescales += s->seen.rescales.ended[kind][end];
}

/* As an earlier process has told it: this one has nobody who could tell. */
static bool status_ended(const coord_server *s, const proto_coord_stats *stats, coord_status *status)
{
    if (s->ended == NULL || stats->end == PROTO_END_NOT)
        return false;
    *status = *s->ended;
    status->incarnation = stats->incarnation;
    status->worker_count = 0;
    return true;
}

/* The last snapshot of a job that is done or drained is of its last step. */
static uint64_t status_low(const proto_coord_stats *stats)
{
    bool whole = stats->end == PROTO_END_DONE || stats->end == PROTO_END_DRAINED;

    return whole && stats->low < stats->head.step ? stats->head.step : stats->low;
}

/* A snapshot holds what enters a step, so it is of the one before; the final one is behind the last step. */
static void status_head(const proto_head *head, uint64_t steps, uint64_t *snapshot, uint64_t *step)
{
    *snapshot = head->attempt;
    *step = head->step == 0 ? 0 : head->step - 1;
    if (*step > steps)
        *step = steps;
}

void coord_server_status(coord_server *server, coord_status *status)
{
    proto_coord_stats stats;

    memset(status, 0, sizeof *status);
    proto_coord_stats_get(server->coord, &stats);
    if (status_ended(server, &stats, status))
        return;
    snprintf(status->job, sizeof status->job, "%s", server->job.name);
    status->number = server->number;
    snprintf(status->phase, sizeof status->phase, "%s", status_phase(server, &stats));
    status_workers(server, status);
    status_waiting(server, &stats, status);
    status_error(server, &stats, status);
    snprintf(status->fingerprint, sizeof status->fingerprint, "%s", server->fingerprint);
    if (server->http != NULL)
        snprintf(status->metrics, sizeof status->metrics, "%s", coord_http_address(server->http));
    status->generation = stats.generation;
    status->incarnation = stats.incarnation;
    status->restarts = stats.restarts;
    status->restores = stats.restores;
    status->stalls = stats.stalls;
    status->begun = step_of(status_low(&stats), &status->step);
    status->steps = server->job.plan->step_count < 2 ? 0 : server->job.plan->step_count - 2;
    if (status->step > status->steps)
        status->step = status->steps;
    status->steps_per_second = stats.end == PROTO_END_NOT ? status_speed(server) : 0;
    status->late_steps = stats.late_steps;
    status_head(&stats.head, status->steps, &status->snapshot, &status->snapshot_step);
    status_head(&stats.base, status->steps, &status->base, &status->base_step);
    status->snapshot_runs = stats.attempt != 0;
    status->snapshots_taken = stats.commits;
    status->snapshots_aborted = stats.aborts;
    status->snapshots_skipped = stats.skipped;
    snprintf(status->degraded, sizeof status->degraded, "%s", server->degraded);
    snprintf(status->scaling, sizeof status->scaling, "%s", server->scale_text);
    status_rescales(server, status);
    status->orders = stats.orders;
    status->history_left = coord_log_room(server->log);
    status->history_full = status->history_left == 0;
    for (int i = 0; i < PROTO_REJECT_COUNT; i++)
        status->rejected[i] = stats.rejected[i] + server->wire.rejected[i];
}

/* ---- questions ---- */

static char *reply_status(coord_server *s)
{
    coord_status *status = malloc(sizeof *status);
    char *text;

    if (status == NULL)
        return NULL;
    coord_server_status(s, status);
    text = coord_json_status(status);
    free(status);
    return text;
}

static char *reply_snapshots(coord_server *s)
{
    uint32_t count;
    const snap_entry *entries = coord_commit_entries(s->commit, &count);

    return coord_json_snapshots(coord_commit_head(s->commit).attempt, entries, count);
}

static char *reply_workers(coord_server *s)
{
    coord_workers_row *rows = calloc(PROTO_WORKERS_MAX, sizeof *rows);
    char balance[256], *text;

    if (rows == NULL)
        return NULL;
    server_balance_text(s, balance);
    text = coord_json_workers(s->job.name, balance, rows, server_workers(s, rows));
    free(rows);
    return text;
}

/* The label of the next snapshot that begins. */
static char *reply_label(coord_server *s, const coord_question *q)
{
    proto_coord_stats stats;

    proto_coord_stats_get(s->coord, &stats);
    coord_commit_label(s->commit, q->label, stats.orders);
    return coord_json_done();
}

void server_take_query(coord_server *server, const proto_msg *msg)
{
    proto_msg out = { .header = { .type = PROTO_TYPE_reply, .job = server->number } };
    coord_question q = { 0 };
    char *text;

    if (!coord_json_question_read(&q, (const char *)msg->query.text.data, msg->query.text.size))
        text = coord_json_error("the question makes no sense");
    else if (strcmp(q.what, "status") == 0)
        text = reply_status(server);
    else if (strcmp(q.what, "snapshots") == 0)
        text = reply_snapshots(server);
    else if (strcmp(q.what, "workers") == 0)
        text = reply_workers(server);
    else if (strcmp(q.what, "label") == 0)
        text = reply_label(server, &q);
    else if (strcmp(q.what, "rescales") == 0)
        text = server_rescales(server);
    else
        text = coord_json_error("the question is not known");
    if (text != NULL && strlen(text) > PROTO_JOB_SIZE_MAX) {
        free(text);
        text = coord_json_error("the answer is longer than a message may be");
    }
    if (text == NULL)
        return;
    out.reply.number = msg->query.number;
    out.reply.text = (proto_bytes){ (const uint8_t *)text, (uint32_t)strlen(text) };
    server_send(server, msg->header.sender, &out);
    free(text);
}
