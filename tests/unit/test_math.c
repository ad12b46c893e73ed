/* kern_math.h and kern_trig.h: accuracy against the C library's wider functions, and one hash per
 * function over a large set of inputs, which must be the same for every compiler, optimisation
 * level and vector width. Special values are in test_math_special.c.
 *
 * WEIR_TEST_EXHAUSTIVE=1 measures all floats and 2^26 doubles per kind of input: the figures in
 * the header comments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "kernels/kern_math.h"
#include "tests/support/ulp.h"

enum { BLOCK = 4096 };

static int exhaustive(void)
{
    const char *text = getenv("WEIR_TEST_EXHAUSTIVE");

    return text != NULL && text[0] == '1';
}

/* ---- the functions under test, over arrays: the vectorised loops are what is tested ---- */

#define LOOP(name, type)                                                                           \
    static void loop_##name(const type *x, const type *y, type *out)                               \
    {                                                                                              \
        (void)y;                                                                                   \
        for (int i = 0; i < BLOCK; i++)                                                            \
            out[i] = kern_##name(x[i]);                                                            \
    }
#define LOOP2(name, type)                                                                          \
    static void loop_##name(const type *x, const type *y, type *out)                               \
    {                                                                                              \
        for (int i = 0; i < BLOCK; i++)                                                            \
            out[i] = kern_##name(x[i], y[i]);                                                      \
    }
LOOP(expf, float)
LOOP(logf, float)
LOOP(sinf, float)
LOOP(cosf, float)
LOOP2(powf, float)
LOOP(exp, double)
LOOP(log, double)
LOOP(sin, double)
LOOP(cos, double)
LOOP(cbrt, double)
LOOP2(pow, double)

/* The C library's functions of one argument, in the shape of those of two. */
#define ORACLE(name, type)                                                                         \
    static type oracle_##name(type x, type y)                                                      \
    {                                                                                              \
        (void)y;                                                                                   \
        return name(x);                                                                            \
    }
ORACLE(exp, double)
ORACLE(log, double)
ORACLE(sin, double)
ORACLE(cos, double)
ORACLE(expl, long double)
ORACLE(logl, long double)
ORACLE(sinl, long double)
ORACLE(cosl, long double)
ORACLE(cbrtl, long double)

/* ---- inputs: block number -> BLOCK inputs ---- */

typedef void (*fill_f32)(float *x, float *y, uint64_t block);
typedef void (*fill_f64)(double *x, double *y, uint64_t block);

/* All floats, in 2^20 blocks that each span every sign and exponent. */
static void all_floats(float *x, float *y, uint64_t block)
{
    for (uint32_t i = 0; i < BLOCK; i++) {
        x[i] = kern_f32_from_bits(i << 20 | (uint32_t)block);
        y[i] = 0.0f;
    }
}

/* Pairs for powf: any bits; x near 1; and y that puts the result anywhere in the format. */
static void pairs_f32(float *x, float *y, uint64_t block)
{
    uint64_t state = block;

    for (uint32_t i = 0; i < BLOCK; i++) {
        uint64_t u = ulp_next(&state);
        float near_one = kern_f32_from_bits(0x3f800000 + ((uint32_t)(u & 0xffff) - 0x8000));

        x[i] = i % 3 == 1 ? near_one : kern_f32_from_bits((uint32_t)u & 0x7fffffff);
        y[i] = kern_f32_from_bits((uint32_t)(u >> 32));
        if (i % 3 != 0)
            y[i] = (float)(ulp_uniform(&state, -105.0, 90.0) / kern_log((double)x[i]));
    }
}

static void range_f64(double *x, double *y, uint64_t block, double low, double high)
{
    uint64_t state = block;

    for (uint32_t i = 0; i < BLOCK; i++) {
        x[i] = ulp_uniform(&state, low, high);
        y[i] = 0.0;
    }
}

static void exp_range(double *x, double *y, uint64_t block)
{
    range_f64(x, y, block, -746.0, 710.0);
}

static void unit_range(double *x, double *y, uint64_t block)
{
    range_f64(x, y, block, -1.0, 1.0);
}

static void around_one(double *x, double *y, uint64_t block)
{
    range_f64(x, y, block, 0.5, 2.0);
}

static void hundred(double *x, double *y, uint64_t block)
{
    range_f64(x, y, block, -100.0, 100.0);
}

static void any_bits(double *x, double *y, uint64_t block)
{
    uint64_t state = block;

    for (uint32_t i = 0; i < BLOCK; i++) {
        x[i] = kern_f64_from_bits(ulp_next(&state));
        y[i] = 0.0;
    }
}

/* The doubles next to multiples of pi/2, up to 2^60 of them: n pi/2 as the double nearest to n
 * times the first double of pi/2, where the next one does not reach, and near it where it does. */
