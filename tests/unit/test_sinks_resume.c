/* Sinks that go on after a restart: killed at every call that changes a file, gone on from the last
 * mark that was synced, compared byte by byte with a run that nothing happened to. */
#include "tests/support/sink_crash.h"

extern const weir_operator op_print, op_null;

#define MARKS (1u << 1 | 1u << 4 | 1u << 5 | 1u << 9)

static void csv_goes_on(void **unused)
{
    const scene s = { .kind = &op_csv_sink, .file = "rows.csv", .marks = MARKS, .grows = true };

    (void)unused;
    killed_at_every_call(&s, 1, 20);
}

static void hdf5_goes_on(void **unused)
{
    const scene s = { .kind = &op_hdf5, .file = "rows.h5", .marks = MARKS };

    (void)unused;
    killed_at_every_call(&s, 4, 100);
}

/* Its last rows come after the last mark, and its name has no ending. */
static void hdf5_goes_on_to_its_close(void **unused)
{
    const scene s = { .kind = &op_hdf5, .file = "rows", .marks = 1u << 1 };

    (void)unused;
    killed_at_every_call(&s, 2, 100);
}

static void png_goes_on(void **unused)
{
    const scene s = { .kind = &op_png, .file = "at-{step}.png", .marks = MARKS };
    const scene newest = { .kind = &op_png, .file = "now.png", .marks = MARKS, .replaces = true };

    (void)unused;
    killed_at_every_call(&s, STEPS, 20);
    killed_at_every_call(&newest, 1, 20);
}

/* Snapshots come at other steps after the restart than before, also within a segment that is there:
 * no segment changes or goes away, and every row is there once. */
static void hdf5_goes_on_with_other_marks(void **unused)
{
    scene s = { .kind = &op_hdf5, .file = "rows.h5", .marks = 1u << 1 | 1u << 5 };
    snapshot early = { 0 };

    (void)unused;
    empty_folder("out");
    *shared = early;
    assert_int_equal(run_child(&s, "out", 2, LONG_MAX), CRASH_EXIT);
    early = *shared;
    assert_int_equal(early.next, 2);
    assert_int_equal(run_child(&s, "out", 8, LONG_MAX), CRASH_EXIT); /* publishes 2..5 */
    assert_int_equal(access(in_folder("out", "rows-000000000006.h5"), F_OK), 0);
    empty_folder("whole");
    assert_int_equal(system("cp $WEIR_TEST_FOLDER/out/rows*.h5 $WEIR_TEST_FOLDER/whole"), 0);
    *shared = early; /* but its snapshot was not committed */
    s.marks = 1u << 3;
    assert_int_equal(run_child(&s, "out", 5, LONG_MAX), CRASH_EXIT); /* a mark within 2..5 */
    assert_int_equal(shared->next, 4);
    assert_int_equal(files_are_of("out", "whole", false, false), 2);
    s.marks = 1u << 4 | 1u << 7;
    assert_int_equal(run_child(&s, "out", STEPS, LONG_MAX), 0);
    files_are_of("whole", "out", false, false);
    /* 0..1, 2..5 as before; 6..7 by the mark; 8..9 by the close. */
    empty_folder("whole");
    s.marks = 1u << 1 | 1u << 5 | 1u << 7;
    *shared = (snapshot){ 0 };
    assert_int_equal(run_child(&s, "whole", STEPS, LONG_MAX), 0);
    assert_int_equal(files_are_of("out", "whole", false, true), 4);
}

/* The steps behind the mark give other rows than before the restart. */
static void another_run_is_refused(void **unused)
{
    scene s[2] = { { .kind = &op_csv_sink, .file = "rows.csv", .marks = 1u << 1 | 1u << 5 },
                   { .kind = &op_hdf5, .file = "rows.h5", .marks = 1u << 1 | 1u << 5 } };

    (void)unused;
    for (int i = 0; i < 2; i++) {
        snapshot early;
        options o;
        run r;
        empty_folder("out");
        *shared = (snapshot){ 0 };
        assert_int_equal(run_child(&s[i], "out", 2, LONG_MAX), CRASH_EXIT);
        early = *shared;
        assert_int_equal(run_child(&s[i], "out", 8, LONG_MAX), CRASH_EXIT);
        fill(&s[i], &o);
        assert_int_equal(run_plan(&r, s[i].kind, &o, &schema_birds), WEIR_OK);
        assert_int_equal(run_resume(&r, in_folder("out", ""), NULL, &early.mark), WEIR_OK);
        s[i].shift = 1;
        assert_int_equal(one_step(&s[i], &r, 2), WEIR_FAILED);
        assert_non_null(strstr(fake_failure, "this is not the output of the same run"));
        (void)run_close(&r);
    }
}

