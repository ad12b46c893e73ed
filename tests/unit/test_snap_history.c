/* The history on a disk that loses power, fails and flips bits: every disk call, every byte of either
 * copy and of both. What was acknowledged is there; what is there was appended. */
#include "snapshot/snap_history.h"
#include "tests/support/fake_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SIZE   (24 * 1024)
#define FRAMES (3 * 4096) /* where the first frame begins */

static df_error error;
static const df_hash identity = { 0x0123456789abcdef, 0xfedcba9876543210 };

static fake_disk *disk_new(void)
{
    fake_disk *fake = fake_disk_new();

    assert_int_equal(df_disk_make_folder(fake_disk_of(fake), "job", &error), DF_OK);
    assert_int_equal(df_disk_sync_folder(fake_disk_of(fake), ".", &error), DF_OK);
    return fake;
}

static df_status create(fake_disk *fake)
{
    snap_marks marks = { .generation = 1 };

    return snap_history_create(fake_disk_of(fake), "job", identity, SIZE, &marks, &error);
}

static df_status open_at(fake_disk *fake, snap_history **h, snap_recovery *recovery)
{
    return snap_history_open(h, fake_disk_of(fake), "job", recovery, &error);
}

static snap_history *reopen(fake_disk *fake)
{
    snap_recovery recovery;
    snap_history *h;
    df_status s = open_at(fake, &h, &recovery);

    if (s != DF_OK)
        print_error("%s\n", error.text);
    assert_int_equal(s, DF_OK);
    return h;
}

/* Record n of the script: its bytes follow from n. */
static uint32_t bytes_of(uint64_t n, uint8_t bytes[1200])
{
    uint32_t size = n % 5 == 4 ? 1100 : (uint32_t)(n * 7 % 40);

    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(n * 31 + i);
    return size;
}

static void check_records(const snap_history *h)
{
    for (uint64_t n = 1; n <= snap_history_count(h); n++) {
        uint8_t bytes[1200];
        uint32_t size = bytes_of(n, bytes);
        snap_record record = snap_history_get(h, n);

        assert_int_equal(record.index, n);
        assert_int_equal(record.type, n % 3);
        assert_int_equal(record.generation, n / 4);
        assert_int_equal(record.size, size);
        assert_memory_equal(record.bytes, bytes, size);
    }
}

static df_status append(snap_history *h, uint32_t count)
{
    static uint8_t bytes[8][1200];
    snap_record records[8] = { 0 };
    uint64_t before = snap_history_count(h);
    df_status s;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t n = before + 1 + i;

        records[i] = (snap_record){ .type = (uint32_t)(n % 3), .generation = n / 4,
                                    .size = bytes_of(n, bytes[i]), .bytes = bytes[i] };
    }
    s = snap_history_append(h, records, count, SNAP_ROOM_INPUT, &error);
    for (uint32_t i = 0; s == DF_OK && i < count; i++)
        assert_int_equal(records[i].index, before + 1 + i);
    return s;
}

static df_status mark(snap_history *h, uint64_t ceiling)
{
    snap_marks marks = { ceiling, ceiling / 2, 1 + ceiling / 3, ceiling };

    return snap_history_mark(h, &marks, &error);
}

static void check_marks(const snap_history *h, uint64_t least)
{
    snap_marks marks = snap_history_marks(h);

    assert_true(marks.ceiling >= least);
    assert_int_equal(marks.floor, marks.ceiling / 2);
    assert_int_equal(marks.generation, 1 + marks.ceiling / 3);
    assert_int_equal(marks.incarnation, marks.ceiling);
}

/* ---- without faults ---- */

static void test_life(void **state)
{
    fake_disk *fake = disk_new();
    snap_history *h, *second;
    snap_recovery recovery;

    (void)state;
    assert_int_equal(open_at(fake, &h, &recovery), DF_END);
    assert_null(h);
    assert_int_equal(create(fake), DF_OK);
    assert_int_equal(create(fake), DF_EINVAL);
    h = reopen(fake);
    assert_int_equal(snap_history_count(h), 0);
    assert_int_equal(snap_history_marks(h).generation, 1);
    assert_int_equal(open_at(fake, &second, &recovery), DF_AGAIN);
    assert_int_equal(append(h, 1), DF_OK);
    assert_int_equal(append(h, 5), DF_OK);
    assert_int_equal(mark(h, 10), DF_OK);
    assert_int_equal(mark(h, 20), DF_OK);
    assert_int_equal(mark(h, 30), DF_OK);
    snap_history_close(&h);
    assert_int_equal(open_at(fake, &h, &recovery), DF_OK);
    assert_int_equal(recovery.blocks_repaired[0] + recovery.blocks_repaired[1], 0);
    assert_false(recovery.torn || recovery.rebuilt[0] || recovery.rebuilt[1]);
    assert_int_equal(snap_history_count(h), 6);
    check_records(h);
    check_marks(h, 30);
    snap_history_close(&h);
    fake_disk_free(&fake);
}

