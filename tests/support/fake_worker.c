#include "tests/support/fake_worker.h"

#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_net.h"
#include "coordinator/coord_peers.h"
#include "coordinator/coord_process.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_times.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const weir_schema cells_schema = { 1, { { "value", WEIR_U64 } } };

/* ---- the job ---- */

void fake_worker_text(char text[64], uint64_t seed, uint32_t groups, uint64_t steps)
{
    snprintf(text, 64, "%" PRIu64 " %u %" PRIu64, seed, groups, steps);
}

void fake_worker_job(sim_job *job, const char *text, size_t size)
{
    char copy[64];
    uint64_t seed, steps;
    uint32_t groups;

    snprintf(copy, sizeof copy, "%.*s", (int)size, text);
    if (sscanf(copy, "%" SCNu64 " %" SCNu32 " %" SCNu64, &seed, &groups, &steps) != 3)
        abort();
    sim_job_init(job, seed, groups, steps, FAKE_WORKER_FILLER);
}

void fake_worker_shape(coord_shape *shape)
{
    *shape = (coord_shape){ .job = "model", .plan = { 3, 4 }, .table_count = 1 };
    shape->tables[0].name = "cells";
    shape->tables[0].schema = &cells_schema;
    shape->tables[0].key_groups = SIM_GROUPS_MAX;
}

/* ---- what the state machine asked for, to be done in the loop ---- */

typedef enum fake_kind { FAKE_LOAD, FAKE_TASK, FAKE_PART, FAKE_OPEN, FAKE_SYNC } fake_kind;

typedef struct fake_deed {
    fake_kind kind;
    uint64_t generation, number;
    uint32_t group;
    proto_task *task;
    struct fake_deed *next;
} fake_deed;

typedef struct fake_worker {
    uint64_t id;
    coord_net *net;
    proto_worker *worker; /* null: no job yet */
    sim_job job;
    uint64_t number;      /* of the job */
    char store[DF_PATH_MAX], output[DF_PATH_MAX];
    char label[WEIR_NAME_MAX];
    uint64_t members[PROTO_MEMBERS_MAX];
    uint32_t member_count;
    uint64_t base;        /* the snapshot that the generation began from */
    int file;
    uint8_t *said;        /* of the last part */
    size_t said_size;
    uint64_t said_attempt, said_generation;
    fake_deed *first, **last;
    uint8_t *frame;
    bool stop;
} fake_worker;

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void deed_put(fake_worker *w, fake_deed deed)
{
    fake_deed *d = malloc(sizeof *d);

    if (d == NULL)
        abort();
    *d = deed;
    d->next = NULL;
    *w->last = d;
    w->last = &d->next;
}

static void frame_send(fake_worker *w, uint64_t to, const proto_msg *msg)
{
    size_t size = proto_encode(msg, w->frame, PROTO_FRAME_SIZE_MAX);
    coord_net_frame frame = { .head = w->frame, .head_size = size };

    if (size == 0)
        abort();
    if (coord_net_send(w->net, to, &frame, NULL) != DF_OK)
        return; /* the protocol says it again */
}

/* A part is said before each `prepared`. */
static void part_say(fake_worker *w)
{
    uint32_t count = coord_part_messages(w->said_size);

    for (uint32_t i = 0; i < count; i++) {
        proto_msg msg = { .header = { .type = PROTO_TYPE_part, .job = w->number,
                                      .generation = w->said_generation, .sender = w->id } };
        size_t offset, size = coord_part_cut(w->said_size, i, &offset);

        msg.part = (proto_part){ w->said_attempt, i, count, { w->said + offset, (uint32_t)size } };
        frame_send(w, 0, &msg);
    }
}

static void env_send(void *user, uint64_t to, const proto_msg *msg)
{
    fake_worker *w = user;

    if (msg->header.type == PROTO_TYPE_prepared && msg->prepared.ok &&
        msg->prepared.attempt == w->said_attempt)
        part_say(w);
    frame_send(w, to, msg);
}

static void env_load(void *user, uint64_t generation, uint64_t snapshot, uint32_t group)
{
    deed_put(user, (fake_deed){ FAKE_LOAD, generation, snapshot, group, NULL, NULL });
}

