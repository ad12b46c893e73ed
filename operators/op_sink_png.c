/* png: a picture of two columns, coloured by a third.
 *
 * Where both columns are axes of the stream's space the frame is the space, to scale; and where the
 * space has a third axis the picture looks along it: rows fade with their distance (`fog`), so that
 * what is near can be told from what is behind. Otherwise the frame is what the rows span.
 *
 * The picture is written beside the file and then renamed, so that whoever opens the file finds a
 * whole picture. A "{step}" in `file` becomes the step, with leading zeros, and each step leaves a
 * picture; without it the newest one stays.
 *
 * Nothing is carried from picture to picture, so a mark says nothing: after a restart the pictures
 * behind it are drawn again, with equal bytes, and replace what is there by rename. (Without
 * "{step}" the newest picture is then an older one for a while.) A sync makes the pictures durable
 * that were drawn since the one before. */
#include "operators/op_file.h"
#include "operators/op_number.h"
#include "operators/op_plot.h"
#include "operators/op_sink.h"
#include "operators/op_unsynced.h"

#include "dataflow/df_failpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PICTURE_STEP_MARK "{step}"
#define PICTURE_NONE (-1)
#define PICTURE_TITLE_MAX 256
#define PICTURE_MARK_VERSION 1

typedef struct picture_options {
    const char *file;
    weir_names plot;
    const char *colour;
    uint32_t width, height;
    double x_range[2], y_range[2], colour_range[2];
    uint32_t scale;
    double dot, smooth, fog;
    /* filled by plan */
    int x, y, value, depth; /* columns of the stream, or PICTURE_NONE */
    int x_axis, y_axis, depth_axis; /* of the space, or PICTURE_NONE */
} picture_options;

typedef struct picture_state {
    op_plot *plot;
    const char *directory; /* borrowed from the sink, as these */
    const weir_space *space;
    char title[PICTURE_TITLE_MAX];
    char reason[128];
    op_unsynced *unsynced;
    int lock;                    /* a descriptor */
    char path[OP_SINK_PATH_MAX]; /* with {step} in it */
} picture_state;

static const weir_option picture_option_list[] = {
    { .name = "file", .help = "the file to write; {step} in it becomes the step's number",
      .type = WEIR_FILE_OUT, .offset = offsetof(picture_options, file) },
    { .name = "plot", .help = "two columns: to the right, upwards", .type = WEIR_COLUMNS,
      .offset = offsetof(picture_options, plot) },
    { .name = "colour", .help = "the column that decides the colour (default: how dense rows lie)",
      .type = WEIR_COLUMN, .value = "", .offset = offsetof(picture_options, colour) },
    { .name = "width", .help = "of the picture", .type = WEIR_U32, .unit = "pixels",
      .value = "1200", .range = "64..8192", .offset = offsetof(picture_options, width) },
    { .name = "height", .help = "of the picture", .type = WEIR_U32, .unit = "pixels",
      .value = "1200", .range = "64..8192", .offset = offsetof(picture_options, height) },
    { .name = "x_range", .help = "the frame; equal ends: the space, or what the rows span",
      .type = WEIR_RANGE, .value = "[0, 0]", .offset = offsetof(picture_options, x_range) },
    { .name = "y_range", .help = "the same, upwards", .type = WEIR_RANGE, .value = "[0, 0]",
      .offset = offsetof(picture_options, y_range) },
    { .name = "colour_range", .help = "values at the ends of the colours; equal ends: what is there",
      .type = WEIR_RANGE, .value = "[0, 0]", .offset = offsetof(picture_options, colour_range) },
    { .name = "scale", .help = "from the density of rows to brightness", .type = WEIR_CHOICE,
      .value = "sqrt", .choices = "linear|sqrt|log", .offset = offsetof(picture_options, scale) },
    { .name = "dot", .help = "radius of a row's dot; 0: what suits their number", .type = WEIR_F64,
      .unit = "pixels", .value = "0", .range = "0..100", .offset = offsetof(picture_options, dot) },
    { .name = "smooth", .help = "colours are means over this distance; 0: what suits the rows",
      .type = WEIR_F64, .unit = "pixels", .value = "0", .range = "0..100",
      .offset = offsetof(picture_options, smooth) },
    { .name = "fog", .help = "how fast rows fade along the space's third axis; 0: not at all",
      .type = WEIR_F64, .unit = "1", .value = "4", .range = "0..1000",
      .offset = offsetof(picture_options, fog) },
    { 0 },
};

