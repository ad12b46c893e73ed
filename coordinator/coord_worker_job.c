/* A worker's job: how it is read and begun, and what the protocol's half of it asks. */
#include "coordinator/coord_worker_private.h"

#include "coordinator/coord_job.h"
#include "coordinator/coord_plan.h"
#include "coordinator/coord_process.h"
#include "coordinator/coord_scratch.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_times.h"
#include "dataflow/df_build.h"
#include "dataflow/df_failpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKER_RESEND_US  500000u
#define WORKER_CREDIT     (64u << 20)
#define WORKER_FRAME_SIZE (512u << 10) /* a fourth of a ring; most parcels go whole, and need no copy more */
/* A state goes through the caches of a processor: put together in the ring, summed, taken out of it, summed, put where it
 * stays. So a frame is about what the first cache holds, and what is under way to a peer of this host, which finds it
 * in the ring, much less than what the second one does: copying took half as long again with frames of 128 KiB and 768 KiB
 * under way. To others, what is under way is there to fill the line. */
#define WORKER_MOVE_FRAME (32u << 10)
#define WORKER_MOVE_NEAR  (8 * WORKER_MOVE_FRAME)
#define WORKER_MOVE_SIZE  (24 * WORKER_MOVE_FRAME)

/* ---- what the protocol's half asks ---- */

static void env_send(void *user, uint64_t to, const proto_msg *msg)
{
    worker *w = user;

    if (msg->header.type == PROTO_TYPE_prepared && !msg->prepared.ok) {
        worker_say_unprepared(w, msg);
        return;
    }

    if (msg->header.type == PROTO_TYPE_join || msg->header.type == PROTO_TYPE_report)
        worker_say_hello(w);
    if (msg->header.type == PROTO_TYPE_prepared && msg->prepared.ok) {
        df_failpoint_pass(DF_FAILPOINT_worker_prepared);
        worker_say_finished(w, &msg->header);
        if (w->wanted != msg->prepared.attempt)
            worker_say_part(w, &msg->header, msg->prepared.attempt);
    }
    worker_say(w, to, msg);
}

static uint8_t *env_room(void *user, uint64_t to, const proto_msg *msg, uint32_t payload_size)
{
    const worker *w = user;

    return coord_wire_room(w->net, to, msg, payload_size);
}

static void env_part(void *user, uint64_t generation, uint64_t attempt,
                     const proto_captured *captured, uint32_t count)
{
    worker *w = user;

    (void)captured;
    (void)count;
    coord_flow_part(w->flow, generation, attempt);
}

/* The thread that writes the part does this, too. */
static void env_sink_sync(void *user, uint64_t generation, uint64_t attempt)
{
    (void)user;
    (void)generation;
    (void)attempt;
}

static void env_decided(void *user, uint64_t attempt, bool committed)
{
    worker *w = user;

    df_failpoint_pass(DF_FAILPOINT_worker_decided);
    coord_flow_decided(w->flow, attempt, committed);
}

/* Or we would try for ever to connect to it again. */
static void env_left(void *user, uint64_t member)
{
    worker *w = user;

    coord_net_disconnect(w->net, member);
}

static proto_batch *env_read(void *user, uint64_t attempt, uint64_t offset, uint32_t size)
{
    worker *w = user;

    w->wanted = attempt;
    return coord_flow_read(w->flow, attempt, offset, size);
}

static void env_fetched(void *user, const proto_piece *piece)
{
    worker *w = user;

    df_failpoint_pass(DF_FAILPOINT_stream_fetch);
    coord_remote_piece(w->remote, piece);
}

static void env_stop(void *user, uint8_t reason)
{
    worker *w = user;

    (void)reason;
    w->stopped = true;
}

static df_status flow_on_begin(void *user, uint64_t step, df_error *err)
{
    worker *w = user;

    return coord_recorder_begin(&w->recorder, step, err);
}