/* ---- every kind ---- */

static const scene every_kind[] = {
    { .kind = &op_csv_sink, .file = "one.csv" },
    { .kind = &op_hdf5, .file = "one.h5" },
    { .kind = &op_png, .file = "one.png" },
};

static void start(const scene *s, run *r, options *o)
{
    fill(s, o);
    assert_int_equal(run_plan(r, s->kind, o, &schema_birds), WEIR_OK);
    if (run_open(r, in_folder("out", ""), NULL) != WEIR_OK)
        fail_msg("%s", r->sink.error);
}

static void one_sink_per_file(void **unused)
{
    (void)unused;
    empty_folder("out");
    for (int i = 0; i < 3; i++) {
        options o;
        run first, second;
        start(&every_kind[i], &first, &o);
        assert_int_equal(run_plan(&second, every_kind[i].kind, &o, &schema_birds), WEIR_OK);
        assert_int_equal(run_open(&second, in_folder("out", ""), NULL), WEIR_FAILED);
        assert_non_null(strstr(second.sink.error, "another sink of this process is writing it"));
        assert_int_equal(run_close(&first), WEIR_OK);
        assert_int_equal(run_open(&second, in_folder("out", ""), NULL), WEIR_OK);
        assert_int_equal(run_close(&second), WEIR_OK);
    }
}

static void a_failed_sync_is_final(void **unused)
{
    (void)unused;
    empty_folder("out");
    for (int i = 0; i < 3; i++) {
        const weir_operator *kind = every_kind[i].kind;
        weir_mark mark;
        options o;
        run r;
        start(&every_kind[i], &r, &o);
        assert_int_equal(one_step(&every_kind[i], &r, 0), WEIR_OK);
        assert_int_equal(kind->mark(&r.sink, &mark), WEIR_OK);
        crash_sync_error = EIO;
        assert_int_equal(kind->sync(&r.sink), WEIR_FAILED);
        crash_sync_error = 0;
        assert_non_null(strstr(r.sink.error, "Input/output error"));
        assert_int_equal(kind->sync(&r.sink), WEIR_FAILED);
        assert_int_equal(one_step(&every_kind[i], &r, 1), WEIR_FAILED);
        assert_int_equal(kind->mark(&r.sink, &mark), WEIR_FAILED);
        assert_int_equal(run_close(&r), WEIR_FAILED);
        assert_null(r.sink.handle);
    }
    assert_int_equal(access(in_folder("out", "one.h5"), F_OK), -1); /* not durable: not published */
}

typedef struct syncing {
    const weir_operator *kind;
    weir_sink *sink;
    weir_status status;
} syncing;

static void *sync_thread(void *user)
{
    syncing *s = user;

    s->status = s->kind->sync(s->sink);
    return NULL;
}

/* A sync runs while the next steps are written. */
static void syncs_beside_the_next_steps(void **unused)
{
    static const char *const files[] = { "one.csv", "one.h5", "{step}.png" };

    (void)unused;
    empty_folder("out");
    for (int i = 0; i < 3; i++) {
        scene s = every_kind[i];
        weir_mark mark;
        options o;
        run r;
        s.file = files[i];
        start(&s, &r, &o);
        for (uint32_t step = 0; step < 60; step += 20) {
            syncing beside = { .kind = s.kind, .sink = &r.sink, .status = WEIR_FAILED };
            pthread_t thread;
            assert_int_equal(s.kind->mark(&r.sink, &mark), WEIR_OK);
            assert_int_equal(pthread_create(&thread, NULL, sync_thread, &beside), 0);
            for (uint32_t n = 0; n < 20; n++) /* more pictures than may wait for a sync */
                assert_int_equal(one_step(&s, &r, step + n), WEIR_OK);
            assert_int_equal(pthread_join(thread, NULL), 0);
            assert_int_equal(beside.status, WEIR_OK);
        }
        assert_int_equal(run_close(&r), WEIR_OK);
    }
    /* 60 pictures, one.csv, and a segment for each mark but the first, which came before any
     * step. */
    assert_int_equal(files_are_of("out", "out", false, true), 60 + 1 + 3);
}

