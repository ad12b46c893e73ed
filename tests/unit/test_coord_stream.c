/* The two ends of a stream as processes have them: what is fetched of a snapshot is what the store holds, through a
 * worker's state machine and its loading thread; a part that comes in pieces is the file that was sent, or none. And
 * the folder in which a worker keeps its parts. */
#include "coordinator/coord_intake.h"
#include "coordinator/coord_outlet.h"
#include "coordinator/coord_part.h"
#include "coordinator/coord_process.h"
#include "coordinator/coord_remote.h"
#include "coordinator/coord_scratch.h"
#include "coordinator/sim_job.h"
#include "snapshot/snap_hash.h"
#include "tests/support/snap_scene.h"

#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT_S 60 /* of any wait */

static const proto_stream_limits limits = { PROTO_PIECE_SIZE, PROTO_STREAM_WINDOW, 1000000 };

typedef struct place {
    char folder[64], store[96], other[96];
    scene scene;
    snap_store *snapshots;
    df_disk disk;
} place;

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

/* A store with one snapshot of a few windows. */
static int set_up(void **state)
{
    place *p = calloc(1, sizeof *p);
    df_error err;

    assert_non_null(p);
    strcpy(p->folder, "/tmp/test_coord_stream.XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->store, sizeof p->store, "%s/store", p->folder);
    snprintf(p->other, sizeof p->other, "%s/other", p->folder);
    assert_int_equal(mkdir(p->other, 0700), 0);
    p->scene = scene_new();
    p->scene.codec = SNAP_NONE;
    for (uint32_t g = 0; g < p->scene.groups; g++)
        p->scene.rows[g] = 25000 + g;
    df_disk_posix_init(&p->disk);
    assert_int_equal(snap_store_open_rocksdb(&p->snapshots, &p->disk, p->store, &(snap_store_options){ 0 }, &err),
                     DF_OK);
    assert_int_equal(scene_commit(p->snapshots, &p->scene, 7, "", NULL, &err), DF_OK);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    place *p = *state;

    snap_store_close(&p->snapshots);
    nftw(p->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(p);
    return 0;
}

/* ---- a snapshot through the network ---- */

#define HARMED 300000u /* the byte, of what is fetched of a table */

typedef enum harm {
    HARM_NONE,
    HARM_BYTE,   /* a byte of a chunk is another one */
    HARM_TOTAL,  /* a table is said to be shorter than the manifest knows */
    HARM_OTHER,  /* another snapshot's manifest */
    HARM_STATUS, /* it cannot be read */
    HARM_SILENCE,
} harm;

typedef struct line {
    place *place;
    harm harm;
    sim_job job;
    proto_worker *worker;
    coord_remote *remote;
    coord_outlet *outlet;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool wake, ended, drop;
    uint64_t now;
    uint32_t fetches, pieces;
    df_status status;
    df_error error;
} line;

static void line_wake(void *user)
{
    line *l = user;

    pthread_mutex_lock(&l->lock);
    l->wake = true;
    pthread_cond_signal(&l->woken);
    pthread_mutex_unlock(&l->lock);
}

static void line_send(void *user, uint64_t to, const proto_msg *msg)
{
    line *l = user;

    (void)to;
    if (msg->header.type != PROTO_TYPE_fetch || l->harm == HARM_SILENCE)
        return;
    l->fetches++;
    coord_outlet_put(l->outlet, 2, &msg->fetch);
}

static void line_load(void *user, uint64_t generation, uint64_t snapshot, uint32_t group)
{
    (void)user;
    (void)generation;
    (void)snapshot;
    (void)group;
}

static void line_sink_open(void *user, uint64_t generation, uint32_t group)
{
    (void)user;
    (void)generation;
    (void)group;
}

static void line_fetched(void *user, const proto_piece *piece)
{
    line *l = user;

    coord_remote_piece(l->remote, piece);
}

static void line_piece(line *l, proto_piece piece)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_piece, .job = 7, .generation = 1, .incarnation = 1 },
                      .piece = piece };

    /* Now and then one is lost, or comes twice. */
    if (++l->pieces % 5 == 0 && !l->drop) {
        l->drop = true;
        return;
    }
    l->drop = false;
    proto_worker_receive(l->worker, l->now, &msg);
    if (l->pieces % 7 == 0)
        proto_worker_receive(l->worker, l->now, &msg);
}

