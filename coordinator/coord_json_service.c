#include "coordinator/coord_json_service.h"

#include "coordinator/coord_json_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- lists ---- */

static void put_end(json_t *object, const coord_listed *l)
{
    json_object_set_new(object, "phase", json_string(l->phase));
    json_object_set_new(object, "fingerprint", json_string(l->fingerprint));
    json_object_set_new(object, "error", json_string(l->error));
    json_object_set_new(object, "step", l->begun ? json_count(l->step) : json_null());
    json_object_set_new(object, "steps", json_count(l->steps));
    json_object_set_new(object, "snapshot", l->snapshot == 0 ? json_null() : json_count(l->snapshot));
    json_object_set_new(object, "snapshot_step",
                        l->snapshot == 0 ? json_null() : json_count(l->snapshot_step));
}

/* What the service knows of a job. */
static void put_listed(json_t *object, const coord_listed *l)
{
    const coord_ticket *t = &l->ticket;

    json_object_set_new(object, "ticket", json_count(t->number));
    json_object_set_new(object, "file", json_string(t->file));
    json_object_set_new(object, "workers_wanted", json_count(t->workers));
    json_object_set_new(object, "workers_placed", json_count(l->placed));
    json_object_set_new(object, "submitted_ms", json_count(t->submitted_ms));
    json_object_set_new(object, "ended_ms", l->ended_ms == 0 ? json_null() : json_count(l->ended_ms));
    json_object_set_new(object, "address", json_string(l->endpoint.address));
    json_object_set_new(object, "key", json_string(l->endpoint.key));
    json_object_set_new(object, "trouble", json_string(l->trouble));
}

char *coord_json_listing(const coord_listing *listing)
{
    json_t *jobs = json_array();

    for (uint32_t i = 0; i < listing->count; i++) {
        json_t *object = json_pack("{s:s}", "job", listing->jobs[i].ticket.name);

        if (listing->jobs[i].ended_ms != 0)
            put_end(object, &listing->jobs[i]);
        put_listed(object, &listing->jobs[i]);
        json_array_append_new(jobs, object);
    }
    return json_text(json_pack("{s:o, s:o, s:b, s:o}", "pool_free", json_count(listing->pool_free),
                               "pool_count", json_count(listing->pool_count), "more", listing->more,
                               "jobs", jobs));
}

static bool read_listed(coord_listed *l, const json_t *from)
{
    coord_ticket *t = &l->ticket;

    *l = (coord_listed){ 0 };
    get_text(from, "job", t->name, sizeof t->name);
    get_text(from, "file", t->file, sizeof t->file);
    t->number = get_count(from, "ticket");
    t->workers = (uint32_t)get_count(from, "workers_wanted");
    t->submitted_ms = get_count(from, "submitted_ms");
    l->placed = (uint32_t)get_count(from, "workers_placed");
    l->ended_ms = get_count(from, "ended_ms");
    get_text(from, "address", l->endpoint.address, sizeof l->endpoint.address);
    get_text(from, "key", l->endpoint.key, sizeof l->endpoint.key);
    get_text(from, "trouble", l->trouble, sizeof l->trouble);
    get_text(from, "phase", l->phase, sizeof l->phase);
    get_text(from, "fingerprint", l->fingerprint, sizeof l->fingerprint);
    get_text(from, "error", l->error, sizeof l->error);
    l->begun = json_is_integer(json_object_get(from, "step"));
    l->step = get_count(from, "step");
    l->steps = get_count(from, "steps");
    l->snapshot = get_count(from, "snapshot");
    l->snapshot_step = get_count(from, "snapshot_step");
    return coord_ticket_name_is(t->name) && t->number != 0;
}

