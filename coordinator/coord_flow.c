/* What a worker asks of its dataflow, answered by the engine.
 *
 * Steps of the protocol are ticks of the graph, its key groups below the plan's number are the graph's units;
 * behind them the sinks have one each. */
#include "coordinator/coord_flow_private.h"

#include "dataflow/df_failpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a generation ---- */

/* The first sink's key group is the first behind the units; a job without sinks has its fingerprints
 * gathered by the owner of the first unit. */
static uint32_t sink_member(const proto_worker *w, const df_plan *plan)
{
    uint32_t group = w->plan->group_count > plan->key_groups ? plan->key_groups : 0;

    return proto_owner_at(&w->owners, group, w->install_step);
}

static void engine_open(proto_worker *w)
{
    coord_flow *f = flow_of(w);
    const df_plan *plan = f->options.plan;

    df_failpoint_pass(DF_FAILPOINT_install_begin);
    f->owners = proto_zero(plan->key_groups, sizeof *f->owners);
    f->marks = proto_zero(plan->vertex_count, sizeof *f->marks);
    f->bytes = proto_zero((size_t)w->member_count * FLOW_RING, sizeof *f->bytes);
    f->arrivals = proto_zero(w->member_count, sizeof *f->arrivals);
    f->places = w->member_count;
    for (uint32_t g = 0; g < plan->key_groups; g++)
        f->owners[g] = proto_owner_at(&w->owners, g, w->install_step);
    f->part = (df_part){ .member = w->self, .member_count = w->member_count, .owners = f->owners,
                         .sink_member = sink_member(w, plan), .first_tick = w->install_step,
                         .user = f, .send = flow_note_parcel, .sent = flow_note_sent,
                         .wake = flow_note_wake };
    f->generation = w->generation;
    f->snapshot = w->install_snapshot;
    f->final_tick = UINT64_MAX;
    f->seen = (df_progress){ .worked = w->install_step, .done = w->install_step };
    f->failure_told = f->failure_ended = false;
    f->load_failures = 0;
    flow_counts_begin(f, w);
    flow_units_begin(f);
    flow_load_begin(f);
}

/* Tried again with the heartbeat if it failed: a sink's file may still be another's. */
static void engine_open_again(proto_worker *w)
{
    coord_flow *f = flow_of(w);

    if (!f->load.running && f->graph == NULL)
        flow_load_begin(f);
}

static void engine_close(proto_worker *w)
{
    coord_flow *f = flow_of(w);

    flow_load_stop(f);
    flow_write_stop(f);
    if (f->graph != NULL)
        df_graph_halt(f->graph);
    flow_counts_end(f, w);
    channel_fini(w);          /* whose frames hold bytes of the graph */
    for (uint32_t m = 0; m < f->places; m++)
        flow_take_drop(f, m);
    df_graph_free(&f->graph); /* with the bytes of parcels that were not sent */
    if (f->options.on_end != NULL)
        f->options.on_end(f->options.user);
    f->notes.count = f->taken.count = f->empty.count = 0;
    coord_pieces_free(&f->pieces);
    snap_manifest_free(&f->base);
    free(f->owners);
    free(f->marks);
    free(f->bytes);
    free(f->arrivals);
    f->arrivals = NULL;
    f->owners = NULL;
    f->marks = NULL;
    f->bytes = NULL;
}

/* ---- time ---- */

static void engine_raised(proto_worker *w, uint64_t before)
{
    coord_flow *f = flow_of(w);

    (void)before;
    df_graph_grant(f->graph, w->bound < f->final_tick ? w->bound : f->final_tick);
    df_failpoint_pass(DF_FAILPOINT_worker_grant);
}

static void engine_completed(proto_worker *w)
{
    df_graph_complete(flow_of(w)->graph, w->complete);
}

static uint64_t engine_low(const proto_worker *w)
{
    return flow_of(w)->seen.done;
}

static uint64_t engine_worked(const proto_worker *w)
{
    return flow_of(w)->seen.worked;
}

/* Every input of the lowest unfinished tick may come: memory is bounded by the credit and one tick's
 * inputs (rule 8). */
static uint32_t engine_low_stage(const proto_worker *w)
{
    (void)w;
    return UINT32_MAX;
}

/* ---- members and owners ---- */

/* A place that was another's has nothing under way any more. */
static void engine_members(proto_worker *w, uint32_t place)
{
    coord_flow *f = flow_of(w);

    if (place >= f->places) {
        f->bytes = realloc(f->bytes, (size_t)w->member_count * FLOW_RING * sizeof *f->bytes);
        f->arrivals = realloc(f->arrivals, w->member_count * sizeof *f->arrivals);
        if (f->bytes == NULL || f->arrivals == NULL)
            abort(); /* a worker cannot go on without it */
        memset(f->arrivals + f->places, 0, (w->member_count - f->places) * sizeof *f->arrivals);
        f->places = w->member_count;
    }
    flow_take_drop(f, place);
    memset(f->bytes + (size_t)place * FLOW_RING, 0, FLOW_RING * sizeof *f->bytes);
    df_graph_members(f->graph, w->member_count);
    df_failpoint_pass(DF_FAILPOINT_worker_members);
}

