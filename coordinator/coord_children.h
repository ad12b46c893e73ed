/* The workers that a coordinator starts on its own machine: `weir worker --join ADDRESS --id N`, and
 * over tcp with the coordinator's own keys.
 *
 * One that ends is started again, under another number, after a pause that doubles; a place whose
 * worker fails at once several times is given up. What a worker says goes to worker-N.log in the state
 * folder; what it prints, to the coordinator, if that wants it.
 *
 * Workers either die with their coordinator, or outlive it; then a coordinator that starts again finds
 * them in the file `workers`. One that outlives it begins to run when it stands there: so a coordinator that is killed
 * in between leaves none that nobody knows. */
#ifndef COORD_CHILDREN_H
#define COORD_CHILDREN_H

#include "coordinator/proto_coord.h"
#include "dataflow/df_error.h"

#include <stdbool.h>

#define COORD_CHILDREN_MAX 64
#define COORD_CHILDREN_SAID 320

typedef struct coord_children coord_children;

typedef struct coord_children_options {
    const char *program; /* to be run; null: this one */
    const char *state;   /* folder */
    const char *address; /* of the coordinator */
    const char *key, *keys; /* for tcp with keys: the coordinator's, and the folder; "": none */
    bool insecure;       /* for tcp without */
    uint32_t count;
    bool survive;
    /* What workers print (not with survive); null: it goes to the log. */
    void (*print)(void *user, const char *text, size_t size);
    /* The process of a worker has ended. */
    void (*ended)(void *user, uint64_t worker, uint32_t slot);
    void *user;
} coord_children_options;

/* Finds those that are still there. Texts are borrowed until free. */
df_status coord_children_new(coord_children **out, const coord_children_options *options, df_error *err)
    DF_MUST_CHECK;
/* Ends those that do not outlive us, at once. Null is allowed. */
void coord_children_free(coord_children **children);

/* Collect what has ended and what was printed; start those that are due, if `wanted`. */
void coord_children_turn(coord_children *children, uint64_t now_us, bool wanted);
/* When turn is to be called at the latest; UINT64_MAX: when a descriptor is readable. */
uint64_t coord_children_deadline(const coord_children *children);
/* Descriptors that are readable when something has happened; returns how many, up to `capacity`. */
size_t coord_children_fds(const coord_children *children, int *fds, size_t capacity);

/* Workers that are there; those and the places that were not given up. */
uint32_t coord_children_alive(const coord_children *children);
uint32_t coord_children_hope(const coord_children *children);
/* Places that were given up; *slot is the last of them, if there is one. */
uint32_t coord_children_given_up(const coord_children *children, uint32_t *slot);
/* The last line that the worker of a place has said, without the "weir: " before it; "": nothing. */
void coord_children_said(const coord_children *children, uint32_t slot, char text[COORD_CHILDREN_SAID]);
/* So many more; places that were vacated are filled again first. Returns how many it can be. */
uint32_t coord_children_more(coord_children *children, uint32_t count);
/* The slot of the n-th of those that it would add, from 0. */
uint32_t coord_children_next(const coord_children *children, uint32_t n);
/* A worker that ends from now on is not started again: its place is vacated. Or is, after all. */
void coord_children_vacate(coord_children *children, uint64_t worker, bool vacate);
bool coord_children_is_vacated(const coord_children *children, uint64_t worker);
/* So many fewer: the last places without a worker that is a member are vacated, and those there are killed, for
 * they own nothing. Members that leave do so by themselves. Returns how many it were. */
uint32_t coord_children_fewer(coord_children *children, uint32_t count, const proto_coord_worker *known,
                              uint32_t known_count);
/* Places that are not vacated. */
uint32_t coord_children_places(const coord_children *children);
/* Whether a process is one of ours, and which. */
bool coord_children_has(const coord_children *children, uint64_t worker, uint32_t *slot);
/* Kill one, which is then started again like any that ends. */
void coord_children_kill(coord_children *children, uint64_t worker);
/* Kill those that were started more than `most_us` ago and are none of `known`. */
void coord_children_kill_old(coord_children *children, uint64_t now_us, uint64_t most_us,
                             const proto_coord_worker *known, uint32_t count);
/* Ask all to end (SIGTERM), or make them (SIGKILL). */
void coord_children_stop(coord_children *children, bool kill);

#endif
