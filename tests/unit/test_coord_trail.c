/* The record of a job's steps: written in pieces, gone on with, compared when steps run again, cut, dropped and copied.
 * What is recorded is read back as recordings are, whose format has its own test. */
#include "coordinator/coord_state.h"
#include "coordinator/coord_trail.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A job of one state, of a column and two key groups. */
static df_stream streams[1] = { { .name = "birds", .schema = { 1, { { "x", WEIR_F32 } } },
                                  .partition = { .kind = DF_PART_HASH, .key_groups = 2 } } };
static df_vertex vertices[1] = { { .name = "birds", .role = DF_COMMIT, .out_count = 1 } };
static df_state states[1] = { { .name = "birds" } };
static uint32_t order[1];
static df_plan plan = {
    .job = { .name = "flock", .seed = 7, .steps = 1000 },
    .state_count = 1, .vertex_count = 1, .stream_count = 1,
    .states = states, .vertices = vertices, .streams = streams, .order = order,
    .hash = { 0x0123456789abcdef, 0xfedcba9876543210 },
};

#define LINE 103u /* bytes of a line of a step below 10 */

static char state[64], folder[128];

static int folder_make(void **unused)
{
    (void)unused;
    snprintf(state, sizeof state, "/tmp/test_coord_trail_XXXXXX");
    snprintf(folder, sizeof folder, "%s", mkdtemp(state) == NULL ? "" : state);
    strcat(folder, "/record");
    return state[0] == '\0';
}

static int folder_remove(void **unused)
{
    df_error err;

    (void)unused;
    return coord_state_clear_folder(state, 2, &err) != DF_OK;
}

/* What each step is: its number decides all of it; `other`: other bits in key group 1 and column x. */
static df_status tell(coord_trail *t, uint64_t step, bool other, df_error *err)
{
    const df_hash columns[2] = { { step + 1, 0 }, { step + 2 + (other ? 1000 : 0), 0 } };
    const df_hash groups[2] = { { (step + 3) << 32, 0 }, { (step + 4 + (other ? 1000 : 0)) << 32, 0 } };
    const df_stream_print print = { .key_groups = 2, .column_count = 2, .columns = columns, .groups = groups };
    const df_step_print all = { .step = step, .total = { step, other }, .stream_count = 1, .streams = &print };

    return coord_trail_step(t, &all, err);
}

static coord_trail *begin(uint64_t step, uint32_t piece_size)
{
    const coord_trail_options options = { .state = state, .plan = &plan, .piece_size = piece_size };
    coord_trail *t;
    df_error err;

    assert_int_equal(coord_trail_open(&t, &options, step, &err), DF_OK);
    return t;
}

static void tell_all(coord_trail *t, uint64_t from, uint64_t to)
{
    df_error err = { 0 };

    for (uint64_t step = from; step <= to; step++)
        if (tell(t, step, false, &err) != DF_OK)
            fail_msg("%s", err.text);
}

/* Steps `from` to `to`, of one process's life. */
static void run(uint64_t from, uint64_t to, uint32_t piece_size)
{
    coord_trail *t = begin(from, piece_size);

    tell_all(t, from, to);
    coord_trail_sync(t);
    coord_trail_close(&t);
    assert_null(t);
}

static const char *piece(uint64_t first)
{
    static char path[192];

    snprintf(path, sizeof path, "%s/%020llu.fp", folder, (unsigned long long)first);
    return path;
}

static long size_of(uint64_t first)
{
    struct stat status;

    return stat(piece(first), &status) == 0 ? (long)status.st_size : -1;
}