static void engine_owners(proto_worker *w, uint64_t step, const uint32_t *pairs, uint32_t count)
{
    coord_flow *f = flow_of(w);
    df_error err;

    if (df_graph_owners(f->graph, step, (const uint32_t (*)[2])(const void *)pairs, count, &err) !=
        DF_OK) {
        fprintf(stderr, "weir: %s\n", err.text);
        abort(); /* a coordinator's order that cannot be obeyed: all would go apart */
    }
    df_failpoint_pass(DF_FAILPOINT_worker_owners);
}

/* ---- arrivals ---- */

static bool engine_fits(const proto_worker *w, const proto_data *d)
{
    const coord_flow *f = flow_of(w);

    return d->total > 0 && d->payload.size > 0 && !d->last && f->graph != NULL &&
           df_graph_awaits(f->graph, d->edge, d->step, d->src);
}

static bool engine_fits_mark(const proto_worker *w, const proto_mark *m)
{
    const coord_flow *f = flow_of(w);

    if (m->edge >= f->options.plan->edge_count || f->graph == NULL)
        return false;
    for (uint32_t i = 0; i < m->groups.size; i += 4)
        if (!df_graph_awaits(f->graph, m->edge, m->step, proto_get_u32(m->groups.data + i)))
            return false;
    return true;
}

/* A key group that has sent nothing on an edge. */
static void engine_arrive(proto_worker *w, uint32_t edge, uint64_t step, uint32_t src)
{
    df_error err;

    if (df_graph_deliver(flow_of(w)->graph, edge, step, src, NULL, 0, &err) != DF_OK)
        worker_reject(w, PROTO_REJECT_range);
}

static bool engine_rows(proto_worker *w, uint32_t member, const proto_data *d)
{
    coord_flow *f = flow_of(w);
    bool ok = flow_take(f, member, d);

    if (ok)
        f->bytes[(size_t)member * FLOW_RING + d->step % FLOW_RING] += d->payload.size;
    return ok;
}

static bool engine_state(proto_worker *w, uint32_t member, const proto_state *s)
{
    coord_flow *f = flow_of(w);
    proto_data d = { .edge = DF_PARCEL_MOVE, .step = s->step, .src = s->group, .rows = s->rows,
                     .offset = s->offset, .total = s->total, .payload = s->payload };
    bool ok = s->payload.size > 0 && df_graph_awaits(f->graph, d.edge, d.step, d.src) &&
              flow_take(f, member, &d);

    df_failpoint_pass(DF_FAILPOINT_worker_state);
    return ok;
}

static uint64_t engine_above_mark(const proto_worker *w, uint32_t member)
{
    const coord_flow *f = flow_of(w);
    uint64_t sum = 0;

    for (uint64_t tick = f->seen.done + 1; tick <= f->seen.done + w->window + 1; tick++)
        sum += f->bytes[(size_t)member * FLOW_RING + tick % FLOW_RING];
    return sum;
}

/* ---- snapshots ---- */

static void engine_capture(proto_worker *w)
{
    coord_flow *f = flow_of(w);

    if (w->capture.final)
        f->final_tick = w->capture.step;
    df_graph_capture(f->graph, w->capture.step);
    df_failpoint_pass(DF_FAILPOINT_barrier);
}

static bool engine_captured(const proto_worker *w)
{
    const coord_flow *f = flow_of(w);

    return f->graph != NULL && df_graph_captured(f->graph) != NULL;
}

static void engine_capture_drop(proto_worker *w)
{
    coord_flow *f = flow_of(w);

    flow_write_stop(f);
    flow_part_drop(f);
    coord_part_result_fini(&f->result);
    f->attempt = 0;
    if (f->graph != NULL)
        df_graph_capture_drop(f->graph);
}

static bool engine_writing(proto_worker *w)
{
    coord_flow *f = flow_of(w);

    if (f->write.running)
        atomic_store(&f->write.stop, true);
    return f->write.running;
}

const proto_flow_calls coord_flow_calls = {
    .open = engine_open,
    .open_again = engine_open_again,
    .close = engine_close,
    .raised = engine_raised,
    .members = engine_members,
    .owners = engine_owners,
    .completed = engine_completed,
    .low = engine_low,
    .worked = engine_worked,
    .low_stage = engine_low_stage,
    .fits = engine_fits,
    .fits_mark = engine_fits_mark,
    .rows = engine_rows,
    .arrive = engine_arrive,
    .state = engine_state,
    .capture = engine_capture,
    .captured = engine_captured,
    .capture_drop = engine_capture_drop,
    .writing = engine_writing,
    .above_mark = engine_above_mark,
};

/* ---- polling ---- */

static void give_credit(coord_flow *f, proto_worker *w, uint64_t from, uint64_t to)
{
    for (uint64_t tick = from; tick < to; tick++)
        for (uint32_t m = 0; m < w->member_count; m++) {
            uint64_t *bytes = &f->bytes[(size_t)m * FLOW_RING + tick % FLOW_RING];

            if (*bytes > 0)
                channel_consumed(w, m, *bytes);
            *bytes = 0;
        }
}

