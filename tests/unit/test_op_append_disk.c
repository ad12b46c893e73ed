/* Files that grow by appending: their lock, full disks, syncs, and what is no file. */
#include "tests/support/append_scene.h"

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
        assert_int_equal(op_append_sync(file, &error), DF_END);
        assert_int_equal(sync_file_count, 0);
        assert_int_equal(op_append_write(file, text, 1, &error), DF_END);
        assert_int_equal(op_append_mark(file, &mark, &error), DF_END);
        assert_int_equal(op_append_close(&file, &error), DF_END);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
