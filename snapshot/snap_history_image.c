/* The bytes of a history: making them, and making sense of two copies of them.
 *
 * Recovery walks both copies frame by frame. While one of them has a valid frame that continues the
 * chain, it is taken. Where neither has, the end is reached - unless a frame further on is valid by
 * itself (`own` needs no chain): then frames in between were durable and acknowledged, because the next
 * is not begun before. An append is one frame, so a torn one cannot leave a valid frame behind it; and
 * what a torn one left is cleared before anything is appended. */
#include "snapshot/snap_history_private.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HEAD_MAGIC    0x5453494852494557u /* "WEIRHIST" */
#define HEAD_VERSION  1
#define HEAD_SIZE     (8 + 2 + 16 + 8 + 16)
#define MARKS_MAGIC   0x4b52414du /* "MARK" */
#define MARKS_SIZE    (4 + 8 + 4 * 8 + 16)
#define FRAME_MAGIC   0x4d415246u /* "FRAM" */
#define HISTORY_HUGE  (4u << 20) /* smaller memory lies in small pages */
#define FRAME_SIZE_MIN (HISTORY_FRAME_HEAD + HISTORY_RECORD_HEAD + HISTORY_FRAME_TAIL)

/* ---- hashes ---- */

static df_hash own_hash(df_hash identity, uint64_t offset, const uint8_t *bytes, size_t size)
{
    uint8_t place[8 + SNAP_HASH_SIZE];
    df_writer w;

    df_writer_init(&w, place, sizeof place);
    df_put_u64(&w, offset);
    snap_put_hash(&w, identity);
    return snap_hash_chain(snap_hash(place, sizeof place), bytes, size);
}

static df_hash chain_hash(df_hash before, df_hash own)
{
    uint8_t bytes[SNAP_HASH_SIZE];
    df_writer w;

    df_writer_init(&w, bytes, sizeof bytes);
    snap_put_hash(&w, own);
    return snap_hash_chain(before, bytes, sizeof bytes);
}

/* ---- head and marks ---- */

static void head_put(history_image *image)
{
    df_writer w;

    df_writer_init(&w, image->bytes, HISTORY_BLOCK);
    df_put_u64(&w, HEAD_MAGIC);
    df_put_u16(&w, HEAD_VERSION);
    snap_put_hash(&w, image->identity);
    df_put_u64(&w, image->size);
    snap_put_hash(&w, snap_hash(image->bytes, w.size));
    assert(df_writer_ok(&w) && w.size == HEAD_SIZE);
}

/* False: it is no head. */
static bool head_get(const uint8_t *bytes, size_t left, df_hash *identity, uint64_t *size)
{
    df_cursor c;
    uint64_t magic;
    uint16_t version;

    df_cursor_init(&c, bytes, left < HEAD_SIZE ? left : HEAD_SIZE);
    magic = df_get_u64(&c);
    version = df_get_u16(&c);
    *identity = snap_get_hash(&c);
    *size = df_get_u64(&c);
    if (c.failed || magic != HEAD_MAGIC || version != HEAD_VERSION ||
        !snap_hash_equal(snap_get_hash(&c), snap_hash(bytes, HEAD_SIZE - SNAP_HASH_SIZE)))
        return false;
    return !c.failed && *size >= SNAP_HISTORY_SIZE_MIN && *size <= SNAP_HISTORY_SIZE_MAX &&
           *size % HISTORY_BLOCK == 0;
}

static void marks_put(history_image *image, uint32_t block, uint64_t sequence,
                      const snap_marks *marks)
{
    uint64_t offset = block * HISTORY_BLOCK;
    df_writer w;

    df_writer_init(&w, image->bytes + offset, HISTORY_BLOCK);
    df_put_u32(&w, MARKS_MAGIC);
    df_put_u64(&w, sequence);
    df_put_u64(&w, marks->ceiling);
    df_put_u64(&w, marks->floor);
    df_put_u64(&w, marks->generation);
    df_put_u64(&w, marks->incarnation);
    snap_put_hash(&w, own_hash(image->identity, offset, image->bytes + offset, w.size));
    assert(df_writer_ok(&w) && w.size == MARKS_SIZE);
}

