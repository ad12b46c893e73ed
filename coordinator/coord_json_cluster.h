/* The JSON that processes of a cluster say to each other: questions and their replies, the options of
 * a worker. Texts that are made belong to the caller, who frees them; null: out of memory. Texts that
 * are read are hostile. */
#ifndef COORD_JSON_CLUSTER_H
#define COORD_JSON_CLUSTER_H

#include "coordinator/coord_status.h"
#include "coordinator/coord_workers.h"
#include "dataflow/df_plan.h"

#include <stdio.h>

/* {"what":"status"}; "label" goes with "label". "job", "file" and "after" are for a service
 * (coord_json_service.h). */
typedef struct coord_question {
    char what[32], label[WEIR_NAME_MAX], job[WEIR_NAME_MAX], file[WEIR_NAME_MAX];
    uint64_t after;
} coord_question;

/* False: it is no question. */
bool coord_json_question_read(coord_question *question, const char *text, size_t size);
char *coord_json_question(const coord_question *question);

char *coord_json_status(const coord_status *status);
char *coord_json_snapshots(uint64_t head, const snap_entry *entries, uint32_t count);
/* balance: what a rebalance would come to; "" is not known. */
char *coord_json_workers(const char *job, const char *balance, const coord_workers_row *rows,
                         uint32_t count);
char *coord_json_done(void);
char *coord_json_error(const char *text);

/* What a client needs of a reply. False: it is none, or says an error, which is then in *err. */
bool coord_json_status_read(coord_status *status, const char *text, size_t size, df_error *err);
/* A line per snapshot. */
bool coord_json_snapshots_print(FILE *out, const char *text, size_t size, df_error *err);
/* A line per worker. */
bool coord_json_workers_print(FILE *out, const char *text, size_t size, df_error *err);
bool coord_json_is_done(const char *text, size_t size, df_error *err);

/* What `weir run --workers --json` prints when it has ended. False: it could not be written. */
bool coord_json_cluster_run(FILE *out, const coord_status *status, const df_plan *plan,
                            const char *directory, uint32_t workers, uint32_t threads,
                            double seconds, const char *error);

/* What a worker is told of how to run, beside its job. */
typedef struct coord_worker_options {
    char label[WEIR_NAME_MAX];
    uint32_t threads;
    bool console;        /* sinks may print to standard output */
    char state[512];     /* folder of the coordinator's state, for its store */
    char nonce[64];      /* the hash of the nonce there: whoever finds another one does not share it */
    uint32_t sink_host;  /* where sinks run */
    char fingerprints[512], verify[512]; /* "": none */
    char verify_name[64]; /* what messages call it; "": by its path */
    bool streams;
    char inputs[64];     /* the hash of what the job reads; "": there is nothing to compare */
    char source[64];     /* the coordinator's df_build_source */
} coord_worker_options;

char *coord_json_options(const coord_worker_options *options);
bool coord_json_options_read(coord_worker_options *options, const char *text, size_t size);

#endif
