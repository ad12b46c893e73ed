/* Submissions. One is durable before its coordinator is started, and answered when that listens, so that
 * whoever submitted it hears of everything that is wrong with it; then it is forgotten again. Said again
 * it is answered again: it is known by who said it and which number it has. */
#include "coordinator/coord_service_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool text_take(char *to, size_t capacity, proto_bytes from)
{
    bool right = from.size > 0 && from.size < capacity && memchr(from.data, '\0', from.size) == NULL;

    memcpy(to, from.data, right ? from.size : 0);
    to[right ? from.size : 0] = '\0';
    return right;
}

/* Overrides go onto the coordinator's command line: a line each, and no more than that takes. */
static bool sets_are_right(proto_bytes sets)
{
    uint32_t lines = 0;

    for (uint32_t i = 0; i < sets.size; i++)
        lines += sets.data[i] == '\n';
    return lines <= COORD_TEXTS_MAX && memchr(sets.data, '\0', sets.size) == NULL &&
           (sets.size == 0 || sets.data[sets.size - 1] == '\n');
}

/* Who has the name, and since when. */
static char *refuse_name(const service_job *job)
{
    time_t since = (time_t)(job->ticket.submitted_ms / 1000);
    char text[COORD_ADDRESS_MAX], when[32] = "?";
    struct tm local;

    if (localtime_r(&since, &local) != NULL)
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
    snprintf(text, sizeof text,
             "%s was submitted at %s and has not ended; cancel it first, or give the job another name "
             "(--set job.name=...)", job->ticket.name, when);
    return coord_json_taken(text);
}

/* What is wrong with it, as a reply; null: nothing, and *ticket says what it is. */
static char *submit_check(const coord_service *s, const proto_msg *msg, coord_ticket *ticket)
{
    const proto_submit *m = &msg->submit;
    const service_job *job;
    char text[128];

    *ticket = (coord_ticket){ .workers = m->workers, .client = msg->header.sender, .question = m->number };
    if (!text_take(ticket->name, sizeof ticket->name, m->name) || !coord_ticket_name_is(ticket->name) ||
        !text_take(ticket->file, sizeof ticket->file, m->file) || !coord_ticket_file_is(ticket->file) ||
        m->workers == 0 || m->workers > PROTO_MEMBERS_MAX || !sets_are_right(m->sets))
        return coord_json_error("the submission makes no sense");
    job = service_job_find(s, ticket->name);
    if (job != NULL && job->phase != SERVICE_ENDED)
        return refuse_name(job);
    if (service_jobs_going(s) < s->config.jobs_max)
        return NULL;
    snprintf(text, sizeof text, "%u jobs have not ended, and [limits] jobs allows no more",
             s->config.jobs_max);
    return coord_json_error(text);
}

static char *submitted(const coord_service *s, const service_job *job)
{
    return coord_json_submitted(job->ticket.name, job->ticket.number, s->worker_count);
}

/* The same message again. */
static service_job *submit_known(const coord_service *s, const proto_msg *msg)
{
    for (uint32_t i = s->job_count; i-- > 0;)
        if (s->jobs[i]->ticket.client == msg->header.sender &&
            s->jobs[i]->ticket.question == msg->submit.number)
            return s->jobs[i];
    return NULL;
}

void service_take_submit(coord_service *service, const proto_msg *msg)
{
    service_job *job = submit_known(service, msg);
    coord_ticket ticket;
    df_error err;
    char *refusal;

    if (job != NULL) {
        job->asked |= job->phase != SERVICE_ENDED && !job->was_up;
        if (!job->asked)
            service_reply(service, msg->header.sender, msg->submit.number, submitted(service, job));
        return;
    }
    refusal = submit_check(service, msg, &ticket);
    if (refusal == NULL && service->leave_us != 0)
        refusal = coord_json_error("the service is about to end");
    if (refusal == NULL &&
        service_job_add(service, &ticket, msg->submit.text, msg->submit.sets, &job, &err) != DF_OK)
        refusal = coord_json_error(err.text);
    if (refusal != NULL) {
        service->counts.refused++;
        service_reply(service, msg->header.sender, msg->submit.number, refusal);
        return;
    }
    service->counts.submitted++;
    job->asked = true;
}

void service_submit_answer(coord_service *service, service_job *job)
{
    uint64_t client = job->ticket.client, number = job->ticket.question;
    char *log;

    job->asked = false;
    if (job->phase == SERVICE_UP) {
        service_reply(service, client, number, submitted(service, job));
        return;
    }
    log = service_job_log(job);
    service->counts.refused++;
    service_job_forget(service, job);
    service_reply(service, client, number, coord_json_refused(log == NULL || log[0] == '\0'
                                                                  ? "its coordinator has ended at once"
                                                                  : log));
    free(log);
}
