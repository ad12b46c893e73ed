/* Sinks that go on after a restart: killed at every call that changes a file, gone on from the last
 * mark that was synced, compared byte by byte with a run that nothing happened to. */
#include "tests/support/crash_spy.h"
#include "tests/support/sink_run.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern const weir_operator op_csv_sink, op_hdf5, op_png, op_print, op_null;

#define STEPS 10 /* that are handed to the sink: 0, 3, 6, ... */
#define EVERY 3

/* What the engine's snapshot would hold. */
typedef struct snapshot {
    bool taken;
    uint32_t next; /* step */
    weir_mark mark;
} snapshot;

typedef struct scene {
    const weir_operator *kind;
    const char *file;
    uint32_t marks;   /* bit s: a mark behind step s */
    bool grows;       /* a file that a reader sees may be the beginning of the final one */
    bool replaces;    /* ... or an older one */
    float shift;      /* of the values: another run */
} scene;

static snapshot *shared; /* with the children */

static const char *in_folder(const char *sub, const char *file)
{
    static char path[2][512];
    static int turn;

    turn = !turn;
    (void)snprintf(path[turn], sizeof(path[turn]), "%s/%s%s%s", folder, sub, *file ? "/" : "", file);
    return path[turn];
}

static void fill(const scene *s, options *o)
{
    static const char *const plot[] = { "x", "energy" };
    uint32_t size = 64, compress = 1;

    memset(o, 0, sizeof(*o));
    set_text(s->kind, o, "file", s->file);
    if (s->kind == &op_hdf5)
        set_option(s->kind, o, "compress", &compress, sizeof(compress));
    if (s->kind != &op_png)
        return;
    set_names(s->kind, o, "plot", 2, plot);
    set_option(s->kind, o, "width", &size, sizeof(size));
    set_option(s->kind, o, "height", &size, sizeof(size));
}

/* In step 2 more rows than a buffer of the csv sink holds; else a few. */
static weir_status one_step(const scene *s, run *r, uint32_t step)
{
    weir_batch *batches[2] = { birds(step, step == 2 ? 10000 : 5), birds(100 + step, step % 3) };

    ((float *)batches[0]->columns[0])[1] += s->shift;
    weir_status status = run_step(r, (uint64_t)step * EVERY, 2, batches);
    fake_batch_free(batches[0]);
    fake_batch_free(batches[1]);
    return status;
}

static _Noreturn void complain(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    _exit(1);
}

/* The life of one process, from the snapshot (or anew) up to `until`; it leaves through _exit. */
static _Noreturn void live(const scene *s, const char *sub, uint32_t until)
{
    snapshot begin = *shared;
    options o;
    run r;

    fill(s, &o);
    if (run_plan(&r, s->kind, &o, &schema_birds) != WEIR_OK)
        complain("plan", r.plan.errors);
    if (run_resume(&r, in_folder(sub, ""), NULL, begin.taken ? &begin.mark : NULL) != WEIR_OK)
        complain("open", r.sink.error);
    for (uint32_t i = begin.taken ? begin.next : 0; i < until; i++) {
        snapshot now = { .taken = true, .next = i + 1 };
        if (one_step(s, &r, i) != WEIR_OK)
            complain("process", fake_failure);
        if ((s->marks >> i & 1) == 0)
            continue;
        if (s->kind->mark(&r.sink, &now.mark) != WEIR_OK)
            complain("mark", r.sink.error);
        if (s->kind->sync(&r.sink) != WEIR_OK)
            complain("sync", r.sink.error);
        *shared = now;
    }
    if (until < STEPS)
        _exit(CRASH_EXIT);
    if (run_close(&r) != WEIR_OK)
        complain("close", r.sink.error);
    _exit(0);
}

/* Returns the exit status of a process that is killed after `calls` calls. */
static int run_child(const scene *s, const char *sub, uint32_t until, long calls)
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        crash_after = calls;
        live(s, sub, until);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void empty_folder(const char *sub)
{
    DIR *d = opendir(in_folder(sub, ""));
    struct dirent *e;

    if (d == NULL) {
        assert_int_equal(mkdir(in_folder(sub, ""), 0777), 0);
        return;
    }
    while ((e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
    closedir(d);
}

static size_t slurp(const char *path, char *bytes, size_t size)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    if (f == NULL)
        fail_msg("%s is missing", path);
    n = fread(bytes, 1, size, f);
    fclose(f);
    assert_true(n < size);
    return n;
}

/* Every file of `sub` is one of `whole`, or the beginning of one. Returns how many. */
static uint32_t files_are_of(const char *sub, const char *whole, bool grows, bool hidden_too)
{
    static char found[1 << 20], expected[1 << 20];
    DIR *d = opendir(in_folder(sub, ""));
    uint32_t count = 0;
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        size_t n, m;
        bool hidden = e->d_name[0] == '.' || strstr(e->d_name, ".part") != NULL;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || (hidden && !hidden_too))
            continue;
        n = slurp(in_folder(sub, e->d_name), found, sizeof(found));
        m = slurp(in_folder(whole, e->d_name), expected, sizeof(expected));
        if (n > m || (n < m && !grows) || memcmp(found, expected, n) != 0)
            fail_msg("%s/%s is not what it should be", sub, e->d_name);
        count++;
    }
    closedir(d);
    return count;
}

/* The output of an undisturbed process. */
static uint32_t make_reference(const scene *s)
{
    empty_folder("whole");
    *shared = (snapshot){ 0 };
    assert_int_equal(run_child(s, "whole", STEPS, LONG_MAX), 0);
    return files_are_of("whole", "whole", false, true);
}

/* Kill at every call; after every 7th a second time, soon after the restart. */
static void killed_at_every_call(const scene *s, uint32_t files, long calls_least)
{
    int status = CRASH_EXIT;
    long calls;

    assert_int_equal(make_reference(s), files);
    for (calls = 0; status == CRASH_EXIT; calls++) {
        empty_folder("out");
        *shared = (snapshot){ 0 };
        status = run_child(s, "out", STEPS, calls);
        if (!s->replaces)
            files_are_of("out", "whole", s->grows, false);
        if (status == CRASH_EXIT && calls % 7 == 0) {
            assert_in_range(run_child(s, "out", STEPS, calls / 7), 0, CRASH_EXIT);
            if (!s->replaces)
                files_are_of("out", "whole", s->grows, false);
        }
        if (status == CRASH_EXIT)
            assert_int_equal(run_child(s, "out", STEPS, LONG_MAX), 0);
        assert_int_equal(files_are_of("out", "whole", false, true), files);
    }
    assert_int_equal(status, 0);
    assert_true(calls > calls_least);
}

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
    /* 60 pictures, one.csv, and a segment for each mark but the first, which came before any step. */
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

/* A new run replaces what an older one has left, its later segments too, and nobody else's files. */
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

static int set_up(void **unused)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || make_folder(unused) != 0)
        return -1;
    return setenv("WEIR_TEST_FOLDER", folder, 1);
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
