/* weir version */
#include "coordinator/coord_json.h"
#include "coordinator/coord_verb.h"
#include "dataflow/df_build.h"

#include "weir_version.h" /* made by the Makefile: WEIR_VERSION, WEIR_COMMIT */

typedef struct version_options {
    bool json;
} version_options;

static const coord_option version_table[] = {
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(version_options, json) },
    { 0 },
};

static int version_run(const coord_args *args, const void *options)
{
    const version_options *o = options;

    (void)args;
    if (o->json)
        return coord_json_version(stdout, WEIR_VERSION, WEIR_COMMIT) ? COORD_DONE : COORD_FAILED;
    printf("weir %s (commit %s)\n%s, %s, operator interface %d, source %.8s\n", WEIR_VERSION, WEIR_COMMIT,
           df_build_level(), df_build_compiler(), WEIR_API_VERSION, df_build_source());
    return COORD_DONE;
}

const coord_verb coord_verb_version = {
    .name = "version",
    .arguments = "",
    .help = "show the version, and how this machine's library was built",
    .options = version_table,
    .options_size = sizeof(version_options),
    .run = version_run,
};
