/* weir submit JOB, weir forget JOB: a job for a service, and none any more. */
#include "coordinator/coord_client.h"
#include "coordinator/coord_job.h"
#include "coordinator/coord_json.h"
#include "coordinator/coord_progress.h"
#include "coordinator/coord_verb.h"
#include "coordinator/coord_watch.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SUBMIT_LOOK_NS 200000000 /* between two looks at a job that is followed */

typedef struct submit_options {
    coord_reach reach;
    coord_texts set;
    coord_number steps, workers;
    bool json, follow, quiet;
} submit_options;

static const coord_option submit_table[] = {
    { .name = "set", .value = "K=V", .help = "override a [param], or a key by its path",
      .type = COORD_TEXTS, .offset = offsetof(submit_options, set) },
    { .name = "steps", .value = "N", .help = "the last step, instead of the job's",
      .type = COORD_NUMBER, .most = DF_STEPS_MAX, .offset = offsetof(submit_options, steps) },
    { .name = "workers", .value = "N", .help = "of the pool, with which it begins (1)",
      .type = COORD_NUMBER, .least = 1, .most = PROTO_MEMBERS_MAX,
      .offset = offsetof(submit_options, workers) },
    { .name = "follow", .help = "show how it goes on, until it has ended; Ctrl-C leaves it running",
      .type = COORD_FLAG, .offset = offsetof(submit_options, follow) },
    { .name = "json", .help = "print one JSON object (with --follow another one at the end)",
      .type = COORD_FLAG, .offset = offsetof(submit_options, json) },
    { .name = "quiet", .help = "print results and errors only", .type = COORD_FLAG,
      .offset = offsetof(submit_options, quiet) },
    COORD_REACH_OPTIONS(submit_options),
    { 0 },
};

typedef struct submit {
    const submit_options *options;
    coord_texts sets;
    char steps[48];              /* --steps, as one more --set */
    char file[DF_PATH_MAX];      /* absolute */
    df_plan *plan;
    char *text, *lines;          /* of the file; of the overrides */
    size_t size;
    uint32_t workers;
    /* While it is followed. */
    coord_progress *progress;
    coord_watch watch;
    coord_status *status;
    _Atomic uint64_t step;       /* that is done, + 1 */
    bool forgotten;              /* the service has no such job any more */
} submit;

static volatile sig_atomic_t submit_signals;

static void submit_signal(int number)
{
    (void)number;
    submit_signals = 1;
}

/* ---- the job ---- */

static df_status submit_lines(submit *s, df_error *err)
{
    size_t used = 0;

    s->lines = calloc(1, PROTO_INPUT_SIZE_MAX + 1);
    if (s->lines == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < s->sets.count; i++) {
        const char *set = s->sets.items[i];
        size_t room = PROTO_INPUT_SIZE_MAX + 1 - used;

        if (strchr(set, '\n') != NULL)
            return df_fail(err, DF_EINVAL, "--set: its text is one line");
        if (strlen(set) + 2 > room)
            return df_fail(err, DF_ELIMIT, "--set: too many");
        used += (size_t)snprintf(s->lines + used, room, "%s\n", set);
    }
    return DF_OK;
}

static df_status submit_text(submit *s, const char *job, df_error *err)
{
    df_status status = coord_state_read_file(s->file, &s->text, &s->size, err);

    if (status == DF_OK && s->size > PROTO_JOB_SIZE_MAX)
        status = df_fail(err, DF_ELIMIT, "%s: a job that runs with workers may have %u bytes", job,
                         PROTO_JOB_SIZE_MAX);
    return status;
}

