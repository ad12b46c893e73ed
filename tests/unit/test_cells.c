/* The pad and its blocks, against brute force over all rows. */
#include "kernels/kern_cells.h"
#include "tests/support/cell_scene.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { COLUMNS = 3 };

/* Finds the row behind a place of the pad by its position, which the scenes below keep unique. */
static uint32_t key_at(const scene *s, const kern_pad *pad, uint32_t place)
{
    uint32_t key = 0;

    while (key < s->options.row_count &&
           (s->rows[0][key] != pad->columns[0][place] ||
            s->rows[1][key] != pad->columns[1][place] || s->rows[2][key] != pad->columns[2][place]))
        key++;
    assert_true(key < s->options.row_count);
    return key;
}

static float distance(const scene *s, uint32_t i, uint32_t j, const float shift[3])
{
    float square = 0.0f;

    for (int axis = 0; axis < 3; axis++) {
        float d = s->rows[axis][i] - s->rows[axis][j] - shift[axis];

        square += d * d;
    }
    return sqrtf(square);
}

/* What the block's candidate list says about one (row, shift): how often it occurs. */
typedef struct expectation {
    const kern_pad *pad;
    const kern_block *block;
    const uint32_t *keys; /* of the pad's places */
    float radius;
    uint32_t found;
} expectation;

static void expect_candidate(void *ctx, const scene *s, uint32_t i, uint32_t j,
                             const float shift[3])
{
    expectation *e = ctx;
    uint32_t begin = 0, times = 0;

    if (!(distance(s, i, j, shift) < e->radius))
        return;
    for (uint32_t n = 0; n < e->block->span_count; n++) {
        const kern_span *span = &e->block->spans[n];
        bool same = memcmp(span->shift, shift, sizeof span->shift) == 0;

        for (uint32_t k = begin; k < span->end; k++)
            times += same && e->keys[e->block->candidates[k]] == j;
        begin = span->end;
    }
    assert_int_equal(times, 1);
    e->found++;
}

static void check_block(const scene *s, const scene_tile *tile, const scene_cells *lists,
                        expectation *e, uint8_t *seen)
{
    const kern_block *block = e->block;

    assert_in_range(block->row_count, 1, e->pad->lane_count);
    for (uint32_t i = 0; i < block->row_count; i++) {
        uint32_t row = block->rows[i];

        assert_true(row < tile->tile.row_count);
        assert_int_equal(e->keys[block->places[i]], tile->keys[row]);
        assert_int_equal(seen[row]++, 0);
        scene_for_neighbours(s, lists, tile->keys[row], expect_candidate, e);
    }
    for (uint32_t k = 1; k < block->spans[block->span_count - 1].end; k++)
        assert_true(block->candidates[k - 1] < block->candidates[k]);
    for (uint32_t n = 0; n < block->span_count; n++) {
        const float *shift = block->spans[n].shift;

        assert_int_equal(block->spans[n].shifted,
                         shift[0] != 0.0f || shift[1] != 0.0f || shift[2] != 0.0f);
    }
}

static uint32_t check_tile(const scene *s, uint32_t index, float radius)
{
    const scene_tile *tile = &s->tiles[index];
    scene_cells lists = scene_list_cells(s);
    kern_halo halo;
    kern_pad pad;
    kern_block block;
    size_t size;
    uint8_t *scratch, *seen = scene_alloc(tile->tile.row_count);
    uint32_t *keys;
    expectation e = { .pad = &pad, .block = &block, .radius = radius };

    scene_halo(s, index, &halo);
    size = kern_pad_size(&halo, COLUMNS);
    scratch = scene_alloc(size + 64);
    memset(scratch + size, 0x5a, 64);
    kern_pad_init(&pad, &halo, COLUMNS, radius, scratch);
    keys = scene_alloc(pad.row_count * sizeof *keys);
    for (uint32_t place = 0; place < pad.row_count; place++)
        keys[place] = key_at(s, &pad, place);
    e.keys = keys;
    for (uint32_t i = 0; i < pad.block_count; i++) {
        kern_pad_block(&pad, i, &block);
        check_block(s, tile, &lists, &e, seen);
    }
    for (uint32_t row = 0; row < tile->tile.row_count; row++)
        assert_int_equal(seen[row], 1);
    for (int i = 0; i < 64; i++)
        assert_int_equal(scratch[size + (size_t)i], 0x5a);
    free(scratch);
    free(seen);
    free(keys);
    free(lists.starts);
    free(lists.keys);
    return e.found;
}

static uint32_t check_scene(scene *s, float radius)
{
    uint32_t found = 0;

    scene_cut(s);
    for (uint32_t t = 0; t < s->tile_count; t++)
        found += check_tile(s, t, radius);
    return found;
}

/* Rows at random in cells of edge 1. */
static uint32_t check_random(uint32_t rows, uint32_t axes, bool periodic, const uint32_t cells[3],
                             const uint32_t tiles[3])
{
    scene_options o = { .row_count = rows,
                        .axis_count = axes,
                        .periodic = { periodic, periodic, periodic } };
    scene s;
    uint32_t found;

    for (int axis = 0; axis < 3; axis++) {
        o.cells[axis] = cells[axis];
        o.tiles[axis] = tiles[axis];
        o.size[axis] = (float)cells[axis];
    }
    scene_init(&s, &o, rows);
    found = check_scene(&s, 0.9999f);
    scene_fini(&s);
    return found;
}

