/* The tables under the state machines, bound to the virtual network, disk and clock. */
#include "coordinator/sim_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SIM_JOB_ID 7u

static uint64_t shell_disk_delay(sim_world *w)
{
    return sim_range(&w->rng, w->config.disk_us / 4 + 1, w->config.disk_us);
}

static void shell_later(sim_process *p, sim_kind kind, uint64_t a, uint64_t b, uint64_t delay_us)
{
    sim_push(p->world, &(sim_event){ .kind = kind, .process = (uint32_t)(p->id - 1), .a = a, .b = b },
             delay_us);
}

static void shell_send(void *user, uint64_t to, const proto_msg *msg)
{
    sim_process *p = user;

    sim_send(p->world, p, to, msg);
}

/* ---- a worker ---- */

static void shell_load(void *user, uint64_t generation, uint64_t snapshot, uint32_t group)
{
    sim_process *p = user;
    sim_event e = { .kind = SIM_LOADED, .process = (uint32_t)(p->id - 1), .from = group,
                    .a = generation, .b = snapshot };

    if (p->apart.is && snapshot != 0) {
        sim_stream_load(p, generation, snapshot, group);
        return;
    }
    sim_push(p->world, &e, shell_disk_delay(p->world));
}

static void shell_run(void *user, proto_task *task)
{
    sim_process *p = user;
    sim_event e = { .kind = SIM_TASK, .process = (uint32_t)(p->id - 1), .data = task };

    e.a = sim_job_begin(&p->world->job, task);
    sim_push(p->world, &e, sim_range(&p->world->rng, 1, p->world->config.task_us));
}

static proto_batch *shell_boundary(void *user, uint32_t src, uint32_t dst, proto_batch *state)
{
    (void)user;
    (void)src;
    (void)dst;
    return sim_job_boundary(state);
}

static void shell_part(void *user, uint64_t generation, uint64_t attempt,
                       const proto_captured *captured, uint32_t count)
{
    sim_process *p = user;

    sim_part_begin(p->world, p, generation, attempt, captured, count);
    shell_later(p, SIM_PART, attempt, 0, shell_disk_delay(p->world));
}

static void shell_sink_open(void *user, uint64_t generation, uint32_t group)
{
    sim_process *p = user;

    shell_later(p, SIM_SINK_OPEN, generation, group, shell_disk_delay(p->world));
}

static void shell_sink_write(void *user, uint64_t generation, uint32_t group, uint64_t offset,
                             const proto_batch *bytes)
{
    sim_process *p = user;

    (void)group;
    sim_file_write(p->world, p, generation, offset, bytes);
}

static void shell_sink_sync(void *user, uint64_t generation, uint64_t attempt)
{
    sim_process *p = user;

    (void)generation;
    shell_later(p, SIM_SINK_SYNC, attempt,
                p->world->file_holder == p->id ? p->world->file_size : 0,
                shell_disk_delay(p->world));
}

static proto_batch *shell_read(void *user, uint64_t attempt, uint64_t offset, uint32_t size)
{
    return sim_stream_read(user, attempt, offset, size);
}

static void shell_fetched(void *user, const proto_piece *piece)
{
    sim_stream_fetched(user, piece);
}

static void shell_worker_stop(void *user, uint8_t reason)
{
    (void)reason; /* the state machine still runs: the process ends with its next event */
    shell_later(user, SIM_KILLED, 0, 0, 0);
}

