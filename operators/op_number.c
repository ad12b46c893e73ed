/* Shortest decimals.
 *
 * A decimal d * 10^-k reads back to the float v when it lies between the midpoints lo and hi of v
 * and its two neighbours. Everything is tried in the 64-bit significand of long double, where v,
 * lo, hi, d (17 digits at most) and 10^k (k <= 27) are exact, so that d / 10^k is rounded once.
 * Rounding is monotonic, and lo and hi are representable: a rounded result strictly between them
 * proves that the exact one is. So a digit too few is never printed; whatever the fast path cannot
 * decide (a result that meets a midpoint, a very large or very small number) goes to snprintf and
 * strtod, which are exact.
 *
 * A shorter candidate cannot work where a longer one fails, so the digits are taken off from the
 * end until one is missed. */
#include "operators/op_number.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(LDBL_MANT_DIG >= 64, "d and 10^27 must be exact in long double");

#define NUMBER_POWER_MAX 27 /* 5^27 < 2^63 */

static const long double number_power[NUMBER_POWER_MAX + 1] = {
    1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,  1e7L,  1e8L,  1e9L,
    1e10L, 1e11L, 1e12L, 1e13L, 1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L,
    1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L,
};

/* A positive value and the midpoints to its neighbours. */
typedef struct number {
    long double v, lo, hi;
    int exponent;   /* 2^exponent <= v < 2^(exponent + 1); any, where v is not normal */
    int digits_max; /* that always read back: 9 or 17 */
} number;

