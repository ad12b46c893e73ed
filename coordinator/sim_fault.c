/* What a seed means: the sizes of the job and the cluster, how unkind the network is, which faults
 * strike when, and what clients ask for. */
#include "coordinator/sim_world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SIZES_STEPS 60u  /* of a job whose clients want all sizes, */
#define SIZES_DEEDS 200u /* and deeds of each of them: more than it lasts */

static void config_theme(sim_world *w)
{
    sim_config *c = &w->config;
    sim_rng *r = &w->rng;
    uint64_t what = sim_range(r, 0, 99);

    c->theme = what < 40   ? SIM_THEME_MIXED
               : what < 55 ? SIM_THEME_ZOMBIES
               : what < 70 ? SIM_THEME_GENERATIONS
                           : SIM_THEME_RESCALES;
    if (!w->options.faults && c->theme != SIM_THEME_RESCALES) /* the others are about faults */
        c->theme = SIM_THEME_MIXED;
    if (c->theme == SIM_THEME_MIXED)
        return;
    c->order_ahead = (uint32_t)sim_range(r, 0, 3);
    c->client_us = (uint32_t)sim_range(r, 200, 1500);
    if (c->theme == SIM_THEME_ZOMBIES) {
        c->delay_us = (uint32_t)sim_range(r, 50, 1500);
        c->jitter_us = (uint32_t)sim_range(r, 50, 1500);
        c->disk_us = 200;
        return;
    }
    if (c->theme == SIM_THEME_RESCALES) {
        for (uint32_t i = c->workers; i < SIM_WORKERS_DRAWN; i++)
            w->worker_host[i] = (uint32_t)sim_range(r, 0, 1);
        c->workers = c->workers < 3 ? SIM_WORKERS_DRAWN : c->workers;
        c->clients = c->clients == 0 ? 1 : c->clients;
        c->task_us = (uint32_t)sim_range(r, 50, 800); /* several of them during one job */
        return;
    }
    c->late = (uint32_t)sim_range(r, 20000, 200000);
    c->disk_us = (uint32_t)sim_range(r, 500, 8000);
}

static void config_faults(sim_world *w)
{
    sim_config *c = &w->config;
    sim_rng *r = &w->rng;

    if (sim_chance(r, 600000)) {
        c->drop = (uint32_t)sim_range(r, 0, 60000);
        c->repeat = (uint32_t)sim_range(r, 0, 60000);
        c->late = (uint32_t)sim_range(r, 0, 30000);
        c->corrupt = (uint32_t)sim_range(r, 0, 3000);
    }
    if (sim_chance(r, 300000))
        c->jitter_us = (uint32_t)sim_range(r, 200, 8000);
    if (sim_chance(r, 300000))
        c->disk_us = (uint32_t)sim_range(r, 2000, 30000);
    if (sim_chance(r, 200000))
        c->disk_fails = (uint32_t)sim_range(r, 0, 30000);
    if (sim_chance(r, 200000))
        c->task_fails = (uint32_t)sim_range(r, 0, 2000);
    c->fault_count = (uint32_t)sim_range(r, 0, 10);
    c->fault_events = sim_range(r, 20, 400);
    w->faults_left = c->fault_count;
    w->next_fault_event = sim_range(r, 20, 2 * c->fault_events + 20);
}

/* A third has a small log, which is made shorter all the time; in some of them it gets full. */
static void config_log(sim_world *w)
{
    sim_rng draw = { .state = w->options.seed ^ 0x10c };

    if (sim_chance(&draw, 333333))
        w->config.log_size = sim_range(&draw, 6000, sim_chance(&draw, 500000) ? 12000 : 60000);
}

/* In half of the schedules what follows from a frame follows at once. */
static void config_turn(sim_world *w)
{
    sim_rng draw = { .state = w->options.seed ^ 0x7042 };

    w->config.turn_us = sim_chance(&draw, 500000) ? 0 : (uint32_t)sim_range(&draw, 1, 100);
}

/* Half of the jobs have a pace: their bound stands still most of the time, and then it matters who was granted what. Where
 * generations come and go a step takes as long as a generation needs to begin. */
static void config_pace(sim_world *w)
{
    sim_rng draw = { .state = w->options.seed ^ 0x9ace };

    if (w->options.faults && w->config.theme == SIM_THEME_GENERATIONS)
        w->config.step_us = (uint32_t)sim_range(&draw, 3000, 9000);
    else if (sim_chance(&draw, 500000))
        w->config.step_us = (uint32_t)sim_range(&draw, 300, 3000);
}

