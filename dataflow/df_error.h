/* Status, error text, and the report of a reader that finds several errors.
 *
 * A status is for the program, a text for a person. The function that first detects a failure fills
 * the text, the one that handles it prints it, once. */
#ifndef DF_ERROR_H
#define DF_ERROR_H

#include <stddef.h>
#include <stdint.h>

typedef enum df_status {
    DF_OK = 0,
    DF_AGAIN,    /* nothing to do now; not a failure */
    DF_END,      /* the stream is finished; not a failure */
    DF_EINVAL,   /* a job file or a command is wrong; the user can fix it */
    DF_ENOMEM,
    DF_EIO,      /* disk or network; may succeed when tried again */
    DF_ECORRUPT, /* bytes from outside failed a check; never try again */
    DF_ELIMIT,   /* a stated limit was reached */
    DF_ENOTSUP,  /* this build or this machine cannot do it */
} df_status;

#define DF_MUST_CHECK __attribute__((warn_unused_result))
#define DF_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Lives on the caller's stack. Null: the text is not wanted. */
typedef struct df_error {
    df_status status;
    char text[512];
} df_error;

/* Fill err and return status. */
df_status df_fail(df_error *err, df_status status, const char *format, ...) DF_PRINTF(3, 4);
/* Put more in front of the text that is there: "outer: inner". Returns status. */
df_status df_wrap(df_error *err, df_status status, const char *format, ...) DF_PRINTF(3, 4);

/* A place in the job file; line 0: no place (an error of the whole file, or of --set). */
typedef struct df_place {
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1, in bytes */
} df_place;

/* All errors of one job file, in the order found; sorted by place when printed. */
#define DF_REPORT_MAX 50

typedef struct df_report_entry {
    df_place place;
    char text[400];
} df_report_entry;

typedef struct df_report {
    const char *file; /* as the user named it; borrowed */
    uint32_t count;   /* of all errors; entries hold the first DF_REPORT_MAX */
    df_report_entry entries[DF_REPORT_MAX];
} df_report;

void df_report_init(df_report *report, const char *file);
/* Note an error. Always returns DF_EINVAL. An exact repeat is noted once. */
df_status df_report_add(df_report *report, df_place place, const char *format, ...) DF_PRINTF(3, 4);
/* Write the entries to `out` (FILE *), one "file:line:column: text" per line, by place. */
void df_report_print(const df_report *report, void *out);

/* The candidate nearest to `name` by edit distance, or null if none is near (for "did you mean"). */
const char *df_nearest(const char *name, const char *const *candidates, size_t count);

#endif
