/* weir list, weir logs: the jobs of a service and those below runs/, and what their processes have said. */
#include "coordinator/coord_client.h"
#include "coordinator/coord_ended.h"
#include "coordinator/coord_rotate.h"
#include "coordinator/coord_verb.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct list_options {
    coord_reach reach;
    bool json;
} list_options;

static const coord_option list_table[] = {
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(list_options, json) },
    COORD_REACH_OPTIONS(list_options),
    { 0 },
};

typedef struct lister {
    bool json;
    uint32_t count;      /* objects that were printed */
    uint32_t name_count;
    char (*names)[WEIR_NAME_MAX]; /* of the service's jobs; owned */
} lister;

static void list_object(lister *l, const char *text, size_t size)
{
    printf("%s%.*s", l->count++ == 0 ? "" : ",", (int)size, text);
}

/* ---- jobs of a service ---- */

static void time_print(char *text, size_t capacity, const char *word, uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;
    size_t size = (size_t)snprintf(text, capacity, "  %s ", word);

    if (localtime_r(&seconds, &local) == NULL || strftime(text + size, capacity - size, "%F %T", &local) == 0)
        text[0] = '\0';
}

/* What a coordinator would have said of a job that has none now. */
static void status_of(coord_status *s, const coord_listed *l)
{
    memset(s, 0, sizeof *s);
    snprintf(s->job, sizeof s->job, "%s", l->ticket.name);
    snprintf(s->phase, sizeof s->phase, "%s", l->ended_ms == 0 ? "starting" : l->phase);
    snprintf(s->error, sizeof s->error, "%s", l->ended_ms == 0 ? l->trouble : l->error);
    s->begun = l->begun;
    s->step = l->step;
    s->steps = l->steps;
    s->snapshot = l->snapshot;
    s->snapshot_step = l->snapshot_step;
}

static void listed_print(const coord_listed *l, const coord_status *s)
{
    char more[256], when[64], snapshot[64] = "";
    bool waits = strcmp(s->phase, "waiting") == 0; /* there are no members yet */
    uint32_t members = 0;

    for (uint32_t i = 0; i < s->worker_count; i++)
        members += waits || s->workers[i].member;
    when[0] = '\0';
    if (l->ended_ms != 0 || !coord_status_is_over(s))
        time_print(when, sizeof when, l->ended_ms == 0 ? "since" : "ended",
               l->ended_ms == 0 ? l->ticket.submitted_ms : l->ended_ms);
    if (s->snapshot != 0)
        snprintf(snapshot, sizeof snapshot, "  snapshot %" PRIu64 " at step %" PRIu64, s->snapshot,
                 s->snapshot_step);
    if (l->ended_ms == 0 && !coord_status_is_over(s))
        snprintf(more, sizeof more, "  %u of %u worker%s%s%s", members, l->ticket.workers,
                 l->ticket.workers == 1 ? "" : "s", when, snapshot);
    else
        snprintf(more, sizeof more, "%s%s", when, snapshot);
    coord_status_print_line(s, more);
}

/* One whose coordinator is not there, or does not answer, may have ended just now. */
static bool listed_reach(coord_client **client, coord_client *service, coord_listed *listed)
{
    df_error err;

    *client = NULL;
    if (listed->ended_ms == 0 &&
        (listed->endpoint.address[0] == '\0' || coord_client_listed(client, service, listed, &err) != DF_OK) &&
        (coord_client_settled(service, listed->ticket.name, listed, &err) != DF_OK ||
         listed->endpoint.address[0] == '\0' || coord_client_listed(client, service, listed, &err) != DF_OK))
        *client = NULL;
    return *client != NULL;
}

static void list_listed(lister *l, coord_client *service, coord_listed *listed, coord_status *status)
{
    static const coord_question question = { .what = "status" };
    coord_client *client;
    const char *reply = NULL;
    size_t size = 0;
    df_error err;
    bool there = listed_reach(&client, service, listed);
    char *text;

    if (!l->json && there) {
        listed_print(listed, coord_client_status(client));
    } else if (!l->json) {
        status_of(status, listed);
        listed_print(listed, status);
    } else {
        if (there && coord_client_ask(client, &question, &reply, &size, &err) != DF_OK)
            reply = NULL;
        text = coord_json_listed(listed, reply, size);
        if (text != NULL)
            list_object(l, text, strlen(text));
        free(text);
    }
    coord_client_close(&client);
}

