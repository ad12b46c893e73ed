/* What a machine and this process do with their time and memory, from /proc: the differences between two
 * looks. */
#ifndef COORD_USAGE_H
#define COORD_USAGE_H

#include "coordinator/coord_load.h"

/* Of the look before; all zero at first. */
typedef struct coord_usage {
    double seconds, process_seconds;
    uint64_t host_busy, host_all;
} coord_usage;

/* Fill what a load says of the machine and of the process. What cannot be read is 0; so are the parts of
 * time at the first look. */
void coord_usage_take(coord_usage *before, uint32_t threads, coord_load *load);

/* The first line of /proc/stat: ticks of all processors, and those of them not idle. False: it is none. */
bool coord_usage_stat(const char *text, uint64_t *busy, uint64_t *all);
/* /proc/meminfo: bytes. False: something is not there. */
bool coord_usage_meminfo(const char *text, uint64_t *free_bytes, uint64_t *total_bytes);

#endif
