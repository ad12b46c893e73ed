#include "coordinator/coord_children.h"

#include "coordinator/coord_process.h"
#include "coordinator/coord_spawn.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_times.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct child {
    uint64_t worker, process; /* 0: there is none */
    pid_t pid;
    bool ours;                /* started by this process */
    int pidfd, out;           /* -1: none; out: what it prints */
    int gate;                 /* -1: none; it waits there until it is in the file */
    uint64_t start_us, due_us;
    uint32_t failures;        /* starts that came to nothing, one after the other */
    bool vacated;             /* not to be started again */
    bool added;               /* by a rescale, beyond what this coordinator was started with */
    int status;               /* as waitpid gave it */
} child;

struct coord_children {
    coord_children_options options;
    child list[COORD_CHILDREN_MAX];
};

static const child child_none = { .pidfd = -1, .out = -1, .gate = -1 };

static bool child_given_up(const child *c)
{
    return c->failures >= COORD_START_TRIES;
}

static bool child_wanted(const child *c)
{
    return !c->vacated && !child_given_up(c);
}

/* ---- the file ---- */

static void children_save(const coord_children *l)
{
    char text[COORD_CHILDREN_MAX * 80];
    size_t used = 0;
    df_error err;

    for (uint32_t i = 0; i < l->options.count; i++)
        if (l->list[i].process != 0 || l->list[i].vacated || l->list[i].added)
            used += (size_t)snprintf(text + used, sizeof text - used, "%u %" PRIu64 " %" PRIu64 "%s%s\n",
                                     i, l->list[i].worker, l->list[i].process,
                                     l->list[i].vacated ? " vacated" : "",
                                     l->list[i].added ? " added" : "");
    if (coord_state_write(l->options.state, "workers", text, used, &err) != DF_OK)
        fprintf(stderr, "weir: %s/workers cannot be written: %s\n", l->options.state, err.text);
}

/* What an earlier coordinator started. Workers that do not outlive theirs are gone, or about to go. */
static void child_adopt(const coord_children *l, child *c, uint64_t worker, uint64_t process)
{
    if (c->process != 0)
        return;
    c->worker = worker; /* without a process: it will be told that this one has ended */
    if (!l->options.survive && coord_process_signal(process, SIGKILL, NULL) != DF_EIO)
        return;
    if (!coord_process_alive(process))
        return;
    c->process = process;
    c->pid = coord_process_pid(process);
    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
}

static df_status children_find(coord_children *l, df_error *err)
{
    char *text, *at, *rest;
    size_t size;
    df_status s = coord_state_read(l->options.state, "workers", &text, &size, err);

    if (s != DF_OK)
        return s == DF_END ? DF_OK : s;
    for (at = strtok_r(text, "\n", &rest); at != NULL; at = strtok_r(NULL, "\n", &rest)) {
        uint64_t worker, process;
        unsigned slot;

        if (sscanf(at, "%u %" SCNu64 " %" SCNu64, &slot, &worker, &process) != 3 ||
            slot >= COORD_CHILDREN_MAX)
            continue;
        if (l->options.survive && slot >= l->options.count && strstr(at, " added") != NULL)
            l->options.count = slot + 1;
        if (slot >= l->options.count)
            continue;
        l->list[slot].added = strstr(at, " added") != NULL;
        l->list[slot].vacated = l->options.survive && strstr(at, " vacated") != NULL;
        if (worker != 0)
            child_adopt(l, &l->list[slot], worker, process);
    }
    free(text);
    return DF_OK;
}

/* ---- starting ---- */

static int child_log(const coord_children *l, uint32_t slot, int flags)
{
    char path[DF_PATH_MAX], name[32];

    snprintf(name, sizeof name, "worker-%u.log", slot + 1);
    if (coord_state_path(path, l->options.state, name, NULL) != DF_OK)
        return -1;
    return open(path, flags | O_CLOEXEC, 0666);
}

