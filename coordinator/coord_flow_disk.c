/* Loading a generation and writing a part, each on a thread of its own. */
#include "coordinator/coord_flow_private.h"

#include "coordinator/coord_machine.h"
#include "coordinator/coord_scratch.h"
#include "coordinator/coord_state.h"
#include "dataflow/df_bytes.h"
#include "dataflow/df_failpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOAD_FAILURES_MAX 20 /* heartbeats for which a file may be another's */

static void job_start(coord_flow *f, flow_job *job, void *(*main)(void *))
{
    atomic_store(&job->ended, false);
    atomic_store(&job->stop, false);
    job->begin = coord_machine_seconds();
    job->running = pthread_create(&job->thread, NULL, main, f) == 0;
    if (!job->running)
        job->status = df_fail(&job->error, DF_EIO, "cannot start a thread");
}

static void job_end(coord_flow *f, flow_job *job)
{
    job->seconds = coord_machine_seconds() - job->begin;
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
                                 .console = f->options.console, .retries = f->options.retries,
                                 .retry_ns = f->options.retry_ns,
                                 .fingerprint_steps = f->options.fingerprint_steps,
                                 .fingerprint_streams = f->options.fingerprint_streams,
                                 .on_step = flow_on_step, .user = f, .part = &f->part };

    return df_graph_new(&f->graph, f->options.plan, &options, err);
}

/* Where the sinks stood when the job began is kept in STATE/marks, so that a generation that begins
 * again before the first snapshot goes on behind it, and no reader sees a file shrink.
 *
 *   for each sink with a mark: u32 vertex, u32 size, the bytes */
static df_status marks_write(const coord_flow *f, df_error *err)
{
    df_writer w;
    df_status s;

    df_writer_init_growing(&w, DF_OPERATORS_MAX * sizeof(weir_mark));
    for (uint32_t v = 0; v < f->options.plan->vertex_count; v++)
        if (f->marks[v].size > 0) {
            df_put_u32(&w, v);
            df_put_blob(&w, f->marks[v].bytes, f->marks[v].size);
        }
    s = df_writer_ok(&w) ? coord_state_write(f->options.state, "marks", w.data, w.size, err)
                         : df_fail(err, DF_ENOMEM, "marks: out of memory");
    df_writer_fini(&w);
    return s;
}

static df_status marks_parse(coord_flow *f, const char *text, size_t size, df_error *err)
{
    df_cursor r;

    df_cursor_init(&r, text, size);
    while (df_get_left(&r) > 0) {
        uint32_t v = df_get_u32(&r);
        size_t length;
        const uint8_t *bytes = df_get_blob(&r, WEIR_MARK_MAX, &length);

        if (bytes == NULL || v >= f->options.plan->vertex_count)
            return df_fail(err, DF_ECORRUPT, "%s/marks is damaged", f->options.state);
        f->marks[v].size = (uint32_t)length;
        memcpy(f->marks[v].bytes, bytes, length);
    }
    return DF_OK;
}

static df_status load_first(coord_flow *f, df_error *err)
{
    char *text = NULL;
    size_t size;
    df_status s = DF_END;

    if (f->part.member != f->part.sink_member || f->options.remote != NULL) /* no sink is elsewhere */
        return load_graph(f, err);
    if (f->generation > 1)
        s = coord_state_read(f->options.state, "marks", &text, &size, err);
    if (s == DF_OK) {
        s = marks_parse(f, text, size, err);
        f->part.marks = f->marks;
        if (s == DF_OK)
            s = load_graph(f, err);
    } else if (s == DF_END) {
        s = load_graph(f, err);
        if (s == DF_OK)
            s = df_graph_marks(f->graph, f->marks, err);
        if (s == DF_OK)
            s = df_graph_sync_sinks(f->graph, err);
        if (s == DF_OK)
            s = marks_write(f, err);
    }
    free(text);
    return s;
}

