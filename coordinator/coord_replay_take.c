/* What a replay needs is taken before it begins: the run it is of may go on, and remove its snapshots, its record and
 * itself. The store is opened first: RocksDB keeps open all files of a store that is open, so what a snapshot
 * consists of can be read although it is collected. */
#include "coordinator/coord_replay.h"

#include "coordinator/coord_client.h"
#include "coordinator/coord_fork.h"
#include "coordinator/coord_job.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_trail.h"
#include "coordinator/coord_verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TAKE_TRIES    20
#define TAKE_PAUSE_NS 50000000

/* ---- the job ---- */

static df_status read_paths(coord_replay_job *job, df_error *err)
{
    char *text;
    size_t size, file, folder;
    df_status s = coord_state_read(job->state, "job.path", &text, &size, err);

    if (s == DF_END)
        return df_fail(err, DF_EINVAL, "%s: this run is of an older weir, which kept no record", job->state);
    if (s != DF_OK)
        return s;
    file = strcspn(text, "\n");
    folder = strcspn(text + file + (text[file] != '\0'), "\n");
    snprintf(job->file, sizeof job->file, "%.*s", (int)file, text);
    snprintf(job->directory, sizeof job->directory, "%.*s", (int)folder, text + file + (text[file] != '\0'));
    free(text);
    return DF_OK;
}

/* The first error is enough: the job has run. */
static df_status read_plan(df_plan **plan, const char *file, const char *text, size_t size, const char *sets,
                           df_error *err)
{
    df_report report;
    df_status s = coord_job_read(plan, file, text, size, sets, &report);

    if (s != DF_OK)
        df_report_print(&report, stderr);
    return s == DF_OK ? s : df_fail(err, s, "%s: the job of the record cannot be read any more", file);
}

/* What stands in the job's file now, if that is how it was named. */
static df_status check_file(const coord_replay_job *job, const char *name, df_error *err)
{
    df_plan *plan = NULL;
    char *text;
    size_t size;
    df_status s = coord_state_read_file(name, &text, &size, err);
    bool same;

    if (s != DF_OK) /* it is a folder, or a job's name */
        return DF_OK;
    s = read_plan(&plan, name, text, size, job->sets, err);
    same = s == DF_OK && plan->hash[0] == job->plan->hash[0] && plan->hash[1] == job->plan->hash[1];
    df_plan_free(&plan);
    free(text);
    if (s == DF_OK && !same)
        s = df_fail(err, DF_EINVAL, "%s was changed since it was run; weir replay %s runs again what was run", name,
                    job->state);
    return s;
}

df_status coord_replay_job_read(coord_replay_job *job, const char *name, df_error *err)
{
    size_t size;
    df_status s;

    *job = (coord_replay_job){ 0 };
    s = coord_client_find(job->state, name, err);
    if (s == DF_OK)
        s = read_paths(job, err);
    if (s == DF_OK)
        s = coord_state_read(job->state, "job.toml", &job->text, &job->text_size, err);
    if (s == DF_OK)
        s = coord_state_read(job->state, "sets", &job->sets, &size, err);
    if (s == DF_OK)
        s = read_plan(&job->plan, job->file, job->text, job->text_size, job->sets, err);
    return s == DF_OK ? check_file(job, name, err) : s;
}

void coord_replay_job_fini(coord_replay_job *job)
{
    free(job->text);
    free(job->sets);
    df_plan_free(&job->plan);
}

/* ---- which steps ---- */

/* The first step that runs from a snapshot: it holds what enters tick n, which is step n - 1. */
static uint64_t first_of(const snap_entry *entry)
{
    return entry->step == 0 ? 0 : entry->step - 1;
}

static df_status is_recorded(const char *state, uint64_t step, bool *recorded, df_error *err)
{
    uint64_t end;
    df_status s = coord_trail_read(state, step, step, NULL, &end, err);

    *recorded = s == DF_OK && end > step;
    return s == DF_END ? df_fail(err, DF_EINVAL, "%s: there is no record; [replay] mode = \"record\" makes one", state)
                       : s;
}

