#include "coordinator/coord_server_private.h"

#include "coordinator/coord_process.h"
#include "coordinator/coord_rotate.h"
#include "coordinator/coord_times.h"
#include "dataflow/df_failpoint.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERVER_PATH_MAX  300u
#define SERVER_EVENTS_MAX 1000u  /* taken in one turn */
#define SERVER_SAMPLE_US 500000u
#define SERVER_ROTATE_US 1000000u
#define SERVER_TELL_US   10000000u /* between two warnings of one kind */

uint64_t server_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void server_fail(coord_server *s, df_status status, const df_error *err)
{
    if (s->status != DF_OK)
        return;
    s->status = status;
    s->error = *err;
}

/* ---- what the state machine wants ---- */

/* What cannot be sent now is lost: the protocol says it again. */
void server_send(coord_server *server, uint64_t to, const proto_msg *msg)
{
    coord_wire_send(&server->wire, server->net, to, msg);
}

static void env_send(void *user, uint64_t to, const proto_msg *msg)
{
    coord_server *s = user;

    if (to == SERVER_SELF)
        return;
    if (msg->header.type == PROTO_TYPE_install)
        server_tell_peers(s, to);
    if (msg->header.type == PROTO_TYPE_order && msg->order.kind == PROTO_ORDER_MEMBERS)
        server_tell_order(s, to, msg->order.payload);
    server_send(s, to, msg);
}

static void env_append(void *user, const proto_record *record)
{
    coord_server *s = user;

    if (record->kind == PROTO_RECORD_END)
        server_keep_end(s);
    if (record->kind == PROTO_RECORD_GENERATION || record->order.kind == PROTO_ORDER_MEMBERS)
        s->roster.whole = false; /* others are members */
    coord_log_append(s->log, record);
}

static void env_sync(void *user)
{
    coord_server *s = user;

    coord_log_sync(s->log);
}

static void env_commit(void *user, const proto_commit *commit)
{
    coord_server *s = user;

    server_metrics_commits(s, server_now_us(), commit->attempt);
    coord_commit_begin(s->commit, commit);
}

static bool env_find(void *user, uint64_t snapshot, proto_head *head)
{
    coord_server *s = user;

    return coord_commit_find(s->commit, snapshot, head);
}

static void env_restore(void *user, uint64_t snapshot)
{
    coord_server *s = user;
    proto_head to;
    bool last = coord_commit_find(s->commit, snapshot, &to) && to.step >= s->job.plan->step_count;

    server_forget_end(s, last); /* behind the last step nobody computes that again */
    coord_commit_restore(s->commit, snapshot);
}

/* Who holds a lock is what somebody says: only a process of our own kind on this machine is killed. */
static void env_kill(void *user, uint64_t process)
{
    df_error err;

    (void)user;
    if (process == coord_process_self() || !coord_process_is_like_us(process))
        return;
    if (coord_process_signal(process, SIGKILL, &err) == DF_EIO)
        fprintf(stderr, "weir: %s\n", err.text);
}

static void env_stop(void *user)
{
    coord_server *s = user;
    df_error err;

    server_fail(s, df_fail(&err, DF_EIO, "the coordinator's log failed"), &err);
}

static void env_collect(void *user, const proto_collect *piece)
{
    coord_server *s = user;

    coord_intake_put(s->intake, piece);
}

static void env_serve(void *user, uint64_t worker, const proto_fetch *what)
{
    coord_server *s = user;

    df_failpoint_pass(DF_FAILPOINT_stream_serve);
    coord_outlet_put(s->outlet, worker, what);
}

static bool env_refuses(void *user, uint64_t worker, bool member)
{
    char text[160];

    return server_refuses(user, worker, member, text);
}

/* ---- frames ---- */

static bool role_may(coord_role role, uint16_t type)
{
    if (type == PROTO_TYPE_query)
        return role >= COORD_ROLE_READ_ONLY;
    if (type == PROTO_TYPE_command || type == PROTO_TYPE_inject || type == PROTO_TYPE_operate)
        return role == COORD_ROLE_ADMIN;
    return role >= COORD_ROLE_WORKER;
}

