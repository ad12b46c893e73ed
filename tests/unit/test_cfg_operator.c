/* Operators and sinks: every error of their keys, kinds from files, and --set. */
#include "config/cfg_private.h"
#include "tests/support/cfg_kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static df_draft *read_with(const char *text, cfg_options options, char **errors)
{
    static df_report report;
    df_draft *draft;
    size_t len = 0;
    FILE *out = open_memstream(errors, &len);
    df_status status;

    assert_non_null(out);
    options.kinds = &test_kinds;
    df_report_init(&report, "a.toml");
    status = cfg_read(&draft, "a.toml", "jobs", text, strlen(text), &options, &report);
    df_report_print(&report, out);
    fclose(out);
    assert_int_equal(status, draft != NULL ? DF_OK : DF_EINVAL);
    assert_int_equal(report.count == 0, draft != NULL);
    return draft;
}

typedef struct error_case {
    const char *text, *errors;
} error_case;

static void check_cases(const char *begin, const error_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[4096], *errors;
        df_draft *draft;
        assert_true(snprintf(text, sizeof text, "%s%s", begin, cases[i].text) < (int)sizeof text);
        draft = read_with(text, (cfg_options){ 0 }, &errors);
        if (strcmp(errors, cases[i].errors) != 0)
            fail_msg("of\n%s\n--- came\n%s--- and not\n%s", text, errors, cases[i].errors);
        free(errors);
        cfg_draft_free(&draft);
    }
}

#define CHECK_CASES(begin, cases) check_cases(begin, cases, sizeof(cases) / sizeof *(cases))

static void test_engine_keys(void **state)
{
    static const error_case cases[] = {
        { "", "a.toml:3:11: operator \"p\": parameter \"kind\" is missing: what it does: see weir "
              "operators; \"./file.so:symbol\" is a kind of your own\n" },
        { "kind = 5\n", "a.toml:4:8: operator \"p\": kind: expected a text, found 5\n" },
        { "kind = \"boid\"\nanything = 3\n",
          "a.toml:4:8: operator \"p\": unknown kind \"boid\" (did you mean \"boids\"?)\n" },
        { "kind = \"prnt\"\n", "a.toml:4:8: operator \"p\": unknown kind \"prnt\"\n" },
        { "kind = \"probe\"\nin = 5\nevery_steps = 0\nat = \"start\"\n",
          "a.toml:5:6: operator \"p\": in: expected a text or a list of texts, found 5\n"
          "a.toml:6:15: operator \"p\": every_steps: must be >= 1, found 0\n"
          "a.toml:7:6: operator \"p\": at: \"start\" is none of step, end\n" },
        { "kind = \"probe\"\nin = []\n",
          "a.toml:5:6: operator \"p\": in: expected a text or a list of "
          "texts, found an empty list\n" },
        { "kind = \"probe\"\nin = {}\n",
          "a.toml:5:6: operator \"p\": in: expected a stream, found an empty table\n" },
        { "kind = \"probe\"\nin.a = 5\n", "a.toml:5:8: operator \"p\": in.a: expected a text or a "
                                          "list of texts, found 5\n" },
        { "kind = \"probe\"\nin = { a=\"x\", b=\"x\", c=\"x\", d=\"x\", e=\"x\", f=\"x\", g=\"x\", "
          "h=\"x\", i=\"x\" }\n",
          "a.toml:5:64: operator \"p\": in: an operator has at most 8 inputs\n" },
        { "kind = \"probe\"\nat = \"end\"\nevery_steps = 5\n",
          "a.toml:5:1: operator \"p\": at = \"end\" is the last step only, so \"every_steps\" has "
          "no "
          "meaning beside it\n" },
        { "kind = \"probe\"\n[state.p]\ncolumns.f32 = \"x\"\nfirst = \"a\"\nnext = "
          "\"a\"\n[sink.p]\nkind = \"print\"\n",
          "a.toml:3:11: operator \"p\": a state has this name, and a stream is named after its "
          "operator or state\n" },
    };

    (void)state;
    CHECK_CASES("[job]\nsteps = 1\n[operator.p]\n", cases);
}

