/* weir snapshots JOB: asked of its coordinator, or read from its state when none runs. */
#include "coordinator/coord_client.h"
#include "coordinator/coord_verb.h"

#include <stdlib.h>
#include <string.h>

typedef struct snapshots_options {
    coord_reach reach;
    bool json;
} snapshots_options;

static const coord_option snapshots_table[] = {
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(snapshots_options, json) },
    COORD_REACH_OPTIONS(snapshots_options),
    { 0 },
};

/* As a coordinator tells it; null: memory is out. */
static char *snapshots_text(const snap_store *store)
{
    uint32_t count = snap_store_count(store);
    snap_entry *entries = calloc(count + 1, sizeof *entries);
    char *text = NULL;

    for (uint32_t i = 0; entries != NULL && i < count; i++)
        entries[i] = *snap_store_entry(store, i);
    if (entries != NULL)
        text = coord_json_snapshots(snap_store_head(store), entries, count);
    free(entries);
    return text;
}

/* Of a job that does not run. */
static df_status snapshots_read(const char *job, bool json, df_error *err)
{
    static const snap_store_options readonly = { .readonly = true, .accept_loss = true };
    char state[DF_PATH_MAX], folder[DF_PATH_MAX], *text = NULL;
    snap_store *store = NULL;
    df_disk disk;
    df_status s = coord_client_find(state, job, err);

    df_disk_posix_init(&disk);
    if (s == DF_OK)
        s = coord_state_path(folder, state, "store", err);
    if (s == DF_OK)
        s = snap_store_open_rocksdb(&store, &disk, folder, &readonly, err);
    if (s == DF_OK && (text = snapshots_text(store)) == NULL)
        s = df_fail(err, DF_ENOMEM, "out of memory");
    if (s == DF_OK && json)
        puts(text);
    else if (s == DF_OK && !coord_json_snapshots_print(stdout, text, strlen(text), err))
        s = DF_EIO;
    free(text);
    snap_store_close(&store);
    return s;
}

static int snapshots_run(const coord_args *args, const void *options)
{
    const snapshots_options *o = options;
    coord_client *client;
    df_error err = { 0 };
    df_status s = coord_client_reach(&client, args->items[0], &o->reach, &err);

    if (s == DF_OK)
        s = coord_client_show(client, "snapshots", o->json, coord_json_snapshots_print, &err);
    else if (s == DF_END && strncmp(args->items[0], "tcp://", 6) != 0)
        s = snapshots_read(args->items[0], o->json, &err);
    coord_client_close(&client);
    return s == DF_OK ? COORD_DONE : coord_verb_failed("snapshots", s, &err);
}

const coord_verb coord_verb_snapshots = {
    .name = "snapshots",
    .arguments = "JOB",
    .help = "list the snapshots of a job",
    .options = snapshots_table,
    .options_size = sizeof(snapshots_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = snapshots_run,
};