char *op_number_u64(char *out, uint64_t value)
{
    char text[20];
    int n = 0;

    do {
        text[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (n > 0)
        *out++ = text[--n];
    return out;
}

char *op_number_i64(char *out, int64_t value)
{
    if (value >= 0)
        return op_number_u64(out, (uint64_t)value);
    *out++ = '-';
    return op_number_u64(out, -(uint64_t)value);
}

/* x * 10^k */
static long double number_scale(long double x, int k)
{
    return k >= 0 ? x * number_power[k] : x / number_power[-k];
}

/* d * 10^-k as text: plain from 0.0001 to 16 places before the point, else with an exponent. */
static char *number_write(char *out, uint64_t d, int k)
{
    char text[20];
    int n = (int)(op_number_u64(text, d) - text);
    int exponent = n - 1 - k;

    if (exponent < -4 || exponent >= 16) {
        *out++ = text[0];
        if (n > 1)
            *out++ = '.';
        memcpy(out, text + 1, (size_t)n - 1);
        out += n - 1;
        *out++ = 'e';
        return op_number_i64(out, exponent);
    }
    if (exponent < 0) {
        *out++ = '0';
        *out++ = '.';
        for (int i = -1; i > exponent; i--)
            *out++ = '0';
    }
    for (int i = 0; i < n || i <= exponent; i++) {
        if (i == exponent + 1 && exponent >= 0)
            *out++ = '.';
        *out++ = i < n ? text[i] : '0';
    }
    return out;
}

static uint64_t number_nearest(long double x)
{
    return (uint64_t)(int64_t)(x + 0.5L);
}

/* The power k for which v * 10^k has exactly digits_max digits before the point. False: outside the
 * range of exact powers. */
static bool number_first_power(const number *x, int *k)
{
    int ten = (x->exponent * 1233) >> 12; /* log10(2) = 0.30103; at most one too small */
    long double least = number_power[x->digits_max - 1], scaled;

    *k = x->digits_max - 1 - ten;
    if (*k > NUMBER_POWER_MAX || *k <= -NUMBER_POWER_MAX)
        return false;
    scaled = number_scale(x->v, *k);
    if (scaled >= least * 10)
        *k -= 1;
    else if (scaled < least)
        *k += 1;
    return *k <= NUMBER_POWER_MAX;
}

typedef enum number_fit { NUMBER_INSIDE, NUMBER_OUTSIDE, NUMBER_UNDECIDED } number_fit;

/* Whether candidate * 10^-k lies between the midpoints; scaled = v * 10^k, rounded. First without a
 * division: distances to v, scaled, with room for every rounding on the way (each at most 2^-64 of
 * scaled). */
static number_fit number_check(const number *x, uint64_t candidate, long double scaled, int k)
{
    if (k >= 0) {
        long double off = (long double)candidate - scaled, room = scaled * 0x1p-60L;
        long double below = (x->v - x->lo) * number_power[k];
        long double above = (x->hi - x->v) * number_power[k];
        if (-off < below - room && off < above - room)
            return NUMBER_INSIDE;
        if (-off > below + room || off > above + room)
            return NUMBER_OUTSIDE;
    }
    long double back = number_scale((long double)candidate, -k);
    if (back == x->lo || back == x->hi)
        return NUMBER_UNDECIDED;
    return back > x->lo && back < x->hi ? NUMBER_INSIDE : NUMBER_OUTSIDE;
}

/* The shortest d * 10^-k between the midpoints. False: not decided here. */
static bool number_shortest(const number *x, uint64_t *d, int *k)
{
    bool found = false;

    if (!number_first_power(x, k))
        return false;
    for (;; *k -= 1) {
        long double scaled = number_scale(x->v, *k);
        uint64_t candidate = number_nearest(scaled);
        number_fit fit = number_check(x, candidate, scaled, *k);

        if (fit == NUMBER_UNDECIDED)
            return false;
        if (fit == NUMBER_OUTSIDE)
            break;
        found = true;
        for (; candidate % 10 == 0; candidate /= 10)
            *k -= 1;
        *d = candidate;
        if (*k <= -NUMBER_POWER_MAX)
            return false;
    }
    *k += 1;
    return found;
}

/* printf's text with its exponent as number_write has it: 1e+09 becomes 1e9. */
static char *number_tidy(char *out, const char *text)
{
    const char *exponent = strchr(text, 'e');
    size_t n = exponent == NULL ? strlen(text) : (size_t)(exponent - text);

    memcpy(out, text, n);
    out += n;
    if (exponent == NULL)
        return out;
    *out++ = 'e';
    return op_number_i64(out, strtol(exponent + 1, NULL, 10));
}

/* printf and strtod in the "C" locale, whatever the program's is. The "C" locale object is static
 * in the C library, so nothing is allocated. Up to FLT_DIG or DBL_DIG digits
 * any decimal survives, so a normal number needs no search below that. */
static char *number_slow(char *out, double value, int digits_max)
{
    bool normal = digits_max == 9 ? isnormal((float)value) : isnormal(value);
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t old = uselocale(c);
    int digits = !normal ? 1 : digits_max == 9 ? FLT_DIG : DBL_DIG;
    char text[OP_NUMBER_MAX];

    for (;; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        double back = digits_max == 9 ? (double)strtof(text, NULL) : strtod(text, NULL);
        if (back == value || digits == digits_max)
            break;
    }
    uselocale(old);
    freelocale(c);
    return number_tidy(out, text);
}

static char *number_special(char *out, double value)
{
    const char *text = value != value ? "nan" : value > 0 ? "inf" : value < 0 ? "-inf" : "0";

    if (value == 0 && signbit(value))
        text = "-0";
    memcpy(out, text, strlen(text));
    return out + strlen(text);
}

char *op_number_f32(char *out, float value)
{
    float v = value < 0 ? -value : value;
    number x = { .v = v, .digits_max = 9 };
    uint64_t d;
    uint32_t bits;
    int k;

    if (!isfinite(value) || value == 0)
        return number_special(out, value);
    memcpy(&bits, &v, sizeof(bits));
    float next[2];
    memcpy(&next[0], &(uint32_t){ bits - 1 }, sizeof(bits));
    memcpy(&next[1], &(uint32_t){ bits + 1 }, sizeof(bits));
    x.lo = (x.v + next[0]) / 2;
    x.hi = (x.v + next[1]) / 2;
    x.exponent = (int)(bits >> (FLT_MANT_DIG - 1)) - (FLT_MAX_EXP - 1);
    if (!number_shortest(&x, &d, &k))
        return number_slow(out, value, 9);
    if (value < 0)
        *out++ = '-';
    return number_write(out, d, k);
}

char *op_number_f64(char *out, double value)
{
    double v = value < 0 ? -value : value;
    number x = { .v = v, .digits_max = 17 };
    uint64_t d, bits;
    int k;

    if (!isfinite(value) || value == 0)
        return number_special(out, value);
    memcpy(&bits, &v, sizeof(bits));
    double next[2];
    memcpy(&next[0], &(uint64_t){ bits - 1 }, sizeof(bits));
    memcpy(&next[1], &(uint64_t){ bits + 1 }, sizeof(bits));
    x.lo = (x.v + next[0]) / 2;
    x.hi = (x.v + next[1]) / 2;
    x.exponent = (int)(bits >> (DBL_MANT_DIG - 1)) - (DBL_MAX_EXP - 1);
    if (!number_shortest(&x, &d, &k))
        return number_slow(out, value, 17);
    if (value < 0)
        *out++ = '-';
    return number_write(out, d, k);
}

char *op_number_value(char *out, weir_type type, const void *column, uint32_t row)
{
    switch (type) {
    case WEIR_F32:
        return op_number_f32(out, ((const float *)column)[row]);
    case WEIR_F64:
        return op_number_f64(out, ((const double *)column)[row]);
    case WEIR_I32:
        return op_number_i64(out, ((const int32_t *)column)[row]);
    case WEIR_I64:
        return op_number_i64(out, ((const int64_t *)column)[row]);
    case WEIR_U32:
        return op_number_u64(out, ((const uint32_t *)column)[row]);
    case WEIR_U64:
        return op_number_u64(out, ((const uint64_t *)column)[row]);
    case WEIR_U8:
        return op_number_u64(out, ((const uint8_t *)column)[row]);
    }
    return out;
}

double op_number_as_f64(weir_type type, const void *column, uint32_t row)
{
    switch (type) {
    case WEIR_F32:
        return (double)((const float *)column)[row];
    case WEIR_F64:
        return ((const double *)column)[row];
    case WEIR_I32:
        return ((const int32_t *)column)[row];
    case WEIR_I64:
        return (double)((const int64_t *)column)[row];
    case WEIR_U32:
        return ((const uint32_t *)column)[row];
    case WEIR_U64:
        return (double)((const uint64_t *)column)[row];
    case WEIR_U8:
        return ((const uint8_t *)column)[row];
    }
    return 0;
}
