/* The order in which units are laid out over workers, against plain counts over the tiles of spaces cut at random. */
#include "coordinator/coord_order.h"
#include "coordinator/proto_owner.h"

#include "dataflow/df_space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UNITS_MAX 300

/* A plan of one space and the commit of a state in it, beside which there may be another stage; and what is asked of
 * it. */
typedef struct scene {
    df_arena *arena;
    df_space space;
    uint32_t vertex_of[2]; /* of each stage */
    df_vertex vertices[2];
    df_stage stages[2];
    df_plan plan;
    uint32_t order[UNITS_MAX], owners[UNITS_MAX];
    uint64_t weights[UNITS_MAX];
} scene;

static void scene_make(scene *s, const double size[3], double radius, bool periodic, uint32_t key_groups)
{
    *s = (scene){ .arena = df_arena_new(), .space = { .radius = radius } };
    assert_non_null(s->arena);
    s->space.view.axis_count = 3;
    for (uint32_t a = 0; a < 3; a++) {
        snprintf(s->space.view.axes[a], sizeof s->space.view.axes[a], "%c", 'x' + a);
        s->space.view.size[a] = size[a];
        s->space.view.periodic[a] = periodic;
    }
    assert_int_equal(df_space_cut(&s->space, key_groups, 1u << 20, s->arena, NULL), DF_OK);
    for (uint32_t i = 0; i < 2; i++) {
        s->vertex_of[i] = i;
        s->vertices[i] = (df_vertex){ .role = DF_COMMIT, .every_steps = 1, .birth_number = DF_NONE };
        s->stages[i] = (df_stage){ .vertex_count = 1, .vertices = &s->vertex_of[i] };
    }
    s->stages[0].partition =
        (df_partition){ .kind = DF_PART_SPACE, .key_groups = s->space.tile_count, .space = 0 };
    s->plan = (df_plan){ .job.steps = 1, .key_groups = key_groups, .spaces = &s->space, .space_count = 1,
                         .stages = s->stages, .stage_count = 1, .vertices = s->vertices, .vertex_count = 1,
                         .order = s->vertex_of };
}

static void scene_add(scene *s, const df_partition *part)
{
    s->stages[1].partition = *part;
    s->plan.stage_count = s->plan.vertex_count = 2;
}

static void scene_end(scene *s)
{
    df_arena_free(&s->arena);
}

static void lay(scene *s, uint32_t members)
{
    assert_true(coord_order_units(&s->plan, s->order, s->weights));
    proto_owners_lay(s->owners, s->order, s->weights, s->plan.key_groups, members);
}

static uint32_t owner_of(const scene *s, uint32_t tile)
{
    return s->owners[(uint64_t)tile * s->plan.key_groups / s->space.tile_count];
}

static uint64_t cells_of(const weir_tile *tile)
{
    return (uint64_t)tile->cells[0] * tile->cells[1] * tile->cells[2];
}

/* The owner of the cell at a place, which may lie one beyond an edge; UINT32_MAX: nobody. */
static uint32_t cell_owner(const scene *s, const int at[3])
{
    uint32_t position[3];

    for (uint32_t a = 0; a < 3; a++) {
        int cells = (int)s->space.view.cells[a], c = at[a];

        if (!s->space.view.periodic[a] && (c < 0 || c >= cells))
            return UINT32_MAX;
        position[a] = s->space.tile_of_cell[a][(c + cells) % cells];
    }
    return owner_of(s, s->space.tile_of_position[(position[2] * s->space.view.tiles[1] + position[1]) *
                                                     s->space.view.tiles[0] + position[0]]);
}

/* Faces of cells that belong to two members. */
static uint32_t border(const scene *s)
{
    uint32_t faces = 0;
    int at[3];

    for (at[2] = 0; at[2] < (int)s->space.view.cells[2]; at[2]++)
        for (at[1] = 0; at[1] < (int)s->space.view.cells[1]; at[1]++)
            for (at[0] = 0; at[0] < (int)s->space.view.cells[0]; at[0]++)
                for (uint32_t a = 0; a < 3; a++) {
                    int next[3] = { at[0], at[1], at[2] };
                    uint32_t other;

                    next[a]++;
                    other = cell_owner(s, next);
                    faces += other != UINT32_MAX && other != cell_owner(s, at);
                }
    return faces;
}

/* The melt of a million atoms: 42 cells each way in 3 x 4 x 5 tiles, which can be cut in the middle of one axis only. */
static void test_halves(void **state)
{
    const double size[3] = { 105.8, 105.8, 105.8 };
    uint64_t half[2] = { 0, 0 };
    scene s;

    (void)state;
    scene_make(&s, size, 2.5, true, 64);
    assert_int_equal(s.space.tile_count, 60);
    lay(&s, 2);
    for (uint32_t t = 0; t < s.space.tile_count; t++)
        half[owner_of(&s, t)] += cells_of(&s.space.tiles[t]);
    assert_int_equal(half[0], half[1]);
    assert_int_equal(border(&s), 2 * 42 * 42);
    for (uint32_t u = 0; u < s.plan.key_groups; u++)
        s.owners[u] = u >= s.plan.key_groups / 2; /* as they are numbered */
    assert_true(border(&s) > 2 * 42 * 42 * 5 / 4);
    scene_end(&s);
}

