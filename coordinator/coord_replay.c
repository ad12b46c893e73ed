/* weir replay JOB
 *
 * A replay is a run like any other with workers, of the job as it was recorded, in a folder of its own that is removed
 * afterwards. It begins with a copy of a snapshot, ends with the last step that is asked for, and is compared with a copy
 * of the record. So it disturbs nothing, however long it takes. */
#include "coordinator/coord_replay.h"

#include "coordinator/coord_children.h"
#include "coordinator/coord_cluster.h"
#include "coordinator/coord_job.h"
#include "coordinator/coord_json.h"
#include "coordinator/coord_machine.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_verb.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct replay_options {
    coord_texts set;
    coord_number from, to, snapshot, workers, threads;
    const char *directory;
    bool json, quiet;
} replay_options;

static const coord_option replay_table[] = {
    { .name = "from", .value = "STEP", .help = "begin with the last snapshot at or before this step",
      .type = COORD_NUMBER, .most = DF_STEPS_MAX, .offset = offsetof(replay_options, from) },
    { .name = "snapshot", .value = "N", .help = "begin with this one (default: the first there is)",
      .type = COORD_NUMBER, .least = 1, .most = UINT64_MAX, .offset = offsetof(replay_options, snapshot) },
    { .name = "to", .value = "STEP", .help = "the last step (default: the last that is recorded)",
      .type = COORD_NUMBER, .most = DF_STEPS_MAX, .offset = offsetof(replay_options, to) },
    { .name = "workers", .value = "N", .help = "processes (1)", .type = COORD_NUMBER, .least = 1,
      .most = COORD_CHILDREN_MAX, .offset = offsetof(replay_options, workers) },
    { .name = "threads", .value = "T", .help = "threads of each (default: this machine's processors over N)",
      .type = COORD_NUMBER, .least = 1, .most = DF_THREADS_MAX, .offset = offsetof(replay_options, threads) },
    { .name = "directory", .value = "DIR",
      .help = "let the job's sinks write what they make of these steps there (default: nowhere)",
      .type = COORD_TEXT, .offset = offsetof(replay_options, directory) },
    { .name = "set", .value = "K=V", .help = "override what changes no bits: a sink, run.pace, ...",
      .type = COORD_TEXTS, .offset = offsetof(replay_options, set) },
    { .name = "json", .help = "print one JSON object at the end, and nothing else", .type = COORD_FLAG,
      .offset = offsetof(replay_options, json) },
    { .name = "quiet", .help = "print only what the job's sinks print, how it ended, and errors", .type = COORD_FLAG,
      .offset = offsetof(replay_options, quiet) },
    { 0 },
};

typedef struct replay {
    const replay_options *options;
    coord_replay_job job;
    coord_replay_span span;
    coord_replay_result result;
    char folder[DF_PATH_MAX];
    df_file *lock;            /* null: there is no folder */
    char *sets;               /* as the replay has them, a line each; cut into `texts` */
    coord_texts texts;
    df_plan *plan;            /* of the job with them */
} replay;

static volatile sig_atomic_t replay_signals;

static void replay_signal(int number)
{
    (void)number;
    if (replay_signals++ > 0)
        _exit(COORD_INTERRUPTED);
}

static void replay_signals_catch(void)
{
    struct sigaction action = { .sa_handler = replay_signal, .sa_flags = SA_RESTART };

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- the job, as it is run again ---- */

/* Snapshots are of no use to it but the last, which every run takes; and nobody is to change its workers. */
static void put_sets(const replay *r, FILE *out)
{
    const df_policy *policy = &r->job.plan->draft->policy;
    uint32_t workers = r->result.workers;

    fprintf(out, "%srun.pace=unlimited\n", r->job.sets);
    for (uint32_t i = 0; i < r->options->set.count; i++)
        fprintf(out, "%s\n", r->options->set.items[i]);
    fprintf(out, "job.steps=%" PRIu64 "\nreplay.mode=off\nplacement.auto=false\n", r->span.last);
    if (policy->snapshot_every_steps != 0)
        fprintf(out, "snapshot.every_steps=%u\n", UINT32_MAX);
    else
        fputs("snapshot.every_seconds=1e9\n", out);
    if (policy->scaling.on)
        fprintf(out, "scaling.min=%u\nscaling.max=%u\n", workers, workers);
}

static df_status make_sets(replay *r, df_error *err)
{
    size_t size;
    FILE *out = open_memstream(&r->sets, &size);

    for (uint32_t i = 0; i < r->options->set.count; i++)
        if (strchr(r->options->set.items[i], '\n') != NULL) {
            if (out != NULL)
                fclose(out);
            return df_fail(err, DF_EINVAL, "--set: its text is one line");
        }
    if (out != NULL)
        put_sets(r, out);
    return out != NULL && fclose(out) == 0 ? DF_OK : df_fail(err, DF_ENOMEM, "out of memory");
}

static df_status cut_sets(replay *r, df_error *err)
{
    for (char *rest = r->sets, *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] == '\0')
            continue;
        if (r->texts.count == COORD_TEXTS_MAX)
            return df_fail(err, DF_ELIMIT, "--set: too many");
        r->texts.items[r->texts.count++] = line;
    }
    return DF_OK;
}

