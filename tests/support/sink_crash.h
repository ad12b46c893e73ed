/* A file sink in processes that are killed and started again. Include it in one .c of a test program. */
#ifndef SINK_CRASH_H
#define SINK_CRASH_H

#include "tests/support/crash_spy.h"
#include "tests/support/sink_run.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern const weir_operator op_csv_sink, op_hdf5, op_png;

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

static int set_up(void **unused)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || make_folder(unused) != 0)
        return -1;
    return setenv("WEIR_TEST_FOLDER", folder, 1);
}

#endif
