/* Batches: rows of one key group at one step, in columns, immutable once published.
 *
 * A batch holds one reference to each of its columns' buffers; an unchanged column is shared with
 * the batch it came from. Batches and columns are counted apart and come from the pool. */
#ifndef DF_BATCH_H
#define DF_BATCH_H

#include "dataflow/df_pool.h"
#include "dataflow/weir/operator.h"

typedef struct df_batch {
    weir_batch view; /* first: a kind sees only this */
    /* Where rows go, on an edge that routes them. Keyed: the rows themselves are in order of
     * destination and `offsets` [destinations + 1] cuts them. Spatial: rows stay where they are;
     * cells[i] is row i's cell in its own tile, or DF_LEAVES; the rows that leave are listed in
     * leaving_rows / leaving_cells, cut by offsets. */
    uint32_t *offsets;
    uint32_t *cells;
    uint32_t *leaving_rows;
    uint32_t *leaving_cells;
    /* Of a state that does not settle at every step: where each row was when it settled, by axis, and
     * so the cell that view.cell_rows has it in. Handed on to what operators make of the rows. */
    float *settled[WEIR_AXES_MAX];
    struct df_batch *lender; /* holds the references to all of the above; null: this batch does */
} df_batch;

#define DF_LEAVES UINT32_MAX

/* The means of one thread to make and drop batches. */
typedef struct df_memory {
    df_pool *pool;
    uint32_t thread;
} df_memory;

/* A batch without keys and columns. Null: out of memory. */
df_batch *df_batch_new(df_memory memory, const weir_schema *schema, uint64_t step,
                       uint32_t key_group);
/* Get a buffer for the keys and for each column; of no rows there is one for all. False: out of memory; the batch stays
 * valid. */
bool df_batch_alloc(df_memory memory, df_batch *batch, uint32_t row_count);
bool df_batch_alloc_column(df_memory memory, df_batch *batch, uint32_t column);
/* Let `to` hold the keys (column == DF_KEYS) or a column of `from` too. */
#define DF_KEYS UINT32_MAX
void df_batch_share(df_batch *to, uint32_t to_column, const weir_batch *from, uint32_t from_column);
/* Let `to`, whose rows are those of `from`, have them where they settled. */
void df_batch_share_settled(df_batch *to, const df_batch *from);
/* Let `to`, a new batch, have all that `from` has: its rows, column c as column columns[c], and where they settled. One
 * reference, to `from` or its lender, stands for all; `from` has no further columns, or they would live on. */
void df_batch_borrow(df_batch *to, df_batch *from, const uint32_t *columns);
/* What is kept of a batch in a snapshot, by the columns of df_state.stored: a buffer for each. */
bool df_batch_alloc_stored(df_memory memory, df_batch *batch, const weir_schema *stored,
                           uint32_t row_count) DF_MUST_CHECK;
void *df_batch_stored_column(const df_batch *batch, uint32_t column);
df_batch *df_batch_ref(df_batch *batch);
/* Null is allowed. The last reference releases the columns. */
void df_batch_unref(df_memory memory, df_batch *batch);

#endif
