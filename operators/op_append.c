/* A file that grows by appending.
 *
 * A mark: version u8 | offset u64 | boot id [36] | the last bytes before the offset, a blob of up
 * to APPEND_TAIL. They tell another file from this one, which its size alone does not. */
#include "operators/op_append.h"
#include "operators/op_file.h"

#include "dataflow/df_bytes.h"
#include "dataflow/df_failpoint.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPEND_VERSION 1
#define APPEND_TAIL 64
#define APPEND_COMPARE (64u * 1024) /* bytes compared at a time */

_Static_assert(1 + 8 + OP_FILE_BOOT_SIZE + 4 + APPEND_TAIL <= WEIR_MARK_MAX, "a mark fits");

/* The last bytes before a place in the file. */
typedef struct append_tail {
    size_t size;
    uint8_t bytes[APPEND_TAIL];
} append_tail;

struct op_append {
    int descriptor;
    bool regular;
    bool kept;           /* a mark was taken, or gone on from: bytes never go away again */
    bool rebooted;       /* since the mark that was gone on from */
    bool name_synced;    /* op_append_sync's own */
    uint64_t position;   /* of the next byte */
    uint64_t end;        /* of the bytes that the file holds; at least position */
    uint64_t whole;      /* the end of the last whole record */
    append_tail at_position, at_whole;
    atomic_int broken;   /* the errno of a failed sync; nothing is promised any more */
    char *path;
    uint8_t there[APPEND_COMPARE];
};

/* ---- marks ---- */

static df_status append_read_mark(op_append *file, const weir_mark *mark, df_error *err)
{
    char boot[OP_FILE_BOOT_SIZE];
    const uint8_t *boot_then, *tail;
    df_cursor cursor;
    uint8_t version;

    df_cursor_init(&cursor, mark->bytes, mark->size <= WEIR_MARK_MAX ? mark->size : 0);
    version = df_get_u8(&cursor);
    file->position = df_get_u64(&cursor);
    boot_then = df_get_bytes(&cursor, sizeof(boot));
    tail = df_get_blob(&cursor, APPEND_TAIL, &file->at_position.size);
    if (!df_get_end(&cursor) || version != APPEND_VERSION || file->position > INT64_MAX ||
        file->at_position.size > file->position)
        return df_fail(err, DF_ECORRUPT, "%s: the snapshot holds no mark of such a file", file->path);
    memcpy(file->at_position.bytes, tail, file->at_position.size);
    op_file_boot(boot);
    file->rebooted = memcmp(boot, boot_then, sizeof(boot)) != 0;
    return DF_OK;
}

df_status op_append_mark(op_append *file, weir_mark *mark, df_error *err)
{
    char boot[OP_FILE_BOOT_SIZE];
    df_writer writer;

    if (atomic_load(&file->broken) != 0)
        return op_file_broken(err, file->path, atomic_load(&file->broken));
    if (!file->regular)
        return df_fail(err, DF_ENOTSUP, "%s: not a regular file: it cannot go on after a restart",
                       file->path);
    file->kept = true;
    op_file_boot(boot);
    df_writer_init(&writer, mark->bytes, sizeof(mark->bytes));
    df_put_u8(&writer, APPEND_VERSION);
    df_put_u64(&writer, file->whole);
    df_put_bytes(&writer, boot, sizeof(boot));
    df_put_blob(&writer, file->at_whole.bytes, file->at_whole.size);
    assert(df_writer_ok(&writer));
    mark->size = (uint32_t)writer.size;
    return DF_OK;
}

/* ---- opening ---- */

/* Read exactly `size` bytes at `offset`, which the file holds. */
static df_status append_read(op_append *file, uint64_t offset, void *bytes, size_t size,
                             df_error *err)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = pread(file->descriptor, (char *)bytes + done, size - done,
                          (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return op_file_fail(err, file->path, errno);
        if (n == 0)
            return df_fail(err, DF_EIO, "%s: somebody else has cut it to less than %llu bytes",
                           file->path, (unsigned long long)(offset + size));
        done += (size_t)n;
    }
    return DF_OK;
}

