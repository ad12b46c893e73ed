/* Making, opening and closing HDF5 files.
 *
 * libhdf5 may be built without locks, and two sinks may run at the same time on two threads: every
 * entry takes hdf5_lock. It is the only lock in a kind; the state behind it is the library's. */
#include "operators/op_hdf5_private.h"

#include <hdf5.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(_Generic((hid_t)0, op_hdf5_id: 1, default: 0), "the handles of op_hdf5_private.h");

static pthread_mutex_t hdf5_lock = PTHREAD_MUTEX_INITIALIZER;

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
    (void)snprintf(reason, OP_HDF5_REASON_MAX, "%.*s",
                   message != NULL ? (int)strcspn(text, "'") : OP_HDF5_REASON_MAX - 1, text);
    return 0;
}

weir_status op_hdf5_failed(op_hdf5_file *file)
{
    if (file->reason[0] != '\0')
        return WEIR_FAILED;
    if (H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, hdf5_first_error, file->reason) < 0 ||
        file->reason[0] == '\0')
        (void)snprintf(file->reason, OP_HDF5_REASON_MAX, "HDF5 failed without a reason");
    return WEIR_FAILED;
}

/* Errors are ours to report: HDF5 would print them. Per thread where the library knows threads. And
 * everything is closed here: the library's own tidying at exit crashes (1.10.8) when a file could
 * not be closed because its disk had failed. */
void op_hdf5_enter(void)
{
    static bool entered;

    pthread_mutex_lock(&hdf5_lock);
    if (!entered)
        (void)H5dont_atexit();
    entered = true;
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void op_hdf5_leave(void)
{
    pthread_mutex_unlock(&hdf5_lock);
}

df_status op_hdf5_report(const op_hdf5_file *file, df_error *err)
{
    return df_fail(err, file->differs ? DF_ECORRUPT : file->full ? DF_ELIMIT : DF_EIO, "%s: %s", file->name, file->reason);
}

op_hdf5_id op_hdf5_type(weir_type type)
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

static weir_status hdf5_attribute(op_hdf5_file *file, hid_t object, const char *name, hid_t type,
                                  uint32_t count, const void *value)
{
    hsize_t size = count;
    hid_t space = count == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &size, NULL);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    weir_status status = WEIR_OK;

    if (attribute < 0 || H5Awrite(attribute, type, value) < 0)
        status = op_hdf5_failed(file);
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return status;
}

static weir_status hdf5_text_attribute(op_hdf5_file *file, hid_t object, const char *name,
                                       uint32_t count, const char *const *text)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    weir_status status = WEIR_OK;

    if (H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        status = op_hdf5_failed(file);
    if (status == WEIR_OK)
        status = hdf5_attribute(file, object, name, type, count, text);
    H5Tclose(type);
    return status;
}

