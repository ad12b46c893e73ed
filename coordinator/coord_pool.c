#include "coordinator/coord_pool.h"

void coord_pool_send(coord_pool_worker *worker, uint64_t ticket, uint64_t now_us)
{
    worker->order++;
    worker->ticket = ticket;
    worker->sent_us = now_us;
}

void coord_pool_free(coord_pool_worker *worker)
{
    worker->order++;
    worker->ticket = 0;
}

/* One whose process comes to nothing is sent ever less often. */
static void pool_avoid(coord_pool_worker *w, uint64_t now_us)
{
    bool again = w->avoided == w->ticket && now_us - w->sent_us < COORD_POOL_SOON_US;

    w->returns = again ? w->returns + 1 : 0;
    w->avoided = w->ticket;
    w->avoided_until_us = now_us + (COORD_POOL_PAUSE_US << (w->returns < 6 ? w->returns : 6));
}

bool coord_pool_take(coord_pool_worker *worker, const coord_pool_said *said, bool lives, uint64_t now_us)
{
    if (said->order > worker->order) { /* of a service before us */
        worker->order = said->order;
        worker->ticket = said->doing == COORD_DOING_NOTHING ? 0 : said->ticket;
    }
    if (said->order < worker->order)
        return false; /* it has not heard yet what it is to do */
    if (worker->ticket == 0 && said->doing == COORD_DOING_NOTHING)
        return true;
    if (said->doing == COORD_DOING_WORK && lives)
        return false;
    if (said->doing == COORD_DOING_ENDED && lives)
        pool_avoid(worker, now_us);
    coord_pool_free(worker);
    return true;
}

uint32_t coord_pool_placed(const coord_pool_worker *workers, uint32_t worker_count, uint64_t ticket,
                           uint32_t host)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < worker_count; i++)
        count += workers[i].here && workers[i].ticket == ticket && (host == 0 || workers[i].host == host);
    return count;
}

static bool worker_avoids(const coord_pool_worker *w, uint64_t ticket, uint64_t now_us)
{
    return w->avoided == ticket && now_us < w->avoided_until_us;
}

/* Whether it has workers, or there are as many as it wants. */
static bool job_can_begin(const coord_pool_worker *workers, uint32_t worker_count, const coord_pool_job *job,
                          uint32_t placed)
{
    uint32_t here = 0;

    for (uint32_t i = 0; i < worker_count; i++)
        here += workers[i].here;
    return placed > 0 || here >= job->wanted;
}

/* The worker that is best for a job; false: none may go. */
static bool pool_pick(const coord_pool_worker *workers, uint32_t worker_count, const coord_pool_job *job,
                      uint32_t host, uint64_t now_us, uint32_t *worker)
{
    bool only_here = coord_pool_placed(workers, worker_count, job->ticket, host) == 0, found = false;

    for (uint32_t i = 0; i < worker_count; i++) {
        const coord_pool_worker *w = &workers[i];

        if (!w->here || w->ticket != 0 || worker_avoids(w, job->ticket, now_us) ||
            (only_here && w->host != host))
            continue;
        if (!found || (w->host != host && workers[*worker].host == host))
            *worker = i;
        found = true;
    }
    return found;
}

bool coord_pool_next(const coord_pool_worker *workers, uint32_t worker_count, const coord_pool_job *jobs,
                     uint32_t job_count, uint32_t host, uint64_t now_us, uint32_t *worker, uint32_t *job)
{
    for (uint32_t i = 0; i < job_count; i++) {
        const coord_pool_job *j = &jobs[i];
        uint32_t placed = coord_pool_placed(workers, worker_count, j->ticket, 0);

        if (placed >= j->wanted || !job_can_begin(workers, worker_count, j, placed))
            continue;
        if (pool_pick(workers, worker_count, j, host, now_us, worker)) {
            *job = i;
            return true;
        }
    }
    return false;
}

uint64_t coord_pool_deadline(const coord_pool_worker *workers, uint32_t worker_count, uint64_t now_us)
{
    uint64_t at = UINT64_MAX;

    for (uint32_t i = 0; i < worker_count; i++) {
        const coord_pool_worker *w = &workers[i];

        if (w->here && w->ticket == 0 && w->avoided_until_us > now_us && w->avoided_until_us < at)
            at = w->avoided_until_us;
    }
    return at;
}
