/* The JSON that a service and its clients say to each other, and `weir list --json`. Texts that are made
 * belong to the caller, who frees them; null: out of memory. Texts that are read are hostile. */
#ifndef COORD_JSON_SERVICE_H
#define COORD_JSON_SERVICE_H

#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_keys.h"
#include "coordinator/coord_ticket.h"

#define COORD_LISTED_MAX 256 /* jobs in one reply */
#define COORD_LOG_PIECE  (256u << 10) /* bytes of a log in one reply */
#define COORD_LOGS_MAX   2048 /* files of one job */
#define COORD_LOG_NAME   32  /* bytes of such a file's name, the final zero included */

/* A job as a service lists it. */
typedef struct coord_listed {
    coord_ticket ticket;
    uint64_t ended_ms;       /* 0: it has not ended */
    uint32_t placed;         /* workers that were sent to it */
    coord_endpoint endpoint; /* of its coordinator; no address: none listens now */
    char trouble[256];       /* why none does, as far as is known */
    /* Of a job that has ended: how. */
    char phase[64], fingerprint[64], error[512];
    bool begun;
    uint64_t step, steps, snapshot, snapshot_step;
} coord_listed;

typedef struct coord_listing {
    uint32_t pool_free, pool_count; /* workers of the pool */
    bool more;               /* there are more jobs behind the last one */
    uint32_t count;
    coord_listed *jobs;      /* owned */
} coord_listing;

/* Jobs: those of a list whose members are given, or a single one. */
char *coord_json_listing(const coord_listing *listing);
/* False: it is none, or says an error, which is then in *err. On success the caller frees `jobs`. */
bool coord_json_listing_read(coord_listing *listing, const char *text, size_t size, df_error *err);

/* The answer to a submission. */
char *coord_json_submitted(const char *job, uint64_t ticket, uint32_t pool_count);
bool coord_json_submitted_read(uint64_t *ticket, uint32_t *pool_count, const char *text, size_t size,
                               df_error *err);
/* An error because of a job that has not ended; whether a reply is one. */
char *coord_json_taken(const char *text);
bool coord_json_is_taken(const char *text, size_t size);
/* One that was refused: `lines` are the job's errors, a line each, as `weir check` prints them. */
char *coord_json_refused(const char *lines);
/* The lines of such a reply, freed by the caller; null: it is none. */
char *coord_json_refused_read(const char *text, size_t size);

/* The files of a job's logs; a piece of one, whose next one begins at `next` (0: that was all). */
char *coord_json_logs(char (*names)[COORD_LOG_NAME], uint32_t count);
bool coord_json_logs_read(char (*names)[COORD_LOG_NAME], uint32_t *count, const char *text, size_t size,
                          df_error *err);
char *coord_json_log(const char *bytes, size_t size, uint64_t next);
/* *bytes: freed by the caller. */
bool coord_json_log_read(char **bytes, uint64_t *next, const char *text, size_t size, df_error *err);

/* A job of a list as an object: what its coordinator says of itself (null: nothing), and what the service
 * knows. */
char *coord_json_listed(const coord_listed *listed, const char *status, size_t size);

#endif