_Static_assert(OP_PLOT_SIZE_MIN == 64 && OP_PLOT_SIZE_MAX == 8192, "the ranges in the table");

/* ---- plan ---- */

static int picture_axis(const weir_space *space, const char *name)
{
    for (uint32_t a = 0; space != NULL && a < space->axis_count; a++)
        if (strcmp(space->axes[a], name) == 0)
            return (int)a;
    return PICTURE_NONE;
}

/* Look along the third axis where there is one. */
static void picture_plan_depth(weir_plan *plan, picture_options *o)
{
    const weir_space *space = weir_plan_space(plan, 0);

    o->depth = o->depth_axis = PICTURE_NONE;
    o->x_axis = picture_axis(space, o->plot.names[0]);
    o->y_axis = picture_axis(space, o->plot.names[1]);
    if (o->x_axis == PICTURE_NONE || o->y_axis == PICTURE_NONE)
        o->x_axis = o->y_axis = PICTURE_NONE; /* to scale only where both are lengths */
    if (o->x_axis == PICTURE_NONE || space->axis_count < 3 || o->x_axis == o->y_axis)
        return;
    o->depth_axis = 3 - o->x_axis - o->y_axis;
    o->depth = weir_schema_find(weir_plan_input(plan, 0), space->axes[o->depth_axis]);
}

static weir_status picture_check_range(weir_plan *plan, const char *key, const double range[2])
{
    return isfinite(range[1] - range[0])
               ? WEIR_OK
               : weir_plan_error(plan, key, "the range is too large to draw");
}

static weir_status picture_plan(weir_plan *plan, void *options)
{
    picture_options *o = options;
    weir_status status = WEIR_OK;

    if (o->plot.count != 2)
        return weir_plan_error(plan, "plot", "expected two columns, found %u", o->plot.count);
    o->x = weir_plan_column(plan, 0, o->plot.names[0], 0);
    o->y = weir_plan_column(plan, 0, o->plot.names[1], 0);
    o->value = PICTURE_NONE;
    if (o->x < 0 || o->y < 0)
        status = WEIR_FAILED;
    if (o->colour != NULL && o->colour[0] != '\0') {
        o->value = weir_plan_column(plan, 0, o->colour, 0);
        status = o->value < 0 ? WEIR_FAILED : status;
    }
    if (picture_check_range(plan, "x_range", o->x_range) != WEIR_OK ||
        picture_check_range(plan, "y_range", o->y_range) != WEIR_OK ||
        picture_check_range(plan, "colour_range", o->colour_range) != WEIR_OK)
        status = WEIR_FAILED;
    picture_plan_depth(plan, o);
    return status;
}

/* ---- the picture ---- */

static double picture_value(const weir_batch *batch, int column, uint32_t row)
{
    return op_number_as_f64(batch->schema->columns[column].type, batch->columns[column], row);
}

/* What the rows span, with a little room; values that are not finite are left out. */
static void picture_span(const weir_task *task, int column, double range[2])
{
    bool any = false;
    double room;

    for (uint32_t b = 0; b < task->inputs[0].batch_count; b++) {
        const weir_batch *batch = task->inputs[0].batches[b];
        for (uint32_t row = 0; row < batch->row_count; row++) {
            double v = picture_value(batch, column, row);
            if (!isfinite(v))
                continue;
            range[0] = !any || v < range[0] ? v : range[0];
            range[1] = !any || v > range[1] ? v : range[1];
            any = true;
        }
    }
    room = (range[1] - range[0]) * 0.03;
    if (isfinite(room)) {
        range[0] -= room;
        range[1] += room;
    } else { /* values at both ends of f64: the middle of them */
        range[0] /= 4;
        range[1] /= 4;
    }
}

