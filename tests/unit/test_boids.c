/* The flock's kernel against a plain scalar program, bit for bit, over tilings and edges: by the pad and by
 * lists, of rows where they settled and of rows that have moved since. */
#include "kernels/kern_boids.h"
#include "tests/support/cell_scene.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct bird_sum {
    const kern_boids_params *p;
    float *const *rows; /* now, by key; they lie in the cells and tiles of where the scene has them */
    float count, away[3], velocity[3], separate[3];
} bird_sum;

static void meet(void *ctx, const scene *s, uint32_t i, uint32_t j, const float shift[3])
{
    bird_sum *b = ctx;
    float d[3], square, distance, room, push;

    (void)s;
    for (int axis = 0; axis < 3; axis++)
        d[axis] = b->rows[axis][i] - b->rows[axis][j] - shift[axis];
    square = fmaf(d[2], d[2], fmaf(d[1], d[1], d[0] * d[0]));
    if (square >= b->p->radius * b->p->radius)
        return;
    b->count += 1.0f;
    for (int axis = 0; axis < 3; axis++) {
        b->away[axis] += d[axis];
        b->velocity[axis] += b->rows[3 + axis][j];
    }
    if (square >= b->p->separation_radius * b->p->separation_radius)
        return;
    distance = sqrtf(square);
    room = 1.0f - distance / b->p->separation_radius;
    push = b->p->collision * (room * room);
    for (int axis = 0; axis < 3; axis++)
        b->separate[axis] = fmaf(push, d[axis], b->separate[axis]);
}

static void limit_speed(const kern_boids_params *p, float v[3])
{
    float speed = sqrtf(fmaf(v[2], v[2], fmaf(v[1], v[1], v[0] * v[0])));
    float bound = speed < p->speed_min ? p->speed_min : speed > p->speed_max ? p->speed_max : speed;

    if (speed < 1e-30f) {
        v[0] = p->speed_min;
        v[1] = v[2] = 0.0f;
    } else if (bound != speed) {
        for (int axis = 0; axis < 3; axis++)
            v[axis] *= bound / speed;
    }
}

static void fly(const bird_sum *b, float x[3], float v[3])
{
    const kern_boids_params *p = b->p;

    for (int axis = 0; axis < 3; axis++) {
        float change = b->separate[axis];

        if (b->count > 0.0f) {
            float share = 1.0f / b->count;

            change += -(b->away[axis] * share) * p->steer;
            change += b->velocity[axis] * share * p->match - v[axis];
        }
        v[axis] = fmaf(p->scale, change, v[axis]);
    }
    limit_speed(p, v);
    for (int axis = 0; axis < 3; axis++) {
        float size = p->size[axis];

        if (p->edge[axis] == KERN_EDGE_CLOSED) {
            if (x[axis] < p->wall_distance)
                v[axis] += p->wall_steer;
            if (size - x[axis] < p->wall_distance)
                v[axis] -= p->wall_steer;
        }
        x[axis] = fmaf(v[axis], p->dt, x[axis]);
        if (p->edge[axis] == KERN_EDGE_CLOSED)
            x[axis] = x[axis] < 0.0f ? 0.0f : x[axis] > size ? size : x[axis];
        if (p->edge[axis] == KERN_EDGE_PERIODIC) {
            x[axis] = x[axis] < 0.0f ? x[axis] + size : x[axis];
            x[axis] = x[axis] >= size ? x[axis] - size : x[axis];
        }
    }
}

/* Six columns by key. */
static float *oracle(const scene *s, const kern_boids_params *p, float *const *rows)
{
    uint32_t n = s->options.row_count;
    float *result = scene_alloc(6 * n * sizeof *result);
    scene_cells lists = scene_list_cells(s);

    for (uint32_t i = 0; i < n; i++) {
        bird_sum b = { .p = p, .rows = rows };
        float x[3], v[3];

        for (int axis = 0; axis < 3; axis++) {
            x[axis] = rows[axis][i];
            v[axis] = rows[3 + axis][i];
        }
        scene_for_neighbours(s, &lists, i, meet, &b);
        fly(&b, x, v);
        for (uint32_t axis = 0; axis < 3; axis++) {
            result[axis * n + i] = x[axis];
            result[(3 + axis) * n + i] = v[axis];
        }
    }
    free(lists.starts);
    free(lists.keys);
    return result;
}

