/* The CSV reader, the source `csv` and the kind `compare`, called as the engine calls them. */
#include "tests/support/fake_weir.h"
#include "operators/op_csv_read.h"

#include <math.h>
#include <setjmp.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

extern const weir_operator op_csv_source, op_compare;

static char folder[] = "/tmp/weir-csv-XXXXXX";
static char path[256];

static op_csv *open_text(const char *text)
{
    char error[OP_CSV_ERROR_MAX];
    op_csv *csv;

    if (op_csv_open_memory(&csv, "t.csv", text, strlen(text), error) != WEIR_OK)
        fail_msg("%s", error);
    return csv;
}

/* What op_csv_open_memory or the first bad record says. */
static void expect_error_in(const char *text, size_t size, const char *expected)
{
    char error[OP_CSV_ERROR_MAX];
    op_csv *csv;

    if (op_csv_open_memory(&csv, "t.csv", text, size, error) == WEIR_OK) {
        op_csv_result result;
        while ((result = op_csv_next(csv)) == OP_CSV_ROW)
            continue;
        assert_int_equal(result, OP_CSV_ERROR);
        assert_int_equal(op_csv_next(csv), OP_CSV_ERROR);
        memcpy(error, op_csv_error(csv), sizeof(error));
        op_csv_close(&csv);
    }
    assert_null(csv);
    assert_string_equal(error, expected);
}

static void expect_error(const char *text, const char *expected)
{
    expect_error_in(text, strlen(text), expected);
}

static void plain_records(void **unused)
{
    op_csv *csv = open_text("a,b,c\n1,2,3\n , x y\t,\n4,5,6");

    (void)unused;
    assert_int_equal(op_csv_column_count(csv), 3);
    assert_string_equal(op_csv_column_name(csv, 1), "b");
    assert_int_equal(op_csv_column(csv, "c"), 2);
    assert_int_equal(op_csv_column(csv, "d"), -1);
    assert_int_equal(op_csv_next(csv), OP_CSV_ROW);
    assert_string_equal(op_csv_text(csv, 2), "3");
    assert_int_equal(op_csv_line(csv), 2);
    assert_int_equal(op_csv_next(csv), OP_CSV_ROW);
    assert_string_equal(op_csv_text(csv, 0), "");
    assert_string_equal(op_csv_text(csv, 1), "x y");
    assert_string_equal(op_csv_text(csv, 2), "");
    assert_int_equal(op_csv_next(csv), OP_CSV_ROW);
    assert_string_equal(op_csv_text(csv, 2), "6");
    assert_int_equal(op_csv_next(csv), OP_CSV_END);
    op_csv_close(&csv);
}

static void quotes_comments_marks_and_line_ends(void **unused)
{
    op_csv *csv = open_text("\xef\xbb\xbf# made by hand\r\n\r\n\"a,1\" , b\r\n"
                            "\"x \"\"y\"\"\r\nz\", \" 2 \" \r\n  \t\r\n#c,d,e\r\n\"\",3\r\n");

    (void)unused;
    assert_string_equal(op_csv_column_name(csv, 0), "a,1");
    assert_string_equal(op_csv_column_name(csv, 1), "b");
    assert_int_equal(op_csv_next(csv), OP_CSV_ROW);
    assert_string_equal(op_csv_text(csv, 0), "x \"y\"\r\nz");
    assert_string_equal(op_csv_text(csv, 1), " 2 ");
    assert_int_equal(op_csv_line(csv), 4);
    assert_int_equal(op_csv_next(csv), OP_CSV_ROW);
    assert_string_equal(op_csv_text(csv, 0), "");
    assert_string_equal(op_csv_text(csv, 1), "3");
    assert_int_equal(op_csv_line(csv), 8); /* the quoted line end counts */
    assert_int_equal(op_csv_next(csv), OP_CSV_END);
    op_csv_close(&csv);
}