void sim_worker_start(sim_world *w, uint32_t slot)
{
    sim_process *p = sim_process_new(w, SIM_WORKER, slot, w->worker_host[slot]);
    proto_worker_env env = { p, &proto_flow_model, shell_send, shell_load, shell_run, shell_boundary, shell_part,
                             shell_sink_open, shell_sink_write, shell_sink_sync,
                             shell_worker_stop, NULL, NULL, NULL, NULL, shell_read, shell_fetched };
    proto_worker_config config = {
        .job = SIM_JOB_ID, .host = w->worker_host[slot], .tries = 3,
        .beat_us = 4000 * w->config.slow, .resend_us = 8000 * w->config.slow, .stream = w->stream, .mutants = w->options.mutants,
    };
    sim_rng draw = { .state = w->options.seed ^ 0x1234567 }; /* the same for every worker */

    if (p == NULL)
        return;
    p->apart = (sim_apart){ .is = w->worker_apart[slot], .group = PROTO_NONE };
    config.self = config.process = p->id;
    config.credit_size = sim_range(&draw, 32, sim_chance(&draw, 500000) ? 200 : 4000);
    config.move_size = sim_range(&draw, 16, 2000);
    config.frame_size = (uint32_t)sim_range(&draw, 8, sim_chance(&draw, 500000) ? 40 : 1000);
    p->credit_size = config.credit_size;
    config.tries = sim_chance(&draw, 250000) ? 3 : 1;
    if (w->options.crowd > 0) {
        config.credit_size = p->credit_size = 64000;
        config.frame_size = 1000;
    }
    p->worker = proto_worker_new(&w->job.plan, &config, &env);
    w->worker_of[slot] = (uint32_t)(p->id - 1);
    proto_worker_start(p->worker, sim_local(p));
}

/* ---- a coordinator ---- */

static void shell_append(void *user, const proto_record *record)
{
    sim_process *p = user;

    sim_log_append(p->world, p, record);
}

static void shell_sync(void *user)
{
    sim_process *p = user;

    shell_later(p, SIM_SYNC, p->world->log_count, 0, shell_disk_delay(p->world));
}

static void shell_commit(void *user, const proto_commit *commit)
{
    sim_process *p = user;
    sim_snapshot *s = proto_zero(1, sizeof *s);
    sim_event e = { .kind = SIM_COMMIT, .process = (uint32_t)(p->id - 1), .data = s };

    *s = (sim_snapshot){ .attempt = commit->attempt, .step = commit->step,
                         .member_count = commit->member_count, .generation = commit->generation };
    for (uint32_t i = 0; i < commit->member_count && i < SIM_MEMBERS_MAX; i++)
        s->members[i] = commit->members[i];
    e.a = commit->attempt;
    sim_push(p->world, &e, shell_disk_delay(p->world));
}

static bool shell_find(void *user, uint64_t snapshot, proto_head *head)
{
    sim_process *p = user;

    return sim_snapshot_find(p->world, snapshot, head);
}

static void shell_restore(void *user, uint64_t snapshot)
{
    sim_process *p = user;

    shell_later(p, SIM_RESTORE, snapshot, 0, shell_disk_delay(p->world));
}

static void shell_kill(void *user, uint64_t process)
{
    sim_process *p = user;

    if (process == 0 || process > p->world->process_count)
        return;
    sim_push(p->world, &(sim_event){ .kind = SIM_KILLED, .process = (uint32_t)(process - 1) },
             sim_range(&p->world->rng, 1, 500));
}

static void shell_collect(void *user, const proto_collect *piece)
{
    sim_stream_collect(user, piece);
}

static void shell_serve(void *user, uint64_t worker, const proto_fetch *what)
{
    sim_stream_serve(user, worker, what);
}

static bool shell_refuses(void *user, uint64_t worker, bool member)
{
    sim_process *p = user;
    bool refused = sim_refuses(p->world, worker, member);

    p->world->result->refused += refused;
    return refused;
}

static void shell_coord_stop(void *user)
{
    shell_later(user, SIM_KILLED, 0, 0, 0);
}