/* The first frame byte by byte, but for its hashes. */
static void test_layout(void **state)
{
    static const uint8_t frame[] = {
        'F', 'R', 'A', 'M', 20 + 16 + 3 + 16 + 32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0,
        9, 0, 0, 0, 4, 3, 2, 1, 0, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c',
        7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    };
    snap_record records[2] = { { .generation = 0x01020304, .type = 9, .size = 3,
                                 .bytes = (const uint8_t *)"abc" },
                               { .generation = 1, .type = 7 } };
    fake_disk *fake = disk_new();
    snap_history *h;
    const uint8_t *bytes;
    uint64_t size;

    (void)state;
    assert_int_equal(create(fake), DF_OK);
    h = reopen(fake);
    assert_int_equal(snap_history_append(h, records, 2, SNAP_ROOM_ORDER, &error), DF_OK);
    snap_history_close(&h);
    for (int i = 0; i < 2; i++) {
        bytes = fake_disk_bytes(fake, i == 0 ? "job/history.a" : "job/history.b", &size);
        assert_int_equal(size, SIZE);
        assert_memory_equal(bytes, "WEIRHIST\x01\x00", 10);
        assert_memory_equal(bytes + FRAMES, frame, sizeof frame);
        for (uint64_t at = FRAMES + 88; at < size; at++)
            assert_int_equal(bytes[at], 0);
    }
    fake_disk_free(&fake);
}

/* Full: input first, orders later, marks never. */
static void test_full(void **state)
{
    static const uint8_t bytes[200];
    fake_disk *fake = disk_new();
    snap_record record = { .generation = 1, .size = sizeof bytes, .bytes = bytes };
    snap_history *h;
    uint64_t inputs = 0, orders = 0;

    (void)state;
    assert_int_equal(create(fake), DF_OK);
    h = reopen(fake);
    while (snap_history_append(h, &record, 1, SNAP_ROOM_INPUT, &error) == DF_OK)
        inputs++;
    assert_int_equal(error.status, DF_ELIMIT);
    assert_int_equal(inputs, (SIZE - SIZE / 8 - FRAMES) / 272);
    assert_true(snap_history_room(h) < 272);
    while (snap_history_append(h, &record, 1, SNAP_ROOM_ORDER, &error) == DF_OK)
        orders++;
    assert_int_equal(error.status, DF_ELIMIT);
    assert_int_equal(inputs + orders, (SIZE - FRAMES) / 272);
    for (uint64_t i = 1; i <= 100; i++)
        assert_int_equal(mark(h, i), DF_OK);
    snap_history_close(&h);
    h = reopen(fake);
    assert_int_equal(snap_history_count(h), inputs + orders);
    check_marks(h, 100);
    record.size = SNAP_RECORD_SIZE_MAX + 1;
    assert_int_equal(snap_history_append(h, &record, 1, SNAP_ROOM_ORDER, &error), DF_ELIMIT);
    snap_history_close(&h);
    fake_disk_free(&fake);
}

/* ---- power loss and failures at every call ---- */

typedef struct told {
    bool created;
    uint64_t records, marks; /* acknowledged */
    uint64_t begun;          /* records whose append was begun */
} told;

/* Create, append, mark, open again and append: until something fails. */
static bool script(fake_disk *fake, told *t)
{
    static const uint32_t counts[] = { 1, 3, 2, 5, 1 };
    snap_history *h;
    snap_recovery recovery;
    df_status s = create(fake);

    t->created |= s == DF_OK;
    for (uint32_t i = 0; s == DF_OK && i < 5; i++) {
        s = open_at(fake, &h, &recovery);
        if (s != DF_OK)
            break;
        t->begun = snap_history_count(h) + counts[i];
        s = append(h, counts[i]);
        t->records += s == DF_OK ? counts[i] : 0;
        if (s == DF_OK)
            s = mark(h, 10 * (i + 1));
        t->marks = s == DF_OK ? 10 * (i + 1) : t->marks;
        if (s == DF_OK)
            s = mark(h, 10 * (i + 1) + 1);
        t->marks = s == DF_OK ? 10 * (i + 1) + 1 : t->marks;
        snap_history_close(&h);
    }
    return s == DF_OK;
}

