/* Opening a state: whose it is, whether it may be used, what is in it. */
#include "coordinator/coord_server_private.h"

#include "coordinator/coord_ended.h"
#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_process.h"
#include "coordinator/coord_times.h"
#include "dataflow/df_build.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define STATE_ORDER_AHEAD  4u     /* steps granted while an order is synced */
#define STATE_CEILING_SPAN 16u
#define STATE_CEILING_MAX  65536u
#define STATE_ORDERS_KEPT  4096u

static void state_wake(void *user)
{
    coord_server_wake(user);
}

static proto_mode state_mode(df_fault_mode mode)
{
    return mode == DF_FAULT_NONE ? PROTO_MODE_NONE
                                 : mode == DF_FAULT_RETRY ? PROTO_MODE_RETRY : PROTO_MODE_SNAPSHOT;
}

static uint32_t state_capped(uint64_t value)
{
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static proto_coord_config state_config(const coord_server *s)
{
    const df_policy *p = s->job.policy;

    return (proto_coord_config){
        .job = s->number, .member_min = s->options.workers > 0 ? s->options.workers : 1,
        .member_max = PROTO_MEMBERS_MAX, .window = s->job.window,
        .order_ahead = STATE_ORDER_AHEAD, .ceiling_span = STATE_CEILING_SPAN,
        .ceiling_span_max = STATE_CEILING_MAX,
        .snapshot_every = p->snapshot ? state_capped(p->snapshot_every_steps) : 0,
        .snapshot_every_us = p->snapshot ? (uint64_t)(p->snapshot_every_seconds * 1e6) : 0,
        .orders_kept = STATE_ORDERS_KEPT, .restarts_max = p->fault_max_restarts, .sink_host = coord_process_host(),
        .backoff_us = (uint64_t)(p->fault_backoff_seconds * 1e6), .beat_us = COORD_BEAT_US,
        .silence_us = COORD_SILENCE_US, .attach_us = COORD_ATTACH_US, .install_us = COORD_INSTALL_US,
        .attempt_us = COORD_ATTEMPT_US, .retry_us = COORD_RETRY_US,
        .stream = { PROTO_PIECE_SIZE, PROTO_STREAM_WINDOW, COORD_STREAM_US },
        .stall_us = (uint64_t)(p->fault_stall_seconds * 1e6),
        .steps_per_second = s->job.pace, .mode = state_mode(p->fault_mode),
    };
}

/* ---- may it be used? ---- */

static df_status log_open(coord_server *s, df_hash *plan, df_error *err)
{
    coord_record_job job = { 0, s->job.shape->plan, s->job.plan->group_count };
    df_status status;

    if (getrandom(&job.job, sizeof job.job, 0) != (ssize_t)sizeof job.job)
        return df_fail(err, DF_EIO, "no random bytes");
    job.job = job.job >> 2 | 1; /* it goes through JSON, whose numbers have a sign */
    status = coord_log_open(&s->log, &s->disk, s->options.state, &job, state_wake, s, err);
    s->number = job.job;
    *plan = job.plan;
    return status;
}

static df_status log_begin_anew(coord_server *s, df_error *err)
{
    df_status status;
    df_hash plan;

    coord_log_close(&s->log);
    status = coord_state_clear(s->options.state, err);
    return status == DF_OK ? log_open(s, &plan, err) : status;
}

static df_status log_refuse_plan(const char *state, df_error *err)
{
    return df_fail(err, DF_EINVAL, "the run in %s is of another version of this job; --fresh removes it",
                   state);
}

/* Whoever killed it at the last moment hears what its last words would have been. */
static df_status log_refuse_ended(const char *state, df_error *err)
{
    coord_status *status = malloc(sizeof *status);
    char how[224] = "";

    if (status != NULL && coord_ended_read(status, NULL, state, NULL) == DF_OK)
        snprintf(how, sizeof how, "; it was %s at step %" PRIu64 " of %" PRIu64 "%s%s", status->phase, status->step,
                 status->steps, status->fingerprint[0] == '\0' ? "" : ", fingerprint ", status->fingerprint);
    free(status);
    return df_fail(err, DF_EINVAL, "the run in %.100s has ended; --fresh begins anew%s", state, how);
}

/* A run that is there: DF_OK, it is gone on with; DF_END, it is of no use any more. */
static df_status log_judge(const coord_server *s, bool same_plan, bool begun, proto_end end, df_error *err)
{
    const char *state = s->options.state;
    bool back = s->options.snapshot != 0;

    if (back && !begun)
        return df_fail(err, DF_EINVAL, "%s holds no run, and no snapshot to go back to", state);
    if (!back && s->options.begin == COORD_BEGIN_TAKE && (begun || end != PROTO_END_NOT))
        return same_plan ? DF_OK : log_refuse_plan(state, err);
    if (!back && s->options.begin == COORD_BEGIN_RESUME && begun && end != PROTO_END_NOT)
        return log_refuse_ended(state, err);
    if ((end != PROTO_END_NOT && !back) || s->options.begin == COORD_BEGIN_FRESH)
        return DF_END;
    if (!begun)
        return same_plan ? DF_OK : DF_END;
    if (s->options.begin == COORD_BEGIN_NEW)
        return df_fail(err, DF_EINVAL, "%s holds a run that has not ended; --resume goes on with it, "
                       "--fresh removes it", state);
    return same_plan ? DF_OK : log_refuse_plan(state, err);
}

/* A run goes on with the files that it began with, or its bits would be of two jobs. Without the file it was begun
 * with (it read nothing, or a person has removed it) nothing is compared. */
static df_status log_judge_inputs(const coord_server *s, df_error *err)
{
    const char *state = s->options.state, *now = s->job.inputs == NULL ? "" : s->job.inputs;
    char *then;
    size_t size;
    df_status status = coord_state_read(state, "inputs", &then, &size, err);

    if (status == DF_END)
        return DF_OK;
    if (status == DF_OK && strcmp(then, now) != 0)
        status = df_fail(err, DF_EINVAL, "the files that the job reads (kinds of your own among them) have changed since the "
                         "run in %s began; --fresh removes it; if its file \"inputs\" is removed, it goes on with those that "
                         "are there now", state);
    free(then);
    return status;
}

/* Another release may go on with a run, but its bits are of two then. (state_keep_job notes which one it is.) */
static void log_tell_source(const coord_server *s)
{
    char *then;
    size_t size;

    if (coord_state_read(s->options.state, "source", &then, &size, NULL) != DF_OK)
        return;
    if (strcmp(then, df_build_source()) != 0)
        fprintf(stderr, "weir: the run in %s is from another release of weir (source %.8s, this is %.8s): steps from here on may not have "
                "the bits that they would have had\n", s->options.state, then, df_build_source());
    free(then);
}

static df_status log_choose(coord_server *s, df_error *err)
{
    bool begun = false;
    proto_end end = PROTO_END_NOT;
    df_hash plan = { 0 };
    df_status status = log_open(s, &plan, err);

    if (status == DF_OK)
        status = coord_log_recover(s->log, NULL, &end, &begun, err);
    if (status == DF_ECORRUPT && s->options.begin == COORD_BEGIN_FRESH)
        status = DF_END;
    else if (status == DF_OK)
        status = log_judge(s, snap_hash_equal(plan, s->job.shape->plan), begun, end, err);
    if (status == DF_OK && begun && (end == PROTO_END_NOT || s->options.snapshot != 0)) {
        status = log_judge_inputs(s, err);
        log_tell_source(s);
    }
    return status == DF_END ? log_begin_anew(s, err) : status;
}

/* ---- the end ---- */

/* One that cannot be written must not be taken for that of another end, which did not come about. */
void server_keep_end(coord_server *server)
{
    coord_status *status = malloc(sizeof *status);
    char *text = NULL;
    df_error err = { .text = "out of memory" };

    if (status != NULL) {
        coord_server_status(server, status);
        text = coord_json_status(status);
        server->kept.is = true;
        server->kept.step = status->step;
        server->kept.snapshot = status->snapshot;
    }
    if (text == NULL || coord_state_write(server->options.state, "ended", text, strlen(text), &err) != DF_OK) {
        coord_state_remove(server->options.state, "ended");
        fprintf(stderr, "weir: %s/ended cannot be written: %s\n", server->options.state, err.text);
    }
    free(text);
    free(status);
}

void server_keep_end_again(coord_server *server)
{
    coord_status *status = server->kept.is ? malloc(sizeof *status) : NULL;

    if (status == NULL)
        return; /* there is nothing of ours, or what was kept stands */
    coord_server_status(server, status);
    if (status->step != server->kept.step || status->snapshot != server->kept.snapshot)
        server_keep_end(server);
    free(status);
}

/* Without it the log and the newest snapshot tell the end, but not why. */
static void state_read_ended(coord_server *s)
{
    coord_status *status = malloc(sizeof *status);
    df_error err;
    df_status got = status == NULL ? df_fail(&err, DF_ENOMEM, "out of memory")
                                   : coord_ended_read(status, NULL, s->options.state, &err);

    if (got == DF_OK) {
        s->ended = status;
        return;
    }
    if (got != DF_END)
        fprintf(stderr, "weir: %s/ended: %s\n", s->options.state, err.text);
    free(status);
}

static void state_read_finished(coord_server *s)
{
    char *text;
    size_t size;

    if (coord_state_read(s->options.state, "finished", &text, &size, NULL) != DF_OK)
        return;
    snprintf(s->fingerprint, sizeof s->fingerprint, "%.*s", (int)strcspn(text, "\n"), text);
    s->fingerprint_kept = true;
    free(text);
}

void server_forget_end(coord_server *server, bool but_fingerprint)
{
    if (!but_fingerprint) {
        coord_state_remove(server->options.state, "finished");
        server->fingerprint[0] = '\0';
        server->fingerprint_kept = false;
    }
    coord_state_remove(server->options.state, "ended");
    free(server->ended);
    server->ended = NULL;
    server->failed[0] = '\0';
    memset(server->failed_at, 0, sizeof server->failed_at);
}

/* ---- the whole ---- */

/* The folder whose record goes with the snapshots; null: none does. */
static const char *state_record(const coord_server *s)
{
    return s->job.policy->replay_record && !s->job.policy->replay_keep_all ? s->options.state : NULL;
}

/* What was submitted, for whoever wants to know; workers are told by message. */
static df_status state_keep_job(const coord_server *s, df_error *err)
{
    char paths[2 * PROTO_TEXT_SIZE_MAX + 4]; /* server_check has seen that they fit */
    df_status status = coord_state_write(s->options.state, "job.toml", s->job.text,
                                         strlen(s->job.text), err);

    if (status == DF_OK)
        status = coord_state_write(s->options.state, "sets", s->job.sets, strlen(s->job.sets), err);
    if (status == DF_OK && s->job.inputs != NULL && s->job.inputs[0] != '\0')
        status = coord_state_write(s->options.state, "inputs", s->job.inputs, strlen(s->job.inputs), err);
    if (status == DF_OK)
        status = coord_state_write(s->options.state, "source", df_build_source(), strlen(df_build_source()), err);
    snprintf(paths, sizeof paths, "%s\n%s\n", s->job.file, s->job.directory);
    if (status == DF_OK)
        status = coord_state_write(s->options.state, "job.path", paths, strlen(paths), err);
    return status;
}

/* What it costs is said before it is done. */
static df_status state_return(coord_server *s, df_error *err)
{
    uint32_t count;
    const snap_entry *entries = coord_commit_entries(s->commit, &count);
    proto_head to;

    if (s->options.snapshot == 0)
        return DF_OK;
    if (!coord_commit_find(s->commit, s->options.snapshot, &to))
        return df_fail(err, DF_EINVAL, "%s: there is no snapshot %" PRIu64 " that can be read",
                       s->options.state, s->options.snapshot);
    fprintf(stderr, "weir: back to snapshot %" PRIu64 ", step %" PRIu64 "; all later steps run again\n",
            to.attempt, to.step == 0 ? 0 : to.step - 1);
    for (uint32_t i = 0; i < count; i++)
        if (entries[i].snapshot > to.attempt && entries[i].damaged)
            fprintf(stderr, "weir: snapshot %" PRIu64 " is dropped; it is damaged\n", entries[i].snapshot);
        else if (entries[i].snapshot > to.attempt)
            fprintf(stderr, "weir: snapshot %" PRIu64 ", step %" PRIu64 ", is dropped\n",
                    entries[i].snapshot, entries[i].step == 0 ? 0 : entries[i].step - 1);
    proto_coord_return(s->coord, to, false);
    return DF_OK;
}

/* The job may be given more steps than it began with, and fewer, but not fewer than are in its snapshot. The state machine
 * counts ticks: the first fills the states, the last one feeds the sinks with the last step, and a snapshot may stand behind it. */
static df_status state_check_steps(const coord_server *s, df_error *err)
{
    proto_head head;

    if (!coord_commit_find(s->commit, s->options.snapshot, &head) || head.step <= s->job.plan->step_count)
        return DF_OK;
    return df_fail(err, DF_EINVAL, "the run in %s is at step %" PRIu64 ", in snapshot %" PRIu64 "; the job is to end before, at step %"
                   PRIu64, s->options.state, head.step - 1, head.attempt, s->job.plan->step_count - 2);
}

df_status server_state_open(coord_server *server, const proto_coord_env *env, df_error *err)
{
    const coord_commit_options committing = { .retain = server->job.policy->snapshot_retain,
                                              .accept_loss = server->options.snapshot != 0,
                                              .record = state_record(server) };
    proto_coord_config config;
    proto_coord_stats stats;
    char store[DF_PATH_MAX];
    proto_end end;
    bool begun;
    df_status s = coord_state_make(server->options.state, err);

    if (s == DF_OK)
        s = coord_state_path(store, server->options.state, "store", err);
    if (s == DF_OK)
        s = log_choose(server, err);
    if (s == DF_OK)
        s = state_keep_job(server, err);
    if (s == DF_OK)
        s = coord_state_nonce_write(server->nonce, server->options.state, err);
    if (s == DF_OK)
        s = coord_commit_open(&server->commit, &server->disk, store, server->job.shape,
                              &committing, state_wake, server, err);
    df_disk_posix_init(&server->intake_disk);
    if (s == DF_OK)
        s = coord_intake_new(&server->intake, &server->intake_disk, store, server->job.policy->snapshot_verify,
                             state_wake, server, err);
    if (s == DF_OK)
        s = coord_outlet_new(&server->outlet, store, state_wake, server, err);
    if (s != DF_OK)
        return s;
    config = state_config(server);
    server->coord = proto_coord_new(server->job.plan, &config, env);
    s = coord_log_recover(server->log, server->coord, &end, &begun, err);
    if (!server->options.workers_survive)
        proto_coord_size(server->coord, config.member_min, config.member_max);
    proto_coord_stats_get(server->coord, &stats);
    server->attempts_lost = stats.orders;
    state_read_finished(server);
    if (end != PROTO_END_NOT)
        state_read_ended(server);
    else
        coord_state_remove(server->options.state, "ended"); /* of an end that did not come about */
    if (s == DF_OK)
        s = state_return(server, err);
    return s == DF_OK && end == PROTO_END_NOT ? state_check_steps(server, err) : s;
}
