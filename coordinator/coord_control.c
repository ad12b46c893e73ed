/* weir status, suspend, resume, drain, cancel: what another terminal asks of a job that runs with workers. */
#include "coordinator/coord_client.h"
#include "coordinator/coord_ended.h"
#include "coordinator/coord_times.h"
#include "coordinator/coord_verb.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONTROL_WAIT_US 600000000ull /* for a snapshot to be taken */

/* ---- status ---- */

typedef struct status_options {
    coord_reach reach;
    bool json, watch;
} status_options;

static const coord_option status_table[] = {
    { .name = "watch", .help = "again every second, until the job has ended", .type = COORD_FLAG,
      .offset = offsetof(status_options, watch) },
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(status_options, json) },
    COORD_REACH_OPTIONS(status_options),
    { 0 },
};

void coord_status_print_line(const coord_status *s, const char *more)
{
    printf("%s  %s", s->job, s->phase);
    if (s->begun)
        printf("  step %" PRIu64 "/%" PRIu64, s->step, s->steps);
    if (s->steps_per_second > 0)
        printf("  %.1f steps/s", s->steps_per_second);
    if (s->restarts > 0)
        printf("  %" PRIu64 " restart%s", s->restarts, s->restarts == 1 ? "" : "s");
    if (s->waiting[0] != '\0')
        printf("  waiting for %s", s->waiting);
    if (s->degraded[0] != '\0')
        printf("  degraded");
    if (s->error[0] != '\0')
        printf("  %s", s->error);
    printf("%s\n", more);
}

static void status_print(const coord_status *s)
{
    coord_status_print_line(s, "");
    if (s->snapshot != 0)
        printf("  snapshot %" PRIu64 " at step %" PRIu64, s->snapshot, s->snapshot_step);
    else
        printf("  no snapshot");
    printf("; %" PRIu64 " taken, %" PRIu64 " aborted, %" PRIu64 " skipped%s\n", s->snapshots_taken,
           s->snapshots_aborted, s->snapshots_skipped, s->snapshot_runs ? "; one is being taken" : "");
    if (s->rescale.what[0] != '\0')
        printf("  %s: %s, %u of %u key groups, longest step %.0f ms\n", s->rescale.what,
               s->rescale.phase[0] == '\0' ? "beginning" : s->rescale.phase, s->rescale.key_groups_done,
               s->rescale.key_groups, s->rescale.longest_ms);
    if (s->late_steps > 0)
        printf("  %" PRIu64 " step%s late: longer than the pace\n", s->late_steps, s->late_steps == 1 ? "" : "s");
    if (s->fingerprint[0] != '\0')
        printf("  fingerprint %s\n", s->fingerprint);
    if (s->scaling[0] != '\0')
        printf("  scaling: %s\n", s->scaling);
    if (s->degraded[0] != '\0')
        printf("  degraded: no snapshots: %s\n", s->degraded);
    if (s->metrics[0] != '\0')
        printf("  http://%s/metrics\n", s->metrics);
    for (uint32_t i = 0; i < s->worker_count; i++) {
        const coord_status_worker *w = &s->workers[i];

        printf("  %-8s pid %-8" PRId64 " %3u cores", w->label, w->pid, w->cores);
        if (w->member)
            printf(" %5u key groups  step %" PRIu64 "%s%s\n", w->key_groups, w->step,
                   w->behind[0] == '\0' ? "" : "  ", w->behind);
        else
            puts(" spare");
    }
}

static df_status status_once(coord_client *client, const status_options *o, df_error *err)
{
    df_status s;

    if (o->json)
        return coord_client_show(client, "status", true, NULL, err);
    s = coord_client_refresh(client, err);
    if (s == DF_OK && o->watch)
        coord_status_print_line(coord_client_status(client), "");
    else if (s == DF_OK)
        status_print(coord_client_status(client));
    fflush(stdout);
    return s;
}

/* Once more if whoever was reached left before it answered: a service may know how the job has ended. */
static df_status status_look(coord_client **client, const char *job, const status_options *o, df_error *err)
{
    df_status s = *client == NULL ? coord_client_reach(client, job, &o->reach, err) : DF_OK;

    if (s == DF_OK)
        s = status_once(*client, o, err);
    if (s != DF_END || *client == NULL)
        return s;
    coord_client_close(client);
    s = coord_client_reach(client, job, &o->reach, err);
    return s == DF_OK ? status_once(*client, o, err) : s;
}

/* Nobody answers any more of a run by hand that has ended; what its coordinator said last lies in its state. *err is
 * what is told otherwise. */
static bool status_ended(const char *job, const status_options *o, df_error *err)
{
    coord_status *status = calloc(1, sizeof *status);
    char state[DF_PATH_MAX], *text = NULL;
    df_error why;
    bool found = status != NULL && o->reach.coordinator == NULL && coord_client_find(state, job, &why) == DF_OK;

    if (found) {
        df_status s = coord_ended_read(status, &text, state, &why);

        if (s == DF_ECORRUPT)
            *err = why;
        found = s == DF_OK;
    }
    if (found && o->json)
        printf("%s\n", text);
    else if (found && o->watch)
        coord_status_print_line(status, "");
    else if (found)
        status_print(status);
    free(text);
    free(status);
    return found;
}

