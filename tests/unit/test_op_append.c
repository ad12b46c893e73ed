/* Files that grow by appending: begun, killed at every place, gone on from every mark. */
#include "tests/support/append_scene.h"

static size_t written; /* bytes, by anybody */

/* This program's definition wins over libc's, also for the library. */
ssize_t write(int descriptor, const void *bytes, size_t size)
{
    ssize_t n = (ssize_t)syscall(SYS_write, descriptor, bytes, size);

    written += n > 0 ? (size_t)n : 0;
    return n;
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

/* After a power loss anything may stand behind the mark: it is replaced from its first
 * difference. */
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
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