static df_status make_plan(replay *r, df_error *err)
{
    const coord_replay_job *job = &r->job;
    df_report report;
    df_status s = make_sets(r, err);

    if (s != DF_OK)
        return s;
    s = coord_job_read(&r->plan, job->file, job->text, job->text_size, r->sets, &report);
    if (s != DF_OK) {
        df_report_print(&report, stderr);
        return df_fail(err, s, "%s: the job cannot be run again so", job->file);
    }
    if (r->plan->hash[0] != job->plan->hash[0] || r->plan->hash[1] != job->plan->hash[1])
        return df_fail(err, DF_EINVAL, "--set: this changes what is computed; a replay may change sinks and how it is run");
    return cut_sets(r, err);
}

/* Its sinks begin anew, so where the run itself wrote is no place for them. */
static df_status check_directory(const replay *r, df_error *err)
{
    char wanted[DF_PATH_MAX], own[DF_PATH_MAX], state[DF_PATH_MAX], inner[DF_PATH_MAX];

    if (r->options->directory == NULL)
        return DF_OK;
    if (r->options->directory[0] == '\0' || strlen(r->options->directory) >= PROTO_TEXT_SIZE_MAX)
        return df_fail(err, DF_EINVAL, "--directory: expected a path");
    if (realpath(r->options->directory, wanted) == NULL) /* it is not there yet */
        return DF_OK;
    if ((realpath(r->job.directory, own) == NULL || strcmp(wanted, own) != 0) &&
        (realpath(r->job.state, state) == NULL || coord_state_path(inner, wanted, "state", err) != DF_OK ||
         strcmp(inner, state) != 0))
        return DF_OK;
    return df_fail(err, DF_EINVAL, "--directory %s is where the run that is replayed writes", wanted);
}

/* ---- running ---- */

static void replay_tell(void *user, const coord_status *status, int code, const char *error)
{
    replay *r = user;

    r->result.code = code;
    r->result.step = status->step;
    snprintf(r->result.error, sizeof r->result.error, "%s", error);
}

static df_status replay_cluster(replay *r, df_error *err)
{
    char text[DF_PATH_MAX], state[DF_PATH_MAX], record[DF_PATH_MAX], output[DF_PATH_MAX];
    const replay_options *o = r->options;
    coord_cluster_options cluster = {
        .file = r->job.file, .text = text, .directory = o->directory == NULL ? output : o->directory,
        .state = state, .plan = r->plan, .sets = &r->texts, .workers = r->result.workers,
        .threads = r->result.threads, .threads_all = o->threads.given, .verify = record,
        .verify_name = "the record",
        /* Other sinks may want other operators to work, at other steps. */
        .streams = r->job.plan->draft->policy.replay_streams && o->set.count == 0,
        .json = o->json || o->directory == NULL, .quiet = o->quiet, .signals = &replay_signals,
        .tell = replay_tell, .user = r,
    };
    df_status s = coord_state_write(r->folder, "job.toml", r->job.text, r->job.text_size, err);

    if (s == DF_OK)
        s = coord_state_path(text, r->folder, "job.toml", err);
    if (s == DF_OK)
        s = coord_state_path(state, r->folder, "state", err);
    if (s == DF_OK)
        s = coord_state_path(record, r->folder, "record", err);
    if (s == DF_OK)
        s = coord_state_path(output, r->folder, "output", err);
    if (s == DF_OK)
        (void)coord_cluster_run(&cluster);
    return s;
}

static void replay_print_head(const replay *r)
{
    if (r->options->quiet || r->options->json)
        return;
    fprintf(stderr, "%s  steps %" PRIu64 " to %" PRIu64 " again, from ", r->plan->job.name, r->span.first,
            r->span.last);
    if (r->span.begin == 0)
        fputs("the beginning\n", stderr);
    else
        fprintf(stderr, "snapshot %" PRIu64 "\n", r->span.begin);
}