static void line_served(line *l, const proto_serve *s)
{
    static uint8_t changed[PROTO_STREAM_WINDOW];
    static const char text[] = "the disk\nhas gone";
    proto_serve served = *s;

    memcpy(changed, s->bytes.data, s->bytes.size);
    served.bytes.data = changed;
    if (l->harm == HARM_STATUS)
        served = (proto_serve){ .worker = 2, .number = s->number, .status = DF_ECORRUPT, .total = 0,
                                .bytes = { (const uint8_t *)text, sizeof text - 1 } };
    if (l->harm == HARM_BYTE && s->total > PROTO_PIECE_SIZE && s->offset <= HARMED &&
        HARMED - s->offset < s->bytes.size)
        changed[HARMED - s->offset] ^= 1;
    if (l->harm == HARM_TOTAL && s->total > PROTO_PIECE_SIZE)
        served.total = PROTO_PIECE_SIZE;
    if (served.status != 0) {
        line_piece(l, (proto_piece){ served.number, served.status, 0, 0, served.bytes });
        return;
    }
    for (uint32_t sent = 0, size; sent < served.bytes.size && served.offset + sent < served.total; sent += size) {
        size = proto_stream_cut(&limits, served.total, served.offset + sent);
        line_piece(l, (proto_piece){ served.number, 0, served.total, served.offset + sent,
                                     { served.bytes.data + sent, size } });
    }
}

static df_status load_columns(line *l, const snap_manifest *m, df_error *err)
{
    const scene *s = &l->place->scene;
    coord_part_source source = coord_remote_source(l->remote);
    const uint8_t groups = 0xd; /* all but the second */
    snap_coder *coder = snap_coder_new();
    df_status status = source.table(source.user, m, 0, &groups, err);

    for (uint32_t g = 0; status == DF_OK && g < s->groups; g++)
        for (uint32_t c = 0; status == DF_OK && (groups >> g & 1) != 0 && c < scene_columns(); c++) {
            size_t size = s->rows[g] * weir_type_size(scene_type(c));
            void *got = malloc(size), *wanted = scene_column(s, g, c);

            status = source.column(source.user, m, 0, g, c, coder, got, err);
            if (status == DF_OK && memcmp(got, wanted, size) != 0)
                status = df_fail(err, DF_EINVAL, "WRONG ROWS");
            free(got);
            free(wanted);
        }
    snap_coder_free(&coder);
    return status;
}

static void *load_main(void *user)
{
    line *l = user;
    snap_manifest *m = NULL;
    df_status s = coord_remote_manifest(l->remote, l->harm == HARM_OTHER ? 8 : 7, &m, &l->error);

    if (s == DF_OK && (m->step != 70 || m->table_count != 2))
        s = df_fail(&l->error, DF_EINVAL, "WRONG MANIFEST");
    if (s == DF_OK)
        s = load_columns(l, m, &l->error);
    snap_manifest_free(&m);
    pthread_mutex_lock(&l->lock);
    l->status = s;
    l->ended = true;
    pthread_mutex_unlock(&l->lock);
    line_wake(l);
    return NULL;
}

static void line_install(line *l)
{
    uint8_t members[8], owners[20] = { 0 };
    proto_msg msg = { .header = { .type = PROTO_TYPE_install, .job = 7, .generation = 1, .incarnation = 1 },
                      .install = { .window = 8, .snapshot = 7, .members = { members, 8 },
                                   .owners = { owners, 20 } } };

    proto_put_u64(members, 2);
    proto_worker_receive(l->worker, l->now, &msg);
}