/* Whether a beginning is better than the one that was found: the last before --from, else the first there is. */
static bool is_better(const coord_replay_span *span, bool found, uint64_t first)
{
    if (span->from.given)
        return first <= span->from.value && (!found || first > span->first);
    return !found || first < span->first;
}

static df_status consider(coord_replay_span *span, bool *found, const char *state, uint64_t snapshot, uint64_t first,
                          df_error *err)
{
    bool recorded;
    df_status s;

    if (!is_better(span, *found, first))
        return DF_OK;
    s = is_recorded(state, first, &recorded, err);
    if (s == DF_OK && recorded) {
        *found = true;
        span->first = first;
        span->begin = snapshot;
    }
    return s;
}

static df_status nothing_found(const coord_replay_span *span, const snap_store *store, const char *state, df_error *err)
{
    if (span->snapshot.given)
        return df_fail(err, DF_EINVAL, "%s: there is no snapshot %" PRIu64 " that can be read, with a record of the "
                       "steps behind it", state, span->snapshot.value);
    if (span->from.given)
        return df_fail(err, DF_EINVAL, "%s: of step %" PRIu64 " or before no snapshot is kept, with a record of the "
                       "steps behind it; weir snapshots lists those that are", state, span->from.value);
    return df_fail(err, DF_EINVAL, "%s: none of %u snapshots has a record of the steps behind it", state,
                   store == NULL ? 0 : snap_store_count(store));
}

/* The job's beginning is as good as a snapshot. */
static df_status choose(coord_replay_span *span, const snap_store *store, const char *state, df_error *err)
{
    uint32_t count = store == NULL ? 0 : snap_store_count(store);
    bool found = false;
    df_status s = span->snapshot.given ? DF_OK : consider(span, &found, state, 0, 0, err);

    for (uint32_t i = 0; s == DF_OK && i < count; i++) {
        const snap_entry *e = snap_store_entry(store, i);

        if (!e->damaged && (!span->snapshot.given || span->snapshot.value == e->snapshot))
            s = consider(span, &found, state, e->snapshot, first_of(e), err);
    }
    return s == DF_OK && !found ? nothing_found(span, store, state, err) : s;
}

/* ---- taking ---- */

/* Not beyond what is recorded now; the job may run. */
static df_status take_record(coord_replay_span *span, const coord_replay_job *job, const char *path, df_error *err)
{
    uint64_t to = span->to.given ? span->to.value : UINT64_MAX - 1, end;
    df_status s;

    if (to < span->first)
        return df_fail(err, DF_EINVAL, "--to %" PRIu64 " is before step %" PRIu64 ", with which snapshot %" PRIu64
                       " begins", to, span->first, span->begin);
    s = coord_trail_read(job->state, span->first, to, path, &end, err);
    if (s != DF_OK)
        return s;
    if (span->to.given && end <= to)
        return df_fail(err, DF_EINVAL, "%s: behind step %" PRIu64 " the record ends, or has a gap, at step %" PRIu64,
                       job->state, span->first, end - (end > 0));
    if (end == span->first)
        return df_fail(err, DF_EIO, "%s: the record of step %" PRIu64 " is gone", job->state, end);
    span->last = end - 1;
    if (span->from.given && span->from.value > span->last)
        return df_fail(err, DF_EINVAL, "%s: behind step %" PRIu64 " the record ends, or has a gap, at step %" PRIu64
                       ", before --from", job->state, span->first, span->last);
    return DF_OK;
}

/* Before anything runs: what was recorded must be of this job, as this weir reads it. */
static df_status check_record(const coord_replay_job *job, const char *path, df_error *err)
{
    coord_verify *verify = NULL;
    FILE *file = coord_prints_file(path, err);
    df_status s = file == NULL ? DF_EIO
                               : coord_verify_open(&verify, file, "the record", job->plan,
                                                   job->plan->draft->policy.replay_streams, err);

    coord_verify_close(&verify);
    return s;
}

