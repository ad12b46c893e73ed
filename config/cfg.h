/* Job files: TOML text -> table -> draft. (df_plan_new then makes the plan of the draft.)
 *
 * A reader reports all errors that it finds, each with its place, to one report, which the caller
 * has initialised with the job's file name; the same report goes on to df_plan_new. */
#ifndef CFG_H
#define CFG_H

#include "dataflow/df_draft.h"

typedef struct cfg_options {
    const df_kinds *kinds;
    /* Values from the command line, each "NAME=VALUE": a bare name is a [param], a dotted one the
     * TOML path ("operator.fly.steer=0.06"). Later ones win. */
    const char *const *sets;
    uint32_t set_count;
    /* The descriptor `symbol` of the shared object at `path` (a kind "./slime.so:crawl", its path
     * already relative to the job); null, with `error` filled: there is none. The descriptor must
     * outlive the plan. A null function: such kinds are refused. */
    const weir_operator *(*load)(void *user, const char *path, const char *symbol, char error[256]);
    void *user;
} cfg_options;

/* Read the job file at `path`. On success *out is owned by the caller, until df_plan_new takes it.
 * On failure *out is null and the report says why: DF_EINVAL, DF_ELIMIT (a stated limit of the file
 * as a whole), DF_EIO, DF_ENOMEM. */
df_status cfg_load(df_draft **out, const char *path, const cfg_options *options,
                   df_report *report) DF_MUST_CHECK;

/* The same from memory. `path_shown` gives the job its default name; input files are relative to
 * `directory` ("." for the current one). */
df_status cfg_read(df_draft **out, const char *path_shown, const char *directory, const char *text,
                   size_t size, const cfg_options *options, df_report *report) DF_MUST_CHECK;

void cfg_draft_free(df_draft **draft);

/* The manual of the sections of a job file and their keys, to `out` (FILE *), from the table that
 * the reader itself works by. config/README.md holds it. */
void cfg_print_sections(void *out);

#endif
