#include "coordinator/coord_join.h"

#include "coordinator/coord_keys.h"
#include "coordinator/coord_state.h"
#include "coordinator/coord_wire.h"

#include <stdio.h>
#include <string.h>

static bool join_is_tcp(const char *address)
{
    return strncmp(address, "tcp://", 6) == 0;
}

static df_status join_check(const coord_join *j, df_error *err)
{
    bool keyed = j->keys != NULL || j->server_key != NULL;

    if (!join_is_tcp(j->address) && (keyed || j->insecure || j->bind != NULL))
        return df_fail(err, DF_EINVAL,
                       "%.200s: --bind, --keys, --server-key and --insecure go with tcp://", j->address);
    if (j->bind != NULL && !join_is_tcp(j->bind))
        return df_fail(err, DF_EINVAL, "--bind %.200s: expected tcp://HOST:PORT", j->bind);
    if (j->insecure && keyed)
        return df_fail(err, DF_EINVAL, "--insecure is without --keys and --server-key");
    if (join_is_tcp(j->address) && !j->insecure && j->server_key == NULL)
        return df_fail(err, DF_EINVAL,
                       "%.200s: --server-key is needed, the public key of who listens there "
                       "(or --insecure)", j->address);
    return DF_OK;
}

static df_status join_bind(const coord_join *j, uint64_t self, char address[COORD_ADDRESS_MAX],
                           df_error *err)
{
    if (!join_is_tcp(j->address))
        return coord_state_socket(address, self, err);
    if (j->bind == NULL)
        return coord_net_near(address, COORD_ADDRESS_MAX, j->address, err);
    snprintf(address, COORD_ADDRESS_MAX, "%s", j->bind);
    return DF_OK;
}

df_status coord_join_open(coord_net **out, const coord_join *j, uint64_t self, df_error *err)
{
    char bind[COORD_ADDRESS_MAX], keys[DF_PATH_MAX], key[COORD_KEY_SIZE] = "";
    bool keyed = join_is_tcp(j->address) && !j->insecure;
    coord_net_options options = { .self = self, .bind = j->listens ? bind : NULL,
                                  .frame_size_max = PROTO_FRAME_SIZE_MAX, .keys = j->keys,
                                  .insecure = !keyed, .rings = j->listens };
    df_status s = join_check(j, err);

    *out = NULL;
    if (s == DF_OK && keyed)
        s = coord_key_read(j->server_key, key, err);
    if (s == DF_OK && keyed && j->keys == NULL) {
        s = coord_keys_folder(keys, sizeof keys, err);
        options.keys = keys;
    }
    if (s == DF_OK && j->listens)
        s = join_bind(j, self, bind, err);
    if (s == DF_OK)
        s = coord_net_open(out, &options, err);
    if (s == DF_OK)
        s = coord_net_connect(*out, COORD_WIRE_COORDINATOR, j->address, keyed ? key : NULL, err);
    if (s != DF_OK)
        coord_net_close(out);
    return s;
}
