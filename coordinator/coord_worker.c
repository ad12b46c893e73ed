/* weir worker --join ADDRESS
 *
 * A worker says who it is until its coordinator tells it a job, reads the job as the coordinator did,
 * and runs its key groups until it is told to stop. One thread: it waits for frames, for the graph's
 * threads, and for the protocol's next deadline. */
#include "coordinator/coord_flow.h"
#include "coordinator/coord_job.h"
#include "coordinator/coord_join.h"
#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_keeper.h"
#include "coordinator/coord_machine.h"
#include "coordinator/coord_net.h"
#include "coordinator/coord_part.h"
#include "coordinator/coord_plan.h"
#include "coordinator/coord_process.h"
#include "coordinator/coord_recorder.h"
#include "coordinator/coord_remote.h"
#include "coordinator/coord_scratch.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_times.h"
#include "coordinator/coord_usage.h"
#include "coordinator/coord_verb.h"
#include "coordinator/coord_wire.h"
#include "dataflow/df_failpoint.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define WORKER_BEAT_US    200000u
#define WORKER_RESEND_US  500000u
#define WORKER_METRICS_US 1000000u /* between two messages with what was counted */
#define WORKER_UNITS_US   1000000u /* ... with what units cost */
#define WORKER_CREDIT     (64u << 20)
#define WORKER_FRAME_SIZE (512u << 10) /* a fourth of a ring; most parcels go whole, and need no copy more */
/* What a ring holds: more would have to wait in memory of its own, which costs more than the way through the ring. */
#define WORKER_MOVE_SIZE  (3 * WORKER_FRAME_SIZE)

typedef struct worker_options {
    const char *join, *label, *bind, *keys, *server_key, *scratch;
    bool insecure;
    coord_number id, threads;
} worker_options;

static const coord_option worker_table[] = {
    { .name = "join", .value = "ADDRESS", .help = "where the coordinator listens",
      .type = COORD_TEXT, .offset = offsetof(worker_options, join) },
    { .name = "bind", .value = "ADDRESS",
      .help = "tcp://HOST:PORT for other workers (HOST: as the coordinator sees us; PORT: any)",
      .type = COORD_TEXT, .offset = offsetof(worker_options, bind) },
    { .name = "keys", .value = "DIR", .help = "keys for tcp (~/.config/weir/keys)", .type = COORD_TEXT,
      .offset = offsetof(worker_options, keys) },
    { .name = "server-key", .value = "KEY", .help = "the coordinator's public key, or its NAME.pub",
      .type = COORD_TEXT, .offset = offsetof(worker_options, server_key) },
    { .name = "insecure", .help = "tcp without keys: who reaches the port may do everything",
      .type = COORD_FLAG, .offset = offsetof(worker_options, insecure) },
    { .name = "scratch", .value = "DIR",
      .help = "for parts of snapshots, if the coordinator's folder is not seen ($TMPDIR, /var/tmp)",
      .type = COORD_TEXT, .offset = offsetof(worker_options, scratch) },
    { .name = "label", .value = "NAME", .help = "what a job's [worker.NAME] calls it",
      .type = COORD_TEXT, .offset = offsetof(worker_options, label) },
    { .name = "threads", .value = "T", .help = "threads (default: the job's, or one per processor)",
      .type = COORD_NUMBER, .least = 1, .most = DF_THREADS_MAX,
      .offset = offsetof(worker_options, threads) },
    { .name = "id", .value = "N", .help = "its number, which no other may have (default: random)",
      .type = COORD_NUMBER, .least = 2, .most = UINT64_MAX, .offset = offsetof(worker_options, id) },
    { 0 },
};

typedef struct worker {
    const worker_options *options;
    uint64_t id, hello_at_us, metrics_at_us, load_at_us, units_at_us;
    coord_usage usage; /* at the load before */
    coord_net *net;
    coord_wire wire;
    uint64_t job;
    df_plan *plan;
    proto_plan *proto_plan;
    char directory[PROTO_TEXT_SIZE_MAX + 1], store[DF_PATH_MAX];
    coord_remote *remote;  /* null: the coordinator's folder is seen */
    uint64_t wanted;       /* the attempt whose file the coordinator fetches: it has heard all of its part */
    char scratch[DF_PATH_MAX]; /* then ""; else `store` is the same */
    coord_worker_options told;
    coord_flow *flow;
    coord_recorder recorder;
    proto_worker *proto;
    bool stopped, refused; /* refused: told that the coordinator does not let us in */
    bool pooled;           /* it is a service that answered */
    uint64_t first_order;  /* what it said then */
    int code;
} worker;