static bool names_add(lister *l, const coord_listing *listing)
{
    char(*grown)[WEIR_NAME_MAX] = realloc(l->names, (l->name_count + listing->count + 1) * sizeof *grown);

    if (grown == NULL)
        return false;
    l->names = grown;
    for (uint32_t i = 0; i < listing->count; i++)
        memcpy(l->names[l->name_count++], listing->jobs[i].ticket.name, WEIR_NAME_MAX);
    return true;
}

static df_status list_service(lister *l, coord_client *service, df_error *err)
{
    coord_status *status = malloc(sizeof *status);
    coord_listing listing = { .more = true };
    uint64_t after = 0;
    df_status s = status == NULL ? df_fail(err, DF_ENOMEM, "out of memory") : DF_OK;

    while (s == DF_OK && listing.more) {
        s = coord_client_list(service, after, NULL, &listing, err);
        if (s == DF_OK && !names_add(l, &listing))
            s = df_fail(err, DF_ENOMEM, "out of memory");
        for (uint32_t i = 0; s == DF_OK && i < listing.count; i++)
            list_listed(l, service, &listing.jobs[i], status);
        if (s == DF_OK && listing.count > 0)
            after = listing.jobs[listing.count - 1].ticket.number;
        listing.more = listing.more && listing.count > 0;
        free(listing.jobs);
        listing.jobs = NULL;
    }
    free(status);
    return s;
}

/* ---- others below runs/ ---- */

/* Nobody is there: how it has ended, if it has. */
static void list_alone(lister *l, const char *name, const char *state)
{
    coord_status *status = calloc(1, sizeof *status);
    char *text = NULL;
    bool ended = status != NULL && coord_ended_read(status, &text, state, NULL) == DF_OK;

    if (ended && l->json)
        list_object(l, text, strlen(text));
    else if (ended)
        coord_status_print_line(status, "");
    else if (!l->json)
        printf("%s  does not run\n", name);
    free(text);
    free(status);
}

/* One job's line, or (JSON) the coordinator's own words. */
static void list_folder(lister *l, const char *name)
{
    static const coord_question question = { .what = "status" };
    char state[DF_PATH_MAX];
    coord_client *client = NULL;
    const char *reply;
    size_t size;
    df_error err;

    for (uint32_t i = 0; i < l->name_count; i++)
        if (strcmp(l->names[i], name) == 0)
            return;
    if (coord_client_find(state, name, &err) != DF_OK)
        return;
    if (coord_client_open(&client, state, &err) != DF_OK) {
        list_alone(l, name, state);
    } else if (!l->json) {
        coord_status_print_line(coord_client_status(client), "");
    } else if (coord_client_ask(client, &question, &reply, &size, &err) == DF_OK) {
        list_object(l, reply, size);
    }
    coord_client_close(&client);
}

static void list_folders(lister *l)
{
    struct dirent **names;
    int found = scandir("runs", &names, NULL, alphasort);

    for (int i = 0; i < found; i++) {
        if (names[i]->d_name[0] != '.')
            list_folder(l, names[i]->d_name);
        free(names[i]);
    }
    if (found >= 0)
        free(names);
}

static int list_run(const coord_args *args, const void *options)
{
    const list_options *o = options;
    lister l = { .json = o->json };
    coord_client *service = NULL;
    df_error err = { 0 };
    df_status s = coord_client_service(&service, &o->reach, &err);

    (void)args;
    if (s == DF_END && o->reach.coordinator == NULL)
        s = DF_OK; /* there is none: only what was run by hand */
    if (s == DF_OK && l.json)
        fputs("{\"jobs\":[", stdout);
    if (s == DF_OK && service != NULL)
        s = list_service(&l, service, &err);
    if (s == DF_OK && o->reach.coordinator == NULL)
        list_folders(&l);
    if (s == DF_OK && l.json)
        puts("]}");
    coord_client_close(&service);
    free(l.names);
    return s == DF_OK ? COORD_DONE : coord_verb_failed("list", s, &err);
}

const coord_verb coord_verb_list = {
    .name = "list",
    .arguments = "",
    .help = "the jobs of a service, and those below runs/ that were run with workers",
    .options = list_table,
    .options_size = sizeof(list_options),
    .run = list_run,
};

/* ---- logs ---- */

typedef struct logs_options {
    coord_reach reach;
} logs_options;

static const coord_option logs_table[] = { COORD_REACH_OPTIONS(logs_options), { 0 } };

