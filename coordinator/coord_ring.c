/* Why no bell is missed: a reader stores "I sleep", then loads the writer's counter; a writer stores its
 * counter, then loads "I sleep". Both pairs are sequentially consistent, so one of the two sees the
 * other: the reader finds the frame and does not sleep, or the writer finds the sleeper and rings.
 * The same holds with the roles exchanged, for a writer that waits for room. */
#include "coordinator/coord_ring.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#define RING_LINE  64u
#define RING_PAGE  4096u
#define RING_ALIGN 8u
#define RING_HEAD  8u

/* What one side writes lies on lines of its own. */
struct coord_ring_shared {
    _Alignas(2 * RING_LINE) _Atomic uint64_t written;
    _Atomic uint32_t writer_sleeps;
    _Alignas(2 * RING_LINE) _Atomic uint64_t read;
    _Atomic uint32_t reader_sleeps;
    _Alignas(2 * RING_LINE) uint8_t data[COORD_RING_SIZE];
};

_Static_assert(offsetof(coord_ring_shared, read) == 128 && offsetof(coord_ring_shared, data) == 256,
               "the layout that the header tells");
_Static_assert(COORD_RING_FRAME_MAX + RING_HEAD + RING_ALIGN <= COORD_RING_SIZE, "a frame fits in");
_Static_assert((COORD_RING_SIZE & (COORD_RING_SIZE - 1)) == 0, "places are counters modulo the size");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
               "a lock would belong to one process");

size_t coord_ring_memory(void)
{
    return (sizeof(coord_ring_shared) + RING_PAGE - 1) / RING_PAGE * RING_PAGE;
}

void coord_ring_init(coord_ring *ring, void *memory)
{
    assert((uintptr_t)memory % (2 * RING_LINE) == 0);
    *ring = (coord_ring){ .shared = memory };
}

static uint64_t ring_space(uint32_t head_size, uint32_t payload_size)
{
    uint64_t size = RING_HEAD + (uint64_t)head_size + (payload_size == COORD_RING_NONE ? 0 : payload_size);

    return (size + RING_ALIGN - 1) / RING_ALIGN * RING_ALIGN;
}

/* Bytes round the end of the data. */
static void ring_write(coord_ring *ring, uint64_t at, const void *from, size_t size)
{
    size_t place = at % COORD_RING_SIZE, first = COORD_RING_SIZE - place;

    if (size == 0)
        return;
    first = size < first ? size : first;
    memcpy(ring->shared->data + place, from, first);
    memcpy(ring->shared->data, (const uint8_t *)from + first, size - first);
}

static void ring_read(const coord_ring *ring, uint64_t at, void *to, size_t size)
{
    size_t place = at % COORD_RING_SIZE, first = COORD_RING_SIZE - place;

    if (size == 0)
        return;
    first = size < first ? size : first;
    memcpy(to, ring->shared->data + place, first);
    memcpy((uint8_t *)to + first, ring->shared->data, size - first);
}

/* From a place to the end of the data. */
static uint64_t ring_rest(uint64_t at)
{
    return COORD_RING_SIZE - at % COORD_RING_SIZE;
}

/* Told once, so that a bell is rung once. */
static bool ring_told(_Atomic uint32_t *sleeps)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(sleeps, memory_order_relaxed) != 0 && atomic_exchange(sleeps, 0) != 0;
}

/* ---- the writer ---- */

/* Seen by nobody before the frame behind it. */
static void ring_pad(coord_ring *ring)
{
    uint32_t sizes[2] = { COORD_RING_PAD, 0 };

    ring_write(ring, ring->at, sizes, RING_HEAD);
    ring->at += ring_rest(ring->at);
}

static uint8_t *ring_payload(const coord_ring *ring, uint32_t head_size)
{
    return ring->shared->data + (ring->at + RING_HEAD + head_size) % COORD_RING_SIZE;
}

uint8_t *coord_ring_room(coord_ring *ring, uint32_t head_size, uint32_t payload_size)
{
    uint64_t space = ring_space(head_size, payload_size), rest = ring_rest(ring->at), used;
    bool pad;

    ring->seen = atomic_load_explicit(&ring->shared->read, memory_order_acquire);
    used = ring->at - ring->seen;
    pad = rest < space || (used == 0 && COORD_RING_SIZE - rest >= space);
    if (used > COORD_RING_SIZE || used + (pad ? rest : 0) + space > COORD_RING_SIZE)
        return NULL;
    if (pad)
        ring_pad(ring);
    return ring_payload(ring, head_size);
}

