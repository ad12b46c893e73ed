#include "coordinator/coord_verb.h"

#include "dataflow/df_failpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COORD_VERB_ADDRESS(name) &coord_verb_##name,
static const coord_verb *const verb_list[] = { COORD_VERBS(COORD_VERB_ADDRESS) };
#define VERB_COUNT (sizeof verb_list / sizeof verb_list[0])

const coord_verb *coord_verb_find(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(verb_list[i]->name, name) == 0)
            return verb_list[i];
    return NULL;
}

const char *coord_verb_nearest(const char *name)
{
    const char *names[VERB_COUNT];

    for (size_t i = 0; i < VERB_COUNT; i++)
        names[i] = verb_list[i]->name;
    return df_nearest(name, names, VERB_COUNT);
}

void coord_verb_print_all(void *out)
{
    fputs("weir runs simulations as dataflows: the same job gives the same bits.\n\n", out);
    for (size_t i = 0; i < VERB_COUNT; i++) {
        char left[64];

        snprintf(left, sizeof left, "weir %s %s", verb_list[i]->name, verb_list[i]->arguments);
        fprintf(out, "  %-30s  %s\n", left, verb_list[i]->help);
    }
    fputs("\nweir help VERB shows a verb's options, weir help jobs the sections of a job file.\n", out);
}

static void verb_print_usage(const coord_verb *verb, void *out)
{
    fprintf(out, "usage: weir %s%s%s%s\n", verb->name, verb->arguments[0] == '\0' ? "" : " ",
            verb->arguments, verb->options->name == NULL ? "" : " [options]");
}

void coord_verb_print(const coord_verb *verb, void *out)
{
    verb_print_usage(verb, out);
    fprintf(out, "\n%s\n", verb->help);
    if (verb->options->name != NULL)
        fputs("\n", out);
    coord_args_print(verb->options, out);
    if (verb->more != NULL)
        fprintf(out, "\n%s", verb->more);
}

int coord_verb_failed(const char *verb, df_status status, const df_error *err)
{
    fprintf(stderr, "weir %s: %s\n", verb, err->text);
    return status == DF_EINVAL ? COORD_USAGE : COORD_FAILED;
}

int coord_verb_flush(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "weir: standard output: %s\n", strerror(errno));
    return code == COORD_DONE ? COORD_FAILED : code;
}

static int verb_wrong_name(const char *name)
{
    const char *near = coord_verb_nearest(name);

    if (near == NULL)
        fprintf(stderr, "weir: unknown verb \"%.60s\"; weir help lists them\n", name);
    else
        fprintf(stderr, "weir: unknown verb \"%.60s\" (did you mean \"%s\"?)\n", name, near);
    return COORD_USAGE;
}

static int verb_call(const coord_verb *verb, int argc, char **argv)
{
    int code = COORD_USAGE;
    coord_args args;
    df_error err = { 0 };
    void *options = calloc(1, verb->options_size + 1);

    if (options == NULL) {
        fputs("weir: out of memory\n", stderr);
        return COORD_FAILED;
    }
    if (coord_args_read(&args, options, verb->options, argc, argv, &err) != DF_OK) {
        fprintf(stderr, "weir %s: %s\n", verb->name, err.text);
        verb_print_usage(verb, stderr);
    } else if (args.help) {
        coord_verb_print(verb, stdout);
        code = COORD_DONE;
    } else if (args.count < verb->argument_min || args.count > verb->argument_max) {
        fprintf(stderr, "weir %s: %s\n", verb->name,
                args.count < verb->argument_min ? "an argument is missing" : "too many arguments");
        verb_print_usage(verb, stderr);
    } else {
        code = verb->run(&args, options);
    }
    free(options);
    return coord_verb_flush(code);
}

int coord_main(int argc, char **argv)
{
    const coord_verb *verb;
    df_error err;

    if (df_failpoint_start(getenv("WEIR_FAILPOINTS"), getenv("WEIR_FAILPOINTS_COUNTS"), &err) != DF_OK) {
        fprintf(stderr, "weir: WEIR_FAILPOINTS: %s\n", err.text);
        return COORD_USAGE;
    }
    if (argc < 2) {
        coord_verb_print_all(stderr);
        return COORD_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return verb_call(&coord_verb_help, argc - 2, argv + 2);
    if (strcmp(argv[1], "--version") == 0)
        return verb_call(&coord_verb_version, argc - 2, argv + 2);
    verb = coord_verb_find(argv[1]);
    if (verb == NULL)
        return verb_wrong_name(argv[1]);
    return verb_call(verb, argc - 2, argv + 2);
}
