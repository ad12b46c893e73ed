#include "coordinator/coord_ticket.h"

#include "snapshot/snap_hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool coord_ticket_name_is(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789-";
    size_t length = strlen(name);

    return length > 0 && length < WEIR_NAME_MAX && strchr(first, name[0]) != NULL &&
           strspn(name, rest) == length;
}

bool coord_ticket_file_is(const char *file)
{
    bool plain = file[0] == '/' && strlen(file) <= PROTO_TEXT_SIZE_MAX;

    for (const char *c = file; plain && *c != '\0'; c++)
        plain = (unsigned char)*c >= ' ' && *c != 127;
    return plain;
}

/* ---- records ---- */

#define TICKET_FORMAT "weir job %" PRIu64 "\nname %s\nworkers %" PRIu32 "\nsubmitted %" PRIu64 \
                      "\nby %" PRIu64 " %" PRIu64 "\nfile %s\n"

size_t coord_ticket_print(const coord_ticket *t, char text[COORD_TICKET_SIZE_MAX])
{
    int size = snprintf(text, COORD_TICKET_SIZE_MAX, TICKET_FORMAT, t->number, t->name, t->workers,
                        t->submitted_ms, t->client, t->question, t->file);
    df_hash hash = snap_hash(text, (size_t)size);

    size += snprintf(text + size, COORD_TICKET_SIZE_MAX - (size_t)size, "%016" PRIx64 "%016" PRIx64 "\n",
                     hash.high, hash.low);
    return (size_t)size;
}

/* What stands behind a word at the beginning of a line; moves *at to the next line. Null: it does not. */
static const char *line_of(char **at, const char *word)
{
    size_t length = strlen(word);
    char *line = *at, *end = strchr(line, '\n');

    if (end == NULL || strncmp(line, word, length) != 0)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return line + length;
}

static bool number_of(const char *text, uint64_t most, uint64_t *value)
{
    size_t length = text == NULL ? 0 : strlen(text);

    if (length == 0 || length > 19 || strspn(text, "0123456789") != length)
        return false;
    *value = strtoull(text, NULL, 10);
    return *value <= most;
}

static bool ticket_scan(coord_ticket *t, char *text)
{
    uint64_t workers;
    const char *name, *file, *by;
    char *at = text, second[24] = "", first[24] = "";

    if (!number_of(line_of(&at, "weir job "), UINT64_MAX, &t->number) || t->number == 0)
        return false;
    name = line_of(&at, "name ");
    if (name == NULL || !coord_ticket_name_is(name) ||
        !number_of(line_of(&at, "workers "), PROTO_MEMBERS_MAX, &workers) || workers == 0 ||
        !number_of(line_of(&at, "submitted "), UINT64_MAX, &t->submitted_ms))
        return false;
    by = line_of(&at, "by ");
    file = line_of(&at, "file ");
    if (by == NULL || sscanf(by, "%20[0-9] %20[0-9]", first, second) != 2 || file == NULL ||
        !coord_ticket_file_is(file))
        return false;
    t->client = strtoull(first, NULL, 10);
    t->question = strtoull(second, NULL, 10);
    t->workers = (uint32_t)workers;
    snprintf(t->name, sizeof t->name, "%s", name);
    snprintf(t->file, sizeof t->file, "%s", file);
    return true;
}

/* What is scanned must print to the same bytes, checksum included: so each record has one form. */
df_status coord_ticket_parse(coord_ticket *ticket, const char *text, size_t size, df_error *err)
{
    char copy[COORD_TICKET_SIZE_MAX], again[COORD_TICKET_SIZE_MAX];
    bool right = size < sizeof copy;

    *ticket = (coord_ticket){ 0 };
    if (right) {
        memcpy(copy, text, size);
        copy[size] = '\0';
        right = memchr(text, '\0', size) == NULL && ticket_scan(ticket, copy) &&
                coord_ticket_print(ticket, again) == size && memcmp(again, text, size) == 0;
    }
    return right ? DF_OK : df_fail(err, DF_ECORRUPT, "it is no record of a job, or damaged");
}

/* ---- the mark in a state ---- */

df_status coord_ticket_mark_read(const char *state, coord_ticket_mark *mark, df_error *err)
{
    char *text;
    size_t size;
    df_status s = coord_state_read(state, COORD_TICKET_MARK, &text, &size, err);

    *mark = (coord_ticket_mark){ 0 };
    if (s == DF_OK && (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu32, &mark->number, &mark->process,
                              &mark->workers) != 3 || mark->workers == 0 || mark->workers > PROTO_MEMBERS_MAX))
        s = df_fail(err, DF_ECORRUPT, "%.300s/" COORD_TICKET_MARK ": expected three numbers", state);
    free(text);
    return s;
}

df_status coord_ticket_mark_write(const char *state, const coord_ticket_mark *mark, df_error *err)
{
    char text[64];
    int size = snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64 " %" PRIu32 "\n", mark->number, mark->process,
                        mark->workers);

    return coord_state_write(state, COORD_TICKET_MARK, text, (size_t)size, err);
}