/* At once, and again when the tick has ended: the smallest of all workers' errors counts (rule 21). */
static void tell_failure(coord_flow *f, proto_worker *w, uint64_t now_us)
{
    const df_progress *p = &f->seen;
    proto_failed failure = { .step = p->fail_tick, .stage = p->failed ? p->fail_vertex : PROTO_NONE,
                             .group = p->fail_key_group, .row = p->fail_row, .fatal = p->fatal,
                             .ended = p->ended,
                             .text = { (const uint8_t *)p->error.text,
                                       (uint32_t)strlen(p->error.text) } };

    f->failure_told = p->failed;
    f->failure_ended = p->ended;
    proto_worker_task_failed(w, now_us, &failure);
}

/* Granting more may itself complete ticks, so until nothing changes. */
static void look(coord_flow *f, proto_worker *w, uint64_t now_us)
{
    bool moved = true;

    while (moved && f->graph != NULL && w->phase == WORKER_RUNNING) {
        df_progress now;

        df_graph_progress(f->graph, &now);
        moved = now.done != f->seen.done || now.worked != f->seen.worked ||
                (now.captured && !f->seen.captured);
        give_credit(f, w, f->seen.done, now.done);
        for (; f->seen.refused < now.refused; f->seen.refused++)
            worker_reject(w, PROTO_REJECT_range);
        if (moved || f->seen.done >= w->bound)
            f->moved_us = now_us;
        f->seen = now;
        if ((now.failed && !f->failure_told) || (now.ended && !f->failure_ended))
            tell_failure(f, w, now_us);
        if (moved)
            proto_worker_moved(w, now_us);
    }
}

void coord_flow_poll(coord_flow *f, proto_worker *w, uint64_t now_us)
{
    flow_load_poll(f, w, now_us);
    flow_write_poll(f, w, now_us);
    if (w->phase != WORKER_RUNNING || f->graph == NULL) /* while it is loaded, it is the thread's */
        return;
    w->now_us = now_us;
    df_graph_help(f->graph);
    look(f, w, now_us);
    df_graph_help(f->graph);
    if (flow_send_notes(f, w))
        worker_flush(w);
}

bool coord_flow_busy(coord_flow *f, const proto_worker *w)
{
    return w->phase == WORKER_RUNNING && f->graph != NULL && df_graph_busy(f->graph);
}

bool coord_flow_behind(coord_flow *f, const proto_worker *w, uint64_t now_us, uint64_t *step, uint32_t *member,
                       char text[PROTO_TEXT_SIZE_MAX])
{
    const df_plan *p = f->options.plan;
    df_waits waits;

    if (f->graph == NULL || w->phase != WORKER_RUNNING || f->seen.done >= w->bound ||
        f->seen.done >= f->final_tick || now_us - f->moved_us < FLOW_BEHIND_US)
        return false;
    df_graph_waits(f->graph, &waits);
    *step = waits.tick == 0 ? 0 : waits.tick - 1;
    *member = waits.remote ? waits.member : UINT32_MAX;
    if (waits.remote)
        snprintf(text, PROTO_TEXT_SIZE_MAX, "step %llu: \"%s\" waits for key group %u of \"%s\"",
                 (unsigned long long)*step, p->vertices[p->edges[waits.edge].vertex].name, waits.key_group,
                 p->streams[p->edges[waits.edge].stream].name);
    else
        snprintf(text, PROTO_TEXT_SIZE_MAX, "step %llu: tasks of its own are not done", (unsigned long long)*step);
    return true;
}

bool coord_flow_fingerprint(coord_flow *f, char text[33])
{
    bool have;

    pthread_mutex_lock(&f->print_lock);
    have = f->have_print;
    snprintf(text, 33, "%016" PRIx64 "%016" PRIx64, f->print.high, f->print.low);
    pthread_mutex_unlock(&f->print_lock);
    return have;
}

/* ---- life ---- */

coord_flow *coord_flow_new(const coord_flow_options *options)
{
    coord_flow *f = calloc(1, sizeof *f);

    if (f == NULL)
        return NULL;
    f->options = *options;
    if (!flow_counts_init(f) || !flow_units_init(f)) {
        coord_counts_fini(&f->past);
        flow_units_fini(f);
        free(f);
        return NULL;
    }
    pthread_mutex_init(&f->lock, NULL);
    pthread_mutex_init(&f->print_lock, NULL);
    return f;
}

void coord_flow_free(coord_flow **out)
{
    coord_flow *f = *out;

    *out = NULL;
    if (f == NULL)
        return;
    flow_notes_fini(&f->notes);
    flow_notes_fini(&f->taken);
    flow_notes_fini(&f->empty);
    coord_counts_fini(&f->past);
    flow_units_fini(f);
    pthread_mutex_destroy(&f->lock);
    pthread_mutex_destroy(&f->print_lock);
    free(f);
}

