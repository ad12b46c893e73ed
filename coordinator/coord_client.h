/* A client of a job's coordinator: how it is found, asked and commanded. Every wait has a deadline. */
#ifndef COORD_CLIENT_H
#define COORD_CLIENT_H

#include "coordinator/coord_json_service.h"
#include "coordinator/coord_state.h"

typedef struct coord_client coord_client;

/* The state folder of a job that is named by its name (below runs/), its file, its output's folder or
 * the state folder itself. DF_EINVAL: it is none of these, or has never run with workers. */
df_status coord_client_find(char state[DF_PATH_MAX], const char *job, df_error *err) DF_MUST_CHECK;

/* Where a user says that a job's coordinator is. */
typedef struct coord_reach {
    const char *coordinator;       /* of a service: tcp://HOST:PORT, or its directory; null: not given */
    const char *keys, *server_key; /* see coord_join.h; null: not given */
    bool insecure;
} coord_reach;

/* The rows for it in a verb's table, whose options have it as `reach`. */
#define COORD_REACH_OPTIONS(options) \
    { .name = "coordinator", .value = "WHERE", \
      .help = "the service whose job it is: tcp://HOST:PORT, or its directory (runs)", .type = COORD_TEXT, \
      .offset = offsetof(options, reach.coordinator) }, \
    { .name = "keys", .value = "DIR", .help = "keys for tcp (~/.config/weir/keys)", .type = COORD_TEXT, \
      .offset = offsetof(options, reach.keys) }, \
    { .name = "server-key", .value = "KEY", \
      .help = "the public key of the coordinator at tcp://HOST:PORT", .type = COORD_TEXT, \
      .offset = offsetof(options, reach.server_key) }, \
    { .name = "insecure", .help = "tcp without keys", .type = COORD_FLAG, \
      .offset = offsetof(options, reach.insecure) }

/* The coordinator of a job that is named as in coord_client_find, at tcp://HOST:PORT, or as a job of a
 * service. Of a job that has ended, or whose coordinator is down, the service itself answers. */
df_status coord_client_reach(coord_client **out, const char *job, const coord_reach *reach,
                             df_error *err) DF_MUST_CHECK;
/* Connect to the coordinator of a state folder and hear how the job stands. DF_END: none listens. On
 * success *out is owned by the caller. */
df_status coord_client_open(coord_client **out, const char *state, df_error *err) DF_MUST_CHECK;
void coord_client_close(coord_client **client);

/* How the job stood when it was heard last; borrowed. */
const coord_status *coord_client_status(const coord_client *client);
df_status coord_client_refresh(coord_client *client, df_error *err) DF_MUST_CHECK;
/* Ask; *reply is the coordinator's text, borrowed until the next question. */
df_status coord_client_ask(coord_client *client, const coord_question *question, const char **reply,
                           size_t *size, df_error *err) DF_MUST_CHECK;
/* Ask for a change of workers and owners; *reply as above. */
df_status coord_client_operate(coord_client *client, const char *text, const char **reply, size_t *size,
                               df_error *err) DF_MUST_CHECK;
/* Command, and wait for the answer at most so long. */
df_status coord_client_command(coord_client *client, const proto_command *command, uint64_t wait_us,
                               proto_answer *answer, df_error *err) DF_MUST_CHECK;

/* ---- services ---- */

/* Connect to the service that `reach` says, or the one of runs/. DF_END: none is there. */
df_status coord_client_service(coord_client **out, const coord_reach *reach, df_error *err) DF_MUST_CHECK;
/* The service's jobs above a ticket; or (job not null) one by its name. On success the caller frees
 * listing->jobs. */
df_status coord_client_list(coord_client *service, uint64_t after, const char *job, coord_listing *listing,
                            df_error *err) DF_MUST_CHECK;
/* Connect to the coordinator of a job that a service has listed, with the keys that serve there. DF_END:
 * nobody answers. */
df_status coord_client_listed(coord_client **out, const coord_client *service, const coord_listed *listed,
                              df_error *err) DF_MUST_CHECK;
/* How a service lists a job, waiting a while for one whose coordinator is just coming or going. */
df_status coord_client_settled(coord_client *service, const char *job, coord_listed *listed, df_error *err)
    DF_MUST_CHECK;
/* Wait until the service lists a job as ended, if its coordinator says that it is over. False: it is not. */
bool coord_client_wait_ended(coord_client *service, const char *job);
/* Submit; *reply as of coord_client_ask. */
df_status coord_client_submit(coord_client *service, const proto_submit *submission, const char **reply,
                              size_t *size, df_error *err) DF_MUST_CHECK;
/* The name that a user means: that of the job in a file, or the text itself. */
df_status coord_client_name(char name[WEIR_NAME_MAX], const char *job, df_error *err) DF_MUST_CHECK;

/* ---- for verbs ---- */

/* Prints a reply for people. False: it cannot, and why is in *err. */
typedef bool coord_client_printer(FILE *out, const char *reply, size_t size, df_error *err);

/* Ask, and show the reply on standard output: as it is (json), or as the printer does. */
df_status coord_client_show(coord_client *client, const char *what, bool json, coord_client_printer *print,
                            df_error *err) DF_MUST_CHECK;

/* How a job stands, on standard output: a line, with more behind it. */
void coord_status_print_line(const coord_status *status, const char *more);

/* `weir snapshot JOB`: take one now, and say which it is. Returns a coord_exit. */
int coord_client_snapshot(const char *job, const coord_reach *reach, const char *label, bool json);

#endif
