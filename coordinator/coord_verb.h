/* The verbs of the command line: `weir VERB ...`. One file per verb, one line of the table each;
 * help and usage are printed from the table. */
#ifndef COORD_VERB_H
#define COORD_VERB_H

#include "coordinator/coord_args.h"
#include "dataflow/df_error.h"

/* What the process exits with. */
typedef enum coord_exit {
    COORD_DONE = 0,
    COORD_FAILED = 1,        /* the job or the machine: a step, a disk, a comparison */
    COORD_USAGE = 2,         /* the command line or the job file: nothing was started */
    COORD_INTERRUPTED = 130, /* Ctrl-C */
} coord_exit;

typedef struct coord_verb {
    const char *name;
    const char *arguments;       /* as the usage line shows them: "JOB" */
    const char *help;            /* one line */
    const char *more;            /* paragraphs after the options; null: none */
    const coord_option *options; /* ends with a null name */
    size_t options_size;
    uint32_t argument_min, argument_max;
    int (*run)(const coord_args *args, const void *options); /* returns a coord_exit */
} coord_verb;

#define COORD_VERBS(X) X(run) X(worker) X(check) X(graph) X(operators) X(snapshot) X(keys) X(sim) \
    X(status) X(workers) X(snapshots) X(suspend) X(resume) X(restore) X(replay) X(drain) X(cancel) X(rescale) \
    X(rebalance) X(drain_worker) X(move) X(rescales) X(coordinator) X(submit) \
    X(list) X(logs) X(forget) X(failpoints) X(version) X(help)

#define COORD_VERB_DECLARE(name) extern const coord_verb coord_verb_##name;
COORD_VERBS(COORD_VERB_DECLARE)

/* Run the command line. Returns the process's exit code. */
int coord_main(int argc, char **argv);

/* Null: no such verb. */
const coord_verb *coord_verb_find(const char *name);
/* The verb whose name is nearest, or null. */
const char *coord_verb_nearest(const char *name);
/* All verbs, a line each; one verb, in full. `out` is a FILE *. */
void coord_verb_print_all(void *out);
void coord_verb_print(const coord_verb *verb, void *out);
/* "weir VERB: TEXT" on standard error. Returns COORD_USAGE if a user can mend it (DF_EINVAL), else COORD_FAILED. */
int coord_verb_failed(const char *verb, df_status status, const df_error *err);
/* Close the books on standard output: COORD_FAILED with a message if what was printed could not be
 * written (a full disk), else `code`. */
int coord_verb_flush(int code);

#endif
