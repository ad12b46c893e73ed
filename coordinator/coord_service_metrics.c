/* The service's own numbers over HTTP. Each job's coordinator shows those of the job, at a port of its own. */
#include "coordinator/coord_service_private.h"

#include "coordinator/coord_expose.h"

#include <stdio.h>
#include <stdlib.h>

#define SERVICE_METRICS_FRESH_S 0.2

static void metrics_wake(void *user)
{
    coord_service *s = user;

    coord_net_wake(s->net);
}

df_status service_metrics_open(coord_service *service, df_error *err)
{
    static const coord_http_page page = { "/metrics", SERVICE_METRICS_FRESH_S };
    coord_http_options options = { .address = service->config.metrics.text, .pages = &page,
                                   .page_count = 1, .wake = metrics_wake, .user = service };
    df_status s;

    if (options.address == NULL)
        return DF_OK;
    s = coord_http_open(&service->http, &options, err);
    return s == DF_OK ? s : df_wrap(err, s, "metrics");
}

static void put_phases(df_writer *out, const coord_service *s)
{
    static const char *const names[] = { [SERVICE_DOWN] = "down", [SERVICE_STARTING] = "starting",
                                         [SERVICE_UP] = "up", [SERVICE_ENDED] = "ended" };
    uint64_t counts[sizeof names / sizeof names[0]] = { 0 };

    for (uint32_t i = 0; i < s->job_count; i++)
        counts[s->jobs[i]->phase]++;
    coord_expose_family(out, "weir_service_jobs", COORD_GAUGE, "jobs, by how their coordinators are");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        coord_expose_count(out, "weir_service_jobs",
                           (const coord_label[]){ { "coordinator", names[i] }, { 0 } }, counts[i]);
}

static void put_workers(df_writer *out, const coord_service *s)
{
    uint64_t lent = 0;

    for (uint32_t i = 0; i < s->worker_count; i++)
        lent += s->workers[i].ticket != 0;
    coord_expose_family(out, "weir_service_workers", COORD_GAUGE, "workers of the pool");
    coord_expose_count(out, "weir_service_workers", (const coord_label[]){ { "state", "free" }, { 0 } },
                       s->worker_count - lent);
    coord_expose_count(out, "weir_service_workers", (const coord_label[]){ { "state", "lent" }, { 0 } },
                       lent);
}

static void put_rejected(df_writer *out, const coord_service *s)
{
    coord_expose_family(out, "weir_service_rejected_messages_total", COORD_COUNTER,
                        "messages that the service refused");
    for (int i = 1; i < PROTO_REJECT_COUNT; i++)
        coord_expose_count(out, "weir_service_rejected_messages_total",
                           (const coord_label[]){ { "reason", proto_reject_name((proto_reject)i) }, { 0 } },
                           s->wire.rejected[i]);
}

static void put_count(df_writer *out, const char *name, const char *help, uint64_t value)
{
    coord_expose_family(out, name, COORD_COUNTER, help);
    coord_expose_count(out, name, NULL, value);
}

void service_metrics_turn(coord_service *service)
{
    df_writer out;
    size_t size = 0;
    char *text;

    if (service->http == NULL || !coord_http_wants(service->http, 0))
        return;
    df_writer_init_growing(&out, 1u << 20);
    put_phases(&out, service);
    put_workers(&out, service);
    put_count(&out, "weir_service_submitted_total", "jobs that were taken on", service->counts.submitted);
    put_count(&out, "weir_service_refused_total", "submissions that were refused", service->counts.refused);
    put_count(&out, "weir_service_ended_total", "jobs that have ended", service->counts.ended);
    put_count(&out, "weir_service_coordinator_restarts_total",
              "coordinators that were started again before their job had ended", service->counts.restarts);
    put_count(&out, "weir_service_workers_sent_total", "times that a worker was sent to a job",
              service->counts.sent);
    put_rejected(&out, service);
    text = (char *)df_writer_take(&out, &size);
    df_writer_fini(&out);
    coord_http_put(service->http, 0, text, size);
}
