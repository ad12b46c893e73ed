/* What a worker tells: who it is, what it counts, how busy it is, what it has written. */
#include "coordinator/coord_worker_private.h"

#include "coordinator/coord_machine.h"
#include "coordinator/coord_part.h"
#include "coordinator/coord_process.h"
#include "coordinator/coord_rotate.h"

#include <string.h>
#include <unistd.h>

#define WORKER_METRICS_US 1000000u /* between two messages with what was counted */
#define WORKER_UNITS_US   1000000u /* ... with what units cost */

uint64_t worker_now_us(void)
{
    return (uint64_t)(coord_machine_seconds() * 1e6);
}

proto_bytes worker_bytes(const char *text)
{
    return (proto_bytes){ (const uint8_t *)text, text == NULL ? 0 : (uint32_t)strlen(text) };
}

/* What cannot be sent now is lost: the protocol says it again. */
void worker_say(worker *w, uint64_t to, const proto_msg *msg)
{
    coord_wire_send(&w->wire, w->net, to, msg);
}

void worker_say_hello(worker *w)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_hello, .job = w->job, .sender = w->id } };

    msg.hello = (proto_hello){ .host = coord_process_host(), .process = coord_process_self(),
                               .cores = coord_machine_threads(),
                               .memory = (uint64_t)sysconf(_SC_PHYS_PAGES) *
                                         (uint64_t)sysconf(_SC_PAGESIZE),
                               .label = worker_bytes(w->options->label),
                               .address = worker_bytes(coord_net_address(w->net)),
                               .key = worker_bytes(coord_net_key(w->net)) };
    w->hello_at_us = worker_now_us() + WORKER_BEAT_US;
    worker_say(w, 0, &msg);
}

static void say_behind(worker *w, uint64_t now)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_behind, .job = w->job, .sender = w->id } };
    char text[PROTO_TEXT_SIZE_MAX];
    uint32_t member;

    if (!coord_flow_behind(w->flow, w->proto, now, &msg.behind.step, &member, text))
        return;
    msg.behind.worker = proto_worker_member(w->proto, member);
    msg.behind.text = worker_bytes(text);
    worker_say(w, 0, &msg);
}

/* About once a second, with a heartbeat: it makes no deadline of its own. */
void worker_say_metrics(worker *w, uint64_t now)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_metrics, .job = w->job, .sender = w->id } };
    coord_counts counts;
    df_writer out;

    if (now < w->metrics_at_us || !coord_flow_counts(w->flow, w->proto, &counts))
        return;
    w->metrics_at_us = now + WORKER_METRICS_US;
    coord_rotate(w->told.state, COORD_ROTATE_SIZE);
    say_behind(w, now);
    for (uint32_t i = 0; i < PROTO_REJECT_COUNT; i++)
        counts.rejected[i] += w->wire.rejected[i];
    df_writer_init_growing(&out, PROTO_PAYLOAD_SIZE_MAX);
    coord_counts_encode(&out, &counts);
    msg.metrics.payload = (proto_bytes){ out.data, (uint32_t)out.size };
    if (df_writer_ok(&out))
        worker_say(w, 0, &msg);
    df_writer_fini(&out);
    coord_counts_fini(&counts);
}

uint32_t worker_threads(const worker *w)
{
    return w->options->threads.given ? (uint32_t)w->options->threads.value
           : w->told.threads > 0     ? w->told.threads
                                     : coord_machine_threads();
}

/* At once when there is a job, then every sample. */
void worker_say_load(worker *w, uint64_t now)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_load, .job = w->job, .sender = w->id } };
    coord_load load = { .threads = worker_threads(w), .backend = "cpu" };
    df_writer out;

    if (now < w->load_at_us)
        return;
    w->load_at_us = now + (uint64_t)(1e6 * w->plan->draft->policy.placement.sample_seconds);
    coord_usage_take(&w->usage, load.threads, &load);
    if (now >= w->units_at_us && coord_flow_units(w->flow, w->proto, &load))
        w->units_at_us = now + WORKER_UNITS_US;
    df_writer_init_growing(&out, PROTO_PAYLOAD_SIZE_MAX);
    coord_load_encode(&out, &load);
    msg.load.payload = (proto_bytes){ out.data, (uint32_t)out.size };
    if (df_writer_ok(&out))
        worker_say(w, 0, &msg);
    df_writer_fini(&out);
    coord_load_fini(&load);
}

void worker_say_finished(worker *w, const proto_header *header)
{
    proto_msg msg = { .header = *header };
    char text[33];

    if (!coord_flow_fingerprint(w->flow, text))
        return;
    msg.header.type = PROTO_TYPE_finished;
    msg.finished = (proto_finished){ .step = w->plan->job.steps, .text = worker_bytes(text) };
    worker_say(w, 0, &msg);
}

void worker_say_part(worker *w, const proto_header *header, uint64_t attempt)
{
    proto_msg msg = { .header = *header };
    size_t size;
    const uint8_t *bytes = coord_flow_said(w->flow, attempt, &size);
    uint32_t count = coord_part_messages(size);

    msg.header.type = PROTO_TYPE_part;
    for (uint32_t i = 0; bytes != NULL && i < count; i++) {
        size_t offset, length = coord_part_cut(size, i, &offset);

        msg.part = (proto_part){ .attempt = attempt, .index = i, .count = count,
                                 .payload = { bytes + offset, (uint32_t)length } };
        worker_say(w, 0, &msg);
    }
}

/* Not prepared, and why. */
void worker_say_unprepared(worker *w, const proto_msg *msg)
{
    proto_msg out = *msg;

    out.prepared.text = worker_bytes(coord_flow_failure(w->flow));
    worker_say(w, 0, &out);
}