/* The main threads of both processes, in one. Time stands still but for what was lost. */
static void line_turn(line *l)
{
    proto_serve served;
    struct timespec at;

    coord_remote_poll(l->remote, l->worker, l->now);
    while (coord_outlet_ended(l->outlet, &served)) {
        if (l->harm == HARM_OTHER)
            served.number++; /* of a fetch that nobody made */
        line_served(l, &served);
    }
    pthread_mutex_lock(&l->lock);
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += 10000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    if (!l->wake && pthread_cond_timedwait(&l->woken, &l->lock, &at) != 0)
        l->now += 500000;
    l->wake = false;
    pthread_mutex_unlock(&l->lock);
    proto_worker_tick(l->worker, l->now);
}

static void run(place *p, harm what, line *l)
{
    proto_worker_env env = { .user = l, .flow = &proto_flow_model, .send = line_send, .load = line_load,
                             .sink_open = line_sink_open, .fetched = line_fetched };
    proto_worker_config config = { .job = 7, .self = 2, .process = 2, .credit_size = 1000, .move_size = 1000,
                                   .frame_size = 100, .tries = 1, .beat_us = 1000, .resend_us = 2000,
                                   .stream = limits };
    pthread_t thread;

    *l = (line){ .place = p, .harm = what };
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->woken, NULL);
    sim_job_init(&l->job, 1, 4, 10, 0);
    l->worker = proto_worker_new(&l->job.plan, &config, &env);
    l->remote = coord_remote_new(line_wake, l);
    assert_non_null(l->remote);
    assert_int_equal(coord_outlet_new(&l->outlet, p->store, line_wake, l, &l->error), DF_OK);
    proto_worker_start(l->worker, 0);
    line_install(l);
    coord_remote_begin(l->remote);
    assert_int_equal(pthread_create(&thread, NULL, load_main, l), 0);
    for (uint32_t turn = 0; !l->ended; turn++) {
        assert_true(turn < 20000);
        if ((what == HARM_SILENCE || what == HARM_OTHER) && turn == 20)
            coord_remote_stop(l->remote);
        line_turn(l);
    }
    pthread_join(thread, NULL);
    proto_worker_free(&l->worker);
    coord_remote_free(&l->remote);
    coord_outlet_free(&l->outlet);
    pthread_cond_destroy(&l->woken);
    pthread_mutex_destroy(&l->lock);
}

static void test_loads(void **state)
{
    line l;

    run(*state, HARM_NONE, &l);
    if (l.status != DF_OK)
        fail_msg("%s", l.error.text);
    assert_true(l.fetches > 2); /* the manifest, and what does not fit into a window; more if it is used while it comes */
}

static void test_refuses_what_is_wrong(void **state)
{
    line l;

    run(*state, HARM_BYTE, &l);
    assert_int_equal(l.status, DF_ECORRUPT);
    assert_non_null(strstr(l.error.text, "from the coordinator: snapshot 7, state \"birds\", key group "));
    run(*state, HARM_TOTAL, &l);
    assert_int_equal(l.status, DF_ECORRUPT);
    assert_non_null(strstr(l.error.text, "instead of"));
    run(*state, HARM_STATUS, &l);
    assert_int_equal(l.status, DF_ECORRUPT);
    assert_string_equal(l.error.text, "the disk?has gone");
}

static void test_gives_up(void **state)
{
    line l;

    run(*state, HARM_SILENCE, &l);
    assert_int_equal(l.status, DF_END);
    run(*state, HARM_OTHER, &l);
    assert_int_equal(l.status, DF_END);
}

