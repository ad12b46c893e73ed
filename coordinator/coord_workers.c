/* weir workers: how each worker of a running job stands, by the figures that it told a moment ago. */
#include "coordinator/coord_workers.h"

#include "coordinator/coord_client.h"
#include "coordinator/coord_verb.h"

#include <stddef.h>
#include <stdio.h>

typedef struct workers_options {
    coord_reach reach;
    bool json;
} workers_options;

static const coord_option workers_table[] = {
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(workers_options, json) },
    COORD_REACH_OPTIONS(workers_options),
    { 0 },
};

static int workers_run(const coord_args *args, const void *options)
{
    const workers_options *o = options;
    coord_client *client;
    df_error err = { 0 };
    df_status s = coord_client_reach(&client, args->items[0], &o->reach, &err);

    if (s == DF_OK)
        s = coord_client_show(client, "workers", o->json, coord_json_workers_print, &err);
    coord_client_close(&client);
    return s == DF_OK ? COORD_DONE : coord_verb_failed("workers", s, &err);
}

const coord_verb coord_verb_workers = {
    .name = "workers",
    .arguments = "JOB",
    .help = "how each worker of a running job stands",
    .more = "step cost: what a step of its key groups costs, summed over threads. busy: of its own threads'\n"
            "time. host: of all processors of its machine, other programs counted. memory: of its process;\n"
            "free: what its machine has left. age: of these figures; costs and rows are told once a second.\n",
    .options = workers_table,
    .options_size = sizeof(workers_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = workers_run,
};
