/* In which order a plan's units are laid out over workers at first, and how heavy each is taken to be while
 * nothing has been measured.
 *
 * Key groups are numbered along a Morton curve, and their numbers are part of a job's results. But where the tiles of
 * an axis are not a power of two, half of the curve is neither half of the space nor a compact piece: of 3 x 4 x 5
 * tiles it is 48 % of the cells, with two fifths more border than the plane in the middle has. So the order is another
 * one: the box of all tiles is cut in two where the border is shortest for the cells on either side, and so are its
 * halves. Any piece of it then is nearly a box, and half of it exactly one where that is possible. */
#ifndef COORD_ORDER_H
#define COORD_ORDER_H

#include "dataflow/df_plan.h"

/* Fill order[key_groups], each unit once, and weights[key_groups], by unit: the cells and the runs of keys that its
 * tasks work on at each step, not before the first. False: the plan has nothing that lies in a space, or nothing that
 * works at steps; what is filled means nothing then. */
bool coord_order_units(const df_plan *plan, uint32_t *order, uint64_t *weights);

/* Fill faces[key_groups]: for each unit those across the faces of its tile, DF_NONE where nothing lies. False: the plan
 * has nothing that lies in a space, and nothing is filled. */
bool coord_order_faces(const df_plan *plan, uint32_t (*faces)[6]);

#endif