static void test_numbers(void **state)
{
    static const error_case cases[] = {
        { "nubmer = 1\n",
          "a.toml:5:1: operator \"p\": unknown parameter \"nubmer\" (did you mean \"number\"?)\n" },
        { "number = \"5 +\"\n", "a.toml:5:14: operator \"p\": number: expected a number, a name or "
                                "\"(\", found the end\n" },
        { "number = \"2 * steps\"\n",
          "a.toml:5:15: operator \"p\": number: unknown name \"steps\"\n" },
        { "number = nan\n", "a.toml:5:10: operator \"p\": number: expected a number, found nan\n" },
        { "small = 1.5\n", "a.toml:5:9: operator \"p\": small: must be in 0..1, found 1.5\n" },
        { "small = -1e-9\n", "a.toml:5:9: operator \"p\": small: must be in 0..1, found -1e-09\n" },
        { "single = 1e39\n", "a.toml:5:10: operator \"p\": single: 1e+39 is too large for f32\n" },
        { "whole = 2147483648\n",
          "a.toml:5:9: operator \"p\": whole: must be at most 2147483647, found 2147483648\n" },
        { "whole = -2147483649\n",
          "a.toml:5:9: operator \"p\": whole: must be at least -2147483648, found -2147483649\n" },
        { "wide = \"9223372036854775808\"\n", "a.toml:5:8: operator \"p\": wide: must be at most "
                                              "9223372036854775807, found 9223372036854775808\n" },
        { "wide = \"-9223372036854775809\"\n",
          "a.toml:5:8: operator \"p\": wide: must be at least -9223372036854775808, found "
          "-9223372036854775809\n" },
        { "count = 100\n", "a.toml:5:9: operator \"p\": count: must be >= 1, < 100, found 100\n" },
        { "count = 0\n", "a.toml:5:9: operator \"p\": count: must be >= 1, < 100, found 0\n" },
        { "count = \"10 / 4\"\n",
          "a.toml:5:9: operator \"p\": count: must be a whole number, found 2.5\n" },
        { "key = -1\n", "a.toml:5:7: operator \"p\": key: must be at least 0, found -1\n" },
        { "key = \"2^60\"\n", "a.toml:5:7: operator \"p\": key: a whole number above 2^53 must be "
                              "written in digits, found 1.15292150460685e+18\n" },
        { "byte = 256\n", "a.toml:5:8: operator \"p\": byte: must be at most 255, found 256\n" },
        { "range = 5\n",
          "a.toml:5:9: operator \"p\": range: expected a list of two numbers, [least, "
          "most], found 5\n" },
        { "range = [1]\n", "a.toml:5:9: operator \"p\": range: expected a list of two numbers, "
                           "[least, most], found another list\n" },
        { "range = [2, 1]\n",
          "a.toml:5:9: operator \"p\": range: the first number, 2, is above the "
          "second, 1\n" },
        { "range = [\"x\", true]\n",
          "a.toml:5:11: operator \"p\": range: unknown name \"x\"\n"
          "a.toml:5:15: operator \"p\": range: expected a number, found true\n" },
    };

    (void)state;
    CHECK_CASES("[job]\nsteps = 1\n[operator.p]\nkind = \"probe\"\n", cases);
}

