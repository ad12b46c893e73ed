#include "coordinator/coord_usage.h"

#include "coordinator/coord_machine.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define USAGE_TEXT 4096
#define USAGE_CGROUP "/sys/fs/cgroup/memory." /* of the container that this is in, if it is one */

/* The beginning of a small file. False: it cannot be read. */
static bool read_text(const char *path, char text[USAGE_TEXT])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, USAGE_TEXT - 1);

    if (fd >= 0)
        close(fd);
    text[size < 0 ? 0 : size] = '\0';
    return size > 0;
}

bool coord_usage_stat(const char *text, uint64_t *busy, uint64_t *all)
{
    /* user nice system idle iowait irq softirq steal */
    uint64_t ticks[8];

    if (sscanf(text, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                     " %" SCNu64 " %" SCNu64, &ticks[0], &ticks[1], &ticks[2], &ticks[3], &ticks[4],
               &ticks[5], &ticks[6], &ticks[7]) != 8)
        return false;
    *all = 0;
    for (int i = 0; i < 8; i++)
        *all += ticks[i];
    *busy = *all - ticks[3] - ticks[4];
    return true;
}

static bool meminfo_line(const char *text, const char *name, uint64_t *bytes)
{
    const char *line = strstr(text, name);

    if (line == NULL || sscanf(line + strlen(name), " %" SCNu64 " kB", bytes) != 1)
        return false;
    *bytes *= 1024;
    return true;
}

bool coord_usage_meminfo(const char *text, uint64_t *free_bytes, uint64_t *total_bytes)
{
    return meminfo_line(text, "MemAvailable:", free_bytes) &&
           meminfo_line(text, "MemTotal:", total_bytes);
}

/* A container's limit, where there is one. */
static void limit_memory(coord_load *load)
{
    char text[USAGE_TEXT];
    uint64_t most, used;

    if (!read_text(USAGE_CGROUP "max", text) || sscanf(text, "%" SCNu64, &most) != 1 ||
        !read_text(USAGE_CGROUP "current", text) || sscanf(text, "%" SCNu64, &used) != 1)
        return;
    if (most < load->total_bytes)
        load->total_bytes = most;
    most = most > used ? most - used : 0;
    if (most < load->free_bytes)
        load->free_bytes = most;
}

static void usage_memory(coord_load *load)
{
    char text[USAGE_TEXT];
    uint64_t pages;

    load->free_bytes = load->total_bytes = load->process_bytes = 0;
    if (!read_text("/proc/meminfo", text) ||
        !coord_usage_meminfo(text, &load->free_bytes, &load->total_bytes))
        return;
    limit_memory(load);
    if (read_text("/proc/self/statm", text) && sscanf(text, "%*u %" SCNu64, &pages) == 1)
        load->process_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint32_t part_of(double part, double whole)
{
    double share = whole > 0 ? part / whole : 0;

    return share <= 0   ? 0
           : share >= 1 ? COORD_LOAD_WHOLE
                        : (uint32_t)(share * COORD_LOAD_WHOLE);
}

/* Letters that may stand in a message; "?" if there is no name. */
static void host_name(char name[WEIR_NAME_MAX])
{
    if (gethostname(name, WEIR_NAME_MAX) != 0 || name[0] == '\0')
        strcpy(name, "?");
    name[WEIR_NAME_MAX - 1] = '\0';
    for (char *c = name; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

void coord_usage_take(coord_usage *before, uint32_t threads, coord_load *load)
{
    coord_usage now = { .seconds = coord_machine_seconds() };
    struct timespec used = { 0 };
    char text[USAGE_TEXT];

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    now.process_seconds = (double)used.tv_sec + 1e-9 * (double)used.tv_nsec;
    if (!read_text("/proc/stat", text) || !coord_usage_stat(text, &now.host_busy, &now.host_all))
        now.host_busy = now.host_all = 0;
    load->busy = load->host_load = 0;
    if (before->seconds > 0) {
        load->busy = part_of(now.process_seconds - before->process_seconds,
                             (now.seconds - before->seconds) * threads);
        load->host_load = part_of((double)(int64_t)(now.host_busy - before->host_busy),
                                  (double)(int64_t)(now.host_all - before->host_all));
    }
    *before = now;
    usage_memory(load);
    host_name(load->host);
}
