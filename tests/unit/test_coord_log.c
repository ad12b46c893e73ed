/* The coordinator's log: what was synced is there when it is opened again, whatever the disk does; a
 * record that makes no sense is refused; a full history takes no input and still takes a ceiling. */
#include "coordinator/coord_log.h"
#include "tests/support/fake_disk.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define GROUPS 3u

static df_error error;
static const coord_record_job job_of_test = { 77, { 1, 2 }, GROUPS };

static void wake(void *user)
{
    sem_post(user);
}

static sem_t ended;

static fake_disk *disk_new(void)
{
    fake_disk *fake = fake_disk_new();

    assert_int_equal(df_disk_make_folder(fake_disk_of(fake), "job", &error), DF_OK);
    assert_int_equal(df_disk_sync_folder(fake_disk_of(fake), ".", &error), DF_OK);
    return fake;
}

static df_status log_open(fake_disk *fake, coord_log **log)
{
    coord_record_job job = job_of_test;
    df_status s = coord_log_open(log, fake_disk_of(fake), "job", &job, wake, &ended, &error);

    if (s == DF_OK)
        assert_int_equal(job.job, 77);
    return s;
}

static bool log_sync(coord_log *log, uint64_t *records)
{
    bool ok;

    coord_log_sync(log);
    assert_int_equal(sem_wait(&ended), 0);
    assert_true(coord_log_synced(log, records, &ok, &error));
    assert_false(coord_log_synced(log, records, &ok, &error));
    return ok;
}

/* ---- a state machine to recover into ---- */

static void no_send(void *user, uint64_t to, const proto_msg *msg)
{
    (void)user;
    (void)to;
    (void)msg;
}

static const proto_coord_env no_env = { .send = no_send };

static const proto_plan plan = { .step_count = 100, .group_count = GROUPS };

static proto_coord_stats recover(coord_log *log, proto_end *end)
{
    proto_coord_config config = { .job = 77 };
    proto_coord *coord = proto_coord_new(&plan, &config, &no_env);
    proto_coord_stats stats;
    bool begun;

    assert_int_equal(coord_log_recover(log, coord, end, &begun, &error), DF_OK);
    proto_coord_stats_get(coord, &stats);
    assert_int_equal(begun, stats.generation > 0);
    proto_coord_stats_get(coord, &stats);
    proto_coord_free(&coord);
    return stats;
}

/* ---- records ---- */

static const uint8_t members[16] = { 5, 0, 0, 0, 0, 0, 0, 0, 9 };
static const uint8_t owners[4 * GROUPS] = { 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0 };
static const uint8_t pair[8] = { 1, 0, 0, 0, 0, 0, 0, 0 };

static proto_record generation(uint64_t number)
{
    return (proto_record){ .kind = PROTO_RECORD_GENERATION, .number = number, .step = 4, .floor = 6,
                           .members = { members, 16 }, .owners = { owners, 4 * GROUPS } };
}

static proto_record order(uint64_t index, uint64_t made, uint8_t kind, const void *bytes, uint32_t size)
{
    return (proto_record){ .kind = PROTO_RECORD_ORDER,
                           .order = { .index = index, .made = made, .kind = kind, .step = 8, .first = 3,
                                      .second = 4, .payload = { bytes, size } } };
}

static proto_record number(proto_record_kind kind, uint64_t value)
{
    return (proto_record){ .kind = kind, .number = value };
}

static proto_record rescale(uint64_t id, uint8_t phase)
{
    static const uint8_t wanted[16] = { 5, 0, 0, 0, 0, 0, 0, 0, 7 };
    static const uint8_t moves[24] = { 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1 };
    proto_record record = { .kind = PROTO_RECORD_RESCALE, .number = id, .phase = phase };

    if (phase == PROTO_RESCALE_BEGIN) {
        record.deadline_us = 5;
        record.members = (proto_bytes){ wanted, 16 };
        record.moves = (proto_bytes){ moves, 24 };
    }
    return record;
}

