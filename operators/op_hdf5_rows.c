/* The rows of a step: written behind those of the file, or compared with them. */
#include "operators/op_hdf5_private.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

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

static bool hdf5_is_full(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

df_status op_hdf5_room(const char *path, const char *name, df_error *err)
{
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    int error = descriptor < 0 ? errno : hdf5_reserve_bytes(descriptor, OP_HDF5_FILE_ROOM);

    if (descriptor >= 0) {
        if (error == 0 && ftruncate(descriptor, 0) != 0 && errno != EINVAL) /* no file but a device */
            error = errno;
        close(descriptor);
    }
    return error == 0 ? DF_OK
                      : df_fail(err, hdf5_is_full(error) ? DF_ELIMIT : DF_EIO, "%s: %s", name, strerror(error));
}

/* Make sure that the disk has room for a step, so that HDF5 does not find out halfway: a chunk more
 * than the rows of each dataset (the last one is written again), and some for its own tables. */
static weir_status hdf5_reserve(op_hdf5_file *file, uint64_t rows)
{
    void *handle = NULL;
    uint64_t size = 0;
    int error;

    for (uint32_t i = 0; i < file->dataset_count; i++)
        size += (rows / OP_HDF5_CHUNK + 2) * OP_HDF5_CHUNK * weir_type_size(file->datasets[i].type);
    size += size / 16 + 65536;
    if (H5Fget_vfd_handle(file->id, H5P_DEFAULT, &handle) < 0)
        return op_hdf5_failed(file);
    error = hdf5_reserve_bytes(*(int *)handle, size);
    if (error == 0)
        return WEIR_OK;
    file->full = hdf5_is_full(error);
    (void)snprintf(file->reason, OP_HDF5_REASON_MAX, "%s", strerror(error));
    return WEIR_FAILED;
}

/* Write `count` values behind the first `at` of a dataset. */
static weir_status hdf5_put(op_hdf5_file *file, hid_t dataset, hid_t type, uint64_t at,
                            uint64_t count, const void *values)
{
    hsize_t start = at, size = count, end = at + count;
    hid_t memory = H5Screate_simple(1, &size, NULL), space = H5I_INVALID_HID;
    weir_status status = WEIR_OK;

    if (H5Dset_extent(dataset, &end) < 0 || (space = H5Dget_space(dataset)) < 0 ||
        H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &size, NULL) < 0 ||
        H5Dwrite(dataset, type, memory, space, H5P_DEFAULT, values) < 0)
        status = op_hdf5_failed(file);
    if (space >= 0)
        H5Sclose(space);
    H5Sclose(memory);
    return status;
}

/* Read them. */
static weir_status hdf5_get(op_hdf5_file *file, hid_t dataset, hid_t type, uint64_t at,
                            uint64_t count, void *values)
{
    hsize_t start = at, size = count;
    hid_t memory = H5Screate_simple(1, &size, NULL), space = H5Dget_space(dataset);
    weir_status status = WEIR_OK;

    if (space < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &size, NULL) < 0 ||
        H5Dread(dataset, type, memory, space, H5P_DEFAULT, values) < 0)
        status = op_hdf5_failed(file);
    if (space >= 0)
        H5Sclose(space);
    H5Sclose(memory);
    return status;
}

static weir_status hdf5_differs(op_hdf5_file *file, const char *what, const weir_task *task)
{
    file->differs = true;
    (void)snprintf(file->reason, OP_HDF5_REASON_MAX, "other %s at step %llu than are written now: "
                   "this is not the output of the same run", what, (unsigned long long)task->step);
    return WEIR_FAILED;
}

/* Compare `count` values behind the first `at` of a dataset. */
static weir_status hdf5_same(op_hdf5_file *file, const op_hdf5_dataset *dataset,
                             const weir_task *task, uint64_t at, uint64_t count)
{
    weir_status status = hdf5_get(file, dataset->id, op_hdf5_type(dataset->type), at, count,
                                  file->found);

    if (status != WEIR_OK)
        return status;
    return memcmp(file->found, file->stage, count * weir_type_size(dataset->type)) == 0
               ? WEIR_OK : hdf5_differs(file, "values", task);
}

