/* Starting a process of ours. */
#ifndef COORD_SPAWN_H
#define COORD_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#define COORD_SPAWN_SELF "/proc/self/exe" /* this program */

typedef struct coord_spawn_options {
    char *const *argv; /* argv[0]: the program */
    int out, err;      /* what become its standard output and error */
    bool tied;         /* it dies with us */
    int gate;          /* it begins when a byte can be read there, and not at all once nothing can come any
                          more: so that what is to be remembered of it is written first; 0: at once */
} coord_spawn_options;

/* Its standard input is empty, it is its own process group (Ctrl-C is for us), inherits no descriptor and
 * no blocked signal. -1: it could not be started (errno). That the program cannot be run shows as its
 * end, with 1. */
pid_t coord_spawn(const coord_spawn_options *options);

#endif