static void append_to(uint64_t first, const char *text)
{
    FILE *file = fopen(piece(first), "a");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* What is recorded from a step on; 0: nothing, but there is a record. */
static uint64_t recorded(uint64_t from, uint64_t to)
{
    uint64_t end;
    df_error err = { 0 };

    assert_int_equal(coord_trail_read(state, from, to, NULL, &end, &err), DF_OK);
    return end - from;
}

/* ---- writing ---- */

static void test_pieces(void **unused)
{
    (void)unused;
    run(0, 9, 3 * LINE); /* a piece ends when it has so many bytes */
    assert_true(size_of(0) > 0 && size_of(1) < 0 && size_of(3) > 0 && size_of(9) > 0);
    assert_int_equal(recorded(0, 100), 10);
    assert_int_equal(recorded(4, 100), 6);
    assert_int_equal(recorded(4, 6), 3);
    assert_int_equal(recorded(9, 9), 1);
    assert_int_equal(recorded(10, 100), 0);
}

/* A process that goes on begins a piece of its own; the lines are the same, each once. */
static void test_goes_on(void **unused)
{
    (void)unused;
    run(0, 4, 0);
    run(5, 7, 0);
    assert_true(size_of(5) > 0);
    assert_int_equal(recorded(0, 100), 8);
    run(8, 8, 0);
    assert_int_equal(recorded(0, 100), 9);
}

/* Back at step 2, all is compared and nothing is written until step 5. */
static void test_runs_again(void **unused)
{
    long size;

    (void)unused;
    run(0, 4, 0);
    size = size_of(0);
    run(2, 6, 0);
    assert_int_equal(size_of(0), size);
    assert_int_equal(recorded(0, 100), 7);
    run(1, 6, 0); /* across both pieces */
    run(0, 7, 0);
    assert_int_equal(recorded(0, 100), 8);
}

static void test_differs(void **unused)
{
    coord_trail *t;
    df_error err = { 0 };

    (void)unused;
    run(0, 4, 0);
    t = begin(2, 0);
    assert_int_equal(tell(t, 2, false, &err), DF_OK);
    assert_int_equal(tell(t, 3, true, &err), DF_ECORRUPT);
    assert_string_equal(err.text, "after a return to an earlier step: step 3 differs from the record: state "
                                  "\"birds\", key group 1 (1 of 2), column x");
    coord_trail_close(&t);
    assert_int_equal(recorded(0, 100), 5);
}

/* A kill in the middle of a line, of a head, and a block of zeros after a power loss. */
static void test_torn(void **unused)
{
    static const char zeros[4096];
    FILE *file;
    long size;

    (void)unused;
    run(0, 4, 0);
    size = size_of(0);
    append_to(0, "5 0000000000000000");
    assert_int_equal(recorded(0, 100), 5);
    run(3, 6, 0);
    assert_int_equal(size_of(0), size);
    assert_int_equal(recorded(0, 100), 7);

    file = fopen(piece(5), "a");
    assert_non_null(file);
    assert_int_equal(fwrite(zeros, 1, sizeof zeros, file), sizeof zeros);
    fclose(file);
    append_to(8, "weir finger"); /* of a piece that never was */
    run(6, 8, 0);
    assert_int_equal(recorded(0, 100), 9);

    run(9, 9, 0);
    assert_int_equal(truncate(piece(9), 20), 0);
    run(9, 10, 0);
    assert_int_equal(recorded(0, 100), 11);
}

/* A digit that was changed on the disk is no other result: the line is written anew. */
static void test_damaged(void **unused)
{
    coord_trail *t;
    df_error err = { 0 };
    FILE *file;

    (void)unused;
    run(0, 4, 0);
    file = fopen(piece(0), "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, -(long)LINE + 40, SEEK_END), 0);
    fputc('e', file);
    fclose(file);
    assert_int_equal(recorded(0, 100), 4);
    t = begin(4, 0);
    assert_int_equal(tell(t, 4, false, &err), DF_OK);
    coord_trail_close(&t);
    assert_int_equal(recorded(0, 100), 5);
}

/* What lies behind a gap goes, because the steps of the gap are about to be run. */
static void test_gap(void **unused)
{
    (void)unused;
    run(0, 2, 0);
    run(10, 12, 0);
    assert_int_equal(recorded(0, 100), 3);
    assert_int_equal(recorded(10, 100), 3);
    assert_int_equal(recorded(5, 100), 0);
    run(2, 11, 0);
    assert_int_equal(recorded(0, 100), 12);
    /* Before everything that is recorded. */
    coord_trail_drop(state, 3);
    run(1, 2, 0);
    assert_int_equal(recorded(1, 100), 2);
    assert_int_equal(recorded(3, 100), 0);
}

/* What another job has left in the folder is not compared with, and goes as this one comes along. */
static void test_other_job(void **unused)
{
    (void)unused;
    plan.hash[0] ^= 1;
    run(0, 4, 0);
    run(5, 8, 0);
    plan.hash[0] ^= 1;
    run(0, 6, 0);
    assert_int_equal(recorded(0, 100), 7);
    run(7, 9, 0);
    assert_int_equal(recorded(0, 100), 10);
}

static void test_locked(void **unused)
{
    const coord_trail_options options = { .state = state, .plan = &plan };
    coord_trail *t = begin(0, 0), *other;
    df_error err = { 0 };

    (void)unused;
    assert_int_equal(coord_trail_open(&other, &options, 0, &err), DF_AGAIN);
    assert_null(other);
    assert_non_null(strstr(err.text, "another process still writes the record"));
    coord_trail_close(&t);
    t = begin(0, 0);
    coord_trail_close(&t);
}

/* A full disk, as a limit of the file's size: the job goes on, and after the next snapshot so does the record. */
static void test_full(void **unused)
{
    struct rlimit before, limit;
    coord_trail *t = begin(0, 0);

    (void)unused;
    tell_all(t, 0, 1);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)size_of(0) + LINE / 2;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    tell_all(t, 2, 5);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    tell_all(t, 6, 7);
    assert_int_equal(recorded(0, 100), 2);
    coord_trail_sync(t);
    tell_all(t, 8, 9);
    coord_trail_close(&t);
    assert_int_equal(recorded(0, 100), 2);
    assert_int_equal(recorded(8, 100), 2);
    /* A generation that goes back before the hole fills it. */
    run(1, 9, 0);
    assert_int_equal(recorded(0, 100), 10);
}

/* The folder is gone: nothing fails, and what could not be done is told. */
static void test_folder_gone(void **unused)
{
    coord_trail *t = begin(0, 0);
    df_error err = { 0 };

    (void)unused;
    tell_all(t, 0, 1);
    assert_int_equal(coord_state_clear_folder(folder, 0, &err), DF_OK);
    coord_trail_sync(t);
    tell_all(t, 2, 3);
    coord_trail_close(&t);
    coord_trail_drop(state, 100);
}

static void test_open_errors(void **unused)
{
    char longer[DF_PATH_MAX];
    coord_trail_options options = { .state = longer, .plan = &plan };
    uint64_t end;
    coord_trail *t;
    df_error err = { 0 };

    (void)unused;
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(coord_trail_open(&t, &options, 0, &err), DF_ELIMIT);
    assert_null(t);
    assert_int_equal(coord_trail_read(longer, 0, 1, NULL, &end, &err), DF_ELIMIT);
    options.state = "/dev/null";
    assert_int_equal(coord_trail_open(&t, &options, 0, &err), DF_EIO);
    assert_string_equal(err.text, "/dev/null/record: Not a directory");
    assert_null(t);
    assert_int_equal(coord_trail_read("/nowhere/at/all", 0, 1, NULL, &end, &err), DF_END);
}

/* ---- keeping ---- */

static void test_drop(void **unused)
{
    (void)unused;
    run(0, 3, 0);
    run(4, 6, 0);
    run(7, 9, 0);
    coord_trail_drop(state, 3);
    assert_true(size_of(0) > 0);
    coord_trail_drop(state, 4);
    assert_true(size_of(0) < 0 && size_of(4) > 0);
    coord_trail_drop(state, 100);
    assert_true(size_of(4) < 0 && size_of(7) > 0); /* the last one is written on */
    assert_int_equal(recorded(7, 100), 3);
    assert_int_equal(recorded(4, 100), 0);
}

/* ---- copying ---- */

static void copy_is(uint64_t from, uint64_t to, uint64_t first, uint64_t count)
{
    char path[160];
    coord_prints_reader *reader;
    coord_prints_step step;
    uint64_t end;
    df_error err = { 0 };

    snprintf(path, sizeof path, "%s/copy", state);
    assert_int_equal(coord_trail_read(state, from, to, path, &end, &err), DF_OK);
    assert_int_equal(end, from + count);
    if (count == 0)
        return;
    assert_int_equal(coord_prints_open(&reader, coord_prints_file(path, &err), path, &err), DF_OK);
    assert_string_equal(coord_prints_head_of(reader)->job, "flock");
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(coord_prints_next(reader, &step, &err), DF_OK);
        assert_int_equal(step.step, first + i);
        assert_int_equal(step.total.high, first + i);
        assert_int_equal(coord_prints_column(step.fields[0], 1), first + i + 2);
    }
    assert_int_equal(coord_prints_next(reader, &step, &err), DF_END);
    coord_prints_free(&reader);
}

