/* The progress line: numbers as people read them, rates of a window, and never wider than it may. */
#include "coordinator/coord_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *count_text(double value)
{
    static char text[32];

    coord_line_count(text, sizeof text, value);
    return text;
}

static const char *grouped(uint64_t value)
{
    static char text[32];

    coord_line_grouped(text, sizeof text, value);
    return text;
}

static void test_numbers(void **state)
{
    (void)state;
    assert_string_equal(count_text(0), "0.00");
    assert_string_equal(count_text(9.994), "9.99");
    assert_string_equal(count_text(9.996), "10.0");
    assert_string_equal(count_text(99.96), "100");
    assert_string_equal(count_text(999.4), "999");
    assert_string_equal(count_text(999.6), "1.00 k");
    assert_string_equal(count_text(14.62e6), "14.6 M");
    assert_string_equal(count_text(2e15), "2000 T");
    assert_string_equal(grouped(0), "0");
    assert_string_equal(grouped(999), "999");
    assert_string_equal(grouped(1000), "1,000");
    assert_string_equal(grouped(1000000), "1,000,000");
    assert_string_equal(grouped(UINT64_MAX), "18,446,744,073,709,551,615");
}

static const char *line_of(const coord_samples *s, uint64_t steps, uint32_t width, bool utf8)
{
    static char line[COORD_LINE_MAX];
    size_t size = coord_line_format(line, s, steps, (coord_line_style){ width, utf8, NULL });

    assert_int_equal(size, strlen(line));
    return line;
}

/* Columns on a screen: bytes that do not continue a character. */
static uint32_t columns(const char *text)
{
    uint32_t count = 0;

    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static void test_line(void **state)
{
    coord_samples s = { 0 };

    (void)state;
    coord_samples_put(&s, (coord_sample){ 10, 0, 1000 });
    assert_string_equal(line_of(&s, 600, 0, false), "step   0/600");
    coord_samples_put(&s, (coord_sample){ 12, 150, 150001000 });
    assert_string_equal(line_of(&s, 600, 0, false), "step 150/600  75.0 M row-steps/s  6 s left");
    assert_string_equal(line_of(&s, 600, 80, false),
                        "step 150/600  ######------------------  75.0 M row-steps/s  6 s left");
    assert_string_equal(line_of(&s, 600, 60, true),
                        "step 150/600  ▓▓▓░░░░░░░░░░░░  75.0 M row-steps/s  6 s left");
    coord_samples_put(&s, (coord_sample){ 20, 600, 600001000 });
    assert_string_equal(line_of(&s, 600, 0, false), "step 600/600  60.0 M row-steps/s");
}

static void test_widths(void **state)
{
    coord_samples s = { 0 };

    (void)state;
    coord_samples_put(&s, (coord_sample){ 0, 0, 0 });
    coord_samples_put(&s, (coord_sample){ 1, 3, 12345678 });
    for (uint32_t width = 1; width < 200; width++)
        for (int utf8 = 0; utf8 < 2; utf8++)
            assert_true(columns(line_of(&s, 100000, width, utf8 != 0)) < width);
}

static void test_left(void **state)
{
    static const struct {
        uint64_t steps;
        const char *text;
    } cases[] = {
        { 100, "99 s left" },        { 101, "2 min left" }, { 5960, "99 min left" },
        { 5971, "2 h left" }, { 358000, "99 h left" }, { 3600001, "42 days left" },
    };
    coord_samples s = { 0 };

    (void)state;
    coord_samples_put(&s, (coord_sample){ 0, 0, 0 });
    coord_samples_put(&s, (coord_sample){ 1, 1, 1 });
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_non_null(strstr(line_of(&s, cases[i].steps, 0, false), cases[i].text));
}

/* A job that returns to a snapshot has no speed until it has got on. */
static void test_back(void **state)
{
    coord_samples s = { 0 };

    (void)state;
    for (int i = 0; i <= 100; i++)
        coord_samples_put(&s, (coord_sample){ i, 10 * (uint64_t)i, 0 });
    coord_samples_put(&s, (coord_sample){ 101, 500, 0 });
    assert_string_equal(line_of(&s, 2000, 0, false), "step  500/2000");
    coord_samples_put(&s, (coord_sample){ 103, 510, 0 });
    assert_string_equal(line_of(&s, 2000, 0, false), "step  510/2000  5.00 steps/s  5 min left");
}

/* A note takes the place of the time left and of the bar, and goes where there is no room for it. */
static void test_note(void **state)
{
    static const char note[] = "rescale 12/80 key groups, longest step 52 ms";
    coord_line_style style = { .note = note };
    char line[COORD_LINE_MAX];
    coord_samples s = { 0 };

    (void)state;
    coord_samples_put(&s, (coord_sample){ 0, 0, 0 });
    coord_samples_put(&s, (coord_sample){ 1, 20, 0 });
    coord_line_format(line, &s, 100000, style);
    assert_string_equal(line, "step     20/100000  20.0 steps/s  "
                              "rescale 12/80 key groups, longest step 52 ms");
    for (style.width = 1; style.width < 200; style.width++) {
        coord_line_format(line, &s, 100000, style);
        assert_true(columns(line) < style.width);
        assert_true((strstr(line, note) != NULL) == (style.width > 78));
    }
    style = (coord_line_style){ .width = 80, .note = "" };
    coord_line_format(line, &s, 100000, style);
    assert_non_null(strstr(line, "min left"));
}

/* The rate is of the last samples only; while a step takes longer than the window, the time left
 * comes from all steps so far. */
static void test_window(void **state)
{
    coord_samples s = { 0 };

    (void)state;
    coord_samples_put(&s, (coord_sample){ 0, 0, 0 });
    for (int i = 1; i <= 100; i++) /* 10 rows a second, one step a second */
        coord_samples_put(&s, (coord_sample){ i, (uint64_t)i, 10 * (uint64_t)i });
    for (int i = 1; i <= COORD_LINE_SAMPLES; i++) /* then 50 rows a second within one step */
        coord_samples_put(&s, (coord_sample){ 100 + i, 100, 1000 + 50 * (uint64_t)i });
    assert_string_equal(line_of(&s, 200, 0, false), "step 100/200  50.0 row-steps/s  3 min left");
}

static void test_closing(void **state)
{
    char text[96];

    (void)state;
    coord_line_closing(text, sizeof text, 600, 12.63, 600000000);
    assert_string_equal(text, "600 steps in 12.6 s, 47.5 M row-steps/s");
    coord_line_closing(text, sizeof text, 1, 0.14, 0); /* one step makes no state that is measured */
    assert_string_equal(text, "1 step in 0.1 s");
    coord_line_closing(text, sizeof text, 2, 0, 5);
    assert_string_equal(text, "2 steps in 0.0 s");
}

static void test_late(void **state)
{
    char text[32];

    (void)state;
    coord_line_late(text, sizeof text, 0, 3);
    assert_string_equal(text, "");
    coord_line_late(text, sizeof text, 10, 0);
    assert_string_equal(text, ", no step late");
    coord_line_late(text, sizeof text, 10, 1);
    assert_string_equal(text, ", 1 step late");
    coord_line_late(text, sizeof text, 0.5, 2);
    assert_string_equal(text, ", 2 steps late");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_line), cmocka_unit_test(test_widths),
        cmocka_unit_test(test_left),    cmocka_unit_test(test_window),
        cmocka_unit_test(test_note), cmocka_unit_test(test_late),    cmocka_unit_test(test_back), cmocka_unit_test(test_closing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
