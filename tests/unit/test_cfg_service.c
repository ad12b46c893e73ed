/* The configuration of a service: defaults, every key, the example that comes with weir, the manual; errors
 * have their texts in tests/integration/service.sh. */
#include "config/cfg_service.h"
#include "dataflow/df_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static df_report report;
static cfg_service service;

static df_status reads(const char *text)
{
    df_report_init(&report, "a.toml");
    return cfg_service_read(&service, text, strlen(text), &report);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(reads(""), DF_OK);
    assert_string_equal(service.directory.text, "runs");
    assert_null(service.bind.text);
    assert_null(service.keys.text);
    assert_null(service.metrics.text);
    assert_false(service.insecure);
    assert_int_equal(service.workers, 1);
    assert_int_equal(service.threads, 0);
    assert_int_equal(service.jobs_max, 64);
    assert_int_equal(service.ended_max, 1000);
    cfg_service_fini(&service);
    assert_null(service.arena);
}

static void test_all(void **state)
{
    (void)state;
    assert_int_equal(reads("[service]\ndirectory = \"/var/weir\"\nbind = \"tcp://*:7070\"\nkeys = \"k\"\n"
                           "metrics = \"9464\"\n[workers]\ncount = 0\nthreads = \"2 * 2\"\n"
                           "[limits]\njobs = 1\nended = 2\n"),
                     DF_OK);
    assert_string_equal(service.directory.text, "/var/weir");
    assert_string_equal(service.bind.text, "tcp://*:7070");
    assert_string_equal(service.keys.text, "k");
    assert_string_equal(service.metrics.text, "9464");
    assert_int_equal(service.metrics.place.line, 5);
    assert_int_equal(service.metrics.place.column, 11);
    assert_int_equal(service.workers, 0);
    assert_int_equal(service.threads, 4);
    assert_int_equal(service.jobs_max, 1);
    assert_int_equal(service.ended_max, 2);
    cfg_service_fini(&service);
    assert_int_equal(reads("[service]\nbind = \"tcp://a:1\"\ninsecure = true\n"), DF_OK);
    assert_true(service.insecure);
    cfg_service_fini(&service);
}

static void test_every_error(void **state)
{
    (void)state;
    assert_int_equal(reads("[service]\nbind = 3\nfoo = 1\n[workers]\ncount = \"x\"\n[job]\n"), DF_EINVAL);
    assert_int_equal(report.count, 4);
    assert_null(service.arena);
    assert_int_equal(reads("\xff"), DF_EINVAL);
    assert_int_equal(report.count, 1);
    df_report_init(&report, "/nowhere/a.toml");
    assert_int_equal(cfg_service_load(&service, "/nowhere/a.toml", &report), DF_EINVAL);
    df_report_init(&report, "/tmp");
    assert_int_equal(cfg_service_load(&service, "/tmp", &report), DF_EINVAL);
}

static void test_too_long(void **state)
{
    char *text = malloc(DF_JOB_SIZE_MAX + 2);

    (void)state;
    memset(text, '\n', DF_JOB_SIZE_MAX + 1);
    text[DF_JOB_SIZE_MAX + 1] = '\0';
    assert_int_equal(reads(text), DF_ELIMIT);
    free(text);
}

static void test_example(void **state)
{
    (void)state;
    df_report_init(&report, "config/coordinator.toml");
    assert_int_equal(cfg_service_load(&service, "config/coordinator.toml", &report), DF_OK);
    assert_int_equal(service.workers, 2);
    cfg_service_fini(&service);
}

/* coordinator/README.md holds what the program prints. */
static void test_manual(void **state)
{
    char *manual = NULL, *readme = calloc(1, 1u << 20), *line, *save = NULL;
    FILE *file = fopen("coordinator/README.md", "r"), *out;
    size_t length = 0;

    (void)state;
    assert_non_null(file);
    assert_true(fread(readme, 1, (1u << 20) - 1, file) > 0);
    fclose(file);
    out = open_memstream(&manual, &length);
    cfg_print_service(out);
    fclose(out);
    assert_true(length > 1000);
    for (line = strtok_r(manual, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
        if (strstr(readme, line) == NULL)
            fail_msg("coordinator/README.md lacks: %s", line);
    free(manual);
    free(readme);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_all),     cmocka_unit_test(test_every_error),
        cmocka_unit_test(test_too_long), cmocka_unit_test(test_example), cmocka_unit_test(test_manual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