/* Places 0 to 2: workers 5, nobody, 7, who came with order 2; key group 0 is 7's, the others are 5's. */
static const uint8_t places[75] = { [0] = 5, [24] = 1, [50] = 7, [58] = 2, [66] = 8 };
static const uint8_t runs[8] = { 1, 0, 2, 0, 2, 0, 0, 0 };

static proto_record tables(uint64_t folded, uint64_t id)
{
    return (proto_record){ .kind = PROTO_RECORD_TABLES, .number = folded, .step = 8, .changed = folded, .left = folded,
                           .rescale = id, .size = 2, .phase = PROTO_RESCALE_DONE, .members = { places, 75 },
                           .owners = { runs, 8 } };
}

static const uint8_t comes[12] = { 2, 0, 0, 0, 7 }; /* worker 7, to place 2 */

static void append(coord_log *log, proto_record record)
{
    coord_log_append(log, &record);
}

static void test_round_trip(void **state)
{
    fake_disk *fake = disk_new();
    coord_log *log, *other;
    proto_coord_stats stats;
    const proto_record back = { .kind = PROTO_RECORD_RESTORE, .number = 1, .snapshot = 1, .step = 7 };
    uint64_t records;
    proto_end end;

    (void)state;
    assert_int_equal(log_open(fake, &log), DF_OK);
    assert_int_equal(log_open(fake, &other), DF_AGAIN); /* two never act on one folder */
    stats = recover(log, &end);
    assert_int_equal(stats.incarnation, 0);
    append(log, number(PROTO_RECORD_INCARNATION, 1));
    append(log, number(PROTO_RECORD_CEILING, 50));
    append(log, generation(1));
    append(log, order(1, 1, PROTO_ORDER_INPUT, "hello", 5));
    assert_true(log_sync(log, &records));
    assert_int_equal(records, 4);
    append(log, order(2, 1, PROTO_ORDER_OWNERS, pair, 8));
    append(log, rescale(1, PROTO_RESCALE_BEGIN));
    append(log, order(3, 1, PROTO_ORDER_MEMBERS, comes, 12));
    append(log, number(PROTO_RECORD_PAUSE, 1));
    append(log, number(PROTO_RECORD_END, PROTO_END_DRAINED));
    assert_true(log_sync(log, &records));
    assert_int_equal(records, 9);
    append(log, order(4, 1, PROTO_ORDER_INPUT, "lost", 4)); /* never synced */
    coord_log_close(&log);
    fake_disk_restart(fake, FAKE_LOSE, 1);

    assert_int_equal(log_open(fake, &log), DF_OK);
    stats = recover(log, &end);
    assert_int_equal(stats.incarnation, 1);
    assert_int_equal(stats.generation, 1);
    assert_int_equal(stats.orders, 3);
    assert_int_equal(stats.ceiling, 50);
    assert_int_equal(stats.members, 3);
    assert_int_equal(stats.rescale.id, 1);
    assert_int_equal(stats.rescale.moves, 2);
    assert_int_equal(stats.rescale.waves, 2);
    assert_true(stats.paused);
    assert_int_equal(end, PROTO_END_DRAINED);

    append(log, back); /* an end is forgotten when somebody returns to an older snapshot */
    assert_true(log_sync(log, &records));
    coord_log_close(&log);
    assert_int_equal(log_open(fake, &log), DF_OK);
    recover(log, &end);
    assert_int_equal(end, PROTO_END_NOT);
    coord_log_close(&log);
    fake_disk_free(&fake);
}

static void test_whose(void **state)
{
    fake_disk *fake = disk_new();
    coord_record_job job = job_of_test;
    coord_log *log;

    (void)state;
    assert_int_equal(log_open(fake, &log), DF_OK);
    coord_log_close(&log);
    job.plan.low++;
    job.job++;
    assert_int_equal(coord_log_open(&log, fake_disk_of(fake), "job", &job, wake, &ended, &error), DF_OK);
    assert_memory_equal(&job, &job_of_test, sizeof job);
    coord_log_close(&log);
    fake_disk_free(&fake);
}

