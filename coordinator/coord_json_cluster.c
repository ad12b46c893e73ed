#include "coordinator/coord_json_cluster.h"

#include "coordinator/coord_json_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- questions ---- */

char *coord_json_question(const coord_question *q)
{
    return json_text(json_pack("{s:s, s:s, s:s, s:s, s:o}", "what", q->what, "label", q->label, "job",
                               q->job, "file", q->file, "after", json_count(q->after)));
}

bool coord_json_question_read(coord_question *question, const char *text, size_t size)
{
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    bool right = json_is_object(object);

    get_text(object, "what", question->what, sizeof question->what);
    get_text(object, "label", question->label, sizeof question->label);
    get_text(object, "job", question->job, sizeof question->job);
    get_text(object, "file", question->file, sizeof question->file);
    question->after = get_count(object, "after");
    json_decref(object);
    return right;
}

/* ---- replies ---- */

static json_t *status_workers(const coord_status *s)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < s->worker_count; i++) {
        const coord_status_worker *w = &s->workers[i];

        json_t *behind = w->behind[0] == '\0' ? json_null() : json_string(w->behind);

        json_array_append_new(
            list, json_pack("{s:s, s:o, s:I, s:o, s:b, s:b, s:i, s:o, s:o, s:o, s:i, s:o, s:[]}", "label", w->label, "id",
                            json_count(w->id), "pid", (json_int_t)w->pid, "host", json_count(w->host),
                            "member", w->member, "here", w->here, "key_groups", (int)w->key_groups,
                            "step", w->begun ? json_count(w->step) : json_null(), "silent_ms",
                            json_count(w->silent_us / 1000), "behind", behind,
                            "cores", (int)w->cores, "memory_bytes", json_count(w->memory), "devices"));
    }
    return list;
}

static json_t *status_rejected(const coord_status *s)
{
    json_t *object = json_object();

    for (int i = 0; i < PROTO_REJECT_COUNT; i++)
        if (s->rejected[i] > 0)
            json_object_set_new(object, proto_reject_name((proto_reject)i), json_count(s->rejected[i]));
    return object;
}

static void status_snapshots(json_t *object, const coord_status *s)
{
    json_object_set_new(object, "snapshot", s->snapshot == 0 ? json_null() : json_count(s->snapshot));
    json_object_set_new(object, "snapshot_step",
                        s->snapshot == 0 ? json_null() : json_count(s->snapshot_step));
    json_object_set_new(object, "base", s->base == 0 ? json_null() : json_count(s->base));
    json_object_set_new(object, "base_step", s->base == 0 ? json_null() : json_count(s->base_step));
    json_object_set_new(object, "snapshot_runs", json_boolean(s->snapshot_runs));
    json_object_set_new(object, "snapshots_taken", json_count(s->snapshots_taken));
    json_object_set_new(object, "snapshots_aborted", json_count(s->snapshots_aborted));
    json_object_set_new(object, "snapshots_skipped", json_count(s->snapshots_skipped));
}

static json_t *row_or_null(const coord_rescale_row *r)
{
    return r->what[0] == '\0' ? json_null() : coord_json_row(r);
}

char *coord_json_status(const coord_status *s)
{
    json_t *object = json_pack("{s:s, s:o, s:s, s:s, s:s, s:s}", "job", s->job, "number",
                               json_count(s->number), "phase", s->phase, "waiting", s->waiting, "error",
                               s->error, "fingerprint", s->fingerprint);

    if (object == NULL)
        return NULL;
    json_object_set_new(object, "generation", json_count(s->generation));
    json_object_set_new(object, "incarnation", json_count(s->incarnation));
    json_object_set_new(object, "restarts", json_count(s->restarts));
    json_object_set_new(object, "restores", json_count(s->restores));
    json_object_set_new(object, "stalls", json_count(s->stalls));
    json_object_set_new(object, "step", s->begun ? json_count(s->step) : json_null());
    json_object_set_new(object, "steps", json_count(s->steps));
    json_object_set_new(object, "steps_per_second", json_real(s->steps_per_second));
    json_object_set_new(object, "late_steps", json_count(s->late_steps));
    status_snapshots(object, s);
    json_object_set_new(object, "degraded",
                        s->degraded[0] == '\0' ? json_null() : json_string(s->degraded));
    json_object_set_new(object, "rescale", row_or_null(&s->rescale));
    json_object_set_new(object, "rescaled", row_or_null(&s->rescaled));
    json_object_set_new(object, "rescales", json_count(s->rescales));
    json_object_set_new(object, "scaling",
                        s->scaling[0] == '\0' ? json_null() : json_string(s->scaling));
    json_object_set_new(object, "orders", json_count(s->orders));
    json_object_set_new(object, "history_full", json_boolean(s->history_full));
    json_object_set_new(object, "rejected", status_rejected(s));
    json_object_set_new(object, "metrics",
                        s->metrics[0] == '\0' ? json_null() : json_string(s->metrics));
    json_object_set_new(object, "workers", status_workers(s));
    return json_text(object);
}

