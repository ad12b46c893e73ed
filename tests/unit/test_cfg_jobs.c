/* The jobs of config/jobs and the built-in kinds, as the reader sees them. Run from the top of the
 * repository, where the jobs are. */
#include "config/cfg_private.h"
#include "operators/op_list.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char folder[] = "config/jobs";

static char *file_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1u << 20);

    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, (1u << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

static bool is_job(const char *name)
{
    size_t len = strlen(name);

    return len > 5 && strcmp(name + len - 5, ".toml") == 0;
}

static void test_jobs_load(void **state)
{
    static df_report report;
    cfg_options options = { .kinds = &op_kinds };
    DIR *directory = opendir(folder);
    int jobs = 0;

    (void)state;
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        df_draft *draft;
        char path[512];
        if (!is_job(entry->d_name))
            continue;
        snprintf(path, sizeof path, "%s/%.200s", folder, entry->d_name);
        df_report_init(&report, path);
        if (cfg_load(&draft, path, &options, &report) != DF_OK) {
            df_report_print(&report, stderr);
            fail_msg("%s is refused", path);
        }
        assert_string_equal(draft->job.directory, folder);
        assert_memory_equal(draft->job.name, entry->d_name, strlen(entry->d_name) - 5);
        cfg_draft_free(&draft);
        jobs++;
    }
    closedir(directory);
    assert_true(jobs >= 3);
}

/* The box of FLAME GPU 2's birds, cbrt(10^6 * 4/3 * pi * 0.05^3 / 2.1), and that of LAMMPS' melt,
 * 20 cells of (4 / 0.8442)^(1/3); computed with bc -l to 20 digits. */
static void test_sizes(void **state)
{
    static df_report report;
    static const struct {
        const char *path;
        double size;
    } cases[] = { { "config/jobs/flock.toml", 6.29399570948123251 },
                  { "config/jobs/melt.toml", 33.59192382765014608 } };
    cfg_options options = { .kinds = &op_kinds };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        df_draft *draft;
        double error;
        df_report_init(&report, cases[i].path);
        assert_int_equal(cfg_load(&draft, cases[i].path, &options, &report), DF_OK);
        for (int axis = 0; axis < 3; axis++) {
            error = draft->spaces[0].size[axis] / cases[i].size - 1;
            assert_true(error > -5e-16 && error < 5e-16);
        }
        cfg_draft_free(&draft);
    }
}

/* One letter wrong in flock.toml: the sentence that a person gets. */
static void test_misspelt(void **state)
{
    static df_report report;
    cfg_options options = { .kinds = &op_kinds };
    char *text = file_text("config/jobs/flock.toml");
    char *key = strstr(text, "\nradius            = \"radius\"");
    df_draft *draft;
    uint32_t line = 2;

    (void)state;
    assert_non_null(key);
    memcpy(key + 1, "raduis", 6);
    for (char *c = text; c != key; c++)
        line += *c == '\n';
    df_report_init(&report, "flock.toml");
    assert_int_equal(cfg_read(&draft, "flock.toml", folder, text, strlen(text), &options, &report),
                     DF_EINVAL);
    assert_int_equal(report.count, 1); /* and not that radius is missing */
    assert_int_equal(report.entries[0].place.line, line);
    assert_int_equal(report.entries[0].place.column, 1);
    assert_string_equal(
        report.entries[0].text,
        "operator \"fly\": unknown parameter \"raduis\" (did you mean \"radius\"?)");
    free(text);
}

static void test_files_that_are_not_there(void **state)
{
    static df_report report;
    cfg_options options = { .kinds = &op_kinds };
    df_draft *draft;

    (void)state;
    df_report_init(&report, "no-such.toml");
    assert_int_equal(cfg_load(&draft, "no-such.toml", &options, &report), DF_EINVAL);
    assert_null(draft);
    assert_int_equal(report.count, 1);
    assert_string_equal(report.entries[0].text, "No such file or directory");
    df_report_init(&report, folder);
    assert_int_equal(cfg_load(&draft, folder, &options, &report), DF_EINVAL);
    assert_string_equal(report.entries[0].text, "cannot be read: Is a directory");
    df_report_init(&report, "/dev/zero");
    assert_int_equal(cfg_load(&draft, "/dev/zero", &options, &report), DF_ELIMIT);
    assert_string_equal(report.entries[0].text, "a job file has at most 1048576 bytes");
}

/* Every built-in kind has a table that the reader can work with, whose defaults are good values:
 * with nothing given, only what is required is missing. */
static void test_built_in_kinds(void **state)
{
    static df_report report;
    cfg_options options = { .kinds = &op_kinds };

    (void)state;
    for (uint32_t i = 0; i < op_kinds.count; i++) {
        const weir_operator *kind = op_kinds.list[i];
        char why[CFG_WHY_MAX], text[512];
        uint32_t required = 0;
        df_draft *draft;
        if (!cfg_kind_good(kind, why))
            fail_msg("%s: %s", kind->name, why);
        for (const weir_option *o = kind->options; o != NULL && o->name != NULL; o++)
            required += o->value == NULL;
        snprintf(text, sizeof text, "[job]\nsteps = 1\n[%s.a]\nkind = \"%s\"\n",
                 kind->role == WEIR_SINK ? "sink" : "operator", kind->name);
        df_report_init(&report, "a.toml");
        (void)!cfg_read(&draft, "a.toml", ".", text, strlen(text), &options, &report);
        cfg_draft_free(&draft);
        if (report.count != required)
            df_report_print(&report, stderr);
        assert_int_equal(report.count, required);
    }
}

/* The README's reference is what the program prints. */
static void test_manual(void **state)
{
    char *manual = NULL, *readme = file_text("config/README.md"), *line, *save = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&manual, &len);

    (void)state;
    assert_non_null(out);
    cfg_print_sections(out);
    fclose(out);
    assert_true(len > 2000);
    if (strstr(readme, manual) == NULL)
        for (line = strtok_r(manual, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
            if (strstr(readme, line) == NULL)
                fail_msg("config/README.md lacks: %s", line);
    free(manual);
    free(readme);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_load),      cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_misspelt),       cmocka_unit_test(test_files_that_are_not_there),
        cmocka_unit_test(test_built_in_kinds), cmocka_unit_test(test_manual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
