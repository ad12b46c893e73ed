#include "coordinator/coord_rescales.h"

#include <jansson.h>
#include <string.h>

#define JSON_STYLE (JSON_COMPACT | JSON_REAL_PRECISION(9))

static char *text_of(json_t *object)
{
    char *text = object == NULL ? NULL : json_dumps(object, JSON_STYLE);

    json_decref(object);
    return text;
}

static json_t *count_of(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* False: it was too long, and is cut. */
static bool get_text(const json_t *object, const char *key, char *text, size_t capacity)
{
    const char *value = json_string_value(json_object_get(object, key));

    return (size_t)snprintf(text, capacity, "%s", value == NULL ? "" : value) < capacity;
}

static uint64_t get_count(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));

    return value < 0 ? 0 : (uint64_t)value;
}

static uint32_t get_small(const json_t *object, const char *key)
{
    uint64_t value = get_count(object, key);

    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* ---- how they end ---- */

const char *const coord_rescale_kinds[] = { "rescale", "rebalance", "drain-worker", "move" };
const char *const coord_rescale_ends[] = { "done", "aborted", "voided", "failed" };

static uint32_t place_in(const char *const *names, uint32_t count, const char *name)
{
    uint32_t i = 0;

    while (i < count && strcmp(names[i], name) != 0)
        i++;
    return i;
}

void coord_rescale_totals_put(coord_rescale_totals *totals, const coord_rescale_row *row)
{
    uint32_t kind = place_in(coord_rescale_kinds, COORD_RESCALE_KINDS, row->what);
    uint32_t end = place_in(coord_rescale_ends, COORD_RESCALE_ENDS, row->end);

    if (kind == COORD_RESCALE_KINDS || end == COORD_RESCALE_ENDS)
        return;
    totals->ended[kind][end]++;
    if (end != 0)
        return;
    totals->key_groups += row->key_groups;
    totals->bytes += row->bytes;
}

/* ---- asking ---- */

char *coord_json_rescale_ask(const coord_rescale_ask *a)
{
    return text_of(json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:b}", "what", a->what, "worker", a->worker,
                             "workers", count_of(a->workers), "first", count_of(a->first), "last",
                             count_of(a->last), "budget", count_of(a->budget), "dry_run", a->dry_run));
}

bool coord_json_rescale_ask_read(coord_rescale_ask *ask, const char *text, size_t size)
{
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    bool right = json_is_object(object);

    *ask = (coord_rescale_ask){ .workers = get_small(object, "workers"),
                                .first = get_small(object, "first"), .last = get_small(object, "last"),
                                .budget = get_count(object, "budget"),
                                .dry_run = json_is_true(json_object_get(object, "dry_run")) };
    right &= get_text(object, "what", ask->what, sizeof ask->what);
    right &= get_text(object, "worker", ask->worker, sizeof ask->worker);
    json_decref(object);
    return right;
}

/* ---- rows ---- */

static json_t *row_of(const coord_rescale_row *r)
{
    json_t *object = json_pack("{s:o, s:s, s:s, s:s, s:s, s:o}", "id", count_of(r->id), "what", r->what,
                               "phase", r->phase, "end", r->end, "why", r->why, "begun_ms",
                               count_of(r->begun_ms));

    if (object == NULL)
        return NULL;
    json_object_set_new(object, "from", count_of(r->from));
    json_object_set_new(object, "to", count_of(r->to));
    json_object_set_new(object, "key_groups", count_of(r->key_groups));
    json_object_set_new(object, "key_groups_done", count_of(r->key_groups_done));
    json_object_set_new(object, "waves", count_of(r->waves));
    json_object_set_new(object, "waves_done", count_of(r->waves_done));
    json_object_set_new(object, "bytes", count_of(r->bytes));
    json_object_set_new(object, "seconds", json_real(r->seconds));
    json_object_set_new(object, "longest_step_ms", json_real(r->longest_ms));
    return object;
}

static void row_read(coord_rescale_row *r, const json_t *from)
{
    *r = (coord_rescale_row){
        .id = get_count(from, "id"), .begun_ms = get_count(from, "begun_ms"),
        .from = get_small(from, "from"), .to = get_small(from, "to"),
        .key_groups = get_small(from, "key_groups"),
        .key_groups_done = get_small(from, "key_groups_done"),
        .waves = get_small(from, "waves"), .waves_done = get_small(from, "waves_done"),
        .bytes = get_count(from, "bytes"),
        .seconds = json_number_value(json_object_get(from, "seconds")),
        .longest_ms = json_number_value(json_object_get(from, "longest_step_ms")),
    };
    (void)get_text(from, "what", r->what, sizeof r->what);
    (void)get_text(from, "phase", r->phase, sizeof r->phase);
    (void)get_text(from, "end", r->end, sizeof r->end);
    (void)get_text(from, "why", r->why, sizeof r->why);
}

char *coord_json_rescale(const coord_rescale_row *row)
{
    return text_of(json_pack("{s:o}", "rescale", row_of(row)));
}

char *coord_json_rescales(const coord_rescale_row *running, const coord_rescale_row *rows, uint32_t count)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, row_of(&rows[i]));
    return text_of(json_pack("{s:o, s:o}", "running", running == NULL ? json_null() : row_of(running),
                             "rescales", list));
}

/* The reply as an object, to be given back; null: it is none, or says an error. */
static json_t *reply_read(const char *text, size_t size, const char *key, df_error *err)
{
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    const char *error = json_string_value(json_object_get(object, "error"));

    if (error == NULL && json_object_get(object, key) != NULL)
        return object;
    df_fail(err, DF_EIO, "%.200s", error == NULL ? "the reply makes no sense" : error);
    json_decref(object);
    return NULL;
}

bool coord_json_rescale_read(coord_rescale_row *row, const char *text, size_t size, df_error *err)
{
    json_t *object = reply_read(text, size, "rescale", err);

    row_read(row, json_object_get(object, "rescale"));
    json_decref(object);
    return object != NULL;
}

bool coord_json_rescales_read(coord_rescale_row *running, coord_rescale_row *rows, uint32_t capacity,
                              uint32_t *count, const char *text, size_t size, df_error *err)
{
    json_t *object = reply_read(text, size, "rescales", err);
    const json_t *list = json_object_get(object, "rescales");
    size_t all = json_array_size(list), first = all > capacity ? all - capacity : 0;

    *count = 0;
    row_read(running, json_object_get(object, "running"));
    for (size_t i = first; i < all; i++)
        row_read(&rows[(*count)++], json_array_get(list, i));
    json_decref(object);
    return object != NULL;
}
