/* For the tests of the job-file reader: the draft of a text, and the exact text of its errors. */
#ifndef CFG_TEXT_H
#define CFG_TEXT_H

#include "config/cfg.h"
#include "tests/support/cfg_kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline df_draft *draft_of(const char *text)
{
    static df_report report;
    cfg_options options = { .kinds = &test_kinds };
    df_draft *draft;

    df_report_init(&report, "a.toml");
    if (cfg_read(&draft, "jobs/a.toml", "jobs", text, strlen(text), &options, &report) != DF_OK) {
        df_report_print(&report, stderr);
        fail_msg("refused");
    }
    assert_int_equal(report.count, 0);
    return draft;
}

/* The report of a text, each line without "a.toml". */
static inline void check_errors(const char *text, const char *errors)
{
    static df_report report;
    cfg_options options = { .kinds = &test_kinds };
    df_draft *draft = (df_draft *)1;
    char *got = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&got, &len);
    df_status status;

    assert_non_null(out);
    df_report_init(&report, "a.toml");
    status = cfg_read(&draft, "a.toml", ".", text, strlen(text), &options, &report);
    df_report_print(&report, out);
    fclose(out);
    if (strcmp(got, errors) != 0)
        fail_msg("of\n%s\n--- came\n%s--- and not\n%s", text, got, errors);
    assert_true(status == DF_EINVAL || status == DF_ELIMIT);
    assert_null(draft);
    free(got);
}

typedef struct error_case {
    const char *text, *errors;
} error_case;

static inline void check_cases(const char *begin, const error_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[4096];
        assert_true(snprintf(text, sizeof text, "%s%s", begin, cases[i].text) < (int)sizeof text);
        check_errors(text, cases[i].errors);
    }
}

#define CHECK_CASES(begin, cases) check_cases(begin, cases, sizeof(cases) / sizeof *(cases))

#endif
