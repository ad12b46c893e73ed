#include "coordinator/coord_trail_private.h"

#include "coordinator/coord_state.h"
#include "coordinator/coord_verify.h"

#include "snapshot/snap_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct coord_trail {
    const df_plan *plan;
    bool streams;
    uint32_t piece_size;
    df_disk disk;
    df_file *lock;
    trail_pieces pieces;    /* of the steps that run again */
    uint64_t end;           /* steps below it are recorded already */
    uint32_t at;            /* the piece that is compared with */
    char path[DF_PATH_MAX];
    coord_verify *verify;   /* null: none is open */
    coord_prints_writer *writer; /* null: the next step begins a piece */
    pthread_mutex_t shared; /* what follows */
    uint64_t *unsynced;     /* the pieces that were begun or gone on with since the last sync, by their first step */
    uint32_t unsynced_count, unsynced_room;
    bool hole;              /* nothing is written until the next snapshot */
};

/* ---- what is there ---- */

/* Cut what is not whole from the end of a piece. */
static df_status piece_cut(const char *path, const trail_whole *whole, df_error *err)
{
    int failed = whole->head_size == 0 ? unlink(path) : truncate(path, (off_t)whole->end_at);

    return failed == 0 ? DF_OK : df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
}

/* How far the steps from `step` on are recorded. Pieces behind a gap are of no use any more. */
static df_status trail_look(coord_trail *t, uint64_t step, df_error *err)
{
    const df_hash plan = { t->plan->hash[0], t->plan->hash[1] };
    uint32_t i = trail_pieces_find(&t->pieces, step), kept = 0;
    df_status s = DF_OK;

    t->at = i;
    t->end = step;
    for (; s == DF_OK && i < t->pieces.count && t->pieces.firsts[i] <= t->end; i++) {
        trail_whole whole;

        kept = i + 1;
        trail_piece_path(t->path, &t->pieces, t->pieces.firsts[i]);
        s = trail_piece_read(t->path, t->pieces.firsts[i], step, UINT64_MAX - 1, &whole, err);
        if (s != DF_OK || whole.end < t->end) /* it ended before: there is a gap */
            break;
        if (whole.head_size > 0 && !snap_hash_equal(whole.plan, plan)) /* of a run before */
            break;
        t->end = whole.end;
        s = piece_cut(t->path, &whole, err);
    }
    for (i = kept; s == DF_OK && i < t->pieces.count; i++) {
        if (t->pieces.firsts[i] <= step)
            continue;
        trail_piece_path(t->path, &t->pieces, t->pieces.firsts[i]);
        if (unlink(t->path) != 0)
            s = df_fail(err, DF_EIO, "%s: %s", t->path, strerror(errno));
    }
    t->pieces.count = kept;
    return s;
}

static df_status trail_lock(coord_trail *t, const char *state, df_error *err)
{
    char path[DF_PATH_MAX];
    df_status s;

    snprintf(path, sizeof path, "%s/" COORD_TRAIL_FOLDER, state);
    s = coord_state_make(path, err);
    if (s != DF_OK)
        return s;
    snprintf(path, sizeof path, "%s/" COORD_TRAIL_FOLDER "/lock", state);
    s = df_disk_open(&t->disk, &t->lock, path, DF_OPEN_CREATE, err);
    if (s == DF_OK)
        s = df_file_lock(t->lock, err);
    return s == DF_AGAIN ? df_fail(err, DF_AGAIN, "%s: another process still writes the record", path) : s;
}

df_status coord_trail_open(coord_trail **out, const coord_trail_options *o, uint64_t step, df_error *err)
{
    coord_trail *t = calloc(1, sizeof *t);
    df_status s;

    *out = NULL;
    if (t == NULL)
        return df_fail(err, DF_ENOMEM, "record: out of memory");
    if (strlen(o->state) > DF_PATH_MAX / 2) {
        free(t);
        return df_fail(err, DF_ELIMIT, "%.100s...: the path is too long", o->state);
    }
    pthread_mutex_init(&t->shared, NULL);
    t->plan = o->plan;
    t->streams = o->streams;
    t->piece_size = o->piece_size == 0 ? COORD_TRAIL_PIECE_SIZE : o->piece_size;
    df_disk_posix_init(&t->disk);
    s = trail_lock(t, o->state, err);
    if (s == DF_OK)
        s = trail_pieces_list(&t->pieces, o->state, err);
    if (s == DF_OK)
        s = trail_look(t, step, err);
    if (s == DF_OK)
        *out = t;
    else
        coord_trail_close(&t);
    return s;
}

void coord_trail_close(coord_trail **trail)
{
    coord_trail *t = *trail;
    df_error err;

    *trail = NULL;
    if (t == NULL)
        return;
    coord_verify_close(&t->verify);
    if (coord_prints_close(&t->writer, &err) != DF_OK)
        fprintf(stderr, "weir: record: %s\n", err.text);
    trail_pieces_fini(&t->pieces);
    df_file_close(&t->lock);
    pthread_mutex_destroy(&t->shared);
    free(t->unsynced);
    free(t);
}