/* A tile's lists, of rows where they settled. */
static kern_near *make_lists(const scene *s, uint32_t t, float reach)
{
    kern_halo halo;
    kern_near_draft draft;
    kern_near *near;
    uint32_t room = 1;
    void *scratch;

    scene_halo(s, t, &halo);
    scratch = scene_alloc(kern_near_scratch_size(&halo, room));
    while (!kern_near_find(&draft, &halo, reach, room, scratch)) {
        free(scratch);
        room *= 2;
        scratch = scene_alloc(kern_near_scratch_size(&halo, room));
    }
    near = scene_alloc(kern_near_size(&draft.near));
    kern_near_make(near, &draft);
    assert_true(near->wide || near->row_count < 1u << 14);
    free(scratch);
    return near;
}

static void put_rows(const scene *s, float *const *rows)
{
    for (uint32_t t = 0; t < s->tile_count; t++)
        for (uint32_t c = 0; c < 6; c++) {
            float *column = (float *)(uintptr_t)s->tiles[t].tile.columns[c];
            for (uint32_t i = 0; column != NULL && i < s->tiles[t].tile.row_count; i++)
                column[i] = rows[c][s->tiles[t].keys[i]];
        }
}

/* ---- lists in another place ---- */

static bool touches(const kern_tile *tile, uint32_t t, uint32_t cell)
{
    uint32_t at[3] = { cell % tile->cells[0], cell / tile->cells[0] % tile->cells[1],
                       cell / tile->cells[0] / tile->cells[1] };
    int offset[3] = { (int)(t % 3) - 1, (int)(t / 3 % 3) - 1, (int)(t / 9) - 1 };
    bool touching = true;

    for (uint32_t axis = 0; axis < 3; axis++) {
        uint32_t range[2];

        kern_rim_range(tile, offset[axis], axis, range);
        touching &= at[axis] >= range[0] && at[axis] < range[1];
    }
    return touching;
}

/* A tile as another worker sends it: the cells that do not touch the middle are empty. */
static void thin_tile(kern_tile *tile, uint32_t t)
{
    uint32_t cells = tile->cells[0] * tile->cells[1] * tile->cells[2];
    uint32_t *cell_rows = scene_alloc((cells + 1) * sizeof *cell_rows);
    kern_tile thin = *tile;

    for (uint32_t c = 0; c < KERN_COLUMNS_MAX; c++)
        thin.columns[c] = tile->columns[c] == NULL ? NULL : scene_alloc(tile->row_count * sizeof(float));
    thin.row_count = 0;
    for (uint32_t cell = 0; cell < cells; cell++) {
        cell_rows[cell] = thin.row_count;
        for (uint32_t i = tile->cell_rows[cell]; touches(tile, t, cell) && i < tile->cell_rows[cell + 1]; i++) {
            for (uint32_t c = 0; c < KERN_COLUMNS_MAX; c++)
                if (thin.columns[c] != NULL)
                    ((float *)(uintptr_t)thin.columns[c])[thin.row_count] = tile->columns[c][i];
            thin.row_count++;
        }
    }
    cell_rows[cells] = thin.row_count;
    thin.cell_rows = cell_rows;
    *tile = thin;
}

/* All but the middle. */
static void thin_halo(kern_halo *halo)
{
    for (uint32_t t = 0; t < KERN_HALO_TILES; t++)
        if (t != KERN_HALO_SELF && halo->tiles[t].cell_rows != NULL)
            thin_tile(&halo->tiles[t], t);
}

static void free_thin(kern_halo *halo)
{
    for (uint32_t t = 0; t < KERN_HALO_TILES; t++) {
        if (t == KERN_HALO_SELF || halo->tiles[t].cell_rows == NULL)
            continue;
        for (uint32_t c = 0; c < KERN_COLUMNS_MAX; c++)
            free((void *)(uintptr_t)halo->tiles[t].columns[c]);
        free((void *)(uintptr_t)halo->tiles[t].cell_rows);
    }
}

/* The bytes of lists somewhere else, as another worker makes use of them. */
static kern_near *carry_lists(const kern_near *near, const kern_halo *halo)
{
    size_t size = kern_near_size(near);
    kern_near *there = scene_alloc(size);

    memcpy(there, near, size);
    there->first = NULL;
    there->list = NULL;
    there->runs = NULL;
    assert_true(kern_near_accept(there, size, halo));
    assert_true(kern_near_find_ghosts(there, halo, UINT32_MAX));
    return there;
}

/* One tile's results, to six columns by key. Without lists, by the pad; `carried`: by lists that were made
 * elsewhere, and by what another worker sends of the tiles around. */