char *coord_json_snapshots(uint64_t head, const snap_entry *entries, uint32_t count)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < count; i++) {
        const snap_entry *e = &entries[i];

        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:s}", "snapshot",
                            json_count(e->snapshot), "parent", json_count(e->parent), "step",
                            json_count(e->step == 0 ? 0 : e->step - 1), "created_ms",
                            json_count(e->created_ms), "rows", json_count(e->rows), "bytes",
                            json_count(e->size), "bytes_own", json_count(e->size_own), "damaged",
                            e->damaged, "label", e->label));
    }
    return json_text(json_pack("{s:o, s:o}", "head", head == 0 ? json_null() : json_count(head),
                               "snapshots", list));
}

/* What is not known is null. */
static json_t *json_known(bool known, json_t *value)
{
    if (known)
        return value;
    json_decref(value);
    return json_null();
}

static json_t *worker_json(const coord_workers_row *w)
{
    bool units = w->units_age_us != UINT64_MAX, cost = units && (w->cost_ns > 0 || w->key_groups == 0);
    json_t *object = json_pack("{s:s, s:o, s:I, s:b, s:i, s:o, s:o}", "label", w->label, "id",
                               json_count(w->id), "pid", (json_int_t)w->pid, "member", w->member,
                               "key_groups", (int)w->key_groups, "priority", json_count(w->priority),
                               "refused", json_known(w->refused[0] != '\0', json_string(w->refused)));

    if (object == NULL)
        return NULL;
    json_object_set_new(object, "host", json_known(w->told, json_string(w->host)));
    json_object_set_new(object, "backend", json_known(w->told, json_string(w->backend)));
    json_object_set_new(object, "threads", json_known(w->told, json_count(w->threads)));
    json_object_set_new(object, "busy", json_known(w->told, json_real(w->busy)));
    json_object_set_new(object, "host_load", json_known(w->told, json_real(w->host_load)));
    json_object_set_new(object, "free_bytes", json_known(w->told, json_count(w->free_bytes)));
    json_object_set_new(object, "total_bytes", json_known(w->told, json_count(w->total_bytes)));
    json_object_set_new(object, "process_bytes", json_known(w->told, json_count(w->process_bytes)));
    json_object_set_new(object, "age_ms", json_known(w->told, json_count(w->age_us / 1000)));
    json_object_set_new(object, "rows", json_known(units, json_count(w->rows)));
    json_object_set_new(object, "state_bytes", json_known(units, json_count(w->bytes)));
    json_object_set_new(object, "cost_ns", json_known(cost, json_count(w->cost_ns)));
    json_object_set_new(object, "units_age_ms",
                        json_known(units, json_count(w->units_age_us / 1000)));
    return object;
}

char *coord_json_workers(const char *job, const char *balance, const coord_workers_row *rows,
                         uint32_t count)
{
    json_t *list = json_array(), *object;

    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, worker_json(&rows[i]));
    object = json_pack("{s:s, s:o, s:o}", "job", job, "balance",
                       json_known(balance[0] != '\0', json_string(balance)), "workers", list);
    return json_text(object);
}

char *coord_json_done(void)
{
    return json_text(json_pack("{s:b}", "done", 1));
}

char *coord_json_error(const char *text)
{
    return json_text(json_pack("{s:s}", "error", text));
}

/* ---- reading replies ---- */

static void read_worker(coord_status_worker *w, const json_t *from)
{
    get_text(from, "label", w->label, sizeof w->label);
    w->id = get_count(from, "id");
    w->pid = (int64_t)get_count(from, "pid");
    w->host = (uint32_t)get_count(from, "host");
    w->member = get_flag(from, "member");
    w->here = get_flag(from, "here");
    w->key_groups = (uint32_t)get_count(from, "key_groups");
    w->begun = json_is_integer(json_object_get(from, "step"));
    w->step = get_count(from, "step");
    w->silent_us = 1000 * get_count(from, "silent_ms");
    get_text(from, "behind", w->behind, sizeof w->behind);
    w->cores = (uint32_t)get_count(from, "cores");
    w->memory = get_count(from, "memory_bytes");
}

