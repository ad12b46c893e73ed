/* weir rescale, rebalance, drain-worker, move, rescales: change a running job's workers, and which of them
 * owns what, while it runs. */
#include "coordinator/coord_rescales.h"

#include "coordinator/coord_client.h"
#include "coordinator/coord_verb.h"
#include "dataflow/df_limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RESCALE_LOOK_NS 100000000 /* between two looks at how far it is */

typedef struct rescale_options {
    coord_reach reach;
    coord_number workers;
    const char *budget, *groups, *to;
    bool dry_run, abort, detach, json;
} rescale_options;

/* ---- arguments ---- */

/* "64MiB", "1000000" */
static bool read_bytes(const char *text, uint64_t *bytes)
{
    static const struct { const char *name; uint32_t shift; } units[] = {
        { "", 0 }, { "B", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 }, { "TiB", 40 },
    };
    char *end;

    errno = 0;
    *bytes = strtoull(text, &end, 10);
    if (errno != 0 || end == text || text[0] < '0' || text[0] > '9')
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].name) == 0 && *bytes <= UINT64_MAX >> units[i].shift) {
            *bytes <<= units[i].shift;
            return *bytes > 0;
        }
    return false;
}

/* "12-40", "7" */
static bool read_groups(const char *text, uint32_t *first, uint32_t *last)
{
    unsigned long a, b;
    char *end;

    errno = 0;
    a = b = strtoul(text, &end, 10);
    if (end != text && *end == '-' && end[1] >= '0' && end[1] <= '9')
        b = strtoul(end + 1, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || b < a || b >= DF_KEY_GROUPS_MAX)
        return false;
    *first = (uint32_t)a;
    *last = (uint32_t)b;
    return true;
}

/* ---- what people see ---- */

