/* weir run JOB
 *
 * The run itself has three parts: open everything that may be refused (job, recording to compare
 * with, recording to write, sinks), run the steps, close everything whole. An error is printed once,
 * at the end; its text begins with the job file, which the graph itself puts in front of a step's. */
#include "coordinator/coord_run.h"

#include "coordinator/coord_children.h"
#include "coordinator/coord_cluster.h"
#include "coordinator/coord_http.h"
#include "coordinator/coord_job.h"
#include "coordinator/coord_json.h"
#include "coordinator/coord_line.h"
#include "coordinator/coord_machine.h"
#include "coordinator/coord_progress.h"
#include "coordinator/coord_verb.h"
#include "coordinator/coord_verify.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct run_options {
    coord_texts set;
    coord_number steps, threads, warmup, shuffle;
    coord_number workers, snapshot;
    const char *fingerprints, *verify, *directory, *state, *metrics;
    bool streams, json, quiet, resume, fresh;
} run_options;

static const coord_option run_table[] = {
    { .name = "set", .value = "K=V", .help = "override a [param], or a key by its path",
      .type = COORD_TEXTS, .offset = offsetof(run_options, set) },
    { .name = "steps", .value = "N", .help = "the last step, instead of the job's",
      .type = COORD_NUMBER, .most = DF_STEPS_MAX, .offset = offsetof(run_options, steps) },
    { .name = "threads", .value = "T", .help = "threads (default: one per processor)",
      .type = COORD_NUMBER, .least = 1, .most = DF_THREADS_MAX,
      .offset = offsetof(run_options, threads) },
    { .name = "workers", .value = "N", .help = "run in N processes, with snapshots; N may change later",
      .type = COORD_NUMBER, .least = 1, .most = COORD_CHILDREN_MAX,
      .offset = offsetof(run_options, workers) },
    { .name = "resume", .help = "with --workers: go on with a run that has not ended",
      .type = COORD_FLAG, .offset = offsetof(run_options, resume) },
    { .name = "snapshot", .value = "N", .help = "with --resume: go back to snapshot N first, also from a run that has ended",
      .type = COORD_NUMBER, .least = 1, .most = UINT64_MAX, .offset = offsetof(run_options, snapshot) },
    { .name = "fresh", .help = "with --workers: remove what is left of one, and begin anew",
      .type = COORD_FLAG, .offset = offsetof(run_options, fresh) },
    { .name = "state", .value = "DIR", .help = "with --workers: of log and snapshots (runs/NAME/state)",
      .type = COORD_TEXT, .offset = offsetof(run_options, state) },
    { .name = "metrics", .value = "ADDRESS",
      .help = "with --workers: show numbers at http://ADDRESS/metrics; PORT alone is on 127.0.0.1",
      .type = COORD_TEXT, .offset = offsetof(run_options, metrics) },
    { .name = "directory", .value = "DIR", .help = "of the files that sinks write (runs/NAME)",
      .type = COORD_TEXT, .offset = offsetof(run_options, directory) },
    { .name = "fingerprints", .value = "FILE", .help = "record the fingerprint of every step",
      .type = COORD_TEXT, .offset = offsetof(run_options, fingerprints) },
    { .name = "verify", .value = "FILE",
      .help = "compare every step with a recording, stop at the first that differs",
      .type = COORD_TEXT, .offset = offsetof(run_options, verify) },
    { .name = "fingerprint-streams", .help = "fingerprint what every operator makes, too",
      .type = COORD_FLAG, .offset = offsetof(run_options, streams) },
    { .name = "json", .help = "print one JSON object at the end, and nothing else",
      .type = COORD_FLAG, .offset = offsetof(run_options, json) },
    { .name = "quiet", .help = "print only what the job's sinks print, and errors",
      .type = COORD_FLAG, .offset = offsetof(run_options, quiet) },
    { .name = "warmup", .value = "N", .help = "measure the speed after step N only",
      .type = COORD_NUMBER, .most = DF_STEPS_MAX, .offset = offsetof(run_options, warmup) },
    { .name = "shuffle", .value = "SEED", .help = "run tasks in a random order: same bits",
      .type = COORD_NUMBER, .least = 1, .most = UINT64_MAX,
      .offset = offsetof(run_options, shuffle) },
    { 0 },
};

