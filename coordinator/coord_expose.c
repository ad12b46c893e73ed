#include "coordinator/coord_expose.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static void put(df_writer *out, const char *text)
{
    df_put_bytes(out, text, strlen(text));
}

void coord_expose_family(df_writer *out, const char *name, coord_family_type type, const char *help)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };

    put(out, "# HELP ");
    put(out, name);
    put(out, " ");
    put(out, help);
    put(out, "\n# TYPE ");
    put(out, name);
    put(out, " ");
    put(out, types[type]);
    put(out, "\n");
}

/* ---- a sample: there may be a hundred thousand on a page, so each is written in one go ---- */

static size_t escaped_size(const char *text)
{
    size_t size = 0;

    for (; *text != '\0'; text++)
        size += *text == '\n' || *text == '\\' || *text == '"' ? 2 : 1;
    return size;
}

/* All of them return where what follows is to be written. */
static char *add(char *to, const char *text)
{
    size_t size = strlen(text);

    memcpy(to, text, size);
    return to + size;
}

static char *add_escaped(char *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n' || *text == '\\' || *text == '"')
            *to++ = '\\';
        *to++ = *text == '\n' ? 'n' : *text;
    }
    return to;
}

static void put_sample(df_writer *out, const char *name, const char *suffix, const coord_label *labels,
                       const char *value)
{
    size_t size = strlen(name) + strlen(suffix) + strlen(value) + 2;
    bool labelled = labels != NULL && labels[0].name != NULL;
    char *to;

    for (size_t i = 0; labelled && labels[i].name != NULL; i++)
        size += strlen(labels[i].name) + escaped_size(labels[i].value) + strlen(",=\"\"");
    size += labelled ? 1 : 0;
    to = (char *)df_put_space(out, size);
    if (to == NULL)
        return;
    to = add(add(to, name), suffix);
    for (size_t i = 0; labelled && labels[i].name != NULL; i++) {
        *to++ = i == 0 ? '{' : ',';
        to = add(add(to, labels[i].name), "=\"");
        to = add_escaped(to, labels[i].value);
        *to++ = '"';
    }
    to = add(to, labelled ? "} " : " ");
    (void)add(add(to, value), "\n");
}

/* At least `digits` digits, before `end`. */
static char *number_before(char *end, uint64_t value, uint32_t digits)
{
    char *at = end;

    while (value > 0 || at + digits > end) {
        *--at = (char)('0' + value % 10);
        value /= 10;
    }
    return at;
}

const char *coord_expose_digits(char text[COORD_DIGITS], uint64_t value)
{
    text[COORD_DIGITS - 1] = '\0';
    return number_before(text + COORD_DIGITS - 1, value, 1);
}

static void put_count(df_writer *out, const char *name, const char *suffix, const coord_label *labels,
                      uint64_t value)
{
    char text[COORD_DIGITS];

    put_sample(out, name, suffix, labels, coord_expose_digits(text, value));
}

static void put_nanoseconds(df_writer *out, const char *name, const char *suffix,
                            const coord_label *labels, uint64_t value)
{
    char text[32] = { 0 }, *point = text + sizeof text - 1 - 9 - 1;

    (void)number_before(text + sizeof text - 1, value % 1000000000, 9);
    *point = '.';
    put_sample(out, name, suffix, labels, number_before(point, value / 1000000000, 1));
}

void coord_expose_count(df_writer *out, const char *name, const coord_label *labels, uint64_t value)
{
    put_count(out, name, "", labels, value);
}

void coord_expose_real(df_writer *out, const char *name, const coord_label *labels, double value)
{
    char text[48];

    snprintf(text, sizeof text, "%.9g", value);
    put_sample(out, name, "", labels, text);
}

void coord_expose_nanoseconds(df_writer *out, const char *name, const coord_label *labels,
                              uint64_t value)
{
    put_nanoseconds(out, name, "", labels, value);
}

/* bounds: of all buckets but the last, in seconds. */
static void put_histogram(df_writer *out, const char *name, const coord_label *labels,
                          const uint64_t *buckets, const double *bounds, uint32_t bucket_count,
                          uint64_t nanoseconds)
{
    coord_label all[COORD_LABELS_MAX + 2] = { { 0 } };
    size_t count = 0;
    uint64_t sum = 0;
    char bound[32];

    for (; labels != NULL && labels[count].name != NULL; count++) {
        assert(count < COORD_LABELS_MAX);
        all[count] = labels[count];
    }
    all[count] = (coord_label){ "le", bound };
    for (uint32_t i = 0; i < bucket_count; i++) {
        if (i + 1 < bucket_count)
            snprintf(bound, sizeof bound, "%.10g", bounds[i]);
        else
            strcpy(bound, "+Inf");
        sum += buckets[i];
        put_count(out, name, "_bucket", all, sum);
    }
    put_nanoseconds(out, name, "_sum", labels, nanoseconds);
    put_count(out, name, "_count", labels, sum);
}

void coord_expose_histogram(df_writer *out, const char *name, const coord_label *labels,
                            const coord_histogram *h)
{
    put_histogram(out, name, labels, h->buckets, coord_bucket_bounds, COORD_BUCKETS, h->nanoseconds);
}

void coord_expose_spans(df_writer *out, const char *name, const coord_label *labels,
                        const df_spans *spans)
{
    double bounds[DF_SPANS_BUCKETS - 1];

    for (uint32_t i = 0; i + 1 < DF_SPANS_BUCKETS; i++)
        bounds[i] = 1e-9 * (double)df_spans_bound(i);
    put_histogram(out, name, labels, spans->buckets, bounds, DF_SPANS_BUCKETS, spans->nanoseconds);
}