/* The marks in a block; sequence 0: there are none. */
static uint64_t marks_get(const uint8_t *bytes, size_t left, uint64_t offset, df_hash identity,
                          snap_marks *marks)
{
    df_cursor c;
    uint64_t sequence;
    uint32_t magic;

    if (left < offset + MARKS_SIZE)
        return 0;
    df_cursor_init(&c, bytes + offset, MARKS_SIZE);
    magic = df_get_u32(&c);
    sequence = df_get_u64(&c);
    marks->ceiling = df_get_u64(&c);
    marks->floor = df_get_u64(&c);
    marks->generation = df_get_u64(&c);
    marks->incarnation = df_get_u64(&c);
    if (magic != MARKS_MAGIC ||
        !snap_hash_equal(snap_get_hash(&c),
                         own_hash(identity, offset, bytes + offset, MARKS_SIZE - SNAP_HASH_SIZE)))
        return 0;
    return sequence;
}

uint32_t history_marks_add(history_image *image, const snap_marks *marks)
{
    uint32_t block = 1 + (uint32_t)(++image->sequence % 2);

    image->marks = *marks;
    marks_put(image, block, image->sequence, marks);
    return block;
}

/* ---- frames ---- */

uint64_t history_frame_size(const snap_record *records, uint32_t count, uint64_t room)
{
    uint64_t size = HISTORY_FRAME_HEAD + HISTORY_FRAME_TAIL;

    for (uint32_t i = 0; i < count; i++)
        size += HISTORY_RECORD_HEAD + records[i].size;
    size = (size + 7) & ~(uint64_t)7;
    return size <= room ? size : 0;
}

static bool offsets_reserve(history_image *image, uint64_t count)
{
    uint64_t capacity = image->capacity == 0 ? 256 : image->capacity;
    uint64_t *offsets;

    if (image->count + count <= image->capacity)
        return true;
    while (capacity < image->count + count)
        capacity *= 2;
    offsets = realloc(image->offsets, capacity * sizeof *offsets);
    if (offsets == NULL)
        return false;
    image->offsets = offsets;
    image->capacity = capacity;
    return true;
}

/* The frame at an offset, whole and by itself right. Returns its padded size, 0 if there is none. */
static uint64_t frame_check(const uint8_t *bytes, uint64_t size, uint64_t offset, df_hash identity,
                            uint64_t *index, uint32_t *count)
{
    df_cursor c;
    uint32_t magic, frame_size;

    if (offset + FRAME_SIZE_MIN > size)
        return 0;
    df_cursor_init(&c, bytes + offset, size - offset);
    magic = df_get_u32(&c);
    frame_size = df_get_u32(&c);
    *index = df_get_u64(&c);
    *count = df_get_u32(&c);
    if (magic != FRAME_MAGIC || frame_size < FRAME_SIZE_MIN || frame_size > size - offset ||
        *count == 0 || *count > SNAP_FRAME_RECORDS_MAX)
        return 0;
    c.offset = frame_size - HISTORY_FRAME_TAIL;
    if (!snap_hash_equal(snap_get_hash(&c), own_hash(identity, offset, bytes + offset,
                                                     frame_size - HISTORY_FRAME_TAIL)))
        return 0;
    return ((uint64_t)frame_size + 7) & ~(uint64_t)7;
}

static uint32_t frame_exact_size(const uint8_t *frame)
{
    df_cursor c;

    df_cursor_init(&c, frame + 4, 4);
    return df_get_u32(&c);
}

static df_hash frame_hash(const uint8_t *frame, size_t from_end)
{
    df_cursor c;

    df_cursor_init(&c, frame + frame_exact_size(frame) - from_end, SNAP_HASH_SIZE);
    return snap_get_hash(&c);
}

/* The frame that continues the image, in a copy; its padded size, 0 if there is none. */
static uint64_t frame_next(const history_image *image, const uint8_t *bytes, uint64_t size,
                           uint32_t *count)
{
    uint64_t index, padded;

    if (bytes == NULL)
        return 0;
    padded = frame_check(bytes, size, image->end, image->identity, &index, count);
    if (padded == 0 || index != image->count + 1 || padded > image->size - image->end)
        return 0;
    if (!snap_hash_equal(frame_hash(bytes + image->end, SNAP_HASH_SIZE),
                         chain_hash(image->chain, frame_hash(bytes + image->end,
                                                             HISTORY_FRAME_TAIL))))
        return 0;
    return padded;
}

