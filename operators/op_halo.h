/* From a halo input to what the pair kernels read: shared by the kinds that look at neighbours. */
#ifndef OP_HALO_H
#define OP_HALO_H

#include "dataflow/weir/operator.h"
#include "kernels/kern_near.h"

/* Describe the tile and its neighbours; columns[i] is the input's column for the kernel's column i,
 * -1 where the space has no such axis. Columns 0, 1, 2 are the axes, unwrapped (weir_unwrapped). The
 * halo lives as long as the task. */
weir_status op_halo_fill(kern_halo *halo, weir_task *task, uint32_t port, const int *columns,
                         uint32_t column_count);

/* How far lists must reach for a radius, so that nobody who comes within it is missing from them before
 * the rows settle again: lists that are made when rows settle, and such that are made while they rest, anywhere
 * within half a skin of where they settled. Both 0: rows settle at every step, lists do not pay. */
typedef struct op_reach {
    float settled, resting;
} op_reach;

op_reach op_halo_reach(const weir_plan *plan, uint32_t port, double radius);
/* The lists of a halo input, kept or made anew; null: none, look for neighbours without. `reach` is not 0. */
const kern_near *op_halo_near(weir_task *task, uint32_t port, const kern_halo *halo, op_reach reach);

#endif
