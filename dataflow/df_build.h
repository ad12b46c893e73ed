/* How this library was built. */
#ifndef DF_BUILD_H
#define DF_BUILD_H

/* "x86-64-v3" or "x86-64-v4": what the dynamic linker chose for this machine. */
const char *df_build_level(void);
const char *df_build_compiler(void);

#endif
