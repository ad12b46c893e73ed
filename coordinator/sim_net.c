/* The virtual network: frames are lost, repeated, delayed, reordered, corrupted; links are cut, and
 * made anew with everything under way lost. No kinder than what was measured of ZeroMQ. */
#include "coordinator/sim_world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PLACE_COORD   SIM_WORKERS_MAX
#define PLACE_CLIENTS (SIM_WORKERS_MAX + 1)

uint32_t sim_place(const sim_process *p)
{
    return p->role == SIM_WORKER ? p->slot : PLACE_COORD;
}

static void net_deliver(sim_world *w, uint32_t from, uint32_t to_place, uint32_t to_process,
                        const uint8_t *bytes, size_t size)
{
    const sim_config *c = &w->config;
    uint64_t delay = c->delay_us + sim_range(&w->rng, 0, c->jitter_us);
    sim_event e = { .kind = SIM_FRAME, .process = to_process, .from = from,
                    .epoch = w->epoch[from][to_place], .size = (uint32_t)size };

    if (sim_chance(&w->rng, c->drop))
        return;
    if (sim_chance(&w->rng, c->late))
        delay += sim_range(&w->rng, 1000, 60000);
    e.data = malloc(size);
    assert(e.data != NULL);
    memcpy(e.data, bytes, size);
    if (sim_chance(&w->rng, c->corrupt))
        ((uint8_t *)e.data)[sim_random(&w->rng) % size] ^= (uint8_t)(1u << sim_random(&w->rng) % 8);
    sim_push(w, &e, delay);
}

static uint8_t net_bytes[PROTO_FRAME_SIZE_MAX]; /* one thread; a frame is copied when it leaves */

static void net_send(sim_world *w, uint32_t from, uint32_t to_place, uint32_t to_process,
                     const proto_msg *msg)
{
    size_t size = proto_encode(msg, net_bytes, sizeof net_bytes);

    if (size == 0) {
        sim_violate(w, "a message %s could not be encoded", proto_type_name(msg->header.type));
        return;
    }
    w->result->frames++;
    w->result->frame_bytes += size;
    if (msg->header.type == PROTO_TYPE_install) {
        w->result->installs++;
        w->result->install_bytes += size;
    }
    if (w->cut_until_us[from][to_place] > w->now_us)
        return;
    net_deliver(w, from, to_place, to_process, net_bytes, size);
    if (sim_chance(&w->rng, w->config.repeat))
        net_deliver(w, from, to_place, to_process, net_bytes, size);
}

/* The coordinator's address leads to the newest one; a zombie may still have a connection. */
static void net_send_coord(sim_world *w, uint32_t from, const proto_msg *msg)
{
    if (w->coord_now != PROTO_NONE)
        net_send(w, from, PLACE_COORD, w->coord_now, msg);
    if (w->coord_old != PROTO_NONE && sim_chance(&w->rng, 500000))
        net_send(w, from, PLACE_COORD, w->coord_old, msg);
}

/* Answers cross at once: a client is no process, and what it does next takes its own time. */
static void net_send_client(sim_world *w, uint64_t to, const proto_msg *msg)
{
    size_t size = proto_encode(msg, net_bytes, sizeof net_bytes);
    proto_msg arrived;

    if (proto_decode(&arrived, net_bytes, size) != PROTO_REJECT_ok)
        sim_violate(w, "an answer could not be read back");
    else if (w->cut_until_us[PLACE_COORD][PLACE_CLIENTS] <= w->now_us)
        sim_client_answer(w, (uint32_t)(to - SIM_PROCESSES_MAX - 1), &arrived);
}

void sim_send(sim_world *w, const sim_process *from, uint64_t to, const proto_msg *msg)
{
    const sim_process *p;

    if (w->result->violated)
        return;
    if (to > SIM_PROCESSES_MAX) {
        net_send_client(w, to, msg);
        return;
    }
    if (to == 0) {
        net_send_coord(w, sim_place(from), msg);
        return;
    }
    p = &w->processes[to - 1];
    if (to <= w->process_count)
        net_send(w, sim_place(from), sim_place(p), (uint32_t)(to - 1), msg);
}

void sim_client_send(sim_world *w, sim_client *client)
{
    net_send_coord(w, PLACE_CLIENTS, &client->msg);
}

/* Frames of a link that was made anew since are lost. */
bool sim_net_carries(const sim_world *w, const sim_event *e)
{
    uint32_t to = sim_place(&w->processes[e->process]);

    return e->epoch == w->epoch[e->from][to];
}

void sim_net_cut(sim_world *w, uint32_t a, uint32_t b, uint64_t until_us)
{
    w->cut_until_us[a][b] = until_us;
    if (sim_chance(&w->rng, 800000)) /* else one direction only */
        w->cut_until_us[b][a] = until_us;
}

void sim_net_reconnect(sim_world *w, uint32_t a, uint32_t b)
{
    w->epoch[a][b]++;
    w->epoch[b][a]++;
    if (a >= SIM_WORKERS_MAX || b >= SIM_WORKERS_MAX || w->worker_of[a] == PROTO_NONE ||
        w->worker_of[b] == PROTO_NONE)
        return;
    sim_push(w, &(sim_event){ .kind = SIM_LINKED, .process = w->worker_of[a],
                              .a = w->worker_of[b] + 1u }, 100);
    sim_push(w, &(sim_event){ .kind = SIM_LINKED, .process = w->worker_of[b],
                              .a = w->worker_of[a] + 1u }, 150);
}