static void wrong_files_are_placed(void **unused)
{
    (void)unused;
    expect_error("", "t.csv: no header: the file is empty");
    expect_error("# only\n\n", "t.csv: no header: the file is empty");
    expect_error("a,,c\n", "t.csv:1: column 2 has no name");
    expect_error("a,b,a\n", "t.csv:1: two columns \"a\"");
    expect_error("a,b\n1,2\n\n3\n", "t.csv:4: 1 field, the header has 2");
    expect_error("a,b\n1,2,3\n", "t.csv:2: 3 fields, the header has 2");
    expect_error("a,b\n1,2\"3\"\n", "t.csv:2: a quote inside a field that does not start with one");
    expect_error("a,b\n\"1\n\"2,3\n", "t.csv:3: text after the closing quote of a field");
    expect_error("a,b\n1,\"2\n3\n", "t.csv:2: a quote is not closed");
    expect_error("a,b\n1,2\r3\n", "t.csv:2: a carriage return inside a line");
    expect_error_in("a,b\n1,\0\n", 9, "t.csv:2: a zero byte: not a text file");
    expect_error_in("a,b\n1,\"\0\"\n", 11, "t.csv:2: a zero byte: not a text file");
}

static void limits_are_kept(void **unused)
{
    static char text[OP_CSV_RECORD_MAX + 64];
    op_csv *csv;

    (void)unused;
    /* The longest record that fits: its bytes and a zero after each field. */
    memcpy(text, "a,b\n", 4);
    memset(text + 4, 'x', OP_CSV_RECORD_MAX - 2);
    text[10] = ',';
    csv = open_text(text);
    assert_int_equal(op_csv_next(csv), OP_CSV_ROW);
    op_csv_close(&csv);
    memset(text + 4 + OP_CSV_RECORD_MAX - 2, 'x', 2);
    expect_error(text, "t.csv:2: a record of more than 65536 bytes (is a quote missing?)");
    memset(text, ',', OP_CSV_FIELDS_MAX);
    text[OP_CSV_FIELDS_MAX] = '\0';
    expect_error(text, "t.csv:1: more than 1024 fields");
    text[OP_CSV_FIELDS_MAX - 1] = '\0';
    expect_error(text, "t.csv:1: column 1 has no name");
}

/* Whether `text` is a value of that type; if so it is written to value. */
static bool is_value(const char *text, weir_type type, void *value)
{
    char file[256];
    op_csv *csv;
    bool ok;

    (void)snprintf(file, sizeof(file), "v\n\"%s\"\n", text);
    csv = open_text(file);
    assert_int_equal(op_csv_next(csv), OP_CSV_ROW);
    ok = op_csv_value(csv, 0, type, value) == WEIR_OK;
    assert_true(ok || strstr(op_csv_error(csv), "t.csv:2: column v: expected ") != NULL);
    op_csv_close(&csv);
    return ok;
}

static void integers_and_their_ends(void **unused)
{
    uint8_t u8;
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    uint64_t u64;

    (void)unused;
    assert_true(is_value("255", WEIR_U8, &u8) && u8 == 255);
    assert_true(is_value("+7", WEIR_U8, &u8) && u8 == 7);
    assert_true(is_value("-0", WEIR_U8, &u8) && u8 == 0);
    assert_false(is_value("256", WEIR_U8, &u8));
    assert_false(is_value("-1", WEIR_U8, &u8));
    assert_true(is_value("4294967295", WEIR_U32, &u32) && u32 == UINT32_MAX);
    assert_false(is_value("4294967296", WEIR_U32, &u32));
    assert_true(is_value("18446744073709551615", WEIR_U64, &u64) && u64 == UINT64_MAX);
    assert_false(is_value("18446744073709551616", WEIR_U64, &u64));
    assert_false(is_value("99999999999999999999999", WEIR_U64, &u64));
    assert_true(is_value("-2147483648", WEIR_I32, &i32) && i32 == INT32_MIN);
    assert_true(is_value("2147483647", WEIR_I32, &i32) && i32 == INT32_MAX);
    assert_false(is_value("2147483648", WEIR_I32, &i32));
    assert_false(is_value("-2147483649", WEIR_I32, &i32));
    assert_true(is_value("-9223372036854775808", WEIR_I64, &i64) && i64 == INT64_MIN);
    assert_false(is_value("9223372036854775808", WEIR_I64, &i64));
    static const char *const none[] = { "", "x", "1x", "1 2", "0x10", "1.0", "1e3", "-", "+", "--1" };
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_false(is_value(none[i], WEIR_I64, &i64));
        assert_false(is_value(none[i], WEIR_U32, &u32));
    }
}

