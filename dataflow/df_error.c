#include "dataflow/df_error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Names longer than this have no neighbours: a bound on the work for hostile input. */
#define NEAREST_NAME_MAX 64

/* A text that is shown may quote bytes from outside: no control character reaches a terminal, and
 * what was cut off ends at a whole character, with "...". */
static void text_clean(char *text, size_t capacity, bool cut)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
    if (!cut || capacity < 4)
        return;
    len = capacity - 4;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    memcpy(text + len, "...", 4);
}

static void text_format(char *text, size_t capacity, const char *format, va_list args)
{
    int len = vsnprintf(text, capacity, format, args);

    if (len < 0)
        text[0] = '\0';
    text_clean(text, capacity, len >= 0 && (size_t)len >= capacity);
}

df_status df_fail(df_error *err, df_status status, const char *format, ...)
{
    va_list args;

    if (err == NULL)
        return status;
    err->status = status;
    va_start(args, format);
    text_format(err->text, sizeof err->text, format, args);
    va_end(args);
    return status;
}

df_status df_wrap(df_error *err, df_status status, const char *format, ...)
{
    char inner[sizeof err->text];
    va_list args;
    size_t len;
    int rest;

    if (err == NULL)
        return status;
    memcpy(inner, err->text, sizeof inner);
    err->status = status;
    va_start(args, format);
    text_format(err->text, sizeof err->text, format, args);
    va_end(args);
    len = strlen(err->text);
    rest = snprintf(err->text + len, sizeof err->text - len, ": %s", inner);
    text_clean(err->text, sizeof err->text, (size_t)rest >= sizeof err->text - len);
    return status;
}

/* ---- the report ---- */

void df_report_init(df_report *report, const char *file)
{
    report->file = file;
    report->count = 0;
}

static bool report_has(const df_report *report, const df_report_entry *entry)
{
    for (uint32_t i = 0; i < report->count; i++)
        if (report->entries[i].place.line == entry->place.line &&
            report->entries[i].place.column == entry->place.column &&
            strcmp(report->entries[i].text, entry->text) == 0)
            return true;
    return false;
}

df_status df_report_add(df_report *report, df_place place, const char *format, ...)
{
    df_report_entry entry = { .place = place };
    va_list args;

    if (report->count >= DF_REPORT_MAX) {
        report->count++;
        return DF_EINVAL;
    }
    va_start(args, format);
    text_format(entry.text, sizeof entry.text, format, args);
    va_end(args);
    if (!report_has(report, &entry))
        report->entries[report->count++] = entry;
    return DF_EINVAL;
}

static bool place_before(df_place a, df_place b)
{
    return a.line != b.line ? a.line < b.line : a.column < b.column;
}

void df_report_print(const df_report *report, void *out)
{
    uint32_t held = report->count < DF_REPORT_MAX ? report->count : DF_REPORT_MAX;
    uint32_t order[DF_REPORT_MAX];
    FILE *file = out;

    /* By insertion, so that errors of one place stay in the order found. */
    for (uint32_t i = 0; i < held; i++) {
        uint32_t at = i;
        while (at > 0 &&
               place_before(report->entries[i].place, report->entries[order[at - 1]].place)) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    for (uint32_t i = 0; i < held; i++) {
        const df_report_entry *e = &report->entries[order[i]];
        if (e->place.line > 0)
            fprintf(file, "%s:%u:%u: %s\n", report->file, e->place.line, e->place.column, e->text);
        else
            fprintf(file, "%s: %s\n", report->file, e->text);
    }
    if (report->count > held)
        fprintf(file, "%s: and %u more errors\n", report->file, report->count - held);
}

/* ---- did you mean ---- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The optimal string alignment distance (insertions, deletions, changes, and swaps of two
 * neighbours count one each), or anything above `limit` if it is above. Three rows of the usual
 * table, and of each row only what is at most `limit` from the diagonal; beyond stands `far`. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len, size_t limit)
{
    const size_t far = limit + 1;
    size_t rows[3][NEAREST_NAME_MAX + 2];

    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        const size_t *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
        size_t *row = rows[i % 3], nearest = far;
        size_t begin = i > limit ? i - limit : 1, end = smaller(i + limit, b_len);
        row[begin - 1] = begin == 1 ? i : far;
        for (size_t j = begin; j <= end; j++) {
            size_t best =
                smaller(last[j - 1] + (a[i - 1] != b[j - 1]), smaller(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = smaller(best, before[j - 2] + 1);
            row[j] = best;
            nearest = smaller(nearest, best);
        }
        row[end + 1] = far;
        if (nearest >= far && begin > 1)
            return far;
    }
    return rows[a_len % 3][b_len];
}

/* The same; what both words begin and end with costs nothing and is left out of the table. */
static size_t word_distance(const char *a, size_t a_len, const char *b, size_t b_len, size_t limit)
{
    while (a_len > 0 && b_len > 0 && *a == *b) {
        a++;
        b++;
        a_len--;
        b_len--;
    }
    while (a_len > 0 && b_len > 0 && a[a_len - 1] == b[b_len - 1]) {
        a_len--;
        b_len--;
    }
    return edit_distance(a, a_len, b, b_len, limit);
}

/* How far a name may be from the one that is suggested: one in three letters, at most three. */
static size_t nearest_limit(size_t a_len, size_t b_len)
{
    return smaller((a_len > b_len ? a_len : b_len) / 3, 3);
}

const char *df_nearest(const char *name, const char *const *candidates, size_t count)
{
    size_t len = strlen(name), best = SIZE_MAX;
    const char *nearest = NULL;

    if (len > NEAREST_NAME_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(candidates[i]), limit = nearest_limit(len, other), distance;
        if (other > NEAREST_NAME_MAX || other > len + limit || len > other + limit)
            continue;
        distance = strcasecmp(name, candidates[i]) == 0
                       ? 0
                       : word_distance(name, len, candidates[i], other, limit);
        if (distance <= limit && distance < best) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}
