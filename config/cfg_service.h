/* The configuration of a coordinator's service (`weir coordinator --config FILE`): a small TOML file,
 * read and refused like a job file, every error with its place. */
#ifndef CFG_SERVICE_H
#define CFG_SERVICE_H

#include "dataflow/df_arena.h"
#include "dataflow/df_draft.h"

#include <stdbool.h>

#define CFG_SERVICE_WORKERS_MAX 60
#define CFG_SERVICE_JOBS_MAX    1000
#define CFG_SERVICE_ENDED_MAX   100000

/* A text that is null was not given; its place is that of its value. */
typedef struct cfg_service {
    df_arena *arena;          /* owns the texts */
    df_text directory;        /* of the jobs and their files; relative to the current folder */
    df_text bind;             /* "tcp://HOST:PORT"; null: a local socket */
    df_text keys;             /* for tcp */
    df_text metrics;          /* where numbers are shown; its form is not checked here */
    bool insecure;            /* tcp without keys */
    uint32_t workers;         /* local ones, in the pool */
    uint32_t threads;         /* of each; 0: the processors are shared out */
    uint32_t jobs_max, ended_max;
} cfg_service;

/* On success the caller owns what is in *out, until cfg_service_fini. On failure it is empty and the
 * report says why: DF_EINVAL, DF_ELIMIT, DF_EIO, DF_ENOMEM. */
df_status cfg_service_load(cfg_service *out, const char *path, df_report *report) DF_MUST_CHECK;
/* The same from memory. */
df_status cfg_service_read(cfg_service *out, const char *text, size_t size, df_report *report)
    DF_MUST_CHECK;
void cfg_service_fini(cfg_service *service);

/* The manual of its sections and keys, to `out` (FILE *). coordinator/README.md holds it. */
void cfg_print_service(void *out);

#endif