/* What a reader must know of the job to make sense of the numbers. */
static weir_status hdf5_describe(op_hdf5_file *file)
{
    const weir_job *job = file->about->job;
    const weir_space *space = file->about->space;
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
static hid_t hdf5_make_dataset(op_hdf5_file *file, const char *name, hid_t type, hsize_t chunk,
                               uint32_t compress)
{
    hsize_t none = 0, unlimited = H5S_UNLIMITED;
    hid_t space = H5Screate_simple(1, &none, &unlimited);
    hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    hid_t id = H5I_INVALID_HID;

    if (space < 0 || how < 0 || H5Pset_chunk(how, 1, &chunk) < 0 ||
        H5Pset_obj_track_times(how, false) < 0 ||
        (compress > 0 && (H5Pset_shuffle(how) < 0 || H5Pset_deflate(how, compress) < 0)))
        op_hdf5_failed(file);
    else
        id = H5Dcreate2(file->id, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    if (id < 0)
        op_hdf5_failed(file);
    H5Pclose(how);
    H5Sclose(space);
    return id;
}

static weir_status hdf5_make_index_type(op_hdf5_file *file)
{
    file->index_type = H5Tcreate(H5T_COMPOUND, sizeof(op_hdf5_index));
    if (file->index_type < 0 ||
        H5Tinsert(file->index_type, "step", offsetof(op_hdf5_index, step), H5T_STD_U64LE) < 0 ||
        H5Tinsert(file->index_type, "time", offsetof(op_hdf5_index, time), H5T_IEEE_F64LE) < 0 ||
        H5Tinsert(file->index_type, "first_row", offsetof(op_hdf5_index, first_row),
                  H5T_STD_U64LE) < 0 ||
        H5Tinsert(file->index_type, "row_count", offsetof(op_hdf5_index, row_count),
                  H5T_STD_U64LE) < 0)
        return op_hdf5_failed(file);
    return WEIR_OK;
}

static weir_status hdf5_make_index(op_hdf5_file *file)
{
    if (hdf5_make_index_type(file) != WEIR_OK)
        return WEIR_FAILED;
    file->index = hdf5_make_dataset(file, "index", file->index_type, 1024, 0);
    return file->index < 0 ? WEIR_FAILED : WEIR_OK;
}

static weir_status hdf5_find(op_hdf5_file *file, const char *name, weir_type type, int source)
{
    hid_t id = H5Dopen2(file->id, name, H5P_DEFAULT);

    if (id < 0)
        return op_hdf5_failed(file);
    file->datasets[file->dataset_count++] = (op_hdf5_dataset){ id, type, source };
    return WEIR_OK;
}

static weir_status hdf5_add(op_hdf5_file *file, const char *name, weir_type type, int source)
{
    hid_t id;

    if (file->readable_only)
        return hdf5_find(file, name, type, source);
    id = hdf5_make_dataset(file, name, op_hdf5_type(type), OP_HDF5_CHUNK, file->about->compress);
    if (id < 0)
        return WEIR_FAILED;
    file->datasets[file->dataset_count++] = (op_hdf5_dataset){ id, type, source };
    return WEIR_OK;
}

/* A dataset per column, made or opened. */
static weir_status hdf5_add_all(op_hdf5_file *file)
{
    const op_columns *chosen = file->about->chosen;
    const weir_schema *schema = file->about->schema;

    if (hdf5_add(file, "step", WEIR_U64, OP_HDF5_SOURCE_STEP) != WEIR_OK ||
        hdf5_add(file, "time", WEIR_F64, OP_HDF5_SOURCE_TIME) != WEIR_OK)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < chosen->count; i++)
        if (hdf5_add(file, op_sink_column_name(chosen, i, schema),
                     op_sink_column_type(chosen, i, schema), (int)i) != WEIR_OK)
            return WEIR_FAILED;
    return WEIR_OK;
}

/* Everything that stands in the file before the first step. */
static weir_status hdf5_make(op_hdf5_file *file)
{
    const char *unit = file->about->job->time_unit;

    file->id = H5Fcreate(file->path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (file->id < 0)
        return op_hdf5_failed(file);
    if (hdf5_describe(file) != WEIR_OK || hdf5_make_index(file) != WEIR_OK ||
        hdf5_add_all(file) != WEIR_OK ||
        hdf5_text_attribute(file, file->datasets[1].id, "unit", 1, &unit) != WEIR_OK)
        return WEIR_FAILED;
    return H5Fflush(file->id, H5F_SCOPE_LOCAL) < 0 ? op_hdf5_failed(file) : WEIR_OK;
}

/* The same of a file that is there. */
static weir_status hdf5_find_all(op_hdf5_file *file)
{
    hid_t space;

    file->id = H5Fopen(file->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file->id < 0)
        return op_hdf5_failed(file);
    if (hdf5_make_index_type(file) != WEIR_OK || hdf5_add_all(file) != WEIR_OK)
        return WEIR_FAILED;
    file->index = H5Dopen2(file->id, "index", H5P_DEFAULT);
    space = file->index < 0 ? H5I_INVALID_HID : H5Dget_space(file->index);
    if (space < 0)
        return op_hdf5_failed(file);
    file->steps = (uint64_t)H5Sget_simple_extent_npoints(space);
    H5Sclose(space);
    return WEIR_OK;
}

/* Close whatever is open. */
static weir_status hdf5_release(op_hdf5_file *file)
{
    bool ok = true;

    for (uint32_t i = 0; i < file->dataset_count; i++)
        ok = H5Dclose(file->datasets[i].id) >= 0 && ok;
    if (file->index > 0)
        ok = H5Dclose(file->index) >= 0 && ok;
    if (file->index_type > 0)
        ok = H5Tclose(file->index_type) >= 0 && ok;
    if (!ok)
        op_hdf5_failed(file);
    if (file->id > 0 && H5Fclose(file->id) < 0)
        return op_hdf5_failed(file);
    return ok ? WEIR_OK : WEIR_FAILED;
}

/* Give back what was reserved beyond the end of the file. */
static void hdf5_trim(const char *path)
{
    struct stat about;

    if (stat(path, &about) == 0 && S_ISREG(about.st_mode) && truncate(path, about.st_size) != 0)
        return; /* the space comes back with the file */
}

/* ---- life ---- */

static df_status hdf5_begin(op_hdf5_file **out, const char *path, const char *name,
                            const op_hdf5_about *about, bool readable_only, df_error *err)
{
    op_hdf5_file *file = calloc(1, sizeof(*file));
    df_status status = DF_OK;

    *out = NULL;
    if (file == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", name);
    file->about = about;
    file->readable_only = readable_only;
    (void)snprintf(file->path, sizeof(file->path), "%s", path);
    (void)snprintf(file->name, sizeof(file->name), "%s", name);
    op_hdf5_enter();
    if ((readable_only ? hdf5_find_all(file) : hdf5_make(file)) != WEIR_OK) {
        status = op_hdf5_report(file, err);
        hdf5_release(file);
    }
    op_hdf5_leave();
    if (status == DF_OK)
        *out = file;
    else
        free(file);
    return status;
}

static df_status hdf5_create(op_hdf5_file **out, const char *path, const char *name,
                             const op_hdf5_about *about, df_error *err)
{
    return hdf5_begin(out, path, name, about, false, err);
}

static df_status hdf5_open(op_hdf5_file **out, const char *path, const op_hdf5_about *about,
                           df_error *err)
{
    return hdf5_begin(out, path, path, about, true, err);
}

static uint64_t hdf5_steps(const op_hdf5_file *file)
{
    return file->steps;
}

static df_status hdf5_close(op_hdf5_file **out, df_error *err)
{
    op_hdf5_file *file = *out;
    df_status status = DF_OK;

    if (file == NULL)
        return DF_OK;
    op_hdf5_enter();
    if (hdf5_release(file) != WEIR_OK)
        status = op_hdf5_report(file, err);
    op_hdf5_leave();
    if (!file->readable_only)
        hdf5_trim(file->path);
    free(file);
    *out = NULL;
    return status;
}

extern const op_hdf5_calls op_hdf5_module;
const op_hdf5_calls op_hdf5_module = { .create = hdf5_create,
                                       .open = hdf5_open,
                                       .steps = hdf5_steps,
                                       .room = op_hdf5_room,
                                       .append = op_hdf5_append,
                                       .compare = op_hdf5_compare,
                                       .close = hdf5_close };