/* Fork, and exec in the child; -1: it could not be. */
static pid_t child_fork(coord_children *l, child *c, int log, int ends[2], int gate)
{
    char program[DF_PATH_MAX], address[COORD_ADDRESS_MAX], id[32];
    char verb[] = "worker", join[] = "--join", number[] = "--id";
    char insecure[] = "--insecure", keys[DF_PATH_MAX + 8], key[COORD_KEY_SIZE + 16], patience[32];
    char *argv[10] = { program, verb, join, address, number, id };
    int count = 6;
    coord_spawn_options spawn = { .argv = argv, .out = ends[1] >= 0 ? ends[1] : log, .err = log,
                                  .tied = !l->options.survive, .gate = gate };

    snprintf(program, sizeof program, "%s", l->options.program == NULL ? COORD_SPAWN_SELF : l->options.program);
    snprintf(address, sizeof address, "%s", l->options.address);
    snprintf(id, sizeof id, "%" PRIu64, c->worker);
    if (l->options.survive && snprintf(patience, sizeof patience, "--patience=%u", COORD_ORPHAN_SECONDS) > 0)
        argv[count++] = patience;
    if (l->options.insecure) {
        argv[count++] = insecure;
    } else if (l->options.key != NULL && l->options.key[0] != '\0') {
        snprintf(keys, sizeof keys, "--keys=%s", l->options.keys);
        snprintf(key, sizeof key, "--server-key=%s", l->options.key);
        argv[count++] = keys;
        argv[count++] = key;
    }
    return coord_spawn(&spawn);
}

/* A number that no other process has: the place, and what is random. */
static uint64_t child_number(uint32_t slot)
{
    uint32_t random = 0;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint32_t)getpid();
    return (uint64_t)random << 16 | (slot + 1u);
}

static bool child_start(coord_children *l, uint32_t slot, uint64_t now_us)
{
    child *c = &l->list[slot];
    int ends[2] = { -1, -1 }, gate[2] = { 0, -1 }, log = child_log(l, slot, O_WRONLY | O_CREAT | O_APPEND);

    c->start_us = now_us;
    c->worker = child_number(slot);
    c->pid = -1;
    if (log >= 0 && (l->options.print == NULL || pipe2(ends, O_CLOEXEC) == 0) &&
        (!l->options.survive || pipe2(gate, O_CLOEXEC) == 0))
        c->pid = child_fork(l, c, log, ends, gate[0]);
    c->gate = gate[1];
    if (gate[0] > 0)
        close(gate[0]);
    if (c->pid > 0) {
        c->process = coord_process_of(c->pid);
        c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
        c->ours = true;
        c->out = ends[0];
        if (c->out >= 0)
            fcntl(c->out, F_SETFL, O_NONBLOCK);
        if (c->process == 0) /* ended already: it is collected like any other */
            c->process = (uint64_t)c->pid;
    } else if (ends[0] >= 0) {
        close(ends[0]);
    }
    if (ends[1] >= 0)
        close(ends[1]);
    if (log >= 0)
        close(log);
    return c->pid > 0;
}

/* It is in the file: whoever comes after us finds it. */
static void child_release(child *c)
{
    if (c->gate < 0)
        return;
    if (write(c->gate, "", 1) != 1)
        fprintf(stderr, "weir: a worker could not be started: %s\n", strerror(errno));
    close(c->gate);
    c->gate = -1;
}

/* ---- what happens to them ---- */