typedef struct run {
    const run_options *options;
    const char *job; /* the file, as the user named it */
    char directory[COORD_PATH_MAX];
    char steps[48]; /* --steps, as one more --set */
    df_plan *plan;
    df_graph *graph;
    coord_verify *verify;
    coord_prints_writer *writer;
    coord_progress *progress;
    double begin;
    double pace_begin; /* 0: not yet */
    uint64_t paced;    /* the step that it has let be done */
    coord_run_result result;
} run;

/* ---- Ctrl-C ---- */

static df_graph *_Atomic run_graph; /* what the handler stops */
static volatile sig_atomic_t run_signals;

static void run_signal(int number)
{
    static const char text[] =
        "\nstopping when the steps that have begun are done; once more to leave at once\n";
    int saved = errno;
    df_graph *graph = atomic_load(&run_graph);

    (void)number;
    if (run_signals++ > 0)
        _exit(COORD_INTERRUPTED);
    if (graph != NULL)
        df_graph_stop(graph);
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        errno = 0; /* nobody is there to be told */
    errno = saved;
}

static void run_signals_catch(void)
{
    struct sigaction action = { .sa_handler = run_signal, .sa_flags = SA_RESTART };

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of a write, and files are closed whole */
}

/* ---- opening ---- */

static df_status run_on_step(void *user, const df_step_print *print, df_error *err)
{
    run *r = user;
    df_status s = DF_OK;

    if (r->verify != NULL)
        s = coord_verify_step(r->verify, print, err);
    if (s == DF_OK && r->writer != NULL)
        s = coord_prints_put(r->writer, print, err);
    return s == DF_OK ? DF_OK : df_wrap(err, s, "%s", r->job);
}

static bool same_file(const char *a, const char *b)
{
    struct stat one, two;

    return stat(a, &one) == 0 && stat(b, &two) == 0 && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino;
}

static df_status run_open_recordings(run *r, df_error *err)
{
    const run_options *o = r->options;
    df_status s = DF_OK;

    if (o->verify != NULL) {
        FILE *file = coord_prints_file(o->verify, err);

        s = file == NULL ? DF_EIO : coord_verify_open(&r->verify, file, o->verify, r->plan, o->streams,
                                                      err);
    }
    if (s == DF_OK && o->fingerprints != NULL)
        s = coord_prints_create(&r->writer, o->fingerprints, r->plan, o->streams, err);
    return s;
}

static df_status run_open(run *r, df_error *err)
{
    const run_options *o = r->options;
    const df_policy *policy = &r->plan->draft->policy;
    coord_progress_options progress = { .quiet = o->quiet, .console = !o->json,
                                        .steps = r->plan->job.steps };
    df_graph_options graph = { .threads = r->result.threads,
                               .directory = r->directory,
                               .fingerprint_steps = o->fingerprints != NULL || o->verify != NULL,
                               .fingerprint_streams = o->streams,
                               .shuffle_seed = o->shuffle.value,
                               .retries = policy->fault_mode == DF_FAULT_RETRY ? policy->fault_retries : 0,
                               .retry_ns = (uint64_t)(policy->fault_backoff_seconds * 1e9),
                               .on_step = run_on_step,
                               .user = r };
    df_status s = run_open_recordings(r, err);

    if (s == DF_OK)
        s = coord_progress_new(&r->progress, &progress, err);
    if (s != DF_OK)
        return s;
    graph.console = coord_progress_console(r->progress);
    s = df_graph_new(&r->graph, r->plan, &graph, err);
    if (s != DF_OK)
        return s;
    atomic_store(&run_graph, r->graph);
    return DF_OK;
}

static bool run_sample(void *user, coord_sample *sample)
{
    run *r = user;
    df_graph_stats stats;

    df_graph_stats_get(r->graph, &stats);
    sample->step = stats.step;
    sample->rows = stats.rows;
    return stats.begun;
}

/* ---- running ---- */

/* The highest step that [run] pace allows by now: step 0 fills the states, and the pace counts from its end. */
static uint64_t run_allowed(const run *r, uint64_t step)
{
    double allowed = (coord_machine_seconds() - r->pace_begin) * r->plan->draft->pace;

    return allowed >= (double)step ? step : (uint64_t)allowed;
}

/* Steps up to `reached` are done now, in one go behind `done`: all but the last were due before it was begun. */
static void run_count_late(run *r, uint64_t done, uint64_t reached)
{
    if (reached > done)
        r->result.late_steps += reached - done - (run_allowed(r, UINT64_MAX) > reached ? 0 : 1);
}

