/* Records of submissions: what is written is read, whatever is changed is noticed; and the mark in a state. */
#include "coordinator/coord_ticket.h"

#include "tests/support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static df_error error;

static const coord_ticket whole = { .number = 17, .name = "flock-2_b", .file = "/home/me/a job.toml",
                                    .workers = 3, .submitted_ms = 1764154481123,
                                    .client = UINT64_MAX, .question = 1 };

static void test_round(void **state)
{
    char text[COORD_TICKET_SIZE_MAX];
    coord_ticket found, most = whole;

    (void)state;
    assert_int_equal(coord_ticket_parse(&found, text, coord_ticket_print(&whole, text), &error), DF_OK);
    assert_memory_equal(&found, &whole, sizeof whole);
    memset(most.file, 'f', PROTO_TEXT_SIZE_MAX);
    most.file[0] = '/';
    memset(most.name, 'n', WEIR_NAME_MAX - 1);
    most.number = most.submitted_ms = 9999999999999999999ull;
    most.question = UINT64_MAX;
    most.workers = PROTO_MEMBERS_MAX;
    assert_int_equal(coord_ticket_parse(&found, text, coord_ticket_print(&most, text), &error), DF_OK);
    assert_memory_equal(&found, &most, sizeof most);
}

/* Every bit of every byte, and every length. */
static void test_damage(void **state)
{
    char text[COORD_TICKET_SIZE_MAX], *copy;
    size_t size = coord_ticket_print(&whole, text);
    coord_ticket found;

    (void)state;
    for (size_t i = 0; i < 8 * size; i++) {
        text[i / 8] = (char)(text[i / 8] ^ 1 << i % 8);
        assert_int_equal(coord_ticket_parse(&found, text, size, &error), DF_ECORRUPT);
        text[i / 8] = (char)(text[i / 8] ^ 1 << i % 8);
    }
    for (size_t length = 0; length < size; length++) {
        copy = malloc(length + 1);
        memcpy(copy, text, length);
        assert_int_equal(coord_ticket_parse(&found, copy, length, &error), DF_ECORRUPT);
        free(copy);
    }
    memset(text, 'x', sizeof text);
    assert_int_equal(coord_ticket_parse(&found, text, sizeof text, &error), DF_ECORRUPT);
}

static void test_names(void **state)
{
    char long_name[WEIR_NAME_MAX + 1], path[PROTO_TEXT_SIZE_MAX + 2];

    (void)state;
    assert_true(coord_ticket_name_is("a"));
    assert_true(coord_ticket_name_is("_b-3"));
    assert_false(coord_ticket_name_is(""));
    assert_false(coord_ticket_name_is("-a"));
    assert_false(coord_ticket_name_is("3a"));
    assert_false(coord_ticket_name_is(".."));
    assert_false(coord_ticket_name_is("a/b"));
    assert_false(coord_ticket_name_is("a b"));
    memset(long_name, 'a', sizeof long_name);
    long_name[WEIR_NAME_MAX] = '\0';
    assert_false(coord_ticket_name_is(long_name));
    assert_true(coord_ticket_file_is("/a b.toml"));
    assert_false(coord_ticket_file_is("a.toml"));
    assert_false(coord_ticket_file_is(""));
    assert_false(coord_ticket_file_is("/a\nb"));
    memset(path, 'p', sizeof path);
    path[0] = '/';
    path[PROTO_TEXT_SIZE_MAX + 1] = '\0';
    assert_false(coord_ticket_file_is(path));
}

static void test_mark(void **state)
{
    static const char *const wrong[] = { "5", "5 7\n", "5 7 0\n", "5 7 1001\n", "5 7 x\n" };
    const coord_ticket_mark written = { 5, UINT64_MAX, PROTO_MEMBERS_MAX };
    coord_ticket_mark mark;

    (void)state;
    assert_int_equal(coord_ticket_mark_read(folder, &mark, &error), DF_END);
    assert_int_equal(coord_ticket_mark_write(folder, &written, &error), DF_OK);
    assert_int_equal(coord_ticket_mark_read(folder, &mark, &error), DF_OK);
    assert_int_equal(mark.number, 5);
    assert_true(mark.process == UINT64_MAX);
    assert_int_equal(mark.workers, PROTO_MEMBERS_MAX);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(coord_state_write(folder, "ticket", wrong[i], strlen(wrong[i]), &error), DF_OK);
        assert_int_equal(coord_ticket_mark_read(folder, &mark, &error), DF_ECORRUPT);
        assert_non_null(strstr(error.text, "expected three numbers"));
    }
    assert_int_equal(coord_state_clear(folder, &error), DF_OK); /* a run by hand has no ticket */
    assert_int_equal(coord_ticket_mark_read(folder, &mark, &error), DF_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_mark),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
