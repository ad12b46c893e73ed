#include "coordinator/coord_prints.h"

#include "snapshot/snap_hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_LINE_MAX (COORD_PRINTS_NAME_MAX + (WEIR_COLUMNS_MAX + 2) * WEIR_NAME_MAX)

struct coord_prints_reader {
    FILE *file;
    const char *path;
    uint64_t line; /* the number of the line in `text` */
    char *text;    /* the line, its end cut off */
    size_t size, length;
    size_t length_max; /* of a line: known from the head */
    bool unread;       /* the line was looked at and goes to the next caller */
    coord_prints_head head;
    const char **fields; /* [head streams] */
    bool started;
    uint64_t step_next;
};

static df_status reader_wrong(const coord_prints_reader *r, df_error *err, const char *what)
{
    return df_fail(err, DF_ECORRUPT, "%s:%llu: %s", r->path, (unsigned long long)r->line, what);
}

/* ---- lines ---- */

static df_status reader_grow(coord_prints_reader *r, df_error *err)
{
    size_t size = r->size == 0 ? 4096 : 2 * r->size;
    char *text = realloc(r->text, size);

    if (text == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", r->path);
    r->text = text;
    r->size = size;
    return DF_OK;
}

/* Read a line into r->text. DF_END: no line, or one without an end. */
static df_status reader_line(coord_prints_reader *r, df_error *err)
{
    int c;

    if (r->unread) {
        r->unread = false;
        return DF_OK;
    }
    r->line++;
    for (r->length = 0; (c = getc_unlocked(r->file)) != EOF && c != '\n';) {
        if (c == '\0')
            return reader_wrong(r, err, "a zero byte: this is not a recording of fingerprints");
        if (r->length == r->length_max)
            return reader_wrong(r, err, "the line is too long");
        if (r->length + 1 >= r->size && reader_grow(r, err) != DF_OK)
            return DF_ENOMEM;
        r->text[r->length++] = (char)c;
    }
    if (c == EOF && ferror(r->file))
        return df_fail(err, DF_EIO, "%s: %s", r->path, strerror(errno));
    if (r->size == 0 && reader_grow(r, err) != DF_OK)
        return DF_ENOMEM;
    r->text[r->length] = '\0';
    return c == EOF ? DF_END : DF_OK;
}

/* ---- words ---- */

/* Cut the next word off *text: up to a single space or the end. Null: there is none. */
static char *word_next(char **text)
{
    char *word = *text, *end;

    if (word == NULL || *word == '\0' || *word == ' ')
        return NULL;
    end = strchr(word, ' ');
    if (end != NULL)
        *end++ = '\0';
    *text = end;
    return word;
}

static bool word_number(const char *word, uint64_t most, uint64_t *value)
{
    uint64_t n = 0;

    if (word == NULL || word[0] == '\0' || (word[0] == '0' && word[1] != '\0'))
        return false;
    for (; *word != '\0'; word++) {
        uint64_t digit = (uint64_t)(unsigned char)*word - '0';

        if (digit > 9 || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *value = n;
    return n <= most;
}

static uint64_t hex_value(const char *text, uint32_t digits)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < digits; i++)
        value = value << 4 | (uint64_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
    return value;
}

static bool hex_is(const char *text, size_t digits)
{
    for (size_t i = 0; i < digits; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    return true;
}

static bool word_hash(const char *word, df_hash *hash)
{
    if (word == NULL || strlen(word) != 32 || !hex_is(word, 32))
        return false;
    *hash = (df_hash){ hex_value(word, 16), hex_value(word + 16, 16) };
    return true;
}

uint64_t coord_prints_column(const char *field, uint32_t column)
{
    return hex_value(field + 16 * (size_t)column, 16);
}

uint32_t coord_prints_group(const coord_prints_stream *stream, const char *field, uint32_t group)
{
    return (uint32_t)hex_value(field + 16 * (size_t)stream->column_count + 1 + 8 * (size_t)group, 8);
}

/* ---- the head ---- */

/* The text behind `key` and a space on the next line, or null. */
static char *head_value(coord_prints_reader *r, const char *key, df_status *s, df_error *err)
{
    size_t len = strlen(key);

    *s = reader_line(r, err);
    if (*s == DF_END)
        *s = reader_wrong(r, err, "the recording ends before its first step");
    if (*s != DF_OK)
        return NULL;
    return strncmp(r->text, key, len) == 0 && r->text[len] == ' ' ? r->text + len + 1 : NULL;
}

static df_status head_job(coord_prints_reader *r, df_error *err)
{
    df_status s;
    uint64_t number;
    char *value = head_value(r, "weir fingerprints", &s, err);

    if (s != DF_OK)
        return s;
    if (value == NULL || !word_number(value, UINT64_MAX, &number))
        return reader_wrong(r, err, "this is not a recording of fingerprints");
    if (number != COORD_PRINTS_VERSION)
        return reader_wrong(r, err, "this recording has a format that this weir does not know");
    value = head_value(r, "job", &s, err);
    if (s != DF_OK)
        return s;
    if (value == NULL || value[0] == '\0' || strlen(value) >= sizeof r->head.job)
        return reader_wrong(r, err, "expected \"job\" and its name");
    strcpy(r->head.job, value);
    value = head_value(r, "seed", &s, err);
    if (s != DF_OK)
        return s;
    if (!word_number(value, UINT64_MAX, &r->head.seed))
        return reader_wrong(r, err, "expected \"seed\" and a whole number");
    value = head_value(r, "plan", &s, err);
    if (s != DF_OK)
        return s;
    if (!word_hash(value, &r->head.plan))
        return reader_wrong(r, err, "expected \"plan\" and 32 hexadecimal digits");
    return DF_OK;
}

/* Names of columns, separated by single spaces; counts them. */
static bool columns_are(const char *text, uint32_t *count)
{
    char last = ' ';

    *count = 1;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == ' ' && last == ' ')
            return false;
        *count += *c == ' ';
        last = *c;
    }
    return last != ' ' && *count <= WEIR_COLUMNS_MAX + 1;
}

static df_status head_stream(coord_prints_reader *r, char *value, df_error *err)
{
    coord_prints_stream *streams = r->head.streams, *stream;
    uint64_t groups;
    uint32_t columns;
    char *name = word_next(&value), *number = word_next(&value);

    if (name == NULL || strlen(name) >= COORD_PRINTS_NAME_MAX || value == NULL ||
        !word_number(number, DF_KEY_GROUPS_MAX, &groups) || groups == 0 ||
        !columns_are(value, &columns))
        return reader_wrong(r, err, "expected \"stream\", its name, key groups and columns");
    if (coord_prints_find(&r->head, name) != DF_NONE)
        return reader_wrong(r, err, "this stream was there before");
    if (r->head.stream_count == COORD_PRINTS_STREAMS_MAX)
        return reader_wrong(r, err, "too many streams");
    streams = realloc(streams, (r->head.stream_count + 1) * sizeof *streams);
    if (streams == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", r->path);
    r->head.streams = streams;
    stream = &streams[r->head.stream_count];
    *stream = (coord_prints_stream){ .key_groups = (uint32_t)groups, .column_count = columns,
                                     .columns = strdup(value) };
    if (stream->columns == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", r->path);
    strcpy(stream->name, name);
    r->head.stream_count++;
    return DF_OK;
}

static df_status head_read(coord_prints_reader *r, df_error *err)
{
    df_status s = head_job(r, err);

    r->length_max = HEAD_LINE_MAX;
    while (s == DF_OK) {
        s = reader_line(r, err);
        if (s != DF_OK || strncmp(r->text, "stream ", 7) != 0)
            break;
        s = head_stream(r, r->text + 7, err);
    }
    if (s != DF_OK && s != DF_END)
        return s;
    r->unread = s == DF_OK;
    if (r->head.stream_count == 0)
        return reader_wrong(r, err, "expected \"stream\", its name, key groups and columns");
    r->fields = calloc(r->head.stream_count, sizeof *r->fields);
    if (r->fields == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", r->path);
    r->length_max = 64 + COORD_PRINTS_SUM_SIZE;
    for (uint32_t i = 0; i < r->head.stream_count; i++)
        r->length_max += 2 + 16 * (size_t)r->head.streams[i].column_count +
                         8 * (size_t)r->head.streams[i].key_groups;
    return DF_OK;
}

/* ---- steps ---- */

static bool field_is(const coord_prints_stream *stream, const char *field)
{
    size_t columns = 16 * (size_t)stream->column_count, groups = 8 * (size_t)stream->key_groups;

    return strlen(field) == columns + 1 + groups && field[columns] == ':' &&
           hex_is(field, columns) && hex_is(field + columns + 1, groups);
}

uint64_t coord_prints_sum_of(const char *line, size_t size)
{
    return snap_hash(line, size).high;
}

/* Cut a line's sum off, if it has one. False: it is another one's. */
static bool sum_is_right(coord_prints_reader *r)
{
    size_t before = r->length - COORD_PRINTS_SUM_SIZE;

    if (r->length < COORD_PRINTS_SUM_SIZE || strncmp(r->text + before, " =", 2) != 0)
        return true;
    if (!hex_is(r->text + before + 2, 16) ||
        hex_value(r->text + before + 2, 16) != coord_prints_sum_of(r->text, before))
        return false;
    r->text[before] = '\0';
    return true;
}

df_status coord_prints_next(coord_prints_reader *r, coord_prints_step *step, df_error *err)
{
    df_status s = reader_line(r, err);
    char *text = r->text;

    if (s != DF_OK)
        return s;
    if (!sum_is_right(r))
        return reader_wrong(r, err, "the line was damaged: it is not what was written");
    if (!word_number(word_next(&text), DF_STEPS_MAX, &step->step))
        return reader_wrong(r, err, "expected a step");
    if (!word_hash(word_next(&text), &step->total))
        return reader_wrong(r, err, "expected the step's fingerprint, 32 hexadecimal digits");
    for (uint32_t i = 0; i < r->head.stream_count; i++) {
        char *field = word_next(&text);

        if (field == NULL || (strcmp(field, "-") != 0 && !field_is(&r->head.streams[i], field)))
            return reader_wrong(r, err, "a stream's fingerprints are missing or have a wrong length");
        r->fields[i] = strcmp(field, "-") == 0 ? NULL : field;
    }
    if (text != NULL)
        return reader_wrong(r, err, "there is more on the line than the streams' fingerprints");
    if (r->started && step->step != r->step_next)
        return df_fail(err, DF_ECORRUPT, "%s:%llu: holds step %llu where step %llu should be", r->path,
                       (unsigned long long)r->line, (unsigned long long)step->step,
                       (unsigned long long)r->step_next);
    r->started = true;
    r->step_next = step->step + 1;
    step->fields = r->fields;
    return DF_OK;
}

df_status coord_prints_seek(coord_prints_reader *r, uint64_t step, df_error *err)
{
    coord_prints_step passed;
    df_status s = DF_OK;

    while (s == DF_OK) {
        s = reader_line(r, err);
        if (s != DF_OK)
            return s;
        r->unread = true;
        if (strtoull(r->text, NULL, 10) >= step)
            return DF_OK;
        s = coord_prints_next(r, &passed, err);
    }
    return s;
}

uint64_t coord_prints_offset(const coord_prints_reader *r)
{
    off_t at = ftello(r->file);

    return (uint64_t)at - (r->unread ? r->length + 1 : 0);
}

/* ---- life ---- */

FILE *coord_prints_file(const char *path, df_error *err)
{
    FILE *file = fopen(path, "re");

    if (file == NULL)
        df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
    return file;
}

df_status coord_prints_open(coord_prints_reader **out, FILE *file, const char *name, df_error *err)
{
    coord_prints_reader *r = calloc(1, sizeof *r);
    df_status s;

    *out = NULL;
    if (r == NULL) {
        fclose(file);
        return df_fail(err, DF_ENOMEM, "%s: out of memory", name);
    }
    r->file = file;
    r->path = name;
    r->length_max = HEAD_LINE_MAX;
    s = head_read(r, err);
    if (s == DF_OK)
        *out = r;
    else
        coord_prints_free(&r);
    return s;
}

const coord_prints_head *coord_prints_head_of(const coord_prints_reader *reader)
{
    return &reader->head;
}

void coord_prints_free(coord_prints_reader **reader)
{
    coord_prints_reader *r = *reader;

    if (r == NULL)
        return;
    *reader = NULL;
    fclose(r->file);
    coord_prints_head_fini(&r->head);
    free(r->fields);
    free(r->text);
    free(r);
}