/* Everything that can be found out here is found out here: nothing is sent of a job that is wrong. */
static int submit_read(submit *s, const char *job)
{
    df_report report;
    df_error err = { 0 };
    df_status status;
    const submit_options *o = s->options;

    s->sets = o->set;
    s->workers = o->workers.given ? (uint32_t)o->workers.value : 1;
    if (o->steps.given && s->sets.count < COORD_TEXTS_MAX) {
        snprintf(s->steps, sizeof s->steps, "job.steps=%" PRIu64, o->steps.value);
        s->sets.items[s->sets.count++] = s->steps;
    }
    status = coord_job_load(&s->plan, job, &s->sets, &report);
    if (status != DF_OK) {
        if (o->json && !coord_json_check(stdout, NULL, &report, NULL))
            return COORD_FAILED;
        if (!o->json)
            df_report_print(&report, stderr);
        return status == DF_ENOMEM ? COORD_FAILED : COORD_USAGE;
    }
    if (realpath(job, s->file) == NULL)
        status = df_fail(&err, DF_EIO, "%s: %s", job, strerror(errno));
    if (status == DF_OK && !coord_ticket_file_is(s->file))
        status = df_fail(&err, DF_EINVAL, "%.100s: its path has more than %u bytes, or unprintable ones",
                         job, PROTO_TEXT_SIZE_MAX);
    if (status == DF_OK)
        status = submit_lines(s, &err);
    if (status == DF_OK)
        status = submit_text(s, job, &err);
    if (status == DF_ELIMIT)
        status = DF_EINVAL;
    return status == DF_OK ? COORD_DONE : coord_verb_failed("submit", status, &err);
}

/* ---- submitting ---- */

static proto_bytes bytes_of(const char *text, size_t size)
{
    return (proto_bytes){ (const uint8_t *)text, (uint32_t)size };
}

/* What the job's coordinator has complained of. An error with a place in a file that is right here is most
 * often of an input that is not where the service is. */
static int submit_refused(const char *lines, const submit *s)
{
    size_t length = strlen(s->file);
    bool placed = strncmp(lines, s->file, length) == 0 && lines[length] == ':' &&
                  lines[length + 1] >= '0' && lines[length + 1] <= '9';

    fprintf(stderr, "%s%s", lines, lines[0] == '\0' || lines[strlen(lines) - 1] == '\n' ? "" : "\n");
    if (!placed)
        return COORD_FAILED;
    fprintf(stderr, "weir submit: %s is right here; files that it reads must be on the coordinator's host, "
            "too, at the same path\n", s->file);
    return COORD_USAGE;
}

static int submit_tell(const submit *s, uint64_t ticket, uint32_t pool_count)
{
    const submit_options *o = s->options;

    if (o->json)
        printf("{\"job\":\"%s\",\"ticket\":%" PRIu64 ",\"pool_count\":%u}\n", s->plan->job.name, ticket,
               pool_count);
    else
        printf("%s  job %" PRIu64 "\n", s->plan->job.name, ticket);
    fflush(stdout);
    if (!o->quiet && pool_count < s->workers)
        fprintf(stderr, "it waits for %u workers, and the pool has %u: weir worker --join adds one\n",
                s->workers, pool_count);
    return COORD_DONE;
}

/* Say it; once more if the name was that of a job whose processes were just about to leave. */
static df_status submit_once(submit *s, coord_client *service, const char **reply, size_t *size,
                             df_error *err)
{
    const char *name = s->plan->job.name;
    const proto_submit submission = {
        .workers = s->workers, .name = bytes_of(name, strlen(name)),
        .file = bytes_of(s->file, strlen(s->file)), .sets = bytes_of(s->lines, strlen(s->lines)),
        .text = bytes_of(s->text, s->size),
    };
    df_status status = coord_client_submit(service, &submission, reply, size, err);

    if (status == DF_OK && coord_json_is_taken(*reply, *size)) {
        coord_client_wait_ended(service, name);
        status = coord_client_submit(service, &submission, reply, size, err);
    }
    return status;
}

