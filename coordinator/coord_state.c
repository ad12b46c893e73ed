#include "coordinator/coord_state.h"

#include "coordinator/coord_rotate.h"
#include "dataflow/df_failpoint.h"
#include "snapshot/snap_hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

df_status coord_state_path(char path[DF_PATH_MAX], const char *folder, const char *name, df_error *err)
{
    int length = snprintf(path, DF_PATH_MAX, "%s/%s", folder, name);

    if (length < 0 || length >= DF_PATH_MAX)
        return df_fail(err, DF_ELIMIT, "%.100s...: the path is too long", folder);
    return DF_OK;
}

/* Make a name durable. */
static df_status state_sync_parent(const char *path, df_error *err)
{
    const char *slash = strrchr(path, '/');
    char parent[DF_PATH_MAX] = ".";
    df_disk disk;

    if (slash != NULL)
        snprintf(parent, sizeof parent, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    df_disk_posix_init(&disk);
    return df_disk_sync_folder(&disk, parent, err);
}

df_status coord_state_make(const char *folder, df_error *err)
{
    char path[DF_PATH_MAX];
    int length = snprintf(path, sizeof path, "%s", folder);
    df_status s = DF_OK;

    if (length <= 0 || length >= DF_PATH_MAX)
        return df_fail(err, DF_EINVAL, "%.100s: expected a path", folder);
    for (char *at = path + 1;; at++) {
        char end = *at;

        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        if (mkdir(path, 0777) == 0)
            s = state_sync_parent(path, err);
        else if (errno != EEXIST)
            s = df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
        if (s != DF_OK)
            return s;
        if (end == '\0')
            return DF_OK;
        *at = '/';
    }
}

/* ---- clearing ---- */

df_status coord_state_clear_folder(const char *path, int depth, df_error *err)
{
    DIR *d = opendir(path);
    df_status s = DF_OK;
    struct dirent *e;

    if (d == NULL)
        return errno == ENOENT ? DF_OK : df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
    while (s == DF_OK && (e = readdir(d)) != NULL) {
        char inner[DF_PATH_MAX];

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        s = coord_state_path(inner, path, e->d_name, err);
        if (s == DF_OK && unlink(inner) != 0) {
            if (errno != EISDIR || depth == 0)
                s = df_fail(err, DF_EIO, "%s: %s", inner, strerror(errno));
            else
                s = coord_state_clear_folder(inner, depth - 1, err);
        }
    }
    closedir(d);
    if (s == DF_OK && rmdir(path) != 0)
        s = df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
    return s;
}

df_status coord_state_clear(const char *folder, df_error *err)
{
    static const char *const names[] = { "endpoint", "workers", "marks", "job.toml", "sets", "inputs", "source", "job.path",
                                         "finished", "ended", "rescales", "nonce", "ticket", "history.a",
                                         "history.b", "lock" };
    char path[DF_PATH_MAX];
    df_status s = coord_state_path(path, folder, "store", err);
    DIR *d = opendir(folder);
    struct dirent *e;

    if (d == NULL && errno == ENOENT)
        return DF_OK;
    if (s == DF_OK)
        s = coord_state_clear_folder(path, 2, err);
    if (s == DF_OK)
        s = coord_state_path(path, folder, "record", err);
    if (s == DF_OK)
        s = coord_state_clear_folder(path, 0, err);
    for (size_t i = 0; s == DF_OK && i < sizeof names / sizeof names[0]; i++)
        coord_state_remove(folder, names[i]);
    while (s == DF_OK && d != NULL && (e = readdir(d)) != NULL)
        if (coord_rotate_is_worker(e->d_name))
            coord_state_remove(folder, e->d_name);
    if (d != NULL)
        closedir(d);
    return s;
}

/* ---- small files ---- */

static bool write_whole(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, bytes, size);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        size -= (size_t)done;
    }
    return true;
}

df_status coord_state_write(const char *folder, const char *name, const void *bytes, size_t size,
                            df_error *err)
{
    char path[DF_PATH_MAX], fresh[DF_PATH_MAX];
    df_status s = coord_state_path(path, folder, name, err);
    bool done;
    int fd;

    if (s == DF_OK && snprintf(fresh, sizeof fresh, "%s.new", path) >= DF_PATH_MAX)
        s = df_fail(err, DF_ELIMIT, "%.100s...: the path is too long", path);
    if (s != DF_OK)
        return s;
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return df_fail(err, DF_EIO, "%s: %s", fresh, strerror(errno));
    done = write_whole(fd, bytes, size) && fsync(fd) == 0;
    if (close(fd) != 0 || !done)
        s = df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_state_file, err);
    if (s == DF_OK && rename(fresh, path) != 0)
        s = df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
    if (s != DF_OK) {
        unlink(fresh);
        return s;
    }
    s = df_failpoint(DF_FAILPOINT_state_named, err);
    return s == DF_OK ? state_sync_parent(path, err) : s;
}

df_status coord_state_read(const char *folder, const char *name, char **out, size_t *size, df_error *err)
{
    char path[DF_PATH_MAX];
    df_status s = coord_state_path(path, folder, name, err);

    *out = NULL;
    *size = 0;
    return s == DF_OK ? coord_state_read_file(path, out, size, err) : s;
}

