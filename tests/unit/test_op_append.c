/* Files that grow by appending: begun, killed at every place, gone on from every mark. */
#include "operators/op_append.h"
#include "tests/support/sync_spy.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#define SMALL 100    /* bytes; more than a mark's tail */
#define LARGE 300000 /* more than is compared at a time */
#define BOOT_AT 9    /* of the boot id in a mark */

static size_t written; /* bytes, by anybody */

/* This program's definition wins over libc's, also for the library. */
ssize_t write(int descriptor, const void *bytes, size_t size)
{
    ssize_t n = (ssize_t)syscall(SYS_write, descriptor, bytes, size);

    written += n > 0 ? (size_t)n : 0;
    return n;
}

static char folder[] = "/tmp/weir-append-XXXXXX";
static char text[LARGE + 1];
static df_error error;

static const char *at(const char *name)
{
    static char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static op_append *begin(const char *name)
{
    op_append *file;

    if (op_append_open(&file, at(name), NULL, &error) != DF_OK)
        fail_msg("%s", error.text);
    return file;
}

static op_append *resume(const char *name, const weir_mark *mark)
{
    op_append *file;

    if (op_append_open(&file, at(name), mark, &error) != DF_OK)
        fail_msg("%s", error.text);
    return file;
}

static void put(op_append *file, size_t from, size_t to)
{
    if (op_append_write(file, text + from, to - from, &error) != DF_OK)
        fail_msg("%s", error.text);
    op_append_whole(file);
}

static weir_mark mark_of(op_append *file)
{
    weir_mark mark;

    assert_int_equal(op_append_mark(file, &mark, &error), DF_OK);
    assert_in_range(mark.size, 1, WEIR_MARK_MAX);
    return mark;
}

static void end(op_append *file)
{
    assert_int_equal(op_append_close(&file, &error), DF_OK);
    assert_null(file);
}

/* Put a file there as a killed process would have left it. */
static void leave(const char *name, const void *bytes, size_t size)
{
    FILE *f;

    (void)unlink(at(name)); /* a file that is emptied and written is flushed by some file systems */
    f = fopen(at(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void holds(const char *name, const void *bytes, size_t size)
{
    static char found[LARGE + 2];
    FILE *f = fopen(at(name), "rb");

    assert_non_null(f);
    assert_int_equal(fread(found, 1, sizeof(found), f), size);
    fclose(f);
    assert_memory_equal(found, bytes, size);
}

/* A mark of the text's first `offset` bytes. */
static weir_mark mark_at(size_t offset)
{
    op_append *file;
    weir_mark mark;

    (void)unlink(at("marked"));
    file = begin("marked");
    if (offset > 7)
        put(file, 0, 7);
    put(file, offset > 7 ? 7 : 0, offset);
    mark = mark_of(file);
    end(file);
    return mark;
}

static void refused(const char *name, const weir_mark *mark, df_status status, const char *why)
{
    op_append *file = (op_append *)folder;

    assert_int_equal(op_append_open(&file, at(name), mark, &error), status);
    assert_null(file);
    assert_non_null(strstr(error.text, name));
    if (strstr(error.text, why) == NULL)
        fail_msg("found \"%s\", expected \"%s\"", error.text, why);
}

/* ---- going on ---- */

static void begins_anew(void **unused)
{
    op_append *file;

    (void)unused;
    leave("anew", "an older and longer file", 24);
    file = begin("anew");
    holds("anew", "", 0);
    put(file, 0, 5);
    put(file, 5, 9);
    end(file);
    holds("anew", text, 9);
    end(NULL);
}

/* Every mark, every place where the process was killed after it, written again in parts of every
 * size up to 9: the file never shrinks, no byte of it changes, and in the end it is whole. */
static void goes_on_from_every_mark_after_every_kill(void **unused)
{
    (void)unused;
    for (size_t from = 0; from <= SMALL; from++) {
        weir_mark mark = mark_at(from);
        for (size_t killed = from; killed <= SMALL; killed++) {
            size_t part = 1 + (from + killed) % 9, seen = killed;
            leave("killed", text, killed);
            op_append *file = resume("killed", &mark);
            for (size_t i = from; i < SMALL; i += part) {
                put(file, i, i + part < SMALL ? i + part : SMALL);
                seen = i + part > seen ? (i + part < SMALL ? i + part : SMALL) : seen;
                holds("killed", text, seen);
            }
            end(file);
            holds("killed", text, SMALL);
        }
    }
}

/* More than is compared at a time, ends that are not aligned. */
static void compares_large_tails(void **unused)
{
    weir_mark mark = mark_at(1234);

    (void)unused;
    leave("large", text, 200001);
    op_append *file = resume("large", &mark);
    put(file, 1234, LARGE);
    end(file);
    holds("large", text, LARGE);
}

/* What is there is written once more: it may never have reached the disk. */
static void writes_again_what_stands_there(void **unused)
{
    weir_mark mark = mark_at(10);

    (void)unused;
    leave("once more", text, 90);
    op_append *file = resume("once more", &mark);
    written = 0;
    put(file, 10, SMALL);
    assert_int_equal(written, SMALL - 10);
    end(file);
}

/* A run that goes on may be killed and go on again, also from a mark of its own. */
static void goes_on_again_and_again(void **unused)
{
    weir_mark mark = mark_at(3);

    (void)unused;
    leave("again", text, 20);
    for (size_t i = 3; i < SMALL; i += 7) {
        op_append *file = resume("again", &mark);
        put(file, i, i + 7 < SMALL ? i + 7 : SMALL);
        mark = mark_of(file);
        put(file, i + 7 < SMALL ? i + 7 : SMALL, i + 9 < SMALL ? i + 9 : SMALL);
        end(file);
    }
    holds("again", text, SMALL);
}

/* ---- what is not the output of the same run ---- */

static void other_bytes_are_an_error(void **unused)
{
    weir_mark mark = mark_at(40);
    char other[SMALL], place[64];

    (void)unused;
    for (size_t i = 40; i < 90; i++) {
        memcpy(other, text, 90);
        other[i] ^= 1;
        leave("other", other, 90);
        op_append *file = resume("other", &mark);
        assert_int_equal(op_append_write(file, text + 40, SMALL - 40, &error), DF_ECORRUPT);
        (void)snprintf(place, sizeof(place), "other: other bytes at offset %zu ", i);
        assert_non_null(strstr(error.text, place));
        assert_non_null(strstr(error.text, "not the output of the same run"));
        op_append_undo(file);
        end(file);
        holds("other", other, 90);
    }
}

/* After a power loss anything may stand behind the mark: it is replaced from its first difference. */
static void a_power_loss_may_have_left_anything(void **unused)
{
    weir_mark mark = mark_at(40);
    char other[SMALL + 20];

    (void)unused;
    mark.bytes[BOOT_AT] ^= 1;
    for (size_t i = 40; i < SMALL + 20; i++) {
        memset(other, 0, sizeof(other));
        memcpy(other, text, i < SMALL ? i : SMALL);
        leave("power", other, i < SMALL ? SMALL + 20 : i);
        op_append *file = resume("power", &mark);
        put(file, 40, 60);
        put(file, 60, SMALL + 30);
        end(file);
        holds("power", text, SMALL + 30);
    }
}

static void short_and_missing_files_are_errors(void **unused)
{
    weir_mark mark = mark_at(40);

    (void)unused;
    leave("short", text, 39);
    refused("short", &mark, DF_ECORRUPT, "short: 39 bytes, expected at least 40");
    holds("short", text, 39);
    refused("missing", &mark, DF_EIO, "No such file");
    assert_int_equal(access(at("missing"), F_OK), -1);
}

static void another_file_is_an_error(void **unused)
{
    weir_mark mark = mark_at(80);
    char other[SMALL];

    (void)unused;
    for (size_t i = 80 - 64; i < 80; i++) {
        memcpy(other, text, SMALL);
        other[i] ^= 1;
        leave("another", other, SMALL);
        refused("another", &mark, DF_ECORRUPT, "this is not its file");
    }
    refused("", &mark, DF_EIO, "Is a directory");
}

/* Marks come out of snapshots, as hostile as any bytes: each is refused or makes sense. */
static void odd_marks_are_refused(void **unused)
{
    weir_mark mark = mark_at(80);

    (void)unused;
    leave("odd", text, SMALL);
    for (uint32_t size = 0; size < mark.size; size++) {
        weir_mark cut = mark;
        cut.size = size;
        refused("odd", &cut, DF_ECORRUPT, "no mark of such a file");
    }
    for (uint32_t i = 0; i < mark.size * 8; i++) {
        weir_mark odd = mark;
        op_append *file;
        odd.bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        df_status status = op_append_open(&file, at("odd"), &odd, &error);
        bool boot = i / 8 >= BOOT_AT && i / 8 < BOOT_AT + 36;
        assert_int_equal(status, boot ? DF_OK : DF_ECORRUPT);
        assert_int_equal(op_append_close(&file, &error), DF_OK);
        holds("odd", text, SMALL);
    }
    mark.size = WEIR_MARK_MAX + 1;
    refused("odd", &mark, DF_ECORRUPT, "no mark of such a file");
}

/* ---- the lock ---- */

static void one_writer_at_a_time(void **unused)
{
    weir_mark mark = mark_at(5);
    op_append *file = begin("locked");

    (void)unused;
    put(file, 0, 9);
    refused("locked", NULL, DF_AGAIN, "locked: another sink of this process is writing it");
    refused("locked", &mark, DF_AGAIN, "locked: another sink of this process is writing it");
    holds("locked", text, 9);
    end(file);
    end(resume("locked", &mark));
}

/* The lock of a process that is gone is gone: the parent then goes on. */
static void the_error_names_the_holder(void **unused)
{
    weir_mark mark = mark_at(5);
    char why[64], byte;
    int ready[2];

    (void)unused;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        op_append *file = NULL;
        if (op_append_open(&file, at("held"), NULL, NULL) != DF_OK ||
            op_append_write(file, text, 9, NULL) != DF_OK || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)snprintf(why, sizeof(why), "held: process %ld is writing it", (long)child);
    refused("held", NULL, DF_AGAIN, why);
    refused("held", &mark, DF_AGAIN, why);
    holds("held", text, 9);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ready[0]);
    op_append *file = resume("held", &mark);
    put(file, 5, 20);
    end(file);
    holds("held", text, 20);
}

/* ---- the disk ---- */

static void set_limit(rlim_t size)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Before the first mark a failed record is cut off. */
static void a_full_disk_leaves_whole_records(void **unused)
{
    op_append *file = begin("full");

    (void)unused;
    put(file, 0, 30);
    set_limit(50);
    assert_int_equal(op_append_write(file, text + 30, 40, &error), DF_ELIMIT);
    assert_non_null(strstr(error.text, "full: File too large"));
    set_limit(RLIM_INFINITY);
    holds("full", text, 50);
    op_append_undo(file);
    holds("full", text, 30);
    put(file, 30, 70);
    end(file);
    holds("full", text, 70);
}

/* Afterwards what readers saw stays; the record is completed, in this process or in the next. */
static void a_full_disk_takes_nothing_back_after_a_mark(void **unused)
{
    (void)unused;
    for (int restart = 0; restart < 2; restart++) {
        op_append *file = begin("filled");
        put(file, 0, 20);
        weir_mark mark = mark_of(file);
        put(file, 20, 30);
        set_limit(50);
        assert_int_equal(op_append_write(file, text + 30, 40, &error), DF_ELIMIT);
        set_limit(RLIM_INFINITY);
        op_append_undo(file);
        holds("filled", text, 50);
        if (restart == 0) {
            mark = mark_of(file); /* of the last whole record */
            put(file, 30, 70);
        } else {
            end(file);
            file = resume("filled", &mark);
            put(file, 20, 30);
            put(file, 30, 70);
        }
        end(file);
        holds("filled", text, 70);
        if (restart == 0)
            end(resume("filled", &mark));
    }
}

static void syncs_the_file_and_its_folders(void **unused)
{
    char expected[256];
    op_append *file;

    (void)unused;
    assert_int_equal(mkdir(at("deep"), 0777), 0);
    assert_int_equal(mkdir(at("deep/er"), 0777), 0);
    file = begin("deep/er/file");
    put(file, 0, 9);
    sync_spy_reset();
    assert_int_equal(op_append_sync(file, &error), DF_OK);
    (void)snprintf(expected, sizeof(expected), "%s/deep/er\n%s/deep\n%s\n/tmp\n/\n", folder, folder,
                   folder);
    assert_string_equal(sync_folders, expected);
    assert_int_equal(sync_file_count, 1);
    assert_int_equal(op_append_sync(file, &error), DF_OK);
    assert_int_equal(sync_file_count, 2);
    assert_int_equal(sync_folder_count, 5);
    end(file);
    /* A name without a folder is one of the working directory. */
    assert_int_equal(chdir(folder), 0);
    sync_spy_reset();
    assert_int_equal(op_append_open(&file, "plain", NULL, &error), DF_OK);
    assert_int_equal(op_append_sync(file, &error), DF_OK);
    assert_int_equal(sync_folder_count, 1);
    end(file);
    assert_int_equal(chdir("/"), 0);
}

/* A sync that is tried again lies, so nothing works after it has failed once. */
static void a_failed_sync_is_final(void **unused)
{
    (void)unused;
    for (int which = 0; which < 2; which++) {
        op_append *file = begin("failed");
        weir_mark mark;
        put(file, 0, 9);
        sync_spy_reset();
        *(which == 0 ? &sync_file_error : &sync_folder_error) = EIO;
        assert_int_equal(op_append_sync(file, &error), DF_EIO);
        assert_non_null(strstr(error.text, "Input/output error"));
        sync_spy_reset();
        assert_int_equal(op_append_sync(file, &error), DF_EIO);
        assert_int_equal(sync_file_count, 0);
        assert_int_equal(op_append_write(file, text, 1, &error), DF_EIO);
        assert_int_equal(op_append_mark(file, &mark, &error), DF_EIO);
        assert_int_equal(op_append_close(&file, &error), DF_EIO);
        assert_non_null(strstr(error.text, "failed: Input/output error"));
        assert_null(file);
        holds("failed", text, 9);
    }
}

/* A file system that has nothing to sync in a folder is no failure. */
static void folders_that_cannot_be_synced_are_let_be(void **unused)
{
    op_append *file = begin("fuse");

    (void)unused;
    sync_spy_reset();
    sync_folder_error = EINVAL;
    assert_int_equal(op_append_sync(file, &error), DF_OK);
    sync_spy_reset();
    end(file);
}

static void what_is_no_file_has_no_marks(void **unused)
{
    weir_mark mark = mark_at(0);
    op_append *file, *second;
    char bytes[8];

    (void)unused;
    assert_int_equal(op_append_open(&file, "/dev/full", NULL, &error), DF_OK);
    assert_int_equal(op_append_write(file, text, 9, &error), DF_ELIMIT);
    assert_string_equal(error.text, "/dev/full: No space left on device");
    op_append_undo(file);
    assert_int_equal(op_append_mark(file, &mark, &error), DF_ENOTSUP);
    end(file);
    refused("../../dev/full", &mark, DF_ECORRUPT, "not a regular file");

    assert_int_equal(mkfifo(at("pipe"), 0666), 0);
    int reader = open(at("pipe"), O_RDONLY | O_NONBLOCK);
    file = begin("pipe");
    second = begin("pipe");
    put(file, 0, 3);
    put(second, 3, 5);
    put(file, 5, 8);
    assert_int_equal(read(reader, bytes, 8), 8);
    assert_memory_equal(bytes, text, 8);
    end(file);
    end(second);
    close(reader);
}

/* Somebody cuts the file under the writer's hands: an error, and no endless loop. */
static void a_file_cut_by_others_is_an_error(void **unused)
{
    weir_mark mark = mark_at(10);
    op_append *file;

    (void)unused;
    leave("cut", text, 50);
    file = resume("cut", &mark);
    assert_int_equal(truncate(at("cut"), 30), 0);
    assert_int_equal(op_append_write(file, text + 10, 60, &error), DF_EIO);
    assert_non_null(strstr(error.text, "somebody else has cut it to less than 50 bytes"));
    end(file);
}

static int set_up(void **unused)
{
    uint32_t s = 1;

    (void)unused;
    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < LARGE; i++) {
        s = s * 1664525u + 1013904223u;
        text[i] = (char)('a' + (s >> 24) % 26);
    }
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **unused)
{
    char command[128];

    (void)unused;
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_anew),
        cmocka_unit_test(goes_on_from_every_mark_after_every_kill),
        cmocka_unit_test(compares_large_tails),
        cmocka_unit_test(writes_again_what_stands_there),
        cmocka_unit_test(goes_on_again_and_again),
        cmocka_unit_test(other_bytes_are_an_error),
        cmocka_unit_test(a_power_loss_may_have_left_anything),
        cmocka_unit_test(short_and_missing_files_are_errors),
        cmocka_unit_test(another_file_is_an_error),
        cmocka_unit_test(odd_marks_are_refused),
        cmocka_unit_test(one_writer_at_a_time),
        cmocka_unit_test(the_error_names_the_holder),
        cmocka_unit_test(a_full_disk_leaves_whole_records),
        cmocka_unit_test(a_full_disk_takes_nothing_back_after_a_mark),
        cmocka_unit_test(syncs_the_file_and_its_folders),
        cmocka_unit_test(a_failed_sync_is_final),
        cmocka_unit_test(folders_that_cannot_be_synced_are_let_be),
        cmocka_unit_test(what_is_no_file_has_no_marks),
        cmocka_unit_test(a_file_cut_by_others_is_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
