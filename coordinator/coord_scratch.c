#include "coordinator/coord_scratch.h"

#include "coordinator/coord_process.h"
#include "coordinator/proto_limits.h"
#include "snapshot/snap_hash.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_NAME "weir-scratch-"

/* ---- the folder ---- */

static void files_remove(const char *folder)
{
    char path[DF_PATH_MAX];
    DIR *d = opendir(folder);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL)
        if (e->d_name[0] != '.' &&
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name) < (int)sizeof path)
            unlink(path);
    if (d != NULL)
        closedir(d);
}

void coord_scratch_remove(const char *path)
{
    char incoming[DF_PATH_MAX];

    if (path[0] == '\0' || snprintf(incoming, sizeof incoming, "%s/incoming", path) >= (int)sizeof incoming)
        return;
    files_remove(incoming);
    rmdir(incoming);
    rmdir(path);
}

/* Of this host and of a process that has ended: nobody will fetch what is in it. */
static bool name_is_dead(const char *name)
{
    unsigned host;
    uint64_t process;
    int end = 0;

    return sscanf(name, SCRATCH_NAME "%8x-%16" SCNx64 "%n", &host, &process, &end) == 2 && end > 0 &&
           name[end] == '\0' && host == coord_process_host() && !coord_process_alive(process);
}

static void dead_remove(const char *base)
{
    char path[DF_PATH_MAX];
    DIR *d = opendir(base);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL)
        if (name_is_dead(e->d_name) &&
            snprintf(path, sizeof path, "%s/%s", base, e->d_name) < (int)sizeof path)
            coord_scratch_remove(path);
    if (d != NULL)
        closedir(d);
}

static const char *base_default(void)
{
    const char *base = getenv("TMPDIR");

    return base != NULL && base[0] == '/' ? base : "/var/tmp";
}

/* Only for this user: what is in it are the job's rows. */
df_status coord_scratch_make(char path[DF_PATH_MAX], const char *base, df_error *err)
{
    char incoming[DF_PATH_MAX];
    int length;

    path[0] = '\0';
    base = base == NULL ? base_default() : base;
    dead_remove(base);
    length = snprintf(incoming, sizeof incoming, "%s/" SCRATCH_NAME "%08x-%016" PRIx64, base,
                      coord_process_host(), coord_process_self());
    if (length < 0 || length >= DF_PATH_MAX - 256)
        return df_fail(err, DF_EINVAL, "%.100s...: the path is too long", base);
    if (mkdir(incoming, 0700) != 0)
        return df_fail(err, DF_EIO, "%.200s: %s; --scratch DIR says where a worker without the coordinator's "
                       "folder may write", incoming, strerror(errno));
    strcpy(path, incoming);
    strcat(incoming, "/incoming");
    if (mkdir(incoming, 0700) == 0)
        return DF_OK;
    df_fail(err, DF_EIO, "%.200s: %s", incoming, strerror(errno));
    rmdir(path);
    path[0] = '\0';
    return DF_EIO;
}

/* ---- a part's file ---- */

static df_status scratch_open(df_file **file, df_disk *disk, const char *folder, const snap_part_id *id,
                              df_error *err)
{
    char path[DF_PATH_MAX];

    df_disk_posix_init(disk);
    snap_rocksdb_part_path(path, folder, id);
    return df_disk_open(disk, file, path, DF_OPEN_READ, err);
}

df_status coord_scratch_sum(const char *folder, const snap_part_id *id, uint64_t *size, df_hash *hash,
                            df_error *err)
{
    uint8_t *bytes = malloc(PROTO_PIECE_SIZE);
    df_file *file = NULL;
    size_t got = PROTO_PIECE_SIZE;
    df_disk disk;
    df_status s = bytes == NULL ? df_fail(err, DF_ENOMEM, "snapshot: out of memory")
                                : scratch_open(&file, &disk, folder, id, err);

    *size = 0;
    *hash = (df_hash){ 0 };
    while (s == DF_OK && got == PROTO_PIECE_SIZE) {
        s = df_file_read(file, bytes, PROTO_PIECE_SIZE, *size, &got, err);
        if (s == DF_OK && got > 0)
            *hash = snap_hash_chain(*hash, bytes, got);
        *size += s == DF_OK ? got : 0;
    }
    df_file_close(&file);
    free(bytes);
    return s;
}

bool coord_scratch_read(const char *folder, const snap_part_id *id, uint64_t offset, void *bytes, size_t size)
{
    df_file *file = NULL;
    size_t got = 0;
    df_disk disk;
    df_error err;
    bool ok = scratch_open(&file, &disk, folder, id, &err) == DF_OK &&
              df_file_read(file, bytes, size, offset, &got, &err) == DF_OK && got == size;

    df_file_close(&file);
    return ok;
}

void coord_scratch_drop(const char *folder, const snap_part_id *id)
{
    char path[DF_PATH_MAX];

    snap_rocksdb_part_path(path, folder, id);
    unlink(path);
}