/* Pacing is granting less: a few steps at a time, and waiting in between. */
static df_status run_paced(run *r, uint64_t step, df_error *err)
{
    double pace = r->plan->draft->pace;
    df_status s = DF_OK;

    if (r->pace_begin == 0) {
        s = df_graph_run(r->graph, 0, err);
        r->pace_begin = coord_machine_seconds();
    }
    while (s == DF_OK && r->paced < step) {
        uint64_t reached = run_allowed(r, step);
        double left;

        s = run_signals > 0 ? DF_END : df_graph_run(r->graph, reached, err);
        if (s == DF_OK)
            run_count_late(r, r->paced, reached);
        r->paced = reached;
        left = ((double)reached + 1) / pace - (coord_machine_seconds() - r->pace_begin);
        if (s == DF_OK && reached < step && left > 0) {
            struct timespec wait = { .tv_sec = (time_t)left,
                                     .tv_nsec = (long)((left - (double)(time_t)left) * 1e9) };

            nanosleep(&wait, NULL);
        }
    }
    return s;
}

static df_status run_until(run *r, uint64_t step, df_error *err)
{
    if (run_signals > 0)
        return DF_END;
    return r->plan->draft->pace > 0 ? run_paced(r, step, err) : df_graph_run(r->graph, step, err);
}

/* What is measured are the steps after the warm-up; without one, those after step 0, whose sources
 * fill the states. */
static df_status run_steps(run *r, df_error *err)
{
    uint64_t last = r->plan->job.steps, warm = r->options->warmup.value;
    df_graph_stats before, after;
    double begin;
    df_status s;

    r->begin = coord_machine_seconds();
    s = run_until(r, warm < last ? warm : last, err);
    begin = coord_machine_seconds();
    r->result.seconds_setup = begin - r->begin;
    df_graph_stats_get(r->graph, &before);
    if (s == DF_OK && warm < last)
        s = run_until(r, last, err);
    df_graph_stats_get(r->graph, &after);
    r->result.seconds = coord_machine_seconds() - begin;
    r->result.steps = after.step - before.step;
    r->result.row_steps = after.rows - before.rows;
    r->result.allocations = after.allocations - before.allocations;
    return s;
}

/* Close everything whole, whatever happened; the first trouble is the one that counts. */
static df_status run_finish(run *r, df_status s, df_error *err)
{
    df_error later = { 0 };
    uint64_t step;

    coord_progress_stop(r->progress);
    if (r->graph != NULL && df_graph_finish(r->graph, &later) != DF_OK && s == DF_OK)
        s = df_fail(err, later.status, "%s: %s", r->job, later.text);
    if (coord_prints_close(&r->writer, &later) != DF_OK && s == DF_OK)
        s = df_fail(err, later.status, "%s: %s", r->job, later.text);
    if (!coord_progress_free(&r->progress) && s == DF_OK)
        s = df_fail(err, DF_EIO, "%s: standard output: %s", r->job, strerror(errno));
    r->result.graph = r->graph;
    r->result.have_fingerprint =
        s == DF_OK && df_graph_fingerprint(r->graph, &step, &r->result.fingerprint);
    r->result.steps_verified = r->verify == NULL ? 0 : coord_verify_count(r->verify);
    return s;
}

/* ---- telling ---- */

/* "flock  1,000,000 birds  240 key groups  2 threads": the key groups that there really are, of the
 * state that has the most. */
static void run_print_head(const run *r)
{
    const df_plan *p = r->plan;
    uint32_t key_groups = 0;

    if (r->options->quiet)
        return;
    fprintf(stderr, "%s", p->job.name);
    for (uint32_t i = 0; i < p->state_count; i++) {
        const df_vertex *state = &p->vertices[p->states[i].vertex];
        const df_port *first = &state->ports[0];
        uint64_t rows = 0;
        char text[32] = "";

        for (uint32_t k = 0; k < first->stream_count; k++) {
            uint64_t more = p->vertices[p->streams[first->streams[k]].vertex].rows;

            rows = more == UINT64_MAX || rows == UINT64_MAX ? UINT64_MAX : rows + more;
        }
        if (state->partition.key_groups > key_groups)
            key_groups = state->partition.key_groups;
        if (rows != UINT64_MAX)
            coord_line_grouped(text, sizeof text, rows);
        fprintf(stderr, "  %s%s%s", text, text[0] == '\0' ? "" : " ", p->states[i].name);
    }
    fprintf(stderr, "  %u key groups  %u thread%s\n", key_groups, r->result.threads,
            r->result.threads == 1 ? "" : "s");
}