static void print_size(FILE *out, uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double size = (double)bytes;
    int unit = 0;

    while (size >= 1024 && unit < 4) {
        size /= 1024;
        unit++;
    }
    fprintf(out, unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
}

static void print_what(FILE *out, const coord_rescale_row *r)
{
    fprintf(out, "%u worker%s -> %u, %u key group%s (", r->from, r->from == 1 ? "" : "s", r->to,
            r->key_groups, r->key_groups == 1 ? "" : "s");
    print_size(out, r->bytes);
    fprintf(out, ") in %u step%s", r->waves, r->waves == 1 ? "" : "s");
}

static void print_late(FILE *out, const coord_rescale_row *r)
{
    if (r->late_steps > 0)
        fprintf(out, ", %" PRIu64 " late", r->late_steps);
}

static void print_progress(const coord_rescale_row *r, bool terminal)
{
    if (terminal)
        fprintf(stderr, "\r%s %s: %u of %u key groups, %.1f s \033[K", r->what, r->phase,
                r->key_groups_done, r->key_groups, r->seconds);
}

static int print_end(const char *verb, const coord_rescale_row *r, const rescale_options *o)
{
    bool done = strcmp(r->end, "done") == 0;
    char *text;

    if (o->json) {
        text = coord_json_rescale(r);
        if (text != NULL)
            puts(text);
        free(text);
        return done ? COORD_DONE : COORD_FAILED;
    }
    if (!done) {
        fprintf(stderr, "weir %s: %s%s%s\n", verb, r->end, r->why[0] == '\0' ? "" : ": ", r->why);
        return COORD_FAILED;
    }
    if (r->id == 0) {
        printf("nothing to do: %s\n", r->why);
        return COORD_DONE;
    }
    print_what(stdout, r);
    printf(", %.1f s; the longest step took %.0f ms", r->seconds, r->longest_ms);
    print_late(stdout, r);
    puts("");
    return COORD_DONE;
}

static int print_dry(const coord_rescale_row *r, double steps_per_second, const rescale_options *o)
{
    char *text;

    if (o->json) {
        text = coord_json_rescale(r);
        if (text != NULL)
            puts(text);
        free(text);
        return COORD_DONE;
    }
    printf("%s\nwould be: ", r->why);
    print_what(stdout, r);
    if (steps_per_second > 0)
        printf(", about %.1f s", r->waves / steps_per_second);
    putchar('\n');
    return COORD_DONE;
}

/* ---- asking and following ---- */

/* Find it among those that run and those that have ended. False: neither. */
static df_status look(coord_client *client, coord_rescale_row *row, bool *ended, df_error *err)
{
    const coord_question question = { .what = "rescales" };
    coord_rescale_row running, *rows = calloc(COORD_RESCALES_KEPT, sizeof *rows);
    uint32_t count = 0;
    const char *reply;
    size_t size;
    df_status s = rows == NULL ? df_fail(err, DF_ENOMEM, "out of memory")
                               : coord_client_ask(client, &question, &reply, &size, err);

    *ended = false;
    if (s != DF_OK && rows != NULL)
        s = df_wrap(err, s, "the %s has begun, weir rescales tells what comes of it", row->what);
    if (s == DF_OK && !coord_json_rescales_read(&running, rows, COORD_RESCALES_KEPT, &count, reply, size,
                                                err))
        s = DF_EIO;
    if (s == DF_OK && strcmp(running.what, row->what) == 0 && running.begun_ms == row->begun_ms) {
        *row = running;
    } else if (s == DF_OK) {
        for (uint32_t i = 0; i < count && !*ended; i++)
            if (rows[i].begun_ms == row->begun_ms && strcmp(rows[i].what, row->what) == 0) {
                *row = rows[i];
                *ended = true;
            }
        if (!*ended)
            s = df_fail(err, DF_END, "the coordinator does not know of it any more: weir rescales lists "
                        "what was done");
    }
    free(rows);
    return s;
}

static df_status follow(coord_client *client, coord_rescale_row *row, bool shown, df_error *err)
{
    const struct timespec pause = { .tv_nsec = RESCALE_LOOK_NS };
    bool terminal = shown && isatty(STDERR_FILENO), ended = row->end[0] != '\0';
    df_status s = DF_OK;

    while (s == DF_OK && !ended) {
        nanosleep(&pause, NULL);
        s = look(client, row, &ended, err);
        if (s == DF_OK && !ended)
            print_progress(row, terminal);
    }
    if (terminal)
        fputs("\r\033[K", stderr);
    return s;
}

static int rescale_do(const char *verb, const char *job, const coord_rescale_ask *ask,
                      const rescale_options *o)
{
    coord_rescale_row row = { 0 };
    coord_client *client;
    char *text = coord_json_rescale_ask(ask);
    const char *reply;
    size_t size;
    double speed = 0;
    df_error err = { 0 };
    df_status s = coord_client_reach(&client, job, &o->reach, &err);

    if (s == DF_OK && text == NULL)
        s = df_fail(&err, DF_EINVAL, "the worker's name is no UTF-8 text, or memory is out");
    if (s == DF_OK)
        s = coord_client_operate(client, text, &reply, &size, &err);
    if (s == DF_OK && !coord_json_rescale_read(&row, reply, size, &err))
        s = DF_EIO;
    if (s == DF_OK && !ask->dry_run && !o->detach)
        s = follow(client, &row, !o->json, &err);
    if (s == DF_OK)
        speed = coord_client_status(client)->steps_per_second;
    coord_client_close(&client);
    free(text);
    if (s != DF_OK)
        return coord_verb_failed(verb, s, &err);
    if (ask->dry_run)
        return print_dry(&row, speed, o);
    if (o->detach && row.end[0] == '\0') {
        printf("%s has begun; weir rescales %s shows how far it is\n", row.what, job);
        return COORD_DONE;
    }
    if (strcmp(ask->what, "abort") == 0 && strcmp(row.end, "aborted") == 0) {
        printf("%s was aborted; all key groups are where they were\n", row.what);
        return COORD_DONE;
    }
    return print_end(verb, &row, o);
}

/* ---- verbs ---- */

#define RESCALE_COMMON \
    { .name = "dry-run", .help = "only say what would move", .type = COORD_FLAG, \
      .offset = offsetof(rescale_options, dry_run) }, \
    { .name = "budget", .value = "SIZE", \
      .help = "what may move at one step, like 64MiB (a thirty-second of the state)", .type = COORD_TEXT, \
      .offset = offsetof(rescale_options, budget) }, \
    { .name = "detach", .help = "do not wait until it is done", .type = COORD_FLAG, \
      .offset = offsetof(rescale_options, detach) }, \
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG, \
      .offset = offsetof(rescale_options, json) }, \
    COORD_REACH_OPTIONS(rescale_options), \
    { 0 }