static df_status replay_do(replay *r, df_error *err)
{
    const replay_options *o = r->options;
    df_report devices;
    df_status s = coord_replay_job_read(&r->job, r->result.name, err);

    if (s == DF_OK)
        s = check_directory(r, err);
    if (s == DF_OK && coord_job_devices(r->job.plan, &devices) != DF_OK)
        s = df_fail(err, DF_EINVAL, "%s", devices.entries[0].text);
    if (s == DF_OK)
        s = coord_replay_folder(r->folder, &r->lock, r->job.state, err);
    r->span = (coord_replay_span){ .from = o->from, .to = o->to, .snapshot = o->snapshot };
    if (s == DF_OK)
        s = coord_replay_take(&r->span, &r->job, r->folder, err);
    if (s == DF_OK)
        s = make_plan(r, err);
    if (s != DF_OK)
        return s;
    replay_print_head(r);
    return replay_cluster(r, err);
}

/* ---- telling ---- */

static void replay_print(const replay *r)
{
    const coord_replay_result *result = &r->result;
    char files[1024];

    if (result->code == COORD_DONE) {
        printf("steps %" PRIu64 " to %" PRIu64 ": the same bits ✓\n", r->span.first, r->span.last);
        coord_job_files(r->plan, files, sizeof files);
        if (r->options->directory != NULL && files[0] != '\0' && !r->options->quiet)
            printf("in %s: %s\n", r->options->directory, files);
    } else if (result->code == COORD_INTERRUPTED) {
        fprintf(stderr, "%s: interrupted\n", result->name);
    } else {
        fprintf(stderr, "%s: %s\n", result->name, result->error);
    }
}

static int replay_finish(replay *r, df_status s, const df_error *err)
{
    int code = s == DF_OK ? r->result.code : s == DF_EINVAL ? COORD_USAGE : COORD_FAILED;

    r->result.span = &r->span;
    r->result.plan = r->plan;
    if (s != DF_OK)
        fprintf(stderr, "weir replay: %s\n", err->text);
    else if (!r->options->json)
        replay_print(r);
    else if (!coord_json_replay(stdout, &r->result))
        code = COORD_FAILED;
    if (r->lock != NULL)
        coord_replay_folder_remove(r->folder, &r->lock);
    coord_replay_job_fini(&r->job);
    df_plan_free(&r->plan);
    free(r->sets);
    return code;
}

static int replay_run(const coord_args *args, const void *options)
{
    const replay_options *o = options;
    uint32_t workers = o->workers.given ? (uint32_t)o->workers.value : 1, cores = coord_machine_threads();
    replay *r = calloc(1, sizeof *r);
    df_error err = { 0 };
    df_status s = DF_OK;
    int code;

    if (r == NULL) {
        fputs("weir replay: out of memory\n", stderr);
        return COORD_FAILED;
    }
    r->options = o;
    r->result = (coord_replay_result){ .name = args->items[0], .workers = workers, .code = COORD_FAILED,
                                       .threads = o->threads.given  ? (uint32_t)o->threads.value
                                                  : cores > workers ? cores / workers
                                                                    : 1 };
    if (o->from.given && o->snapshot.given)
        s = df_fail(&err, DF_EINVAL, "--from and --snapshot both say where to begin");
    else if (o->from.given && o->to.given && o->to.value < o->from.value)
        s = df_fail(&err, DF_EINVAL, "--to is before --from");
    replay_signals_catch();
    if (s == DF_OK)
        s = replay_do(r, &err);
    code = replay_finish(r, s, &err);
    free(r);
    return code;
}

const coord_verb coord_verb_replay = {
    .name = "replay",
    .arguments = "JOB",
    .help = "run recorded steps again and compare their bits",
    .more = "JOB is named as for weir status; it may run, have ended or have been killed, and must have been\n"
            "recorded: [replay] mode = \"record\". Steps from a kept snapshot on are run again, in a folder of\n"
            "their own, and each is compared with the record. The job and its files are not touched.\n\n"
            "A person who wants to see more of step 812345: weir replay JOB --from 812345 --to 812346\n"
            "--directory look --set sink.NAME.every_steps=1\n\n"
            "Exits 0 if all bits are the same; 1 if a step differs, which is named with its state, key group and\n"
            "column, and the operator if [replay] streams = true; 2 if there is nothing to be run.\n",
    .options = replay_table,
    .options_size = sizeof(replay_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = replay_run,
};