/* A long job that is busy, room for everybody, and clients that go on and on. */
static void config_sizes(sim_world *w)
{
    sim_config *c = &w->config;

    c->theme = SIM_THEME_RESCALES;
    for (uint32_t i = c->workers; i < SIM_SIZES; i++)
        w->worker_host[i] = (uint32_t)sim_range(&w->rng, 0, 1);
    c->workers = SIM_SIZES;
    c->member_max = (uint32_t)sim_range(&w->rng, 1, SIM_SIZES);
    c->clients = c->clients == 0 ? 1 : c->clients;
    c->task_us = (uint32_t)sim_range(&w->rng, 50, 800);
    w->size.turn = (uint32_t)sim_range(&w->rng, 0, 2 * SIM_SIZES * SIM_SIZES - 1);
}

void sim_config_draw(sim_world *w)
{
    sim_config *c = &w->config;
    sim_rng *r = &w->rng;
    uint32_t groups = (uint32_t)sim_range(r, 1, SIM_GROUPS_DRAWN);
    uint64_t steps = sim_range(r, 4, SIM_STEPS_DRAWN);

    *c = (sim_config){ .workers = (uint32_t)sim_range(r, 1, SIM_WORKERS_DRAWN), .member_min = 1, .slow = 1,
                       .delay_us = 40, .jitter_us = 60, .task_us = (uint32_t)sim_range(r, 5, 300), .disk_us = 600 };
    c->member_max = (uint32_t)sim_range(r, 1, c->workers);
    if (c->member_max < 2 && c->workers > 1 && sim_chance(r, 800000))
        c->member_max = 2;
    c->client_us = (uint32_t)sim_range(r, 200, 4000);
    c->clients = (uint32_t)sim_range(r, 0, SIM_CLIENTS_MAX);
    for (uint32_t i = 0; i < c->workers; i++) /* the first is always on the sinks' host */
        w->worker_host[i] = i == 0 ? 0 : (uint32_t)sim_range(r, 0, 1);
    if (w->options.faults)
        config_faults(w);
    config_theme(w);
    if (w->options.sizes) {
        config_sizes(w);
        groups = SIM_SIZES;
        steps = SIZES_STEPS;
    }
    config_log(w);
    config_turn(w);
    config_pace(w);
    sim_stream_draw(w);
    sim_hints_draw(w);
    sim_job_init(&w->job, sim_random(r), groups, steps,
                 sim_chance(r, 500000) ? 0 : (uint32_t)sim_range(r, 0, 300));
    w->file = proto_zero(steps * 16 * groups, 1);
    for (uint32_t i = 0; i < c->clients; i++)
        w->clients[i] = (sim_client){ .id = SIM_PROCESSES_MAX + 1 + i,
                                      .left = w->options.sizes ? SIZES_DEEDS : (uint32_t)sim_range(r, 1, 40) };
}

/* ---- faults ---- */

static sim_process *fault_victim(sim_world *w)
{
    uint32_t slot = (uint32_t)sim_range(&w->rng, 0, w->config.workers - 1);

    return w->worker_of[slot] == PROTO_NONE ? NULL : &w->processes[w->worker_of[slot]];
}

static void fault_freeze(sim_world *w, sim_process *p)
{
    uint64_t most = sim_chance(&w->rng, 500000) ? 5000 : 200000;

    if (p == NULL)
        return;
    p->frozen_until_us = w->now_us + sim_range(&w->rng, 500, most);
    if (p->frozen_until_us > w->faults_end_us)
        w->faults_end_us = p->frozen_until_us;
}

static void fault_coord_kill(sim_world *w)
{
    if (w->coord_now == PROTO_NONE)
        return;
    sim_commit_settle(w, w->coord_now);
    sim_process_end(w, &w->processes[w->coord_now]);
}

/* What a coordinator says last reaches only some of its workers. */
static void fault_coord_dies(sim_world *w)
{
    uint64_t us = sim_range(&w->rng, 200, 10000);

    if (w->coord_now == PROTO_NONE)
        return;
    for (uint32_t i = 0; i < w->config.workers; i++)
        if (sim_chance(&w->rng, 500000))
            w->cut_until_us[SIM_WORKERS_MAX][i] = w->now_us + us;
    sim_push(w, &(sim_event){ .kind = SIM_KILLED, .process = w->coord_now }, us);
    if (w->now_us + us > w->faults_end_us)
        w->faults_end_us = w->now_us + us;
}