/* Note where the records of the frame at the image's end lie. False: no memory, or its fields do not
 * fit its size, which only somebody who can make hashes can do. */
static bool frame_take(history_image *image, uint64_t padded, uint32_t count)
{
    uint32_t exact = frame_exact_size(image->bytes + image->end);
    df_cursor c;

    if (!offsets_reserve(image, count))
        return false;
    df_cursor_init(&c, image->bytes + image->end, exact - HISTORY_FRAME_TAIL);
    c.offset = HISTORY_FRAME_HEAD;
    for (uint32_t i = 0; i < count; i++) {
        size_t size;

        image->offsets[image->count + i] = image->end + c.offset;
        df_get_u32(&c);
        df_get_u64(&c);
        df_get_blob(&c, SNAP_RECORD_SIZE_MAX, &size);
    }
    if (!df_get_end(&c))
        return false;
    image->chain = frame_hash(image->bytes + image->end, SNAP_HASH_SIZE);
    image->last_frame = image->end;
    image->end += padded;
    image->count += count;
    return true;
}

void history_frame_seal(history_image *image, uint8_t *frame, uint64_t offset, uint32_t size)
{
    df_hash own = own_hash(image->identity, offset, frame, size - HISTORY_FRAME_TAIL);
    df_writer w;

    image->chain = chain_hash(image->chain, own);
    df_writer_init(&w, frame + size - HISTORY_FRAME_TAIL, HISTORY_FRAME_TAIL);
    snap_put_hash(&w, own);
    snap_put_hash(&w, image->chain);
}

bool history_frame_add(history_image *image, const snap_record *records, uint32_t count, uint64_t size)
{
    uint8_t *frame = image->bytes + image->end;
    df_writer w;
    size_t body;

    assert(size <= image->size - image->end);
    df_writer_init(&w, frame, size);
    df_put_u32(&w, FRAME_MAGIC);
    df_put_u32(&w, 0);
    df_put_u64(&w, image->count + 1);
    df_put_u32(&w, count);
    for (uint32_t i = 0; i < count; i++) {
        df_put_u32(&w, records[i].type);
        df_put_u64(&w, records[i].generation);
        df_put_blob(&w, records[i].bytes, records[i].size);
    }
    body = w.size;
    w.size = 4;
    df_put_u32(&w, (uint32_t)(body + HISTORY_FRAME_TAIL));
    assert(df_writer_ok(&w) && body + HISTORY_FRAME_TAIL <= size);
    history_frame_seal(image, frame, image->end, (uint32_t)(body + HISTORY_FRAME_TAIL));
    return frame_take(image, size, count);
}

snap_record history_record_at(const history_image *image, uint64_t index)
{
    snap_record record = { .index = index };
    uint64_t offset = image->offsets[index - 1];
    df_cursor c;

    df_cursor_init(&c, image->bytes + offset, image->size - offset);
    record.type = df_get_u32(&c);
    record.generation = df_get_u64(&c);
    record.size = df_get_u32(&c);
    record.bytes = df_get_bytes(&c, record.size);
    assert(!c.failed);
    return record;
}

/* ---- images ---- */

/* Huge pages, if they are to be had: most of a start's time went into the faults of small ones. */
uint8_t *history_memory(size_t size)
{
    uint8_t *bytes = calloc(1, size);
    uintptr_t begin = ((uintptr_t)bytes + HISTORY_BLOCK - 1) & ~(uintptr_t)(HISTORY_BLOCK - 1);

    if (bytes != NULL && size > HISTORY_HUGE)
        (void)madvise((void *)begin, size - HISTORY_BLOCK, MADV_HUGEPAGE);
    return bytes;
}

static df_status image_alloc(history_image *image, df_hash identity, uint64_t size, df_error *err)
{
    *image = (history_image){ .bytes = history_memory(size), .size = size, .identity = identity,
                              .end = HISTORY_FRAMES };
    if (image->bytes == NULL)
        return df_fail(err, DF_ENOMEM, "history: out of memory");
    head_put(image);
    image->chain = snap_hash(image->bytes, HEAD_SIZE);
    return DF_OK;
}

