/* What is known of columns that do not change: the runs of equal values of a column, whether keys are
 * in order. An unchanged column is one buffer that many batches share, so what was found stays with the
 * buffer (df_pool_note) and is looked up at the next step.
 *
 * Why results do not depend on it: what is found is a function of the column's values alone. Who asks
 * first finds it, in whichever thread. */
#include "dataflow/df_task_private.h"
#include "kernels/kern_runs.h"

#include <string.h>

/* A column is remembered where its runs are long: then the note is small beside the column. */
#define FACTS_ROWS_PER_RUN 16u

/* ---- keys ---- */

/* A fact of a keys' buffer: what holds for how many rows. */
#define FACT_KNOWN     1u
#define FACT_ASCENDING 2u
#define FACT_DENSE     4u
#define FACT_ROW_SHIFT 8

static uint64_t find_key_facts(const uint64_t *keys, uint32_t rows)
{
    uint64_t fact = FACT_KNOWN | (uint64_t)rows << FACT_ROW_SHIFT;

    if (!kern_ascending(keys, rows))
        return fact;
    fact |= FACT_ASCENDING;
    return rows > 0 && keys[rows - 1] - keys[0] == rows - 1 ? fact | FACT_DENSE : fact;
}

static uint64_t key_facts(const weir_batch *batch)
{
    uint64_t fact = df_pool_fact(batch->keys);

    if (fact == 0 || fact >> FACT_ROW_SHIFT != batch->row_count) {
        fact = find_key_facts(batch->keys, batch->row_count);
        df_pool_set_fact(batch->keys, fact);
    }
    return fact;
}

bool graph_keys_ascending(const weir_batch *batch)
{
    return (key_facts(batch) & FACT_ASCENDING) != 0;
}

/* ---- runs ---- */

/* The note of a column's buffer. */
typedef struct run_note {
    uint32_t rows, count;
    bool ascending;
    uint32_t begins[]; /* [count + 1] */
} run_note;

uint64_t graph_key_at(const weir_batch *batch, uint32_t column, uint32_t row)
{
    const void *values = batch->columns[column];

    switch (batch->schema->columns[column].type) {
    case WEIR_U8:
        return ((const uint8_t *)values)[row];
    case WEIR_U32:
        return ((const uint32_t *)values)[row];
    case WEIR_I32:
        return (uint64_t)(int64_t)((const int32_t *)values)[row];
    default:
        return ((const uint64_t *)values)[row];
    }
}

static bool find_runs(graph_thread *t, const weir_batch *batch, uint32_t column, weir_runs *runs)
{
    size_t size = weir_type_size(batch->schema->columns[column].type);
    uint32_t n = batch->row_count, count = 0;
    uint32_t *begins = graph_scratch_get(t, (n + 2ull) * sizeof *begins);
    bool ascending = true;

    if (begins == NULL)
        return false;
    for (uint32_t i = 0; i < n; count++) {
        begins[count] = i;
        ascending &= i == 0 || graph_key_at(batch, column, i) > graph_key_at(batch, column, i - 1);
        i = kern_run_end(batch->columns[column], size, i, n);
    }
    begins[count] = n;
    *runs = (weir_runs){ .count = count, .ascending = ascending, .begins = begins };
    return true;
}

/* Without memory for a note the runs are found again the next time. */
static void note_runs(graph_thread *t, const weir_batch *batch, uint32_t column, const weir_runs *runs)
{
    size_t size = (runs->count + 1ull) * sizeof *runs->begins;
    run_note *note = df_pool_get(t->memory.pool, t->index, sizeof *note + size);
    void *gift = note;

    if (note == NULL)
        return;
    note->rows = batch->row_count;
    note->count = runs->count;
    note->ascending = runs->ascending;
    memcpy(note->begins, runs->begins, size);
    df_pool_set_note(t->index, batch->columns[column], &gift);
}

bool graph_column_runs(graph_thread *t, const weir_batch *batch, uint32_t column, weir_runs *runs)
{
    const run_note *note = df_pool_note(batch->columns[column]);

    if (note != NULL && note->rows == batch->row_count) {
        *runs = (weir_runs){ .count = note->count, .ascending = note->ascending, .begins = note->begins };
        return true;
    }
    if (!find_runs(t, batch, column, runs))
        return false;
    if (note == NULL && (uint64_t)runs->count * FACTS_ROWS_PER_RUN <= batch->row_count)
        note_runs(t, batch, column, runs);
    return true;
}

static void fill(uint32_t *to, uint32_t count, uint32_t value)
{
    for (uint32_t i = 0; i < count; i++)
        to[i] = value;
}

void graph_spread_runs(const weir_runs *runs, const uint32_t *values, uint32_t *to)
{
    for (uint32_t r = 0; r < runs->count; r++)
        fill(to + runs->begins[r], runs->begins[r + 1] - runs->begins[r],
             values == NULL ? r : values[r]);
}

/* The note of the note. */
const uint32_t *graph_run_numbers(graph_thread *t, const weir_batch *batch, uint32_t column)
{
    run_note *note = df_pool_note(batch->columns[column]);
    uint32_t *numbers;
    void *gift;

    if (note == NULL || note->rows != batch->row_count)
        return NULL;
    numbers = df_pool_note(note);
    if (numbers != NULL)
        return numbers;
    gift = numbers = df_pool_get(t->memory.pool, t->index, note->rows * sizeof *numbers);
    if (numbers == NULL)
        return NULL;
    graph_spread_runs(&(weir_runs){ .count = note->count, .begins = note->begins }, NULL, numbers);
    df_pool_set_note(t->index, note, &gift);
    return df_pool_note(note);
}

/* ---- what a kind calls ---- */

static const weir_batch *batch_of(const weir_task *task, uint32_t port)
{
    const weir_input *in = &task->inputs[port];

    return in->batches[in->exchange == WEIR_HALO ? WEIR_HALO_CENTRE : 0];
}

bool weir_column_runs(weir_task *task, uint32_t port, uint32_t column, weir_runs *runs)
{
    task_frame *f = (task_frame *)(void *)task;

    if (graph_column_runs(f->thread, batch_of(task, port), column, runs))
        return true;
    task_fail_memory(f);
    return false;
}

bool weir_keys_dense(const weir_task *task, uint32_t port)
{
    return (key_facts(batch_of(task, port)) & FACT_DENSE) != 0;
}
