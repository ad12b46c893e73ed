/* Streams: whatever is lost, repeated or out of turn, what comes out is what went in, and never more waits than a
 * window; the two halves of a worker that does not see the coordinator's folder, and of the coordinator, against
 * hostile and stale messages. */
#include "coordinator/proto_stream.h"
#include "coordinator/proto_order.h"
#include "coordinator/proto_worker.h"
#include "coordinator/sim_job.h"
#include "coordinator/sim_rng.h"
#include "dataflow/df_error.h"
#include "tests/support/fake_cluster.h"
#include "tests/support/idle_worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const proto_stream_limits limits = { .piece_size = 10, .window = 40, .again_us = 1000 };

/* ---- a stream ---- */

static bool ask(proto_stream *s, uint64_t now, uint64_t offset, uint64_t size)
{
    uint64_t at = 0, many = 0;

    return proto_stream_ask(s, &limits, now, &at, &many) && at == offset && many == size;
}

static bool asks(proto_stream *s, uint64_t now)
{
    uint64_t at, many;

    return proto_stream_ask(s, &limits, now, &at, &many);
}

static void test_in_turn(void **state)
{
    proto_stream s;

    (void)state;
    proto_stream_begin(&s, 95);
    assert_true(ask(&s, 0, 0, 40));
    assert_false(asks(&s, 0));
    for (uint64_t at = 0; at < 40; at += 10)
        assert_int_equal(proto_stream_put(&s, &limits, 0, 95, at, 10), PROTO_PIECE_NEXT);
    assert_false(asks(&s, 0)); /* nothing is used yet */
    proto_stream_take(&s, 10);
    assert_false(asks(&s, 0)); /* half a window at least */
    proto_stream_take(&s, 10);
    assert_true(ask(&s, 0, 40, 20));
    proto_stream_take(&s, 20);
    assert_true(ask(&s, 0, 60, 20));
    for (uint64_t at = 40; at < 80; at += 10)
        assert_int_equal(proto_stream_put(&s, &limits, 0, 95, at, 10), PROTO_PIECE_NEXT);
    proto_stream_take(&s, 20);
    assert_true(ask(&s, 0, 80, 15)); /* the rest, though it is less */
    assert_int_equal(proto_stream_put(&s, &limits, 0, 95, 80, 10), PROTO_PIECE_NEXT);
    assert_false(proto_stream_whole(&s));
    assert_int_equal(proto_stream_put(&s, &limits, 0, 95, 90, 5), PROTO_PIECE_NEXT);
    assert_true(proto_stream_whole(&s));
    assert_false(asks(&s, 1000000));
}

static void test_unknown_size(void **state)
{
    proto_stream s;

    (void)state;
    proto_stream_begin(&s, PROTO_STREAM_UNKNOWN);
    assert_true(ask(&s, 0, 0, 40));
    assert_int_equal(proto_stream_put(&s, &limits, 0, 13, 0, 10), PROTO_PIECE_NEXT);
    assert_int_equal(s.size, 13);
    assert_int_equal(proto_stream_put(&s, &limits, 0, 14, 10, 4), PROTO_PIECE_WRONG); /* it has said 13 */
    assert_int_equal(proto_stream_put(&s, &limits, 0, 13, 10, 3), PROTO_PIECE_NEXT);
    assert_true(proto_stream_whole(&s));
}

/* What does not come is asked for again, later and later, and at once when the connection is new. */
static void test_again(void **state)
{
    proto_stream s;
    uint64_t now = 0;

    (void)state;
    proto_stream_begin(&s, 95);
    assert_true(ask(&s, now, 0, 40));
    assert_int_equal(proto_stream_put(&s, &limits, now, 95, 0, 10), PROTO_PIECE_NEXT);
    proto_stream_take(&s, 10);
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t wait = 1000u << (i < 4 ? i : 4);

        assert_false(asks(&s, now + wait - 1));
        assert_true(ask(&s, now += wait, 10, 40));
    }
    assert_int_equal(proto_stream_put(&s, &limits, now, 95, 10, 10), PROTO_PIECE_NEXT);
    assert_true(ask(&s, now + 1000, 20, 30)); /* it is used no further: to the end of the window */
    proto_stream_rewind(&s);
    assert_true(ask(&s, now + 1000, 20, 30));
}