static void env_run(void *user, proto_task *task)
{
    deed_put(user, (fake_deed){ FAKE_TASK, 0, 0, 0, task, NULL });
}

static proto_batch *env_boundary(void *user, uint32_t src, uint32_t dst, proto_batch *state)
{
    (void)user;
    (void)src;
    (void)dst;
    return sim_job_boundary(state);
}

static void env_sink_open(void *user, uint64_t generation, uint32_t group)
{
    deed_put(user, (fake_deed){ FAKE_OPEN, generation, 0, group, NULL, NULL });
}

static void env_sink_write(void *user, uint64_t generation, uint32_t group, uint64_t offset,
                           const proto_batch *bytes)
{
    fake_worker *w = user;

    (void)generation;
    (void)group;
    if (pwrite(w->file, bytes->bytes, bytes->size, (off_t)offset) != (ssize_t)bytes->size)
        abort();
}

static void env_sink_sync(void *user, uint64_t generation, uint64_t attempt)
{
    deed_put(user, (fake_deed){ FAKE_SYNC, generation, attempt, 0, NULL, NULL });
}

static void env_stop(void *user, uint8_t reason)
{
    fake_worker *w = user;

    (void)reason;
    w->stop = true;
}

/* ---- a part: the value of each key group as a row, its bytes as what is carried ---- */

static void group_write(fake_worker *w, snap_writer *writer, coord_part_writer *said, uint32_t group,
                        const proto_batch *batch)
{
    uint64_t key = group, value = batch == NULL ? 0 : sim_job_value(batch);
    snap_source source = { "cells", 0, 0, "id", WEIR_U64, group, batch == NULL ? 0 : 1, &key };
    snap_written written[2];
    df_error err;

    (void)w;
    if (snap_write_column(writer, &source, written, &err) != DF_OK)
        abort();
    source.column = 1;
    source.name = "value";
    source.values = &value;
    if (snap_write_column(writer, &source, written + 1, &err) != DF_OK)
        abort();
    coord_part_put_group(said, 0, group, source.rows, written, batch == NULL ? 0 : 2);
}

static void env_part(void *user, uint64_t generation, uint64_t attempt, const proto_captured *captured,
                     uint32_t count)
{
    fake_worker *w = user;
    snap_part_id id = { attempt, (uint32_t)generation, 0 };
    coord_part_writer said;
    snap_coder *coder = snap_coder_new();
    snap_writer writer;
    snap_part_info info;
    snap_part *part;
    df_error err;
    df_status s;

    while (id.part < w->member_count && w->members[id.part] != w->id)
        id.part++;
    if (coder == NULL || snap_rocksdb_part_open(&part, w->store, &id, &err) != DF_OK ||
        snap_writer_init(&writer, part, coder, SNAP_LZ4, COORD_CHUNK_SIZE, NULL, &err) != DF_OK)
        abort();
    coord_part_begin(&said);
    for (uint32_t i = 0; i < count; i++) {
        const proto_captured *c = &captured[i];

        if (c->group < w->job.groups)
            group_write(w, &writer, &said, c->group, c->batch);
        coord_part_put_item(&said, SNAP_CARRIED, "bytes", c->group, c->batch->bytes, c->batch->size);
    }
    for (uint32_t g = w->job.groups; id.part == 0 && g < SIM_GROUPS_MAX; g++)
        group_write(w, &writer, &said, g, NULL);
    s = snap_part_finish(&part, &info, &err);
    if (s != DF_OK && s != DF_END)
        abort();
    snap_writer_fini(&writer);
    snap_coder_free(&coder);
    free(w->said);
    if (coord_part_end(&said, s == DF_OK ? &info : NULL, &w->said, &w->said_size, &err) != DF_OK)
        abort();
    w->said_attempt = attempt;
    w->said_generation = generation;
    deed_put(w, (fake_deed){ FAKE_PART, generation, attempt, 0, NULL, NULL });
}

/* ---- loading ---- */

static snap_store *store_open(const char *folder)
{
    static df_disk disk;
    const snap_store_options options = { .readonly = true };
    snap_store *store;
    df_error err = { 0 };

    df_disk_posix_init(&disk);
    if (snap_store_open_rocksdb(&store, &disk, folder, &options, &err) != DF_OK) {
        fprintf(stderr, "%s\n", err.text);
        return NULL;
    }
    return store;
}