static void run_tile(const scene *s, uint32_t t, const kern_boids_params *p, const kern_near *near,
                     bool carried, float *result)
{
    const scene_tile *tile = &s->tiles[t];
    kern_near *there = NULL;
    kern_halo halo;
    float *out[6];
    void *scratch;

    scene_halo(s, t, &halo);
    if (carried) {
        thin_halo(&halo);
        near = there = carry_lists(near, &halo);
    }
    scratch = scene_alloc(near != NULL ? kern_boids_near_scratch_size(near)
                                       : kern_boids_scratch_size(&halo));
    for (uint32_t c = 0; c < 6; c++)
        out[c] = c % 3 < s->options.axis_count ? scene_alloc(tile->tile.row_count * sizeof(float))
                                               : NULL;
    if (near != NULL)
        kern_boids_near(p, &halo, near, out, scratch);
    else
        kern_boids(p, &halo, out, scratch);
    for (uint32_t c = 0; c < 6; c++) {
        for (uint32_t i = 0; out[c] != NULL && i < tile->tile.row_count; i++)
            result[c * s->options.row_count + tile->keys[i]] = out[c][i];
        free(out[c]);
    }
    free(scratch);
    free(there);
    if (carried)
        free_thin(&halo);
}

/* The kernel's six columns by key, tile by tile; reach 0: by the pad. */
static float *run_kernel(const scene *s, const kern_boids_params *p, float *const *rows, float reach, bool carried)
{
    float *result = scene_alloc(6 * s->options.row_count * sizeof *result);
    kern_near **near = calloc(s->tile_count, sizeof(*near));

    assert_non_null(near);
    for (uint32_t t = 0; reach > 0 && t < s->tile_count; t++)
        near[t] = make_lists(s, t, reach);
    put_rows(s, rows);
    for (uint32_t t = 0; t < s->tile_count; t++) {
        run_tile(s, t, p, near[t], carried, result);
        free(near[t]);
    }
    free(near);
    put_rows(s, s->rows);
    return result;
}

static void assert_same_bits(const float *expected, const float *got, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&expected[i], &got[i], sizeof *got) != 0)
            fail_msg("number %zu of %zu: %a, not %a", i, count, (double)got[i],
                     (double)expected[i]);
}

/* Cells of edge 1; a row sees a little less far. */
static kern_boids_params params_of(const scene_options *o)
{
    kern_boids_params p = {
        .radius = 0.9999f,
        .separation_radius = 0.3f,
        .scale = 0.15f,
        .steer = 0.055f,
        .collision = 10.0f,
        .match = 0.015f,
        .speed_min = 0.5f,
        .speed_max = 1.0f,
        .wall_distance = 0.7f,
        .wall_steer = 0.05f,
        .dt = 0.25f,
    };

    for (uint32_t axis = 0; axis < 3; axis++) {
        p.size[axis] = o->size[axis];
        p.edge[axis] = axis >= o->axis_count ? KERN_EDGE_NONE
                       : o->periodic[axis]   ? KERN_EDGE_PERIODIC
                                             : KERN_EDGE_CLOSED;
    }
    return p;
}

/* Rows that have moved by at most half of the skin from where the scene has them; it may be over an edge. */
static void move_rows(const scene *s, float skin, float *rows[6])
{
    uint64_t seed = 5;
    float most = skin / 2 / sqrtf((float)s->options.axis_count) * 0.9999f;

    for (uint32_t c = 0; c < 6; c++) {
        rows[c] = scene_alloc(s->options.row_count * sizeof(float));
        memcpy(rows[c], s->rows[c], s->options.row_count * sizeof(float));
        for (uint32_t i = 0; c < s->options.axis_count && i < s->options.row_count; i++)
            rows[c][i] += (scene_uniform(&seed) * 2 - 1) * most;
    }
}

/* Compares the kernel under several tilings with the oracle. Radius and skin together are a cell's
 * width. */
static void check_rows(scene *s, const kern_boids_params *p, float *const *rows, float skin,
                       const uint32_t (*tilings)[3], size_t count)
{
    float *expected = oracle(s, p, rows);

    for (size_t i = 0; i < count; i++) {
        memcpy(s->options.tiles, tilings[i], sizeof s->options.tiles);
        scene_cut(s);
        for (int lists = 0; lists < 3; lists++) {
            float reach = lists == 0 ? 0 : p->radius + skin + 0.00005f;
            float *got = run_kernel(s, p, rows, reach, lists == 2);
            assert_same_bits(expected, got, 6 * s->options.row_count);
            free(got);
        }
        scene_fini_tiles(s);
    }
    free(expected);
}

