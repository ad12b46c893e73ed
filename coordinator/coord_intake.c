#include "coordinator/coord_intake.h"

#include "coordinator/coord_hand.h"
#include "coordinator/coord_part.h"
#include "dataflow/df_failpoint.h"
#include "snapshot/snap_backend.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct intake_piece {
    struct intake_piece *next;
    proto_collect what; /* its bytes lie behind */
    df_status status;
    df_error error;
    uint8_t bytes[];
} intake_piece;

/* A part that is being written. */
typedef struct intake_file {
    struct intake_file *next;
    snap_part_id id;
    df_file *file;      /* null: it could not be opened, or is closed */
    df_hash hash;       /* of what was written */
    df_status status;
    df_error error;
} intake_file;

typedef struct intake_list {
    intake_piece *first, **last;
} intake_list;

struct coord_intake {
    df_disk *disk;
    char folder[DF_PATH_MAX], incoming[DF_PATH_MAX];
    bool verify;
    coord_hand *hand;
    intake_list waiting, work, done; /* work: the hand's while it is busy, and so are the files */
    intake_file *files;
};

/* ---- lists ---- */

static void list_init(intake_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void list_put(intake_list *list, intake_piece *piece)
{
    piece->next = NULL;
    *list->last = piece;
    list->last = &piece->next;
}

static intake_piece *list_get(intake_list *list)
{
    intake_piece *piece = list->first;

    if (piece == NULL)
        return NULL;
    list->first = piece->next;
    if (list->first == NULL)
        list->last = &list->first;
    return piece;
}

static void list_move(intake_list *to, intake_list *from)
{
    for (intake_piece *piece; (piece = list_get(from)) != NULL;)
        list_put(to, piece);
}

/* Those of attempts above `last` stay. */
static void list_clear(intake_list *list, uint64_t last)
{
    intake_list kept;

    list_init(&kept);
    for (intake_piece *piece; (piece = list_get(list)) != NULL;)
        if (piece->what.attempt <= last)
            free(piece);
        else
            list_put(&kept, piece);
    list_move(list, &kept);
}

/* ---- on the other thread ---- */

static intake_file *file_find(coord_intake *n, const snap_part_id *id)
{
    intake_file *f = n->files;

    while (f != NULL && snap_part_id_compare(&f->id, id) != 0)
        f = f->next;
    if (f == NULL) {
        f = proto_zero(1, sizeof *f);
        f->id = *id;
        f->next = n->files;
        n->files = f;
    }
    return f;
}

/* A piece at offset 0 begins anew, whatever there was: another coordinator may have begun it. */
static df_status file_open(coord_intake *n, intake_file *f, df_error *err)
{
    char path[DF_PATH_MAX];

    snap_rocksdb_part_path(path, n->folder, &f->id);
    df_file_close(&f->file);
    f->hash = (df_hash){ 0 };
    return df_disk_open(n->disk, &f->file, path, DF_OPEN_CREATE, err);
}

/* What the system still has of it in memory would only say what was written. */
static void file_forget(const coord_intake *n, const snap_part_id *id)
{
    char path[DF_PATH_MAX];
    int fd;

    snap_rocksdb_part_path(path, n->folder, id);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return; /* who reads it will say so */
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

/* Durable, and what was offered. */
static df_status file_end(coord_intake *n, intake_file *f, const proto_collect *p, df_error *err)
{
    df_status s = df_failpoint(DF_FAILPOINT_stream_sync, err);

    if (s == DF_OK)
        s = df_file_sync(f->file, err);
    df_file_close(&f->file);
    if (s == DF_OK)
        s = df_disk_sync_folder(n->disk, n->incoming, err);
    if (s == DF_OK && (f->hash.high != p->hash_high || f->hash.low != p->hash_low))
        s = df_fail(err, DF_ECORRUPT, "the part that has come is not the one that was offered");
    if (n->verify)
        file_forget(n, &f->id);
    if (s == DF_OK)
        s = snap_rocksdb_part_check(n->folder, &f->id, err);
    return s == DF_OK ? df_failpoint(DF_FAILPOINT_stream_synced, err) : s;
}

static df_status piece_write(coord_intake *n, intake_file *f, const proto_collect *p, df_error *err)
{
    df_status s = p->offset == 0 ? file_open(n, f, err) : DF_OK;

    if (s == DF_OK && f->file == NULL)
        s = df_fail(err, DF_EIO, "a piece of a part that is not open");
    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_stream_write, err);
    if (s == DF_OK)
        s = df_file_write(f->file, p->bytes.data, p->bytes.size, p->offset, err);
    if (s != DF_OK)
        return s;
    f->hash = snap_hash_chain(f->hash, p->bytes.data, p->bytes.size);
    return p->offset + p->bytes.size == p->total ? file_end(n, f, p, err) : DF_OK;
}

static void file_remove(coord_intake *n, intake_file *file)
{
    intake_file **at = &n->files;

    while (*at != file)
        at = &(*at)->next;
    *at = file->next;
    df_file_close(&file->file);
    free(file);
}

static void work_do(void *arg)
{
    coord_intake *n = arg;

    for (intake_piece *piece = n->work.first; piece != NULL; piece = piece->next) {
        const proto_collect *p = &piece->what;
        snap_part_id id = coord_part_id(p->attempt, p->generation, p->place);
        intake_file *f = file_find(n, &id);

        if (p->offset == 0)
            f->status = DF_OK;
        if (f->status == DF_OK)
            f->status = piece_write(n, f, p, &f->error);
        piece->status = f->status;
        if (f->status != DF_OK)
            piece->error = f->error;
        if (p->offset + p->bytes.size == p->total)
            file_remove(n, f);
    }
}

/* ---- on the main thread ---- */

static void intake_go(coord_intake *n)
{
    if (coord_hand_busy(n->hand) || n->waiting.first == NULL)
        return;
    list_move(&n->work, &n->waiting);
    coord_hand_give(n->hand, work_do, n);
}

void coord_intake_put(coord_intake *intake, const proto_collect *piece)
{
    intake_piece *copy = proto_zero(1, sizeof *copy + piece->bytes.size);

    copy->what = *piece;
    memcpy(copy->bytes, piece->bytes.data, piece->bytes.size);
    copy->what.bytes.data = copy->bytes;
    list_put(&intake->waiting, copy);
    intake_go(intake);
}

bool coord_intake_ended(coord_intake *intake, coord_intake_end *end)
{
    intake_piece *piece;

    if (coord_hand_done(intake->hand))
        list_move(&intake->done, &intake->work);
    intake_go(intake);
    piece = list_get(&intake->done);
    if (piece == NULL)
        return false;
    *end = (coord_intake_end){ .worker = piece->what.worker, .attempt = piece->what.attempt,
                               .size = piece->what.bytes.size, .status = piece->status };
    if (piece->status != DF_OK)
        end->error = piece->error;
    free(piece);
    return true;
}

bool coord_intake_clear(coord_intake *intake, uint64_t last)
{
    intake_file **at = &intake->files;

    list_clear(&intake->waiting, last);
    if (coord_hand_busy(intake->hand))
        return false;
    while (*at != NULL) {
        intake_file *f = *at;

        if (f->id.snapshot > last) {
            at = &f->next;
            continue;
        }
        file_remove(intake, f);
    }
    return true;
}

/* ---- life ---- */

df_status coord_intake_new(coord_intake **out, df_disk *disk, const char *folder, bool verify,
                           void (*wake)(void *user), void *user, df_error *err)
{
    coord_intake *n = calloc(1, sizeof *n);
    df_status s;

    *out = NULL;
    if (n == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    n->disk = disk;
    n->verify = verify;
    list_init(&n->waiting);
    list_init(&n->work);
    list_init(&n->done);
    if (snprintf(n->folder, sizeof n->folder, "%s", folder) >= (int)sizeof n->folder - 128) {
        free(n);
        return df_fail(err, DF_EINVAL, "%.100s...: the path is too long", folder);
    }
    snprintf(n->incoming, sizeof n->incoming, "%.*s/incoming", DF_PATH_MAX - 128, folder);
    s = coord_hand_new(&n->hand, wake, user, err);
    if (s == DF_OK)
        *out = n;
    else
        free(n);
    return s;
}

void coord_intake_free(coord_intake **intake)
{
    coord_intake *n = *intake;

    *intake = NULL;
    if (n == NULL)
        return;
    coord_hand_free(&n->hand);
    list_clear(&n->waiting, UINT64_MAX);
    list_clear(&n->work, UINT64_MAX);
    list_clear(&n->done, UINT64_MAX);
    while (n->files != NULL)
        file_remove(n, n->files);
    free(n);
}