bool coord_json_status_read(coord_status *s, const char *text, size_t size, df_error *err)
{
    json_t *object = reply_read(text, size, NULL, err);
    const json_t *list = json_object_get(object, "workers");

    memset(s, 0, sizeof *s);
    if (object == NULL)
        return false;
    get_text(object, "job", s->job, sizeof s->job);
    s->number = get_count(object, "number");
    get_text(object, "phase", s->phase, sizeof s->phase);
    get_text(object, "waiting", s->waiting, sizeof s->waiting);
    get_text(object, "error", s->error, sizeof s->error);
    get_text(object, "fingerprint", s->fingerprint, sizeof s->fingerprint);
    get_text(object, "metrics", s->metrics, sizeof s->metrics);
    get_text(object, "degraded", s->degraded, sizeof s->degraded);
    get_text(object, "scaling", s->scaling, sizeof s->scaling);
    s->generation = get_count(object, "generation");
    s->restarts = get_count(object, "restarts");
    s->restores = get_count(object, "restores");
    s->stalls = get_count(object, "stalls");
    s->begun = json_is_integer(json_object_get(object, "step"));
    s->step = get_count(object, "step");
    s->steps = get_count(object, "steps");
    s->steps_per_second = json_number_value(json_object_get(object, "steps_per_second"));
    s->late_steps = get_count(object, "late_steps");
    s->snapshot = get_count(object, "snapshot");
    s->snapshot_step = get_count(object, "snapshot_step");
    s->base = get_count(object, "base");
    s->base_step = get_count(object, "base_step");
    s->snapshot_runs = get_flag(object, "snapshot_runs");
    s->snapshots_taken = get_count(object, "snapshots_taken");
    s->snapshots_aborted = get_count(object, "snapshots_aborted");
    s->snapshots_skipped = get_count(object, "snapshots_skipped");
    coord_json_row_read(&s->rescale, json_object_get(object, "rescale"));
    coord_json_row_read(&s->rescaled, json_object_get(object, "rescaled"));
    s->rescales = get_count(object, "rescales");
    s->orders = get_count(object, "orders");
    for (size_t i = 0; i < json_array_size(list) && i < PROTO_WORKERS_MAX; i++)
        read_worker(&s->workers[s->worker_count++], json_array_get(list, i));
    json_decref(object);
    return true;
}

bool coord_json_snapshots_print(FILE *out, const char *text, size_t size, df_error *err)
{
    json_t *object = reply_read(text, size, NULL, err);
    const json_t *list = json_object_get(object, "snapshots");
    uint64_t head = get_count(object, "head");

    if (object == NULL)
        return false;
    if (json_array_size(list) == 0)
        fputs("no snapshots\n", out);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        char label[WEIR_NAME_MAX];

        get_text(e, "label", label, sizeof label);
        fprintf(out, "%s %6" PRIu64 "  step %-10" PRIu64 "  %10" PRIu64 " rows  %12" PRIu64
                     " bytes (%" PRIu64 " new)%s%s%s\n",
                get_count(e, "snapshot") == head ? "*" : " ", get_count(e, "snapshot"),
                get_count(e, "step"), get_count(e, "rows"), get_count(e, "bytes"),
                get_count(e, "bytes_own"), label[0] == '\0' ? "" : "  ", label,
                get_flag(e, "damaged") ? "  damaged" : "");
    }
    json_decref(object);
    return true;
}

static const char *text_shown(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "-" : text;
}

/* "12.3 GiB"; "-" if it is not known. */
static const char *bytes_shown(const json_t *object, const char *key, char text[32])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double value = (double)get_count(object, key);
    int u = value < 1 ? 0 : (int)(log2(value) / 10);

    if (!json_is_integer(json_object_get(object, key)))
        snprintf(text, 32, "-");
    else
        snprintf(text, 32, "%.*f %s", u > 0, value / exp2(10 * u), units[u]);
    return text;
}

static const char *part_shown(const json_t *object, const char *key, char text[32])
{
    const json_t *value = json_object_get(object, key);

    snprintf(text, 32, json_is_number(value) ? "%.0f %%" : "-", 100 * json_number_value(value));
    return text;
}

static const char *count_shown(const json_t *object, const char *key, double unit, const char *format,
                               char text[32])
{
    if (json_is_integer(json_object_get(object, key)))
        snprintf(text, 32, format, (double)get_count(object, key) / unit);
    else
        snprintf(text, 32, "-");
    return text;
}