static void check_tilings(scene *s, const uint32_t (*tilings)[3], size_t count)
{
    kern_boids_params p = params_of(&s->options);
    float skin = 0.3f, *moved[6];

    check_rows(s, &p, s->rows, 0, tilings, count);
    p.radius -= skin;
    move_rows(s, skin, moved);
    check_rows(s, &p, moved, skin, tilings, count);
    for (uint32_t c = 0; c < 6; c++)
        free(moved[c]);
}

static scene_options options_of(uint32_t rows, uint32_t axes, const uint32_t cells[3],
                                const bool periodic[3])
{
    scene_options o = { .row_count = rows, .axis_count = axes };

    for (int axis = 0; axis < 3; axis++) {
        o.cells[axis] = cells[axis];
        o.size[axis] = (float)cells[axis];
        o.periodic[axis] = periodic[axis];
    }
    return o;
}

static void check_random(uint32_t rows, uint32_t axes, const uint32_t cells[3],
                         const bool periodic[3], const uint32_t (*tilings)[3], size_t count)
{
    scene_options o = options_of(rows, axes, cells, periodic);
    scene s;

    scene_init(&s, &o, rows + axes);
    check_tilings(&s, tilings, count);
    scene_fini(&s);
}

static const bool closed[3] = { false, false, false }, periodic[3] = { true, true, true };

static void same_bits_in_a_closed_box(void **state)
{
    static const uint32_t cells[3] = { 6, 7, 8 };
    static const uint32_t tilings[][3] = { { 1, 1, 1 }, { 2, 1, 3 }, { 3, 4, 2 }, { 6, 7, 8 } };

    (void)state;
    check_random(170, 3, cells, closed, tilings, 4);
    check_random(2500, 3, cells, closed, tilings, 4);
}

static void same_bits_in_a_periodic_box(void **state)
{
    static const uint32_t cells[3] = { 5, 6, 4 };
    static const uint32_t tilings[][3] = { { 1, 1, 1 }, { 3, 1, 1 }, { 1, 4, 3 }, { 5, 6, 4 } };

    (void)state;
    check_random(60, 3, cells, periodic, tilings, 4);
    check_random(1500, 3, cells, periodic, tilings, 4);
}

static void same_bits_with_mixed_edges(void **state)
{
    static const bool mixed[3] = { true, false, true };
    static const uint32_t cells[3] = { 4, 3, 3 };
    static const uint32_t tilings[][3] = { { 1, 1, 1 }, { 4, 2, 1 }, { 3, 3, 3 } };

    (void)state;
    check_random(300, 3, cells, mixed, tilings, 3);
}

/* An axis of one or two cells meets some rows twice, as different images. */
static void same_bits_in_a_small_periodic_box(void **state)
{
    static const uint32_t cell[3] = { 1, 1, 1 }, pair[3] = { 2, 1, 2 };
    static const uint32_t tilings[][3] = { { 1, 1, 1 } };

    (void)state;
    check_random(1, 3, cell, periodic, tilings, 1);
    check_random(40, 3, cell, periodic, tilings, 1);
    check_random(50, 3, pair, periodic, tilings, 1);
}

static void same_bits_in_fewer_axes(void **state)
{
    static const uint32_t plane[3] = { 9, 8, 1 }, line[3] = { 40, 1, 1 };
    static const uint32_t planes[][3] = { { 1, 1, 1 }, { 3, 4, 1 }, { 9, 3, 1 } };
    static const uint32_t lines[][3] = { { 1, 1, 1 }, { 7, 1, 1 } };

    (void)state;
    check_random(150, 2, plane, periodic, planes, 3);
    check_random(900, 2, plane, closed, planes, 3);
    check_random(300, 1, line, periodic, lines, 2);
    check_random(30, 1, line, closed, lines, 2);
}