/* What somebody may not ask; or what the protocol could do and the engine cannot: no kind reads live
 * input. */
static void server_refuse(coord_server *s, const proto_msg *msg)
{
    static const char text[] = "{\"error\":\"refused: not with this key\"}";
    proto_msg answer = { .header = { .type = PROTO_TYPE_answer, .job = s->number } };

    if (msg->header.type == PROTO_TYPE_operate) {
        answer.header.type = PROTO_TYPE_reply;
        answer.reply = (proto_reply){ msg->operate.number, { (const uint8_t *)text, sizeof text - 1 } };
        server_send(s, msg->header.sender, &answer);
        return;
    }
    answer.answer.number = msg->header.type == PROTO_TYPE_inject ? msg->inject.number
                                                                 : msg->command.number;
    answer.answer.status = PROTO_ANSWER_REFUSED;
    server_send(s, msg->header.sender, &answer);
}

static void server_room(coord_server *s)
{
    uint64_t left = coord_log_room(s->log);
    bool orders = left > 0;
    bool inputs = orders && coord_log_takes_input(s->log, PROTO_INPUT_SIZE_MAX);

    proto_coord_room(s->coord, inputs ? PROTO_ROOM_ALL : orders ? PROTO_ROOM_NO_INPUT
                                                                : PROTO_ROOM_NO_ORDERS, left);
    if (!orders && !s->full_told)
        fprintf(stderr, "weir: the history in %s is full: no snapshot is taken any more\n",
                s->options.state);
    s->full_told = !orders;
}

static void server_frame(coord_server *s, const coord_net_event *e)
{
    proto_msg msg;
    proto_reject reject = coord_wire_take(&s->wire, e, &msg);
    bool asks;

    if (reject == PROTO_REJECT_version)
        coord_wire_refuse_version(&s->wire, s->net, e, s->number);
    if (reject != PROTO_REJECT_ok)
        return;
    asks = msg.header.type == PROTO_TYPE_command || msg.header.type == PROTO_TYPE_inject;
    if (msg.header.sender != e->peer || e->peer <= SERVER_SELF ||
        !role_may(e->role, msg.header.type)) {
        s->wire.rejected[PROTO_REJECT_sender]++;
        if (asks && e->role != COORD_ROLE_NONE && msg.header.sender == e->peer)
            server_refuse(s, &msg); /* without an answer it would be said again */
        return;
    }
    server_room(s);
    if (msg.header.type == PROTO_TYPE_query)
        server_take_query(s, &msg);
    else if (msg.header.type == PROTO_TYPE_inject)
        server_refuse(s, &msg);
    else if (msg.header.type == PROTO_TYPE_operate)
        server_take_operate(s, &msg);
    else if (msg.header.type == PROTO_TYPE_command)
        proto_coord_receive(s->coord, server_now_us(), &msg);
    else
        server_take_worker(s, &msg);
}

/* ---- local workers ---- */

static void child_print(void *user, const char *text, size_t size)
{
    coord_server *s = user;

    s->options.print(s->options.user, text, size);
}

static void child_ended(void *user, uint64_t worker, uint32_t slot)
{
    coord_server *s = user;

    server_peer_lost(s, worker, slot + 1);
    proto_coord_gone(s->coord, server_now_us(), worker);
    server_peer_forget(s, worker);
}

/* A generation waits for all local workers, but not for places that were given up. Until the job has run
 * here once it waits for those that are to join, too; later whoever is there takes a lost one's place. */
static void server_expect(coord_server *s)
{
    uint32_t hope = coord_children_hope(s->children), refused = server_local_refused(s);
    uint32_t least = hope > refused ? hope - refused : 1, slot = 0;
    char said[COORD_CHILDREN_SAID];
    df_error err;

    if (!s->begun && s->options.expect > least)
        least = s->options.expect;
    proto_coord_expect(s->coord, least);
    if (s->options.workers > 0 && hope == 0 && s->peer_count == 0 && s->ended_us == 0) {
        (void)coord_children_given_up(s->children, &slot);
        coord_children_said(s->children, slot, said);
        server_fail(s, df_fail(&err, DF_EIO, "no worker could be started; %s/worker-%u.log says why%s%s",
                               s->options.state, slot + 1, said[0] == '\0' ? "" : ": ", said), &err);
    }
}