/* If nothing was measured, because step 0 or the warm-up was all, how long all took. */
static void run_print_speed(const run *r)
{
    char text[96], late[64];

    if (r->result.steps == 0) {
        fprintf(stderr, "step %" PRIu64 " was done after %.1f s\n", r->plan->job.steps,
                r->result.seconds_setup + r->result.seconds);
        return;
    }
    coord_line_closing(text, sizeof text, r->result.steps, r->result.seconds, r->result.row_steps);
    coord_line_late(late, sizeof late, r->plan->draft->pace, r->result.late_steps);
    fprintf(stderr, "%s%s\n", text, late);
}

static void run_print_done(const run *r)
{
    char files[1024];

    if (r->options->quiet)
        return;
    run_print_speed(r);
    printf("done. fingerprint %016" PRIx64 "%016" PRIx64 "\n", r->result.fingerprint.high,
           r->result.fingerprint.low);
    if (r->options->verify != NULL)
        printf("same bits as %s in %" PRIu64 " steps\n", r->options->verify, r->result.steps_verified);
    coord_job_files(r->plan, files, sizeof files);
    if (files[0] != '\0')
        printf("in %s: %s\n", r->directory, files);
}

static int run_report(run *r, df_status s, const df_error *err)
{
    df_graph_stats stats = { 0 };
    int code = s == DF_OK ? COORD_DONE : s == DF_END ? COORD_INTERRUPTED : COORD_FAILED;

    if (r->graph != NULL)
        df_graph_stats_get(r->graph, &stats);
    r->result.status = s == DF_OK ? "done" : s == DF_END ? "interrupted" : "failed";
    r->result.error = code == COORD_FAILED ? err : NULL;
    if (r->options->json && !coord_json_run(stdout, &r->result))
        code = COORD_FAILED;
    if (s == DF_OK && !r->options->json)
        run_print_done(r);
    else if (s == DF_END && stats.begun)
        fprintf(stderr, "%s: interrupted after step %" PRIu64 " of %" PRIu64 "; files are whole\n",
                r->job, stats.step, r->plan->job.steps);
    else if (s == DF_END)
        fprintf(stderr, "%s: interrupted before step 0 was done\n", r->job);
    else if (s != DF_OK)
        fprintf(stderr, "%s\n", err->text);
    return code;
}

/* ---- the verb ---- */

/* The plan, with --steps as one more override, so that a job's own `steps` may be missing. */
static int run_load(run *r, coord_texts *sets)
{
    df_report report;
    df_status s;

    *sets = r->options->set;
    if (r->options->steps.given) {
        snprintf(r->steps, sizeof r->steps, "job.steps=%" PRIu64, r->options->steps.value);
        if (sets->count == COORD_TEXTS_MAX) {
            fputs("weir run: too many --set\n", stderr);
            return COORD_USAGE;
        }
        sets->items[sets->count++] = r->steps;
    }
    s = coord_job_load(&r->plan, r->job, sets, &report);
    if (s != DF_OK)
        df_report_print(&report, stderr);
    return s == DF_OK ? COORD_DONE : s == DF_ENOMEM ? COORD_FAILED : COORD_USAGE;
}

static int run_job(run *r)
{
    df_error err = { 0 };
    df_status s;
    int code;

    run_signals_catch();
    r->result.plan = r->plan;
    r->result.directory = r->directory;
    r->result.threads = r->options->threads.given ? (uint32_t)r->options->threads.value
                                                  : coord_machine_threads();
    s = run_open(r, &err);
    if (s == DF_OK) {
        run_print_head(r);
        s = coord_progress_start(r->progress, run_sample, r, &err);
    }
    if (s == DF_OK)
        s = run_steps(r, &err);
    else
        s = df_wrap(&err, s, "%s", r->job);
    s = run_finish(r, s, &err);
    code = run_report(r, s, &err);
    atomic_store(&run_graph, NULL);
    df_graph_free(&r->graph);
    coord_verify_close(&r->verify);
    df_plan_free(&r->plan);
    return code;
}

/* ---- with workers ---- */

/* Snapshots are taken of workers, and a record is kept beside them, so a job that wants them has one at least. */
static bool run_has_workers(const run *r)
{
    const df_policy *policy = &r->plan->draft->policy;

    return r->options->workers.given || policy->snapshot || policy->replay_record;
}