/* Stand at the mark, if this can be its file. */
static df_status append_resume(op_append *file, const weir_mark *mark, df_error *err)
{
    append_tail *tail = &file->at_position;
    df_status status = append_read_mark(file, mark, err);

    if (status != DF_OK)
        return status;
    if (file->end < file->position)
        return df_fail(err, DF_ECORRUPT, "%s: %llu bytes, expected at least %llu: the snapshot was "
                       "made when it held them", file->path, (unsigned long long)file->end,
                       (unsigned long long)file->position);
    status = append_read(file, file->position - tail->size, file->there, tail->size, err);
    if (status != DF_OK)
        return status;
    if (memcmp(file->there, tail->bytes, tail->size) != 0)
        return df_fail(err, DF_ECORRUPT, "%s: other bytes before offset %llu than when the snapshot "
                       "was made: this is not its file", file->path,
                       (unsigned long long)file->position);
    file->kept = true;
    file->whole = file->position;
    file->at_whole = *tail;
    return lseek(file->descriptor, (off_t)file->position, SEEK_SET) < 0
               ? op_file_fail(err, file->path, errno) : DF_OK;
}

static df_status append_start(op_append *file, const weir_mark *resume, df_error *err)
{
    struct stat about;
    df_status status;

    if (fstat(file->descriptor, &about) != 0)
        return op_file_fail(err, file->path, errno);
    file->regular = S_ISREG(about.st_mode);
    if (!file->regular)
        return resume == NULL ? DF_OK
                              : df_fail(err, DF_ECORRUPT, "%s: not a regular file", file->path);
    status = op_file_lock(file->descriptor, file->path, err);
    if (status != DF_OK)
        return status;
    if (resume == NULL)
        return ftruncate(file->descriptor, 0) == 0 ? DF_OK : op_file_fail(err, file->path, errno);
    if (fstat(file->descriptor, &about) != 0) /* again: now nobody else writes it */
        return op_file_fail(err, file->path, errno);
    file->end = (uint64_t)about.st_size;
    return append_resume(file, resume, err);
}

df_status op_append_open(op_append **out, const char *path, const weir_mark *resume, df_error *err)
{
    op_append *file = calloc(1, sizeof(*file));
    struct stat about;
    df_status status;
    int flags = resume == NULL ? O_RDWR | O_CREAT : O_RDWR;

    *out = NULL;
    if (file != NULL)
        file->path = strdup(path);
    if (file == NULL || file->path == NULL) {
        free(file);
        return df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    }
    /* A pipe opened for both would have its own writer for a reader. */
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode))
        flags = O_WRONLY;
    file->descriptor = open(path, flags | O_CLOEXEC, 0666);
    status = file->descriptor < 0 ? op_file_fail(err, path, errno) : append_start(file, resume, err);
    if (status == DF_OK) {
        *out = file;
        return DF_OK;
    }
    if (file->descriptor >= 0)
        close(file->descriptor);
    free(file->path);
    free(file);
    return status;
}

/* ---- writing ---- */

static void append_advance(op_append *file, const uint8_t *bytes, size_t size)
{
    append_tail *tail = &file->at_position;
    size_t add = size < APPEND_TAIL ? size : APPEND_TAIL;
    size_t keep = tail->size < APPEND_TAIL - add ? tail->size : APPEND_TAIL - add;

    memmove(tail->bytes, tail->bytes + tail->size - keep, keep);
    memcpy(tail->bytes + keep, bytes + size - add, add);
    tail->size = keep + add;
    file->position += size;
    if (file->end < file->position)
        file->end = file->position;
}