static void print_worker(FILE *out, const json_t *w)
{
    char a[32], b[32], c[32], d[32], e[32], f[32], g[32], h[32], groups[32];
    const char *refused = json_string_value(json_object_get(w, "refused"));

    if (json_is_true(json_object_get(w, "member")))
        count_shown(w, "key_groups", 1, "%.0f", groups);
    else
        snprintf(groups, sizeof groups, "spare");
    fprintf(out, "%-12s %-12s %8" PRIu64 " %-8s %7s %10s %11s %10s %6s %6s %10s %10s %6s%s%s\n",
            text_shown(w, "label"), text_shown(w, "host"), get_count(w, "pid"), text_shown(w, "backend"),
            count_shown(w, "threads", 1, "%.0f", h), groups, count_shown(w, "rows", 1, "%.0f", a),
            count_shown(w, "cost_ns", 1e6, "%.3f ms", b), part_shown(w, "busy", c),
            part_shown(w, "host_load", d), bytes_shown(w, "process_bytes", e),
            bytes_shown(w, "free_bytes", f), count_shown(w, "age_ms", 1000, "%.1f s", g),
            refused == NULL ? "" : "  no key groups: ", refused == NULL ? "" : refused);
}

bool coord_json_workers_print(FILE *out, const char *text, size_t size, df_error *err)
{
    json_t *object = reply_read(text, size, NULL, err);
    const json_t *list = json_object_get(object, "workers");

    if (object == NULL)
        return false;
    if (json_array_size(list) == 0)
        fputs("no workers\n", out);
    else
        fprintf(out, "%-12s %-12s %8s %-8s %7s %10s %11s %10s %6s %6s %10s %10s %6s\n", "worker", "host",
                "pid", "backend", "threads", "key groups", "rows", "step cost", "busy", "host", "memory",
                "free", "age");
    for (size_t i = 0; i < json_array_size(list); i++)
        print_worker(out, json_array_get(list, i));
    if (json_is_string(json_object_get(object, "balance")))
        fprintf(out, "to balance: %s\n", text_shown(object, "balance"));
    json_decref(object);
    return true;
}

bool coord_json_is_done(const char *text, size_t size, df_error *err)
{
    json_t *object = reply_read(text, size, NULL, err);
    bool done = object != NULL;

    json_decref(object);
    return done;
}

/* ---- run ---- */

bool coord_json_cluster_run(FILE *out, const coord_status *s, const df_plan *plan,
                            const char *directory, uint32_t workers, uint32_t threads,
                            double seconds, const char *error)
{
    json_t *object = json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "job", plan->job.name, "plan",
                               json_sprintf("%016" PRIx64 "%016" PRIx64, plan->hash[0], plan->hash[1]),
                               "status", s->phase[0] == '\0' ? "failed" : s->phase, "steps",
                               json_count(plan->job.steps), "step",
                               s->begun ? json_count(s->step) : json_null(), "workers",
                               json_count(workers), "threads", json_count(threads));

    if (object == NULL)
        return false;
    json_object_set_new(object, "seconds", json_real(seconds));
    json_object_set_new(object, "generation", json_count(s->generation));
    json_object_set_new(object, "restarts", json_count(s->restarts));
    status_snapshots(object, s);
    json_object_set_new(object, "fingerprint",
                        s->fingerprint[0] == '\0' ? json_null() : json_string(s->fingerprint));
    json_object_set_new(object, "directory", json_string(directory));
    json_object_set_new(object, "error", error[0] == '\0' ? json_null() : json_string(error));
    return json_print(out, object);
}

/* ---- a worker's options ---- */

char *coord_json_options(const coord_worker_options *o)
{
    return json_text(json_pack("{s:s, s:i, s:b, s:s, s:s, s:o, s:s, s:s, s:s, s:b, s:s, s:s}", "label", o->label,
                               "threads", (int)o->threads, "console", o->console, "state", o->state,
                               "nonce", o->nonce, "sink_host", json_count(o->sink_host), "fingerprints",
                               o->fingerprints, "verify", o->verify, "verify_name", o->verify_name,
                               "streams", o->streams, "inputs", o->inputs, "source", o->source));
}

bool coord_json_options_read(coord_worker_options *options, const char *text, size_t size)
{
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    bool right = json_is_object(object);

    get_text(object, "label", options->label, sizeof options->label);
    options->threads = (uint32_t)get_count(object, "threads");
    options->console = get_flag(object, "console");
    get_text(object, "state", options->state, sizeof options->state);
    get_text(object, "nonce", options->nonce, sizeof options->nonce);
    options->sink_host = (uint32_t)get_count(object, "sink_host");
    get_text(object, "fingerprints", options->fingerprints, sizeof options->fingerprints);
    get_text(object, "verify", options->verify, sizeof options->verify);
    get_text(object, "verify_name", options->verify_name, sizeof options->verify_name);
    options->streams = get_flag(object, "streams");
    get_text(object, "inputs", options->inputs, sizeof options->inputs);
    get_text(object, "source", options->source, sizeof options->source);
    json_decref(object);
    return right && options->threads <= DF_THREADS_MAX;
}
