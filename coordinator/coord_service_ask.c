/* What clients ask of a service: its list, where a job's coordinator is, how one has ended, logs; and what is
 * done at once: to forget a job, or to cancel one whose coordinator does not come up. */
#include "coordinator/coord_service_private.h"

#include "coordinator/coord_rescales.h"
#include "coordinator/coord_rotate.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Takes the text; null: there was no memory, and the client asks again. */
void service_reply(coord_service *service, uint64_t to, uint64_t number, char *text)
{
    proto_msg out = { .header = { .type = PROTO_TYPE_reply } };

    if (text == NULL)
        return;
    out.reply.number = number;
    out.reply.text = (proto_bytes){ (const uint8_t *)text, (uint32_t)strlen(text) };
    service_send(service, to, &out);
    free(text);
}

/* ---- lists ---- */

void service_list_job(const coord_service *service, const service_job *job, coord_listed *listed)
{
    coord_status *status = job->end == NULL ? NULL : malloc(sizeof *status);
    df_error err;

    *listed = (coord_listed){ .ticket = job->ticket, .ended_ms = job->ended_ms };
    listed->ticket.workers = job->wanted;
    if (job->phase == SERVICE_UP && coord_state_endpoint(&listed->endpoint, job->state, &err) != DF_OK)
        listed->endpoint.address[0] = '\0'; /* it is about to leave */
    listed->placed = coord_pool_placed(service->workers, service->worker_count, job->ticket.number, 0);
    snprintf(listed->trouble, sizeof listed->trouble, "%s", job->trouble);
    if (status != NULL && coord_json_status_read(status, job->end, strlen(job->end), &err)) {
        snprintf(listed->phase, sizeof listed->phase, "%s", status->phase);
        snprintf(listed->fingerprint, sizeof listed->fingerprint, "%s", status->fingerprint);
        snprintf(listed->error, sizeof listed->error, "%s", status->error);
        listed->begun = status->begun;
        listed->step = status->step;
        listed->steps = status->steps;
        listed->snapshot = status->snapshot;
        listed->snapshot_step = status->snapshot_step;
    }
    free(status);
}

/* Jobs above a ticket, or one by its name. */
static char *reply_list(const coord_service *s, const coord_question *q, const service_job *only)
{
    coord_listing listing = { .pool_count = s->worker_count,
                              .jobs = calloc(COORD_LISTED_MAX, sizeof *listing.jobs) };
    char *text;

    for (uint32_t i = 0; i < s->worker_count; i++)
        listing.pool_free += s->workers[i].ticket == 0;
    for (uint32_t i = 0; listing.jobs != NULL && i < s->job_count; i++) {
        if (only != NULL ? s->jobs[i] != only : s->jobs[i]->ticket.number <= q->after)
            continue;
        listing.more = listing.count == COORD_LISTED_MAX;
        if (listing.more)
            break;
        service_list_job(s, s->jobs[i], &listing.jobs[listing.count++]);
    }
    text = listing.jobs == NULL ? NULL : coord_json_listing(&listing);
    free(listing.jobs);
    return text;
}

/* ---- logs ---- */

#define LOG_OWN "coordinator.log" /* what a job's coordinator has said; in its folder the file is `log` */

static bool log_is(const char *name)
{
    return strcmp(name, LOG_OWN) == 0 || strcmp(name, LOG_OWN COORD_ROTATE_OLD) == 0 ||
           (coord_rotate_is_worker(name) && strlen(name) < COORD_LOG_NAME && strchr(name, '/') == NULL);
}

static int filter_log(const struct dirent *entry)
{
    return coord_rotate_is_worker(entry->d_name);
}

/* By number, and what was said before a log was begun anew before it. */
static int compare_logs(const struct dirent **a, const struct dirent **b)
{
    unsigned one = 0, two = 0;

    sscanf((*a)->d_name, "worker-%u", &one);
    sscanf((*b)->d_name, "worker-%u", &two);
    return one != two ? (one > two) - (one < two) : -strcmp((*a)->d_name, (*b)->d_name);
}

static char *reply_logs(const service_job *job)
{
    static char names[COORD_LOGS_MAX][COORD_LOG_NAME]; /* one thread */
    struct dirent **found = NULL;
    int count = scandir(job->state, &found, filter_log, compare_logs);
    char path[DF_PATH_MAX];
    uint32_t used = 0;

    if (coord_state_path(path, job->folder, "log" COORD_ROTATE_OLD, NULL) == DF_OK && access(path, F_OK) == 0)
        strcpy(names[used++], LOG_OWN COORD_ROTATE_OLD);
    strcpy(names[used++], LOG_OWN);
    for (int i = 0; i < count; i++) {
        if (used < COORD_LOGS_MAX)
            snprintf(names[used++], COORD_LOG_NAME, "%.31s", found[i]->d_name);
        free(found[i]);
    }
    free(found);
    return coord_json_logs(names, used);
}

