/* Loading a generation and writing a part, each on a thread of its own. */
#include "coordinator/coord_flow_private.h"

#include "dataflow/df_failpoint.h"

#include <stdio.h>
#include <string.h>

#define LOAD_FAILURES_MAX 20 /* heartbeats for which a file may be another's */

static void job_start(coord_flow *f, flow_job *job, void *(*main)(void *))
{
    atomic_store(&job->ended, false);
    atomic_store(&job->stop, false);
    job->running = pthread_create(&job->thread, NULL, main, f) == 0;
    if (!job->running)
        job->status = df_fail(&job->error, DF_EIO, "cannot start a thread");
}

static void job_end(coord_flow *f, flow_job *job)
{
    atomic_store(&job->ended, true);
    f->options.wake(f->options.user);
}

static void job_stop(flow_job *job)
{
    if (!job->running)
        return;
    atomic_store(&job->stop, true);
    pthread_join(job->thread, NULL);
    job->running = false;
}

/* Whether it has ended by itself; then it is collected. */
static bool job_ended(flow_job *job)
{
    if (!job->running || !atomic_load(&job->ended))
        return false;
    pthread_join(job->thread, NULL);
    job->running = false;
    return true;
}

/* ---- loading ---- */

static df_status flow_on_step(void *user, const df_step_print *print, df_error *err)
{
    coord_flow *f = user;

    pthread_mutex_lock(&f->print_lock);
    f->have_print = print->step == f->options.plan->job.steps;
    f->print = print->total;
    pthread_mutex_unlock(&f->print_lock);
    return f->options.on_step == NULL ? DF_OK : f->options.on_step(f->options.user, print, err);
}

static df_status load_graph(coord_flow *f, df_error *err)
{
    df_graph_options options = { .threads = f->options.threads, .directory = f->options.directory,
                                 .console = f->options.console,
                                 .fingerprint_steps = f->options.fingerprint_steps,
                                 .fingerprint_streams = f->options.fingerprint_streams,
                                 .on_step = flow_on_step, .user = f, .part = &f->part };

    return df_graph_new(&f->graph, f->options.plan, &options, err);
}

static df_status load_snapshot(coord_flow *f, df_error *err)
{
    snap_store *store = NULL;
    df_status s = coord_part_open(&store, &f->base, f->options.store, f->snapshot, f->options.plan, err);

    if (s == DF_OK)
        s = coord_part_marks(f->marks, f->base, f->options.plan, err);
    f->part.marks = f->marks;
    if (s == DF_OK)
        s = load_graph(f, err);
    if (s == DF_OK)
        s = coord_part_restore(f->graph, &f->part, f->options.plan, store, f->base, &f->load.stop, err);
    snap_store_close(&store);
    return s;
}

static void *load_main(void *user)
{
    coord_flow *f = user;
    df_error *err = &f->load.error;
    df_status s = f->snapshot == 0 ? load_graph(f, err) : load_snapshot(f, err);

    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_install_load, err);
    if (s == DF_OK)
        s = df_graph_start(f->graph, err);
    if (s != DF_OK) {
        df_graph_free(&f->graph);
        snap_manifest_free(&f->base);
    }
    f->load.status = s;
    job_end(f, &f->load);
    return NULL;
}

void flow_load_begin(coord_flow *f)
{
    job_start(f, &f->load, load_main);
}

void flow_load_stop(coord_flow *f)
{
    job_stop(&f->load);
}

/* Damage is told at once; anything else when it does not pass. */
static void load_failed(coord_flow *f, proto_worker *w)
{
    const df_error *e = &f->load.error;
    proto_msg msg = { .failed = { .step = w->install_step, .fatal = f->load.status == DF_ECORRUPT,
                                  .text = { (const uint8_t *)e->text, (uint32_t)strlen(e->text) } } };

    fprintf(stderr, "weir: %s\n", e->text);
    if (f->load.status == DF_ECORRUPT || ++f->load_failures % LOAD_FAILURES_MAX == 0)
        worker_send(w, 0, &msg, PROTO_TYPE_failed);
}

void flow_load_poll(coord_flow *f, proto_worker *w, uint64_t now_us)
{
    if (!job_ended(&f->load))
        return;
    if (f->load.status != DF_OK) {
        load_failed(f, w);
        return;
    }
    df_failpoint_pass(DF_FAILPOINT_install_ready);
    proto_worker_ready(w, now_us);
}

/* ---- writing ---- */

static void *write_main(void *user)
{
    coord_flow *f = user;
    df_error *err = &f->write.error;
    df_status s = df_graph_capture_marks(f->graph, err);

    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_sinks_marked, err);
    if (s == DF_OK)
        s = df_graph_sync_sinks(f->graph, err);
    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_sinks_synced, err);
    f->sync_status = s;
    if (s == DF_OK)
        s = coord_part_write(&f->part_job, &f->result, err);
    f->write.status = s;
    job_end(f, &f->write);
    return NULL;
}

void coord_flow_part(coord_flow *f, uint64_t generation, uint64_t attempt)
{
    df_failpoint_pass(DF_FAILPOINT_barrier_captured);
    coord_part_result_fini(&f->result);
    f->attempt = attempt;
    f->part_job = (coord_part_job){
        .plan = f->options.plan,
        .part = &f->part,
        .captured = df_graph_captured(f->graph),
        .folder = f->options.store,
        .id = coord_part_id(attempt, generation, f->part.member),
        .codec = f->options.codec,
        .base = f->base,
        .stop = &f->write.stop,
    };
    job_start(f, &f->write, write_main);
}

void flow_write_stop(coord_flow *f)
{
    job_stop(&f->write);
}

void flow_write_poll(coord_flow *f, proto_worker *w, uint64_t now_us)
{
    if (!job_ended(&f->write))
        return;
    if (f->write.status != DF_OK)
        fprintf(stderr, "weir: snapshot: %s\n", f->write.error.text);
    proto_worker_sinks_synced(w, now_us, f->attempt, f->sync_status == DF_OK);
    proto_worker_part_done(w, now_us, f->attempt, f->write.status == DF_OK);
}

const uint8_t *coord_flow_said(const coord_flow *f, uint64_t attempt, size_t *size)
{
    *size = f->result.size;
    return f->attempt == attempt && !f->write.running ? f->result.bytes : NULL;
}

void coord_flow_decided(coord_flow *f, uint64_t attempt, bool committed)
{
    if (!committed || f->attempt != attempt || f->result.base == NULL)
        return;
    snap_manifest_free(&f->base);
    f->base = f->result.base;
    f->result.base = NULL;
}
