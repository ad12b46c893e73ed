/* weir coordinator JOB: the control plane of one job, as a process that may be killed and started
 * again while its workers live on. weir coordinator --config FILE: a service for several jobs. */
#include "coordinator/coord_children.h"
#include "coordinator/coord_cluster.h"
#include "coordinator/coord_http.h"
#include "coordinator/coord_job.h"
#include "coordinator/coord_service.h"
#include "coordinator/coord_ticket.h"
#include "coordinator/coord_verb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct coordinator_options {
    coord_texts set;
    coord_number steps, workers, threads, expect, ticket, snapshot;
    const char *directory, *state, *bind, *keys, *metrics, *config, *as;
    bool insecure, fresh, json, quiet;
} coordinator_options;

static const coord_option coordinator_table[] = {
    { .name = "config", .value = "FILE", .help = "be a service for several jobs, instead of JOB",
      .type = COORD_TEXT, .offset = offsetof(coordinator_options, config) },
    { .name = "set", .value = "K=V", .help = "override a [param], or a key by its path",
      .type = COORD_TEXTS, .offset = offsetof(coordinator_options, set) },
    { .name = "steps", .value = "N", .help = "the last step, instead of the job's",
      .type = COORD_NUMBER, .most = DF_STEPS_MAX, .offset = offsetof(coordinator_options, steps) },
    { .name = "workers", .value = "N", .help = "workers to start on this machine (0)",
      .type = COORD_NUMBER, .most = COORD_CHILDREN_MAX,
      .offset = offsetof(coordinator_options, workers) },
    { .name = "threads", .value = "T", .help = "of each of them (1)", .type = COORD_NUMBER, .least = 1,
      .most = DF_THREADS_MAX, .offset = offsetof(coordinator_options, threads) },
    { .name = "expect", .value = "N", .help = "wait for N workers at first, joined ones too (--workers, or 1)",
      .type = COORD_NUMBER, .least = 1, .most = PROTO_MEMBERS_MAX,
      .offset = offsetof(coordinator_options, expect) },
    { .name = "bind", .value = "ADDRESS", .help = "tcp://HOST:PORT, PORT may be * (a local socket)",
      .type = COORD_TEXT, .offset = offsetof(coordinator_options, bind) },
    { .name = "keys", .value = "DIR", .help = "keys for tcp (~/.config/weir/keys)", .type = COORD_TEXT,
      .offset = offsetof(coordinator_options, keys) },
    { .name = "insecure", .help = "tcp without keys: who reaches the port may do everything",
      .type = COORD_FLAG, .offset = offsetof(coordinator_options, insecure) },
    { .name = "metrics", .value = "ADDRESS",
      .help = "show numbers at http://ADDRESS/metrics; PORT alone is on 127.0.0.1", .type = COORD_TEXT,
      .offset = offsetof(coordinator_options, metrics) },
    { .name = "directory", .value = "DIR", .help = "of the files that sinks write (runs/NAME)",
      .type = COORD_TEXT, .offset = offsetof(coordinator_options, directory) },
    { .name = "state", .value = "DIR", .help = "of log and snapshots (runs/NAME/state)",
      .type = COORD_TEXT, .offset = offsetof(coordinator_options, state) },
    { .name = "snapshot", .value = "N", .help = "go back to snapshot N first; once, not whenever it is started again",
      .type = COORD_NUMBER, .least = 1, .most = UINT64_MAX,
      .offset = offsetof(coordinator_options, snapshot) },
    { .name = "fresh", .help = "remove what is left of a run, and begin anew", .type = COORD_FLAG,
      .offset = offsetof(coordinator_options, fresh) },
    { .name = "as", .value = "FILE", .help = "JOB is a copy of it: its name and its input files are FILE's",
      .type = COORD_TEXT, .offset = offsetof(coordinator_options, as) },
    { .name = "ticket", .value = "N", .help = "for a service: which of its jobs this is", .least = 1,
      .most = UINT64_MAX, .type = COORD_NUMBER, .offset = offsetof(coordinator_options, ticket) },
    { .name = "json", .help = "print one JSON object at the end", .type = COORD_FLAG,
      .offset = offsetof(coordinator_options, json) },
    { .name = "quiet", .help = "print errors only", .type = COORD_FLAG,
      .offset = offsetof(coordinator_options, quiet) },
    { 0 },
};

static volatile sig_atomic_t coordinator_signals;

static void coordinator_signal(int number)
{
    (void)number;
    if (coordinator_signals++ > 0)
        _exit(COORD_INTERRUPTED);
}