/* What must hold after a failure: then the history goes on. */
static void check_told(fake_disk *fake, const told *t)
{
    snap_history *h;
    snap_recovery recovery;
    uint64_t count;
    df_status s = open_at(fake, &h, &recovery);

    if (s == DF_END && !t->created) {
        assert_int_equal(create(fake), DF_OK);
        s = open_at(fake, &h, &recovery);
    }
    if (s != DF_OK)
        print_error("%s\n", error.text);
    assert_int_equal(s, DF_OK);
    assert_false(recovery.torn_both);
    count = snap_history_count(h);
    assert_true(count == t->records || count == t->begun);
    check_records(h);
    check_marks(h, t->marks);
    assert_int_equal(append(h, 2), DF_OK);
    assert_int_equal(mark(h, 1000), DF_OK);
    snap_history_close(&h);
    h = reopen(fake);
    assert_int_equal(snap_history_count(h), count + 2);
    check_records(h);
    snap_history_close(&h);
}

static void test_power(void **state)
{
    uint64_t calls = 0, tried = 0;

    (void)state;
    for (bool done = false; !done && calls < 1000; calls++)
        for (uint64_t seed = 0; seed < 12; seed++) {
            fake_disk *fake = disk_new();
            told t = { 0 };

            fake_disk_fail(fake, fake_disk_calls(fake) + 1 + calls, FAKE_POWER, false);
            done = script(fake, &t);
            fake_disk_restart(fake, seed == 0 ? FAKE_LOSE : seed == 1 ? FAKE_KEEP : FAKE_TEAR,
                              seed * 1000003 + calls);
            check_told(fake, &t);
            tried++;
            fake_disk_free(&fake);
        }
    assert_true(calls > 100 && calls < 1000 && tried > 1000);
}

/* Power goes during the recovery from a power loss too. */
static void test_power_twice(void **state)
{
    uint64_t tried = 0;

    (void)state;
    for (uint64_t first = 20; first < 150; first += 3)
        for (uint64_t second = 1; second < 40; second++) {
            fake_disk *fake = disk_new();
            told t = { 0 };
            snap_history *h;
            snap_recovery recovery;

            fake_disk_fail(fake, fake_disk_calls(fake) + first, FAKE_POWER, false);
            script(fake, &t);
            fake_disk_restart(fake, FAKE_TEAR, first * 64 + second);
            fake_disk_fail(fake, second, FAKE_POWER, false);
            if (open_at(fake, &h, &recovery) == DF_OK)
                snap_history_close(&h);
            fake_disk_restart(fake, FAKE_TEAR, first * 64 + second + 7);
            check_told(fake, &t);
            tried++;
            fake_disk_free(&fake);
        }
    assert_true(tried > 1000);
}

static void check_nothing_lies_about(fake_disk *fake)
{
    uint64_t size;

    assert_null(fake_disk_bytes(fake, "job/history.a.new", &size));
    assert_null(fake_disk_bytes(fake, "job/history.b.new", &size));
}

/* A call fails; the process ends, begins again without a power loss, and goes on; later the power is
 * lost. A sync that failed has dropped its bytes, although they can be read until then. */
static void test_failures(void **state)
{
    static const fake_fault faults[] = { FAKE_EIO, FAKE_FULL, FAKE_SHORT };

    (void)state;
    for (size_t f = 0; f < 3; f++)
        for (uint64_t call = 1; call < 200; call++) {
            fake_disk *fake = disk_new();
            told t = { 0 };
            snap_history *h;

            fake_disk_fail(fake, fake_disk_calls(fake) + call, faults[f], false);
            script(fake, &t);
            fake_disk_fail(fake, 0, 0, false);
            if (faults[f] == FAKE_FULL)
                check_nothing_lies_about(fake);
            check_told(fake, &t);
            fake_disk_restart(fake, FAKE_LOSE, call);
            h = reopen(fake);
            assert_true(snap_history_count(h) >= t.records + 2);
            check_records(h);
            check_marks(h, 1000);
            snap_history_close(&h);
            fake_disk_free(&fake);
        }
}