/* A local worker that is stuck is in the way of the next generation: it is killed, and so started
 * again. One that has said nothing yet has more time. */
static void server_unstick(coord_server *s, uint64_t now_us)
{
    uint32_t count;

    if (now_us < s->unstick_us || s->ended_us != 0)
        return;
    s->unstick_us = now_us + COORD_SILENCE_US;
    count = proto_coord_workers_get(s->coord, s->workers, PROTO_WORKERS_MAX);
    coord_children_kill_old(s->children, now_us, COORD_START_US, s->workers, count);
    for (uint32_t i = 0; i < count; i++)
        if (s->workers[i].silent_us > 2 * COORD_SILENCE_US)
            coord_children_kill(s->children, s->workers[i].id);
}

/* When the job has ended workers leave by themselves; those that do not are asked, and then made to.
 * True: all have left. */
static bool server_leave(coord_server *s, uint64_t now_us)
{
    uint64_t since = now_us - s->ended_us;

    if (coord_children_alive(s->children) == 0 && server_peers_are_here(s))
        return since > COORD_LEAVE_US; /* a joined one is not ours to kill */
    if (coord_children_alive(s->children) == 0)
        return s->options.workers > 0 || since > 2 * COORD_BEAT_US;
    if (since > COORD_LEAVE_US && !s->told_to_leave) {
        coord_children_stop(s->children, false);
        s->told_to_leave = true;
    } else if (since > 2 * COORD_LEAVE_US) {
        coord_children_stop(s->children, true);
    }
    return false;
}

/* ---- the loop ---- */

static void server_commits_take(coord_server *s)
{
    coord_commit_end end;
    uint64_t number;
    df_error err;
    bool ok;

    if (coord_commit_ended(s->commit, &number, &end, &err)) {
        if (end == COORD_COMMIT_FAILED)
            server_fail(s, err.status, &err);
        else if (end == COORD_COMMIT_DECLINED)
            server_degrade(s, err.text);
        else
            server_committed(s, number);
        if (end == COORD_COMMIT_DECLINED)
            proto_coord_declined(s->coord, server_now_us(), number);
        else
            proto_coord_committed(s->coord, server_now_us(), number, end == COORD_COMMIT_MADE);
        df_failpoint_pass(DF_FAILPOINT_commit_told);
    }
    if (coord_commit_restored(s->commit, &number, &ok, &err)) {
        if (!ok)
            server_fail(s, err.status, &err);
        proto_coord_restored(s->coord, server_now_us(), number, ok);
    }
}

static void server_ends_take(coord_server *s)
{
    uint64_t number;
    df_error err;
    bool ok;

    if (coord_log_synced(s->log, &number, &ok, &err)) {
        if (!ok)
            server_fail(s, err.status, &err);
        server_room(s);
        proto_coord_synced(s->coord, server_now_us(), number, ok);
    }
    server_commits_take(s);
    server_streams_take(s);
}

/* Who was behind is told before the next generation makes it forgotten. */
static void server_tell_stall(coord_server *s, uint64_t now_us, const proto_coord_stats *stats)
{
    char label[WEIR_NAME_MAX], text[PROTO_TEXT_SIZE_MAX + 2 * WEIR_NAME_MAX];

    if (stats->stalls == s->stalls_told)
        return;
    s->stalls_told = stats->stalls;
    server_label(s, stats->missing, label);
    server_behind(s, stats->missing, now_us, text, sizeof text);
    fprintf(stderr, "weir: no step was done for %.0f s; farthest behind is %s%s%s; back to the last snapshot\n",
            s->job.policy->fault_stall_seconds, label, text[0] == '\0' ? "" : ": ", text);
}

