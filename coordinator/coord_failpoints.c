/* weir failpoints */
#include "coordinator/coord_json.h"
#include "coordinator/coord_verb.h"
#include "dataflow/df_failpoint.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct failpoints_options {
    bool json;
} failpoints_options;

static const coord_option failpoints_table[] = {
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(failpoints_options, json) },
    { 0 },
};

static int failpoints_run(const coord_args *args, const void *options)
{
    const failpoints_options *o = options;
    bool counted = getenv("WEIR_FAILPOINTS_COUNTS") != NULL;

    (void)args;
    if (o->json)
        return coord_json_failpoints(stdout) ? COORD_DONE : COORD_FAILED;
    for (int i = 0; i < DF_FAILPOINT_COUNT; i++) {
        const df_failpoint_info *point = &df_failpoint_list[i];

        printf("%-18s%-15s", point->name, point->fails ? "kill stop error" : "kill stop");
        if (counted)
            printf("%8" PRIu64, df_failpoint_passes((df_failpoint_id)i));
        printf("  %s\n", point->help);
    }
    return COORD_DONE;
}

const coord_verb coord_verb_failpoints = {
    .name = "failpoints",
    .arguments = "",
    .help = "list the places where a test can end, stop or fail a process",
    .more = "WEIR_FAILPOINTS=NAME=ACTION[@N][+],... arms them for this process and those that it starts:\n"
            "kill or stop the process on the N-th pass, or let the place fail with error; @N+ does so\n"
            "on every later pass as well. With WEIR_FAILPOINTS_COUNTS=FILE passes are counted in the\n"
            "file by all processes together, and shown here.\n",
    .options = failpoints_table,
    .options_size = sizeof(failpoints_options),
    .run = failpoints_run,
};
