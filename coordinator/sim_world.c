#include "coordinator/sim_world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIM_EVENTS_MAX 10000000u
#define SIM_QUIET_US   5000000u /* after the last fault the job must end within this */

/* ---- the heap of events, by (time, order of making) ---- */

static bool event_before(const sim_event *a, const sim_event *b)
{
    return a->time_us != b->time_us ? a->time_us < b->time_us : a->order < b->order;
}

void sim_push(sim_world *w, const sim_event *event, uint64_t delay_us)
{
    uint32_t i = w->heap_count++;
    sim_event e = *event;

    if (w->heap_count > w->heap_room) {
        w->heap_room = w->heap_room * 2 + 1024;
        w->heap = realloc(w->heap, w->heap_room * sizeof *w->heap);
        assert(w->heap != NULL);
    }
    e.time_us = w->now_us + delay_us;
    e.order = ++w->order;
    for (; i > 0 && event_before(&e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = e;
}

static sim_event heap_pop(sim_world *w)
{
    sim_event top = w->heap[0], last = w->heap[--w->heap_count];
    uint32_t i = 0;

    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child >= w->heap_count)
            break;
        if (child + 1 < w->heap_count && event_before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!event_before(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    if (w->heap_count > 0)
        w->heap[i] = last;
    return top;
}

static void event_free(sim_event *e)
{
    if (e->kind == SIM_TASK)
        proto_task_free(e->data);
    else
        free(e->data);
    e->data = NULL;
}

void sim_note(sim_world *w, uint64_t a, uint64_t b)
{
    w->trace = sim_mix(w->trace + sim_mix(a) * 3 + b);
}

/* ---- processes ---- */

uint64_t sim_local(const sim_process *p)
{
    return p->world->now_us + p->skew_us;
}

sim_process *sim_process_new(sim_world *w, sim_role role, uint32_t slot, uint32_t host)
{
    sim_process *p;

    if (w->process_count == SIM_PROCESSES_MAX) {
        sim_violate(w, "more than %u processes were started", SIM_PROCESSES_MAX);
        return NULL;
    }
    p = &w->processes[w->process_count];
    *p = (sim_process){ .world = w, .role = role, .id = ++w->process_count, .slot = slot,
                        .host = host, .alive = true, .tick_at_us = UINT64_MAX };
    return p;
}

/* kill -9: what it held in memory is gone, and so is the lock of its file. */
void sim_process_end(sim_world *w, sim_process *p)
{
    uint32_t index = (uint32_t)(p->id - 1);

    if (!p->alive)
        return;
    p->alive = false;
    proto_worker_free(&p->worker);
    proto_coord_free(&p->coord);
    free(p->apart.bytes);
    p->apart.bytes = NULL;
    if (w->file_holder == p->id)
        w->file_holder = 0;
    if (p->role == SIM_WORKER) {
        w->worker_of[p->slot] = PROTO_NONE;
        sim_push(w, &(sim_event){ .kind = SIM_START_WORKER, .process = p->slot },
                 sim_range(&w->rng, 500, 20000));
        if (sim_chance(&w->rng, 700000) || w->options.crowd > 0)
            sim_push(w, &(sim_event){ .kind = SIM_GONE, .a = p->id }, sim_range(&w->rng, 50, 5000));
        return;
    }
    if (w->coord_old == index)
        w->coord_old = PROTO_NONE;
    if (w->coord_now != index)
        return;
    w->coord_now = PROTO_NONE;
    sim_log_crash(w);
    sim_push(w, &(sim_event){ .kind = SIM_START_COORD },
             w->config.theme == SIM_THEME_ZOMBIES ? sim_range(&w->rng, 0, 300)
                                                  : sim_range(&w->rng, 500, 20000));
}

static void process_tick_plan(sim_world *w, sim_process *p)
{
    uint64_t deadline = p->role == SIM_WORKER ? proto_worker_deadline(p->worker)
                                              : proto_coord_deadline(p->coord);
    uint64_t at = deadline == UINT64_MAX ? UINT64_MAX : deadline - p->skew_us;
    uint64_t turn = p->role == SIM_COORD ? w->now_us + w->config.turn_us : 0; /* its loop has a turn to go */

    at = at < turn ? turn : at;
    if (at == UINT64_MAX || p->tick_at_us <= at)
        return;
    p->tick_at_us = at < w->now_us ? w->now_us : at;
    sim_push(w, &(sim_event){ .kind = SIM_TICK, .process = (uint32_t)(p->id - 1) },
             p->tick_at_us - w->now_us);
}

/* ---- the loop ---- */

/* For a figure only: nothing in the world depends on it. */
static uint64_t real_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void world_process_event(sim_world *w, sim_event *e)
{
    sim_process *p = &w->processes[e->process];
    sim_kind kind = e->kind;
    uint64_t before;

    if (!p->alive) {
        event_free(e);
        return;
    }
    if (p->frozen_until_us > w->now_us && e->kind != SIM_KILLED) {
        sim_push(w, e, p->frozen_until_us - w->now_us);
        return;
    }
    if (e->kind == SIM_KILLED) {
        sim_commit_settle(w, e->process);
        sim_process_end(w, p);
        return;
    }
    if (e->kind == SIM_TICK && p->tick_at_us > w->now_us)
        return; /* an earlier one was planned since then, and has been */
    before = p->role == SIM_COORD ? real_ns() : 0;
    if (e->kind == SIM_TICK) {
        p->tick_at_us = UINT64_MAX;
        sim_shell_tick(w, p);
    } else {
        sim_shell_event(w, p, e);
    }
    if (p->role == SIM_COORD) {
        w->result->coord_ns += real_ns() - before;
        w->result->coord_frames += kind == SIM_FRAME;
    }
    if (p->alive)
        process_tick_plan(w, p);
}

static void world_gone(sim_world *w, uint64_t id)
{
    sim_process *p = w->coord_now == PROTO_NONE ? NULL : &w->processes[w->coord_now];

    if (p == NULL)
        return;
    if (p->frozen_until_us > w->now_us) {
        sim_push(w, &(sim_event){ .kind = SIM_GONE, .a = id }, p->frozen_until_us - w->now_us);
        return;
    }
    proto_coord_gone(p->coord, sim_local(p), id);
    if (p->alive)
        process_tick_plan(w, p);
}

static void world_event(sim_world *w, sim_event *e)
{
    sim_note(w, (uint64_t)e->kind << 32 | e->process, e->time_us ^ e->a);
    switch (e->kind) {
    case SIM_START_WORKER:
        if (w->worker_of[e->process] == PROTO_NONE)
            sim_worker_start(w, e->process);
        if (w->worker_of[e->process] != PROTO_NONE)
            process_tick_plan(w, &w->processes[w->worker_of[e->process]]);
        break;
    case SIM_START_COORD:
        if (w->coord_now == PROTO_NONE)
            sim_coord_start(w);
        if (w->coord_now != PROTO_NONE)
            process_tick_plan(w, &w->processes[w->coord_now]);
        break;
    case SIM_GONE:
        world_gone(w, e->a);
        break;
    case SIM_CLIENT:
        sim_client_deed(w, e->process);
        break;
    case SIM_CROWD:
        sim_crowd_turn(w);
        break;
    default:
        world_process_event(w, e);
    }
}

static void world_begin(sim_world *w)
{
    w->coord_now = w->coord_old = PROTO_NONE;
    for (uint32_t i = 0; i < SIM_WORKERS_MAX; i++)
        w->worker_of[i] = PROTO_NONE;
    if (w->options.crowd > 0)
        sim_crowd_draw(w);
    else
        sim_config_draw(w);
    sim_check_init(w);
    sim_push(w, &(sim_event){ .kind = SIM_START_COORD }, 0);
    for (uint32_t i = 0; i < w->config.workers; i++)
        sim_push(w, &(sim_event){ .kind = SIM_START_WORKER, .process = i },
                 sim_range(&w->rng, 0, 2000));
    for (uint32_t i = 0; i < w->config.clients; i++)
        sim_push(w, &(sim_event){ .kind = SIM_CLIENT, .process = i },
                 sim_range(&w->rng, 1000, 8000));
}

static void world_stuck(sim_world *w)
{
    proto_coord_stats s = { .waiting = "a coordinator" };

    if (w->coord_now != PROTO_NONE)
        proto_coord_stats_get(w->processes[w->coord_now].coord, &s);
    sim_violate(w,
                "no end %u s after the last fault: generation %" PRIu64 " waits for %s; bound %" PRIu64
                ", done %" PRIu64 ", attempts aborted %" PRIu64 ", restarts %" PRIu64,
                SIM_QUIET_US / 1000000, s.generation, *s.waiting ? s.waiting : "its workers", s.bound,
                s.low, s.aborts, s.restarts);
}

static void world_loop(sim_world *w)
{
    while (w->heap_count > 0 && !w->done && !w->result->violated) {
        sim_event e = heap_pop(w);

        assert(e.time_us >= w->now_us);
        w->now_us = e.time_us;
        w->result->events++;
        world_event(w, &e);
        if (w->faults_left > 0 && w->result->events >= w->next_fault_event)
            sim_fault(w);
        if (w->now_us > w->faults_end_us + SIM_QUIET_US || w->result->events > SIM_EVENTS_MAX)
            world_stuck(w);
    }
}

static void world_end(sim_world *w)
{
    if (!w->result->violated && w->options.crowd > 0)
        sim_crowd_end(w);
    if (!w->result->violated)
        sim_check_end(w);
    w->result->trace = w->trace;
    w->result->time_us = w->now_us;
    w->result->commits = w->snapshot_count;
    while (w->heap_count > 0)
        event_free(&w->heap[--w->heap_count]);
    for (uint32_t i = 0; i < w->process_count; i++) {
        proto_worker_free(&w->processes[i].worker);
        proto_coord_free(&w->processes[i].coord);
        free(w->processes[i].apart.bytes);
    }
    free(w->heap);
    sim_disk_fini(w);
    sim_check_fini(w);
    free(w->acked);
}

bool sim_run(const sim_options *options, sim_result *result)
{
    sim_world *w = proto_zero(1, sizeof *w);

    *result = (sim_result){ .seed = options->seed };
    w->options = *options;
    w->result = result;
    w->rng.state = sim_mix(options->seed) ^ 0x77656972u;
    world_begin(w);
    world_loop(w);
    world_end(w);
    free(w);
    return !result->violated;
}