/* None of these changes anything. */
static void test_hostile_pieces(void **state)
{
    static const struct {
        uint64_t total, offset;
        uint32_t size;
        proto_piece_end end;
    } pieces[] = {
        { 95, 0, 10, PROTO_PIECE_REPEAT }, { 95, 20, 10, PROTO_PIECE_GAP },
        { 95, 40, 10, PROTO_PIECE_GAP },   { 95, 50, 10, PROTO_PIECE_WRONG }, /* beyond the window */
        { 95, 90, 5, PROTO_PIECE_WRONG },  { 96, 10, 10, PROTO_PIECE_WRONG },
        { 0, 10, 10, PROTO_PIECE_WRONG },  { 95, 10, 9, PROTO_PIECE_WRONG },
        { 95, 10, 11, PROTO_PIECE_WRONG }, { 95, 10, 0, PROTO_PIECE_WRONG },
        { 95, 11, 10, PROTO_PIECE_WRONG }, { 95, 95, 0, PROTO_PIECE_WRONG },
        { 95, UINT64_MAX - 5, 10, PROTO_PIECE_WRONG },
        { UINT64_MAX, 10, 10, PROTO_PIECE_WRONG },
    };
    proto_stream s, before;

    (void)state;
    proto_stream_begin(&s, 95);
    assert_true(ask(&s, 0, 0, 40));
    assert_int_equal(proto_stream_put(&s, &limits, 0, 95, 0, 10), PROTO_PIECE_NEXT);
    proto_stream_take(&s, 10);
    before = s;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        assert_int_equal(proto_stream_put(&s, &limits, 7, pieces[i].total, pieces[i].offset, pieces[i].size),
                         pieces[i].end);
        assert_memory_equal(&s, &before, sizeof s);
    }
}

static void test_ranges(void **state)
{
    static const proto_stream_limits none = { 0 };

    (void)state;
    assert_true(proto_stream_may(&limits, 95, 90, 40));
    assert_false(proto_stream_may(&limits, 95, 100, 10));
    assert_false(proto_stream_may(&limits, 95, 0, 0));
    assert_false(proto_stream_may(&limits, 95, 0, 41));
    assert_false(proto_stream_may(&limits, 95, 5, 10));
    assert_false(proto_stream_may(&limits, 0, 0, 10));
    assert_false(proto_stream_may(&none, 95, 0, 10));
}

#define CHANNEL_MAX 64u

/* A channel that loses, repeats and shuffles. The oracle is the source itself. */
static void stream_through(uint64_t seed, uint64_t size, uint32_t lost)
{
    sim_rng rng = { .state = seed };
    uint8_t *from = malloc(size), *to = calloc(size, 1);
    uint64_t way[CHANNEL_MAX], now = 0, got = 0;
    uint32_t under_way = 0;
    proto_stream s;

    for (uint64_t i = 0; i < size; i++)
        from[i] = (uint8_t)sim_random(&rng);
    proto_stream_begin(&s, sim_chance(&rng, 500000) ? size : PROTO_STREAM_UNKNOWN);
    for (uint32_t round = 0; s.taken < size; round++) {
        uint64_t offset, many;

        assert_true(round < 1000000);
        if (proto_stream_ask(&s, &limits, now, &offset, &many))
            for (uint64_t at = offset; at < offset + many && at < size; at += limits.piece_size)
                for (int copies = sim_chance(&rng, lost) ? 0 : sim_chance(&rng, 200000) ? 2 : 1; copies > 0; copies--)
                    if (under_way < CHANNEL_MAX)
                        way[under_way++] = at;
        if (under_way > 0) {
            uint32_t which = sim_chance(&rng, 300000) ? (uint32_t)sim_range(&rng, 0, under_way - 1) : 0;
            uint64_t at = way[which];
            uint32_t part = proto_stream_cut(&limits, size, at);

            memmove(way + which, way + which + 1, (--under_way - which) * sizeof *way);
            if (proto_stream_put(&s, &limits, now, size, at, part) == PROTO_PIECE_NEXT) {
                memcpy(to + at, from + at, part);
                got += part;
            }
        }
        assert_true(s.have == got && s.taken <= s.have && s.have <= s.asked && s.asked - s.taken <= limits.window);
        if (sim_chance(&rng, 400000) && s.have > s.taken)
            proto_stream_take(&s, proto_stream_cut(&limits, size, s.taken));
        now += sim_range(&rng, 0, 300);
    }
    assert_memory_equal(from, to, size);
    free(from);
    free(to);
}