static void log_head(const char *where, const char *name)
{
    printf("==> %s/%s\n", where, name);
}

/* A whole log of a service's job, piece by piece; of one that goes on, what is there now. */
static df_status log_print(coord_client *service, const char *job, const char *name, df_error *err)
{
    coord_question question = { .what = "log" };
    char *bytes = NULL, last = '\n';
    const char *reply;
    size_t size;
    df_status s = DF_OK;
    bool begun = false;

    snprintf(question.job, sizeof question.job, "%s", job);
    snprintf(question.file, sizeof question.file, "%s", name);
    do {
        s = coord_client_ask(service, &question, &reply, &size, err);
        if (s == DF_OK && !coord_json_log_read(&bytes, &question.after, reply, size, err))
            s = DF_EIO;
        if (s == DF_OK && bytes[0] != '\0') {
            if (!begun)
                log_head(job, name);
            begun = true;
            fputs(bytes, stdout);
            last = bytes[strlen(bytes) - 1];
        }
        free(bytes);
        bytes = NULL;
    } while (s == DF_OK && question.after != 0);
    if (last != '\n')
        putchar('\n');
    return s;
}

static df_status logs_service(coord_client *service, const char *name, df_error *err)
{
    coord_question question = { .what = "logs" };
    char names[COORD_LOGS_MAX][COORD_LOG_NAME];
    const char *reply;
    uint32_t count = 0;
    size_t size;
    df_status s;

    snprintf(question.job, sizeof question.job, "%s", name);
    s = coord_client_ask(service, &question, &reply, &size, err);
    if (s == DF_OK && !coord_json_logs_read(names, &count, reply, size, err))
        s = DF_EINVAL;
    for (uint32_t i = 0; s == DF_OK && i < count; i++)
        s = log_print(service, name, names[i], err);
    return s;
}

static df_status log_file(const char *state, const char *name, df_error *err)
{
    char path[DF_PATH_MAX], bytes[4096], last = '\n';
    size_t size, all = 0;
    df_status s = coord_state_path(path, state, name, err);
    FILE *file = s == DF_OK ? fopen(path, "re") : NULL;

    if (s != DF_OK)
        return s;
    if (file == NULL)
        return df_fail(err, errno == ENOENT ? DF_END : DF_EIO, "%s: %s", path, strerror(errno));
    while ((size = fread(bytes, 1, sizeof bytes, file)) > 0) {
        if (all == 0)
            log_head(state, name);
        fwrite(bytes, 1, size, stdout);
        all += size;
        last = bytes[size - 1];
    }
    if (ferror(file))
        s = df_fail(err, DF_EIO, "%s: it cannot be read", path);
    if (last != '\n')
        putchar('\n');
    fclose(file);
    return s;
}

/* What was said before a log was begun anew comes first. */
static df_status logs_folder(const char *job, df_error *err)
{
    char state[DF_PATH_MAX];
    df_status s = coord_client_find(state, job, err);

    for (unsigned i = 1; s == DF_OK; i++) {
        char name[COORD_LOG_NAME], before[COORD_LOG_NAME + sizeof COORD_ROTATE_OLD];

        snprintf(name, sizeof name, "worker-%u.log", i);
        snprintf(before, sizeof before, "%s" COORD_ROTATE_OLD, name);
        s = log_file(state, before, err);
        if (s == DF_OK || s == DF_END)
            s = log_file(state, name, err);
    }
    return s == DF_END ? DF_OK : s;
}

/* The service's word goes first: it knows its coordinators' complaints. */
static int logs_run(const coord_args *args, const void *options)
{
    const logs_options *o = options;
    char name[WEIR_NAME_MAX];
    coord_client *service = NULL;
    df_error err = { 0 };
    df_status s = coord_client_service(&service, &o->reach, &err);

    if (s == DF_OK)
        s = coord_client_name(name, args->items[0], &err);
    if (s == DF_OK)
        s = logs_service(service, name, &err);
    if (s != DF_OK && o->reach.coordinator == NULL)
        s = logs_folder(args->items[0], &err);
    coord_client_close(&service);
    return s == DF_OK ? COORD_DONE : coord_verb_failed("logs", s, &err);
}

const coord_verb coord_verb_logs = {
    .name = "logs",
    .arguments = "JOB",
    .help = "what the workers of a job have said, and its coordinator",
    .options = logs_table,
    .options_size = sizeof(logs_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = logs_run,
};
