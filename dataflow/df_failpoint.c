#include "dataflow/df_failpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef enum failpoint_action {
    ACTION_NONE,
    ACTION_KILL,
    ACTION_STOP,
    ACTION_ERROR,
} failpoint_action;

typedef struct failpoint_arm {
    failpoint_action action;
    uint64_t pass; /* from 1 */
    bool onward;
} failpoint_arm;

typedef _Atomic uint64_t failpoint_count;
_Static_assert(sizeof(failpoint_count) == sizeof(uint64_t), "processes share plain numbers");

#define FAILPOINT_INFO(name, fails, help) { #name, help, fails },
const df_failpoint_info df_failpoint_list[DF_FAILPOINT_COUNT] = { DF_FAILPOINTS(FAILPOINT_INFO) };

bool df_failpoint_armed;
static failpoint_arm failpoint_arms[DF_FAILPOINT_COUNT];
static failpoint_count failpoint_own[DF_FAILPOINT_COUNT];
static failpoint_count *failpoint_counts = failpoint_own;

/* ---- reading ---- */

static df_status arm_find(const char *name, size_t size, df_failpoint_id *id, df_error *err)
{
    const char *names[DF_FAILPOINT_COUNT], *near;
    char text[64];

    snprintf(text, sizeof text, "%.*s", (int)(size < sizeof text ? size : sizeof text - 1), name);
    for (int i = 0; i < DF_FAILPOINT_COUNT; i++) {
        names[i] = df_failpoint_list[i].name;
        *id = (df_failpoint_id)i;
        if (strcmp(names[i], text) == 0)
            return DF_OK;
    }
    near = df_nearest(text, names, DF_FAILPOINT_COUNT);
    if (near == NULL)
        return df_fail(err, DF_EINVAL, "unknown failpoint \"%s\"; weir failpoints lists them", text);
    return df_fail(err, DF_EINVAL, "unknown failpoint \"%s\" (did you mean \"%s\"?)", text, near);
}

/* "@N" or "@N+", or nothing. */
static bool arm_pass(const char *from, const char *end, failpoint_arm *arm)
{
    arm->pass = 1;
    if (from == end)
        return true;
    if (*from++ != '@' || from == end || *from < '1' || *from > '9')
        return false;
    arm->pass = 0;
    for (; from < end && *from >= '0' && *from <= '9' && arm->pass < UINT64_MAX / 16; from++)
        arm->pass = arm->pass * 10 + (uint64_t)(*from - '0');
    arm->onward = from < end && *from == '+';
    return from + arm->onward == end;
}

/* One "name=action@N", from `from` to `end`. */
static df_status arm_read(const char *from, const char *end, df_error *err)
{
    static const char *const actions[] = { "", "kill", "stop", "error" };
    const char *is = memchr(from, '=', (size_t)(end - from));
    failpoint_arm arm = { .action = ACTION_NONE };
    df_failpoint_id id;
    df_status s;

    if (is == NULL)
        return df_fail(err, DF_EINVAL, "\"%.*s\": expected NAME=kill, stop or error, and @N",
                       (int)(end - from), from);
    s = arm_find(from, (size_t)(is - from), &id, err);
    if (s != DF_OK)
        return s;
    for (int i = 1; i <= ACTION_ERROR; i++) {
        size_t size = strlen(actions[i]);

        if ((size_t)(end - is) > size && memcmp(is + 1, actions[i], size) == 0 &&
            arm_pass(is + 1 + size, end, &arm))
            arm.action = (failpoint_action)i;
    }
    if (arm.action == ACTION_NONE)
        return df_fail(err, DF_EINVAL, "\"%.*s\": expected kill, stop or error, and @N or @N+",
                       (int)(end - from), from);
    if (arm.action == ACTION_ERROR && !df_failpoint_list[id].fails)
        return df_fail(err, DF_EINVAL, "\"%.*s\": this place cannot fail; it has kill and stop",
                       (int)(end - from), from);
    failpoint_arms[id] = arm;
    return DF_OK;
}

static df_status counts_open(const char *path, df_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    void *at = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, sizeof failpoint_own) == 0)
        at = mmap(NULL, sizeof failpoint_own, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (at == MAP_FAILED)
        return df_fail(err, DF_EINVAL, "%s: %s", path, strerror(errno));
    failpoint_counts = at;
    return DF_OK;
}

static void forget(void)
{
    if (failpoint_counts != failpoint_own)
        munmap(failpoint_counts, sizeof failpoint_own);
    failpoint_counts = failpoint_own;
    df_failpoint_armed = false;
    memset(failpoint_arms, 0, sizeof failpoint_arms);
    for (int i = 0; i < DF_FAILPOINT_COUNT; i++)
        atomic_store(&failpoint_own[i], 0);
}

df_status df_failpoint_start(const char *armed, const char *counts, df_error *err)
{
    bool arm = armed != NULL && armed[0] != '\0', count = counts != NULL && counts[0] != '\0';
    df_status s = DF_OK;

    forget();
    while (arm && s == DF_OK) {
        const char *end = armed + strcspn(armed, ",");

        s = arm_read(armed, end, err);
        if (*end == '\0')
            break;
        armed = end + 1;
    }
    if (s == DF_OK && count)
        s = counts_open(counts, err);
    if (s != DF_OK)
        forget();
    df_failpoint_armed = s == DF_OK && (arm || count);
    return s;
}

/* ---- passing ---- */

uint64_t df_failpoint_passes(df_failpoint_id id)
{
    return atomic_load(&failpoint_counts[id]);
}

static void failpoint_raise(const char *name, uint64_t pass, int number, const char *what)
{
    dprintf(STDERR_FILENO, "weir: failpoint %s, pass %" PRIu64 ": %s\n", name, pass, what);
    kill(getpid(), number);
}

df_status df_failpoint_hit(df_failpoint_id id, df_error *err)
{
    const failpoint_arm *arm = &failpoint_arms[id];
    const char *name = df_failpoint_list[id].name;
    uint64_t pass = atomic_fetch_add(&failpoint_counts[id], 1) + 1;

    if (arm->action == ACTION_NONE || pass < arm->pass || (pass > arm->pass && !arm->onward))
        return DF_OK;
    if (arm->action == ACTION_KILL)
        failpoint_raise(name, pass, SIGKILL, "killed");
    else if (arm->action == ACTION_STOP)
        failpoint_raise(name, pass, SIGSTOP, "stopped");
    else
        return df_fail(err, DF_EIO, "failpoint %s, pass %" PRIu64 ": failed, as was asked for", name,
                       pass);
    return DF_OK;
}
