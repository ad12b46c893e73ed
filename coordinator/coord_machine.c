#include "coordinator/coord_machine.h"

#include <cpuid.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MXCSR_DAZ (1u << 6)
#define MXCSR_FTZ (1u << 15)

static const struct {
    uint32_t feature;
    const char *name;
} machine_names[] = {
    { COORD_AVX, "avx" },     { COORD_AVX2, "avx2" },   { COORD_BMI1, "bmi1" },
    { COORD_BMI2, "bmi2" },   { COORD_F16C, "f16c" },   { COORD_FMA, "fma" },
    { COORD_LZCNT, "lzcnt" }, { COORD_MOVBE, "movbe" }, { COORD_SSE42, "sse4.2" },
    { COORD_POPCNT, "popcnt" },
};

/* Read from cpuid and not by __builtin_cpu_supports, which in gcc 12 and clang 14 knows different
 * subsets of the list. "avx" through the builtin, because it also asks the system (xgetbv). */
uint32_t coord_machine_features(void)
{
    uint32_t a, b, c, d, found = 0;

    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx"))
        found |= COORD_AVX;
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        found |= c & bit_F16C ? COORD_F16C : 0;
        found |= c & bit_FMA ? COORD_FMA : 0;
        found |= c & bit_MOVBE ? COORD_MOVBE : 0;
        found |= c & bit_SSE4_2 ? COORD_SSE42 : 0;
        found |= c & bit_POPCNT ? COORD_POPCNT : 0;
    }
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        found |= b & bit_AVX2 ? COORD_AVX2 : 0;
        found |= b & bit_BMI ? COORD_BMI1 : 0;
        found |= b & bit_BMI2 ? COORD_BMI2 : 0;
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d))
        found |= c & bit_LZCNT ? COORD_LZCNT : 0;
    return found;
}

bool coord_machine_flushes(void)
{
    return (__builtin_ia32_stmxcsr() & (MXCSR_DAZ | MXCSR_FTZ)) != 0;
}

bool coord_machine_check(uint32_t features, bool flushes, char *why, size_t size)
{
    char lacks[128] = "";

    for (size_t i = 0; i < sizeof machine_names / sizeof machine_names[0]; i++)
        if ((features & machine_names[i].feature) == 0) {
            strcat(lacks, " ");
            strcat(lacks, machine_names[i].name);
        }
    if (lacks[0] != '\0') {
        snprintf(why, size, "this processor lacks%s; weir needs x86-64-v3 (2013 and later), because "
                 "without fused multiply-add the same bits would take 10 to 150 times as long", lacks);
        return false;
    }
    if (flushes) {
        snprintf(why, size, "denormal numbers are flushed to zero in this process, which would change "
                 "results; a library that was loaded into it (-ffast-math?) has switched them off");
        return false;
    }
    return true;
}

bool coord_machine_fits(char *why, size_t size)
{
    return coord_machine_check(coord_machine_features(), coord_machine_flushes(), why, size);
}

uint32_t coord_machine_threads(void)
{
    cpu_set_t set;
    int count = 0;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = CPU_COUNT(&set);
    return count < 1 ? 1 : (uint32_t)count;
}

uint64_t coord_machine_descriptors(void)
{
    struct rlimit limit = { 0 };

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit wanted = { limit.rlim_max, limit.rlim_max };

        if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
            limit = wanted;
    }
    return limit.rlim_cur;
}

uint64_t coord_machine_memory_peak(void)
{
    struct rusage usage = { 0 };

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

double coord_machine_seconds(void)
{
    struct timespec now = { 0 };

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