/* Any range of it is what the whole has there; what there is not is refused. */
static void test_ranges(void **state)
{
    place *p = *state;
    static uint8_t whole[2 * PROTO_STREAM_WINDOW], range[PROTO_STREAM_WINDOW];
    const uint8_t groups = 0x2;
    proto_fetch f = { .snapshot = 7, .table = 0, .groups = { &groups, 1 } };
    snap_manifest *m;
    uint64_t total = 0, have = 0;
    uint32_t got;
    df_error err;

    assert_int_equal(snap_store_load(p->snapshots, 7, &m, &err), DF_OK);
    do {
        f.offset = have;
        f.size = 100000;
        assert_int_equal(coord_outlet_read(p->snapshots, m, &f, whole + have, &got, &total, &err), DF_OK);
        have += got;
    } while (have < total);
    assert_true(total > 25001u * 21 && total < sizeof whole);
    for (uint64_t offset = 0; offset < total; offset += 33331) {
        f.offset = offset;
        f.size = offset % 7 + 1;
        assert_int_equal(coord_outlet_read(p->snapshots, m, &f, range, &got, &total, &err), DF_OK);
        assert_memory_equal(range, whole + offset, got);
    }
    f.offset = total;
    assert_int_equal(coord_outlet_read(p->snapshots, m, &f, range, &got, &total, &err), DF_EINVAL);
    f = (proto_fetch){ .snapshot = 7, .table = 0, .size = 10, .groups = { &groups, 0 } };
    assert_int_equal(coord_outlet_read(p->snapshots, m, &f, range, &got, &total, &err), DF_EINVAL);
    f = (proto_fetch){ .snapshot = 7, .table = 2, .size = 10, .groups = { &groups, 1 } };
    assert_int_equal(coord_outlet_read(p->snapshots, m, &f, range, &got, &total, &err), DF_EINVAL);
    f = (proto_fetch){ .snapshot = 7, .table = 0, .size = PROTO_STREAM_WINDOW + 1u, .groups = { &groups, 1 } };
    assert_int_equal(coord_outlet_read(p->snapshots, m, &f, range, &got, &total, &err), DF_EINVAL);
    snap_manifest_free(&m);
}

static sem_t woken;

static void wake(void *user)
{
    (void)user;
    sem_post(&woken);
}

static void await_wake(void)
{
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += LIMIT_S;
    assert_int_equal(sem_timedwait(&woken, &at), 0);
}

static proto_serve served(coord_outlet *o)
{
    proto_serve s;

    while (!coord_outlet_ended(o, &s))
        await_wake();
    return s;
}

/* A snapshot that is not there is said, and the store can be closed and opened again between two. */
static void test_serves(void **state)
{
    place *p = *state;
    proto_fetch f = { .number = 3, .snapshot = 9, .table = UINT32_MAX, .size = 100 };
    coord_outlet *o;
    proto_serve s;
    df_error err;

    assert_int_equal(coord_outlet_new(&o, p->store, wake, NULL, &err), DF_OK);
    coord_outlet_put(o, 5, &f);
    s = served(o);
    assert_true(s.worker == 5 && s.number == 3 && s.status == DF_ECORRUPT);
    f.snapshot = 7;
    coord_outlet_put(o, 5, &f);
    s = served(o);
    assert_true(s.status == 0 && s.bytes.size == 100 && s.total > 100);
    coord_outlet_rest(o);
    f.offset = 100;
    coord_outlet_put(o, 5, &f);
    assert_int_equal(served(o).status, 0);
    f.offset = s.total;
    coord_outlet_put(o, 5, &f);
    assert_int_equal(served(o).status, DF_EINVAL);
    coord_outlet_put(o, 5, &f);
    coord_outlet_free(&o); /* with one under way */
}

/* ---- a part ---- */

static const snap_part_id part_id = { 9, 4, 2 };

/* A part of a few pieces in `folder`/incoming. */
static void write_part(const char *folder, const snap_part_id *id)
{
    static uint8_t bytes[SNAP_CHUNK_HEAD + 200000];
    char incoming[160];
    snap_part_info info;
    snap_part *part;
    df_error err;

    snprintf(incoming, sizeof incoming, "%s/incoming", folder);
    (void)mkdir(incoming, 0700);
    assert_int_equal(snap_rocksdb_part_open(&part, folder, id, &err), DF_OK);
    for (uint32_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)(k * 7 + i * 31 + k / 251);
        assert_int_equal(snap_part_put(part, &(snap_place){ i, 0, 0, 0 }, bytes, sizeof bytes, &err), DF_OK);
    }
    assert_int_equal(snap_part_finish(&part, &info, &err), DF_OK);
}

typedef struct sending {
    coord_intake *intake;
    const char *folder;  /* of the scratch */
    snap_part_id id, as; /* what is read; what it is said to be */
    uint64_t size;
    df_hash hash;
    df_status status;    /* the first that is not DF_OK */
    df_error error;
} sending;

