#include "coordinator/coord_service_private.h"

#include "coordinator/coord_keys.h"
#include "coordinator/coord_machine.h"
#include "coordinator/coord_process.h"
#include "coordinator/coord_verb.h"
#include "snapshot/snap_hash.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define SERVICE_EVENTS_MAX 1000u /* taken in one turn */

uint64_t service_now_us(void)
{
    return (uint64_t)(coord_machine_seconds() * 1e6);
}

uint64_t service_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What cannot be sent now is lost: it is said again. */
void service_send(coord_service *service, uint64_t to, const proto_msg *msg)
{
    coord_wire_send(&service->wire, service->net, to, msg);
}

/* ---- frames ---- */

static bool role_may(coord_role role, uint16_t type)
{
    if (type == PROTO_TYPE_query)
        return role >= COORD_ROLE_READ_ONLY;
    if (type == PROTO_TYPE_hello || type == PROTO_TYPE_pooled)
        return role >= COORD_ROLE_WORKER;
    return role == COORD_ROLE_ADMIN;
}

/* Without an answer it would be said again. */
static void service_refuse(coord_service *s, const proto_msg *msg)
{
    proto_msg answer = { .header = { .type = PROTO_TYPE_answer } };

    if (msg->header.type == PROTO_TYPE_submit) {
        service_reply(s, msg->header.sender, msg->submit.number,
                      coord_json_error("refused: not with this key"));
    } else if (msg->header.type == PROTO_TYPE_command) {
        answer.answer.number = msg->command.number;
        answer.answer.status = PROTO_ANSWER_REFUSED;
        service_send(s, msg->header.sender, &answer);
    }
}

static void service_frame(coord_service *s, const coord_net_event *e)
{
    proto_msg msg;
    proto_reject reject = coord_wire_take(&s->wire, e, &msg);

    if (reject == PROTO_REJECT_version)
        coord_wire_refuse_version(&s->wire, s->net, e, 0);
    if (reject != PROTO_REJECT_ok)
        return;
    if (msg.header.sender != e->peer || e->peer <= 1 || !role_may(e->role, msg.header.type)) {
        s->wire.rejected[PROTO_REJECT_sender]++;
        if (msg.header.sender == e->peer && e->role != COORD_ROLE_NONE)
            service_refuse(s, &msg);
        return;
    }
    switch (msg.header.type) {
    case PROTO_TYPE_query:
        service_take_query(s, &msg, e->role);
        break;
    case PROTO_TYPE_submit:
        service_take_submit(s, &msg);
        break;
    case PROTO_TYPE_hello:
        service_take_hello(s, &msg);
        break;
    case PROTO_TYPE_pooled:
        service_take_pooled(s, &msg);
        break;
    default:
        s->wire.rejected[PROTO_REJECT_type]++;
        service_refuse(s, &msg);
    }
}

/* ---- the loop ---- */

static void child_ended(void *user, uint64_t worker, uint32_t slot)
{
    (void)slot;
    service_worker_gone(user, worker);
}

static int64_t service_timeout(const coord_service *s)
{
    uint64_t now = service_now_us(), at = service_starts_deadline(s), pool = service_pool_deadline(s);
    uint64_t leave = s->leave_us + SERVICE_LEAVE_US, due = coord_children_deadline(s->children);

    if (s->leave_us != 0)
        due = leave > now ? leave : now + SERVICE_LOOK_US;
    at = pool < at ? pool : at;
    at = due < at ? due : at;
    if (at == UINT64_MAX)
        return -1;
    return at > now ? (int64_t)(at - now) : 0;
}

/* Once: jobs stand still from now on, and go on with the next service. Twice: at once. */
static void service_signal(coord_service *s)
{
    struct signalfd_siginfo info;

    while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        service_starts_stop(s, s->leave_us == 0 ? SIGTERM : SIGKILL);
        if (s->leave_us == 0)
            s->leave_us = service_now_us();
    }
}

/* Our own workers have nobody to work for then. True: nobody is left. */
static bool service_leave(coord_service *s, uint64_t now_us)
{
    if (now_us - s->leave_us >= SERVICE_LEAVE_US)
        service_starts_stop(s, SIGKILL);
    if (service_starts_alive(s) > 0)
        return false;
    coord_children_stop(s->children, true);
    return true;
}

static void service_watch_children(coord_service *s)
{
    if (s->config.workers > 0 && coord_children_hope(s->children) == 0 && !s->hopeless)
        fprintf(stderr, "weir: no worker could be started; %s/worker-1.log says why\n", s->folder);
    s->hopeless = s->config.workers > 0 && coord_children_hope(s->children) == 0;
}