/* Rows in one place, at rest, on walls; and most tiles empty. */
static void same_bits_in_hard_places(void **state)
{
    static const uint32_t cells[3] = { 5, 5, 5 };
    static const uint32_t tilings[][3] = { { 1, 1, 1 }, { 3, 3, 3 }, { 5, 5, 5 } };
    scene_options o = options_of(600, 3, cells, closed);
    scene s;

    (void)state;
    scene_init(&s, &o, 3);
    for (uint32_t i = 0; i < o.row_count; i++) {
        for (int axis = 0; axis < 3; axis++) {
            float x = 3.0f + s.rows[axis][i] * 0.15f;

            s.rows[axis][i] = i % 50 == 0 ? 3.5f : i % 50 == 1 ? 5.0f : i % 50 == 2 ? 0.0f : x;
            if (i % 7 == 0)
                s.rows[3 + axis][i] = 0.0f;
        }
    }
    s.rows[0][77] = 0.0f; /* alone and at rest */
    s.rows[1][77] = 5.0f;
    s.rows[3][77] = s.rows[4][77] = s.rows[5][77] = 0.0f;
    check_tilings(&s, tilings, 3);
    scene_fini(&s);
}

/* More rows in a tile than entries of two bytes can name. */
static void same_bits_by_wide_lists(void **state)
{
    static const uint32_t cells[3] = { 13, 12, 14 };
    static const uint32_t tilings[][3] = { { 1, 1, 1 } };

    (void)state;
    check_random(17001, 3, cells, closed, tilings, 1);
    check_random(17000, 3, cells, periodic, tilings, 1);
}

static void takes_an_empty_space(void **state)
{
    static const uint32_t cells[3] = { 3, 3, 3 };
    static const uint32_t tilings[][3] = { { 1, 1, 1 }, { 3, 3, 3 } };

    (void)state;
    check_random(0, 3, cells, periodic, tilings, 2);
    check_random(2, 3, cells, closed, tilings, 2);
}

/* A pair worked out by hand: they see each other and nothing else. */
static void two_birds_by_hand(void **state)
{
    static const uint32_t cells[3] = { 4, 4, 4 };
    scene_options o = options_of(2, 3, cells, periodic);
    kern_boids_params p = params_of(&o);
    scene s;
    float *got;

    (void)state;
    memcpy(o.tiles, (const uint32_t[3]){ 1, 1, 1 }, sizeof o.tiles);
    scene_init(&s, &o, 1);
    for (int c = 0; c < 6; c++)
        s.rows[c][0] = s.rows[c][1] = c < 3 ? 2.0f : 0.0f;
    s.rows[0][0] = 0.25f; /* half apart, across the edge */
    s.rows[0][1] = 3.75f;
    s.rows[3][0] = 0.75f;
    s.rows[4][1] = 0.75f;
    scene_cut(&s);
    got = run_kernel(&s, &p, s.rows, 0, false);
    /* change = 0.055 * -0.5 - 0.75 along x, 0.015 * 0.75 along y */
    assert_float_equal(got[3 * 2], 0.75f + 0.15f * (-0.0275f - 0.75f), 1e-6f);
    assert_float_equal(got[4 * 2], 0.15f * 0.01125f, 1e-6f);
    assert_float_equal(got[5 * 2], 0.0f, 0.0f);
    assert_float_equal(got[0], 0.25f + 0.25f * got[3 * 2], 1e-6f);
    /* change = 0.055 * 0.5 + 0.015 * 0.75 along x, -0.75 along y */
    assert_float_equal(got[3 * 2 + 1], 0.15f * (0.0275f + 0.01125f), 1e-6f);
    assert_float_equal(got[4 * 2 + 1], 0.75f - 0.15f * 0.75f, 1e-6f);
    free(got);
    scene_fini_tiles(&s);
    scene_fini(&s);
}

/* Lists whose bytes were changed on the way, one at a time. */
typedef struct damage {
    const char *what;
    void (*make)(kern_near *near, uint32_t *first, uint16_t *list, kern_near_run *runs);
    bool found_late; /* when the ghosts are looked for */
} damage;

#define DAMAGE(name, what)                                                                               \
    static void name(kern_near *near, uint32_t *first, uint16_t *list, kern_near_run *runs)               \
    {                                                                                                    \
        (void)near, (void)first, (void)list, (void)runs;                                                 \
        what;                                                                                            \
    }
