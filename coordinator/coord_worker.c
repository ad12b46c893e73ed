/* weir worker --join ADDRESS
 *
 * A worker says who it is until its coordinator tells it a job, reads the job as the coordinator did,
 * and runs its key groups until it is told to stop. One thread: it waits for frames, for the graph's
 * threads, and for the protocol's next deadline. */
#include "coordinator/coord_worker_private.h"

#include "coordinator/coord_join.h"
#include "coordinator/coord_keeper.h"
#include "coordinator/coord_machine.h"
#include "coordinator/coord_peers.h"
#include "coordinator/coord_plan.h"
#include "coordinator/coord_scratch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define DOZE_US 4000u /* so long at most; threads mostly have something to tell before */

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
    { .name = "patience", .value = "SECONDS", .help = "end after so long without a coordinator (default: never)",
      .type = COORD_NUMBER, .least = 1, .most = 1000000000, .offset = offsetof(worker_options, patience) },
    { 0 },
};

/* ---- the loop ---- */

/* The coordinator vouches for the others: a worker needs no list of its own. */
static void take_peer(worker *w, const coord_peer *p)
{
    char *address = worker_text(p->address), *key = worker_text(p->key);
    df_status s = DF_OK;
    df_error err;

    if (address != NULL && key != NULL) {
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

/* The list names us, too. */
static void take_peers(worker *w, proto_bytes list)
{
    coord_peer peer;

    while (coord_peers_get(&list, &peer)) {
        if (w->told_count++ == PROTO_INDEX_SIZE / 2) { /* one by one, for orders: an install's list comes as a whole */
            proto_index_clear(&w->told_of);
            w->told_count = 0;
        }
        proto_index_put(&w->told_of, peer.worker, 0);
        if (peer.worker != w->id)
            take_peer(w, &peer);
    }
    w->wire.rejected[PROTO_REJECT_field] += list.size > 0;
}

/* An install without the addresses of all its members is not heard: it is said again, with them. */
static bool knows_peers(worker *w, const proto_install *in)
{
    bool all = true;

    for (uint32_t i = 0; i + 8 <= in->members.size; i += 8) {
        uint64_t id = proto_get_u64(in->members.data + i);

        all &= id == 0 || id == w->id || proto_index_find(&w->told_of, id) != PROTO_NONE;
    }
    proto_index_clear(&w->told_of);
    w->told_count = 0;
    return all;
}

/* It is a service that answers: we are in its pool, and another process works for its jobs. */
static void take_place(worker *w, const proto_place *place)
{
    w->pooled = true;
    w->first_order = place->order;
    w->stopped = true;
}

/* It is asked for a job again and again, and we would never understand it. */
static void end_version(worker *w, const coord_net_event *e)
{
    char text[160];

    proto_version_tell(text, sizeof text, e->bytes, e->size);
    fprintf(stderr, "weir worker: %s: %s\n", w->options->join, text);
    w->stopped = true;
    w->code = COORD_FAILED;
}

/* Whoever connects to us has shown a worker's key at most; the coordinator is who we connected to. */
static void take_frame(worker *w, const coord_net_event *e)
{
    bool from_coordinator = e->peer == COORD_WIRE_COORDINATOR && e->role == COORD_ROLE_ADMIN;
    proto_msg msg;
    proto_reject reject = coord_wire_take(&w->wire, e, &msg);

    if (reject == PROTO_REJECT_version && from_coordinator)
        end_version(w, e);
    if (reject != PROTO_REJECT_ok || msg.header.sender != e->peer)
        return;
    if (msg.header.type == PROTO_TYPE_assign && from_coordinator)
        worker_take_assign(w, &msg.assign);
    else if (msg.header.type == PROTO_TYPE_peers && from_coordinator)
        take_peers(w, msg.peers.list);
    else if (msg.header.type == PROTO_TYPE_install && from_coordinator && !knows_peers(w, &msg.install))
        w->wire.rejected[PROTO_REJECT_gap]++;
    else if (msg.header.type == PROTO_TYPE_place && from_coordinator && w->proto == NULL)
        take_place(w, &msg.place);
    else if (w->proto != NULL &&
             (from_coordinator || (e->peer != COORD_WIRE_COORDINATOR && e->role >= COORD_ROLE_WORKER &&
                                   coord_wire_between(msg.header.type))))
        proto_worker_receive(w->proto, worker_now_us(), &msg);
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
    w->alone_us = 0;
    worker_say_hello(w);
    if (w->proto != NULL)
        proto_worker_linked(w->proto, worker_now_us(), COORD_WIRE_COORDINATOR);
}

static void take_event(worker *w, const coord_net_event *e)
{
    if (e->kind == COORD_NET_FRAME)
        take_frame(w, e);
    else if (e->kind == COORD_NET_LINKED && e->peer == COORD_WIRE_COORDINATOR)
        take_linked(w);
    else if (e->kind == COORD_NET_GONE && e->peer == COORD_WIRE_COORDINATOR)
        w->alone_us = worker_now_us();
    else if (e->kind == COORD_NET_REFUSED && e->peer == COORD_WIRE_COORDINATOR)
        tell_refused(w);
    else if (e->kind == COORD_NET_LINKED && w->proto != NULL)
        proto_worker_linked(w->proto, worker_now_us(), e->peer);
}

/* A coordinator that is not started again leaves nobody behind for ever. One that stands still is there. (A worker turns
 * with each heartbeat: this makes no deadline of its own.) */
static void end_alone(worker *w, uint64_t now)
{
    if (!w->options->patience.given || w->alone_us == 0 ||
        now - w->alone_us < 1000000u * w->options->patience.value)
        return;
    fprintf(stderr, "weir worker: %s: no coordinator has been there for %" PRIu64 " s\n", w->options->join,
            w->options->patience.value);
    w->stopped = true;
    w->code = COORD_FAILED;
}

static uint64_t turn_deadline(const worker *w)
{
    uint64_t deadline;

    if (w->proto == NULL)
        return w->hello_at_us;
    deadline = proto_worker_deadline(w->proto);
    return w->load_at_us < deadline ? w->load_at_us : deadline;
}

/* While its threads have enough to do, it is not woken for each parcel that arrives. */
static bool doze(worker *w)
{
    bool dozes = w->proto != NULL && coord_flow_busy(w->flow, w->proto);

    coord_net_doze(w->net, dozes);
    return dozes;
}

static void turn(worker *w)
{
    uint64_t now = worker_now_us(), deadline = turn_deadline(w), ready;
    coord_net_event e;

    if (doze(w) && deadline > now + DOZE_US)
        deadline = now + DOZE_US;
    if (coord_net_wait(w->net, deadline > now ? (int64_t)(deadline - now) : 0, NULL, 0, &ready) ==
        DF_EIO)
        w->stopped = true;
    while (!w->stopped && coord_net_next(w->net, &e))
        take_event(w, &e);
    now = worker_now_us();
    if (w->proto == NULL && now >= w->hello_at_us)
        worker_say_hello(w);
    end_alone(w, now);
    if (w->proto == NULL || w->stopped)
        return;
    proto_worker_tick(w->proto, now);
    coord_flow_poll(w->flow, w->proto, now);
    worker_say_metrics(w, now);
    worker_say_load(w, now);
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
    w.alone_us = worker_now_us();
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