/* The old coordinator is only frozen, and wakes up after another has taken its disk. */
static void fault_coord_zombie(sim_world *w)
{
    uint32_t old = w->coord_now;

    if (old == PROTO_NONE)
        return;
    if (w->coord_old != PROTO_NONE)
        sim_process_end(w, &w->processes[w->coord_old]);
    sim_commit_settle(w, old);
    w->processes[old].revoked = true;
    if (sim_chance(&w->rng, 400000))
        w->processes[old].frozen_until_us = w->now_us + sim_range(&w->rng, 0, 60000);
    w->coord_old = old;
    w->coord_now = PROTO_NONE;
    sim_log_crash(w);
    sim_push(w, &(sim_event){ .kind = SIM_START_COORD }, sim_range(&w->rng, 0, sim_chance(&w->rng, 500000) ? 200 : 30000));
}

static void fault_power(sim_world *w)
{
    for (uint32_t i = 0; i < w->config.workers; i++)
        if (w->worker_host[i] == 0 && w->worker_of[i] != PROTO_NONE)
            sim_process_end(w, &w->processes[w->worker_of[i]]);
    fault_coord_kill(w);
    sim_file_power_loss(w);
}

static void fault_link(sim_world *w)
{
    uint32_t a = (uint32_t)sim_range(&w->rng, 0, w->config.workers);
    uint32_t b = (uint32_t)sim_range(&w->rng, 0, w->config.workers);
    uint64_t until = w->now_us + sim_range(&w->rng, 500, 120000);

    a = a == w->config.workers ? SIM_WORKERS_MAX : a; /* the coordinator's place */
    b = b == w->config.workers ? SIM_WORKERS_MAX : b;
    if (a == b)
        return;
    if (sim_chance(&w->rng, 400000)) {
        sim_net_reconnect(w, a, b);
        return;
    }
    sim_net_cut(w, a, b, until);
    if (until > w->faults_end_us)
        w->faults_end_us = until;
}

static void fault_clock(sim_world *w)
{
    sim_process *p = fault_victim(w);

    if (sim_chance(&w->rng, 400000) && w->coord_now != PROTO_NONE)
        p = &w->processes[w->coord_now];
    if (p != NULL)
        p->skew_us += sim_range(&w->rng, 1000, 300000);
}

/* The network heals with the last fault, so that progress can be asked for. */
static void fault_last(sim_world *w)
{
    sim_config *c = &w->config;

    c->drop = c->repeat = c->late = c->corrupt = 0;
    c->disk_fails = c->task_fails = 0;
    if (w->now_us > w->faults_end_us)
        w->faults_end_us = w->now_us;
}

void sim_fault(sim_world *w)
{
    uint64_t what = sim_range(&w->rng, 0, 99);
    sim_process *p = fault_victim(w);

    if (w->config.theme == SIM_THEME_ZOMBIES && sim_chance(&w->rng, 700000))
        what = sim_range(&w->rng, 35, 51);
    if (w->config.theme == SIM_THEME_GENERATIONS && sim_chance(&w->rng, 700000))
        what = 0;
    w->next_fault_event = w->result->events + sim_range(&w->rng, 1, 2 * w->config.fault_events);
    w->result->faults++;
    sim_note(w, 77, what);
    if (what < 22 && p != NULL)
        sim_process_end(w, p);
    else if (what < 32)
        fault_coord_kill(w);
    else if (what < 42)
        fault_coord_dies(w);
    else if (what < 52)
        fault_coord_zombie(w);
    else if (what < 70)
        fault_freeze(w, p);
    else if (what < 76)
        fault_freeze(w, w->coord_now == PROTO_NONE ? NULL : &w->processes[w->coord_now]);
    else if (what < 92)
        fault_link(w);
    else if (what < 96)
        fault_clock(w);
    else
        fault_power(w);
    if (--w->faults_left == 0)
        fault_last(w);
}

/* ---- clients ---- */

