/* Recordings of fingerprints: written, read back, compared, and refused when they are not whole.
 * The text of a recording is written out here by hand, as the format's own oracle. */
#include "coordinator/coord_prints.h"
#include "coordinator/coord_verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A job of one state "birds" (x, y; two key groups) and one operator "fly", whose stream comes first
 * in the list of streams and last in the order of computation. */
static df_stream streams[2] = {
    { .name = "fly", .vertex = 0, .schema = { 1, { { "x", WEIR_F32 } } },
      .partition = { .kind = DF_PART_HASH, .key_groups = 1 } },
    { .name = "birds", .vertex = 1, .schema = { 2, { { "x", WEIR_F32 }, { "y", WEIR_F32 } } },
      .partition = { .kind = DF_PART_HASH, .key_groups = 2 } },
};
static df_vertex vertices[2] = {
    { .name = "fly", .role = DF_OPERATOR, .out_count = 1, .outs = { 0 } },
    { .name = "birds", .role = DF_COMMIT, .out_count = 1, .outs = { 1 } },
};
static df_state states[1] = { { .name = "birds", .vertex = 1, .stream = 1 } };
static uint32_t order[2] = { 1, 0 };
static df_plan plan = {
    .job = { .name = "flock", .seed = 7, .steps = 9 },
    .state_count = 1, .vertex_count = 2, .stream_count = 2,
    .states = states, .vertices = vertices, .streams = streams, .order = order,
    .hash = { 0x0123456789abcdef, 0xfedcba9876543210 },
};

#define HEAD \
    "weir fingerprints 1\njob flock\nseed 7\nplan 0123456789abcdeffedcba9876543210\n" \
    "stream birds 2 id x y\n"
#define STEP0 \
    "0 00000000000000aa00000000000000bb " \
    "111111111111111122222222222222223333333333333333:4444444455555555\n"
#define STEP0_SUMMED \
    "0 00000000000000aa00000000000000bb " \
    "111111111111111122222222222222223333333333333333:4444444455555555 =1ec8ee8a6993efe8\n"
#define STEP1 \
    "1 00000000000000aa00000000000000bb " \
    "111111111111111122222222222222223333333333333333:4444444455555555\n"
#define ALL_HEAD \
    "weir fingerprints 1\njob flock\nseed 7\nplan 0123456789abcdeffedcba9876543210\n" \
    "stream fly 1 id x\nstream birds 2 id x y\n"
#define ALL_STEP0 \
    "0 00000000000000aa00000000000000bb 66666666666666667777777777777777:88888888 " \
    "111111111111111122222222222222223333333333333333:4444444455555555\n"

/* The hashes of a step: what the texts above say, with other low bits that are not recorded. */
typedef struct scene {
    df_hash bird_columns[3], bird_groups[2], fly_columns[2], fly_groups[1];
    df_stream_print streams[2];
    df_step_print step;
} scene;

static void make_scene(scene *s, uint64_t step, bool all)
{
    *s = (scene){
        .bird_columns = { { 0x1111111111111111, 1 }, { 0x2222222222222222, 2 },
                          { 0x3333333333333333, 3 } },
        .bird_groups = { { 0x44444444ffffffff, 4 }, { 0x5555555500000000, 5 } },
        .fly_columns = { { 0x6666666666666666, 6 }, { 0x7777777777777777, 7 } },
        .fly_groups = { { 0x8888888812345678, 8 } },
        .step = { .step = step, .total = { 0xaa, 0xbb }, .stream_count = all ? 2 : 1 },
    };
    s->streams[0] = (df_stream_print){ .stream = 1, .key_groups = 2, .column_count = 3,
                                       .columns = s->bird_columns, .groups = s->bird_groups };
    s->streams[1] = (df_stream_print){ .stream = 0, .key_groups = 1, .column_count = 2,
                                       .columns = s->fly_columns, .groups = s->fly_groups };
    s->step.streams = s->streams;
}