df_status history_image_new(history_image *image, df_hash identity, uint64_t size,
                            const snap_marks *marks, df_error *err)
{
    df_status s = image_alloc(image, identity, size, err);

    if (s != DF_OK)
        return s;
    history_marks_add(image, marks);
    history_marks_add(image, marks);
    return DF_OK;
}

void history_image_fini(history_image *image)
{
    free(image->bytes);
    free(image->offsets);
    *image = (history_image){ 0 };
}

df_hash history_identity_next(df_hash identity)
{
    static const char next[] = "the next history";

    return snap_hash_chain(identity, next, sizeof next);
}

/* ---- recovery ---- */

/* Whether the first frame of a copy is right, which holds all that was copied when it was made. */
static bool copy_is_whole(const uint8_t *bytes, size_t size, df_hash identity)
{
    uint64_t index;
    uint32_t count;

    return frame_check(bytes, size, HISTORY_FRAMES, identity, &index, &count) != 0 && index == 1;
}

/* A crash between the two names of a replacement: which copy does not count; -1: both do. */
static int copy_to_leave(const uint8_t *const copies[2], const size_t sizes[2])
{
    df_hash identity[2];
    uint64_t size;

    for (int i = 0; i < 2; i++)
        if (copies[i] == NULL || !head_get(copies[i], sizes[i], &identity[i], &size))
            return -1;
    for (int i = 0; i < 2; i++)
        if (snap_hash_equal(history_identity_next(identity[1 - i]), identity[i]))
            return copy_is_whole(copies[i], sizes[i], identity[i]) ? 1 - i : i;
    return -1;
}

typedef struct recovering {
    history_image *image;
    const uint8_t *const *copies;
    const size_t *sizes;
} recovering;

static df_status recover_head(recovering *r, df_error *err)
{
    df_hash identity = { 0 }, other;
    uint64_t size = 0, other_size;
    uint32_t found = 0;

    for (int i = 0; i < 2; i++) {
        if (r->copies[i] == NULL || !head_get(r->copies[i], r->sizes[i], &other, &other_size))
            continue;
        if (found++ > 0 && (!snap_hash_equal(identity, other) || size != other_size))
            return df_fail(err, DF_ECORRUPT, "its two copies are of different histories");
        identity = other;
        size = other_size;
    }
    if (found == 0)
        return df_fail(err, DF_ECORRUPT, "the heads of both copies are damaged");
    return image_alloc(r->image, identity, size, err);
}

/* Each of the two blocks from the copy where it is the newer one. */
static df_status recover_marks(recovering *r, df_error *err)
{
    history_image *image = r->image;

    for (uint32_t block = 1; block <= 2; block++) {
        uint64_t newest = 0;
        snap_marks marks = { 0 };

        for (int i = 0; i < 2; i++) {
            snap_marks found;
            uint64_t sequence = r->copies[i] == NULL ? 0
                                : marks_get(r->copies[i], r->sizes[i], block * HISTORY_BLOCK,
                                            image->identity, &found);

            if (sequence > newest) {
                newest = sequence;
                marks = found;
            }
        }
        if (newest == 0)
            return df_fail(err, DF_ECORRUPT, "the marks of both copies are damaged");
        if (newest > image->sequence) {
            image->sequence = newest;
            image->marks = marks;
        }
        marks_put(image, block, newest, &marks);
    }
    return DF_OK;
}

/* Whether a frame that is right by itself lies after the image's end, in either copy. */
static bool frame_after(const recovering *r)
{
    const history_image *image = r->image;

    for (int i = 0; i < 2; i++) {
        uint64_t size = r->sizes[i] < image->size ? r->sizes[i] : image->size, index;
        uint32_t count;

        for (uint64_t at = image->end + 8; r->copies[i] != NULL && at + 8 <= size; at += 8)
            if (frame_check(r->copies[i], size, at, image->identity, &index, &count) != 0)
                return true;
    }
    return false;
}

/* Whether a copy has anything but zeros from the image's end on: the first is one, and each is what the
 * one before it is. */
static bool tail_is_dirty(const recovering *r, int copy)
{
    uint64_t size = r->sizes[copy] < r->image->size ? r->sizes[copy] : r->image->size;
    uint64_t end = r->image->end;
    const uint8_t *bytes = r->copies[copy];

    return bytes != NULL && end < size &&
           (bytes[end] != 0 || memcmp(bytes + end, bytes + end + 1, size - end - 1) != 0);
}

