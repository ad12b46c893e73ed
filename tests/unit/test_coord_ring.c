/* Rings: two threads with sleeping and bells, the limits, and a side that lies. */
#include "coordinator/coord_ring.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define FRAMES 200000u

static uint8_t out[COORD_RING_FRAME_MAX];

static void *memory_new(void)
{
    void *memory = aligned_alloc(4096, coord_ring_memory());

    assert_non_null(memory);
    memset(memory, 0, coord_ring_memory());
    return memory;
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Frame i of a run: mostly small, some large, some without a payload, some with an empty one. */
static coord_ring_frame frame_of(uint32_t i, uint8_t *bytes)
{
    uint64_t random = i;
    uint32_t head = next_random(&random) % 100, payload = next_random(&random) % 300;
    coord_ring_frame f = { .head = bytes, .head_size = head };

    if (i % 1000 == 7)
        payload = COORD_RING_FRAME_MAX - head;
    if (i % 3 != 0) {
        f.payload = bytes + head;
        f.payload_size = i % 5 == 0 ? 0 : payload;
    }
    for (uint32_t k = 0; k < f.head_size + f.payload_size; k += k < 400 ? 1 : 4093)
        bytes[k] = (uint8_t)(i + 31 * k);
    return f;
}

static void same(const coord_ring_frame *got, const coord_ring_frame *want)
{
    uint32_t size = want->head_size + want->payload_size;

    assert_int_equal(got->head_size, want->head_size);
    assert_int_equal(got->payload_size, want->payload_size);
    assert_int_equal(got->payload == NULL, want->payload == NULL);
    for (uint32_t k = 0; k < size; k += k < 400 ? 1 : 4093)
        assert_int_equal(got->head[k], want->head[k]);
}

/* ---- two threads ---- */

typedef struct pair {
    coord_ring writer, reader;
    int reader_bell, writer_bell;
} pair;

static void ring_bell(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof one) != (ssize_t)sizeof one)
        abort();
}

/* For ever, if a bell is forgotten. */
static void sleep_for_bell(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    uint64_t used;

    if (poll(&p, 1, -1) != 1 || read(fd, &used, sizeof used) != (ssize_t)sizeof used)
        abort();
}

/* Some payloads are put together in the ring itself. */
static df_status put_frame(coord_ring *ring, uint32_t i, coord_ring_frame f)
{
    uint8_t *room = i % 4 == 1 && f.payload_size > 0 ? coord_ring_room(ring, f.head_size, f.payload_size) : NULL;

    if (room != NULL) {
        memcpy(room, f.payload, f.payload_size);
        f.payload = room;
    }
    return coord_ring_put(ring, &f);
}

static void *write_all(void *argument)
{
    static uint8_t bytes[COORD_RING_FRAME_MAX];
    pair *p = argument;

    for (uint32_t i = 0; i < FRAMES; i++) {
        coord_ring_frame f = frame_of(i, bytes);
        df_status s;

        while ((s = put_frame(&p->writer, i, f)) == DF_AGAIN)
            if (coord_ring_writer_sleep(&p->writer))
                sleep_for_bell(p->writer_bell);
        if (s != DF_OK)
            abort();
        if ((i % 7 == 0 || i + 1 == FRAMES) && coord_ring_reader_sleeps(&p->writer))
            ring_bell(p->reader_bell);
    }
    return NULL;
}

/* A writer that waits for room has rung for what it has put: so do those who use rings. */
static void test_two_threads(void **state)
{
    static uint8_t bytes[COORD_RING_FRAME_MAX];
    void *memory = memory_new();
    pair p = { .reader_bell = eventfd(0, 0), .writer_bell = eventfd(0, 0) };
    pthread_t thread;

    (void)state;
    coord_ring_init(&p.writer, memory);
    coord_ring_init(&p.reader, memory);
    assert_int_equal(pthread_create(&thread, NULL, write_all, &p), 0);
    for (uint32_t i = 0; i < FRAMES; i++) {
        coord_ring_frame want = frame_of(i, bytes), got;
        df_status s;

        while ((s = coord_ring_get(&p.reader, out, &got)) == DF_AGAIN) {
            if (coord_ring_writer_sleeps(&p.reader))
                ring_bell(p.writer_bell);
            if (coord_ring_reader_sleep(&p.reader))
                sleep_for_bell(p.reader_bell);
            coord_ring_reader_wake(&p.reader);
        }
        assert_int_equal(s, DF_OK);
        same(&got, &want);
        if (i % 3 == 0 && coord_ring_writer_sleeps(&p.reader))
            ring_bell(p.writer_bell);
    }
    pthread_join(thread, NULL);
    assert_false(coord_ring_filled(&p.reader));
    close(p.reader_bell);
    close(p.writer_bell);
    free(memory);
}

