/* What the other end of a stream says: pieces of what a worker loads, wants of the file of its part, and
 * pieces to whoever collects. Whatever comes, bytes are handed on in turn, each once, none beyond the window,
 * and reads stay in the file. */
#include "coordinator/sim_job.h"
#include "dataflow/df_bytes.h"
#include "tests/support/idle_worker.h"

#include <stdlib.h>

#define FILE_SIZE 995u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const proto_stream_limits limits = { .piece_size = 10, .window = 40, .again_us = 3 };
static const uint8_t payload[64];

typedef struct fake {
    sim_job job;
    proto_worker *worker;
    uint64_t now, handed, used, total;
} fake;

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void fake_send(void *user, uint64_t to, const proto_msg *msg)
{
    (void)user;
    (void)to;
    require(msg->header.type != PROTO_TYPE_fetch || msg->fetch.size <= limits.window);
}

static proto_batch *fake_read(void *user, uint64_t attempt, uint64_t offset, uint32_t size)
{
    (void)user;
    require(attempt == 1 && size > 0 && offset < FILE_SIZE && size <= FILE_SIZE - offset);
    return proto_batch_new(size, 0);
}

static void fake_fetched(void *user, const proto_piece *piece)
{
    fake *f = user;

    if (piece->status != 0)
        return;
    require(piece->offset == f->handed && (f->handed == 0 || piece->total == f->total));
    f->total = piece->total;
    f->handed += piece->payload.size;
    require(f->handed <= f->total && f->handed - f->used <= limits.window);
}

static void say(fake *f, proto_msg msg, uint16_t type)
{
    msg.header = (proto_header){ .type = type, .job = 7, .generation = 1, .incarnation = 1 };
    proto_worker_receive(f->worker, ++f->now, &msg);
}

static void install(fake *f, bool loads)
{
    uint8_t members[16], owners[20] = { 0 };

    say(f, install_of_two(members, owners, loads), PROTO_TYPE_install);
    if (loads) {
        proto_worker_fetch(f->worker, ++f->now, &(proto_fetch){ .snapshot = 5, .groups = { payload, 8 } });
        return;
    }
    say(f, (proto_msg){ .order = { .index = 1, .made = 1, .kind = PROTO_ORDER_BARRIER, .step = 1 } },
        PROTO_TYPE_order);
    say(f, (proto_msg){ .grant = { .bound = 2, .history = 1 } }, PROTO_TYPE_grant);
    proto_worker_sinks_synced(f->worker, ++f->now, 1, true);
    proto_worker_part_file(f->worker, 1, FILE_SIZE, 11, 22);
    proto_worker_part_done(f->worker, ++f->now, 1, true);
}

static void worker_takes(df_cursor *c, bool loads)
{
    fake f = { 0 };
    proto_worker_env env = { .user = &f, .flow = &proto_flow_model, .send = fake_send, .load = idle_load,
                             .part = idle_part, .sink_sync = idle_sync, .read = fake_read,
                             .fetched = fake_fetched };
    proto_worker_config config = { .job = 7, .self = 2, .process = 2, .credit_size = 1000, .move_size = 1000,
                                   .frame_size = 100, .tries = 1, .beat_us = 5, .resend_us = 20,
                                   .stream = limits };

    sim_job_init(&f.job, 1, 4, 10, 0);
    f.worker = proto_worker_new(&f.job.plan, &config, &env);
    proto_worker_start(f.worker, 0);
    install(&f, loads);
    while (df_get_left(c) > 0 && !c->failed) {
        uint8_t what = df_get_u8(c), number = df_get_u8(c);
        uint64_t first = what & 64 ? df_get_u64(c) : df_get_u8(c);
        uint64_t second = what & 128 ? df_get_u64(c) : df_get_u8(c);

        if (what % 4 == 0 && f.used < f.handed) {
            uint64_t more = 1 + first % (f.handed - f.used);

            f.used += more; /* first: what becomes free may be asked for, and come, at once */
            proto_worker_fetch_used(f.worker, ++f.now, more);
        } else if (what % 4 == 1)
            say(&f, (proto_msg){ .want = { number, first, second } }, PROTO_TYPE_want);
        else if (what % 4 == 2)
            say(&f, (proto_msg){ .piece = { number, what & 32, first, second,
                                            { payload, what & 16 ? 10 : number % 64 } } }, PROTO_TYPE_piece);
        else
            proto_worker_tick(f.worker, f.now += first % 1000);
    }
    proto_worker_free(&f.worker);
}

/* The half that collects, alone. */
static void stream_takes(df_cursor *c)
{
    uint64_t now = 0, offset, size;
    proto_stream s;

    proto_stream_begin(&s, 1 + (df_get_u8(c) & 1 ? df_get_u8(c) : UINT64_MAX - 1));
    while (df_get_left(c) > 0 && !c->failed) {
        uint8_t what = df_get_u8(c);
        uint64_t total = what & 64 ? df_get_u64(c) : df_get_u8(c), at = what & 128 ? df_get_u64(c) : df_get_u8(c);
        uint64_t have = s.have;

        if (what % 4 == 0 && s.taken < s.have)
            proto_stream_take(&s, 1 + total % (s.have - s.taken));
        else if (what % 4 == 1)
            proto_stream_rewind(&s);
        else if (what % 4 == 2 && proto_stream_ask(&s, &limits, now += total % 100, &offset, &size))
            require(size > 0 && size <= limits.window && offset >= s.have);
        else if (proto_stream_put(&s, &limits, now, total, at, what & 16 ? 10 : what % 10) == PROTO_PIECE_NEXT)
            require(at == have && s.have > have && s.size == total);
        require(s.taken <= s.have && s.have <= s.asked && s.have <= s.size && s.asked - s.taken <= limits.window);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    df_cursor c;
    uint8_t which;

    df_cursor_init(&c, data, size < 4096 ? size : 4096);
    which = df_get_u8(&c);
    if (which % 3 == 2)
        stream_takes(&c);
    else
        worker_takes(&c, which % 3 == 1);
    return 0;
}