/* The manifest, and where the chunks are read: *store is to be closed, if it is not null. */
static df_status load_open(coord_flow *f, snap_store **store, coord_part_source *source, df_error *err)
{
    df_status s;

    *store = NULL;
    if (f->options.remote == NULL) {
        s = coord_part_open(store, &f->base, f->options.store, f->snapshot, f->options.plan, err);
        *source = coord_part_store_source(*store);
        return s;
    }
    *source = coord_remote_source(f->options.remote);
    s = coord_remote_manifest(f->options.remote, f->snapshot, &f->base, err);
    return s == DF_OK ? coord_part_is_of(f->base, f->options.plan, "from the coordinator", err) : s;
}

static df_status load_snapshot(coord_flow *f, df_error *err)
{
    snap_store *store = NULL;
    coord_part_source source;
    df_status s = load_open(f, &store, &source, err);

    if (s == DF_OK)
        s = coord_part_marks(f->marks, f->base, f->options.plan, err);
    f->part.marks = f->marks;
    if (s == DF_OK)
        s = load_graph(f, err);
    if (s == DF_OK)
        s = coord_part_restore(f->graph, &f->part, f->options.plan, &source, f->base, &f->load.stop, err);
    snap_store_close(&store);
    return s;
}

static void *load_main(void *user)
{
    coord_flow *f = user;
    df_error *err = &f->load.error;
    df_status s = f->snapshot == 0 ? load_first(f, err) : load_snapshot(f, err);

    if (s == DF_OK && f->options.on_begin != NULL && f->part.member == f->part.sink_member)
        s = f->options.on_begin(f->options.user,
                                f->part.first_tick == 0 ? 0 : f->part.first_tick - 1, err);
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
    if (f->options.remote != NULL)
        coord_remote_begin(f->options.remote);
    job_start(f, &f->load, load_main);
}

void flow_load_stop(coord_flow *f)
{
    if (f->options.remote != NULL)
        coord_remote_stop(f->options.remote);
    job_stop(&f->load);
}

/* Damage is told at once, and what a person can do about it; anything else when it does not pass. */
static void load_failed(coord_flow *f, proto_worker *w)
{
    df_error *e = &f->load.error;
    proto_msg msg = { .failed = { .step = w->install_step, .fatal = f->load.status == DF_ECORRUPT,
                                  .text = { (const uint8_t *)e->text, (uint32_t)strlen(e->text) } } };

    if (f->load.status == DF_ECORRUPT) {
        size_t used = strlen(e->text);

        snprintf(e->text + used, sizeof e->text - used, "; an older snapshot is used only when you say so, with --resume "
                 "--snapshot N");
        msg.failed.text.size = (uint32_t)strlen(e->text);
    }
    fprintf(stderr, "weir: %s\n", e->text);
    if (f->load.status == DF_ECORRUPT || ++f->load_failures % LOAD_FAILURES_MAX == 0)
        worker_send(w, 0, &msg, PROTO_TYPE_failed);
}

void flow_load_poll(coord_flow *f, proto_worker *w, uint64_t now_us)
{
    if (f->load.running && f->options.remote != NULL)
        coord_remote_poll(f->options.remote, w, now_us);
    if (!job_ended(&f->load))
        return;
    if (f->load.status == DF_OK) {
        coord_histogram_put(&f->past.loads, f->load.seconds);
        df_failpoint_pass(DF_FAILPOINT_install_ready);
        proto_worker_ready(w, now_us);
    } else {
        f->notes.count = 0; /* what was to be sent of it lay in the graph that was made in vain */
        f->past.loads_failed++;
        load_failed(f, w);
    }
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
    if (s == DF_OK && f->options.on_sync != NULL && f->part.member == f->part.sink_member)
        f->options.on_sync(f->options.user);
    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_sinks_synced, err);
    f->sync_status = s;
    if (s == DF_OK)
        s = coord_part_write(&f->part_job, &f->result, err);
    if (s == DF_OK && f->options.remote != NULL && f->result.file)
        s = coord_scratch_sum(f->part_job.folder, &f->part_job.id, &f->file_size, &f->file_hash, err);
    f->write.status = s;
    job_end(f, &f->write);
    return NULL;
}