/* The frame along one direction. */
static void picture_range(const weir_task *task, const double asked[2], const weir_space *space,
                      int axis, int column, double range[2])
{
    memcpy(range, asked, 2 * sizeof(double));
    if (range[0] < range[1])
        return;
    range[0] = range[1] = 0;
    if (axis != PICTURE_NONE)
        range[1] = space->size[axis];
    else
        picture_span(task, column, range);
}

/* 1 in front, 1/4 at a depth of 1/fog of the space. */
static double picture_strength(const picture_options *o, const weir_space *space, const weir_batch *batch,
                           uint32_t row)
{
    double depth, near;

    if (o->depth == PICTURE_NONE || !(o->fog > 0))
        return 1;
    depth = picture_value(batch, o->depth, row) / space->size[o->depth_axis];
    near = 1 + o->fog * (depth > 0 ? depth : 0);
    return 1 / (near * near);
}

static void picture_draw(picture_state *picture, const picture_options *o, const weir_task *task)
{
    const weir_space *space = picture->space;
    op_plot_view view = { .equal = o->x_axis != PICTURE_NONE, .coloured = o->value != PICTURE_NONE,
                          .scale = (op_plot_scale)o->scale, .points = op_sink_rows(task),
                          .dot = o->dot, .smooth = o->smooth, .title = picture->title,
                          .value = { o->colour_range[0], o->colour_range[1] },
                          .x_name = o->plot.names[0], .y_name = o->plot.names[1],
                          .value_name = o->colour };

    picture_range(task, o->x_range, space, o->x_axis, o->x, view.x);
    picture_range(task, o->y_range, space, o->y_axis, o->y, view.y);
    op_plot_begin(picture->plot, &view);
    for (uint32_t b = 0; b < task->inputs[0].batch_count; b++) {
        const weir_batch *batch = task->inputs[0].batches[b];
        for (uint32_t row = 0; row < batch->row_count; row++)
            op_plot_add(picture->plot, picture_value(batch, o->x, row), picture_value(batch, o->y, row),
                        view.coloured ? picture_value(batch, o->value, row) : 0,
                        picture_strength(o, space, batch, row));
    }
    op_plot_finish(picture->plot);
}

/* "flock  step 2000  time 2 day" */
static void picture_title(picture_state *picture, const weir_task *task)
{
    char time[OP_NUMBER_MAX + 1];

    *op_number_f32(time, (float)task->time) = '\0'; /* 0.3, not 0.30000000000000004 */
    (void)snprintf(picture->title, sizeof(picture->title), "%s  step %llu  time %s %s",
                   task->job->name, (unsigned long long)task->step, time, task->job->time_unit);
}

/* ---- the file ---- */

static void picture_on_error(png_structp png, png_const_charp text)
{
    picture_state *picture = png_get_error_ptr(png);

    /* A failed write reports "Write Error"; errno knows more. */
    (void)snprintf(picture->reason, sizeof(picture->reason), "%s",
                   errno != 0 ? strerror(errno) : text);
    png_longjmp(png, 1);
}

static void picture_on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