static void client_command(sim_world *w, sim_client *c)
{
    uint64_t what = sim_range(&w->rng, 0, 99);
    proto_command *m = &c->msg.command;

    if (w->config.theme == SIM_THEME_GENERATIONS && what < 40)
        what = 95; /* a job that pauses meets frames from before */
    c->msg.header.type = PROTO_TYPE_command;
    *m = (proto_command){ .number = c->number };
    if (c->paused) {
        m->verb = PROTO_VERB_RESUME;
        c->paused = false;
    } else if (what < 80) {
        m->verb = PROTO_VERB_MOVE;
        m->first = sim_range(&w->rng, 0, w->job.groups);
        m->second = sim_range(&w->rng, 0, w->config.workers);
    } else if (what < 90) {
        m->verb = PROTO_VERB_SNAPSHOT;
    } else if (what < 97) {
        m->verb = PROTO_VERB_PAUSE;
        c->paused = true;
        c->left = c->left == 0 ? 1 : c->left;
    } else if (what < 98) {
        m->verb = PROTO_VERB_DRAIN;
    } else {
        m->verb = PROTO_VERB_RESTORE;
        m->second = c->number % 2;
        if (w->snapshot_count > 0 && c->number % 3 != 0)
            m->first = w->snapshots[sim_mix(w->rng.state) % w->snapshot_count].attempt;
    }
}

/* No message asks for it: the shell plans it where the coordinator is. */
static void client_wish(sim_world *w)
{
    uint64_t what = sim_range(&w->rng, 0, 99), size = w->options.sizes ? 90 : 70, empty = w->options.sizes ? 97 : 85;
    sim_event e = { .kind = SIM_RESCALE, .process = w->coord_now };

    if (w->coord_old != PROTO_NONE && sim_chance(&w->rng, 100000))
        e.process = w->coord_old;
    e.a = what < size ? SIM_WISH_SIZE : what < empty ? SIM_WISH_EMPTY : SIM_WISH_ABORT;
    if (e.process != PROTO_NONE)
        sim_push(w, &e, sim_range(&w->rng, 20, 500));
}

static void client_begin(sim_world *w, sim_client *c)
{
    c->number++;
    c->left -= c->left > 0;
    c->waiting = true;
    c->msg = (proto_msg){ .header = { .job = 7, .sender = c->id } };
    if (c->paused || sim_chance(&w->rng, 500000)) {
        client_command(w, c);
        return;
    }
    c->msg.header.type = PROTO_TYPE_inject;
    for (uint32_t i = 0; i < sizeof c->payload; i++)
        c->payload[i] = (uint8_t)sim_random(&w->rng);
    c->msg.inject = (proto_inject){ .number = c->number };
    c->msg.inject.payload = (proto_bytes){ c->payload, (uint32_t)sim_range(&w->rng, 1, 64) };
}

/* Say it again until it is answered; then the next deed. */
void sim_client_deed(sim_world *w, uint32_t client)
{
    sim_client *c = &w->clients[client];

    if (!c->waiting && c->left == 0 && !c->paused)
        return;
    if (!c->waiting &&
        sim_chance(&w->rng, w->config.theme == SIM_THEME_RESCALES ? 600000 : 100000)) {
        c->left -= c->left > 0 && !c->paused;
        client_wish(w);
    } else if (!c->waiting && !(c->paused && sim_chance(&w->rng, 700000))) /* pauses last a while */
        client_begin(w, c);
    if (c->waiting)
        sim_client_send(w, c);
    sim_push(w, &(sim_event){ .kind = SIM_CLIENT, .process = client },
             sim_range(&w->rng, 100, w->config.client_us));
}

static void client_acked(sim_world *w, const sim_client *c, const proto_answer *a)
{
    if (w->acked_count == w->acked_room) {
        w->acked_room = w->acked_room * 2 + 16;
        w->acked = realloc(w->acked, w->acked_room * sizeof *w->acked);
        assert(w->acked != NULL);
    }
    w->acked[w->acked_count++] =
        (sim_acked){ c->id, a->number, a->index,
                     sim_bytes_hash(c->msg.inject.payload.data, c->msg.inject.payload.size) };
}

void sim_client_answer(sim_world *w, uint32_t client, const proto_msg *msg)
{
    sim_client *c = client < w->config.clients ? &w->clients[client] : NULL;
    const proto_answer *a = &msg->answer;

    if (c == NULL || sim_chance(&w->rng, w->config.drop))
        return;
    sim_note(w, 78 + client, a->number << 8 | a->status);
    if (!c->waiting || a->number != c->number)
        return;
    c->waiting = false;
    if (c->msg.header.type == PROTO_TYPE_inject && a->status == PROTO_ANSWER_OK)
        client_acked(w, c, a);
    if (c->msg.header.type == PROTO_TYPE_command && c->msg.command.verb == PROTO_VERB_SNAPSHOT &&
        a->status == PROTO_ANSWER_OK && a->index > w->head.attempt)
        sim_violate(w, "a snapshot was acknowledged that is not committed");
}