static int run_check_devices(const run *r)
{
    df_report report;

    if (coord_job_devices(r->plan, &report) == DF_OK)
        return COORD_DONE;
    df_report_print(&report, stderr);
    return COORD_USAGE;
}

static int run_check_outputs(const run *r)
{
    df_report report;

    if (coord_job_outputs(r->plan, r->directory, &report) == DF_OK)
        return COORD_DONE;
    df_report_print(&report, stderr);
    return COORD_USAGE;
}

static int run_check_workers(const run *r)
{
    const run_options *o = r->options;
    const char *wrong = NULL;
    df_error err;

    if (!run_has_workers(r)) {
        if (o->resume || o->snapshot.given || o->fresh || o->state != NULL || o->metrics != NULL) {
            fputs("weir run: --resume, --fresh, --state and --metrics go with --workers, or with a job "
                  "that has a [snapshot] or a [replay] record\n", stderr);
            return COORD_USAGE;
        }
        return COORD_DONE;
    }
    if (o->warmup.given || o->shuffle.given)
        wrong = "--warmup and --shuffle";
    else if (o->resume && o->fresh)
        wrong = "--resume and --fresh together";
    else if (o->snapshot.given && !o->resume)
        wrong = "--snapshot without --resume";
    if (o->metrics != NULL && coord_http_check(o->metrics, &err) != DF_OK) {
        fprintf(stderr, "weir run: --metrics: %s\n", err.text);
        return COORD_USAGE;
    }
    if (wrong != NULL)
        fprintf(stderr, "weir run: there are no %s with --workers\n", wrong);
    return wrong == NULL ? COORD_DONE : COORD_USAGE;
}

static int run_workers(run *r, const coord_texts *sets)
{
    const run_options *o = r->options;
    uint32_t workers = o->workers.given ? (uint32_t)o->workers.value : 1;
    uint32_t cores = coord_machine_threads();
    coord_cluster_options options = {
        .file = r->job, .directory = r->directory, .state = o->state, .plan = r->plan, .sets = sets,
        .workers = workers, .json = o->json, .quiet = o->quiet,
        .fingerprints = o->fingerprints, .verify = o->verify, .streams = o->streams,
        .metrics = o->metrics,
        .threads = o->threads.given ? (uint32_t)o->threads.value : cores > workers ? cores / workers : 1,
        .begin = o->resume ? COORD_BEGIN_RESUME : o->fresh ? COORD_BEGIN_FRESH : COORD_BEGIN_NEW,
        .snapshot = o->snapshot.value, .threads_all = o->threads.given,
        .signals = &run_signals,
    };
    int code;

    run_signals_catch();
    code = coord_cluster_run(&options);
    df_plan_free(&r->plan);
    return code;
}

static int run_run(const coord_args *args, const void *options)
{
    run r = { .options = options, .job = args->items[0] };
    coord_texts sets;
    int code;

    if (r.options->verify != NULL && r.options->fingerprints != NULL &&
        same_file(r.options->verify, r.options->fingerprints)) {
        fputs("weir run: --fingerprints would write over the recording of --verify\n", stderr);
        return COORD_USAGE;
    }
    if (r.options->directory != NULL &&
        (r.options->directory[0] == '\0' || strlen(r.options->directory) >= sizeof r.directory)) {
        fputs("weir run: --directory: expected a path\n", stderr);
        return COORD_USAGE;
    }
    code = run_load(&r, &sets);
    if (code != COORD_DONE)
        return code;
    code = run_check_devices(&r);
    if (code == COORD_DONE)
        code = run_check_workers(&r);
    if (r.options->directory != NULL)
        strcpy(r.directory, r.options->directory);
    else
        snprintf(r.directory, sizeof r.directory, "runs/%s", r.plan->job.name);
    if (code == COORD_DONE)
        code = run_check_outputs(&r);
    if (code != COORD_DONE) {
        df_plan_free(&r.plan);
        return code;
    }
    return run_has_workers(&r) ? run_workers(&r, &sets) : run_job(&r);
}

const coord_verb coord_verb_run = {
    .name = "run",
    .arguments = "JOB",
    .help = "run a job file",
    .more = "Files go to runs/NAME. Exits 0 when the job is done, 1 if it failed or a step differs\n"
            "from the recording, 2 if the job file is wrong (nothing is started then), 130 after\n"
            "Ctrl-C: the steps that have begun are finished and files are whole.\n",
    .options = run_table,
    .options_size = sizeof(run_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = run_run,
};
