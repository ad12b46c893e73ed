/* The program's entry. This file and everything that it calls before coord_main is plain x86-64, so
 * that a machine that cannot run the library is refused with a sentence and not with SIGILL. */
#include "coordinator/coord_machine.h"
#include "coordinator/coord_verb.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    char why[COORD_MACHINE_TEXT];

    if (!coord_machine_fits(why, sizeof why)) {
        fprintf(stderr, "weir: %s\n", why);
        return COORD_FAILED;
    }
    coord_machine_descriptors(); /* a thousand workers need more than a shell's thousand */
    return coord_main(argc, argv);
}