static void test_texts(void **state)
{
    static const error_case cases[] = {
        { "flag = 1\n", "a.toml:5:8: operator \"p\": flag: expected true or false, found 1\n" },
        { "choice = 1\n", "a.toml:5:10: operator \"p\": choice: expected a text, found 1\n" },
        { "choice = \"thre\"\n",
          "a.toml:5:10: operator \"p\": choice: \"thre\" is none of one, two, "
          "three (did you mean \"three\"?)\n" },
        { "text = 1979-05-27\n",
          "a.toml:5:8: operator \"p\": text: expected a text, found a date\n" },
        { "column = \"a b\"\n",
          "a.toml:5:10: operator \"p\": column: \"a b\" names no column: a name "
          "has letters, digits and \"_\", and begins with no digit\n" },
        { "columns = [\"a\", \"b\", \"a\"]\n",
          "a.toml:5:22: operator \"p\": columns: \"a\" is listed twice\n" },
        { "set = \"x\"\n",
          "a.toml:5:7: operator \"p\": set: expected set.NAME = \"...\", found \"x\"\n" },
        { "set = {}\n",
          "a.toml:5:7: operator \"p\": set: expected set.NAME = \"...\", found nothing\n" },
        { "set.x = 5\nset.id = \"1\"\nset.a-b = \"1\"\n",
          "a.toml:5:9: operator \"p\": set.x: expected a text, found 5\n"
          "a.toml:6:5: operator \"p\": set: \"id\" is every row's key and cannot be computed\n"
          "a.toml:7:5: operator \"p\": set \"a-b\": a name has letters, digits and \"_\", and "
          "begins "
          "with no digit\n" },
        { "text = { a = 1 }\n",
          "a.toml:5:8: operator \"p\": text: expected a text, found a table\n" },
        { "flag = \"a\\u001b[31m and a text that is so long that not all of it can be shown "
          "here\"\n",
          "a.toml:5:8: operator \"p\": flag: expected true or false, found \"a?[31m and a text "
          "that is "
          "so long that not all of it can...\"\n" },
    };

    (void)state;
    CHECK_CASES("[job]\nsteps = 1\n[operator.p]\nkind = \"probe\"\n", cases);
}

static void test_files(void **state)
{
    static const error_case cases[] = {
        { "[sink.b]\nkind = \"csv\"\nfile = \"a.csv\"\n[sink.c]\nkind = \"hdf5\"\nfile = "
          "\"a.csv\"\n",
          "a.toml:6:7: sink \"c\": file \"a.csv\" is written by \"b\", too\n" },
        { "[sink.b]\nkind = \"csv\"\nfile = \"/etc/passwd\"\n",
          "a.toml:5:8: sink \"b\": file: \"/etc/passwd\" must be a name below the folder of the "
          "run\n" },
        { "[sink.b]\nkind = \"csv\"\nfile = \"a/../../b\"\n",
          "a.toml:5:8: sink \"b\": file: \"a/../../b\" must be a name below the folder of the "
          "run\n" },
        { "[sink.b]\nkind = \"csv\"\nfile = \".\"\n",
          "a.toml:5:8: sink \"b\": file: \".\" must be a name below the folder of the run\n" },
        { "[sink.b]\nkind = \"csv\"\nfile = \"a/\"\n",
          "a.toml:5:8: sink \"b\": file: \"a/\" must be a name below the folder of the run\n" },
        { "[sink.b]\nkind = \"csv\"\nfile = \"..\"\n[sink.c]\nkind = \"csv\"\nfile = \"a//b\"\n",
          "a.toml:5:8: sink \"b\": file: \"..\" must be a name below the folder of the run\n"
          "a.toml:8:8: sink \"c\": file: \"a//b\" must be a name below the folder of the run\n" },
        { "[sink.b]\nkind = \"csv\"\nfile = \"...\"\n[sink.c]\nkind = \"csv\"\nfile = \".a/..b\"\n",
          "" },
        { "[sink.b]\nkind = \"csv\"\nfile = \"\"\n",
          "a.toml:5:8: sink \"b\": file: a file's name is empty\n" },
        { "[sink.b]\nkind = \"csv\"\n",
          "a.toml:3:7: sink \"b\": parameter \"file\" is missing: where "
          "to\n" },
        { "[sink.b]\nkind = \"boids\"\nfile = \"x\"\n",
          "a.toml:3:7: sink \"b\": parameter \"radius\" is missing: a number\n"
          "a.toml:3:7: sink \"b\": parameter \"separation_radius\" is missing: a number\n"
          "a.toml:5:1: sink \"b\": unknown parameter \"file\"\n" },
        { "[operator.b]\nkind = \"compare\"\ncolumn = \"x\"\nfile = \"no-such.csv\"\n",
          "a.toml:6:8: operator \"b\": file: jobs/no-such.csv: No such file or directory\n" },
        { "[operator.b]\nkind = \"compare\"\ncolumn = \"x\"\nfile = \"/\"\n",
          "a.toml:6:8: operator \"b\": file: /: Is a directory\n" },
    };

    (void)state;
    CHECK_CASES("[job]\nsteps = 1\n", cases);
}