static FILE *text_file(const char *text, size_t size)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, size, "r");

    assert_non_null(file);
    return file;
}

/* ---- writing ---- */

static void written_is(bool all, const char *expected)
{
    char path[] = "/tmp/test_coord_prints_XXXXXX", text[2048] = "";
    coord_prints_writer *writer;
    df_error err = { 0 };
    scene s;
    FILE *file;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(coord_prints_create(&writer, path, &plan, all, &err), DF_OK);
    make_scene(&s, 0, all);
    assert_int_equal(coord_prints_put(writer, &s.step, &err), DF_OK);
    s.step.stream_count = 1;
    s.step.step = 1;
    assert_int_equal(coord_prints_put(writer, &s.step, &err), DF_OK);
    /* Before it is closed: a recording can be followed. */
    file = fopen(path, "r");
    assert_non_null(file);
    fread(text, 1, sizeof text - 1, file);
    fclose(file);
    assert_string_equal(text, expected);
    assert_int_equal(coord_prints_close(&writer, &err), DF_OK);
    assert_null(writer);
    unlink(path);
}

static void test_write(void **state)
{
    (void)state;
    written_is(false, HEAD STEP0 STEP1);
    written_is(true, ALL_HEAD ALL_STEP0
               "1 00000000000000aa00000000000000bb - "
               "111111111111111122222222222222223333333333333333:4444444455555555\n");
}

static void test_write_errors(void **state)
{
    coord_prints_writer *writer;
    df_error err = { 0 };

    (void)state;
    assert_int_equal(coord_prints_create(&writer, "/nowhere/x", &plan, false, &err), DF_EIO);
    assert_string_equal(err.text, "/nowhere/x: No such file or directory");
    assert_null(writer);
    assert_int_equal(coord_prints_create(&writer, "/dev/full", &plan, false, &err), DF_EIO);
    assert_string_equal(err.text, "/dev/full: No space left on device");
    assert_null(writer);
}

/* ---- reading ---- */

static void test_read(void **state)
{
    static const char text[] = ALL_HEAD ALL_STEP0
        "1 ffffffffffffffff0000000000000001 - -\n2 00000000000000000000000000000000 - ";
    coord_prints_reader *reader;
    const coord_prints_head *head;
    coord_prints_step step;
    df_error err = { 0 };

    (void)state;
    assert_int_equal(coord_prints_open(&reader, text_file(text, sizeof text - 1), "r", &err), DF_OK);
    head = coord_prints_head_of(reader);
    assert_string_equal(head->job, "flock");
    assert_int_equal(head->seed, 7);
    assert_true(head->plan.high == 0x0123456789abcdef && head->plan.low == 0xfedcba9876543210);
    assert_int_equal(head->stream_count, 2);
    assert_int_equal(head->streams[1].key_groups, 2);
    assert_int_equal(head->streams[1].column_count, 3);
    assert_string_equal(head->streams[1].columns, "id x y");
    assert_int_equal(coord_prints_next(reader, &step, &err), DF_OK);
    assert_int_equal(step.step, 0);
    assert_true(step.total.high == 0xaa && step.total.low == 0xbb);
    assert_true(coord_prints_column(step.fields[0], 1) == 0x7777777777777777);
    assert_true(coord_prints_column(step.fields[1], 2) == 0x3333333333333333);
    assert_int_equal(coord_prints_group(&head->streams[1], step.fields[1], 1), 0x55555555);
    assert_int_equal(coord_prints_next(reader, &step, &err), DF_OK);
    assert_true(step.total.high == UINT64_MAX && step.total.low == 1);
    assert_null(step.fields[0]);
    /* The last line has no end: its run was killed in the middle of it. */
    assert_int_equal(coord_prints_next(reader, &step, &err), DF_END);
    coord_prints_free(&reader);
    assert_null(reader);
}

