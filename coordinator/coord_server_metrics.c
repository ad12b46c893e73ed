/* The job's numbers over HTTP: gathered when somebody asks for them, in the server's thread. */
#include "coordinator/coord_server_private.h"

#include "coordinator/coord_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METRICS_FRESH_S 0.2

static void metrics_wake(void *user)
{
    coord_server_wake(user);
}

df_status server_metrics_open(coord_server *server, df_error *err)
{
    static const coord_http_page page = { "/metrics", METRICS_FRESH_S };
    coord_http_options options = { .address = server->options.metrics, .pages = &page,
                                   .page_count = 1, .wake = metrics_wake, .user = server };
    df_status s;

    server->seen.last_seconds = -1;
    if (server->options.metrics == NULL)
        return DF_OK;
    s = coord_http_open(&server->http, &options, err);
    return s == DF_OK ? s : df_wrap(err, s, "metrics");
}

/* ---- what is noted ---- */

void server_metrics_watch(coord_server *server, uint64_t now_us, uint64_t attempt)
{
    if (attempt == server->seen.attempt)
        return;
    server->seen.attempt = attempt;
    server->seen.attempt_us = now_us;
}

void server_metrics_committed(coord_server *server, uint64_t now_us, uint64_t attempt)
{
    if (attempt != server->seen.attempt)
        return;
    server->seen.last_seconds = 1e-6 * (double)(now_us - server->seen.attempt_us);
    server->seen.commit_seconds = 1e-6 * (double)(now_us - server->seen.commit_us);
    coord_histogram_put(&server->seen.snapshots, server->seen.last_seconds);
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
                              .snapshots = &s->seen.snapshots, .rescales = &s->seen.rescales,
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

void server_metrics_turn(coord_server *server)
{
    coord_status *status;
    const coord_counts **counts;
    coord_workers_row *rows;
    size_t size = 0;
    char *text = NULL;

    if (server->http == NULL || !coord_http_wants(server->http, 0))
        return;
    status = malloc(sizeof *status);
    counts = calloc(PROTO_WORKERS_MAX, sizeof *counts);
    rows = calloc(PROTO_WORKERS_MAX, sizeof *rows);
    if (status != NULL && counts != NULL && rows != NULL)
        text = metrics_text(server, status, counts, rows, &size);
    coord_http_put(server->http, 0, text, size);
    free(status);
    free(counts);
    free(rows);
}
