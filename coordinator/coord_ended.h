/* How a run has ended, in the words of its coordinator: STATE/ended. */
#ifndef COORD_ENDED_H
#define COORD_ENDED_H

#include "coordinator/coord_status.h"

/* *text: the same in JSON, owned by the caller; null: it is not wanted. DF_END: there is none. DF_ECORRUPT: it
 * tells no end. */
df_status coord_ended_read(coord_status *status, char **text, const char *state, df_error *err) DF_MUST_CHECK;

#endif
