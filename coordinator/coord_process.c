#include "coordinator/coord_process.h"

#include "snapshot/snap_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* A small file, as text. Returns its length; 0: it cannot be read. */
static size_t process_read(const char *path, char *text, size_t capacity)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    text[0] = '\0';
    if (fd < 0)
        return 0;
    got = read(fd, text, capacity - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0 ? (size_t)got : 0;
}

/* Field 22 of /proc/PID/stat, in ticks since the machine began; a zombie has ended. The name, which
 * may have blanks and parentheses in it, ends at the last parenthesis. */
static bool process_began(pid_t pid, uint64_t *began)
{
    char path[64], text[1024], *at;

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    if (pid <= 0 || process_read(path, text, sizeof text) == 0)
        return false;
    at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
        return false;
    at += 2;
    for (int field = 3; field < 22 && at != NULL; field++) {
        at = strchr(at, ' ');
        at = at == NULL ? NULL : at + 1;
    }
    if (at == NULL)
        return false;
    *began = strtoull(at, NULL, 10);
    return true;
}

uint64_t coord_process_of(pid_t pid)
{
    uint64_t began;

    if (!process_began(pid, &began))
        return 0;
    return snap_hash(&began, sizeof began).low << 32 | (uint32_t)pid;
}

uint64_t coord_process_self(void)
{
    return coord_process_of(getpid());
}

pid_t coord_process_pid(uint64_t process)
{
    return (pid_t)(process & INT32_MAX);
}

bool coord_process_alive(uint64_t process)
{
    return process != 0 && coord_process_of(coord_process_pid(process)) == process;
}

bool coord_process_is_like_us(uint64_t process)
{
    struct stat ours, theirs;
    char path[64];

    snprintf(path, sizeof path, "/proc/%ld/exe", (long)coord_process_pid(process));
    return stat("/proc/self/exe", &ours) == 0 && stat(path, &theirs) == 0 &&
           ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino &&
           coord_process_alive(process);
}

/* A descriptor of the process is taken first and the number compared then: what is signalled is what
 * was compared. */
df_status coord_process_signal(uint64_t process, int number, df_error *err)
{
    pid_t pid = coord_process_pid(process);
    df_status s = DF_OK;
    int fd = pid <= 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);

    if (fd < 0 && pid > 0 && errno != ESRCH)
        return df_fail(err, DF_EIO, "process %ld: pidfd_open: %s", (long)pid, strerror(errno));
    if (fd < 0 || !coord_process_alive(process))
        s = df_fail(err, DF_END, "process %ld has ended", (long)pid);
    else if (syscall(SYS_pidfd_send_signal, fd, number, NULL, 0) != 0)
        s = df_fail(err, errno == ESRCH ? DF_END : DF_EIO, "process %ld: signal %d: %s", (long)pid,
                    number, strerror(errno));
    if (fd >= 0)
        close(fd);
    return s;
}

uint32_t coord_process_host(void)
{
    char text[128 + sizeof(struct utsname)];
    size_t size = process_read("/proc/sys/kernel/random/boot_id", text, 128);
    struct utsname name;

    if (uname(&name) == 0)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s", name.nodename);
    return (uint32_t)snap_hash(text, size).low;
}