static df_status service_turn(coord_service *s, df_error *err)
{
    int fds[COORD_NET_FDS_MAX] = { s->signals, s->ends, s->marks };
    size_t count = 3 + coord_children_fds(s->children, fds + 3, COORD_NET_FDS_MAX - 3);
    coord_net_event event;
    uint64_t now, ready;
    df_status status = coord_net_wait(s->net, service_timeout(s), fds, count, &ready);

    if (status != DF_OK && status != DF_AGAIN)
        return df_fail(err, status, "the network failed");
    for (uint32_t i = 0; i < SERVICE_EVENTS_MAX && coord_net_next(s->net, &event); i++)
        if (event.kind == COORD_NET_FRAME)
            service_frame(s, &event);
        else if (event.kind == COORD_NET_GONE)
            service_worker_gone(s, event.peer);
    service_signal(s);
    now = service_now_us();
    coord_children_turn(s->children, now, s->leave_us == 0);
    service_watch_children(s);
    service_starts_turn(s, now);
    service_starts_marked(s);
    service_pool_turn(s, now);
    service_metrics_turn(s);
    return s->leave_us != 0 && service_leave(s, now) ? DF_END : DF_OK;
}

/* ---- opening ---- */

static df_status service_folders(coord_service *s, df_error *err)
{
    df_status status = coord_state_make(s->config.directory.text, err);

    if (status == DF_OK && realpath(s->config.directory.text, s->directory) == NULL)
        status = df_fail(err, DF_EIO, "%.300s: %s", s->config.directory.text, strerror(errno));
    if (status == DF_OK)
        status = coord_state_path(s->folder, s->directory, COORD_SERVICE_FOLDER, err);
    return status == DF_OK ? coord_state_make(s->folder, err) : status;
}

static df_status service_keys(coord_service *s, df_error *err)
{
    if (s->config.bind.text == NULL || s->config.insecure)
        return DF_OK;
    return coord_keys_find(s->keys, s->config.keys.text, err);
}

/* A local socket's name follows from the folder, so that workers find the next service at it. Of a port
 * that is any free one the last one is taken again. */
static df_status service_address(const coord_service *s, char address[COORD_ADDRESS_MAX], df_error *err)
{
    const char *bind = s->config.bind.text;
    size_t length = bind == NULL ? 0 : (size_t)(strrchr(bind, ':') - bind);
    coord_endpoint last;

    if (bind == NULL)
        return coord_state_socket(address, snap_hash(s->folder, strlen(s->folder)).low, err);
    snprintf(address, COORD_ADDRESS_MAX, "%s", bind);
    if (strcmp(bind + length, ":*") == 0 && coord_state_endpoint(&last, s->folder, NULL) == DF_OK &&
        strncmp(last.address, "tcp://", 6) == 0)
        snprintf(address, COORD_ADDRESS_MAX, "%.*s%s", (int)length, bind, strrchr(last.address, ':'));
    return DF_OK;
}

/* Coordinators are at the same host as the service, at ports that are free. */
static void service_job_addresses(coord_service *s)
{
    const char *bind = s->config.bind.text, *metrics = s->config.metrics.text;

    if (bind != NULL)
        snprintf(s->job_bind, sizeof s->job_bind, "%.*s:*", (int)(strrchr(bind, ':') - bind), bind);
    if (metrics != NULL && strchr(metrics, ':') != NULL)
        snprintf(s->job_metrics, sizeof s->job_metrics, "%.*s:0", (int)strcspn(metrics, ":"), metrics);
    else if (metrics != NULL)
        snprintf(s->job_metrics, sizeof s->job_metrics, "0");
}

static df_status service_listen(coord_service *s, df_error *err)
{
    char address[COORD_ADDRESS_MAX];
    coord_endpoint *e = &s->endpoint;
    coord_net_options options = { .self = SERVICE_SELF, .bind = address,
                                  .frame_size_max = PROTO_FRAME_SIZE_MAX,
                                  .keys = s->keys[0] == '\0' ? NULL : s->keys,
                                  .insecure = s->config.insecure };
    df_status status = service_address(s, address, err);

    if (status == DF_OK)
        status = coord_net_open(&s->net, &options, err);
    if (status != DF_OK)
        return status;
    snprintf(e->address, sizeof e->address, "%s", coord_net_address(s->net));
    snprintf(e->key, sizeof e->key, "%s", coord_net_key(s->net));
    if (e->key[0] != '\0') {
        snprintf(e->keys, sizeof e->keys, "%s", s->keys);
        status = coord_net_allow(s->net, e->key, COORD_ROLE_ADMIN, err);
    }
    return status == DF_OK ? coord_state_endpoint_write(e, s->folder, err) : status;
}

