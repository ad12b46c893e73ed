/* The functions that a job's expressions may call, with the same bits on every machine. */
#ifndef DF_MATH_H
#define DF_MATH_H

#include <stddef.h>

#define DF_MATH_ARGUMENTS_MAX 2

typedef struct df_math_function {
    const char *name;
    const char *help;
    unsigned argument_count; /* 1 or 2; with 1, b is not looked at */
    double (*call)(double a, double b);
} df_math_function;

/* All functions, in the order of the manual. */
const df_math_function *df_math_functions(size_t *count);

/* a to the power of b, as C99's pow. */
double df_math_pow(double a, double b);

#endif
