/* The machine that the program finds itself on: whether it computes as weir needs it to, how many
 * processors it lends, what time it is. Nothing here calls the library. */
#ifndef COORD_MACHINE_H
#define COORD_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COORD_MACHINE_TEXT 256

/* What x86-64-v3 asks of a processor beyond plain x86-64, a bit each. */
typedef enum coord_feature {
    COORD_AVX = 1 << 0, /* and the system saves its registers */
    COORD_AVX2 = 1 << 1,
    COORD_BMI1 = 1 << 2,
    COORD_BMI2 = 1 << 3,
    COORD_F16C = 1 << 4,
    COORD_FMA = 1 << 5,
    COORD_LZCNT = 1 << 6,
    COORD_MOVBE = 1 << 7,
    COORD_SSE42 = 1 << 8,
    COORD_POPCNT = 1 << 9,
    COORD_FEATURES_ALL = (1 << 10) - 1,
} coord_feature;

/* The features of this processor, as a sum of coord_feature. */
uint32_t coord_machine_features(void);
/* Whether the mode of the floating-point unit (MXCSR) flushes denormals: it would change results. */
bool coord_machine_flushes(void);

/* Whether weir can run with these features and this mode; if not, `why` says so in a sentence. */
bool coord_machine_check(uint32_t features, bool flushes, char *why, size_t size);
/* The same for this machine. */
bool coord_machine_fits(char *why, size_t size);

/* The processors that this process may run on, at least 1. */
uint32_t coord_machine_threads(void);
/* Let this process open as many files and connections as it may be let (the soft limit becomes the hard one); returns
 * how many that are. */
uint64_t coord_machine_descriptors(void);
/* The most memory that this process has held at once, in bytes. */
uint64_t coord_machine_memory_peak(void);
/* Seconds of a clock that only goes forward. */
double coord_machine_seconds(void);

#endif
