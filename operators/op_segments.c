/* Closed segments, published by rename. */
#include "operators/op_segments.h"
#include "operators/op_file.h"
#include "operators/op_sink.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENTS_UNFINISHED ".part"
#define SEGMENTS_DIGITS 12 /* of a step in a name, at least */
#define SEGMENTS_NAME_MAX (OP_SINK_PATH_MAX + 64)

/* A segment that was begun, or waits to be published. */
typedef struct segments_one {
    struct segments_one *next;
    op_segment segment;
    int descriptor; /* open since before its first byte, so that no error of its disk is missed */
} segments_one;

struct op_segments {
    bool direct;          /* not a regular file: written in place */
    int lock;             /* a descriptor, -1 for none */
    segments_one *begun;  /* or null */
    segments_one *first, **last; /* ended, in their order */
    bool name_synced;     /* what was removed at open stays removed */
    atomic_int broken;    /* the errno of a failed sync */
    char folder[OP_SINK_PATH_MAX]; /* with its slash */
    char stem[OP_SINK_PATH_MAX], ending[OP_SINK_PATH_MAX]; /* the first segment's name, in two */
    char name[SEGMENTS_NAME_MAX], unfinished[SEGMENTS_NAME_MAX];
};

/* ---- names ---- */

static void segments_put_name(const op_segments *s, op_segment segment, const char *before,
                              const char *after, char *out)
{
    char step[32] = "";
    int n;

    if (!segment.first)
        (void)snprintf(step, sizeof(step), "-%0*llu", SEGMENTS_DIGITS,
                       (unsigned long long)segment.start);
    n = snprintf(out, SEGMENTS_NAME_MAX, "%s%s%s%s%s%s", s->folder, before, s->stem, step,
                 s->ending, after);
    assert(n > 0 && n < SEGMENTS_NAME_MAX); /* the parts are those of one path */
}

const char *op_segments_name(op_segments *s, op_segment segment)
{
    segments_put_name(s, segment, "", "", s->name);
    return s->name;
}

const char *op_segments_unfinished(op_segments *s, op_segment segment)
{
    if (s->direct)
        return op_segments_name(s, segment);
    segments_put_name(s, segment, ".", SEGMENTS_UNFINISHED, s->unfinished);
    return s->unfinished;
}

bool op_segments_published(op_segments *s, op_segment segment)
{
    return !s->direct && access(op_segments_name(s, segment), F_OK) == 0;
}

/* Whether `name` is a segment's, with `before` and `after` around it. */
static bool segments_is_name(const op_segments *s, const char *name, const char *before,
                             const char *after)
{
    size_t stem = strlen(s->stem), lead = strlen(before);

    if (strncmp(name, before, lead) != 0 || strncmp(name + lead, s->stem, stem) != 0)
        return false;
    name += lead + stem;
    if (*name == '-') {
        size_t digits = strspn(name + 1, "0123456789");
        if (digits < SEGMENTS_DIGITS)
            return false;
        name += 1 + digits;
    }
    return strncmp(name, s->ending, strlen(s->ending)) == 0 &&
           strcmp(name + strlen(s->ending), after) == 0;
}

/* Remove what a killed process left unfinished, and, to begin anew, everything. */
static df_status segments_sweep(op_segments *s, bool published, df_error *err)
{
    DIR *folder = opendir(s->folder);
    df_status status = DF_OK;
    struct dirent *entry;

    if (folder == NULL)
        return op_file_fail(err, s->folder, errno);
    while (status == DF_OK && (entry = readdir(folder)) != NULL) {
        if (!segments_is_name(s, entry->d_name, ".", SEGMENTS_UNFINISHED) &&
            !(published && segments_is_name(s, entry->d_name, "", "")))
            continue;
        if (unlinkat(dirfd(folder), entry->d_name, 0) != 0 && errno != ENOENT)
            status = df_fail(err, DF_EIO, "%s%s: %s", s->folder, entry->d_name, strerror(errno));
    }
    closedir(folder);
    return status;
}

/* ---- life ---- */

static df_status segments_split(op_segments *s, const char *path, df_error *err)
{
    const char *base = strrchr(path, '/'), *dot;

    base = base == NULL ? path : base + 1;
    if (strlen(path) >= OP_SINK_PATH_MAX)
        return df_fail(err, DF_ELIMIT, "%s: the path is too long", path);
    dot = strrchr(base, '.');
    if (dot == NULL || dot == base)
        dot = base + strlen(base);
    (void)snprintf(s->folder, sizeof(s->folder), "%.*s", (int)(base - path), path);
    if (base == path)
        (void)snprintf(s->folder, sizeof(s->folder), "./");
    (void)snprintf(s->stem, sizeof(s->stem), "%.*s", (int)(dot - base), base);
    (void)snprintf(s->ending, sizeof(s->ending), "%s", dot);
    return DF_OK;
}