static void coordinator_signals_catch(void)
{
    struct sigaction action = { .sa_handler = coordinator_signal, .sa_flags = SA_RESTART };

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Where the text stands and what it is a copy of are two things, for a service. */
static df_status load_as(df_plan **plan, const char *copy, const char *as, const coord_texts *sets,
                         df_report *report)
{
    char *lines = malloc(PROTO_INPUT_SIZE_MAX + 1), *text = NULL;
    size_t used = 0, size;
    df_error err = { 0 };
    df_status s = lines == NULL ? DF_ENOMEM : coord_state_read_file(copy, &text, &size, &err);

    *plan = NULL;
    df_report_init(report, as);
    for (uint32_t i = 0; s == DF_OK && i < sets->count; i++) {
        used += (size_t)snprintf(lines + used, PROTO_INPUT_SIZE_MAX + 1 - used, "%s\n", sets->items[i]);
        if (used > PROTO_INPUT_SIZE_MAX)
            s = df_fail(&err, DF_ELIMIT, "--set: too many");
    }
    if (s == DF_OK) {
        lines[used] = '\0';
        s = coord_job_read(plan, as, text, size, lines, report);
    } else {
        df_report_add(report, (df_place){ 0, 0 }, "%s", err.text);
    }
    free(lines);
    free(text);
    return s;
}

static int coordinator_load(df_plan **plan, coord_texts *sets, char steps[48], const char *job,
                            const coordinator_options *o)
{
    df_report report;
    df_error err;
    df_status s;

    if (o->metrics != NULL && coord_http_check(o->metrics, &err) != DF_OK) {
        fprintf(stderr, "weir coordinator: --metrics: %s\n", err.text);
        return COORD_USAGE;
    }
    *sets = o->set;
    if (o->steps.given && sets->count < COORD_TEXTS_MAX) {
        snprintf(steps, 48, "job.steps=%" PRIu64, o->steps.value);
        sets->items[sets->count++] = steps;
    }
    s = o->as == NULL ? coord_job_load(plan, job, sets, &report)
                      : load_as(plan, job, o->as, sets, &report);
    if (s != DF_OK)
        df_report_print(&report, stderr);
    return s == DF_OK ? COORD_DONE : s == DF_ENOMEM ? COORD_FAILED : COORD_USAGE;
}

/* The first start of a submission replaces what has ended; later ones go on with what is theirs. */
static coord_server_begin coordinator_begin(const coordinator_options *o, const char *directory)
{
    char state[DF_PATH_MAX];
    coord_ticket_mark mark;

    if (!o->ticket.given)
        return o->fresh ? COORD_BEGIN_FRESH : COORD_BEGIN_RESUME;
    if (coord_state_path(state, directory, "state", NULL) != DF_OK ||
        coord_ticket_mark_read(state, &mark, NULL) != DF_OK)
        return COORD_BEGIN_NEW;
    return mark.number == o->ticket.value ? COORD_BEGIN_TAKE : COORD_BEGIN_NEW;
}

/* What a service was told of a job is right: its files are in a folder of its name. */
static bool name_is_right(const coordinator_options *o, const df_plan *plan)
{
    const char *folder = o->directory == NULL ? NULL : strrchr(o->directory, '/');
    bool right = !o->ticket.given || (folder != NULL && strcmp(folder + 1, plan->job.name) == 0);

    if (!right)
        fprintf(stderr, "the job's name is %s, and not that of its folder\n", plan->job.name);
    return right;
}

static int coordinator_job(const char *job, const coordinator_options *o)
{
    char directory[DF_PATH_MAX], steps[48];
    coord_texts sets;
    df_report report;
    df_plan *plan = NULL;
    int code = coordinator_load(&plan, &sets, steps, job, o);
    coord_cluster_options cluster = {
        .file = o->as == NULL ? job : o->as, .text = o->as == NULL ? NULL : job, .ticket = o->ticket.value,
        .directory = directory, .state = o->state, .sets = &sets,
        .workers = (uint32_t)o->workers.value, .expect = (uint32_t)o->expect.value,
        .json = o->json, .quiet = o->quiet, .survive = true,
        .threads = o->threads.given ? (uint32_t)o->threads.value : 1, .bind = o->bind, .keys = o->keys,
        .insecure = o->insecure, .snapshot = o->snapshot.value, .threads_all = o->threads.given,
        .signals = &coordinator_signals, .metrics = o->metrics,
    };

    if (code == COORD_DONE && !name_is_right(o, plan))
        code = COORD_USAGE;
    if (code == COORD_DONE && o->directory != NULL)
        snprintf(directory, sizeof directory, "%s", o->directory);
    else if (code == COORD_DONE)
        snprintf(directory, sizeof directory, "runs/%s", plan->job.name);
    if (code == COORD_DONE && (coord_job_devices(plan, &report) != DF_OK ||
                               coord_job_outputs(plan, directory, &report) != DF_OK)) {
        df_report_print(&report, stderr);
        code = COORD_USAGE;
    }
    if (code != COORD_DONE) {
        df_plan_free(&plan);
        return code;
    }
    cluster.begin = coordinator_begin(o, directory);
    cluster.plan = plan;
    coordinator_signals_catch();
    code = coord_cluster_run(&cluster);
    df_plan_free(&plan);
    return code;
}

/* The options are zero but for what was given. */
static bool only_config(const coordinator_options *o)
{
    static const coordinator_options none;
    coordinator_options rest;

    memcpy(&rest, o, sizeof rest);
    rest.config = NULL;
    return memcmp(&rest, &none, sizeof rest) == 0;
}

static int coordinator_run(const coord_args *args, const void *options)
{
    const coordinator_options *o = options;

    if (o->config == NULL && args->count == 1)
        return coordinator_job(args->items[0], o);
    if (o->config != NULL && args->count == 0 && only_config(o))
        return coord_service_run(o->config);
    fputs("weir coordinator: expected JOB, or --config FILE and nothing else\n", stderr);
    return COORD_USAGE;
}

const coord_verb coord_verb_coordinator = {
    .name = "coordinator",
    .arguments = "JOB | --config FILE",
    .help = "coordinate a job whose workers live on their own, or be a service for several",
    .more = "JOB: it goes on with a run that has not ended. Killed and started again, it takes over the workers\n"
            "that have lived on; no step is repeated. Workers of other machines join over tcp.\n\n"
            "--config FILE: a service, to which jobs are submitted (weir submit). It has a pool of workers that\n"
            "go from job to job. Killed and started again, it takes back all its jobs. FILE's keys: weir help\n"
            "service. No other option goes with it.\n",
    .options = coordinator_table,
    .options_size = sizeof(coordinator_options),
    .argument_max = 1,
    .run = coordinator_run,
};
