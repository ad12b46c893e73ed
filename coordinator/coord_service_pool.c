/* The pool: workers that have said hello, and what they are told. Who goes where is coord_pool.c. */
#include "coordinator/coord_service_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static coord_pool_worker *worker_find(const coord_service *s, uint64_t id)
{
    for (uint32_t i = 0; i < s->worker_count; i++)
        if (s->workers[i].id == id)
            return &s->workers[i];
    return NULL;
}

static void worker_remove(coord_service *s, coord_pool_worker *worker)
{
    *worker = s->workers[--s->worker_count];
}

/* Null: there are too many. One whose connection was lost gives its place. */
static coord_pool_worker *worker_add(coord_service *s, uint64_t id)
{
    coord_pool_worker *w = worker_find(s, id);

    for (uint32_t i = 0; w == NULL && s->worker_count == PROTO_WORKERS_MAX && i < s->worker_count; i++)
        if (!s->workers[i].here)
            worker_remove(s, &s->workers[i]);
    if (w == NULL && s->worker_count < PROTO_WORKERS_MAX) {
        w = &s->workers[s->worker_count++];
        *w = (coord_pool_worker){ .id = id };
    }
    return w;
}

static void worker_note(coord_pool_worker *w, uint32_t host, uint64_t process, proto_bytes label)
{
    size_t size = label.size < sizeof w->label ? label.size : sizeof w->label - 1;

    w->here = true;
    w->host = host;
    w->process = process;
    for (size_t i = 0; i < size; i++)
        w->label[i] = label.data[i] > ' ' && label.data[i] < 127 ? (char)label.data[i] : '?';
    w->label[size] = '\0';
}

/* ---- what they are told ---- */

static proto_bytes bytes_of(const char *text)
{
    return (proto_bytes){ (const uint8_t *)text, (uint32_t)strlen(text) };
}

/* Our own workers are known by their places, and speak into the job's logs. */
static void worker_names(const coord_service *s, const coord_pool_worker *w, const service_job *job,
                         char label[WEIR_NAME_MAX], char log[DF_PATH_MAX])
{
    uint32_t slot;
    char name[32];

    snprintf(label, WEIR_NAME_MAX, "%s", w->label);
    log[0] = '\0';
    if (!coord_children_has(s->children, w->id, &slot))
        return;
    snprintf(label, WEIR_NAME_MAX, "w%u", slot + 1);
    snprintf(name, sizeof name, "worker-%u.log", slot + 1);
    if (coord_state_path(log, job->state, name, NULL) != DF_OK || strlen(log) > PROTO_TEXT_SIZE_MAX)
        log[0] = '\0';
}

static void worker_tell(coord_service *s, const coord_pool_worker *w)
{
    const service_job *job = w->ticket == 0 ? NULL : service_job_of(s, w->ticket);
    proto_msg msg = { .header = { .type = PROTO_TYPE_place, .job = w->ticket } };
    char label[WEIR_NAME_MAX], log[DF_PATH_MAX];

    msg.place.order = w->order;
    if (job != NULL) {
        worker_names(s, w, job, label, log);
        msg.place.address = bytes_of(job->endpoint.address);
        msg.place.key = bytes_of(job->endpoint.key);
        msg.place.label = bytes_of(label);
        msg.place.log = bytes_of(log);
    }
    service_send(s, w->id, &msg);
}

/* ---- what they say ---- */

/* A new process, which works for nobody. */
void service_take_hello(coord_service *service, const proto_msg *msg)
{
    coord_pool_worker *w = worker_add(service, msg->header.sender);

    if (w == NULL)
        return;
    worker_note(w, msg->hello.host, msg->hello.process, msg->hello.label);
    coord_pool_free(w);
    worker_tell(service, w);
}

void service_take_pooled(coord_service *service, const proto_msg *msg)
{
    const proto_pooled *p = &msg->pooled;
    const coord_pool_said said = { p->order, msg->header.job, (coord_doing)p->doing };
    coord_pool_worker *w = p->doing < COORD_DOING_COUNT ? worker_add(service, msg->header.sender) : NULL;
    const service_job *job = service_job_of(service, msg->header.job);

    if (w == NULL) {
        service->wire.rejected[PROTO_REJECT_field]++;
        return;
    }
    worker_note(w, p->host, p->process, p->label);
    if (p->doing == COORD_DOING_ENDED && p->order == w->order && p->code != 0 && job != NULL)
        fprintf(stderr, "weir: %s: the worker %s has ended with %u\n", job->ticket.name,
                w->label[0] == '\0' ? "of this host" : w->label, p->code);
    coord_pool_take(w, &said, job != NULL && job->phase != SERVICE_ENDED, service_now_us());
    worker_tell(service, w);
}

void service_worker_gone(coord_service *service, uint64_t id)
{
    coord_pool_worker *w = worker_find(service, id);

    if (w != NULL)
        worker_remove(service, w);
}

/* ---- sending them ---- */

static uint32_t jobs_list(const coord_service *s, uint64_t now_us, coord_pool_job *jobs)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < s->job_count; i++) {
        const service_job *job = s->jobs[i];

        if (job->phase == SERVICE_UP && now_us >= job->lend_us)
            jobs[count++] = (coord_pool_job){ job->ticket.number, job->wanted };
    }
    return count;
}

void service_pool_turn(coord_service *service, uint64_t now_us)
{
    coord_pool_job *jobs = calloc(service->job_count + 1, sizeof *jobs);
    uint32_t count = jobs == NULL || service->leave_us != 0 ? 0 : jobs_list(service, now_us, jobs);
    uint32_t worker, job;

    while (coord_pool_next(service->workers, service->worker_count, jobs, count, service->host, now_us,
                           &worker, &job)) {
        coord_pool_send(&service->workers[worker], jobs[job].ticket, now_us);
        worker_tell(service, &service->workers[worker]);
        service->counts.sent++;
    }
    free(jobs);
}

uint64_t service_pool_deadline(const coord_service *service)
{
    uint64_t now = service_now_us();
    uint64_t at = coord_pool_deadline(service->workers, service->worker_count, now);

    for (uint32_t i = 0; i < service->job_count; i++) {
        const service_job *job = service->jobs[i];

        if (job->phase == SERVICE_UP && job->lend_us > now && job->lend_us < at)
            at = job->lend_us;
    }
    return at;
}

void service_pool_tell(coord_service *service, uint64_t ticket)
{
    for (uint32_t i = 0; i < service->worker_count; i++)
        if (service->workers[i].ticket == ticket)
            worker_tell(service, &service->workers[i]);
}

void service_pool_release(coord_service *service, uint64_t ticket)
{
    for (uint32_t i = 0; i < service->worker_count; i++)
        if (service->workers[i].ticket == ticket) {
            coord_pool_free(&service->workers[i]);
            worker_tell(service, &service->workers[i]);
        }
}
