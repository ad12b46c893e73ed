#include "coordinator/coord_order.h"

#include <assert.h>
#include <string.h>

#define ORDER_STAGE_WEIGHT ((uint64_t)1 << 32) /* of all of a stage's key groups together */

/* Tiles [low, high) of each axis. */
typedef struct order_box {
    uint32_t low[WEIR_AXES_MAX], high[WEIR_AXES_MAX];
} order_box;

/* What is being filled. */
typedef struct order_fill {
    const df_plan *plan;
    const df_space *space;
    uint32_t *order;
    uint32_t count;
} order_fill;

/* ---- weights ---- */

static uint64_t tile_cells(const weir_tile *tile)
{
    return (uint64_t)tile->cells[0] * tile->cells[1] * tile->cells[2];
}

static void weigh_stage(const df_plan *plan, const df_partition *part, uint64_t *weights)
{
    const df_space *space = part->kind == DF_PART_SPACE ? &plan->spaces[part->space] : NULL;
    double total = part->key_groups;

    if (space != NULL)
        total = (double)space->view.cells[0] * space->view.cells[1] * space->view.cells[2];
    for (uint32_t g = 0; g < part->key_groups; g++) {
        double own = space != NULL ? (double)tile_cells(&space->tiles[g]) : 1;

        weights[df_plan_unit(plan, g, part->key_groups)] += (uint64_t)((double)ORDER_STAGE_WEIGHT * own / total);
    }
}

/* What fills the states works once, before step 0, perhaps in a single key group. */
static bool works_at_steps(const df_stage *stage, const bool *active)
{
    for (uint32_t i = 0; i < stage->vertex_count; i++)
        if (active[stage->vertices[i]])
            return true;
    return false;
}

/* Returns the sum. */
static uint64_t weigh(const df_plan *plan, uint64_t *weights)
{
    bool active[DF_STATES_MAX + DF_OPERATORS_MAX];
    uint64_t sum = 0;

    df_plan_activity(plan, 1, active);
    memset(weights, 0, plan->key_groups * sizeof *weights);
    for (uint32_t s = 0; s < plan->stage_count; s++)
        if (!plan->stages[s].sink && plan->stages[s].partition.kind != DF_PART_ONE &&
            works_at_steps(&plan->stages[s], active))
            weigh_stage(plan, &plan->stages[s].partition, weights);
    for (uint32_t u = 0; u < plan->key_groups; u++)
        sum += weights[u];
    return sum;
}

/* ---- order ---- */

static uint32_t cells_between(const df_space *space, uint32_t axis, uint32_t low, uint32_t high)
{
    return space->first_cell[axis][high] - space->first_cell[axis][low];
}

/* Cells of the border, over the parts of the box on either side of it: the less the better. A box that is a whole
 * periodic axis has a second border. */
static double cut_cost(const df_space *space, const order_box *box, uint32_t axis, uint32_t at)
{
    double all = cells_between(space, axis, box->low[axis], box->high[axis]);
    double below = cells_between(space, axis, box->low[axis], at) / all;
    bool whole = box->low[axis] == 0 && box->high[axis] == space->view.tiles[axis];
    double border = space->view.periodic[axis] && whole ? 2 : 1;

    for (uint32_t a = 0; a < WEIR_AXES_MAX; a++)
        if (a != axis)
            border *= cells_between(space, a, box->low[a], box->high[a]);
    return border / (below * (1 - below));
}

/* Where to cut a box of several tiles. */
static void choose_cut(const df_space *space, const order_box *box, uint32_t *axis, uint32_t *at)
{
    double best = -1;

    for (uint32_t a = 0; a < WEIR_AXES_MAX; a++)
        for (uint32_t t = box->low[a] + 1; t < box->high[a]; t++) {
            double cost = cut_cost(space, box, a, t);

            if (best < 0 || cost < best) {
                best = cost;
                *axis = a;
                *at = t;
            }
        }
    assert(best >= 0);
}

/* There are at most as many tiles as units, so no two are of one. A unit without a tile follows the one before it. */
static void lay_tile(order_fill *fill, uint32_t tile)
{
    uint32_t tiles = fill->space->tile_count;

    for (uint32_t u = df_plan_unit(fill->plan, tile, tiles); u < df_plan_unit(fill->plan, tile + 1, tiles); u++)
        fill->order[fill->count++] = u;
}

/* Calls itself for both halves, which are nearly halves: not deep. */
static void lay_box(order_fill *fill, const order_box *box)
{
    const df_space *space = fill->space;
    order_box below = *box, above = *box;
    uint32_t tiles = 1, axis = 0, at = 0;

    for (uint32_t a = 0; a < WEIR_AXES_MAX; a++)
        tiles *= box->high[a] - box->low[a];
    if (tiles == 1) {
        lay_tile(fill, space->tile_of_position[(box->low[2] * space->view.tiles[1] + box->low[1]) *
                                                   space->view.tiles[0] + box->low[0]]);
        return;
    }
    choose_cut(space, box, &axis, &at);
    below.high[axis] = above.low[axis] = at;
    lay_box(fill, &below);
    lay_box(fill, &above);
}

/* The one that is cut into most tiles. */
static const df_space *finest_space(const df_plan *plan)
{
    const df_space *finest = NULL;

    for (uint32_t s = 0; s < plan->space_count; s++)
        if (plan->spaces[s].tile_count > 1 && (finest == NULL || plan->spaces[s].tile_count > finest->tile_count))
            finest = &plan->spaces[s];
    return finest;
}

bool coord_order_units(const df_plan *plan, uint32_t *order, uint64_t *weights)
{
    order_fill fill = { .plan = plan, .space = finest_space(plan), .order = order };
    order_box all = { { 0 }, { 0 } };

    if (fill.space == NULL || weigh(plan, weights) == 0)
        return false;
    memcpy(all.high, fill.space->view.tiles, sizeof all.high);
    lay_box(&fill, &all);
    assert(fill.count == plan->key_groups);
    return true;
}

bool coord_order_faces(const df_plan *plan, uint32_t (*faces)[6])
{
    /* Slots of a halo are counted from (-1, -1, -1), the first axis fastest. */
    static const uint32_t slots[6] = { WEIR_HALO_CENTRE - 1, WEIR_HALO_CENTRE + 1, WEIR_HALO_CENTRE - 3,
                                       WEIR_HALO_CENTRE + 3, WEIR_HALO_CENTRE - 9, WEIR_HALO_CENTRE + 9 };
    const df_space *space = finest_space(plan);

    if (space == NULL)
        return false;
    memset(faces, 0xff, plan->key_groups * sizeof *faces); /* DF_NONE */
    for (uint32_t t = 0; t < space->tile_count; t++)
        for (uint32_t i = 0; i < 6; i++) {
            uint32_t beside = space->tiles[t].neighbours[slots[i]];

            if (beside != WEIR_NO_ROW && beside != t)
                faces[df_plan_unit(plan, t, space->tile_count)][i] = df_plan_unit(plan, beside, space->tile_count);
        }
    return true;
}
