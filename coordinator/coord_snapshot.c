/* weir snapshot JOB, weir snapshot verify DIR */
#include "coordinator/coord_client.h"
#include "coordinator/coord_json.h"
#include "coordinator/coord_verb.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

typedef struct snapshot_options {
    coord_reach reach;
    const char *label;
    bool json;
} snapshot_options;

static const coord_option snapshot_table[] = {
    { .name = "label", .value = "TEXT", .help = "name it; one with a label is kept", .type = COORD_TEXT,
      .offset = offsetof(snapshot_options, label) },
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(snapshot_options, json) },
    COORD_REACH_OPTIONS(snapshot_options),
    { 0 },
};

/* ---- verify ---- */

typedef struct snapshot_report {
    bool json, written; /* written: what was printed so far */
    bool damaged;
} snapshot_report;

static void verify_tell(void *user, const snap_damage *d)
{
    snapshot_report *r = user;

    if (r->json)
        r->written = coord_json_verify_damage(stdout, !r->damaged, d) && r->written;
    else if (d->state == NULL)
        printf("%s: snapshot %" PRIu64 ": %s\n", d->file, d->snapshot, d->text);
    else
        printf("%s: snapshot %" PRIu64 ", state \"%s\", key group %u, column %s, chunk %u: %s\n",
               d->file, d->snapshot, d->state, d->key_group, d->column, d->chunk, d->text);
    r->damaged = true;
}

/* DIR/store, or DIR itself. False: the path is too long. */
static bool verify_folder(char folder[DF_PATH_MAX], const char *directory)
{
    struct stat status;
    int length = snprintf(folder, DF_PATH_MAX, "%s/store", directory);

    if (length < 0 || length >= DF_PATH_MAX)
        return false;
    if (stat(folder, &status) != 0 || !S_ISDIR(status.st_mode))
        snprintf(folder, DF_PATH_MAX, "%s", directory);
    return true;
}

static void verify_print(const snap_store *store, const snap_verified *v, const char *folder)
{
    printf("%s: %" PRIu64 " snapshot%s, the current one is %" PRIu64 "; %" PRIu64 " chunks, %" PRIu64
           " bytes read; ", folder, v->snapshots, v->snapshots == 1 ? "" : "s",
           snap_store_head(store), v->chunks, v->bytes);
    if (v->damaged == 0)
        puts("no damage");
    else
        printf("%" PRIu64 " damaged\n", v->damaged);
}

/* What there is to say when a store cannot be read to its end, or not be opened. */
static int verify_failed(df_status s, const df_error *err)
{
    fprintf(stderr, "weir snapshot: %s\n", err->text);
    return s == DF_END || s == DF_EINVAL ? COORD_USAGE : COORD_FAILED;
}

static int snapshot_verify(const char *directory, const snapshot_options *o)
{
    static const snap_store_options readonly = { .readonly = true };
    snapshot_report report = { .json = o->json, .written = true };
    snap_verified verified = { 0 };
    snap_store *store = NULL;
    char folder[DF_PATH_MAX];
    df_error err = { 0 };
    df_disk disk;
    df_status s;

    df_disk_posix_init(&disk);
    if (verify_folder(folder, directory))
        s = snap_store_open_rocksdb(&store, &disk, folder, &readonly, &err);
    else
        s = df_fail(&err, DF_EINVAL, "%.100s...: the path is too long", directory);
    if (o->json)
        report.written = coord_json_verify_begin(stdout, folder, store);
    if (s == DF_OK)
        s = snap_store_verify(store, verify_tell, &report, &verified, &err);
    if (o->json)
        report.written = coord_json_verify_end(stdout, &verified, s, &err) && report.written;
    else if (s == DF_OK)
        verify_print(store, &verified, folder);
    snap_store_close(&store);
    if (s != DF_OK)
        return verify_failed(s, &err);
    return report.damaged || !report.written ? COORD_FAILED : COORD_DONE;
}

/* ---- the verb ---- */

static int snapshot_run(const coord_args *args, const void *options)
{
    const snapshot_options *o = options;

    if (strcmp(args->items[0], "verify") == 0 && args->count == 2)
        return snapshot_verify(args->items[1], options);
    if (strcmp(args->items[0], "verify") == 0)
        fputs("weir snapshot: verify what? write weir snapshot verify DIR\n", stderr);
    else if (args->count == 2)
        fprintf(stderr, "weir snapshot: \"%.60s\" is not verify\n", args->items[0]);
    else if (o->label != NULL && (o->label[0] == '\0' || strlen(o->label) >= WEIR_NAME_MAX))
        fprintf(stderr, "weir snapshot: --label: expected 1 to %d bytes\n", WEIR_NAME_MAX - 1);
    else
        return coord_client_snapshot(args->items[0], &o->reach, o->label, o->json);
    return COORD_USAGE;
}

const coord_verb coord_verb_snapshot = {
    .name = "snapshot",
    .arguments = "JOB | verify DIR",
    .help = "take a snapshot of a running job, or check all that there are",
    .more = "JOB is the job's name (below runs/), its file, or the folder of its output. Returns when the\n"
            "snapshot is committed.\n\n"
            "verify reads and checks every chunk of every snapshot. DIR is the state of a job, or the\n"
            "store in it. Nothing in it is changed. Each damage is a line: the file, the snapshot, the\n"
            "state, the key group and the column. While a job works in DIR, snapshots that it makes or\n"
            "removes meanwhile may be missing or show as damaged. Exits 0 if all is whole, 1 if something\n"
            "is damaged, 2 if there is no store.\n",
    .options = snapshot_table,
    .options_size = sizeof(snapshot_options),
    .argument_min = 1,
    .argument_max = 2,
    .run = snapshot_run,
};