static void test_limits(void **state)
{
    char *text = malloc(1u << 20), *at = text, *errors;
    df_draft *draft;

    (void)state;
    assert_non_null(text);
    at += sprintf(at, "[job]\nsteps = 1\n[operator]\n");
    for (int i = 0; i < DF_OPERATORS_MAX; i++)
        at += sprintf(at, "[operator.o%d]\nkind = \"probe\"\n", i);
    draft = read_with(text, (cfg_options){ 0 }, &errors);
    assert_string_equal(errors, "");
    assert_int_equal(draft->operator_count, DF_OPERATORS_MAX);
    cfg_draft_free(&draft);
    free(errors);
    sprintf(at, "[sink.s]\nkind = \"print\"\n");
    draft = read_with(text, (cfg_options){ 0 }, &errors);
    assert_string_equal(errors, "a.toml:3:2: a job has at most 1024 operators and sinks, found "
                                "1025\n");
    assert_null(draft);
    free(errors);
    free(text);
}

/* ---- kinds from files ---- */

static weir_operator loaded;
static char asked[256];

static const weir_operator *load(void *user, const char *path, const char *symbol, char error[256])
{
    snprintf(asked, sizeof asked, "%s|%s", path, symbol);
    if (user == NULL)
        snprintf(error, 256, "no such object");
    return user;
}

static void check_loaded(const char *kind, void *user, bool with_load, const char *want)
{
    char text[256], *errors;
    cfg_options options = { .load = with_load ? load : NULL, .user = user };
    df_draft *draft;

    snprintf(text, sizeof text, "[job]\nsteps = 1\n[operator.p]\nkind = \"%s\"\n", kind);
    draft = read_with(text, options, &errors);
    assert_string_equal(errors, want);
    if (draft != NULL)
        assert_ptr_equal(draft->operators[0].kind, user);
    free(errors);
    cfg_draft_free(&draft);
}

static void test_kinds_from_files(void **state)
{
    static const weir_option twice[] = {
        { "a", "", WEIR_U8, NULL, "0", NULL, NULL, 0 },
        { "a", "", WEIR_U8, NULL, "0", NULL, NULL, 0 },
        { 0 },
    };
    static const weir_option outside[] = { { "a", "", WEIR_F64, NULL, "0", NULL, NULL, 4 }, { 0 } };
    static const weir_option typeless[] = { { "a", "", 99, NULL, "0", NULL, NULL, 0 }, { 0 } };
    static const weir_option taken[] = { { "kind", "", WEIR_U8, NULL, "0", NULL, NULL, 0 }, { 0 } };
    static const weir_option chosen[] = { { "a", "", WEIR_CHOICE, NULL, "", NULL, NULL, 0 },
                                          { 0 } };
    static const weir_option named[] = { { "a b", "", WEIR_U8, NULL, "0", NULL, NULL, 0 }, { 0 } };
    static const weir_option bad_value[] = { { "a", "", WEIR_U8, NULL, "-1", NULL, NULL, 0 },
                                             { 0 } };
#define AT "a.toml:4:8: operator \"p\": kind"
#define HERE AT " \"./x.so:k\": "
    const struct {
        const weir_option *options;
        const char *errors;
    } wrong[] = {
        { twice, HERE "its option \"a\" is wrong: it is there twice\n" },
        { outside, HERE "its option \"a\" is wrong: it lies outside of the options\n" },
        { typeless, HERE "its option \"a\" is wrong: it has no known type\n" },
        { taken, HERE "its option \"kind\" is wrong: every operator has a key of that name\n" },
        { chosen, HERE "its option \"a\" is wrong: it has no choices\n" },
        { named,
          HERE "its option \"a b\" is wrong: a name has letters, digits and \"_\", and begins "
               "with no digit\n" },
        { bad_value, "a.toml:3:11: operator \"p\": a: must be at least 0, found -1\n" },
    };

    (void)state;
    loaded = kind_probe;
    check_loaded("./x.so:k", &loaded, true, "");
    assert_string_equal(asked, "jobs/./x.so|k");
    check_loaded("/a:b/x.so:k", &loaded, true, "");
    assert_string_equal(asked, "/a:b/x.so|k");
    check_loaded("./x.so:k", &loaded, false, HERE "kinds from files are not loaded here\n");
    check_loaded("./x.so:k", NULL, true, HERE "no such object\n");
    check_loaded("./x.so", &loaded, true, AT ": expected \"PATH:SYMBOL\", found \"./x.so\"\n");
    check_loaded("./x.so:", &loaded, true, AT ": expected \"PATH:SYMBOL\", found \"./x.so:\"\n");
    check_loaded("./x:y/k", &loaded, true, AT ": expected \"PATH:SYMBOL\", found \"./x:y/k\"\n");
    loaded.api_version = 7;
    check_loaded("./x.so:k", &loaded, true,
                 HERE "it is made for version 7 of the operator interface, this is 1\n");
    loaded = kind_probe;
    loaded.process = NULL;
    check_loaded("./x.so:k", &loaded, true,
                 HERE "its descriptor lacks a name, a role or a process function\n");
    loaded = kind_probe;
    loaded.options_size = 8;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        loaded.options = wrong[i].options;
        check_loaded("./x.so:k", &loaded, true, wrong[i].errors);
    }
}