/* A piece of a log, which may be going on; what is not plain is shown as '?', for it goes into JSON. */
static char *reply_log(const service_job *job, const coord_question *q)
{
    bool own = strncmp(q->file, LOG_OWN, sizeof LOG_OWN - 1) == 0, old = strcmp(q->file, LOG_OWN) != 0;
    char path[DF_PATH_MAX], *bytes = malloc(COORD_LOG_PIECE), *text;
    ssize_t got = -1;
    int fd = -1;

    if (bytes != NULL && log_is(q->file) && q->after <= INT64_MAX &&
        coord_state_path(path, own ? job->folder : job->state, !own ? q->file : old ? "log" COORD_ROTATE_OLD : "log", NULL) == DF_OK)
        fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        got = pread(fd, bytes, COORD_LOG_PIECE, (off_t)q->after);
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < got; i++)
        if (bytes[i] != '\n' && bytes[i] != '\t' && (bytes[i] < ' ' || bytes[i] == 127))
            bytes[i] = '?';
    text = got < 0 ? coord_json_error("there is no such log")
                   : coord_json_log(bytes, (size_t)got, got == 0 ? 0 : q->after + (uint64_t)got);
    free(bytes);
    return text;
}

/* ---- what was changed of one that has ended ---- */

static char *reply_rescales(const service_job *job)
{
    char *text;
    df_error err;

    return coord_rescales_kept(&text, job->state, &err) == DF_OK ? text : coord_json_error(err.text);
}

/* ---- what is done ---- */

static char *reply_forget(coord_service *s, service_job *job)
{
    if (job->phase != SERVICE_ENDED)
        return coord_json_taken("the job has not ended: cancel or drain it first");
    service_job_forget(s, job);
    return coord_json_done();
}

/* One whose coordinator cannot be asked. */
static char *reply_cancel(coord_service *s, service_job *job)
{
    coord_status *status;
    char *text = NULL, *reply = NULL;
    df_error err;

    if (job->phase == SERVICE_ENDED)
        return coord_json_error("the job has ended");
    if (job->process != 0)
        return coord_json_error("its coordinator is there and decides that");
    status = calloc(1, sizeof *status);
    if (status != NULL) {
        snprintf(status->job, sizeof status->job, "%s", job->ticket.name);
        snprintf(status->phase, sizeof status->phase, "cancelled");
        snprintf(status->error, sizeof status->error, "%s", job->trouble);
        text = coord_json_status(status);
    }
    if (text != NULL)
        reply = service_job_end(s, job, text, &err) == DF_OK ? coord_json_done()
                                                             : coord_json_error(err.text);
    free(text);
    free(status);
    return reply;
}

/* ---- the questions ---- */

/* Of a job that goes on its coordinator answers, when there is one. */
static char *reply_later(const service_job *job)
{
    char text[sizeof job->trouble + WEIR_NAME_MAX + 64];

    snprintf(text, sizeof text, "%s: its coordinator is being started%s%s", job->ticket.name,
             job->trouble[0] == '\0' ? "" : " again: ", job->trouble);
    return coord_json_error(job->phase == SERVICE_UP ? "its coordinator answers that" : text);
}

static char *answer_job(coord_service *s, const coord_question *q, service_job *job)
{
    if (strcmp(q->what, "where") == 0)
        return reply_list(s, q, job);
    if (strcmp(q->what, "logs") == 0)
        return reply_logs(job);
    if (strcmp(q->what, "log") == 0)
        return reply_log(job, q);
    if (job->end == NULL)
        return reply_later(job);
    if (strcmp(q->what, "status") == 0)
        return strdup(job->end);
    if (strcmp(q->what, "rescales") == 0)
        return reply_rescales(job);
    return coord_json_error("the job has ended; weir snapshot verify DIR reads what it has left");
}

static bool question_changes(const coord_question *q)
{
    return strcmp(q->what, "forget") == 0 || strcmp(q->what, "cancel") == 0;
}

static char *answer(coord_service *s, const coord_question *q, coord_role role)
{
    service_job *job = q->job[0] == '\0' ? NULL : service_job_find(s, q->job);
    char text[WEIR_NAME_MAX + 64];

    if (question_changes(q) && role != COORD_ROLE_ADMIN)
        return coord_json_error("refused: not with this key");
    if (strcmp(q->what, "list") == 0)
        return reply_list(s, q, NULL);
    if (q->job[0] == '\0')
        return coord_json_error("this is a service for several jobs: give the job's name, and "
                                "--coordinator with this address");
    if (job == NULL) {
        snprintf(text, sizeof text, "%s: the service has no job of this name", q->job);
        return coord_json_error(text);
    }
    if (strcmp(q->what, "forget") == 0)
        return reply_forget(s, job);
    return strcmp(q->what, "cancel") == 0 ? reply_cancel(s, job) : answer_job(s, q, job);
}

void service_take_query(coord_service *service, const proto_msg *msg, coord_role role)
{
    coord_question q = { 0 };
    bool right = coord_json_question_read(&q, (const char *)msg->query.text.data, msg->query.text.size);

    service_reply(service, msg->header.sender, msg->query.number,
                  right ? answer(service, &q, role) : coord_json_error("the question makes no sense"));
}