/* Nothing here is changed between setjmp and a longjmp, so nothing is indeterminate after it. */
static weir_status picture_encode(picture_state *picture, FILE *file)
{
    const op_plot *plot = picture->plot;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, picture, picture_on_error,
                                              picture_on_warning);
    png_infop info = png == NULL ? NULL : png_create_info_struct(png);

    if (info == NULL) {
        (void)snprintf(picture->reason, sizeof(picture->reason), "out of memory");
        png_destroy_write_struct(&png, NULL);
        return WEIR_FAILED;
    }
    if (setjmp(png_jmpbuf(png)) != 0) {
        png_destroy_write_struct(&png, &info);
        return WEIR_FAILED;
    }
    png_init_io(png, file);
    png_set_IHDR(png, info, plot->width, plot->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_sRGB(png, info, PNG_sRGB_INTENT_PERCEPTUAL);
    png_set_filter(png, 0, PNG_FILTER_SUB);
    png_set_compression_level(png, 4);
    png_write_info(png, info);
    for (uint32_t y = 0; y < plot->height; y++)
        png_write_row(png, plot->pixels + (size_t)y * plot->width * 3);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return WEIR_OK;
}

/* `file` with {step} replaced: as many digits as the job's last step has. */
static weir_status picture_name(char *name, size_t size, const char *file, const weir_task *task)
{
    const char *mark = strstr(file, PICTURE_STEP_MARK);
    int digits = snprintf(NULL, 0, "%llu", (unsigned long long)task->job->steps);
    int n = mark == NULL ? snprintf(name, size, "%s", file)
                         : snprintf(name, size, "%.*s%0*llu%s", (int)(mark - file), file, digits,
                                    (unsigned long long)task->step, mark + strlen(PICTURE_STEP_MARK));

    return n >= 0 && (size_t)n < size ? WEIR_OK : WEIR_FAILED;
}

/* Write the pixels to `unfinished`, then give it the name `path`. *descriptor stays open for the
 * sync: whoever opens the file later may miss an error of its disk. */
static weir_status picture_write(picture_state *picture, const char *unfinished, const char *path,
                                 int *descriptor)
{
    FILE *file = fopen(unfinished, "wbe");
    weir_status status = WEIR_FAILED;
    df_error err;

    picture->reason[0] = '\0';
    errno = 0;
    *descriptor = -1;
    if (file != NULL) {
        *descriptor = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
        status = *descriptor < 0 ? WEIR_FAILED : picture_encode(picture, file);
        if (fclose(file) != 0 && status == WEIR_OK)
            status = WEIR_FAILED;
    }
    if (status == WEIR_OK && df_failpoint(DF_FAILPOINT_sink_replace, &err) != DF_OK) {
        (void)snprintf(picture->reason, sizeof(picture->reason), "%.120s", err.text);
        status = WEIR_FAILED;
    }
    if (status == WEIR_OK && rename(unfinished, path) != 0)
        status = WEIR_FAILED;
    if (status == WEIR_OK)
        return WEIR_OK;
    if (picture->reason[0] == '\0')
        (void)snprintf(picture->reason, sizeof(picture->reason), "%s", strerror(errno));
    if (file != NULL)
        unlink(unfinished);
    if (*descriptor >= 0)
        close(*descriptor);
    return WEIR_FAILED;
}

/* ---- the kind ---- */

/* The folder can be written, and nobody else writes these pictures. */
static weir_status picture_prepare(picture_state *picture, weir_sink *sink)
{
    const picture_options *o = sink->options;
    char folder[OP_SINK_PATH_MAX];
    struct stat about;
    df_error err;

    if (op_sink_path(sink, o->file, picture->path) != WEIR_OK)
        return WEIR_FAILED;
    if (sink->resume != NULL &&
        (sink->resume->size != 1 || sink->resume->bytes[0] != PICTURE_MARK_VERSION))
        return weir_sink_fail(sink, "%s: the snapshot holds no mark of a picture", picture->path);
    memcpy(folder, picture->path, sizeof(folder));
    *strrchr(folder, '/') = '\0';
    if (access(folder, W_OK | X_OK) != 0)
        return weir_sink_fail(sink, "%s: %s", folder, strerror(errno));
    if (stat(picture->path, &about) == 0 && S_ISDIR(about.st_mode)) /* a picture could not have its name */
        return weir_sink_fail(sink, "%s: %s", picture->path, strerror(EISDIR));
    if (op_file_lock_beside(picture->path, &picture->lock, &err) != DF_OK)
        return weir_sink_fail(sink, "%s", err.text);
    picture->plot = op_plot_new(o->width, o->height);
    picture->unsynced = op_unsynced_new(picture->path);
    if (picture->plot == NULL || picture->unsynced == NULL)
        return weir_sink_fail(sink, "%s: out of memory", o->file);
    return WEIR_OK;
}

