/* hdf5: the rows of every step in one HDF5 file, for h5py, h5dump and everything else that reads it.
 *
 *   /step /time        of every row                         one dataset per column, one dimension,
 *   /id /COLUMN ...    as `columns` chooses                 all of the same length: rows are appended
 *   /index             (step, time, first_row, row_count) of every step that was written
 *
 * So f["x"][first_row : first_row + row_count] is one step. The root's attributes tell the job. A
 * dataset grows in chunks of HDF5_CHUNK rows, shuffled and deflated unless compress = 0.
 *
 * The file stays readable when the disk is full: space for a step is reserved before HDF5 writes a
 * byte of it, so a step fails before it has begun, and the file is flushed after each.
 *
 * libhdf5 may be built without locks, and two sinks may run at the same time on two threads: every
 * entry takes hdf5_lock. It is the only lock in a kind; the state behind it is the library's. */
#include "operators/op_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define HDF5_CHUNK 16384u   /* rows */
#define HDF5_DATASETS_MAX (OP_SINK_COLUMNS_MAX + 2)
#define HDF5_REASON_MAX 200
#define HDF5_SOURCE_STEP (-1) /* beside indices into op_columns */
#define HDF5_SOURCE_TIME (-2)

typedef struct hdf5_options {
    const char *file;
    weir_names columns;
    uint32_t compress;
    op_columns chosen;
} hdf5_options;

typedef struct hdf5_index {
    uint64_t step;
    double time;
    uint64_t first_row, row_count;
} hdf5_index;

typedef struct hdf5_dataset {
    hid_t id;
    weir_type type;
    int source; /* HDF5_SOURCE_..., or which of the chosen columns */
} hdf5_dataset;

typedef struct hdf5_file {
    hid_t id;
    hid_t index, index_type;
    uint32_t dataset_count;
    hdf5_dataset datasets[HDF5_DATASETS_MAX];
    uint64_t rows, steps; /* in complete steps */
    char reason[HDF5_REASON_MAX];
    char path[OP_SINK_PATH_MAX];
    _Alignas(8) char stage[HDF5_CHUNK * 8]; /* one chunk, gathered from the batches */
} hdf5_file;

static pthread_mutex_t hdf5_lock = PTHREAD_MUTEX_INITIALIZER;

static const weir_option hdf5_option_list[] = {
    { .name = "file", .help = "the file to write", .type = WEIR_FILE_OUT,
      .offset = offsetof(hdf5_options, file) },
    { .name = "columns",
      .help = "columns to write after step and time; \"id\" is the row's key (default: all but id)",
      .type = WEIR_COLUMNS, .value = "", .offset = offsetof(hdf5_options, columns) },
    { .name = "compress", .help = "deflate level; 0: not compressed", .type = WEIR_U32,
      .unit = "1", .value = "1", .range = "0..9", .offset = offsetof(hdf5_options, compress) },
    { 0 },
};

/* ---- the fence: what HDF5 says, as one sentence ---- */

/* The innermost error; a system call's own message where there is one. */
static herr_t hdf5_first_error(unsigned n, const H5E_error2_t *error, void *reason)
{
    static const char mark[] = "error message = '";
    const char *text = error->desc, *message = text == NULL ? NULL : strstr(text, mark);

    if (n != 0 || text == NULL)
        return 0;
    if (message != NULL)
        text = message + strlen(mark);
    (void)snprintf(reason, HDF5_REASON_MAX, "%.*s",
                   message != NULL ? (int)strcspn(text, "'") : HDF5_REASON_MAX - 1, text);
    return 0;
}

/* Note why the HDF5 call that just failed did, unless an earlier reason stands. */
static weir_status hdf5_failed(hdf5_file *file)
{
    if (file->reason[0] != '\0')
        return WEIR_FAILED;
    if (H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, hdf5_first_error, file->reason) < 0 ||
        file->reason[0] == '\0')
        (void)snprintf(file->reason, HDF5_REASON_MAX, "HDF5 failed without a reason");
    return WEIR_FAILED;
}

/* Errors are ours to report: HDF5 would print them. Per thread where the library knows threads. And
 * everything is closed here: the library's own tidying at exit crashes (1.10.8) when a file could not
 * be closed because its disk had failed. */
