/* Text as numbers: checked here, because what the C library takes is more than a file should hold
 * (hexadecimal, blanks, "nan", "1,5" in some locales). */
#include "operators/op_number.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *number_skip_digits(const char *p)
{
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

/* [+-] digits [. digits] [e [+-] digits], at least one digit before the exponent. */
static bool number_is_real(const char *p)
{
    const char *digits, *point;

    p += *p == '+' || *p == '-';
    digits = p;
    p = number_skip_digits(p);
    point = p;
    if (*p == '.')
        p = number_skip_digits(p + 1);
    if (p == digits || (point == digits && p == point + 1))
        return false;
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '+' || p[1] == '-');
        if (*p < '0' || *p > '9')
            return false;
        p = number_skip_digits(p);
    }
    return *p == '\0';
}

/* strtod and strtof read as in the "C" locale, whose object is static in the C library. */
static bool number_real(const char *text, weir_type type, void *value)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double wide = 0;
    float narrow = 0;

    if (!number_is_real(text))
        return false;
    if (type == WEIR_F32) {
        narrow = strtof_l(text, NULL, c);
        memcpy(value, &narrow, sizeof(narrow));
    } else {
        wide = strtod_l(text, NULL, c);
        memcpy(value, &wide, sizeof(wide));
    }
    freelocale(c);
    return isfinite(narrow) && isfinite(wide);
}

/* Digits with a sign. Magnitude and sign apart, so that INT64_MIN is read. */
static bool number_magnitude(const char *p, bool *negative, uint64_t *magnitude)
{
    *negative = *p == '-';
    p += *p == '+' || *p == '-';
    *magnitude = 0;
    if (*p == '\0')
        return false;
    for (; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(*magnitude, 10u, magnitude) ||
            __builtin_add_overflow(*magnitude, (uint64_t)(*p - '0'), magnitude))
            return false;
    }
    return true;
}

static bool number_unsigned(const char *text, weir_type type, void *value)
{
    uint64_t most = type == WEIR_U8 ? UINT8_MAX : type == WEIR_U32 ? UINT32_MAX : UINT64_MAX;
    uint64_t magnitude;
    bool negative;

    if (!number_magnitude(text, &negative, &magnitude) || magnitude > most ||
        (negative && magnitude != 0))
        return false;
    if (type == WEIR_U8)
        *(uint8_t *)value = (uint8_t)magnitude;
    else if (type == WEIR_U32)
        *(uint32_t *)value = (uint32_t)magnitude;
    else
        *(uint64_t *)value = magnitude;
    return true;
}

static bool number_signed(const char *text, weir_type type, void *value)
{
    uint64_t most = type == WEIR_I32 ? INT32_MAX : INT64_MAX;
    uint64_t magnitude;
    bool negative;

    if (!number_magnitude(text, &negative, &magnitude) || magnitude > most + negative)
        return false;
    if (negative)
        magnitude = -magnitude; /* two's complement */
    if (type == WEIR_I32)
        *(int32_t *)value = (int32_t)magnitude;
    else
        *(int64_t *)value = (int64_t)magnitude;
    return true;
}

bool op_number_read(const char *text, weir_type type, void *value)
{
    if (type == WEIR_F32 || type == WEIR_F64)
        return number_real(text, type, value);
    if (type == WEIR_I32 || type == WEIR_I64)
        return number_signed(text, type, value);
    return number_unsigned(text, type, value);
}