static void picture_free(picture_state *picture)
{
    op_unsynced_free(&picture->unsynced);
    op_file_unlock_beside(picture->path, &picture->lock);
    op_plot_free(&picture->plot);
    free(picture);
}

static weir_status picture_open(weir_sink *sink)
{
    picture_state *picture = calloc(1, sizeof(*picture));

    if (picture == NULL)
        return weir_sink_fail(sink, "out of memory");
    picture->lock = -1;
    picture->directory = sink->directory;
    picture->space = sink->space;
    if (picture_prepare(picture, sink) != WEIR_OK) {
        picture_free(picture);
        return WEIR_FAILED;
    }
    sink->handle = picture;
    return WEIR_OK;
}

static weir_status picture_process(weir_task *task)
{
    const picture_options *o = task->options;
    picture_state *picture = task->handle;
    char name[OP_SINK_PATH_MAX / 2], path[OP_SINK_PATH_MAX], unfinished[OP_SINK_PATH_MAX + 8];
    int n, descriptor;
    df_error err;

    if (op_unsynced_check(picture->unsynced, &err) != DF_OK)
        return op_sink_failed(task, &err);
    if (picture_name(name, sizeof(name), o->file, task) != WEIR_OK)
        return weir_fail(task, WEIR_NO_ROW, "%s: the path is too long", o->file);
    n = snprintf(path, sizeof(path), "%s/%s", picture->directory, name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return weir_fail(task, WEIR_NO_ROW, "%s: the path is too long", o->file);
    (void)snprintf(unfinished, sizeof(unfinished), "%s.part", path);
    picture_title(picture, task);
    picture_draw(picture, o, task);
    if (picture_write(picture, unfinished, path, &descriptor) != WEIR_OK)
        return weir_again(task, "%s: %s", path, picture->reason);
    op_unsynced_add(picture->unsynced, descriptor, strstr(o->file, PICTURE_STEP_MARK) == NULL);
    return WEIR_OK;
}

static weir_status picture_check(weir_sink *sink)
{
    const picture_state *picture = sink->handle;
    df_error err;

    return op_unsynced_check(picture->unsynced, &err) == DF_OK
               ? WEIR_OK : weir_sink_fail(sink, "%s", err.text);
}

static weir_status picture_mark(weir_sink *sink, weir_mark *mark)
{
    mark->size = 1;
    mark->bytes[0] = PICTURE_MARK_VERSION;
    return picture_check(sink);
}

static weir_status picture_sync(weir_sink *sink)
{
    picture_state *picture = sink->handle;
    df_error err;

    return op_unsynced_sync(picture->unsynced, &err) == DF_OK
               ? WEIR_OK : weir_sink_fail(sink, "%s", err.text);
}

static weir_status picture_close(weir_sink *sink)
{
    picture_state *picture = sink->handle;
    weir_status status;

    if (picture == NULL)
        return WEIR_OK;
    status = picture_check(sink);
    picture_free(picture);
    sink->handle = NULL;
    return status;
}

const weir_operator op_png = {
    .api_version = WEIR_API_VERSION,
    .name = "png",
    .help = "draw two columns as a picture, coloured by a third; drawn again after a restart",
    .role = WEIR_SINK,
    .inputs = { { "in", WEIR_GATHER, "the rows to draw" } },
    .options_size = sizeof(picture_options),
    .options = picture_option_list,
    .plan = picture_plan,
    .process = picture_process,
    .open = picture_open,
    .close = picture_close,
    .mark = picture_mark,
    .sync = picture_sync,
};
