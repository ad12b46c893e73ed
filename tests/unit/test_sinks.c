/* The sinks null, csv and print. /dev/full is the full disk, and so is a limit on file sizes. */
#include "tests/support/sink_run.h"

extern const weir_operator op_null, op_print, op_csv_sink;

static void assert_file_is(const char *file, const char *expected)
{
    static char text[65536];
    FILE *f = fopen(path_of(file), "rb");

    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);
    assert_string_equal(text, expected);
}

/* ---- null ---- */

static void null_takes_everything(void **unused)
{
    options o = { { 0 } };
    weir_batch *batch = birds(0, 10);
    run r;

    (void)unused;
    assert_int_equal(run_plan(&r, &op_null, &o, &schema_birds), WEIR_OK);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    assert_int_equal(run_step(&r, 0, 1, &batch), WEIR_OK);
    assert_int_equal(run_close(&r), WEIR_OK);
    fake_batch_free(batch);
}

/* ---- csv ---- */

static void csv_writes_all_columns_of_all_key_groups(void **unused)
{
    options o = { { 0 } };
    weir_batch *two[2] = { birds(0, 2), birds(3, 1) };
    run r;

    (void)unused;
    set_text(&op_csv_sink, &o, "file", "all.csv");
    assert_int_equal(run_plan(&r, &op_csv_sink, &o, &schema_birds), WEIR_OK);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    assert_file_is("all.csv", "step,time,x,energy,ill\n");
    assert_int_equal(run_step(&r, 0, 2, two), WEIR_OK);
    /* Complete lines stand in the file before it is closed. */
    assert_file_is("all.csv", "step,time,x,energy,ill\n"
                              "0,1,0.5,-0,0\n"
                              "0,1,1.5,-0.3333333333333333,1\n"
                              "0,1,3.5,-1,1\n");
    assert_int_equal(run_step(&r, 9, 1, two + 1), WEIR_OK);
    assert_int_equal(run_close(&r), WEIR_OK);
    assert_file_is("all.csv", "step,time,x,energy,ill\n"
                              "0,1,0.5,-0,0\n"
                              "0,1,1.5,-0.3333333333333333,1\n"
                              "0,1,3.5,-1,1\n"
                              "9,3.25,3.5,-1,1\n");
    fake_batch_free(two[0]);
    fake_batch_free(two[1]);
}

static void csv_writes_the_columns_asked_for(void **unused)
{
    static const char *const names[] = { "ill", "id" };
    options o = { { 0 } };
    weir_batch *batch = birds(UINT64_MAX, 1);
    run r;

    (void)unused;
    set_text(&op_csv_sink, &o, "file", "deep/er/some.csv");
    set_names(&op_csv_sink, &o, "columns", 2, names);
    assert_int_equal(run_plan(&r, &op_csv_sink, &o, &schema_birds), WEIR_OK);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    assert_int_equal(run_step(&r, 4, 1, &batch), WEIR_OK);
    assert_int_equal(run_close(&r), WEIR_OK);
    assert_file_is("deep/er/some.csv", "step,time,ill,id\n4,2,1,18446744073709551615\n");
    fake_batch_free(batch);
}

static void csv_quotes_odd_names(void **unused)
{
    static const weir_schema odd = { .column_count = 1, .columns = { { "a,\"b\"", WEIR_F32 } } };
    options o = { { 0 } };
    run r;

    (void)unused;
    set_text(&op_csv_sink, &o, "file", "odd.csv");
    assert_int_equal(run_plan(&r, &op_csv_sink, &o, &odd), WEIR_OK);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    assert_int_equal(run_close(&r), WEIR_OK);
    assert_file_is("odd.csv", "step,time,\"a,\"\"b\"\"\"\n");
}

