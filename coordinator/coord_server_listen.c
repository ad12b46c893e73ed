/* Where a coordinator listens, and with which keys. */
#include "coordinator/coord_server_private.h"

#include <stdio.h>
#include <string.h>

static bool is_tcp(const char *address)
{
    return strncmp(address, "tcp://", 6) == 0;
}

/* Workers that outlive a coordinator look for the next one where the last one was. */
static df_status server_address(const coord_server *s, char address[COORD_ADDRESS_MAX], df_error *err)
{
    static const char any[] = "tcp://*:";
    coord_endpoint last;
    df_status status;

    if (s->options.bind == NULL)
        return coord_state_socket(address, s->number, err);
    if (!is_tcp(s->options.bind))
        return df_fail(err, DF_EINVAL, "--bind %.200s: expected tcp://HOST:PORT", s->options.bind);
    snprintf(address, COORD_ADDRESS_MAX, "%s", s->options.bind);
    if (!s->options.workers_survive || strchr(address, '*') == NULL)
        return DF_OK;
    status = coord_state_endpoint(&last, s->options.state, err);
    if (status == DF_END || (status == DF_OK && !is_tcp(last.address)))
        return DF_OK;
    if (status == DF_OK && strncmp(s->options.bind, any, strlen(any)) == 0)
        snprintf(address, COORD_ADDRESS_MAX, "%s%s", any, strrchr(last.address, ':') + 1);
    else if (status == DF_OK)
        snprintf(address, COORD_ADDRESS_MAX, "%s", last.address);
    return status;
}

/* Where our keys are; "": none are needed. */
static df_status server_keys(const coord_server *s, char keys[DF_PATH_MAX], df_error *err)
{
    keys[0] = '\0';
    if (s->options.bind == NULL && (s->options.keys != NULL || s->options.insecure))
        return df_fail(err, DF_EINVAL, "--keys and --insecure go with --bind tcp://HOST:PORT");
    if (s->options.insecure && s->options.keys != NULL)
        return df_fail(err, DF_EINVAL, "--insecure is without --keys");
    if (s->options.bind == NULL || s->options.insecure)
        return DF_OK;
    return coord_keys_find(keys, s->options.keys, err);
}

df_status server_listen(coord_server *server, df_error *err)
{
    char address[COORD_ADDRESS_MAX];
    coord_endpoint *e = &server->endpoint;
    coord_net_options options = { .self = 0, .bind = address, .frame_size_max = PROTO_FRAME_SIZE_MAX,
                                  .keys = e->keys, .insecure = server->options.insecure, .rings = true };
    df_status status = server_keys(server, e->keys, err);

    if (status == DF_OK)
        status = server_address(server, address, err);
    if (status == DF_OK)
        status = coord_net_open(&server->net, &options, err);
    if (status != DF_OK)
        return status;
    snprintf(e->address, sizeof e->address, "%s", coord_net_address(server->net));
    snprintf(e->key, sizeof e->key, "%s", coord_net_key(server->net));
    if (e->key[0] != '\0')
        status = coord_net_allow(server->net, e->key, COORD_ROLE_ADMIN, err);
    return status == DF_OK ? coord_state_endpoint_write(e, server->options.state, err) : status;
}
