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
 * rows settle again. 0: there are no lists, for rows settle at every step. */
float op_halo_reach(const weir_plan *plan, uint32_t port, double radius);
/* The lists of neighbours in a halo: those that were kept, or new ones where its rows are as they
 * settled; null: none, look for neighbours without. `reach` is not 0. */
const kern_near *op_halo_near(weir_task *task, uint32_t port, const kern_halo *halo, float reach);

#endif