void sim_coord_start(sim_world *w)
{
    sim_process *p = sim_process_new(w, SIM_COORD, 0, 0);
    proto_coord_env env = { p, shell_send, shell_append, shell_sync, shell_commit, shell_find,
                            shell_restore, shell_kill, shell_coord_stop, shell_collect, shell_serve,
                            shell_refuses };
    sim_rng draw = { .state = w->options.seed ^ 0x7654321 };
    proto_coord_config config = {
        .job = SIM_JOB_ID, .member_min = w->config.member_min, .member_max = w->config.member_max,
        .window = (uint32_t)sim_range(&draw, 1, 5), .order_ahead = w->config.order_ahead,
        .ceiling_span = (uint32_t)sim_range(&draw, 1, 12),
        .snapshot_every = (uint32_t)sim_range(&draw, 0, 8), .restarts_max = 1000, .sink_host = 0,
        .backoff_us = 500, .beat_us = 4000 * w->config.slow, .silence_us = 40000 * w->config.slow,
        .attach_us = 60000 * w->config.slow, .install_us = 80000 * w->config.slow,
        .attempt_us = sim_chance(&draw, 500000) ? 60000 : 60000000, .retry_us = 500,
        .steps_per_second = w->config.step_us == 0 ? 0 : 1e6 / w->config.step_us,
        .stream = w->stream,
        .orders_kept = w->options.seed % 2 == 0 ? 1 : 1000,
        .stall_us = w->options.stall ? 400000 : 0,
        .mutants = w->options.mutants,
    };

    proto_coord *whole;

    if (p == NULL)
        return;
    if (config.snapshot_every == 0 && sim_chance(&draw, 500000))
        config.snapshot_every_us = sim_range(&draw, 1000, 30000);
    if (w->options.crowd > 0)
        sim_crowd_config(&config);
    p->coord = proto_coord_new(&w->job.plan, &config, &env);
    w->coord_now = (uint32_t)(p->id - 1);
    w->result->incarnations++;
    sim_log_recover(w, p);
    whole = proto_coord_new(&w->job.plan, &config, &env);
    sim_log_compare(w, p, whole);
    proto_coord_free(&whole);
    p->ended_op = sim_rescale_last(p);
    p->window = config.window;
    sim_rescale_recovered(w, p);
    proto_coord_start(p->coord, sim_local(p), w->head);
}

/* ---- events ---- */

static void shell_frame(sim_world *w, sim_process *p, sim_event *e)
{
    proto_msg msg;
    proto_reject reject;

    if (!sim_net_carries(w, e)) {
        free(e->data);
        return;
    }
    reject = proto_decode(&msg, e->data, e->size);
    sim_note(w, e->from, reject);
    if (reject != PROTO_REJECT_ok) {
        w->result->rejected++;
    } else {
        if (w->options.log != NULL) {
            char line[400];

            proto_print(&msg, line, sizeof line);
            fprintf(w->options.log, "%10" PRIu64 " us  %u -> %" PRIu64 "  %s\n", w->now_us, e->from,
                    p->id, line);
        }
        if (p->role == SIM_WORKER)
            proto_worker_receive(p->worker, sim_local(p), &msg);
        else
            proto_coord_receive(p->coord, sim_local(p), &msg);
    }
    free(e->data);
}

static void shell_task_end(sim_world *w, sim_process *p, sim_event *e)
{
    proto_task *task = e->data;
    bool ok = !sim_chance(&w->rng, w->config.task_fails);

    if (ok) {
        sim_job_end(&w->job, task, e->a);
        sim_check_task(w, p, task);
    }
    proto_worker_task_done(p->worker, sim_local(p), task, ok);
}

static void shell_sync_end(sim_world *w, sim_process *p, sim_event *e)
{
    bool ok = !p->revoked && !sim_chance(&w->rng, w->config.disk_fails);

    if (ok && e->a > w->log_synced)
        w->log_synced = (uint32_t)e->a;
    sim_log_turn(w, p);
    proto_coord_synced(p->coord, sim_local(p), e->a - p->log_base, ok);
}