static const uint32_t one[3] = { 1, 1, 1 }, three[3] = { 3, 3, 3 }, two[3] = { 2, 2, 2 };

static void finds_all_neighbours_sparse(void **state)
{
    static const uint32_t cells[3] = { 7, 8, 9 };

    (void)state;
    assert_true(check_random(300, 3, false, cells, one) > 300);
    assert_true(check_random(300, 3, false, cells, two) > 300);
    assert_true(check_random(300, 3, true, cells, three) > 300);
    assert_true(check_random(300, 3, true, cells, one) > 300);
}

static void finds_all_neighbours_dense(void **state)
{
    static const uint32_t cells[3] = { 5, 3, 4 }, wide[3] = { 1, 1, 3 };

    (void)state;
    assert_true(check_random(900, 3, false, cells, two) > 900 * 20);
    assert_true(check_random(900, 3, true, cells, three) > 900 * 20);
    assert_true(check_random(900, 3, true, cells, wide) > 900 * 20);
}

static void finds_all_neighbours_in_fewer_axes(void **state)
{
    static const uint32_t plane[3] = { 9, 7, 1 }, line[3] = { 30, 1, 1 };
    static const uint32_t plane_tiles[3] = { 3, 3, 1 }, line_tiles[3] = { 4, 1, 1 };

    (void)state;
    assert_true(check_random(400, 2, true, plane, plane_tiles) > 400);
    assert_true(check_random(400, 2, false, plane, one) > 400);
    assert_true(check_random(200, 1, true, line, line_tiles) > 200);
    assert_true(check_random(200, 1, false, line, one) > 200);
}

/* One cell that is its own neighbour on all sides: a row's images are its neighbours. */
static void sees_images_of_itself(void **state)
{
    scene_options o = { .row_count = 1,
                        .axis_count = 3,
                        .size = { 1.0f, 1.0f, 1.0f },
                        .periodic = { true, true, true },
                        .cells = { 1, 1, 1 },
                        .tiles = { 1, 1, 1 } };
    scene s;

    (void)state;
    scene_init(&s, &o, 5);
    assert_int_equal(check_scene(&s, 1.0001f), 6);
    scene_fini(&s);
}

/* Two rows on both sides of a periodic edge that see each other by one unit in the last place of
 * the radius: what the filter rounds on its way to the same distance must not lose them. */
static void keeps_rows_at_the_radius(void **state)
{
    uint64_t seed = 9;

    (void)state;
    for (int turn = 0; turn < 300; turn++) {
        float size = 900.0f + 200.0f * scene_uniform(&seed), shift[3] = { -size, 0.0f, 0.0f };
        scene_options o = { .row_count = 40,
                            .axis_count = 1,
                            .size = { size, 1.0f, 1.0f },
                            .periodic = { true, false, false },
                            .cells = { 250, 1, 1 },
                            .tiles = { 3, 1, 1 } };
        scene s;

        scene_init(&s, &o, seed);
        for (uint32_t i = 2; i < o.row_count; i++)
            s.rows[0][i] = 1.0f + s.rows[0][i] / size;
        s.rows[0][0] = scene_uniform(&seed);
        s.rows[0][1] = size - 1.0f - scene_uniform(&seed);
        assert_true(check_scene(&s, nextafterf(distance(&s, 0, 1, shift), size)) >= 2);
        scene_fini_tiles(&s);
        scene_fini(&s);
    }
}

static void takes_all_rows_in_one_cell(void **state)
{
    scene_options o = { .row_count = 700,
                        .axis_count = 3,
                        .size = { 5.0f, 5.0f, 5.0f },
                        .cells = { 5, 5, 5 },
                        .tiles = { 2, 2, 2 } };
    scene s;

    (void)state;
    scene_init(&s, &o, 6);
    for (uint32_t i = 0; i < o.row_count; i++)
        for (int axis = 0; axis < 3; axis++)
            s.rows[axis][i] = 2.0f + s.rows[axis][i] * 0.1f;
    assert_int_equal(check_scene(&s, 0.9f), 700 * 699);
    scene_fini(&s);
}

static void takes_no_rows(void **state)
{
    static const uint32_t cells[3] = { 4, 4, 4 };

    (void)state;
    assert_int_equal(check_random(0, 3, true, cells, three), 0);
    assert_int_equal(check_random(1, 3, true, cells, three), 0);
    assert_true(check_random(5, 3, false, cells, two) <= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_all_neighbours_sparse),
        cmocka_unit_test(finds_all_neighbours_dense),
        cmocka_unit_test(finds_all_neighbours_in_fewer_axes),
        cmocka_unit_test(sees_images_of_itself),
        cmocka_unit_test(keeps_rows_at_the_radius),
        cmocka_unit_test(takes_all_rows_in_one_cell),
        cmocka_unit_test(takes_no_rows),
    };

    return cmocka_run_group_tests_name("cells", tests, NULL, NULL);
}