bool coord_json_listing_read(coord_listing *listing, const char *text, size_t size, df_error *err)
{
    json_t *object = reply_read(text, size, NULL, err);
    const json_t *jobs = json_object_get(object, "jobs");
    size_t count = json_array_size(jobs);
    bool right = object != NULL && json_is_array(jobs) && count <= COORD_LISTED_MAX;

    *listing = (coord_listing){ 0 };
    if (right)
        listing->jobs = calloc(count + 1, sizeof *listing->jobs);
    for (size_t i = 0; right && listing->jobs != NULL && i < count; i++)
        right = read_listed(&listing->jobs[listing->count++], json_array_get(jobs, i));
    listing->pool_free = (uint32_t)get_count(object, "pool_free");
    listing->pool_count = (uint32_t)get_count(object, "pool_count");
    listing->more = json_is_true(json_object_get(object, "more"));
    if (object != NULL && (!right || listing->jobs == NULL)) {
        df_fail(err, DF_EIO, "the reply makes no sense");
        free(listing->jobs);
        *listing = (coord_listing){ 0 };
        right = false;
    }
    json_decref(object);
    return right;
}

char *coord_json_listed(const coord_listed *listed, const char *status, size_t size)
{
    json_t *object = status == NULL ? NULL : json_loadb(status, size, 0, NULL);

    if (!json_is_object(object)) {
        json_decref(object);
        object = json_pack("{s:s}", "job", listed->ticket.name);
        if (listed->ended_ms != 0)
            put_end(object, listed);
        else
            json_object_set_new(object, "phase", json_string("starting"));
    }
    put_listed(object, listed);
    return json_text(object);
}

/* ---- submissions ---- */

char *coord_json_submitted(const char *job, uint64_t ticket, uint32_t pool_count)
{
    return json_text(json_pack("{s:s, s:o, s:o}", "job", job, "ticket", json_count(ticket), "pool_count",
                               json_count(pool_count)));
}

bool coord_json_submitted_read(uint64_t *ticket, uint32_t *pool_count, const char *text, size_t size,
                               df_error *err)
{
    json_t *object = reply_read(text, size, NULL, err);

    *ticket = get_count(object, "ticket");
    *pool_count = (uint32_t)get_count(object, "pool_count");
    if (object != NULL && *ticket == 0)
        df_fail(err, DF_EIO, "the reply makes no sense");
    json_decref(object);
    return *ticket != 0;
}

char *coord_json_taken(const char *text)
{
    return json_text(json_pack("{s:s, s:b}", "error", text, "taken", 1));
}

bool coord_json_is_taken(const char *text, size_t size)
{
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    bool taken = json_is_true(json_object_get(object, "taken"));

    json_decref(object);
    return taken;
}

char *coord_json_refused(const char *lines)
{
    return json_text(json_pack("{s:s, s:s}", "error", "the job was refused", "lines", lines));
}

char *coord_json_refused_read(const char *text, size_t size)
{
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    const char *lines = json_string_value(json_object_get(object, "lines"));
    char *copy = lines == NULL ? NULL : strdup(lines);

    json_decref(object);
    return copy;
}

/* ---- logs ---- */

char *coord_json_logs(char (*names)[COORD_LOG_NAME], uint32_t count)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(names[i]));
    return json_text(json_pack("{s:o}", "files", list));
}

bool coord_json_logs_read(char (*names)[COORD_LOG_NAME], uint32_t *count, const char *text, size_t size,
                          df_error *err)
{
    json_t *object = reply_read(text, size, NULL, err);
    const json_t *list = json_object_get(object, "files");
    bool right = object != NULL;

    *count = 0;
    for (size_t i = 0; i < json_array_size(list) && *count < COORD_LOGS_MAX; i++) {
        const char *name = json_string_value(json_array_get(list, i));

        if (name != NULL)
            snprintf(names[(*count)++], COORD_LOG_NAME, "%s", name);
    }
    json_decref(object);
    return right;
}

char *coord_json_log(const char *bytes, size_t size, uint64_t next)
{
    return json_text(json_pack("{s:o, s:o}", "text", json_stringn(bytes, size), "next", json_count(next)));
}

bool coord_json_log_read(char **bytes, uint64_t *next, const char *text, size_t size, df_error *err)
{
    json_t *object = reply_read(text, size, NULL, err);
    const char *value = json_string_value(json_object_get(object, "text"));

    *bytes = value == NULL ? NULL : strdup(value);
    *next = get_count(object, "next");
    if (object != NULL && *bytes == NULL)
        df_fail(err, DF_EIO, "the reply makes no sense");
    json_decref(object);
    return *bytes != NULL;
}
