/* Which process, and which machine: a number that does not come to mean another process when the
 * system gives a process number a second time. */
#ifndef COORD_PROCESS_H
#define COORD_PROCESS_H

#include "dataflow/df_error.h"

#include <stdbool.h>
#include <sys/types.h>

/* The process number, and a hash of the time at which it began. 0: there is no such process. */
uint64_t coord_process_of(pid_t pid);
uint64_t coord_process_self(void);
pid_t coord_process_pid(uint64_t process);
/* Whether this very process is alive. */
bool coord_process_alive(uint64_t process);
/* Whether it runs the same program as this process. */
bool coord_process_is_like_us(uint64_t process);
/* Send a signal to this very process and to no other. DF_END: it has ended. */
df_status coord_process_signal(uint64_t process, int number, df_error *err) DF_MUST_CHECK;

/* The machine: the same number for all processes that share its process numbers and files. */
uint32_t coord_process_host(void);

#endif