static void child_print(coord_children *l, child *c)
{
    char text[4096];
    ssize_t got;

    if (c->out < 0)
        return;
    while ((got = read(c->out, text, sizeof text)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0)
            l->options.print(l->options.user, text, (size_t)got);
    if (got == 0) {
        close(c->out);
        c->out = -1;
    }
}

static bool child_has_ended(child *c)
{
    if (c->ours)
        return waitpid(c->pid, &c->status, WNOHANG) != 0;
    return !coord_process_alive(c->process);
}

/* Whether a worker came to nothing by itself: it ended soon, and nobody had sent it away. */
static bool child_failed(const child *c, uint64_t now_us)
{
    int number = WIFSIGNALED(c->status) ? WTERMSIG(c->status) : 0;

    return now_us - c->start_us < COORD_START_GOOD_US && number != SIGKILL && number != SIGTERM &&
           (number != 0 || WEXITSTATUS(c->status) != 0 || !c->ours);
}

static void child_end(coord_children *l, child *c, uint64_t now_us)
{
    uint64_t worker = c->worker, pause = COORD_START_PAUSE_US;

    child_print(l, c);
    if (c->pidfd >= 0)
        close(c->pidfd);
    if (c->out >= 0)
        close(c->out);
    if (c->gate >= 0)
        close(c->gate);
    c->failures = child_failed(c, now_us) ? c->failures + 1 : 0;
    pause = c->failures == 0 ? 0 : pause << (c->failures < 6 ? c->failures : 6);
    *c = (child){ .pidfd = -1, .out = -1, .gate = -1, .failures = c->failures, .due_us = now_us + pause,
                  .vacated = c->vacated, .added = c->added };
    children_save(l);
    if (worker != 0)
        l->options.ended(l->options.user, worker, (uint32_t)(c - l->list));
}

void coord_children_turn(coord_children *children, uint64_t now_us, bool wanted)
{
    bool changed = false;

    for (uint32_t i = 0; i < children->options.count; i++) {
        child *c = &children->list[i];

        if (c->process == 0 && c->worker != 0) {
            uint64_t worker = c->worker;

            c->worker = 0;
            children->options.ended(children->options.user, worker, i);
        }
        if (c->process != 0) {
            child_print(children, c);
            if (child_has_ended(c))
                child_end(children, c, now_us);
        } else if (wanted && child_wanted(c) && now_us >= c->due_us) {
            changed = true;
            if (!child_start(children, i, now_us)) {
                c->status = 1 << 8; /* as if it had ended with 1 */
                child_end(children, c, now_us);
            }
        }
    }
    if (changed)
        children_save(children);
    for (uint32_t i = 0; changed && i < children->options.count; i++)
        child_release(&children->list[i]);
}

uint64_t coord_children_deadline(const coord_children *children)
{
    uint64_t at = UINT64_MAX;

    for (uint32_t i = 0; i < children->options.count; i++) {
        const child *c = &children->list[i];

        if (c->process == 0 && child_wanted(c) && c->due_us < at)
            at = c->due_us;
    }
    return at;
}

size_t coord_children_fds(const coord_children *children, int *fds, size_t capacity)
{
    size_t count = 0;

    for (uint32_t i = 0; i < children->options.count; i++) {
        const child *c = &children->list[i];

        if (c->pidfd >= 0 && count < capacity)
            fds[count++] = c->pidfd;
        if (c->out >= 0 && count < capacity)
            fds[count++] = c->out;
    }
    return count;
}

/* ---- asking ---- */

uint32_t coord_children_alive(const coord_children *children)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < children->options.count; i++)
        count += children->list[i].process != 0;
    return count;
}

uint32_t coord_children_hope(const coord_children *children)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < children->options.count; i++)
        count += !children->list[i].vacated &&
                 (children->list[i].process != 0 || !child_given_up(&children->list[i]));
    return count;
}

uint32_t coord_children_given_up(const coord_children *children, uint32_t *slot)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < children->options.count; i++)
        if (!children->list[i].vacated && children->list[i].process == 0 && child_given_up(&children->list[i])) {
            *slot = i;
            count++;
        }
    return count;
}

void coord_children_said(const coord_children *children, uint32_t slot, char text[COORD_CHILDREN_SAID])
{
    static const char name[] = "weir: ";
    char end[2 * COORD_CHILDREN_SAID], *line;
    int file = child_log(children, slot, O_RDONLY);
    off_t size = file < 0 ? 0 : lseek(file, 0, SEEK_END), from = size > (off_t)sizeof end - 1 ? size - (off_t)sizeof end + 1 : 0;
    ssize_t got = file < 0 ? -1 : pread(file, end, sizeof end - 1, from);

    if (file >= 0)
        close(file);
    while (got > 0 && end[got - 1] == '\n')
        got--;
    end[got > 0 ? got : 0] = '\0';
    line = strrchr(end, '\n') == NULL ? end : strrchr(end, '\n') + 1;
    line += strncmp(line, name, sizeof name - 1) == 0 ? sizeof name - 1 : 0;
    snprintf(text, COORD_CHILDREN_SAID, "%.*s", COORD_CHILDREN_SAID - 1, line);
}

uint32_t coord_children_places(const coord_children *children)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < children->options.count; i++)
        count += !children->list[i].vacated;
    return count;
}

static bool child_is_vacant(const child *c)
{
    return c->vacated && c->process == 0;
}

uint32_t coord_children_next(const coord_children *children, uint32_t n)
{
    uint32_t vacant = 0;

    for (uint32_t i = 0; i < children->options.count; i++)
        if (child_is_vacant(&children->list[i]) && vacant++ == n)
            return i;
    return children->options.count + n - vacant;
}