/* A sync that fails says so; the next process finds what was acknowledged before, whatever is left. */
static void test_failed_sync(void **state)
{
    (void)state;
    for (int loss = FAKE_LOSE; loss <= FAKE_TEAR; loss++)
        for (uint64_t call = 1; call <= 4; call++) {
            fake_disk *fake = disk_new();
            coord_log *log;
            proto_coord_stats stats;
            uint64_t records;
            proto_end end;

            assert_int_equal(log_open(fake, &log), DF_OK);
            append(log, number(PROTO_RECORD_INCARNATION, 1));
            append(log, generation(1));
            append(log, order(1, 1, PROTO_ORDER_BARRIER, NULL, 0));
            assert_true(log_sync(log, &records));
            fake_disk_fail(fake, fake_disk_calls(fake) + call, FAKE_EIO, true);
            append(log, order(2, 1, PROTO_ORDER_BARRIER, NULL, 0));
            assert_false(log_sync(log, &records));
            assert_true(error.text[0] != '\0');
            coord_log_close(&log);
            fake_disk_restart(fake, (fake_loss)loss, call);
            assert_int_equal(log_open(fake, &log), DF_OK);
            stats = recover(log, &end);
            assert_int_equal(stats.generation, 1);
            assert_in_range(stats.orders, 1, 2);
            coord_log_close(&log);
            fake_disk_free(&fake);
        }
}

static void test_full(void **state)
{
    fake_disk *fake = disk_new();
    uint8_t *payload = calloc(1, PROTO_INPUT_SIZE_MAX);
    uint64_t records, index = 0;
    coord_log *log;
    proto_coord_stats stats;
    proto_end end;

    (void)state;
    assert_int_equal(log_open(fake, &log), DF_OK);
    append(log, generation(1));
    while (coord_log_takes_input(log, PROTO_INPUT_SIZE_MAX)) {
        assert_true(coord_log_room(log) > 0);
        append(log, order(++index, 1, PROTO_ORDER_INPUT, payload, PROTO_INPUT_SIZE_MAX));
        if (index % 16 == 0)
            assert_true(log_sync(log, &records));
    }
    assert_true(index > 100);
    while (coord_log_room(log) > 0)
        append(log, order(++index, 1, PROTO_ORDER_BARRIER, NULL, 0));
    assert_true(log_sync(log, &records));
    append(log, number(PROTO_RECORD_CEILING, 1000)); /* grants go on */
    append(log, generation(2));                      /* and so does the job */
    append(log, number(PROTO_RECORD_END, PROTO_END_DONE));
    assert_true(log_sync(log, &records));
    coord_log_close(&log);
    assert_int_equal(log_open(fake, &log), DF_OK);
    stats = recover(log, &end);
    assert_int_equal(stats.orders, index);
    assert_int_equal(stats.ceiling, 1000);
    assert_int_equal(end, PROTO_END_DONE);
    coord_log_close(&log);
    fake_disk_free(&fake);
    free(payload);
}