static uint64_t now_us(void)
{
    return (uint64_t)(coord_machine_seconds() * 1e6);
}

static proto_bytes bytes_of(const char *text)
{
    return (proto_bytes){ (const uint8_t *)text, text == NULL ? 0 : (uint32_t)strlen(text) };
}

/* What cannot be sent now is lost: the protocol says it again. */
static void worker_say(worker *w, uint64_t to, const proto_msg *msg)
{
    coord_wire_send(&w->wire, w->net, to, msg);
}

static void say_hello(worker *w)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_hello, .job = w->job, .sender = w->id } };

    msg.hello = (proto_hello){ .host = coord_process_host(), .process = coord_process_self(),
                               .cores = coord_machine_threads(),
                               .memory = (uint64_t)sysconf(_SC_PHYS_PAGES) *
                                         (uint64_t)sysconf(_SC_PAGESIZE),
                               .label = bytes_of(w->options->label),
                               .address = bytes_of(coord_net_address(w->net)),
                               .key = bytes_of(coord_net_key(w->net)) };
    w->hello_at_us = now_us() + WORKER_BEAT_US;
    worker_say(w, 0, &msg);
}

static void say_behind(worker *w, uint64_t now)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_behind, .job = w->job, .sender = w->id } };
    char text[PROTO_TEXT_SIZE_MAX];
    uint32_t member;

    if (!coord_flow_behind(w->flow, w->proto, now, &msg.behind.step, &member, text))
        return;
    msg.behind.worker = proto_worker_member(w->proto, member);
    msg.behind.text = bytes_of(text);
    worker_say(w, 0, &msg);
}

/* About once a second, with a heartbeat: it makes no deadline of its own. */
static void say_metrics(worker *w, uint64_t now)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_metrics, .job = w->job, .sender = w->id } };
    coord_counts counts;
    df_writer out;

    if (now < w->metrics_at_us || !coord_flow_counts(w->flow, w->proto, &counts))
        return;
    w->metrics_at_us = now + WORKER_METRICS_US;
    say_behind(w, now);
    for (uint32_t i = 0; i < PROTO_REJECT_COUNT; i++)
        counts.rejected[i] += w->wire.rejected[i];
    df_writer_init_growing(&out, PROTO_PAYLOAD_SIZE_MAX);
    coord_counts_encode(&out, &counts);
    msg.metrics.payload = (proto_bytes){ out.data, (uint32_t)out.size };
    if (df_writer_ok(&out))
        worker_say(w, 0, &msg);
    df_writer_fini(&out);
    coord_counts_fini(&counts);
}

static uint32_t threads_of(const worker *w)
{
    return w->options->threads.given ? (uint32_t)w->options->threads.value
           : w->told.threads > 0     ? w->told.threads
                                     : coord_machine_threads();
}

/* At once when there is a job, then every sample. */
static void say_load(worker *w, uint64_t now)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_load, .job = w->job, .sender = w->id } };
    coord_load load = { .threads = threads_of(w), .backend = "cpu" };
    df_writer out;

    if (now < w->load_at_us)
        return;
    w->load_at_us = now + (uint64_t)(1e6 * w->plan->draft->policy.placement.sample_seconds);
    coord_usage_take(&w->usage, load.threads, &load);
    if (now >= w->units_at_us && coord_flow_units(w->flow, w->proto, &load))
        w->units_at_us = now + WORKER_UNITS_US;
    df_writer_init_growing(&out, PROTO_PAYLOAD_SIZE_MAX);
    coord_load_encode(&out, &load);
    msg.load.payload = (proto_bytes){ out.data, (uint32_t)out.size };
    if (df_writer_ok(&out))
        worker_say(w, 0, &msg);
    df_writer_fini(&out);
    coord_load_fini(&load);
}