static void server_watch(coord_server *s, uint64_t now_us)
{
    uint32_t last = (s->sample_count - 1) % SERVER_SAMPLES;
    proto_coord_stats stats;

    if (now_us >= s->rotate_us) {
        s->rotate_us = now_us + SERVER_ROTATE_US;
        coord_rotate(NULL, COORD_ROTATE_SIZE);
    }
    proto_coord_stats_get(s->coord, &stats);
    if (stats.attempt != 0)
        server_metrics_watch(s, now_us, stats.attempt, stats.low >= stats.attempt_step);
    server_disk_turn(s, now_us, &stats);
    server_tell_stall(s, now_us, &stats);
    if (s->ended_us == 0 && stats.end != PROTO_END_NOT)
        s->ended_us = now_us;
    if (stats.skipped > s->skipped_told && (s->skipped_us == 0 || now_us - s->skipped_us > SERVER_TELL_US)) {
        fprintf(stderr, "weir: snapshots were due while another one ran, and were skipped: %" PRIu64 "\n",
                stats.skipped);
        s->skipped_told = stats.skipped;
        s->skipped_us = now_us;
    }
    s->begun |= stats.running;
    if (s->stepped_us == 0 && stats.running && stats.low >= 2)
        s->stepped_us = now_us;
    if (!stats.running)
        s->sample_count = 0; /* where it is then, it was before */
    else if (s->sample_count == 0 || now_us - s->samples[last].us >= SERVER_SAMPLE_US) {
        s->samples[s->sample_count % SERVER_SAMPLES].us = now_us;
        s->samples[s->sample_count++ % SERVER_SAMPLES].low = stats.low;
    }
}

/* Nothing is changed in a job that has ended; what was being changed then is over, too. */
static void server_rescale(coord_server *s, uint64_t now_us)
{
    proto_coord_stats stats;

    proto_coord_stats_get(s->coord, &stats);
    if (s->ended_us == 0)
        server_rescale_turn(s, now_us, &stats);
}

static int64_t server_timeout(const coord_server *s, uint64_t wait_us)
{
    uint64_t now = server_now_us(), at = now + wait_us;
    uint64_t deadline = proto_coord_deadline(s->coord), due = coord_children_deadline(s->children);

    at = deadline < at ? deadline : at;
    at = due < at ? due : at;
    return at > now ? (int64_t)(at - now) : 0;
}

df_status coord_server_turn(coord_server *server, uint64_t wait_us, df_error *err)
{
    int fds[COORD_NET_FDS_MAX];
    size_t count = coord_children_fds(server->children, fds, COORD_NET_FDS_MAX);
    coord_net_event event;
    uint64_t now, ready;
    df_status s = coord_net_wait(server->net, server_timeout(server, wait_us), fds, count, &ready);

    if (s != DF_OK && s != DF_AGAIN)
        return df_fail(err, s, "the network failed");
    for (uint32_t i = 0; i < SERVER_EVENTS_MAX && coord_net_next(server->net, &event); i++)
        if (event.kind == COORD_NET_FRAME)
            server_frame(server, &event);
        else if (event.kind == COORD_NET_GONE)
            server_peer_gone(server, event.peer);
    server_ends_take(server);
    now = server_now_us();
    coord_children_turn(server->children, now, server->ended_us == 0);
    server_expect(server);
    server_unstick(server, now);
    if (now >= proto_coord_deadline(server->coord))
        proto_coord_tick(server->coord, now);
    server_watch(server, now);
    server_rescale(server, now);
    server_metrics_turn(server);
    if (server->status != DF_OK) {
        if (err != NULL)
            *err = server->error;
        return server->status;
    }
    if (server->ended_us == 0 || !server_leave(server, now))
        return DF_OK;
    server_keep_end_again(server);
    return DF_END;
}

void coord_server_wake(coord_server *server)
{
    coord_net_wake(server->net);
}

const char *coord_server_address(const coord_server *server)
{
    return coord_net_address(server->net);
}

const char *coord_server_metrics(const coord_server *server)
{
    return server->http == NULL ? NULL : coord_http_address(server->http);
}

void coord_server_command(coord_server *server, proto_verb verb)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_command, .job = server->number,
                                  .sender = SERVER_SELF } };

    msg.command.number = ++server->command_number;
    msg.command.verb = (uint8_t)verb;
    proto_coord_receive(server->coord, server_now_us(), &msg);
}