/* A job that takes snapshots for months: what means nothing any more goes, and what does stays. */
static void test_shortened(void **state)
{
    fake_disk *fake = disk_new();
    uint64_t records, index = 0;
    coord_log *log;
    proto_coord_stats stats;
    proto_end end;

    (void)state;
    assert_int_equal(log_open(fake, &log), DF_OK);
    append(log, generation(1));
    append(log, number(PROTO_RECORD_PAUSE, 1));
    append(log, order(++index, 1, PROTO_ORDER_INPUT, "hello", 5));
    append(log, generation(2));
    while (index < 300000) {
        append(log, order(++index, 2, PROTO_ORDER_BARRIER, NULL, 0));
        if (index == 200000)
            append(log, order(++index, 2, PROTO_ORDER_OWNERS, pair, 8));
        if (index % 1000 == 0)
            assert_true(log_sync(log, &records));
        assert_true(coord_log_room(log) > 0);
    }
    append(log, number(PROTO_RECORD_CEILING, 1000));
    assert_true(log_sync(log, &records));
    coord_log_close(&log);
    fake_disk_restart(fake, FAKE_LOSE, 1);
    for (int i = 0; i < 2; i++) { /* as it was found, and with one more */
        assert_int_equal(log_open(fake, &log), DF_OK);
        stats = recover(log, &end);
        assert_int_equal(stats.generation, 2);
        assert_int_equal(stats.orders, index);
        assert_int_equal(stats.ceiling, 1000);
        assert_true(stats.paused);
        assert_int_equal(end, PROTO_END_NOT);
        if (i == 0) {
            append(log, order(++index, 2, PROTO_ORDER_BARRIER, NULL, 0));
            assert_true(log_sync(log, &records));
        }
        coord_log_close(&log);
    }
    fake_disk_free(&fake);
}

/* A job that is rescaled all the time, in a small log: what was folded goes. Returns the orders. */
static uint64_t rescale_often(coord_log *log, uint64_t times, uint64_t index)
{
    static const uint8_t leaves[24] = { 1, 0, 0, 0, [12] = 2, [16] = 7 };
    static const uint8_t moves[16] = { 0, 0, 0, 0, 2 };
    uint64_t records;

    for (uint64_t id = index / 3 + 1; times > 0; times--, id++) {
        append(log, rescale(id, PROTO_RESCALE_BEGIN));
        if (index == 0)
            append(log, order(++index, 1, PROTO_ORDER_MEMBERS, leaves, 24));
        else
            append(log, order(++index, 1, PROTO_ORDER_BARRIER, NULL, 0));
        append(log, order(++index, 1, PROTO_ORDER_OWNERS, moves, 8));
        append(log, order(++index, 1, PROTO_ORDER_BARRIER, NULL, 0));
        append(log, rescale(id, PROTO_RESCALE_END));
        append(log, tables(index - 1, id));
        assert_true(log_sync(log, &records));
        assert_true(coord_log_room(log) > 0);
    }
    return index;
}

static void rescaled_is(fake_disk *fake, uint64_t least, uint64_t most)
{
    coord_log *log;
    proto_coord_stats stats;
    proto_end end;

    assert_int_equal(log_open(fake, &log), DF_OK);
    stats = recover(log, &end);
    assert_int_equal(stats.generation, 1);
    assert_int_equal(stats.members, 2);
    assert_in_range(stats.orders, least, most);
    coord_log_close(&log);
}

static void test_folded(void **state)
{
    fake_disk *fake = disk_new();
    uint64_t index;
    coord_log *log;

    (void)state;
    setenv("WEIR_HISTORY_SIZE", "65536", 1);
    assert_int_equal(log_open(fake, &log), DF_OK);
    append(log, generation(1));
    index = rescale_often(log, 1000, 0);
    coord_log_close(&log);
    rescaled_is(fake, index, index);
    fake_disk_free(&fake);
    setenv("WEIR_HISTORY_SIZE", "5000", 1); /* no size of a history */
    fake = disk_new();
    assert_int_equal(log_open(fake, &log), DF_EINVAL);
    fake_disk_free(&fake);
    unsetenv("WEIR_HISTORY_SIZE");
}

