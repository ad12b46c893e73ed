/* The job's numbers over HTTP: gathered when somebody asks for them, in the server's thread. */
#include "coordinator/coord_server_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Key groups are told once a second, and to write many thousands takes a while. */
enum { PAGE_JOB, PAGE_GROUPS, PAGES };
static const coord_http_page metrics_pages[PAGES] = { [PAGE_JOB] = { "/metrics", 0.2 },
                                                      [PAGE_GROUPS] = { "/metrics/key-groups", 1 } };

static void metrics_wake(void *user)
{
    coord_server_wake(user);
}

df_status server_metrics_open(coord_server *server, df_error *err)
{
    coord_http_options options = { .address = server->options.metrics, .pages = metrics_pages,
                                   .page_count = PAGES, .wake = metrics_wake, .user = server };
    df_status s;

    server->seen.last_seconds = -1;
    if (server->options.metrics == NULL)
        return DF_OK;
    s = coord_http_open(&server->http, &options, err);
    return s == DF_OK ? s : df_wrap(err, s, "metrics");
}

/* ---- what is noted ---- */

void server_metrics_watch(coord_server *server, uint64_t now_us, uint64_t attempt, bool reached)
{
    if (attempt != server->seen.attempt) {
        server->seen.attempt = attempt;
        server->seen.attempt_us = now_us;
        server->seen.reach_us = 0;
    }
    if (reached && server->seen.reach_us == 0)
        server->seen.reach_us = now_us;
}

void server_metrics_commits(coord_server *server, uint64_t now_us, uint64_t attempt)
{
    server_metrics_watch(server, now_us, attempt, true); /* its parts may come before it is seen */
    server->seen.commit_us = now_us;
}

void server_metrics_committed(coord_server *server, uint64_t now_us, uint64_t attempt)
{
    if (attempt != server->seen.attempt)
        return;
    server->seen.last_seconds = 1e-6 * (double)(now_us - server->seen.attempt_us);
    server->seen.commit_seconds = 1e-6 * (double)(now_us - server->seen.commit_us);
    coord_histogram_put(&server->seen.snapshots, server->seen.last_seconds);
    coord_histogram_put(&server->seen.phases[COORD_SNAPSHOT_REACH],
                        1e-6 * (double)(server->seen.reach_us - server->seen.attempt_us));
    coord_histogram_put(&server->seen.phases[COORD_SNAPSHOT_WRITE],
                        1e-6 * (double)(server->seen.commit_us - server->seen.reach_us));
    coord_histogram_put(&server->seen.phases[COORD_SNAPSHOT_COMMIT], server->seen.commit_seconds);
}

void server_take_metrics(coord_server *server, const proto_msg *msg)
{
    server_peer *peer = server_peer_find(server, msg->header.sender);
    coord_counts counts;

    if (peer == NULL || msg->header.job != server->number) {
        server->wire.rejected[peer == NULL ? PROTO_REJECT_sender : PROTO_REJECT_job]++;
        return;
    }
    if (coord_counts_decode(&counts, msg->metrics.payload.data, msg->metrics.payload.size, NULL) !=
        DF_OK) {
        server->wire.rejected[PROTO_REJECT_field]++;
        return;
    }
    server_peer_uncount(peer);
    peer->counts = malloc(sizeof *peer->counts);
    if (peer->counts == NULL)
        coord_counts_fini(&counts);
    else
        *peer->counts = counts;
}

void server_peer_uncount(server_peer *peer)
{
    if (peer->counts != NULL)
        coord_counts_fini(peer->counts);
    free(peer->counts);
    peer->counts = NULL;
}

/* ---- what is shown ---- */

static const snap_entry *newest(const coord_server *s)
{
    uint64_t head = coord_commit_head(s->commit).attempt;
    uint32_t count;
    const snap_entry *entries = coord_commit_entries(s->commit, &count);

    for (uint32_t i = 0; i < count; i++)
        if (entries[i].snapshot == head)
            return &entries[i];
    return NULL;
}

static char *metrics_text(coord_server *s, coord_status *status, const coord_counts **counts,
                          coord_workers_row *rows, size_t *size)
{
    coord_metrics metrics = { .status = status, .last = newest(s), .counts = counts,
                              .snapshots = &s->seen.snapshots, .phases = s->seen.phases,
                              .rescales = &s->seen.rescales,
                              .last_seconds = s->seen.last_seconds,
                              .commit_seconds = s->seen.commit_seconds };
    proto_coord_stats stats;

    proto_coord_stats_get(s->coord, &stats);
    metrics.bound = stats.bound;
    metrics.ceiling = stats.ceiling;
    coord_server_status(s, status);
    for (uint32_t i = 0; i < status->worker_count; i++) {
        const server_peer *peer = server_peer_find(s, status->workers[i].id);

        counts[i] = peer == NULL ? NULL : peer->counts;
    }
    metrics.rows = rows;
    metrics.row_count = server_workers(s, rows);
    return coord_metrics_text(&metrics, size);
}

static void put_job(coord_server *server)
{
    coord_status *status = malloc(sizeof *status);
    const coord_counts **counts = calloc(PROTO_WORKERS_MAX, sizeof *counts);
    coord_workers_row *rows = calloc(PROTO_WORKERS_MAX, sizeof *rows);
    size_t size = 0;
    char *text = NULL;

    if (status != NULL && counts != NULL && rows != NULL)
        text = metrics_text(server, status, counts, rows, &size);
    coord_http_put(server->http, PAGE_JOB, text, size);
    free(status);
    free(counts);
    free(rows);
}

static void put_groups(coord_server *server)
{
    coord_status *status = malloc(sizeof *status);
    uint32_t count;
    coord_metrics_group *groups = server_groups(server, &count);
    size_t size = 0;
    char *text = NULL;

    if (status != NULL && groups != NULL) {
        coord_server_status(server, status);
        text = coord_metrics_groups_text(status, groups, count, &size);
    }
    coord_http_put(server->http, PAGE_GROUPS, text, size);
    free(status);
    free(groups);
}

void server_metrics_turn(coord_server *server)
{
    if (server->http == NULL)
        return;
    if (coord_http_wants(server->http, PAGE_JOB))
        put_job(server);
    if (coord_http_wants(server->http, PAGE_GROUPS))
        put_groups(server);
}