static void reals_and_their_ends(void **unused)
{
    double d;
    float f;

    (void)unused;
    assert_true(is_value("0.1", WEIR_F64, &d) && d == 0.1);
    assert_true(is_value("-1.5e3", WEIR_F64, &d) && d == -1500);
    assert_true(is_value(".5", WEIR_F64, &d) && d == 0.5);
    assert_true(is_value("5.", WEIR_F64, &d) && d == 5);
    assert_true(is_value("+2E+2", WEIR_F64, &d) && d == 200);
    assert_true(is_value("1.7976931348623157e308", WEIR_F64, &d) && d == 0x1.fffffffffffffp1023);
    assert_false(is_value("1.8e308", WEIR_F64, &d));
    assert_true(is_value("0.1", WEIR_F32, &f) && f == 0.1f);
    /* Rounded once: by way of double this would be 1. */
    assert_true(is_value("1.00000005960464477540", WEIR_F32, &f) && f == 0x1.000002p0f);
    assert_false(is_value("3.5e38", WEIR_F32, &f));
    static const char *const none[] = { "",    "nan",  "inf", "-infinity", "0x1p3", "1e",   "1e+",
                                        ".",   "-.",   "e5",  "1,5",       "1..5",  "1.5f", " 1.5",
                                        "1.5 ", "1_000" };
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_false(is_value(none[i], WEIR_F64, &d));
        assert_false(is_value(none[i], WEIR_F32, &f));
    }
}

static void wrong_values_are_shown_safely(void **unused)
{
    op_csv *csv = open_text("ill\n\x1b[2J0123456789012345678901234567890123456789\n");
    uint8_t u8;

    (void)unused;
    assert_int_equal(op_csv_next(csv), OP_CSV_ROW);
    assert_int_equal(op_csv_value(csv, 0, WEIR_U8, &u8), WEIR_FAILED);
    assert_string_equal(op_csv_error(csv), "t.csv:2: column ill: expected u8, found "
                                           "\"?[2J012345678901234567890123456789012345...\"");
    op_csv_close(&csv);
}

/* ---- files ---- */

static void write_file(const char *text)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static void unreadable_files(void **unused)
{
    char error[OP_CSV_ERROR_MAX];
    uint64_t lines;
    op_csv *csv;

    (void)unused;
    assert_int_equal(op_csv_open(&csv, "/nowhere/x.csv", error), WEIR_FAILED);
    assert_string_equal(error, "/nowhere/x.csv: No such file or directory");
    assert_int_equal(op_csv_open(&csv, "/dev/zero", error), WEIR_FAILED);
    assert_string_equal(error, "/dev/zero: not a regular file");
    assert_int_equal(op_csv_open(&csv, "/tmp", error), WEIR_FAILED);
    assert_string_equal(error, "/tmp: not a regular file");
    assert_null(csv);
    assert_int_equal(op_csv_line_count("/nowhere/x.csv", &lines, error), WEIR_FAILED);
}

/* Records lie across the borders of the reader's window. */
static void long_files_are_read_whole(void **unused)
{
    char error[OP_CSV_ERROR_MAX];
    FILE *f = fopen(path, "wb");
    uint64_t lines, n = 0;
    op_csv *csv;

    (void)unused;
    fprintf(f, "a,\"b\"\r\n");
    for (int i = 0; i < 50000; i++)
        fprintf(f, "%d,\"%d,\"\"\"\r\n", i, i * 7);
    fclose(f);
    assert_int_equal(op_csv_line_count(path, &lines, error), WEIR_OK);
    assert_int_equal(lines, 50002);
    assert_int_equal(op_csv_open(&csv, path, error), WEIR_OK);
    while (op_csv_next(csv) == OP_CSV_ROW) {
        char expected[32];
        uint64_t a;
        (void)snprintf(expected, sizeof(expected), "%d,\"", (int)n * 7);
        assert_int_equal(op_csv_value(csv, 0, WEIR_U64, &a), WEIR_OK);
        assert_int_equal(a, n);
        assert_string_equal(op_csv_text(csv, 1), expected);
        n++;
    }
    assert_string_equal(op_csv_error(csv), "");
    assert_int_equal(n, 50000);
    op_csv_close(&csv);
}

/* ---- the source ---- */

typedef struct options {
    _Alignas(16) char bytes[4096];
} options;

static void set_text(const weir_operator *kind, options *o, const char *name, const char *text)
{
    const weir_option *option = kind->options;

    while (option->name != NULL && strcmp(option->name, name) != 0)
        option++;
    assert_non_null(option->name);
    memcpy(o->bytes + option->offset, &text, sizeof(text));
}

static const weir_schema boys = { .column_count = 2,
                                  .columns = { { "school", WEIR_U32 }, { "weight", WEIR_F32 } } };

