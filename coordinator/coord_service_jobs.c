/* The list of a service's jobs, and what of it is on disk (coord_ticket.h). */
#include "coordinator/coord_service_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the list ---- */

service_job *service_job_find(const coord_service *service, const char *name)
{
    for (uint32_t i = service->job_count; i-- > 0;)
        if (strcmp(service->jobs[i]->ticket.name, name) == 0)
            return service->jobs[i];
    return NULL;
}

service_job *service_job_of(const coord_service *service, uint64_t ticket)
{
    for (uint32_t i = 0; i < service->job_count; i++)
        if (service->jobs[i]->ticket.number == ticket)
            return service->jobs[i];
    return NULL;
}

uint32_t service_jobs_going(const coord_service *service)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < service->job_count; i++)
        count += service->jobs[i]->phase != SERVICE_ENDED;
    return count;
}

static void job_free(service_job *job)
{
    if (job->pidfd >= 0)
        close(job->pidfd);
    free(job->end);
    free(job);
}

static df_status job_paths(const coord_service *s, service_job *job, df_error *err)
{
    char name[64];
    df_status status;

    snprintf(name, sizeof name, "jobs/%" PRIu64, job->ticket.number);
    status = coord_state_path(job->folder, s->folder, name, err);
    if (status == DF_OK)
        status = coord_state_path(job->directory, s->directory, job->ticket.name, err);
    if (status == DF_OK)
        status = coord_state_path(job->state, job->directory, "state", err);
    return status;
}

/* Tickets only rise, so the list stays in their order. Null: out of memory. */
static service_job *list_add(coord_service *s)
{
    service_job *job = calloc(1, sizeof *job);

    if (job != NULL && s->job_count == s->job_room) {
        uint32_t room = 2 * s->job_room + 16;
        service_job **grown = realloc(s->jobs, room * sizeof *grown);

        if (grown == NULL) {
            free(job);
            return NULL;
        }
        s->jobs = grown;
        s->job_room = room;
    }
    if (job == NULL)
        return NULL;
    job->pidfd = job->watch = -1;
    s->jobs[s->job_count++] = job;
    return job;
}

static void list_remove(coord_service *s, service_job *job)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < s->job_count; i++)
        if (s->jobs[i] != job)
            s->jobs[kept++] = s->jobs[i];
    s->job_count = kept;
    job_free(job);
}

/* ---- folders ---- */

/* The record goes first: what is left without one is no job, and is removed by the next service. */
static void folder_remove(coord_service *s, const char *folder)
{
    df_names names = { 0 };
    df_error err;
    df_status status;

    coord_state_remove(folder, "record");
    status = df_disk_sync_folder(&s->disk, folder, &err);
    if (status == DF_OK)
        status = df_disk_list(&s->disk, &names, folder, &err);
    for (size_t i = 0; status == DF_OK && i < names.count; i++)
        coord_state_remove(folder, names.names[i]);
    if (status == DF_OK && rmdir(folder) != 0)
        status = df_fail(&err, DF_EIO, "%s: %s", folder, strerror(errno));
    if (status != DF_OK && status != DF_END)
        fprintf(stderr, "weir: %s\n", err.text);
    df_names_fini(&names);
}

void service_job_forget(coord_service *service, service_job *job)
{
    folder_remove(service, job->folder);
    list_remove(service, job);
}

/* Ended jobs beyond the limit go, those that ended first. */
static void list_trim(coord_service *s)
{
    while (s->job_count - service_jobs_going(s) > s->config.ended_max) {
        service_job *first = NULL;

        for (uint32_t i = 0; i < s->job_count; i++)
            if (s->jobs[i]->phase == SERVICE_ENDED &&
                (first == NULL || s->jobs[i]->ended_ms < first->ended_ms))
                first = s->jobs[i];
        service_job_forget(s, first);
    }
}

/* ---- a new one ---- */

static df_status folder_write(const service_job *job, proto_bytes text, proto_bytes sets, df_error *err)
{
    char record[COORD_TICKET_SIZE_MAX];
    size_t size = coord_ticket_print(&job->ticket, record);
    df_status s = coord_state_make(job->folder, err);

    if (s == DF_OK)
        s = coord_state_write(job->folder, "job.toml", text.data, text.size, err);
    if (s == DF_OK)
        s = coord_state_write(job->folder, "sets", sets.data, sets.size, err);
    return s == DF_OK ? coord_state_write(job->folder, "record", record, size, err) : s;
}

/* The next number, and the folders that follow from it. One that stands in the job's state was given by a list
 * that has forgotten it: given again, the job would be taken for the one that has ended there. */
static df_status job_number(coord_service *s, service_job *job, df_error *err)
{
    coord_ticket_mark mark;
    df_status status;

    job->ticket.number = ++s->ticket_last;
    status = job_paths(s, job, err);
    if (status != DF_OK || coord_ticket_mark_read(job->state, &mark, NULL) != DF_OK ||
        mark.number < s->ticket_last || mark.number >= INT64_MAX)
        return status;
    job->ticket.number = s->ticket_last = mark.number + 1;
    return job_paths(s, job, err);
}

