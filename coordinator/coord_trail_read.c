#include "coordinator/coord_trail_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_NAME        "%020" PRIu64 ".fp"
#define PIECE_NAME_LENGTH 23

/* ---- the pieces ---- */

void trail_piece_path(char path[DF_PATH_MAX], const trail_pieces *pieces, uint64_t first)
{
    snprintf(path, DF_PATH_MAX, "%s/" PIECE_NAME, pieces->folder, first);
}

static bool piece_is(const char *name, uint64_t *first)
{
    char again[PIECE_NAME_LENGTH + 1];

    if (strlen(name) != PIECE_NAME_LENGTH || name[0] < '0' || name[0] > '9')
        return false;
    *first = strtoull(name, NULL, 10);
    snprintf(again, sizeof again, PIECE_NAME, *first);
    return strcmp(again, name) == 0;
}

df_status trail_pieces_list(trail_pieces *pieces, const char *state, df_error *err)
{
    df_names names = { 0 };
    df_disk disk;
    df_status s;

    *pieces = (trail_pieces){ 0 };
    if (snprintf(pieces->folder, sizeof pieces->folder, "%s/" COORD_TRAIL_FOLDER, state) >=
        (int)sizeof pieces->folder)
        return df_fail(err, DF_ELIMIT, "%.100s...: the path is too long", state);
    df_disk_posix_init(&disk);
    s = df_disk_list(&disk, &names, pieces->folder, err);
    if (s != DF_OK)
        return s;
    pieces->firsts = calloc(names.count + 1, sizeof *pieces->firsts);
    if (pieces->firsts == NULL)
        s = df_fail(err, DF_ENOMEM, "%s: out of memory", pieces->folder);
    for (size_t i = 0; s == DF_OK && i < names.count; i++) /* their names ascend as their numbers do */
        pieces->count += piece_is(names.names[i], &pieces->firsts[pieces->count]);
    df_names_fini(&names);
    return s;
}

void trail_pieces_fini(trail_pieces *pieces)
{
    free(pieces->firsts);
    pieces->firsts = NULL;
    pieces->count = 0;
}

uint32_t trail_pieces_find(const trail_pieces *pieces, uint64_t step)
{
    uint32_t found = pieces->count;

    for (uint32_t i = 0; i < pieces->count && pieces->firsts[i] <= step; i++)
        found = i;
    return found;
}

/* A line that is not whole ends the piece: what is behind it was never durable, or is damaged. */
df_status trail_piece_read(const char *path, uint64_t first, uint64_t step, uint64_t to, trail_whole *whole,
                           df_error *err)
{
    FILE *file = coord_prints_file(path, err);
    coord_prints_reader *reader;
    coord_prints_step line;
    df_status s;

    *whole = (trail_whole){ .end = first };
    if (file == NULL)
        return DF_EIO;
    s = coord_prints_open(&reader, file, path, err);
    if (s != DF_OK)
        return s == DF_ECORRUPT ? DF_OK : s;
    whole->plan = coord_prints_head_of(reader)->plan;
    whole->head_size = whole->begin_at = whole->end_at = coord_prints_offset(reader);
    while (whole->end <= to) {
        s = coord_prints_next(reader, &line, err);
        if (s != DF_OK || line.step != whole->end)
            break;
        whole->end++;
        whole->end_at = coord_prints_offset(reader);
        if (line.step < step)
            whole->begin_at = whole->end_at;
    }
    coord_prints_free(&reader);
    return s == DF_EIO || s == DF_ENOMEM ? s : DF_OK;
}

/* ---- keeping ---- */

void coord_trail_drop(const char *state, uint64_t step)
{
    trail_pieces pieces;
    char path[DF_PATH_MAX];
    df_error err;

    if (trail_pieces_list(&pieces, state, &err) == DF_OK)
        for (uint32_t i = 0; i + 1 < pieces.count && pieces.firsts[i + 1] <= step; i++) {
            trail_piece_path(path, &pieces, pieces.firsts[i]);
            unlink(path); /* what stays is tried again with the next snapshot */
        }
    trail_pieces_fini(&pieces);
}

