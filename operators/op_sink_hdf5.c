/* hdf5: the rows of every step in an HDF5 file, for h5py, h5dump and everything else that reads it.
 * What is in it stands in op_hdf5.h.
 *
 * A job without snapshots writes one file. One that can go on after a restart writes segments: each
 * mark ends one, the next is named after its first step (op_segments.h). What a reader finds under
 * a segment's name is whole, durable and final, so after a restart the steps that stand in
 * published segments are compared and not written again. That must hold for any marks, also if
 * they come at other steps than before the restart; so a mark may stand within a segment that is
 * there:
 *
 *   version u8 | place u8, an hdf5_place | first u8 | start u64 | steps u64
 *
 * first and start tell the segment, steps how many of its own are done: for HDF5_WITHIN. */
#include "operators/op_hdf5.h"
#include "operators/op_segments.h"
#include "operators/op_sink.h"

#include "dataflow/df_bytes.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HDF5_MARK_VERSION 1

typedef enum hdf5_place {
    HDF5_BEFORE, /* nothing was written yet */
    HDF5_BEHIND, /* a whole segment */
    HDF5_WITHIN, /* a published segment, which holds steps behind the mark */
    HDF5_PLACES
} hdf5_place;

typedef struct hdf5_options {
    const char *file;
    weir_names columns;
    uint32_t compress;
    op_columns chosen;
} hdf5_options;

typedef struct hdf5_sink {
    const op_hdf5_calls *calls;
    op_hdf5_about about;
    op_segments *segments;
    op_hdf5_file *file;  /* being written, or null */
    op_hdf5_file *there; /* being compared, or null */
    op_segment segment;  /* that one of the two, else the newest */
    uint64_t compared;   /* steps of `there` */
    bool begun;          /* a step was written or found */
    bool resumed;
    bool kept;           /* a mark was taken, or gone on from */
    bool full;           /* there was no room for the step, and nothing of it was written */
    bool failed;         /* a step is incomplete */
} hdf5_sink;

static const weir_option hdf5_option_list[] = {
    { .name = "file", .help = "the file to write; with snapshots NAME.h5, NAME-STEP.h5, ...",
      .type = WEIR_FILE_OUT, .offset = offsetof(hdf5_options, file) },
    { .name = "columns",
      .help = "columns to write after step and time; \"id\" is the row's key (default: all but id)",
      .type = WEIR_COLUMNS, .value = "", .offset = offsetof(hdf5_options, columns) },
    { .name = "compress", .help = "deflate level; 0: not compressed", .type = WEIR_U32,
      .unit = "1", .value = "1", .range = "0..9", .offset = offsetof(hdf5_options, compress) },
    { 0 },
};

/* ---- segments ---- */

static df_status hdf5_begin(hdf5_sink *self, op_segment segment, df_error *err)
{
    df_status status = op_segments_begin(self->segments, segment, err);

    if (status != DF_OK)
        return status;
    self->segment = segment;
    status = self->calls->room(op_segments_unfinished(self->segments, segment),
                          op_segments_name(self->segments, segment), err);
    self->full = status == DF_ELIMIT;
    if (status == DF_OK)
        status = self->calls->create(&self->file, op_segments_unfinished(self->segments, segment),
                                op_segments_name(self->segments, segment), &self->about, err);
    if (status != DF_OK)
        op_segments_drop(self->segments);
    return status;
}

/* Close the file that is being written; it is then to be published, if it is wanted. */
static df_status hdf5_end(hdf5_sink *self, bool wanted, df_error *err)
{
    df_status status = self->calls->close(&self->file, err);

    if (status == DF_OK && wanted)
        op_segments_end(self->segments);
    else
        op_segments_drop(self->segments);
    return status;
}

static df_status hdf5_find(hdf5_sink *self, op_segment segment, uint64_t compared, df_error *err)
{
    const char *name = op_segments_name(self->segments, segment);
    df_status status = self->calls->open(&self->there, name, &self->about, err);

    if (status != DF_OK)
        return status;
    self->segment = segment;
    self->compared = compared;
    if (self->calls->steps(self->there) >= compared)
        return DF_OK;
    return df_fail(err, DF_ECORRUPT, "%s: %llu steps, expected at least %llu: the snapshot was made "
                   "when it held them", name, (unsigned long long)self->calls->steps(self->there),
                   (unsigned long long)compared);
}

static bool hdf5_is_within(const hdf5_sink *self)
{
    return self->there != NULL && self->compared < self->calls->steps(self->there);
}