/* Read to the end or to the first error; its text. */
static const char *error_of_bytes(const char *text, size_t size)
{
    static df_error err;
    coord_prints_reader *reader;
    coord_prints_step step;
    df_status s;

    err = (df_error){ 0 };
    s = coord_prints_open(&reader, text_file(text, size), "r", &err);
    while (s == DF_OK)
        s = coord_prints_next(reader, &step, &err);
    coord_prints_free(&reader);
    return s == DF_END ? "end" : err.text;
}

static const char *error_of(const char *text)
{
    return error_of_bytes(text, strlen(text));
}

static void test_bad_heads(void **state)
{
    (void)state;
    assert_string_equal(error_of("\n"), "r:1: this is not a recording of fingerprints");
    assert_string_equal(error_of("birds, x, y\n"), "r:1: this is not a recording of fingerprints");
    assert_string_equal(error_of("weir fingerprints 1"),
                        "r:1: the recording ends before its first step");
    assert_string_equal(error_of("weir fingerprints x\n"),
                        "r:1: this is not a recording of fingerprints");
    assert_string_equal(error_of("weir fingerprints 2\n"),
                        "r:1: this recording has a format that this weir does not know");
    assert_string_equal(error_of("weir fingerprints 1\nseed 1\n"),
                        "r:2: expected \"job\" and its name");
    assert_string_equal(error_of("weir fingerprints 1\njob \n"),
                        "r:2: expected \"job\" and its name");
    assert_string_equal(error_of("weir fingerprints 1\njob a\nseed -1\n"),
                        "r:3: expected \"seed\" and a whole number");
    assert_string_equal(error_of("weir fingerprints 1\njob a\nseed 01\n"),
                        "r:3: expected \"seed\" and a whole number");
    assert_string_equal(error_of("weir fingerprints 1\njob a\nseed 18446744073709551616\n"),
                        "r:3: expected \"seed\" and a whole number");
    assert_string_equal(error_of("weir fingerprints 1\njob a\nseed 18446744073709551615\nplan 1\n"),
                        "r:4: expected \"plan\" and 32 hexadecimal digits");
    assert_string_equal(error_of("weir fingerprints 1\njob a\nseed 1\n"
                                 "plan 0123456789ABCDEF0123456789ABCDEF\n"),
                        "r:4: expected \"plan\" and 32 hexadecimal digits");
}

static void stream_is_wrong(const char *line)
{
    char text[16384];

    snprintf(text, sizeof text, "weir fingerprints 1\njob a\nseed 1\n"
             "plan 0123456789abcdef0123456789abcdef\n%s\n", line);
    assert_string_equal(error_of(text),
                        "r:5: expected \"stream\", its name, key groups and columns");
}

static void test_bad_streams(void **state)
{
    char long_name[300], many[16000] = "stream s 1 id";

    (void)state;
    stream_is_wrong("stream birds");
    stream_is_wrong("stream birds 2");
    stream_is_wrong("stream birds 2 ");
    stream_is_wrong("stream birds 0 id");
    stream_is_wrong("stream birds 65537 id");
    stream_is_wrong("stream  2 id");
    stream_is_wrong("stream birds 2  id");
    stream_is_wrong("stream birds 2 id  x");
    stream_is_wrong("stream birds 2 id x ");
    stream_is_wrong("streams birds 2 id");
    stream_is_wrong("0 00000000000000aa00000000000000bb");
    memset(long_name, 'n', sizeof long_name);
    memcpy(long_name, "stream ", 7);
    strcpy(long_name + 7 + COORD_PRINTS_NAME_MAX, " 1 id");
    stream_is_wrong(long_name);
    for (int i = 0; i < WEIR_COLUMNS_MAX + 1; i++)
        strcat(many, " x");
    stream_is_wrong(many);
    assert_string_equal(error_of(HEAD "stream birds 2 id\n"), "r:6: this stream was there before");
}

