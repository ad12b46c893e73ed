/* The form of a history in memory, shared by snap_history.c (files) and snap_history_image.c (bytes). */
#ifndef SNAP_HISTORY_PRIVATE_H
#define SNAP_HISTORY_PRIVATE_H

#include "snapshot/snap_history.h"

#define HISTORY_BLOCK  4096u
#define HISTORY_FRAMES (3 * HISTORY_BLOCK) /* where the first frame begins */
#define HISTORY_FRAME_HEAD 20
#define HISTORY_RECORD_HEAD 16
#define HISTORY_FRAME_TAIL (2 * SNAP_HASH_SIZE)

/* One copy's bytes and what has been understood of them. */
typedef struct history_image {
    uint8_t *bytes;      /* [size]; zero from `end` on */
    uint64_t size;
    df_hash identity;
    df_hash chain;       /* of the last frame */
    uint64_t end;        /* where the next frame begins */
    uint64_t last_frame; /* where the last one begins; 0: there is none */
    uint64_t count;      /* of records */
    uint64_t capacity;
    uint64_t *offsets;   /* [count] of the records */
    bool clean[2];       /* recovered: that copy, as read, is zero from `end` on, too */
    uint64_t sequence;   /* of the marks */
    snap_marks marks;
} history_image;

/* An image without records; owned by the caller, emptied by fini. */
df_status history_image_new(history_image *image, df_hash identity, uint64_t size,
                            const snap_marks *marks, df_error *err) DF_MUST_CHECK;
/* Memory of the size of a copy, zeroed; released with free. Null: there is none. */
uint8_t *history_memory(size_t size);
/* Up to where a copy may differ from the image: rounded up to a block. */
uint64_t history_compared(const history_image *image, int copy);
/* The identity of what replaces a history. */
df_hash history_identity_next(df_hash identity);
/* The image that two copies, as read, should both be. `copies` may be null or shorter than they were. */
df_status history_image_recover(history_image *image, const uint8_t *const copies[2],
                                const size_t sizes[2], snap_recovery *recovery, df_error *err)
    DF_MUST_CHECK;
void history_image_fini(history_image *image);

/* The bytes of a frame with these records, padded; 0: more than `room` bytes. */
uint64_t history_frame_size(const snap_record *records, uint32_t count, uint64_t room);
/* Write a frame at the image's end and take it in; its size is history_frame_size. False: no memory. */
bool history_frame_add(history_image *image, const snap_record *records, uint32_t count,
                       uint64_t size) DF_MUST_CHECK;
/* Write the hashes of a frame of `size` bytes that lies at an offset and follows the image's last one,
 * and let what follows it chain to it. */
void history_frame_seal(history_image *image, uint8_t *frame, uint64_t offset, uint32_t size);
/* Write the marks into the block that is their turn and return its number. */
uint32_t history_marks_add(history_image *image, const snap_marks *marks);
snap_record history_record_at(const history_image *image, uint64_t index);

#endif