static void take_end(sending *s)
{
    coord_intake_end end;

    while (!coord_intake_ended(s->intake, &end))
        await_wake();
    assert_true(end.worker == 5 && end.attempt == s->as.snapshot);
    if (end.status != DF_OK && s->status == DF_OK) {
        s->status = end.status;
        s->error = end.error;
    }
}

static void send_piece(sending *s, uint64_t offset, uint8_t change)
{
    static uint8_t bytes[PROTO_PIECE_SIZE];
    uint32_t size = proto_stream_cut(&limits, s->size, offset);

    assert_true(coord_scratch_read(s->folder, &s->id, offset, bytes, size));
    bytes[size / 2] ^= change;
    coord_intake_put(s->intake, &(proto_collect){
        .worker = 5, .generation = s->as.attempt, .attempt = s->as.snapshot, .place = s->as.part, .offset = offset,
        .total = s->size, .hash_high = s->hash.high, .hash_low = s->hash.low, .bytes = { bytes, size } });
}

static void send_part(sending *s, uint64_t from, uint8_t change)
{
    uint32_t count = 0;

    s->status = DF_OK;
    for (uint64_t at = from; at < s->size; at += PROTO_PIECE_SIZE, count++)
        send_piece(s, at, at == PROTO_PIECE_SIZE ? change : 0);
    for (uint32_t i = 0; i < count; i++)
        take_end(s);
}

static sending begin(place *p, bool verify)
{
    sending s = { .folder = p->other, .id = part_id, .as = part_id };
    df_error err;

    write_part(p->other, &part_id);
    assert_int_equal(coord_scratch_sum(p->other, &part_id, &s.size, &s.hash, &err), DF_OK);
    assert_true(s.size > 3 * PROTO_PIECE_SIZE);
    assert_int_equal(coord_intake_new(&s.intake, &p->disk, p->store, verify, wake, NULL, &err), DF_OK);
    return s;
}

static void test_takes_a_part(void **state)
{
    place *p = *state;
    df_hash hash;
    uint64_t size;
    df_error err;

    for (int verify = 0; verify < 2; verify++) {
        sending s = begin(p, verify == 1);

        send_part(&s, 0, 0);
        if (s.status != DF_OK)
            fail_msg("%s", s.error.text);
        assert_int_equal(coord_scratch_sum(p->store, &part_id, &size, &hash, &err), DF_OK);
        assert_true(size == s.size && snap_hash_equal(hash, s.hash));
        send_part(&s, 0, 0); /* from the beginning again, as for another coordinator */
        assert_int_equal(s.status, DF_OK);
        coord_intake_free(&s.intake);
    }
    assert_int_equal(snap_store_ingest(p->snapshots, &part_id, 1, &err), DF_OK);
}

static void test_refuses_a_part(void **state)
{
    place *p = *state;
    sending s = begin(p, false);

    send_part(&s, 0, 1);
    assert_int_equal(s.status, DF_ECORRUPT);
    assert_non_null(strstr(s.error.text, "not the one that was offered"));
    send_part(&s, PROTO_PIECE_SIZE, 0); /* without a beginning */
    assert_int_equal(s.status, DF_EIO);
    s.as.part = 1; /* it holds another member's chunks */
    send_part(&s, 0, 0);
    assert_int_equal(s.status, DF_ECORRUPT);
    assert_non_null(strstr(s.error.text, "another part's chunks"));
    coord_intake_free(&s.intake);
}

/* Bytes that are no table at all are said to be damaged, and the process lives. */
static void test_refuses_no_table(void **state)
{
    place *p = *state;
    sending s = begin(p, false);
    char path[DF_PATH_MAX];
    FILE *file;
    df_error err;

    snap_rocksdb_part_path(path, p->other, &part_id);
    for (uint64_t at = 1; at < s.size; at = at * 2 + 1) {
        write_part(p->other, &part_id);
        file = fopen(path, "r+");
        assert_non_null(file);
        assert_int_equal(fseek(file, -(long)at, SEEK_END), 0);
        assert_int_equal(fputs("damage in the table", file) >= 0, 1);
        fclose(file);
        assert_int_equal(coord_scratch_sum(p->other, &part_id, &s.size, &s.hash, &err), DF_OK);
        send_part(&s, 0, 0);
        if (s.status != DF_OK)
            assert_true(s.status == DF_ECORRUPT || s.status == DF_EIO || s.status == DF_ENOTSUP);
    }
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(coord_scratch_sum(p->other, &part_id, &s.size, &s.hash, &err), DF_OK);
    send_part(&s, 0, 0);
    assert_int_not_equal(s.status, DF_OK);
    coord_intake_free(&s.intake);
}