df_status coord_state_read_file(const char *path, char **out, size_t *size, df_error *err)
{
    FILE *file = fopen(path, "re");
    df_status s = DF_OK;

    *out = NULL;
    *size = 0;
    if (file == NULL)
        return df_fail(err, errno == ENOENT || errno == ENOTDIR ? DF_END : DF_EIO, "%s: %s", path,
                       strerror(errno));
    *out = malloc(COORD_STATE_FILE_MAX + 1);
    if (*out == NULL)
        s = df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    else
        *size = fread(*out, 1, COORD_STATE_FILE_MAX + 1, file);
    if (s == DF_OK && (ferror(file) || *size > COORD_STATE_FILE_MAX))
        s = df_fail(err, DF_EIO, "%s: it cannot be read, or is too long", path);
    fclose(file);
    if (s == DF_OK)
        (*out)[*size] = '\0';
    else {
        free(*out);
        *out = NULL;
        *size = 0;
    }
    return s;
}

void coord_state_remove(const char *folder, const char *name)
{
    char path[DF_PATH_MAX];

    if (coord_state_path(path, folder, name, NULL) == DF_OK)
        unlink(path);
}

/* Line `at` of a text; false: it is not there, or too long. */
static bool line_of(const char *text, int at, char *line, size_t capacity)
{
    size_t size;

    for (int i = 0; i < at; i++) {
        text += strcspn(text, "\n");
        text += *text != '\0';
    }
    size = strcspn(text, "\n");
    snprintf(line, capacity, "%.*s", (int)size, text);
    return size > 0 && size < capacity;
}

df_status coord_state_endpoint(coord_endpoint *endpoint, const char *folder, df_error *err)
{
    char *text;
    size_t size;
    df_status s = coord_state_read(folder, "endpoint", &text, &size, err);

    *endpoint = (coord_endpoint){ 0 };
    if (s != DF_OK)
        return s;
    if (!line_of(text, 0, endpoint->address, sizeof endpoint->address))
        s = df_fail(err, DF_ECORRUPT, "%s/endpoint: expected an address", folder);
    else if (!line_of(text, 1, endpoint->key, sizeof endpoint->key) ||
             !line_of(text, 2, endpoint->keys, sizeof endpoint->keys))
        endpoint->key[0] = endpoint->keys[0] = '\0';
    free(text);
    return s;
}

df_status coord_state_endpoint_write(const coord_endpoint *endpoint, const char *folder, df_error *err)
{
    char text[sizeof *endpoint + 4];
    int size = snprintf(text, sizeof text, "%s\n", endpoint->address);

    if (endpoint->key[0] != '\0')
        size = snprintf(text, sizeof text, "%s\n%s\n%s\n", endpoint->address, endpoint->key,
                        endpoint->keys);
    return coord_state_write(folder, "endpoint", text, (size_t)size, err);
}

/* ---- is it the same folder? ---- */

static void nonce_hash(char hash[COORD_NONCE_TEXT], const void *bytes, size_t size)
{
    df_hash h = snap_hash(bytes, size);

    snprintf(hash, COORD_NONCE_TEXT, "%016" PRIx64 "%016" PRIx64, h.high, h.low);
}

df_status coord_state_nonce_write(char hash[COORD_NONCE_TEXT], const char *folder, df_error *err)
{
    uint8_t bytes[32];

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return df_fail(err, DF_EIO, "no random bytes");
    nonce_hash(hash, bytes, sizeof bytes);
    return coord_state_write(folder, "nonce", bytes, sizeof bytes, err);
}

df_status coord_state_nonce_check(const char *hash, const char *folder, df_error *err)
{
    char *bytes, found[COORD_NONCE_TEXT] = "";
    size_t size;
    df_status s = coord_state_read(folder, "nonce", &bytes, &size, err);

    if (s == DF_OK)
        nonce_hash(found, bytes, size);
    free(bytes);
    return s == DF_OK && strcmp(found, hash) == 0
               ? DF_OK
               : df_fail(err, DF_ENOTSUP,
                         "the coordinator's folder is not shared with this machine: %.300s", folder);
}

/* ---- sockets ---- */

/* A folder of this user alone, or none: somebody else could have made it before us. */
static bool socket_folder_is_ours(const char *folder)
{
    struct stat status;

    return lstat(folder, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & 0077) == 0;
}

df_status coord_state_socket(char address[COORD_ADDRESS_MAX], uint64_t number, df_error *err)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char folder[64];

    if (runtime != NULL && runtime[0] == '/' && strlen(runtime) < sizeof folder &&
        socket_folder_is_ours(runtime) && access(runtime, W_OK) == 0)
        snprintf(folder, sizeof folder, "%s", runtime);
    else
        snprintf(folder, sizeof folder, "/tmp/weir-%ld", (long)geteuid());
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return df_fail(err, DF_EIO, "%s: %s", folder, strerror(errno));
    if (!socket_folder_is_ours(folder))
        return df_fail(err, DF_EIO, "%s: it belongs to somebody else, or others may enter it", folder);
    snprintf(address, COORD_ADDRESS_MAX, "ipc://%s/weir-%016" PRIx64, folder, number);
    return DF_OK;
}
