/* The largest job that is promised: 1,000 workers and 32,768 key groups. Each message, record and answer that grows with
 * either is made at full size and read back. */
#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_load.h"
#include "coordinator/coord_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t bytes[PROTO_FRAME_SIZE_MAX], frame[PROTO_FRAME_SIZE_MAX];

static void crosses(proto_msg *msg, uint16_t type)
{
    proto_msg heard;
    size_t size;

    msg->header = (proto_header){ .type = type, .job = 7, .generation = 1, .incarnation = 1, .sender = 2, .sequence = 1 };
    size = proto_encode(msg, frame, sizeof frame);
    assert_true(size > 0);
    assert_int_equal(proto_decode(&heard, frame, size), PROTO_REJECT_ok);
    assert_int_equal(heard.header.type, type);
}

static void test_messages(void **state)
{
    proto_msg msg;

    (void)state;
    msg.install = (proto_install){ .members = { bytes, 8 * PROTO_MEMBERS_MAX }, .owners = { bytes, 4 * PROTO_GROUPS_MAX } };
    crosses(&msg, PROTO_TYPE_install);
    msg.mark = (proto_mark){ .groups = { bytes, 4 * PROTO_GROUPS_MAX } };
    crosses(&msg, PROTO_TYPE_mark);
    msg.fetch = (proto_fetch){ .groups = { bytes, PROTO_GROUPS_MAX / 8 } };
    crosses(&msg, PROTO_TYPE_fetch);
    msg.order = (proto_order){ .payload = { bytes, PROTO_MEMBERS_PAIR * PROTO_MEMBERS_MAX } };
    crosses(&msg, PROTO_TYPE_order);
    msg.hello = (proto_hello){ .label = { bytes, PROTO_TEXT_SIZE_MAX }, .address = { bytes, PROTO_TEXT_SIZE_MAX },
                               .key = { bytes, PROTO_TEXT_SIZE_MAX } };
    crosses(&msg, PROTO_TYPE_hello);
}

/* One worker with all key groups tells what each costs. */
static void test_load(void **state)
{
    coord_load load = { .threads = 1, .backend = "cpu", .units_told = true, .unit_count = PROTO_GROUPS_MAX };
    proto_msg msg;
    df_writer out;

    (void)state;
    load.units = calloc(load.unit_count, sizeof *load.units);
    assert_non_null(load.units);
    for (uint32_t u = 0; u < load.unit_count; u++)
        load.units[u] = (coord_load_unit){ .unit = u, .cost_ns = UINT64_MAX, .rows = UINT64_MAX, .bytes = UINT64_MAX };
    df_writer_init_growing(&out, PROTO_PAYLOAD_SIZE_MAX);
    coord_load_encode(&out, &load);
    assert_true(df_writer_ok(&out));
    msg.load.payload = (proto_bytes){ out.data, (uint32_t)out.size };
    crosses(&msg, PROTO_TYPE_load);
    df_writer_fini(&out);
    free(load.units);
}

static coord_record_reader reader;

/* Through the bytes of the log, behind the records before it. */
static void kept(const proto_record *record)
{
    proto_record read;
    df_writer out;
    df_error err;

    df_writer_init_growing(&out, COORD_RECORD_SIZE_MAX);
    coord_record_put(&out, record);
    assert_true(df_writer_ok(&out));
    assert_true(out.size <= SNAP_RECORD_SIZE_MAX);
    assert_int_equal(coord_record_get(&reader, &(snap_record){ .type = (uint32_t)record->kind, .bytes = out.data,
                                                               .size = (uint32_t)out.size }, &read, &err), DF_OK);
    df_writer_fini(&out);
}