/* ---- a history that is replaced by a shorter one ---- */

static df_status replace(snap_history *h, uint32_t count, bool *begun)
{
    static uint8_t bytes[8][1200];
    snap_record records[8] = { 0 };

    for (uint32_t n = 1; n <= count; n++)
        records[n - 1] = (snap_record){ .type = n % 3, .generation = n / 4,
                                        .size = bytes_of(n, bytes[n - 1]), .bytes = bytes[n - 1] };
    return snap_history_replace(h, records, count, begun, &error);
}

typedef struct replaced {
    uint64_t records;     /* that are there: as was told */
    uint64_t or_else;     /* or as many, because a change was begun */
    uint64_t marks;
} replaced;

/* Append, shorten, append, shorten again: until something fails. */
static void replace_script(fake_disk *fake, replaced *r)
{
    snap_history *h;
    snap_recovery recovery;
    df_status s = open_at(fake, &h, &recovery);
    bool begun;

    for (uint32_t i = 0; s == DF_OK && i < 2; i++) {
        r->or_else = snap_history_count(h) + 5;
        s = append(h, 5);
        r->records = s == DF_OK ? r->or_else : r->records;
        if (s == DF_OK)
            s = mark(h, 7 + i);
        r->marks = s == DF_OK ? 7 + i : r->marks;
        if (s != DF_OK)
            break;
        r->or_else = 2 + i;
        s = replace(h, 2 + i, &begun);
        r->records = s == DF_OK ? 2 + i : r->records;
        if (s != DF_OK && !begun) /* nothing is changed, and it goes on */
            r->or_else = r->records;
    }
    snap_history_close(&h);
}

static void check_replaced(fake_disk *fake, const replaced *r)
{
    snap_history *h = reopen(fake);
    uint64_t count = snap_history_count(h);

    assert_true(count == r->records || count == r->or_else);
    check_records(h);
    check_marks(h, r->marks);
    assert_int_equal(append(h, 3), DF_OK);
    assert_int_equal(mark(h, 1000), DF_OK);
    snap_history_close(&h);
    h = reopen(fake);
    assert_int_equal(snap_history_count(h), count + 3);
    check_records(h);
    snap_history_close(&h);
}

static void test_replace(void **state)
{
    fake_disk *fake = disk_new();
    replaced r = { 0 };
    snap_history *h;
    snap_record none = { .size = SIZE };
    bool begun;

    (void)state;
    assert_int_equal(create(fake), DF_OK);
    replace_script(fake, &r);
    assert_int_equal(r.records, 3);
    check_replaced(fake, &r);
    h = reopen(fake);
    assert_int_equal(snap_history_replace(h, &none, 1, &begun, &error), DF_ELIMIT);
    assert_false(begun);
    check_records(h);
    assert_int_equal(append(h, 1), DF_OK);
    for (uint32_t i = 0; i < 200; i++) { /* again and again: it never fills up */
        while (append(h, 1) == DF_OK)
            ;
        assert_int_equal(error.status, DF_ELIMIT);
        assert_int_equal(replace(h, 4, &begun), DF_OK);
        assert_int_equal(snap_history_count(h), 4);
    }
    snap_history_close(&h);
    fake_disk_free(&fake);
}

static void test_replace_power(void **state)
{
    (void)state;
    for (uint64_t call = 1; call < 80; call++)
        for (uint64_t seed = 0; seed < 12; seed++)
            for (uint64_t again = 0; again < (seed == 2 ? 20u : 1u); again++) {
                fake_disk *fake = disk_new();
                replaced r = { 0 };
                snap_history *h;
                snap_recovery recovery;

                assert_int_equal(create(fake), DF_OK);
                fake_disk_fail(fake, fake_disk_calls(fake) + call, FAKE_POWER, false);
                replace_script(fake, &r);
                fake_disk_restart(fake, seed == 0 ? FAKE_LOSE : seed == 1 ? FAKE_KEEP : FAKE_TEAR,
                                  seed * 1000003 + call);
                if (again > 0) { /* and once more while it is recovered */
                    fake_disk_fail(fake, again, FAKE_POWER, false);
                    if (open_at(fake, &h, &recovery) == DF_OK)
                        snap_history_close(&h);
                    fake_disk_restart(fake, FAKE_TEAR, again * 64 + call);
                }
                check_replaced(fake, &r);
                fake_disk_free(&fake);
            }
}