static int status_run(const coord_args *args, const void *options)
{
    const struct timespec second = { .tv_sec = 1 };
    const status_options *o = options;
    coord_client *client = NULL;
    df_error err = { 0 };
    df_status s = status_look(&client, args->items[0], o, &err);

    while (s == DF_OK && o->watch && !coord_status_is_over(coord_client_status(client))) {
        nanosleep(&second, NULL);
        s = status_look(&client, args->items[0], o, &err);
        if (s == DF_OK && o->json)
            s = coord_client_refresh(client, &err);
    }
    coord_client_close(&client);
    if (s == DF_END && status_ended(args->items[0], o, &err))
        s = DF_OK;
    return s == DF_OK ? COORD_DONE : coord_verb_failed("status", s, &err);
}

const coord_verb coord_verb_status = {
    .name = "status",
    .arguments = "JOB",
    .help = "how a job that runs with workers stands",
    .more = "JOB is the job's name (below runs/), its file, or the folder of its output; from another host,\n"
            "its coordinator's address, tcp://HOST:PORT, with --server-key; or, with --coordinator, the name of\n"
            "a job of a service. Of one that has ended it says how.\n",
    .options = status_table,
    .options_size = sizeof(status_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = status_run,
};

typedef struct control_options {
    coord_reach reach;
    bool json;
} control_options;

static const coord_option control_table[] = {
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(control_options, json) },
    COORD_REACH_OPTIONS(control_options),
    { 0 },
};

/* ---- commands ---- */

static const char *answer_text(const proto_answer *answer)
{
    switch ((proto_answer_status)answer->status) {
    case PROTO_ANSWER_OK:
        return "";
    case PROTO_ANSWER_ENDED:
        return "the job has ended";
    case PROTO_ANSWER_LATE:
        return "it is too late for that";
    case PROTO_ANSWER_REFUSED:
        break;
    }
    return "refused: not now, or not with this key";
}

/* Command and wait; prints why it was refused. */
static int control_command(const char *name, const char *job, proto_verb verb,
                           const control_options *o)
{
    const proto_command command = { .verb = (uint8_t)verb };
    proto_answer answer = { 0 };
    coord_client *client;
    df_error err = { 0 };
    df_status s = coord_client_reach(&client, job, &o->reach, &err);
    int code = COORD_DONE;

    if (s == DF_OK)
        s = coord_client_command(client, &command, COORD_ANSWER_US, &answer, &err);
    if (s != DF_OK)
        code = coord_verb_failed(name, s, &err);
    else if (answer.status != PROTO_ANSWER_OK) {
        fprintf(stderr, "weir %s: %s\n", name, answer_text(&answer));
        code = COORD_FAILED;
    } else if (o->json) {
        printf("{\"ok\":true}\n");
    }
    coord_client_close(&client);
    return code;
}

int coord_client_snapshot(const char *job, const coord_reach *reach, const char *label, bool json)
{
    const proto_command command = { .verb = PROTO_VERB_SNAPSHOT };
    coord_question question = { .what = "label" };
    proto_answer answer = { 0 };
    coord_client *client;
    const char *reply;
    size_t size;
    df_error err = { 0 };
    df_status s = coord_client_reach(&client, job, reach, &err);

    snprintf(question.label, sizeof question.label, "%s", label == NULL ? "" : label);
    if (s == DF_OK && label != NULL) {
        s = coord_client_ask(client, &question, &reply, &size, &err);
        if (s == DF_OK && !coord_json_is_done(reply, size, &err))
            s = DF_EIO;
    }
    if (s == DF_OK)
        s = coord_client_command(client, &command, CONTROL_WAIT_US, &answer, &err);
    coord_client_close(&client);
    if (s != DF_OK)
        return coord_verb_failed("snapshot", s, &err);
    if (answer.status != PROTO_ANSWER_OK) {
        fprintf(stderr, "weir snapshot: %s\n", answer_text(&answer));
        return COORD_FAILED;
    }
    answer.step -= answer.step > 0; /* tick n + 1 is step n */
    if (json)
        printf("{\"snapshot\":%" PRIu64 ",\"step\":%" PRIu64 "}\n", answer.index, answer.step);
    else
        printf("snapshot %" PRIu64 " at step %" PRIu64 "\n", answer.index, answer.step);
    return COORD_DONE;
}

static int suspend_run(const coord_args *args, const void *options)
{
    return control_command("suspend", args->items[0], PROTO_VERB_PAUSE, options);
}

static int resume_run(const coord_args *args, const void *options)
{
    return control_command("resume", args->items[0], PROTO_VERB_RESUME, options);
}

static int drain_run(const coord_args *args, const void *options)
{
    return control_command("drain", args->items[0], PROTO_VERB_DRAIN, options);
}

static int cancel_run(const coord_args *args, const void *options)
{
    return control_command("cancel", args->items[0], PROTO_VERB_CANCEL, options);
}

#define CONTROL_VERB(verb, text) \
    const coord_verb coord_verb_##verb = { \
        .name = #verb, \
        .arguments = "JOB", \
        .help = text, \
        .options = control_table, \
        .options_size = sizeof(control_options), \
        .argument_min = 1, \
        .argument_max = 1, \
        .run = verb##_run, \
    };

CONTROL_VERB(suspend, "let a running job stand still; nothing is lost")
CONTROL_VERB(resume, "let a suspended job go on")
CONTROL_VERB(drain, "end a running job soon, with a snapshot")
CONTROL_VERB(cancel, "end a running job now; its files stay whole")