static void csv_refuses_wrong_columns(void **unused)
{
    static const char *const twice[] = { "x", "ill", "x" };
    static const char *const unknown[] = { "x", "height", "weight" };
    static const weir_schema timed = { .column_count = 1, .columns = { { "time", WEIR_F64 } } };
    options o = { { 0 } };
    run r;

    (void)unused;
    set_text(&op_csv_sink, &o, "file", "wrong.csv");
    set_names(&op_csv_sink, &o, "columns", 3, twice);
    assert_int_equal(run_plan(&r, &op_csv_sink, &o, &schema_birds), WEIR_FAILED);
    assert_string_equal(r.plan.errors, "columns: column x is listed twice\n");
    set_names(&op_csv_sink, &o, "columns", 3, unknown);
    assert_int_equal(run_plan(&r, &op_csv_sink, &o, &schema_birds), WEIR_FAILED);
    assert_string_equal(r.plan.errors, ": no column height\n: no column weight\n");
    set_names(&op_csv_sink, &o, "columns", 0, NULL);
    assert_int_equal(run_plan(&r, &op_csv_sink, &o, &timed), WEIR_FAILED);
    assert_non_null(strstr(r.plan.errors, "two columns \"time\""));
}

static void csv_says_which_file_cannot_be_opened(void **unused)
{
    options o = { { 0 } };
    run r;

    (void)unused;
    set_text(&op_csv_sink, &o, "file", "x.csv");
    assert_int_equal(run_plan(&r, &op_csv_sink, &o, &schema_birds), WEIR_OK);
    assert_int_equal(run_open(&r, "/nowhere", NULL), WEIR_FAILED);
    assert_string_equal(r.sink.error, "/nowhere/x.csv: No such file or directory");
    set_text(&op_csv_sink, &o, "file", "null/x.csv");
    assert_int_equal(run_open(&r, "/dev", NULL), WEIR_FAILED);
    assert_string_equal(r.sink.error, "/dev/null/x.csv: Not a directory");
    set_text(&op_csv_sink, &o, "file", "full");
    assert_int_equal(run_open(&r, "/dev", NULL), WEIR_FAILED);
    assert_string_equal(r.sink.error, "/dev/full: No space left on device");
    set_text(&op_csv_sink, &o, "file", "pts"); /* it is a folder */
    assert_int_equal(run_open(&r, "/dev", NULL), WEIR_FAILED);
    assert_string_equal(r.sink.error, "/dev/pts: Is a directory");
    char name[2000];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    set_text(&op_csv_sink, &o, "file", name);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_FAILED);
    assert_non_null(strstr(r.sink.error, "aaa"));
}

/* A limit on the size of files stands for the full disk: the file must end with a complete step. */
static void csv_is_cut_to_whole_steps_when_the_disk_is_full(void **unused)
{
    options o = { { 0 } };
    weir_batch *small = birds(1, 1), *large = birds(0, 5000);
    run r;

    (void)unused;
    set_text(&op_csv_sink, &o, "file", "limited.csv");
    assert_int_equal(run_plan(&r, &op_csv_sink, &o, &schema_birds), WEIR_OK);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    assert_int_equal(run_step(&r, 0, 1, &small), WEIR_OK);
    struct rlimit before = limit_files(10000);
    weir_status status = run_step(&r, 1, 1, &large);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, WEIR_AGAIN);
    assert_non_null(strstr(fake_failure, "limited.csv: File too large"));
    assert_int_equal(run_close(&r), WEIR_OK);
    assert_file_is("limited.csv", "step,time,x,energy,ill\n0,1,1.5,-0.3333333333333333,1\n");
    fake_batch_free(small);
    fake_batch_free(large);
}

static void csv_reports_a_failed_close(void **unused)
{
    options o = { { 0 } };
    run r;

    (void)unused;
    set_text(&op_csv_sink, &o, "file", "closed.csv");
    assert_int_equal(run_plan(&r, &op_csv_sink, &o, &schema_birds), WEIR_OK);
    int descriptor = dup(0); /* the lowest free one: the sink's */
    close(descriptor);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    assert_int_equal(close(descriptor), 0);
    assert_int_equal(run_close(&r), WEIR_FAILED);
    assert_non_null(strstr(r.sink.error, "closed.csv: Bad file descriptor"));
}

