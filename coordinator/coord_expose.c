#include "coordinator/coord_expose.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static void put(df_writer *out, const char *text)
{
    df_put_bytes(out, text, strlen(text));
}

static void put_escaped(df_writer *out, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '\n')
            put(out, "\\n");
        else if (*text == '\\' || *text == '"')
            df_put_bytes(out, (const char[]){ '\\', *text }, 2);
        else
            df_put_bytes(out, text, 1);
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

static void put_sample(df_writer *out, const char *name, const char *suffix, const coord_label *labels,
                       const char *value)
{
    put(out, name);
    put(out, suffix);
    for (size_t i = 0; labels != NULL && labels[i].name != NULL; i++) {
        put(out, i == 0 ? "{" : ",");
        put(out, labels[i].name);
        put(out, "=\"");
        put_escaped(out, labels[i].value);
        put(out, "\"");
    }
    put(out, labels != NULL && labels[0].name != NULL ? "} " : " ");
    put(out, value);
    put(out, "\n");
}

static void put_count(df_writer *out, const char *name, const char *suffix, const coord_label *labels,
                      uint64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRIu64, value);
    put_sample(out, name, suffix, labels, text);
}

static void put_nanoseconds(df_writer *out, const char *name, const char *suffix,
                            const coord_label *labels, uint64_t value)
{
    char text[48];

    snprintf(text, sizeof text, "%" PRIu64 ".%09" PRIu64, value / 1000000000, value % 1000000000);
    put_sample(out, name, suffix, labels, text);
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
