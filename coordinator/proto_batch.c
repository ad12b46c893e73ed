#include "coordinator/proto_plan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void *proto_zero(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size);

    if (memory == NULL) {
        fputs("weir: out of memory\n", stderr);
        abort();
    }
    return memory;
}

proto_batch *proto_batch_new(uint32_t size, uint32_t rows)
{
    proto_batch *batch = malloc(sizeof *batch + size);

    if (batch == NULL) {
        fputs("weir: out of memory\n", stderr);
        abort();
    }
    *batch = (proto_batch){ .refs = 1, .rows = rows, .size = size, .have = size };
    return batch;
}

proto_batch *proto_batch_hold(proto_batch *batch)
{
    assert(batch->refs > 0);
    batch->refs++;
    return batch;
}

void proto_batch_drop(proto_batch **batch)
{
    proto_batch *b = *batch;

    *batch = NULL;
    if (b == NULL)
        return;
    assert(b->refs > 0);
    if (--b->refs == 0)
        free(b);
}