/* More rows than the buffer holds. */
static void csv_holds_every_row(void **unused)
{
    options o = { { 0 } };
    weir_batch *batch = birds(0, 40000);
    run r;
    char line[256], expected[256];
    uint32_t rows = 0;

    (void)unused;
    set_text(&op_csv_sink, &o, "file", "many.csv");
    assert_int_equal(run_plan(&r, &op_csv_sink, &o, &schema_birds), WEIR_OK);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    assert_int_equal(run_step(&r, 2, 1, &batch), WEIR_OK);
    assert_int_equal(run_close(&r), WEIR_OK);
    FILE *f = fopen(path_of("many.csv"), "rb");
    assert_non_null(fgets(line, sizeof(line), f));
    while (fgets(line, sizeof(line), f) != NULL) {
        (void)snprintf(expected, sizeof(expected), "2,1.5,%u.5,", rows);
        assert_memory_equal(line, expected, strlen(expected));
        rows++;
    }
    fclose(f);
    assert_int_equal(rows, 40000);
    fake_batch_free(batch);
}

/* ---- print ---- */

static void print_aligns_and_heads_once(void **unused)
{
    static const char *const names[] = { "id", "energy" };
    options o = { { 0 } };
    uint32_t rows = 2;
    weir_batch *batch = birds(8, 4);
    char *text = NULL;
    size_t size = 0;
    FILE *console = open_memstream(&text, &size);
    run r;

    (void)unused;
    set_option(&op_print, &o, "rows", &rows, sizeof(rows));
    set_names(&op_print, &o, "columns", 2, names);
    assert_int_equal(run_plan(&r, &op_print, &o, &schema_birds), WEIR_OK);
    assert_int_equal(run_open(&r, folder, console), WEIR_OK);
    assert_int_equal(run_step(&r, 0, 1, &batch), WEIR_OK);
    assert_int_equal(run_step(&r, 50, 1, &batch), WEIR_OK);
    assert_int_equal(run_close(&r), WEIR_OK);
    fclose(console);
    assert_string_equal(text, "    step    time (day)          id          energy\n"
                              "       0             1           8      -2.6666667\n"
                              "       0             1           9              -3\n"
                              "     ...  and 2 rows more\n"
                              "      50          13.5           8      -2.6666667\n"
                              "      50          13.5           9              -3\n"
                              "     ...  and 2 rows more\n");
    free(text);
    fake_batch_free(batch);
}

static void print_says_nothing_without_a_console(void **unused)
{
    options o = { { 0 } };
    weir_batch *batch = birds(0, 1);
    run r;

    (void)unused;
    assert_int_equal(run_plan(&r, &op_print, &o, &schema_birds), WEIR_OK);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    assert_int_equal(run_step(&r, 0, 1, &batch), WEIR_OK);
    assert_int_equal(run_close(&r), WEIR_OK);
    fake_batch_free(batch);
}

static void print_reports_a_full_console(void **unused)
{
    options o = { { 0 } };
    uint32_t rows = 1;
    weir_batch *batch = birds(0, 1);
    FILE *full = fopen("/dev/full", "w");
    run r;

    (void)unused;
    set_option(&op_print, &o, "rows", &rows, sizeof(rows));
    assert_int_equal(run_plan(&r, &op_print, &o, &schema_birds), WEIR_OK);
    assert_int_equal(run_open(&r, folder, full), WEIR_OK);
    assert_int_equal(run_step(&r, 0, 1, &batch), WEIR_FAILED);
    assert_string_equal(fake_failure, "cannot print: No space left on device");
    assert_int_equal(run_close(&r), WEIR_OK);
    fclose(full);
    fake_batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_takes_everything),
        cmocka_unit_test(csv_writes_all_columns_of_all_key_groups),
        cmocka_unit_test(csv_writes_the_columns_asked_for),
        cmocka_unit_test(csv_quotes_odd_names),
        cmocka_unit_test(csv_refuses_wrong_columns),
        cmocka_unit_test(csv_says_which_file_cannot_be_opened),
        cmocka_unit_test(csv_is_cut_to_whole_steps_when_the_disk_is_full),
        cmocka_unit_test(csv_reports_a_failed_close),
        cmocka_unit_test(csv_holds_every_row),
        cmocka_unit_test(print_aligns_and_heads_once),
        cmocka_unit_test(print_says_nothing_without_a_console),
        cmocka_unit_test(print_reports_a_full_console),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
