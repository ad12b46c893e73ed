/* The history of a job: the small log from which, with the job and its seed, a whole run follows.
 *
 * Two copies, FOLDER/history.a and history.b, are byte for byte the same, of a fixed size that is
 * reserved when they are made. An append is durable in the first before it goes to the second, and
 * acknowledged when it is in both. So a crash can spoil one copy at a time, and
 *
 *   what is bad in one copy       is repaired from the other, and reported;
 *   a bad end in both             is a torn tail: nobody was told of it, and it is cleared;
 *   bad in both, valid after it   is damage: DF_ECORRUPT.
 *
 * By this order a crash leaves a torn end in one copy only. If the end of both is bad and not empty,
 * a record that was acknowledged may be lost; snap_recovery says so, and the caller decides.
 *
 *   block 0        head: magic, version, identity, size, checksum        (a block has 4096 bytes)
 *   blocks 1, 2    marks, written in turn: sequence, marks, checksum
 *   then           frames, each the records of one append:
 *                  u32 magic  u32 size  u64 first index  u32 count  records  u128 own  u128 chain
 *                  record: u32 type  u64 generation  u32 size  bytes
 *
 * `own` is the hash of identity, offset and the bytes before it; `chain` that of the previous frame's
 * chain and `own`. A frame begins at a multiple of 8. All else is zero.
 *
 * A history that has filled up is replaced by one with fewer records: both copies are made whole under other
 * names, and then take the names one after the other. The new identity follows from the old one, so if a crash
 * leaves a copy of each, they are known for what they are: the new one counts if its first frame, which holds all that
 * was copied, is right, else the old one, to which nothing was appended meanwhile.
 *
 * Marks are the few numbers that only grow and must be durable before they are used: they have a place
 * of their own, so that grants go on when the log is full. */
#ifndef SNAP_HISTORY_H
#define SNAP_HISTORY_H

#include "dataflow/df_disk.h"
#include "snapshot/snap_hash.h"

#define SNAP_HISTORY_SIZE        (16u << 20) /* the usual size of a copy */
#define SNAP_HISTORY_SIZE_MIN    (16u << 10)
#define SNAP_HISTORY_SIZE_MAX    (1u << 30)
#define SNAP_RECORD_SIZE_MAX     (1u << 20)
#define SNAP_FRAME_RECORDS_MAX   (1u << 17)
/* This part of the log takes no input: orders and generations need room when it is full. */
#define SNAP_HISTORY_RESERVE(size) ((size) / 8)

typedef struct snap_marks {
    uint64_t ceiling;     /* no step at or above it was ever granted */
    uint64_t floor;       /* of events: new input goes above it */
    uint64_t generation;
    uint64_t incarnation;
} snap_marks;

typedef struct snap_record {
    uint64_t index;      /* from 1; given by append */
    uint64_t generation;
    uint32_t type;       /* the coordinator's */
    uint32_t size;
    const uint8_t *bytes;
} snap_record;

/* What opening a history found and did. */
typedef struct snap_recovery {
    uint32_t blocks_repaired[2]; /* of copy a and b, 4096 bytes each */
    bool rebuilt[2];             /* the copy was missing */
    bool torn;                   /* an append that nobody was told of was cleared away */
    bool torn_both;              /* ... in both copies, which a crash does not do */
} snap_recovery;

typedef enum snap_room {
    SNAP_ROOM_INPUT = 1, /* not from the reserve */
    SNAP_ROOM_ORDER,
} snap_room;

typedef struct snap_history snap_history;

/* Make a history with nothing in it. `identity` is random, another for each. DF_EINVAL: there is one.
 * A folder in which this was interrupted holds none, or a whole one. */
df_status snap_history_create(df_disk *disk, const char *folder, df_hash identity, uint64_t size,
                              const snap_marks *marks, df_error *err) DF_MUST_CHECK;
/* Lock FOLDER/lock, read, recover. DF_END: there is no history. DF_AGAIN: another process has it open.
 * The disk is kept until close. Memory: one copy. */
df_status snap_history_open(snap_history **out, df_disk *disk, const char *folder,
                            snap_recovery *recovery, df_error *err) DF_MUST_CHECK;
void snap_history_close(snap_history **history);

/* Bytes that records can take in all, with what is around them. */
uint64_t snap_history_capacity(const snap_history *history);
uint64_t snap_history_count(const snap_history *history);
/* Record `index`, 1 .. count. Its bytes are borrowed until close. */
snap_record snap_history_get(const snap_history *history, uint64_t index);
snap_marks snap_history_marks(const snap_history *history);
/* Bytes that records of input may still take, each with 16 more, each append with 52 and up to 7. */
uint64_t snap_history_room(const snap_history *history);
/* The same with the reserve, which is for orders and generations. */
uint64_t snap_history_room_order(const snap_history *history);

/* Append records, all or none, durable in both copies on success; fills their index. DF_ELIMIT: there
 * is no room (or one is too large), and nothing is changed. Any other failure leaves it open whether
 * they are durable: every later change fails, and the process ends. */
df_status snap_history_append(snap_history *history, snap_record *records, uint32_t count,
                              snap_room room, df_error *err) DF_MUST_CHECK;
/* Replace the history by one with these records, at most SNAP_FRAME_RECORDS_MAX, and the same marks; what was borrowed
 * from it is no longer valid. Their index counts from 1 again. DF_ELIMIT: they do not fit, and nothing is changed.
 * *begun false, and a failure: nothing is changed either. Any other failure: as of an append. */
df_status snap_history_replace(snap_history *history, const snap_record *records, uint32_t count, bool *begun,
                               df_error *err) DF_MUST_CHECK;
/* Make marks durable in both copies; none may be lower than before. */
df_status snap_history_mark(snap_history *history, const snap_marks *marks, df_error *err)
    DF_MUST_CHECK;

/* ---- for fuzzing and tools ---- */

/* Recover from the bytes of two copies in memory, as open does; null: a copy is missing. On success
 * *image (to be freed) is what both copies must be, `records` and `marks` what is in it. */
df_status snap_history_recover(const uint8_t *const copies[2], const size_t sizes[2], uint8_t **image,
                               size_t *size, uint64_t *records, snap_marks *marks,
                               snap_recovery *recovery, df_error *err) DF_MUST_CHECK;

#endif