static void test_bad_steps(void **state)
{
    (void)state;
    assert_string_equal(error_of(HEAD), "end");
    assert_string_equal(error_of(HEAD STEP0 STEP1), "end");
    assert_string_equal(error_of(HEAD STEP0 STEP0),
                        "r:7: holds step 0 where step 1 should be");
    assert_string_equal(error_of(HEAD "\n"), "r:6: expected a step");
    assert_string_equal(error_of(HEAD " \n"), "r:6: expected a step");
    assert_string_equal(error_of(HEAD "x\n"), "r:6: expected a step");
    assert_string_equal(error_of(HEAD "1099511627777\n"), "r:6: expected a step");
    assert_string_equal(error_of(HEAD "0\n"),
                        "r:6: expected the step's fingerprint, 32 hexadecimal digits");
    assert_string_equal(error_of(HEAD "0 xx\n"),
                        "r:6: expected the step's fingerprint, 32 hexadecimal digits");
    assert_string_equal(error_of(HEAD "0 00000000000000aa00000000000000bb\n"),
                        "r:6: a stream's fingerprints are missing or have a wrong length");
    assert_string_equal(error_of(HEAD "0 00000000000000aa00000000000000bb \n"),
                        "r:6: a stream's fingerprints are missing or have a wrong length");
    assert_string_equal(error_of(HEAD "0 00000000000000aa00000000000000bb -- \n"),
                        "r:6: a stream's fingerprints are missing or have a wrong length");
    assert_string_equal(error_of(HEAD "0 00000000000000aa00000000000000bb - -\n"),
                        "r:6: there is more on the line than the streams' fingerprints");
    assert_string_equal(error_of_bytes(HEAD "0\0", sizeof HEAD "0\0" - 1),
                        "r:6: a zero byte: this is not a recording of fingerprints");
}

/* No byte of a step's line is skipped; and a file cut anywhere is an error, or ends before the step
 * that is not whole. */
static void test_every_byte(void **state)
{
    size_t head = strlen(HEAD), size = strlen(HEAD STEP0);

    (void)state;
    for (size_t i = head; i + 1 < size; i++) {
        char text[] = HEAD STEP0;

        text[i] = 'g';
        assert_non_null(strstr(error_of(text), "r:6: "));
    }
    for (size_t i = 1; i <= size; i++)
        assert_int_equal(strcmp(error_of_bytes(HEAD STEP0, i), "end") == 0, i >= head);
}

static void test_long_line(void **state)
{
    size_t size = strlen(HEAD) + 1000000;
    char *text = malloc(size);

    (void)state;
    memset(text, '0', size);
    memcpy(text, HEAD, strlen(HEAD));
    assert_string_equal(error_of_bytes(text, size), "r:6: the line is too long");
    memset(text, 'x', size);
    assert_string_equal(error_of_bytes(text, size), "r:1: the line is too long");
    free(text);
}

/* ---- comparing ---- */

static coord_verify *verify_of(const char *text, bool all)
{
    coord_verify *verify;
    df_error err = { 0 };

    assert_int_equal(coord_verify_open(&verify, text_file(text, strlen(text)), "r", &plan, all, &err),
                     DF_OK);
    return verify;
}

/* Why a recording is refused for this job. */
static const char *not_ours(const char *text, bool all)
{
    static df_error err;
    coord_verify *verify;

    err = (df_error){ 0 };
    assert_int_not_equal(coord_verify_open(&verify, text_file(text, strlen(text)), "r", &plan, all,
                                           &err), DF_OK);
    assert_null(verify);
    return err.text;
}