static df_status flow_on_step(void *user, const df_step_print *print, df_error *err)
{
    worker *w = user;
    df_status s = coord_recorder_step(&w->recorder, print, err);

    return s == DF_OK ? s : df_wrap(err, s, "%s", w->plan->draft->file);
}

static void flow_on_end(void *user)
{
    worker *w = user;

    coord_recorder_end(&w->recorder);
}

static void flow_on_sync(void *user)
{
    worker *w = user;

    coord_recorder_sync(&w->recorder);
}

static void flow_wake(void *user)
{
    worker *w = user;

    coord_net_wake(w->net);
}

/* ---- the job ---- */

char *worker_text(proto_bytes bytes)
{
    char *text = malloc(bytes.size + 1);

    if (text != NULL) {
        memcpy(text, bytes.data, bytes.size);
        text[bytes.size] = '\0';
    }
    return text;
}

static df_status read_job(worker *w, const proto_assign *a)
{
    char *file = worker_text(a->file), *text = worker_text(a->text), *sets = worker_text(a->sets);
    df_report report;
    df_status s = DF_ENOMEM;

    if (file != NULL && text != NULL && sets != NULL) {
        s = coord_job_read(&w->plan, file, text, a->text.size, sets, &report);
        if (s != DF_OK)
            df_report_print(&report, stderr);
    }
    free(file);
    free(text);
    free(sets);
    return s;
}

/* On another machine a file of the same name may be another file, and here it may have changed since the coordinator
 * began: its rows, or what a kind of one's own computes, would be others. */
static df_status check_files(const worker *w, df_error *err)
{
    char hash[COORD_INPUTS_TEXT];
    df_status s;

    if (w->remote != NULL && (w->told.fingerprints[0] != '\0' || w->told.verify[0] != '\0'))
        return df_fail(err, DF_ENOTSUP, "fingerprints are recorded, or compared, where the coordinator is; who "
                       "does not see its folder cannot take part in that");
    if (w->told.inputs[0] == '\0')
        return DF_OK;
    s = coord_job_inputs(w->plan, hash, err);
    if (s == DF_OK && strcmp(hash, w->told.inputs) != 0)
        s = df_fail(err, DF_EINVAL, "%s: the files that the job reads (kinds of your own among them) are others here than "
                    "the coordinator has found; they must be the same, at the same paths", w->plan->draft->file);
    return s;
}

/* Another release may be installed here, or has been since the coordinator began. */
static df_status check_library(const worker *w, df_error *err)
{
    if (strcmp(w->told.source, df_build_source()) == 0)
        return DF_OK;
    return df_fail(err, DF_EINVAL, "libweir.so here is of other sources than the coordinator's (weir version: source %.8s, there "
                   "%.8s) and may compute other bits: install one release; was it replaced, start the coordinator again",
                   df_build_source(), w->told.source);
}

static snap_codec codec_of(const df_policy *policy)
{
    return policy->snapshot_compression == DF_COMPRESS_LZ4    ? SNAP_LZ4
           : policy->snapshot_compression == DF_COMPRESS_ZSTD ? SNAP_ZSTD
                                                                 : SNAP_NONE;
}

/* Sinks are pinned to the coordinator's host: for that, a worker that does not see its folder is elsewhere. */
static uint32_t host_of(const worker *w)
{
    uint32_t host = coord_process_host();

    return w->remote != NULL && host == w->told.sink_host ? ~host : host;
}

