/* From a halo input to what the pair kernels read: shared by the kinds that look at neighbours. */
#ifndef OP_HALO_H
#define OP_HALO_H

#include "dataflow/weir/operator.h"
#include "kernels/kern_cells.h"

/* Describe the tile and its neighbours; columns[i] is the input's column for the kernel's column i,
 * -1 where the space has no such axis. The halo lives as long as the task's inputs. */
void op_halo_fill(kern_halo *halo, const weir_task *task, uint32_t port, const int *columns,
                  uint32_t column_count);

#endif
