/* A thread that does one thing at a time for the main loop: what would keep it waiting, such as a
 * sync. All functions are the main thread's; `work` and `wake` are called on the other one. */
#ifndef COORD_HAND_H
#define COORD_HAND_H

#include "dataflow/df_error.h"

#include <stdbool.h>

typedef struct coord_hand coord_hand;

/* `wake` is called when a work has ended, so that the main loop looks. Signals are not delivered to
 * the thread. On success *out is owned by the caller. */
df_status coord_hand_new(coord_hand **out, void (*wake)(void *user), void *user, df_error *err)
    DF_MUST_CHECK;
/* Waits until the work under way has ended. Null is allowed. */
void coord_hand_free(coord_hand **hand);

/* The hand must be idle; `arg` is lent until the work's end was taken. */
void coord_hand_give(coord_hand *hand, void (*work)(void *arg), void *arg);
/* Whether a work was given whose end was not taken yet. */
bool coord_hand_busy(const coord_hand *hand);
/* Take the end of a work: true once, when it has ended. */
bool coord_hand_done(coord_hand *hand);

#endif