df_status coord_ring_put(coord_ring *ring, const coord_ring_frame *f)
{
    uint32_t sizes[2] = { f->head_size, f->payload == NULL ? COORD_RING_NONE : f->payload_size };
    uint64_t space = ring_space(sizes[0], sizes[1]);

    assert((uint64_t)f->head_size + f->payload_size <= COORD_RING_FRAME_MAX);
    if (ring->at + space - ring->seen > COORD_RING_SIZE) {
        ring->seen = atomic_load_explicit(&ring->shared->read, memory_order_acquire);
        if (ring->at - ring->seen > COORD_RING_SIZE)
            return DF_ECORRUPT;
        if (ring->at + space - ring->seen > COORD_RING_SIZE)
            return DF_AGAIN;
    }
    ring_write(ring, ring->at, sizes, RING_HEAD);
    ring_write(ring, ring->at + RING_HEAD, f->head, f->head_size);
    if (f->payload != ring_payload(ring, f->head_size))
        ring_write(ring, ring->at + RING_HEAD + f->head_size, f->payload, f->payload_size);
    ring->at += space;
    atomic_store_explicit(&ring->shared->written, ring->at, memory_order_release);
    return DF_OK;
}

bool coord_ring_reader_sleeps(coord_ring *ring)
{
    return ring_told(&ring->shared->reader_sleeps);
}

bool coord_ring_writer_sleep(coord_ring *ring)
{
    atomic_store(&ring->shared->writer_sleeps, 1);
    return atomic_load(&ring->shared->read) == ring->seen;
}

/* ---- the reader ---- */

df_status coord_ring_get(coord_ring *ring, uint8_t *to, coord_ring_frame *f)
{
    uint32_t sizes[2];
    uint64_t there, space;

    if (!coord_ring_filled(ring))
        return DF_AGAIN;
    there = ring->seen - ring->at;
    if (there > COORD_RING_SIZE || there < RING_HEAD)
        return DF_ECORRUPT;
    ring_read(ring, ring->at, sizes, RING_HEAD);
    if (sizes[0] == COORD_RING_PAD) {
        space = ring_rest(ring->at);
        if (space + RING_HEAD > there)
            return DF_ECORRUPT;
        ring->at += space;
        there -= space;
        ring_read(ring, ring->at, sizes, RING_HEAD); /* a frame: they are none, one behind the other */
    }
    space = ring_space(sizes[0], sizes[1]);
    if (sizes[0] > COORD_RING_FRAME_MAX || space > there ||
        (sizes[1] != COORD_RING_NONE && sizes[1] > COORD_RING_FRAME_MAX - sizes[0]))
        return DF_ECORRUPT;
    *f = (coord_ring_frame){ .head = to, .head_size = sizes[0] };
    if (sizes[1] != COORD_RING_NONE) {
        f->payload = to + sizes[0];
        f->payload_size = sizes[1];
    }
    ring_read(ring, ring->at + RING_HEAD, to, (size_t)f->head_size + f->payload_size);
    ring->at += space;
    atomic_store_explicit(&ring->shared->read, ring->at, memory_order_release);
    return DF_OK;
}

bool coord_ring_writer_sleeps(coord_ring *ring)
{
    return ring_told(&ring->shared->writer_sleeps);
}

bool coord_ring_filled(coord_ring *ring)
{
    if (ring->seen == ring->at)
        ring->seen = atomic_load_explicit(&ring->shared->written, memory_order_acquire);
    return ring->seen != ring->at;
}

bool coord_ring_reader_sleep(coord_ring *ring)
{
    atomic_store(&ring->shared->reader_sleeps, 1);
    return ring->seen == ring->at && atomic_load(&ring->shared->written) == ring->at;
}

void coord_ring_reader_wake(coord_ring *ring)
{
    atomic_store_explicit(&ring->shared->reader_sleeps, 0, memory_order_relaxed);
}