static void test_copy(void **unused)
{
    uint64_t end;
    df_error err = { 0 };

    (void)unused;
    run(0, 20, 4 * LINE);
    append_to(99, "of another kind"); /* no piece of it ends there */
    copy_is(0, 1000, 0, 21);
    copy_is(7, 15, 7, 9);
    copy_is(20, 20, 20, 1);
    copy_is(21, 30, 21, 0);
    assert_int_equal(coord_trail_read(state, 0, 5, "/nowhere/x", &end, &err), DF_EIO);
    assert_string_equal(err.text, "/nowhere/x: No such file or directory");
    assert_int_equal(coord_trail_read(state, 0, 5, "/dev/full", &end, &err), DF_EIO);
    assert_non_null(strstr(err.text, "No space left on device"));
}

/* Where the record changes what it holds (of streams, say), one recording ends. */
static void test_copy_heads(void **unused)
{
    (void)unused;
    run(0, 4, 0);
    plan.job.seed = 8;
    run(5, 8, 0);
    plan.job.seed = 7;
    copy_is(0, 1000, 0, 5);
    copy_is(5, 1000, 5, 4);
}

int main(void)
{
#define TRAIL_TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        TRAIL_TEST(test_pieces),      TRAIL_TEST(test_goes_on), TRAIL_TEST(test_runs_again),
        TRAIL_TEST(test_differs),     TRAIL_TEST(test_torn),    TRAIL_TEST(test_damaged),
        TRAIL_TEST(test_gap),         TRAIL_TEST(test_locked),  TRAIL_TEST(test_full),
        TRAIL_TEST(test_folder_gone), TRAIL_TEST(test_open_errors), TRAIL_TEST(test_drop),
        TRAIL_TEST(test_copy),        TRAIL_TEST(test_copy_heads), TRAIL_TEST(test_other_job),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