static int submit_say(submit *s, coord_client *service)
{
    uint64_t ticket;
    uint32_t pool_count;
    const char *reply = NULL;
    size_t size;
    coord_listing none = { 0 };
    df_error err = { 0 };
    df_status status = coord_client_list(service, INT64_MAX, NULL, &none, &err); /* are we let in? */
    char *lines;
    int code;

    free(none.jobs);
    if (status == DF_OK)
        status = submit_once(s, service, &reply, &size, &err);
    if (status == DF_OK && coord_json_submitted_read(&ticket, &pool_count, reply, size, &err))
        return submit_tell(s, ticket, pool_count);
    lines = status == DF_OK ? coord_json_refused_read(reply, size) : NULL;
    code = lines != NULL ? submit_refused(lines, s)
                         : coord_verb_failed("submit", status == DF_OK ? DF_EIO : status, &err);
    free(lines);
    return code;
}

/* ---- following ---- */

static bool follow_sample(void *user, coord_sample *sample)
{
    submit *s = user;
    uint64_t step = atomic_load(&s->step);

    sample->step = step == 0 ? 0 : step - 1;
    return step > 0;
}

/* Where its coordinator is, or the service. Nobody may be there now; but a service that does not know the job has
 * the last word. */
static df_status follow_reach(submit *s, coord_client **client)
{
    coord_reach reach = s->options->reach;
    df_error err;
    df_status status = coord_client_reach(client, s->plan->job.name, &reach, &err);

    if (status != DF_OK && reach.coordinator == NULL) {
        reach.coordinator = "runs";
        status = coord_client_reach(client, s->plan->job.name, &reach, &err);
    }
    s->forgotten = status == DF_EINVAL;
    return status;
}

/* How it stands, from whoever knows. False: it cannot be heard now; its coordinator may be about to come
 * back, or the service. */
static bool follow_look(submit *s, coord_client **client)
{
    df_error err;

    if (*client == NULL && follow_reach(s, client) != DF_OK)
        return false;
    if (coord_client_refresh(*client, &err) == DF_OK) {
        *s->status = *coord_client_status(*client);
        atomic_store(&s->step, s->status->begun ? s->status->step + 1 : 0);
        coord_watch_take(&s->watch, s->status);
        return true;
    }
    coord_client_close(client);
    return false;
}

static int follow_code(const submit *s)
{
    const char *phase = s->status->phase;

    if (strcmp(phase, "done") == 0 || strcmp(phase, "drained") == 0)
        return COORD_DONE;
    return strcmp(phase, "cancelled") == 0 ? COORD_INTERRUPTED : COORD_FAILED;
}

static int follow_tell(const submit *s)
{
    const coord_status *st = s->status;
    const char *name = s->plan->job.name;
    int code = follow_code(s);
    char *text;

    if (s->forgotten) {
        fprintf(stderr, "weir submit: %s was forgotten by its service before it was heard how it ended\n", name);
        return COORD_FAILED;
    }
    if (!coord_status_is_over(st)) {
        fprintf(stderr, "%s goes on; weir status %s shows how, weir cancel %s ends it\n", name, name, name);
        return COORD_INTERRUPTED;
    }
    if (s->options->json) {
        text = coord_json_status(st);
        if (text != NULL)
            puts(text);
        free(text);
    } else if (strcmp(st->phase, "done") == 0) {
        printf("done. fingerprint %s\n", st->fingerprint[0] == '\0' ? "unknown" : st->fingerprint);
    } else if (code == COORD_DONE) {
        printf("drained after step %" PRIu64 " of %" PRIu64 "; snapshot %" PRIu64 "\n", st->step, st->steps,
               st->snapshot);
    } else {
        fprintf(stderr, "%s: %s%s%s\n", name, st->phase, st->error[0] == '\0' ? "" : ": ", st->error);
    }
    return code;
}

static void follow_loop(submit *s)
{
    const struct timespec pause = { .tv_nsec = SUBMIT_LOOK_NS };
    coord_client *client = NULL;

    while (submit_signals == 0 && !(follow_look(s, &client) && coord_status_is_over(s->status)) && !s->forgotten)
        nanosleep(&pause, NULL);
    coord_client_close(&client);
}

