#include "coordinator/coord_rotate.h"

#include "dataflow/df_disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool coord_rotate_is_worker(const char *name)
{
    unsigned number;
    int end = 0;

    return sscanf(name, "worker-%u.log%n", &number, &end) == 1 &&
           (name[end] == '\0' || strcmp(name + end, COORD_ROTATE_OLD) == 0);
}

static bool is_old(const char *path)
{
    size_t size = strlen(path), end = strlen(COORD_ROTATE_OLD);

    return size > end && strcmp(path + size - end, COORD_ROTATE_OLD) == 0;
}

static bool link_of(int fd, char path[DF_PATH_MAX])
{
    char link[32];
    ssize_t size;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink(link, path, DF_PATH_MAX - sizeof COORD_ROTATE_OLD);
    if (size <= 0 || size == DF_PATH_MAX - (ssize_t)sizeof COORD_ROTATE_OLD)
        return false;
    path[size] = '\0';
    return true;
}

static bool said_folder(char folder[DF_PATH_MAX])
{
    char *name = link_of(STDOUT_FILENO, folder) ? strrchr(folder, '/') : NULL;

    if (name == NULL || strcmp(name, "/said") != 0)
        return false;
    name[1] = '\0';
    return true;
}

/* Nobody else's file is touched, whatever standard error was made to be. */
static bool is_ours(const char *path, const char *folder)
{
    const char *name = strrchr(path, '/');
    char parent[DF_PATH_MAX];
    struct stat of_path, of_folder;

    if (name == NULL || !(coord_rotate_is_worker(name + 1) || strcmp(name, "/log") == 0 ||
                          strcmp(name, "/log" COORD_ROTATE_OLD) == 0))
        return false;
    snprintf(parent, sizeof parent, "%.*s/", (int)(name - path), path);
    return stat(parent, &of_path) == 0 && stat(folder, &of_folder) == 0 && of_path.st_dev == of_folder.st_dev &&
           of_path.st_ino == of_folder.st_ino;
}

/* Where standard error goes, if it is a file that grows at its end; else false. */
static bool log_path(char path[DF_PATH_MAX], const char *folder, struct stat *st)
{
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    char said[DF_PATH_MAX];

    if (flags < 0 || (flags & O_APPEND) == 0 || fstat(STDERR_FILENO, st) != 0 || !S_ISREG(st->st_mode))
        return false;
    if (folder == NULL && !said_folder(said))
        return false;
    return link_of(STDERR_FILENO, path) && is_ours(path, folder == NULL ? said : folder);
}

/* What cannot be opened leaves things as they are. */
static void go_on_in(const char *path, const struct stat *before)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    struct stat out;
    bool same = fstat(STDOUT_FILENO, &out) == 0 && out.st_dev == before->st_dev && out.st_ino == before->st_ino;

    if (fd < 0)
        return;
    if (same)
        dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

void coord_rotate(const char *folder, uint64_t size)
{
    char path[DF_PATH_MAX], old[DF_PATH_MAX + sizeof COORD_ROTATE_OLD];
    struct stat st;

    if (!log_path(path, folder, &st))
        return;
    if (is_old(path)) { /* another process that says things here has renamed it */
        path[strlen(path) - strlen(COORD_ROTATE_OLD)] = '\0';
        go_on_in(path, &st);
        return;
    }
    if ((uint64_t)st.st_size < size)
        return;
    snprintf(old, sizeof old, "%s" COORD_ROTATE_OLD, path);
    if (rename(path, old) == 0)
        go_on_in(path, &st);
}
