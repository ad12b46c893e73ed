/* A full disk stops snapshots and nothing else (promise 11). RocksDB must not be used after a write that has
 * failed, so it is asked to write only when there is room for all that a commit may write: before an
 * attempt is begun, and once more before its commit. What lies about of attempts that were given up is
 * removed. When there is room again the next attempt succeeds by itself. What fills the disk after that look makes the
 * commit wait in its thread (snap_rocksdb_files.h); it cannot be taken back, and goes on by itself, too. */
#include "coordinator/coord_server_private.h"

#include "coordinator/coord_times.h"

#include <stdio.h>
#include <string.h>

#define DISK_LOOK_US 1000000u /* between two looks at what is free */

void server_degrade(coord_server *server, const char *why)
{
    bool news = server->degraded[0] == '\0';

    snprintf(server->degraded, sizeof server->degraded, "%s",
             why[0] == '\0' ? "a snapshot was given up" : why);
    if (news)
        fprintf(stderr, "weir: no snapshots, the job goes on: %s\n", server->degraded);
}

void server_committed(coord_server *server, uint64_t attempt)
{
    server_metrics_committed(server, server_now_us(), attempt);
    if (server->degraded[0] != '\0')
        fprintf(stderr, "weir: snapshots are taken again\n");
    server->degraded[0] = '\0';
}

static void disk_look(coord_server *s)
{
    df_error err;
    df_status status = coord_commit_has_room(s->commit, &err);

    if (status == DF_ELIMIT)
        server_degrade(s, err.text);
    proto_coord_hold(s->coord, status == DF_ELIMIT);
}

/* An attempt that ends without a commit leaves parts. Those of the one that runs now are above it. */
static void disk_clear(coord_server *s, const proto_coord_stats *stats)
{
    uint64_t given_up = stats->aborts + stats->generation;

    if (given_up != s->given_up)
        s->uncleared = stats->attempt != 0 ? stats->attempt - 1 : stats->orders;
    s->given_up = given_up;
    if (s->uncleared != 0 && coord_intake_clear(s->intake, s->uncleared) &&
        coord_commit_clear(s->commit, s->uncleared))
        s->uncleared = 0;
}

/* A part that could not be written, or is not what its worker has offered: as if the worker had said so. */
static void disk_failed(coord_server *s, const coord_intake_end *end, uint64_t attempt)
{
    char label[WEIR_NAME_MAX], text[sizeof end->error.text + WEIR_NAME_MAX + 32];

    if (end->attempt != attempt)
        return;
    server_label(s, end->worker, label);
    snprintf(text, sizeof text, "%s: its part: %s", label, end->error.text);
    server_degrade(s, text);
}

void server_streams_take(coord_server *server)
{
    proto_coord_stats stats;
    coord_intake_end end;
    proto_serve serve;

    proto_coord_stats_get(server->coord, &stats);
    while (coord_intake_ended(server->intake, &end)) {
        if (end.status != DF_OK)
            disk_failed(server, &end, stats.attempt);
        proto_coord_collected(server->coord, server_now_us(), end.worker, end.attempt, end.size,
                              end.status == DF_OK);
    }
    while (coord_outlet_ended(server->outlet, &serve))
        proto_coord_served(server->coord, server_now_us(), &serve);
    if (stats.running)
        coord_outlet_rest(server->outlet);
}

static void disk_late(coord_server *s, const proto_coord_stats *stats)
{
    char label[WEIR_NAME_MAX], text[WEIR_NAME_MAX + 64];

    if (stats->late == s->late_told)
        return;
    s->late_told = stats->late;
    server_label(s, stats->late_worker, label);
    snprintf(text, sizeof text, "%s has not written its part in %llu s", label, COORD_ATTEMPT_US / 1000000);
    server_degrade(s, text);
}

void server_disk_turn(coord_server *server, uint64_t now_us, const proto_coord_stats *stats)
{
    disk_clear(server, stats);
    disk_late(server, stats);
    if (coord_commit_waiting(server->commit))
        server_degrade(server, "the disk is full in the middle of a commit, which goes on when there is room");
    if (now_us < server->room_us)
        return;
    server->room_us = now_us + DISK_LOOK_US;
    if (stats->end == PROTO_END_NOT)
        disk_look(server);
}