static proto_batch *group_load(fake_worker *w, uint64_t snapshot, uint32_t group)
{
    snap_store *store;
    snap_manifest *m = NULL;
    proto_batch *batch = NULL;
    const snap_owner *owner;
    const snap_item *item;
    df_error err;

    if (snapshot == 0)
        return sim_job_first(&w->job, group);
    store = store_open(w->store);
    if (store == NULL)
        return NULL;
    if (snap_store_load(store, snapshot, &m, &err) == DF_OK) {
        owner = snap_manifest_owner(m, SNAP_CARRIED, "bytes");
        item = owner == NULL ? NULL : snap_owner_item(owner, group);
        batch = item == NULL ? NULL : proto_batch_new(item->size, group < w->job.groups);
        if (batch != NULL)
            memcpy(batch->bytes, item->bytes, item->size);
    }
    snap_manifest_free(&m);
    snap_store_close(&store);
    return batch;
}

bool fake_worker_value(snap_store *store, uint64_t snapshot, uint32_t group, uint64_t *value)
{
    snap_coder *coder = snap_coder_new();
    snap_manifest *m = NULL;
    const snap_owner *owner;
    const snap_item *item;
    df_error err;
    bool right = coder != NULL && snap_store_load(store, snapshot, &m, &err) == DF_OK &&
                 snap_store_read_column(store, m, 0, group, 1, coder, value, &err) == DF_OK;

    owner = right ? snap_manifest_owner(m, SNAP_CARRIED, "bytes") : NULL;
    item = owner == NULL ? NULL : snap_owner_item(owner, group);
    right = item != NULL && proto_get_u64(item->bytes) == *value;
    snap_manifest_free(&m);
    snap_coder_free(&coder);
    return right;
}

/* ---- the loop ---- */

