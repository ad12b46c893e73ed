/* What the files that know the JSON library share (coord_json.c and coord_json_*.c): making texts, and reading
 * members of hostile ones, where what is missing or of another type is "" or 0. */
#ifndef COORD_JSON_PRIVATE_H
#define COORD_JSON_PRIVATE_H

#include "coordinator/coord_rescales.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_STYLE (JSON_COMPACT | JSON_REAL_PRECISION(9))

/* ---- making ---- */

static inline json_t *json_count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* Takes the object. The text is the caller's to free; null: out of memory. */
static inline char *json_text(json_t *object)
{
    char *text = object == NULL ? NULL : json_dumps(object, JSON_STYLE);

    json_decref(object);
    return text;
}

/* As a line of its own; takes the object. False: out of memory, or it could not be written. */
static inline bool json_print(FILE *out, json_t *object)
{
    bool done = object != NULL && json_dumpf(object, out, JSON_STYLE) == 0 && fputc('\n', out) != EOF;

    json_decref(object);
    return done;
}

/* ---- changes of workers and owners (coord_json_rescale.c) ---- */

json_t *coord_json_row(const coord_rescale_row *row);
/* What is not there is zero: no object is no change. */
void coord_json_row_read(coord_rescale_row *row, const json_t *from);

/* ---- reading ---- */

/* False: it was too long, and is cut. */
static inline bool get_text(const json_t *object, const char *key, char *text, size_t capacity)
{
    const char *value = json_string_value(json_object_get(object, key));

    return (size_t)snprintf(text, capacity, "%s", value == NULL ? "" : value) < capacity;
}

static inline uint64_t get_count(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));

    return value < 0 ? 0 : (uint64_t)value;
}

static inline uint32_t get_small(const json_t *object, const char *key)
{
    uint64_t value = get_count(object, key);

    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static inline bool get_flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* A reply as an object, to be given back (json_decref). Null: it is none, it lacks the member `key` (null: any
 * will do), or it says an error, which is then in *err. A status has an error of its own. */
static inline json_t *reply_read(const char *text, size_t size, const char *key, df_error *err)
{
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    const char *error = json_string_value(json_object_get(object, "error"));
    bool status = json_object_get(object, "phase") != NULL;

    if (json_is_object(object) && (key == NULL || json_object_get(object, key) != NULL) &&
        (error == NULL || status))
        return object;
    df_fail(err, DF_EIO, "%s", error == NULL || status ? "the reply makes no sense" : error);
    json_decref(object);
    return NULL;
}

#endif