/* ---- ranges ---- */

static void test_ranges(void **state)
{
    (void)state;
    assert_true(cfg_in_range(NULL, -1e300));
    assert_true(cfg_in_range("> 0", 1e-300) && !cfg_in_range("> 0", 0));
    assert_true(cfg_in_range(">= 1", 1) && !cfg_in_range(">= 1", 0.999));
    assert_true(cfg_in_range("< 2", 1.999) && !cfg_in_range("< 2", 2));
    assert_true(cfg_in_range("<= 2", 2) && !cfg_in_range("<= 2", 2.001));
    assert_true(cfg_in_range("0..1", 0) && cfg_in_range("0..1", 1));
    assert_false(cfg_in_range("0..1", 1.001) || cfg_in_range("0..1", -0.001));
    assert_true(cfg_in_range("0.5..1.5", 0.5) && !cfg_in_range("0.5..1.5", 0.4));
    assert_true(cfg_in_range("-1 .. 1", -1) && !cfg_in_range("-1..1", -1.1));
    assert_true(cfg_in_range("> 0, < 1", 0.5) && !cfg_in_range("> 0, < 1", 1));
    assert_false(cfg_in_range("nonsense", 1));
}

/* ---- --set ---- */

static const char set_job[] = "[job]\nsteps = 1\n"
                              "[param]\nbirds = 10\nmany = \"2 * birds\"\n"
                              "[space.sky]\naxes = [\"x\"]\nsize = \"many\"\n"
                              "[state.s]\ncolumns.f32 = [\"x\"]\nfirst = \"a\"\nnext = \"b\"\n"
                              "[operator.p]\nkind = \"probe\"\nnumber = \"birds\"\nin = \"s\"\n";

static df_draft *set_read(const char *const *sets, uint32_t count, char **errors)
{
    return read_with(set_job, (cfg_options){ .sets = sets, .set_count = count }, errors);
}

