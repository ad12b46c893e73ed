/* A stand-in for the engine, for tests that call one kind as a pure function.
 *
 * Include it in one .c of a test program: it defines the weir_ functions that kinds call, and a
 * program's definitions win over the library's. Errors are kept as text for the test to compare. */
#ifndef FAKE_WEIR_H
#define FAKE_WEIR_H

#include "dataflow/weir/operator.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_MEMORY_MAX 64

struct weir_plan {
    weir_job job;
    weir_schema input, output, carried;
    const weir_schema *target;
    const weir_space *space;
    char errors[2048]; /* "key: text\n" for each */
    uint32_t memory_count;
    void *memory[FAKE_MEMORY_MAX];
};

static weir_schema fake_output_schema;
static weir_batch *fake_output;
static char fake_failure[512]; /* of weir_fail */
static size_t fake_memory_limit = SIZE_MAX;

size_t weir_type_size(weir_type type)
{
    static const size_t sizes[] = { [WEIR_F32] = 4, [WEIR_F64] = 8, [WEIR_I32] = 4, [WEIR_I64] = 8,
                                    [WEIR_U32] = 4, [WEIR_U64] = 8, [WEIR_U8] = 1 };
    return sizes[type];
}

const char *weir_type_name(weir_type type)
{
    static const char *const names[] = { "", "f32", "f64", "i32", "i64", "u32", "u64", "u8" };
    return names[type];
}

int weir_schema_find(const weir_schema *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->column_count; i++)
        if (strcmp(schema->columns[i].name, name) == 0)
            return (int)i;
    return -1;
}

const weir_job *weir_plan_job(const weir_plan *plan)
{
    return &plan->job;
}

const weir_schema *weir_plan_input(const weir_plan *plan, uint32_t port)
{
    (void)port;
    return &plan->input;
}

const weir_space *weir_plan_space(const weir_plan *plan, uint32_t port)
{
    (void)port;
    return plan->space;
}

const weir_schema *weir_plan_target(const weir_plan *plan)
{
    return plan->target;
}

weir_status weir_plan_error(weir_plan *plan, const char *key, const char *format, ...)
{
    size_t n = strlen(plan->errors);
    va_list args;

    n += (size_t)snprintf(plan->errors + n, sizeof(plan->errors) - n, "%s: ", key);
    va_start(args, format);
    n += (size_t)vsnprintf(plan->errors + n, sizeof(plan->errors) - n, format, args);
    va_end(args);
    (void)snprintf(plan->errors + n, sizeof(plan->errors) - n, "\n");
    return WEIR_FAILED;
}

int weir_plan_column(weir_plan *plan, uint32_t port, const char *name, int type)
{
    int index = weir_schema_find(weir_plan_input(plan, port), name);

    if (index < 0 || (type != 0 && (int)plan->input.columns[index].type != type)) {
        weir_plan_error(plan, "", "no column %s", name);
        return -1;
    }
    return index;
}

static int fake_add(weir_schema *schema, const char *name, weir_type type)
{
    weir_column *column = &schema->columns[schema->column_count];

    (void)snprintf(column->name, sizeof(column->name), "%s", name);
    column->type = type;
    return (int)schema->column_count++;
}

int weir_plan_add(weir_plan *plan, uint32_t out, const char *name, weir_type type)
{
    (void)out;
    return fake_add(&plan->output, name, type);
}

int weir_plan_carry(weir_plan *plan, const char *name, weir_type type)
{
    return fake_add(&plan->carried, name, type);
}

void *weir_plan_alloc(weir_plan *plan, size_t size)
{
    void *p = size > fake_memory_limit ? NULL : calloc(1, size);

    if (p != NULL && plan->memory_count < FAKE_MEMORY_MAX)
        plan->memory[plan->memory_count++] = p;
    return p;
}

static __attribute__((unused)) void fake_plan_free(weir_plan *plan)
{
    for (uint32_t i = 0; i < plan->memory_count; i++)
        free(plan->memory[i]);
    plan->memory_count = 0;
}

static __attribute__((unused)) weir_batch *fake_batch(const weir_schema *schema, uint32_t rows)
{
    weir_batch *batch = calloc(1, sizeof(*batch));

    batch->schema = schema;
    batch->row_count = rows;
    batch->keys = calloc(rows + 1, sizeof(*batch->keys));
    for (uint32_t i = 0; i < schema->column_count; i++)
        batch->columns[i] = calloc(rows + 8, weir_type_size(schema->columns[i].type));
    return batch;
}

static __attribute__((unused)) void fake_batch_free(weir_batch *batch)
{
    if (batch == NULL)
        return;
    for (uint32_t i = 0; i < batch->schema->column_count; i++)
        free(batch->columns[i]);
    free(batch->keys);
    free(batch);
}

/* The newest output; the one before it is freed. */
weir_batch *weir_output(weir_task *task, uint32_t out, uint32_t row_count)
{
    (void)task;
    (void)out;
    fake_batch_free(fake_output);
    fake_output = row_count > fake_memory_limit ? NULL : fake_batch(&fake_output_schema, row_count);
    return fake_output;
}

weir_status weir_fail(weir_task *task, uint32_t row, const char *format, ...)
{
    va_list args;

    (void)task;
    (void)row;
    va_start(args, format);
    (void)vsnprintf(fake_failure, sizeof(fake_failure), format, args);
    va_end(args);
    return WEIR_FAILED;
}

weir_status weir_again(weir_task *task, const char *format, ...)
{
    va_list args;

    (void)task;
    va_start(args, format);
    (void)vsnprintf(fake_failure, sizeof(fake_failure), format, args);
    va_end(args);
    return WEIR_AGAIN;
}

weir_status weir_sink_fail(weir_sink *sink, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(sink->error, sizeof(sink->error), format, args);
    va_end(args);
    return WEIR_FAILED;
}

#endif