const char *coord_server_key(const coord_server *server)
{
    return coord_net_key(server->net);
}

proto_end coord_server_end(const coord_server *server)
{
    proto_coord_stats stats;

    proto_coord_stats_get(server->coord, &stats);
    return stats.end;
}

/* ---- life ---- */

static df_status server_children(coord_server *s, df_error *err)
{
    coord_children_options options = { .program = s->options.program, .state = s->options.state,
                                       .address = s->endpoint.address, .key = s->endpoint.key,
                                       .keys = s->endpoint.keys, .insecure = s->options.insecure,
                                       .count = s->options.workers,
                                       .survive = s->options.workers_survive,
                                       .print = s->options.print == NULL ? NULL : child_print,
                                       .ended = child_ended, .user = s };

    return coord_children_new(&s->children, &options, err);
}

/* What workers are told of a job must fit into its message. */
static df_status server_check(const coord_server_options *o, df_error *err)
{
    if (strlen(o->state) > SERVER_PATH_MAX || strlen(o->job->file) >= PROTO_TEXT_SIZE_MAX ||
        strlen(o->job->directory) >= PROTO_TEXT_SIZE_MAX)
        return df_fail(err, DF_EINVAL, "%.100s: with workers a path may have %u bytes", o->state,
                       SERVER_PATH_MAX);
    if (strlen(o->job->text) > PROTO_JOB_SIZE_MAX || strlen(o->job->sets) > PROTO_INPUT_SIZE_MAX)
        return df_fail(err, DF_ELIMIT, "%s: with workers a job may have %u bytes", o->job->file,
                       PROTO_JOB_SIZE_MAX);
    return DF_OK;
}

df_status coord_server_open(coord_server **out, const coord_server_options *options, df_error *err)
{
    coord_server *s = calloc(1, sizeof *s);
    proto_coord_env env = { s, env_send, env_append, env_sync, env_commit, env_find, env_restore, env_kill,
                            env_stop, env_collect, env_serve, env_refuses };
    df_status status = DF_OK;

    *out = NULL;
    if (s == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    s->options = *options;
    s->job = *options->job;
    df_disk_posix_init(&s->disk);
    s->workers = calloc(PROTO_WORKERS_MAX, sizeof *s->workers);
    s->roster.bytes = malloc(SERVER_ROSTER_SIZE);
    if (!coord_wire_init(&s->wire) || s->workers == NULL || s->roster.bytes == NULL)
        status = df_fail(err, DF_ENOMEM, "out of memory");
    if (status == DF_OK)
        status = server_check(options, err);
    if (status == DF_OK)
        status = server_state_open(s, &env, err);
    if (status == DF_OK)
        status = df_failpoint(DF_FAILPOINT_server_listen, err);
    if (status == DF_OK)
        status = server_listen(s, err);
    if (status == DF_OK)
        status = server_metrics_open(s, err);
    if (status == DF_OK)
        status = server_children(s, err);
    if (status != DF_OK) {
        coord_server_close(&s);
        return status;
    }
    server_rescales_read(s);
    proto_coord_start(s->coord, server_now_us(), coord_commit_head(s->commit));
    *out = s;
    return DF_OK;
}

void coord_server_close(coord_server **server)
{
    coord_server *s = *server;

    *server = NULL;
    if (s == NULL)
        return;
    if (s->net != NULL) /* first: whoever comes now would not be answered */
        coord_state_remove(s->options.state, "endpoint");
    coord_http_close(&s->http);
    coord_children_free(&s->children);
    coord_log_close(&s->log); /* a sync or a commit under way still wakes the net */
    coord_commit_close(&s->commit);
    coord_intake_free(&s->intake);
    coord_outlet_free(&s->outlet);
    coord_net_close(&s->net);
    proto_coord_free(&s->coord);
    for (uint32_t i = 0; i < s->peer_count; i++)
        server_peer_uncount(&s->peers[i]);
    free(s->peers);
    free(s->change.leaving);
    free(s->units);
    free(s->ended);
    coord_wire_fini(&s->wire);
    free(s->workers);
    free(s->roster.bytes);
    free(s);
}
