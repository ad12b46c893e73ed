/* What another process has written into shared memory: the counters and the data, and between two frames
 * perhaps something else. Every frame that is taken lies within the copy and what was written. */
#include "coordinator/coord_ring.h"

#include <stdlib.h>
#include <string.h>

#define CONTROL 256u /* bytes before the data */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first half is what lies there at first, the second half what it is changed to after a frame. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *memory, to[COORD_RING_FRAME_MAX];
    size_t half = size / 2;
    coord_ring ring;
    coord_ring_frame f;

    if (memory == NULL)
        memory = aligned_alloc(4096, coord_ring_memory());
    if (memory == NULL || half > CONTROL + COORD_RING_SIZE)
        return 0;
    memset(memory, 0, CONTROL + 65536);
    memcpy(memory, data, half);
    coord_ring_init(&ring, memory);
    for (int i = 0; i < 100 && coord_ring_get(&ring, to, &f) == DF_OK; i++) {
        uint64_t end = (uint64_t)f.head_size + f.payload_size;

        if (f.head != to || end > sizeof to || (f.payload != NULL && f.payload != to + f.head_size) ||
            ring.at > ring.seen)
            abort();
        memcpy(memory + 8, data + half, size - half < CONTROL + 65536 - 8 ? size - half : 0);
    }
    return 0;
}