static void hdf5_enter(void)
{
    static bool entered;

    pthread_mutex_lock(&hdf5_lock);
    if (!entered)
        (void)H5dont_atexit();
    entered = true;
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static void hdf5_leave(void)
{
    pthread_mutex_unlock(&hdf5_lock);
}

static hid_t hdf5_type(weir_type type)
{
    switch (type) {
    case WEIR_F32:
        return H5T_IEEE_F32LE;
    case WEIR_F64:
        return H5T_IEEE_F64LE;
    case WEIR_I32:
        return H5T_STD_I32LE;
    case WEIR_I64:
        return H5T_STD_I64LE;
    case WEIR_U32:
        return H5T_STD_U32LE;
    case WEIR_U64:
        return H5T_STD_U64LE;
    case WEIR_U8:
        return H5T_STD_U8LE;
    }
    return H5I_INVALID_HID;
}

/* ---- making the file ---- */

static weir_status hdf5_attribute(hdf5_file *file, hid_t object, const char *name, hid_t type,
                                  uint32_t count, const void *value)
{
    hsize_t size = count;
    hid_t space = count == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &size, NULL);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    weir_status status = WEIR_OK;

    if (attribute < 0 || H5Awrite(attribute, type, value) < 0)
        status = hdf5_failed(file);
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return status;
}

static weir_status hdf5_text_attribute(hdf5_file *file, hid_t object, const char *name,
                                       uint32_t count, const char *const *text)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    weir_status status = WEIR_OK;

    if (H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        status = hdf5_failed(file);
    if (status == WEIR_OK)
        status = hdf5_attribute(file, object, name, type, count, text);
    H5Tclose(type);
    return status;
}

/* What a reader must know of the job to make sense of the numbers. */
static weir_status hdf5_describe(hdf5_file *file, const weir_sink *sink)
{
    const weir_job *job = sink->job;
    const weir_space *space = sink->space;
    const char *name = job->name, *unit = job->time_unit, *axes[WEIR_AXES_MAX];
    uint8_t periodic[WEIR_AXES_MAX];
    bool ok = hdf5_text_attribute(file, file->id, "job", 1, &name) == WEIR_OK &&
              hdf5_attribute(file, file->id, "seed", H5T_STD_U64LE, 1, &job->seed) == WEIR_OK &&
              hdf5_attribute(file, file->id, "dt", H5T_IEEE_F64LE, 1, &job->dt) == WEIR_OK &&
              hdf5_attribute(file, file->id, "time_start", H5T_IEEE_F64LE, 1, &job->time_start) ==
                  WEIR_OK &&
              hdf5_text_attribute(file, file->id, "time_unit", 1, &unit) == WEIR_OK;

    if (!ok || space == NULL)
        return ok ? WEIR_OK : WEIR_FAILED;
    for (uint32_t a = 0; a < space->axis_count; a++) {
        axes[a] = space->axes[a];
        periodic[a] = space->periodic[a];
    }
    ok = hdf5_text_attribute(file, file->id, "space_axes", space->axis_count, axes) == WEIR_OK &&
         hdf5_attribute(file, file->id, "space_size", H5T_IEEE_F64LE, space->axis_count,
                        space->size) == WEIR_OK &&
         hdf5_attribute(file, file->id, "space_periodic", H5T_STD_U8LE, space->axis_count,
                        periodic) == WEIR_OK;
    return ok ? WEIR_OK : WEIR_FAILED;
}