static const coord_option rescale_table[] = {
    { .name = "workers", .value = "N", .help = "how many workers there shall be", .type = COORD_NUMBER,
      .least = 1, .most = 1000, .offset = offsetof(rescale_options, workers) },
    { .name = "abort", .help = "end the change that runs, and take back what has moved",
      .type = COORD_FLAG, .offset = offsetof(rescale_options, abort) },
    RESCALE_COMMON,
};

static int usage(const char *verb, const char *text)
{
    fprintf(stderr, "weir %s: %s\n", verb, text);
    return COORD_USAGE;
}

static bool fill(coord_rescale_ask *ask, const char *what, const rescale_options *o)
{
    snprintf(ask->what, sizeof ask->what, "%s", what);
    ask->dry_run = o->dry_run;
    return o->budget == NULL || read_bytes(o->budget, &ask->budget);
}

static bool fill_worker(coord_rescale_ask *ask, const char *label)
{
    return (size_t)snprintf(ask->worker, sizeof ask->worker, "%s", label) < sizeof ask->worker;
}

static int rescale_run(const coord_args *args, const void *options)
{
    const rescale_options *o = options;
    coord_rescale_ask ask = { .workers = (uint32_t)o->workers.value };

    if (o->abort == o->workers.given)
        return usage("rescale", "one of --workers N and --abort");
    if (!fill(&ask, o->abort ? "abort" : "rescale", o))
        return usage("rescale", "--budget: expected a size, like 64MiB");
    return rescale_do("rescale", args->items[0], &ask, o);
}

static const coord_option rebalance_table[] = { RESCALE_COMMON };

static int rebalance_run(const coord_args *args, const void *options)
{
    coord_rescale_ask ask = { 0 };

    if (!fill(&ask, "rebalance", options))
        return usage("rebalance", "--budget: expected a size, like 64MiB");
    return rescale_do("rebalance", args->items[0], &ask, options);
}

static int drain_worker_run(const coord_args *args, const void *options)
{
    coord_rescale_ask ask = { 0 };

    if (!fill(&ask, "drain-worker", options))
        return usage("drain-worker", "--budget: expected a size, like 64MiB");
    if (!fill_worker(&ask, args->items[1]))
        return usage("drain-worker", "WORKER: the name is too long");
    return rescale_do("drain-worker", args->items[0], &ask, options);
}

static const coord_option move_table[] = {
    { .name = "key-groups", .value = "A-B", .help = "which, like 12-40", .type = COORD_TEXT,
      .offset = offsetof(rescale_options, groups) },
    { .name = "to", .value = "WORKER", .help = "its label, as weir workers shows it", .type = COORD_TEXT,
      .offset = offsetof(rescale_options, to) },
    RESCALE_COMMON,
};

static int move_run(const coord_args *args, const void *options)
{
    const rescale_options *o = options;
    coord_rescale_ask ask = { 0 };

    if (o->groups == NULL || o->to == NULL)
        return usage("move", "--key-groups A-B and --to WORKER are needed");
    if (!read_groups(o->groups, &ask.first, &ask.last))
        return usage("move", "--key-groups: expected a number or a range, like 12-40");
    if (!fill(&ask, "move", o))
        return usage("move", "--budget: expected a size, like 64MiB");
    if (!fill_worker(&ask, o->to))
        return usage("move", "--to: the name is too long");
    return rescale_do("move", args->items[0], &ask, o);
}

