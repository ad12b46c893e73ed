/* weir help [VERB] */
#include "config/cfg.h"
#include "config/cfg_service.h"
#include "coordinator/coord_verb.h"

#include <stdio.h>
#include <string.h>

static const coord_option help_options[] = { { 0 } };

static int help_run(const coord_args *args, const void *options)
{
    const coord_verb *verb;

    (void)options;
    if (args->count == 0) {
        coord_verb_print_all(stdout);
        return COORD_DONE;
    }
    if (strcmp(args->items[0], "jobs") == 0) {
        cfg_print_sections(stdout);
        return COORD_DONE;
    }
    if (strcmp(args->items[0], "service") == 0) {
        cfg_print_service(stdout);
        return COORD_DONE;
    }
    verb = coord_verb_find(args->items[0]);
    if (verb == NULL) {
        const char *near = coord_verb_nearest(args->items[0]);

        fprintf(stderr, "weir help: unknown verb \"%.60s\"%s%s%s\n", args->items[0],
                near == NULL ? "" : " (did you mean \"", near == NULL ? "" : near,
                near == NULL ? "" : "\"?)");
        return COORD_USAGE;
    }
    coord_verb_print(verb, stdout);
    return COORD_DONE;
}

const coord_verb coord_verb_help = {
    .name = "help",
    .arguments = "[VERB]",
    .help = "list the verbs, or show one with its options",
    .more = "weir help jobs shows the sections of a job file and their keys, weir help service those of a\n"
            "service's configuration.\n",
    .options = help_options,
    .argument_max = 1,
    .run = help_run,
};
