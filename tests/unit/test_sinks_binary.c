/* The sinks hdf5 and png: what they wrote is read back with the libraries' own readers. */
#include "tests/support/sink_run.h"

#include <hdf5.h>
#include <math.h>
#include <png.h>

extern const weir_operator op_hdf5, op_png;

/* A file that libhdf5 could not close keeps its memory, and nothing can free it. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

/* ---- hdf5 ---- */

static void hdf5_options(options *o, const char *file, uint32_t compress)
{
    set_text(&op_hdf5, o, "file", file);
    set_option(&op_hdf5, o, "compress", &compress, sizeof(compress));
}

static void read_all(hid_t file, const char *name, hid_t type, uint64_t rows, void *values)
{
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(dataset);

    assert_int_equal(H5Sget_simple_extent_npoints(space), rows);
    assert_true(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Sclose(space);
    H5Dclose(dataset);
}

/* Steps of 20,000 and 5 rows cross the border of a chunk. */
static void hdf5_holds_what_was_written(void **unused)
{
    static const char *const names[] = { "energy", "id", "x" };
    static float x[50000];
    static double numbers[50000];
    static uint64_t ids[50000], index[4 * 3];
    weir_batch *batches[3] = { birds(0, 15000), birds(15000, 5000), birds(7, 5) };
    uint64_t seed;
    char job[16];

    (void)unused;
    for (uint32_t compress = 0; compress <= 6; compress += 6) {
        options o = { { 0 } };
        run r;
        hdf5_options(&o, "rows.h5", compress);
        set_names(&op_hdf5, &o, "columns", 3, names);
        assert_int_equal(run_plan(&r, &op_hdf5, &o, &schema_birds), WEIR_OK);
        assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
        assert_int_equal(run_step(&r, 0, 2, batches), WEIR_OK);
        assert_int_equal(run_step(&r, 4, 1, batches + 2), WEIR_OK);
        assert_int_equal(run_step(&r, 8, 2, batches), WEIR_OK);
        assert_int_equal(run_close(&r), WEIR_OK);

        hid_t file = H5Fopen(path_of("rows.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
        assert_true(file >= 0);
        read_all(file, "x", H5T_NATIVE_FLOAT, 40005, x);
        read_all(file, "id", H5T_NATIVE_UINT64, 40005, ids);
        read_all(file, "energy", H5T_NATIVE_DOUBLE, 40005, numbers);
        for (uint64_t i = 0; i < 40005; i++) {
            uint64_t key = i < 20000 ? i : i < 20005 ? i - 20000 + 7 : i - 20005;
            assert_int_equal(ids[i], key);
            assert_true(x[i] == (float)key + 0.5f && numbers[i] == -(double)key / 3);
        }
        read_all(file, "step", H5T_NATIVE_UINT64, 40005, ids);
        read_all(file, "time", H5T_NATIVE_DOUBLE, 40005, numbers);
        assert_true(ids[19999] == 0 && ids[20000] == 4 && ids[20005] == 8);
        assert_true(numbers[0] == 1 && numbers[20004] == 2 && numbers[40004] == 3);

        hid_t dataset = H5Dopen2(file, "index", H5P_DEFAULT), type = H5Dget_type(dataset);
        read_all(file, "index", type, 3, index);
        assert_int_equal(index[4], 4); /* step, time, first row, rows */
        assert_int_equal(index[6], 20000);
        assert_int_equal(index[7], 5);
        assert_int_equal(index[10], 20005);
        H5Tclose(type);
        H5Dclose(dataset);

        hid_t attribute = H5Aopen(file, "seed", H5P_DEFAULT);
        assert_true(H5Aread(attribute, H5T_NATIVE_UINT64, &seed) >= 0 && seed == 7);
        H5Aclose(attribute);
        attribute = H5Aopen(file, "job", H5P_DEFAULT);
        type = H5Aget_type(attribute);
        char *text = NULL;
        assert_true(H5Aread(attribute, type, &text) >= 0);
        (void)snprintf(job, sizeof(job), "%s", text);
        assert_string_equal(job, "test");
        H5free_memory(text);
        H5Tclose(type);
        H5Aclose(attribute);
        assert_int_equal(H5Fclose(file), 0);
    }
    for (int i = 0; i < 3; i++)
        fake_batch_free(batches[i]);
}

static void hdf5_says_why_it_cannot_open(void **unused)
{
    static const weir_schema indexed = { .column_count = 1, .columns = { { "index", WEIR_U32 } } };
    options o = { { 0 } };
    run r;

    (void)unused;
    hdf5_options(&o, "x.h5", 1);
    assert_int_equal(run_plan(&r, &op_hdf5, &o, &schema_birds), WEIR_OK);
    assert_int_equal(run_open(&r, "/nowhere", NULL), WEIR_FAILED);
    assert_string_equal(r.sink.error, "/nowhere/x.h5: No such file or directory");
    hdf5_options(&o, "full", 1);
    assert_int_equal(run_open(&r, "/dev", NULL), WEIR_FAILED);
    assert_string_equal(r.sink.error, "/dev/full: No space left on device");
    hdf5_options(&o, "pts", 1); /* it is a folder */
    assert_int_equal(run_open(&r, "/dev", NULL), WEIR_FAILED);
    assert_string_equal(r.sink.error, "/dev/pts: Is a directory");
    assert_int_equal(run_plan(&r, &op_hdf5, &o, &indexed), WEIR_FAILED);
    assert_non_null(strstr(r.plan.errors, "an index of its own"));
}

/* The file ends with its last whole step, and can be read. */
static void hdf5_stays_whole_when_the_disk_is_full(void **unused)
{
    static float x[64];
    options o = { { 0 } };
    weir_batch *small = birds(3, 40), *large = birds(0, 2000000);
    run r;

    (void)unused;
    hdf5_options(&o, "limited.h5", 0);
    assert_int_equal(run_plan(&r, &op_hdf5, &o, &schema_birds), WEIR_OK);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    assert_int_equal(run_step(&r, 0, 1, &small), WEIR_OK);
    struct rlimit before = limit_files(20000000);
    weir_status status = run_step(&r, 1, 1, &large);
    weir_status closed = run_close(&r);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, WEIR_AGAIN);
    assert_non_null(strstr(fake_failure, "limited.h5: File too large"));
    assert_int_equal(closed, WEIR_OK);
    hid_t file = H5Fopen(path_of("limited.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    read_all(file, "x", H5T_NATIVE_FLOAT, 40, x);
    assert_true(x[39] == 42.5f);
    H5Fclose(file);
    fake_batch_free(small);
    fake_batch_free(large);
}

/* What could not be written for want of room is written when there is room: steps that are too large, a file that is to be begun. */
static void hdf5_is_tried_again(void **unused)
{
    static float x[2000040];
    options o = { { 0 } };
    weir_batch *small = birds(3, 40), *large = birds(0, 2000000);
    weir_mark mark;
    run r;

    (void)unused;
    hdf5_options(&o, "again.h5", 0);
    assert_int_equal(run_plan(&r, &op_hdf5, &o, &schema_birds), WEIR_OK);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    assert_int_equal(run_step(&r, 0, 1, &small), WEIR_OK);
    struct rlimit before = limit_files(20000000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(run_step(&r, 1, 1, &large), WEIR_AGAIN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(run_step(&r, 1, 1, &large), WEIR_OK);
    assert_int_equal(op_hdf5.mark(&r.sink, &mark), WEIR_OK); /* the next step is in another file */
    before = limit_files(1000);
    assert_int_equal(run_step(&r, 2, 1, &small), WEIR_AGAIN);
    assert_int_equal(run_step(&r, 2, 1, &small), WEIR_AGAIN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(run_step(&r, 2, 1, &small), WEIR_OK);
    assert_int_equal(run_close(&r), WEIR_OK);
    hid_t file = H5Fopen(path_of("again.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    read_all(file, "x", H5T_NATIVE_FLOAT, 2000040, x);
    assert_true(x[39] == 42.5f);
    H5Fclose(file);
    file = H5Fopen(path_of("again-000000000002.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    read_all(file, "x", H5T_NATIVE_FLOAT, 40, x);
    assert_true(x[39] == 42.5f);
    H5Fclose(file);
    fake_batch_free(small);
    fake_batch_free(large);
}

/* The disk goes away under the file: an error, and no crash then, at close or at exit. */
static void hdf5_survives_a_lost_disk(void **unused)
{
    options o = { { 0 } };
    weir_batch *batch = birds(0, 40000);
    run r;

    (void)unused;
    hdf5_options(&o, "lost.h5", 0);
    assert_int_equal(run_plan(&r, &op_hdf5, &o, &schema_birds), WEIR_OK);
    int first = dup(0);
    close(first);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    for (int i = first; i < first + 8; i++)
        close(i);
    assert_int_equal(run_step(&r, 0, 1, &batch), WEIR_FAILED);
    assert_non_null(strstr(fake_failure, "lost.h5: Bad file descriptor"));
    assert_int_equal(run_close(&r), WEIR_FAILED);
    assert_non_null(strstr(r.sink.error, "lost.h5: Bad file descriptor"));
    fake_batch_free(batch);
}

/* ---- png ---- */

typedef struct image {
    uint32_t width, height;
    uint8_t *rgb;
} image;

static image read_image(const char *file)
{
    png_image png = { .version = PNG_IMAGE_VERSION };
    image out;

    assert_true(png_image_begin_read_from_file(&png, path_of(file)));
    png.format = PNG_FORMAT_RGB;
    out = (image){ png.width, png.height, malloc(PNG_IMAGE_SIZE(png)) };
    assert_true(png_image_finish_read(&png, NULL, out.rgb, 0, NULL));
    return out;
}

static int brightness(const image *im, uint32_t x, uint32_t y)
{
    const uint8_t *p = im->rgb + ((size_t)y * im->width + x) * 3;

    return p[0] + p[1] + p[2];
}

static const weir_schema points_schema = {
    .column_count = 4,
    .columns = { { "x", WEIR_F32 }, { "y", WEIR_F64 }, { "z", WEIR_F32 }, { "v", WEIR_F32 } },
};

static weir_batch *points(uint32_t rows)
{
    weir_batch *batch = fake_batch(&points_schema, rows);
    uint64_t s = 1;

    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t c = 0; c < 4; c++) {
            s = s * 6364136223846793005u + 1442695040888963407u;
            double u = (double)(s >> 11) * 0x1p-53;
            if (c == 1)
                ((double *)batch->columns[c])[i] = u;
            else
                ((float *)batch->columns[c])[i] = (float)u;
        }
    return batch;
}

static void png_options(options *o, const char *file, const char *colour)
{
    static const char *const plot[] = { "x", "y" };
    uint32_t size = 256, scale = 1;
    double fog = 4;

    memset(o, 0, sizeof(*o));
    set_text(&op_png, o, "file", file);
    set_text(&op_png, o, "colour", colour);
    set_names(&op_png, o, "plot", 2, plot);
    set_option(&op_png, o, "width", &size, sizeof(size));
    set_option(&op_png, o, "height", &size, sizeof(size));
    set_option(&op_png, o, "scale", &scale, sizeof(scale));
    set_option(&op_png, o, "fog", &fog, sizeof(fog));
}

static const weir_space cube = { .axis_count = 3, .axes = { "x", "y", "z" }, .size = { 1, 1, 1 } };

static void draw(options *o, const weir_space *space, uint32_t count, weir_batch *const *batches)
{
    run r;

    assert_int_equal(run_plan(&r, &op_png, o, &points_schema), WEIR_OK);
    r.plan.space = space;
    assert_int_equal(op_png.plan(&r.plan, o), WEIR_OK);
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    if (run_step(&r, 3, count, batches) != WEIR_OK)
        fail_msg("%s", fake_failure);
    assert_int_equal(run_close(&r), WEIR_OK);
}

/* One point a quarter up and right: that place is bright, its mirror images are dark. */
static void png_puts_points_where_they_are(void **unused)
{
    weir_batch *batch = points(1);
    options o;

    (void)unused;
    png_options(&o, "one.png", "");
    double dot = 4;
    set_option(&op_png, &o, "dot", &dot, sizeof(dot));
    ((float *)batch->columns[0])[0] = 0.75f;
    ((double *)batch->columns[1])[0] = 0.75;
    ((float *)batch->columns[2])[0] = 0;
    draw(&o, &cube, 1, &batch);
    image im = read_image("one.png");
    assert_int_equal(im.width, 256);
    assert_int_equal(im.height, 256);
    uint32_t bright_x = 0, bright_y = 0, bright = 0;
    for (uint32_t y = 40; y < 220; y++) /* within the frame, away from labels */
        for (uint32_t x = 60; x < 230; x++)
            if (brightness(&im, x, y) > 100) {
                bright++;
                bright_x += x;
                bright_y += y;
            }
    assert_in_range(bright, 10, 80); /* a disc of radius 4 */
    /* The frame is a square between the labels: x = 0.75 is right of the middle, y = 0.75 above. */
    assert_in_range(bright_x / bright, 182, 200);
    assert_in_range(bright_y / bright, 64, 80);
    free(im.rgb);
    fake_batch_free(batch);
}

static void png_colours_by_value(void **unused)
{
    weir_batch *batch = points(2);
    double dot = 6;
    options o;

    (void)unused;
    png_options(&o, "two.png", "v");
    set_option(&op_png, &o, "dot", &dot, sizeof(dot));
    for (int i = 0; i < 2; i++) {
        ((float *)batch->columns[0])[i] = i == 0 ? 0.25f : 0.75f;
        ((double *)batch->columns[1])[i] = 0.5;
        ((float *)batch->columns[2])[i] = 0;
        ((float *)batch->columns[3])[i] = (float)i;
    }
    draw(&o, &cube, 1, &batch);
    image im = read_image("two.png");
    int blue = 0, red = 0;
    for (uint32_t y = 60; y < 200; y++)
        for (uint32_t x = 60; x < 230; x++) {
            const uint8_t *p = im.rgb + ((size_t)y * im.width + x) * 3;
            blue += p[2] > p[0] + 60 && x < 140;
            red += p[0] > p[2] + 60 && x > 140;
        }
    assert_true(blue > 30 && red > 30);
    free(im.rgb);
    fake_batch_free(batch);
}

static void assert_same_file(const char *a, const char *b, bool same)
{
    static char one[1 << 20], two[1 << 20];
    FILE *f = fopen(path_of(a), "rb"), *g = fopen(path_of(b), "rb");

    assert_true(f != NULL && g != NULL);
    size_t n = fread(one, 1, sizeof(one), f), m = fread(two, 1, sizeof(two), g);
    fclose(f);
    fclose(g);
    assert_true(n > 1000);
    assert_int_equal(n == m && memcmp(one, two, n) == 0, same);
}

/* The same rows give the same bytes, however they are cut into key groups; other rows do not. */
static void png_is_deterministic(void **unused)
{
    weir_batch *all = points(3000), *first = points(3000), *rest = points(3000);
    weir_batch *parts[2] = { first, rest };
    options o;

    (void)unused;
    first->row_count = 1234;
    rest->row_count = 3000 - 1234;
    for (uint32_t c = 0; c < 4; c++) {
        size_t size = weir_type_size(points_schema.columns[c].type);
        memmove(rest->columns[c], (char *)rest->columns[c] + 1234 * size, (3000 - 1234) * size);
    }
    png_options(&o, "a.png", "v");
    draw(&o, &cube, 1, &all);
    png_options(&o, "b.png", "v");
    draw(&o, &cube, 2, parts);
    assert_same_file("a.png", "b.png", true);
    ((float *)all->columns[0])[7] = 0.5f;
    draw(&o, &cube, 1, &all);
    assert_same_file("a.png", "b.png", false);
    fake_batch_free(all);
    fake_batch_free(first);
    fake_batch_free(rest);
}

/* What a picture must bear: no rows, one value, values that are no numbers, tiny frames, logarithms,
 * a name with the step. */
static void png_bears_odd_rows(void **unused)
{
    weir_batch *none = points(0), *odd = points(9);
    uint32_t size = 64, logarithm = 2;
    double far = 1e18, range[2] = { 1e18, 1e18 + 1024 };
    options o;

    (void)unused;
    png_options(&o, "odd/{step}.png", "v");
    draw(&o, NULL, 1, &none);
    assert_int_equal(access(path_of("odd/003.png"), F_OK), 0);
    ((float *)odd->columns[0])[0] = NAN;
    ((float *)odd->columns[0])[1] = INFINITY;
    ((double *)odd->columns[1])[2] = -INFINITY;
    ((float *)odd->columns[3])[3] = NAN;
    ((double *)odd->columns[1])[4] = 1.7e308;
    ((double *)odd->columns[1])[5] = -1.7e308;
    draw(&o, NULL, 1, &odd);
    set_option(&op_png, &o, "width", &size, sizeof(size));
    set_option(&op_png, &o, "scale", &logarithm, sizeof(logarithm));
    draw(&o, &cube, 1, &odd);
    for (int i = 0; i < 9; i++)
        ((float *)odd->columns[0])[i] = (float)far;
    set_option(&op_png, &o, "x_range", range, sizeof(range));
    draw(&o, NULL, 1, &odd);
    fake_batch_free(none);
    fake_batch_free(odd);
}

static void png_places_its_errors(void **unused)
{
    static const char *const three[] = { "x", "y", "z" }, *const unknown[] = { "x", "w" };
    weir_batch *batch = points(3000);
    double huge[2] = { -1.7e308, 1.7e308 };
    options o;
    run r;

    (void)unused;
    png_options(&o, "x.png", "");
    set_names(&op_png, &o, "plot", 3, three);
    assert_int_equal(run_plan(&r, &op_png, &o, &points_schema), WEIR_FAILED);
    assert_string_equal(r.plan.errors, "plot: expected two columns, found 3\n");
    png_options(&o, "x.png", "colour");
    set_names(&op_png, &o, "plot", 2, unknown);
    set_option(&op_png, &o, "y_range", huge, sizeof(huge));
    assert_int_equal(run_plan(&r, &op_png, &o, &points_schema), WEIR_FAILED);
    assert_string_equal(r.plan.errors, ": no column w\n: no column colour\n"
                                       "y_range: the range is too large to draw\n");
    png_options(&o, "full.png", "");
    assert_int_equal(run_plan(&r, &op_png, &o, &points_schema), WEIR_OK);
    assert_int_equal(run_open(&r, "/nowhere", NULL), WEIR_FAILED);
    assert_string_equal(r.sink.error, "/nowhere: No such file or directory");
    png_options(&o, "pts", ""); /* it is a folder */
    assert_int_equal(run_open(&r, "/dev", NULL), WEIR_FAILED);
    assert_string_equal(r.sink.error, "/dev/pts: Is a directory");
    png_options(&o, "full.png", "");
    assert_int_equal(run_plan(&r, &op_png, &o, &points_schema), WEIR_OK);
    /* A full disk: the old picture stays, nothing else is left. */
    assert_int_equal(run_open(&r, folder, NULL), WEIR_OK);
    assert_int_equal(run_step(&r, 1, 1, &batch), WEIR_OK);
    struct rlimit before = limit_files(5000);
    weir_status status = run_step(&r, 2, 1, &batch);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, WEIR_AGAIN);
    assert_non_null(strstr(fake_failure, "full.png: File too large"));
    assert_int_equal(access(path_of("full.png.part"), F_OK), -1);
    image im = read_image("full.png");
    free(im.rgb);
    assert_int_equal(run_close(&r), WEIR_OK);
    fake_batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hdf5_holds_what_was_written),
        cmocka_unit_test(hdf5_says_why_it_cannot_open),
        cmocka_unit_test(hdf5_stays_whole_when_the_disk_is_full),
        cmocka_unit_test(hdf5_is_tried_again),
        cmocka_unit_test(hdf5_survives_a_lost_disk),
        cmocka_unit_test(png_puts_points_where_they_are),
        cmocka_unit_test(png_colours_by_value),
        cmocka_unit_test(png_is_deterministic),
        cmocka_unit_test(png_bears_odd_rows),
        cmocka_unit_test(png_places_its_errors),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