df_status op_segments_open(op_segments **out, const char *path, bool resume, df_error *err)
{
    op_segments *s = calloc(1, sizeof(*s));
    struct stat about;
    df_status status;

    *out = NULL;
    if (s == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    s->lock = -1;
    s->last = &s->first;
    s->direct = stat(path, &about) == 0 && !S_ISREG(about.st_mode);
    status = segments_split(s, path, err);
    if (status == DF_OK && s->direct && resume)
        status = df_fail(err, DF_ECORRUPT, "%s: not a regular file", path);
    if (status == DF_OK && !s->direct)
        status = op_file_lock_beside(path, &s->lock, err);
    if (status == DF_OK && !s->direct)
        status = segments_sweep(s, !resume, err);
    if (status == DF_OK) {
        *out = s;
        return DF_OK;
    }
    op_file_unlock_beside(path, &s->lock);
    free(s);
    return status;
}

df_status op_segments_check(op_segments *s, df_error *err)
{
    int code = atomic_load(&s->broken);
    char name[SEGMENTS_NAME_MAX];

    if (code == 0)
        return DF_OK;
    segments_put_name(s, (op_segment){ .first = true }, "", "", name);
    return op_file_fail(err, name, code);
}

df_status op_segments_begin(op_segments *s, op_segment segment, df_error *err)
{
    segments_one *one = malloc(sizeof(*one));

    if (one == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", op_segments_name(s, segment));
    *one = (segments_one){ .segment = segment };
    one->descriptor = open(op_segments_unfinished(s, segment), O_WRONLY | O_CREAT | O_CLOEXEC,
                           0666);
    if (one->descriptor < 0) {
        free(one);
        return op_file_fail(err, op_segments_name(s, segment), errno);
    }
    s->begun = one;
    return DF_OK;
}

void op_segments_end(op_segments *s)
{
    *s->last = s->begun;
    s->last = &s->begun->next;
    s->begun = NULL;
}

static void segments_remove(op_segments *s, segments_one *one)
{
    close(one->descriptor);
    if (!s->direct)
        (void)unlink(op_segments_unfinished(s, one->segment));
    free(one);
}

void op_segments_drop(op_segments *s)
{
    if (s->begun != NULL)
        segments_remove(s, s->begun);
    s->begun = NULL;
}

/* ---- publishing ---- */

/* Give the oldest its name, durably if asked. Returns 0 or an errno. */
static int segments_publish(op_segments *s, bool durable, df_error *err)
{
    segments_one *one = s->first;
    char from[SEGMENTS_NAME_MAX], to[SEGMENTS_NAME_MAX];
    int code = 0;

    segments_put_name(s, one->segment, ".", SEGMENTS_UNFINISHED, from);
    segments_put_name(s, one->segment, "", "", to);
    if ((durable && fdatasync(one->descriptor) != 0) || (!s->direct && rename(from, to) != 0))
        code = errno;
    if (code != 0)
        (void)op_file_fail(err, to, code);
    else if (durable && op_file_sync_name(to, err) != DF_OK)
        code = EIO;
    if (code != 0)
        return code;
    s->first = one->next;
    if (s->first == NULL)
        s->last = &s->first;
    close(one->descriptor);
    free(one);
    return 0;
}

static df_status segments_publish_all(op_segments *s, bool durable, df_error *err)
{
    df_status status = op_segments_check(s, err);

    while (status == DF_OK && s->first != NULL) {
        int code = segments_publish(s, durable, err);
        if (code == 0)
            continue;
        atomic_store(&s->broken, code);
        status = DF_EIO;
    }
    return status;
}

df_status op_segments_sync(op_segments *s, df_error *err)
{
    df_status status = segments_publish_all(s, true, err);
    char name[SEGMENTS_NAME_MAX];

    if (status != DF_OK || s->name_synced)
        return status;
    segments_put_name(s, (op_segment){ .first = true }, "", "", name);
    status = op_file_sync_name(name, err);
    if (status != DF_OK)
        atomic_store(&s->broken, EIO);
    s->name_synced = status == DF_OK;
    return status;
}

df_status op_segments_close(op_segments **segments, bool durable, df_error *err)
{
    op_segments *s = *segments;
    df_status status;

    if (s == NULL)
        return DF_OK;
    op_segments_drop(s);
    status = segments_publish_all(s, durable, err);
    while (s->first != NULL) {
        segments_one *one = s->first;
        s->first = one->next;
        segments_remove(s, one);
    }
    op_file_unlock_beside(op_segments_name(s, (op_segment){ .first = true }), &s->lock);
    free(s);
    *segments = NULL;
    return status;
}