/* An empty dataset that can grow. */
static hid_t hdf5_make_dataset(hdf5_file *file, const char *name, hid_t type, hsize_t chunk,
                               uint32_t compress)
{
    hsize_t none = 0, unlimited = H5S_UNLIMITED;
    hid_t space = H5Screate_simple(1, &none, &unlimited);
    hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    hid_t id = H5I_INVALID_HID;

    if (space < 0 || how < 0 || H5Pset_chunk(how, 1, &chunk) < 0 ||
        (compress > 0 && (H5Pset_shuffle(how) < 0 || H5Pset_deflate(how, compress) < 0)))
        hdf5_failed(file);
    else
        id = H5Dcreate2(file->id, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    if (id < 0)
        hdf5_failed(file);
    H5Pclose(how);
    H5Sclose(space);
    return id;
}

static weir_status hdf5_make_index(hdf5_file *file)
{
    file->index_type = H5Tcreate(H5T_COMPOUND, sizeof(hdf5_index));
    if (file->index_type < 0 ||
        H5Tinsert(file->index_type, "step", offsetof(hdf5_index, step), H5T_STD_U64LE) < 0 ||
        H5Tinsert(file->index_type, "time", offsetof(hdf5_index, time), H5T_IEEE_F64LE) < 0 ||
        H5Tinsert(file->index_type, "first_row", offsetof(hdf5_index, first_row), H5T_STD_U64LE) <
            0 ||
        H5Tinsert(file->index_type, "row_count", offsetof(hdf5_index, row_count), H5T_STD_U64LE) <
            0)
        return hdf5_failed(file);
    file->index = hdf5_make_dataset(file, "index", file->index_type, 1024, 0);
    return file->index < 0 ? WEIR_FAILED : WEIR_OK;
}

static weir_status hdf5_add(hdf5_file *file, const char *name, weir_type type, int source,
                            uint32_t compress)
{
    hid_t id = hdf5_make_dataset(file, name, hdf5_type(type), HDF5_CHUNK, compress);

    if (id < 0)
        return WEIR_FAILED;
    file->datasets[file->dataset_count++] = (hdf5_dataset){ id, type, source };
    return WEIR_OK;
}

/* Everything that stands in the file before the first step. */
static weir_status hdf5_make(hdf5_file *file, const weir_sink *sink)
{
    const hdf5_options *o = sink->options;
    const char *unit = sink->job->time_unit;

    file->id = H5Fcreate(file->path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (file->id < 0)
        return hdf5_failed(file);
    if (hdf5_describe(file, sink) != WEIR_OK || hdf5_make_index(file) != WEIR_OK ||
        hdf5_add(file, "step", WEIR_U64, HDF5_SOURCE_STEP, o->compress) != WEIR_OK ||
        hdf5_add(file, "time", WEIR_F64, HDF5_SOURCE_TIME, o->compress) != WEIR_OK ||
        hdf5_text_attribute(file, file->datasets[1].id, "unit", 1, &unit) != WEIR_OK)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < o->chosen.count; i++)
        if (hdf5_add(file, op_sink_column_name(&o->chosen, i, sink->schema),
                     op_sink_column_type(&o->chosen, i, sink->schema), (int)i,
                     o->compress) != WEIR_OK)
            return WEIR_FAILED;
    return H5Fflush(file->id, H5F_SCOPE_LOCAL) < 0 ? hdf5_failed(file) : WEIR_OK;
}

/* ---- rows ---- */

/* Reserve `size` bytes behind the end of an open file. Returns 0 or an errno. A file system that
 * cannot promise space is believed; reserving does not ask about the limit on the size of files. */
static int hdf5_reserve_bytes(int descriptor, uint64_t size)
{
    struct rlimit limit;
    struct stat about;

    if (fstat(descriptor, &about) != 0)
        return errno;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        (uint64_t)about.st_size + size > limit.rlim_cur)
        return EFBIG;
    if (fallocate(descriptor, FALLOC_FL_KEEP_SIZE, about.st_size, (off_t)size) == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == ENOSYS || errno == ENODEV ? 0 : errno;
}

/* Make sure that the disk has room for a step, so that HDF5 does not find out halfway: a chunk more
 * than the rows of each dataset (the last one is written again), and some for its own tables. */
static weir_status hdf5_reserve(hdf5_file *file, uint64_t rows)
{
    void *handle = NULL;
    uint64_t size = 0;
    int error;

    for (uint32_t i = 0; i < file->dataset_count; i++)
        size += (rows / HDF5_CHUNK + 2) * HDF5_CHUNK * weir_type_size(file->datasets[i].type);
    size += size / 16 + 65536;
    if (H5Fget_vfd_handle(file->id, H5P_DEFAULT, &handle) < 0)
        return hdf5_failed(file);
    error = hdf5_reserve_bytes(*(int *)handle, size);
    if (error != 0)
        (void)snprintf(file->reason, HDF5_REASON_MAX, "%s", strerror(error));
    return error == 0 ? WEIR_OK : WEIR_FAILED;
}

/* Write `count` values behind the first `at` of a dataset. */
static weir_status hdf5_append(hdf5_file *file, hid_t dataset, hid_t type, uint64_t at,
                               uint64_t count, const void *values)
{
    hsize_t start = at, size = count, end = at + count;
    hid_t memory = H5Screate_simple(1, &size, NULL), space = H5I_INVALID_HID;
    weir_status status = WEIR_OK;

    if (H5Dset_extent(dataset, &end) < 0 || (space = H5Dget_space(dataset)) < 0 ||
        H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &size, NULL) < 0 ||
        H5Dwrite(dataset, type, memory, space, H5P_DEFAULT, values) < 0)
        status = hdf5_failed(file);
    if (space >= 0)
        H5Sclose(space);
    H5Sclose(memory);
    return status;
}