static void test_other_jobs(void **state)
{
    (void)state;
    assert_string_equal(not_ours("weir fingerprints 1\njob melt\nseed 7\n"
                                 "plan 0123456789abcdeffedcba9876543210\nstream birds 2 id x y\n", false),
                        "r belongs to another job: it is of job \"melt\", this is \"flock\"");
    assert_string_equal(not_ours("weir fingerprints 1\njob flock\nseed 8\n"
                                 "plan 0123456789abcdeffedcba9876543210\nstream birds 2 id x y\n", false),
                        "r belongs to another job: its seed is 8, here it is 7");
    assert_string_equal(not_ours("weir fingerprints 1\njob flock\nseed 7\n"
                                 "plan 0123456789abcdeffedcba9876543210\nstream birds 4 id x y\n", false),
                        "r belongs to another job: its \"birds\" has 4 key groups, here it has 2");
    assert_string_equal(not_ours("weir fingerprints 1\njob flock\nseed 7\n"
                                 "plan 0123456789abcdeffedcba9876543210\nstream birds 2 id x\n", false),
                        "r belongs to another job: its \"birds\" has columns id x, here they are id x y");
    assert_string_equal(not_ours("weir fingerprints 1\njob flock\nseed 7\n"
                                 "plan 1123456789abcdeffedcba9876543210\nstream birds 2 id x y\n", false),
                        "r belongs to another job: its plan is 1123456789abcdeffedcba9876543210, here it "
                        "is 0123456789abcdeffedcba9876543210 (an operator or a parameter differs)");
    assert_string_equal(not_ours("weir fingerprints 1\njob flock\nseed 7\n"
                                 "plan 0123456789abcdeffedcba9876543210\nstream fly 1 id x\n", false),
                        "r holds no stream of this run");
    assert_string_equal(not_ours("?\n", false), "r:1: this is not a recording of fingerprints");
}

/* What comparing one changed step says. */
static const char *difference(const char *text, bool all, const scene *changed)
{
    static df_error err;
    coord_verify *verify = verify_of(text, all);
    df_status s;

    err = (df_error){ 0 };
    s = coord_verify_step(verify, &changed->step, &err);
    assert_int_equal(coord_verify_count(verify), s == DF_OK);
    coord_verify_close(&verify);
    assert_null(verify);
    return s == DF_OK ? "same" : err.text;
}

static void test_same(void **state)
{
    scene s;

    (void)state;
    make_scene(&s, 0, false);
    assert_string_equal(difference(HEAD STEP0, false, &s), "same");
    make_scene(&s, 0, true);
    assert_string_equal(difference(ALL_HEAD ALL_STEP0, true, &s), "same");
    /* One side has fingerprinted more than the other: what both have is compared. */
    assert_string_equal(difference(HEAD STEP0, true, &s), "same");
    make_scene(&s, 0, false);
    assert_string_equal(difference(ALL_HEAD ALL_STEP0, false, &s), "same");
}

static void test_differences(void **state)
{
    scene s;

    (void)state;
    make_scene(&s, 0, false);
    s.bird_columns[2].high ^= 1;
    s.bird_groups[1].high ^= 1ull << 32;
    assert_string_equal(difference(HEAD STEP0, false, &s),
                        "step 0 differs from r: state \"birds\", key group 1 (1 of 2), column y");
    s.bird_columns[0].high ^= 1ull << 63;
    s.bird_groups[0].high ^= 1ull << 63;
    assert_string_equal(difference(HEAD STEP0, false, &s),
                        "step 0 differs from r: state \"birds\", key groups 0 1 (2 of 2), columns id y");
    make_scene(&s, 0, false);
    s.step.total.low ^= 1;
    assert_string_equal(difference(HEAD STEP0, false, &s), "step 0 differs from r: the states' total, "
                        "though no recorded part of it");
}

/* With all streams the first in the order of computation is named: the state that entered, else the
 * operator that began it. */
