/* A job file, read, checked and laid out: what `run`, `check` and `graph` begin with. */
#ifndef COORD_JOB_H
#define COORD_JOB_H

#include "coordinator/coord_args.h"
#include "dataflow/df_plan.h"

/* Read the job at `path` with the overrides "param=value", "path.to.key=value". The plan is the
 * caller's. Not DF_OK: the report holds every error. */
/* The same from memory; `sets`: overrides, a line each. */
df_status coord_job_read(df_plan **out, const char *path, const char *text, size_t size,
                         const char *sets, df_report *report) DF_MUST_CHECK;
df_status coord_job_load(df_plan **out, const char *path, const coord_texts *sets,
                         df_report *report) DF_MUST_CHECK;

/* "a.csv  b.png": the files that the job's sinks write, below their directory. Empty: none. */
void coord_job_files(const df_plan *plan, char *text, size_t size);

#define COORD_INPUTS_TEXT 33

/* The hash of all files that the job's operators read, and of the shared objects of kinds that are not built in, in
 * hexadecimal; "": there are none. Whoever runs key groups of the job must have the same, or the bits were others. */
df_status coord_job_inputs(const df_plan *plan, char hash[COORD_INPUTS_TEXT], df_error *err) DF_MUST_CHECK;

/* Whether the job's files can be where it wants them, below `directory`: DF_EINVAL if there is a folder in the place
 * of one, or a file in that of a folder for it; each is in the report. Makes nothing. */
df_status coord_job_outputs(const df_plan *plan, const char *directory, df_report *report) DF_MUST_CHECK;
/* Whether this build has the devices that the job's workers want. DF_ENOTSUP: it has not, the report says which,
 * and where the job asks for them. */
df_status coord_job_devices(const df_plan *plan, df_report *report) DF_MUST_CHECK;

#endif
