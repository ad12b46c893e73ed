/* What a worker counts, over all its generations: a graph and its channels begin at 0 with each, so
 * what the earlier ones came to is kept in `past`. */
#include "coordinator/coord_flow_private.h"

#include <stdlib.h>
#include <string.h>

/* It is shown to people; what a user's kind is called may be anything. */
static void printable(char to[WEIR_NAME_MAX], const char *from)
{
    size_t i = 0;

    for (; from[i] != '\0' && i < WEIR_NAME_MAX - 1; i++)
        to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
    to[i] = '\0';
}

bool flow_counts_init(coord_flow *f)
{
    const df_plan *plan = f->options.plan;

    if (!coord_counts_init(&f->past, plan->vertex_count, 0))
        return false;
    for (uint32_t v = 0; v < plan->vertex_count; v++) {
        const df_vertex *vertex = &plan->vertices[v];

        coord_counts_operator *o = &f->past.operators[v];

        printable(o->name, vertex->name);
        printable(o->kind, vertex->kind == NULL ? "state" : vertex->kind->name);
        o->role = vertex->kind == NULL                ? COORD_COUNTS_STATE
                  : vertex->kind->role == WEIR_SINK ? COORD_COUNTS_SINK
                                                    : COORD_COUNTS_OPERATOR;
    }
    return true;
}

static void add_graph(coord_counts *c, const df_graph *graph)
{
    df_graph_stats stats;

    df_graph_stats_get(graph, &stats);
    c->row_steps += stats.rows;
    c->tasks += stats.tasks;
    c->steals += stats.steals;
    c->sleeps += stats.sleeps;
    c->allocations += stats.allocations;
    c->pool_bytes = stats.pool_bytes;
    df_spans_add(&c->group_tasks, &stats.task_spans);
    for (uint32_t v = 0; v < c->operator_count; v++) {
        coord_counts_operator *o = &c->operators[v];
        df_vertex_stats vertex;

        df_graph_vertex_stats_get(graph, v, &vertex);
        o->rows_in += vertex.rows_in;
        o->rows_out += vertex.rows_out;
        o->bytes_in += vertex.bytes_in;
        o->bytes_out += vertex.bytes_out;
        df_spans_add(&o->calls, &vertex.calls);
    }
}

/* Room for every member is there. */
static coord_counts_peer *peer_of(coord_counts *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->peer_count; i++)
        if (c->peers[i].id == id)
            return &c->peers[i];
    c->peers[c->peer_count] = (coord_counts_peer){ .id = id };
    return &c->peers[c->peer_count++];
}

static void add_channels(coord_counts *c, const proto_worker *w)
{
    for (uint32_t m = 0; m < w->member_count; m++) {
        const channel *from = &w->channels[m];
        coord_counts_peer *p;

        if (m == w->self || w->members[m] == 0 || !from->used) /* most of a thousand never are */
            continue;
        p = peer_of(c, w->members[m]);
        p->frames_sent += from->frames_sent;
        p->frames_resent += from->frames_resent;
        p->frames_early += from->frames_early;
        p->frames_received += from->received;
        p->bytes_sent += from->sent + from->moved;
        p->bytes_moved += from->moved;
        p->bytes_received += from->consumed + from->buffered + from->taken;
        df_spans_add(&p->waits, &from->waits);
        p->buffered = from->buffered;
        p->queued = from->waiting_count;
    }
}

/* Operators in the plan's order, peers in any. A graph that is being loaded is its thread's. */
static bool counts_now(const coord_flow *f, const proto_worker *w, coord_counts *out)
{
    const coord_counts *past = &f->past;
    coord_counts c;

    if (!coord_counts_init(&c, past->operator_count, past->peer_count + w->member_count))
        return false;
    memcpy(c.operators, past->operators, past->operator_count * sizeof *c.operators);
    memcpy(c.peers, past->peers, past->peer_count * sizeof *c.peers);
    *out = *past;
    out->operators = c.operators;
    out->peers = c.peers;
    if (!f->load.running && f->graph != NULL)
        add_graph(out, f->graph);
    if (w->channels != NULL)
        add_channels(out, w);
    return true;
}

/* Members that are no more are forgotten: their numbers do not come back. */
void flow_counts_begin(coord_flow *f, const proto_worker *w)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < f->past.peer_count; i++)
        for (uint32_t m = 0; m < w->member_count; m++)
            if (w->members[m] == f->past.peers[i].id) {
                f->past.peers[left++] = f->past.peers[i];
                break;
            }
    f->past.peer_count = left;
}

/* Without memory the counts of this generation are lost: they are for people only. */
void flow_counts_end(coord_flow *f, const proto_worker *w)
{
    coord_counts all;

    if (!counts_now(f, w, &all))
        return;
    coord_counts_fini(&f->past);
    f->past = all;
    f->past.pool_bytes = 0;
    for (uint32_t i = 0; i < f->past.peer_count; i++)
        f->past.peers[i].buffered = f->past.peers[i].queued = 0;
}

bool coord_flow_counts(const coord_flow *f, const proto_worker *worker, coord_counts *counts)
{
    proto_worker_stats stats;

    if (!counts_now(f, worker, counts))
        return false;
    coord_counts_sort(counts);
    proto_worker_stats_get(worker, &stats);
    counts->frames_parked = stats.frames_parked;
    for (uint32_t i = 0; i < PROTO_REJECT_COUNT; i++)
        counts->rejected[i] = stats.rejected[i];
    return true;
}