static void shell_commit_end(sim_world *w, sim_process *p, sim_event *e)
{
    bool ok = !p->revoked && !sim_chance(&w->rng, w->config.disk_fails);

    if (!ok && !p->revoked && e->a % 2 == 0) { /* a full disk: it was not begun */
        free(e->data);
        proto_coord_declined(p->coord, sim_local(p), e->a);
        return;
    }
    if (!p->revoked && (ok || sim_chance(&w->rng, 500000))) /* a failed commit may have landed */
        sim_commit_land(w, e->data);
    free(e->data);
    if (!w->result->violated)
        proto_coord_committed(p->coord, sim_local(p), e->a, ok);
}

/* One that failed may have been made. */
static void shell_restore_end(sim_world *w, sim_process *p, sim_event *e)
{
    bool ok = !p->revoked && !sim_chance(&w->rng, w->config.disk_fails);
    proto_head head;

    if (!p->revoked && (ok || sim_chance(&w->rng, 500000)) && sim_snapshot_find(w, e->a, &head))
        w->head = head;
    proto_coord_restored(p->coord, sim_local(p), e->a, ok);
}

/* Where it stands now. */
static void shell_coord_look(sim_world *w, sim_process *p)
{
    proto_coord_stats s;

    if (p->revoked)
        return;
    proto_coord_stats_get(p->coord, &s);
    w->result->generations = s.generation;
    w->result->steps = s.low;
    w->done = s.end != PROTO_END_NOT;
    sim_check_bounds(w, &s);
    sim_rescale_check(w, p, &s);
}

void sim_shell_event(sim_world *w, sim_process *p, sim_event *e)
{
    bool ok = !sim_chance(&w->rng, w->config.disk_fails);

    switch (e->kind) {
    case SIM_FRAME:
        shell_frame(w, p, e);
        break;
    case SIM_TASK:
        shell_task_end(w, p, e);
        break;
    case SIM_LOADED:
        proto_worker_loaded(p->worker, sim_local(p), e->a, e->from,
                            ok ? sim_store_load(w, e->b, e->from) : NULL);
        break;
    case SIM_PART:
        if (ok)
            sim_part_end(w, p, e->a);
        proto_worker_part_done(p->worker, sim_local(p), e->a, ok);
        break;
    case SIM_SINK_OPEN:
        proto_worker_sink_opened(p->worker, sim_local(p), e->a, (uint32_t)e->b,
                                 sim_file_open(w, p, e->a));
        break;
    case SIM_SINK_SYNC:
        if (ok && e->b > w->file_synced)
            w->file_synced = e->b;
        proto_worker_sinks_synced(p->worker, sim_local(p), e->a, ok);
        break;
    case SIM_SYNC:
        shell_sync_end(w, p, e);
        break;
    case SIM_COMMIT:
        shell_commit_end(w, p, e);
        break;
    case SIM_RESCALE:
        if (p->role == SIM_COORD)
            sim_rescale_wish(w, p, (sim_wish)e->a);
        break;
    case SIM_RESTORE:
        shell_restore_end(w, p, e);
        break;
    case SIM_COLLECT:
    case SIM_SERVE:
    case SIM_FETCH:
        sim_stream_event(w, p, e);
        break;
    case SIM_LINKED:
        if (p->role == SIM_WORKER)
            proto_worker_linked(p->worker, sim_local(p), e->a);
        break;
    default:
        break;
    }
    if (p->alive && p->role == SIM_WORKER && (w->options.crowd == 0 || w->result->events % 64 == 0))
        sim_check_worker(w, p); /* it looks at all channels */
    if (p->alive && p->role == SIM_COORD && e->kind != SIM_FRAME) /* what follows from a frame follows with a tick */
        shell_coord_look(w, p);
}

void sim_shell_tick(sim_world *w, sim_process *p)
{
    if (p->role == SIM_WORKER) {
        proto_worker_tick(p->worker, sim_local(p));
        return;
    }
    proto_coord_tick(p->coord, sim_local(p));
    shell_coord_look(w, p);
}
