/* A service's insides, shared by coord_service.c (life, the loop), coord_service_jobs.c (the list),
 * coord_service_start.c (coordinators' processes), coord_service_pool.c (workers), coord_service_submit.c
 * (submissions), coord_service_ask.c (questions) and coord_service_metrics.c (numbers). */
#ifndef COORD_SERVICE_PRIVATE_H
#define COORD_SERVICE_PRIVATE_H

#include "config/cfg_service.h"
#include "coordinator/coord_args.h"
#include "coordinator/coord_children.h"
#include "coordinator/coord_http.h"
#include "coordinator/coord_json_service.h"
#include "coordinator/coord_pool.h"
#include "coordinator/coord_service.h"
#include "coordinator/coord_wire.h"

#define SERVICE_SELF      COORD_WIRE_COORDINATOR /* who we are on the net, for workers and clients */
#define SERVICE_LOOK_US   20000u   /* between two looks at a coordinator that is starting */
#define SERVICE_GRACE_US  2000000u /* for the workers of an earlier service to say where they are */
#define SERVICE_LEAVE_US  5000000u /* for coordinators to end when they are asked */

typedef enum service_phase {
    SERVICE_DOWN,     /* its coordinator is to be started, at due_us */
    SERVICE_STARTING, /* the process is there, and does not listen yet */
    SERVICE_UP,
    SERVICE_ENDED,
} service_phase;

typedef struct service_job {
    coord_ticket ticket;
    char folder[DF_PATH_MAX], directory[DF_PATH_MAX], state[DF_PATH_MAX]; /* folder: of the submission */
    service_phase phase;
    uint32_t wanted;         /* workers: as submitted, until its coordinator says otherwise */
    int watch;               /* of its state folder, for that; -1: none */
    uint64_t process;        /* of its coordinator; 0: none */
    bool ours;               /* started by this service */
    int status;              /* of one of ours that has ended, as waitpid gave it */
    int pidfd;               /* -1: none */
    uint64_t start_us, due_us, lend_us; /* lend_us: no worker is sent before */
    uint32_t failures;       /* starts that came to nothing, one after the other */
    bool was_up;             /* it has listened once since it was submitted */
    bool asked;              /* its submission has not been answered yet */
    coord_endpoint endpoint; /* while it is up */
    char trouble[256];
    uint64_t ended_ms;
    char *end;               /* the last status, in JSON; owned; null: it has not ended */
} service_job;

typedef struct coord_service {
    cfg_service config;
    char directory[DF_PATH_MAX], folder[DF_PATH_MAX]; /* absolute */
    char keys[DF_PATH_MAX];  /* ""; none */
    char job_bind[COORD_ADDRESS_MAX], job_metrics[COORD_HTTP_ADDRESS_MAX]; /* of coordinators; "": none */
    uint32_t threads, host;
    df_disk disk;
    df_file *lock;
    coord_net *net;
    coord_endpoint endpoint;
    coord_wire wire;
    coord_children *children;
    coord_http *http;        /* null: nobody wants to see numbers */
    bool hopeless;           /* told that no worker of our own can be started */
    int signals, ends, marks; /* descriptors: of signals; of the ends of coordinators, together; inotify's, of marks */
    uint64_t leave_us;       /* when it was asked to end; 0: it was not */
    service_job **jobs;      /* by ticket */
    uint32_t job_count, job_room;
    uint64_t ticket_last;
    coord_pool_worker *workers; /* [PROTO_WORKERS_MAX] */
    uint32_t worker_count;
    struct {
        uint64_t submitted, refused, ended, restarts, sent;
    } counts;
} coord_service;

/* ---- coord_service.c ---- */
uint64_t service_now_us(void);
uint64_t service_now_ms(void);
void service_send(coord_service *service, uint64_t to, const proto_msg *msg);

/* ---- coord_service_jobs.c ---- */
/* Lock the folder and read the list. DF_AGAIN: another service has it. */
df_status service_jobs_open(coord_service *service, df_error *err) DF_MUST_CHECK;
void service_jobs_close(coord_service *service);
/* Null: there is none. */
service_job *service_job_find(const coord_service *service, const char *name);
service_job *service_job_of(const coord_service *service, uint64_t ticket);
/* Make a submission durable; its number and time are given here. One of the same name, which has ended, is
 * forgotten. */
df_status service_job_add(coord_service *service, const coord_ticket *ticket, proto_bytes text, proto_bytes sets,
                          service_job **out, df_error *err) DF_MUST_CHECK;
/* How it ended becomes durable; `status` is JSON. The list is trimmed then: the job may be gone. */
df_status service_job_end(coord_service *service, service_job *job, const char *status, df_error *err)
    DF_MUST_CHECK;
/* The files that its sinks have written, and its state, stay. */
void service_job_forget(coord_service *service, service_job *job);
uint32_t service_jobs_going(const coord_service *service);

/* ---- coord_service_start.c ---- */
/* Start what is due, see what listens, collect what has ended. */
void service_starts_turn(coord_service *service, uint64_t now_us);
uint64_t service_starts_deadline(const coord_service *service);
/* Coordinators have told how many workers they want. */
void service_starts_marked(coord_service *service);
/* Ask all coordinators to leave, or make them. */
void service_starts_stop(coord_service *service, int number);
uint32_t service_starts_alive(const coord_service *service);
/* What a coordinator of a job has complained of; freed by the caller, never null unless memory is out. */
char *service_job_log(const service_job *job);

/* ---- coord_service_pool.c ---- */
void service_take_hello(coord_service *service, const proto_msg *msg);
void service_take_pooled(coord_service *service, const proto_msg *msg);
/* Its process has ended, or its connection. */
void service_worker_gone(coord_service *service, uint64_t id);
/* Send workers where they are wanted. */
void service_pool_turn(coord_service *service, uint64_t now_us);
uint64_t service_pool_deadline(const coord_service *service);
/* The coordinator of a job listens: its workers are told where, for it may be elsewhere than before. */
void service_pool_tell(coord_service *service, uint64_t ticket);
/* A job has ended: its workers are free. */
void service_pool_release(coord_service *service, uint64_t ticket);

/* ---- coord_service_submit.c ---- */
void service_take_submit(coord_service *service, const proto_msg *msg);
/* The coordinator of a new job listens, or has ended (then the job is forgotten): whoever submitted it is
 * told. */
void service_submit_answer(coord_service *service, service_job *job);

/* ---- coord_service_ask.c ---- */
void service_take_query(coord_service *service, const proto_msg *msg, coord_role role);
void service_reply(coord_service *service, uint64_t to, uint64_t number, char *text);
void service_list_job(const coord_service *service, const service_job *job, coord_listed *listed);

/* ---- coord_service_metrics.c ---- */
df_status service_metrics_open(coord_service *service, df_error *err) DF_MUST_CHECK;
void service_metrics_turn(coord_service *service);

#endif
