#include "coordinator/coord_client_private.h"

#include "coordinator/coord_job.h"
#include "coordinator/coord_times.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- finding ---- */

static bool is_folder(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool client_is_tcp(const char *address)
{
    return strncmp(address, "tcp://", 6) == 0;
}

static bool has_history(const char *folder)
{
    char path[DF_PATH_MAX];

    return coord_state_path(path, folder, "history.a", NULL) == DF_OK && access(path, F_OK) == 0;
}

/* FOLDER/state, or FOLDER itself. */
static bool find_state(char state[DF_PATH_MAX], const char *folder)
{
    if (coord_state_path(state, folder, "state", NULL) == DF_OK && has_history(state))
        return true;
    return snprintf(state, DF_PATH_MAX, "%s", folder) < DF_PATH_MAX && has_history(state);
}

/* The name that a job file gives its job. */
static df_status find_name(char name[WEIR_NAME_MAX], const char *file, df_error *err)
{
    const coord_texts sets = { 0 };
    df_plan *plan = NULL;
    df_report report;
    df_status s = coord_job_load(&plan, file, &sets, &report);

    if (s != DF_OK)
        return df_fail(err, s, "%s: the job file has errors; name the job or its folder instead", file);
    snprintf(name, WEIR_NAME_MAX, "%s", plan->job.name);
    df_plan_free(&plan);
    return DF_OK;
}

df_status coord_client_name(char name[WEIR_NAME_MAX], const char *job, df_error *err)
{
    if (!is_folder(job) && access(job, R_OK) == 0)
        return find_name(name, job, err);
    if (!coord_ticket_name_is(job))
        return df_fail(err, DF_EINVAL, "%.100s: neither a job file nor a job's name", job);
    snprintf(name, WEIR_NAME_MAX, "%s", job);
    return DF_OK;
}

df_status coord_client_find(char state[DF_PATH_MAX], const char *job, df_error *err)
{
    char folder[DF_PATH_MAX], name[WEIR_NAME_MAX];
    df_status s = DF_OK;

    if (is_folder(job))
        snprintf(folder, sizeof folder, "%s", job);
    else if (access(job, R_OK) == 0) {
        s = find_name(name, job, err);
        snprintf(folder, sizeof folder, "runs/%s", name);
    } else {
        snprintf(folder, sizeof folder, "runs/%s", job);
    }
    if (s != DF_OK)
        return s;
    if (!is_folder(folder))
        return df_fail(err, DF_EINVAL, "%.100s: no such job file or folder, and there is no %.150s", job,
                       folder);
    if (!find_state(state, folder))
        return df_fail(err, DF_EINVAL, "%.200s: nothing has run there with workers", folder);
    return DF_OK;
}

/* ---- talking ---- */

static uint64_t client_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void client_send(coord_client *c, proto_msg *msg, uint16_t type)
{
    coord_net_frame frame = { .head = c->frame };

    msg->header.type = type;
    msg->header.job = c->status->number;
    msg->header.sender = c->self;
    frame.head_size = proto_encode(msg, c->frame, PROTO_FRAME_SIZE_MAX);
    if (frame.head_size == 0 || coord_net_send(c->net, 0, &frame, NULL) != DF_OK)
        return; /* it is said again */
}

/* The next message of a type that answers what was said last; false: not yet. */
static bool client_next(coord_client *c, proto_msg *msg, uint16_t type)
{
    coord_endpoint endpoint;
    coord_net_event e;
    proto_reject reject;

    while (coord_net_next(c->net, &e)) {
        c->refused |= e.kind == COORD_NET_REFUSED;
        if (e.kind == COORD_NET_GONE)
            c->left = c->of_service ||
                      (c->in_folder && coord_state_endpoint(&endpoint, c->name, NULL) == DF_END);
        if (e.kind != COORD_NET_FRAME || e.payload != NULL)
            continue;
        reject = proto_decode(msg, e.bytes, e.size);
        if (reject == PROTO_REJECT_version)
            proto_version_tell(c->version, sizeof c->version, e.bytes, e.size);
        if (reject != PROTO_REJECT_ok || msg->header.type != type)
            continue;
        if ((type == PROTO_TYPE_reply ? msg->reply.number : msg->answer.number) == c->number)
            return true;
    }
    return false;
}

/* Say it, again and again, until it is answered. *msg is what is said, and then the answer. */
static df_status client_talk(coord_client *c, proto_msg *msg, uint16_t type, uint16_t answer,
                             uint64_t wait_us, df_error *err)
{
    uint64_t now = client_now_us(), end = now + wait_us, again = 0, ready;
    proto_msg heard;

    for (;;) {
        if (client_next(c, &heard, answer)) {
            *msg = heard;
            return DF_OK;
        }
        now = client_now_us();
        if (c->version[0] != '\0')
            return df_fail(err, DF_ENOTSUP, "%.200s: %s", c->name, c->version);
        if (now >= end || c->left)
            return df_fail(err, DF_END, "%.300s: %s", c->name,
                           c->refused && !c->local ? "the coordinator does not let us in: a key is wrong, or not allowed"
                                      : "no coordinator answers");
        if (now >= again) {
            client_send(c, msg, type);
            again = now + COORD_ASK_US;
        }
        if (coord_net_wait(c->net, (int64_t)((again < end ? again : end) - now), NULL, 0, &ready) ==
            DF_EIO)
            return df_fail(err, DF_EIO, "the network failed");
    }
}

/* Keep the text of a reply until the next one. */
static df_status client_keep(coord_client *client, const proto_msg *msg, const char **reply, size_t *size,
                             df_error *err)
{
    free(client->reply);
    client->reply_size = msg->reply.text.size;
    client->reply = malloc(client->reply_size + 1);
    if (client->reply == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    memcpy(client->reply, msg->reply.text.data, client->reply_size);
    client->reply[client->reply_size] = '\0';
    *reply = client->reply;
    *size = client->reply_size;
    return DF_OK;
}

df_status coord_client_ask(coord_client *client, const coord_question *question, const char **reply,
                           size_t *size, df_error *err)
{
    proto_msg msg = { .query = { .number = ++client->number } };
    coord_question q = *question;
    char *text;
    df_status s;

    if (q.job[0] == '\0')
        snprintf(q.job, sizeof q.job, "%s", client->job);
    text = coord_json_question(&q);
    if (text == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    msg.query.text = (proto_bytes){ (const uint8_t *)text, (uint32_t)strlen(text) };
    s = client_talk(client, &msg, PROTO_TYPE_query, PROTO_TYPE_reply, COORD_ANSWER_US, err);
    free(text);
    return s == DF_OK ? client_keep(client, &msg, reply, size, err) : s;
}

df_status coord_client_show(coord_client *client, const char *what, bool json, coord_client_printer *print,
                            df_error *err)
{
    coord_question question = { 0 };
    const char *reply;
    size_t size;
    df_status s;

    snprintf(question.what, sizeof question.what, "%s", what);
    s = coord_client_ask(client, &question, &reply, &size, err);
    if (s == DF_OK && json)
        printf("%.*s\n", (int)size, reply);
    else if (s == DF_OK && !print(stdout, reply, size, err))
        s = DF_EIO;
    return s;
}

df_status coord_client_submit(coord_client *service, const proto_submit *submission, const char **reply,
                              size_t *size, df_error *err)
{
    proto_msg msg = { .submit = *submission };
    df_status s;

    msg.submit.number = ++service->number;
    s = client_talk(service, &msg, PROTO_TYPE_submit, PROTO_TYPE_reply, COORD_SUBMIT_US, err);
    return s == DF_OK ? client_keep(service, &msg, reply, size, err) : s;
}

df_status coord_client_operate(coord_client *client, const char *text, const char **reply, size_t *size,
                               df_error *err)
{
    proto_msg msg = { .operate = { .number = ++client->number } };
    df_status s;

    msg.operate.text = (proto_bytes){ (const uint8_t *)text, (uint32_t)strlen(text) };
    s = client_talk(client, &msg, PROTO_TYPE_operate, PROTO_TYPE_reply, COORD_ANSWER_US, err);
    return s == DF_OK ? client_keep(client, &msg, reply, size, err) : s;
}

df_status coord_client_refresh(coord_client *client, df_error *err)
{
    const coord_question question = { .what = "status" };
    const char *reply;
    size_t size;
    df_status s = coord_client_ask(client, &question, &reply, &size, err);

    if (s != DF_OK)
        return s;
    return coord_json_status_read(client->status, reply, size, err) ? DF_OK : DF_EIO;
}

const coord_status *coord_client_status(const coord_client *client)
{
    return client->status;
}

df_status coord_client_command(coord_client *client, const proto_command *command, uint64_t wait_us,
                               proto_answer *answer, df_error *err)
{
    proto_msg msg = { .command = *command };
    df_status s;

    if (client->job[0] != '\0')
        return client_command_service(client, command, answer, err);
    msg.command.number = ++client->number;
    s = client_talk(client, &msg, PROTO_TYPE_command, PROTO_TYPE_answer, wait_us, err);
    *answer = msg.answer;
    return s;
}

/* ---- life ---- */

/* Connect; whoever is there is not asked anything yet. */
static df_status client_connect(coord_client *c, const coord_join *join, df_error *err)
{
    if (getrandom(&c->self, sizeof c->self, 0) != (ssize_t)sizeof c->self)
        return df_fail(err, DF_EIO, "no random bytes");
    c->self |= 1ull << 63; /* no worker's number */
    c->insecure = join->insecure;
    c->local = !client_is_tcp(join->address);
    snprintf(c->keys, sizeof c->keys, "%s", join->keys == NULL ? "" : join->keys);
    return coord_join_open(&c->net, join, c->self, err);
}

df_status client_new(coord_client **out, const char *name, df_error *err)
{
    coord_client *c = calloc(1, sizeof *c);

    if (c != NULL) {
        c->frame = malloc(PROTO_FRAME_SIZE_MAX);
        c->status = calloc(1, sizeof *c->status);
        snprintf(c->name, sizeof c->name, "%s", name);
    }
    *out = c;
    if (c != NULL && c->frame != NULL && c->status != NULL)
        return DF_OK;
    coord_client_close(out);
    return df_fail(err, DF_ENOMEM, "out of memory");
}

df_status client_begin(coord_client **client, const coord_join *join, bool asks, df_error *err)
{
    df_status s = client_connect(*client, join, err);

    if (s == DF_OK && asks)
        s = coord_client_refresh(*client, err);
    if (s != DF_OK)
        coord_client_close(client);
    return s;
}

df_status client_at(coord_client **out, const char *name, const coord_join *join, bool asks, df_error *err)
{
    df_status s = client_new(out, name, err);

    return s == DF_OK ? client_begin(out, join, asks, err) : s;
}

df_status client_in(coord_client **out, const char *folder, bool asks, df_error *err)
{
    coord_endpoint e;
    coord_join join = { .address = e.address };
    df_status s = coord_state_endpoint(&e, folder, err);

    *out = NULL;
    if (s == DF_END)
        return df_fail(err, DF_END, "%.200s: no coordinator runs", folder);
    if (s != DF_OK)
        return s;
    if (e.key[0] != '\0') {
        join.keys = e.keys;
        join.server_key = e.key;
    } else {
        join.insecure = client_is_tcp(e.address);
    }
    s = client_new(out, folder, err);
    if (s != DF_OK)
        return s;
    (*out)->in_folder = true;
    return client_begin(out, &join, asks, err);
}

df_status coord_client_open(coord_client **out, const char *state, df_error *err)
{
    return client_in(out, state, true, err);
}

/* ---- reaching ---- */

/* Found in its folder; where nobody is, the service of runs/ may know more. */
static df_status client_reach_folder(coord_client **out, const char *job, df_error *err)
{
    static const coord_reach here = { 0 };
    char state[DF_PATH_MAX];
    df_error later;
    df_status s = coord_client_find(state, job, err);

    if (s == DF_OK)
        s = coord_client_open(out, state, err);
    if (s != DF_OK && !is_folder(job) && client_reach_service(out, job, &here, &later) == DF_OK)
        s = DF_OK;
    return s;
}

df_status coord_client_reach(coord_client **out, const char *job, const coord_reach *reach, df_error *err)
{
    const coord_join join = { .address = job, .keys = reach->keys, .server_key = reach->server_key,
                              .insecure = reach->insecure };

    *out = NULL;
    if (reach->coordinator != NULL)
        return client_reach_service(out, job, reach, err);
    if (client_is_tcp(job))
        return client_at(out, job, &join, true, err);
    if (reach->keys != NULL || reach->server_key != NULL || reach->insecure)
        return df_fail(err, DF_EINVAL, "--keys, --server-key and --insecure go with tcp://HOST:PORT as JOB, "
                       "or as --coordinator");
    return client_reach_folder(out, job, err);
}

void coord_client_close(coord_client **client)
{
    coord_client *c = *client;

    *client = NULL;
    if (c == NULL)
        return;
    coord_net_close(&c->net);
    free(c->frame);
    free(c->reply);
    free(c->status);
    free(c);
}