/* ---- limits ---- */

/* Only small frames. */
static uint32_t small_of(uint32_t i)
{
    return 10 + 6 * (i % 100);
}

static void test_full(void **state)
{
    static uint8_t bytes[COORD_RING_FRAME_MAX];
    void *memory = memory_new();
    coord_ring w, r;
    coord_ring_frame big = { .head = bytes, .head_size = COORD_RING_FRAME_MAX }, small, got;

    (void)state;
    coord_ring_init(&w, memory);
    coord_ring_init(&r, memory);
    assert_int_equal(coord_ring_get(&r, out, &got), DF_AGAIN);
    for (uint32_t turn = 0; turn < 50; turn++) {
        uint32_t put = 0;

        assert_int_equal(coord_ring_put(&w, &big), DF_OK);
        assert_int_equal(coord_ring_put(&w, &big), DF_AGAIN);
        for (;; put++) {
            small = frame_of(small_of(put), bytes);
            df_status s = coord_ring_put(&w, &small);
            if (s == DF_AGAIN)
                break;
            assert_int_equal(s, DF_OK);
        }
        assert_in_range(put, 1000, 100000);
        assert_true(coord_ring_writer_sleep(&w));
        assert_int_equal(coord_ring_get(&r, out, &got), DF_OK);
        assert_int_equal(got.head_size, COORD_RING_FRAME_MAX);
        assert_false(coord_ring_writer_sleep(&w)); /* there is room by now */
        assert_true(coord_ring_writer_sleeps(&r));
        assert_false(coord_ring_writer_sleeps(&r)); /* once */
        for (uint32_t i = 0; i < put; i++) {
            small = frame_of(small_of(i), bytes);
            assert_int_equal(coord_ring_get(&r, out, &got), DF_OK);
            same(&got, &small);
        }
        assert_int_equal(coord_ring_get(&r, out, &got), DF_AGAIN);
    }
    free(memory);
}

/* A payload that is put together in the ring lies in one piece; where the ring is empty it lies where the last one did. */
static void test_room(void **state)
{
    enum { SIZE = 100000 };
    static uint8_t bytes[COORD_RING_FRAME_MAX];
    void *memory = memory_new();
    uint8_t *first = NULL;
    coord_ring w, r;
    coord_ring_frame big = { .head = bytes, .head_size = COORD_RING_FRAME_MAX }, got;

    (void)state;
    coord_ring_init(&w, memory);
    coord_ring_init(&r, memory);
    for (uint32_t i = 0; i < 100; i++) {
        coord_ring_frame f = { .head = bytes, .head_size = 10, .payload_size = SIZE };
        uint8_t *room = coord_ring_room(&w, f.head_size, f.payload_size);

        assert_non_null(room);
        assert_true(i == 0 || room == first);
        first = room;
        memset(room, (int)i, SIZE);
        f.payload = room;
        assert_int_equal(coord_ring_put(&w, &f), DF_OK);
        assert_int_equal(coord_ring_get(&r, out, &got), DF_OK);
        assert_int_equal(got.payload_size, SIZE);
        assert_true(got.payload[0] == i && memcmp(got.payload, got.payload + 1, SIZE - 1) == 0);
    }
    assert_int_equal(coord_ring_put(&w, &big), DF_OK); /* which ends in the data's second half */
    assert_null(coord_ring_room(&w, 10, COORD_RING_FRAME_MAX - 10));
    assert_non_null(coord_ring_room(&w, 10, SIZE));
    assert_int_equal(coord_ring_get(&r, out, &got), DF_OK);
    assert_true(got.payload == NULL && got.head_size == COORD_RING_FRAME_MAX);
    assert_int_equal(coord_ring_get(&r, out, &got), DF_AGAIN); /* room that is not used is no frame */
    assert_int_equal(coord_ring_put(&w, &big), DF_OK);
    assert_int_equal(coord_ring_get(&r, out, &got), DF_OK);
    assert_int_equal(got.head_size, COORD_RING_FRAME_MAX);
    free(memory);
}