static df_status append_put(op_append *file, const uint8_t *bytes, size_t size, df_error *err)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = write(file->descriptor, bytes + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return op_file_fail(err, file->path, errno);
        append_advance(file, bytes + done, (size_t)n);
        done += (size_t)n;
        if (df_failpoint(DF_FAILPOINT_sink_append, err) != DF_OK)
            return DF_EIO;
    }
    return DF_OK;
}

/* How many of the bytes at the position stand there already: *same <= size, less only where the
 * file ends or was ended. */
static df_status append_compare(op_append *file, const uint8_t *bytes, size_t size, size_t *same,
                                df_error *err)
{
    uint64_t left = file->end - file->position;
    size_t expected = left < size ? (size_t)left : size;
    df_status status;

    expected = expected < APPEND_COMPARE ? expected : APPEND_COMPARE;
    *same = 0;
    status = append_read(file, file->position, file->there, expected, err);
    if (status != DF_OK)
        return status;
    while (*same < expected && bytes[*same] == file->there[*same])
        ++*same;
    if (*same == expected)
        return DF_OK;
    if (!file->rebooted)
        return df_fail(err, DF_ECORRUPT, "%s: other bytes at offset %llu than are written now: this "
                       "is not the output of the same run", file->path,
                       (unsigned long long)(file->position + *same));
    if (ftruncate(file->descriptor, (off_t)(file->position + *same)) != 0)
        return op_file_fail(err, file->path, errno);
    file->end = file->position + *same;
    return DF_OK;
}

df_status op_append_write(op_append *file, const void *bytes, size_t size, df_error *err)
{
    const uint8_t *from = bytes;
    df_status status = DF_OK;

    if (atomic_load(&file->broken) != 0)
        return op_file_broken(err, file->path, atomic_load(&file->broken));
    while (status == DF_OK && size > 0) {
        size_t part = size;
        if (file->regular && file->position < file->end) {
            status = append_compare(file, from, size, &part, err);
            if (status != DF_OK)
                return status;
        }
        status = append_put(file, from, part, err);
        from += part;
        size -= part;
    }
    return status;
}

void op_append_whole(op_append *file)
{
    file->whole = file->position;
    file->at_whole = file->at_position;
}

void op_append_undo(op_append *file)
{
    if (file->position == file->whole)
        return;
    file->position = file->whole;
    file->at_position = file->at_whole;
    if (!file->regular)
        return; /* it cannot be cut, and holds no incomplete record either */
    if (!file->kept && ftruncate(file->descriptor, (off_t)file->whole) == 0)
        file->end = file->whole;
    if (lseek(file->descriptor, (off_t)file->whole, SEEK_SET) < 0)
        atomic_store(&file->broken, errno);
}

/* ---- the end ---- */

df_status op_append_sync(op_append *file, df_error *err)
{
    df_status status;

    if (atomic_load(&file->broken) != 0)
        return op_file_broken(err, file->path, atomic_load(&file->broken));
    status = df_failpoint(DF_FAILPOINT_sink_sync, err);
    if (status != DF_OK) {
        atomic_store(&file->broken, EIO);
        return status;
    }
    if (fdatasync(file->descriptor) != 0) {
        atomic_store(&file->broken, errno);
        return op_file_fail(err, file->path, atomic_load(&file->broken));
    }
    if (file->name_synced)
        return DF_OK;
    status = op_file_sync_name(file->path, err);
    if (status != DF_OK)
        atomic_store(&file->broken, EIO);
    file->name_synced = status == DF_OK;
    return status;
}

df_status op_append_close(op_append **out, df_error *err)
{
    op_append *file = *out;
    df_status status = DF_OK;

    if (file == NULL)
        return DF_OK;
    if (atomic_load(&file->broken) != 0)
        status = op_file_broken(err, file->path, atomic_load(&file->broken));
    if (close(file->descriptor) != 0 && status == DF_OK)
        status = op_file_fail(err, file->path, errno);
    free(file->path);
    free(file);
    *out = NULL;
    return status;
}