/* Every disk call of the syncs in which it is made shorter fails, and power is lost. */
static void test_folded_crash(void **state)
{
    uint64_t begun = 0;

    (void)state;
    setenv("WEIR_HISTORY_SIZE", "32768", 1);
    for (int loss = FAKE_LOSE; loss <= FAKE_TEAR; loss++)
        for (uint64_t call = 1; call <= 60; call++) {
            fake_disk *fake = disk_new();
            uint64_t index, records;
            bool ok = true;
            coord_log *log;

            assert_int_equal(log_open(fake, &log), DF_OK);
            append(log, generation(1));
            index = rescale_often(log, 10, 0);
            fake_disk_fail(fake, fake_disk_calls(fake) + call, FAKE_EIO, true);
            for (begun = index; ok && begun < index + 300; begun++) {
                append(log, order(begun + 1, 1, PROTO_ORDER_BARRIER, NULL, 0));
                ok = log_sync(log, &records);
            }
            assert_false(ok);
            coord_log_close(&log);
            fake_disk_restart(fake, (fake_loss)loss, call);
            rescaled_is(fake, begun - 1, begun);
            rescaled_is(fake, begun - 1, begun); /* what opening it has repaired is right, too */
            fake_disk_free(&fake);
        }
    unsetenv("WEIR_HISTORY_SIZE");
}

/* ---- records that make no sense ---- */

static df_status read_record(coord_record_reader *reader, proto_record record)
{
    proto_record out;
    uint8_t *bytes;
    size_t size;
    df_writer w;
    df_status s;

    df_writer_init_growing(&w, COORD_RECORD_SIZE_MAX);
    coord_record_put(&w, &record);
    bytes = df_writer_take(&w, &size);
    assert_non_null(bytes);
    s = coord_record_get(reader,
                         &(snap_record){ .type = record.kind, .size = (uint32_t)size, .bytes = bytes },
                         &out, &error);
    free(bytes);
    return s;
}

static coord_record_reader reader_new(void)
{
    return (coord_record_reader){ .begun = true, .job = job_of_test, .orders = 1, .generation = 2,
                                  .members = { 5, 9 }, .member_count = 2 };
}

/* Places as members come and go, and what is refused there. */
static void test_members(void **state)
{
    static const uint8_t leaves[12] = { 2 }, there[12] = { 1, 0, 0, 0, 7 },
                         far[12] = { 4, 0, 0, 0, 7 }, last[12] = { 0xe8, 3, 0, 0, 7 };
    static const uint8_t to_it[8] = { 1, 0, 0, 0, 2 };
    coord_record_reader reader = reader_new();

    (void)state;
    assert_int_equal(read_record(&reader, generation(3)), DF_OK);
    assert_int_equal(read_record(&reader, order(2, 3, PROTO_ORDER_MEMBERS, comes, 12)), DF_OK);
    assert_int_equal(read_record(&reader, order(3, 3, PROTO_ORDER_OWNERS, to_it, 8)), DF_OK);
    assert_int_equal(read_record(&reader, order(4, 3, PROTO_ORDER_MEMBERS, leaves, 12)), DF_OK);
    assert_int_equal(read_record(&reader, order(5, 3, PROTO_ORDER_OWNERS, to_it, 8)), DF_ECORRUPT);
    assert_int_equal(read_record(&reader, order(6, 3, PROTO_ORDER_MEMBERS, leaves, 12)), DF_ECORRUPT);
    assert_int_equal(read_record(&reader, order(7, 3, PROTO_ORDER_MEMBERS, there, 12)), DF_ECORRUPT);
    assert_int_equal(read_record(&reader, order(8, 3, PROTO_ORDER_MEMBERS, far, 12)), DF_ECORRUPT);
    assert_int_equal(read_record(&reader, order(9, 3, PROTO_ORDER_MEMBERS, last, 12)), DF_ECORRUPT);
    assert_int_equal(read_record(&reader, order(10, 3, PROTO_ORDER_MEMBERS, comes, 11)), DF_ECORRUPT);
    assert_int_equal(read_record(&reader, order(11, 3, PROTO_ORDER_MEMBERS, comes, 0)), DF_ECORRUPT);
    assert_int_equal(read_record(&reader, order(12, 2, PROTO_ORDER_MEMBERS, far, 12)), DF_OK); /* void */
}

