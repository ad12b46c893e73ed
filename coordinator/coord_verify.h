/* Comparing a run with a recording of its fingerprints, step by step, while it runs. */
#ifndef COORD_VERIFY_H
#define COORD_VERIFY_H

#include "coordinator/coord_prints.h"

typedef struct coord_verify coord_verify;

/* Read the head of a recording and see that it belongs to the plan's job; if not, the error says
 * what differs. Takes the file (also on failure); `name`, its path for messages, and the plan must
 * outlive the verifier. `all`: the run fingerprints every stream and not only its states. */
df_status coord_verify_open(coord_verify **out, FILE *file, const char *name, const df_plan *plan,
                            bool all, df_error *err) DF_MUST_CHECK;
/* Compare a step with the next one of the recording. Not DF_OK: the first difference, or why there
 * is nothing to compare with. */
df_status coord_verify_step(coord_verify *verify, const df_step_print *print, df_error *err)
    DF_MUST_CHECK;
/* Pass over the recording's steps before this one, which an earlier run of the job has compared. */
df_status coord_verify_seek(coord_verify *verify, uint64_t step, df_error *err) DF_MUST_CHECK;
/* Steps that were compared and are equal. */
uint64_t coord_verify_count(const coord_verify *verify);
void coord_verify_close(coord_verify **verify);

#endif