/* ---- what the protocol's half asks ---- */

static void say_finished(worker *w, const proto_header *header)
{
    proto_msg msg = { .header = *header };
    char text[33];

    if (!coord_flow_fingerprint(w->flow, text))
        return;
    msg.header.type = PROTO_TYPE_finished;
    msg.finished = (proto_finished){ .step = w->plan->job.steps, .text = bytes_of(text) };
    worker_say(w, 0, &msg);
}

static void say_part(worker *w, const proto_header *header, uint64_t attempt)
{
    proto_msg msg = { .header = *header };
    size_t size;
    const uint8_t *bytes = coord_flow_said(w->flow, attempt, &size);
    uint32_t count = coord_part_messages(size);

    msg.header.type = PROTO_TYPE_part;
    for (uint32_t i = 0; bytes != NULL && i < count; i++) {
        size_t offset, length = coord_part_cut(size, i, &offset);

        msg.part = (proto_part){ .attempt = attempt, .index = i, .count = count,
                                 .payload = { bytes + offset, (uint32_t)length } };
        worker_say(w, 0, &msg);
    }
}

/* Not prepared, and why. */
static void say_unprepared(worker *w, const proto_msg *msg)
{
    proto_msg out = *msg;

    out.prepared.text = bytes_of(coord_flow_failure(w->flow));
    worker_say(w, 0, &out);
}