/* ---- a step that ran before ---- */

static df_status compare_open(coord_trail *t, uint64_t step, df_error *err)
{
    FILE *file;
    df_status s;

    while (t->at + 1 < t->pieces.count && t->pieces.firsts[t->at + 1] <= step)
        t->at++;
    trail_piece_path(t->path, &t->pieces, t->pieces.firsts[t->at]);
    file = coord_prints_file(t->path, err);
    s = file == NULL ? DF_EIO : coord_verify_open(&t->verify, file, "the record", t->plan, t->streams, err);
    return s == DF_OK ? coord_verify_seek(t->verify, step, err) : s;
}

static df_status compare(coord_trail *t, const df_step_print *print, df_error *err)
{
    df_status s = t->verify == NULL ? compare_open(t, print->step, err) : DF_OK;

    if (s == DF_OK)
        s = coord_verify_step(t->verify, print, err);
    if (s != DF_OK)
        return df_wrap(err, s, "after a return to an earlier step");
    if (print->step + 1 == t->end || (t->at + 1 < t->pieces.count && t->pieces.firsts[t->at + 1] == print->step + 1))
        coord_verify_close(&t->verify);
    return DF_OK;
}

/* ---- a new step ---- */

static bool unsynced_add(coord_trail *t, uint64_t first)
{
    uint64_t *grown = t->unsynced;

    pthread_mutex_lock(&t->shared);
    if (t->unsynced_count == t->unsynced_room) {
        grown = realloc(t->unsynced, (2 * (size_t)t->unsynced_room + 8) * sizeof *grown);
        t->unsynced = grown == NULL ? t->unsynced : grown;
        t->unsynced_room += grown == NULL ? 0 : t->unsynced_room + 8;
    }
    if (grown != NULL)
        t->unsynced[t->unsynced_count++] = first;
    pthread_mutex_unlock(&t->shared);
    return grown != NULL;
}

static df_status piece_begin(coord_trail *t, uint64_t step, df_error *err)
{
    df_status s;

    trail_piece_path(t->path, &t->pieces, step);
    s = coord_prints_create(&t->writer, t->path, t->plan, t->streams, err);
    if (s != DF_OK)
        return s;
    coord_prints_sum(t->writer);
    return unsynced_add(t, step) ? DF_OK : df_fail(err, DF_ENOMEM, "record: out of memory");
}

/* The job goes on without: a record is there to find what is wrong, and not to be it. */
static void give_up(coord_trail *t, uint64_t step, const df_error *why)
{
    df_error err;

    fprintf(stderr, "weir: the record has a hole from step %" PRIu64 " on: %s\n", step, why->text);
    (void)coord_prints_close(&t->writer, &err);
    pthread_mutex_lock(&t->shared);
    t->hole = true;
    pthread_mutex_unlock(&t->shared);
}

static void piece_put(coord_trail *t, const df_step_print *print)
{
    df_error err = { 0 };
    df_status s = t->writer == NULL ? piece_begin(t, print->step, &err) : DF_OK;

    if (s == DF_OK)
        s = coord_prints_put(t->writer, print, &err);
    if (s == DF_OK && coord_prints_size(t->writer) >= t->piece_size)
        s = coord_prints_close(&t->writer, &err);
    if (s != DF_OK)
        give_up(t, print->step, &err);
}

df_status coord_trail_step(coord_trail *trail, const df_step_print *print, df_error *err)
{
    bool hole;

    if (print->step < trail->end)
        return compare(trail, print, err);
    pthread_mutex_lock(&trail->shared);
    hole = trail->hole;
    pthread_mutex_unlock(&trail->shared);
    if (!hole)
        piece_put(trail, print);
    return DF_OK;
}

/* ---- durability ---- */

static bool piece_sync(const coord_trail *t, uint64_t first)
{
    char path[DF_PATH_MAX];
    bool done;
    int fd;

    trail_piece_path(path, &t->pieces, first);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    done = fd >= 0 && fdatasync(fd) == 0;
    if (!done)
        fprintf(stderr, "weir: record: %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return done;
}

/* The list is taken, and the last of it, which is written on, stays in it. A failed sync leaves lines that a power
 * loss may take; they are a hole then, and no more. */
void coord_trail_sync(coord_trail *trail)
{
    uint64_t *list = NULL;
    uint32_t count;
    df_error err;

    pthread_mutex_lock(&trail->shared);
    count = trail->unsynced_count;
    list = calloc((size_t)count + 1, sizeof *list);
    if (list != NULL && count > 0) {
        memcpy(list, trail->unsynced, count * sizeof *list);
        trail->unsynced[0] = trail->unsynced[count - 1];
        trail->unsynced_count = 1;
    }
    trail->hole = false;
    pthread_mutex_unlock(&trail->shared);
    for (uint32_t i = 0; list != NULL && i < count; i++)
        (void)piece_sync(trail, list[i]);
    if (count > 0 && df_disk_sync_folder(&trail->disk, trail->pieces.folder, &err) != DF_OK)
        fprintf(stderr, "weir: record: %s\n", err.text);
    free(list);
}
