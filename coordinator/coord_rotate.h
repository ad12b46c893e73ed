/* A log that does not grow without end. What our processes say goes to a file that is opened for appending, which
 * whoever started them made: worker-N.log in a job's state, `log` of a service's coordinator. When it is large it is
 * renamed, in place of what was renamed before, and begun anew. */
#ifndef COORD_ROTATE_H
#define COORD_ROTATE_H

#include <stdbool.h>
#include <stdint.h>

#define COORD_ROTATE_SIZE (4u << 20) /* bytes from which on a log is begun anew: at most twice that are kept */
#define COORD_ROTATE_OLD  ".old"     /* behind the name of what was said before */

/* Look whether this process's standard error is such a file in that folder, and has `size` bytes; if so it, and standard
 * output if that is the same, go on in a new one. To be called now and then. Null: in that of `said`, which a service has
 * made of its coordinator's standard output. */
void coord_rotate(const char *folder, uint64_t size);
/* Whether a file's name is that of a worker's log, or of what was said before it. */
bool coord_rotate_is_worker(const char *name);

#endif