/* Values of rows [row, row + count) of a batch to `out`. */
static void hdf5_gather(const op_hdf5_file *file, const op_hdf5_dataset *dataset,
                        const weir_task *task, const weir_batch *batch, uint32_t row,
                        uint32_t count, char *out)
{
    size_t size = weir_type_size(dataset->type);

    if (dataset->source >= 0) {
        const char *data = op_sink_column_data(file->about->chosen, (uint32_t)dataset->source,
                                               batch);
        memcpy(out, data + size * row, size * count);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        memcpy(out + size * i,
               dataset->source == OP_HDF5_SOURCE_STEP ? (const void *)&task->step : &task->time,
               size);
}

/* Write or compare what was gathered. */
static weir_status hdf5_meet(op_hdf5_file *file, const op_hdf5_dataset *dataset,
                             const weir_task *task, uint64_t at, uint32_t count)
{
    if (file->readable_only)
        return hdf5_same(file, dataset, task, at, count);
    return hdf5_put(file, dataset->id, op_hdf5_type(dataset->type), at, count, file->stage);
}

/* One column of a step, its first row at `at`. Parts end where chunks end, so a full chunk is
 * compressed once. */
static weir_status hdf5_column(op_hdf5_file *file, const op_hdf5_dataset *dataset,
                               const weir_task *task, uint64_t at)
{
    size_t size = weir_type_size(dataset->type);
    uint32_t used = 0;

    for (uint32_t b = 0; b < task->inputs[0].batch_count; b++) {
        const weir_batch *batch = task->inputs[0].batches[b];
        for (uint32_t row = 0, n; row < batch->row_count; row += n) {
            uint32_t room = OP_HDF5_CHUNK - (uint32_t)(at % OP_HDF5_CHUNK) - used;
            n = batch->row_count - row < room ? batch->row_count - row : room;
            hdf5_gather(file, dataset, task, batch, row, n, file->stage + size * used);
            used += n;
            if (n < room)
                continue;
            if (hdf5_meet(file, dataset, task, at, used) != WEIR_OK)
                return WEIR_FAILED;
            at += used;
            used = 0;
        }
    }
    return used == 0 ? WEIR_OK : hdf5_meet(file, dataset, task, at, used);
}

static weir_status hdf5_append_step(op_hdf5_file *file, const weir_task *task)
{
    op_hdf5_index index = { task->step, task->time, file->rows, op_sink_rows(task) };

    if (hdf5_reserve(file, index.row_count) != WEIR_OK)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < file->dataset_count; i++)
        if (hdf5_column(file, &file->datasets[i], task, file->rows) != WEIR_OK)
            return WEIR_FAILED;
    if (hdf5_put(file, file->index, file->index_type, file->steps, 1, &index) != WEIR_OK)
        return WEIR_FAILED;
    if (H5Fflush(file->id, H5F_SCOPE_LOCAL) < 0)
        return op_hdf5_failed(file);
    file->rows += index.row_count;
    file->steps++;
    return WEIR_OK;
}

static weir_status hdf5_compare_step(op_hdf5_file *file, uint64_t at, const weir_task *task)
{
    op_hdf5_index index;

    if (hdf5_get(file, file->index, file->index_type, at, 1, &index) != WEIR_OK)
        return WEIR_FAILED;
    if (index.step != task->step || memcmp(&index.time, &task->time, sizeof(index.time)) != 0 ||
        index.row_count != op_sink_rows(task))
        return hdf5_differs(file, "rows", task);
    for (uint32_t i = 0; i < file->dataset_count; i++)
        if (hdf5_column(file, &file->datasets[i], task, index.first_row) != WEIR_OK)
            return WEIR_FAILED;
    return WEIR_OK;
}

df_status op_hdf5_append(op_hdf5_file *file, const weir_task *task, df_error *err)
{
    df_status status = DF_OK;

    op_hdf5_enter();
    if (hdf5_append_step(file, task) != WEIR_OK)
        status = op_hdf5_report(file, err);
    if (status == DF_ELIMIT) { /* HDF5 has not failed */
        file->full = false;
        file->reason[0] = '\0';
    }
    op_hdf5_leave();
    return status;
}

df_status op_hdf5_compare(op_hdf5_file *file, uint64_t index, const weir_task *task, df_error *err)
{
    df_status status = DF_OK;

    op_hdf5_enter();
    if (hdf5_compare_step(file, index, task) != WEIR_OK)
        status = op_hdf5_report(file, err);
    op_hdf5_leave();
    return status;
}
