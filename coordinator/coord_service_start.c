/* The coordinators' processes: one per job that has not ended. They outlive the service; which process has a
 * state stands in the state itself, written by the process that holds its lock. */
#include "coordinator/coord_service_private.h"

#include "coordinator/coord_process.h"
#include "coordinator/coord_spawn.h"
#include "coordinator/coord_times.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_OPTIONS_MAX 32u

/* ---- the process ---- */

typedef struct start_line {
    char *argv[START_OPTIONS_MAX + COORD_TEXTS_MAX];
    uint32_t count;
    bool full; /* out of memory, or of room */
} start_line;

/* One more argument, in two parts that are joined. */
static void line_put(start_line *l, const char *first, const char *second)
{
    size_t size = strlen(first) + strlen(second) + 1;
    char *text = l->count + 1 < sizeof l->argv / sizeof l->argv[0] ? malloc(size) : NULL;

    l->full |= text == NULL;
    if (text == NULL)
        return;
    snprintf(text, size, "%s%s", first, second);
    l->argv[l->count++] = text;
}

static void line_put_number(start_line *l, const char *option, uint64_t number)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRIu64, number);
    line_put(l, option, text);
}

static void line_free(start_line *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        free(l->argv[i]);
}

static void line_put_sets(start_line *l, const service_job *job)
{
    char *text, *rest, *line;
    size_t size;
    df_error err;

    if (coord_state_read(job->folder, "sets", &text, &size, &err) != DF_OK) {
        l->full = true;
        return;
    }
    for (rest = text; (line = strsep(&rest, "\n")) != NULL;)
        if (line[0] != '\0')
            line_put(l, "--set=", line);
    free(text);
}

static void line_make(start_line *l, const coord_service *s, const service_job *job)
{
    line_put(l, COORD_SPAWN_SELF, "");
    line_put(l, "coordinator", "");
    line_put(l, job->folder, "/job.toml");
    line_put(l, "--as=", job->ticket.file);
    line_put_number(l, "--ticket=", job->ticket.number);
    line_put(l, "--directory=", job->directory);
    line_put_number(l, "--expect=", job->ticket.workers);
    line_put_number(l, "--threads=", s->threads);
    line_put(l, "--json", "");
    line_put(l, "--quiet", "");
    if (s->job_bind[0] != '\0')
        line_put(l, "--bind=", s->job_bind);
    if (s->keys[0] != '\0')
        line_put(l, "--keys=", s->keys);
    if (s->config.insecure)
        line_put(l, "--insecure", "");
    if (s->job_metrics[0] != '\0')
        line_put(l, "--metrics=", s->job_metrics);
    line_put_sets(l, job);
}

static int file_open(const service_job *job, const char *name, int flags)
{
    char path[DF_PATH_MAX];

    if (coord_state_path(path, job->folder, name, NULL) != DF_OK)
        return -1;
    return open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
}

static pid_t job_spawn(const coord_service *s, const service_job *job)
{
    start_line line = { 0 };
    int said = file_open(job, "said", O_TRUNC), log = file_open(job, "log", O_APPEND);
    coord_spawn_options spawn = { .argv = line.argv, .out = said, .err = log };
    pid_t pid = -1;

    line_make(&line, s, job);
    if (said >= 0 && log >= 0 && !line.full)
        pid = coord_spawn(&spawn);
    line_free(&line);
    if (said >= 0)
        close(said);
    if (log >= 0)
        close(log);
    return pid;
}

/* ---- its life ---- */

/* The end of the process wakes the loop. One that has ended already is found when it is looked for. */
static void job_watch(const coord_service *s, service_job *job)
{
    struct epoll_event event = { .events = EPOLLIN };

    job->pidfd = (int)syscall(SYS_pidfd_open, coord_process_pid(job->process), 0);
    if (job->pidfd >= 0 && epoll_ctl(s->ends, EPOLL_CTL_ADD, job->pidfd, &event) != 0)
        fprintf(stderr, "weir: epoll: %s\n", strerror(errno));
}

static void job_unwatch(const coord_service *s, service_job *job)
{
    if (job->pidfd >= 0)
        close(job->pidfd);
    if (job->watch >= 0)
        inotify_rm_watch(s->marks, job->watch);
    job->pidfd = job->watch = -1;
    job->process = 0;
    job->endpoint = (coord_endpoint){ 0 };
}