/* Find or begin the segment that the step belongs to. */
static df_status hdf5_place_step(hdf5_sink *self, uint64_t step, df_error *err)
{
    op_segment segment = { .first = !self->begun, .start = self->begun ? step : 0 };
    df_status status = DF_OK;

    if (self->file != NULL || hdf5_is_within(self))
        return DF_OK;
    status = self->calls->close(&self->there, err);
    if (status != DF_OK)
        return status;
    if (self->resumed && op_segments_published(self->segments, segment))
        status = hdf5_find(self, segment, 0, err);
    if (status == DF_OK && !hdf5_is_within(self)) /* none, or one that was closed without a step */
        status = self->calls->close(&self->there, err);
    return status == DF_OK && self->there == NULL ? hdf5_begin(self, segment, err) : status;
}

static df_status hdf5_step(hdf5_sink *self, const weir_task *task, df_error *err)
{
    df_status status = op_segments_check(self->segments, err);

    self->full = false;
    if (status == DF_OK)
        status = hdf5_place_step(self, task->step, err);
    if (status != DF_OK)
        return status;
    if (self->file != NULL) {
        status = self->calls->append(self->file, task, err);
        self->full = status == DF_ELIMIT;
    } else {
        status = self->calls->compare(self->there, self->compared++, task, err);
    }
    self->begun |= status == DF_OK;
    return status;
}

/* ---- marks ---- */

static df_status hdf5_put_mark(hdf5_sink *self, weir_mark *mark, df_error *err)
{
    hdf5_place place = hdf5_is_within(self) ? HDF5_WITHIN : self->begun ? HDF5_BEHIND : HDF5_BEFORE;
    df_status status = op_segments_check(self->segments, err);
    df_writer writer;

    if (status == DF_OK && self->file != NULL && self->calls->steps(self->file) > 0)
        status = hdf5_end(self, true, err);
    if (status != DF_OK)
        return status;
    self->kept = true;
    df_writer_init(&writer, mark->bytes, sizeof(mark->bytes));
    df_put_u8(&writer, HDF5_MARK_VERSION);
    df_put_u8(&writer, (uint8_t)place);
    df_put_u8(&writer, self->segment.first);
    df_put_u64(&writer, self->segment.start);
    df_put_u64(&writer, place == HDF5_WITHIN ? self->compared : 0);
    assert(df_writer_ok(&writer));
    mark->size = (uint32_t)writer.size;
    return DF_OK;
}

/* Of a mark, into self; its place and steps. */
static df_status hdf5_get_mark(hdf5_sink *self, const weir_mark *mark, const char *path,
                               hdf5_place *place, uint64_t *steps, df_error *err)
{
    df_cursor cursor;
    uint8_t version, where, first;

    df_cursor_init(&cursor, mark->bytes, mark->size <= WEIR_MARK_MAX ? mark->size : 0);
    version = df_get_u8(&cursor);
    where = df_get_u8(&cursor);
    first = df_get_u8(&cursor);
    self->segment = (op_segment){ .first = first != 0, .start = df_get_u64(&cursor) };
    *steps = df_get_u64(&cursor);
    *place = (hdf5_place)where;
    if (!df_get_end(&cursor) || version != HDF5_MARK_VERSION || where >= HDF5_PLACES || first > 1)
        return df_fail(err, DF_ECORRUPT, "%s: the snapshot holds no mark of such a file", path);
    self->begun = *place != HDF5_BEFORE;
    self->resumed = self->kept = true;
    return DF_OK;
}

/* ---- the kind ---- */

static weir_status hdf5_plan(weir_plan *plan, void *options)
{
    hdf5_options *o = options;
    const weir_schema *schema = weir_plan_input(plan, 0);

    if (op_sink_columns(plan, &o->columns, &o->chosen) != WEIR_OK)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < o->chosen.count; i++)
        if (strcmp(op_sink_column_name(&o->chosen, i, schema), "index") == 0)
            return weir_plan_error(plan, "columns", "a column \"index\" cannot be written: the file "
                                                    "has an index of its own");
    return WEIR_OK;
}

/* It lies beside the library that this is in. (By its path: to look for it is no matter of where the program or a sanitizer that asks
 * for it looks.) Never unloaded: libhdf5 does not survive it. */
static df_status hdf5_load(hdf5_sink *self, df_error *err)
{
    char path[OP_SINK_PATH_MAX];
    Dl_info here;
    const char *end = dladdr(hdf5_option_list, &here) == 0 ? NULL : strrchr(here.dli_fname, '/');
    void *library;

    (void)snprintf(path, sizeof path, "%.*s" OP_HDF5_LIBRARY, end == NULL ? 0 : (int)(end + 1 - here.dli_fname),
                   end == NULL ? "" : here.dli_fname);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    self->calls = library == NULL ? NULL : dlsym(library, "op_hdf5_module");
    return self->calls != NULL ? DF_OK : df_fail(err, DF_EIO, "hdf5: %s", dlerror());
}