static weir_status source_plan(weir_plan *plan, options *o, const weir_schema *target,
                               const char *key)
{
    memset(plan, 0, sizeof(*plan));
    plan->target = target;
    set_text(&op_csv_source, o, "file", path);
    set_text(&op_csv_source, o, "key", key);
    return op_csv_source.plan(plan, o);
}

static weir_status source_process(const weir_plan *plan, options *o)
{
    weir_task task = { .options = o };

    fake_output_schema = plan->output;
    fake_failure[0] = '\0';
    return op_csv_source.process(&task);
}

static void source_reads_the_columns_of_its_state(void **unused)
{
    options o = { { 0 } };
    weir_plan plan;

    (void)unused;
    write_file("weight,name,school\n40.5,ann,3\n# none\n\n1e1,bo,4\n");
    assert_int_equal(source_plan(&plan, &o, &boys, ""), WEIR_OK);
    assert_int_equal(plan.output.column_count, 2);
    assert_string_equal(plan.output.columns[0].name, "school");
    assert_int_equal(plan.output.columns[0].type, WEIR_U32);
    assert_int_equal(source_process(&plan, &o), WEIR_OK);
    assert_int_equal(fake_output->row_count, 2);
    assert_int_equal(fake_output->keys[1], 1);
    assert_int_equal(((uint32_t *)fake_output->columns[0])[0], 3);
    assert_int_equal(((uint32_t *)fake_output->columns[0])[1], 4);
    assert_true(((float *)fake_output->columns[1])[0] == 40.5f);
    assert_true(((float *)fake_output->columns[1])[1] == 10.0f);
}

static void source_without_a_state_reads_all_columns(void **unused)
{
    options o = { { 0 } };
    weir_plan plan;

    (void)unused;
    write_file("id,a,b\n12,1,2\n7,-3,0.5\n");
    assert_int_equal(source_plan(&plan, &o, NULL, "id"), WEIR_OK);
    assert_int_equal(plan.output.column_count, 2);
    assert_string_equal(plan.output.columns[1].name, "b");
    assert_int_equal(source_process(&plan, &o), WEIR_OK);
    assert_int_equal(fake_output->row_count, 2);
    assert_int_equal(fake_output->keys[0], 12);
    assert_int_equal(fake_output->keys[1], 7);
    assert_true(((double *)fake_output->columns[0])[1] == -3);
    /* A file of nothing but its header has no rows. */
    write_file("id,a,b\n");
    assert_int_equal(source_process(&plan, &o), WEIR_OK);
    assert_int_equal(fake_output->row_count, 0);
}

static void expect_plan_error(const char *text, const weir_schema *target, const char *key,
                              const char *expected)
{
    options o = { { 0 } };
    weir_plan plan;

    write_file(text);
    assert_int_equal(source_plan(&plan, &o, target, key), WEIR_FAILED);
    if (strstr(plan.errors, expected) == NULL)
        fail_msg("%s", plan.errors);
}

static void source_checks_the_header_first(void **unused)
{
    static char many[OP_CSV_FIELDS_MAX];
    size_t used = 0;

    (void)unused;
    expect_plan_error("", &boys, "", "no header");
    expect_plan_error("school,height\n", &boys, "", "has no column weight; it has school, height\n");
    expect_plan_error("school,weight\n", &boys, "id", "key: ");
    expect_plan_error("a,x y\n", NULL, "", "\"x y\" cannot be the name of a column");
    expect_plan_error("id,x\n", NULL, "", "\"id\" cannot be the name of a column");
    for (int i = 0; i <= WEIR_COLUMNS_MAX; i++)
        used += (size_t)snprintf(many + used, sizeof(many) - used, "%sc%d", i ? "," : "", i);
    expect_plan_error(many, NULL, "", "has 65 columns, a stream has at most 64");
    unlink(path);
    options o = { { 0 } };
    weir_plan plan;
    assert_int_equal(source_plan(&plan, &o, &boys, ""), WEIR_FAILED);
    assert_non_null(strstr(plan.errors, "No such file"));
}

static void expect_step_error(const char *text, const char *key, const char *expected)
{
    options o = { { 0 } };
    weir_plan plan;

    write_file("id,school,weight\n");
    assert_int_equal(source_plan(&plan, &o, &boys, key), WEIR_OK);
    write_file(text);
    assert_int_equal(source_process(&plan, &o), WEIR_FAILED);
    if (strstr(fake_failure, expected) == NULL)
        fail_msg("%s", fake_failure);
}