/* ---- copying ---- */

typedef struct trail_copy {
    int out;          /* -1: nothing is written */
    char *head;       /* of the first piece */
    uint64_t head_size;
} trail_copy;

static df_status copy_bytes(const trail_copy *c, const char *path, uint64_t from, uint64_t to, df_error *err)
{
    int in = open(path, O_RDONLY | O_CLOEXEC);
    bool whole = in >= 0;
    char bytes[65536];

    while (whole && from < to) {
        size_t size = to - from < sizeof bytes ? (size_t)(to - from) : sizeof bytes;
        ssize_t got = pread(in, bytes, size, (off_t)from);

        errno = got == 0 ? ENODATA : errno;
        whole = got > 0 && write(c->out, bytes, (size_t)got) == got;
        from += whole ? (uint64_t)got : 0;
    }
    if (!whole)
        df_fail(err, DF_EIO, "%s: it cannot be copied: %s", path, strerror(errno));
    if (in >= 0)
        close(in);
    return whole ? DF_OK : DF_EIO;
}

/* Whether a piece says the same of its job as the first one; the first one's is kept. */
static bool head_is_same(trail_copy *c, const char *path, uint64_t size)
{
    char *head = malloc(size + 1);
    FILE *file = fopen(path, "re");
    bool whole = head != NULL && file != NULL && fread(head, 1, size, file) == size;
    bool same = whole && (c->head == NULL || (c->head_size == size && memcmp(c->head, head, size) == 0));

    if (file != NULL)
        fclose(file);
    if (same && c->head == NULL) {
        c->head = head;
        c->head_size = size;
        return true;
    }
    free(head);
    return same;
}

/* Copy what a piece has from step *end on, and raise *end. DF_END: it has nothing more. */
static df_status copy_piece(trail_copy *c, const char *path, uint64_t first, uint64_t to, uint64_t *end,
                            df_error *err)
{
    bool begun = c->head != NULL;
    trail_whole whole;
    df_status s = trail_piece_read(path, first, *end, to, &whole, err);

    if (s != DF_OK)
        return s;
    if (whole.end <= *end || !head_is_same(c, path, whole.head_size))
        return DF_END;
    if (c->out >= 0 && !begun)
        s = copy_bytes(c, path, 0, whole.head_size, err);
    if (s == DF_OK && c->out >= 0)
        s = copy_bytes(c, path, whole.begin_at, whole.end_at, err);
    if (s == DF_OK)
        *end = whole.end;
    return s;
}

df_status coord_trail_read(const char *state, uint64_t from, uint64_t to, const char *path, uint64_t *end,
                           df_error *err)
{
    trail_copy copy = { .out = -1 };
    trail_pieces pieces;
    char piece[DF_PATH_MAX];
    df_status s = trail_pieces_list(&pieces, state, err);

    *end = from;
    if (s == DF_OK && pieces.count == 0)
        s = df_fail(err, DF_END, "%s: it is empty", pieces.folder);
    if (s == DF_OK && path != NULL) {
        copy.out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (copy.out < 0)
            s = df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
    }
    for (uint32_t i = s == DF_OK ? trail_pieces_find(&pieces, from) : 0; s == DF_OK && i < pieces.count; i++) {
        if (pieces.firsts[i] > *end || *end > to)
            break;
        trail_piece_path(piece, &pieces, pieces.firsts[i]);
        s = copy_piece(&copy, piece, pieces.firsts[i], to, end, err);
        if (s == DF_END) {
            s = DF_OK;
            break;
        }
    }
    if (copy.out >= 0 && close(copy.out) != 0 && s == DF_OK)
        s = df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
    free(copy.head);
    trail_pieces_fini(&pieces);
    return s;
}
