/* Command lines: every form of an option, every refusal, and what the help prints. */
#include "coordinator/coord_args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct options {
    bool json;
    const char *file;
    coord_texts set;
    coord_number steps;
} options;

static const coord_option table[] = {
    { .name = "json", .help = "one object", .type = COORD_FLAG, .offset = offsetof(options, json) },
    { .name = "file", .value = "FILE", .help = "a file", .type = COORD_TEXT,
      .offset = offsetof(options, file) },
    { .name = "set", .value = "K=V", .help = "override", .type = COORD_TEXTS,
      .offset = offsetof(options, set) },
    { .name = "steps", .value = "N", .help = "steps", .type = COORD_NUMBER, .least = 1, .most = 500,
      .offset = offsetof(options, steps) },
    { 0 },
};

static coord_args args;
static options got;
static df_error error;

/* Split a line at spaces and read it. */
static df_status read_line(const char *line)
{
    static char text[4096];
    static char *argv[1024];
    int argc = 0;

    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    got = (options){ 0 };
    error = (df_error){ 0 };
    return coord_args_read(&args, &got, table, argc, argv, &error);
}

static void refused(const char *line, const char *text)
{
    assert_int_not_equal(read_line(line), DF_OK);
    assert_string_equal(error.text, text);
}

static void test_forms(void **state)
{
    (void)state;
    assert_int_equal(read_line("job.toml --json --file=a=b --steps 7 --set x=1 --set=y=2"), DF_OK);
    assert_int_equal(args.count, 1);
    assert_string_equal(args.items[0], "job.toml");
    assert_true(got.json);
    assert_string_equal(got.file, "a=b");
    assert_true(got.steps.given);
    assert_int_equal(got.steps.value, 7);
    assert_int_equal(got.set.count, 2);
    assert_string_equal(got.set.items[0], "x=1");
    assert_string_equal(got.set.items[1], "y=2");
}

static void test_arguments(void **state)
{
    (void)state;
    assert_int_equal(read_line("- --file --json -- --steps -x"), DF_OK);
    assert_int_equal(args.count, 3);
    assert_string_equal(args.items[0], "-");
    assert_string_equal(got.file, "--json"); /* a value is whatever stands there */
    assert_false(got.json);
    assert_string_equal(args.items[1], "--steps");
    assert_string_equal(args.items[2], "-x");
    refused("1 2 3 4 5 6 7 8 9", "too many arguments: \"9\"");
}

static void test_help_wins(void **state)
{
    (void)state;
    assert_int_equal(read_line("--frobnicate --help"), DF_OK);
    assert_true(args.help);
    assert_int_equal(read_line("-h"), DF_OK);
    assert_true(args.help);
    assert_int_equal(read_line("-- --help"), DF_OK);
    assert_false(args.help);
}

static void test_refusals(void **state)
{
    (void)state;
    refused("--stepz 3", "unknown option \"--stepz\" (did you mean \"--steps\"?)");
    refused("--frobnicate", "unknown option \"--frobnicate\"");
    refused("-x", "unknown option \"-x\"");
    refused("--json=1", "--json takes no value");
    refused("--file", "--file needs a value: --file FILE");
    refused("--json --json", "--json is given twice");
    refused("--file a --file b", "--file is given twice");
    refused("--steps 3 --steps 3", "--steps is given twice");
}

static void test_numbers(void **state)
{
    static const char *const bad[] = { "0", "501", "-1", "+1", "1.5", "x", "1x", "0x10",
                                       "18446744073709551616", "99999999999999999999999" };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[64], text[128];

        snprintf(line, sizeof line, "--steps %s", bad[i]);
        snprintf(text, sizeof text, "--steps %s: expected a whole number from 1 to 500", bad[i]);
        refused(line, text);
    }
    refused("--steps=", "--steps : expected a whole number from 1 to 500");
    assert_int_equal(read_line("--steps 500"), DF_OK);
    assert_int_equal(got.steps.value, 500);
}

static void test_too_many(void **state)
{
    char line[4096] = "";

    (void)state;
    for (int i = 0; i < COORD_TEXTS_MAX; i++)
        strcat(line, " --set a");
    assert_int_equal(read_line(line), DF_OK);
    strcat(line, " --set a");
    refused(line, "--set is given more than 256 times");
}

static void test_print(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    coord_args_print(table, out);
    fclose(out);
    assert_string_equal(text, "  --json                  one object\n"
                              "  --file FILE             a file\n"
                              "  --set K=V               override (may be repeated)\n"
                              "  --steps N               steps\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),    cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_help_wins), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_print),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