static void job_down(service_job *job, uint64_t now_us, const char *why)
{
    uint32_t shift = job->failures < 6 ? job->failures : 6;

    job->failures = now_us - job->start_us < COORD_START_GOOD_US ? job->failures + 1 : 0;
    job->phase = SERVICE_DOWN;
    job->due_us = now_us + (COORD_START_PAUSE_US << shift);
    snprintf(job->trouble, sizeof job->trouble, "%.255s", why);
}

/* A process of an earlier service that still has the state. */
static bool job_adopt(const coord_service *s, service_job *job)
{
    coord_ticket_mark mark;

    if (coord_ticket_mark_read(job->state, &mark, NULL) != DF_OK ||
        mark.number != job->ticket.number || !coord_process_alive(mark.process))
        return false;
    job->process = mark.process;
    job->ours = false;
    job_watch(s, job);
    return true;
}

/* What the coordinator has said of the job's end; freed by the caller. Null: the job has not ended. */
static char *job_said(const service_job *job)
{
    coord_status *status = malloc(sizeof *status);
    char *text = NULL;
    size_t size;
    df_error err;
    bool over = false;

    if (status != NULL && coord_state_read(job->folder, "said", &text, &size, &err) == DF_OK) {
        text[strcspn(text, "\n")] = '\0';
        over = coord_json_status_read(status, text, strlen(text), &err) && coord_status_is_over(status);
    }
    free(status);
    if (over)
        return text;
    free(text);
    return NULL;
}

/* Make it durable; until that is done it is tried again. The job may be gone then. */
static void job_end(coord_service *s, service_job *job, const char *said, uint64_t now_us)
{
    uint64_t ticket = job->ticket.number;
    df_error err;

    if (service_job_end(s, job, said, &err) == DF_OK)
        service_pool_release(s, ticket);
    else
        job_down(job, now_us, err.text);
}

static void job_begin(coord_service *s, service_job *job, uint64_t now_us)
{
    pid_t pid = job_spawn(s, job);

    if (pid < 0) {
        job_down(job, now_us, "its coordinator could not be started");
        return;
    }
    job->ours = true;
    job->process = coord_process_of(pid);
    if (job->process == 0) /* ended already: it is collected like any other */
        job->process = (uint64_t)pid;
    job_watch(s, job);
    s->counts.restarts += job->was_up;
    job->phase = SERVICE_STARTING;
}

/* A process that is there goes on; one that has told the end and was not heard, by this service or the one
 * before, need not tell it again. */
static void job_start(coord_service *s, service_job *job, uint64_t now_us)
{
    char *said;

    job->start_us = now_us;
    if (job_adopt(s, job)) {
        job->phase = SERVICE_STARTING;
        return;
    }
    said = job_said(job);
    if (said != NULL)
        job_end(s, job, said, now_us);
    else
        job_begin(s, job, now_us);
    free(said);
}

/* How many workers it wants, as its mark says. False: it is not the mark of this process. */
static bool job_mark(service_job *job)
{
    coord_ticket_mark mark;

    if (coord_ticket_mark_read(job->state, &mark, NULL) != DF_OK || mark.number != job->ticket.number ||
        mark.process != job->process)
        return false;
    job->wanted = mark.workers;
    return true;
}

/* It listens when its state says that the process has it: that is written after the endpoint. */
static void job_look(coord_service *s, service_job *job)
{
    df_error err;

    if (job->watch < 0 && (job->watch = inotify_add_watch(s->marks, job->state, IN_MOVED_TO)) < 0 && errno != ENOENT)
        fprintf(stderr, "weir: inotify: %s: %s\n", job->state, strerror(errno));
    if (!job_mark(job) || coord_state_endpoint(&job->endpoint, job->state, &err) != DF_OK)
        return;
    job->phase = SERVICE_UP;
    job->was_up = true;
    job->trouble[0] = '\0';
    service_pool_tell(s, job->ticket.number);
    if (job->asked)
        service_submit_answer(s, job);
}