/* Every unit once, and nobody has more or less than its share but for a tile. */
static void check_shares(scene *s, uint32_t members)
{
    uint64_t cells[8] = { 0 }, all = 0, most = 0;
    bool seen[UNITS_MAX] = { false };

    lay(s, members);
    for (uint32_t u = 0; u < s->plan.key_groups; u++) {
        assert_true(s->order[u] < s->plan.key_groups && !seen[s->order[u]]);
        seen[s->order[u]] = true;
        assert_true(s->owners[u] < members);
    }
    for (uint32_t t = 0; t < s->space.tile_count; t++) {
        uint64_t own = cells_of(&s->space.tiles[t]);

        cells[owner_of(s, t)] += own;
        all += own;
        most = own > most ? own : most;
    }
    for (uint32_t m = 0; m < members; m++)
        assert_true(cells[m] * members <= all + most * members && (cells[m] + most) * members >= all);
}

static void test_shares(void **state)
{
    (void)state;
    srand(11);
    for (int round = 0; round < 100; round++) {
        double size[3];
        scene s;

        for (uint32_t a = 0; a < 3; a++)
            size[a] = 4 + rand() % 20;
        scene_make(&s, size, 1, rand() % 2 == 1, 8 + (uint32_t)rand() % (UNITS_MAX - 8));
        check_shares(&s, 1 + (uint32_t)rand() % 8);
        scene_end(&s);
    }
}

/* Keys that are cut by hash count beside the cells, and a stage of one key group does not. */
static void test_weights(void **state)
{
    const double size[3] = { 8, 8, 8 };
    uint64_t whole = 0;
    scene s;

    (void)state;
    scene_make(&s, size, 1.5, false, 100);
    scene_add(&s, &(df_partition){ .kind = DF_PART_HASH, .key_groups = 100, .space = DF_NONE });
    assert_true(coord_order_units(&s.plan, s.order, s.weights));
    for (uint32_t u = 0; u < s.plan.key_groups; u++) {
        assert_true(s.weights[u] >= ((uint64_t)1 << 32) / 100);
        whole += s.weights[u];
    }
    assert_true(whole <= (uint64_t)2 << 32 && whole > ((uint64_t)2 << 32) - 1000);
    scene_add(&s, &(df_partition){ .kind = DF_PART_ONE, .key_groups = 1, .space = DF_NONE });
    assert_true(coord_order_units(&s.plan, s.order, s.weights));
    for (uint32_t t = 0; t < s.space.tile_count; t++)
        whole -= s.weights[(uint64_t)t * s.plan.key_groups / s.space.tile_count];
    assert_true(whole >= ((uint64_t)1 << 32) - 1000 && whole <= ((uint64_t)1 << 32) + 1000);
    scene_end(&s);
}

/* A source that fills a state before step 0, all rows in one call as a crystal's are, weighs nothing; one that goes on
 * at each step does. */
static void test_sources(void **state)
{
    static const weir_operator kind = { .name = "source", .role = WEIR_SOURCE };
    const double size[3] = { 8, 8, 8 };
    df_reader first = { .vertex = 0, .port = 0 };
    uint64_t alone[UNITS_MAX];
    scene s;

    (void)state;
    scene_make(&s, size, 1.5, false, 100);
    assert_true(coord_order_units(&s.plan, s.order, alone));
    scene_add(&s, &(df_partition){ .kind = DF_PART_RANGE, .key_groups = 1, .space = DF_NONE, .rows = 9, .run = 9 });
    s.vertices[1] = (df_vertex){ .role = DF_OPERATOR, .kind = &kind, .every_steps = 1, .birth_number = DF_NONE,
                                 .readers = &first, .reader_count = 1 };
    assert_true(coord_order_units(&s.plan, s.order, s.weights));
    assert_memory_equal(s.weights, alone, s.plan.key_groups * sizeof *alone);
    first.port = 1;
    assert_true(coord_order_units(&s.plan, s.order, s.weights));
    assert_true(s.weights[0] > alone[0]);
    scene_end(&s);
}

static void test_none(void **state)
{
    const double size[3] = { 8, 8, 8 };
    scene s;

    (void)state;
    scene_make(&s, size, 1.5, false, 1); /* one tile: nothing to lay out */
    assert_false(coord_order_units(&s.plan, s.order, s.weights));
    scene_end(&s);
    scene_make(&s, size, 1.5, false, 8);
    s.plan.job.steps = 0; /* it is filled, and that is all */
    assert_false(coord_order_units(&s.plan, s.order, s.weights));
    s.plan.job.steps = 1;
    assert_true(coord_order_units(&s.plan, s.order, s.weights));
    s.plan.space_count = 0;
    assert_false(coord_order_units(&s.plan, s.order, s.weights));
    scene_end(&s);
}

/* Of spaces cut at random: the tiles at a distance of one along one axis, round a periodic one, and no others. */
static void test_faces(void **state)
{
    static uint32_t faces[UNITS_MAX][6];

    (void)state;
    srand(11);
    for (uint32_t round = 0; round < 60; round++) {
        bool periodic = round % 2 != 0;
        scene s;

        scene_make(&s, (double[3]){ 2 + rand() % 9, 2 + rand() % 9, 2 + rand() % 9 }, 0.5, periodic,
                   8 + (uint32_t)rand() % (UNITS_MAX - 8));
        assert_true(coord_order_faces(&s.plan, faces));
        for (uint32_t one = 0; one < s.space.tile_count; one++)
            for (uint32_t two = 0; two < s.space.tile_count; two++) {
                uint32_t apart = 0, found = 0;

                for (uint32_t a = 0; a < 3; a++) {
                    uint32_t n = s.space.view.tiles[a], x = s.space.tiles[one].position[a],
                             y = s.space.tiles[two].position[a], way = x > y ? x - y : y - x;

                    apart += periodic && n - way < way ? n - way : way;
                }
                for (uint32_t i = 0; i < 6; i++)
                    found += faces[df_plan_unit(&s.plan, one, s.space.tile_count)][i] ==
                             df_plan_unit(&s.plan, two, s.space.tile_count);
                assert_int_equal(found > 0, apart == 1);
            }
        scene_end(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faces),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
