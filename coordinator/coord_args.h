/* Command lines: a verb's options are a table, which parses them and prints the help.
 *
 * An option is written `--name VALUE` or `--name=VALUE`, a flag `--name`; everything else is an
 * argument, and so is what follows `--`. The texts of argv are borrowed. */
#ifndef COORD_ARGS_H
#define COORD_ARGS_H

#include "dataflow/df_error.h"

#include <stdbool.h>

#define COORD_TEXTS_MAX 256 /* times that one option may be repeated */
#define COORD_ARGUMENTS_MAX 8

typedef enum coord_option_type {
    COORD_FLAG = 1, /* bool */
    COORD_TEXT,     /* const char *; null: not given */
    COORD_TEXTS,    /* coord_texts: may be repeated */
    COORD_NUMBER,   /* coord_number */
} coord_option_type;

typedef struct coord_texts {
    uint32_t count;
    const char *items[COORD_TEXTS_MAX];
} coord_texts;

typedef struct coord_number {
    bool given;
    uint64_t value;
} coord_number;

typedef struct coord_option {
    const char *name;  /* without the dashes; null ends a table */
    const char *value; /* what the help calls the value: "FILE"; null for a flag */
    const char *help;
    coord_option_type type;
    uint64_t least, most; /* COORD_NUMBER */
    size_t offset;        /* of the field in the verb's options */
} coord_option;

typedef struct coord_args {
    uint32_t count; /* of arguments */
    const char *items[COORD_ARGUMENTS_MAX];
    bool help;      /* --help or -h was given; nothing else was checked */
} coord_args;

/* Read argv[0..argc) (what follows the verb) into `options`, which the caller has zeroed. An option
 * that may not be repeated and is, is an error. DF_EINVAL with a text that names the option. */
df_status coord_args_read(coord_args *args, void *options, const coord_option *table, int argc,
                          char *const *argv, df_error *err) DF_MUST_CHECK;
/* The table as help: a line per option, to `out` (FILE *). */
void coord_args_print(const coord_option *table, void *out);

#endif
