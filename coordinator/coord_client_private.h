/* A client's insides, shared by coord_client.c (asking, commanding, finding a coordinator) and
 * coord_client_service.c (what goes over a service). */
#ifndef COORD_CLIENT_PRIVATE_H
#define COORD_CLIENT_PRIVATE_H

#include "coordinator/coord_client.h"
#include "coordinator/coord_join.h"

struct coord_client {
    char name[DF_PATH_MAX]; /* of the state folder, or the address, for errors */
    coord_net *net;
    bool refused;          /* it does not let us in */
    char version[160];     /* it is of another version, in words; "": it is not */
    bool local;            /* at a local socket, where nobody is refused: one that seems to be is not heard in time */
    bool in_folder;        /* `name` is the folder that said where it listens */
    bool of_service;       /* a service did */
    bool left;             /* it has left, and is not to be waited for: they know what comes next */
    uint64_t self, number; /* number: of the last question or command */
    uint8_t *frame;        /* [PROTO_FRAME_SIZE_MAX], to be sent */
    char *reply;           /* of the last question */
    size_t reply_size;
    coord_status *status;
    bool insecure;         /* how it was connected to, for others beside it */
    char keys[DF_PATH_MAX]; /* "": the user's */
    /* At a service: the job that is asked about ("": none), and whether it has ended. */
    char job[WEIR_NAME_MAX];
    bool ended;
};

/* ---- coord_client.c ---- */
bool client_is_tcp(const char *address);
/* A client without a connection. */
df_status client_new(coord_client **out, const char *name, df_error *err) DF_MUST_CHECK;
/* Connect it, and (asks) hear how the job there stands; it is closed on failure. */
df_status client_begin(coord_client **client, const coord_join *join, bool asks, df_error *err)
    DF_MUST_CHECK;
/* Connect to an address, and (asks) hear how the job there stands. */
df_status client_at(coord_client **out, const char *name, const coord_join *join, bool asks, df_error *err)
    DF_MUST_CHECK;
/* Connect to where a folder says that somebody listens. DF_END: nobody does. */
df_status client_in(coord_client **out, const char *folder, bool asks, df_error *err) DF_MUST_CHECK;

/* ---- coord_client_service.c ---- */
/* The coordinator of a job of a service, or the service itself in its place. */
df_status client_reach_service(coord_client **out, const char *job, const coord_reach *reach, df_error *err)
    DF_MUST_CHECK;
/* A command for a job whose coordinator is not there: it has ended, or can only be cancelled. */
df_status client_command_service(coord_client *client, const proto_command *command, proto_answer *answer,
                                 df_error *err) DF_MUST_CHECK;

#endif