DAMAGE(more_rows, near->row_count++)
DAMAGE(more_ghosts, near->ghost_count++)
DAMAGE(many_ghosts, near->ghost_count = UINT32_MAX)
DAMAGE(longer, near->list_size += 64)
DAMAGE(far_longer, near->list_size = UINT32_MAX)
DAMAGE(late_begin, first[0] = 16)
DAMAGE(early_end, first[(near->row_count + 1) / 2] -= 16)
DAMAGE(back, first[1] = near->list_size + 16)
DAMAGE(half_a_pair, first[1] += 8)
DAMAGE(beyond, list[0] = (uint16_t)((near->row_count + near->ghost_count + 1) * 4))
DAMAGE(between, list[1] ^= 2)
DAMAGE(beyond_last, list[near->list_size - 1] = UINT16_MAX / 4 * 4)
DAMAGE(run_of_before, near->run_begin[0] = 1)
DAMAGE(runs_back, near->run_begin[5] = near->run_begin[KERN_HALO_TILES] + 1)
DAMAGE(far_more_runs, near->run_begin[KERN_HALO_TILES] = UINT32_MAX)
DAMAGE(own_run, near->run_begin[KERN_HALO_SELF + 1]++)
DAMAGE(long_run, runs[0].count++)
DAMAGE(high_rank, runs[near->run_begin[KERN_HALO_TILES] - 1].rank = 1u << 20)
DAMAGE(ranks_back, runs[near->run_begin[5] - 1].rank = 0)
DAMAGE(over_the_line, runs[0].count = near->ghost_count;
       for (uint32_t i = 1; i < near->run_begin[KERN_HALO_TILES]; i++) runs[i].count = 0)

static const damage damages[] = {
    { "more rows", more_rows, false },         { "more ghosts", more_ghosts, false },
    { "many ghosts", many_ghosts, false },     { "longer", longer, false },
    { "far longer", far_longer, false },       { "a late begin", late_begin, false },
    { "an early end", early_end, false },      { "a list that goes back", back, false },
    { "half a pair", half_a_pair, false },     { "beyond", beyond, false },
    { "between two records", between, false }, { "the last one beyond", beyond_last, false },
    { "a run of before", run_of_before, false }, { "runs that go back", runs_back, false },
    { "far more runs", far_more_runs, false }, { "a run of the middle", own_run, false },
    { "a run too long", long_run, false },     { "a high rank", high_rank, true },
    { "ranks that go back", ranks_back, true }, { "a run over the end of its line", over_the_line, true },
};

static void refuses_damaged_lists(void **state)
{
    static const uint32_t cells[3] = { 6, 6, 6 };
    scene_options o = options_of(2500, 3, cells, periodic);
    kern_near *near;
    kern_halo halo;
    size_t size;
    scene s;

    (void)state;
    memcpy(o.tiles, (const uint32_t[3]){ 3, 3, 3 }, sizeof o.tiles);
    scene_init(&s, &o, 9);
    scene_cut(&s);
    scene_halo(&s, 13, &halo);
    near = make_lists(&s, 13, 0.9f);
    size = kern_near_size(near);
    assert_false(near->wide);
    assert_true(near->run_begin[5] > near->run_begin[4] + 1); /* of the tile below */
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        kern_near *bad = scene_alloc(size);

        memcpy(bad, near, size);
        assert_true(kern_near_accept(bad, size, &halo) && kern_near_find_ghosts(bad, &halo, UINT32_MAX));
        assert_memory_equal(bad->runs, near->runs, near->run_begin[KERN_HALO_TILES] * sizeof *near->runs);
        damages[i].make(bad, (uint32_t *)(uintptr_t)bad->first, (uint16_t *)(uintptr_t)bad->list, bad->runs);
        if (kern_near_accept(bad, size, &halo) != damages[i].found_late)
            fail_msg("%s: accepted: %d", damages[i].what, !damages[i].found_late);
        if (damages[i].found_late && kern_near_find_ghosts(bad, &halo, UINT32_MAX))
            fail_msg("%s: ghosts were found", damages[i].what);
        free(bad);
    }
    assert_false(kern_near_accept(near, size - 1, &halo));
    assert_false(kern_near_accept(near, sizeof *near - 1, &halo));
    assert_false(kern_near_accept(near, size + 64, &halo));
    free(near);
    scene_fini_tiles(&s);
    scene_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_in_a_closed_box),
        cmocka_unit_test(same_bits_in_a_periodic_box),
        cmocka_unit_test(same_bits_with_mixed_edges),
        cmocka_unit_test(same_bits_in_a_small_periodic_box),
        cmocka_unit_test(same_bits_in_fewer_axes),
        cmocka_unit_test(same_bits_in_hard_places),
        cmocka_unit_test(same_bits_by_wide_lists),
        cmocka_unit_test(takes_an_empty_space),
        cmocka_unit_test(two_birds_by_hand),
        cmocka_unit_test(refuses_damaged_lists),
    };

    return cmocka_run_group_tests_name("boids", tests, NULL, NULL);
}