static void test_rescales(void **state)
{
    static const uint8_t twice[16] = { 5, 0, 0, 0, 0, 0, 0, 0, 5 }, nobody[8] = { 0 };
    static const uint8_t wrong_group[12] = { GROUPS }, wrong_place[12] = { 1, 0, 0, 0, 2 },
                         wrong_wave[12] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
    proto_record wrong[9];
    coord_record_reader reader = reader_new();

    (void)state;
    assert_int_equal(read_record(&reader, rescale(4, PROTO_RESCALE_BEGIN)), DF_OK);
    assert_int_equal(read_record(&reader, rescale(4, PROTO_RESCALE_ABORT)), DF_OK);
    assert_int_equal(read_record(&reader, rescale(4, PROTO_RESCALE_LEAVE)), DF_OK);
    assert_int_equal(read_record(&reader, rescale(4, PROTO_RESCALE_END)), DF_OK);
    assert_int_equal(read_record(&reader, rescale(5, PROTO_RESCALE_END)), DF_ECORRUPT);
    assert_int_equal(read_record(&reader, rescale(4, PROTO_RESCALE_END + 1)), DF_ECORRUPT);
    assert_int_equal(read_record(&reader, rescale(4, 0)), DF_ECORRUPT);
    assert_int_equal(read_record(&reader, rescale(4, PROTO_RESCALE_BEGIN)), DF_ECORRUPT);
    for (int i = 0; i < 9; i++)
        wrong[i] = rescale(9, PROTO_RESCALE_BEGIN);
    wrong[0].members.size = 15;
    wrong[1].members.size = 0;
    wrong[2].members.data = twice;
    wrong[3].members = (proto_bytes){ nobody, 8 };
    wrong[4].moves.size = 23;
    wrong[5].moves = (proto_bytes){ wrong_group, 12 };
    wrong[6].moves = (proto_bytes){ wrong_place, 12 };
    wrong[7].moves = (proto_bytes){ wrong_wave, 12 };
    reader.generation = 0; /* nobody was there to be changed */
    assert_int_equal(read_record(&reader, wrong[8]), DF_ECORRUPT);
    for (int i = 0; i < 8; i++) {
        reader = reader_new();
        assert_int_equal(read_record(&reader, wrong[i]), DF_ECORRUPT);
    }
}

static void test_tables(void **state)
{
    static const uint8_t vacant[8] = { 3, 0, 1 }, nowhere[8] = { 3, 0, 3 }, far[8] = { 4, 0, 0 }, none[8] = { 0, 0, 0, 0, 3 };
    static const uint8_t admitted[75] = { [0] = 5, [50] = 7, [58] = 9 }, owned[75] = { [0] = 5, [24] = 2, [50] = 7 };
    static const uint8_t to_vacant[8] = { 1, 0, 0, 0, 1 }, to_third[8] = { 1, 0, 0, 0, 2 };
    proto_record wrong[16];
    coord_record_reader reader = reader_new();

    (void)state;
    reader.orders = 5;
    assert_int_equal(read_record(&reader, tables(3, 4)), DF_OK);
    assert_int_equal(read_record(&reader, order(6, 2, PROTO_ORDER_OWNERS, to_vacant, 8)), DF_ECORRUPT);
    assert_int_equal(read_record(&reader, order(7, 2, PROTO_ORDER_OWNERS, to_third, 8)), DF_OK);
    assert_int_equal(read_record(&reader, rescale(4, PROTO_RESCALE_BEGIN)), DF_ECORRUPT);
    assert_int_equal(read_record(&reader, rescale(5, PROTO_RESCALE_BEGIN)), DF_OK);
    for (int i = 0; i < 16; i++)
        wrong[i] = tables(3, 4);
    wrong[0].number = 6;
    wrong[1].changed = 4;
    wrong[2].left = 4;
    wrong[3].rescale = 2;
    wrong[4].size = PROTO_MEMBERS_MAX + 1;
    wrong[5].phase = PROTO_RESCALE_VOIDED + 1;
    wrong[6].members.size = 74;
    wrong[7].members.size = 25; /* fewer places than there are */
    wrong[8].members.data = admitted;
    wrong[9].members.data = owned;
    wrong[10].owners.size = 7;
    wrong[11].owners.size = 4; /* not all key groups */
    wrong[12].owners = (proto_bytes){ vacant, 4 };
    wrong[13].owners = (proto_bytes){ nowhere, 4 };
    wrong[14].owners = (proto_bytes){ far, 4 };
    wrong[15].owners = (proto_bytes){ none, 8 };
    for (int i = 0; i < 16; i++) {
        reader = reader_new();
        reader.orders = 5;
        reader.rescale = 3;
        assert_int_equal(read_record(&reader, wrong[i]), DF_ECORRUPT);
    }
    reader = reader_new();
    reader.orders = 5;
    reader.generation = 0;
    assert_int_equal(read_record(&reader, tables(3, 4)), DF_ECORRUPT);
}