static void test_any_channel(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++)
        stream_through(seed, 1 + seed * 7 % 613, seed % 5 == 0 ? 0 : (uint32_t)(seed % 5) * 100000);
}

/* ---- a worker ---- */

typedef struct fake {
    sim_job job;
    proto_worker *worker;
    uint64_t now, parts, fetched, fetched_offset;
    uint32_t fetched_status;
    bool unreadable;
    proto_msg said[PROTO_TYPE_END]; /* the last of each type, without its bytes */
    uint32_t sent[PROTO_TYPE_END];
    uint8_t groups[16];
} fake;

static void fake_send(void *user, uint64_t to, const proto_msg *msg)
{
    fake *f = user;

    (void)to;
    f->said[msg->header.type] = *msg;
    f->sent[msg->header.type]++;
    if (msg->header.type == PROTO_TYPE_fetch)
        memcpy(f->groups, msg->fetch.groups.data, msg->fetch.groups.size);
}

static void fake_part(void *user, uint64_t generation, uint64_t attempt, const proto_captured *captured,
                      uint32_t count)
{
    (void)generation;
    (void)captured;
    (void)count;
    ((fake *)user)->parts = attempt;
}

static proto_batch *fake_read(void *user, uint64_t attempt, uint64_t offset, uint32_t size)
{
    fake *f = user;
    proto_batch *b;

    assert_int_equal(attempt, f->parts);
    if (f->unreadable)
        return NULL;
    b = proto_batch_new(size, 0);
    memset(b->bytes, (int)offset, size);
    return b;
}

static void fake_fetched(void *user, const proto_piece *piece)
{
    fake *f = user;

    f->fetched++;
    f->fetched_status = piece->status;
    f->fetched_offset = piece->offset;
}