static void test_first_stream(void **state)
{
    scene s;

    (void)state;
    make_scene(&s, 0, true);
    s.fly_columns[1].high ^= 1;
    s.fly_groups[0].high ^= 1ull << 40;
    assert_string_equal(difference(ALL_HEAD ALL_STEP0, true, &s),
                        "step 0 differs from r: operator \"fly\", key group 0 (1 of 1), column x");
    s.bird_columns[1].high ^= 1;
    s.bird_groups[0].high ^= 1ull << 40;
    assert_string_equal(difference(ALL_HEAD ALL_STEP0, true, &s),
                        "step 0 differs from r: state \"birds\", key group 0 (1 of 2), column x");
    make_scene(&s, 0, true);
    s.step.stream_count = 1;
    assert_string_equal(difference(ALL_HEAD ALL_STEP0, true, &s),
                        "step 0 differs from r: operator \"fly\" has nothing here");
    /* ... but at the run's last step an operator that feeds no sink does not run. */
    plan.job.steps = 0;
    assert_string_equal(difference(ALL_HEAD ALL_STEP0, true, &s), "same");
    plan.job.steps = 9;
}

static void test_steps(void **state)
{
    coord_verify *verify = verify_of(HEAD STEP0 STEP1 "2 00", false);
    df_error err = { 0 };
    scene s;

    (void)state;
    make_scene(&s, 0, false);
    assert_int_equal(coord_verify_step(verify, &s.step, &err), DF_OK);
    make_scene(&s, 1, false);
    assert_int_equal(coord_verify_step(verify, &s.step, &err), DF_OK);
    make_scene(&s, 2, false);
    assert_int_equal(coord_verify_step(verify, &s.step, &err), DF_ECORRUPT);
    assert_string_equal(err.text, "r: the recording ends at step 1, before the run");
    assert_int_equal(coord_verify_count(verify), 2);
    coord_verify_close(&verify);
    make_scene(&s, 0, false);
    assert_string_equal(difference(HEAD, false, &s), "r holds no steps");
    assert_string_equal(difference(HEAD STEP1, false, &s),
                        "r: the recording begins at step 1, the run at step 0");
}

/* Each line with its sum, which is an XXH3-128's high word; the values were computed by xxhsum. */
static void test_sums(void **state)
{
    char path[] = "/tmp/test_coord_prints_XXXXXX", text[2048] = "";
    coord_prints_writer *writer;
    df_error err = { 0 };
    scene s;
    FILE *file;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(coord_prints_create(&writer, path, &plan, false, &err), DF_OK);
    coord_prints_sum(writer);
    make_scene(&s, 0, false);
    assert_int_equal(coord_prints_put(writer, &s.step, &err), DF_OK);
    assert_int_equal(coord_prints_size(writer), sizeof HEAD - 1 + sizeof STEP0 - 1 + COORD_PRINTS_SUM_SIZE);
    assert_int_equal(coord_prints_close(&writer, &err), DF_OK);
    file = fopen(path, "r");
    assert_non_null(file);
    fread(text, 1, sizeof text - 1, file);
    fclose(file);
    unlink(path);
    assert_string_equal(text, HEAD STEP0_SUMMED);
    assert_string_equal(error_of(text), "end");
    assert_string_equal(difference(text, false, &s), "same");
    /* Every digit of the line, and of the sum. */
    for (size_t i = sizeof HEAD - 1; text[i] != '\n'; i++)
        if (text[i] == '0' || text[i] == '1') {
            text[i] ^= 1;
            assert_string_equal(error_of(text), "r:6: the line was damaged: it is not what was written");
            text[i] ^= 1;
        }
    text[strlen(text) - 2] = 'x';
    assert_string_equal(error_of(text), "r:6: the line was damaged: it is not what was written");
}