static void near_quarters(double *x, double *y, uint64_t block)
{
    uint64_t state = block;

    for (uint32_t i = 0; i < BLOCK; i++) {
        double n = (double)(ulp_next(&state) >> 4 >> (i % 60));

        x[i] = kern_fma(n, 0x1.921fb54442d18p+0, n * 0x1.1a62633145c07p-54);
        y[i] = 0.0;
    }
}

/* Pairs whose power lies anywhere in the format; a third has x near 1, a third an integer y. */
static void pairs_f64(double *x, double *y, uint64_t block)
{
    uint64_t state = block;

    for (uint32_t i = 0; i < BLOCK; i++) {
        double any = kern_f64_from_bits(ulp_next(&state) & ~KERN_SIGN_BIT);
        double apart = kern_f64_from_bits((1023 - ulp_next(&state) % 48) << 52);

        x[i] = i % 3 == 1 ? 1.0 + ulp_uniform(&state, -1.0, 1.0) * apart : any;
        y[i] = ulp_uniform(&state, -746.0, 710.0) / kern_log(x[i]);
        if (i % 3 == 2) {
            x[i] = ulp_uniform(&state, -30.0, 30.0);
            y[i] = (double)(int64_t)ulp_uniform(&state, -120.0, 120.0);
        }
    }
}

/* ---- accuracy ---- */

typedef struct case_f32 {
    const char *name;
    void (*loop)(const float *, const float *, float *);
    double (*exact)(double, double);
    fill_f32 fill;
    double limit;
    const char *hash;
} case_f32;

typedef struct case_f64 {
    const char *name;
    const char *inputs;
    void (*loop)(const double *, const double *, double *);
    long double (*exact)(long double, long double);
    fill_f64 fill;
    double limit;
    const char *hash;
} case_f64;

static const case_f32 cases_f32[] = {
    { "expf", loop_expf, oracle_exp, all_floats, 0.501, "3ae4b8819b872dd910cc5f8d3f8f9774" },
    { "logf", loop_logf, oracle_log, all_floats, 0.501, "d26c9dba42a14e04a8ec06c20565f797" },
    { "sinf", loop_sinf, oracle_sin, all_floats, 0.501, "ce3c1bd0b7b7ebd3758fdd57e2cfba80" },
    { "cosf", loop_cosf, oracle_cos, all_floats, 0.501, "f489f3c7e74136c013c6c4f8a09be7a1" },
    { "powf", loop_powf, pow, pairs_f32, 0.501, "de54469efaaefc455f5926c93a104011" },
};

static const case_f64 cases_f64[] = {
    { "exp", "in range", loop_exp, oracle_expl, exp_range, 0.85,
      "4ea0e82d8e57e2e200f5428d21f2e47a" },
    { "exp", "|x| < 1", loop_exp, oracle_expl, unit_range, 0.85,
      "bff771ea707da5493e68bd063ca3518f" },
    { "exp", "any bits", loop_exp, oracle_expl, any_bits, 0.85,
      "1d044b81586b70cb0d00c7d45a73c843" },
    { "log", "any bits", loop_log, oracle_logl, any_bits, 0.8, "e06dd6e95b4e8d2dcabd153fb8d7e8b5" },
    { "log", "near 1", loop_log, oracle_logl, around_one, 0.8, "5810cdfcf997523dd4ec2b382313103a" },
    { "sin", "|x| < 100", loop_sin, oracle_sinl, hundred, 0.8, "e0996afdf2998f8805fec95056d84f26" },
    { "sin", "|x| < 1", loop_sin, oracle_sinl, unit_range, 0.8,
      "003f30a19a6a9f746ebc3f7106bf9642" },
    { "sin", "any bits", loop_sin, oracle_sinl, any_bits, 0.8, "45653480b204d8f0022dbd0f837740f0" },
    { "sin", "near n pi/2", loop_sin, oracle_sinl, near_quarters, 0.8,
      "cb0a71f2e5871f9d5ae4c5cc218ebabc" },
    { "cos", "|x| < 100", loop_cos, oracle_cosl, hundred, 0.8, "132c46f5519489327fe28a169bec783c" },
    { "cos", "|x| < 1", loop_cos, oracle_cosl, unit_range, 0.8,
      "41c915fb2c057be03169d7417f711ad4" },
    { "cos", "any bits", loop_cos, oracle_cosl, any_bits, 0.8, "a710df69ad750a113ff1c46061348265" },
    { "cos", "near n pi/2", loop_cos, oracle_cosl, near_quarters, 0.8,
      "f054e5ed21d92bd7a673906307b687ab" },
    { "pow", "in range", loop_pow, powl, pairs_f64, 0.8, "6c660a9f3e0902a6991c6973ec59c6c6" },
    { "cbrt", "any bits", loop_cbrt, oracle_cbrtl, any_bits, 0.501,
      "b75da9ba2c2b2997fc0330ddfb81b791" },
    { "cbrt", "|x| < 1", loop_cbrt, oracle_cbrtl, unit_range, 0.501,
      "d3cb88f0ebe96db19fc0765a236ad43a" },
};