static void test_sleep(void **state)
{
    void *memory = memory_new();
    coord_ring w, r;
    coord_ring_frame f = { .head = (const uint8_t *)"x", .head_size = 1 }, got;

    (void)state;
    coord_ring_init(&w, memory);
    coord_ring_init(&r, memory);
    assert_true(coord_ring_reader_sleep(&r));
    coord_ring_reader_wake(&r);
    assert_int_equal(coord_ring_put(&w, &f), DF_OK);
    assert_false(coord_ring_reader_sleeps(&w)); /* it is awake */
    assert_false(coord_ring_reader_sleep(&r));
    coord_ring_reader_wake(&r);
    assert_int_equal(coord_ring_get(&r, out, &got), DF_OK);
    assert_true(coord_ring_reader_sleep(&r));
    assert_int_equal(coord_ring_put(&w, &f), DF_OK);
    assert_true(coord_ring_reader_sleeps(&w));
    assert_false(coord_ring_reader_sleeps(&w));
    free(memory);
}

/* ---- a side that lies ---- */

static void put_u64(void *memory, size_t at, uint64_t value)
{
    memcpy((uint8_t *)memory + at, &value, sizeof value);
}

static void put_sizes(void *memory, uint32_t head, uint32_t payload)
{
    memcpy((uint8_t *)memory + 256, &head, sizeof head);
    memcpy((uint8_t *)memory + 260, &payload, sizeof payload);
}

static void test_writer_lies(void **state)
{
    static const struct {
        uint64_t written;
        uint32_t head, payload;
    } lies[] = {
        { UINT64_MAX, 8, COORD_RING_NONE },
        { (uint64_t)COORD_RING_SIZE + 1, 8, COORD_RING_NONE },
        { (uint64_t)1 << 63, 8, COORD_RING_NONE },
        { 7, 0, COORD_RING_NONE },
        { 16, 9, COORD_RING_NONE },                          /* more than there is */
        { 16, 0, 9 },
        { 16, UINT32_MAX, COORD_RING_NONE },
        { 16, UINT32_MAX, 9 },
        { 16, 4, UINT32_MAX - 1 },
        { COORD_RING_SIZE, COORD_RING_FRAME_MAX + 1, COORD_RING_NONE },
        { COORD_RING_SIZE, COORD_RING_FRAME_MAX, 1 },
        { COORD_RING_SIZE, 1, COORD_RING_FRAME_MAX },
        { 16, COORD_RING_PAD, 0 },                            /* it goes beyond what was written */
        { COORD_RING_SIZE, COORD_RING_PAD, 0 },               /* no frame is behind it */
    };
    void *memory = memory_new();
    coord_ring_frame got;
    coord_ring r;

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        coord_ring_init(&r, memory);
        put_u64(memory, 0, lies[i].written);
        put_sizes(memory, lies[i].head, lies[i].payload);
        assert_int_equal(coord_ring_get(&r, out, &got), DF_ECORRUPT);
    }
    free(memory);
}

/* Behind one that leaves out the data's end there is a frame. */
static void test_two_pads(void **state)
{
    void *memory = memory_new();
    coord_ring_frame got;
    coord_ring r;

    (void)state;
    coord_ring_init(&r, memory);
    r.at = r.seen = 8;
    put_u64(memory, 0, COORD_RING_SIZE + 8);
    put_sizes(memory, COORD_RING_PAD, 0);
    memcpy((uint8_t *)memory + 264, (uint8_t *)memory + 256, 8);
    assert_int_equal(coord_ring_get(&r, out, &got), DF_ECORRUPT);
    free(memory);
}

static void test_reader_lies(void **state)
{
    static uint8_t bytes[COORD_RING_FRAME_MAX];
    coord_ring_frame big = { .head = bytes, .head_size = COORD_RING_FRAME_MAX };
    void *memory = memory_new();
    coord_ring w;

    (void)state;
    coord_ring_init(&w, memory);
    assert_int_equal(coord_ring_put(&w, &big), DF_OK);
    put_u64(memory, 128, w.at + 8); /* read what was not written */
    assert_int_equal(coord_ring_put(&w, &big), DF_ECORRUPT);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_threads), cmocka_unit_test(test_full),
        cmocka_unit_test(test_sleep),       cmocka_unit_test(test_writer_lies),
        cmocka_unit_test(test_reader_lies), cmocka_unit_test(test_room),
        cmocka_unit_test(test_two_pads),
    };

    alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