/* An attempt that was given up: what waits is forgotten, and what comes late finds no file. */
static void test_forgets(void **state)
{
    place *p = *state;
    sending s = begin(p, false);

    send_piece(&s, 0, 0);
    take_end(&s);
    assert_int_equal(s.status, DF_OK);
    assert_true(coord_intake_clear(s.intake, part_id.snapshot));
    send_piece(&s, PROTO_PIECE_SIZE, 0);
    take_end(&s);
    assert_int_equal(s.status, DF_EIO);
    s.status = DF_OK;
    send_piece(&s, 0, 0);
    take_end(&s);
    assert_true(coord_intake_clear(s.intake, part_id.snapshot - 1));
    send_piece(&s, PROTO_PIECE_SIZE, 0);
    take_end(&s);
    assert_int_equal(s.status, DF_OK);
    send_piece(&s, 2 * PROTO_PIECE_SIZE, 0);
    coord_intake_free(&s.intake); /* with one under way */
}

static void test_no_folder(void **state)
{
    place *p = *state;
    sending s = begin(p, false);
    char nowhere[160];
    df_error err;

    coord_intake_free(&s.intake);
    snprintf(nowhere, sizeof nowhere, "%s/nowhere", p->folder);
    assert_int_equal(coord_intake_new(&s.intake, &p->disk, nowhere, false, wake, NULL, &err), DF_OK);
    send_part(&s, 0, 0);
    assert_int_equal(s.status, DF_END);
    coord_intake_free(&s.intake);
}

/* ---- the scratch folder ---- */

static void test_scratch(void **state)
{
    place *p = *state;
    char path[DF_PATH_MAX], dead[256], alive[256], none[DF_PATH_MAX];
    uint8_t bytes[10];
    df_error err;

    snprintf(dead, sizeof dead, "%s/weir-scratch-%08x-%016x", p->folder, coord_process_host(), 0x7fffffff);
    snprintf(alive, sizeof alive, "%s/weir-scratch-%08x-%016x", p->folder, coord_process_host() + 1, 0x7fffffff);
    assert_int_equal(mkdir(dead, 0700) + mkdir(alive, 0700), 0);
    assert_int_equal(coord_scratch_make(path, p->folder, &err), DF_OK);
    assert_int_equal(access(dead, F_OK), -1); /* a process of this host that has ended */
    assert_int_equal(access(alive, F_OK), 0); /* another host's */
    write_part(path, &part_id);
    assert_true(coord_scratch_read(path, &part_id, 0, bytes, sizeof bytes));
    assert_false(coord_scratch_read(path, &part_id, UINT32_MAX, bytes, sizeof bytes));
    coord_scratch_drop(path, &part_id);
    assert_false(coord_scratch_read(path, &part_id, 0, bytes, sizeof bytes));
    coord_scratch_drop(path, &part_id);
    write_part(path, &part_id);
    coord_scratch_remove(path);
    assert_int_equal(access(path, F_OK), -1);
    coord_scratch_remove(path);
    coord_scratch_remove("");
    snprintf(none, sizeof none, "%s/nowhere", p->folder);
    assert_int_equal(coord_scratch_make(path, none, &err), DF_EIO);
    assert_non_null(strstr(err.text, "--scratch DIR"));
    assert_string_equal(path, "");
    memset(none, 'x', sizeof none);
    none[sizeof none - 1] = '\0';
    assert_int_equal(coord_scratch_make(path, none, &err), DF_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_loads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refuses_what_is_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gives_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ranges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_serves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_takes_a_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refuses_a_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refuses_no_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forgets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scratch, set_up, tear_down),
    };

    sem_init(&woken, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