static df_status hdf5_start(hdf5_sink *self, const weir_sink *sink, const char *path, df_error *err)
{
    const op_segment first = { .first = true };
    hdf5_place place = HDF5_BEFORE;
    uint64_t steps = 0;
    df_status status = DF_OK;

    if (sink->resume != NULL)
        status = hdf5_get_mark(self, sink->resume, path, &place, &steps, err);
    if (status == DF_OK)
        status = op_segments_open(&self->segments, path, self->resumed, err);
    if (status == DF_OK && place == HDF5_WITHIN)
        status = hdf5_find(self, self->segment, steps, err);
    if (status == DF_OK && place == HDF5_BEFORE && !op_segments_published(self->segments, first))
        status = hdf5_begin(self, first, err); /* also a job that writes no step leaves a file */
    return status;
}

static df_status hdf5_finish(hdf5_sink *self, df_error *err)
{
    df_status status = self->calls->close(&self->there, err), closed;

    /* In a job that goes on, what an incomplete step follows will be made again, and longer. */
    if (self->file != NULL) {
        closed = hdf5_end(self, !self->failed || !self->kept, status == DF_OK ? err : NULL);
        status = status == DF_OK ? closed : status;
    }
    closed = op_segments_close(&self->segments, self->kept, status == DF_OK ? err : NULL);
    return status == DF_OK ? closed : status;
}

static weir_status hdf5_open(weir_sink *sink)
{
    const hdf5_options *o = sink->options;
    char path[OP_SINK_PATH_MAX];
    hdf5_sink *self;
    df_error err;

    if (op_sink_path(sink, o->file, path) != WEIR_OK)
        return WEIR_FAILED;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return weir_sink_fail(sink, "%s: out of memory", path);
    self->about = (op_hdf5_about){ .job = sink->job, .schema = sink->schema, .space = sink->space,
                                   .chosen = &o->chosen, .compress = o->compress };
    if (hdf5_load(self, &err) != DF_OK) {
        free(self);
        return weir_sink_fail(sink, "%s", err.text);
    }
    if (hdf5_start(self, sink, path, &err) == DF_OK) {
        sink->handle = self;
        return WEIR_OK;
    }
    self->failed = self->kept = true; /* nothing of it is wanted */
    weir_sink_fail(sink, "%s", err.text);
    if (hdf5_finish(self, NULL) != DF_OK)
        sink->handle = NULL; /* the first error is the one to tell */
    free(self);
    return WEIR_FAILED;
}

static weir_status hdf5_process(weir_task *task)
{
    hdf5_sink *self = task->handle;
    df_error err;

    if (!self->failed && hdf5_step(self, task, &err) == DF_OK)
        return WEIR_OK;
    if (self->failed)
        return weir_fail(task, WEIR_NO_ROW, "hdf5: an earlier step failed");
    if (self->full)
        return weir_again(task, "%s", err.text);
    self->failed = true;
    return weir_fail(task, WEIR_NO_ROW, "%s", err.text);
}

static weir_status hdf5_mark(weir_sink *sink, weir_mark *mark)
{
    hdf5_sink *self = sink->handle;
    df_error err;

    if (self->failed)
        return weir_sink_fail(sink, "hdf5: a step failed: there is no mark behind it");
    if (hdf5_put_mark(self, mark, &err) == DF_OK)
        return WEIR_OK;
    self->failed = true;
    return weir_sink_fail(sink, "%s", err.text);
}

static weir_status hdf5_sync(weir_sink *sink)
{
    hdf5_sink *self = sink->handle;
    df_error err;

    return op_segments_sync(self->segments, &err) == DF_OK ? WEIR_OK
                                                           : weir_sink_fail(sink, "%s", err.text);
}

static weir_status hdf5_close(weir_sink *sink)
{
    hdf5_sink *self = sink->handle;
    df_status status;
    df_error err;

    if (self == NULL)
        return WEIR_OK;
    status = hdf5_finish(self, &err);
    free(self);
    sink->handle = NULL;
    return status == DF_OK ? WEIR_OK : weir_sink_fail(sink, "%s", err.text);
}

const weir_operator op_hdf5 = {
    .api_version = WEIR_API_VERSION,
    .name = "hdf5",
    .help = "append the rows to an HDF5 file, each once, also after a restart",
    .role = WEIR_SINK,
    .inputs = { { "in", WEIR_GATHER, "any stream" } },
    .options_size = sizeof(hdf5_options),
    .options = hdf5_option_list,
    .plan = hdf5_plan,
    .process = hdf5_process,
    .open = hdf5_open,
    .close = hdf5_close,
    .mark = hdf5_mark,
    .sync = hdf5_sync,
};