void coord_flow_part(coord_flow *f, uint64_t generation, uint64_t attempt)
{
    df_failpoint_pass(DF_FAILPOINT_barrier_captured);
    coord_part_result_fini(&f->result);
    f->attempt = attempt;
    f->file_size = 0;
    f->part_job = (coord_part_job){
        .plan = f->options.plan,
        .part = &f->part,
        .captured = df_graph_captured(f->graph),
        .folder = f->options.store,
        .id = coord_part_id(attempt, generation, f->part.member),
        .codec = f->options.codec,
        .verify = f->options.verify,
        .base = f->base,
        .stop = &f->write.stop,
    };
    job_start(f, &f->write, write_main);
}

void flow_write_stop(coord_flow *f)
{
    job_stop(&f->write);
}

static void count_part(coord_flow *f)
{
    if (f->write.status != DF_OK) {
        f->past.parts_failed++;
        return;
    }
    f->past.part_bytes_raw += f->result.bytes_raw;
    f->past.part_bytes_stored += f->result.bytes_stored;
    f->past.part_bytes_kept += f->result.bytes_kept;
    coord_histogram_put(&f->past.parts, f->write.seconds);
}

/* A sink whose file could not be synced is broken for good; the next generation opens it anew. */
static void sinks_failed(coord_flow *f, proto_worker *w, uint64_t now_us)
{
    const char *text = f->write.error.text;
    proto_failed failure = { .step = w->capture.step,
                             .text = { (const uint8_t *)text, (uint32_t)strlen(text) } };

    proto_worker_task_failed(w, now_us, &failure);
}

void flow_write_poll(coord_flow *f, proto_worker *w, uint64_t now_us)
{
    if (!job_ended(&f->write))
        return;
    count_part(f);
    if (f->write.status != DF_OK && !atomic_load(&f->write.stop))
        fprintf(stderr, "weir: snapshot: %s\n", f->write.error.text);
    if (f->sync_status != DF_OK)
        sinks_failed(f, w, now_us);
    proto_worker_sinks_synced(w, now_us, f->attempt, f->sync_status == DF_OK);
    if (f->write.status == DF_OK)
        proto_worker_part_file(w, f->attempt, f->file_size, f->file_hash.high, f->file_hash.low);
    proto_worker_part_done(w, now_us, f->attempt, f->write.status == DF_OK);
}

/* A part that was decided, or given up, is nobody's here: the coordinator has it, or nobody wants it. */
void flow_part_drop(coord_flow *f)
{
    if (f->options.remote != NULL && f->attempt != 0)
        coord_scratch_drop(f->part_job.folder, &f->part_job.id);
}

proto_batch *coord_flow_read(coord_flow *f, uint64_t attempt, uint64_t offset, uint32_t size)
{
    proto_batch *batch;
    df_status s;

    if (f->attempt != attempt || f->write.running)
        return NULL;
    batch = proto_batch_new(size, 0);
    s = df_failpoint(DF_FAILPOINT_stream_part, &f->write.error);
    if (s == DF_OK && !coord_scratch_read(f->part_job.folder, &f->part_job.id, offset, batch->bytes, size))
        s = df_fail(&f->write.error, DF_EIO, "%.200s: its part cannot be read any more", f->part_job.folder);
    if (s != DF_OK) {
        f->write.status = s; /* said with the next `prepared` */
        proto_batch_drop(&batch);
    }
    return batch;
}

const uint8_t *coord_flow_said(const coord_flow *f, uint64_t attempt, size_t *size)
{
    *size = f->result.size;
    return f->attempt == attempt && !f->write.running ? f->result.bytes : NULL;
}

const char *coord_flow_failure(const coord_flow *f)
{
    return f->write.running || f->write.status == DF_OK ? "" : f->write.error.text;
}

void coord_flow_decided(coord_flow *f, uint64_t attempt, bool committed)
{
    if (!committed || f->attempt != attempt || f->result.base == NULL)
        return;
    snap_manifest_free(&f->base);
    f->base = f->result.base;
    f->result.base = NULL;
}
