#include "dataflow/df_build.h"

#include "weir_source.h" /* made by the Makefile: WEIR_SOURCE */

#if defined(__AVX512F__)
#define BUILD_LEVEL "x86-64-v4"
#else
#define BUILD_LEVEL "x86-64-v3"
#endif

const char *df_build_level(void)
{
    return BUILD_LEVEL;
}

const char *df_build_compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

const char *df_build_source(void)
{
    return WEIR_SOURCE;
}
