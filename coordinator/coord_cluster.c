#include "coordinator/coord_cluster.h"

#include "coordinator/coord_job.h"
#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_line.h"
#include "coordinator/coord_machine.h"
#include "coordinator/coord_plan.h"
#include "coordinator/coord_process.h"
#include "coordinator/coord_progress.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_ticket.h"
#include "coordinator/coord_verb.h"
#include "coordinator/coord_watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CLUSTER_TURN_US 100000u
#define CLUSTER_LOOK_S  0.05 /* seconds between two looks at how it stands */

typedef struct cluster {
    const coord_cluster_options *options;
    char file[DF_PATH_MAX], directory[DF_PATH_MAX], state[DF_PATH_MAX];
    char *text, *sets;
    proto_plan *plan;
    coord_shape shape;
    char inputs[COORD_INPUTS_TEXT];
    coord_server_job job;
    coord_server *server;
    coord_progress *progress;
    coord_status *status;
    _Atomic uint64_t step; /* that is done, + 1; for the progress line */
    coord_watch watch;
    double looked;         /* when */
    uint32_t wanted;       /* workers, as the service was told */
    bool left;             /* by the user, here */
    double begin;
} cluster;

/* ---- the job, as workers are told of it ---- */

static df_status cluster_paths(cluster *c, df_error *err)
{
    const coord_cluster_options *o = c->options;
    char state[DF_PATH_MAX];
    df_status s = coord_state_make(o->directory, err);

    if (s == DF_OK && o->state == NULL)
        s = coord_state_path(state, o->directory, "state", err);
    else if (s == DF_OK && snprintf(state, sizeof state, "%s", o->state) >= DF_PATH_MAX)
        s = df_fail(err, DF_EINVAL, "--state: the path is too long");
    if (s == DF_OK)
        s = coord_state_make(state, err);
    if (s != DF_OK)
        return s;
    if (o->text != NULL)
        snprintf(c->file, sizeof c->file, "%s", o->file);
    if ((o->text == NULL && realpath(o->file, c->file) == NULL) ||
        realpath(o->directory, c->directory) == NULL || realpath(state, c->state) == NULL)
        return df_fail(err, DF_EIO, "%s: %s", o->file, strerror(errno));
    return DF_OK;
}

static df_status cluster_text(cluster *c, df_error *err)
{
    FILE *file = fopen(c->options->text == NULL ? c->file : c->options->text, "re");
    size_t size;

    c->text = malloc(PROTO_JOB_SIZE_MAX + 1);
    if (file == NULL || c->text == NULL) {
        if (file != NULL)
            fclose(file);
        return df_fail(err, DF_EIO, "%s: %s", c->file, strerror(errno));
    }
    size = fread(c->text, 1, PROTO_JOB_SIZE_MAX + 1, file);
    fclose(file);
    if (size > PROTO_JOB_SIZE_MAX)
        return df_fail(err, DF_ELIMIT, "%s: a job that runs with workers may have %u bytes", c->file,
                       PROTO_JOB_SIZE_MAX);
    c->text[size] = '\0';
    return DF_OK;
}

