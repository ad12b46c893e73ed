#include "coordinator/coord_prints.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct coord_prints_writer {
    int fd;
    char *path;
    coord_prints_head head;
    uint32_t *stream_of; /* [plan streams] -> head stream, or DF_NONE */
    const df_stream_print **found; /* [head streams]: scratch of one step */
    char *line;                    /* room for the longest */
    size_t line_size;
    uint64_t written;              /* bytes, since it was opened */
    bool sums;
};

/* ---- the head ---- */

static df_status head_stream(coord_prints_stream *to, const df_stream *from, df_error *err)
{
    size_t size = 3;

    for (uint32_t i = 0; i < from->schema.column_count; i++)
        size += strlen(from->schema.columns[i].name) + 1;
    to->columns = malloc(size);
    if (to->columns == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    snprintf(to->name, sizeof to->name, "%s", from->name);
    to->key_groups = from->partition.key_groups;
    to->column_count = from->schema.column_count + 1;
    strcpy(to->columns, "id");
    for (uint32_t i = 0; i < from->schema.column_count; i++) {
        strcat(to->columns, " ");
        strcat(to->columns, from->schema.columns[i].name);
    }
    return DF_OK;
}

df_status coord_prints_head_init(coord_prints_head *head, const df_plan *plan, bool all,
                                 df_error *err)
{
    uint32_t count = all ? plan->stream_count : plan->state_count;

    *head = (coord_prints_head){ .seed = plan->job.seed,
                                 .plan = { plan->hash[0], plan->hash[1] } };
    snprintf(head->job, sizeof head->job, "%s", plan->job.name);
    head->streams = calloc(count + 1, sizeof *head->streams);
    if (head->streams == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t stream = all ? i : plan->states[i].stream;

        if (head_stream(&head->streams[head->stream_count], &plan->streams[stream], err) != DF_OK)
            return DF_ENOMEM;
        head->stream_count++;
    }
    return DF_OK;
}

void coord_prints_head_fini(coord_prints_head *head)
{
    for (uint32_t i = 0; i < head->stream_count; i++)
        free(head->streams[i].columns);
    free(head->streams);
    *head = (coord_prints_head){ 0 };
}

uint32_t coord_prints_find(const coord_prints_head *head, const char *name)
{
    for (uint32_t i = 0; i < head->stream_count; i++)
        if (strcmp(head->streams[i].name, name) == 0)
            return i;
    return DF_NONE;
}

/* ---- lines ---- */

static char *put_hex(char *to, uint64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--)
        *to++ = "0123456789abcdef"[value >> (4 * i) & 15];
    return to;
}

static char *put_field(char *to, const df_stream_print *print)
{
    *to++ = ' ';
    if (print == NULL) {
        *to++ = '-';
        return to;
    }
    for (uint32_t i = 0; i < print->column_count; i++)
        to = put_hex(to, coord_prints_of_column(print->columns[i]), 16);
    *to++ = ':';
    for (uint32_t i = 0; i < print->key_groups; i++)
        to = put_hex(to, coord_prints_of_group(print->groups[i]), 8);
    return to;
}

static df_status write_all(coord_prints_writer *w, const char *text, size_t size,
                           df_error *err)
{
    while (size > 0) {
        ssize_t done = write(w->fd, text, size);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return df_fail(err, DF_EIO, "%s: %s", w->path, strerror(errno));
        text += done;
        size -= (size_t)done;
        w->written += (uint64_t)done;
    }
    return DF_OK;
}

static df_status write_head(coord_prints_writer *w, df_error *err)
{
    const coord_prints_head *head = &w->head;
    char *text = NULL;
    size_t size = 0;
    df_status s;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    fprintf(out, "weir fingerprints %d\njob %s\nseed %llu\nplan %016llx%016llx\n",
            COORD_PRINTS_VERSION, head->job, (unsigned long long)head->seed,
            (unsigned long long)head->plan.high, (unsigned long long)head->plan.low);
    for (uint32_t i = 0; i < head->stream_count; i++)
        fprintf(out, "stream %s %u %s\n", head->streams[i].name, head->streams[i].key_groups,
                head->streams[i].columns);
    if (fclose(out) == 0)
        s = write_all(w, text, size, err);
    else
        s = df_fail(err, DF_ENOMEM, "out of memory");
    free(text);
    return s;
}

df_status coord_prints_put(coord_prints_writer *w, const df_step_print *print, df_error *err)
{
    char *to = w->line;

    for (uint32_t i = 0; i < w->head.stream_count; i++)
        w->found[i] = NULL;
    for (uint32_t i = 0; i < print->stream_count; i++)
        if (w->stream_of[print->streams[i].stream] != DF_NONE)
            w->found[w->stream_of[print->streams[i].stream]] = &print->streams[i];
    to += sprintf(to, "%llu ", (unsigned long long)print->step);
    to = put_hex(to, print->total.high, 16);
    to = put_hex(to, print->total.low, 16);
    for (uint32_t i = 0; i < w->head.stream_count; i++)
        to = put_field(to, w->found[i]);
    if (w->sums) {
        uint64_t sum = coord_prints_sum_of(w->line, (size_t)(to - w->line));

        *to++ = ' ';
        *to++ = '=';
        to = put_hex(to, sum, 16);
    }
    *to++ = '\n';
    return write_all(w, w->line, (size_t)(to - w->line), err);
}