static void test_seek(void **state)
{
    static const char text[] = HEAD STEP0 STEP1 "2 00";
    coord_prints_reader *reader;
    coord_prints_step step;
    df_error err = { 0 };

    (void)state;
    assert_int_equal(coord_prints_open(&reader, text_file(text, sizeof text - 1), "r", &err), DF_OK);
    assert_int_equal(coord_prints_offset(reader), sizeof HEAD - 1);
    assert_int_equal(coord_prints_seek(reader, 0, &err), DF_OK);
    assert_int_equal(coord_prints_offset(reader), sizeof HEAD - 1);
    assert_int_equal(coord_prints_seek(reader, 1, &err), DF_OK);
    assert_int_equal(coord_prints_offset(reader), sizeof HEAD STEP0 - 1);
    assert_int_equal(coord_prints_next(reader, &step, &err), DF_OK);
    assert_int_equal(step.step, 1);
    assert_int_equal(coord_prints_offset(reader), sizeof HEAD STEP0 STEP1 - 1);
    assert_int_equal(coord_prints_seek(reader, 2, &err), DF_END);
    coord_prints_free(&reader);
    /* What is passed over is looked at, too. */
    assert_int_equal(coord_prints_open(&reader, text_file(HEAD "0 x\n" STEP1, sizeof HEAD - 1 + 4 + sizeof STEP1 - 1),
                                       "r", &err), DF_OK);
    assert_int_equal(coord_prints_seek(reader, 1, &err), DF_ECORRUPT);
    assert_string_equal(err.text, "r:6: expected the step's fingerprint, 32 hexadecimal digits");
    coord_prints_free(&reader);
}

static void test_verify_seek(void **state)
{
    coord_verify *verify = verify_of(HEAD STEP0 STEP1, false);
    df_error err = { 0 };
    scene s;

    (void)state;
    make_scene(&s, 1, false);
    assert_int_equal(coord_verify_seek(verify, 1, &err), DF_OK);
    assert_int_equal(coord_verify_step(verify, &s.step, &err), DF_OK);
    assert_int_equal(coord_verify_count(verify), 2);
    coord_verify_close(&verify);
    /* A recording that begins in the middle of a run. */
    verify = verify_of(HEAD STEP1, false);
    assert_int_equal(coord_verify_seek(verify, 1, &err), DF_OK);
    assert_int_equal(coord_verify_step(verify, &s.step, &err), DF_OK);
    coord_verify_close(&verify);
    verify = verify_of(HEAD STEP0, false);
    assert_int_equal(coord_verify_seek(verify, 2, &err), DF_ECORRUPT);
    assert_string_equal(err.text, "r: the recording ends before step 2");
    coord_verify_close(&verify);
}

/* A message with many key groups and long names is cut, not overrun. */
static void test_many_groups(void **state)
{
    static char text[8192], field[4096];
    static df_hash groups[100], columns[3];
    coord_verify *verify;
    df_stream_print print = { .stream = 1, .key_groups = 100, .column_count = 3, .columns = columns,
                              .groups = groups };
    df_step_print step = { .step = 0, .stream_count = 1, .streams = &print };
    df_error err = { 0 };

    (void)state;
    for (int i = 0; i < 48 + 800; i++)
        field[i] = '1';
    memmove(field + 49, field + 48, 800);
    field[48] = ':';
    snprintf(text, sizeof text, "weir fingerprints 1\njob flock\nseed 7\n"
             "plan 0123456789abcdeffedcba9876543210\nstream birds 100 id x y\n"
             "0 00000000000000000000000000000000 %s\n", field);
    streams[1].partition.key_groups = 100;
    verify = verify_of(text, false);
    assert_int_equal(coord_verify_step(verify, &step, &err), DF_ECORRUPT);
    assert_string_equal(err.text, "step 0 differs from r: state \"birds\", key groups 0 1 2 3 4 5 6 7 "
                        "... (100 of 100), columns id x y");
    coord_verify_close(&verify);
    streams[1].partition.key_groups = 2;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),        cmocka_unit_test(test_write_errors),
        cmocka_unit_test(test_read),         cmocka_unit_test(test_bad_heads),
        cmocka_unit_test(test_bad_streams),  cmocka_unit_test(test_bad_steps),
        cmocka_unit_test(test_every_byte),   cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_other_jobs),   cmocka_unit_test(test_same),
        cmocka_unit_test(test_differences),  cmocka_unit_test(test_first_stream),
        cmocka_unit_test(test_steps),        cmocka_unit_test(test_many_groups),
        cmocka_unit_test(test_sums),         cmocka_unit_test(test_seek),
        cmocka_unit_test(test_verify_seek),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
