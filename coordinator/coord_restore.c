/* weir restore JOB */
#include "coordinator/coord_client.h"
#include "coordinator/coord_verb.h"

#include <inttypes.h>

#define RESTORE_WAIT_US 60000000ull /* for a commit that is under way, and for the log */

typedef struct restore_options {
    coord_reach reach;
    coord_number snapshot;
    bool json;
} restore_options;

static const coord_option restore_table[] = {
    { .name = "snapshot", .value = "N", .help = "which one (the newest)", .type = COORD_NUMBER,
      .least = 1, .most = UINT64_MAX, .offset = offsetof(restore_options, snapshot) },
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(restore_options, json) },
    COORD_REACH_OPTIONS(restore_options),
    { 0 },
};

/* What it has cost: `before` is how the job stood. */
static void restore_print(const coord_status *before, uint64_t snapshot, uint64_t step, bool json)
{
    if (json) {
        printf("{\"snapshot\":%" PRIu64 ",\"step\":%" PRIu64 ",\"newest_before\":%" PRIu64
               ",\"step_before\":%" PRIu64 "}\n", snapshot, step, before->snapshot, before->step);
        return;
    }
    printf("back to snapshot %" PRIu64 ", step %" PRIu64 "; steps up to %" PRIu64 " run again", snapshot, step,
           before->step);
    if (before->snapshot > snapshot)
        printf(", later snapshots up to %" PRIu64 " (step %" PRIu64 ") are dropped", before->snapshot,
               before->snapshot_step);
    putchar('\n');
}

static df_status restore_command(coord_client *client, uint64_t snapshot, proto_answer *answer,
                                 df_error *err)
{
    const proto_command command = { .verb = PROTO_VERB_RESTORE, .first = snapshot };
    df_status s = coord_client_command(client, &command, RESTORE_WAIT_US, answer, err);

    if (s != DF_OK || answer->status == PROTO_ANSWER_OK)
        return s;
    if (answer->status == PROTO_ANSWER_ENDED)
        return df_fail(err, DF_EIO, "the job has ended; weir run JOB --resume --snapshot N goes back");
    if (snapshot == 0)
        return df_fail(err, DF_EIO, "refused: there is no snapshot yet, or not with this key");
    return df_fail(err, DF_EIO, "refused: there is no snapshot %" PRIu64 " (weir snapshots lists them), or "
                   "not with this key", snapshot);
}

static int restore_run(const coord_args *args, const void *options)
{
    const restore_options *o = options;
    proto_answer answer = { 0 };
    coord_client *client;
    df_error err = { 0 };
    df_status s = coord_client_reach(&client, args->items[0], &o->reach, &err);

    if (s == DF_OK)
        s = restore_command(client, o->snapshot.value, &answer, &err);
    if (s == DF_OK) /* tick n + 1 is step n */
        restore_print(coord_client_status(client), answer.index, answer.step - (answer.step > 0), o->json);
    coord_client_close(&client);
    return s == DF_OK ? COORD_DONE : coord_verb_failed("restore", s, &err);
}

const coord_verb coord_verb_restore = {
    .name = "restore",
    .arguments = "JOB",
    .help = "take a running job back to a snapshot",
    .more = "All that came after the snapshot is dropped: the steps run again, later snapshots go with the\n"
            "next one that is taken. Files stay as they are; what is written again is compared with them.\n"
            "JOB is named as for weir status. A job that does not run, or has ended:\n"
            "weir run JOB --resume --snapshot N.\n",
    .options = restore_table,
    .options_size = sizeof(restore_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = restore_run,
};
