/* Progress of a run on standard error: on a terminal one line that is redrawn, elsewhere a plain
 * line every few seconds. Sinks that print share the terminal through the console that is offered
 * here: the line steps aside for what they write. */
#ifndef COORD_PROGRESS_H
#define COORD_PROGRESS_H

#include "coordinator/coord_line.h"
#include "dataflow/df_error.h"

#include <stdio.h>

typedef struct coord_progress coord_progress;

typedef struct coord_progress_options {
    bool quiet;   /* draw nothing */
    bool console; /* sinks may print to standard output */
    uint64_t steps;
} coord_progress_options;

df_status coord_progress_new(coord_progress **out, const coord_progress_options *options,
                             df_error *err) DF_MUST_CHECK;
/* Where sinks may print: null where they may not. Belongs to the progress. */
FILE *coord_progress_console(coord_progress *progress);
/* Where the run is, from any thread; seconds are not filled. False: not begun. */
typedef bool (*coord_progress_sample)(void *user, coord_sample *sample);
/* Draw from a thread of its own, until stop, which also wipes the line; null is allowed. */
df_status coord_progress_start(coord_progress *progress, coord_progress_sample sample, void *user,
                               df_error *err) DF_MUST_CHECK;
void coord_progress_stop(coord_progress *progress);
/* What the progress line tells beside the rate; "": nothing. */
void coord_progress_note(coord_progress *progress, const char *note);
/* A line to standard error, for which the progress line steps aside. */
void coord_progress_say(coord_progress *progress, const char *line);
/* Flushes the console: false if what was printed could not be written. */
bool coord_progress_free(coord_progress **progress);

#endif