static df_status service_children(coord_service *s, df_error *err)
{
    coord_children_options options = { .state = s->folder, .address = s->endpoint.address,
                                       .key = s->endpoint.key, .keys = s->endpoint.keys,
                                       .insecure = s->config.insecure, .count = s->config.workers,
                                       .survive = true, .ended = child_ended, .user = s };

    return coord_children_new(&s->children, &options, err);
}

/* Before any thread is started: they inherit what is blocked. */
static df_status service_descriptors(coord_service *s, df_error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    s->ends = epoll_create1(EPOLL_CLOEXEC);
    s->marks = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return s->signals >= 0 && s->ends >= 0 && s->marks >= 0 ? DF_OK : df_fail(err, DF_EIO, "%s", strerror(errno));
}

static df_status service_open(coord_service *s, df_error *err)
{
    uint32_t cores = coord_machine_threads(), count = s->config.workers;
    df_status status = service_descriptors(s, err);

    s->host = coord_process_host();
    s->threads = s->config.threads > 0 ? s->config.threads : count > 0 && cores > count ? cores / count : 1;
    df_disk_posix_init(&s->disk);
    s->workers = calloc(PROTO_WORKERS_MAX, sizeof *s->workers);
    if (status == DF_OK && (!coord_wire_init(&s->wire) || s->workers == NULL))
        status = df_fail(err, DF_ENOMEM, "out of memory");
    if (status == DF_OK)
        status = service_folders(s, err);
    if (status == DF_OK)
        status = service_keys(s, err);
    if (status == DF_OK)
        status = service_jobs_open(s, err);
    service_job_addresses(s);
    if (status == DF_OK)
        status = service_listen(s, err);
    if (status == DF_OK)
        status = service_metrics_open(s, err);
    return status == DF_OK ? service_children(s, err) : status;
}

static void service_close(coord_service *s)
{
    coord_http_close(&s->http);
    coord_children_free(&s->children);
    if (s->net != NULL && s->leave_us != 0 && s->config.bind.text == NULL)
        coord_state_remove(s->folder, "endpoint");
    coord_net_close(&s->net);
    service_jobs_close(s);
    coord_wire_fini(&s->wire);
    free(s->workers);
    if (s->signals >= 0)
        close(s->signals);
    if (s->ends >= 0)
        close(s->ends);
    if (s->marks >= 0)
        close(s->marks);
    cfg_service_fini(&s->config);
}

/* ---- the whole ---- */

static void service_say(const coord_service *s)
{
    const coord_endpoint *e = &s->endpoint;

    fprintf(stderr, "service in %s: %u job%s, %u worker%s of %u thread%s\n", s->directory, s->job_count,
            s->job_count == 1 ? "" : "s", s->config.workers, s->config.workers == 1 ? "" : "s", s->threads,
            s->threads == 1 ? "" : "s");
    fprintf(stderr, "workers join with: weir worker --join %s%s%s%s%s\n", e->address,
            s->config.insecure ? " --insecure" : "", e->key[0] == '\0' ? "" : " --server-key='", e->key,
            e->key[0] == '\0' ? "" : "'");
    if (s->http != NULL)
        fprintf(stderr, "metrics at http://%s/metrics\n", coord_http_address(s->http));
}

static df_status service_read(coord_service *s, const char *path, df_report *report)
{
    const df_text *metrics = &s->config.metrics;
    df_error err;
    df_status status;

    df_report_init(report, path);
    status = cfg_service_load(&s->config, path, report);
    if (status == DF_OK && metrics->text != NULL &&
        coord_http_check(metrics->text, &err) != DF_OK)
        status = df_report_add(report, metrics->place, "[service]: metrics: %s", err.text);
    return status;
}

int coord_service_run(const char *config)
{
    coord_service s = { .signals = -1, .ends = -1, .marks = -1 };
    df_error err = { 0 };
    df_report report;
    df_status status = service_read(&s, config, &report);

    if (status != DF_OK) {
        df_report_print(&report, stderr);
        cfg_service_fini(&s.config);
        return status == DF_EINVAL || status == DF_ELIMIT ? COORD_USAGE : COORD_FAILED;
    }
    status = service_open(&s, &err);
    if (status == DF_OK)
        service_say(&s);
    while (status == DF_OK)
        status = service_turn(&s, &err);
    if (status == DF_END)
        fprintf(stderr, "%s: left; jobs go on where they are when it is started again\n", config);
    else
        fprintf(stderr, "%s: %s\n", config, err.text);
    service_close(&s);
    return status == DF_END ? COORD_INTERRUPTED : status == DF_EINVAL ? COORD_USAGE : COORD_FAILED;
}