/* ---- life ---- */

static bool writer_alloc(coord_prints_writer *w, const char *path, const df_plan *plan)
{
    w->line_size = 64 + COORD_PRINTS_SUM_SIZE;
    for (uint32_t i = 0; i < w->head.stream_count; i++)
        w->line_size += 2 + 16 * (size_t)w->head.streams[i].column_count +
                        8 * (size_t)w->head.streams[i].key_groups;
    w->line = malloc(w->line_size);
    w->path = strdup(path);
    w->stream_of = calloc(plan->stream_count + 1, sizeof *w->stream_of);
    w->found = calloc(w->head.stream_count + 1, sizeof *w->found);
    if (w->line == NULL || w->path == NULL || w->stream_of == NULL || w->found == NULL)
        return false;
    for (uint32_t i = 0; i < plan->stream_count; i++)
        w->stream_of[i] = coord_prints_find(&w->head, plan->streams[i].name);
    return true;
}

static void writer_free(coord_prints_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    coord_prints_head_fini(&w->head);
    free(w->line);
    free(w->path);
    free(w->stream_of);
    free(w->found);
    free(w);
}

/* The bytes of the head and of the steps below `step`. */
static df_status kept_size(const char *path, const df_plan *plan, uint64_t step, off_t *size,
                           df_error *err)
{
    FILE *file = coord_prints_file(path, err);
    coord_prints_reader *reader;
    coord_prints_step read;
    df_status s;

    if (file == NULL)
        return DF_EIO;
    s = coord_prints_open(&reader, file, path, err);
    if (s != DF_OK)
        return s;
    if (coord_prints_head_of(reader)->plan.high != plan->hash[0] ||
        coord_prints_head_of(reader)->plan.low != plan->hash[1])
        s = df_fail(err, DF_EINVAL, "%s belongs to another job", path);
    for (uint64_t i = 0; s == DF_OK && i < step; i++)
        s = coord_prints_next(reader, &read, err);
    if (s == DF_END)
        s = df_fail(err, DF_ECORRUPT, "%s ends before step %llu", path, (unsigned long long)step);
    *size = (off_t)coord_prints_offset(reader);
    coord_prints_free(&reader);
    return s;
}

/* Open the file, emptied (keep < 0) or cut to `keep` bytes. */
static df_status writer_open(coord_prints_writer **out, const char *path, const df_plan *plan, bool all,
                             off_t keep, df_error *err)
{
    coord_prints_writer *w = calloc(1, sizeof *w);
    int flags = O_WRONLY | O_CLOEXEC | (keep < 0 ? O_CREAT | O_TRUNC : O_APPEND);
    df_status s;

    *out = NULL;
    if (w == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    w->fd = -1;
    s = coord_prints_head_init(&w->head, plan, all, err);
    if (s != DF_OK)
        goto out;
    if (!writer_alloc(w, path, plan)) {
        s = df_fail(err, DF_ENOMEM, "out of memory");
        goto out;
    }
    w->fd = open(path, flags, 0666);
    if (w->fd < 0 || (keep >= 0 && ftruncate(w->fd, keep) != 0)) {
        s = df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (keep < 0)
        s = write_head(w, err);
    if (s != DF_OK)
        goto out;
    *out = w;
    w = NULL;
out:
    if (w != NULL)
        writer_free(w);
    return s;
}

df_status coord_prints_create(coord_prints_writer **out, const char *path, const df_plan *plan,
                              bool all, df_error *err)
{
    return writer_open(out, path, plan, all, -1, err);
}

df_status coord_prints_resume(coord_prints_writer **out, const char *path, const df_plan *plan,
                              bool all, uint64_t step, df_error *err)
{
    off_t keep = 0;
    df_status s = kept_size(path, plan, step, &keep, err);

    *out = NULL;
    return s == DF_OK ? writer_open(out, path, plan, all, keep, err) : s;
}

void coord_prints_sum(coord_prints_writer *writer)
{
    writer->sums = true;
}

uint64_t coord_prints_size(const coord_prints_writer *writer)
{
    return writer->written;
}

df_status coord_prints_close(coord_prints_writer **writer, df_error *err)
{
    coord_prints_writer *w = *writer;
    df_status s = DF_OK;
    int fd;

    if (w == NULL)
        return DF_OK;
    *writer = NULL;
    fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0)
        s = df_fail(err, DF_EIO, "%s: %s", w->path, strerror(errno));
    writer_free(w);
    return s;
}
