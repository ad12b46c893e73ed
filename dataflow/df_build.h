/* How this library was built. */
#ifndef DF_BUILD_H
#define DF_BUILD_H

/* "x86-64-v3" or "x86-64-v4": what the dynamic linker chose for this machine. */
const char *df_build_level(void);
const char *df_build_compiler(void);
/* The hash of the library's sources, 32 hexadecimal digits. The same sources give the same bits, whatever compiled them;
 * of others nothing is promised. */
const char *df_build_source(void);

#endif
