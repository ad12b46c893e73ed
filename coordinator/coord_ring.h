/* Frames from one process to another of the same host, through memory that both see: a ring with one
 * writer and one reader, who never wait for each other inside a call.
 *
 *   at 0     u64 bytes written, u32 whether the writer sleeps
 *   at 128   u64 bytes read, u32 whether the reader sleeps
 *   at 256   COORD_RING_SIZE bytes, round and round:
 *            u32 head size, u32 payload size, head, payload, to a multiple of 8;
 *            or COORD_RING_PAD and anything, to the end of the data: no frame is there
 *
 * A frame is seen whole or not at all. Who has nothing to do says that it sleeps, and looks once more;
 * who has made something to do then asks whether the other sleeps, and if so rings a bell that the
 * owner of the ring knows.
 *
 * Neither side trusts what it reads here: the other one may write anything at any time. A counter or a
 * length is read once, into memory of one's own, and checked there; a frame is copied out before
 * anybody looks at it. */
#ifndef COORD_RING_H
#define COORD_RING_H

#include "dataflow/df_error.h"

#include <stdbool.h>
#include <stdint.h>

#define COORD_RING_SIZE      (1u << 21) /* of the data; a power of two */
#define COORD_RING_FRAME_MAX (1u << 20) /* head and payload together */
#define COORD_RING_NONE      UINT32_MAX /* payload size of a frame without one */
#define COORD_RING_PAD       UINT32_MAX /* as a head size: the next frame lies at the beginning of the data */

typedef struct coord_ring_shared coord_ring_shared;

/* One side's view. Plain data; the memory belongs to who mapped it. */
typedef struct coord_ring {
    coord_ring_shared *shared;
    uint64_t at;   /* bytes that this side has written, or read */
    uint64_t seen; /* the other side's number when it was last looked at */
} coord_ring;

typedef struct coord_ring_frame {
    const uint8_t *head, *payload; /* payload null: there is none */
    uint32_t head_size, payload_size;
} coord_ring_frame;

/* Bytes of memory that a ring takes: whole pages, zeroed by whoever makes it. */
size_t coord_ring_memory(void);
/* Both sides, at the beginning: before anything was written. The memory is borrowed for the ring's life. */
void coord_ring_init(coord_ring *ring, void *memory);

/* ---- the writer ---- */

/* DF_AGAIN: there is no room. DF_ECORRUPT: the reader's counter is impossible; nothing may be written any
 * more. At most COORD_RING_FRAME_MAX bytes. */
df_status coord_ring_put(coord_ring *ring, const coord_ring_frame *frame) DF_MUST_CHECK;
/* Where the payload of the next frame may be put together, so that putting that frame, with this payload, copies nothing
 * but its head; nothing is put between. An empty ring begins anew for it: what goes to and fro then uses as little of a
 * cache as it can. Null: there is no room. */
uint8_t *coord_ring_room(coord_ring *ring, uint32_t head_size, uint32_t payload_size);
/* After putting: whether the reader sleeps and must hear the bell. It is said once. */
bool coord_ring_reader_sleeps(coord_ring *ring);
/* Say that this writer sleeps until there is room. False: there may be some already. */
bool coord_ring_writer_sleep(coord_ring *ring);

/* ---- the reader ---- */

/* Copy the next frame to `to`, of at least COORD_RING_FRAME_MAX bytes, and give its room back. DF_AGAIN:
 * none is there. DF_ECORRUPT: what is there is none; nothing may be read any more. */
df_status coord_ring_get(coord_ring *ring, uint8_t *to, coord_ring_frame *frame) DF_MUST_CHECK;
/* After getting: whether the writer sleeps and must hear the bell. It is said once. */
bool coord_ring_writer_sleeps(coord_ring *ring);
/* Whether something is there. */
bool coord_ring_filled(coord_ring *ring);
/* Say that this reader sleeps. False: something is there already. */
bool coord_ring_reader_sleep(coord_ring *ring);
/* It does not sleep any more: no bell is needed. */
void coord_ring_reader_wake(coord_ring *ring);

#endif
