#include "dataflow/df_batch.h"

#include <assert.h>
#include <string.h>

df_batch *df_batch_new(df_memory memory, const weir_schema *schema, uint64_t step,
                       uint32_t key_group)
{
    df_batch *batch = df_pool_get(memory.pool, memory.thread, sizeof *batch);

    if (batch == NULL)
        return NULL;
    batch->view.step = step;
    batch->view.key_group = key_group;
    batch->view.row_count = 0;
    batch->view.keys = NULL;
    memset(batch->view.columns, 0, schema->column_count * sizeof batch->view.columns[0]);
    batch->view.cell_rows = NULL;
    batch->view.schema = schema;
    memset(batch->settled, 0, sizeof batch->settled);
    batch->offsets = batch->cells = batch->leaving_rows = batch->leaving_cells = NULL;
    batch->lender = NULL;
    return batch;
}

bool df_batch_alloc_column(df_memory memory, df_batch *batch, uint32_t column)
{
    weir_batch *view = &batch->view;
    size_t size = weir_type_size(view->schema->columns[column].type) * view->row_count;

    assert(view->columns[column] == NULL);
    if (view->row_count == 0 && view->keys != NULL)
        view->columns[column] = df_pool_ref(view->keys);
    else
        view->columns[column] = df_pool_get(memory.pool, memory.thread, size);
    return view->columns[column] != NULL;
}

bool df_batch_alloc(df_memory memory, df_batch *batch, uint32_t row_count)
{
    batch->view.row_count = row_count;
    batch->view.keys = df_pool_get(memory.pool, memory.thread, row_count * sizeof(uint64_t));
    if (batch->view.keys == NULL)
        return false;
    for (uint32_t i = 0; i < batch->view.schema->column_count; i++)
        if (!df_batch_alloc_column(memory, batch, i))
            return false;
    return true;
}

void df_batch_share(df_batch *to, uint32_t to_column, const weir_batch *from, uint32_t from_column)
{
    if (to_column == DF_KEYS) {
        to->view.keys = df_pool_ref(from->keys);
        return;
    }
    assert(to->view.schema->columns[to_column].type == from->schema->columns[from_column].type);
    to->view.columns[to_column] = df_pool_ref(from->columns[from_column]);
}

void df_batch_share_settled(df_batch *to, const df_batch *from)
{
    if (from->settled[0] == NULL)
        return;
    to->view.cell_rows = df_pool_ref((void *)(uintptr_t)from->view.cell_rows);
    for (uint32_t a = 0; a < WEIR_AXES_MAX; a++)
        if (from->settled[a] != NULL)
            to->settled[a] = df_pool_ref(from->settled[a]);
}

void df_batch_borrow(df_batch *to, df_batch *from, const uint32_t *columns)
{
    assert(to->view.keys == NULL && from->view.schema->column_count == to->view.schema->column_count);
    to->view.row_count = from->view.row_count;
    to->view.keys = from->view.keys;
    for (uint32_t c = 0; c < to->view.schema->column_count; c++)
        to->view.columns[c] = from->view.columns[columns[c]];
    to->view.cell_rows = from->view.cell_rows;
    memcpy(to->settled, from->settled, sizeof to->settled);
    to->lender = df_batch_ref(from->lender != NULL ? from->lender : from); /* never a chain */
}

bool df_batch_alloc_stored(df_memory memory, df_batch *batch, const weir_schema *stored,
                           uint32_t row_count)
{
    if (!df_batch_alloc(memory, batch, row_count))
        return false;
    for (uint32_t c = batch->view.schema->column_count; c < stored->column_count; c++) {
        float **at = &batch->settled[c - batch->view.schema->column_count];
        *at = df_pool_get(memory.pool, memory.thread, row_count * sizeof **at);
        if (*at == NULL)
            return false;
    }
    return true;
}

void *df_batch_stored_column(const df_batch *batch, uint32_t column)
{
    uint32_t own = batch->view.schema->column_count;

    return column < own ? batch->view.columns[column] : batch->settled[column - own];
}

df_batch *df_batch_ref(df_batch *batch)
{
    return df_pool_ref(batch);
}

static void drop_columns(df_memory memory, df_batch *batch)
{
    df_pool_unref(memory.thread, batch->view.keys);
    for (uint32_t i = 0; i < batch->view.schema->column_count; i++)
        df_pool_unref(memory.thread, batch->view.columns[i]);
    df_pool_unref(memory.thread, (void *)(uintptr_t)batch->view.cell_rows);
    df_pool_unref(memory.thread, batch->offsets);
    df_pool_unref(memory.thread, batch->cells);
    df_pool_unref(memory.thread, batch->leaving_rows);
    df_pool_unref(memory.thread, batch->leaving_cells);
    for (uint32_t a = 0; a < WEIR_AXES_MAX; a++)
        df_pool_unref(memory.thread, batch->settled[a]);
}

void df_batch_unref(df_memory memory, df_batch *batch)
{
    df_batch *lender;

    if (batch == NULL || !df_pool_drop(batch))
        return;
    lender = batch->lender;
    if (lender == NULL)
        drop_columns(memory, batch);
    df_pool_recycle(memory.thread, batch);
    if (lender != NULL && df_pool_drop(lender)) {
        drop_columns(memory, lender);
        df_pool_recycle(memory.thread, lender);
    }
}