df_status service_job_add(coord_service *service, const coord_ticket *ticket, proto_bytes text, proto_bytes sets,
                          service_job **out, df_error *err)
{
    service_job *before = service_job_find(service, ticket->name), *job = list_add(service);
    df_status s;

    *out = NULL;
    if (job == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    job->ticket = *ticket;
    job->wanted = ticket->workers;
    job->ticket.submitted_ms = service_now_ms();
    s = job_number(service, job, err);
    if (s == DF_OK)
        s = folder_write(job, text, sets, err);
    if (s != DF_OK) {
        service_job_forget(service, job);
        return s;
    }
    if (before != NULL)
        service_job_forget(service, before);
    *out = job;
    return DF_OK;
}

/* ---- the end ---- */

df_status service_job_end(coord_service *service, service_job *job, const char *status, df_error *err)
{
    uint64_t now_ms = service_now_ms();
    size_t size = strlen(status) + 32;
    char *text = malloc(size), *copy = strdup(status);
    df_status s = DF_OK;

    if (text == NULL || copy == NULL)
        s = df_fail(err, DF_ENOMEM, "out of memory");
    if (s == DF_OK)
        s = coord_state_write(job->folder, "end", text,
                              (size_t)snprintf(text, size, "%" PRIu64 "\n%s", now_ms, status), err);
    free(text);
    if (s != DF_OK) {
        free(copy);
        return s;
    }
    free(job->end);
    job->end = copy;
    job->ended_ms = now_ms;
    job->phase = SERVICE_ENDED;
    service->counts.ended++;
    list_trim(service);
    return DF_OK;
}

static df_status end_read(service_job *job, df_error *err)
{
    char *text, *rest;
    size_t size;
    df_status s = coord_state_read(job->folder, "end", &text, &size, err);
    coord_status *status = malloc(sizeof *status);

    if (s == DF_OK && status == NULL)
        s = df_fail(err, DF_ENOMEM, "out of memory");
    if (s == DF_OK) {
        job->ended_ms = strtoull(text, &rest, 10);
        rest += *rest == '\n';
        if (job->ended_ms == 0 || !coord_json_status_read(status, rest, strlen(rest), err))
            s = df_fail(err, DF_ECORRUPT, "%.300s/end: damaged", job->folder);
        else if ((job->end = strdup(rest)) == NULL)
            s = df_fail(err, DF_ENOMEM, "out of memory");
        job->phase = SERVICE_ENDED;
    }
    free(status);
    free(text);
    return s == DF_END ? DF_OK : s;
}

/* ---- reading the list ---- */

/* DF_END: it is no submission. */
static df_status job_read(coord_service *s, uint64_t number, df_error *err)
{
    service_job *job = list_add(s);
    char *text = NULL;
    size_t size;
    df_status status;

    if (job == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    job->ticket.number = number;
    status = job_paths(s, job, err);
    if (status == DF_OK)
        status = coord_state_read(job->folder, "record", &text, &size, err);
    if (status == DF_OK) {
        status = coord_ticket_parse(&job->ticket, text, size, err);
        if (status == DF_OK && job->ticket.number != number)
            status = df_fail(err, DF_ECORRUPT, "it is of another job");
        if (status != DF_OK)
            df_wrap(err, status, "%.300s/record", job->folder);
    }
    free(text);
    if (status == DF_OK)
        status = job_paths(s, job, err);
    if (status == DF_OK)
        status = end_read(job, err);
    /* Nobody waits for an answer any more; and a coordinator that starts may find one there that the last service had
     * started, and that has not said so yet: that is no reason to refuse the job. */
    job->was_up = true;
    job->wanted = job->ticket.workers;
    job->lend_us = service_now_us() + SERVICE_GRACE_US;
    if (status == DF_END)
        service_job_forget(s, job);
    return status;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = strtoull(*(char *const *)a, NULL, 10), y = strtoull(*(char *const *)b, NULL, 10);

    return x < y ? -1 : x > y;
}

/* Of two jobs of one name the older one was to be forgotten. */
static void list_unite(coord_service *s)
{
    for (uint32_t i = 0; i < s->job_count;)
        if (service_job_find(s, s->jobs[i]->ticket.name) != s->jobs[i])
            service_job_forget(s, s->jobs[i]);
        else
            i++;
}

static df_status list_read(coord_service *s, const char *folder, df_error *err)
{
    df_names names = { 0 };
    df_status status = df_disk_list(&s->disk, &names, folder, err);

    if (status == DF_OK && names.count > 0)
        qsort(names.names, names.count, sizeof *names.names, compare_numbers);
    for (size_t i = 0; status == DF_OK && i < names.count; i++) {
        uint64_t number = strtoull(names.names[i], NULL, 10);
        char plain[32];

        snprintf(plain, sizeof plain, "%" PRIu64, number);
        if (number == 0 || strcmp(plain, names.names[i]) != 0)
            status = df_fail(err, DF_ECORRUPT, "%.300s/%.60s: this is no job's", folder, names.names[i]);
        else
            status = job_read(s, number, err);
        s->ticket_last = number > s->ticket_last ? number : s->ticket_last;
        status = status == DF_END ? DF_OK : status;
    }
    df_names_fini(&names);
    return status;
}

static df_status folder_lock(coord_service *s, df_error *err)
{
    char path[DF_PATH_MAX];
    df_status status = coord_state_path(path, s->folder, "lock", err);

    if (status == DF_OK)
        status = df_disk_open(&s->disk, &s->lock, path, DF_OPEN_CREATE, err);
    if (status == DF_OK)
        status = df_file_lock(s->lock, err);
    return status == DF_AGAIN ? df_fail(err, DF_AGAIN, "%.300s: another service has it", s->directory)
                              : status;
}

df_status service_jobs_open(coord_service *service, df_error *err)
{
    char folder[DF_PATH_MAX];
    df_status s = coord_state_path(folder, service->folder, "jobs", err);

    if (s == DF_OK)
        s = coord_state_make(folder, err);
    if (s == DF_OK)
        s = folder_lock(service, err);
    if (s == DF_OK)
        s = list_read(service, folder, err);
    if (s == DF_OK) {
        list_unite(service);
        list_trim(service);
    }
    return s;
}

void service_jobs_close(coord_service *service)
{
    for (uint32_t i = 0; i < service->job_count; i++)
        job_free(service->jobs[i]);
    free(service->jobs);
    df_file_close(&service->lock);
}