static void test_refused(void **state)
{
    static const uint8_t wrong_owner[8] = { 1, 0, 0, 0, 2 }, wrong_group[8] = { GROUPS };
    static const uint8_t wrong_owners[4 * GROUPS] = { 2 };
    proto_record wrong[] = {
        generation(2),
        order(1, 1, PROTO_ORDER_INPUT, NULL, 0),
        order(3, 1, PROTO_ORDER_INPUT, NULL, 0),
        order(2, 3, PROTO_ORDER_INPUT, NULL, 0),
        order(2, 1, 0, NULL, 0),
        order(2, 1, 5, NULL, 0),
        order(2, 2, PROTO_ORDER_OWNERS, pair, 7),
        order(2, 2, PROTO_ORDER_OWNERS, wrong_owner, 8),
        order(2, 2, PROTO_ORDER_OWNERS, wrong_group, 8),
        number(PROTO_RECORD_END, 0),
        number(PROTO_RECORD_END, 9),
        number(PROTO_RECORD_PAUSE, 2),
        number(PROTO_RECORD_RESTORE, 2),
        number(PROTO_RECORD_SKIP, 0),
        number(PROTO_RECORD_SKIP, PROTO_ORDERS_MAX),
        number(PROTO_RECORD_SKIP, (uint64_t)PROTO_ORDERS_MAX + 1),
        number((proto_record_kind)12, 0),
        generation(3),
        generation(3),
        generation(3),
        generation(3),
    };
    size_t count = sizeof wrong / sizeof wrong[0];
    coord_record_reader reader = { 0 };

    (void)state;
    wrong[count - 1].members.size = 0;
    wrong[count - 2].members.size = 15;
    wrong[count - 3].owners.size = 8;
    wrong[count - 4].owners.data = wrong_owners;
    for (size_t i = 0; i < count; i++) {
        coord_record_reader fresh = reader_new();

        assert_int_equal(read_record(&fresh, wrong[i]), DF_ECORRUPT);
    }
    assert_int_equal(read_record(&reader, generation(3)), DF_ECORRUPT); /* not before the job's */
    reader = reader_new();
    assert_int_equal(read_record(&reader, generation(3)), DF_OK);
    assert_int_equal(read_record(&reader, order(2, 3, PROTO_ORDER_OWNERS, pair, 8)), DF_OK);
    assert_int_equal(read_record(&reader, order(3, 2, PROTO_ORDER_OWNERS, wrong_owner, 8)), DF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_whose),
        cmocka_unit_test(test_failed_sync), cmocka_unit_test(test_full),
        cmocka_unit_test(test_members),    cmocka_unit_test(test_rescales),
        cmocka_unit_test(test_shortened),   cmocka_unit_test(test_folded),
        cmocka_unit_test(test_folded_crash), cmocka_unit_test(test_tables),
        cmocka_unit_test(test_refused),
    };

    sem_init(&ended, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
