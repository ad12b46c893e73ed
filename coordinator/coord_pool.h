/* A pool of workers and the jobs that want them: who goes where. No I/O.
 *
 * A worker of the pool is a process that keeps another one: the worker of a job (coord_keeper.h). What it
 * is to do has a number, its order, which only rises; it tells what became of it, and is told again what
 * holds. So each side knows the other's last word, whatever was lost, and a service that begins anew
 * learns from its workers where they are. */
#ifndef COORD_POOL_H
#define COORD_POOL_H

#include "dataflow/weir/operator.h"

#include <stdbool.h>
#include <stdint.h>

/* How long a worker that came back from a job is not sent there again; doubled, up to 64 times, for one that
 * came back soon after it was sent. */
#define COORD_POOL_PAUSE_US 200000ull
#define COORD_POOL_SOON_US  10000000ull

typedef enum coord_doing {
    COORD_DOING_NOTHING = 0, /* free */
    COORD_DOING_WORK,
    COORD_DOING_ENDED,       /* its process has ended */
    COORD_DOING_COUNT
} coord_doing;

typedef struct coord_pool_worker {
    uint64_t id, process;
    uint32_t host;
    char label[WEIR_NAME_MAX];
    bool here;             /* its connection is there */
    uint64_t order, ticket; /* ticket: of the job that it is to work for; 0: none */
    uint64_t sent_us;      /* when it was sent there */
    uint64_t avoided, avoided_until_us; /* the job that it came back from; 0: none */
    uint32_t returns;      /* from that one, each soon after it was sent */
} coord_pool_worker;

/* A job that can be joined, as the pool sees it. */
typedef struct coord_pool_job {
    uint64_t ticket;
    uint32_t wanted;       /* workers */
} coord_pool_job;

/* What a worker has said. */
typedef struct coord_pool_said {
    uint64_t order, ticket;
    coord_doing doing;
} coord_pool_said;

/* Take what a worker said; `lives`: the job that it names goes on. True: it has become free. What the
 * worker is to do is in it afterwards, and is to be told. */
bool coord_pool_take(coord_pool_worker *worker, const coord_pool_said *said, bool lives, uint64_t now_us);
/* A new order: to work for a job, or for none any more. */
void coord_pool_send(coord_pool_worker *worker, uint64_t ticket, uint64_t now_us);
void coord_pool_free(coord_pool_worker *worker);

/* The next worker to be sent, and to which job (places in the lists). Jobs are served in their order; one
 * that wants more workers than there are gets none, for it would only keep them from others. The first worker of a job is one of `host`, where files are written; others come from elsewhere before they
 * are taken from there. False: nobody is to be sent. */
bool coord_pool_next(const coord_pool_worker *workers, uint32_t worker_count, const coord_pool_job *jobs,
                     uint32_t job_count, uint32_t host, uint64_t now_us, uint32_t *worker, uint32_t *job);
/* When a worker that is avoided now could be sent; UINT64_MAX: there is none. */
uint64_t coord_pool_deadline(const coord_pool_worker *workers, uint32_t worker_count, uint64_t now_us);

/* Workers that work for a job; of `host`, or (0) of all. */
uint32_t coord_pool_placed(const coord_pool_worker *workers, uint32_t worker_count, uint64_t ticket,
                           uint32_t host);

#endif