static void source_places_bad_rows(void **unused)
{
    options o = { { 0 } };
    weir_plan plan;

    (void)unused;
    expect_step_error("id,school,weight\n1,2,3\n1,x,3\n", "",
                      ".csv:3: column school: expected u32, found \"x\"");
    expect_step_error("id,school,weight\n1,2,nan\n", "", ".csv:2: column weight: expected f32");
    expect_step_error("id,school,weight\n1,2\n", "", ".csv:2: 2 fields, the header has 3");
    expect_step_error("id,school,weight\n-1,2,3\n", "id", ".csv:2: column id: expected u64");
    expect_step_error("id,school,weight\n9223372036854775808,2,3\n", "id",
                      ".csv:2: column id: a key is at most 9223372036854775807");
    expect_step_error("id,school\n1,2\n", "", "its columns have changed");
    expect_step_error("school,weight\n1,2\n", "id", "its columns have changed");
    expect_step_error("", "", "no header");
    write_file("school,weight\n1,2\n");
    assert_int_equal(source_plan(&plan, &o, &boys, ""), WEIR_OK);
    fake_memory_limit = 1;
    assert_int_equal(source_process(&plan, &o), WEIR_FAILED);
    fake_memory_limit = SIZE_MAX;
    unlink(path);
    assert_int_equal(source_process(&plan, &o), WEIR_FAILED);
    assert_non_null(strstr(fake_failure, "No such file"));
}

/* ---- compare ---- */

static const weir_schema curve = { .column_count = 2,
                                   .columns = { { "day", WEIR_I32 }, { "in_bed", WEIR_F64 } } };

static weir_status compare_plan(weir_plan *plan, options *o, const char *on, const char *column)
{
    memset(plan, 0, sizeof(*plan));
    plan->input = curve;
    set_text(&op_compare, o, "file", path);
    set_text(&op_compare, o, "on", on);
    set_text(&op_compare, o, "column", column);
    return op_compare.plan(plan, o);
}

typedef struct carried {
    double squares;
    uint64_t matched;
} carried;

/* One step of one row; the carried columns go on in `carry`. */
static weir_batch *compare_step(const weir_plan *plan, options *o, double time, int32_t day,
                                double in_bed, carried *carry)
{
    carried before = *carry;
    weir_batch old = { .row_count = 1, .columns = { &before.squares, &before.matched } };
    weir_batch new = { .row_count = 1, .columns = { &carry->squares, &carry->matched } };
    weir_batch *row = fake_batch(&curve, 1);
    const weir_batch *list[1] = { row };
    weir_input in = { .exchange = WEIR_GATHER, .batch_count = 1, .batches = list };
    weir_task task = { .options = o, .time = time, .input_count = 1, .inputs = &in,
                       .carried = &old, .carry = &new };

    ((int32_t *)row->columns[0])[0] = day;
    ((double *)row->columns[1])[0] = in_bed;
    fake_output_schema = plan->output;
    assert_int_equal(op_compare.process(&task), WEIR_OK);
    assert_int_equal(fake_output->row_count, 1);
    fake_batch_free(row);
    return fake_output;
}

static double f64_of(const weir_batch *batch, uint32_t column)
{
    return ((const double *)batch->columns[column])[0];
}

static void compare_joins_on_time(void **unused)
{
    options o = { { 0 } };
    carried carry = { 0 };
    weir_plan plan;
    weir_batch *out;

    (void)unused;
    write_file("in_bed,time\n8,2\n3,1\n26,3\n"); /* in any order */
    assert_int_equal(compare_plan(&plan, &o, "time", "in_bed"), WEIR_OK);
    assert_string_equal(plan.output.columns[0].name, "rms");
    assert_string_equal(plan.output.columns[1].name, "matched");
    assert_string_equal(plan.output.columns[2].name, "difference");
    out = compare_step(&plan, &o, 0.5, 0, 99, &carry);
    assert_true(isnan(f64_of(out, 0)) && isnan(f64_of(out, 2)));
    assert_int_equal(((uint64_t *)out->columns[1])[0], 0);
    out = compare_step(&plan, &o, 1, 0, 6, &carry); /* 3 off */
    assert_true(f64_of(out, 0) == 3 && f64_of(out, 2) == 3);
    out = compare_step(&plan, &o, 1.0 + 24 * (1.0 / 24) + 1e-12, 0, 4, &carry); /* 4 below */
    assert_true(f64_of(out, 0) == sqrt(12.5) && f64_of(out, 2) == -4);
    assert_int_equal(((uint64_t *)out->columns[1])[0], 2);
    out = compare_step(&plan, &o, 2.001, 0, 4, &carry); /* no match: the sum stays */
    assert_true(f64_of(out, 0) == sqrt(12.5) && isnan(f64_of(out, 2)));
    assert_true(carry.squares == 25 && carry.matched == 2);
    fake_plan_free(&plan);
}