static void test_replace_failures(void **state)
{
    static const fake_fault faults[] = { FAKE_EIO, FAKE_FULL, FAKE_SHORT };

    (void)state;
    for (size_t f = 0; f < 3; f++)
        for (uint64_t call = 1; call < 80; call++) {
            fake_disk *fake = disk_new();
            replaced r = { 0 };
            snap_history *h;

            assert_int_equal(create(fake), DF_OK);
            fake_disk_fail(fake, fake_disk_calls(fake) + call, faults[f], false);
            replace_script(fake, &r);
            fake_disk_fail(fake, 0, 0, false);
            if (faults[f] == FAKE_FULL)
                check_nothing_lies_about(fake);
            check_replaced(fake, &r);
            fake_disk_restart(fake, FAKE_LOSE, call);
            h = reopen(fake);
            assert_true(snap_history_count(h) >= 3);
            check_records(h);
            check_marks(h, 1000);
            snap_history_close(&h);
            fake_disk_free(&fake);
        }
}

/* After a failure the history takes nothing more. */
static void test_broken(void **state)
{
    fake_disk *fake = disk_new();
    snap_history *h;

    (void)state;
    assert_int_equal(create(fake), DF_OK);
    h = reopen(fake);
    fake_disk_fail(fake, fake_disk_calls(fake) + 2, FAKE_EIO, false);
    assert_int_equal(append(h, 1), DF_EIO);
    assert_int_equal(append(h, 1), DF_EIO);
    assert_int_equal(mark(h, 5), DF_EIO);
    assert_non_null(strstr(error.text, "earlier change"));
    snap_history_close(&h);
    fake_disk_free(&fake);
}

/* ---- flipped bytes ---- */

static fake_disk *written(void)
{
    fake_disk *fake = disk_new();
    told t = { 0 };

    assert_true(script(fake, &t));
    assert_int_equal(t.records, 12);
    fake_disk_restart(fake, FAKE_LOSE, 1);
    return fake;
}

/* Where the last frame begins and ends. */
static void last_frame(fake_disk *fake, uint64_t *begin, uint64_t *end)
{
    uint64_t size;
    const uint8_t *bytes = fake_disk_bytes(fake, "job/history.a", &size);

    *begin = *end = FRAMES;
    while (memcmp(bytes + *end, "FRAM", 4) == 0) {
        *begin = *end;
        *end += (bytes[*end + 4] | (uint64_t)bytes[*end + 5] << 8) + 7;
        *end &= ~(uint64_t)7;
    }
}

static void test_flip_one(void **state)
{
    static const char *const names[2] = { "job/history.a", "job/history.b" };
    fake_disk *whole = written();

    (void)state;
    for (int copy = 0; copy < 2; copy++)
        for (uint64_t at = 0; at < SIZE; at++) {
            fake_disk *fake = fake_disk_copy(whole);
            snap_recovery recovery;
            snap_history *h;
            uint64_t size_a, size_b;

            fake_disk_flip(fake, names[copy], at, (uint8_t)(1u << (at % 8)));
            assert_int_equal(open_at(fake, &h, &recovery), DF_OK);
            assert_int_equal(recovery.blocks_repaired[copy], 1);
            assert_int_equal(recovery.blocks_repaired[1 - copy], 0);
            assert_int_equal(snap_history_count(h), 12);
            if (at % 16 == 0)
                check_records(h);
            check_marks(h, 51);
            snap_history_close(&h);
            fake_disk_restart(fake, FAKE_LOSE, 1);
            assert_memory_equal(fake_disk_bytes(fake, names[0], &size_a),
                                fake_disk_bytes(fake, names[1], &size_b), SIZE);
            fake_disk_free(&fake);
        }
    fake_disk_free(&whole);
}

/* The same byte in both copies: in the last frame a torn tail, which is told, after it too (there is
 * nothing to be lost); everywhere else an error. Blocks' unused bytes are harmless. */