static df_status cluster_sets(cluster *c, df_error *err)
{
    const coord_texts *sets = c->options->sets;
    size_t used = 0;

    c->sets = malloc(PROTO_INPUT_SIZE_MAX + 1);
    if (c->sets == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    c->sets[0] = '\0';
    for (uint32_t i = 0; i < sets->count; i++) {
        int length = snprintf(c->sets + used, PROTO_INPUT_SIZE_MAX - used, "%s\n", sets->items[i]);

        if (strchr(sets->items[i], '\n') != NULL)
            return df_fail(err, DF_EINVAL, "--set: with --workers its text is one line");
        used += length < 0 ? 0 : (size_t)length;
        if (used >= PROTO_INPUT_SIZE_MAX)
            return df_fail(err, DF_ELIMIT, "--set: too many");
    }
    return DF_OK;
}

static df_status cluster_job(cluster *c, df_error *err)
{
    const df_plan *plan = c->options->plan;
    df_status s = cluster_paths(c, err);

    if (s == DF_OK)
        s = cluster_text(c, err);
    if (s == DF_OK)
        s = cluster_sets(c, err);
    if (s == DF_OK)
        s = coord_plan_make(&c->plan, plan, err);
    if (s == DF_OK)
        s = coord_job_inputs(plan, c->inputs, err);
    if (s != DF_OK)
        return s;
    coord_shape_of(&c->shape, plan);
    c->job = (coord_server_job){ .name = plan->job.name, .file = c->file, .directory = c->directory,
                                 .text = c->text, .sets = c->sets, .plan = c->plan,
                                 .fingerprints = c->options->fingerprints,
                                 .verify = c->options->verify,
                                 .verify_name = c->options->verify_name, .streams = c->options->streams,
                                 .inputs = c->inputs, .shape = &c->shape, .policy = &plan->draft->policy,
                                 .workers = plan->draft->workers,
                                 .worker_count = plan->draft->worker_count,
                                 .window = plan->window, .pace = plan->draft->pace };
    return DF_OK;
}

/* ---- running ---- */

static bool cluster_sample(void *user, coord_sample *sample)
{
    cluster *c = user;
    uint64_t step = atomic_load(&c->step);

    sample->step = step == 0 ? 0 : step - 1;
    return step > 0;
}

static void cluster_print(void *user, const char *text, size_t size)
{
    cluster *c = user;
    FILE *console = coord_progress_console(c->progress);

    if (fwrite(text, 1, size, console) != size)
        return; /* told when the console is closed */
    fflush(console);
}

/* The service hears from the state whose it is, and how many workers it wants. */
static df_status cluster_mark(cluster *c, df_error *err)
{
    const coord_ticket_mark mark = { c->options->ticket, coord_process_self(), coord_server_wanted(c->server) };

    c->wanted = mark.workers;
    return coord_ticket_mark_write(c->state, &mark, err);
}

static void cluster_look(cluster *c)
{
    df_error err;

    c->looked = coord_machine_seconds();
    if (c->options->ticket != 0 && coord_server_wanted(c->server) != c->wanted && cluster_mark(c, &err) != DF_OK)
        fprintf(stderr, "weir: the service is not told that %u workers are wanted: %s\n", c->wanted, err.text);
    coord_server_status(c->server, c->status);
    atomic_store(&c->step, c->status->begun ? c->status->step + 1 : 0);
    coord_watch_take(&c->watch, c->status);
}

static df_status cluster_loop(cluster *c, df_error *err)
{
    df_status s = DF_OK;

    while (s == DF_OK) {
        s = coord_server_turn(c->server, CLUSTER_TURN_US, err);
        if (s != DF_OK || coord_machine_seconds() - c->looked >= CLUSTER_LOOK_S)
            cluster_look(c);
        c->left = *c->options->signals > 0 && c->options->survive;
        if (c->left)
            break;
        /* Said again until it is heard: while the log's first record is not durable, no command is. */
        if (*c->options->signals > 0 && coord_server_end(c->server) == PROTO_END_NOT)
            coord_server_command(c->server, PROTO_VERB_CANCEL);
    }
    return s == DF_END ? DF_OK : s;
}

/* A key may begin with a dash and has letters that mean something to a shell, but no quote. */
static void cluster_say_how(const cluster *c)
{
    const char *key = coord_server_key(c->server);

    fprintf(stderr, "workers join with: weir worker --join %s%s%s%s%s\n",
            coord_server_address(c->server), c->options->insecure ? " --insecure" : "",
            key[0] == '\0' ? "" : " --server-key='", key, key[0] == '\0' ? "" : "'");
}

static df_status cluster_open(cluster *c, df_error *err)
{
    const coord_cluster_options *o = c->options;
    coord_progress_options progress = { .quiet = o->quiet, .console = !o->json,
                                        .steps = o->plan->job.steps };
    coord_server_options options = { .job = &c->job, .state = c->state, .begin = o->begin,
                                     .snapshot = o->snapshot,
                                     .workers = o->workers, .threads = o->threads,
                                     .threads_all = o->threads_all,
                                     .expect = o->expect, .pool = o->ticket != 0,
                                     .workers_survive = o->survive, .bind = o->bind, .keys = o->keys,
                                     .insecure = o->insecure, .user = c,
                                     .metrics = o->metrics,
                                     .print = o->json || o->survive ? NULL : cluster_print };
    df_status s = cluster_job(c, err);

    if (s == DF_OK)
        s = coord_progress_new(&c->progress, &progress, err);
    if (s == DF_OK)
        s = coord_server_open(&c->server, &options, err);
    if (s == DF_OK && o->ticket != 0)
        s = cluster_mark(c, err);
    if (s == DF_OK && !o->quiet && o->workers > 0)
        fprintf(stderr, "%s  %u worker%s of %u thread%s\n", o->plan->job.name, o->workers,
                o->workers == 1 ? "" : "s", o->threads, o->threads == 1 ? "" : "s");
    if (s == DF_OK && !o->quiet && o->survive)
        cluster_say_how(c);
    if (s == DF_OK && o->metrics != NULL && !o->quiet)
        fprintf(stderr, "metrics at http://%s/metrics\n", coord_server_metrics(c->server));
    if (s == DF_OK)
        s = coord_progress_start(c->progress, cluster_sample, c, err);
    coord_watch_init(&c->watch, o->quiet ? NULL : c->progress, c->job.pace, true);
    return s;
}

/* ---- telling ---- */

static void cluster_print_done(const cluster *c)
{
    const coord_status *s = c->status;
    char files[1024], changes[COORD_WATCH_TEXT], line[96];

    if (c->options->quiet)
        return;
    coord_watch_text(&c->watch, changes);
    coord_line_closing(line, sizeof line, s->step, coord_machine_seconds() - c->begin, 0);
    fprintf(stderr, "%s, %" PRIu64 " snapshot%s, %" PRIu64 " restart%s%s\n", line, s->snapshots_taken,
            s->snapshots_taken == 1 ? "" : "s", s->restarts, s->restarts == 1 ? "" : "s", changes);
    if (strcmp(s->phase, "drained") == 0)
        printf("drained after step %" PRIu64 " of %" PRIu64 "; snapshot %" PRIu64 "\n", s->step, s->steps,
               s->snapshot);
    else
        printf("done. fingerprint %s\n", s->fingerprint[0] == '\0' ? "unknown" : s->fingerprint);
    if (c->options->verify != NULL && strcmp(s->phase, "drained") != 0)
        printf("same bits as %s in %" PRIu64 " steps\n", c->options->verify, s->steps + 1);
    coord_job_files(c->options->plan, files, sizeof files);
    if (files[0] != '\0')
        printf("in %s: %s\n", c->options->directory, files);
}

static int cluster_code(const cluster *c, df_status s)
{
    switch (s == DF_OK ? coord_server_end(c->server) : PROTO_END_FAILED) {
    case PROTO_END_DONE:
    case PROTO_END_DRAINED:
        return COORD_DONE;
    case PROTO_END_CANCELLED:
        return COORD_INTERRUPTED;
    case PROTO_END_NOT:
    case PROTO_END_FAILED:
        break;
    }
    return s == DF_EINVAL && c->server == NULL ? COORD_USAGE : COORD_FAILED;
}

/* A worker's error begins with the job's file, as it was told it. */
static const char *cluster_error(const cluster *c, const char *text)
{
    size_t length = strlen(c->file);

    return length > 0 && strncmp(text, c->file, length) == 0 && strncmp(text + length, ": ", 2) == 0
               ? text + length + 2 : text;
}

/* A service hears of the end what a client would have heard. */
static bool cluster_print_json(const cluster *c, const char *error)
{
    const coord_cluster_options *o = c->options;
    char *text;
    bool done;

    if (o->ticket == 0)
        return coord_json_cluster_run(stdout, c->status, o->plan, o->directory, o->workers, o->threads,
                                      coord_machine_seconds() - c->begin, error);
    text = coord_json_status(c->status);
    done = text != NULL && puts(text) >= 0 && fflush(stdout) == 0;
    free(text);
    return done;
}

static int cluster_report(cluster *c, df_status s, const df_error *err)
{
    const coord_cluster_options *o = c->options;
    int code = c->left ? COORD_INTERRUPTED : cluster_code(c, s);
    char changes[COORD_WATCH_TEXT];
    const char *error = cluster_error(c, s != DF_OK ? err->text : c->status->error);

    coord_watch_text(&c->watch, changes);
    if (o->tell != NULL) {
        o->tell(o->user, c->status, code, error);
        return code;
    }
    if (o->json && !cluster_print_json(c, error))
        code = COORD_FAILED;
    if (code == COORD_DONE && !o->json)
        cluster_print_done(c);
    else if (c->left)
        fprintf(stderr, "%s: left after step %" PRIu64 "; workers wait for the same command again\n",
                o->file, c->status->step);
    else if (code == COORD_INTERRUPTED && c->status->begun)
        fprintf(stderr, "%s: cancelled after step %" PRIu64 " of %" PRIu64 "%s; files are whole\n", o->file,
                c->status->step, c->status->steps, changes);
    else if (code == COORD_INTERRUPTED)
        fprintf(stderr, "%s: cancelled before step 0 was done\n", o->file);
    else if (code != COORD_DONE && strncmp(error, o->file, strlen(o->file)) == 0)
        fprintf(stderr, "%s\n", error); /* a step's error begins with the job file */
    else if (code != COORD_DONE)
        fprintf(stderr, "%s: %s\n", o->file, error);
    return code;
}

int coord_cluster_run(const coord_cluster_options *options)
{
    cluster *c = calloc(1, sizeof *c);
    df_error err = { 0 };
    df_status s;
    int code;

    if (c != NULL)
        c->status = calloc(1, sizeof *c->status);
    if (c == NULL || c->status == NULL) {
        free(c);
        fputs("weir run: out of memory\n", stderr);
        return COORD_FAILED;
    }
    c->options = options;
    c->begin = coord_machine_seconds();
    s = cluster_open(c, &err);
    if (s == DF_OK)
        s = cluster_loop(c, &err);
    coord_progress_stop(c->progress);
    if (!coord_progress_free(&c->progress) && s == DF_OK)
        s = df_fail(&err, DF_EIO, "standard output: %s", strerror(errno));
    code = cluster_report(c, s, &err);
    coord_server_close(&c->server);
    coord_plan_free(&c->plan);
    free(c->text);
    free(c->sets);
    free(c->status);
    free(c);
    return code;
}
