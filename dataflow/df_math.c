#include "dataflow/df_math.h"

#include <math.h>

#include "kernels/kern_math.h"

static double math_sqrt(double a, double b)
{
    (void)b;
    return sqrt(a);
}

static double math_cbrt(double a, double b)
{
    (void)b;
    return kern_cbrt(a);
}

static double math_exp(double a, double b)
{
    (void)b;
    return kern_exp(a);
}

static double math_log(double a, double b)
{
    (void)b;
    return kern_log(a);
}

static double math_sin(double a, double b)
{
    (void)b;
    return kern_sin(a);
}

static double math_cos(double a, double b)
{
    (void)b;
    return kern_cos(a);
}

double df_math_pow(double a, double b)
{
    return kern_pow(a, b);
}

static double math_min(double a, double b)
{
    return kern_min(a, b);
}

static double math_max(double a, double b)
{
    return kern_max(a, b);
}

static double math_abs(double a, double b)
{
    (void)b;
    return fabs(a);
}

/* sqrt, floor, ceil and round are exact, whoever computes them. */
static double math_floor(double a, double b)
{
    (void)b;
    return floor(a);
}

static double math_ceil(double a, double b)
{
    (void)b;
    return ceil(a);
}

static double math_round(double a, double b)
{
    (void)b;
    return round(a);
}

static const df_math_function math_functions[] = {
    { "sqrt", "square root", 1, math_sqrt },
    { "cbrt", "cube root", 1, math_cbrt },
    { "exp", "e to the power of a", 1, math_exp },
    { "log", "natural logarithm", 1, math_log },
    { "sin", "sine, of radians", 1, math_sin },
    { "cos", "cosine, of radians", 1, math_cos },
    { "pow", "a to the power of b", 2, df_math_pow },
    { "min", "the smaller of two", 2, math_min },
    { "max", "the larger of two", 2, math_max },
    { "abs", "without its sign", 1, math_abs },
    { "floor", "down to a whole number", 1, math_floor },
    { "ceil", "up to a whole number", 1, math_ceil },
    { "round", "to the nearest whole number, halves away from zero", 1, math_round },
};

const df_math_function *df_math_functions(size_t *count)
{
    *count = sizeof math_functions / sizeof *math_functions;
    return math_functions;
}