static bool begin(worker *w)
{
    const df_policy *policy = &w->plan->draft->policy;
    coord_flow_options flow = { .plan = w->plan, .directory = w->directory, .state = w->told.state, .store = w->store,
                                .remote = w->remote, .threads = worker_threads(w),
                                .console = w->told.console ? stdout : NULL,
                                .codec = codec_of(policy),
                                .verify = policy->snapshot_verify,
                                .retries = policy->fault_mode == DF_FAULT_RETRY ? policy->fault_retries : 0,
                                .retry_ns = (uint64_t)(policy->fault_backoff_seconds * 1e9),
                                .wake = flow_wake, .user = w };
    proto_worker_config config = { .job = w->job, .self = w->id, .process = coord_process_self(),
                                   .host = host_of(w), .credit_size = WORKER_CREDIT,
                                   .move_size = WORKER_MOVE_SIZE, .move_near = WORKER_MOVE_NEAR,
                                   .frame_size = WORKER_FRAME_SIZE, .move_frame = WORKER_MOVE_FRAME,
                                   .tries = 1, .beat_us = WORKER_BEAT_US,
                                   .resend_us = WORKER_RESEND_US,
                                   .stream = { PROTO_PIECE_SIZE, PROTO_STREAM_WINDOW, COORD_STREAM_US } };
    proto_worker_env env = { .user = w, .flow = &coord_flow_calls, .send = env_send,
                             .part = env_part, .sink_sync = env_sink_sync, .room = env_room, .stop = env_stop,
                             .decided = env_decided, .left = env_left, .read = env_read,
                             .fetched = env_fetched };

    w->recorder = (coord_recorder){ .plan = w->plan, .fingerprints = w->told.fingerprints,
                                    .against = w->told.verify,
                                    .against_name = w->told.verify_name[0] != '\0' ? w->told.verify_name
                                                                                    : w->told.verify,
                                    .streams = w->told.streams || policy->replay_streams,
                                    .state = policy->replay_record ? w->told.state : NULL };
    if (coord_recorder_wanted(&w->recorder)) {
        flow.fingerprint_steps = true;
        flow.fingerprint_streams = w->recorder.streams;
        flow.on_begin = flow_on_begin;
        flow.on_step = flow_on_step;
        flow.on_end = flow_on_end;
        flow.on_sync = flow_on_sync;
    }
    w->flow = coord_flow_new(&flow);
    if (w->flow == NULL)
        return false;
    env.flow_user = w->flow;
    w->proto = proto_worker_new(w->proto_plan, &config, &env);
    proto_worker_start(w->proto, worker_now_us());
    return true;
}

/* Where parts are written: into the coordinator's folder, or into one of this worker's own. */
static df_status find_store(worker *w, df_error *err)
{
    df_status s = coord_state_nonce_check(w->told.nonce, w->told.state, NULL);

    if (s == DF_OK)
        return coord_state_path(w->store, w->told.state, "store", err);
    s = coord_scratch_make(w->scratch, w->options->scratch, err);
    if (s != DF_OK)
        return s;
    w->remote = coord_remote_new(flow_wake, w);
    if (w->remote == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    strcpy(w->store, w->scratch);
    fprintf(stderr, "weir: %s is not seen here: snapshots go through the network, by way of %s\n",
            w->told.state, w->scratch);
    return DF_OK;
}

void worker_take_assign(worker *w, const proto_assign *a)
{
    df_error err = { 0 };
    df_status s;

    if (w->proto != NULL)
        return;
    df_failpoint_pass(DF_FAILPOINT_worker_assign);
    if (a->directory.size >= sizeof w->directory ||
        !coord_json_options_read(&w->told, (const char *)a->options.data, a->options.size)) {
        fprintf(stderr, "weir: what the coordinator says of the job cannot be read\n");
        return;
    }
    memcpy(w->directory, a->directory.data, a->directory.size);
    w->directory[a->directory.size] = '\0';
    w->job = a->job;
    s = check_library(w, &err);
    if (s == DF_OK)
        s = find_store(w, &err);
    if (s == DF_OK)
        s = read_job(w, a);
    if (s == DF_OK)
        s = check_files(w, &err);
    if (s == DF_OK)
        s = coord_plan_make(&w->proto_plan, w->plan, &err);
    if (s == DF_OK && begin(w))
        return;
    fprintf(stderr, "weir: %s\n", err.text[0] == '\0' ? "the job cannot be run here" : err.text);
    w->stopped = true;
    w->code = COORD_FAILED;
}
