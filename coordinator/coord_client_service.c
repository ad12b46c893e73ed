#include "coordinator/coord_client_private.h"

#include "coordinator/coord_service.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SERVICE_PAUSE_NS     50000000
#define SERVICE_SETTLE_COUNT 60u  /* pauses: 3 s for a service or a coordinator to come up, or to be collected */
#define SERVICE_ENDED_COUNT  300u /* 15 s for the processes of a job that is over to leave */

static void service_pause(void)
{
    const struct timespec pause = { .tv_nsec = SERVICE_PAUSE_NS };

    nanosleep(&pause, NULL);
}

/* ---- the service ---- */

/* Whether a service has its folder locked: who does not answer need not be waited for. */
static bool service_lives(const char *folder)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    char path[DF_PATH_MAX];
    int fd = coord_state_path(path, folder, "lock", NULL) == DF_OK ? open(path, O_RDWR | O_CLOEXEC) : -1;
    bool lives = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;

    if (fd >= 0)
        close(fd);
    return lives;
}

df_status coord_client_service(coord_client **out, const coord_reach *reach, df_error *err)
{
    const char *where = reach->coordinator == NULL ? "runs" : reach->coordinator;
    const coord_join join = { .address = where, .keys = reach->keys, .server_key = reach->server_key,
                              .insecure = reach->insecure };
    char folder[DF_PATH_MAX];
    df_status s;

    *out = NULL;
    if (client_is_tcp(where))
        return client_at(out, where, &join, false, err);
    if (reach->keys != NULL || reach->server_key != NULL || reach->insecure)
        return df_fail(err, DF_EINVAL, "--keys, --server-key and --insecure go with tcp://HOST:PORT");
    s = coord_state_path(folder, where, COORD_SERVICE_FOLDER, err);
    if (s != DF_OK)
        return s;
    for (uint32_t i = 0; i < SERVICE_SETTLE_COUNT && service_lives(folder); i++) {
        s = client_in(out, folder, false, err);
        if (s != DF_END)
            return s;
        service_pause(); /* it is about to listen, or to leave */
    }
    return df_fail(err, DF_END, "%.200s: no service runs there; weir coordinator --config FILE starts "
                   "one, --coordinator says where it is", where);
}

df_status coord_client_list(coord_client *service, uint64_t after, const char *job, coord_listing *listing,
                            df_error *err)
{
    coord_question question = { .what = "list", .after = after };
    const char *reply;
    size_t size;
    df_status s;

    if (job != NULL) {
        snprintf(question.what, sizeof question.what, "where");
        snprintf(question.job, sizeof question.job, "%s", job);
    }
    s = coord_client_ask(service, &question, &reply, &size, err);
    if (s == DF_OK && !coord_json_listing_read(listing, reply, size, err))
        s = DF_EINVAL;
    return s;
}

df_status coord_client_listed(coord_client **out, const coord_client *service, const coord_listed *listed,
                              df_error *err)
{
    const coord_endpoint *e = &listed->endpoint;
    const coord_join join = { .address = e->address,
                              .keys = service->keys[0] == '\0' ? NULL : service->keys,
                              .server_key = e->key[0] == '\0' ? NULL : e->key,
                              .insecure = client_is_tcp(e->address) && service->insecure };
    df_status s;

    *out = NULL;
    if (e->address[0] == '\0')
        return df_fail(err, DF_END, "%s: its coordinator is being started", listed->ticket.name);
    s = client_new(out, listed->ticket.name, err);
    if (s != DF_OK)
        return s;
    (*out)->of_service = true;
    return client_begin(out, &join, true, err);
}

/* ---- its jobs ---- */

df_status coord_client_settled(coord_client *service, const char *job, coord_listed *listed, df_error *err)
{
    coord_listing listing = { 0 };
    df_status s = DF_OK;

    for (uint32_t i = 0; i < SERVICE_SETTLE_COUNT; i++) {
        s = coord_client_list(service, 0, job, &listing, err);
        if (s == DF_OK && listing.count != 1)
            s = df_fail(err, DF_EIO, "the reply makes no sense");
        if (s == DF_OK)
            *listed = listing.jobs[0];
        free(listing.jobs);
        listing.jobs = NULL;
        if (s != DF_OK || listed->ended_ms != 0 || listed->endpoint.address[0] != '\0' ||
            listed->trouble[0] != '\0')
            break;
        service_pause();
    }
    return s;
}

/* Whether its coordinator is there, and says that the job is not over. */
static bool listed_goes_on(const coord_client *service, const coord_listed *listed)
{
    coord_client *client = NULL;
    df_error err;
    bool goes_on = listed->endpoint.address[0] != '\0' &&
                   coord_client_listed(&client, service, listed, &err) == DF_OK &&
                   !coord_status_is_over(coord_client_status(client));

    coord_client_close(&client);
    return goes_on;
}

bool coord_client_wait_ended(coord_client *service, const char *job)
{
    coord_listed listed;
    df_error err;

    for (uint32_t i = 0; i < SERVICE_ENDED_COUNT; i++) {
        if (coord_client_settled(service, job, &listed, &err) != DF_OK || listed.trouble[0] != '\0')
            return false;
        if (listed.ended_ms != 0)
            return true;
        if (i == 0 && listed_goes_on(service, &listed))
            return false;
        service_pause();
    }
    return false;
}

/* ---- reaching one ---- */

/* A job's coordinator, or the service in its place. DF_END: it has just left. */
static df_status reach_once(coord_client **out, coord_client **service, const char *name, df_error *err)
{
    coord_listed listed;
    df_status s = coord_client_settled(*service, name, &listed, err);

    *out = NULL;
    if (s != DF_OK)
        return s;
    if (listed.endpoint.address[0] != '\0')
        return coord_client_listed(out, *service, &listed, err);
    snprintf((*service)->job, sizeof (*service)->job, "%s", name);
    (*service)->ended = listed.ended_ms != 0;
    *out = *service;
    *service = NULL;
    return DF_OK;
}

df_status client_reach_service(coord_client **out, const char *job, const coord_reach *reach, df_error *err)
{
    char name[WEIR_NAME_MAX];
    coord_client *service = NULL;
    df_status s = coord_client_name(name, job, err);

    *out = NULL;
    if (s == DF_OK)
        s = coord_client_service(&service, reach, err);
    if (s == DF_OK)
        s = reach_once(out, &service, name, err);
    if (s == DF_END && service != NULL)
        s = reach_once(out, &service, name, err);
    coord_client_close(&service);
    return s;
}

df_status client_command_service(coord_client *c, const proto_command *command, proto_answer *answer,
                                        df_error *err)
{
    coord_question question = { .what = "status" };
    const char *reply;
    size_t size;
    df_status s;

    if (command->verb == PROTO_VERB_CANCEL)
        snprintf(question.what, sizeof question.what, "cancel");
    *answer = (proto_answer){ .status = c->ended ? PROTO_ANSWER_ENDED : PROTO_ANSWER_OK };
    if (c->ended)
        return DF_OK;
    s = coord_client_ask(c, &question, &reply, &size, err);
    return s == DF_OK && !coord_json_is_done(reply, size, err) ? DF_EIO : s;
}
