/* The list of built-in kinds: the one line to add for a new one. Its order is the order of listings.
 * A source and a sink may share a name. */
#ifndef OP_LIST_H
#define OP_LIST_H

#include "dataflow/df_draft.h"

#define OP_LIST(X)                                                                                 \
    X(op_uniform)                                                                                  \
    X(op_lattice)                                                                                  \
    X(op_population)                                                                               \
    X(op_csv_source)                                                                               \
    X(op_boids)                                                                                    \
    X(op_lennard_jones)                                                                            \
    X(op_integrate)                                                                                \
    X(op_sir)                                                                                      \
    X(op_aggregate)                                                                                \
    X(op_thermo)                                                                                   \
    X(op_compare)                                                                                  \
    X(op_print)                                                                                    \
    X(op_csv_sink)                                                                                 \
    X(op_hdf5)                                                                                     \
    X(op_png)                                                                                      \
    X(op_null)

extern const df_kinds op_kinds;

#endif