enum { CASES_F32 = sizeof cases_f32 / sizeof *cases_f32 };
enum { CASES_F64 = sizeof cases_f64 / sizeof *cases_f64 };

static double worst_f32(const case_f32 *c, uint64_t block, double worst)
{
    static float x[BLOCK], y[BLOCK], out[BLOCK];

    c->fill(x, y, block);
    c->loop(x, y, out);
    for (int i = 0; i < BLOCK; i++) {
        double error = ulp_f32(out[i], c->exact((double)x[i], (double)y[i]));

        if (error > c->limit)
            fail_msg("%s(%a, %a) = %a: %.3f ulp", c->name, (double)x[i], (double)y[i],
                     (double)out[i], error);
        worst = error > worst ? error : worst;
    }
    return worst;
}

static double worst_f64(const case_f64 *c, uint64_t block, double worst)
{
    static double x[BLOCK], y[BLOCK], out[BLOCK];

    c->fill(x, y, block);
    c->loop(x, y, out);
    for (int i = 0; i < BLOCK; i++) {
        double error = ulp_f64(out[i], c->exact((long double)x[i], (long double)y[i]));

        if (error > c->limit)
            fail_msg("%s(%a, %a) = %a: %.3f ulp", c->name, x[i], y[i], out[i], error);
        worst = error > worst ? error : worst;
    }
    return worst;
}

/* Blocks of all_floats differ in the low 20 bits; an odd stride visits them evenly. */
static void test_accuracy_f32(void **state)
{
    uint64_t count = exhaustive() ? 1 << 20 : 512;

    (void)state;
    for (int k = 0; k < CASES_F32; k++) {
        double worst = 0.0;

        for (uint64_t n = 0; n < count; n++)
            worst = worst_f32(&cases_f32[k], n * 2097143 % (1 << 20), worst);
        print_message("  kern_%-5s %.6f ulp\n", cases_f32[k].name, worst);
    }
}

static void test_accuracy_f64(void **state)
{
    uint64_t count = exhaustive() ? 1 << 14 : 64;

    (void)state;
    for (int k = 0; k < CASES_F64; k++) {
        double worst = 0.0;

        for (uint64_t n = 0; n < count; n++)
            worst = worst_f64(&cases_f64[k], n, worst);
        print_message("  kern_%-5s %-12s %.4f ulp\n", cases_f64[k].name, cases_f64[k].inputs,
                      worst);
    }
}

/* ---- the same bits everywhere ---- */

static void hash_text(char text[33], const XXH3_state_t *hash)
{
    XXH128_hash_t digest = XXH3_128bits_digest(hash);

    (void)snprintf(text, 33, "%016llx%016llx", (unsigned long long)digest.high64,
                   (unsigned long long)digest.low64);
}

static void check_hash(const char *name, const char *inputs, const XXH3_state_t *hash,
                       const char *want)
{
    char text[33];

    hash_text(text, hash);
    if (strcmp(text, want) != 0)
        fail_msg("%s (%s): results hash to %s, not %s", name, inputs, text, want);
}

/* The constants were made by gcc 12 -O3 for x86-64-v3. A new one means new results: say why. */
static void test_same_bits_f32(void **state)
{
    static float x[BLOCK], y[BLOCK], out[BLOCK];
    XXH3_state_t hash;

    (void)state;
    for (int k = 0; k < CASES_F32; k++) {
        XXH3_128bits_reset(&hash);
        for (uint64_t n = 0; n < 256; n++) {
            cases_f32[k].fill(x, y, n * 2097143 % (1 << 20));
            cases_f32[k].loop(x, y, out);
            XXH3_128bits_update(&hash, out, sizeof out);
        }
        check_hash(cases_f32[k].name, "f32", &hash, cases_f32[k].hash);
    }
}

static void test_same_bits_f64(void **state)
{
    static double x[BLOCK], y[BLOCK], out[BLOCK];
    XXH3_state_t hash;

    (void)state;
    for (int k = 0; k < CASES_F64; k++) {
        XXH3_128bits_reset(&hash);
        for (uint64_t n = 0; n < 64; n++) {
            cases_f64[k].fill(x, y, n);
            cases_f64[k].loop(x, y, out);
            XXH3_128bits_update(&hash, out, sizeof out);
        }
        check_hash(cases_f64[k].name, cases_f64[k].inputs, &hash, cases_f64[k].hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_f32),
        cmocka_unit_test(test_same_bits_f64),
        cmocka_unit_test(test_accuracy_f32),
        cmocka_unit_test(test_accuracy_f64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
