/* Numbers as text. Oracle: the C library's exact printf and strtod, tried digit by digit. Where a
 * value lies halfway between two decimals printf takes the even one, and below a power of two that
 * one may be too far: ours may be a digit shorter, never longer. */
#include "operators/op_number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint64_t state;

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1du;
}

static int significant(const char *text)
{
    int digits = 0, zeros = 0;

    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (digits == 0 && *text == '0'))
            continue;
        digits++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return digits - zeros;
}

static void check_f64(double value)
{
    char text[OP_NUMBER_MAX + 1], shortest[400];
    int digits = 1;
    double back;

    char *end = op_number_f64(text, value);
    assert_true(end - text <= OP_NUMBER_MAX);
    *end = '\0';
    back = strtod(text, NULL);
    assert_memory_equal(&back, &value, sizeof(value));
    do
        (void)snprintf(shortest, sizeof(shortest), "%.*g", digits++, value);
    while (strtod(shortest, NULL) != value);
    assert_true(significant(text) <= significant(shortest));
}

static void check_f32(float value)
{
    char text[OP_NUMBER_MAX + 1], shortest[400];
    int digits = 1;
    float back;

    *op_number_f32(text, value) = '\0';
    back = strtof(text, NULL);
    assert_memory_equal(&back, &value, sizeof(value));
    do
        (void)snprintf(shortest, sizeof(shortest), "%.*g", digits++, (double)value);
    while (strtof(shortest, NULL) != value);
    assert_true(significant(text) <= significant(shortest));
}

static int draws(void)
{
    const char *all = getenv("WEIR_LONG");

    return all != NULL && strcmp(all, "1") == 0 ? 1000000 : 50000;
}

static void random_bits_read_back_and_are_shortest(void **unused)
{
    const int count = draws();

    (void)unused;
    state = 1;
    for (int i = 0; i < count; i++) {
        uint64_t bits = draw();
        uint32_t half = (uint32_t)(bits >> 32);
        double d;
        float f;
        memcpy(&d, &bits, sizeof(d));
        memcpy(&f, &half, sizeof(f));
        if (d - d == 0)
            check_f64(d);
        if (f - f == 0)
            check_f32(f);
    }
}

/* Where people's numbers are: the fast path. */
static void usual_numbers_read_back_and_are_shortest(void **unused)
{
    const int count = draws();

    (void)unused;
    state = 2;
    for (int i = 0; i < count; i++) {
        double d = (double)(int64_t)draw() / 9.2e18 * (i % 3 == 0 ? 1e-5 : i % 3 == 1 ? 6.3 : 1e9);
        check_f64(d);
        check_f32((float)d);
        check_f64((double)(int64_t)(draw() % 100000) / 1000);
        check_f32((float)(draw() % 100000) / 1000);
    }
}

/* Powers of two have a nearer neighbour below; powers of ten meet midpoints (1e23). */
static void edges_of_binades_and_decades(void **unused)
{
    (void)unused;
    for (int e = -1074; e <= 1023; e++) {
        double d = e < -1022 ? 4.9406564584124654e-324 : 2.2250738585072014e-308;
        for (int i = e < -1022 ? -1074 : -1022; i < e; i++)
            d *= 2;
        check_f64(d);
        if (d <= 3.4e38 && d >= 1.5e-45)
            check_f32((float)d);
    }
    for (int e = -320; e <= 308; e++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "1e%d", e);
        check_f64(strtod(text, NULL));
        if (e <= 38 && e >= -45)
            check_f32(strtof(text, NULL));
    }
    check_f64(1.7976931348623157e308);
    check_f32(3.4028234664e38f);
}

static void expect_f64(double value, const char *expected)
{
    char text[OP_NUMBER_MAX + 1];

    *op_number_f64(text, value) = '\0';
    assert_string_equal(text, expected);
}

static void written_as_people_write(void **unused)
{
    (void)unused;
    expect_f64(0.1, "0.1");
    expect_f64(-2.5, "-2.5");
    expect_f64(100, "100");
    expect_f64(1234.5, "1234.5");
    expect_f64(0.0001, "0.0001");
    expect_f64(0.00001234, "1.234e-5");
    expect_f64(1e15, "1000000000000000");
    expect_f64(1e16, "1e16");
    expect_f64(1e23, "1e23");
    expect_f64(1.5e300, "1.5e300");
    expect_f64(0.0, "0");
    expect_f64(-0.0, "-0");
    expect_f64(__builtin_nan(""), "nan");
    expect_f64(__builtin_inf(), "inf");
    expect_f64(-__builtin_inf(), "-inf");
}

static void integers_at_their_ends(void **unused)
{
    static const int64_t least = INT64_MIN;
    static const uint64_t most = UINT64_MAX;
    static const int32_t small[2] = { 7, INT32_MIN };
    static const uint8_t byte = 255;
    char text[OP_NUMBER_MAX + 1];

    (void)unused;
    *op_number_value(text, WEIR_I64, &least, 0) = '\0';
    assert_string_equal(text, "-9223372036854775808");
    *op_number_value(text, WEIR_U64, &most, 0) = '\0';
    assert_string_equal(text, "18446744073709551615");
    *op_number_value(text, WEIR_I32, small, 1) = '\0';
    assert_string_equal(text, "-2147483648");
    *op_number_value(text, WEIR_U8, &byte, 0) = '\0';
    assert_string_equal(text, "255");
    assert_true(op_number_as_f64(WEIR_I32, small, 1) == -2147483648.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bits_read_back_and_are_shortest),
        cmocka_unit_test(usual_numbers_read_back_and_are_shortest),
        cmocka_unit_test(edges_of_binades_and_decades),
        cmocka_unit_test(written_as_people_write),
        cmocka_unit_test(integers_at_their_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