static df_status recover_frames(recovering *r, snap_recovery *recovery, df_error *err)
{
    history_image *image = r->image;
    bool dirty[2];

    for (;;) {
        uint32_t counts[2] = { 0, 0 };
        uint64_t padded[2];
        int from;

        for (int i = 0; i < 2; i++)
            padded[i] = frame_next(image, r->copies[i],
                                   r->sizes[i] < image->size ? r->sizes[i] : image->size, &counts[i]);
        if (padded[0] == 0 && padded[1] == 0)
            break;
        from = padded[0] != 0 ? 0 : 1;
        memcpy(image->bytes + image->end, r->copies[from] + image->end,
               frame_exact_size(r->copies[from] + image->end));
        if (padded[0] != 0 && padded[1] != 0 &&
            !snap_hash_equal(frame_hash(r->copies[0] + image->end, SNAP_HASH_SIZE),
                             frame_hash(r->copies[1] + image->end, SNAP_HASH_SIZE)))
            return df_fail(err, DF_ECORRUPT, "after record %llu its copies differ, both valid",
                           (unsigned long long)image->count);
        if (!frame_take(image, padded[from], counts[from]))
            return df_fail(err, DF_ECORRUPT, "record %llu makes no sense",
                           (unsigned long long)image->count + 1);
    }
    dirty[0] = tail_is_dirty(r, 0);
    dirty[1] = tail_is_dirty(r, 1);
    for (int i = 0; i < 2; i++)
        image->clean[i] = r->copies[i] != NULL && r->sizes[i] >= image->size && !dirty[i];
    if ((dirty[0] || dirty[1]) && frame_after(r))
        return df_fail(err, DF_ECORRUPT, "record %llu is damaged in both copies and valid ones follow",
                       (unsigned long long)image->count + 1);
    recovery->torn = dirty[0] || dirty[1];
    recovery->torn_both = dirty[0] && dirty[1];
    return DF_OK;
}

uint64_t history_compared(const history_image *image, int copy)
{
    return image->clean[copy] ? (image->end + HISTORY_BLOCK - 1) / HISTORY_BLOCK * HISTORY_BLOCK
                              : image->size;
}

/* Blocks in which a copy is not what it should be. */
static uint32_t count_repairs(const recovering *r, int copy)
{
    uint64_t end = history_compared(r->image, copy);
    uint32_t count = 0;

    for (uint64_t at = 0; at < end; at += HISTORY_BLOCK)
        count += r->copies[copy] == NULL || r->sizes[copy] < at + HISTORY_BLOCK ||
                 memcmp(r->copies[copy] + at, r->image->bytes + at, HISTORY_BLOCK) != 0;
    return count;
}

df_status history_image_recover(history_image *image, const uint8_t *const copies[2],
                                const size_t sizes[2], snap_recovery *recovery, df_error *err)
{
    int leave = copy_to_leave(copies, sizes);
    const uint8_t *const counting[2] = { leave == 0 ? NULL : copies[0], leave == 1 ? NULL : copies[1] };
    recovering r = { image, counting, sizes };
    df_status s;

    *image = (history_image){ 0 };
    *recovery = (snap_recovery){ 0 };
    s = recover_head(&r, err);
    if (s == DF_OK)
        s = recover_marks(&r, err);
    if (s == DF_OK)
        s = recover_frames(&r, recovery, err);
    if (s != DF_OK) {
        history_image_fini(image);
        return s;
    }
    for (int i = 0; i < 2; i++) {
        recovery->rebuilt[i] = counting[i] == NULL;
        recovery->blocks_repaired[i] = count_repairs(&r, i);
    }
    return DF_OK;
}

df_status snap_history_recover(const uint8_t *const copies[2], const size_t sizes[2], uint8_t **image,
                               size_t *size, uint64_t *records, snap_marks *marks,
                               snap_recovery *recovery, df_error *err)
{
    history_image recovered;
    df_status s = history_image_recover(&recovered, copies, sizes, recovery, err);

    *image = recovered.bytes;
    *size = recovered.size;
    *records = recovered.count;
    *marks = recovered.marks;
    recovered.bytes = NULL;
    history_image_fini(&recovered);
    return s;
}