/* More events than the system keeps are lost, and it says so: then each may have changed. */
static void mark_take(coord_service *s, const struct inotify_event *event)
{
    bool lost = (event->mask & IN_Q_OVERFLOW) != 0;

    if (!lost && (event->len == 0 || strcmp(event->name, COORD_TICKET_MARK) != 0))
        return;
    for (uint32_t i = 0; i < s->job_count; i++)
        if ((lost || s->jobs[i]->watch == event->wd) && s->jobs[i]->phase == SERVICE_UP)
            job_mark(s->jobs[i]);
}

void service_starts_marked(coord_service *service)
{
    _Alignas(struct inotify_event) char events[4096];
    const struct inotify_event *event;
    ssize_t got;

    while ((got = read(service->marks, events, sizeof events)) > 0)
        for (const char *at = events; at < events + got; at += sizeof *event + event->len) {
            event = (const struct inotify_event *)at;
            mark_take(service, event);
        }
}

/* ---- its end ---- */

char *service_job_log(const service_job *job)
{
    char *text;
    size_t size;
    df_error err;

    return coord_state_read(job->folder, "log", &text, &size, &err) == DF_OK ? text : strdup("");
}

/* The last line of what it has complained of. */
static void job_trouble(const service_job *job, char *why, size_t capacity)
{
    char *text = service_job_log(job), *line = text, *end;

    if (text == NULL)
        return;
    end = text + strlen(text);
    while (end > text && end[-1] == '\n')
        *--end = '\0';
    line = strrchr(text, '\n');
    snprintf(why, capacity, "%s", line == NULL ? text : line + 1);
    if (why[0] == '\0')
        snprintf(why, capacity, "its coordinator has ended");
    free(text);
}

static bool job_has_ended(service_job *job)
{
    pid_t pid = coord_process_pid(job->process);

    return job->ours ? waitpid(pid, &job->status, WNOHANG) != 0 : !coord_process_alive(job->process);
}

/* The process has ended: with the job, or before it. */
static void job_collect(coord_service *s, service_job *job, uint64_t now_us)
{
    char *said = job_said(job), why[sizeof job->trouble] = "";

    job_unwatch(s, job);
    if (said != NULL) {
        job_end(s, job, said, now_us);
    } else if (job->asked && !WIFSIGNALED(job->status)) { /* it says what is wrong with the job */
        service_submit_answer(s, job);
    } else {
        job_trouble(job, why, sizeof why);
        job_down(job, now_us, why);
    }
    free(said);
}

/* ---- all of them ---- */

void service_starts_turn(coord_service *service, uint64_t now_us)
{
    for (uint32_t i = service->job_count; i-- > 0;) { /* from behind: one may go */
        service_job *job = i < service->job_count ? service->jobs[i] : NULL;

        if (job == NULL)
            continue;
        if (job->phase == SERVICE_DOWN && service->leave_us == 0 && now_us >= job->due_us) {
            job_start(service, job, now_us);
            continue; /* it may be gone */
        }
        if (job->phase == SERVICE_STARTING)
            job_look(service, job);
        if (job->process != 0 && job_has_ended(job))
            job_collect(service, job, now_us);
    }
}

uint64_t service_starts_deadline(const coord_service *service)
{
    uint64_t at = UINT64_MAX;

    for (uint32_t i = 0; i < service->job_count; i++) {
        const service_job *job = service->jobs[i];
        uint64_t look = job->phase == SERVICE_DOWN && service->leave_us == 0 ? job->due_us
                        : job->phase == SERVICE_STARTING ? service_now_us() + SERVICE_LOOK_US
                                                         : UINT64_MAX;

        at = look < at ? look : at;
    }
    return at;
}

void service_starts_stop(coord_service *service, int number)
{
    for (uint32_t i = 0; i < service->job_count; i++)
        if (service->jobs[i]->process != 0 &&
            coord_process_signal(service->jobs[i]->process, number, NULL) == DF_EIO)
            fprintf(stderr, "weir: the coordinator of %s cannot be stopped: %s\n",
                    service->jobs[i]->ticket.name, strerror(errno));
}

uint32_t service_starts_alive(const coord_service *service)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < service->job_count; i++)
        count += service->jobs[i]->process != 0;
    return count;
}