static void env_send(void *user, uint64_t to, const proto_msg *msg)
{
    worker *w = user;

    if (msg->header.type == PROTO_TYPE_prepared && !msg->prepared.ok) {
        say_unprepared(w, msg);
        return;
    }

    if (msg->header.type == PROTO_TYPE_join || msg->header.type == PROTO_TYPE_report)
        say_hello(w);
    if (msg->header.type == PROTO_TYPE_prepared && msg->prepared.ok) {
        df_failpoint_pass(DF_FAILPOINT_worker_prepared);
        say_finished(w, &msg->header);
        if (w->wanted != msg->prepared.attempt)
            say_part(w, &msg->header, msg->prepared.attempt);
    }
    worker_say(w, to, msg);
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

static char *text_of(proto_bytes bytes)
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
    char *file = text_of(a->file), *text = text_of(a->text), *sets = text_of(a->sets);
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

/* On another machine, or where the folder is another one, a file of the same name may be another file: its rows
 * would be other rows. */
static df_status check_files(const worker *w, df_error *err)
{
    char hash[COORD_INPUTS_TEXT];
    df_status s;

    if (w->remote != NULL && (w->told.fingerprints[0] != '\0' || w->told.verify[0] != '\0'))
        return df_fail(err, DF_ENOTSUP, "fingerprints are recorded, or compared, where the coordinator is; who "
                       "does not see its folder cannot take part in that");
    if (w->told.inputs[0] == '\0' || (w->remote == NULL && coord_process_host() == w->told.sink_host))
        return DF_OK;
    s = coord_job_inputs(w->plan, hash, err);
    if (s == DF_OK && strcmp(hash, w->told.inputs) != 0)
        s = df_fail(err, DF_EINVAL, "%s: the files that the job reads are others here than on the coordinator's "
                    "machine; they must be the same, at the same paths", w->plan->draft->file);
    return s;
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
                                .remote = w->remote, .threads = threads_of(w),
                                .console = w->told.console ? stdout : NULL,
                                .codec = codec_of(policy),
                                .verify = policy->snapshot_verify,
                                .retries = policy->fault_mode == DF_FAULT_RETRY ? policy->fault_retries : 0,
                                .retry_ns = (uint64_t)(policy->fault_backoff_seconds * 1e9),
                                .wake = flow_wake, .user = w };
    proto_worker_config config = { .job = w->job, .self = w->id, .process = coord_process_self(),
                                   .host = host_of(w), .credit_size = WORKER_CREDIT,
                                   .move_size = WORKER_MOVE_SIZE, .frame_size = WORKER_FRAME_SIZE,
                                   .tries = 1, .beat_us = WORKER_BEAT_US,
                                   .resend_us = WORKER_RESEND_US,
                                   .stream = { PROTO_PIECE_SIZE, PROTO_STREAM_WINDOW, COORD_STREAM_US } };
    proto_worker_env env = { .user = w, .flow = &coord_flow_calls, .send = env_send,
                             .part = env_part, .sink_sync = env_sink_sync, .stop = env_stop,
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
    proto_worker_start(w->proto, now_us());
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

static void take_assign(worker *w, const proto_assign *a)
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

/* ---- the loop ---- */

/* The coordinator vouches for the others: a worker needs no list of its own. */
static void take_peer(worker *w, const proto_peer *p)
{
    char *address = text_of(p->address), *key = text_of(p->key);
    df_status s = DF_OK;
    df_error err;

    if (address != NULL && key != NULL && p->worker != w->id) {
        if (key[0] != '\0')
            s = coord_net_allow(w->net, key, COORD_ROLE_WORKER, &err);
        if (s == DF_OK)
            s = coord_net_connect(w->net, p->worker, address, key[0] == '\0' ? NULL : key, &err);
        if (s != DF_OK)
            fprintf(stderr, "weir: %s\n", err.text);
    }
    free(address);
    free(key);
}

/* It is a service that answers: we are in its pool, and another process works for its jobs. */
static void take_place(worker *w, const proto_place *place)
{
    w->pooled = true;
    w->first_order = place->order;
    w->stopped = true;
}

/* Whoever connects to us has shown a worker's key at most; the coordinator is who we connected to. */
static void take_frame(worker *w, const coord_net_event *e)
{
    bool from_coordinator = e->peer == COORD_WIRE_COORDINATOR && e->role == COORD_ROLE_ADMIN;
    proto_msg msg;

    if (coord_wire_take(&w->wire, e, &msg) != PROTO_REJECT_ok || msg.header.sender != e->peer)
        return;
    if (msg.header.type == PROTO_TYPE_assign && from_coordinator)
        take_assign(w, &msg.assign);
    else if (msg.header.type == PROTO_TYPE_peer && from_coordinator)
        take_peer(w, &msg.peer);
    else if (msg.header.type == PROTO_TYPE_place && from_coordinator && w->proto == NULL)
        take_place(w, &msg.place);
    else if (w->proto != NULL &&
             (from_coordinator || (e->peer != COORD_WIRE_COORDINATOR && e->role >= COORD_ROLE_WORKER &&
                                   coord_wire_between(msg.header.type))))
        proto_worker_receive(w->proto, now_us(), &msg);
    else if (msg.header.type == PROTO_TYPE_stop && from_coordinator)
        w->stopped = true;
}

static void tell_refused(worker *w)
{
    const char *key = coord_net_key(w->net);

    if (!w->refused)
        fprintf(stderr, "weir: %s does not let us in%s%s%s; it is tried again\n", w->options->join,
                key[0] == '\0' ? "; perhaps it wants keys" : ": its list must allow our key '", key,
                key[0] == '\0' ? "" : "' as a worker, and --server-key must be its own");
    w->refused = true;
}

static void take_linked(worker *w)
{
    say_hello(w);
    if (w->proto != NULL)
        proto_worker_linked(w->proto, now_us(), COORD_WIRE_COORDINATOR);
}

static void take_event(worker *w, const coord_net_event *e)
{
    if (e->kind == COORD_NET_FRAME)
        take_frame(w, e);
    else if (e->kind == COORD_NET_LINKED && e->peer == COORD_WIRE_COORDINATOR)
        take_linked(w);
    else if (e->kind == COORD_NET_REFUSED && e->peer == COORD_WIRE_COORDINATOR)
        tell_refused(w);
    else if (e->kind == COORD_NET_LINKED && w->proto != NULL)
        proto_worker_linked(w->proto, now_us(), e->peer);
}

static uint64_t turn_deadline(const worker *w)
{
    uint64_t deadline;

    if (w->proto == NULL)
        return w->hello_at_us;
    deadline = proto_worker_deadline(w->proto);
    return w->load_at_us < deadline ? w->load_at_us : deadline;
}

static void turn(worker *w)
{
    uint64_t now = now_us(), deadline = turn_deadline(w), ready;
    coord_net_event e;

    if (coord_net_wait(w->net, deadline > now ? (int64_t)(deadline - now) : 0, NULL, 0, &ready) ==
        DF_EIO)
        w->stopped = true;
    while (!w->stopped && coord_net_next(w->net, &e))
        take_event(w, &e);
    now = now_us();
    if (w->proto == NULL && now >= w->hello_at_us)
        say_hello(w);
    if (w->proto == NULL || w->stopped)
        return;
    proto_worker_tick(w->proto, now);
    coord_flow_poll(w->flow, w->proto, now);
    say_metrics(w, now);
    say_load(w, now);
}

static uint64_t number_of(const worker_options *o)
{
    uint64_t id = 0;

    if (o->id.given)
        return o->id.value;
    while (id < 2) /* 0 is the coordinator, 1 what it says to itself */
        if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
            id = (uint64_t)getpid() << 20 | 2;
    return id;
}

static df_status open_net(worker *w, df_error *err)
{
    const worker_options *o = w->options;
    const coord_join join = { .address = o->join, .listens = true, .bind = o->bind, .keys = o->keys,
                              .server_key = o->server_key, .insecure = o->insecure };

    return coord_join_open(&w->net, &join, w->id, err);
}

/* Only the process that works is to be reached by others, perhaps at the one address that was given. */
static int keep(worker *w)
{
    const worker_options *o = w->options;
    const coord_join join = { .address = o->join, .keys = o->keys, .server_key = o->server_key,
                              .insecure = o->insecure };
    coord_keeper_options keeper = { .wire = &w->wire, .id = w->id, .label = o->label, .bind = o->bind,
                                    .keys = o->keys, .scratch = o->scratch, .insecure = o->insecure,
                                    .threads = (uint32_t)o->threads.value };
    df_error err = { 0 };

    coord_net_close(&w->net);
    if (coord_join_open(&w->net, &join, w->id, &err) != DF_OK) {
        fprintf(stderr, "weir worker: %s\n", err.text);
        return COORD_FAILED;
    }
    keeper.net = w->net;
    return coord_keeper_run(&keeper, w->first_order);
}

static int worker_run(const coord_args *args, const void *options)
{
    worker w = { .options = options };
    coord_load first = { 0 };
    df_error err = { 0 };
    df_status s;

    (void)args;
    if (w.options->join == NULL) {
        fputs("weir worker: expected --join ADDRESS\n", stderr);
        return COORD_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* the coordinator is told, and tells */
    w.id = number_of(w.options);
    s = coord_wire_init(&w.wire) ? open_net(&w, &err) : df_fail(&err, DF_ENOMEM, "out of memory");
    if (s != DF_OK) {
        fprintf(stderr, "weir worker: %s\n", err.text);
        coord_wire_fini(&w.wire);
        return s == DF_EINVAL ? COORD_USAGE : COORD_FAILED;
    }
    coord_usage_take(&w.usage, 1, &first); /* loads are of the time between two looks */
    while (!w.stopped)
        turn(&w);
    if (w.pooled)
        w.code = keep(&w);
    proto_worker_free(&w.proto);
    coord_flow_free(&w.flow);
    coord_remote_free(&w.remote);
    coord_scratch_remove(w.scratch);
    coord_recorder_end(&w.recorder);
    coord_net_close(&w.net);
    coord_wire_fini(&w.wire);
    coord_plan_free(&w.proto_plan);
    df_plan_free(&w.plan);
    return w.code;
}

const coord_verb coord_verb_worker = {
    .name = "worker",
    .arguments = "",
    .help = "run key groups for a coordinator",
    .more = "`weir run --workers N` starts its own. One that runs elsewhere is started by hand, and\n"
            "is given key groups when the coordinator next has a use for it. Over tcp the coordinator's list\n"
            "must allow its key (weir keys); it needs no list itself. If it does not see the coordinator's\n"
            "state folder at the same path, snapshots go through the network; what the job reads (CSV files,\n"
            "kinds of one's own) must be there at the same path. At a service (weir coordinator --config) it\n"
            "goes from job to job, where one is wanted, until it is asked to end.\n",
    .options = worker_table,
    .options_size = sizeof(worker_options),
    .run = worker_run,
};
