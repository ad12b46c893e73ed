/* How the workers stand, in JSON: what a coordinator replies, and what a client makes of it. */
#include "coordinator/coord_json_cluster.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

static json_t *json_count(uint64_t value)
{
    return json_integer((json_int_t)value);
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
    bool units = w->units_age_us != UINT64_MAX;
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
    json_object_set_new(object, "cost_ns", json_known(units, json_count(w->cost_ns)));
    json_object_set_new(object, "units_age_ms",
                        json_known(units, json_count(w->units_age_us / 1000)));
    return object;
}

char *coord_json_workers(const char *job, const char *balance, const coord_workers_row *rows,
                         uint32_t count)
{
    json_t *list = json_array(), *object;
    char *text;

    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, worker_json(&rows[i]));
    object = json_pack("{s:s, s:o, s:o}", "job", job, "balance",
                       json_known(balance[0] != '\0', json_string(balance)), "workers", list);
    text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(object);
    return text;
}

/* ---- reading ---- */

static uint64_t get_count(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));

    return value < 0 ? 0 : (uint64_t)value;
}

static const char *get_text(const json_t *object, const char *key)
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
            get_text(w, "label"), get_text(w, "host"), get_count(w, "pid"), get_text(w, "backend"),
            count_shown(w, "threads", 1, "%.0f", h), groups, count_shown(w, "rows", 1, "%.0f", a),
            count_shown(w, "cost_ns", 1e6, "%.3f ms", b), part_shown(w, "busy", c),
            part_shown(w, "host_load", d), bytes_shown(w, "process_bytes", e),
            bytes_shown(w, "free_bytes", f), count_shown(w, "age_ms", 1000, "%.1f s", g),
            refused == NULL ? "" : "  no key groups: ", refused == NULL ? "" : refused);
}

bool coord_json_workers_print(FILE *out, const char *text, size_t size, df_error *err)
{
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *list = json_object_get(object, "workers");
    const char *error = json_string_value(json_object_get(object, "error"));

    if (!json_is_array(list)) {
        df_fail(err, DF_EIO, "%s", error == NULL ? "the reply makes no sense" : error);
        json_decref(object);
        return false;
    }
    if (json_array_size(list) == 0)
        fputs("no workers\n", out);
    else
        fprintf(out, "%-12s %-12s %8s %-8s %7s %10s %11s %10s %6s %6s %10s %10s %6s\n", "worker", "host",
                "pid", "backend", "threads", "key groups", "rows", "step cost", "busy", "host", "memory",
                "free", "age");
    for (size_t i = 0; i < json_array_size(list); i++)
        print_worker(out, json_array_get(list, i));
    if (json_is_string(json_object_get(object, "balance")))
        fprintf(out, "to balance: %s\n", get_text(object, "balance"));
    json_decref(object);
    return true;
}
