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

static proto_batch *batch_alloc(size_t behind)
{
    proto_batch *batch = malloc(sizeof *batch + behind);

    if (batch == NULL) {
        fputs("weir: out of memory\n", stderr);
        abort();
    }
    return batch;
}

proto_batch *proto_batch_new(uint32_t size, uint32_t rows)
{
    proto_batch *batch = batch_alloc(size);

    *batch = (proto_batch){ .refs = 1, .rows = rows, .size = size, .have = size,
                            .bytes = (uint8_t *)(batch + 1) };
    return batch;
}

proto_batch *proto_batch_lend(uint8_t *bytes, uint32_t size, uint32_t rows,
                              void (*release)(void *user, uint8_t *bytes), void *user)
{
    proto_batch *batch = batch_alloc(0);

    *batch = (proto_batch){ .refs = 1, .rows = rows, .size = size, .have = size, .bytes = bytes,
                            .release = release, .user = user };
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
    if (--b->refs > 0)
        return;
    if (b->release != NULL)
        b->release(b->user, b->bytes);
    free(b);
}