const coord_verb coord_verb_rescale = {
    .name = "rescale",
    .arguments = "JOB",
    .help = "give a running job more workers or fewer, without a pause",
    .more = "Joined spare workers are taken first; those that are missing are started on this host, or come from the pool\n"
            "of the job's service. Key groups move a few at each step (--budget), everything else goes on meanwhile.\n"
            "Workers that own nothing any more leave.\n",
    .options = rescale_table,
    .options_size = sizeof(rescale_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = rescale_run,
};

const coord_verb coord_verb_rebalance = {
    .name = "rebalance",
    .arguments = "JOB",
    .help = "move the fewest key groups that make a running job's workers evenly busy",
    .options = rebalance_table,
    .options_size = sizeof(rescale_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = rebalance_run,
};

const coord_verb coord_verb_drain_worker = {
    .name = "drain-worker",
    .arguments = "JOB WORKER",
    .help = "empty one worker of a running job, which then leaves",
    .options = rebalance_table,
    .options_size = sizeof(rescale_options),
    .argument_min = 2,
    .argument_max = 2,
    .run = drain_worker_run,
};

const coord_verb coord_verb_move = {
    .name = "move",
    .arguments = "JOB",
    .help = "move key groups of a running job to one of its workers",
    .options = move_table,
    .options_size = sizeof(rescale_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = move_run,
};

/* ---- rescales ---- */

typedef struct rescales_options {
    coord_reach reach;
    bool json;
} rescales_options;

static const coord_option rescales_table[] = {
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(rescales_options, json) },
    COORD_REACH_OPTIONS(rescales_options),
    { 0 },
};

static void print_row(FILE *out, const coord_rescale_row *r)
{
    time_t seconds = (time_t)(r->begun_ms / 1000);
    struct tm local;
    char when[32] = "?";

    if (localtime_r(&seconds, &local) != NULL)
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
    fprintf(out, "%s  %-12s %-8s ", when, r->what, r->end[0] == '\0' ? "runs" : r->end);
    print_what(out, r);
    fprintf(out, ", %.1f s, longest step %.0f ms", r->seconds, r->longest_ms);
    print_late(out, r);
    fprintf(out, "%s%s\n", r->why[0] == '\0' ? "" : ": ", r->why);
}

static bool print_rows(FILE *out, const char *reply, size_t size, df_error *err)
{
    coord_rescale_row running, *rows = calloc(COORD_RESCALES_KEPT, sizeof *rows);
    uint32_t count = 0;
    bool right = rows != NULL &&
                 coord_json_rescales_read(&running, rows, COORD_RESCALES_KEPT, &count, reply, size, err);

    if (rows == NULL)
        df_fail(err, DF_ENOMEM, "out of memory");
    for (uint32_t i = 0; right && i < count; i++)
        print_row(out, &rows[i]);
    if (right && running.what[0] != '\0')
        print_row(out, &running);
    else if (right && count == 0)
        fputs("nothing was changed yet\n", out);
    free(rows);
    return right;
}

/* Of a job that does not run. */
static df_status rescales_read(const char *job, bool json, df_error *err)
{
    char state[DF_PATH_MAX], *text = NULL;
    df_status s = coord_client_find(state, job, err);

    if (s == DF_OK)
        s = coord_rescales_kept(&text, state, err);
    if (s == DF_OK && json)
        puts(text);
    else if (s == DF_OK && !print_rows(stdout, text, strlen(text), err))
        s = DF_EIO;
    free(text);
    return s;
}

static int rescales_run(const coord_args *args, const void *options)
{
    const rescales_options *o = options;
    coord_client *client;
    df_error err = { 0 };
    df_status s = coord_client_reach(&client, args->items[0], &o->reach, &err);

    if (s == DF_OK)
        s = coord_client_show(client, "rescales", o->json, print_rows, &err);
    else if (s == DF_END && strncmp(args->items[0], "tcp://", 6) != 0)
        s = rescales_read(args->items[0], o->json, &err);
    coord_client_close(&client);
    return s == DF_OK ? COORD_DONE : coord_verb_failed("rescales", s, &err);
}

const coord_verb coord_verb_rescales = {
    .name = "rescales",
    .arguments = "JOB",
    .help = "what was changed of a job's workers while it ran, and how long that took",
    .options = rescales_table,
    .options_size = sizeof(rescales_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = rescales_run,
};