static void test_records(void **state)
{
    static uint8_t members[PROTO_TABLES_MEMBER * PROTO_MEMBERS_MAX], owners[4 * PROTO_GROUPS_MAX],
        moves[PROTO_MOVE_SIZE * PROTO_GROUPS_MAX], runs[PROTO_TABLES_RUN * PROTO_GROUPS_MAX];
    const coord_record_job job = { .job = 7, .group_count = PROTO_GROUPS_MAX };
    proto_record record, read;
    df_writer out;
    df_error err;

    (void)state;
    df_writer_init_growing(&out, COORD_RECORD_SIZE_MAX);
    coord_record_put_job(&out, &job);
    assert_int_equal(coord_record_get(&reader, &(snap_record){ .type = COORD_RECORD_JOB, .bytes = out.data,
                                                               .size = (uint32_t)out.size }, &read, &err), DF_END);
    df_writer_fini(&out);
    for (uint32_t m = 0; m < PROTO_MEMBERS_MAX; m++)
        proto_put_u64(members + 8 * m, m + 2);
    for (uint32_t g = 0; g < PROTO_GROUPS_MAX; g++) {
        proto_put_u32(owners + 4 * g, g % PROTO_MEMBERS_MAX);
        proto_put_u32(moves + PROTO_MOVE_SIZE * g, g);
        proto_put_u32(moves + PROTO_MOVE_SIZE * g + 4, (g + 1) % PROTO_MEMBERS_MAX);
        proto_put_u32(moves + PROTO_MOVE_SIZE * g + 8, g);
        proto_put_u32(runs + PROTO_TABLES_RUN * g, 1 | (g % PROTO_MEMBERS_MAX) << 16);
    }
    kept(&(proto_record){ .kind = PROTO_RECORD_GENERATION, .number = 1, .members = { members, 8 * PROTO_MEMBERS_MAX },
                          .owners = { owners, sizeof owners } });
    record = (proto_record){ .kind = PROTO_RECORD_RESCALE, .number = 1, .phase = PROTO_RESCALE_BEGIN, .deadline_us = 1,
                             .members = { members, 8 * PROTO_MEMBERS_MAX }, .moves = { moves, sizeof moves } };
    kept(&record);
    kept(&(proto_record){ .kind = PROTO_RECORD_RESCALE, .number = 1, .phase = PROTO_RESCALE_END });
    for (uint32_t m = 0; m < PROTO_MEMBERS_MAX; m++) {
        memset(members + PROTO_TABLES_MEMBER * m, 0, PROTO_TABLES_MEMBER);
        proto_put_u64(members + PROTO_TABLES_MEMBER * m, m + 2);
    }
    record = (proto_record){ .kind = PROTO_RECORD_TABLES, .rescale = 1, .phase = PROTO_RESCALE_DONE,
                             .members = { members, sizeof members }, .owners = { runs, sizeof runs } };
    kept(&record);
}

/* Every worker has a long name and waits for something that takes long to say. */
static void test_status(void **state)
{
    coord_status *status = calloc(1, sizeof *status), *heard = calloc(1, sizeof *heard);
    proto_msg msg;
    df_error err;
    char *text;

    (void)state;
    assert_non_null(status);
    assert_non_null(heard);
    status->worker_count = PROTO_MEMBERS_MAX;
    for (uint32_t i = 0; i < status->worker_count; i++) {
        coord_status_worker *w = &status->workers[i];

        *w = (coord_status_worker){ .id = UINT64_MAX >> 1, .pid = INT32_MAX, .host = UINT32_MAX, .member = true,
                                    .key_groups = PROTO_GROUPS_MAX, .cores = 1024, .memory = UINT64_MAX >> 1,
                                    .step = UINT64_MAX >> 1, .begun = true, .silent_us = UINT64_MAX >> 1 };
        memset(w->label, 'l', sizeof w->label - 1);
        memset(w->behind, 'b', sizeof w->behind - 1);
    }
    text = coord_json_status(status);
    assert_non_null(text);
    msg.reply = (proto_reply){ 1, { (const uint8_t *)text, (uint32_t)strlen(text) } };
    crosses(&msg, PROTO_TYPE_reply);
    assert_true(coord_json_status_read(heard, text, strlen(text), &err));
    assert_int_equal(heard->worker_count, PROTO_MEMBERS_MAX);
    free(text);
    free(status);
    free(heard);
}

static void test_workers(void **state)
{
    coord_workers_row *rows = calloc(PROTO_MEMBERS_MAX, sizeof *rows);
    proto_msg msg;
    char *text;

    (void)state;
    assert_non_null(rows);
    for (uint32_t i = 0; i < PROTO_MEMBERS_MAX; i++) {
        rows[i] = (coord_workers_row){ .id = UINT64_MAX >> 1, .pid = INT32_MAX, .member = true, .told = true, .busy = 0.123456789,
                                       .key_groups = PROTO_GROUPS_MAX, .free_bytes = UINT64_MAX >> 1,
                                       .total_bytes = UINT64_MAX >> 1, .process_bytes = UINT64_MAX >> 1,
                                       .rows = UINT64_MAX >> 1, .bytes = UINT64_MAX >> 1, .cost_ns = UINT64_MAX >> 1 };
        memset(rows[i].label, 'l', sizeof rows[i].label - 1);
        memset(rows[i].host, 'h', sizeof rows[i].host - 1);
        memset(rows[i].refused, 'r', sizeof rows[i].refused - 1);
    }
    text = coord_json_workers("job", "", rows, PROTO_MEMBERS_MAX);
    assert_non_null(text);
    msg.reply = (proto_reply){ 1, { (const uint8_t *)text, (uint32_t)strlen(text) } };
    crosses(&msg, PROTO_TYPE_reply);
    free(text);
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages), cmocka_unit_test(test_load),    cmocka_unit_test(test_records),
        cmocka_unit_test(test_status),   cmocka_unit_test(test_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