static df_status take_once(coord_replay_span *span, const coord_replay_job *job, const char *folder, df_error *err)
{
    static df_disk disk; /* a table of functions */
    const snap_store_options readonly = { .readonly = true, .accept_loss = true };
    char path[DF_PATH_MAX], state[DF_PATH_MAX];
    snap_store *store = NULL;
    df_status s = coord_state_path(path, job->state, "store", err);

    df_disk_posix_init(&disk);
    if (s == DF_OK)
        s = snap_store_open_rocksdb(&store, &disk, path, &readonly, err);
    if (s == DF_END) /* there is no store yet */
        s = DF_OK;
    if (s == DF_OK)
        s = choose(span, store, job->state, err);
    if (s == DF_OK)
        s = coord_state_path(path, folder, "record", err);
    if (s == DF_OK)
        s = take_record(span, job, path, err);
    if (s == DF_OK)
        s = check_record(job, path, err);
    if (s == DF_OK)
        s = coord_state_path(state, folder, "state", err);
    if (s == DF_OK)
        s = coord_state_clear_folder(state, 3, err);
    if (s == DF_OK)
        s = coord_state_make(state, err);
    if (s == DF_OK)
        s = coord_fork_make(state, store, span->begin, job->plan, err);
    snap_store_close(&store);
    return s;
}

/* Between two looks at a job that runs something may have been removed; then it is looked at anew. */
df_status coord_replay_take(coord_replay_span *span, const coord_replay_job *job, const char *folder, df_error *err)
{
    const struct timespec pause = { .tv_nsec = TAKE_PAUSE_NS };
    df_status s = take_once(span, job, folder, err);

    for (int i = 1; i < TAKE_TRIES && (s == DF_EIO || s == DF_ECORRUPT || s == DF_END); i++) {
        nanosleep(&pause, NULL);
        s = take_once(span, job, folder, err);
    }
    return s;
}

/* ---- the folder ---- */

/* Whoever has made one has its lock; if nobody has, it was killed. */
static void remove_left(df_disk *disk, const char *folder)
{
    char path[DF_PATH_MAX];
    df_file *lock = NULL;
    df_error err;

    if (coord_state_path(path, folder, "lock", &err) != DF_OK ||
        df_disk_open(disk, &lock, path, DF_OPEN_WRITE, &err) != DF_OK)
        return;
    if (df_file_lock(lock, &err) == DF_OK)
        coord_replay_folder_remove(folder, &lock);
    df_file_close(&lock);
}

static void remove_all_left(df_disk *disk, const char *parent)
{
    char folder[DF_PATH_MAX];
    df_names names = { 0 };
    df_error err;

    if (df_disk_list(disk, &names, parent, &err) != DF_OK)
        return;
    for (size_t i = 0; i < names.count; i++)
        if (coord_state_path(folder, parent, names.names[i], &err) == DF_OK)
            remove_left(disk, folder);
    df_names_fini(&names);
}

df_status coord_replay_folder(char folder[DF_PATH_MAX], df_file **lock, const char *state, df_error *err)
{
    static df_disk disk; /* a table of functions */
    char parent[DF_PATH_MAX], path[DF_PATH_MAX];
    df_status s = coord_state_path(parent, state, "replays", err);

    *lock = NULL;
    df_disk_posix_init(&disk);
    if (s == DF_OK)
        s = coord_state_make(parent, err);
    if (s == DF_OK) {
        remove_all_left(&disk, parent);
        s = coord_state_path(folder, parent, "XXXXXX", err);
    }
    if (s == DF_OK && mkdtemp(folder) == NULL)
        s = df_fail(err, DF_EIO, "%s: %s", parent, strerror(errno));
    if (s != DF_OK)
        return s;
    s = coord_state_path(path, folder, "lock", err);
    if (s == DF_OK)
        s = df_disk_open(&disk, lock, path, DF_OPEN_CREATE, err);
    if (s == DF_OK)
        s = df_file_lock(*lock, err);
    if (s != DF_OK)
        coord_replay_folder_remove(folder, lock);
    return s;
}

void coord_replay_folder_remove(const char *folder, df_file **lock)
{
    df_error err;

    if (coord_state_clear_folder(folder, 8, &err) != DF_OK)
        fprintf(stderr, "weir replay: %s\n", err.text);
    df_file_close(lock);
}