static int submit_follow(submit *s, coord_client *service)
{
    const coord_progress_options progress = { .quiet = s->options->quiet,
                                              .steps = s->plan->job.steps };
    const struct sigaction action = { .sa_handler = submit_signal };
    df_error err = { 0 };
    df_status status = coord_progress_new(&s->progress, &progress, &err);

    s->status = calloc(1, sizeof *s->status);
    if (status == DF_OK && s->status == NULL)
        status = df_fail(&err, DF_ENOMEM, "out of memory");
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    coord_watch_init(&s->watch, s->options->quiet ? NULL : s->progress, s->plan->draft->pace, false);
    if (status == DF_OK)
        status = coord_progress_start(s->progress, follow_sample, s, &err);
    if (status == DF_OK)
        follow_loop(s);
    if (status == DF_OK && coord_status_is_over(s->status))
        coord_client_wait_ended(service, s->plan->job.name);
    coord_progress_stop(s->progress);
    coord_progress_free(&s->progress);
    return status == DF_OK ? follow_tell(s) : coord_verb_failed("submit", status, &err);
}

/* ---- the verbs ---- */

static int submit_run(const coord_args *args, const void *options)
{
    submit s = { .options = options };
    coord_client *service = NULL;
    df_error err = { 0 };
    df_status status;
    int code = submit_read(&s, args->items[0]);

    if (code == COORD_DONE) {
        status = coord_client_service(&service, &s.options->reach, &err);
        code = status == DF_OK ? submit_say(&s, service) : coord_verb_failed("submit", status, &err);
    }
    if (code == COORD_DONE && s.options->follow)
        code = submit_follow(&s, service);
    coord_client_close(&service);
    df_plan_free(&s.plan);
    free(s.status);
    free(s.text);
    free(s.lines);
    return code;
}

const coord_verb coord_verb_submit = {
    .name = "submit",
    .arguments = "JOB",
    .help = "give a job to a service (weir coordinator --config), which runs it",
    .more = "The job is checked first, here and there; what the file says later changes nothing. Files that it\n"
            "reads must be on the coordinator's host, at the same path. Its own files go to NAME/ in the\n"
            "service's directory. It needs no terminal from then on: weir list and weir status show it.\n",
    .options = submit_table,
    .options_size = sizeof(submit_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = submit_run,
};

typedef struct forget_options {
    coord_reach reach;
    bool json;
} forget_options;

static const coord_option forget_table[] = {
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(forget_options, json) },
    COORD_REACH_OPTIONS(forget_options),
    { 0 },
};

static int forget_run(const coord_args *args, const void *options)
{
    const forget_options *o = options;
    coord_question question = { .what = "forget" };
    coord_client *service = NULL;
    const char *reply;
    size_t size;
    df_error err = { 0 };
    df_status s = coord_client_name(question.job, args->items[0], &err);

    if (s == DF_OK)
        s = coord_client_service(&service, &o->reach, &err);
    if (s == DF_OK)
        s = coord_client_ask(service, &question, &reply, &size, &err);
    if (s == DF_OK && coord_json_is_taken(reply, size)) {
        coord_client_wait_ended(service, question.job);
        s = coord_client_ask(service, &question, &reply, &size, &err);
    }
    if (s == DF_OK && !coord_json_is_done(reply, size, &err))
        s = DF_EIO;
    coord_client_close(&service);
    if (s == DF_OK && o->json)
        printf("{\"ok\":true}\n");
    return s == DF_OK ? COORD_DONE : coord_verb_failed("forget", s, &err);
}

const coord_verb coord_verb_forget = {
    .name = "forget",
    .arguments = "JOB",
    .help = "take a job that has ended off a service's list; its files stay",
    .options = forget_table,
    .options_size = sizeof(forget_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = forget_run,
};