static void test_flip_both(void **state)
{
    fake_disk *whole = written();
    uint64_t begin, end, errors = 0, torn = 0;

    (void)state;
    last_frame(whole, &begin, &end);
    assert_true(begin > FRAMES && end < SIZE);
    for (uint64_t at = 0; at < SIZE; at++) {
        fake_disk *fake = fake_disk_copy(whole);
        snap_recovery recovery;
        snap_history *h;
        df_status s;

        fake_disk_flip(fake, "job/history.a", at, 0x10);
        fake_disk_flip(fake, "job/history.b", at, 0x10);
        s = open_at(fake, &h, &recovery);
        if (s == DF_ECORRUPT) {
            assert_true(at < begin);
            assert_non_null(strstr(error.text, "history"));
            assert_null(h);
            errors++;
        } else {
            assert_int_equal(s, DF_OK);
            check_records(h);
            if (at >= begin) {
                assert_true(recovery.torn_both);
                assert_int_equal(snap_history_count(h), at < end ? 11 : 12);
                torn++;
            } else { /* unused bytes: of a block, or of a frame's padding */
                assert_int_equal(snap_history_count(h), 12);
                check_marks(h, 51);
            }
        }
        snap_history_close(&h);
        fake_disk_free(&fake);
    }
    assert_true(errors > 2000 && errors < begin);
    assert_int_equal(torn, SIZE - begin);
    fake_disk_free(&whole);
}

/* Damage at different places of both copies is repaired crosswise; a missing copy, a cut one and two of
 * different histories. */
static void test_copies(void **state)
{
    fake_disk *whole = written(), *fake;
    snap_recovery recovery;
    snap_history *h;
    uint64_t size;

    (void)state;
    fake = fake_disk_copy(whole);
    fake_disk_flip(fake, "job/history.a", FRAMES + 40, 1);
    fake_disk_flip(fake, "job/history.b", FRAMES + 400, 1);
    assert_int_equal(open_at(fake, &h, &recovery), DF_OK);
    assert_int_equal(recovery.blocks_repaired[0], 1);
    assert_int_equal(recovery.blocks_repaired[1], 1);
    assert_int_equal(snap_history_count(h), 12);
    snap_history_close(&h);
    fake_disk_free(&fake);

    for (int copy = 0; copy < 2; copy++) {
        fake = fake_disk_copy(whole);
        fake_disk_vanish(fake, copy == 0 ? "job/history.a" : "job/history.b");
        assert_int_equal(open_at(fake, &h, &recovery), DF_OK);
        assert_true(recovery.rebuilt[copy] && !recovery.rebuilt[1 - copy]);
        check_records(h);
        assert_int_equal(append(h, 1), DF_OK);
        snap_history_close(&h);
        assert_memory_equal(fake_disk_bytes(fake, "job/history.a", &size),
                            fake_disk_bytes(fake, "job/history.b", &size), SIZE);
        fake_disk_free(&fake);
    }

    for (uint64_t cut = 0; cut < SIZE; cut += 777) {
        df_disk *disk;
        df_file *file;

        fake = fake_disk_copy(whole);
        disk = fake_disk_of(fake);
        assert_int_equal(df_disk_open(disk, &file, "job/history.b", DF_OPEN_CREATE, &error), DF_OK);
        assert_int_equal(df_file_write(file, fake_disk_bytes(fake, "job/history.a", &size), cut, 0,
                                       &error), DF_OK);
        df_file_close(&file);
        assert_int_equal(open_at(fake, &h, &recovery), DF_OK);
        assert_true(recovery.blocks_repaired[1] > 0);
        assert_int_equal(snap_history_count(h), 12);
        snap_history_close(&h);
        assert_memory_equal(fake_disk_bytes(fake, "job/history.a", &size),
                            fake_disk_bytes(fake, "job/history.b", &size), SIZE);
        fake_disk_free(&fake);
    }
    fake_disk_free(&whole);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),     cmocka_unit_test(test_layout),
        cmocka_unit_test(test_full),     cmocka_unit_test(test_power),
        cmocka_unit_test(test_power_twice), cmocka_unit_test(test_failures),
        cmocka_unit_test(test_replace), cmocka_unit_test(test_replace_power),
        cmocka_unit_test(test_replace_failures), cmocka_unit_test(test_broken),
        cmocka_unit_test(test_flip_one), cmocka_unit_test(test_flip_both), cmocka_unit_test(test_copies),
    };

    if (argc == 2) { /* write a copy to a file: a seed for fuzzing */
        fake_disk *fake = written();
        uint64_t size;
        const uint8_t *bytes = fake_disk_bytes(fake, "job/history.a", &size);
        FILE *file = fopen(argv[1], "wb");
        int failed = file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0;

        fake_disk_free(&fake);
        return failed;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