static void test_sets(void **state)
{
    static const char *const sets[] = {
        "birds=30",
        "operator.p.number=birds / 4",
        "operator.p.small = 1",
        "operator.p.choice=three",
        "operator.p.text=\"quoted\"",
        "operator.p.range=[2, 3]",
        "operator.p.set.q=x + 1",
        "operator.p.columns=z",
        "operator.p.in=a.b",
        "job.seed=7",
        "job.steps=3",
        "job.steps=4",
        "run.window=3",
        "space.sky.edges=periodic",
        "state.s.columns.f64=[\"mass\"]",
        "worker.new.threads=2",
        "param.many=3 * birds",
    };
    char *errors;
    df_draft *d = set_read(sets, sizeof sets / sizeof *sets, &errors);
    const kinds_probe *p;

    (void)state;
    assert_string_equal(errors, "");
    free(errors);
    p = d->operators[0].options;
    assert_true(p->number == 7.5 && p->small == 1 && p->choice == 2);
    assert_string_equal(p->text, "quoted");
    assert_true(p->range[0] == 2 && p->range[1] == 3);
    assert_string_equal(p->set.items[0].text, "x + 1");
    assert_string_equal(p->columns.names[0], "z");
    assert_string_equal(d->operators[0].inputs[0].streams[0].text, "a.b");
    assert_int_equal(d->operators[0].inputs[0].streams[0].place.line, 0);
    assert_int_equal(d->job.seed, 7);
    assert_int_equal(d->job.steps, 4);
    assert_int_equal(d->window, 3);
    assert_true(d->spaces[0].periodic[0]);
    assert_true(d->spaces[0].size[0] == 90);
    assert_int_equal(d->states[0].schema.column_count, 2);
    cfg_draft_free(&d);
}

static void test_set_errors(void **state)
{
    static const error_case cases[] = {
        { "birdz=3", "unknown param \"birdz\" (did you mean \"birds\"?)" },
        { "steps=3", "unknown param \"steps\" (did you mean \"job.steps\"?)" },
        { "param.birdz=3", "unknown param \"birdz\" (did you mean \"birds\"?)" },
        { "opertor.p.x=3", "unknown section \"opertor\" (did you mean \"operator\"?)" },
        { "operator.q.x=3", "there is no operator \"q\"" },
        { "space.ski.size=3", "there is no space \"ski\" (did you mean \"sky\"?)" },
        { "sink.a.file=3", "there is no sink \"a\"" },
        { "birds", "write NAME=VALUE" },
        { "=3", "write NAME=VALUE, NAME a param or a path such as operator.fly.steer" },
        { "a..b=3", "write NAME=VALUE, NAME a param or a path such as operator.fly.steer" },
        { "a b=3", "write NAME=VALUE, NAME a param or a path such as operator.fly.steer" },
        { "a.b.c.d.e.f.g.h.i=3",
          "write NAME=VALUE, NAME a param or a path such as operator.fly.steer" },
        { "operator.p.in.a=x", "\"in\" holds no keys" },
        { "birds=true", "param \"birds\": expected a number, found true" },
        { "birds=", "param \"birds\": expected a number, a name or \"(\", found the end" },
        { "birds=2\nx = 3", "param \"birds\": expected an operator, found \"x\"" },
        { "operator.p.nubmer=3",
          "operator \"p\": unknown parameter \"nubmer\" (did you mean \"number\"?)" },
        { "operator.p.small=3", "operator \"p\": small: must be in 0..1, found 3" },
        { "operator.p.range=[3, 1]",
          "operator \"p\": range: the first number, 3, is above the second, 1" },
        { "operator.p=3", "[operator]: \"p\" must be a section: write [operator.NAME]" },
        { "worker.a.threads=0", "worker \"a\": threads: must be in 1..256, found 0" },
        { "run=3", "unknown param \"run\"" },
        { "job.steps=-1", "[job]: steps: must be in 0..1099511627776, found -1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *errors, want[512];
        df_draft *draft = set_read(&cases[i].text, 1, &errors);
        assert_null(draft);
        snprintf(want, sizeof want, "a.toml: --set %s: %s\n", cases[i].text, cases[i].errors);
        for (char *c = want; c[1] != '\0'; c++)
            if (*c == '\n')
                *c = '?';
        if (strcmp(errors, want) != 0)
            fail_msg("came\n%s--- and not\n%s", errors, want);
        free(errors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine_keys), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_texts),       cmocka_unit_test(test_files),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_kinds_from_files),
        cmocka_unit_test(test_ranges),      cmocka_unit_test(test_sets),
        cmocka_unit_test(test_set_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
