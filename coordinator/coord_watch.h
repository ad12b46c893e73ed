/* What a person who looks at a running job should see at once, beside its progress line: that it went back to a
 * snapshot, and that its workers change, with the longest step meanwhile. */
#ifndef COORD_WATCH_H
#define COORD_WATCH_H

#include "coordinator/coord_progress.h"
#include "coordinator/coord_status.h"

#define COORD_WATCH_TEXT 128u

typedef struct coord_watch {
    coord_progress *progress; /* borrowed; null: nothing is told, only counted */
    double pace;              /* steps per second that the job wants; 0: none */
    bool begun;               /* its counts below are known */
    bool ran;                 /* it was seen to run */
    uint64_t restarts, restores, rescales;
    uint32_t changed;         /* changes of workers that were seen to end */
    double longest_ms;        /* of the steps in them */
    uint64_t late_steps;      /* in all */
} coord_watch;

/* fresh: its coordinator begins with us; else what had happened before the first look is not told. */
void coord_watch_init(coord_watch *watch, coord_progress *progress, double pace, bool fresh);
/* How it stands now. */
void coord_watch_take(coord_watch *watch, const coord_status *status);
/* ", 3 changes of workers with longest step 52 ms, no step late": what there was of it, and of a job without a pace
 * nothing is late. */
void coord_watch_text(const coord_watch *watch, char text[COORD_WATCH_TEXT]);

#endif
