#include "coordinator/coord_rescales.h"

#include "coordinator/coord_json_private.h"
#include "coordinator/coord_state.h"

#include <string.h>

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
    return json_text(json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:b}", "what", a->what, "worker", a->worker,
                               "workers", json_count(a->workers), "first", json_count(a->first), "last",
                               json_count(a->last), "budget", json_count(a->budget), "dry_run",
                               a->dry_run));
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

json_t *coord_json_row(const coord_rescale_row *r)
{
    json_t *object = json_pack("{s:o, s:s, s:s, s:s, s:s, s:o}", "id", json_count(r->id), "what", r->what,
                               "phase", r->phase, "end", r->end, "why", r->why, "begun_ms",
                               json_count(r->begun_ms));

    if (object == NULL)
        return NULL;
    json_object_set_new(object, "from", json_count(r->from));
    json_object_set_new(object, "to", json_count(r->to));
    json_object_set_new(object, "key_groups", json_count(r->key_groups));
    json_object_set_new(object, "key_groups_done", json_count(r->key_groups_done));
    json_object_set_new(object, "waves", json_count(r->waves));
    json_object_set_new(object, "waves_done", json_count(r->waves_done));
    json_object_set_new(object, "bytes", json_count(r->bytes));
    json_object_set_new(object, "seconds", json_real(r->seconds));
    json_object_set_new(object, "longest_step_ms", json_real(r->longest_ms));
    json_object_set_new(object, "late_steps", json_count(r->late_steps));
    return object;
}

void coord_json_row_read(coord_rescale_row *r, const json_t *from)
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
        .late_steps = get_count(from, "late_steps"),
    };
    (void)get_text(from, "what", r->what, sizeof r->what);
    (void)get_text(from, "phase", r->phase, sizeof r->phase);
    (void)get_text(from, "end", r->end, sizeof r->end);
    (void)get_text(from, "why", r->why, sizeof r->why);
}

char *coord_json_rescale(const coord_rescale_row *row)
{
    return json_text(json_pack("{s:o}", "rescale", coord_json_row(row)));
}

char *coord_json_rescales(const coord_rescale_row *running, const coord_rescale_row *rows, uint32_t count)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, coord_json_row(&rows[i]));
    return json_text(json_pack("{s:o, s:o}", "running",
                               running == NULL ? json_null() : coord_json_row(running), "rescales", list));
}

bool coord_json_rescale_read(coord_rescale_row *row, const char *text, size_t size, df_error *err)
{
    json_t *object = reply_read(text, size, "rescale", err);

    coord_json_row_read(row, json_object_get(object, "rescale"));
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
    coord_json_row_read(running, json_object_get(object, "running"));
    for (size_t i = first; i < all; i++)
        coord_json_row_read(&rows[(*count)++], json_array_get(list, i));
    json_decref(object);
    return object != NULL;
}

df_status coord_rescales_kept(char **text, const char *state, df_error *err)
{
    size_t size;
    df_status s = coord_state_read(state, COORD_RESCALES_FILE, text, &size, err);

    if (s != DF_END)
        return s;
    *text = coord_json_rescales(NULL, NULL, 0);
    return *text == NULL ? df_fail(err, DF_ENOMEM, "out of memory") : DF_OK;
}