static int set_up(void **state)
{
    fake *f = calloc(1, sizeof *f);
    proto_worker_env env = { .user = f, .flow = &proto_flow_model, .send = fake_send, .load = idle_load,
                             .part = fake_part, .sink_sync = idle_sync, .read = fake_read,
                             .fetched = fake_fetched };
    proto_worker_config config = { .job = 7, .self = 2, .process = 2, .credit_size = 1000,
                                   .move_size = 1000, .frame_size = 100, .tries = 1,
                                   .beat_us = 1000, .resend_us = 2000, .stream = limits };

    assert_non_null(f);
    sim_job_init(&f->job, 1, 4, 10, 0);
    f->worker = proto_worker_new(&f->job.plan, &config, &env);
    proto_worker_start(f->worker, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fake *f = *state;

    proto_worker_free(&f->worker);
    free(f);
    return 0;
}

static uint64_t rejected(const fake *f, proto_reject reason)
{
    proto_worker_stats s;

    proto_worker_stats_get(f->worker, &s);
    return s.rejected[reason];
}

static void say(fake *f, proto_msg msg, uint16_t type, uint64_t generation)
{
    msg.header = (proto_header){ .type = type, .job = 7, .generation = generation, .incarnation = 1 };
    proto_worker_receive(f->worker, ++f->now, &msg);
}

/* Another has all key groups, or (loads) this one has one and is loading it. */
static void install(fake *f, uint64_t generation, bool loads)
{
    uint8_t members[16], owners[20] = { 0 };

    say(f, install_of_two(members, owners, loads), PROTO_TYPE_install, generation);
}

/* Up to the moment in which its part of `size` bytes is offered. */
static void offer(fake *f, uint64_t size)
{
    install(f, 1, false);
    say(f, (proto_msg){ .order = { .index = 1, .made = 1, .kind = PROTO_ORDER_BARRIER, .step = 1 } },
        PROTO_TYPE_order, 1);
    say(f, (proto_msg){ .grant = { .bound = 2, .history = 1 } }, PROTO_TYPE_grant, 1);
    assert_int_equal(f->parts, 1);
    proto_worker_sinks_synced(f->worker, ++f->now, 1, true);
    proto_worker_part_file(f->worker, 1, size, 11, 22);
    assert_int_equal(f->sent[PROTO_TYPE_prepared], 0);
    proto_worker_part_done(f->worker, ++f->now, 1, true);
    assert_int_equal(f->sent[PROTO_TYPE_prepared], 1);
}

static void want(fake *f, uint64_t attempt, uint64_t offset, uint64_t size)
{
    say(f, (proto_msg){ .want = { attempt, offset, size } }, PROTO_TYPE_want, 1);
}

static void test_worker_offers(void **state)
{
    fake *f = *state;

    offer(f, 95);
    assert_int_equal(f->said[PROTO_TYPE_prepared].prepared.size, 95);
    assert_int_equal(f->said[PROTO_TYPE_prepared].prepared.hash_high, 11);
    assert_int_equal(f->said[PROTO_TYPE_prepared].prepared.hash_low, 22);
    want(f, 1, 0, 40);
    assert_int_equal(f->sent[PROTO_TYPE_piece], 4);
    assert_int_equal(f->said[PROTO_TYPE_piece].piece.offset, 30);
    assert_int_equal(f->said[PROTO_TYPE_piece].piece.total, 95);
    want(f, 1, 90, 40); /* as far as there is */
    assert_int_equal(f->sent[PROTO_TYPE_piece], 5);
    assert_int_equal(f->said[PROTO_TYPE_piece].piece.payload.size, 5);
    want(f, 1, 0, 40); /* a second time, as often as it is asked for */
    assert_int_equal(f->sent[PROTO_TYPE_piece], 9);
    say(f, (proto_msg){ .decided = { 1, 1 } }, PROTO_TYPE_decided, 1);
    want(f, 1, 0, 40);
    assert_int_equal(f->sent[PROTO_TYPE_piece], 9);
    assert_int_equal(rejected(f, PROTO_REJECT_stale), 1);
}

static void test_worker_refuses(void **state)
{
    fake *f = *state;

    want(f, 0, 0, 10); /* before there is a generation */
    offer(f, 95);
    want(f, 2, 0, 10);
    want(f, 0, 0, 10);
    say(f, (proto_msg){ .want = { 1, 0, 10 } }, PROTO_TYPE_want, 0);
    assert_int_equal(rejected(f, PROTO_REJECT_incarnation), 1);
    assert_int_equal(rejected(f, PROTO_REJECT_stale), 3);
    want(f, 1, 0, 41);
    want(f, 1, 0, 0);
    want(f, 1, 5, 10);
    want(f, 1, 100, 10);
    want(f, 1, UINT64_MAX - 5, 10);
    assert_int_equal(rejected(f, PROTO_REJECT_range), 5);
    assert_int_equal(f->sent[PROTO_TYPE_piece], 0);
    say(f, (proto_msg){ .piece = { .number = 1, .total = 5, .payload = { f->groups, 5 } } }, PROTO_TYPE_piece, 1);
    assert_int_equal(f->fetched, 0); /* it fetches nothing */
}

/* A file that cannot be read any more is told as a part that was not written. */
static void test_worker_cannot_read(void **state)
{
    fake *f = *state;

    offer(f, 95);
    f->unreadable = true;
    want(f, 1, 0, 40);
    assert_int_equal(f->sent[PROTO_TYPE_piece], 0);
    assert_int_equal(f->sent[PROTO_TYPE_prepared], 2);
    assert_int_equal(f->said[PROTO_TYPE_prepared].prepared.ok, 0);
    f->unreadable = false;
    want(f, 1, 0, 40);
    assert_int_equal(f->sent[PROTO_TYPE_piece], 0);
}

static void piece(fake *f, uint64_t number, uint64_t total, uint64_t offset, uint32_t size)
{
    static const uint8_t bytes[64];

    say(f, (proto_msg){ .piece = { .number = number, .total = total, .offset = offset,
                                   .payload = { bytes, size } } }, PROTO_TYPE_piece, 1);
}

static void test_worker_fetches(void **state)
{
    const uint8_t groups[2] = { 0xa5, 1 };
    const proto_fetch what = { .snapshot = 5, .table = 3, .groups = { groups, 2 } };
    const proto_fetch *said;
    fake *f = *state;

    said = &f->said[PROTO_TYPE_fetch].fetch;
    proto_worker_fetch(f->worker, ++f->now, &what); /* not while nothing is installed */
    assert_int_equal(f->sent[PROTO_TYPE_fetch], 0);
    install(f, 1, true);
    proto_worker_fetch(f->worker, ++f->now, &what);
    assert_int_equal(f->sent[PROTO_TYPE_fetch], 1);
    assert_true(said->snapshot == 5 && said->table == 3 && said->offset == 0 && said->size == 40);
    assert_memory_equal(f->groups, groups, 2);
    piece(f, said->number, 55, 0, 10);
    assert_int_equal(f->fetched, 1);
    piece(f, said->number, 55, 0, 10);
    piece(f, said->number, 55, 20, 10);
    piece(f, said->number, 56, 10, 10);
    piece(f, said->number + 1, 55, 10, 10);
    assert_int_equal(f->fetched, 1);
    assert_int_equal(rejected(f, PROTO_REJECT_repeat), 1);
    assert_int_equal(rejected(f, PROTO_REJECT_gap), 1);
    assert_int_equal(rejected(f, PROTO_REJECT_range), 1);
    assert_int_equal(rejected(f, PROTO_REJECT_stale), 1);
    proto_worker_fetch_used(f->worker, ++f->now, 10);
    piece(f, said->number, 55, 10, 10);
    assert_int_equal(f->fetched_offset, 10);
    proto_worker_linked(f->worker, ++f->now, 0);
    assert_int_equal(said->offset, 20);
    assert_int_equal(f->sent[PROTO_TYPE_fetch], 2);
    proto_worker_fetch(f->worker, ++f->now, &what); /* another one: the first is forgotten */
    piece(f, said->number - 1, 55, 20, 10);
    assert_int_equal(f->fetched, 2);
    say(f, (proto_msg){ .piece = { .number = said->number, .status = 3 } }, PROTO_TYPE_piece, 1);
    assert_int_equal(f->fetched_status, 3);
    piece(f, said->number, 55, 0, 10);
    assert_int_equal(f->fetched, 3); /* after a failure nothing more */
}

/* ---- the coordinator ---- */

static uint64_t cluster_rejected(const fake_cluster *c, proto_reject reason)
{
    return fake_cluster_stats(c).rejected[reason];
}

static void rounds(fake_cluster *c, int count)
{
    for (int i = 0; i < count; i++)
        fake_cluster_round(c);
}

/* Both members offer a part, and one is asked for its. */
static fake_cluster *collecting(uint64_t first, uint64_t second)
{
    fake_cluster *c = fake_cluster_new(4, 2, 2);
    proto_msg msg = { .header = { .type = PROTO_TYPE_command, .job = FAKE_CLUSTER_JOB, .sender = 5000 },
                      .command = { .number = 1, .verb = PROTO_VERB_SNAPSHOT } };

    c->members[0].file_size = first;
    c->members[1].file_size = second;
    fake_cluster_hear(c, &msg);
    for (int i = 0; i < 50 && c->members[0].wants + c->members[1].wants == 0; i++)
        fake_cluster_round(c);
    rounds(c, 2);
    return c;
}

static void give(fake_cluster *c, uint32_t member, uint64_t offset, uint32_t size)
{
    static const uint8_t bytes[64];
    const fake_member *w = &c->members[member];

    fake_cluster_say(c, w, (proto_msg){ .piece = { .number = w->attempt, .total = w->file_size,
                                                   .offset = offset, .payload = { bytes, size } } },
                     PROTO_TYPE_piece);
}

static void written(fake_cluster *c, uint32_t member, uint32_t size, bool ok)
{
    proto_coord_collected(c->coord, c->now_us, c->members[member].id, c->members[member].attempt, size, ok);
}

static void test_collects(void **state)
{
    fake_cluster *c = collecting(55, 0);

    (void)state;
    assert_int_equal(c->members[0].wants, 1);
    assert_int_equal(c->members[0].want_size, 40);
    assert_int_equal(c->members[1].wants, 0); /* its part is where it should be */
    for (uint64_t at = 0; at < 40; at += 10)
        give(c, 0, at, 10);
    assert_int_equal(c->collects, 4);
    assert_int_equal(c->collected.offset, 30);
    assert_int_equal(c->collected.total, 55);
    assert_int_equal(c->collected.hash_low, 1);
    assert_int_equal(c->collected.place, 0);
    written(c, 0, 10, true);
    written(c, 0, 10, true);
    rounds(c, 2);
    assert_int_equal(c->members[0].wanted, 40);
    give(c, 0, 40, 10);
    give(c, 0, 50, 5);
    for (int i = 0; i < 3; i++)
        written(c, 0, 10, true);
    rounds(c, 20);
    assert_int_equal(c->commits, 0); /* the last piece is not durable */
    written(c, 0, 5, true);
    rounds(c, 3);
    assert_int_equal(c->commits, 1);
    assert_int_equal(c->commit_members, 2);
    fake_cluster_free(c);
}

static void test_collect_refuses(void **state)
{
    fake_cluster *c = collecting(55, 55);
    fake_member other;

    (void)state;
    give(c, 0, 10, 10);
    give(c, 0, 50, 5);
    give(c, 0, 0, 9);
    assert_int_equal(c->collects, 0);
    assert_int_equal(cluster_rejected(c, PROTO_REJECT_gap), 1);
    assert_int_equal(cluster_rejected(c, PROTO_REJECT_range), 2);
    other = c->members[0];
    other.file_size = 56; /* another total than was offered */
    fake_cluster_say(c, &other, (proto_msg){ .piece = { .number = other.attempt, .total = 56 } }, PROTO_TYPE_piece);
    fake_cluster_say(c, &other, (proto_msg){ .piece = { .number = other.attempt, .total = 55, .status = 1 } },
                     PROTO_TYPE_piece);
    assert_int_equal(cluster_rejected(c, PROTO_REJECT_range), 4);
    fake_cluster_say(c, &other, (proto_msg){ .piece = { .number = other.attempt + 1, .total = 55 } },
                     PROTO_TYPE_piece);
    other.generation--;
    fake_cluster_say(c, &other, (proto_msg){ .piece = { .number = other.attempt, .total = 55 } }, PROTO_TYPE_piece);
    other = c->members[0];
    other.incarnation--;
    fake_cluster_say(c, &other, (proto_msg){ .piece = { .number = other.attempt, .total = 55 } }, PROTO_TYPE_piece);
    assert_int_equal(cluster_rejected(c, PROTO_REJECT_stale), 3);
    assert_int_equal(c->collects, 0);
    give(c, 0, 0, 10);
    give(c, 0, 0, 10);
    assert_int_equal(c->collects, 1);
    assert_int_equal(cluster_rejected(c, PROTO_REJECT_repeat), 1);
    fake_cluster_free(c);
}

/* What cannot be written, or is another part, ends the attempt, and late ends of writes mean nothing. */
static void test_collect_fails(void **state)
{
    fake_cluster *c = collecting(55, 55);
    uint64_t attempt = c->members[0].attempt;

    (void)state;
    give(c, 0, 0, 10);
    written(c, 0, 10, false);
    assert_int_equal(fake_cluster_stats(c).aborts, 1);
    proto_coord_collected(c->coord, c->now_us, 1, attempt, 55, true);
    proto_coord_collected(c->coord, c->now_us, 77, attempt, 55, true);
    rounds(c, 10);
    assert_int_equal(c->commits, 0);
    assert_true(c->members[0].attempt != attempt); /* another one was begun */
    fake_cluster_free(c);
}

/* Lost pieces are asked for again; without any the attempt has its deadline. */
static void test_collect_waits(void **state)
{
    fake_cluster *c = collecting(55, 0);
    uint32_t wants = c->members[0].wants;

    (void)state;
    rounds(c, 100);
    assert_true(c->members[0].wants > wants);
    assert_int_equal(c->members[0].wanted, 0);
    rounds(c, 2000);
    assert_true(fake_cluster_stats(c).late > 0);
    assert_int_equal(fake_cluster_stats(c).late_worker, 1);
    fake_cluster_free(c);
}

/* A slow network is no reason to give up: the deadline counts from the last piece. */
static void test_collect_takes_its_time(void **state)
{
    fake_cluster *c = collecting(55, 0);

    (void)state;
    for (uint64_t at = 0; at < 55; at += 10) {
        uint32_t size = proto_stream_cut(&limits, 55, at);

        rounds(c, 900); /* of a thousand */
        give(c, 0, at, size);
        written(c, 0, size, true);
    }
    rounds(c, 3);
    assert_int_equal(fake_cluster_stats(c).late, 0);
    assert_int_equal(c->commits, 1);
    fake_cluster_free(c);
}

/* So many parts are fetched at a time, whatever is offered. */
static void test_collects_few(void **state)
{
    fake_cluster *c = fake_cluster_new(4, 40, 40);
    proto_msg msg = { .header = { .type = PROTO_TYPE_command, .job = FAKE_CLUSTER_JOB, .sender = 5000 },
                      .command = { .number = 1, .verb = PROTO_VERB_SNAPSHOT } };
    uint32_t asked = 0;

    (void)state;
    for (uint32_t i = 0; i < 40; i++)
        c->members[i].file_size = 10;
    fake_cluster_hear(c, &msg);
    rounds(c, 60);
    for (uint32_t i = 0; i < 40; i++)
        asked += c->members[i].wants > 0;
    assert_int_equal(asked, PROTO_STREAMS_MAX);
    fake_cluster_free(c);
}

static void fetch(fake_cluster *c, const fake_member *w, uint64_t snapshot, uint64_t offset, uint64_t size)
{
    fake_cluster_say(c, w, (proto_msg){ .fetch = { .number = 1, .snapshot = snapshot, .table = 0,
                                                   .offset = offset, .size = size } }, PROTO_TYPE_fetch);
}

/* A snapshot is served while its generation is installed, and only that one. */
static void test_serves(void **state)
{
    static const uint8_t bytes[25];
    fake_cluster *c = collecting(0, 0);
    fake_member *w = &c->members[0];
    uint64_t snapshot;

    (void)state;
    for (int i = 0; i < 20 && c->commits == 0; i++)
        fake_cluster_round(c);
    assert_int_equal(c->commits, 1);
    snapshot = c->head.attempt;
    fetch(c, w, snapshot, 0, 10);
    assert_int_equal(c->serves, 0); /* it runs: nobody loads */
    c->members[0].deaf = c->members[1].deaf = true;
    proto_coord_gone(c->coord, c->now_us, 2);
    fake_cluster_add(c, 3);
    w = &c->members[2];
    w->deaf = true; /* it is installing */
    for (int i = 0; i < 50 && fake_cluster_stats(c).generation < 2; i++)
        fake_cluster_round(c);
    rounds(c, 3);
    assert_int_equal(fake_cluster_stats(c).generation, 2);
    assert_false(fake_cluster_stats(c).running);
    w->generation = 2;
    w->incarnation = 1;
    fetch(c, w, snapshot + 1, 0, 10);
    fetch(c, w, 0, 0, 10);
    assert_int_equal(c->serves, 0);
    fetch(c, w, snapshot, 5, 10);
    fetch(c, w, snapshot, 0, 0);
    fetch(c, w, snapshot, 0, 41);
    assert_int_equal(cluster_rejected(c, PROTO_REJECT_range), 3);
    fetch(c, w, snapshot, 20, 40);
    fetch(c, w, snapshot, 0, 10);
    fetch(c, w, snapshot, 10, 10);
    assert_int_equal(c->serves, 2); /* two at a time */
    assert_int_equal(cluster_rejected(c, PROTO_REJECT_full), 1);
    proto_coord_served(c->coord, c->now_us, &(proto_serve){ .worker = 3, .number = 1, .total = 45,
                                                            .offset = 20, .bytes = { bytes, 25 } });
    fetch(c, w, snapshot, 10, 10);
    assert_int_equal(c->serves, 3);
    for (int i = 0; i < 4; i++) { /* as long as something is read it may take its time */
        rounds(c, 50);
        assert_int_equal(c->kills, 0);
        proto_coord_served(c->coord, c->now_us, &(proto_serve){ .worker = 3, .number = 1, .status = DF_EIO });
        fetch(c, w, snapshot, 10, 10);
    }
    rounds(c, 70);
    assert_int_not_equal(c->kills, 0);
    fake_cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_turn),
        cmocka_unit_test(test_unknown_size),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_hostile_pieces),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_any_channel),
        cmocka_unit_test_setup_teardown(test_worker_offers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_worker_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_worker_cannot_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_worker_fetches, set_up, tear_down),
        cmocka_unit_test(test_collects),
        cmocka_unit_test(test_collect_refuses),
        cmocka_unit_test(test_collect_fails),
        cmocka_unit_test(test_collect_waits),
        cmocka_unit_test(test_collect_takes_its_time),
        cmocka_unit_test(test_collects_few),
        cmocka_unit_test(test_serves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