uint32_t coord_children_more(coord_children *children, uint32_t count)
{
    uint32_t more = 0;

    for (uint32_t i = 0; i < children->options.count && more < count; i++)
        if (child_is_vacant(&children->list[i])) {
            bool added = children->list[i].added;

            children->list[i] = child_none;
            children->list[i].added = added;
            more++;
        }
    while (more < count && children->options.count < COORD_CHILDREN_MAX) {
        child *c = &children->list[children->options.count++];

        *c = child_none;
        c->added = true;
        more++;
    }
    children_save(children);
    return more;
}

void coord_children_vacate(coord_children *children, uint64_t worker, bool vacate)
{
    uint32_t slot;

    if (!coord_children_has(children, worker, &slot))
        return;
    children->list[slot].vacated = vacate;
    children_save(children);
}

bool coord_children_is_vacated(const coord_children *children, uint64_t worker)
{
    uint32_t slot;

    return coord_children_has(children, worker, &slot) && children->list[slot].vacated;
}

bool coord_children_has(const coord_children *children, uint64_t worker, uint32_t *slot)
{
    for (uint32_t i = 0; i < children->options.count; i++)
        if (children->list[i].worker == worker && worker != 0) {
            *slot = i;
            return true;
        }
    return false;
}

static void child_kill(const child *c)
{
    df_error err;

    if (c->process != 0 && coord_process_signal(c->process, SIGKILL, &err) == DF_EIO)
        fprintf(stderr, "weir: %s\n", err.text);
}

uint32_t coord_children_fewer(coord_children *children, uint32_t count, const proto_coord_worker *known,
                              uint32_t known_count)
{
    uint32_t fewer = 0;

    for (uint32_t i = children->options.count; i > 0 && fewer < count; i--) {
        child *c = &children->list[i - 1];
        bool member = false, leaving = false;

        for (uint32_t k = 0; k < known_count && c->worker != 0; k++)
            if (known[k].id == c->worker) {
                leaving = known[k].leaving;
                member = known[k].member && !leaving;
            }
        if (c->vacated || member)
            continue;
        c->vacated = true;
        fewer++;
        if (!leaving)
            child_kill(c);
    }
    children_save(children);
    return fewer;
}

void coord_children_kill(coord_children *children, uint64_t worker)
{
    uint32_t slot;

    if (coord_children_has(children, worker, &slot))
        child_kill(&children->list[slot]);
}

void coord_children_kill_old(coord_children *children, uint64_t now_us, uint64_t most_us,
                             const proto_coord_worker *known, uint32_t count)
{
    for (uint32_t i = 0; i < children->options.count; i++) {
        const child *c = &children->list[i];
        bool there = c->process == 0 || !c->ours || now_us - c->start_us <= most_us;

        for (uint32_t k = 0; k < count && !there; k++)
            there = known[k].id == c->worker;
        if (!there)
            child_kill(c);
    }
}

void coord_children_stop(coord_children *children, bool kill)
{
    for (uint32_t i = 0; i < children->options.count; i++)
        if (children->list[i].process != 0 &&
            coord_process_signal(children->list[i].process, kill ? SIGKILL : SIGTERM, NULL) == DF_EIO)
            fprintf(stderr, "weir: worker %u cannot be stopped: %s\n", i + 1, strerror(errno));
}

/* ---- life ---- */

df_status coord_children_new(coord_children **out, const coord_children_options *options, df_error *err)
{
    coord_children *l = calloc(1, sizeof *l);
    df_status s = DF_OK;

    *out = NULL;
    if (l == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    l->options = *options;
    for (uint32_t i = 0; i < COORD_CHILDREN_MAX; i++)
        l->list[i] = child_none;
    if (options->count > COORD_CHILDREN_MAX)
        s = df_fail(err, DF_ELIMIT, "%u workers; the limit on one machine is %d", options->count,
                    COORD_CHILDREN_MAX);
    if (s == DF_OK)
        s = children_find(l, err);
    if (s != DF_OK) {
        free(l);
        return s;
    }
    *out = l;
    return DF_OK;
}

void coord_children_free(coord_children **children)
{
    coord_children *l = *children;

    *children = NULL;
    if (l == NULL)
        return;
    if (!l->options.survive)
        coord_children_stop(l, true);
    for (uint32_t i = 0; i < l->options.count; i++) {
        child *c = &l->list[i];

        if (c->ours && !l->options.survive)
            waitpid(c->pid, NULL, 0);
        if (c->pidfd >= 0)
            close(c->pidfd);
        if (c->out >= 0)
            close(c->out);
    }
    free(l);
}