static void compare_joins_on_a_column(void **unused)
{
    options o = { { 0 } };
    carried carry = { 0 };
    weir_plan plan;

    (void)unused;
    write_file("day,in_bed\n-1,10\n0,20\n5,30\n");
    assert_int_equal(compare_plan(&plan, &o, "day", "in_bed"), WEIR_OK);
    assert_true(f64_of(compare_step(&plan, &o, 5, -1, 11, &carry), 2) == 1);
    assert_true(f64_of(compare_step(&plan, &o, 5, 0, 11, &carry), 2) == -9);
    assert_true(f64_of(compare_step(&plan, &o, 5, 5, 31, &carry), 2) == 1);
    assert_true(isnan(f64_of(compare_step(&plan, &o, 5, 6, 31, &carry), 2)));
    assert_true(isnan(f64_of(compare_step(&plan, &o, 5, -9, 31, &carry), 2)));
    assert_true(carry.matched == 3);
    fake_plan_free(&plan);
}

static void expect_compare_error(const char *text, const char *on, const char *column,
                                 const char *expected)
{
    options o = { { 0 } };
    weir_plan plan;

    write_file(text);
    assert_int_equal(compare_plan(&plan, &o, on, column), WEIR_FAILED);
    if (strstr(plan.errors, expected) == NULL)
        fail_msg("%s", plan.errors);
    fake_plan_free(&plan);
}

static void compare_places_its_errors(void **unused)
{
    options o = { { 0 } };
    weir_plan plan;

    (void)unused;
    expect_compare_error("time,in_bed\n1,2\n1,3\n", "time", "in_bed",
                         ".csv:3: time 1 stands there twice");
    expect_compare_error("time,in_bed\n1,x\n", "time", "in_bed",
                         ".csv:2: column in_bed: expected f64, found \"x\"");
    expect_compare_error("time,in_bed\n1\n", "time", "in_bed", ".csv:2: 1 field");
    expect_compare_error("time,in_bed\n", "time", "in_bed", "no rows");
    expect_compare_error("t,in_bed\n1,2\n", "time", "in_bed", "has no column time; it has t, in_bed");
    expect_compare_error("time,bed\n1,2\n", "time", "in_bed", "has no column in_bed");
    expect_compare_error("week,in_bed\n1,2\n", "week", "in_bed", "no column week");
    expect_compare_error("day,ill\n1,2\n", "day", "ill", "no column ill");
    expect_compare_error("", "day", "in_bed", "no header");
    write_file("time,in_bed\n1,2\n");
    fake_memory_limit = 1;
    assert_int_equal(compare_plan(&plan, &o, "time", "in_bed"), WEIR_FAILED);
    fake_memory_limit = SIZE_MAX;
    assert_non_null(strstr(plan.errors, "out of memory"));
    unlink(path);
    assert_int_equal(compare_plan(&plan, &o, "time", "in_bed"), WEIR_FAILED);
    assert_non_null(strstr(plan.errors, "No such file"));
}

static int make_folder(void **unused)
{
    (void)unused;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/t.csv", folder);
    return 0;
}

static int remove_folder(void **unused)
{
    (void)unused;
    fake_batch_free(fake_output);
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_records),
        cmocka_unit_test(quotes_comments_marks_and_line_ends),
        cmocka_unit_test(wrong_files_are_placed),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(integers_and_their_ends),
        cmocka_unit_test(reals_and_their_ends),
        cmocka_unit_test(wrong_values_are_shown_safely),
        cmocka_unit_test(unreadable_files),
        cmocka_unit_test(long_files_are_read_whole),
        cmocka_unit_test(source_reads_the_columns_of_its_state),
        cmocka_unit_test(source_without_a_state_reads_all_columns),
        cmocka_unit_test(source_checks_the_header_first),
        cmocka_unit_test(source_places_bad_rows),
        cmocka_unit_test(compare_joins_on_time),
        cmocka_unit_test(compare_joins_on_a_column),
        cmocka_unit_test(compare_places_its_errors),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