static void deed_do(fake_worker *w, const fake_deed *d)
{
    uint64_t now = now_us();

    switch (d->kind) {
    case FAKE_LOAD:
        proto_worker_loaded(w->worker, now, d->generation, d->group, group_load(w, d->number, d->group));
        break;
    case FAKE_TASK:
        sim_job_end(&w->job, d->task, sim_job_begin(&w->job, d->task));
        proto_worker_task_done(w->worker, now, d->task, true);
        break;
    case FAKE_PART:
        proto_worker_part_done(w->worker, now, d->number, true);
        break;
    case FAKE_OPEN:
        if (w->file < 0)
            w->file = open(w->output, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        proto_worker_sink_opened(w->worker, now, d->generation, d->group, 0);
        break;
    case FAKE_SYNC:
        if (w->file >= 0 && fsync(w->file) != 0)
            abort();
        proto_worker_sinks_synced(w->worker, now, d->number, true);
        break;
    }
}

static void say_hello(fake_worker *w)
{
    const char *address = coord_net_address(w->net);
    proto_msg msg = { .header = { .type = PROTO_TYPE_hello, .job = w->number, .sender = w->id } };

    msg.hello.host = coord_process_host();
    msg.hello.process = coord_process_self();
    msg.hello.address = (proto_bytes){ (const uint8_t *)address, (uint32_t)strlen(address) };
    frame_send(w, 0, &msg);
}

static void take_assign(fake_worker *w, const proto_msg *msg)
{
    const proto_assign *a = &msg->assign;
    proto_worker_env env = { .user = w, .flow = &proto_flow_model, .send = env_send,
                             .load = env_load, .run = env_run, .boundary = env_boundary,
                             .part = env_part, .sink_open = env_sink_open,
                             .sink_write = env_sink_write, .sink_sync = env_sink_sync,
                             .stop = env_stop };
    proto_worker_config config = { .job = a->job, .self = w->id, .process = coord_process_self(),
                                   .host = coord_process_host(), .credit_size = 1 << 20,
                                   .move_size = 1 << 20, .frame_size = 1 << 16, .tries = 1,
                                   .beat_us = COORD_BEAT_US, .resend_us = 2 * COORD_BEAT_US };
    coord_worker_options options = { 0 };

    if (w->worker != NULL ||
        !coord_json_options_read(&options, (const char *)a->options.data, a->options.size))
        return;
    w->number = a->job;
    snprintf(w->label, sizeof w->label, "%s", options.label);
    snprintf(w->store, sizeof w->store, "%s/store", options.state);
    snprintf(w->output, sizeof w->output, "%.*s/out.bin", (int)a->directory.size,
             (const char *)a->directory.data);
    fake_worker_job(&w->job, (const char *)a->text.data, a->text.size);
    printf("%s has its job\n", w->label);
    fflush(stdout);
    w->worker = proto_worker_new(&w->job.plan, &config, &env);
    proto_worker_start(w->worker, now_us());
}

static void take_install(fake_worker *w, const proto_install *i)
{
    w->member_count = i->members.size / 8;
    for (uint32_t m = 0; m < w->member_count; m++)
        w->members[m] = proto_get_u64(i->members.data + 8 * m);
}

static void take_peers(fake_worker *w, proto_bytes list)
{
    char address[PROTO_TEXT_SIZE_MAX + 1];
    coord_peer peer;

    while (coord_peers_get(&list, &peer)) {
        snprintf(address, sizeof address, "%.*s", (int)peer.address.size, (const char *)peer.address.data);
        if (peer.worker != w->id && coord_net_connect(w->net, peer.worker, address, NULL, NULL) != DF_OK)
            abort();
    }
}

static void take_frame(fake_worker *w, const coord_net_event *e)
{
    proto_msg msg;

    if (proto_decode(&msg, e->bytes, e->size) != PROTO_REJECT_ok)
        return;
    if (msg.header.type == PROTO_TYPE_assign) {
        take_assign(w, &msg);
    } else if (msg.header.type == PROTO_TYPE_peers) {
        take_peers(w, msg.peers.list);
    } else if (w->worker == NULL) {
        w->stop |= msg.header.type == PROTO_TYPE_stop;
    } else {
        if (msg.header.type == PROTO_TYPE_install)
            take_install(w, &msg.install);
        proto_worker_receive(w->worker, now_us(), &msg);
    }
}

static void take_event(fake_worker *w, const coord_net_event *e)
{
    if (e->kind == COORD_NET_FRAME)
        take_frame(w, e);
    else if (e->kind == COORD_NET_LINKED && e->peer == 0)
        say_hello(w);
    else if (e->kind == COORD_NET_LINKED && w->worker != NULL)
        proto_worker_linked(w->worker, now_us(), e->peer);
}

static void worker_turn(fake_worker *w)
{
    uint64_t at = w->worker == NULL ? now_us() + COORD_BEAT_US : proto_worker_deadline(w->worker);
    uint64_t now = now_us(), ready;
    coord_net_event event;

    if (coord_net_wait(w->net, w->first != NULL || at < now ? 0 : (int64_t)(at - now), NULL, 0, &ready) ==
            DF_AGAIN &&
        w->worker == NULL)
        say_hello(w);
    while (!w->stop && coord_net_next(w->net, &event))
        take_event(w, &event);
    for (fake_deed *d = w->first; d != NULL && !w->stop; d = w->first) {
        w->first = d->next;
        if (w->first == NULL)
            w->last = &w->first;
        deed_do(w, d);
        free(d);
    }
    if (w->worker != NULL && !w->stop && now_us() >= proto_worker_deadline(w->worker))
        proto_worker_tick(w->worker, now_us());
}

int fake_worker_main(int argc, char **argv)
{
    fake_worker *w = calloc(1, sizeof *w);
    char address[COORD_ADDRESS_MAX];
    coord_net_options options = { .bind = address, .frame_size_max = PROTO_FRAME_SIZE_MAX };
    df_error err;

    if (w == NULL || argc < 6)
        abort();
    w->id = options.self = strtoull(argv[5], NULL, 10);
    w->file = -1;
    w->last = &w->first;
    w->frame = malloc(PROTO_FRAME_SIZE_MAX);
    if (w->frame == NULL || coord_state_socket(address, w->id, &err) != DF_OK ||
        coord_net_open(&w->net, &options, &err) != DF_OK ||
        coord_net_connect(w->net, 0, argv[3], NULL, &err) != DF_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    while (!w->stop)
        worker_turn(w);
    coord_net_close(&w->net);
    return 0;
}