/* A mark that is cut or has a flipped bit is refused, or can be gone on from; nothing crashes. */
static void odd_marks(void **unused)
{
    (void)unused;
    empty_folder("out");
    for (int i = 0; i < 3; i++) {
        const weir_operator *kind = every_kind[i].kind;
        weir_mark mark;
        options o;
        run r;
        start(&every_kind[i], &r, &o);
        assert_int_equal(one_step(&every_kind[i], &r, 0), WEIR_OK);
        assert_int_equal(kind->mark(&r.sink, &mark), WEIR_OK);
        assert_int_equal(kind->sync(&r.sink), WEIR_OK);
        assert_int_equal(run_close(&r), WEIR_OK);
        for (uint32_t bit = 0; bit <= mark.size * 8; bit++) {
            weir_mark odd = mark;
            if (bit < mark.size * 8)
                odd.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            else
                odd.size = WEIR_MARK_MAX + 1;
            if (run_resume(&r, in_folder("out", ""), NULL, &odd) == WEIR_OK)
                assert_int_equal(run_close(&r), WEIR_OK);
        }
        while (mark.size > 0) {
            mark.size--;
            assert_int_equal(run_resume(&r, in_folder("out", ""), NULL, &mark), WEIR_FAILED);
            assert_non_null(strstr(r.sink.error, "the snapshot holds no mark"));
        }
    }
}

/* What promises nothing has neither function, and says so. */
static void print_and_null_promise_nothing(void **unused)
{
    (void)unused;
    assert_true(op_print.mark == NULL && op_print.sync == NULL);
    assert_non_null(strstr(op_print.help, "after a restart"));
    assert_true(op_null.mark == NULL && op_null.sync == NULL);
    assert_non_null(strstr(op_null.help, "promise nothing"));
}

/* A new run replaces what an older one has left, its later segments too, and nobody else's
 * files. */
static void a_new_run_replaces_the_old_segments(void **unused)
{
    scene s = { .kind = &op_hdf5, .file = "rows.h5", .marks = MARKS };
    static const char *const others[] = {
        "rows-20240101.h5", "rows-000000000001.h5.old", "rows-00000000000x.h5",
        "arrows-000000000001.h5",
    };

    (void)unused;
    assert_int_equal(make_reference(&s), 4);
    for (int i = 0; i < 4; i++) {
        FILE *f = fopen(in_folder("whole", others[i]), "wb");
        assert_non_null(f);
        fclose(f);
    }
    s.marks = 0;
    *shared = (snapshot){ 0 };
    assert_int_equal(run_child(&s, "whole", 3, LONG_MAX), CRASH_EXIT);
    assert_int_equal(access(in_folder("whole", "rows.h5"), F_OK), -1);
    assert_int_equal(access(in_folder("whole", ".rows.h5.part"), F_OK), 0);
    assert_int_equal(run_child(&s, "whole", STEPS, LONG_MAX), 0);
    assert_int_equal(files_are_of("whole", "whole", false, true), 5); /* rows.h5 and the others */
    assert_int_equal(access(in_folder("whole", "rows.h5"), F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_goes_on),
        cmocka_unit_test(hdf5_goes_on),
        cmocka_unit_test(hdf5_goes_on_to_its_close),
        cmocka_unit_test(png_goes_on),
        cmocka_unit_test(hdf5_goes_on_with_other_marks),
        cmocka_unit_test(another_run_is_refused),
        cmocka_unit_test(one_sink_per_file),
        cmocka_unit_test(a_failed_sync_is_final),
        cmocka_unit_test(syncs_beside_the_next_steps),
        cmocka_unit_test(odd_marks),
        cmocka_unit_test(print_and_null_promise_nothing),
        cmocka_unit_test(a_new_run_replaces_the_old_segments),
    };
    return cmocka_run_group_tests(tests, set_up, remove_folder);
}