/* Values of rows [row, row + count) of a batch to `out`. */
static void hdf5_gather(char *out, const hdf5_dataset *dataset, const weir_task *task,
                        const weir_batch *batch, uint32_t row, uint32_t count)
{
    const hdf5_options *o = task->options;
    size_t size = weir_type_size(dataset->type);

    if (dataset->source >= 0) {
        const char *data = op_sink_column_data(&o->chosen, (uint32_t)dataset->source, batch);
        memcpy(out, data + size * row, size * count);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        memcpy(out + size * i,
               dataset->source == HDF5_SOURCE_STEP ? (const void *)&task->step : &task->time, size);
}

/* One column of a step. Writes end where chunks end, so a full chunk is compressed once. */
static weir_status hdf5_column(hdf5_file *file, const hdf5_dataset *dataset, const weir_task *task)
{
    size_t size = weir_type_size(dataset->type);
    uint64_t at = file->rows;
    uint32_t used = 0;

    for (uint32_t b = 0; b < task->inputs[0].batch_count; b++) {
        const weir_batch *batch = task->inputs[0].batches[b];
        for (uint32_t row = 0, n; row < batch->row_count; row += n) {
            uint32_t room = HDF5_CHUNK - (uint32_t)(at % HDF5_CHUNK) - used;
            n = batch->row_count - row < room ? batch->row_count - row : room;
            hdf5_gather(file->stage + size * used, dataset, task, batch, row, n);
            used += n;
            if (n < room)
                continue;
            if (hdf5_append(file, dataset->id, hdf5_type(dataset->type), at, used, file->stage) !=
                WEIR_OK)
                return WEIR_FAILED;
            at += used;
            used = 0;
        }
    }
    return used == 0 ? WEIR_OK
                     : hdf5_append(file, dataset->id, hdf5_type(dataset->type), at, used,
                                   file->stage);
}

static weir_status hdf5_step(hdf5_file *file, const weir_task *task)
{
    hdf5_index index = { task->step, task->time, file->rows, op_sink_rows(task) };

    if (hdf5_reserve(file, index.row_count) != WEIR_OK)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < file->dataset_count; i++)
        if (hdf5_column(file, &file->datasets[i], task) != WEIR_OK)
            return WEIR_FAILED;
    if (hdf5_append(file, file->index, file->index_type, file->steps, 1, &index) != WEIR_OK)
        return WEIR_FAILED;
    if (H5Fflush(file->id, H5F_SCOPE_LOCAL) < 0)
        return hdf5_failed(file);
    file->rows += index.row_count;
    file->steps++;
    return WEIR_OK;
}

/* Close whatever is open. */
static weir_status hdf5_release(hdf5_file *file)
{
    bool ok = true;

    for (uint32_t i = 0; i < file->dataset_count; i++)
        ok = H5Dclose(file->datasets[i].id) >= 0 && ok;
    if (file->index > 0)
        ok = H5Dclose(file->index) >= 0 && ok;
    if (file->index_type > 0)
        ok = H5Tclose(file->index_type) >= 0 && ok;
    if (!ok)
        hdf5_failed(file);
    if (file->id > 0 && H5Fclose(file->id) < 0)
        return hdf5_failed(file);
    return ok ? WEIR_OK : WEIR_FAILED;
}

/* Give back what was reserved beyond the end of the file. */
static void hdf5_trim(const char *path)
{
    struct stat about;

    if (stat(path, &about) == 0 && S_ISREG(about.st_mode) && truncate(path, about.st_size) != 0)
        return; /* the space comes back with the file */
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

static weir_status hdf5_open(weir_sink *sink)
{
    const hdf5_options *o = sink->options;
    hdf5_file *file = calloc(1, sizeof(*file));
    weir_status status;

    if (file == NULL)
        return weir_sink_fail(sink, "%s: out of memory", o->file);
    if (op_sink_path(sink, o->file, file->path) != WEIR_OK) {
        free(file);
        return WEIR_FAILED;
    }
    hdf5_enter();
    status = hdf5_make(file, sink);
    if (status != WEIR_OK)
        hdf5_release(file);
    hdf5_leave();
    if (status == WEIR_OK) {
        sink->handle = file;
        return WEIR_OK;
    }
    weir_sink_fail(sink, "%s: %s", file->path, file->reason);
    free(file);
    return WEIR_FAILED;
}

static weir_status hdf5_process(weir_task *task)
{
    hdf5_file *file = task->handle;
    weir_status status;

    hdf5_enter();
    status = hdf5_step(file, task);
    hdf5_leave();
    return status == WEIR_OK
               ? WEIR_OK
               : weir_fail(task, WEIR_NO_ROW, "%s: %s", file->path, file->reason);
}

static weir_status hdf5_close(weir_sink *sink)
{
    hdf5_file *file = sink->handle;
    weir_status status;

    if (file == NULL)
        return WEIR_OK;
    hdf5_enter();
    status = hdf5_release(file);
    hdf5_leave();
    hdf5_trim(file->path);
    if (status != WEIR_OK)
        weir_sink_fail(sink, "%s: %s", file->path, file->reason);
    free(file);
    sink->handle = NULL;
    return status;
}

const weir_operator op_hdf5 = {
    .api_version = WEIR_API_VERSION,
    .name = "hdf5",
    .help = "append the rows to an HDF5 file",
    .role = WEIR_SINK,
    .inputs = { { "in", WEIR_GATHER, "any stream" } },
    .options_size = sizeof(hdf5_options),
    .options = hdf5_option_list,
    .plan = hdf5_plan,
    .process = hdf5_process,
    .open = hdf5_open,
    .close = hdf5_close,
};
